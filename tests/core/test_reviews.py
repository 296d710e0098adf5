"""Each review is published when it opens and when it closes: reason, payment, outcome (design, sections 3 and 5)."""

from copy import replace

import pytest

from payments.core.announcements import MAX_REVIEWS
from payments.core.events import event_id
from payments.core.model import (
    Accepted,
    Authorized,
    Fact,
    NeverCaptured,
    Record,
    RefundState,
    Released,
    Review,
    Status,
)
from payments.core.position import Position
from payments.core.transitions import ask_for_review, close_review, decide
from tests.core.story import (
    AMOUNT,
    OPENED,
    ORDER_ID,
    PART,
    REFUND_1,
    REFUND_2,
    A,
    B,
    Delivery,
    Story,
    captured,
    failed,
    opened,
    refunded,
    signed,
    superseded,
    tell,
)

ALL_BACK = refunded(A, REFUND_1)
LESS = captured(A, AMOUNT - 1)


def told(story: Story) -> list[tuple[str, str, str | None, str | None]]:
    """The events about reviews: reason, state, payment and refund."""
    return [
        (event.review, event.review_state or "", event.payment, event.refund)
        for event in story.record.pending.values()
        if event.review
    ]


@pytest.mark.parametrize(
    ("deliveries", "record", "ends"),
    [
        ([(LESS,), (refunded(A, REFUND_1, AMOUNT - 1),)], opened(), "amount_mismatch returned"),
        ([(LESS,), (Accepted(payment=A),)], opened(), "amount_mismatch accepted"),
        ([(captured(A, AMOUNT + 9),), (captured(A, AMOUNT + 9, fee_minor=9),)], opened(), "amount_mismatch matched"),
        ([(captured(A, currency="USD"),), (ALL_BACK,)], opened(), "currency_mismatch returned"),
        ([(captured(A, currency="USD"),), (Accepted(payment=A),)], opened(), "currency_mismatch accepted"),
        ([(captured(A),), (ALL_BACK,)], superseded(), "superseded_order returned"),
        ([(captured(A),), (Accepted(payment=A),)], superseded(), "superseded_order accepted"),
        ([(signed(A),), (NeverCaptured(payment=A),), (captured(A),)], opened(), "never_captured captured"),
        ([(signed(A),), (NeverCaptured(payment=A),), (ALL_BACK,)], opened(), "never_captured returned"),
        ([(signed(A),), (NeverCaptured(payment=A),), (Released(payment=A),)], opened(), "never_captured released"),
    ],
)
def test_a_review_of_a_payment_is_over_for_this_reason_and_told_so(
    deliveries: list[Delivery], record: Record, ends: str
) -> None:
    story = tell(deliveries[:-1], record)
    reason, how = ends.split(" ")
    assert told(story) == [(reason, "open", A, None)]
    version = story.record.version
    story.deliver(*deliveries[-1])
    assert story.reviews() == [ends]
    assert told(story) == [(reason, "open", A, None), (reason, "resolved", A, None)]
    closing = next(event for event in story.record.pending.values() if event.review_state == "resolved")
    assert (closing.version, closing.at) == (version + 1, story.record.updated_at)
    assert [review.resolved_at for review in story.record.reviews] == [story.record.updated_at]
    assert how == story.record.reviews[0].resolution


def test_a_mismatch_that_is_returned_in_part_goes_on() -> None:
    story = tell([(LESS,), (refunded(A, REFUND_1, PART),)])
    assert story.reviews() == ["amount_mismatch"]


def test_a_match_on_a_superseded_order_does_not_end_its_review() -> None:
    story = tell([(captured(A, AMOUNT + 9),)], superseded())
    assert story.reviews() == ["amount_mismatch"]
    story.deliver(captured(A, AMOUNT + 9, fee_minor=9))
    assert story.reviews() == ["amount_mismatch matched", "superseded_order"]


def test_a_duplicate_is_over_when_one_of_both_is_returned_whichever_it_is() -> None:
    for returned in (A, B):
        story = tell([(captured(A),), (captured(B),), (refunded(returned, REFUND_1),)])
        assert story.reviews() == ["duplicate_capture returned"]
        assert told(story) == [("duplicate_capture", "open", B, None), ("duplicate_capture", "resolved", B, None)]


def test_more_money_of_another_sum_does_not_keep_a_duplicate_open() -> None:
    story = tell([(captured(A),), (captured(B),), (captured("pay_TVCsKe6a4pkI5j", PART),)])
    story.deliver(refunded(B, REFUND_1))
    assert story.reviews() == ["duplicate_capture returned", "amount_mismatch"]


def test_a_payment_that_came_back_is_not_reviewed_as_never_captured() -> None:
    story = tell([(signed(A),), (ALL_BACK,), (NeverCaptured(payment=A),)])
    assert story.reviews() == []


def test_a_refund_that_is_taken_back_is_reviewed_by_its_own_id_and_names_its_payment() -> None:
    story = tell([(captured(A), refunded(A, REFUND_1, PART)), (refunded(A, REFUND_1, PART, RefundState.FAILED),)])
    assert told(story) == [("refund_reversed", "open", A, REFUND_1)]
    assert [(review.reason, review.subject) for review in story.record.reviews] == [("refund_reversed", REFUND_1)]


def test_too_much_paid_back_is_reviewed_by_the_last_refund() -> None:
    story = tell([(captured(A), ALL_BACK), (refunded(A, REFUND_2, 1),)])
    last = max(REFUND_1, REFUND_2)
    assert told(story) == [("over_refunded", "open", A, last)]


def test_a_review_of_the_order_names_no_payment_and_an_operator_ends_it() -> None:
    reviewed = replace(
        opened(), reviews=(Review(reason="too_many_orders", subject=ORDER_ID, at="2026-03-01T09:31:00Z"),)
    )
    decision = close_review(reviewed, "too_many_orders", "released", OPENED + 90)
    (review,) = decision.record.reviews
    assert (review.resolution, review.resolved_at) == ("released", "2026-03-01T09:31:30Z")
    ((identity, event),) = decision.record.pending.items()
    assert identity == event_id(ORDER_ID, "payment.review", ORDER_ID, "too_many_orders", "resolved")
    assert (event.review, event.review_state, event.payment, event.refund) == (
        "too_many_orders",
        "resolved",
        None,
        None,
    )
    assert (decision.changed, decision.record.version, decision.recorded) == (True, reviewed.version + 1, (identity,))
    last = decision.record.history[-1]
    assert (last.what, last.status, last.at) == (
        "review too_many_orders released",
        Status.CREATED,
        "2026-03-01T09:31:30Z",
    )
    assert decision.record.updated_at == "2026-03-01T09:31:30Z"
    again = close_review(decision.record, "too_many_orders", "released", OPENED + 91)
    assert (again.changed, again.record) == (False, decision.record)
    assert not close_review(opened(), "too_many_orders", "released", OPENED + 91).changed


def test_a_review_of_a_refund_that_an_operator_ends_names_the_refund_and_its_payment() -> None:
    story = tell([(captured(A), refunded(A, REFUND_1, PART)), (refunded(A, REFUND_1, PART, RefundState.FAILED),)])
    record = replace(story.record, pending={})
    ((_, event),) = close_review(record, "refund_reversed", "released", OPENED + 90).record.pending.items()
    assert (event.payment, event.refund, event.refund_minor) == (A, REFUND_1, PART)


def test_an_event_of_a_payment_has_its_method_and_one_of_the_order_has_none() -> None:
    story = tell([(captured(A, AMOUNT - 1, method="netbanking"),)])
    (event,) = story.record.pending.values()
    assert (event.method, event.code, event.failure_reason, event.refund_minor) == ("netbanking", None, None, None)


def test_a_hundred_reviews_are_kept_and_no_more() -> None:
    story = Story()
    facts: list[Fact] = [captured(f"pay_{n:014d}", PART) for n in range(MAX_REVIEWS + 1)]
    for start in range(0, len(facts), 50):
        story.deliver(*facts[start : start + 50])
    assert len(story.record.reviews) == MAX_REVIEWS == 100
    assert story.count("payment.review") == MAX_REVIEWS
    # The last one still closes, and the one that was never opened sends no event.
    last = story.record.reviews[-1].subject
    ended = decide(story.record, [refunded(last, REFUND_1, PART)], story.now + 1)
    assert ended.record.reviews[-1].resolution == "returned"
    assert len(ended.record.reviews) == MAX_REVIEWS


def test_a_review_says_when_it_was_opened() -> None:
    story = tell([(LESS,)])
    (review,) = story.record.reviews
    assert (review.at, review.resolved_at, review.is_open) == (story.record.updated_at, None, True)
    later = tell([(captured(B), LESS)]).record.reviews
    assert [opened_then.at for opened_then in later] == [story.record.updated_at]


# --- refunds: what is published, and for which payment --------------------------------------------------------------


def told_refunds(story: Story) -> list[tuple[str, str | None, str | None, int | None]]:
    """The events about refunds: type, payment, refund and its sum."""
    return [
        (event.type.removeprefix("payment."), event.payment, event.refund, event.refund_minor)
        for event in story.record.pending.values()
        if event.type.endswith("refunded")
    ]


def test_what_comes_back_of_a_returned_payment_changes_its_sum_and_tells_nobody() -> None:
    """The customer bears the fee: once the agreed sum is refunded the payment is returned; the fee may follow."""
    story = tell([(captured(A, AMOUNT + 9, fee_minor=9),), (refunded(A, REFUND_1),)])
    assert told_refunds(story) == [("refunded", A, REFUND_1, AMOUNT)]
    story.deliver(refunded(A, REFUND_2, 9))
    assert told_refunds(story) == [("refunded", A, REFUND_1, AMOUNT)]
    assert (Position.of(story.record).amount_refunded, story.reviews()) == (AMOUNT + 9, [])


def test_what_comes_back_of_a_surplus_payment_that_is_returned_tells_nobody() -> None:
    story = tell([(captured(A),), (captured(B, AMOUNT + 9, fee_minor=9),), (refunded(B, REFUND_1),)])
    assert told_refunds(story) == [("surplus_refunded", B, REFUND_1, AMOUNT)]
    story.deliver(refunded(B, REFUND_2, 9))
    assert told_refunds(story) == [("surplus_refunded", B, REFUND_1, AMOUNT)]
    assert (story.status(), Position.of(story.record).amount_refunded) == (Status.PAID, 0)


def test_each_partial_refund_of_the_standing_payment_is_told_with_its_own_sum() -> None:
    story = tell([(captured(A),), (refunded(A, REFUND_1, 1), refunded(A, REFUND_2, 2))])
    assert sorted(told_refunds(story)) == [
        ("partially_refunded", A, REFUND_1, 1),
        ("partially_refunded", A, REFUND_2, 2),
    ]
    # Both were recorded with the same change, and report the sum after it.
    sums = {event.refunded_minor for event in story.record.pending.values() if event.refund}
    assert sums == {3}


def test_the_last_of_several_refunds_that_come_together_completes_the_payment() -> None:
    story = tell([(captured(A),), (refunded(A, REFUND_1, AMOUNT - PART), refunded(A, REFUND_2, PART))])
    last = max(REFUND_1, REFUND_2)
    assert told_refunds(story) == [("refunded", A, last, PART if last == REFUND_2 else AMOUNT - PART)]


def test_a_refund_that_completes_both_tells_each_of_its_own_payment() -> None:
    story = tell([(captured(A),), (captured(B),), (refunded(A, REFUND_1), refunded(B, REFUND_2))])
    assert sorted(told_refunds(story)) == [
        ("refunded", A, REFUND_1, AMOUNT),
        ("surplus_refunded", B, REFUND_2, AMOUNT),
    ]


def test_a_refund_that_was_old_news_is_told_when_a_fee_shows_that_its_payment_had_matched() -> None:
    more = AMOUNT + 9
    story = tell([(captured(A, more),), (refunded(A, REFUND_1, AMOUNT - 1),), (refunded(A, REFUND_2, 1),)])
    story.record = replace(story.record, pending={})
    story.deliver(captured(A, more, fee_minor=9))
    assert story.status() is Status.REFUNDED
    assert told_refunds(story) == [("refunded", A, max(REFUND_1, REFUND_2), 1 if REFUND_2 > REFUND_1 else AMOUNT - 1)]


def test_a_refund_that_may_yet_fail_and_one_of_a_payment_never_captured_are_not_told() -> None:
    story = tell([(captured(A),), (refunded(A, REFUND_1, PART, RefundState.CREATED),), (refunded(B, REFUND_2, PART),)])
    assert told_refunds(story) == []
    story.deliver(captured(B, PART))
    # Now it is a refund of a captured payment.
    assert told_refunds(story) == [("surplus_refunded", B, REFUND_2, PART)]


def test_the_refunds_of_the_next_standing_payment_are_told_as_its_own() -> None:
    story = tell([(captured(A),), (captured(B),), (refunded(A, REFUND_1),)])
    assert told_refunds(story) == [("surplus_refunded", A, REFUND_1, AMOUNT)]
    assert (story.record.stood, story.status()) == (B, Status.PAID)
    story.deliver(refunded(B, REFUND_2, PART))
    assert told_refunds(story)[1:] == [("partially_refunded", B, REFUND_2, PART)]
    assert Position.of(story.record).amount_refunded == PART


# --- failures -------------------------------------------------------------------------------------------------------


def test_each_fresh_failure_is_told_by_its_own_payment_once_nothing_is_alive() -> None:
    story = tell([(Authorized(payment=A),), (failed(B),), (refunded(A, REFUND_1),)])
    failures = [event for event in story.record.pending.values() if event.type == "payment.failed"]
    assert [(event.payment, event.status) for event in failures] == [(B, Status.FAILED)]
    assert (story.record.attempts[B].announced, story.record.attempts[A].announced) == (True, False)
    story.deliver(failed("pay_TVCsKe6a4pkI5j"))
    told_of = [event.payment for event in story.record.pending.values() if event.type == "payment.failed"]
    assert told_of == [B, "pay_TVCsKe6a4pkI5j"]


def test_a_failure_without_a_time_is_not_told() -> None:
    assert not tell([(failed(A, at=None),)]).events


# --- reviews of an order as a whole ---------------------------------------------------------------------------------


def test_a_person_is_asked_about_an_order_once() -> None:
    decision = ask_for_review(opened(), "too_many_orders", OPENED + 90)
    record = decision.record
    assert [(r.reason, r.subject, r.at) for r in record.reviews] == [
        ("too_many_orders", ORDER_ID, "2026-03-01T09:31:30Z")
    ]
    assert (record.version, record.updated_at, decision.changed) == (2, "2026-03-01T09:31:30Z", True)
    assert (record.history[-1].what, record.history[-1].status) == ("review too_many_orders", Status.CREATED)
    ((identity, event),) = record.pending.items()
    assert decision.recorded == (identity,)
    assert (event.type, event.review, event.review_state, event.payment) == (
        "payment.review",
        "too_many_orders",
        "open",
        None,
    )
    assert (event.version, event.at, event.status) == (2, record.updated_at, Status.CREATED)
    again = ask_for_review(record, "too_many_orders", OPENED + 91)
    assert (again.changed, again.record, again.recorded) == (False, record, ())
    assert again.changed is False


def test_what_was_pending_stays_so_when_a_person_is_asked_and_when_that_is_over() -> None:
    story = tell([(captured(A),)])
    before = dict(story.record.pending)
    asked = ask_for_review(story.record, "too_many_orders", OPENED + 90).record
    assert before.items() <= asked.pending.items()
    over = close_review(asked, "too_many_orders", "released", OPENED + 91).record
    assert asked.pending.items() <= over.pending.items()
    assert len(over.pending) == 3
    assert (over.lane, over.attention_at) == (story.record.lane, story.record.attention_at)


def test_closing_one_review_leaves_those_of_another_reason() -> None:
    story = tell([(LESS,)])
    asked = ask_for_review(story.record, "too_many_orders", OPENED + 90).record
    over = close_review(asked, "too_many_orders", "released", OPENED + 91).record
    assert [review.is_open for review in over.reviews] == [True, False]


def test_the_refund_that_completes_a_payment_is_the_one_that_came_last_whatever_its_id() -> None:
    first, second = max(REFUND_1, REFUND_2), min(REFUND_1, REFUND_2)
    story = tell([(captured(A),), (refunded(A, first, PART),), (refunded(A, second, AMOUNT - PART),)])
    assert told_refunds(story) == [("partially_refunded", A, first, PART), ("refunded", A, second, AMOUNT - PART)]
