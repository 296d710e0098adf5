"""Canaries in every field of every input; none may appear in any output.

Outputs are the response, the log with its metrics, the table, the bus, and the text of raised errors. Each leaf of a
payload is once a canary by itself, all leaves that the service does not read are canaries together, and every object
gets an extra canary field. Canaries look like personal data: an address, a name, a word with a number in it. A bare
word is not one: `method`, `error_code` and `error_reason` are stored if they are a bare word, as in Razorpay's
vocabulary.
"""

import json
import re
from collections.abc import Callable, Iterator
from http import HTTPStatus
from itertools import count
from typing import Any, Final

import pytest
import requests

from payments.core import webhooks as core
from payments.core.model import DISPUTE_ID, ORDER_ID, PAYMENT_ID, REFUND_ID
from payments.wiring.boundary import RunFailed
from sandbox import development, events
from sandbox.gateway import webhooks
from sandbox.gateway.entities import Card, Customer, Dispute, Failure, Instrument, Order, Payment, Refund
from tests.attacks.family import Event, with_body, with_headers, with_json
from tests.attacks.target import Target
from tests.attacks.tokens import CLAIMS, HEADER, made
from tests.faults.elsewhere import _response
from tests.faults.rig import API_KEYS, JWT, WEBHOOK
from tests.handlers.service import CREATE_ORDER, VERIFY
from tests.secrecy import watch
from tests.secrecy.words import MARK, found

type Path = tuple[str | int, ...]

_number = count()
FORMS: Final[dict[str, Callable[[], str]]] = {
    "address": lambda: f"{MARK}.{next(_number)}@example.com",
    "name": lambda: f"{MARK.title()} {MARK} {next(_number)}",
    "word": lambda: f"{MARK}4111111111111111x{next(_number)}",
    "markup": lambda: f"<{MARK}>\n{next(_number)}\u202e",
}
_CONTAINERS: Final = (dict, list)


def leaves(document: Any, path: Path = ()) -> Iterator[Path]:
    """The paths of a document's leaves."""
    if isinstance(document, dict) and document:
        for name, value in document.items():
            yield from leaves(value, (*path, name))
    elif isinstance(document, list) and document:
        for index, value in enumerate(document):
            yield from leaves(value, (*path, index))
    else:
        yield path


def replaced(document: Any, path: Path, value: object) -> Any:
    if not path:
        return value
    first, rest = path[0], path[1:]
    if isinstance(document, list):
        assert isinstance(first, int)
        return [*document[:first], replaced(document[first], rest, value), *document[first + 1 :]]
    return {**document, first: replaced(document[first], rest, value)}


def widened(document: Any, canary: Callable[[], str]) -> Any:
    """The document with an extra field in every object, whose name and value are canaries."""
    if isinstance(document, dict):
        kept = {name: widened(value, canary) for name, value in document.items()}
        return {**kept, canary(): canary(), f"{MARK}_email": canary()}
    if isinstance(document, list):
        return [widened(value, canary) for value in document]
    return document


def variants(document: Any, is_read: Callable[[Path, object], bool], *, one_by_one: bool = True) -> Iterator[Any]:
    """The document with canaries: one leaf at a time, all unread leaves together, and extra fields.

    A leaf that is read has each form in turn. The unread ones have each form together, and alone only one of them.
    """
    unread = [path for path in leaves(document) if not is_read(path, _at(document, path))]
    for turn, canary in enumerate(FORMS.values()):
        filled = document
        for path in unread:
            filled = replaced(filled, path, canary())
        yield filled
        yield widened(filled, canary)
        alone = [path for path in leaves(document) if path not in unread] + unread[turn :: len(FORMS)]
        for path in alone if one_by_one else ():
            yield replaced(document, path, canary())


def _at(document: Any, path: Path) -> object:
    for part in path:
        document = document[part]
    return document


def check(target: Target, *answers: str) -> None:
    """Searches the last call's log and response, everything stored, and the bus."""
    assert target.said
    assert found("\n".join((target.said, target.state(), *answers))) == []


# --- webhooks -------------------------------------------------------------------------------------------------------

_CUSTOMER: Final = Customer(f"{MARK}@example.com", "+919812345678", f"{MARK.title()} {MARK}")
_INSTRUMENTS: Final = {
    "netbanking": (Instrument("netbanking", bank="HDFC"), {"bank_transaction_id": f"{MARK}0125836177"}),
    "upi": (Instrument("upi", vpa=f"{MARK}@upi"), {"rrn": f"{MARK}322206890934"}),
    "card": (
        Instrument("card", card=Card("card_DESp9fNnu0RoNc", f"{MARK} {MARK}", "0153", f"{MARK}Visa", f"{MARK}999")),
        {"auth_code": f"{MARK}828553"},
    ),
}
# Methods without payments in the stand-in, as documented ("Payment webhooks": wallet, EMI, pay later).
_OTHER_METHODS: Final[dict[str, dict[str, Any]]] = {
    "wallet": {"method": "wallet", "wallet": f"{MARK}wallet", "acquirer_data": {"transaction_id": f"{MARK}1"}},
    "emi": {
        "method": "emi",
        "emi": {"issuer": f"{MARK}HDFC", "type": "credit", "rate": 1300, "duration": 6},
        "emi_plan": {"issuer": f"{MARK}", "duration": 6},
        "card": {"id": f"card_{MARK}", "name": f"{MARK} {MARK}", "last4": "5449", "token_iin": f"{MARK}", "emi": True},
    },
    "cardless_emi": {"method": "cardless_emi", "provider": f"{MARK}", "wallet": None},
    "paylater": {"method": "paylater", "provider": f"{MARK}", "wallet": f"{MARK}"},
    "bank_transfer": {
        "method": "bank_transfer",
        "bank_transfer": {"payer_bank_account": {"ifsc": f"{MARK}", "account_number": f"{MARK}9876543210123"}},
    },
}
_FAILURE: Final = Failure(
    "BAD_REQUEST_ERROR", f"{MARK}@upi was not completed", "customer", "payment_authentication", "payment_cancelled"
)
_ORDER: Final = Order(
    events.ORDER_ID,
    events.AMOUNT_MINOR,
    "INR",
    f"{MARK}-1",
    {"comment": f"{MARK}"},
    captures_automatically=True,
    created_at=events.ORDERED_AT,
)


def _payment(event: str, method: str) -> Payment:
    instrument, acquirer = _INSTRUMENTS[method]
    failed = event == "payment.failed"
    captured = event not in {"payment.authorized", "payment.failed"}
    return Payment(
        events.FAILED_PAYMENT_ID if failed else events.PAYMENT_ID,
        events.ORDER_ID,
        events.AMOUNT_MINOR,
        "INR",
        "failed" if failed else "captured" if captured else "authorized",
        instrument,
        _CUSTOMER,
        f"{MARK}: what the client typed",
        {"note": f"{MARK}", f"{MARK}": "x"},
        dict(acquirer),
        created_at=events.ORDERED_AT + 60,
        captured=captured,
        failure=_FAILURE if failed else None,
    )


def _bodies() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every webhook event in every shape, with canaries in all free fields."""
    at = events.ORDERED_AT + 90
    for method in _INSTRUMENTS:
        for event in ("payment.authorized", "payment.captured", "payment.failed", "order.paid"):
            body = webhooks.body(event, _payment(event, method), _ORDER, None, at)
            yield f"{event} by {method}", json.loads(body)
        for event in ("refund.created", "refund.processed", "refund.failed"):
            refund = Refund(
                events.FIRST_REFUND_ID, events.PAYMENT_ID, 10_000, "INR", {"why": f"{MARK}"}, f"{MARK}", "normal", at
            )
            body = webhooks.body(event, _payment(event, method), _ORDER, refund, at)
            yield f"{event} by {method}", json.loads(body)
    for method, entity in _OTHER_METHODS.items():
        for event in ("payment.captured", "payment.failed"):
            document = json.loads(webhooks.body(event, _payment(event, "netbanking"), _ORDER, None, at))
            document["payload"]["payment"]["entity"] |= entity
            yield f"{event} by {method}", document
    dispute = Dispute("disp_DESlLckIVRkHWj", events.PAYMENT_ID, 49_950, "INR", at, at)
    for name in ("created", "under_review", "action_required", "won", "lost", "closed"):
        event = f"payment.dispute.{name}"
        yield event, json.loads(webhooks.of_dispute(event, _payment("payment.captured", "card"), dispute, at))
    yield (
        "settlement.processed",
        json.loads(webhooks.of_settlement("setl_x", [_payment("payment.captured", "upi")], at)),
    )
    speed = Refund(events.FIRST_REFUND_ID, events.PAYMENT_ID, 1, "INR", {}, None, "optimum", at)
    yield "refund.speed_changed", json.loads(webhooks.of_changed_speed(_payment("payment.captured", "upi"), speed, at))


_READ: Final = frozenset(
    {"event", "created_at", "id", "order_id", "payment_id", "amount", "currency", "status", "captured", "method",
     "error_code", "error_reason", "amount_deducted", "phase", "reason_code", "respond_by"}
)  # fmt: skip
BODIES: Final = dict(_bodies())


def _is_read(path: Path, value: object) -> bool:
    name = path[-1]
    inside = "entity" in path[:-1] and path[-2] == "entity"
    return bool(name in _READ and (inside or len(path) == 1)) and not (
        name == "id" and not any(form.match(str(value)) for form in (DISPUTE_ID, ORDER_ID, PAYMENT_ID, REFUND_ID))
    )


@pytest.mark.parametrize("known", [True, False], ids=["of a known order", "of an unknown order"])
@pytest.mark.parametrize("name", BODIES)
def test_no_canary_of_a_webhook_gets_out(target: Target, name: str, *, known: bool) -> None:
    document = BODIES[name]
    if not known:
        document = json.loads(json.dumps(document).replace(events.ORDER_ID, events.UNKNOWN_ORDER_ID))
    for variant in [document, *variants(document, _is_read)]:
        body = json.dumps(variant).encode()
        answer = target.send(events.from_razorpay(body))
        assert answer.status == 200, answer.text
        check(target, answer.text, json.dumps(dict(answer.headers)))


# --- clients --------------------------------------------------------------------------------------------------------


def _requests() -> dict[str, Event]:
    return {
        "create-order": events.from_frontend(CREATE_ORDER, {**events.OFFER, "currency": "INR"}),
        "verify": events.from_frontend(VERIFY, events.checkout()),
        "get": events.reading(events.ORDER_ID),
        "webhook": events.from_razorpay(events.webhook_body("payment.captured")),
    }


@pytest.mark.parametrize("name", ["create-order", "verify"])
def test_no_canary_of_a_document_gets_out(target: Target, name: str) -> None:
    event = _requests()[name]
    document = json.loads(event["body"])
    for variant in variants(document, lambda _path, _value: False):
        answer = target.send(with_json(event, variant))
        assert answer.status == 400, answer.text
        # An unknown field's name is returned only to its sender, and only if it is a plain name.
        shown = json.loads(answer.text)
        for error in shown.get("errors", []):
            if error["message"] == "is not a known field":
                error["field"] = ""
        check(target, json.dumps(shown), json.dumps(dict(answer.headers)))
    assert [leak for leak in watch.leaks() if not leak.endswith(" in an answer")] == []


@pytest.mark.parametrize("body", [f"{MARK}", f'{{"{MARK}', f'["{MARK}"]', f'{{"a":"{MARK}","a":1}}', f'{{"a":{MARK}}}'])
def test_no_canary_of_a_body_that_is_no_document_gets_out(target: Target, body: str) -> None:
    for event in _requests().values():
        if event["httpMethod"] == "POST":
            for changed in (with_body(event, body), with_body(event, body.encode()), {**event, "body": body}):
                answer = target.send(changed)
                assert answer.status == 400
                check(target, answer.text)


@pytest.mark.parametrize("name", _requests())
def test_no_canary_of_what_surrounds_a_body_gets_out(target: Target, name: str) -> None:
    """Headers, query, path, and all that API Gateway reports about the caller: addresses, agents, certificates."""
    event = _requests()[name]
    event |= {
        "queryStringParameters": {"email": "x", "token": "x"},
        "multiValueQueryStringParameters": {"email": ["x"]},
        "stageVariables": {"secret": "x"},
    }
    event["headers"] = {**event["headers"], "Cookie": "x", "Referer": "x", "X-Api-Key": "x", "X-Razorpay-Event-Id": "x"}
    whole = {"body": event["body"], "httpMethod": event["httpMethod"], "resource": event["resource"]}
    around = {key: value for key, value in event.items() if key not in whole and key != "isBase64Encoded"}
    for canary in FORMS.values():
        everything = around
        for path in leaves(around):
            if path == ("requestContext", "requestId"):
                continue  # API Gateway's own, and meant to be logged
            everything = replaced(everything, path, canary())
            answer = target.send({**whole, **replaced(around, path, canary()), "isBase64Encoded": False})
            check(target, answer.text, json.dumps(dict(answer.headers)))
        answer = target.send({**whole, **everything, "isBase64Encoded": False})
        check(target, answer.text, json.dumps(dict(answer.headers)))
        odd = {**event, "resource": None, "path": canary(), "httpMethod": canary()}
        check(target, target.send(odd, like=event).text)


_PERSONAL_CLAIMS: Final = dict.fromkeys(
    ("email", "name", "phone_number", "address", "sub", "jti", "username", "given_name", "picture", "nonce"), "x"
)


def test_no_canary_of_a_token_gets_out(target: Target) -> None:
    claims: dict[str, Any] = {**CLAIMS, **_PERSONAL_CLAIMS, "realm": {"roles": ["x"]}, "iat": events.ORDERED_AT}
    accepted = 0
    for canary in FORMS.values():
        for path in leaves(claims):
            token = made(HEADER, replaced(claims, path, canary()))
            answer = target.send(with_headers(events.reading(events.ORDER_ID), authorization=f"Bearer {token}"))
            accepted += answer.status == 200
            check(target, answer.text)
        for name in ("kid", "jku", "x5u", "cty", "typ", "alg"):
            token = made({**HEADER, name: canary()}, claims)
            answer = target.send(with_headers(events.reading(events.ORDER_ID), authorization=f"Bearer {token}"))
            check(target, answer.text)
    # Not all were refused: other claims of a valid token are ignored.
    assert accepted > len(FORMS) * len(_PERSONAL_CLAIMS)


# --- Razorpay's API -------------------------------------------------------------------------------------------------

_ENTITY: Final[dict[str, Any]] = BODIES["payment.captured by card"]["payload"]["payment"]["entity"]
_REFUND: Final[dict[str, Any]] = BODIES["refund.processed by upi"]["payload"]["refund"]["entity"]
_ANSWERS: Final[dict[str, dict[str, Any]]] = {
    "payments": {"entity": "collection", "count": 1, "items": [_ENTITY]},
    "refunds": {"entity": "collection", "count": 1, "items": [_REFUND]},
    "order": {**_ORDER.to_json(), "notes": {"service": "payment-service", "stage": MARK, "email": MARK}},
    "error": {
        "error": {
            "code": "BAD_REQUEST_ERROR",
            "description": f"{MARK}@example.com may not",
            "source": f"{MARK} x",
            "step": f"{MARK} x",
            "reason": "input_validation_failed",
            "field": "amount",
            "metadata": {"payment_id": events.PAYMENT_ID, "order_id": events.ORDER_ID},
        }
    },
}


# An order matching the request is accepted, whatever else it contains; and the client may change the amount.
_ALSO_ANSWERED: Final = {("order", 200): {201}, ("error", 400): {400}}


def _report(target: Target, function: str, asked: object) -> str:
    """A run's result, or the text of its failure."""
    try:
        return json.dumps(target.call(function, asked))
    except RunFailed as failure:
        return f"{failure!r} {failure.__cause__!r} {failure.__context__ and type(failure.__context__)}"


def _answering(status: int, content: bytes) -> Callable[[requests.PreparedRequest], requests.Response]:
    def answer(request: requests.PreparedRequest) -> requests.Response:
        return _response(request, status, content)

    return answer


@pytest.mark.parametrize("status", [200, 400, 500])
@pytest.mark.parametrize("name", _ANSWERS)
def test_no_canary_of_razorpays_api_gets_out(
    target: Target, monkeypatch: pytest.MonkeyPatch, name: str, status: int
) -> None:
    # Of a refusal only an error is read.
    one_by_one = status == HTTPStatus.OK or name == "error"
    read = _READ | {"reason", "field"}
    answers = variants(_ANSWERS[name], lambda path, _: path[-1] in read, one_by_one=one_by_one)
    for number, variant in enumerate(answers):
        content = json.dumps(variant).encode()
        monkeypatch.setattr(target.world.razorpay, "answer", _answering(status, content))
        offer = {**events.OFFER, "application_id": 1000 + number}
        answer = target.send(events.from_frontend(CREATE_ORDER, offer))
        assert answer.status in {502, 503, *_ALSO_ANSWERED.get((name, status), ())}, answer.text
        check(target, answer.text)
        target.world.now += 4 * 3600
        lanes = [{"lane": lane} for lane in ("watch", "sweep", "expiry")]
        for asked in (*lanes, {"look": {"order_id": events.ORDER_ID}}):
            check(target, _report(target, "reconcile", asked))
        check(target, _report(target, "outbox", {}))


# --- settings, and what is raised -----------------------------------------------------------------------------------


@pytest.mark.parametrize("secret", [API_KEYS, WEBHOOK, JWT])
@pytest.mark.parametrize("canary", [f"{MARK}", f"{MARK}@example.com", f"{MARK}\n{'x' * 40}", ""])
def test_no_setting_that_is_refused_is_shown(target: Target, secret: str, canary: str) -> None:
    good = target.world.secrets[secret]
    for name in good:
        target.world.secrets[secret] = {**good, name: canary, f"{MARK}_OTHER": canary, "JWT_ALGORITHM": f"{MARK}"}
        target.world.forget_instances()
        answers = [target.send(event).text for event in _requests().values()]
        check(target, *answers)
        for function, asked in (("reconcile", {"lane": "watch"}), ("reconcile", {"lane": "sweep"}), ("outbox", {})):
            check(target, _report(target, function, asked))


def test_a_leak_in_a_handler_would_be_found(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    """The canaries do arrive: if a customer's address is logged as an id, the search finds it."""
    document = BODIES["payment.captured by upi"]
    unusable = replaced(document, ("payload", "payment", "entity", "amount"), "x")
    assert target.send(events.from_razorpay(json.dumps(unusable).encode())).status == 200
    check(target)
    monkeypatch.setattr(core, "_IDS", (("payment", "email", "order_id", re.compile(".+")),))
    assert target.send(events.from_razorpay(json.dumps(unusable).encode())).status == 200
    with pytest.raises(AssertionError):
        check(target)
    assert any(leak.endswith(" in the log") for leak in watch.leaks())


def test_the_development_secrets_are_in_use(target: Target) -> None:
    """Otherwise the search could never find anything."""
    used = {value for secret in target.world.secrets.values() for value in secret.values()}
    assert {development.RAZORPAY_KEY_SECRET, development.RAZORPAY_WEBHOOK_SECRET, development.JWT_SECRET} <= used
