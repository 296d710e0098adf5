"""What all fault campaigns share: they get a budget and a seed, show progress, and report figures.

`make test` runs each with a small budget, `make faults` runs all of each and writes docs/evidence/faults.md.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Budget:
    """How much of a campaign to run."""

    share: float
    """The fraction to run, 0 to 1; an exhaustive campaign samples its cases, a random one draws fewer."""
    seed: int
    """The seed of all random choices, so that a failure can be reproduced."""


class Progress(Protocol):
    """Is called often with a campaign's progress."""

    def __call__(self, done: int, of: int) -> None:
        """Reports how many cases are done, and of how many."""
        ...


@dataclass(frozen=True, slots=True)
class Report:
    """A campaign's result; a broken invariant is not part of it but raised as an AssertionError."""

    title: str
    what: str
    """What was tried and what held, in one or two sentences (Markdown)."""
    figures: Mapping[str, int | str]
    """In print order."""
    tables: Sequence[str] = field(default=())
    """Markdown tables, such as the crash matrix."""


class Campaign(Protocol):
    """One campaign: runs, checks, reports. Each campaign module has one as `run`."""

    def __call__(self, budget: Budget, progress: Progress) -> Report:
        """Runs that much of the campaign.

        Raises:
            AssertionError: an invariant was broken; the message says how to reproduce it.
        """
        ...
