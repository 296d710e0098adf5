"""Merge new facts into a record, and find those that are new, known already or contradictory.

Facts arrive in any order and more than once ("Best practices": at least once, unordered). So merging is idempotent
and does not depend on the order of arrival.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import replace
from itertools import batched
from typing import Final

from payments.core.disputes import MAX_DISPUTES, merged
from payments.core.instants import epoch
from payments.core.model import (
    Accepted,
    Attempt,
    Authorized,
    Captured,
    Dispute,
    Disputed,
    DisputeState,
    Fact,
    Failed,
    IntentState,
    Mandate,
    NeverCaptured,
    Record,
    Refund,
    Refunded,
    RefundState,
    RefundTotal,
    Released,
    Signed,
)
from payments.core.position import Policy, Position

MAX_ATTEMPTS = 100
"""How many payment attempts a record keeps. Beyond that only failures are dropped, never money or a valid signature."""
MAX_REFUNDS = 500
"""How many refunds a record keeps. Beyond that, Razorpay's total differs permanently and a review is opened."""
MAX_FACTS = 50
"""How many facts one decision takes, so that no write exceeds DynamoDB's limits ("Expression string length": 4 KB)."""

# The history shows the first facts of each decision.
_MAX_DESCRIBED = 5
# Razorpay's total runs minutes ahead of its list of refunds. Only a difference that lasts longer needs a person.
_TOTAL_LAG_S = 60 * 60


def batches(facts: Sequence[Fact]) -> Iterator[tuple[Fact, ...]]:
    """Split facts that arrived together into as many decisions as they need.

    Captures come first, each followed by its own refunds, ordered by creation, and then by its disputes. So a payment
    with more refunds than fit in one decision is paid before it is refunded, and no event reports a state that never
    existed.
    """
    yield from batched(sorted(facts, key=_order(facts)) if len(facts) > MAX_FACTS else facts, MAX_FACTS, strict=False)


def _order(facts: Iterable[Fact]) -> "_Key":
    captured: dict[str, int] = {}
    for fact in facts:
        if isinstance(fact, Captured):
            captured.setdefault(fact.payment, len(captured))
    nowhere = len(captured)

    def key(fact: Fact) -> tuple[int, int, int]:
        kind = 1 if isinstance(fact, Refunded) else 2 if isinstance(fact, RefundTotal | Disputed) else 0
        created_at = fact.created_at or 0 if isinstance(fact, Refunded) else 0
        return (captured.get(fact.payment, nowhere), kind, created_at)

    return key


type _Key = Callable[[Fact], tuple[int, int, int]]


class Merge:
    """All facts of a record with those that arrived merged in, and which of them are new."""

    def __init__(self, record: Record, now: int, policy: Policy) -> None:
        self._record = record
        self._now = now
        self._policy = policy
        self.version = record.version + 1
        self.attempts = dict(record.attempts)
        self.refunds = dict(record.refunds)
        self.intents = dict(record.refund_intents)
        self.disputes = dict(record.disputes)
        self.news: list[str] = []
        self.by: Mandate | None = None
        """Who decided it, if that is what is new."""
        self.dropped = 0
        self.refunded_before: set[str] = set()
        """Refunds that are new here, but that Razorpay made before the record was imported."""
        self.reversed: set[str] = set()
        """Refunds reported as failed after they were processed."""
        self.agreed: set[str] = set()
        """Payments whose refunds were read and agree with Razorpay's total."""
        self.differing: set[str] = set()
        """Payments whose refunds were read and still differ."""
        self._first_dropped: str | None = None
        self.dropped_dispute: str | None = None
        """The payment of a dispute over the limit, unless that was reported before."""

    @property
    def overflows(self) -> str | None:
        """Return the first attempt over the limit, or None if there is none or it was reported before."""
        reported = any(review.reason == "too_many_attempts" for review in self._record.reviews)
        return None if reported or self._record.order is None else self._first_dropped

    def add(self, fact: Fact) -> None:
        """Merge one fact."""
        known = self.attempts.get(fact.payment)
        if known is None and isinstance(fact, Failed) and len(self.attempts) >= MAX_ATTEMPTS:
            self.dropped += 1
            self._first_dropped = self._first_dropped or fact.payment
            return
        if isinstance(fact, RefundTotal):
            self._weigh(fact)
            return
        if known is None and isinstance(fact, NeverCaptured | Accepted | Released):
            # About a payment that the record does not have, so there is nothing to add it to.
            return
        grown = self._judged(self._grown(known or Attempt(), fact))
        is_news = known is None or _without_details(grown) != _without_details(known) or self._tells_when(known, grown)
        if isinstance(fact, Refunded):
            is_news = self._grow_refund(fact) or (is_news and known is None)
            is_news = self._end_intent(fact) or is_news
            grown = self._totalled(grown, fact)
        if isinstance(fact, Disputed):
            is_news = self._grow_dispute(fact)
            if fact.dispute not in self.disputes:
                return
        if isinstance(fact, Released):
            is_news = self._release_losses(fact.payment) or is_news
        self.attempts[fact.payment] = grown
        if is_news:
            self.news.append(_described(fact))
            self.by = fact.by if isinstance(fact, Accepted | Released) else self.by

    def _tells_when(self, known: Attempt, grown: Attempt) -> bool:
        """Return whether it is news when the payment was made: only that decides whether an order expired before."""
        return self._record.expired_at is not None and known.created_at is None and grown.created_at is not None

    def judge_all(self) -> None:
        """Compare every capture with the order, which was unknown when they arrived."""
        self.attempts = {payment: self._judged(attempt) for payment, attempt in self.attempts.items()}

    def description(self) -> str:
        """Return the history's description of the change."""
        more = len(self.news) - _MAX_DESCRIBED
        said = ", ".join(self.news[:_MAX_DESCRIBED]) or "attempt over the limit"
        return f"{said} and {more} more" if more > 0 else said

    def new_disputes(self) -> tuple[str, ...]:
        """Return the disputes that are new or have changed."""
        return tuple(key for key, dispute in self.disputes.items() if self._record.disputes.get(key) != dispute)

    def new_refunds(self) -> tuple[str, ...]:
        """Return the refunds that are new or have progressed."""
        return tuple(key for key, refund in self.refunds.items() if self._record.refunds.get(key) != refund)

    def _grown(self, attempt: Attempt, fact: Fact) -> Attempt:
        match fact:
            case Signed() if attempt.signed_at is None:
                grown = replace(attempt, signed_at=fact.at)
            case Authorized():
                grown = replace(
                    attempt,
                    authorized=True,
                    method=attempt.method or fact.method,
                    created_at=_either(attempt.created_at, fact.created_at),
                )
            case Captured():
                grown = self._captured(attempt, fact)
            case Failed():
                grown = _failed(attempt, fact)
            case NeverCaptured() if not attempt.captured:
                grown = replace(attempt, lapsed=True)
            case Accepted() if attempt.captured:
                grown = replace(attempt, accepted=True)
            case Released() if not attempt.captured:
                grown = replace(attempt, released=True)
            case _:
                grown = attempt
        return grown

    def _captured(self, attempt: Attempt, fact: Captured) -> Attempt:
        updated = replace(
            attempt,
            captured=True,
            amount_minor=fact.amount_minor,
            currency=fact.currency,
            fee_minor=_either(attempt.fee_minor, fact.fee_minor),
            method=attempt.method or fact.method,
            created_at=_either(attempt.created_at, fact.created_at),
        )
        if not attempt.captured:
            return updated
        kept = replace(updated, amount_minor=attempt.amount_minor, currency=attempt.currency)
        # One payment is captured once. If two reports of it ever differ, the one that agrees with the order wins,
        # whichever came first, so that the order of deliveries does not matter.
        order = self._record.order
        improves = attempt.verdict is None and order is not None and self._policy.verdict(order, updated) is not None
        return updated if improves else kept

    def _judged(self, attempt: Attempt) -> Attempt:
        """Return the attempt with the verdict on its capture. A verdict only improves: a fee may be reported later."""
        order = self._record.order
        if order is None or not attempt.captured:
            return attempt
        verdict = attempt.verdict or self._policy.verdict(order, attempt)
        matches = verdict is not None or attempt.accepted
        matched_in = attempt.matched_in if attempt.matched_in is not None or not matches else self.version
        return replace(attempt, verdict=verdict, matched_in=matched_in)

    def _grow_refund(self, fact: Refunded) -> bool:
        """Merge the fact into the refunds. Return False if it is known already."""
        known = self.refunds.get(fact.refund)
        if known is None:
            if len(self.refunds) >= MAX_REFUNDS:
                return self._drop_refund(fact)
            self.refunds[fact.refund] = Refund(
                payment_id=fact.payment, amount_minor=fact.amount_minor, state=fact.state, intent=fact.intent
            )
            imported = self._record.imported
            if imported is not None and fact.created_at is not None and fact.created_at <= imported.at:
                self.refunded_before.add(fact.refund)
            return True
        if fact.state.rank > known.state.rank:
            failed_before = known.state is RefundState.FAILED
            self.refunds[fact.refund] = replace(known, state=fact.state, failed=failed_before)
            return True
        if fact.state is RefundState.FAILED and known.state is RefundState.PROCESSED and not known.failed:
            self.refunds[fact.refund] = replace(known, failed=True)
            self.reversed.add(fact.refund)
            return True
        return False

    def _totalled(self, attempt: Attempt, fact: Refunded) -> Attempt:
        """Return the attempt with at least the total that Razorpay must have had when it answered a request of ours.

        The answer has no total. Without one, the total in an older webhook would pass for news when it comes later.
        """
        if fact.intent is None:
            return attempt
        known = sum(
            refund.amount_minor
            for refund in self.refunds.values()
            if refund.payment_id == fact.payment and refund.state is not RefundState.FAILED
        )
        return replace(attempt, total_minor=max(attempt.total_minor, known))

    def _end_intent(self, fact: Refunded) -> bool:
        """Note that the refund of an intent exists, even if Razorpay seemed to refuse it. Return False if it is known.

        Notes can be copied by hand: they end an intent of the same payment and amount only, and only once.
        """
        intent = self.intents.get(fact.intent) if fact.intent is not None else None
        if fact.intent is None or intent is None or intent.state is IntentState.MADE:
            return False
        if (intent.payment_id, intent.amount_minor) != (fact.payment, fact.amount_minor):
            return False
        self.intents[fact.intent] = replace(intent, state=IntentState.MADE, refund_id=fact.refund, refusal=None)
        return True

    def _grow_dispute(self, fact: Disputed) -> bool:
        """Merge the fact into the disputes. Return False if it is old news, or over the limit and that is reported."""
        known = self.disputes.get(fact.dispute)
        if known is None and len(self.disputes) >= MAX_DISPUTES:
            reported = any(review.reason == "too_many_disputes" for review in self._record.reviews)
            if reported or self._record.order is None:
                return False
            self.dropped_dispute = fact.payment
            self.news.append(f"dispute over the limit {fact.dispute}")
            return False
        latest = merged(known, fact)
        self.disputes[fact.dispute] = latest
        return latest != known

    def _release_losses(self, payment: str) -> bool:
        """Release every lost dispute about the payment. Return whether there was one."""
        lost: dict[str, Dispute] = {
            key: replace(dispute, released=True)
            for key, dispute in self.disputes.items()
            if dispute.payment_id == payment and dispute.state is DisputeState.LOST and not dispute.released
        }
        self.disputes |= lost
        return bool(lost)

    def _drop_refund(self, fact: Refunded) -> bool:
        """Drop a refund over the limit. Return whether no review has reported that yet."""
        self.differing.add(fact.payment)
        about = ("refund_total_differs", fact.payment)
        return all((review.reason, review.subject) != about for review in self._record.reviews)

    def _weigh(self, total: RefundTotal) -> None:
        """Compare Razorpay's total with the refunds known so far, including those that arrived with it."""
        known = self.attempts.get(total.payment)
        if known is None:
            return
        position = replace(Position.of(self._record), refunds=self.refunds)
        agrees = position.refunds_agree(total.payment, total.amount_minor)
        unread = known.refunds_unread
        if total.complete:
            # The refunds were read just now, so any difference counts.
            unread = not agrees
            (self.agreed if agrees else self.differing).add(total.payment)
        elif total.amount_minor > known.total_minor and not agrees:
            # A total seen before is not new, nor is a smaller one: webhooks arrive late and more than once.
            unread = True
        highest = max(known.total_minor, total.amount_minor)
        grown = replace(known, refunds_unread=unread, total_minor=highest)
        if grown != known:
            self.attempts[total.payment] = grown
            if unread != known.refunds_unread:
                self.news.append(f"refunds {'differ' if unread else 'agree'} {total.payment}")
        if self._review_of_total_moves(total.payment):
            self.news.append(f"refund total {'agrees' if agrees else 'differs'} {total.payment}")

    def outlasts_lag(self, payment: str) -> bool:
        """Return whether a difference in its refunds has lasted too long to be lag."""
        known = payment in self._record.attempts and self._record.attempts[payment].refunds_unread
        return known and self._now - epoch(self._record.updated_at) >= _TOTAL_LAG_S

    def _review_of_total_moves(self, payment: str) -> bool:
        reviews = [r for r in self._record.reviews if (r.reason, r.subject) == ("refund_total_differs", payment)]
        if payment in self.agreed:
            return any(review.is_open for review in reviews)
        return payment in self.differing and not reviews and self.outlasts_lag(payment)


def _without_details(attempt: Attempt) -> Attempt:
    """Return the attempt without details that are no change by themselves: how and when the payment was made."""
    return replace(attempt, method=None, created_at=None)


def _failed(attempt: Attempt, fact: Failed) -> Attempt:
    listed_at = attempt.listed_failed_at
    if fact.listed_at is not None and attempt.signed_at is not None and (listed_at or 0) <= attempt.signed_at:
        # Keep the latest, until one ends the signature's claim.
        listed_at = max(listed_at or 0, fact.listed_at)
    if attempt.failed:
        return replace(attempt, listed_failed_at=listed_at)
    return replace(
        attempt,
        failed=True,
        failed_at=_either(fact.at, fact.created_at),
        listed_failed_at=listed_at,
        code=fact.code,
        reason=fact.reason,
        method=attempt.method or fact.method,
        created_at=_either(attempt.created_at, fact.created_at),
    )


def _either(first: int | None, second: int | None) -> int | None:
    return first if first is not None else second


_WORDS: Final[Mapping[type, str]] = {
    Signed: "signed",
    Authorized: "authorized",
    Captured: "captured",
    Failed: "failed",
    NeverCaptured: "never captured",
    Accepted: "accepted",
    Released: "released",
}


def _described(fact: Fact) -> str:
    """Describe a fact for the history, such as `captured pay_DESlfW9H8K9uqM`."""
    if isinstance(fact, Refunded):
        return f"refund {fact.state.value} {fact.refund}"
    if isinstance(fact, Disputed):
        return f"dispute {fact.state.value} {fact.dispute}"
    return f"{_WORDS[type(fact)]} {fact.payment}"
