"""What happens to captured payments when webhooks or the bus fail: the lanes' schedules on a simulated clock.

It models only when each lane runs, for how long, and what it does with one record, so that hours of a hundred payments
a second take seconds. How the code behaves under faults is tested elsewhere (`docs/evidence/faults.md`), and that its
sweep keeps up in `tests/bench/test_throughput.py`.

Every captured payment must reach the bus: by the webhook, by the outbox (stored but not published), by the watch lane
(only a signature known) or by the sweep (nothing known).
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import count
from random import Random
from runpy import run_path
from statistics import quantiles
from typing import Final

from payments.core.attention import OUTBOX_DELAY_S, WATCH_AGES_S
from payments.core.model import Lane
from payments.core.sweeping import PASSES, Pass
from payments.wiring.reconcile import WORKERS
from payments.wiring.sweep import _TIME_FOR_A_PAGE_MS
from payments.wiring.watch import _MOST_RECORDS, _NEXT_RUN_MS
from sandbox.cloud.build import PROJECT
from sandbox.cloud.packages import read_template

# Seconds that one step takes, assumed.
PUBLISH_S: Final = 0.05
"""A lane publishes one record's events, or records and publishes something new: four calls to AWS."""
LOOK_S: Final = 0.6
"""The watch lane asks Razorpay about one order: two calls."""
PAGE_S: Final = 0.3
"""The sweep reads a page of Razorpay's lists."""
PAYMENTS_A_PAGE: Final = 65
"""New payments per page under load: pages overlap, the last of a slice is half empty, and one attempt in eleven failed
(`tests/bench/test_throughput.py` runs the real code)."""
_RESOURCES: Final = read_template(PROJECT / "template.yaml")["Resources"]
_TIME_FOR_ONE_MS: Final = run_path(str(PROJECT / "functions/outbox/app.py"))["_TIME_FOR_ONE_MS"]
# How long a run picks up new work: the function's time, less a reserve for the last item.
OUTBOX_RUN_S: Final = _RESOURCES["OutboxFunction"]["Properties"]["Timeout"] - _TIME_FOR_ONE_MS / 1000
SWEEP_RUN_S: Final = _RESOURCES["ReconcileFunction"]["Properties"]["Timeout"] - _TIME_FOR_A_PAGE_MS / 1000
WATCH_RUN_S: Final = min(_NEXT_RUN_MS / 1000, _MOST_RECORDS[Lane.WATCH] * LOOK_S)
SWEEP_EVERY_S: Final = 300.0
_MINUTE_S: Final = 60.0
_LISTED_AFTER_S: Final = 300.0
"""The lag of Razorpay's lists."""
BUS_RATE: Final = 600
"""PutEvents requests a second in ap-south-1."""
# Seconds from the first delivery to each retry while the response is an error (a published measurement); after the last
# one the webhook is disabled.
LADDER_S: Final = (0.23, 6.1, 19.1, 39.5, 82.3, 164.5, 326, 650, 1293, 2577, 5140, 10267, 20508, 40989, 81953)
_LONGEST_S: Final = 3600.0 * 240
"""Ten days: the last pass, eight days behind, runs once a day."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """The load, and what fails between the failure's start and end."""

    name: str
    what: str
    rate: float = 100.0
    """Captured payments a second, from the start to one minute after the failure's end."""
    bus_rate: float = BUS_RATE
    """PutEvents requests a second during the failure."""
    webhooks_blocked: bool = False
    """No delivery gets through during the failure; Razorpay retries."""
    webhooks_off: bool = False
    """Razorpay never sends a webhook."""
    lanes: bool = True
    """Whether anything other than the webhook publishes."""
    trouble_s: float = 300.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a scenario."""

    captured: int
    by: Counter[str]
    """Payments published by each: webhook, outbox, watch, sweep."""
    waits_s: list[float]
    """The times from capture to the event on the bus, in order."""

    @property
    def lost(self) -> int:
        """Captured, and never published."""
        return self.captured - len(self.waits_s)

    def wait_s(self, share: int) -> float:
        """The wait that this percentage of payments did not exceed."""
        return quantiles(self.waits_s, n=100)[share - 1]


@dataclass(slots=True)
class _Payment:
    captured_at: float
    stored: bool = False
    """The capture is stored, and with it the event that follows."""
    published: bool = False
    lane: str = "outbox"
    due_at: float = 0.0
    failures: int = 0


class Simulation:
    """One scenario, from its first customer until nothing is waiting; the same seed gives the same outcome."""

    def __init__(self, scenario: Scenario, seed: int) -> None:
        self._scenario = scenario
        self._random = Random(seed)  # noqa: S311 - a simulation
        self._now = 0.0
        self._numbers = count()
        self._queue: list[tuple[float, int, Iterator[float]]] = []
        """Which process continues at which time; each yields the seconds until it continues."""
        self._due: dict[str, list[tuple[float, int, _Payment]]] = {"outbox": [], "watch": []}
        self._books: list[_Payment] = []
        self._bus: Counter[int] = Counter()
        self._waits_s: list[float] = []
        self._by: Counter[str] = Counter()
        self._read_to = {one: float(-one.age_s) for one in PASSES if one.listed == "payments"}
        """The time up to which each pass of the sweep has read,"""
        self._read: Counter[Pass] = Counter()
        """and how many payments it has read."""

    def run(self) -> Outcome:
        """Plays it to its end."""
        self._start(self._customers())
        if self._scenario.lanes:
            self._start(self._outbox(), self._random.uniform(0, _MINUTE_S))
            self._start(self._watch(), self._random.uniform(0, _MINUTE_S))
            self._start(self._sweep(), self._random.uniform(0, SWEEP_EVERY_S))
        while self._queue:
            self._now, _, process = heappop(self._queue)
            delay = next(process, None)
            if delay is not None:
                self._start(process, delay)
        return Outcome(len(self._books), self._by, self._waits_s)

    def _start(self, process: Iterator[float], after: float = 0.0) -> None:
        heappush(self._queue, (self._now + after, next(self._numbers), process))

    @property
    def _in_trouble(self) -> bool:
        return _MINUTE_S <= self._now < _MINUTE_S + self._scenario.trouble_s

    def _goes_on(self) -> bool:
        """Whether customers may still pay, or something is waiting."""
        end = self._scenario.trouble_s + 2 * _MINUTE_S
        return self._now < end or (len(self._waits_s) < len(self._books) and self._now < _LONGEST_S)

    # --- the customers and Razorpay ---

    def _customers(self) -> Iterator[float]:
        while self._now < self._scenario.trouble_s + 2 * _MINUTE_S:
            yield self._random.expovariate(self._scenario.rate)
            payment = _Payment(self._now)
            self._books.append(payment)
            # The signature is stored at once.
            self._put(payment, "outbox", self._now + OUTBOX_DELAY_S)
            if not self._scenario.webhooks_off:
                self._start(self._deliveries(payment), 0.6)

    def _deliveries(self, payment: _Payment) -> Iterator[float]:
        first = self._now
        for after in (*LADDER_S, None):
            if not (self._scenario.webhooks_blocked and self._in_trouble):
                self._store(payment)
                if self._publish(payment, "webhook"):
                    return
            if after is not None:
                yield max(first + after - self._now, 0.0)

    # --- the service ---

    def _store(self, payment: _Payment) -> None:
        if not payment.stored:
            payment.stored = True
            self._put(payment, "outbox", self._now + OUTBOX_DELAY_S)

    def _publish(self, payment: _Payment, by: str) -> bool:
        if payment.published:
            return True
        second = int(self._now)
        if self._bus[second] >= (self._scenario.bus_rate if self._in_trouble else BUS_RATE):
            return False
        self._bus[second] += 1
        payment.published = True
        self._waits_s.append(self._now - payment.captured_at)
        self._by[by] += 1
        return True

    def _put(self, payment: _Payment, lane: str, when: float) -> None:
        payment.lane, payment.due_at = lane, when
        heappush(self._due[lane], (when, next(self._numbers), payment))

    def _lane(self, lane: str, run_s: float, look: Callable[[_Payment], bool], takes_s: float) -> Iterator[float]:
        """Every minute: what is due, the longest overdue first, while the run has time."""
        while self._goes_on():
            started, due = self._now, self._due[lane]
            while due and due[0][0] <= started and self._now < started + run_s:
                when, _, payment = heappop(due)
                # It may have moved in the meantime; the index follows.
                if payment.published or (payment.lane, payment.due_at) != (lane, when):
                    continue
                if not look(payment):
                    # Postponed, with doubled delays, in the outbox up to two minutes.
                    self._put(payment, lane, self._now + min(_MINUTE_S * 2**payment.failures, 2 * _MINUTE_S))
                    payment.failures += 1
                yield takes_s
            yield max(started + _MINUTE_S - self._now, 0.0)

    def _outbox(self) -> Iterator[float]:
        def look(payment: _Payment) -> bool:
            """Publishes what is stored, and moves what only Razorpay can resolve to the watch lane."""
            if payment.stored:
                return self._publish(payment, "outbox")
            ages = (payment.captured_at + age for age in WATCH_AGES_S)
            if (at := next((at for at in ages if at > self._now), None)) is not None:
                self._put(payment, "watch", at)
            return True

        return self._lane("outbox", OUTBOX_RUN_S, look, PUBLISH_S)

    def _watch(self) -> Iterator[float]:
        def look(payment: _Payment) -> bool:
            self._store(payment)
            # Events that the bus refuses are now in the outbox.
            return self._publish(payment, "watch") or True

        return self._lane("watch", WATCH_RUN_S, look, LOOK_S)

    def _sweep(self) -> Iterator[float]:
        """Every five minutes: each due pass continues where it stopped, several at once."""
        while self._goes_on():
            due = [one for one, read_to in self._read_to.items() if self._now - one.age_s - read_to >= one.every_s]
            for _ in range(WORKERS):
                self._start(self._worker(due, self._now))
            yield SWEEP_EVERY_S

    def _worker(self, due: list[Pass], started: float) -> Iterator[float]:
        """Page after page; payments already in the table cost nothing more."""
        end = started + SWEEP_RUN_S
        while due and self._now < end:
            one, is_done = due.pop(0), False
            while not is_done and self._now < end:
                to = min(started - one.age_s, self._now - _LISTED_AFTER_S)
                read = self._read[one]
                page = [payment for payment in self._books[read : read + PAYMENTS_A_PAGE] if payment.captured_at < to]
                news = [payment for payment in page if not payment.stored]
                for payment in news:
                    self._store(payment)
                    self._publish(payment, "sweep")
                is_done = len(page) < PAYMENTS_A_PAGE
                self._read[one] += len(page)
                self._read_to[one] = to if is_done else page[-1].captured_at
                yield PAGE_S + len(news) * PUBLISH_S


SCENARIOS: Final = (
    Scenario("good times", "Nothing is wrong."),
    Scenario("bus throttled", "PutEvents accepts a tenth of what is published.", bus_rate=10),
    Scenario(
        "webhooks blocked",
        "None of Razorpay's deliveries gets through for half an hour; then its retries come on top of the new ones.",
        rate=5,
        webhooks_blocked=True,
        trouble_s=1800,
    ),
    Scenario("webhooks off", "Razorpay stops sending webhooks for good; only the lanes are left.", webhooks_off=True),
)
SEED: Final = 20261125


def play(seed: int = SEED) -> list[Outcome]:
    """Every scenario."""
    return [Simulation(scenario, seed).run() for scenario in SCENARIOS]
