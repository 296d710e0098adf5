"""What tests of several folders share."""

import os
import random
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from sandbox.cloud.service import LocalService

SEED = int(os.environ.get("FAULTS_SEED") or random.SystemRandom().randrange(10**6))
# The processes that share a run draw from the same seed.
os.environ["FAULTS_SEED"] = str(SEED)


def pytest_report_header() -> str:
    return f"faults: seed {SEED} (set FAULTS_SEED={SEED} to draw the same again)"


@pytest.fixture
def seed() -> int:
    """What this run's campaigns under faults draw from."""
    return SEED


@pytest.fixture(scope="session")
def local_service(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[LocalService]":
    """The whole service, once for all tests: built, deployed, and talking to the stand-in for Razorpay.

    On free ports and with a run dir of its own, beside whatever `make run` runs.
    """
    # Not above: most tests need nothing of what it imports.
    from sandbox.cloud.service import LocalService  # noqa: PLC0415

    with LocalService.start(tmp_path_factory.mktemp("service")) as service:
        yield service
