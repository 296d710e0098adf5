"""Genuine messages that arrive late, many times or after a forged one, each on a new service."""

import pytest

from sandbox import events
from tests.attacks.target import Target
from tests.attacks.test_replays import STORY, delivery
from tests.handlers.service import CREATE_ORDER, VERIFY


@pytest.mark.parametrize("count", [2, 10])
def test_one_message_under_many_event_ids_counts_once(fresh_target: Target, count: int) -> None:
    for number in range(count):
        assert fresh_target.send(delivery(STORY["payment.captured"], f"Rp71ZiqdEWus{number:02d}")).status == 200
    about = [kind for kind, detail in fresh_target.sent() if detail["payment"]["order_id"] == events.ORDER_ID]
    assert about == ["payment.paid"]


def test_a_forged_message_under_a_genuine_event_id_spends_nothing(fresh_target: Target) -> None:
    forged = delivery(STORY["payment.captured"], "Rp71ZiqdEWusLa", events.FORGED_WITH)
    assert fresh_target.send(forged).status == 400
    assert fresh_target.send(delivery(STORY["payment.captured"], "Rp71ZiqdEWusLa")).status == 200
    assert fresh_target.item(events.ORDER_ID)["status"] == "paid"


@pytest.mark.parametrize("again", ["payment.failed", "payment.authorized"])
def test_an_old_message_that_is_sent_late_takes_nothing_back(fresh_target: Target, again: str) -> None:
    assert fresh_target.send(delivery(STORY["payment.captured"], "x")).status == 200
    paid = fresh_target.item(events.ORDER_ID)
    assert fresh_target.send(delivery(STORY[again], "x")).status == 200
    after = fresh_target.item(events.ORDER_ID)
    assert (after["status"], after["confirmed"]) == (paid["status"], paid["confirmed"]) == ("paid", True)


def test_a_checkout_signature_that_comes_again_gives_the_same_answer_and_changes_nothing(fresh_target: Target) -> None:
    event = events.from_frontend(VERIFY, events.checkout())
    first = fresh_target.send(event)
    state = fresh_target.state()
    fresh_target.forget()
    again = fresh_target.send(event)
    assert (again.status, again.text) == (first.status, first.text) == (200, first.text)
    assert fresh_target.changes() == []
    assert fresh_target.state() == state


def test_a_checkout_signature_does_not_bring_a_refunded_payment_back(fresh_target: Target) -> None:
    for event in ("payment.captured", "refund.processed, part", "refund.processed, all"):
        assert fresh_target.send(delivery(STORY[event], None)).status == 200
    answer = fresh_target.send(events.from_frontend(VERIFY, events.checkout()))
    assert (answer.status, answer.code) == (409, "payment_refunded")
    assert fresh_target.item(events.ORDER_ID)["status"] == "refunded"


def test_an_order_that_was_paid_cannot_be_ordered_again(fresh_target: Target) -> None:
    assert fresh_target.send(delivery(STORY["payment.captured"], None)).status == 200
    fresh_target.forget()
    answer = fresh_target.send(events.from_frontend(CREATE_ORDER, {**events.OFFER, "amount": 1}))
    assert (answer.status, answer.code) == (409, "already_paid")
    assert fresh_target.changes() == []
