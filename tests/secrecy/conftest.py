from collections.abc import Iterator

import pytest

from tests.attacks.target import Target, running_target
from tests.secrecy.watch import pytest_pyfunc_call

__all__ = ["pytest_pyfunc_call"]


@pytest.fixture
def target() -> Iterator[Target]:
    with running_target() as target:
        yield target
