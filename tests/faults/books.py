"""The books of all sides once everything has come to rest: Razorpay's ledger, the API, the bus and the inboxes.

The oracle (`tests/oracle`) says from Razorpay's ledger alone what GET must show and what must be told of each order.
Beside it: one event has one wording, the money in it is Razorpay's, the last one says what GET says, and each
subscriber has noted each event once.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sandbox import development
from tests.oracle.books import HandedOut, Outside, Settings, read_ledger
from tests.oracle.expect import expected_orders
from tests.oracle.judge import judge_order, read_event

SUBSCRIPTIONS: Final[Mapping[str, frozenset[str]]] = {
    "job": frozenset({"payment.paid"}),
    "application": frozenset({"payment.paid"}),
    "notification": frozenset({"payment.paid", "payment.failed", "payment.refunded", "payment.surplus_refunded"}),
}
"""Which events the rule of each subscriber lets through."""
_DROPS_OVERTAKEN: Final = "notification"
"""Hears of several kinds of event, and ignores what a newer one has overtaken (docs/events, "Drop what is older")."""

type Entity = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Published:
    """One event as the bus delivered it."""

    type: str
    detail: Mapping[str, Any]

    @property
    def id(self) -> str:
        identity: str = self.detail["event_id"]
        return identity

    @property
    def order_id(self) -> str:
        order_id: str = self.detail["payment"]["order_id"]
        return order_id

    @property
    def version(self) -> int:
        version: int = self.detail["version"]
        return version

    def __str__(self) -> str:
        return f"{self.order_id}: {self.type} (version {self.version})"


@dataclass(frozen=True, slots=True)
class Account:
    """What Razorpay and the clients have of one client."""

    ledger: Mapping[str, list[Entity]]
    """`orders`, `payments` and `refunds`, as Razorpay's API prints them."""
    handed_out: list[HandedOut]
    """What create-order answered, in that order."""

    @property
    def order_ids(self) -> list[str]:
        return [order["id"] for order in self.ledger["orders"]]


def accounts_of(document: Mapping[str, Sequence[Entity]], handed_out: Iterable[HandedOut]) -> dict[int, Account]:
    """The stand-in's ledger by client; every order's notes name its client."""
    client = {order["id"]: int(order["notes"]["client_id"]) for order in document["orders"] if order["notes"]}
    order_of = {payment["id"]: payment["order_id"] for payment in document["payments"]}
    order_of |= {order["id"]: order["id"] for order in document["orders"]}
    found = {one: Account({"orders": [], "payments": [], "refunds": []}, []) for one in client.values()}
    for kind in ("orders", "payments", "refunds"):
        for entity in document[kind]:
            order_id = order_of[entity["payment_id" if kind == "refunds" else "id"]]
            if order_id in client:
                found[client[order_id]].ledger[kind].append(entity)
    for handed in handed_out:
        found[handed.client_id].handed_out.append(handed)
    return found


def complaints(account: Account, shown: Mapping[str, Entity | None], published: Iterable[Published]) -> Iterator[str]:
    """What differs between Razorpay's books of a client, what GET shows of the client's orders, and the bus.

    Args:
        account: of the client.
        shown: what GET answered, by order id; None where it knew none.
        published: every event about the client's orders, repetitions included.
    """
    told: defaultdict[str, dict[str, Published]] = defaultdict(dict)
    for event in published:
        known = told[event.order_id].setdefault(event.id, event)
        if known != event:
            yield f"{event} was published in two wordings"
    marks = {order["notes"]["installation"] for order in account.ledger["orders"]}
    assert len(marks) == 1, f"orders of {len(marks)} installations"
    settings = Settings(stage=development.STAGE, installation=marks.pop())
    outside = Outside(handed_out=account.handed_out)
    for order_id, expected in expected_orders(read_ledger(account.ledger), outside, settings).items():
        events = list(told.pop(order_id, {}).values())
        judged = [read_event(event.type, event.detail)[1] for event in events]
        yield from judge_order(expected, shown[order_id], judged)[1]
        for event in events:
            yield from _wrong_money(event, account.ledger)
        yield from _last_word(events, shown[order_id])
    yield from (f"{event} is about an order that is not ours" for events in told.values() for event in events.values())


def _wrong_money(event: Published, ledger: Mapping[str, Sequence[Entity]]) -> Iterator[str]:
    payment, refund = event.detail["payment"], event.detail.get("refund")
    order = next(one for one in ledger["orders"] if one["id"] == event.order_id)
    if (payment["amount"], payment["currency"]) != (order["amount"], order["currency"]):
        yield f"{event} says {payment['amount']} {payment['currency']}"
    paid = {one["id"] for one in ledger["payments"] if one["order_id"] == event.order_id}
    if payment["razorpay_payment_id"] not in {None, *paid}:
        yield f"{event} names a payment that Razorpay does not know"
    amounts = {one["id"]: one["amount"] for one in ledger["refunds"]}
    if refund is not None and amounts.get(refund["id"]) != refund["amount"]:
        yield f"{event} says {refund['amount']} were paid back"


def _last_word(events: Sequence[Published], shown: Entity | None) -> Iterator[str]:
    """Of one change that says two things, either."""
    if not events or shown is None:
        return
    last = max(events, key=lambda event: event.version)
    said = last.detail["payment"]
    for name in ("status", "amount_refunded"):
        if said[name] != shown[name]:
            yield f"{last} says {name} {said[name]}, GET {shown[name]}"


@dataclass(slots=True)
class Inbox:
    """What one subscriber should have noted, and has."""

    differing: list[str]
    overtaken: int
    """Events that it rightly dropped, having noted a newer one of the same order."""


def check_inbox(subscriber: str, notes: Sequence[Entity], published: Sequence[Published]) -> Inbox:
    """Each event that its rule lets through is noted once, as the bus said it."""
    events = {event.id: event for event in published if event.type in SUBSCRIPTIONS[subscriber]}
    noted = Counter(str(note["event_id"]) for note in notes)
    found = Inbox([f"{subscriber} noted {key} {count} times" for key, count in noted.items() if count > 1], 0)
    newest: Counter[str] = Counter()
    for note in notes:
        newest[str(note["order_id"])] = max(newest[str(note["order_id"])], int(note["version"]))
        event = events.get(str(note["event_id"]))
        if event is None:
            found.differing.append(f"{subscriber} noted {note['event_id']}, which was not published")
        elif (said := _to_note(event)) != {name: note[name] for name in said}:
            found.differing.append(f"{subscriber} noted something else than {json.dumps(said)}")
    for key in sorted(events.keys() - noted.keys()):
        event = events[key]
        if subscriber == _DROPS_OVERTAKEN and event.version < newest[event.order_id]:
            found.overtaken += 1
        else:
            found.differing.append(f"{subscriber} never noted {event}")
    return found


def _to_note(event: Published) -> dict[str, Any]:
    payment = event.detail["payment"]
    return {
        "detail_type": event.type,
        "version": event.version,
        **{name: payment[name] for name in ("order_id", "payment_id", "razorpay_payment_id", "status")},
    }
