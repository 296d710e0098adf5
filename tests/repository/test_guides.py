"""CONTRIBUTING.md and SECURITY.md name targets, files and sections that exist; tests/docs checks their links."""

import re
from pathlib import Path

from tests.runbook.book import sections

PROJECT = Path(__file__).parents[2]
CONTRIBUTING, SECURITY = PROJECT / "CONTRIBUTING.md", PROJECT / "SECURITY.md"


def test_every_target_of_make_that_is_named_exists() -> None:
    makefile = (PROJECT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z][a-z0-9-]*):", makefile, re.MULTILINE))
    named = set(re.findall(r"(?:^|`)make ([a-z][a-z0-9-]*)", CONTRIBUTING.read_text(encoding="utf-8"), re.MULTILINE))
    assert len(named) > 8
    assert named <= targets


def test_every_file_and_suite_that_is_named_exists() -> None:
    text = CONTRIBUTING.read_text(encoding="utf-8")
    folders = "bench|docs|events|examples|functions|layers|sandbox|shared|tests"
    paths = set(re.findall(rf"(?:{folders})/[\w./-]*\w", text))
    assert len(paths) > 15
    # `functions/<name>/app.py` contains a placeholder.
    for path in paths - {"functions/"}:
        assert (PROJECT / path).exists(), path


def test_the_sections_that_a_contributor_looks_for_are_there() -> None:
    titles = {section.title for section in sections(CONTRIBUTING)}
    assert titles >= {
        "Set up",
        "Run tests",
        "Where things are",
        "Add a field to an order",
        "Add an event",
        "Write a decision record",
        "Commits and pull requests",
        "Release",
    }


def test_the_security_policy_sends_reports_to_github_and_to_no_mailbox() -> None:
    text = SECURITY.read_text(encoding="utf-8")
    assert "**Report a vulnerability**" in text
    assert not re.findall(r"[\w.+-]+@[\w-]+\.\w+", text)
    assert {"Report a vulnerability", "Scope", "Supported versions", "What to expect"} <= {
        section.title for section in sections(SECURITY)
    }
