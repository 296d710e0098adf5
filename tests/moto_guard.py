"""A guard before moto, which refuses what AWS refuses.

moto accepts expressions, items and batches of any size, and repeats a transaction that is sent again with the same
token. When botocore passes a request to moto, the guard first checks it with `tests/aws_limits.py`, and after an update
it checks the resulting item.

Another engine can replace moto for DynamoDB (`tests/dynamodb_local`); it enforces limits itself, without the guard.

`mocked_aws` runs moto without the parts that cost most of its time and change no answer.
"""

import json
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from copy import deepcopy
from functools import cache
from typing import Any, Final
from weakref import WeakKeyDictionary

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders
from moto import backend_index
from moto.core import responses
from moto.core.base_backend import BackendDict
from moto.core.botocore_stubber import BotocoreStubber, MockRawResponse
from moto.core.model_instances import reset_model_data
from moto.core.models import DEFAULT_ACCOUNT_ID, MockAWS, botocore_stubber
from moto.core.serialize import BaseJSONSerializer
from moto.core.utils import method_names_from_class
from moto.dynamodb.models import dynamodb_backends
from moto.dynamodb.models.dynamo_type import DynamoType
from moto.dynamodb.models.table import Table

from tests import aws_limits
from tests.faults.expressions import Item, Refused

type Send = Callable[[], AWSResponse | None]
type Engine = Callable[[AWSPreparedRequest], AWSResponse]

_REGION: Final = "ap-south-1"
_SERVICES: Final = frozenset({"dynamodb", "events", "secretsmanager"})
_UPDATES: Final = frozenset({"UpdateItem", "TransactWriteItems"})
_real: Final = BotocoreStubber.__call__
_engine: tuple[str, Engine] | None = None
_structure: Final = BaseJSONSerializer._serialize_type_structure  # noqa: SLF001 - replaced below
_done: Final[WeakKeyDictionary[Table, dict[str, Any]]] = WeakKeyDictionary()
"""For each table, the transactions that took effect, by client token."""


@cache
def install() -> None:
    """Installs the guard before moto, permanently."""
    BotocoreStubber.__call__ = _guarded  # type: ignore[assignment]  # as it is found on the class
    BaseJSONSerializer._serialize_type_structure = _serialized  # type: ignore[assignment, method-assign]  # noqa: SLF001
    # moto looks for these once per request, among all members of a class and all its services.
    vars(responses)["method_names_from_class"] = cache(method_names_from_class)
    backend_index.backend_url_patterns.sort(key=lambda known: known[0] not in _SERVICES)


class mocked_aws(MockAWS):  # noqa: N801 - as moto's `mock_aws`
    """moto's `mock_aws` with the guard, for what botocore sends.

    moto would also register hundreds of patterns with `responses` for what other libraries send to AWS. Nobody does
    here, and each request to Razorpay would be compared with every pattern.
    """

    def __init__(self) -> None:
        super().__init__()
        install()

    def _enable_patching(self, reset: bool = True) -> None:  # noqa: FBT002 - moto's own signature
        botocore_stubber.enabled = True
        if reset:
            BackendDict.reset()

    def _disable_patching(self, remove_data: bool) -> None:
        botocore_stubber.enabled = False
        if remove_data:
            BackendDict.reset()
            reset_model_data()


def replace_moto(name: str, answer: Engine) -> None:
    """Lets another engine answer the requests to DynamoDB."""
    global _engine  # noqa: PLW0603 - moto's own hook is one for the whole process
    _engine = name, answer


def engine() -> str:
    """The engine that answers the requests to DynamoDB."""
    return "moto" if _engine is None else _engine[0]


def _serialized(
    serializer: BaseJSONSerializer, serialized: MutableMapping[str, Any], value: Any, shape: Any, key: str
) -> None:
    """Writes a DynamoDB value; moto would look for each of its ten types under several names."""
    if shape.name != "AttributeValue" or not isinstance(value, dict):
        return _structure(serializer, serialized, value, shape, key)
    wrapper: dict[str, Any] = {}
    for kind, held in value.items():
        serializer._serialize(wrapper, held, shape.members[kind], kind)  # noqa: SLF001 - as moto does
    serializer._default_serialize(serialized, wrapper, shape, key)  # noqa: SLF001 - as above
    return None


def _guarded(
    stubber: BotocoreStubber, event_name: str, request: AWSPreparedRequest, **kwargs: Any
) -> AWSResponse | None:
    def send() -> AWSResponse | None:
        return _real(stubber, event_name, request, **kwargs)

    _, service, operation = event_name.split(".")
    # moto lets requests through that do not go to AWS (for example to a socket that never responds).
    if not stubber.enabled or service not in {"dynamodb", "events"} or ".amazonaws.com" not in request.url:
        return send()
    if service == "dynamodb" and _engine is not None:
        return _engine[1](request)
    assert isinstance(request.body, bytes | str)
    asked = json.loads(request.body)
    try:
        aws_limits.check_request(operation, asked)
        if operation == "TransactWriteItems":
            return _once(request, asked, send)
        return _within_size(operation, asked, send)
    except Refused as refused:
        return _refusal(request, refused)


def _once(request: AWSPreparedRequest, asked: Mapping[str, Any], send: Send) -> AWSResponse | None:
    """A transaction, which takes effect once per token ("TransactWriteItems", idempotency)."""
    actions = list(_actions("TransactWriteItems", asked))
    done = _done.setdefault(_table(actions[0]), {})
    token, wanted = asked.get("ClientRequestToken"), asked["TransactItems"]
    if token in done:
        if done[token] != wanted:
            raise Refused("", "IdempotentParameterMismatchException")
        return AWSResponse(request.url, 200, HTTPHeaders(), MockRawResponse("{}"))
    response = _within_size("TransactWriteItems", asked, send)
    if token is not None and response is not None and response.status_code == 200:
        done[token] = wanted
    return response


def _within_size(operation: str, asked: Mapping[str, Any], send: Send) -> AWSResponse | None:
    """Reverts an update that made an item too large or nested it too deeply."""
    if operation not in _UPDATES:
        return send()
    places = [_place(action) for action in _actions(operation, asked)]
    before = [deepcopy(table.get_item(key)) for table, key in places]
    response = send()
    after = [_attributes(table, key) for table, key in places]
    try:
        for item in after:
            aws_limits.check_updated(item)
        if operation == "TransactWriteItems":
            aws_limits.check_transaction_size(after)
    except Refused:
        for (table, key), kept in zip(places, before, strict=True):
            # moto's types assume that every table has a sort key.
            items: Any = table.items
            items.pop(key, None)
            if kept is not None:
                items[key] = kept
        raise
    return response


def _actions(operation: str, asked: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    if operation == "TransactWriteItems":
        for action in asked["TransactItems"]:
            yield from action.values()
    else:
        yield asked


def _table(action: Mapping[str, Any]) -> Table:
    table = dynamodb_backends[DEFAULT_ACCOUNT_ID][_REGION].tables.get(action["TableName"])
    if table is None:
        raise Refused("Requested resource not found", "ResourceNotFoundException")
    assert not table.has_range_key, "no table here has a sort key"
    return table


def _place(action: Mapping[str, Any]) -> tuple[Table, DynamoType]:
    """moto's storage for what an action changes."""
    table = _table(action)
    return table, DynamoType((action.get("Key") or action["Item"])[table.hash_key_attr])


def _attributes(table: Table, key: DynamoType) -> Item:
    item = table.get_item(key)
    if item is None:
        return {}
    attributes: Item = item.to_json()["Attributes"]
    return attributes


def _refusal(request: AWSPreparedRequest, refused: Refused) -> AWSResponse:
    body = json.dumps({"__type": f"com.amazonaws.dynamodb.v20120810#{refused.code}", "message": refused.message})
    return AWSResponse(request.url, 400, HTTPHeaders(), MockRawResponse(body))
