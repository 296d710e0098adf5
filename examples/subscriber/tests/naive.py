"""Consumers that make the usual mistakes, and the kit's rules without AWS: for the certifier."""

import json
from typing import Any

from subscriber.events import Event, Terms
from subscriber.rules import OVERTAKEN, Purchase, release


class Consumer:
    """A subscriber in memory. Subclasses say what they do with an event."""

    def __init__(self) -> None:
        self.terms: dict[int, dict[str, Any]] = {}
        self.released: dict[str, bool] = {}
        self.notices: dict[str, list[str]] = {}

    def agreed(self, terms: dict[str, Any]) -> None:
        self.terms[terms["application_id"]] = terms

    def outcome(self, order_id: str) -> dict[str, Any]:
        return {"released": self.released.get(order_id, False)}

    def handler(self, batch: dict[str, Any], _context: object) -> dict[str, Any]:
        for record in batch["Records"]:
            envelope = json.loads(record["body"])
            self.take(envelope["detail-type"], envelope["detail"], envelope["detail"]["payment"])
        return {"batchItemFailures": []}

    def take(self, kind: str, detail: dict[str, Any], payment: dict[str, Any]) -> None:
        raise NotImplementedError


class BelievesThePrice(Consumer):
    def take(self, kind: str, detail: dict[str, Any], payment: dict[str, Any]) -> None:  # noqa: ARG002
        if kind in {"payment.paid", "payment.refunded"}:
            self.released[payment["order_id"]] = kind == "payment.paid"


class BelievesTheLastMessage(BelievesThePrice):
    def take(self, kind: str, detail: dict[str, Any], payment: dict[str, Any]) -> None:
        if payment["amount"] == self.terms[payment["application_id"]]["amount"]:
            super().take(kind, detail, payment)


class DropsEveryLowerVersion(BelievesTheLastMessage):
    def __init__(self) -> None:
        super().__init__()
        self.versions: dict[str, int] = {}

    def take(self, kind: str, detail: dict[str, Any], payment: dict[str, Any]) -> None:
        if detail["version"] >= self.versions.get(payment["order_id"], 0):
            self.versions[payment["order_id"]] = detail["version"]
            super().take(kind, detail, payment)


class TellsEverything(Consumer):
    def outcome(self, order_id: str) -> dict[str, Any]:
        return {"notices": self.notices.get(order_id, [])}

    def take(self, kind: str, detail: dict[str, Any], payment: dict[str, Any]) -> None:  # noqa: ARG002
        self.notices.setdefault(payment["order_id"], []).append(detail["event_id"])


class TellsEachOnce(TellsEverything):
    def take(self, kind: str, detail: dict[str, Any], payment: dict[str, Any]) -> None:
        if detail["event_id"] not in self.notices.get(payment["order_id"], []):
            super().take(kind, detail, payment)


class KnowsSomeTypes(BelievesTheLastMessage):
    def take(self, kind: str, detail: dict[str, Any], payment: dict[str, Any]) -> None:
        if kind == "payment.review":
            raise ValueError("a type that it does not know")
        super().take(kind, detail, payment)


class Kit(Consumer):
    """The kit's rules, with a dict for the tables."""

    def __init__(self) -> None:
        super().__init__()
        self.purchases: dict[str, Purchase] = {}
        self.known: set[str] = set()

    def outcome(self, order_id: str) -> dict[str, Any]:
        return super().outcome(order_id) | {"notices": self.notices.get(order_id, [])}

    def take(self, kind: str, detail: dict[str, Any], payment: dict[str, Any]) -> None:
        event = Event.of({"detail-type": kind, "detail": detail})
        known = self.purchases.get(event.order_id, Purchase())
        terms = Terms(**self.terms[event.terms.application_id])
        now, outcome = release(known, event, terms)
        if event.event_id in self.known or outcome == OVERTAKEN:
            return
        self.known.add(event.event_id)
        self.purchases[event.order_id] = now
        self.released[event.order_id] = now.released
        self.notices.setdefault(payment["order_id"], []).append(event.event_id)
