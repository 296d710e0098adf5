"""What is the real adapter's alone: items, the counter, and DynamoDB's errors."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    ReadTimeoutError,
)
from hypothesis import given
from hypothesis import strategies as st

from payments.adapters.table import Due, PaymentsTable, to_item
from payments.core.attention import shard
from payments.core.errors import StorageConflict, TableUnavailable
from payments.core.model import (
    MAX_ID,
    Attempt,
    Authorized,
    HistoryEntry,
    Order,
    PendingEvent,
    Record,
    Refund,
    RefundState,
    Review,
    Status,
)
from payments.core.transitions import decide, unknown_record
from tests.core.story import (
    OPENED,
    ORDER_ID,
    PART,
    REFUND_1,
    A,
    B,
    captured,
    opened,
    refunded,
    tell,
    through_the_table,
)
from tests.table.dynamodb import Metered

# --- items ----------------------------------------------------------------------------------------------------------

ID = st.integers(min_value=1, max_value=MAX_ID)
MINOR = st.integers(min_value=1, max_value=10**11)
INSTANT = st.just("2026-03-01T09:30:00Z")
WORD = st.none() | st.text(alphabet="abcXYZ_09", min_size=1, max_size=12)
PAYMENT = st.from_regex(r"\Apay_[A-Za-z0-9]{14}\Z")
REFUND = st.from_regex(r"\Arfnd_[A-Za-z0-9]{14}\Z")
EVENT_ID = st.uuids(version=5).map(str)
REASON = st.sampled_from(["duplicate_capture", "amount_mismatch", "over_refunded", "never_captured"])

ORDERS = st.builds(
    Order,
    payment_id=ID,
    job_id=ID,
    application_id=ID,
    client_id=ID,
    freelancer_id=ID,
    amount_minor=MINOR,
    currency=st.just("INR"),
    receipt=st.text(max_size=40),
)
ATTEMPTS = st.builds(
    Attempt,
    signed=st.booleans(),
    authorized=st.booleans(),
    captured=st.booleans(),
    failed=st.booleans(),
    amount_minor=st.none() | MINOR,
    currency=st.none() | st.sampled_from(["INR", "USD"]),
    method=WORD,
    code=WORD,
    reason=WORD,
    announced=st.booleans(),
)
REFUNDS = st.builds(Refund, payment_id=st.just(A), amount_minor=MINOR, state=st.sampled_from(RefundState))
PENDING = st.builds(
    PendingEvent,
    type=st.sampled_from(["payment.paid", "payment.failed", "payment.review"]),
    version=ID,
    at=INSTANT,
    status=st.sampled_from(Status),
    refunded_minor=st.integers(min_value=0, max_value=10**11),
    payment=st.none() | PAYMENT,
    method=WORD,
    refund=st.none() | REFUND,
    refund_minor=st.none() | MINOR,
    code=WORD,
    failure_reason=WORD,
    review=st.none() | REASON,
)


@st.composite
def records(draw: st.DrawFn) -> Record:
    order = draw(st.none() | ORDERS)
    return Record(
        order_id=ORDER_ID,
        order=order,
        status=Status.UNKNOWN if order is None else draw(st.sampled_from([s for s in Status if s != Status.UNKNOWN])),
        confirmed=draw(st.booleans()),
        version=draw(ID),
        created_at=draw(INSTANT),
        updated_at=draw(INSTANT),
        attempts={A: draw(ATTEMPTS), **draw(st.dictionaries(PAYMENT, ATTEMPTS, max_size=3))},
        refunds=draw(st.dictionaries(REFUND, REFUNDS, max_size=3)),
        reviews=tuple(draw(st.lists(st.builds(Review, reason=REASON, subject=PAYMENT, at=INSTANT), max_size=2))),
        history=tuple(
            draw(
                st.lists(
                    st.builds(HistoryEntry, at=INSTANT, what=st.text(), status=st.sampled_from(Status)), max_size=3
                )
            )
        ),
        pending=draw(st.dictionaries(EVENT_ID, PENDING, max_size=3)),
        superseded_by=draw(st.none() | st.just("order_DESxiijbl9xjDB")),
        attention_at=draw(st.none() | st.integers(min_value=1, max_value=2**33)),
        expires_at=draw(st.none() | st.integers(min_value=1, max_value=2**33)),
    )


@given(records())
def test_every_record_comes_back_from_the_table_as_it_was(record: Record) -> None:
    back = through_the_table(record)
    assert back == record
    assert type(back.version) is int


def test_an_item_has_the_documented_types(metered: Metered) -> None:
    table = PaymentsTable(metered.client, metered.name)
    record = tell([(captured(A), refunded(A, REFUND_1, PART))]).record
    table.insert(record)
    item = metered.raw.get_item(TableName=metered.name, Key={"pk": {"S": f"order#{ORDER_ID}"}})["Item"]
    types = {name: next(iter(value)) for name, value in item.items()}
    assert types == {
        **dict.fromkeys(("payment_id", "job_id", "application_id", "client_id", "freelancer_id", "amount"), "N"),
        **dict.fromkeys(("version", "attention_at"), "N"),
        **dict.fromkeys(("pk", "order_id", "currency", "receipt", "status", "created_at", "updated_at"), "S"),
        "attention_shard": "S",
        "confirmed": "BOOL",
        **dict.fromkeys(("payments", "refunds", "pending"), "M"),
        **dict.fromkeys(("review", "history"), "L"),
    }


@pytest.mark.parametrize("typed", [{"NULL": True}, {"B": b"x"}, {"SS": ["x"]}])
def test_a_type_that_no_item_of_ours_has_is_named_and_not_guessed_at(metered: Metered, typed: Any) -> None:
    PaymentsTable(metered.client, metered.name).insert(opened())
    key = {"pk": {"S": f"order#{ORDER_ID}"}}
    metered.raw.update_item(
        TableName=metered.name,
        Key=key,
        UpdateExpression="SET odd = :odd",
        ExpressionAttributeValues={":odd": typed},
    )
    with pytest.raises(TypeError, match=rf"^no item of ours holds a {next(iter(typed))}$"):
        PaymentsTable(metered.client, metered.name).read(ORDER_ID)


@pytest.mark.parametrize("odd", [Decimal(49_950), b"", None])
def test_a_value_that_no_item_of_ours_holds_is_not_written(metered: Metered, odd: Any) -> None:
    record = opened()
    assert record.order is not None
    order = replace(record.order, receipt=odd)
    with pytest.raises(TypeError, match=rf"^no item of ours holds a {type(odd).__name__}$"):
        PaymentsTable(metered.client, metered.name).insert(replace(record, order=order))


def test_an_unknown_order_expires_and_ours_does_not() -> None:
    assert "expires_at" not in to_item(opened())
    assert to_item(unknown_record(ORDER_ID, OPENED))["expires_at"] > OPENED


def test_what_follows_from_the_facts_is_shown_beside_them() -> None:
    record = tell([(refunded(A, REFUND_1),), (captured(B, PART),)]).record
    payments = to_item(record)["payments"]
    assert payments[A]["auto_refunded"] is True
    assert payments[B]["mismatch"] == "amount_mismatch"
    assert "auto_refunded" not in payments[B]


def test_the_due_time_and_its_shard_come_and_go_together(metered: Metered) -> None:
    table = PaymentsTable(metered.client, metered.name)
    key = {"pk": {"S": f"order#{ORDER_ID}"}}
    table.insert(opened())
    item = metered.item(key)
    assert item is not None
    assert item["attention_shard"] == shard(ORDER_ID)
    settled = decide(opened(), [captured(A)], OPENED + 1).record
    table.save(opened(), settled)
    table.clear(settled, settled.pending)
    item = metered.item(key)
    assert item is not None
    assert not {"attention_at", "attention_shard"} & item.keys()
    assert item["pending"] == {}


def test_an_event_added_to_a_record_that_was_cleared_meanwhile_puts_it_back_into_the_index(metered: Metered) -> None:
    table = PaymentsTable(metered.raw, metered.name)
    table.insert(opened())
    paid = decide(opened(), [captured(A)], OPENED + 1).record
    table.save(opened(), paid)
    table.clear(paid, paid.pending)
    table.save(paid, decide(paid, [refunded(A, REFUND_1, PART)], OPENED + 2).record)
    assert [due.order_id for due in table.due(shard(ORDER_ID), OPENED + 3600)] == [ORDER_ID]


# --- the counter ----------------------------------------------------------------------------------------------------


def test_blocks_of_payment_ids_start_at_one_and_never_overlap(metered: Metered) -> None:
    table = PaymentsTable(metered.client, metered.name)
    assert [list(table.take_payment_ids(count)) for count in (1, 3, 2)] == [[1], [2, 3, 4], [5, 6]]
    assert metered.item({"pk": {"S": "counter#payment_id"}}) == {"pk": "counter#payment_id", "last_taken": Decimal(6)}


# --- DynamoDB's errors ----------------------------------------------------------------------------------------------


class Failing:
    """A client of which every call fails in one way."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def __getattr__(self, name: str) -> Any:
        def call(**_: object) -> None:
            raise self._error

        return call


CALLS: dict[str, Callable[[PaymentsTable], object]] = {
    "read": lambda table: table.read(ORDER_ID),
    "insert": lambda table: table.insert(opened()),
    "save": lambda table: table.save(opened(), decide(opened(), [Authorized(payment=A)], OPENED).record),
    "clear": lambda table: table.clear(opened(), ["id"]),
    "current_order": lambda table: table.current_order(1, 2),
    "point": lambda table: table.point(1, 2, ORDER_ID, seen=None),
    "take_payment_ids": lambda table: table.take_payment_ids(10),
    "due": lambda table: list(table.due("7", OPENED)),
}


def refusal(code: str, status: int) -> ClientError:
    return ClientError(
        {"Error": {"Code": code, "Message": ""}, "ResponseMetadata": {"HTTPStatusCode": status}},  # type: ignore[typeddict-item]  # the rest is not read
        "UpdateItem",
    )


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    "error",
    [
        refusal("ProvisionedThroughputExceededException", 400),
        refusal("ThrottlingException", 400),
        refusal("Throttling", 400),
        refusal("RequestLimitExceeded", 400),
        refusal("InternalServerError", 500),
        refusal("ServiceUnavailable", 503),
        ConnectTimeoutError(endpoint_url="https://dynamodb"),
        ReadTimeoutError(endpoint_url="https://dynamodb"),
        EndpointConnectionError(endpoint_url="https://dynamodb"),
    ],
    ids=lambda error: error.response["Error"]["Code"] if isinstance(error, ClientError) else type(error).__name__,
)
def test_what_time_may_cure_is_told_apart(call: str, error: Exception) -> None:
    table = PaymentsTable(Failing(error), "payments")  # type: ignore[arg-type]  # only as much of a client as is called
    with pytest.raises(TableUnavailable):
        CALLS[call](table)


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    "error", [refusal("AccessDeniedException", 400), NoCredentialsError()], ids=["denied", "no credentials"]
)
def test_what_only_a_person_can_cure_is_not_called_temporary(call: str, error: Exception) -> None:
    table = PaymentsTable(Failing(error), "payments")  # type: ignore[arg-type]  # as above
    with pytest.raises((ClientError, BotoCoreError)):
        CALLS[call](table)


@pytest.mark.parametrize("call", CALLS)
def test_an_error_answer_that_says_nothing_is_passed_on_as_it_is(call: str) -> None:
    silent = ClientError({}, call)
    table = PaymentsTable(Failing(silent), "payments")  # type: ignore[arg-type]  # as above
    with pytest.raises(ClientError) as raised:
        CALLS[call](table)
    assert raised.value is silent


def test_why_the_table_is_unavailable_is_said_in_its_own_words() -> None:
    for error, why in (
        (refusal("ThrottlingException", 400), "ThrottlingException"),
        (ReadTimeoutError(endpoint_url="https://dynamodb"), "ReadTimeoutError"),
    ):
        table = PaymentsTable(Failing(error), "payments")  # type: ignore[arg-type]  # as above
        with pytest.raises(TableUnavailable, match=rf"\A{why}\Z"):
            table.read(ORDER_ID)


def test_a_record_with_no_due_time_is_in_no_shard_of_the_index() -> None:
    item = to_item(replace(opened(), attention_at=None))
    assert not {"attention_at", "attention_shard"} & item.keys()


@pytest.mark.parametrize("call", ["insert", "save", "clear", "point"])
def test_a_failed_condition_is_a_conflict(call: str) -> None:
    table = PaymentsTable(Failing(refusal("ConditionalCheckFailedException", 400)), "payments")  # type: ignore[arg-type]  # as above
    with pytest.raises(StorageConflict):
        CALLS[call](table)


# --- the index ------------------------------------------------------------------------------------------------------


def test_the_due_records_of_a_shard_come_the_longest_overdue_first_and_page_by_page(
    metered: Metered, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("payments.adapters.table._PAGE", 2)
    table = PaymentsTable(metered.raw, metered.name)
    mine, overdue = [], OPENED + 900
    for number in range(200):
        record = replace(opened(), order_id=f"order_{number:014d}", attention_at=overdue - number)
        if shard(record.order_id) == "7":
            mine.append(Due(record.order_id, overdue - number))
        table.insert(record)
    for number in range(200, 260):
        table.insert(replace(opened(), order_id=f"order_{number:014d}", attention_at=overdue + 1))

    assert len(mine) > 4
    asked: list[str] = []
    metered.raw.meta.events.register("before-call.dynamodb.Query", lambda model, **_: asked.append(model.name))
    assert list(table.due("7", overdue)) == sorted(mine, key=lambda due: due.at)
    assert len(asked) >= len(mine) // 2
    assert list(table.due("7", mine[-1].at)) == [mine[-1]]
    assert list(table.due("7", mine[-1].at - 1)) == []
