"""From a delivery to the bus: nothing is lost or invented, whatever fails and wherever the process dies."""

import json
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from threading import Barrier

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payments.adapters.table import PaymentsTable
from payments.core.errors import (
    BusUnavailable,
    ContentionError,
    EventsUnpublished,
    InvalidSignature,
    OrderNotFound,
    StorageConflict,
    TableUnavailable,
    TemporaryError,
)
from payments.core.events import encode
from payments.core.instants import iso
from payments.core.model import Authorized, Fact, Failed, KnownDispute, KnownRefund, Record, RefundState, Signed, Status
from payments.core.outbox import EventBus, RecordStore, publish_pending, record_and_publish, record_facts
from payments.core.position import Policy
from payments.core.transitions import Decision, decide
from tests.core.story import (
    AMOUNT,
    OPENED,
    ORDER_ID,
    PART,
    REFUND_1,
    REFUND_2,
    A,
    B,
    Delivery,
    captured,
    check_detail,
    opened,
    refunded,
)
from tests.fakes import Crash, FakeBus, FakeTable, Fate

NOW = OPENED + 60


def add(table: RecordStore, *facts: Delivery) -> Decision:
    return record_facts(table, ORDER_ID, [fact for delivery in facts for fact in delivery], NOW)


def receive(table: RecordStore, bus: EventBus, facts: Delivery) -> None:
    """What the webhook does with one delivery."""
    publish_pending(table, bus, record_facts(table, ORDER_ID, facts, NOW, keep_unknown=True).record)


def latest(table: RecordStore) -> Record:
    record = table.read(ORDER_ID)
    assert record is not None
    return record


@pytest.fixture
def placed(table: PaymentsTable) -> PaymentsTable:
    """A table with one open order."""
    table.insert(opened())
    return table


@pytest.fixture
def fake() -> FakeTable:
    """The same, in memory."""
    table = FakeTable()
    table.insert(opened())
    return table


# --- recording ------------------------------------------------------------------------------------------------------


def test_facts_of_an_order_that_is_not_there_are_refused(table: PaymentsTable) -> None:
    with pytest.raises(OrderNotFound, match=r"^no record$"):
        record_facts(table, ORDER_ID, [Signed(payment=A, at=NOW)], NOW)
    assert table.read(ORDER_ID) is None


def test_facts_of_an_order_that_is_not_there_are_kept_where_asked(table: PaymentsTable) -> None:
    bus = FakeBus()
    receive(table, bus, (Authorized(payment=A),))
    receive(table, bus, (captured(A),))
    record = latest(table)
    assert (record.status, record.version, record.order) == (Status.UNKNOWN, 2, None)
    assert record.attempts[A].captured
    assert not bus.sent


def test_a_refused_change_leaves_the_record_untouched(placed: PaymentsTable) -> None:
    def admit(record: Record) -> None:
        assert record == opened()
        raise InvalidSignature("wrong")

    with pytest.raises(InvalidSignature):
        record_facts(placed, ORDER_ID, [Signed(payment=A, at=NOW)], NOW, admit=admit)
    assert latest(placed) == opened()


def test_what_is_returned_is_what_is_stored(placed: PaymentsTable) -> None:
    decision = add(placed, (captured(A),))
    assert latest(placed) == decision.record


def test_old_news_is_not_written(fake: FakeTable) -> None:
    add(fake, (Signed(payment=A, at=NOW),))
    fate = Fate()
    assert not add(fate.wrap(fake), (Signed(payment=A, at=NOW),)).changed
    assert fate.calls == ["read"]


class Rivals:
    """Another writer that changes the record between our read and write, a given number of times."""

    def __init__(self, table: FakeTable, times: int) -> None:
        self._table = table
        self._left = times
        self._payments = (f"pay_{number:014d}" for number in count())

    def read(self, order_id: str) -> Record | None:
        return self._table.read(order_id)

    def insert(self, record: Record) -> None:
        self._table.insert(record)

    def save(self, before: Record, after: Record) -> None:
        self._intervene()
        self._table.save(before, after)

    def clear(self, record: Record, event_ids: Collection[str]) -> None:
        self._intervene()
        self._table.clear(record, event_ids)

    def keep_refunds(self, refunds: Collection[KnownRefund]) -> None:
        self._table.keep_refunds(refunds)

    def keep_disputes(self, disputes: Collection[KnownDispute]) -> None:
        self._table.keep_disputes(disputes)

    def _intervene(self) -> None:
        if self._left:
            self._left -= 1
            stored = latest(self._table)
            self._table.save(stored, decide(stored, [Failed(payment=next(self._payments))], NOW).record)


@pytest.mark.parametrize("times", [1, 2, 3, 4])
def test_a_race_may_be_lost_four_times(fake: FakeTable, times: int) -> None:
    decision = add(Rivals(fake, times), (captured(A),))
    assert latest(fake) == decision.record
    assert decision.record.version == 2 + times
    assert len(decision.record.attempts) == 1 + times


def test_a_race_lost_five_times_is_given_up_with_nothing_written(fake: FakeTable) -> None:
    with pytest.raises(ContentionError, match=r"^The record changed 5 times while facts were added to it\.$"):
        add(Rivals(fake, 5), (captured(A),))
    assert A not in latest(fake).attempts


def test_an_order_that_appears_between_read_and_insert_is_read_again() -> None:
    table = FakeTable()

    class Appears(Rivals):
        def insert(self, record: Record) -> None:
            if not table.records:
                table.insert(opened())
            super().insert(record)

    decision = record_facts(Appears(table, 0), ORDER_ID, [captured(A)], NOW, keep_unknown=True)
    assert decision.record.status is Status.PAID
    assert latest(table) == decision.record


# --- calls with an unknown result -----------------------------------------------------------------------------------


def test_a_write_whose_answer_was_lost_is_found_and_its_events_are_published(fake: FakeTable) -> None:
    bus = FakeBus()
    fate = Fate({2: TableUnavailable()}, after=True)
    receive(fate.wrap(fake), bus, (captured(A),))
    assert fate.calls == ["read", "save", "read", "clear"]
    assert [message.type for _, message in bus.sent] == ["payment.paid"]
    assert latest(fake).version == 2


@pytest.mark.parametrize("call", [1, 2])
def test_a_call_that_failed_is_tried_once_more(fake: FakeTable, call: int) -> None:
    add(Fate({call: TableUnavailable()}).wrap(fake), (captured(A),))
    assert latest(fake).confirmed


@pytest.mark.parametrize("calls", [(1, 2), (1, 3), (2, 3), (2, 4)])
def test_a_table_that_fails_twice_is_razorpays_turn(fake: FakeTable, calls: tuple[int, int]) -> None:
    fate = Fate(dict.fromkeys(calls, TableUnavailable()))
    with pytest.raises(TableUnavailable):
        add(fate.wrap(fake), (captured(A),))
    assert latest(fake) == opened()


# --- delivering -----------------------------------------------------------------------------------------------------


def test_what_is_recorded_is_published_and_cleared(placed: PaymentsTable) -> None:
    bus = FakeBus()
    receive(placed, bus, (captured(A), refunded(A, REFUND_1, PART)))
    assert sorted(message.type for _, message in bus.sent) == ["payment.paid", "payment.partially_refunded"]
    record = latest(placed)
    assert not record.pending
    assert record.attention_at is None


def test_what_verify_left_pending_is_published_by_the_next_delivery(placed: PaymentsTable) -> None:
    add(placed, (Failed(payment=B, at=NOW),))
    bus = FakeBus()
    receive(placed, bus, (Failed(payment=B, at=NOW),))
    assert [message.type for _, message in bus.sent] == ["payment.failed"]
    assert not latest(placed).pending


def test_without_pending_events_nothing_is_called() -> None:
    fate = Fate()
    assert publish_pending(fate.wrap(FakeTable()), fate.wrap(FakeBus()), opened()) == 0
    assert not fate.calls


def test_what_the_bus_refused_stays_and_the_rest_is_cleared(placed: PaymentsTable) -> None:
    decision = add(placed, (captured(A), refunded(A, REFUND_1, PART)))
    refused, accepted = sorted(decision.recorded)
    bus = FakeBus()
    bus.refuses = lambda identity: identity == refused
    with pytest.raises(EventsUnpublished, match=r"^The bus refused 1 of 2 events\.$"):
        publish_pending(placed, bus, decision.record)
    assert set(latest(placed).pending) == {refused}
    assert latest(placed).attention_at is not None

    bus.refuses = lambda _: False
    receive(placed, bus, (captured(A),))
    assert [identity for identity, _ in bus.sent] == [accepted, refused]
    assert not latest(placed).pending


def test_a_bus_that_accepts_nothing_clears_nothing(placed: PaymentsTable) -> None:
    bus = FakeBus()
    bus.refuses = lambda _: True
    with pytest.raises(EventsUnpublished):
        receive(placed, bus, (captured(A),))
    assert len(latest(placed).pending) == 1


@pytest.mark.parametrize("after", [False, True], ids=["before it took effect", "after it took effect"])
def test_a_bus_that_fails_leaves_everything_pending_and_repeats_the_same_bytes(
    placed: PaymentsTable, after: bool
) -> None:
    bus = FakeBus()
    failing = Fate({1: BusUnavailable()}, after=after).wrap(bus)
    with pytest.raises(BusUnavailable):
        receive(placed, failing, (captured(A),))
    assert len(latest(placed).pending) == 1
    receive(placed, bus, (captured(A),))
    assert len(set(bus.sent)) == 1
    assert not latest(placed).pending


def test_an_event_added_while_others_are_cleared_is_not_dropped(fake: FakeTable) -> None:
    decision = add(fake, (captured(A),))
    later = add(fake, (refunded(A, REFUND_1, PART),))
    publish_pending(fake, FakeBus(), decision.record)
    assert set(latest(fake).pending) == set(later.recorded)
    assert latest(fake).attention_at is not None


def test_a_record_that_moves_on_while_it_is_cleared_keeps_what_is_new(fake: FakeTable) -> None:
    add(fake, (captured(A),))
    publish_pending(Rivals(fake, 1), FakeBus(), latest(fake))
    record = latest(fake)
    assert not record.pending
    assert record.attention_at is not None, "whoever moved it on may have left something to look at"


# --- crashes --------------------------------------------------------------------------------------------------------

LIFE: Sequence[Delivery] = (
    (Failed(payment=B, code="BAD_REQUEST_ERROR", reason="payment_cancelled", at=NOW),),
    (Authorized(payment=A, method="upi"),),
    (captured(A),),
    (captured(A),),
    (captured(A), refunded(A, REFUND_1, PART, RefundState.CREATED)),
    (captured(A), refunded(A, REFUND_1, PART)),
    (captured(B),),
    (captured(A), refunded(A, REFUND_2, PART)),
)


def live(fate: Fate) -> tuple[Record, list[tuple[str, str]]]:
    """One payment's deliveries under this fate, each repeated until acknowledged."""
    table, bus = FakeTable(), FakeBus()
    table.insert(opened())
    for facts in LIFE:
        while True:
            try:
                receive(fate.wrap(table), fate.wrap(bus), facts)
            except (Crash, TemporaryError):
                continue
            break
    for _, message in bus.sent:
        check_detail(message.type, json.loads(message.detail))
    return latest(table), [(identity, message.detail) for identity, message in bus.sent]


def undisturbed() -> tuple[Record, list[tuple[str, str]], int]:
    fate = Fate()
    record, sent = live(fate)
    return record, sent, len(fate.calls)


RECORD, SENT, CALLS = undisturbed()


def check_survived(fate: Fate) -> None:
    record, sent = live(fate)
    assert record == RECORD
    assert set(sent) == set(SENT), "an event was lost, invented or changed"


def test_an_undisturbed_life_sends_each_event_once() -> None:
    assert len(SENT) == len({identity for identity, _ in SENT}) == 5
    assert not RECORD.pending


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(
    "make", [Crash, TableUnavailable, BusUnavailable], ids=["the process dies", "the table fails", "the bus fails"]
)
def test_nothing_is_lost_or_invented_wherever_a_call_fails(make: Callable[[], BaseException], after: bool) -> None:
    for number in range(1, CALLS + 1):
        check_survived(Fate({number: make()}, after=after))


@given(
    calls=st.sets(st.integers(min_value=1, max_value=CALLS + 20), max_size=12),
    after=st.booleans(),
    error=st.sampled_from([Crash(), TableUnavailable()]),
)
def test_nothing_is_lost_or_invented_however_often_calls_fail(
    calls: set[int], after: bool, error: BaseException
) -> None:
    check_survived(Fate(dict.fromkeys(calls, error), after=after))


def test_a_conflict_that_was_our_own_write_is_recognised_by_reading_again(fake: FakeTable) -> None:
    bus = FakeBus()
    receive(Fate({2: StorageConflict()}, after=True).wrap(fake), bus, (captured(A),))
    assert len(bus.sent) == 1
    assert (latest(fake).version, dict(latest(fake).pending)) == (2, {})


# --- together -------------------------------------------------------------------------------------------------------


def test_deliveries_at_the_same_time_lose_nothing(placed: PaymentsTable) -> None:
    bus = FakeBus()
    deliveries: Sequence[Delivery] = (
        (Authorized(payment=A),),
        (captured(A),),
        (captured(A),),
        (captured(A), refunded(A, REFUND_1, PART)),
    )
    together = Barrier(len(deliveries))

    def work(facts: Delivery) -> None:
        together.wait()
        while True:
            try:
                receive(placed, bus, facts)
            except ContentionError:
                continue  # Razorpay would retry
            return

    with ThreadPoolExecutor(len(deliveries)) as threads:
        list(threads.map(work, deliveries))

    record = latest(placed)
    assert (record.status, record.confirmed) == (Status.PAID, True)
    assert record.attempts[A].authorized
    assert not record.pending
    assert {message.type for _, message in bus.sent} == {"payment.paid", "payment.partially_refunded"}
    assert len({message.detail for _, message in bus.sent}) == 2


def test_what_is_published_is_what_the_table_holds(placed: PaymentsTable) -> None:
    add(placed, (captured(A),))
    stored = latest(placed)
    bus = FakeBus()
    publish_pending(placed, bus, stored)
    assert [(identity, message.detail) for identity, message in bus.sent] == [
        (identity, encode(stored, identity, event)) for identity, event in stored.pending.items()
    ]


# --- many facts -----------------------------------------------------------------------------------------------------


def test_facts_are_recorded_published_and_cleared_in_one_go_and_counted(fake: FakeTable) -> None:
    bus = FakeBus()
    facts: Delivery = (captured(A), refunded(A, REFUND_1, PART))
    decision, published = record_and_publish(fake, bus, ORDER_ID, facts, NOW)
    assert published == len(bus.sent) == 2
    assert (decision.record.status, decision.record.version) == (Status.PAID, 2)
    assert not latest(fake).pending
    assert fake.known_refunds[REFUND_1] == KnownRefund(
        refund_id=REFUND_1, payment_id=A, order_id=ORDER_ID, amount_minor=PART, state=RefundState.PROCESSED
    )
    assert record_and_publish(fake, bus, ORDER_ID, facts, NOW)[1] == 0


def test_many_facts_take_several_decisions_each_published_before_the_next(fake: FakeTable) -> None:
    bus = FakeBus()
    refunds: list[Fact] = [refunded(A, f"rfnd_{number:014d}", 1, created_at=number) for number in range(60)]
    decision, published = record_and_publish(fake, bus, ORDER_ID, [*refunds, captured(A)], NOW)
    assert decision.record.version == 3
    assert published == len(bus.sent) == 61
    assert bus.sent[0][1].type == "payment.paid"
    assert len(fake.known_refunds) == 60
    assert not latest(fake).pending


def test_no_facts_are_a_mistake_of_the_caller(fake: FakeTable) -> None:
    with pytest.raises(ValueError, match=r"^there are no facts to record$"):
        record_and_publish(fake, FakeBus(), ORDER_ID, [], NOW)


def test_facts_that_are_delivered_are_judged_by_the_settings(fake: FakeTable) -> None:
    policy = Policy(accept_offers_from_percent=90)
    less = captured(A, AMOUNT - 1)
    assert record_facts(fake, ORDER_ID, [less], NOW).record.status is Status.AUTHORIZED
    decision, _ = record_and_publish(fake, FakeBus(), ORDER_ID, [less], NOW, policy=policy)
    assert decision.record.attempts[A].verdict == "offer"
    assert record_facts(FakeTable(), ORDER_ID, [less], NOW, policy=policy, keep_unknown=True).record.order is None


def test_an_order_that_is_not_there_gets_a_record_only_where_asked() -> None:
    table, bus = FakeTable(), FakeBus()
    with pytest.raises(OrderNotFound):
        record_and_publish(table, bus, ORDER_ID, [captured(A)], NOW)
    decision, published = record_and_publish(table, bus, ORDER_ID, [captured(A)], NOW, keep_unknown=True)
    assert (decision.record.status, decision.record.created_at, published) == (Status.UNKNOWN, iso(NOW), 0)
    assert table.records[ORDER_ID] == decision.record


def test_a_refund_that_is_old_news_is_not_kept_again(fake: FakeTable) -> None:
    facts: Delivery = (captured(A), refunded(A, REFUND_1, PART))
    record_and_publish(fake, FakeBus(), ORDER_ID, facts, NOW)
    fake.known_refunds.clear()
    record_and_publish(fake, FakeBus(), ORDER_ID, [*facts, refunded(A, REFUND_2, 1)], NOW)
    assert set(fake.known_refunds) == {REFUND_2}
