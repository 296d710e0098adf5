"""Keeps whatever a test's handlers say, store and send, and looks through it when the test is over.

The folders whose tests call handlers import `pytest_pyfunc_call` into their conftest, so that it is around each test.
"""

import json
import sys
from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack
from typing import IO, Any, Final
from unittest.mock import patch

import pytest

from tests.secrecy.words import found

_kept: list[tuple[str, str]] = []
_WRITES: Final = frozenset({"PutItem", "UpdateItem", "PutEvents"})


def keep(where: str, text: str) -> None:
    """Something that left the service, to be looked through.

    Args:
        where: a log, an answer, a request to AWS.
        text: what it said.
    """
    _kept.append((where, text))


def keep_answer(answer: Mapping[str, Any]) -> None:
    """What a function returned to API Gateway."""
    keep("an answer", json.dumps(answer))


def keep_request(operation: str, body: bytes | str | None) -> None:
    """What a function asked of AWS; reads only name a key."""
    if operation in _WRITES:
        keep(f"a {operation}", body.decode() if isinstance(body, bytes) else body or "")


def leaks() -> list[str]:
    """What was kept and must not have been said; afterwards nothing is kept."""
    everything = [(where, text) for where, text in _kept if text.strip()]
    _kept.clear()
    return [f"{what} in {where}" for where, text in everything for what in found(text)]


def _listen(stream: IO[str]) -> Callable[[str], int]:
    """The stream's own way of writing, with somebody listening."""
    write = stream.write

    def listening(text: str) -> int:
        keep("the output", text)
        return write(text)

    return listening


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call() -> Generator[None, bool | None, bool | None]:
    """Around every test: no secret and no personal datum in anything that the handlers said, stored or sent (I16).

    A hook and no fixture: pytest puts other streams in place for each phase of a test, and only here those of the test.
    """
    with ExitStack() as undo:
        for stream in (sys.stdout, sys.stderr):
            undo.enter_context(patch.object(stream, "write", _listen(stream)))
        done = yield
    assert leaks() == []
    return done
