"""Operators' decisions about one order, where no rule can decide. Each asks Razorpay first and records a fact."""

from copy import replace
from typing import Final

from payments.core.errors import OrderNotFound, PaymentServiceError
from payments.core.instants import iso
from payments.core.model import Accepted, Fact, Record, Released, Status
from payments.core.ordering import MAX_ORDERS
from payments.core.outbox import record_and_publish
from payments.core.position import Position
from payments.core.reconciliation import Reconciler
from payments.core.transitions import close_review, with_entry


class NotPossible(PaymentServiceError):
    """The command would break a promise to the client; the message says which."""


def accept_payment(reconciler: Reconciler, order_id: str, payment: str, now: int) -> Record:
    """Accept a captured payment that does not match, or that came on a superseded order, so that it can stand.

    Raises:
        OrderNotFound: we have no record of the order.
        NotPossible: the payment holds no money, or another order of the application does.
    """
    record = _looked_at(reconciler, order_id, now)
    position = Position.of(record)
    if payment not in record.attempts or not position.holds_money(payment):
        raise NotPossible("The payment holds no money that could stand.")
    if position.refunded:
        raise NotPossible("The order is refunded, which is final: refund this payment too.")
    if position.standing not in {None, payment}:
        raise NotPossible("Another payment of this order stands.")
    for other in _others(reconciler, record):
        if any(map(Position.of(other).holds_money, other.attempts)):
            raise NotPossible("Another order of this application holds money: refund it first.")
    return _recorded(reconciler, order_id, Accepted(payment=payment), now)


def release_payment(reconciler: Reconciler, order_id: str, payment: str, now: int) -> Record:
    """Stop counting the signature or the authorization of a payment, or the lost disputes about it.

    Raises:
        OrderNotFound: we have no record of the order.
        NotPossible: the payment was captured, and no dispute about it was lost.
    """
    record = _looked_at(reconciler, order_id, now)
    is_known = payment in record.attempts
    if not is_known or (record.attempts[payment].captured and not Position.of(record).is_lost(payment)):
        raise NotPossible(
            "The payment is unknown, or captured: only a promise of money or a lost payment can be released."
        )
    return _recorded(reconciler, order_id, Released(payment=payment), now)


def release_order(reconciler: Reconciler, order_id: str, now: int) -> Record:
    """Stop counting an unpaid order towards its application's limit.

    Raises:
        OrderNotFound: we have no record of the order.
        NotPossible: it holds money, or money is on its way.
    """
    record = _looked_at(reconciler, order_id, now)
    if record.status not in _UNPAID or Position.of(record).consumed:
        raise NotPossible("Money is held on this order, or on its way to it.")
    if not record.released:
        released = replace(
            record,
            released=True,
            version=record.version + 1,
            updated_at=iso(now),
            history=with_entry(record.history, now, "released", record.status),
        )
        reconciler.table.save(record, released)
        record = released
    _close_too_many_orders(reconciler, record, now)
    return record


_UNPAID: Final = frozenset({Status.CREATED, Status.FAILED})


def _looked_at(reconciler: Reconciler, order_id: str, now: int) -> Record:
    """Ask Razorpay about the order and return its record."""
    reconciler.ask_about(order_id, now)
    record = reconciler.table.read(order_id)
    if record is None or record.order is None:
        raise OrderNotFound("no record of ours")
    return record


def _others(reconciler: Reconciler, record: Record) -> list[Record]:
    order = record.agreed()
    application = reconciler.table.application(order.client_id, order.application_id)
    if application is None:
        return []
    records = reconciler.table.read_many(application.orders)
    return [other for key, other in records.items() if key != record.order_id]


def _recorded(reconciler: Reconciler, order_id: str, fact: Fact, now: int) -> Record:
    decision, _ = record_and_publish(reconciler.table, reconciler.bus, order_id, [fact], now, policy=reconciler.policy)
    return decision.record


def _close_too_many_orders(reconciler: Reconciler, record: Record, now: int) -> None:
    """Close the review of an application that has room for orders again."""
    others = _others(reconciler, record)
    if sum(not other.released for other in (record, *others)) >= MAX_ORDERS:
        return
    for other in (record, *others):
        decision = close_review(other, "too_many_orders", "released", now)
        if decision.changed:
            reconciler.table.save(other, decision.record)
