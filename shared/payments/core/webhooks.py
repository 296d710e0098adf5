"""Read facts from Razorpay's webhooks. The event's name decides; the payload alone is never trusted.

Razorpay's own samples contradict themselves (a `payment.failed` with `captured: true`), so `captured` and `status`
count only if they agree, and only to distinguish the refund of a captured payment from an automatic one ("Payment
webhooks", "Refund webhooks", "Order webhooks" in Razorpay's documentation). Of a dispute's payment only the order
counts: the samples show it as `authorized` ("Disputes webhook events").
"""

import re
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from payments.core.entities import DisputePayload, PaymentEntity, PaymentPayload, RefundPayload
from payments.core.errors import MalformedRequest
from payments.core.model import DISPUTE_ID, ORDER_ID, PAYMENT_ID, REFUND_ID, DisputeState, Fact, RefundState
from payments.core.wire import read_json


class UnusableEvent(Exception):
    """A signed body that we cannot use. `ids` identifies it: the event's name and Razorpay's ids.

    Not a `PaymentServiceError`, which would become an error response and make Razorpay send it again.
    """

    def __init__(self, why: str, ids: dict[str, str]) -> None:
        super().__init__(why)
        self.why = why
        self.ids = ids


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """The content of one webhook."""

    event: str
    created_at: int | None
    """When Razorpay created the event, epoch seconds; signed, so it can be trusted."""
    order_id: str | None
    """None for an event that is not about an order, which needs no processing."""
    facts: tuple[Fact, ...]


_PAYMENT_EVENTS = frozenset({"payment.authorized", "payment.captured", "payment.failed", "order.paid"})
_REFUND_STATES = {
    "refund.created": RefundState.CREATED,
    "refund.failed": RefundState.FAILED,
    "refund.processed": RefundState.PROCESSED,
}

_DISPUTE_STATES = {
    "payment.dispute.created": DisputeState.OPEN,
    "payment.dispute.under_review": DisputeState.UNDER_REVIEW,
    "payment.dispute.action_required": DisputeState.ACTION_REQUIRED,
    "payment.dispute.closed": DisputeState.CLOSED,
    "payment.dispute.won": DisputeState.WON,
    "payment.dispute.lost": DisputeState.LOST,
}

# Where ids are: entity, field, the id's name in our logs (where `payment_id` is our own number), form.
_IDS = (
    ("payment", "id", "razorpay_payment_id", PAYMENT_ID),
    ("payment", "order_id", "order_id", ORDER_ID),
    ("order", "id", "order_id", ORDER_ID),
    ("refund", "payment_id", "razorpay_payment_id", PAYMENT_ID),
    ("refund", "id", "refund_id", REFUND_ID),
    ("dispute", "payment_id", "razorpay_payment_id", PAYMENT_ID),
    ("dispute", "id", "dispute_id", DISPUTE_ID),
)


def read_delivery(body: bytes) -> Delivery:
    """Return the facts in the body of a webhook whose signature has been verified.

    Args:
        body: the raw bytes. Duplicate keys are allowed, because the sender is authenticated: one of Razorpay's own
            refund samples has one.

    Raises:
        UnusableEvent: the body is authentic, but we cannot read it.
    """
    try:
        envelope = read_json(body, unique_keys=False)
    except MalformedRequest as error:
        raise UnusableEvent("not JSON", {}) from error
    if not isinstance(envelope, dict) or not isinstance(envelope.get("event"), str):
        raise UnusableEvent("not an event", {})
    name = envelope["event"] if re.fullmatch(r"[a-z_.]{1,64}", envelope["event"]) else "unreadable"
    created_at = envelope.get("created_at")
    if not isinstance(created_at, int) or isinstance(created_at, bool):
        created_at = None
    try:
        order_id, facts = _facts(name, envelope.get("payload"), created_at)
    except ValidationError as error:
        # The place and type of each error, never the values: they contain the customer's data.
        where = "; ".join(f"{'.'.join(map(str, item['loc']))} {item['type']}" for item in error.errors())
        raise UnusableEvent(f"unexpected shape: {where}", _ids(name, envelope)) from None
    except ValueError as error:
        raise UnusableEvent(str(error), _ids(name, envelope)) from None
    return Delivery(event=name, created_at=created_at, order_id=order_id, facts=facts)


def _facts(name: str, payload: object, created_at: int | None) -> tuple[str | None, tuple[Fact, ...]]:
    if name in _PAYMENT_EVENTS:
        about = PaymentPayload.model_validate(payload)
        payment = about.payment.entity
        if about.order is not None and about.order.entity.id != payment.order_id:
            raise ValueError("the payment and the order do not belong together")
        return payment.order_id, (_payment_fact(name, payment, created_at), *payment.totals())
    if name in _REFUND_STATES:
        returned = RefundPayload.model_validate(payload)
        payment, refund = returned.payment.entity, returned.refund.entity
        if refund.payment_id != payment.id:
            raise ValueError("the refund and the payment do not belong together")
        captured = (payment.as_captured(),) if payment.says_captured else ()
        return payment.order_id, (*captured, refund.as_refunded(_REFUND_STATES[name]), *payment.totals())
    if name in _DISPUTE_STATES:
        challenged = DisputePayload.model_validate(payload)
        dispute = challenged.dispute.entity
        if dispute.payment_id != challenged.payment.entity.id:
            raise ValueError("the dispute and the payment do not belong together")
        return challenged.payment.entity.order_id, (dispute.as_disputed(_DISPUTE_STATES[name], created_at),)
    return None, ()


def _payment_fact(name: str, payment: PaymentEntity, created_at: int | None) -> Fact:
    match name:
        case "payment.authorized":
            return payment.as_authorized()
        case "payment.failed":
            return payment.as_failed(at=created_at)
        case _:  # payment.captured and order.paid report the same fact
            return payment.as_captured()


def _ids(name: str, envelope: dict[str, Any]) -> dict[str, str]:
    """Return Razorpay's ids in a body of unexpected shape, by their names in our logs, so that a person can find it."""
    found = {"event": name}
    payload = envelope.get("payload")
    for kind, field, called, form in _IDS:
        holder = payload.get(kind) if isinstance(payload, dict) else None
        entity = holder.get("entity") if isinstance(holder, dict) else None
        identity = entity.get(field) if isinstance(entity, dict) else None
        if isinstance(identity, str) and form.match(identity):
            found[called] = identity
    return found
