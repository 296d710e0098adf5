"""The bodies that clients get back.

Types for the type checker, and for `make contracts`, which writes the schemas of the answers in docs/openapi.yaml from
them. No function imports this module when it runs: answers are ours, so they are described and not validated.
"""

from typing import Annotated, Literal, NotRequired, TypedDict

from pydantic import Field, WithJsonSchema

from payments.core.model import OrderId, PaymentId, PlatformId, Status

ShownStatus = Annotated[Status, WithJsonSchema({"enum": [word.value for word in Status if word is not Status.UNKNOWN]})]
"""A status in answers and events: a record of status `unknown` is never shown, and has no events."""
CurrencyCode = Annotated[str, Field(pattern="^[A-Z]{3}$")]
"""ISO 4217 code."""
MinorUnits = Annotated[int, Field(ge=0)]
"""An amount in integer minor units of its currency (paise for INR)."""
Instant = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time"})]
"""ISO 8601 in UTC, to the second."""


class OrderAnswer(TypedDict):
    """The order that Checkout is opened with."""

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
    """The payment as it stands. The answer has the fields of its `Purchase` beside these."""

    payment_id: PlatformId
    order_id: OrderId
    amount: MinorUnits
    currency: CurrencyCode
    status: ShownStatus
    confirmed: bool
    """Razorpay itself has reported the capture. Ship on this, not on `paid` alone."""
    amount_refunded: MinorUnits
    """How much was paid back of the payment that the order rests on, or rested on last."""
    under_review: bool
    razorpay_payment_id: PaymentId | None
    """The Razorpay payment that the status rests on; null while there is none."""
    created_at: Instant
    updated_at: Instant


class ReceivedAnswer(TypedDict):
    """The delivery need not be repeated."""

    status: Literal["ok"]


class FieldProblem(TypedDict):
    """One thing wrong with one field."""

    field: str
    message: str
    """For a person; it may change. Says what is expected and what came."""


class ProblemAnswer(TypedDict):
    """RFC 9457."""

    type: str
    title: str
    status: int
    detail: str
    """For a person; it may change."""
    code: str
    request_id: str
    order_id: NotRequired[OrderId]
    errors: NotRequired[list[FieldProblem]]
    """With `invalid_request` only."""
