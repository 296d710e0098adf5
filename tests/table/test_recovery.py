"""Recovering orders into a table that was restored to an earlier moment: on the fake and on the real adapter alike."""

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from payments.core.errors import ContentionError, GatewayUnavailable, StorageConflict
from payments.core.handoff import record_facts
from payments.core.instants import iso
from payments.core.listing import ListedOrder
from payments.core.model import Authorized, Captured, Fact, Failed, Record, Refunded, RefundState, Status
from payments.core.reconciliation import Outcome, reconcile_record, recover_order
from payments.core.transitions import open_record
from tests.fakes import FakeBus, Fate
from tests.table.test_reconciliation import (
    AGREED,
    ANOTHER,
    CAPTURED,
    MINUTE,
    NOTES,
    NOW,
    ORDER_ID,
    PAYMENT,
    REFUND,
    Razorpay,
    sent,
    stored,
)

if TYPE_CHECKING:
    from payments.core.ordering import OrderStore

RESTORED = NOW + 60 * MINUTE
OTHER_ORDER = "order_AAAAAAAAAAAAAA"
LISTED = ListedOrder(id=ORDER_ID, amount=49950, currency="INR", receipt="local-7", notes=NOTES, created_at=NOW)


@pytest.fixture
def bus() -> FakeBus:
    return FakeBus()


def recover(table: "OrderStore", razorpay: Razorpay, bus: FakeBus, listed: ListedOrder = LISTED) -> Outcome:
    return recover_order(table, razorpay, bus, listed, stage="local", now=RESTORED)


def settled(table: "OrderStore") -> Record:
    record = stored(table)
    assert record.pending == {}
    return record


def test_a_paid_order_without_a_record_comes_back_paid_and_is_told(table: "OrderStore", bus: FakeBus) -> None:
    assert recover(table, Razorpay([CAPTURED]), bus) is Outcome.REBUILT

    record = settled(table)
    assert (record.order, record.status, record.confirmed) == (AGREED, Status.PAID, True)
    assert (record.created_at, record.attention_at, record.expires_at) == (iso(NOW), None, None)
    assert sent(bus) == ["payment.paid"]
    assert table.current_order(42, 12) == ORDER_ID


def test_an_unpaid_order_without_a_record_comes_back_open_and_is_looked_at_as_any_other(
    table: "OrderStore", bus: FakeBus
) -> None:
    assert recover(table, Razorpay(), bus) is Outcome.REBUILT

    record = settled(table)
    assert (record.order, record.status) == (AGREED, Status.CREATED)
    assert record.attention_at == NOW + 6 * 60 * MINUTE
    assert bus.sent == []
    assert table.current_order(42, 12) == ORDER_ID


def test_everything_that_happened_to_a_lost_order_comes_back(table: "OrderStore", bus: FakeBus) -> None:
    facts: list[Fact] = [
        Failed(payment=ANOTHER),
        CAPTURED,
        Refunded(payment=PAYMENT, refund=REFUND, amount_minor=49950, state=RefundState.PROCESSED),
    ]
    recover(table, Razorpay(facts), bus)
    record = settled(table)
    assert record.status is Status.REFUNDED
    assert record.attempts.keys() == {PAYMENT, ANOTHER}
    assert sent(bus) == ["payment.refunded"]


def test_doing_it_again_changes_and_tells_nothing(table: "OrderStore", bus: FakeBus) -> None:
    razorpay = Razorpay([CAPTURED])
    recover(table, razorpay, bus)
    before = stored(table)
    assert recover(table, razorpay, bus) is Outcome.UNCHANGED
    assert stored(table) == before
    assert sent(bus) == ["payment.paid"]


def test_a_refund_that_a_settled_record_forgot_is_found(table: "OrderStore", bus: FakeBus) -> None:
    table.insert(open_record(ORDER_ID, AGREED, NOW))
    razorpay = Razorpay([CAPTURED])
    reconcile_record(table, razorpay, bus, ORDER_ID, stage="local", now=NOW + 15 * MINUTE)
    razorpay.facts.append(Refunded(payment=PAYMENT, refund=REFUND, amount_minor=49950, state=RefundState.PROCESSED))

    assert recover(table, razorpay, bus) is Outcome.SETTLED

    assert settled(table).status is Status.REFUNDED
    assert sent(bus) == ["payment.paid", "payment.refunded"]


def test_what_a_webhook_brought_meanwhile_is_kept_and_told_once(table: "OrderStore", bus: FakeBus) -> None:
    record_facts(table, ORDER_ID, [CAPTURED], RESTORED - MINUTE, keep_unknown=True)

    assert recover(table, Razorpay([CAPTURED]), bus) is Outcome.REBUILT

    assert (settled(table).status, settled(table).expires_at) == (Status.PAID, None)
    assert sent(bus) == ["payment.paid"]


def test_an_event_that_was_pending_when_the_table_was_saved_is_published(table: "OrderStore", bus: FakeBus) -> None:
    table.insert(open_record(ORDER_ID, AGREED, NOW))
    record_facts(table, ORDER_ID, [CAPTURED], NOW + MINUTE)
    assert recover(table, Razorpay([CAPTURED]), bus) is Outcome.UNCHANGED
    assert sent(bus) == ["payment.paid"]
    assert settled(table).attention_at is None


@pytest.mark.parametrize("notes", [[], {**NOTES, "stage": "production"}, {**NOTES, "service": "another"}])
def test_somebody_elses_order_gets_no_record_and_razorpay_is_not_asked_about_it(
    table: "OrderStore", bus: FakeBus, notes: object
) -> None:
    razorpay = Razorpay([CAPTURED])
    assert recover(table, razorpay, bus, replace(LISTED, notes=notes)) is Outcome.FOREIGN
    assert table.read(ORDER_ID) is None
    assert razorpay.asked == 0


# --- which order create-order hands out -------------------------------------------------------------------------------


def occupy(table: "OrderStore", *facts: Captured | Failed) -> None:
    """Another order of the same application is the one that is handed out."""
    table.insert(open_record(OTHER_ORDER, AGREED, NOW))
    table.point(42, 12, OTHER_ORDER, seen=None)
    if facts:
        record_facts(table, OTHER_ORDER, facts, NOW + MINUTE)


def test_an_unpaid_order_takes_no_other_orders_place(table: "OrderStore", bus: FakeBus) -> None:
    occupy(table)
    recover(table, Razorpay([Authorized(payment=PAYMENT)]), bus)
    assert table.current_order(42, 12) == OTHER_ORDER


@pytest.mark.parametrize("failed_before", [False, True])
def test_a_paid_order_takes_an_unpaid_ones_place_so_that_nobody_pays_twice(
    table: "OrderStore", bus: FakeBus, *, failed_before: bool
) -> None:
    occupy(table, *([Failed(payment=ANOTHER)] if failed_before else []))
    recover(table, Razorpay([CAPTURED]), bus)
    assert table.current_order(42, 12) == ORDER_ID


def test_a_paid_order_leaves_another_paid_one_its_place(table: "OrderStore", bus: FakeBus) -> None:
    occupy(table, Captured(payment=ANOTHER, amount_minor=49950, currency="INR"))
    recover(table, Razorpay([CAPTURED]), bus)
    assert table.current_order(42, 12) == OTHER_ORDER


def test_a_paid_order_takes_the_place_of_one_that_has_no_record(table: "OrderStore", bus: FakeBus) -> None:
    table.point(42, 12, OTHER_ORDER, seen=None)
    recover(table, Razorpay([CAPTURED]), bus)
    assert table.current_order(42, 12) == ORDER_ID


# --- trouble ----------------------------------------------------------------------------------------------------------


def test_when_razorpay_fails_half_way_the_record_is_due_and_the_next_attempt_completes_it(
    table: "OrderStore", bus: FakeBus
) -> None:
    razorpay = Razorpay([CAPTURED])
    razorpay.fails = GatewayUnavailable("Razorpay answered 503.")
    with pytest.raises(GatewayUnavailable):
        recover(table, razorpay, bus)
    assert (stored(table).status, stored(table).attention_at) == (Status.CREATED, RESTORED)

    razorpay.fails = None
    assert recover(table, razorpay, bus) is Outcome.SETTLED
    assert settled(table).status is Status.PAID
    assert table.current_order(42, 12) == ORDER_ID


@pytest.mark.parametrize("lost", range(1, 5))
def test_a_record_that_changes_meanwhile_is_read_again(table: "OrderStore", bus: FakeBus, lost: int) -> None:
    fate = Fate({2 * number: StorageConflict() for number in range(1, lost + 1)})
    assert recover(fate.wrap(table), Razorpay([CAPTURED]), bus) is Outcome.REBUILT
    assert fate.calls[: 2 * lost] == ["read", "insert"] * lost
    assert sent(bus) == ["payment.paid"]


def test_a_record_that_never_stands_still_is_given_up_on(table: "OrderStore", bus: FakeBus) -> None:
    restless = Fate({2 * number: StorageConflict() for number in range(1, 6)}).wrap(table)
    with pytest.raises(ContentionError, match=r"^The record changed 5 times while it was recovered\.$"):
        recover(restless, Razorpay([CAPTURED]), bus)
    assert table.read(ORDER_ID) is None
    assert bus.sent == []
