from collections.abc import Callable
from typing import Any

import pytest
import requests
from razorpay.errors import BadRequestError

from sandbox.gateway import world
from sandbox.gateway.refusals import Refusal
from tests.gateway.account import NOW, Account
from tests.gateway.gateway import Gateway

Sample = Callable[[str], Any]
UNKNOWN_PAYMENT = "pay_00000000000000"


@pytest.fixture
def captured(gateway: Gateway) -> str:
    """A captured payment of 500.00."""
    return gateway.pay(gateway.order()["id"])["razorpay_payment_id"]


def call(gateway: Gateway, method: str, path: str, **arguments: Any) -> requests.Response:
    arguments.setdefault("auth", (gateway.settings.key_id, gateway.settings.key_secret))
    return gateway.http.request(method, f"{gateway.url}/v1/{path}", timeout=5, **arguments)


# --- keys ---


def test_a_wrong_key_id_gets_the_documented_refusal(gateway: Gateway, sample: Sample) -> None:
    """api/orders/fetch-all.md."""
    answer = call(gateway, "GET", "orders", auth=("rzp_test_other", gateway.settings.key_secret))
    assert answer.status_code == 400
    assert answer.json() == sample("api.key.refused")


def test_a_wrong_secret_gets_the_same_about_the_secret(gateway: Gateway, sample: Sample) -> None:
    """api/partners/errors.md."""
    answer = call(gateway, "GET", "orders", auth=(gateway.settings.key_id, "another secret"))
    assert answer.status_code == 400
    documented = sample("api.key.refused")["error"]
    assert answer.json()["error"] == documented | {"description": "The api secret provided is invalid"}


def test_a_wrong_secret_is_a_bad_request_error_to_the_sdk(gateway: Gateway) -> None:
    client = gateway.client(gateway.settings.key_id, "another secret")
    with pytest.raises(BadRequestError, match="The api secret provided is invalid"):
        client.order.all()
    client.session.close()


@pytest.mark.parametrize("header", ["", "Bearer abc", "Basic !!!", "Basic /w=="])
def test_an_unusable_authorization_header_is_refused(gateway: Gateway, sample: Sample, header: str) -> None:
    """api/orders/create.md, errors: 400."""
    answer = requests.get(f"{gateway.url}/v1/orders", headers={"Authorization": header}, timeout=5)
    assert answer.status_code == 400
    documented = sample("api.key.refused")["error"]
    assert answer.json()["error"] == documented | {"description": "Authentication failed"}


def test_wrong_keys_can_be_401_as_the_other_document_has_it(gateway: Gateway, sample: Sample) -> None:
    """api/understand.md."""
    gateway.control("PUT", "faults", {"key_errors": "401"})
    key_id, key_secret = gateway.settings.key_id, gateway.settings.key_secret
    answers = [call(gateway, "GET", "orders", auth=auth) for auth in (("other", key_secret), (key_id, "other"))]
    answers.append(requests.get(f"{gateway.url}/v1/orders", timeout=5))
    assert [answer.status_code for answer in answers] == [401, 401, 401]
    assert answers[0].json() == sample("api.key.refused")
    assert call(gateway, "GET", "orders").status_code == 200


def test_an_unknown_route_is_answered_400_in_razorpays_words(gateway: Gateway) -> None:
    for method, path in (("GET", "nothing"), ("DELETE", "orders"), ("POST", "orders/")):
        answer = call(gateway, method, path)
        assert answer.status_code == 400
        assert answer.json()["error"]["description"] == "The requested URL was not found on the server."


# --- orders ---


def test_an_order_looks_as_documented(gateway: Gateway, sample: Sample) -> None:
    documented = sample("api.order.created")
    order = gateway.sdk.order.create(
        {"amount": 5000, "currency": "INR", "receipt": "receipt#1", "notes": documented["notes"]}
    )
    assert list(order) == list(documented)
    assert order | {"id": "", "created_at": 0} == documented | {"id": "", "created_at": 0}


def test_empty_notes_are_an_empty_list(gateway: Gateway) -> None:
    assert gateway.order()["notes"] == []
    assert gateway.order(notes={})["notes"] == []


def test_ids_have_razorpays_shape_and_are_never_reused(gateway: Gateway) -> None:
    ids = {gateway.order()["id"] for _ in range(50)}
    assert len(ids) == 50
    for order_id in ids:
        prefix, _, rest = order_id.partition("_")
        assert prefix == "order"
        assert len(rest) == 14
        assert rest.isalnum()
        assert rest.isascii()


@pytest.mark.parametrize(
    ("fields", "description", "field"),
    [
        ({"amount": 99}, "The amount must be at least INR 1.00", "amount"),
        ({"amount": 100.5}, "The amount must be an integer.", "amount"),
        ({"amount": True}, "The amount must be an integer.", "amount"),
        ({"amount": "50000"}, "The amount must be an integer.", "amount"),
        ({"amount": None}, "The amount field is required.", "amount"),
        ({"currency": None}, "The currency field is required.", "currency"),
        ({"currency": "inr"}, "Currency is not supported", "currency"),
        ({"currency": "KWD", "amount": 99991}, "The last digit of an amount in KWD must be 0.", "amount"),
        ({"receipt": "r" * 41}, "The receipt may not be greater than 40 characters.", "receipt"),
        (
            {"notes": {str(number): "x" for number in range(16)}},
            "The number of fields in notes should be less than or equal to 15",
            "notes",
        ),
        ({"notes": {"k": "x" * 257}}, "Notes key and value length should not exceed 256 characters", "notes"),
        ({"notes": {"k": {}}}, "Notes values themselves should not be an array", "notes"),
        ({"expire_by": 1}, "expire_by is/are not required and should not be sent", None),
        ({"a": 1, "b": 2}, "a, b is/are not required and should not be sent", None),
        ({"payment": {"capture": "later"}}, "The selected payment.capture is invalid.", "capture"),
        ({"unique_receipt": 1}, "The unique receipt field must be true or false.", "unique_receipt"),
    ],
)
def test_an_order_that_breaks_a_rule_is_refused(
    gateway: Gateway, sample: Sample, fields: dict[str, Any], description: str, field: str | None
) -> None:
    body = {"amount": 50000, "currency": "INR"} | fields
    answer = call(gateway, "POST", "orders", json={name: value for name, value in body.items() if value is not None})
    expected = sample("api.order.refused")["error"] | {"description": description, "field": field}
    if field is None:
        del expected["field"]
    assert answer.status_code == 400
    assert answer.json() == {"error": expected}
    with pytest.raises(BadRequestError, match="^" + description.replace(".", r"\.") + "$"):
        gateway.sdk.order.create(body if None not in body.values() else {k: v for k, v in body.items() if v})


def test_limits_are_inclusive(gateway: Gateway) -> None:
    order = gateway.order(amount=100, receipt="r" * 40, notes={str(number): "x" * 256 for number in range(15)})
    assert order["amount"] == 100
    assert len(order["notes"]) == 15


def test_a_body_that_is_no_json_object_is_refused(gateway: Gateway) -> None:
    for body in (b"{", b"[]", b"\xff", b"[" * 100_000):
        assert call(gateway, "POST", "orders", data=body).status_code == 400


def test_the_same_receipt_makes_another_order_unless_switched_off(gateway: Gateway) -> None:
    first, second = gateway.order(receipt="r-1"), gateway.order(receipt="r-1")
    assert first["id"] != second["id"]
    gateway.control("PUT", "faults", {"duplicate_receipts": "refuse"})
    answer = call(gateway, "POST", "orders", json={"amount": 50000, "currency": "INR", "receipt": "r-1"})
    assert answer.status_code == 400
    # docs: "Test S2S", error index, Orders, "Reuse a receipt already on your account"
    assert answer.json()["error"] == {
        "code": "BAD_REQUEST_ERROR",
        "description": "Order receipt should be unique.",
        "source": "business",
        "step": "payment_initiation",
        "reason": "input_validation_failed",
        "metadata": {},
    }
    assert gateway.order(receipt="r-2")["receipt"] == "r-2"


@pytest.mark.parametrize("duplicates", ["accept", "refuse"])
def test_a_creation_repeated_with_unique_receipt_answers_with_the_first_order(
    gateway: Gateway, duplicates: str
) -> None:
    """Docs: "Test S2S", Retries and Idempotency, BP-07."""
    gateway.control("PUT", "faults", {"duplicate_receipts": duplicates})
    first = gateway.order(receipt="r-1", unique_receipt=True)
    assert gateway.order(receipt="r-1", unique_receipt=True) == first
    assert gateway.order(receipt="r-2", unique_receipt=True)["id"] != first["id"]
    assert gateway.sdk.order.all()["count"] == 2


def test_an_order_over_the_accounts_maximum_is_refused(gateway: Gateway) -> None:
    """api/payments/recurring-payments/cards/create-subsequent-payments.md has the words, orders/create.md the field."""
    gateway.control("PUT", "faults", {"max_amount": 50000})
    assert gateway.order(amount=50000)["status"] == "created"
    answer = call(gateway, "POST", "orders", json={"amount": 50001, "currency": "INR"})
    assert answer.status_code == 400
    assert answer.json()["error"] == {
        "code": "BAD_REQUEST_ERROR",
        "description": "Amount exceeds maximum amount allowed",
        "source": "business",
        "step": "payment_initiation",
        "reason": "input_validation_failed",
        "metadata": {},
        "field": "amount",
    }
    gateway.control("PUT", "faults", {"max_amount": None})
    assert gateway.order(amount=50001)["status"] == "created"


def test_orders_are_listed_newest_first_by_page_and_by_part_of_the_receipt(gateway: Gateway) -> None:
    ids = [gateway.order(receipt=f"local-{number}")["id"] for number in range(12)]
    listed = gateway.sdk.order.all()
    assert (listed["entity"], listed["count"]) == ("collection", 10)
    assert [order["id"] for order in listed["items"]] == ids[:1:-1]
    assert [order["id"] for order in gateway.sdk.order.all({"count": 3, "skip": 9})["items"]] == [
        ids[2],
        ids[1],
        ids[0],
    ]
    found = gateway.sdk.order.all({"receipt": "local-1"})["items"]
    assert [order["receipt"] for order in found] == ["local-11", "local-10", "local-1"]
    assert gateway.sdk.order.all({"receipt": "other"}) == {"entity": "collection", "count": 0, "items": []}


def test_orders_are_listed_by_whether_a_payment_was_authorised(gateway: Gateway) -> None:
    failed, paid = gateway.order()["id"], gateway.order()["id"]
    gateway.try_to_pay(failed, outcome="failure")
    gateway.pay(paid)
    assert [order["id"] for order in gateway.sdk.order.all({"authorized": 1})["items"]] == [paid]
    assert [order["id"] for order in gateway.sdk.order.all({"authorized": 0})["items"]] == [failed]
    expanded = gateway.sdk.order.all({"authorized": 1, "expand[]": "payments"})["items"][0]
    assert expanded["payments"]["count"] == 1


@pytest.mark.parametrize("query", [{"count": 101}, {"count": 0}, {"skip": "x"}, {"sort": "asc"}, {"authorized": 2}])
def test_an_impossible_query_is_refused(gateway: Gateway, query: dict[str, Any]) -> None:
    with pytest.raises(BadRequestError):
        gateway.sdk.order.all(query)


def test_unknown_and_malformed_ids_are_both_400_in_different_words(gateway: Gateway, sample: Sample) -> None:
    answer = call(gateway, "GET", f"payments/{UNKNOWN_PAYMENT}")
    assert answer.status_code == 400
    assert answer.json() == sample("api.payment.unknown")
    with pytest.raises(BadRequestError, match="The id provided does not exist"):
        gateway.sdk.order.fetch("order_00000000000000")
    with pytest.raises(BadRequestError, match="order_1 is not a valid id"):
        gateway.sdk.order.fetch("order_1")


def test_an_order_is_fetched_for_180_days(sample: Sample) -> None:
    """The current page of api/orders/fetch-with-id for India: "created more than 180 days ago"."""
    account = Account()
    order = account.order()
    account.now = NOW + 180 * 86400
    assert account.world.recent_order(order.id) is order
    account.now += 1
    with pytest.raises(Refusal) as refused:
        account.world.recent_order(order.id)
    unknown = sample("api.payment.unknown")["error"]
    assert refused.value.body()["error"] == unknown | {"description": "Order older than 180 days, please use reports."}


@pytest.mark.parametrize("path", ["orders/{order_id}", "orders/{order_id}/payments"])
def test_an_old_order_and_its_payments_are_refused_over_the_api(gateway: Gateway, path: str) -> None:
    order_id = gateway.order()["id"]
    with pytest.MonkeyPatch.context() as patching:
        patching.setattr(world, "ORDERS_ARE_FETCHED_FOR_S", -1)
        answer = call(gateway, "GET", path.format(order_id=order_id))
    assert answer.status_code == 400
    assert answer.json()["error"]["description"] == "Order older than 180 days, please use reports."


# --- payments ---


def test_a_netbanking_payment_looks_as_documented(gateway: Gateway, sample: Sample) -> None:
    order = gateway.order(amount=2100)
    payment_id = gateway.pay(order["id"], method="netbanking", bank="ICIC")["razorpay_payment_id"]
    payment, documented = gateway.sdk.payment.fetch(payment_id), sample("api.payment.netbanking")
    assert list(payment) == list(documented)
    assert (payment["fee"], payment["tax"]) == (documented["fee"], documented["tax"])
    assert payment["acquirer_data"].keys() == documented["acquirer_data"].keys()


def test_an_orders_payments_show_the_failed_and_the_captured_attempt(gateway: Gateway, sample: Sample) -> None:
    order = gateway.order()
    gateway.try_to_pay(order["id"], method="upi", vpa="failure@razorpay")
    gateway.pay(order["id"], method="upi", vpa="success@razorpay")
    payments = gateway.sdk.order.payments(order["id"])
    assert (payments["entity"], payments["count"]) == ("collection", 2)
    failed, paid = payments["items"]
    documented = sample("api.payment.failed.upi")
    assert list(failed) == list(documented)
    for name in documented:
        if name.startswith("error_") or name in {"status", "captured", "vpa", "fee", "tax", "acquirer_data"}:
            assert failed[name] == documented[name]
    assert (paid["status"], paid["captured"], paid["error_code"]) == ("captured", True, None)


def test_an_order_goes_from_created_to_attempted_to_paid(gateway: Gateway) -> None:
    order_id = gateway.order()["id"]
    gateway.try_to_pay(order_id, outcome="failure")
    attempted = gateway.sdk.order.fetch(order_id)
    assert (attempted["status"], attempted["attempts"], attempted["amount_due"]) == ("attempted", 1, 50000)
    gateway.pay(order_id)
    paid = gateway.sdk.order.fetch(order_id)
    assert (paid["status"], paid["attempts"], paid["amount_paid"], paid["amount_due"]) == ("paid", 2, 50000, 0)


@pytest.mark.parametrize(
    ("setting", "status"),
    [
        ({"payment": {"capture": "automatic"}}, "captured"),
        ({"payment": {"capture": "automatic", "capture_options": {"automatic_expiry_period": 12}}}, "captured"),
        ({"payment": {"capture": "manual"}}, "authorized"),
        ({"payment_capture": 1}, "captured"),
        ({"payment_capture": 0}, "authorized"),
        ({}, "authorized"),
    ],
)
def test_money_is_captured_as_the_order_asked(gateway: Gateway, setting: dict[str, Any], status: str) -> None:
    order = gateway.sdk.order.create({"amount": 50000, "currency": "INR"} | setting)
    payment_id = gateway.pay(order["id"])["razorpay_payment_id"]
    assert gateway.sdk.payment.fetch(payment_id)["status"] == status


def test_an_authorised_payment_is_captured_once_and_for_its_own_amount(gateway: Gateway) -> None:
    order = gateway.order(payment={"capture": "manual"})
    payment_id = gateway.pay(order["id"])["razorpay_payment_id"]
    with pytest.raises(BadRequestError, match="must be equal to the amount authorized"):
        gateway.sdk.payment.capture(payment_id, 49999, {"currency": "INR"})
    with pytest.raises(BadRequestError, match="The currency field is required"):
        gateway.sdk.payment.capture(payment_id, 50000, {})
    captured = gateway.sdk.payment.capture(payment_id, 50000, {"currency": "INR"})
    assert (captured["status"], captured["captured"]) == ("captured", True)
    with pytest.raises(BadRequestError, match="declined as the order is already paid"):
        gateway.sdk.payment.capture(payment_id, 50000, {"currency": "INR"})
    assert gateway.sdk.order.fetch(order["id"])["status"] == "paid"


def test_a_failed_payment_cannot_be_captured(gateway: Gateway) -> None:
    answer = gateway.try_to_pay(gateway.order()["id"], outcome="failure").json()
    with pytest.raises(BadRequestError, match="Only payments which have been authorized"):
        gateway.sdk.payment.capture(answer["error"]["metadata"]["payment_id"], 50000, {"currency": "INR"})


# --- refunds ---


def test_a_refund_without_an_amount_returns_everything(gateway: Gateway, sample: Sample, captured: str) -> None:
    answer = call(gateway, "POST", f"payments/{captured}/refund")
    assert answer.status_code == 200
    refund, documented = answer.json(), sample("api.refund.created")
    assert list(refund) == list(documented)
    varying: dict[str, Any] = {"id": "", "payment_id": "", "created_at": 0, "amount": 0}
    assert refund | varying == documented | varying
    assert refund["amount"] == 50000
    payment = gateway.sdk.payment.fetch(captured)
    assert (payment["status"], payment["captured"], payment["refund_status"]) == ("refunded", True, "full")
    assert gateway.sdk.order.fetch(payment["order_id"])["status"] == "paid"


def test_a_payments_refunds_are_listed_and_no_other_payments(gateway: Gateway, captured: str) -> None:
    made = [gateway.sdk.payment.refund(captured, {"amount": amount})["id"] for amount in (10000, 20000)]
    listed = gateway.sdk.payment.fetch_multiple_refund(captured)
    assert (listed["entity"], listed["count"]) == ("collection", 2)
    assert [refund["id"] for refund in listed["items"]] == made
    assert {refund["payment_id"] for refund in listed["items"]} == {captured}


def test_partial_refunds_add_up_and_stop_at_the_captured_amount(gateway: Gateway, captured: str) -> None:
    gateway.sdk.payment.refund(captured, {"amount": 20000, "notes": {"why": "half done"}})
    payment = gateway.sdk.payment.fetch(captured)
    assert (payment["status"], payment["refund_status"], payment["amount_refunded"]) == ("captured", "partial", 20000)
    with pytest.raises(BadRequestError, match="greater than amount captured"):
        gateway.sdk.payment.refund(captured, {"amount": 50001})
    with pytest.raises(BadRequestError, match="The total refund amount is greater"):
        gateway.sdk.payment.refund(captured, {"amount": 30001})
    with pytest.raises(BadRequestError, match=r"The amount must be at least INR 1\.00"):
        gateway.sdk.payment.refund(captured, {"amount": 99})
    assert gateway.sdk.payment.refund(captured, {"amount": None})["amount"] == 30000
    with pytest.raises(BadRequestError, match="The payment has been fully refunded already"):
        gateway.sdk.payment.refund(captured, {"amount": 100})


def test_money_that_was_not_captured_cannot_be_refunded(gateway: Gateway) -> None:
    order = gateway.order(payment={"capture": "manual"})
    payment_id = gateway.pay(order["id"])["razorpay_payment_id"]
    with pytest.raises(BadRequestError, match="The payment status should be captured"):
        gateway.sdk.payment.refund(payment_id, {"amount": 100})


def test_a_refund_repeated_under_its_key_is_made_once(gateway: Gateway, sample: Sample, captured: str) -> None:
    headers = {"X-Refund-Idempotency": "550e8400-e29b-41d4-a716-446655440000"}
    first = call(gateway, "POST", f"payments/{captured}/refund", json={"amount": 10000}, headers=headers)
    again = call(gateway, "POST", f"payments/{captured}/refund", json={"amount": 10000}, headers=headers)
    assert first.json() == again.json()
    assert gateway.sdk.payment.fetch(captured)["amount_refunded"] == 10000
    other = call(gateway, "POST", f"payments/{captured}/refund", json={"amount": 10001}, headers=headers)
    assert other.status_code == 409
    assert other.json() == sample("api.refund.key-reused")


def test_a_refunds_idempotency_key_can_be_ignored_as_it_may_be_in_test_mode(gateway: Gateway, captured: str) -> None:
    gateway.control("PUT", "faults", {"refund_keys": "ignored"})
    headers = {"X-Refund-Idempotency": "550e8400-e29b-41d4-a716-446655440000"}
    made = [
        call(gateway, "POST", f"payments/{captured}/refund", json={"amount": 10000}, headers=headers).json()["id"]
        for _ in range(2)
    ]
    assert len(set(made)) == 2
    assert gateway.sdk.payment.fetch(captured)["amount_refunded"] == 20000


@pytest.mark.parametrize(("key", "words"), [("short", "at least 10 characters"), ("has a space", "alphanumeric")])
def test_an_impossible_idempotency_key_is_refused(gateway: Gateway, captured: str, key: str, words: str) -> None:
    answer = call(gateway, "POST", f"payments/{captured}/refund", headers={"X-Refund-Idempotency": key})
    assert answer.status_code == 400
    assert words in answer.json()["error"]["description"]
