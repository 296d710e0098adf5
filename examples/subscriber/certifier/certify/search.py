"""Tries schedules on a subscriber, and shrinks the first that fails to the shortest."""

import itertools
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from certify.histories import Event, History, of_types, renamed
from certify.rules import broken
from certify.schedules import Case, Delivery, Schedule, long, short, singly
from certify.subject import Subject

SHORT = 3
"""Every sequence of this many deliveries comes before any longer one."""
_SHRINK_SHARE = 0.5
"""How much time shrinking may take, of the budget."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A schedule on which the subscriber fails."""

    case: Case
    wrong: str
    is_shortest: bool
    """Every shorter schedule of the same events was tried."""


@dataclass
class Search:
    """A search for a schedule on which a subscriber fails.

    Attributes:
        subject: the subscriber.
        types: the detail types that its rule delivers; empty: all.
        seed: of the order in which longer schedules are tried.
        seconds: how long to search.
        most: how many schedules to try at most.
        progress: called with the number of schedules tried, and what is being tried.
        tried: how many were tried.
        complete: up to how many deliveries every schedule was tried.
        exhausted: whether none is left.
    """

    subject: Subject
    types: frozenset[str] = frozenset()
    seed: int = 0
    seconds: float = 60
    most: int = 10**9
    progress: Callable[[int, str], None] = lambda _tried, _what: None
    tried: int = 0
    complete: int = 0
    exhausted: bool = False
    # Not from 1: a store that is kept between runs would know these orders.
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(time.time_ns() // 1_000))
    _looks: set[tuple[object, ...]] = field(default_factory=set)

    def run(self, histories: Sequence[History]) -> Finding | None:
        """Search until something fails, nothing is left, or the budget is used up.

        Raises:
            BadSubject: the subscriber's outcome cannot be checked.
        """
        received = dict.fromkeys(part for history in histories if (part := of_types(history, self.types)))
        end = time.monotonic() + self.seconds
        for what, case in self._cases(list(received)):
            if time.monotonic() > end or self.tried >= self.most:
                return None
            look = case.look()
            if look in self._looks:
                continue
            self._looks.add(look)
            self.progress(self.tried, what)
            wrong = self.failure(case)
            if wrong:
                return self.shortest(case, wrong)
        self.exhausted = True
        return None

    def _cases(self, histories: Sequence[History]) -> Iterator[tuple[str, Case]]:
        for length in range(1, SHORT + 1):
            for history in histories:
                for case in short(history, length):
                    yield f"sequences of {length}", case
            self.complete = length
        chance = random.Random(self.seed)  # noqa: S311 - the seed repeats it
        # A history at a time, in parts: all cases of all histories would not fit into memory.
        waiting = [long(history) for history in histories]
        while waiting:
            cases = chance.choice(waiting)
            part = list(itertools.islice(cases, 200))
            if not part:
                waiting.remove(cases)
            chance.shuffle(part)
            for case in part:
                yield "whole histories", case

    def failure(self, case: Case) -> str:
        """Deliver a schedule to an order of its own. Return what is wrong after any of its deliveries."""
        self.tried += 1
        history = renamed(case.history, next(self._numbers) % 10**14)
        terms = history[0].terms
        self.subject.agreed(terms if case.as_agreed else terms | {"amount": terms["amount"] + 100})
        received: list[Event] = []
        for delivery in case.schedule:
            events = [history[place] for place in delivery.events]
            wrong = self.subject.deliver(events, replayed=delivery.replayed)
            if wrong:
                return wrong
            received += events
            seen = self.subject.seen(history[0].detail["payment"]["order_id"])
            for what in broken(received, seen, as_agreed=case.as_agreed):
                return what
        return ""

    def shortest(self, case: Case, wrong: str) -> Finding:
        """Shrink a failing schedule: drop what can be dropped, then try every shorter sequence of the same events."""
        end = time.monotonic() + max(5.0, self.seconds * _SHRINK_SHARE)
        is_smaller = True
        while is_smaller and time.monotonic() < end:
            is_smaller = False
            for smaller in _smaller(case):
                found = self.failure(smaller)
                if found:
                    case, wrong, is_smaller = smaller, found, True
                    break
        for length in range(1, len(case)):
            for places in itertools.product(range(len(case.history)), repeat=length):
                if time.monotonic() > end:
                    return Finding(case, wrong, is_shortest=False)
                shorter = replace(case, schedule=singly(places))
                found = self.failure(shorter)
                if found:
                    return Finding(shorter, found, is_shortest=True)
        return Finding(case, wrong, is_shortest=True)


def _smaller(case: Case) -> Iterator[Case]:
    """Return simpler cases: one message less, then messages apart, not replayed, with the agreed terms."""
    schedule = case.schedule
    for place, delivery in enumerate(schedule):
        for message in range(len(delivery.events)):
            left = (*delivery.events[:message], *delivery.events[message + 1 :])
            between: Schedule = (replace(delivery, events=left),) if left else ()
            yield replace(case, schedule=(*schedule[:place], *between, *schedule[place + 1 :]))
    for place, delivery in enumerate(schedule):
        if len(delivery.events) > 1:
            apart = tuple(Delivery((event,), delivery.replayed) for event in delivery.events)
            yield replace(case, schedule=(*schedule[:place], *apart, *schedule[place + 1 :]))
        if delivery.replayed:
            yield replace(case, schedule=(*schedule[:place], Delivery(delivery.events), *schedule[place + 1 :]))
    if not case.as_agreed:
        yield replace(case, as_agreed=True)
