"""pyproject.toml, uv.lock, the API, its JavaScript client and the changelog's newest release have the same version."""

import json
import re
import tomllib
from datetime import date
from pathlib import Path

import yaml

PROJECT = Path(__file__).parents[2]
CHANGELOG = (PROJECT / "CHANGELOG.md").read_text(encoding="utf-8")
# Keep a Changelog 1.1.0: "## [1.0.0] - 2017-06-20", and an "Unreleased" section at the top.
RELEASES = re.findall(r"^## \[(\d+\.\d+\.\d+)\] - (\d{4}-\d\d-\d\d)$", CHANGELOG, re.MULTILINE)
KINDS = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


def declared() -> str:
    return str(tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"])


def test_the_newest_release_of_the_changelog_is_the_version_of_the_project() -> None:
    assert RELEASES[0][0] == declared()


def test_the_description_of_the_api_has_the_version_of_the_project() -> None:
    assert yaml.safe_load((PROJECT / "docs/openapi.yaml").read_text(encoding="utf-8"))["info"]["version"] == declared()


def test_the_lock_file_has_the_version_of_the_project() -> None:
    packages = tomllib.loads((PROJECT / "uv.lock").read_text(encoding="utf-8"))["package"]
    assert [package["version"] for package in packages if package["source"] == {"virtual": "."}] == [declared()]


def test_the_javascript_client_has_the_version_of_the_project() -> None:
    for file in ("package.json", "package-lock.json"):
        assert json.loads((PROJECT / "clients/javascript" / file).read_text(encoding="utf-8"))["version"] == declared()


def test_releases_are_listed_newest_first_below_what_is_unreleased() -> None:
    headings = re.findall(r"^## (.*)$", CHANGELOG, re.MULTILINE)
    assert headings == ["[Unreleased]", *(f"[{version}] - {day}" for version, day in RELEASES)]
    numbers = [tuple(map(int, version.split("."))) for version, _ in RELEASES]
    assert numbers == sorted(set(numbers), reverse=True)
    days = [date.fromisoformat(day) for _, day in RELEASES]
    assert days == sorted(days, reverse=True)


def test_changes_are_grouped_by_the_kinds_of_keep_a_changelog() -> None:
    for section in re.split(r"^## ", CHANGELOG, flags=re.MULTILINE)[1:]:
        kinds = [kind for kind in re.findall(r"^### (.*)$", section, re.MULTILINE) if not kind.startswith("Upgrading ")]
        assert set(kinds) <= KINDS
        assert len(kinds) == len(set(kinds)), section.splitlines()[0]
