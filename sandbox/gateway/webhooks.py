"""The bodies of the webhook events, in the key order in which they arrive.

Three orders exist, and a receiver may rely on none. Payment events and order.paid come as they were built; refund
events come with all keys sorted and 17 payment fields more (both from a published measurement of test-mode deliveries);
card payments come sorted as well, in the documented samples. All are compact JSON as PHP writes it, non-ASCII text and
slashes escaped, so that a receiver which verifies a re-serialised body fails here and not in production.
"""

import json
from typing import Any, Final

from sandbox.gateway.entities import Order, Payment, Refund

ACCOUNT_ID: Final = "acc_LocalSandbox01"
TEST_MODE_ARN: Final = "10000000000000"
"""The bank's reference of a refund that test mode only pretends to make (published measurement)."""

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


def body(event: str, payment: Payment, order: Order, refund: Refund | None, created_at: int) -> bytes:
    """The bytes of one event: a snapshot of the moment, signed and redelivered exactly as they are.

    Args:
        event: one of payment.authorized, payment.captured, payment.failed, order.paid, refund.created,
            refund.processed, refund.failed.
        payment: the payment that the event concerns.
        order: its order.
        refund: the refund, for the refund events.
        created_at: when it happened, in Unix seconds.
    """
    if refund is not None:
        payload = {"refund": _refund(refund), "payment": _payment_of_refund(payment)}
    elif event == "order.paid":
        payload = {"payment": _payment(event, payment), "order": _order(order)}
    else:
        payload = {"payment": _payment(event, payment)}
    envelope = {
        "entity": "event",
        "account_id": ACCOUNT_ID,
        "event": event,
        "contains": list(payload),
        "payload": {name: {"entity": entity} for name, entity in payload.items()},
        "created_at": created_at,
    }
    arrives_sorted = refund is not None or payment.instrument.method == "card"
    text = json.dumps(envelope, separators=(",", ":"), sort_keys=arrives_sorted)
    return text.replace("/", r"\/").encode("ascii")


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
    """The order as events print it: another key order than the API's, and two fields more (published measurement)."""
    entity = order.to_json()
    return {name: entity[name] for name in _ORDER_KEYS} | {"description": None, "checkout": None}


def _refund(refund: Refund) -> dict[str, Any]:
    """The bank's reference exists once the bank has the money."""
    return refund.to_json() | {"acquirer_data": {"arn": TEST_MODE_ARN if refund.status == "processed" else None}}
