"""The events that other services subscribe to. `docs/events/` holds their JSON Schemas.

Every publish of one event carries the same bytes: its id is made of what it is about, its content of what was stored.
"""

import json
from typing import Any
from uuid import UUID, uuid5

from payments.core.model import EventType, PendingEvent, Reason, Record

SOURCE = "payment-service"

# Any fixed UUID serves; changing it would give every event a second identity.
_NAMESPACE = UUID("6f3c1c52-6a53-5d0e-9c43-2f1f0c6b7f11")


SCHEMA_VERSION = "1.0"
"""Of the `detail`: the first number grows with a change that a consumer must know of, the second with an addition."""


def event_id(
    order_id: str, event_type: EventType, subject: str, reason: Reason | None = None, state: str | None = None
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


def detail(record: Record, identity: str, event: PendingEvent) -> dict[str, Any]:
    """The `detail` of an event as consumers receive it; amounts in minor units.

    Raises:
        ValueError: for a record of status `unknown`, which has no order to speak of and never records an event.
    """
    order = record.agreed()
    body: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "event_id": identity,
        "version": event.version,
        "occurred_at": event.at,
        "payment": {
            "payment_id": order.payment_id,
            "order_id": record.order_id,
            "razorpay_payment_id": event.payment,
            "job_id": order.job_id,
            "application_id": order.application_id,
            "client_id": order.client_id,
            "freelancer_id": order.freelancer_id,
            "amount": order.amount_minor,
            "currency": order.currency,
            "status": event.status.value,
            "amount_refunded": event.refunded_minor,
            "method": event.method,
        },
    }
    if event.refund is not None:
        body["refund"] = {"id": event.refund, "amount": event.refund_minor}
    if event.type == "payment.failed":
        body["failure"] = {"code": event.code, "reason": event.failure_reason}
    if event.review is not None:
        body["review"] = {"reason": event.review, "state": event.review_state}
    return body


def encode(record: Record, identity: str, event: PendingEvent) -> str:
    """The `detail` as the JSON text that goes on the bus: compact, keys in a fixed order."""
    return json.dumps(detail(record, identity, event), separators=(",", ":"), ensure_ascii=True)
