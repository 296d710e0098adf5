"""Assemble one payment's story from what each side knows: the record, the stand-in's books, the inboxes. Pure.

The sources have different resolutions. The stand-in records webhooks and deliveries to the millisecond; the record, the
stand-in's books and the inboxes to the second. So an entry known only to the second is moved forward within that
second, to just after its cause. Without a known cause it stays at the start of its second.

The result contains no personal data, signature or secret: only what is named here is copied.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Literal

Kind = Literal["order", "attempt", "verify", "delivery", "status", "event", "inbox", "refund", "review"]
"""What an entry is about."""
Mood = Literal["good", "bad", "wait", "look", "plain"]
"""How it went: well, badly, not over yet, needs a person, or none of these."""

SUBSCRIBERS: Final = ("job", "application", "notification")
_UNHEARD: Final[Mapping[str, str]] = {
    "payment.partially_refunded": "none of the services here subscribes",
    "payment.refund_failed": "none of the services here subscribes",
    # template.yaml, ReviewRule and DisputeRule
    "payment.review": "for the operators, in the review queue",
    "payment.dispute_changed": "for the operators, in the review queue where an answer is wanted",
    "payment.expired": "none of the services here subscribes",
}
"""Events that none of them subscribes to, and who receives them instead."""

# A delivery whose event reports one of these facts may have caused the change that records it.
_GIVES: Final[Mapping[str, tuple[str, ...]]] = {
    "authorized": ("payment.authorized",),
    "captured": ("payment.captured", "order.paid"),
    "failed": ("payment.failed",),
    "refund created": ("refund.created",),
    "refund failed": ("refund.failed",),
    "refund processed": ("refund.processed",),
    "dispute open": ("payment.dispute.created",),
    "dispute under_review": ("payment.dispute.under_review",),
    "dispute action_required": ("payment.dispute.action_required",),
    "dispute closed": ("payment.dispute.closed",),
    "dispute won": ("payment.dispute.won",),
    "dispute lost": ("payment.dispute.lost",),
}
_FACT: Final = re.compile(
    r"(?P<fact>signed|authorized|never captured|captured|failed|accepted|released"
    r"|refund created|refund failed|refund processed"
    r"|refund requested again|refund requested|refund not taken|refund refused"
    r"|dispute open|dispute under_review|dispute action_required|dispute closed|dispute won|dispute lost) "
    r"(?P<subject>(?:pay|rfnd|disp)_[A-Za-z0-9]{14})"
)
_FACT_WORDS: Final[Mapping[str, str]] = {
    "authorized": "authorised",
    "captured": "captured",
    "never captured": "never captured, for as long as Razorpay was asked",
    "failed": "failed",
    "accepted": "accepted by an operator",
    "released": "released by an operator",
    "refund created": "refund begun",
    "refund failed": "refund failed",
    "refund processed": "refunded",
    "refund requested": "refund requested through the API",
    "refund requested again": "refund requested of Razorpay again",
    "refund not taken": "refund not considered by Razorpay",
    "refund refused": "refund refused by Razorpay",
    "dispute open": "disputed by the customer's bank",
    "dispute under_review": "the bank reviews the evidence",
    "dispute action_required": "the evidence is insufficient",
    "dispute closed": "the dispute is closed",
    "dispute won": "the dispute is won",
    "dispute lost": "the dispute is lost",
}
_STATUS_MOODS: Final[Mapping[str, Mood]] = {
    "unknown": "look",
    "created": "plain",
    "authorized": "wait",
    "paid": "good",
    "failed": "bad",
    "refunded": "plain",
}
_REVIEWS: Final[Mapping[str, str]] = {
    "duplicate_capture": "A second payment was captured on an order that was paid already.",
    "amount_mismatch": "Razorpay captured another amount than agreed.",
    "currency_mismatch": "Razorpay captured another currency than agreed.",
    "superseded_order": "An order was paid that had been superseded by a newer one.",
    "expired_order": "An order was paid that had expired.",
    "over_refunded": "More was paid back than was captured.",
    "refund_reversed": "A refund that was processed was reported as failed afterwards.",
    "refund_total_differs": "Razorpay's total of the refunds differs from the refunds it lists.",
    "too_many_attempts": "There were more attempts than are stored.",
    "too_many_orders": "The application has reached its limit of orders.",
    "never_captured": "The money was held and never captured.",
    "refund_in_doubt": "Razorpay has not said whether a requested refund exists.",
    "dispute_lost": "The client's bank took the money back.",
    "too_many_disputes": "There were more disputes than are kept.",
}
_RESOLUTIONS: Final[Mapping[str, str]] = {
    "returned": "The money was paid back.",
    "accepted": "An operator accepted the payment.",
    "captured": "The payment was captured after all.",
    "agreed": "The sums agree again.",
    "matched": "The payment turned out to be as agreed.",
    "released": "An operator released it.",
    "known": "Razorpay has answered.",
}
_ATTEMPT_STATES: Final[Mapping[str, tuple[str, Mood]]] = {
    "created": ("begun", "wait"),
    "authorized": ("authorised, not captured", "wait"),
    "captured": ("captured", "good"),
    "failed": ("failed", "bad"),
    "refunded": ("captured, and paid back", "good"),
}
_OUTCOMES: Final[Mapping[str, str]] = {
    "timeout": "no answer in time",
    "unreachable": "not reachable",
    "lost": "lost on the way",
    "ignored": "accepted, but the response was lost",
}
_WAITING: Final[Mapping[str, tuple[str, Mood]]] = {
    "pending": ("on its way", "wait"),
    "held": ("held back", "wait"),
    "dropped": ("dropped, never sent", "bad"),
    "not_sent": ("not sent: Razorpay has nowhere to send it", "bad"),
}
# Causes before their effects, where the clocks cannot tell.
_RANKS: Final[Mapping[Kind, int]] = {
    "order": 0,
    "attempt": 1,
    "refund": 2,
    "delivery": 3,
    "verify": 4,
    "status": 4,
    "review": 5,
    "event": 6,
    "inbox": 7,
}


@dataclass(frozen=True, slots=True)
class Sources:
    """What is known of one payment. Missing sources are empty; only the record is required.

    Attributes:
        record: the item of the payments table.
        deliveries: its webhook events with their attempts, as the stand-in's `GET /_control/events` shows them.
        payments: its payments, as the stand-in's ledger shows them.
        refunds: their refunds, as the stand-in's ledger shows them.
        notes: what each subscriber has noted about it: the items of its inbox, by the subscriber's name.
    """

    record: Mapping[str, Any]
    deliveries: Sequence[Mapping[str, Any]] = ()
    payments: Sequence[Mapping[str, Any]] = ()
    refunds: Sequence[Mapping[str, Any]] = ()
    notes: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)


@dataclass(slots=True)
class _Entry:
    """An entry under construction; `at` is in Unix seconds, and whole unless `exact` is set."""

    key: str
    kind: Kind
    at: float
    title: str
    mood: Mood = "plain"
    detail: str = ""
    exact: bool = False
    causes: list["_Entry"] = field(default_factory=list)
    follows: float = 0.0
    """Orders entries of the same moment and kind: a record's changes stay in the order of their versions."""

    def to_json(self) -> dict[str, Any]:
        return {
            "key": self.key,
            "kind": self.kind,
            "at": round(self.at, 3),
            "exact": self.exact,
            "title": self.title,
            "mood": self.mood,
            "detail": self.detail,
        }


def timeline(sources: Sources) -> list[dict[str, Any]]:
    """Return the entries of one payment, oldest first, causes before their effects.

    Each is `{key, kind, at, exact, title, mood, detail}`: a key that stays the same when the payment is looked at
    again, a `Kind`, the time in Unix seconds (only to the second unless `exact`), text for people, and a `Mood`.
    """
    deliveries = _deliveries(sources)
    attempts = _attempts(sources)
    refunds = _refunds(sources, attempts)
    changes = _changes(sources, [*attempts, *refunds], deliveries)
    reviews = _reviews(sources, changes)
    events = _events(sources, changes)
    inboxes = _inboxes(sources, events, changes, deliveries)
    # In this order every cause is placed before its effects.
    entries = [*attempts, *refunds, *deliveries, *changes, *reviews, *events, *inboxes]
    for entry in entries:
        _place(entry)
    entries.sort(key=lambda entry: (entry.at, _RANKS[entry.kind], entry.follows, entry.key))
    return [entry.to_json() for entry in entries]


def payment(sources: Sources) -> dict[str, Any]:
    """Return one payment as the live view shows it: the record's public fields, and the timeline.

    `{order_id, payment_id, status, confirmed, version, amount, currency, amount_refunded, amount_disputed,
    under_review, superseded_by, expired_at, created_at, updated_at, pending, reviews, timeline}`; amounts in minor
    units, times in Unix seconds, `pending` the number of events not sent yet, `reviews` the reasons of open reviews.
    """
    record = sources.record
    return {
        "order_id": str(record["order_id"]),
        "payment_id": None if "payment_id" not in record else int(record["payment_id"]),
        "status": str(record["status"]),
        "confirmed": bool(record["confirmed"]),
        "version": int(record["version"]),
        "amount": None if "amount" not in record else int(record["amount"]),
        "currency": str(record.get("currency", "INR")),
        "amount_refunded": _paid_back(record, record.get("stood")),
        "amount_disputed": _lost(record, record.get("stood")),
        "under_review": _is_under_review(record),
        "superseded_by": record.get("superseded_by"),
        "expired_at": None if "expired" not in record else int(record["expired"]),
        "created_at": _seconds(record["created_at"]),
        "updated_at": _seconds(record["updated_at"]),
        "pending": len(record["pending"]),
        "reviews": [str(review["reason"]) for review in record["review"] if "resolved_at" not in review],
        "timeline": timeline(sources),
    }


def _paid_back(record: Mapping[str, Any], payment_id: object) -> int:
    """Return how much of a payment was refunded, in minor units."""
    return sum(
        int(refund["amount"])
        for refund in record["refunds"].values()
        if refund["state"] == "processed" and refund["payment"] == payment_id
    )


def _lost(record: Mapping[str, Any], payment_id: object) -> int:
    """Return how much lost disputes took of a payment, in minor units."""
    return sum(
        int(dispute.get("deducted", 0))
        for dispute in record.get("disputes", {}).values()
        if dispute["payment"] == payment_id
        and dispute["currency"] == record["payments"].get(payment_id, {}).get("currency")
    )


def _is_under_review(record: Mapping[str, Any]) -> bool:
    """Return whether money is held that is not as agreed or was lost, as the API reports it (docs/openapi.yaml)."""
    if any(one["state"] == "lost" and not one.get("released") for one in record.get("disputes", {}).values()):
        return True
    holding = {
        key: known
        for key, known in record["payments"].items()
        if known.get("captured") and _paid_back(record, key) + _lost(record, key) < _enough(record, known)
    }
    stood = record.get("stood")
    return any(
        key != stood and not (stood in holding and (known.get("verdict") or known.get("accepted")))
        for key, known in holding.items()
    )


def _enough(record: Mapping[str, Any], known: Mapping[str, Any]) -> int:
    """Return how much must be refunded until a captured payment holds no money."""
    amount = int(known["amount"])
    return min(amount, int(record.get("amount", amount))) if known["currency"] == record.get("currency") else amount


# --- what happened at Razorpay --------------------------------------------------------------------------------------


def _attempts(sources: Sources) -> list[_Entry]:
    """Return the customer's attempts: from the stand-in's books or, without any, from the record."""
    entries = []
    told = {str(payment["id"]): payment for payment in sources.payments}
    for payment_id, known in sources.record["payments"].items():
        told.setdefault(str(payment_id), _as_payment(known))
    for payment_id, payment in told.items():
        words, mood = _ATTEMPT_STATES.get(str(payment.get("status")), (str(payment.get("status")), "plain"))
        method = payment.get("method")
        another_sum = _of_another_sum(sources.record, payment)
        at = [
            float(event["created_at"])
            for event in sources.deliveries
            if event["payment_id"] == payment_id and event["refund_id"] is None
        ]
        since = payment.get("created_at")
        entries.append(
            _Entry(
                key=f"attempt {payment_id}",
                kind="attempt",
                # A payment is reported the moment it happens.
                at=min(at) if at else float(since or _first_mention(sources.record, payment_id)),
                exact=bool(at),
                title=f"Payment {f'by {_method(method)} ' if method else ''}{words}",
                mood="look" if another_sum and mood == "good" else mood,
                detail=_joined(another_sum, _reason(payment.get("error_reason")), payment_id),
            )
        )
    return entries


def _as_payment(known: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the record knows about a payment, in the form of Razorpay's ledger."""
    status = next((state for state in ("captured", "failed", "authorized") if known.get(state)), "created")
    if status == "failed" and known.get("authorized"):
        status = "authorized"
    return {
        "status": status,
        "method": known.get("method"),
        "error_reason": known.get("reason"),
        "amount": known.get("amount"),
        "currency": known.get("currency"),
    }


def _refunds(sources: Sources, attempts: Sequence[_Entry]) -> list[_Entry]:
    entries = []
    told = {str(refund["id"]): refund for refund in sources.refunds}
    states = {"created": "pending"}
    for refund_id, known in sources.record["refunds"].items():
        status = states.get(str(known["state"]), str(known["state"]))
        told.setdefault(str(refund_id), {"amount": known["amount"], "status": status, "payment_id": known["payment"]})
    for refund_id, refund in told.items():
        status = str(refund["status"])
        at = [float(event["created_at"]) for event in sources.deliveries if event["refund_id"] == refund_id]
        since = refund.get("created_at")
        currency = str(refund.get("currency") or sources.record.get("currency", "INR"))
        entries.append(
            _Entry(
                key=f"refund {refund_id}",
                kind="refund",
                at=min(at) if at else float(since or _first_mention(sources.record, refund_id)),
                exact=bool(at),
                title=f"{money(int(refund['amount']), currency)} {status}",
                mood={"processed": "good", "failed": "bad"}.get(status, "wait"),  # type: ignore[arg-type]
                detail=refund_id,
                causes=[entry for entry in attempts if entry.key == f"attempt {refund.get('payment_id')}"],
            )
        )
    return entries


def _deliveries(sources: Sources) -> list[_Entry]:
    entries = []
    for place, event in enumerate(sources.deliveries):
        name, identity = str(event["event"]), str(event["event_id"])
        for number, attempt in enumerate(event["attempts"]):
            outcome, status = str(attempt["outcome"]), attempt["status"]
            words = _OUTCOMES.get(outcome) or f"answered {status}"
            again = "sent again" if attempt["extra"] else f"retry {number}" if number else ""
            taken = f"{attempt['duration_ms']} ms"
            entries.append(
                _Entry(
                    key=f"delivery {identity} {number}",
                    kind="delivery",
                    at=float(attempt["at"]),
                    exact=True,
                    title=f"{name} {words}",
                    mood="good" if outcome == "ok" else "wait" if outcome == "ignored" else "bad",
                    detail=_joined(again, taken, f"event {identity}"),
                    follows=place,
                )
            )
        if event["state"] in _WAITING and (not event["attempts"] or event["state"] != "pending"):
            words, mood = _WAITING[event["state"]]
            entries.append(
                _Entry(
                    key=f"delivery {identity} waiting",
                    kind="delivery",
                    at=float(event["created_at"]),
                    exact=True,
                    title=f"{name} {words}",
                    mood=mood,
                    detail=f"event {identity}",
                )
            )
        if event["state"] == "expired":
            last = event["attempts"][-1]["at"] if event["attempts"] else event["created_at"]
            entries.append(
                _Entry(
                    key=f"delivery {identity} expired",
                    kind="delivery",
                    at=float(last),
                    exact=True,
                    title=f"{name} given up",
                    mood="bad",
                    detail=f"event {identity}",
                )
            )
    return entries


# --- what the service did with it -----------------------------------------------------------------------------------


def _changes(sources: Sources, subjects: Sequence[_Entry], deliveries: Sequence[_Entry]) -> list[_Entry]:
    """Return the record's changes: after their subject, the delivery that may report it, and the previous change."""
    record = sources.record
    history = record["history"]
    by_key = {delivery.key: delivery for delivery in deliveries}
    about = {entry.key.partition(" ")[2]: entry for entry in subjects}
    entries: list[_Entry] = []
    before: str | None = None
    confirmed = False
    for number, change in enumerate(history):
        what, status, at = str(change["what"]), str(change["status"]), _seconds(change["at"])
        version = int(record["version"]) - (len(history) - 1 - number)
        facts = _facts(what)
        signed = [subject for fact, subject in facts if fact == "signed"]
        kind: Kind = "order" if what == "created" else "verify" if signed else "status"
        became = "" if status == before or what == "created" else f"the payment is {in_words(status)}"
        if not confirmed and status in {"paid", "refunded"} and {fact for fact, _ in facts} & {"captured", "accepted"}:
            confirmed = True
            became = f"{became or 'the payment is'}{' and' if became else ''} confirmed"
        entry = _Entry(
            key=f"change {version}",
            kind=kind,
            at=at,
            title=_told(what, facts),
            mood=_STATUS_MOODS.get(status, "plain") if became else "plain",
            detail=_joined(became, f"version {version}"),
            follows=number,
        )
        if kind == "verify":
            entry.mood = "good"
        entry.causes = [
            *(about[subject] for _, subject in facts if subject in about),
            *_delivered(sources, facts, at, by_key),
            *entries[-1:],
        ]
        before = status
        entries.append(entry)
    return entries


def _delivered(
    sources: Sources, facts: Sequence[tuple[str, str]], at: float, by_key: Mapping[str, _Entry]
) -> list[_Entry]:
    """Return the delivery that brought these facts in the second starting at `at`: the first in progress during it.

    Whatever its answer: a webhook that stored its facts but could not publish its events is answered 503.
    """
    under_way = [
        by_key[key]
        for event in sources.deliveries
        if any(
            event["event"] in _GIVES.get(fact, ())
            and subject in {event["payment_id"], event["refund_id"], event.get("dispute_id")}
            for fact, subject in facts
        )
        for number, attempt in enumerate(event["attempts"])
        if (key := f"delivery {event['event_id']} {number}") in by_key
        and attempt["outcome"] not in {"lost", "unreachable"}
        and attempt["at"] < at + 1
        and attempt["at"] + attempt["duration_ms"] / 1000 >= at
    ]
    return sorted(under_way, key=lambda delivery: delivery.at)[:1]


def _told(what: str, facts: Sequence[tuple[str, str]]) -> str:
    words = ", ".join("signature is valid" if fact == "signed" else _FACT_WORDS[fact] for fact, _ in facts) or what
    return words[:1].upper() + words[1:]


def _facts(what: str) -> list[tuple[str, str]]:
    """Return the facts that a history entry mentions, and the payment or refund each is about."""
    return [(match["fact"], match["subject"]) for match in _FACT.finditer(what)]


def _reviews(sources: Sources, changes: Sequence[_Entry]) -> list[_Entry]:
    entries = []
    for review in sources.record["review"]:
        reason, subject = str(review["reason"]), str(review["subject"])
        is_open = "resolved_at" not in review
        opened = _Entry(
            key=f"review {reason} {subject}",
            kind="review",
            at=_seconds(review["at"]),
            title="A person should look",
            mood="look" if is_open else "plain",
            detail=_joined(_REVIEWS.get(reason, reason), subject),
            causes=_moved(sources.record, changes, subject, review["at"]),
        )
        entries.append(opened)
        if not is_open:
            resolution = str(review.get("resolution"))
            entries.append(
                _Entry(
                    key=f"review {reason} {subject} resolved",
                    kind="review",
                    at=_seconds(review["resolved_at"]),
                    title="The review is closed",
                    mood="good",
                    detail=_joined(_RESOLUTIONS.get(resolution, resolution), _reason(reason), subject),
                    causes=[opened, *_moved(sources.record, changes, subject, review["resolved_at"])],
                )
            )
    return entries


def _moved(record: Mapping[str, Any], changes: Sequence[_Entry], subject: str, instant: object) -> list[_Entry]:
    """Return the change that opened or resolved a review: from that second and, if several, about its subject."""
    at = _seconds(instant)
    then = [change for change in changes if _seconds(record["history"][int(change.follows)]["at"]) == at]
    return ([change for change in then if subject in _what(record, change)] or then)[-1:]


def _what(record: Mapping[str, Any], change: _Entry) -> str:
    """Return what a change is about, according to the history."""
    what: str = record["history"][int(change.follows)]["what"]
    return what


def _events(sources: Sources, changes: Sequence[_Entry]) -> list[_Entry]:
    """Return every event that is known to be recorded: it still waits for EventBridge, or someone has received it."""
    by_version = {int(change.key.removeprefix("change ")): change for change in changes}
    entries = {
        key: _Entry(
            key=key,
            kind="event",
            at=change.at,
            title=f"{event_type} recorded",
            mood="good",
            detail=_joined(f"version {change.key.removeprefix('change ')}", "published", _UNHEARD[event_type]),
            causes=[change],
        )
        for key, event_type, change in _unheard(sources, changes)
    }
    for notes in sources.notes.values():
        for note in notes:
            identity, version = str(note["event_id"]), int(note["version"])
            change = by_version.get(version)
            entries[f"event {identity}"] = _Entry(
                key=f"event {identity}",
                kind="event",
                at=noted_at(note) if change is None else change.at,
                title=f"{note['detail_type']} recorded",
                mood="good",
                detail=_joined(f"version {version}", "published", identity),
                causes=[] if change is None else [change],
            )
    for identity, event in sources.record["pending"].items():
        version = int(event["version"])
        key = _pending_key(str(sources.record["order_id"]), str(identity), event)
        entries[key] = _Entry(
            key=key,
            kind="event",
            at=_seconds(event["at"]),
            title=f"{event['type']} recorded",
            mood="wait",
            detail=_joined(
                f"version {version}", "waits to be published", _UNHEARD.get(event["type"], ""), str(identity)
            ),
            causes=[by_version[version]] if version in by_version else [],
        )
    return list(entries.values())


def _unheard(sources: Sources, changes: Sequence[_Entry]) -> Iterator[tuple[str, str, _Entry]]:
    """Yield the events that nobody subscribes to, derived from the record: key, type, change.

    Nothing else would show them: a record forgets an event once it is published.
    """
    record = sources.record
    for review in record["review"]:
        subject = str(review["subject"])
        for state, instant in (("open", review["at"]), ("resolved", review.get("resolved_at"))):
            for change in _moved(record, changes, subject, instant) if instant is not None else []:
                yield _unheard_key("payment.review", subject, review["reason"], state), "payment.review", change
    for change in changes:
        if _what(record, change) == "expired":
            yield _unheard_key("payment.expired", record["order_id"]), "payment.expired", change
        status = record["history"][int(change.follows)]["status"]
        for fact in _FACT.finditer(_what(record, change)):
            if fact["fact"].startswith("dispute "):
                state = fact["fact"].removeprefix("dispute ")
                version = change.key.removeprefix("change ")
                key = _unheard_key("payment.dispute_changed", fact["subject"], state, version)
                yield key, "payment.dispute_changed", change
                continue
            refund = record["refunds"].get(fact["subject"])
            if fact["fact"] != "refund processed" or status != "paid" or refund is None:
                continue
            # A refund of any other payment is payment.surplus_refunded, which Notification subscribes to.
            if refund["payment"] == record.get("stood"):
                event_type = "payment.partially_refunded"
                yield _unheard_key(event_type, fact["subject"]), event_type, change


def _unheard_key(event_type: str, subject: object, *more: object) -> str:
    """Return the subject of an event whose id the record does not keep."""
    return " ".join(["event", event_type, str(subject), *map(str, more)])


def _pending_key(order_id: str, identity: str, event: Mapping[str, Any]) -> str:
    if event["type"] not in _UNHEARD:
        return f"event {identity}"
    if event["type"] == "payment.dispute_changed":
        return _unheard_key(event["type"], event["dispute"], event["dispute_then"]["state"], event["version"])
    review = [event[name] for name in ("review", "review_state") if name in event]
    subject = event.get("refund") or event.get("dispute") or event.get("payment") or order_id
    return _unheard_key(event["type"], subject, *review)


def _inboxes(
    sources: Sources, events: Sequence[_Entry], changes: Sequence[_Entry], deliveries: Sequence[_Entry]
) -> list[_Entry]:
    """Return what the subscribers noted: after the event, and after the delivery during which it was published."""
    published = {event.key: event for event in events}
    by_key = {delivery.key: delivery for delivery in deliveries if delivery.mood == "good"}
    # A webhook that arrives in the same second did not cause what reconcile learned and published.
    facts = {
        int(change.key.removeprefix("change ")): _facts(_what(sources.record, change))
        for change in changes
        if any(cause.kind == "delivery" for cause in change.causes)
    }
    return [
        _Entry(
            key=f"inbox {subscriber} {note['event_id']}",
            kind="inbox",
            at=noted_at(note),
            title=f"{subscriber.capitalize()} noted {note['detail_type']}",
            mood="good",
            detail=f"version {int(note['version'])}",
            follows=place,
            causes=[
                published[f"event {note['event_id']}"],
                *_delivered(sources, facts.get(int(note["version"]), []), noted_at(note), by_key),
            ],
        )
        for place, subscriber in enumerate(SUBSCRIBERS)
        for note in sources.notes.get(subscriber, ())
    ]


# --- when -----------------------------------------------------------------------------------------------------------

_NOTE_DAYS: Final = 120
"""How long an inbox keeps a note. A note stores when that ends, not when it began."""


def noted_at(note: Mapping[str, Any]) -> float:
    """Return when a subscriber noted an event, in whole Unix seconds: its inbox keeps each note for a fixed time."""
    return float(note["expires_at"]) - _NOTE_DAYS * 86_400


def _place(entry: _Entry) -> None:
    """Move an entry after its causes, as far as its second allows."""
    if entry.exact:
        return
    last = max((cause.at for cause in entry.causes), default=entry.at)
    # A record's own changes continue even if clocks disagree by more: their versions leave no doubt.
    if entry.at < last < entry.at + 1 or (entry.kind in {"verify", "status"} and last > entry.at):
        entry.at = last


def _first_mention(record: Mapping[str, Any], subject: str) -> float:
    """Return when the record first mentions a payment or refund, or its creation if the history is too short."""
    return next(
        (_seconds(change["at"]) for change in record["history"] if subject in str(change["what"])),
        _seconds(record["created_at"]),
    )


def _seconds(instant: object) -> float:
    return datetime.fromisoformat(str(instant)).astimezone(UTC).timestamp()


# --- words ----------------------------------------------------------------------------------------------------------


def money(amount_minor: int, currency: str) -> str:
    """Format an amount for people: `₹2,500.00`, `USD 25.00`. Only for currencies with two decimals."""
    sign = "₹" if currency == "INR" else f"{currency} "
    return f"{sign}{amount_minor // 100:,}.{amount_minor % 100:02d}"


def in_words(status: str) -> str:
    """Return a status for people, in this view's spelling; `authorized` is the API's."""
    return "authorised" if status == "authorized" else status


def _method(method: object) -> str:
    return "UPI" if method == "upi" else str(method)


def _reason(reason: object) -> str:
    return str(reason).replace("_", " ") if reason else ""


def _of_another_sum(record: Mapping[str, Any], payment: Mapping[str, Any]) -> str:
    amount, currency = payment.get("amount"), str(payment.get("currency"))
    if amount is None or "amount" not in record:
        return ""
    if (int(amount), currency) == (int(record["amount"]), record["currency"]):
        return ""
    return f"{money(int(amount), currency)} instead of {money(int(record['amount']), str(record['currency']))}"


def _joined(*parts: str) -> str:
    return " · ".join(_present(parts))


def _present(parts: Iterable[str]) -> list[str]:
    return [part for part in parts if part]
