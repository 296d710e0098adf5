"""docs/architecture.md: the functions it names are where it says, and its rings are those that are enforced."""

import ast
import re
import tomllib
from functools import cache
from pathlib import Path

from tests.docs.pages import PROJECT, Link, claim, links

PAGE = PROJECT / "docs/architecture.md"
TEXT = PAGE.read_text(encoding="utf-8")
NAMED = [link for link in links(PAGE) if re.fullmatch(r"`[\w.]+`", link.text) and link.file.suffix in {".py", ".js"}]
"""Links that name something in a code file."""


@cache
def defined(file: Path) -> frozenset[str]:
    """What a file defines: functions, classes, constants, and `Class.method`."""
    text = file.read_text(encoding="utf-8")
    if file.suffix == ".js":
        return frozenset(re.findall(r"\b(?:function|class|const) (\w+)", text))
    names = set()
    for node in ast.parse(text).body:
        names |= _names(node)
        if isinstance(node, ast.ClassDef):
            names |= {f"{node.name}.{name}" for part in node.body for name in _names(part)}
    return frozenset(names)


def _names(node: ast.stmt) -> set[str]:
    match node:
        case ast.FunctionDef() | ast.ClassDef():
            return {node.name}
        case ast.Assign():
            return {target.id for target in node.targets if isinstance(target, ast.Name)}
        case ast.AnnAssign(target=ast.Name(id=name)):
            return {name}
        case _:
            return set()


def test_everything_that_is_named_is_in_the_file_that_it_links_to() -> None:
    assert len(NAMED) > 30
    assert [str(link) for link in NAMED if link.text.strip("`") not in defined(link.file)] == []


def test_the_way_of_a_payment_leads_through_every_function() -> None:
    way = TEXT.split("\n## One payment, from file to file\n")[1].split("\n## ")[0]
    for handler in (PROJECT / "functions").glob("*/app.py"):
        assert f"(../{handler.relative_to(PROJECT)})" in way, handler


def answers() -> dict[int, list[Link]]:
    """The first link of each question."""
    rows = re.findall(r"^\| (\d+) \| (.+\?) \| (.+?) \| (.+) \|$", TEXT, re.MULTILINE)
    by_target = {link.target: link for link in links(PAGE)}
    return {
        int(number): [by_target[target] for target in re.findall(r"\]\(([^)]+)\)", first)]
        for number, _, first, _ in rows
    }


def test_every_question_leads_to_a_file_at_once() -> None:
    assert list(answers()) == list(range(1, len(answers()) + 1))
    assert len(answers()) >= 15
    for number, first in answers().items():
        assert first, number
        assert all(link.is_internal and link.file.is_file() for link in first), number


def test_the_rings_of_the_page_are_those_that_import_linter_holds() -> None:
    contracts = tomllib.loads((PROJECT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (rings,) = [contract["layers"] for contract in contracts if contract["type"] == "layers"]
    (drawn,) = claim("docs/architecture.md", sections=("Rings",))
    shown = re.findall(r"^shared/(payments/\w+) ", drawn.text, re.MULTILINE)
    assert [ring.replace("/", ".") for ring in shown] == rings
