"""The decision: a record and newly arrived facts in, the new record with its new events out.

Facts only grow, and the status is their projection. The first rule that holds decides:

1. every match is returned: `refunded`, which is final;
2. a payment stands: `paid`, confirmed;
3. some payment holds money: `authorized`, and under review;
4. some payment is signed and neither returned nor dead: `paid`, not confirmed (on a superseded order `authorized`);
5. some payment is authorised and not returned: `authorized`;
6. some payment failed or was returned: `failed`;
7. else `created`.

The words are defined in `position`. `failed` ranks below `authorized` on purpose: Razorpay can still capture a payment
that it called failed days ago ("Late authorisation").

verify, webhook, reconcile and operators' commands all decide here. Nothing in this module reads a clock, a setting or a
database.
"""

from collections.abc import Mapping, Sequence
from copy import replace
from dataclasses import dataclass
from types import MappingProxyType

from payments.core import attention
from payments.core.announcements import Recorder, announce
from payments.core.facts import Merge
from payments.core.instants import iso
from payments.core.model import (
    Fact,
    HistoryEntry,
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
"""Where a status may go. `refunded` is final. A confirmed `paid` is left for it alone, but on a superseded order: there
the return of an accepted payment leaves `authorized` if another one still holds money."""


# All caps together keep an item far below DynamoDB's 400 KB ("Item size"). A hundred entries tell the story of any real
# order.
_MAX_HISTORY = 100

# A foreign order's facts are of no use to anyone. A month leaves time to find a mistake of ours.
_FOREIGN_LIFETIME_S = 30 * 24 * 60 * 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What became of a record."""

    record: Record
    changed: bool
    """False when the facts were all old news: then there is nothing to store."""
    recorded: tuple[str, ...] = ()
    """The ids of the events recorded with this change."""
    new_refunds: tuple[str, ...] = ()
    """The ids of refunds that the record had not known, or not so far."""
    dropped_attempts: int = 0
    """Failed attempts that were not kept, being over `MAX_ATTEMPTS`."""


def open_record(order_id: str, order: Order, now: int) -> Record:
    """The record of a new order, of whose payments nothing is known. Nothing is due: most are paid or forgotten."""
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
    """The record of an order we only know from a signed webhook: a place to keep its facts. Not stored yet."""
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
    """The record once another order took its place: what is captured on it from now on does not stand by itself."""
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
    """The record of an order that Razorpay says is not ours: it may go after a while."""
    return replace(record, foreign=True, lane=None, attention_at=None, expires_at=now + _FOREIGN_LIFETIME_S)


def ask_for_review(record: Record, reason: Reason, now: int) -> Decision:
    """The record once a person was asked to look at its order as a whole; asked once."""
    changed = replace(
        record,
        version=record.version + 1,
        updated_at=iso(now),
        history=with_entry(record.history, now, f"review {reason}", record.status),
    )
    recorder = Recorder(changed, now)
    recorder.review(reason, None)
    if not recorder.events:
        return Decision(record=record, changed=False)
    changed = replace(changed, reviews=tuple(recorder.reviews), pending={**record.pending, **recorder.events})
    return Decision(record=attention.after_change(changed, now), changed=True, recorded=tuple(recorder.events))


def close_review(record: Record, reason: Reason, resolution: Resolution, now: int) -> Decision:
    """The record once an open review of its order as a whole is resolved."""
    changed = replace(
        record,
        version=record.version + 1,
        updated_at=iso(now),
        history=with_entry(record.history, now, f"review {reason} {resolution}", record.status),
    )
    recorder = Recorder(changed, now)
    for place, review in enumerate(record.reviews):
        if review.reason == reason and review.is_open:
            recorder.resolve(place, resolution)
    if not recorder.events:
        return Decision(record=record, changed=False)
    changed = replace(changed, reviews=tuple(recorder.reviews), pending={**record.pending, **recorder.events})
    return Decision(record=attention.after_change(changed, now), changed=True, recorded=tuple(recorder.events))


def decide(record: Record, facts: Sequence[Fact], now: int, policy: Policy = NO_OFFERS) -> Decision:
    """What a record becomes when these facts, which arrived together, are added to it.

    Args:
        record: as it is stored.
        facts: of one delivery or one look; a refund of a payment we did not know to be captured brings two.
        now: epoch seconds.
        policy: what counts as the agreed sum.
    """
    before = Position.of(record)
    merge = Merge(record, now, policy)
    for fact in facts:
        merge.add(fact)
    if not merge.news and not merge.overflows:
        return Decision(record=record, changed=False, dropped_attempts=merge.dropped)
    after = replace(before, attempts=merge.attempts, refunds=merge.refunds)
    return _change(record, before, after, merge, now)


def adopt(  # noqa: PLR0913 - what is known of the order, and by which rules it is judged
    record: Record,
    order: Order,
    created_at: int,
    now: int,
    policy: Policy = NO_OFFERS,
    *,
    superseded_by: str | None = None,
) -> Decision:
    """What a record of status `unknown` becomes when its order turns out to be ours: as if its facts arrived now.

    Args:
        record: as it is stored.
        order: what was agreed, rebuilt from the notes of the order at Razorpay.
        created_at: when Razorpay made the order, epoch seconds.
        now: epoch seconds.
        policy: what counts as the agreed sum.
        superseded_by: another order of the application that is paid already.
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
    nothing = replace(Position.of(adopted), attempts={}, refunds={})
    return _change(adopted, nothing, replace(nothing, attempts=merge.attempts, refunds=merge.refunds), merge, now)


def _change(record: Record, before: Position, after: Position, merge: "Merge", now: int) -> Decision:
    status = record.status if record.order is None else after.status()
    stood = record.stood
    if record.order is not None and not before.refunded:
        matches = after.all_matches()
        # Learned together, a capture and its full refund never stood for a moment; what was refunded is that payment.
        first = matches[0] if matches and status is Status.REFUNDED and not after.superseded else None
        stood = after.standing or stood or first
    changed = replace(
        record,
        status=status,
        confirmed=record.confirmed or stood is not None,
        version=merge.version,
        updated_at=iso(now),
        attempts=after.attempts,
        refunds=after.refunds,
        stood=stood,
        history=with_entry(record.history, now, merge.description(), status),
    )
    if record.order is None:
        changed = attention.after_change(changed, now)
        return Decision(record=changed, changed=True, new_refunds=merge.new_refunds(), dropped_attempts=merge.dropped)
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
        dropped_attempts=merge.dropped,
    )


def with_entry(history: tuple[HistoryEntry, ...], now: int, what: str, status: Status) -> tuple[HistoryEntry, ...]:
    """A history with one more entry, the oldest left out where there are too many."""
    return (*history, HistoryEntry(at=iso(now), what=what, status=status))[-_MAX_HISTORY:]
