"""DynamoDB on moto, with what each call would cost on AWS."""

from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, cast

import boto3
from boto3.dynamodb.types import TypeDeserializer

from tests import aws_limits, moto_guard
from tests.handlers.template import table_schema

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient

NAME: Final = "payments"
WRITE_UNIT_BYTES: Final = 1024
_READS: Final = frozenset({"get_item", "batch_get_item", "query", "scan"})
INDEXED: Final = tuple(
    tuple(key["AttributeName"] for key in index["KeySchema"]) for index in table_schema()["GlobalSecondaryIndexes"]
)
"""The keys of each index."""

type Item = dict[str, Any]


@dataclass
class Metered:
    """A table, and the calls to it."""

    name: str
    raw: "DynamoDBClient"
    client: "DynamoDBClient"
    calls: list[str] = field(default_factory=list)
    write_units: list[int] = field(default_factory=list)

    def item(self, key: Item) -> Item | None:
        """An item as plain values, without counting."""
        item = self.typed_item(key)
        return None if item is None else {name: _deserialize(value) for name, value in item.items()}

    def typed_item(self, key: Item) -> Item | None:
        """An item with DynamoDB's types, without counting."""
        return self.raw.get_item(TableName=self.name, Key=key, ConsistentRead=True).get("Item")


_deserialize = TypeDeserializer().deserialize


class _Meter:
    """Serialises calls, as DynamoDB does for one item (moto is not thread-safe)."""

    def __init__(self, raw: "DynamoDBClient") -> None:
        self._raw = raw
        self._lock = Lock()
        self.metered: Metered | None = None

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._raw, name)

        def call(**arguments: Any) -> Any:
            assert self.metered is not None
            with self._lock:
                self.metered.calls.append(name)
                if name in _READS:
                    return method(**arguments)
                keys = [key_of(action) for action in actions_of(arguments)]
                before = [self.metered.typed_item(key) for key in keys]
                try:
                    return method(**arguments)
                finally:
                    after = [self.metered.typed_item(key) for key in keys]
                    units = sum(map(typed_write_units, before, after))
                    # "Transactional write requests require two write request units" for each unit of an ordinary write.
                    self.metered.write_units.append(units * (2 if name == "transact_write_items" else 1))

        return call


def actions_of(arguments: dict[str, Any]) -> list[dict[str, Any]]:
    """What a call writes, item by item."""
    transaction = arguments.get("TransactItems")
    if transaction is None:
        return [arguments]
    return [action for entry in transaction for action in entry.values()]


def key_of(action: dict[str, Any]) -> Item:
    key: Item = action.get("Key") or {"pk": action["Item"]["pk"]}
    return key


def create_table() -> Metered:
    """Creates the table that template.yaml describes."""
    moto_guard.install()
    raw = _client()
    raw.create_table(TableName=NAME, **table_schema())
    meter = _Meter(raw)
    meter.metered = Metered(NAME, raw, cast("DynamoDBClient", meter))
    return meter.metered


@cache
def _client() -> "DynamoDBClient":
    """Shared by all tables, because creating one takes longer than most tests."""
    return boto3.client("dynamodb")


# --- costs ----------------------------------------------------------------------------------------------------------


def write_units(before: Item | None, after: Item | None) -> int:
    """Write units of one write, for items of plain values; see `typed_write_units`."""
    return typed_write_units(*(None if item is None else _typed_item(item) for item in (before, after)))


def typed_write_units(before: Item | None, after: Item | None, *, off_by: float = 0.0) -> int:
    """Write units of one write: the larger of the two sizes in KiB, plus each index's.

    `off_by` is the assumed relative error of the item's size.

    "Write capacity units", "Global secondary indexes: write capacity": an unchanged index costs nothing, an entry put
    or deleted costs its size in KiB, a changed key costs both.
    """
    size = max(aws_limits.item_bytes(item) if item is not None else 1 for item in (before, after))
    of_indexes = sum(_index_units(_entry(before, keys), _entry(after, keys), keys) for keys in INDEXED)
    return _units(round(size * (1 + off_by))) + of_indexes


def _units(size: int) -> int:
    return -(-size // WRITE_UNIT_BYTES)


def _entry(item: Item | None, keys: tuple[str, ...]) -> Item | None:
    """What an index with these keys has of an item."""
    if item is None or not all(name in item for name in keys):
        return None
    return {name: item[name] for name in ("pk", *keys)}


def _index_units(before: Item | None, after: Item | None, keys: tuple[str, ...]) -> int:
    if before is not None and after is not None and all(before[name] == after[name] for name in keys):
        return 0
    return sum(_units(aws_limits.item_bytes(entry)) for entry in (before, after) if entry is not None)


def item_bytes(item: Item) -> int:
    """The size of an item of plain values, as DynamoDB counts it."""
    return aws_limits.item_bytes(_typed_item(item))


def _typed_item(item: Item) -> Item:
    return {name: _typed(value) for name, value in item.items()}


def _typed(value: object) -> dict[str, Any]:
    match value:
        case None:
            return {"NULL": True}
        case bool():
            return {"BOOL": value}
        case str():
            return {"S": value}
        case int() | Decimal():
            return {"N": str(value)}
        case dict():
            return {"M": {name: _typed(member) for name, member in value.items()}}
        case list():
            return {"L": [_typed(member) for member in value]}
    raise TypeError(type(value).__name__)
