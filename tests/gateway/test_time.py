"""The effects of time: banks that do not respond, and authorised payments that are not captured."""

from typing import Any

import pytest
from razorpay.errors import BadRequestError

from sandbox.gateway.validation import OrderQuery
from sandbox.gateway.world import ImpossibleError
from tests.gateway.account import NOW, Account
from tests.gateway.gateway import Gateway
from tests.gateway.receiver import Receiver

THREE_DAYS_S = 3 * 86400


def opened(gateway: Gateway, order_id: str, **how: Any) -> str:
    """A payment while its customer is in the bank's app."""
    answer = gateway.try_to_pay(order_id, outcome="open", **how)
    assert answer.status_code == 200
    payment_id: str = answer.json()["payment_id"]
    assert answer.json() == {"order_id": order_id, "payment_id": payment_id, "status": "created"}
    return payment_id


def names(gateway: Gateway) -> list[str]:
    return [event["event"] for event in gateway.events()]


# --- uncaptured payments: payments/payments/capture-settings.md, three days from creation ---


def test_authorised_money_goes_back_uncaptured_after_three_days() -> None:
    account = Account()
    order = account.order()
    payment = account.attempt(order, capture="later")
    account.now = NOW + THREE_DAYS_S - 1
    account.world.pass_time()
    assert payment.status == "authorized"
    account.now = NOW + THREE_DAYS_S
    account.world.pass_time()
    assert (payment.status, payment.captured, payment.amount_refunded) == ("refunded", False, 50000)
    assert account.told[-2:] == [("refund.created", "refunded"), ("refund.processed", "refunded")]
    assert [refund.created_at for refund in account.world.refunds.values()] == [NOW + THREE_DAYS_S]
    told = list(account.told)
    account.now *= 2
    account.world.pass_time()
    assert account.told == told


def test_the_other_document_has_five_days() -> None:
    """payments/payments/capture-settings/api.md."""
    account = Account()
    account.switch(auto_refund_after_s=5 * 86400)
    payment = account.attempt(account.order(), capture="later")
    account.now = NOW + 5 * 86400 - 1
    account.world.pass_time()
    assert account.world.refunds == {}
    account.now += 1
    account.world.pass_time()
    assert payment.status == "refunded"


def test_captured_money_stays() -> None:
    account = Account()
    payment = account.attempt(account.order())
    account.now = NOW + 366 * 86400
    account.world.pass_time()
    assert (payment.status, payment.amount_refunded) == ("captured", 0)


def test_the_merchant_hears_of_an_automatic_refund_without_asking_for_anything(
    gateway: Gateway, receiver: Receiver
) -> None:
    gateway.control("PUT", "webhook", {"url": receiver.url})
    gateway.control("PUT", "faults", {"auto_refund_after_s": 1})
    gateway.pay(gateway.order()["id"], capture="later")
    arrivals = receiver.wait_for(3)
    assert sorted(arrival.json()["event"] for arrival in arrivals) == [
        "payment.authorized",
        "refund.created",
        "refund.processed",
    ]
    for arrival in arrivals:
        # webhooks/refunds.md, "Identify Auto-Refunds"
        assert arrival.json()["payload"]["payment"]["entity"]["captured"] is False


@pytest.mark.parametrize("call", ["the API", "the control API", "a payment"])
def test_what_is_due_has_happened_before_a_call_is_answered(gateway: Gateway, call: str) -> None:
    payment_id = gateway.pay(gateway.order()["id"], capture="later")["razorpay_payment_id"]
    gateway.control("PUT", "faults", {"auto_refund_after_s": 0})
    match call:
        case "the API":
            assert gateway.sdk.payment.fetch(payment_id)["status"] == "refunded"
        case "the control API":
            assert gateway.control("GET", "ledger")["payments"][0]["status"] == "refunded"
        case _:
            # The authorised payment would have blocked the order.
            order_id = gateway.events()[0]["order_id"]
            assert gateway.try_to_pay(order_id).status_code == 200


# --- payments in progress: payments/payments.md, "created" ---


def test_a_payment_under_way_is_listed_as_created_and_is_no_attempt_yet(gateway: Gateway) -> None:
    """web-integration/standard/integration-steps.md, payment stages: order created while the payment is created."""
    order_id = gateway.order()["id"]
    payment_id = opened(gateway, order_id, method="upi", vpa="success@razorpay")
    [payment] = gateway.sdk.order.payments(order_id)["items"]
    assert (payment["id"], payment["status"], payment["captured"]) == (payment_id, "created", False)
    assert (payment["fee"], payment["error_code"], payment["acquirer_data"]) == (None, None, {"rrn": None})
    order = gateway.sdk.order.fetch(order_id)
    assert (order["status"], order["attempts"], order["amount_paid"]) == ("created", 0, 0)
    assert gateway.sdk.order.all({"authorized": 1})["items"] == []
    assert names(gateway) == []
    with pytest.raises(BadRequestError, match="Only payments which have been authorized"):
        gateway.sdk.payment.capture(payment_id, 50000, {"currency": "INR"})


def test_a_payment_under_way_can_succeed(gateway: Gateway) -> None:
    order_id = gateway.order()["id"]
    payment_id = opened(gateway, order_id)
    fields = gateway.control("POST", f"payments/{payment_id}/finish", {"outcome": "success"})
    assert list(fields) == ["razorpay_payment_id", "razorpay_order_id", "razorpay_signature"]
    assert gateway.sdk.utility.verify_payment_signature(fields) is True
    assert gateway.sdk.payment.fetch(payment_id)["status"] == "captured"
    order = gateway.sdk.order.fetch(order_id)
    assert (order["status"], order["attempts"]) == ("paid", 1)
    assert names(gateway) == ["payment.authorized", "payment.captured", "order.paid"]
    assert "late_authorized" not in gateway.sdk.payment.fetch(payment_id)


def test_a_payment_under_way_can_fail(gateway: Gateway) -> None:
    order_id = gateway.order()["id"]
    payment_id = opened(gateway, order_id, method="netbanking")
    url = f"{gateway.url}/_control/payments/{payment_id}/finish"
    answer = gateway.http.post(url, json={"outcome": "failure"}, timeout=5)
    assert answer.status_code == 400
    assert answer.json()["error"]["metadata"] == {"order_id": order_id, "payment_id": payment_id}
    assert gateway.sdk.payment.fetch(payment_id)["error_reason"] == "payment_failed"
    assert gateway.sdk.order.fetch(order_id)["status"] == "attempted"
    assert names(gateway) == ["payment.failed"]
    again = gateway.http.post(url, json={}, timeout=5)
    assert (again.status_code, again.json()["detail"]) == (
        422,
        f"{payment_id} is failed; only a created payment waits for its bank",
    )


@pytest.mark.parametrize("document", [{"outcome": "late"}, {"force": 1}, {"amount": 5}])
def test_a_payment_under_way_has_no_other_end(gateway: Gateway, document: dict[str, Any]) -> None:
    payment_id = opened(gateway, gateway.order()["id"])
    answer = gateway.http.post(f"{gateway.url}/_control/payments/{payment_id}/finish", json=document, timeout=5)
    assert answer.status_code == 422
    assert gateway.sdk.payment.fetch(payment_id)["status"] == "created"


def test_without_an_answer_in_ten_minutes_a_payment_has_failed() -> None:
    """payments/payments/late-authorisation.md."""
    account = Account()
    order = account.order()
    payment = account.attempt(order, outcome="open")
    account.now = NOW + 599
    account.world.pass_time()
    assert (payment.status, account.told) == ("created", [])
    account.now = NOW + 600
    account.world.pass_time()
    assert payment.failure is not None
    assert (payment.status, payment.failure.reason) == ("failed", "payment_timed_out")
    assert (order.status, order.attempts) == ("attempted", 1)
    assert account.told == [("payment.failed", "failed")]
    account.world.authorize_late(payment)
    assert (payment.status, payment.late_authorized) == ("captured", True)


@pytest.mark.parametrize("force", [False, True])
def test_a_payment_that_succeeds_on_an_order_paid_meanwhile_goes_back_unless_forced(*, force: bool) -> None:
    """payments/payments/late-authorisation/handle.md: one payment is marked against an order, another is refunded."""
    account = Account()
    order = account.order()
    slow = account.attempt(order, outcome="open")
    account.attempt(order)
    account.world.answer(slow, None, force=force)
    assert (slow.status, slow.captured) == (("captured", True) if force else ("refunded", False))
    assert order.amount_paid == 50000
    assert [event for event, _ in account.told].count("order.paid") == 1


# --- late authorisation ---


def test_a_failed_payment_is_authorised_late_at_any_age_and_says_so_from_then_on(gateway: Gateway) -> None:
    """Docs: "Test S2S", Payment States and Late Authorisation, BP-06."""
    order_id = gateway.order()["id"]
    late = gateway.try_to_pay(order_id, outcome="failure").json()["error"]["metadata"]["payment_id"]
    assert "late_authorized" not in gateway.sdk.payment.fetch(late)
    gateway.control("POST", f"payments/{late}/authorize")
    gateway.sdk.payment.refund(late, {"amount": 100})
    assert gateway.sdk.payment.fetch(late)["late_authorized"] is True
    assert gateway.sdk.order.payments(order_id)["items"][0]["late_authorized"] is True
    assert gateway.sdk.payment.all()["items"][0]["late_authorized"] is True
    failed, *later = gateway.events()
    assert '"late_authorized"' not in failed["body"]
    assert [event["event"] for event in later if '"late_authorized":true' not in event["body"]] == []
    assert len(later) == 5


def test_an_old_failed_payment_is_authorised_late_and_captured() -> None:
    account = Account()
    order = account.order()
    failed = account.attempt(order, outcome="failure")
    account.now = NOW + 90 * 86400
    account.world.pass_time()
    account.world.authorize_late(failed)
    assert (failed.status, order.status) == ("captured", "paid")
    assert [found.status for found in account.world.list_orders(OrderQuery())] == ["paid"]


def test_only_a_payment_under_way_is_answered() -> None:
    account = Account()
    paid = account.attempt(account.order())
    told = list(account.told)
    with pytest.raises(ImpossibleError, match="only a created payment waits"):
        account.world.answer(paid, None)
    assert (paid.status, account.told) == ("captured", told)
