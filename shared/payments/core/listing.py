"""Read facts about orders, payments and refunds from Razorpay's API. Covers what no webhook reported.

A response that differs from Razorpay's documentation ("Fetch payments for an order", "Fetch a refund") is an error.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from payments.core.entities import MARKER, ListedDispute, ListedOrder, ListedPayment, ListedRefund, OrderNotes
from payments.core.errors import GatewayUnavailable
from payments.core.model import Fact, Model, Order


def read_payment(item: Mapping[str, Any]) -> ListedPayment:
    """Parse one payment of the API.

    Raises:
        GatewayUnavailable: it is not what Razorpay documents.
    """
    return _read(ListedPayment, item, "payment")


def read_refund(item: Mapping[str, Any]) -> ListedRefund:
    """Parse one refund of the API.

    Raises:
        GatewayUnavailable: it is not what Razorpay documents.
    """
    return _read(ListedRefund, item, "refund")


def read_dispute(item: Mapping[str, Any]) -> ListedDispute:
    """Parse one dispute of the API.

    Raises:
        GatewayUnavailable: it is not what Razorpay documents.
    """
    return _read(ListedDispute, item, "dispute")


def _read[Entity: Model](kind: type[Entity], item: Mapping[str, Any], what: str) -> Entity:
    try:
        return kind.model_validate(item)
    except ValidationError:
        raise GatewayUnavailable(f"Razorpay's {what} has an unexpected shape.") from None


def read_payments(items: Sequence[Mapping[str, Any]], order_id: str) -> list[ListedPayment]:
    """Parse every payment listed for an order: all attempts, not only the last.

    Raises:
        GatewayUnavailable: the list is not what Razorpay documents, or is of another order.
    """
    payments = [read_payment(item) for item in items]
    if any(payment.order_id != order_id for payment in payments):
        raise GatewayUnavailable("Razorpay's list has a payment of another order.")
    return payments


def read_refunds(items: Sequence[Mapping[str, Any]], payment: str) -> list[ListedRefund]:
    """Parse every refund listed for a payment.

    Raises:
        GatewayUnavailable: the list is not what Razorpay documents, or is of another payment.
    """
    refunds = [read_refund(item) for item in items]
    if any(refund.payment_id != payment for refund in refunds):
        raise GatewayUnavailable("Razorpay's list has a refund of another payment.")
    return refunds


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What Razorpay reports about one order at one moment: the order, all its payments and their refunds."""

    order: ListedOrder
    facts: tuple[Fact, ...]
    in_flight: tuple[int, ...]
    """The creation times, in epoch seconds, of payments for which the bank has not responded yet."""
    payments: int
    """How many payments are listed."""

    def says_paid_without_payment(self) -> bool:
        """Return whether the order is paid but the payment that paid it is not listed yet, because the list lags."""
        return self.order.status == "paid" and self.payments == 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Identifies this service among several on one Razorpay account."""

    stage: str
    installation: str | None
    """The name of this table's installation; None before the first order."""


def read_order(item: Mapping[str, Any], order_id: str | None = None) -> ListedOrder:
    """Parse an order of the API.

    Args:
        item: as parsed from JSON.
        order_id: the order that was asked for; None for a list entry.

    Raises:
        GatewayUnavailable: it is not what Razorpay documents, or is another order.
    """
    order = _read(ListedOrder, item, "order")
    if order_id is not None and order.id != order_id:
        raise GatewayUnavailable("Razorpay answered with another order.")
    return order


@dataclass(frozen=True, slots=True)
class Ownership:
    """Whose an order is, according to its notes at Razorpay."""

    order: Order | None
    """What was agreed; None unless the order is certainly ours."""
    foreign: bool
    """Whether the notes say that it is someone else's. False if we cannot tell."""


def ownership(listed: ListedOrder, origin: Origin) -> Ownership:
    """Decide whether an order is ours, and if it is, what was agreed.

    Args:
        listed: the order as Razorpay has it.
        origin: ours. Several stages, and several installations of one stage, may share a Razorpay account.
    """
    noted = listed.notes if isinstance(listed.notes, Mapping) else {}
    if (noted.get("service"), noted.get("stage")) != (MARKER, origin.stage):
        return Ownership(None, foreign=True)
    installation = noted.get("installation")
    if installation is not None and installation != origin.installation:
        # A table that has no installation name yet may be replacing a lost table that had this one.
        return Ownership(None, foreign=origin.installation is not None)
    try:
        notes = OrderNotes.model_validate(noted)
    except ValidationError:
        # Marked as ours, but with invalid ids: a person must check it, and it must not expire.
        return Ownership(None, foreign=False)
    order = Order(
        **notes.purchase_fields(),
        payment_id=notes.payment_id,
        amount_minor=listed.amount,
        currency=listed.currency,
        receipt=listed.receipt or "",
    )
    return Ownership(order, foreign=False)
