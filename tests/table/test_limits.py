"""No request exceeds a documented AWS limit, whatever happened to a record (design v2, invariant I21).

The stand-ins and this file's bus enforce AWS's documented limits (`tests/aws_limits.py`).
"""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import batched
from typing import TYPE_CHECKING, Any, cast

import pytest
from botocore.exceptions import EndpointConnectionError

from payments.adapters.bus import Bus
from payments.adapters.table import PaymentsTable, to_item
from payments.core.announcements import MAX_REVIEWS
from payments.core.errors import BusUnavailable
from payments.core.facts import MAX_ATTEMPTS, MAX_FACTS, MAX_REFUNDS
from payments.core.instants import epoch
from payments.core.model import Accepted, Captured, Fact, Failed, Record, RefundState, RefundTotal, Signed, Status
from payments.core.outbox import publish_pending, record_and_publish
from payments.core.position import Position
from tests import aws_limits, moto_guard
from tests.core.story import OPENED, ORDER_ID, A, captured, opened, refunded
from tests.faults.dynamodb import MemoryDynamo
from tests.faults.outside import Outside
from tests.table.dynamodb import Metered, item_bytes

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient

ITEM_BYTES = 400 * 1024
"""DynamoDB's ("Item size")."""


class EventBridge:
    """Accepts what AWS documents, unless it is down."""

    def __init__(self) -> None:
        self.is_down = False
        self.accepted: list[dict[str, Any]] = []

    def put_events(self, **request: Any) -> Mapping[str, Any]:
        aws_limits.check_request("PutEvents", request)
        if self.is_down:
            raise EndpointConnectionError(endpoint_url="https://events")
        self.accepted += request["Entries"]
        return {"Entries": [{"EventId": str(number)} for number, _ in enumerate(request["Entries"])]}


class Worn:
    """An order with as many facts of each kind as a record stores."""

    def __init__(self, table: PaymentsTable) -> None:
        self.table = table
        self.eventbridge = EventBridge()
        self.bus = Bus(cast("Any", self.eventbridge), "payments")
        self.now = OPENED
        table.insert(opened())

    def learn(self, *facts: Fact) -> None:
        """Processes a delivery as a webhook or a check would, with the bus in its current state."""
        self.now += 1
        for part in batched(facts, MAX_FACTS, strict=False):
            with suppress(BusUnavailable):
                record_and_publish(self.table, self.bus, ORDER_ID, part, self.now)

    def record(self) -> Record:
        record = self.table.read(ORDER_ID)
        assert record is not None
        return record


# For a full record moto takes minutes; DynamoDB Local, if it replaces moto, seconds.
ENGINES = ["memory"] if moto_guard.engine() == "moto" else ["memory", moto_guard.engine()]


@pytest.fixture(params=ENGINES)
def worn(request: pytest.FixtureRequest) -> Worn:
    """The adapter on a stand-in for DynamoDB that enforces the limits."""
    if request.param == "memory":
        client = cast("DynamoDBClient", MemoryDynamo(Outside()).client(1, repeats=False))
        return Worn(PaymentsTable(client, "payments"))
    metered: Metered = request.getfixturevalue("metered")
    return Worn(PaymentsTable(metered.client, metered.name))


def refunds(first: int, last: int, payment: str = A, state: RefundState = RefundState.PROCESSED) -> list[Fact]:
    return [refunded(payment, f"rfnd_{number:014d}", 1, state) for number in range(first, last)]


@pytest.mark.parametrize("count", [49, 50, 120])
def test_many_refunds_learned_at_once_are_stored_told_and_cleared(worn: Worn, count: int) -> None:
    worn.learn(captured(A), *refunds(0, count))
    record = worn.record()
    assert (len(record.refunds), Position.of(record).refunded_minor(A)) == (count, count)
    assert (record.pending, record.attention_at) == ({}, None)
    told = [entry["DetailType"] for entry in worn.eventbridge.accepted]
    assert told == ["payment.paid", *["payment.partially_refunded"] * count]


def test_what_piled_up_while_the_bus_was_down_is_told_and_cleared_afterwards(worn: Worn) -> None:
    worn.eventbridge.is_down = True
    worn.learn(captured(A), *refunds(0, 120))
    record = worn.record()
    assert len(record.pending) == 121
    assert record.attention_at is not None
    worn.eventbridge.is_down = False
    assert publish_pending(worn.table, worn.bus, record) == 121
    assert (worn.record().pending, worn.record().attention_at) == ({}, None)
    assert len(worn.eventbridge.accepted) == 121


# --- everything at once ---


def payments() -> Iterator[str]:
    for number in range(10_000):
        yield f"pay_{number:014d}"


def a_hard_life(worn: Worn) -> None:
    """More of everything than a record stores."""
    names = payments()
    reason, code = "payment_" + "x" * 56, "BAD_REQUEST_ERROR_" + "X" * 46
    for _ in range(MAX_ATTEMPTS - 60):
        payment = next(names)
        worn.learn(Signed(payment=payment, at=worn.now))
        worn.learn(Failed(payment=payment, code=code, reason=reason, method="netbanking", at=worn.now))
    for many in batched([next(names) for _ in range(60)], 25, strict=False):
        worn.learn(*(Captured(payment=payment, amount_minor=49_999, currency="INR", fee_minor=7) for payment in many))
    for payment in [next(names) for _ in range(60)]:
        worn.learn(Captured(payment=payment, amount_minor=50_000, currency="INR", method="netbanking"))
    worn.learn(*(Failed(payment=next(names), code=code, reason=reason, at=worn.now) for _ in range(30)))
    first = next(payments())
    worn.learn(Accepted(payment=first))
    stood = worn.record().stood
    assert stood is not None
    for number in range(0, MAX_REFUNDS + 100, 100):
        worn.learn(*refunds(number, number + 100, stood))
    worn.learn(*refunds(0, 20, stood, RefundState.FAILED))
    worn.learn(RefundTotal(payment=stood, amount_minor=1_000, complete=True))


def test_nothing_that_a_record_has_been_through_exceeds_a_limit(worn: Worn) -> None:
    worn.eventbridge.is_down = True
    a_hard_life(worn)

    record = worn.record()
    assert len(record.attempts) > MAX_ATTEMPTS, "only failures are dropped"
    assert len(record.refunds) == MAX_REFUNDS
    assert len(record.reviews) == MAX_REVIEWS
    assert len(record.history) == 100
    assert {review.reason for review in record.reviews} >= {"amount_mismatch", "duplicate_capture"}
    assert len(record.pending) > 500
    assert item_bytes(to_item(record)) < ITEM_BYTES * 3 / 4

    worn.eventbridge.is_down = False
    published = publish_pending(worn.table, worn.bus, record)
    assert published == len(record.pending) == len(worn.eventbridge.accepted)
    cleared = worn.record()
    assert cleared.pending == {}
    assert cleared.status is Status.PAID
    assert epoch(cleared.updated_at) <= worn.now
    assert item_bytes(to_item(cleared)) < ITEM_BYTES / 2
