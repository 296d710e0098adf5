"""What the table promises to the core: the same for the real adapter and for its fake."""

from dataclasses import replace

import pytest

from payments.core.errors import StorageConflict
from payments.core.model import Authorized, Fact, Failed, Record, Status
from payments.core.ordering import OrderStore
from payments.core.transitions import decide, supersede, unknown_record
from tests.core.story import OPENED, ORDER_ID, OTHER_ORDER_ID, PART, REFUND_1, A, B, captured, opened, refunded


def stored(table: OrderStore, *facts: Fact) -> Record:
    """A record in the table, with these facts in it."""
    record = opened()
    table.insert(record)
    if facts:
        after = decide(record, facts, OPENED + 1).record
        table.save(record, after)
        record = after
    return record


def latest(table: OrderStore) -> Record:
    record = table.read(ORDER_ID)
    assert record is not None
    return record


def test_an_unknown_order_is_none(table: OrderStore) -> None:
    assert table.read(ORDER_ID) is None


@pytest.mark.parametrize("record", [opened(), unknown_record(ORDER_ID, OPENED)], ids=["ours", "unknown"])
def test_what_is_inserted_is_read_back(table: OrderStore, record: Record) -> None:
    table.insert(record)
    assert table.read(ORDER_ID) == record


def test_a_record_is_inserted_only_once(table: OrderStore) -> None:
    stored(table)
    with pytest.raises(StorageConflict):
        table.insert(replace(opened(), status=Status.FAILED))
    assert latest(table) == opened()


def test_what_is_saved_is_read_back(table: OrderStore) -> None:
    record = stored(table, captured(A), refunded(A, REFUND_1, PART))
    assert latest(table) == record


def test_superseding_is_saved(table: OrderStore) -> None:
    before = stored(table)
    table.save(before, supersede(before, OTHER_ORDER_ID, OPENED + 1))
    assert latest(table).superseded_by == OTHER_ORDER_ID


def test_of_two_writers_who_read_the_same_the_second_is_refused(table: OrderStore) -> None:
    before = stored(table)
    table.save(before, decide(before, [Authorized(payment=A)], OPENED + 1).record)
    with pytest.raises(StorageConflict):
        table.save(before, decide(before, [Failed(payment=B)], OPENED + 1).record)
    assert set(latest(table).attempts) == {A}


def test_a_record_that_is_not_there_cannot_be_saved(table: OrderStore) -> None:
    before = opened()
    with pytest.raises(StorageConflict):
        table.save(before, decide(before, [Authorized(payment=A)], OPENED + 1).record)
    assert table.read(ORDER_ID) is None


def test_clearing_forgets_the_named_events_alone(table: OrderStore) -> None:
    record = stored(table, captured(A), refunded(A, REFUND_1, PART))
    first, second = record.pending
    table.clear(record, [first])
    assert set(latest(table).pending) == {second}
    assert latest(table).attention_at == record.attention_at


def test_clearing_the_last_event_of_a_settled_payment_leaves_nothing_due(table: OrderStore) -> None:
    record = stored(table, captured(A))
    table.clear(record, record.pending)
    assert latest(table) == replace(record, pending={}, attention_at=None)


def test_clearing_the_last_event_of_an_open_order_leaves_its_due_time(table: OrderStore) -> None:
    record = stored(table, Failed(payment=A))
    table.clear(record, record.pending)
    assert latest(table) == replace(record, pending={})


def test_clearing_twice_is_clearing_once(table: OrderStore) -> None:
    record = stored(table, captured(A))
    table.clear(record, record.pending)
    table.clear(record, record.pending)
    assert not latest(table).pending


def test_clearing_leaves_the_version_alone(table: OrderStore) -> None:
    record = stored(table, captured(A))
    table.clear(record, record.pending)
    assert latest(table).version == record.version


def test_clearing_after_the_record_moved_on_is_refused_and_drops_nothing(table: OrderStore) -> None:
    record = stored(table, captured(A))
    moved = decide(record, [refunded(A, REFUND_1, PART)], OPENED + 2).record
    table.save(record, moved)
    with pytest.raises(StorageConflict):
        table.clear(record, record.pending)
    assert set(latest(table).pending) == set(moved.pending)


def test_a_record_that_is_not_there_cannot_be_cleared(table: OrderStore) -> None:
    with pytest.raises(StorageConflict):
        table.clear(opened(), ["ab7d9e3e-0000-5000-8000-000000000000"])


def test_saving_does_not_bring_back_what_was_cleared_meanwhile(table: OrderStore) -> None:
    record = stored(table, captured(A))
    table.clear(record, record.pending)
    table.save(record, decide(record, [Authorized(payment=A)], OPENED + 2).record)
    assert not latest(table).pending
    assert latest(table).attention_at is None


def test_an_event_added_to_a_record_that_was_cleared_meanwhile_is_due(table: OrderStore) -> None:
    record = stored(table, captured(A))
    table.clear(record, record.pending)
    after = decide(record, [refunded(A, REFUND_1, PART)], OPENED + 2)
    table.save(record, after.record)
    assert set(latest(table).pending) == set(after.recorded)
    assert latest(table).attention_at is not None


def test_an_application_points_nowhere_at_first(table: OrderStore) -> None:
    assert table.current_order(303, 202) is None


def test_an_application_points_at_one_order_of_one_client(table: OrderStore) -> None:
    table.point(303, 202, ORDER_ID, seen=None)
    assert table.current_order(303, 202) == ORDER_ID
    assert table.current_order(304, 202) is None
    assert table.current_order(303, 203) is None


@pytest.mark.parametrize("seen", [None, OTHER_ORDER_ID])
def test_a_pointer_moves_only_from_where_it_was_seen(table: OrderStore, seen: str | None) -> None:
    table.point(303, 202, ORDER_ID, seen=None)
    with pytest.raises(StorageConflict):
        table.point(303, 202, OTHER_ORDER_ID, seen=seen)
    assert table.current_order(303, 202) == ORDER_ID
    table.point(303, 202, OTHER_ORDER_ID, seen=ORDER_ID)
    assert table.current_order(303, 202) == OTHER_ORDER_ID


def test_a_pointer_that_is_not_there_cannot_be_moved(table: OrderStore) -> None:
    with pytest.raises(StorageConflict):
        table.point(303, 202, ORDER_ID, seen=OTHER_ORDER_ID)
    assert table.current_order(303, 202) is None
