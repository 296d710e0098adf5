"""What reconcile decides: an order whose payments Razorpay listed, and an unknown order that turns out to be ours."""

from dataclasses import replace

import pytest

from payments.core.events import event_id
from payments.core.instants import iso
from payments.core.model import Authorized, Fact, Failed, HistoryEntry, Record, Review, Signed, Status
from payments.core.transitions import adopt, decide, settle, unknown_record
from tests.core.story import (
    AMOUNT,
    OPENED,
    ORDER,
    ORDER_ID,
    PART,
    REFUND_1,
    A,
    B,
    captured,
    opened,
    refunded,
    tell,
)

MINUTE = 60
HOUR = 60 * MINUTE
LAST = 72 * HOUR


def with_facts(*facts: Fact) -> Record:
    """An order of ours with these facts, whose events have been published."""
    return replace(decide(opened(), facts, OPENED + 1).record, pending={})


# --- an order whose payments Razorpay has listed --------------------------------------------------------------------


def test_an_order_without_news_is_due_at_its_next_age_and_does_not_change_otherwise() -> None:
    decision = settle(opened(), [], OPENED + 15 * MINUTE)
    assert decision.changed
    assert decision.record == replace(opened(), attention_at=OPENED + HOUR)
    assert decision.recorded == ()


def test_an_order_without_news_before_its_due_time_does_not_change_at_all() -> None:
    decision = settle(opened(), [], OPENED + MINUTE)
    assert not decision.changed
    assert decision.record == opened()


def test_news_of_an_order_is_recorded_as_ever_and_leaves_a_confirmed_one_due_for_its_event_alone() -> None:
    decision = settle(opened(), [captured(A)], OPENED + 15 * MINUTE)
    assert (decision.record.status, decision.record.version) == (Status.PAID, 2)
    assert decision.recorded == tuple(decision.record.pending)
    assert decision.record.attention_at == OPENED + 16 * MINUTE
    settled = settle(replace(decision.record, pending={}), [captured(A)], OPENED + HOUR)
    assert settled.record.attention_at is None


def test_the_next_age_is_soon_enough_for_an_event_if_it_comes_within_a_quarter_of_an_hour() -> None:
    decision = settle(opened(), [Failed(payment=A)], OPENED + 50 * MINUTE)
    assert decision.recorded
    assert decision.record.attention_at == OPENED + HOUR


@pytest.mark.parametrize("fact", [Authorized(payment=A), Signed(payment=A)])
def test_a_payment_still_not_captured_at_the_last_age_is_a_change_of_its_own_that_asks_for_a_review(
    fact: Fact,
) -> None:
    before, now = with_facts(fact), OPENED + LAST
    decision = settle(before, [fact], now)

    assert decision.changed
    record = decision.record
    assert record == replace(
        before,
        version=before.version + 1,
        updated_at=iso(now),
        history=(*before.history, HistoryEntry(at=iso(now), what=f"never captured {A}", status=before.status)),
        reviews=(Review(reason="never_captured", subject=A, at=iso(now)),),
        pending=record.pending,
        attention_at=now + MINUTE,
    )
    assert decision.recorded == tuple(record.pending)
    (event,) = record.pending.values()
    assert (event.type, event.review, event.payment) == ("payment.review", "never_captured", A)
    assert (event.version, event.at) == (record.version, iso(now))


def test_a_payment_first_heard_of_at_the_last_age_is_reviewed_in_the_same_change() -> None:
    decision = settle(opened(), [Authorized(payment=A)], OPENED + LAST)
    record = decision.record
    assert record.version == 2
    assert [entry.what for entry in record.history] == ["created", f"authorized {A}"]
    assert decision.recorded == tuple(record.pending)
    assert [event.version for event in record.pending.values()] == [2]


def test_a_failure_and_a_review_of_one_change_are_both_recorded() -> None:
    decision = settle(with_facts(Signed(payment=A)), [Authorized(payment=B), captured(B, PART)], OPENED + LAST)
    assert decision.recorded == tuple(decision.record.pending)
    assert [review.reason for review in decision.record.reviews] == ["amount_mismatch", "never_captured"]


def test_the_reason_of_a_review_is_part_of_its_events_id() -> None:
    record = settle(opened(), [Authorized(payment=A), captured(B, PART)], OPENED + LAST).record
    assert set(record.pending) == {
        event_id(ORDER_ID, "payment.review", A, "never_captured"),
        event_id(ORDER_ID, "payment.review", B, "amount_mismatch"),
    }


def test_a_payment_never_captured_is_reviewed_only_once() -> None:
    first = settle(with_facts(Authorized(payment=A)), [Authorized(payment=A)], OPENED + LAST).record
    again = settle(first, [Authorized(payment=A)], OPENED + LAST + MINUTE)
    assert again.record.reviews == first.reviews
    assert again.record.version == first.version
    assert again.recorded == ()


def test_another_review_does_not_stand_for_the_one_of_a_payment_never_captured() -> None:
    before = with_facts(Authorized(payment=A), captured(B, PART))
    after = settle(before, [], OPENED + LAST).record
    assert [review.reason for review in after.reviews] == ["amount_mismatch", "never_captured"]


@pytest.mark.parametrize(
    "facts",
    [(captured(A),), (captured(A), refunded(A, REFUND_1)), (Failed(payment=A),), ()],
    ids=["paid", "refunded", "failed", "created"],
)
def test_what_is_captured_or_dead_at_the_last_age_asks_for_no_review(facts: tuple[Fact, ...]) -> None:
    decision = settle(with_facts(*facts), facts, OPENED + LAST)
    assert decision.record.reviews == ()
    assert decision.record.attention_at is None


def test_before_the_last_age_a_payment_not_captured_asks_for_no_review() -> None:
    assert settle(with_facts(Authorized(payment=A)), [], OPENED + LAST - 1).record.reviews == ()


def test_listed_attempts_over_the_limit_are_counted_and_the_others_of_the_list_still_kept() -> None:
    full = tell([tuple(Failed(payment=f"pay_{number:014d}") for number in range(100))]).record
    over = [Failed(payment=f"pay_{number:014d}") for number in (100, 101)]
    decision = settle(full, [*over, captured(A)], OPENED + HOUR)
    assert decision.dropped_attempts == 2
    assert decision.record.status is Status.PAID


# --- an unknown order that turns out to be ours ---------------------------------------------------------------------

KNOWN_SINCE = OPENED + MINUTE
FOUND = OPENED + 3 * MINUTE


def unknown(*facts: Fact) -> Record:
    return decide(unknown_record(ORDER_ID, KNOWN_SINCE), facts, KNOWN_SINCE).record


def test_an_order_found_to_be_ours_becomes_what_its_facts_make_of_it_and_is_due_at_once() -> None:
    before = unknown(captured(A))
    decision = adopt(before, ORDER, OPENED, FOUND)

    record = decision.record
    assert record == Record(
        order_id=ORDER_ID,
        order=ORDER,
        status=Status.PAID,
        confirmed=True,
        version=before.version + 1,
        created_at=iso(OPENED),
        updated_at=iso(FOUND),
        attempts=before.attempts,
        history=(*before.history, HistoryEntry(at=iso(FOUND), what="found to be ours", status=Status.PAID)),
        pending=record.pending,
        attention_at=FOUND,
    )
    assert record.confirmed is True
    assert decision.changed is True
    assert decision.recorded == tuple(record.pending)
    (event,) = record.pending.values()
    assert (event.type, event.version, event.at, event.status) == (
        "payment.paid",
        record.version,
        iso(FOUND),
        Status.PAID,
    )


@pytest.mark.parametrize(
    ("facts", "status", "types"),
    [
        ((), Status.CREATED, []),
        ((Authorized(payment=A),), Status.AUTHORIZED, []),
        ((captured(A), refunded(A, REFUND_1)), Status.REFUNDED, ["payment.refunded"]),
    ],
)
def test_an_order_found_to_be_ours_is_due_at_once_whatever_its_status(
    facts: tuple[Fact, ...], status: Status, types: list[str]
) -> None:
    record = adopt(unknown(*facts), ORDER, OPENED, FOUND).record
    assert (record.status, record.attention_at) == (status, FOUND)
    assert record.confirmed is (status is Status.REFUNDED)
    assert [event.type for event in record.pending.values()] == types


def test_a_failure_of_an_order_found_to_be_ours_is_announced_once() -> None:
    record = adopt(unknown(Failed(payment=A)), ORDER, OPENED, FOUND).record
    assert [event.type for event in record.pending.values()] == ["payment.failed"]
    assert record.attempts[A].announced


def test_a_wrong_sum_of_an_order_found_to_be_ours_is_reviewed() -> None:
    record = adopt(unknown(captured(A, AMOUNT + 1)), ORDER, OPENED, FOUND).record
    assert record.status is Status.CREATED
    assert record.reviews == (Review(reason="amount_mismatch", subject=A, at=iso(FOUND)),)
