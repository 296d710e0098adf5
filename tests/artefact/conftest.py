"""What `make build` makes is what gets tested here, not the sources."""

import subprocess
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def artefact() -> Path:
    """The folder that `sam deploy` would upload, freshly built."""
    done = subprocess.run(
        ["make", "--silent", "build"],  # noqa: S607 - the make that runs these tests
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return PROJECT / ".aws-sam/build"


@pytest.fixture(scope="session")
def layer(artefact: Path) -> Path:
    """What Lambda mounts at /opt."""
    return artefact / "SharedLayer"


@pytest.fixture(scope="session")
def cryptography_layer(artefact: Path) -> Path:
    """What it mounts there, too, where tokens are signed with RS256 or ES256."""
    return artefact / "CryptographyLayer"
