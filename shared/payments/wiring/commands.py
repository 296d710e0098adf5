"""Operators' commands to reconcile about one order."""

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, Final, get_args

from pydantic import ValidationError

from payments.adapters.log import RequestLog
from payments.core.errors import NotAtGateway, OrderNotFound, TooOldForGateway
from payments.core.model import ORDER_ID, PAYMENT_ID, REFUND_ID, Cause, Mandate, Record
from payments.core.operations import (
    NotPossible,
    accept_payment,
    release_order,
    release_payment,
    republish,
    take_note,
)
from payments.core.position import Position
from payments.wiring import aws
from payments.wiring.lanes import fields_of, refuse
from payments.wiring.reconcile import Connect, Dependencies

type Command = Callable[[object, Connect, RequestLog], dict[str, Any]]
"""Takes its input, what connects everything, and the log. Returns its report."""
type _LaneLike = Callable[[object, Connect, Callable[[], int], RequestLog], dict[str, Any]]

_REFUSALS: Final[Mapping[type[Exception], str]] = {
    OrderNotFound: "There is no record of ours of this order.",
    NotAtGateway: "Razorpay does not know it.",
    TooOldForGateway: "Razorpay's API no longer shows it; its dashboard does.",
}


def _answering(command: Command) -> _LaneLike:
    """Report a refusal as an answer. An operator's question is no failure of the function, which would alarm.

    What it returns is called as a lane is. A command about one order needs no time limit of its own.
    """

    @wraps(command)
    def answer(
        asked: object,
        connect: Connect,
        remaining_ms: Callable[[], int],  # noqa: ARG001 - as a lane's
        log: RequestLog,
    ) -> dict[str, Any]:
        try:
            return command(asked, connect, log)
        except (NotPossible, OrderNotFound, NotAtGateway, TooOldForGateway) as refusal:
            why = _REFUSALS.get(type(refusal), str(refusal))
            log.note(refused=type(refusal).__name__, why=why)
            return {"refused": type(refusal).__name__, "why": why}

    return answer


@_answering
def look(asked: object, connect: Connect, log: RequestLog) -> dict[str, Any]:
    """Ask Razorpay about one order now."""
    order_id, _ = _named(asked, log, payment=False)
    service = connect()
    service.reconciler.ask_about(order_id, aws.now())
    return _summary(_record(service, order_id))


@_answering
def find(asked: object, connect: Connect, log: RequestLog) -> dict[str, Any]:
    """Return the order of a payment or refund, by asking Razorpay. Records nothing."""
    fields = fields_of(asked, frozenset({"razorpay_payment_id", "refund_id"}), log)
    payment_id, refund_id = fields.get("razorpay_payment_id"), fields.get("refund_id")
    is_payment = isinstance(payment_id, str) and PAYMENT_ID.match(payment_id) is not None
    is_refund = isinstance(refund_id, str) and REFUND_ID.match(refund_id) is not None
    if len(fields) != 1 or not (is_payment or is_refund):
        raise refuse('find takes "razorpay_payment_id" or "refund_id"', log)
    gateway = connect().reconciler.gateway
    payment = gateway.payment(gateway.refund(str(refund_id)).payment_id if is_refund else str(payment_id))
    log.note(razorpay_payment_id=payment.id, order_id=payment.order_id)
    return {"razorpay_payment_id": payment.id, "order_id": payment.order_id}


@_answering
def accept(asked: object, connect: Connect, log: RequestLog) -> dict[str, Any]:
    """Accept a payment that does not match, or that came on a superseded order."""
    by, about = _decided(asked, log)
    order_id, payment = _named(about, log, payment=True)
    return _summary(accept_payment(connect().reconciler, order_id, payment or "", aws.now(), by))


@_answering
def release(asked: object, connect: Connect, log: RequestLog) -> dict[str, Any]:
    """Stop counting an order, a signature or a lost dispute, after asking Razorpay about it."""
    by, about = _decided(asked, log)
    order_id, payment = _named(about, log, payment=None)
    service = connect()
    now = aws.now()
    if payment is not None:
        return _summary(release_payment(service.reconciler, order_id, payment, now, by))
    return _summary(release_order(service.reconciler, order_id, now, by))


@_answering
def note(asked: object, connect: Connect, log: RequestLog) -> dict[str, Any]:
    """Record that a person has dealt with an order, which resolves the reviews that no fact resolves."""
    by, about = _decided(asked, log)
    order_id, _ = _named(about, log, payment=False)
    return _summary(take_note(connect().reconciler, order_id, by, aws.now()))


@_answering
def publish_again(asked: object, connect: Connect, log: RequestLog) -> dict[str, Any]:
    """Publish every event of an order again."""
    by, about = _decided(asked, log)
    order_id, _ = _named(about, log, payment=False)
    record, events = republish(connect().reconciler, order_id, by, aws.now())
    return {**_summary(record), "published": list(events)}


def _decided(asked: object, log: RequestLog) -> tuple[Mandate, Mapping[str, Any]]:
    """Return who decided and why, and the rest of a command's input.

    Raises:
        MeaninglessInput: the input does not say who and why.
    """
    fields = dict(asked) if isinstance(asked, Mapping) else {}
    causes = get_args(Cause)
    try:
        by = Mandate.model_validate(fields.pop("by", None))
    except ValidationError:
        by = None
    if by is None or by.cause not in causes or by.ticket is None:
        raise refuse(f'"by" has role, session, cause ({", ".join(causes)}) and ticket', log)
    log.note(by_role=by.role, by_session=by.session, cause=by.cause, ticket=by.ticket)
    return by, fields


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
        "under_review": Position.of(record).under_review,
        "version": record.version,
    }
