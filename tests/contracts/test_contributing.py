"""CONTRIBUTING.md, followed to the letter in a copy of the source: its edits, its commands, and their results."""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

import pytest
import yaml

from tests.docs.pages import claim
from tests.handlers.service import ROOT

_TITLE = "## Add a field to an order\n"
# The folders that the edits, the generator and the functions need.
_FOLDERS = ("docs", "events", "examples", "functions", "sandbox", "shared", "tests", "tools")
_FILES = (".env.example", "CHANGELOG.md", "Makefile", "pyproject.toml", "template.yaml")
_NOT_COPIED = shutil.ignore_patterns("__pycache__", "node_modules", "images", "evidence")

# What the text says about the new field, checked on the functions.
_STORY = """
import json

import pytest

from tests.handlers.service import CREATE_ORDER, Service
from sandbox import events

REFERENCE = "INV-2026/7"


@pytest.fixture
def ordered(service: Service) -> Service:
    assert service.create_order(reference=REFERENCE).status == 201
    return service


def test_it_is_accepted_stored_noted_and_shown(ordered: Service) -> None:
    assert ordered.cloud.item(events.ORDER_ID)["reference"] == REFERENCE
    (made,) = [asked for asked in ordered.razorpay.asked if asked.method == "POST"]
    assert made.document["notes"]["reference"] == REFERENCE
    assert ordered.read().body["reference"] == REFERENCE


def test_the_same_request_hands_out_the_same_order_and_another_reference_takes_its_place(ordered: Service) -> None:
    assert ordered.create_order(reference=REFERENCE).status == 200
    assert ordered.create_order(reference="another").status == 201


def test_one_that_is_too_long_is_refused_in_words(service: Service) -> None:
    answer = service.create_order(reference="r" * 41)
    assert (answer.status, answer.body["errors"]) == (
        400, [{"field": "reference", "message": "must have at most 40 characters"}]
    )


def test_an_order_without_one_is_as_it_was(service: Service) -> None:
    assert service.create_order().status == 201
    assert "reference" not in service.read().body


def test_no_log_line_has_it(ordered: Service) -> None:
    assert REFERENCE not in ordered.output()
"""


@dataclass(frozen=True)
class Edit:
    """A code block of the text, and the file it belongs to."""

    path: str
    before: str
    after: str


def _section() -> str:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert text.count(_TITLE) == 1
    return text.partition(_TITLE)[2].partition("\n## ")[0]


def _edits() -> list[Edit]:
    """Each diff, with the file named last before it."""
    found = []
    for steps in claim("CONTRIBUTING.md", sections=("Add a field to an order",), languages=("diff",)):
        above = "\n".join(steps.page.read_text(encoding="utf-8").splitlines()[: steps.line])
        path = re.findall(r"`([\w./]+\.(?:py|md))`", above)[-1]
        lines = steps.text.splitlines()
        before, after = (
            "".join(f"{line[1:]}\n" for line in lines if not line or line[0] in marks) for marks in (" -", " +")
        )
        found.append(Edit(path, before, after))
    return found


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source, with the edits of the text."""
    copy = tmp_path_factory.mktemp("copy")
    for folder in _FOLDERS:
        shutil.copytree(ROOT / folder, copy / folder, ignore=_NOT_COPIED)
    for file in _FILES:
        shutil.copy(ROOT / file, copy / file)
    for edit in _edits():
        text = (copy / edit.path).read_text(encoding="utf-8")
        assert text.count(edit.before) == 1, edit.path
        (copy / edit.path).write_text(text.replace(edit.before, edit.after), encoding="utf-8")
    return copy


def _run(copy: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs a module in the copy, isolated from the original."""
    environment = {**os.environ, "PYTHONPATH": f"{copy}/shared:{copy}"}
    return subprocess.run(  # noqa: S603 - this interpreter
        [sys.executable, "-m", *arguments],
        cwd=copy,
        env=environment,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


def test_a_field_takes_no_more_than_three_edits_one_of_them_in_the_service() -> None:
    paths = [edit.path for edit in _edits()]
    assert paths == ["shared/payments/core/model.py", "tests/core/test_models.py", "CHANGELOG.md"]


def test_the_documents_are_stale_until_they_are_written_and_then_describe_the_field(copy: Path) -> None:
    stale = _run(copy, "tools.contracts", "--check")
    assert (stale.returncode, "make contracts" in stale.stderr, "docs/openapi.yaml" in stale.stderr) == (1, True, True)
    written = _run(copy, "tools.contracts")
    assert (written.returncode, written.stdout) == (0, "Written: docs/openapi.yaml\n"), written.stderr
    assert _run(copy, "tools.contracts", "--check").returncode == 0
    schemas = yaml.safe_load((copy / "docs/openapi.yaml").read_text(encoding="utf-8"))["components"]["schemas"]
    described = "The client's own reference, such as the number of an invoice."
    asked, shown = (schemas[name]["properties"]["reference"] for name in ("CreateOrder", "Payment"))
    assert asked == {"type": ["string", "null"], "maxLength": 40, "description": described}
    assert shown == {"type": "string", "maxLength": 40, "description": described}
    assert "reference" not in {*schemas["CreateOrder"]["required"], *schemas["Payment"]["required"]}


def test_the_functions_take_store_and_show_it(copy: Path) -> None:
    (copy / "tests/handlers/test_reference.py").write_text(dedent(_STORY), encoding="utf-8")
    told = _run(copy, "pytest", "-q", "-p", "no:xdist", "-p", "no:cacheprovider", "tests/handlers/test_reference.py")
    assert told.returncode == 0, told.stdout
    assert "5 passed" in told.stdout


def test_the_tests_that_the_text_names_pass(copy: Path) -> None:
    (command,) = re.findall(r"^\.venv/bin/python -m pytest (.+)$", _section(), re.MULTILINE)
    # Only the tests of the documents run here.
    named = [path for path in command.split() if path != "tests/contracts"]
    assert len(named) == 3
    told = _run(copy, "pytest", "-q", "-p", "no:xdist", "-p", "no:cacheprovider", *named)
    assert told.returncode == 0, told.stdout[-3000:]
