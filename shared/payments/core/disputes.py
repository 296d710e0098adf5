"""Disputes: a customer or a bank demands captured money back ("About Disputes" in Razorpay's documentation).

What Razorpay's documents say, and what follows:

* **A decision is final for its dispute.** "Action not allowed when dispute is in won status", and the same for `lost`
  and `closed` (api/disputes/accept.md). A won chargeback that is challenged again is a new dispute with an id of its
  own: the sample of the list has a payment's won `chargeback` next to its open `pre_arbitration`
  (api/disputes/fetch-all.md). No page says that a dispute changes its phase. If one ever does, the later phase counts,
  so a won dispute that came back in `pre_arbitration` under its old id would be open again, and one that is lost stays
  lost.
* **Before a decision, a dispute goes back and forth**: `under_review` once the evidence was submitted,
  `action_required` when that is insufficient, `under_review` again (webhooks/disputes.md). Neither outranks the other,
  so the later report counts, by the signed time of the event.
* **`action_required` is a webhook's word.** In the entity such a dispute is `open` (the event's sample). So Razorpay's
  answer `open` for a dispute that was already submitted means that evidence is missing.
* **`amount_deducted` is money**: "deducted from your Razorpay current balance when the dispute is lost"
  (api/disputes/entity.md). It is no refund: the payment's `amount_refunded` is the same in the samples before and after
  the loss (webhooks/disputes.md), and no refund entity exists. So it counts as returned, is shown as `amount_disputed`,
  and never in `amount_refunded`. "About Disputes" says that Razorpay refunds an accepted dispute by itself; if it ever
  makes a refund next to the deduction, more went back than was captured, and a review `over_refunded` says so.
* **A loss needs a person**, whatever was deducted: the client has the money back, the freelancer may have been paid,
  and in the phase `fraud` the merchant must refund it himself ("About Disputes", process flow). The application answers
  `payment_under_review` until an operator releases the payment.

Facts merge idempotently and in any order: of two reports the one with the higher rank is kept.
"""

from copy import replace
from typing import Final

from payments.core.model import Dispute, Disputed, DisputeState, KnownDispute

MAX_DISPUTES = 50
"""How many disputes a record keeps. One payment has at most one per phase, of five; beyond 50 a review is opened."""

PHASES: Final = ("fraud", "retrieval", "chargeback", "pre_arbitration", "arbitration")
"""The phases in ascending order ("Dispute phases")."""

_STAGES: Final = {
    DisputeState.OPEN: 0,
    DisputeState.UNDER_REVIEW: 1,
    DisputeState.ACTION_REQUIRED: 1,
    DisputeState.CLOSED: 2,
    DisputeState.WON: 3,
    DisputeState.LOST: 4,
}
_ORDER: Final = {state: place for place, state in enumerate(DisputeState)}


def merged(known: Dispute | None, fact: Disputed) -> Dispute:
    """Return the dispute with the fact merged in. It equals `known` if the fact is old news."""
    told = Dispute(
        payment_id=fact.payment,
        amount_minor=fact.amount_minor,
        currency=fact.currency,
        state=fact.state,
        deducted_minor=fact.deducted_minor if fact.state is DisputeState.LOST else 0,
        phase=fact.phase,
        reason_code=fact.reason_code,
        respond_by=fact.respond_by,
        created_at=fact.created_at,
        at=fact.at,
    )
    if known is None:
        return told
    # A report without a phase that is documented says nothing about the phase, and is no earlier or later for that.
    if told.phase not in PHASES:
        told = replace(told, phase=known.phase or told.phase)
    elif known.phase not in PHASES:
        known = replace(known, phase=told.phase)
    if told.state is DisputeState.OPEN and fact.is_current and _was_submitted(known, told):
        told = replace(told, state=DisputeState.ACTION_REQUIRED)
    latest, other = (told, known) if _rank(told) > _rank(known) else (known, told)
    # Details that one report lacks are kept from the other, and no report undoes what an operator said.
    return replace(
        latest,
        reason_code=latest.reason_code or other.reason_code,
        respond_by=latest.respond_by if latest.respond_by is not None else other.respond_by,
        created_at=latest.created_at if latest.created_at is not None else other.created_at,
        released=known.released,
    )


def differs(known: Dispute | None, latest: Dispute) -> bool:
    """Return whether consumers see a difference: not in when it was reported, nor in what an operator said of it."""
    return known is None or replace(known, at=latest.at, released=latest.released) != latest


def may_be_news(known: KnownDispute, state: DisputeState, phase: str | None, deducted_minor: int) -> bool:
    """Return whether a dispute as listed may differ from what is known of it, so that Razorpay must be asked about it.

    A list lags by minutes, so what it says of a dispute that is not decided is only a reason to ask.
    """
    if known.state is DisputeState.LOST:
        return state is DisputeState.LOST and deducted_minor > known.deducted_minor
    if phase in PHASES and known.phase in PHASES and phase != known.phase:
        return _phase_rank(phase) > _phase_rank(known.phase)
    match state:
        case DisputeState.OPEN:
            return known.state is DisputeState.UNDER_REVIEW
        case DisputeState.UNDER_REVIEW:
            return known.state in {DisputeState.OPEN, DisputeState.ACTION_REQUIRED}
        case _:
            return _STAGES[state] > _STAGES[known.state]


def _was_submitted(known: Dispute, told: Dispute) -> bool:
    return (
        known.state is DisputeState.UNDER_REVIEW
        and _phase_rank(known.phase) == _phase_rank(told.phase)
        and (known.at or 0) < (told.at or 0)
    )


def _rank(dispute: Dispute) -> tuple[bool, int, int, int, int, int]:
    """Return what orders two reports of one dispute: by deduction if lost, else by phase, stage and time."""
    is_lost = dispute.state is DisputeState.LOST
    stage = _STAGES[dispute.state]
    # The time decides only between the two states that alternate: a decision is final, whenever it was reported.
    moves = stage == _STAGES[DisputeState.UNDER_REVIEW]
    at = dispute.at or 0 if moves else 0
    return (
        is_lost,
        dispute.deducted_minor if is_lost else 0,
        _phase_rank(dispute.phase),
        stage,
        at,
        _ORDER[dispute.state],
    )


def _phase_rank(phase: str | None) -> int:
    return PHASES.index(phase) + 1 if phase in PHASES else 0
