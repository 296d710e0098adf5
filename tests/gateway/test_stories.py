"""What happens to payments after the customer has left, and unusual events while they pay."""

import json
from typing import Any

import pytest
import requests
from razorpay.errors import BadRequestError

from tests.gateway.gateway import Gateway

MANUAL = {"payment": {"capture": "manual"}}


def failed(gateway: Gateway, order_id: str) -> str:
    """A payment of the order that failed."""
    answer = gateway.try_to_pay(order_id, method="upi", vpa="failure@razorpay")
    payment_id: str = answer.json()["error"]["metadata"]["payment_id"]
    return payment_id


def told(gateway: Gateway, **query: str) -> list[tuple[str, str, bool]]:
    """Name, payment status and `captured` of each event."""
    events = []
    for event in gateway.events(**query):
        payment = json.loads(event["body"])["payload"]["payment"]["entity"]
        events.append((event["event"], payment["status"], payment["captured"]))
    return events


def refused(gateway: Gateway, method: str, path: str, document: Any = None) -> str:
    """The reason why the control request was refused."""
    answer = requests.request(method, f"{gateway.url}/_control/{path}", json=document, timeout=5)
    assert answer.status_code == 422, answer.text
    detail: str = answer.json()["detail"]
    return detail


# --- late authorisation ---


def test_a_failed_payment_is_authorised_late_and_captured_under_the_same_id(gateway: Gateway) -> None:
    order_id = gateway.order()["id"]
    payment_id = failed(gateway, order_id)
    answer = gateway.control("POST", f"payments/{payment_id}/authorize")
    assert answer == gateway.sdk.payment.fetch(payment_id)
    assert (answer["status"], answer["captured"], answer["error_code"]) == ("captured", True, None)
    assert answer["acquirer_data"]["rrn"] is not None
    assert gateway.sdk.order.fetch(order_id)["status"] == "paid"
    assert told(gateway, payment_id=payment_id) == [
        ("payment.failed", "failed", False),
        ("payment.authorized", "authorized", False),
        ("payment.captured", "captured", True),
        ("order.paid", "captured", True),
    ]


def test_a_late_authorisation_waits_for_a_capture_that_the_order_wants_by_hand(gateway: Gateway) -> None:
    payment_id = failed(gateway, gateway.order(**MANUAL)["id"])
    assert gateway.control("POST", f"payments/{payment_id}/authorize")["status"] == "authorized"
    assert gateway.sdk.payment.capture(payment_id, 50000, {"currency": "INR"})["status"] == "captured"


def test_a_late_authorisation_on_a_paid_order_is_refunded_at_once_without_a_capture(gateway: Gateway) -> None:
    order_id = gateway.order()["id"]
    late = failed(gateway, order_id)
    paid = gateway.pay(order_id)["razorpay_payment_id"]
    gateway.control("POST", f"payments/{late}/authorize")
    payment = gateway.sdk.payment.fetch(late)
    assert (payment["status"], payment["captured"], payment["amount_refunded"]) == ("refunded", False, 50000)
    assert told(gateway, payment_id=late) == [
        ("payment.failed", "failed", False),
        ("payment.authorized", "authorized", False),
        ("refund.created", "refunded", False),
        ("refund.processed", "refunded", False),
    ]
    order = gateway.sdk.order.fetch(order_id)
    assert (order["status"], order["amount_paid"]) == ("paid", 50000)
    assert gateway.sdk.payment.fetch(paid)["status"] == "captured"


def test_a_late_authorisation_on_a_paid_order_can_be_forced_into_a_duplicate_capture(gateway: Gateway) -> None:
    order_id = gateway.order()["id"]
    late = failed(gateway, order_id)
    gateway.pay(order_id)
    assert gateway.control("POST", f"payments/{late}/authorize", {"force": True})["status"] == "captured"
    assert gateway.sdk.order.fetch(order_id)["amount_paid"] == 50000


def test_only_a_failed_payment_is_authorised_late(gateway: Gateway) -> None:
    payment_id = gateway.pay(gateway.order()["id"])["razorpay_payment_id"]
    before = gateway.events()
    assert "only a failed payment" in refused(gateway, "POST", f"payments/{payment_id}/authorize")
    late = failed(gateway, gateway.order()["id"])
    assert "force captures on a paid order" in refused(gateway, "POST", f"payments/{late}/authorize", {"force": True})
    assert "force can be" in refused(gateway, "POST", f"payments/{late}/authorize", {"force": 1})
    assert "unknown fields: when; there are: force" in refused(
        gateway, "POST", f"payments/{late}/authorize", {"when": "now"}
    )
    assert gateway.events()[:-1] == before


# --- captures that come later, or never ---


def test_a_payment_can_wait_for_its_capture_whatever_the_order_says(gateway: Gateway) -> None:
    order_id = gateway.order()["id"]
    payment_id = gateway.pay(order_id, capture="later")["razorpay_payment_id"]
    assert gateway.sdk.payment.fetch(payment_id)["status"] == "authorized"
    assert gateway.sdk.order.fetch(order_id)["status"] == "attempted"
    assert gateway.control("POST", f"payments/{payment_id}/capture")["status"] == "captured"
    assert [name for name, _, _ in told(gateway)] == ["payment.authorized", "payment.captured", "order.paid"]
    assert "only an authorized payment" in refused(gateway, "POST", f"payments/{payment_id}/capture")


def test_a_payment_can_be_captured_at_once_whatever_the_order_says(gateway: Gateway) -> None:
    payment_id = gateway.pay(gateway.order(**MANUAL)["id"], capture="now")["razorpay_payment_id"]
    assert gateway.sdk.payment.fetch(payment_id)["status"] == "captured"


def test_what_is_never_captured_is_refunded_by_itself_and_the_order_stays_payable(gateway: Gateway) -> None:
    order_id = gateway.order()["id"]
    payment_id = gateway.pay(order_id, capture="later")["razorpay_payment_id"]
    refund = gateway.control("POST", f"payments/{payment_id}/auto_refund")
    assert (refund["payment_id"], refund["amount"], refund["status"]) == (payment_id, 50000, "processed")
    assert told(gateway, payment_id=payment_id)[1:] == [
        ("refund.created", "refunded", False),
        ("refund.processed", "refunded", False),
    ]
    assert gateway.sdk.payment.fetch_multiple_refund(payment_id)["count"] == 1
    assert gateway.sdk.order.fetch(order_id)["status"] == "attempted"
    assert "only an authorized payment" in refused(gateway, "POST", f"payments/{payment_id}/auto_refund")
    with pytest.raises(BadRequestError, match="authorized and not yet captured"):
        gateway.sdk.payment.capture(payment_id, 50000, {"currency": "INR"})
    gateway.pay(order_id)


# --- payments that the order does not foresee ---


def test_a_payment_can_be_forced_on_a_paid_order_which_is_told_as_paid_once(gateway: Gateway) -> None:
    order_id = gateway.order()["id"]
    first = gateway.pay(order_id)["razorpay_payment_id"]
    second = gateway.pay(order_id, force=True)["razorpay_payment_id"]
    assert first != second
    assert {payment["status"] for payment in gateway.sdk.order.payments(order_id)["items"]} == {"captured"}
    order = gateway.sdk.order.fetch(order_id)
    assert (order["status"], order["attempts"], order["amount_paid"], order["amount_due"]) == ("paid", 2, 50000, 0)
    assert [name for name, _, _ in told(gateway, payment_id=second)] == ["payment.authorized", "payment.captured"]


def test_two_authorised_payments_of_one_order_can_both_be_captured_by_force(gateway: Gateway) -> None:
    order_id = gateway.order(**MANUAL)["id"]
    first = gateway.pay(order_id)["razorpay_payment_id"]
    second = gateway.pay(order_id, force=True)["razorpay_payment_id"]
    gateway.sdk.payment.capture(first, 50000, {"currency": "INR"})
    with pytest.raises(BadRequestError, match="already paid"):
        gateway.sdk.payment.capture(second, 50000, {"currency": "INR"})
    assert "force makes a duplicate capture" in refused(gateway, "POST", f"payments/{second}/capture")
    assert gateway.control("POST", f"payments/{second}/capture", {"force": True})["captured"] is True


def test_a_failed_attempt_leaves_a_paid_order_paid(gateway: Gateway) -> None:
    order_id = gateway.order()["id"]
    gateway.pay(order_id)
    assert gateway.try_to_pay(order_id, force=True, outcome="failure").status_code == 400
    assert gateway.sdk.order.fetch(order_id)["status"] == "paid"


@pytest.mark.parametrize(
    ("how", "amount", "currency"),
    [
        ({"amount": 51180}, 51180, "INR"),
        ({"amount": 49999}, 49999, "INR"),
        ({"amount": 612, "currency": "USD"}, 612, "USD"),
    ],
)
def test_a_payment_can_be_of_another_sum_than_its_order(
    gateway: Gateway, how: dict[str, Any], amount: int, currency: str
) -> None:
    order_id = gateway.order()["id"]
    payment = gateway.sdk.payment.fetch(gateway.pay(order_id, **how)["razorpay_payment_id"])
    assert (payment["status"], payment["amount"], payment["currency"]) == ("captured", amount, currency)
    order = gateway.sdk.order.fetch(order_id)
    assert (order["status"], order["amount"], order["amount_paid"], order["amount_due"]) == ("paid", 50000, 50000, 0)
    for event in gateway.events(order_id=order_id):
        entity = json.loads(event["body"])["payload"]["payment"]["entity"]
        assert (entity["amount"], entity["currency"]) == (amount, currency)


# --- refunds in progress ---


def test_a_refund_can_stay_pending_until_it_is_processed(gateway: Gateway) -> None:
    gateway.control("PUT", "faults", {"refunds": "pending"})
    payment_id = gateway.pay(gateway.order()["id"])["razorpay_payment_id"]
    refund = gateway.sdk.payment.refund(payment_id, {"amount": 20000})
    assert refund["status"] == "pending"
    assert gateway.sdk.payment.fetch(payment_id)["amount_refunded"] == 20000
    assert [event["event"] for event in gateway.events(payment_id=payment_id)][3:] == ["refund.created"]

    processed = gateway.control("PUT", f"refunds/{refund['id']}", {"status": "processed"})
    assert processed == gateway.sdk.refund.fetch(refund["id"]) == refund | {"status": "processed"}
    bodies = [json.loads(event["body"])["payload"]["refund"]["entity"] for event in gateway.events()[3:]]
    assert [body["status"] for body in bodies] == ["pending", "processed"]
    assert [body["acquirer_data"]["arn"] is None for body in bodies] == [True, False]
    assert "only a pending refund" in refused(gateway, "PUT", f"refunds/{refund['id']}", {"status": "failed"})


def test_a_refund_that_fails_gives_the_money_back_to_the_payment(gateway: Gateway) -> None:
    gateway.control("PUT", "faults", {"refunds": "pending"})
    payment_id = gateway.pay(gateway.order()["id"])["razorpay_payment_id"]
    refund = gateway.sdk.payment.refund(payment_id, {})
    assert gateway.sdk.payment.fetch(payment_id)["status"] == "refunded"
    gateway.control("PUT", f"refunds/{refund['id']}", {"status": "failed"})
    payment = gateway.sdk.payment.fetch(payment_id)
    assert (payment["status"], payment["amount_refunded"], payment["refund_status"]) == ("captured", 0, None)
    assert told(gateway)[-1] == ("refund.failed", "captured", True)

    gateway.control("PUT", "faults", {"refunds": "processed"})
    gateway.sdk.payment.refund(payment_id, {})
    shown = gateway.sdk.payment.fetch_multiple_refund(payment_id)["items"]
    assert [refund["status"] for refund in shown] == ["failed", "processed"]


def test_a_refund_repeated_under_its_key_shows_the_refund_as_it_is_now(gateway: Gateway) -> None:
    gateway.control("PUT", "faults", {"refunds": "pending"})
    payment_id = gateway.pay(gateway.order()["id"])["razorpay_payment_id"]
    headers = {"headers": {"X-Refund-Idempotency": "one-refund-and-no-more"}}
    refund = gateway.sdk.payment.refund(payment_id, {"amount": 20000}, **headers)
    gateway.control("PUT", f"refunds/{refund['id']}", {"status": "processed"})
    assert gateway.sdk.payment.refund(payment_id, {"amount": 20000}, **headers)["status"] == "processed"
    assert gateway.sdk.payment.fetch(payment_id)["amount_refunded"] == 20000


def test_a_refund_has_no_other_outcome(gateway: Gateway) -> None:
    gateway.control("PUT", "faults", {"refunds": "pending"})
    payment_id = gateway.pay(gateway.order()["id"])["razorpay_payment_id"]
    refund_id = gateway.sdk.payment.refund(payment_id, {})["id"]
    assert refused(gateway, "PUT", f"refunds/{refund_id}", {}) == "status can be: processed, failed"
    assert "unknown fields: state" in refused(gateway, "PUT", f"refunds/{refund_id}", {"state": "failed"})
    with pytest.raises(BadRequestError, match="The id provided does not exist"):
        gateway.sdk.refund.fetch("rfnd_00000000000000")
    with pytest.raises(BadRequestError, match="rfnd_1 is not a valid id"):
        gateway.sdk.refund.fetch("rfnd_1")


# --- an order's age ---


def test_an_order_can_be_made_older_and_is_then_listed_and_fetched_as_one_of_its_age(gateway: Gateway) -> None:
    old, young = gateway.order()["id"], gateway.order()["id"]
    age_s = 40 * 86400
    created_at = gateway.control("PUT", f"orders/{old}", {"age_s": age_s})["created_at"]
    assert gateway.sdk.order.fetch(old)["created_at"] == created_at
    assert abs(gateway.sdk.order.fetch(young)["created_at"] - created_at - age_s) <= 2
    listed = gateway.sdk.order.all({"from": created_at - 60, "to": created_at + 60})["items"]
    assert [order["id"] for order in listed] == [old]
    # Newest first.
    assert [order["id"] for order in gateway.sdk.order.all()["items"]] == [young, old]


def test_an_age_that_razorpay_shows_no_order_of_is_refused(gateway: Gateway) -> None:
    order_id = gateway.order()["id"]
    for age_s in (-1, 180 * 86400 + 1, 1.5, True, None):
        assert "age_s" in refused(gateway, "PUT", f"orders/{order_id}", {"age_s": age_s})
