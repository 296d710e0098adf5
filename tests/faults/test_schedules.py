"""A share of the random schedules, and that a mistake would not get past them."""

from collections.abc import Collection, Mapping

import pytest

from payments.core import ordering
from payments.core.model import Record
from payments.core.outbox import Message
from payments.core.reconciliation import Reconciler
from tests.fakes import FakeTable
from tests.faults import schedules
from tests.faults.campaigns import Budget


def test_a_share_of_the_schedules_loses_doubles_and_invents_nothing(seed: int) -> None:
    told: list[tuple[int, int]] = []
    report = schedules.run(Budget(share=0.005, seed=seed), lambda done, of: told.append((done, of)))
    assert report.figures["schedules"] == 200
    assert told[-1] == (200, 200)
    assert int(report.figures["faults"]) > 200


def test_a_schedule_is_the_same_one_each_time() -> None:
    stories = []
    for _ in range(2):
        schedule = schedules.Schedule(7, 42)
        schedule.play()
        stories.append(schedule.steps)
    assert stories[0] == stories[1]
    assert len(stories[0]) > 6


def test_events_that_are_cleared_before_they_are_published_are_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    publish = schedules.WatchedBus.publish

    def accept_everything(bus: schedules.WatchedBus, messages: Mapping[str, Message]) -> frozenset[str]:
        publish(bus, messages)
        return frozenset(messages)

    monkeypatch.setattr(schedules.WatchedBus, "publish", accept_everything)
    with pytest.raises(AssertionError, match=r"(?s)I9.*Play it again"):
        schedules.play(1, range(1000))


def test_a_clear_that_takes_more_than_was_accepted_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    clear = FakeTable.clear

    def clear_all(table: FakeTable, record: Record, event_ids: Collection[str]) -> None:
        clear(table, record, [*event_ids, *record.pending])

    monkeypatch.setattr(FakeTable, "clear", clear_all)
    # It takes a bus that accepts some of several events, which is rare.
    monkeypatch.setattr(schedules, "_FAULT_SHARE", 0.5)
    with pytest.raises(AssertionError, match="I9"):
        schedules.play(1, range(1000))


def test_a_pass_that_is_skipped_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of the schedules lose what was not told: then only the lists know of it."""
    monkeypatch.setattr(schedules.Schedule, "_run_pass", lambda _schedule, _one: True)
    with pytest.raises(AssertionError, match="the oracle"):
        schedules.play(1, range(200))


def test_a_lane_that_swallows_a_mistake_of_ours_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def mistaken(_reconciler: Reconciler, _order_id: str, _now: int) -> None:
        raise KeyError("a mistake")

    monkeypatch.setattr(Reconciler, "watch", mistaken)
    with pytest.raises(AssertionError, match="KeyError: 'a mistake'"):
        schedules.play(1, range(200))


def test_two_open_orders_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ordering, "supersede", lambda record, _successor, _now: record)
    with pytest.raises(AssertionError, match="I17"):
        schedules.play(1, range(1000))
