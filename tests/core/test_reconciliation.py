"""Watching one record, and emptying the outbox, on the fakes (design, section 7)."""

from collections.abc import Callable, Iterable
from copy import replace
from decimal import Decimal

import pytest

from payments.core.attention import RESEND_AFTER_S
from payments.core.errors import ContentionError, EventsUnpublished, GatewayUnavailable, OrderNotFound, StorageConflict
from payments.core.instants import epoch, iso
from payments.core.listing import Origin, read_dispute, read_order, read_payment, read_refund
from payments.core.model import (
    Application,
    Authorized,
    DisputeState,
    Fact,
    KnownDispute,
    KnownRefund,
    Lane,
    Order,
    Record,
    RefundState,
    Status,
)
from payments.core.outbox import record_and_publish
from payments.core.position import NO_OFFERS, Policy
from payments.core.reconciliation import (
    Outcome,
    apply_by_id,
    apply_disputes,
    apply_orders,
    apply_payments,
    apply_refunds,
    back_off,
    empty_outbox,
    entry_id,
)
from payments.core.refunding import RefundRequest, reserve
from payments.core.sweeping import Entry
from payments.core.transitions import decide, open_record, unknown_record
from tests.core.story import (
    AMOUNT,
    DISPUTE_1,
    DISPUTE_2,
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
    failed,
    refunded,
    signed,
    total,
)
from tests.fakes import INSTALLATION, FakeBus, FakeGateway, FakeTable, Fate, reconciler_of

DAY = 24 * 60 * 60
LATER = OPENED + 3600


class Case:
    """One order, at Razorpay and in the table."""

    def __init__(
        self,
        *facts: Fact,
        record: Record | None = None,
        table: FakeTable | None = None,
        policy: Policy = NO_OFFERS,
    ) -> None:
        self.table, self.bus, self.gateway = table or FakeTable(), FakeBus(), FakeGateway()
        self.gateway.now = OPENED
        self.gateway.put_order(ORDER_ID, ORDER)
        self.table.insert(decide(record or open_record(ORDER_ID, ORDER, OPENED), facts, OPENED + 1).record)
        self.reconciler = reconciler_of(self.table, self.bus, self.gateway, policy=policy)

    @property
    def record(self) -> Record:
        return self.table.records[ORDER_ID]

    def apply_payment(self, payment: str, seen: Record | None = None) -> Outcome:
        """Finds the payment in the account's list; `seen` is what the batch read, if outdated."""
        listed = read_payment(self.gateway.payments[payment])
        return self.reconciler.apply_payment(listed, seen or self.table.read(listed.order_id or ""), LATER)

    def apply_refund(self, refund: str) -> Outcome:
        """Finds the refund in the account's list."""
        listed = read_refund(self.gateway.refunded[refund])
        return self.reconciler.apply_refund(listed, self.table.known_refunds.get(refund), LATER)

    def apply_dispute(self, dispute: str = DISPUTE_1, **lagging: object) -> Outcome:
        """Meets the dispute in the account's list, which may say something older."""
        listed = read_dispute(self.gateway.challenged[dispute] | lagging)
        return self.reconciler.apply_dispute(listed, self.table.known_disputes.get(dispute), LATER)

    def apply_order(self) -> Outcome:
        """Finds the order in the account's list."""
        return self.reconciler.apply_order(read_order(self.gateway.listed[ORDER_ID]), self.table.read(ORDER_ID), LATER)


def test_the_outbox_publishes_and_leaves_nothing_due_of_what_is_settled() -> None:
    case = Case(captured(A))
    assert empty_outbox(case.table, case.bus, ORDER_ID, LATER) is Outcome.PUBLISHED
    assert case.bus.types() == ["payment.paid"]
    assert (case.record.attention_at, dict(case.record.pending)) == (None, {})
    assert empty_outbox(case.table, case.bus, ORDER_ID, LATER) is Outcome.NOTHING_DUE
    assert not case.gateway.calls


def test_the_outbox_moves_what_has_no_events_on_to_watch() -> None:
    case = Case(signed(A))
    empty_outbox(case.table, case.bus, ORDER_ID, OPENED + 62)
    assert case.record.lane is Lane.WATCH
    assert case.record.attention_at == epoch(case.record.updated_at) + 120


def test_an_event_that_the_bus_refuses_stays_pending_and_due() -> None:
    case = Case(captured(A))
    case.bus.refuses = lambda _: True
    with pytest.raises(EventsUnpublished):
        empty_outbox(case.table, case.bus, ORDER_ID, LATER)
    assert case.record.pending
    back_off(case.table, ORDER_ID, LATER)
    assert case.record.attention_at is not None
    assert case.record.attention_at > LATER


def test_watch_confirms_what_no_webhook_told() -> None:
    case = Case(signed(A))
    case.gateway.pay(ORDER_ID, A)
    assert case.reconciler.watch(ORDER_ID, LATER) is Outcome.RECONCILED
    assert (case.record.status, case.record.confirmed, case.record.looked_at) == (Status.PAID, True, LATER)
    assert case.record.attention_at is None
    assert case.bus.types() == ["payment.paid"]


@pytest.mark.parametrize(("age", "lapsed"), [(8 * DAY - 1, False), (8 * DAY, True)])
def test_a_payment_still_not_captured_eight_days_after_its_newest_activity_is_reviewed(age: int, lapsed: bool) -> None:
    case = Case(Authorized(payment=A, method="upi", created_at=OPENED))
    case.gateway.pay(ORDER_ID, A, "authorized")
    case.reconciler.watch(ORDER_ID, epoch(case.record.updated_at) + age)
    assert ([review.reason for review in case.record.reviews] == ["never_captured"]) is lapsed


def test_an_unknown_order_of_ours_is_rebuilt_and_joins_its_application() -> None:
    case = Case(captured(A), record=unknown_record(ORDER_ID, OPENED))
    case.gateway.pay(ORDER_ID, A)
    assert case.reconciler.watch(ORDER_ID, LATER) is Outcome.REBUILT
    assert (case.record.status, case.record.order) == (Status.PAID, ORDER)
    assert case.table.applications[ORDER.client_id, ORDER.application_id].orders == (ORDER_ID,)
    assert case.table.last_taken >= ORDER.payment_id
    assert case.bus.types() == ["payment.paid"]


def test_only_a_foreign_order_may_expire() -> None:
    case = Case(captured(A), record=unknown_record(ORDER_ID, OPENED))
    case.gateway.put_order(ORDER_ID, ORDER, notes=[])
    assert case.reconciler.watch(ORDER_ID, LATER) is Outcome.FOREIGN
    assert case.record.expires_at is not None
    assert case.record.attention_at is None


def another_order() -> Order:
    """The same purchase, placed once more."""
    return ORDER.numbered(ORDER.payment_id + 1, receipt="test-1f2e3d4c-18")


# --- watch ----------------------------------------------------------------------------------------------------------


def test_nothing_is_done_before_a_record_is_due_nor_for_one_that_is_not_there() -> None:
    case = Case(signed(A))
    due = case.record.attention_at
    assert due is not None
    assert case.reconciler.watch(ORDER_ID, due - 1) is Outcome.NOTHING_DUE
    assert case.reconciler.watch(OTHER_ORDER_ID, due) is Outcome.NOTHING_DUE
    assert not case.gateway.calls
    assert case.reconciler.watch(ORDER_ID, due) is not Outcome.NOTHING_DUE


def test_a_record_that_is_never_due_is_not_watched() -> None:
    assert Case().reconciler.watch(ORDER_ID, LATER) is Outcome.NOTHING_DUE


def test_a_look_that_tells_nothing_is_remembered_and_the_next_is_later() -> None:
    case = Case(signed(A))
    version = case.record.version
    assert case.reconciler.watch(ORDER_ID, OPENED + 121) is Outcome.UNCHANGED
    assert (case.record.version, case.record.looked_at) == (version, OPENED + 121)
    assert (case.record.lane, case.record.attention_at) == (Lane.WATCH, OPENED + 1 + 600)


def test_a_look_publishes_what_is_pending_also_if_it_tells_nothing() -> None:
    case = Case(captured(A))
    assert case.reconciler.ask_about(ORDER_ID, LATER) is Outcome.UNCHANGED
    assert case.bus.types() == ["payment.paid"]
    assert (dict(case.record.pending), case.record.attention_at) == ({}, None)


def test_a_look_that_tells_what_is_known_is_no_news() -> None:
    case = Case(captured(A))
    case.gateway.pay(ORDER_ID, A)
    assert case.reconciler.ask_about(ORDER_ID, LATER) is Outcome.UNCHANGED
    assert case.bus.types() == ["payment.paid"]
    assert case.record.looked_at == LATER


def test_a_look_judges_by_the_settings() -> None:
    case = Case(signed(A), policy=Policy(accept_offers_from_percent=90))
    case.gateway.pay(ORDER_ID, A, amount=AMOUNT - 1)
    case.reconciler.watch(ORDER_ID, LATER)
    assert (case.record.status, case.record.attempts[A].verdict) == (Status.PAID, "offer")


def test_a_refund_under_way_is_looked_for_though_razorpays_sum_has_forgotten_it() -> None:
    case = Case(captured(A), refunded(A, REFUND_1, PART, RefundState.CREATED))
    case.gateway.pay(ORDER_ID, A)
    case.gateway.give_back(A, REFUND_1, PART, "failed")
    assert case.gateway.payments[A]["amount_refunded"] == 0
    case.reconciler.watch(ORDER_ID, LATER)
    assert case.record.refunds[REFUND_1].state is RefundState.FAILED
    assert case.record.attention_at is None


def test_the_refunds_of_a_payment_whose_sum_differs_are_looked_for() -> None:
    case = Case(captured(A), total(A, PART))
    assert case.record.attempts[A].refunds_unread
    case.gateway.pay(ORDER_ID, A)
    case.reconciler.watch(ORDER_ID, LATER)
    assert not case.record.attempts[A].refunds_unread


def test_what_a_look_tells_of_refunds_is_kept_under_their_own_ids() -> None:
    case = Case(captured(A))
    case.gateway.pay(ORDER_ID, A)
    case.gateway.give_back(A, REFUND_1, PART)
    case.reconciler.ask_about(ORDER_ID, LATER)
    assert case.table.known_refunds[REFUND_1] == KnownRefund(
        refund_id=REFUND_1, payment_id=A, order_id=ORDER_ID, amount_minor=PART, state=RefundState.PROCESSED
    )


def test_only_what_is_still_alive_at_the_last_look_was_never_captured() -> None:
    case = Case(Authorized(payment=A), failed(B))
    case.gateway.pay(ORDER_ID, A, "authorized")
    case.gateway.pay(ORDER_ID, B, "failed")
    last = epoch(case.record.updated_at) + 8 * DAY
    assert case.reconciler.watch(ORDER_ID, last) is Outcome.RECONCILED
    assert [(review.reason, review.subject) for review in case.record.reviews] == [("never_captured", A)]
    assert (case.record.attempts[A].lapsed, case.record.attempts[B].lapsed) == (True, False)
    assert case.record.attention_at is None
    # It is reported once.
    assert case.reconciler.ask_about(ORDER_ID, last + 9 * DAY) is Outcome.UNCHANGED


def test_news_at_the_last_look_gives_a_payment_more_time() -> None:
    case = Case(Authorized(payment=A))
    case.gateway.pay(ORDER_ID, A, "authorized")
    case.gateway.pay(ORDER_ID, B, "authorized")
    case.reconciler.watch(ORDER_ID, epoch(case.record.updated_at) + 8 * DAY)
    assert set(case.record.attempts) == {A, B}
    assert not case.record.reviews


def test_a_payment_of_another_sum_does_not_keep_one_that_was_never_captured_from_a_person() -> None:
    case = Case(captured(A, PART), Authorized(payment=B))
    case.gateway.pay(ORDER_ID, A, amount=PART)
    case.gateway.pay(ORDER_ID, B, "authorized")
    case.reconciler.watch(ORDER_ID, epoch(case.record.updated_at) + 8 * DAY)
    assert [review.reason for review in case.record.reviews] == ["amount_mismatch", "never_captured"]


def test_a_sum_that_the_settings_admit_by_now_is_news_at_the_last_look() -> None:
    case = Case(captured(A, AMOUNT - 1), Authorized(payment=B))
    case.reconciler = replace(case.reconciler, policy=Policy(accept_offers_from_percent=90))
    case.gateway.pay(ORDER_ID, A, amount=AMOUNT - 1)
    case.gateway.pay(ORDER_ID, B, "authorized")
    case.reconciler.watch(ORDER_ID, epoch(case.record.updated_at) + 8 * DAY)
    assert (case.record.status, case.record.attempts[B].lapsed) == (Status.PAID, False)


def test_an_operator_asks_about_a_record_whether_or_not_it_is_due() -> None:
    case = Case()
    case.gateway.pay(ORDER_ID, A)
    assert case.reconciler.ask_about(ORDER_ID, OPENED + 2) is Outcome.RECONCILED
    assert case.record.confirmed
    with pytest.raises(OrderNotFound, match=r"^no record$"):
        case.reconciler.ask_about(OTHER_ORDER_ID, OPENED + 2)
    nobodys = Case(captured(A), record=unknown_record(ORDER_ID, OPENED))
    assert nobodys.reconciler.ask_about(ORDER_ID, OPENED + 2) is Outcome.REBUILT


class Busy(FakeTable):
    """Another writer is faster at this many saves in a row."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.left = times

    def save(self, before: Record, after: Record) -> None:
        if self.left:
            self.left -= 1
            raise StorageConflict
        super().save(before, after)


@pytest.mark.parametrize(("times", "given_up"), [(4, False), (5, True)])
def test_a_record_that_changes_while_it_is_watched_is_read_again_five_times_in_all(times: int, given_up: bool) -> None:
    case = Case(signed(A), table=Busy(times))
    if given_up:
        with pytest.raises(ContentionError, match=r"^The record changed 5 times while it was reconciled\.$"):
            case.reconciler.watch(ORDER_ID, LATER)
    else:
        assert case.reconciler.watch(ORDER_ID, LATER) is Outcome.UNCHANGED
        assert case.record.looked_at == LATER


class Late(FakeTable):
    """Another writer is faster at the save with this number."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.left = number

    def save(self, before: Record, after: Record) -> None:
        self.left -= 1
        if not self.left:
            raise StorageConflict
        super().save(before, after)


def test_an_order_that_was_rebuilt_stays_due_if_the_look_after_it_lost_a_race() -> None:
    # Adopted, then checked without a change.
    case = Case(Authorized(payment=A), record=unknown_record(ORDER_ID, OPENED), table=Late(2))
    case.gateway.pay(ORDER_ID, A, "authorized")
    assert case.reconciler.watch(ORDER_ID, LATER) is Outcome.REBUILT
    assert (case.record.order, case.record.looked_at) == (ORDER, None)
    assert case.record.attention_at == LATER + 60


def test_an_order_that_somebody_else_adopts_meanwhile_is_read_again() -> None:
    case = Case(captured(A), record=unknown_record(ORDER_ID, OPENED), table=Late(1))
    case.gateway.pay(ORDER_ID, A)
    unknown = case.record
    case.table.records[ORDER_ID] = open_record(ORDER_ID, ORDER, OPENED)
    listed = read_order(case.gateway.listed[ORDER_ID])
    assert case.reconciler.apply_order(listed, unknown, LATER) is Outcome.RECONCILED
    assert case.record.status is Status.PAID


class Requested(Case):
    """A paid order of which a refund was requested, and nobody knows whether Razorpay made it."""

    def __init__(self) -> None:
        paid = decide(open_record(ORDER_ID, ORDER, OPENED), [captured(A)], OPENED + 1).record
        half = RefundRequest.of(ORDER_ID, "half-of-the-work", amount=Decimal(200), payment=None, reason=None)
        super().__init__(record=reserve(paid, half, LATER))
        self.gateway.pay(ORDER_ID, A)

    def look(self, now: int) -> tuple[Outcome, list[str]]:
        self.bus.sent.clear()
        return self.reconciler.ask_about(ORDER_ID, now), [message.type for _, message in self.bus.sent]


def test_a_look_at_a_refund_in_doubt_tells_each_event_once_and_says_what_was_new() -> None:
    case = Requested()
    # It is too early to ask Razorpay again.
    assert case.look(LATER + 60) == (Outcome.UNCHANGED, ["payment.paid"])
    assert case.look(LATER + 120) == (Outcome.UNCHANGED, [])
    assert case.look(LATER + RESEND_AFTER_S) == (Outcome.RECONCILED, ["payment.partially_refunded"])


# --- whose an order is ----------------------------------------------------------------------------------------------


def test_an_order_that_nobody_can_place_stays_due_and_is_asked_about_later() -> None:
    case = Case(captured(A), record=unknown_record(ORDER_ID, OPENED))
    case.gateway.put_order(ORDER_ID, ORDER)
    case.gateway.listed[ORDER_ID]["notes"]["installation"] = "another1"
    reconciler = replace(case.reconciler, origin=Origin(stage="test", installation=None))
    assert reconciler.watch(ORDER_ID, OPENED + 61) is Outcome.UNKNOWN
    assert (case.record.status, case.record.expires_at) == (Status.UNKNOWN, None)
    assert (case.record.lane, case.record.attention_at) == (Lane.UNKNOWN, OPENED + 600)


def test_a_foreign_order_is_kept_for_thirty_days_and_never_due() -> None:
    case = Case(captured(A), record=unknown_record(ORDER_ID, OPENED))
    case.gateway.put_order(ORDER_ID, ORDER, notes=[])
    case.reconciler.watch(ORDER_ID, LATER)
    record = case.record
    assert (record.foreign, record.lane, record.attention_at) == (True, None, None)
    assert record.expires_at == LATER + 30 * DAY


def test_an_order_that_is_found_to_be_ours_is_asked_about_at_once() -> None:
    case = Case(Authorized(payment=A), record=unknown_record(ORDER_ID, OPENED))
    case.gateway.pay(ORDER_ID, A)
    case.gateway.give_back(A, REFUND_1, PART)
    case.reconciler.watch(ORDER_ID, LATER)
    assert (case.record.confirmed, case.record.looked_at) == (True, LATER)
    assert case.bus.types() == ["payment.paid", "payment.partially_refunded"]
    assert case.record.created_at == iso(OPENED)
    assert case.table.known_refunds[REFUND_1].order_id == ORDER_ID


def test_an_order_found_beside_a_paid_one_of_its_application_is_superseded_by_that() -> None:
    case = Case(captured(A))
    case.table.open_application(ORDER.client_id, ORDER.application_id, ORDER_ID)
    case.gateway.put_order(OTHER_ORDER_ID, another_order())
    case.gateway.pay(OTHER_ORDER_ID, B)
    assert case.apply_payment(B) is Outcome.REBUILT
    found = case.table.records[OTHER_ORDER_ID]
    assert (found.superseded_by, found.order) == (ORDER_ID, another_order())
    assert [review.reason for review in found.reviews] == ["superseded_order"]
    application = case.table.applications[ORDER.client_id, ORDER.application_id]
    assert (application.current, application.orders) == (ORDER_ID, (ORDER_ID, OTHER_ORDER_ID))
    assert case.table.last_taken == ORDER.payment_id + 1


def test_an_order_found_beside_an_unpaid_one_stands_by_itself() -> None:
    case = Case(failed(A))
    case.table.open_application(ORDER.client_id, ORDER.application_id, ORDER_ID)
    case.gateway.put_order(OTHER_ORDER_ID, another_order())
    case.gateway.pay(OTHER_ORDER_ID, B)
    case.apply_payment(B)
    found = case.table.records[OTHER_ORDER_ID]
    assert (found.superseded_by, found.status) == (None, Status.PAID)


def test_an_order_that_its_application_knows_already_is_not_added_twice() -> None:
    case = Case()
    case.table.open_application(ORDER.client_id, ORDER.application_id, ORDER_ID)
    del case.table.records[ORDER_ID]
    case.gateway.pay(ORDER_ID, A)
    assert case.apply_payment(A) is Outcome.REBUILT
    assert case.table.applications[ORDER.client_id, ORDER.application_id].orders == (ORDER_ID,)
    assert (case.record.superseded_by, case.record.status) == (None, Status.PAID)


class Crowded(FakeTable):
    """An application that another writer extends at the same moment, this many times."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.left = times

    def extend_application(self, seen: Application, order_id: str, *, current: str | None = None) -> None:
        if self.left:
            self.left -= 1
            raise StorageConflict
        super().extend_application(seen, order_id, current=current)


@pytest.mark.parametrize(("times", "given_up"), [(4, False), (5, True)])
def test_an_application_that_changes_while_an_order_joins_it_is_read_again(times: int, given_up: bool) -> None:
    case = Case(table=Crowded(times))
    case.table.open_application(ORDER.client_id, ORDER.application_id, ORDER_ID)
    case.gateway.put_order(OTHER_ORDER_ID, another_order())
    case.gateway.pay(OTHER_ORDER_ID, B)
    if given_up:
        said = r"^The application changed 5 times while an order was added to it\.$"
        with pytest.raises(ContentionError, match=said):
            case.apply_payment(B)
        assert OTHER_ORDER_ID not in case.table.records
    else:
        assert case.apply_payment(B) is Outcome.REBUILT


# --- entries of the lists -------------------------------------------------------------------------------------------


def test_a_listed_payment_that_is_known_costs_nothing_but_the_batch() -> None:
    case = Case(captured(A))
    case.gateway.pay(ORDER_ID, A)
    assert case.apply_payment(A) is Outcome.UNCHANGED
    assert not case.gateway.calls
    assert case.record.version == 2


def test_a_listed_payment_that_nobody_told_of_is_recorded_and_told() -> None:
    case = Case()
    case.gateway.pay(ORDER_ID, A)
    assert case.apply_payment(A) is Outcome.RECONCILED
    assert (case.record.status, case.bus.types()) == (Status.PAID, ["payment.paid"])
    assert not case.gateway.calls


def test_a_listed_payment_without_an_order_is_nobodys() -> None:
    case = Case()
    case.gateway.pay(None, A)
    assert case.apply_payment(A) is Outcome.FOREIGN
    assert not case.gateway.calls


def test_a_listed_payment_of_a_foreign_order_changes_nothing() -> None:
    case = Case(Authorized(payment=A), record=unknown_record(ORDER_ID, OPENED))
    case.gateway.put_order(ORDER_ID, ORDER, notes=[])
    case.reconciler.watch(ORDER_ID, LATER)
    before = case.record
    case.gateway.pay(ORDER_ID, A)
    assert case.apply_payment(A) is Outcome.FOREIGN
    assert case.record == before


def test_a_listed_payment_is_judged_by_the_settings() -> None:
    case = Case(policy=Policy(accept_offers_from_percent=90))
    case.gateway.pay(ORDER_ID, A, amount=AMOUNT - 1)
    case.apply_payment(A)
    assert case.record.status is Status.PAID
    # Decided as previewed: known facts change nothing.
    assert case.apply_payment(A) is Outcome.UNCHANGED


def test_a_setting_that_changed_counts_for_what_is_listed_again() -> None:
    case = Case()
    case.gateway.pay(ORDER_ID, A, amount=AMOUNT - 1)
    case.apply_payment(A)
    assert case.record.attempts[A].verdict is None
    case.reconciler = replace(case.reconciler, policy=Policy(accept_offers_from_percent=90))
    assert case.apply_payment(A) is Outcome.RECONCILED
    assert case.record.status is Status.PAID


def test_a_listed_sum_with_unknown_refunds_in_it_has_them_read_with_their_payment() -> None:
    case = Case(captured(A))
    case.gateway.pay(ORDER_ID, A)
    case.gateway.give_back(A, REFUND_1, PART)
    assert case.apply_payment(A) is Outcome.RECONCILED
    assert case.gateway.calls == [f"payment {A}", f"refunds_of {A}"]
    assert case.record.refunds[REFUND_1].amount_minor == PART
    assert not case.record.attempts[A].refunds_unread
    assert "payment.partially_refunded" in case.bus.types()


@pytest.mark.parametrize(
    ("notes", "origin", "outcome"),
    [
        ([], INSTALLATION, Outcome.FOREIGN),
        (None, None, Outcome.UNKNOWN),
        (None, "another1", Outcome.FOREIGN),
    ],
)
def test_a_listed_payment_of_an_order_without_a_record_finds_out_whose_it_is(
    notes: list[str] | None, origin: str | None, outcome: Outcome
) -> None:
    case = Case()
    del case.table.records[ORDER_ID]
    case.gateway.pay(ORDER_ID, A)
    if notes is not None:
        case.gateway.listed[ORDER_ID]["notes"] = notes
    case.reconciler = replace(case.reconciler, origin=Origin(stage="test", installation=origin))
    assert case.apply_payment(A) is outcome
    record = case.record
    assert (record.status, record.order) == (Status.UNKNOWN, None)
    if outcome is Outcome.FOREIGN:
        assert (record.foreign, record.attention_at, record.expires_at) == (True, None, LATER + 30 * DAY)
    else:
        # Kept under the status `unknown`, and queried in a separate lane.
        assert (record.foreign, record.lane, record.attention_at) == (False, Lane.UNKNOWN, LATER + 60)
        assert (record.attempts[A].captured, record.expires_at) == (True, None)


class Overtaken(FakeTable):
    """Another run stores the same record just before."""

    def insert(self, record: Record) -> None:
        super().insert(record)
        raise StorageConflict


def test_of_two_runs_that_meet_an_order_without_a_record_the_second_finds_that_of_the_first() -> None:
    case = Case()
    case.table = Overtaken()
    case.reconciler = replace(case.reconciler, table=case.table)
    case.gateway.pay(ORDER_ID, A)
    assert case.apply_payment(A) is Outcome.RECONCILED
    assert (case.record.order, case.record.status) == (ORDER, Status.PAID)


def test_of_two_runs_that_meet_a_foreign_order_the_second_says_the_same() -> None:
    case = Case()
    case.table = Overtaken()
    case.reconciler = replace(case.reconciler, table=case.table)
    case.gateway.pay(ORDER_ID, A)
    case.gateway.listed[ORDER_ID]["notes"] = []
    assert case.apply_payment(A) is Outcome.FOREIGN
    assert case.record.foreign


def test_a_record_that_changed_since_the_batch_is_read_again() -> None:
    case = Case()
    stale = case.record
    case.gateway.pay(ORDER_ID, A)
    case.apply_payment(A)
    version = case.record.version
    assert case.apply_payment(A, stale) is Outcome.RECONCILED
    assert case.record.version == version
    assert case.bus.types() == ["payment.paid"]


# --- refunds --------------------------------------------------------------------------------------------------------


def test_a_listed_refund_is_recorded_with_its_payment_and_remembered() -> None:
    case = Case()
    case.gateway.pay(ORDER_ID, A)
    case.gateway.give_back(A, REFUND_1, PART)
    assert case.apply_refund(REFUND_1) is Outcome.RECONCILED
    assert case.gateway.calls == [f"payment {A}"]
    assert (case.record.status, case.bus.types()) == (Status.PAID, ["payment.paid", "payment.partially_refunded"])
    assert case.record.attempts[A].total_minor == PART
    assert not case.record.attempts[A].refunds_unread
    known = case.table.known_refunds[REFUND_1]
    assert known == KnownRefund(
        refund_id=REFUND_1, payment_id=A, order_id=ORDER_ID, amount_minor=PART, state=RefundState.PROCESSED
    )
    assert case.table.refunds_expire[REFUND_1] is None


def test_a_listed_refund_shows_another_one_that_the_sum_has_in_it() -> None:
    case = Case(captured(A))
    case.gateway.pay(ORDER_ID, A)
    case.gateway.give_back(A, REFUND_1, PART)
    case.gateway.give_back(A, REFUND_2, PART)
    case.apply_refund(REFUND_1)
    assert (case.record.attempts[A].refunds_unread, case.record.attempts[A].total_minor) == (True, 2 * PART)


def test_a_listed_refund_that_is_known_costs_no_call() -> None:
    case = Case(captured(A), refunded(A, REFUND_1, PART))
    case.gateway.pay(ORDER_ID, A)
    case.gateway.give_back(A, REFUND_1, PART)
    # Recorded by a webhook, but without its own refund item yet.
    assert case.apply_refund(REFUND_1) is Outcome.UNCHANGED
    assert case.table.known_refunds[REFUND_1].order_id == ORDER_ID
    case.gateway.calls.clear()
    assert case.apply_refund(REFUND_1) is Outcome.UNCHANGED
    assert not case.gateway.calls


def test_a_refund_that_went_further_is_news() -> None:
    case = Case(captured(A))
    case.gateway.pay(ORDER_ID, A)
    case.gateway.give_back(A, REFUND_1, PART, "pending")
    assert case.apply_refund(REFUND_1) is Outcome.RECONCILED
    case.gateway.give_back(A, REFUND_1, PART, "processed")
    assert case.apply_refund(REFUND_1) is Outcome.RECONCILED
    assert case.table.known_refunds[REFUND_1].state is RefundState.PROCESSED


def test_a_refund_of_which_razorpay_says_an_unknown_word_is_left_alone() -> None:
    case = Case(captured(A))
    case.gateway.pay(ORDER_ID, A)
    case.gateway.give_back(A, REFUND_1, PART, "on_its_way")
    assert case.apply_refund(REFUND_1) is Outcome.UNCHANGED
    assert not case.gateway.calls
    assert not case.table.known_refunds


@pytest.mark.parametrize("order_id", [None, ORDER_ID])
def test_a_refund_of_somebody_elses_payment_is_remembered_for_sixty_days_and_never_asked_about_again(
    order_id: str | None,
) -> None:
    case = Case()
    del case.table.records[ORDER_ID]
    case.gateway.put_order(ORDER_ID, ORDER, notes=[])
    case.gateway.pay(order_id, A)
    case.gateway.give_back(A, REFUND_1, PART, "pending")
    assert case.apply_refund(REFUND_1) is Outcome.FOREIGN
    assert case.table.known_refunds[REFUND_1] == KnownRefund(
        refund_id=REFUND_1, payment_id=A, order_id=None, amount_minor=PART, state=RefundState.CREATED
    )
    assert case.table.refunds_expire[REFUND_1] == LATER + 60 * DAY
    case.gateway.give_back(A, REFUND_1, PART, "processed")
    case.gateway.calls.clear()
    assert case.apply_refund(REFUND_1) is Outcome.UNCHANGED
    assert not case.gateway.calls


def test_a_refund_is_judged_by_the_settings() -> None:
    case = Case(policy=Policy(accept_offers_from_percent=90))
    case.gateway.pay(ORDER_ID, A, amount=AMOUNT - 1)
    case.gateway.give_back(A, REFUND_1, PART)
    case.apply_refund(REFUND_1)
    assert case.bus.types() == ["payment.paid", "payment.partially_refunded"]


def test_a_refund_of_an_order_that_nobody_can_place_is_kept_with_it() -> None:
    case = Case()
    del case.table.records[ORDER_ID]
    case.reconciler = replace(case.reconciler, origin=Origin(stage="test", installation=None))
    case.gateway.pay(ORDER_ID, A)
    case.gateway.give_back(A, REFUND_1, PART)
    assert case.apply_refund(REFUND_1) is Outcome.RECONCILED
    assert (case.record.status, set(case.record.refunds)) == (Status.UNKNOWN, {REFUND_1})
    assert case.table.known_refunds[REFUND_1].order_id == ORDER_ID


# --- orders, for a table that was restored --------------------------------------------------------------------------


def test_a_listed_order_that_is_not_ours_is_left_alone() -> None:
    case = Case()
    del case.table.records[ORDER_ID]
    case.gateway.put_order(ORDER_ID, ORDER, notes=[])
    assert case.apply_order() is Outcome.FOREIGN
    case.gateway.put_order(ORDER_ID, ORDER)
    case.reconciler = replace(case.reconciler, origin=Origin(stage="test", installation=None))
    assert case.apply_order() is Outcome.UNKNOWN
    assert not case.table.records
    assert not case.gateway.calls


def test_a_listed_order_that_nobody_has_tried_to_pay_needs_no_call() -> None:
    case = Case()
    assert case.apply_order() is Outcome.UNCHANGED
    del case.table.records[ORDER_ID]
    assert case.apply_order() is Outcome.REBUILT
    assert (case.record.order, case.record.status, case.record.attention_at) == (ORDER, Status.CREATED, None)
    assert not case.gateway.calls


def test_a_restored_record_whose_application_was_not_restored_is_put_into_it_again() -> None:
    case = Case(captured(A))
    assert case.table.application(ORDER.client_id, ORDER.application_id) is None
    case.apply_order()
    application = case.table.application(ORDER.client_id, ORDER.application_id)
    assert application is not None
    assert (application.current, application.orders) == (ORDER_ID, (ORDER_ID,))

    other = Case(captured(A))
    other.table.open_application(ORDER.client_id, ORDER.application_id, "order_SomebodyElse1")
    other.apply_order()
    other.apply_order()
    application = other.table.application(ORDER.client_id, ORDER.application_id)
    assert application is not None
    assert (application.current, application.orders) == ("order_SomebodyElse1", ("order_SomebodyElse1", ORDER_ID))


def test_a_listed_order_that_was_tried_is_asked_about() -> None:
    case = Case()
    case.gateway.pay(ORDER_ID, A)
    assert case.apply_order() is Outcome.RECONCILED
    assert case.record.confirmed
    assert case.apply_order() is Outcome.UNCHANGED
    del case.table.records[ORDER_ID]
    assert case.apply_order() is Outcome.REBUILT
    assert (case.record.confirmed, case.record.looked_at) == (True, LATER)


def test_a_listed_order_known_only_from_webhooks_becomes_ours() -> None:
    case = Case(captured(A), record=unknown_record(ORDER_ID, OPENED))
    assert case.apply_order() is Outcome.REBUILT
    assert (case.record.order, case.record.status) == (ORDER, Status.PAID)
    assert case.bus.types() == ["payment.paid"]


def test_a_listed_order_whose_record_was_read_with_its_page_is_not_read_again() -> None:
    case = Case()
    case.table.open_application(ORDER.client_id, ORDER.application_id, ORDER_ID)
    fate = Fate()
    reconciler = replace(case.reconciler, table=fate.wrap(case.table))
    assert reconciler.apply_order(read_order(case.gateway.listed[ORDER_ID]), case.record, LATER) is Outcome.UNCHANGED
    assert fate.calls == ["application"]


def test_the_events_of_a_rebuilt_order_are_published_once() -> None:
    case = Case(captured(A), record=unknown_record(ORDER_ID, OPENED))
    case.gateway.listed[ORDER_ID]["status"] = "paid"
    assert case.apply_order() is Outcome.REBUILT
    assert [message.type for _, message in case.bus.sent] == ["payment.paid"]
    assert case.record.looked_at == LATER


def test_what_is_rebuilt_is_judged_by_the_settings() -> None:
    case = Case(
        captured(A, AMOUNT - 1), record=unknown_record(ORDER_ID, OPENED), policy=Policy(accept_offers_from_percent=90)
    )
    case.apply_order()
    assert case.record.status is Status.PAID


# --- the outbox -----------------------------------------------------------------------------------------------------


def test_the_outbox_leaves_alone_what_is_not_due() -> None:
    case = Case(captured(A))
    due = case.record.attention_at
    assert due is not None
    assert empty_outbox(case.table, case.bus, ORDER_ID, due - 1) is Outcome.NOTHING_DUE
    assert empty_outbox(case.table, case.bus, OTHER_ORDER_ID, due) is Outcome.NOTHING_DUE
    assert not case.bus.sent
    assert empty_outbox(case.table, case.bus, ORDER_ID, due) is Outcome.PUBLISHED


def test_the_outbox_says_when_there_was_nothing_to_publish() -> None:
    assert empty_outbox(Case(signed(A)).table, FakeBus(), ORDER_ID, LATER) is Outcome.UNCHANGED


def test_the_outbox_never_says_that_razorpay_was_asked() -> None:
    case = Case(signed(A))
    empty_outbox(case.table, case.bus, ORDER_ID, LATER)
    assert case.record.looked_at is None


def test_a_record_that_changes_while_the_outbox_is_emptied_is_read_again() -> None:
    case = Case(signed(A), table=Busy(4))
    assert empty_outbox(case.table, case.bus, ORDER_ID, LATER) is Outcome.UNCHANGED
    busier = Case(signed(A), table=Busy(5))
    with pytest.raises(ContentionError):
        empty_outbox(busier.table, busier.bus, ORDER_ID, LATER)


def test_only_what_is_due_is_put_off_and_a_conflict_is_the_next_runs() -> None:
    case = Case(signed(A))
    due = case.record.attention_at
    assert due is not None
    back_off(case.table, OTHER_ORDER_ID, due)
    back_off(case.table, ORDER_ID, due - 1)
    assert (case.record.attention_at, case.record.failures) == (due, 0)
    back_off(case.table, ORDER_ID, due)
    assert (case.record.attention_at, case.record.failures) == (due + 60, 1)
    never_due = Case()
    back_off(never_due.table, ORDER_ID, LATER)
    assert (never_due.record.attention_at, never_due.record.failures) == (None, 0)
    busy = Case(signed(A), table=Busy(1))
    back_off(busy.table, ORDER_ID, LATER)
    assert busy.record.failures == 0


# --- pages ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entry", "identity"),
    [
        ({"id": A}, A),
        ({"id": REFUND_1}, REFUND_1),
        ({"id": ORDER_ID}, ORDER_ID),
        ({"id": "pay_short"}, None),
        ({"id": 7}, None),
        ({}, None),
    ],
)
def test_only_an_id_of_razorpays_own_form_can_be_asked_for(entry: Entry, identity: str | None) -> None:
    assert entry_id(entry) == identity


class Applications:
    """Processes each entry; a failure affects only that entry."""

    def __init__(self) -> None:
        self.outcomes: list[tuple[str, Outcome | None]] = []

    def __call__(self, identity: str, act: Callable[[], Outcome]) -> None:
        try:
            self.outcomes.append((identity, act()))
        except GatewayUnavailable:
            self.outcomes.append((identity, None))


class Counted(FakeTable):
    """How often records and refunds were read in a batch, and whether consistently."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[tuple[list[str], bool]] = []

    def read_many(
        self, order_ids: Iterable[str], *, consistent: bool = True, only_readable: bool | None = None
    ) -> dict[str, Record]:
        keys = sorted(order_ids)
        self.batches.append((keys, consistent))
        return super().read_many(keys, only_readable=only_readable)

    def refunds(self, refund_ids: Iterable[str]) -> dict[str, KnownRefund]:
        keys = sorted(refund_ids)
        self.batches.append((keys, False))
        return super().refunds(keys)


def test_a_page_of_payments_costs_one_batch_and_what_cannot_be_read_is_its_own_failure() -> None:
    table = Counted()
    case = Case(captured(A), table=table)
    case.gateway.pay(ORDER_ID, A)
    case.gateway.pay(ORDER_ID, B)
    case.gateway.pay(None, C)
    odd: list[Entry] = [{"id": "pay_AAAAAAAAAAAAAA", "amount": "x"}, {"id": 7}, {}]
    table.batches.clear()
    done = Applications()
    page = [case.gateway.payments[A], odd[0], case.gateway.payments[B], case.gateway.payments[C], *odd[1:]]
    apply_payments(case.reconciler, page, done, LATER)
    assert table.batches == [([ORDER_ID], False)]
    assert done.outcomes == [
        (A, Outcome.UNCHANGED),
        ("pay_AAAAAAAAAAAAAA", None),
        (B, Outcome.RECONCILED),
        (C, Outcome.FOREIGN),
        ("", None),
        ("", None),
    ]
    assert not case.gateway.calls


def test_a_page_of_refunds_costs_one_batch_and_a_call_for_each_unseen_one() -> None:
    table = Counted()
    case = Case(captured(A), table=table)
    case.gateway.pay(ORDER_ID, A)
    case.gateway.give_back(A, REFUND_1, 1)
    case.apply_refund(REFUND_1)
    case.gateway.give_back(A, REFUND_2, 1)
    table.batches.clear()
    case.gateway.calls.clear()
    done = Applications()
    page = [case.gateway.refunded[REFUND_1], {"id": "rfnd_AAAAAAAAAAAAAA"}, case.gateway.refunded[REFUND_2], {}]
    apply_refunds(case.reconciler, page, done, LATER)
    assert table.batches == [(sorted([REFUND_1, REFUND_2, "rfnd_AAAAAAAAAAAAAA"]), False)]
    assert done.outcomes == [
        (REFUND_1, Outcome.UNCHANGED),
        ("rfnd_AAAAAAAAAAAAAA", None),
        (REFUND_2, Outcome.RECONCILED),
        ("", None),
    ]
    assert case.gateway.calls == [f"payment {A}"]


def test_a_page_of_orders_costs_one_batch() -> None:
    table = Counted()
    case = Case(table=table)
    case.gateway.put_order(OTHER_ORDER_ID, another_order())
    done = Applications()
    page = [case.gateway.listed[ORDER_ID], {"id": "order_AAAAAAAAAAAAAA"}, case.gateway.listed[OTHER_ORDER_ID], {}]
    apply_orders(case.reconciler, page, done, LATER)
    assert table.batches[0] == (sorted([ORDER_ID, OTHER_ORDER_ID, "order_AAAAAAAAAAAAAA"]), False)
    assert done.outcomes == [
        (ORDER_ID, Outcome.UNCHANGED),
        ("order_AAAAAAAAAAAAAA", None),
        (OTHER_ORDER_ID, Outcome.REBUILT),
        ("", None),
    ]


def test_what_is_known_of_a_page_is_not_read_again() -> None:
    case = Case(captured(A))
    case.gateway.pay(ORDER_ID, A)
    case.gateway.pay(None, B)
    case.table.open_application(ORDER.client_id, ORDER.application_id, ORDER_ID)
    fate = Fate()
    reconciler = replace(case.reconciler, table=fate.wrap(case.table))
    apply_payments(reconciler, list(case.gateway.payments.values()), Applications(), LATER)
    case.gateway.listed[ORDER_ID]["status"] = "created"
    apply_orders(reconciler, list(case.gateway.listed.values()), Applications(), LATER)
    assert fate.calls == ["read_many", "read_many", "application"]
    assert apply_by_id(reconciler, ORDER_ID, LATER) is Outcome.UNCHANGED
    assert fate.calls[3:] == ["read", "application"]


def test_what_was_set_aside_is_asked_for_by_itself_whichever_it_is() -> None:
    case = Case()
    case.gateway.pay(ORDER_ID, A)
    assert apply_by_id(case.reconciler, A, LATER) is Outcome.RECONCILED
    assert case.gateway.calls == [f"payment {A}"]
    case.gateway.give_back(A, REFUND_1, PART)
    case.gateway.calls.clear()
    assert apply_by_id(case.reconciler, REFUND_1, LATER) is Outcome.RECONCILED
    assert case.gateway.calls == [f"refund {REFUND_1}", f"payment {A}"]
    case.gateway.calls.clear()
    assert apply_by_id(case.reconciler, ORDER_ID, LATER) is Outcome.UNCHANGED
    assert case.gateway.calls == [f"order {ORDER_ID}", f"look {ORDER_ID}"]
    case.gateway.pay(None, B)
    assert apply_by_id(case.reconciler, B, LATER) is Outcome.FOREIGN


# --- disputes -------------------------------------------------------------------------------------------------------


def test_a_dispute_that_no_webhook_told_is_found_in_the_list() -> None:
    case = Case(captured(A))
    case.gateway.pay(ORDER_ID, A)
    case.gateway.challenge(A, DISPUTE_1)
    assert case.apply_dispute() is Outcome.RECONCILED
    assert case.record.disputes[DISPUTE_1].state is DisputeState.OPEN
    case.gateway.challenge(A, DISPUTE_1, "lost", amount_deducted=AMOUNT)
    assert case.apply_dispute() is Outcome.RECONCILED
    assert case.record.status is Status.REFUNDED
    assert case.bus.types().count("payment.dispute_changed") == 2
    assert "payment.refunded" not in case.bus.types()


def test_what_is_known_of_a_dispute_costs_no_call_and_what_may_be_new_costs_two() -> None:
    case = Case(captured(A))
    case.gateway.pay(ORDER_ID, A)
    case.gateway.challenge(A, DISPUTE_1)
    case.apply_dispute()
    assert case.gateway.calls == [f"payment {A}", f"dispute {DISPUTE_1}"]
    case.gateway.calls.clear()
    assert case.apply_dispute() is Outcome.UNCHANGED
    assert case.gateway.calls == []


def test_a_list_that_lags_lowers_nothing() -> None:
    case = Case(captured(A))
    case.gateway.pay(ORDER_ID, A)
    case.gateway.challenge(A, DISPUTE_1, "under_review")
    case.apply_dispute()
    # It is open in the list still, and Razorpay's own answer about it is not.
    assert case.apply_dispute(status="open") is Outcome.UNCHANGED
    assert case.record.disputes[DISPUTE_1].state is DisputeState.UNDER_REVIEW


def test_a_dispute_that_was_sent_back_without_a_webhook_wants_more_evidence() -> None:
    case = Case(captured(A), disputed(A, DisputeState.UNDER_REVIEW, at=OPENED))
    case.gateway.pay(ORDER_ID, A)
    case.gateway.challenge(A, DISPUTE_1, "open")
    assert case.apply_dispute() is Outcome.RECONCILED
    assert case.record.disputes[DISPUTE_1].state is DisputeState.ACTION_REQUIRED


def test_a_capture_that_no_webhook_told_is_learned_with_its_dispute() -> None:
    case = Case()
    case.gateway.pay(ORDER_ID, A)
    case.gateway.challenge(A, DISPUTE_1, "lost", amount_deducted=AMOUNT)
    case.apply_dispute()
    assert (case.record.status, case.record.stood) == (Status.REFUNDED, A)


def test_a_dispute_about_somebody_elses_payment_is_remembered_and_asked_about_once() -> None:
    case = Case()
    case.gateway.pay(None, B)
    case.gateway.challenge(B, DISPUTE_2, "lost", amount_deducted=PART)
    assert case.apply_dispute(DISPUTE_2) is Outcome.FOREIGN
    assert case.table.disputes_expire[DISPUTE_2] == LATER + 60 * DAY
    assert case.table.known_disputes[DISPUTE_2] == KnownDispute(
        dispute_id=DISPUTE_2,
        payment_id=B,
        order_id=None,
        state=DisputeState.LOST,
        phase="chargeback",
        deducted_minor=PART,
    )
    case.gateway.calls.clear()
    case.gateway.challenge(B, DISPUTE_2, "lost", amount_deducted=AMOUNT)
    assert case.apply_dispute(DISPUTE_2) is Outcome.UNCHANGED
    assert case.gateway.calls == []


def test_a_status_that_is_not_documented_changes_nothing() -> None:
    case = Case(captured(A))
    case.gateway.pay(ORDER_ID, A)
    case.gateway.challenge(A, DISPUTE_1, "escalated")
    assert case.apply_dispute() is Outcome.UNCHANGED
    assert case.gateway.calls == []


def test_a_page_of_disputes_is_compared_entry_by_entry_and_one_set_aside_is_fetched_by_its_id() -> None:
    case = Case(captured(A))
    case.gateway.pay(ORDER_ID, A)
    case.gateway.challenge(A, DISPUTE_1)
    done: dict[str, object] = {}

    def applied(identity: str, act: Callable[[], Outcome]) -> None:
        try:
            done[identity] = act()
        except GatewayUnavailable as error:
            done[identity] = type(error)

    odd: list[Entry] = [{"id": DISPUTE_2, "amount": "x"}, {}]
    apply_disputes(case.reconciler, [case.gateway.challenged[DISPUTE_1], *odd], applied, LATER)
    assert done == {DISPUTE_1: Outcome.RECONCILED, DISPUTE_2: GatewayUnavailable, "": GatewayUnavailable}
    case.gateway.calls.clear()
    apply_disputes(case.reconciler, [case.gateway.challenged[DISPUTE_1]], applied, LATER)
    assert (done[DISPUTE_1], case.gateway.calls) == (Outcome.UNCHANGED, [])
    assert apply_by_id(case.reconciler, DISPUTE_1, LATER) is Outcome.UNCHANGED


def test_what_was_told_of_a_dispute_is_kept_under_its_own_id() -> None:
    case = Case()
    facts = (captured(A), disputed(A, DisputeState.LOST, deducted_minor=PART))
    record_and_publish(case.table, case.bus, ORDER_ID, facts, LATER)
    assert case.table.known_disputes[DISPUTE_1] == KnownDispute(
        dispute_id=DISPUTE_1,
        payment_id=A,
        order_id=ORDER_ID,
        state=DisputeState.LOST,
        phase="chargeback",
        deducted_minor=PART,
    )


def test_a_listed_dispute_that_is_in_a_later_phase_is_asked_about() -> None:
    case = Case(captured(A))
    case.gateway.pay(ORDER_ID, A)
    case.gateway.challenge(A, DISPUTE_1, "won")
    case.apply_dispute()
    case.gateway.challenge(A, DISPUTE_1, "open", phase="pre_arbitration")
    assert case.apply_dispute() is Outcome.RECONCILED
    assert case.record.disputes[DISPUTE_1].phase == "pre_arbitration"


def test_a_capture_that_is_learned_with_its_dispute_is_judged_by_the_settings() -> None:
    case = Case(policy=Policy(accept_offers_from_percent=90))
    case.gateway.pay(ORDER_ID, A, amount=AMOUNT - 1)
    case.gateway.challenge(A, DISPUTE_1)
    case.apply_dispute()
    assert case.record.status is Status.PAID


@pytest.mark.parametrize(("listed", "read"), [(4_765_046_400, 4_765_046_400), (4_765_046_401, None)])
def test_a_time_is_within_razorpays_own_range_or_is_none(listed: int, read: int | None) -> None:
    """A time is at most 4765046400 there ("Fetch all payments": to)."""
    case = Case()
    case.gateway.pay(ORDER_ID, A)
    case.gateway.challenge(A, DISPUTE_1, respond_by=listed)
    assert read_dispute(case.gateway.challenged[DISPUTE_1]).respond_by == read
