"""Reconcile as it is deployed: its role, its index, its schedule, and Razorpay's API behind the stand-in."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from sandbox.cloud.service import LocalService
from tests.e2e.platform_client import Platform, eventually


@pytest.fixture
def platform(local_service: LocalService) -> Platform:
    return Platform(local_service)


@pytest.fixture
def withheld(platform: Platform) -> Iterator[None]:
    """No webhook comes, whatever happens at Razorpay."""
    address = platform.withhold_webhooks()
    yield
    platform.deliver_webhooks(address)


def make_due(service: LocalService, order_id: str) -> None:
    """As if the record's due time had come."""
    service.cloud.client("dynamodb").update_item(
        TableName=service.outputs["TableName"],
        Key={"pk": {"S": f"order#{order_id}"}},
        UpdateExpression="SET attention_at = :now",
        ConditionExpression="attribute_exists(attention_at)",
        ExpressionAttributeValues={":now": {"N": str(int(time.time()) - 1)}},
    )


def run_reconcile(service: LocalService) -> dict[str, Any]:
    answer = service.cloud.client("lambda").invoke(FunctionName=service.outputs["ReconcileFunctionName"], Payload=b"{}")
    report: dict[str, Any] = json.loads(answer["Payload"].read())
    assert not answer.get("FunctionError"), report
    return report


@pytest.mark.usefixtures("withheld")
def test_without_any_webhook_a_payment_ends_paid_and_told(platform: Platform, local_service: LocalService) -> None:
    order_id = platform.create_order().json()["order_id"]
    platform.pay(order_id)
    assert platform.payment(order_id)["status"] == "created"

    make_due(local_service, order_id)
    # The schedule may have been faster; either way it is done now.
    eventually(lambda: run_reconcile(local_service), lambda report: report["failed"] == 0)

    platform.wait_for_payment(order_id, status="paid", confirmed=True)
    for subscriber in ("job", "application", "notification"):
        platform.wait_for_inbox(subscriber, order_id, "payment.paid")
    record = platform.record(order_id)
    assert record["pending"] == {}
    assert "attention_at" not in record


@pytest.mark.usefixtures("withheld")
def test_a_refund_without_any_webhook_is_found_with_its_payment(
    platform: Platform, local_service: LocalService
) -> None:
    order_id = platform.create_order().json()["order_id"]
    checkout = platform.pay(order_id).json()
    platform.refund(checkout["razorpay_payment_id"])

    make_due(local_service, order_id)
    eventually(lambda: run_reconcile(local_service), lambda report: report["failed"] == 0)

    platform.wait_for_payment(order_id, status="refunded", confirmed=True, amount_refunded=49950)
    platform.wait_for_inbox("notification", order_id, "payment.refunded")


def test_the_schedule_runs_it_without_being_asked(platform: Platform, local_service: LocalService) -> None:
    order_id = platform.create_order().json()["order_id"]
    before = platform.record(order_id)["attention_at"]
    make_due(local_service, order_id)

    deadline = time.monotonic() + 100
    while platform.record(order_id)["attention_at"] < before and time.monotonic() < deadline:
        time.sleep(1)

    assert platform.record(order_id)["attention_at"] >= before
