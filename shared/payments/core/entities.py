"""Razorpay's entities, as its webhooks and its API have them: what we read of each; everything else is left alone.

A field has the name and the form that Razorpay documents ("Payment entity", "Refund entity", "Order entity"). What is
kept of them becomes facts here, and whose an order is, its notes say.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, get_args

from pydantic import BeforeValidator, ConfigDict, Field, Strict, model_validator

from payments.core.model import (
    MAX_ID,
    Authorized,
    Captured,
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
"""In the notes of every order we make, so that it can be told from a foreign one on a shared Razorpay account."""

# Kept in records and events, so only what cannot carry personal data: Razorpay's own identifiers. None of those has
# five digits in a row; every phone number, card and account has.
_WORD = re.compile(r"\A(?!\w*[0-9]{5})[A-Za-z0-9_]{1,64}\Z")


def _word(value: object) -> str | None:
    return value if isinstance(value, str) and _WORD.match(value) else None


def _lenient(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_ID else None


Text = Annotated[str, Strict()]
MinorUnits = Annotated[int, Field(strict=True, ge=0, le=MAX_ID)]
"""No larger than what consumers can read, and what the table can hold (38 digits)."""
SomeMinorUnits = Annotated[int, Field(strict=True, ge=1, le=MAX_ID)]
Word = Annotated[str | None, BeforeValidator(_word)]
"""One of Razorpay's own identifiers; anything else is not kept."""
Number = Annotated[int | None, BeforeValidator(_lenient)]
"""A number that is worth having where it is one; an entity that lacks it is as good."""

_REFUND_STATES = {
    "pending": RefundState.CREATED,
    "processed": RefundState.PROCESSED,
    "failed": RefundState.FAILED,
}


class PaymentEntity(Model):
    """A payment, in a webhook or in an answer of the API."""

    id: PaymentId
    order_id: OrderId | None = None
    amount: MinorUnits
    currency: Annotated[str, Field(strict=True, pattern=r"^[A-Z]{3}$")]
    status: Text | None = None
    captured: bool | None = None
    """True or false, or what stands for it elsewhere: 1, "true", "yes" and their opposites."""
    method: Word = None
    fee: Number = None
    amount_refunded: Number = None
    error_code: Word = None
    error_reason: Word = None
    created_at: Number = None

    @property
    def says_captured(self) -> bool:
        """Both fields agree that it was captured; what came after does not undo that."""
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
        """The fact that it was authorised."""
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
        """Razorpay's sum of its refunds, where there is one."""
        return (RefundTotal(payment=self.id, amount_minor=self.amount_refunded),) if self.amount_refunded else ()


class RefundEntity(Model):
    """A refund, in a webhook or in an answer of the API."""

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


# --- as a webhook has them ("Payment webhooks", "Refund webhooks", "Order webhooks") ----------------------------------


class Enclosed[Entity: Model](Model):
    """What every entity in a webhook's payload is wrapped in."""

    entity: Entity


class OrderReference(Model):
    """An order, in a webhook."""

    id: OrderId


class PaymentPayload(Model):
    """The payload of an event about a payment."""

    payment: Enclosed[PaymentEntity]
    order: Enclosed[OrderReference] | None = None


class RefundPayload(Model):
    """The payload of an event about a refund."""

    payment: Enclosed[PaymentEntity]
    refund: Enclosed[RefundEntity]


# --- as the API lists them ------------------------------------------------------------------------------------------


class ListedPayment(PaymentEntity):
    """A payment as the API lists it.

    It has no event name, so its `status` decides, and where `captured` contradicts it the payment is left alone: a
    webhook, or the next look, will say it in other words ("Fetch payments for an order").
    """

    @property
    def has_refunds(self) -> bool:
        """Whether its refunds must be listed too: the payment alone does not say which they are."""
        return bool(self.amount_refunded) or self.status == "refunded"

    @property
    def in_flight(self) -> bool:
        """Whether the customer is still at the bank: no answer has come yet."""
        return self.status == "created"

    def facts(
        self, refunds: "Sequence[ListedRefund] | None" = None, *, looked_at: int | None = None, totals: bool = True
    ) -> tuple[Fact, ...]:
        """What it says, and what its refunds say.

        Args:
            refunds: every refund that is listed for it; None where they were not asked for.
            looked_at: when the look began that asked for this order, epoch seconds; None for an account's list, which
                may be minutes behind and so ends no signature's claim.
            totals: whether Razorpay's sum of its refunds belongs to it.
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
        """How far it got; None for a word that Razorpay does not document."""
        return _REFUND_STATES.get(self.status)

    def facts(self) -> tuple[Fact, ...]:
        """What it says."""
        return () if self.state is None else (self.as_refunded(self.state),)


class ListedOrder(Model):
    """An order in `GET /v1/orders/{id}`, and in the list of `GET /v1/orders`."""

    id: Text
    amount: SomeMinorUnits
    currency: Text
    status: Text | None = None
    receipt: Text | None = None
    notes: Any = None
    """Whatever the order's maker noted. Empty notes are a list there, not an object."""
    created_at: MinorUnits


# --- what we note on an order ---------------------------------------------------------------------------------------


def _decimal(value: object) -> object:
    """Notes are texts: `"42"` is the id 42."""
    return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() else value


class OrderNotes(Purchase):
    """The notes of an order of ours: all that is needed to rebuild its record from Razorpay, should it ever be missing.

    Razorpay keeps notes as texts. An order without an installation was made by version 0.1, which did not note it.
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
        """The notes as Razorpay takes them."""
        return {name: str(value) for name, value in self.model_dump(exclude_none=True).items()}


_NOTED_NUMBERS = frozenset(
    name for name, field in OrderNotes.model_fields.items() if int in (field.annotation, *get_args(field.annotation))
)
