"""No request exceeds a documented limit of DynamoDB, whatever a record has been through (design v2, invariant I21)."""

from typing import TYPE_CHECKING, cast

import pytest
from botocore.exceptions import ClientError

from payments.adapters.table import PaymentsTable
from payments.core.model import Fact
from payments.core.transitions import decide
from tests.core.story import OPENED, ORDER_ID, A, captured, opened, refunded
from tests.faults.dynamodb import MemoryDynamo
from tests.faults.outside import Outside
from tests.table.dynamodb import Metered

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient

REFUNDS = 120
"""Of a part each: every one has an event of its own."""


@pytest.fixture(params=["memory", "moto"])
def real(request: pytest.FixtureRequest) -> PaymentsTable:
    """The adapter on both stand-ins for DynamoDB, which know the limits."""
    if request.param == "memory":
        return PaymentsTable(cast("DynamoDBClient", MemoryDynamo(Outside()).client(1, repeats=False)), "payments")
    metered: Metered = request.getfixturevalue("metered")
    return PaymentsTable(metered.client, metered.name)


def refunds(first: int, last: int) -> list[Fact]:
    return [refunded(A, f"rfnd_{number:014d}", 1) for number in range(first, last)]


@pytest.mark.xfail(strict=True, raises=ClientError, reason="design v2, section 4: limits: one save of 50 facts at most")
def test_many_refunds_learned_at_once_are_saved(real: PaymentsTable) -> None:
    real.insert(opened())
    after = decide(opened(), [captured(A), *refunds(0, REFUNDS)], OPENED + 1).record
    assert len(after.pending) == REFUNDS + 1
    real.save(opened(), after)
    assert real.read(ORDER_ID) == after


@pytest.mark.xfail(
    strict=True, raises=ClientError, reason="design v2, section 4: limits: a clear takes 50 keys at most"
)
def test_many_events_are_cleared_together(real: PaymentsTable) -> None:
    real.insert(opened())
    record = opened()
    for first in range(0, REFUNDS, 40):
        after = decide(record, [captured(A), *refunds(first, first + 40)], OPENED + 1).record
        real.save(record, after)
        record = after
    real.clear(record, record.pending)
    stored = real.read(ORDER_ID)
    assert stored is not None
    assert not stored.pending
