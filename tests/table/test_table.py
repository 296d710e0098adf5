"""What only the real adapter has: items, the counter, and DynamoDB's errors."""

import json
from collections.abc import Callable
from copy import deepcopy, replace
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from boto3.dynamodb.types import TypeSerializer
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

from payments.adapters.table import Due, PaymentsTable, to_item, to_record
from payments.core.attention import SHARDS, after_look, partition, shard
from payments.core.errors import StorageConflict, TableUnavailable
from payments.core.events import encode
from payments.core.instants import epoch
from payments.core.lookup import Role
from payments.core.model import (
    MAX_ID,
    Application,
    Attempt,
    Authorized,
    DisputeState,
    HistoryEntry,
    KnownDispute,
    KnownRefund,
    Lane,
    Order,
    PendingEvent,
    Record,
    Refund,
    RefundState,
    Review,
    Status,
)
from payments.core.position import Position
from payments.core.sweeping import Aside, Pause, Watermark
from payments.core.transitions import decide, foreign, supersede, unknown_record
from tests.core.story import (
    DISPUTE_1,
    OPENED,
    ORDER_ID,
    OTHER_ORDER_ID,
    PART,
    REFUND_1,
    A,
    B,
    captured,
    opened,
    refunded,
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
REASON = st.sampled_from(["amount_mismatch", "over_refunded", "never_captured", "too_many_orders"])
AT = st.none() | st.integers(min_value=1, max_value=2**33)

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
    signed_at=AT,
    authorized=st.booleans(),
    failed=st.booleans(),
    fee_minor=AT,
    created_at=AT,
    failed_at=AT,
    listed_failed_at=AT,
    lapsed=st.booleans(),
    released=st.booleans(),
    total_minor=st.integers(min_value=0, max_value=10**11),
    refunds_unread=st.booleans(),
    method=WORD,
    code=WORD,
    reason=WORD,
    announced=st.booleans(),
)
CAPTURED = st.builds(
    Attempt,
    captured=st.just(value=True),
    amount_minor=MINOR,
    currency=st.sampled_from(["INR", "USD"]),
    fee_minor=AT,
    verdict=st.sampled_from(["exact", "fee", "offer"]),
    matched_in=st.integers(min_value=1, max_value=2**20),
    accepted=st.booleans(),
)
REFUNDS = st.builds(
    Refund,
    payment_id=st.just(A),
    amount_minor=MINOR,
    state=st.sampled_from(RefundState),
    failed=st.booleans(),
)
REVIEWS = st.builds(Review, reason=REASON, subject=PAYMENT, at=INSTANT) | st.builds(
    Review, reason=REASON, subject=PAYMENT, at=INSTANT, resolved_at=INSTANT, resolution=st.just("returned")
)
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
    review_state=st.sampled_from([None, "open", "resolved"]),
)


@st.composite
def records(draw: st.DrawFn) -> Record:
    order = draw(st.none() | ORDERS)
    lane = draw(st.none() | st.sampled_from(Lane))
    return Record(
        order_id=ORDER_ID,
        order=order,
        status=Status.UNKNOWN if order is None else draw(st.sampled_from([s for s in Status if s != Status.UNKNOWN])),
        confirmed=draw(st.booleans()),
        version=draw(ID),
        created_at=draw(INSTANT),
        updated_at=draw(INSTANT),
        attempts={A: draw(ATTEMPTS | CAPTURED), **draw(st.dictionaries(PAYMENT, ATTEMPTS | CAPTURED, max_size=3))},
        refunds=draw(st.dictionaries(REFUND, REFUNDS, max_size=3)),
        reviews=tuple(draw(st.lists(REVIEWS, max_size=2))),
        history=tuple(
            draw(
                st.lists(
                    st.builds(HistoryEntry, at=INSTANT, what=st.text(), status=st.sampled_from(Status)), max_size=3
                )
            )
        ),
        pending=draw(st.dictionaries(EVENT_ID, PENDING, max_size=3)),
        superseded_by=draw(st.none() | st.just("order_DESxiijbl9xjDB")),
        stood=draw(st.none() | st.just(A)),
        released=draw(st.booleans()),
        looked_at=draw(AT),
        lane=lane,
        attention_at=None if lane is None else draw(st.integers(min_value=1, max_value=2**33)),
        failures=draw(st.integers(min_value=0, max_value=99)),
        foreign=draw(st.booleans()),
        expires_at=draw(AT),
    )


@given(records())
def test_every_record_comes_back_from_the_table_as_it_was(record: Record) -> None:
    back = through_the_table(record)
    assert back == record
    assert type(back.version) is int


def test_an_item_has_the_documented_types(metered: Metered) -> None:
    table = PaymentsTable(metered.client, metered.name)
    record = decide(opened(), [captured(A), refunded(A, REFUND_1, PART)], OPENED + 1).record
    table.insert(replace(record, looked_at=OPENED))
    item = metered.raw.get_item(TableName=metered.name, Key={"pk": {"S": f"order#{ORDER_ID}"}})["Item"]
    types = {name: next(iter(value)) for name, value in item.items()}
    assert types == {
        **dict.fromkeys(("payment_id", "job_id", "application_id", "client_id", "freelancer_id", "amount"), "N"),
        **dict.fromkeys(("version", "attention_at", "looked_at"), "N"),
        "stood": "S",
        **dict.fromkeys(("pk", "order_id", "currency", "receipt", "status", "created_at", "updated_at"), "S"),
        "attention_shard": "S",
        "confirmed": "BOOL",
        **dict.fromkeys(("payments", "refunds", "pending"), "M"),
        **dict.fromkeys(("review", "history"), "L"),
    }


@pytest.mark.parametrize("typed", [{"NULL": True}, {"B": b"x"}, {"SS": ["x"]}])
def test_an_attribute_of_another_type_than_its_fields_is_named_and_not_guessed_at(metered: Metered, typed: Any) -> None:
    PaymentsTable(metered.client, metered.name).insert(opened())
    key = {"pk": {"S": f"order#{ORDER_ID}"}}
    metered.raw.update_item(
        TableName=metered.name,
        Key=key,
        UpdateExpression="SET receipt = :odd",
        ExpressionAttributeValues={":odd": typed},
    )
    with pytest.raises(ValueError, match="receipt"):
        PaymentsTable(metered.client, metered.name).read(ORDER_ID)


@pytest.mark.parametrize("odd", [Decimal(49_950), b"", None])
def test_a_value_of_another_type_than_its_fields_is_not_written(metered: Metered, odd: Any) -> None:
    record = opened()
    assert record.order is not None
    order = replace(record.order, receipt=odd)
    with pytest.raises(ValueError, match="receipt"):
        PaymentsTable(metered.client, metered.name).insert(replace(record, order=order))


def test_only_an_order_that_is_somebody_elses_expires() -> None:
    assert "expires_at" not in to_item(opened())
    assert "expires_at" not in to_item(unknown_record(ORDER_ID, OPENED))
    assert to_item(foreign(unknown_record(ORDER_ID, OPENED), OPENED))["expires_at"] > OPENED


def test_the_due_time_and_its_shard_come_and_go_together(metered: Metered) -> None:
    table = PaymentsTable(metered.client, metered.name)
    key = {"pk": {"S": f"order#{ORDER_ID}"}}
    table.insert(opened())
    settled = decide(opened(), [captured(A)], OPENED + 1).record
    table.save(opened(), settled)
    item = metered.item(key)
    assert item is not None
    assert item["attention_shard"] == shard(Lane.OUTBOX, ORDER_ID)
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
    assert [due.key for due in table.due(shard(Lane.OUTBOX, ORDER_ID), OPENED + 3600)] == [ORDER_ID]


# --- the counter ----------------------------------------------------------------------------------------------------


def test_blocks_of_payment_ids_start_at_one_and_never_overlap(metered: Metered) -> None:
    table = PaymentsTable(metered.client, metered.name)
    assert [list(table.take_payment_ids(count, "1f2e3d4c").ids) for count in (1, 3, 2)] == [[1], [2, 3, 4], [5, 6]]
    assert metered.item({"pk": {"S": "counter#payment_id"}}) == {
        "pk": "counter#payment_id",
        "last_taken": Decimal(6),
        "installation": "1f2e3d4c",
    }


def test_a_counter_of_version_0_1_goes_on_and_gets_an_installation(metered: Metered) -> None:
    metered.raw.put_item(TableName=metered.name, Item={"pk": {"S": "counter#payment_id"}, "last_taken": {"N": "40"}})
    table = PaymentsTable(metered.client, metered.name)
    assert table.installation() is None
    assert list(table.take_payment_ids(2, "1f2e3d4c").ids) == [41, 42]
    assert table.installation() == "1f2e3d4c"


def test_ids_reserved_for_an_import_are_skipped_and_may_grow_until_one_above_them_is_taken(metered: Metered) -> None:
    table = PaymentsTable(metered.client, metered.name)
    assert table.reserve_payment_ids(500)
    assert table.reserve_payment_ids(500)
    assert table.reserve_payment_ids(20)
    assert table.reserve_payment_ids(700)
    assert list(table.take_payment_ids(2, "1f2e3d4c").ids) == [701, 702]
    assert table.reserve_payment_ids(700)
    assert not table.reserve_payment_ids(701)
    assert metered.item({"pk": {"S": "counter#payment_id"}}) == {
        "pk": "counter#payment_id",
        "last_taken": Decimal(702),
        "imported_up_to": Decimal(700),
        "installation": "1f2e3d4c",
    }


def test_ids_that_this_service_has_taken_cannot_be_reserved(metered: Metered) -> None:
    table = PaymentsTable(metered.client, metered.name)
    table.take_payment_ids(10, "1f2e3d4c")
    assert not table.reserve_payment_ids(5)
    assert list(table.take_payment_ids(1, "1f2e3d4c").ids) == [11]


def test_the_first_id_can_be_reserved(metered: Metered) -> None:
    table = PaymentsTable(metered.client, metered.name)
    assert table.reserve_payment_ids(1)
    assert list(table.take_payment_ids(1, "1f2e3d4c").ids) == [2]


def test_ids_that_are_taken_at_the_same_moment_cannot_be_reserved(metered: Metered) -> None:
    table = PaymentsTable(metered.client, metered.name)

    class Overtaken:
        def get_item(self, **parameters: Any) -> Any:
            found = metered.raw.get_item(**parameters)
            table.take_payment_ids(10, "1f2e3d4c")
            return found

        def update_item(self, **parameters: Any) -> Any:
            # For moto, an attribute that is missing is one that is null. In DynamoDB nothing compares with it.
            assert {"NULL": True} not in parameters["ExpressionAttributeValues"].values()
            return metered.raw.update_item(**parameters)

    assert not PaymentsTable(Overtaken(), metered.name).reserve_payment_ids(5)  # type: ignore[arg-type]  # as below
    assert list(table.take_payment_ids(1, "1f2e3d4c").ids) == [11]


def test_first_orders_are_stored_with_their_applications_or_not_at_all(metered: Metered) -> None:
    table = PaymentsTable(metered.client, metered.name)
    order = opened().agreed()
    fifty = [
        replace(opened(), order_id=f"order_{number:014d}", order=replace(order, application_id=number))
        for number in range(1, 51)
    ]
    table.insert_first_orders(fifty)
    assert table.read_many(record.order_id for record in fifty) == {record.order_id: record for record in fifty}
    assert table.application(303, 50) == Application(
        client_id=303, application_id=50, current="order_00000000000050", orders=("order_00000000000050",)
    )
    new = replace(opened(), order_id=OTHER_ORDER_ID, order=replace(order, application_id=51))
    for taken in (fifty[7], replace(fifty[7], order_id="order_00000000000099")):
        with pytest.raises(StorageConflict):
            table.insert_first_orders([new, taken])
        assert table.read(OTHER_ORDER_ID) is None


def test_an_import_can_make_another_order_current(metered: Metered) -> None:
    table = PaymentsTable(metered.client, metered.name)
    table.open_application(303, 202, ORDER_ID)
    seen = table.application(303, 202)
    assert seen is not None
    table.extend_application(seen, OTHER_ORDER_ID, current=OTHER_ORDER_ID)
    grown = table.application(303, 202)
    assert grown is not None
    assert (grown.current, grown.orders) == (OTHER_ORDER_ID, (ORDER_ID, OTHER_ORDER_ID))


# --- DynamoDB's errors ----------------------------------------------------------------------------------------------


class Failing:
    """A client whose calls all fail in one way."""

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
    "read_many": lambda table: table.read_many([ORDER_ID]),
    "application": lambda table: table.application(1, 2),
    "open_application": lambda table: table.open_application(1, 2, ORDER_ID),
    "insert_first_orders": lambda table: table.insert_first_orders([opened()]),
    "extend_application": lambda table: table.extend_application(SEEN, ORDER_ID),
    "replace_order": lambda table: table.replace_order(
        SEEN, opened(), (opened(), supersede(opened(), OTHER_ORDER_ID, OPENED))
    ),
    "take_payment_ids": lambda table: table.take_payment_ids(10, "1f2e3d4c"),
    "installation": lambda table: table.installation(),
    "raise_payment_ids": lambda table: table.raise_payment_ids(10),
    "reserve_payment_ids": lambda table: table.reserve_payment_ids(10),
    "due": lambda table: list(table.due("7", OPENED)),
    "payments_of": lambda table: table.payments_of(Role.CLIENT, 42, None, 25),
    "refunds": lambda table: table.refunds([REFUND_1]),
    "keep_refunds": lambda table: table.keep_refunds([KNOWN]),
    "disputes": lambda table: table.disputes([DISPUTE_1]),
    "keep_disputes": lambda table: table.keep_disputes([DISPUTED]),
    "watermark": lambda table: table.watermark("payments-900"),
    "watermarks": lambda table: table.watermarks(["payments-900"]),
    "move_watermark": lambda table: table.move_watermark("payments-900", None, Watermark(at=1, span=1)),
    "set_aside": lambda table: table.set_aside(Aside.first(A, OPENED)),
    "aside": lambda table: table.aside(A),
    "end_aside": lambda table: table.end_aside(A),
    "pause": lambda table: table.pause(),
    "set_pause": lambda table: table.set_pause(Pause(until=OPENED, streak=1)),
}
SEEN: Application = Application(client_id=1, application_id=2, current=OTHER_ORDER_ID, orders=(OTHER_ORDER_ID,))
KNOWN: KnownRefund = KnownRefund(
    refund_id=REFUND_1, payment_id=A, order_id=None, amount_minor=1, state=RefundState.CREATED
)
DISPUTED: KnownDispute = KnownDispute(dispute_id=DISPUTE_1, payment_id=A, state=DisputeState.OPEN)


def test_every_method_is_among_these() -> None:
    assert set(CALLS) == {name for name in vars(PaymentsTable) if not name.startswith("_")}


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
    item = to_item(opened())
    assert not {"attention_at", "attention_shard"} & item.keys()


CONDITIONAL = ["insert", "save", "clear", "open_application", "extend_application", "move_watermark"]


@pytest.mark.parametrize("call", CONDITIONAL)
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
        key = f"order_{number:014d}"
        if shard(Lane.WATCH, key) == "watch-7":
            mine.append(Due(key, overdue - number))
            table.insert(replace(opened(), order_id=key, lane=Lane.WATCH, attention_at=overdue - number))
    table.insert(replace(opened(), lane=Lane.OUTBOX, attention_at=overdue))

    assert len(mine) > 4
    asked: list[str] = []
    metered.raw.meta.events.register("before-call.dynamodb.Query", lambda model, **_: asked.append(model.name))
    assert list(table.due("watch-7", overdue)) == sorted(mine, key=lambda due: due.at)
    assert len(asked) >= len(mine) // 2
    assert list(table.due("watch-7", mine[-1].at)) == [mine[-1]]
    assert list(table.due("watch-7", mine[-1].at - 1)) == []


def test_each_lane_has_partitions_of_its_own_and_the_outbox_those_of_version_0_1() -> None:
    names = [partition(lane, number) for lane in Lane for number in range(SHARDS)]
    assert len(set(names)) == len(names)
    assert {partition(Lane.OUTBOX, number) for number in range(SHARDS)} == {str(number) for number in range(16)}


# --- transactions and batches, as DynamoDB answers them ---


def cancelled(*codes: str) -> ClientError:
    """ "TransactWriteItems": cancellation reasons in the order of the actions."""
    answer: Any = {
        "Error": {"Code": "TransactionCanceledException", "Message": ""},
        "ResponseMetadata": {"HTTPStatusCode": 400},
        "CancellationReasons": [{"Code": code} for code in codes],
    }
    return ClientError(answer, "TransactWriteItems")


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (cancelled("None", "ConditionalCheckFailed", "None"), StorageConflict),
        (cancelled("TransactionConflict", "None", "None"), StorageConflict),
        (cancelled("ConditionalCheckFailed", "TransactionConflict", "None"), StorageConflict),
        (cancelled("ThrottlingError", "None", "None"), TableUnavailable),
        (cancelled("ConditionalCheckFailed", "ProvisionedThroughputExceeded", "None"), TableUnavailable),
        (refusal("TransactionConflictException", 400), StorageConflict),
        (refusal("TransactionInProgressException", 400), TableUnavailable),
        (cancelled("ValidationError", "None", "None"), ClientError),
        (cancelled("ItemCollectionSizeLimitExceeded", "None", "None"), ClientError),
    ],
    ids=str,
)
def test_why_a_transaction_did_not_happen_is_told_apart(error: Exception, kind: type[Exception]) -> None:
    table = PaymentsTable(Failing(error), "payments")  # type: ignore[arg-type]  # as above
    with pytest.raises(kind) as raised:
        CALLS["replace_order"](table)
    assert type(raised.value) is kind


def test_a_transaction_that_was_throttled_says_so() -> None:
    table = PaymentsTable(Failing(cancelled("ThrottlingError")), "payments")  # type: ignore[arg-type]  # as above
    with pytest.raises(TableUnavailable, match=r"^TransactionCanceled$"):
        CALLS["replace_order"](table)


@pytest.fixture
def unhurried(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Records the pauses between the rounds of a batch, without waiting."""
    pauses: list[float] = []
    monkeypatch.setattr("payments.adapters.table.time.sleep", pauses.append)
    return pauses


class Hesitant:
    """A client that leaves most keys of a batch unprocessed ("BatchGetItem": UnprocessedKeys), for some rounds."""

    def __init__(self, client: Any, rounds: int) -> None:
        self._client = client
        self._rounds = rounds
        self.asked: list[int] = []

    def batch_get_item(self, *, RequestItems: dict[str, Any]) -> dict[str, Any]:  # noqa: N803 - boto3's own
        ((name, wanted),) = RequestItems.items()
        assert 1 <= len(wanted["Keys"]) <= 100
        self.asked.append(len(wanted["Keys"]))
        if self._rounds == 0:
            answer: dict[str, Any] = self._client.batch_get_item(RequestItems=RequestItems)
            return answer
        self._rounds -= 1
        kept, left = deepcopy(wanted), deepcopy(wanted)
        kept["Keys"], left["Keys"] = wanted["Keys"][:1], wanted["Keys"][1:]
        answer = self._client.batch_get_item(RequestItems={name: kept})
        return {**answer, "UnprocessedKeys": {name: left} if left["Keys"] else {}}


@pytest.mark.parametrize("rounds", range(5))
def test_keys_that_dynamodb_leaves_over_are_asked_for_again(
    metered: Metered, unhurried: list[float], rounds: int
) -> None:
    order_ids = [f"order_{number:014d}" for number in range(12)]
    for order_id in order_ids:
        PaymentsTable(metered.raw, metered.name).insert(replace(opened(), order_id=order_id))
    hesitant = Hesitant(metered.raw, rounds)
    table = PaymentsTable(hesitant, metered.name)  # type: ignore[arg-type]  # as above
    assert set(table.read_many(order_ids)) == set(order_ids)
    assert hesitant.asked == [12 - round_ for round_ in range(rounds + 1)]
    # "Use an exponential backoff algorithm."
    assert all(later == 2 * earlier for earlier, later in pairwise(unhurried))


@pytest.mark.parametrize(
    "changes", [{"payments": []}, {"version": "odd"}, {"status": "odd"}, {"refunds": {REFUND_1: {}}}, {"review": [7]}]
)
def test_a_record_that_cannot_be_read_is_left_out_of_a_hasty_batch_and_fails_one_that_counts(
    metered: Metered, changes: dict[str, Any]
) -> None:
    table = PaymentsTable(metered.raw, metered.name)
    for order_id in (ORDER_ID, OTHER_ORDER_ID):
        table.insert(replace(opened(), order_id=order_id))
    item = TypeSerializer().serialize({**to_item(opened()), **changes})["M"]
    metered.raw.put_item(TableName=metered.name, Item=item)
    assert set(table.read_many([ORDER_ID, OTHER_ORDER_ID], consistent=False)) == {OTHER_ORDER_ID}
    assert set(table.read_many([ORDER_ID, OTHER_ORDER_ID], only_readable=True)) == {OTHER_ORDER_ID}
    with pytest.raises((AttributeError, KeyError, TypeError, ValueError)):
        table.read_many([ORDER_ID, OTHER_ORDER_ID])


def test_what_was_set_aside_is_an_item_of_its_own_until_it_is_ended(metered: Metered) -> None:
    table = PaymentsTable(metered.client, metered.name)
    for key in (A, B):
        table.set_aside(Aside(razorpay_id=key, since=OPENED, failures=2, due_at=OPENED + 600))
    assert metered.item({"pk": {"S": f"aside#{A}"}}) == {
        "pk": f"aside#{A}",
        "since": OPENED,
        "failures": 2,
        "attention_at": OPENED + 600,
        "attention_shard": "aside",
    }
    table.end_aside(A)
    assert (table.aside(A), table.aside(B)) == (
        None,
        Aside(razorpay_id=B, since=OPENED, failures=2, due_at=OPENED + 600),
    )


@pytest.mark.parametrize(
    ("read", "consistent"),
    [
        (lambda table: table.read_many([ORDER_ID]), True),
        (lambda table: table.read_many([ORDER_ID], consistent=False), False),
        (lambda table: table.refunds([REFUND_1]), False),
        (lambda table: table.disputes([DISPUTE_1]), False),
        (lambda table: table.watermarks(["payments-900"]), True),
    ],
    ids=["records", "records, hastily", "refunds", "disputes", "watermarks"],
)
def test_only_what_may_be_behind_is_read_at_half_the_price(
    metered: Metered, read: Callable[[PaymentsTable], object], consistent: bool
) -> None:
    asked = []

    class Recording:
        def batch_get_item(self, *, RequestItems: dict[str, Any]) -> Any:  # noqa: N803 - boto3's own
            asked.append(RequestItems[metered.name]["ConsistentRead"])
            return metered.raw.batch_get_item(RequestItems=RequestItems)

    read(PaymentsTable(Recording(), metered.name))  # type: ignore[arg-type]  # the one method that is called
    assert asked == [consistent]


def test_a_page_of_a_list_reads_one_payment_more_than_it_shows(metered: Metered) -> None:
    """To know whether there is another page; whatever else is read is paid for in vain."""
    asked = []

    class Recording:
        def query(self, **parameters: Any) -> Any:
            asked.append(parameters["Limit"])
            return metered.raw.query(**parameters)

    table = PaymentsTable(Recording(), metered.name)  # type: ignore[arg-type]  # the one method that is called
    assert table.payments_of(Role.CLIENT, 42, None, 25) == ([], False)
    assert asked == [26]


def test_an_answer_that_names_no_table_has_nothing_of_it(metered: Metered) -> None:
    class Silent:
        def batch_get_item(self, **_: object) -> dict[str, Any]:
            return {"Responses": {}, "UnprocessedKeys": {}}

    assert PaymentsTable(Silent(), metered.name).read_many([ORDER_ID]) == {}  # type: ignore[arg-type]  # as above


@pytest.mark.parametrize("expires_at", [None, OPENED + 600])
def test_a_refund_is_an_item_of_its_own_and_expires_only_where_that_is_said(
    metered: Metered, expires_at: int | None
) -> None:
    known = KnownRefund(
        refund_id=REFUND_1, payment_id=A, order_id=ORDER_ID, amount_minor=PART, state=RefundState.CREATED
    )
    PaymentsTable(metered.client, metered.name).keep_refunds([known], expires_at=expires_at)
    assert metered.item({"pk": {"S": f"refund#{REFUND_1}"}}) == {
        "pk": f"refund#{REFUND_1}",
        "payment": A,
        "order_id": ORDER_ID,
        "amount": PART,
        "state": "created",
    } | ({} if expires_at is None else {"expires_at": expires_at})


@pytest.mark.parametrize("expires_at", [None, OPENED + 600])
def test_a_dispute_is_an_item_of_its_own_and_expires_only_where_that_is_said(
    metered: Metered, expires_at: int | None
) -> None:
    PaymentsTable(metered.client, metered.name).keep_disputes([DISPUTED], expires_at=expires_at)
    assert metered.item({"pk": {"S": f"dispute#{DISPUTE_1}"}}) == {
        "pk": f"dispute#{DISPUTE_1}",
        "payment": A,
        "state": "open",
    } | ({} if expires_at is None else {"expires_at": expires_at})


def test_a_batch_that_never_ends_is_no_answer_and_not_taken_for_missing_records(
    metered: Metered, unhurried: list[float]
) -> None:
    table = PaymentsTable(Hesitant(metered.raw, 99), metered.name)  # type: ignore[arg-type]  # as above
    with pytest.raises(TableUnavailable, match=r"^DynamoDB left keys of a batch over\.$"):
        table.read_many([f"order_{number:014d}" for number in range(50)])
    assert sum(unhurried) < 5


# --- what a later version left behind, after a rollback -------------------------------------------------------------


def test_words_of_a_later_version_are_kept_and_published_as_they_are() -> None:
    """A rollback must not make records unreadable: the old version publishes what the new one recorded."""
    item = from_0_1(
        status="paid",
        confirmed=True,
        payments={A: {**EXACT, "verdict": "rounded"}},
        review=[{"reason": "payout_blocked", "subject": A, "at": "2026-03-01T09:31:00Z"}],
        pending={
            "6d1b3a2e": {
                "type": "payment.payout_changed",
                "version": 3,
                "at": "2026-03-01T09:31:00Z",
                "status": "paid",
                "refunded": 0,
                "payment": A,
                "review": "payout_blocked",
                "review_state": "escalated",
            }
        },
    )
    record = to_record(item)
    assert to_record(to_item(record)) == record
    (identity, event), *_ = record.pending.items()
    assert event.type == "payment.payout_changed"
    assert json.loads(encode(record, identity, event))["review"] == {"reason": "payout_blocked", "state": "escalated"}
    later = decide(record, [refunded(A, REFUND_1)], OPENED + 900).record
    assert [review.reason for review in later.reviews] == ["payout_blocked"]
    assert later.pending[identity] == event


# --- what version 0.1 left behind -------------------------------------------------------------------------------------


def from_0_1(**changes: Any) -> dict[str, Any]:
    """A record as 0.1 wrote it: plain values, `signed` without a time, no verdict, no standing payment."""
    return {
        "pk": f"order#{ORDER_ID}",
        "order_id": ORDER_ID,
        "payment_id": 17,
        "job_id": 101,
        "application_id": 202,
        "client_id": 303,
        "freelancer_id": 404,
        "amount": 50_000,
        "currency": "INR",
        "receipt": "dev-17",
        "status": "created",
        "confirmed": False,
        "version": 1,
        "created_at": "2026-03-01T09:30:00Z",
        "updated_at": "2026-03-01T09:31:00Z",
        "payments": {},
        "refunds": {},
        "review": [],
        "history": [],
        "pending": {},
        **changes,
    }


EXACT = {"signed": True, "captured": True, "amount": 50_000, "currency": "INR", "method": "upi"}
PAID = from_0_1(status="paid", confirmed=True, version=3, payments={A: EXACT})


def test_a_confirmed_payment_of_version_0_1_stands() -> None:
    record = to_record(PAID)
    position = Position.of(record)
    assert (record.status, position.status(), position.standing, record.stood) == (Status.PAID, Status.PAID, A, A)
    assert record.attempts[A].verdict == "exact"
    assert not Position.of(record).under_review


def test_what_comes_after_an_update_tells_nothing_twice() -> None:
    record = to_record(PAID)
    assert not decide(record, [captured(A)], OPENED + 900).changed
    refund = decide(record, [refunded(A, REFUND_1, PART)], OPENED + 900)
    assert [event.type for event in refund.record.pending.values()] == ["payment.partially_refunded"]
    full = decide(record, [refunded(A, REFUND_1)], OPENED + 900).record
    assert (full.status, Position.of(full).amount_refunded) == (Status.REFUNDED, 50_000)
    second = decide(record, [captured(B)], OPENED + 900).record
    assert (second.status, Position.of(second).standing) == (Status.PAID, A)
    assert [review.reason for review in second.reviews] == ["duplicate_capture"]


def test_a_signature_of_version_0_1_counts_from_the_orders_creation_on() -> None:
    record = to_record(from_0_1(status="paid", payments={A: {"signed": True}}))
    assert record.attempts[A].signed_at == epoch("2026-03-01T09:30:00Z")
    assert Position.of(record).status() is Status.PAID
    assert to_record(from_0_1(payments={A: {"failed": True}})).attempts[A].signed_at is None


def test_of_two_captures_of_version_0_1_the_one_that_was_not_reviewed_stands() -> None:
    review = {"reason": "duplicate_capture", "subject": A, "at": "2026-03-01T09:31:00Z"}
    record = to_record(from_0_1(status="paid", confirmed=True, payments={A: EXACT, B: EXACT}, review=[review]))
    assert (Position.of(record).standing, record.stood) == (B, B)
    assert Position.of(record).surplus == {A}


def test_a_refunded_order_of_version_0_1_stays_refunded_and_shows_how_much() -> None:
    refund = {"payment": A, "amount": 50_000, "state": "processed"}
    record = to_record(from_0_1(status="refunded", confirmed=True, payments={A: EXACT}, refunds={REFUND_1: refund}))
    assert (record.status, record.stood, Position.of(record).amount_refunded) == (Status.REFUNDED, A, 50_000)
    later = decide(record, [captured(B)], OPENED + 900).record
    assert later.status is Status.REFUNDED


def test_an_attribute_is_read_by_its_own_name_only() -> None:
    # docs/data-model.md calls it `made`.
    record = to_record(from_0_1(payments={A: {**EXACT, "created_at": OPENED}}))
    assert record.attempts[A].created_at is None


@pytest.mark.parametrize(
    "wrong", [{"amount": 49_999, "mismatch": "amount_mismatch"}, {"currency": "USD", "mismatch": "currency_mismatch"}]
)
def test_a_wrong_sum_of_version_0_1_stands_no_more_than_before(wrong: dict[str, Any]) -> None:
    record = to_record(from_0_1(payments={A: {**EXACT, **wrong}}))
    assert (record.stood, Position.of(record).standing) == (None, None)
    assert Position.of(record).under_review


def test_a_capture_that_version_0_1_had_not_confirmed_is_judged_but_has_not_stood() -> None:
    """Version 0.1 confirmed what it published, but not, for example, a capture after a full refund."""
    refund = {"payment": A, "amount": 50_000, "state": "processed"}
    record = to_record(from_0_1(status="refunded", payments={A: EXACT}, refunds={REFUND_1: refund}))
    assert (record.attempts[A].verdict, record.stood) == ("exact", None)


def test_a_capture_on_a_superseded_order_of_version_0_1_is_under_review() -> None:
    record = to_record({**PAID, "superseded_by": OTHER_ORDER_ID})
    assert (record.stood, Position.of(record).standing) == (None, None)
    assert Position.of(record).under_review


def test_what_was_due_in_version_0_1_is_due_in_the_outbox_and_moves_on_from_there() -> None:
    record = to_record(from_0_1(attention_at=OPENED + 900, attention_shard="7"))
    assert (record.lane, record.attention_at) == (Lane.OUTBOX, OPENED + 900)
    assert after_look(record, OPENED + 900).lane is None
    alive = to_record(from_0_1(payments={A: {"authorized": True}}, attention_at=OPENED + 900, attention_shard="7"))
    assert after_look(alive, OPENED + 900).lane is Lane.WATCH


def test_an_unknown_order_of_version_0_1_is_asked_about_and_expires_no_more() -> None:
    item = from_0_1(status="unknown", payments={A: EXACT}, attention_at=OPENED + 60, attention_shard="7", expires_at=9)
    for name in ("payment_id", "job_id", "application_id", "client_id", "freelancer_id", "amount", "currency"):
        del item[name]
    record = to_record(item)
    assert (record.order, record.stood, record.attempts[A].verdict) == (None, None, None)
    moved = after_look(record, OPENED + 60)
    assert (moved.lane, moved.expires_at) == (Lane.UNKNOWN, None)


def test_an_application_of_version_0_1_has_its_one_order_and_can_grow(metered: Metered) -> None:
    key = {"pk": {"S": "application#303#202"}}
    metered.raw.put_item(TableName=metered.name, Item={**key, "order_id": {"S": ORDER_ID}})
    table = PaymentsTable(metered.client, metered.name)
    seen = table.application(303, 202)
    assert seen == Application(client_id=303, application_id=202, current=ORDER_ID, orders=(ORDER_ID,))
    assert seen is not None
    table.extend_application(seen, OTHER_ORDER_ID)
    grown = table.application(303, 202)
    assert grown is not None
    assert (grown.current, grown.orders) == (ORDER_ID, (ORDER_ID, OTHER_ORDER_ID))
    with pytest.raises(StorageConflict):
        table.extend_application(seen, "order_00000000000003")


def test_an_order_of_version_0_1_can_be_replaced(metered: Metered) -> None:
    metered.raw.put_item(TableName=metered.name, Item={"pk": {"S": "application#303#202"}, "order_id": {"S": ORDER_ID}})
    table = PaymentsTable(metered.client, metered.name)
    table.insert(opened())
    seen = table.application(303, 202)
    assert seen is not None
    fresh = replace(opened(), order_id=OTHER_ORDER_ID)
    table.replace_order(seen, fresh, (opened(), supersede(opened(), OTHER_ORDER_ID, OPENED + 1)))
    grown = table.application(303, 202)
    assert grown is not None
    assert (grown.current, grown.orders) == (OTHER_ORDER_ID, (ORDER_ID, OTHER_ORDER_ID))
