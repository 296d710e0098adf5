from collections.abc import Iterator

import pytest

from tests.attacks.target import Target, running_target
from tests.secrecy.watch import pytest_pyfunc_call

__all__ = ["pytest_pyfunc_call"]


@pytest.fixture(scope="module")
def target() -> Iterator[Target]:
    """Shared by all attacks of a module: each must leave it unchanged."""
    with running_target() as target:
        yield target


@pytest.fixture
def fresh_target() -> Iterator[Target]:
    """An untouched target. Do not use it in one module with `target`: there is only one world at a time."""
    with running_target() as target:
        yield target
