"""Razorpay's own sum of a payment's refunds is evidence (design, section 3): it must lie between the known processed
refunds and those plus the pending ones. Otherwise the refunds are read, and a lasting difference opens a review."""

from copy import replace

import pytest

from payments.core.facts import MAX_REFUNDS
from payments.core.instants import iso
from payments.core.model import Fact, RefundState
from payments.core.position import Position
from payments.core.transitions import decide
from tests.core.story import (
    OPENED,
    PART,
    REFUND_1,
    REFUND_2,
    A,
    B,
    Story,
    captured,
    opened,
    refunded,
    tell,
    total,
)

HOUR = 60 * 60


def events_of_reviews(story: Story) -> list[tuple[str | None, str | None, str | None]]:
    pending = story.record.pending.values()
    return [(event.review, event.review_state, event.payment) for event in pending if event.review]


def last_entry(story: Story) -> str:
    return story.record.history[-1].what


def later(story: Story, seconds: int) -> Story:
    """The same story, at a time after its last change."""
    story.now = max(story.now, OPENED) + seconds
    return story


@pytest.fixture
def differing() -> Story:
    """A payment for which Razorpay reports more refunded than we know of."""
    return tell([(captured(A),), (total(A, PART),)])


def test_a_total_of_a_payment_that_nobody_has_heard_of_says_nothing() -> None:
    assert not Story().deliver(total(A, PART)).changed


def test_what_razorpay_says_is_kept_and_told_in_the_history(differing: Story) -> None:
    assert last_entry(differing) == f"refunds differ {A}"
    attempt = differing.record.attempts[A]
    assert (attempt.total_minor, attempt.refunds_unread) == (PART, True)


def test_a_total_that_agrees_is_no_news_and_one_that_never_changed_either(differing: Story) -> None:
    assert not differing.deliver(total(A, PART)).changed
    assert not tell([(captured(A),)]).deliver(total(A, 0)).changed


def test_a_total_that_was_seen_before_does_not_ask_for_the_refunds_again(differing: Story) -> None:
    differing.deliver(refunded(A, REFUND_1, PART), total(A, PART, complete=True))
    assert last_entry(differing).endswith(f"refunds agree {A}")
    # A late webhook reports an earlier state.
    for old in (PART - 1, 0):
        assert not differing.deliver(total(A, old)).changed
    differing.deliver(total(A, PART + 1))
    assert differing.record.attempts[A].refunds_unread


def test_a_total_is_weighed_against_the_refunds_that_came_with_it() -> None:
    story = tell([(captured(A), refunded(A, REFUND_1, PART), total(A, PART))])
    assert not story.record.attempts[A].refunds_unread
    assert story.record.attempts[A].total_minor == PART


def test_a_total_below_what_was_processed_differs_too() -> None:
    story = tell([(captured(A), refunded(A, REFUND_1, PART))])
    story.deliver(total(A, PART - 1))
    assert (story.record.attempts[A].refunds_unread, last_entry(story)) == (True, f"refunds differ {A}")
    story.deliver(total(A, PART, complete=True))
    attempt = story.record.attempts[A]
    assert (attempt.refunds_unread, attempt.total_minor) == (False, PART)


@pytest.mark.parametrize(("waits", "reviews"), [(HOUR - 10, []), (HOUR - 1, ["refund_total_differs"])])
def test_a_difference_that_outlasts_the_lag_of_the_lists_is_for_a_person(waits: int, reviews: list[str]) -> None:
    story = tell([(captured(A),), (total(A, PART),)])
    # The delivery arrives a second later.
    later(story, waits).deliver(total(A, PART, complete=True))
    assert story.reviews() == reviews
    if reviews:
        assert events_of_reviews(story) == [("refund_total_differs", "open", A)]
        assert last_entry(story) == f"refund total differs {A}"


def test_it_is_told_once_while_it_lasts_and_resolved_when_the_sums_agree(differing: Story) -> None:
    later(differing, HOUR).deliver(total(A, PART, complete=True))
    assert not later(differing, HOUR).deliver(total(A, PART, complete=True)).changed
    later(differing, HOUR).deliver(refunded(A, REFUND_1, PART), total(A, PART, complete=True))
    assert differing.reviews() == ["refund_total_differs agreed"]
    assert events_of_reviews(differing)[1:] == [("refund_total_differs", "resolved", A)]
    assert last_entry(differing) == f"refund processed {REFUND_1}, refunds agree {A}, refund total agrees {A}"
    assert not Position.of(differing.record).unresolved


def test_a_resolved_difference_is_not_resolved_again(differing: Story) -> None:
    later(differing, HOUR).deliver(total(A, PART, complete=True))
    later(differing, HOUR).deliver(refunded(A, REFUND_1, PART), total(A, PART, complete=True))
    assert not later(differing, HOUR).deliver(total(A, PART, complete=True)).changed


def test_only_a_difference_that_was_known_before_has_lasted() -> None:
    """The first check of an old record may read a list that lags."""
    story = later(tell([(captured(A),)]), 30 * 24 * HOUR)
    story.deliver(total(A, PART, complete=True))
    assert (story.reviews(), story.record.attempts[A].refunds_unread) == ([], True)


def test_a_difference_of_one_payment_is_not_another_ones() -> None:
    story = tell([(captured(A), captured(B)), (total(A, PART), total(B, PART))])
    later(story, HOUR).deliver(
        total(A, PART, complete=True), refunded(B, REFUND_2, PART), total(B, PART, complete=True)
    )
    open_ones = [review.subject for review in story.record.reviews if review.reason == "refund_total_differs"]
    assert open_ones == [A]
    assert not story.record.attempts[B].refunds_unread


def crowded() -> Story:
    """A record with the maximum number of refunds of payment A."""
    full = {f"rfnd_{n:014d}": refunded(A, f"rfnd_{n:014d}", 1) for n in range(MAX_REFUNDS - 1)}
    story = tell([(captured(A),)])
    for start in range(0, len(full), 50):
        story.deliver(*list(full.values())[start : start + 50])
    story.deliver(refunded(A, REFUND_1, 1))
    assert len(story.record.refunds) == MAX_REFUNDS
    return story


def test_one_refund_too_many_is_not_kept_and_told_once() -> None:
    story = crowded()
    too_many: Fact = refunded(A, REFUND_2, 1)
    # Not checked by the story, which would miss the refund: it is dropped on purpose.
    decision = decide(story.record, [too_many], story.now + 1)
    assert REFUND_2 not in decision.record.refunds
    assert [(r.reason, r.subject) for r in decision.record.reviews if r.is_open] == [("refund_total_differs", A)]
    assert not decide(decision.record, [too_many], story.now + 2).changed
    known: Fact = refunded(A, REFUND_1, 1)
    assert not decide(decision.record, [known], story.now + 3).changed


def test_a_difference_counts_from_the_last_change_of_the_record() -> None:
    story = tell([(captured(A),), (total(A, PART),)])
    story.record = replace(story.record, updated_at=iso(story.now + HOUR))
    later(story, HOUR).deliver(total(A, PART, complete=True))
    assert story.reviews() == []


def test_a_refund_under_way_makes_room_for_the_total_and_keeps_the_record_due() -> None:
    story = tell([(captured(A), refunded(A, REFUND_1, PART, RefundState.CREATED)), (total(A, PART),)])
    assert not story.record.attempts[A].refunds_unread
    assert Position.of(story.record).unresolved
    assert Position.of(opened()).unresolved is False


def test_a_total_that_was_read_and_found_right_does_not_ask_again_when_it_comes_late() -> None:
    story = tell([(captured(A),), (total(A, PART),), (refunded(A, REFUND_1, PART), total(A, PART, complete=True))])
    # A webhook reports the next refund, and a late one the previous sum.
    story.deliver(refunded(A, REFUND_2, PART))
    assert not story.deliver(total(A, PART)).changed


# --- a refund's progress --------------------------------------------------------------------------------------------


def test_a_refund_that_failed_and_was_processed_after_all_is_not_taken_for_one_that_was_taken_back() -> None:
    story = tell([(captured(A),), (refunded(A, REFUND_1, PART, RefundState.FAILED),), (refunded(A, REFUND_1, PART),)])
    assert story.record.refunds[REFUND_1].state is RefundState.PROCESSED
    # The failure is delivered again: Razorpay sends every event at least once.
    assert not story.deliver(refunded(A, REFUND_1, PART, RefundState.FAILED)).changed
    assert story.reviews() == []


def test_a_refund_that_was_created_and_processed_and_fails_then_was_taken_back() -> None:
    created = refunded(A, REFUND_1, PART, RefundState.CREATED)
    story = tell([(captured(A), created), (refunded(A, REFUND_1, PART),)])
    story.deliver(refunded(A, REFUND_1, PART, RefundState.FAILED))
    assert story.reviews() == ["refund_reversed"]
    assert story.record.history[-1].what == f"refund failed {REFUND_1}"
    assert not story.deliver(refunded(A, REFUND_1, PART, RefundState.FAILED)).changed
