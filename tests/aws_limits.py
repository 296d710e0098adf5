"""The documented limits of DynamoDB and EventBridge that depend only on the request, not on what is stored.

The in-memory stand-ins and the guard before moto (`tests/moto_guard.py`) check every request here first. Limits that
depend on a stored item, such as its size after an update, are checked where the item is.

Sources, by the titles of AWS's pages:

* "Service, account, and table quotas in Amazon DynamoDB" and "Constraints in Amazon DynamoDB" (developer guide): sizes
  of items, keys and expressions, operators, nesting, batches, transactions, pages.
* "DynamoDB item sizes and formats" (developer guide): how an item is measured.
* BatchGetItem, TransactWriteItems, Query (API reference): limits of their parameters, and their responses.
* "Calculating Amazon EventBridge PutEvents event entry size" (EventBridge user guide) and PutEvents (API reference): 10
  entries, together under 1 MB (256 KB until January 2026).

Error messages are worded as by the service or by DynamoDB Local.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from tests.faults import expressions
from tests.faults.expressions import Bound, Item, Refused, Used, Value

KB: Final = 1024
MB: Final = 1024 * KB

EXPRESSION_BYTES: Final = 4 * KB
PLACEHOLDER_BYTES: Final = 255
SUBSTITUTIONS_BYTES: Final = 2 * MB
OPERATORS: Final = 300
"""Documented for UpdateExpression; DynamoDB also applies it to the other expressions (scylladb#14473)."""
ITEM_BYTES: Final = 400 * KB
NESTING: Final = 32
PARTITION_KEY_BYTES: Final = 2048
"""For partition keys; the tables here have no sort key, whose limit is 1,024."""
NUMBER_DIGITS: Final = 38
BATCH_KEYS: Final = 100
BATCH_BYTES: Final = 16 * MB
TRANSACTION_ACTIONS: Final = 100
TRANSACTION_BYTES: Final = 4 * MB
PAGE_BYTES: Final = MB
EVENT_ENTRIES: Final = 10
EVENT_BYTES: Final = MB

_EXPRESSIONS: Final[Mapping[str, Callable[[str], tuple[object, Used]]]] = {
    "UpdateExpression": expressions.update,
    "ConditionExpression": expressions.condition,
    "KeyConditionExpression": expressions.condition,
    "FilterExpression": expressions.condition,
    "ProjectionExpression": expressions.projection,
}
_ACTIONS: Final = frozenset({"ConditionCheck", "Put", "Delete", "Update"})
_PLACEHOLDER: Final = {
    "ExpressionAttributeNames": re.compile(r"#[A-Za-z0-9_]+"),
    "ExpressionAttributeValues": re.compile(r":[A-Za-z0-9_]+"),
}
_SETS: Final = {"SS": "string", "NS": "number", "BS": "binary"}

type Request = Mapping[str, Any]
"""A request's parameters, with DynamoDB's types."""


def check_request(operation: str, request: Request) -> None:
    """Raises Refused if AWS would refuse this request whatever is stored."""
    match operation:
        case "GetItem" | "PutItem" | "UpdateItem" | "DeleteItem" | "Query" | "Scan":
            _check_action(request)
            if request.get("Limit", 1) < 1:
                raise Refused("Limit must be greater than or equal to 1")
        case "BatchGetItem":
            _check_batch(request)
        case "TransactWriteItems":
            _check_transaction(request)
        case "PutEvents":
            _check_entries(request["Entries"])


def _check_action(request: Request) -> None:
    """The part of a request that concerns one item."""
    _check_expressions(request)
    if "Item" in request:
        check_item(request["Item"])
    if "Key" in request:
        check_key(request["Key"])


# --- expressions ----------------------------------------------------------------------------------------------------


def _check_expressions(request: Request) -> None:
    names, values = request.get("ExpressionAttributeNames"), request.get("ExpressionAttributeValues")
    used: list[Used] = []
    for parameter in _EXPRESSIONS.keys() & request.keys():
        try:
            used.append(_read(parameter, request[parameter]))
            _check_defined(used[-1], names or {}, values or {})
        except Refused as refused:
            raise Refused(f"Invalid {parameter}: {refused.message}") from refused
    if names is not None:
        _check_placeholders("ExpressionAttributeNames", names, [one.names for one in used])
    if values is not None:
        _check_placeholders("ExpressionAttributeValues", values, [one.values for one in used])
        total = sum(_value_bytes(value, 1) for value in values.values())
        total += sum(len(text.encode()) for text in (*values, *(names or {}), *(names or {}).values()))
        if total > SUBSTITUTIONS_BYTES:
            raise Refused("Expression substitution variables have exceeded the maximum allowed size")


def _read(parameter: str, text: str) -> Used:
    """What an expression uses."""
    size = len(text.encode())
    if size > EXPRESSION_BYTES:
        raise Refused(f"Expression size has exceeded the maximum allowed size; expression size: {size}")
    _, used = _EXPRESSIONS[parameter](text)
    if used.operators > OPERATORS:
        raise Refused(f"The expression contains too many operators; operator count: {used.operators}")
    return used


def _check_defined(used: Used, names: Mapping[str, str], values: Mapping[str, Value]) -> None:
    if unknown := used.names - names.keys():
        raise Refused(
            "An expression attribute name used in the document path is not defined; attribute name: "
            + ", ".join(sorted(unknown))
        )
    if unknown := used.values - values.keys():
        raise Refused(
            "An expression attribute value used in expression is not defined; attribute value: "
            + ", ".join(sorted(unknown))
        )


def _check_placeholders(parameter: str, given: Mapping[str, Any], used: Sequence[frozenset[str]]) -> None:
    if not used:
        raise Refused(f"{parameter} can only be specified when using expressions")
    if not given:
        raise Refused(f"{parameter} must not be empty")
    for placeholder in given:
        if len(placeholder.encode()) > PLACEHOLDER_BYTES:
            raise Refused(
                f"{parameter} contains invalid key: The expression attribute map contains a key that is too long; "
                f"size of key: {len(placeholder.encode())}"
            )
        if not _PLACEHOLDER[parameter].fullmatch(placeholder):
            raise Refused(f'{parameter} contains invalid key: Syntax error; key: "{placeholder}"')
    if unused := sorted(given.keys() - frozenset().union(*used)):
        raise Refused(f"Value provided in {parameter} unused in expressions: keys: {{{', '.join(unused)}}}")


def bound(request: Request) -> Bound:
    """The names and values behind a request's placeholders."""
    return Bound(request.get("ExpressionAttributeNames", {}), request.get("ExpressionAttributeValues", {}))


# --- items ----------------------------------------------------------------------------------------------------------


def check_key(key: Item) -> None:
    """Checks a key in a request."""
    for name, value in key.items():
        ((kind, content),) = value.items()
        if not content:
            raise Refused(
                "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an "
                f"empty {'string' if kind == 'S' else 'binary'} value. Key: {name}"
            )
        if len(content.encode() if isinstance(content, str) else content) > PARTITION_KEY_BYTES:
            raise Refused(
                "One or more parameter values were invalid: Size of hashkey has exceeded the maximum size limit of "
                f"{PARTITION_KEY_BYTES} bytes"
            )


def check_item(item: Item) -> None:
    """Checks an item that is to be stored."""
    if item_bytes(item) > ITEM_BYTES:
        raise Refused("Item size has exceeded the maximum allowed size")


def check_updated(item: Item) -> None:
    """Checks the item that an update would produce."""
    if item_bytes(item) > ITEM_BYTES:
        raise Refused("Item size to update has exceeded the maximum allowed size")


def item_bytes(item: Item) -> int:
    """An item's size as DynamoDB counts it ("DynamoDB item sizes and formats").

    Raises:
        Refused: it is nested too deeply, or has an empty set or an invalid number.
    """
    return sum(len(name.encode()) + _value_bytes(value, 1) for name, value in item.items())


def _value_bytes(value: Value, level: int) -> int:  # noqa: PLR0911 - one for each type
    """A value's size; `level` is 1 for an attribute itself."""
    if level > NESTING:
        raise Refused(
            "Nesting Levels have exceeded supported limits: Attributes in the item have nested levels beyond "
            "supported limit"
        )
    ((kind, content),) = value.items()
    match kind:
        case "S":
            return len(content.encode())
        case "N":
            return _number_bytes(content)
        case "M":
            # 3 bytes for the map itself, plus 1 per member.
            return 3 + sum(1 + len(name.encode()) + _value_bytes(member, level + 1) for name, member in content.items())
        case "L":
            return 3 + sum(1 + _value_bytes(member, level + 1) for member in content)
        case "B":
            return len(content)
        case "BOOL" | "NULL":
            return 1
    if not content:
        # Spaces as in DynamoDB's message.
        raise Refused(f"One or more parameter values were invalid: An {_SETS[kind]} set  may not be empty")
    return sum(_value_bytes({kind[0]: member}, level) for member in content)


def _number_bytes(text: str) -> int:
    """About one byte per two significant digits, plus one."""
    digits = text if text.isdigit() else "".join(map(str, Decimal(text).as_tuple().digits))
    digits = digits.strip("0") or "0"
    if len(digits) > NUMBER_DIGITS:
        raise Refused("Attempting to store more than 38 significant digits in a Number")
    return (len(digits) + 1) // 2 + 1


# --- several items at once ------------------------------------------------------------------------------------------


def _check_batch(request: Request) -> None:
    tables: Mapping[str, Request] = request["RequestItems"]
    if sum(len(wanted["Keys"]) for wanted in tables.values()) > BATCH_KEYS:
        raise Refused("Too many items requested for the BatchGetItem call")
    for wanted in tables.values():
        if not wanted["Keys"]:
            raise Refused("1 validation error detected: Member must have length greater than or equal to 1")
        _check_expressions(wanted)
        for key in wanted["Keys"]:
            check_key(key)
        if _has_duplicates(wanted["Keys"]):
            raise Refused("Provided list of item keys contains duplicates")


def _check_transaction(request: Request) -> None:
    actions: Sequence[Mapping[str, Request]] = request["TransactItems"]
    if not 1 <= len(actions) <= TRANSACTION_ACTIONS:
        most = len(actions) > TRANSACTION_ACTIONS
        raise Refused(
            "1 validation error detected: Value at 'transactItems' failed to satisfy constraint: Member must have "
            f"length {'less' if most else 'greater'} than or equal to {TRANSACTION_ACTIONS if most else 1}"
        )
    for action in actions:
        if len(action) != 1 or not action.keys() <= _ACTIONS:
            raise Refused("TransactItems can only contain one of Check, Put, Update or Delete")
        ((kind, one),) = action.items()
        _check_action(one)
        if kind == "ConditionCheck" and "ConditionExpression" not in one:
            raise Refused("The expression can not be empty;")


def check_distinct(items: Iterable[tuple[str, Item]]) -> None:
    """Table and key of each action of a transaction."""
    if _has_duplicates([{"table": {"S": table}, **key} for table, key in items]):
        raise Refused("Transaction request cannot include multiple operations on one item")


def _has_duplicates(keys: Sequence[Item]) -> bool:
    return len({tuple(sorted((name, *value.items()) for name, value in key.items())) for key in keys}) < len(keys)


def check_transaction_size(items: Iterable[Item]) -> None:
    """The items of a transaction: for a write the new one, for a delete or check the existing one."""
    if sum(map(item_bytes, items)) > TRANSACTION_BYTES:
        raise Refused("Collection size exceeded: the aggregate size of the items in the transaction exceeds 4 MB")


# --- events ---------------------------------------------------------------------------------------------------------


def _check_entries(entries: Sequence[Request]) -> None:
    if not 1 <= len(entries) <= EVENT_ENTRIES:
        most = len(entries) > EVENT_ENTRIES
        raise Refused(
            "1 validation error detected: Value '[PutEventsRequestEntry]' at 'entries' failed to satisfy constraint: "
            f"Member must have length {'less' if most else 'greater'} than or equal to {EVENT_ENTRIES if most else 1}"
        )
    if sum(map(entry_bytes, entries)) >= EVENT_BYTES:
        raise Refused("Total size of the entries in the request is over the limit.")


def entry_bytes(entry: Request) -> int:
    """The size of a PutEvents entry ("Calculating Amazon EventBridge PutEvents event entry size")."""
    texts = [entry.get(part) or "" for part in ("Source", "DetailType", "Detail")] + list(entry.get("Resources") or [])
    return sum(len(text.encode()) for text in texts) + (14 if entry.get("Time") is not None else 0)
