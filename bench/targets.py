"""The targets of the measurements, and whether they are met."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

READY: Final[Mapping[str, float]] = {
    "webhook": 1.40,
    "verify": 1.40,
    "create_order": 1.55,
    "reconcile": 1.55,
    # The first measurement with models, plus 3 %.
    "verify (RS256)": 1.459,
    "outbox": 1.289,
}
"""Instructions of Init, relative to F."""
FIRST_ANSWER: Final = 0.20
"""Instructions from there to the first response, relative to F. Measured as in a copy of a snapshot, including Lambda's
after-restore hooks; for that a quarter of F would be enough."""
MEMORY_MIB, MEMORY_WITH_CRYPTOGRAPHY_MIB = 58.0, 61.7
"""Peak memory of Init: the largest first measurement with models, plus 3 %."""
LAYER_MB: Final = 12.0
"""The layer of all functions, zipped."""
WARM_BASE: Final[Mapping[str, int]] = {
    "create-order": 8_743_333,
    "verify": 7_030_594,
    "read": 3_830_549,
    "webhook payment.authorized": 6_788_138,
    "webhook payment.captured": 11_165_204,
    "verify (RS256)": 7_436_322,
    "read (RS256)": 4_257_492,
}
"""Instructions of a warm request at revision 055aa23, before the models: that revision's build, with the requests and
the stubbed network of this bench."""
WARM_GROWTH: Final = 1.02
"""The allowed increase over that."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure, with its upper bound if there is one."""

    what: str
    measured: float
    bound: float | None = None
    digits: int = 0

    @property
    def verdict(self) -> str:
        """Whether the bound is met, or by how much it is missed."""
        if self.bound is None:
            return ""
        if self.measured <= self.bound:
            return "reached"
        return f"**missed by {self.measured / self.bound - 1:.1%}**"

    def row(self) -> list[str]:
        """The table row: name, bound, measurement and verdict."""
        bound = "" if self.bound is None else f"{self.bound:,.{self.digits}f}"
        return [self.what, bound, f"{self.measured:,.{self.digits}f}", self.verdict]
