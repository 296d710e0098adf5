"""Properties of every sequence of facts. `Story` checks each step; these tests check the end."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from payments.adapters.table import to_item
from payments.core.model import (
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
from payments.core.position import Position
from payments.core.transitions import unknown_record
from tests.core.story import (
    AMOUNT,
    OPENED,
    ORDER_ID,
    PART,
    REFUND_1,
    REFUND_2,
    REFUND_3,
    A,
    B,
    C,
    Delivery,
    opened,
    refunded,
    superseded,
    tell,
)

PAYMENTS = (A, B, C)
METHODS = st.sampled_from([None, "upi", "card"])


@dataclass(frozen=True)
class World:
    """What happens at Razorpay: one sum per capture, one payment and sum per refund, whatever the deliveries."""

    captures: dict[str, tuple[int, str]]
    """Sum and currency of the payments that may be captured."""
    refunds: dict[str, tuple[str, int]]

    def facts(self) -> st.SearchStrategy[Fact]:
        payments = st.sampled_from(PAYMENTS)
        kinds: list[st.SearchStrategy[Fact]] = [
            st.builds(Signed, payment=payments, at=st.just(OPENED)),
            st.builds(Authorized, payment=payments, method=METHODS),
            st.builds(Failed, payment=payments, method=METHODS, code=st.sampled_from([None, "BAD_REQUEST_ERROR"])),
            st.sampled_from(sorted(self.refunds)).flatmap(self.refund),
        ]
        if self.captures:
            kinds.append(st.sampled_from(sorted(self.captures)).map(self.capture))
        return st.one_of(kinds)

    def capture(self, payment: str) -> Captured:
        amount_minor, currency = self.captures[payment]
        return Captured(payment=payment, amount_minor=amount_minor, currency=currency, method="upi")

    def refund(self, refund: str) -> st.SearchStrategy[Fact]:
        payment, amount_minor = self.refunds[refund]
        return st.sampled_from(RefundState).map(lambda state: refunded(payment, refund, amount_minor, state))

    def deliveries(self, facts: Sequence[Fact]) -> list[Delivery]:
        """The facts as webhooks report them: a refund of a captured payment also reports the capture."""
        return [
            (self.capture(fact.payment), fact)
            if isinstance(fact, Refunded) and fact.payment in self.captures
            else (fact,)
            for fact in facts
        ]


RIGHT = (AMOUNT, "INR")
WRONG = st.sampled_from([(AMOUNT - 1, "INR"), (AMOUNT, "USD"), (1, "EUR")])


@st.composite
def worlds(draw: st.DrawFn, *, max_right: int = 3) -> World:
    captures: dict[str, tuple[int, str]] = {}
    right = draw(st.sets(st.sampled_from(PAYMENTS), max_size=max_right))
    for payment in PAYMENTS:
        if payment in right:
            captures[payment] = RIGHT
        elif draw(st.booleans()):
            captures[payment] = draw(WRONG)
    amounts = st.sampled_from([1, PART, AMOUNT - PART, AMOUNT, AMOUNT + 1])
    refunds = {refund: (draw(st.sampled_from(PAYMENTS)), draw(amounts)) for refund in (REFUND_1, REFUND_2, REFUND_3)}
    return World(captures, refunds)


@st.composite
def told(draw: st.DrawFn, *, max_right: int = 3) -> list[Delivery]:
    """Deliveries as they may arrive: each any number of times, or never, in any order."""
    world = draw(worlds(max_right=max_right))
    return world.deliveries(draw(st.lists(world.facts(), max_size=14)))


RECORDS = st.sampled_from([opened(), superseded()])


def flat(deliveries: Iterable[Delivery]) -> list[Fact]:
    return [fact for facts in deliveries for fact in facts]


def right_captures(facts: Iterable[Fact]) -> set[str]:
    return {
        fact.payment for fact in facts if isinstance(fact, Captured) and (fact.amount_minor, fact.currency) == RIGHT
    }


def projected(facts: Sequence[Fact]) -> tuple[Status, bool]:
    """The rules of the design over an unordered set of facts: a second, simpler implementation."""
    processed = {
        fact.refund: fact for fact in facts if isinstance(fact, Refunded) and fact.state is RefundState.PROCESSED
    }.values()
    back = {payment: sum(r.amount_minor for r in processed if r.payment == payment) for payment in PAYMENTS}
    captured = {fact.payment: (fact.amount_minor, fact.currency) for fact in facts if isinstance(fact, Captured)}
    owed = {
        payment: min(amount, AMOUNT) if currency == "INR" else amount
        for payment, (amount, currency) in captured.items()
    }
    returned = {p for p in PAYMENTS if (back[p] >= owed[p] if p in owed else back[p] > 0)}
    matches = right_captures(facts)
    if matches:
        return (Status.REFUNDED if matches <= returned else Status.PAID), True
    if set(captured) - returned:
        return Status.AUTHORIZED, False
    if any(isinstance(fact, Signed) and fact.payment not in {*returned, *captured} for fact in facts):
        return Status.PAID, False
    if any(isinstance(fact, Authorized) and fact.payment not in {*returned, *captured} for fact in facts):
        return Status.AUTHORIZED, False
    if any(isinstance(fact, Failed) or fact.payment in returned for fact in facts):
        return Status.FAILED, False
    return Status.CREATED, False


def known_facts(record: Record) -> object:
    """Everything a record knows, without when it learned it."""
    attempts = {
        payment: (a.signed_at is not None, a.authorized, a.captured, a.failed, a.amount_minor, a.currency)
        for payment, a in record.attempts.items()
    }
    return attempts, dict(record.refunds), record.status, record.confirmed, Position.of(record).amount_refunded


@given(deliveries=told(), record=RECORDS)
def test_every_step_of_any_story_keeps_the_invariants(deliveries: list[Delivery], record: Record) -> None:
    tell(deliveries, record)


@given(deliveries=told(max_right=1))
def test_with_one_capture_the_status_is_the_projection_of_the_facts(deliveries: list[Delivery]) -> None:
    story = tell(deliveries)
    assert (story.record.status, story.record.confirmed) == projected(flat(deliveries))


@given(data=st.data(), deliveries=told(max_right=1), record=RECORDS)
def test_with_one_capture_the_order_of_deliveries_does_not_matter(
    data: st.DataObject, deliveries: list[Delivery], record: Record
) -> None:
    shuffled = data.draw(st.permutations(deliveries))
    assert known_facts(tell(deliveries, record).record) == known_facts(tell(shuffled, record).record)


@given(deliveries=told(), record=RECORDS)
def test_whoever_holds_money_that_does_not_stand_has_an_open_review(deliveries: list[Delivery], record: Record) -> None:
    after = tell(deliveries, record).record
    position = Position.of(after)
    open_about = {review.subject for review in after.reviews if review.is_open}
    for payment in after.attempts:
        if position.holds_money(payment) and payment != position.standing:
            assert payment in open_about


@given(deliveries=told(), record=RECORDS)
def test_an_order_is_announced_as_paid_and_as_refunded_at_most_once(deliveries: list[Delivery], record: Record) -> None:
    story = tell(deliveries, record)
    assert story.count("payment.paid") <= 1
    assert story.count("payment.refunded") <= 1
    if record.superseded_by is not None:
        # No payment counts there, so only returned money is published.
        assert story.count("payment.paid") + story.count("payment.refunded") == 0
    elif story.record.status is Status.REFUNDED:
        assert story.count("payment.refunded") == 1


@given(deliveries=told(), record=RECORDS)
def test_a_confirmed_payment_was_announced_in_one_way_or_another(deliveries: list[Delivery], record: Record) -> None:
    story = tell(deliveries, record)
    if story.record.confirmed:
        assert {"payment.paid", "payment.refunded"} & set(story.types.values())


@given(deliveries=told(), record=RECORDS)
def test_refunds_beyond_their_capture_are_reviewed(deliveries: list[Delivery], record: Record) -> None:
    after = tell(deliveries, record).record
    over = 0
    for payment, attempt in after.attempts.items():
        back = sum(
            refund.amount_minor
            for refund in after.refunds.values()
            if refund.payment_id == payment and refund.state is RefundState.PROCESSED
        )
        over += attempt.captured and back > (attempt.amount_minor or 0)
    assert sum(review.reason == "over_refunded" for review in after.reviews) == over


@given(deliveries=told(), record=RECORDS)
def test_every_review_is_told_when_it_opens_and_when_it_closes(deliveries: list[Delivery], record: Record) -> None:
    story = tell(deliveries, record)
    closed = sum(not review.is_open for review in story.record.reviews)
    assert story.count("payment.review") == len(story.record.reviews) + closed
    assert set(story.record.pending) == set(story.events)


@given(deliveries=told(), record=RECORDS)
def test_an_item_stays_small_whatever_is_delivered(deliveries: list[Delivery], record: Record) -> None:
    after = tell(deliveries, record).record
    assert len(json.dumps(to_item(after))) < 60_000


@given(deliveries=told())
def test_redelivering_everything_in_any_order_changes_nothing(deliveries: list[Delivery]) -> None:
    story = tell(deliveries)
    for facts in (*reversed(deliveries), *deliveries):
        assert not story.deliver(*facts).changed


@given(deliveries=told())
def test_what_arrives_one_by_one_or_all_at_once_comes_to_the_same_facts(deliveries: list[Delivery]) -> None:
    together = tell([tuple(flat(deliveries))])
    apart = tell(deliveries)
    assert known_facts(together.record) == known_facts(apart.record) or len(right_captures(flat(deliveries))) > 1


@given(deliveries=told())
def test_an_unknown_order_keeps_every_fact_and_tells_nobody(deliveries: list[Delivery]) -> None:
    story = tell(deliveries, unknown_record(ORDER_ID, OPENED))
    assert story.record.status is Status.UNKNOWN
    assert not story.events
