"""Razorpay's order scenarios (Test S2S, "Test Order Creation"), as far as we know their text.

A test's name starts with the scenarios it tests; docs/conformance.md says what each requires.
"""

from typing import Any

import pytest

from sandbox.development import RAZORPAY_KEY_ID
from tests.conformance.shop import Shop

LARGEST_ID = 2**53 - 1


def test_ord_01_an_order_is_made_on_the_server_and_its_id_is_all_that_checkout_gets(shop: Shop) -> None:
    answer = shop.create_order(amount="1.00")
    order_id = answer.body["order_id"]

    [order] = shop.ledger(order_id)["orders"]
    assert order["status"] == "created"
    assert (order["amount"], order["amount_due"], order["amount_paid"], order["attempts"]) == (100, 100, 0, 0)
    assert shop.record(order_id)["receipt"] == order["receipt"]
    assert answer.status == 201
    assert answer.body == {
        "order_id": order_id,
        "amount": 100,
        "currency": "INR",
        "status": "created",
        "payment_id": 1,
        "key_id": RAZORPAY_KEY_ID,
    }
    assert shop.told(order_id) == []


def test_ord_02_ord_03_one_order_goes_from_created_over_a_failed_attempt_to_paid(shop: Shop) -> None:
    shop.listen()
    order_id = shop.order()

    shop.fail_to_pay(order_id)
    shop.wait_until_delivered()
    assert (shop.ledger(order_id)["orders"][0]["status"], shop.payment(order_id)[0]) == ("attempted", "failed")
    again = shop.create_order()
    assert (again.status, again.body["order_id"]) == (200, order_id)

    shop.pay(order_id)
    shop.wait_until_delivered()
    assert (shop.ledger(order_id)["orders"][0]["status"], shop.payment(order_id)) == ("paid", ("paid", True, 0))
    assert shop.published() == ["payment.failed", "payment.paid"]
    assert shop.standin.try_to_pay(order_id).json()["error"]["reason"] == "order_already_paid"
    assert shop.create_order().code == "already_paid"


def test_ord_05_bp_07_a_create_whose_answer_is_lost_and_tried_again_leaves_one_payable_order(shop: Shop) -> None:
    shop.listen()
    shop.break_razorpay("answer_lost", "POST /v1/orders", times=1)
    lost = shop.create_order()
    assert (lost.status, lost.code) == (503, "gateway_unavailable")
    assert "Retry-After" in lost.headers

    order_id = shop.order()
    repeated = shop.create_order()
    assert (repeated.status, repeated.body["order_id"]) == (200, order_id)

    # Razorpay also has the lost one, under a different receipt; nobody ever received its id.
    orders = shop.ledger()["orders"]
    assert len(orders) == len({order["receipt"] for order in orders}) == 2
    assert [key for key in shop.cloud.items() if key.startswith("order#")] == [f"order#{order_id}"]

    shop.pay(order_id)
    shop.wait_until_delivered()
    assert shop.create_order().code == "already_paid"
    assert shop.published() == ["payment.paid"]


# --- the page's other subject: Razorpay's validation ---


@pytest.mark.parametrize(
    "offer",
    [
        {"amount": "1.00"},
        {"amount": 1},
        {"amount": 499.5},
        {"amount": "99999999.99"},
        {**dict.fromkeys(("job_id", "application_id", "client_id"), LARGEST_ID), "freelancer_id": LARGEST_ID - 1},
    ],
    ids=["least", "integer", "decimals", "most", "longest notes"],
)
def test_whatever_the_service_asks_for_passes_razorpays_validation(shop: Shop, offer: dict[str, Any]) -> None:
    shop.standin.control("PUT", "faults", {"duplicate_receipts": "refuse"})
    shop.order(**offer)
    shop.order(**offer | {"application_id": 13})
    assert {order["status"] for order in shop.ledger()["orders"]} == {"created"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"amount": 0.99},
        {"amount": 0},
        {"amount": -1},
        {"amount": "1.001"},
        {"amount": "one"},
        {"amount": None},
        {"amount": True},
        {"currency": "XYZ"},
        {"currency": "inr"},
        {"currency": "USD"},
        {"transfers": []},
    ],
    ids=lambda wrong: "-".join(f"{name} {value}" for name, value in wrong.items()),
)
def test_what_razorpay_would_refuse_is_refused_before_it_is_asked(shop: Shop, wrong: dict[str, Any]) -> None:
    shop.break_razorpay("500")
    answer = shop.create_order(**wrong)
    assert (answer.status, answer.code) == (400, "invalid_request")
    assert shop.faults_met() == 0
    assert shop.cloud.requests == []
