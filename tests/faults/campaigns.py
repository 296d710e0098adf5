"""What every campaign under faults has in common: it gets a budget and a seed, tells its progress, and reports figures.

`make test` runs each with a small budget, `make faults` runs all of each and writes docs/evidence/faults.md.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Budget:
    """How much of a campaign to run."""

    share: float
    """Of the whole, 0 to 1; an exhaustive campaign takes a sample of its cases, a random one fewer of them."""
    seed: int
    """Whatever is drawn at random is drawn from this, so that a failure can be played again."""


class Progress(Protocol):
    """Is told how far a campaign is, often."""

    def __call__(self, done: int, of: int) -> None:
        """So many of so many cases are done."""
        ...


@dataclass(frozen=True, slots=True)
class Report:
    """What a campaign did and found; a broken invariant is not in here but raised as an AssertionError."""

    title: str
    what: str
    """What was tried and what held, in a sentence or two for a sceptical reader (Markdown)."""
    figures: Mapping[str, int | str]
    """In the order in which to print them."""
    tables: Sequence[str] = field(default=())
    """Markdown tables, such as the crash matrix."""


class Campaign(Protocol):
    """One campaign: runs, checks, reports. A module of this folder has one as `run`."""

    def __call__(self, budget: Budget, progress: Progress) -> Report:
        """Runs that much of the campaign.

        Raises:
            AssertionError: an invariant was broken; the message says what to do to see it again.
        """
        ...
