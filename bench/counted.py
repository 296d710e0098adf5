"""What each request of a payment uses: calls outside, DynamoDB's units, events and log bytes. Counted, not timed."""

import json
from typing import Any, Final

from bench.meter import Meter, Used, metered
from tests.template.metrics import Metric, sent

# The first request of an instance reads its secrets, and create-order's a block of ten payment ids.
_ORDERS_OF_A_BLOCK: Final = 10
_DAY_S: Final = 24 * 60 * 60
LANES: Final = {
    "outbox, nothing due": ("outbox", {}),
    "reconcile watch, nothing due": ("reconcile", {"lane": "watch"}),
    "reconcile sweep, nothing due": ("reconcile", {"lane": "sweep"}),
}
"""A run of each schedule."""


def measure() -> dict[str, dict[str, Any]]:
    """Each flow by its name, in the order in which a payment meets them. Deterministic."""
    with metered() as meter:
        return {name: used.document() for name, used in _flows(meter).items()}


def metrics(*, idle: bool) -> frozenset[Metric]:
    """The custom metrics that the functions send: with the lanes alone at work, or with every flow of `measure`.

    CloudWatch bills each of them, by name and dimensions, for the hours in which something is sent.
    """
    with metered() as meter:
        if idle:
            _scheduled(meter)
        else:
            _flows(meter)
        lines = [json.loads(line) for line in meter.world.log.getvalue().splitlines()]
    return frozenset(metric for line in lines if "_aws" in line for metric in sent(line, "the service's own"))


def _flows(meter: Meter) -> dict[str, Used]:
    world = meter.world
    used: dict[str, Used] = {}
    # Warm instances, and a block of payment ids begun.
    first = _paid(meter, application=1)
    world.read(first)
    _scheduled(meter)

    order_id = world.create_order(application=2).body["order_id"]
    used["create-order"] = meter.read()
    for application in range(3, 2 + _ORDERS_OF_A_BLOCK):
        world.create_order(application=application)
    block = meter.read()
    used["create-order, every tenth: ids"] = _extra(block, used["create-order"], _ORDERS_OF_A_BLOCK - 1)
    world.create_order(application=2)
    used["create-order, again"] = meter.read()
    checkout = world.pay(order_id)
    assert checkout is not None
    world.verify(checkout)
    used["verify"] = meter.read()
    world.verify(checkout)
    used["verify, again"] = meter.read()
    world.read(order_id)
    used["read"] = meter.read()
    told = world.waiting
    for webhook in told:
        world.deliver(webhook)
        used[f"webhook {webhook.event}"] = meter.read()
    world.deliver(told[1])
    used["webhook, a duplicate"] = meter.read()
    world.refund(checkout["razorpay_payment_id"])
    for webhook in world.waiting:
        world.deliver(webhook)
        used[f"webhook {webhook.event}"] = meter.read()
    failing = world.create_order(application=99).body["order_id"]
    meter.read()
    world.pay(failing, outcome="failure")
    for webhook in world.waiting:
        world.deliver(webhook)
        used[f"webhook {webhook.event}"] = meter.read()
    # The orders that nobody paid are ten by now. A day later, once what was due is done:
    world.now += _DAY_S
    _scheduled(meter)
    return used | _scheduled(meter)


def _scheduled(meter: Meter) -> dict[str, Used]:
    """Each lane's run."""
    used = {}
    for name, (function, event) in LANES.items():
        meter.read()
        meter.world.invoke(function, event)
        used[name] = meter.read()
    return used


def _paid(meter: Meter, application: int) -> str:
    """A payment all the way, so that every function is warm."""
    world = meter.world
    order_id: str = world.create_order(application=application).body["order_id"]
    checkout = world.pay(order_id)
    assert checkout is not None
    world.verify(checkout)
    for webhook in world.waiting:
        world.deliver(webhook)
    return order_id


def _extra(all_of_them: Used, one: Used, count: int) -> Used:
    """What so many requests used beyond so many times one."""
    extra = Used(
        calls=all_of_them.calls[:],
        write_units=all_of_them.write_units - count * one.write_units,
        read_units=all_of_them.read_units - count * one.read_units,
    )
    for call in one.calls * count:
        extra.calls.remove(call)
    return extra
