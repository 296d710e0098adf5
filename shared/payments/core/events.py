"""The events that other services subscribe to. `make contracts` writes their JSON Schemas (`docs/events/`) from here.

Every publish of an event carries the same bytes: its id is derived from its subject, its content from what was stored.
"""

from typing import Annotated, Any, Final, Literal, get_args
from uuid import UUID, uuid5

from pydantic import Field

from payments.core.instants import iso
from payments.core.model import Dispute, DisputeState, EventType, Later, Model, PendingEvent, Reason, Record, Status

SOURCE = "payment-service"

# Any fixed UUID works; changing it would give every event a second identity.
_NAMESPACE = UUID("6f3c1c52-6a53-5d0e-9c43-2f1f0c6b7f11")


SCHEMA_VERSION: Final = "1.1"
"""Version of the `detail`. The first number grows if consumers must adapt, the second if something is added."""


def event_id(
    order_id: str, event_type: EventType, subject: str, reason: Reason | Later | None = None, state: str | None = None
) -> str:
    """Return the stable id of an event: the same however often it is recorded.

    Args:
        order_id: the Razorpay order.
        event_type: the detail type.
        subject: what it is about: the Razorpay payment, refund or dispute id, or for `payment.paid` and
            `payment.expired` the order id, so that an order has only one.
        reason: of a review, because a payment can have several reviews; of a dispute, what changed, because a dispute
            changes several times.
        state: of a review, because opening and resolving it are two events.
    """
    parts = (order_id, event_type, subject, reason, state)
    return str(uuid5(_NAMESPACE, "|".join(part for part in parts if part is not None)))


# The schemas in docs/events are not checked here: a stored event must never fail to be published.


class PaymentDetail(Model):
    """The payment as it was when the event was recorded."""

    payment_id: int
    """The payment's id in this service, unique."""
    order_id: str
    """Razorpay's id of the order."""
    razorpay_payment_id: str | None
    """Razorpay's id of the payment that the event is about; null if it is about the order as a whole, or about a
    payment that is no longer kept."""
    job_id: int
    """The job that is paid for."""
    application_id: int
    """The accepted application."""
    client_id: int
    """The user who pays."""
    freelancer_id: int
    """The user who is to be paid."""
    amount: int
    """The agreed amount, in integer minor units. The client named it: compare it with your own price before you act."""
    currency: str
    """ISO 4217 code."""
    status: Status
    """The status after the change."""
    amount_refunded: int
    """The refunded amount of the payment that makes the order paid, or last did, in integer minor units. Surplus
    payments do not count."""
    amount_disputed: int
    """What lost disputes took of that same payment, in integer minor units. It is no refund and not part of
    amount_refunded."""
    method: str | None
    """Razorpay's name for the payment method, such as upi, card or netbanking; null if it is not known."""


class RefundDetail(Model):
    """The refund that the event is about."""

    id: str
    """Razorpay's id of the refund."""
    amount: int | None
    """The amount of this refund, in integer minor units."""


class FailureDetail(Model):
    """Why the payment failed, in Razorpay's words."""

    code: str | None
    """Razorpay's error code, such as BAD_REQUEST_ERROR; null if it gave none."""
    reason: str | None
    """Razorpay's reason, such as payment_cancelled; null if it gave none."""


class ReviewDetail(Model):
    """What to review, and whether that is still needed."""

    # A plain string to a validator: after a rollback, events that a later version recorded are still published.
    reason: Annotated[str, Field(json_schema_extra={"enum": list(get_args(Reason))})]
    state: Annotated[str, Field(json_schema_extra={"enum": ["open", "resolved"]})] | None
    """open: a person must decide. resolved: no decision is needed any more. Each is a separate event."""


class DisputeDetail(Model):
    """The dispute that the event is about, as it was then."""

    id: str
    """Razorpay's id of the dispute."""
    state: Annotated[str, Field(json_schema_extra={"enum": [state.value for state in DisputeState]})]
    """open: a customer or a bank demands the money back. under_review: the bank reviews the evidence. action_required:
    the evidence is insufficient, and more is needed before respond_by. closed, won: the money stays. lost: the customer
    has it back."""
    phase: str | None
    """Razorpay's phase: fraud, retrieval, chargeback, pre_arbitration or arbitration; null if it gave none. A won
    chargeback that is challenged again is another dispute."""
    amount: int
    """The sum in dispute, in integer minor units of its currency."""
    amount_deducted: int
    """What the loss took from our balance, in integer minor units of its currency; 0 unless it is lost."""
    currency: str
    """ISO 4217 code."""
    reason_code: str | None
    """Razorpay's code for the reason, such as chargeback; null if it gave none."""
    respond_by: str | None
    """Until when Razorpay takes an answer: ISO 8601, UTC, to the second; null if it gave no time."""


class EventDetail(Model):
    """The `detail` of an event as consumers receive it. Parts that do not apply are absent."""

    schema_version: Literal["1.1"]
    """Version of this contract. The first number grows when consumers must adapt to a change, the second when something
    is added."""
    event_id: str
    """Stable identity of the event, a UUID. The same event may arrive more than once: deduplicate on this."""
    version: int
    """Grows with every change of the payment. Ignore an event with a lower version than one already seen for the same
    order_id. Events of the same change share a version."""
    occurred_at: str
    """When the change was recorded: ISO 8601, UTC, to the second."""
    payment: PaymentDetail
    refund: RefundDetail | None = None
    failure: FailureDetail | None = None
    review: ReviewDetail | None = None
    dispute: DisputeDetail | None = None


def detail(record: Record, identity: str, event: PendingEvent) -> EventDetail:
    """Return the `detail` of an event as consumers receive it; amounts in minor units.

    Raises:
        ValueError: the record's status is `unknown`; it has no order and never records an event.
    """
    order = record.agreed()
    about: dict[str, Any] = {}
    if event.refund is not None:
        about["refund"] = RefundDetail(id=event.refund, amount=event.refund_minor)
    if event.type == "payment.failed":
        about["failure"] = FailureDetail(code=event.code, reason=event.failure_reason)
    if event.review is not None:
        about["review"] = ReviewDetail(reason=event.review, state=event.review_state)
    if event.dispute is not None and event.dispute_then is not None:
        about["dispute"] = _dispute(event.dispute, event.dispute_then)
    payment = PaymentDetail(
        **order.purchase_fields(),
        payment_id=order.payment_id,
        order_id=record.order_id,
        razorpay_payment_id=event.payment,
        amount=order.amount_minor,
        currency=order.currency,
        status=event.status,
        amount_refunded=event.refunded_minor,
        amount_disputed=event.disputed_minor,
        method=event.method,
    )
    return EventDetail(
        schema_version=SCHEMA_VERSION,
        event_id=identity,
        version=event.version,
        occurred_at=event.at,
        payment=payment,
        **about,
    )


def _dispute(identity: str, dispute: Dispute) -> DisputeDetail:
    return DisputeDetail(
        id=identity,
        state=dispute.state.value,
        phase=dispute.phase,
        amount=dispute.amount_minor,
        amount_deducted=dispute.deducted_minor,
        currency=dispute.currency,
        reason_code=dispute.reason_code,
        respond_by=None if dispute.respond_by is None else iso(dispute.respond_by),
    )


def encode(record: Record, identity: str, event: PendingEvent) -> str:
    """Return the `detail` as JSON for the bus: compact, keys in a fixed order."""
    return detail(record, identity, event).model_dump_json(exclude_unset=True, ensure_ascii=True)
