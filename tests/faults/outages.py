"""Long outages on a simulated clock: over a day without EventBridge, and Razorpay's webhooks switched off for good.

Time passes minute by minute. Each minute reconcile runs, as its schedule has it, and Razorpay delivers what its
measured ladder of retries makes due. Everything else is the rig's: the real handlers, adapters and SDK.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from payments.core.attention import DUE_AGES_S
from payments.core.instants import epoch
from payments.core.model import Status
from sandbox.gateway.deliveries import GIVE_UP_AFTER_S, RUNGS_S
from tests.faults.campaigns import Budget, Progress, Report
from tests.faults.elsewhere import Webhook
from tests.faults.outside import Call, Kind, good
from tests.faults.rig import START, World, installed

MINUTE_S: Final = 60
DAY_S: Final = 86_400
OUTAGE_S: Final = 25 * 3_600
"""An hour longer than Razorpay retries: an event that is refused all the time is one that it gives up."""
PAYMENTS_IN_AN_OUTAGE: Final = 60
PAYMENTS_WITHOUT_WEBHOOKS: Final = 400
_REFUNDED: Final = 0.2
_TRIED_TWICE: Final = 0.3
_VERIFIED: Final = 0.5
_HALF: Final = 0.5
_OLDEST_S: Final = 170 * DAY_S


def run(budget: Budget, progress: Progress) -> Report:
    """Plays both outages; a share makes fewer payments of each, and lets reconcile run less often."""
    dice = random.Random(budget.seed)  # noqa: S311 - reproducible on purpose
    many = max(int(PAYMENTS_IN_AN_OUTAGE * budget.share), 3)
    every_s = MINUTE_S if budget.share >= 1 else 30 * MINUTE_S
    silent = max(int(PAYMENTS_WITHOUT_WEBHOOKS * budget.share), 5)
    done = 0

    def step() -> None:
        nonlocal done
        done += 1
        progress(min(done, _OF), _OF)

    with installed() as install:
        refused, hanging = (
            without_eventbridge(
                install(World(watch_logs=False)), dice, payments=many, kind=kind, every_s=every_s, step=step
            )
            for kind in (Kind.FAILS_BEFORE, Kind.HANGS)
        )
        silence = without_webhooks(install(World(watch_logs=False)), dice, silent, step)
    progress(_OF, _OF)
    return Report(
        title="Outages",
        what=(
            "EventBridge refuses every event for 25 hours, an hour more than Razorpay retries, and once more leaves "
            "every call hanging, while payments go on and Razorpay retries along its measured ladder; afterwards every "
            "event is on the bus, and Razorpay never had reason to switch the webhook off. And Razorpay's webhooks are "
            "off for good from the start: every payment, made before the first look at its order or a day later, still "
            "ends paid and told within one reconcile after its due time."
        ),
        figures={
            "payments while EventBridge refused": refused.payments,
            "… webhook deliveries in those 25 h": refused.deliveries,
            "… reconcile runs": refused.runs,
            "… events that waited": refused.waited,
            "… events delivered afterwards": refused.published,
            "payments while EventBridge hung": hanging.payments,
            "… events that waited then": hanging.waited,
            "… events delivered then": hanging.published,
            "payments without any webhook": silence.payments,
            "… paid and told, or given back and told": silence.told,
            "… the longest from due to told, in seconds": silence.slowest_s,
            "lost": 0,
            "doubled": 0,
            "invented": 0,
        },
    )


_OF: Final = 100
"""How many steps a run tells of: two outages by the hour, and the payments without webhooks in 50 parts."""


@dataclass(frozen=True, slots=True)
class Outage:
    """What happened while EventBridge was away."""

    payments: int
    deliveries: int
    runs: int
    waited: int
    published: int


def without_eventbridge(  # noqa: PLR0913 - what is played, how, and who is told
    world: World, dice: random.Random, *, payments: int, kind: Kind, every_s: int, step: Callable[[], None]
) -> Outage:
    """A day and an hour in which every PutEvents goes wrong, and the time until everything is told afterwards.

    Args:
        world: a fresh one.
        dice: when and how customers pay.
        payments: how many, spread over the day; the first one at its start.
        kind: how PutEvents goes wrong.
        every_s: how often reconcile runs, in seconds.
        step: is called once an hour.
    """
    razorpay = _Retries(world)
    pays = [START, *sorted(START + dice.randrange(DAY_S) for _ in range(payments - 1))]
    world.outside.fate = _eventbridge(kind)
    runs = 0
    for now in range(START, START + OUTAGE_S, MINUTE_S):
        world.now = now
        while pays and pays[0] <= now:
            _pay(world, dice, application=len(pays))
            pays.pop(0)
        razorpay.deliver()
        if (now - START) % every_s == 0:
            world.reconcile()
            runs += 1
        if (now - START) % 3600 == 0:
            step()
    assert not razorpay.disabled, "Razorpay would have switched the webhook off"
    waited = len(world.ledger.recorded.keys() - world.ledger.published.keys())
    assert waited == len(world.ledger.recorded), "something was published during the outage"
    assert waited >= payments
    world.outside.fate = good
    world.come_to_rest()
    world.check()
    return Outage(payments, razorpay.deliveries, runs, waited, len(world.ledger.published))


@dataclass(frozen=True, slots=True)
class Silence:
    """What happened without webhooks."""

    payments: int
    told: int
    slowest_s: int


def without_webhooks(world: World, dice: random.Random, payments: int, step: Callable[[], None]) -> Silence:
    """Payments of which Razorpay never says a word: each is found with the first look that is due after it.

    Args:
        world: a fresh one.
        dice: when and how customers pay.
        payments: how many.
        step: is called 50 times.
    """
    told, slowest_s, steps = 0, 0, 0
    for number in range(payments):
        world.now += dice.randrange(MINUTE_S)
        ordered_at = world.now
        order_id = world.create_order(application=number + 1).body["order_id"]
        # Within the minutes before the first look, or before one of the later ones.
        pays_at = ordered_at + dice.choice((30, 300, 899, 1_800, 7_200, 40_000, 100_000))
        for look in (_next_minute(ordered_at + age) for age in DUE_AGES_S):
            if look < pays_at:
                # Nothing is paid yet; the order must come up again.
                world.now = look
                world.reconcile()
        world.now = pays_at
        _tell_and_pay(world, dice, order_id)
        paid_at = world.now
        for webhook in world.waiting:
            world.drop(webhook)
        born = epoch(world.record(order_id).created_at)
        due = next(born + age for age in DUE_AGES_S if born + age > paid_at)
        world.now = _next_minute(due)
        report = world.reconcile()
        assert report is not None
        record = world.record(order_id)
        assert record.confirmed, f"{order_id} was paid, due and not found"
        assert not record.pending
        events = {kind for identity, (key, kind) in world.ledger.types.items() if key == order_id}
        assert events & {"payment.paid", "payment.refunded"}, f"{order_id} was found and nobody was told"
        assert record.status in {Status.PAID, Status.REFUNDED}
        told += 1
        slowest_s = max(slowest_s, world.now - due)
        while steps < 50 * (number + 1) // payments:
            steps += 1
            step()
    assert not world.answers.keys() & {("webhook", status) for status in range(600)}, "a webhook came after all"
    world.come_to_rest()
    world.check()
    return Silence(payments, told, slowest_s)


def at_any_age(world: World, dice: random.Random, payments: int) -> None:
    """Razorpay never says a word; orders are paid minutes to half a year after they were made, refunds come as late.

    Raises:
        AssertionError: something is not as Razorpay's books have it in the end.
    """
    orders = [world.create_order(application=number + 1).body["order_id"] for number in range(payments)]
    paid: list[str] = []
    for order_id in orders:
        world.let_time_pass(dice.choice((300, 3_600, 2 * DAY_S, 5 * DAY_S, _OLDEST_S // payments)), deaf=True)
        checkout = world.pay(order_id, method=dice.choice(("card", "upi", "netbanking")))
        assert checkout is not None
        paid.append(checkout["razorpay_payment_id"])
        if dice.random() < _HALF:
            world.refund(dice.choice(paid), dice.choice((None, 10_000)))
    world.come_to_rest(deaf=True)
    world.check()


class _Retries:
    """Razorpay's deliveries along its ladder of retries."""

    def __init__(self, world: World) -> None:
        self.deliveries = 0
        self.disabled = False
        self._world = world
        self._tried: dict[Webhook, int] = {}

    def deliver(self) -> None:
        """Delivers what is due by now."""
        now = self._world.now
        for webhook in self._world.waiting:
            tried = self._tried.get(webhook, 0)
            if tried < len(RUNGS_S) and now - webhook.created_at >= RUNGS_S[tried]:
                self._tried[webhook] = tried + 1
                self.deliveries += 1
                self._world.deliver(webhook)
            elif now - webhook.created_at >= GIVE_UP_AFTER_S:
                self.disabled = True


def _next_minute(at: int) -> int:
    """When reconcile runs next: its schedule has whole minutes."""
    return at + (-at) % MINUTE_S


def _eventbridge(kind: Kind) -> Callable[[Call], Kind | None]:
    return lambda call: kind if call.operation == "events PutEvents" else None


def _pay(world: World, dice: random.Random, *, application: int) -> None:
    _tell_and_pay(world, dice, world.create_order(application=application).body["order_id"])


def _tell_and_pay(world: World, dice: random.Random, order_id: str) -> None:
    """A customer pays, after a failed attempt or without, comes back or not, and may get the money back at once."""
    if dice.random() < _TRIED_TWICE:
        assert world.pay(order_id, outcome="failure") is None
    checkout = world.pay(order_id, method=dice.choice(("card", "upi", "netbanking")))
    assert checkout is not None
    if dice.random() < _VERIFIED:
        assert world.verify(checkout).ok
    if dice.random() < _REFUNDED:
        world.refund(checkout["razorpay_payment_id"], dice.choice((None, 10_000)))
