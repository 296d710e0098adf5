"""What must be true at every write, at every publish, and when everything has settled.

R is the stored record, F what was acknowledged or verified, E the events ever recorded, B those on the bus. Invariants
are numbered as in docs/invariants.md. The oracle (`tests/oracle`) judges the end state.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, Final

from payments.adapters.table import to_record
from payments.core.events import encode
from payments.core.model import Fact, Record, Status
from tests.core.story import check_detail, check_facts_grow, is_known
from tests.faults.dynamodb import plain
from tests.faults.expressions import Item

_RECORD: Final = "order#"


class Ledger:
    """Everything recorded, published and acknowledged, each checked as it happened."""

    def __init__(self) -> None:
        self.recorded: dict[str, str] = {}
        """E: every event id that was ever stored, with its bytes."""
        self.types: dict[str, tuple[str, str]] = {}
        """Order id and detail type of each of them."""
        self.published: Counter[str] = Counter()
        """B: how often each event id is on the bus."""
        self.acknowledged: defaultdict[str, list[Fact]] = defaultdict(list)
        """F, by order id."""
        self.records: dict[str, Record] = {}
        """R, by order id."""
        self._numbers: dict[int, str] = {}
        """Our payment id of each order, by order id."""

    # --- as it happens ---

    def on_change(self, pk: str, before: Item | None, after: Item | None) -> None:
        """Notes that a write took effect."""
        if not pk.startswith(_RECORD):
            return
        assert after is not None
        assert (before is None) == (pk.removeprefix(_RECORD) not in self.records)
        self.stored(to_record(plain(after)))

    def stored(self, new: Record) -> None:
        """A record was written."""
        self._record_events(new)
        if new.order_id in self.records:
            self._check_step(self.records[new.order_id], new)
        if new.order is not None:
            holder = self._numbers.setdefault(new.order.payment_id, new.order_id)
            assert holder == new.order_id, f"two orders have the payment id {new.order.payment_id}"
        # If the function dies now, reconcile must find it.
        assert new.attention_at is not None or not new.pending, "events are pending and nothing says when to look"
        self.records[new.order_id] = new

    def on_event(self, detail_type: str, text: str) -> None:
        """The bus accepted an event."""
        body = json.loads(text)
        identity = body["event_id"]
        assert identity in self.recorded, f"I10: {detail_type} was published, and never recorded"
        assert self.recorded[identity] == text, f"I12: {detail_type} was published with other bytes"
        check_detail(detail_type, body)
        self.published[identity] += 1

    def acknowledge(self, order_id: str, facts: Iterable[Fact]) -> None:
        """A 2xx was given for these facts."""
        self.acknowledged[order_id].extend(facts)
        record = self.records.get(order_id)
        for fact in facts:
            known = record is not None and is_known(record, fact)
            assert known, f"I5: {fact} was acknowledged and is not stored"
        self._check_nothing_is_lost()

    def _record_events(self, record: Record) -> None:
        for identity, event in record.pending.items():
            text = encode(record, identity, event)
            known = self.recorded.setdefault(identity, text)
            assert known == text, f"I12: {event.type} is stored with other bytes than at first"
            self.types[identity] = (record.order_id, event.type)
            check_detail(event.type, json.loads(encode(record, identity, event)))
        money = Counter(kind for order_id, kind in self.types.values() if order_id == record.order_id)
        assert money["payment.paid"] <= 1, "I11: an order was paid twice"
        assert money["payment.refunded"] <= 1, "I11: an order was refunded twice"
        assert money["payment.expired"] <= 1, "I11: an order expired twice"

    def _check_step(self, old: Record, new: Record) -> None:
        adopted = old.status is Status.UNKNOWN and new.order is not None
        if not adopted:
            assert (new.order, new.created_at) == (old.order, old.created_at), "I1: what was agreed has changed"
        assert old.superseded_by in {None, new.superseded_by}
        assert old.expired_at in {None, new.expired_at}, "an expiry was taken back"
        check_facts_grow(old, new)
        moved = _content(new) != _content(old)
        assert new.version == old.version + moved, "I2: version and content did not move together"
        assert new.confirmed or not old.confirmed, "I3: a confirmation was taken back"
        kept = {(review.reason, review.subject) for review in new.reviews}
        assert {(review.reason, review.subject) for review in old.reviews} <= kept, "a review has vanished"

    def _check_nothing_is_lost(self) -> None:
        pending = {identity for record in self.records.values() for identity in record.pending}
        lost = self.recorded.keys() - self.published.keys() - pending
        assert not lost, f"I9: neither on the bus nor pending: {[self.types[identity] for identity in lost]}"

    def restore(self, items: Mapping[str, Item]) -> None:
        """The table was restored to an earlier time: later facts must be learned again, with the same ids.

        Versions continue from the restored records, so repeated events have different bytes.
        """
        records = [to_record(plain(item)) for pk, item in items.items() if pk.startswith(_RECORD)]
        self.records = {record.order_id: record for record in records}
        for order_id, facts in self.acknowledged.items():
            # For the lost time, Razorpay's data has all that counts, but not which proofs were presented nor each step.
            known = self.records.get(order_id)
            facts[:] = [one for one in facts if known is not None and is_known(known, one)]
        self._numbers = {record.order.payment_id: record.order_id for record in records if record.order is not None}
        self.recorded = {key: encode(one, key, event) for one in records for key, event in one.pending.items()}

    # --- at the end ---

    def check_rest(self) -> None:
        """Checks the settled end state: everything recorded is published, everything acknowledged is stored."""
        assert self.recorded.keys() <= self.published.keys(), "I9: events were recorded and never published"
        for order_id, record in self.records.items():
            assert not record.pending, "I9: events are still pending"
            for fact in self.acknowledged[order_id]:
                assert is_known(record, fact), f"I5: {fact} was acknowledged and is not stored"


def _content(record: Record) -> tuple[Any, ...]:
    """The parts of a record that count as a change."""
    return (
        record.order,
        record.status,
        record.confirmed,
        record.attempts,
        record.refunds,
        record.refund_intents,
        record.disputes,
        record.reviews,
        record.superseded_by,
        record.expired_at,
        record.released,
        [entry for entry in record.history if entry.by is not None],
    )
