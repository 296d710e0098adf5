"""What the measurements should be at most, and whether they are."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

READY: Final[Mapping[str, float]] = {
    "webhook": 1.40,
    "verify": 1.40,
    "create_order": 1.55,
    "reconcile": 1.55,
    # What was first measured with models, plus 3 %.
    "verify (RS256)": 1.618,
    "outbox": 1.446,
}
"""Instructions of Init, in times F."""
FIRST_ANSWER: Final = 0.20
"""Instructions from there to the first answer, in times F. It is measured as a copy of a snapshot does it, with what
Lambda runs after it has resumed one; a quarter of F would do for that."""
MEMORY_MIB, MEMORY_WITH_CRYPTOGRAPHY_MIB = 58.0, 61.7
"""The most memory that Init takes: the largest that was first measured with models, plus 3 %."""
LAYER_MB: Final = 12.0
"""The layer of all functions, zipped."""
WARM_BASE: Final[Mapping[str, int]] = {
    "create-order": 8_309_756,
    "verify": 6_634_221,
    "read": 3_807_369,
    "webhook payment.authorized": 6_346_563,
    "webhook payment.captured": 10_501_316,
    "verify (RS256)": 7_055_833,
    "read (RS256)": 4_223_124,
}
"""Instructions of a warm request at revision 087ddcbf46, the network stubbed. The lanes made other calls then."""
WARM_GROWTH: Final = 1.02
"""How much more than that a request may execute."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure, with the most that it should be where there is such a bound."""

    what: str
    measured: float
    bound: float | None = None
    digits: int = 0

    @property
    def verdict(self) -> str:
        """Whether the bound is kept, and by how much it is missed."""
        if self.bound is None:
            return ""
        if self.measured <= self.bound:
            return "reached"
        return f"**missed by {self.measured / self.bound - 1:.1%}**"

    def row(self) -> list[str]:
        """For a table: what, at most, measured, and the verdict."""
        bound = "" if self.bound is None else f"{self.bound:,.{self.digits}f}"
        return [self.what, bound, f"{self.measured:,.{self.digits}f}", self.verdict]
