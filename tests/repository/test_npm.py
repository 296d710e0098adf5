"""What npm installs: exactly what is locked, from whichever registry the machine uses."""

import re
import subprocess
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]


def locks() -> list[Path]:
    """Every package-lock.json of the repository."""
    tracked = subprocess.run(
        ["git", "ls-files", "*package-lock.json"],  # noqa: S607 - git of the PATH, as everywhere
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [PROJECT / name for name in tracked.stdout.split()]


@pytest.mark.parametrize("lock", locks(), ids=lambda lock: str(lock.parent.relative_to(PROJECT)))
def test_every_package_is_locked_by_its_hash_and_no_registry_is_named(lock: Path) -> None:
    text = lock.read_text()
    versions = re.findall(r'^      "version": "', text, flags=re.MULTILINE)
    assert len(versions) == len(re.findall(r'^      "integrity": "sha512-', text, flags=re.MULTILINE)) > 3
    assert "://" not in re.sub(r'"url": "[^"]*"', "", text)


def test_the_makefile_installs_the_packages_of_every_folder_with_a_lock() -> None:
    (named,) = re.findall(
        r"^NPM_PACKAGES := .*package-lock\.json,(.*)\)$", (PROJECT / "Makefile").read_text(), re.MULTILINE
    )
    assert set(named.split()) == {str(lock.parent.relative_to(PROJECT)) for lock in locks()}
