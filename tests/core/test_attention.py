import time
from collections.abc import Iterator
from copy import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payments.core.attention import SHARDS, after_change, after_failure, after_look, lane_of, partition, shard
from payments.core.instants import epoch, iso
from payments.core.model import Authorized, Fact, Lane, Record, RefundState
from payments.core.transitions import foreign, open_record, unknown_record
from tests.core.story import (
    OPENED,
    ORDER,
    ORDER_ID,
    REFUND_1,
    A,
    Story,
    captured,
    failed,
    opened,
    refunded,
    signed,
    tell,
)

MINUTE = 60
HOUR = 60 * MINUTE
DAY = 24 * HOUR


def quiet(record: Record) -> Record:
    """The record once its events are published and cleared, and nothing is due."""
    return replace(record, pending={}, lane=None, attention_at=None)


def test_an_order_that_nobody_pays_is_never_due() -> None:
    record = open_record(ORDER_ID, ORDER, OPENED)
    assert (record.lane, record.attention_at) == (None, None)
    assert after_look(record, OPENED + DAY).attention_at is None


@pytest.mark.parametrize("fact", [signed(A), Authorized(payment=A)])
def test_what_is_alive_is_due_in_the_outbox_in_a_minute(fact: Fact) -> None:
    story = Story()
    story.deliver(fact)
    assert (story.record.lane, story.record.attention_at) == (Lane.OUTBOX, story.now + MINUTE)


def test_the_good_case_never_moves_the_due_time() -> None:
    story = Story()
    story.deliver(signed(A))
    due = story.record.attention_at
    for fact in (Authorized(payment=A), captured(A)):
        story.deliver(fact)
        assert (story.record.lane, story.record.attention_at) == (Lane.OUTBOX, due)


def test_the_outbox_moves_what_is_alive_on_to_watch() -> None:
    record = after_look(tell([(signed(A),)]).record, OPENED + MINUTE)
    assert (record.lane, record.attention_at) == (Lane.WATCH, epoch(record.updated_at) + 2 * MINUTE)


def test_watch_looks_at_growing_ages_since_the_newest_activity() -> None:
    record = tell([(Authorized(payment=A),)]).record
    newest, now, ages = epoch(record.updated_at), OPENED + MINUTE, []
    for _ in range(13):
        record = after_look(record, now)
        assert record.lane is Lane.WATCH
        assert record.attention_at is not None
        ages.append(record.attention_at - newest)
        now = record.attention_at
    assert ages[:12] == [2 * MINUTE, 10 * MINUTE, HOUR, 6 * HOUR, *(day * DAY for day in range(1, 9))]
    assert ages[12] == 15 * DAY


@pytest.mark.parametrize(
    "facts",
    [(captured(A),), (failed(A),), (captured(A), refunded(A, REFUND_1)), ()],
    ids=["paid", "failed", "refunded", "created"],
)
def test_what_is_settled_is_not_due_after_a_look(facts: tuple[Fact, ...]) -> None:
    record = replace(tell([facts]).record, pending={})
    assert (after_look(record, OPENED + HOUR).lane, after_look(record, OPENED + HOUR).attention_at) == (None, None)


def test_a_refund_under_way_is_watched() -> None:
    record = quiet(tell([(captured(A),)]).record)
    story = Story(record, OPENED + 30 * DAY)
    story.deliver(refunded(A, REFUND_1, state=RefundState.CREATED))
    assert story.record.attention_at == story.now + MINUTE
    assert after_look(story.record, story.now + MINUTE).lane is Lane.WATCH


def test_events_are_looked_for_within_a_minute_whatever_was_due_before() -> None:
    record = replace(quiet(tell([(Authorized(payment=A),)]).record), lane=Lane.WATCH, attention_at=OPENED + 5 * DAY)
    story = Story(record, OPENED + DAY)
    story.deliver(captured(A))
    assert (story.record.lane, story.record.attention_at) == (Lane.OUTBOX, story.now + MINUTE)


def test_a_fact_that_says_nothing_new_of_a_settled_order_does_not_make_it_due() -> None:
    story = Story(quiet(tell([(captured(A),)]).record), OPENED + DAY)
    story.deliver(Authorized(payment=A))
    assert story.record.attention_at is None


def test_an_unknown_order_is_due_in_its_own_lane_and_never_expires_by_itself() -> None:
    story = Story(unknown_record(ORDER_ID, OPENED), OPENED - 1)
    story.deliver(Authorized(payment=A))
    assert (story.record.lane, story.record.attention_at) == (Lane.UNKNOWN, OPENED + MINUTE)
    later = after_look(story.record, OPENED + 30 * DAY)
    assert (later.attention_at, later.expires_at) == (OPENED + 31 * DAY, None)


def test_a_foreign_order_is_never_due_and_may_go() -> None:
    record = foreign(unknown_record(ORDER_ID, OPENED), OPENED)
    assert record.expires_at is not None
    assert record.expires_at > OPENED
    assert after_change(record, OPENED).attention_at is None
    assert after_look(record, OPENED).attention_at is None


def test_an_unknown_order_is_asked_about_at_growing_ages_and_then_daily() -> None:
    record, now, ages = unknown_record(ORDER_ID, OPENED), OPENED, []
    for _ in range(6):
        record = after_look(replace(record, expires_at=OPENED + DAY), now)
        assert (record.lane, record.expires_at) == (Lane.UNKNOWN, None)
        assert record.attention_at is not None
        now = record.attention_at
        ages.append(now - OPENED)
    assert ages == [MINUTE, 10 * MINUTE, HOUR, 6 * HOUR, 30 * HOUR, 54 * HOUR]


def test_further_news_of_an_unknown_order_does_not_put_off_the_question_whose_it_is() -> None:
    story = Story(unknown_record(ORDER_ID, OPENED), OPENED - 1)
    story.deliver(Authorized(payment=A))
    story.now = OPENED + 50
    story.deliver(captured(A))
    assert (story.record.lane, story.record.attention_at) == (Lane.UNKNOWN, OPENED + MINUTE)


def test_an_unknown_order_that_is_due_elsewhere_gets_its_own_lane() -> None:
    record = replace(unknown_record(ORDER_ID, OPENED), lane=Lane.WATCH, attention_at=OPENED + DAY)
    moved = after_change(record, OPENED + 5)
    assert (moved.lane, moved.attention_at) == (Lane.UNKNOWN, OPENED + 5 + MINUTE)


def test_what_is_still_pending_after_a_look_stays_in_the_outbox() -> None:
    record = tell([(captured(A),)]).record
    assert record.pending
    later = after_look(replace(record, lane=Lane.WATCH, attention_at=OPENED), OPENED + HOUR)
    assert (later.lane, later.attention_at) == (Lane.OUTBOX, OPENED + HOUR + MINUTE)


def test_what_needs_no_look_leaves_every_lane() -> None:
    due = {"lane": Lane.WATCH, "attention_at": OPENED}
    settled = replace(quiet(tell([(captured(A),)]).record), **due)
    not_ours = replace(foreign(unknown_record(ORDER_ID, OPENED), OPENED), **due)
    for record in (after_look(settled, OPENED + 1), after_look(not_ours, OPENED + 1), after_change(not_ours, OPENED)):
        assert (record.lane, record.attention_at) == (None, None)


def test_events_move_a_due_time_to_the_outbox_only_if_it_is_later_or_in_another_lane() -> None:
    record, soon = tell([(captured(A),)]).record, OPENED + DAY + MINUTE
    for lane, at, kept in (
        (Lane.OUTBOX, soon, True),
        (Lane.OUTBOX, soon + 1, False),
        (Lane.WATCH, soon, False),
        (None, None, False),
    ):
        moved = after_change(replace(record, lane=lane, attention_at=at), OPENED + DAY)
        assert (moved.lane, moved.attention_at) == (Lane.OUTBOX, soon)
        assert (moved.attention_at == at and moved.lane is lane) is kept


def test_new_activity_makes_a_far_look_due_sooner_and_leaves_a_near_one() -> None:
    base = quiet(tell([(Authorized(payment=A),)]).record)
    newest = epoch(base.updated_at)
    next_look = newest + 2 * MINUTE
    for at, due in ((next_look + HOUR, next_look + HOUR), (next_look + HOUR + 1, next_look), (newest, newest)):
        moved = after_change(replace(base, lane=Lane.WATCH, attention_at=at), newest)
        assert (moved.lane, moved.attention_at) == (Lane.WATCH, due)


@pytest.mark.parametrize(
    ("lane", "minutes"),
    [
        (Lane.OUTBOX, [1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2]),
        (Lane.WATCH, [1, 2, 4, 8, 16, 32, 60, 60, 60, 60, 60, 60, 60]),
        (Lane.UNKNOWN, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 1440, 1440]),
    ],
)
def test_each_failure_doubles_the_wait_up_to_what_the_lane_can_bear(lane: Lane, minutes: list[int]) -> None:
    record, waits = replace(opened(), lane=lane, attention_at=OPENED), []
    for number in range(len(minutes)):
        record = after_failure(record, OPENED)
        assert record.failures == number + 1
        assert record.attention_at is not None
        waits.append((record.attention_at - OPENED) // MINUTE)
    assert waits == minutes
    # However many failures: no overflow, and no longer wait.
    assert after_failure(replace(record, failures=10**6), OPENED).attention_at == OPENED + minutes[-1] * MINUTE


def test_a_record_without_a_lane_fails_in_the_outbox() -> None:
    assert after_failure(opened(), OPENED).lane is Lane.OUTBOX


@pytest.mark.parametrize("lane", list(Lane))
def test_a_record_that_keeps_failing_waits_longer_each_time_and_one_that_succeeds_begins_anew(lane: Lane) -> None:
    record = replace(tell([(signed(A),)]).record, lane=lane, attention_at=OPENED)
    waits = []
    for _ in range(30):
        record = after_failure(record, OPENED)
        assert record.lane is lane
        assert record.attention_at is not None
        waits.append(record.attention_at - OPENED)
    assert waits == sorted(waits)
    assert waits[0] < waits[-1] <= DAY
    assert after_look(record, OPENED).failures == 0


def test_no_event_waits_for_more_than_two_minutes_once_the_bus_is_back() -> None:
    record = tell([(captured(A),)]).record
    for _ in range(30):
        record = after_failure(record, OPENED)
    assert record.attention_at is not None
    assert record.attention_at - OPENED <= 2 * MINUTE


# --- partitions -----------------------------------------------------------------------------------------------------


def test_a_shard_is_the_same_in_every_process_and_the_outbox_has_version_1s_names() -> None:
    assert [shard(Lane.OUTBOX, f"order_{number:014d}") for number in range(4)] == ["4", "2", "8", "14"]
    assert [shard(Lane.WATCH, f"order_{number:014d}") for number in range(2)] == ["watch-4", "watch-2"]


@pytest.mark.parametrize("lane", list(Lane))
def test_a_partition_tells_its_lane(lane: Lane) -> None:
    names = {partition(lane, number) for number in range(SHARDS)}
    assert len(names) == SHARDS
    assert {lane_of(name) for name in names} == {lane}


def test_shards_share_the_orders_about_evenly() -> None:
    counts = [0] * SHARDS
    for number in range(16_000):
        counts[int(shard(Lane.OUTBOX, f"order_{number * 7919:014d}"))] += 1
    assert min(counts) > 800


@given(st.integers(min_value=0, max_value=4_102_444_800))
def test_an_instant_is_written_and_read_back_to_the_second(seconds: int) -> None:
    assert epoch(iso(seconds)) == seconds
    assert iso(seconds).endswith("Z")


@pytest.fixture
def in_kathmandu(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine whose local time is 5:45 ahead of UTC."""
    with monkeypatch.context() as machine:
        machine.setenv("TZ", "<+0545>-05:45")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("in_kathmandu")
def test_an_instant_is_in_utc_wherever_the_machine_stands() -> None:
    assert iso(OPENED) == "2026-03-01T09:30:00Z"
    assert epoch("2026-03-01T09:30:00Z") == OPENED
