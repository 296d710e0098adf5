"""What Razorpay's API says of orders, payments and refunds, as facts: how we learn what no webhook told.

What is not as Razorpay documents it ("Fetch payments for an order", "Fetch a refund") is no answer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from payments.core.entities import MARKER, ListedOrder, ListedPayment, ListedRefund, OrderNotes
from payments.core.errors import GatewayUnavailable
from payments.core.model import Fact, Model, Order


def read_payment(item: Mapping[str, Any]) -> ListedPayment:
    """One payment of the API.

    Raises:
        GatewayUnavailable: it is not what Razorpay documents.
    """
    return _read(ListedPayment, item, "payment")


def read_refund(item: Mapping[str, Any]) -> ListedRefund:
    """One refund of the API.

    Raises:
        GatewayUnavailable: it is not what Razorpay documents.
    """
    return _read(ListedRefund, item, "refund")


def _read[Entity: Model](kind: type[Entity], item: Mapping[str, Any], what: str) -> Entity:
    try:
        return kind.model_validate(item)
    except ValidationError:
        raise GatewayUnavailable(f"Razorpay's {what} has an unexpected shape.") from None


def read_payments(items: Sequence[Mapping[str, Any]], order_id: str) -> list[ListedPayment]:
    """Every payment that is listed for an order: all attempts, not only the last.

    Raises:
        GatewayUnavailable: the list is not what Razorpay documents, or of another order.
    """
    payments = [read_payment(item) for item in items]
    if any(payment.order_id != order_id for payment in payments):
        raise GatewayUnavailable("Razorpay's list has a payment of another order.")
    return payments


def read_refunds(items: Sequence[Mapping[str, Any]], payment: str) -> list[ListedRefund]:
    """Every refund that is listed for a payment.

    Raises:
        GatewayUnavailable: the list is not what Razorpay documents, or of another payment.
    """
    refunds = [read_refund(item) for item in items]
    if any(refund.payment_id != payment for refund in refunds):
        raise GatewayUnavailable("Razorpay's list has a refund of another payment.")
    return refunds


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What Razorpay says of one order at one moment: the order, all its payments, and the refunds of those."""

    order: ListedOrder
    facts: tuple[Fact, ...]
    in_flight: tuple[int, ...]
    """When each payment was made that the bank has not answered yet, epoch seconds."""
    payments: int
    """How many payments are listed."""

    def says_paid_without_payment(self) -> bool:
        """Whether the order is paid and the payment that paid it is not listed yet: the list lags."""
        return self.order.status == "paid" and self.payments == 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Which of several services on one Razorpay account we are."""

    stage: str
    installation: str | None
    """Of this table, which makes up its own; None before the first order."""


def read_order(item: Mapping[str, Any], order_id: str | None = None) -> ListedOrder:
    """An order as Razorpay has it.

    Args:
        item: as parsed.
        order_id: the one that was asked for; None for an entry of a list.

    Raises:
        GatewayUnavailable: it is not what Razorpay documents, or another order.
    """
    order = _read(ListedOrder, item, "order")
    if order_id is not None and order.id != order_id:
        raise GatewayUnavailable("Razorpay answered with another order.")
    return order


@dataclass(frozen=True, slots=True)
class Ownership:
    """Whose an order is, by its notes at Razorpay."""

    order: Order | None
    """What was agreed; None for an order that is not ours, or not certainly."""
    foreign: bool
    """Whether the notes say that it is somebody else's. Not being able to tell is something else."""


def ownership(listed: ListedOrder, origin: Origin) -> Ownership:
    """Whose an order is, and what was agreed if it is ours.

    Args:
        listed: as Razorpay has it.
        origin: ours. Several stages, and several installations of one stage, may share a Razorpay account.
    """
    try:
        notes = OrderNotes.model_validate(listed.notes)
    except ValidationError:
        return Ownership(None, foreign=True)
    if (notes.service, notes.stage) != (MARKER, origin.stage):
        return Ownership(None, foreign=True)
    if notes.installation is not None and notes.installation != origin.installation:
        # A table that has not made up its own installation yet cannot say that this is not the one it lost.
        return Ownership(None, foreign=origin.installation is not None)
    order = Order(
        **notes.purchase_fields(),
        payment_id=notes.payment_id,
        amount_minor=listed.amount,
        currency=listed.currency,
        receipt=listed.receipt or "",
    )
    return Ownership(order, foreign=False)
