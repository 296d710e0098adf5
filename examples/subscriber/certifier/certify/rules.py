"""What a subscriber must have done, by what it received: docs/consuming.md of the payment service, as checks.

Each takes the events in the order of their arrival, copies included, and returns what is wrong; nothing if all is well.
"""

from collections import Counter
from collections.abc import Iterator, Sequence

from certify.histories import Event
from certify.subject import Outcome

_ABOUT_THE_STATUS = frozenset({"payment.paid", "payment.failed", "payment.refunded", "payment.expired"})
_MONEY_STAYS = frozenset({"won", "closed"})


def broken(received: Sequence[Event], seen: Outcome, *, as_agreed: bool) -> Iterator[str]:
    """Check an outcome.

    Args:
        received: the events so far.
        seen: what the subscriber did.
        as_agreed: whether the payment has the subscriber's own terms.
    """
    if not received:
        return
    if seen.released is not None:
        yield from _released(received, released=seen.released, as_agreed=as_agreed)
    if seen.notices is not None:
        yield from _notices(received, seen.notices)


def _released(received: Sequence[Event], *, released: bool, as_agreed: bool) -> Iterator[str]:
    types = {event.type for event in received}
    latest = max(received, key=lambda event: event.version)
    if released and not as_agreed:
        yield "the work is released, and the payment has not the agreed terms"
    elif released and not types & {"payment.paid", "payment.partially_refunded"}:
        yield "the work is released, and no event says that it was paid"
    elif released and latest.status == "refunded":
        yield f"the work is released, and {latest} says that the money is gone"
    # Whether a dispute stops the work is the subscriber's choice.
    elif not released and as_agreed and "payment.paid" in types and latest.status == "paid" and not _disputed(received):
        yield "the work is not released, although it is paid as agreed"


def _disputed(received: Sequence[Event]) -> bool:
    latest: dict[str, Event] = {}
    for event in received:
        if "dispute" in event.detail and event.type == "payment.dispute_changed":
            known = latest.setdefault(event.detail["dispute"]["id"], event)
            if event.version > known.version:
                latest[event.detail["dispute"]["id"]] = event
    return any(event.detail["dispute"]["state"] not in _MONEY_STAYS for event in latest.values())


def _notices(received: Sequence[Event], notices: Sequence[str]) -> Iterator[str]:
    by_id = {event.id: event for event in received}
    told = Counter(notices)
    for identity, times in told.items():
        if identity not in by_id:
            yield f"it told of an event that it never received: {identity}"
        elif times > 1:
            yield f"it told {times} times of one event: {by_id[identity]}"
    before: list[Event] = []
    for event in received:
        if event.id in {earlier.id for earlier in before}:
            continue
        newer = [earlier for earlier in before if earlier.version > event.version]
        before.append(event)
        latest = max(newer, key=lambda one: one.version, default=event)
        if event.type in _ABOUT_THE_STATUS and newer:
            # It may tell of it or not, unless that is wrong by now.
            if event.id in told and latest.status != event.status:
                yield f"it told of what is no longer true: {event}; it had received {latest}"
        elif event.id not in told:
            yield f"it did not tell of {event}"
