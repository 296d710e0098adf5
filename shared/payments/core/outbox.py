"""The transactional outbox: from facts to a stored record to events on the bus, safe to stop after any step.

Read (strongly consistent) → decide → one conditional write of facts, status and the events to send → publish what is
pending → clear what the bus accepted. What to publish comes from the stored record and never from "did my write win":
a writer that dies between its write and its publish leaves the events where the next delivery finds them.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from payments.core.errors import ContentionError, EventsUnpublished, OrderNotFound, StorageConflict, TableUnavailable
from payments.core.events import encode
from payments.core.facts import batches
from payments.core.model import EventType, Fact, KnownRefund, Later, Record
from payments.core.position import NO_OFFERS, Policy
from payments.core.transitions import Decision, decide, unknown_record

# Two deliveries and a browser may meet on one record; five rounds let each of them through with room to spare.
MAX_ROUNDS = 5
# A call that hangs costs its whole timeout, and a webhook must answer within five seconds: one more try, then it is
# Razorpay's turn to come back.
MAX_UNAVAILABLE = 2


class RecordStore(Protocol):
    """The payments table, as far as the outbox needs it."""

    def read(self, order_id: str) -> Record | None:
        """The record as it is now (strongly consistent), or None."""
        ...

    def insert(self, record: Record) -> None:
        """Stores a record that must not exist yet, else StorageConflict."""
        ...

    def save(self, before: Record, after: Record) -> None:
        """Replaces `before` by `after` if the stored version is still that of `before`, else StorageConflict."""
        ...

    def clear(self, record: Record, event_ids: Collection[str]) -> None:
        """Forgets pending events, key by key, and the due time with the last of them if nothing else is due."""
        ...

    def keep_refunds(self, refunds: Collection[KnownRefund]) -> None:
        """Remembers what is known of refunds under their own ids: a refund names its payment, but not its order."""
        ...


@dataclass(frozen=True, slots=True)
class Message:
    """One event, ready for the bus."""

    type: EventType | Later
    detail: str
    """JSON."""


class EventBus(Protocol):
    """The bus that other services subscribe to."""

    def publish(self, messages: Mapping[str, Message]) -> frozenset[str]:
        """Sends the messages, keyed by event id, and returns the ids that were accepted."""
        ...


def record_facts(  # noqa: PLR0913 - the three that name the change, and how to treat what is found
    table: RecordStore,
    order_id: str,
    facts: Sequence[Fact],
    now: int,
    *,
    policy: Policy = NO_OFFERS,
    admit: Callable[[Record], None] | None = None,
    keep_unknown: bool = False,
) -> Decision:
    """Adds facts to the record of an order.

    Args:
        table: where records are kept.
        order_id: the Razorpay order.
        facts: what arrived together; no more than one decision takes (`facts.batches`).
        now: epoch seconds.
        policy: what counts as the agreed sum.
        admit: looks at the record as it is stored, and raises if the facts may not be added to it.
        keep_unknown: keep the facts of an order we have no record of, under status `unknown`.

    Returns:
        The decision as it is stored.

    Raises:
        OrderNotFound: there is no record, and none was to be made.
        TableUnavailable: it is not known whether the facts are stored; doing it again is safe.
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
            # The write may have taken effect all the same: only reading again can tell.
            unavailable += 1
            if unavailable == MAX_UNAVAILABLE:
                raise
            continue
        return decision
    raise ContentionError(f"The record changed {MAX_ROUNDS} times while facts were added to it.")


def record_and_publish(  # noqa: PLR0913 - as `record_facts`, and where events go
    table: RecordStore,
    bus: EventBus,
    order_id: str,
    facts: Sequence[Fact],
    now: int,
    *,
    policy: Policy = NO_OFFERS,
    keep_unknown: bool = False,
) -> tuple[Decision, int]:
    """Adds facts to the record of an order, and publishes whatever is pending on it then.

    Many facts take several decisions, each of them stored, published and cleared before the next: so no write exceeds
    what DynamoDB takes, whatever a record has been through.

    Returns:
        The last decision, and how many events were published in all.

    Raises:
        As `record_facts` and `publish_pending`.
    """
    published = 0
    decision = None
    for batch in batches(facts):
        decision = record_facts(table, order_id, batch, now, policy=policy, keep_unknown=keep_unknown)
        keep_new_refunds(table, decision)
        published += publish_pending(table, bus, decision.record)
    if decision is None:
        raise ValueError("there are no facts to record")
    return decision, published


def keep_new_refunds(table: RecordStore, decision: Decision) -> None:
    """Remembers the refunds that a decision learned of, under their own ids."""
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


def publish_pending(table: RecordStore, bus: EventBus, record: Record) -> int:
    """Publishes every pending event of a stored record and clears those that the bus accepted.

    Returns:
        How many events were published.

    Raises:
        BusUnavailable: nothing is known to be published; all of it stays pending.
        EventsUnpublished: some were refused and stay pending.
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
