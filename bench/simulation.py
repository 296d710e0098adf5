"""What becomes of payments when more is asked than the service was given: a simulation of arrivals, stalls and quotas.

Discrete events on a simulated clock, and of the service only its timetable: each rule here is one of the design's or of
AWS', in a line or two, so that days pass in seconds and everything can be had at ten times its limit. What the code
itself does under faults is proved elsewhere (`docs/evidence/faults.md`), and that its sweep keeps up in
`tests/bench/test_throughput.py`; this shows that the parts fit together when they are too small.

A customer who is refused tries again a few times and leaves: no order, no money. From the moment a payment is captured
at Razorpay it must end up recorded as paid, with its event on the bus, whatever is too small or away in between.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from heapq import heappop, heappush
from random import Random
from typing import Final

from bench.figures import percentile
from payments.core.attention import OUTBOX_DELAY_S, WATCH_AGES_S
from payments.core.sweeping import PASSES

# Seconds from the first delivery to each of the next, while the answer is an error (a published measurement); none
# after the last, and the webhook is disabled.
LADDER_S: Final = (0.23, 6.1, 19.1, 39.5, 82.3, 164.5, 326, 650, 1293, 2577, 5140, 10267, 20508, 40989, 81953)
# What a caller does who is answered 429 or 503: as the shop of this project, five tries, doubling.
PATIENCE_S: Final = (1.0, 2.0, 4.0, 8.0)
# A customer fills in Checkout, and one in ten never pays.
_CHECKOUT_S: Final = (15.0, 90.0)
_UNPAID_SHARE: Final = 0.1
# Payments that a page of a list is worth where many come each second: pages overlap, the last of a slice is half empty,
# and one attempt in eleven failed (`tests/bench/test_throughput.py` has the real thing).
PAYMENTS_A_PAGE: Final = 65
_MINUTE_S: Final = 60.0
_SWEEP_EVERY_S: Final = 300.0
_LISTED_AFTER_S: Final = 300.0
"""By how much Razorpay's lists lag."""
# Failures put a record off, twice as long each time; a look up to an hour, an event up to two minutes.
_LONGEST_BACKOFF_S: Final = {"watch": 3600.0, "outbox": 120.0}
# Ten days: a pass a day, eight days behind, is the last to see anything.
_LONGEST_S: Final = 3600.0 * 240


@dataclass(frozen=True, slots=True)
class Limits:
    """What the service was given; the defaults are template.yaml's, and AWS' in ap-south-1."""

    api_rate: float = 100
    """Requests a second, and at once, to everything but the webhook (ApiRateLimit)."""
    webhook_rate: float = 300
    """Deliveries a second, and at once (WebhookRateLimit)."""
    create_instances: int = 200
    verify_instances: int = 100
    webhook_instances: int = 100
    bus_rate: float = 600
    """PutEvents requests a second."""
    table_units: float = 4_000
    """Write units a second: a new on-demand table."""
    outbox_s: float = 30
    """How long a run of the outbox takes up records: its function's 55 s, less what it keeps for one more."""
    watch_s: float = 55
    """How long a run of the watch lane does,"""
    watch_records: int = 500
    """and how many it looks at."""
    sweep_s: float = 260
    """How long a run of the sweep reads on: its function's 290 s, less what it keeps for one more page,"""
    sweep_workers: int = 4
    """and how many pages at once."""
    gateway_rate: float = 100
    """Requests a second that Razorpay takes from us: not published, assumed."""


@dataclass(frozen=True, slots=True)
class Units:
    """Write units of each step, counted by `bench.counted`."""

    create: float = 2.1
    verify: float = 2
    authorized: float = 1
    captured: float = 1
    clear: float = 2


@dataclass(frozen=True, slots=True)
class Latency:
    """Seconds that a request occupies its instance; only create-order waits for Razorpay."""

    create: float = 0.35
    create_stalled: float = 11.0
    """Connecting and reading time out."""
    verify: float = 0.03
    webhook: float = 0.05
    webhook_in_trouble: float = 2.0
    """The table or the bus refuses, and the client tries once more."""
    look: float = 0.6
    """The watch lane asks Razorpay about one order: two calls."""
    page: float = 0.3
    """The sweep reads a page."""
    publish: float = 0.05
    """A lane publishes one record's events, or records what is new and publishes that: four calls to AWS (assumed)."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """What is asked, and what goes wrong meanwhile, between the trouble's start and its end."""

    name: str
    what: str
    rate: float = 25.0
    """Customers a second in good times: a quarter of ApiRateLimit, at two to three requests each."""
    surge: float = 1.0
    """Times as many while it lasts."""
    gateway_stalls: bool = False
    webhooks_blocked: bool = False
    """Nothing of what Razorpay sends gets through."""
    webhooks_off: bool = False
    """Razorpay sends nothing, ever."""
    dying_share: float = 0.0
    """Of the captures' deliveries, those whose function dies when the event is stored and not published; and nothing
    comes again."""
    failing_looks: int = 0
    """Records in the watch lane when the trouble begins, whose looks fail for as long as it lasts."""
    during: Limits | None = None
    """What the limits are meanwhile."""
    quiet_s: float = 60.0
    trouble_s: float = 300.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of it. Nothing is lost when `captured`, `recorded` and `told` are the same."""

    scenario: str
    customers: int
    turned_away: int
    """Gave up trying to order; no money moved."""
    orders: int
    captured: int
    """Payments that Razorpay took money for."""
    recorded: int
    """Of these, recorded as paid in the end."""
    told: int
    """Of these, with their event on the bus in the end."""
    told_again: int
    """Publishes of an event that was on the bus already; subscribers drop them by `event_id`."""
    refused: int
    """Requests and deliveries answered 429 or 503."""
    exhausted: int
    """Webhook events that Razorpay gave up on."""
    by_outbox: int
    by_watch: int
    by_sweep: int
    """Payments that each lane told, the last two after finding out about them."""
    overdue_s: float
    """How long the outbox let an event wait that was due, at most."""
    most_waiting: int
    """Captured payments whose event was not on the bus, at the worst moment."""
    typical_s: float
    """From the capture to the event on the bus: the median,"""
    slow_s: float
    """the slowest in a hundred,"""
    slowest_s: float
    """and the slowest."""
    recovered_s: float
    """From the end of the trouble until no captured payment waited any more that had been captured before that end."""


@dataclass(slots=True)
class _Payment:
    captured_at: float | None = None
    alive_since: float | None = None
    """Since when the service knows of it, from a signature or an authorization."""
    confirmed: bool = False
    pending: bool = False
    told_at: float | None = None
    lane: str | None = None
    due_at: float = 0.0
    failures: int = 0
    deaf: bool = False
    """Nothing that Razorpay sends of it comes any more."""
    fails: bool = False
    """Not a payment of this story: a record whose looks fail."""


@dataclass(slots=True)
class _Pass:
    """One of the sweep's passes over the payments: how far it has read."""

    age_s: float
    every_s: float
    at: float
    read: int = 0
    """How many of the captured payments."""


@dataclass(slots=True)
class _Bucket:
    """A token bucket that holds one second's worth."""

    rate: float
    level: float = field(init=False)
    at: float = 0.0

    def __post_init__(self) -> None:
        self.level = self.rate

    def take(self, now: float, amount: float = 1.0) -> bool:
        self.level = min(self.rate, self.level + (now - self.at) * self.rate)
        self.at = now
        if self.level < amount:
            return False
        self.level -= amount
        return True

    def resize(self, now: float, rate: float) -> None:
        self.take(now, 0)
        self.rate = rate
        self.level = min(self.level, rate)


class Simulation:
    """One scenario, from its first customer until nothing waits any more."""

    def __init__(
        self, scenario: Scenario, seed: int, *, limits: Limits | None = None, units: Units | None = None
    ) -> None:
        """Prepares it; the same seed gives the same outcome.

        Args:
            scenario: what is asked of whom.
            seed: of everything that is drawn.
            limits: in good times.
            units: what each step writes.
        """
        self._scenario = scenario
        self._random = Random(seed)  # noqa: S311 - a simulation
        self._limits = limits or Limits()
        self._units = units or Units()
        self._latency = Latency()
        self._now = 0.0
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._number = 0
        self._api = _Bucket(self._limits.api_rate)
        self._webhook = _Bucket(self._limits.webhook_rate)
        self._bus = _Bucket(self._limits.bus_rate)
        self._table = _Bucket(self._limits.table_units)
        self._gateway = _Bucket(self._limits.gateway_rate)
        self._busy: Counter[str] = Counter()
        self._instances = {
            "create": self._limits.create_instances,
            "verify": self._limits.verify_instances,
            "webhook": self._limits.webhook_instances,
        }
        self._in_trouble = False
        self._payments: list[_Payment] = []
        self._lanes: dict[str, list[tuple[float, int, _Payment]]] = {"outbox": [], "watch": []}
        self._books: list[_Payment] = []
        self._passes = [_Pass(one.age_s, one.every_s, float(-one.age_s)) for one in PASSES if one.listed == "payments"]
        self._overdue_s = 0.0
        self._count: Counter[str] = Counter()
        self._most_waiting = 0

    def run(self) -> Outcome:
        """Plays it to its end."""
        scenario = self._scenario
        begin, end = scenario.quiet_s, scenario.quiet_s + scenario.trouble_s
        last = end + scenario.quiet_s
        self._at(begin, lambda: self._trouble(begins=True))
        self._at(end, lambda: self._trouble(begins=False))
        self._at(0.0, lambda: self._arrive(last))
        # Schedules are at no particular moment of anything.
        self._at(self._random.uniform(0, _MINUTE_S), lambda: self._run_lane("outbox", last))
        self._at(self._random.uniform(0, _MINUTE_S), lambda: self._run_lane("watch", last))
        self._at(self._random.uniform(0, _SWEEP_EVERY_S), lambda: self._run_sweep(last))
        while self._queue:
            self._now, _, happen = heappop(self._queue)
            happen()
        return self._outcome(end)

    # --- the world ---

    def _at(self, when: float, happen: Callable[[], None]) -> None:
        self._number += 1
        heappush(self._queue, (when, self._number, happen))

    def _in(self, seconds: float, happen: Callable[[], None]) -> None:
        self._at(self._now + seconds, happen)

    def _trouble(self, *, begins: bool) -> None:
        self._in_trouble = begins
        limits = self._scenario.during if begins and self._scenario.during else self._limits
        self._api.resize(self._now, limits.api_rate)
        self._webhook.resize(self._now, limits.webhook_rate)
        self._bus.resize(self._now, limits.bus_rate)
        self._table.resize(self._now, limits.table_units)
        self._gateway.resize(self._now, limits.gateway_rate)
        if begins:
            for _ in range(self._scenario.failing_looks):
                self._put(_Payment(fails=True), "watch", self._now)

    def _arrive(self, last: float) -> None:
        if self._now >= last:
            return
        rate = self._scenario.rate * (self._scenario.surge if self._in_trouble else 1.0)
        self._count["customers"] += 1
        self._create(0)
        self._in(self._random.expovariate(rate), lambda: self._arrive(last))

    # --- the customer ---

    def _create(self, tries: int) -> None:
        """The API's bucket, an instance, Razorpay, the table: each may refuse."""
        stalled = self._is_stalled()
        if not self._api.take(self._now) or not self._occupies(
            "create", self._latency.create_stalled if stalled else self._latency.create
        ):
            self._try_again(tries, 0.0)
        elif stalled:
            self._try_again(tries, self._latency.create_stalled)
        elif not self._gateway.take(self._now) or not self._table.take(self._now, self._units.create):
            self._try_again(tries, self._latency.create)
        else:
            payment = _Payment()
            self._payments.append(payment)
            if self._random.random() >= _UNPAID_SHARE:
                self._in(self._random.uniform(*_CHECKOUT_S), lambda: self._capture(payment))

    def _try_again(self, tries: int, after_s: float) -> None:
        self._count["refused"] += 1
        if tries == len(PATIENCE_S):
            self._count["turned away"] += 1
            return
        # Spread, as a browser's clock spreads them.
        self._in(after_s + PATIENCE_S[tries] * self._random.uniform(0.75, 1.25), lambda: self._create(tries + 1))

    def _capture(self, payment: _Payment) -> None:
        payment.captured_at = self._now
        self._books.append(payment)
        self._count["captured"] += 1
        self._most_waiting = max(self._most_waiting, self._count["captured"] - self._count["told"])
        self._verify(payment, 0)
        if self._scenario.webhooks_off:
            return
        self._in(0.3, lambda: self._deliver(payment, "authorized", self._now, 0))
        self._in(0.6, lambda: self._deliver(payment, "captured", self._now, 0))
        self._in(0.9, lambda: self._deliver(payment, "order.paid", self._now, 0))

    def _verify(self, payment: _Payment, tries: int) -> None:
        if (
            self._api.take(self._now)
            and self._occupies("verify", self._latency.verify)
            and self._comes_alive(payment, self._units.verify)
        ):
            return
        self._count["refused"] += 1
        if tries < len(PATIENCE_S):
            self._in(PATIENCE_S[tries], lambda: self._verify(payment, tries + 1))

    # --- Razorpay ---

    def _deliver(self, payment: _Payment, event: str, first: float, tries: int) -> None:
        if payment.deaf or self._accepts(payment, event):
            return
        self._count["refused"] += 1
        if tries == len(LADDER_S):
            self._count["exhausted"] += 1
            return
        self._at(max(first + LADDER_S[tries], self._now), lambda: self._deliver(payment, event, first, tries + 1))

    def _accepts(self, payment: _Payment, event: str) -> bool:
        """The webhook function: the bucket, an instance, the table, the bus; 2xx only when all is done."""
        if self._scenario.webhooks_blocked and self._in_trouble:
            return False
        if not self._webhook.take(self._now):
            return False
        if self._busy["webhook"] >= self._instances["webhook"]:
            return False
        if event == "authorized":
            done = self._comes_alive(payment, self._units.authorized)
        else:
            done = self._record(payment)
            payment.deaf = done and payment.pending and self._random.random() < self._scenario.dying_share
            done = done and (payment.deaf or self._tell(payment))
        self._occupies("webhook", self._latency.webhook if done else self._latency.webhook_in_trouble)
        return done

    # --- the service ---

    def _occupies(self, function: str, seconds: float) -> bool:
        if self._busy[function] >= self._instances[function]:
            return False
        self._busy[function] += 1

        def release() -> None:
            self._busy[function] -= 1

        self._in(seconds, release)
        return True

    def _comes_alive(self, payment: _Payment, units: float) -> bool:
        """A signature, or an authorization: one conditional write."""
        if payment.confirmed:
            return True
        if not self._table.take(self._now, units):
            return False
        payment.alive_since = self._now
        if payment.lane is None:
            self._put(payment, "outbox", self._now + OUTBOX_DELAY_S)
        return True

    def _record(self, payment: _Payment) -> bool:
        """One conditional write of the capture, and with it the event that follows; old news writes nothing."""
        if payment.confirmed:
            return True
        if not self._table.take(self._now, self._units.captured):
            return False
        payment.confirmed = payment.pending = True
        soon = self._now + OUTBOX_DELAY_S
        if payment.lane != "outbox" or payment.due_at > soon:
            self._put(payment, "outbox", soon)
        return True

    def _tell(self, payment: _Payment) -> bool:
        """Publishes what is pending in the item, then clears it; a clear that fails means it is told again."""
        if not payment.pending:
            return True
        if not self._bus.take(self._now):
            return False
        if payment.told_at is not None:
            self._count["told again"] += 1
        else:
            payment.told_at = self._now
            self._count["told"] += 1
        if not self._table.take(self._now, self._units.clear):
            return False
        payment.pending = False
        payment.lane = None
        return True

    def _put(self, payment: _Payment, lane: str, when: float) -> None:
        payment.lane, payment.due_at = lane, when
        self._number += 1
        heappush(self._lanes[lane], (when, self._number, payment))

    # --- what is scheduled ---

    def _goes_on(self, last: float) -> bool:
        """Whether anybody may still pay, or waits."""
        may_come = self._now < last + _CHECKOUT_S[1] + sum(PATIENCE_S) * 2
        waits = self._count["captured"] > self._count["told"] or any(one.pending for _, _, one in self._lanes["outbox"])
        return may_come or (waits and self._now < _LONGEST_S)

    def _run_lane(self, lane: str, last: float) -> None:
        """Every minute: what is due by then, the longest overdue first, as long as the run has time."""
        if self._goes_on(last):
            self._in(_MINUTE_S, lambda: self._run_lane(lane, last))
            run_s, most = {
                "outbox": (self._limits.outbox_s, self._limits.outbox_s / self._latency.publish),
                "watch": (self._limits.watch_s, self._limits.watch_records),
            }[lane]
            self._take_next(lane, self._now, self._now + run_s, int(most))

    def _take_next(self, lane: str, started: float, end: float, left: int) -> None:
        due = self._lanes[lane]
        while due and due[0][0] <= started:
            when, _, payment = heappop(due)
            if (payment.lane, payment.due_at) != (lane, when):
                # It moved meanwhile; the index follows.
                continue
            if self._now >= end or not left:
                heappush(due, (when, 0, payment))
                return
            took_s = self._latency.publish if lane == "outbox" else self._latency.look
            done = self._empty(payment, when) if lane == "outbox" else self._look(payment)
            if done:
                payment.failures = 0
            else:
                wait = min(_MINUTE_S * 2**payment.failures, _LONGEST_BACKOFF_S[lane])
                payment.failures = min(payment.failures + 1, 10)
                self._put(payment, lane, self._now + wait)
            self._in(took_s, lambda: self._take_next(lane, started, end, left - 1))
            return

    def _empty(self, payment: _Payment, due_at: float) -> bool:
        """The outbox: publishes what is pending, and hands what only Razorpay can settle to the watch lane."""
        if not payment.pending:
            self._watch(payment)
            return True
        before = payment.told_at
        done = self._tell(payment)
        if before is None and payment.told_at is not None:
            self._count["outbox"] += 1
            self._overdue_s = max(self._overdue_s, self._now - due_at)
        return done

    def _watch(self, payment: _Payment) -> None:
        since = payment.alive_since
        ages = [] if since is None or payment.confirmed else [since + age for age in WATCH_AGES_S]
        following = next((at for at in ages if at > self._now), None)
        if following is None:
            payment.lane = None
        else:
            self._put(payment, "watch", following)

    def _look(self, payment: _Payment) -> bool:
        """The watch lane: asks Razorpay about one order."""
        if payment.fails or self._is_stalled() or not self._gateway.take(self._now, 2):
            return not (self._in_trouble or self._is_stalled())
        done = payment.captured_at is None or self._settle(payment, "watch")
        if done:
            self._watch(payment)
        return done

    def _run_sweep(self, last: float) -> None:
        """Every five minutes: each pass that is due goes on from where it was left, four at once."""
        if self._goes_on(last):
            self._in(_SWEEP_EVERY_S, lambda: self._run_sweep(last))
            due = [one for one in self._passes if self._now - one.age_s - one.at >= one.every_s]
            end = self._now + self._limits.sweep_s
            for _ in range(self._limits.sweep_workers):
                self._sweep(due, self._now, end)

    def _sweep(self, due: list[_Pass], started: float, end: float) -> None:
        if due:
            one = due.pop(0)
            self._read_page(one, due, started, end)

    def _read_page(self, one: _Pass, due: list[_Pass], started: float, end: float) -> None:
        """One page of a pass: what the table knows already costs nothing more."""
        to = min(started - one.age_s, self._now - _LISTED_AFTER_S)
        page = self._books[one.read : one.read + PAYMENTS_A_PAGE]
        page = [payment for payment in page if payment.captured_at is not None and payment.captured_at < to]
        news = [payment for payment in page if not payment.confirmed]
        took_s = self._latency.page + len(news) * self._latency.publish
        if self._is_stalled() or not self._gateway.take(self._now) or not all(self._settle(it, "sweep") for it in news):
            # It is read again in the next run.
            self._in(took_s, lambda: self._sweep(due, started, end))
            return
        one.read += len(page)
        is_done = len(page) < PAYMENTS_A_PAGE
        one.at = to if is_done or page[-1].captured_at is None else page[-1].captured_at
        if self._now + took_s < end:
            again = self._sweep if is_done else None
            self._in(took_s, lambda: again(due, started, end) if again else self._read_page(one, due, started, end))

    def _settle(self, payment: _Payment, lane: str) -> bool:
        """What Razorpay says is recorded, and told."""
        before = payment.told_at
        done = self._record(payment)
        if done:
            self._tell(payment)
        self._count[lane] += before is None and payment.told_at is not None
        return done

    def _is_stalled(self) -> bool:
        return self._scenario.gateway_stalls and self._in_trouble

    def _outcome(self, end: float) -> Outcome:
        captured = [payment for payment in self._payments if payment.captured_at is not None]
        waits = [
            payment.told_at - payment.captured_at
            for payment in captured
            if payment.told_at is not None and payment.captured_at is not None
        ]
        before_end = [
            payment.told_at
            for payment in captured
            if payment.told_at is not None and payment.captured_at is not None and payment.captured_at <= end
        ]
        return Outcome(
            scenario=self._scenario.name,
            customers=self._count["customers"],
            turned_away=self._count["turned away"],
            orders=len(self._payments),
            captured=len(captured),
            recorded=sum(payment.confirmed for payment in captured),
            told=len(waits),
            told_again=self._count["told again"],
            refused=self._count["refused"],
            exhausted=self._count["exhausted"],
            by_outbox=self._count["outbox"],
            by_watch=self._count["watch"],
            by_sweep=self._count["sweep"],
            overdue_s=self._overdue_s,
            most_waiting=self._most_waiting,
            typical_s=percentile(waits, 0.5) if waits else 0.0,
            slow_s=percentile(waits, 0.99) if waits else 0.0,
            slowest_s=max(waits, default=0.0),
            recovered_s=max(0.0, max(before_end, default=end) - end),
        )


_GIVEN: Final = Limits()
SCENARIOS: Final = (
    Scenario("good times", "A quarter of the front door's limit, nothing wrong."),
    Scenario("surge", "Ten times the customers that the front door lets in.", rate=50, surge=10, trouble_s=120),
    Scenario(
        "gateway stalls", "Razorpay's API hangs, at ten times the load.", surge=10, gateway_stalls=True, trouble_s=120
    ),
    Scenario("bus throttled", "PutEvents takes a tenth of what is published.", during=replace(_GIVEN, bus_rate=2.5)),
    Scenario("table throttled", "The table takes a tenth of what is written.", during=replace(_GIVEN, table_units=20)),
    Scenario(
        "webhooks blocked",
        "None of Razorpay's deliveries gets through for half an hour; then all that it sends again comes on top.",
        rate=5,
        webhooks_blocked=True,
        trouble_s=1800,
    ),
    Scenario(
        "webhooks off",
        "Razorpay sends nothing, for good, at a hundred payments a second; only the lanes are left.",
        rate=111,
        webhooks_off=True,
        during=replace(_GIVEN, api_rate=600, gateway_rate=300),
        quiet_s=0,
        trouble_s=300,
    ),
    Scenario(
        "failing looks",
        "Ten thousand records fail in the watch lane, and one capture in ten is left stored and untold.",
        dying_share=0.1,
        failing_looks=10_000,
        trouble_s=900,
    ),
    Scenario(
        "all at once",
        "Ten times the customers; Razorpay's API hangs; table and bus take a tenth.",
        rate=50,
        surge=10,
        gateway_stalls=True,
        during=replace(_GIVEN, bus_rate=5, table_units=40),
        trouble_s=120,
    ),
)
SEED: Final = 20261125


def play(seed: int = SEED, units: Units | None = None) -> list[Outcome]:
    """Every scenario."""
    return [Simulation(scenario, seed, units=units).run() for scenario in SCENARIOS]
