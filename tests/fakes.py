"""The table, the bus and the gateway in memory. `tests/table` holds the table to the contract of the real one."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import Any, cast

from payments.core.attention import is_open
from payments.core.errors import StorageConflict
from payments.core.handoff import Message
from payments.core.model import Order, Record


class FakeTable:
    """Records and pointers; conditions as DynamoDB would judge them, one call at a time."""

    def __init__(self) -> None:
        self.records: dict[str, Record] = {}
        self.pointers: dict[tuple[int, int], str] = {}
        self._lock = Lock()

    def read(self, order_id: str) -> Record | None:
        with self._lock:
            return self.records.get(order_id)

    def insert(self, record: Record) -> None:
        with self._lock:
            if record.order_id in self.records:
                raise StorageConflict
            self.records[record.order_id] = record

    def save(self, before: Record, after: Record) -> None:
        with self._lock:
            stored = self._unchanged(before)
            added = {key: event for key, event in after.pending.items() if key not in before.pending}
            moved = added or after.attention_at != before.attention_at
            self.records[before.order_id] = replace(
                after,
                pending={**stored.pending, **added},
                attention_at=after.attention_at if moved else stored.attention_at,
            )

    def clear(self, record: Record, event_ids: Collection[str]) -> None:
        with self._lock:
            stored = self._unchanged(record)
            settled = record.pending.keys() <= set(event_ids) and not is_open(record.status, confirmed=record.confirmed)
            self.records[record.order_id] = replace(
                stored,
                pending={key: event for key, event in stored.pending.items() if key not in event_ids},
                attention_at=None if settled else stored.attention_at,
            )

    def current_order(self, client_id: int, application_id: int) -> str | None:
        with self._lock:
            return self.pointers.get((client_id, application_id))

    def point(self, client_id: int, application_id: int, order_id: str, *, seen: str | None) -> None:
        with self._lock:
            if self.pointers.get((client_id, application_id)) != seen:
                raise StorageConflict
            self.pointers[client_id, application_id] = order_id

    def _unchanged(self, seen: Record) -> Record:
        stored = self.records.get(seen.order_id)
        if stored is None or stored.version != seen.version:
            raise StorageConflict
        return stored


class FakeBus:
    """Accepts every event, but for those that `refuses` names."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, Message]] = []
        self.refuses: Callable[[str], bool] = lambda _: False

    def publish(self, messages: Mapping[str, Message]) -> frozenset[str]:
        accepted = {key: message for key, message in messages.items() if not self.refuses(key)}
        self.sent += accepted.items()
        return frozenset(accepted)


class FakeGateway:
    """Gives every order an id of Razorpay's form."""

    def __init__(self) -> None:
        self.orders: dict[str, Order] = {}
        self._lock = Lock()

    def create_order(self, order: Order) -> str:
        with self._lock:
            order_id = f"order_{len(self.orders) + 1:014d}"
            self.orders[order_id] = order
            return order_id


class Crash(BaseException):
    """The process is gone. Nothing may catch it."""


@dataclass
class Fate:
    """What happens to the calls of everything that is wrapped with it: by their number, from 1."""

    strikes: dict[int, BaseException] = field(default_factory=dict)
    after: bool = False
    """Whether a struck call took effect before it failed."""
    calls: list[str] = field(default_factory=list)

    def wrap[T](self, target: T) -> T:
        """The same thing, subject to this fate."""
        return cast("T", _Fated(target, self))


class _Fated:
    def __init__(self, target: object, fate: Fate) -> None:
        self._target = target
        self._fate = fate

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._target, name)

        def call(*args: object, **named: object) -> object:
            self._fate.calls.append(name)
            strike = self._fate.strikes.get(len(self._fate.calls))
            if strike is not None and not self._fate.after:
                raise strike
            answer = method(*args, **named)
            if strike is not None:
                raise strike
            return answer

        return call
