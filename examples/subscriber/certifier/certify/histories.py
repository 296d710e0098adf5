"""The events that a payment can have, as the payment service's model produces them."""

import copy
import json
import uuid
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

# Every schedule is about an order of its own, so a subscriber needs no clean tables in between.
_NAMESPACE = uuid.UUID("0b9d6a36-8a5c-5a56-9d20-3f5d7e2f6f0a")
_TERMS = ("application_id", "job_id", "client_id", "freelancer_id", "amount", "currency")


@dataclass(frozen=True, slots=True, eq=False)
class Event:
    """One event of a history."""

    type: str
    detail: dict[str, Any]

    @property
    def id(self) -> str:
        """The same for every copy."""
        return str(self.detail["event_id"])

    @property
    def version(self) -> int:
        """Of the payment."""
        return int(self.detail["version"])

    @property
    def status(self) -> str:
        """Of the payment, after the event's change."""
        return str(self.detail["payment"]["status"])

    @property
    def terms(self) -> dict[str, Any]:
        """What the client agreed to."""
        return {name: self.detail["payment"][name] for name in _TERMS}

    def __str__(self) -> str:
        """Return it for a person."""
        parts = [self.type, f"version {self.version}", self.status]
        if "dispute" in self.detail:
            parts.append(f"dispute {self.detail['dispute']['state']}")
        if "review" in self.detail:
            parts.append("{reason} {state}".format(**self.detail["review"]))
        return ", ".join(parts)


type History = tuple[Event, ...]


@cache
def histories() -> tuple[History, ...]:
    """Return every history, shortest first."""
    text = (files("certify") / "histories.json").read_text(encoding="utf-8")
    document = json.loads(text)
    events = [Event(event["detail-type"], event["detail"]) for event in document["events"]]
    return tuple(tuple(events[place] for place in history) for history in document["histories"])


def of_types(history: History, types: frozenset[str]) -> History:
    """Return what a rule with these detail types delivers of it; all without types."""
    return tuple(event for event in history if not types or event.type in types)


def renamed(history: History, number: int) -> History:
    """Return the same history of another order."""
    made = []
    for event in history:
        detail = copy.deepcopy(event.detail)
        detail["event_id"] = str(uuid.uuid5(_NAMESPACE, f"{event.id} {number}"))
        detail["payment"] |= {"order_id": f"order_{number:014d}", "payment_id": number, "application_id": number}
        made.append(Event(event.type, detail))
    return tuple(made)
