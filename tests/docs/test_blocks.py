"""Every code block of the pages is executed by a test, or says why not.

A test takes the blocks that it executes with `claim` of pages.py. This file reads those calls in the tests' source and
repeats them, so a claim is exactly what the test gets, and no list can differ from it.
"""

import ast
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import Any, Final

import pytest

from tests.docs.pages import PROJECT, Block, blocks, claim, marks, pages

MOST_MARKS: Final = 10
"""A page with more that nobody can try out is worth a test or a shorter page."""
NOT_READ: Final = ("docs/decisions", "docs/evidence")
"""Written once: decisions are never changed, and programs write the evidence."""


@dataclass(frozen=True)
class Claim:
    """A call of `claim` in a test file."""

    file: str
    line: int
    arguments: dict[str, Any]
    is_read: bool
    """Whether a test reads what it returns."""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


def claims(project: Path) -> list[Claim]:
    """Every call of `claim` in the tests."""
    texts = {file: file.read_text(encoding="utf-8") for file in sorted((project / "tests").rglob("*.py"))}
    tests = "\n".join(text for file, text in texts.items() if file.name.startswith("test_"))
    found = []
    for file, text in texts.items():
        # Parsing every test would take seconds.
        if "tests.docs.pages import" not in text or "claim(" not in text or file.name == Path(__file__).name:
            continue
        where = file.relative_to(project)
        runs = file.name.startswith("test_") or f"from {'.'.join(where.with_suffix('').parts)} import" in tests
        for line, arguments, is_read in calls(ast.parse(text)):
            found.append(Claim(str(where), line, arguments, is_read=runs and is_read))
    return found


def calls(tree: ast.Module) -> Iterator[tuple[int, dict[str, Any], bool]]:
    """Each call of `claim`: its line, its arguments, and whether the file reads what it assigns the blocks to."""
    read = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    for statement in tree.body:
        assigned = set()
        if isinstance(statement, ast.Assign | ast.AnnAssign):
            stored = (node for node in ast.walk(statement) if isinstance(node, ast.Name))
            assigned = {node.id for node in stored if isinstance(node.ctx, ast.Store)}
        for node in ast.walk(statement):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "claim":
                (page,) = (ast.literal_eval(argument) for argument in node.args)
                named = {keyword.arg or "": ast.literal_eval(keyword.value) for keyword in node.keywords}
                yield node.lineno, {"page": page, **named}, assigned <= read


def problems(project: Path) -> list[str]:
    """What is wrong with the blocks of a project, in words that say what to do."""
    takers, found = claimed(project)
    marked = 0
    for page in pages(project):
        if str(page.relative_to(project)).startswith(NOT_READ):
            continue
        found += stray_marks(project, page)
        for block in blocks(page):
            found += problem_of(block, f"{page.relative_to(project)}:{block.line}", sorted(takers[block]))
            marked += block.not_executed is not None
    if marked > MOST_MARKS:
        found.append(f"{marked} blocks are marked as not executed, and at most {MOST_MARKS} may be. Execute some.")
    return found


def claimed(project: Path) -> tuple[defaultdict[Block, set[str]], list[str]]:
    """The test files that claim each block, and the claims that are wrong."""
    found = []
    takers: defaultdict[Block, set[str]] = defaultdict(set)
    for one in claims(project):
        try:
            taken = claim(**one.arguments, project=project)
        except (LookupError, OSError) as error:
            found.append(f"{one}: {error}. Correct or remove the claim.")
            continue
        if not one.is_read:
            found.append(f"{one}: no test reads the blocks that it takes. Execute them, or remove the claim.")
        for block in taken:
            takers[block].add(one.file)
    return takers, found


def stray_marks(project: Path, page: Path) -> list[str]:
    """The marks of a page that belong to no block."""
    attached = {block.line - 1 for block in blocks(page) if block.not_executed}
    return [
        f"{page.relative_to(project)}:{line}: this mark is not directly above a block. Move or remove it."
        for line in marks(page)
        if line not in attached
    ]


def problem_of(block: Block, where: str, takers: list[str]) -> list[str]:
    """What is wrong with a block that these test files claim."""
    if block.not_executed and takers:
        return [f"{where}: marked as not executed, but {takers[0]} executes it. Remove the mark."]
    if len(takers) > 1:
        return [f"{where}: claimed by {' and '.join(takers)}. Let one of them use `blocks`."]
    if not block.not_executed and not takers:
        said = (
            f'{where}: no test executes this block ({block.language or "no language"}, section "{block.section}"). '
            "Execute it in a test that takes it with `claim` (tests/docs/pages.py), or write "
            "<!-- not executed: and the reason --> on the line above."
        )
        return [said]
    return []


def test_every_block_is_executed_or_says_why_not() -> None:
    assert "\n".join(problems(PROJECT)) == ""


# --- the check itself -------------------------------------------------------------------------------------------------

CLAIM: Final = "from tests.docs.pages import claim\n"
PAGE: Final = """\
# Title
```sh
make run
```
## Part
1. A list:

   ```json
   {"a": 1}
   ```
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A page with two blocks, and a test that executes both."""
    (tmp_path / "tests").mkdir()
    (tmp_path / "docs/decisions").mkdir(parents=True)
    write(tmp_path, "docs/page.md", PAGE)
    write(tmp_path, "docs/decisions/0001.md", PAGE)
    write(tmp_path, "tests/test_page.py", CLAIM + 'FOUND = claim("docs/page.md")\nprint(FOUND)\n')
    assert problems(tmp_path) == []
    return tmp_path


def write(project: Path, name: str, text: str) -> None:
    (project / name).write_text(text, encoding="utf-8")


def test_a_block_in_a_list_is_found_dedented_in_its_section(project: Path) -> None:
    first, second = blocks(project / "docs/page.md")
    assert (first.line, first.section, first.language, first.text) == (2, "Title", "sh", "make run\n")
    assert (second.line, second.name, second.language, second.text) == (8, "Part 1", "json", '{"a": 1}\n')


def test_a_block_that_no_test_executes_is_reported_with_what_to_do(project: Path) -> None:
    write(project, "tests/test_page.py", CLAIM + 'FOUND = claim("docs/page.md", languages=("sh",))\nprint(FOUND)\n')
    (problem,) = problems(project)
    assert problem.startswith(
        'docs/page.md:8: no test executes this block (json, section "Part"). Execute it in a test'
    )
    write(project, "docs/page.md", PAGE.replace("   ```json", "   <!-- not executed: an example -->\n   ```json"))
    assert problems(project) == []


def test_a_block_on_a_new_page_is_found(project: Path) -> None:
    (project / "clients/javascript").mkdir(parents=True)
    write(project, "clients/javascript/README.md", "~~~~js\n```\n~~~~\n")
    (problem,) = problems(project)
    assert problem.startswith("clients/javascript/README.md:1: no test executes this block (js, ")


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ('claim("docs/page.md", sections=("Gone",))', "docs/page.md has no block to execute in: Gone. Correct or"),
        ('claim("docs/page.md", languages=("sh", "sql"))', "docs/page.md has no block to execute in: sql. Correct or"),
        ('claim("docs/gone.md")', "No such file or directory"),
    ],
)
def test_a_claim_of_blocks_that_are_gone_is_reported(project: Path, call: str, said: str) -> None:
    write(project, "tests/test_other.py", f"{CLAIM}print({call})\n")
    (problem,) = problems(project)
    assert problem.startswith("tests/test_other.py:2: ")
    assert said in problem


@pytest.mark.parametrize("names", ["FIRST, SECOND", "(FIRST, SECOND)", "FIRST = SECOND", "SECOND: list"])
def test_a_claim_whose_blocks_nothing_reads_is_reported(project: Path, names: str) -> None:
    write(project, "tests/test_page.py", f'{CLAIM}{names} = claim("docs/page.md")\nprint(FIRST)\n')
    (problem,) = problems(project)
    assert problem.startswith("tests/test_page.py:2: no test reads the blocks")


def test_a_claim_in_a_file_that_no_test_imports_is_reported(project: Path) -> None:
    (project / "tests/test_page.py").rename(project / "tests/page.py")
    (problem,) = problems(project)
    assert problem.startswith("tests/page.py:2: no test reads the blocks")
    write(project, "tests/test_page.py", "from tests.page import FOUND\n")
    assert problems(project) == []


def test_a_block_belongs_to_one_test_file(project: Path) -> None:
    write(project, "tests/test_other.py", f'{CLAIM}print(claim("docs/page.md", languages=("sh",)))\n')
    (problem,) = problems(project)
    assert problem.startswith("docs/page.md:2: claimed by tests/test_other.py and tests/test_page.py.")


def test_a_mark_above_a_block_that_is_executed_and_one_above_none_are_reported(project: Path) -> None:
    mark = "<!-- not executed: an example -->\n"
    write(project, "docs/page.md", PAGE.replace("```sh", f"{mark}```sh") + mark)
    executed, stray = sorted(problems(project), key=len, reverse=True)
    assert executed == "docs/page.md:3: marked as not executed, but tests/test_page.py executes it. Remove the mark."
    assert stray == "docs/page.md:12: this mark is not directly above a block. Move or remove it."


def test_a_mark_without_a_reason_is_none(project: Path) -> None:
    write(project, "docs/other.md", "<!-- not executed -->\n```sh\nmake\n```\n")
    assert [problem.split(":")[1] for problem in problems(project)] == ["1", "2"]


def test_ten_blocks_may_be_marked_and_not_eleven(project: Path) -> None:
    marked = dedent("""\
        <!-- not executed: an example -->
        ```sh
        make
        ```
        """)
    write(project, "docs/other.md", marked * MOST_MARKS)
    assert problems(project) == []
    write(project, "docs/other.md", marked * (MOST_MARKS + 1))
    assert problems(project) == ["11 blocks are marked as not executed, and at most 10 may be. Execute some."]
