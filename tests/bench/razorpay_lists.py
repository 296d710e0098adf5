"""Razorpay's lists of a busy account, and reconcile's sweep over them, in simulated time.

The passes, their order and the reading of a list are the service's own code; a run divides them among workers as
`payments.wiring.sweep` does. A worker waits only for its calls.
"""

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from random import Random
from typing import Final, cast, overload

from payments.core import sweeping
from payments.core.errors import StorageConflict
from payments.core.sweeping import PAGE, Entry, Listed, Pass, Watermark, is_due, sweep

CALL_S: Final = 0.3
LAG_S: Final = 300
RUN_EVERY_S: Final = 300
_PERIOD_S: Final = 4_096


class Arrivals:
    """How many entries each second brings: random, repeated every 4,096 seconds, so that years take no memory."""

    def __init__(self, rate: float, seed: int) -> None:
        random = Random(seed)  # noqa: S311 - a simulation
        self._sums = [0, *accumulate(_poisson(rate, random) for _ in range(_PERIOD_S))]

    def before(self, second: int) -> int:
        """The number of entries since the epoch, before this second."""
        periods, rest = divmod(second, _PERIOD_S)
        return periods * self._sums[-1] + self._sums[rest]

    def second_of(self, number: int) -> int:
        """The second in which this entry was created."""
        periods, rest = divmod(number, self._sums[-1])
        return periods * _PERIOD_S + bisect_right(self._sums, rest) - 1


@dataclass(frozen=True, slots=True)
class Page(Sequence[Entry]):
    """Entries by number, the newest first; each is created on access."""

    arrivals: Arrivals
    first: int
    beyond: int

    def __len__(self) -> int:
        return self.beyond - self.first

    @overload
    def __getitem__(self, at: int) -> Entry: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[Entry]: ...
    def __getitem__(self, at: int | slice) -> Entry | Sequence[Entry]:
        if isinstance(at, slice):
            return [self[number] for number in range(*at.indices(len(self)))]
        if not -len(self) <= at < len(self):
            raise IndexError(at)
        number = self.beyond - 1 - at % len(self)
        return {"created_at": self.arrivals.second_of(number)}

    def __iter__(self) -> Iterator[Entry]:
        return (self[at] for at in range(len(self)))


class Marks:
    """Watermarks; checks that none moves past an unread entry."""

    def __init__(self, lists: Mapping[Listed, Arrivals]) -> None:
        self._lists = lists
        self._read: dict[str, list[tuple[int, int]]] = {}
        self.at: dict[str, Watermark] = {}

    def watermark(self, name: str) -> Watermark | None:
        return self.at.get(name)

    def has_read(self, name: str, page: Page) -> None:
        self._read.setdefault(name, []).append((page.first, page.beyond))

    def move_watermark(self, name: str, seen: Watermark | None, to: Watermark) -> None:
        if self.at.get(name) != seen:
            raise StorageConflict
        if seen is not None and to.at > seen.at:
            arrivals = self._lists[cast("Listed", name.partition("-")[0])]
            wanted, end = arrivals.before(seen.at), arrivals.before(to.at)
            for first, beyond in sorted(self._read.pop(name, [])):
                if first <= wanted:
                    wanted = max(wanted, beyond)
            assert wanted >= end, f"{name} went on over {end - wanted} entries that it has not read"
        self.at[name] = to


@dataclass(slots=True)
class Sweeper:
    """Reconcile's sweep, run after run.

    Attributes:
        now: the simulated time, epoch seconds.
        lists: the entries that appear in Razorpay's lists.
        workers: the number of concurrent calls.
        run_s: for how long one run keeps reading.
        calls: made so far, by pass.
        lags: per pass, its lag in seconds at the end of each run.
    """

    now: int
    lists: Mapping[Listed, Arrivals]
    workers: int
    run_s: float
    marks: Marks = field(init=False)
    calls: Counter[str] = field(default_factory=Counter)
    lags: dict[str, list[int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.marks = Marks(self.lists)

    def begin(self, *, behind_s: int = 0) -> None:
        """Makes every pass due now and puts it this far behind; slice lengths are reset."""
        for one in sweeping.PASSES:
            at = self.now - one.age_s - one.every_s - behind_s
            self.marks.at[one.name] = Watermark(at=at, span=sweeping._FIRST_SPAN_S)  # noqa: SLF001 - as a new pass has it

    def run_for(self, seconds: int) -> None:
        """Runs the sweep on its schedule."""
        for _ in range(seconds // RUN_EVERY_S):
            self._run()
            self.now += RUN_EVERY_S
            for one in sweeping.PASSES:
                late = (
                    self.now - one.age_s - one.every_s - self.marks.at[one.name].at if one.name in self.marks.at else 0
                )
                self.lags.setdefault(one.name, []).append(max(late, 0))

    def _run(self) -> None:
        due = [one for one in sweeping.PASSES if is_due(one, self.marks.watermark(one.name), self.now)]
        # Passes share nothing but the workers, so they can be simulated one after the other if each call uses the
        # worker that is free first.
        free_at = [0.0] * min(self.workers, max(len(due), 1))
        while due and min(free_at) < self.run_s:
            worker = free_at.index(min(free_at))
            free_at[worker] = self._pass(due.pop(0), free_at[worker])

    def _pass(self, one: Pass, begun_s: float) -> float:
        clock_s = begun_s
        arrivals = self.lists[one.listed]

        def read(start: int, end: int, skip: int) -> Page:
            nonlocal clock_s
            clock_s += CALL_S
            self.calls[one.name] += 1
            listed_until = min(end, int(self.now + clock_s) - LAG_S)
            beyond = max(arrivals.before(listed_until + 1) - skip, arrivals.before(start))
            return Page(arrivals, max(beyond - PAGE, arrivals.before(start)), beyond)

        def apply(page: Sequence[Entry]) -> None:
            self.marks.has_read(one.name, cast("Page", page))

        end = self.now - one.age_s
        sweep(self.marks, one.name, read, apply, end=end, is_over=lambda: clock_s >= self.run_s)
        return clock_s


def _poisson(rate: float, random: Random) -> int:
    """A Poisson sample (Knuth); 110 a second is well within a float's range."""
    limit, product, count = math.exp(-rate), random.random(), 0
    while product > limit:
        product *= random.random()
        count += 1
    return count


def busy(payments: float, seed: int) -> dict[Listed, Arrivals]:
    """An account with this many payments a second, a tenth as many failed attempts and a fiftieth as many refunds."""
    return {"payments": Arrivals(payments * 1.1, seed), "refunds": Arrivals(payments * 0.02, seed + 1)}
