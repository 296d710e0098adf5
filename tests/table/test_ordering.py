"""Placing orders: one payable order per client, application and amount, however often and at once it is asked for."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import count
from threading import Barrier, Lock

import pytest

from payments.core.errors import (
    AlreadyPaid,
    ContentionError,
    GatewayRefused,
    GatewayUnavailable,
    PaymentInProgress,
    StorageConflict,
    TableUnavailable,
    TemporaryError,
)
from payments.core.handoff import record_facts
from payments.core.model import Authorized, Fact, Failed, Order, Record, Signed, Status
from payments.core.ordering import OrderGateway, OrderStore, Placed, place_order
from payments.core.transitions import open_record, unknown_record
from tests.core.story import AMOUNT, OPENED, ORDER, OTHER_ORDER_ID, REFUND_1, A, captured, refunded
from tests.fakes import Crash, FakeGateway, FakeTable, Fate

OFFER = replace(ORDER, payment_id=0, receipt="")
DEARER = replace(OFFER, amount_minor=AMOUNT + 100)


class Numbers:
    """Payment ids from 1."""

    def __init__(self) -> None:
        self._next = count(1)
        self._lock = Lock()

    def __call__(self, offer: Order) -> Order:
        with self._lock:
            number = next(self._next)
        return offer.numbered(number, receipt=f"test-{number}")


class Shop:
    """A table, a gateway and payment ids."""

    def __init__(self, table: OrderStore) -> None:
        self.table = table
        self.gateway = FakeGateway()
        self.number = Numbers()

    def place(self, offer: Order = OFFER, fate: Fate | None = None) -> Placed:
        table: OrderStore = self.table if fate is None else fate.wrap(self.table)
        gateway: OrderGateway = self.gateway if fate is None else fate.wrap(self.gateway)
        return place_order(table, gateway, self.number, offer, OPENED)

    def learn(self, placed: Placed, *facts: Fact) -> None:
        record_facts(self.table, placed.record.order_id, facts, OPENED + 60)

    def current(self) -> Record:
        """The record that the application points at."""
        order_id = self.table.current_order(OFFER.client_id, OFFER.application_id)
        assert order_id is not None
        return self.stored(order_id)

    def stored(self, order_id: str) -> Record:
        record = self.table.read(order_id)
        assert record is not None
        return record


@pytest.fixture
def shop(table: OrderStore) -> Shop:
    return Shop(table)


@pytest.fixture
def fake() -> Shop:
    return Shop(FakeTable())


# --- one order ------------------------------------------------------------------------------------------------------


def test_a_first_request_makes_an_order_and_points_at_it(shop: Shop) -> None:
    placed = shop.place()
    assert placed.created
    assert placed.record.status is Status.CREATED
    assert shop.current() == placed.record
    assert shop.gateway.orders == {placed.record.order_id: placed.record.agreed()}


def test_the_same_request_gets_the_same_order_without_asking_razorpay(shop: Shop) -> None:
    first, second = shop.place(), shop.place()
    assert not second.created
    assert second.record == first.record
    assert len(shop.gateway.orders) == 1


@pytest.mark.parametrize(
    ("facts", "status"), [((Failed(payment=A),), Status.FAILED), ((Authorized(payment=A),), Status.AUTHORIZED)]
)
def test_an_order_is_handed_out_again_with_its_present_status(
    shop: Shop, facts: tuple[Fact, ...], status: Status
) -> None:
    first = shop.place()
    shop.learn(first, *facts)
    again = shop.place()
    assert (again.created, again.record.order_id, again.record.status) == (False, first.record.order_id, status)


@pytest.mark.parametrize(
    "other",
    [
        replace(OFFER, client_id=OFFER.client_id + 1),
        replace(OFFER, application_id=OFFER.application_id + 1),
    ],
    ids=["client", "application"],
)
def test_another_client_or_application_gets_an_order_of_its_own(shop: Shop, other: Order) -> None:
    first, second = shop.place(), shop.place(other)
    assert second.created
    assert shop.stored(first.record.order_id).superseded_by is None


def test_ids_and_receipts_are_never_used_twice(shop: Shop) -> None:
    orders = [shop.place(replace(OFFER, application_id=number)).record.agreed() for number in range(1, 6)]
    assert len({order.payment_id for order in orders}) == 5
    assert len({order.receipt for order in orders}) == 5


# --- another purchase -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "offer",
    [
        DEARER,
        replace(OFFER, currency="USD"),
        replace(OFFER, freelancer_id=OFFER.freelancer_id + 1),
        replace(OFFER, job_id=OFFER.job_id + 1),
    ],
    ids=["amount", "currency", "freelancer", "job"],
)
def test_an_order_for_something_else_supersedes_the_open_one(shop: Shop, offer: Order) -> None:
    first, second = shop.place(), shop.place(offer)
    assert second.created
    assert shop.current() == second.record
    assert shop.stored(first.record.order_id).superseded_by == second.record.order_id


def test_going_back_to_the_first_amount_makes_a_third_order(shop: Shop) -> None:
    first, second, third = shop.place(), shop.place(DEARER), shop.place()
    assert len({placed.record.order_id for placed in (first, second, third)}) == 3
    assert shop.current() == third.record


def test_a_capture_of_the_superseded_order_is_reviewed(shop: Shop) -> None:
    first = shop.place()
    shop.place(DEARER)
    shop.learn(first, captured(A))
    assert [review.reason for review in shop.stored(first.record.order_id).reviews] == ["superseded_order"]


def test_a_paid_application_is_not_paid_again(shop: Shop) -> None:
    first = shop.place()
    shop.learn(first, captured(A))
    for offer in (OFFER, DEARER):
        with pytest.raises(AlreadyPaid, match=r"^This application has already been paid\.$"):
            shop.place(offer)
    assert len(shop.gateway.orders) == 1


def test_a_payment_whose_signature_was_verified_counts_as_paid(shop: Shop) -> None:
    first = shop.place()
    shop.learn(first, Signed(payment=A))
    for offer in (OFFER, DEARER):
        with pytest.raises(AlreadyPaid):
            shop.place(offer)


def test_an_authorised_payment_of_another_amount_stands_in_the_way(shop: Shop) -> None:
    first = shop.place()
    shop.learn(first, Authorized(payment=A))
    with pytest.raises(PaymentInProgress, match=r"^A payment of another amount is in progress for this application\.$"):
        shop.place(DEARER)
    assert shop.stored(first.record.order_id).superseded_by is None
    assert len(shop.gateway.orders) == 1


def test_an_authorised_payment_on_a_superseded_order_stands_in_the_way_too(fake: Shop) -> None:
    first = fake.place()
    with pytest.raises(Crash):
        fake.place(DEARER, Fate({5: Crash()}))  # superseded, and then nothing more
    fake.learn(first, Authorized(payment=A))
    for offer in (OFFER, DEARER):
        with pytest.raises(PaymentInProgress):
            fake.place(offer)


def test_a_refunded_application_may_be_paid_again(shop: Shop) -> None:
    first = shop.place()
    shop.learn(first, captured(A), refunded(A, REFUND_1))
    second = shop.place()
    assert second.created
    assert shop.current() == second.record
    assert shop.stored(first.record.order_id).superseded_by is None


# --- what fails -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [GatewayUnavailable(), GatewayRefused(400, "BAD_REQUEST_ERROR")])
def test_without_an_order_at_razorpay_nothing_is_stored(shop: Shop, error: BaseException) -> None:
    with pytest.raises(type(error)):
        shop.place(fate=Fate({2: error}))
    assert shop.table.current_order(OFFER.client_id, OFFER.application_id) is None
    assert shop.place().created


STEPS = ["current_order", "create_order", "insert", "point"]
STEPS_SUPERSEDING = ["current_order", "read", "create_order", "save", "insert", "point"]


def test_the_steps_are_these(fake: Shop) -> None:
    for offer, steps in ((OFFER, STEPS), (DEARER, STEPS_SUPERSEDING)):
        fate = Fate()
        fake.place(offer, fate)
        assert fate.calls == steps


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("make", [Crash, TableUnavailable], ids=["the process dies", "the table fails"])
@pytest.mark.parametrize("number", range(1, len(STEPS) + 1), ids=STEPS)
def test_a_first_order_is_placed_by_the_retry_wherever_it_stopped(
    fake: Shop, number: int, make: Callable[[], BaseException], after: bool
) -> None:
    with pytest.raises((Crash, TableUnavailable)):
        fake.place(fate=Fate({number: make()}, after=after))
    placed = fake.place()
    assert fake.current() == placed.record
    assert placed.record.superseded_by is None


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("make", [Crash, TableUnavailable], ids=["the process dies", "the table fails"])
@pytest.mark.parametrize("retried", [OFFER, DEARER], ids=["back to the old amount", "the new amount again"])
@pytest.mark.parametrize("number", range(1, len(STEPS_SUPERSEDING) + 1), ids=STEPS_SUPERSEDING)
def test_after_a_broken_change_of_amount_the_retry_leaves_one_payable_order(
    fake: Shop, number: int, retried: Order, make: Callable[[], BaseException], after: bool
) -> None:
    first = fake.place()
    with pytest.raises((Crash, TableUnavailable)):
        fake.place(DEARER, Fate({number: make()}, after=after))
    placed = fake.place(retried)
    current = fake.current()
    assert current == placed.record
    assert current.agreed().amount_minor == retried.amount_minor
    handed_out = {first.record.order_id, placed.record.order_id}
    payable = [order_id for order_id in handed_out if fake.stored(order_id).superseded_by is None]
    assert payable == [current.order_id]


def test_an_order_that_was_superseded_before_a_crash_is_not_written_again(fake: Shop) -> None:
    fake.place()
    with pytest.raises(Crash):
        fake.place(DEARER, Fate({5: Crash()}))
    fate = Fate()
    fake.place(DEARER, fate)
    assert fate.calls == ["current_order", "read", "create_order", "insert", "point"]


@pytest.mark.parametrize("number", [3, 4], ids=["insert", "point"])
def test_a_conflict_that_was_our_own_write_is_recognised(fake: Shop, number: int) -> None:
    placed = fake.place(fate=Fate({number: StorageConflict()}, after=True))
    assert placed.created
    assert fake.current() == placed.record
    assert len(fake.gateway.orders) == 1


def test_a_record_that_somebody_else_made_under_our_new_id_is_not_taken_for_ours(fake: Shop) -> None:
    fake.table.insert(unknown_record("order_00000000000001", OPENED))
    with pytest.raises(ContentionError, match=r"^Another record holds the id of this new order\.$"):
        fake.place()
    assert fake.table.current_order(OFFER.client_id, OFFER.application_id) is None


def test_a_pointer_that_never_stands_still_is_given_up_on(fake: Shop) -> None:
    fate = Fate(dict.fromkeys((4, 6, 8, 10, 12), StorageConflict()))
    with pytest.raises(ContentionError, match=r"^The application's order changed 5 times while one was placed\.$"):
        fake.place(fate=fate)
    assert fate.calls == [*STEPS, *["current_order", "point"] * 4]
    assert len(fake.gateway.orders) == 1


def test_a_pointer_whose_record_is_missing_is_replaced(shop: Shop) -> None:
    shop.table.point(OFFER.client_id, OFFER.application_id, OTHER_ORDER_ID, seen=None)
    placed = shop.place()
    assert placed.created
    assert shop.current() == placed.record


def test_an_order_that_is_authorised_while_it_is_superseded_is_left_alone(fake: Shop) -> None:
    first = fake.place()

    class Pays(FakeGateway):
        def create_order(self, order: Order) -> str:
            fake.learn(first, Authorized(payment=A))
            return OTHER_ORDER_ID if order else ""

    with pytest.raises(PaymentInProgress):
        place_order(fake.table, Pays(), fake.number, DEARER, OPENED)
    assert fake.stored(first.record.order_id).superseded_by is None


# --- at the same time -----------------------------------------------------------------------------------------------


def at_once(shop: Shop, offers: list[Order]) -> list[Placed]:
    """Places the offers from as many threads, each retrying as a client would."""
    together = Barrier(len(offers))

    def work(offer: Order) -> Placed:
        together.wait()
        while True:
            try:
                return shop.place(offer)
            except TemporaryError:
                continue

    with ThreadPoolExecutor(len(offers)) as threads:
        return list(threads.map(work, offers))


def test_ten_requests_at_once_get_one_payable_order(shop: Shop) -> None:
    placed = at_once(shop, [OFFER] * 10)
    assert {one.record.order_id for one in placed} == {shop.current().order_id}
    assert sum(one.created for one in placed) == 1


def test_ten_requests_of_two_amounts_leave_one_payable_order(shop: Shop) -> None:
    placed = at_once(shop, [OFFER, DEARER] * 5)
    payable = {one.record.order_id for one in placed if shop.stored(one.record.order_id).superseded_by is None}
    assert payable == {shop.current().order_id}


def test_a_new_order_is_open_and_due() -> None:
    record = open_record(OTHER_ORDER_ID, ORDER, OPENED)
    assert (record.status, record.confirmed, record.version) == (Status.CREATED, False, 1)
    assert record.attention_at is not None
