"""A plugin for pytest: every request to DynamoDB that moto would answer goes to DynamoDB Local.

After each write of one item, the cost that DynamoDB reports ("ConsumedCapacity", API reference) is compared with the
count of tests/table, on which the documented costs are based.
"""

import json
import os
from collections import Counter
from typing import Any, Final

import pytest
import urllib3
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders
from moto.core.botocore_stubber import MockRawResponse

from tests import moto_guard
from tests.table.dynamodb import typed_write_units

PORT: Final = "DYNAMODB_LOCAL_PORT"
"""The environment variable with its port."""
_TARGET: Final = "DynamoDB_20120810"
_WRITES: Final = frozenset({"PutItem", "UpdateItem", "DeleteItem"})
_OK: Final = 200
_SIZE_TOLERANCE: Final = 0.02
"""The relative error allowed in an item's size: the size of numbers is documented as approximate ("DynamoDB item sizes
and formats"), so a size near a whole KiB may cost one unit more or less."""

type Item = dict[str, Any]


class Engine:
    """The hook before moto that forwards requests to DynamoDB Local."""

    def __init__(self, port: int) -> None:
        self.answered: Counter[str] = Counter()
        self.same = 0
        """Writes that cost as much as counted."""
        self.unlike: list[str] = []
        """Writes that cost more or less."""
        self._url = f"http://127.0.0.1:{port}/"
        self._pool = urllib3.PoolManager(maxsize=20)
        self._tables: dict[str, str] = {}
        """The key of each table that was created."""

    def __call__(self, request: AWSPreparedRequest) -> AWSResponse:
        # Bytes if botocore has signed the request.
        target: Any = request.headers["X-Amz-Target"]
        operation = (target.decode() if isinstance(target, bytes) else target).partition(".")[2]
        assert isinstance(request.body, bytes | str)
        asked = json.loads(request.body)
        self.answered[operation] += 1
        if operation == "CreateTable":
            self._tables[asked["TableName"]] = asked["KeySchema"][0]["AttributeName"]
        response = self._write(operation, asked) if operation in _WRITES else self._ask(operation, asked)
        answer = HTTPHeaders()
        for name, value in response.headers.items():
            answer[name] = value
        return AWSResponse(request.url, response.status, answer, MockRawResponse(response.data))

    def empty(self) -> None:
        """Forgets every table, as moto does before a test."""
        for table in self._tables:
            self._ask("DeleteTable", {"TableName": table})
        self._tables.clear()

    def _write(self, operation: str, asked: dict[str, Any]) -> urllib3.BaseHTTPResponse:
        before = self._stored(asked)
        response = self._ask(operation, {**asked, "ReturnConsumedCapacity": "INDEXES"})
        if response.status == _OK:
            cost = json.loads(response.data)["ConsumedCapacity"]["CapacityUnits"]
            after = self._stored(asked)
            least, most = (typed_write_units(before, after, off_by=x) for x in (-_SIZE_TOLERANCE, _SIZE_TOLERANCE))
            if least <= cost <= most:
                self.same += 1
            else:
                # Names and sizes only, never a table's items.
                counted = f"{least} to {most} counted"
                self.unlike.append(f"{operation} in {asked['TableName']}: {counted}, {cost:g} consumed")
        return response

    def _stored(self, asked: dict[str, Any]) -> Item | None:
        key = self._tables.get(asked["TableName"])
        holder = asked.get("Key") or asked["Item"]
        if key not in holder:
            return None
        wanted = {"TableName": asked["TableName"], "Key": {key: holder[key]}, "ConsistentRead": True}
        item: Item | None = json.loads(self._ask("GetItem", wanted).data).get("Item")
        return item

    def _ask(self, operation: str, asked: dict[str, Any]) -> urllib3.BaseHTTPResponse:
        return self._pool.request(
            "POST",
            self._url,
            body=json.dumps(asked),
            headers={
                "Content-Type": "application/x-amz-json-1.0",
                "X-Amz-Target": f"{_TARGET}.{operation}",
                # It requires a signature but does not check it.
                "Authorization": "AWS4-HMAC-SHA256 Credential=test/20260101/ap-south-1/dynamodb/aws4_request, "
                "SignedHeaders=host, Signature=none",
            },
            retries=False,
            timeout=30,
        )


_engine: Engine | None = None


def pytest_configure() -> None:
    """Replaces moto by the engine."""
    global _engine  # noqa: PLW0603 - one for the whole run
    _engine = Engine(int(os.environ[PORT]))
    moto_guard.install()
    moto_guard.replace_moto("DynamoDB Local", _engine)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Deletes all tables before each test."""
    assert _engine is not None
    _engine.empty()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fails the run if a cost was counted wrongly."""
    assert _engine is not None
    if _engine.unlike and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Reports what the engine did."""
    assert _engine is not None
    terminalreporter.section("DynamoDB Local")
    terminalreporter.line(", ".join(f"{count} {operation}" for operation, count in sorted(_engine.answered.items())))
    terminalreporter.line(f"{_engine.same} writes cost what was counted, {len(_engine.unlike)} did not")
    for line in _engine.unlike[:10]:
        terminalreporter.line(f"  {line}")
