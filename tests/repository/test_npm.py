"""What npm installs: exactly what is locked, from whichever registry the machine uses."""

import json
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
    packages = json.loads(lock.read_text(encoding="utf-8"))["packages"]
    fetched = {path: locked for path, locked in packages.items() if "node_modules/" in path and "link" not in locked}
    assert len(fetched) > 3
    for path, locked in fetched.items():
        assert locked["integrity"].startswith("sha512-"), path
        assert "resolved" not in locked, path


def test_the_makefile_installs_the_packages_of_every_folder_with_a_lock() -> None:
    (named,) = re.findall(r"^NPM_FOLDERS := (.*)$", (PROJECT / "Makefile").read_text(), re.MULTILINE)
    assert set(named.split()) == {str(lock.parent.relative_to(PROJECT)) for lock in locks()}
