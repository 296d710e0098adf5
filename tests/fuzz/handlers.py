"""All six functions, called with inputs from hypothesis, on the in-memory world of `tests/faults`.

Each property generates one kind of request; each request runs on a new service, so that a failure depends on nothing
before it. For every input:

* the response is one that docs/openapi.yaml has for that operation, never 500, and nothing is raised (I15): only an
event that is not a REST API request or a schedule's input fails, and before any outside call;
* a request refused before the record is read makes no call to the table, the bus or Razorpay (I14);
* no secret, token or personal data is in the response, the log, the table or on the bus (I16);
* what was agreed with the client is unchanged (I1).
"""

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

import jwt
from hypothesis import strategies as st

from payments.core.lookup import Place, Role, cursor_after
from payments.wiring.boundary import RunFailed
from sandbox import development, events
from sandbox.gateway import signatures
from tests.attacks.family import PAID_ORDER_ID, PAID_PAYMENT_ID, STRANGERS_ORDER_ID, Event, with_body, with_headers
from tests.attacks.refunds import SCOPE
from tests.attacks.target import Target
from tests.attacks.tokens import b64
from tests.faults.elsewhere import _response
from tests.fuzz.contract import undocumented
from tests.handlers.service import (
    CREATE_ORDER,
    EVENTS,
    GET,
    LIST,
    REFUNDS,
    REFUNDS_BY_TOKEN,
    VERIFY,
    WEBHOOK,
    committed,
)
from tests.secrecy import watch

type Draw = st.DataObject

# Refusals that depend on the record; all others come before the first call.
_OF_THE_RECORD: Final = frozenset(
    {
        "order_not_found",
        "already_paid",
        "payment_in_progress",
        "payment_under_review",
        "invalid_signature",
        "idempotency_conflict",
        "nothing_to_refund",
    }
)
# Refusals after the signature was recorded, which is a fact whatever the payment's outcome.
_AFTER_RECORDING: Final = frozenset({"payment_refunded", "payment_returned", "payment_failed"})
_FUNCTIONS: Final = ("create_order", "verify", "webhook", "refund")
_FUNCTION_BY_ROUTE: Final = {
    CREATE_ORDER: "create_order",
    VERIFY: "verify",
    GET: "verify",
    LIST: "verify",
    WEBHOOK: "webhook",
    REFUNDS: "refund",
    REFUNDS_BY_TOKEN: "refund",
}
_AGREED: Final = (
    "payment_id",
    "order_id",
    "job_id",
    "application_id",
    "client_id",
    "freelancer_id",
    "amount",
    "currency",
    "receipt",
    "created_at",
)

# --- generated inputs -----------------------------------------------------------------------------------------------

# Including lone surrogates, which only JSON can encode.
_TEXT: Final = st.text(st.characters(exclude_categories=()), max_size=40)
_HOSTILE: Final = st.sampled_from(
    [
        "",
        *" \u0000\ud800",
        "../..",
        "order#x",
        "counter#payment_id",
        events.ORDER_ID,
        STRANGERS_ORDER_ID,
        events.PAYMENT_ID,
        "42",
        "null",
        "NaN",
        "1e400",
        "-0",
        "9" * 400,
        "\u0664\u0662",
        "[object Object]",
        "true",
        "paid",
        "INR",
        "a@b.example",
        "+919876543210",
    ]
)
_NUMBER: Final = (
    st.integers() | st.floats() | st.sampled_from([0, 1, 42, -1, 2**53 - 1, 2**53, 10**30, 49950, 499.5, 1.005])
)
_LEAF: Final = st.none() | st.booleans() | _NUMBER | _TEXT | _HOSTILE
JSON: Final = st.recursive(
    _LEAF,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXT | _HOSTILE, inner, max_size=4),
    max_leaves=12,
)
_SNIPPET: Final = st.sampled_from(
    [
        # Each of these separately.
        *"{}[]\",:\\-0' \n\u0000\ufeff\ud800é",
        "\\u",
        "\\ud800",
        "\\u0000",
        "NaN",
        "1e9",
        "1e999999999",
        "true",
        "null",
        "//",
        '"amount":1,',
        '"event":"x",',
        "[" * 70,
        '{"a":' * 70,
        "9" * 70,
        "9" * 5000,
    ]
)


def _mangled(draw: Draw, text: str) -> str:
    """The text with pieces removed, inserted or doubled."""
    for _ in range(draw.draw(st.integers(1, 4))):
        at = draw.draw(st.integers(0, len(text)))
        length = draw.draw(st.integers(0, 12))
        text = text[:at] + draw.draw(_SNIPPET | _TEXT | st.just(text[at : at + 5] * 2)) + text[at + length :]
    return text


def _changed(draw: Draw, document: Any) -> Any:
    """The document with a value changed, removed or added somewhere."""
    if isinstance(document, dict) and document and draw.draw(st.booleans()):
        key = draw.draw(st.sampled_from(sorted(document, key=str)))
        action = draw.draw(st.sampled_from(["into", "into", "into", "drop", "rename"]))
        rest = {name: value for name, value in document.items() if name != key}
        if action == "drop":
            return rest
        if action == "rename":
            return {**rest, draw.draw(_TEXT | _HOSTILE): document[key]}
        return {**document, key: _changed(draw, document[key])}
    if isinstance(document, list) and document and draw.draw(st.booleans()):
        index = draw.draw(st.integers(0, len(document) - 1))
        return [*document[:index], _changed(draw, document[index]), *document[index + 1 :]]
    return draw.draw(JSON)


def _genuine(draw: Draw) -> Event:
    return committed(draw.draw(st.sampled_from(sorted(EVENTS))))


# --- the properties -------------------------------------------------------------------------------------------------


def _any_event(draw: Draw, target: Target) -> str:
    """An event of any shape: not from API Gateway at all, or one of its events with anything in any place."""
    kind = draw.draw(st.sampled_from(["any", "parts", "changed", "changed"]))
    event: Any
    if kind == "any":
        event = draw.draw(JSON)
    elif kind == "parts":
        names = st.sampled_from(sorted(_genuine(draw)))
        event = draw.draw(st.dictionaries(names, JSON | st.sampled_from([CREATE_ORDER, GET, WEBHOOK, "GET", "POST"])))
    else:
        event = _genuine(draw)
        for _ in range(draw.draw(st.integers(1, 3))):
            event = _changed(draw, event)
    return _judge(target, draw.draw(st.sampled_from(_FUNCTIONS)), event)


def _any_body(draw: Draw, target: Target) -> str:
    """A genuine request with another body: any bytes, any text, or its own body damaged."""
    event = _genuine(draw)
    text = event["body"] or "{}"
    body: bytes | str = draw.draw(st.binary(max_size=200) | _TEXT) if draw.draw(st.booleans()) else _mangled(draw, text)
    event = with_body(event, body)
    if draw.draw(st.integers(0, 9)) == 0:
        event = {**event, "isBase64Encoded": not event["isBase64Encoded"]}
    return _judge(target, _FUNCTION_BY_ROUTE[event["resource"]], event)


def _any_document(draw: Draw, target: Target) -> str:
    """A client's document with changed values; the token is valid, so that the document is read."""
    kind = draw.draw(st.sampled_from(["order", "order", "verify", "read", "list"]))
    if kind == "read":
        order_id = draw.draw(_TEXT | _HOSTILE | st.just(events.ORDER_ID))
        event = {**events.reading(events.ORDER_ID), "pathParameters": {"order_id": order_id}}
        return _judge(target, "verify", event)
    if kind == "list":
        names = st.sampled_from(["role", "application_id", "cursor"]) | _TEXT
        cursor = cursor_after(Place("2026-03-01T09:32:00Z", events.ORDER_ID), Role.CLIENT, events.CLIENT)
        values = _TEXT | _HOSTILE | st.sampled_from(["client", "freelancer", "12", "99", cursor, cursor[:-2]]) | _LEAF
        query = draw.draw(st.dictionaries(names, st.lists(values, min_size=1, max_size=2), max_size=3))
        return _judge(target, "verify", {**events.listing(), "multiValueQueryStringParameters": query})
    document: Any = dict(events.OFFER) if kind == "order" else events.checkout()
    for _ in range(draw.draw(st.integers(1, 3))):
        name = draw.draw(st.sampled_from(sorted(document)))
        if isinstance(document, dict) and draw.draw(st.booleans()):
            document = {**document, name: draw.draw(_LEAF)}
        else:
            document = _changed(draw, document)
        if not isinstance(document, dict) or not document:
            break
    route = CREATE_ORDER if kind == "order" else VERIFY
    text = json.dumps(document)
    # A number in a notation that no JSON library would write.
    if draw.draw(st.integers(0, 4)) == 0:
        text = text.replace("499.5", draw.draw(st.from_regex(r"\A-?[0-9]{1,9}(\.[0-9]{1,9})?([eE][+-]?[0-9]{1,5})?\Z")))
    event = with_body(events.from_frontend(route, {}), text)
    return _judge(target, _FUNCTION_BY_ROUTE[route], event)


def _any_refund(draw: Draw, target: Target) -> str:
    """A request for a refund with anything in its body, its key, its path or its token; never above the payment."""
    target.adopt({"JWT_SECRET": development.JWT_SECRET, "REFUND_SCOPE": SCOPE})
    genuine = {"amount": "2.00", "razorpay_payment_id": PAID_PAYMENT_ID, "reason": "goodwill"}
    names = st.sampled_from(["amount", "razorpay_payment_id", "reason"]) | _TEXT
    amounts = st.sampled_from(["1", 1, "498.50", 498.5, 498.51, "499.50", "0.99", -1, "1.001", 2.5, None])
    document: Any = {name: value for name, value in genuine.items() if draw.draw(st.booleans())} | draw.draw(
        st.dictionaries(names, amounts | _LEAF, max_size=2)
    )
    if draw.draw(st.integers(0, 4)) == 0:
        document = draw.draw(JSON)
    key = draw.draw(st.sampled_from(["the-key-of-a-request", "a-refund-that-was-made"]) | _TEXT | st.none())
    claims = {"user_id": events.CLIENT, "exp": 4_102_444_800, "scope": draw.draw(st.just(SCOPE) | _LEAF)}
    token = jwt.encode(claims, development.JWT_SECRET, "HS256")
    caller = draw.draw(st.sampled_from([events.CALLER_ARN, None]))
    event = events.from_service(PAID_ORDER_ID, {}, key=key, caller=caller, token=token)
    order_id = draw.draw(st.sampled_from([PAID_ORDER_ID] * 8 + [events.ORDER_ID]) | _HOSTILE)
    event = {**with_body(event, json.dumps(document)), "pathParameters": {"order_id": order_id}}
    payment = target.world.razorpay.account.payments[PAID_PAYMENT_ID]
    before = payment.amount_refunded
    said = _judge(target, "refund", event)
    is_made = said.startswith("201")
    assert (payment.amount_refunded > before) is is_made, f"{said}, and {payment.amount_refunded} was refunded"
    assert payment.amount_refunded <= payment.amount
    return said


def _any_header(draw: Draw, target: Target) -> str:
    """A genuine request with headers changed: any token, any signature, any type."""
    event = _genuine(draw)
    read = ("authorization", "content-type", "x-razorpay-signature", "x-razorpay-event-id")
    names = st.sampled_from([*read, *map(str.title, read)]) | _TEXT
    values = (
        _TEXT | _HOSTILE | st.sampled_from(["Bearer ", "Bearer x.y.z", "0" * 64, "application/json;charset=\ud800"])
    )
    headers = draw.draw(st.dictionaries(names, values | JSON, max_size=4))
    kept = event["headers"] if draw.draw(st.booleans()) else {}
    return _judge(target, _FUNCTION_BY_ROUTE[event["resource"]], {**event, "headers": {**kept, **headers}})


def _any_token(draw: Draw, target: Target) -> str:
    """A token with any header and any claims, under the right key; or a genuine one, damaged."""
    if draw.draw(st.integers(0, 3)) == 0:
        token = _mangled(draw, events.token(events.CLIENT))
    else:
        claims: Any = {"user_id": events.CLIENT, "exp": 4_102_444_800, "token_type": "access"}
        header: Any = {"alg": "HS256", "typ": "JWT"}
        if draw.draw(st.booleans()):
            claims = _changed(draw, claims)
        if draw.draw(st.integers(0, 3)) == 0:
            header = _changed(draw, header)
        payload = _json_bytes(claims)
        message = f"{b64(_json_bytes(header))}.{b64(payload)}".encode()
        signature = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256).sign(
            message, development.JWT_SECRET.encode()
        )
        token = f"{message.decode()}.{b64(signature)}"
    event = with_headers(events.reading(events.ORDER_ID), authorization=f"Bearer {token}")
    said = _judge(target, "verify", event)
    assert len(token) < 20 or token not in target.said, "I16: a token in the log"
    return said


def _any_webhook(draw: Draw, target: Target) -> str:
    """Razorpay's own signature over any bytes, any JSON, or one of its events with anything in any place."""
    kind = draw.draw(st.sampled_from(["bytes", "any", "envelope", "changed", "changed", "changed", "mangled"]))
    event = draw.draw(st.sampled_from(_WEBHOOKS))
    if kind == "bytes":
        body = draw.draw(st.binary(max_size=300))
    elif kind == "any":
        body = _json_bytes(draw.draw(JSON))
    elif kind == "envelope":
        names = st.sampled_from(["entity", "account_id", "event", "contains", "payload", "created_at"])
        document = draw.draw(st.dictionaries(names, JSON))
        body = _json_bytes({"event": json.loads(event)["event"], **document})
    elif kind == "mangled":
        body = _mangled(draw, event.decode()).encode("utf-8", "surrogatepass")
    else:
        changed: Any = json.loads(event)
        for _ in range(draw.draw(st.integers(1, 3))):
            changed = _changed(draw, changed)
        body = _json_bytes(changed)
    signature = signatures.of_webhook(development.RAZORPAY_WEBHOOK_SECRET, body)
    event_id = draw.draw(_TEXT | st.none())
    delivery = with_headers(with_body(_DELIVERY, body), x_razorpay_signature=signature, x_razorpay_event_id=event_id)
    said = _judge(target, "webhook", delivery)
    assert said == "200", f"a signed webhook was answered with {said}"
    return said


def _any_schedule(draw: Draw, target: Target) -> str:
    """Any input of schedules and operators: an invalid one is refused before any call."""
    target.world.now += 1000
    function = draw.draw(st.sampled_from(["outbox", "reconcile", "reconcile", "reconcile"]))
    lane = st.sampled_from(["watch", "sweep"]) | JSON
    period = st.fixed_dictionaries(
        {"from": JSON, "to": JSON}, optional={"list": JSON, "at": JSON, "span": JSON, "skip": JSON}
    )
    order = st.fixed_dictionaries(
        {"order_id": st.just(events.ORDER_ID) | _HOSTILE | JSON},
        optional={"razorpay_payment_id": st.just(events.PAYMENT_ID) | _HOSTILE | JSON, "more": JSON},
    )
    event = draw.draw(
        JSON
        | st.fixed_dictionaries({}, optional={"shards": JSON | st.lists(st.sampled_from(["0", "15", "16"]))})
        | st.fixed_dictionaries({"lane": lane}, optional={"shards": JSON, "passes": JSON})
        | st.fixed_dictionaries({"rebuild": JSON | period})
        | st.dictionaries(st.sampled_from(["look", "accept", "release"]), JSON | order, min_size=1, max_size=2)
    )
    return _run(target, function, event, may_be=_REFUSALS)


def _any_answer(draw: Draw, target: Target) -> str:
    """Razorpay's API returns anything, with any status, to create_order or reconcile."""
    kind = draw.draw(st.sampled_from(["bytes", "any", "list", "changed", "changed"]))
    if kind == "bytes":
        content = draw.draw(st.binary(max_size=100) | _SNIPPET.map(lambda text: text.encode("utf-8", "surrogatepass")))
    elif kind == "any":
        content = _json_bytes(draw.draw(JSON))
    elif kind == "list":
        content = _json_bytes({"entity": "collection", "count": 1, "items": draw.draw(st.lists(JSON, max_size=3))})
    else:
        payment = json.loads(events.webhook_body("payment.captured"))["payload"]["payment"]["entity"]
        listed: Any = {"entity": "collection", "count": 1, "items": [payment | {"id": events.PAYMENT_ID}]}
        order: Any = {"id": "order_00000000000009", "amount": events.AMOUNT_MINOR, "currency": "INR", "notes": {}}
        content = _json_bytes(_changed(draw, draw.draw(st.sampled_from([listed, order]))))
    usual = st.sampled_from([200, 200, 200, 400, 401, 404, 429, 500, 503])
    status = draw.draw(usual | st.integers(100, 599))
    target.world.razorpay.answer = lambda request: _response(request, status, content)  # type: ignore[method-assign]  # one that says anything
    if draw.draw(st.booleans()):
        target.world.now += 1000
        return f"reconcile {_run(target, 'reconcile', {'lane': draw.draw(st.sampled_from(['watch', 'sweep']))})}"
    if draw.draw(st.booleans()):
        key = draw.draw(st.sampled_from(["the-key-of-a-request", "another-key-of-a-request"]))
        asked = events.from_service(PAID_ORDER_ID, {"amount": "2.00"}, key=key)
        return f"refund {_judge(target, 'refund', asked, gateway_may_fail=True)}"
    event = events.from_frontend(CREATE_ORDER, {**events.OFFER, "application_id": 99})
    return _judge(target, "create_order", event, gateway_may_fail=True)


PROPERTIES: Final[Mapping[str, Callable[[Draw, Target], str]]] = {
    "an event of any shape": _any_event,
    "a request with any body": _any_body,
    "a client's document with anything in it": _any_document,
    "a request for a refund with anything in it": _any_refund,
    "a request with any headers": _any_header,
    "a token that says anything": _any_token,
    "a signed webhook that says anything": _any_webhook,
    "a schedule's input of any shape": _any_schedule,
    "an answer of Razorpay's that says anything": _any_answer,
}
_WEBHOOKS: Final = [
    *(events.webhook_body(name) for name in ("payment.authorized", "payment.captured", "payment.failed", "order.paid")),
    *(
        events.webhook_body(name, refund=events.FIRST_REFUND_ID)
        for name in ("refund.created", "refund.processed", "refund.failed")
    ),
]
_DELIVERY: Final = events.from_razorpay(b"{}")


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _json_bytes(document: object) -> bytes:
    return json.dumps(document).encode()


# --- what must hold -------------------------------------------------------------------------------------------------


def _judge(target: Target, function: str, event: Any, *, gateway_may_fail: bool = False) -> str:
    """Calls a function and checks everything; returns the response's status and code."""
    target.forget()
    agreed = _agreed(target)
    try:
        answer = target.call(function, event)
    except RunFailed as failure:
        if str(failure) != "ConfigurationError" or _is_of_a_rest_api(event) or target.calls():
            raise AssertionError(f"I15: {function} failed: {failure}, after {target.calls()}") from failure
        return "no request, and said so"
    described = event if isinstance(event, dict) else {}
    method, resource, path = (_text(described.get(name)) for name in ("httpMethod", "resource", "path"))
    route = (resource or path).rstrip("/")
    # A function knows only its own routes.
    wrong = undocumented(method.upper(), route if _FUNCTION_BY_ROUTE.get(route) == function else "", answer)
    assert not wrong, f"I15: {function} answered {answer}: {wrong}"
    status, body = answer["statusCode"], json.loads(answer["body"])
    code = body.get("code", "")
    assert code != "internal_error", "I15: an unexpected error"
    assert gateway_may_fail or status < 500, f"I15: {code} though nothing failed"
    if 400 <= status < 500 and (code not in _OF_THE_RECORD | _AFTER_RECORDING or function == "webhook"):
        assert not target.calls(), f"I14: {code} after {target.calls()}"
    elif code in _OF_THE_RECORD:
        assert not target.changes(), f"I14: {code} after {target.changes()}"
    assert _agreed(target) == agreed, "I1: what was agreed to has changed"
    _look_for_secrets(target, json.dumps(answer))
    return f"{status} {code}".strip()


def _is_of_a_rest_api(event: object) -> bool:
    """Whether it has what only REST API events have, not those of an HTTP API, a queue or a schedule."""
    return isinstance(event, dict) and isinstance(event.get("httpMethod"), str) and event.get("version") != "2.0"


_REFUSALS: Final = frozenset({"MeaninglessInput", "OrderNotFound", "NotPossible"})
"""Errors about the input, about a foreign order, and about what would break a promise to the client."""
_OF_A_RUN: Final = frozenset({"looked_at", "failed", "left_over", "outcomes"})
_OF_A_REFUSAL: Final = frozenset({"refused", "why"})
_OF_AN_ORDER: Final = frozenset({"order_id", "status", "confirmed", "under_review", "version"})


def _run(target: Target, function: str, event: Any, *, may_be: frozenset[str] = frozenset()) -> str:
    """Runs a scheduled function, which may refuse its input but must not fail otherwise."""
    agreed = _agreed(target)
    target.forget()
    try:
        report = target.call(function, event)
    except RunFailed as failure:
        if str(failure) not in may_be or (str(failure) == "MeaninglessInput" and target.calls()):
            raise AssertionError(f"I15: {function} failed as a whole: {failure}, after {target.calls()}") from failure
        return f"refused: {failure}"
    assert frozenset(report) - {"next"} in {_OF_A_RUN, _OF_AN_ORDER, _OF_A_REFUSAL}
    assert _agreed(target) == agreed, "I1: what was agreed to has changed"
    _look_for_secrets(target, json.dumps(report))
    return "failed for a record" if report.get("failed") else "ran"


def _agreed(target: Target) -> dict[str, list[object]]:
    records = {pk: item for pk, item in target.world.table.items.items() if pk.startswith("order#")}
    ours = {pk: [item.get(name) for name in _AGREED] for pk, item in records.items() if "client_id" in item}
    known = (events.ORDER_ID, "order_00000000000002", STRANGERS_ORDER_ID, PAID_ORDER_ID)
    return {pk: fields for pk, fields in ours.items() if pk.removeprefix("order#") in known}


def _look_for_secrets(target: Target, answer: str) -> None:
    watch.keep("an answer", answer)
    watch.keep("the table or on the bus", target.state())
    leaks = watch.leaks()
    assert not leaks, f"I16: {leaks}"
