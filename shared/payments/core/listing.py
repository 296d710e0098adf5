"""What Razorpay's API lists about an order, as facts: how reconcile learns what no webhook told.

A listed payment has no event name, so its `status` decides, and where `captured` contradicts it the payment is left
alone: a webhook, or the next look, will say it in other words ("Fetch payments for an order", "Fetch a refund").
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic_core import ValidationError

from payments.core.errors import GatewayUnavailable
from payments.core.model import Authorized, Captured, Fact, Failed, Order, Refunded, RefundState
from payments.core.shapes import ANYTHING, STRING, Shape, after, integer, optional
from payments.core.webhooks import PAYMENT_MEMBERS, REFUND_MEMBERS, PaymentEntity, RefundEntity

MARKER = "payment-service"
"""In the notes of every order we make, so that it can be told from a foreign one on a shared Razorpay account."""

_REFUND_STATES = {
    "pending": RefundState.CREATED,
    "processed": RefundState.PROCESSED,
    "failed": RefundState.FAILED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedPayment(PaymentEntity):
    """A payment in `GET /v1/orders/{id}/payments`."""

    amount_refunded: int | None = None

    @property
    def has_refunds(self) -> bool:
        """Whether its refunds must be listed too: the payment alone does not say which they are."""
        return bool(self.amount_refunded) or self.status == "refunded"


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedRefund(RefundEntity):
    """A refund in `GET /v1/payments/{id}/refunds`."""

    status: str


_PAYMENT = Shape(ListedPayment, {**PAYMENT_MEMBERS, "amount_refunded": optional(integer(0))})
_REFUND = Shape(ListedRefund, {**REFUND_MEMBERS, "status": STRING})


def read_payments(items: Sequence[Mapping[str, Any]], order_id: str) -> list[ListedPayment]:
    """Every payment that is listed for an order: all attempts, not only the last.

    Raises:
        GatewayUnavailable: the list is not what Razorpay documents, or of another order.
    """
    try:
        payments = [_PAYMENT.read(item) for item in items]
    except ValidationError:
        raise GatewayUnavailable("Razorpay's list of payments has an unexpected shape.") from None
    if any(payment.order_id != order_id for payment in payments):
        raise GatewayUnavailable("Razorpay's list has a payment of another order.")
    return payments


def read_refunds(items: Sequence[Mapping[str, Any]], payment: str) -> list[ListedRefund]:
    """Every refund that is listed for a payment.

    Raises:
        GatewayUnavailable: the list is not what Razorpay documents, or of another payment.
    """
    try:
        refunds = [_REFUND.read(item) for item in items]
    except ValidationError:
        raise GatewayUnavailable("Razorpay's list of refunds has an unexpected shape.") from None
    if any(refund.payment_id != payment for refund in refunds):
        raise GatewayUnavailable("Razorpay's list has a refund of another payment.")
    return refunds


def facts_of(payment: ListedPayment, refunds: Sequence[ListedRefund] = ()) -> tuple[Fact, ...]:
    """What a listed payment and its refunds say."""
    facts: list[Fact] = []
    if payment.says_captured:
        facts.append(
            Captured(payment=payment.id, amount_minor=payment.amount, currency=payment.currency, method=payment.method)
        )
    elif payment.captured is not True and payment.status == "authorized":
        facts.append(Authorized(payment=payment.id, method=payment.method))
    elif payment.captured is not True and payment.status == "failed":
        facts.append(
            Failed(payment=payment.id, code=payment.error_code, reason=payment.error_reason, method=payment.method)
        )
    facts.extend(
        Refunded(payment=payment.id, refund=refund.id, amount_minor=refund.amount, state=state)
        for refund in refunds
        if (state := _REFUND_STATES.get(refund.status)) is not None
    )
    return tuple(facts)


def _decimal(value: object) -> object:
    """Notes are texts: `"42"` is the id 42."""
    return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() else value


@dataclass(frozen=True, slots=True, kw_only=True)
class _Notes:
    service: str
    stage: str
    payment_id: int
    job_id: int
    application_id: int
    client_id: int
    freelancer_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedOrder:
    """An order in `GET /v1/orders/{id}`, and in the list of `GET /v1/orders`."""

    id: str
    amount: int
    currency: str
    receipt: str | None = None
    notes: Any = None
    created_at: int


_NOTED_ID = after(_decimal, integer(1))
_NOTES = Shape(
    _Notes,
    {
        "service": STRING,
        "stage": STRING,
        "payment_id": _NOTED_ID,
        "job_id": _NOTED_ID,
        "application_id": _NOTED_ID,
        "client_id": _NOTED_ID,
        "freelancer_id": _NOTED_ID,
    },
)
_ORDER = Shape(
    ListedOrder,
    {
        "id": STRING,
        "amount": integer(1),
        "currency": STRING,
        "receipt": optional(STRING),
        "notes": ANYTHING,
        "created_at": integer(0),
    },
)


def read_order(item: Mapping[str, Any], order_id: str) -> ListedOrder:
    """An order as Razorpay has it.

    Raises:
        GatewayUnavailable: it is not what Razorpay documents, or another order.
    """
    try:
        order = _ORDER.read(item)
    except ValidationError:
        raise GatewayUnavailable("Razorpay's order has an unexpected shape.") from None
    if order.id != order_id:
        raise GatewayUnavailable("Razorpay answered with another order.")
    return order


def read_orders(items: Sequence[Mapping[str, Any]]) -> list[ListedOrder]:
    """Orders as Razorpay lists them.

    Raises:
        GatewayUnavailable: the list is not what Razorpay documents.
    """
    try:
        return [_ORDER.read(item) for item in items]
    except ValidationError:
        raise GatewayUnavailable("Razorpay's list of orders has an unexpected shape.") from None


def rebuild(listed: ListedOrder, stage: str) -> Order | None:
    """What was agreed, from the notes of the order at Razorpay; None for an order that is not this stage's.

    Args:
        listed: as Razorpay has it. Empty notes are a list there, not an object.
        stage: ours; test and staging may share one Razorpay account.
    """
    try:
        notes = _NOTES.read(listed.notes)
    except ValidationError:
        return None
    if notes.service != MARKER or notes.stage != stage:
        return None
    return Order(
        payment_id=notes.payment_id,
        job_id=notes.job_id,
        application_id=notes.application_id,
        client_id=notes.client_id,
        freelancer_id=notes.freelancer_id,
        amount_minor=listed.amount,
        currency=listed.currency,
        receipt=listed.receipt or "",
    )
