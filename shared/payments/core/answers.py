"""Response bodies.

Types for the type checker and for `make contracts`, which generates the response schemas in docs/openapi.yaml from
them. No function imports this module at run time: responses are our own, so they are not validated.
"""

from typing import Annotated, Literal, NotRequired, TypedDict

from pydantic import Field, WithJsonSchema

from payments.core.model import OrderId, PaymentId, PlatformId, Status

ShownStatus = Annotated[Status, WithJsonSchema({"enum": [word.value for word in Status if word is not Status.UNKNOWN]})]
"""A status in responses and events. A record of status `unknown` is never shown and has no events."""
CurrencyCode = Annotated[str, Field(pattern="^[A-Z]{3}$")]
"""ISO 4217 code."""
MinorUnits = Annotated[int, Field(ge=0)]
"""An amount in integer minor units of its currency (paise for INR)."""
Instant = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time"})]
"""ISO 8601 in UTC, to the second."""


class OrderAnswer(TypedDict):
    """The order to open Checkout with."""

    order_id: OrderId
    amount: MinorUnits
    currency: CurrencyCode
    status: ShownStatus
    payment_id: PlatformId
    key_id: str
    """Razorpay's public key id, for Checkout's `key` option."""


class VerifiedAnswer(TypedDict):
    """The payment is paid."""

    status: Literal["success"]
    message: Literal["Payment verified"]
    payment_id: PlatformId


class PaymentAnswer(TypedDict):
    """The payment's current state. The response also has the fields of its `Purchase`."""

    payment_id: PlatformId
    order_id: OrderId
    amount: MinorUnits
    currency: CurrencyCode
    status: ShownStatus
    confirmed: bool
    """Razorpay itself has reported the capture. Act on this, not on `paid` alone."""
    amount_refunded: MinorUnits
    """The refunded amount of the payment that makes the order paid, or last did."""
    amount_disputed: MinorUnits
    """What lost disputes took of that same payment. It is no refund and not part of `amount_refunded`."""
    under_review: bool
    razorpay_payment_id: PaymentId | None
    """The Razorpay payment that determines the status; null while there is none."""
    created_at: Instant
    updated_at: Instant


class PaymentsAnswer(TypedDict):
    """One page of the caller's own payments, newest first."""

    payments: list[PaymentAnswer]
    next_cursor: str | None
    """The `cursor` of the next page; null on the last one."""


class ApplicationAnswer(TypedDict):
    """The payments of one application."""

    current: PaymentAnswer | None
    """The order that create-order returned last; null if this service has no record of it."""
    earlier: list[PaymentAnswer]
    """The orders that it replaced, newest first."""


class ReceivedAnswer(TypedDict):
    """Razorpay need not send this event again."""

    status: Literal["ok"]


class FieldProblem(TypedDict):
    """One error in one field."""

    field: str
    message: str
    """For people; it may change. Says what was expected and what was sent."""


class ProblemAnswer(TypedDict):
    """RFC 9457."""

    type: str
    title: str
    status: int
    detail: str
    """For people; it may change."""
    code: str
    request_id: str
    order_id: NotRequired[OrderId]
    errors: NotRequired[list[FieldProblem]]
    """With `invalid_request` only."""
