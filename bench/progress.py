"""How a section tells how far it is, and which results it gives."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol


class Progress(Protocol):
    """Is told how far a section is, often."""

    def __call__(self, done: int, of: int) -> None:
        """So many of so many steps are done."""
        ...


@dataclass(frozen=True, slots=True)
class Effort:
    """How much to measure."""

    rounds: int
    """How often each case runs."""
    instructions: bool
    """Whether to count instructions too, where valgrind is there; a process takes fifty times as long then."""
    seconds: float
    """How long each level of load lasts."""


type Result = Mapping[str, Any]
"""What a section found, as JSON keeps it; `page` shows it."""
