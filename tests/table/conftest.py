from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from moto import mock_aws

from payments.adapters.table import PaymentsTable
from tests.fakes import FakeTable
from tests.table.dynamodb import Metered, create_table

if TYPE_CHECKING:
    from payments.core.ordering import OrderStore

# As in tests/core.
settings.register_profile("payments", max_examples=60, print_blob=True, deadline=None)
settings.load_profile("payments")


@pytest.fixture
def metered(monkeypatch: pytest.MonkeyPatch) -> Iterator[Metered]:
    """The table of template.yaml on moto, each call counted and priced."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "ap-south-1")
    with mock_aws():
        yield create_table()


@pytest.fixture(params=["fake", "moto"])
def table(request: pytest.FixtureRequest) -> "OrderStore":
    """The table's fake and the real adapter: whatever holds of one must hold of the other."""
    if request.param == "fake":
        return FakeTable()
    metered: Metered = request.getfixturevalue("metered")
    return PaymentsTable(metered.client, metered.name)
