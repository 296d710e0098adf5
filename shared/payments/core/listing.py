"""What Razorpay's API says of orders, payments and refunds, as facts: how we learn what no webhook told.

A listed payment has no event name, so its `status` decides, and where `captured` contradicts it the payment is left
alone: a webhook, or the next look, will say it in other words ("Fetch payments for an order", "Fetch a refund").
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic_core import ValidationError

from payments.core.errors import GatewayUnavailable
from payments.core.model import Fact, Order, RefundState, RefundTotal
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
    """A payment as the API lists it."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedRefund(RefundEntity):
    """A refund as the API lists it."""

    status: str

    @property
    def state(self) -> RefundState | None:
        """How far it got; None for a word that Razorpay does not document."""
        return _REFUND_STATES.get(self.status)

    def facts(self) -> tuple[Fact, ...]:
        """What it says."""
        return () if self.state is None else (self.as_refunded(self.state),)


_PAYMENT = Shape(ListedPayment, PAYMENT_MEMBERS)
_REFUND = Shape(ListedRefund, {**REFUND_MEMBERS, "status": STRING})


def read_payment(item: Mapping[str, Any]) -> ListedPayment:
    """One payment of the API.

    Raises:
        GatewayUnavailable: it is not what Razorpay documents.
    """
    return _read(_PAYMENT, item, "payment")


def read_refund(item: Mapping[str, Any]) -> ListedRefund:
    """One refund of the API.

    Raises:
        GatewayUnavailable: it is not what Razorpay documents.
    """
    return _read(_REFUND, item, "refund")


def _read[T: (ListedPayment, ListedRefund, ListedOrder)](shape: Shape[T], item: Mapping[str, Any], what: str) -> T:
    try:
        return shape.read(item)
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

    order: "ListedOrder"
    facts: tuple[Fact, ...]
    in_flight: tuple[int, ...]
    """When each payment was made that the bank has not answered yet, epoch seconds."""
    payments: int
    """How many payments are listed."""

    def says_paid_without_payment(self) -> bool:
        """Whether the order is paid and the payment that paid it is not listed yet: the list lags."""
        return self.order.status == "paid" and self.payments == 0


def _decimal(value: object) -> object:
    """Notes are texts: `"42"` is the id 42."""
    return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() else value


@dataclass(frozen=True, slots=True, kw_only=True)
class _Notes:
    service: str
    stage: str
    installation: str | None = None
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
    status: str | None = None
    receipt: str | None = None
    notes: Any = None
    created_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Which of several services on one Razorpay account we are."""

    stage: str
    installation: str | None
    """Of this table, which makes up its own; None before the first order."""


_NOTED_ID = after(_decimal, integer(1))
_NOTES = Shape(
    _Notes,
    {
        "service": STRING,
        "stage": STRING,
        "installation": optional(STRING),
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
        "status": optional(STRING),
        "receipt": optional(STRING),
        "notes": ANYTHING,
        "created_at": integer(0),
    },
)


def read_order(item: Mapping[str, Any], order_id: str | None = None) -> ListedOrder:
    """An order as Razorpay has it.

    Args:
        item: as parsed.
        order_id: the one that was asked for; None for an entry of a list.

    Raises:
        GatewayUnavailable: it is not what Razorpay documents, or another order.
    """
    order = _read(_ORDER, item, "order")
    if order_id is not None and order.id != order_id:
        raise GatewayUnavailable("Razorpay answered with another order.")
    return order


@dataclass(frozen=True, slots=True)
class Claim:
    """Whose an order is, by its notes at Razorpay."""

    order: Order | None
    """What was agreed; None for an order that is not ours, or not certainly."""
    foreign: bool
    """Whether the notes say that it is somebody else's. Not being able to tell is something else."""


def whose(listed: ListedOrder, origin: Origin) -> Claim:
    """Whose an order is, and what was agreed if it is ours.

    Args:
        listed: as Razorpay has it. Empty notes are a list there, not an object.
        origin: ours. Several stages, and several installations of one stage, may share a Razorpay account. An order
            without an installation was made by version 1, which did not note it.
    """
    try:
        notes = _NOTES.read(listed.notes)
    except ValidationError:
        return Claim(None, foreign=True)
    if (notes.service, notes.stage) != (MARKER, origin.stage):
        return Claim(None, foreign=True)
    if notes.installation is not None and notes.installation != origin.installation:
        # A table that has not made up its own installation yet cannot say that this is not the one it lost.
        return Claim(None, foreign=origin.installation is not None)
    order = Order(
        payment_id=notes.payment_id,
        job_id=notes.job_id,
        application_id=notes.application_id,
        client_id=notes.client_id,
        freelancer_id=notes.freelancer_id,
        amount_minor=listed.amount,
        currency=listed.currency,
        receipt=listed.receipt or "",
    )
    return Claim(order, foreign=False)
