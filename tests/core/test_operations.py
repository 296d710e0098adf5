"""What an operator may decide (design, section 3, Reviews), and which refunds the sweep still finds."""

from collections.abc import Callable
from copy import replace

import pytest

from payments.core.errors import ContentionError, EventsUnpublished, OrderNotFound, StorageConflict
from payments.core.instants import iso
from payments.core.model import (
    Application,
    DisputeState,
    HistoryEntry,
    Mandate,
    Order,
    Reason,
    Record,
    RefundState,
    Status,
)
from payments.core.operations import (
    NotPossible,
    accept_payment,
    release_order,
    release_payment,
    republish,
    take_note,
)
from payments.core.position import Position
from payments.core.reconciliation import Outcome, Reconciler
from payments.core.transitions import ask_for_review, decide, open_record, supersede, unknown_record
from tests.core.story import (
    AMOUNT,
    DISPUTE_1,
    OPENED,
    ORDER,
    ORDER_ID,
    OTHER_ORDER_ID,
    PART,
    REFUND_1,
    REFUND_2,
    A,
    B,
    C,
    captured,
    disputed,
    refunded,
    signed,
)
from tests.fakes import BY, FakeBus, FakeGateway, FakeTable, reconciler_of

NOW = OPENED + 3600
MANDATE = Mandate.model_validate(BY)


class Case:
    """One application with one order, at Razorpay and in the table."""

    def __init__(self, order: Order = ORDER) -> None:
        self.table, self.bus, self.gateway = FakeTable(), FakeBus(), FakeGateway()
        self.gateway.now = OPENED
        self.gateway.put_order(ORDER_ID, order)
        self.table.insert(open_record(ORDER_ID, order, OPENED))
        self.table.open_application(order.client_id, order.application_id, ORDER_ID)
        self.reconciler = reconciler_of(self.table, self.bus, self.gateway)

    def status(self) -> Status:
        return self.table.records[ORDER_ID].status

    def replace_by_other(self) -> None:
        record = self.table.records[ORDER_ID]
        self.table.records[ORDER_ID] = supersede(record, OTHER_ORDER_ID, OPENED + 1)
        self.gateway.put_order(OTHER_ORDER_ID, ORDER)
        self.table.insert(open_record(OTHER_ORDER_ID, ORDER, OPENED))
        self.table.applications[ORDER.client_id, ORDER.application_id] = Application(
            client_id=ORDER.client_id,
            application_id=ORDER.application_id,
            current=OTHER_ORDER_ID,
            orders=(ORDER_ID, OTHER_ORDER_ID),
        )


def test_a_payment_of_another_sum_stands_once_it_is_accepted() -> None:
    case = Case()
    case.gateway.pay(ORDER_ID, A, amount=PART)
    record = accept_payment(case.reconciler, ORDER_ID, A, NOW)
    assert (record.status, record.confirmed, record.stood) == (Status.PAID, True, A)
    assert case.bus.types().count("payment.paid") == 1


def test_a_payment_on_a_superseded_order_stands_once_it_is_accepted() -> None:
    case = Case()
    case.replace_by_other()
    case.gateway.pay(ORDER_ID, A)
    assert accept_payment(case.reconciler, ORDER_ID, A, NOW).status is Status.PAID


def test_nothing_is_accepted_while_another_order_of_the_application_holds_money() -> None:
    case = Case()
    case.replace_by_other()
    case.gateway.pay(ORDER_ID, A)
    case.gateway.pay(OTHER_ORDER_ID, B)
    case.reconciler.reconcile_record(case.table.records[OTHER_ORDER_ID], NOW)
    with pytest.raises(NotPossible):
        accept_payment(case.reconciler, ORDER_ID, A, NOW)
    assert case.status() is Status.AUTHORIZED


def test_nothing_is_accepted_on_an_order_that_is_refunded_for_that_is_final() -> None:
    case = Case()
    case.gateway.pay(ORDER_ID, A)
    case.gateway.give_back(A, REFUND_1, AMOUNT)
    case.reconciler.reconcile_record(case.table.records[ORDER_ID], NOW)
    case.gateway.pay(ORDER_ID, B)
    with pytest.raises(NotPossible, match="final"):
        accept_payment(case.reconciler, ORDER_ID, B, NOW)


@pytest.mark.parametrize("status", ["created", "failed", "authorized"])
def test_a_payment_that_was_not_captured_is_not_accepted(status: str) -> None:
    case = Case()
    case.gateway.pay(ORDER_ID, A, status)
    with pytest.raises(NotPossible):
        accept_payment(case.reconciler, ORDER_ID, A, NOW)


def test_a_released_signature_no_longer_counts() -> None:
    case = Case()
    before = case.table.records[ORDER_ID]
    case.table.save(before, decide(before, [signed(A)], OPENED + 1).record)
    assert case.status() is Status.PAID
    assert release_payment(case.reconciler, ORDER_ID, A, NOW).status is Status.FAILED


def test_a_look_comes_before_a_release_and_a_captured_payment_is_not_released() -> None:
    case = Case()
    before = case.table.records[ORDER_ID]
    case.table.save(before, decide(before, [signed(A)], OPENED + 1).record)
    case.gateway.pay(ORDER_ID, A)
    with pytest.raises(NotPossible):
        release_payment(case.reconciler, ORDER_ID, A, NOW)
    assert case.status() is Status.PAID


def test_only_an_order_that_razorpay_says_is_unpaid_is_released() -> None:
    unpaid, paid = Case(), Case()
    assert release_order(unpaid.reconciler, ORDER_ID, NOW).released
    paid.gateway.pay(ORDER_ID, A)
    with pytest.raises(NotPossible):
        release_order(paid.reconciler, ORDER_ID, NOW)


def test_a_listed_refund_that_failed_after_it_was_processed_is_for_a_person() -> None:
    case = Case()
    case.gateway.pay(ORDER_ID, A)
    case.gateway.give_back(A, REFUND_1, PART)
    assert case.reconciler.apply_refund(case.gateway.refund(REFUND_1), None, NOW) is Outcome.RECONCILED
    case.gateway.give_back(A, REFUND_1, PART, "failed")
    known = case.table.known_refunds[REFUND_1]
    assert case.reconciler.apply_refund(case.gateway.refund(REFUND_1), known, NOW + 60) is Outcome.RECONCILED
    record = case.table.records[ORDER_ID]
    assert record.refunds[REFUND_1].state is RefundState.PROCESSED
    assert "refund_reversed" in {review.reason for review in record.reviews}
    again = case.table.known_refunds[REFUND_1]
    assert case.reconciler.apply_refund(case.gateway.refund(REFUND_1), again, NOW + 120) is Outcome.UNCHANGED


def test_a_refund_of_a_payment_that_no_webhook_told_is_decided_with_its_capture() -> None:
    case = Case()
    case.gateway.pay(ORDER_ID, A)
    case.gateway.give_back(A, REFUND_1, AMOUNT)
    case.reconciler.apply_refund(case.gateway.refund(REFUND_1), None, NOW)
    assert case.status() is Status.REFUNDED
    assert case.bus.types() == ["payment.refunded"]


# --- what an operator sees, and what is stored ----------------------------------------------------------------------


def test_why_a_payment_is_not_accepted_is_said() -> None:
    case = Case()
    for payment in (A, "pay_AAAAAAAAAAAAAA"):
        with pytest.raises(NotPossible, match=r"^The payment holds no money that could stand\.$"):
            accept_payment(case.reconciler, ORDER_ID, payment, NOW)
    case.gateway.pay(ORDER_ID, A)
    case.gateway.pay(ORDER_ID, B)
    standing = Position.of(accept_payment(case.reconciler, ORDER_ID, A, NOW)).standing
    other = B if standing == A else A
    with pytest.raises(NotPossible, match=r"^Another payment of this order stands\.$"):
        accept_payment(case.reconciler, ORDER_ID, other, NOW)
    case.gateway.give_back(standing or "", REFUND_1, AMOUNT)
    case.gateway.give_back(other, REFUND_2, AMOUNT)
    case.reconciler.ask_about(ORDER_ID, NOW + 1)
    case.gateway.pay(ORDER_ID, C)
    said = r"^The order is refunded, which is final: refund this payment too\.$"
    with pytest.raises(NotPossible, match=said):
        accept_payment(case.reconciler, ORDER_ID, C, NOW + 2)


def test_a_payment_whose_refunds_are_complete_is_not_accepted() -> None:
    case = Case()
    case.gateway.pay(ORDER_ID, A, amount=PART)
    case.gateway.give_back(A, REFUND_1, PART)
    with pytest.raises(NotPossible, match=r"^The payment holds no money that could stand\.$"):
        accept_payment(case.reconciler, ORDER_ID, A, NOW)


def test_accepting_what_stands_already_changes_nothing_for_the_client() -> None:
    case = Case()
    case.gateway.pay(ORDER_ID, A)
    record = accept_payment(case.reconciler, ORDER_ID, A, NOW)
    assert (record.status, record.stood, case.bus.types()) == (Status.PAID, A, ["payment.paid"])


def test_an_accepted_payment_is_recorded_at_that_time_and_told() -> None:
    case = Case()
    case.gateway.pay(ORDER_ID, A, amount=PART)
    record = accept_payment(case.reconciler, ORDER_ID, A, NOW)
    assert record.history[-1] == HistoryEntry(at=iso(NOW), what=f"accepted {A}", status=Status.PAID)
    assert case.bus.types() == ["payment.review", "payment.paid", "payment.review"]
    assert case.table.records[ORDER_ID].status is Status.PAID
    assert not case.table.records[ORDER_ID].pending


def test_what_another_order_of_the_application_holds_keeps_a_payment_from_being_accepted_whichever_sum_it_is() -> None:
    case = Case()
    case.replace_by_other()
    case.gateway.pay(ORDER_ID, A)
    case.gateway.pay(OTHER_ORDER_ID, B, amount=PART)
    case.reconciler.reconcile_record(case.table.records[OTHER_ORDER_ID], NOW)
    said = r"^Another order of this application holds money: refund it first\.$"
    with pytest.raises(NotPossible, match=said):
        accept_payment(case.reconciler, ORDER_ID, A, NOW)
    case.gateway.give_back(B, REFUND_1, PART)
    case.reconciler.reconcile_record(case.table.records[OTHER_ORDER_ID], NOW)
    assert accept_payment(case.reconciler, ORDER_ID, A, NOW).status is Status.PAID


def test_an_order_that_no_application_names_has_no_others() -> None:
    case = Case()
    case.table.applications.clear()
    case.gateway.pay(ORDER_ID, A, amount=PART)
    assert accept_payment(case.reconciler, ORDER_ID, A, NOW).status is Status.PAID


@pytest.mark.parametrize("operation", [accept_payment, release_payment])
def test_an_order_that_is_not_ours_is_not_decided_about(
    operation: Callable[[Reconciler, str, str, int], Record],
) -> None:
    case = Case()
    with pytest.raises(OrderNotFound):
        operation(case.reconciler, OTHER_ORDER_ID, A, NOW)
    case.table.records[ORDER_ID] = decide(unknown_record(ORDER_ID, OPENED), [captured(A)], OPENED).record
    case.gateway.put_order(ORDER_ID, ORDER, notes=[])
    with pytest.raises(OrderNotFound, match=r"^no record of ours$"):
        operation(case.reconciler, ORDER_ID, A, NOW)


def test_only_a_promise_of_money_is_released() -> None:
    case = Case()
    case.gateway.pay(ORDER_ID, A)
    said = r"^The payment is unknown, or captured: only a promise of money or a lost payment can be released\.$"
    for payment in (A, B):
        with pytest.raises(NotPossible, match=said):
            release_payment(case.reconciler, ORDER_ID, payment, NOW)
    case.gateway.pay(ORDER_ID, B, "authorized")
    record = release_payment(case.reconciler, ORDER_ID, B, NOW)
    assert record.attempts[B].released
    assert record.history[-1] == HistoryEntry(at=iso(NOW), what=f"released {B}", status=Status.PAID)


@pytest.mark.parametrize("status", ["authorized", "captured"])
def test_an_order_with_money_on_it_or_on_its_way_is_not_released(status: str) -> None:
    case = Case()
    case.gateway.pay(ORDER_ID, A, status)
    with pytest.raises(NotPossible, match=r"^Money is held on this order, or on its way to it\.$"):
        release_order(case.reconciler, ORDER_ID, NOW)


def test_a_consumed_order_is_not_released_though_nothing_is_held_on_it() -> None:
    case = Case()
    case.gateway.pay(ORDER_ID, A, amount=PART)
    case.gateway.give_back(A, REFUND_1, PART)
    case.reconciler.ask_about(ORDER_ID, NOW)
    assert case.status() is Status.FAILED
    with pytest.raises(NotPossible):
        release_order(case.reconciler, ORDER_ID, NOW)


def test_a_failed_order_is_released_once_and_stored() -> None:
    case = Case()
    case.gateway.pay(ORDER_ID, A, "failed")
    case.reconciler.ask_about(ORDER_ID, NOW - 60)
    record = release_order(case.reconciler, ORDER_ID, NOW)
    assert record.history[-1] == HistoryEntry(at=iso(NOW), what="released", status=Status.FAILED)
    assert (record.version, record.updated_at) == (3, iso(NOW))
    stored = case.table.records[ORDER_ID]
    assert (stored.released, stored.version) == (True, record.version)
    assert release_order(case.reconciler, ORDER_ID, NOW + 1).version == record.version


def crowded(count: int) -> Case:
    """An application with this many orders; the first one is under review."""
    case = Case()
    others = [f"order_{number:014d}" for number in range(1, count)]
    for order_id in others:
        case.table.insert(open_record(order_id, ORDER, OPENED))
    orders = (ORDER_ID, *others)
    case.table.applications[ORDER.client_id, ORDER.application_id] = Application(
        client_id=ORDER.client_id, application_id=ORDER.application_id, current=ORDER_ID, orders=orders
    )
    case.gateway.put_order(others[0], ORDER)
    reviewed = ask_for_review(case.table.records[ORDER_ID], "too_many_orders", OPENED).record
    case.table.records[ORDER_ID] = reviewed
    return case


def test_the_review_of_too_many_orders_ends_when_there_is_room_again() -> None:
    case = crowded(101)
    first, second = "order_00000000000001", "order_00000000000002"
    case.gateway.put_order(second, ORDER)
    release_order(case.reconciler, first, NOW)
    # A hundred are left, the limit.
    assert case.table.records[ORDER_ID].reviews[0].is_open
    release_order(case.reconciler, second, NOW)
    (review,) = case.table.records[ORDER_ID].reviews
    assert (review.resolution, review.resolved_at) == ("released", iso(NOW))
    pending = case.table.records[ORDER_ID].pending.values()
    assert [event.review_state for event in pending if event.type == "payment.review"] == ["open", "resolved"]


def test_the_order_that_was_reviewed_may_be_the_one_that_is_released() -> None:
    case = crowded(100)
    record = release_order(case.reconciler, ORDER_ID, NOW)
    assert record.released
    stored = case.table.records[ORDER_ID]
    assert (stored.released, [review.resolution for review in stored.reviews]) == (True, ["released"])


def test_the_others_of_an_application_are_all_but_the_order_itself() -> None:
    """A release counts the order itself once: ninety-nine others of a hundred leave no room, ninety-eight do."""
    case = crowded(99)
    release_order(case.reconciler, "order_00000000000001", NOW)
    assert not case.table.records[ORDER_ID].reviews[0].is_open


def test_a_payment_that_was_lost_in_a_dispute_is_released_and_the_review_closes() -> None:
    case = Case()
    case.gateway.pay(ORDER_ID, A)
    lost = decide(case.table.records[ORDER_ID], [captured(A), disputed(A, DisputeState.LOST)], NOW - 60).record
    case.table.records[ORDER_ID] = lost
    record = release_payment(case.reconciler, ORDER_ID, A, NOW)
    assert record.disputes[DISPUTE_1].released
    assert not record.attempts[A].released
    assert [(review.reason, review.resolution) for review in record.reviews] == [("dispute_lost", "released")]
    with pytest.raises(NotPossible):
        release_payment(case.reconciler, ORDER_ID, A, NOW)


# --- an accepted payment is the only one of its application that counts -----------------------------------------------


def test_what_is_paid_on_another_order_after_an_acceptance_is_for_a_person_and_is_not_announced_as_paid() -> None:
    case = Case()
    case.replace_by_other()
    case.gateway.pay(ORDER_ID, A)
    accept_payment(case.reconciler, ORDER_ID, A, NOW, MANDATE)
    assert case.table.records[OTHER_ORDER_ID].superseded_by == ORDER_ID
    # The customer still has the other order's Checkout open.
    case.gateway.pay(OTHER_ORDER_ID, B)
    case.reconciler.ask_about(OTHER_ORDER_ID, NOW + 1)
    other = case.table.records[OTHER_ORDER_ID]
    assert (other.status, [review.reason for review in other.reviews]) == (Status.AUTHORIZED, ["superseded_order"])
    assert case.bus.types().count("payment.paid") == 1


def test_an_order_that_is_refunded_is_not_touched_by_an_acceptance() -> None:
    case = Case()
    case.replace_by_other()
    case.gateway.pay(OTHER_ORDER_ID, B)
    case.gateway.give_back(B, REFUND_1, AMOUNT)
    case.reconciler.reconcile_record(case.table.records[OTHER_ORDER_ID], NOW)
    before = case.table.records[OTHER_ORDER_ID]
    case.gateway.pay(ORDER_ID, A)
    accept_payment(case.reconciler, ORDER_ID, A, NOW, MANDATE)
    assert case.table.records[OTHER_ORDER_ID] == before


def test_a_payment_that_arrives_on_another_order_while_one_is_accepted_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    case = Case()
    case.replace_by_other()
    case.gateway.pay(ORDER_ID, A)
    save = case.table.save

    def save_late(before: Record, after: Record) -> None:
        if after.superseded_by == ORDER_ID and not case.table.records[OTHER_ORDER_ID].attempts:
            paid = case.table.records[OTHER_ORDER_ID]
            case.table.records[OTHER_ORDER_ID] = decide(paid, [captured(B)], NOW).record
        save(before, after)

    monkeypatch.setattr(case.table, "save", save_late)
    with pytest.raises(NotPossible, match="Another order of this application holds money"):
        accept_payment(case.reconciler, ORDER_ID, A, NOW, MANDATE)
    assert (case.status(), case.table.records[OTHER_ORDER_ID].status) == (Status.AUTHORIZED, Status.PAID)


def test_a_record_that_changes_all_the_time_is_not_decided_about(monkeypatch: pytest.MonkeyPatch) -> None:
    case = Case()

    def conflict(*_: object) -> None:
        raise StorageConflict

    monkeypatch.setattr(case.table, "save", conflict)
    with pytest.raises(ContentionError, match=r"^A record changed 5 times while it was decided about\.$"):
        take_note(case.reconciler, ORDER_ID, MANDATE, NOW)


# --- who and why ----------------------------------------------------------------------------------------------------


def test_each_decision_keeps_who_made_it_and_why() -> None:
    case = Case()
    case.gateway.pay(ORDER_ID, A, amount=PART)
    case.gateway.pay(ORDER_ID, B, "authorized")
    accept_payment(case.reconciler, ORDER_ID, A, NOW, MANDATE)
    release_payment(case.reconciler, ORDER_ID, B, NOW, MANDATE)
    take_note(case.reconciler, ORDER_ID, MANDATE, NOW)
    republish(case.reconciler, ORDER_ID, MANDATE, NOW)
    released = Case()
    release_order(released.reconciler, ORDER_ID, NOW, MANDATE)
    decided = [(one.what, one.by) for one in case.table.records[ORDER_ID].history if one.by is not None]
    assert decided == [
        (f"accepted {A}", MANDATE),
        (f"released {B}", MANDATE),
        ("noted", MANDATE),
        ("republished", MANDATE),
    ]
    assert released.table.records[ORDER_ID].history[-1].by == MANDATE


def test_a_hundred_failed_attempts_do_not_push_a_decision_out_of_the_history() -> None:
    case = Case()
    take_note(case.reconciler, ORDER_ID, MANDATE, NOW)
    record = case.table.records[ORDER_ID]
    for number in range(120):
        record = supersede(record, f"order_{number:014d}", NOW + number)
    assert len(record.history) == 100
    assert [entry.what for entry in record.history if entry.by == MANDATE] == ["noted"]
    for number in range(120):
        record = case.table.records[ORDER_ID] = replace(record, pending={})
        record = take_note(case.reconciler, ORDER_ID, MANDATE, NOW + 200 + number)
    assert len(record.history) == 100
    assert record.history[-1].at == iso(NOW + 319)


@pytest.mark.parametrize(
    ("reason", "is_resolved"),
    [("over_refunded", True), ("refund_reversed", True), ("too_many_attempts", True), ("too_many_orders", False)],
)
def test_a_note_resolves_what_no_fact_resolves_and_leaves_the_rest_open(reason: Reason, is_resolved: bool) -> None:
    case = Case()
    case.table.records[ORDER_ID] = ask_for_review(case.table.records[ORDER_ID], reason, OPENED).record
    record = take_note(case.reconciler, ORDER_ID, MANDATE, NOW)
    (review,) = record.reviews
    assert (review.is_open, review.resolution) == ((False, "noted") if is_resolved else (True, None))
    assert case.bus.types() == ["payment.review"] * (2 if is_resolved else 1)


# --- events, again --------------------------------------------------------------------------------------------------


def test_every_event_is_published_again_byte_for_byte() -> None:
    case = Case()
    case.gateway.pay(ORDER_ID, A)
    case.reconciler.ask_about(ORDER_ID, NOW)
    case.gateway.give_back(A, REFUND_1, PART)
    case.reconciler.ask_about(ORDER_ID, NOW + 1)
    before = list(case.bus.sent)
    record, events = republish(case.reconciler, ORDER_ID, MANDATE, NOW + 2)
    assert events == ("payment.paid", "payment.partially_refunded")
    assert case.bus.sent[len(before) :] == before
    assert not case.table.records[ORDER_ID].pending
    assert record.history[-1].what == "republished"
    # And it can be repeated: the note about it is an entry that tells nothing.
    assert republish(case.reconciler, ORDER_ID, MANDATE, NOW + 3)[1] == events


def test_an_event_that_never_went_out_goes_out_with_the_others_and_is_no_longer_pending() -> None:
    case = Case()
    case.table.records[ORDER_ID] = decide(case.table.records[ORDER_ID], [captured(A)], OPENED + 1).record
    republish(case.reconciler, ORDER_ID, MANDATE, NOW)
    assert case.bus.types() == ["payment.paid"]
    assert not case.table.records[ORDER_ID].pending


def test_an_order_without_events_publishes_none() -> None:
    case = Case()
    assert republish(case.reconciler, ORDER_ID, MANDATE, NOW)[1] == ()
    assert case.bus.sent == []


def test_events_that_cannot_be_derived_exactly_are_not_published() -> None:
    case = Case()
    record = decide(case.table.records[ORDER_ID], [captured(A)], OPENED + 1).record
    case.table.records[ORDER_ID] = replace(record, history=record.history[1:], pending={})
    with pytest.raises(NotPossible, match="replay the bus's archive instead"):
        republish(case.reconciler, ORDER_ID, MANDATE, NOW)
    assert case.bus.sent == []


def test_events_that_the_bus_refuses_are_published_by_the_next_try() -> None:
    case = Case()
    case.gateway.pay(ORDER_ID, A)
    case.reconciler.ask_about(ORDER_ID, NOW)
    case.bus.sent.clear()
    case.bus.refuses = lambda _: True
    with pytest.raises(EventsUnpublished):
        republish(case.reconciler, ORDER_ID, MANDATE, NOW)
    case.bus.refuses = lambda _: False
    assert republish(case.reconciler, ORDER_ID, MANDATE, NOW)[1] == ("payment.paid",)
    assert case.bus.types() == ["payment.paid"]


def test_of_the_events_that_are_published_again_only_what_the_bus_took_is_no_longer_pending() -> None:
    case = Case()
    facts = (captured(A), refunded(A, REFUND_1, PART))
    case.table.records[ORDER_ID] = decide(case.table.records[ORDER_ID], facts, OPENED + 1).record
    pending = case.table.records[ORDER_ID].pending
    (refused,) = [key for key, event in pending.items() if event.type == "payment.partially_refunded"]
    case.bus.refuses = lambda key: key == refused
    with pytest.raises(EventsUnpublished, match=r"^The bus refused 1 of 2 events\.$"):
        republish(case.reconciler, ORDER_ID, MANDATE, NOW)
    assert list(case.table.records[ORDER_ID].pending) == [refused]
