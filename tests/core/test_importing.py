"""Importing the rows of the Django service, and settling them by the rebuild, on the fakes."""

from collections.abc import Callable
from copy import replace
from datetime import UTC
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from payments.core.errors import ContentionError, StorageConflict
from payments.core.importing import (
    COLUMNS,
    Import,
    InvalidRow,
    OldPayment,
    Result,
    read_row,
    store_first_orders,
    store_row,
)
from payments.core.instants import iso
from payments.core.model import Application, Imported, Record, Status
from payments.core.reconciliation import Outcome, apply_orders, apply_payments, apply_refunds
from payments.core.signature import checkout_signature
from payments.core.transitions import open_record
from tests.core.story import AMOUNT, OPENED, ORDER, ORDER_ID, OTHER_ORDER_ID, PART, REFUND_1, REFUND_2, A, B
from tests.fakes import Crash, FakeBus, FakeGateway, FakeTable, Fate, reconciler_of

DAY = 24 * 60 * 60
SECRET = "a-key-secret-of-the-account"
EXPORTED = OPENED + 10 * DAY
NOW = EXPORTED + 600


def row(**changes: object) -> dict[str, Any]:
    """A row as Django's `dumpdata` writes it."""
    return {
        "id": 17,
        "job_id": 101,
        "application_id": 202,
        "client_id": 303,
        "freelancer_id": 404,
        "amount": "500.00",
        "currency": "INR",
        "razorpay_order_id": ORDER_ID,
        "razorpay_payment_id": A,
        "razorpay_signature": checkout_signature(ORDER_ID, A, SECRET),
        "status": "paid",
        "created_at": iso(OPENED),
    } | changes


def old(**changes: object) -> OldPayment:
    return read_row(row(**changes), NOW)


def _at_once(_id: str, act: Callable[[], Outcome]) -> None:
    act()


class Migration:
    """A table that rows are imported into, and Razorpay's books."""

    def __init__(self) -> None:
        self.table, self.bus, self.gateway = FakeTable(), FakeBus(), FakeGateway()
        self.gateway.now = OPENED
        # The old service's orders have no notes of ours.
        self.gateway.put_order(ORDER_ID, ORDER, notes=[])
        self.reconciler = reconciler_of(self.table, self.bus, self.gateway)

    def run(self, *, now: int = NOW, table: Any = None, **changes: Any) -> Import:
        payment = read_row(row(**changes), now)
        stored = self.table.read(payment.order_id)
        return store_row(table or self.table, stored, payment, EXPORTED, now, proven=payment.is_proven([SECRET]))

    def rebuild(self, now: int = NOW + 60) -> None:
        for listed, apply in (("orders", apply_orders), ("payments", apply_payments), ("refunds", apply_refunds)):
            page = self.gateway.page(listed, 0, now, 0)  # type: ignore[arg-type]  # one of its lists
            apply(self.reconciler, page, _at_once, now)

    @property
    def record(self) -> Record:
        record = self.table.read(ORDER_ID)
        assert record is not None
        return record


# --- the row's status -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"status": "created", "razorpay_payment_id": None, "razorpay_signature": None}, "created"),
        ({"status": "created"}, "created"),
        ({"status": "failed"}, "failed"),
        ({"status": "failed", "razorpay_payment_id": None}, "created"),
        ({"status": "paid"}, "paid"),
        ({"status": "paid", "razorpay_signature": None}, "authorized"),
        ({"status": "paid", "razorpay_signature": "0" * 64}, "authorized"),
        ({"status": "refunded"}, "paid"),
        ({"status": "refunded", "razorpay_signature": None}, "authorized"),
    ],
)
def test_a_rows_status_is_what_it_proves_and_nothing_is_published(changes: dict[str, Any], status: str) -> None:
    case = Migration()
    assert case.run(**changes).result is Result.NEW
    record = case.record
    assert (record.status, record.confirmed, record.unsettled) == (status, False, False)
    assert record.order == replace(ORDER, receipt="")
    assert record.created_at == iso(OPENED)
    # The rebuild settles them, so none is due: a hundred thousand would all ask Razorpay at once.
    assert (record.pending, record.lane, record.attention_at) == ({}, None, None)
    assert case.bus.sent == []


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"status": "paid"}, "paid"),
        ({"status": "paid", "razorpay_signature": None}, "authorized"),
        ({"status": "refunded"}, "refunded"),
        ({"status": "refunded", "razorpay_signature": None}, "refunded"),
    ],
)
@pytest.mark.parametrize(("age", "marked"), [(180 * DAY - 1, False), (180 * DAY, True), (900 * DAY, True)])
def test_what_razorpay_no_longer_shows_is_marked_unsettled(
    changes: dict[str, Any], status: str, age: int, *, marked: bool
) -> None:
    case = Migration()
    case.run(now=OPENED + age, **changes)
    assert case.record.unsettled is marked
    if marked:
        assert (case.record.status, case.record.confirmed, case.record.attention_at) == (status, False, None)


def test_a_capture_that_is_reported_after_all_ends_the_mark() -> None:
    case = Migration()
    case.run(now=OPENED + 200 * DAY)
    case.gateway.pay(ORDER_ID, A)
    case.rebuild(OPENED + 200 * DAY)
    assert (case.record.status, case.record.confirmed, case.record.unsettled) == ("paid", True, False)
    assert case.bus.sent == []


# --- settled by the rebuild -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("was", ["paid", "refunded"])
@pytest.mark.parametrize("signature", [checkout_signature(ORDER_ID, A, SECRET), None])
def test_a_paid_or_refunded_row_is_settled_without_an_event(was: str, signature: str | None) -> None:
    case = Migration()
    case.run(status=was, razorpay_signature=signature)
    case.gateway.pay(ORDER_ID, A)
    case.gateway.now += DAY
    if was == "refunded":
        case.gateway.give_back(A, REFUND_1, PART)
        case.gateway.give_back(A, REFUND_2, AMOUNT - PART)
    case.rebuild()
    assert (case.record.status, case.record.confirmed, case.record.stood) == (was, True, A)
    assert len(case.record.refunds) == (2 if was == "refunded" else 0)
    assert case.record.pending == {}
    assert case.bus.sent == []


def test_what_was_captured_twice_before_the_export_is_a_review_without_an_event() -> None:
    case = Migration()
    case.run()
    case.gateway.pay(ORDER_ID, A)
    case.gateway.pay(ORDER_ID, B)
    case.rebuild()
    assert [review.reason for review in case.record.reviews] == ["duplicate_capture"]
    assert case.bus.sent == []


def test_a_row_that_was_not_paid_and_was_captured_meanwhile_is_news() -> None:
    case = Migration()
    case.run(status="created", razorpay_payment_id=None, razorpay_signature=None)
    case.gateway.pay(ORDER_ID, A)
    case.rebuild()
    assert case.bus.types() == ["payment.paid"]


@pytest.mark.parametrize("settled_first", [True, False])
def test_a_refund_that_was_made_after_the_export_is_news(*, settled_first: bool) -> None:
    case = Migration()
    case.run()
    case.gateway.pay(ORDER_ID, A)
    if settled_first:
        case.rebuild()
    case.gateway.now = EXPORTED + 1
    case.gateway.give_back(A, REFUND_1, AMOUNT)
    case.rebuild(EXPORTED + 900)
    assert case.record.status == "refunded"
    assert case.bus.types() == ["payment.refunded"]


def test_a_refund_that_was_made_in_the_second_of_the_export_was_known_there() -> None:
    case = Migration()
    case.run()
    case.gateway.pay(ORDER_ID, A)
    case.gateway.now = EXPORTED
    case.gateway.give_back(A, REFUND_1, PART)
    case.rebuild(EXPORTED + 900)
    assert (list(case.record.refunds), case.bus.sent) == ([REFUND_1], [])


def test_a_refund_that_was_pending_at_the_export_is_news_when_it_is_processed() -> None:
    case = Migration()
    case.run()
    case.gateway.pay(ORDER_ID, A)
    case.gateway.give_back(A, REFUND_1, AMOUNT, "pending")
    case.rebuild()
    assert case.bus.sent == []
    case.gateway.give_back(A, REFUND_1, AMOUNT)
    case.rebuild(NOW + 900)
    assert case.bus.types() == ["payment.refunded"]


def test_a_second_capture_after_the_export_opens_a_review_that_is_announced() -> None:
    case = Migration()
    case.run()
    case.gateway.pay(ORDER_ID, A)
    case.rebuild()
    case.gateway.now = EXPORTED + 1
    case.gateway.pay(ORDER_ID, B)
    case.rebuild(EXPORTED + 900)
    assert case.bus.types() == ["payment.review"]


@pytest.mark.parametrize(("was", "events"), [("paid", []), ("created", ["payment.paid"])])
def test_an_order_that_razorpay_reported_before_the_import_becomes_ours(was: str, events: list[str]) -> None:
    case = Migration()
    case.gateway.pay(ORDER_ID, A)
    case.rebuild()
    assert case.record.foreign
    assert case.run(status=was).result is Result.IDENTIFIED
    assert (case.record.foreign, case.record.expires_at) == (False, None)
    case.rebuild()
    assert (case.record.status, case.record.confirmed) == ("paid", True)
    assert case.bus.types() == events


# --- importing again ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("was", ["created", "failed", "paid", "refunded"])
@pytest.mark.parametrize("settled", [True, False])
def test_importing_a_row_again_changes_nothing(was: str, *, settled: bool) -> None:
    case = Migration()
    case.run(status=was)
    if settled:
        case.gateway.pay(ORDER_ID, A)
        case.rebuild()
    before = case.table.copy()
    assert case.run(status=was).result is Result.UNCHANGED
    assert (case.table.records, case.table.applications) == (before.records, before.applications)


@pytest.mark.parametrize(
    ("changes", "column"),
    [
        ({"id": 18}, "id"),
        ({"job_id": 102}, "job_id"),
        ({"application_id": 203}, "application_id"),
        ({"client_id": 304}, "client_id"),
        ({"freelancer_id": 405}, "freelancer_id"),
        ({"amount": "500.01"}, "amount"),
        ({"currency": "USD"}, "currency"),
        ({"razorpay_payment_id": B}, "razorpay_payment_id"),
        ({"status": "created"}, "status"),
        ({"created_at": iso(OPENED + 1)}, "created_at"),
    ],
)
def test_a_row_that_contradicts_a_record_is_reported_and_the_record_stays(changes: dict[str, Any], column: str) -> None:
    case = Migration()
    case.run()
    before = case.table.copy()
    done = case.run(**changes)
    assert (done.result, done.differs) == (Result.CONTRADICTS, (column,))
    assert (case.table.records, case.table.applications) == (before.records, before.applications)


def test_a_row_never_replaces_an_order_that_this_service_created() -> None:
    case = Migration()
    case.table.insert(open_record(ORDER_ID, ORDER, OPENED))
    assert case.run().differs == ("razorpay_order_id",)
    assert case.record.imported is None


def test_a_status_that_only_a_later_version_imports_is_not_overwritten() -> None:
    case = Migration()
    case.run()
    case.table.records[ORDER_ID] = replace(case.record, imported=Imported(status="settled", at=EXPORTED))
    assert case.run(status="refunded").differs == ("status",)


def test_first_orders_are_imported_like_any_other() -> None:
    one_by_one, together = Migration(), Migration()
    one_by_one.run()
    one_by_one.run(id=18, razorpay_order_id=OTHER_ORDER_ID, application_id=203, razorpay_signature=None)
    first, second = old(), old(id=18, razorpay_order_id=OTHER_ORDER_ID, application_id=203, razorpay_signature=None)
    done = store_first_orders(together.table, [(first, True), (second, False)], EXPORTED, NOW)
    assert [one.result for one in done] == [Result.NEW, Result.NEW]
    assert (together.table.records, together.table.applications) == (
        one_by_one.table.records,
        one_by_one.table.applications,
    )


class Overtaken(FakeTable):
    """Another run stores the same order just before, this many times."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.left = times

    def insert(self, record: Record) -> None:
        if self.left:
            self.left -= 1
            self.records[record.order_id] = record
            raise StorageConflict
        super().insert(record)


def test_of_two_runs_that_import_a_row_the_second_finds_that_of_the_first() -> None:
    case = Migration()
    assert case.run(table=Overtaken(1)).result is Result.UNCHANGED


def test_a_row_whose_record_changes_all_the_time_is_not_imported() -> None:
    class Busy(Overtaken):
        def read(self, order_id: str) -> Record | None:  # noqa: ARG002 - deleted again
            return None

    with pytest.raises(ContentionError, match=r"^The record changed 5 times while it was imported\.$"):
        Migration().run(table=Busy(9))


def test_a_later_export_adds_what_was_paid_since() -> None:
    case = Migration()
    case.run(status="created", razorpay_payment_id=None, razorpay_signature=None)
    assert case.run().result is Result.ADVANCED
    assert case.record.status is Status.PAID
    case.gateway.pay(ORDER_ID, A)
    case.rebuild()
    assert case.bus.sent == []


def test_an_earlier_key_secret_that_turns_up_later_proves_a_row() -> None:
    case = Migration()
    signature = checkout_signature(ORDER_ID, A, "an-earlier-secret")
    case.run(razorpay_signature=signature)
    assert case.record.status is Status.AUTHORIZED
    payment = old(razorpay_signature=signature)
    proven = payment.is_proven([SECRET, "an-earlier-secret"])
    done = store_row(case.table, case.record, payment, EXPORTED, NOW, proven=proven)
    assert (done.record, done.record.status) == (case.record, Status.PAID)


@pytest.mark.parametrize("after", [True, False])
def test_a_crash_at_any_call_loses_and_doubles_nothing(*, after: bool) -> None:
    whole = Migration()
    whole.run()
    whole.run(id=18, razorpay_order_id=OTHER_ORDER_ID, status="created")
    crashes = 0
    for number in range(1, 30):
        case = Migration()
        fate = Fate({number: Crash()}, after=after)
        try:
            case.run(table=fate.wrap(case.table))
            case.run(id=18, razorpay_order_id=OTHER_ORDER_ID, status="created", table=fate.wrap(case.table))
        except Crash:
            crashes += 1
            case.run()
            case.run(id=18, razorpay_order_id=OTHER_ORDER_ID, status="created")
        assert case.table.records == whole.table.records
        assert case.table.applications == whole.table.applications
    assert crashes >= 5


# --- applications ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statuses", "current"), [(("created", "created"), OTHER_ORDER_ID), (("paid", "created"), ORDER_ID)]
)
def test_an_application_keeps_all_its_orders_and_the_paid_or_newest_is_current(
    statuses: tuple[str, str], current: str
) -> None:
    case = Migration()
    case.run(status=statuses[0])
    case.run(id=18, razorpay_order_id=OTHER_ORDER_ID, status=statuses[1])
    assert case.table.application(303, 202) == Application(
        client_id=303, application_id=202, current=current, orders=(ORDER_ID, OTHER_ORDER_ID)
    )


# --- checking rows --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "column", "message"),
    [
        ({"id": 0}, "id", "must be a whole number from 1 to 9007199254740991"),
        ({"id": True}, "id", "must be a whole number from 1 to 9007199254740991"),
        ({"job_id": "1.0"}, "job_id", "must be a whole number from 1 to 9007199254740991"),
        ({"client_id": None}, "client_id", "is empty"),
        ({"client_id": ""}, "client_id", "is empty"),
        ({"amount": "500.005"}, "amount", "must have at most 2 decimals in INR"),
        ({"amount": "-1"}, "amount", "must be a decimal string such as 499.50, with at most 16 digits"),
        ({"amount": 0}, "amount", "must be from 1.00 to"),
        ({"currency": "inr"}, "currency", "must be a currency code that Razorpay supports, such as INR"),
        ({"razorpay_order_id": "order_1"}, "razorpay_order_id", "must be a Razorpay order id"),
        ({"razorpay_payment_id": "pay_1"}, "razorpay_payment_id", "must be a Razorpay payment id"),
        ({"razorpay_payment_id": None}, "razorpay_payment_id", "is empty"),
        ({"razorpay_signature": "abc"}, "razorpay_signature", "must be 64 lower-case hexadecimal digits, or empty"),
        ({"status": "PAID"}, "status", "must be created, failed, paid or refunded"),
        ({"created_at": "yesterday"}, "created_at", "must be an ISO 8601 time such as 2026-03-01T09:30:00Z"),
        ({"created_at": "2026-03-01 09:30:00"}, "created_at", "has no UTC offset: name the database's time zone"),
        ({"created_at": iso(NOW + 2 * DAY)}, "created_at", "lies in the future, or before 2000"),
        ({"created_at": iso(NOW + 3601)}, "created_at", "lies in the future, or before 2000"),
        ({"created_at": "1999-12-31T23:59:59Z"}, "created_at", "lies in the future, or before 2000"),
        ({"id": "9007199254740992"}, "id", "must be a whole number from 1 to 9007199254740991"),
    ],
)
def test_an_invalid_value_is_named_by_its_column_and_never_shown(
    changes: dict[str, Any], column: str, message: str
) -> None:
    with pytest.raises(InvalidRow) as caught:
        old(**changes)
    (mistake,) = caught.value.mistakes
    assert mistake.field == column
    assert mistake.message.startswith(message)
    assert str(caught.value) == f"{column} {mistake.message}"


@pytest.mark.parametrize("number", [1, "1", "9007199254740991"])
def test_the_smallest_and_the_largest_id_are_read_as_numbers_and_as_text(number: object) -> None:
    assert old(id=number).order.payment_id == int(str(number))


@pytest.mark.parametrize(("written", "seconds"), [("2000-01-01T00:00:00Z", 946_684_800), (iso(NOW + 3600), NOW + 3600)])
def test_a_time_may_be_from_2000_to_an_hour_ahead_of_our_clock(written: str, seconds: int) -> None:
    assert old(created_at=written).created_at == seconds


def test_every_mistake_of_a_row_is_named() -> None:
    with pytest.raises(InvalidRow) as caught:
        read_row({}, NOW)
    named = {mistake.field for mistake in caught.value.mistakes}
    assert named == set(COLUMNS) - {"razorpay_payment_id", "razorpay_signature"}
    said = [f"{name} is missing: export every column of the model" for name in COLUMNS if name in named]
    assert sorted(str(caught.value).split("; ")) == sorted(said)


@pytest.mark.parametrize(
    ("amount", "currency", "minor"),
    [
        ("500.00", "INR", 50_000),
        ("499.50", "INR", 49_950),
        (500, "INR", 50_000),
        (Decimal("500.10"), "INR", 50_010),
        (Decimal("1E+6"), "INR", 100_000_000),
        (Decimal("500.00"), "JPY", 500),
        ("500.00", "JPY", 500),
        ("1.00", "KWD", 1_000),
    ],
)
def test_amounts_are_read_as_the_database_writes_them(amount: object, currency: str, minor: int) -> None:
    assert old(amount=amount, currency=currency).order.amount_minor == minor


@pytest.mark.parametrize(
    "written",
    ["2026-03-01T09:30:00Z", "2026-03-01T09:30:00.123Z", "2026-03-01 09:30:00+00", "2026-03-01T15:00:00.5+05:30"],
)
def test_times_are_read_as_databases_write_them(written: str) -> None:
    assert old(created_at=written).created_at == OPENED


@pytest.mark.parametrize(("zone", "seconds"), [(UTC, OPENED), (ZoneInfo("Asia/Kolkata"), OPENED - 19_800)])
def test_a_time_without_an_offset_is_in_the_databases_zone(zone: Any, seconds: int) -> None:
    assert read_row(row(created_at="2026-03-01 09:30:00"), NOW, zone).created_at == seconds


def test_an_unpaid_row_may_have_kept_a_forged_signature() -> None:
    assert old(status="failed", razorpay_signature="forged").signature is None
    assert old(status="paid", razorpay_signature=None).signature is None
