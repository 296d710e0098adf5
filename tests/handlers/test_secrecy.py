"""No secret and no personal data in a log line, a response, the table or an event (I16)."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest

from sandbox import events
from sandbox.gateway import webhooks
from sandbox.gateway.entities import Card, Customer, Instrument, Order, Payment
from tests.handlers import cloud as faults
from tests.handlers.service import EVENTS, SECRETS, Service, committed

NOT_PERSONAL = {"email", "contact", "vpa"}
CARD = Card("card_DESp9fNnu0RoNc", "Gaurav Kumar", "0153", "Visa", "999999")


def words(event: dict[str, Any]) -> Iterator[str]:
    """Values of an event that must appear nowhere else."""
    yield from events.PERSONAL
    yield from ("gaurav", "919876543210", events.BANK, "Customer Notes", "was not completed")
    headers = {name.lower(): value for name, value in event["headers"].items()}
    yield from filter(
        None, (headers.get("authorization", "").removeprefix("Bearer "), headers.get("x-razorpay-signature"))
    )


def everything_said(service: Service) -> str:
    """Everything that left the service, as text."""
    return "\n".join((service.output(), json.dumps(service.cloud.items(), default=str), json.dumps(service.cloud.sent)))


@pytest.mark.parametrize("name", EVENTS)
@pytest.mark.parametrize("state", ["known", "unknown", "broken"])
def test_nothing_of_an_event_that_is_secret_or_personal_leaves_the_service(
    service: Service, name: str, state: str
) -> None:
    if state == "known":
        service.create_order()
        service.replay("webhook-payment-captured")
    if state == "broken":
        for operation in ("GetItem", "UpdateItem", "PutItem"):
            service.cloud.fail_always(operation, faults.denies)
    event = committed(name)
    answer = service.invoke(event)
    service.cloud.heal()
    said = everything_said(service) + answer.text + json.dumps(dict(answer.headers))
    for word in [*SECRETS, *words(event)]:
        assert word not in said, word
    assert "Traceback" not in said


def test_card_data_are_dropped_too(ordered: Service) -> None:
    payment = Payment(
        events.PAYMENT_ID,
        events.ORDER_ID,
        events.AMOUNT_MINOR,
        "INR",
        "captured",
        Instrument("card", card=CARD),
        Customer(),
        "what the client typed",
        {"note": "what the client noted"},
        {"auth_code": "828553", "rrn": "322206890934"},
        created_at=events.ORDERED_AT + 60,
        captured=True,
    )
    order = Order(events.ORDER_ID, events.AMOUNT_MINOR, "INR", "local-1", {}, captures_automatically=True, created_at=1)
    for name in ("payment.authorized", "payment.captured", "order.paid", "payment.failed"):
        assert ordered.deliver(webhooks.body(name, payment, order, None, events.ORDERED_AT + 90)).status == 200
    said = everything_said(ordered)
    for word in (CARD.id, CARD.name, CARD.last4, CARD.network, CARD.iin, "828553", "322206890934", "client typed",
                 "client noted", *events.PERSONAL):  # fmt: skip
        assert word not in said, word


def test_hostile_words_in_free_fields_are_dropped(ordered: Service) -> None:
    document = json.loads(events.webhook_body("payment.failed"))
    entity = document["payload"]["payment"]["entity"]
    entity |= {
        "method": "a@b.example",
        "error_code": "call +919876543210",
        "error_reason": "x y",
        "status": "a@b.example",
    }
    assert ordered.deliver(json.dumps(document).encode()).status == 200
    said = everything_said(ordered)
    assert "a@b.example" not in said
    assert "+919876543210" not in said
    (detail,) = ordered.cloud.details()
    assert detail["failure"] == {"code": None, "reason": None}


def test_razorpays_own_words_stay_inside(service: Service) -> None:
    from tests.handlers.razorpay import refusal  # noqa: PLC0415 - used here alone

    service.razorpay.script.append(refusal(400, "gaurav.kumar@example.com may not", reason="a b@c", field="x" * 99))
    answer = service.create_order()
    assert answer.status == 502
    assert "gaurav" not in answer.text + service.output()
    assert "b@c" not in answer.text + service.output()


def test_credentials_sent_where_they_do_not_belong_are_not_logged(ordered: Service) -> None:
    event = committed("create-order")
    body = {**events.OFFER, "password": "hunter2-hunter2", "token": events.token(42)}
    answer = ordered.invoke({**event, "body": json.dumps(body), "queryStringParameters": {"key": "hunter2-hunter2"}})
    assert answer.status == 400
    said = answer.text + ordered.output()
    assert "hunter2" not in said
    assert events.token(42) not in said
    raw = base64.b64encode(b"hunter2-hunter2").decode()
    ordered.invoke({**event, "body": raw, "isBase64Encoded": True})
    assert "hunter2" not in ordered.output()
    assert raw not in ordered.output()
