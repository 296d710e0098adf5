"""Reconciliation: find and record everything that no webhook reported, or that a crashed function left undone.

There are four lanes. **Outbox** publishes pending events and needs nothing from Razorpay. **Watch** asks Razorpay
about one record at a time, while only Razorpay knows its outcome. **Sweep** compares Razorpay's lists with
the table, however old an order is. **Expiry** expires orders that nobody paid. All of them make the same decisions as a
webhook, so a record that a webhook is changing at the same moment ends up the same.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from copy import replace
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from payments.core import attention
from payments.core.disputes import may_be_news
from payments.core.entities import ListedDispute, ListedOrder, ListedPayment, ListedRefund
from payments.core.errors import (
    ContentionError,
    GatewayUnavailable,
    NotAtGateway,
    OrderNotFound,
    StorageConflict,
    TooOldForGateway,
)
from payments.core.expiry import expire, is_in_progress, may_expire
from payments.core.instants import epoch
from payments.core.listing import Look, Origin, ownership, read_dispute, read_order, read_payment, read_refund
from payments.core.model import (
    DISPUTE_ID,
    ORDER_ID,
    PAYMENT_ID,
    REFUND_ID,
    DisputeState,
    Fact,
    KnownDispute,
    KnownRefund,
    NeverCaptured,
    Order,
    Record,
    RefundState,
)
from payments.core.ordering import OrderStore
from payments.core.outbox import MAX_ROUNDS, EventBus, known_dispute, publish_pending, record_and_publish
from payments.core.paying_back import Refunder
from payments.core.position import Policy, Position
from payments.core.sweeping import Entry, Listed
from payments.core.transitions import adopt, decide, foreign, unknown_record

# A refund of a foreign payment is remembered for longer than any pass over the refunds reads back. A dispute about one
# is asked about again after as long.
_FOREIGN_REFUND_S = 60 * 24 * 60 * 60


class ReconcileStore(OrderStore, Protocol):
    """The part of the payments table that reconcile uses."""

    def read_many(
        self, order_ids: Iterable[str], *, consistent: bool = True, only_readable: bool | None = None
    ) -> Mapping[str, Record]:
        """Return records by order id; with `only_readable`, without those that cannot be parsed."""
        ...

    def refunds(self, refund_ids: Iterable[str]) -> Mapping[str, KnownRefund]:
        """Return what is known of refunds, by id. The read may be slightly stale."""
        ...

    def keep_refunds(self, refunds: Collection[KnownRefund], *, expires_at: int | None = None) -> None:
        """Remember what is known of refunds."""
        ...

    def disputes(self, dispute_ids: Iterable[str]) -> Mapping[str, KnownDispute]:
        """Return what is known of disputes, by id. The read may be slightly stale."""
        ...

    def keep_disputes(self, disputes: Collection[KnownDispute], *, expires_at: int | None = None) -> None:
        """Remember what is known of disputes."""
        ...


class Gateway(Protocol):
    """The part of Razorpay's API that reconcile uses."""

    def order(self, order_id: str) -> ListedOrder:
        """Return the order as Razorpay has it."""
        ...

    def look(self, order_id: str, *, also_refunds_of: Collection[str] = ()) -> Look:
        """Return the order with all its payments, and all refunds of payments that have any or that are named."""
        ...

    def payment(self, payment_id: str) -> ListedPayment:
        """Return one payment."""
        ...

    def refund(self, refund_id: str) -> ListedRefund:
        """Return one refund."""
        ...

    def dispute(self, dispute_id: str) -> ListedDispute:
        """Return one dispute."""
        ...

    def disputes(self, skip: int) -> Sequence[Entry]:
        """Return the account's disputes after the first `skip`; none after the last."""
        ...

    def refunds_of(self, payment_id: str) -> Sequence[ListedRefund]:
        """Return every refund of a payment."""
        ...

    def create_refund(self, payment_id: str, amount_minor: int, intent_id: str) -> ListedRefund:
        """Refund a part of a captured payment, under an idempotency key, and return the refund."""
        ...

    def page(self, listed: Listed, start: int, end: int, skip: int) -> Sequence[Entry]:
        """Return up to `sweeping.PAGE` entries of one of the account's lists, newest first."""
        ...


class Outcome(StrEnum):
    """The result of processing a record or a list entry."""

    NOTHING_DUE = "nothing_due"
    """Another run has processed it since; the index lags by a moment."""
    PUBLISHED = "published"
    RECONCILED = "settled"
    """Razorpay reported something new, which is now recorded and published. The value is the metric's original name
    for this outcome and has nothing to do with Razorpay's settlements."""
    UNCHANGED = "unchanged"
    REBUILT = "rebuilt"
    """An order of ours had no record and now has one."""
    FOREIGN = "foreign"
    UNKNOWN = "unknown"
    """It is not clear whose order it is."""
    EXPIRED = "expired"
    """Nobody paid the order in time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciler:
    """The services and policy that every lane works with."""

    table: ReconcileStore
    bus: EventBus
    gateway: Gateway
    origin: Origin
    policy: Policy
    order_expiry_s: int
    """The age at which an unpaid order expires, in seconds."""

    # --- one record ---

    def watch(self, order_id: str, now: int) -> Outcome:
        """Ask Razorpay about one record if it is due, and set its next due time.

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
        """Ask Razorpay about one order, whether it is due or not.

        Raises:
            OrderNotFound: the order has no record.
        """
        return _in_rounds(lambda: self._ask_about(order_id, now))

    def _ask_about(self, order_id: str, now: int) -> Outcome:
        record = self.table.read(order_id)
        if record is None:
            raise OrderNotFound("no record")
        return self.identify_order(record, now) if record.order is None else self.reconcile_record(record, now)

    def reconcile_record(self, record: Record, now: int) -> Outcome:
        """Ask Razorpay about one record, whether it is due or not, and set its next due time.

        Raises:
            StorageConflict: the record changed meanwhile. What Razorpay reported is recorded.
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
        if Position.of(latest).open_intents:
            # What was published is cleared by now, and the version has not changed with it.
            refunder = Refunder(table=self.table, gateway=self.gateway)
            latest = refunder.settle(replace(latest, pending={}), now)
            outcome = outcome if latest.version == record.version else Outcome.RECONCILED
            publish_pending(self.table, self.bus, latest)
        _move_on(self.table, latest, now, looked_at=now)
        return outcome

    def identify_order(self, record: Record, now: int) -> Outcome:
        """Find out whether an order known only from webhooks is ours. If it is, record its payments.

        Raises:
            StorageConflict: the record changed meanwhile.
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
        """Compare one listed payment with the record of its order, and record what is new.

        Args:
            payment: as listed, which may be minutes behind.
            record: as read a moment ago; None if there was none.
            now: epoch seconds.
        """
        order_id = payment.order_id
        if order_id is None:
            # "Payments made without an order_id cannot be captured": not ours, and Razorpay returns it by itself.
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
            # Razorpay's total includes refunds that we do not know.
            fresh, refunds = self.gateway.payment(payment.id), self.gateway.refunds_of(payment.id)
            facts = fresh.facts(refunds)
        record_and_publish(self.table, self.bus, order_id, facts, now, policy=self.policy, keep_unknown=True)
        return Outcome.RECONCILED if found is Outcome.UNCHANGED else found

    def apply_refund(self, refund: ListedRefund, known: KnownRefund | None, now: int) -> Outcome:
        """Compare one listed refund with what is known of it, and record what is new.

        The payment is fetched and decided together with the refund. Otherwise a capture that we missed would look
        like a payment that Razorpay returned by itself.
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

    def apply_dispute(self, listed: ListedDispute, known: KnownDispute | None, now: int) -> Outcome:
        """Compare one listed dispute with what is known of it, and record what is new.

        The list lags, so the dispute is fetched; and the payment with it, because only that names the order.
        """
        state = listed.state
        if state is None:
            return Outcome.UNCHANGED
        if known is not None and (
            known.order_id is None or not may_be_news(known, state, listed.phase, listed.amount_deducted)
        ):
            return Outcome.UNCHANGED
        payment = self.gateway.payment(listed.payment_id)
        return _in_rounds(lambda: self._apply_dispute(listed, state, payment, now))

    def _apply_dispute(self, listed: ListedDispute, state: DisputeState, payment: ListedPayment, now: int) -> Outcome:
        order_id, record = payment.order_id, None
        if order_id is not None:
            record, _ = self._record_of(order_id, now)
        if order_id is None or record is None or record.foreign:
            foreign_one = KnownDispute(
                dispute_id=listed.id,
                payment_id=listed.payment_id,
                state=state,
                phase=listed.phase,
                deducted_minor=listed.amount_deducted,
            )
            self.table.keep_disputes([foreign_one], expires_at=now + _FOREIGN_REFUND_S)
            return Outcome.FOREIGN
        latest = self.gateway.dispute(listed.id)
        fact = latest.as_disputed(latest.state or state, now, is_current=True)
        decision, _ = record_and_publish(
            self.table, self.bus, order_id, (*payment.facts(), fact), now, policy=self.policy, keep_unknown=True
        )
        kept = decision.record.disputes.get(listed.id)
        if kept is not None:
            self.table.keep_disputes([known_dispute(listed.id, kept, order_id)])
        return Outcome.UNCHANGED if decision.record.version == record.version else Outcome.RECONCILED

    def apply_order(self, listed: ListedOrder, record: Record | None, now: int) -> Outcome:
        """Make sure that an order of ours has a record, and ask Razorpay about it. For use after a table restore."""
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
        else:
            # A record is written a moment before the application that names it, so a restore can cut between the two.
            # create-order would not see the order, and what is paid on it.
            application = self.table.application(owner.order.client_id, owner.order.application_id)
            if application is None or listed.id not in application.orders:
                self._join_application(owner.order, listed.id)
        if listed.status == "created":
            # Nobody has tried to pay it, so there is nothing to ask.
            return found
        outcome = self.reconcile_record(record, now)
        return outcome if found is Outcome.UNCHANGED else found

    def expire_order(self, listed: ListedOrder, record: Record | None, now: int) -> Outcome:
        """Expire an order of ours that nobody paid.

        Args:
            listed: as listed, which may be minutes behind. A payment made meanwhile counts as made before.
            record: as read a moment ago; None if there was none, or if it could not be parsed.
            now: epoch seconds.
        """
        if record is None and ownership(listed, self.origin).order is None:
            return Outcome.UNCHANGED
        return _in_rounds(
            lambda: self._expire_order(listed, record or self.table.read(listed.id), now),
            lambda: self._expire_order(listed, self.table.read(listed.id), now),
        )

    def _expire_order(self, listed: ListedOrder, record: Record | None, now: int) -> Outcome:
        # Nobody received the id of an order without a record.
        if record is None or not may_expire(record):
            return Outcome.UNCHANGED
        latest = record
        if listed.status != "created":
            # Somebody tried to pay it, and only its payments tell what came of that.
            try:
                look = self.gateway.look(listed.id)
            except (NotAtGateway, TooOldForGateway):
                return Outcome.UNCHANGED
            if look.facts:
                decision, _ = record_and_publish(self.table, self.bus, listed.id, look.facts, now, policy=self.policy)
                latest = replace(decision.record, pending={})
            if is_in_progress(look, now):
                return Outcome.UNCHANGED if latest.version == record.version else Outcome.RECONCILED
        expired = expire(latest, now)
        if not expired.changed:
            return Outcome.UNCHANGED if latest.version == record.version else Outcome.RECONCILED
        self.table.save(latest, expired.record)
        publish_pending(self.table, self.bus, expired.record)
        return Outcome.EXPIRED

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
        """Return the record of an order, and create it if there is none: ours, foreign or unknown."""
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
        """Create the record of an order of ours. The record comes last, so that a crash after any step does no harm.

        Raises:
            StorageConflict: another writer was faster.
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
        """Add an order to its application and return the records of the application's other orders."""
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
    """Publish the pending events of a record that is due, and move an unresolved record to the watch lane.

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
    """Postpone a record that failed, for longer each time, so that it delays no other."""
    record = table.read(order_id)
    if record is not None and record.attention_at is not None and record.attention_at <= now:
        # If the record changed meanwhile, it did not only fail: the next run processes it again.
        with suppress(StorageConflict):
            table.save(record, attention.after_failure(record, now))


def _in_rounds(attempt: Callable[[], Outcome], again: Callable[[], Outcome] | None = None) -> Outcome:
    """Run a step, and run it again from the start if the record changed meanwhile (optimistic locking).

    Args:
        attempt: the step.
        again: what to run from the second time on, if that must read more; `attempt` by default.
    """
    for step in (attempt, *[again or attempt] * (MAX_ROUNDS - 1)):
        with suppress(StorageConflict):
            return step()
    raise ContentionError(f"The record changed {MAX_ROUNDS} times while it was reconciled.")


def _move_on(table: OrderStore, record: Record, now: int, *, looked_at: int | None = None) -> None:
    """Set the next due time of a record whose pending events were published and cleared. The version stays the same."""
    seen = replace(record, pending={})
    moved = attention.after_look(seen, now)
    if looked_at is not None:
        moved = replace(moved, looked_at=looked_at)
    if moved != seen:
        table.save(seen, moved)


def _refunds_to_read(record: Record) -> set[str]:
    """Return payments whose refunds must be listed even if Razorpay's total is unchanged: a refund may have failed."""
    under_way = {refund.payment_id for refund in record.refunds.values() if refund.state is RefundState.CREATED}
    requested = {intent.payment_id for intent in Position.of(record).open_intents.values()}
    unread = {payment for payment, attempt in record.attempts.items() if attempt.refunds_unread}
    return under_way | requested | unread


def _never_captured(record: Record, facts: Sequence[Fact], now: int, policy: Policy) -> tuple[Fact, ...]:
    """Return what the last query says of payments still alive: Razorpay would have captured or returned them by now."""
    if now - epoch(record.updated_at) < attention.LAST_WATCH_S or decide(record, facts, now, policy).changed:
        return ()
    position = Position.of(record)
    return tuple(
        NeverCaptured(payment=payment)
        for payment, attempt in record.attempts.items()
        if position.alive(payment) and not attempt.lapsed
    )


def _is_news(state: RefundState, known: KnownRefund) -> bool:
    # Failed after being processed: the bank sent the money back, and a person must know.
    is_reversed = (known.state, state) == (RefundState.PROCESSED, RefundState.FAILED)
    return known.order_id is not None and (state.rank > known.state.rank or is_reversed)


# --- list entries, which may contain anything -----------------------------------------------------------------------


_ENTRY_IDS = (PAYMENT_ID, REFUND_ID, ORDER_ID, DISPUTE_ID)


def entry_id(entry: Entry) -> str | None:
    """Return the Razorpay id of a list entry, or None if it has none that we could ask for."""
    identity = entry.get("id")
    is_id = isinstance(identity, str) and any(form.match(identity) for form in _ENTRY_IDS)
    return identity if is_id else None


type Applied = Callable[[str, Callable[[], Outcome]], None]
"""Takes an entry's id and the action for it, and decides what to do if the action fails."""


def apply_payments(reconciler: Reconciler, page: Sequence[Entry], applied: Applied, now: int) -> None:
    """Compare a page of payments with the table in one batch read. Only what is new costs more calls."""
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
    """Compare a page of refunds with the table in one batch read. A new refund costs a query for its payment."""
    known = reconciler.table.refunds([identity for entry in page if (identity := entry_id(entry)) is not None])
    for entry in page:

        def act(entry: Entry = entry) -> Outcome:
            refund = read_refund(entry)
            return reconciler.apply_refund(refund, known.get(refund.id), now)

        applied(entry_id(entry) or "", act)


def apply_disputes(reconciler: Reconciler, page: Sequence[Entry], applied: Applied, now: int) -> None:
    """Compare a page of disputes with the table in one batch read. What may be new costs two queries."""
    known = reconciler.table.disputes([identity for entry in page if (identity := entry_id(entry)) is not None])
    for entry in page:

        def act(entry: Entry = entry) -> Outcome:
            dispute = read_dispute(entry)
            return reconciler.apply_dispute(dispute, known.get(dispute.id), now)

        applied(entry_id(entry) or "", act)


def apply_orders(reconciler: Reconciler, page: Sequence[Entry], applied: Applied, now: int) -> None:
    """Make sure that every order of ours on a page has a record."""
    orders = [identity for entry in page if (identity := entry_id(entry)) is not None]
    records = reconciler.table.read_many(orders, consistent=False)
    for entry in page:

        def act(entry: Entry = entry) -> Outcome:
            listed = read_order(entry)
            return reconciler.apply_order(listed, records.get(listed.id), now)

        applied(entry_id(entry) or "", act)


def expire_orders(reconciler: Reconciler, page: Sequence[Entry], applied: Applied, now: int) -> None:
    """Expire the orders on a page that are ours and unpaid, after one batch read. Asks Razorpay only about attempts.

    The read is consistent: no pass meets an order that a stale one showed as paid or unknown soon again.
    """
    orders = [identity for entry in page if (identity := entry_id(entry)) is not None]
    records = reconciler.table.read_many(orders, only_readable=True)
    for entry in page:

        def act(entry: Entry = entry) -> Outcome:
            listed = read_order(entry)
            return reconciler.expire_order(listed, records.get(listed.id), now)

        applied(entry_id(entry) or "", act)


def apply_by_id(reconciler: Reconciler, razorpay_id: str, now: int) -> Outcome:
    """Fetch one entry that was set aside by its id, and apply it."""
    if REFUND_ID.match(razorpay_id):
        return reconciler.apply_refund(reconciler.gateway.refund(razorpay_id), None, now)
    if ORDER_ID.match(razorpay_id):
        listed = reconciler.gateway.order(razorpay_id)
        outcome = reconciler.apply_order(listed, reconciler.table.read(razorpay_id), now)
        # It may have been the expiry that could not be applied.
        is_old = now - listed.created_at >= reconciler.order_expiry_s
        if is_old and reconciler.expire_order(listed, reconciler.table.read(razorpay_id), now) is Outcome.EXPIRED:
            return Outcome.EXPIRED
        return outcome
    if DISPUTE_ID.match(razorpay_id):
        return reconciler.apply_dispute(reconciler.gateway.dispute(razorpay_id), None, now)
    return reconciler.apply_payment(reconciler.gateway.payment(razorpay_id), None, now)
