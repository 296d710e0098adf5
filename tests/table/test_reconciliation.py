"""Reconcile, record by record: on the table's fake and on the real adapter alike."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from payments.core.errors import (
    BusUnavailable,
    ContentionError,
    EventsUndelivered,
    GatewayRefused,
    GatewayUnavailable,
    StorageConflict,
)
from payments.core.handoff import record_facts
from payments.core.instants import iso
from payments.core.listing import MARKER, ListedOrder
from payments.core.model import Authorized, Captured, Fact, Failed, Order, Record, Refunded, RefundState, Signed, Status
from payments.core.reconciliation import Outcome, reconcile_record
from payments.core.transitions import decide, open_record
from tests.fakes import FakeBus, Fate

if TYPE_CHECKING:
    from payments.core.ordering import OrderStore

NOW = 1_772_357_400
MINUTE = 60
HOUR = 60 * MINUTE
ORDER_ID = "order_DESlLckIVRkHWj"
PAYMENT = "pay_DESlfW9H8K9uqM"
ANOTHER = "pay_IH4NVgf4Dreq1l"
REFUND = "rfnd_FS8TWyPrCsa0OB"
AGREED = Order(
    payment_id=7,
    job_id=11,
    application_id=12,
    client_id=42,
    freelancer_id=77,
    amount_minor=49950,
    currency="INR",
    receipt="local-7",
)
CAPTURED = Captured(payment=PAYMENT, amount_minor=49950, currency="INR", method="upi")
NOTES = {
    "service": MARKER,
    "stage": "local",
    "payment_id": "7",
    "job_id": "11",
    "application_id": "12",
    "client_id": "42",
    "freelancer_id": "77",
}


class Razorpay:
    """Knows one order; each question is counted."""

    def __init__(self, facts: Sequence[Fact] = (), notes: object = NOTES) -> None:
        self.facts = list(facts)
        self.notes = notes
        self.fails: Exception | None = None
        self.asked = 0

    def order(self, order_id: str) -> ListedOrder:
        assert order_id == ORDER_ID
        self._ask()
        return ListedOrder(
            id=order_id, amount=49950, currency="INR", receipt="local-7", notes=self.notes, created_at=NOW
        )

    def facts_of_order(self, order_id: str) -> list[Fact]:
        assert order_id == ORDER_ID
        self._ask()
        return self.facts

    def _ask(self) -> None:
        self.asked += 1
        if self.fails is not None:
            raise self.fails


def reconcile(table: "OrderStore", razorpay: Razorpay | None, bus: FakeBus, now: int) -> Outcome:
    return reconcile_record(table, razorpay, bus, ORDER_ID, stage="local", now=now)


def stored(table: "OrderStore") -> Record:
    record = table.read(ORDER_ID)
    assert record is not None
    return record


def sent(bus: FakeBus) -> list[str]:
    return [message.type for _, message in bus.sent]


@pytest.fixture
def bus() -> FakeBus:
    return FakeBus()


@pytest.fixture
def opened(table: "OrderStore") -> "OrderStore":
    table.insert(open_record(ORDER_ID, AGREED, NOW))
    return table


def test_before_its_time_a_record_is_left_alone(opened: "OrderStore", bus: FakeBus) -> None:
    razorpay = Razorpay([CAPTURED])
    assert reconcile(opened, razorpay, bus, NOW + 14 * MINUTE) is Outcome.NOTHING_DUE
    assert razorpay.asked == 0


def test_for_a_record_that_is_not_there_nothing_is_due(table: "OrderStore", bus: FakeBus) -> None:
    assert reconcile(table, Razorpay([CAPTURED]), bus, NOW) is Outcome.NOTHING_DUE


def test_a_payment_whose_webhooks_never_came_is_paid_and_told_at_the_first_due_time(
    opened: "OrderStore", bus: FakeBus
) -> None:
    assert reconcile(opened, Razorpay([CAPTURED]), bus, NOW + 15 * MINUTE) is Outcome.SETTLED

    record = stored(opened)
    assert (record.status, record.confirmed, record.version, record.attention_at) == (Status.PAID, True, 2, None)
    assert record.pending == {}
    assert sent(bus) == ["payment.paid"]


def test_every_listed_payment_counts_not_only_the_last(opened: "OrderStore", bus: FakeBus) -> None:
    reconcile(opened, Razorpay([CAPTURED, Failed(payment=ANOTHER)]), bus, NOW + 15 * MINUTE)
    assert stored(opened).status is Status.PAID
    assert stored(opened).attempts.keys() == {PAYMENT, ANOTHER}


def test_a_refund_that_no_webhook_told_is_found_with_its_payment(opened: "OrderStore", bus: FakeBus) -> None:
    refund = Refunded(payment=PAYMENT, refund=REFUND, amount_minor=49950, state=RefundState.PROCESSED)
    reconcile(opened, Razorpay([CAPTURED, refund]), bus, NOW + 15 * MINUTE)
    assert stored(opened).status is Status.REFUNDED
    assert sent(bus) == ["payment.refunded"]


def test_an_unpaid_order_is_looked_at_five_times_and_then_no_more(opened: "OrderStore", bus: FakeBus) -> None:
    razorpay = Razorpay()
    looks = []
    now = NOW
    while (due := stored(opened).attention_at) is not None:
        now = due
        looks.append(due - NOW)
        assert reconcile(opened, razorpay, bus, now) is Outcome.UNCHANGED
    assert looks == [15 * MINUTE, HOUR, 6 * HOUR, 24 * HOUR, 72 * HOUR]
    assert stored(opened).version == 1
    assert bus.sent == []


@pytest.mark.parametrize("fact", [Signed(payment=PAYMENT), Authorized(payment=PAYMENT)])
def test_a_payment_never_captured_is_reviewed_once_at_its_last_due_time(
    opened: "OrderStore", bus: FakeBus, fact: Fact
) -> None:
    record_facts(opened, ORDER_ID, [fact], NOW + MINUTE)
    reconcile(opened, Razorpay(), bus, NOW + 15 * MINUTE)
    assert bus.sent == []

    now = NOW + 72 * HOUR
    reconcile(opened, Razorpay(), bus, now)
    assert sent(bus) == ["payment.review"]
    assert [review.reason for review in stored(opened).reviews] == ["never_captured"]

    while (due := stored(opened).attention_at) is not None:
        now = max(now, due)
        reconcile(opened, Razorpay(), bus, now)
    assert sent(bus) == ["payment.review"]


def test_events_that_the_bus_refused_are_published_by_the_next_run(opened: "OrderStore", bus: FakeBus) -> None:
    bus.refuses = lambda _: True
    with pytest.raises(EventsUndelivered):
        reconcile(opened, Razorpay([CAPTURED]), bus, NOW + 15 * MINUTE)
    bus.refuses = lambda _: False
    due = stored(opened).attention_at
    assert due is not None
    assert due <= NOW + 16 * MINUTE

    razorpay = Razorpay([CAPTURED])
    assert reconcile(opened, razorpay, bus, due) is Outcome.PUBLISHED
    assert sent(bus) == ["payment.paid"]
    assert razorpay.asked == 0
    assert stored(opened).attention_at is None


def test_a_record_whose_gateway_fails_stays_due(opened: "OrderStore", bus: FakeBus) -> None:
    razorpay = Razorpay()
    razorpay.fails = GatewayUnavailable("Razorpay answered 503.")
    before = stored(opened)
    with pytest.raises(GatewayUnavailable):
        reconcile(opened, razorpay, bus, NOW + 15 * MINUTE)
    assert stored(opened) == before


def test_while_razorpay_must_not_be_asked_an_open_order_waits(opened: "OrderStore", bus: FakeBus) -> None:
    before = stored(opened)
    assert reconcile(opened, None, bus, NOW + 15 * MINUTE) is Outcome.WAITING
    assert stored(opened) == before


def test_while_razorpay_must_not_be_asked_pending_events_still_go_out(opened: "OrderStore", bus: FakeBus) -> None:
    record_facts(opened, ORDER_ID, [CAPTURED], NOW + MINUTE)
    assert reconcile(opened, None, bus, NOW + 15 * MINUTE) is Outcome.PUBLISHED
    assert sent(bus) == ["payment.paid"]


def test_what_was_pending_on_an_open_order_is_published_once(opened: "OrderStore", bus: FakeBus) -> None:
    record_facts(opened, ORDER_ID, [Failed(payment=PAYMENT)], NOW + MINUTE)
    assert reconcile(opened, Razorpay([Failed(payment=ANOTHER)]), bus, NOW + 15 * MINUTE) is Outcome.SETTLED
    assert [(message.type, PAYMENT in message.detail) for _, message in bus.sent] == [
        ("payment.failed", True),
        ("payment.failed", False),
    ]


@pytest.mark.parametrize("razorpay", [None, Razorpay([CAPTURED])], ids=["not to be asked", "asked"])
def test_a_settled_order_that_is_due_all_the_same_is_due_no_more(
    table: "OrderStore", bus: FakeBus, razorpay: Razorpay | None
) -> None:
    paid = decide(open_record(ORDER_ID, AGREED, NOW), [CAPTURED], NOW + MINUTE).record
    table.insert(replace(paid, pending={}))
    assert reconcile(table, razorpay, bus, NOW + 15 * MINUTE) is Outcome.NOTHING_DUE
    assert stored(table) == replace(paid, pending={}, attention_at=None)
    assert bus.sent == []


def test_a_settled_order_that_changes_just_then_stays_due(table: "OrderStore", bus: FakeBus) -> None:
    paid = replace(decide(open_record(ORDER_ID, AGREED, NOW), [CAPTURED], NOW + MINUTE).record, pending={})
    table.insert(paid)
    moved = Fate({2: StorageConflict()}).wrap(table)
    assert reconcile(moved, None, bus, NOW + 15 * MINUTE) is Outcome.NOTHING_DUE
    assert stored(table) == paid


@pytest.mark.parametrize("lost", range(1, 5))
def test_a_record_that_changes_meanwhile_is_read_again(opened: "OrderStore", bus: FakeBus, lost: int) -> None:
    fate = Fate({2 * number: StorageConflict() for number in range(1, lost + 1)})
    assert reconcile(fate.wrap(opened), Razorpay([CAPTURED]), bus, NOW + 15 * MINUTE) is Outcome.SETTLED
    assert fate.calls == [*["read", "save"] * (lost + 1), "clear"]
    assert sent(bus) == ["payment.paid"]


def test_a_record_that_never_stands_still_is_given_up_on(opened: "OrderStore", bus: FakeBus) -> None:
    before = stored(opened)
    restless = Fate({2 * number: StorageConflict() for number in range(1, 6)}).wrap(opened)
    with pytest.raises(ContentionError, match=r"^The record changed 5 times while it was reconciled\.$"):
        reconcile(restless, Razorpay([CAPTURED]), bus, NOW + 15 * MINUTE)
    assert stored(opened) == before
    assert bus.sent == []


def test_a_bus_that_is_down_leaves_everything_as_it_was(opened: "OrderStore", bus: FakeBus) -> None:
    record_facts(opened, ORDER_ID, [CAPTURED], NOW + MINUTE)
    before = stored(opened)

    def down(_: str) -> bool:
        raise BusUnavailable("ReadTimeoutError")

    bus.refuses = down
    with pytest.raises(BusUnavailable):
        reconcile(opened, Razorpay(), bus, NOW + 15 * MINUTE)
    assert stored(opened) == before


def test_facts_of_an_unknown_order_of_ours_rebuild_its_record_and_tell_everybody(
    table: "OrderStore", bus: FakeBus
) -> None:
    record_facts(table, ORDER_ID, [CAPTURED], NOW, keep_unknown=True)

    assert reconcile(table, Razorpay([CAPTURED]), bus, NOW + 2 * MINUTE) is Outcome.REBUILT

    record = stored(table)
    assert (record.order, record.status, record.confirmed) == (AGREED, Status.PAID, True)
    assert (record.created_at, record.expires_at, record.attention_at) == (iso(NOW), None, None)
    assert sent(bus) == ["payment.paid"]
    assert table.current_order(42, 12) == ORDER_ID


def test_a_rebuilt_record_takes_no_other_orders_place(table: "OrderStore", bus: FakeBus) -> None:
    table.point(42, 12, "order_AAAAAAAAAAAAAA", seen=None)
    record_facts(table, ORDER_ID, [Failed(payment=PAYMENT)], NOW, keep_unknown=True)

    reconcile(table, Razorpay(), bus, NOW + 2 * MINUTE)

    assert stored(table).status is Status.FAILED
    assert table.current_order(42, 12) == "order_AAAAAAAAAAAAAA"


@pytest.mark.parametrize("why", ["other notes", "no such order"])
def test_a_foreign_order_is_left_to_expire(table: "OrderStore", bus: FakeBus, why: str) -> None:
    record_facts(table, ORDER_ID, [CAPTURED], NOW, keep_unknown=True)
    razorpay = Razorpay(notes=[])
    if why == "no such order":
        razorpay.fails = GatewayRefused(400, "BAD_REQUEST_ERROR")

    assert reconcile(table, razorpay, bus, NOW + 2 * MINUTE) is Outcome.FOREIGN

    record = stored(table)
    assert (record.status, record.attention_at) == (Status.UNKNOWN, None)
    assert record.expires_at is not None
    assert bus.sent == []


def test_wrong_keys_make_no_order_foreign(table: "OrderStore", bus: FakeBus) -> None:
    record_facts(table, ORDER_ID, [CAPTURED], NOW, keep_unknown=True)
    razorpay = Razorpay()
    razorpay.fails = GatewayRefused(401, "BAD_REQUEST_ERROR")
    with pytest.raises(GatewayRefused):
        reconcile(table, razorpay, bus, NOW + 2 * MINUTE)
    assert stored(table).attention_at is not None
