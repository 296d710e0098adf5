"""These tests check the output of `make build`, not the sources."""

import fcntl
import os
import subprocess
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def artefact() -> Path:
    """The folder that `sam deploy` would upload, built once, by the first process of this test run that needs it.

    `sam build` first empties that folder, so a second build would delete files that others are reading.
    """
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID") or f"process {os.getpid()}"
    built_for = PROJECT / ".build/artefact-of-test-run"
    built_for.parent.mkdir(exist_ok=True)
    with built_for.open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        if file.read() != run:
            _build()
            file.truncate(0)
            file.write(run)
    return PROJECT / ".aws-sam/build"


def _build() -> None:
    done = subprocess.run(
        ["make", "--silent", "build"],  # noqa: S607 - the make that runs these tests
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="session")
def layer(artefact: Path) -> Path:
    """What Lambda mounts at /opt."""
    return artefact / "SharedLayer"


@pytest.fixture(scope="session")
def cryptography_layer(artefact: Path) -> Path:
    """What it also mounts there if tokens are signed with RS256 or ES256."""
    return artefact / "CryptographyLayer"
