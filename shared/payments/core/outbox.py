"""The transactional outbox: facts → stored record → events on the bus. A crash after any step loses nothing.

Read (strongly consistent) → decide → store facts, status and the events to send in one conditional write → publish
what is pending → clear what the bus accepted. What to publish comes from the stored record, never from whether this
write succeeded: a writer that dies between its write and its publish leaves the events for the next delivery to
find.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from payments.core.errors import ContentionError, EventsUnpublished, OrderNotFound, StorageConflict, TableUnavailable
from payments.core.events import encode
from payments.core.facts import batches
from payments.core.model import Dispute, EventType, Fact, KnownDispute, KnownRefund, Later, Record
from payments.core.position import NO_OFFERS, Policy
from payments.core.transitions import Decision, decide, unknown_record

# Two deliveries and a browser may change one record at the same time. Five rounds are more than
# enough for each of them to succeed.
MAX_ROUNDS = 5
# A call that hangs costs its whole timeout, and a webhook must answer within five seconds. So we retry once and then
# leave the retry to Razorpay.
MAX_UNAVAILABLE = 2


class RecordStore(Protocol):
    """The part of the payments table that the outbox uses."""

    def read(self, order_id: str) -> Record | None:
        """Return the current record (strongly consistent), or None."""
        ...

    def insert(self, record: Record) -> None:
        """Store a new record; raise StorageConflict if it exists."""
        ...

    def save(self, before: Record, after: Record) -> None:
        """Replace `before` with `after`; raise StorageConflict if the stored version is no longer that of `before`."""
        ...

    def clear(self, record: Record, event_ids: Collection[str]) -> None:
        """Remove pending events, key by key, and with the last one the due time, if nothing else is due."""
        ...

    def keep_refunds(self, refunds: Collection[KnownRefund]) -> None:
        """Remember refunds under their own ids: Razorpay's refund names its payment but not its order."""
        ...

    def keep_disputes(self, disputes: Collection[KnownDispute]) -> None:
        """Remember disputes under their own ids: Razorpay's dispute names its payment but not its order."""
        ...


@dataclass(frozen=True, slots=True)
class Message:
    """One event, ready to send to the bus."""

    type: EventType | Later
    detail: str
    """JSON."""


class EventBus(Protocol):
    """The event bus that other services subscribe to."""

    def publish(self, messages: Mapping[str, Message]) -> frozenset[str]:
        """Send the messages, keyed by event id, and return the ids that the bus accepted."""
        ...


def record_facts(  # noqa: PLR0913 - three arguments name the change, the rest say how to make it
    table: RecordStore,
    order_id: str,
    facts: Sequence[Fact],
    now: int,
    *,
    policy: Policy = NO_OFFERS,
    admit: Callable[[Record], None] | None = None,
    keep_unknown: bool = False,
) -> Decision:
    """Add facts to an order's record.

    Args:
        table: the store for records.
        order_id: the Razorpay order.
        facts: what arrived together, at most as many as one decision takes (`facts.batches`).
        now: epoch seconds.
        policy: what counts as the agreed amount.
        admit: receives the stored record, and raises if the facts must not be added to it.
        keep_unknown: keep the facts of an order that has no record, under status `unknown`.

    Returns:
        The decision as stored.

    Raises:
        OrderNotFound: there is no record, and `keep_unknown` is false.
        TableUnavailable: the facts may or may not be stored. Retrying is safe.
        ContentionError: likewise.
    """
    unavailable = 0
    for _ in range(MAX_ROUNDS):
        try:
            stored = table.read(order_id)
            if stored is None and not keep_unknown:
                raise OrderNotFound("no record")
            if stored is not None and admit is not None:
                admit(stored)
            decision = decide(stored or unknown_record(order_id, now), facts, now, policy)
            if not decision.changed:
                return decision
            if stored is None:
                table.insert(decision.record)
            else:
                table.save(stored, decision.record)
        except StorageConflict:
            continue
        except TableUnavailable:
            # The write may have succeeded anyway. Only another read can show that.
            unavailable += 1
            if unavailable == MAX_UNAVAILABLE:
                raise
            continue
        return decision
    raise ContentionError(f"The record changed {MAX_ROUNDS} times while facts were added to it.")


def record_and_publish(  # noqa: PLR0913 - as `record_facts`, plus the bus
    table: RecordStore,
    bus: EventBus,
    order_id: str,
    facts: Sequence[Fact],
    now: int,
    *,
    policy: Policy = NO_OFFERS,
    keep_unknown: bool = False,
) -> tuple[Decision, int]:
    """Add facts to an order's record, then publish every event pending on it.

    Many facts take several decisions. Each is stored, published and cleared before the next, so that no write exceeds
    DynamoDB's limits, however long the record's history.

    Returns:
        The last decision, and how many events were published in total.

    Raises:
        As `record_facts` and `publish_pending`.
    """
    published = 0
    decision = None
    for batch in batches(facts):
        decision = record_facts(table, order_id, batch, now, policy=policy, keep_unknown=keep_unknown)
        keep_new_refunds(table, decision)
        keep_new_disputes(table, decision)
        published += publish_pending(table, bus, decision.record)
    if decision is None:
        raise ValueError("there are no facts to record")
    return decision, published


def keep_new_refunds(table: RecordStore, decision: Decision) -> None:
    """Remember the refunds that a decision added, under their own ids."""
    record = decision.record
    if decision.new_refunds:
        table.keep_refunds(
            [
                KnownRefund(
                    refund_id=key,
                    payment_id=record.refunds[key].payment_id,
                    order_id=record.order_id,
                    amount_minor=record.refunds[key].amount_minor,
                    state=record.refunds[key].state,
                )
                for key in decision.new_refunds
            ]
        )


def keep_new_disputes(table: RecordStore, decision: Decision) -> None:
    """Remember the disputes that a decision added or changed, under their own ids."""
    if decision.new_disputes:
        changed = {key: decision.record.disputes[key] for key in decision.new_disputes}
        table.keep_disputes([known_dispute(key, dispute, decision.record.order_id) for key, dispute in changed.items()])


def known_dispute(identity: str, dispute: Dispute, order_id: str | None) -> KnownDispute:
    """Return what to remember of a dispute under its own id."""
    return KnownDispute(
        dispute_id=identity,
        payment_id=dispute.payment_id,
        order_id=order_id,
        state=dispute.state,
        phase=dispute.phase,
        deducted_minor=dispute.deducted_minor,
    )


def publish_pending(table: RecordStore, bus: EventBus, record: Record) -> int:
    """Publish every pending event of a stored record, and clear those that the bus accepted.

    Returns:
        How many events were published.

    Raises:
        BusUnavailable: no event is known to be published; all stay pending.
        EventsUnpublished: the bus refused some, which stay pending.
        TableUnavailable: published, but some may still be pending and will be published again.
    """
    if not record.pending:
        return 0
    accepted = bus.publish(
        {key: Message(event.type, encode(record, key, event)) for key, event in record.pending.items()}
    )
    if accepted:
        table.clear(record, accepted)
    if len(accepted) < len(record.pending):
        raise EventsUnpublished(
            f"The bus refused {len(record.pending) - len(accepted)} of {len(record.pending)} events."
        )
    return len(accepted)
