"""Operators' commands to reconcile about one order."""

from collections.abc import Callable
from typing import Any

from payments.adapters.log import RequestLog
from payments.core.errors import OrderNotFound
from payments.core.model import ORDER_ID, PAYMENT_ID, Record
from payments.core.operations import accept_payment, release_order, release_payment
from payments.core.position import under_review
from payments.wiring import aws
from payments.wiring.lanes import fields_of, refuse
from payments.wiring.reconcile import Connect, Dependencies


def look(
    asked: object,
    connect: Connect,
    remaining_ms: Callable[[], int],  # noqa: ARG001 - as a lane's
    log: RequestLog,
) -> dict[str, Any]:
    """Ask Razorpay about one order now."""
    order_id, _ = _named(asked, log, payment=False)
    service = connect()
    service.reconciler.ask_about(order_id, aws.now())
    return _summary(_record(service, order_id))


def accept(
    asked: object,
    connect: Connect,
    remaining_ms: Callable[[], int],  # noqa: ARG001 - as a lane's
    log: RequestLog,
) -> dict[str, Any]:
    """Accept a payment that does not match, or that came on a superseded order."""
    order_id, payment = _named(asked, log, payment=True)
    return _summary(accept_payment(connect().reconciler, order_id, payment or "", aws.now()))


def release(
    asked: object,
    connect: Connect,
    remaining_ms: Callable[[], int],  # noqa: ARG001 - as a lane's
    log: RequestLog,
) -> dict[str, Any]:
    """Stop counting an order, a signature or a lost dispute, after asking Razorpay about it."""
    order_id, payment = _named(asked, log, payment=None)
    service = connect()
    now = aws.now()
    if payment is not None:
        return _summary(release_payment(service.reconciler, order_id, payment, now))
    return _summary(release_order(service.reconciler, order_id, now))


def _named(asked: object, log: RequestLog, *, payment: bool | None) -> tuple[str, str | None]:
    """Return the order and the payment that a command names.

    Args:
        asked: the command's input.
        log: the run's log.
        payment: whether it must name a payment; None makes that optional.

    Raises:
        MeaninglessInput: it names something else.
    """
    known = frozenset({"order_id"} if payment is False else {"order_id", "razorpay_payment_id"})
    fields = fields_of(asked, known, log)
    order_id, payment_id = fields.get("order_id"), fields.get("razorpay_payment_id")
    if not isinstance(order_id, str) or not ORDER_ID.match(order_id):
        raise refuse('"order_id" is a Razorpay order id', log)
    is_payment = isinstance(payment_id, str) and PAYMENT_ID.match(payment_id) is not None
    if not is_payment and (payment or payment_id is not None):
        raise refuse('"razorpay_payment_id" is a Razorpay payment id', log)
    log.note(order_id=order_id, razorpay_payment_id=payment_id)
    return order_id, payment_id if is_payment else None


def _record(service: Dependencies, order_id: str) -> Record:
    record = service.table.read(order_id)
    if record is None:
        raise OrderNotFound("no record")
    return record


def _summary(record: Record) -> dict[str, Any]:
    return {
        "order_id": record.order_id,
        "status": record.status.value,
        "confirmed": record.confirmed,
        "under_review": under_review(record),
        "version": record.version,
    }
