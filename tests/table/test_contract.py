"""The table's contract with the core, for the real adapter and its fake."""

from copy import replace

import pytest

from payments.adapters.table import PaymentsTable
from payments.core import attention
from payments.core.attention import SHARDS, partition, shard
from payments.core.errors import StorageConflict
from payments.core.lookup import Place, Role
from payments.core.model import (
    Application,
    Authorized,
    DisputeState,
    Fact,
    Failed,
    KnownDispute,
    KnownRefund,
    Lane,
    Record,
    RefundState,
    Signed,
    Status,
)
from payments.core.sweeping import ASIDE_PARTITION, Aside, Pause, Watermark
from payments.core.transitions import decide, open_record, supersede, unknown_record
from tests.core.story import (
    DISPUTE_1,
    DISPUTE_2,
    OPENED,
    ORDER,
    ORDER_ID,
    OTHER_ORDER_ID,
    PART,
    REFUND_1,
    REFUND_2,
    A,
    B,
    captured,
    opened,
    refunded,
)


def stored(table: PaymentsTable, *facts: Fact) -> Record:
    """A record in the table, with these facts in it."""
    record = opened()
    table.insert(record)
    if facts:
        after = decide(record, facts, OPENED + 1).record
        table.save(record, after)
        record = after
    return record


def latest(table: PaymentsTable) -> Record:
    record = table.read(ORDER_ID)
    assert record is not None
    return record


def test_an_unknown_order_is_none(table: PaymentsTable) -> None:
    assert table.read(ORDER_ID) is None


@pytest.mark.parametrize("record", [opened(), unknown_record(ORDER_ID, OPENED)], ids=["ours", "unknown"])
def test_what_is_inserted_is_read_back(table: PaymentsTable, record: Record) -> None:
    table.insert(record)
    assert table.read(ORDER_ID) == record


def test_a_record_is_inserted_only_once(table: PaymentsTable) -> None:
    stored(table)
    with pytest.raises(StorageConflict):
        table.insert(replace(opened(), status=Status.FAILED))
    assert latest(table) == opened()


def test_what_is_saved_is_read_back(table: PaymentsTable) -> None:
    record = stored(table, captured(A), refunded(A, REFUND_1, PART))
    assert latest(table) == record


def test_superseding_is_saved(table: PaymentsTable) -> None:
    before = stored(table)
    table.save(before, supersede(before, OTHER_ORDER_ID, OPENED + 1))
    assert latest(table).superseded_by == OTHER_ORDER_ID


def test_of_two_writers_who_read_the_same_the_second_is_refused(table: PaymentsTable) -> None:
    before = stored(table)
    table.save(before, decide(before, [Authorized(payment=A)], OPENED + 1).record)
    with pytest.raises(StorageConflict):
        table.save(before, decide(before, [Failed(payment=B)], OPENED + 1).record)
    assert set(latest(table).attempts) == {A}


def test_a_record_that_is_not_there_cannot_be_saved(table: PaymentsTable) -> None:
    before = opened()
    with pytest.raises(StorageConflict):
        table.save(before, decide(before, [Authorized(payment=A)], OPENED + 1).record)
    assert table.read(ORDER_ID) is None


def test_clearing_forgets_the_named_events_alone(table: PaymentsTable) -> None:
    record = stored(table, captured(A), refunded(A, REFUND_1, PART))
    first, second = record.pending
    table.clear(record, [first])
    assert set(latest(table).pending) == {second}
    assert latest(table).attention_at == record.attention_at


def test_clearing_the_last_event_of_a_settled_payment_leaves_nothing_due(table: PaymentsTable) -> None:
    record = stored(table, captured(A))
    table.clear(record, record.pending)
    assert latest(table) == replace(record, pending={}, lane=None, attention_at=None)


def test_clearing_the_last_event_of_an_unsettled_payment_leaves_its_due_time(table: PaymentsTable) -> None:
    # The failure is published, and another payment of the order is signed: only Razorpay knows its outcome.
    record = stored(table, Signed(payment=B, at=OPENED), captured(A), refunded(A, REFUND_1, PART, RefundState.CREATED))
    assert record.pending
    table.clear(record, record.pending)
    assert latest(table) == replace(record, pending={})
    assert latest(table).attention_at is not None


def test_clearing_twice_is_clearing_once(table: PaymentsTable) -> None:
    record = stored(table, captured(A))
    table.clear(record, record.pending)
    table.clear(record, record.pending)
    assert not latest(table).pending


def test_clearing_leaves_the_version_alone(table: PaymentsTable) -> None:
    record = stored(table, captured(A))
    table.clear(record, record.pending)
    assert latest(table).version == record.version


def test_clearing_after_the_record_moved_on_drops_what_was_sent_and_nothing_else(table: PaymentsTable) -> None:
    record = stored(table, captured(A))
    moved = decide(record, [refunded(A, REFUND_1, PART)], OPENED + 2)
    table.save(record, moved.record)
    table.clear(record, record.pending)
    assert set(latest(table).pending) == set(moved.recorded)
    assert (latest(table).lane, latest(table).attention_at) == (moved.record.lane, moved.record.attention_at)
    assert latest(table).attention_at is not None


def test_clearing_after_the_record_moved_on_without_an_event_keeps_it_due(table: PaymentsTable) -> None:
    record = stored(table, captured(A))
    moved = decide(record, [refunded(A, REFUND_1, PART, RefundState.CREATED)], OPENED + 2)
    assert not moved.recorded
    table.save(record, moved.record)
    table.clear(record, record.pending)
    assert latest(table) == replace(moved.record, pending={})
    assert latest(table).attention_at is not None


def test_an_event_that_is_still_pending_keeps_the_record_due(table: PaymentsTable) -> None:
    # Read before another writer's save: of the two events on it now, one is not ours to clear.
    record = stored(table, captured(A), refunded(A, REFUND_1, PART))
    first, second = sorted(record.pending)
    table.clear(replace(record, pending={first: record.pending[first]}), [first])
    assert set(latest(table).pending) == {second}
    assert latest(table).attention_at == record.attention_at


def busy(events: int) -> Record:
    """A record with this many pending events."""
    record = decide(opened(), [captured(A, 10**6)], OPENED + 1).record
    for first in range(0, events, 40):
        facts = [refunded(A, f"rfnd_{number:014d}", 1) for number in range(first, min(first + 40, events))]
        record = decide(record, facts, OPENED + 2).record
    return record


@pytest.mark.parametrize("count", [49, 50, 100])
def test_any_number_of_events_is_cleared_and_the_due_time_with_the_last(table: PaymentsTable, count: int) -> None:
    record = busy(count)
    assert len(record.pending) == count + 1, "the review of the sum, and one for each refund"
    table.insert(record)
    table.clear(record, record.pending)
    assert latest(table) == replace(record, pending={}, lane=None, attention_at=None)


def test_of_many_events_those_that_the_bus_refused_stay(table: PaymentsTable) -> None:
    record = busy(60)
    table.insert(record)
    refused = sorted(record.pending)[::7]
    table.clear(record, record.pending.keys() - set(refused))
    assert sorted(latest(table).pending) == refused
    assert latest(table).attention_at == record.attention_at


def test_a_record_that_is_not_there_cannot_be_cleared(table: PaymentsTable) -> None:
    with pytest.raises(StorageConflict):
        table.clear(opened(), ["ab7d9e3e-0000-5000-8000-000000000000"])
    assert table.read(ORDER_ID) is None


def test_saving_does_not_bring_back_what_was_cleared_meanwhile(table: PaymentsTable) -> None:
    record = stored(table, captured(A))
    table.clear(record, record.pending)
    table.save(record, decide(record, [Failed(payment=B)], OPENED + 2).record)
    assert not latest(table).pending


def test_who_saves_a_due_record_makes_it_due_again_whatever_was_cleared_meanwhile(table: PaymentsTable) -> None:
    # A clear does not change the version, so the save cannot detect it: one check too many, never one too few.
    record = stored(table, captured(A))
    table.clear(record, record.pending)
    assert latest(table).attention_at is None
    after = decide(record, [refunded(A, REFUND_1, PART, RefundState.CREATED)], OPENED + 2).record
    assert (after.lane, after.attention_at) == (record.lane, record.attention_at)
    table.save(record, after)
    assert (latest(table).lane, latest(table).attention_at) == (record.lane, record.attention_at)
    assert due(table) == [ORDER_ID]


def test_an_event_added_to_a_record_that_was_cleared_meanwhile_is_due(table: PaymentsTable) -> None:
    record = stored(table, captured(A))
    table.clear(record, record.pending)
    after = decide(record, [refunded(A, REFUND_1, PART)], OPENED + 2)
    table.save(record, after.record)
    assert set(latest(table).pending) == set(after.recorded)
    assert latest(table).attention_at is not None


def test_a_due_time_may_go_without_a_new_version(table: PaymentsTable) -> None:
    record = stored(table, Authorized(payment=A))
    table.save(record, replace(record, lane=None, attention_at=None, looked_at=OPENED + 60))
    assert latest(table) == replace(record, lane=None, attention_at=None, looked_at=OPENED + 60)
    assert due(table) == []


def test_a_due_time_may_go_and_nothing_else_change(table: PaymentsTable) -> None:
    record = stored(table, Authorized(payment=A))
    table.save(record, replace(record, lane=None, attention_at=None))
    assert latest(table) == replace(record, lane=None, attention_at=None)


def test_what_somebody_saved_without_a_new_version_is_not_undone(table: PaymentsTable) -> None:
    record = replace(stored(table, Authorized(payment=A)), looked_at=OPENED)
    table.save(replace(record, looked_at=None), record)
    table.save(record, replace(record, looked_at=OPENED + 60))
    # Read before that, and saved after it.
    table.save(record, decide(record, [captured(A)], OPENED + 2).record)
    assert (latest(table).looked_at, latest(table).status) == (OPENED + 60, Status.PAID)


# --- several records ---


def test_records_are_read_together_and_those_that_are_not_there_are_left_out(table: PaymentsTable) -> None:
    record, other = opened(), open_record(OTHER_ORDER_ID, ORDER, OPENED)
    table.insert(record)
    table.insert(other)
    wanted = [ORDER_ID, "order_00000000000000", OTHER_ORDER_ID]
    assert dict(table.read_many(wanted)) == {ORDER_ID: record, OTHER_ORDER_ID: other}
    # As they were a moment ago: possibly missing.
    assert dict(table.read_many(wanted, consistent=False)).items() <= {ORDER_ID: record, OTHER_ORDER_ID: other}.items()
    assert table.read_many([]) == {}


def test_a_record_that_is_named_twice_is_read_once(table: PaymentsTable) -> None:
    table.insert(opened())
    assert table.read_many([ORDER_ID, ORDER_ID]) == {ORDER_ID: opened()}


def test_more_records_than_one_request_may_name_are_read(table: PaymentsTable) -> None:
    order_ids = [f"order_{number:014d}" for number in range(104)]
    for order_id in order_ids:
        table.insert(open_record(order_id, ORDER, OPENED))
    assert set(table.read_many([*order_ids, "order_missing0000000"])) == set(order_ids)


# --- applications ---

CLIENT, APPLICATION = 303, 202


def application(table: PaymentsTable) -> Application:
    found = table.application(CLIENT, APPLICATION)
    assert found is not None
    return found


def test_an_application_has_no_orders_at_first(table: PaymentsTable) -> None:
    assert table.application(CLIENT, APPLICATION) is None


def test_an_application_is_opened_with_its_first_order_and_only_once(table: PaymentsTable) -> None:
    table.open_application(CLIENT, APPLICATION, ORDER_ID)
    with pytest.raises(StorageConflict):
        table.open_application(CLIENT, APPLICATION, OTHER_ORDER_ID)
    assert application(table) == Application(
        client_id=CLIENT, application_id=APPLICATION, current=ORDER_ID, orders=(ORDER_ID,)
    )


def test_an_application_is_that_of_one_client(table: PaymentsTable) -> None:
    table.open_application(CLIENT, APPLICATION, ORDER_ID)
    assert table.application(CLIENT + 1, APPLICATION) is None
    assert table.application(CLIENT, APPLICATION + 1) is None
    # Joined, the digits are the same; the ids are not.
    table.open_application(3, 3202, OTHER_ORDER_ID)
    assert table.application(33, 202) is None


def test_an_order_is_added_and_the_current_one_stays(table: PaymentsTable) -> None:
    table.open_application(CLIENT, APPLICATION, ORDER_ID)
    table.extend_application(application(table), OTHER_ORDER_ID)
    found = application(table)
    assert (found.current, found.orders) == (ORDER_ID, (ORDER_ID, OTHER_ORDER_ID))


def test_an_application_that_has_grown_since_it_was_read_is_not_written_over(table: PaymentsTable) -> None:
    table.open_application(CLIENT, APPLICATION, ORDER_ID)
    seen = application(table)
    table.extend_application(seen, OTHER_ORDER_ID)
    with pytest.raises(StorageConflict):
        table.extend_application(seen, "order_00000000000003")
    with pytest.raises(StorageConflict):
        table.replace_order(seen, open_record("order_00000000000003", ORDER, OPENED), None)
    assert application(table).orders == (ORDER_ID, OTHER_ORDER_ID)
    assert table.read("order_00000000000003") is None


def replacing(table: PaymentsTable) -> tuple[Application, Record, tuple[Record, Record]]:
    """An application with an open order, and its replacement."""
    table.insert(opened())
    table.open_application(CLIENT, APPLICATION, ORDER_ID)
    fresh = open_record(OTHER_ORDER_ID, replace(ORDER, payment_id=18, receipt="dev-18"), OPENED + 60)
    return application(table), fresh, (opened(), supersede(opened(), OTHER_ORDER_ID, OPENED + 60))


def test_a_new_order_takes_the_place_of_the_current_one_in_one_step(table: PaymentsTable) -> None:
    seen, fresh, old = replacing(table)
    table.replace_order(seen, fresh, old)
    found = application(table)
    assert (found.current, found.orders) == (OTHER_ORDER_ID, (ORDER_ID, OTHER_ORDER_ID))
    assert table.read(OTHER_ORDER_ID) == fresh
    assert latest(table) == old[1]
    assert latest(table).superseded_by == OTHER_ORDER_ID


def test_where_the_current_order_has_no_record_the_new_one_takes_its_place_all_the_same(table: PaymentsTable) -> None:
    table.open_application(CLIENT, APPLICATION, ORDER_ID)
    fresh = open_record(OTHER_ORDER_ID, ORDER, OPENED)
    table.replace_order(application(table), fresh, None)
    assert (application(table).current, table.read(OTHER_ORDER_ID)) == (OTHER_ORDER_ID, fresh)


@pytest.mark.parametrize("spoilt", ["the current order was paid", "another order came", "the new order is there"])
def test_if_anything_has_changed_nothing_of_it_is_written(table: PaymentsTable, spoilt: str) -> None:
    seen, fresh, old = replacing(table)
    if spoilt == "the current order was paid":
        table.save(opened(), decide(opened(), [captured(A)], OPENED + 1).record)
    elif spoilt == "another order came":
        table.extend_application(seen, "order_00000000000003")
    else:
        table.insert(replace(fresh, version=7))
    before = (application(table), latest(table), table.read(OTHER_ORDER_ID))
    with pytest.raises(StorageConflict):
        table.replace_order(seen, fresh, old)
    assert (application(table), latest(table), table.read(OTHER_ORDER_ID)) == before


# --- payment ids ---


def test_payment_ids_start_at_one_and_their_blocks_never_overlap(table: PaymentsTable) -> None:
    assert [list(table.take_payment_ids(count, "x")[0]) for count in (1, 3, 2)] == [[1], [2, 3, 4], [5, 6]]


def test_an_installation_keeps_the_name_that_it_was_given_first(table: PaymentsTable) -> None:
    assert table.installation() is None
    assert table.take_payment_ids(1, "1f2e3d4c")[1] == "1f2e3d4c"
    assert table.take_payment_ids(1, "ffffffff")[1] == "1f2e3d4c"
    assert table.installation() == "1f2e3d4c"


def test_no_payment_id_up_to_one_that_was_found_is_handed_out(table: PaymentsTable) -> None:
    table.raise_payment_ids(40)
    table.raise_payment_ids(17)
    assert list(table.take_payment_ids(2, "x")[0]) == [41, 42]
    table.raise_payment_ids(41)
    assert list(table.take_payment_ids(1, "x")[0]) == [43]


# --- what is due ---


def due(table: PaymentsTable, now: int = OPENED + 10**7) -> list[str]:
    """Every order that is due, in any partition."""
    names = [partition(lane, number) for lane in Lane for number in range(SHARDS)]
    return [key for name in names for key, _ in table.due(name, now)]


@pytest.mark.parametrize("lane", Lane)
def test_a_record_is_due_in_its_own_partition_alone_and_not_before_its_time(table: PaymentsTable, lane: Lane) -> None:
    record = replace(opened(), lane=lane, attention_at=OPENED + 60)
    table.insert(record)
    name = shard(lane, ORDER_ID)
    assert list(table.due(name, OPENED + 59)) == []
    assert [tuple(one) for one in table.due(name, OPENED + 60)] == [(ORDER_ID, OPENED + 60)]
    others = [partition(one, number) for one in Lane for number in range(SHARDS)]
    assert [other for other in [*others, ASIDE_PARTITION] if list(table.due(other, OPENED + 60))] == [name]


def test_a_new_order_is_due_nowhere(table: PaymentsTable) -> None:
    # "An order that nobody pays costs nothing after its creation."
    table.insert(opened())
    assert due(table) == []


def test_a_record_that_failed_moves_in_time_and_stays_in_its_lane(table: PaymentsTable) -> None:
    record = stored(table, captured(A))
    for _ in range(3):
        off = attention.after_failure(record, OPENED + 100)
        table.save(record, off)
        record = off
    assert latest(table) == record
    assert record.failures == 3
    assert due(table, (record.attention_at or 0) - 1) == []
    assert due(table, record.attention_at or 0) == [ORDER_ID]


def test_the_longest_overdue_comes_first(table: PaymentsTable) -> None:
    for number in range(60):
        key = f"order_{number:014d}"
        table.insert(replace(open_record(key, ORDER, OPENED), lane=Lane.WATCH, attention_at=OPENED + 500 - number))
    for number in range(SHARDS):
        times = [at for _, at in table.due(partition(Lane.WATCH, number), OPENED + 500)]
        assert times == sorted(times)
    assert len(due(table)) == 60


# --- who pays whom ---


def pages(table: PaymentsTable, role: Role, user_id: int, count: int) -> list[list[str]]:
    """Every page of a user's payments, each begun after the last payment of the one before."""
    found: list[list[str]] = []
    after: Place | None = None
    more = True
    while more:
        places, more = table.payments_of(role, user_id, after, count)
        found.append([place.order_id for place in places])
        after = places[-1] if places else None
    return found


def add(table: PaymentsTable, number: int, at: int, **fields: int) -> str:
    key = f"order_{number:014d}"
    table.insert(open_record(key, replace(ORDER, payment_id=number, **fields), at))
    return key


@pytest.mark.parametrize(("role", "field"), [(Role.CLIENT, "client_id"), (Role.FREELANCER, "freelancer_id")])
def test_a_users_payments_are_listed_newest_first_and_nobody_elses(
    table: PaymentsTable, role: Role, field: str
) -> None:
    mine = [add(table, number, OPENED + number, **{field: 9001}) for number in range(1, 4)]
    add(table, 7, OPENED + 7, **{field: 900})
    table.insert(unknown_record("order_00000000000008", OPENED + 8))
    table.open_application(9001, APPLICATION, mine[0])
    assert pages(table, role, 9001, 25) == [mine[::-1]]
    assert pages(table, role, 9002, 25) == [[]]


def test_a_place_says_when_the_payment_was_created_and_which_it_is(table: PaymentsTable) -> None:
    table.insert(opened())
    record = latest(table)
    assert table.payments_of(Role.CLIENT, CLIENT, None, 25) == ([Place(record.created_at, ORDER_ID)], False)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 6, 7])
def test_pages_neither_repeat_nor_skip_payments_of_the_same_second(table: PaymentsTable, count: int) -> None:
    # Six payments in three seconds: a page may end between two of one second.
    keys = {add(table, number, OPENED + number // 2) for number in range(6)}
    found = pages(table, Role.CLIENT, CLIENT, count)
    listed = [key for page in found for key in page]
    assert (len(listed), set(listed)) == (6, keys)
    assert all(len(page) == count for page in found[:-1])
    times = [int(key[6:]) // 2 for key in listed]
    assert times == sorted(times, reverse=True)


def test_a_page_that_is_exactly_full_is_known_to_be_the_last(table: PaymentsTable) -> None:
    for number in range(3):
        add(table, number, OPENED + number)
    _, more = table.payments_of(Role.CLIENT, CLIENT, None, 3)
    assert more is False


def test_a_payment_that_was_created_between_two_pages_is_not_on_the_second(table: PaymentsTable) -> None:
    first = [add(table, number, OPENED + number) for number in range(4)]
    places, more = table.payments_of(Role.CLIENT, CLIENT, None, 2)
    add(table, 9, OPENED + 9)
    rest, _ = table.payments_of(Role.CLIENT, CLIENT, places[-1], 2)
    assert more
    assert [place.order_id for place in (*places, *rest)] == first[::-1]


def test_a_place_where_no_payment_is_begins_a_page_all_the_same(table: PaymentsTable) -> None:
    keys = [add(table, number, OPENED + number) for number in (1, 3)]
    between = Place(open_record("order_x", ORDER, OPENED + 2).created_at, "order_zzzzzzzzzzzzzz")
    places, _ = table.payments_of(Role.CLIENT, CLIENT, between, 25)
    assert [place.order_id for place in places] == keys[:1]


def test_what_happens_to_a_payment_does_not_move_it(table: PaymentsTable) -> None:
    record = stored(table)
    add(table, 5, OPENED + 5)
    before = pages(table, Role.CLIENT, CLIENT, 25)
    after = decide(record, [captured(A)], OPENED + 100).record
    table.save(record, after)
    table.clear(after, after.pending)
    assert pages(table, Role.CLIENT, CLIENT, 25) == before


# --- refunds by their own ids ---


def refund(identity: str = REFUND_1, order_id: str | None = ORDER_ID, state: str = "created") -> KnownRefund:
    return KnownRefund(refund_id=identity, payment_id=A, order_id=order_id, amount_minor=PART, state=RefundState(state))


def keep(table: PaymentsTable, *refunds: KnownRefund) -> None:
    """Stores refunds twice, because a read of them may be one change behind."""
    for _ in range(2):
        table.keep_refunds(refunds)


def test_refunds_are_known_by_their_ids(table: PaymentsTable) -> None:
    keep(table, refund(), refund(REFUND_2, None, "processed"))
    assert dict(table.refunds([REFUND_1, REFUND_2, "rfnd_00000000000000"])) == {
        REFUND_1: refund(),
        REFUND_2: refund(REFUND_2, None, "processed"),
    }
    assert table.refunds([]) == {}


def test_what_was_known_of_a_refund_is_replaced(table: PaymentsTable) -> None:
    keep(table, refund())
    keep(table, refund(state="processed"))
    assert dict(table.refunds([REFUND_1])) == {REFUND_1: refund(state="processed")}


def test_more_refunds_than_one_request_may_name_are_known(table: PaymentsTable) -> None:
    many = [refund(f"rfnd_{number:014d}") for number in range(104)]
    keep(table, *many)
    assert set(table.refunds([one.refund_id for one in many])) == {one.refund_id for one in many}


# --- passes ---

MARK = Watermark(at=OPENED, span=300)


def test_a_pass_that_has_never_run_has_no_watermark(table: PaymentsTable) -> None:
    assert table.watermark("payments-900") is None


def test_a_watermark_is_set_and_moves_from_where_it_was_seen(table: PaymentsTable) -> None:
    table.move_watermark("payments-900", None, MARK)
    assert table.watermark("payments-900") == MARK
    assert table.watermark("refunds-900") is None
    following = Watermark(at=OPENED + 1, span=1, skip=90)
    table.move_watermark("payments-900", MARK, following)
    assert table.watermark("payments-900") == following


@pytest.mark.parametrize(
    "seen",
    [None, replace(MARK, at=OPENED - 1), replace(MARK, span=600), replace(MARK, skip=90)],
    ids=["none", "another time", "another span", "another place"],
)
def test_a_watermark_that_another_run_has_moved_stays(table: PaymentsTable, seen: Watermark | None) -> None:
    table.move_watermark("payments-900", None, MARK)
    with pytest.raises(StorageConflict):
        table.move_watermark("payments-900", seen, Watermark(at=OPENED + 300, span=300))
    assert table.watermark("payments-900") == MARK


def test_the_watermarks_of_several_passes_are_read_together(table: PaymentsTable) -> None:
    marks = {"payments-900": Watermark(at=OPENED, span=300), "refunds-900": Watermark(at=OPENED + 1, span=1, skip=90)}
    for name, mark in marks.items():
        table.move_watermark(name, None, mark)
    assert table.watermarks(["payments-900", "payments-3600", "refunds-900"]) == marks
    assert table.watermarks(["payments-3600"]) == {}


def test_a_watermark_that_is_not_there_cannot_be_moved_from(table: PaymentsTable) -> None:
    with pytest.raises(StorageConflict):
        table.move_watermark("payments-900", MARK, Watermark(at=OPENED + 300, span=300))
    assert table.watermark("payments-900") is None


def test_what_is_set_aside_is_due_again_later_and_later_until_it_is_ended(table: PaymentsTable) -> None:
    aside = Aside.first(A, OPENED)
    table.set_aside(aside)
    assert table.aside(A) == aside
    assert list(table.due(ASIDE_PARTITION, aside.due_at - 1)) == []
    assert [tuple(one) for one in table.due(ASIDE_PARTITION, aside.due_at)] == [(A, aside.due_at)]
    again = aside.again(aside.due_at)
    table.set_aside(again)
    assert (table.aside(A), again.since, again.failures) == (again, OPENED, 2)
    assert list(table.due(ASIDE_PARTITION, again.due_at - 1)) == []
    table.end_aside(A)
    assert table.aside(A) is None
    assert list(table.due(ASIDE_PARTITION, again.due_at)) == []
    table.end_aside(A)


def test_what_is_set_aside_does_not_touch_a_record_or_a_refund(table: PaymentsTable) -> None:
    table.insert(opened())
    keep(table, refund())
    table.set_aside(Aside.first(REFUND_1, OPENED))
    table.set_aside(Aside.first(ORDER_ID, OPENED))
    table.end_aside(REFUND_1)
    assert latest(table) == opened()
    assert dict(table.refunds([REFUND_1])) == {REFUND_1: refund()}
    assert table.aside(ORDER_ID) is not None


def test_a_pause_is_kept_for_every_run(table: PaymentsTable) -> None:
    assert table.pause() is None
    table.set_pause(Pause(until=OPENED + 30, streak=1))
    table.set_pause(Pause(until=OPENED + 90, streak=2))
    assert table.pause() == Pause(until=OPENED + 90, streak=2)


# --- disputes by their own ids ---


def dispute(
    identity: str = DISPUTE_1, order_id: str | None = ORDER_ID, state: DisputeState = DisputeState.OPEN
) -> KnownDispute:
    return KnownDispute(dispute_id=identity, payment_id=A, order_id=order_id, state=state, phase="chargeback")


def test_disputes_are_known_by_their_ids_as_they_were_kept_last(table: PaymentsTable) -> None:
    lost = replace(dispute(state=DisputeState.LOST), deducted_minor=PART)
    for _ in range(2):
        table.keep_disputes([dispute(), dispute(DISPUTE_2, None)])
    assert dict(table.disputes([DISPUTE_1, DISPUTE_2, "disp_00000000000000"])) == {
        DISPUTE_1: dispute(),
        DISPUTE_2: dispute(DISPUTE_2, None),
    }
    for _ in range(2):
        table.keep_disputes([lost], expires_at=OPENED)
    assert dict(table.disputes([DISPUTE_1])) == {DISPUTE_1: lost}
    assert table.disputes([]) == {}
