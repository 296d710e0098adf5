"""A cold local cloud on a busy machine: many first requests at once must not bury it."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from tests.cloud.conftest import Deployed

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

# One start computes for half a second (fixture/functions/slow_start.py). All at once, on two busy processors, they
# would need more than AWS's 10 s for init, and each would be killed before it is ready.
AT_ONCE = 40
PROCESSORS = os.cpu_count() or 1
BUSY_PROCESSES = 2 * PROCESSORS
# As many start at once as there are processors, at least two. A few more start before the first ones have answered all
# requests, which takes milliseconds.
MOST_STARTS = 4 * max(2, PROCESSORS)


@pytest.fixture
def busy_machine() -> Iterator[None]:
    """Keeps every processor busy."""
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(BUSY_PROCESSES)]
    try:
        yield
    finally:
        for process in busy:
            process.kill()
        for process in busy:
            process.wait()


def starts(deployed: Deployed) -> int:
    """How often the function was started, even if it never responded: its first line counts."""
    name = deployed.outputs["SlowStart"]
    return deployed.cloud.function_log.read_text().splitlines().count(f"{name} slow start")


@pytest.mark.usefixtures("busy_machine")
def test_many_first_requests_at_once_are_all_answered_by_a_few_environments(patched: Deployed) -> None:
    # One client per request: a single client has ten connections, and the other requests would wait for them.
    clients = [patched.cloud.client("lambda") for _ in range(AT_ONCE)]

    def first_request(client: "LambdaClient") -> tuple[str | None, Any]:
        answer = client.invoke(FunctionName=patched.outputs["SlowStart"], Payload=b"{}")
        return answer.get("FunctionError"), json.loads(answer["Payload"].read())

    with ThreadPoolExecutor(AT_ONCE) as callers:
        answers = list(callers.map(first_request, clients))

    assert [(kind, document) for kind, document in answers if kind is not None] == []
    assert 1 <= len({pid for _kind, pid in answers}) <= starts(patched) <= MOST_STARTS


def test_after_the_burst_nothing_needs_to_start_again(patched: Deployed) -> None:
    patched.invoke("SlowStart", {})
    before = starts(patched)

    for _ in range(5):
        assert patched.invoke("SlowStart", {})[0] is None

    assert starts(patched) == before
