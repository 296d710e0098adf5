from collections.abc import Iterator

import pytest

from tests.attacks.target import Target, running_target
from tests.secrecy.watch import pytest_pyfunc_call

__all__ = ["pytest_pyfunc_call"]


@pytest.fixture(scope="module")
def target() -> Iterator[Target]:
    """One for all attacks of a module: each must leave it as it is."""
    with running_target() as target:
        yield target


@pytest.fixture
def fresh_target() -> Iterator[Target]:
    """One that nothing has been done to. Not beside `target`, in the same module: there is one world at a time."""
    with running_target() as target:
        yield target
