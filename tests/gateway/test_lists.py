"""Lists: their pages and periods as documented, and their lag behind single fetches."""

from typing import Any

import pytest
from razorpay.errors import BadRequestError

from sandbox.gateway.validation import ListQuery, OrderQuery
from tests.gateway.account import NOW, Account
from tests.gateway.gateway import Gateway

EVERYTHING = ListQuery(count=100)
EVERY_ORDER = OrderQuery(count=100)


def ids(collection: Any) -> list[str]:
    assert collection["entity"] == "collection"
    assert collection["count"] == len(collection["items"])
    return [item["id"] for item in collection["items"]]


@pytest.fixture
def twelve(gateway: Gateway) -> dict[str, list[str]]:
    """Twelve orders, each paid and refunded; their ids by kind, in order of creation."""
    orders = [gateway.order()["id"] for _ in range(12)]
    payments = [gateway.pay(order_id)["razorpay_payment_id"] for order_id in orders]
    refunds = [gateway.sdk.payment.refund(payment_id, {"amount": 100})["id"] for payment_id in payments]
    return {"order": orders, "payment": payments, "refund": refunds}


# --- pages: api/orders/fetch-all.md, api/payments/fetch-all-payments.md, api/refunds/fetch-all.md ---


@pytest.mark.parametrize("kind", ["order", "payment", "refund"])
def test_a_list_has_ten_items_newest_first_and_is_read_to_its_end_by_skip(
    gateway: Gateway, twelve: dict[str, list[str]], kind: str
) -> None:
    newest_first, client = twelve[kind][::-1], getattr(gateway.sdk, kind)
    assert ids(client.all()) == newest_first[:10]
    assert ids(client.all({"skip": 10})) == newest_first[10:]
    assert ids(client.all({"skip": 12})) == []
    assert ids(client.all({"count": 5, "skip": 5})) == newest_first[5:10]
    assert ids(client.all({"count": 100})) == newest_first


def test_a_payments_refunds_come_in_pages_too_the_eleventh_on_the_second(gateway: Gateway) -> None:
    """api/refunds/fetch-multiple-refund-payment.md: its sample is oldest first."""
    payment_id = gateway.pay(gateway.order()["id"])["razorpay_payment_id"]
    made = [gateway.sdk.payment.refund(payment_id, {"amount": 100})["id"] for _ in range(11)]
    assert ids(gateway.sdk.payment.fetch_multiple_refund(payment_id)) == made[:10]
    assert ids(gateway.sdk.payment.fetch_multiple_refund(payment_id, {"skip": 10})) == made[10:]
    assert ids(gateway.sdk.payment.fetch_multiple_refund(payment_id, {"count": 100})) == made


@pytest.mark.parametrize("kind", ["order", "payment", "refund"])
@pytest.mark.parametrize(
    ("query", "complaint"),
    [
        ({"count": 101}, "The count may not be greater than 100"),  # api/x/account-validation/balance-fetch.md
        ({"count": 0}, "The count must be at least 1"),  # api/settlements/fetch-all.md
        # api/payments/fetch-all-payments.md, errors
        ({"from": 946684799}, "from must be between 946684800 and 4765046400"),
        ({"from": 4765046401}, "from must be between 946684800 and 4765046400"),
        ({"to": 1_772_357_400_000}, "to must be between 946684800 and 4765046400"),
        ({"skip": "x"}, "The skip must be an integer"),
        ({"sort": "asc"}, "sort is/are not required and should not be sent"),
    ],
)
def test_an_impossible_page_of_any_list_is_refused(
    gateway: Gateway, kind: str, query: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(BadRequestError, match=complaint):
        getattr(gateway.sdk, kind).all(query)


def test_the_refunds_of_a_payment_refuse_an_impossible_page_and_an_unknown_payment(gateway: Gateway) -> None:
    payment_id = gateway.pay(gateway.order()["id"])["razorpay_payment_id"]
    with pytest.raises(BadRequestError, match="The count may not be greater than 100"):
        gateway.sdk.payment.fetch_multiple_refund(payment_id, {"count": 101})
    with pytest.raises(BadRequestError, match="The id provided does not exist"):
        gateway.sdk.payment.fetch_multiple_refund("pay_00000000000000")


def test_the_ends_of_the_allowed_time_are_allowed(gateway: Gateway, twelve: dict[str, list[str]]) -> None:
    for kind, made in twelve.items():
        everything = {"from": 946684800, "to": 4765046400, "count": 100}
        assert ids(getattr(gateway.sdk, kind).all(everything)) == made[::-1]
        assert ids(getattr(gateway.sdk, kind).all({"from": 4765046400})) == []
        assert ids(getattr(gateway.sdk, kind).all({"to": 946684800})) == []


def test_a_period_is_of_creation_and_includes_both_its_ends() -> None:
    account = Account()
    payments, refunds = [], []
    for account.now in (NOW, NOW + 10, NOW + 20):
        payments.append(account.attempt(account.order()))
        refunds.append(account.refund(payments[-1], amount=100))
    middle = ListQuery(earliest=NOW + 10, latest=NOW + 10)
    assert account.world.list_payments(middle) == [payments[1]]
    assert account.world.list_refunds(middle) == [refunds[1]]
    assert account.world.list_refunds_of(payments[1], middle) == [refunds[1]]
    assert account.world.list_refunds_of(payments[0], middle) == []
    orders = account.world.list_orders(OrderQuery(earliest=NOW + 10, latest=NOW + 20))
    assert [order.created_at for order in orders] == [NOW + 20, NOW + 10]


# --- lag: in a published measurement lists lagged by minutes, single orders were up to date ---


def test_the_accounts_lists_lag_and_single_fetches_do_not(gateway: Gateway) -> None:
    gateway.control("PUT", "faults", {"lists_lag_s": 3600})
    order_id = gateway.order()["id"]
    payment_id = gateway.pay(order_id)["razorpay_payment_id"]
    refund_id = gateway.sdk.payment.refund(payment_id, {"amount": 100})["id"]
    for kind in ("order", "payment", "refund"):
        assert ids(getattr(gateway.sdk, kind).all()) == []
    assert gateway.sdk.order.fetch(order_id)["status"] == "paid"
    assert ids(gateway.sdk.order.payments(order_id)) == [payment_id]
    assert gateway.sdk.payment.fetch(payment_id)["amount_refunded"] == 100
    assert ids(gateway.sdk.payment.fetch_multiple_refund(payment_id)) == [refund_id]
    gateway.control("PUT", "faults", {"lists_lag_s": 0})
    assert [ids(getattr(gateway.sdk, kind).all()) for kind in ("order", "payment", "refund")] == [
        [order_id],
        [payment_id],
        [refund_id],
    ]


def test_a_lagging_list_shows_every_entity_as_it_was() -> None:
    account = Account()
    account.switch(lists_lag_s=60)
    order = account.order()
    account.now = NOW + 10
    payment = account.attempt(order, capture="later")
    account.now = NOW + 20
    account.world.capture_authorized(payment)

    def seen(at: float) -> tuple[list[str], list[str], list[str]]:
        account.now = at
        orders = account.world.list_orders(EVERY_ORDER)
        return (
            [listed.status for listed in orders],
            [attempt.status for listed in orders for attempt in account.world.expand_payments_of(listed)],
            [listed.status for listed in account.world.list_payments(EVERYTHING)],
        )

    assert seen(NOW + 59.9) == ([], [], [])
    assert seen(NOW + 60) == (["created"], [], [])
    assert seen(NOW + 70) == (["attempted"], ["authorized"], ["authorized"])
    assert seen(NOW + 80) == (["paid"], ["captured"], ["captured"])


def test_a_lagging_list_is_searched_as_it_was() -> None:
    account = Account()
    account.switch(lists_lag_s=60)
    order = account.order()
    account.now = NOW + 30
    account.attempt(order)
    authorized = OrderQuery(authorized=True)
    account.now = NOW + 60
    assert account.world.list_orders(authorized) == []
    account.now = NOW + 90
    assert [found.id for found in account.world.list_orders(authorized)] == [order.id]


def test_a_refund_can_be_missing_from_the_lists_while_its_payment_counts_it() -> None:
    """api/payments/entity.md: `amount_refunded` and `refund_status` are the payment's own."""
    account = Account()
    account.switch(refund_lists_lag_s=300, refunds="pending")
    payment = account.attempt(account.order())
    refund = account.refund(payment, amount=20000)
    account.now = NOW + 100
    account.world.settle_refund(refund, "processed")

    def seen(at: float) -> tuple[list[str], list[str]]:
        account.now = at
        of_account, of_payment = (
            account.world.list_refunds(EVERYTHING),
            account.world.list_refunds_of(payment, EVERYTHING),
        )
        return [listed.status for listed in of_account], [listed.status for listed in of_payment]

    assert seen(NOW + 299) == ([], [])
    listed = account.world.list_payments(EVERYTHING)
    assert [(shown.amount_refunded, shown.refund_status) for shown in listed] == [(20000, "partial")]
    assert seen(NOW + 300) == (["pending"], ["pending"])
    assert seen(NOW + 400) == (["processed"], ["processed"])


def test_the_longer_of_two_lags_holds_for_the_accounts_refunds() -> None:
    account = Account()
    account.switch(lists_lag_s=50, refund_lists_lag_s=10)
    payment = account.attempt(account.order())
    account.refund(payment)
    account.now = NOW + 49
    assert account.world.list_refunds(EVERYTHING) == []
    assert len(account.world.list_refunds_of(payment, EVERYTHING)) == 1
    account.now = NOW + 50
    assert len(account.world.list_refunds(EVERYTHING)) == 1


def test_an_order_can_be_paid_before_its_list_of_payments_says_by_what(gateway: Gateway) -> None:
    gateway.control("PUT", "faults", {"order_payments_lag_s": 60})
    order_id = gateway.order()["id"]
    payment_id = gateway.pay(order_id)["razorpay_payment_id"]
    assert gateway.sdk.order.fetch(order_id)["status"] == "paid"
    assert ids(gateway.sdk.order.payments(order_id)) == []
    assert gateway.sdk.payment.fetch(payment_id)["status"] == "captured"
    assert ids(gateway.sdk.payment.all()) == [payment_id]
    assert [payment["id"] for payment in gateway.control("GET", "ledger")["payments"]] == [payment_id]


@pytest.mark.parametrize("switch", ["lists_lag_s", "refund_lists_lag_s", "order_payments_lag_s"])
@pytest.mark.parametrize("lag", [-1, True, "60", None, 366 * 86400 + 1])
def test_an_impossible_lag_is_refused(gateway: Gateway, switch: str, lag: Any) -> None:
    answer = gateway.http.put(f"{gateway.url}/_control/faults", json={switch: lag}, timeout=5)
    assert answer.status_code == 422
    assert answer.json()["detail"] == f"{switch} must be a number of seconds from 0 to 31622400"
