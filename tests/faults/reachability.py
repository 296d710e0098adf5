"""Every record that the decision can reach, and every step from there, checked against the invariants.

A model of the record, written from the design without sharing code, predicts each step: the facts kept, the status, the
standing payment, the events, and which reviews open and close. Breadth first, each delivery is decided on each reached
record. Any difference from the model, or broken invariant, raises an AssertionError with the shortest way there.

All facts about two payments with two refunds each are too many at once. So there are separate worlds, each explored
completely: one payment with every fact but disputes; two payments with all facts about money; two payments with all
facts about promised money (signatures, authorisations); one payment with its dispute; two payments that may be lost.
Random walks combine all facts.

Why the reached states of a world are complete, although only one record of each is decided:

* A state omits times, version, history and past events, because the next decision depends on none of them. The model
predicts an event only when something becomes true for good, so no path can have it twice.
* Records that differ only in which payment is called A are one state.
* What is kept is the union of all facts, in any order. (A payment listed as failed before its signature is stored
counts as failed only, until the next check.) With at most one captured payment, the same facts give the same status
whichever way led to them; this is compared for every state.

The table of transitions is the code's: no step leaves it, and overall each of its transitions is taken.
"""

import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import replace
from dataclasses import dataclass, field
from functools import cache, partial
from math import ceil
from typing import Any, Final, NamedTuple

from payments.core import transitions
from payments.core.expiry import expire
from payments.core.instants import iso
from payments.core.model import (
    Accepted,
    Attempt,
    Authorized,
    Captured,
    Disputed,
    DisputeState,
    Fact,
    Failed,
    Lane,
    NeverCaptured,
    Record,
    Refunded,
    RefundState,
    Released,
    Signed,
    Status,
)
from payments.core.position import Position
from payments.core.transitions import TRANSITIONS, Decision, unknown_record
from tests.core.story import AMOUNT, OPENED, ORDER, ORDER_ID, OTHER_ORDER_ID, A, B, opened
from tests.faults.campaigns import Budget, Progress, Report

NOW: Final = OPENED + 60
# How often a random walk retries if a delivery does not fit.
_TURNS: Final = 0.1

PAYMENTS: Final = (A, B)
NAMES: Final = "AB"
REFUNDS: Final = (("rfnd_A1", "rfnd_A2"), ("rfnd_B1", "rfnd_B2"))
DISPUTES: Final = ("disp_A", "disp_B")

# Two halves are a full refund, a half and a full one too much.
HALF: Final = AMOUNT // 2
SIZES: Final = {1: HALF, 2: AMOUNT}
FEE_MINOR: Final = 1_180

NOT, EXACT, UNTOLD, FEE, SHORT, DOLLARS = range(6)
SUMS: Final[Mapping[int, tuple[int, str]]] = {
    EXACT: (AMOUNT, "INR"),
    # The customer bears the fee; at first Razorpay has not reported it.
    UNTOLD: (AMOUNT + FEE_MINOR, "INR"),
    FEE: (AMOUNT + FEE_MINOR, "INR"),
    SHORT: (HALF, "INR"),
    DOLLARS: (AMOUNT, "USD"),
}
CAPTURES: Final = {
    EXACT: "the agreed sum",
    UNTOLD: "the sum and a fee not told yet",
    FEE: "the sum and the fee",
    SHORT: "half the sum",
    DOLLARS: "another currency",
}
STATES: Final = (RefundState.CREATED, RefundState.FAILED, RefundState.PROCESSED)
CREATED, FAILED, PROCESSED = range(3)
DISPUTE_STATES: Final = (DisputeState.OPEN, DisputeState.WON, DisputeState.LOST)
OPENED_BY_BANK, WON, LOST = range(3)
OF_DISPUTE: Final = 2
"""In `Review.refund`: it is about the dispute."""


# --- the model ------------------------------------------------------------------------------------------------------


class Back(NamedTuple):
    """The stored facts of one refund."""

    size: int = 0
    """One of `SIZES`; 0 while it is unknown."""
    reached: int = -1
    """An index into `STATES`."""
    contrary: bool = False
    """It was reported as failed and as processed."""


class Review(NamedTuple):
    """A review, and what closed it."""

    reason: str
    refund: int
    """The index of the refund it is about; -1: the payment; `OF_DISPUTE`: its dispute."""
    resolution: str = ""


class Payment(NamedTuple):
    """The stored facts of one Razorpay payment."""

    known: bool = False
    signed: bool = False
    authorized: bool = False
    failed: bool = False
    listed: bool = False
    """Listed as failed by a check that started after it was signed."""
    lapsed: bool = False
    accepted: bool = False
    released: bool = False
    capture: int = NOT
    announced: bool = False
    """Its failure was."""
    refunds: tuple[Back, Back] = (Back(), Back())
    reviews: tuple[Review, ...] = ()
    """Sorted, because the order of arrival does not matter."""
    dispute: int = -1
    """The state of its dispute, an index of `DISPUTE_STATES`; -1: no dispute."""
    deducted: int = 0
    """What the lost dispute took, in `SIZES`; 0: not lost."""
    cleared: bool = False
    """An operator released the payment after the loss."""


class State(NamedTuple):
    """Everything in a record that affects later decisions."""

    kind: str
    """`open`, `superseded` or `unknown`; or expired: `late` before every payment was made, `timely` after."""
    payments: tuple[Payment, ...]
    matched: tuple[int, ...] = ()
    """The matches in the order in which they were recorded."""
    stood: int = -1
    """The payment that stands, or stood last."""
    final: bool = False
    """It was refunded once: later captures are surplus."""


class Judged(NamedTuple):
    """What follows from the facts; payments by index."""

    returned: tuple[bool, ...]
    holds: tuple[bool, ...]
    stands: int
    """-1: none."""
    status: str
    """`paid°` is paid and not confirmed."""


class Told(NamedTuple):
    """An event: its type, its subject, for a review its reason and state, and for a dispute its state."""

    event: str
    subject: str
    reason: str = ""
    state: str = ""


class Said(NamedTuple):
    """One fact, in the model's words."""

    of: int
    what: str
    capture: int = NOT
    refund: int = -1
    size: int = 0
    reached: int = -1


class Move(NamedTuple):
    """One delivery."""

    label: str
    said: tuple[Said, ...]
    facts: tuple[Fact, ...]


class Foreseen(NamedTuple):
    """The model's expectation of one step."""

    state: State
    judged: Judged
    told: frozenset[Told]


_NOTHING_STANDS: Final[Mapping[str, str]] = {"superseded": "superseded_order", "late": "expired_order"}
"""The kinds of orders on which nothing stands unless an operator accepts it, and the review of what is captured."""
EXPIRIES: Final[Mapping[str, int]] = {"late": OPENED - 1, "timely": OPENED}
"""When an order of these kinds expired. Every payment is made, and signed, at `OPENED`."""


@cache
def back_minor(payment: Payment) -> int:
    """Only processed refunds have moved money."""
    return sum(SIZES[refund.size] for refund in payment.refunds if refund.reached == PROCESSED)


@cache
def deducted_minor(payment: Payment) -> int:
    """What a lost dispute took of it; all disputes here are in rupees."""
    if payment.capture == NOT or SUMS[payment.capture][1] != "INR" or not payment.deducted:
        return 0
    return SIZES[payment.deducted]


@cache
def is_match(payment: Payment) -> bool:
    return payment.capture in {EXACT, FEE} or (payment.capture != NOT and payment.accepted)


@cache
def is_returned(payment: Payment) -> bool:
    """Refunds and a loss reach the smaller of both sums, or a never captured payment was refunded."""
    back = back_minor(payment)
    return (
        back > 0 if payment.capture == NOT else back + deducted_minor(payment) >= min(SUMS[payment.capture][0], AMOUNT)
    )


@cache
def is_alive(payment: Payment) -> tuple[bool, bool]:
    """Whether its signature and its authorisation still promise money."""
    if payment.capture != NOT or payment.released or is_returned(payment):
        return False, False
    dead = payment.listed and not payment.authorized
    return payment.signed and not payment.lapsed and not dead, payment.authorized


def judge(state: State) -> Judged:
    """The design's rules, in order."""
    payments = state.payments
    returned = tuple(map(is_returned, payments))
    holds = tuple([payment.capture != NOT and not back for payment, back in zip(payments, returned, strict=True)])
    stands = -1
    if not state.final:
        for p in state.matched:
            may = state.kind not in _NOTHING_STANDS or payments[p].accepted or p == state.stood
            if may and not returned[p]:
                stands = p
                break
    return Judged(returned, holds, stands, status_of(state, returned, holds, stands))


def status_of(state: State, returned: Sequence[bool], holds: Sequence[bool], stands: int) -> str:  # noqa: PLR0911 - one for each rule
    if state.kind == "unknown":
        return "unknown"
    if state.final or (state.matched and all(returned[p] for p in state.matched)):
        return "refunded"
    if stands >= 0:
        return "paid"
    if any(holds):
        return "authorized"
    signed, authorized = zip(*map(is_alive, state.payments), strict=True)
    if any(signed):
        return "authorized" if state.kind in _NOTHING_STANDS else "paid°"
    if any(authorized):
        return "authorized"
    over = [
        payment.failed or payment.lapsed or payment.released or back
        for payment, back in zip(state.payments, returned, strict=True)
    ]
    return "failed" if any(over) else "created"


def with_fact(payment: Payment, said: Said) -> Payment:
    """The payment with one more fact: nothing is removed, and a refund never returns to a lower state."""
    match said.what:
        case "lapsed" | "accepted" | "released":
            # Facts of operators and checks concern known payments; the first and the last, uncaptured ones.
            fits = payment.known and (payment.capture != NOT) == (said.what == "accepted")
            grown = with_flag(payment, said.what) if fits else payment
            # A loss can be released whatever else is known.
            return grown._replace(cleared=True) if said.what == "released" and grown.dispute == LOST else grown
        case "listed":
            grown = payment._replace(failed=True, listed=payment.listed or payment.signed)
        case "captured":
            grown = payment._replace(capture=max(payment.capture, said.capture))
        case "refund":
            grown = payment._replace(refunds=with_refund(payment.refunds, said))
        case "dispute":
            grown = payment._replace(
                dispute=max(payment.dispute, said.reached), deducted=max(payment.deducted, said.size)
            )
        case _:
            grown = with_flag(payment, said.what)
    return grown._replace(known=True)


def with_flag(payment: Payment, name: str) -> Payment:
    changes: dict[str, Any] = {name: True}
    return payment._replace(**changes)


def with_refund(refunds: tuple[Back, Back], said: Said) -> tuple[Back, Back]:
    known = refunds[said.refund]
    states = {known.reached, said.reached}
    contrary = known.contrary or states == {FAILED, PROCESSED}
    grown = Back(said.size, max(known.reached, said.reached), contrary)
    return (grown, refunds[1]) if said.refund == 0 else (refunds[0], grown)


def foresee(before: State, was: Judged, move: Move) -> Foreseen | None:
    """The expected result of a delivery; None if it reports nothing new."""
    payments = list(before.payments)
    for said in move.said:
        payments[said.of] = with_fact(payments[said.of], said)
    if tuple(payments) == before.payments:
        return None
    return told_of(before, was, before._replace(payments=tuple(payments)))


def told_of(before: State, was: Judged, grown: State) -> Foreseen:
    """The events of a change, and the reviews it opens and closes."""
    if grown.kind == "unknown":
        return Foreseen(grown, judge(grown), frozenset())
    new = [p for p, payment in enumerate(grown.payments) if is_match(payment) and p not in grown.matched]
    grown = grown._replace(matched=(*grown.matched, *new))
    now = judge(grown)
    stood = before.stood
    if not before.final:
        if now.stands >= 0:
            stood = now.stands
        elif stood < 0 and now.status == "refunded" and grown.kind not in _NOTHING_STANDS:
            # Capture and full refund were learned together: no `payment.paid`.
            stood = grown.matched[0]
    grown = grown._replace(stood=stood, final=now.status == "refunded")
    told: set[Told] = set()
    if now.stands >= 0 and before.stood < 0:
        told.add(Told("payment.paid", PAYMENTS[now.stands]))
    told.update(refunds_told(before, was, grown, now))
    told.update(failed_refunds_told(before, grown))
    for p, payment in enumerate(grown.payments):
        if payment.dispute > before.payments[p].dispute:
            told.add(Told("payment.dispute_changed", DISPUTES[p], "", DISPUTE_STATES[payment.dispute].value))
    payments = list(grown.payments)
    for p, payment in enumerate(grown.payments):
        if now.status == "failed" and grown.kind != "superseded" and payment.failed and not payment.announced:
            payments[p] = payment._replace(announced=True)
            told.add(Told("payment.failed", PAYMENTS[p]))
        reviews = reviews_of(p, before.payments[p], grown, now)
        told.update(reviews_told(p, payment, reviews))
        payments[p] = payments[p]._replace(reviews=reviews)
    return Foreseen(grown._replace(payments=tuple(payments)), now, frozenset(told))


def reviews_told(p: int, payment: Payment, reviews: tuple[Review, ...]) -> Iterator[Told]:
    """A review is published when it opens and when it closes."""
    for review in set(reviews) - set(payment.reviews):
        subject = PAYMENTS[p] if review.refund < 0 else (*REFUNDS[p], DISPUTES[p])[review.refund]
        if all(known[:2] != review[:2] for known in payment.reviews):
            yield Told("payment.review", subject, review.reason, "open")
        if review.resolution:
            yield Told("payment.review", subject, review.reason, "resolved")


def refunds_told(before: State, was: Judged, grown: State, now: Judged) -> Iterator[Told]:
    """An event per processed refund of a captured payment, up to the one that returns it, and one for the full
    refund."""
    completing: list[int] = []
    for p, payment in enumerate(grown.payments):
        old = before.payments[p]
        if payment.capture == NOT or (old.capture != NOT and was.returned[p]):
            continue
        news = [
            r
            for r, refund in enumerate(payment.refunds)
            if refund.reached == PROCESSED and (old.capture == NOT or old.refunds[r].reached != PROCESSED)
        ]
        if p != grown.stood:
            yield from (Told("payment.surplus_refunded", REFUNDS[p][r]) for r in news)
        elif now.status != "refunded":
            yield from (Told("payment.partially_refunded", REFUNDS[p][r]) for r in news)
        else:
            completing = news
    if now.status == "refunded" and not before.final and grown.stood >= 0:
        refunds = grown.payments[grown.stood].refunds
        # Published earlier as surplus, if only a fee reported later shows that the payment matched.
        # What a loss completed is not published as a refund.
        lost = any(
            payment.deducted > old.deducted for payment, old in zip(grown.payments, before.payments, strict=True)
        )
        known = [] if lost else [r for r, refund in enumerate(refunds) if refund.reached == PROCESSED]
        # If several complete it at once, any would be correct; the service names the last.
        for last in (completing or known)[-1:]:
            yield Told("payment.refunded", REFUNDS[grown.stood][last])


def failed_refunds_told(before: State, grown: State) -> Iterator[Told]:
    """Each refund of a captured payment that Razorpay gave up."""
    for p, payment in enumerate(grown.payments):
        old = before.payments[p]
        if payment.capture == NOT:
            continue
        for r, refund in enumerate(payment.refunds):
            if refund.reached == FAILED and (old.capture == NOT or old.refunds[r].reached != FAILED):
                yield Told("payment.refund_failed", REFUNDS[p][r])


def reviews_of(p: int, old: Payment, grown: State, now: Judged) -> tuple[Review, ...]:
    """The reviews of one payment after a change: those it opens, and those it closes automatically."""
    payment = grown.payments[p]
    known = {review[:2]: review for review in payment.reviews}
    for about in opened_by(p, old, grown, now):
        known.setdefault(about, Review(*about))
    return tuple(
        sorted(
            review if review.resolution else review._replace(resolution=resolution(review, p, grown, now))
            for review in known.values()
        )
    )


def opened_by(p: int, old: Payment, grown: State, now: Judged) -> Iterator[tuple[str, int]]:
    payment = grown.payments[p]
    if now.holds[p] and p != now.stands:
        if not is_match(payment):
            yield ("currency_mismatch" if payment.capture == DOLLARS else "amount_mismatch"), -1
        else:
            yield _NOTHING_STANDS.get(grown.kind, "duplicate_capture"), -1
    if is_over(payment) and not is_over(old):
        yield "over_refunded", max([r for r in (0, 1) if payment.refunds[r].reached == PROCESSED], default=OF_DISPUTE)
    for r in (0, 1):
        # Reported lower than known; a failure before the processing is only history.
        if payment.refunds[r].contrary and old.refunds[r].reached == PROCESSED and not old.refunds[r].contrary:
            yield "refund_reversed", r
    if payment.dispute == LOST and not payment.cleared:
        yield "dispute_lost", OF_DISPUTE
    if payment.lapsed and not old.lapsed and not now.returned[p]:
        yield "never_captured", -1


def is_over(payment: Payment) -> bool:
    back = back_minor(payment) + deducted_minor(payment)
    return payment.capture != NOT and back > SUMS[payment.capture][0]


def resolution(review: Review, p: int, grown: State, now: Judged) -> str:
    """What closes a review automatically; None while a person must still decide."""
    payment, returned = grown.payments[p], now.returned[p]
    match review.reason:
        case "duplicate_capture":
            held = any(now.holds[q] and is_match(other) and q != now.stands for q, other in enumerate(grown.payments))
            return "" if held else "returned"
        case "never_captured":
            ends = {"captured": payment.capture != NOT, "returned": returned, "released": payment.released}
        case "dispute_lost":
            ends = {"released": payment.cleared}
        case "amount_mismatch" | "currency_mismatch" | "superseded_order" | "expired_order":
            cured = review.reason not in _NOTHING_STANDS.values() and is_match(payment)
            ends = {"accepted": payment.accepted, "returned": returned, "matched": cured}
        case _:
            ends = {}
    return next((what for what, holds in ends.items() if holds), "")


def returned_of_stood(state: State) -> int:
    return back_minor(state.payments[state.stood]) if state.stood >= 0 else 0


def deducted_of_stood(state: State) -> int:
    return deducted_minor(state.payments[state.stood]) if state.stood >= 0 else 0


# --- a record as a state --------------------------------------------------------------------------------------------


def observed(record: Record, payments: int) -> State:
    """A record as a state with this many payments.

    Raises:
        AssertionError: it contains something that no delivery reported.
    """
    assert set(record.attempts) <= set(PAYMENTS[:payments]), "I5: a payment that nobody spoke of"
    assert set(record.refunds) <= {refund for refunds in REFUNDS for refund in refunds}, "I5: an unspoken refund"
    assert set(record.disputes) <= set(DISPUTES), "I5: an unspoken dispute"
    ranked = sorted(
        (attempt.matched_in, p)
        for p, payment in enumerate(PAYMENTS)
        if (attempt := record.attempts.get(payment)) is not None and attempt.matched_in is not None
    )
    return State(
        kind_of(record),
        tuple(observed_payment(record, p) for p in range(payments)),
        tuple(p for _, p in ranked),
        -1 if record.stood is None else PAYMENTS.index(record.stood),
        record.status is Status.REFUNDED,
    )


def kind_of(record: Record) -> str:
    if record.order is None:
        return "unknown"
    if record.superseded_by is not None:
        return "superseded"
    if record.expired_at is None:
        return "open"
    return next(kind for kind, at in EXPIRIES.items() if at == record.expired_at)


_NOTHING: Final = Payment()
_BY_SUM: Final = {agreed: capture for capture, agreed in SUMS.items() if capture != FEE}
_VERDICTS: Final = {EXACT: "exact", FEE: "fee"}


def observed_payment(record: Record, p: int) -> Payment:
    attempt = record.attempts.get(PAYMENTS[p])
    if attempt is None:
        return _NOTHING
    return Payment(
        known=True,
        signed=attempt.signed_at is not None,
        authorized=attempt.authorized,
        failed=attempt.failed,
        listed=attempt.listed_failed_at is not None,
        lapsed=attempt.lapsed,
        accepted=attempt.accepted,
        released=attempt.released,
        capture=observed_capture(record, attempt),
        announced=attempt.announced,
        refunds=(observed_refund(record, p, 0), observed_refund(record, p, 1)),
        reviews=observed_reviews(record, p),
        **observed_dispute(record, p),
    )


def observed_capture(record: Record, attempt: Attempt) -> int:
    if not attempt.captured:
        assert attempt.amount_minor is None, "I5: a sum without a capture"
        return NOT
    capture = _BY_SUM.get((attempt.amount_minor or 0, attempt.currency or ""))
    assert capture is not None, "I5: a sum that nobody spoke of"
    if capture == UNTOLD and attempt.fee_minor == FEE_MINOR:
        capture = FEE
    verdict = None if record.order is None else _VERDICTS.get(capture)
    assert attempt.verdict == verdict, f"I4: {CAPTURES[capture]} is taken for {attempt.verdict}"
    return capture


def observed_refund(record: Record, p: int, r: int) -> Back:
    kept = record.refunds.get(REFUNDS[p][r])
    if kept is None:
        return Back()
    assert kept.payment_id == PAYMENTS[p], "I5: a refund of another payment"
    return Back(1 if kept.amount_minor == HALF else 2, STATES.index(kept.state), kept.failed)


def observed_dispute(record: Record, p: int) -> dict[str, Any]:
    kept = record.disputes.get(DISPUTES[p])
    if kept is None:
        return {}
    assert kept.payment_id == PAYMENTS[p], "I5: a dispute about another payment"
    sizes = {0: 0, HALF: 1, AMOUNT: 2}
    return {
        "dispute": DISPUTE_STATES.index(kept.state),
        "deducted": sizes[kept.deducted_minor],
        "cleared": kept.released,
    }


def observed_reviews(record: Record, p: int) -> tuple[Review, ...]:
    if not record.reviews:
        return ()
    places = {PAYMENTS[p]: -1, REFUNDS[p][0]: 0, REFUNDS[p][1]: 1, DISPUTES[p]: OF_DISPUTE}
    return tuple(
        sorted(
            Review(review.reason, places[review.subject], review.resolution or "")
            for review in record.reviews
            if review.subject in places
        )
    )


def word(record: Record) -> str:
    """The status, with `paid°` for paid but unconfirmed."""
    unconfirmed = record.status is Status.PAID and not record.confirmed
    return "paid°" if unconfirmed else record.status.value


# --- deliveries -----------------------------------------------------------------------------------------------------


def fact_of(said: Said) -> Fact:  # noqa: PLR0911 - one for each word
    payment = PAYMENTS[said.of]
    match said.what:
        case "signed":
            return Signed(payment=payment, at=OPENED)
        case "authorized":
            return Authorized(payment=payment, created_at=OPENED)
        case "failed":
            return Failed(payment=payment, at=OPENED + 30, created_at=OPENED)
        case "listed":
            return Failed(payment=payment, at=OPENED + 30, listed_at=NOW, created_at=OPENED)
        case "lapsed":
            return NeverCaptured(payment=payment)
        case "accepted":
            return Accepted(payment=payment)
        case "released":
            return Released(payment=payment)
        case "captured":
            amount_minor, currency = SUMS[said.capture]
            fee_minor = FEE_MINOR if said.capture == FEE else None
            return Captured(
                payment=payment, amount_minor=amount_minor, currency=currency, fee_minor=fee_minor, created_at=OPENED
            )
        case "dispute":
            return Disputed(
                payment=payment,
                dispute=DISPUTES[said.of],
                amount_minor=AMOUNT,
                currency="INR",
                state=DISPUTE_STATES[said.reached],
                deducted_minor=SIZES.get(said.size, 0),
                phase="chargeback",
                at=OPENED,
            )
        case _:
            return Refunded(
                payment=payment,
                refund=REFUNDS[said.of][said.refund],
                amount_minor=SIZES[said.size],
                state=STATES[said.reached],
            )


def words_of(said: Said) -> str:
    name = NAMES[said.of]
    if said.what == "captured":
        return f"{name} captured, {CAPTURES[said.capture]}"
    if said.what == "refund":
        size = "half" if said.size == 1 else "full"
        return f"{size} refund {said.refund + 1} of {name} {STATES[said.reached].value}"
    if said.what == "dispute":
        size = {0: "", 1: ", half of it", 2: ", all of it"}[said.size]
        return f"dispute of {name} {DISPUTE_STATES[said.reached].value}{size}"
    return f"{name} {said.what}"


def move_of(*said: Said) -> Move:
    return Move(" with ".join(map(words_of, said)), said, tuple(map(fact_of, said)))


def moves(
    payments: int,
    words: Iterable[str],
    captures: Sequence[int],
    refunds: Iterable[tuple[int, int, int]],
    disputes: Sequence[tuple[int, int]] = (),
) -> Iterator[Move]:
    """Every delivery of a world. A refund's may also say that its payment is captured, as Razorpay's do.

    Args:
        payments: the number of payments.
        words: the other facts of a payment.
        captures: the captured sums.
        refunds: index, size and state of each refund fact.
        disputes: state and deduction of each dispute fact.
    """
    refunds = list(refunds)
    for p in range(payments):
        yield from (move_of(Said(p, what)) for what in words)
        told = [Said(p, "captured", capture) for capture in captures]
        yield from map(move_of, told)
        yield from (move_of(Said(p, "dispute", size=size, reached=reached)) for reached, size in disputes)
        for r, size, reached in refunds:
            refund = Said(p, "refund", NOT, r, size, reached)
            yield move_of(refund)
            yield from (move_of(capture, refund) for capture in told)


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Some payments, and the facts that may be reported of them."""

    name: str
    payments: int
    moves: tuple[Move, ...]
    unknown: bool = False
    """Whether its order may be known only from webhooks at first, and found to be ours later."""


_EVERY_WORD: Final = ("signed", "authorized", "failed", "listed", "lapsed", "accepted", "released")
_EVERY_DISPUTE: Final = ((OPENED_BY_BANK, 0), (WON, 0), (LOST, 0), (LOST, 1), (LOST, 2))
_EVERY_REFUND: Final = [(r, size, reached) for r in (0, 1) for size in SIZES for reached in range(len(STATES))]

WORLDS: Final = (
    World(
        name="one payment",
        payments=1,
        moves=tuple(
            moves(
                1,
                [one for one in _EVERY_WORD if one != "released"],
                list(SUMS),
                [*((r, r + 1, reached) for r in (0, 1) for reached in range(len(STATES))), (1, 1, PROCESSED)],
            )
        ),
        unknown=True,
    ),
    World(
        name="two payments, money",
        payments=2,
        moves=tuple(
            moves(
                2,
                ["accepted"],
                [EXACT, UNTOLD, FEE, SHORT],
                [(0, 1, CREATED), (0, 1, PROCESSED), (1, 1, PROCESSED), (1, 2, PROCESSED)],
            )
        ),
        unknown=True,
    ),
    World(
        name="two payments, promises",
        payments=2,
        moves=tuple(moves(2, ["signed", "authorized", "failed", "listed"], [EXACT], [(0, 2, PROCESSED)])),
    ),
    World(
        name="one payment, disputed",
        payments=1,
        moves=tuple(
            moves(
                1,
                ["signed", "authorized", "accepted", "released"],
                list(SUMS),
                [(0, 1, PROCESSED), (1, 2, PROCESSED)],
                _EVERY_DISPUTE,
            )
        ),
        unknown=True,
    ),
    World(
        name="two payments, disputed",
        payments=2,
        moves=tuple(moves(2, ["released"], [EXACT, SHORT], [(0, 1, PROCESSED)], [(LOST, 1), (LOST, 2)])),
        unknown=True,
    ),
)

EVERYTHING: Final = World(
    name="everything",
    payments=2,
    moves=tuple(moves(2, _EVERY_WORD, list(SUMS), _EVERY_REFUND, _EVERY_DISPUTE)),
    unknown=True,
)

# Only Razorpay reports on an order that we do not know.
_FROM_RAZORPAY: Final = frozenset({"authorized", "failed", "captured", "refund", "dispute"})


def agrees(state: State, judged: Judged, move: Move) -> bool:
    """Whether this may arrive next: anything, even known facts, that does not contradict Razorpay's earlier reports.

    A payment is captured with one sum, and a refund has one amount. An operator accepts a payment that holds money if
    no other stands. If the capture is known, a refund that reports it adds nothing.
    """
    for said in move.said:
        payment = state.payments[said.of]
        if state.kind == "unknown" and said.what not in _FROM_RAZORPAY:
            return False
        if said.what == "captured" and payment.capture != NOT:
            same_sum = SUMS[payment.capture] == SUMS[said.capture]
            if not same_sum or len(move.said) > 1:
                return False
        if said.what == "refund":
            known = payment.refunds[said.refund]
            if known.size not in {0, said.size} or (len(move.said) > 1 and said.reached <= known.reached):
                return False
        if said.what == "dispute" and OPENED_BY_BANK not in {said.reached, payment.dispute}:
            # It is decided once.
            decided = payment.dispute, payment.deducted
            if payment.dispute >= 0 and decided != (said.reached, said.size):
                return False
        if said.what == "accepted" and not may_be_accepted(state, judged, said.of):
            return False
    return True


def may_be_accepted(state: State, judged: Judged, p: int) -> bool:
    return judged.holds[p] and not state.final and judged.stands in {-1, p}


def may_be_superseded(state: State, judged: Judged) -> bool:
    """create-order replaces an order that could still be paid."""
    is_open = state.kind == "open" and judged.status in {"created", "failed", "authorized"}
    return is_open and not any(payment.capture != NOT for payment in state.payments)


def may_expire(state: State, judged: Judged) -> bool:
    """An order expires if nothing was captured on it and nothing may be."""
    is_unpaid = state.kind == "open" and judged.status in {"created", "failed"}
    return is_unpaid and not any(payment.capture != NOT for payment in state.payments)


def canonical(state: State) -> State:
    """One state for all that differ only in payment names."""
    if len(state.payments) == 1 or state.payments[0] < state.payments[1]:
        return state
    exchanged = state._replace(
        payments=state.payments[::-1],
        matched=tuple([1 - p for p in state.matched]),
        stood=1 - state.stood if state.stood >= 0 else -1,
    )
    return exchanged if state.payments[0] > state.payments[1] else min(state, exchanged)


# --- the steps ------------------------------------------------------------------------------------------------------


class Node(NamedTuple):
    """A reached record, and how it was reached."""

    record: Record
    state: State
    path: tuple[str, ...]
    told: frozenset[Told] = frozenset()
    """Every event along the way."""


def check_change(before: Record, decision: Decision, foreseen: Foreseen) -> None:
    """Checks every change of a record, against the model and by itself."""
    after = decision.record
    assert decision.changed, "I5: news is not stored"
    check_status(before, after, foreseen)
    seen = observed(after, len(foreseen.state.payments))
    assert seen == foreseen.state, f"I5: the record holds {seen}, not {foreseen.state}"
    assert after.version == before.version + 1, f"I2: version {before.version} became {after.version}"
    check_told(before, decision, foreseen)
    check_reviews(before, after, foreseen)
    check_due(after, foreseen)


def check_status(before: Record, after: Record, foreseen: Foreseen) -> None:
    assert after.status is before.status or after.status in TRANSITIONS[before.status], (
        f"I2: {before.status} became {after.status}"
    )
    assert not before.confirmed or after.confirmed, "I3: a confirmed payment became unconfirmed"
    assert word(before) != "refunded" or word(after) == "refunded", f"I3: refunded became {word(after)}"
    judged, state = foreseen.judged, foreseen.state
    assert not after.confirmed or state.matched, "I4: confirmed without a capture of what was agreed"
    assert word(after) != "paid°" or any(attempt.signed_at is not None for attempt in after.attempts.values()), (
        "I4: paid without a checkout signature"
    )
    assert word(after) == judged.status, f"I6: the status is {word(after)}, the facts say {judged.status}"
    assert after.confirmed == (state.stood >= 0), "I6: confirmed is not what the facts say"
    refunded, expected = Position.of(after).amount_refunded, returned_of_stood(state)
    assert refunded == expected, f"I6: {refunded} came back, the facts say {expected}"
    disputed, lost = Position.of(after).amount_disputed, deducted_of_stood(state)
    assert disputed == lost, f"I6: {disputed} was lost, the facts say {lost}"


_IDENTITIES: Final[dict[str, tuple[str, str, str, str]]] = {}


def check_told(before: Record, decision: Decision, foreseen: Foreseen) -> None:
    """I9 to I12: exactly the events that the model predicts, each stored under a unique id, none removed."""
    after = decision.record
    told: list[Told] = []
    for identity in decision.recorded:
        event = after.pending[identity]
        about_what = event.refund or event.dispute or event.payment or ""
        then = event.dispute_then
        state = then.state.value if then is not None and event.review is None else event.review_state or ""
        what = Told(event.type, about_what, event.review or "", state)
        # An order has this event at most once; which payment it names depends on what came first.
        about = what if event.type != "payment.paid" else what._replace(subject="the order")
        assert _IDENTITIES.setdefault(identity, about) == about, f"I12: {what} has the id of another event"
        assert identity not in before.pending, f"I12: {what} is recorded a second time"
        stamp = (event.version, event.at, event.status, event.refunded_minor, event.disputed_minor)
        sums = returned_of_stood(foreseen.state), deducted_of_stood(foreseen.state)
        assert stamp == (after.version, after.updated_at, after.status, *sums), (
            f"I12: {what} does not say what the record says"
        )
        told.append(what)
    assert len(set(told)) == len(told), "I11: one event has two ids"
    assert set(told) == foreseen.told, f"I11: told {sorted(told)}, and not {sorted(foreseen.told)}"
    assert len(after.pending) == len(before.pending) + len(told), "I9: an event is pending that was not recorded"
    for identity, event in before.pending.items():
        assert after.pending.get(identity) == event, "I9: a pending event was lost or changed"


def check_life(before: frozenset[Told], foreseen: Foreseen) -> None:
    """I6, I7 and I11: all events about the money since the start, in any order of facts."""
    assert not before & foreseen.told, f"I12: {sorted(before & foreseen.told)} is told a second time"
    told = before | foreseen.told
    state, judged = foreseen.state, foreseen.judged
    if state.kind == "unknown":
        return
    kinds = Counter(what.event for what in told)
    assert kinds["payment.paid"] <= 1, "I11: paid is told twice"
    assert kinds["payment.paid"] == (state.stood >= 0) or judged.status == "refunded", "I6: paid, and not told so"
    assert kinds["payment.refunded"] <= 1, "I11: refunded is told twice"
    refunded = judged.status == "refunded" and state.stood >= 0
    # What a dispute took is no refund; whether one came last decides.
    lost = any(map(deducted_minor, state.payments))
    assert (kinds["payment.refunded"] == 1) == refunded or (refunded and lost), (
        f"I11: {judged.status}, and told {kinds['payment.refunded']} times as refunded"
    )


def check_reviews(before: Record, after: Record, foreseen: Foreseen) -> None:
    """I7 and I13, in the record and in its events."""
    for known, kept in zip(before.reviews, after.reviews, strict=False):
        same = (known.reason, known.subject, known.at) == (kept.reason, kept.subject, kept.at)
        assert same, "I7: a review was taken back"
        assert known.is_open or known == kept, "I7: a review that is over was changed"
    assert len(after.reviews) >= len(before.reviews), "I7: a review was taken back"
    about = [(review.reason, review.subject) for review in after.reviews]
    assert len(set(about)) == len(about), "I7: one thing is reviewed twice"
    state, judged = foreseen.state, foreseen.judged
    if state.kind == "unknown":
        return
    duplicates = sum(review.reason == "duplicate_capture" for review in after.reviews)
    matches = len(state.matched)
    if state.kind not in _NOTHING_STANDS:
        assert duplicates <= max(0, matches - 1), f"I7: {matches} captures and {duplicates} reviews of a duplicate"
        held = sum(judged.holds[p] for p in state.matched)
        assert duplicates >= max(0, held - 1), f"I7: {held} captures are held and {duplicates} reviewed as duplicates"
    for p, payment in enumerate(state.payments):
        reviewed = {review.reason for review in payment.reviews if not review.resolution}
        assert not is_over(payment) or "over_refunded" in reviewed, "I13: more came back than was captured, unreviewed"
        doubtful = judged.holds[p] and p != judged.stands
        assert not doubtful or reviewed - {"over_refunded", "refund_reversed", "dispute_lost"}, (
            "I7: surplus money, and nobody looks"
        )


def check_due(after: Record, foreseen: Foreseen) -> None:
    """A record with anything pending, alive, in progress or unknown has a due time."""
    promises = any(any(is_alive(payment)) and not payment.lapsed for payment in foreseen.state.payments)
    under_way = any(refund.reached == CREATED for payment in foreseen.state.payments for refund in payment.refunds)
    waits = bool(after.pending) or promises or under_way or foreseen.state.kind == "unknown"
    assert after.attention_at is not None or not waits, "I9: nothing would bring a lane to what is left to do"
    assert after.lane is Lane.OUTBOX or not after.pending, "I9: events are pending outside the outbox"


def check_untouched(before: Record, after: Record) -> None:
    """I1, for any delivery."""
    assert (
        after.order_id,
        after.order,
        after.created_at,
        after.superseded_by,
        after.expired_at,
        after.expires_at,
    ) == (
        before.order_id,
        before.order,
        before.created_at,
        before.superseded_by,
        before.expired_at,
        before.expires_at,
    ), "I1: what never changes changed"


# --- the exploration ------------------------------------------------------------------------------------------------


def starts(world: World) -> list[Node]:
    """The start of a world."""
    nobody = unknown_record(ORDER_ID, OPENED)
    begins = [(opened(), "an open order"), *([(nobody, "an order nobody knows")] if world.unknown else [])]
    return [Node(record, observed(record, world.payments), (label,)) for record, label in begins]


@dataclass
class Exploration:
    """The states reached in a world, breadth first, and observations along the way."""

    world: World
    room: int | None = None
    """How many random records of each depth are decided; all if None."""
    draw: random.Random = field(default_factory=random.Random)
    progress: Progress = lambda done, of: None  # noqa: ARG005 - nobody listens
    reached: set[State] = field(default_factory=set)
    steps: Counter[tuple[Status, Status]] = field(default_factory=Counter)
    ends: dict[State, tuple[str, bool, int]] = field(default_factory=dict)
    """The outcome by facts, for records with at most one captured payment."""
    met_again: int = 0
    """How often the same facts were reached in another way."""
    expanded: int = 0
    decisions: int = 0
    old_news: int = 0
    depth: int = 0
    _found: list[Node] = field(default_factory=list)

    def run(self) -> None:
        """Continues until nothing new is reached.

        Raises:
            AssertionError: an invariant is broken; the message has the shortest way found to reproduce it.
        """
        for start in starts(self.world):
            self._reach(start)
        while self._found:
            level, self._found = self._found, []
            if self.room is not None and len(level) > self.room:
                level = self.draw.sample(level, self.room)
            for node in level:
                self.expand(node)
                self.expanded += 1
                if self.expanded % 500 == 0:
                    self.progress(self.expanded, len(self.reached))
            self.depth += bool(self._found)
        self.progress(self.expanded, self.expanded if self.room is not None else len(self.reached))

    def walk(self, length: int) -> None:
        """Takes a random walk of this many deliveries.

        Raises:
            AssertionError: as `run`.
        """
        node = self.draw.choice(starts(self.world))
        for _ in range(length):
            judged = judge(node.state)
            move = self.draw.choice(self.world.moves)
            if agrees(node.state, judged, move):
                node = with_path(node, move.label, partial(self._deliver, node, judged, move)) or node
            elif self.draw.random() < _TURNS:
                turns = list(self._turns(node, judged))
                if turns:
                    label, turn = self.draw.choice(turns)
                    node = with_path(node, label, turn)
        self.expanded += 1

    def _reach(self, node: Node) -> None:
        name = canonical(node.state)
        if name not in self.reached:
            self.reached.add(name)
            self._found.append(node)

    def expand(self, node: Node) -> None:
        """Decides every delivery that may come next."""
        judged = judge(node.state)
        for move in self.world.moves:
            if agrees(node.state, judged, move):
                following = with_path(node, move.label, partial(self._deliver, node, judged, move))
                if following is not None:
                    self._reach(following)
        for label, turn in self._turns(node, judged):
            self._reach(with_path(node, label, turn))
        with_path(node, "all of that", lambda: check_pure(node))

    def _deliver(self, node: Node, was: Judged, move: Move) -> Node | None:
        """Decides one delivery; None if it reports nothing new."""
        foreseen = foresee(node.state, was, move)
        decision = transitions.decide(node.record, move.facts, NOW)
        self.decisions += 1
        check_untouched(node.record, decision.record)
        if foreseen is None:
            self.old_news += 1
            assert not decision.changed, "I8: old news is stored"
            assert decision.record == node.record, "I8: old news changed the record"
            assert not decision.recorded, "I8: old news recorded an event"
            return None
        return self._changed(node, decision, foreseen, move.label)

    def _turns(self, node: Node, judged: Judged) -> Iterator[tuple[str, Callable[[], Node]]]:
        """Other events of an order besides deliveries."""
        if node.state.kind == "unknown":
            for successor in (None, OTHER_ORDER_ID):
                label = "found to be ours" if successor is None else "found to be ours, of an application that is paid"
                yield label, partial(self._adopt, node, successor, label)
        elif may_be_superseded(node.state, judged):
            yield "superseded", partial(self._supersede, node, judged)
        for kind, at in EXPIRIES.items():
            label = f"expired, {kind}"
            if may_expire(node.state, judged):
                yield label, partial(self._expire, node, kind, label)
            else:
                assert node.state.kind in EXPIRIES or not expire(node.record, at).changed, "a paid order expired"

    def _adopt(self, node: Node, successor: str | None, label: str) -> Node:
        """As if all its known facts arrived now."""
        kind = "open" if successor is None else "superseded"
        nothing = State(kind, tuple(_NOTHING for _ in node.state.payments))
        foreseen = told_of(nothing, judge(nothing), node.state._replace(kind=kind))
        decision = transitions.adopt(node.record, ORDER, OPENED, NOW, superseded_by=successor)
        self.decisions += 1
        after = decision.record
        assert (after.order, after.order_id, after.created_at, after.expires_at, after.superseded_by) == (
            ORDER,
            node.record.order_id,
            iso(OPENED),
            None,
            successor,
        ), "I1: the order is not what was found"
        return self._changed(node, decision, foreseen, label)

    def _supersede(self, node: Node, was: Judged) -> Node:
        """Sends no event, and changes only how a later capture counts."""
        record = transitions.supersede(node.record, OTHER_ORDER_ID, NOW)
        state = node.state._replace(kind="superseded")
        assert observed(record, len(state.payments)) == state, "I5: superseding an order changed its facts"
        assert word(record) == judge(state).status, f"I6: superseded, {was.status} became {word(record)}"
        assert record.version == node.record.version + 1, "I2: a stored change keeps its version"
        assert record.pending == node.record.pending, "I9: superseding an order touched its events"
        return Node(replace(record, history=()), state, (*node.path, "superseded"), node.told)

    def _expire(self, node: Node, kind: str, label: str) -> Node:
        """Tells so, and changes only how a payment made afterwards counts."""
        state = node.state._replace(kind=kind)
        foreseen = Foreseen(state, judge(state), frozenset({Told("payment.expired", "")}))
        decision = expire(node.record, EXPIRIES[kind])
        assert decision.record.status is node.record.status, "an expiry changed the status"
        assert not expire(decision.record, EXPIRIES[kind]).changed, "I11: an order expired twice"
        return self._changed(node, decision, foreseen, label)

    def _changed(self, node: Node, decision: Decision, foreseen: Foreseen, label: str) -> Node:
        check_change(node.record, decision, foreseen)
        check_life(node.told, foreseen)
        self._compare(foreseen)
        self.steps[node.record.status, decision.record.status] += 1
        # This step's events are still pending when the next one arrives; earlier ones have been published.
        pending = {identity: decision.record.pending[identity] for identity in decision.recorded}
        record = replace(decision.record, history=(), pending=pending)
        return Node(record, foreseen.state, (*node.path, label), node.told | foreseen.told)

    def _compare(self, foreseen: Foreseen) -> None:
        """I6: with at most one captured payment, the end does not depend on the way."""
        state = foreseen.state
        if sum(payment.capture != NOT for payment in state.payments) > 1:
            return
        alone = tuple(payment._replace(announced=False, reviews=()) for payment in state.payments)
        facts = State(state.kind, alone)
        # An operator's decision counts from when it is made.
        accepted = any(payment.accepted for payment in alone)
        end = (foreseen.judged.status, state.stood >= 0, returned_of_stood(state) + deducted_of_stood(state))
        known = self.ends.setdefault(facts, end)
        self.met_again += known is not end
        assert accepted or known == end, f"I6: the same facts end as {known} and as {end}"


def with_path[T](node: Node, label: str, step: Callable[[], T]) -> T:
    """Takes one step; if it breaks an invariant, the message says how to get there.

    Raises:
        AssertionError: as the step did.
    """
    try:
        return step()
    except AssertionError as broken:
        raise AssertionError(f"{broken}\nTo see it again: {'; '.join((*node.path, label))}.") from broken


def check_pure(node: Node) -> None:
    """A decision does not modify the given record."""
    seen = observed(node.record, len(node.state.payments))
    assert seen == node.state, "the decision changed the record that it was given"


# --- the campaign ---------------------------------------------------------------------------------------------------

_WIDTH: Final = 2_000
"""About how many records each depth has; a sample takes equally many of each, so that it reaches the deepest."""
_WALKS: Final = 20_000
_STEPS_OF_A_WALK: Final = 60

INVARIANTS: Final = "I1, I2, I3, I4, I5, I6, I7, I8, I9, I11, I12, I13"


def run(budget: Budget, progress: Progress) -> Report:
    """Reaches every record of each world, or with a share below 1 a sample of each depth; then takes random walks.

    Raises:
        AssertionError: an invariant is broken, or (in a full run) a transition of the table is never taken.
    """
    whole = budget.share >= 1
    explored = []
    for world in WORLDS:
        room = None if whole else max(1, ceil(budget.share * _WIDTH))
        # Not for secrets: the same sample must be reproducible.
        exploration = Exploration(world, room, random.Random(budget.seed), progress)  # noqa: S311
        exploration.run()
        explored.append(exploration)
    ways = Exploration(EVERYTHING, draw=random.Random(budget.seed))  # noqa: S311 - as above
    number = max(1, round(_WALKS * budget.share))
    for done in range(number):
        ways.walk(_STEPS_OF_A_WALK)
        if done % 100 == 0:
            progress(done, number)
    progress(number, number)
    explored.append(ways)
    if whole:
        check_all_taken(explored)
    return report(explored, whole=whole)


def check_all_taken(explored: Iterable[Exploration]) -> None:
    """Every transition of the table was taken."""
    taken = {step for exploration in explored for step in exploration.steps}
    never = [
        f"{before} to {after}" for before, row in TRANSITIONS.items() for after in row if (before, after) not in taken
    ]
    assert not never, f"I2: nothing leads from {'; '.join(sorted(never))}"


def report(explored: Sequence[Exploration], *, whole: bool) -> Report:
    """The report of a run."""
    steps = sum((exploration.steps for exploration in explored), Counter[tuple[Status, Status]]())
    return Report(
        title="Reachability of the decision",
        what=(
            f"{'Every record' if whole else 'A sample of the records'} that the decision can reach in five worlds, "
            "breadth first: one payment with every fact there is but disputes, two payments with all that moves money, "
            "two with all that promises it, one that is disputed, and two of which each may be lost. "
            "In each of them every possible next delivery was decided, old news included; orders "
            "were superseded or expired, before or after the payments were made, and unknown ones found to be ours. "
            "Then random ways through all facts together. Each "
            "step did what a model written from the design foresaw: the facts kept, the status, the payment that "
            "stands, the events, the reviews opened and closed; and none left the table of transitions. Invariants "
            f"checked on every step: {INVARIANTS}. Records that differ only in which payment has which name count as "
            "one."
        ),
        figures={
            "records reached": sum(len(exploration.reached) for exploration in explored),
            "records decided upon": sum(exploration.expanded for exploration in explored[:-1]),
            "longest way to a new record, in steps": max(exploration.depth for exploration in explored),
            "random ways": explored[-1].expanded,
            "decisions": sum(exploration.decisions for exploration in explored),
            "steps to another state, all of them foreseen": steps.total(),
            "the same facts met after another way, with the same end": sum(one.met_again for one in explored),
            "decisions on old news, none of which changed anything": sum(one.old_news for one in explored),
        },
    )
