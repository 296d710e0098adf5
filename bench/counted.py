"""What each request of a payment uses: outside calls, DynamoDB units, events and log bytes. Counted, not timed.

The functions run with everything around them in memory (`tests/faults/rig.py`). Units are DynamoDB's: a write costs one
per KiB of the larger of the two sizes, plus the index's (`tests/table/dynamodb.py`); a strongly consistent read costs
one per 4 KiB, a query of the index half of that for everything it returns, rounded up.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from tests.aws_limits import item_bytes
from tests.faults.rig import World, installed
from tests.table.dynamodb import actions_of, key_of, typed_write_units
from tests.template.metrics import Metric, sent

_READ_UNIT_BYTES: Final = 4096
_READS: Final = frozenset({"GetItem", "Query", "BatchGetItem"})
# create-order reserves a block of ten payment ids with the first of every ten orders.
_ORDERS_OF_A_BLOCK: Final = 10
_DAY_S: Final = 24 * 60 * 60
LANES: Final = {
    "outbox, nothing due": ("outbox", {}),
    "reconcile watch, nothing due": ("reconcile", {"lane": "watch"}),
    "reconcile sweep, nothing due": ("reconcile", {"lane": "sweep"}),
    "reconcile expiry, nothing due": ("reconcile", {"lane": "expiry"}),
}
"""The run of each schedule."""


@dataclass(slots=True)
class Used:
    """The usage since the meter was last read."""

    made: list[str] = field(default_factory=list)
    """Every outside call, in order, such as `dynamodb GetItem`."""
    write_units: int = 0
    read_units: float = 0
    event_entries: int = 0
    log_bytes: int = 0


class Meter:
    """Meters the usage of one world's functions."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._write_units, self._read_units = 0, 0.0
        self._calls, self._events, self._logged = 0, 0, 0
        self._answer = world.table.answer
        world.table.answer = self._counting  # type: ignore[method-assign]  # every call to DynamoDB goes through it

    def read(self) -> Used:
        """The usage since the last reading."""
        calls, log = self.world.outside.calls, self.world.log.getvalue()
        used = Used(
            [call.operation for call in calls[self._calls :]],
            self._write_units,
            self._read_units,
            len(self.world.bus.accepted) - self._events,
            len(log[self._logged :].encode()),
        )
        self._write_units, self._read_units = 0, 0.0
        self._calls, self._events, self._logged = len(calls), len(self.world.bus.accepted), len(log)
        return used

    def _counting(self, operation: str, request: Mapping[str, Any], *, partly: bool = False) -> dict[str, Any]:
        items = self.world.table.items
        pks = [] if operation in _READS else [key_of(action)["pk"]["S"] for action in actions_of(dict(request))]
        before = [items.get(pk) for pk in pks]
        try:
            answer = self._answer(operation, request, partly=partly)
        finally:
            units = sum(typed_write_units(old, items.get(pk)) for pk, old in zip(pks, before, strict=True))
            # In a transaction each costs double ("Read and write operations").
            self._write_units += 2 * units if operation == "TransactWriteItems" else units
        match operation:
            case "GetItem":
                self._read_units += _steps(answer.get("Item"))
            case "BatchGetItem":
                for name, asked in request["RequestItems"].items():
                    found = answer["Responses"][name]
                    steps = sum(map(_steps, found)) + len(asked["Keys"]) - len(found)
                    self._read_units += steps if asked.get("ConsistentRead", False) else steps / 2
            case "Query":
                # What DynamoDB reads of each entry: the table's key and both of the index's.
                size = sum(item_bytes(item) + len("attention_shard") + 2 for item in answer["Items"])
                self._read_units += max(1, -(-size // _READ_UNIT_BYTES)) / 2
        return answer


def _steps(item: dict[str, Any] | None) -> int:
    return 1 if item is None else -(-item_bytes(item) // _READ_UNIT_BYTES)


@contextmanager
def metered() -> Iterator[Meter]:
    """A new world with a meter on it."""
    with installed() as install:
        yield Meter(install(World()))


def measure() -> dict[str, dict[str, Any]]:
    """The usage of each flow by name, in the order in which a payment goes through them. Deterministic."""
    with metered() as meter:
        return {name: {"calls": len(used.made), **asdict(used)} for name, used in _flows(meter).items()}


def metrics(*, idle: bool) -> frozenset[Metric]:
    """The custom metrics that the functions send: with only the lanes running, or with every flow of `measure`.

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

    def note(name: str) -> None:
        used[name] = meter.read()

    # A complete payment, so that every function is warm with its secrets, and a block of payment ids is started.
    first = world.create_order(application=1).body["order_id"]
    world.verify(_paid(world, first))
    for webhook in world.waiting:
        world.deliver(webhook)
    world.read(first)
    _scheduled(meter)

    order_id = world.create_order(application=2).body["order_id"]
    note("create-order")
    for application in range(3, 2 + _ORDERS_OF_A_BLOCK):
        world.create_order(application=application)
    used["create-order, every tenth: ids"] = _extra(meter.read(), used["create-order"], _ORDERS_OF_A_BLOCK - 1)
    world.create_order(application=2)
    note("create-order, again")
    checkout = _paid(world, order_id)
    for again in ("", ", again"):
        world.verify(checkout)
        note(f"verify{again}")
    world.read(order_id)
    note("read")
    world.find(application_id="2")
    note("list of an application")
    world.find(role="client")
    note("list of a client's payments")
    told = world.waiting
    for webhook in told:
        world.deliver(webhook)
        note(f"webhook {webhook.event}")
    world.deliver(told[1])
    note("webhook, a duplicate")
    failing = world.create_order(application=99).body["order_id"]
    # So that refund is warm too.
    world.request_refund(first, "the-first-of-all-refunds", "1.00")
    for webhook in world.waiting:
        world.deliver(webhook)
    meter.read()
    for again in ("", ", again"):
        world.request_refund(order_id, "the-refund-of-a-part", "100.00")
        note(f"refund{again}")
    for webhook in world.waiting:
        world.deliver(webhook)
        note(f"webhook {webhook.event}, of a requested refund")
    world.refund(checkout["razorpay_payment_id"])
    world.pay(failing, outcome="failure")
    for webhook in world.waiting:
        world.deliver(webhook)
        note(f"webhook {webhook.event}")
    # By now there are ten unpaid orders. A day later, after everything due is done:
    world.now += _DAY_S
    _scheduled(meter)
    return used | _scheduled(meter)


def _paid(world: World, order_id: str) -> dict[str, str]:
    checkout = world.pay(order_id)
    assert checkout is not None
    return checkout


def _scheduled(meter: Meter) -> dict[str, Used]:
    """Each lane's run."""
    used = {}
    for name, (function, event) in LANES.items():
        meter.read()
        meter.world.invoke(function, event)
        used[name] = meter.read()
    return used


def _extra(all_of_them: Used, one: Used, count: int) -> Used:
    """What this many requests used beyond this many times one request."""
    extra = Used(
        made=all_of_them.made[:],
        write_units=all_of_them.write_units - count * one.write_units,
        read_units=all_of_them.read_units - count * one.read_units,
    )
    for call in one.made * count:
        extra.made.remove(call)
    return extra
