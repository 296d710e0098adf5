"""What a dispute makes of an order.

The expectations come from Razorpay's documents (api/disputes/entity.md, api/disputes/accept.md, webhooks/disputes.md),
and from the rule that money which a lost dispute took counts as returned and is never called a refund.
"""

import json
from collections.abc import Sequence
from copy import replace
from itertools import permutations
from typing import Any

import pytest

from payments.adapters.table import to_item
from payments.core.disputes import MAX_DISPUTES, may_be_news
from payments.core.errors import PaymentRefunded, PaymentUnderReview
from payments.core.model import (
    Dispute,
    Disputed,
    DisputeState,
    KnownDispute,
    RefundState,
    Released,
    Status,
)
from payments.core.position import Position
from payments.core.transitions import adopt, decide, unknown_record
from payments.core.verification import require_paid
from tests.core.story import (
    AMOUNT,
    DISPUTE_1,
    DISPUTE_2,
    OPENED,
    ORDER,
    ORDER_ID,
    PART,
    REFUND_1,
    REFUND_2,
    A,
    B,
    Delivery,
    Story,
    captured,
    disputed,
    opened,
    refunded,
    signed,
    superseded,
    tell,
)

OPEN, UNDER_REVIEW, ACTION_REQUIRED, CLOSED, WON, LOST = DisputeState


def told(story: Story, event_type: str = "payment.dispute_changed") -> list[dict[str, Any]]:
    """What was recorded of this type, the oldest first."""
    texts = (json.loads(text) for key, text in story.events.items() if story.types[key] == event_type)
    return sorted(texts, key=lambda detail: detail["version"])


def states(story: Story) -> list[str]:
    return [detail["dispute"]["state"] for detail in told(story)]


def test_a_dispute_that_is_opened_changes_nothing_about_the_money() -> None:
    story = tell([(captured(A),), (disputed(A),)])
    assert (story.status(), Position.of(story.record).amount_disputed, Position.of(story.record).under_review) == (
        Status.PAID,
        0,
        False,
    )
    assert told(story)[0]["payment"]["razorpay_payment_id"] == A
    assert told(story)[0]["dispute"] == {
        "id": DISPUTE_1,
        "state": "open",
        "phase": "chargeback",
        "amount": AMOUNT,
        "amount_deducted": 0,
        "currency": "INR",
        "reason_code": "chargeback",
        "respond_by": "2026-03-07T09:30:00Z",
    }
    assert not story.reviews()


@pytest.mark.parametrize("end", [WON, CLOSED])
def test_a_dispute_that_ends_well_is_told_and_changes_nothing_about_the_money(end: DisputeState) -> None:
    story = tell([(captured(A),), (disputed(A),), (disputed(A, end),)])
    assert (story.status(), Position.of(story.record).under_review) == (Status.PAID, False)
    assert states(story) == ["open", end.value]


def test_a_lost_dispute_returns_the_payment_and_is_no_refund() -> None:
    story = tell([(captured(A),), (disputed(A),), (disputed(A, LOST),)])
    record = story.record
    assert record.status is Status.REFUNDED
    assert (Position.of(record).amount_refunded, Position.of(record).amount_disputed) == (0, AMOUNT)
    assert states(story) == ["open", "lost"]
    assert not any("refunded" in name for name in story.types.values())
    last = told(story)[-1]["payment"]
    assert (last["status"], last["amount_refunded"], last["amount_disputed"]) == ("refunded", 0, AMOUNT)


def test_a_lost_dispute_needs_a_person_until_one_releases_the_payment() -> None:
    story = tell([(captured(A),), (disputed(A, LOST),)])
    assert story.reviews() == ["dispute_lost"]
    assert Position.of(story.record).under_review
    (review,) = told(story, "payment.review")
    assert (review["review"], review["dispute"]["id"]) == ({"reason": "dispute_lost", "state": "open"}, DISPUTE_1)
    story.deliver(Released(payment=A))
    assert story.reviews() == ["dispute_lost released"]
    resolved = told(story, "payment.review")[-1]
    assert (resolved["review"]["state"], resolved["dispute"]["id"]) == ("resolved", DISPUTE_1)
    assert not Position.of(story.record).under_review
    assert (story.status(), Position.of(story.record).amount_disputed) == (Status.REFUNDED, AMOUNT)
    assert states(story) == ["lost"]


def test_verify_says_of_a_lost_payment_that_a_person_looks_and_afterwards_that_the_money_went_back() -> None:
    story = tell([(signed(A),), (captured(A),), (disputed(A, LOST),)])
    with pytest.raises(PaymentUnderReview):
        require_paid(story.record, A)
    story.deliver(Released(payment=A))
    with pytest.raises(PaymentRefunded):
        require_paid(story.record, A)


def test_a_loss_of_part_of_the_payment_leaves_it_paid_and_under_review() -> None:
    story = tell([(signed(A),), (captured(A),), (disputed(A, LOST, amount_minor=PART),)])
    assert (story.status(), Position.of(story.record).amount_disputed, Position.of(story.record).under_review) == (
        Status.PAID,
        PART,
        True,
    )
    require_paid(story.record, A)


def test_a_loss_that_took_nothing_needs_a_person_all_the_same() -> None:
    """In the phase `fraud` the merchant must refund it himself ("About Disputes", process flow)."""
    story = tell([(captured(A),), (disputed(A, LOST, deducted_minor=0, phase="fraud"),)])
    assert (story.status(), Position.of(story.record).amount_disputed) == (Status.PAID, 0)
    assert story.reviews() == ["dispute_lost"]
    assert Position.of(story.record).under_review


def test_what_was_refunded_before_the_rest_was_lost_is_announced_as_part_only() -> None:
    story = tell([(captured(A),), (refunded(A, REFUND_1, PART),), (disputed(A, LOST, amount_minor=AMOUNT - PART),)])
    assert story.status() is Status.REFUNDED
    assert (Position.of(story.record).amount_refunded, Position.of(story.record).amount_disputed) == (
        PART,
        AMOUNT - PART,
    )
    assert story.count("payment.partially_refunded") == 1
    assert story.count("payment.refunded") == 0


def test_a_refund_of_what_a_loss_left_is_the_one_that_completes_it() -> None:
    story = tell([(captured(A),), (disputed(A, LOST, amount_minor=PART),), (refunded(A, REFUND_1, AMOUNT - PART),)])
    assert story.status() is Status.REFUNDED
    assert (Position.of(story.record).amount_refunded, Position.of(story.record).amount_disputed) == (
        AMOUNT - PART,
        PART,
    )
    (event,) = told(story, "payment.refunded")
    assert (event["refund"]["id"], event["payment"]["amount_disputed"]) == (REFUND_1, PART)


def test_a_payment_that_was_refunded_and_then_lost_went_back_twice() -> None:
    story = tell([(captured(A),), (refunded(A, REFUND_1),), (disputed(A, LOST),)])
    assert sorted(story.reviews()) == ["dispute_lost", "over_refunded"]
    assert story.count("payment.refunded") == 1


def test_a_payment_that_was_lost_twice_is_reviewed_although_no_refund_exists() -> None:
    story = tell([(captured(A),), (disputed(A, LOST),), (disputed(A, LOST, dispute=DISPUTE_2),)])
    assert sorted(story.reviews()) == ["dispute_lost", "dispute_lost", "over_refunded"]


def test_the_second_of_two_captures_stands_once_the_first_is_lost() -> None:
    story = tell([(captured(A),), (captured(B),), (disputed(A, LOST),)])
    assert (story.status(), story.record.stood, Position.of(story.record).amount_disputed) == (Status.PAID, B, 0)
    assert Position.of(story.record).under_review


def test_money_lost_on_a_superseded_order_is_returned_as_by_a_refund() -> None:
    story = tell([(captured(A),), (disputed(A, LOST),)], superseded())
    assert Position.of(story.record).returned(A)
    assert story.reviews() == ["superseded_order returned", "dispute_lost"]


def test_a_deduction_in_another_currency_is_left_to_a_person() -> None:
    story = tell([(captured(A),), (disputed(A, LOST, currency="USD"),)])
    assert (story.status(), Position.of(story.record).amount_disputed) == (Status.PAID, 0)
    assert story.reviews() == ["dispute_lost"]


def test_a_dispute_about_a_payment_that_is_not_known_as_captured_is_kept() -> None:
    story = tell([(disputed(A, LOST),)])
    assert (story.status(), Position.of(story.record).under_review) == (Status.CREATED, True)
    story.deliver(captured(A))
    assert (story.status(), story.record.stood, Position.of(story.record).amount_disputed) == (
        Status.REFUNDED,
        A,
        AMOUNT,
    )
    assert [story.count(name) for name in ("payment.paid", "payment.refunded")] == [0, 0]


def test_what_is_known_of_a_dispute_before_its_order_is_told_once_the_order_is_found() -> None:
    unknown = decide(unknown_record(ORDER_ID, OPENED), [captured(A), disputed(A, LOST)], OPENED + 1).record
    assert not unknown.pending
    decision = adopt(unknown, ORDER, OPENED, OPENED + 2)
    types = sorted(event.type for event in decision.record.pending.values())
    assert types == ["payment.dispute_changed", "payment.review"]
    assert decision.record.status is Status.REFUNDED


def test_releasing_a_lost_payment_leaves_its_other_disputes_as_they_are() -> None:
    story = tell([(captured(A),), (disputed(A, LOST),), (disputed(A, dispute=DISPUTE_2),), (Released(payment=A),)])
    assert {key: (dispute.state, dispute.released) for key, dispute in story.record.disputes.items()} == {
        DISPUTE_1: (LOST, True),
        DISPUTE_2: (OPEN, False),
    }


@pytest.mark.parametrize(
    ("report", "identity"),
    [
        (disputed(A), "40bf0b14-e03f-5b96-bcc0-b298643c5e79"),
        (disputed(A, phase=None), "db077710-8876-51a7-96b0-40643b654a6b"),
        (disputed(A, UNDER_REVIEW, at=OPENED + 10), "4e1e067d-7f51-55d9-939f-33d158a11e6c"),
        (disputed(A, LOST), "6f7e6305-bfb4-50de-96e4-61132e8ded43"),
    ],
)
def test_the_event_of_a_dispute_keeps_its_id_in_every_version_of_this_service(report: Disputed, identity: str) -> None:
    assert [detail["event_id"] for detail in told(tell([(captured(A),), (report,)]))] == [identity]


# --- the order of the reports ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", [CLOSED, WON, LOST])
def test_every_order_of_the_reports_ends_alike(end: DisputeState) -> None:
    reports: list[Delivery] = [
        (captured(A),),
        (disputed(A, OPEN, at=OPENED),),
        (disputed(A, UNDER_REVIEW, at=OPENED + 10),),
        (disputed(A, ACTION_REQUIRED, at=OPENED + 20),),
        (disputed(A, end, at=OPENED + 40),),
    ]
    for order in permutations(reports):
        story = tell([*order, *order])
        assert story.record.disputes[DISPUTE_1].state is end
        assert states(story).count(end.value) == 1
        assert (Position.of(story.record).amount_disputed == AMOUNT) is (end is LOST)


@pytest.mark.parametrize(("first", "last"), [(UNDER_REVIEW, ACTION_REQUIRED), (ACTION_REQUIRED, UNDER_REVIEW)])
def test_of_the_two_states_that_alternate_the_later_report_counts(first: DisputeState, last: DisputeState) -> None:
    reports: list[Delivery] = [(disputed(A, first, at=OPENED + 10),), (disputed(A, last, at=OPENED + 20),)]
    reports.append((captured(A),))
    for order in permutations(reports):
        assert tell(order).record.disputes[DISPUTE_1].state is last


def test_each_time_that_razorpay_asks_for_more_evidence_is_told() -> None:
    rounds = [UNDER_REVIEW, ACTION_REQUIRED, UNDER_REVIEW, ACTION_REQUIRED]
    story = tell([(captured(A),), *((disputed(A, state, at=OPENED + at),) for at, state in enumerate(rounds))])
    assert states(story) == [state.value for state in rounds]
    assert len({detail["event_id"] for detail in told(story)}) == 4


@pytest.mark.parametrize("end", [CLOSED, WON, LOST])
@pytest.mark.parametrize("late", [OPEN, UNDER_REVIEW, ACTION_REQUIRED])
def test_no_late_report_opens_a_decided_dispute_again(end: DisputeState, late: DisputeState) -> None:
    story = tell([(captured(A),), (disputed(A, end, at=OPENED + 10),), (disputed(A, late, at=OPENED + 20),)])
    assert story.record.disputes[DISPUTE_1].state is end
    assert states(story) == [end.value]


def test_a_won_chargeback_that_is_challenged_again_is_another_dispute() -> None:
    """As in the sample of the list (api/disputes/fetch-all.md): two ids, one payment."""
    again = disputed(A, OPEN, dispute=DISPUTE_2, phase="pre_arbitration", at=OPENED + 30)
    story = tell([(captured(A),), (disputed(A, WON, at=OPENED + 10),), (again,)])
    assert {key: dispute.state for key, dispute in story.record.disputes.items()} == {DISPUTE_1: WON, DISPUTE_2: OPEN}


def test_a_later_phase_of_the_same_dispute_counts_if_there_ever_is_one() -> None:
    reports: list[Delivery] = [
        (disputed(A, WON, phase="chargeback", at=OPENED + 10),),
        (disputed(A, OPEN, phase="pre_arbitration", at=OPENED + 20),),
    ]
    for order in permutations(reports):
        story = tell([(captured(A),), *order])
        assert story.record.disputes[DISPUTE_1].state is OPEN
    story = tell([(captured(A),), (disputed(A, LOST),), (disputed(A, OPEN, phase="arbitration"),)])
    assert story.record.disputes[DISPUTE_1].state is LOST


def test_a_larger_deduction_of_a_loss_is_kept_and_told() -> None:
    for order in permutations([PART, AMOUNT]):
        story = tell([(captured(A),), *((disputed(A, LOST, deducted_minor=sum_minor),) for sum_minor in order)])
        assert Position.of(story.record).amount_disputed == AMOUNT
        assert told(story)[-1]["dispute"]["amount_deducted"] == AMOUNT


def test_a_dispute_that_razorpay_answers_as_open_again_wants_more_evidence() -> None:
    """The API has no `action_required`: such a dispute is `open` there (webhooks/disputes.md, sample)."""
    story = tell([(captured(A),), (disputed(A, UNDER_REVIEW, at=OPENED + 10),)])
    story.deliver(disputed(A, OPEN, at=OPENED + 5, is_current=True))
    assert story.record.disputes[DISPUTE_1].state is UNDER_REVIEW
    story.deliver(disputed(A, OPEN, at=OPENED + 20, is_current=True))
    assert story.record.disputes[DISPUTE_1].state is ACTION_REQUIRED
    assert states(story) == ["under_review", "action_required"]


def test_a_dispute_that_was_never_submitted_and_is_answered_as_open_stays_open() -> None:
    story = tell([(captured(A),), (disputed(A, at=OPENED + 10),)])
    assert not story.deliver(disputed(A, at=OPENED + 20, is_current=True)).changed
    assert states(story) == ["open"]


@pytest.mark.parametrize("at", [OPENED + 10, None])
def test_an_answer_that_is_not_later_than_the_submission_wants_no_more_evidence(at: int | None) -> None:
    story = tell([(captured(A),), (disputed(A, UNDER_REVIEW, at=at),)])
    assert not story.deliver(disputed(A, at=at, is_current=True)).changed


@pytest.mark.parametrize("state", list(DisputeState))
def test_the_same_state_that_is_reported_again_later_is_told_once(state: DisputeState) -> None:
    story = tell([(captured(A),), (disputed(A, state, at=OPENED + 10),), (disputed(A, state, at=OPENED + 20),)])
    assert states(story) == [state.value]


@pytest.mark.parametrize("state", [OPEN, CLOSED, WON, LOST])
def test_a_second_report_of_a_state_that_does_not_alternate_is_old_news(state: DisputeState) -> None:
    story = tell([(captured(A),), (disputed(A, state, at=OPENED + 10),)])
    assert not story.deliver(disputed(A, state, at=OPENED + 20)).changed


@pytest.mark.parametrize("state", [OPEN, UNDER_REVIEW, WON])
def test_only_a_loss_takes_money_whatever_else_is_reported(state: DisputeState) -> None:
    report = replace(disputed(A, state), deducted_minor=AMOUNT)
    record = decide(tell([(captured(A),)]).record, [report], OPENED + 10).record
    assert (record.status, Position.of(record).amount_disputed) == (Status.PAID, 0)
    assert record.disputes[DISPUTE_1].deducted_minor == 0


def test_no_later_report_undoes_what_an_operator_said_of_a_loss() -> None:
    story = tell([(captured(A),), (disputed(A, LOST, deducted_minor=PART),), (Released(payment=A),)])
    story.deliver(disputed(A, LOST, deducted_minor=AMOUNT))
    assert (story.reviews(), Position.of(story.record).under_review) == (["dispute_lost released"], False)


# --- bounds ---------------------------------------------------------------------------------------------------------


def many(count: int) -> Sequence[Disputed]:
    return [disputed(A, dispute=f"disp_{number:014d}") for number in range(count)]


def test_a_record_keeps_fifty_disputes_and_reviews_the_next_once() -> None:
    story = tell([(captured(A),), *((fact,) for fact in many(MAX_DISPUTES))])
    assert not story.reviews()
    before = story.record
    beyond = disputed(A, LOST, dispute="disp_BBBBBBBBBBBBBB")
    first = decide(before, [beyond], story.now + 1)
    assert [review.reason for review in first.record.reviews] == ["too_many_disputes"]
    assert first.record.disputes == before.disputes
    assert not decide(first.record, [beyond], story.now + 2).changed
    known = decide(first.record, [disputed(A, LOST, dispute="disp_00000000000000")], story.now + 3)
    assert known.record.disputes["disp_00000000000000"].state is LOST


def test_a_record_without_disputes_has_no_attribute_for_them() -> None:
    assert "disputes" not in to_item(tell([(captured(A),)]).record)
    assert "disputes" not in to_item(opened())
    events = tell([(captured(A),)]).record.pending.values()
    assert [event.model_dump(exclude_defaults=True).keys() & {"dispute", "disputed_minor"} for event in events] == [
        set()
    ]


def test_only_what_is_named_is_kept_of_a_dispute() -> None:
    item = to_item(tell([(captured(A),), (disputed(A, LOST),)]).record)["disputes"][DISPUTE_1]
    assert item.keys() <= {"payment", "amount", "currency", "state", "deducted", "phase", "reason", "respond_by", "at"}


# --- what a list may say --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("known", "listed", "worth_asking"),
    [
        (OPEN, OPEN, False),
        (OPEN, UNDER_REVIEW, True),
        (ACTION_REQUIRED, OPEN, False),
        (ACTION_REQUIRED, UNDER_REVIEW, True),
        (UNDER_REVIEW, UNDER_REVIEW, False),
        (UNDER_REVIEW, OPEN, True),
        (UNDER_REVIEW, LOST, True),
        (OPEN, WON, True),
        (WON, OPEN, False),
        (WON, UNDER_REVIEW, False),
        (WON, WON, False),
        (LOST, LOST, False),
        (LOST, OPEN, False),
        (LOST, WON, False),
    ],
)
def test_razorpay_is_asked_about_a_listed_dispute_only_if_that_may_be_new(
    known: DisputeState, listed: DisputeState, *, worth_asking: bool
) -> None:
    remembered = KnownDispute(dispute_id=DISPUTE_1, payment_id=A, order_id=ORDER_ID, state=known, phase="chargeback")
    assert may_be_news(remembered, listed, "chargeback", 0) is worth_asking


def test_a_listed_deduction_that_grew_and_a_later_phase_are_worth_asking_about() -> None:
    lost = KnownDispute(dispute_id=DISPUTE_1, payment_id=A, state=LOST, phase="chargeback", deducted_minor=PART)
    assert may_be_news(lost, LOST, "chargeback", AMOUNT)
    won = KnownDispute(dispute_id=DISPUTE_1, payment_id=A, state=WON, phase="chargeback")
    assert may_be_news(won, OPEN, "pre_arbitration", 0)
    assert not may_be_news(won, LOST, "retrieval", 0)


def test_a_refund_that_is_pending_next_to_a_loss_stays_worth_watching() -> None:
    story = tell([(captured(A),), (disputed(A, LOST),), (refunded(A, REFUND_2, PART, RefundState.CREATED),)])
    assert Position.of(story.record).unresolved


def test_details_that_one_report_lacks_are_kept_from_the_other() -> None:
    bare = disputed(A, UNDER_REVIEW, at=OPENED + 10, phase=None, reason_code=None, respond_by=None)
    for order in permutations([disputed(A, created_at=OPENED - 60), bare]):
        kept: Dispute = tell([(captured(A),), *((fact,) for fact in order)]).record.disputes[DISPUTE_1]
        assert kept.state is UNDER_REVIEW
        assert (kept.phase, kept.reason_code, kept.respond_by) == ("chargeback", "chargeback", OPENED + 518_400)
        assert kept.created_at == OPENED - 60


def test_when_it_was_created_is_kept_as_the_report_that_counts_says_it() -> None:
    reports = (disputed(A, created_at=OPENED - 60), disputed(A, UNDER_REVIEW, at=OPENED + 10, created_at=OPENED - 50))
    for order in permutations(reports):
        story = tell([(captured(A),), *((fact,) for fact in order)])
        assert story.record.disputes[DISPUTE_1].created_at == OPENED - 50
