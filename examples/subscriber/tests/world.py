"""What the tests do to the function, and see of it."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3

from subscriber import handler
from subscriber.events import Terms
from subscriber.store import Store

EVENTS = Path(__file__).parents[1] / "events"
TERMS = Terms(application_id=202, job_id=101, client_id=303, freelancer_id=404, amount=50_000, currency="INR")

type Event = Callable[..., dict[str, Any]]


class World:
    """The function with its tables, its queue and its own terms."""

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
        return {str(item["event_id"]): str(item["outcome"]) for item in self.inbox.scan()["Items"]}

    def is_released(self, order_id: str = "order_DESlLckIVRkHWj") -> bool:
        item = self.records.get_item(Key={"pk": f"order#{order_id}"}).get("Item")
        return bool(item and item["released"])
