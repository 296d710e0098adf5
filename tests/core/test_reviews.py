"""Each review is told when it is opened and when it is over: about what, of which payment, and how it ended (design,
sections 3 and 5)."""

from copy import replace

import pytest

from payments.core.announcements import MAX_REVIEWS
from payments.core.events import event_id
from payments.core.model import Accepted, Fact, NeverCaptured, Record, RefundState, Released, Review
from payments.core.transitions import close_review, decide
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
    assert decision.record.history[-1].what == "review too_many_orders released"
    assert not close_review(decision.record, "too_many_orders", "released", OPENED + 91).changed
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
    # The last one still ends, and the one that was never opened stays away.
    last = story.record.reviews[-1].subject
    ended = decide(story.record, [refunded(last, REFUND_1, PART)], story.now + 1)
    assert ended.record.reviews[-1].resolution == "returned"
    assert len(ended.record.reviews) == MAX_REVIEWS
