"""Parses docs/events/README.md for the tests that compare it with the code."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.docs.pages import claim

PROJECT: Final = Path(__file__).parents[2]
PAGE: Final = (PROJECT / "docs/events/README.md").read_text(encoding="utf-8")
BLOCKS: Final = claim("docs/events/README.md", sections=("The envelope", "Examples"), languages=("json",))
NONE: Final = "\N{EN DASH}"
"""An empty cell in a table."""


def section(title: str) -> str:
    """The text under a heading of level two or three, up to the next of its level or above."""
    (level,) = re.findall(rf"^(##+) {re.escape(title)}$", PAGE, re.MULTILINE)
    text = PAGE.split(f"\n{level} {title}\n")[1]
    return re.split(rf"^#{{2,{len(level)}}} ", text, flags=re.MULTILINE)[0]


def rows(title: str) -> list[list[str]]:
    """The cells of a section's last table, without the header row."""
    table = re.findall(r"(?:^\|.*\n)+", section(title), re.MULTILINE)[-1].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table]


def examples() -> dict[str, dict[str, Any]]:
    """The detail of each example, by type."""
    names = re.findall(r"^`(payment\.\w+)`\n\n```json$", section("Examples"), re.MULTILINE)
    texts = [block.text for block in BLOCKS if block.section == "Examples"]
    return {name: json.loads(text) for name, text in zip(names, texts, strict=True)}


def envelope() -> dict[str, Any]:
    """The event that the page shows with its envelope."""
    (text,) = (block.text for block in BLOCKS if block.section == "The envelope")
    event: dict[str, Any] = json.loads(text)
    return event


def event(detail_type: str, **changes: str) -> dict[str, Any]:
    """An example in its envelope."""
    return {**envelope(), "detail-type": detail_type, "detail": examples()[detail_type], **changes}


@dataclass(frozen=True)
class Pattern:
    """A row of the rule patterns."""

    purpose: str
    text: str
    takes: frozenset[str]


def patterns() -> list[Pattern]:
    """Every rule pattern of the page."""
    return [
        Pattern(purpose, text.strip("`"), frozenset(re.findall(r"`([^`]+)`", takes)))
        for purpose, text, takes in rows("Rule patterns")
    ]


@dataclass(frozen=True)
class Reason:
    """A row of the reviews."""

    name: str
    link: str
    means: str
    under_review: str
    by_itself: str
    by_an_operator: str


def reasons() -> list[Reason]:
    """Every reason for a review."""
    found = []
    for first, *others in rows("Reviews"):
        linked = re.fullmatch(r"\[`(\w+)`\]\((\S+)\)", first)
        assert linked, first
        found.append(Reason(linked[1], linked[2], *others))
    return found
