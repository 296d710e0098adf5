"""The payment record and the facts it is made of.

Facts only grow; the status is their projection (see `transitions`). All amounts are integer minor units (paise).
Two vocabularies are kept apart: `Status` is ours, the gateway's event names live in `webhooks`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Literal

# Razorpay's ids: prefix, underscore, 14 case-sensitive alphanumerics ("API basics").
ORDER_ID = re.compile(r"\Aorder_[A-Za-z0-9]{14}\Z")
PAYMENT_ID = re.compile(r"\Apay_[A-Za-z0-9]{14}\Z")
REFUND_ID = re.compile(r"\Arfnd_[A-Za-z0-9]{14}\Z")

# Clients keep our ids in JSON numbers; this is the last integer that a double holds exactly.
MAX_ID = 2**53 - 1


class Status(StrEnum):
    """What has become of an order, in our words."""

    UNKNOWN = "unknown"
    """Known only from a signed webhook: there are facts, but no order of ours to judge them by."""
    CREATED = "created"
    AUTHORIZED = "authorized"
    PAID = "paid"
    FAILED = "failed"
    """No attempt is alive. Not final: a failed payment can still be authorised and captured days later."""
    REFUNDED = "refunded"
    """Every capture was paid back in full. Final."""


class RefundState(StrEnum):
    """How far a refund got, in rising order: only `PROCESSED` moved money, and nothing comes after it."""

    CREATED = "created"
    FAILED = "failed"
    PROCESSED = "processed"

    @property
    def rank(self) -> int:
        """Its place in the order above; of two reports the higher one is kept."""
        return _REFUND_RANK[self]


_REFUND_RANK = {state: rank for rank, state in enumerate(RefundState)}

Reason = Literal[
    "duplicate_capture",
    "amount_mismatch",
    "currency_mismatch",
    "superseded_order",
    "over_refunded",
    "too_many_attempts",
    "never_captured",
]
"""Why a person should look at an order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What was agreed when the order was made. Nothing in it ever changes."""

    payment_id: int
    """Our own id of the payment: a small unique integer."""
    job_id: int
    application_id: int
    client_id: int
    freelancer_id: int
    amount_minor: int
    currency: str
    receipt: str
    """At most 40 characters, never used twice."""

    def same_fields(self, other: "Order") -> bool:
        """Whether both stand for the same purchase: what the client agreed to, not the ids we gave it."""
        return other.numbered(self.payment_id, receipt=self.receipt) == self

    def numbered(self, payment_id: int, *, receipt: str) -> "Order":
        """The same purchase under these ids of ours."""
        return replace(self, payment_id=payment_id, receipt=receipt)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """The facts about one Razorpay payment id. Each is false until it is known, and then true for good."""

    signed: bool = False
    """Its checkout signature was verified: the customer came back from a successful checkout."""
    authorized: bool = False
    captured: bool = False
    failed: bool = False
    amount_minor: int | None = None
    """As captured; None until then."""
    currency: str | None = None
    """As captured; None until then."""
    method: str | None = None
    code: str | None = None
    """Razorpay's error code of the failure, such as `BAD_REQUEST_ERROR`."""
    reason: str | None = None
    """Razorpay's reason of the failure, such as `payment_cancelled`."""
    announced: bool = False
    """Its failure was announced by an event; it is announced only once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refund:
    """The facts about one Razorpay refund id."""

    payment_id: str
    """The Razorpay payment it pays back."""
    amount_minor: int
    state: RefundState


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """A reason for a person to look at the order, and the payment, refund or order id it is about."""

    reason: Reason
    subject: str
    at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryEntry:
    """One stored change: what came in, and the status it led to."""

    at: str
    what: str
    """The facts, such as `captured pay_DESlfW9H8K9uqM`; several are joined by a comma."""
    status: Status


EventType = Literal[
    "payment.paid", "payment.failed", "payment.partially_refunded", "payment.refunded", "payment.review"
]


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingEvent:
    """An event that is stored and not yet known to be on the bus.

    It keeps what can change after it was recorded; everything else comes from the order, which never does. So every
    publish of it carries the same bytes.
    """

    type: EventType
    version: int
    at: str
    status: Status
    refunded_minor: int
    payment: str | None = None
    """The Razorpay payment id it is about."""
    method: str | None = None
    refund: str | None = None
    refund_minor: int | None = None
    code: str | None = None
    failure_reason: str | None = None
    review: Reason | None = None


def _empty[V]() -> Mapping[str, V]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One Razorpay order and everything we know about it.

    Times are ISO 8601 in UTC to the second, `attention_at` and `expires_at` are epoch seconds.
    """

    order_id: str
    order: Order | None
    """None while the status is `unknown`."""
    status: Status
    confirmed: bool
    """A capture of the right sum is known from Razorpay itself: the final truth."""
    version: int
    """Grows by one with every stored change, so that consumers can drop what is older."""
    created_at: str
    updated_at: str
    attempts: Mapping[str, Attempt] = field(default_factory=_empty)
    """By Razorpay payment id."""
    refunds: Mapping[str, Refund] = field(default_factory=_empty)
    """By Razorpay refund id."""
    reviews: tuple[Review, ...] = ()
    history: tuple[HistoryEntry, ...] = ()
    pending: Mapping[str, PendingEvent] = field(default_factory=_empty)
    """By event id: recorded, and not yet known to be on the bus."""
    superseded_by: str | None = None
    """The order id that took this one's place when the client agreed to something else."""
    attention_at: int | None = None
    """When reconcile must look at the record; None when nothing is due."""
    expires_at: int | None = None
    """When DynamoDB may delete it; only while the status is `unknown`."""

    def agreed(self) -> Order:
        """What was agreed.

        Raises:
            ValueError: the status is `unknown`; such a record is never handed out and has no events.
        """
        if self.order is None:
            raise ValueError("An unknown record has no order.")
        return self.order


# --- facts, as they arrive ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """The checkout signature of this payment was verified."""

    payment: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Authorized:
    """The bank holds the money."""

    payment: str
    method: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Captured:
    """The money is ours: the amount and the currency that were really captured."""

    payment: str
    amount_minor: int
    currency: str
    method: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """This payment failed, for now."""

    payment: str
    code: str | None = None
    reason: str | None = None
    method: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refunded:
    """A refund of this payment reached this state."""

    payment: str
    refund: str
    amount_minor: int
    state: RefundState


type Fact = Signed | Authorized | Captured | Failed | Refunded
