"""Placing an order, sentence by sentence of the design (section 6), on the fakes."""

from contextlib import suppress
from copy import replace

import pytest

from payments.core.errors import (
    AlreadyPaid,
    GatewayUnavailable,
    NotAtGateway,
    PaymentInProgress,
    PaymentUnderReview,
    ReceiptReused,
    TooOldForGateway,
)
from payments.core.model import Application, Authorized, Fact, Order
from payments.core.ordering import MAX_ORDERS, OrderServices, Placed, place_order
from payments.core.position import NO_OFFERS
from payments.core.transitions import decide, open_record, supersede
from tests.core.story import AMOUNT, OPENED, ORDER, PART, REFUND_1, A, B, captured, failed, refunded, signed
from tests.fakes import Crash, FakeGateway, FakeIds, FakeTable, Fate

MINUTE = 60
DAY = 24 * 60 * MINUTE
OFFER = replace(ORDER, payment_id=0, receipt="")
OTHER = replace(OFFER, amount_minor=AMOUNT + 100)


class Shop:
    """One application: the table, Razorpay and the ids."""

    def __init__(self) -> None:
        self.table, self.gateway, self.ids = FakeTable(), FakeGateway(), FakeIds()

    def place(self, offer: Order = OFFER, at: int = OPENED, fate: Fate | None = None) -> Placed:
        self.gateway.now = at
        wrap = (fate or Fate()).wrap
        services = OrderServices(table=wrap(self.table), gateway=self.gateway, ids=self.ids, policy=NO_OFFERS)
        return place_order(services, offer, at)

    def learn(self, order_id: str, *facts: Fact, at: int = OPENED + 1) -> None:
        before = self.table.records[order_id]
        self.table.save(before, decide(before, facts, at).record)

    def looks(self) -> list[str]:
        return [call.removeprefix("look ") for call in self.gateway.calls if call.startswith("look")]

    @property
    def application(self) -> Application:
        return self.table.applications[ORDER.client_id, ORDER.application_id]


@pytest.fixture
def shop() -> Shop:
    return Shop()


def test_the_first_order_is_made_stored_and_pointed_at(shop: Shop) -> None:
    placed = shop.place()
    assert placed.created
    assert shop.table.records[placed.record.order_id].order == replace(OFFER, payment_id=1, receipt="test-1f2e3d4c-1")
    assert (shop.application.current, shop.application.orders) == (placed.record.order_id, (placed.record.order_id,))


@pytest.mark.parametrize("facts", [(), (failed(A),), (Authorized(payment=A),)], ids=["created", "failed", "authorized"])
def test_an_open_order_for_the_same_purchase_is_handed_out_again(shop: Shop, facts: tuple[Fact, ...]) -> None:
    first = shop.place()
    shop.learn(first.record.order_id, *facts)
    again = shop.place(at=OPENED + MINUTE)
    assert (again.created, again.record.order_id) == (False, first.record.order_id)
    assert not shop.looks()


def test_razorpay_is_asked_after_a_quarter_of_an_hour_for_three_seconds_at_most(shop: Shop) -> None:
    first = shop.place().record.order_id
    shop.place(at=OPENED + 15 * MINUTE)
    assert not shop.looks()
    shop.place(at=OPENED + 15 * MINUTE + 1)
    assert shop.looks() == [first]
    assert shop.gateway.bounds[-1] == 3
    assert shop.table.records[first].looked_at == OPENED + 15 * MINUTE + 1
    shop.place(at=OPENED + 20 * MINUTE)
    assert shop.looks() == [first]


def test_what_razorpay_says_before_a_hand_out_decides(shop: Shop) -> None:
    first = shop.place().record.order_id
    shop.gateway.pay(first, A)
    with pytest.raises(AlreadyPaid) as refusal:
        shop.place(at=OPENED + 16 * MINUTE)
    assert refusal.value.order_id == first


def test_an_open_order_is_handed_out_all_the_same_if_razorpay_does_not_answer(shop: Shop) -> None:
    first = shop.place().record.order_id
    shop.gateway.fails = lambda call, _: GatewayUnavailable("down") if call == "look" else None
    assert shop.place(at=OPENED + 16 * MINUTE).record.order_id == first


def test_an_order_of_thirty_days_is_replaced(shop: Shop) -> None:
    first = shop.place().record.order_id
    assert not shop.place(at=OPENED + 30 * DAY - 1).created
    placed = shop.place(at=OPENED + 30 * DAY)
    assert placed.created
    assert shop.table.records[first].superseded_by == placed.record.order_id


@pytest.mark.parametrize("gone", [NotAtGateway, TooOldForGateway])
def test_an_order_that_razorpay_does_not_know_is_replaced(shop: Shop, gone: type[NotAtGateway]) -> None:
    first = shop.place().record.order_id
    refusal = gone(400, "BAD_REQUEST_ERROR")
    shop.gateway.fails = lambda call, about: refusal if (call, about) == ("look", first) else None
    assert shop.place(at=OPENED + 16 * MINUTE).created


def test_a_consumed_order_is_never_handed_out_again(shop: Shop) -> None:
    first = shop.place().record.order_id
    shop.learn(first, captured(A), refunded(A, REFUND_1))
    placed = shop.place(at=OPENED + MINUTE)
    assert (placed.created, placed.record.order_id != first) == (True, True)


def test_another_purchase_replaces_the_order_after_a_look(shop: Shop) -> None:
    first = shop.place().record.order_id
    placed = shop.place(OTHER, OPENED + MINUTE)
    assert shop.looks() == [first]
    assert shop.table.records[first].superseded_by == placed.record.order_id
    assert shop.application.orders == (first, placed.record.order_id)


def test_every_order_of_the_last_day_is_asked_about_before_another_is_made(shop: Shop) -> None:
    first = shop.place().record.order_id
    second = shop.place(OTHER, OPENED + MINUTE).record.order_id
    shop.gateway.calls.clear()
    third = shop.place(OFFER, OPENED + 2 * MINUTE).record
    assert shop.looks() == [first, second]
    assert third.order_id not in {first, second}
    assert {shop.table.records[key].superseded_by is not None for key in (first, second)} == {True}


def test_without_an_answer_no_order_is_replaced(shop: Shop) -> None:
    first = shop.place().record.order_id
    shop.gateway.fails = lambda call, _: GatewayUnavailable("down") if call == "look" else None
    with pytest.raises(GatewayUnavailable):
        shop.place(OTHER, OPENED + MINUTE)
    assert shop.application.orders == (first,)


@pytest.mark.parametrize(("age", "refused"), [(14 * MINUTE, True), (15 * MINUTE, False)])
def test_a_payment_on_its_way_keeps_an_order_from_being_replaced(shop: Shop, age: int, refused: bool) -> None:
    first = shop.place().record.order_id
    shop.gateway.pay(first, A, "created")
    if refused:
        with pytest.raises(PaymentInProgress):
            shop.place(OTHER, OPENED + age)
    else:
        assert shop.place(OTHER, OPENED + age).created


def test_a_paid_order_whose_payment_is_not_listed_yet_is_in_progress(shop: Shop) -> None:
    first = shop.place().record.order_id
    shop.gateway.listed[first]["status"] = "paid"
    with pytest.raises(PaymentInProgress):
        shop.place(OTHER, OPENED + MINUTE)


def test_what_razorpay_says_is_recorded_also_if_it_is_a_refusal(shop: Shop) -> None:
    first = shop.place().record.order_id
    shop.gateway.pay(first, A, "authorized")
    shop.gateway.pay(first, B, "created")
    with pytest.raises(PaymentInProgress):
        shop.place(OTHER, OPENED + MINUTE)
    assert shop.table.records[first].attempts[A].authorized


@pytest.mark.parametrize(
    ("facts", "replaced", "refusal"),
    [
        ((captured(A, PART),), False, PaymentUnderReview),
        ((captured(A),), True, PaymentUnderReview),
        ((captured(A),), False, AlreadyPaid),
        ((signed(A),), False, AlreadyPaid),
        ((signed(A),), True, PaymentInProgress),
        ((Authorized(payment=A),), True, PaymentInProgress),
        ((captured(A), captured(B, PART)), False, PaymentUnderReview),
        ((captured(A), refunded(A, REFUND_1), Authorized(payment=B)), False, PaymentInProgress),
    ],
)
def test_an_application_with_money_or_a_live_payment_gets_no_other_order(
    shop: Shop, facts: tuple[Fact, ...], replaced: bool, refusal: type[AlreadyPaid]
) -> None:
    first = shop.place().record.order_id
    if replaced:
        shop.place(OTHER, OPENED + MINUTE)
    shop.learn(first, *facts)
    with pytest.raises(refusal) as refused:
        shop.place(OTHER, OPENED + 2 * MINUTE)
    assert refused.value.order_id == first


def test_a_receipt_that_was_used_before_leaves_ids_out_and_is_tried_again(shop: Shop) -> None:
    reused = iter([ReceiptReused(400, "BAD_REQUEST_ERROR"), None])
    shop.gateway.fails = lambda call, _: next(reused) if call == "create_order" else None
    assert shop.place().created
    assert shop.ids.skipped
    assert shop.ids.skipped[0] >= 1_000


def test_at_a_hundred_orders_a_person_must_look(shop: Shop) -> None:
    shop.place()
    current = shop.application.current
    old = [f"order_{number:014d}" for number in range(1_000, 1_000 + MAX_ORDERS - 1)]
    for order_id in old:
        shop.table.insert(supersede(open_record(order_id, ORDER, OPENED - 9 * DAY), current, OPENED - 9 * DAY))
    shop.table.applications[ORDER.client_id, ORDER.application_id] = replace(shop.application, orders=(*old, current))
    for _ in range(2):
        with pytest.raises(PaymentUnderReview):
            shop.place(OTHER, OPENED + MINUTE)
    assert [review.reason for review in shop.table.records[current].reviews] == ["too_many_orders"]
    shop.table.records[old[0]] = replace(shop.table.records[old[0]], released=True)
    assert shop.place(OTHER, OPENED + MINUTE).created


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("step", range(1, 8))
def test_after_a_crash_at_any_step_the_next_request_hands_out_the_one_open_order(
    shop: Shop, step: int, after: bool
) -> None:
    shop.place()
    with suppress(Crash):
        shop.place(OTHER, OPENED + MINUTE, Fate({step: Crash()}, after=after))
    placed = shop.place(OTHER, OPENED + 2 * MINUTE)
    still_open = [key for key in shop.application.orders if shop.table.records[key].superseded_by is None]
    assert still_open == [placed.record.order_id] == [shop.application.current]
