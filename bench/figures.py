"""The arithmetic of measurements: medians, and ratios of what was measured in the same round.

Absolute times drift on a shared machine by more than the differences that matter, so nothing is compared across rounds:
in each round every case runs once, a case is divided by the reference of its own round, and the median of those
ratios is what is told, with the middle half of them as its spread.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median, quantiles
from typing import Any, Self

_FEWEST_FOR_QUARTILES = 4


@dataclass(frozen=True, slots=True)
class Spread:
    """A median and where the middle half of the values lies; all of them where there are fewer than four."""

    middle: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Self:
        """The spread of one or more values.

        Raises:
            ValueError: there is none.
        """
        if not values:
            raise ValueError("nothing was measured")
        if len(values) < _FEWEST_FOR_QUARTILES:
            return cls(median(values), min(values), max(values))
        low, middle, high = quantiles(values, n=4, method="inclusive")
        return cls(middle, low, high)

    @classmethod
    def of_document(cls, document: Mapping[str, Any]) -> Self:
        """What `document` gave."""
        return cls(document["middle"], document["low"], document["high"])

    def document(self) -> dict[str, float]:
        """For JSON."""
        return {"middle": self.middle, "low": self.low, "high": self.high}

    def shown(self, digits: int = 2) -> str:
        """Such as `1.04 (1.02-1.07)`."""
        return f"{self.middle:,.{digits}f} ({self.low:,.{digits}f}-{self.high:,.{digits}f})"


def ratios(values: Sequence[float], reference: Sequence[float]) -> Spread:
    """How many times the reference it is, round by round.

    Args:
        values: one a round.
        reference: of the same rounds, in the same order.

    Raises:
        ValueError: the rounds are not the same, or there is none.
    """
    return Spread.of([value / other for value, other in zip(values, reference, strict=True)])


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of all is not above (nearest rank).

    Args:
        values: in any order, at least one.
        share: above 0, up to 1.
    """
    ordered = sorted(values)
    # -(-a // b) rounds up; the tiny bit keeps 0.99 * 100 from becoming the 100th.
    rank = int(-(-(share * len(ordered) - 1e-9) // 1))
    return ordered[max(rank, 1) - 1]
