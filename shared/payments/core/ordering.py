"""Opening an order: an application is never sold twice, however often and at once it is asked for.

The application's item is the authority: the current order and every order it ever had. The decision is over all of
them. Nothing is ever pointed back, and each step is safe to be the last: an order at Razorpay whose id nobody was given
cannot be paid, and a record that no application names was never handed out.
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
from payments.core.position import Policy, Position, under_review
from payments.core.transitions import ask_for_review, open_record, supersede

MAX_ORDERS = 100
"""How many orders an application may have; a person must look before it gets more."""

_DAY_S = 24 * 60 * 60
# An order never expires at Razorpay, but what the client agreed to a month ago is agreed to anew.
_LONGEST_OPEN_S = 30 * _DAY_S
# What Razorpay said of an order is good for so long; after that it is asked before the order is handed out again.
_LOOK_AGAIN_S = 15 * 60
# No answer of the bank in 10 minutes makes a payment fail ("Payment states"): by now it has.
_IN_FLIGHT_S = 15 * 60
# Orders younger than this are asked about before another one is made; later, webhooks and reconcile have told it all.
_ASK_ABOUT_S = _DAY_S
# A look before an open order is handed out again: a customer waits, and Razorpay itself refuses a second payment.
_HAND_OUT_LOOK_S = 3.0
# What all calls to Razorpay for one request may take together: create-order answers within 20 s, the table included.
BUDGET_S = 14.0
# Each time an id turns out to have been used, so many are left out: a counter that went back by a day is soon past it.
_IDS_TO_SKIP = (1_000, 30_000, 1_000_000)


class OrderStore(RecordStore, Protocol):
    """The payments table, as far as ordering needs it."""

    def read_many(self, order_ids: Iterable[str], *, consistent: bool = True) -> Mapping[str, Record]:
        """Records by order id; those that do not exist are left out."""
        ...

    def application(self, client_id: int, application_id: int) -> Application | None:
        """The orders of this client's application (strongly consistent), or None."""
        ...

    def open_application(self, client_id: int, application_id: int, order_id: str) -> None:
        """Stores an application with its first order, else StorageConflict."""
        ...

    def replace_order(self, seen: Application, fresh: Record, old: tuple[Record, Record] | None) -> None:
        """Stores the new order, makes it current, and supersedes the old one: all or nothing, else StorageConflict."""
        ...

    def extend_application(self, seen: Application, order_id: str) -> None:
        """Adds an order to an application, else StorageConflict."""
        ...

    def raise_payment_ids(self, above: int) -> None:
        """Makes sure that no payment id up to this one is handed out (again)."""
        ...


class OrderGateway(Protocol):
    """Razorpay, as far as ordering needs it."""

    @property
    def key_id(self) -> str:
        """The key id of the last call."""
        ...

    def within(self, seconds: float) -> AbstractContextManager[None]:
        """Bounds what all calls inside take together."""
        ...

    def create_order(self, order: Order) -> str:
        """Creates the order at Razorpay and returns its id."""
        ...

    def look(self, order_id: str) -> Look:
        """The order with all its payments and their refunds."""
        ...


class PaymentIds(Protocol):
    """Where payment ids and receipts come from."""

    def number(self, offer: Order) -> Order:
        """The offer with a payment id and a receipt of its own."""
        ...

    def skip(self, count: int) -> None:
        """Leaves so many ids out, since some of them were used before."""
        ...


@dataclass(frozen=True, slots=True)
class Placed:
    """An order that the client may pay."""

    record: Record
    created: bool
    """False when an open order was handed out again."""
    key_id: str
    """The key id that Checkout must use: that of the last call to Razorpay, since keys may have been rotated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderServices:
    """What an order is placed with."""

    table: OrderStore
    gateway: OrderGateway
    ids: PaymentIds
    policy: Policy


def place_order(services: OrderServices, offer: Order, now: int) -> Placed:
    """Hands out the application's open order if it is for the same purchase, else puts a new one in its place.

    Args:
        services: what it is done with.
        offer: the purchase, not numbered yet.
        now: epoch seconds.

    Raises:
        PaymentUnderReview: money is held for the application that a person must look at.
        AlreadyPaid: this application has been paid.
        PaymentInProgress: a payment is alive on another order of it, or under way at the bank.
        GatewayRefused, GatewayUnavailable, TableUnavailable, ContentionError: nothing was handed out.
    """
    with services.gateway.within(BUDGET_S):
        placing = _Placing(services, offer, now)
        for _ in range(MAX_ROUNDS):
            # Somebody else may be faster, or our own write take effect and its answer be lost: what is there decides.
            with suppress(StorageConflict):
                placed = placing.attempt()
                if placed is not None:
                    return placed
    raise ContentionError(f"The application's orders changed {MAX_ROUNDS} times while one was placed.")


class _Placing:
    """One request for an order, over as many rounds as it takes."""

    def __init__(self, services: OrderServices, offer: Order, now: int) -> None:
        self._services = services
        self._offer = offer
        self._now = now
        self._fresh: Record | None = None
        """The order that was made at Razorpay for this request and has no record yet."""
        self._made: set[str] = set()
        """Every order that was made at Razorpay for this request."""
        self._asked: set[str] = set()
        """Orders that Razorpay was asked about for this request."""
        self._gone: set[str] = set()
        """Orders that Razorpay does not know, or no longer shows."""

    def attempt(self) -> Placed | None:
        """One round; None when something was learned and all must be decided again."""
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

    # --- what may be handed out again ---

    def _may_be_handed_out(self, current: Record) -> bool:
        """Whether it is open, for the same purchase, and neither consumed, over-aged nor unknown to Razorpay."""
        return (
            current.order is not None
            and current.status in {Status.CREATED, Status.FAILED, Status.AUTHORIZED}
            and current.superseded_by is None
            and current.order.same_fields(self._offer)
            and not Position.of(current).consumed
            and self._now - epoch(current.created_at) < _LONGEST_OPEN_S
            and current.order_id not in self._gone
        )

    def _is_worth_a_look(self, current: Record) -> bool:
        looked_at = current.looked_at if current.looked_at is not None else epoch(current.created_at)
        return current.order_id not in self._asked and self._now - looked_at > _LOOK_AGAIN_S

    def _look_before_hand_out(self, current: Record) -> bool:
        """Whether anything was learned; where Razorpay does not answer, it will refuse a second payment by itself."""
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
        """Marks every other order that could still be paid; whether there was one, so that all is decided again."""
        others = [record for key, record in records.items() if key != handed_out and _is_open(record)]
        for record in others:
            self._services.table.save(record, supersede(record, handed_out, self._now))
        return bool(others)

    # --- what must be known before another order is made ---

    def _look_before_replacing(self, application: Application, records: Mapping[str, Record]) -> bool:
        """Asks Razorpay about every order that a payment could be under way on; whether anything was learned.

        Raises:
            PaymentInProgress: a payment is under way.
            GatewayUnavailable: no answer, and without one no other order may be made.
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
            # What Razorpay says is recorded, also if it is a refusal.
            if record is not None:
                learned = self._record(record, look) or learned
            self._refuse_if_under_way(order_id, look, record)
        return learned

    def _must_be_asked_about(self, application: Application, order_id: str, record: Record | None) -> bool:
        if record is None or order_id == application.current:
            return True
        # A superseded order was changed when that happened.
        return self._now - max(epoch(record.created_at), epoch(record.updated_at)) < _ASK_ABOUT_S

    def _refuse_if_under_way(self, order_id: str, look: Look, record: Record | None) -> None:
        waiting = any(self._now - made_at < _IN_FLIGHT_S for made_at in look.in_flight)
        # An order without a record is on its way into the table: whoever writes it knows what was paid.
        paid = record is None and any(isinstance(fact, Captured | Authorized) for fact in look.facts)
        if waiting or paid or look.says_paid_without_payment():
            raise PaymentInProgress("Razorpay says that a payment is under way.", order_id)

    def _record(self, record: Record, look: Look) -> bool:
        """Records what Razorpay says, and when it was asked; whether it was news. Events wait for the outbox."""
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
        # From here on it has a record, so that another round needs another order.
        self._fresh = None
        try:
            self._services.table.insert(fresh)
        except StorageConflict:
            # Our own write, whose answer was lost and which was then repeated, looks just like somebody else's.
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
        old = None if current is None else (current, supersede(current, fresh.order_id, self._now))
        self._services.table.replace_order(application, fresh, old)
        others = {key: record for key, record in records.items() if key != application.current}
        # If one of the others could still be paid, all is decided again before the new one is handed out.
        return None if self._supersede_others(others, fresh.order_id) else self._placed(fresh, created=True)

    def _placed(self, record: Record, *, created: bool) -> Placed:
        return Placed(record, created, self._services.gateway.key_id)

    def _refuse_more(self, application: Application, records: Mapping[str, Record]) -> NoReturn:
        """Asks a person to look, once: those that Razorpay says are unpaid can be released."""
        holder = records.get(application.current) or next(iter(records.values()), None)
        if holder is not None:
            decision = ask_for_review(holder, "too_many_orders", self._now)
            if decision.changed:
                self._services.table.save(holder, decision.record)
        raise PaymentUnderReview(f"The application has {MAX_ORDERS} orders.", application.current)

    def _make(self) -> Record:
        """Makes an order at Razorpay; nobody is given its id before the record is stored."""
        for skipped in _IDS_TO_SKIP:
            # A used receipt: the counter of payment ids went back, with a table that was restored, say.
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
    """Refuses an application of which money is held or on its way.

    Raises:
        PaymentUnderReview: money is held that is not as agreed, or on a superseded order. Decided first: the client
            must not pay again.
        AlreadyPaid: an order is paid.
        PaymentInProgress: an authorised payment is alive on another order than the one to be handed out.
    """
    all_of_them = list(records)
    for record in all_of_them:
        if under_review(record):
            raise PaymentUnderReview("Money is held that a person must look at.", record.order_id)
    for record in all_of_them:
        if record.status is Status.PAID:
            raise AlreadyPaid("This application has already been paid.", record.order_id)
    for record in all_of_them:
        is_candidate = candidate is not None and record.order_id == candidate.order_id
        if not is_candidate and _is_alive(record):
            raise PaymentInProgress("A payment is in progress on another order.", record.order_id)


def _is_alive(record: Record) -> bool:
    """Whether a payment on it is signed or authorised and may yet be captured, also after others were refunded."""
    return any(map(Position.of(record).alive, record.attempts))


def _is_open(record: Record) -> bool:
    """Whether the order could still be paid, and be taken for the one that the client agreed to."""
    return (
        record.superseded_by is None
        and record.status in {Status.CREATED, Status.FAILED, Status.AUTHORIZED}
        and not Position.of(record).consumed
    )
