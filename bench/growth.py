"""What grows with what: a record with its attempts, and the lanes with what is due. Counted, not timed.

Work is counted in calls of the service's Python functions, the same in every run: a machine's mood is no property of
the code.
"""

import sys
from collections.abc import Callable, Mapping
from copy import replace
from functools import partial
from types import FrameType
from typing import Any, Final

from boto3.dynamodb.types import TypeSerializer

from bench.meter import Meter, Used, metered
from bench.progress import Progress
from payments.adapters.table import to_item
from payments.core.attention import SHARDS, WATCH_AGES_S, partition
from payments.core.model import Captured, Lane, Order, Record, Signed
from payments.core.transitions import decide, open_record
from sandbox import events
from sandbox.gateway import validation
from tests.faults.dynamodb import MemoryDynamo, plain
from tests.faults.elsewhere import MemoryBus
from tests.table.dynamodb import item_bytes

ATTEMPTS: Final = (1, 2, 5, 10, 20, 50, 100)
TABLES: Final = (100, 1_000, 10_000, 100_000)
DUE_SHARE: Final = 0.01
CONSTANT_DUE: Final = 10
"""The other row of tables: as many due, whatever the size."""
OPEN_SHARE: Final = 0.09
"""Of the records that are in the index, and whose time has not come; the rest is settled and not in it."""
AGE_S: Final = 15 * 60
_MOST_RUNS: Final = 20
_LANES: Final[tuple[tuple[str, dict[str, Any]], ...]] = (("outbox", {}), ("reconcile", {"lane": "watch"}))
# The code whose calls are counted: the service's own, and boto3's conversion of items.
_COUNTED: Final = ("/shared/payments/", "/functions/", "/boto3/dynamodb/")

_serialize: Final = TypeSerializer().serialize


def record_growth(counts: tuple[int, ...], progress: Progress) -> list[dict[str, Any]]:
    """What the next failed attempt costs on a record that has so many already."""
    rows = []
    with metered() as meter:
        world = meter.world
        order_id: str = world.create_order().body["order_id"]
        _unwatched(meter)
        # The instance has its secrets before anything is counted.
        world.invoke("webhook", events.from_razorpay(b"{}"))
        have = 0
        for count in counts:
            while have < count - 1:
                have += 1
                world.invoke("webhook", _failure(meter, order_id))
                progress(have, counts[-1])
            event = _failure(meter, order_id)
            meter.read()
            calls = function_calls(partial(world.invoke, "webhook", event))
            have += 1
            used = meter.read()
            rows.append(
                {
                    "attempts": count,
                    "item_bytes": item_bytes(plain(world.table.items[f"order#{order_id}"])),
                    "calls": len(used.calls),
                    "read_units": used.read_units,
                    "write_units": used.write_units,
                    "log_bytes": used.log_bytes,
                    "function_calls": calls,
                }
            )
            progress(have, counts[-1])
    return rows


def reconcile_growth(tables: tuple[int, ...], progress: Progress) -> list[dict[str, Any]]:
    """What outbox and the watch lane use to come to rest: with 1 % of each table due, then with as many due in each."""
    plans = [(size, int(size * DUE_SHARE)) for size in tables]
    plans += [(size, CONSTANT_DUE) for size in tables if size >= CONSTANT_DUE]
    rows = []
    for number, (size, due) in enumerate(plans):
        rows.append(reconciled(size, due))
        progress(number + 1, len(plans))
    return rows


def reconciled(size: int, due: int) -> dict[str, Any]:
    """What outbox and the watch lane use until nothing is due any more, in a table of this size.

    Half of what is due are payments of which only the signature is known; the other half are payments whose event was
    never published.

    Args:
        size: records in the table.
        due: how many of them are due.
    """
    with metered() as meter:
        _unwatched(meter)
        world = meter.world
        # The instances have what they need before anything is counted.
        for function, event in _LANES:
            world.invoke(function, event)
        for number in range(due):
            record = _due(_order_at_razorpay(meter, number), number, world.now)
            world.table.items[f"order#{record.order_id}"] = _item(record)
        _fill(world.table, size - due, world.now)
        world.now += AGE_S
        meter.read()
        total, runs, looked_at = Used(), 0, 0
        for function, event in _LANES:
            left_over = True
            while left_over:
                report = world.invoke(function, event)
                assert not report["failed"], report
                assert runs < _MOST_RUNS, "the lanes never came to rest"
                left_over = report["left_over"]
                runs += 1
                looked_at += report["looked_at"]
                total.add(meter.read())
    assert looked_at == due, f"{looked_at} of {due}"
    return {
        "size": size,
        "due": due,
        "runs": runs,
        "calls": len(total.calls),
        "aws_calls": sum(not call.startswith("razorpay") for call in total.calls),
        "queries": total.calls.count("dynamodb Query"),
        "read_units": total.read_units,
        "write_units": total.write_units,
        "event_entries": total.event_entries,
        "log_bytes": total.log_bytes,
    }


def function_calls(work: Callable[[], object]) -> int:
    """How many Python functions of the service it calls."""
    count = 0

    def note(frame: FrameType, event: str, _: object) -> None:
        nonlocal count
        if event == "call" and any(part in frame.f_code.co_filename for part in _COUNTED):
            count += 1

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(before)
    return count


def _unwatched(meter: Meter) -> None:
    """Without the rig's checks of every write: the records here were not all written by the functions."""
    world = meter.world
    table = MemoryDynamo(world.outside)
    table.items = world.table.items
    world.table = table
    world.bus = MemoryBus(world.outside)


def _failure(meter: Meter, order_id: str) -> dict[str, Any]:
    """The customer fails to pay; what Razorpay then sends."""
    meter.world.pay(order_id, outcome="failure")
    return events.from_razorpay(meter.world.razorpay.told[-1].body)


def _order_at_razorpay(meter: Meter, number: int) -> str:
    request = validation.order({"amount": 49950, "currency": "INR", "receipt": f"local-{number + 1}"})
    return meter.world.razorpay.account.create_order(request).id


def _due(order_id: str, number: int, now: int) -> Record:
    opened = open_record(order_id, _order(number), now)
    if number % 2:
        signed = decide(opened, [Signed(payment=f"pay_{number:014d}", at=now)], now).record
        return replace(signed, lane=Lane.WATCH, attention_at=now + WATCH_AGES_S[0])
    paid = Captured(payment=f"pay_{number:014d}", amount_minor=49950, currency="INR", method="upi")
    return decide(opened, [paid], now).record


def _fill(table: MemoryDynamo, count: int, now: int) -> None:
    """Puts records into the table that nothing has to be done about; those of one kind and shard share one item."""
    opened = open_record("order_00000000000000", _order(0), now)
    # Their time comes long after this measurement.
    waiting = [
        _item(replace(opened, lane=lane, attention_at=now + 10 * AGE_S))
        | {"attention_shard": {"S": partition(lane, number)}}
        for lane in (Lane.OUTBOX, Lane.WATCH)
        for number in range(SHARDS)
    ]
    settled = _item(replace(opened, attention_at=None))
    for number in range(count):
        is_open = number < count * OPEN_SHARE
        table.items[f"order#settled_{number}"] = waiting[number % len(waiting)] if is_open else settled


def _order(number: int) -> Order:
    return Order(
        payment_id=number + 1,
        job_id=11,
        application_id=number + 1,
        client_id=42,
        freelancer_id=77,
        amount_minor=49950,
        currency="INR",
        receipt=f"local-{number + 1}",
    )


def _item(record: Record) -> dict[str, Any]:
    item: Mapping[str, Any] = to_item(record)
    return {name: _serialize(value) for name, value in item.items()}
