"""Work grows with what is due or stored, not with the size of the table or another lane's backlog."""

import sys
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import Any

from bench.counted import Used, metered
from sandbox import events
from tests.aws_limits import item_bytes
from tests.faults.outside import Kind, good
from tests.faults.rig import World

WATCH = ("reconcile", {"lane": "watch"})
OUTBOX: tuple[str, dict[str, Any]] = ("outbox", {})


def signed(world: World, application: int) -> str:
    """An order that is only signed."""
    order_id: str = world.create_order(application=application).body["order_id"]
    checkout = world.pay(order_id)
    assert checkout is not None
    world.verify(checkout)
    return order_id


def unpublished(world: World, application: int) -> str:
    """An order that is stored as paid, and whose event the bus refused."""
    order_id: str = world.create_order(application=application).body["order_id"]
    world.pay(order_id)
    (captured,) = [one for one in world.waiting if one.event == "payment.captured" and order_id in one.body.decode()]
    world.outside.fate = lambda call: Kind.FAILS_BEFORE if call.operation == "events PutEvents" else None
    assert world.deliver(captured).status == 503
    world.outside.fate = good
    return order_id


def copies(world: World, order_id: str, count: int, **changed: str) -> None:
    """Replaces the record by this many copies in its shard, of orders that Razorpay does not know."""
    item = world.table.items.pop(f"order#{order_id}") | {name: {"N": value} for name, value in changed.items()}
    for number in range(count):
        other = f"order_{number + 1:08d}{order_id[-6:]}"
        world.table.items[f"order#{other}"] = item | {"pk": {"S": f"order#{other}"}, "order_id": {"S": other}}


def brought_to_rest(size: int, due: int) -> tuple[int, Used]:
    """How many records outbox and watch process until nothing is due in a table of this size, and what that uses."""
    with metered() as meter:
        world = meter.world
        settled, waiting = signed(world, 1), signed(world, 2)
        for webhook in [one for one in world.waiting if settled in one.body.decode()]:
            world.deliver(webhook)
        world.now += 70
        for function, event in (OUTBOX, WATCH):
            world.invoke(function, event)
        copies(world, settled, size * 9 // 10)
        # Also in the index, but not due yet.
        copies(world, waiting, size // 10, attention_at=str(world.now + 10**6))
        for number in range(due):
            (signed if number % 2 else unpublished)(world, 3 + number)
        meter.read()
        looked_at, total = 0, Used()
        for (function, event), after_s in ((OUTBOX, 70), (WATCH, 600)):
            world.now += after_s
            left_over = True
            while left_over:
                report = world.invoke(function, event)
                assert not report["failed"]
                looked_at, left_over = looked_at + report["looked_at"], report["left_over"]
            used = meter.read()
            total.made += used.made
            total.write_units += used.write_units
            total.read_units += used.read_units
        return looked_at, total


def test_the_lanes_cost_what_is_due_whatever_the_size_of_the_table() -> None:
    (looked_at, small), (_, large), (more_at, more) = (
        brought_to_rest(*case) for case in ((100, 10), (3000, 10), (3000, 30))
    )
    # The outbox processes both halves, and the watch lane also the signed orders.
    assert (looked_at, more_at) == (15, 45)
    assert small == large
    # In any case the watch lane also reads Razorpay's pause and the installation's name.
    whatever = large.made.count("dynamodb Query") + 2
    assert len(more.made) - whatever == 3 * (len(large.made) - whatever)


def test_ten_thousand_failing_looks_delay_no_event() -> None:
    with metered() as meter, meter.world.unwatched():
        world = meter.world
        failing = signed(world, 1)
        world.now += 70
        world.invoke(*OUTBOX)
        copies(world, failing, 10_000, attention_at=str(world.now))
        order_id, stored_at = unpublished(world, 2), world.now
        while not world.bus.accepted:
            world.now += 60
            # Reads one shard page by page, although each failed record is postponed and moves.
            assert world.invoke(*WATCH)["failed"] == 500
            world.invoke(*OUTBOX)
        assert order_id in world.bus.accepted[0][1]
        # Due a minute after it was stored, and published by the next run.
        assert world.now - stored_at <= 120


def test_the_record_of_many_attempts_is_no_dearer_than_its_size() -> None:
    with metered() as meter, meter.world.unwatched():
        world = meter.world
        order_id: str = world.create_order().body["order_id"]

        def fail_to_pay() -> Callable[[], object]:
            world.pay(order_id, outcome="failure")
            return partial(world.invoke, "webhook", events.from_razorpay(world.razorpay.told[-1].body))

        found = []
        for _ in range(12):
            told = fail_to_pay()
            meter.read()
            calls = function_calls(told)
            size = item_bytes(world.table.items[f"order#{order_id}"])
            found.append((meter.read().made, size, calls))
        (first, first_size, first_calls), (last, last_size, last_calls) = found[1], found[-1]
    assert first == last
    assert last_size < 6 * first_size
    assert last_calls < 6 * first_calls


COUNTED = ("/shared/payments/", "/functions/", "/boto3/dynamodb/")


def function_calls(work: Callable[[], object]) -> int:
    """The number of calls to Python functions of the service and of boto3's item conversion."""
    count = 0

    def note(frame: FrameType, event: str, _: object) -> None:
        nonlocal count
        count += event == "call" and any(part in frame.f_code.co_filename for part in COUNTED)

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(before)
    return count


def test_function_calls_are_those_of_the_service_alone() -> None:
    assert function_calls(lambda: sorted([3, 1, 2], key=lambda value: -value)) == 0
