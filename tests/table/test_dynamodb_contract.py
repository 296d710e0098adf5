"""DynamoDB's own contract, on the stand-in in memory, on moto with the guard before it, and on DynamoDB Local.

`make test-dynamodb-local` replaces moto by Amazon's own engine. Expected values come from the developer guide and the
API reference (titles in `tests/aws_limits.py` and `tests/faults/expressions.py`), never from a stand-in; the few cases
in which an engine is known to differ say so. DynamoDB Local is of January 2020.
"""

from collections.abc import Callable
from typing import Any, Final

import pytest
from botocore.exceptions import ClientError

from tests import aws_limits, moto_guard
from tests.aws_limits import KB, item_bytes
from tests.faults.dynamodb import MemoryDynamo
from tests.faults.outside import Call, Kind, Outside
from tests.table.dynamodb import Metered

TABLE: Final = "payments"
type Request = dict[str, Any]


def s(text: str) -> dict[str, str]:
    return {"S": text}


def n(number: int) -> dict[str, str]:
    return {"N": str(number)}


def nested(maps: int) -> dict[str, Any]:
    """A number nested in this many maps."""
    value: dict[str, Any] = n(1)
    for _ in range(maps):
        value = {"M": {"k": value}}
    return value


A: Final = {"pk": s("a")}
ONE: Final = {":v": n(1)}
ITEM: Final[dict[str, Any]] = {
    **A,
    "version": n(3),
    "name": s("Ünal"),
    "yes": {"BOOL": True},
    "m": {"M": {"x": n(1), "y": {"M": {"z": s("deep")}}}},
    "l": {"L": [n(1), n(2), n(3)]},
    "tags": {"SS": ["blue", "red"]},
}


def sorted_sets(answer: Any) -> Any:
    """A response with its sets sorted, since DynamoDB guarantees no order."""
    match answer:
        case {"SS": list(members), **others} if not others:
            return {"SS": sorted(members)}
        case dict():
            return {name: sorted_sets(value) for name, value in answer.items()}
        case list():
            return [sorted_sets(value) for value in answer]
    return answer


class Database:
    """A table with one item, and its client."""

    def __init__(self, engine: str, client: Any) -> None:
        self.engine = engine
        self._client = client

    def ask(self, operation: str, **request: Any) -> Any:
        """A request, with the table's name if it needs one."""
        table = {} if operation in {"batch_get_item", "transact_write_items"} else {"TableName": TABLE}
        return sorted_sets(getattr(self._client, operation)(**table, **request))

    def item(self, key: dict[str, Any] = A) -> Any:
        return self.ask("get_item", Key=key, ConsistentRead=True).get("Item")

    def refusal(self, operation: str, **request: Any) -> tuple[str, str]:
        """Code and message of a refused request."""
        with pytest.raises(ClientError) as raised:
            self.ask(operation, **request)
        error = raised.value.response
        assert error["ResponseMetadata"]["HTTPStatusCode"] == 400
        return error["Error"]["Code"], error["Error"]["Message"]

    def unless(self, engine: str, why: str) -> None:
        """Skips the test on an engine that is known to differ."""
        if self.engine == engine:
            pytest.skip(f"{engine}: {why}")


@pytest.fixture(params=["memory", "moto"])
def database(request: pytest.FixtureRequest) -> Database:
    if request.param == "memory":
        found = Database("memory", MemoryDynamo(Outside()).client(1, repeats=False))
    else:
        metered: Metered = request.getfixturevalue("metered")
        found = Database(moto_guard.engine(), metered.raw)
    found.ask("put_item", Item=ITEM)
    return found


# --- limits ---------------------------------------------------------------------------------------------------------


LONG: Final = "a" * 4100
REFUSED: Final[dict[str, tuple[str, Request, str]]] = {
    "an update of more than 4 KB": (
        "update_item",
        {
            "Key": A,
            "UpdateExpression": "SET " + ", ".join(f"attribute_{number:050d} = :v" for number in range(70)),
            "ExpressionAttributeValues": ONE,
        },
        "Invalid UpdateExpression: Expression size has exceeded the maximum allowed size",
    ),
    "a condition of more than 4 KB": (
        "put_item",
        {"Item": A, "ConditionExpression": f"attribute_exists({LONG})"},
        "Invalid ConditionExpression: Expression size has exceeded the maximum allowed size",
    ),
    "a condition with 301 operators": (
        "put_item",
        {
            "Item": A,
            "ConditionExpression": " OR ".join(["a=:v"] * 151),
            "ExpressionAttributeValues": ONE,
        },
        "Invalid ConditionExpression: The expression contains too many operators; operator count: 301",
    ),
    "a name that is not used": (
        "update_item",
        {
            "Key": A,
            "UpdateExpression": "SET a = :v",
            "ExpressionAttributeValues": ONE,
            "ExpressionAttributeNames": {"#u": "u"},
        },
        "Value provided in ExpressionAttributeNames unused in expressions: keys: {#u}",
    ),
    "a value that is not used": (
        "update_item",
        {"Key": A, "UpdateExpression": "SET a = :v", "ExpressionAttributeValues": {**ONE, ":w": n(1)}},
        "Value provided in ExpressionAttributeValues unused in expressions: keys: {:w}",
    ),
    "a name that is not given": (
        "update_item",
        {"Key": A, "UpdateExpression": "SET #a = :v", "ExpressionAttributeValues": ONE},
        "An expression attribute name used in the document path is not defined; attribute name: #a",
    ),
    "a value that is not given": (
        "put_item",
        {"Item": A, "ConditionExpression": "a = :v"},
        "An expression attribute value used in expression is not defined; attribute value: :v",
    ),
    "names without an expression": (
        "put_item",
        {"Item": A, "ExpressionAttributeNames": {"#u": "u"}},
        "ExpressionAttributeNames can only be specified when using expressions",
    ),
    "no values": (
        "update_item",
        {"Key": A, "UpdateExpression": "REMOVE b", "ExpressionAttributeValues": {}},
        "ExpressionAttributeValues must not be empty",
    ),
    "a placeholder of 256 bytes": (
        "update_item",
        {
            "Key": A,
            "UpdateExpression": f"SET #{'a' * 255} = :v",
            "ExpressionAttributeValues": ONE,
            "ExpressionAttributeNames": {f"#{'a' * 255}": "b"},
        },
        "ExpressionAttributeNames contains invalid key",
    ),
    "an empty update": (
        "update_item",
        {"Key": A, "UpdateExpression": ""},
        "Invalid UpdateExpression: The expression can not be empty",
    ),
    "a syntax error": (
        "update_item",
        {"Key": A, "UpdateExpression": "SET a := :v", "ExpressionAttributeValues": ONE},
        "Invalid UpdateExpression: Syntax error",
    ),
    "redundant parentheses": (
        "put_item",
        {"Item": A, "ConditionExpression": "((attribute_exists(pk)))"},
        "redundant parentheses",
    ),
    "a reserved word": (
        "update_item",
        {"Key": A, "UpdateExpression": "SET status = :v", "ExpressionAttributeValues": ONE},
        "Attribute name is a reserved keyword; reserved keyword: status",
    ),
    "the same path twice": (
        "update_item",
        {"Key": A, "UpdateExpression": "SET a = :v REMOVE a", "ExpressionAttributeValues": ONE},
        "Two document paths overlap with each other",
    ),
    "a path and what is in it": (
        "update_item",
        {"Key": A, "UpdateExpression": "SET m = :v REMOVE m.x", "ExpressionAttributeValues": ONE},
        "Two document paths overlap with each other",
    ),
    "a section twice": (
        "update_item",
        {"Key": A, "UpdateExpression": "SET a = :v SET b = :v", "ExpressionAttributeValues": ONE},
        'The "SET" section can only be used once in an update expression',
    ),
    "an update of the key": (
        "update_item",
        {"Key": A, "UpdateExpression": "SET pk = :v", "ExpressionAttributeValues": {":v": s("b")}},
        "This attribute is part of the key",
    ),
    "a path through nothing": (
        "update_item",
        {"Key": A, "UpdateExpression": "SET nothing.x = :v", "ExpressionAttributeValues": ONE},
        "The document path provided in the update expression is invalid for update",
    ),
    "a path through a number": (
        "update_item",
        {"Key": A, "UpdateExpression": "REMOVE version.x"},
        "The document path provided in the update expression is invalid for update",
    ),
    "a value from nowhere": (
        "update_item",
        {"Key": A, "UpdateExpression": "SET a = nothing"},
        "The provided expression refers to an attribute that does not exist in the item",
    ),
    "a number added to a map": (
        "update_item",
        {"Key": A, "UpdateExpression": "ADD m :v", "ExpressionAttributeValues": ONE},
        "An operand in the update expression has an incorrect data type",
    ),
    "an empty key": ("put_item", {"Item": {"pk": s("")}}, "empty string"),
    "an empty key that is looked for": ("get_item", {"Key": {"pk": s("")}}, "empty string"),
    "a key of another type": ("put_item", {"Item": {"pk": n(1)}}, ""),
    "no key": ("put_item", {"Item": {"a": n(1)}}, "key"),
    "a key of 2,049 bytes": ("put_item", {"Item": {"pk": s("a" * 2049)}}, "2048 bytes"),
    "an empty key of an index": (
        "put_item",
        {"Item": {**A, "attention_shard": s(""), "attention_at": n(1)}},
        "empty string",
    ),
    "an item of more than 400 KB": (
        "put_item",
        {"Item": {**A, "e": s("x" * (400 * KB - 3))}},
        "Item size has exceeded the maximum allowed size",
    ),
    "an attribute in 32 maps": (
        "put_item",
        {"Item": {**A, "e": nested(32)}},
        "Nesting Levels have exceeded supported limits",
    ),
    "an update with a value in 32 maps": (
        "update_item",
        {"Key": A, "UpdateExpression": "SET e = :v", "ExpressionAttributeValues": {":v": nested(32)}},
        "Nesting Levels have exceeded supported limits",
    ),
    "an empty set": ("put_item", {"Item": {**A, "e": {"SS": []}}}, "set  may not be empty"),
    "a batch with a key twice": (
        "batch_get_item",
        {"RequestItems": {TABLE: {"Keys": [A, A]}}},
        "Provided list of item keys contains duplicates",
    ),
    "a transaction with an item twice": (
        "transact_write_items",
        {
            "TransactItems": [
                {"Update": {"TableName": TABLE, "Key": A, "UpdateExpression": "REMOVE a"}},
                {"Update": {"TableName": TABLE, "Key": A, "UpdateExpression": "REMOVE b"}},
            ]
        },
        "Transaction request cannot include multiple operations on one item",
    ),
    "a transaction with an expression of more than 4 KB": (
        "transact_write_items",
        {
            "TransactItems": [
                {"Delete": {"TableName": TABLE, "Key": A, "ConditionExpression": f"attribute_exists({LONG})"}}
            ]
        },
        "Expression size has exceeded the maximum allowed size",
    ),
    "a query without the partition": (
        "query",
        {
            "IndexName": "attention",
            "KeyConditionExpression": "attention_at <= :v",
            "ExpressionAttributeValues": ONE,
        },
        "Query condition missed key schema element",
    ),
    "ALL_NEW of a put": ("put_item", {"Item": A, "ReturnValues": "ALL_NEW"}, ""),
}
_UNLIKE: Final = {("moto", "a path through a number"): "an error of its own"}


@pytest.mark.parametrize("what", REFUSED)
def test_a_request_against_the_rules_is_refused_and_changes_nothing(database: Database, what: str) -> None:
    if why := _UNLIKE.get((database.engine, what)):
        database.unless(database.engine, why)
    operation, request, words = REFUSED[what]
    code, message = database.refusal(operation, **request)
    assert code == "ValidationException"
    assert words in message
    assert database.item() == ITEM


def test_300_operators_are_allowed(database: Database) -> None:
    condition = " OR ".join([*["a=:v"] * 149, "size(l)>:v"])
    database.ask("put_item", Item=A, ConditionExpression=condition, ExpressionAttributeValues=ONE)
    assert database.item() == A, "149 comparisons, 149 ORs, and two more operators"


def test_an_item_of_400_kb_is_stored_and_a_byte_more_refused(database: Database) -> None:
    database.unless("moto", "counts a little less than 400 KB as too much")
    big = {**A, "e": s("x" * (400 * KB - 4))}
    assert item_bytes(big) == aws_limits.ITEM_BYTES
    database.ask("put_item", Item=big)
    grown = {"Key": A, "UpdateExpression": "SET f = :v", "ExpressionAttributeValues": {":v": s("x")}}
    code, message = database.refusal("update_item", **grown)
    assert (code, message) == ("ValidationException", "Item size to update has exceeded the maximum allowed size")
    assert database.item() == big


def test_an_update_that_makes_an_item_too_large_changes_nothing(database: Database) -> None:
    half = {":v": s("x" * 250 * KB)}
    database.ask("update_item", Key=A, UpdateExpression="SET e = :v", ExpressionAttributeValues=half)
    before = database.item()
    code, message = database.refusal(
        "update_item", Key=A, UpdateExpression="SET f = :v", ExpressionAttributeValues=half
    )
    assert (code, message) == ("ValidationException", "Item size to update has exceeded the maximum allowed size")
    assert database.item() == before


def test_a_placeholder_of_255_bytes_and_a_number_in_31_maps_are_allowed(database: Database) -> None:
    name = f"#{'a' * 254}"
    database.ask(
        "update_item",
        Key=A,
        UpdateExpression=f"SET {name} = :v",
        ExpressionAttributeNames={name: "b"},
        ExpressionAttributeValues={":v": nested(31)},
    )
    assert database.item()["b"] == nested(31)


def test_a_query_of_an_index_is_never_consistent_and_needs_an_index(database: Database) -> None:
    condition = {"KeyConditionExpression": "attention_shard = :v", "ExpressionAttributeValues": {":v": s("1")}}
    assert database.refusal("query", IndexName="attention", ConsistentRead=True, **condition)[0] == (
        "ValidationException"
    )
    code, message = database.refusal("query", IndexName="nothing", **condition)
    assert code == ("ResourceNotFoundException" if database.engine == "moto" else "ValidationException")
    assert "nothing" in message


# --- conditions -----------------------------------------------------------------------------------------------------


CONDITIONS: Final[dict[str, tuple[bool, dict[str, Any]]]] = {
    "attribute_exists(pk)": (True, {}),
    "attribute_not_exists(pk)": (False, {}),
    "attribute_not_exists(m.nothing)": (True, {}),
    "attribute_exists(m.y.z) AND attribute_exists(l)": (True, {}),
    "version = :three": (True, {":three": n(3)}),
    "version = :three OR nothing = :three": (True, {":three": n(3)}),
    "version <> :three": (False, {":three": n(3)}),
    "version = :text": (False, {":text": s("3")}),
    "version <> :text": (True, {":text": s("3")}),
    "nothing = :v": (False, {":v": n(1)}),
    "nothing <> :v": (True, {":v": n(1)}),
    "version < :v": (False, {":v": n(3)}),
    "version <= :v": (True, {":v": n(3)}),
    "version > :v": (True, {":v": n(2)}),
    "version >= :v": (False, {":v": n(4)}),
    "version < :ten": (True, {":ten": n(10)}),
    "nothing < :v": (False, {":v": n(1)}),
    # AND has precedence over OR.
    "attribute_exists(pk) OR version = :v AND nothing = :v": (True, {":v": n(1)}),
    "(attribute_exists(pk) OR version = :v) AND nothing = :v": (False, {":v": n(1)}),
    "size(m) = :n": (True, {":n": n(2)}),
    "size(l) = :n": (True, {":n": n(3)}),
    "size(tags) >= :n": (True, {":n": n(2)}),
    "begins_with(pk, :v)": (True, {":v": s("a")}),
    "m.x = :v": (True, {":v": n(1)}),
    "m = :v": (True, {":v": ITEM["m"]}),
    "l = :v": (False, {":v": {"L": [n(3), n(2), n(1)]}}),
}


@pytest.mark.parametrize("condition", CONDITIONS)
def test_a_write_takes_place_only_where_its_condition_holds(database: Database, condition: str) -> None:
    holds, values = CONDITIONS[condition]
    request = {"Key": A, "ConditionExpression": condition}
    if values:
        request["ExpressionAttributeValues"] = values
    if holds:
        database.ask("delete_item", **request)
    else:
        assert database.refusal("delete_item", **request) == (
            "ConditionalCheckFailedException",
            "The conditional request failed",
        )
    assert (database.item() is None) == holds


def test_what_is_not_there_has_no_attributes(database: Database) -> None:
    new = {"pk": s("new")}
    request = {"Key": new, "UpdateExpression": "SET a = :v", "ExpressionAttributeValues": ONE}
    assert database.refusal("update_item", ConditionExpression="attribute_exists(pk)", **request)[0] == (
        "ConditionalCheckFailedException"
    )
    assert database.item(new) is None
    database.ask("update_item", ConditionExpression="attribute_not_exists(pk) AND a <> :v", **request)
    assert database.item(new) == {**new, "a": n(1)}


def test_a_put_replaces_the_item_where_its_condition_holds(database: Database) -> None:
    put = {"Item": {**A, "b": n(2)}, "ConditionExpression": "version = :v"}
    assert database.refusal("put_item", ExpressionAttributeValues={":v": n(4)}, **put)[0] == (
        "ConditionalCheckFailedException"
    )
    assert database.item() == ITEM
    database.ask("put_item", ExpressionAttributeValues={":v": n(3)}, **put)
    assert database.item() == put["Item"]


# --- updates --------------------------------------------------------------------------------------------------------


UPDATES: Final[dict[str, tuple[dict[str, Any], dict[str, Any]]]] = {
    "SET a = :v": (ONE, {"a": n(1)}),
    "SET a = version": ({}, {"a": n(3)}),
    # Every operand has its old value.
    "SET a = version, version = :v": (ONE, {"a": n(3), "version": n(1)}),
    "SET a = if_not_exists(a, :v)": (ONE, {"a": n(1)}),
    "SET version = if_not_exists(version, :v)": (ONE, {}),
    "SET l = list_append(l, :more)": ({":more": {"L": [n(4)]}}, {"l": {"L": [n(1), n(2), n(3), n(4)]}}),
    "SET m.w = :v": (ONE, {"m": {"M": {**ITEM["m"]["M"], "w": n(1)}}}),
    "SET m.y.z = :v": (ONE, {"m": {"M": {"x": n(1), "y": {"M": {"z": n(1)}}}}}),
    "REMOVE m.x, yes": ({}, {"m": {"M": {"y": ITEM["m"]["M"]["y"]}}, "yes": None}),
    "REMOVE nothing": ({}, {}),
    "ADD version :v": (ONE, {"version": n(4)}),
    "ADD a :v": (ONE, {"a": n(1)}),
    "ADD m.x :v": (ONE, {"m": {"M": {**ITEM["m"]["M"], "x": n(2)}}}),
    "REMOVE yes SET a = :v ADD version :v": (ONE, {"yes": None, "a": n(1), "version": n(4)}),
}


@pytest.mark.parametrize("expression", UPDATES)
def test_an_update_does_what_its_expression_says_and_nothing_else(database: Database, expression: str) -> None:
    values, changed = UPDATES[expression]
    request: Request = {"Key": A, "UpdateExpression": expression}
    if values:
        request["ExpressionAttributeValues"] = values
    answer = database.ask("update_item", ReturnValues="ALL_NEW", **request)
    expected = {name: value for name, value in {**ITEM, **changed}.items() if value is not None}
    assert database.item() == expected
    assert answer["Attributes"] == expected


def test_removing_a_member_that_is_not_there_changes_nothing(database: Database) -> None:
    database.unless("moto", "refuses it")
    database.ask("update_item", Key=A, UpdateExpression="REMOVE m.nothing")
    assert database.item() == ITEM


@pytest.mark.parametrize("returned", ["NONE", "ALL_NEW"])
def test_an_update_answers_with_what_was_asked_for(database: Database, returned: str) -> None:
    answer = database.ask(
        "update_item",
        Key=A,
        UpdateExpression="SET #m.x = :seven, a = :v ADD version :v",
        ExpressionAttributeNames={"#m": "m"},
        ExpressionAttributeValues={**ONE, ":seven": n(7)},
        ReturnValues=returned,
    )
    after = {**ITEM, "version": n(4), "m": {"M": {**ITEM["m"]["M"], "x": n(7)}}, "a": n(1)}
    assert answer.get("Attributes") == (after if returned == "ALL_NEW" else None)


@pytest.mark.parametrize(
    ("operation", "request_"),
    [
        ("put_item", {"Item": A, "ConditionExpression": "a BETWEEN :v AND :v", "ExpressionAttributeValues": ONE}),
        ("put_item", {"Item": A, "ConditionExpression": "contains(a, :v)", "ExpressionAttributeValues": ONE}),
        ("update_item", {"Key": A, "UpdateExpression": "SET l[0] = :v", "ExpressionAttributeValues": ONE}),
        ("update_item", {"Key": A, "UpdateExpression": "SET a = a + :v", "ExpressionAttributeValues": ONE}),
        ("get_item", {"Key": A, "ProjectionExpression": "a"}),
    ],
)
def test_what_the_stand_in_in_memory_does_not_know_it_says(operation: str, request_: Request) -> None:
    client = MemoryDynamo(Outside()).client(1, repeats=False)
    with pytest.raises(AssertionError, match="stand-in for DynamoDB does not know"):
        getattr(client, operation)(TableName=TABLE, **request_)


# --- transactions ---------------------------------------------------------------------------------------------------


def put(pk: str, **more: Any) -> Request:
    return {"Put": {"TableName": TABLE, "Item": {"pk": s(pk)}, **more}}


def count(pk: str, **more: Any) -> Request:
    update = {"UpdateExpression": "ADD taken :v", "ExpressionAttributeValues": ONE}
    return {"Update": {"TableName": TABLE, "Key": {"pk": s(pk)}, **update, **more}}


EXISTS: Final = {"ConditionExpression": "attribute_exists(pk)"}


def test_a_transaction_does_everything(database: Database) -> None:
    database.ask("put_item", Item={"pk": s("gone")})
    database.ask(
        "transact_write_items",
        TransactItems=[
            put("new", ConditionExpression="attribute_not_exists(pk)"),
            count("counter"),
            {"Delete": {"TableName": TABLE, "Key": {"pk": s("gone")}}},
            {"ConditionCheck": {"TableName": TABLE, "Key": A, **EXISTS}},
        ],
    )
    assert database.item({"pk": s("new")}) == {"pk": s("new")}
    assert database.item({"pk": s("counter")}) == {"pk": s("counter"), "taken": n(1)}
    assert database.item({"pk": s("gone")}) is None
    assert database.item() == ITEM


def test_a_transaction_does_nothing_when_one_condition_fails_and_says_which(database: Database) -> None:
    with pytest.raises(ClientError) as raised:
        database.ask(
            "transact_write_items",
            TransactItems=[
                count("counter"),
                put("a", ConditionExpression="attribute_not_exists(pk)"),
                {"ConditionCheck": {"TableName": TABLE, "Key": {"pk": s("nothing")}, **EXISTS}},
            ],
        )
    error: Any = raised.value.response
    assert error["Error"]["Code"] == "TransactionCanceledException"
    assert error["Error"]["Message"].endswith("[None, ConditionalCheckFailed, ConditionalCheckFailed]")
    first, second, third = error["CancellationReasons"]
    assert first == {"Code": "None"}
    assert {second["Message"].rstrip("."), third["Message"].rstrip(".")} == {"The conditional request failed"}
    assert database.item({"pk": s("counter")}) is None
    assert database.item() == ITEM


def test_a_transaction_takes_effect_once_for_one_token(database: Database) -> None:
    token = "00000000-0000-4000-8000-000000000001"
    for _ in range(2):
        database.ask("transact_write_items", TransactItems=[count("counter")], ClientRequestToken=token)
    assert database.item({"pk": s("counter")})["taken"] == n(1)
    code, _ = database.refusal("transact_write_items", TransactItems=[count("another")], ClientRequestToken=token)
    assert code == "IdempotentParameterMismatchException"
    assert database.item({"pk": s("another")}) is None


def test_a_transaction_that_makes_an_item_too_large_is_cancelled(database: Database) -> None:
    big = {"UpdateExpression": "SET e = :v", "ExpressionAttributeValues": {":v": s("x" * 250 * KB)}}
    database.ask("update_item", Key=A, **big)
    before = database.item()
    grow = {"Update": {"TableName": TABLE, "Key": A, **big, "UpdateExpression": "SET f = :v"}}
    code, message = database.refusal("transact_write_items", TransactItems=[count("counter"), grow])
    if database.engine == "moto":
        # The guard detects it only afterwards, and reverts it.
        assert (code, message) == ("ValidationException", "Item size to update has exceeded the maximum allowed size")
    else:
        assert code == "TransactionCanceledException"
        assert message.endswith("[None, ValidationError]")
    assert database.item() == before
    assert database.item({"pk": s("counter")}) is None


def test_a_transaction_has_at_most_100_actions_and_4_mb(database: Database) -> None:
    database.unless("DynamoDB Local", "of a time when ten actions were the most")
    database.ask("transact_write_items", TransactItems=[put(f"n{number}") for number in range(100)])
    code, message = database.refusal("transact_write_items", TransactItems=[put(f"m{n}") for n in range(101)])
    assert (code, "less than or equal to 100" in message) == ("ValidationException", True)
    items = [{"pk": s(f"big{number}"), "e": s("x" * 380 * KB)} for number in range(11)]
    puts = [{"Put": {"TableName": TABLE, "Item": item}} for item in items]
    database.ask("transact_write_items", TransactItems=puts[:10])
    assert database.refusal("transact_write_items", TransactItems=puts)[0] == "ValidationException"
    assert database.item({"pk": s("big10")}) is None


# --- many items -----------------------------------------------------------------------------------------------------


def test_a_batch_gives_what_is_there(database: Database) -> None:
    database.ask("put_item", Item={"pk": s("b"), "version": n(1), "more": n(2)})
    answer = database.ask(
        "batch_get_item",
        RequestItems={
            TABLE: {
                "Keys": [A, {"pk": s("b")}, {"pk": s("nothing")}],
                "ConsistentRead": True,
            }
        },
    )
    found = sorted(answer["Responses"][TABLE], key=lambda item: str(item["pk"]["S"]))
    assert found == [ITEM, {"pk": s("b"), "version": n(1), "more": n(2)}]
    assert answer["UnprocessedKeys"] == {}


def test_a_batch_has_at_most_100_keys(database: Database) -> None:
    keys = [{"pk": s(str(number))} for number in range(101)]
    assert database.ask("batch_get_item", RequestItems={TABLE: {"Keys": keys[:100]}})["Responses"] == {TABLE: []}
    code, message = database.refusal("batch_get_item", RequestItems={TABLE: {"Keys": keys}})
    assert (code, message) == ("ValidationException", "Too many items requested for the BatchGetItem call")


def test_a_batch_stops_at_16_mb_and_names_the_keys_that_are_left(database: Database) -> None:
    keys = [{"pk": s(f"big{number}")} for number in range(44)]
    for key in keys:
        database.ask("put_item", Item={**key, "e": s("x" * 390 * KB)})
    found: list[str] = []
    wanted: Any = {TABLE: {"Keys": keys, "ConsistentRead": True}}
    rounds = 0
    while wanted:
        answer = database.ask("batch_get_item", RequestItems=wanted)
        found += [item["pk"]["S"] for item in answer["Responses"][TABLE]]
        wanted = answer["UnprocessedKeys"]
        rounds += 1
    assert rounds == 2
    assert sorted(found) == sorted(key["pk"]["S"] for key in keys)


SHARD: Final = {":s": s("1")}
QUERIES: Final[dict[str, tuple[dict[str, Any], list[str]]]] = {
    "attention_shard = :s": ({}, ["d1", "d2", "d3", "d4"]),
    "attention_shard = :s AND attention_at <= :a": ({":a": n(20)}, ["d1", "d2"]),
    "attention_shard = :s AND attention_at < :a": ({":a": n(20)}, ["d1"]),
    "attention_at > :a AND attention_shard = :s": ({":a": n(20)}, ["d3", "d4"]),
    "attention_shard = :s AND attention_at = :a": ({":a": n(30)}, ["d3"]),
}


@pytest.fixture
def due(database: Database) -> Database:
    """Four items in the index, one in another of its partitions, and some that are not in it."""
    for number, at in enumerate((10, 20, 30, 100), start=1):
        item = {"pk": s(f"d{number}"), "attention_shard": s("1"), "attention_at": n(at), "more": n(1)}
        database.ask("put_item", Item=item)
    database.ask("put_item", Item={"pk": s("other"), "attention_shard": s("2"), "attention_at": n(1)})
    database.ask("put_item", Item={"pk": s("half"), "attention_shard": s("1")})
    return database


@pytest.mark.parametrize("condition", QUERIES)
def test_a_query_gives_the_keys_of_a_partition_by_time(due: Database, condition: str) -> None:
    values, expected = QUERIES[condition]
    request = {
        "IndexName": "attention",
        "KeyConditionExpression": condition,
        "ExpressionAttributeValues": {**SHARD, **values},
    }
    answer = due.ask("query", **request)
    assert [item["pk"]["S"] for item in answer["Items"]] == expected
    assert all(item.keys() == {"pk", "attention_shard", "attention_at"} for item in answer["Items"])
    assert answer["Count"] == len(expected)
    assert "LastEvaluatedKey" not in answer


def test_a_query_goes_on_behind_its_last_key(due: Database) -> None:
    pages: list[list[str]] = []
    start: dict[str, Any] = {}
    while True:
        answer = due.ask(
            "query",
            IndexName="attention",
            KeyConditionExpression="attention_shard = :s",
            ExpressionAttributeValues=SHARD,
            Limit=3,
            **start,
        )
        pages.append([item["pk"]["S"] for item in answer["Items"]])
        if "LastEvaluatedKey" not in answer:
            break
        assert answer["LastEvaluatedKey"].keys() == {"pk", "attention_shard", "attention_at"}
        start = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}
    assert pages == [["d1", "d2", "d3"], ["d4"]]


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 5, 6])
def test_a_query_goes_backwards_from_a_key_also_between_items_of_one_sort_key(database: Database, limit: int) -> None:
    parties = {"client_id": n(7), "freelancer_id": n(8)}
    for number in range(6):
        item = {"pk": s(f"order#{number}"), **parties, "created_at": s(f"2026-03-01T09:30:0{number // 3}Z")}
        database.ask("put_item", Item=item)
    found: list[str] = []
    start: dict[str, Any] = {}
    while True:
        answer = database.ask(
            "query",
            IndexName="client-index",
            KeyConditionExpression="client_id = :u",
            ExpressionAttributeValues={":u": n(7)},
            ScanIndexForward=False,
            Limit=limit,
            **start,
        )
        assert all(item.keys() == {"pk", "client_id", "created_at"} for item in answer["Items"])
        found += [item["pk"]["S"] for item in answer["Items"]]
        if not answer["Items"]:
            break
        # Built from what an item says, as a cursor is, and not from the answer's own last key.
        start = {"ExclusiveStartKey": answer["Items"][-1]}
    assert len(found) == 6
    assert set(found[:3]) == {"order#3", "order#4", "order#5"}
    assert set(found[3:]) == {"order#0", "order#1", "order#2"}


def test_a_page_that_is_full_has_a_last_key_even_when_nothing_is_left(due: Database) -> None:
    due.unless("moto", "leaves it out")
    answer = due.ask(
        "query",
        IndexName="attention",
        KeyConditionExpression="attention_shard = :s",
        ExpressionAttributeValues=SHARD,
        Limit=4,
    )
    assert answer["LastEvaluatedKey"]["pk"] == s("d4")


def test_a_page_has_at_most_1_mb(database: Database) -> None:
    keys = [f"{number:04d}{'x' * 2040}" for number in range(530)]
    for number, key in enumerate(keys):
        database.ask("put_item", Item={"pk": s(key), "attention_shard": s("1"), "attention_at": n(number)})
    request = {
        "IndexName": "attention",
        "KeyConditionExpression": "attention_shard = :s",
        "ExpressionAttributeValues": SHARD,
    }
    first = database.ask("query", **request)
    assert sum(map(item_bytes, first["Items"][:-1])) < aws_limits.PAGE_BYTES
    second = database.ask("query", ExclusiveStartKey=first["LastEvaluatedKey"], **request)
    assert "LastEvaluatedKey" not in second
    assert [item["pk"]["S"] for item in first["Items"] + second["Items"]] == keys


def test_the_table_itself_is_queried_by_its_key(database: Database) -> None:
    answer = database.ask(
        "query",
        KeyConditionExpression="pk = :v",
        ExpressionAttributeValues={":v": s("a")},
        ConsistentRead=True,
    )
    assert answer["Items"] == [ITEM]


# --- what the in-memory stand-in can simulate -----------------------------------------------------------------------


def fated(operation: str, kind: Kind) -> Callable[[Call], Kind | None]:
    return lambda call: kind if call.operation == f"dynamodb {operation}" else None


def test_a_batch_may_leave_keys_for_the_next_time() -> None:
    outside = Outside()
    client = MemoryDynamo(outside).client(1, repeats=False)
    keys = [{"pk": s(str(number))} for number in range(5)]
    for key in keys:
        client.put_item(TableName=TABLE, Item=key)
    outside.fate = fated("BatchGetItem", Kind.PARTLY)
    wanted: Any = {TABLE: {"Keys": keys, "ConsistentRead": True}}
    first = client.batch_get_item(RequestItems=wanted)
    assert first["Responses"] == {TABLE: keys[:3]}
    assert first["UnprocessedKeys"] == {TABLE: {"Keys": keys[3:], "ConsistentRead": True}}
    one = client.batch_get_item(RequestItems={TABLE: {"Keys": keys[:2], "ConsistentRead": True}})["UnprocessedKeys"]
    # A single key cannot be left unprocessed: DynamoDB would return an error.
    outside.fate = lambda call: Kind.PARTLY if Kind.PARTLY in call.kinds else None
    assert client.batch_get_item(RequestItems=one)["UnprocessedKeys"] == {}


def test_a_transaction_that_its_client_sends_again_takes_effect_once() -> None:
    outside = Outside()
    client = MemoryDynamo(outside).client(1, repeats=True)
    outside.fate = fated("TransactWriteItems", Kind.REPEATED)
    for _ in range(2):
        client.transact_write_items(TransactItems=[count("counter", **EXISTS | {"ConditionExpression": "taken <> :v"})])
        outside.fate = lambda _: None
        client.delete_item(TableName=TABLE, Key={"pk": s("counter")})
    client.transact_write_items(TransactItems=[count("counter")])
    found = client.get_item(TableName=TABLE, Key={"pk": s("counter")}, ConsistentRead=True)
    assert found["Item"]["taken"] == n(1)


@pytest.mark.parametrize("change", ["put", "update", "delete", "transaction"])
def test_a_read_that_is_not_consistent_gives_the_item_before_its_last_change(change: str) -> None:
    client = MemoryDynamo(Outside()).client(1, repeats=False)
    key = {"pk": s("counter")}
    before = {**key, "taken": n(1)}
    client.put_item(TableName=TABLE, Item=before)
    match change:
        case "put":
            client.put_item(TableName=TABLE, Item=key)
        case "update":
            client.update_item(TableName=TABLE, Key=key, UpdateExpression="REMOVE taken")
        case "delete":
            client.delete_item(TableName=TABLE, Key=key)
        case _:
            client.transact_write_items(TransactItems=[count("counter")])
    assert client.get_item(TableName=TABLE, Key=key)["Item"] == before
    assert client.batch_get_item(RequestItems={TABLE: {"Keys": [key]}})["Responses"] == {TABLE: [before]}


def test_a_request_that_aws_would_refuse_is_remembered_as_a_mistake() -> None:
    outside = Outside()
    client = MemoryDynamo(outside).client(1, repeats=False)
    with pytest.raises(ClientError):
        client.put_item(TableName=TABLE, Item={**A, "e": s("x" * 500 * KB)})
    assert outside.refused == ["dynamodb PutItem: Item size has exceeded the maximum allowed size"]
    with pytest.raises(ClientError):
        client.delete_item(TableName=TABLE, Key=A, **EXISTS)
    assert len(outside.refused) == 1, "that a condition does not hold is no mistake"


def test_every_change_is_told_with_what_was_before_it_once_all_of_a_transaction_is_stored() -> None:
    told: list[Any] = []
    table = MemoryDynamo(
        Outside(), on_change=lambda pk, before, after: told.append((pk, before, after, set(table.items)))
    )
    client = table.client(1, repeats=False)
    client.transact_write_items(TransactItems=[put("x"), put("y")])
    client.delete_item(TableName=TABLE, Key={"pk": s("x")})
    x, y = {"pk": s("x")}, {"pk": s("y")}
    assert told == [("x", None, x, {"x", "y"}), ("y", None, y, {"x", "y"}), ("x", x, None, {"y"})]
