"""Every link of every page works, and the README stays short enough to read to its end."""

from pathlib import Path

import pytest

from tests.docs.pages import PROJECT, anchors, links, pages

PAGES = pages()


def test_the_pages_are_found() -> None:
    names = {str(page.relative_to(PROJECT)) for page in PAGES}
    assert {"README.md", "CHANGELOG.md", "docs/architecture.md", "docs/events/README.md", "sandbox/README.md"} <= names


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT)))
def test_a_pages_links_lead_to_files_and_headings_that_exist(page: Path) -> None:
    broken = []
    for link in links(page):
        if not link.is_internal:
            continue
        is_there = link.file.exists() and link.file.is_relative_to(PROJECT)
        if not is_there or (link.anchor and link.anchor not in anchors(link.file)):
            broken.append(str(link))
    assert broken == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # GitHub: lower case, punctuation goes, spaces become hyphens, the second of a name is numbered.
        ("# `Code`, and: a Name\n", {"code-and-a-name"}),
        ("## A\n## A\n", {"a", "a-1"}),
        ("## What's [linked](x.md)?\n```\n# a comment\n```\n", {"whats-linked"}),
        ("### duplicate_capture\n", {"duplicate_capture"}),
    ],
)
def test_anchors_are_made_as_github_makes_them(tmp_path: Path, text: str, expected: set[str]) -> None:
    page = tmp_path / "page.md"
    page.write_text(text)
    assert anchors(page) == expected


def test_a_link_to_a_heading_that_is_not_there_is_noticed(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# Here\n[a](#here) [b](#there)\n")
    found = {link.target: link.anchor in anchors(link.file) for link in links(page) if link.file == page}
    assert found["#here"]
    assert not found["#there"]


def test_the_readme_is_read_to_its_end() -> None:
    assert len((PROJECT / "README.md").read_text(encoding="utf-8").splitlines()) <= 150
