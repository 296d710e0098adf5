"""Adding newly arrived facts to those that a record has: what grows, what is old news, what contradicts.

Facts arrive in any order and more than once ("Best practices": at least once, unordered). Each is added in a way that
does not depend on what came before it, and adding it again changes nothing.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import replace
from itertools import batched
from typing import Final

from payments.core.instants import epoch
from payments.core.model import (
    Accepted,
    Attempt,
    Authorized,
    Captured,
    Fact,
    Failed,
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
"""How many payment attempts a record keeps. Only failures are dropped beyond it, never money or a valid signature."""
MAX_REFUNDS = 500
"""How many refunds a record keeps. Beyond it Razorpay's total differs for good, and a person is asked to look."""
MAX_FACTS = 50
"""How many facts one decision takes, so that no write exceeds DynamoDB's limits ("Expression string length": 4 KB)."""

# The history has the first facts of each decision.
_MAX_DESCRIBED = 5
# Razorpay's total runs ahead of its list of refunds by minutes; only a difference that outlasts them is for a person.
_TOTAL_LAG_S = 60 * 60


def batches(facts: Sequence[Fact]) -> Iterator[tuple[Fact, ...]]:
    """Facts that arrived together, in as many decisions as they take.

    Captures come first, each with refunds of its own, refunds by their creation: so a payment with more refunds than
    one decision takes is paid before it is refunded, and nothing is told that never was.
    """
    yield from batched(sorted(facts, key=_order(facts)) if len(facts) > MAX_FACTS else facts, MAX_FACTS, strict=False)


def _order(facts: Iterable[Fact]) -> "_Key":
    captured: dict[str, int] = {}
    for fact in facts:
        if isinstance(fact, Captured):
            captured.setdefault(fact.payment, len(captured))
    nowhere = len(captured)

    def key(fact: Fact) -> tuple[int, int, int]:
        kind = 1 if isinstance(fact, Refunded) else 2 if isinstance(fact, RefundTotal) else 0
        created_at = fact.created_at or 0 if isinstance(fact, Refunded) else 0
        return (captured.get(fact.payment, nowhere), kind, created_at)

    return key


type _Key = Callable[[Fact], tuple[int, int, int]]


class Merge:
    """All facts of a record with the new ones added, and what of them was news."""

    def __init__(self, record: Record, now: int, policy: Policy) -> None:
        self._record = record
        self._now = now
        self._policy = policy
        self.version = record.version + 1
        self.attempts = dict(record.attempts)
        self.refunds = dict(record.refunds)
        self.news: list[str] = []
        self.dropped = 0
        self.reversed: set[str] = set()
        """Refunds that were reported as failed after they were processed."""
        self.agreed: set[str] = set()
        """Payments whose refunds have been read, and which agree with Razorpay's total."""
        self.disputed: set[str] = set()
        """Payments whose refunds have been read, and which still differ."""
        self._first_dropped: str | None = None

    @property
    def overflows(self) -> str | None:
        """The first attempt over the limit; None where there is none, or it was reported before."""
        reported = any(review.reason == "too_many_attempts" for review in self._record.reviews)
        return None if reported or self._record.order is None else self._first_dropped

    def add(self, fact: Fact) -> None:
        """Adds one fact."""
        known = self.attempts.get(fact.payment)
        if known is None and isinstance(fact, Failed) and len(self.attempts) >= MAX_ATTEMPTS:
            self.dropped += 1
            self._first_dropped = self._first_dropped or fact.payment
            return
        if isinstance(fact, RefundTotal):
            self._weigh(fact)
            return
        if known is None and isinstance(fact, NeverCaptured | Accepted | Released):
            # Said of a payment that the record does not have: there is nothing to say it of.
            return
        grown = self._judged(self._grown(known or Attempt(), fact))
        is_news = known is None or _without_details(grown) != _without_details(known)
        if isinstance(fact, Refunded):
            is_news = self._grow_refund(fact) or (is_news and known is None)
        self.attempts[fact.payment] = grown
        if is_news:
            self.news.append(_described(fact))

    def judge_all(self) -> None:
        """Compares every capture with the order, which was not known when they came."""
        self.attempts = {payment: self._judged(attempt) for payment, attempt in self.attempts.items()}

    def description(self) -> str:
        """What the history says of it."""
        more = len(self.news) - _MAX_DESCRIBED
        said = ", ".join(self.news[:_MAX_DESCRIBED]) or "attempt over the limit"
        return f"{said} and {more} more" if more > 0 else said

    def new_refunds(self) -> tuple[str, ...]:
        """The refunds that are new, or further than they were."""
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
        # One payment is captured once. Should two reports of it ever differ, the one that agrees with the order wins
        # whichever came first, so that the order of deliveries does not matter.
        order = self._record.order
        improves = attempt.verdict is None and order is not None and self._policy.verdict(order, updated) is not None
        return updated if improves else kept

    def _judged(self, attempt: Attempt) -> Attempt:
        """With the verdict on its capture, which only improves: a fee may be reported later."""
        order = self._record.order
        if order is None or not attempt.captured:
            return attempt
        verdict = attempt.verdict or self._policy.verdict(order, attempt)
        matches = verdict is not None or attempt.accepted
        matched_in = attempt.matched_in if attempt.matched_in is not None or not matches else self.version
        return replace(attempt, verdict=verdict, matched_in=matched_in)

    def _grow_refund(self, fact: Refunded) -> bool:
        """Adds the fact to the refunds; False when it is old news."""
        known = self.refunds.get(fact.refund)
        if known is None:
            if len(self.refunds) >= MAX_REFUNDS:
                return self._drop_refund(fact)
            self.refunds[fact.refund] = Refund(
                payment_id=fact.payment, amount_minor=fact.amount_minor, state=fact.state
            )
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

    def _drop_refund(self, fact: Refunded) -> bool:
        """A refund over the limit is not kept, and a person is told so once."""
        self.disputed.add(fact.payment)
        about = ("refund_total_differs", fact.payment)
        return all((review.reason, review.subject) != about for review in self._record.reviews)

    def _weigh(self, total: RefundTotal) -> None:
        """Razorpay's own sum against the refunds that are known, those beside it included."""
        known = self.attempts.get(total.payment)
        if known is None:
            return
        position = replace(Position.of(self._record), refunds=self.refunds)
        agrees = position.refunds_agree(total.payment, total.amount_minor)
        unread = known.refunds_unread
        if total.complete:
            # Read just now, so it counts whichever way it differs.
            unread = not agrees
            (self.agreed if agrees else self.disputed).add(total.payment)
        elif total.amount_minor > known.total_minor and not agrees:
            # A sum that we have seen before is old news, and so is a smaller one: bodies come late, and again.
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
        """Whether a difference in its refunds has lasted long enough to be no lag."""
        known = payment in self._record.attempts and self._record.attempts[payment].refunds_unread
        return known and self._now - epoch(self._record.updated_at) >= _TOTAL_LAG_S

    def _review_of_total_moves(self, payment: str) -> bool:
        reviews = [r for r in self._record.reviews if (r.reason, r.subject) == ("refund_total_differs", payment)]
        if payment in self.agreed:
            return any(review.is_open for review in reviews)
        return payment in self.disputed and not reviews and self.outlasts_lag(payment)


def _without_details(attempt: Attempt) -> Attempt:
    """What counts as news of a payment: how and when it was made is kept, and changes nothing."""
    return replace(attempt, method=None, created_at=None)


def _failed(attempt: Attempt, fact: Failed) -> Attempt:
    listed_at = attempt.listed_failed_at
    if fact.listed_at is not None and attempt.signed_at is not None and (listed_at or 0) <= attempt.signed_at:
        # Only what may end the claim of a signature is worth keeping, and once it has.
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
    """A fact as the history has it, such as `captured pay_DESlfW9H8K9uqM`."""
    if isinstance(fact, Refunded):
        return f"refund {fact.state.value} {fact.refund}"
    return f"{_WORDS[type(fact)]} {fact.payment}"
