"""A record's history, decided again, gives the events that were recorded: their ids, and every byte of them."""

from copy import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payments.core.events import encode
from payments.core.expiry import expire
from payments.core.instants import iso
from payments.core.model import (
    Accepted,
    Authorized,
    Captured,
    DisputeState,
    Fact,
    Failed,
    Mandate,
    NeverCaptured,
    Record,
    RefundState,
    Released,
    Signed,
    Status,
)
from payments.core.position import NO_OFFERS, Policy
from payments.core.replay import Replay, replay
from payments.core.transitions import (
    adopt,
    ask_for_review,
    close_review,
    decide,
    note,
    open_record,
    supersede,
    unknown_record,
)
from tests.core.story import (
    AMOUNT,
    DISPUTE_1,
    OPENED,
    ORDER,
    ORDER_ID,
    OTHER_ORDER_ID,
    PART,
    REFUND_1,
    REFUND_2,
    A,
    B,
    C,
    Delivery,
    Story,
    captured,
    disputed,
    opened,
    refunded,
    signed,
    superseded,
    tell,
    through_the_table,
    total,
)
from tests.core.test_properties import told
from tests.fakes import BY

MANDATE = Mandate.model_validate(BY)
LATER = OPENED + 3600


def bytes_of(record: Record, told: Replay) -> dict[str, str]:
    return {key: encode(record, key, event) for key, event in told.events.items()}


def check(story: Story) -> Replay:
    """Replays a story's record, as it is read from the table after everything was published."""
    record = through_the_table(replace(story.record, pending={}))
    again = replay(record)
    assert again.differs == ()
    assert bytes_of(record, again) == story.events
    assert [step.entry for step in again.steps] == list(record.history)
    assert [step.version for step in again.steps] == list(range(1, record.version + 1))
    return again


def by_one_method(fact: Fact) -> Fact:
    """Razorpay reports one method for a payment, whatever the report."""
    match fact:
        case Authorized():
            return replace(fact, method="upi")
        case Captured():
            return replace(fact, method="upi")
        case Failed():
            return replace(fact, method="upi")
        case _:
            return fact


@given(deliveries=told(), record=st.sampled_from([opened(), superseded()]))
def test_any_story_gives_the_same_events_again(deliveries: list[Delivery], record: Record) -> None:
    check(tell([tuple(map(by_one_method, facts)) for facts in deliveries], record))


def test_each_step_names_the_facts_that_caused_it_and_the_events_that_it_recorded() -> None:
    story = tell([(signed(A),), (captured(A),), (refunded(A, REFUND_1, PART),)])
    steps = check(story).steps
    assert [step.entry.what for step in steps] == [
        "created",
        f"signed {A}",
        f"captured {A}",
        f"refund processed {REFUND_1}",
    ]
    assert [[event.type for event in step.events.values()] for step in steps] == [
        [],
        [],
        ["payment.paid"],
        ["payment.partially_refunded"],
    ]
    assert steps[1].facts == (signed(A),)
    assert steps[2].facts == (captured(A),)
    assert steps[3].facts == (refunded(A, REFUND_1, PART),)


def test_a_fee_that_was_reported_later_caused_the_payment_to_match_then_and_not_before() -> None:
    fee = 1_180
    story = tell([(captured(A, AMOUNT + fee),), (captured(A, AMOUNT + fee, fee_minor=fee),)])
    steps = check(story).steps
    assert [step.entry.status for step in steps] == [Status.CREATED, Status.AUTHORIZED, Status.PAID]
    assert [event.type for event in steps[1].events.values()] == ["payment.review"]
    assert "payment.paid" in [event.type for event in steps[2].events.values()]


def test_an_offer_that_was_accepted_is_accepted_again_and_a_lower_one_is_not() -> None:
    policy = Policy(accept_offers_from_percent=80)
    story = tell([(captured(A, AMOUNT * 70 // 100),), (captured(B, AMOUNT * 85 // 100),)], policy=policy)
    assert check(story).steps[-1].entry.status is Status.PAID


REVERSED = refunded(A, REFUND_1, state=RefundState.FAILED)
AGREES = total(A, PART, complete=True)
DECISIONS: list[tuple[str, Any]] = [
    ("an accepted sum", [(captured(A, PART),), (Accepted(payment=A, by=MANDATE),)]),
    ("a released signature", [(signed(A),), (Released(payment=A, by=MANDATE),)]),
    ("a signature that led to nothing", [(signed(A),), (NeverCaptured(payment=A),)]),
    ("a failure that razorpay lists", [(signed(A),), (Failed(payment=A, at=OPENED, listed_at=LATER),)]),
    (
        "a reversed refund",
        [(captured(A),), (refunded(A, REFUND_1),), (refunded(A, REFUND_1, state=RefundState.FAILED),)],
    ),
    ("a refund on its way", [(captured(A),), (refunded(A, REFUND_1, PART, RefundState.CREATED),)]),
    (
        "a total that agrees later",
        [(captured(A), total(A, PART)), (refunded(A, REFUND_1, PART), total(A, PART, complete=True))],
    ),
    ("all at once", [(signed(A), captured(A), refunded(A, REFUND_1, PART))]),
    ("a duplicate", [(captured(A),), (captured(B),), (refunded(B, REFUND_1),)]),
]


@pytest.mark.parametrize("deliveries", [pytest.param(story, id=name) for name, story in DECISIONS])
def test_what_operators_and_time_decide_gives_the_same_events_again(deliveries: list[Delivery]) -> None:
    check(tell(deliveries))


def test_more_facts_than_an_entry_names_are_found_in_the_record() -> None:
    attempts = [captured(A), captured(B), captured(C)]
    back = [refunded(B, REFUND_1), refunded(C, REFUND_2)]
    story = tell([(*attempts, *back, Authorized(payment=A, method="upi"))])
    assert story.record.history[-1].what.endswith(" and 1 more")
    assert len(check(story).steps[-1].facts) == 6


def events_of(*records: Record) -> dict[str, str]:
    return {key: encode(record, key, event) for record in records for key, event in record.pending.items()}


def test_reviews_of_the_order_as_a_whole_are_opened_and_closed_again() -> None:
    asked = ask_for_review(opened(), "too_many_orders", OPENED + 1).record
    closed = close_review(asked, "too_many_orders", "released", OPENED + 2).record
    again = replay(closed)
    assert again.differs == ()
    assert bytes_of(closed, again) == events_of(closed)
    assert len(again.events) == 2


def test_a_note_that_resolved_a_review_resolves_it_again() -> None:
    story = tell([(captured(A),), (refunded(A, REFUND_1, AMOUNT + 1),)])
    noted = note(story.record, MANDATE, LATER).record
    again = replay(noted)
    assert again.differs == ()
    assert bytes_of(noted, again) == events_of(noted)
    assert again.steps[-1].entry.by == MANDATE


def test_an_order_that_expired_and_was_then_paid_and_accepted_is_told_as_it_happened() -> None:
    record = expire(opened(), OPENED + 10).record
    record = decide(record, [captured(A, created_at=OPENED + 20)], OPENED + 30).record
    record = decide(record, [Accepted(payment=A, by=MANDATE)], OPENED + 40).record
    again = replay(record)
    assert again.differs == ()
    assert bytes_of(record, again) == events_of(record)
    assert [event.type for event in again.events.values()] == [
        "payment.expired",
        "payment.review",
        "payment.paid",
        "payment.review",
    ]


def test_an_order_that_was_replaced_and_then_accepted_is_told_as_it_happened() -> None:
    record = supersede(decide(opened(), [signed(A)], OPENED + 1).record, OTHER_ORDER_ID, OPENED + 2)
    record = decide(record, [captured(A)], OPENED + 3).record
    record = decide(record, [Accepted(payment=A, by=MANDATE)], OPENED + 4).record
    again = replay(record)
    assert again.differs == ()
    assert bytes_of(record, again) == events_of(record)
    assert [step.entry.status for step in again.steps] == [
        Status.CREATED,
        Status.PAID,
        Status.AUTHORIZED,
        Status.AUTHORIZED,
        Status.PAID,
    ]


@pytest.mark.parametrize("superseded_by", [None, OTHER_ORDER_ID])
def test_an_order_that_was_found_to_be_ours_is_told_from_its_first_webhook(superseded_by: str | None) -> None:
    unknown = decide(unknown_record(ORDER_ID, OPENED + 60), [captured(A)], OPENED + 60).record
    adopted = adopt(unknown, ORDER, OPENED, OPENED + 120, superseded_by=superseded_by).record
    again = replay(adopted)
    assert again.differs == ()
    assert bytes_of(adopted, again) == events_of(adopted)


def test_a_history_that_was_cut_tells_its_facts_and_derives_no_events() -> None:
    story = tell([(captured(A),)])
    cut = replace(story.record, history=story.record.history[1:])
    again = replay(cut)
    assert again.differs == ("its history does not reach back to its creation",)
    assert again.events == {}
    assert again.steps[0].facts == (captured(A),)
    assert again.steps[0].version == 2


def test_what_the_decision_would_not_decide_again_is_said() -> None:
    story = tell([(captured(A),)])
    wrong = replace(
        story.record, history=(story.record.history[0], replace(story.record.history[1], what=f"signed {A}"))
    )
    assert replay(wrong).differs


@pytest.mark.parametrize(
    "change",
    [{"stood": B}, {"confirmed": False}, {"superseded_by": OTHER_ORDER_ID}, {"released": True}, {"reviews": ()}],
    ids=lambda change: next(iter(change)),
)
def test_a_record_that_says_something_else_than_its_facts_is_noticed(change: dict[str, Any]) -> None:
    story = tell([(captured(A),), (captured(B),)])
    (name,) = change
    assert f"its {name} differ" in replay(replace(story.record, **change)).differs


def test_a_pending_event_with_another_content_is_noticed() -> None:
    record = tell([(captured(A),)]).record
    pending = {key: replace(event, refunded_minor=1) for key, event in record.pending.items()}
    assert replay(replace(record, pending=pending)).differs == ("the event payment.paid differs",)


def test_an_unknown_order_tells_its_facts_and_has_no_events() -> None:
    record = decide(unknown_record(ORDER_ID, OPENED), [captured(A)], OPENED, NO_OFFERS).record
    again = replay(record)
    assert (again.differs, again.events) == ((), {})
    assert again.steps[0].facts == (captured(A),)


def test_a_new_order_has_one_step() -> None:
    (step,) = replay(open_record(ORDER_ID, ORDER, OPENED)).steps
    assert (step.version, step.entry.what, step.entry.at, step.facts) == (1, "created", iso(OPENED), ())


def test_an_authorized_payment_is_a_step_of_its_own() -> None:
    record = tell([(Authorized(payment=A, method="card", created_at=OPENED),), (captured(A, method="card"),)]).record
    facts = [step.facts for step in replay(record).steps]
    assert facts[1] == (Authorized(payment=A, method="card", created_at=OPENED),)
    assert Signed(payment=A, at=OPENED) not in facts[2]


@pytest.mark.parametrize("state", [DisputeState.OPEN, DisputeState.LOST, DisputeState.ACTION_REQUIRED])
def test_a_dispute_that_was_reported_once_is_told_again(state: DisputeState) -> None:
    check(tell([(captured(A),), (disputed(A, state),), (Released(payment=A, by=MANDATE),)]))


def test_a_dispute_that_changed_is_explained_but_its_events_are_not_derived() -> None:
    story = tell([(captured(A),), (disputed(A, DisputeState.OPEN),), (disputed(A, DisputeState.WON),)])
    again = replay(story.record)
    assert again.differs[0] == f"what {DISPUTE_1} was at first is not kept"
    assert [step.entry.what for step in again.steps][2:] == [f"dispute open {DISPUTE_1}", f"dispute won {DISPUTE_1}"]
