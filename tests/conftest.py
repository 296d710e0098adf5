"""What tests of several folders share."""

import os
import random

import pytest

SEED = int(os.environ.get("FAULTS_SEED") or random.SystemRandom().randrange(10**6))


def pytest_report_header() -> str:
    return f"faults: seed {SEED} (set FAULTS_SEED={SEED} to draw the same again)"


@pytest.fixture
def seed() -> int:
    """What this run's campaigns under faults draw from."""
    return SEED
