"""When reconcile must look at a record: the sparse index holds just the records that have such a time."""

from collections.abc import Mapping
from zlib import crc32

from payments.core.instants import epoch
from payments.core.model import PendingEvent, Status

OPEN_STATUSES = frozenset({Status.CREATED, Status.AUTHORIZED, Status.FAILED})
"""Open whatever else is known; `paid` is open too while it is unconfirmed."""

# Ages at which an open order is settled from Razorpay's own list of its payments. A customer who pays is back within
# minutes, so the first look is early; the last is when Razorpay gives an uncaptured payment back (three days).
DUE_AGES_S = (15 * 60, 60 * 60, 6 * 60 * 60, 24 * 60 * 60, 72 * 60 * 60)

# Events are published right after they are stored, and a failed publish is repeated by Razorpay's own redelivery within
# seconds. Reconcile is the net below both, so a due time already set for the next quarter of an hour is good enough
# and saves rewriting the index (two write units); anything later is brought forward to a minute ahead.
_SOON_S = 15 * 60
_PENDING_DELAY_S = 60

SHARDS = 16


def shard(order_id: str) -> str:
    """Which of the index's partitions a record falls into: spread by hash, so that none of them runs hot."""
    # crc32, because Python's own hash differs from process to process.
    return str(crc32(order_id.encode()) % SHARDS)


def next_due(created_at: str, now: int) -> int | None:
    """The next time an open order of this age is looked at, in epoch seconds; None after the last."""
    born = epoch(created_at)
    return next((born + age for age in DUE_AGES_S if born + age > now), None)


def after_change(  # noqa: PLR0913 - each is a fact of the record; they never travel together elsewhere
    *,
    attention_at: int | None,
    status: Status,
    confirmed: bool,
    created_at: str,
    pending: Mapping[str, PendingEvent],
    now: int,
) -> int | None:
    """When reconcile must look at a record that is about to be stored.

    A due time that is set stays until reconcile has been there, even if it has passed: moving it costs two write units.
    """
    if pending or status is Status.UNKNOWN:
        if attention_at is not None and attention_at <= now + _SOON_S:
            return attention_at
        return now + _PENDING_DELAY_S
    if is_open(status, confirmed=confirmed):
        return attention_at if attention_at is not None else next_due(created_at, now)
    return None


def is_open(status: Status, *, confirmed: bool) -> bool:
    """Whether Razorpay may still tell us something that changes the status."""
    return status in OPEN_STATUSES or (status is Status.PAID and not confirmed)
