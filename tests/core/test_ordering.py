"""Placing an order on the fakes, following the design (section 6) sentence by sentence."""

from contextlib import suppress
from copy import replace
from typing import Any

import pytest

from payments.core.errors import (
    AlreadyPaid,
    ApplicationRefused,
    ContentionError,
    GatewayRefused,
    GatewayUnavailable,
    KeysRefused,
    NotAtGateway,
    PaymentInProgress,
    PaymentUnderReview,
    ReceiptReused,
    StorageConflict,
    TooOldForGateway,
)
from payments.core.expiry import expire
from payments.core.model import Application, Authorized, Fact, Lane, Order, Status
from payments.core.ordering import MAX_ORDERS, OrderServices, Placed, place_order
from payments.core.position import NO_OFFERS, Policy
from payments.core.transitions import decide, open_record, supersede, unknown_record
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
        self.policy = NO_OFFERS
        self.order_expiry_s = 30 * DAY

    def place(self, offer: Order = OFFER, at: int = OPENED, fate: Fate | None = None) -> Placed:
        self.gateway.now = at
        wrap = (fate or Fate()).wrap
        desk = OrderServices(
            table=wrap(self.table),
            gateway=self.gateway,
            ids=self.ids,
            policy=self.policy,
            order_expiry_s=self.order_expiry_s,
        )
        return place_order(desk, offer, at)

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


@pytest.mark.parametrize(("days", "longest"), [(7, 7), (170, 30)])
def test_an_order_is_handed_out_until_it_is_old_enough_to_expire_but_never_longer_than_thirty_days(
    shop: Shop, days: int, longest: int
) -> None:
    shop.order_expiry_s = days * DAY
    shop.place()
    assert not shop.place(at=OPENED + longest * DAY - 1).created
    assert shop.place(at=OPENED + longest * DAY).created


def test_an_order_that_has_expired_is_replaced_after_razorpay_was_asked_about_it(shop: Shop) -> None:
    first = shop.place().record.order_id
    shop.table.records[first] = expire(shop.table.records[first], OPENED + MINUTE).record
    placed = shop.place(at=OPENED + 2 * MINUTE)
    assert placed.created
    assert shop.looks() == [first]
    assert shop.table.records[first].superseded_by == placed.record.order_id
    assert shop.application.current == placed.record.order_id


def test_a_late_payment_that_is_only_authorised_keeps_an_expired_order_from_being_replaced(shop: Shop) -> None:
    first = shop.place().record.order_id
    shop.table.records[first] = expire(shop.table.records[first], OPENED + MINUTE).record
    shop.learn(first, Authorized(payment=A, created_at=OPENED + 2 * MINUTE))
    with pytest.raises(PaymentInProgress) as refusal:
        shop.place(at=OPENED + 3 * MINUTE)
    assert refusal.value.order_id == first
    shop.learn(first, captured(A, created_at=OPENED + 2 * MINUTE))
    with pytest.raises(PaymentUnderReview):
        shop.place(at=OPENED + 4 * MINUTE)


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


# --- limits of time and of calls ------------------------------------------------------------------------------------


def records(shop: Shop) -> list[str]:
    return list(shop.table.records)


def test_all_calls_of_a_request_share_fourteen_seconds(shop: Shop) -> None:
    shop.place()
    assert shop.gateway.bounds == [14]


def test_what_is_handed_out_is_what_is_stored(shop: Shop) -> None:
    placed = shop.place()
    assert placed.record == shop.table.records[placed.record.order_id]
    again = shop.place(at=OPENED + MINUTE)
    assert again.record == placed.record
    third = shop.place(OTHER, OPENED + 2 * MINUTE)
    assert third.record == shop.table.records[third.record.order_id]
    assert third.record.agreed().amount_minor == OTHER.amount_minor
    assert (third.record.created_at, third.record.version) == ("2026-03-01T09:32:00Z", 1)


def test_the_superseded_order_says_by_which_and_since_when(shop: Shop) -> None:
    first = shop.place().record.order_id
    second = shop.place(OTHER, OPENED + MINUTE).record.order_id
    old = shop.table.records[first]
    assert (old.superseded_by, old.updated_at) == (second, "2026-03-01T09:31:00Z")
    assert shop.application.current == second


def test_the_look_before_a_hand_out_counts_from_the_last_one(shop: Shop) -> None:
    first = shop.place().record.order_id
    shop.place(at=OPENED + 20 * MINUTE)
    shop.place(at=OPENED + 35 * MINUTE)
    assert shop.looks() == [first]
    shop.place(at=OPENED + 35 * MINUTE + 1)
    assert shop.looks() == [first, first]


def test_a_request_asks_about_an_order_once_however_often_it_decides_again(shop: Shop) -> None:
    first = shop.place().record.order_id
    shop.gateway.pay(first, A, "failed")
    placed = shop.place(at=OPENED + 16 * MINUTE)
    assert (placed.created, placed.record.order_id) == (False, first)
    assert (placed.record.status, placed.record.looked_at) == (Status.FAILED, OPENED + 16 * MINUTE)
    assert shop.looks() == [first]


@pytest.mark.parametrize("refusal", [KeysRefused, GatewayRefused])
def test_a_refusal_that_says_nothing_of_the_order_is_no_reason_to_replace_it(
    shop: Shop, refusal: type[GatewayRefused]
) -> None:
    first = shop.place().record.order_id
    shop.gateway.fails = lambda call, _: refusal(401, "BAD_REQUEST_ERROR") if call == "look" else None
    placed = shop.place(at=OPENED + 16 * MINUTE)
    assert (placed.created, placed.record.order_id) == (False, first)
    # Not marked as checked: the next request asks again.
    assert placed.record.looked_at is None
    with pytest.raises(GatewayUnavailable, match=r"^Razorpay does not say what became of an order\.$"):
        shop.place(OTHER, OPENED + 16 * MINUTE)


def test_what_razorpay_says_before_a_hand_out_is_judged_by_the_settings(shop: Shop) -> None:
    shop.policy = Policy(accept_offers_from_percent=90)
    first = shop.place().record.order_id
    shop.gateway.pay(first, A, amount=AMOUNT - 1)
    with pytest.raises(AlreadyPaid):
        shop.place(at=OPENED + 16 * MINUTE)


def test_refunds_that_a_look_tells_of_are_kept_under_their_own_ids(shop: Shop) -> None:
    first = shop.place().record.order_id
    shop.gateway.pay(first, A)
    shop.gateway.give_back(A, REFUND_1, PART)
    with pytest.raises(AlreadyPaid):
        shop.place(at=OPENED + 16 * MINUTE)
    assert shop.table.known_refunds[REFUND_1].order_id == first


def test_events_of_what_a_look_tells_wait_for_the_outbox(shop: Shop) -> None:
    first = shop.place().record.order_id
    shop.gateway.pay(first, A)
    with pytest.raises(AlreadyPaid):
        shop.place(at=OPENED + 16 * MINUTE)
    record = shop.table.records[first]
    assert [event.type for event in record.pending.values()] == ["payment.paid"]
    assert (record.lane, record.attention_at) == (Lane.OUTBOX, OPENED + 17 * MINUTE)


@pytest.mark.parametrize(
    "change",
    [
        {"job_id": 9},
        {},
        {"freelancer_id": 9},
        {"amount_minor": 9},
        {"currency": "USD"},
    ],
)
def test_only_the_same_purchase_is_handed_out_again(shop: Shop, change: dict[str, Any]) -> None:
    shop.place()
    other = replace(OFFER, **change)
    assert shop.place(other, OPENED + MINUTE).created is (other != OFFER)


def test_orders_of_the_last_day_count_from_their_last_change(shop: Shop) -> None:
    first = shop.place().record.order_id
    second = shop.place(OTHER, OPENED + DAY).record.order_id
    shop.gateway.calls.clear()
    shop.place(OFFER, OPENED + 2 * DAY - 1)
    assert shop.looks() == [first, second]
    shop.gateway.calls.clear()
    # The current one is queried however old it is; of the others, one was superseded a moment ago.
    shop.place(OTHER, OPENED + 2 * DAY)
    assert first not in shop.looks()
    assert second in shop.looks()


def test_a_payment_fails_by_itself_after_a_quarter_of_an_hour_at_the_bank(shop: Shop) -> None:
    first = shop.place().record.order_id
    shop.gateway.pay(first, A, "created")
    with pytest.raises(PaymentInProgress, match=r"^Razorpay says that a payment is under way\.$") as refused:
        shop.place(OTHER, OPENED + 15 * MINUTE - 1)
    assert refused.value.order_id == first
    assert shop.application.orders == (first,)
    assert shop.place(OTHER, OPENED + 15 * MINUTE).created


def without_record(shop: Shop) -> str:
    """An application whose order has no record (yet)."""
    first = shop.place().record.order_id
    del shop.table.records[first]
    return first


@pytest.mark.parametrize(
    ("status", "refused"), [("captured", True), ("authorized", True), ("failed", False), (None, False)]
)
def test_an_order_without_a_record_is_asked_about_before_it_is_replaced(
    shop: Shop, status: str | None, refused: bool
) -> None:
    first = without_record(shop)
    if status is not None:
        shop.gateway.pay(first, A, status)
    if refused:
        with pytest.raises(PaymentInProgress) as refusal:
            shop.place(at=OPENED + DAY)
        assert refusal.value.order_id == first
    else:
        placed = shop.place(at=OPENED + DAY)
        assert (placed.created, shop.application.current) == (True, placed.record.order_id)
        assert shop.application.orders == (first, placed.record.order_id)
    assert shop.looks() == [first]


def test_an_order_without_a_record_that_razorpay_does_not_know_is_replaced(shop: Shop) -> None:
    first = without_record(shop)
    shop.gateway.fails = lambda call, _: NotAtGateway(400, None) if call == "look" else None
    assert shop.place().created
    assert shop.looks() == [first]


def test_an_order_that_is_only_known_from_webhooks_is_not_handed_out(shop: Shop) -> None:
    first = shop.place().record.order_id
    shop.table.records[first] = decide(unknown_record(first, OPENED), [failed(A)], OPENED).record
    placed = shop.place(at=OPENED + MINUTE)
    assert (placed.created, placed.record.order_id != first) == (True, True)


def test_every_other_order_that_could_be_paid_is_superseded_before_a_hand_out(shop: Shop) -> None:
    current = shop.place().record.order_id
    extra = "order_AAAAAAAAAAAAAA"
    shop.gateway.put_order(extra, ORDER)
    shop.table.insert(open_record(extra, ORDER, OPENED))
    shop.table.applications[ORDER.client_id, ORDER.application_id] = replace(shop.application, orders=(current, extra))
    placed = shop.place(at=OPENED + MINUTE)
    assert (placed.created, placed.record.order_id) == (False, current)
    assert shop.table.records[extra].superseded_by == current
    assert shop.table.records[current].superseded_by is None


def test_every_other_order_that_could_be_paid_is_superseded_by_a_new_one(shop: Shop) -> None:
    current = shop.place().record.order_id
    extra = "order_AAAAAAAAAAAAAA"
    shop.gateway.put_order(extra, ORDER)
    shop.table.insert(open_record(extra, ORDER, OPENED))
    shop.table.applications[ORDER.client_id, ORDER.application_id] = replace(shop.application, orders=(current, extra))
    fate = Fate()
    placed = shop.place(OTHER, OPENED + MINUTE, fate)
    # Everything is decided again before it is returned.
    assert fate.calls.count("application") == 2
    assert (shop.table.records[extra].version, shop.table.records[current].version) == (2, 2)
    # Created for this request, though it took another round to be sure.
    assert placed.created
    assert {shop.table.records[key].superseded_by for key in (current, extra)} == {placed.record.order_id}
    assert len(shop.gateway.orders) == 2


@pytest.mark.parametrize("facts", [(captured(A), refunded(A, REFUND_1)), (captured(A, PART), refunded(A, REFUND_1))])
def test_a_consumed_order_is_not_superseded_by_a_hand_out(shop: Shop, facts: tuple[Fact, ...]) -> None:
    current = shop.place().record.order_id
    extra = "order_AAAAAAAAAAAAAA"
    shop.table.insert(decide(open_record(extra, ORDER, OPENED), facts, OPENED).record)
    shop.table.applications[ORDER.client_id, ORDER.application_id] = replace(shop.application, orders=(current, extra))
    assert not shop.place(at=OPENED + MINUTE).created
    assert shop.table.records[extra].superseded_by is None


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        ((captured(A, PART),), "A person must decide about a payment."),
        ((captured(A),), "This application has already been paid."),
    ],
)
def test_a_refusal_says_why_and_about_which_order(shop: Shop, facts: tuple[Fact, ...], why: str) -> None:
    first = shop.place().record.order_id
    shop.learn(first, *facts)
    with pytest.raises(ApplicationRefused, match=f"^{why}$") as refused:
        shop.place(at=OPENED + MINUTE)
    assert refused.value.order_id == first


def test_a_live_payment_on_another_order_is_named(shop: Shop) -> None:
    first = shop.place().record.order_id
    shop.place(OTHER, OPENED + MINUTE)
    shop.learn(first, Authorized(payment=A))
    with pytest.raises(PaymentInProgress, match=r"^A payment is in progress on another order\.$") as refused:
        shop.place(OTHER, OPENED + MINUTE)
    assert refused.value.order_id == first


def test_of_several_reasons_money_under_review_comes_first_whichever_order_it_is_on(shop: Shop) -> None:
    first = shop.place().record.order_id
    second = shop.place(OTHER, OPENED + MINUTE).record.order_id
    shop.learn(second, captured(B))
    shop.learn(first, captured(A))
    with pytest.raises(PaymentUnderReview) as refused:
        shop.place(OTHER, OPENED + 2 * MINUTE)
    assert refused.value.order_id == first


def test_an_authorised_payment_on_the_order_that_would_be_handed_out_is_no_refusal_but_it_is_not_replaced(
    shop: Shop,
) -> None:
    first = shop.place().record.order_id
    shop.learn(first, Authorized(payment=A))
    assert shop.place(at=OPENED + MINUTE).record.order_id == first
    with pytest.raises(PaymentInProgress):
        shop.place(OTHER, OPENED + MINUTE)


def test_what_a_look_before_a_hand_out_said_is_not_asked_for_again_before_a_replacement(shop: Shop) -> None:
    first = shop.place().record.order_id
    shop.gateway.pay(first, A)
    shop.gateway.give_back(A, REFUND_1, AMOUNT)
    assert shop.place(at=OPENED + 16 * MINUTE).created
    assert shop.looks() == [first]


def test_a_look_is_not_repeated_because_its_time_could_not_be_stored(shop: Shop) -> None:
    first = shop.place().record.order_id
    # application, read_many, and saving when it was checked
    placed = shop.place(at=OPENED + 16 * MINUTE, fate=Fate({3: StorageConflict()}))
    assert (placed.record.order_id, shop.looks()) == (first, [first])


def test_the_current_order_is_asked_about_before_it_is_replaced_however_old_it_is(shop: Shop) -> None:
    first = shop.place().record.order_id
    shop.place(OTHER, OPENED + 20 * DAY)
    assert shop.looks() == [first]


def test_without_an_answer_before_a_hand_out_nothing_is_decided_again(shop: Shop) -> None:
    shop.place()
    shop.gateway.fails = lambda call, _: GatewayUnavailable("down") if call == "look" else None
    fate = Fate()
    shop.place(at=OPENED + 16 * MINUTE, fate=fate)
    assert fate.calls == ["application", "read_many"]


def test_once_another_order_was_superseded_all_is_decided_again(shop: Shop) -> None:
    current = shop.place().record.order_id
    extra = "order_AAAAAAAAAAAAAA"
    shop.table.insert(open_record(extra, ORDER, OPENED))
    shop.table.applications[ORDER.client_id, ORDER.application_id] = replace(shop.application, orders=(current, extra))
    fate = Fate()
    shop.place(at=OPENED + MINUTE, fate=fate)
    assert fate.calls == ["application", "read_many", "save", "application", "read_many"]


def test_a_replacement_that_meets_nothing_unexpected_is_decided_once(shop: Shop) -> None:
    shop.place()
    fate = Fate()
    shop.place(OTHER, OPENED + MINUTE, fate)
    assert fate.calls == ["application", "read_many", "save", "replace_order"]


def test_each_order_is_asked_about_once_though_its_news_are_decided_again(shop: Shop) -> None:
    first = shop.place().record.order_id
    shop.gateway.pay(first, A, "failed")
    assert shop.place(OTHER, OPENED + MINUTE).created
    assert shop.looks() == [first]


def test_an_order_that_razorpay_does_not_know_keeps_none_of_the_others_from_being_asked_about(shop: Shop) -> None:
    first = shop.place().record.order_id
    second = shop.place(OTHER, OPENED + MINUTE).record.order_id
    shop.gateway.calls.clear()
    gone = NotAtGateway(400, None)
    shop.gateway.fails = lambda call, about: gone if (call, about) == ("look", first) else None
    assert shop.place(OFFER, OPENED + 2 * MINUTE).created
    assert shop.looks() == [first, second]


@pytest.mark.parametrize(("status", "refusal"), [("authorized", PaymentInProgress), ("captured", PaymentUnderReview)])
def test_what_nobody_told_of_an_order_that_was_replaced_keeps_another_from_being_made(
    shop: Shop, status: str, refusal: type[ApplicationRefused]
) -> None:
    first = shop.place().record.order_id
    second = shop.place(OTHER, OPENED + MINUTE).record.order_id
    shop.gateway.pay(first, A, status)
    with pytest.raises(refusal) as refused:
        shop.place(OFFER, OPENED + 2 * MINUTE)
    assert refused.value.order_id == first
    assert shop.application.orders == (first, second)


def test_money_that_came_and_went_on_an_order_with_a_record_is_no_payment_under_way(shop: Shop) -> None:
    first = shop.place().record.order_id
    shop.learn(first, captured(A), refunded(A, REFUND_1))
    shop.gateway.pay(first, A)
    shop.gateway.give_back(A, REFUND_1, AMOUNT)
    assert shop.place(at=OPENED + MINUTE).created
    assert shop.looks() == [first]


# --- ids and receipts -----------------------------------------------------------------------------------------------


def test_a_counter_that_went_back_leaves_out_more_each_time_and_is_given_up_on_at_last(shop: Shop) -> None:
    refusal = ReceiptReused(400, "BAD_REQUEST_ERROR")
    shop.gateway.fails = lambda call, _: refusal if call == "create_order" else None
    with pytest.raises(ReceiptReused):
        shop.place()
    assert shop.ids.skipped == [1_000, 30_000, 1_000_000]
    assert len(shop.gateway.calls) == 4
    assert not shop.table.records


@pytest.mark.parametrize("times", [1, 2, 3])
def test_a_receipt_that_was_used_may_be_met_three_times(shop: Shop, times: int) -> None:
    reused = iter([*([ReceiptReused(400, "BAD_REQUEST_ERROR")] * times), None])
    shop.gateway.fails = lambda call, _: next(reused) if call == "create_order" else None
    placed = shop.place()
    assert placed.record.agreed().payment_id == shop.ids.last
    assert len(shop.ids.skipped) == times


# --- races ----------------------------------------------------------------------------------------------------------


def test_a_first_order_whose_id_another_record_holds_is_not_handed_out(shop: Shop) -> None:
    shop.table.insert(open_record("order_00000000000001", OTHER, OPENED))
    with pytest.raises(ContentionError, match=r"^Another record holds the id of this new order\.$"):
        shop.place()
    assert not shop.table.applications


def test_our_own_first_write_that_looks_like_somebody_elses_is_known_again(shop: Shop) -> None:
    # application, insert: it took effect, and the client's retry found the item.
    placed = shop.place(fate=Fate({2: StorageConflict()}, after=True))
    assert (placed.created, records(shop)) == (True, [placed.record.order_id])
    assert len(shop.gateway.orders) == 1


def test_an_order_that_lost_its_race_is_used_in_the_next_round(shop: Shop) -> None:
    shop.place()
    # application, read_many, save (looked at), then the transaction.
    placed = shop.place(OTHER, OPENED + MINUTE, Fate({5: StorageConflict()}))
    assert placed.created
    assert len(shop.gateway.orders) == 2


def test_an_application_that_changes_five_times_is_given_up_on(shop: Shop) -> None:
    class Moving(FakeTable):
        def open_application(self, *_: object) -> None:
            raise StorageConflict

    shop.table = Moving()
    with pytest.raises(ContentionError, match=r"^The application's orders changed 5 times while one was placed\.$"):
        shop.place()
    assert len(shop.gateway.orders) == 5


# --- a hundred orders -----------------------------------------------------------------------------------------------


def crowd(shop: Shop, count: int, *, with_records: bool = True) -> str:
    """Gives the application this many orders in all; returns the current one."""
    current = shop.place().record.order_id
    old = [f"order_{number:014d}" for number in range(1_000, 1_000 + count - 1)]
    for order_id in old if with_records else ():
        shop.table.insert(supersede(open_record(order_id, ORDER, OPENED - 9 * DAY), current, OPENED - 9 * DAY))
    for order_id in old:
        shop.gateway.put_order(order_id, ORDER)
    shop.table.applications[ORDER.client_id, ORDER.application_id] = replace(shop.application, orders=(*old, current))
    return current


def test_the_hundredth_order_is_made_and_no_other(shop: Shop) -> None:
    crowd(shop, 99)
    assert shop.place(OTHER, OPENED + MINUTE).created
    assert len(shop.application.orders) == 100
    with pytest.raises(PaymentUnderReview, match=r"^The application has 100 orders\.$") as refused:
        shop.place(OFFER, OPENED + 2 * MINUTE)
    assert refused.value.order_id == shop.application.current
    # The open one is still returned.
    assert not shop.place(OTHER, OPENED + 3 * MINUTE).created


def test_orders_without_a_record_count_as_well(shop: Shop) -> None:
    crowd(shop, 100, with_records=False)
    with pytest.raises(PaymentUnderReview):
        shop.place(OTHER, OPENED + MINUTE)


def test_the_review_of_too_many_orders_is_told_about_the_current_order(shop: Shop) -> None:
    current = crowd(shop, 100)
    with pytest.raises(PaymentUnderReview):
        shop.place(OTHER, OPENED + MINUTE)
    record = shop.table.records[current]
    assert [(review.reason, review.subject) for review in record.reviews] == [("too_many_orders", current)]
    (event,) = record.pending.values()
    assert (event.type, event.review, event.review_state) == ("payment.review", "too_many_orders", "open")
    assert (record.lane, record.attention_at) == (Lane.OUTBOX, OPENED + 2 * MINUTE)
    assert record.history[-1].what == "review too_many_orders"
    assert (record.updated_at, event.at) == ("2026-03-01T09:31:00Z", "2026-03-01T09:31:00Z")


def test_without_a_record_of_the_current_order_another_one_is_reviewed(shop: Shop) -> None:
    current = crowd(shop, 100)
    del shop.table.records[current]
    with pytest.raises(PaymentUnderReview):
        shop.place(OTHER, OPENED + MINUTE)
    reviewed = [key for key, record in shop.table.records.items() if record.reviews]
    assert reviewed == ["order_00000000001000"]


def test_where_no_order_has_a_record_the_refusal_is_all(shop: Shop) -> None:
    current = crowd(shop, 100, with_records=False)
    del shop.table.records[current]
    with pytest.raises(PaymentUnderReview):
        shop.place(OTHER, OPENED + MINUTE)
    assert not shop.table.records
