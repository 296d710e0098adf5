"""Messages about disputes, each on a new service whose order is paid: only Razorpay can report a loss."""

from typing import Final

import pytest

from sandbox import events
from tests.attacks.family import Event, with_headers
from tests.attacks.target import Target
from tests.handlers.service import CREATE_ORDER

LOST: Final = events.dispute_body("lost", at=180)
_NAMES: Final = ("created", "under_review", "action_required", "won", "lost", "closed")
_FORGERIES: Final[dict[str, Event]] = {
    **{f"{name}, signed with another secret": events.from_razorpay(events.dispute_body(name), secret=events.FORGED_WITH)
       for name in _NAMES},
    "unsigned": with_headers(events.from_razorpay(LOST), x_razorpay_signature=None),
    "with the signature of another state": {**events.from_razorpay(events.dispute_body("won")), "body": LOST.decode()},
    "with another deduction": {
        **events.from_razorpay(events.dispute_body("won")),
        "body": events.dispute_body("won").replace(b'"amount_deducted":0', b'"amount_deducted":1').decode(),
    },
}  # fmt: skip


@pytest.fixture
def paid(fresh_target: Target) -> Target:
    assert fresh_target.send(events.from_razorpay(events.webhook_body("payment.captured"))).status == 200
    fresh_target.forget()
    return fresh_target


@pytest.mark.parametrize("forgery", _FORGERIES)
def test_a_forged_dispute_is_refused_and_reaches_nothing(paid: Target, forgery: str) -> None:
    before = paid.state()
    assert paid.send(_FORGERIES[forgery]).status == 400
    assert paid.calls() == []
    assert paid.state() == before
    # The positive control: the genuine one counts.
    assert paid.send(events.from_razorpay(LOST)).status == 200
    assert paid.item(events.ORDER_ID)["disputes"][events.DISPUTE_ID]["state"] == "lost"


def test_a_signed_dispute_about_another_payment_than_its_own_changes_nothing(paid: Target) -> None:
    before = paid.state()
    other = LOST.replace(
        f'"payment_id":"{events.PAYMENT_ID}"'.encode(), f'"payment_id":"{events.FAILED_PAYMENT_ID}"'.encode()
    )
    assert other != LOST
    assert paid.send(events.from_razorpay(other)).status == 200
    assert paid.changes() == []
    assert paid.state() == before


@pytest.mark.parametrize("late", ["created", "under_review", "action_required", "won", "closed"])
def test_an_old_report_that_comes_after_the_loss_takes_nothing_back(paid: Target, late: str) -> None:
    assert paid.send(events.from_razorpay(LOST)).status == 200
    lost = paid.state()
    assert paid.send(events.from_razorpay(events.dispute_body(late))).status == 200
    assert paid.state() == lost


def test_a_client_whose_bank_took_the_money_back_cannot_order_again(paid: Target) -> None:
    assert paid.send(events.from_razorpay(LOST)).status == 200
    paid.forget()
    for offer in (events.OFFER, {**events.OFFER, "amount": 1}):
        answer = paid.send(events.from_frontend(CREATE_ORDER, offer))
        assert (answer.status, answer.code) == (409, "payment_under_review")
    assert paid.changes() == []
