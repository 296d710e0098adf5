"""Webhooks that Razorpay never sent, and signatures that it never made."""

import base64
import hmac
import json
from collections.abc import Mapping
from hashlib import md5, sha1, sha3_256, sha256, sha384, sha512
from typing import Any, Final

from sandbox import development, events
from sandbox.gateway import signatures
from tests.attacks.family import (
    KEY_SECRET,
    OTHER_ORDER_ID,
    OTHER_PAYMENT_ID,
    STRANGERS_ORDER_ID,
    WEBHOOK_SECRET,
    Event,
    Family,
    about_the_other_order,
    checkout,
    with_body,
    with_headers,
    with_json,
)
from tests.handlers.service import VERIFY

BODY: Final = events.webhook_body("payment.captured")
SIGNATURE: Final = signatures.of_webhook(WEBHOOK_SECRET, BODY)
DELIVERY: Final = events.from_razorpay(BODY)
CONTROL: Final = events.from_razorpay(about_the_other_order(BODY))
_LOOKALIKES: Final = str.maketrans(
    "0123456789abcdef",
    "\uff10\uff11\uff12\uff13\uff14\uff15\uff16\uff17\uff18\uff19\u0430\u0184\u0441\u0501\u0435\uff46",
)


def flips_of_hex(text: str) -> dict[str, str]:
    """Flips each of the four bits of each digit."""
    flipped = {}
    for position, digit in enumerate(text):
        for bit in range(4):
            other = f"{int(digit, 16) ^ (1 << bit):x}"
            flipped[f"bit {bit} of digit {position}"] = text[:position] + other + text[position + 1 :]
    return flipped


def other_digests(message: bytes, secret: str) -> dict[str, str]:
    """Signatures of the message by other methods."""
    key = secret.encode()
    digest = hmac.new(key, message, sha256)
    return {
        "SHA-256 without a key": sha256(message).hexdigest(),
        "SHA-256 of the key and the message": sha256(key + message).hexdigest(),
        "SHA-256 of the message and the key": sha256(message + key).hexdigest(),
        "HMAC-SHA1": hmac.new(key, message, sha1).hexdigest(),
        "HMAC-MD5": hmac.new(key, message, md5).hexdigest(),
        "HMAC-SHA384": hmac.new(key, message, sha384).hexdigest(),
        "HMAC-SHA512": hmac.new(key, message, sha512).hexdigest(),
        "HMAC-SHA512, cut to 64 digits": hmac.new(key, message, sha512).hexdigest()[:64],
        "HMAC-SHA3": hmac.new(key, message, sha3_256).hexdigest(),
        "the key and the message exchanged": hmac.new(message, key, sha256).hexdigest(),
        "in base64": base64.b64encode(digest.digest()).decode(),
        "in base64 for URLs": base64.urlsafe_b64encode(digest.digest()).decode(),
        "of the digest": hmac.new(key, digest.digest(), sha256).hexdigest(),
        "the raw digest": digest.digest().decode("latin-1"),
    }


def other_secrets() -> dict[str, str]:
    """Keys that an attacker might guess, or that serve another purpose."""
    return {
        "an empty secret": "",
        "a blank": " ",
        "a null byte": "\u0000",
        "'secret'": "secret",
        "'undefined'": "undefined",
        "'null'": "null",
        "'None'": "None",
        "'test'": "test",
        "'webhook_secret'": "webhook_secret",
        "'RAZORPAY_WEBHOOK_SECRET'": "RAZORPAY_WEBHOOK_SECRET",
        "'RAZORPAY_KEY_SECRET'": "RAZORPAY_KEY_SECRET",
        "the key id": development.RAZORPAY_KEY_ID,
        "the secret of the tokens": development.JWT_SECRET,
        "the webhook secret and a line break": f"{WEBHOOK_SECRET}\n",
        "the webhook secret and a blank": f"{WEBHOOK_SECRET} ",
        "the webhook secret in capitals": WEBHOOK_SECRET.upper(),
        "the webhook secret less one": WEBHOOK_SECRET[:-1],
        "the webhook secret backwards": WEBHOOK_SECRET[::-1],
        "the webhook secret in base64": base64.b64encode(WEBHOOK_SECRET.encode()).decode(),
        "the webhook secret in hex": WEBHOOK_SECRET.encode().hex(),
        "both webhook secrets": WEBHOOK_SECRET + development.RAZORPAY_WEBHOOK_SECRET_PREVIOUS,
        "both webhook secrets, with a comma": f"{WEBHOOK_SECRET},{development.RAZORPAY_WEBHOOK_SECRET_PREVIOUS}",
        "the key secret less one": KEY_SECRET[:-1],
        "the key secret in capitals": KEY_SECRET.upper(),
        "the key secret and a line break": f"{KEY_SECRET}\n",
        "the key id and the key secret": f"{development.RAZORPAY_KEY_ID}:{KEY_SECRET}",
        "the order id": events.ORDER_ID,
        "the payment id": events.PAYMENT_ID,
    }


def other_shapes(signature: str) -> dict[str, str]:
    """The genuine signature, written differently."""
    shapes = {f"its first {length} digits": signature[:length] for length in range(64)}
    shapes |= {
        "in capitals": signature.upper(),
        "with one capital": signature.replace("a", "A", 1) if "a" in signature else signature.capitalize(),
        "twice": signature * 2,
        "twice with a comma": f"{signature},{signature}",
        "backwards": signature[::-1],
        "with a prefix": f"sha256={signature}",
        "with 0x": f"0x{signature}",
        "with v1=": f"t=1772357400,v1={signature}",
        "in quotes": f'"{signature}"',
        "with a blank before": f" {signature}",
        "with a blank after": f"{signature} ",
        "with a line break after": f"{signature}\n",
        "with a tab after": f"{signature}\t",
        "with a null byte after": f"{signature}\u0000",
        "with a digit after": f"{signature}0",
        "with a digit before": f"0{signature}",
        "with colons": ":".join(signature[index : index + 2] for index in range(0, 64, 2)),
        "in look-alikes": signature.translate(_LOOKALIKES),
        "in full-width digits": "".join(chr(ord(digit) + 0xFEE0) for digit in signature),
        "with a zero-width blank": f"{signature[:32]}\u200b{signature[32:]}",
        "with a combining mark": f"{signature}\u0301",
        "with a lone surrogate": f"{signature}\ud800",
        "64 zeros": "0" * 64,
        "64 f": "f" * 64,
        "64 percent signs": "%" * 64,
        "an asterisk": "*",
        "true": "true",
        "null": "null",
        "undefined": "undefined",
        "7,000 characters": "a" * 7000,
        "its digits as bytes": bytes.fromhex(signature).decode("latin-1"),
        "its digits as a number": str(int(signature, 16)),
    }
    return shapes


def _signed(signature: object) -> Event:
    return with_headers(DELIVERY, x_razorpay_signature=signature)


def _flipped_bodies() -> dict[str, Event]:
    """Flips two bits of every third byte."""
    attacks = {}
    for position in range(0, len(BODY), 3):
        for bit in (position % 8, (position + 5) % 8):
            damaged = bytearray(BODY)
            damaged[position] ^= 1 << bit
            attacks[f"bit {bit} of byte {position}"] = with_body(DELIVERY, bytes(damaged))
    return attacks


def _rewritten_bodies() -> dict[str, Event]:
    """The same message to a JSON parser, or nearly, in different bytes."""
    document: dict[str, Any] = json.loads(BODY)
    entity = document["payload"]["payment"]["entity"]

    def changed(**changes: object) -> bytes:
        return json.dumps(
            {**document, "payload": {"payment": {"entity": {**entity, **changes}}}}, separators=(",", ":")
        ).encode()

    rewritten: dict[str, bytes] = {
        "with blanks": json.dumps(document).encode(),
        "indented": json.dumps(document, indent=2).encode(),
        "sorted": json.dumps(document, sort_keys=True, separators=(",", ":")).encode(),
        "with plain slashes": BODY.replace(b"\\/", b"/") + (b"" if b"\\/" in BODY else b" "),
        "with a line break after": BODY + b"\n",
        "with a blank before": b" " + BODY,
        "with a byte order mark": b"\xef\xbb\xbf" + BODY,
        "with a null byte after": BODY + b"\x00",
        "in UTF-16": BODY.decode().encode("utf-16"),
        "twice": BODY * 2,
        "in an array": b"[" + BODY + b"]",
        "less its last byte": BODY[:-1],
        "less its first byte": BODY[1:],
        "empty": b"",
        "an empty object": b"{}",
        "null": b"null",
        "of another amount": changed(amount=1),
        "of a larger amount": changed(amount=events.AMOUNT_MINOR * 10),
        "in another currency": changed(currency="USD"),
        "of another order": changed(order_id=OTHER_ORDER_ID),
        "of a stranger's order": changed(order_id=STRANGERS_ORDER_ID),
        "of another payment": changed(id=OTHER_PAYMENT_ID),
        "with a field more": changed(extra=1),
        "of another event": BODY.replace(b"payment.captured", b"payment.failed"),
        "of an order paid": BODY.replace(b"payment.captured", b"order.paid"),
        "of a refund": events.webhook_body("refund.processed", refund=events.LAST_REFUND_ID),
        "of another time": BODY.replace(str(document["created_at"]).encode(), b"1999999999"),
        "with the genuine one as a value": json.dumps({"genuine": BODY.decode()}).encode(),
        "with a key more than once": BODY[:-1] + b',"event":"payment.captured"}',
        "form encoded": b"payload=" + base64.b64encode(BODY),
    }
    attacks = {name: with_body(DELIVERY, body) for name, body in rewritten.items()}
    attacks["in base64 that is not announced"] = with_body(DELIVERY, base64.b64encode(BODY).decode())
    attacks["announced as base64 that it is not"] = {**DELIVERY, "isBase64Encoded": True}
    attacks["announced as base64 by a text"] = {**with_body(DELIVERY, BODY), "isBase64Encoded": "true"}
    attacks["in base64 for URLs"] = {
        **DELIVERY,
        "body": base64.urlsafe_b64encode(BODY + b"\xff\xfe").decode(),
        "isBase64Encoded": True,
    }
    attacks["missing"] = {**DELIVERY, "body": None}
    attacks["an object in the event"] = {**DELIVERY, "body": document}
    attacks["a list of bytes in the event"] = {**DELIVERY, "body": list(BODY[:50])}
    return attacks


def _headers() -> dict[str, Event]:
    bare = with_headers(DELIVERY, x_razorpay_signature=None)
    odd: list[Any] = [None, 5, True, ["x"], {"x": 1}, [SIGNATURE], {"signature": SIGNATURE}, 0.5]
    attacks = {f"a signature of type {value!r:.12} {index}": _signed(value) for index, value in enumerate(odd)}
    attacks["no headers"] = {**DELIVERY, "headers": None}
    attacks["headers that are a list"] = {**DELIVERY, "headers": [["X-Razorpay-Signature", SIGNATURE]]}
    for name in (
        "X-Signature",
        "X-Razorpay-Signature-256",
        "X-RazorpaySignature",
        "X_Razorpay_Signature",
        "Razorpay-Signature",
        "X-Hub-Signature-256",
        "Signature",
        "Authorization",
        "X-Razorpay-Signature ",
        "X-Razorpay-Sign\u0430ture",
        "X-Razorpay-Signature\u0000",
        "X-Forwarded-X-Razorpay-Signature",
        "Cookie",
    ):
        attacks[f"the signature in {name!a}"] = {**bare, "headers": {**bare["headers"], name: SIGNATURE}}
    attacks["the signature in the query"] = {
        **bare,
        "queryStringParameters": {"X-Razorpay-Signature": SIGNATURE, "signature": SIGNATURE},
    }
    attacks["the signature in headers of several values"] = {
        **bare,
        "multiValueHeaders": {"X-Razorpay-Signature": [SIGNATURE]},
    }
    attacks["the signature in the body"] = with_json(bare, {**json.loads(BODY), "signature": SIGNATURE})
    attacks["twice, the genuine one last"] = {
        **bare,
        "headers": {**bare["headers"], "X-Razorpay-Signature": "0" * 64, "x-razorpay-signature": SIGNATURE},
    }
    attacks["twice, the genuine one first"] = {
        **bare,
        "headers": {**bare["headers"], "x-razorpay-signature": SIGNATURE, "X-RAZORPAY-SIGNATURE": "0" * 64},
    }
    attacks["a token in its place"] = with_headers(bare, authorization=f"Bearer {events.token(events.CLIENT)}")
    attacks["from one of Razorpay's addresses"] = with_headers(bare, x_forwarded_for="52.66.75.174")
    attacks["with its user agent"] = with_headers(bare, user_agent="Razorpay-Webhook/v1")
    attacks["of checkout"] = _signed(signatures.of_checkout(KEY_SECRET, events.ORDER_ID, events.PAYMENT_ID))
    attacks["of the delivery before"] = _signed(
        signatures.of_webhook(WEBHOOK_SECRET, events.webhook_body("payment.authorized"))
    )
    attacks["of the order paid"] = _signed(signatures.of_webhook(WEBHOOK_SECRET, events.webhook_body("order.paid")))
    attacks["of an empty body"] = _signed(signatures.of_webhook(WEBHOOK_SECRET, b""))
    attacks["of an empty object"] = _signed(signatures.of_webhook(WEBHOOK_SECRET, b"{}"))
    attacks["of the event id"] = _signed(signatures.of_webhook(WEBHOOK_SECRET, b"Rp71ZiqdEWusLa"))
    attacks["of the body in base64"] = _signed(signatures.of_webhook(WEBHOOK_SECRET, base64.b64encode(BODY)))
    return attacks


def _hmac(message: bytes, secret: str) -> str:
    return hmac.new(secret.encode(), message, sha256).hexdigest()


_TRIPLE: Final = checkout(events.ORDER_ID, events.PAYMENT_ID)
_VERIFY: Final = events.from_frontend(VERIFY, _TRIPLE)
_VERIFY_OTHER: Final = with_json(_VERIFY, checkout(OTHER_ORDER_ID, OTHER_PAYMENT_ID))
_CHECKOUT_SIGNATURE: Final[str] = _TRIPLE["razorpay_signature"]


def _verifying(**changes: object) -> Event:
    return with_json(_VERIFY, {**_TRIPLE, **changes})


def _checkout_signatures() -> dict[str, Event]:
    order, payment = events.ORDER_ID, events.PAYMENT_ID
    signed = {f"signature, {name}": value for name, value in flips_of_hex(_CHECKOUT_SIGNATURE).items()}
    signed |= {f"signature {name}": value for name, value in other_shapes(_CHECKOUT_SIGNATURE).items()}
    signed |= {
        f"digest {name}": value for name, value in other_digests(f"{order}|{payment}".encode(), KEY_SECRET).items()
    }
    signed |= {
        f"signed with {name}": _hmac(f"{order}|{payment}".encode(), secret) for name, secret in other_secrets().items()
    }
    signed["signed with the webhook secret"] = _hmac(f"{order}|{payment}".encode(), WEBHOOK_SECRET)
    signed["signed with the previous webhook secret"] = _hmac(
        f"{order}|{payment}".encode(), development.RAZORPAY_WEBHOOK_SECRET_PREVIOUS
    )
    signed["a webhook's, made with the key secret"] = signatures.of_webhook(KEY_SECRET, BODY)
    signed["a webhook's"] = SIGNATURE
    for name, message in {
        "the ids exchanged": f"{payment}|{order}",
        "no delimiter": f"{order}{payment}",
        "two delimiters": f"{order}||{payment}",
        "a delimiter after": f"{order}|{payment}|",
        "a delimiter before": f"|{order}|{payment}",
        "a blank": f"{order} {payment}",
        "a comma": f"{order},{payment}",
        "a colon": f"{order}:{payment}",
        "an ampersand": f"{order}&{payment}",
        "a dot": f"{order}.{payment}",
        "a full-width bar": f"{order}\uff5c{payment}",
        "an escaped bar": f"{order}%7C{payment}",
        "blanks around the bar": f"{order} | {payment}",
        "a line break": f"{order}|{payment}\n",
        "the order alone": order,
        "the order and a bar": f"{order}|",
        "the payment alone": payment,
        "a bar and the payment": f"|{payment}",
        "a bar": "|",
        "nothing": "",
        "capitals": f"{order}|{payment}".upper(),
        "the ids without their kind": f"{order[6:]}|{payment[4:]}",
        "the amount too": f"{order}|{payment}|{events.AMOUNT_MINOR}",
        "a subscription's form": f"{payment}|sub_DESlLckIVRkHWj",
        "a payment link's form": f"plink_DESlLckIVRkHWj|local-1|paid|{payment}",
        "an invoice's form": f"inv_DESlLckIVRkHWj|local-1|paid|{payment}",
        "JSON": json.dumps({"razorpay_order_id": order, "razorpay_payment_id": payment}),
        "a form": f"razorpay_order_id={order}&razorpay_payment_id={payment}",
        "another order": f"{OTHER_ORDER_ID}|{payment}",
        "another payment": f"{order}|{OTHER_PAYMENT_ID}",
        "another order and payment": f"{OTHER_ORDER_ID}|{OTHER_PAYMENT_ID}",
        "a stranger's order": f"{STRANGERS_ORDER_ID}|{payment}",
        "the failed payment": f"{order}|{events.FAILED_PAYMENT_ID}",
        "our own payment id": f"{order}|1",
    }.items():
        signed[f"over {name}"] = _hmac(message.encode(), KEY_SECRET)
    return {name: _verifying(razorpay_signature=value) for name, value in signed.items()}


def _exchanged() -> dict[str, Event]:
    """Genuine signatures, used for another purpose or by another user."""
    alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    attacks = {
        "presented for another order": _verifying(razorpay_order_id=OTHER_ORDER_ID),
        "presented for another payment": _verifying(razorpay_payment_id=OTHER_PAYMENT_ID),
        "presented for the failed payment": _verifying(razorpay_payment_id=events.FAILED_PAYMENT_ID),
        "of another order presented for this one": _verifying(
            razorpay_signature=checkout(OTHER_ORDER_ID, OTHER_PAYMENT_ID)["razorpay_signature"]
        ),
        "presented for a stranger's order": _verifying(razorpay_order_id=STRANGERS_ORDER_ID),
        "of an order that is not ours": with_json(_VERIFY, checkout(events.UNKNOWN_ORDER_ID, events.PAYMENT_ID)),
        "of a stranger's order": with_json(_VERIFY, checkout(STRANGERS_ORDER_ID, events.PAYMENT_ID)),
    }
    for user, who in (
        (events.SOMEBODY_ELSE, "a stranger"),
        (events.FREELANCER, "the freelancer"),
        (1, "user 1"),
        (420, "user 420"),
        (4, "user 4"),
        (2**53 - 1, "the last user"),
    ):
        attacks[f"presented by {who}"] = with_headers(_VERIFY, authorization=f"Bearer {events.token(user)}")
    for name, place in (("razorpay_payment_id", events.PAYMENT_ID), ("razorpay_order_id", events.ORDER_ID)):
        start = place.index("_") + 1
        for position in range(start, len(place)):
            other = alphabet[(alphabet.index(place[position]) + 1) % len(alphabet)]
            value = place[:position] + other + place[position + 1 :]
            attacks[f"{name} with another character {position}"] = _verifying(**{name: value})
    return attacks


def families() -> list[Family]:
    """Against the webhook, and against verify."""
    refused = frozenset({400})

    def against_webhook(name: str, attacks: Mapping[str, Event]) -> Family:
        return Family(name=f"webhook {name}", attacks=attacks, statuses=refused, genuine=DELIVERY, control=CONTROL)

    def signed(signatures_by_name: Mapping[str, str]) -> dict[str, Event]:
        return {name: _signed(signature) for name, signature in signatures_by_name.items()}

    secrets = other_secrets() | {"the key secret": KEY_SECRET, "what a forger has": events.FORGED_WITH}
    found = [
        against_webhook("body bits", _flipped_bodies()),
        against_webhook("signature bits", signed(flips_of_hex(SIGNATURE))),
        against_webhook("signature shape", signed(other_shapes(SIGNATURE))),
        against_webhook("signature digest", signed(other_digests(BODY, WEBHOOK_SECRET))),
        against_webhook("signed with", {name: _signed(_hmac(BODY, secret)) for name, secret in secrets.items()}),
        against_webhook("signature header", _headers()),
        against_webhook("body rewritten", _rewritten_bodies()),
    ]
    for name, attacks in (("checkout", _checkout_signatures()), ("checkout signature", _exchanged())):
        found.append(
            Family(
                name=name,
                attacks=attacks,
                statuses=frozenset({400, 404}),
                genuine=_VERIFY,
                control=_VERIFY_OTHER,
                reaches_table=True,
            )
        )
    return found
