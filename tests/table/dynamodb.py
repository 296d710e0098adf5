"""DynamoDB on moto, with what each call would cost on AWS."""

from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, cast

import boto3
from boto3.dynamodb.types import TypeDeserializer

from tests.handlers.template import table_schema

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient

NAME: Final = "payments"
WRITE_UNIT_BYTES: Final = 1024
INDEXED: Final = ("attention_shard", "attention_at")

type Item = dict[str, Any]


@dataclass
class Metered:
    """A table, and what was done to it."""

    name: str
    raw: "DynamoDBClient"
    client: "DynamoDBClient"
    calls: list[str] = field(default_factory=list)
    write_units: list[int] = field(default_factory=list)

    def item(self, key: Item) -> Item | None:
        """An item as plain values, without counting."""
        answer = self.raw.get_item(TableName=self.name, Key=key, ConsistentRead=True).get("Item")
        return None if answer is None else {name: _deserialize(value) for name, value in answer.items()}


_deserialize = TypeDeserializer().deserialize


class _Meter:
    """Does one call at a time, as DynamoDB does to one item (moto itself is not safe for threads)."""

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
                if name == "get_item":
                    return method(**arguments)
                key = arguments.get("Key") or {"pk": arguments["Item"]["pk"]}
                before = self.metered.item(key)
                try:
                    return method(**arguments)
                finally:
                    self.metered.write_units.append(write_units(before, self.metered.item(key)))

        return call


def create_table() -> Metered:
    """The table that template.yaml describes."""
    raw = _client()
    raw.create_table(TableName=NAME, **table_schema())
    meter = _Meter(raw)
    meter.metered = Metered(NAME, raw, cast("DynamoDBClient", meter))
    return meter.metered


@cache
def _client() -> "DynamoDBClient":
    """One for all tables: making it takes longer than most tests."""
    return boto3.client("dynamodb")


# --- what things cost -----------------------------------------------------------------------------------------------


def write_units(before: Item | None, after: Item | None) -> int:
    """Write units of one write: the larger of the two sizes in KiB, and what the index takes.

    "Write capacity units", "Global secondary indexes: write capacity": an index that stays as it is costs nothing, one
    entry put or deleted one unit, a changed key both.
    """
    size = max(item_bytes(item) if item is not None else 1 for item in (before, after))
    return -(-size // WRITE_UNIT_BYTES) + _index_units(_entry(before), _entry(after))


def _entry(item: Item | None) -> tuple[Any, ...] | None:
    return tuple(item[name] for name in INDEXED) if item is not None and all(name in item for name in INDEXED) else None


def _index_units(before: tuple[Any, ...] | None, after: tuple[Any, ...] | None) -> int:
    return 0 if before == after else sum(entry is not None for entry in (before, after))


def item_bytes(item: Item) -> int:
    """An item's size as DynamoDB counts it ("DynamoDB item sizes and formats")."""
    return sum(len(name.encode()) + _value_bytes(value) for name, value in item.items())


def _value_bytes(value: object) -> int:
    match value:
        case None | bool():
            return 1
        case str():
            return len(value.encode())
        case int() | Decimal():
            # About a byte for two significant digits, and one more.
            digits = str(abs(int(value))).rstrip("0") or "0"
            return -(-len(digits) // 2) + 1
        case dict():
            return 3 + sum(1 + len(name.encode()) + _value_bytes(member) for name, member in value.items())
        case list():
            return 3 + sum(1 + _value_bytes(member) for member in value)
    raise TypeError(type(value).__name__)
