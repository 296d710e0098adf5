"""The histories of one order's events for the certifier, from the model of reachability.

Each is the events of one way through the model, as they are published. Ways whose events look alike to a consumer are
one history, and one that another begins with is left out: the certifier delivers every part of a history anyway.

`python -m tests.subscribers.histories` writes the file; a test compares it with the model.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from payments.core.events import encode
from payments.core.expiry import expire
from payments.core.model import Record
from payments.core.transitions import decide, supersede
from tests.core.story import OPENED, OTHER_ORDER_ID, opened
from tests.faults.reachability import (
    DISPUTES,
    EXACT,
    EXPIRIES,
    FAILED,
    LOST,
    OPENED_BY_BANK,
    PROCESSED,
    REFUNDS,
    SHORT,
    WON,
    State,
    World,
    agrees,
    canonical,
    judge,
    may_be_superseded,
    moves,
    observed,
)

FILE: Final = Path(__file__).parents[2] / "examples/subscriber/certifier/certify/histories.json"
LONGEST: Final = 5
"""Events of a history. Longer ones repeat what pairs and triples of these show already."""

# Signatures and authorizations publish nothing, so they are left out.
WORLDS: Final = (
    World(
        name="one payment",
        payments=1,
        moves=tuple(
            moves(1, ["failed"], [EXACT], [(0, 1, FAILED), (0, 1, PROCESSED), (1, 1, PROCESSED), (1, 2, PROCESSED)])
        ),
    ),
    World(
        name="one payment, accepted or disputed",
        payments=1,
        moves=tuple(
            moves(1, ["accepted"], [EXACT, SHORT], [(0, 1, PROCESSED)], [(OPENED_BY_BANK, 0), (WON, 0), (LOST, 2)])
        ),
    ),
    World(name="two payments", payments=2, moves=tuple(moves(2, ["failed"], [EXACT], [(0, 2, PROCESSED)]))),
)

type Event = dict[str, Any]


class Way(NamedTuple):
    """A record and the events on the way to it."""

    record: Record
    state: State
    events: tuple[Event, ...]


def histories() -> list[list[Event]]:
    """Every history of the worlds, in an order that does not change."""
    found: dict[tuple[str, ...], tuple[Event, ...]] = {}
    for world in WORLDS:
        for way in ways(world):
            found.setdefault(look(way.events), way.events)
    begun = {looks[:length] for looks in found for length in range(len(looks))}
    return [list(found[looks]) for looks in sorted(found, key=lambda looks: (len(looks), looks)) if looks not in begun]


def ways(world: World) -> Iterator[Way]:
    """Every way through a world that a consumer can tell from the others."""
    start = opened()
    waiting = [Way(start, observed(start, world.payments), ())]
    seen = set[tuple[State, tuple[str, ...]]]()
    while waiting:
        way = waiting.pop()
        for after in steps(world, way):
            key = canonical(after.state), look(after.events)
            if key in seen or len(after.events) > LONGEST:
                continue
            seen.add(key)
            waiting.append(after)
            yield after


def steps(world: World, way: Way) -> Iterator[Way]:
    """What may happen next."""
    judged = judge(way.state)
    now = OPENED + 60 * (way.record.version + 1)
    for move in world.moves:
        if agrees(way.state, judged, move):
            decision = decide(way.record, move.facts, now)
            if decision.changed:
                yield reached(world, way, decision.record, decision.recorded)
    if may_be_superseded(way.state, judged):
        after = supersede(way.record, OTHER_ORDER_ID, now)
        yield reached(world, way, after, ())
    for at in EXPIRIES.values():
        decision = expire(way.record, at)
        if decision.changed:
            yield reached(world, way, decision.record, decision.recorded)


def reached(world: World, way: Way, record: Record, recorded: Iterable[str]) -> Way:
    published = [
        {
            "detail-type": record.pending[key].type,
            "detail": json.loads(whole(encode(record, key, record.pending[key]))),
        }
        for key in sorted(recorded)
    ]
    return Way(record, observed(record, world.payments), (*way.events, *published))


def whole(detail: str) -> str:
    """The model's short names as long as Razorpay's ids."""
    for name in (*DISPUTES, *(refund for refunds in REFUNDS for refund in refunds)):
        prefix, _, own = name.partition("_")
        detail = detail.replace(f'"{name}"', f'"{prefix}_{own:0<14}"')
    return detail


def look(events: tuple[Event, ...]) -> tuple[str, ...]:
    """How the events look to a consumer: without the number of a version, and with names in the order of appearance."""
    names: dict[str, str] = {}
    versions: dict[int, int] = {}

    def name(identity: str | None) -> str:
        return names.setdefault(identity, f"#{len(names)}") if identity else ""

    def one(event: Mapping[str, Any]) -> str:
        detail = event["detail"]
        payment = detail["payment"]
        dispute, review, refund = (detail.get(part) or {} for part in ("dispute", "review", "refund"))
        parts = (
            event["detail-type"],
            versions.setdefault(detail["version"], len(versions)),
            payment["status"],
            payment["amount_refunded"],
            payment["amount_disputed"],
            name(payment["razorpay_payment_id"]),
            name(refund.get("id")),
            name(dispute.get("id")),
            dispute.get("state", ""),
            *review.values(),
        )
        return " ".join(map(str, parts))

    return tuple(map(one, events))


def written(found: list[list[Event]]) -> str:
    """The file: every event once, one a line, and the histories as places in that list."""
    places: dict[str, int] = {}
    told = [
        [places.setdefault(json.dumps(event, separators=(",", ":")), len(places)) for event in history]
        for history in found
    ]
    return f'{{"events": [\n{",\n".join(places)}\n],\n"histories": {json.dumps(told, separators=(",", ":"))}}}\n'


if __name__ == "__main__":
    FILE.write_text(written(histories()), encoding="utf-8")
