"""What becomes of payments when more is asked than the service was given: a simulation of arrivals, stalls and quotas.

Discrete events on a simulated clock, no service code: each rule here is one of the design's or of AWS', in a line or
two, so that days pass in seconds and everything can be had at ten times its limit. What the code itself does under
faults is proved elsewhere (`docs/evidence/faults.md`); this shows that the parts fit together when they are too small.

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

# Seconds from the first delivery to each of the next, while the answer is an error (a published measurement); none
# after the last, and the webhook is disabled.
LADDER_S: Final = (0.23, 6.1, 19.1, 39.5, 82.3, 164.5, 326, 650, 1293, 2577, 5140, 10267, 20508, 40989, 81953)
# `payments.core.attention`: the ages at which reconcile looks at an open order, and when at an unpublished event.
DUE_AGES_S: Final = (900, 3600, 21_600, 86_400, 259_200)
PENDING_DUE_S: Final = 60
# What a caller does who is answered 429 or 503: as the shop of this project, five tries, doubling.
PATIENCE_S: Final = (1.0, 2.0, 4.0, 8.0)
# A customer fills in Checkout, and one in ten never pays.
_CHECKOUT_S: Final = (15.0, 90.0)
_UNPAID_SHARE: Final = 0.1
# Four days: reconcile's last look is after three.
_LONGEST_S: Final = 3600.0 * 96


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
    reconcile_records: int = 500
    """What one run of reconcile looks at, at most,"""
    reconcile_s: float = 35
    """and for how long: its function's 55 s, less what it keeps for one more record."""
    gateway_rate: float = 100
    """Requests a second that Razorpay takes from us: not published, assumed."""


@dataclass(frozen=True, slots=True)
class Units:
    """Write units of each step, counted by `bench.counted`."""

    create: float = 3.1
    verify: float = 1
    authorized: float = 1
    captured: float = 2
    clear: float = 1


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
    look: float = 0.25
    """Reconcile asks Razorpay about one order (assumed)."""
    publish: float = 0.05
    """Reconcile publishes one record's events."""


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
    by_reconcile: int
    """Payments that reconcile found out about or told."""
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
    created_at: float = 0.0
    captured_at: float | None = None
    recorded: bool = False
    confirmed: bool = False
    pending: bool = False
    told_at: float | None = None
    looked: int = 0
    """How many of its ages reconcile has had."""


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
        self._due: list[tuple[float, int, _Payment]] = []
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
        self._at(60.0, self._reconcile)
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
        stalled = self._scenario.gateway_stalls and self._in_trouble
        if not self._api.take(self._now) or not self._occupies(
            "create", self._latency.create_stalled if stalled else self._latency.create
        ):
            self._try_again(tries, 0.0)
        elif stalled:
            self._try_again(tries, self._latency.create_stalled)
        elif not self._gateway.take(self._now) or not self._table.take(self._now, self._units.create):
            self._try_again(tries, self._latency.create)
        else:
            payment = _Payment(created_at=self._now)
            self._payments.append(payment)
            self._look_at(payment, self._now + DUE_AGES_S[0])
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
        self._count["captured"] += 1
        self._most_waiting = max(self._most_waiting, self._count["captured"] - self._count["told"])
        self._verify(payment, 0)
        self._in(0.3, lambda: self._deliver(payment, "authorized", self._now, 0))
        self._in(0.6, lambda: self._deliver(payment, "captured", self._now, 0))
        self._in(0.9, lambda: self._deliver(payment, "order.paid", self._now, 0))

    def _verify(self, payment: _Payment, tries: int) -> None:
        if (
            self._api.take(self._now)
            and self._occupies("verify", self._latency.verify)
            and (payment.recorded or self._table.take(self._now, self._units.verify))
        ):
            payment.recorded = True
            return
        self._count["refused"] += 1
        if tries < len(PATIENCE_S):
            self._in(PATIENCE_S[tries], lambda: self._verify(payment, tries + 1))

    # --- Razorpay ---

    def _deliver(self, payment: _Payment, event: str, first: float, tries: int) -> None:
        if self._accepts(payment, event):
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
        done = self._record(payment, event) and self._tell(payment)
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

    def _record(self, payment: _Payment, event: str) -> bool:
        """One conditional write of the fact, and with it the event that follows; old news writes nothing."""
        if event == "authorized":
            return payment.recorded or self._table.take(self._now, self._units.authorized)
        if payment.confirmed:
            return True
        if not self._table.take(self._now, self._units.captured):
            return False
        payment.recorded = payment.confirmed = payment.pending = True
        self._look_at(payment, self._now + PENDING_DUE_S)
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
        return True

    def _look_at(self, payment: _Payment, when: float) -> None:
        self._number += 1
        heappush(self._due, (when, self._number, payment))

    def _reconcile(self) -> None:
        """Every minute: what is due, the longest overdue first, as many as one run has time for."""
        left_s = self._limits.reconcile_s
        again = []
        for _ in range(self._limits.reconcile_records):
            if left_s <= 0 or not self._due or self._due[0][0] > self._now:
                break
            _, _, payment = heappop(self._due)
            left_s -= self._latency.publish if payment.pending or payment.confirmed else self._latency.look
            if not self._settle(payment):
                again.append(payment)
        for payment in again:
            self._look_at(payment, self._now)
        waiting = self._count["captured"] > self._count["told"]
        if (waiting or self._queue) and self._now < _LONGEST_S:
            self._in(60.0, self._reconcile)

    def _settle(self, payment: _Payment) -> bool:
        """One record: publish, or ask Razorpay; False when it must stay due as it is."""
        before = payment.told_at
        if payment.pending:
            done = self._tell(payment)
        elif payment.confirmed or self._now - payment.created_at < DUE_AGES_S[0]:
            done = True
        elif (self._scenario.gateway_stalls and self._in_trouble) or not self._gateway.take(self._now):
            done = False
        elif payment.captured_at is None:
            payment.looked += 1
            if payment.looked < len(DUE_AGES_S):
                self._look_at(payment, payment.created_at + DUE_AGES_S[payment.looked])
            done = True
        else:
            done = self._record(payment, "captured")
            if done:
                self._tell(payment)
        self._count["by reconcile"] += before is None and payment.told_at is not None
        return done

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
            recorded=sum(payment.recorded and payment.confirmed for payment in captured),
            told=len(waits),
            told_again=self._count["told again"],
            refused=self._count["refused"],
            exhausted=self._count["exhausted"],
            by_reconcile=self._count["by reconcile"],
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
