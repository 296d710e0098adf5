"""Every record that the decision can reach, and every step it can take from there, held to the invariants.

The facts are all that can be said of two Razorpay payments and two refunds. A model of the record, written here from
the design and sharing nothing with the code, foresees each step: the facts kept, the status, the events. Breadth first,
each delivery is decided on each record that was reached; whatever differs from the model, or breaks an invariant, is an
AssertionError that says the shortest way there.

Why the reached states are all there are, though only one record of each is decided upon:

* A state leaves out times, version, history, and which reviews and events went before: what is kept, decided and told
  next depends on none of them. What is said of a whole life (one `payment.paid`, one event for each id, n captures and
  n-1 reviews) is checked step by step too: an event is foreseen only where something turns true for good, so no path
  can see it twice.
* Records that differ only in which payment is called A and which refund is called 1 are one state. Names break ties in
  what an event is about, never in what is kept; one step of each state is repeated under other names to prove it.
* The status is compared with the five rules over the facts alone, which know no order; so is what is kept. That the
  order of deliveries does not matter follows, but for `refunded`, which is final.
"""

import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from math import ceil
from typing import Final, NamedTuple

from payments.core import transitions
from payments.core.instants import iso
from payments.core.model import (
    Attempt,
    Authorized,
    Captured,
    Fact,
    Failed,
    Record,
    Refunded,
    RefundState,
    Signed,
    Status,
)
from payments.core.transitions import Decision, amount_refunded, unknown_record
from tests.core.story import AMOUNT, OPENED, ORDER, ORDER_ID, REFUND_1, REFUND_2, A, B, opened, superseded
from tests.faults.campaigns import Budget, Progress, Report

NOW: Final = OPENED + 60
# Past the last due time (72 hours): what is not captured by then never will be.
LATE: Final = OPENED + 73 * 60 * 60

PAYMENTS: Final = (A, B)
REFUNDS: Final = (REFUND_1, REFUND_2)

# Two halves are a full refund, a half and a full one too much.
HALF: Final = AMOUNT // 2
AMOUNTS: Final = {HALF: "half", AMOUNT: "full"}

NOT, RIGHT, WRONG_SUM, WRONG_CURRENCY = range(4)
SUMS: Final = {
    RIGHT: (AMOUNT, "INR"),
    # A little less than agreed, so that a full refund pays back more than was captured.
    WRONG_SUM: (AMOUNT - 1, "INR"),
    WRONG_CURRENCY: (AMOUNT, "USD"),
}
CAPTURES: Final = {RIGHT: "the right sum", WRONG_SUM: "a wrong sum", WRONG_CURRENCY: "a wrong currency"}
STATES: Final = (RefundState.CREATED, RefundState.FAILED, RefundState.PROCESSED)
PROCESSED: Final = 2


# --- the model ------------------------------------------------------------------------------------------------------


class Payment(NamedTuple):
    """What is kept of one Razorpay payment."""

    signed: bool = False
    authorized: bool = False
    failed: bool = False
    capture: int = NOT
    announced: bool = False
    """Its failure was."""


class Back(NamedTuple):
    """What is kept of one refund."""

    payment: int = -1
    """The index of the payment it pays back; -1 while nothing is known of it."""
    amount_minor: int = 0
    reached: int = -1
    """The index in `STATES`."""


class State(NamedTuple):
    """Everything about a record that decides what becomes of it."""

    kind: str
    """`open`, `superseded` or `unknown`."""
    refunded: bool
    """It was once: final, whatever is captured later."""
    payments: tuple[Payment, Payment]
    refunds: tuple[Back, Back]


class Judged(NamedTuple):
    """What follows from the facts, by the five rules; payments and refunds by their index."""

    right: tuple[int, ...]
    wrong: tuple[int, ...]
    given_back: tuple[int, ...]
    """Never captured, and yet refunded."""
    failed: tuple[int, ...]
    effective: tuple[int, ...]
    """Refunds that are processed, of a capture of the right sum."""
    over: tuple[int, ...]
    """Captured payments of which more came back than was captured."""
    amount_refunded: int
    """In minor units, of the captures of the right sum."""
    status: str
    """As the table has it: `paid°` is paid and not confirmed."""


class Told(NamedTuple):
    """An event: its type, what it is about, and of a review its reason."""

    event: str
    subject: str
    reason: str = ""


class Move(NamedTuple):
    """One delivery, and what it adds to the facts."""

    label: str
    facts: tuple[Fact, ...]
    payment: int
    adds: str = ""
    """`signed`, `authorized` or `failed`."""
    capture: int = NOT
    refund: int = -1
    back: Back = Back()


class Foreseen(NamedTuple):
    """What the model expects of one step."""

    state: State
    judged: Judged
    told: frozenset[Told]


def judge(state: State) -> Judged:
    back = [0, 0]
    for refund in state.refunds:
        if refund.reached == PROCESSED:
            back[refund.payment] += refund.amount_minor
    right, wrong, given_back, failed, over = list[int](), list[int](), list[int](), list[int](), list[int]()
    for p, payment in enumerate(state.payments):
        if payment.failed:
            failed.append(p)
        if payment.capture != NOT:
            (right if payment.capture == RIGHT else wrong).append(p)
            if back[p] > SUMS[payment.capture][0]:
                over.append(p)
        elif back[p]:
            given_back.append(p)
    return Judged(
        right=tuple(right),
        wrong=tuple(wrong),
        given_back=tuple(given_back),
        failed=tuple(failed),
        effective=tuple([r for r, refund in enumerate(state.refunds) if is_effective(refund, right)]),
        over=tuple(over),
        amount_refunded=sum([back[p] for p in right]),
        status=status_of(state, right, back),
    )


def is_effective(refund: Back, right: Sequence[int]) -> bool:
    return refund.reached == PROCESSED and refund.payment in right


def status_of(state: State, right: Sequence[int], back: Sequence[int]) -> str:
    if state.kind == "unknown":
        return "unknown"
    if state.refunded:
        return "refunded"
    if right:
        return "paid" if any(back[p] < AMOUNT for p in right) else "refunded"
    # A capture of a wrong sum is still a capture: its refund is not an automatic one.
    alive = [payment for p, payment in enumerate(state.payments) if payment.capture != NOT or not back[p]]
    if any(payment.signed for payment in alive):
        return "paid°"
    if any(payment.authorized for payment in alive):
        return "authorized"
    return "failed" if len(alive) < len(PAYMENTS) or any(payment.failed for payment in alive) else "created"


def foresee(before: State, was: Judged, move: Move) -> Foreseen | None:
    """What a delivery must lead to; None where it says nothing new."""
    grown = with_facts(before, move)
    if grown == before:
        return None
    return told_of(before, was, grown)


def with_facts(state: State, move: Move) -> State:
    """The facts with those of the delivery: nothing is forgotten, a refund never goes back to a lower state."""
    payment = state.payments[move.payment]
    if move.adds:
        payment = payment._replace(**{move.adds: True})
    if move.capture != NOT and payment.capture == NOT:
        payment = payment._replace(capture=move.capture)
    refunds = state.refunds
    if move.refund >= 0 and move.back.reached > refunds[move.refund].reached:
        refunds = (move.back, refunds[1]) if move.refund == 0 else (refunds[0], move.back)
    payments = (payment, state.payments[1]) if move.payment == 0 else (state.payments[0], payment)
    return State(state.kind, state.refunded, payments, refunds)


def told_of(before: State, was: Judged, grown: State) -> Foreseen:
    """What a change must tell: each event where something about the facts turns true for good, and only there."""
    now = judge(grown)
    if grown.kind == "unknown":
        return Foreseen(grown, now, frozenset())
    told = {*captures_told(before, was, now, grown), *refunds_told(before, was, now, grown)}
    payments = list(grown.payments)
    if now.status == "failed":
        news = set(now.failed) - set(was.failed)
        if was.status != "failed":
            news |= set(now.given_back) - set(was.given_back)
        for p in news:
            if not payments[p].announced:
                payments[p] = payments[p]._replace(announced=True)
                told.add(Told("payment.failed", PAYMENTS[p]))
    after = State(grown.kind, now.status == "refunded", (payments[0], payments[1]), grown.refunds)
    return Foreseen(after, now, frozenset(told))


def captures_told(before: State, was: Judged, now: Judged, grown: State) -> Iterator[Told]:
    for p in now.wrong:
        if before.payments[p].capture == NOT:
            wrong_sum = grown.payments[p].capture == WRONG_SUM
            yield Told("payment.review", PAYMENTS[p], "amount_mismatch" if wrong_sum else "currency_mismatch")
    known = bool(was.right)
    for p in now.right:
        if p in was.right:
            continue
        if known:
            yield Told("payment.review", PAYMENTS[p], "duplicate_capture")
        elif grown.kind == "superseded":
            yield Told("payment.review", PAYMENTS[p], "superseded_order")
        elif now.status == "paid":
            yield Told("payment.paid", PAYMENTS[p])
        known = True


def refunds_told(before: State, was: Judged, now: Judged, grown: State) -> Iterator[Told]:
    news = [r for r in now.effective if r not in was.effective]
    if now.status == "refunded" and not before.refunded:
        # Where several complete it at once, any of them would do; the service names the last.
        yield Told("payment.refunded", REFUNDS[news[-1]])
    elif now.status == "paid":
        for r in news:
            yield Told("payment.partially_refunded", REFUNDS[r])
    for p in now.over:
        if p not in was.over:
            last = max(r for r in (0, 1) if grown.refunds[r].payment == p and grown.refunds[r].reached == PROCESSED)
            yield Told("payment.review", REFUNDS[last], "over_refunded")


def observed(record: Record) -> State:
    """A record as a state.

    Raises:
        AssertionError: it holds something that no delivery said.
    """
    assert set(record.attempts) <= set(PAYMENTS), "I5: a payment that nobody spoke of"
    assert set(record.refunds) <= set(REFUNDS), "I5: a refund that nobody spoke of"
    kind = "unknown" if record.order is None else "open" if record.superseded_by is None else "superseded"
    return State(
        kind,
        record.status is Status.REFUNDED,
        (observed_payment(record.attempts.get(A)), observed_payment(record.attempts.get(B))),
        (observed_refund(record, REFUND_1), observed_refund(record, REFUND_2)),
    )


_NOTHING: Final = Payment()
_BY_SUM: Final[dict[tuple[int | None, str | None], int]] = {
    (None, None): NOT,
    **{agreed: capture for capture, agreed in SUMS.items()},
}


def observed_payment(attempt: Attempt | None) -> Payment:
    if attempt is None:
        return _NOTHING
    capture = _BY_SUM.get((attempt.amount_minor, attempt.currency))
    assert capture is not None, "I5: a sum that nobody spoke of"
    assert attempt.captured == (capture != NOT), "I5: a capture and its sum do not belong together"
    return Payment(attempt.signed, attempt.authorized, attempt.failed, capture, attempt.announced)


_NO_REFUND: Final = Back()
_RANK: Final = {state: rank for rank, state in enumerate(STATES)}


def observed_refund(record: Record, refund: str) -> Back:
    kept = record.refunds.get(refund)
    if kept is None:
        return _NO_REFUND
    return Back(PAYMENTS.index(kept.payment_id), kept.amount_minor, _RANK[kept.state])


def word(record: Record) -> str:
    """The status as the table has it."""
    unconfirmed = record.status is Status.PAID and not record.confirmed
    return "paid°" if unconfirmed else record.status.value


# --- deliveries -----------------------------------------------------------------------------------------------------


def moves() -> Iterator[Move]:
    """Every delivery there can be. A refund's may also say that its payment is captured, as Razorpay's do."""
    for p, payment in enumerate(PAYMENTS):
        name = "AB"[p]
        yield Move(f"{name} signed", (Signed(payment=payment),), p, "signed")
        yield Move(f"{name} authorized", (Authorized(payment=payment),), p, "authorized")
        yield Move(f"{name} failed", (Failed(payment=payment),), p, "failed")
        for capture in SUMS:
            yield Move(f"{name} captured, {CAPTURES[capture]}", (captured(payment, capture),), p, "", capture)
        for r, refund in enumerate(REFUNDS):
            for amount_minor, size in AMOUNTS.items():
                for reached, state in enumerate(STATES):
                    fact = Refunded(payment=payment, refund=refund, amount_minor=amount_minor, state=state)
                    back = Back(p, amount_minor, reached)
                    label = f"{size} refund {r + 1} of {name} {state.value}"
                    yield Move(label, (fact,), p, "", NOT, r, back)
                    for capture in SUMS:
                        facts = (captured(payment, capture), fact)
                        yield Move(f"{label} ({name} captured, {CAPTURES[capture]})", facts, p, "", capture, r, back)


def captured(payment: str, capture: int) -> Captured:
    amount_minor, currency = SUMS[capture]
    return Captured(payment=payment, amount_minor=amount_minor, currency=currency)


MOVES: Final = tuple(moves())
_MOVES_BY: Final[dict[tuple[int, int, Back, Back], tuple[Move, ...]]] = {}


def deliveries(state: State) -> tuple[Move, ...]:
    """What may arrive next: anything, old news included, that does not contradict what Razorpay said before.

    One payment is captured with one sum; one refund is of one payment and one amount. A refund of a capture that is
    known says it again, as Razorpay's do; a refund that is old news brings no capture that would not come alone.
    """
    (a, b), (first, second) = state.payments, state.refunds
    key = (a.capture, b.capture, first, second)
    known = _MOVES_BY.get(key)
    if known is None:
        known = _MOVES_BY[key] = tuple(move for move in MOVES if agrees(state, move))
    return known


def agrees(state: State, move: Move) -> bool:
    known = state.payments[move.payment].capture
    if known not in {NOT, move.capture} and (move.capture != NOT or move.refund >= 0):
        return False
    if move.refund < 0:
        return True
    kept = state.refunds[move.refund]
    if known == NOT and move.capture != NOT and move.back.reached <= kept.reached:
        return False
    return kept.payment < 0 or (kept.payment, kept.amount_minor) == (move.back.payment, move.back.amount_minor)


# --- names ----------------------------------------------------------------------------------------------------------


def exchanged(state: State, *, payments: bool, refunds: bool) -> State:
    """The state with A called B and B called A, refund 1 called 2 and 2 called 1."""
    first, second = state.refunds
    if payments:
        state = state._replace(payments=(state.payments[1], state.payments[0]))
        first, second = other(first), other(second)
    return state._replace(refunds=(second, first) if refunds else (first, second))


def other(refund: Back) -> Back:
    return refund if refund.payment < 0 else refund._replace(payment=1 - refund.payment)


def canonical(state: State) -> State:
    """One state for all that differ only in names."""
    a, b = state.payments
    if a != b:
        exchange = exchanged(state, payments=True, refunds=False) if a > b else state
        first, second = exchange.refunds
        return exchange if first <= second else exchange._replace(refunds=(second, first))
    candidates = []
    for payments in (False, True):
        named = exchanged(state, payments=payments, refunds=False)
        candidates.append(named._replace(refunds=(min(named.refunds), max(named.refunds))))
    return min(candidates)


# --- the steps ------------------------------------------------------------------------------------------------------


class Node(NamedTuple):
    """A record that was reached, and how."""

    record: Record
    state: State
    path: tuple[str, ...]
    told: frozenset[Told] = frozenset()
    """Every event on the way."""


def check_change(before: Record, decision: Decision, foreseen: Foreseen) -> None:
    """What holds for every change of a record, against the model and in itself."""
    after = decision.record
    assert decision.changed, "I5: news is not stored"
    check_status(before, after, foreseen.judged)
    assert observed(after) == foreseen.state, f"I5: the record holds {observed(after)}, not {foreseen.state}"
    assert after.version == before.version + 1, f"I2: version {before.version} became {after.version}"
    check_told(before, decision, foreseen)
    check_reviews(before, after, foreseen)
    check_due(after)


def check_status(before: Record, after: Record, judged: Judged) -> None:
    assert not before.confirmed or after.confirmed, "I3: a confirmed payment became unconfirmed"
    assert word(before) != "refunded" or word(after) == "refunded", f"I3: refunded became {word(after)}"
    assert not after.confirmed or judged.right, "I4: confirmed without a capture of what was agreed"
    assert word(after) != "paid°" or any(attempt.signed for attempt in after.attempts.values()), (
        "I4: paid without a checkout signature"
    )
    assert word(after) == judged.status, f"I6: the status is {word(after)}, the facts say {judged.status}"
    assert after.confirmed == (after.order is not None and bool(judged.right)), (
        "I6: confirmed is not what the facts say"
    )
    refunded = amount_refunded(after)
    expected = judged.amount_refunded if after.order is not None else 0
    assert refunded == expected, f"I6: {refunded} came back, the facts say {expected}"


_IDENTITIES: Final[dict[str, Told]] = {}


def check_told(before: Record, decision: Decision, foreseen: Foreseen) -> None:
    """I9 to I12: exactly the events that the model foresees, each stored under an id of its own, none taken away."""
    after = decision.record
    told: list[Told] = []
    for identity in decision.recorded:
        event = after.pending[identity]
        what = Told(event.type, event.refund or event.payment or "", event.review or "")
        assert _IDENTITIES.setdefault(identity, what) == what, f"I12: {what} has the id of another event"
        assert identity not in before.pending, f"I12: {what} is recorded a second time"
        stamp = (event.version, event.at, event.status, event.refunded_minor)
        assert stamp == (after.version, after.updated_at, after.status, foreseen.judged.amount_refunded), (
            f"I12: {what} does not say what the record says"
        )
        told.append(what)
    assert len(set(told)) == len(told), "I11: one event has two ids"
    assert set(told) == foreseen.told, f"I11: told {sorted(told)}, and not {sorted(foreseen.told)}"
    assert len(after.pending) == len(before.pending) + len(told), "I9: an event is pending that was not recorded"
    for identity, event in before.pending.items():
        assert after.pending.get(identity) == event, "I9: a pending event was lost or changed"


def check_life(before: frozenset[Told], foreseen: Foreseen) -> None:
    """I6 and I11: what was told of the money from the beginning, whatever came first.

    While an order is paid, that is the payment and each of its refunds that counts, once. A refunded order was
    announced as such, once; whether as paid and refunded in part before depends on what arrived together.
    """
    assert not before & foreseen.told, f"I12: {sorted(before & foreseen.told)} is told a second time"
    told = before | foreseen.told
    judged = foreseen.judged
    paid = [what for what in told if what.event == "payment.paid" or what.reason == "superseded_order"]
    partial = {what.subject for what in told if what.event == "payment.partially_refunded"}
    full = [what.subject for what in told if what.event == "payment.refunded"]
    effective = {REFUNDS[refund] for refund in judged.effective}
    assert len(paid) <= 1, "I11: paid is told twice"
    assert {what.subject for what in paid} <= {PAYMENTS[p] for p in judged.right}, "I4: paid is told of no capture"
    assert len(full) == (judged.status == "refunded"), f"I11: {judged.status}, and told {len(full)} times as refunded"
    assert {*partial, *full} <= effective, "I13: a refund is told that does not count"
    if judged.status == "paid":
        assert len(paid) == 1, "I6: a paid order was not announced"
        assert partial == effective, "I6: not each refund that counts was announced"


def check_reviews(before: Record, after: Record, foreseen: Foreseen) -> None:
    """I7 and I13, in the record and in its events."""
    assert after.reviews[: len(before.reviews)] == before.reviews, "I7: a review was taken back"
    new = {Told("payment.review", review.subject, review.reason) for review in after.reviews[len(before.reviews) :]}
    assert new == {told for told in foreseen.told if told.reason}, "I7: reviews and their events differ"
    if after.order is None:
        return
    reasons = Counter(review.reason for review in after.reviews)
    captures = len(foreseen.judged.right)
    assert reasons["duplicate_capture"] == max(0, captures - 1), (
        f"I7: {captures} captures and {reasons['duplicate_capture']} reviews of a duplicate"
    )
    assert reasons["over_refunded"] == len(foreseen.judged.over), "I13: more came back than was captured, unreviewed"


def check_due(after: Record) -> None:
    """What is pending, open or unknown has a due time; nothing else does."""
    waits = bool(after.pending) or word(after) in {"unknown", "created", "authorized", "failed", "paid°"}
    assert (after.attention_at is not None) == waits, "I9: nothing would bring reconcile to what is left to do"


def check_untouched(before: Record, after: Record) -> None:
    """I1, whatever was delivered."""
    assert (after.order_id, after.order, after.created_at, after.superseded_by, after.expires_at) == (
        before.order_id,
        before.order,
        before.created_at,
        before.superseded_by,
        before.expires_at,
    ), "I1: what never changes changed"


# --- the table of the design ----------------------------------------------------------------------------------------

# By the status before; `=` where it stays. In brackets what is told: a superseded order's review stands for `paid`,
# `review` for a duplicate or a mismatch. `over_refunded` is left out: it comes with any sum that is one too many (I13).
# Where a cell has several outcomes, the others are of the same cell of the design:
#   * `failed` without an event: the failure of that payment was announced before, and is announced once;
#   * `failed` on `failed`: an event only for a payment whose failure was not announced;
#   * an automatic refund fails the order unless another payment is alive;
#   * a refund of one of two captures may bring the second capture with it, which is reviewed.
DESIGN: Final = """
created    | signed               | paid°
created    | authorized           | authorized
created    | captured, right sum  | paid [paid]
created    | captured, wrong sum  | = [review]
created    | failed               | failed [failed] / failed
created    | refund, part         | paid [paid, partially_refunded]
created    | refund, all          | refunded [refunded]
created    | auto-refund          | failed [failed]
failed     | signed               | paid°
failed     | authorized           | authorized
failed     | captured, right sum  | paid [paid]
failed     | captured, wrong sum  | = [review]
failed     | failed               | = [failed] / =
failed     | refund, part         | paid [paid, partially_refunded]
failed     | refund, all          | refunded [refunded]
failed     | auto-refund          | =
authorized | signed               | paid°
authorized | authorized           | =
authorized | captured, right sum  | paid [paid]
authorized | captured, wrong sum  | = [review]
authorized | failed               | =
authorized | refund, part         | paid [paid, partially_refunded]
authorized | refund, all          | refunded [refunded]
authorized | auto-refund          | failed [failed] / failed / =
paid°      | signed               | =
paid°      | authorized           | =
paid°      | captured, right sum  | paid [paid]
paid°      | captured, wrong sum  | = [review]
paid°      | failed               | =
paid°      | refund, part         | paid [paid, partially_refunded]
paid°      | refund, all          | refunded [refunded]
paid°      | auto-refund          | failed [failed] / failed / authorized / =
paid       | signed               | =
paid       | authorized           | =
paid       | captured, right sum  | = [review]
paid       | captured, wrong sum  | = [review]
paid       | failed               | =
paid       | refund, part         | = [partially_refunded] / = [partially_refunded, review]
paid       | refund, all          | refunded [refunded]
paid       | auto-refund          | =
refunded   | signed               | =
refunded   | authorized           | =
refunded   | captured, right sum  | = [review]
refunded   | captured, wrong sum  | = [review]
refunded   | failed               | =
refunded   | refund, part         | = / = [review]
refunded   | refund, all          | = / = [review]
refunded   | auto-refund          | =
"""

# What the design's table leaves to its five rules: refunds that moved nothing yet, or came out of a capture of a wrong
# sum; whatever is said of a payment after it was given back, above all its capture, for then it was no automatic refund
# and the payment counts again; and orders that were known from a webhook alone.
IMPLIED: Final = """
created    | refund begun                    | =
created    | refund of a wrong sum           | = / = [review]
failed     | signed, given back              | =
failed     | authorized, given back          | =
failed     | failed, given back              | = / = [failed]
failed     | captured, right sum, given back | paid [paid, partially_refunded] / refunded [refunded]
failed     | captured, wrong sum, given back | = [review] / authorized [review] / created [review] / paid° [review]
failed     | refund begun                    | =
failed     | refund of a wrong sum           | = / = [review]
authorized | signed, given back              | =
authorized | authorized, given back          | =
authorized | failed, given back              | =
authorized | captured, right sum, given back | paid [paid, partially_refunded] / refunded [refunded]
authorized | captured, wrong sum, given back | = [review] / paid° [review]
authorized | refund begun                    | =
authorized | refund of a wrong sum           | = / = [review]
paid°      | signed, given back              | =
paid°      | authorized, given back          | =
paid°      | failed, given back              | =
paid°      | captured, right sum, given back | paid [paid, partially_refunded] / refunded [refunded]
paid°      | captured, wrong sum, given back | = [review]
paid°      | refund begun                    | =
paid°      | refund of a wrong sum           | = / = [review]
paid       | signed, given back              | =
paid       | authorized, given back          | =
paid       | failed, given back              | =
paid       | captured, right sum, given back | = [partially_refunded, review]
paid       | captured, wrong sum, given back | = [review]
paid       | refund begun                    | =
paid       | refund of a wrong sum           | = / = [review]
refunded   | signed, given back              | =
refunded   | authorized, given back          | =
refunded   | failed, given back              | =
refunded   | captured, right sum, given back | = [review]
refunded   | captured, wrong sum, given back | = [review]
refunded   | refund begun                    | =
refunded   | refund of a wrong sum           | = / = [review]
unknown    | anything                        | =
unknown    | adopted                         | authorized
unknown    | adopted                         | authorized [review]
unknown    | adopted                         | created
unknown    | adopted                         | created [review]
unknown    | adopted                         | failed [failed, review]
unknown    | adopted                         | failed [failed]
unknown    | adopted                         | paid [paid, partially_refunded, review]
unknown    | adopted                         | paid [paid, partially_refunded]
unknown    | adopted                         | paid [paid, review]
unknown    | adopted                         | paid [paid]
unknown    | adopted                         | paid°
unknown    | adopted                         | paid° [review]
unknown    | adopted                         | refunded [refunded, review]
unknown    | adopted                         | refunded [refunded]
"""


def column(move: Move, before: State, was: Judged, foreseen: Foreseen) -> str:
    """Which column of the table a delivery that brought news belongs to."""
    if before.kind == "unknown":
        return "anything"
    given_back = ", given back" if move.payment in was.given_back else ""
    if move.adds:
        return move.adds + given_back
    capture = foreseen.state.payments[move.payment].capture
    processed = move.refund >= 0 and move.back.reached == PROCESSED
    if before.payments[move.payment].capture != capture and (given_back or not processed):
        return f"captured, {'right' if capture == RIGHT else 'wrong'} sum{given_back}"
    return refund_column(capture, foreseen) if processed else "refund begun"


def refund_column(capture: int, foreseen: Foreseen) -> str:
    if capture == NOT:
        return "auto-refund"
    if capture != RIGHT:
        return "refund of a wrong sum"
    return "refund, all" if all_back(foreseen) else "refund, part"


def all_back(foreseen: Foreseen) -> bool:
    processed = [refund for refund in foreseen.state.refunds if refund.reached == PROCESSED]
    back = [sum(refund.amount_minor for refund in processed if refund.payment == p) for p in (0, 1)]
    return all(back[p] >= AMOUNT for p in foreseen.judged.right)


_IN_TABLE: Final = {
    "duplicate_capture": "review",
    "amount_mismatch": "review",
    "currency_mismatch": "review",
}


def outcome(before: str, foreseen: Foreseen) -> str:
    """What a step led to, in the table's words."""
    told = {
        _IN_TABLE[what.reason] if what.reason else what.event.removeprefix("payment.")
        for what in foreseen.told
        if what.reason not in {"over_refunded", "superseded_order"}
    }
    # Refunded at once, a superseded order is reviewed too, where another one tells nothing of having been paid.
    if foreseen.judged.status == "paid" and any(what.reason == "superseded_order" for what in foreseen.told):
        told.add("paid")
    after = "=" if foreseen.judged.status == before else foreseen.judged.status
    return f"{after} [{', '.join(sorted(told))}]" if told else after


def outcomes(text: str) -> Iterator[tuple[str, str, str]]:
    """Row, column and outcome of each outcome that a table allows."""
    for line in text.strip().splitlines():
        row, name, allowed = (part.strip() for part in line.split("|"))
        for one in allowed.split(" / "):
            yield row, name, one.strip()


ALLOWED: Final = frozenset({*outcomes(DESIGN), *outcomes(IMPLIED)})


# --- the exploration ------------------------------------------------------------------------------------------------

STARTS: Final = (
    Node(opened(), observed(opened()), ("an open order",)),
    Node(superseded(), observed(superseded()), ("a superseded order",)),
    Node(unknown_record(ORDER_ID, OPENED), observed(unknown_record(ORDER_ID, OPENED)), ("an order nobody knows",)),
)


@dataclass
class Exploration:
    """What has been reached, breadth first, and what was seen on the way."""

    room: int | None = None
    """How many records of each depth are decided upon, drawn at random; all of them if None."""
    draw: random.Random = field(default_factory=random.Random)
    progress: Progress = lambda done, of: None  # noqa: ARG005 - nobody listens
    reached: set[State] = field(default_factory=set)
    statuses: Counter[str] = field(default_factory=Counter)
    cells: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    expanded: int = 0
    decisions: int = 0
    old_news: int = 0
    depth: int = 0
    _found: list[Node] = field(default_factory=list)

    def run(self, starts: Iterable[Node] = STARTS) -> None:
        """Goes on until nothing new is reached.

        Raises:
            AssertionError: an invariant is broken; the message has the shortest way to see it that was found.
        """
        for start in starts:
            self._reach(start)
        while self._found:
            level, self._found = self._found, []
            if self.room is not None and len(level) > self.room:
                level = self.draw.sample(level, self.room)
            for node in level:
                self._expand(node)
                self.expanded += 1
                if self.expanded % 1000 == 0:
                    self.progress(self.expanded, len(self.reached))
            self.depth += bool(self._found)
        self.progress(self.expanded, self.expanded if self.room is not None else len(self.reached))

    def _reach(self, node: Node) -> None:
        name = canonical(node.state)
        if name not in self.reached:
            self.reached.add(name)
            self.statuses[word(node.record)] += 1
            self._found.append(node)

    def _expand(self, node: Node) -> None:
        was = judge(node.state)
        possible = deliveries(node.state)
        for move in possible:
            with_path(node, move.label, partial(self._deliver, node, was, move))
        with_path(node, "the same under other names", lambda: self._under_other_names(node, len(possible)))
        if node.state.kind == "unknown":
            with_path(node, "found to be ours", lambda: self._adopt(node))
        else:
            with_path(node, "settled for the last time", lambda: self._settle(node, was))
        with_path(node, "all of that", lambda: check_pure(node))

    def _deliver(self, node: Node, was: Judged, move: Move) -> None:
        foreseen = foresee(node.state, was, move)
        decision = self._decide(node.record, move, foreseen)
        if foreseen is None:
            return
        check_life(node.told, foreseen)
        self._count(was.status, column(move, node.state, was, foreseen), foreseen)
        self._keep(node, decision, foreseen, move.label)

    def _decide(self, record: Record, move: Move, foreseen: Foreseen | None) -> Decision:
        decision = transitions.decide(record, move.facts, NOW)
        self.decisions += 1
        check_untouched(record, decision.record)
        if foreseen is None:
            self.old_news += 1
            assert not decision.changed, "I8: old news is stored"
            assert decision.record == record, "I8: old news changed the record"
            assert not decision.recorded, "I8: old news recorded an event"
        else:
            check_change(record, decision, foreseen)
        return decision

    def _under_other_names(self, node: Node, possible: int) -> None:
        payments, refunds = ((True, False), (False, True), (True, True))[self.expanded % 3]
        record = renamed(node.record, payments=payments, refunds=refunds)
        state = exchanged(node.state, payments=payments, refunds=refunds)
        move = deliveries(state)[self.expanded % possible]
        self._decide(record, move, foresee(state, judge(state), move))

    def _adopt(self, node: Node) -> None:
        before = node.record
        nothing = State("open", refunded=False, payments=(_NOTHING, _NOTHING), refunds=(_NO_REFUND, _NO_REFUND))
        foreseen = told_of(nothing, judge(nothing), node.state._replace(kind="open"))
        decision = transitions.adopt(before, ORDER, OPENED, NOW)
        self.decisions += 1
        after = decision.record
        assert (after.order, after.order_id, after.created_at, after.expires_at) == (
            ORDER,
            before.order_id,
            iso(OPENED),
            None,
        ), "I1: the order is not what was found"
        check_change(before, decision, foreseen)
        check_life(node.told, foreseen)
        self._count("unknown", "adopted", foreseen)
        self._keep(node, decision, foreseen, "found to be ours")

    def _settle(self, node: Node, was: Judged) -> None:
        """Past its last due time, Razorpay has nothing new to say: only then, and only once, a review."""
        decision = transitions.settle(node.record, (), LATE)
        self.decisions += 1
        check_untouched(node.record, decision.record)
        assert observed(decision.record) == node.state, "I5: settling without facts changed the facts"
        assert word(decision.record) == was.status, "I2: settling without facts changed the status"
        waits = was.status in {"authorized", "paid°"}
        reviews = [review for review in decision.record.reviews if review.reason == "never_captured"]
        assert len(reviews) == len(decision.recorded) == waits, "an order that waits for nothing is not reviewed once"
        if waits:
            alive = [payment for p, payment in enumerate(PAYMENTS) if p not in was.given_back]
            standing = "signed" if was.status == "paid°" else "authorized"
            about = reviews[0].subject
            assert about in alive, "the review is about a payment that was given back"
            assert getattr(decision.record.attempts[about], standing), "the status does not rest on what is reviewed"
            assert decision.record.version == node.record.version + 1, "I2: a stored change keeps its version"
        again = transitions.settle(decision.record, (), LATE)
        assert not again.recorded, "I8: settling again recorded an event"
        assert again.record == decision.record, "I8: settling again changed the record"

    def _count(self, before: str, name: str, foreseen: Foreseen) -> None:
        cell = (before, name, outcome(before, foreseen))
        assert cell in ALLOWED, f"I2: {' | '.join(cell)} is not in the table"
        self.cells[cell] += 1

    def _keep(self, node: Node, decision: Decision, foreseen: Foreseen, label: str) -> None:
        # What was told with this step is still pending when the next arrives; whatever was before has been published.
        pending = {identity: decision.record.pending[identity] for identity in decision.recorded}
        record = replace(decision.record, history=(), pending=pending)
        self._reach(Node(record, foreseen.state, (*node.path, label), node.told | foreseen.told))


def with_path(node: Node, label: str, step: Callable[[], None]) -> None:
    """Takes one step; should it break an invariant, says how to get there.

    Raises:
        AssertionError: as the step did.
    """
    try:
        step()
    except AssertionError as broken:
        raise AssertionError(f"{broken}\nTo see it again: {'; '.join((*node.path, label))}.") from broken


def check_pure(node: Node) -> None:
    """A decision leaves the record that it was given alone."""
    assert observed(node.record) == node.state, "the decision changed the record that it was given"


_RENAMED: Final = {A: B, B: A}
_RENUMBERED: Final = {REFUND_1: REFUND_2, REFUND_2: REFUND_1}


def renamed(record: Record, *, payments: bool, refunds: bool) -> Record:
    """The record as it would be had the payments, the refunds or both each other's ids; nothing pending."""
    names = (_RENAMED if payments else {}) | (_RENUMBERED if refunds else {})
    return replace(
        record,
        attempts={names.get(key, key): attempt for key, attempt in record.attempts.items()},
        refunds={
            names.get(key, key): replace(refund, payment_id=names.get(refund.payment_id, refund.payment_id))
            for key, refund in record.refunds.items()
        },
        reviews=tuple(replace(review, subject=names.get(review.subject, review.subject)) for review in record.reviews),
        pending={},
    )


# --- the campaign ---------------------------------------------------------------------------------------------------

# Measured. A sample decides upon equally many records of each depth, so that it gets to the deepest in the same time in
# which the whole exploration would have done this share of all.
_ALL_STATES: Final = 290_000
_DEPTHS: Final = 14

INVARIANTS: Final = "I1, I2, I3, I4, I5, I6, I7, I8, I9, I11, I12, I13"


def run(budget: Budget, progress: Progress) -> Report:
    """Reaches every record there is, or with a share below 1 a sample of each depth.

    Raises:
        AssertionError: an invariant is broken, or (in the whole) an outcome of the table is never reached.
    """
    whole = budget.share >= 1
    room = None if whole else max(1, ceil(budget.share * _ALL_STATES / _DEPTHS))
    # Nothing secret: it must be possible to draw the same sample again.
    exploration = Exploration(room, random.Random(budget.seed), progress)  # noqa: S311
    exploration.run()
    if whole:
        check_all_reached(exploration)
    return report(exploration)


def check_all_reached(exploration: Exploration) -> None:
    never = [" | ".join(cell) for cell in sorted(ALLOWED - set(exploration.cells))]
    assert not never, f"I2: nothing leads to {'; '.join(never)}"


def report(exploration: Exploration) -> Report:
    everything = exploration.room is None
    return Report(
        title="Reachability of the decision",
        what=(
            f"{'Every record' if everything else 'A sample of the records'} that the decision can reach from an open, "
            "a superseded and an unknown order by facts about two payments (signed, authorised, failed, captured with "
            "the right sum, a wrong sum or a wrong currency) and two refunds (of either payment, half or full; "
            "created, failed, processed), breadth first. In each of them every possible next delivery was decided, old "
            "news included; unknown orders were adopted, the others settled for the last time. Each step did what a "
            "model written from the design foresaw: the facts kept, the status, the events and reviews; and each was "
            f"in the table of transitions. Invariants checked on every step: {INVARIANTS}. Records that differ only in "
            "which payment or refund has which name count as one. The second table holds what the design's own leaves "
            "to its rules: `given back` is a payment of which a refund was processed while no capture was known."
        ),
        figures={
            "records reached": len(exploration.reached),
            **{f"… {status}": exploration.statuses[status] for status in _ROWS},
            "records decided upon": exploration.expanded,
            "longest way to a new record, in deliveries": exploration.depth,
            "decisions": exploration.decisions,
            "steps to another state, all of them in the table": exploration.cells.total(),
            "decisions on old news, none of which changed anything": exploration.old_news,
            "outcomes of the table reached": f"{len(exploration.cells)} of {len(ALLOWED)}",
        },
        tables=(matrix(exploration.cells, DESIGN), matrix(exploration.cells, IMPLIED)),
    )


_ROWS: Final = ("created", "failed", "authorized", "paid°", "paid", "refunded", "unknown")


def matrix(cells: Counter[tuple[str, str, str]], table: str) -> str:
    """A table of transitions in Markdown, with how often each outcome was seen."""
    allowed = list(outcomes(table))
    rows = dict.fromkeys(row for row, _, _ in allowed)
    columns = dict.fromkeys(name for _, name, _ in allowed)
    lines = [f"| status ↓ / fact → | {' | '.join(columns)} |", f"|---|{'---|' * len(columns)}"]
    for row in rows:
        seen = (
            "<br>".join(
                f"{one} ({cells[row, name, one]:,})" for in_row, of, one in allowed if (in_row, of) == (row, name)
            )
            for name in columns
        )
        lines.append(f"| {row} | {' | '.join(seen)} |")
    return "\n".join(lines)
