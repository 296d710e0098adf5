"""Derive what a change to a record announces: its events, and the reviews it opens and closes."""

from collections.abc import Mapping
from copy import replace
from typing import Final, Literal

from payments.core.disputes import differs
from payments.core.events import event_id
from payments.core.facts import MAX_REFUNDS, Merge
from payments.core.instants import iso
from payments.core.model import (
    Attempt,
    DisputeState,
    EventType,
    Later,
    PendingEvent,
    Reason,
    Record,
    RefundState,
    Resolution,
    Review,
    Status,
)
from payments.core.position import Position

MAX_REVIEWS = 100
"""How many reviews a record keeps: more than anyone reads about one order."""

# Older failures are not announced: the customer saw them long ago and may have paid elsewhere.
_NEWS_OF_FAILURE_S = 60 * 60
_REVIEWS_OF_CAPTURES: Final = frozenset(
    {"amount_mismatch", "currency_mismatch", "superseded_order", "duplicate_capture"}
)


class Recorder:
    """Collect the events and reviews of one change, and mark what must be announced only once."""

    def __init__(self, record: Record, now: int) -> None:
        self._record, self._position = record, Position.of(record)
        self.now = now
        self.imported = record.imported
        self.attempts = dict(record.attempts)
        self.events: dict[str, PendingEvent] = {}
        self.reviews: list[Review] = list(record.reviews)

    def record(
        self, event_type: EventType, payment: str, *, refund: str | None = None, subject: str | None = None
    ) -> None:
        """Record an event about a payment or a refund, or about `subject` if that is something else."""
        self._add(event_type, subject or refund or payment, payment, refund=refund)

    def fail(self, payment: str) -> None:
        """Record that a payment failed, once per payment."""
        attempt = self.attempts[payment]
        if not attempt.announced:
            self.attempts[payment] = replace(attempt, announced=True)
            self._add("payment.failed", payment, payment)

    def dispute(self, dispute: str) -> None:
        """Record that a dispute changed, once per phase and state.

        Before its decision, a dispute goes back and forth between two states, so the time of the report distinguishes
        those. It is Razorpay's, so it is the same however often the report arrives.
        """
        known = self._record.disputes[dispute]
        moves = known.state in {DisputeState.UNDER_REVIEW, DisputeState.ACTION_REQUIRED}
        parts = [known.phase or "", known.state.value, str(known.at) if moves else "", str(known.deducted_minor)]
        self._add("payment.dispute_changed", dispute, known.payment_id, dispute=dispute, facet=",".join(parts))

    def expire(self) -> None:
        """Record that the order expired, once."""
        self._add("payment.expired", self._record.order_id, None)

    def review(self, reason: Reason, payment: str | None, *, subject: str | None = None) -> None:
        """Open a review, once per reason and subject."""
        about = subject or payment or self._record.order_id
        if any((known.reason, known.subject) == (reason, about) for known in self.reviews):
            return
        if len(self.reviews) >= MAX_REVIEWS:
            return
        self.reviews.append(Review(reason=reason, subject=about, at=iso(self.now)))
        self._add(
            "payment.review",
            about,
            payment,
            refund=_refund(self._record, about),
            dispute=_dispute(self._record, about),
            review=(reason, "open"),
        )

    def resolve(self, place: int, resolution: Resolution) -> None:
        """Close a review."""
        review = self.reviews[place]
        self.reviews[place] = replace(review, resolved_at=iso(self.now), resolution=resolution)
        refund = _refund(self._record, review.subject)
        intent = self._record.refund_intents.get(review.subject)
        dispute = _dispute(self._record, review.subject)
        payment = review.subject
        if refund is not None:
            payment = self._record.refunds[refund].payment_id
        elif dispute is not None:
            payment = self._record.disputes[dispute].payment_id
        elif intent is not None:
            payment = intent.payment_id
        self._add(
            "payment.review",
            review.subject,
            payment if payment in self._record.attempts else None,
            refund=refund,
            dispute=dispute,
            review=(review.reason, "resolved"),
        )

    def _add(  # noqa: PLR0913 - what the event is about, by kind
        self,
        event_type: EventType,
        subject: str,
        payment: str | None,
        *,
        refund: str | None = None,
        dispute: str | None = None,
        facet: str | None = None,
        review: tuple[Reason | Later, Literal["open", "resolved"]] | None = None,
    ) -> None:
        record = self._record
        attempt = record.attempts.get(payment, Attempt()) if payment else Attempt()
        failed = event_type == "payment.failed"
        parts = (facet,) if facet is not None else review or ()
        self.events[event_id(record.order_id, event_type, subject, *parts)] = PendingEvent(
            type=event_type,
            version=record.version,
            at=record.updated_at,
            status=record.status,
            refunded_minor=self._position.amount_refunded,
            payment=payment,
            method=attempt.method,
            refund=refund,
            refund_minor=record.refunds[refund].amount_minor if refund else None,
            code=attempt.code if failed else None,
            failure_reason=attempt.reason if failed else None,
            review=review[0] if review else None,
            review_state=review[1] if review else None,
            disputed_minor=self._position.amount_disputed,
            dispute=dispute,
            dispute_then=record.disputes[dispute] if dispute else None,
        )


def _refund(record: Record, subject: str) -> str | None:
    return subject if subject in record.refunds else None


def _dispute(record: Record, subject: str) -> str | None:
    return subject if subject in record.disputes else None


def announce(recorder: Recorder, record: Record, before: Position, after: Position, merge: Merge) -> None:
    """Record the events of a change, and open and close its reviews.

    Args:
        recorder: collects them, for the record as it is after the change.
        record: the record before the change.
        before: the position before the change.
        after: the position after the change.
        merge: the facts that were merged in.
    """
    status = after.status()
    if after.standing is not None and record.stood is None:
        recorder.record("payment.paid", after.standing, subject=record.order_id)
    _record_refunds(recorder, record, before, after, status)
    for refund in sorted(_failed_refunds(after) - _failed_refunds(before)):
        recorder.record("payment.refund_failed", after.refunds[refund].payment_id, refund=refund)
    for dispute in sorted(after.disputes):
        if differs(before.disputes.get(dispute), after.disputes[dispute]):
            recorder.dispute(dispute)
    if status is Status.FAILED and not after.superseded:
        for payment, attempt in sorted(after.attempts.items()):
            if attempt.failed_at is not None and recorder.now - attempt.failed_at < _NEWS_OF_FAILURE_S:
                recorder.fail(payment)
    _open_reviews(recorder, before, after, merge)
    _open_reviews_of_disputes(recorder, after, merge)
    _close_reviews(recorder, after, merge)
    recorder.events = {key: event for key, event in recorder.events.items() if not _is_old(event, recorder, merge)}


def _is_old(event: PendingEvent, recorder: Recorder, merge: Merge) -> bool:
    """Return whether an event is about what the service that this one replaced knew as paid or refunded.

    Other services acted on that long ago. What happened after the export is announced like anything else.
    """
    imported = recorder.imported
    if imported is None or not imported.was_paid:
        return False
    if event.type == "payment.paid":
        return True
    if event.refund is not None:
        return event.refund in merge.refunded_before
    if event.type == "payment.failed" or (event.review in _REVIEWS_OF_CAPTURES and event.review_state == "open"):
        created_at = recorder.attempts[event.payment].created_at if event.payment is not None else None
        return created_at is not None and created_at <= imported.at
    return False


def _record_refunds(recorder: Recorder, record: Record, before: Position, after: Position, status: Status) -> None:
    news = sorted(_effective_refunds(after) - _effective_refunds(before))
    # A further refund of a payment that is already returned changes its total and nothing else.
    news = [key for key in news if not _was_returned(before, after.refunds[key].payment_id)]
    of_standing = [key for key in news if after.refunds[key].payment_id == after.stood]
    for refund in news:
        if refund not in of_standing:
            recorder.record("payment.surplus_refunded", after.refunds[refund].payment_id, refund=refund)
    if status is not Status.REFUNDED:
        for refund in of_standing:
            recorder.record("payment.partially_refunded", after.refunds[refund].payment_id, refund=refund)
    elif record.status is not Status.REFUNDED and after.stood is not None:
        # The refund may be known already: a fee reported later can show that its payment had matched all along. But
        # what a lost dispute completes is not announced as a refund.
        known = [] if _deductions(after) != _deductions(before) else sorted(_processed_refunds(after, after.stood))
        for last in (of_standing or known)[-1:]:
            recorder.record("payment.refunded", after.stood, refund=last)


def _processed_refunds(position: Position, payment: str) -> list[str]:
    return [
        key
        for key, refund in position.refunds.items()
        if refund.payment_id == payment and refund.state is RefundState.PROCESSED
    ]


def _deductions(position: Position) -> dict[str, int]:
    return {key: dispute.deducted_minor for key, dispute in position.disputes.items() if dispute.deducted_minor}


def _effective_refunds(position: Position) -> set[str]:
    """Return the refunds that moved money: processed, of a captured payment."""
    return _refunds_of_captures(position, RefundState.PROCESSED)


def _failed_refunds(position: Position) -> set[str]:
    """Return the refunds of captured payments that Razorpay gave up, so that the money stayed."""
    return _refunds_of_captures(position, RefundState.FAILED)


def _refunds_of_captures(position: Position, state: RefundState) -> set[str]:
    return {
        key
        for key, refund in position.refunds.items()
        if refund.state is state
        and (attempt := position.attempts.get(refund.payment_id)) is not None
        and attempt.captured
    }


def _was_returned(position: Position, payment: str) -> bool:
    return payment in position.attempts and position.attempts[payment].captured and position.returned(payment)


def _open_reviews_of_disputes(recorder: Recorder, after: Position, merge: Merge) -> None:
    for dispute in sorted(after.losses()):
        recorder.review("dispute_lost", after.disputes[dispute].payment_id, subject=dispute)
    if merge.dropped_dispute is not None:
        recorder.review("too_many_disputes", merge.dropped_dispute)


def _open_reviews(recorder: Recorder, before: Position, after: Position, merge: Merge) -> None:
    for payment in sorted(after.surplus):
        recorder.review(_why_surplus(after, payment), payment)
    for payment in sorted(after.over_refunded() - before.over_refunded()):
        back = _processed_refunds(after, payment) or [
            key for key in _deductions(after) if after.disputes[key].payment_id == payment
        ]
        recorder.review("over_refunded", payment, subject=max(back))
    for refund in sorted(merge.reversed):
        recorder.review("refund_reversed", after.refunds[refund].payment_id, subject=refund)
    for payment in sorted(merge.differing):
        if merge.outlasts_lag(payment) or len(after.refunds) >= MAX_REFUNDS:
            recorder.review("refund_total_differs", payment)
    for payment in sorted(_lapsed(after) - _lapsed(before)):
        if not after.returned(payment):
            recorder.review("never_captured", payment)
    if merge.overflows is not None:
        recorder.review("too_many_attempts", None, subject=merge.overflows)


def _why_surplus(position: Position, payment: str) -> Reason:
    """Return why the money held is not as agreed."""
    wrong = position.mismatch(payment)
    if wrong is not None:
        return wrong
    if position.is_late(payment):
        return "expired_order"
    return "superseded_order" if position.superseded else "duplicate_capture"


def _lapsed(position: Position) -> set[str]:
    return {payment for payment, attempt in position.attempts.items() if attempt.lapsed}


def _close_reviews(recorder: Recorder, after: Position, merge: Merge) -> None:
    for place, review in enumerate(recorder.reviews):
        if review.is_open and (resolution := _resolution(review, after, merge)) is not None:
            recorder.resolve(place, resolution)


def _resolution(review: Review, after: Position, merge: Merge) -> Resolution | None:
    """Return the resolution that closes a review automatically, or None while a person must still decide."""
    match review.reason:
        case "duplicate_capture":
            return None if any(map(after.matches, after.surplus)) else "returned"
        case "refund_total_differs":
            return "agreed" if review.subject in merge.agreed else None
        case "refund_in_doubt":
            intent = merge.intents.get(review.subject)
            return None if intent is None or intent.is_open else "known"
        case "dispute_lost":
            dispute = after.disputes.get(review.subject)
            return "released" if dispute is not None and dispute.released else None
        case "amount_mismatch" | "currency_mismatch" | "superseded_order" | "expired_order" | "never_captured":
            ends = _ends(review, after)
            return next((resolution for resolution, holds in ends.items() if holds), None)
        case _:
            return None


def _ends(review: Review, after: Position) -> Mapping[Resolution, bool]:
    """Return everything that could close a review of a payment, and whether it has happened."""
    attempt, returned = after.attempts[review.subject], after.returned(review.subject)
    if review.reason == "never_captured":
        return {"captured": attempt.captured, "returned": returned, "released": attempt.released}
    match review.reason:
        case "superseded_order":
            matched = False
        case "expired_order":
            # When it was made became known only later.
            matched = not after.is_late(review.subject)
        case _:
            matched = after.matches(review.subject)
    return {"accepted": attempt.accepted, "returned": returned, "matched": matched}
