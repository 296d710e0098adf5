"""Keeps whatever a test's handlers print, store and send, and searches it after the test.

Folders whose tests call handlers import `pytest_pyfunc_call` into their conftest, so that it wraps each test.
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
    """Something that left the service, to be searched.

    Args:
        where: a log, an answer, a request to AWS.
        text: its content.
    """
    _kept.append((where, text))


def keep_answer(answer: Mapping[str, Any]) -> None:
    """What a function returned to API Gateway."""
    keep("an answer", json.dumps(answer))


def keep_request(operation: str, body: bytes | str | None) -> None:
    """A function's request to AWS; reads only name a key."""
    if operation in _WRITES:
        keep(f"a {operation}", body.decode() if isinstance(body, bytes) else body or "")


def leaks() -> list[str]:
    """Returns the forbidden words in what was kept, and clears it."""
    everything = [(where, text) for where, text in _kept if text.strip()]
    _kept.clear()
    return [f"{what} in {where}" for where, text in everything for what in found(text)]


def _listen(stream: IO[str]) -> Callable[[str], int]:
    """The stream's write method, with a listener."""
    write = stream.write

    def listening(text: str) -> int:
        keep("the output", text)
        return write(text)

    return listening


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call() -> Generator[None, bool | None, bool | None]:
    """Around every test: no secret and no personal data in anything the handlers printed, stored or sent (I16).

    A hook, not a fixture: pytest replaces the streams for each phase of a test, and only here they are the test's.
    """
    with ExitStack() as undo:
        for stream in (sys.stdout, sys.stderr):
            undo.enter_context(patch.object(stream, "write", _listen(stream)))
        done = yield
    assert leaks() == []
    return done
