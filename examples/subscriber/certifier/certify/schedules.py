"""The ways in which the events of a history may arrive.

EventBridge and SQS promise at least one delivery and no order. So a schedule is any sequence of deliveries: every
order, copies, events that are missing for good or until they are replayed from the archive, alone or in one batch.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import permutations, product

from certify.histories import History


@dataclass(frozen=True, slots=True)
class Delivery:
    """One batch."""

    events: tuple[int, ...]
    """Places in the history."""
    replayed: bool = False
    """From the archive."""


type Schedule = tuple[Delivery, ...]


@dataclass(frozen=True, slots=True)
class Case:
    """A history, how it arrives, and whether it has the subscriber's own terms."""

    history: History
    schedule: Schedule
    as_agreed: bool = True

    def __len__(self) -> int:
        """Return the number of delivered messages."""
        return sum(len(delivery.events) for delivery in self.schedule)

    def look(self) -> tuple[object, ...]:
        """Return what the subscriber can tell it by: cases of different histories may look alike."""
        received = [self.history[place] for delivery in self.schedule for place in delivery.events]
        ranks = {version: rank for rank, version in enumerate(sorted({event.version for event in received}))}
        names: dict[str, int] = {}
        seen = [
            (
                event.type,
                event.status,
                ranks[event.version],
                *(
                    names.setdefault(identity, len(names)) if identity else -1
                    for identity in (
                        event.id,
                        event.detail["payment"]["razorpay_payment_id"],
                        event.detail.get("refund", {}).get("id"),
                        event.detail.get("dispute", {}).get("id"),
                    )
                ),
                event.detail.get("dispute", {}).get("state"),
                *event.detail.get("review", {}).values(),
            )
            for event in received
        ]
        batches = tuple((len(delivery.events), delivery.replayed) for delivery in self.schedule)
        return (self.as_agreed, batches, *seen)


def singly(places: tuple[int, ...]) -> Schedule:
    """Return a schedule with one message a batch."""
    return tuple(Delivery((place,)) for place in places)


def short(history: History, length: int) -> Iterator[Case]:
    """Return every sequence of this many deliveries: all orders, copies and gaps."""
    for places in product(range(len(history)), repeat=length):
        yield Case(history, singly(places))
        yield Case(history, singly(places), as_agreed=False)


def long(history: History) -> Iterator[Case]:
    """Return every order of a whole history: with a copy anywhere, with a gap that a replay fills, in one batch."""
    whole = tuple(range(len(history)))
    replay = tuple(Delivery((place,), replayed=True) for place in whole)
    for order in permutations(whole):
        for as_agreed in (True, False):
            yield Case(history, singly(order), as_agreed)
        yield Case(history, (Delivery(order),))
        for received in range(len(order) + 1):
            yield Case(history, singly(order[:received]) + replay)
        for place in range(len(order)):
            for again in range(place + 1, len(order) + 1):
                repeated = (*order[:again], order[place], *order[again:])
                yield Case(history, singly(repeated))
                yield Case(history, (Delivery(repeated),))
