"""Place orders: an application is never paid twice, however many requests arrive at once.

The application's item is the authority. It holds the current order and every earlier one, and each decision
considers all of them. The current order never moves back to an earlier one, and a crash after any step is safe: an
order at Razorpay whose id nobody received cannot be paid, and a record that no application names was never
returned to a client.
"""

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, suppress
from copy import replace
from dataclasses import dataclass
from typing import NoReturn, Protocol

from payments.core.errors import (
    AlreadyPaid,
    ContentionError,
    GatewayRefused,
    GatewayUnavailable,
    NotAtGateway,
    PaymentInProgress,
    PaymentUnderReview,
    ReceiptReused,
    StorageConflict,
    TooOldForGateway,
)
from payments.core.facts import batches
from payments.core.instants import epoch
from payments.core.listing import Look
from payments.core.model import Application, Authorized, Captured, Order, Record, Status
from payments.core.outbox import MAX_ROUNDS, RecordStore, keep_new_refunds, record_facts
from payments.core.position import Policy, Position
from payments.core.transitions import ask_for_review, open_record, supersede

MAX_ORDERS = 100
"""How many orders an application may have before a person must look."""

_DAY_S = 24 * 60 * 60
# Razorpay's orders never expire, but a client who agreed to the terms a month ago must agree again, however late ours
# expire.
_LONGEST_OPEN_S = 30 * _DAY_S
# How long Razorpay's last response about an order is used. After that, ask again before returning the order.
_LOOK_AGAIN_S = 15 * 60
# A payment fails if the bank does not answer within 10 minutes ("Payment states"): after 15 it has.
_IN_FLIGHT_S = 15 * 60
# Ask about orders younger than this before creating another one. Webhooks and reconcile have reported on older ones.
_ASK_ABOUT_S = _DAY_S
# Timeout for the query before an open order is returned again: a customer is waiting, and Razorpay itself refuses a
# second payment.
_HAND_OUT_LOOK_S = 3.0
# Limit for all calls to Razorpay in one request: create-order answers within 20 s, calls to the table included.
BUDGET_S = 14.0
# How many ids to skip each time an id turns out to be used: enough to pass a counter that went back by a day.
_IDS_TO_SKIP = (1_000, 30_000, 1_000_000)


class OrderStore(RecordStore, Protocol):
    """The part of the payments table that ordering uses."""

    def read_many(self, order_ids: Iterable[str], *, consistent: bool = True) -> Mapping[str, Record]:
        """Return records by order id. Ids without a record are left out."""
        ...

    def application(self, client_id: int, application_id: int) -> Application | None:
        """Return the orders of this client's application (strongly consistent), or None."""
        ...

    def open_application(self, client_id: int, application_id: int, order_id: str) -> None:
        """Store an application with its first order; raise StorageConflict if it exists."""
        ...

    def replace_order(self, seen: Application, fresh: Record, old: tuple[Record, Record] | None) -> None:
        """Store the new order, make it current and supersede the old one atomically, or raise StorageConflict."""
        ...

    def extend_application(self, seen: Application, order_id: str) -> None:
        """Add an order to an application; raise StorageConflict if the application changed meanwhile."""
        ...

    def raise_payment_ids(self, above: int) -> None:
        """Make sure that no payment id up to and including this one is assigned (again)."""
        ...


class OrderGateway(Protocol):
    """The part of Razorpay's API that ordering uses."""

    @property
    def key_id(self) -> str:
        """Return the key id used by the last call."""
        ...

    def within(self, seconds: float) -> AbstractContextManager[None]:
        """Limit the total time of all calls inside the block."""
        ...

    def create_order(self, order: Order) -> str:
        """Create the order at Razorpay and return its id."""
        ...

    def look(self, order_id: str) -> Look:
        """Return the order with all its payments and their refunds."""
        ...


class PaymentIds(Protocol):
    """The source of payment ids and receipts."""

    def number(self, offer: Order) -> Order:
        """Return the offer with a new payment id and receipt."""
        ...

    def skip(self, count: int) -> None:
        """Skip this many ids, because some of them were used before."""
        ...


@dataclass(frozen=True, slots=True)
class Placed:
    """An order that the client may pay."""

    record: Record
    created: bool
    """False if an open order was returned again."""
    key_id: str
    """The key id that Checkout must use: that of the last call to Razorpay, because keys may have been rotated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderServices:
    """The services and policy that placing an order needs."""

    table: OrderStore
    gateway: OrderGateway
    ids: PaymentIds
    policy: Policy
    order_expiry_s: int
    """The age at which an unpaid order expires (`expiry`)."""


def place_order(services: OrderServices, offer: Order, now: int) -> Placed:
    """Return the application's open order if it is for the same purchase; otherwise replace it with a new one.

    Args:
        services: what placing an order needs.
        offer: the purchase, without a payment id.
        now: epoch seconds.

    Raises:
        PaymentUnderReview: a person must decide about a payment of the application.
        AlreadyPaid: the application has been paid.
        PaymentInProgress: a payment is alive on another of its orders, or the bank is processing one.
        GatewayRefused, GatewayUnavailable, TableUnavailable, ContentionError: no order is returned.
    """
    with services.gateway.within(BUDGET_S):
        placing = _Placing(services, offer, now)
        for _ in range(MAX_ROUNDS):
            # Another request may be faster, or the response to our write may be lost. The stored state decides.
            with suppress(StorageConflict):
                placed = placing.attempt()
                if placed is not None:
                    return placed
    raise ContentionError(f"The application's orders changed {MAX_ROUNDS} times while one was placed.")


class _Placing:
    """One request for an order, over as many rounds as it needs."""

    def __init__(self, services: OrderServices, offer: Order, now: int) -> None:
        self._services = services
        self._offer = offer
        self._now = now
        self._fresh: Record | None = None
        """The order created at Razorpay for this request that has no record yet."""
        self._made: set[str] = set()
        """Every order created at Razorpay for this request."""
        self._asked: set[str] = set()
        """Orders that Razorpay was asked about for this request."""
        self._gone: set[str] = set()
        """Orders that Razorpay does not know, or no longer shows."""

    def attempt(self) -> Placed | None:
        """Run one round. Return None if something was learned and everything must be decided again."""
        table, offer = self._services.table, self._offer
        application = table.application(offer.client_id, offer.application_id)
        if application is None:
            return self._open_first()
        records = dict(table.read_many(application.orders))
        current = records.get(application.current)
        candidate = current if current is not None and self._may_be_handed_out(current) else None
        _refuse_if_sold(records.values(), candidate)
        if candidate is not None:
            if self._is_worth_a_look(candidate) and self._look_before_hand_out(candidate):
                return None
            if self._supersede_others(records, candidate.order_id):
                return None
            return self._placed(candidate, created=candidate.order_id in self._made)
        if self._look_before_replacing(application, records):
            return None
        return self._replace(application, records, current)

    # --- returning the open order again ---

    def _may_be_handed_out(self, current: Record) -> bool:
        """Return whether it is open, for the same purchase, not consumed, not too old and known to Razorpay.

        An order is too old from the age at which it expires, not only from when that is recorded: a customer who is
        still paying must not be overtaken.
        """
        return (
            current.order is not None
            and current.status in {Status.CREATED, Status.FAILED, Status.AUTHORIZED}
            and current.superseded_by is None
            and current.expired_at is None
            and current.order.same_fields(self._offer)
            and not Position.of(current).consumed
            and self._now - epoch(current.created_at) < min(_LONGEST_OPEN_S, self._services.order_expiry_s)
            and current.order_id not in self._gone
        )

    def _is_worth_a_look(self, current: Record) -> bool:
        looked_at = current.looked_at if current.looked_at is not None else epoch(current.created_at)
        return current.order_id not in self._asked and self._now - looked_at > _LOOK_AGAIN_S

    def _look_before_hand_out(self, current: Record) -> bool:
        """Return whether anything was learned. If Razorpay does not respond, it will itself refuse a second payment."""
        self._asked.add(current.order_id)
        try:
            with self._services.gateway.within(_HAND_OUT_LOOK_S):
                look = self._services.gateway.look(current.order_id)
        except (NotAtGateway, TooOldForGateway):
            self._gone.add(current.order_id)
            return True
        except (GatewayUnavailable, GatewayRefused):
            return False
        self._record(current, look)
        return True

    def _supersede_others(self, records: Mapping[str, Record], handed_out: str) -> bool:
        """Supersede every other order that could still be paid. If this returns True, the caller must decide again."""
        others = [record for key, record in records.items() if key != handed_out and _is_open(record)]
        for record in others:
            self._services.table.save(record, supersede(record, handed_out, self._now))
        return bool(others)

    # --- before another order is created ---

    def _look_before_replacing(self, application: Application, records: Mapping[str, Record]) -> bool:
        """Ask Razorpay about every order on which a payment could be in progress. Return whether anything was learned.

        Raises:
            PaymentInProgress: a payment is in progress.
            GatewayUnavailable: no response, without which no other order may be created.
        """
        learned = False
        for order_id in application.orders:
            record = records.get(order_id)
            if order_id in self._asked | self._gone or not self._must_be_asked_about(application, order_id, record):
                continue
            self._asked.add(order_id)
            try:
                look = self._services.gateway.look(order_id)
            except (NotAtGateway, TooOldForGateway):
                self._gone.add(order_id)
                continue
            except GatewayRefused as refused:
                raise GatewayUnavailable("Razorpay does not say what became of an order.") from refused
            # Record what Razorpay reports before any refusal.
            if record is not None:
                learned = self._record(record, look) or learned
            self._refuse_if_under_way(order_id, look, record)
        return learned

    def _must_be_asked_about(self, application: Application, order_id: str, record: Record | None) -> bool:
        if record is None or order_id == application.current:
            return True
        # Superseding an order updated it.
        return self._now - max(epoch(record.created_at), epoch(record.updated_at)) < _ASK_ABOUT_S

    def _refuse_if_under_way(self, order_id: str, look: Look, record: Record | None) -> None:
        waiting = any(self._now - made_at < _IN_FLIGHT_S for made_at in look.in_flight)
        # An order without a record is still being stored; its writer knows what was paid.
        paid = record is None and any(isinstance(fact, Captured | Authorized) for fact in look.facts)
        if waiting or paid or look.says_paid_without_payment():
            raise PaymentInProgress("Razorpay says that a payment is under way.", order_id)

    def _record(self, record: Record, look: Look) -> bool:
        """Record what Razorpay reports and when. Return whether it was new. The outbox publishes its events."""
        latest = record
        for batch in batches(look.facts):
            decision = record_facts(
                self._services.table, record.order_id, batch, self._now, policy=self._services.policy
            )
            keep_new_refunds(self._services.table, decision)
            latest = decision.record
        self._services.table.save(latest, replace(latest, looked_at=self._now))
        return latest.version != record.version

    # --- a new order ---

    def _open_first(self) -> Placed:
        fresh = self._fresh or self._make()
        # The order has a record from here on, so another round needs another order.
        self._fresh = None
        try:
            self._services.table.insert(fresh)
        except StorageConflict:
            # If the response to our own write was lost and the client retried it, it looks just like someone else's.
            stored = self._services.table.read(fresh.order_id)
            if stored is None or stored.order != fresh.order:
                raise ContentionError("Another record holds the id of this new order.") from None
        self._services.table.open_application(self._offer.client_id, self._offer.application_id, fresh.order_id)
        return self._placed(fresh, created=True)

    def _replace(
        self, application: Application, records: Mapping[str, Record], current: Record | None
    ) -> Placed | None:
        counted = [key for key in application.orders if key not in records or not records[key].released]
        if len(counted) >= MAX_ORDERS:
            self._refuse_more(application, records)
        fresh = self._fresh or self._make()
        # An operator who accepted a payment of another order had this one superseded: that is not repeated.
        is_payable = current is not None and current.superseded_by is None
        old = (current, supersede(current, fresh.order_id, self._now)) if current is not None and is_payable else None
        self._services.table.replace_order(application, fresh, old)
        others = {key: record for key, record in records.items() if key != application.current}
        # If another order could still be paid, decide everything again before returning the new one.
        return None if self._supersede_others(others, fresh.order_id) else self._placed(fresh, created=True)

    def _placed(self, record: Record, *, created: bool) -> Placed:
        return Placed(record, created, self._services.gateway.key_id)

    def _refuse_more(self, application: Application, records: Mapping[str, Record]) -> NoReturn:
        """Open a review, once. An operator can release the orders that Razorpay says are unpaid."""
        holder = records.get(application.current) or next(iter(records.values()), None)
        if holder is not None:
            decision = ask_for_review(holder, "too_many_orders", self._now)
            if decision.changed:
                self._services.table.save(holder, decision.record)
        raise PaymentUnderReview(f"The application has {MAX_ORDERS} orders.", application.current)

    def _make(self) -> Record:
        """Create an order at Razorpay. Nobody receives its id before the record is stored."""
        for skipped in _IDS_TO_SKIP:
            # A used receipt: the counter of payment ids went back, for example with a restored table.
            with suppress(ReceiptReused):
                return self._make_once()
            self._services.ids.skip(skipped)
        return self._make_once()

    def _make_once(self) -> Record:
        order = self._services.ids.number(self._offer)
        order_id = self._services.gateway.create_order(order)
        self._made.add(order_id)
        self._fresh = open_record(order_id, order, self._now)
        return self._fresh


def _refuse_if_sold(records: Iterable[Record], candidate: Record | None) -> None:
    """Refuse an application that holds money or has money on its way.

    Raises:
        PaymentUnderReview: it holds money that is not as agreed, or on a superseded order. Checked first, because the
            client must not pay again.
        AlreadyPaid: an order is paid.
        PaymentInProgress: an authorized payment is alive on an order other than the one to return.
    """
    all_of_them = list(records)
    for record in all_of_them:
        if Position.of(record).under_review:
            raise PaymentUnderReview("A person must decide about a payment.", record.order_id)
    for record in all_of_them:
        if record.status is Status.PAID:
            raise AlreadyPaid("This application has already been paid.", record.order_id)
    for record in all_of_them:
        is_candidate = candidate is not None and record.order_id == candidate.order_id
        if not is_candidate and _is_alive(record):
            raise PaymentInProgress("A payment is in progress on another order.", record.order_id)


def _is_alive(record: Record) -> bool:
    """Return whether a signed or authorized payment on it may still be captured, even after others were refunded."""
    return any(map(Position.of(record).alive, record.attempts))


def _is_open(record: Record) -> bool:
    """Return whether the order could still be paid and mistaken for the one that the client agreed to."""
    return (
        record.superseded_by is None
        and record.status in {Status.CREATED, Status.FAILED, Status.AUTHORIZED}
        and not Position.of(record).consumed
    )
