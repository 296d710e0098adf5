"""The decision: a record and newly arrived facts in, the new record with its new events out.

Facts only grow, and the status is their projection:

1. some payment captured with our amount and currency: `refunded` if every such capture was paid back in full, else
   `paid`, confirmed;
2. else some payment signed and not automatically refunded: `paid`, not confirmed;
3. else some payment authorised and not automatically refunded: `authorized`;
4. else some payment failed or automatically refunded: `failed`;
5. else `created`.

`refunded` is final. `failed` ranks below `authorized` on purpose: Razorpay can still capture a payment that it called
failed up to three days ago ("Late authorisation"). Only a processed refund counts, since a created one may yet fail.

verify, webhook and reconcile all decide here. Nothing in this module reads a clock, a setting or a database.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from payments.core import attention
from payments.core.events import event_id
from payments.core.instants import iso
from payments.core.model import (
    Attempt,
    Authorized,
    Captured,
    EventType,
    Fact,
    Failed,
    HistoryEntry,
    Order,
    PendingEvent,
    Reason,
    Record,
    Refund,
    Refunded,
    RefundState,
    Review,
    Signed,
    Status,
)

MAX_ATTEMPTS = 100
"""How many payment attempts a record keeps. Only failures are dropped beyond it, never money or a valid signature."""

# A record is read and written whole, one write unit a KiB. A hundred entries tell the story of any real order.
_MAX_HISTORY = 100

# A foreign order's facts are of no use to anyone once reconcile has looked for its notes; Razorpay itself gives an
# uncaptured payment back after three days. A month leaves time to find a mistake of ours.
_UNKNOWN_LIFETIME_S = 30 * 24 * 60 * 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What became of a record."""

    record: Record
    changed: bool
    """False when the facts were all old news: then there is nothing to store."""
    recorded: tuple[str, ...] = ()
    """The ids of the events recorded with this change."""
    dropped_attempts: int = 0
    """Failed attempts that were not kept, being over `MAX_ATTEMPTS`."""


@dataclass(frozen=True, slots=True)
class _Facts:
    """Everything known about an order's payments and refunds, and what follows from it."""

    order: Order | None
    attempts: Mapping[str, Attempt]
    refunds: Mapping[str, Refund]

    def right_sum(self, payment: str) -> bool:
        attempt = self.attempts[payment]
        return self.order is not None and attempt.captured and mismatch(self.order, attempt) is None

    def right_captures(self) -> set[str]:
        return {payment for payment in self.attempts if self.right_sum(payment)}

    def refunded_minor(self, payment: str) -> int:
        return sum(
            refund.amount_minor
            for refund in self.refunds.values()
            if refund.payment_id == payment and refund.state is RefundState.PROCESSED
        )

    def effective_refunds(self) -> set[str]:
        """Refunds that moved money which counts: processed, of a capture of the right sum."""
        return {
            key
            for key, refund in self.refunds.items()
            if refund.state is RefundState.PROCESSED and self.right_sum(refund.payment_id)
        }

    def auto_refunded(self, payment: str) -> bool:
        return auto_refunded(self.attempts[payment], self.refunded_minor(payment))

    def over_refunded(self) -> set[str]:
        """Captured payments of which more was paid back than captured."""
        return {
            payment
            for payment, attempt in self.attempts.items()
            if attempt.captured and self.refunded_minor(payment) > (attempt.amount_minor or 0)
        }

    def status(self, before: Status) -> Status:
        if self.order is None or before is Status.REFUNDED:
            return before
        captures = self.right_captures()
        if captures:
            full = all(self.refunded_minor(payment) >= self.order.amount_minor for payment in captures)
            return Status.REFUNDED if full else Status.PAID
        alive = [attempt for payment, attempt in self.attempts.items() if not self.auto_refunded(payment)]
        if any(attempt.signed for attempt in alive):
            return Status.PAID
        if any(attempt.authorized for attempt in alive):
            return Status.AUTHORIZED
        if len(alive) < len(self.attempts) or any(attempt.failed for attempt in alive):
            return Status.FAILED
        return Status.CREATED


def mismatch(order: Order | None, attempt: Attempt) -> Reason | None:
    """How a capture differs from what was agreed; None where it does not, or where there is nothing to compare."""
    if order is None or not attempt.captured:
        return None
    if attempt.currency != order.currency:
        return "currency_mismatch"
    if attempt.amount_minor != order.amount_minor:
        return "amount_mismatch"
    return None


def auto_refunded(attempt: Attempt, refunded_minor: int) -> bool:
    """Whether Razorpay gave back a payment that was never captured."""
    return refunded_minor > 0 and not attempt.captured


def payment_marks(record: Record, payment: str) -> dict[str, bool | str]:
    """What follows from a payment's facts and is worth seeing beside them: `auto_refunded`, `mismatch`."""
    attempt = record.attempts[payment]
    facts = _Facts(record.order, record.attempts, record.refunds)
    marks: dict[str, bool | str] = {}
    if facts.auto_refunded(payment):
        marks["auto_refunded"] = True
    if (wrong := mismatch(record.order, attempt)) is not None:
        marks["mismatch"] = wrong
    return marks


def amount_refunded(record: Record) -> int:
    """How much of the captures of the right sum was paid back, in minor units."""
    facts = _Facts(record.order, record.attempts, record.refunds)
    return sum(facts.refunded_minor(payment) for payment in facts.right_captures())


def standing_payment(record: Record) -> str | None:
    """The Razorpay payment id that the status rests on: captured, else signed, else authorised; else None."""
    facts = _Facts(record.order, record.attempts, record.refunds)
    duplicates = {review.subject for review in record.reviews if review.reason == "duplicate_capture"}
    ranked = sorted(
        (rank, payment)
        for payment, attempt in record.attempts.items()
        if (rank := _standing_rank(facts, payment, attempt, duplicate=payment in duplicates)) is not None
    )
    return ranked[0][1] if ranked else None


def _standing_rank(facts: _Facts, payment: str, attempt: Attempt, *, duplicate: bool) -> int | None:
    if facts.right_sum(payment):
        return 1 if duplicate else 0
    if facts.auto_refunded(payment):
        return None
    if attempt.signed:
        return 2
    return 3 if attempt.authorized else None


def open_record(order_id: str, order: Order, now: int) -> Record:
    """The record of a new order, before anything is known of its payments."""
    created_at = iso(now)
    return Record(
        order_id=order_id,
        order=order,
        status=Status.CREATED,
        confirmed=False,
        version=1,
        created_at=created_at,
        updated_at=created_at,
        history=(HistoryEntry(at=created_at, what="created", status=Status.CREATED),),
        attention_at=attention.next_due(created_at, now),
    )


def unknown_record(order_id: str, now: int) -> Record:
    """The record of an order we only know from a signed webhook: a place to keep its facts. Not stored yet."""
    return Record(
        order_id=order_id,
        order=None,
        status=Status.UNKNOWN,
        confirmed=False,
        version=0,
        created_at=iso(now),
        updated_at=iso(now),
        expires_at=now + _UNKNOWN_LIFETIME_S,
    )


def supersede(record: Record, successor: str, now: int) -> Record:
    """The record once the client has agreed to something else: a capture on it is now a surprise."""
    return replace(
        record,
        superseded_by=successor,
        version=record.version + 1,
        updated_at=iso(now),
        history=_with_entry(record.history, now, f"superseded by {successor}", record.status),
    )


def decide(record: Record, facts: Sequence[Fact], now: int) -> Decision:
    """What a record becomes when these facts, which arrived together, are added to it.

    Args:
        record: as it is stored.
        facts: of one delivery; a refund of a payment we did not know to be captured brings two.
        now: epoch seconds.
    """
    before = _Facts(record.order, record.attempts, record.refunds)
    after, news, dropped = _merge(before, facts)
    overflow = _overflows(record, dropped)
    if not news and not overflow:
        return Decision(record=record, changed=False, dropped_attempts=dropped)

    status = after.status(record.status)
    changed = replace(
        record,
        status=status,
        confirmed=record.confirmed or bool(after.right_captures()),
        version=record.version + 1,
        updated_at=iso(now),
        attempts=after.attempts,
        refunds=after.refunds,
        history=_with_entry(record.history, now, ", ".join(news) or "attempt over the limit", status),
    )
    recorder = _Recorder(changed, now)
    if record.order is not None:
        _record_events(recorder, record, before, after, facts, overflow=overflow)
    events = recorder.events
    changed = replace(
        changed,
        attempts=recorder.attempts,
        reviews=(*record.reviews, *recorder.reviews),
        pending={**record.pending, **events},
    )
    changed = replace(
        changed,
        attention_at=attention.after_change(
            attention_at=record.attention_at,
            status=changed.status,
            confirmed=changed.confirmed,
            created_at=changed.created_at,
            pending=changed.pending,
            now=now,
        ),
    )
    return Decision(record=changed, changed=True, recorded=tuple(events), dropped_attempts=dropped)


def settle(record: Record, facts: Sequence[Fact], now: int) -> Decision:
    """What a record becomes when Razorpay has been asked for all of its order's payments.

    As `decide`, and the next due time is set. After the last one nothing more will come: an order that is still
    authorised, or paid without a confirmation, then asks for a review (`never_captured`).

    Args:
        record: as it is stored.
        facts: of every payment of the order, as Razorpay's API lists them now.
        now: epoch seconds.
    """
    decision = decide(record, facts, now)
    settled = decision.record
    due = attention.next_due(settled.created_at, now)
    payment = standing_payment(settled)
    waiting = settled.status is Status.AUTHORIZED or (settled.status is Status.PAID and not settled.confirmed)
    reviewed = any(review.reason == "never_captured" for review in settled.reviews)
    recorded = decision.recorded
    if waiting and due is None and payment is not None and not reviewed:
        if not decision.changed:
            settled = replace(
                settled,
                version=settled.version + 1,
                updated_at=iso(now),
                history=_with_entry(settled.history, now, f"never captured {payment}", settled.status),
            )
        recorder = _Recorder(settled, now)
        recorder.review("never_captured", payment)
        settled = replace(
            settled,
            reviews=(*settled.reviews, *recorder.reviews),
            pending={**settled.pending, **recorder.events},
        )
        recorded = (*recorded, *recorder.events)
    settled = replace(
        settled,
        attention_at=attention.after_change(
            attention_at=due,
            status=settled.status,
            confirmed=settled.confirmed,
            created_at=settled.created_at,
            pending=settled.pending,
            now=now,
        ),
    )
    return Decision(
        record=settled,
        changed=settled != record,
        recorded=recorded,
        dropped_attempts=decision.dropped_attempts,
    )


def adopt(record: Record, order: Order, created_at: int, now: int) -> Decision:
    """What a record of status `unknown` becomes when its order turns out to be ours: as if its facts arrived now.

    Args:
        record: as it is stored.
        order: what was agreed, rebuilt from the notes of the order at Razorpay.
        created_at: when Razorpay made the order, epoch seconds.
        now: epoch seconds.
    """
    known = _Facts(order, record.attempts, record.refunds)
    nothing = _Facts(order, {}, {})
    adopted = replace(
        record,
        order=order,
        status=Status.CREATED,
        created_at=iso(created_at),
        expires_at=None,
    )
    status = known.status(Status.CREATED)
    changed = replace(
        adopted,
        status=status,
        confirmed=bool(known.right_captures()),
        version=record.version + 1,
        updated_at=iso(now),
        history=_with_entry(record.history, now, "found to be ours", status),
    )
    recorder = _Recorder(changed, now)
    _record_events(recorder, adopted, nothing, known, (), overflow=False)
    changed = replace(
        changed,
        attempts=recorder.attempts,
        reviews=tuple(recorder.reviews),
        pending=dict(recorder.events),
        # Asked for its payments at once: the webhooks that were kept may not be all there is.
        attention_at=now,
    )
    return Decision(record=changed, changed=True, recorded=tuple(recorder.events))


def _overflows(record: Record, dropped: int) -> bool:
    """Whether this is the first attempt over the limit; an order that is not known to be ours is not reviewed."""
    reviewed = any(review.reason == "too_many_attempts" for review in record.reviews)
    return dropped > 0 and record.order is not None and not reviewed


# --- facts ----------------------------------------------------------------------------------------------------------


def _merge(before: _Facts, facts: Iterable[Fact]) -> tuple[_Facts, list[str], int]:
    """All facts with the new ones added, what the new ones were, and how many were dropped."""
    attempts = dict(before.attempts)
    refunds = dict(before.refunds)
    news: list[str] = []
    dropped = 0
    for fact in facts:
        known = attempts.get(fact.payment)
        if known is None and isinstance(fact, Failed) and len(attempts) >= MAX_ATTEMPTS:
            dropped += 1
            continue
        attempts[fact.payment] = _grow(before.order, known or Attempt(), fact)
        is_news = attempts[fact.payment] != known
        if isinstance(fact, Refunded):
            is_news = _grow_refund(refunds, fact) or is_news
        if is_news:
            news.append(_told(fact))
    return _Facts(before.order, attempts, refunds), news, dropped


def _grow_refund(refunds: dict[str, Refund], fact: Refunded) -> bool:
    """Adds the fact to the refunds; False when it is old news."""
    known = refunds.get(fact.refund)
    if known is not None and fact.state.rank <= known.state.rank:
        return False
    if known is None:
        refunds[fact.refund] = Refund(payment_id=fact.payment, amount_minor=fact.amount_minor, state=fact.state)
    else:
        refunds[fact.refund] = replace(known, state=fact.state)
    return True


def _grow(order: Order | None, attempt: Attempt, fact: Fact) -> Attempt:
    match fact:
        case Signed():
            return replace(attempt, signed=True)
        case Authorized():
            return replace(attempt, authorized=True, method=attempt.method or fact.method)
        case Captured():
            known = attempt.captured and mismatch(order, attempt) is None
            captured = replace(
                attempt,
                captured=True,
                amount_minor=fact.amount_minor,
                currency=fact.currency,
                method=attempt.method or fact.method,
            )
            # One payment is captured once. Should two reports of it ever differ, the one that agrees with the order
            # wins whichever came first, so that the order of deliveries does not matter.
            return attempt if known or (attempt.captured and mismatch(order, captured) is not None) else captured
        case Failed():
            if attempt.failed:
                return attempt
            return replace(
                attempt, failed=True, code=fact.code, reason=fact.reason, method=attempt.method or fact.method
            )
        case Refunded():
            return attempt


def _told(fact: Fact) -> str:
    match fact:
        case Refunded():
            return f"refund {fact.state.value} {fact.refund}"
        case Signed():
            return f"signed {fact.payment}"
        case Authorized():
            return f"authorized {fact.payment}"
        case Captured():
            return f"captured {fact.payment}"
        case Failed():
            return f"failed {fact.payment}"


def _with_entry(history: tuple[HistoryEntry, ...], now: int, what: str, status: Status) -> tuple[HistoryEntry, ...]:
    return (*history, HistoryEntry(at=iso(now), what=what, status=status))[-_MAX_HISTORY:]


# --- events ---------------------------------------------------------------------------------------------------------


class _Recorder:
    """Collects the events and reviews of one change, and marks what must be announced only once."""

    def __init__(self, record: Record, now: int) -> None:
        self._record = record
        self._now = now
        self.attempts = dict(record.attempts)
        self.events: dict[str, PendingEvent] = {}
        self.reviews: list[Review] = []

    def record(self, event_type: EventType, payment: str | None, *, refund: str | None = None) -> None:
        self._add(event_type, refund or payment or self._record.order_id, payment, refund, None)

    def fail(self, payment: str) -> None:
        attempt = self.attempts[payment]
        if not attempt.announced:
            self.attempts[payment] = replace(attempt, announced=True)
            self._add("payment.failed", payment, payment, None, None)

    def review(self, reason: Reason, payment: str, *, refund: str | None = None) -> None:
        subject = refund or payment
        if any((known.reason, known.subject) == (reason, subject) for known in self._record.reviews):
            # Only where Razorpay contradicts itself about a sum. One id must not be recorded with other bytes.
            return
        self.reviews.append(Review(reason=reason, subject=subject, at=iso(self._now)))
        self._add("payment.review", subject, payment, refund, reason)

    def _add(
        self, event_type: EventType, subject: str, payment: str | None, refund: str | None, reason: Reason | None
    ) -> None:
        record = self._record
        attempt = record.attempts.get(payment, Attempt()) if payment else Attempt()
        failed = event_type == "payment.failed"
        self.events[event_id(record.order_id, event_type, subject, reason)] = PendingEvent(
            type=event_type,
            version=record.version,
            at=record.updated_at,
            status=record.status,
            refunded_minor=amount_refunded(record),
            payment=payment,
            method=attempt.method,
            refund=refund,
            refund_minor=record.refunds[refund].amount_minor if refund else None,
            code=attempt.code if failed else None,
            failure_reason=attempt.reason if failed else None,
            review=reason,
        )


def _record_events(  # noqa: PLR0913 - the two sides of one comparison, and what caused it
    recorder: _Recorder, record: Record, before: _Facts, after: _Facts, facts: Sequence[Fact], *, overflow: bool
) -> None:
    status = after.status(record.status)
    _record_captures(recorder, record, before, after, status)
    _record_refunds(recorder, record, before, after, status)
    if status is Status.FAILED:
        given_back = set() if record.status is Status.FAILED else _auto_refunded(after) - _auto_refunded(before)
        for payment in sorted((_failed(after) - _failed(before)) | given_back):
            recorder.fail(payment)
    if overflow:
        recorder.review("too_many_attempts", facts[0].payment)


def _record_captures(recorder: _Recorder, record: Record, before: _Facts, after: _Facts, status: Status) -> None:
    for payment in sorted(_captured(after) - _captured(before)):
        wrong = mismatch(after.order, after.attempts[payment])
        if wrong is not None:
            recorder.review(wrong, payment)
    known = before.right_captures()
    for payment in sorted(after.right_captures() - known):
        if known:
            recorder.review("duplicate_capture", payment)
        elif record.superseded_by is not None:
            recorder.review("superseded_order", payment)
        elif status is Status.PAID:
            recorder.record("payment.paid", payment)
        known = known | {payment}


def _record_refunds(recorder: _Recorder, record: Record, before: _Facts, after: _Facts, status: Status) -> None:
    news = sorted(after.effective_refunds() - before.effective_refunds())
    if news and status is Status.REFUNDED and record.status is not Status.REFUNDED:
        recorder.record("payment.refunded", after.refunds[news[-1]].payment_id, refund=news[-1])
    elif status is Status.PAID:
        for refund in news:
            recorder.record("payment.partially_refunded", after.refunds[refund].payment_id, refund=refund)
    for payment in sorted(after.over_refunded() - before.over_refunded()):
        last = max(
            refund
            for refund, facts in after.refunds.items()
            if facts.payment_id == payment and facts.state is RefundState.PROCESSED
        )
        recorder.review("over_refunded", payment, refund=last)


def _captured(facts: _Facts) -> set[str]:
    return {payment for payment, attempt in facts.attempts.items() if attempt.captured}


def _failed(facts: _Facts) -> set[str]:
    return {payment for payment, attempt in facts.attempts.items() if attempt.failed}


def _auto_refunded(facts: _Facts) -> set[str]:
    return {payment for payment in facts.attempts if facts.auto_refunded(payment)}
