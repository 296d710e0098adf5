"""The function with its tables, its queue and its own terms, on moto."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from moto import mock_aws

from subscriber import handler
from subscriber.events import Terms
from subscriber.store import Store

EVENTS = Path(__file__).parents[1] / "events"
TERMS = Terms(application_id=202, job_id=101, client_id=303, freelancer_id=404, amount=50_000, currency="INR")

type Event = Callable[..., dict[str, Any]]


class World:
    """What a test does to the function, and sees of it."""

    def __init__(self) -> None:
        dynamodb = boto3.resource("dynamodb")
        for table, key in (("Records", "pk"), ("Inbox", "event_id"), ("Idempotency", "id")):
            dynamodb.create_table(
                TableName=table,
                BillingMode="PAY_PER_REQUEST",
                AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"}],
                KeySchema=[{"AttributeName": key, "KeyType": "HASH"}],
            )
        self.inbox = dynamodb.Table("Inbox")
        self.records = dynamodb.Table("Records")
        self.store = Store(dynamodb.meta.client, records="Records", inbox="Inbox")
        self.sqs = boto3.client("sqs")
        self.queue: str = self.sqs.create_queue(QueueName="job-payments", Attributes={"VisibilityTimeout": "900"})[
            "QueueUrl"
        ]

    def deliver(self, *bodies: Any, receives: int = 1) -> list[str]:
        """Deliver a batch; returns the places of the messages that failed."""
        records = [
            {
                "messageId": str(place),
                "receiptHandle": f"handle-{place}",
                "body": body if isinstance(body, str) else json.dumps(body),
                "attributes": {"ApproximateReceiveCount": str(receives)},
                "eventSource": "aws:sqs",
            }
            for place, body in enumerate(bodies)
        ]
        context: Any = SimpleNamespace(
            function_name="consumer",
            memory_limit_in_mb=512,
            invoked_function_arn="arn:aws:lambda:ap-south-1:111122223333:function:consumer",
            aws_request_id="a",
            get_remaining_time_in_millis=lambda: 60_000,
        )
        answer = handler.lambda_handler({"Records": records}, context)
        return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]

    def outcomes(self) -> dict[str, str]:
        """What the inbox says was done, by event id."""
        return {item["event_id"]: item["outcome"] for item in self.inbox.scan()["Items"]}

    def is_released(self, order_id: str = "order_DESlLckIVRkHWj") -> bool:
        item = self.records.get_item(Key={"pk": f"order#{order_id}"}).get("Item")
        return bool(item and item["released"])


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    settings = {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "ap-south-1",
        "RULE": "release",
        "RECORDS_TABLE": "Records",
        "INBOX_TABLE": "Inbox",
        "IDEMPOTENCY_TABLE": "Idempotency",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(handler.metrics, "service", "job")  # Lambda's POWERTOOLS_SERVICE_NAME
    clients = (handler._once, handler._store, handler._sqs)  # noqa: SLF001 - made once per environment
    with mock_aws():
        for client in clients:
            client.cache_clear()
        made = World()
        monkeypatch.setenv("QUEUE_URL", made.queue)
        made.store.agree(TERMS)
        yield made
    for client in clients:
        client.cache_clear()


@pytest.fixture
def event() -> Event:
    """One of the fixtures in `events`, changed."""

    def changed(kind: str, event_id: str | None = None, version: int | None = None, **payment: Any) -> dict[str, Any]:
        envelope: dict[str, Any] = json.loads((EVENTS / f"{kind}.json").read_text())
        detail = envelope["detail"]
        detail["event_id"] = event_id or detail["event_id"]
        detail["version"] = version or detail["version"]
        detail["payment"] |= payment
        return envelope

    return changed
