from collections.abc import Iterator
from typing import TYPE_CHECKING, cast

import pytest
from hypothesis import settings

from payments.adapters.table import PaymentsTable
from tests import moto_guard
from tests.fakes import FakeTable
from tests.faults.dynamodb import MemoryDynamo
from tests.faults.outside import Outside
from tests.table.dynamodb import Metered, create_table

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient

# As in tests/core.
settings.register_profile("payments", max_examples=60, print_blob=True, deadline=None)
settings.load_profile("payments")


@pytest.fixture
def metered(monkeypatch: pytest.MonkeyPatch) -> Iterator[Metered]:
    """The table of template.yaml on moto, each call counted and priced."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "ap-south-1")
    with moto_guard.mocked_aws():
        yield create_table()


@pytest.fixture(params=["fake", "memory", "moto"])
def table(request: pytest.FixtureRequest) -> Iterator[PaymentsTable]:
    """The fake table, and the real adapter on both stand-ins for DynamoDB: all must behave alike."""
    if request.param == "fake":
        yield cast("PaymentsTable", FakeTable())
        return
    if request.param == "memory":
        outside = Outside()
        yield PaymentsTable(cast("DynamoDBClient", MemoryDynamo(outside).client(1, repeats=False)), "payments")
        return
    metered: Metered = request.getfixturevalue("metered")
    yield PaymentsTable(metered.client, metered.name)
