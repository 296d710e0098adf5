"""docs/data-model.md against the code: the real mapping reads its examples, its tables name every attribute."""

import json
import re
from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any, Final

import pytest
from boto3.dynamodb.types import TypeSerializer

from payments.adapters.table import PARTY_INDEXES, PaymentsTable, to_item, to_record
from payments.core.announcements import MAX_REVIEWS
from payments.core.attention import SHARDS, partition
from payments.core.disputes import MAX_DISPUTES
from payments.core.facts import MAX_ATTEMPTS, MAX_FACTS, MAX_REFUNDS
from payments.core.model import (
    Application,
    Attempt,
    Dispute,
    HistoryEntry,
    KnownDispute,
    KnownRefund,
    Lane,
    Mandate,
    Model,
    Order,
    PendingEvent,
    Record,
    Refund,
    RefundIntent,
    Review,
    Status,
)
from payments.core.ordering import MAX_ORDERS
from payments.core.sweeping import ASIDE_PARTITION, DISPUTES, PASSES, Aside, Pause, Watermark
from payments.core.transitions import open_record, unknown_record, with_entry
from tests.core.story import OPENED, ORDER, ORDER_ID
from tests.docs.pages import claim
from tests.handlers.template import table_schema
from tests.secrecy.words import found
from tests.table.dynamodb import Metered

PAGE: Final = (Path(__file__).parents[2] / "docs/data-model.md").read_text(encoding="utf-8")
BLOCKS: Final = claim(
    "docs/data-model.md",
    sections=("Examples of records", "Application", "Refund", "Dispute", "Counter", "Watermark", "Aside", "Pause"),
    languages=("json",),
)
TYPES: Final = {"string": "string", "integer": "number", "boolean": "boolean", "object": "map", "array": "list"}
"""The DynamoDB type for each JSON Schema type of a model."""

type Item = dict[str, Any]


def section(title: str) -> str:
    """The text under a heading, up to the next of its level or above."""
    (level,) = re.findall(rf"^(##+) {re.escape(title)}$", PAGE, re.MULTILINE)
    text = PAGE.split(f"\n{level} {title}\n")[1]
    return re.split(rf"^#{{2,{len(level)}}} ", text, flags=re.MULTILINE)[0]


def described(title: str) -> dict[str, str]:
    """The attributes that a section explains, and their types."""
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| (.+) \|$", section(title), re.MULTILINE)
    names = [name for name, _, _ in rows]
    assert len(names) == len(set(names)), f"{title} explains something twice"
    return {name: kind for name, kind, _ in rows}


def examples(title: str) -> list[Item]:
    """The items that a section shows."""
    found = [json.loads(block.text) for block in BLOCKS if block.section == title]
    assert found, f"{title} has no example"
    return found


def stored(model: type[Model], *, without: AbstractSet[str] = frozenset()) -> dict[str, str]:
    """The attributes for a model's fields in the table, and their types."""
    schema = model.model_json_schema(by_alias=True, mode="serialization")
    left_out = {model.model_fields[name].alias or name for name in without}
    return {
        name: TYPES[_type(field, schema.get("$defs", {}))]
        for name, field in schema["properties"].items()
        if name not in left_out
    }


def _type(field: Item, definitions: Item) -> str:
    for part in field.get("anyOf", ()):
        if part != {"type": "null"}:
            return _type(part, definitions)
    for part in field.get("allOf", ()):
        return _type(part, definitions)
    if "$ref" in field:
        return _type(definitions[field["$ref"].rpartition("/")[2]], definitions)
    return str(field["type"])


# --- every attribute is explained -----------------------------------------------------------------------------------

KEY: Final = {"pk": "string"}
DUE: Final = {"attention_shard": "string", "attention_at": "number"}
AGREED: Final = stored(Order)


def test_the_record_is_explained_attribute_by_attribute() -> None:
    # The order's fields are stored flat, and the lane is part of the partition's name.
    whole = KEY | stored(Record, without={"order", "lane"}) | AGREED | DUE
    parts = ("Always there", "What was agreed", "There when it applies")
    assert [described(part) for part in parts if not described(part)] == []
    assert {name: kind for part in parts for name, kind in described(part).items()} == whole
    assert sum(len(described(part)) for part in parts) == len(whole)


def test_what_is_said_to_be_always_there_is_in_the_smallest_record() -> None:
    smallest = to_item(unknown_record(ORDER_ID, OPENED))
    assert smallest.keys() == described("Always there").keys()
    new = to_item(open_record(ORDER_ID, ORDER, OPENED))
    assert new.keys() - smallest.keys() == described("What was agreed").keys()


@pytest.mark.parametrize(
    ("title", "attributes"),
    [
        ("Attempts", stored(Attempt)),
        ("Refunds of a record", stored(Refund)),
        ("Refund intents", stored(RefundIntent)),
        ("Disputes of a record", stored(Dispute)),
        ("Reviews", stored(Review)),
        ("History", stored(HistoryEntry) | stored(Mandate)),
        ("Pending events", stored(PendingEvent)),
        ("Application", KEY | stored(Application, without={"client_id", "application_id"})),
        ("Refund", KEY | stored(KnownRefund, without={"refund_id"}) | {"expires_at": "number"}),
        ("Dispute", KEY | stored(KnownDispute, without={"dispute_id"}) | {"expires_at": "number"}),
        ("Counter", KEY | {"last_taken": "number", "installation": "string", "imported_up_to": "number"}),
        ("Watermark", KEY | stored(Watermark)),
        ("Aside", KEY | stored(Aside, without={"razorpay_id"}) | DUE),
        ("Pause", KEY | stored(Pause)),
    ],
)
def test_every_stored_attribute_is_explained_and_nothing_else_is(title: str, attributes: dict[str, str]) -> None:
    assert described(title) == attributes


def test_a_kind_of_item_has_a_section_and_an_example_of_its_key() -> None:
    kinds = re.findall(r"^\| \[([\w ]+)\]\(#[\w-]+\) \| `([^`]+)` \|", section("Items"), re.MULTILINE)
    assert len(kinds) == 8
    for title, key in kinds:
        form = re.sub(r"<[^>]+>", "[A-Za-z0-9_-]+", key)
        for example in examples("Examples of records" if title == "Payment record" else title):
            assert re.fullmatch(form, example["pk"]), (title, example["pk"])


# --- the examples are real ------------------------------------------------------------------------------------------

RECORDS: Final = examples("Examples of records")


@pytest.mark.parametrize("example", RECORDS, ids=lambda item: item["pk"])
def test_a_record_of_the_page_is_read_and_written_as_it_stands(example: Item) -> None:
    assert to_item(to_record(example)) == example


@pytest.mark.parametrize("example", RECORDS, ids=lambda item: item["pk"])
def test_a_record_of_the_page_tells_a_story_that_holds_together(example: Item) -> None:
    record = to_record(example)
    assert record.history[-1].status is record.status
    assert len(record.history) == record.version
    assert {event.version for event in record.pending.values()} <= {record.version}
    assert (record.lane is Lane.OUTBOX) == bool(record.pending)
    assert record.foreign == (record.expires_at is not None)
    assert (record.order is None) == (record.status is Status.UNKNOWN)


def test_the_records_of_the_page_show_every_part_of_one() -> None:
    for part in ("payments", "refunds", "disputes", "review", "history", "pending"):
        assert any(example.get(part) for example in RECORDS), part


type Write = Callable[[], None]
"""Stores what was read, in an empty table."""


def _read_application(table: PaymentsTable, item: Item) -> Write:
    client_id, application_id = map(int, item["pk"].split("#")[1:])
    read = table.application(client_id, application_id)
    assert read is not None
    first, *others = read.orders

    def write() -> None:
        table.open_application(read.client_id, read.application_id, first)
        for order_id in others:
            seen = table.application(read.client_id, read.application_id)
            assert seen is not None
            table.replace_order(seen, open_record(order_id, ORDER, OPENED), None)

    assert read.current == read.orders[-1]
    return write


def _read_refund(table: PaymentsTable, item: Item) -> Write:
    (known,) = table.refunds([_id(item)]).values()
    return lambda: table.keep_refunds([known], expires_at=item.get("expires_at"))


def _read_dispute(table: PaymentsTable, item: Item) -> Write:
    (known,) = table.disputes([_id(item)]).values()
    return lambda: table.keep_disputes([known], expires_at=item.get("expires_at"))


def _read_counter(table: PaymentsTable, item: Item) -> Write:
    installation = table.installation()
    assert installation == item["installation"]
    assert installation is not None
    (following,) = table.take_payment_ids(1, "another").ids

    def write() -> None:
        table.take_payment_ids(following - 1, installation)

    return write


def _read_watermark(table: PaymentsTable, item: Item) -> Write:
    read = table.watermark(_id(item))
    assert read is not None
    assert _id(item) in {one.name for one in PASSES}
    return lambda: table.move_watermark(_id(item), None, read)


def _read_aside(table: PaymentsTable, item: Item) -> Write:
    (due,) = table.due("aside", item["attention_at"])
    read = table.aside(due.key)
    assert read is not None
    return lambda: table.set_aside(read)


def _read_pause(table: PaymentsTable, item: Item) -> Write:
    read = table.pause()
    assert read is not None
    assert read.until == item["until"]
    return lambda: table.set_pause(read)


def _id(item: Item) -> str:
    identity: str = item["pk"].partition("#")[2]
    return identity


@pytest.mark.parametrize(
    ("title", "read"),
    [
        ("Application", _read_application),
        ("Refund", _read_refund),
        ("Dispute", _read_dispute),
        ("Counter", _read_counter),
        ("Watermark", _read_watermark),
        ("Aside", _read_aside),
        ("Pause", _read_pause),
    ],
)
def test_an_item_of_the_page_is_read_and_written_as_it_stands(
    metered: Metered, title: str, read: Callable[[PaymentsTable, Item], Write]
) -> None:
    table = PaymentsTable(metered.client, metered.name)
    for example in examples(title):
        key = {"pk": {"S": example["pk"]}}
        typed = {name: TypeSerializer().serialize(value) for name, value in example.items()}
        metered.raw.put_item(TableName=metered.name, Item=typed)
        write = read(table, example)
        metered.raw.delete_item(TableName=metered.name, Key=key)
        write()
        assert metered.item(key) == example


IDS: Final = r"(order|pay|rfnd|disp)_[A-Za-z0-9]{14}"
HARMLESS: Final = re.compile(
    "|".join(
        (
            IDS,
            rf"[a-z]+#({IDS}|[a-z_]+|[a-z]+-\d+|\d+#\d+)",  # a key
            r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ",
            r"[A-Za-z_.]+|\d\d?",  # one of our or Razorpay's words, or a partition
            rf"[a-z ]+ {IDS}",  # the history's texts
            r"production-[0-9a-f]{8}-\d+|[0-9a-f]{8}",  # a receipt, an installation
        )
    )
)


def texts(value: object) -> Iterator[str]:
    """Every text in an item, including those in lists and maps."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from (text for part in value.values() for text in texts(part))
    elif isinstance(value, list):
        yield from (text for part in value for text in texts(part))


def test_no_example_has_anything_secret_or_personal_in_it() -> None:
    assert found(PAGE) == []
    shown = [json.loads(text) for text in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)]
    assert [text for item in shown for text in texts(item) if not HARMLESS.fullmatch(text)] == []


# --- the rest of the page -------------------------------------------------------------------------------------------


def test_the_table_is_the_templates() -> None:
    schema = table_schema()
    assert [(key["AttributeName"], key["KeyType"]) for key in schema["KeySchema"]] == [("pk", "HASH")]
    keys = {
        index["IndexName"]: [key["AttributeName"] for key in index["KeySchema"]]
        for index in schema["GlobalSecondaryIndexes"]
    }
    assert keys == {"attention": list(DUE)} | {name: [party, "created_at"] for name, party in PARTY_INDEXES.values()}
    assert all(index["Projection"] == {"ProjectionType": "KEYS_ONLY"} for index in schema["GlobalSecondaryIndexes"])
    said = " ".join(section("The indexes of a user's payments").split())
    for name, party in PARTY_INDEXES.values():
        assert f"`{name}` (partition key `{party}`)" in said
    assert "the sort key of both is `created_at`, and they are keys only" in said
    said = " ".join(section("The table").split())
    for word in ("| partition key | `pk` (string)", "| sort key | none", "`attention`: sparse, keys only"):
        assert word in said


def test_only_records_of_ours_have_the_keys_of_a_users_index_and_from_the_start() -> None:
    keys = {"created_at", *(party for _, party in PARTY_INDEXES.values())}
    assert keys <= to_item(open_record(ORDER_ID, ORDER, OPENED)).keys()
    assert keys & to_item(unknown_record(ORDER_ID, OPENED)).keys() == {"created_at"}
    for title in ("Application", "Refund", "Counter", "Watermark", "Aside", "Pause"):
        assert not keys & described(title).keys()


def test_the_partitions_of_the_index_are_those_of_the_lanes() -> None:
    shown = re.findall(r"^\| `([\w-]+)`(?: to `([\w-]+)`)? \|", section("The index"), re.MULTILINE)
    lanes = [(partition(lane, 0), partition(lane, SHARDS - 1)) for lane in Lane]
    assert shown == [*lanes, (ASIDE_PARTITION, "")]


def test_the_passes_are_those_of_the_sweep() -> None:
    assert f"`{DISPUTES.name}`" in section("Cursors")
    ages = re.search(r"with\s+([\d, and]+) seconds, and `refunds-(\d+)`", section("Cursors"))
    assert ages
    shown = {f"{listed}-{age}" for listed in ("refunds", "payments") for age in re.findall(r"\d+", ages[1])}
    assert shown | {f"refunds-{ages[2]}"} == {one.name for one in PASSES}


@pytest.mark.parametrize(
    ("what", "most"),
    [
        ("attempts of a record", MAX_ATTEMPTS),
        ("refunds of a record", MAX_REFUNDS),
        ("disputes of a record", MAX_DISPUTES),
        ("reviews of a record", MAX_REVIEWS),
        ("facts in one write", MAX_FACTS),
        ("orders of an application", MAX_ORDERS),
    ],
)
def test_a_limit_of_the_page_is_the_codes(what: str, most: int) -> None:
    assert f"| {what} | {most} |" in section("Limits")


def test_the_history_has_no_more_entries_than_the_page_says() -> None:
    (most,) = re.findall(r"^\| history entries of a record \| (\d+) \|", section("Limits"), re.MULTILINE)
    record = open_record(ORDER_ID, ORDER, OPENED)
    history = record.history
    for _ in range(int(most) + 1):
        history = with_entry(history, OPENED, "more", Status.CREATED)
    assert len(history) == int(most)
