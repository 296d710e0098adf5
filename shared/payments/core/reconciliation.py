"""Razorpay's books against ours: everything that no webhook told, or that a dead function left undone.

Three lanes. The **outbox** publishes what is pending and needs nothing of Razorpay. **Watch** asks Razorpay about one
record at a time, while something on it is alive and unconfirmed. The **sweep** compares Razorpay's lists with the
table, whatever age an order has. All of them decide as a webhook does, so a record that a webhook is working on at the
same moment comes out the same.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from copy import replace
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from payments.core import attention
from payments.core.entities import ListedOrder, ListedPayment, ListedRefund
from payments.core.errors import ContentionError, GatewayUnavailable, OrderNotFound, StorageConflict
from payments.core.instants import epoch
from payments.core.listing import Look, Origin, ownership, read_order, read_payment, read_refund
from payments.core.model import (
    ORDER_ID,
    PAYMENT_ID,
    REFUND_ID,
    Fact,
    KnownRefund,
    NeverCaptured,
    Order,
    Record,
    RefundState,
)
from payments.core.ordering import OrderStore
from payments.core.outbox import MAX_ROUNDS, EventBus, publish_pending, record_and_publish
from payments.core.position import Policy, Position
from payments.core.sweeping import Entry, Listed
from payments.core.transitions import adopt, decide, foreign, unknown_record

# A refund of somebody else's payment is remembered for longer than any pass over the refunds looks back.
_FOREIGN_REFUND_S = 60 * 24 * 60 * 60


class ReconcileStore(OrderStore, Protocol):
    """The payments table, as far as reconcile needs it."""

    def refunds(self, refund_ids: Iterable[str]) -> Mapping[str, KnownRefund]:
        """What is known of refunds, by id, as it was a moment ago."""
        ...

    def keep_refunds(self, refunds: Collection[KnownRefund], *, expires_at: int | None = None) -> None:
        """Remembers what is known of refunds."""
        ...


class Gateway(Protocol):
    """Razorpay, as far as reconcile needs it."""

    def order(self, order_id: str) -> ListedOrder:
        """The order as Razorpay has it."""
        ...

    def look(self, order_id: str, *, also_refunds_of: Collection[str] = ()) -> Look:
        """The order with all its payments, and every refund of those that have any, or are named."""
        ...

    def payment(self, payment_id: str) -> ListedPayment:
        """One payment."""
        ...

    def refund(self, refund_id: str) -> ListedRefund:
        """One refund."""
        ...

    def refunds_of(self, payment_id: str) -> Sequence[ListedRefund]:
        """Every refund of a payment."""
        ...

    def page(self, listed: Listed, start: int, end: int, skip: int) -> Sequence[Entry]:
        """Up to `sweeping.PAGE` entries of one of the account's lists, the newest first."""
        ...


class Outcome(StrEnum):
    """What became of a record or an entry."""

    NOTHING_DUE = "nothing_due"
    """Somebody else has been there meanwhile; the index follows a moment later."""
    PUBLISHED = "published"
    RECONCILED = "settled"
    """Razorpay told something new, and it is recorded and published. The metric has counted it under this word from the
    beginning; it has nothing to do with Razorpay's settlements."""
    UNCHANGED = "unchanged"
    REBUILT = "rebuilt"
    """An order of ours that had no record has one."""
    FOREIGN = "foreign"
    UNKNOWN = "unknown"
    """Nobody can say whose it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciler:
    """What every lane works with."""

    table: ReconcileStore
    bus: EventBus
    gateway: Gateway
    origin: Origin
    policy: Policy

    # --- one record ---

    def watch(self, order_id: str, now: int) -> Outcome:
        """Asks Razorpay about one record that is due, and sets its next due time.

        Raises:
            TemporaryError, GatewayRefused: it stays due.
        """
        return _in_rounds(lambda: self._watch(order_id, now))

    def _watch(self, order_id: str, now: int) -> Outcome:
        record = self.table.read(order_id)
        if record is None or record.attention_at is None or record.attention_at > now:
            return Outcome.NOTHING_DUE
        return self.identify_order(record, now) if record.order is None else self.reconcile_record(record, now)

    def ask_about(self, order_id: str, now: int) -> Outcome:
        """Asks Razorpay about one order whether or not it is due.

        Raises:
            OrderNotFound: it has no record.
        """
        return _in_rounds(lambda: self._ask_about(order_id, now))

    def _ask_about(self, order_id: str, now: int) -> Outcome:
        record = self.table.read(order_id)
        if record is None:
            raise OrderNotFound("no record")
        return self.identify_order(record, now) if record.order is None else self.reconcile_record(record, now)

    def reconcile_record(self, record: Record, now: int) -> Outcome:
        """Asks Razorpay about one record whether or not it is due, and sets its next due time.

        Raises:
            StorageConflict: it changed meanwhile; what was learned is recorded.
        """
        look = self.gateway.look(record.order_id, also_refunds_of=_refunds_to_read(record))
        facts = (*look.facts, *_never_captured(record, look.facts, now, self.policy))
        latest, outcome = record, Outcome.UNCHANGED
        if facts:
            decision, _ = record_and_publish(self.table, self.bus, record.order_id, facts, now, policy=self.policy)
            latest = decision.record
            outcome = Outcome.UNCHANGED if latest.version == record.version else Outcome.RECONCILED
        elif record.pending:
            publish_pending(self.table, self.bus, record)
        _move_on(self.table, latest, now, looked_at=now)
        return outcome

    def identify_order(self, record: Record, now: int) -> Outcome:
        """Finds out whose an order is that is only known from webhooks, and what has become of it if it is ours.

        Raises:
            StorageConflict: it changed meanwhile.
        """
        listed = self.gateway.order(record.order_id)
        owner = ownership(listed, self.origin)
        if owner.order is not None:
            adopted = self._adopt(record, listed, owner.order, now)
            with suppress(StorageConflict):
                self.reconcile_record(adopted, now)
            return Outcome.REBUILT
        if owner.foreign:
            self.table.save(record, foreign(record, now))
            return Outcome.FOREIGN
        self.table.save(record, attention.after_look(record, now))
        return Outcome.UNKNOWN

    # --- lists ---

    def apply_payment(self, payment: ListedPayment, record: Record | None, now: int) -> Outcome:
        """Compares one listed payment with the record of its order, and records what is new.

        Args:
            payment: as it is listed, which may be minutes behind.
            record: as it was a moment ago; None where there was none.
            now: epoch seconds.
        """
        order_id = payment.order_id
        if order_id is None:
            # "Payments made without an order_id cannot be captured": nothing of ours, and given back by itself.
            return Outcome.FOREIGN
        return _in_rounds(lambda: self._apply_payment(payment, order_id, record, now))

    def _apply_payment(self, payment: ListedPayment, order_id: str, record: Record | None, now: int) -> Outcome:
        found = Outcome.UNCHANGED
        if record is None:
            record, found = self._record_of(order_id, now)
        if record.foreign:
            return Outcome.FOREIGN
        facts = payment.facts()
        preview = decide(record, facts, now, self.policy)
        if not preview.changed:
            return found
        attempt = preview.record.attempts.get(payment.id)
        if attempt is not None and attempt.refunds_unread:
            # Razorpay's sum has refunds in it that we do not know.
            fresh, refunds = self.gateway.payment(payment.id), self.gateway.refunds_of(payment.id)
            facts = fresh.facts(refunds)
        record_and_publish(self.table, self.bus, order_id, facts, now, policy=self.policy, keep_unknown=True)
        return Outcome.RECONCILED if found is Outcome.UNCHANGED else found

    def apply_refund(self, refund: ListedRefund, known: KnownRefund | None, now: int) -> Outcome:
        """Compares one listed refund with what is known of it, and records what is new.

        It is decided together with its payment, fetched: so that a capture we missed is not taken for a payment that
        Razorpay gave back by itself.
        """
        state = refund.state
        if state is None or (known is not None and not _is_news(state, known)):
            return Outcome.UNCHANGED
        payment = self.gateway.payment(refund.payment_id)
        return _in_rounds(lambda: self._apply_refund(refund, state, payment, now))

    def _apply_refund(self, refund: ListedRefund, state: RefundState, payment: ListedPayment, now: int) -> Outcome:
        order_id, record = payment.order_id, None
        if order_id is not None:
            record, _ = self._record_of(order_id, now)
        if order_id is None or record is None or record.foreign:
            self._keep(refund, state, None, now)
            return Outcome.FOREIGN
        facts = (*payment.facts(totals=False), *refund.facts(), *payment.totals())
        decision, _ = record_and_publish(
            self.table, self.bus, order_id, facts, now, policy=self.policy, keep_unknown=True
        )
        self._keep(refund, state, order_id, now)
        return Outcome.UNCHANGED if decision.record.version == record.version else Outcome.RECONCILED

    def apply_order(self, listed: ListedOrder, record: Record | None, now: int) -> Outcome:
        """Makes sure that an order of ours has a record, and asks Razorpay about it; for a table that was restored."""
        return _in_rounds(
            lambda: self._apply_order(listed, record, now),
            lambda: self._apply_order(listed, self.table.read(listed.id), now),
        )

    def _apply_order(self, listed: ListedOrder, record: Record | None, now: int) -> Outcome:
        owner = ownership(listed, self.origin)
        if owner.order is None:
            return Outcome.FOREIGN if owner.foreign else Outcome.UNKNOWN
        found = Outcome.UNCHANGED
        if record is None or record.order is None:
            record, found = self._adopt(record, listed, owner.order, now), Outcome.REBUILT
        if listed.status == "created":
            # Nobody has tried to pay it: there is nothing to ask.
            return found
        outcome = self.reconcile_record(record, now)
        return outcome if found is Outcome.UNCHANGED else found

    def _keep(self, refund: ListedRefund, state: RefundState, order_id: str | None, now: int) -> None:
        known = KnownRefund(
            refund_id=refund.id,
            payment_id=refund.payment_id,
            order_id=order_id,
            amount_minor=refund.amount,
            state=state,
        )
        self.table.keep_refunds([known], expires_at=None if order_id else now + _FOREIGN_REFUND_S)

    # --- orders without a record ---

    def _record_of(self, order_id: str, now: int) -> tuple[Record, Outcome]:
        """The record of an order that has none, made now: ours, somebody else's, or nobody knows whose."""
        stored = self.table.read(order_id)
        if stored is not None:
            return stored, Outcome.UNCHANGED
        listed = self.gateway.order(order_id)
        owner = ownership(listed, self.origin)
        if owner.order is not None:
            return self._adopt(None, listed, owner.order, now), Outcome.REBUILT
        record = unknown_record(order_id, now)
        record = foreign(record, now) if owner.foreign else attention.after_change(record, now)
        with suppress(StorageConflict):
            self.table.insert(record)
        return record, Outcome.FOREIGN if owner.foreign else Outcome.UNKNOWN

    def _adopt(self, stored: Record | None, listed: ListedOrder, order: Order, now: int) -> Record:
        """Gives an order of ours its record: after everything that leads to it, so that each step may be the last.

        Raises:
            StorageConflict: somebody else was faster.
        """
        self.table.raise_payment_ids(order.payment_id)
        others = self._join_application(order, listed.id)
        paid = next((other for other in others if Position.of(other).standing is not None), None)
        decision = adopt(
            stored or unknown_record(listed.id, now),
            order,
            listed.created_at,
            now,
            self.policy,
            superseded_by=paid.order_id if paid is not None else None,
        )
        if stored is None:
            self.table.insert(decision.record)
        else:
            self.table.save(stored, decision.record)
        publish_pending(self.table, self.bus, decision.record)
        return replace(decision.record, pending={})

    def _join_application(self, order: Order, order_id: str) -> list[Record]:
        """Adds an order to its application; the records of the others."""
        for _ in range(MAX_ROUNDS):
            application = self.table.application(order.client_id, order.application_id)
            with suppress(StorageConflict):
                if application is None:
                    self.table.open_application(order.client_id, order.application_id, order_id)
                    return []
                if order_id not in application.orders:
                    self.table.extend_application(application, order_id)
                records = self.table.read_many(application.orders)
                return [record for key, record in records.items() if key != order_id]
        raise ContentionError(f"The application changed {MAX_ROUNDS} times while an order was added to it.")


def empty_outbox(table: OrderStore, bus: EventBus, order_id: str, now: int) -> Outcome:
    """Publishes what is pending on a record that is due, and hands what is unresolved to the lane that asks Razorpay.

    Raises:
        TemporaryError: it stays due.
    """

    def attempt() -> Outcome:
        record = table.read(order_id)
        if record is None or record.attention_at is None or record.attention_at > now:
            return Outcome.NOTHING_DUE
        published = publish_pending(table, bus, record)
        _move_on(table, record, now)
        return Outcome.PUBLISHED if published else Outcome.UNCHANGED

    return _in_rounds(attempt)


def back_off(table: OrderStore, order_id: str, now: int) -> None:
    """Lets a record that failed wait longer each time, so that it delays no other."""
    record = table.read(order_id)
    if record is not None and record.attention_at is not None and record.attention_at <= now:
        # If it changed, it did not only fail; the next run finds out.
        with suppress(StorageConflict):
            table.save(record, attention.after_failure(record, now))


def _in_rounds(attempt: Callable[[], Outcome], again: Callable[[], Outcome] | None = None) -> Outcome:
    """Does it, and does it again from the start when the record changed meanwhile.

    Args:
        attempt: what is done.
        again: what is done from the second time on, where that reads more; as the first time unless given.
    """
    for step in (attempt, *[again or attempt] * (MAX_ROUNDS - 1)):
        with suppress(StorageConflict):
            return step()
    raise ContentionError(f"The record changed {MAX_ROUNDS} times while it was reconciled.")


def _move_on(table: OrderStore, record: Record, now: int, *, looked_at: int | None = None) -> None:
    """Sets the next due time of a record whose pending events were published and cleared, without a new version."""
    seen = replace(record, pending={})
    moved = attention.after_look(seen, now)
    if looked_at is not None:
        moved = replace(moved, looked_at=looked_at)
    if moved != seen:
        table.save(seen, moved)


def _refunds_to_read(record: Record) -> set[str]:
    """Payments whose refunds must be listed though Razorpay's sum may say nothing: one under way may have failed."""
    under_way = {refund.payment_id for refund in record.refunds.values() if refund.state is RefundState.CREATED}
    return under_way | {payment for payment, attempt in record.attempts.items() if attempt.refunds_unread}


def _never_captured(record: Record, facts: Sequence[Fact], now: int, policy: Policy) -> tuple[Fact, ...]:
    """What the last look says of payments that are still alive: by now Razorpay would have taken or returned them."""
    if now - epoch(record.updated_at) < attention.LAST_WATCH_S or decide(record, facts, now, policy).changed:
        return ()
    position = Position.of(record)
    return tuple(
        NeverCaptured(payment=payment)
        for payment, attempt in record.attempts.items()
        if position.alive(payment) and not attempt.lapsed
    )


def _is_news(state: RefundState, known: KnownRefund) -> bool:
    # Failed after it was processed: the bank sent it back, which a person must be told.
    is_reversed = (known.state, state) == (RefundState.PROCESSED, RefundState.FAILED)
    return known.order_id is not None and (state.rank > known.state.rank or is_reversed)


# --- entries of lists, which may be anything ------------------------------------------------------------------------


def entry_id(entry: Entry) -> str | None:
    """The Razorpay id of an entry of a list, if it has one that can be asked for."""
    identity = entry.get("id")
    is_id = isinstance(identity, str) and any(form.match(identity) for form in (PAYMENT_ID, REFUND_ID, ORDER_ID))
    return identity if is_id else None


type Applied = Callable[[str, Callable[[], Outcome]], None]
"""Gets the id of an entry and what to do about it; decides what becomes of a failure."""


def apply_payments(reconciler: Reconciler, page: Sequence[Entry], applied: Applied, now: int) -> None:
    """Compares a page of payments with the table, a batch at once; only news costs more than that."""
    orders = set()
    for entry in page:
        with suppress(GatewayUnavailable):
            orders.add(read_payment(entry).order_id)
    records = reconciler.table.read_many((order_id for order_id in orders if order_id is not None), consistent=False)
    for entry in page:

        def act(entry: Entry = entry) -> Outcome:
            payment = read_payment(entry)
            return reconciler.apply_payment(payment, records.get(payment.order_id or ""), now)

        applied(entry_id(entry) or "", act)


def apply_refunds(reconciler: Reconciler, page: Sequence[Entry], applied: Applied, now: int) -> None:
    """Compares a page of refunds with the table, a batch at once; an unseen one costs a look at its payment."""
    known = reconciler.table.refunds([identity for entry in page if (identity := entry_id(entry)) is not None])
    for entry in page:

        def act(entry: Entry = entry) -> Outcome:
            refund = read_refund(entry)
            return reconciler.apply_refund(refund, known.get(refund.id), now)

        applied(entry_id(entry) or "", act)


def apply_orders(reconciler: Reconciler, page: Sequence[Entry], applied: Applied, now: int) -> None:
    """Makes sure that every order of ours on a page has a record."""
    orders = [identity for entry in page if (identity := entry_id(entry)) is not None]
    records = reconciler.table.read_many(orders, consistent=False)
    for entry in page:

        def act(entry: Entry = entry) -> Outcome:
            listed = read_order(entry)
            return reconciler.apply_order(listed, records.get(listed.id), now)

        applied(entry_id(entry) or "", act)


def apply_by_id(reconciler: Reconciler, razorpay_id: str, now: int) -> Outcome:
    """What was set aside, asked for by itself."""
    if REFUND_ID.match(razorpay_id):
        return reconciler.apply_refund(reconciler.gateway.refund(razorpay_id), None, now)
    if ORDER_ID.match(razorpay_id):
        return reconciler.apply_order(reconciler.gateway.order(razorpay_id), reconciler.table.read(razorpay_id), now)
    return reconciler.apply_payment(reconciler.gateway.payment(razorpay_id), None, now)
