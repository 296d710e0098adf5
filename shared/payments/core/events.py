"""The events that other services subscribe to. `make contracts` writes their JSON Schemas (`docs/events/`) from here.

Every publish of one event carries the same bytes: its id is made of what it is about, its content of what was stored.
"""

from typing import Annotated, Any, Final, Literal, get_args
from uuid import UUID, uuid5

from pydantic import Field

from payments.core.model import EventType, Later, Model, PendingEvent, Reason, Record, Status

SOURCE = "payment-service"

# Any fixed UUID serves; changing it would give every event a second identity.
_NAMESPACE = UUID("6f3c1c52-6a53-5d0e-9c43-2f1f0c6b7f11")


SCHEMA_VERSION: Final = "1.0"
"""Of the `detail`: the first number grows with a change that a consumer must know of, the second with an addition."""


def event_id(
    order_id: str, event_type: EventType, subject: str, reason: Reason | Later | None = None, state: str | None = None
) -> str:
    """The stable id of an event: the same whenever and however often it is recorded.

    Args:
        order_id: the Razorpay order.
        event_type: the detail type.
        subject: what it is about: the Razorpay payment or refund id, or of `payment.paid` the order id, so that an
            order can have one alone.
        reason: of a review, since one payment can need looking at for more than one.
        state: of a review: that it is open and that it is resolved are two events.
    """
    parts = (order_id, event_type, subject, reason, state)
    return str(uuid5(_NAMESPACE, "|".join(part for part in parts if part is not None)))


# Described by docs/events, and not checked here: no event that is stored may fail to be published.


class PaymentDetail(Model):
    """The payment as it was when the event was recorded."""

    payment_id: int
    """The payment's id in this service, unique."""
    order_id: str
    """Razorpay's id of the order."""
    razorpay_payment_id: str | None
    """Razorpay's id of the payment that the event is about; null when it is about the order as a whole, or about a
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
    """What was agreed, in integer minor units. The client named it: compare it with your own price before you act."""
    currency: str
    """ISO 4217 code."""
    status: Status
    """The status after the change."""
    amount_refunded: int
    """How much of the payment that stands, or stood last, has been paid back, in integer minor units. Surplus payments
    do not count."""
    method: str | None
    """Razorpay's word for the means of payment, such as upi, card or netbanking; null when it is not known."""


class RefundDetail(Model):
    """The refund that the event is about."""

    id: str
    """Razorpay's id of the refund."""
    amount: int | None
    """What this refund paid back, in integer minor units."""


class FailureDetail(Model):
    """Why, in Razorpay's words."""

    code: str | None
    """Razorpay's error code, such as BAD_REQUEST_ERROR; null when it gave none."""
    reason: str | None
    """Razorpay's reason, such as payment_cancelled; null when it gave none."""


class ReviewDetail(Model):
    """What to look at, and whether that is still needed."""

    # Plain text for a validator: after a rollback, an event that a later version recorded is published all the same.
    reason: Annotated[str, Field(json_schema_extra={"enum": list(get_args(Reason))})]
    state: Annotated[str, Field(json_schema_extra={"enum": ["open", "resolved"]})] | None
    """open: a person should look. resolved: nobody has to any more. Each is an event of its own."""


class EventDetail(Model):
    """The `detail` of an event as consumers receive it. What it is not about is absent."""

    schema_version: Literal["1.0"]
    """Version of this contract. The first number grows when the meaning or a field changes so that a consumer must
    follow, the second when something is added."""
    event_id: str
    """Stable identity of the event, a UUID. The same event may arrive more than once: deduplicate on this."""
    version: int
    """Grows with every change of the payment. Drop an event whose version is below one already seen for the same
    order_id. Several events of one change share a version."""
    occurred_at: str
    """When the change was recorded: ISO 8601, UTC, to the second."""
    payment: PaymentDetail
    refund: RefundDetail | None = None
    failure: FailureDetail | None = None
    review: ReviewDetail | None = None


def detail(record: Record, identity: str, event: PendingEvent) -> EventDetail:
    """The `detail` of an event as consumers receive it; amounts in minor units.

    Raises:
        ValueError: for a record of status `unknown`, which has no order to speak of and never records an event.
    """
    order = record.agreed()
    about: dict[str, Any] = {}
    if event.refund is not None:
        about["refund"] = RefundDetail(id=event.refund, amount=event.refund_minor)
    if event.type == "payment.failed":
        about["failure"] = FailureDetail(code=event.code, reason=event.failure_reason)
    if event.review is not None:
        about["review"] = ReviewDetail(reason=event.review, state=event.review_state)
    payment = PaymentDetail(
        **order.purchase_fields(),
        payment_id=order.payment_id,
        order_id=record.order_id,
        razorpay_payment_id=event.payment,
        amount=order.amount_minor,
        currency=order.currency,
        status=event.status,
        amount_refunded=event.refunded_minor,
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


def encode(record: Record, identity: str, event: PendingEvent) -> str:
    """The `detail` as the JSON text that goes on the bus: compact, keys in a fixed order."""
    return detail(record, identity, event).model_dump_json(exclude_unset=True, ensure_ascii=True)
