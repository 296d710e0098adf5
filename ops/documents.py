"""What is known about payments, as documents: what `--json` prints, and what the tables for people are drawn from.

Only ids, amounts, times and Razorpay's own codes: the table has no personal data of customers, so this has none either.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from payments.core.instants import iso
from payments.core.model import (
    Accepted,
    Attempt,
    Captured,
    Disputed,
    Fact,
    Failed,
    HistoryEntry,
    PendingEvent,
    Record,
    Refunded,
    RefundTotal,
    Released,
    Review,
    Signed,
)
from payments.core.position import Position
from payments.core.replay import Replay, Step

_CHECKOUT: Final = "Checkout (signature)"
_RAZORPAY: Final = "Razorpay (signed webhook or API)"
_OPERATOR: Final = "an operator"


def summary(record: Record) -> dict[str, Any]:
    """Return one line about a payment."""
    position = Position.of(record)
    return {
        "order_id": record.order_id,
        "status": record.status.value,
        "confirmed": record.confirmed,
        "under_review": position.under_review,
        **_agreed(record),
        "amount_refunded": position.amount_refunded,
        "amount_disputed": position.amount_disputed,
        "superseded_by": record.superseded_by,
        "created_at": record.created_at,
        "version": record.version,
    }


def payment(record: Record) -> dict[str, Any]:
    """Return everything that is known about a payment."""
    position = Position.of(record)
    return {
        **summary(record),
        "stands": position.standing,
        "payments": [{"id": key, **_attempt(position, key, attempt)} for key, attempt in record.attempts.items()],
        "refunds": [
            {"id": key, "payment": refund.payment_id, "amount": refund.amount_minor, "state": refund.state.value}
            for key, refund in record.refunds.items()
        ],
        "disputes": [
            {
                "id": key,
                "payment": dispute.payment_id,
                "state": dispute.state.value,
                "phase": dispute.phase,
                "amount": dispute.amount_minor,
                "currency": dispute.currency,
                "deducted": dispute.deducted_minor,
                "respond_by": None if dispute.respond_by is None else iso(dispute.respond_by),
            }
            for key, dispute in record.disputes.items()
        ],
        "reviews": [review(one) for one in record.reviews],
        "pending": [event(key, one) for key, one in record.pending.items()],
        "due": due(record),
        "timeline": [entry(one) for one in record.history],
    }


def review(one: Review) -> dict[str, Any]:
    """Return a review."""
    return {
        "reason": one.reason,
        "subject": one.subject,
        "state": "open" if one.is_open else str(one.resolution),
        "since": one.at,
        "resolved_at": one.resolved_at,
    }


def entry(one: HistoryEntry) -> dict[str, Any]:
    """Return a change of the record."""
    by = None if one.by is None else one.by.model_dump()
    return {"at": one.at, "what": one.what, "status": one.status.value, "by": by}


def event(key: str, one: PendingEvent) -> dict[str, Any]:
    """Return an event."""
    about = one.refund or one.dispute or one.payment
    return {
        "event_id": key,
        "type": one.type,
        "about": about,
        "review": None if one.review is None else f"{one.review} {one.review_state}",
        "version": one.version,
    }


def due(record: Record) -> dict[str, Any] | None:
    """Return when and where a record is processed next, or None if nothing is due."""
    if record.lane is None or record.attention_at is None:
        return None
    return {"lane": record.lane.value, "at": iso(record.attention_at), "failures": record.failures}


def explanation(record: Record, told: Replay) -> dict[str, Any]:
    """Return which fact caused which status and event."""
    return {
        "order_id": record.order_id,
        "status": record.status.value,
        "exact": not told.differs,
        "differs": list(told.differs),
        "steps": list(_steps(told.steps)),
    }


def _steps(steps: Iterable[Step]) -> Iterable[dict[str, Any]]:
    before = None
    for step in steps:
        status = step.entry.status.value
        yield {
            "version": step.version,
            **entry(step.entry),
            "changed_status": status != before,
            "facts": [fact(one) for one in step.facts],
            "events": [event(key, one) for key, one in step.events.items()],
        }
        before = status


def fact(one: Fact) -> dict[str, Any]:
    """Return a fact, and who vouches for it."""
    about = one.payment
    details: Mapping[str, Any] = {}
    match one:
        case Captured():
            details = {"amount": one.amount_minor, "currency": one.currency, "fee": one.fee_minor}
        case Refunded():
            about, details = one.refund, {"amount": one.amount_minor, "state": one.state.value}
        case Disputed():
            about, details = one.dispute, {"amount": one.amount_minor, "state": one.state.value, "phase": one.phase}
        case RefundTotal():
            details = {"amount": one.amount_minor}
        case Failed():
            details = {"code": one.code, "reason": one.reason}
    source = _CHECKOUT if isinstance(one, Signed) else _OPERATOR if isinstance(one, Accepted | Released) else _RAZORPAY
    return {"fact": type(one).__name__.lower(), "about": about, **details, "vouched_for_by": source}


def _agreed(record: Record) -> dict[str, Any]:
    order = record.order
    if order is None:
        return {"payment_id": None, "amount": None, "currency": None}
    return {
        "payment_id": order.payment_id,
        **order.purchase_fields(),
        "amount": order.amount_minor,
        "currency": order.currency,
    }


def _attempt(position: Position, key: str, attempt: Attempt) -> dict[str, Any]:
    facts = {
        "signed": attempt.signed_at is not None,
        "authorized": attempt.authorized,
        "captured": attempt.captured,
        "failed": attempt.failed,
        "lapsed": attempt.lapsed,
        "accepted": attempt.accepted,
        "released": attempt.released,
    }
    return {
        "facts": [name for name, is_known in facts.items() if is_known],
        "amount": attempt.amount_minor,
        "currency": attempt.currency,
        "method": attempt.method,
        "matches": attempt.verdict,
        "code": attempt.code,
        "reason": attempt.reason,
        "stands": key == position.standing,
        "holds_money": position.holds_money(key),
        "alive": position.alive(key),
        "refunded": position.refunded_minor(key),
    }
