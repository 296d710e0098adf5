"""Payments through the deployed template: its API, its roles, the stand-in's webhooks, the subscribers' queues."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from sandbox.cloud.service import LocalService
from sandbox.development import RAZORPAY_WEBHOOK_SECRET, RAZORPAY_WEBHOOK_SECRET_PREVIOUS
from tests.e2e.permissions import without_put_events
from tests.e2e.platform_client import Platform, eventually


@pytest.fixture
def platform(local_service: LocalService) -> Platform:
    return Platform(local_service)


def test_a_payment_goes_from_proposal_to_notified_services(platform: Platform) -> None:
    platform.agree()
    created = platform.create_order()
    order_id = created.json()["order_id"]
    assert created.status_code == 201
    assert created.json() == {
        "order_id": order_id,
        "amount": 49950,
        "currency": "INR",
        "status": "created",
        "payment_id": created.json()["payment_id"],
        "key_id": "rzp_test_LocalSandbox01",
    }

    checkout = platform.pay(order_id, method="card", card="4111 1111 1111 1111").json()
    verified = platform.verify(checkout)
    assert (verified.status_code, verified.json()) == (
        200,
        {"status": "success", "message": "Payment verified", "payment_id": created.json()["payment_id"]},
    )
    assert platform.verify(checkout).json() == verified.json()

    payment = platform.wait_for_payment(order_id, status="paid", confirmed=True)
    assert payment["razorpay_payment_id"] == checkout["razorpay_payment_id"]
    for subscriber in ("job", "application", "notification"):
        platform.wait_for_inbox(subscriber, order_id, "payment.paid")
    # These two compared it with their own terms.
    assert [platform.outcomes(subscriber, order_id) for subscriber in ("job", "application")] == [["released"]] * 2

    platform.wait_until_delivered(order_id, 3)
    record = platform.record(order_id)
    assert record["pending"] == {}
    # It needs no further processing: the outbox clears a due time that a late message left.
    assert record.get("attention_shard", "0").isdigit()
    assert [entry["status"] for entry in record["history"]][-1] == "paid"
    assert platform.create_order().json()["code"] == "already_paid"


def test_the_webhook_alone_is_enough(platform: Platform) -> None:
    order_id = platform.create_order().json()["order_id"]

    platform.pay(order_id, method="upi", vpa="success@razorpay")

    platform.wait_for_payment(order_id, status="paid", confirmed=True)
    platform.wait_for_inbox("job", order_id, "payment.paid")


def test_a_failed_attempt_is_told_and_a_second_one_on_the_same_order_succeeds(platform: Platform) -> None:
    order_id = platform.create_order().json()["order_id"]

    refused = platform.pay(order_id, method="upi", vpa="failure@razorpay")
    assert refused.status_code == 400
    platform.wait_for_payment(order_id, status="failed", confirmed=False)
    platform.wait_for_inbox("notification", order_id, "payment.failed")
    again = platform.create_order()
    assert (again.status_code, again.json()["order_id"], again.json()["status"]) == (200, order_id, "failed")

    platform.pay(order_id, method="netbanking")
    platform.wait_for_payment(order_id, status="paid", confirmed=True)
    platform.wait_for_inbox("notification", order_id, "payment.failed", "payment.paid")
    platform.wait_for_inbox("job", order_id, "payment.paid")


def test_refunds_in_parts_add_up_to_a_refunded_payment(platform: Platform) -> None:
    order_id = platform.create_order("100.00").json()["order_id"]
    checkout = platform.pay(order_id).json()
    platform.wait_for_payment(order_id, status="paid", confirmed=True)

    # Notification drops an event if a newer one came first, so the test waits for each.
    platform.wait_for_inbox("notification", order_id, "payment.paid")
    platform.refund(checkout["razorpay_payment_id"], 4_000)
    platform.wait_for_payment(order_id, status="paid", confirmed=True, amount_refunded=4_000)
    platform.refund(checkout["razorpay_payment_id"])
    platform.wait_for_payment(order_id, status="refunded", confirmed=True, amount_refunded=10_000)

    platform.wait_for_inbox("notification", order_id, "payment.paid", "payment.refunded")
    assert platform.verify(checkout).json()["code"] == "payment_refunded"


def test_webhooks_delivered_again_change_nothing_and_tell_nobody(platform: Platform) -> None:
    order_id = platform.create_order().json()["order_id"]
    platform.pay(order_id)
    delivered = platform.wait_until_delivered(order_id, 3)
    platform.wait_for_inbox("job", order_id, "payment.paid")
    before = platform.record(order_id)

    with ThreadPoolExecutor(6) as pool:
        answers = [*pool.map(lambda event: platform.webhook(event["body"].encode(), event["signature"]), delivered * 3)]

    assert {(answer.status_code, answer.text) for answer in answers} == {(200, '{"status":"ok"}')}
    assert platform.record(order_id) == before
    for subscriber in ("job", "application", "notification"):
        assert platform.inbox(subscriber, order_id) == ["payment.paid"]


def test_ten_orders_at_once_leave_one_that_can_be_paid(platform: Platform) -> None:
    answers = platform.create_orders_at_once(10)

    assert {answer.status_code for answer in answers} <= {200, 201}
    assert len({answer.json()["order_id"] for answer in answers}) == 1
    assert [answer.status_code for answer in answers].count(201) == 1


def test_verify_and_webhook_at_once_agree(local_service: LocalService) -> None:
    for _ in range(5):
        platform = Platform(local_service)
        order_id = platform.create_order().json()["order_id"]
        checkout = platform.pay(order_id).json()
        with ThreadPoolExecutor(4) as pool:
            answers = [*pool.map(lambda _: platform.verify(checkout), range(4))]  # noqa: B023 - used within the round
        assert {answer.status_code for answer in answers} == {200}
        platform.wait_for_payment(order_id, status="paid", confirmed=True)
        platform.wait_for_inbox("job", order_id, "payment.paid")


@pytest.fixture
def rotated(platform: Platform) -> Iterator[None]:
    platform.use_webhook_secret(RAZORPAY_WEBHOOK_SECRET_PREVIOUS)
    yield
    platform.use_webhook_secret(RAZORPAY_WEBHOOK_SECRET)


@pytest.mark.usefixtures("rotated")
def test_events_signed_with_the_previous_secret_still_count(platform: Platform) -> None:
    order_id = platform.create_order().json()["order_id"]

    platform.pay(order_id)

    platform.wait_for_payment(order_id, status="paid", confirmed=True)


def test_a_forged_webhook_is_refused_and_changes_nothing(platform: Platform) -> None:
    order_id = platform.create_order().json()["order_id"]
    before = platform.record(order_id)
    body = json.dumps(
        {
            "entity": "event",
            "event": "payment.captured",
            "payload": {
                "payment": {
                    "entity": {"id": "pay_AAAAAAAAAAAAAA", "order_id": order_id, "amount": 49950, "currency": "INR"}
                }
            },
        }
    ).encode()

    for signature in (None, "", "0" * 64, "é" * 10, "not hex"):
        answer = platform.webhook(body, signature if signature is None else signature.encode("utf-8").decode("latin-1"))
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_signature")

    assert platform.record(order_id) == before


def test_somebody_elses_order_looks_like_one_that_does_not_exist(platform: Platform) -> None:
    order_id = platform.create_order().json()["order_id"]

    strangers = platform.call("GET", f"{order_id}/", user_id=999)
    unknown = platform.call("GET", "order_AAAAAAAAAAAAAA/", user_id=999)

    assert strangers.status_code == unknown.status_code == 404
    assert strangers.json() | {"request_id": ""} == unknown.json() | {"request_id": ""}
    assert platform.call("GET", f"{order_id}/", user_id=platform.freelancer_id).status_code == 200


@pytest.mark.parametrize("slash", ["", "/"])
def test_every_path_is_served_with_and_without_its_trailing_slash(platform: Platform, slash: str) -> None:
    order_id = platform.create_order().json()["order_id"]

    answers = {
        "create": platform.call("POST", f"create-order{slash}", json={}),
        "verify": platform.call("POST", f"verify{slash}", json={}),
        "show": platform.call("GET", f"{order_id}{slash}"),
        "webhook": requests.post(f"{platform.api}/api/payments/webhook{slash}", data=b"{}", timeout=30),
    }

    assert {name: answer.status_code for name, answer in answers.items()} == {
        "create": 400,
        "verify": 400,
        "show": 200,
        "webhook": 400,
    }
    assert [answers[name].json()["code"] for name in ("create", "verify", "webhook")] == [
        "invalid_request",
        "invalid_request",
        "invalid_signature",
    ]


def test_an_unknown_route_is_a_problem_document(platform: Platform) -> None:
    answer = platform.call("POST", "nothing/here/")

    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert answer.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("token", ["with a token", "without one"])
@pytest.mark.parametrize(("path", "taken"), [("create-order", "POST"), ("verify", "POST"), ("webhook", "POST")])
def test_a_method_that_an_address_does_not_take_is_not_found(
    platform: Platform, path: str, taken: str, token: str
) -> None:
    methods = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"} - {taken}
    assert_not_found(platform, f"{path}/", methods, with_token=token == "with a token")


@pytest.mark.parametrize("token", ["with a token", "without one"])
def test_a_payment_can_only_be_read(platform: Platform, token: str) -> None:
    order_id = platform.create_order().json()["order_id"]
    assert platform.call("GET", f"{order_id}/").status_code == 200
    methods = {"HEAD", "POST", "PUT", "PATCH", "DELETE"}
    assert_not_found(platform, f"{order_id}/", methods, with_token=token == "with a token")


def assert_not_found(platform: Platform, path: str, methods: set[str], *, with_token: bool) -> None:
    for method in methods:
        if with_token:
            answer = platform.call(method, path)
        else:
            answer = requests.request(method, f"{platform.api}/api/payments/{path}", timeout=30)
        assert answer.status_code == 404, method
        assert answer.headers["Content-Type"] == "application/problem+json", method
        if method != "HEAD":
            assert answer.json()["code"] == "not_found", method


def test_a_browser_is_let_in_by_the_preflight(platform: Platform) -> None:
    headers = {
        "Origin": "https://app.example.com",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type",
    }

    answer = requests.options(f"{platform.api}/api/payments/create-order/", headers=headers, timeout=30)

    assert answer.ok
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert "Authorization" in answer.headers["Access-Control-Allow-Headers"]
    assert platform.create_order().headers["Access-Control-Allow-Origin"] == "*"


def test_a_function_without_the_right_to_publish_keeps_its_events_until_it_has_it(
    platform: Platform, local_service: LocalService
) -> None:
    order_id = platform.create_order().json()["order_id"]
    with without_put_events(local_service):
        platform.pay(order_id)
        platform.wait_for_payment(order_id, status="paid", confirmed=True)
        record = eventually(lambda: platform.record(order_id), lambda record: len(record["pending"]) == 1)
        assert "attention_at" in record
        assert platform.inbox("job", order_id) == []

    platform.wait_for_inbox("job", order_id, "payment.paid")
    eventually(lambda: platform.record(order_id), lambda record: record["pending"] == {})
