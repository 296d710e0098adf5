"""Every outside call of a function, numbered, and its possible faults.

All four functions reach the outside through four clients only: DynamoDB, EventBridge, Secrets Manager and Razorpay's
HTTP. Each of them goes through `Outside.call`, which records the call and applies its fault. So the list of calls is
found by running the functions and not written by hand.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from tests.fakes import Crash


class Kind(StrEnum):
    """The fate of one call."""

    DIES_BEFORE = "dies before"
    """The function instance dies before the call."""
    DIES_AFTER = "dies after"
    """The call takes effect, and the function instance dies before the response."""
    FAILS_BEFORE = "fails before"
    """An error response; nothing happened."""
    FAILS_AFTER = "fails after"
    """It took effect, but the response was lost."""
    HANGS = "hangs"
    """Nothing happened, and no response came within the client's timeouts."""
    REPEATED = "repeated"
    """It took effect, the response was lost, and the client retried by itself, as botocore does."""
    PARTLY = "partly"
    """Only a part was done, which only PutEvents and BatchGetItem can do."""


@dataclass(frozen=True, slots=True)
class Call:
    """One outside call."""

    number: int
    """Its number since the start of the scenario, from 1."""
    during: str
    """The invocation, such as `webhook payment.captured`."""
    operation: str
    """The operation, such as `dynamodb UpdateItem` or `razorpay POST /v1/orders`."""
    kinds: frozenset[Kind]
    """Its possible faults."""


@dataclass(frozen=True, slots=True)
class Client:
    """How a client reports faults, with its own exceptions."""

    name: str
    refused: Callable[[], Exception]
    """What it raises on an error response."""
    lost: Callable[[], Exception]
    """What it raises without a response."""
    patience_s: float
    """How long it waits for a response, including its own retries."""
    repeats: bool = False
    """Whether it retries by itself without a response."""


class Fate(Protocol):
    """Decides a call's fault; None: it succeeds."""

    def __call__(self, call: Call, /) -> Kind | None:
        """The fault of this call."""
        ...


def good(call: Call) -> Kind | None:  # noqa: ARG001 - as `Fate`
    """Never a fault."""
    return None


class OutOfTime(Crash):
    """Lambda stopped the function after its timeout."""


class Outside:
    """Records every call and applies its fault.

    Attributes:
        calls: every call so far.
        played: the calls with a fault, and the fault.
        took: every function that completed or died, and how long it waited for responses, in seconds.
        refused: the requests that AWS would refuse; each is a mistake in the service.
        fate: decides the faults.
        gate: is called first by each call; lets two functions run in turns.
    """

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.played: list[tuple[Call, Kind]] = []
        self.took: list[tuple[str, float]] = []
        self.refused: list[str] = []
        self.fate: Fate = good
        self.gate: Callable[[str], None] | None = None
        self._local = threading.local()

    @contextmanager
    def during(self, what: str, timeout_s: float) -> Iterator[None]:
        """Assigns the calls inside, in this thread, to an invocation with this time limit."""
        self._local.what, self._local.left_s = what, timeout_s
        try:
            yield
        finally:
            self.took.append((what, timeout_s - self._local.left_s))
            del self._local.what, self._local.left_s

    @property
    def left_s(self) -> float:
        """The time left for this thread's function."""
        left: float = self._local.left_s
        return left

    def call[T](
        self,
        client: Client,
        operation: str,
        perform: Callable[[], T],
        *,
        partly: Callable[[], T] | None = None,
        reads: bool = False,
    ) -> T:
        """Makes one call, or applies its fault.

        Args:
            client: the caller.
            operation: its name at the other side.
            perform: performs it and returns the response.
            partly: performs a part of it, if that is possible.
            reads: it changes nothing, so it does not matter whether it took effect.
        """
        if self.gate is not None:
            self.gate(operation)
        kinds = {Kind.DIES_BEFORE, Kind.DIES_AFTER, Kind.FAILS_BEFORE, Kind.HANGS}
        if not reads:
            kinds |= {Kind.FAILS_AFTER} | ({Kind.REPEATED} if client.repeats else set())
        if partly is not None:
            kinds.add(Kind.PARTLY)
        what = getattr(self._local, "what", "")
        call = Call(len(self.calls) + 1, what, f"{client.name} {operation}", frozenset(kinds))
        self.calls.append(call)
        kind = self.fate(call)
        if kind is None:
            return perform()
        assert kind in kinds, f"{kind} cannot happen to {call}"
        self.played.append((call, kind))
        return self._strike(kind, client, perform, partly)

    def _strike[T](self, kind: Kind, client: Client, perform: Callable[[], T], partly: Callable[[], T] | None) -> T:
        match kind:
            case Kind.DIES_BEFORE:
                raise Crash
            case Kind.DIES_AFTER:
                perform()
                raise Crash
            case Kind.FAILS_BEFORE:
                raise client.refused()
            case Kind.FAILS_AFTER:
                perform()
                self._wait(client.patience_s)
                raise client.lost()
            case Kind.HANGS:
                self._wait(client.patience_s)
                raise client.lost()
            case Kind.REPEATED:
                perform()
                return perform()
            case Kind.PARTLY:
                assert partly is not None
                return partly()

    def _wait(self, seconds: float) -> None:
        if not seconds:
            return
        self._local.left_s -= seconds
        if self._local.left_s <= 0:
            raise OutOfTime
