"""The subscribers' consumer, on tables with the schema of its template."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from sandbox.cloud.packages import read_template
from sandbox.subscribers import app
from tests import moto_guard

TEMPLATE = Path(__file__).parents[2] / "sandbox/subscribers.yaml"


type CreateTable = Callable[[str], Any]


@pytest.fixture
def create_table(monkeypatch: pytest.MonkeyPatch) -> Iterator[CreateTable]:
    """Creates a table of the template, by its logical id."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "ap-south-1")
    resources = read_template(TEMPLATE)["Resources"]

    def create(resource: str) -> Any:
        schema = {
            key: resources[resource]["Properties"][key] for key in ("BillingMode", "AttributeDefinitions", "KeySchema")
        }
        return boto3.resource("dynamodb").create_table(TableName=resource, **schema)

    app.dynamodb.cache_clear()
    moto_guard.install()
    with mock_aws():
        yield create
    app.dynamodb.cache_clear()


@pytest.fixture
def job(create_table: CreateTable, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The inbox of a service that receives only payment.paid."""
    monkeypatch.setenv("INBOX_TABLE", "JobInbox")
    monkeypatch.delenv("VERSIONS_TABLE", raising=False)
    return create_table("JobInbox")


@pytest.fixture
def notification(create_table: CreateTable, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The inbox of a service that receives several event types."""
    monkeypatch.setenv("INBOX_TABLE", "NotificationInbox")
    monkeypatch.setenv("VERSIONS_TABLE", "NotificationPaymentVersions")
    create_table("NotificationPaymentVersions")
    return create_table("NotificationInbox")


def event(event_id: str, detail_type: str = "payment.paid", version: int = 3, order: str = "order_A") -> dict[str, Any]:
    return {
        "source": "payment-service",
        "detail-type": detail_type,
        "detail": {
            "schema_version": "1.1",
            "event_id": event_id,
            "version": version,
            "occurred_at": "2026-01-05T10:00:00Z",
            "payment": {
                "payment_id": 41,
                "order_id": order,
                "razorpay_payment_id": "pay_A",
                "job_id": 1,
                "application_id": 2,
                "client_id": 7,
                "freelancer_id": 9,
                "amount": 50000,
                "currency": "INR",
                "status": detail_type.removeprefix("payment."),
                "amount_refunded": 0,
                "amount_disputed": 0,
                "method": "upi",
            },
        },
    }


def batch(*bodies: Any) -> dict[str, Any]:
    return {
        "Records": [
            {"messageId": f"m{number}", "body": body if isinstance(body, str) else json.dumps(body)}
            for number, body in enumerate(bodies)
        ]
    }


def handled(inbox: Any) -> set[str]:
    return {item["event_id"] for item in inbox.scan()["Items"]}


def test_an_event_is_kept_in_the_inbox_with_its_ids_and_status(job: Any) -> None:
    assert app.lambda_handler(batch(event("e1")), None) == {"batchItemFailures": []}

    item = job.get_item(Key={"event_id": "e1"})["Item"]
    assert item.pop("expires_at") > 0
    assert item == {
        "event_id": "e1",
        "detail_type": "payment.paid",
        "version": 3,
        "order_id": "order_A",
        "payment_id": 41,
        "razorpay_payment_id": "pay_A",
        "status": "paid",
    }


def test_a_copy_of_an_event_is_handled_once(job: Any) -> None:
    assert app.consume(event("e1")) == "handled"
    assert app.consume(event("e1")) == "known already"
    assert handled(job) == {"e1"}


def test_a_message_that_cannot_be_read_fails_alone(job: Any) -> None:
    answer = app.lambda_handler(batch(event("e1"), "not JSON", {"detail": {}}, event("e2")), None)

    assert answer == {"batchItemFailures": [{"itemIdentifier": "m1"}, {"itemIdentifier": "m2"}]}
    assert handled(job) == {"e1", "e2"}


def test_an_outage_sends_the_whole_batch_back(job: Any) -> None:
    job.delete()
    answer = app.lambda_handler(batch(event("e1"), event("e2")), None)
    assert answer == {"batchItemFailures": [{"itemIdentifier": "m0"}, {"itemIdentifier": "m1"}]}


def test_what_a_newer_event_has_overtaken_is_dropped(notification: Any) -> None:
    assert app.consume(event("paid", "payment.paid", version=5)) == "handled"
    assert app.consume(event("failed", "payment.failed", version=3)) == "overtaken by a newer event"
    assert app.consume(event("refunded", "payment.refunded", version=6)) == "handled"
    assert handled(notification) == {"paid", "refunded"}


def test_two_events_of_one_change_are_both_handled(notification: Any) -> None:
    assert app.consume(event("paid", "payment.paid", version=5)) == "handled"
    assert app.consume(event("refunded", "payment.refunded", version=5)) == "handled"
    assert handled(notification) == {"paid", "refunded"}


def test_money_that_came_back_of_a_second_capture_is_told_whatever_came_before(notification: Any) -> None:
    assert app.consume(event("refunded", "payment.refunded", version=7)) == "handled"
    assert app.consume(event("surplus", "payment.surplus_refunded", version=5)) == "handled"
    assert app.consume(event("surplus", "payment.surplus_refunded", version=5)) == "known already"
    assert app.consume(event("paid", "payment.paid", version=6)) == "overtaken by a newer event"
    assert handled(notification) == {"refunded", "surplus"}


def test_fields_of_a_later_version_are_no_obstacle(job: Any) -> None:
    later = event("e1")
    later["detail"] |= {
        "schema_version": "1.2",
        "payment": {**later["detail"]["payment"], "new": {"a": [1]}},
        "more": 1,
    }
    assert app.lambda_handler(batch({**later, "envelope": "grown"}), None) == {"batchItemFailures": []}
    assert handled(job) == {"e1"}


def test_one_payment_does_not_overtake_another(notification: Any) -> None:
    assert app.consume(event("e1", version=9, order="order_A")) == "handled"
    assert app.consume(event("e2", version=2, order="order_B")) == "handled"
    assert handled(notification) == {"e1", "e2"}


@pytest.mark.usefixtures("notification")
def test_a_copy_of_an_overtaken_event_stays_dropped_and_a_copy_of_a_handled_one_known() -> None:
    app.consume(event("paid", "payment.paid", version=5))
    for _ in range(2):
        assert app.consume(event("failed", "payment.failed", version=3)) == "overtaken by a newer event"
        assert app.consume(event("paid", "payment.paid", version=5)) == "known already"


def test_without_a_versions_table_the_order_does_not_matter(job: Any) -> None:
    assert app.consume(event("e1", version=9)) == "handled"
    assert app.consume(event("e2", version=2)) == "handled"
    assert handled(job) == {"e1", "e2"}
