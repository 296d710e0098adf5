"""Every call that a function makes to the outside, numbered, and what may become of it.

All four functions reach the outside through four clients only: DynamoDB, EventBridge, Secrets Manager and Razorpay's
HTTP. Each of them asks `Outside.call`, which records the call and lets it meet its fate. So the list of calls is found
by running the functions, never written down.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from tests.fakes import Crash


class Kind(StrEnum):
    """What may become of one call."""

    DIES_BEFORE = "dies before"
    """The function instance is gone before the call was made."""
    DIES_AFTER = "dies after"
    """The call took effect, and the function instance is gone before it heard of it."""
    FAILS_BEFORE = "fails before"
    """An error answer, and nothing happened."""
    FAILS_AFTER = "fails after"
    """It took effect, and the answer was lost."""
    HANGS = "hangs"
    """Nothing happened, and no answer came until the client's timeouts had passed."""
    REPEATED = "repeated"
    """It took effect, the answer was lost, and the client sent it again by itself, as botocore does."""
    PARTLY = "partly"
    """Some of what was asked was done; only PutEvents and BatchGetItem can do that."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call to the outside."""

    number: int
    """From 1, over everything since the start of the scenario."""
    during: str
    """What was going on, such as `webhook payment.captured`."""
    operation: str
    """Such as `dynamodb UpdateItem` or `razorpay POST /v1/orders`."""
    kinds: frozenset[Kind]
    """What may become of it."""


@dataclass(frozen=True, slots=True)
class Client:
    """How a client takes trouble, in its own exceptions."""

    name: str
    refused: Callable[[], Exception]
    """What it raises on an error answer."""
    lost: Callable[[], Exception]
    """What it raises when no answer came."""
    patience_s: float
    """How long it waits for an answer, its own retries included."""
    repeats: bool = False
    """Whether it sends a call again by itself when no answer came."""


class Fate(Protocol):
    """Decides what becomes of a call; None is the usual."""

    def __call__(self, call: Call, /) -> Kind | None:
        """What becomes of this call."""
        ...


def good(call: Call) -> Kind | None:  # noqa: ARG001 - as `Fate`
    """Nothing ever goes wrong."""
    return None


class OutOfTime(Crash):
    """Lambda ended the function, since it took longer than its timeout."""


class Outside:
    """Records every call and deals out what becomes of it.

    Attributes:
        calls: every call so far.
        played: the calls that did not go the usual way, with what became of them.
        took: every function that ran to its end or died, with how long it had waited for answers, in seconds.
        refused: the requests that AWS would refuse as they are; each is a mistake of ours.
        fate: decides it.
        gate: is passed by each call before anything else happens; lets two functions run in turns.
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
        """What the calls inside belong to, in this thread, and how long it may take altogether."""
        self._local.what, self._local.left_s = what, timeout_s
        try:
            yield
        finally:
            self.took.append((what, timeout_s - self._local.left_s))
            del self._local.what, self._local.left_s

    @property
    def left_s(self) -> float:
        """How much of its time the function of this thread has left."""
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
        """Makes one call, or lets it go wrong.

        Args:
            client: who makes it.
            operation: what it is called at the other side.
            perform: lets it take effect and returns the answer.
            partly: does some of it, where that is possible.
            reads: it changes nothing, so that whether it took effect makes no difference.
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
