"""The payments table in DynamoDB: records, pointers and the counter of payment ids.

Every write is conditional. The client's own retries can make our first write look like somebody else's, so a failed
condition is always answered by reading again, never taken as news of what is stored.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as Unreachable

from payments.core.attention import is_open, shard
from payments.core.errors import StorageConflict, TableUnavailable
from payments.core.model import Attempt, HistoryEntry, Order, PendingEvent, Record, Refund, RefundState, Review, Status
from payments.core.transitions import payment_marks

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient

ATTENTION_INDEX = "attention"
"""The sparse, keys-only index of the records that reconcile must look at."""

_RECORD_PREFIX = "order#"
# Keys only, about a hundred bytes each: a page is a few KiB, and a run that has no time left wastes no more than one.
_PAGE = 50
_SERVER_ERROR = 500
_THROTTLED = frozenset(
    {"ProvisionedThroughputExceededException", "RequestLimitExceeded", "Throttling", "ThrottlingException"}
)


class Due(NamedTuple):
    """A record that reconcile must look at, and since when (epoch seconds)."""

    order_id: str
    at: int


class PaymentsTable:
    """The table, and nothing else: what its items mean is decided in the core.

    Every method raises TableUnavailable when DynamoDB does not answer in time or cannot now. After a write that is
    doubt, not failure: it may have taken effect.
    """

    def __init__(self, client: "DynamoDBClient", name: str) -> None:
        self._client = client
        self._name = name

    def read(self, order_id: str) -> Record | None:
        """The record as it is now (strongly consistent), or None."""
        item = self._get(_record_key(order_id))
        return None if item is None else to_record(item)

    def insert(self, record: Record) -> None:
        """Stores a new record.

        Raises:
            StorageConflict: there is one under this order id.
        """
        item = to_item(record)
        try:
            self._client.put_item(
                TableName=self._name, Item=_attributes(item), ConditionExpression="attribute_not_exists(pk)"
            )
        except (ClientError, BotoCoreError) as error:
            _translate(error)

    def save(self, before: Record, after: Record) -> None:
        """Writes what changed between two versions of a record, the new pending events key by key.

        Raises:
            StorageConflict: the stored version is not that of `before`.
        """
        old, new = to_item(before), to_item(after)
        added = new["pending"].keys() - old["pending"].keys()
        # A clear may have removed the due time since `before` was read, and leaves the version alone. So whoever adds
        # an event writes it again: the same value costs nothing, and without it nobody would look for the event.
        rewritten = {"attention_at", "attention_shard"} if added else set()
        update = _Update()
        for name, value in new.items():
            if name != "pending" and (old.get(name) != value or name in rewritten):
                update.set((name,), value)
        for name in old.keys() - new.keys():
            update.remove((name,))
        for key in sorted(added):
            update.set(("pending", key), new["pending"][key])
        self._update(_record_key(before.order_id), update, before.version)

    def clear(self, record: Record, event_ids: Collection[str]) -> None:
        """Removes pending events key by key, and the due time with the last of them if nothing else is due.

        Raises:
            StorageConflict: the record moved on, so that something else may be due now; read it again.
        """
        update = _Update()
        for key in sorted(event_ids):
            update.remove(("pending", key))
        if record.pending.keys() <= set(event_ids) and not is_open(record.status, confirmed=record.confirmed):
            update.remove(("attention_at",))
            update.remove(("attention_shard",))
        self._update(_record_key(record.order_id), update, record.version)

    def current_order(self, client_id: int, application_id: int) -> str | None:
        """The order id that create-order hands out for this client's application, or None."""
        item = self._get(_pointer_key(client_id, application_id))
        return None if item is None else str(item["order_id"])

    def point(self, client_id: int, application_id: int, order_id: str, *, seen: str | None) -> None:
        """Makes an order the one that create-order hands out.

        Raises:
            StorageConflict: the application does not point at `seen` (any more).
        """
        update = _Update()
        update.set(("order_id",), order_id)
        condition = "attribute_not_exists(pk)"
        if seen is not None:
            update.values[":seen"] = seen
            condition = "#order_id = :seen"
        self._execute(_pointer_key(client_id, application_id), update, condition)

    def due(self, shard_name: str, now: int) -> Iterator[Due]:
        """The records of one shard of the index whose time has come, the longest overdue first, page by page.

        The index follows the table by a moment, so a record may not be due any more when it is read.
        """
        start: dict[str, Any] = {}
        while True:
            try:
                page = self._client.query(
                    TableName=self._name,
                    IndexName=ATTENTION_INDEX,
                    KeyConditionExpression="attention_shard = :shard AND attention_at <= :now",
                    ExpressionAttributeValues=_attributes({":shard": shard_name, ":now": now}),
                    Limit=_PAGE,
                    **start,
                )
            except (ClientError, BotoCoreError) as error:
                _translate(error)
            for item in page["Items"]:
                yield Due(item["pk"]["S"].removeprefix(_RECORD_PREFIX), int(item["attention_at"]["N"]))
            if "LastEvaluatedKey" not in page:
                return
            start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}

    def take_payment_ids(self, count: int) -> range:
        """Takes the next block of payment ids: unique, from 1, never handed out twice; gaps are fine."""
        try:
            answer = self._client.update_item(
                TableName=self._name,
                Key={"pk": {"S": "counter#payment_id"}},
                UpdateExpression="ADD last_taken :count",
                ExpressionAttributeValues={":count": {"N": str(count)}},
                ReturnValues="UPDATED_NEW",
            )
        except (ClientError, BotoCoreError) as error:
            _translate(error)
        last = int(answer["Attributes"]["last_taken"]["N"])
        return range(last - count + 1, last + 1)

    def _get(self, key: str) -> dict[str, Any] | None:
        try:
            answer = self._client.get_item(TableName=self._name, Key={"pk": {"S": key}}, ConsistentRead=True)
        except (ClientError, BotoCoreError) as error:
            _translate(error)
        item = answer.get("Item")
        return None if item is None else {name: _plain(value) for name, value in item.items()}

    def _update(self, key: str, update: "_Update", seen_version: int) -> None:
        update.names["#version"] = "version"
        update.values[":seen"] = seen_version
        self._execute(key, update, "#version = :seen")

    def _execute(self, key: str, update: "_Update", condition: str) -> None:
        try:
            self._client.update_item(
                TableName=self._name,
                Key={"pk": {"S": key}},
                UpdateExpression=update.expression(),
                ConditionExpression=condition,
                ExpressionAttributeNames=update.names,
                ExpressionAttributeValues=_attributes(update.values),
            )
        except (ClientError, BotoCoreError) as error:
            _translate(error)


class _Update:
    """An update expression in the making; every name goes through a placeholder, since event ids hold dashes."""

    def __init__(self) -> None:
        self.names: dict[str, str] = {}
        self.values: dict[str, Any] = {}
        self._sets: list[str] = []
        self._removes: list[str] = []

    def set(self, path: tuple[str, ...], value: object) -> None:
        placeholder = f":v{len(self.values)}"
        self.values[placeholder] = value
        self._sets.append(f"{self._path(path)} = {placeholder}")

    def remove(self, path: tuple[str, ...]) -> None:
        self._removes.append(self._path(path))

    def expression(self) -> str:
        clauses = (("SET", self._sets), ("REMOVE", self._removes))
        return " ".join(f"{verb} {', '.join(parts)}" for verb, parts in clauses if parts)

    def _path(self, path: tuple[str, ...]) -> str:
        return ".".join(self._name(part) for part in path)

    def _name(self, name: str) -> str:
        placeholder = f"#{name.replace('-', '')}"
        self.names[placeholder] = name
        return placeholder


def _translate(error: ClientError | BotoCoreError) -> NoReturn:
    if isinstance(error, ClientError):
        code = error.response.get("Error", {}).get("Code", "")
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if code == "ConditionalCheckFailedException":
            raise StorageConflict("The condition of the write did not hold.") from error
        if code in _THROTTLED or status >= _SERVER_ERROR:
            raise TableUnavailable(code) from error
    # Two families in botocore: a connect timeout is not an HTTPClientError, a read timeout is.
    if isinstance(error, HTTPClientError | Unreachable):
        raise TableUnavailable(type(error).__name__) from error
    # Anything else (no permission, no such table, a malformed request) is a mistake of ours that waiting does not cure.
    raise error


# --- items ----------------------------------------------------------------------------------------------------------


def _record_key(order_id: str) -> str:
    return f"{_RECORD_PREFIX}{order_id}"


def _pointer_key(client_id: int, application_id: int) -> str:
    # With the client in it, so that nobody can occupy somebody else's application.
    return f"application#{client_id}#{application_id}"


def _attributes(item: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _typed(value) for name, value in item.items()}


# The types that our items have. boto3 has the same for all types, and is not loaded for it (see wiring/aws.py).


def _typed(value: object) -> dict[str, Any]:
    """A plain value with DynamoDB's type."""
    match value:
        case bool():
            return {"BOOL": value}
        case str():
            return {"S": value}
        case int():
            return {"N": str(value)}
        case dict():
            return {"M": _attributes(value)}
        case list():
            return {"L": [_typed(item) for item in value]}
    raise TypeError(f"no item of ours holds a {type(value).__name__}")


def _plain(typed: Mapping[str, Any]) -> Any:  # noqa: ANN401 - any of the types above
    """The plain value; numbers are integers."""
    ((kind, value),) = typed.items()
    match kind:
        case "N":
            return int(value)
        case "M":
            return {name: _plain(item) for name, item in value.items()}
        case "L":
            return [_plain(item) for item in value]
        case "S" | "BOOL":
            return value
    raise TypeError(f"no item of ours holds a {kind}")


def to_item(record: Record) -> dict[str, Any]:
    """A record as an item of plain values: money and ids N, status and times S, `attention_at` and `expires_at` N.

    Absent means None, False or empty, except for `pending`, whose keys are written one by one and so need their map.
    """
    order = record.order
    agreed: dict[str, Any] = {}
    if order is not None:
        agreed = {
            "payment_id": order.payment_id,
            "job_id": order.job_id,
            "application_id": order.application_id,
            "client_id": order.client_id,
            "freelancer_id": order.freelancer_id,
            "amount": order.amount_minor,
            "currency": order.currency,
            "receipt": order.receipt,
        }
    return {
        "pk": _record_key(record.order_id),
        "order_id": record.order_id,
        **agreed,
        "status": record.status.value,
        "confirmed": record.confirmed,
        "version": record.version,
        "created_at": record.created_at,
        "updated_at": record.updated_at,
        "payments": {key: _attempt_item(record, key, attempt) for key, attempt in record.attempts.items()},
        "refunds": {
            key: {"payment": refund.payment_id, "amount": refund.amount_minor, "state": refund.state.value}
            for key, refund in record.refunds.items()
        },
        "review": [{"reason": review.reason, "subject": review.subject, "at": review.at} for review in record.reviews],
        "history": [{"at": entry.at, "what": entry.what, "status": entry.status.value} for entry in record.history],
        "pending": {key: _pending_item(event) for key, event in record.pending.items()},
        **_present(
            superseded_by=record.superseded_by,
            attention_at=record.attention_at,
            attention_shard=None if record.attention_at is None else shard(record.order_id),
            expires_at=record.expires_at,
        ),
    }


def _attempt_item(record: Record, payment: str, attempt: Attempt) -> dict[str, Any]:
    return {
        **_present(
            signed=attempt.signed or None,
            authorized=attempt.authorized or None,
            captured=attempt.captured or None,
            failed=attempt.failed or None,
            amount=attempt.amount_minor,
            currency=attempt.currency,
            method=attempt.method,
            code=attempt.code,
            reason=attempt.reason,
            announced=attempt.announced or None,
        ),
        # Derived, for whoever looks at the item; reading it back ignores them.
        **payment_marks(record, payment),
    }


def _pending_item(event: PendingEvent) -> dict[str, Any]:
    return {
        "type": event.type,
        "version": event.version,
        "at": event.at,
        "status": event.status.value,
        "refunded": event.refunded_minor,
        **_present(
            payment=event.payment,
            method=event.method,
            refund=event.refund,
            refund_amount=event.refund_minor,
            code=event.code,
            reason=event.failure_reason,
            review=event.review,
        ),
    }


def _present(**values: object) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def to_record(item: Mapping[str, Any]) -> Record:
    """The record in an item that `to_item` made; DynamoDB's numbers become int again."""
    status = Status(item["status"])
    return Record(
        order_id=item["order_id"],
        order=None if status is Status.UNKNOWN else _order(item),
        status=status,
        confirmed=item["confirmed"],
        version=int(item["version"]),
        created_at=item["created_at"],
        updated_at=item["updated_at"],
        attempts={key: _attempt(value) for key, value in item["payments"].items()},
        refunds={
            key: Refund(
                payment_id=value["payment"], amount_minor=int(value["amount"]), state=RefundState(value["state"])
            )
            for key, value in item["refunds"].items()
        },
        reviews=tuple(Review(**value) for value in item["review"]),
        history=tuple(
            HistoryEntry(at=value["at"], what=value["what"], status=Status(value["status"]))
            for value in item["history"]
        ),
        pending={key: _pending(value) for key, value in item["pending"].items()},
        superseded_by=item.get("superseded_by"),
        attention_at=_optional_int(item.get("attention_at")),
        expires_at=_optional_int(item.get("expires_at")),
    )


def _order(item: Mapping[str, Any]) -> Order:
    return Order(
        payment_id=int(item["payment_id"]),
        job_id=int(item["job_id"]),
        application_id=int(item["application_id"]),
        client_id=int(item["client_id"]),
        freelancer_id=int(item["freelancer_id"]),
        amount_minor=int(item["amount"]),
        currency=item["currency"],
        receipt=item["receipt"],
    )


def _attempt(value: Mapping[str, Any]) -> Attempt:
    return Attempt(
        signed=value.get("signed", False),
        authorized=value.get("authorized", False),
        captured=value.get("captured", False),
        failed=value.get("failed", False),
        amount_minor=_optional_int(value.get("amount")),
        currency=value.get("currency"),
        method=value.get("method"),
        code=value.get("code"),
        reason=value.get("reason"),
        announced=value.get("announced", False),
    )


def _pending(value: Mapping[str, Any]) -> PendingEvent:
    return PendingEvent(
        type=value["type"],
        version=int(value["version"]),
        at=value["at"],
        status=Status(value["status"]),
        refunded_minor=int(value["refunded"]),
        payment=value.get("payment"),
        method=value.get("method"),
        refund=value.get("refund"),
        refund_minor=_optional_int(value.get("refund_amount")),
        code=value.get("code"),
        failure_reason=value.get("reason"),
        review=value.get("review"),
    )


def _optional_int(value: Any) -> int | None:  # noqa: ANN401 - whatever DynamoDB gives for a number
    return None if value is None else int(value)
