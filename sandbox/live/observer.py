"""Observe the newest payments repeatedly while anyone is watching."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, Protocol

from sandbox.live import timeline
from sandbox.live.board import Board
from sandbox.live.sides import PAGE, OutOfReach
from sandbox.live.timeline import SUBSCRIBERS, Sources

NEWEST: Final = 50
"""How many payments are observed and shown."""
NOTES_SHOWN: Final = 30
"""How many notes of each inbox are shown, newest first."""
SHORTEST_PAUSE_S: Final = 0.5
PAUSE_PER_LOOK: Final = 4
"""Pause four times as long as a look took, so that at most a fifth of the time is spent looking."""
EVENTS_AGAIN: Final = 500
"""How many of the stand-in's last events are read again for new deliveries: more than the payments shown have."""

_log = logging.getLogger("sandbox.live")


class Cloud(Protocol):
    """`sides.Cloud`, or a fake of it."""

    def newest(self, count: int) -> list[dict[str, Any]]:
        """Return the records of the newest orders."""
        ...

    def notes(self) -> dict[str, list[dict[str, Any]]]:
        """Return what each subscriber has stored."""
        ...


class StandIn(Protocol):
    """`sides.StandIn`, or a fake of it."""

    def events(self, after: int) -> tuple[list[dict[str, Any]], int]:
        """Return a page of webhook events, and the position after it."""
        ...

    def books(self, order_id: str) -> dict[str, Any]:
        """Return the payments and refunds of an order."""
        ...


class Eyes:
    """Reads all sides once and returns what they show. Blocking; one read at a time.

    If a side does not respond, it is reported as away and its last state stays visible.

    Args:
        cloud: the payments table and the inboxes.
        stand_in: the stand-in for Razorpay; None if Razorpay itself is used, which cannot be observed.
    """

    def __init__(self, cloud: Cloud, stand_in: StandIn | None) -> None:
        self._cloud = cloud
        self._stand_in = stand_in
        self._records: list[dict[str, Any]] = []
        self._notes: dict[str, list[dict[str, Any]]] = {subscriber: [] for subscriber in SUBSCRIBERS}
        self._events: dict[str, dict[str, Any]] = {}
        self._tail: list[str] = []
        self._next = 0
        self._books: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {}

    def look(self) -> dict[str, Any]:
        """Return the parts of the board.

        `payments` (order ids, newest first), `payment/<order id>`, `inbox/<subscriber>` and `away` (what is, and why).
        """
        problems = [
            self._try(self._look_at_records),
            self._try(self._look_at_inboxes),
            self._try(self._look_at_stand_in),
        ]
        away = [problem for problem in problems if problem is not None]
        payments = {str(record["order_id"]): timeline.payment(self._sources(record)) for record in self._records}
        return {
            "away": away,
            "payments": list(payments),
            **{f"payment/{order_id}": payment for order_id, payment in payments.items()},
            **{f"inbox/{subscriber}": _inbox(self._notes.get(subscriber, [])) for subscriber in SUBSCRIBERS},
        }

    def _try(self, look: Callable[[], None]) -> str | None:
        """Return why the last read failed, or None if it did not."""
        try:
            look()
        except OutOfReach as error:
            return f"{error} Its last known state is shown."
        return None

    def _look_at_records(self) -> None:
        self._records = self._cloud.newest(NEWEST)

    def _look_at_inboxes(self) -> None:
        self._notes = self._cloud.notes()

    def _look_at_stand_in(self) -> None:
        if self._stand_in is not None:
            self._look_at_events(self._stand_in)
            self._look_at_books(self._stand_in)

    def _look_at_events(self, stand_in: StandIn) -> None:
        after = self._next - len(self._tail)
        events = _all_events(stand_in, after)
        if self._tail and [str(event["event_id"]) for event in events[:1]] != self._tail[:1]:
            # A different account: the stand-in was reset or restarted.
            self._events.clear()
            self._books.clear()
            after = 0
            events = _all_events(stand_in, after)
        self._next = after + len(events)
        self._tail = [str(event["event_id"]) for event in events[-EVENTS_AGAIN:]]
        shown = {str(record["order_id"]) for record in self._records}
        self._events |= {str(event["event_id"]): event for event in events}
        self._events = {key: event for key, event in self._events.items() if event["order_id"] in shown}

    def _look_at_books(self, stand_in: StandIn) -> None:
        """Nothing happens to an order at Razorpay without an event, so read its data only after new events."""
        for record in self._records:
            order_id = str(record["order_id"])
            told = tuple(key for key, event in self._events.items() if event["order_id"] == order_id)
            known = self._books.get(order_id, ((), {}))[0]
            if told != known:
                self._books[order_id] = (told, stand_in.books(order_id))
        shown = {str(record["order_id"]) for record in self._records}
        self._books = {order_id: books for order_id, books in self._books.items() if order_id in shown}

    def _sources(self, record: Mapping[str, Any]) -> Sources:
        order_id = str(record["order_id"])
        books = self._books.get(order_id, ((), {}))[1]
        return Sources(
            record=record,
            deliveries=[event for event in self._events.values() if event["order_id"] == order_id],
            payments=books.get("payments", ()),
            refunds=books.get("refunds", ()),
            notes={
                subscriber: [note for note in notes if note["order_id"] == order_id]
                for subscriber, notes in self._notes.items()
            },
        )


class Observer:
    """Updates the board while anyone is watching. Used on one event loop.

    Args:
        look: reads the sides once, in a separate thread, and returns the parts.
        board: where the parts go.
    """

    def __init__(self, look: Callable[[], dict[str, Any]], board: Board) -> None:
        self._look = look
        self._board = board
        self._watchers = 0
        self._looking: asyncio.Task[None] | None = None

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Count one more watcher while the context is open."""
        self._watchers += 1
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look_on())
        try:
            yield
        finally:
            self._watchers -= 1

    async def _look_on(self) -> None:
        """Look while anyone is watching, and stop soon after the last watcher has gone."""
        while self._watchers:
            begun = time.monotonic()
            try:
                parts = await asyncio.to_thread(self._look)
            except Exception:  # noqa: BLE001 - the one boundary: watchers are told, and the next look may succeed
                _log.exception("the live view could not look")
                self._board.put({"away": ["The live view itself failed; see the shop's log."]})
            else:
                self._board.put(parts)
                self._board.forget([name for name in self._board.names() if "payment/" in name and name not in parts])
            await asyncio.sleep(pause_s(time.monotonic() - begun))


def pause_s(look_s: float) -> float:
    """Return how long to pause after a look that took this long, in seconds."""
    return max(SHORTEST_PAUSE_S, PAUSE_PER_LOOK * look_s)


def _all_events(stand_in: StandIn, after: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while True:
        events, behind = stand_in.events(after + len(found))
        found += events
        if len(events) < PAGE or behind <= after:
            return found


def _inbox(notes: list[dict[str, Any]]) -> dict[str, Any]:
    """Return one subscriber's inbox: the number of notes, and the newest of them."""
    newest = sorted(notes, key=lambda note: (timeline.noted_at(note), int(note["payment_id"])), reverse=True)
    return {
        "count": len(notes),
        "notes": [
            {
                "event_id": str(note["event_id"]),
                "detail_type": str(note["detail_type"]),
                "order_id": str(note["order_id"]),
                "version": int(note["version"]),
                "at": timeline.noted_at(note),
            }
            for note in newest[:NOTES_SHOWN]
        ],
    }
