"""The crash matrix: every call of every function meets every fault, alone and in pairs.

Together, the scenarios exercise everything the four functions do. Each is played without faults, which finds its calls;
then once for each call and kind of fault; then with a second fault at a call made *after* the first, so that it also
hits calls that only the first fault caused. The frontend retries as frontends do, Razorpay redelivers whatever got no
2xx, and reconcile runs. In the end the table and the bus are compared with Razorpay's data and with the end of the run
without faults.

A case is plain data: `python -m tests.faults.crashes "the good case" "11 dies after" "17 hangs"` plays it and prints
each call; without numbers, it plays the run without faults.
"""

import random
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Final, NamedTuple

from payments.core.attention import shard
from payments.core.model import Lane
from payments.core.position import Position
from tests.faults.campaigns import Budget, Progress, Report
from tests.faults.clockwork import DAY_S
from tests.faults.elsewhere import Webhook
from tests.faults.outside import Call, Kind, OutOfTime, good
from tests.faults.rig import Answer, Died, World, installed

LIMITS_S: Final = {"create_order": 20.0, "verify": 10.0, "webhook": 5.0, "refund": 20.0}
"""The time within which a function responds if any one dependency hangs."""
CALLS, PAIRS = "calls found by playing them", "pairs of faults"
FUNCTIONS, EVENTS, AGAIN = "function runs", "events on the bus", "… of these published again, under the same id"
_ASK_AGAIN: Final = frozenset({500, 503})
_WAITS: Final = frozenset({Kind.HANGS, Kind.FAILS_AFTER})
# One more than the number of faults.
_TRIES: Final = 3
_PAIR: Final = 2
_WITHOUT: Final = "without "
_OTHER_AMOUNT: Final = "600"
_PART_MINOR: Final = 100_00
_AMOUNT_MINOR: Final = 499_50
_DISPUTES_READ_AFTER_S: Final = 3 * 3600 + 60
_FIRST_LOOK_S: Final = 15 * 60
_SWEPT_AFTER_S: Final = 21 * 60
# Then Razorpay's list of refunds shows one that exists, and what it does not show may be asked for again.
_LISTED_AFTER_S: Final = 15 * 60
_THREE: Final = 3
_HOUR_S: Final = 60 * 60
# There are hundreds of thousands of pairs, and each simulates sixteen days: this many are drawn after each fault, …
_PAIRS_EACH: Final = 2
# … and in a part of the campaign, one after this fraction of the faults.
_PAIRED: Final = 0.2
# Of the kinds of faults, a part of the campaign plays at least this fraction.
_FEWEST_KINDS: Final = 0.5


# --- what is played -------------------------------------------------------------------------------------------------


class Play:
    """A world with faults, and the clients that retry after them."""

    def __init__(self, world: World) -> None:
        self.world = world

    def create_order(self, **offer: Any) -> str:
        """The frontend orders, and retries until it has an order id."""
        order_id: str = self._insist(lambda: self.world.create_order(**offer)).body["order_id"]
        return order_id

    def refused(self, code: str, ask: Callable[[], Answer]) -> None:
        """The frontend orders, and retries until it gets this conflict."""
        self._insist(ask, expected=code)

    def verify(self, checkout: Mapping[str, str]) -> None:
        """The frontend calls verify, and retries until it succeeds."""
        self._insist(lambda: self.world.verify(checkout))

    def read(self, order_id: str) -> None:
        self._insist(lambda: self.world.read(order_id))

    def refund(self, order_id: str, key: str, amount: str | None = None) -> None:
        """A service asks for a refund, and asks again under the same key until it is told its id."""
        for _ in range(_TRIES):
            answer = self._insist(lambda: self.world.request_refund(order_id, key, amount))
            if answer.body["refund_id"] is not None:
                return
            self.world.now += _LISTED_AFTER_S
        raise AssertionError(f"asked {_TRIES} times, and nobody knows whether there is a refund")

    def deliver(self, *webhooks: Webhook) -> None:
        """Razorpay delivers each of them once; unacknowledged ones wait."""
        for webhook in webhooks:
            self._once(lambda webhook=webhook: self.world.deliver(webhook))  # type: ignore[misc]  # bound per turn

    def deliver_all(self) -> None:
        self.deliver(*self.world.waiting)

    def reconcile(self, *order_ids: str) -> None:
        """The schedules run; outbox and watch lane only for the shards of these orders, or for all if none is given."""
        shards = {"shards": sorted({shard(Lane.OUTBOX, order_id) for order_id in order_ids})} if order_ids else {}
        self.run("outbox", shards)
        self.run("reconcile", {"lane": "watch", **shards})
        self.run("reconcile", {"lane": "sweep"})

    def sweep(self) -> None:
        """The youngest passes over Razorpay's lists read what has just happened."""
        self.world.now += _SWEPT_AFTER_S
        self.run("reconcile", {"lane": "sweep", "passes": ["payments-900", "refunds-900"]})

    def run(self, function: str, event: Mapping[str, Any]) -> None:
        def run() -> bool:
            report = self.world.run_lane(function, event)
            return report is not None and not report["failed"]

        self._watched(run)

    def operate(self, command: str, **named: str) -> None:
        """An operator gives a command, and repeats it until it is done."""
        for _ in range(_TRIES):
            if self._watched(lambda: _is_done(self.world.operate(command, instance=None, **named))):
                return
        raise AssertionError(f"{command} was not done in {_TRIES} tries")

    def fail(self, **how: str) -> None:
        """A payment of the last order fails at the bank."""
        assert self.world.pay(self.last_order, outcome="failure", **how) is None

    def pay(self, order_id: str | None = None) -> dict[str, str]:
        checkout = self.world.pay(order_id or self.last_order)
        assert checkout is not None
        return checkout

    @property
    def last_order(self) -> str:
        """The newest order at Razorpay."""
        return list(self.world.razorpay.account.orders)[-1]

    def mend(self) -> None:
        """Redelivers what is left, and runs reconcile if something is due; faults may occur here too."""
        self.deliver_all()
        due = {
            pk.removeprefix("order#"): int(item["attention_at"]["N"])
            for pk, item in self.world.table.items.items()
            if "attention_at" in item
        }
        if due:
            self.world.now = max(self.world.now, min(due.values()))
            self.reconcile(*(order_id for order_id, at in due.items() if at <= self.world.now))

    def _insist(self, ask: Callable[[], Answer], *, expected: str | None = None) -> Answer:
        for _ in range(_TRIES):
            answer = self._once(ask, expected=expected)
            if answer is not None:
                return answer
        raise AssertionError(f"asked {_TRIES} times without an answer")

    def _once(self, ask: Callable[[], Answer], *, expected: str | None = None) -> Answer | None:
        """One request; None if a fault killed it or made a retry necessary."""
        answers: list[Answer] = []

        def request() -> bool:
            answer = ask()
            is_answer = answer.ok if expected is None else answer.body.get("code") == expected
            assert is_answer or answer.status in _ASK_AGAIN, f"answered {answer.status} {answer.body.get('code')}"
            answers.append(answer)
            return is_answer

        return answers[0] if self._watched(request) else None

    def _watched(self, run: Callable[[], bool]) -> bool:
        """Runs one function; without a fault it must succeed, and one hanging dependency must not delay it."""
        outside = self.world.outside
        before, death = len(outside.played), None
        try:
            succeeded = run()
        except Died as died:
            succeeded, death = False, died
        function, took_s = outside.took[-1]
        struck = outside.played[before:]
        assert succeeded or struck, f"{function} failed though nothing went wrong"
        if len({call.operation.split()[0] for call, kind in struck if kind in _WAITS}) == 1:
            limit_s = LIMITS_S.get(function.split()[0])
            out_of_time = death is not None and isinstance(death.__cause__, OutOfTime)
            assert not out_of_time, f"I18: {function} was ended by Lambda since one dependency hung"
            assert limit_s is None or took_s < limit_s, f"I18: {function} took {took_s:.1f} s"
        return succeeded


def _is_done(report: Mapping[str, Any] | None) -> bool:
    return report is not None and "refused" not in report


@dataclass(frozen=True, slots=True)
class Scenario:
    """Something that happens to the service."""

    name: str
    what: str
    play: Callable[[Play], None]
    prepare: Callable[[Play], None] = field(default=lambda _: None)
    """What happened before, without the case's faults."""
    warm: bool = True
    """Every function has read its secrets already."""
    deaf: bool = False
    """Razorpay's webhooks after the scenario's end are lost."""


def _good_case(play: Play) -> None:
    order_id = play.create_order()
    checkout = play.pay(order_id)
    play.verify(checkout)
    play.deliver_all()
    play.read(order_id)
    play.world.refund(checkout["razorpay_payment_id"], _PART_MINOR)
    play.deliver_all()
    play.world.refund(checkout["razorpay_payment_id"])
    play.deliver_all()
    play.mend()


def _no_webhook(play: Play) -> None:
    order_id = play.create_order()
    play.fail()
    checkout = play.pay(order_id)
    play.verify(checkout)
    play.world.refund(checkout["razorpay_payment_id"], _PART_MINOR)
    _lose(play, lambda _: True)
    play.world.now += _FIRST_LOOK_S
    play.reconcile(order_id)
    play.mend()


def _old_order_paid(play: Play) -> None:
    first = play.create_order()
    play.create_order(amount=_OTHER_AMOUNT)
    checkout = play.pay(first)
    play.deliver_all()
    play.refused("payment_under_review", lambda: play.world.verify(checkout))
    play.mend()


def _accepted(play: Play) -> None:
    """The customer then pays the order that counted until then: its Checkout is still open."""
    first, second = play.world.razorpay.account.orders
    (payment,) = play.world.record(first).attempts
    play.operate("accept", order_id=first, razorpay_payment_id=payment)
    play.pay(second)
    play.deliver_all()
    play.operate("republish", order_id=first)
    play.operate("note", order_id=second)
    play.mend()


def _prepare_accepted(play: Play) -> None:
    first = play.create_order()
    play.create_order(amount=_OTHER_AMOUNT)
    play.pay(first)
    play.deliver_all()


def _there_and_back(play: Play) -> None:
    first = play.create_order()
    second = play.create_order(amount=_OTHER_AMOUNT)
    third = play.create_order()
    assert len({first, second, third}) == _THREE
    # A double click: the open order is returned again.
    assert play.create_order() == third
    play.pay(third)
    play.deliver_all()
    play.mend()


def _there_and_back_and_paid_before(play: Play) -> None:
    """The customer still has the first Checkout open, and pays there before ordering a third time."""
    first = play.create_order()
    play.create_order(amount=_OTHER_AMOUNT)
    play.pay(first)
    _lose(play, lambda _: True)
    play.refused("payment_under_review", play.world.create_order)
    play.mend()


def _refunds_requested(play: Play) -> None:
    """Through the API, in two parts, and with a second click on each."""
    order_id = play.last_order
    play.refund(order_id, "refund-of-a-part", "100.00")
    play.refund(order_id, "refund-of-a-part", "100.00")
    play.deliver_all()
    play.refund(order_id, "refund-of-the-rest")
    play.mend()
    play.refund(order_id, "refund-of-the-rest")


def _prepare_paid(play: Play) -> None:
    play.pay(play.create_order())
    play.deliver_all()


def _refund_in_doubt(play: Play) -> None:
    """Nobody asks again: reconcile finds one refund, makes the other, and no webhook tells of either."""
    play.world.now += _LISTED_AFTER_S
    play.reconcile(play.last_order)
    _lose(play, lambda _: True)
    play.mend()


def _prepare_refunds_in_doubt(play: Play) -> None:
    _prepare_paid(play)
    order_id, call = play.last_order, "razorpay POST /v1/payments/{id}/refund"
    _doomed(play, call, lambda: play.world.request_refund(order_id, "refund-of-a-part", "100.00"))
    play.world.outside.fate = lambda made: Kind.DIES_BEFORE if made.operation == call else None
    with suppress(Died):
        play.world.request_refund(order_id, "refund-of-the-rest")
    play.world.outside.fate = good
    # The outbox hands the record to the watch lane.
    play.world.now += 61
    play.run("outbox", {"shards": [shard(Lane.OUTBOX, order_id)]})
    _lose(play, lambda _: True)


def _paid_late(play: Play) -> None:
    play.pay(play.last_order)
    _lose(play, lambda _: True)
    play.sweep()
    play.mend()


def _prepare_paid_late(play: Play) -> None:
    play.create_order()
    play.world.let_time_pass(100 * DAY_S)


def _dispute_lost(play: Play) -> None:
    """Told in every state, lost in the end; what the client may do then is judged with everything else."""
    checkout = play.pay(play.create_order())
    play.deliver_all()
    dispute_id = play.world.dispute(checkout["razorpay_payment_id"])
    play.deliver_all()
    for state in ("under_review", "action_required", "under_review", "lost"):
        play.world.move_dispute(dispute_id, state)
        play.deliver_all()
    play.mend()


def _dispute_untold(play: Play) -> None:
    """No webhook of a dispute comes: part of the money is lost, and the rest is refunded."""
    checkout = play.pay(play.create_order())
    play.deliver_all()
    play.world.move_dispute(play.world.dispute(checkout["razorpay_payment_id"], _PART_MINOR), "lost")
    _lose(play, lambda _: True)
    play.world.now += _DISPUTES_READ_AFTER_S
    play.run("reconcile", {"lane": "sweep", "passes": ["disputes-0"]})
    play.world.refund(checkout["razorpay_payment_id"], _AMOUNT_MINOR - _PART_MINOR)
    play.deliver_all()
    play.mend()


def _expired(play: Play) -> None:
    """The lane meets all three orders; what fails is set aside, or read again an hour later.

    Then the customer pays the first one, and the failed payment of the second is authorised late.
    """
    account = play.world.razorpay.account
    for _ in range(_THREE):
        play.run("reconcile", {"lane": "expiry"})
        play.mend()
        play.world.now += _HOUR_S
    untried, failing, _ = play.world.handed_out
    account.authorize_late(account.payments_of(account.order(failing))[0])
    play.pay(untried)
    play.deliver_all()
    play.mend()


def _prepare_expired(play: Play) -> None:
    """One order that nobody tried to pay, one whose payment failed, and one that was paid and no webhook came."""
    for application in (12, 13, 14):
        play.create_order(application=application)
    _, failing, paid = play.world.handed_out
    play.world.now += 31 * DAY_S
    assert play.world.pay(failing, outcome="failure") is None
    play.pay(paid)
    _lose(play, lambda _: True)
    # The failure is too old to be announced, however long what fails delays it.
    play.world.now += 2 * _HOUR_S


def _restored(play: Play) -> None:
    """A day is lost: only Razorpay has what was ordered, paid and refunded in it."""
    kept = play.create_order()
    play.world.now += 60
    moment = play.world.now
    play.world.now += 3600
    checkout = play.pay(kept)
    play.verify(checkout)
    lost = play.create_order(application=13)
    play.pay(lost)
    play.deliver_all()
    play.world.refund(checkout["razorpay_payment_id"], _PART_MINOR)
    play.deliver_all()
    play.world.now = moment + DAY_S
    play.world.restore(moment)
    play.sweep()
    play.mend()


def _left_by_a_dead_publisher(play: Play) -> None:
    play.world.now += _FIRST_LOOK_S
    play.reconcile(play.last_order)
    play.mend()


def _prepare_dead_publishers(play: Play) -> None:
    order_id = play.create_order()
    play.fail()
    _doomed(play, "events PutEvents", play.deliver_all)
    checkout = play.pay(order_id)
    play.world.refund(checkout["razorpay_payment_id"], _PART_MINOR)
    _lose(play, lambda _: True)
    # Not even the unacknowledged one is sent again: only reconcile can find it.
    assert play.world.record(order_id).pending


def _unknown(play: Play) -> None:
    ours, foreign = play.world.razorpay.account.orders
    play.deliver(*(webhook for webhook in play.world.waiting if webhook.order_id == foreign))
    play.deliver(*(webhook for webhook in play.world.waiting if webhook.order_id == ours))
    play.world.now += 61
    play.reconcile(ours, foreign)
    play.mend()


def _prepare_unknown(play: Play) -> None:
    _doomed(play, "razorpay POST /v1/orders", play.world.create_order)
    ours = play.last_order
    play.fail()
    checkout = play.pay(ours)
    play.world.refund(checkout["razorpay_payment_id"], _PART_MINOR)
    # Only the refund arrives, and it also reports the capture.
    _lose(play, lambda webhook: webhook.event not in {"payment.failed", "refund.processed"})
    # Only authorised: the other application captures by itself.
    play.pay(play.world.foreign_order())


def _cold(play: Play) -> None:
    checkout = play.pay(play.create_order())
    play.verify(checkout)
    _lose(play, lambda webhook: webhook.event != "payment.captured")
    play.deliver_all()
    shards = {"shards": [shard(Lane.OUTBOX, checkout["razorpay_order_id"])]}
    play.run("outbox", shards)
    play.run("reconcile", {"lane": "watch", **shards})
    play.run("reconcile", {"lane": "sweep", "passes": ["payments-900"]})


def _lose(play: Play, lost: Callable[[Webhook], bool]) -> None:
    """These webhooks never arrive."""
    for webhook in play.world.waiting:
        if lost(webhook):
            play.world.drop(webhook)


def _doomed(play: Play, operation: str, run: Callable[[], object]) -> None:
    """Kills a function at a call: before a publish, after any other call."""
    kind = Kind.DIES_BEFORE if operation.startswith("events") else Kind.DIES_AFTER
    play.world.outside.fate = lambda call: kind if call.operation == operation else None
    with suppress(Died):
        run()
    play.world.outside.fate = good


SCENARIOS: Final = {
    scenario.name: scenario
    for scenario in (
        Scenario(
            "the good case",
            "created, paid, verified, three webhooks, read, refunded in part and in full",
            _good_case,
        ),
        Scenario(
            "no webhook comes",
            "two attempts, one failed, a refund in part; reconcile learns all of it from Razorpay's lists",
            _no_webhook,
        ),
        Scenario(
            "another amount and back",
            "three orders of one application; nothing is ever pointed back, and the last one is paid",
            _there_and_back,
        ),
        Scenario(
            "a dead publisher",
            "a webhook died between its write and its publish; reconcile publishes, then settles the order",
            _left_by_a_dead_publisher,
            _prepare_dead_publishers,
        ),
        Scenario(
            "an unknown order",
            "webhooks of an order that has no record, rebuilt from its notes, and of a foreign one, let go",
            _unknown,
            _prepare_unknown,
        ),
        Scenario("cold starts", "every function reads its secrets first", _cold, warm=False),
        Scenario(
            "an old order is paid",
            "the order is superseded, then captured after all: money that is not as agreed",
            _old_order_paid,
        ),
        Scenario(
            "an operator accepts",
            "a payment on a superseded order is accepted; then the other order is paid, and the events are sent again",
            _accepted,
            _prepare_accepted,
        ),
        Scenario(
            "paid before the third order",
            "the first of two orders is paid, no webhook comes, and the client asks for a third",
            _there_and_back_and_paid_before,
        ),
        Scenario(
            "paid after a hundred days",
            "an order that expired is still payable, and no webhook comes",
            _paid_late,
            _prepare_paid_late,
            deaf=True,
        ),
        Scenario(
            "refunds are requested",
            "a part and the rest, by a service that asks twice; refund reads its secrets first",
            _refunds_requested,
            _prepare_paid,
            warm=False,
        ),
        Scenario(
            "refunds in doubt",
            "two requests died around their call to Razorpay; reconcile finds one refund and makes the other",
            _refund_in_doubt,
            _prepare_refunds_in_doubt,
        ),
        Scenario(
            "a dispute is lost",
            "told in every state, back and forth; the application gets no other order",
            _dispute_lost,
        ),
        Scenario(
            "no webhook of a dispute comes",
            "part of a payment is lost, which the list of disputes tells, and the rest is refunded",
            _dispute_untold,
        ),
        Scenario(
            "orders expire",
            "of three orders one was never tried, one failed, one was paid without a webhook; two are paid later",
            _expired,
            _prepare_expired,
            deaf=True,
        ),
        Scenario(
            "a restore of a day",
            "the table is put back to an earlier moment; Razorpay says nothing again",
            _restored,
        ),
    )
}


# --- how it is played -----------------------------------------------------------------------------------------------


class Strike(NamedTuple):
    """One fault of a case."""

    number: int
    """The call's number since the start of the scenario."""
    kind: Kind

    def __str__(self) -> str:
        return f"{self.number} {self.kind}"


class Outage(NamedTuple):
    """Everything at one dependency hangs while one function runs."""

    turn: int
    """How many functions ran before this one."""
    client: str


class Place(NamedTuple):
    """Where in the code a call is made, as far as visible from outside."""

    during: str
    operation: str
    nth: int
    """Its number among this function's calls of the same operation."""

    def __str__(self) -> str:
        return f"{self.during}: {self.operation}" + (f" ({self.nth})" if self.nth > 1 else "")


class Found(NamedTuple):
    """A call that a run made."""

    number: int
    turn: int
    place: Place
    kinds: frozenset[Kind]


@dataclass(frozen=True, slots=True)
class Case:
    """A scenario and its faults."""

    scenario: str
    strikes: tuple[Strike, ...] = ()
    outage: Outage | None = None

    def __str__(self) -> str:
        faults = [str(strike) for strike in self.strikes]
        if self.outage is not None:
            faults.append(f"{self.outage.turn} {_WITHOUT}{self.outage.client}")
        again = " ".join(f'"{part}"' for part in (self.scenario, *faults))
        return f"To see it again: PYTHONPATH=shared python -m tests.faults.crashes {again}"


@dataclass(frozen=True, slots=True)
class Run:
    """The observations of a case."""

    found: tuple[Found, ...]
    """The scenario's calls, without the fault-free ones at the end."""
    end: tuple[object, ...]
    counts: Counter[str]


class _Fates:
    """Records the calls of a scenario and injects the case's faults."""

    def __init__(self, world: World, case: Case) -> None:
        self.found: list[Found] = []
        self._world = world
        self._strikes = dict(case.strikes)
        self._outage = case.outage
        self._before = len(world.outside.calls)
        self._turns_before = self._turn = len(world.outside.took)
        self._made: Counter[str] = Counter()

    def __call__(self, call: Call) -> Kind | None:
        turn = len(self._world.outside.took)
        if turn != self._turn:
            self._turn = turn
            self._made.clear()
        self._made[call.operation] += 1
        place = Place(call.during, call.operation, self._made[call.operation])
        number = call.number - self._before
        self.found.append(Found(number, turn - self._turns_before, place, call.kinds))
        if self._outage == Outage(turn - self._turns_before, call.operation.split()[0]):
            return Kind.HANGS
        return self._strikes.get(number)


def play(case: Case, install: Callable[[World], World], *, undisturbed: Run | None = None) -> Run:
    """Plays one case to its end and checks it.

    Args:
        case: which.
        install: installs a world around the functions.
        undisturbed: the scenario without faults; the case must end in the same way.

    Raises:
        AssertionError: an invariant was broken; lists each call and how to reproduce it.
    """
    world = install(World())
    try:
        run = _play(case, world)
        assert undisturbed is None or run.end == undisturbed.end, f"ended with {run.end}, undisturbed {undisturbed.end}"
    except Exception as error:
        raise AssertionError(f"{type(error).__name__}: {error}\n{case}\n{_story(world)}") from error
    return run


def _play(case: Case, world: World) -> Run:
    scenario, actors = SCENARIOS[case.scenario], Play(world)
    if scenario.warm:
        _warm(world)
    scenario.prepare(actors)
    outside = world.outside
    played, turns = len(outside.played), len(outside.took)
    world.outside.fate = fates = _Fates(world, case)
    scenario.play(actors)
    expected = 1 if case.outage is not None else len(case.strikes)
    assert len(outside.played) - played >= expected, "a fault never happened"
    world.come_to_rest(deaf=scenario.deaf)
    world.check()
    if len(case.strikes) < _PAIR and not world.restored:
        _check_redelivery(world)
    return Run(tuple(fates.found), _end(world), _count(world, turns))


def _count(world: World, turns: int) -> Counter[str]:
    """What the report adds up."""
    published = world.ledger.published
    again = published.total() - len(published)
    return Counter({FUNCTIONS: len(world.outside.took) - turns, EVENTS: len(published), AGAIN: again})


def _warm(world: World) -> None:
    """Makes every function read its secrets, by a request that is then refused."""
    nobody = {"razorpay_order_id": "", "razorpay_payment_id": "", "razorpay_signature": ""}
    world.create_order(amount="0")
    world.verify(nobody)
    world.deliver(Webhook("", "", b"{}", "", world.now))
    world.reconcile(lane="sweep", passes=["payments-900"])


def _check_redelivery(world: World) -> None:
    """Redelivering anything acknowledged changes nothing (I8)."""
    before = dict(world.table.items), len(world.bus.accepted)
    for webhook in world.acknowledged:
        assert world.deliver(webhook).ok
    assert (dict(world.table.items), len(world.bus.accepted)) == before, "I8: a redelivery changed something"


def _end(world: World) -> tuple[object, ...]:
    """The outcome of every order that a client had, the oldest first."""
    account = world.razorpay.account
    return tuple(
        (
            record.status.value,
            record.confirmed,
            Position.of(record).amount_refunded,
            Position.of(record).amount_disputed,
            sorted(review.reason for review in record.reviews),
            record.superseded_by is not None,
        )
        for order in account.orders.values()
        if order.id in world.handed_out or account.payments_of(order)
        for record in [world.record(order.id)]
    )


def _story(world: World) -> str:
    struck = dict(world.outside.played)
    return "\n".join(
        f"  {call.during}: {call.operation}" + (f" *** {struck[call]}" if call in struck else "")
        for call in world.outside.calls
    )


# --- the campaign ---------------------------------------------------------------------------------------------------


def run(budget: Budget, progress: Progress) -> Report:
    """Plays every single fault, every hanging dependency, and some second faults after each.

    Raises:
        AssertionError: an invariant was broken; says how to reproduce it.
    """
    counts: Counter[str] = Counter()
    dice = random.Random(budget.seed)  # noqa: S311 - no secret
    with installed() as install:
        undisturbed = {name: play(Case(name), install) for name in SCENARIOS}
        cases = _chosen(undisturbed, budget, dice)
        for done, case in enumerate(cases):
            usual = undisturbed[case.scenario]
            struck = play(case, install, undisturbed=usual)
            counts += struck.counts
            for pair in _pairs(case, struck, usual, budget, dice):
                counts += play(pair, install, undisturbed=usual).counts + Counter({PAIRS: 1})
            progress(done + 1, len(cases))
    alone = sum(bool(case.strikes) for case in cases)
    return Report(
        title="The crash matrix",
        what=(
            "Every call that a function makes to DynamoDB, EventBridge, Secrets Manager or Razorpay met all that may "
            "become of a call: alone, and before a second fault, drawn from all that may strike what it led to. A "
            "request that met no fault always succeeded. With one dependency hanging, create-order answered within "
            "20 s, verify within 10 s and the webhook within 5 s. In the end no event was lost or invented, no payment "
            "told twice, and each record was as Razorpay's books have it and as it is without faults."
        ),
        figures={
            "scenarios": len(SCENARIOS),
            CALLS: sum(len(usual.found) for usual in undisturbed.values()),
            "single faults": alone,
            "dependencies hanging for a whole function run": len(cases) - alone,
            **{name: counts[name] for name in (PAIRS, FUNCTIONS, EVENTS, AGAIN)},
            "events lost, invented, or told under two ids": 0,
        },
    )


def _chosen(undisturbed: Mapping[str, Run], budget: Budget, dice: random.Random) -> list[Case]:
    """Every single fault and hanging dependency; in a part of the campaign, one of each of some kinds.

    Many scenarios and webhook events are alike: a kind is a function, a call and a fault.
    """
    kinds: dict[tuple[object, ...], list[Case]] = {}
    for name, usual in undisturbed.items():
        places = {call.number: call.place for call in usual.found}
        during = {call.turn: call.place.during for call in usual.found}
        for case in singles(name, usual):
            (strike,) = case.strikes
            place = places[strike.number]
            kinds.setdefault((_function(place.during), place.operation, strike.kind), []).append(case)
        for case in outages(name, usual):
            if case.outage is not None:
                kinds.setdefault((_function(during[case.outage.turn]), case.outage.client), []).append(case)
    if budget.share >= 1:
        return [case for alike in kinds.values() for case in alike]
    drawn = dice.sample([*kinds.values()], round(len(kinds) * max(_FEWEST_KINDS, budget.share)))
    return [dice.choice(alike) for alike in drawn]


def _function(during: str) -> str:
    """Which function, and of reconcile which lane."""
    return during if during.startswith("reconcile") else during.split(maxsplit=1)[0]


def singles(name: str, usual: Run) -> Iterator[Case]:
    """Every kind of fault at every call of a scenario."""
    for call in usual.found:
        for kind in _possible(call.kinds):
            yield Case(name, (Strike(call.number, kind),))


def outages(name: str, usual: Run) -> Iterator[Case]:
    """Every dependency hanging for every function that calls it."""
    hanging = {Outage(call.turn, call.place.operation.split()[0]): None for call in usual.found}
    for outage in hanging:
        yield Case(name, outage=outage)


def _pairs(case: Case, struck: Run, usual: Run, budget: Budget, dice: random.Random) -> Iterator[Case]:
    """The case with a second fault in a call made after the first: a random sample of hundreds of thousands."""
    for strike in case.strikes:
        assert struck.found[: strike.number] == usual.found[: strike.number], f"not the same each time: {case}"
        number = _PAIRS_EACH if budget.share >= 1 else int(dice.random() < _PAIRED)
        for call in dice.choices(struck.found[strike.number :] or [None], k=number):
            if call is not None:
                second = Strike(call.number, dice.choice(_possible(call.kinds)))
                yield replace(case, strikes=(strike, second))


def _possible(kinds: Iterable[Kind]) -> list[Kind]:
    """In a fixed order, so that a seed draws the same cases everywhere."""
    return [kind for kind in Kind if kind in kinds]


# --- reproducing one case -------------------------------------------------------------------------------------------


def read_case(name: str, faults: Sequence[str]) -> Case:
    """Parses the case that a failure message names."""
    strikes, outage = [], None
    for fault in faults:
        number, _, what = fault.partition(" ")
        if what.startswith(_WITHOUT):
            outage = Outage(int(number), what.removeprefix(_WITHOUT))
        else:
            strikes.append(Strike(int(number), Kind(what)))
    return Case(name, tuple(strikes), outage)


def main(arguments: Sequence[str]) -> None:
    """Plays one case and prints each call."""
    name, *strikes = arguments
    case = read_case(name, strikes)
    with installed() as install:
        usual = play(Case(name), install)
        run = play(case, install, undisturbed=usual)
    struck = dict(case.strikes)
    for call in run.found:
        print(f"{call.number:3} {call.place}" + (f"  *** {struck[call.number]}" if call.number in struck else ""))  # noqa: T201 - for a person
    print(f"Passed. {dict(run.counts)} {run.end}")  # noqa: T201 - as above


if __name__ == "__main__":
    main(sys.argv[1:])
