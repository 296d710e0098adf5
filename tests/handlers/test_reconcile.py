"""The two scheduled functions: what each lane processes, and that one failing record or entry affects no other."""

import importlib.util
import json
from collections.abc import Callable, Iterator
from copy import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, cast

import pytest

from payments.adapters.table import Due, PaymentsTable
from payments.core.attention import SHARDS, partition, shard
from payments.core.errors import (
    BusUnavailable,
    ConfigurationError,
    GatewayRefused,
    GatewayThrottled,
    GatewayUnavailable,
    KeysRefused,
)
from payments.core.model import (
    Authorized,
    Captured,
    Failed,
    Lane,
    Order,
    Record,
    Refunded,
    RefundState,
    Signed,
    Status,
)
from payments.core.outbox import record_facts
from payments.core.position import Position
from payments.core.sweeping import DISPUTES, PASSES, Aside, Watermark
from payments.core.transitions import decide, open_record, supersede
from tests.fakes import BY, INSTALLATION, FakeBus, FakeGateway, FakeTable, reconciler_of
from tests.handlers.service import RUN_S, forget_loggers

MINUTE, HOUR, DAY = 60, 3600, 24 * 3600
CREATED = 1_772_357_400
NOW = CREATED + 16 * MINUTE
PAYMENT = "pay_DESlfW9H8K9uqM"
ANOTHER = "pay_IH4NVgf4Dreq1l"
REFUND = "rfnd_FS8TWyPrCsa0OB"
AMOUNT = 50_000


class DueTable(FakeTable):
    """The fake table, with partitions named as in the real one."""

    def due(self, partition: str, now: int) -> Iterator[Any]:
        return (Due(key, at) for key, at in super().due(partition, now))


class World:
    """Both functions, with everything around them in memory."""

    def __init__(self, outbox: ModuleType, reconcile: ModuleType) -> None:
        self.apps = {"outbox": outbox, "reconcile": reconcile}
        self.table, self.razorpay, self.bus = DueTable(), FakeGateway(), FakeBus()
        self.table.take_payment_ids(1, INSTALLATION)
        self.razorpay.now = CREATED
        self.remaining_ms: Callable[[], int] = lambda: 290_000
        self.now = NOW
        self.dependencies_failed: Exception | None = None
        self.order_expiry_s = 30 * DAY

    def dependencies(self, log: object) -> Any:
        assert log is not None
        if self.dependencies_failed is not None:
            raise self.dependencies_failed
        reconciler = reconciler_of(self.table, self.bus, self.razorpay, order_expiry_s=self.order_expiry_s)
        return SimpleNamespace(
            table=cast("PaymentsTable", self.table), bus=self.bus, reconciler=reconciler, reconcilers=(reconciler,) * 2
        )

    def order(self, number: int) -> Order:
        return Order(
            payment_id=number + 1,
            job_id=11,
            application_id=number + 1,
            client_id=42,
            freelancer_id=77,
            amount_minor=AMOUNT,
            currency="INR",
            receipt=f"test-{INSTALLATION}-{number + 1}",
        )

    def place(self, count: int) -> list[str]:
        """Open orders, at Razorpay and in the table."""
        order_ids = [f"order_{number:014d}" for number in range(count)]
        for number, order_id in enumerate(order_ids):
            self.table.insert(open_record(order_id, self.order(number), CREATED))
            self.table.open_application(42, number + 1, order_id)
            self.razorpay.put_order(order_id, self.order(number))
        return order_ids

    def authorized(self, count: int) -> list[str]:
        """Orders with an alive payment that is due for a check, and has been captured since."""
        order_ids = self.place(count)
        for number, order_id in enumerate(order_ids):
            record_facts(self.table, order_id, [Authorized(payment=f"pay_{number:014d}")], CREATED + MINUTE)
            before = self.record(order_id)
            self.table.save(before, replace(before, lane=Lane.WATCH, attention_at=CREATED + 2 * MINUTE))
            self.razorpay.pay(order_id, f"pay_{number:014d}")
        return order_ids

    def paid(self, count: int) -> list[str]:
        """Orders whose capture is stored but not published yet."""
        order_ids = self.place(count)
        for number, order_id in enumerate(order_ids):
            capture = Captured(payment=f"pay_{number:014d}", amount_minor=AMOUNT, currency="INR")
            record_facts(self.table, order_id, [capture], CREATED + MINUTE)
        return order_ids

    def record(self, order_id: str) -> Record:
        record = self.table.read(order_id)
        assert record is not None
        return record

    def run(self, function: str, event: Any) -> dict[str, Any]:
        forget_loggers()
        context = SimpleNamespace(get_remaining_time_in_millis=self.remaining_ms)
        report: dict[str, Any] = self.apps[function].lambda_handler(event, context)
        return report

    def outbox(self, **event: Any) -> dict[str, Any]:
        return self.run("outbox", event)

    def watch(self, **event: Any) -> dict[str, Any]:
        return self.run("reconcile", {"lane": "watch", **event})

    def sweep(self, **event: Any) -> dict[str, Any]:
        return self.run("reconcile", {"lane": "sweep", **event})

    def expire(self) -> dict[str, Any]:
        return self.run("reconcile", {"lane": "expiry"})

    def expired(self) -> set[str]:
        return {order_id for order_id, record in self.table.records.items() if record.expired_at is not None}

    def confirmed(self) -> set[str]:
        return {order_id for order_id, record in self.table.records.items() if record.confirmed}

    def trouble(self, about: str, error: Exception) -> None:
        """Every call to Razorpay about this id fails."""
        self.razorpay.fails = lambda _, said: error if said == about else None


def load(function: str) -> ModuleType:
    path = Path(__file__).parents[2] / "functions" / function / "app.py"
    spec = importlib.util.spec_from_file_location(f"{function}_app", path)
    assert spec is not None
    assert spec.loader is not None
    app = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(app)
    return app


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    world = World(load("outbox"), load("reconcile"))
    for app in world.apps.values():
        monkeypatch.setattr(app, "dependencies", world.dependencies)
    monkeypatch.setattr("payments.wiring.aws.now", lambda: world.now)
    return world


def counted(capsys: pytest.CaptureFixture[str]) -> dict[str, int]:
    """The metrics of a run by name; a name with several outcomes by outcome."""
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if "_aws" in line]
    names = [line["_aws"]["CloudWatchMetrics"][0]["Metrics"][0]["Name"] for line in lines]
    values = {line.get("outcome", name): line[name] for line, name in zip(lines, names, strict=True)}
    return {name: int(value[0] if isinstance(value, list) else value) for name, value in values.items()}


# --- input ----------------------------------------------------------------------------------------------------------

ORDER = "order_00000000000000"
MEANINGLESS_TO_OUTBOX: list[Any] = [
    None,
    [],
    "all",
    {"shards": []},
    {"shards": "0"},
    {"shards": ["16"]},
    {"shards": ["-1"]},
    {"shards": [0]},
    {"shards": ["0", None]},
    {"shards": ["00"]},
    {"shards": {"0": 1}},
    {"lane": "outbox"},
    {"shards": ["0"], "more": 1},
]
MEANINGLESS_TO_RECONCILE: list[Any] = [
    None,
    [],
    "watch",
    {},
    {"lane": None},
    {"lane": "outbox"},
    {"lane": "Watch"},
    {"lane": ["watch"]},
    {"lane": {"watch": 1}},
    {"lane": "watch", "shards": []},
    {"lane": "watch", "shards": ["16"]},
    {"lane": "watch", "passes": ["payments-900"]},
    {"lane": "watch", "rebuild": {"from": 1, "to": 2}},
    {"lane": "sweep", "passes": []},
    {"lane": "sweep", "passes": ["payments-901"]},
    {"lane": "sweep", "passes": [["payments-900"]]},
    {"lane": "sweep", "passes": "payments-900"},
    {"lane": "sweep", "shards": ["1"]},
    {"lane": "expiry", "passes": ["expiry"]},
    {"lane": "expiry", "shards": ["1"]},
    {"shards": ["1"]},
    {"rebuild": {"from": 1, "to": 2}, "look": {"order_id": ORDER}},
    {"unknown": {}},
    {"look": None},
    {"look": {}},
    {"look": {"order_id": "order_1"}},
    {"look": {"order_id": 5}},
    {"look": {"order_id": ORDER, "razorpay_payment_id": PAYMENT}},
    {"look": {"order_id": ORDER, "by": BY}},
    {"accept": {"order_id": ORDER, "by": BY}},
    {"accept": {"order_id": ORDER, "razorpay_payment_id": None, "by": BY}},
    {"accept": {"order_id": ORDER, "razorpay_payment_id": "pay_1", "by": BY}},
    {"accept": {"razorpay_payment_id": PAYMENT, "by": BY}},
    {"accept": {"order_id": ORDER, "razorpay_payment_id": PAYMENT}},
    {"accept": {"order_id": ORDER, "razorpay_payment_id": PAYMENT, "by": None}},
    {"accept": {"order_id": ORDER, "razorpay_payment_id": PAYMENT, "by": {}}},
    {"release": {"razorpay_payment_id": PAYMENT, "by": BY}},
    {"release": {"order_id": ORDER, "razorpay_payment_id": "x", "by": BY}},
    {"release": {"order_id": ORDER, "why": "because", "by": BY}},
    {"release": {"order_id": ORDER}},
    {"note": None},
    {"note": {"order_id": ORDER}},
    {"note": {"order_id": ORDER, "by": {**BY, "ticket": ""}}},
    {"note": {"order_id": ORDER, "by": {**BY, "ticket": "the client called, asha@shop.in"}}},
    {"note": {"order_id": ORDER, "by": {**BY, "ticket": "A" * 41}}},
    {"note": {"order_id": ORDER, "by": {**BY, "ticket": "OPS-7\n"}}},
    {"note": {"order_id": ORDER, "by": {**BY, "cause": "because"}}},
    {"note": {"order_id": ORDER, "by": {**BY, "session": "a b"}}},
    {"note": {"order_id": ORDER, "by": {**BY, "role": ""}}},
    {"note": {"order_id": ORDER, "razorpay_payment_id": PAYMENT, "by": BY}},
    {"republish": {"order_id": ORDER}},
    {"find": None},
    {"find": {}},
    {"find": {"order_id": ORDER}},
    {"find": {"razorpay_payment_id": "pay_1"}},
    {"find": {"refund_id": PAYMENT}},
    {"find": {"razorpay_payment_id": PAYMENT, "refund_id": REFUND}},
    {"rebuild": None},
    {"rebuild": []},
    {"rebuild": {}},
    {"rebuild": {"from": 1}},
    {"rebuild": {"from": 2, "to": 0}},
    {"rebuild": {"from": -1, "to": 1}},
    {"rebuild": {"from": "1", "to": "2"}},
    {"rebuild": {"from": True, "to": 2}},
    {"rebuild": {"from": 1.0, "to": 2}},
    {"rebuild": {"from": 1, "to": 2, "skip": -1}},
    {"rebuild": {"from": 1, "to": 2, "span": 0}},
    {"rebuild": {"from": 1, "to": 2, "list": "disputes"}},
    {"rebuild": {"from": 1, "to": 2, "until": 3}},
    {"settlements": None},
    {"settlements": {}},
    {"settlements": {"day": "2026-02-30"}},
    {"settlements": {"day": "20260228"}},
    {"settlements": {"day": "2026-2-28"}},
    {"settlements": {"day": "2026-02-28\n"}},
    {"settlements": {"day": "٢٠٢٦-٠٢-٢٨"}},
    {"settlements": {"day": 20260228}},
    {"settlements": {"day": ["2026-02-28"]}},
    {"settlements": {"day": "1999-12-31"}},
    # The present, 15:26 on 1 March in India, and what has not come yet.
    {"settlements": {"day": "2026-03-01"}},
    {"settlements": {"day": "9999-12-31"}},
    {"settlements": {"day": "2026-02-28", "list": "payouts"}},
    {"settlements": {"day": "2026-02-28", "list": ["transactions"]}},
    {"settlements": {"day": "2026-02-28", "skip": -1}},
    {"settlements": {"day": "2026-02-28", "skip": True}},
    {"settlements": {"day": "2026-02-28", "skip": 1_000_001}},
    {"settlements": {"day": "2026-02-28", "count": 1000}},
]
MEANINGLESS = [
    *(("outbox", event) for event in MEANINGLESS_TO_OUTBOX),
    *(("reconcile", event) for event in MEANINGLESS_TO_RECONCILE),
]


@pytest.mark.parametrize(("function", "event"), MEANINGLESS, ids=str)
def test_an_input_that_means_nothing_is_an_error_and_asks_nobody(
    world: World, capsys: pytest.CaptureFixture[str], function: str, event: Any
) -> None:
    world.authorized(1)
    before = dict(world.table.records)
    with pytest.raises(Exception, match=r"\AMeaninglessInput\Z"):
        world.run(function, event)
    assert (world.razorpay.calls, world.bus.sent, world.table.records) == ([], [], before)
    (line,) = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (line["level"], line["message"]) == ("ERROR", "run failed")
    assert line["why"]


@pytest.mark.parametrize(("function", "event"), [("outbox", {}), ("reconcile", {"lane": "watch"})])
def test_a_run_without_settings_fails_as_a_whole_so_that_it_is_set_aside(
    world: World, function: str, event: Any
) -> None:
    world.dependencies_failed = ConfigurationError(["EVENT_BUS is not set"])
    with pytest.raises(Exception, match=r"\AConfigurationError\Z"):
        world.run(function, event)


# --- the outbox -----------------------------------------------------------------------------------------------------


def test_everything_that_is_pending_is_published_in_one_run_without_razorpay(world: World) -> None:
    order_ids = world.paid(40)
    assert world.outbox() == {"looked_at": 40, "failed": 0, "left_over": False, "outcomes": {"published": 40}}
    assert sorted(world.bus.types()) == ["payment.paid"] * 40
    assert all(not world.record(order_id).pending for order_id in order_ids)
    assert world.razorpay.calls == []
    assert world.outbox()["looked_at"] == 0


def test_what_only_razorpay_can_settle_is_handed_to_watch(world: World) -> None:
    (order_id,) = world.place(1)
    record_facts(world.table, order_id, [Signed(payment=PAYMENT, at=NOW)], NOW)
    world.now = NOW + MINUTE
    assert world.outbox()["outcomes"] == {"unchanged": 1}
    record = world.record(order_id)
    # "2 min after their newest activity".
    assert (record.lane, record.attention_at) == (Lane.WATCH, NOW + 2 * MINUTE)


def test_one_record_that_cannot_be_published_delays_no_other_and_waits_longer_each_time(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    order_ids = world.paid(10)
    bad = next(iter(world.record(order_ids[3]).pending))
    world.bus.refuses = lambda identity: identity == bad
    waits = []
    for _ in range(4):
        report = world.outbox()
        assert report["failed"] == 1
        record = world.record(order_ids[3])
        assert record.lane is Lane.OUTBOX
        assert record.attention_at is not None
        waits.append(record.attention_at - world.now)
        world.now = record.attention_at
    assert all(not world.record(order_id).pending for order_id in order_ids if order_id != order_ids[3])
    # "No backlog delays a pending event by more than two minutes" (I22).
    assert waits == [MINUTE, 2 * MINUTE, 2 * MINUTE, 2 * MINUTE]
    assert counted(capsys)["OutboxFailures"] == 1
    world.bus.refuses = lambda _: False
    assert world.outbox()["outcomes"] == {"published": 1}
    assert world.record(order_ids[3]).failures == 0


def test_what_the_outbox_has_no_time_for_is_left_to_the_next_run(world: World) -> None:
    world.paid(10)
    world.remaining_ms = lambda: 35_000 - 5_000 * len(world.bus.sent)
    report = world.outbox()
    assert report["left_over"] is True
    assert 0 < report["looked_at"] < 10
    world.remaining_ms = lambda: 290_000
    assert world.outbox()["left_over"] is False
    assert len(world.bus.sent) == 10


def test_a_backlog_of_looks_delays_no_event(world: World) -> None:
    world.authorized(60)
    late = open_record("order_late0000000000"[:20], world.order(99), CREATED)
    world.table.insert(late)
    record_facts(world.table, late.order_id, [Captured(payment=PAYMENT, amount_minor=AMOUNT, currency="INR")], CREATED)
    assert world.outbox()["looked_at"] == 1
    assert world.bus.types() == ["payment.paid"]


def test_the_outbox_may_be_told_which_shards(world: World) -> None:
    order_ids = world.paid(60)
    mine = {order_id for order_id in order_ids if shard(Lane.OUTBOX, order_id) in {"3", "5"}}
    world.outbox(shards=["3", "5"])
    assert mine
    assert {order_id for order_id in order_ids if not world.record(order_id).pending} == mine


def test_the_metrics_tell_how_long_the_oldest_event_has_waited(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    (order_id,) = world.paid(1)
    due = world.record(order_id).attention_at
    assert due is not None
    world.outbox()
    assert counted(capsys) == {"published": 1, "OutboxFailures": 0, "OldestOutboxSeconds": NOW - due}
    world.outbox()
    assert counted(capsys) == {"OutboxFailures": 0, "OldestOutboxSeconds": 0}


def test_a_bus_that_is_down_fails_each_record_and_loses_none(world: World) -> None:
    order_ids = world.paid(3)

    def down(_: str) -> bool:
        raise BusUnavailable("ReadTimeoutError")

    world.bus.refuses = down
    assert world.outbox()["failed"] == 3
    assert all(world.record(order_id).pending for order_id in order_ids)


# --- watch ----------------------------------------------------------------------------------------------------------


def test_everything_that_is_due_is_settled_and_told_in_one_run(world: World) -> None:
    order_ids = world.authorized(40)
    assert world.watch() == {"looked_at": 40, "failed": 0, "left_over": False, "outcomes": {"settled": 40}}
    assert world.confirmed() == set(order_ids)
    assert sorted(world.bus.types()) == ["payment.paid"] * 40
    assert world.watch()["looked_at"] == 0


@pytest.mark.parametrize(
    "error",
    [
        GatewayUnavailable("Razorpay answered 500."),
        GatewayRefused(400, "BAD_REQUEST_ERROR"),
        RuntimeError("asha@x.com"),
    ],
    ids=["unavailable", "refused", "our own mistake"],
)
def test_one_records_failure_does_not_stop_the_others_and_puts_it_off(
    world: World, capsys: pytest.CaptureFixture[str], error: Exception
) -> None:
    order_ids = world.authorized(10)
    world.trouble(order_ids[3], error)

    report = world.watch()

    assert (report["looked_at"], report["failed"], report["outcomes"]) == (10, 1, {"settled": 9})
    assert world.confirmed() == set(order_ids) - {order_ids[3]}
    said = capsys.readouterr().out
    assert "asha" not in said
    assert order_ids[3] in said
    record = world.record(order_ids[3])
    assert (record.lane, record.attention_at, record.failures) == (Lane.WATCH, NOW + MINUTE, 1)
    world.trouble("nothing", error)
    world.now += MINUTE
    assert world.watch()["outcomes"] == {"settled": 1}
    assert world.record(order_ids[3]).failures == 0


def test_three_failures_in_a_row_are_razorpay_itself_and_it_is_asked_no_more(world: World) -> None:
    world.authorized(10)
    world.razorpay.fails = lambda *_: GatewayUnavailable("ReadTimeout")
    report = world.watch()
    assert len(world.razorpay.calls) == 3
    assert (report["failed"], report["left_over"]) == (3, True)


def test_failures_that_are_not_in_a_row_stop_nothing(world: World) -> None:
    order_ids = world.authorized(16)
    bad = set(order_ids[::2])
    world.razorpay.fails = lambda _, about: GatewayUnavailable("500") if about in bad else None
    asked: list[str] = []
    for _ in range(8):
        asked += world.watch() and []
        world.now += HOUR
    assert world.confirmed() == set(order_ids) - bad


def test_keys_that_razorpay_does_not_know_stop_the_lane_and_put_nothing_off(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    order_ids = world.authorized(10)
    before = {order_id: world.record(order_id) for order_id in order_ids}
    world.razorpay.fails = lambda *_: KeysRefused(400, "BAD_REQUEST_ERROR", "NA")
    report = world.watch()
    assert len(world.razorpay.calls) == 1
    assert (report["failed"], report["left_over"]) == (1, True)
    assert {order_id: world.record(order_id) for order_id in order_ids} == before
    assert counted(capsys)["ReconcileFailures"] == 1


def test_after_a_429_every_gateway_lane_pauses_longer_each_time(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.authorized(10)
    world.razorpay.fails = lambda *_: GatewayThrottled("Razorpay answered 429.")
    pauses = []
    for _ in range(3):
        report = world.watch()
        assert report["left_over"] is True
        assert counted(capsys)["GatewayPauses"] == 1
        calls = len(world.razorpay.calls)
        assert (world.watch()["looked_at"], world.sweep()["looked_at"]) == (0, 0)
        with_rebuild = world.table.pause()
        assert with_rebuild is not None
        assert len(world.razorpay.calls) == calls, "nobody is asked during a pause"
        pauses.append(with_rebuild.until - world.now)
        world.now = with_rebuild.until
        capsys.readouterr()
    assert pauses[0] >= 30
    assert pauses == [pauses[0], 2 * pauses[0], 4 * pauses[0]]
    world.razorpay.fails = lambda *_: None
    assert world.watch()["outcomes"] == {"settled": 10}


def test_a_429_is_nobodys_failure(world: World) -> None:
    order_ids = world.authorized(3)
    world.razorpay.fails = lambda *_: GatewayThrottled("Razorpay answered 429.")
    world.watch()
    assert all(world.record(order_id).failures == 0 for order_id in order_ids)


def test_a_pause_does_not_stop_the_outbox(world: World) -> None:
    world.authorized(1)
    world.razorpay.fails = lambda *_: GatewayThrottled("Razorpay answered 429.")
    world.watch()
    late = open_record("order_AAAAAAAAAAAAAA", world.order(99), CREATED)
    world.table.insert(late)
    record_facts(world.table, late.order_id, [Captured(payment=PAYMENT, amount_minor=AMOUNT, currency="INR")], CREATED)
    assert world.outbox()["outcomes"] == {"published": 1}


def test_what_there_is_no_time_for_is_left_to_the_next_run(world: World) -> None:
    order_ids = world.authorized(10)
    world.remaining_ms = lambda: 60_000 - 10_000 * len(world.razorpay.calls)

    report = world.watch()
    assert report["left_over"] is True
    assert 0 < report["looked_at"] < 10

    world.remaining_ms = lambda: 290_000
    assert world.watch()["left_over"] is False
    assert world.confirmed() == set(order_ids)


def test_a_run_asks_about_five_hundred_records_and_leaves_the_others_to_the_next(world: World) -> None:
    order_ids = world.authorized(510)
    report = world.watch()
    assert (report["looked_at"], report["left_over"]) == (500, True)
    report = world.watch()
    assert (report["looked_at"], report["left_over"]) == (10, False)
    assert world.confirmed() == set(order_ids)


def test_orders_that_nobody_knows_have_a_share_of_their_own(world: World) -> None:
    world.authorized(500)
    for number in range(1000, 1120):
        order_id = f"order_{number:014d}"
        capture = Captured(payment=f"pay_{number:014d}", amount_minor=AMOUNT, currency="INR")
        record_facts(world.table, order_id, [capture], CREATED, keep_unknown=True)
        world.razorpay.put_order(order_id, world.order(number), stage="another")
    report = world.watch()
    assert report["outcomes"] == {"foreign": 100, "settled": 500}
    assert report["left_over"] is True
    assert world.watch()["outcomes"] == {"foreign": 20}


def test_an_unknown_order_of_ours_is_rebuilt_told_and_belongs_to_its_application(world: World) -> None:
    world.razorpay.put_order(ORDER, world.order(0))
    world.razorpay.pay(ORDER, PAYMENT)
    capture = Captured(payment=PAYMENT, amount_minor=AMOUNT, currency="INR")
    record_facts(world.table, ORDER, [capture], CREATED, keep_unknown=True)
    assert world.watch()["outcomes"] == {"rebuilt": 1}
    assert (world.record(ORDER).status, world.record(ORDER).order) == (Status.PAID, world.order(0))
    assert world.bus.types() == ["payment.paid"]
    application = world.table.application(42, 1)
    assert application is not None
    assert (application.current, application.orders) == (ORDER, (ORDER,))
    assert world.table.take_payment_ids(1, "x")[0][0] > world.order(0).payment_id


def test_an_unknown_order_of_a_client_with_themselves_is_rebuilt_as_any_other(world: World) -> None:
    # create-order used to accept such orders, and Razorpay's notes keep them for ever.
    order = replace(world.order(0), freelancer_id=world.order(0).client_id)
    world.razorpay.put_order(ORDER, order)
    world.razorpay.pay(ORDER, PAYMENT)
    capture = Captured(payment=PAYMENT, amount_minor=AMOUNT, currency="INR")
    record_facts(world.table, ORDER, [capture], CREATED, keep_unknown=True)
    assert world.watch()["outcomes"] == {"rebuilt": 1}
    assert (world.record(ORDER).status, world.record(ORDER).order) == (Status.PAID, order)
    assert world.bus.types() == ["payment.paid"]


def test_only_a_foreign_order_expires_and_what_nobody_can_tell_is_alarmed_on_every_day(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    for order_id in (ORDER, "order_00000000000001"):
        capture = Captured(payment=PAYMENT, amount_minor=AMOUNT, currency="INR")
        record_facts(world.table, order_id, [capture], CREATED, keep_unknown=True)
    world.razorpay.put_order(ORDER, world.order(0), stage="another")
    # Razorpay says that it does not know the other one.
    world.watch()
    assert world.record(ORDER).expires_at is not None
    lost = world.record("order_00000000000001")
    assert (lost.expires_at, lost.lane) == (None, Lane.UNKNOWN)
    assert counted(capsys)["UnknownOrders"] == 1
    for _ in range(20):
        due = world.record("order_00000000000001").attention_at
        assert due is not None
        assert due - world.now <= DAY
        world.now = due
        world.watch()
        assert counted(capsys)["UnknownOrders"] == 1


def test_the_metrics_tell_how_long_the_oldest_record_is_overdue_and_what_came_of_all(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    order_ids = world.authorized(5)
    world.trouble(order_ids[3], GatewayUnavailable("500"))

    world.watch()

    assert counted(capsys) == {
        "settled": 4,
        "ReconcileFailures": 1,
        "OldestDueSeconds": NOW - CREATED - 2 * MINUTE,
        "UnknownOrders": 0,
    }
    world.trouble("nothing", GatewayUnavailable("500"))
    world.now += 10 * MINUTE
    world.watch()
    assert counted(capsys) == {
        "settled": 1,
        "ReconcileFailures": 0,
        "OldestDueSeconds": 9 * MINUTE,
        "UnknownOrders": 0,
    }
    world.watch()
    assert counted(capsys) == {"ReconcileFailures": 0, "OldestDueSeconds": 0, "UnknownOrders": 0}


def test_a_schedule_may_name_its_shards(world: World) -> None:
    order_ids = world.authorized(60)
    mine = {order_id for order_id in order_ids if shard(Lane.WATCH, order_id) in {"watch-3", "watch-5"}}
    world.watch(shards=["3", "5"])
    assert mine
    assert world.confirmed() == mine


# --- the sweep ------------------------------------------------------------------------------------------------------


def marks(world: World) -> set[str]:
    return set(world.table.marks)


def test_a_payment_that_no_webhook_told_is_found_however_old_its_order_is(world: World) -> None:
    order_ids = world.place(5)
    world.now = CREATED + 200 * DAY
    for number, order_id in enumerate(order_ids):
        world.razorpay.pay(order_id, f"pay_{number:014d}", created_at=world.now - 20 * MINUTE)
    report = world.sweep()
    assert (report["failed"], report["left_over"]) == (0, False)
    assert world.confirmed() == set(order_ids)
    assert world.bus.types() == ["payment.paid"] * 5
    assert marks(world) == {one.name for one in (*PASSES, DISPUTES)}
    calls = len(world.razorpay.calls)
    assert world.sweep()["looked_at"] == 0, "each pass at its own pace"
    assert len(world.razorpay.calls) == calls


def test_a_refund_that_no_webhook_told_is_found_with_its_payment(world: World) -> None:
    (order_id,) = world.paid(1)
    payment = "pay_00000000000000"
    world.razorpay.pay(order_id, payment, created_at=CREATED)
    world.outbox()
    world.now = CREATED + 100 * DAY
    world.razorpay.give_back(payment, REFUND, AMOUNT)
    world.razorpay.refunded[REFUND]["created_at"] = world.now - 20 * MINUTE
    world.sweep()
    assert world.record(order_id).status is Status.REFUNDED
    assert world.bus.types() == ["payment.paid", "payment.refunded"]
    assert world.table.known_refunds[REFUND].order_id == order_id


def test_a_second_capture_on_a_paid_order_is_found(world: World) -> None:
    (order_id,) = world.paid(1)
    world.now = CREATED + 100 * DAY
    world.razorpay.pay(order_id, ANOTHER, created_at=world.now - 20 * MINUTE)
    world.sweep()
    assert [review.reason for review in world.record(order_id).reviews] == ["duplicate_capture"]


def test_somebody_elses_payments_and_those_without_an_order_cost_one_look_and_are_remembered(world: World) -> None:
    world.now = NOW + 20 * MINUTE
    world.razorpay.put_order(ORDER, world.order(0), stage="another")
    world.razorpay.pay(ORDER, PAYMENT, created_at=NOW)
    world.razorpay.pay(None, ANOTHER, created_at=NOW)
    world.razorpay.give_back(PAYMENT, REFUND, 100)
    world.razorpay.refunded[REFUND]["created_at"] = NOW
    world.sweep()
    assert world.record(ORDER).foreign
    assert world.record(ORDER).expires_at is not None
    assert world.table.known_refunds[REFUND].order_id is None
    assert world.table.refunds_expire[REFUND] is not None
    world.table.marks.clear()
    world.razorpay.calls.clear()
    world.sweep()
    assert {call.split()[0] for call in world.razorpay.calls} == {"page", "disputes"}, "its lists and nothing else"
    assert world.bus.sent == []


def test_an_entry_that_cannot_be_applied_is_set_aside_until_it_can_and_the_others_go_on(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    order_ids = world.place(5)
    world.now = NOW + 20 * MINUTE
    for number, order_id in enumerate(order_ids):
        world.razorpay.pay(order_id, f"pay_{number:014d}", created_at=NOW)
    world.razorpay.payments["pay_00000000000002"]["amount"] = "asha@example.com"
    report = world.sweep(passes=["payments-900"])
    said = counted(capsys)
    assert report["failed"] == 1
    assert world.confirmed() == set(order_ids) - {order_ids[2]}
    assert (said["SetAside"], said["SweepFailures"]) == (1, 1)
    aside = world.table.aside("pay_00000000000002")
    assert aside is not None

    # Retried by a separate GET, at growing intervals.
    waits = []
    for _ in range(3):
        world.now = aside.due_at
        world.sweep(passes=["payments-900"])
        assert counted(capsys)["SetAside"] == 1
        aside = world.table.aside("pay_00000000000002")
        assert aside is not None
        waits.append(aside.due_at - world.now)
    assert waits == sorted(waits)
    assert waits[0] < waits[-1]
    assert "payment pay_00000000000002" in world.razorpay.calls

    world.razorpay.payments["pay_00000000000002"]["amount"] = AMOUNT
    world.now = aside.due_at
    world.sweep(passes=["payments-900"])
    assert counted(capsys)["SetAside"] == 0
    assert world.confirmed() == set(order_ids)


def test_what_is_set_aside_is_alarmed_on_also_while_it_is_not_due(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.table.set_aside(replace(Aside.first(PAYMENT, NOW), due_at=NOW + DAY))
    world.sweep()
    assert counted(capsys)["SetAside"] == 1


def test_an_entry_without_an_id_is_told_and_stops_nothing(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    (order_id,) = world.place(1)
    world.now = NOW + 20 * MINUTE
    world.razorpay.pay(order_id, PAYMENT, created_at=NOW)
    world.razorpay.payments["broken"] = {"id": "gaurav.kumar@example.com", "created_at": NOW}
    report = world.sweep(passes=["payments-900"])
    assert report["failed"] == 1
    assert world.confirmed() == {order_id}
    assert world.table.asides == {}
    assert "gaurav" not in capsys.readouterr().out


def test_a_429_in_a_sweep_leaves_every_watermark_that_was_not_read(world: World) -> None:
    (order_id,) = world.place(1)
    world.now = NOW + 20 * MINUTE
    world.razorpay.pay(order_id, PAYMENT, created_at=NOW)
    world.razorpay.fails = lambda *_: GatewayThrottled("Razorpay answered 429.")
    report = world.sweep()
    assert report["left_over"] is True
    assert marks(world) == set()
    pause = world.table.pause()
    assert pause is not None
    world.razorpay.fails = lambda *_: None
    world.now = pause.until
    world.sweep()
    assert world.confirmed() == {order_id}


def test_keys_that_razorpay_does_not_know_stop_the_sweep_and_set_nothing_aside(world: World) -> None:
    (order_id,) = world.place(1)
    world.now = NOW + 20 * MINUTE
    world.razorpay.pay(order_id, PAYMENT, created_at=NOW)
    world.razorpay.fails = lambda *_: KeysRefused(401, "BAD_REQUEST_ERROR")
    assert world.sweep()["left_over"] is True
    assert (marks(world), world.table.asides) == (set(), {})
    assert len(world.razorpay.calls) <= 2, "one for each worker"


def test_a_sweep_without_time_goes_on_where_it_stopped(world: World) -> None:
    order_ids = world.place(30)
    world.now = NOW + 3 * DAY
    for number, order_id in enumerate(order_ids):
        world.razorpay.pay(order_id, f"pay_{number:014d}", created_at=NOW + number * HOUR)
    for _ in range(200):
        begun = len(world.razorpay.calls)
        world.remaining_ms = lambda begun=begun: 31_000 if len(world.razorpay.calls) < begun + 2 else 28_000  # type: ignore[misc]  # bound per turn
        if not world.sweep(passes=["payments-3600"])["left_over"]:
            break
    assert world.confirmed() == set(order_ids)


@pytest.mark.parametrize("lane", ["outbox", "watch", "sweep"])
def test_a_run_ends_before_lambda_ends_it_however_slow_every_call_is_and_the_next_goes_on(
    world: World, lane: str
) -> None:
    function = "outbox" if lane == "outbox" else "reconcile"
    spent_ms, begun = 0, 0

    def takes(milliseconds: int) -> None:
        nonlocal spent_ms
        spent_ms += milliseconds

    def slow_bus(_: str) -> bool:
        takes(2_900)
        return False

    def slow_razorpay(*_: str) -> None:
        takes(10_900)

    order_ids = world.authorized(60) if lane == "watch" else world.paid(60)
    if lane == "sweep":
        world.outbox()
        for number, order_id in enumerate(order_ids):
            world.razorpay.pay(order_id, f"pay_{number:014d}")
            world.razorpay.give_back(f"pay_{number:014d}", f"rfnd_{number:014d}", 100)
    world.bus.refuses, world.razorpay.fails = slow_bus, slow_razorpay
    world.remaining_ms = lambda: RUN_S[function] * 1000 - spent_ms + begun
    runs = 0
    while True:
        begun = spent_ms
        report = (
            world.outbox()
            if lane == "outbox"
            else world.sweep(passes=["refunds-900"])
            if lane == "sweep"
            else world.watch()
        )
        runs += 1
        assert world.remaining_ms() > 0
        assert report["failed"] == 0
        if not report["left_over"]:
            break
        assert runs < 60
    assert runs > 1
    if lane == "sweep":
        assert all(world.record(order_id).refunds for order_id in order_ids)
    assert world.confirmed() == set(order_ids)


def test_a_pass_may_be_named(world: World) -> None:
    world.sweep(passes=["payments-900", "refunds-1296000"])
    assert marks(world) == {"payments-900", "refunds-1296000"}


def test_how_far_the_passes_are_behind_is_told(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.table.move_watermark("payments-900", None, Watermark(at=NOW - 900 - 7200, span=300))
    world.razorpay.fails = lambda call, _: GatewayUnavailable("500") if call == "page" else None
    world.sweep(passes=["payments-900"])
    assert counted(capsys)["SweepLagSeconds"] == 7200 - 5 * MINUTE, "how long it has been due"


# --- expiry: orders that nobody paid --------------------------------------------------------------------------------

EXPIRE_AT = CREATED + 30 * DAY + HOUR
"""When an order is old enough, and an hour has passed since it was last handed out."""


def test_unpaid_orders_expire_once_they_are_old_enough(world: World) -> None:
    order_ids = world.place(3)
    world.table.records[order_ids[1]] = decide(
        world.record(order_ids[1]), [Captured(payment=PAYMENT, amount_minor=AMOUNT, currency="INR")], CREATED
    ).record
    world.razorpay.pay(order_ids[1], PAYMENT)
    world.now = EXPIRE_AT
    world.expire()
    assert world.expired() == set()
    world.now = EXPIRE_AT + DAY
    report = world.expire()
    assert world.expired() == {order_ids[0], order_ids[2]}
    assert (report["outcomes"], report["left_over"]) == ({"unchanged": 1, "expired": 2}, False)
    assert world.bus.types() == ["payment.expired", "payment.expired"]


def test_the_lane_reads_a_day_of_orders_at_a_time(world: World) -> None:
    world.expire()
    first = len(world.razorpay.calls)
    for hour in range(1, 24):
        world.now = NOW + hour * HOUR
        world.expire()
    assert len(world.razorpay.calls) == first
    world.now = NOW + DAY
    world.expire()
    assert world.razorpay.calls[first:] == ["page orders"] * 2


def test_missed_days_skip_no_order(world: World) -> None:
    world.expire()
    order_ids = world.place(40)
    for number, order_id in enumerate(order_ids):
        world.razorpay.listed[order_id]["created_at"] = CREATED + number * 6 * HOUR
    world.now = EXPIRE_AT + 20 * DAY
    world.expire()
    assert world.expired() == set(order_ids)


def test_orders_of_before_the_lane_existed_expire_with_its_first_run(world: World) -> None:
    order_ids = world.place(2)
    world.now = CREATED + 100 * DAY
    world.expire()
    assert world.expired() == set(order_ids)


def test_a_payment_in_progress_at_the_first_pass_keeps_its_order_until_the_second(world: World) -> None:
    (order_id,) = world.place(1)
    world.expire()
    world.razorpay.pay(order_id, PAYMENT, "authorized")
    world.now = EXPIRE_AT + DAY
    world.expire()
    assert (world.record(order_id).status, world.expired()) == (Status.AUTHORIZED, set())
    world.razorpay.pay(order_id, PAYMENT, "failed")
    world.table.records[order_id] = decide(
        world.record(order_id),
        [Refunded(payment=PAYMENT, refund=REFUND, amount_minor=AMOUNT, state=RefundState.PROCESSED)],
        NOW,
    ).record
    world.now += 8 * DAY
    world.expire()
    assert world.expired() == {order_id}


@pytest.mark.parametrize(("before", "after"), [(30, 20), (20, 30), (170, 1)])
def test_a_change_of_the_setting_skips_no_order(world: World, before: int, after: int) -> None:
    world.order_expiry_s = before * DAY
    world.now = CREATED - 5 * DAY
    world.expire()
    order_ids = world.place(60)
    for number, order_id in enumerate(order_ids):
        world.razorpay.listed[order_id]["created_at"] = CREATED + number * DAY
    world.now = CREATED + 40 * DAY
    world.expire()
    world.order_expiry_s = after * DAY
    for day in range(60 + after + 2):
        world.now = CREATED + (41 + day) * DAY
        world.expire()
    assert world.expired() == set(order_ids)


def test_an_order_that_cannot_be_decided_is_set_aside_and_expires_later(world: World) -> None:
    order_ids = world.place(3)
    world.razorpay.pay(order_ids[1], PAYMENT, "failed")
    world.trouble(order_ids[1], GatewayUnavailable("Razorpay answered 500."))
    world.now = EXPIRE_AT + DAY
    assert world.expire()["failed"] == 1
    assert (world.expired(), set(world.table.asides)) == ({order_ids[0], order_ids[2]}, {order_ids[1]})
    world.razorpay.fails = lambda *_: None
    world.now += 5 * MINUTE
    world.sweep(passes=["payments-900"])
    assert (world.expired(), world.table.asides) == (set(order_ids), {})


def test_a_429_pauses_the_expiry_too_and_the_next_run_goes_on(world: World) -> None:
    (order_id,) = world.place(1)
    world.now = EXPIRE_AT + DAY
    world.razorpay.fails = lambda *_: GatewayThrottled("Razorpay answered 429.")
    assert world.expire()["left_over"] is True
    world.razorpay.fails = lambda *_: None
    assert world.expire()["left_over"] is True
    pause = world.table.pause()
    assert pause is not None
    world.now = pause.until
    world.expire()
    assert world.expired() == {order_id}


def test_an_expiry_without_time_goes_on_where_it_stopped(world: World) -> None:
    order_ids = world.place(300)
    for number, order_id in enumerate(order_ids):
        world.razorpay.listed[order_id]["created_at"] = CREATED + number * 60
    world.now = EXPIRE_AT + 2 * DAY
    runs = 0
    while True:
        begun, seen = len(world.razorpay.calls), len(world.bus.sent)
        world.remaining_ms = lambda begun=begun, seen=seen: (  # type: ignore[misc]  # bound per turn
            31_000 if len(world.razorpay.calls) < begun + 9 and len(world.bus.sent) < seen + 50 else 24_000
        )
        runs += 1
        if not world.expire()["left_over"]:
            break
        assert runs < 60
    assert runs > 5
    assert world.expired() == set(order_ids)
    assert world.bus.types() == ["payment.expired"] * 300


def test_how_far_the_expiry_is_behind_is_told(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.now = EXPIRE_AT + 3 * DAY
    world.table.move_watermark("expiry", None, Watermark(at=CREATED, span=300))
    world.razorpay.fails = lambda call, _: GatewayUnavailable("500") if call == "page" else None
    world.expire()
    assert counted(capsys)["ExpiryLagSeconds"] == 2 * DAY, "how long it has been due"


# --- by hand: a table that was restored -----------------------------------------------------------------------------

PERIOD = {"from": CREATED - 60, "to": NOW}


def lost(world: World, count: int) -> list[str]:
    """Paid orders that only Razorpay has; every second one is foreign."""
    order_ids = [f"order_{number:014d}" for number in range(count)]
    for number, order_id in enumerate(order_ids):
        world.razorpay.put_order(order_id, world.order(number), stage="test" if number % 2 == 0 else "another")
        world.razorpay.pay(order_id, f"pay_{number:014d}")
    return order_ids[::2]


def rebuild(world: World, **period: Any) -> dict[str, Any]:
    return world.run("reconcile", {"rebuild": {**PERIOD, **period}})


def test_everything_of_a_period_is_gone_through(world: World) -> None:
    ours = lost(world, 250)
    report = rebuild(world)
    assert (report["failed"], report["left_over"], report["next"]) == (0, False, None)
    assert report["outcomes"]["rebuilt"] == 125
    assert world.confirmed() == set(ours)
    assert sorted(world.bus.types()) == ["payment.paid"] * 125
    again = rebuild(world)
    assert "rebuilt" not in again["outcomes"]
    assert sorted(world.bus.types()) == ["payment.paid"] * 125


def test_a_rebuild_that_runs_out_of_time_says_how_to_go_on(world: World) -> None:
    ours = lost(world, 40)
    event: Any = {"rebuild": PERIOD}
    runs = 0
    while event is not None:
        begun = len(world.razorpay.calls)
        world.remaining_ms = lambda begun=begun: 31_000 if len(world.razorpay.calls) < begun + 3 else 28_000  # type: ignore[misc]  # bound per turn
        report = world.run("reconcile", event)
        assert report["left_over"] == (report["next"] is not None)
        event = report["next"]
        runs += 1
        assert runs < 200
    assert runs > 1
    assert world.confirmed() == set(ours)


def test_an_order_that_cannot_be_rebuilt_is_set_aside_and_asked_for_by_itself(world: World) -> None:
    lost(world, 6)
    world.razorpay.listed["order_00000000000002"]["amount"] = "asha@example.com"
    del world.razorpay.payments["pay_00000000000002"]
    report = rebuild(world)
    assert (report["failed"], report["next"]) == (1, None)
    aside = world.table.aside("order_00000000000002")
    assert aside is not None
    world.razorpay.listed["order_00000000000002"]["amount"] = AMOUNT
    world.now = aside.due_at
    world.sweep(passes=["payments-900"])
    assert world.record("order_00000000000002").order == world.order(2)
    assert world.table.aside("order_00000000000002") is None


@pytest.mark.parametrize("error", [GatewayThrottled("429"), GatewayUnavailable("503"), KeysRefused(401, None)])
def test_a_razorpay_that_does_not_answer_ends_the_rebuild_which_goes_on_where_it_was(
    world: World, error: Exception
) -> None:
    ours = lost(world, 10)
    world.razorpay.fails = lambda call, _: error if call == "page" else None
    report = rebuild(world)
    assert report["left_over"] is True
    world.razorpay.fails = lambda *_: None
    assert world.run("reconcile", report["next"])["next"] is None
    assert world.confirmed() == set(ours)


# --- by hand: one order ---------------------------------------------------------------------------------------------


def command(world: World, name: str, payment: str | None = None, order_id: str = ORDER) -> dict[str, Any]:
    return world.run(
        "reconcile",
        {
            name: {
                "order_id": order_id,
                **({} if payment is None else {"razorpay_payment_id": payment}),
                **({} if name == "look" else {"by": BY}),
            }
        },
    )


def refused(world: World, name: str, payment: str | None = None, order_id: str = ORDER) -> tuple[str, str]:
    """Why a command is not possible. That is an answer: a failed run would raise an alarm."""
    answer = command(world, name, payment, order_id)
    assert answer.keys() == {"refused", "why"}
    return answer["refused"], answer["why"]


def test_one_order_is_looked_at_now(world: World) -> None:
    world.place(1)
    world.razorpay.pay(ORDER, PAYMENT)
    assert command(world, "look") == {
        "order_id": ORDER,
        "status": "paid",
        "confirmed": True,
        "under_review": False,
        "version": 2,
    }
    assert world.bus.types() == ["payment.paid"]


@pytest.mark.parametrize("name", ["look", "accept", "release", "note", "republish"])
def test_a_command_about_an_order_that_is_not_there_is_refused(world: World, name: str) -> None:
    payment = PAYMENT if name in {"accept", "release"} else None
    assert refused(world, name, payment) == ("OrderNotFound", "There is no record of ours of this order.")


def test_a_wrong_sum_may_be_accepted_and_then_stands(world: World) -> None:
    world.place(1)
    world.razorpay.pay(ORDER, PAYMENT, amount=AMOUNT - 100)
    assert command(world, "look")["under_review"] is True
    told = command(world, "accept", PAYMENT)
    assert (told["status"], told["confirmed"], told["under_review"]) == ("paid", True, False)
    assert not [review for review in world.record(ORDER).reviews if review.is_open]
    assert world.bus.types().count("payment.paid") == 1


def test_nothing_is_accepted_while_another_order_of_the_application_holds_money(world: World) -> None:
    world.place(1)
    other = "order_AAAAAAAAAAAAAA"
    fresh = open_record(other, world.order(0), CREATED)
    application = world.table.application(42, 1)
    assert application is not None
    before = world.record(ORDER)
    world.table.replace_order(application, fresh, (before, supersede(before, other, CREATED)))
    world.razorpay.put_order(other, world.order(0))
    for order_id, payment in ((ORDER, PAYMENT), (other, ANOTHER)):
        world.razorpay.pay(order_id, payment)
        command(world, "look", order_id=order_id)
    assert Position.of(world.record(ORDER)).under_review
    why = "Another order of this application holds money: refund it first."
    assert refused(world, "accept", PAYMENT) == ("NotPossible", why)
    assert not world.record(ORDER).attempts[PAYMENT].accepted


def test_a_signature_that_leads_to_nothing_may_be_released_after_a_look(world: World) -> None:
    world.place(1)
    record_facts(world.table, ORDER, [Signed(payment=PAYMENT, at=CREATED)], CREATED)
    assert command(world, "release", PAYMENT)["status"] == "failed"
    assert f"look {ORDER}" in world.razorpay.calls


def test_what_was_captured_meanwhile_is_not_released(world: World) -> None:
    world.place(1)
    record_facts(world.table, ORDER, [Signed(payment=PAYMENT, at=CREATED)], CREATED)
    world.razorpay.pay(ORDER, PAYMENT)
    assert refused(world, "release", PAYMENT)[0] == "NotPossible"
    assert world.record(ORDER).status is Status.PAID


def test_an_unpaid_order_may_be_released_and_a_paid_one_not(world: World) -> None:
    world.place(2)
    record_facts(world.table, ORDER, [Failed(payment=ANOTHER)], CREATED)
    assert command(world, "release")["status"] == "failed"
    assert world.record(ORDER).released
    paid = "order_00000000000001"
    world.razorpay.pay(paid, PAYMENT)
    assert refused(world, "release", order_id=paid)[0] == "NotPossible"
    assert not world.record(paid).released


def test_a_command_needs_razorpays_answer(world: World) -> None:
    world.place(1)
    record_facts(world.table, ORDER, [Signed(payment=PAYMENT, at=CREATED)], CREATED)
    world.razorpay.fails = lambda *_: GatewayUnavailable("503")
    with pytest.raises(Exception, match=r"\AGatewayUnavailable\Z"):
        command(world, "release", PAYMENT)
    assert world.record(ORDER).status is Status.PAID


def test_every_lane_has_every_shard() -> None:
    assert {partition(Lane.WATCH, number) for number in range(SHARDS)} == {f"watch-{number}" for number in range(16)}
