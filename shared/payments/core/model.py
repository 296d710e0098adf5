"""The payment record and the facts it consists of.

Facts are only ever added; the status is derived from them (see `transitions`). All amounts are integer minor units
(paise). `Status` has our own words; Razorpay's event names are in `webhooks`.
"""

import re
from collections.abc import Mapping
from copy import replace
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

# Razorpay's ids: prefix, underscore, 14 case-sensitive alphanumerics ("API basics"). In the models' patterns `$`
# matches only the end of the text; in Python's it would accept a trailing line break.
_ORDER_ID, _PAYMENT_ID, _REFUND_ID, _DISPUTE_ID = (
    rf"{kind}_[A-Za-z0-9]{{14}}" for kind in ("order", "pay", "rfnd", "disp")
)
ORDER_ID = re.compile(rf"\A{_ORDER_ID}\Z")
PAYMENT_ID = re.compile(rf"\A{_PAYMENT_ID}\Z")
REFUND_ID = re.compile(rf"\A{_REFUND_ID}\Z")
DISPUTE_ID = re.compile(rf"\A{_DISPUTE_ID}\Z")
DISPUTE_ID_PATTERN = f"^{_DISPUTE_ID}$"
ORDER_ID_PATTERN, PAYMENT_ID_PATTERN, REFUND_ID_PATTERN = (f"^{form}$" for form in (_ORDER_ID, _PAYMENT_ID, _REFUND_ID))
# Our own: a UUID in its usual form.
INTENT_ID = re.compile(r"\A[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")

# Clients read our ids as JSON numbers: a double represents every integer up to this one exactly.
MAX_ID = 2**53 - 1

OrderId = Annotated[str, Field(pattern=ORDER_ID_PATTERN)]
PaymentId = Annotated[str, Field(pattern=PAYMENT_ID_PATTERN)]
RefundId = Annotated[str, Field(pattern=REFUND_ID_PATTERN)]
DisputeId = Annotated[str, Field(pattern=DISPUTE_ID_PATTERN)]
PlatformId = Annotated[int, Field(ge=1, le=MAX_ID)]
"""An id that the platform or this service assigned."""


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
        if not changes.keys() <= self.__pydantic_fields__.keys():
            unknown = changes.keys() - self.__pydantic_fields__.keys()
            raise TypeError(f"{type(self).__name__} has no {', '.join(sorted(unknown))}")
        return self.model_copy(update=changes)


class Status(StrEnum):
    """An order's status, in our own words."""

    UNKNOWN = "unknown"
    """Known only from a webhook or a list of Razorpay's: there are facts, but no agreed order to compare them with."""
    CREATED = "created"
    AUTHORIZED = "authorized"
    PAID = "paid"
    FAILED = "failed"
    """No attempt is alive. Not final: a failed payment can still be authorized and captured days later."""
    REFUNDED = "refunded"
    """Every payment that matches the order is returned (see `position`). Final."""


class RefundState(StrEnum):
    """A refund's state, in ascending order. Only `PROCESSED` moved money, and it is the last."""

    CREATED = "created"
    FAILED = "failed"
    PROCESSED = "processed"

    @property
    def rank(self) -> int:
        """Its position in the order above. Of two reports, the higher one is kept."""
        return _REFUND_RANK[self]


_REFUND_RANK = {state: rank for rank, state in enumerate(RefundState)}


class IntentState(StrEnum):
    """What became of a refund that was requested from us."""

    OPEN = "open"
    """Razorpay was or will be asked for it, and has not answered: it may or may not exist."""
    REFUSED = "refused"
    """Razorpay refused it, so its amount is free again."""
    MADE = "made"
    """It exists at Razorpay, which may still fail to process it."""


class DisputeState(StrEnum):
    """A dispute's state, by the name of the event that reports it. How they follow each other is in `disputes`."""

    OPEN = "open"
    UNDER_REVIEW = "under_review"
    """The evidence was submitted, and the bank reviews it."""
    ACTION_REQUIRED = "action_required"
    """The evidence is insufficient: somebody must add to it before `respond_by`."""
    CLOSED = "closed"
    """A suspicion of fraud that ended."""
    WON = "won"
    LOST = "lost"
    """The customer has the money back. Final."""


Later = str
"""A value from a later version, read after a rollback. It is kept and published unchanged, never refused."""

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
    "refund_in_doubt",
    "dispute_lost",
    "too_many_disputes",
    "expired_order",
]
"""Why a person must review an order."""

Verdict = Literal["exact", "fee", "offer"]
"""How a captured payment matches its order: the agreed amount, that amount plus the fee that the customer bears, or
less within what the setting `ACCEPT_OFFERS` allows."""

Resolution = Literal["returned", "accepted", "captured", "agreed", "matched", "released", "known", "noted"]
"""What closed a review."""

RefundReason = Literal[
    "cancelled", "not_delivered", "not_as_agreed", "duplicate", "wrong_amount", "fraudulent", "goodwill", "other"
]
"""Why a refund was requested. A code and no text, which could be personal."""

RefundRefusal = Literal["nothing_left", "amount", "too_old", "not_captured", "insufficient_balance", "refused"]
"""Why Razorpay refused a refund. `refused` stands for every reason that is not documented."""

Cause = Literal[
    "agreed_with_client", "client_request", "duplicate", "fraud", "gateway_support", "incident", "not_delivered"
]
"""Why an operator decided something. The ticket has the rest: free text could contain anything."""


class Lane(StrEnum):
    """What processes a record when it is due. Each lane has separate partitions in the sparse index."""

    OUTBOX = "outbox"
    """Publishes pending events, without calling Razorpay."""
    WATCH = "watch"
    """Asks Razorpay about one order of ours."""
    UNKNOWN = "unknown"
    """Asks Razorpay whose order it is."""


class Purchase(Model):
    """Who pays whom for what, by the platform's ids.

    The request body, the record, the notes at Razorpay and the response to a read all take these fields from here.
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
        """Return the purchase's fields, for another model or a response. Fields without a value are left out."""
        values = ((name, getattr(self, name)) for name in Purchase.model_fields)
        return {name: value for name, value in values if value is not None}


class Order(Purchase):
    """What was agreed when the order was created. It never changes."""

    payment_id: int
    """Our own id of the payment: a small unique integer."""
    amount_minor: Annotated[int, Field(alias="amount")]
    currency: str
    receipt: str
    """At most 40 characters, never used twice."""

    def same_fields(self, other: "Order") -> bool:
        """Return whether both are the same purchase, apart from the payment id and receipt that we assigned."""
        return other.numbered(self.payment_id, receipt=self.receipt) == self

    def numbered(self, payment_id: int, *, receipt: str) -> "Order":
        """Return the same purchase with this payment id and receipt."""
        return replace(self, payment_id=payment_id, receipt=receipt)


class Attempt(Model):
    """The facts about one Razorpay payment. They are never removed."""

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
    """How the capture matches the order; None if it does not, or before a capture."""
    matched_in: Annotated[int | None, Field(alias="matched")] = None
    """The record's version in which it first matched: the first recorded match stands."""
    created_at: Annotated[int | None, Field(alias="made")] = None
    """When Razorpay created the payment (epoch seconds): orders matches that were recorded in the same version."""
    failed_at: int | None = None
    """When it failed, epoch seconds, if Razorpay said so."""
    listed_failed_at: Annotated[int | None, Field(alias="listed_failed")] = None
    """When the query started that listed it as failed: only that ends the claim of an earlier signature."""
    lapsed: bool = False
    """Not captured when Razorpay was asked for the last time: its signature no longer makes the order paid."""
    released: bool = False
    """An operator released it: neither its signature nor its authorization counts any more."""
    accepted: bool = False
    """An operator accepted it although it does not match, or its order was superseded or had expired."""
    total_minor: Annotated[int, Field(alias="total")] = 0
    """The highest total of its refunds that Razorpay has reported (`amount_refunded`)."""
    refunds_unread: Annotated[bool, Field(alias="unread")] = False
    """That total disagrees with the refunds we know: Razorpay's list of refunds must be read."""
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
    """The highest that was reported."""
    failed: bool = False
    """It was reported as failed as well as processed."""
    intent: str | None = None
    """The intent that it fulfils; None for a refund that was made elsewhere."""


class RefundIntent(Model):
    """A refund that was requested from us, stored before Razorpay is asked for it. Its id is derived (`refunding`)."""

    payment_id: Annotated[str, Field(alias="payment")]
    """The Razorpay payment to pay back."""
    amount_minor: Annotated[int, Field(alias="amount")]
    reason: RefundReason | Later | None = None
    fingerprint: str
    """Of the request's body, to tell a repetition from another request under the same key."""
    requested_at: Annotated[int, Field(alias="requested")]
    """Epoch seconds."""
    asked_at: Annotated[int | None, Field(alias="asked")] = None
    """When Razorpay was last asked to make it, epoch seconds. None if it certainly does not exist yet."""
    state: IntentState = IntentState.OPEN
    refund_id: Annotated[str | None, Field(alias="refund")] = None
    """Razorpay's id of the refund, once it is known."""
    refusal: RefundRefusal | Later | None = None
    """Why Razorpay refused it."""

    @property
    def is_open(self) -> bool:
        """Return whether only Razorpay knows if the refund exists."""
        return self.state is IntentState.OPEN


class Dispute(Model):
    """The facts about one Razorpay dispute id, as of the report that ranks highest (see `disputes`)."""

    payment_id: Annotated[str, Field(alias="payment")]
    """The Razorpay payment whose money is demanded back."""
    amount_minor: Annotated[int, Field(alias="amount")]
    """The sum in dispute."""
    currency: str
    state: DisputeState
    deducted_minor: Annotated[int, Field(alias="deducted")] = 0
    """What its loss took from our balance; 0 unless it is lost."""
    phase: str | None = None
    """Razorpay's phase, such as `chargeback`."""
    reason_code: Annotated[str | None, Field(alias="reason")] = None
    """Razorpay's code, such as `goods_or_services_not_received_or_partially_received`."""
    respond_by: int | None = None
    """Until when Razorpay takes an answer, epoch seconds."""
    created_at: Annotated[int | None, Field(alias="made")] = None
    """When it was created, epoch seconds."""
    at: int | None = None
    """When the state was reported, epoch seconds: the time of the event, or of the query that found it."""
    released: bool = False
    """An operator looked at the loss and released the payment: the client may pay again."""


class Review(Model):
    """A reason for a person to review the order, and the payment, refund or order id it is about."""

    reason: Reason | Later
    subject: str
    at: str
    resolved_at: str | None = None
    """None while it is open."""
    resolution: Resolution | Later | None = None

    @property
    def is_open(self) -> bool:
        """Return whether a person must still decide."""
        return self.resolved_at is None


TICKET_PATTERN: Final = r"^[A-Za-z0-9-]{1,40}$"


class Mandate(Model):
    """Who decided something, and why. The caller of the command states it; see docs/operating.md for what proves it."""

    role: Annotated[str, Field(pattern=r"^[A-Za-z0-9_+=,.@-]{1,64}$")]
    """The IAM role that was assumed, or the kind of user."""
    session: Annotated[str, Field(pattern=r"^[A-Za-z0-9_+=,.@-]{1,64}$")]
    """The role session's name."""
    cause: Cause | RefundReason | Later | None = None
    """None for a refund whose caller gave no reason."""
    ticket: Annotated[str | None, Field(pattern=TICKET_PATTERN)] = None
    """None for a refund whose caller named none."""


class HistoryEntry(Model):
    """One stored change: what was reported, and the resulting status."""

    at: str
    what: str
    """The facts, such as `captured pay_DESlfW9H8K9uqM`; several are joined by a comma."""
    status: Status
    by: Mandate | None = None
    """Who decided it, and why; None for what Razorpay or the client reported."""


EventType = Literal[
    "payment.paid",
    "payment.failed",
    "payment.partially_refunded",
    "payment.refunded",
    "payment.surplus_refunded",
    "payment.refund_failed",
    "payment.review",
    "payment.dispute_changed",
    "payment.expired",
]


class PendingEvent(Model):
    """An event that is stored but not yet known to be on the bus.

    It keeps values that can change later; everything else comes from the order, which never changes. So every publish
    carries the same bytes.
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
    disputed_minor: Annotated[int, Field(alias="disputed")] = 0
    dispute: str | None = None
    dispute_then: Dispute | None = None
    """The dispute as it was then."""


OldStatus = Literal["created", "failed", "paid", "refunded"]
"""A status of the service that this one replaced, least advanced first."""
OLD_PAID: Final = frozenset({"paid", "refunded"})
"""The ones that it told others as paid."""


class Imported(Model):
    """What the service that this one replaced had of an order (see `importing`)."""

    status: OldStatus | Later
    at: int
    """When its rows were exported, epoch seconds. It told other services about everything before."""

    @property
    def was_paid(self) -> bool:
        """Return whether that service told others that it was paid."""
        return self.status in OLD_PAID


class Record(Model):
    """One Razorpay order and everything we know about it.

    Times are ISO 8601 in UTC to the second; `expired_at`, `attention_at`, `looked_at` and `expires_at` are epoch
    seconds.
    """

    order_id: str
    order: Order | None
    """None while the status is `unknown`."""
    status: Status
    confirmed: bool
    """Razorpay itself reported a capture that stood. Never reset."""
    version: int
    """Grows by one with every change that adds information, so that consumers can ignore older events."""
    created_at: str
    updated_at: str
    attempts: Mapping[str, Attempt] = Field(default_factory=dict, alias="payments")
    """By Razorpay payment id."""
    refunds: Mapping[str, Refund] = Field(default_factory=dict)
    """By Razorpay refund id."""
    refund_intents: Mapping[str, RefundIntent] = Field(default_factory=dict)
    """By intent id: the refunds that were requested from us."""
    disputes: Mapping[str, Dispute] = Field(default_factory=dict)
    """By Razorpay dispute id. Absent from an item while there are none."""
    reviews: Annotated[tuple[Review, ...], Field(alias="review")] = ()
    history: tuple[HistoryEntry, ...] = ()
    pending: Mapping[str, PendingEvent] = Field(default_factory=dict)
    """By event id: recorded but not yet known to be on the bus."""
    superseded_by: str | None = None
    """The order that replaced this one. What is captured here afterwards does not stand by itself."""
    expired_at: Annotated[int | None, Field(alias="expired")] = None
    """When the order expired unpaid (see `expiry`). A payment made afterwards does not stand by itself."""
    stood: str | None = None
    """The payment that stands, or the last one that stood; None while none ever did."""
    released: bool = False
    """An operator released it as unpaid: it no longer counts towards its application's limit."""
    looked_at: int | None = None
    """When Razorpay was last asked about it; None before the first time."""
    lane: Lane | None = None
    """The lane that processes the record next; None if nothing is due."""
    attention_at: int | None = None
    """When that is due; None if nothing is."""
    failures: int = 0
    """How often in a row processing it failed. Each failure lengthens the next wait."""
    foreign: bool = False
    """The order's notes at Razorpay say that it is not ours. Only such a record expires."""
    expires_at: int | None = None
    """When DynamoDB may delete it; only for a foreign order."""
    imported: Imported | None = None
    """Where it came from, if this service did not create it."""
    unsettled: bool = False
    """It was imported as paid or refunded, and is too old for Razorpay's API to tell. Until a capture is reported."""

    def agreed(self) -> Order:
        """Return what was agreed.

        Raises:
            ValueError: the status is `unknown`; such a record is never shown and has no events.
        """
        if self.order is None:
            raise ValueError("An unknown record has no order.")
        return self.order


class Application(Model):
    """The orders of one client's application. It decides which of them create-order returns."""

    client_id: int
    application_id: int
    current: str
    """The order id that create-order returns."""
    orders: tuple[str, ...]
    """Every order id it ever had, including the current one. None is ever removed."""


class KnownRefund(Model):
    """What is known of a refund, stored under its own id: Razorpay's refund names its payment but not its order."""

    refund_id: str
    payment_id: Annotated[str, Field(alias="payment")]
    order_id: str | None = None
    """None for a refund of a payment that is not ours."""
    amount_minor: Annotated[int, Field(alias="amount")]
    state: RefundState


class KnownDispute(Model):
    """What is known of a dispute, stored under its own id: Razorpay's dispute names its payment but not its order."""

    dispute_id: str
    payment_id: Annotated[str, Field(alias="payment")]
    order_id: str | None = None
    """None for a dispute about a payment that is not ours."""
    state: DisputeState
    phase: str | None = None
    deducted_minor: Annotated[int, Field(alias="deducted")] = 0


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
    """The payment was captured, with this amount and currency."""

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
    """When, epoch seconds, if known."""
    listed_at: int | None = None
    """When the query that listed it started; None for a webhook, which never ends a signature's claim."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refunded:
    """A refund of this payment reached this state."""

    payment: str
    refund: str
    amount_minor: int
    state: RefundState
    created_at: int | None = None
    intent: str | None = None
    """The intent that its notes name; None if it was made elsewhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundTotal:
    """Razorpay's own total of a payment's refunds, including created ones: evidence, not a fact."""

    payment: str
    amount_minor: int
    complete: bool = False
    """Whether every refund that Razorpay lists for the payment arrived with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Disputed:
    """A dispute about this payment reached this state."""

    payment: str
    dispute: str
    amount_minor: int
    currency: str
    state: DisputeState
    deducted_minor: int = 0
    phase: str | None = None
    reason_code: str | None = None
    respond_by: int | None = None
    created_at: int | None = None
    at: int | None = None
    """When it was reported, epoch seconds: the time of the event, or of the query that found it."""
    is_current: bool = False
    """It is Razorpay's answer about this one dispute, so it is the state at that time and not an earlier one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NeverCaptured:
    """Razorpay was asked for the last time, and the payment was neither captured nor returned."""

    payment: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """An operator accepted the payment although it does not match, or its order was superseded or had expired."""

    payment: str
    by: Mandate | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Released:
    """An operator released the payment: no signature, authorization or lost dispute of it counts any more."""

    payment: str
    by: Mandate | None = None


type Fact = (
    Signed | Authorized | Captured | Failed | Refunded | RefundTotal | Disputed | NeverCaptured | Accepted | Released
)
