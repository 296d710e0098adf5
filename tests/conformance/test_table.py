"""docs/conformance.md names every scenario once, and only tests that exist."""

import ast
import re
from collections import Counter
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs/conformance.md").read_text(encoding="utf-8")
SCENARIOS = {f"ORD-{number:02}" for number in range(1, 26)} | {f"BP-{number:02}" for number in range(1, 38)}
_SCENARIO = re.compile(r"\b(?:ORD|BP)-\d+\b")
_REFERENCE = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
_IN_A_NAME = re.compile(r"(?<=_)(ord|bp)_(\d\d)(?=_)")


def rows() -> list[tuple[list[str], str]]:
    """Each table row that starts with scenarios: the scenarios, and the rest of the row."""
    cells = (line.removeprefix("|").partition("|") for line in DOCUMENT.splitlines() if line.startswith("|"))
    return [(_SCENARIO.findall(first), rest) for first, _, rest in cells if _SCENARIO.search(first)]


def references(text: str) -> list[tuple[str, str]]:
    return _REFERENCE.findall(text)


@cache
def names_in(path: Path) -> set[str]:
    """The names of a file's tests, without importing it."""
    nodes = ast.parse(path.read_text(encoding="utf-8")).body
    return {node.name for node in nodes if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}


def test_every_scenario_stands_in_the_tables_once() -> None:
    assert Counter(scenario for scenarios, _ in rows() for scenario in scenarios) == Counter(SCENARIOS)


def test_every_test_that_is_named_exists() -> None:
    named = references(DOCUMENT)
    assert len(named) == DOCUMENT.count("::")
    missing = [
        f"{path}::{name}" for path, name in named if not (ROOT / path).is_file() or name not in names_in(ROOT / path)
    ]
    assert missing == []


def test_every_row_names_a_test_or_says_that_it_does_not_apply() -> None:
    assert [scenarios for scenarios, rest in rows() if not references(rest) and "does not apply" not in rest] == []


def test_every_test_that_carries_a_scenario_stands_in_that_scenarios_row() -> None:
    carried = {
        (f"{kind.upper()}-{number}", f"tests/conformance/{path.name}", name)
        for path in Path(__file__).parent.glob("test_*.py")
        for name in names_in(path)
        for kind, number in _IN_A_NAME.findall(name)
    }
    shown = {
        (scenario, path, name)
        for scenarios, rest in rows()
        for scenario in scenarios
        for path, name in references(rest)
    }
    assert carried
    assert carried - shown == set()
    # Conversely, a test listed for a scenario has its number in its name.
    assert {name for scenario, path, name in shown if _misplaced(scenario, path, name)} == set()


def _misplaced(scenario: str, path: str, name: str) -> bool:
    numbers = {f"{kind.upper()}-{number}" for kind, number in _IN_A_NAME.findall(name)}
    return path.startswith("tests/conformance/") and bool(numbers) and scenario not in numbers
