"""docs/events/README.md on the local cloud: its rule patterns, tried as the page says, and its envelope."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from payments.adapters.bus import Bus
from payments.core.outbox import Message
from sandbox.cloud.service import LocalService
from tests.docs import shell
from tests.docs.pages import PROJECT, claim
from tests.e2e.platform_client import eventually
from tests.subscribers.page import envelope, event, examples, patterns

NAME = "events-page"


def test_the_local_cloud_says_of_each_pattern_what_the_page_says(local_service: LocalService) -> None:
    client = local_service.cloud.client("events")
    for pattern in patterns():
        taken = {
            name
            for name in examples()
            if client.test_event_pattern(EventPattern=pattern.text, Event=json.dumps(event(name)))["Result"]
        }
        assert taken == pattern.takes, pattern.purpose


def test_the_command_that_tries_a_pattern_asks_the_local_cloud(local_service: LocalService, tmp_path: Path) -> None:
    (command,) = claim("docs/events/README.md", sections=("Rule patterns",))
    (tmp_path / "pattern.json").write_text(patterns()[0].text)
    (tmp_path / "event.json").write_text(json.dumps(event("payment.paid")))
    # The usual address, which `make run` prints too.
    script = command.text.replace("http://127.0.0.1:4566", local_service.cloud.aws_url)
    ran = shell.run(script, tmp_path, {"aws": f'exec {PROJECT}/.venvs/aws/bin/aws "$@"'}, NO_PROXY="127.0.0.1")
    assert json.loads(ran.output) == {"Result": True}


@pytest.fixture
def queue_url(local_service: LocalService) -> Iterator[str]:
    """The queue of another subscriber, which the page's first rule fills."""
    events, queues = local_service.cloud.client("events"), local_service.cloud.client("sqs")
    bus = local_service.endpoints["bus"]
    url: str = queues.create_queue(QueueName=NAME)["QueueUrl"]
    arn = queues.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    rule_arn = events.put_rule(Name=NAME, EventBusName=bus, EventPattern=patterns()[0].text)["RuleArn"]
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "events.amazonaws.com"},
                "Action": "sqs:SendMessage",
                "Resource": arn,
                "Condition": {"ArnEquals": {"aws:SourceArn": rule_arn}},
            }
        ],
    }
    queues.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps(policy)})
    events.put_targets(Rule=NAME, EventBusName=bus, Targets=[{"Id": "queue", "Arn": arn}])
    yield url
    events.remove_targets(Rule=NAME, EventBusName=bus, Ids=["queue"])
    events.delete_rule(Name=NAME, EventBusName=bus)
    queues.delete_queue(QueueUrl=url)


def test_an_event_arrives_in_the_envelope_that_the_page_shows(local_service: LocalService, queue_url: str) -> None:
    detail = {**examples()["payment.paid"], "event_id": "1f0e8a4c-6b5d-5c3e-9a7b-2d4f6e8c0a1b"}
    bus = Bus(local_service.cloud.client("events"), local_service.endpoints["bus"])
    assert bus.publish({"e1": Message(type="payment.paid", detail=json.dumps(detail))}) == {"e1"}

    queues = local_service.cloud.client("sqs")
    (message,) = eventually(
        lambda: queues.receive_message(QueueUrl=queue_url).get("Messages", []), lambda messages: messages != []
    )
    arrived: dict[str, Any] = json.loads(message["Body"])
    shown = {**envelope(), "detail": detail}
    assert arrived.keys() == shown.keys()
    ours = ("version", "detail-type", "source", "region", "resources", "detail")
    assert {name: arrived[name] for name in ours} == {name: shown[name] for name in ours}
