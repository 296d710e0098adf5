"""Genuine messages repeated, late, reordered, or under another message's event id: each counts once.

`x-razorpay-event-id` is outside the signature, so anyone who has seen a delivery can resend it under any id. It must
neither suppress another message nor make an old one count twice.
"""

from typing import Final

import pytest

from sandbox import development, events
from tests.attacks.family import WEBHOOK_SECRET, Event, with_headers
from tests.attacks.target import Target

STORY: Final = {
    "payment.failed": events.webhook_body("payment.failed"),
    "payment.authorized": events.webhook_body("payment.authorized"),
    "payment.captured": events.webhook_body("payment.captured"),
    "order.paid": events.webhook_body("order.paid"),
    "refund.created": events.webhook_body("refund.created", refund=events.FIRST_REFUND_ID),
    "refund.processed, part": events.webhook_body("refund.processed", refund=events.FIRST_REFUND_ID),
    "refund.processed, all": events.webhook_body("refund.processed", refund=events.LAST_REFUND_ID),
    "refund.failed": events.webhook_body("refund.failed", refund=events.FIRST_REFUND_ID),
    "payment.dispute.created": events.dispute_body("created"),
    "payment.dispute.under_review": events.dispute_body("under_review", at=60),
    "payment.dispute.action_required": events.dispute_body("action_required", at=120),
    "payment.dispute.lost": events.dispute_body("lost", at=180),
}
_EVENT_IDS: Final = {
    "the same event id": "Rp71ZiqdEWusLa",
    "another event id": "Rp71ZiqdEWusLb",
    "no event id": None,
    "an empty event id": "",
    "an event id that is a path": "../../etc",
    "an event id of 10,000 characters": "A" * 10_000,
    "an event id in look-alikes": "Rp71ZiqdEWus\u041ba",
    "an event id that is a condition": '{"$ne":""}',
    "an event id with a line break": "Rp71ZiqdEWusLa\n{}",
}
# What a case sends again, under which event id, and which of the two secrets signs it.
REPLAYS: Final = [
    (event, event_id, secret)
    for event in STORY
    for event_id in _EVENT_IDS
    for secret in (WEBHOOK_SECRET, development.RAZORPAY_WEBHOOK_SECRET_PREVIOUS)
]
_IDS: Final = [
    f"{event}, {name}, {'current' if secret == WEBHOOK_SECRET else 'previous'} secret"
    for event, name, secret in REPLAYS
]


def delivery(body: bytes, event_id: str | None, secret: str = WEBHOOK_SECRET) -> Event:
    return with_headers(events.from_razorpay(body, secret=secret), x_razorpay_event_id=event_id)


@pytest.fixture(scope="module")
def told(target: Target) -> Target:
    """The target after the whole story."""
    for body in STORY.values():
        before = target.state()
        assert target.send(delivery(body, "Rp71ZiqdEWusLa")).status == 200
        # The positive control: the first time, each changes something, except that two report the same fact.
        if body not in {STORY["order.paid"], STORY["refund.failed"]}:
            assert target.state() != before
    return target


@pytest.mark.parametrize(("event", "event_id", "secret"), REPLAYS, ids=_IDS)
def test_a_genuine_message_that_comes_again_changes_nothing(
    told: Target, event: str, event_id: str, secret: str
) -> None:
    before = told.state()
    told.forget()
    answer = told.send(delivery(STORY[event], _EVENT_IDS[event_id], secret))
    assert (answer.status, answer.body) == (200, {"status": "ok"})
    assert told.changes() == []
    assert told.state() == before


def _about(event: str, order_id: str, payment_id: str) -> bytes:
    return (
        STORY[event]
        .replace(events.ORDER_ID.encode(), order_id.encode())
        .replace(events.PAYMENT_ID.encode(), payment_id.encode())
    )


@pytest.mark.parametrize("event", ["payment.failed", "payment.authorized", "payment.captured", "order.paid"])
@pytest.mark.parametrize("event_id", _EVENT_IDS)
def test_an_event_id_that_was_seen_with_another_message_suppresses_nothing(
    target: Target, event: str, event_id: str
) -> None:
    number = 1000 + 10 * list(STORY).index(event) + list(_EVENT_IDS).index(event_id)
    first, second = target.order(number), target.order(number + 1000)
    spent = _EVENT_IDS[event_id]
    assert target.send(delivery(_about("payment.captured", first, f"pay_{number:014d}"), spent)).status == 200
    before = target.item(second)
    sent = len(target.sent())
    poisoned = delivery(_about(event, second, f"pay_{number + 1000:014d}"), spent)
    assert target.send(poisoned).status == 200
    record = target.item(second)
    assert record["version"] == before["version"] + 1
    assert record["status"] == {"payment.failed": "failed", "payment.authorized": "authorized"}.get(event, "paid")
    told = target.sent()[sent:]
    assert len(told) == (0 if event == "payment.authorized" else 1)
    assert target.send(poisoned).status == 200
    assert target.item(second) == record
    assert target.sent()[sent:] == told
