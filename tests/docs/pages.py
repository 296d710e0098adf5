"""The project's pages, read as GitHub reads them: links, anchors of headings, and code blocks.

A test that executes blocks of a page takes them with `claim`; test_blocks.py finds the blocks that no test takes.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

PROJECT: Final = Path(__file__).parents[2]
_FENCED: Final = re.compile(r"^ *(```|~~~).*?^ *\1 *$", re.DOTALL | re.MULTILINE)
_FENCE: Final = re.compile(r"( *)(```+|~~~+) *([^`]*)")
_MARK: Final = re.compile(r" *<!-- not executed: (.+) -->")
_GENERATED: Final = {"node_modules", "build", "dist", "__pycache__"}
_LINK: Final = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)")
_REFERENCE: Final = re.compile(r"^ *\[([^\]]+)\]: (\S+)", re.MULTILINE)
_PICTURE: Final = re.compile(r"\b(?:src|srcset|href)=\"([^\"]+)\"")


@dataclass(frozen=True)
class Link:
    """A link of a page."""

    page: Path
    text: str
    target: str

    @property
    def is_internal(self) -> bool:
        """Whether it points to a file or heading of the project."""
        return not re.match(r"[a-z][a-z0-9+.-]*:", self.target)

    @property
    def file(self) -> Path:
        """The file or folder that an internal link names."""
        path = self.target.partition("#")[0]
        return (self.page.parent / path).resolve() if path else self.page

    @property
    def anchor(self) -> str:
        """The heading it names; empty if none."""
        return self.target.partition("#")[2]

    def __str__(self) -> str:
        return f"{self.page.relative_to(PROJECT)}: [{self.text}]({self.target})"


def files(project: Path = PROJECT) -> Iterator[Path]:
    """The project's own files, without what is installed or generated."""
    for folder, names, found in project.walk():
        names[:] = [name for name in names if name == ".github" or (name[0] != "." and name not in _GENERATED)]
        yield from (folder / name for name in found)


def pages(project: Path = PROJECT) -> list[Path]:
    """Every page of the project."""
    return sorted(file for file in files(project) if file.suffix == ".md")


def links(page: Path) -> Iterator[Link]:
    """The links of a page, except those in code blocks."""
    text = _FENCED.sub("", page.read_text(encoding="utf-8"))
    yield from (Link(page, label, target) for _, label, target in _LINK.findall(text))
    yield from (Link(page, "", target.split()[0]) for target in _PICTURE.findall(text))
    yield from (Link(page, label, target) for label, target in _REFERENCE.findall(text))


def anchor_of(heading: str) -> str:
    """The anchor of a heading that no other of its page equals."""
    words = _LINK.sub(r"\2", heading).replace("`", "").lower()
    return re.sub(r"[^\w\- ]", "", words).replace(" ", "-")


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub generates them: repeated headings are numbered."""
    text = _FENCED.sub("", page.read_text(encoding="utf-8"))
    seen: Counter[str] = Counter()
    found = set(re.findall(r"<a (?:id|name)=\"([^\"]+)\"", text))
    for heading in re.findall(r"^#{1,6} +(.*?) *#*$", text, re.MULTILINE):
        slug = anchor_of(heading)
        found.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
        seen[slug] += 1
    return found


@dataclass(frozen=True)
class Block:
    """A code block of a page."""

    page: Path
    line: int
    """Where it begins, from 1."""
    section: str
    """The heading that it is under."""
    language: str
    number: int
    """Its number among the blocks of its language in its section, from 1."""
    text: str
    """Without the indentation of a block in a list."""
    not_executed: str | None
    """The reason in the mark above it."""

    @property
    def name(self) -> str:
        return f"{self.section} {self.number}"


def blocks(page: Path) -> list[Block]:
    """Every code block of a page, in order."""
    found: list[Block] = []
    section, indent, fence, language, before, begun = "", "", "", "", "", 0
    mark: str | None = None
    seen: Counter[str] = Counter()
    lines = page.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines, 1):
        opened = _FENCE.fullmatch(line)
        if fence:
            if line.strip().startswith(fence) and not line.strip().strip(fence[0]):
                inside = (part.removeprefix(indent) for part in lines[begun : number - 1])
                text = "".join(f"{part}\n" for part in inside)
                seen[language] += 1
                found.append(Block(page, begun, section, language, seen[language], text, mark))
                fence = ""
        elif opened:
            (indent, fence), language, begun = opened.group(1, 2), opened[3].strip(), number
            marked = _MARK.fullmatch(before)
            mark = marked and marked[1]
        elif heading := re.fullmatch(r"#{1,6} +(.+?) *#*", line):
            section, seen = heading[1], Counter()
        before = line
    if fence:
        raise ValueError(f"{page}:{begun}: the block has no end")
    return found


def marks(page: Path) -> list[int]:
    """The lines that are a mark, above a block or not."""
    lines = page.read_text(encoding="utf-8").splitlines()
    return [number for number, line in enumerate(lines, 1) if line.lstrip().startswith("<!-- not executed")]


def claim(
    page: str, *, sections: tuple[str, ...] = (), languages: tuple[str, ...] = (), project: Path = PROJECT
) -> list[Block]:
    """The blocks of a page that the calling test executes: all of them, or those of some sections and languages.

    test_blocks.py reads the calls, so `page`, `sections` and `languages` are literals. A block belongs to one test
    file; others may look at it with `blocks`.

    Raises:
        LookupError: The page has no such block, or none in one of the sections or languages.
    """
    found = [
        block
        for block in blocks(project / page)
        if (not sections or block.section in sections) and (not languages or block.language in languages)
    ]
    missing = {*sections} - {block.section for block in found} | {*languages} - {block.language for block in found}
    if missing or not found:
        raise LookupError(f"{page} has no block to execute in: {', '.join(sorted(missing)) or 'the whole page'}")
    return found
