"""Requests of a signed-in client that try to get more than allowed: ids, numbers, fields, JSON, HTTP."""

import base64
import gzip
import json
import zlib
from typing import Any, Final

from payments.core.signature import checkout_signature
from sandbox import events
from tests.attacks.family import (
    KEY_SECRET,
    OTHER_ORDER_ID,
    OTHER_PAYMENT_ID,
    STRANGERS_ORDER_ID,
    Event,
    Family,
    checkout,
    with_body,
    with_headers,
    with_json,
)
from tests.handlers.service import CREATE_ORDER, VERIFY

_GET: Final = events.reading(events.ORDER_ID)
_ORDER: Final = events.from_frontend(CREATE_ORDER, events.OFFER)
_TRIPLE: Final = checkout(events.ORDER_ID, events.PAYMENT_ID)
_VERIFY: Final = events.from_frontend(VERIFY, _TRIPLE)
_VERIFY_OTHER: Final = with_json(_VERIFY, checkout(OTHER_ORDER_ID, OTHER_PAYMENT_ID))
_REFUSED: Final = frozenset({400})

# --- ids ---

_MARKS: Final = {
    "a slash": "/",
    "two dots and a slash": "../",
    "a backslash": "\\",
    "an escaped slash": "%2f",
    "a slash escaped twice": "%252f",
    "escaped dots": "%2e%2e%2f",
    "an overlong slash": "%c0%af",
    "a question mark": "?",
    "a query": "?expand[]=card",
    "a number sign": "#",
    "a semicolon": ";",
    "an ampersand": "&",
    "an at sign": "@",
    "a colon": ":",
    "a bar": "|",
    "a percent sign": "%",
    "a star": "*",
    "a dollar sign": "$",
    "a quote": "'",
    "double quotes": '"',
    "a backquote": "`",
    "a brace": "{",
    "a bracket": "[",
    "an angle": "<",
    "a blank": " ",
    "a plus": "+",
    "a tab": "\t",
    "a line feed": "\n",
    "a carriage return": "\r",
    "a header": "\r\nX-Admin: 1",
    "a null byte": "\u0000",
    "a next line": "\u0085",
    "a line separator": "\u2028",
    "a zero-width blank": "\u200b",
    "a byte order mark": "\ufeff",
    "a right-to-left mark": "\u202e",
    "a soft hyphen": "\u00ad",
    "a combining mark": "\u0301",
    "an emoji": "\U0001f4b8",
    "a dot": ".",
    "a hyphen": "-",
    "an underscore": "_",
    "an equals sign": "=",
    "a comma": ",",
    "a tilde": "~",
}
# Letters and digits of other scripts that look like those of the id, or that lenient code accepts as digits.
_LOOKALIKES: Final = {
    "Cyrillic o": ("o", "\u043e"),
    "Cyrillic e": ("e", "\u0435"),
    "Greek omicron": ("o", "\u03bf"),
    "full-width o": ("o", "\uff4f"),
    "Cyrillic V": ("V", "\u0474"),
    "Cyrillic I": ("I", "\u0406"),
    "Kelvin sign": ("k", "\u212a"),
    "Armenian o": ("o", "\u0585"),
    "dotless i": ("I", "\u0131"),
    "dotted I": ("I", "\u0130"),
    "long s": ("S", "\u017f"),
    "sharp s": ("S", "\u00df"),
    "mathematical D": ("D", "\U0001d403"),
    "circled D": ("D", "\u24b9"),
    "full-width low line": ("_", "\uff3f"),
    "Arabic digit": ("l", "\u0661"),
    "Devanagari digit": ("l", "\u0967"),
    "superscript digit": ("l", "\u00b9"),
    "Roman numeral": ("I", "\u2160"),
    "Cherokee D": ("D", "\u13a0"),
    "script L": ("L", "\u2112"),
    "modifier o": ("o", "\u1d52"),
}
_WHOLE: Final = {
    "empty": "",
    "a dot": ".",
    "two dots": "..",
    "a climb": "../../../etc/passwd",
    "orders of everybody": "../orders",
    "an absolute URL": "https://attacker.example/x",
    "a URL without a scheme": "//attacker.example/x",
    "a file": "file:///etc/passwd",
    "a user part": "@attacker.example/",
    "an item's key": f"order#{events.ORDER_ID}",
    "the counter": "counter#payment_id",
    "a pointer": f"application#{events.CLIENT}#12",
    "a payment's id": events.PAYMENT_ID,
    "a refund's id": events.FIRST_REFUND_ID,
    "the kind in capitals": events.ORDER_ID.replace("order", "ORDER"),
    "a capital": events.ORDER_ID.capitalize(),
    "the kind alone": "order_",
    "no kind": events.ORDER_ID[6:],
    "one character less": events.ORDER_ID[:-1],
    "one character more": f"{events.ORDER_ID}A",
    "another kind's name": events.ORDER_ID.replace("order", "plink"),
    "our own id": "1",
    "zero": "0",
    "minus one": "-1",
    "a wildcard": "%",
    "all": "*",
    "null": "null",
    "undefined": "undefined",
    "an object": "[object Object]",
    "a condition": '{"$gt":""}',
    "an attribute": '{"S":"x"}',
    "a union": "' UNION SELECT 1--",
    "a lookup": "${jndi:ldap://127.0.0.1/x}",
    "a template": "{{7*7}}",
    "a command": "$(id)",
    "7,000 characters": f"order_{'A' * 7000}",
    "two ids": f"{events.ORDER_ID},{STRANGERS_ORDER_ID}",
    "an id and a path": f"{events.ORDER_ID}/payments",
    "an id and a climb": f"{events.ORDER_ID}/../{STRANGERS_ORDER_ID}",
    "in quotes": f'"{events.ORDER_ID}"',
    "a lone surrogate": "\ud800",
}


def odd_ids(genuine: str) -> dict[str, str]:
    """The id with a mark before, within and after it, in look-alikes, and texts that are not ids at all."""
    middle = len(genuine) // 2
    ids = {}
    for name, mark in _MARKS.items():
        ids[f"{name} before"] = mark + genuine
        ids[f"{name} after"] = genuine + mark
        # Replaces as many characters, so that the length is right.
        if len(mark) < middle:
            ids[f"{name} within"] = genuine[:middle] + mark + genuine[middle + len(mark) :]
    for name, (letter, other) in _LOOKALIKES.items():
        ids[f"a {name}"] = genuine.replace(letter, other, 1) if letter in genuine else genuine[:-1] + other
    return ids | {name: text for name, text in _WHOLE.items() if text != genuine}


def _reading(order_id: str) -> Event:
    return {**_GET, "path": f"/api/payments/{order_id}/", "pathParameters": {"order_id": order_id}}


def _paths() -> list[Family]:
    reading = {name: _reading(text) for name, text in odd_ids(events.ORDER_ID).items()}
    for name, parameters in {
        "no parameters": None,
        "no id": {},
        "the id under another name": {"id": events.ORDER_ID},
        "the id in capitals": {"ORDER_ID": events.ORDER_ID},
        "the id in a list": {"order_id": [events.ORDER_ID]},
        "the id in an object": {"order_id": {"id": events.ORDER_ID}},
        "a number": {"order_id": 1},
        "a list of parameters": ["order_id", events.ORDER_ID],
    }.items():
        reading[name] = {**_GET, "pathParameters": parameters}
    families = [
        Family(name="id to read", attacks=reading, statuses=frozenset({404}), genuine=_GET, control=_GET),
    ]
    for field, genuine in (("razorpay_order_id", events.ORDER_ID), ("razorpay_payment_id", events.PAYMENT_ID)):
        # The signature is valid for them, so only their form can get them refused.
        attacks = {}
        for name, text in odd_ids(genuine).items():
            ids = {"razorpay_order_id": events.ORDER_ID, "razorpay_payment_id": events.PAYMENT_ID, field: text}
            signature = _signed(ids["razorpay_order_id"], ids["razorpay_payment_id"])
            if text != genuine:
                attacks[name] = with_json(_VERIFY, {**ids, "razorpay_signature": signature})
        for odd in (None, True, 0, 1.5, [genuine], {"id": genuine}, [], {}):
            attacks[f"of type {odd!r:.20}"] = with_json(_VERIFY, {**_TRIPLE, field: odd})
        families.append(
            Family(name=f"id in {field}", attacks=attacks, statuses=_REFUSED, genuine=_VERIFY, control=_VERIFY_OTHER)
        )
    # A delimiter in an id, so that the joined ids have a signature that Razorpay made.
    order, payment = events.ORDER_ID, events.PAYMENT_ID
    signature = _TRIPLE["razorpay_signature"]
    splits = {
        f"split after {cut} characters": (f"{order}|{payment}"[:cut], f"{order}|{payment}"[cut + 1 :])
        for cut in (0, 1, 5, 6, 10, 19, 21, 25, 30, 38, 39)
    }
    splits["the bar in the order"] = (f"{order}|", payment)
    splits["the bar in the payment"] = (order, f"|{payment}")
    splits["all in the order"] = (f"{order}|{payment}", "")
    splits["all in the payment"] = ("", f"{order}|{payment}")
    splits["exchanged"] = (payment, order)
    families.append(
        Family(
            name="checkout delimiter",
            attacks={
                name: with_json(
                    _VERIFY,
                    {"razorpay_order_id": left, "razorpay_payment_id": right, "razorpay_signature": signature},
                )
                for name, (left, right) in splits.items()
            },
            statuses=_REFUSED,
            genuine=_VERIFY,
            control=_VERIFY_OTHER,
        )
    )
    return families


def _signed(order_id: str, payment_id: str) -> str:
    return checkout_signature(order_id, payment_id, KEY_SECRET)


# --- notations of numbers ---

_IDS: Final = ("job_id", "application_id", "client_id", "freelancer_id")
_NO_IDS: Final = (
    "0",
    "-0",
    "-1",
    "-42",
    "1.0",
    "42.0",
    "42.5",
    "1e0",
    "1e2",
    "4.2e1",
    "42e0",
    "420e-1",
    "0.42e2",
    "1E5",
    "-1e2",
    "true",
    "false",
    "null",
    '"1"',
    '"42"',
    '" 42"',
    '"42 "',
    '""',
    '"0x2a"',
    '"\\u0034\\u0032"',
    '"\u0664\u0662"',
    "[]",
    "[42]",
    "{}",
    '{"id":42}',
    "9007199254740992",
    "9007199254740993",
    "18446744073709551616",
    "99999999999999999999999999999999",
    "-9007199254740993",
    '"9007199254740991"',
    "0.1",
    "1e400",
    "1e-400",
    "-0.0",
)
_NO_JSON_NUMBERS: Final = (
    "042",
    "+42",
    "0x2a",
    "0b101010",
    "0o52",
    "42L",
    "4_2",
    "42.",
    ".42",
    "4 2",
    "NaN",
    "Infinity",
    "-Infinity",
    "- 42",
    "1e",
    "--42",
    "\uff14\uff12",
    "\u0664\u0662",
    "42n",
    "'42'",
    "undefined",
    "None",
    "True",
    "1" + "0" * 400,
    "9" * 5000,
    "1e" + "9" * 30,
)
_NO_AMOUNTS: Final = (
    "0",
    "-0",
    "-1",
    "-499.5",
    "0.99",
    "0.999",
    "1.001",
    "499.505",
    "499.5000",
    "1e-2",
    "1e9",
    "1e400",
    "1e-400",
    "100000000",
    "99999999.991",
    "9007199254740992",
    "true",
    "false",
    "null",
    "[]",
    "[499.5]",
    "{}",
    '{"value":499.5}',
    '""',
    '"abc"',
    '" 499.5"',
    '"499.5 "',
    '"+499.5"',
    '"-499.5"',
    '"499,5"',
    '"4,995"',
    '"499.50.0"',
    '"1e2"',
    '"0x1f3"',
    '"NaN"',
    '"Infinity"',
    '"\u0664\u0669\u0669"',
    '"\uff14\uff19\uff19"',
    '"499.5\u0000"',
    '"499.5\\n"',
    '"\u20b9499.5"',
    '"499.5 INR"',
    '"499."',
    '".5"',
    '"0"',
    '"0.00"',
    '"00000000000000000499.50"',
    '"499.505"',
    '"499.50000"',
    '"100000000.00"',
    '"1_000"',
    '"\u2212499.5"',
    '"\u00bd"',
    "4995e-3",
)


def _written(field: str, text: str) -> Event:
    """The order with this text in place of the field's value."""
    offer = {name: value for name, value in events.OFFER.items() if name != field}
    return with_body(_ORDER, f'{json.dumps(offer)[:-1]},"{field}":{text}}}')


def _numbers() -> list[Family]:
    families = []
    for field in _IDS:
        attacks = {f"{text[:40]!a} ({len(text)})": _written(field, text) for text in (*_NO_IDS, *_NO_JSON_NUMBERS)}
        families.append(_against_order(f"number in {field}", attacks))
    amounts = {f"{text[:40]!a} ({len(text)})": _written("amount", text) for text in (*_NO_AMOUNTS, *_NO_JSON_NUMBERS)}
    families.append(_against_order("amount", amounts))
    currencies: list[Any] = [
        "USD",
        "inr",
        "Inr",
        "INR ",
        " INR",
        "INR\n",
        "INR\u0000",
        "\uff29\uff2e\uff32",
        "\u0130NR",
        "IN",
        "INRR",
        "",
        "XXX",
        "JPY",
        "BHD",
        "356",
        "\u20b9",
        "INR,USD",
        None,
        5,
        True,
        ["INR"],
        {"code": "INR"},
        "IDR",
        "I\u039dR",
    ]
    families.append(
        _against_order(
            "currency", {f"{value!a}": with_json(_ORDER, {**events.OFFER, "currency": value}) for value in currencies}
        )
    )
    return families


def _against_order(name: str, attacks: dict[str, Event], statuses: frozenset[int] = _REFUSED) -> Family:
    return Family(name=name, attacks=attacks, statuses=statuses, genuine=_ORDER, control=_ORDER)


def _against_verify(name: str, attacks: dict[str, Event], statuses: frozenset[int] = _REFUSED) -> Family:
    return Family(name=name, attacks=attacks, statuses=statuses, genuine=_VERIFY, control=_VERIFY_OTHER)


# --- fields, and JSON that two parsers read differently ---

_MORE_FIELDS: Final[dict[str, Any]] = {
    "status": "paid",
    "confirmed": True,
    "payment_id": 1,
    "pk": "counter#payment_id",
    "order_id": STRANGERS_ORDER_ID,
    "version": 0,
    "amount_minor": 1,
    "amount_paid": 49950,
    "amount_due": 0,
    "amount_refunded": 0,
    "receipt": "x",
    "notes": {"client_id": "43"},
    "payment": {"capture": "manual"},
    "payment_capture": 0,
    "partial_payment": True,
    "first_payment_min_amount": 1,
    "offers": ["x"],
    "discount": 100,
    "price": 1,
    "total": 1,
    "user_id": 43,
    "user": 43,
    "owner": 43,
    "role": "admin",
    "admin": True,
    "is_staff": True,
    "permissions": ["*"],
    "created_at": 0,
    "updated_at": 0,
    "expires_at": 1,
    "attention_at": 0,
    "attention_shard": "0",
    "superseded_by": "x",
    "pending": {},
    "history": [],
    "review": [],
    "payments": {},
    "refunds": {},
    "signed": True,
    "captured": True,
    "stage": "production",
    "key_id": "x",
    "key_secret": "x",
    "webhook_secret": "x",
    "token": "x",
    "callback_url": "https://attacker.example",
    "debug": True,
    "__proto__": {"admin": True},
    "constructor": {"prototype": {}},
    "__class__": "x",
    "__init__": {},
    "model_config": {},
    "$set": {},
    "$where": "1",
    "": 1,
    " amount": 1,
    "amount ": 1,
    "Amount": 1,
    "AMOUNT": 1,
    "\u0430mount": 1,
    "amount\u0000": 1,
    "amount[]": 1,
    "client_id[]": 43,
    "clientId": 43,
    "client-id": 43,
    "Client_Id": 43,
    "razorpay_order_id ": STRANGERS_ORDER_ID,
    "Razorpay_Order_Id": STRANGERS_ORDER_ID,
    "razorpayOrderId": STRANGERS_ORDER_ID,
    "razorpay_subscription_id": "x",
}


def _fields() -> list[Family]:
    families = []
    for against, event, document in (
        (_against_order, _ORDER, dict(events.OFFER)),
        (_against_verify, _VERIFY, _TRIPLE),
    ):
        endpoint = "create-order" if event is _ORDER else "verify"
        if event is _ORDER:
            more = {f"{name!a}": with_json(event, {**document, name: value}) for name, value in _MORE_FIELDS.items()}
            families.append(against(f"more fields at {endpoint}", more))
        else:
            # Razorpay may extend Checkout's object, so extra fields are ignored; they must not help a forged signature.
            forged = {**document, "razorpay_signature": "0" * 64}
            families.append(
                Family(
                    name=f"more fields at {endpoint}",
                    attacks={
                        f"{name!a}": with_json(event, {**forged, name: value}) for name, value in _MORE_FIELDS.items()
                    },
                    statuses=_REFUSED,
                    genuine=_VERIFY,
                    control=_VERIFY_OTHER,
                    reaches_table=True,
                )
            )
        less = {
            f"without {name}": with_json(event, {key: value for key, value in document.items() if key != name})
            for name in document
        }
        families.append(against(f"less fields at {endpoint}", less))
        families.append(against(f"JSON at {endpoint}", _smuggled(event, document)))
    return families


def _smuggled(event: Event, document: dict[str, Any]) -> dict[str, Event]:
    text = json.dumps(document)
    inside = text[1:-1]
    name, value = next((key, json.dumps(kept)) for key, kept in document.items() if key != "amount")
    escaped = f"\\u{ord(name[0]):04x}{name[1:]}"
    texts: dict[str, str | bytes] = {
        "a key twice, ours last": f'{{"{name}":5,{inside}}}',
        "a key twice, ours first": f'{{{inside},"{name}":5}}',
        "a key twice, the same": f'{{{inside},"{name}":{value}}}',
        "a key twice by an escape": f'{{{inside},"{escaped}":5}}',
        "a key twice by an escape, first": f'{{"{escaped}":5,{inside}}}',
        "two documents": text * 2,
        "two documents on two lines": f"{text}\n{text}",
        "a document in a list": f"[{text}]",
        "a document in a text": json.dumps(text),
        "a comment": f"{text}/* */",
        "a comment within": f"{{/* */{inside}}}",
        "a comment line": f"{text}//",
        "a comma after": f"{{{inside},}}",
        "a comma before": f"{{,{inside}}}",
        "single quotes": text.replace('"', "'"),
        "no quotes": text.replace('"', ""),
        "a semicolon after": f"{text};",
        "brackets around": f"({text})",
        "a guard before": f")]}}',\n{text}",
        "a callback": f"callback({text})",
        "an assignment": f"x={text}",
        "a byte order mark": b"\xef\xbb\xbf" + text.encode(),
        "UTF-16": text.encode("utf-16"),
        "UTF-16, little": text.encode("utf-16-le"),
        "UTF-32": text.encode("utf-32"),
        "UTF-7": text.encode("utf-7").replace(b"{", b"+AHs-"),
        "bytes that are no UTF-8": text.encode()[:-1] + b',"x":"\xff"}',
        "overlong UTF-8": text.encode()[:-1] + b',"x":"\xc0\xaf"}',
        "a surrogate in UTF-8": text.encode()[:-1] + b',"x":"\xed\xa0\x80"}',
        "a lone surrogate": f'{{{inside},"x":"\\ud800"}}',
        "a lone surrogate in a key": f'{{{inside},"\\ud800":1}}',
        "a null byte after": f"{text}\u0000",
        "a null byte before": f"\u0000{text}",
        "a control character": f'{{{inside},"x":"\u0001"}}',
        "a line break in a text": f'{{{inside},"x":"\n"}}',
        "a no-break blank": f"\u00a0{text}",
        "65 levels": f'{{{inside},"x":{"[" * 64}{"]" * 64}}}',
        "thousands of levels": "[" * 8000,
        "thousands of braces": '{"a":' * 1600,
        "an endless text": '{"' + '\\"' * 4000,
        "an endless number": f'{{{inside},"x":{"9" * 5000}}}',
        "NaN": f'{{{inside},"x":NaN}}',
        "YAML": "\n".join(f"{key}: {kept}" for key, kept in document.items()),
        "XML": "<?xml version='1.0'?><!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/passwd'>]><x>&e;</x>",
        "a form": "&".join(f"{key}={kept}" for key, kept in document.items()),
        "a multipart form": '--x\r\nContent-Disposition: form-data; name="job_id"\r\n\r\n11\r\n--x--',
        "gzip": gzip.compress(text.encode(), mtime=0),
        "deflate": zlib.compress(text.encode()),
        "MessagePack": b"\x85\xa6job_id\x0b",
        "CBOR": b"\xa1fjob_id\x0b",
        "base64 of itself": base64.b64encode(text.encode()).decode(),
        "empty": "",
        "a blank": " ",
        "null": "null",
        "true": "true",
        "a number": "42",
        "a text": '"x"',
        "a list": "[]",
        "an empty object": "{}",
    }
    attacks = {key: with_body(event, body) for key, body in texts.items()}
    attacks["no body"] = {**event, "body": None}
    attacks["a body that is an object"] = {**event, "body": document}
    attacks["base64 that is none"] = {**event, "isBase64Encoded": True}
    attacks["base64 for URLs"] = {**event, "body": "YWJj-_==", "isBase64Encoded": True}
    return attacks


# --- whose order it is ---


def _owners() -> list[Family]:
    stranger = {"authorization": f"Bearer {events.token(events.SOMEBODY_ELSE)}"}
    by_others = {
        f"read by user {user}": with_headers(_GET, authorization=f"Bearer {events.token(user)}")
        for user in (events.SOMEBODY_ELSE, 1, 4, 2, 420, 421, 76, 78, 770, 11, 12, 2**53 - 1)
    }
    by_others["a stranger's order"] = _reading(STRANGERS_ORDER_ID)
    by_others["an order that nobody has"] = _reading(events.UNKNOWN_ORDER_ID)
    # Only the record shows whose order it is.
    reading = Family(
        name="somebody else's order",
        attacks=by_others,
        statuses=frozenset({404}),
        genuine=_GET,
        control=_GET,
        reaches_table=True,
    )
    # With another freelancer, who is none of those clients, because nobody can pay themselves.
    offer = {**events.OFFER, "freelancer_id": 78}
    for_others = {
        f"for client {client}": with_json(_ORDER, {**offer, "client_id": client})
        for client in (events.SOMEBODY_ELSE, events.FREELANCER, 1, 4, 41, 420, 2**53 - 1)
    }
    for_others |= {
        f"by user {user}": with_headers(_ORDER, authorization=f"Bearer {events.token(user)}")
        for user in (events.SOMEBODY_ELSE, events.FREELANCER, 1, 4, 420)
    }
    for_others["by a stranger who says so in a header"] = with_headers(_ORDER, **stranger, x_user_id="42")
    for_others["by a stranger who says so in the query"] = {
        **with_headers(_ORDER, **stranger),
        "queryStringParameters": {"client_id": "42", "user_id": "42"},
    }
    ordering = _against_order("order for somebody else", for_others, frozenset({403}))
    return [reading, ordering]


# --- HTTP ---

_METHODS: Final = (
    "GET",
    "PUT",
    "PATCH",
    "DELETE",
    "HEAD",
    "OPTIONS",
    "TRACE",
    "CONNECT",
    "PROPFIND",
    "POST ",
    " POST",
    "POST\r\n",
    "P0ST",
    "POST /",
    "GET,POST",
    "",
    "*",
    "\uff30OST",
)
_OVERRIDES: Final = ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "_method", "X-Original-Method")
_PATHS: Final = (
    "/",
    "",
    "/api",
    "/api/payment",
    "/api/payments/list",
    "/api/payments/create-order/../verify",
    "/api/payments//verify",
    "//api/payments/verify",
    "/API/PAYMENTS/VERIFY",
    "/api/payments/Verify",
    "/api/payments/verify;x=1",
    "/api/payments/verify%2f",
    "/api/payments/verify?x",
    "/api/payments/verify#x",
    "/api/payments/verify.json",
    "/api/payments/verify\u0000",
    "/api/payments/./verify",
    "\\api\\payments\\verify",
    "/api/payments/v\u0435rify",
    "/admin",
    "/api/payments/{order_id}/x",
    "/api/payments/verify /",
    "/.env",
    "/api/payments/webhook2",
    "http://attacker.example/api/payments/verify",
    "{proxy+}",
    "/{proxy+}",
)
_MEDIA_TYPES: Final = (
    "text/plain",
    "text/json",
    "text/html",
    "application/xml",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "application/jsonp",
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/ld+json",
    "application/x-json",
    "application/octet-stream",
    "application/yaml",
    "application/cbor",
    "json",
    "*/*",
    "application/*",
    "application",
    "/",
    "application/json, text/plain",
    "text/plain, application/json",
    "application/json text/plain",
    "application/json\u0000",
    "application/json; charset=utf-16",
    "application/json; charset=utf-7",
    "application/json; charset=latin-1",
    'application/json; charset="utf-32"',
    "application/json; CHARSET=ascii",
    "\u0430pplication/json",
    "application/\uff4ason",
    "text/plain;application/json",
)


def _http() -> list[Family]:
    families = []
    methods = {}
    for event, route in ((_ORDER, "create-order"), (_VERIFY, "verify"), (events.from_razorpay(b"{}"), "webhook")):
        for method in _METHODS:
            if method:
                methods[f"{method!a} {route}"] = {**event, "httpMethod": method}
        for header in _OVERRIDES:
            overridden = with_headers({**event, "httpMethod": "GET"}, **{header.replace("-", "_"): "POST"})
            methods[f"GET {route} with {header}"] = overridden
        methods[f"GET {route} with _method in the query"] = {
            **event,
            "httpMethod": "GET",
            "queryStringParameters": {"_method": "POST"},
        }
    for method in ("POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"):
        methods[f"{method} order_id"] = {**_GET, "httpMethod": method}
        methods[f"{method} order_id with X-HTTP-Method-Override"] = with_headers(
            {**_GET, "httpMethod": method}, x_http_method_override="GET"
        )
    families.append(Family(name="method", attacks=methods, statuses=frozenset({405}), genuine=_GET, control=_GET))
    paths = {f"{path!a}": {**_VERIFY, "resource": path, "path": "/api/payments/verify"} for path in _PATHS if path}
    paths |= {f"{path!a} as the path alone": {**_VERIFY, "resource": None, "path": path} for path in _PATHS}
    paths["no method"] = {**_VERIFY, "httpMethod": None, "resource": "/x"}
    paths["the route in a header"] = with_headers(
        {**_VERIFY, "resource": "/x"}, x_original_url=VERIFY, x_rewrite_url=VERIFY
    )
    families.append(_against_verify("path", paths, frozenset({404})))
    for against, event, name in ((_against_order, _ORDER, "create-order"), (_against_verify, _VERIFY, "verify")):
        media = {f"{kind!a}": with_headers(event, content_type=kind) for kind in _MEDIA_TYPES}
        families.append(against(f"media type at {name}", media, frozenset({415})))
        sizes: dict[str, Event] = {}
        for size in (8193, 9000, 65_536, 100_000, 1_000_000):
            sizes[f"{size} bytes"] = with_body(event, f"{event['body'][:-1]}{' ' * (size - len(event['body']))}}}")
            sizes[f"{size} bytes in base64"] = with_body(
                event, f"{event['body'][:-1]}{' ' * (size - len(event['body']))}}}".encode()
            )
        sizes["8 KiB of characters, more of bytes"] = with_body(event, '{"x":"' + "\u20b9" * 4000 + '"}')
        sizes["a field of 100 KB"] = with_json(event, {**json.loads(event["body"]), "x": "y" * 100_000})
        sizes["a thousand fields"] = with_json(event, {f"f{number}": number for number in range(1000)})
        sizes["a claim of fewer bytes"] = with_headers(sizes["9000 bytes"], content_length="10")
        families.append(against(f"size at {name}", sizes, frozenset({413})))
    over = 10 * 1024 * 1024 + 1
    families.append(
        Family(
            name="size at webhook",
            attacks={
                "10 MB and a byte, signed": events.from_razorpay(b" " * over),
                "10 MB and a byte in base64, signed": events.from_razorpay(b" " * over, as_base64=True),
                "a megabyte, not signed": with_headers(
                    events.from_razorpay(b"[" * 1_000_000), x_razorpay_signature=None
                ),
                "a megabyte, signed by another": events.from_razorpay(b"[" * 1_000_000, secret="a-forgers-secret"),
            },
            statuses=frozenset({400}),
            genuine=_GET,
            control=_GET,
        )
    )
    return families


def families() -> list[Family]:
    """All families about ids, numbers, fields, owners and HTTP."""
    return [*_paths(), *_numbers(), *_fields(), *_owners(), *_http()]
