"""Decide when a record needs attention, and from which lane. The sparse index holds only records that have a due time.

Each of the three lanes has separate partitions, so that a backlog in one delays no other: `outbox` publishes events
without calling Razorpay, `watch` asks Razorpay about one order, `unknown` asks whose order it is.
"""

from copy import replace
from zlib import crc32

from payments.core.instants import epoch
from payments.core.model import Lane, Record, Status
from payments.core.position import Position

SHARDS = 16
"""Partitions per lane, so that none becomes a hot partition."""

# Events are published right after they are stored, and Razorpay's own redelivery repeats a failed publish within
# seconds. The outbox is the safety net below both.
OUTBOX_DELAY_S = 60
# If an order is not stored yet when its first webhook arrives, it will be a moment later.
UNKNOWN_DELAY_S = 60

_MINUTE_S, _HOUR_S, _DAY_S = 60, 60 * 60, 24 * 60 * 60
WATCH_AGES_S = (
    2 * _MINUTE_S,
    10 * _MINUTE_S,
    _HOUR_S,
    6 * _HOUR_S,
    *(day * _DAY_S for day in range(1, 9)),
)
"""Ages of a record, since its latest activity, at which to check it. A live payment is confirmed within minutes,
or returned by Razorpay after three to five days ("Capture settings", "Late authorisation"). The eighth day is past
both."""
WEEK_S = 7 * _DAY_S
"""How often to ask about a refund that is still pending after that; no time limit for it is documented."""
LAST_WATCH_S = WATCH_AGES_S[-1]
RESEND_AFTER_S = 15 * _MINUTE_S
"""How long after Razorpay was asked for a refund its list of refunds shows whether it exists. Lists lag by minutes."""
_UNKNOWN_AGES_S = (UNKNOWN_DELAY_S, 10 * _MINUTE_S, _HOUR_S, 6 * _HOUR_S)

# A record that keeps failing waits twice as long each time, up to this. The limit is short in the outbox, where most
# failures are the bus's: once it is back, no event should wait longer than two minutes.
_LONGEST_BACKOFF_S = {Lane.OUTBOX: 2 * _MINUTE_S, Lane.WATCH: _HOUR_S, Lane.UNKNOWN: _DAY_S}


def shard(lane: Lane, order_id: str) -> str:
    """Return the index partition of a record."""
    # crc32, because Python's own hash differs between processes.
    return partition(lane, crc32(order_id.encode()) % SHARDS)


def partition(lane: Lane, number: int) -> str:
    """Return the name of one partition of a lane, such as `watch-3`."""
    # The outbox keeps version 0.1's names, so that what was due before an update is found after it.
    return str(number) if lane is Lane.OUTBOX else f"{lane.value}-{number}"


def lane_of(partition_name: str) -> Lane:
    """Return the lane that a partition belongs to."""
    name, dash, _ = partition_name.partition("-")
    return Lane(name) if dash else Lane.OUTBOX


def next_watch(record: Record, now: int) -> int | None:
    """Return when to check an unresolved record next, in epoch seconds, or None if nothing needs it."""
    if not Position.of(record).unresolved:
        return None
    newest = epoch(record.updated_at)
    watch = next((newest + age for age in WATCH_AGES_S if newest + age > now), now + WEEK_S)
    # A requested refund that may not exist is asked for again as soon as that is safe.
    asked = (intent.asked_at or now for intent in record.refund_intents.values() if intent.is_open)
    return min([watch, *(at + RESEND_AFTER_S for at in asked if at + RESEND_AFTER_S > now)])


def next_unknown(record: Record, now: int) -> int:
    """Return when to ask Razorpay next about an unknown order, in epoch seconds."""
    born = epoch(record.created_at)
    return next((born + age for age in _UNKNOWN_AGES_S if born + age > now), now + _DAY_S)


def after_change(record: Record, now: int) -> Record:
    """Return the record with its due time, ready to be stored after a change.

    A due time that is set stays until a lane has processed the record, because moving it costs two write units. It
    only moves earlier: to the outbox when there is something to publish, or to a check that new activity makes due
    sooner.
    """
    if record.foreign:
        return replace(record, lane=None, attention_at=None)
    if record.status is Status.UNKNOWN:
        return record if record.lane is Lane.UNKNOWN else _due(record, Lane.UNKNOWN, now + UNKNOWN_DELAY_S)
    soon = now + OUTBOX_DELAY_S
    if record.pending:
        is_soon = record.lane is Lane.OUTBOX and record.attention_at is not None and record.attention_at <= soon
        return record if is_soon else _due(record, Lane.OUTBOX, soon)
    return _with_watch(record, now) if Position.of(record).unresolved else record


def _with_watch(record: Record, now: int) -> Record:
    """Return an unresolved record with the due time of its next check."""
    if record.lane is None:
        # The capture is usually seconds away. Outbox moves it to the watch lane if it is still unresolved then.
        return _due(record, Lane.OUTBOX, now + OUTBOX_DELAY_S)
    watch = next_watch(record, now)
    if record.attention_at is not None and watch is not None and watch < record.attention_at - _HOUR_S:
        return _due(record, Lane.WATCH, watch)
    return record


def after_look(record: Record, now: int) -> Record:
    """Return the record with its next due time, after a lane has done what was due."""
    record = replace(record, failures=0)
    if record.pending:
        return _due(record, Lane.OUTBOX, now + OUTBOX_DELAY_S)
    if record.foreign:
        return replace(record, lane=None, attention_at=None)
    if record.status is Status.UNKNOWN:
        # Version 0.1 let each of them expire; only a foreign record may.
        return _due(replace(record, expires_at=None), Lane.UNKNOWN, next_unknown(record, now))
    watch = next_watch(record, now)
    return replace(record, lane=None, attention_at=None) if watch is None else _due(record, Lane.WATCH, watch)


def after_failure(record: Record, now: int) -> Record:
    """Return the record with its due time postponed after a failure, so that it delays no other."""
    lane = record.lane or Lane.OUTBOX
    failures = record.failures + 1
    wait = min(_MINUTE_S * 2 ** min(failures - 1, 20), _LONGEST_BACKOFF_S[lane])
    return replace(_due(record, lane, now + wait), failures=failures)


def _due(record: Record, lane: Lane, at: int) -> Record:
    return replace(record, lane=lane, attention_at=at)
