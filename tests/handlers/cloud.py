"""AWS in process (moto), with every request counted and faults on demand.

The only hook is where botocore passes a request to moto, so the clients' retries and timeouts are real.
"""

import json
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, Literal

import boto3
import pytest
from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from botocore import endpoint
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import ConnectTimeoutError, EndpointConnectionError, ReadTimeoutError
from moto.core.botocore_stubber import BotocoreStubber, MockRawResponse

from tests import moto_guard
from tests.handlers.template import table_schema
from tests.secrecy import watch

TABLE = "payments-test"
BUS = "payments-test"
REGION = "ap-south-1"

# One session and its clients for all tests: reading botocore's models takes longer than most of them.
_SESSION = boto3.Session(region_name=REGION, aws_access_key_id="testing", aws_secret_access_key="testing")

type Send = Callable[[], AWSResponse | None]
type Fault = Callable[[AWSPreparedRequest, Send], AWSResponse | None]


def times_out(request: AWSPreparedRequest, _send: Send) -> AWSResponse | None:
    """No effect, no response."""
    raise ReadTimeoutError(endpoint_url=request.url)


def connect_times_out(request: AWSPreparedRequest, _send: Send) -> AWSResponse | None:
    raise ConnectTimeoutError(endpoint_url=request.url)


def is_unreachable(request: AWSPreparedRequest, _send: Send) -> AWSResponse | None:
    raise EndpointConnectionError(endpoint_url=request.url)


def loses_the_answer(request: AWSPreparedRequest, send: Send) -> AWSResponse | None:
    """It takes effect, but the response is lost."""
    send()
    raise ReadTimeoutError(endpoint_url=request.url)


def answers(status: int, code: str) -> Fault:
    """No effect, and this error."""

    def fault(request: AWSPreparedRequest, _send: Send) -> AWSResponse | None:
        body = json.dumps({"__type": f"com.amazonaws#{code}", "message": "secret words of a library"})
        return AWSResponse(request.url, status, HTTPHeaders(), MockRawResponse(body))

    return fault


throttles = answers(400, "ThrottlingException")
fails = answers(500, "InternalServerError")
denies = answers(400, "AccessDeniedException")


def refuses_entries(*indexes: int) -> Fault:
    """PutEvents returns 200 but refuses these entries."""

    def fault(request: AWSPreparedRequest, _send: Send) -> AWSResponse | None:
        count = len(_entries(request))
        entries = [
            {"ErrorCode": "InternalFailure", "ErrorMessage": "secret words of a library"}
            if index in indexes
            else {"EventId": f"accepted-{index}"}
            for index in range(count)
        ]
        failed = sum("ErrorCode" in entry for entry in entries)
        body = json.dumps({"FailedEntryCount": failed, "Entries": entries})
        return AWSResponse(request.url, 200, HTTPHeaders(), MockRawResponse(body))

    return fault


def leaves_keys_over(request: AWSPreparedRequest, send: Send) -> AWSResponse | None:
    """BatchGetItem answers 200 without the last item, and names its key as unprocessed."""
    response = send()
    assert response is not None
    answer = json.loads(response.content)
    ((table, items),) = answer["Responses"].items()
    left = items.pop()
    answer["UnprocessedKeys"] = {table: {"Keys": [{"pk": left["pk"]}], "ConsistentRead": True}}
    body = MockRawResponse(json.dumps(answer))
    return AWSResponse(request.url, 200, HTTPHeaders(), body)


def _entries(request: AWSPreparedRequest) -> list[dict[str, Any]]:
    """The entries of a PutEvents request."""
    entries: list[dict[str, Any]] = json.loads(_sent(request))["Entries"]
    return entries


def _sent(request: AWSPreparedRequest) -> bytes | str:
    assert isinstance(request.body, bytes | str)
    return request.body


@cache
def admin(service: Literal["dynamodb", "events"]) -> Any:
    """A client for the test itself."""
    return _SESSION.client(service)


class Cloud:
    """The table and the bus, and the requests to them."""

    def __init__(self) -> None:
        self.requests: list[str] = []
        """The operations, one for each HTTP request, retries included."""
        self.sent: list[dict[str, Any]] = []
        """Every entry ever sent to the bus."""
        self.accepted: list[dict[str, Any]] = []
        """The entries that the bus accepted."""
        self._faults: dict[str, deque[Fault]] = {}
        self._always: dict[str, Fault] = {}
        self._before: dict[str, deque[Callable[[], object]]] = {}
        self._recording = True
        self._lock = threading.RLock()

    def fail(self, operation: str, *faults: Fault) -> None:
        """Gives the next requests of this operation these faults, one each."""
        self._faults.setdefault(operation, deque()).extend(faults)

    def fail_always(self, operation: str, fault: Fault) -> None:
        self._always[operation] = fault

    def heal(self) -> None:
        self._faults.clear()
        self._always.clear()

    def just_before(self, operation: str, act: Callable[[], object]) -> None:
        """Runs this right before the next request of this operation takes effect, as another writer would."""
        self._before.setdefault(operation, deque()).append(act)

    def forget(self) -> None:
        """Resets the counters."""
        self.requests.clear()

    def items(self) -> dict[str, dict[str, Any]]:
        """Every item of the table as plain values, by key."""
        with self._unrecorded():
            found = admin("dynamodb").scan(TableName=TABLE)["Items"]
        plain = TypeDeserializer().deserialize
        return {item["pk"]["S"]: {name: plain(value) for name, value in item.items()} for item in found}

    def raw_item(self, order_id: str) -> Any:
        """The item of an order with DynamoDB's types, or None."""
        with self._unrecorded():
            key = {"pk": {"S": f"order#{order_id}"}}
            return admin("dynamodb").get_item(TableName=TABLE, Key=key).get("Item")

    def item(self, order_id: str) -> dict[str, Any]:
        return self.items()[f"order#{order_id}"]

    def change(self, key: str, changes: dict[str, Any]) -> None:
        """Writes attributes of an item, bypassing the service."""
        typed = TypeSerializer().serialize
        with self._unrecorded():
            admin("dynamodb").update_item(
                TableName=TABLE,
                Key={"pk": {"S": key}},
                AttributeUpdates={name: {"Value": typed(value)} for name, value in changes.items()},
            )

    def remove(self, key: str) -> None:
        """Removes an item, bypassing the service."""
        with self._unrecorded():
            admin("dynamodb").delete_item(TableName=TABLE, Key={"pk": {"S": key}})

    def details(self, kind: str | None = None) -> list[dict[str, Any]]:
        """The details on the bus, of one detail type or of all."""
        return [json.loads(entry["Detail"]) for entry in self.accepted if kind in {None, entry["DetailType"]}]

    def types(self) -> list[str]:
        return [entry["DetailType"] for entry in self.accepted]

    def answer(self, event_name: str, request: AWSPreparedRequest, send: Send) -> AWSResponse | None:
        """Stands between botocore and moto."""
        if not self._recording:
            return send()
        operation = event_name.rpartition(".")[2]
        with self._lock:  # moto's conditional writes are not atomic between threads
            for act in self._taken(self._before, operation):
                act()
            self.requests.append(operation)
            watch.keep_request(operation, _sent(request))
            entries = _entries(request) if operation == "PutEvents" else []
            self.sent += entries
            fault = next(iter(self._taken(self._faults, operation)), self._always.get(operation))
            response = send() if fault is None else fault(request, send)
        if entries and response is not None and response.status_code < 300:
            told = json.loads(response.content)["Entries"]
            self.accepted += [entry for entry, answer in zip(entries, told, strict=True) if answer.get("EventId")]
        return response

    @staticmethod
    def _taken[T](queues: dict[str, deque[T]], operation: str) -> list[T]:
        queue = queues.get(operation)
        return [queue.popleft()] if queue else []

    @contextmanager
    def _unrecorded(self) -> Iterator[None]:
        self._recording = False
        try:
            yield
        finally:
            self._recording = True


@contextmanager
def running_cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    """A new table as in the template, and a bus."""
    cloud = Cloud()
    real = BotocoreStubber.__call__

    def stubbed(
        stubber: BotocoreStubber, event_name: str, request: AWSPreparedRequest, **kwargs: Any
    ) -> AWSResponse | None:
        return cloud.answer(event_name, request, lambda: real(stubber, event_name, request, **kwargs))

    class NoPause:
        """Records the pauses between botocore's retries, without waiting."""

        @staticmethod
        def sleep(_seconds: float) -> None:
            pass

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    with moto_guard.mocked_aws():
        admin("dynamodb").create_table(TableName=TABLE, **table_schema())
        admin("events").create_event_bus(Name=BUS)
        monkeypatch.setattr(BotocoreStubber, "__call__", stubbed)
        monkeypatch.setattr(endpoint, "time", NoPause)
        yield cloud
