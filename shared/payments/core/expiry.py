"""Expire orders that nobody paid.

Razorpay's orders never expire ("Orders"): an old one stays payable for good. So this service records at a certain age
that an unpaid order has expired, once, and announces it. The order's status stays what it was. create-order no longer
returns the order, and a payment that is made on it afterwards does not count by itself: a person reviews it. A payment
made before counts as always, even if it is authorized or reported later (`position`: late).

An order is unpaid if none of its payments was ever captured, may still be captured or is in progress. A replaced order
does not expire: whatever is paid on it is reviewed in any case, and its application has another order.

Two passes read Razorpay's list of orders once a day, each from its watermark on. The first one reads the orders that
reach the age. The second one reads them again eight days later, when a payment that was in progress at the first has
been captured or returned ("Late authorisation": after three to five days).
"""

from copy import replace
from dataclasses import dataclass
from typing import Final

from payments.core import attention
from payments.core.announcements import Recorder
from payments.core.instants import iso
from payments.core.listing import Look
from payments.core.model import Record, Status
from payments.core.position import Position
from payments.core.sweeping import Watermark
from payments.core.transitions import Decision, with_entry

DAY_S: Final = 24 * 60 * 60
EVERY_S: Final = DAY_S
"""How much of the list a pass lets collect before it reads on."""
# A customer who received the order just before it became too old to be returned has this long to start paying.
_GRACE_S: Final = 60 * 60
# "Payment states": a payment fails if the bank does not answer within 10 minutes. It may still be authorized later, and
# then counts as made before the expiry.
_IN_PROGRESS_S: Final = 15 * 60
# Razorpay shows no order older than 180 days.
_OLDEST_S: Final = 180 * DAY_S


@dataclass(frozen=True, slots=True)
class ExpiryPass:
    """One of the passes over Razorpay's list of orders."""

    name: str
    """The name of its watermark. It does not depend on the setting, so that no order is skipped if that changes."""
    later_s: int
    """How long after the first pass it reads an order, in seconds."""

    def end(self, order_expiry_s: int, now: int) -> int:
        """Return up to which creation time it may read, epoch seconds, exclusive."""
        return now - order_expiry_s - _GRACE_S - self.later_s

    def begin(self, end: int, now: int) -> int:
        """Return where it starts if it has never run: the first pass with the oldest order that Razorpay shows."""
        return end - EVERY_S if self.later_s else now - _OLDEST_S

    def is_due(self, mark: Watermark | None, end: int) -> bool:
        """Return whether a day has collected that it can read, or it stopped within a second."""
        return mark is None or mark.skip > 0 or end - mark.at >= EVERY_S


PASSES: Final = (ExpiryPass("expiry", 0), ExpiryPass("expiry-again", 8 * DAY_S))


def may_expire(record: Record) -> bool:
    """Return whether the order is unpaid as far as we know, and has neither expired nor been replaced."""
    return (
        record.order is not None
        and record.expired_at is None
        and record.superseded_by is None
        and record.status in {Status.CREATED, Status.FAILED}
        and not Position.of(record).consumed
    )


def is_in_progress(look: Look, now: int) -> bool:
    """Return whether Razorpay says that a payment is in progress, or that the order is paid."""
    return look.order.status == "paid" or any(now - made_at < _IN_PROGRESS_S for made_at in look.in_flight)


def expire(record: Record, now: int) -> Decision:
    """Return the record with its order expired, if it may expire. The event names no payment."""
    if not may_expire(record):
        return Decision(record=record, changed=False)
    changed = replace(
        record,
        expired_at=now,
        version=record.version + 1,
        updated_at=iso(now),
        history=with_entry(record.history, now, "expired", record.status),
    )
    recorder = Recorder(changed, now)
    recorder.expire()
    changed = replace(changed, pending={**record.pending, **recorder.events})
    return Decision(record=attention.after_change(changed, now), changed=True, recorded=tuple(recorder.events))
