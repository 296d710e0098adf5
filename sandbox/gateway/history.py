"""The earlier states of entities: Razorpay's lists are copies that lag (published measurement)."""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol


class Entity(Protocol):
    """An order, a payment or a refund."""

    @property
    def id(self) -> str:
        """Its id at Razorpay."""


class History[T: Entity]:
    """The states of entities of one kind, each with the time (in Unix seconds) from which it applied."""

    def __init__(self, copied: Callable[[T], T]) -> None:
        self._copied = copied
        self._since: dict[str, list[float]] = {}
        self._states: dict[str, list[T]] = {}

    def note(self, entity: T, at: float) -> None:
        """Record the entity's current state. Even if the clock was set back, it is no older than the state before."""
        since = self._since.setdefault(entity.id, [])
        since.append(max(at, since[-1]) if since else at)
        self._states.setdefault(entity.id, []).append(self._copied(entity))

    def forget(self) -> None:
        """Forget everything."""
        self._since.clear()
        self._states.clear()

    def shown(self, entities: Iterable[T], at: float) -> Iterator[T]:
        """Return the entities as they were at that time, in order. Those that did not exist yet are left out."""
        for entity in entities:
            known = bisect_right(self._since[entity.id], at)
            if known:
                yield self._states[entity.id][known - 1]
