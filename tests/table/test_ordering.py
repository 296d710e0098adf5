"""Placing orders on every table: one payable order per client, application and amount, even under concurrency."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from copy import replace
from threading import Barrier

import pytest

from payments.adapters.table import PaymentsTable
from payments.core.errors import (
    AlreadyPaid,
    ContentionError,
    GatewayRefused,
    GatewayUnavailable,
    PaymentInProgress,
    PaymentUnderReview,
    StorageConflict,
    TableUnavailable,
    TemporaryError,
)
from payments.core.model import Application, Authorized, Fact, Failed, Order, Record, Signed, Status
from payments.core.ordering import OrderServices, Placed, place_order
from payments.core.outbox import record_facts
from payments.core.position import NO_OFFERS
from tests.core.story import AMOUNT, OPENED, ORDER, OTHER_ORDER_ID, REFUND_1, A, captured, refunded
from tests.fakes import Crash, FakeGateway, FakeIds, FakeTable, Fate

OFFER = replace(ORDER, payment_id=0, receipt="")
DEARER = replace(OFFER, amount_minor=AMOUNT + 100)


class Shop:
    """A table, a gateway and payment ids."""

    def __init__(self, table: PaymentsTable | FakeTable) -> None:
        self.table = table
        self.gateway = FakeGateway()
        self.gateway.now = OPENED
        self.ids = FakeIds()

    def place(self, offer: Order = OFFER, fate: Fate | None = None) -> Placed:
        fate = fate or Fate()
        services = OrderServices(
            table=fate.wrap(self.table),
            gateway=self.gateway,
            ids=self.ids,
            policy=NO_OFFERS,
            order_expiry_s=30 * 24 * 3600,
        )
        return place_order(services, offer, OPENED)

    def learn(self, placed: Placed, *facts: Fact) -> None:
        record_facts(self.table, placed.record.order_id, facts, OPENED + 60)

    def application(self) -> Application:
        found = self.table.application(OFFER.client_id, OFFER.application_id)
        assert found is not None
        return found

    def stored(self, order_id: str) -> Record:
        record = self.table.read(order_id)
        assert record is not None
        return record

    def payable(self) -> list[str]:
        """The application's orders that could be paid and count as agreed."""
        records = self.table.read_many(self.application().orders)
        return [key for key, record in records.items() if record.superseded_by is None]


@pytest.fixture
def shop(table: PaymentsTable) -> Shop:
    return Shop(table)


@pytest.fixture
def fake() -> Shop:
    return Shop(FakeTable())


def test_a_first_request_makes_an_order_and_the_same_again_gets_it(shop: Shop) -> None:
    first, second = shop.place(), shop.place()
    assert (first.created, second.created) == (True, False)
    assert first.record == second.record == shop.stored(first.record.order_id)
    assert shop.application().orders == (first.record.order_id,)
    assert shop.gateway.calls == [f"create_order {first.record.agreed().receipt}"]


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
    assert shop.stored(first.record.order_id).superseded_by == second.record.order_id
    assert shop.application().current == second.record.order_id
    assert shop.application().orders == (first.record.order_id, second.record.order_id)
    third = shop.place()
    assert third.record.order_id not in {first.record.order_id, second.record.order_id}, "nothing is pointed back"
    assert shop.payable() == [third.record.order_id]


@pytest.mark.parametrize(
    ("fact", "error"),
    [
        (captured(A), AlreadyPaid),
        (Signed(payment=A, at=OPENED), AlreadyPaid),
        (Authorized(payment=A), PaymentInProgress),
        (captured(A, AMOUNT - 1), PaymentUnderReview),
    ],
    ids=["captured", "signed", "authorised", "a wrong sum"],
)
def test_money_that_is_held_or_on_its_way_stands_in_the_way(shop: Shop, fact: Fact, error: type[Exception]) -> None:
    first = shop.place()
    shop.learn(first, fact)
    with pytest.raises(error):
        shop.place(DEARER)
    assert shop.payable() == [first.record.order_id]
    assert len(shop.gateway.orders) == 1


def test_money_on_a_superseded_order_stands_in_everybodys_way(shop: Shop) -> None:
    first = shop.place()
    shop.place(DEARER)
    shop.learn(first, captured(A))
    for offer in (OFFER, DEARER):
        with pytest.raises(PaymentUnderReview) as refused:
            shop.place(offer)
        assert refused.value.order_id == first.record.order_id


def test_a_refunded_application_may_be_paid_again(shop: Shop) -> None:
    first = shop.place()
    shop.learn(first, captured(A), refunded(A, REFUND_1))
    second = shop.place()
    assert second.created
    assert shop.stored(first.record.order_id).status is Status.REFUNDED


def test_an_application_whose_order_has_no_record_gets_another(shop: Shop) -> None:
    shop.table.open_application(OFFER.client_id, OFFER.application_id, OTHER_ORDER_ID)
    placed = shop.place()
    assert placed.created
    assert shop.application().orders == (OTHER_ORDER_ID, placed.record.order_id)


@pytest.mark.parametrize("error", [GatewayUnavailable(), GatewayRefused(400, "BAD_REQUEST_ERROR")])
def test_without_an_order_at_razorpay_nothing_is_stored(shop: Shop, error: BaseException) -> None:
    shop.gateway.fails = lambda *_: error
    with pytest.raises(type(error)):
        shop.place()
    assert shop.table.application(OFFER.client_id, OFFER.application_id) is None
    shop.gateway.fails = lambda *_: None
    assert shop.place().created


# --- wherever it stops ---


def steps(offer: Order, *, first: bool) -> int:
    """The number of table calls for placing an order."""
    shop, fate = Shop(FakeTable()), Fate()
    if not first:
        shop.place()
    shop.place(offer, fate)
    return len(fate.calls)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("make", [Crash, TableUnavailable], ids=["the process dies", "the table fails"])
@pytest.mark.parametrize("first", [True, False], ids=["a first order", "another amount"])
@pytest.mark.parametrize("retried", [OFFER, DEARER], ids=["back to the old amount", "the new amount again"])
def test_wherever_it_stopped_the_retry_leaves_one_payable_order(
    make: Callable[[], BaseException], retried: Order, *, first: bool, after: bool
) -> None:
    for number in range(1, steps(DEARER, first=first) + 1):
        shop = Shop(FakeTable())
        if not first:
            shop.place()
        with pytest.raises((Crash, TableUnavailable)):
            shop.place(DEARER, Fate({number: make()}, after=after))
        placed = shop.place(retried)
        assert placed.record.agreed().amount_minor == retried.amount_minor
        assert shop.payable() == [placed.record.order_id] == [shop.application().current]


def test_a_conflict_that_was_our_own_write_leaves_one_payable_order(fake: Shop) -> None:
    fake.place()
    for number in range(1, steps(DEARER, first=False) + 1):
        shop = Shop(FakeTable())
        shop.place()
        placed = shop.place(DEARER, Fate({number: StorageConflict()}, after=True))
        assert shop.payable() == [placed.record.order_id]


def test_an_application_that_never_stands_still_is_given_up_on(fake: Shop) -> None:
    fate = Fate(dict.fromkeys(range(1, 100), StorageConflict()))
    with pytest.raises(ContentionError):
        fake.place(fate=fate)
    assert len(fate.calls) == 5


# --- at the same time ---


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


@pytest.mark.parametrize("offers", [[OFFER] * 8, [OFFER, DEARER] * 3], ids=["the same", "two amounts"])
def test_requests_at_once_leave_one_payable_order(shop: Shop, offers: list[Order]) -> None:
    placed = at_once(shop, offers)
    assert shop.payable() == [shop.application().current]
    assert shop.application().current in {one.record.order_id for one in placed}
