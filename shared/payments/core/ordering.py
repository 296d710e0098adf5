"""Opening an order: one payable order per client, application and amount, however often and at once it is asked for.

Each step is safe to be the last. A Razorpay order whose id nobody was given cannot be paid; a record that no pointer
names was never handed out.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from payments.core.errors import AlreadyPaid, ContentionError, PaymentInProgress, StorageConflict
from payments.core.handoff import MAX_ROUNDS, RecordStore
from payments.core.model import Order, Record, Status
from payments.core.transitions import open_record, supersede


class OrderStore(RecordStore, Protocol):
    """The payments table, as far as ordering needs it."""

    def current_order(self, client_id: int, application_id: int) -> str | None:
        """The order id that this client's application points at (strongly consistent), or None."""
        ...

    def point(self, client_id: int, application_id: int, order_id: str, *, seen: str | None) -> None:
        """Points the application at an order if it still points at `seen`, else StorageConflict."""
        ...


class OrderGateway(Protocol):
    """Razorpay, as far as ordering needs it."""

    def create_order(self, order: Order) -> str:
        """Creates the order at Razorpay and returns its id."""
        ...


@dataclass(frozen=True, slots=True)
class Placed:
    """An order that the client may pay."""

    record: Record
    created: bool
    """False when an open order was handed out again."""


def place_order(
    table: OrderStore, gateway: OrderGateway, number: Callable[[Order], Order], offer: Order, now: int
) -> Placed:
    """Hands out the application's open order if it is for the same purchase, else makes a new one.

    Args:
        table: where records are kept.
        gateway: Razorpay.
        number: gives the offer a payment id and a receipt; called at most once, and only if a new order is needed.
        offer: the purchase, not numbered yet.
        now: epoch seconds.

    Raises:
        AlreadyPaid: this application has been paid.
        PaymentInProgress: another amount is authorised for it.
        GatewayRefused, GatewayUnavailable, TableUnavailable, ContentionError: nothing was handed out.
    """
    fresh: Record | None = None
    stored = False
    for _ in range(MAX_ROUNDS):
        pointer = table.current_order(offer.client_id, offer.application_id)
        current = table.read(pointer) if pointer is not None else None
        if current is not None and _is_offered_again(current, offer):
            return Placed(current, created=fresh is not None and current.order_id == fresh.order_id)
        if fresh is None:
            order = number(offer)
            fresh = open_record(gateway.create_order(order), order, now)
        try:
            if current is not None and current.status is not Status.REFUNDED and current.superseded_by is None:
                table.save(current, supersede(current, fresh.order_id, now))
            if not stored:
                _insert(table, fresh)
                stored = True
            table.point(offer.client_id, offer.application_id, fresh.order_id, seen=pointer)
        except StorageConflict:
            # Somebody else was faster, or our own write took effect and its answer was lost: what is there now decides.
            continue
        return Placed(fresh, created=True)
    raise ContentionError(f"The application's order changed {MAX_ROUNDS} times while one was placed.")


def _is_offered_again(current: Record, offer: Order) -> bool:
    if current.status is Status.PAID:
        raise AlreadyPaid("This application has already been paid.")
    if current.status is Status.REFUNDED or current.order is None:
        return False
    if current.superseded_by is None and current.order.same_fields(offer):
        return True
    if current.status is Status.AUTHORIZED:
        raise PaymentInProgress("A payment of another amount is in progress for this application.")
    return False


def _insert(table: OrderStore, record: Record) -> None:
    try:
        table.insert(record)
    except StorageConflict:
        # Our own write, whose answer was lost and which was then repeated, looks just like somebody else's.
        stored = table.read(record.order_id)
        if stored is None or stored.order != record.order:
            raise ContentionError("Another record holds the id of this new order.") from None
