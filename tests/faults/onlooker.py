"""A fourth subscriber, who wants to know everything: each event that the bus delivers, repetitions included."""

import json
import uuid
from typing import TYPE_CHECKING, Any, Self

from sandbox.cloud.service import LocalService
from tests.faults.books import Published

if TYPE_CHECKING:
    from types import TracebackType

_BATCH = 10  # the most that SQS hands out at once


class Onlooker:
    """A rule on the service's bus, and a queue behind it; as a context manager, they end with it."""

    def __init__(self, service: LocalService) -> None:
        self._bus = service.outputs["EventBusName"]
        self._name = f"onlooker-{uuid.uuid4().hex[:12]}"
        self._events = service.cloud.client("events")
        self._sqs = service.cloud.client("sqs")
        self._queue = ""
        self._seen: dict[str, Published] = {}

    def __enter__(self) -> Self:
        self._queue = self._sqs.create_queue(QueueName=self._name)["QueueUrl"]
        attributes = self._sqs.get_queue_attributes(QueueUrl=self._queue, AttributeNames=["QueueArn"])["Attributes"]
        arn = attributes["QueueArn"]
        pattern = json.dumps({"source": ["payment-service"]})
        rule = self._events.put_rule(Name=self._name, EventBusName=self._bus, EventPattern=pattern)["RuleArn"]
        allowed: dict[str, Any] = {
            "Effect": "Allow",
            "Principal": {"Service": "events.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": arn,
            "Condition": {"ArnEquals": {"aws:SourceArn": rule}},
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
        self._sqs.set_queue_attributes(QueueUrl=self._queue, Attributes={"Policy": policy})
        self._events.put_targets(Rule=self._name, EventBusName=self._bus, Targets=[{"Id": "queue", "Arn": arn}])
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: "TracebackType | None"
    ) -> None:
        self._events.remove_targets(Rule=self._name, EventBusName=self._bus, Ids=["queue"])
        self._events.delete_rule(Name=self._name, EventBusName=self._bus)
        self._sqs.delete_queue(QueueUrl=self._queue)

    def seen(self) -> list[Published]:
        """What the bus has delivered so far."""
        while messages := self._sqs.receive_message(QueueUrl=self._queue, MaxNumberOfMessages=_BATCH).get("Messages"):
            for message in messages:
                event = json.loads(message["Body"])
                # By the bus's own id, which every publish gets anew: SQS may deliver a message twice.
                self._seen[event["id"]] = Published(event["detail-type"], event["detail"])
                self._sqs.delete_message(QueueUrl=self._queue, ReceiptHandle=message["ReceiptHandle"])
        return list(self._seen.values())
