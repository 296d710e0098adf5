"""Links of pages work, code names pages and sections that exist, and the README is short enough to read to its end."""

import re
from pathlib import Path

import pytest

from tests.docs.pages import PROJECT, anchor_of, anchors, files, links, pages

PAGES = pages()


def test_the_pages_are_found() -> None:
    names = {str(page.relative_to(PROJECT)) for page in PAGES}
    assert {"README.md", "CHANGELOG.md", "docs/architecture.md", "docs/events/README.md", "sandbox/README.md"} <= names
    assert {"examples/subscriber/README.md", ".github/PULL_REQUEST_TEMPLATE.md"} <= names


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


@pytest.mark.parametrize("text", ["![a](gone.png)", '<img src="gone.png">', "[a][b]\n\n[b]: gone.md"])
def test_a_picture_and_a_reference_are_links_too(tmp_path: Path, text: str) -> None:
    page = tmp_path / "page.md"
    page.write_text(text)
    assert [link.file.exists() for link in links(page)] == [False]


# --- what code, templates and workflows say of the pages --------------------------------------------------------------

CODE = {".py", ".js", ".jsx", ".yaml", ".yml", ".toml", ".html", ".sh", ""}
NAMED = re.compile(r'(?<![\w./-])((?:docs|sandbox|examples|clients)/[\w./-]*\w\.md)\b(?:#([\w-]+)|, "([^"]+)")?')


def named_pages(file: Path) -> list[tuple[str, str]]:
    """The pages that a file names by their path in the project, and the anchor of the section that it names."""
    # A title may go on in the next line of a comment.
    text = re.sub(r"\n\s*#?\s*", " ", file.read_text(encoding="utf-8"))
    return [(page, anchor or anchor_of(title)) for page, anchor, title in NAMED.findall(text)]


def test_every_page_and_section_that_a_file_names_exists() -> None:
    examples = {Path(__file__), Path(__file__).with_name("test_blocks.py")}
    code = {file for file in files() if file.suffix in CODE} - examples
    named = {(str(file.relative_to(PROJECT)), *found) for file in code for found in named_pages(file)}
    assert len(named) > 20
    assert [one for one in sorted(named) if not is_there(*one[1:])] == []


def is_there(page: str, anchor: str) -> bool:
    return (PROJECT / page).exists() and (not anchor or anchor in anchors(PROJECT / page))


def test_a_section_that_a_comment_names_is_found_across_lines(tmp_path: Path) -> None:
    code = tmp_path / "code.py"
    code.write_text('# As in docs/runbook.md, "Restoring\n# the table", docs/api.md#errors and docs/gone.md.\n')
    assert named_pages(code) == [
        ("docs/runbook.md", "restoring-the-table"),
        ("docs/api.md", "errors"),
        ("docs/gone.md", ""),
    ]
    assert [is_there(*one) for one in named_pages(code)] == [True, True, False]
    assert not is_there("docs/api.md", "gone")


def test_the_readme_is_read_to_its_end() -> None:
    assert len((PROJECT / "README.md").read_text(encoding="utf-8").splitlines()) <= 150
