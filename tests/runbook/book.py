"""Parses docs/runbook.md and docs/deploying.md: their sections and shell blocks."""

import re
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

PROJECT = Path(__file__).parents[2]
RUNBOOK = PROJECT / "docs/runbook.md"
DEPLOYING = PROJECT / "docs/deploying.md"


@dataclass(frozen=True)
class Section:
    """A heading and its text, up to the next heading."""

    level: int
    title: str
    text: str


@dataclass(frozen=True)
class Block:
    """A shell block."""

    section: str
    number: int
    """Its number in its section, from 1."""
    script: str

    @property
    def name(self) -> str:
        return f"{self.section} {self.number}"


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
    """Every shell block of a page, in order, dedented, since a block in a list is indented."""
    found = []
    for section in sections(page):
        scripts = re.findall(r"^ *```sh\n(.*?)^ *```$", section.text, re.DOTALL | re.MULTILINE)
        found += [Block(section.title, number, dedent(script)) for number, script in enumerate(scripts, 1)]
    return found


def anchor(title: str) -> str:
    """A heading's anchor."""
    return re.sub(r"[^a-z0-9 _-]", "", title.lower()).replace(" ", "-")
