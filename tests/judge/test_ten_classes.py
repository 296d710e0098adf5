"""Ten classes of faults of version 0.1, each as stories on the real handlers.

The oracle judges the end state, the published contract the responses.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any, Final
from zlib import crc32

import pytest

from sandbox import events
from sandbox.gateway import signatures
from sandbox.gateway.faults import ApiFault, Faults
from tests.faults import verdict
from tests.faults.clockwork import DAY_S, HOUR_S, MINUTE_S, schedules
from tests.faults.outside import Kind, good
from tests.faults.rig import AMOUNT, CLIENT, Answer, Died, World, installed

OTHER, THIRD = "600.00", "700.00"
AMOUNT_MINOR: Final = 49_950


@pytest.fixture
def install() -> Iterator[Callable[[World], World]]:
    with installed() as put:
        yield put


@pytest.fixture
def world(install: Callable[[World], World]) -> World:
    return install(World())


def order(world: World, **offer: Any) -> str:
    answer = world.create_order(**offer)
    assert answer.ok, answer
    order_id: str = answer.body["order_id"]
    return order_id


def pay(world: World, order_id: str, **how: Any) -> dict[str, str]:
    checkout = world.pay(order_id, **how)
    assert checkout is not None
    return checkout


def tell(world: World) -> None:
    for webhook in world.waiting:
        assert world.deliver(webhook).ok


def confirmed(world: World, **offer: Any) -> dict[str, str]:
    """A payment with all facts known."""
    checkout = pay(world, order(world, **offer))
    assert world.verify(checkout).ok
    tell(world)
    return checkout


def rest(world: World, *, deaf: bool = False) -> None:
    world.come_to_rest(deaf=deaf)
    world.check()


def refusal(answer: Answer) -> tuple[int, str | None, str | None]:
    return answer.status, answer.body.get("code"), answer.body.get("order_id")


def counted(world: World) -> set[str]:
    """The metrics counted."""
    lines = [json.loads(line) for line in world.log.getvalue().splitlines() if '"_aws"' in line]
    return {
        metric["Name"] for line in lines for group in line["_aws"]["CloudWatchMetrics"] for metric in group["Metrics"]
    }


# --- 1. decided per order, not per application ----------------------------------------------------------------------


def test_a_client_who_paid_a_superseded_order_is_not_sold_a_third(world: World) -> None:
    first = order(world)
    order(world, amount=OTHER)
    pay(world, first)
    tell(world)
    assert refusal(world.create_order(amount=THIRD)) == (409, "payment_under_review", first)


def test_money_on_a_superseded_order_is_under_review(world: World) -> None:
    first = order(world)
    order(world, amount=OTHER)
    assert world.verify(pay(world, first)).body.get("code") in {None, "payment_under_review"}
    tell(world)
    rest(world)


def test_a_client_who_has_just_paid_is_not_sold_another_order_though_no_webhook_came(world: World) -> None:
    first = order(world)
    pay(world, first)
    assert refusal(world.create_order(amount=OTHER)) == (409, "already_paid", first)


def test_a_refusal_of_create_order_names_the_order(world: World) -> None:
    paid = confirmed(world)["razorpay_order_id"]
    assert refusal(world.create_order()) == (409, "already_paid", paid)


def test_an_order_that_is_a_month_old_is_replaced(world: World) -> None:
    old = order(world)
    world.let_time_pass(31 * DAY_S)
    assert order(world) != old


# --- 2. due times counted from birth --------------------------------------------------------------------------------


@pytest.mark.parametrize("age_s", [4 * DAY_S, 100 * DAY_S, 170 * DAY_S], ids=["4 days", "100 days", "170 days"])
def test_a_payment_of_an_old_order_is_found_without_its_webhooks(world: World, age_s: int) -> None:
    old = order(world)
    world.let_time_pass(age_s)
    pay(world, old)
    rest(world, deaf=True)


def test_an_authorisation_that_razorpay_gives_back_after_three_days_is_found(world: World) -> None:
    paid = order(world)
    world.now += HOUR_S
    assert world.verify(pay(world, paid, capture="later")).ok
    tell(world)
    rest(world, deaf=True)


@pytest.mark.parametrize("minor", [100_00, None], ids=["in part", "in full"])
def test_a_refund_by_hand_is_found_without_its_webhooks(world: World, minor: int | None) -> None:
    checkout = confirmed(world)
    world.let_time_pass(40 * DAY_S)
    world.refund(checkout["razorpay_payment_id"], minor)
    rest(world, deaf=True)


def test_a_second_capture_after_the_first_was_confirmed_is_found_without_its_webhooks(world: World) -> None:
    checkout = confirmed(world)
    pay(world, checkout["razorpay_order_id"], method="upi", force=True)
    rest(world, deaf=True)


def test_a_payment_within_minutes_is_found_without_its_webhooks(world: World) -> None:
    """What version 0.1 does find: the stories above fail because of their ages, not because of missing webhooks."""
    pay(world, order(world))
    rest(world, deaf=True)


# --- 3. two meanings of "captured" ----------------------------------------------------------------------------------


@pytest.mark.parametrize("told", [True, False], ids=["told", "found"])
@pytest.mark.parametrize("how", [{"amount": 99}, {"currency": "USD"}], ids=["another sum", "another currency"])
def test_a_capture_of_another_sum_is_under_review_however_it_was_learned(
    world: World, how: dict[str, Any], *, told: bool
) -> None:
    pay(world, order(world), force=True, **how)
    for webhook in world.waiting:
        if webhook.event != "payment.captured":
            world.drop(webhook)
    rest(world, deaf=not told)


def test_a_client_whose_payment_was_of_another_sum_is_not_sold_another_order(world: World) -> None:
    first = order(world)
    pay(world, first, force=True, amount=99)
    tell(world)
    for amount in (AMOUNT, OTHER):
        assert refusal(world.create_order(amount=amount)) == (409, "payment_under_review", first)


def test_after_the_refund_of_another_sum_the_client_gets_a_new_order(world: World) -> None:
    first = order(world)
    checkout = pay(world, first, force=True, amount=99)
    tell(world)
    world.refund(checkout["razorpay_payment_id"])
    tell(world)
    rest(world)


def test_money_that_comes_after_the_refund_keeps_the_client_from_paying_again(world: World) -> None:
    checkout = confirmed(world)
    world.refund(checkout["razorpay_payment_id"])
    tell(world)
    first = checkout["razorpay_order_id"]
    pay(world, first, method="upi", force=True)
    tell(world)
    assert refusal(world.create_order()) == (409, "payment_under_review", first)


def test_a_second_capture_that_is_given_back_is_told_so(world: World) -> None:
    checkout = confirmed(world)
    second = pay(world, checkout["razorpay_order_id"], method="upi", force=True)
    tell(world)
    world.refund(second["razorpay_payment_id"])
    tell(world)
    rest(world)


# --- 4. only the first page of a list read --------------------------------------------------------------------------


def test_an_eleventh_refund_is_read(world: World) -> None:
    checkout = pay(world, order(world))
    for _ in range(11):
        world.refund(checkout["razorpay_payment_id"], 40_00)
    rest(world, deaf=True)


# --- 5. evidence ignored --------------------------------------------------------------------------------------------


def test_a_total_that_is_ahead_of_the_refunds_known_is_looked_into(world: World) -> None:
    checkout = confirmed(world)
    world.refund(checkout["razorpay_payment_id"], 27_50)
    world.lose_webhooks()
    world.refund(checkout["razorpay_payment_id"])
    # Its payment says `amount_refunded: 49950`, and 2750 of that are unknown.
    tell(world)
    world.let_time_pass(2 * HOUR_S, deaf=True)
    shown = world.read(checkout["razorpay_order_id"]).body
    assert (shown["status"], shown["amount_refunded"]) == ("refunded", AMOUNT_MINOR)


# --- 6. "no" and "cannot tell" confused -----------------------------------------------------------------------------


def left_unrecorded(world: World) -> str:
    """create-order died before storing the order it had created."""
    world.outside.fate = lambda call: Kind.DIES_AFTER if call.operation == "razorpay POST /v1/orders" else None
    with pytest.raises(Died):
        world.create_order()
    world.outside.fate = good
    return list(world.razorpay.account.orders)[-1]


def test_an_order_of_ours_is_not_taken_for_foreign_while_the_keys_are_wrong(world: World) -> None:
    pay(world, left_unrecorded(world))
    world.lose_keys()
    tell(world)
    world.let_time_pass(2 * DAY_S)
    # Nor may DynamoDB delete it.
    assert not [pk for pk, item in world.table.items.items() if "expires_at" in item]
    rest(world)


def test_an_order_of_ours_that_was_never_recorded_is_rebuilt(world: World) -> None:
    """What version 0.1 does: the story above fails because of the keys."""
    pay(world, left_unrecorded(world))
    tell(world)
    rest(world)


def test_two_stacks_on_one_account_leave_each_others_orders_alone(install: Callable[[World], World]) -> None:
    one = install(World())
    order(one, application=14)
    other = install(World(beside=one))
    foreign = order(other, application=15)
    pay(other, foreign)
    webhooks = other.waiting
    install(one)
    for webhook in webhooks:
        # Razorpay sends it to every URL.
        assert one.deliver(webhook).ok
    one.let_time_pass(DAY_S)
    assert one.read(foreign).status == 404
    notes = [one.razorpay.account.order(order_id).notes for order_id in one.razorpay.account.orders]
    assert len({noted.get("installation") for noted in notes}) == len(notes)


# --- 7. limits of AWS -----------------------------------------------------------------------------------------------


def test_a_hundred_events_that_have_waited_are_published_and_cleared(world: World) -> None:
    checkout = confirmed(world)
    world.outside.fate = lambda call: Kind.FAILS_BEFORE if call.operation == "events PutEvents" else None
    for _ in range(101):
        world.refund(checkout["razorpay_payment_id"], 1_00)
    for webhook in world.waiting:
        if webhook.event == "refund.processed":
            # Stored, not published: Razorpay should resend it but does not.
            assert not world.deliver(webhook).ok
        world.drop(webhook)
    world.outside.fate = good
    rest(world)


def test_more_than_a_hundred_refunds_that_are_found_at_once_are_recorded(world: World) -> None:
    checkout = pay(world, order(world))
    for _ in range(120):
        world.refund(checkout["razorpay_payment_id"], 1_00)
    rest(world, deaf=True)


# --- 8. a few records block many ------------------------------------------------------------------------------------


def same_shard(world: World, number: int) -> list[str]:
    """This many orders, which version 0.1 checks one after the other."""
    found: dict[int, list[str]] = {}
    for application in range(100, 300):
        order_id = order(world, application=application)
        orders = found.setdefault(crc32(order_id.encode()) % 16, [])
        orders.append(order_id)
        if len(orders) == number:
            return orders
    raise AssertionError("not enough orders")


def test_a_few_orders_that_razorpay_fails_for_hold_up_no_other(world: World) -> None:
    *failing, healthy = same_shard(world, 4)
    world.razorpay.account.faults = Faults(api=tuple(ApiFault("500", id=order_id) for order_id in failing))
    pay(world, healthy)
    world.lose_webhooks()
    world.let_time_pass(6 * HOUR_S, deaf=True)
    assert world.read(healthy).body["status"] == "paid"


def test_a_thousand_open_orders_delay_no_event(install: Callable[[World], World]) -> None:
    world = install(World(watch_logs=False))
    for application in range(1_300):
        order(world, application=application + 100)
    untold = [order(world, application=application) for application in range(1, 21)]
    world.now += 15 * MINUTE_S
    world.now += -world.now % MINUTE_S
    for order_id in untold:
        pay(world, order_id)
    world.outside.fate = lambda call: Kind.DIES_BEFORE if call.operation == "events PutEvents" else None
    for webhook in [one for one in world.waiting if one.event == "payment.captured"]:
        with pytest.raises(Died):
            world.deliver(webhook)
    world.outside.fate = good
    for _ in range(2):
        world.now += MINUTE_S
        for schedule in schedules():
            world.run(schedule)
    assert set(untold) <= verdict.told(world).keys()


# --- 9. a stand-in kinder than Razorpay -----------------------------------------------------------------------------


def test_checkouts_object_may_have_more_fields(world: World) -> None:
    """As mobile SDKs return it (react-native-razorpay#332)."""
    checkout = pay(world, order(world))
    answer = world.verify({**checkout, "org_logo": "", "org_name": "Razorpay", "status_code": "200"})
    assert answer.status == 200


def with_fee(amount: int) -> int:
    """What a customer who bears the fee pays: `amount` plus the fee that the stand-in reports for the total."""
    for paid in range(amount, 2 * amount):
        fee = paid * 2 // 100
        if paid - fee - (fee * 18 + 50) // 100 == amount:
            return paid
    raise AssertionError("no such sum")


def test_a_fee_that_the_customer_bears_is_no_other_sum(world: World) -> None:
    checkout = pay(world, order(world), force=True, amount=with_fee(AMOUNT_MINOR))
    payment = world.razorpay.account.payments[checkout["razorpay_payment_id"]]
    assert payment.amount == AMOUNT_MINOR + (payment.fee or 0) > AMOUNT_MINOR
    tell(world)
    assert world.verify(checkout).ok
    rest(world)


def test_an_amount_that_razorpay_calls_too_high_is_the_clients_mistake(world: World) -> None:
    world.razorpay.account.faults = Faults(max_amount=100_00)
    answer = world.create_order()
    assert (answer.status, answer.body["code"]) == (400, "invalid_request")
    assert [error["field"] for error in answer.body["errors"]] == ["amount"]


# --- 10. too strict with a third party's input ----------------------------------------------------------------------


def delivery(body: bytes, signature: str) -> dict[str, Any]:
    event = {**events.from_razorpay(b"{}"), "body": body.decode()}
    return {**event, "headers": {**event["headers"], "X-Razorpay-Signature": signature}}


def large(world: World) -> bytes:
    """A genuine webhook whose order has notes of the largest size, over 64 KiB (api/orders/create.md)."""
    pay(world, order(world))
    body = json.loads(world.waiting[-1].body)
    body["payload"]["payment"]["entity"]["notes"] = {f"note {number}": "₹" * 256 for number in range(15)}
    body["payload"]["payment"]["entity"]["description"] = "₹" * 10_000
    return json.dumps(body).encode()


def test_a_genuine_body_that_is_large_is_acknowledged(world: World) -> None:
    body = large(world)
    assert len(body) > 64 * 1024
    before = counted(world)
    answer = world.request("webhook", delivery(body, signatures.of_webhook(world.razorpay.webhook_secret, body)))
    assert answer.status == 200
    # Read and applied, or counted so that an alarm fires.
    shown = world.read(next(iter(world.handed_out))).body
    assert shown["status"] == "paid" or counted(world) - before


def test_a_forged_body_that_is_large_is_a_wrong_signature(world: World) -> None:
    body = large(world)
    answer = world.request("webhook", delivery(body, signatures.of_webhook(events.FORGED_WITH, body)))
    assert refusal(answer)[:2] == (400, "invalid_signature")


_NOT_REST: Final[dict[str, dict[str, Any]]] = {
    "nothing": {},
    "HTTP API": {"version": "2.0", "routeKey": "POST /api/payments/webhook", "rawPath": "/api/payments/webhook"},
    "SQS": {"Records": [{"eventSource": "aws:sqs", "body": "{}"}]},
    "EventBridge": {"source": "aws.events", "detail-type": "Scheduled Event", "detail": {}},
}


@pytest.mark.parametrize("function", ["create_order", "verify", "webhook"])
@pytest.mark.parametrize("event", _NOT_REST.values(), ids=_NOT_REST)
def test_an_event_of_another_kind_fails_loudly(world: World, function: str, event: dict[str, Any]) -> None:
    try:
        answer = world.invoke(function, event)
    except Exception:  # noqa: BLE001 - an invocation that fails is counted by Lambda, and that is what is asked for
        return
    assert answer["statusCode"] >= 500
    assert counted(world)


# --- what is published ----------------------------------------------------------------------------------------------


def test_every_event_says_which_schema_it_has(world: World) -> None:
    confirmed(world)
    assert world.bus.accepted
    assert all("schema_version" in json.loads(detail) for _, detail in world.bus.accepted)


def test_a_review_is_told_with_its_state(world: World) -> None:
    checkout = confirmed(world)
    pay(world, checkout["razorpay_order_id"], method="upi", force=True)
    tell(world)
    reviews = [json.loads(detail)["review"] for kind, detail in world.bus.accepted if kind == "payment.review"]
    assert reviews == [{"reason": "duplicate_capture", "state": "open"}]


def test_get_says_whether_money_is_under_review(world: World) -> None:
    shown = world.read(confirmed(world)["razorpay_order_id"]).body
    assert shown.get("under_review") is False


def test_verify_says_that_razorpay_gave_the_money_back(world: World) -> None:
    checkout = pay(world, order(world), capture="later")
    world.let_time_pass(4 * DAY_S)
    assert refusal(world.verify(checkout, client=CLIENT))[:2] == (409, "payment_returned")
