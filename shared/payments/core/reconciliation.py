"""Repairing one record: publish what is pending, settle what is open, find out what is unknown, recover what is lost.

Every step goes through the same decision and the same hand-off as a webhook's, so a record that a webhook is working on
at the same moment comes out the same.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from enum import StrEnum
from typing import Protocol

from payments.core import attention
from payments.core.errors import ContentionError, GatewayRefused, StorageConflict
from payments.core.handoff import MAX_ROUNDS, EventBus, deliver
from payments.core.listing import ListedOrder, rebuild
from payments.core.model import Fact, Order, Record, Status
from payments.core.ordering import OrderStore
from payments.core.transitions import adopt, settle, unknown_record

_NO_SUCH_ORDER = 400


class SettlingGateway(Protocol):
    """Razorpay, as far as settling needs it."""

    def order(self, order_id: str) -> ListedOrder:
        """The order as Razorpay has it."""
        ...

    def facts_of_order(self, order_id: str) -> Sequence[Fact]:
        """What every payment of the order, and every refund of those, says now."""
        ...


class Outcome(StrEnum):
    """What became of a record that was due."""

    NOTHING_DUE = "nothing_due"
    """Somebody else has been there meanwhile; the index follows a moment later."""
    PUBLISHED = "published"
    SETTLED = "settled"
    """Razorpay told something new, and it is recorded and published."""
    UNCHANGED = "unchanged"
    WAITING = "waiting"
    """Razorpay is not to be asked now; the record stays due."""
    REBUILT = "rebuilt"
    FOREIGN = "foreign"


def needs_gateway(record: Record) -> bool:
    """Whether the record can only be repaired by asking Razorpay."""
    return record.status is Status.UNKNOWN or attention.is_open(record.status, confirmed=record.confirmed)


def reconcile_record(  # noqa: PLR0913 - the three sides it stands between, and what to do
    table: OrderStore, gateway: SettlingGateway | None, bus: EventBus, order_id: str, *, stage: str, now: int
) -> Outcome:
    """Does whatever is due for one record.

    Args:
        table: where records are kept.
        gateway: Razorpay; None when it has asked us to slow down: then only pending events are published.
        bus: where events go.
        order_id: of a record that the index says is due.
        stage: ours, to tell our orders from those of another stage.
        now: epoch seconds.

    Raises:
        TemporaryError: it stays due, and is tried again with the next run.
    """
    for _ in range(MAX_ROUNDS):
        record = table.read(order_id)
        if record is None or record.attention_at is None or record.attention_at > now:
            return Outcome.NOTHING_DUE
        published = deliver(table, bus, record)
        if gateway is None or not needs_gateway(record):
            return _without_gateway(table, record, published)
        try:
            return _with_gateway(table, gateway, bus, record, stage=stage, now=now)
        except StorageConflict:
            continue
    raise ContentionError(f"The record changed {MAX_ROUNDS} times while it was reconciled.")


def _without_gateway(table: OrderStore, record: Record, published: int) -> Outcome:
    if published:
        return Outcome.PUBLISHED
    if needs_gateway(record):
        return Outcome.WAITING
    # Nothing is due after all: forget the due time, unless the record has moved on.
    with suppress(StorageConflict):
        table.save(record, replace(record, attention_at=None))
    return Outcome.NOTHING_DUE


def _with_gateway(  # noqa: PLR0913 - as above
    table: OrderStore, gateway: SettlingGateway, bus: EventBus, record: Record, *, stage: str, now: int
) -> Outcome:
    # What was pending is published and cleared, key by key, without a new version.
    record = replace(record, pending={})
    outcome = Outcome.SETTLED
    if record.status is Status.UNKNOWN:
        rebuilt = _rebuild(table, gateway, record, stage, now)
        if rebuilt is None:
            return Outcome.FOREIGN
        record, outcome = rebuilt, Outcome.REBUILT
    decision = settle(record, gateway.facts_of_order(record.order_id), now)
    if decision.changed:
        table.save(record, decision.record)
    deliver(table, bus, decision.record)
    news = decision.record.version != record.version
    return outcome if news or outcome is Outcome.REBUILT else Outcome.UNCHANGED


def _rebuild(table: OrderStore, gateway: SettlingGateway, record: Record, stage: str, now: int) -> Record | None:
    try:
        listed = gateway.order(record.order_id)
    except GatewayRefused as error:
        if error.status != _NO_SUCH_ORDER:
            raise
        order = None
    else:
        order = rebuild(listed, stage)
    if order is None:
        table.save(record, replace(record, attention_at=None))
        return None
    adopted = adopt(record, order, listed.created_at, now).record
    table.save(record, adopted)
    # So that create-order finds it; if the application has moved on to another order, that one stays.
    with suppress(StorageConflict):
        table.point(order.client_id, order.application_id, record.order_id, seen=None)
    return adopted


def recover_order(  # noqa: PLR0913 - as `reconcile_record`
    table: OrderStore, gateway: SettlingGateway, bus: EventBus, listed: ListedOrder, *, stage: str, now: int
) -> Outcome:
    """Brings the record of an order that Razorpay lists up to what Razorpay knows: one that is missing too, or settled.

    For a table that was restored to an earlier moment. Doing it again changes nothing.

    Args:
        table: where records are kept.
        gateway: Razorpay.
        bus: where events go.
        listed: as Razorpay lists it.
        stage: ours, to tell our orders from those of another stage.
        now: epoch seconds.

    Returns:
        FOREIGN for an order that is not ours; REBUILT where there was no record, or none with an order; SETTLED where
        Razorpay told something new; else UNCHANGED.

    Raises:
        TemporaryError: some of it may be done; doing it again is safe.
    """
    order = rebuild(listed, stage)
    if order is None:
        return Outcome.FOREIGN
    for _ in range(MAX_ROUNDS):
        with suppress(StorageConflict):
            return _recover(table, gateway, bus, listed, order, now=now)
    raise ContentionError(f"The record changed {MAX_ROUNDS} times while it was recovered.")


def _recover(  # noqa: PLR0913 - as above
    table: OrderStore, gateway: SettlingGateway, bus: EventBus, listed: ListedOrder, order: Order, *, now: int
) -> Outcome:
    stored = table.read(listed.id)
    if stored is None:
        record = adopt(unknown_record(listed.id, now), order, listed.created_at, now).record
        table.insert(record)
    elif stored.status is Status.UNKNOWN:
        record = adopt(stored, order, listed.created_at, now).record
        table.save(stored, record)
    else:
        record = stored
    decision = settle(record, gateway.facts_of_order(record.order_id), now)
    if decision.changed:
        table.save(record, decision.record)
    deliver(table, bus, decision.record)
    _point_if_better(table, decision.record)
    if record is not stored:
        return Outcome.REBUILT
    return Outcome.SETTLED if decision.record.version != record.version else Outcome.UNCHANGED


def _point_if_better(table: OrderStore, record: Record) -> None:
    """Makes create-order hand the order out if its application has none, or has been paid by it."""
    order = record.agreed()
    pointer = table.current_order(order.client_id, order.application_id)
    if pointer == record.order_id:
        return
    if pointer is not None:
        # Which of several unpaid orders the customer was given nobody can tell, so the one that is there stays. But who
        # has paid is not asked to pay again.
        current = table.read(pointer)
        if record.status is not Status.PAID or (current is not None and current.status is Status.PAID):
            return
    table.point(order.client_id, order.application_id, record.order_id, seen=pointer)
