"""What Razorpay's webhooks say, as facts. The event's name decides; the payload alone is never believed.

Razorpay's own samples contradict themselves (a `payment.failed` with `captured: true`), so `captured` and `status`
count only where they agree, and only to tell a refund of a captured payment from an automatic one ("Payment webhooks",
"Refund webhooks", "Order webhooks" in Razorpay's documentation).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic_core import ValidationError

from payments.core.errors import MalformedRequest
from payments.core.model import (
    MAX_ID,
    ORDER_ID,
    PAYMENT_ID,
    REFUND_ID,
    Authorized,
    Captured,
    Fact,
    Failed,
    Refunded,
    RefundState,
    RefundTotal,
)
from payments.core.shapes import BOOLEAN, STRING, Schema, Shape, after, inside, integer, matching, optional
from payments.core.wire import read_json


class UnusableEvent(Exception):
    """A signed body that we cannot use. `ids` holds what can be said of it: event name and Razorpay ids.

    Not a `PaymentServiceError`: refusing it would only bring it back, so nothing must turn it into a refusal.
    """

    def __init__(self, why: str, ids: dict[str, str]) -> None:
        super().__init__(why)
        self.why = why
        self.ids = ids


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """What one webhook comes to."""

    event: str
    created_at: int | None
    """When Razorpay made the event, epoch seconds; signed, so it can be trusted."""
    order_id: str | None
    """None for an event that is not about an order: there is nothing to do then."""
    facts: tuple[Fact, ...]


# Kept in records and events, so only what cannot carry personal data: Razorpay's own identifiers. None of those has
# five digits in a row; every phone number, card and account has.
_WORD = re.compile(r"\A(?!\w*[0-9]{5})[A-Za-z0-9_]{1,64}\Z")


def _word(value: object) -> str | None:
    return value if isinstance(value, str) and _WORD.match(value) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentEntity:
    """What we read of a payment, in a webhook or in an answer of the API; everything else in it is left alone."""

    id: str
    order_id: str | None = None
    amount: int
    currency: str
    status: str | None = None
    captured: bool | None = None
    method: str | None = None
    fee: int | None = None
    amount_refunded: int | None = None
    error_code: str | None = None
    error_reason: str | None = None
    created_at: int | None = None

    @property
    def says_captured(self) -> bool:
        """Both fields agree that it was captured; what came after does not undo that."""
        return self.captured is True and self.status in {"captured", "refunded"}

    def as_captured(self) -> Captured:
        """The fact that it was captured."""
        return Captured(
            payment=self.id,
            amount_minor=self.amount,
            currency=self.currency,
            fee_minor=self.fee,
            method=self.method,
            created_at=self.created_at,
        )

    def as_authorized(self) -> Authorized:
        """The fact that it was authorised."""
        return Authorized(payment=self.id, method=self.method, created_at=self.created_at)

    def as_failed(self, *, at: int | None = None, listed_at: int | None = None) -> Failed:
        """The fact that it failed."""
        return Failed(
            payment=self.id,
            code=self.error_code,
            reason=self.error_reason,
            method=self.method,
            created_at=self.created_at,
            at=at,
            listed_at=listed_at,
        )

    def totals(self) -> tuple[RefundTotal, ...]:
        """Razorpay's sum of its refunds, where there is one."""
        return (RefundTotal(payment=self.id, amount_minor=self.amount_refunded),) if self.amount_refunded else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundEntity:
    """What we read of a refund."""

    id: str
    payment_id: str
    amount: int
    created_at: int | None = None

    def as_refunded(self, state: RefundState) -> Refunded:
        """The fact that it reached this state."""
        return Refunded(
            payment=self.payment_id,
            refund=self.id,
            amount_minor=self.amount,
            state=state,
            created_at=self.created_at,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _PaymentPayload:
    payment: PaymentEntity
    order: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _RefundPayload:
    payment: PaymentEntity
    refund: RefundEntity


def _lenient(value: object) -> int | None:
    """A number that is worth having where it is one; an entity that lacks it is as good."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_ID else None


_OPTIONAL_WORD = after(_word, optional(STRING))
_OPTIONAL_NUMBER = after(_lenient, optional(integer(0)))
PAYMENT_MEMBERS: Mapping[str, Schema] = {
    "id": matching(PAYMENT_ID),
    "order_id": optional(matching(ORDER_ID)),
    # No larger than what consumers can read, and what the table can hold (38 digits).
    "amount": integer(0),
    "currency": matching(re.compile(r"\A[A-Z]{3}\Z")),
    "status": optional(STRING),
    "captured": optional(BOOLEAN),
    "method": _OPTIONAL_WORD,
    "error_code": _OPTIONAL_WORD,
    "error_reason": _OPTIONAL_WORD,
    "fee": _OPTIONAL_NUMBER,
    "amount_refunded": _OPTIONAL_NUMBER,
    "created_at": _OPTIONAL_NUMBER,
}
"""The schemas of `PaymentEntity`'s fields."""
REFUND_MEMBERS: Mapping[str, Schema] = {
    "id": matching(REFUND_ID),
    "payment_id": matching(PAYMENT_ID),
    "amount": integer(1),
    "created_at": _OPTIONAL_NUMBER,
}
"""The schemas of `RefundEntity`'s fields."""

_PAYMENT = inside("entity", Shape(PaymentEntity, PAYMENT_MEMBERS).schema)
_REFUND = inside("entity", Shape(RefundEntity, REFUND_MEMBERS).schema)
_ORDER = inside("entity", inside("id", matching(ORDER_ID)))
_PAYMENT_PAYLOAD = Shape(_PaymentPayload, {"payment": _PAYMENT, "order": optional(_ORDER)})
_REFUND_PAYLOAD = Shape(_RefundPayload, {"payment": _PAYMENT, "refund": _REFUND})

_PAYMENT_EVENTS = frozenset({"payment.authorized", "payment.captured", "payment.failed", "order.paid"})
_REFUND_STATES = {
    "refund.created": RefundState.CREATED,
    "refund.failed": RefundState.FAILED,
    "refund.processed": RefundState.PROCESSED,
}

# Where ids are found: entity, field, and its name in a log, where `payment_id` is our own number.
_IDS = (
    ("payment", "id", "razorpay_payment_id", PAYMENT_ID),
    ("payment", "order_id", "order_id", ORDER_ID),
    ("order", "id", "order_id", ORDER_ID),
    ("refund", "payment_id", "razorpay_payment_id", PAYMENT_ID),
    ("refund", "id", "refund_id", REFUND_ID),
)


def read_delivery(body: bytes) -> Delivery:
    """The facts in a webhook's body, whose signature has been verified.

    Args:
        body: the raw bytes. A key that occurs twice is forgiven, since the sender is proven: one of Razorpay's own
            refund samples has one.

    Raises:
        UnusableEvent: authentic, but not something we can read.
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
        # Where and what kind, never the values: they hold the customer's data.
        where = "; ".join(f"{'.'.join(map(str, item['loc']))} {item['type']}" for item in error.errors())
        raise UnusableEvent(f"unexpected shape: {where}", _ids(name, envelope)) from None
    except ValueError as error:
        raise UnusableEvent(str(error), _ids(name, envelope)) from None
    return Delivery(event=name, created_at=created_at, order_id=order_id, facts=facts)


def _facts(name: str, payload: object, created_at: int | None) -> tuple[str | None, tuple[Fact, ...]]:
    if name in _PAYMENT_EVENTS:
        about = _PAYMENT_PAYLOAD.read(payload)
        payment = about.payment
        if about.order is not None and about.order != payment.order_id:
            raise ValueError("the payment and the order do not belong together")
        return payment.order_id, (_payment_fact(name, payment, created_at), *payment.totals())
    if name in _REFUND_STATES:
        returned = _REFUND_PAYLOAD.read(payload)
        payment, refund = returned.payment, returned.refund
        if refund.payment_id != payment.id:
            raise ValueError("the refund and the payment do not belong together")
        captured = (payment.as_captured(),) if payment.says_captured else ()
        return payment.order_id, (*captured, refund.as_refunded(_REFUND_STATES[name]), *payment.totals())
    return None, ()


def _payment_fact(name: str, payment: PaymentEntity, created_at: int | None) -> Fact:
    match name:
        case "payment.authorized":
            return payment.as_authorized()
        case "payment.failed":
            return payment.as_failed(at=created_at)
        case _:  # payment.captured and order.paid: one fact under two event ids
            return payment.as_captured()


def _ids(name: str, envelope: dict[str, Any]) -> dict[str, str]:
    """Razorpay's own ids in a body of unexpected shape, by what a log calls them, so that a person can look it up."""
    found = {"event": name}
    payload = envelope.get("payload")
    for kind, field, called, form in _IDS:
        holder = payload.get(kind) if isinstance(payload, dict) else None
        entity = holder.get("entity") if isinstance(holder, dict) else None
        identity = entity.get(field) if isinstance(entity, dict) else None
        if isinstance(identity, str) and form.match(identity):
            found[called] = identity
    return found
