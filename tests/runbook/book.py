"""docs/runbook.md and docs/deploying.md, taken apart: their sections, and the blocks of shell in them."""

import re
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

PROJECT = Path(__file__).parents[2]
RUNBOOK = PROJECT / "docs/runbook.md"
DEPLOYING = PROJECT / "docs/deploying.md"


@dataclass(frozen=True)
class Section:
    """A heading and what stands under it, up to the next heading."""

    level: int
    title: str
    text: str


@dataclass(frozen=True)
class Block:
    """A block of shell."""

    section: str
    number: int
    """Within its section, from 1."""
    script: str

    @property
    def name(self) -> str:
        return f"{self.section} {self.number}"


def sections(page: Path = RUNBOOK) -> list[Section]:
    """Every section of a page, in order. A `#` in a block of shell is a comment there, and no heading here."""
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
    """Every block of shell of a page, in order, as far left as it goes: a block in a list is indented with it."""
    found = []
    for section in sections(page):
        scripts = re.findall(r"^ *```sh\n(.*?)^ *```$", section.text, re.DOTALL | re.MULTILINE)
        found += [Block(section.title, number, dedent(script)) for number, script in enumerate(scripts, 1)]
    return found


def anchor(title: str) -> str:
    """What a link to a heading ends in."""
    return re.sub(r"[^a-z0-9 _-]", "", title.lower()).replace(" ", "-")
