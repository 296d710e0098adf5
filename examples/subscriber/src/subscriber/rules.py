"""What this service does with each event: the part to change. Pure.

The result must not depend on the order in which events arrive. So an order's state holds the highest version with its
status, whether a payment was announced, and the latest state of each dispute. What to do is derived from these.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from subscriber.events import Event, Terms

OVERTAKEN: Final = "overtaken"
"""A newer event says that this one is no longer true: nothing is stored."""
HELD: Final = "held"
"""How the outcome starts if a person must compare the payment with this service's own terms."""

# Only these say what the payment's status is. Every other event is about one refund, one review or one dispute, and
# stays true whatever the status has become.
_ABOUT_THE_STATUS: Final = frozenset({"payment.paid", "payment.failed", "payment.refunded", "payment.expired"})
_MONEY_STAYS: Final = frozenset({"won", "closed"})


@dataclass(frozen=True, slots=True)
class Dispute:
    """The latest that is known of a dispute."""

    version: int
    state: str


@dataclass(frozen=True, slots=True)
class Purchase:
    """What this service knows of an order.

    Attributes:
        version: the highest seen.
        status: the payment's, at that version.
        paid: whether `payment.paid` came, with the terms that this service agreed to.
        disputes: by Razorpay's id.
        revision: counts this service's own writes.
    """

    version: int = 0
    status: str = ""
    paid: bool = False
    disputes: Mapping[str, Dispute] = field(default_factory=dict)
    revision: int = 0

    @property
    def released(self) -> bool:
        """Whether the work may go on: it is paid for, not refunded, and no dispute threatens or took the money."""
        return (
            self.paid
            and self.status != "refunded"
            and all(dispute.state in _MONEY_STAYS for dispute in self.disputes.values())
        )


type Rule = Callable[[Purchase, Event, Terms | None], tuple[Purchase, str]]
"""Takes what is known, an event, and this service's own terms; returns what is known then, and the outcome in words."""


def release(known: Purchase, event: Event, agreed: Terms | None) -> tuple[Purchase, str]:
    """Start or stop what was paid for: the rule of Job and Application."""
    if is_overtaken(known, event):
        return known, OVERTAKEN
    now = learned(known, event)
    if event.type == "payment.paid":
        difference = compared(event.terms, agreed)
        if difference:
            return now, f"{HELD}: {difference}"
        now = replace(now, paid=True)
    if now.released == known.released:
        return now, "noted"
    return now, "released" if now.released else "stopped"


def notify(known: Purchase, event: Event, _agreed: Terms | None) -> tuple[Purchase, str]:
    """Tell people about a payment: the rule of Notification, which sells nothing and has no terms of its own."""
    return (known, OVERTAKEN) if is_overtaken(known, event) else (learned(known, event), "told")


RULES: Final[Mapping[str, Rule]] = {"release": release, "notify": notify}


def is_overtaken(known: Purchase, event: Event) -> bool:
    """Whether an event about the status comes after a newer event with another status."""
    return event.type in _ABOUT_THE_STATUS and event.version < known.version and event.status != known.status


def learned(known: Purchase, event: Event) -> Purchase:
    """Return what is known once an event has been seen, whatever came before it."""
    now = known
    if event.version > now.version:
        now = replace(now, version=event.version, status=event.status)
    if event.type == "payment.dispute_changed" and event.dispute and event.dispute_state:
        before = now.disputes.get(event.dispute)
        if before is None or event.version > before.version:
            latest = Dispute(version=event.version, state=event.dispute_state)
            now = replace(now, disputes={**now.disputes, event.dispute: latest})
    return now


def compared(paid: Terms, agreed: Terms | None) -> str:
    """Return how the terms that were paid differ from this service's own; empty if they do not."""
    if agreed is None:
        return f"there is no application {paid.application_id}"
    names = [name for name in Terms.__slots__ if getattr(paid, name) != getattr(agreed, name)]
    return f"{', '.join(names)} not as agreed" if names else ""
