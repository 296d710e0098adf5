"""Long outages on a simulated clock, minute by minute: of EventBridge, of Razorpay's webhooks, and with a backlog.

Each minute the schedules of template.yaml run, and Razorpay delivers what is due by its measured retry schedule.
Everything else is the rig's: the real handlers, adapters and SDK. The oracle judges the end of each outage. Only this
campaign measures promises in minutes; the state machine covers wrong keys and Razorpay's throttling.
"""

import random
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from typing import Final

from sandbox.gateway.deliveries import GIVE_UP_AFTER_S, RUNGS_S
from sandbox.gateway.faults import ApiFault
from tests.faults.campaigns import Budget, Progress, Report
from tests.faults.clockwork import DAY_S, HOUR_S, MINUTE_S, schedules
from tests.faults.elsewhere import Webhook
from tests.faults.outside import Call, Kind, good
from tests.faults.rig import START, Died, World, installed

OUTAGE_S: Final = 25 * HOUR_S
"""An hour longer than Razorpay retries, so that it gives up on an event that is always refused."""
_OF: Final = 100
"""The number of progress steps: two outages by the hour, and the payments without webhooks in 50 parts."""
PAYMENTS_IN_AN_OUTAGE: Final = 60
PAYMENTS_WITHOUT_WEBHOOKS: Final = 400
BACKLOG: Final = 3_000
_REFUNDED: Final = 0.2
_TRIED_TWICE: Final = 0.3
_VERIFIED: Final = 0.5
_OLDEST_S: Final = 170 * DAY_S

# What the design promises (sections 4 and 7, I22).
EVENT_WAITS_S: Final = 2 * MINUTE_S
"""The longest that a backlog of checks may delay a pending event."""
_RETRIED_EVENT_WAITS_S: Final = 3 * MINUTE_S
"""The same after repeated failures: the outbox's longest backoff, plus a minute until the next run."""
VERIFIED_WAITS_S: Final = 4 * MINUTE_S
"""The outbox after 60 s, the watch lane after 2 min, and a minute each until they run."""
UNHEARD_WAITS_S: Final = 20 * MINUTE_S
"""The first pass is 15 min behind and runs every 5 min."""
_SWEEP_S: Final = 5 * MINUTE_S
_PAID_TOGETHER: Final = 5
_AGES_S: Final = (0, 30 * MINUTE_S, 6 * HOUR_S, DAY_S, 4 * DAY_S, 40 * DAY_S, _OLDEST_S)
"""How old orders are when they are paid."""


def run(budget: Budget, progress: Progress) -> Report:
    """Plays all outages; with a smaller share, fewer payments each, and fewer runs in the long ones."""
    dice = random.Random(budget.seed)  # noqa: S311 - reproducible on purpose
    many = max(int(PAYMENTS_IN_AN_OUTAGE * budget.share), 3)
    every_s = MINUTE_S if budget.share >= 1 else 30 * MINUTE_S
    silent = max(int(PAYMENTS_WITHOUT_WEBHOOKS * budget.share), _PAID_TOGETHER)
    backlog = max(int(BACKLOG * budget.share), 30)
    done = 0

    def step() -> None:
        nonlocal done
        done += 1
        progress(min(done, _OF), _OF)

    with installed() as install:

        def fresh() -> World:
            return install(World(watch_logs=False))

        refused, hanging = (
            without_eventbridge(fresh(), dice, payments=many, kind=kind, every_s=every_s, step=step)
            for kind in (Kind.FAILS_BEFORE, Kind.HANGS)
        )
        verified_s, unheard_s = without_webhooks(fresh(), dice, silent, step)
        event_s, look_s = behind_a_backlog(fresh(), dice, backlog)
    progress(_OF, _OF)
    return Report(
        title="Outages",
        what=(
            "EventBridge refuses every event for 25 hours, an hour more than Razorpay retries, and once more leaves "
            "every call hanging; three minutes afterwards every event is on the bus, and Razorpay never had reason to "
            "switch the webhook off. Razorpay's webhooks are off for good from the start: every payment, of orders "
            "minutes to 170 days old, is told within four minutes if the customer came back, within twenty if not. "
            "Behind records that wait for a look, a fifth of which Razorpay always fails for, no event waits for more "
            "than two minutes. Each ends with the oracle."
        ),
        figures={
            "payments in each outage of EventBridge": many,
            "events that waited while it refused, while it hung": f"{refused}, {hanging}",
            "payments without any webhook, all told of": silent,
            "the longest until told, verified, not verified, in seconds": f"{verified_s}, {unheard_s}",
            "records that waited for a look": backlog,
            "the longest that an event waited, a healthy record, in seconds": f"{event_s}, {look_s}",
        },
    )


# --- EventBridge ----------------------------------------------------------------------------------------------------


def without_eventbridge(  # noqa: PLR0913 - what is played, how, and who is told
    world: World, dice: random.Random, *, payments: int, kind: Kind, every_s: int, step: Callable[[], None]
) -> int:
    """A day and an hour in which every PutEvents fails, and the minutes until everything is published afterwards.

    Returns:
        How many events waited.
    """
    razorpay = _Retries(world)
    pays = [START, *sorted(START + dice.randrange(DAY_S) for _ in range(payments - 1))]
    world.outside.fate = _eventbridge(kind)
    for now in range(START, START + OUTAGE_S, MINUTE_S):
        world.now = now
        while pays and pays[0] <= now:
            for before in list(world.razorpay.account.payments)[-1:]:
                # Its pending events must not change with the record.
                world.refund(before, 1_00)
            _tell_and_pay(world, dice, _order(world, len(pays)))
            pays.pop(0)
        razorpay.deliver()
        _run_all(world, at_most_every_s=every_s)
        if (now - START) % HOUR_S == 0:
            step()
    assert not razorpay.disabled, "Razorpay would have switched the webhook off"
    waited = len(world.ledger.recorded.keys() - world.ledger.published.keys())
    assert waited == len(world.ledger.recorded), "something was published during the outage"
    assert waited >= payments
    world.outside.fate = good
    for _ in range(_RETRIED_EVENT_WAITS_S // MINUTE_S):
        world.now += MINUTE_S
        _run_all(world)
    unpublished = world.ledger.recorded.keys() - world.ledger.published.keys()
    assert not unpublished, f"{len(unpublished)} events wait {_RETRIED_EVENT_WAITS_S} s after the outage"
    world.come_to_rest()
    world.check()
    return waited


# --- webhooks -------------------------------------------------------------------------------------------------------


def without_webhooks(world: World, dice: random.Random, payments: int, step: Callable[[], None]) -> tuple[int, int]:
    """Payments without any webhook, on orders of every age: each is found and published in time.

    Returns:
        The longest time until publication, verified and not verified, in seconds.
    """
    steps = 0
    slowest = {True: 0, False: 0}
    _run_all(world)
    for first in range(0, payments, _PAID_TOGETHER):
        orders = [_order(world, number + 1) for number in range(first, min(first + _PAID_TOGETHER, payments))]
        _wait_on_schedule(world, dice.choice(_AGES_S))
        start, paid = world.now, {}
        for order_id, at in zip(orders, sorted(dice.randrange(1, MINUTE_S) for _ in orders), strict=True):
            world.now = start + at
            paid[order_id] = (world.now, _tell_and_pay(world, dice, order_id))
        for order_id, seconds in _until_told(world, paid):
            _, verified = paid[order_id]
            slowest[verified] = max(slowest[verified], seconds)
        while steps < 50 * (first + _PAID_TOGETHER) // payments:
            steps += 1
            step()
    assert not world.answers.keys() & {("webhook", status) for status in range(600)}, "a webhook came after all"
    world.come_to_rest(deaf=True)
    world.check()
    return slowest[True], slowest[False]


def _until_told(world: World, paid: dict[str, tuple[int, bool]]) -> Iterator[tuple[str, int]]:
    """Lets minutes pass until each of these orders is published; returns the seconds for each.

    Raises:
        AssertionError: one was not published in time.
    """
    left = dict(paid)
    world.now += -world.now % MINUTE_S
    while left:
        world.lose_webhooks()
        _run_all(world)
        for order_id, (at, verified) in list(left.items()):
            if _is_told(world, order_id):
                del left[order_id]
                yield order_id, world.now - at
                continue
            bound = VERIFIED_WAITS_S if verified else UNHEARD_WAITS_S
            assert world.now - at < bound, f"{order_id} was paid {bound} s ago, verified: {verified}, and not told of"
        world.now += MINUTE_S


def _is_told(world: World, order_id: str) -> bool:
    told = {
        kind
        for identity, (key, kind) in world.ledger.types.items()
        if key == order_id and identity in world.ledger.published
    }
    return bool(told & {"payment.paid", "payment.refunded"})


# --- a backlog ------------------------------------------------------------------------------------------------------


_FAILING: Final = 0.2
_MINUTES_OF_EVENTS: Final = 10
_MOST_MINUTES_OF_LOOKS: Final = 90


def behind_a_backlog(world: World, dice: random.Random, backlog: int) -> tuple[int, int]:
    """Records that wait for a check, for some of which Razorpay fails; each minute an instance dies unpublished.

    Returns:
        The longest wait of an event and of a healthy record, in seconds.
    """
    _run_all(world)
    waiting = _authorized(world, range(1, backlog + 1))
    failing = {order_id for order_id in waiting if dice.random() < _FAILING}
    account = world.razorpay.account
    account.faults = replace(account.faults, api=tuple(ApiFault("500", id=order_id) for order_id in sorted(failing)))
    for payment in list(account.payments.values()):
        account.capture_authorized(payment)
    world.lose_webhooks()
    start = world.now = world.now + 2 * MINUTE_S + -world.now % MINUTE_S
    unpublished: dict[str, int] = {}
    slowest_event_s, slowest_look_s, healthy = 0, 0, set(waiting) - failing
    for minute in range(_MOST_MINUTES_OF_LOOKS):
        if minute < _MINUTES_OF_EVENTS:
            unpublished[_dies_before_publishing(world, backlog + 1 + minute)] = world.now
        _run_all(world)
        for order_id, at in list(unpublished.items()):
            if _is_told(world, order_id):
                del unpublished[order_id]
                slowest_event_s = max(slowest_event_s, world.now - at)
                continue
            assert world.now - at < EVENT_WAITS_S, f"an event has waited for {world.now - at} s behind the backlog"
        if healthy and all(world.record(order_id).confirmed for order_id in healthy):
            healthy.clear()
            slowest_look_s = world.now - start
        if not healthy and not unpublished:
            break
        world.now += MINUTE_S
    assert not healthy, f"{len(healthy)} healthy records wait for a look since {world.now - start} s"
    assert failing or not backlog
    world.come_to_rest()
    world.check()
    return slowest_event_s, slowest_look_s


def _authorized(world: World, applications: Collection[int]) -> list[str]:
    """Orders with an authorised, verified payment each, without webhooks."""
    orders = []
    for application in applications:
        order_id = _order(world, application)
        checkout = world.pay(order_id, capture="later")
        assert checkout is not None
        assert world.verify(checkout).ok
        orders.append(order_id)
    world.lose_webhooks()
    return orders


def _dies_before_publishing(world: World, application: int) -> str:
    """An order that is paid, recorded and not published: its instance died, and Razorpay does not retry."""
    order_id = _order(world, application)
    checkout = world.pay(order_id)
    assert checkout is not None
    captured = next(webhook for webhook in world.waiting if webhook.event == "payment.captured")
    world.outside.fate = _eventbridge(Kind.DIES_BEFORE)
    try:
        world.deliver(captured)
    except Died:
        pass
    else:
        raise AssertionError("the instance was to die")
    world.outside.fate = good
    world.lose_webhooks()
    return order_id


# --- how ------------------------------------------------------------------------------------------------------------


class _Retries:
    """Razorpay's deliveries by its retry schedule."""

    def __init__(self, world: World) -> None:
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
                self._world.deliver(webhook)
            elif now - webhook.created_at >= GIVE_UP_AFTER_S:
                self.disabled = True


def _run_all(world: World, *, at_most_every_s: int = MINUTE_S) -> None:
    """Runs the functions scheduled for this minute."""
    for schedule in schedules():
        if world.now // MINUTE_S % (max(schedule.every_s, at_most_every_s) // MINUTE_S) == 0:
            world.run(schedule)


def _wait_on_schedule(world: World, seconds: int) -> None:
    """Time passes, and the schedules run ten times in it, the last time at its end."""
    start = world.now
    for part in range(1, 11):
        world.now = start + seconds * part // 10
        world.now += -world.now % _SWEEP_S
        world.razorpay.account.pass_time()
        world.lose_webhooks()
        _run_all(world)


def _order(world: World, application: int) -> str:
    answer = world.create_order(application=application)
    assert answer.ok, answer
    order_id: str = answer.body["order_id"]
    return order_id


def _eventbridge(kind: Kind) -> Callable[[Call], Kind | None]:
    return lambda call: kind if call.operation == "events PutEvents" else None


def _tell_and_pay(world: World, dice: random.Random, order_id: str) -> bool:
    """A customer pays, with or without a failed attempt, returns to the page or not, and may be refunded at once.

    Returns:
        Whether the customer returned, so that the payment is verified.
    """
    if dice.random() < _TRIED_TWICE:
        assert world.pay(order_id, outcome="failure") is None
    checkout = world.pay(order_id, method=dice.choice(("card", "upi", "netbanking")))
    assert checkout is not None
    verified = dice.random() < _VERIFIED
    if verified:
        assert world.verify(checkout).ok
    if dice.random() < _REFUNDED:
        world.refund(checkout["razorpay_payment_id"], dice.choice((None, 10_000)))
    return verified
