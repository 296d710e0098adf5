"""DynamoDB in memory: the table of template.yaml behind a client that takes boto3's parameters.

`expressions` reads conditions and updates, and `tests/aws_limits.py` refuses requests above DynamoDB's documented
limits. `tests/table` runs the real adapter's contract on it, and `test_dynamodb_contract.py` DynamoDB's contract, as on
moto and DynamoDB Local.

An eventually consistent read returns the item before its last change, and an index query sees every change at once;
DynamoDB may do both.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from itertools import count
from threading import Lock
from typing import Any, Final

from boto3.dynamodb.types import TypeDeserializer
from botocore.exceptions import ClientError, ReadTimeoutError

from tests import aws_limits
from tests.aws_limits import bound
from tests.faults import expressions
from tests.faults.expressions import Item, Refused
from tests.faults.outside import Client, Outside
from tests.handlers.template import table_schema

type Watcher = Callable[[str, Item | None, Item | None], None]
"""Is called with every change: the key, the item before and after."""
type Request = Mapping[str, Any]
type Answer = dict[str, Any]

_deserialize: Final = TypeDeserializer().deserialize
_WRITTEN: Final = frozenset(
    {"TableName", "ConditionExpression", "ExpressionAttributeNames", "ExpressionAttributeValues"} | {"ReturnValues"}
)
_PARAMETERS: Final[Mapping[str, frozenset[str]]] = {
    "GetItem": frozenset({"TableName", "Key", "ConsistentRead"}),
    "PutItem": _WRITTEN | {"Item"},
    "UpdateItem": _WRITTEN | {"Key", "UpdateExpression"},
    "DeleteItem": _WRITTEN | {"Key"},
    "Query": frozenset(
        {"TableName", "IndexName", "KeyConditionExpression", "ExpressionAttributeNames", "ExpressionAttributeValues"}
        | {"Limit", "ExclusiveStartKey", "ConsistentRead", "ScanIndexForward"}
    ),
    "BatchGetItem": frozenset({"RequestItems"}),
    "TransactWriteItems": frozenset({"TransactItems", "ClientRequestToken"}),
}
"""The parameters that this stand-in supports."""
_READS: Final = frozenset({"GetItem", "Query", "BatchGetItem"})
_KEY: Final = "pk"


def plain(item: Item) -> dict[str, Any]:
    """An item as plain values."""
    return {name: _deserialize(value) for name, value in item.items()}


class MemoryDynamo:
    """The table, behind the client that the adapter uses; one call at a time."""

    def __init__(self, outside: Outside, *, patience_s: float = 2.0, on_change: Watcher | None = None) -> None:
        self.items: dict[str, Item] = {}
        self._before: dict[str, Item | None] = {}
        self._done: dict[str, str] = {}
        """The transactions that took effect, by client token."""
        self._outside = outside
        self._patience_s = patience_s
        self._on_change = on_change
        self._lock = Lock()

    def forget_earlier(self) -> None:
        """Forgets earlier versions, as in a table restored from a backup."""
        self._before.clear()

    def client(self, patience_s: float, *, repeats: bool) -> "DynamoClient":
        """A client of this table.

        Args:
            patience_s: how long it waits for a response, including its own retries.
            repeats: whether it retries calls by itself.
        """
        return DynamoClient(self, self._outside, _client(patience_s, repeats=repeats))

    def answer(self, operation: str, request: Request, *, partly: bool = False) -> Answer:
        """DynamoDB's response; `partly` leaves some keys of a BatchGetItem unprocessed.

        Raises:
            ClientError: as boto3.
        """
        try:
            aws_limits.check_request(operation, request)
            with self._lock:
                return self._perform(operation, request, partly=partly)
        except Refused as refused:
            if refused.code == "ValidationException":
                self._outside.refused.append(f"dynamodb {operation}: {refused.message}")
            raise _error(operation, 400, refused.code, refused.message) from refused
        except _ConditionFailed as failed:
            raise _error(operation, 400, "ConditionalCheckFailedException", str(failed)) from failed
        except _Cancelled as cancelled:
            raise _error(
                operation, 400, "TransactionCanceledException", str(cancelled), CancellationReasons=cancelled.reasons
            ) from cancelled

    def _perform(self, operation: str, request: Request, *, partly: bool) -> Answer:
        match operation:
            case "GetItem":
                return self._get(request)
            case "Query":
                return self._query(request)
            case "BatchGetItem":
                return self._batch(request, partly=partly)
            case "TransactWriteItems":
                return self._transact(request)
        return self._write(operation, request)

    # --- reads ---

    def _get(self, request: Request) -> Answer:
        item = self._seen(_pk(request["Key"]), consistent=request.get("ConsistentRead", False))
        return {} if item is None else {"Item": item}

    def _seen(self, pk: str, *, consistent: bool) -> Item | None:
        return self.items.get(pk) if consistent or pk not in self._before else self._before[pk]

    def _batch(self, request: Request, *, partly: bool) -> Answer:
        """BatchGetItem: "the operation returns a value for UnprocessedKeys" when it has not read everything."""
        ((table, wanted),) = request["RequestItems"].items()
        assert wanted.keys() <= {"Keys", "ConsistentRead"}, f"this stand-in for DynamoDB does not know {[*wanted]}"
        keys = wanted["Keys"]
        most = (len(keys) + 1) // 2 if partly else len(keys)
        found: list[Item] = []
        size = read = 0
        for key in keys[:most]:
            item = self._seen(_pk(key), consistent=wanted.get("ConsistentRead", False))
            size += 0 if item is None else aws_limits.item_bytes(item)
            if size > aws_limits.BATCH_BYTES:
                break
            read += 1
            if item is not None:
                found.append(item)
        left = {table: {**wanted, "Keys": keys[read:]}} if read < len(keys) else {}
        return {"Responses": {table: found}, "UnprocessedKeys": left}

    def _query(self, request: Request) -> Answer:
        schema = _index(request.get("IndexName"))
        if schema.name and request.get("ConsistentRead"):
            raise Refused("Consistent reads are not supported on global secondary indexes")
        forward = request.get("ScanIndexForward", True)
        found = sorted(_selected(self.items.values(), schema, request), key=schema.place, reverse=not forward)
        start = request.get("ExclusiveStartKey")
        if start is not None:
            if start.keys() != set(schema.keys):
                raise Refused("The provided starting key is invalid")
            begin = schema.place(start)
            found = [item for item in found if (schema.place(item) > begin if forward else schema.place(item) < begin)]
        page: list[Item] = []
        size, limit = 0, request.get("Limit")
        for item in found:
            entry = schema.entry(item)
            page.append(entry)
            size += aws_limits.item_bytes(entry)
            # There is a LastEvaluatedKey even when nothing is left: it only means that "the query reached its limit".
            if len(page) == limit or size >= aws_limits.PAGE_BYTES:
                last = {name: entry[name] for name in schema.keys}
                return {"Items": page, "Count": len(page), "ScannedCount": len(page), "LastEvaluatedKey": last}
        return {"Items": page, "Count": len(page), "ScannedCount": len(page)}

    # --- writes ---

    def _write(self, operation: str, request: Request) -> Answer:
        returned = request.get("ReturnValues", "NONE")
        assert returned in {"NONE", "ALL_NEW"}, f"this stand-in for DynamoDB does not know {returned}"
        if returned == "ALL_NEW" and operation != "UpdateItem":
            raise Refused("Return values set to invalid value")
        pk, before = self._target(request)
        self._demand(before, request)
        after = _after(operation, before, request)
        self._store({pk: after})
        return {"Attributes": after} if returned == "ALL_NEW" else {}

    def _transact(self, request: Request) -> Answer:
        """TransactWriteItems: all or nothing, and once per token.

        AWS forgets a token after ten minutes; nothing here repeats one that late.
        """
        token, wanted = request.get("ClientRequestToken"), json.dumps(request, sort_keys=True)
        if token is not None and token in self._done:
            if self._done[token] != wanted:
                raise Refused("", "IdempotentParameterMismatchException")
            return {}
        actions = [next(iter(action.items())) for action in request["TransactItems"]]
        aws_limits.check_distinct((one["TableName"], {_KEY: {"S": self._target(one)[0]}}) for _, one in actions)
        changes: dict[str, Item | None] = {}
        touched: list[Item] = []
        reasons: list[Answer] = []
        for kind, one in actions:
            pk, before = self._target(one)
            try:
                self._demand(before, one)
                after = before if kind == "ConditionCheck" else _after(f"{kind}Item", before, one)
            except _ConditionFailed as failed:
                reasons.append({"Code": "ConditionalCheckFailed", "Message": str(failed)})
                continue
            except Refused as refused:
                reasons.append({"Code": "ValidationError", "Message": refused.message})
                continue
            reasons.append({"Code": "None"})
            touched.append(after or before or {})
            if kind != "ConditionCheck":
                changes[pk] = after
        if any(reason["Code"] != "None" for reason in reasons):
            raise _Cancelled(reasons)
        aws_limits.check_transaction_size(touched)
        if token is not None:
            self._done[token] = wanted
        self._store(changes)
        return {}

    def _target(self, request: Request) -> tuple[str, Item | None]:
        pk = _pk(request["Key"] if "Key" in request else _keyed(request["Item"]))
        return pk, self.items.get(pk)

    def _demand(self, item: Item | None, request: Request) -> None:
        text = request.get("ConditionExpression")
        if text is None:
            return
        condition, _ = expressions.condition(text)
        if not condition(item or {}, bound(request)):
            raise _ConditionFailed

    def _store(self, changes: Mapping[str, Item | None]) -> None:
        """Stores everything, then reports it."""
        before = {pk: self.items.get(pk) for pk in changes}
        self._before.update(before)
        for pk, item in changes.items():
            if item is None:
                self.items.pop(pk, None)
            else:
                self.items[pk] = item
        if self._on_change is not None:
            for pk, item in changes.items():
                self._on_change(pk, before[pk], item)


class DynamoClient:
    """The boto3 client calls that an adapter makes, with boto3's parameters."""

    _tokens = count(1)

    def __init__(self, table: MemoryDynamo, outside: Outside, client: Client) -> None:
        self._table = table
        self._outside = outside
        self._client = client

    def __getattr__(self, method: str) -> Any:
        operation = method.title().replace("_", "")
        if operation not in _PARAMETERS:
            raise AttributeError(f"this stand-in for DynamoDB does not know {operation}")
        return lambda **request: self._call(operation, request)

    def _call(self, operation: str, request: Request) -> Any:
        if operation == "TransactWriteItems":
            # As boto3 does, so that its own retries take effect once.
            request = {"ClientRequestToken": f"client-{next(self._tokens)}", **request}
        unknown = request.keys() - _PARAMETERS[operation]
        assert not unknown, f"this stand-in for DynamoDB does not know {', '.join(sorted(unknown))}"
        partly = None
        if operation == "BatchGetItem" and sum(len(one["Keys"]) for one in request["RequestItems"].values()) > 1:
            partly = lambda: self._table.answer(operation, request, partly=True)  # noqa: E731 - as the other one
        return self._outside.call(
            self._client,
            operation,
            lambda: self._table.answer(operation, request),
            partly=partly,
            reads=operation in _READS,
        )


class _ConditionFailed(Exception):
    def __init__(self) -> None:
        super().__init__("The conditional request failed")


class _Cancelled(Exception):
    def __init__(self, reasons: list[Answer]) -> None:
        codes = ", ".join(reason["Code"] for reason in reasons)
        super().__init__(f"Transaction cancelled, please refer cancellation reasons for specific reasons [{codes}]")
        self.reasons = reasons


def _client(patience_s: float, *, repeats: bool) -> Client:
    return Client(
        name="dynamodb",
        refused=lambda: _error("call", 500, "InternalServerError", "Internal server error"),
        lost=lambda: ReadTimeoutError(endpoint_url="https://dynamodb.ap-south-1.amazonaws.com"),
        patience_s=patience_s,
        repeats=repeats,
    )


def _error(operation: str, status: int, code: str, message: str, **extra: Any) -> ClientError:
    response = {
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": status},
        **extra,
    }
    return ClientError(response, operation)  # type: ignore[arg-type]  # the parts that are read


# --- items ----------------------------------------------------------------------------------------------------------


def _pk(key: Item) -> str:
    if key.keys() != {_KEY} or "S" not in key[_KEY]:
        raise Refused("The provided key element does not match the schema")
    pk: str = key[_KEY]["S"]
    return pk


def _keyed(item: Item) -> Item:
    """The key of an item to put."""
    if _KEY not in item:
        raise Refused(f"One or more parameter values were invalid: Missing the key {_KEY} in the item")
    key = {_KEY: item[_KEY]}
    if "S" in item[_KEY]:
        aws_limits.check_key(key)
    return key


def _after(operation: str, before: Item | None, request: Request) -> Item | None:
    """The item after a write."""
    match operation:
        case "DeleteItem":
            return None
        case "PutItem":
            after: Item = request["Item"]
        case _:
            after = _updated(before, request)
    for schema in _indexes().values():
        schema.check(after)
    return after


def _updated(before: Item | None, request: Request) -> Item:
    key: Item = request["Key"]
    if "UpdateExpression" not in request:
        return before or key
    update, _ = expressions.update(request["UpdateExpression"])
    placeholders = bound(request)
    if any(path[0] == _KEY for path in update.paths(placeholders)):
        raise Refused(
            f"One or more parameter values were invalid: Cannot update attribute {_KEY}. This attribute is part of the "
            "key"
        )
    after = update.applied(before or key, placeholders)
    aws_limits.check_updated(after)
    return after


# --- indexes --------------------------------------------------------------------------------------------------------


class _Schema:
    """The keys of the table itself or of one of its indexes."""

    def __init__(self, name: str, keys: list[dict[str, str]], types: Mapping[str, str], kept: str) -> None:
        by_kind = {key["KeyType"]: key["AttributeName"] for key in keys}
        self.name = name
        self.partition = by_kind["HASH"]
        self.sort = by_kind.get("RANGE")
        own = [self.partition] if self.sort is None else [self.partition, self.sort]
        self.types = {key: types[key] for key in own}
        self.keys = tuple(dict.fromkeys([*own, _KEY]))
        self._kept = kept
        self._order = expressions.sort_key(types[self.sort]) if self.sort else None

    def place(self, item: Item) -> tuple[Any, ...]:
        """An item's sort position in its partition."""
        pk = item[_KEY]["S"]
        if self.sort is None or self._order is None:
            return (pk,)
        return (self._order(item[self.sort][self.types[self.sort]]), pk)

    def entry(self, item: Item) -> Item:
        """The index's projection of an item."""
        if self._kept == "ALL":
            return item
        return {name: item[name] for name in self.keys}

    def check(self, item: Item) -> None:
        """Checks that an item's key attributes have the right types and are not empty."""
        for name, kind in self.types.items():
            value = item.get(name)
            if value is None:
                continue
            if kind not in value:
                raise Refused(
                    f"One or more parameter values were invalid: Type mismatch for Index Key {name} Expected: {kind} "
                    f"Actual: {next(iter(value))} IndexName: {self.name}"
                )
            if not value[kind]:
                raise Refused(
                    "One or more parameter values are not valid. A value specified for a secondary index key is not "
                    "supported. The AttributeValue for a key attribute cannot contain an empty string value. "
                    f"IndexName: {self.name}, IndexKey: {name}"
                )


@cache
def _indexes() -> Mapping[str, _Schema]:
    """The indexes that template.yaml describes, and the table itself under an empty name."""
    schema = table_schema()
    types = {one["AttributeName"]: one["AttributeType"] for one in schema["AttributeDefinitions"]}
    indexes = {"": _Schema("", schema["KeySchema"], types, "ALL")}
    for index in schema["GlobalSecondaryIndexes"]:
        kept = index["Projection"]["ProjectionType"]
        assert kept in {"KEYS_ONLY", "ALL"}, f"this stand-in for DynamoDB knows no projection {kept}"
        indexes[index["IndexName"]] = _Schema(index["IndexName"], index["KeySchema"], types, kept)
    return indexes


def _index(name: str | None) -> _Schema:
    schema = _indexes().get(name or "")
    if schema is None:
        raise Refused(f"The table does not have the specified index: {name}")
    return schema


def _selected(items: Iterable[Item], schema: _Schema, request: Request) -> Iterator[Item]:
    """What a KeyConditionExpression selects: one partition, and a range in it."""
    placeholders = bound(request)
    parts = {
        placeholders.path(one.path): (one.sign, placeholders.values[one.value])
        for one in expressions.key_condition(request["KeyConditionExpression"])
    }
    sign, partition = parts.pop((schema.partition,), ("", {}))
    if sign != "=" or not parts.keys() <= {(schema.sort,)} or any(sign == "<>" for sign, _ in parts.values()):
        raise Refused("Query condition missed key schema element")
    for item in items:
        if item.get(schema.partition) != partition or (schema.sort is not None and schema.sort not in item):
            continue
        if all(expressions.compare(sign, expressions.at(item, path), value) for path, (sign, value) in parts.items()):
            yield item
