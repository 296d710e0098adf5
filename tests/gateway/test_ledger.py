"""The ledger: the account's state and history, for checks that must not rely on the API's lists."""

from sandbox.gateway.entities import Payment
from tests.gateway.account import NOW, Account
from tests.gateway.gateway import Gateway


def test_the_story_has_all_that_happened_in_its_order() -> None:
    account = Account()
    order = account.order()
    account.now = NOW + 5
    failed = account.attempt(order, outcome="failure")
    account.now = NOW + 9
    paid = account.attempt(order)
    account.switch(refunds="pending")
    refund = account.refund(paid, amount=20000)
    account.now = NOW + 86400
    account.world.settle_refund(refund, "failed")

    def entry(at: int, what: str, payment: Payment | None, amount: int, refund_id: str | None = None) -> object:
        return {
            "at": NOW + at,
            "what": what,
            "order_id": order.id,
            "payment_id": payment.id if payment else None,
            "refund_id": refund_id,
            "dispute_id": None,
            "amount": amount,
            "currency": "INR",
        }

    assert account.world.ledger()["story"] == [
        entry(0, "order.created", None, 50000),
        entry(5, "payment.created", failed, 50000),
        entry(5, "payment.failed", failed, 50000),
        entry(9, "payment.created", paid, 50000),
        entry(9, "payment.authorized", paid, 50000),
        entry(9, "payment.captured", paid, 50000),
        entry(9, "order.paid", paid, 50000),
        entry(9, "refund.created", paid, 20000, refund.id),
        entry(86400, "refund.failed", paid, 20000, refund.id),
    ]


def test_a_story_tells_a_payments_own_amount_beside_its_orders() -> None:
    account = Account()
    account.attempt(account.order(), amount=51180)
    amounts = [(entry["what"], entry["amount"]) for entry in account.world.ledger()["story"]]
    assert amounts[-2:] == [("payment.captured", 51180), ("order.paid", 50000)]


def test_the_ledger_prints_what_the_api_prints_and_knows_no_lag(gateway: Gateway) -> None:
    order_id = gateway.order()["id"]
    payment_id = gateway.pay(order_id)["razorpay_payment_id"]
    refund_id = gateway.sdk.payment.refund(payment_id, {"amount": 100})["id"]
    gateway.control("PUT", "faults", {"lists_lag_s": 60, "refund_lists_lag_s": 60, "order_payments_lag_s": 60})
    ledger = gateway.control("GET", "ledger")
    assert ledger["orders"] == [gateway.sdk.order.fetch(order_id)]
    assert ledger["payments"] == [gateway.sdk.payment.fetch(payment_id)]
    assert ledger["refunds"] == [gateway.sdk.refund.fetch(refund_id)]
    assert [entry["what"] for entry in ledger["story"]] == [
        "order.created",
        "payment.created",
        "payment.authorized",
        "payment.captured",
        "order.paid",
        "refund.created",
        "refund.processed",
    ]


def test_a_ledger_can_be_of_one_order_and_a_reset_empties_it(gateway: Gateway) -> None:
    other, order_id = gateway.order()["id"], gateway.order()["id"]
    gateway.pay(other)
    narrowed = gateway.control("GET", "ledger", order_id=order_id)
    assert [entry["order_id"] for entry in narrowed["story"]] == [order_id]
    assert ([order["id"] for order in narrowed["orders"]], narrowed["payments"]) == ([order_id], [])
    gateway.control("POST", "reset")
    assert gateway.control("GET", "ledger") == {
        "orders": [],
        "payments": [],
        "refunds": [],
        "disputes": [],
        "story": [],
    }
