"""What holds for every sequence of facts. `Story` checks each step; the tests here check where it leads."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

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
from payments.core.transitions import amount_refunded, unknown_record
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
    """The sum and currency of the payments that may be captured."""
    refunds: dict[str, tuple[str, int]]

    def facts(self) -> st.SearchStrategy[Fact]:
        payments = st.sampled_from(PAYMENTS)
        kinds: list[st.SearchStrategy[Fact]] = [
            st.builds(Signed, payment=payments),
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
        """As webhooks bring them: a refund of a captured payment says so."""
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
    """Deliveries as they may arrive: any of them more than once, or never, and in any order."""
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
    """The five rules of the design, over a set of facts and without any order: a second, simpler implementation."""
    processed = {
        fact.refund: fact for fact in facts if isinstance(fact, Refunded) and fact.state is RefundState.PROCESSED
    }.values()
    back = {payment: sum(r.amount_minor for r in processed if r.payment == payment) for payment in PAYMENTS}
    captures = right_captures(facts)
    if captures:
        full = all(back[payment] >= AMOUNT for payment in captures)
        return (Status.REFUNDED if full else Status.PAID), True
    captured_at_all = {fact.payment for fact in facts if isinstance(fact, Captured)}
    given_back = {payment for payment in PAYMENTS if back[payment] and payment not in captured_at_all}
    if any(isinstance(fact, Signed) and fact.payment not in given_back for fact in facts):
        return Status.PAID, False
    if any(isinstance(fact, Authorized) and fact.payment not in given_back for fact in facts):
        return Status.AUTHORIZED, False
    if given_back or any(isinstance(fact, Failed) for fact in facts):
        return Status.FAILED, False
    return Status.CREATED, False


def known_facts(record: Record) -> object:
    """Everything a record knows, without when it came to know it."""
    attempts = {
        payment: (a.signed, a.authorized, a.captured, a.failed, a.amount_minor, a.currency)
        for payment, a in record.attempts.items()
    }
    return attempts, dict(record.refunds), record.status, record.confirmed, amount_refunded(record)


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
def test_every_capture_beyond_the_first_is_reviewed_as_a_duplicate(deliveries: list[Delivery], record: Record) -> None:
    story = tell(deliveries, record)
    duplicates = [review.subject for review in story.record.reviews if review.reason == "duplicate_capture"]
    assert len(duplicates) == max(0, len(right_captures(flat(deliveries))) - 1)
    assert len(set(duplicates)) == len(duplicates)


@given(deliveries=told(), record=RECORDS)
def test_an_order_is_announced_as_paid_and_as_refunded_at_most_once(deliveries: list[Delivery], record: Record) -> None:
    story = tell(deliveries, record)
    assert story.count("payment.paid") <= 1
    assert story.count("payment.refunded") == (story.record.status is Status.REFUNDED)
    if record.superseded_by is not None:
        assert story.count("payment.paid") == 0


@given(deliveries=told(), record=RECORDS)
def test_a_confirmed_payment_was_announced_in_one_way_or_another(deliveries: list[Delivery], record: Record) -> None:
    story = tell(deliveries, record)
    if story.record.confirmed:
        first = {"payment.paid", "payment.refunded"} & set(story.types.values())
        assert first or any(review.reason == "superseded_order" for review in story.record.reviews)


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
def test_every_review_is_told_as_an_event_and_every_event_is_recorded_once(
    deliveries: list[Delivery], record: Record
) -> None:
    story = tell(deliveries, record)
    assert story.count("payment.review") == len(story.record.reviews)
    assert set(story.record.pending) == set(story.events)


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
