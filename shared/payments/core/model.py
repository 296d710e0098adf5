"""The payment record and the facts it is made of.

Facts only grow; the status is their projection (see `transitions`). All amounts are integer minor units (paise).
Two vocabularies are kept apart: `Status` is ours, the gateway's event names live in `webhooks`.
"""

import re
from collections.abc import Mapping
from copy import replace
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

# Razorpay's ids: prefix, underscore, 14 case-sensitive alphanumerics ("API basics"). In the models' patterns `$` is the
# very end of the text; in Python's it would let a line break pass.
_ORDER_ID, _PAYMENT_ID, _REFUND_ID = (rf"{kind}_[A-Za-z0-9]{{14}}" for kind in ("order", "pay", "rfnd"))
ORDER_ID = re.compile(rf"\A{_ORDER_ID}\Z")
PAYMENT_ID = re.compile(rf"\A{_PAYMENT_ID}\Z")
REFUND_ID = re.compile(rf"\A{_REFUND_ID}\Z")
ORDER_ID_PATTERN, PAYMENT_ID_PATTERN, REFUND_ID_PATTERN = (f"^{form}$" for form in (_ORDER_ID, _PAYMENT_ID, _REFUND_ID))

# Clients keep our ids in JSON numbers; this is the last integer that a double holds exactly.
MAX_ID = 2**53 - 1

OrderId = Annotated[str, Field(pattern=ORDER_ID_PATTERN)]
PaymentId = Annotated[str, Field(pattern=PAYMENT_ID_PATTERN)]
RefundId = Annotated[str, Field(pattern=REFUND_ID_PATTERN)]
PlatformId = Annotated[int, Field(ge=1, le=MAX_ID)]
"""An id that the platform, or we, gave to something."""


class Model(BaseModel):
    """What all our models are: frozen, and silent about the values that they refuse.

    A validator is built on first use, or in Init where a function names the model (`priming`): most functions use half
    of the models that they import.

    A field has an `alias` where its attribute in the table has another name; only the table's adapter uses those.
    """

    model_config = ConfigDict(
        frozen=True, validate_by_name=True, validate_by_alias=False, hide_input_in_errors=True, defer_build=True
    )

    def __replace__(self, **changes: Any) -> Self:  # noqa: ANN401 - a field's
        """The same with some fields changed (`copy.replace`). The values are ours, so they are not validated again.

        Raises:
            TypeError: there is no such field.
        """
        unknown = changes.keys() - self.__pydantic_fields__.keys()
        if unknown:
            raise TypeError(f"{type(self).__name__} has no {', '.join(sorted(unknown))}")
        return self.model_copy(update=changes)


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

Later = str
"""A word of a later version, read after a rollback: kept and published as it is, no reason to refuse the record."""

Reason = Literal[
    "duplicate_capture",
    "amount_mismatch",
    "currency_mismatch",
    "superseded_order",
    "over_refunded",
    "refund_reversed",
    "refund_total_differs",
    "too_many_attempts",
    "too_many_orders",
    "never_captured",
]
"""Why a person should look at an order."""

Verdict = Literal["exact", "fee", "offer"]
"""How a captured payment matches its order: the agreed sum, the sum plus the fee that the customer bears, or the sum
less an offer that the setting `ACCEPT_OFFERS` admits."""

Resolution = Literal["returned", "accepted", "captured", "agreed", "matched", "released"]
"""What closed a review."""


class Lane(StrEnum):
    """Who looks at a record when its due time comes. The sparse index has partitions of its own for each."""

    OUTBOX = "outbox"
    """Publishes what is pending; needs nothing of Razorpay."""
    WATCH = "watch"
    """Asks Razorpay about one order of ours."""
    UNKNOWN = "unknown"
    """Asks Razorpay whose order it is."""


class Purchase(Model):
    """Who pays whom for what, by the platform's own ids: what a client asks for, and all that the platform is told.

    The request body, the record, the notes at Razorpay and the answer to a read all take these fields from here.
    """

    job_id: PlatformId
    """The job that is paid for."""
    application_id: PlatformId
    """The accepted application."""
    client_id: PlatformId
    """The user who pays."""
    freelancer_id: PlatformId
    """The user who is to be paid."""

    def purchase_fields(self) -> dict[str, Any]:
        """The purchase by field, for another model of it or an answer about it. What has no value is absent."""
        values = ((name, getattr(self, name)) for name in Purchase.model_fields)
        return {name: value for name, value in values if value is not None}


class Order(Purchase):
    """What was agreed when the order was made. Nothing in it ever changes."""

    payment_id: int
    """Our own id of the payment: a small unique integer."""
    amount_minor: Annotated[int, Field(alias="amount")]
    currency: str
    receipt: str
    """At most 40 characters, never used twice."""

    def same_fields(self, other: "Order") -> bool:
        """Whether both stand for the same purchase: what the client agreed to, not the ids we gave it."""
        return other.numbered(self.payment_id, receipt=self.receipt) == self

    def numbered(self, payment_id: int, *, receipt: str) -> "Order":
        """The same purchase under these ids of ours."""
        return replace(self, payment_id=payment_id, receipt=receipt)


class Attempt(Model):
    """The facts about one Razorpay payment id. None is taken back once it is known."""

    signed_at: Annotated[int | None, Field(alias="signed")] = None
    """When its checkout signature was verified (epoch seconds): the customer came back from a successful checkout."""
    authorized: bool = False
    captured: bool = False
    failed: bool = False
    amount_minor: Annotated[int | None, Field(alias="amount")] = None
    """As captured; None until then."""
    currency: str | None = None
    """As captured; None until then."""
    fee_minor: Annotated[int | None, Field(alias="fee")] = None
    """Razorpay's fee for it, tax included; None until Razorpay has reported it."""
    verdict: Verdict | Later | None = None
    """How the capture matches the order; None where it does not, or before a capture."""
    matched_in: Annotated[int | None, Field(alias="matched")] = None
    """The version of the record that first knew it as a match: the first recorded match stands."""
    created_at: Annotated[int | None, Field(alias="made")] = None
    """When Razorpay made the payment (epoch seconds): decides between matches that one version recorded together."""
    failed_at: int | None = None
    """When it failed, epoch seconds, as far as Razorpay said."""
    listed_failed_at: Annotated[int | None, Field(alias="listed_failed")] = None
    """When a look at Razorpay began that listed it as failed: only that ends the claim of an earlier signature."""
    lapsed: bool = False
    """Never captured, for as long as Razorpay was asked: its signature no longer makes the order paid."""
    released: bool = False
    """An operator looked and released it: neither its signature nor its authorisation counts any more."""
    accepted: bool = False
    """An operator accepted it although it does not match, or its order was superseded."""
    total_minor: Annotated[int, Field(alias="total")] = 0
    """The highest sum of its refunds that Razorpay has reported (`amount_refunded`)."""
    refunds_unread: Annotated[bool, Field(alias="unread")] = False
    """That sum disagrees with the refunds we know: Razorpay's list of refunds must be read."""
    method: str | None = None
    code: str | None = None
    """Razorpay's error code of the failure, such as `BAD_REQUEST_ERROR`."""
    reason: str | None = None
    """Razorpay's reason of the failure, such as `payment_cancelled`."""
    announced: bool = False
    """Its failure was announced by an event; it is announced only once."""


class Refund(Model):
    """The facts about one Razorpay refund id."""

    payment_id: Annotated[str, Field(alias="payment")]
    """The Razorpay payment it pays back."""
    amount_minor: Annotated[int, Field(alias="amount")]
    state: RefundState
    """The furthest that was reported."""
    failed: bool = False
    """It was reported as failed as well as processed."""


class Review(Model):
    """A reason for a person to look at the order, and the payment, refund or order id it is about."""

    reason: Reason | Later
    subject: str
    at: str
    resolved_at: str | None = None
    """None while it is open."""
    resolution: Resolution | Later | None = None

    @property
    def is_open(self) -> bool:
        """Whether a person should still look."""
        return self.resolved_at is None


class HistoryEntry(Model):
    """One stored change: what came in, and the status it led to."""

    at: str
    what: str
    """The facts, such as `captured pay_DESlfW9H8K9uqM`; several are joined by a comma."""
    status: Status


EventType = Literal[
    "payment.paid",
    "payment.failed",
    "payment.partially_refunded",
    "payment.refunded",
    "payment.surplus_refunded",
    "payment.review",
]


class PendingEvent(Model):
    """An event that is stored and not yet known to be on the bus.

    It keeps what can change after it was recorded; everything else comes from the order, which never does. So every
    publish of it carries the same bytes.
    """

    type: EventType | Later
    version: int
    at: str
    status: Status
    refunded_minor: Annotated[int, Field(alias="refunded")]
    payment: str | None = None
    """The Razorpay payment id it is about."""
    method: str | None = None
    refund: str | None = None
    refund_minor: Annotated[int | None, Field(alias="refund_amount")] = None
    code: str | None = None
    failure_reason: Annotated[str | None, Field(alias="reason")] = None
    review: Reason | Later | None = None
    review_state: Literal["open", "resolved"] | Later | None = None


class Record(Model):
    """One Razorpay order and everything we know about it.

    Times are ISO 8601 in UTC to the second; `attention_at`, `looked_at` and `expires_at` are epoch seconds.
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
    attempts: Mapping[str, Attempt] = Field(default_factory=dict, alias="payments")
    """By Razorpay payment id."""
    refunds: Mapping[str, Refund] = Field(default_factory=dict)
    """By Razorpay refund id."""
    reviews: Annotated[tuple[Review, ...], Field(alias="review")] = ()
    history: tuple[HistoryEntry, ...] = ()
    pending: Mapping[str, PendingEvent] = Field(default_factory=dict)
    """By event id: recorded, and not yet known to be on the bus."""
    superseded_by: str | None = None
    """The order id that took this one's place; nothing that is captured on it from then on stands by itself."""
    stood: str | None = None
    """The payment that stands, or the last one that stood; None while none ever did."""
    released: bool = False
    """An operator found it unpaid at Razorpay: it no longer counts towards its application's most orders."""
    looked_at: int | None = None
    """When Razorpay was last asked about it; None before the first time."""
    lane: Lane | None = None
    """Who must look at the record next; None when nothing is due."""
    attention_at: int | None = None
    """When they must; None when nothing is due."""
    failures: int = 0
    """How many looks in a row failed: each waits longer than the one before."""
    foreign: bool = False
    """Razorpay's own notes say that the order is not ours. Only such a record expires."""
    expires_at: int | None = None
    """When DynamoDB may delete it; only of a foreign order."""

    def agreed(self) -> Order:
        """What was agreed.

        Raises:
            ValueError: the status is `unknown`; such a record is never handed out and has no events.
        """
        if self.order is None:
            raise ValueError("An unknown record has no order.")
        return self.order


class Application(Model):
    """The orders of one client's application. It is the authority on which of them is handed out."""

    client_id: int
    application_id: int
    current: str
    """The order id that is handed out."""
    orders: tuple[str, ...]
    """Every order id that it ever had, the current one included. It only grows."""


class KnownRefund(Model):
    """What is known of a refund under its own id: a refund names its payment, but not its order."""

    refund_id: str
    payment_id: Annotated[str, Field(alias="payment")]
    order_id: str | None = None
    """None for a refund of a payment that is not ours."""
    amount_minor: Annotated[int, Field(alias="amount")]
    state: RefundState


# --- facts, as they arrive ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """The checkout signature of this payment was verified."""

    payment: str
    at: int
    """When, epoch seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Authorized:
    """The bank holds the money."""

    payment: str
    method: str | None = None
    created_at: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Captured:
    """The money is ours: the amount and the currency that were really captured."""

    payment: str
    amount_minor: int
    currency: str
    fee_minor: int | None = None
    method: str | None = None
    created_at: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """This payment failed, for now."""

    payment: str
    code: str | None = None
    reason: str | None = None
    method: str | None = None
    created_at: int | None = None
    at: int | None = None
    """When, epoch seconds, as far as that is known."""
    listed_at: int | None = None
    """When the look at Razorpay began that listed it; None for a webhook, which never ends a signature's claim."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refunded:
    """A refund of this payment reached this state."""

    payment: str
    refund: str
    amount_minor: int
    state: RefundState
    created_at: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundTotal:
    """Razorpay's own sum of a payment's refunds, created ones included: evidence, not a fact."""

    payment: str
    amount_minor: int
    complete: bool = False
    """Whether the facts beside it hold every refund that Razorpay lists for the payment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NeverCaptured:
    """Razorpay was asked for the last time, and the payment is neither captured nor given back."""

    payment: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """An operator lets the payment stand although it does not match, or its order was superseded."""

    payment: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Released:
    """An operator, after a look at Razorpay, found that the payment's signature or authorisation leads to nothing."""

    payment: str


type Fact = Signed | Authorized | Captured | Failed | Refunded | RefundTotal | NeverCaptured | Accepted | Released
