"""A share of the random schedules, and that a mistake would not get past them."""

from collections.abc import Collection, Mapping

import pytest

from payments.core.handoff import Message
from payments.core.model import Record
from tests.fakes import FakeTable
from tests.faults import schedules
from tests.faults.campaigns import Budget


def test_a_share_of_the_schedules_loses_doubles_and_invents_nothing(seed: int) -> None:
    told: list[tuple[int, int]] = []
    report = schedules.run(Budget(share=0.004, seed=seed), lambda done, of: told.append((done, of)))
    assert report.figures["schedules"] == 4000
    assert told[-1] == (4000, 4000)
    assert int(report.figures["faults"]) > 1000


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
        schedules.play(1, range(4000))


def test_a_clear_that_takes_more_than_was_accepted_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    clear = FakeTable.clear

    def clear_all(table: FakeTable, record: Record, event_ids: Collection[str]) -> None:
        clear(table, record, [*event_ids, *record.pending])

    monkeypatch.setattr(FakeTable, "clear", clear_all)
    with pytest.raises(AssertionError, match="I9"):
        schedules.play(1, range(8000))
