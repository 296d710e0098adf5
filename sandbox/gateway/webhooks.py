"""The bodies of the webhook events, with keys in the order in which they arrive.

There are three orders, and a receiver must not rely on any. Payment events and order.paid keep the order in which they
were built; refund events have all keys sorted and 17 more payment fields (both from a published measurement of
test-mode deliveries); card payments are sorted too, in the documented samples. All are compact JSON as PHP writes it,
with non-ASCII text and slashes escaped, so that a receiver that verifies a re-serialized body fails here and not in
production.
"""

import json
from collections.abc import Iterable
from typing import Any, Final

from sandbox.gateway.entities import Dispute, Order, Payment, Refund

ACCOUNT_ID: Final = "acc_LocalSandbox01"
TEST_MODE_ARN: Final = "10000000000000"
"""The bank's reference of a refund that test mode only simulates (published measurement)."""

_ORDER_KEYS: Final = (
    "id",
    "entity",
    "amount",
    "amount_paid",
    "amount_due",
    "currency",
    "receipt",
    "offer_id",
    "status",
    "attempts",
    "notes",
    "created_at",
)
_EXTRA_PAYMENT_FIELDS_OF_REFUNDS: Final[dict[str, Any]] = {
    "account_id": None,
    "amount_transferred": 0,
    "customer_id": None,
    "device_id": None,
    "fee_bearer": None,
    "gateway_merchant_id": None,
    "gateway_provider": "Razorpay",
    "gateway_terminal_id": None,
    "internal_status": None,
    "optimizer_provider": None,
    "provider": None,
    "receiver_type": None,
    "settled_by": None,
    "source_channel": "online",
    "store_id": None,
    "terminal_id": None,
    "token_id": None,
}


def body(event: str, payment: Payment, order: Order, about: Refund | Dispute | None, created_at: int) -> bytes:
    """Return the bytes of one event: a snapshot of the moment, signed and redelivered exactly as they are.

    Args:
        event: one of payment.authorized, payment.captured, payment.failed, order.paid, refund.created,
            refund.processed, refund.failed, refund.speed_changed, payment.dispute.*.
        payment: the payment that the event is about.
        order: its order.
        about: the refund or the dispute, for the events about one.
        created_at: when it happened, in Unix seconds.
    """
    if isinstance(about, Dispute):
        return of_dispute(event, payment, about, created_at)
    refund = about
    if refund is not None and event == "refund.speed_changed":
        return of_changed_speed(payment, refund, created_at)
    if refund is not None:
        payload = {"refund": _refund(refund), "payment": _payment_of_refund(payment)}
    elif event == "order.paid":
        payload = {"payment": _payment(event, payment), "order": _order(order)}
    else:
        payload = {"payment": _payment(event, payment)}
    return _written(
        _envelope(event, payload, created_at), by_key=refund is not None or payment.instrument.method == "card"
    )


# --- other products' events: never measured, so in the documented shape (webhooks/disputes.md, settlements.md) ---


def of_dispute(event: str, payment: Payment, dispute: Dispute, created_at: int) -> bytes:
    """Return the bytes of a payment.dispute.* event, with the keys and gaps of that event's sample.

    The payment is as it is. The samples of `won` and `under_review` show an authorized one, and that of
    `action_required` has the evidence beside the dispute, whose status is `open`; all three are theirs.
    """
    name = event.rpartition(".")[2]
    disputed = _documented_payment(payment)
    if name not in {"created", "action_required"}:
        del disputed["acquirer_data"]  # the other samples have none
    evidence = {"evidence": dispute.evidence()}
    entity = dispute.to_json()
    del entity["evidence"]
    beside: dict[str, Any] = {}
    match name:
        case "created":
            ordered = {key: entity[key] for key in entity if key not in {"phase", "created_at"}}
            entity = ordered | evidence | {"phase": dispute.phase, "created_at": dispute.created_at}
        case "lost" | "closed":
            del entity["created_at"]
            entity = entity | evidence | {"created_at": dispute.created_at}
        case "action_required":
            beside = evidence
        case _:
            entity = entity | evidence
    envelope = _envelope(event, {"payment": disputed, "dispute": entity}, created_at)
    envelope["payload"]["dispute"] |= beside
    return _written(envelope)


def of_settlement(settlement_id: str, payments: Iterable[Payment], created_at: int) -> bytes:
    """Return the bytes of settlement.processed for the payments; it names none of them."""
    captured = [payment for payment in payments if payment.captured]
    fees = sum(payment.fee or 0 for payment in captured)
    entity = {
        "id": settlement_id,
        "entity": "settlement",
        "amount": sum(payment.amount - payment.amount_refunded for payment in captured) - fees,
        "status": "processed",
        "fees": fees,
        "tax": sum(payment.tax or 0 for payment in captured),
        "utr": "AXISCN1153863727",
        "created_at": created_at,
    }
    return _written(_envelope("settlement.processed", {"settlement": entity}, created_at))


def of_changed_speed(payment: Payment, refund: Refund, created_at: int) -> bytes:
    """Return the bytes of refund.speed_changed: an instant refund falls back to normal speed.

    As in the only sample, its `created_at` is in the payload (webhooks/refunds.md).
    """
    returned = refund.to_json() | {"acquirer_data": {}}
    del returned["batch_id"]
    envelope = _envelope("refund.speed_changed", {"refund": returned, "payment": _documented_payment(payment)}, 0)
    del envelope["created_at"]
    envelope["payload"]["created_at"] = created_at
    return _written(envelope)


def _envelope(event: str, payload: dict[str, dict[str, Any]], created_at: int) -> dict[str, Any]:
    return {
        "entity": "event",
        "account_id": ACCOUNT_ID,
        "event": event,
        "contains": list(payload),
        "payload": {name: {"entity": entity} for name, entity in payload.items()},
        "created_at": created_at,
    }


def _written(envelope: dict[str, Any], *, by_key: bool = False) -> bytes:
    text = json.dumps(envelope, separators=(",", ":"), sort_keys=by_key)
    return text.replace("/", r"\/").encode("ascii")


def _documented_payment(payment: Payment) -> dict[str, Any]:
    """Return the payment as the samples of disputes and refunds show it: without the fields of its method."""
    entity: dict[str, Any] = {}
    for name, value in payment.to_json().items():
        if name in {"card", "upi"}:
            continue
        entity[name] = value
        if name == "currency":
            entity["base_amount"] = payment.amount
        if name == "amount_refunded":
            entity["amount_transferred"] = 0
    return entity


def _payment(event: str, payment: Payment) -> dict[str, Any]:
    entity = payment.to_json()
    if payment.instrument.method == "card":
        return entity | {"amount_transferred": 0, "token_id": None}
    if event in {"payment.captured", "order.paid"}:
        entity["reward"] = None
    if event == "payment.captured":
        entity["base_amount"] = payment.amount
    return entity


def _payment_of_refund(payment: Payment) -> dict[str, Any]:
    return payment.to_json() | _EXTRA_PAYMENT_FIELDS_OF_REFUNDS | {"base_amount": payment.amount}


def _order(order: Order) -> dict[str, Any]:
    """Return the order as events show it: other key order than the API's, two more fields (published measurement)."""
    entity = order.to_json()
    return {name: entity[name] for name in _ORDER_KEYS} | {"description": None, "checkout": None}


def _refund(refund: Refund) -> dict[str, Any]:
    """The bank's reference exists once the bank has the money."""
    return refund.to_json() | {"acquirer_data": {"arn": TEST_MODE_ARN if refund.status == "processed" else None}}
