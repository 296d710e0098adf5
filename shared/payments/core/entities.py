"""Razorpay's entities in webhooks and API responses, with the fields that we read. All others are ignored.

Fields have the names and types that Razorpay documents ("Payment entity", "Refund entity", "Order entity"). They are
converted to facts here. An order's notes say whose it is.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, get_args

from pydantic import BeforeValidator, ConfigDict, Field, Strict, model_validator

from payments.core.model import (
    MAX_ID,
    Authorized,
    Captured,
    Disputed,
    DisputeId,
    DisputeState,
    Fact,
    Failed,
    Model,
    OrderId,
    PaymentId,
    PlatformId,
    Purchase,
    Refunded,
    RefundId,
    RefundState,
    RefundTotal,
)

MARKER = "payment-service"
"""In the notes of every order we create, to distinguish it from foreign orders on a shared Razorpay account."""

# Stored in records and events, so it must not contain personal data: Razorpay's own identifiers only. None of those has
# five digits in a row; every phone, card and account number has.
_WORD = re.compile(r"\A(?!\w*[0-9]{5})[A-Za-z0-9_]{1,64}\Z")


# The last second of Razorpay's own range, in 2120 ("Fetch all payments": to). A later one is no date.
_LATEST = 4_765_046_400


def _word(value: object) -> str | None:
    return value if isinstance(value, str) and _WORD.match(value) else None


def _lenient(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_ID else None


def _moment(value: object) -> int | None:
    number = _lenient(value)
    return number if number is not None and number <= _LATEST else None


Text = Annotated[str, Strict()]
MinorUnits = Annotated[int, Field(strict=True, ge=0, le=MAX_ID)]
"""No larger than consumers can read and the table can store (38 digits)."""
SomeMinorUnits = Annotated[int, Field(strict=True, ge=1, le=MAX_ID)]
Word = Annotated[str | None, BeforeValidator(_word)]
"""One of Razorpay's own identifiers; anything else is dropped."""
Number = Annotated[int | None, BeforeValidator(_lenient)]
"""An optional number; anything else is dropped."""
Moment = Annotated[int | None, BeforeValidator(_moment)]
"""An optional time in epoch seconds; anything else is dropped."""

_REFUND_STATES = {
    "pending": RefundState.CREATED,
    "processed": RefundState.PROCESSED,
    "failed": RefundState.FAILED,
}


_DISPUTE_STATES = {state.value: state for state in DisputeState if state is not DisputeState.ACTION_REQUIRED}


class PaymentEntity(Model):
    """A payment in a webhook or an API response."""

    id: PaymentId
    order_id: OrderId | None = None
    amount: MinorUnits
    currency: Annotated[str, Field(strict=True, pattern=r"^[A-Z]{3}$")]
    status: Text | None = None
    captured: bool | None = None
    """Also accepts 1, "true", "yes" and their opposites."""
    method: Word = None
    fee: Number = None
    amount_refunded: Number = None
    error_code: Word = None
    error_reason: Word = None
    created_at: Number = None

    @property
    def says_captured(self) -> bool:
        """Whether both fields agree that it was captured. A later refund does not undo that."""
        return self.captured is True and self.status in {"captured", "refunded"}

    def as_captured(self) -> Captured:
        """The fact that it was captured."""
        return Captured(
            payment=self.id,
            amount_minor=self.amount,
            currency=self.currency,
            fee_minor=self.fee,
            method=self.method,
            created_at=self.created_at,
        )

    def as_authorized(self) -> Authorized:
        """The fact that it was authorized."""
        return Authorized(payment=self.id, method=self.method, created_at=self.created_at)

    def as_failed(self, *, at: int | None = None, listed_at: int | None = None) -> Failed:
        """The fact that it failed."""
        return Failed(
            payment=self.id,
            code=self.error_code,
            reason=self.error_reason,
            method=self.method,
            created_at=self.created_at,
            at=at,
            listed_at=listed_at,
        )

    def totals(self) -> tuple[RefundTotal, ...]:
        """Razorpay's total of its refunds, if there are any."""
        return (RefundTotal(payment=self.id, amount_minor=self.amount_refunded),) if self.amount_refunded else ()


class RefundEntity(Model):
    """A refund in a webhook or an API response."""

    id: RefundId
    payment_id: PaymentId
    amount: SomeMinorUnits
    created_at: Number = None

    def as_refunded(self, state: RefundState) -> Refunded:
        """The fact that it reached this state."""
        return Refunded(
            payment=self.payment_id,
            refund=self.id,
            amount_minor=self.amount,
            state=state,
            created_at=self.created_at,
        )


class DisputeEntity(Model):
    """A dispute in a webhook or an API response ("Disputes entity"). Its evidence is never read."""

    id: DisputeId
    payment_id: PaymentId
    amount: MinorUnits
    currency: Annotated[str, Field(strict=True, pattern=r"^[A-Z]{3}$")]
    amount_deducted: MinorUnits = 0
    phase: Word = None
    reason_code: Word = None
    respond_by: Moment = None
    created_at: Number = None

    def as_disputed(self, state: DisputeState, at: int | None, *, is_current: bool = False) -> Disputed:
        """The fact that it reached this state.

        Args:
            state: by the event's name, or by the status in the API.
            at: when that was reported, epoch seconds.
            is_current: whether it is the API's answer about this dispute alone, which does not lag.
        """
        return Disputed(
            payment=self.payment_id,
            dispute=self.id,
            amount_minor=self.amount,
            currency=self.currency,
            state=state,
            deducted_minor=self.amount_deducted,
            phase=self.phase,
            reason_code=self.reason_code,
            respond_by=self.respond_by,
            created_at=self.created_at,
            at=at,
            is_current=is_current,
        )


# --- in webhooks ("Payment webhooks", "Refund webhooks", "Order webhooks") --------------------------------------------


class Enclosed[Entity: Model](Model):
    """The wrapper of every entity in a webhook's payload."""

    entity: Entity


class OrderReference(Model):
    """An order in a webhook."""

    id: OrderId


class PaymentPayload(Model):
    """The payload of an event about a payment."""

    payment: Enclosed[PaymentEntity]
    order: Enclosed[OrderReference] | None = None


class RefundPayload(Model):
    """The payload of an event about a refund."""

    payment: Enclosed[PaymentEntity]
    refund: Enclosed[RefundEntity]


class PaymentReference(Model):
    """A payment in a webhook about something else, of which only the order counts."""

    id: PaymentId
    order_id: OrderId | None = None


class DisputePayload(Model):
    """The payload of an event about a dispute.

    Of the payment only its order is read: Razorpay's samples show a disputed payment as `authorized` and not captured
    ("Disputes webhook events": won, under review).
    """

    payment: Enclosed[PaymentReference]
    dispute: Enclosed[DisputeEntity]


# --- as the API lists them ------------------------------------------------------------------------------------------


class ListedPayment(PaymentEntity):
    """A payment as the API lists it.

    It has no event name, so its `status` decides. If `captured` contradicts that, the payment is ignored: a webhook or
    the next query will clear it up ("Fetch payments for an order").
    """

    @property
    def has_refunds(self) -> bool:
        """Whether its refunds must be listed too, because the payment does not name them."""
        return bool(self.amount_refunded) or self.status == "refunded"

    @property
    def in_flight(self) -> bool:
        """Whether the customer is still at the bank, which has not responded yet."""
        return self.status == "created"

    def facts(
        self, refunds: "Sequence[ListedRefund] | None" = None, *, looked_at: int | None = None, totals: bool = True
    ) -> tuple[Fact, ...]:
        """Return the facts about the payment and its refunds.

        Args:
            refunds: every refund that is listed for it; None if they were not queried.
            looked_at: when the query for this order started, epoch seconds; None for an account's list, which may lag
                by minutes and so ends no signature's claim.
            totals: whether to include Razorpay's total of its refunds.
        """
        facts: list[Fact] = []
        if self.says_captured:
            facts.append(self.as_captured())
        elif self.captured is not True and self.status == "authorized":
            facts.append(self.as_authorized())
        elif self.captured is not True and self.status == "failed":
            facts.append(self.as_failed(listed_at=looked_at))
        if refunds is None:
            return (*facts, *(self.totals() if totals else ()))
        facts.extend(fact for refund in refunds for fact in refund.facts())
        total = RefundTotal(payment=self.id, amount_minor=self.amount_refunded or 0, complete=True)
        return (*facts, total)


class ListedRefund(RefundEntity):
    """A refund as the API lists it."""

    status: Text

    @property
    def state(self) -> RefundState | None:
        """Its state; None for a status that Razorpay does not document."""
        return _REFUND_STATES.get(self.status)

    def facts(self) -> tuple[Fact, ...]:
        """Return the fact that it reached its state."""
        return () if self.state is None else (self.as_refunded(self.state),)


class ListedDispute(DisputeEntity):
    """A dispute as the API lists it."""

    status: Text

    @property
    def state(self) -> DisputeState | None:
        """Its state; None for a status that Razorpay does not document. The API has no `action_required`."""
        return _DISPUTE_STATES.get(self.status)


class ListedOrder(Model):
    """An order in `GET /v1/orders/{id}`, and in the list of `GET /v1/orders`."""

    id: Text
    amount: SomeMinorUnits
    currency: Text
    status: Text | None = None
    receipt: Text | None = None
    notes: Any = None
    """Set by whoever created the order. Razorpay returns empty notes as a list, not as an object."""
    created_at: MinorUnits


# --- our notes on an order ------------------------------------------------------------------------------------------


def _decimal(value: object) -> object:
    """Return the number in a note: Razorpay stores the id 42 as `"42"`."""
    return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() else value


class OrderNotes(Purchase):
    """The notes of our orders: everything needed to rebuild a missing record from Razorpay.

    Razorpay stores notes as strings. Orders without an installation are version 0.1's, which did not note it.
    """

    model_config = ConfigDict(strict=True)

    service: str
    stage: str
    installation: str | None = None
    payment_id: PlatformId

    @model_validator(mode="before")
    @classmethod
    def _read_texts(cls, notes: object) -> object:
        if not isinstance(notes, Mapping):
            return notes
        return {name: _decimal(value) if name in _NOTED_NUMBERS else value for name, value in notes.items()}

    def texts(self) -> dict[str, str]:
        """Return the notes in Razorpay's format."""
        return {name: str(value) for name, value in self.model_dump(exclude_none=True).items()}


_NOTED_NUMBERS = frozenset(
    name for name, field in OrderNotes.model_fields.items() if int in (field.annotation, *get_args(field.annotation))
)
