"""The project's pages, read as GitHub reads them: their links and the anchors of their headings."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

PROJECT: Final = Path(__file__).parents[2]
_FENCED: Final = re.compile(r"^ *(```|~~~).*?^ *\1 *$", re.DOTALL | re.MULTILINE)
_LINK: Final = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)")
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


def pages() -> list[Path]:
    """Every documentation page of the project."""
    folders = ("clients", "docs", "sandbox", ".github")
    found = [*PROJECT.glob("*.md"), *(page for folder in folders for page in (PROJECT / folder).rglob("*.md"))]
    return sorted(page for page in found if "node_modules" not in page.parts)


def links(page: Path) -> Iterator[Link]:
    """The links of a page, except those in code blocks."""
    text = _FENCED.sub("", page.read_text(encoding="utf-8"))
    yield from (Link(page, label, target) for _, label, target in _LINK.findall(text))
    yield from (Link(page, "", target.split()[0]) for target in _PICTURE.findall(text))


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub generates them: repeated headings are numbered."""
    text = _FENCED.sub("", page.read_text(encoding="utf-8"))
    seen: Counter[str] = Counter()
    found = set(re.findall(r"<a (?:id|name)=\"([^\"]+)\"", text))
    for heading in re.findall(r"^#{1,6} +(.*?) *#*$", text, re.MULTILINE):
        words = _LINK.sub(r"\2", heading).replace("`", "").lower()
        slug = re.sub(r"[^\w\- ]", "", words).replace(" ", "-")
        found.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
        seen[slug] += 1
    return found
