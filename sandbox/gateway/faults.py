"""The switches that make the gateway misbehave, read and set at `/_control/faults`.

One field per switch, each with the gateway's good behaviour as its default, so that a reset is `Faults()`. A switch of
the API is read where its rule is decided (`world`, or `api.Api._guard` for what concerns every call: 429, 5xx, hanging,
a lost answer); one of the webhooks in `deliveries` (withholding, duplicating, reordering, rotating the secret).
"""

from dataclasses import dataclass, fields, replace
from typing import Any, Final, Literal, Self

_CHOICES: Final = {"duplicate_receipts": ("accept", "refuse")}


class UnknownSwitchError(ValueError):
    """No such switch, or a position that it does not have; the message says which."""


@dataclass(frozen=True, slots=True)
class Faults:
    """How each switch stands."""

    duplicate_receipts: Literal["accept", "refuse"] = "accept"
    """The docs call receipts unique and show duplicates in a sample; real accounts have been seen to accept them."""

    def switched(self, settings: dict[str, Any]) -> Self:
        """These switches with some of them set anew.

        Raises:
            UnknownSwitchError: nothing was changed.
        """
        known = {switch.name for switch in fields(self)}
        for name, position in settings.items():
            if name not in known:
                raise UnknownSwitchError(f"there is no switch {name}; there are: {', '.join(sorted(known))}")
            if position not in _CHOICES[name]:
                raise UnknownSwitchError(f"{name} can be: {', '.join(_CHOICES[name])}")
        return replace(self, **settings)
