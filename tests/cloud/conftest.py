"""Two emulators with the same fixture stack: one patched as this project runs it, one unmodified."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from sandbox.cloud.cloud import Cloud

FIXTURE = Path(__file__).parent / "fixture"
STACK = "fixture"


@dataclass(frozen=True)
class Deployed:
    """An emulator and the outputs of the fixture stack on it."""

    cloud: Cloud
    outputs: dict[str, str]

    def call(self, method: str, path: str, body: Any = None) -> requests.Response:
        """An HTTP request to the emulator's public port."""
        return requests.request(method, self.cloud.api_url + path, json=body, timeout=10)

    def invoke(self, function: str, payload: Any) -> tuple[str | None, Any]:
        """Invoke one of the stack's functions: (kind of error or None, document)."""
        answer = self.cloud.client("lambda").invoke(
            FunctionName=self.outputs[function], Payload=json.dumps(payload).encode()
        )
        return answer.get("FunctionError"), json.loads(answer["Payload"].read())

    def put_event(self, detail_type: str, detail: str = "{}") -> dict[str, Any]:
        """Put one event on the stack's bus; returns the response."""
        entry: Any = {
            "EventBusName": self.outputs["BusName"],
            "Source": "test",
            "DetailType": detail_type,
            "Detail": detail,
        }
        answer: Any = self.cloud.client("events").put_events(Entries=[entry])
        return dict(answer)

    def received(self, queue: str, *, within_seconds: float = 2.0) -> list[Any]:
        """Receives the messages of one of the stack's queues; waits for the first."""
        sqs = self.cloud.client("sqs")
        deadline = time.monotonic() + within_seconds
        while True:
            messages: list[Any] = sqs.receive_message(
                QueueUrl=self.outputs[queue], MaxNumberOfMessages=10, MessageAttributeNames=["All"]
            ).get("Messages", [])
            for message in messages:
                sqs.delete_message(QueueUrl=self.outputs[queue], ReceiptHandle=message["ReceiptHandle"])
            if messages or time.monotonic() > deadline:
                return messages
            time.sleep(0.05)


def deployed(cloud: Cloud) -> Deployed:
    outputs = cloud.deploy(FIXTURE / "template.yaml", STACK)
    cloud.serve_api(STACK)
    return Deployed(cloud, outputs)


@pytest.fixture(scope="session")
def patched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    """The emulator as this project runs it."""
    with Cloud.start(tmp_path_factory.mktemp("patched")) as cloud:
        yield deployed(cloud)


@pytest.fixture(scope="session")
def stock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    """Unmodified ministack, with roles enforced."""
    with Cloud.start(tmp_path_factory.mktemp("stock"), stock=True) as cloud:
        yield deployed(cloud)
