"""checkov's rules about the templates, and the exceptions from them."""

import json
import os
import subprocess
from typing import Any

import pytest
import yaml

from tests.template.transform import PROJECT

CHECKOV = PROJECT / ".venvs/audit/bin/checkov"
SETTINGS = PROJECT / ".checkov.yaml"
TEMPLATES = ["template.yaml", "monitoring.yaml", "web-acl.yaml"]
EXCEPTIONS = yaml.safe_load(SETTINGS.read_text())["skip-check"]


@pytest.fixture(scope="module")
def violated(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The rules that the templates break when no exception is made."""
    home = tmp_path_factory.mktemp("home")
    done = subprocess.run(  # noqa: S603 - fixed command
        [
            CHECKOV,
            *(argument for name in TEMPLATES for argument in ("--file", PROJECT / name)),
            *("--framework", "cloudformation"),
            *("--output", "json"),
            "--skip-download",
        ],
        # Run from another folder, so that checkov does not find its settings.
        cwd=home,
        env={"PATH": os.defpath, "HOME": str(home), "LANG": "C.UTF-8"},
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )
    report: dict[str, Any] = json.loads(done.stdout)
    assert report["summary"]["passed"] > 0, done.stderr
    assert report["summary"]["parsing_errors"] == 0
    return {check["check_id"] for check in report["results"]["failed_checks"]}


def test_every_rule_is_kept_but_for_the_exceptions_and_every_exception_is_needed(violated: set[str]) -> None:
    assert violated == set(EXCEPTIONS)


def test_every_exception_has_its_reason_above_it() -> None:
    lines = SETTINGS.read_text().splitlines()
    for number, line in enumerate(lines):
        if line.startswith("  - "):
            above = lines[number - 1]
            assert above.startswith(("  # ", "  - ")), line


def test_the_settings_fail_on_what_they_find() -> None:
    settings = yaml.safe_load(SETTINGS.read_text())
    assert settings["file"] == TEMPLATES
    assert len(EXCEPTIONS) == len(set(EXCEPTIONS))
    assert "soft-fail" not in settings
