"""Two handlers (once three) work on one record: every possible order of their calls.

Each handler runs in its own thread and stops before every outside call. Which one continues is a choice, and all
choices are explored, one run after the other (depth first: the last run's beginning, then another choice). Between two
calls a handler only computes, so no interleaving of calls is missed. At most one call may also fail: the instance dies
after the call took effect, or the response is lost.

In the end everything settles and is compared with Razorpay's data. The record, its events and the responses must match
those of a run in which the handlers run one after the other, in some order.

A run is plain data: `python -m tests.faults.interleavings "verify, captured" 0 1 "1 dies after" 0` plays it and prints
each call; the numbers are the handlers in the order of the name.
"""

import os
import random
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from itertools import permutations
from math import comb, inf
from multiprocessing import get_context
from threading import Semaphore, Thread, current_thread
from typing import Any, Final, NamedTuple

from payments.core.attention import shard
from payments.core.model import Lane
from payments.wiring import aws, create_order
from payments.wiring.boundary import RunFailed
from sandbox import events
from sandbox.gateway.faults import LONGEST_S, Faults
from tests.faults.campaigns import Budget, Progress, Report
from tests.faults.clockwork import DAY_S
from tests.faults.elsewhere import Webhook
from tests.faults.outside import Call, Kind, good
from tests.faults.rig import AMOUNT, Answer, Died, Instance, World, installed

OTHER_AMOUNT: Final = "600.00"
FAULTS: Final = (Kind.DIES_AFTER, Kind.FAILS_AFTER, Kind.FAILS_BEFORE)
"""The faults of one call. Dying before a call is the same as dying after the previous one, and to the other handler a
call that hangs or is repeated looks like one of these."""
_FIRST_LOOK_S: Final = 15 * 60
# A handler computes for milliseconds between two calls.
_PATIENCE_S: Final = 60.0
# A sample's runs per meeting: its share of the first number, at least the second.
_DRAWN: Final = 400
_FEWEST: Final = 2
# Up to this many orders of two handlers' calls, all are played; up to the second number, with every fault too. Larger
# meetings are sampled, since each run simulates sixteen days; three handlers' calls have tens of thousands of orders.
_MOST_ORDERS: Final = 3_000
_STRUCK_ORDERS: Final = 100
_DEATH: Final = "died"


# --- what meets -----------------------------------------------------------------------------------------------------

type Act = Callable[[Instance], Answer | dict[str, Any] | None]


class Handler(NamedTuple):
    """What one handler does in a meeting."""

    name: str
    instance: Instance
    act: Act
    repeated: bool = True
    """Whether the caller retries without a response: the frontend, Razorpay, the schedule."""


class Meeting(NamedTuple):
    """Handlers that meet."""

    prepare: "Prepare"
    """Creates the situation and returns the handlers; no faults before the meeting."""
    serial: bool = True
    """Without faults, responses and end state match a serial order."""
    serial_when_struck: bool = True
    """With a fault the end state also matches, after all retries."""
    struck: bool = True
    """Whether every run is also played with every fault, or only a sample because there are too many."""
    may_fail: bool = True
    """Whether any call of a run may fail."""
    one_status: bool = True
    """Whether the order's status is the same whoever is first."""


type Prepare = Callable[[World], Sequence[Handler]]

MEETINGS: Final[dict[str, Meeting]] = {}


def _meets(name: str, **flags: bool) -> Callable[[Prepare], Prepare]:
    """Registers the decorated function as a meeting of this name."""

    def register(prepare: Prepare) -> Prepare:
        MEETINGS[name] = Meeting(prepare, **flags)
        return prepare

    return register


def _webhook(world: World, webhook: Webhook) -> Handler:
    instance = _warm(world, "webhook")
    return Handler(webhook.event, instance, lambda on: world.deliver(webhook, instance=on))


def _verify(world: World, checkout: dict[str, str]) -> Handler:
    instance = _warm(world, "verify")
    return Handler("verify", instance, lambda on: world.verify(checkout, instance=on))


def _create(world: World, amount: str = AMOUNT, *, has_ids: bool = True) -> Handler:
    instance = _warm(world, "create_order")
    if has_ids:
        ids = create_order.PaymentIds(aws.table("payments", attempts=2))
        ids.take()
        instance.payment_ids["payments"] = ids
    return Handler("create-order", instance, lambda on: world.create_order(amount=amount, instance=on))


def _look(world: World, order_id: str) -> Handler:
    """Reconcile asks Razorpay about one order, as its watch lane does."""
    return _lane(world, "reconcile", {"look": {"order_id": order_id}})


def _outbox(world: World, order_id: str) -> Handler:
    return _lane(world, "outbox", {"shards": [shard(Lane.OUTBOX, order_id)]})


def _sweep(world: World, name: str) -> Handler:
    return _lane(world, "reconcile", {"lane": "sweep", "passes": [name]})


def _expiry(world: World) -> Handler:
    return _lane(world, "reconcile", {"lane": "expiry"})


def _lane(world: World, function: str, event: Mapping[str, Any]) -> Handler:
    instance = Instance()
    # An invalid input: it only reads its secrets.
    with suppress(RunFailed):
        world.invoke(function, {"lane": "none"}, instance=instance)
    name = next(iter(event)) if function == "reconcile" else function
    return Handler(name, instance, lambda on: world.run_lane(function, event, instance=on))


def _warm(world: World, function: str) -> Instance:
    """An instance that has already read its secrets, so that only calls for the record interleave."""
    instance, path = Instance(), f"/api/payments/{function.replace('_', '-')}"
    nobody = {"httpMethod": "POST", "resource": path, "path": path, "headers": {}, "body": "{}"}
    world.request(function, nobody, instance=instance)
    return instance


def _webhooks(world: World, *events: str) -> Sequence[Handler]:
    """Razorpay delivers the waiting webhooks of these names, the oldest of each name first."""
    return [_webhook(world, webhook) for webhook in _told(world, *events)]


def _ordered(world: World, amount: str = AMOUNT) -> str:
    order_id: str = world.create_order(amount=amount).body["order_id"]
    return order_id


def _paid(world: World, order_id: str, **how: Any) -> dict[str, str]:
    checkout = world.pay(order_id, **how)
    assert checkout is not None
    return checkout


def _told(world: World, *events: str) -> list[Webhook]:
    """The waiting webhooks of these names, in this order, the oldest of each name first."""
    left = world.waiting
    found = []
    for event in events:
        webhook = next(one for one in left if one.event == event)
        left.remove(webhook)
        found.append(webhook)
    return found


@_meets("verify, captured")
def _verify_and_captured(world: World) -> Sequence[Handler]:
    checkout = _paid(world, _ordered(world))
    return [_verify(world, checkout), *_webhooks(world, "payment.captured")]


@_meets("verify, authorized")
def _verify_and_authorized(world: World) -> Sequence[Handler]:
    checkout = _paid(world, _ordered(world))
    return [_verify(world, checkout), *_webhooks(world, "payment.authorized")]


@_meets("verify, failed of another attempt")
def _verify_and_other_failed(world: World) -> Sequence[Handler]:
    order_id = _ordered(world)
    assert world.pay(order_id, outcome="failure") is None
    checkout = _paid(world, order_id)
    return [_verify(world, checkout), *_webhooks(world, "payment.failed")]


@_meets("verify, verify")
def _verify_twice(world: World) -> Sequence[Handler]:
    checkout = _paid(world, _ordered(world))
    return [_verify(world, checkout), _verify(world, checkout)]


@_meets("verify, refunded in full")
def _verify_and_refunded(world: World) -> Sequence[Handler]:
    checkout = _paid(world, _ordered(world))
    world.refund(checkout["razorpay_payment_id"])
    return [_verify(world, checkout), *_webhooks(world, "refund.processed")]


@_meets("captured, order.paid")
def _captured_and_order_paid(world: World) -> Sequence[Handler]:
    _paid(world, _ordered(world))
    return _webhooks(world, "payment.captured", "order.paid")


@_meets("captured, refunded in full")
def _captured_and_refunded(world: World) -> Sequence[Handler]:
    checkout = _paid(world, _ordered(world))
    world.refund(checkout["razorpay_payment_id"])
    return _webhooks(world, "payment.captured", "refund.processed")


@_meets("authorized, captured")
def _authorized_and_captured(world: World) -> Sequence[Handler]:
    _paid(world, _ordered(world))
    return _webhooks(world, "payment.authorized", "payment.captured")


@_meets("captured, captured of two payments")
def _two_captures(world: World) -> Sequence[Handler]:
    order_id = _ordered(world)
    _paid(world, order_id)
    _paid(world, order_id, method="upi", force=True)
    return _webhooks(world, "payment.captured", "payment.captured")


@_meets("failed, captured of one payment")
def _failed_and_captured(world: World) -> Sequence[Handler]:
    order_id = _ordered(world)
    assert world.pay(order_id, outcome="failure") is None
    account = world.razorpay.account
    account.authorize_late(account.payments_of(account.order(order_id))[0])
    return _webhooks(world, "payment.failed", "payment.captured")


@_meets("refunded in part, refunded in full")
def _two_refunds(world: World) -> Sequence[Handler]:
    checkout = _paid(world, _ordered(world))
    for webhook in world.waiting:
        world.deliver(webhook)
    world.refund(checkout["razorpay_payment_id"], 100_00)
    world.refund(checkout["razorpay_payment_id"])
    return _webhooks(world, "refund.processed", "refund.processed")


@_meets("captured, look")
def _captured_and_look(world: World) -> Sequence[Handler]:
    order_id = _ordered(world)
    _paid(world, order_id)
    world.now += _FIRST_LOOK_S
    return [*_webhooks(world, "payment.captured"), _look(world, order_id)]


@_meets("refunded in full, look")
def _refunded_and_look(world: World) -> Sequence[Handler]:
    order_id = _ordered(world)
    checkout = _paid(world, order_id)
    world.refund(checkout["razorpay_payment_id"])
    world.now += _FIRST_LOOK_S
    return [*_webhooks(world, "refund.processed"), _look(world, order_id)]


@_meets("verify, look")
def _verify_and_look(world: World) -> Sequence[Handler]:
    order_id = _ordered(world)
    checkout = _paid(world, order_id)
    world.now += _FIRST_LOOK_S
    return [_verify(world, checkout), _look(world, order_id)]


@_meets("order.paid, outbox, an event left behind")
def _order_paid_and_outbox(world: World) -> Sequence[Handler]:
    """A publisher died and left its event; a webhook and reconcile both find it."""
    order_id = _ordered(world)
    _paid(world, order_id)
    captured, paid = _told(world, "payment.captured", "order.paid")
    world.outside.fate = lambda call: Kind.DIES_BEFORE if call.operation == "events PutEvents" else None
    try:
        world.deliver(captured)
    except Died:
        world.outside.fate = good
    world.now += _FIRST_LOOK_S
    return [_webhook(world, paid), _outbox(world, order_id)]


@_meets("captured, sweep", struck=False)
def _captured_and_sweep(world: World) -> Sequence[Handler]:
    order_id = _ordered(world)
    world.reconcile(lane="sweep", passes=["payments-900"])
    _paid(world, order_id)
    world.now += 2 * _FIRST_LOOK_S
    return [*_webhooks(world, "payment.captured"), _sweep(world, "payments-900")]


@_meets("sweep, sweep", struck=False)
def _sweep_twice(world: World) -> Sequence[Handler]:
    order_id = _ordered(world)
    world.reconcile(lane="sweep", passes=["payments-900"])
    _paid(world, order_id)
    world.now += 2 * _FIRST_LOOK_S
    return [_sweep(world, "payments-900"), _sweep(world, "payments-900")]


def _old(world: World) -> str:
    """An order that is old enough to expire; the lane has not met it yet."""
    order_id = _ordered(world)
    world.now += 31 * DAY_S + 2 * 60 * 60
    return order_id


def _pay_and_tell(world: World, order_id: str, *, after_s: int) -> Handler:
    """The customer pays from a page that is still open, and Razorpay tells of it at once."""
    instance = _warm(world, "webhook")

    def act(on: Instance) -> Answer:
        assert world.outside.gate is not None
        world.outside.gate("the customer pays")
        world.now += after_s
        _paid(world, order_id)
        return world.deliver(*_told(world, "payment.captured"), instance=on)

    return Handler("pay and tell", instance, act, repeated=False)


@_meets("expiry, a payment of the same second", struck=False)
def _expiry_and_payment(world: World) -> Sequence[Handler]:
    """Whoever is first, the payment was not made after the expiry."""
    order_id = _old(world)
    return [_expiry(world), _pay_and_tell(world, order_id, after_s=0)]


@_meets("expiry, a later payment", struck=False, one_status=False)
def _expiry_and_later_payment(world: World) -> Sequence[Handler]:
    """Whether the payment was made after the expiry is up to who is first."""
    order_id = _old(world)
    return [_expiry(world), _pay_and_tell(world, order_id, after_s=1)]


@_meets("expiry, captured", struck=False)
def _expiry_and_captured(world: World) -> Sequence[Handler]:
    _paid(world, _old(world))
    return [_expiry(world), *_webhooks(world, "payment.captured")]


@_meets("expiry, create-order", struck=False)
def _expiry_and_create(world: World) -> Sequence[Handler]:
    _old(world)
    return [_expiry(world), _create(world)]


@_meets("expiry, expiry", struck=False)
def _expiry_twice(world: World) -> Sequence[Handler]:
    _old(world)
    return [_expiry(world), _expiry(world)]


@_meets("create-order, create-order")
def _create_twice(world: World) -> Sequence[Handler]:
    return [_create(world, has_ids=False), _create(world, has_ids=False)]


@_meets("create-order, create-order of another amount")
def _create_two_amounts(world: World) -> Sequence[Handler]:
    return [_create(world), _create(world, OTHER_AMOUNT)]


@_meets("create-order, of another amount, after failed", serial=False, serial_when_struck=False)
def _create_after_failed(world: World) -> Sequence[Handler]:
    order_id = _ordered(world)
    assert world.pay(order_id, outcome="failure") is None
    world.deliver(*_told(world, "payment.failed"))
    return [_create(world), _create(world, OTHER_AMOUNT)]


@_meets("create-order, captured")
def _create_and_captured(world: World) -> Sequence[Handler]:
    _paid(world, _ordered(world))
    return [_create(world), *_webhooks(world, "payment.captured")]


@_meets("create-order of another amount, captured", serial_when_struck=False)
def _change_the_amount_and_captured(world: World) -> Sequence[Handler]:
    _paid(world, _ordered(world))
    return [_create(world, OTHER_AMOUNT), *_webhooks(world, "payment.captured")]


@_meets("create-order of another amount, verify", serial_when_struck=False)
def _change_the_amount_and_verify(world: World) -> Sequence[Handler]:
    checkout = _paid(world, _ordered(world))
    return [_create(world, OTHER_AMOUNT), _verify(world, checkout)]


def _left_unrecorded(world: World) -> str:
    """An order of ours that only Razorpay knows: create-order died before storing it."""
    world.outside.fate = lambda call: Kind.DIES_BEFORE if call.operation == "dynamodb PutItem" else None
    try:
        world.create_order()
    except Died:
        world.outside.fate = good
    return list(world.razorpay.account.orders)[-1]


@_meets("create-order, captured of an unknown order")
def _create_and_unknown(world: World) -> Sequence[Handler]:
    _paid(world, _left_unrecorded(world))
    return [_create(world), *_webhooks(world, "payment.captured")]


@_meets("create-order, captured of what it makes", serial=False, struck=False, may_fail=False)
def _create_and_paid_at_once(world: World) -> Sequence[Handler]:
    """Nobody can pay an order before its id is returned; even so, a payment would not be lost.

    Without faults: if create-order fails between the order's record and its application, it returns no id, and the
    client gets another order. Then a payment of the first one cannot happen at all.
    """
    instance = _warm(world, "webhook")

    def pay_and_tell(on: Instance) -> Answer | None:
        assert world.outside.gate is not None
        world.outside.gate("the customer pays")
        for order_id in world.razorpay.account.orders:
            _paid(world, order_id)
            return world.deliver(*_told(world, "payment.captured"), instance=on)
        return None

    return [_create(world), Handler("pay and tell", instance, pay_and_tell, repeated=False)]


@_meets("captured, order.paid of an unknown order")
def _two_of_an_unknown(world: World) -> Sequence[Handler]:
    _paid(world, _left_unrecorded(world))
    return _webhooks(world, "payment.captured", "order.paid")


@_meets("captured of an unknown order, look")
def _unknown_and_look(world: World) -> Sequence[Handler]:
    order_id = _left_unrecorded(world)
    _paid(world, order_id)
    world.deliver(*_told(world, "payment.authorized"))
    world.now += _FIRST_LOOK_S
    return [*_webhooks(world, "payment.captured"), _look(world, order_id)]


@_meets("captured of a foreign order, look")
def _foreign_and_look(world: World) -> Sequence[Handler]:
    order_id = world.foreign_order()
    _paid(world, order_id, capture="now")
    world.deliver(*_told(world, "payment.authorized"))
    world.now += _FIRST_LOOK_S
    return [*_webhooks(world, "payment.captured"), _look(world, order_id)]


def _accept(world: World, order_id: str, payment: str) -> Handler:
    """An operator accepts a payment, and tries again if that fails, but not if it is refused."""
    instance = Instance()
    with suppress(RunFailed):
        world.invoke("reconcile", {"lane": "none"}, instance=instance)
    named = {"order_id": order_id, "razorpay_payment_id": payment}
    return Handler("accept", instance, lambda on: world.operate("accept", instance=on, **named))


# If accept dies after it superseded the other order, that order's payment is for a person, and so is this one.
@_meets("accept, captured of the other order", serial_when_struck=False, one_status=False)
def _accept_and_captured_elsewhere(world: World) -> Sequence[Handler]:
    first, second = _ordered(world), _ordered(world, OTHER_AMOUNT)
    paid = _paid(world, first)
    for webhook in world.waiting:
        world.deliver(webhook)
    _paid(world, second)
    return [_accept(world, first, paid["razorpay_payment_id"]), *_webhooks(world, "payment.captured")]


@_meets("accept, create-order")
def _accept_and_create_order(world: World) -> Sequence[Handler]:
    first = _ordered(world)
    _ordered(world, OTHER_AMOUNT)
    paid = _paid(world, first)
    for webhook in world.waiting:
        world.deliver(webhook)
    return [_accept(world, first, paid["razorpay_payment_id"]), _create(world)]


@_meets("verify, captured, order.paid", struck=False)
def _verify_captured_and_order_paid(world: World) -> Sequence[Handler]:
    checkout = _paid(world, _ordered(world))
    captured, paid = _told(world, "payment.captured", "order.paid")
    return [_verify(world, checkout), _webhook(world, captured), _webhook(world, paid)]


def _refund(world: World, order_id: str, key: str, amount: str | None = None) -> Handler:
    """A service requests a refund."""
    instance = Instance()
    # Without an Idempotency-Key it only reads its secrets.
    world.request("refund", events.from_service(order_id, {}, key=None), instance=instance)
    return Handler("refund", instance, lambda on: world.request_refund(order_id, key, amount, instance=on))


def _paid_and_recorded(world: World) -> tuple[str, str]:
    """An order and its payment, which the service knows to be captured."""
    order_id = _ordered(world)
    checkout = _paid(world, order_id)
    for webhook in world.waiting:
        world.deliver(webhook)
    return order_id, checkout["razorpay_payment_id"]


def _elsewhere(world: World, what: str, act: Act) -> Handler:
    """Something outside the service happens at any moment."""

    def happen(on: Instance) -> Answer | dict[str, Any] | None:
        assert world.outside.gate is not None
        world.outside.gate(what)
        return act(on)

    return Handler(what, _warm(world, "webhook"), happen, repeated=False)


@_meets("refund, the same again", struck=False)
def _refund_twice(world: World) -> Sequence[Handler]:
    """Two clicks: one key, one body."""
    order_id, _ = _paid_and_recorded(world)
    return [_refund(world, order_id, "one-key-for-two-clicks"), _refund(world, order_id, "one-key-for-two-clicks")]


@_meets("refund, refund of another key", struck=False)
def _refund_under_two_keys(world: World) -> Sequence[Handler]:
    """Two people refund the same: only one of the requests fits into what remains."""
    order_id, _ = _paid_and_recorded(world)
    return [
        _refund(world, order_id, "the-key-of-one", "300.00"),
        _refund(world, order_id, "the-key-of-another", "300.00"),
    ]


@_meets("refund, refund of the other half", serial=False, serial_when_struck=False, struck=False)
def _refund_of_two_halves(world: World) -> Sequence[Handler]:
    """Whichever is recorded last makes the payment refunded; Razorpay may have made it first."""
    order_id, _ = _paid_and_recorded(world)
    return [
        _refund(world, order_id, "the-key-of-one", "249.75"),
        _refund(world, order_id, "the-key-of-another", "249.75"),
    ]


@_meets("refund, refunded in the dashboard", serial_when_struck=False, struck=False)
def _refund_and_dashboard(world: World) -> Sequence[Handler]:
    """Both do not fit: Razorpay refuses one of them. If the service's call got lost, a person is asked after a day."""
    order_id, payment_id = _paid_and_recorded(world)

    def in_the_dashboard(_: Instance) -> None:
        world.refund(payment_id, 300_00)

    return [
        _refund(world, order_id, "one-key-for-a-part", "300.00"),
        _elsewhere(world, "refunded in the dashboard", in_the_dashboard),
    ]


@_meets("refund, its webhook", struck=False)
def _refund_and_webhook(world: World) -> Sequence[Handler]:
    """Razorpay reports the refund before or after it answers the request."""
    order_id, _ = _paid_and_recorded(world)

    def delivered(on: Instance) -> Answer | None:
        for webhook in world.waiting:
            return world.deliver(webhook, instance=on)
        return None

    return [_refund(world, order_id, "one-key-for-all"), _elsewhere(world, "its webhook", delivered)]


def _refund_left_in_doubt(world: World, fault: Kind) -> str:
    """A request died around its call to Razorpay; a quarter of an hour has passed."""
    order_id, _ = _paid_and_recorded(world)
    asking = "razorpay POST /v1/payments/{id}/refund"
    world.outside.fate = lambda call: fault if call.operation == asking else None
    with suppress(Died):
        world.request_refund(order_id, "one-key-for-all")
    world.outside.fate = good
    world.now += _FIRST_LOOK_S
    return order_id


@_meets("refund asked for again, look", struck=False)
def _refund_again_and_look(world: World) -> Sequence[Handler]:
    """Razorpay never got it: both may send it again, and only one does."""
    order_id = _refund_left_in_doubt(world, Kind.DIES_BEFORE)
    return [_refund(world, order_id, "one-key-for-all"), _look(world, order_id)]


@_meets("refund asked for again, the same again", struck=False)
def _refund_again_twice(world: World) -> Sequence[Handler]:
    order_id = _refund_left_in_doubt(world, Kind.DIES_BEFORE)
    return [_refund(world, order_id, "one-key-for-all"), _refund(world, order_id, "one-key-for-all")]


@_meets("refund that was made, look", struck=False)
def _made_refund_and_look(world: World) -> Sequence[Handler]:
    """Razorpay made it and nobody heard: both find it in the list."""
    order_id = _refund_left_in_doubt(world, Kind.DIES_AFTER)
    return [_refund(world, order_id, "one-key-for-all"), _look(world, order_id)]


# --- scheduling -----------------------------------------------------------------------------------------------------


class Step(NamedTuple):
    """One handler makes its pending call and continues to the next one."""

    who: int
    """Its index in the meeting, from 0."""
    fault: Kind | None = None
    """The call's fault."""

    def __str__(self) -> str:
        return f"{self.who} {self.fault}" if self.fault else str(self.who)


class _Abandoned(BaseException):
    """The run ended before its handlers. Not an Exception, which the handlers would catch."""


class _Player(Thread):
    """One handler, which stops before each call until released."""

    def __init__(self, handler: Handler, arrived: Semaphore) -> None:
        super().__init__(name=handler.name, daemon=True)
        self.answer: Answer | dict[str, Any] | str | None = None
        self.error: BaseException | None = None
        self.done = False
        self.stands_at = "its beginning"
        self.abandoned = False
        self.go = Semaphore(0)
        self._handler = handler
        self._arrived = arrived

    def run(self) -> None:
        try:
            self.answer = self._handler.act(self._handler.instance)
        except Died:
            self.answer = _DEATH
        except BaseException as error:  # noqa: BLE001 - raised again by whoever runs the meeting
            self.error = error
        finally:
            self.done = True
            self._arrived.release()

    def stop(self, operation: str) -> None:
        self.stands_at = operation
        if not self.abandoned:
            self._arrived.release()
            self.go.acquire()
        if self.abandoned:
            raise _Abandoned


class Turns:
    """Runs the handlers of one meeting in turns, one call at a time; only one runs at any moment."""

    def __init__(self, world: World, handlers: Sequence[Handler], patience_s: float) -> None:
        self._world = world
        self._patience_s = patience_s
        self._arrived = Semaphore(0)
        self.players = [_Player(handler, self._arrived) for handler in handlers]

    def start(self) -> None:
        """Every handler runs to its first call."""
        self._world.outside.gate = _gate
        for player in self.players:
            player.start()
            self._wait(player)

    @property
    def waiting(self) -> list[int]:
        """The handlers that wait at a call."""
        return [number for number, player in enumerate(self.players) if not player.done]

    def let(self, step: Step) -> Call | None:
        """Lets a handler make its call and run to the next; returns the call, if it waited at one."""
        assert step.who in self.waiting, f"handler {step.who} has no call to make"
        outside, player = self._world.outside, self.players[step.who]
        outside.fate = lambda call: step.fault if step.fault in call.kinds else None
        before = len(outside.calls)
        player.go.release()
        self._wait(player)
        assert len(outside.calls) - before <= 1, "a call went by without a turn"
        return outside.calls[-1] if len(outside.calls) > before else None

    def stop(self) -> None:
        """Ends the handlers that still run."""
        self._world.outside.gate, self._world.outside.fate = None, good
        for player in self.players:
            player.abandoned = True
            player.go.release()
        for player in self.players:
            if player.ident is not None:
                player.join(self._patience_s)
        leaked = [player.name for player in self.players if player.is_alive()]
        assert not leaked, f"could not be ended: {leaked}"

    def _wait(self, player: _Player) -> None:
        if not self._arrived.acquire(timeout=self._patience_s):
            places = ", ".join(f"{one.name} at {one.stands_at}" for one in self.players if not one.done)
            raise AssertionError(f"deadlock: {player.name} waits for somebody who is not running ({places})")
        if player.error is not None:
            raise player.error


@contextmanager
def taking_turns(world: World, handlers: Sequence[Handler], *, patience_s: float = _PATIENCE_S) -> Iterator[Turns]:
    """Starts the handlers up to their first calls; at the end stops those that still run.

    Args:
        world: their world.
        handlers: those that meet.
        patience_s: how long a handler may compute between two calls before it counts as deadlocked.
    """
    turns = Turns(world, handlers, patience_s)
    try:
        turns.start()
        yield turns
    finally:
        turns.stop()


def _gate(operation: str) -> None:
    player = current_thread()
    assert isinstance(player, _Player), "a call from outside the meeting"
    player.stop(operation)


# --- one run --------------------------------------------------------------------------------------------------------

type Outcome = tuple[Any, ...]
type Choose = Callable[[Sequence[int], int], Step]
"""Chooses the next handler among those waiting at a call, given the number of steps so far."""


@dataclass(slots=True)
class Run:
    """What was played, and its outcome."""

    steps: list[Step] = field(default_factory=list)
    kinds: list[frozenset[Kind]] = field(default_factory=list)
    """The possible faults of each step's call."""
    answers: Outcome = ()
    end: Outcome = ()
    statuses: tuple[tuple[str, str], ...] = ()
    """The ids of orders that existed before the meeting."""
    calls: list[Call] = field(default_factory=list)
    ahead: int = 0
    """The number of calls before the meeting."""

    @property
    def struck(self) -> bool:
        return any(step.fault for step in self.steps)


def play(world: World, meeting: Meeting, choose: Choose, run: Run) -> None:
    """Plays one run to the end, and checks it.

    Args:
        world: a new one.
        meeting: who meets, and how.
        choose: chooses the next handler.
        run: filled along the way, so that it shows what was played if a check fails.
    """
    # End states are compared including ids, which are assigned in order: an automatic refund between the handlers'
    # calls would get a different id in every run. So meetings trigger refunds explicitly.
    world.razorpay.account.faults = Faults(auto_refund_after_s=LONGEST_S)
    handlers = meeting.prepare(world)
    run.ahead, run.calls = len(world.outside.calls), world.outside.calls
    before = list(world.razorpay.account.orders)
    with taking_turns(world, handlers) as turns:
        while waiting := turns.waiting:
            step = choose(waiting, len(run.steps))
            run.steps.append(step)
            call = turns.let(step)
            run.kinds.append(frozenset() if call is None else call.kinds)
            if step.fault not in run.kinds[-1]:
                run.steps[-1] = Step(step.who)
        answers = [player.answer for player in turns.players]
    run.answers = tuple(map(_said, answers))
    for handler, answer in zip(handlers, answers, strict=True):
        if handler.repeated and not _is_done(answer):
            handler.act(Instance())
    world.come_to_rest()
    world.check()
    run.end = _end(world)
    run.statuses = tuple((order_id, str(world.record(order_id).status)) for order_id in before)


def _said(answer: object) -> object:
    match answer:
        case Answer(status, body):
            return status, body.get("code", "")
        case dict():
            # Which handler publishes what both found, and how many runs find nothing left, depends on who is first.
            return "reconciled"
        case _:
            return answer


def _fit(answers: Outcome, serial: Outcome) -> bool:
    """Whether they are those of a serial order, or leave open which: 202 tells the caller to ask again."""
    return all(
        answer in (expected, (HTTPStatus.ACCEPTED, "")) for answer, expected in zip(answers, serial, strict=True)
    )


def _is_done(answer: object) -> bool:
    match answer:
        case Answer(status, _):
            return status not in {500, 503}
        case dict():
            return not answer.get("failed")
        case _:
            return False


def _end(world: World) -> Outcome:
    """The outcome of every order that a client has or has paid, without times and versions."""
    books = world.razorpay.account
    orders = []
    for order_id, record in world.ledger.records.items():
        if order_id not in world.handed_out and not books.payments_of(books.order(order_id)):
            # Nobody has its id, so its outcome does not matter.
            continue
        events = sorted(
            (kind, "" if kind == "payment.review" and record.superseded_by else identity)
            for identity, (of, kind) in world.ledger.types.items()
            if of == order_id
        )
        agreed = None if record.order is None else record.order.amount_minor
        # A successor has the id of the first or last order created, whichever handler created it.
        reviews = sorted((review.reason, review.subject.partition("_")[0]) for review in record.reviews)
        pays = sorted(
            (key, attempt.signed_at is not None, attempt.captured) for key, attempt in record.attempts.items()
        )
        back = sorted((key, refund.state) for key, refund in record.refunds.items())
        orders.append(
            (
                agreed,
                str(record.status),
                record.confirmed,
                record.superseded_by is not None,
                tuple(reviews),
                tuple(pays),
                tuple(back),
                tuple(events),
            )
        )
    return tuple(sorted(orders, key=repr))


# --- all runs -------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Fork:
    """A point at which the next handler was chosen."""

    options: list[Step]
    taken: int = 0

    @property
    def step(self) -> Step:
        return self.options[self.taken]


@dataclass(slots=True)
class Explored:
    """Every run of a meeting, or some of them, and how they ended."""

    name: str
    runs: int = 0
    struck: int = 0
    together: int = 0
    """The maximum number of calls in one run."""


class Explorer:
    """Plays the runs of one meeting and compares their end states."""

    def __init__(self, install: Callable[[World], World], name: str) -> None:
        self._install = install
        self._meeting = MEETINGS[name]
        self.found = Explored(name)
        self.is_pair = True
        self._serial_ends: set[Outcome] = set()
        self._serial_answers: set[Outcome] = set()
        self._statuses: set[tuple[tuple[str, str], ...]] = set()

    def play_serially(self) -> None:
        """One handler after the other, in every order: the reference for all other runs."""
        handlers = len(self._meeting.prepare(self._install(World(watch_logs=False))))
        self.is_pair = handlers == 2
        for order in permutations(range(handlers)):

            def choose(waiting: Sequence[int], _: int, order: Sequence[int] = order) -> Step:
                return Step(next(who for who in order if who in waiting))

            run = self._play(choose, compared=False)
            self._serial_ends.add(run.end)
            self._serial_answers.add(run.answers)

    def play_all(self, *, struck: bool) -> None:
        """Every run, depth first; if `struck`, also with a fault at one call."""
        path: list[_Fork] = []

        def choose(waiting: Sequence[int], depth: int) -> Step:
            if depth == len(path):
                path.append(_Fork([Step(who) for who in waiting]))
            return path[depth].step

        while True:
            run = self._play(choose)
            for depth, fork in enumerate(path):
                # A call's possible faults are known once it has been made.
                if struck and fork.step.fault is None and not any(step.fault for step in run.steps[:depth]):
                    faults = [Step(fork.step.who, kind) for kind in _faults(run.kinds[depth])]
                    fork.options += [step for step in faults if step not in fork.options]
            while path and path[-1].taken + 1 == len(path[-1].options):
                path.pop()
            if not path:
                return
            path[-1].taken += 1

    def play_some(self, dice: random.Random, number: int) -> None:
        """This many runs with random scheduling and, in every other run, a random fault at a random call if allowed."""
        for turn in range(number):
            at = dice.randrange(self.found.together) if turn % 2 and self._meeting.may_fail else None
            kind = dice.choice(FAULTS)

            def choose(waiting: Sequence[int], depth: int, at: int | None = at, kind: Kind = kind) -> Step:
                return Step(dice.choice(waiting), kind if depth == at else None)

            self._play(choose)

    def _play(self, choose: Choose, *, compared: bool = True) -> Run:
        run = Run()
        try:
            play(self._install(World(watch_logs=False)), self._meeting, choose, run)
            if compared:
                self._compare(run)
        except Exception as error:
            steps = " ".join(f'"{step}"' if step.fault else str(step) for step in run.steps)
            again = f'PYTHONPATH=shared python -m tests.faults.interleavings "{self.found.name}" {steps}'
            raise AssertionError(
                f"{self.found.name}: {type(error).__name__}: {error}\nto see it again: {again}"
            ) from error
        found = self.found
        found.runs += 1
        found.struck += run.struck
        found.together = max(found.together, len(run.steps))
        self._statuses.add(run.statuses)
        is_one = len(self._statuses) == 1 or not self._meeting.one_status
        assert is_one, f"I6: {found.name}: the order decides the status: {self._statuses}"
        return run

    def _compare(self, run: Run) -> None:
        allowed = self._meeting.serial_when_struck if run.struck else self._meeting.serial
        ends = self._serial_ends
        assert not allowed or run.end in ends, f"it ended as no serial order does: {run.end}, not one of {sorted(ends)}"
        if not run.struck and self._meeting.serial:
            serial = sorted(map(str, self._serial_answers))
            fits = any(_fit(run.answers, one) for one in self._serial_answers)
            assert fits, f"answers of no serial order: {run.answers}, not {serial}"


def _faults(kinds: frozenset[Kind]) -> list[Kind]:
    """Death, and the worst fate of the response: it is lost or, for a read, an error."""
    answers = [kind for kind in (Kind.FAILS_AFTER, Kind.FAILS_BEFORE) if kind in kinds]
    return [kind for kind in (Kind.DIES_AFTER, *answers[:1]) if kind in kinds]


def explore(install: Callable[[World], World], name: str, budget: Budget) -> Explored:
    """Plays all runs of a meeting, or a sample of them.

    Raises:
        AssertionError: one of them broke an invariant, deadlocked, or ended as no serial order does.
    """
    explorer = Explorer(install, name)
    explorer.play_serially()
    calls = explorer.found.together
    orders = comb(calls, calls // 2) if explorer.is_pair else inf
    struck = MEETINGS[name].struck and orders <= _STRUCK_ORDERS
    is_all = budget.share >= 1 and orders <= _MOST_ORDERS
    if is_all:
        explorer.play_all(struck=struck)
    if not is_all or not struck:
        number = max(_FEWEST, round(budget.share * _DRAWN))
        explorer.play_some(random.Random(f"{budget.seed} {name}"), number)  # noqa: S311 - to be drawn again, no secret
    return explorer.found


# --- the campaign ---------------------------------------------------------------------------------------------------


def run(budget: Budget, progress: Progress) -> Report:
    """Every run of every meeting, or a sample.

    Raises:
        AssertionError: see `explore`; the message says how to replay that run.
    """
    found: list[Explored] = []
    for one in _in_parallel(budget) if budget.share >= 1 else (_explored(name, budget) for name in MEETINGS):
        found.append(one)
        progress(len(found), len(MEETINGS))
    return Report(
        title="Interleavings",
        what=(
            "The orders in which the calls of two handlers (once of three) on one record can follow each other, with "
            "the real handlers and adapters, and orders with one of their calls going wrong: the instance dies after "
            f"it, or its answer is lost (a read is refused). The whole campaign plays all orders of two handlers with "
            f"up to {_MOST_ORDERS:,}, every fault as well up to {_STRUCK_ORDERS}, else a sample. Then everybody "
            "who got no answer asked again, everything came to rest, and the record and the bus were compared with "
            "Razorpay's books. The status was the same in all runs of a meeting. Events, reviews and answers were "
            "those of the handlers one after the other, in one of their orders; where whether a payment or another "
            "order came first decides which of the two is refused or reviewed, the books alone are the judge."
        ),
        figures={
            "meetings": len(found),
            "runs": sum(one.runs for one in found),
            "… of them with a fault": sum(one.struck for one in found),
            "deadlocks, lost events, ends that differ from Razorpay's books": 0,
        },
    )


def _in_parallel(budget: Budget) -> Iterator[Explored]:
    """The whole takes an hour of one processor. The meetings have nothing in common: each processor takes the next."""
    with ProcessPoolExecutor(len(os.sched_getaffinity(0)), mp_context=get_context("spawn")) as pool:
        for done in as_completed([pool.submit(_explored, name, budget) for name in MEETINGS]):
            yield done.result()


def _explored(name: str, budget: Budget) -> Explored:
    with installed() as install:
        return explore(install, name, budget)


def replay(install: Callable[[World], World], name: str, steps: Sequence[Step]) -> Run:
    """Replays one run; after the given steps, the first handler that can continues."""

    def choose(waiting: Sequence[int], depth: int) -> Step:
        return steps[depth] if depth < len(steps) else Step(waiting[0])

    played = Run()
    try:
        play(install(World()), MEETINGS[name], choose, played)
    finally:
        _tell(name, played)
    return played


def step(text: str) -> Step:
    """A step as printed: `0` or `1 dies after`."""
    who, _, fault = text.partition(" ")
    return Step(int(who), Kind(fault) if fault else None)


def _tell(name: str, played: Run) -> None:
    tell = sys.stderr.write
    for call in played.calls[: played.ahead]:
        tell(f"     {call.during}: {call.operation}\n")
    tell(f"--- {name}\n")
    for number, call in enumerate(played.calls[played.ahead :]):
        mark = str(played.steps[number]) if number < len(played.steps) else "-"
        tell(f"{mark:>14} {call.during}: {call.operation}\n")
    tell(f"answers {played.answers}\nend {played.end}\n")


if __name__ == "__main__":
    with installed() as _install:
        replay(_install, sys.argv[1], [step(text) for text in sys.argv[2:]])
