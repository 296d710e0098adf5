"""Sums that differ from the order's (customer fees, offers), and refunds that take another course."""

import json
from typing import Any

import pytest
from razorpay.errors import BadRequestError

from tests.gateway.gateway import Gateway
from tests.gateway.receiver import Receiver

FEE, TAX = 1180, 180
"""For 500.00: two percent, plus 18 percent tax on that."""


def last_payment(gateway: Gateway, event: str) -> Any:
    [told] = gateway.events(event=event)
    return json_of(told)["payload"]["payment"]["entity"]


def json_of(event: dict[str, Any]) -> Any:
    return json.loads(event["body"])


# --- a fee that the customer bears: payments/dashboard/account-settings/configuration/convenience-fees.md ---


def test_a_customer_who_bears_the_fee_pays_it_in_addition_to_the_order(gateway: Gateway) -> None:
    gateway.control("PUT", "faults", {"fee_bearer": "customer"})
    order_id = gateway.order()["id"]
    payment_id = gateway.pay(order_id)["razorpay_payment_id"]
    payment, order = gateway.sdk.payment.fetch(payment_id), gateway.sdk.order.fetch(order_id)
    assert (payment["amount"], payment["fee"], payment["tax"]) == (50000 + FEE, FEE, TAX)
    assert (order["status"], order["amount"], order["amount_paid"], order["amount_due"]) == ("paid", 50000, 50000, 0)
    for event in ("payment.captured", "order.paid"):
        told = last_payment(gateway, event)
        assert (told["amount"], told["fee"], told["tax"]) == (50000 + FEE, FEE, TAX)


def test_a_capture_is_over_what_was_authorised_the_customers_fee_included(gateway: Gateway) -> None:
    gateway.control("PUT", "faults", {"fee_bearer": "customer"})
    payment_id = gateway.pay(gateway.order(payment={"capture": "manual"})["id"])["razorpay_payment_id"]
    with pytest.raises(BadRequestError, match="must be equal to the amount authorized"):
        gateway.sdk.payment.capture(payment_id, 50000, {"currency": "INR"})
    assert gateway.sdk.payment.capture(payment_id, 50000 + FEE, {"currency": "INR"})["fee"] == FEE


def test_only_inr_knows_a_fee_that_the_customer_bears(gateway: Gateway) -> None:
    gateway.control("PUT", "faults", {"fee_bearer": "customer"})
    payment_id = gateway.pay(gateway.order(currency="USD")["id"])["razorpay_payment_id"]
    assert gateway.sdk.payment.fetch(payment_id)["amount"] == 50000


def test_by_default_the_platform_bears_the_fee_and_it_is_known_at_once(gateway: Gateway) -> None:
    payment_id = gateway.pay(gateway.order()["id"])["razorpay_payment_id"]
    payment = gateway.sdk.payment.fetch(payment_id)
    assert (payment["amount"], payment["fee"], payment["tax"]) == (50000, FEE, TAX)


@pytest.mark.parametrize(("bearer", "amount"), [("customer", 50000 + FEE), ("platform", 50000)])
def test_a_fee_can_be_reported_later_than_its_payment(gateway: Gateway, bearer: str, amount: int) -> None:
    gateway.control("PUT", "faults", {"fee_bearer": bearer, "fee_reported": "later"})
    order_id = gateway.order()["id"]
    payment_id = gateway.pay(order_id)["razorpay_payment_id"]
    told = last_payment(gateway, "payment.captured")
    assert (told["amount"], told["fee"], told["tax"]) == (amount, None, None)
    assert gateway.sdk.payment.fetch(payment_id)["fee"] is None
    events = len(gateway.events())
    assert gateway.control("POST", f"payments/{payment_id}/fee")["fee"] == FEE
    for shown in (
        gateway.sdk.payment.fetch(payment_id),
        gateway.sdk.payment.all()["items"][0],
        gateway.sdk.order.payments(order_id)["items"][0],
    ):
        assert (shown["amount"], shown["fee"], shown["tax"]) == (amount, FEE, TAX)
    assert len(gateway.events()) == events
    assert gateway.control("GET", "ledger")["story"][-1]["what"] == "payment.fee_reported"


def test_only_captured_money_has_a_fee_and_it_is_reported_once(gateway: Gateway) -> None:
    for how, complaint in (({"capture": "later"}, "was never captured"), ({}, "is already reported")):
        payment_id = gateway.pay(gateway.order()["id"], **how)["razorpay_payment_id"]
        answer = gateway.http.post(f"{gateway.url}/_control/payments/{payment_id}/fee", timeout=5)
        assert answer.status_code == 422
        assert complaint in answer.json()["detail"]


# --- offers: razorpay-magento#220, an order of 9000 paid by 8000 ---


def test_an_offer_pays_an_order_by_less_than_its_amount(gateway: Gateway) -> None:
    order_id = gateway.order()["id"]
    payment_id = gateway.pay(order_id, offer=5000)["razorpay_payment_id"]
    payment, order = gateway.sdk.payment.fetch(payment_id), gateway.sdk.order.fetch(order_id)
    assert (payment["status"], payment["amount"]) == ("captured", 45000)
    assert (order["status"], order["amount"]) == ("paid", 50000)
    offer_id = order["offer_id"]
    assert offer_id.startswith("offer_")
    assert order["offers"] == [offer_id]  # api/orders/fetch-with-id.md
    # api/payments/fetch-payment-expanded-offers.md
    expanded = gateway.http.get(
        f"{gateway.url}/v1/payments/{payment_id}",
        params={"expand[]": "offers"},
        auth=(gateway.settings.key_id, gateway.settings.key_secret),
        timeout=5,
    ).json()
    assert expanded["offers"] == {"entity": "collection", "count": 1, "items": [{"id": offer_id}]}
    assert "offers" not in payment
    [told] = gateway.events(event="order.paid")
    assert json_of(told)["payload"]["order"]["entity"]["offer_id"] == offer_id


def test_an_offer_on_a_payment_that_fails_leaves_the_order_without_one(gateway: Gateway) -> None:
    order_id = gateway.order()["id"]
    gateway.try_to_pay(order_id, offer=5000, outcome="failure")
    order = gateway.sdk.order.fetch(order_id)
    assert (order["offer_id"], "offers" in order) == (None, False)


@pytest.mark.parametrize(
    ("bearer", "currency", "how", "complaint"),
    [
        ("customer", "INR", {}, "cannot be combined"),  # payments/offers/faqs.md, 3
        ("platform", "USD", {}, "cannot be combined"),  # payments/offers.md
        ("platform", "INR", {"offer": 50000}, "must leave something to pay"),
        ("platform", "INR", {"offer": 0}, "offer must be a whole number"),
        ("platform", "INR", {"amount": 40000}, "do not give another amount or currency"),
        ("platform", "INR", {"currency": "USD"}, "do not give another amount or currency"),
    ],
)
def test_an_offer_that_cannot_be_changes_nothing(
    gateway: Gateway, bearer: str, currency: str, how: dict[str, Any], complaint: str
) -> None:
    gateway.control("PUT", "faults", {"fee_bearer": bearer})
    order_id = gateway.order(currency=currency)["id"]
    answer = gateway.try_to_pay(order_id, **{"offer": 5000} | how)
    assert answer.status_code == 422
    assert complaint in answer.json()["detail"]
    assert gateway.sdk.order.payments(order_id)["count"] == 0


# --- refunds ---


def test_the_documented_instant_refund_that_fails_falls_back_to_normal_speed(gateway: Gateway) -> None:
    """Docs: "Test S2S", Refunds: a refund of 24.68 at speed optimum."""
    payment_id = gateway.pay(gateway.order()["id"])["razorpay_payment_id"]
    refund = gateway.sdk.payment.refund(payment_id, {"amount": 2468, "speed": "optimum"})
    assert (refund["status"], refund["speed_requested"], refund["speed_processed"]) == (
        "processed",
        "optimum",
        "normal",
    )
    told = [event for event in gateway.events() if event["refund_id"] == refund["id"]]
    assert [event["event"] for event in told] == ["refund.created", "refund.speed_changed", "refund.processed"]
    speeds = [json_of(event)["payload"]["refund"]["entity"]["speed_processed"] for event in told]
    assert speeds == ["instant", "normal", "normal"]  # webhooks/refunds.md: changed "from instant to normal"


@pytest.mark.parametrize("asked", [{"amount": 2468}, {"amount": 2469, "speed": "optimum"}])
def test_other_refunds_keep_their_speed(gateway: Gateway, asked: dict[str, Any]) -> None:
    payment_id = gateway.pay(gateway.order()["id"])["razorpay_payment_id"]
    assert gateway.sdk.payment.refund(payment_id, asked)["speed_processed"] == "normal"
    assert gateway.events(event="refund.speed_changed") == []


def test_a_slower_refund_can_still_be_pending(gateway: Gateway) -> None:
    gateway.control("PUT", "faults", {"refunds": "pending"})
    payment_id = gateway.pay(gateway.order()["id"])["razorpay_payment_id"]
    refund = gateway.sdk.payment.refund(payment_id, {"amount": 2468, "speed": "optimum"})
    assert (refund["status"], refund["speed_processed"]) == ("pending", "normal")
    assert gateway.events(event="refund.processed") == []


def test_a_refund_without_the_money_for_it_is_refused_like_a_mistake_and_changes_nothing(gateway: Gateway) -> None:
    """razorpay-node#454: the cause was the account's balance, so the same refund goes through later."""
    payment_id = gateway.pay(gateway.order()["id"])["razorpay_payment_id"]
    gateway.control("PUT", "faults", {"balance": "insufficient"})
    answer = gateway.http.post(
        f"{gateway.url}/v1/payments/{payment_id}/refund",
        json={"amount": 100},
        auth=(gateway.settings.key_id, gateway.settings.key_secret),
        timeout=5,
    )
    assert answer.status_code == 400
    assert answer.json()["error"] == {
        "code": "BAD_REQUEST_ERROR",
        "description": "invalid request sent",
        "source": "NA",
        "step": "NA",
        "reason": "NA",
        "metadata": {},
    }
    assert gateway.sdk.payment.fetch(payment_id)["amount_refunded"] == 0
    gateway.control("PUT", "faults", {"balance": "enough"})
    assert gateway.sdk.payment.refund(payment_id, {"amount": 100})["amount"] == 100


# --- the largest event: api/orders/create.md, 15 notes of 256 characters ---


def test_an_event_with_the_most_notes_is_sent_whole_and_is_over_64_kib(gateway: Gateway, receiver: Receiver) -> None:
    notes = {f"key {number:02d}": "\N{FACE WITH TEARS OF JOY}" * 256 for number in range(15)}
    gateway.control("PUT", "webhook", {"url": receiver.url})
    order = gateway.order(notes=notes)
    assert order["notes"] == notes
    gateway.pay(order["id"], notes=notes)
    arrivals = {arrival.json()["event"]: arrival for arrival in receiver.wait_for(3)}
    paid = arrivals["order.paid"]
    assert len(paid.body) > 64 * 1024
    assert rb"\ud83d\ude02" in paid.body
    for name in ("order", "payment"):
        assert paid.json()["payload"][name]["entity"]["notes"] == notes
    assert gateway.sdk.utility.verify_webhook_signature(
        paid.body.decode(), paid.headers["X-Razorpay-Signature"], gateway.settings.webhook_secret
    )
