"""Refunds that nobody may have: without a signature or a scope, of other payments, of too much, twice."""

import json
from typing import Any, Final

from sandbox import development, events
from tests.attacks.family import (
    MADE_KEY,
    PAID_ORDER_ID,
    PAID_PAYMENT_ID,
    STRANGERS_ORDER_ID,
    Event,
    Family,
    with_body,
    with_headers,
    with_json,
)
from tests.attacks.requests import _MEDIA_TYPES, _NO_AMOUNTS, _NO_JSON_NUMBERS, odd_ids
from tests.attacks.tokens import FAR, _algorithms, _flips, _keys, _misplaced, _schemes, _shapes, claimed, unsigned

SCOPE: Final = "payments:refund"
_KEY: Final = "the-key-of-an-attack"
_CLOSED: Final = {"JWT_SECRET": development.JWT_SECRET}
_OPEN: Final = {**_CLOSED, "REFUND_SCOPE": SCOPE}
_BODY: Final = {"amount": "2.00"}
_STAFF: Final = claimed(user_id=events.SOMEBODY_ELSE, scope=SCOPE)
_SIGNED: Final = events.from_service(PAID_ORDER_ID, _BODY, key=_KEY)
_BY_TOKEN: Final = events.from_service(PAID_ORDER_ID, _BODY, key=_KEY, caller=None, token=_STAFF)
# The refund that `running_target` made: repeating it changes nothing.
_AGAIN: Final = events.from_service(PAID_ORDER_ID, {"amount": "1.00"}, key=MADE_KEY)
_AGAIN_BY_TOKEN: Final = events.from_service(PAID_ORDER_ID, {"amount": "1.00"}, key=MADE_KEY, caller=None, token=_STAFF)
_ROUTES: Final = {"signed": (_SIGNED, _AGAIN, _CLOSED), "by token": (_BY_TOKEN, _AGAIN_BY_TOKEN, _OPEN)}


def _against(
    name: str, attacks: dict[str, Event], route: str, statuses: frozenset[int], *, reaches_table: bool = False
) -> Family:
    genuine, control, settings = _ROUTES[route]
    return Family(
        name=f"{name}, {route}",
        attacks=attacks,
        statuses=statuses,
        genuine=genuine,
        control=control,
        settings=settings,
        reaches_table=reaches_table,
    )


def _with_token(token: str) -> Event:
    return with_headers(_BY_TOKEN, authorization=f"Bearer {token}")


def _unsigned() -> Family:
    """Only API Gateway fills in who signed. Nothing that a caller can write makes up for it."""
    nobody = {**_SIGNED, "requestContext": {**_SIGNED["requestContext"], "identity": {"sourceIp": "203.0.113.7"}}}
    arn = events.CALLER_ARN
    forged = (
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260301/ap-south-1/execute-api/aws4_request, "
        f"SignedHeaders=host;x-amz-date, Signature={'0' * 64}"
    )
    attacks = {
        "no signature": nobody,
        "a client's token": with_headers(nobody, authorization=f"Bearer {events.token(events.CLIENT)}"),
        "a token with the scope": with_headers(nobody, authorization=f"Bearer {_STAFF}"),
        "a signature that nobody checked": with_headers(
            nobody, authorization=forged, x_amz_date="20260301T093200Z", x_amz_security_token="x"
        ),
        "the caller in headers": with_headers(nobody, userarn=arn, x_amzn_caller=arn, x_amz_user_arn=arn),
        "the caller in the body": with_json(nobody, {**_BODY, "requestContext": {"identity": {"userArn": arn}}}),
        "the caller in the query": {**nobody, "queryStringParameters": {"userArn": arn}},
        "the caller beside the identity": {
            **nobody,
            "requestContext": {**nobody["requestContext"], "userArn": arn, "authorizer": {"userArn": arn}},
        },
        "an API key": with_headers(nobody, x_api_key="0123456789abcdef0123456789abcdef"),
        "no identity": {**_SIGNED, "requestContext": {**_SIGNED["requestContext"], "identity": None}},
        "no context": {**_SIGNED, "requestContext": None},
    }
    for odd in (None, "", True, 1, [arn], {"arn": arn}):
        context = {**_SIGNED["requestContext"], "identity": {**_SIGNED["requestContext"]["identity"], "userArn": odd}}
        attacks[f"the caller {odd!r:.20}"] = {**_SIGNED, "requestContext": context}
    return _against("refund without a signature", attacks, "signed", frozenset({403}))


def _tokens() -> list[Family]:
    def presented(tokens: dict[str, str]) -> dict[str, Event]:
        return {name: _with_token(token) for name, token in tokens.items()}

    families = [
        _against(f"refund {name}", attacks, "by token", frozenset({401}))
        for name, attacks in {
            "with a forged algorithm": presented(_algorithms()),
            "with a forged key": presented(_keys()),
            "with a broken token": presented(_shapes()),
            "with changed bits": presented(_flips()),
            "with another scheme": {
                name: with_headers(_BY_TOKEN, authorization=text) for name, text in _schemes().items()
            },
            "with a misplaced token": _misplaced(_BY_TOKEN),
            "with the scope in an invalid token": presented(
                {
                    "expired": claimed(scope=SCOPE, exp=1),
                    "not yet valid": claimed(scope=SCOPE, nbf=FAR),
                    "a refresh token": claimed(scope=SCOPE, token_type="refresh"),
                    "an ID token": claimed(scope=SCOPE, token_use="id"),
                    "a quote": claimed(scope=SCOPE, aud="payment-quote"),
                    "no user": claimed(scope=SCOPE, user_id=...),
                    "unsigned": unsigned({"alg": "none", "typ": "JWT"}, {"user_id": 43, "exp": FAR, "scope": SCOPE}),
                }
            ),
        }.items()
    ]
    scopes: list[object] = [
        *(
            "",
            " ",
            "read",
            "refund",
            "payments",
            "payments:",
            "payments:refunds",
            "xpayments:refund",
            "payments:*",
            "*",
        ),
        *("PAYMENTS:REFUND", "read,payments:refund", "payments:refund,read", "payments:refund\n", "payments:refund\t"),
        *("payments\uff1arefund", "payments:refund\u0000", "\ufeffpayments:refund", "payments:r\u0435fund", "admin"),
        *("'payments:refund'", '"payments:refund"', "openid profile email", "${REFUND_SCOPE}", "null", "true"),
        *(None, True, 1, [SCOPE], [[SCOPE]], {SCOPE: True}, {"scope": SCOPE}, []),
    ]
    others = {f"scope {scope!a}": claimed(scope=scope) for scope in scopes}
    others |= {
        f"the scope as {name}": claimed(**{name: SCOPE})
        for name in (
            "scp",
            "scopes",
            "permissions",
            "roles",
            "role",
            "groups",
            "cognito:groups",
            "Scope",
            "scope ",
            "aud",
        )
    }
    for name, user in (("the client", events.CLIENT), ("the freelancer", events.FREELANCER), ("a stranger", 43)):
        others[name] = events.token(user)
    others["an administrator by name"] = claimed(is_staff=True, is_superuser=True, role="admin")
    families.append(_against("refund without the scope", presented(others), "by token", frozenset({403})))
    closed = {
        f"scope {scope!a}": claimed(scope=scope) for scope in (SCOPE, "", "*", "None", "null", None, [""], "refund")
    }
    closed |= {"a client": events.token(events.CLIENT), "no token": "", "a forged one": f"{_STAFF}x"}
    families.append(
        Family(
            name="refund by token where it is closed",
            attacks=presented(closed),
            statuses=frozenset({403}),
            genuine=_SIGNED,
            control=_AGAIN,
            settings=_CLOSED,
        )
    )
    return families


def _requests(route: str) -> list[Family]:
    """What both routes refuse, from a caller who may refund."""
    event = _ROUTES[route][0]

    def asked(document: object) -> Event:
        return with_json(event, document)

    def numbered(text: str) -> Event:
        return with_body(event, f'{{"amount":{text}}}')

    # 1.00 of 499.50 is refunded.
    too_much = ("498.51", "498.6", "499.50", "499.51", "500", "10000", "99999999.99")
    # Without its own decimals, 1.001 is a thousandth of a rupee.
    wrong = [*_NO_AMOUNTS, *_NO_JSON_NUMBERS, "-1.00", "-0.01", "1.005", '"2.001"', '"-2.00"']
    keys: dict[str, object] = {
        "none": None,
        "empty": "",
        "too short": "short-key",
        "too long": "k" * 65,
        "a kilobyte": "k" * 1024,
        "with a blank": "a key with blanks",
        "with a line feed": f"{_KEY}\n",
        "with a null byte": f"{_KEY}\u0000",
        "with a header": f"{_KEY}\r\nX-Admin: 1",
        "of other letters": "\u043a\u043b\u044e\u0447-\u043a\u043b\u044e\u0447",
        "of other digits": "\u0661\u0662\u0663\u0664\u0665\u0666\u0667\u0668\u0669\u0660",
        "two in one": f"{_KEY},{_KEY}",
        "a list": [_KEY],
        "a number": 1234567890,
        "an object": {"key": _KEY},
        "a path": "../../orders/x",
    }
    bodies: dict[str, Event] = {
        "an amount of null": asked({"amount": None}),
        "a list": asked([_BODY]),
        "a text": asked("2.00"),
        "null": asked(None),
        "no body": {**event, "body": None},
        "the amount twice": with_body(event, '{"amount":"498.50","amount":"2.00"}'),
        "the amount twice, escaped": with_body(event, '{"amount":"2.00","am\\u006funt":"498.50"}'),
        "the payment twice": with_body(
            event, f'{{"razorpay_payment_id":"{events.PAYMENT_ID}","razorpay_payment_id":"{PAID_PAYMENT_ID}"}}'
        ),
    }
    for name, value in {
        "speed": "optimum",
        "currency": "USD",
        "notes": {"x": "y"},
        "receipt": "x",
        "status": "processed",
        "order_id": STRANGERS_ORDER_ID,
        "client_id": events.SOMEBODY_ELSE,
        "refund_id": "rfnd_00000000000001",
        "amount_minor": 49950,
        "Amount": "2.00",
        "reverse_all": 1,
        "idempotency_key": _KEY,
        "account": "acc_1",
        "__proto__": {},
    }.items():
        bodies[f"with {name}"] = asked({**_BODY, name: value})
    for value in ("because", "Cancelled", "", "cancelled ", 1, True, ["cancelled"], {"code": "cancelled"}):
        bodies[f"reason {value!r:.24}"] = asked({**_BODY, "reason": value})
    # `events.PAYMENT_ID` has the form of one, and is asked for below.
    odd = {name: text for name, text in odd_ids(PAID_PAYMENT_ID).items() if text != events.PAYMENT_ID}
    payments = {name: asked({**_BODY, "razorpay_payment_id": text}) for name, text in odd.items()}
    for value in (True, 0, 1.5, [PAID_PAYMENT_ID], {"id": PAID_PAYMENT_ID}, [], {}):
        payments[f"of type {value!r:.20}"] = asked({**_BODY, "razorpay_payment_id": value})
    sizes: dict[str, Event] = {}
    for size in (8193, 9000, 100_000, 1_000_000, 9_000_000):
        sizes[f"{size} bytes"] = with_body(event, f"{event['body'][:-1]}{' ' * (size - len(event['body']))}}}")
    sizes["100 KB in base64"] = with_body(event, b" " * 100_000)
    sizes["8 KiB of characters, more of bytes"] = with_body(event, '{"x":"' + "\u20b9" * 4000 + '"}')
    sizes["a claim of fewer bytes"] = with_headers(sizes["9000 bytes"], content_length="10")
    # The body of a request whose key was used before, changed.
    other_bodies: dict[str, Any] = {
        "another amount": {"amount": "2.00"},
        "a smaller amount": {"amount": "1.00", "reason": "goodwill"},
        "what remains": {},
        "more than what remains": {"amount": "499.50"},
        "the payment named": {"amount": "1.00", "razorpay_payment_id": PAID_PAYMENT_ID},
        "another payment": {"amount": "1.00", "razorpay_payment_id": events.PAYMENT_ID},
        "a reason": {"amount": "1.00", "reason": "other"},
    }
    used = {name: with_headers(asked(body), idempotency_key=MADE_KEY) for name, body in other_bodies.items()}
    ids = {}
    for name, text in odd_ids(PAID_ORDER_ID).items():
        ids[name] = {**event, "pathParameters": {"order_id": text}}
    for name, parameters in {
        "no parameters": None,
        "no id": {},
        "the id in a list": {"order_id": [PAID_ORDER_ID]},
        "the id in capitals": {"ORDER_ID": PAID_ORDER_ID},
    }.items():
        ids[name] = {**event, "pathParameters": parameters}
    unpaid = {
        name: {**event, "pathParameters": {"order_id": order_id}}
        for name, order_id in {
            "an order that nobody paid": events.ORDER_ID,
            "a stranger's": STRANGERS_ORDER_ID,
        }.items()
    }
    elsewhere = {
        "a payment of no order of ours": asked({**_BODY, "razorpay_payment_id": "pay_00000000000099"}),
        "an unpaid order's payment": asked({**_BODY, "razorpay_payment_id": events.PAYMENT_ID}),
    }
    refused = frozenset({400})
    # One function serves both routes with the same code, so what is wrong with a form is asked of one of them.
    forms = [
        _against("refund payment id", payments, route, refused),
        _against("refund order id", ids, route, frozenset({404})),
        _against(
            "refund media type",
            {f"{kind!a}": with_headers(event, content_type=kind) for kind in _MEDIA_TYPES},
            route,
            frozenset({415}),
        ),
    ]
    return [
        *(forms if route == "signed" else []),
        _against(
            "refund of too much",
            {text: asked({"amount": text}) for text in too_much},
            route,
            refused,
            reaches_table=True,
        ),
        _against(
            "refund of no amount",
            {f"{text[:40]!a} ({len(text)})": numbered(text) for text in wrong},
            route,
            refused,
            # How many decimals a currency has, the payment tells.
            reaches_table=True,
        ),
        _against(
            "refund key",
            {name: with_headers(event, idempotency_key=key) for name, key in keys.items()},
            route,
            refused,
        ),
        _against("refund body", bodies, route, refused),
        _against("refund of another payment", elsewhere, route, refused, reaches_table=True),
        _against("refund size", sizes, route, frozenset({413})),
        _against("refund under a used key", used, route, frozenset({409}), reaches_table=True),
        _against("refund of an unpaid order", unpaid, route, frozenset({409}), reaches_table=True),
        _against(
            "refund method",
            {
                method: {**event, "httpMethod": method}
                for method in ("GET", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "POST ", "post\r\n", "REFUND")
            },
            route,
            frozenset({405}),
        ),
    ]


def families() -> list[Family]:
    """Against the route for AWS signatures, and the one for tokens, open and closed."""
    assert json.loads(_SIGNED["body"]) == _BODY
    return [_unsigned(), *_tokens(), *_requests("signed"), *_requests("by token")]
