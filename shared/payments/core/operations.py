"""Operators' decisions about one order, where no rule can decide.

What moves a payment's status asks Razorpay first and records a fact. Each decision names who made it and why.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from copy import replace
from typing import Final

from payments.core.errors import (
    ContentionError,
    EventsUnpublished,
    OrderNotFound,
    PaymentServiceError,
    StorageConflict,
)
from payments.core.events import encode
from payments.core.model import Accepted, Fact, Mandate, PendingEvent, Record, Released, Status
from payments.core.ordering import MAX_ORDERS
from payments.core.outbox import MAX_ROUNDS, Message, publish_pending, record_and_publish
from payments.core.position import Position
from payments.core.reconciliation import Reconciler
from payments.core.replay import REPUBLISHED, replay
from payments.core.transitions import close_review, note, supersede, with_version


class NotPossible(PaymentServiceError):
    """The command would break a promise to the client; the message says which."""


def accept_payment(reconciler: Reconciler, order_id: str, payment: str, now: int, by: Mandate | None = None) -> Record:
    """Accept a captured payment that does not match, or that came on a superseded order, so that it can stand.

    The application's other orders are superseded first. Otherwise the customer could pay one of them in a Checkout
    window that is still open, and both orders would be announced as paid.

    Raises:
        OrderNotFound: we have no record of the order.
        NotPossible: the payment holds no money, or another order of the application does.
        TableUnavailable, ContentionError: try again. The other orders may be superseded already.
    """
    _in_rounds(lambda: _make_way(reconciler, order_id, payment, now))
    return _recorded(reconciler, order_id, Accepted(payment=payment, by=by), now)


def _make_way(reconciler: Reconciler, order_id: str, payment: str, now: int) -> None:
    """Make sure that the payment may stand, and that nothing paid on another order of the application will."""
    record = _looked_at(reconciler, order_id, now)
    position = Position.of(record)
    if payment not in record.attempts or not position.holds_money(payment):
        raise NotPossible("The payment holds no money that could stand.")
    if position.refunded:
        raise NotPossible("The order is refunded, which is final: refund this payment too.")
    if position.standing not in {None, payment}:
        raise NotPossible("Another payment of this order stands.")
    others = _others(reconciler, record)
    for other in others:
        if any(map(Position.of(other).holds_money, other.attempts)):
            raise NotPossible("Another order of this application holds money: refund it first.")
    for other in others:
        if other.superseded_by is None and other.status is not Status.REFUNDED:
            # If it was paid meanwhile, this conflicts, and everything is decided again.
            reconciler.table.save(other, supersede(other, order_id, now))


def release_payment(reconciler: Reconciler, order_id: str, payment: str, now: int, by: Mandate | None = None) -> Record:
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
    return _recorded(reconciler, order_id, Released(payment=payment, by=by), now)


def release_order(reconciler: Reconciler, order_id: str, now: int, by: Mandate | None = None) -> Record:
    """Stop counting an unpaid order towards its application's limit.

    Raises:
        OrderNotFound: we have no record of the order.
        NotPossible: it holds money, or money is on its way.
    """
    record = _looked_at(reconciler, order_id, now)
    if record.status not in _UNPAID or Position.of(record).consumed:
        raise NotPossible("Money is held on this order, or on its way to it.")
    if not record.released:
        released = replace(with_version(record, "released", now, by), released=True)
        reconciler.table.save(record, released)
        record = released
    _close_too_many_orders(reconciler, record, now)
    return record


def take_note(reconciler: Reconciler, order_id: str, by: Mandate, now: int) -> Record:
    """Record that a person has dealt with the order, which resolves the reviews that no fact resolves.

    Raises:
        OrderNotFound: we have no record of the order.
    """

    def attempt() -> Record:
        record = _record_of(reconciler, order_id)
        noted = note(record, by, now).record
        reconciler.table.save(record, noted)
        return noted

    record = _in_rounds(attempt)
    publish_pending(reconciler.table, reconciler.bus, record)
    return record


def republish(reconciler: Reconciler, order_id: str, by: Mandate, now: int) -> tuple[Record, tuple[str, ...]]:
    """Publish every event of the order again, for a subscriber that lost some.

    Each has the same id and content as before, so a subscriber that has it drops it.

    Returns:
        The record, and the types of the events in the order in which they were recorded.

    Raises:
        OrderNotFound: we have no record of the order.
        NotPossible: the record does not tell exactly what its events were.
        BusUnavailable, EventsUnpublished, TableUnavailable: try again.
    """

    def attempt() -> tuple[Record, Mapping[str, PendingEvent]]:
        record = _record_of(reconciler, order_id)
        told = replay(record)
        if told.differs:
            raise NotPossible(
                f"Its events cannot be derived again ({told.differs[0]}): replay the bus's archive instead."
            )
        noted = with_version(record, REPUBLISHED, now, by)
        # Before the events go out, so that there is none that nobody sent.
        reconciler.table.save(record, noted)
        return noted, told.events

    record, events = _in_rounds(attempt)
    accepted = frozenset[str]()
    if events:
        messages = {key: Message(event.type, encode(record, key, event)) for key, event in events.items()}
        accepted = reconciler.bus.publish(messages)
    if cleared := record.pending.keys() & accepted:
        reconciler.table.clear(record, cleared)
    if len(accepted) < len(events):
        raise EventsUnpublished(f"The bus refused {len(events) - len(accepted)} of {len(events)} events.")
    return record, tuple(event.type for event in events.values())


_UNPAID: Final = frozenset({Status.CREATED, Status.FAILED})


def _looked_at(reconciler: Reconciler, order_id: str, now: int) -> Record:
    """Ask Razorpay about the order and return its record."""
    reconciler.ask_about(order_id, now)
    return _record_of(reconciler, order_id)


def _record_of(reconciler: Reconciler, order_id: str) -> Record:
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


def _in_rounds[T](attempt: Callable[[], T]) -> T:
    """Run a step, and run it again from the start if a record changed meanwhile (optimistic locking)."""
    for _ in range(MAX_ROUNDS):
        with suppress(StorageConflict):
            return attempt()
    raise ContentionError(f"A record changed {MAX_ROUNDS} times while it was decided about.")


def _close_too_many_orders(reconciler: Reconciler, record: Record, now: int) -> None:
    """Close the review of an application that has room for orders again."""
    others = _others(reconciler, record)
    if sum(not other.released for other in (record, *others)) >= MAX_ORDERS:
        return
    for other in (record, *others):
        decision = close_review(other, "too_many_orders", "released", now)
        if decision.changed:
            reconciler.table.save(other, decision.record)
