"""The functions with everything around them in memory (`tests/faults/rig.py`), and a meter on what they use.

Units as DynamoDB counts them: a write costs one for each KiB of the larger of the two sizes and what the index takes
(`tests/table/dynamodb.py`); a strongly consistent read one for each 4 KiB, a query of the index half of that for all it
returns, and never less than one step.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from unittest.mock import patch

from payments.wiring import aws
from tests.faults.dynamodb import plain
from tests.faults.rig import World, installed
from tests.table.dynamodb import item_bytes, write_units

_READ_UNIT_BYTES: Final = 4096


@dataclass(slots=True)
class Used:
    """What was used since the meter was last read."""

    calls: list[str] = field(default_factory=list)
    """Every call outside, in order, such as `dynamodb GetItem`."""
    write_units: int = 0
    read_units: float = 0
    event_entries: int = 0
    event_bytes: int = 0
    log_bytes: int = 0
    log_lines: int = 0

    def add(self, other: "Used") -> None:
        """Adds up."""
        self.calls += other.calls
        self.write_units += other.write_units
        self.read_units += other.read_units
        self.event_entries += other.event_entries
        self.event_bytes += other.event_bytes
        self.log_bytes += other.log_bytes
        self.log_lines += other.log_lines

    def document(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "calls": len(self.calls),
            "made": list(self.calls),
            "write_units": self.write_units,
            "read_units": self.read_units,
            "event_entries": self.event_entries,
            "event_bytes": self.event_bytes,
            "log_bytes": self.log_bytes,
            "log_lines": self.log_lines,
        }


class Meter:
    """Counts what the functions of one world use."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._used = Used()
        self._logged = 0
        self._called = 0

    def read(self) -> Used:
        """What was used since the last time."""
        used, self._used = self._used, Used()
        calls = self.world.outside.calls
        used.calls = [call.operation for call in calls[self._called :]]
        self._called = len(calls)
        text = self.world.log.getvalue()[self._logged :]
        self._logged += len(text)
        used.log_bytes = len(text.encode())
        used.log_lines = text.count("\n")
        return used

    def wrap(self, service: str, client: Any) -> Any:  # noqa: ANN401 - boto3's clients
        """The client, with the meter on it."""
        match service:
            case "dynamodb":
                return _Dynamo(self, client)
            case "events":
                return _Events(self, client)
        return client

    # --- what the calls cost ---

    def write(self, pk: str, call: Callable[[], Any]) -> Any:  # noqa: ANN401 - boto3's answers
        """A write of one item."""
        items = self.world.table.items
        before = _plain(items.get(pk))
        try:
            return call()
        finally:
            self._used.write_units += write_units(before, _plain(items.get(pk)))

    def transact(self, pks: list[str], call: Callable[[], Any]) -> Any:  # noqa: ANN401 - boto3's answers
        """Writes of several items, all or nothing: each costs twice ("Read and write operations")."""
        items = self.world.table.items
        before = {pk: _plain(items.get(pk)) for pk in pks}
        try:
            return call()
        finally:
            self._used.write_units += sum(2 * write_units(old, _plain(items.get(pk))) for pk, old in before.items())

    def get(self, answer: dict[str, Any]) -> None:
        """A strongly consistent read of one item."""
        size = item_bytes(plain(answer["Item"])) if "Item" in answer else 0
        self._used.read_units += max(1, -(-size // _READ_UNIT_BYTES))

    def batch(self, answer: dict[str, Any], asked: int, *, consistent: bool) -> None:
        """A read of several items, each rounded up by itself; one that is not there costs one step."""
        items = [item for items in answer["Responses"].values() for item in items]
        steps = sum(-(-item_bytes(plain(item)) // _READ_UNIT_BYTES) for item in items) + asked - len(items)
        self._used.read_units += steps if consistent else steps / 2

    def query(self, answer: dict[str, Any]) -> None:
        """A query of the index, which is eventually consistent."""
        # The table's key, and both of the index: what DynamoDB reads of each entry.
        size = sum(item_bytes(plain(item)) + len("attention_shard") + 2 for item in answer["Items"])
        self._used.read_units += max(1, -(-size // _READ_UNIT_BYTES)) / 2

    def put_events(self, entries: list[dict[str, Any]]) -> None:
        """Entries for the bus."""
        self._used.event_entries += len(entries)
        self._used.event_bytes += sum(
            len(entry[part].encode()) for entry in entries for part in ("Source", "DetailType", "Detail")
        )


class _Dynamo:
    def __init__(self, meter: Meter, client: Any) -> None:  # noqa: ANN401 - boto3's
        self._meter = meter
        self._client = client

    def get_item(self, **arguments: Any) -> Any:  # noqa: ANN401 - boto3's
        answer = self._client.get_item(**arguments)
        self._meter.get(answer)
        return answer

    def put_item(self, **arguments: Any) -> Any:  # noqa: ANN401 - boto3's
        return self._meter.write(arguments["Item"]["pk"]["S"], lambda: self._client.put_item(**arguments))

    def update_item(self, **arguments: Any) -> Any:  # noqa: ANN401 - boto3's
        return self._meter.write(arguments["Key"]["pk"]["S"], lambda: self._client.update_item(**arguments))

    def delete_item(self, **arguments: Any) -> Any:  # noqa: ANN401 - boto3's
        return self._meter.write(arguments["Key"]["pk"]["S"], lambda: self._client.delete_item(**arguments))

    def transact_write_items(self, *, TransactItems: list[dict[str, Any]]) -> Any:  # noqa: ANN401, N803 - boto3's
        pks = [(one["Put"]["Item"] if "Put" in one else one["Update"]["Key"])["pk"]["S"] for one in TransactItems]
        return self._meter.transact(pks, lambda: self._client.transact_write_items(TransactItems=TransactItems))

    def batch_get_item(self, **arguments: Any) -> Any:  # noqa: ANN401 - boto3's
        answer = self._client.batch_get_item(**arguments)
        for asked in arguments["RequestItems"].values():
            self._meter.batch(answer, len(asked["Keys"]), consistent=asked.get("ConsistentRead", False))
        return answer

    def query(self, **arguments: Any) -> Any:  # noqa: ANN401 - boto3's
        answer = self._client.query(**arguments)
        self._meter.query(answer)
        return answer


class _Events:
    def __init__(self, meter: Meter, client: Any) -> None:  # noqa: ANN401 - boto3's
        self._meter = meter
        self._client = client

    def put_events(self, *, Entries: list[dict[str, Any]]) -> Any:  # noqa: ANN401, N803 - boto3's
        self._meter.put_events(Entries)
        return self._client.put_events(Entries=Entries)


@contextmanager
def metered() -> Iterator[Meter]:
    """A new world with a meter on it."""
    with installed() as install:
        meter = Meter(install(World()))
        make_client = aws._client  # noqa: SLF001 - the rig has put its own there

        def make(service: str, **timeouts: Any) -> Any:  # noqa: ANN401 - as the wiring has it
            return meter.wrap(service, make_client(service, **timeouts))

        with patch.object(aws, "_client", make):
            yield meter


def _plain(item: dict[str, Any] | None) -> dict[str, Any] | None:
    return None if item is None else plain(item)
