"""docs/decisions: each record has a status and a date, is listed, and names the others it changes."""

import re
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pytest

from tests.docs.pages import claim

FOLDER = Path(__file__).parents[2] / "docs/decisions"
LINK = r"\[(\d+)\]\(([^)]+)\)"
DAY = r"(\d{4}-\d\d-\d\d)"
STATUS = re.compile(
    rf"Status: (?:accepted, {DAY}\.|superseded by {LINK}, {DAY}\. Accepted {DAY}\.)"
    rf"((?: (?:Supersedes|Amends) {LINK}\.| Amended by {LINK}, {DAY}\.)*)"
)


@dataclass(frozen=True)
class Decision:
    """The form of a record."""

    number: int
    title: str
    accepted: date
    superseded_by: int | None
    supersedes: frozenset[int]
    amends: frozenset[int]
    amended_by: frozenset[int]

    @property
    def status(self) -> str:
        """The record's line in the list."""
        status = "accepted" if self.superseded_by is None else f"superseded by {self.superseded_by}"
        return ", ".join([status, *(f"amended by {number}" for number in sorted(self.amended_by))])


def read(path: Path) -> Decision:
    """Parses a record, or raises an AssertionError that says what its form lacks."""
    title, blank, line, below, *_ = path.read_text(encoding="utf-8").splitlines()
    heading = re.fullmatch(r"# (\d+)\. (.+)", title)
    assert heading is not None, f"{path.name}: the first line is '# <number>. <decision>'"
    assert path.name.startswith(f"{int(heading[1]):04}-"), f"{path.name} says that it is number {heading[1]}"
    status = STATUS.fullmatch(line)
    assert (blank, below) == ("", ""), f"{path.name}: the status is a paragraph by itself"
    assert status is not None, f"{path.name}: the third line is 'Status: accepted, <date>.', as CONTRIBUTING.md says"
    accepted, superseded_by, _, superseded, accepted_before, others = status.groups()[:6]
    for number, file in re.findall(LINK, line):
        assert (FOLDER / file).is_file(), f"{path.name} leads to {file}"
        assert file.startswith(f"{int(number):04}-"), f"{path.name} calls {file} number {number}"
    if superseded is not None:
        assert date.fromisoformat(accepted_before) <= date.fromisoformat(superseded), path.name

    def those(relation: str) -> frozenset[int]:
        return frozenset(int(number) for number, _ in re.findall(rf" {relation} {LINK}", others))

    return Decision(
        int(heading[1]),
        heading[2],
        date.fromisoformat(accepted or accepted_before),
        int(superseded_by) if superseded_by else None,
        those("Supersedes"),
        those("Amends"),
        those("Amended by"),
    )


DECISIONS = {path.name: path for path in sorted(FOLDER.glob("*.md")) if path.name != "README.md"}


@pytest.fixture(scope="module")
def decisions() -> dict[int, Decision]:
    return {(decision := read(path)).number: decision for path in DECISIONS.values()}


@pytest.mark.parametrize("name", DECISIONS)
def test_a_record_has_a_number_a_status_and_a_date(name: str) -> None:
    decision = read(DECISIONS[name])
    assert decision.title
    assert decision.accepted >= date(2026, 11, 23), "older than the project"


def test_numbers_have_no_gap(decisions: dict[int, Decision]) -> None:
    assert sorted(decisions) == list(range(1, len(DECISIONS) + 1))


def test_what_supersedes_or_amends_another_is_named_there_and_names_it(decisions: dict[int, Decision]) -> None:
    superseded = {(d.number, d.superseded_by) for d in decisions.values() if d.superseded_by is not None}
    assert superseded == {(old, d.number) for d in decisions.values() for old in d.supersedes}
    amended = {(d.number, by) for d in decisions.values() for by in d.amended_by}
    assert amended == {(old, d.number) for d in decisions.values() for old in d.amends}


def test_the_list_has_every_record_with_its_title_status_and_date(decisions: dict[int, Decision]) -> None:
    rows = [line for line in (FOLDER / "README.md").read_text(encoding="utf-8").splitlines() if line.startswith("| [")]
    assert rows == [
        f"| [{d.number}]({name}) | {d.title} | {d.status} | {d.accepted} |"
        for name, d in zip(DECISIONS, decisions.values(), strict=True)
    ]


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("# 1. A title\n\n**Decision.** None.\n\n", "Status"),
        ("# 1. A title\n\nStatus: accepted.\n\n", "Status"),
        ("# 1. A title\n\nStatus: accepted, 2026-11-26. Supersedes [2](0002-none.md).\n\n", "leads to"),
        ("# 2. A title\n\nStatus: accepted, 2026-11-26.\n\n", "number 2"),
        ("# 1. A title\n\nStatus: accepted, 2026-11-26.\nAnd more.\n", "a paragraph by itself"),
    ],
    ids=["no status", "no date", "no such record", "another number", "no paragraph of its own"],
)
def test_a_record_of_another_form_is_noticed(tmp_path: Path, text: str, wrong: str) -> None:
    path = tmp_path / "0001-a-title.md"
    path.write_text(text)
    with pytest.raises(AssertionError, match=wrong):
        read(path)


def test_the_status_that_contributors_copy_has_the_form() -> None:
    (shown,) = claim("CONTRIBUTING.md", sections=("Write a decision record",))
    assert STATUS.fullmatch(shown.text.rstrip("\n"))
