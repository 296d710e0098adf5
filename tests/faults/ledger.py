"""What must be true at every write, at every publish, and when everything has come to rest.

R is the stored record, F what was acknowledged or verified, E the events ever recorded, B those on the bus. The numbers
of the invariants are those of docs/invariants.md. The checks know the rules, not the code: what the end should be is
worked out anew, from the account at Razorpay.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Protocol

from payments.adapters.table import to_record
from payments.core.events import detail, encode
from payments.core.model import Fact, Record, Status
from tests.core.story import check_confirmation, check_detail, check_facts_grow, is_known
from tests.faults.dynamodb import plain
from tests.faults.expressions import Item

EDGES: Final[Mapping[Status, frozenset[Status]]] = {
    Status.UNKNOWN: frozenset(Status),
    Status.CREATED: frozenset({Status.AUTHORIZED, Status.PAID, Status.FAILED, Status.REFUNDED}),
    Status.FAILED: frozenset({Status.AUTHORIZED, Status.PAID, Status.REFUNDED}),
    Status.AUTHORIZED: frozenset({Status.PAID, Status.FAILED, Status.REFUNDED}),
    Status.PAID: frozenset({Status.AUTHORIZED, Status.FAILED, Status.REFUNDED}),
    Status.REFUNDED: frozenset(),
}
"""Where a status may go. Leaving `paid` for `authorized` or `failed` is only for the unconfirmed."""

_RECORD: Final = "order#"


class OrderBook(Protocol):
    """What Razorpay's books say of an order, as far as the checks need it; amounts in minor units."""

    @property
    def amount(self) -> int: ...
    @property
    def currency(self) -> str: ...


class PaymentBook(Protocol):
    """What Razorpay's books say of a payment."""

    @property
    def id(self) -> str: ...
    @property
    def amount(self) -> int: ...
    @property
    def currency(self) -> str: ...
    @property
    def status(self) -> str: ...
    @property
    def captured(self) -> bool: ...
    @property
    def amount_refunded(self) -> int: ...


class Ledger:
    """Everything that was recorded, published and acknowledged, each checked as it happened."""

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
        """Whose each of our payment ids is, by order id."""

    # --- as it happens ---

    def on_change(self, pk: str, before: Item | None, after: Item | None) -> None:
        """A write took effect."""
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
        check_confirmation(new)
        if new.order is not None:
            holder = self._numbers.setdefault(new.order.payment_id, new.order_id)
            assert holder == new.order_id, f"two orders have the payment id {new.order.payment_id}"
        # Whoever dies now must leave it where reconcile finds it.
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
            check_detail(event.type, detail(record, identity, event))
        money = Counter(kind for order_id, kind in self.types.values() if order_id == record.order_id)
        assert money["payment.paid"] <= 1, "I11: an order was paid twice"
        assert money["payment.refunded"] <= 1, "I11: an order was refunded twice"

    def _check_step(self, old: Record, new: Record) -> None:
        adopted = old.status is Status.UNKNOWN and new.order is not None
        if not adopted:
            assert (new.order, new.created_at) == (old.order, old.created_at), "I1: what was agreed has changed"
            assert old.status is new.status or new.status in EDGES[old.status], f"I2: {old.status} → {new.status}"
        assert old.superseded_by in {None, new.superseded_by}
        check_facts_grow(old, new)
        moved = _content(new) != _content(old)
        assert new.version == old.version + moved, "I2: version and content did not move together"
        assert new.confirmed or not old.confirmed, "I3: a confirmation was taken back"
        assert new.reviews[: len(old.reviews)] == old.reviews

    def _check_nothing_is_lost(self) -> None:
        pending = {identity for record in self.records.values() for identity in record.pending}
        lost = self.recorded.keys() - self.published.keys() - pending
        assert not lost, f"I9: neither on the bus nor pending: {[self.types[identity] for identity in lost]}"

    # --- at the end ---

    def check_rest(self, account: Mapping[str, tuple[OrderBook, Sequence[PaymentBook]]], signed: set[str]) -> None:
        """Everything has come to rest.

        Args:
            account: every order at Razorpay with its payments, by id.
            signed: the Razorpay payment ids of which a genuine checkout signature was presented.
        """
        assert self.recorded.keys() == self.published.keys(), "I9: events were recorded and never published"
        for order_id, record in self.records.items():
            assert not record.pending, "I9: events are still pending"
            for fact in self.acknowledged[order_id]:
                assert is_known(record, fact), f"I5: {fact} was acknowledged and is not stored"
            if record.order is not None and order_id in account:
                order, payments = account[order_id]
                self._check_against_razorpay(record, order, payments, signed)

    def _check_against_razorpay(
        self, record: Record, order: OrderBook, payments: Sequence[PaymentBook], signed: set[str]
    ) -> None:
        agreed = record.agreed()
        assert (agreed.amount_minor, agreed.currency) == (order.amount, order.currency)
        stored = {payment for payment, attempt in record.attempts.items() if attempt.signed}
        assert stored <= signed, "I4: signed, and no genuine signature was ever presented"
        expected = expected_statuses(order, payments, stored)
        assert record.status in expected, f"I6: the record says {record.status}, Razorpay's books {sorted(expected)}"
        captures = [payment for payment in payments if payment.captured]
        right = [payment for payment in captures if _right(order, payment)]
        told = Counter(kind for order_id, kind in self.types.values() if order_id == record.order_id)
        reviews = Counter(review.reason for review in record.reviews)
        assert told["payment.review"] == len(record.reviews)
        assert reviews["duplicate_capture"] == max(len(right) - 1, 0), "I7: a duplicate capture was not reviewed"
        assert reviews["amount_mismatch"] + reviews["currency_mismatch"] == len(captures) - len(right)
        # Learned at once, a capture and its full refund are one event: refunded. So is a capture of a superseded order.
        first = told["payment.paid"] + reviews["superseded_order"]
        assert first <= 1
        assert bool(right) == bool(first or told["payment.refunded"]), "money came and nobody was told, or none did"
        assert told["payment.refunded"] == (record.status is Status.REFUNDED)


def expected_statuses(order: OrderBook, payments: Sequence[PaymentBook], signed: set[str]) -> frozenset[Status]:
    """What the record may say in the end, from Razorpay's books alone.

    More than one after a capture of a wrong sum, which leaves the status as it was, and after a second capture of a
    refunded order, which may have come before: the books do not tell which. Both are reviewed.
    """
    right = [payment for payment in payments if payment.captured and _right(order, payment)]
    if right:
        back = [payment.amount_refunded >= payment.amount for payment in right]
        if all(back):
            return frozenset({Status.REFUNDED})
        # Refunded is final: a capture that comes after it is reviewed and changes nothing.
        return frozenset({Status.PAID, Status.REFUNDED} if any(back) else {Status.PAID})
    alive = [payment for payment in payments if payment.captured or not payment.amount_refunded]
    if any(payment.id in signed for payment in alive):
        return frozenset({Status.PAID})
    if any(payment.status == "authorized" for payment in alive):
        return frozenset({Status.AUTHORIZED})
    if any(payment.captured for payment in payments):
        return frozenset({Status.CREATED, Status.AUTHORIZED, Status.FAILED})
    return frozenset({Status.FAILED if payments else Status.CREATED})


def _right(order: OrderBook, payment: PaymentBook) -> bool:
    return (payment.amount, payment.currency) == (order.amount, order.currency)


def _content(record: Record) -> tuple[Any, ...]:
    """What counts as a change of the record."""
    return (
        record.order,
        record.status,
        record.confirmed,
        record.attempts,
        record.refunds,
        record.reviews,
        record.superseded_by,
    )
