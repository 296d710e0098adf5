"""The payments table in DynamoDB: records, applications, refunds, disputes, the id counter and reconcile's progress.

Every write of a record, an application or a watermark is conditional (optimistic locking); for a record, on its
`version`. Refunds, disputes, entries set aside and the pause replace what is there. The client's own retries can make
our first write look like someone else's, so after a failed condition always read again: the failure says nothing about
what is stored.

No request exceeds DynamoDB's limits ("Service quotas": 4 KB per expression, 100 keys per BatchGetItem, 100 items and
4 MB per transaction): placeholders are short, keys are cleared in batches, and the core limits what one decision
writes.
"""

import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from copy import replace
from itertools import batched
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, NoReturn

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as Unreachable

from payments.core.attention import lane_of, shard
from payments.core.errors import StorageConflict, TableUnavailable
from payments.core.instants import epoch
from payments.core.lookup import Place, Role
from payments.core.model import Application, KnownDispute, KnownRefund, Model, Record, Status
from payments.core.position import Position
from payments.core.sweeping import ASIDE_PARTITION, Aside, Pause, Watermark

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient

ATTENTION_INDEX = "attention"
"""The sparse, keys-only index of everything that has a due time."""

PARTY_INDEXES: Final[Mapping[Role, tuple[str, str]]] = {
    Role.CLIENT: ("client-index", "client_id"),
    Role.FREELANCER: ("freelancer-index", "freelancer_id"),
}
"""The keys-only index of each role and its partition key. The sort key is `created_at`. Records of ours have these
attributes from their creation on, and they never change; no other item has them."""

_RECORD_PREFIX = "order#"
_ASIDE_PREFIX = "aside#"
# Keys only, about a hundred bytes each. A page is a few KiB, and a run that is out of time wastes no more than one.
_PAGE = 50
# "BatchGetItem": up to 100 items.
_MOST_KEYS = 100
# Event ids per clear. Each takes a dozen bytes of the expression, which may have 4 KB.
_MOST_CLEARED = 50
# Unprocessed keys are requested again, with a growing delay ("BatchGetItem", UnprocessedKeys).
_BATCH_ROUNDS = 5
_BATCH_PAUSE_S = 0.05
# Errors from parsing an item, apart from our own.
_UNREADABLE = (AttributeError, KeyError, TypeError, ValueError)
_COUNTER_KEY = "counter#payment_id"
_PAUSE_KEY = "pause#razorpay"
_SERVER_ERROR = 500
_THROTTLED = frozenset(
    {"ProvisionedThroughputExceededException", "RequestLimitExceeded", "Throttling", "ThrottlingException"}
)


class Due(NamedTuple):
    """A key that is due, and since when (epoch seconds)."""

    key: str
    """The order id, or the Razorpay id of an entry set aside."""
    at: int


class IdBlock(NamedTuple):
    """A block of payment ids, and the installation they belong to."""

    ids: range
    installation: str


class PaymentsTable:
    """Access to the table only. The core decides what its items mean.

    Every method raises TableUnavailable when DynamoDB does not answer in time or is temporarily unable to. After a
    write that means doubt, not failure: the write may have succeeded.
    """

    def __init__(self, client: "DynamoDBClient", name: str) -> None:
        self._client = client
        self._name = name

    # --- records ---

    def read(self, order_id: str) -> Record | None:
        """Return the current record (strongly consistent), or None."""
        item = self._get(_record_key(order_id))
        return None if item is None else to_record(item)

    def read_many(
        self, order_ids: Iterable[str], *, consistent: bool = True, only_readable: bool | None = None
    ) -> dict[str, Record]:
        """Return records by order id. Ids without a record are left out.

        Args:
            order_ids: the orders.
            consistent: read strongly consistently. Otherwise the read may be slightly stale and costs half.
            only_readable: leave out records that cannot be parsed: a caller that needs one of them reads it separately
                and fails alone. By default, reads that are not consistent do.
        """
        items = self._batch_get([_record_key(order_id) for order_id in order_ids], consistent=consistent)
        lenient = not consistent if only_readable is None else only_readable
        records = {}
        for item in items:
            with suppress(*(_UNREADABLE if lenient else ())):
                record = to_record(item)
                records[record.order_id] = record
        return records

    def insert(self, record: Record) -> None:
        """Store a new record.

        Raises:
            StorageConflict: a record with this order id exists.
        """
        self._put(to_item(record), "attribute_not_exists(pk)")

    def save(self, before: Record, after: Record) -> None:
        """Write what changed between two versions of a record. New pending events are written key by key.

        Raises:
            StorageConflict: the stored version is not that of `before`.
        """
        key, update, condition = _changes(before, after)
        if not update.is_empty:
            self._execute(key, update, condition)

    def clear(self, record: Record, event_ids: Collection[str]) -> None:
        """Remove pending events key by key, and with the last one the due time, if nothing else is due.

        The due time is removed only if the record has not changed since it was read and nothing else is pending on
        it. Otherwise it stays, and the outbox lane finds that there is nothing to do.
        """
        parts = list(batched(sorted(event_ids), _MOST_CLEARED, strict=False))
        for part in parts[:-1]:
            self._forget(record, part)
        last = parts[-1]
        is_all = record.pending.keys() <= set(event_ids)
        if is_all and record.attention_at is not None and not Position.of(record).unresolved:
            update = _cleared(last)
            for name in ("attention_at", "attention_shard"):
                update.remove((name,))
            condition = update.all_of(
                update.equals("version", record.version),
                f"size({update.path(('pending',))}) = {update.value(len(last))}",
            )
            try:
                self._execute(_record_key(record.order_id), update, condition)
            except StorageConflict:
                pass
            else:
                return
        self._forget(record, last)

    def _forget(self, record: Record, event_ids: Sequence[str]) -> None:
        self._execute(_record_key(record.order_id), _cleared(event_ids), "attribute_exists(pk)")

    # --- applications ---

    def application(self, client_id: int, application_id: int) -> Application | None:
        """Return the orders of this client's application (strongly consistent), or None."""
        item = self._get(_application_key(client_id, application_id))
        if item is None:
            return None
        # Version 0.1 stored only the current order, under another name.
        current = item["current"] if "current" in item else item["order_id"]
        defaults = {"current": current, "orders": [current]}
        return _read(Application, defaults | item | {"client_id": client_id, "application_id": application_id})

    def open_application(self, client_id: int, application_id: int, order_id: str) -> None:
        """Store an application with its first order.

        Raises:
            StorageConflict: the application exists.
        """
        self._put(_first_order(client_id, application_id, order_id), "attribute_not_exists(pk)")

    def replace_order(self, seen: Application, fresh: Record, old: tuple[Record, Record] | None) -> None:
        """Atomically replace the current order with a new one.

        Args:
            seen: the application as it was read.
            fresh: the new order's record.
            old: the current order's record, as it was read and as superseded by the new one; None if it has no record.

        Raises:
            StorageConflict: one of them has changed; nothing was written.
        """
        actions: list[Any] = [
            {"Put": self._arguments_of_put(to_item(fresh), "attribute_not_exists(pk)")},
            {"Update": self._arguments(*_growth(seen, fresh.order_id, current=fresh.order_id))},
        ]
        if old is not None:
            actions.append({"Update": self._arguments(*_changes(*old))})
        try:
            self._client.transact_write_items(TransactItems=actions)
        except (ClientError, BotoCoreError) as error:
            _translate(error)

    def insert_first_orders(self, records: Sequence[Record]) -> None:
        """Atomically store up to 50 new records, each with a new application of which it is the first order.

        Raises:
            StorageConflict: one of the records or applications exists; nothing was written.
        """
        actions: list[Any] = []
        for record in records:
            order = record.agreed()
            application = _first_order(order.client_id, order.application_id, record.order_id)
            actions += (
                {"Put": self._arguments_of_put(item, "attribute_not_exists(pk)")}
                for item in (to_item(record), application)
            )
        try:
            self._client.transact_write_items(TransactItems=actions)
        except (ClientError, BotoCoreError) as error:
            _translate(error)

    def extend_application(self, seen: Application, order_id: str, *, current: str | None = None) -> None:
        """Add an order that was found at Razorpay, or imported, to an application.

        Args:
            seen: the application as it was read.
            order_id: the order to add.
            current: the order that create-order returns from now on; by default it stays.

        Raises:
            StorageConflict: the application has changed.
        """
        self._execute(*_growth(seen, order_id, current=current or seen.current))

    # --- payment ids ---

    def take_payment_ids(self, count: int, new_installation: str) -> IdBlock:
        """Take the next block of payment ids. They start at 1 and are never assigned twice; gaps are fine.

        Args:
            count: how many.
            new_installation: the name to give this installation if it has none yet.
        """
        update = _Update()
        update.add("last_taken", count)
        update.set_if_absent("installation", new_installation)
        attributes = self._execute(_COUNTER_KEY, update, None, returns="ALL_NEW")
        last = int(attributes["last_taken"])
        return IdBlock(range(last - count + 1, last + 1), str(attributes["installation"]))

    def installation(self) -> str | None:
        """Return this installation's name, or None before the first payment id was taken."""
        item = self._get(_COUNTER_KEY)
        return None if item is None else item.get("installation")

    def raise_payment_ids(self, above: int) -> None:
        """Make sure that no payment id up to and including this one is assigned (again)."""
        update = _Update()
        update.set(("last_taken",), above)
        last = update.path(("last_taken",))
        try:
            self._execute(_COUNTER_KEY, update, f"attribute_not_exists({last}) OR {last} < {update.value(above)}")
        except StorageConflict:
            return

    def reserve_payment_ids(self, up_to: int) -> bool:
        """Leave the ids up to this one to the service that this one replaces. Return whether they are free.

        They are not once this service has assigned an id from that range itself.
        """
        item = self._get(_COUNTER_KEY) or {}
        last, reserved = item.get("last_taken"), item.get("imported_up_to", 0)
        if reserved >= up_to:
            return True
        if last is not None and last != reserved:
            return False
        update = _Update()
        update.set(("last_taken",), up_to)
        update.set(("imported_up_to",), up_to)
        taken = update.path(("last_taken",))
        condition = f"attribute_not_exists({taken})" if last is None else update.equals("last_taken", last)
        try:
            self._execute(_COUNTER_KEY, update, condition)
        except StorageConflict:
            return False
        return True

    # --- what is due ---

    def due(self, partition: str, now: int) -> Iterator[Due]:
        """Return what is due in one partition of the index, longest overdue first, page by page.

        The index lags the table by a moment, so an entry may no longer be due when it is processed.
        """
        start: dict[str, Any] = {}
        while True:
            try:
                page = self._client.query(
                    TableName=self._name,
                    IndexName=ATTENTION_INDEX,
                    KeyConditionExpression="attention_shard = :shard AND attention_at <= :now",
                    ExpressionAttributeValues=_attributes({":shard": partition, ":now": now}),
                    Limit=_PAGE,
                    **start,
                )
            except (ClientError, BotoCoreError) as error:
                _translate(error)
            for item in page["Items"]:
                due = _values(item)
                yield Due(_id_in(due["pk"]), int(due["attention_at"]))
            if "LastEvaluatedKey" not in page:
                return
            start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}

    # --- who pays whom ---

    def payments_of(self, role: Role, user_id: int, after: Place | None, count: int) -> tuple[list[Place], bool]:
        """Return one page of the payments in which a user has this role, newest first, and whether there are more.

        The index follows the table with a delay of usually less than a second, so a new payment may be missing. Where a
        payment stands never changes, so no page repeats or skips one.

        Args:
            role: what the user is.
            user_id: the user, from the token. It alone decides whose payments are read.
            after: the last payment of the page before; None for the first page.
            count: how many, at most.
        """
        index, party = PARTY_INDEXES[role]
        start: dict[str, Any] = {}
        if after is not None:
            key = {"pk": _record_key(after.order_id), party: user_id, "created_at": after.created_at}
            start = {"ExclusiveStartKey": _attributes(key)}
        try:
            page = self._client.query(
                TableName=self._name,
                IndexName=index,
                KeyConditionExpression=f"{party} = :user",
                ExpressionAttributeValues=_attributes({":user": user_id}),
                ScanIndexForward=False,
                # One more than asked for, since a page that is exactly full has a LastEvaluatedKey in any case.
                Limit=count + 1,
                **start,
            )
        except (ClientError, BotoCoreError) as error:
            _translate(error)
        found = [Place(item["created_at"], _id_in(item["pk"])) for item in map(_values, page["Items"])]
        return found[:count], len(found) > count

    # --- refunds, by their own ids ---

    def refunds(self, refund_ids: Iterable[str]) -> dict[str, KnownRefund]:
        """Return what is known of refunds, by id (eventually consistent). Unknown refunds are left out."""
        items = self._batch_get([_refund_key(refund_id) for refund_id in refund_ids], consistent=False)
        refunds = (_read(KnownRefund, item | {"refund_id": _id_in(item["pk"])}) for item in items)
        return {refund.refund_id: refund for refund in refunds}

    def keep_refunds(self, refunds: Collection[KnownRefund], *, expires_at: int | None = None) -> None:
        """Remember what is known of refunds, replacing earlier knowledge.

        Args:
            refunds: the refunds.
            expires_at: when they may be forgotten, epoch seconds; None for never.
        """
        expiry = {} if expires_at is None else {"expires_at": expires_at}
        for refund in refunds:
            item = _written(refund, exclude={"refund_id"})
            self._put({"pk": _refund_key(refund.refund_id), **item, **expiry}, None)

    # --- disputes, by their own ids ---

    def disputes(self, dispute_ids: Iterable[str]) -> dict[str, KnownDispute]:
        """Return what is known of disputes, by id (eventually consistent). Unknown disputes are left out."""
        items = self._batch_get([_dispute_key(dispute_id) for dispute_id in dispute_ids], consistent=False)
        disputes = (_read(KnownDispute, item | {"dispute_id": _id_in(item["pk"])}) for item in items)
        return {dispute.dispute_id: dispute for dispute in disputes}

    def keep_disputes(self, disputes: Collection[KnownDispute], *, expires_at: int | None = None) -> None:
        """Remember what is known of disputes, replacing earlier knowledge.

        Args:
            disputes: the disputes.
            expires_at: when they may be forgotten, epoch seconds; None for never.
        """
        expiry = {} if expires_at is None else {"expires_at": expires_at}
        for dispute in disputes:
            item = _written(dispute, exclude={"dispute_id"})
            self._put({"pk": _dispute_key(dispute.dispute_id), **item, **expiry}, None)

    # --- the passes over Razorpay's lists ---

    def watermark(self, name: str) -> Watermark | None:
        """Return how far a pass has read, or None if it never has."""
        item = self._get(_watermark_key(name))
        return None if item is None else _read(Watermark, item)

    def watermarks(self, names: Iterable[str]) -> dict[str, Watermark]:
        """Return how far passes have read, by name (strongly consistent). Passes that never have are left out."""
        items = self._batch_get([_watermark_key(name) for name in names], consistent=True)
        return {_id_in(item["pk"]): _read(Watermark, item) for item in items}

    def move_watermark(self, name: str, seen: Watermark | None, to: Watermark) -> None:
        """Move a watermark forward.

        Raises:
            StorageConflict: another run has moved it.
        """
        update = _Update()
        for attribute, value in to.model_dump().items():
            update.set((attribute,), value)
        condition = "attribute_not_exists(pk)"
        if seen is not None:
            condition = update.all_of(
                *(update.equals(attribute, value) for attribute, value in seen.model_dump().items())
            )
        self._execute(_watermark_key(name), update, condition)

    def set_aside(self, aside: Aside) -> None:
        """Store a list entry that could not be read or applied, until it can be."""
        item = _written(aside, exclude={"razorpay_id"})
        self._put({"pk": f"{_ASIDE_PREFIX}{aside.razorpay_id}", **item, "attention_shard": ASIDE_PARTITION}, None)

    def aside(self, razorpay_id: str) -> Aside | None:
        """Return the entry set aside under this id, or None."""
        item = self._get(f"{_ASIDE_PREFIX}{razorpay_id}")
        return None if item is None else _read(Aside, item | {"razorpay_id": razorpay_id})

    def end_aside(self, razorpay_id: str) -> None:
        """Delete an entry set aside that has been applied."""
        try:
            self._client.delete_item(TableName=self._name, Key={"pk": {"S": f"{_ASIDE_PREFIX}{razorpay_id}"}})
        except (ClientError, BotoCoreError) as error:
            _translate(error)

    def pause(self) -> Pause | None:
        """Return until when to stop calling Razorpay, or None if it never asked for a pause."""
        item = self._get(_PAUSE_KEY)
        return None if item is None else _read(Pause, item)

    def set_pause(self, pause: Pause) -> None:
        """Stop calling Razorpay for a while, in all lanes and instances."""
        self._put({"pk": _PAUSE_KEY, **_written(pause)}, None)

    # --- calls ---

    def _get(self, key: str) -> dict[str, Any] | None:
        try:
            answer = self._client.get_item(TableName=self._name, Key={"pk": {"S": key}}, ConsistentRead=True)
        except (ClientError, BotoCoreError) as error:
            _translate(error)
        item = answer.get("Item")
        return None if item is None else _values(item)

    def _batch_get(self, keys: Sequence[str], *, consistent: bool) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = []
        for part in batched(dict.fromkeys(keys), _MOST_KEYS, strict=False):
            left: Any = {self._name: {"Keys": [{"pk": {"S": key}} for key in part], "ConsistentRead": consistent}}
            for attempt in range(_BATCH_ROUNDS):
                try:
                    answer = self._client.batch_get_item(RequestItems=left)
                except (ClientError, BotoCoreError) as error:
                    _translate(error)
                items += map(_values, answer["Responses"].get(self._name, ()))
                left = answer.get("UnprocessedKeys")
                if not left:
                    break
                time.sleep(_BATCH_PAUSE_S * 2**attempt)
            else:
                raise TableUnavailable("DynamoDB left keys of a batch over.")
        return items

    def _put(self, item: Mapping[str, Any], condition: str | None) -> None:
        try:
            self._client.put_item(**self._arguments_of_put(item, condition))
        except (ClientError, BotoCoreError) as error:
            _translate(error)

    def _execute(
        self, key: str, update: "_Update", condition: str | None, *, returns: Literal["NONE", "ALL_NEW"] = "NONE"
    ) -> dict[str, Any]:
        try:
            answer = self._client.update_item(**self._arguments(key, update, condition), ReturnValues=returns)
        except (ClientError, BotoCoreError) as error:
            _translate(error)
        return _values(answer.get("Attributes", {}))

    def _arguments_of_put(self, item: Mapping[str, Any], condition: str | None) -> dict[str, Any]:
        arguments: dict[str, Any] = {"TableName": self._name, "Item": _attributes(item)}
        return arguments if condition is None else {**arguments, "ConditionExpression": condition}

    def _arguments(self, key: str, update: "_Update", condition: str | None) -> dict[str, Any]:
        arguments: dict[str, Any] = {
            "TableName": self._name,
            "Key": {"pk": {"S": key}},
            "UpdateExpression": update.expression(),
        }
        if condition is not None:
            arguments["ConditionExpression"] = condition
        if update.names:
            arguments["ExpressionAttributeNames"] = {place: name for name, place in update.names.items()}
        if update.values:
            arguments["ExpressionAttributeValues"] = _attributes(update.values)
        return arguments


class _Update:
    """Builds an update expression. Every name and value gets a placeholder of a few characters."""

    def __init__(self) -> None:
        self.names: dict[str, str] = {}
        """The placeholder of each name."""
        self.values: dict[str, Any] = {}
        self._sets: list[str] = []
        self._adds: list[str] = []
        self._removes: list[str] = []

    def set(self, path: tuple[str, ...], value: object) -> None:
        self._sets.append(f"{self.path(path)} = {self.value(value)}")

    def set_if_absent(self, name: str, value: object) -> None:
        path = self.path((name,))
        self._sets.append(f"{path} = if_not_exists({path}, {self.value(value)})")

    def add(self, name: str, value: int) -> None:
        self._adds.append(f"{self.path((name,))} {self.value(value)}")

    def remove(self, path: tuple[str, ...]) -> None:
        self._removes.append(self.path(path))

    @property
    def is_empty(self) -> bool:
        return not (self._sets or self._adds or self._removes)

    def expression(self) -> str:
        clauses = (("SET", self._sets), ("REMOVE", self._removes), ("ADD", self._adds))
        return " ".join(f"{verb} {', '.join(parts)}" for verb, parts in clauses if parts)

    def equals(self, name: str, value: object) -> str:
        return f"{self.path((name,))} = {self.value(value)}"

    @staticmethod
    def all_of(*conditions: str) -> str:
        return " AND ".join(conditions)

    def value(self, value: object) -> str:
        placeholder = f":{len(self.values)}"
        self.values[placeholder] = value
        return placeholder

    def path(self, path: tuple[str, ...]) -> str:
        return ".".join(self.names.setdefault(part, f"#{len(self.names)}") for part in path)


def _changes(before: Record, after: Record) -> tuple[str, _Update, str]:
    """Return the key, update and condition that turn one version of a record into another."""
    changed = {name for name in _ATTRIBUTES if getattr(before, name) != getattr(after, name)}
    # A clear leaves the version alone and may have removed the due time since `before` was read. So saving a record
    # that is due always writes the due time again. The same value costs nothing; without one, no lane would find it.
    changed |= {name for name in ("lane", "attention_at") if getattr(after, name) is not None}
    item = _part(after, changed - {"pending"})
    update = _Update()
    for attribute, value in item.items():
        update.set((attribute,), value)
    for name in changed - {"order", "pending"}:
        if _ATTRIBUTES[name] not in item:
            update.remove((_ATTRIBUTES[name],))
    for key in sorted(after.pending.keys() - before.pending.keys()):
        update.set(("pending", key), _written(after.pending[key]))
    return _record_key(before.order_id), update, update.equals("version", before.version)


def _cleared(event_ids: Iterable[str]) -> _Update:
    update = _Update()
    for key in event_ids:
        update.remove(("pending", key))
    return update


def _growth(seen: Application, order_id: str, *, current: str) -> tuple[str, _Update, str]:
    """Return the key, update and condition that add an order to an application unless it has changed meanwhile."""
    update = _Update()
    update.set(("current",), current)
    update.set(("orders",), [*seen.orders, order_id])
    held, old, orders = update.path(("current",)), update.path(("order_id",)), update.path(("orders",))
    as_seen = update.value(seen.current)
    # Orders are only ever added, so their number shows whether one was. Version 0.1 stored the current order under
    # another name, and no list.
    condition = (
        f"({held} = {as_seen} AND size({orders}) = {update.value(len(seen.orders))})"
        f" OR (attribute_not_exists({held}) AND {old} = {as_seen})"
    )
    return _application_key(seen.client_id, seen.application_id), update, condition


def _translate(error: ClientError | BotoCoreError) -> NoReturn:
    if isinstance(error, ClientError):
        code = error.response.get("Error", {}).get("Code", "")
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if code == "ConditionalCheckFailedException":
            raise StorageConflict("The condition of the write did not hold.") from error
        if code in {"TransactionCanceledException", "TransactionConflictException"}:
            raise _cancelled(error) from error
        if code in _THROTTLED or status >= _SERVER_ERROR or code == "TransactionInProgressException":
            raise TableUnavailable(code) from error
    # Two families in botocore: a read timeout is an HTTPClientError, a connect timeout is not.
    if isinstance(error, HTTPClientError | Unreachable):
        raise TableUnavailable(type(error).__name__) from error
    # Anything else (no permission, no such table, a malformed request) is a mistake of ours that waiting cannot cure.
    raise error


def _cancelled(error: ClientError) -> Exception:
    """Return why a transaction failed: another write got in its way, or the table is temporarily unable to take it."""
    reasons: Any = error.response.get("CancellationReasons", ())
    codes = {reason.get("Code", "None") for reason in reasons} - {"None"}
    if codes & {"ThrottlingError", "ProvisionedThroughputExceeded"}:
        return TableUnavailable("TransactionCanceled")
    if codes <= {"ConditionalCheckFailed", "TransactionConflict"}:
        return StorageConflict("The transaction did not happen.")
    return error


# --- items ----------------------------------------------------------------------------------------------------------


def _record_key(order_id: str) -> str:
    return f"{_RECORD_PREFIX}{order_id}"


def _application_key(client_id: int, application_id: int) -> str:
    # The key includes the client, so that nobody can occupy someone else's application.
    return f"application#{client_id}#{application_id}"


def _first_order(client_id: int, application_id: int, order_id: str) -> dict[str, Any]:
    return {"pk": _application_key(client_id, application_id), "current": order_id, "orders": [order_id]}


def _refund_key(refund_id: str) -> str:
    return f"refund#{refund_id}"


def _dispute_key(dispute_id: str) -> str:
    return f"dispute#{dispute_id}"


def _watermark_key(name: str) -> str:
    return f"sweep#{name}"


def _id_in(key: str) -> str:
    return key.partition("#")[2]


_serialize: Final = TypeSerializer().serialize
_deserialize: Final = TypeDeserializer().deserialize


def _attributes(item: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _serialize(value) for name, value in item.items()}


def _values(item: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _deserialize(value) for name, value in item.items()}


def _read[M: Model](kind: type[M], item: Mapping[str, Any]) -> M:
    """Parse an item into its model. DynamoDB's numbers become integers."""
    return kind.model_validate(item, by_alias=True, by_name=False)


def _written(model: Model, *, include: set[str] | None = None, exclude: set[str] | None = None) -> dict[str, Any]:
    """Return a model as attributes with plain values. Fields that have their default are left out.

    A value that is not of its field's type is a mistake of ours, so it is refused instead of stored.
    """
    item = model.model_dump(
        mode="json", by_alias=True, exclude_defaults=True, include=include, exclude=exclude, warnings="error"
    )
    if None in item.values():
        raise ValueError(f"{', '.join(name for name, value in item.items() if value is None)} has no value")
    return item


# The attribute of each field of a record. `order` has several, and `lane` is part of the partition's name.
_ATTRIBUTES: Final = {name: field.alias or name for name, field in Record.model_fields.items()} | {
    "lane": "attention_shard"
}
# Never absent: the keys of `pending` are written one by one and need their map, and the others were always stored.
_EMPTY: Final[Mapping[str, Any]] = {"attempts": {}, "refunds": {}, "reviews": [], "history": [], "pending": {}}


def to_item(record: Record) -> dict[str, Any]:
    """Return a record as an item of plain values. The attributes' names are the models' aliases."""
    return {"pk": _record_key(record.order_id), **_part(record, set(_ATTRIBUTES))}


def _part(record: Record, names: set[str]) -> dict[str, Any]:
    """Return some of a record's fields as attributes. The order's fields are attributes of the record."""
    item = {_ATTRIBUTES[name]: empty for name, empty in _EMPTY.items() if name in names}
    item |= _written(record, include=names - {"order", "lane"})
    if "order" in names and record.order is not None:
        item |= _written(record.order)
    if "lane" in names and record.lane is not None:
        item["attention_shard"] = shard(record.lane, record.order_id)
    return item


def to_record(item: Mapping[str, Any]) -> Record:
    """Parse the record in an item that `to_item` or version 0.1 wrote.

    Raises:
        KeyError, TypeError, ValueError: the item is neither.
    """
    order = None if item["status"] == Status.UNKNOWN else item
    lane = lane_of(item["attention_shard"]) if "attention_shard" in item else None
    payments = {payment: _dated(attempt, item["created_at"]) for payment, attempt in item["payments"].items()}
    return _with_verdicts(_read(Record, {**item, "order": order, "lane": lane, "payments": payments}))


def _dated(attempt: Mapping[str, Any], created_at: str) -> Mapping[str, Any]:
    # Version 0.1 did not store when a payment was signed. The order is older than any of its signatures.
    return {**attempt, "signed": epoch(created_at)} if attempt.get("signed") is True else attempt


def _with_verdicts(record: Record) -> Record:
    """Add what version 0.1 did not store: verdicts, and which payment stood. Any other record is returned unchanged.

    Version 0.1 accepted only the exact amount, announced the first such capture (`payment.paid`) and opened a review
    for each later one.
    """
    order = record.order
    exact = [
        payment
        for payment, attempt in record.attempts.items()
        if attempt.captured
        and attempt.verdict is None
        and order is not None
        and (attempt.amount_minor, attempt.currency) == (order.amount_minor, order.currency)
    ]
    if not exact:
        return record
    later = {review.subject for review in record.reviews if review.reason == "duplicate_capture"}
    judged = {
        payment: replace(record.attempts[payment], verdict="exact", matched_in=2 if payment in later else 1)
        for payment in exact
    }
    record = replace(record, attempts={**record.attempts, **judged})
    # Version 0.1 announced a capture on a superseded order only as a review.
    if record.stood is not None or not record.confirmed or record.superseded_by is not None:
        return record
    position = Position.of(record)
    return replace(record, stood=position.standing or position.all_matches()[-1])
