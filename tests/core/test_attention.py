import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payments.core.attention import after_change, is_open, next_due, shard
from payments.core.instants import epoch, iso
from payments.core.model import Authorized, Failed, PendingEvent, Signed, Status
from payments.core.transitions import open_record, unknown_record
from tests.core.story import AMOUNT, OPENED, ORDER, ORDER_ID, REFUND_1, A, Story, captured, refunded

MINUTE = 60
HOUR = 60 * MINUTE
EVENT = PendingEvent(type="payment.paid", version=2, at=iso(OPENED), status=Status.PAID, refunded_minor=0)


def due(
    attention_at: int | None,
    status: Status = Status.CREATED,
    *,
    age: int,
    pending: bool = False,
    confirmed: bool = False,
) -> int | None:
    """The due time after a change at this age, relative to the order's creation."""
    at = after_change(
        attention_at=None if attention_at is None else OPENED + attention_at,
        status=status,
        confirmed=confirmed,
        created_at=iso(OPENED),
        pending={"id": EVENT} if pending else {},
        now=OPENED + age,
    )
    return None if at is None else at - OPENED


@pytest.mark.parametrize(
    ("age", "expected"),
    [
        (0, 15 * MINUTE),
        (14 * MINUTE, 15 * MINUTE),
        (15 * MINUTE - 1, 15 * MINUTE),
        (15 * MINUTE, HOUR),
        (59 * MINUTE, HOUR),
        (HOUR, 6 * HOUR),
        (6 * HOUR, 24 * HOUR),
        (24 * HOUR, 72 * HOUR),
        (72 * HOUR - 1, 72 * HOUR),
        (72 * HOUR, None),
        (100 * HOUR, None),
    ],
)
def test_an_open_order_is_looked_at_at_growing_ages(age: int, expected: int | None) -> None:
    at = next_due(iso(OPENED), OPENED + age)
    assert at == (None if expected is None else OPENED + expected)


def test_a_new_order_is_due_in_a_quarter_of_an_hour() -> None:
    assert open_record(ORDER_ID, ORDER, OPENED).attention_at == OPENED + 15 * MINUTE


@pytest.mark.parametrize("status", [Status.CREATED, Status.AUTHORIZED, Status.FAILED, Status.PAID])
def test_an_open_order_keeps_its_due_time_even_if_it_has_passed(status: Status) -> None:
    assert due(15 * MINUTE, status, age=14 * MINUTE) == 15 * MINUTE
    assert due(15 * MINUTE, status, age=20 * MINUTE) == 15 * MINUTE
    assert due(None, status, age=20 * MINUTE) == HOUR


def test_after_its_last_look_an_open_order_is_not_due_any_more() -> None:
    assert due(None, Status.AUTHORIZED, age=73 * HOUR) is None


@pytest.mark.parametrize("status", [Status.PAID, Status.REFUNDED])
def test_a_settled_order_without_pending_events_is_not_due(status: Status) -> None:
    assert due(15 * MINUTE, status, age=MINUTE, confirmed=True) is None


@pytest.mark.parametrize("status", list(Status))
def test_pending_events_are_looked_for_within_minutes(status: Status) -> None:
    confirmed = status in {Status.PAID, Status.REFUNDED}
    assert due(None, status, age=2 * HOUR, pending=True, confirmed=confirmed) == 2 * HOUR + MINUTE
    assert due(6 * HOUR, status, age=2 * HOUR, pending=True, confirmed=confirmed) == 2 * HOUR + MINUTE


def test_a_due_time_that_comes_soon_enough_is_kept_for_pending_events() -> None:
    assert due(15 * MINUTE, Status.PAID, age=MINUTE, pending=True, confirmed=True) == 15 * MINUTE
    assert due(15 * MINUTE, Status.PAID, age=16 * MINUTE, pending=True, confirmed=True) == 15 * MINUTE
    assert due(15 * MINUTE, Status.PAID, age=0, pending=True, confirmed=True) == 15 * MINUTE
    assert due(15 * MINUTE + 1, Status.PAID, age=0, pending=True, confirmed=True) == MINUTE


def test_an_unknown_order_is_looked_up_in_a_minute_and_kept_for_a_month() -> None:
    story = Story(unknown_record(ORDER_ID, OPENED), OPENED - 1)
    story.deliver(Authorized(payment=A))
    assert story.record.attention_at == OPENED + MINUTE
    assert story.record.expires_at == OPENED + 30 * 24 * HOUR
    story.deliver(captured(A))
    assert story.record.attention_at == OPENED + MINUTE


def test_the_good_case_never_moves_the_due_time_until_it_is_settled() -> None:
    story = Story()
    for fact in (Signed(payment=A), Authorized(payment=A), captured(A)):
        story.deliver(fact)
        assert story.record.attention_at == OPENED + 15 * MINUTE


@pytest.mark.parametrize(
    ("status", "confirmed", "expected"),
    [
        (Status.CREATED, False, True),
        (Status.AUTHORIZED, False, True),
        (Status.FAILED, False, True),
        (Status.PAID, False, True),
        (Status.PAID, True, False),
        (Status.REFUNDED, True, False),
    ],
)
def test_an_order_is_open_until_a_capture_is_confirmed(status: Status, confirmed: bool, expected: bool) -> None:
    assert is_open(status, confirmed=confirmed) is expected


def test_a_refund_long_after_the_payment_is_due_in_a_minute() -> None:
    story = Story()
    story.deliver(captured(A))
    story.record = replace(story.record, pending={}, attention_at=None)  # published and cleared
    story.now += 30 * 24 * HOUR
    story.deliver(refunded(A, REFUND_1, AMOUNT))
    assert story.record.attention_at == story.now + MINUTE


def test_a_fact_that_says_nothing_new_of_a_settled_order_does_not_make_it_due() -> None:
    story = Story()
    story.deliver(captured(A))
    story.record = replace(story.record, pending={}, attention_at=None)  # published and cleared
    story.deliver(Signed(payment=A))
    assert story.record.attention_at is None


@pytest.mark.parametrize(("age", "expected"), [(2 * HOUR, 6 * HOUR), (80 * HOUR, None)])
def test_a_fact_of_an_open_order_that_is_not_due_makes_it_so_at_its_next_age(age: int, expected: int | None) -> None:
    story = Story(replace(open_record(ORDER_ID, ORDER, OPENED), attention_at=None), OPENED + age)
    story.deliver(Authorized(payment=A))
    assert story.record.attention_at == (None if expected is None else OPENED + expected)


def test_a_failure_after_the_last_look_is_due_for_its_event() -> None:
    story = Story(now=OPENED + 80 * HOUR)
    story.record = open_record(ORDER_ID, ORDER, OPENED)
    story.deliver(Failed(payment=A))
    assert story.record.attention_at is not None


# --- shards ---------------------------------------------------------------------------------------------------------


def test_a_shard_is_the_same_in_every_process() -> None:
    assert [shard(f"order_{number:014d}") for number in range(4)] == ["4", "2", "8", "14"]


@given(st.text(alphabet="ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", min_size=14, max_size=14))
def test_a_shard_is_a_number_from_0_to_15(name: str) -> None:
    assert 0 <= int(shard(f"order_{name}")) <= 15


def test_shards_share_the_orders_about_evenly() -> None:
    counts = [0] * 16
    for number in range(16_000):
        counts[int(shard(f"order_{number * 7919:014d}"))] += 1
    assert min(counts) > 800


@given(st.integers(min_value=0, max_value=4_102_444_800))
def test_an_instant_is_written_and_read_back_to_the_second(seconds: int) -> None:
    assert epoch(iso(seconds)) == seconds
    assert iso(seconds).endswith("Z")


@pytest.fixture
def in_kathmandu(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine whose clock on the wall is 5:45 ahead of UTC."""
    with monkeypatch.context() as machine:
        machine.setenv("TZ", "<+0545>-05:45")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("in_kathmandu")
def test_an_instant_is_in_utc_wherever_the_machine_stands() -> None:
    assert iso(OPENED) == "2026-03-01T09:30:00Z"
    assert epoch("2026-03-01T09:30:00Z") == OPENED
