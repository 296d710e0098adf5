"""Compares what was seen with what is expected. Each complaint is a sentence; no complaints means that all is well."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final

from tests.oracle.books import Settings
from tests.oracle.expect import Expected, Key, Next, Outcome, View, verify_answers

_ONCE: Final = frozenset({"payment.paid", "payment.refunded", "payment.expired"})
"""Detail types whose subject is the order."""


@dataclass(frozen=True, slots=True)
class Told:
    """An event on the bus: its identity, and when it was recorded."""

    key: Key
    occurred_at: int


def read_event(detail_type: str, detail: Mapping[str, Any]) -> tuple[str, Told]:
    """The order id and content of an event, from the bytes that consumers get."""
    payment, review = detail["payment"], detail.get("review")
    named = detail.get("refund") or detail.get("dispute")
    order_id: str = payment["order_id"]
    subject = order_id
    if detail_type not in _ONCE:
        subject = named["id"] if named is not None else payment["razorpay_payment_id"] or order_id
    reason, state = "", ""
    if review is not None:
        reason, state = review["reason"], review["state"]
    elif detail_type == "payment.dispute_changed":
        reason, state = detail["dispute"]["phase"], detail["dispute"]["state"]
    at = int(datetime.fromisoformat(detail["occurred_at"]).timestamp())
    return order_id, Told(Key(detail_type, subject, reason, state), at)


def judge_order(
    expected: Expected, shown: Mapping[str, Any] | None, told: Sequence[Told]
) -> tuple[Outcome | None, list[str]]:
    """Compares one order with what was seen of it.

    Args:
        expected: what must be visible.
        shown: GET's response to its client; None for a 404.
        told: its events on the bus, each once, in the order of their publication.

    Returns:
        The outcome that was seen, or None if it was not expected; and every complaint.
    """
    order_id = expected.order.id
    if shown is None:
        if expected.known:
            return None, [f"{order_id}: GET does not know it"]
        return expected.outcomes[0], [f"{order_id}: GET does not know it, and there are events"] if told else []
    fitting = [outcome for outcome in expected.outcomes if _fits(outcome.view, shown)]
    if not fitting:
        seen = {name: shown.get(name) for name in asdict(expected.outcomes[0].view)}
        wanted = list(dict.fromkeys(str(asdict(outcome.view)) for outcome in expected.outcomes))
        return None, [f"{order_id}: GET says {seen}, the books {' or '.join(wanted)}", *_least(expected.outcomes, told)]
    judged = [(outcome, _judge_events(outcome, told)) for outcome in fitting]
    outcome, complaints = min(judged, key=lambda one: len(one[1]))
    return outcome, [f"{order_id}: {complaint}" for complaint in (*expected.complaints, *complaints)]


def judge_verify(
    expected: Expected, outcome: Outcome, payment_id: str, answer: tuple[int, str | None], settings: Settings
) -> list[str]:
    """Compares verify's response to a genuine proof."""
    allowed = verify_answers(expected, outcome, payment_id, settings)
    if answer in allowed:
        return []
    return [f"{expected.order.id}: verify answered {answer} for {payment_id}, expected {sorted(allowed, key=str)}"]


def judge_next(allowed: Iterable[Next], answer: Next, known: frozenset[str], what: str) -> list[str]:
    """Compares create-order's response.

    Args:
        allowed: the responses it may return.
        answer: its response, with the order id or None.
        known: the orders that existed before.
        what: the request, for the complaint.
    """
    allowed = list(allowed)
    seen = answer
    if answer.status == 201:
        if answer.order_id in known:
            return [f"{what}: a new order has the id of an old one, {answer.order_id}"]
        seen = Next(201)
    if seen in allowed:
        return []
    return [f"{what}: create-order answered {tuple(seen)}, expected {[tuple(one) for one in allowed]}"]


def _fits(view: View, shown: Mapping[str, Any]) -> bool:
    return all(shown[name] == wanted for name, wanted in asdict(view).items())


def _least(outcomes: Sequence[Outcome], told: Sequence[Told]) -> list[str]:
    return min((_judge_events(outcome, told) for outcome in outcomes), key=len)


def _judge_events(outcome: Outcome, told: Sequence[Told]) -> list[str]:
    events = outcome.events
    seen: dict[Key, int] = {}
    complaints = []
    for one in told:
        # These two alternate, and each time is told (webhooks/disputes.md).
        if one.key in seen and one.key.state not in {"under_review", "action_required"}:
            complaints.append(f"{_named(one.key)} was told under two ids")
        seen.setdefault(one.key, one.occurred_at)
    allowed = events.must | events.may | frozenset(key for group in events.groups for key in group.keys)
    complaints += [f"{_named(key)} was told, and must not be" for key in seen if key not in allowed]
    complaints += [f"{_named(key)} was never told" for key in sorted(events.must) if key not in seen]
    for group in events.groups:
        number = len(group.keys & seen.keys())
        if not group.least <= number <= group.most:
            complaints.append(f"{group.what} was told {number} times, expected {group.least} to {group.most}")
    complaints += [
        f"{_named(first)} was told, and not {_named(second)}"
        for first, second in events.follows
        if first in seen and second not in seen
    ]
    complaints += [
        f"{_named(key)} was recorded {seen[key] - limit} s too late to be told"
        for key, limit in events.before.items()
        if key in seen and seen[key] >= limit
    ]
    return complaints


def _named(key: Key) -> str:
    return " ".join(part for part in key if part)
