"""The loop of reconcile: which records it looks at, and that one record's trouble stays its own."""

import importlib.util
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from payments.adapters.table import Due
from payments.core.attention import shard
from payments.core.errors import ConfigurationError, GatewayThrottled, GatewayUnavailable
from payments.core.listing import MARKER, ListedOrder
from payments.core.model import Captured, Fact, Order
from payments.core.transitions import open_record
from tests.fakes import FakeBus, FakeTable
from tests.handlers.service import forget_loggers

CREATED = 1_772_357_400
NOW = CREATED + 16 * 60
PAYMENT = "pay_DESlfW9H8K9uqM"


class DueTable(FakeTable):
    """The fake with an index."""

    def due(self, shard_name: str, now: int) -> Iterator[Due]:
        due = [
            (record.attention_at, order_id)
            for order_id, record in self.records.items()
            if record.attention_at is not None and record.attention_at <= now and shard(order_id) == shard_name
        ]
        return iter([Due(order_id, at) for at, order_id in sorted(due)])


class Razorpay:
    """Every order is captured, unless there is trouble with it."""

    def __init__(self) -> None:
        self.trouble: Callable[[str], Exception | None] = lambda _: None
        self.asked: list[str] = []
        self.listed: list[ListedOrder] = []
        self.pages: list[tuple[int, int, int]] = []

    def orders_created(self, start: int, end: int, skip: int) -> list[ListedOrder]:
        self.pages.append((start, end, skip))
        return self.listed[skip : skip + 100]

    def facts_of_order(self, order_id: str) -> Sequence[Fact]:
        self.asked.append(order_id)
        if (trouble := self.trouble(order_id)) is not None:
            raise trouble
        return [Captured(payment=PAYMENT, amount_minor=49950, currency="INR")]


class World:
    """The function with everything around it in memory."""

    def __init__(self, app: ModuleType) -> None:
        self.app = app
        self.table, self.razorpay, self.bus = DueTable(), Razorpay(), FakeBus()
        self.remaining_ms: Callable[[], int] = lambda: 55_000
        self.now = NOW

    def open_orders(self, count: int) -> list[str]:
        order_ids = [f"order_{number:014d}" for number in range(count)]
        for number, order_id in enumerate(order_ids, 1):
            order = Order(
                payment_id=number,
                job_id=11,
                application_id=number,
                client_id=42,
                freelancer_id=77,
                amount_minor=49950,
                currency="INR",
                receipt=f"local-{number}",
            )
            self.table.insert(open_record(order_id, order, CREATED))
        return order_ids

    def run(self, **schedule: Any) -> dict[str, Any]:
        forget_loggers()
        context = SimpleNamespace(get_remaining_time_in_millis=self.remaining_ms)
        report: dict[str, Any] = self.app.lambda_handler(schedule, context)
        return report

    def paid(self) -> set[str]:
        return {order_id for order_id, record in self.table.records.items() if record.confirmed}


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    path = Path(__file__).parents[2] / "functions/reconcile/app.py"
    spec = importlib.util.spec_from_file_location("reconcile_app", path)
    assert spec is not None
    assert spec.loader is not None
    app = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(app)
    world = World(app)
    service = SimpleNamespace(table=world.table, gateway=world.razorpay, bus=world.bus, stage="local")
    monkeypatch.setattr(app, "dependencies", lambda _log: service)
    monkeypatch.setattr(app.aws, "now", lambda: world.now)
    return world


def test_everything_that_is_due_is_settled_in_one_run(world: World) -> None:
    order_ids = world.open_orders(40)
    assert world.run() == {"looked_at": 40, "failed": 0, "left_over": False, "outcomes": {"settled": 40}}
    assert world.paid() == set(order_ids)
    assert world.run()["looked_at"] == 0


@pytest.mark.parametrize("error", [GatewayUnavailable("Razorpay answered 500."), RuntimeError("asha@example.com")])
def test_one_records_failure_does_not_stop_the_others_and_leaves_it_due(
    world: World, capsys: pytest.CaptureFixture[str], error: Exception
) -> None:
    order_ids = world.open_orders(10)
    world.razorpay.trouble = lambda order_id: error if order_id == order_ids[3] else None

    report = world.run()

    assert (report["looked_at"], report["failed"], report["outcomes"]) == (10, 1, {"settled": 9})
    assert world.paid() == set(order_ids) - {order_ids[3]}
    assert "asha" not in capsys.readouterr().out
    world.razorpay.trouble = lambda _: None
    assert world.run()["outcomes"] == {"settled": 1}


def test_after_razorpay_asks_to_slow_down_it_is_not_asked_again_in_this_run(world: World) -> None:
    world.open_orders(10)
    world.razorpay.trouble = lambda _: GatewayThrottled("Razorpay answered 429.")

    report = world.run()

    assert len(world.razorpay.asked) == 1
    assert (report["failed"], report["outcomes"]) == (1, {"waiting": 9})


def test_a_razorpay_that_fails_three_times_in_a_row_is_left_alone_for_this_run(world: World) -> None:
    world.open_orders(10)
    world.razorpay.trouble = lambda _: GatewayUnavailable("ReadTimeout")

    report = world.run()

    assert len(world.razorpay.asked) == 3
    assert (report["failed"], report["outcomes"]) == (3, {"waiting": 7})


def test_what_there_is_no_time_for_is_left_to_the_next_run(world: World) -> None:
    order_ids = world.open_orders(10)
    world.remaining_ms = lambda: 55_000 - 10_000 * len(world.razorpay.asked)

    report = world.run()
    assert (report["looked_at"], report["left_over"]) == (4, True)

    world.remaining_ms = lambda: 55_000
    assert world.run()["left_over"] is False
    assert world.paid() == set(order_ids)


def test_a_run_looks_at_five_hundred_records_and_leaves_the_others_to_the_next(world: World) -> None:
    order_ids = world.open_orders(510)

    report = world.run()
    assert (report["looked_at"], report["left_over"]) == (500, True)
    assert len(world.razorpay.asked) == 500

    report = world.run()
    assert (report["looked_at"], report["left_over"]) == (10, False)
    assert world.paid() == set(order_ids)


def test_the_metrics_tell_how_long_the_oldest_record_is_overdue_and_what_came_of_all(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    order_ids = world.open_orders(5)
    world.razorpay.trouble = lambda order_id: GatewayUnavailable("500") if order_id == order_ids[3] else None

    world.run()

    assert counted(capsys) == {"settled": 4, "ReconcileFailures": 1, "OldestDueSeconds": NOW - CREATED - 15 * 60}

    world.razorpay.trouble = lambda _: None
    world.now += 600
    world.run()

    assert counted(capsys) == {"settled": 1, "ReconcileFailures": 0, "OldestDueSeconds": NOW - CREATED - 5 * 60}

    world.run()

    assert counted(capsys) == {"ReconcileFailures": 0, "OldestDueSeconds": 0}


def counted(capsys: pytest.CaptureFixture[str]) -> dict[str, int]:
    """The metrics of a run by name; those of one name for several outcomes by their outcome."""
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if "_aws" in line]
    names = [line["_aws"]["CloudWatchMetrics"][0]["Metrics"][0]["Name"] for line in lines]
    values = {line.get("outcome", name): line[name] for line, name in zip(lines, names, strict=True)}
    return {name: int(value[0] if isinstance(value, list) else value) for name, value in values.items()}


def test_a_schedule_may_name_its_shards(world: World) -> None:
    order_ids = world.open_orders(60)
    mine = {order_id for order_id in order_ids if shard(order_id) in {"3", "5"}}

    world.run(shards=["3", "5"])

    assert mine
    assert world.paid() == mine


def test_a_run_without_settings_fails_as_a_whole_so_that_it_is_set_aside(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unconfigured(_log: object) -> None:
        raise ConfigurationError(["RAZORPAY_KEY_ID is not set"])

    monkeypatch.setattr(world.app, "dependencies", unconfigured)

    with pytest.raises(Exception, match=r"\AConfigurationError\Z"):
        world.run()


# --- by hand, after a restore ---


def listed(number: int, *, ours: bool = True) -> ListedOrder:
    notes = {
        "service": MARKER if ours else "another",
        "stage": "local",
        "payment_id": str(number + 1),
        "job_id": "11",
        "application_id": str(number + 1),
        "client_id": "42",
        "freelancer_id": "77",
    }
    return ListedOrder(id=f"order_{number:014d}", amount=49950, currency="INR", notes=notes, created_at=CREATED)


PERIOD = {"from": CREATED - 60, "to": NOW}


def test_all_orders_of_a_period_are_gone_through_page_by_page(world: World) -> None:
    world.razorpay.listed = [listed(number, ours=number % 2 == 0) for number in range(250)]

    report = world.run(rebuild=PERIOD)

    assert report == {
        "looked_at": 250,
        "failed": 0,
        "left_over": False,
        "outcomes": {"rebuilt": 125, "foreign": 125},
        "next": None,
    }
    assert world.paid() == {order.id for order in world.razorpay.listed[::2]}
    assert world.razorpay.pages == [(CREATED - 60, NOW, skip) for skip in (0, 100, 200)]
    assert world.run(rebuild=PERIOD)["outcomes"] == {"unchanged": 125, "foreign": 125}


@pytest.mark.parametrize("count", [0, 100])
def test_a_period_ends_with_its_first_page_that_is_not_full(world: World, count: int) -> None:
    world.razorpay.listed = [listed(number) for number in range(count)]
    report = world.run(rebuild=PERIOD)
    assert (report["looked_at"], report["next"]) == (count, None)


def test_what_there_is_no_time_for_is_named_and_can_be_gone_on_with(world: World) -> None:
    world.razorpay.listed = [listed(number) for number in range(120)]
    world.remaining_ms = lambda: 55_000 - 500 * len(world.razorpay.asked)

    report = world.run(rebuild=PERIOD)
    assert (report["looked_at"], report["left_over"]) == (71, True)
    assert report["next"] == {"rebuild": {**PERIOD, "skip": 71}}

    world.remaining_ms = lambda: 55_000
    report = world.run(**report["next"])
    assert (report["looked_at"], report["left_over"], report["next"]) == (49, False, None)
    assert world.paid() == {order.id for order in world.razorpay.listed}


def test_one_run_looks_at_five_hundred_orders_at_most(world: World) -> None:
    world.razorpay.listed = [listed(number) for number in range(510)]
    report = world.run(rebuild=PERIOD)
    assert report["next"] == {"rebuild": {**PERIOD, "skip": 500}}
    assert world.run(**report["next"])["looked_at"] == 10


@pytest.mark.parametrize(
    ("error", "asked"), [(GatewayThrottled("429"), 1), (GatewayUnavailable("Razorpay answered 503."), 3)]
)
def test_a_razorpay_that_does_not_answer_ends_the_run_which_goes_on_where_it_did(
    world: World, error: Exception, asked: int
) -> None:
    world.razorpay.listed = [listed(number) for number in range(20)]
    world.razorpay.trouble = lambda order_id: error if order_id >= "order_00000000000010" else None

    report = world.run(rebuild=PERIOD)
    assert (len(world.razorpay.asked), report["failed"]) == (10 + asked, asked)
    assert report["next"]["rebuild"]["skip"] <= 10

    world.razorpay.trouble = lambda _: None
    assert world.run(**report["next"])["next"] is None
    assert world.paid() == {order.id for order in world.razorpay.listed}


def test_one_order_that_cannot_be_recovered_is_told_and_does_not_stop_the_others(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.razorpay.listed = [listed(number) for number in range(5)]
    world.razorpay.trouble = lambda order_id: RuntimeError("asha@example.com") if order_id.endswith("3") else None

    report = world.run(rebuild=PERIOD)

    assert (report["looked_at"], report["failed"], report["next"]) == (5, 1, None)
    said = capsys.readouterr().out
    assert "an order could not be recovered; go through its period again" in said
    assert "order_00000000000003" in said
    assert "asha" not in said


def test_a_rebuild_does_not_count_as_reconciling_so_that_no_alarm_goes_off_for_it(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.razorpay.listed = [listed(0)]
    world.run(rebuild=PERIOD)
    assert "_aws" not in capsys.readouterr().out


@pytest.mark.parametrize(
    "asked",
    [
        {},
        None,
        [],
        "2026-01-01",
        {"from": 1},
        {"from": 2, "to": 1},
        {"from": -1, "to": 1},
        {"from": "1", "to": "2"},
        {"from": True, "to": 2},
        {"from": 1.0, "to": 2},
        {"from": 1, "to": 2, "skip": -1},
        {"from": 1, "to": 2, "until": 3},
    ],
)
def test_a_period_that_is_none_is_refused_before_anybody_is_asked(
    world: World, capsys: pytest.CaptureFixture[str], asked: object
) -> None:
    with pytest.raises(Exception, match=r"\AValueError\Z"):
        world.run(rebuild=asked)
    assert world.razorpay.pages == []
    assert "epoch seconds" in capsys.readouterr().out
