"""DynamoDB in memory: a client that understands just the expressions that the table adapter writes.

`tests/table` holds it to the contract of the real adapter on moto. A read that is not strongly consistent gives the
item as it was before its last change, which DynamoDB may do.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from threading import Lock
from typing import Any, Final

from boto3.dynamodb.types import TypeDeserializer
from botocore.exceptions import ClientError, ReadTimeoutError

from tests.faults.outside import Client, Outside

type Item = dict[str, Any]
"""An item with DynamoDB's types: `{"version": {"N": "3"}}`."""
type Watcher = Callable[[str, Item | None, Item | None], None]
"""Is told of every change: the key, the item before and after."""

_deserialize: Final = TypeDeserializer().deserialize
_CLAUSES: Final = re.compile(r"(SET|REMOVE|ADD) (.*?)(?= SET | REMOVE | ADD |$)")


def plain(item: Item) -> dict[str, Any]:
    """An item as plain values."""
    return {name: _deserialize(value) for name, value in item.items()}


class MemoryDynamo:
    """The table, behind the client that the adapter uses; one call at a time."""

    def __init__(self, outside: Outside, *, patience_s: float = 2.0, on_change: Watcher | None = None) -> None:
        self.items: dict[str, Item] = {}
        self._before: dict[str, Item | None] = {}
        self._outside = outside
        self._patience_s = patience_s
        self._on_change = on_change
        self._lock = Lock()

    def client(self, patience_s: float, *, repeats: bool) -> "DynamoClient":
        """A client of this table.

        Args:
            patience_s: how long it waits for an answer, its own retries included.
            repeats: whether it sends a call again by itself.
        """
        return DynamoClient(self, self._outside, _client(patience_s, repeats=repeats))

    # --- what the calls do ---

    def get(self, pk: str, *, consistent: bool) -> dict[str, Any]:
        """GetItem."""
        item = self.items.get(pk) if consistent or pk not in self._before else self._before[pk]
        return {} if item is None else {"Item": item}

    def put(self, item: Item, condition: str | None) -> dict[str, Any]:
        """PutItem."""
        pk = item["pk"]["S"]
        with self._lock:
            self._demand(pk, condition, {}, {})
            self._store(pk, item)
        return {}

    def update(self, pk: str, expression: str, condition: str | None, names: dict[str, str], values: Item) -> Item:
        """UpdateItem; answers with the item as it is then."""
        with self._lock:
            self._demand(pk, condition, names, values)
            item = _copy(self.items.get(pk) or {"pk": {"S": pk}})
            for verb, path, placeholder in _actions(expression):
                holder, name = _reach(item, [names.get(part, part) for part in path])
                match verb:
                    case "SET":
                        holder[name] = values[placeholder]
                    case "ADD":
                        holder[name] = {
                            "N": str(int(holder.get(name, {"N": "0"})["N"]) + int(values[placeholder]["N"]))
                        }
                    case "REMOVE":
                        holder.pop(name, None)
            self._store(pk, item)
            return item

    def due(self, shard: str, now: int, limit: int, after: tuple[int, str] | None) -> dict[str, Any]:
        """Query on the sparse index: keys only, by time; from behind a place, whether or not something is there."""
        entries = sorted(
            (int(item["attention_at"]["N"]), pk)
            for pk, item in self.items.items()
            if item.get("attention_shard") == {"S": shard} and "attention_at" in item
        )
        found = [entry for entry in entries if entry[0] <= now and (after is None or entry > after)]
        page = found[:limit]
        answer: dict[str, Any] = {"Items": [{"pk": {"S": pk}, "attention_at": {"N": str(at)}} for at, pk in page]}
        if len(found) > limit:
            at, pk = page[-1]
            answer["LastEvaluatedKey"] = {
                "pk": {"S": pk},
                "attention_shard": {"S": shard},
                "attention_at": {"N": str(at)},
            }
        return answer

    def _demand(self, pk: str, condition: str | None, names: Mapping[str, str], values: Item) -> None:
        item = self.items.get(pk)
        match condition:
            case None:
                return
            case "attribute_not_exists(pk)":
                holds = item is None
            case _:
                name, sign, placeholder = condition.split()
                assert sign == "=", f"this stand-in for DynamoDB does not know the condition {condition}"
                holds = item is not None and item.get(names[name]) == values[placeholder]
        if not holds:
            raise _error(400, "ConditionalCheckFailedException")

    def _store(self, pk: str, item: Item) -> None:
        before = self.items.get(pk)
        self.items[pk] = item
        self._before[pk] = before
        if self._on_change is not None:
            self._on_change(pk, before, item)


class DynamoClient:
    """The calls of boto3's client that the adapter makes."""

    def __init__(self, table: MemoryDynamo, outside: Outside, client: Client) -> None:
        self._table = table
        self._outside = outside
        self._client = client

    def get_item(self, *, TableName: str, Key: Item, ConsistentRead: bool = False) -> Any:  # noqa: ARG002, N803 - boto3's own
        return self._outside.call(
            self._client, "GetItem", lambda: self._table.get(Key["pk"]["S"], consistent=ConsistentRead), reads=True
        )

    def put_item(self, *, TableName: str, Item: Item, ConditionExpression: str | None = None) -> Any:  # noqa: ARG002, N803 - boto3's own
        return self._outside.call(self._client, "PutItem", lambda: self._table.put(Item, ConditionExpression))

    def update_item(  # noqa: PLR0913 - boto3's own
        self,
        *,
        TableName: str,  # noqa: ARG002, N803 - boto3's own
        Key: Item,  # noqa: N803 - boto3's own
        UpdateExpression: str,  # noqa: N803 - boto3's own
        ConditionExpression: str | None = None,  # noqa: N803 - boto3's own
        ExpressionAttributeNames: dict[str, str] | None = None,  # noqa: N803 - boto3's own
        ExpressionAttributeValues: Item | None = None,  # noqa: N803 - boto3's own
        ReturnValues: str = "NONE",  # noqa: N803 - boto3's own
    ) -> Any:
        def perform() -> dict[str, Any]:
            after = self._table.update(
                Key["pk"]["S"],
                UpdateExpression,
                ConditionExpression,
                ExpressionAttributeNames or {},
                ExpressionAttributeValues or {},
            )
            return {"Attributes": after} if ReturnValues == "UPDATED_NEW" else {}

        return self._outside.call(self._client, "UpdateItem", perform)

    def query(  # noqa: PLR0913 - boto3's own
        self,
        *,
        TableName: str,  # noqa: ARG002, N803 - boto3's own
        IndexName: str,  # noqa: N803 - boto3's own
        KeyConditionExpression: str,  # noqa: N803 - boto3's own
        ExpressionAttributeValues: Item,  # noqa: N803 - boto3's own
        Limit: int,  # noqa: N803 - boto3's own
        ExclusiveStartKey: Item | None = None,  # noqa: N803 - boto3's own
    ) -> Any:
        assert (IndexName, KeyConditionExpression) == (
            "attention",
            "attention_shard = :shard AND attention_at <= :now",
        ), "this stand-in for DynamoDB knows only reconcile's query"
        shard, now = ExpressionAttributeValues[":shard"]["S"], int(ExpressionAttributeValues[":now"]["N"])
        start = ExclusiveStartKey
        after = (int(start["attention_at"]["N"]), start["pk"]["S"]) if start else None
        return self._outside.call(self._client, "Query", lambda: self._table.due(shard, now, Limit, after), reads=True)


def _client(patience_s: float, *, repeats: bool) -> Client:
    return Client(
        name="dynamodb",
        refused=lambda: _error(500, "InternalServerError"),
        lost=lambda: ReadTimeoutError(endpoint_url="https://dynamodb.ap-south-1.amazonaws.com"),
        patience_s=patience_s,
        repeats=repeats,
    )


def _error(status: int, code: str) -> ClientError:
    return ClientError(
        {"Error": {"Code": code, "Message": code}, "ResponseMetadata": {"HTTPStatusCode": status}},  # type: ignore[typeddict-item]  # the parts that are read
        "call",
    )


@cache
def _actions(expression: str) -> tuple[tuple[str, tuple[str, ...], str], ...]:
    """What an update expression does: verb, path and the placeholder of the value."""
    return tuple(_parse(expression))


def _parse(expression: str) -> Iterable[tuple[str, tuple[str, ...], str]]:
    clauses = _CLAUSES.findall(expression)
    assert " ".join(f"{verb} {parts}" for verb, parts in clauses) == expression, expression
    for verb, parts in clauses:
        for part in parts.split(", "):
            match verb:
                case "SET":
                    path, _, placeholder = part.partition(" = ")
                case "ADD":
                    path, _, placeholder = part.partition(" ")
                case _:
                    path, placeholder = part, ""
            yield verb, tuple(path.split(".")), placeholder


def _reach(item: Item, path: list[str]) -> tuple[Item, str]:
    """The map that holds the last part of a path."""
    *parents, last = path
    holder = item
    for parent in parents:
        if "M" not in holder.get(parent, {}):
            raise _error(400, "ValidationException")
        holder = holder[parent]["M"]
    return holder, last


def _copy(item: Item) -> Item:
    """Deep enough for an update: maps are copied, everything else is replaced whole."""
    return {name: {"M": _copy(value["M"])} if "M" in value else value for name, value in item.items()}
