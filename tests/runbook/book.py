"""Parses docs/runbook.md and docs/deploying.md: their sections and shell blocks."""

import re
from dataclasses import dataclass
from pathlib import Path

from tests.docs import pages
from tests.docs.pages import PROJECT, Block

__all__ = ["DEPLOYING", "PROJECT", "RUNBOOK", "Block", "Section", "anchor", "blocks", "sections"]

RUNBOOK = PROJECT / "docs/runbook.md"
DEPLOYING = PROJECT / "docs/deploying.md"


@dataclass(frozen=True)
class Section:
    """A heading and its text, up to the next heading."""

    level: int
    title: str
    text: str


def sections(page: Path = RUNBOOK) -> list[Section]:
    """Every section of a page, in order. A `#` in a shell block is a comment and not a heading."""
    found: list[Section] = []
    title, level, lines, in_block = "", 0, list[str](), False
    for line in page.read_text(encoding="utf-8").splitlines():
        in_block ^= line.lstrip().startswith("```")
        heading = None if in_block else re.fullmatch(r"(#+) (.+)", line)
        if heading is None:
            lines.append(line)
            continue
        found.append(Section(level, title, "\n".join(lines)))
        title, level, lines = heading[2], len(heading[1]), []
    return [*found[1:], Section(level, title, "\n".join(lines))]


def blocks(page: Path = RUNBOOK) -> list[Block]:
    """Every shell block of a page, in order."""
    return [block for block in pages.blocks(page) if block.language == "sh"]


def anchor(title: str) -> str:
    """A heading's anchor."""
    return re.sub(r"[^a-z0-9 _-]", "", title.lower()).replace(" ", "-")
