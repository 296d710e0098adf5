"""Decide what a record becomes when new facts arrive: the new record and its new events.

Facts only accumulate, and the status is derived from them. The first rule that applies decides:

1. every payment that matches the order is returned: `refunded`, which is final;
2. a payment stands: `paid`, confirmed;
3. a payment holds money: `authorized`, and under review;
4. a payment is signed and neither returned, dead, lapsed nor released: `paid`, not confirmed (`authorized` on a
   superseded order, or if the order had expired before);
5. a payment is authorized and neither returned nor released: `authorized`;
6. a payment failed, lapsed, or was released or returned: `failed`;
7. otherwise: `created`.

`position` defines these terms. `failed` ranks below `authorized` on purpose: Razorpay can still capture a payment that
it reported as failed days ago ("Late authorisation").

A dispute that is lost returns its payment as a refund does, so rule 1 makes the status `refunded`. Its event is
`payment.dispute_changed` and never `payment.refunded`, which would claim a refund that nobody made; and the application
answers `payment_under_review` until an operator releases the payment (`disputes`).

verify, webhook, reconcile and operators' commands all decide here. Nothing in this module reads a clock, a setting
or a database.
"""

from collections.abc import Collection, Mapping, Sequence
from copy import replace
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from payments.core import attention
from payments.core.announcements import Recorder, announce
from payments.core.facts import Merge
from payments.core.instants import iso
from payments.core.model import (
    Fact,
    HistoryEntry,
    Imported,
    Mandate,
    Order,
    Reason,
    Record,
    Resolution,
    Status,
)
from payments.core.position import NO_OFFERS, Policy, Position

TRANSITIONS: Mapping[Status, frozenset[Status]] = MappingProxyType(
    {
        Status.UNKNOWN: frozenset(Status) - {Status.UNKNOWN},
        Status.CREATED: frozenset({Status.AUTHORIZED, Status.PAID, Status.FAILED, Status.REFUNDED}),
        Status.FAILED: frozenset({Status.AUTHORIZED, Status.PAID, Status.REFUNDED}),
        Status.AUTHORIZED: frozenset({Status.PAID, Status.FAILED, Status.REFUNDED}),
        Status.PAID: frozenset({Status.AUTHORIZED, Status.FAILED, Status.REFUNDED}),
        Status.REFUNDED: frozenset(),
    }
)
"""The statuses that may follow each status. `refunded` is final. A confirmed `paid` can only become `refunded`,
except on a superseded order, where returning an accepted payment leaves `authorized` if another payment still holds
money."""


# Together, these limits keep an item far below DynamoDB's 400 KB ("Item size"). A hundred entries cover the history of
# any real order.
_MAX_HISTORY = 100

NOTED: Final = "noted"
"""What the history says of an operator's note."""
ENDED_BY_NOTE: Final = frozenset({"over_refunded", "refund_reversed", "too_many_attempts", "too_many_disputes"})
"""The reviews that no fact resolves: a person reads them, does what is needed elsewhere, and says so."""

# A foreign order's facts are of no use to anyone. A month leaves time to discover a mistake of ours.
_FOREIGN_LIFETIME_S = 30 * 24 * 60 * 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The result of merging facts into a record."""

    record: Record
    changed: bool
    """False if all facts were known already; then there is nothing to store."""
    recorded: tuple[str, ...] = ()
    """The ids of the events recorded with this change."""
    new_refunds: tuple[str, ...] = ()
    """The ids of refunds that are new to the record or have progressed."""
    new_disputes: tuple[str, ...] = ()
    """The ids of disputes that are new to the record or have changed."""
    dropped_attempts: int = 0
    """Failed attempts that were dropped because they exceed `MAX_ATTEMPTS`."""


def open_record(order_id: str, order: Order, now: int) -> Record:
    """Return the record of a new order without payments. It has no due time: most are paid or abandoned."""
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
    )


def unknown_record(order_id: str, now: int) -> Record:
    """Return an unsaved record for the facts of an order known only from a webhook or a list."""
    return Record(
        order_id=order_id,
        order=None,
        status=Status.UNKNOWN,
        confirmed=False,
        version=0,
        created_at=iso(now),
        updated_at=iso(now),
    )


def supersede(record: Record, successor: str, now: int) -> Record:
    """Return the record superseded by another order. A later capture on it does not stand by itself."""
    superseded = replace(record, superseded_by=successor)
    status = Position.of(superseded).status()
    return attention.after_change(
        replace(
            superseded,
            status=status,
            version=record.version + 1,
            updated_at=iso(now),
            history=with_entry(record.history, now, f"superseded by {successor}", status),
        ),
        now,
    )


def foreign(record: Record, now: int) -> Record:
    """Return the record of an order that Razorpay says is not ours. It expires after a while."""
    return replace(record, foreign=True, lane=None, attention_at=None, expires_at=now + _FOREIGN_LIFETIME_S)


def ask_for_review(record: Record, reason: Reason, now: int) -> Decision:
    """Return the record with a review opened about its order as a whole, unless there has been one."""
    changed = with_version(record, f"review {reason}", now)
    recorder = Recorder(changed, now)
    recorder.review(reason, None)
    if not recorder.events:
        return Decision(record=record, changed=False)
    changed = replace(changed, reviews=tuple(recorder.reviews), pending={**record.pending, **recorder.events})
    return Decision(record=attention.after_change(changed, now), changed=True, recorded=tuple(recorder.events))


def close_review(record: Record, reason: Reason, resolution: Resolution, now: int) -> Decision:
    """Return the record with an open review about its order as a whole resolved."""
    what = f"review {reason} {resolution}"
    decision = _reviewed(with_version(record, what, now), {reason}, resolution, now)
    return decision if decision.recorded else Decision(record=record, changed=False)


def note(record: Record, by: Mandate, now: int) -> Decision:
    """Return the record with an operator's note, which resolves the open reviews that no fact resolves."""
    return _reviewed(with_version(record, NOTED, now, by), ENDED_BY_NOTE, "noted", now)


def _reviewed(changed: Record, reasons: Collection[str], resolution: Resolution, now: int) -> Decision:
    """Return a changed record with its open reviews for these reasons resolved."""
    recorder = Recorder(changed, now)
    for place, review in enumerate(changed.reviews):
        if review.reason in reasons and review.is_open:
            recorder.resolve(place, resolution)
    changed = replace(changed, reviews=tuple(recorder.reviews), pending={**changed.pending, **recorder.events})
    return Decision(record=attention.after_change(changed, now), changed=True, recorded=tuple(recorder.events))


def with_version(record: Record, what: str, now: int, by: Mandate | None = None) -> Record:
    """Return the next version of a record, which the history describes."""
    history = with_entry(record.history, now, what, record.status, by)
    return replace(record, version=record.version + 1, updated_at=iso(now), history=history)


def decide(record: Record, facts: Sequence[Fact], now: int, policy: Policy = NO_OFFERS) -> Decision:
    """Decide what a record becomes when facts that arrived together are merged into it.

    Args:
        record: as stored.
        facts: from one delivery or one query. A refund of a payment not known to be captured brings two.
        now: epoch seconds.
        policy: what counts as the agreed amount.
    """
    before = Position.of(record)
    merge = Merge(record, now, policy)
    for fact in facts:
        merge.add(fact)
    if not merge.news and not merge.overflows:
        return Decision(record=record, changed=False, dropped_attempts=merge.dropped)
    after = replace(
        before, attempts=merge.attempts, refunds=merge.refunds, disputes=merge.disputes, intents=merge.intents
    )
    return _change(record, before, after, merge, now)


def adopt(  # noqa: PLR0913 - the order, its record, and the rules to judge it by
    record: Record,
    order: Order,
    created_at: int,
    now: int,
    policy: Policy = NO_OFFERS,
    *,
    superseded_by: str | None = None,
) -> Decision:
    """Decide what an `unknown` record becomes once its order turns out to be ours, as if its facts arrived now.

    Args:
        record: as stored.
        order: what was agreed, rebuilt from the notes of the order at Razorpay.
        created_at: when Razorpay created the order, epoch seconds.
        now: epoch seconds.
        policy: what counts as the agreed amount.
        superseded_by: another order of the application that is already paid.
    """
    adopted = replace(
        record,
        order=order,
        status=Status.CREATED,
        created_at=iso(created_at),
        superseded_by=superseded_by,
        foreign=False,
        expires_at=None,
        lane=None,
        attention_at=None,
        failures=0,
    )
    merge = Merge(adopted, now, policy)
    merge.judge_all()
    merge.news.append("found to be ours")
    nothing = replace(Position.of(adopted), attempts={}, refunds={}, disputes={})
    after = replace(nothing, attempts=merge.attempts, refunds=merge.refunds, disputes=merge.disputes)
    return _change(adopted, nothing, after, merge, now)


def take_over(  # noqa: PLR0913 - the order, its record, and what the other service had of it
    record: Record,
    order: Order,
    imported: Imported,
    facts: Sequence[Fact],
    now: int,
    *,
    created_at: int,
    unsettled: bool,
) -> Decision:
    """Decide what a record becomes with what the service that this one replaced had of its order.

    Args:
        record: as stored, or an unsaved one. Facts that Razorpay reported before the import are kept.
        order: what was agreed.
        imported: the status there, and when it was exported.
        facts: what proves that status.
        now: epoch seconds.
        created_at: when the order was created, epoch seconds.
        unsettled: Razorpay's API no longer tells about the order. Then a refund is final on that service's word.
    """
    taken = replace(
        record,
        order=order,
        status=Status.CREATED if record.order is None else record.status,
        created_at=iso(created_at),
        foreign=False,
        expires_at=None,
        imported=imported,
        unsettled=unsettled,
    )
    if record.order is None:
        taken = replace(taken, lane=None, attention_at=None, failures=0)
    merge = Merge(taken, now, NO_OFFERS)
    merge.judge_all()
    merge.news.append(f"imported as {imported.status}")
    merge.refunded_before |= record.refunds.keys()
    for fact in facts:
        merge.add(fact)
    before = Position.of(taken)
    if record.order is None:
        before = replace(before, attempts={}, refunds={}, disputes={})
    after = replace(before, attempts=merge.attempts, refunds=merge.refunds, disputes=merge.disputes)
    if unsettled and imported.status == "refunded" and not record.confirmed:
        after = replace(after, refunded=True)
    decision = _change(taken, before, after, merge, now)
    if record.attempts or decision.record.pending:
        return decision
    # The rebuild reads Razorpay's lists, a hundred payments at a time. A due time would ask about each order.
    return replace(decision, record=replace(decision.record, lane=taken.lane, attention_at=taken.attention_at))


def _change(record: Record, before: Position, after: Position, merge: "Merge", now: int) -> Decision:
    status = record.status if record.order is None else after.status()
    stood = record.stood
    if record.order is not None and not before.refunded:
        matches = after.all_matches()
        # If a capture and its full refund are learned together, the payment never stood; it is still the one refunded.
        in_time = [] if after.superseded else [payment for payment in matches if not after.is_late(payment)]
        first = in_time[0] if in_time and status is Status.REFUNDED else None
        stood = after.standing or stood or first
    confirmed = record.confirmed or stood is not None
    changed = replace(
        record,
        status=status,
        confirmed=confirmed,
        unsettled=record.unsettled and not confirmed,
        version=merge.version,
        updated_at=iso(now),
        attempts=after.attempts,
        refunds=after.refunds,
        refund_intents=after.intents,
        disputes=after.disputes,
        stood=stood,
        history=with_entry(record.history, now, merge.description(), status, merge.by),
    )
    if record.order is None:
        changed = attention.after_change(changed, now)
        return Decision(
            record=changed,
            changed=True,
            new_refunds=merge.new_refunds(),
            new_disputes=merge.new_disputes(),
            dropped_attempts=merge.dropped,
        )
    recorder = Recorder(changed, now)
    announce(recorder, record, before, Position.of(changed), merge)
    changed = replace(
        changed,
        attempts=recorder.attempts,
        reviews=tuple(recorder.reviews),
        pending={**record.pending, **recorder.events},
    )
    return Decision(
        record=attention.after_change(changed, now),
        changed=True,
        recorded=tuple(recorder.events),
        new_refunds=merge.new_refunds(),
        new_disputes=merge.new_disputes(),
        dropped_attempts=merge.dropped,
    )


def with_entry(
    history: tuple[HistoryEntry, ...], now: int, what: str, status: Status, by: Mandate | None = None
) -> tuple[HistoryEntry, ...]:
    """Return the history with one more entry. If there are too many, the oldest is dropped that is no one's decision.

    Otherwise a customer who fails to pay a hundred times would erase who accepted what.
    """
    entries = (*history, HistoryEntry(at=iso(now), what=what, status=status, by=by))
    if len(entries) <= _MAX_HISTORY:
        return entries
    drop = next((place for place, entry in enumerate(entries[:-1]) if entry.by is None), 0)
    return (*entries[:drop], *entries[drop + 1 :])
