"""The state table of the design, cell by cell. It is written out here so that nothing is derived from the code."""

import re
from copy import replace
from dataclasses import dataclass
from typing import Final

import pytest

from payments.core.model import (
    Accepted,
    Authorized,
    Captured,
    EventType,
    Failed,
    HistoryEntry,
    Imported,
    Lane,
    NeverCaptured,
    Record,
    RefundState,
    Released,
    Signed,
    Status,
)
from payments.core.position import Position
from payments.core.transitions import (
    TRANSITIONS,
    Decision,
    adopt,
    decide,
    open_record,
    supersede,
    take_over,
    unknown_record,
)
from tests.core.diagram import PAGE, edges, page
from tests.core.story import (
    AMOUNT,
    OPENED,
    ORDER,
    ORDER_ID,
    OTHER_ORDER_ID,
    PART,
    REFUND_1,
    REFUND_2,
    REFUND_3,
    A,
    B,
    C,
    Delivery,
    Story,
    captured,
    disputed,
    failed,
    is_known,
    opened,
    refunded,
    signed,
    superseded,
    tell,
)
from tests.docs.pages import claim

# How payment A led to each status. `paid°` is paid and not confirmed.
STATUSES: Final[dict[str, tuple[Delivery, ...]]] = {
    "created": (),
    "failed": ((failed(A),),),
    "authorized": ((Authorized(payment=A),),),
    "paid°": ((signed(A),),),
    "paid": ((captured(A),),),
    "refunded": ((captured(A), refunded(A, REFUND_1)),),
    # Held money that differs from what was agreed: a wrong sum, or any sum on a replaced order.
    "held": ((captured(A, AMOUNT - 1),),),
    "replaced": (),
}


STORED: Final = {"paid°": "paid", "held": "authorized", "replaced": "created"}
"""Statuses that are stored under another name than in the table below."""


def facts(what: str) -> Delivery:
    kind, payment = what.rsplit(" ", 1)
    subject = {"A": A, "B": B}[payment]
    by_kind: dict[str, Delivery] = {
        "signed": (signed(subject),),
        "authorized": (Authorized(payment=subject),),
        "captured": (captured(subject),),
        "wrong amount": (captured(subject, AMOUNT - 1),),
        "wrong currency": (captured(subject, currency="USD"),),
        "failed": (failed(subject),),
        "part": (captured(subject), refunded(subject, REFUND_2, PART)),
        "all": (captured(subject), refunded(subject, REFUND_2)),
        "auto": (refunded(subject, REFUND_2),),
        "wrong amount back": (captured(subject, AMOUNT - 1), refunded(subject, REFUND_2, AMOUNT - 1)),
    }
    return by_kind[kind]


# Per status, the effect of each fact about the same payment (A) or another (B): the next status, `=` if it stays but
# the fact is recorded, `-` if nothing changes; in brackets the events, a review by its reason.
TABLE: Final = """
created: signed A           -> paid°
created: authorized A       -> authorized
created: captured A         -> paid [paid]
created: wrong amount A -> authorized [amount_mismatch]
created: wrong currency A -> authorized [currency_mismatch]
created: failed A           -> failed [failed]
created: part A             -> paid [paid, partially_refunded]
created: all A              -> refunded [refunded]
created: auto A -> failed

failed: signed A            -> paid°
failed: signed B            -> paid°
failed: authorized A        -> authorized
failed: authorized B        -> authorized
failed: captured A          -> paid [paid]
failed: captured B          -> paid [paid]
failed: wrong amount A -> authorized [amount_mismatch]
failed: wrong amount B -> authorized [amount_mismatch]
failed: wrong currency B -> authorized [currency_mismatch]
failed: failed A            -> -
failed: failed B            -> = [failed]
failed: part A              -> paid [paid, partially_refunded]
failed: part B              -> paid [paid, partially_refunded]
failed: all A               -> refunded [refunded]
failed: all B               -> refunded [refunded]
failed: auto A              -> =
failed: auto B              -> =

authorized: signed A        -> paid°
authorized: signed B        -> paid°
authorized: authorized A    -> -
authorized: authorized B    -> =
authorized: captured A      -> paid [paid]
authorized: captured B      -> paid [paid]
authorized: wrong amount A  -> = [amount_mismatch]
authorized: wrong amount B  -> = [amount_mismatch]
authorized: wrong currency A -> = [currency_mismatch]
authorized: failed A        -> =
authorized: failed B        -> =
authorized: part A          -> paid [paid, partially_refunded]
authorized: part B          -> paid [paid, partially_refunded]
authorized: all A           -> refunded [refunded]
authorized: all B           -> refunded [refunded]
authorized: auto A -> failed
authorized: auto B          -> =

paid°: signed A             -> -
paid°: signed B             -> =
paid°: authorized A         -> =
paid°: authorized B         -> =
paid°: captured A           -> paid [paid]
paid°: captured B           -> paid [paid]
paid°: wrong amount A -> authorized [amount_mismatch]
paid°: wrong amount B -> authorized [amount_mismatch]
paid°: wrong currency A -> authorized [currency_mismatch]
paid°: failed A             -> =
paid°: failed B             -> =
paid°: part A               -> paid [paid, partially_refunded]
paid°: part B               -> paid [paid, partially_refunded]
paid°: all A                -> refunded [refunded]
paid°: all B                -> refunded [refunded]
paid°: auto A -> failed
paid°: auto B               -> =

paid: signed A              -> =
paid: signed B              -> =
paid: authorized A          -> =
paid: authorized B          -> =
paid: captured A            -> -
paid: captured B            -> = [duplicate_capture]
paid: wrong amount B        -> = [amount_mismatch]
paid: wrong currency B      -> = [currency_mismatch]
paid: failed A              -> =
paid: failed B              -> =
paid: part A                -> = [partially_refunded]
paid: part B                -> = [duplicate_capture, surplus_refunded]
paid: all A                 -> refunded [refunded]
paid: all B                 -> = [surplus_refunded]
paid: auto B                -> =

refunded: signed A          -> =
refunded: signed B          -> =
refunded: authorized A      -> =
refunded: authorized B      -> =
refunded: captured A        -> -
refunded: captured B        -> = [duplicate_capture]
refunded: wrong amount B    -> = [amount_mismatch]
refunded: wrong currency B  -> = [currency_mismatch]
refunded: failed A          -> =
refunded: failed B          -> =
refunded: part A            -> = [over_refunded]
refunded: part B            -> = [duplicate_capture, surplus_refunded]
refunded: all A             -> = [over_refunded]
refunded: all B             -> = [surplus_refunded]
refunded: auto B            -> =

held: signed A              -> =
held: signed B              -> =
held: authorized A          -> =
held: authorized B          -> =
held: captured A            -> paid [paid, amount_mismatch resolved]
held: captured B            -> paid [paid]
held: wrong amount B        -> = [amount_mismatch]
held: wrong currency B      -> = [currency_mismatch]
held: failed A              -> =
held: failed B              -> =
held: part B                -> paid [paid, partially_refunded]
held: all B                 -> refunded [refunded]
held: auto B                -> =
held: wrong amount back A   -> failed [surplus_refunded, amount_mismatch resolved]

replaced: signed A          -> authorized
replaced: authorized A      -> authorized
replaced: captured A        -> authorized [superseded_order]
replaced: wrong amount A    -> authorized [amount_mismatch]
replaced: wrong currency A  -> authorized [currency_mismatch]
replaced: failed A          -> failed
replaced: part A            -> authorized [superseded_order, surplus_refunded]
replaced: all A             -> refunded [surplus_refunded]
replaced: auto A            -> failed
replaced: wrong amount back A -> failed [surplus_refunded]
"""
_ROW = re.compile(r"(\S+): (.+?) +-> (\S+)(?: \[(.+)\])?")
_EVENTS = {"paid", "failed", "partially_refunded", "refunded", "surplus_refunded"}


@dataclass(frozen=True)
class Cell:
    status: str
    fact: str
    outcome: str
    recorded: tuple[str, ...]


def cells() -> list[Cell]:
    rows = [_ROW.fullmatch(line) for line in TABLE.split("\n") if line]
    return [Cell(row[1], row[2], row[3], tuple(filter(None, (row[4] or "").split(", ")))) for row in rows if row]


@pytest.mark.parametrize("cell", cells(), ids=lambda cell: f"{cell.status}: {cell.fact}".replace("°", " unconfirmed"))
def test_each_cell_of_the_state_table_does_what_it_says(cell: Cell) -> None:
    story = tell(STATUSES[cell.status], superseded() if cell.status == "replaced" else opened())
    before = story.record
    assert before.status.value == STORED.get(cell.status, cell.status)
    assert before.confirmed == (cell.status in {"paid", "refunded"})

    decision = story.deliver(*facts(cell.fact))

    if cell.outcome == "-":
        assert decision.record is before
        return
    expected = cell.status if cell.outcome == "=" else cell.outcome
    assert story.record.status.value == STORED.get(expected, expected)
    # No payment counts on a replaced order.
    assert story.record.confirmed == (expected in {"paid", "refunded"} and cell.status != "replaced")
    assert all(is_known(story.record, fact) for fact in facts(cell.fact))
    events = [decision.record.pending[identity] for identity in decision.recorded]
    types = [f"payment.{name}" if name in _EVENTS else "payment.review" for name in cell.recorded]
    assert sorted(event.type for event in events) == sorted(types)
    reasons = [name for name in cell.recorded if name not in _EVENTS]
    told = [
        event.review if event.review_state == "open" else f"{event.review} resolved" for event in events if event.review
    ]
    assert told == reasons
    opened_now = [review.reason for review in decision.record.reviews[len(before.reviews) :]]
    assert opened_now == [name for name in reasons if not name.endswith("resolved")]
    assert {event.version for event in events} <= {decision.record.version}


def test_the_table_has_a_cell_for_every_status_and_kind_of_fact() -> None:
    kinds = {"signed", "authorized", "captured", "wrong amount", "failed", "part", "all", "auto"}
    named = {(cell.status, cell.fact.rsplit(" ", 1)[0]) for cell in cells()}
    assert len(cells()) == len([line for line in TABLE.split("\n") if line])
    assert named >= {(status, kind) for status in STATUSES for kind in kinds}


def test_the_page_of_statuses_is_what_the_code_makes_of_them() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run `make states`"
    (diagram,) = claim("docs/data-model.md", languages=("mermaid",))
    assert diagram.text in page()


def test_every_change_of_status_that_the_code_allows_has_a_cause_and_no_other_happens() -> None:
    reached = set(edges())
    allowed = {(before, after) for before, following in TRANSITIONS.items() for after in following}
    assert reached == {edge for edge in allowed if edge[0] is not Status.UNKNOWN}
    assert not TRANSITIONS[Status.REFUNDED]
    assert all(Status.CREATED not in following for before, following in TRANSITIONS.items() if before != "unknown")


# --- what the table does not say ------------------------------------------------------------------------------------


def test_an_automatic_refund_of_one_of_two_live_payments_leaves_the_other_alive() -> None:
    story = tell([(Authorized(payment=A),), (Authorized(payment=B),), (refunded(A, REFUND_1),)])
    assert story.status() is Status.AUTHORIZED
    story.deliver(refunded(B, REFUND_2))
    assert story.status() is Status.FAILED
    # Neither failed: Razorpay returned them uncaptured.
    assert not story.events


def test_an_automatic_refund_of_the_signed_payment_falls_back_to_an_authorised_one() -> None:
    story = tell([(signed(A),), (Authorized(payment=B),), (refunded(A, REFUND_1),)])
    assert story.status() is Status.AUTHORIZED
    assert not story.events


def test_a_payment_that_was_given_back_automatically_does_not_come_alive_by_a_late_report() -> None:
    story = tell([(refunded(A, REFUND_1),), (Authorized(payment=A),), (signed(A),)])
    assert story.status() is Status.FAILED


def test_the_smallest_refund_of_a_payment_never_captured_gives_it_back() -> None:
    story = tell([(Authorized(payment=A),), (refunded(A, REFUND_1, 1),)])
    assert story.status() is Status.FAILED


def test_a_failed_payment_is_announced_once_even_if_it_recovers_and_is_given_back() -> None:
    story = tell([(failed(A),), (Authorized(payment=A),), (refunded(A, REFUND_1),)])
    assert story.status() is Status.FAILED
    assert story.count("payment.failed") == 1


def test_a_failed_payment_says_why_in_codes_only() -> None:
    failure = Failed(payment=A, code="BAD_REQUEST_ERROR", reason="payment_cancelled", method="card", at=OPENED)
    (event,) = tell([(failure,)]).record.pending.values()
    assert (event.code, event.failure_reason, event.method) == ("BAD_REQUEST_ERROR", "payment_cancelled", "card")


@pytest.mark.parametrize(("age", "told"), [(1, 1), (60 * 60 - 1, 1), (60 * 60, 0), (24 * 60 * 60, 0)])
def test_only_a_failure_of_less_than_an_hour_ago_is_news(age: int, told: int) -> None:
    story = Story(now=OPENED + age - 1)
    story.deliver(failed(A))
    assert story.status() is Status.FAILED
    assert story.count("payment.failed") == told


def test_a_failure_beside_a_live_payment_or_on_a_superseded_order_is_not_told() -> None:
    assert not tell([(Authorized(payment=B),), (failed(A),)]).events
    assert not tell([(failed(A),)], superseded()).events


def test_a_refund_that_failed_after_it_was_created_changes_no_status_and_is_told() -> None:
    story = tell([(captured(A),), (captured(A), refunded(A, REFUND_1, state=RefundState.CREATED))])
    assert story.status() is Status.PAID
    assert Position.of(story.record).amount_refunded == 0
    story.deliver(captured(A), refunded(A, REFUND_1, state=RefundState.FAILED))
    assert story.status() is Status.PAID
    assert story.record.refunds[REFUND_1].state is RefundState.FAILED
    assert list(story.types.values()) == ["payment.paid", "payment.refund_failed"]


def test_a_processed_refund_is_not_taken_back_by_an_older_report() -> None:
    story = tell([(captured(A), refunded(A, REFUND_1))])
    assert not story.deliver(captured(A), refunded(A, REFUND_1, state=RefundState.CREATED)).changed


def test_a_processed_refund_that_is_reported_as_failed_stays_processed_and_a_person_must_look() -> None:
    story = tell([(captured(A), refunded(A, REFUND_1))])
    story.deliver(refunded(A, REFUND_1, state=RefundState.FAILED))
    assert story.record.refunds[REFUND_1].state is RefundState.PROCESSED
    assert (story.status(), Position.of(story.record).amount_refunded) == (Status.REFUNDED, AMOUNT)
    assert [(review.reason, review.subject) for review in story.record.reviews] == [("refund_reversed", REFUND_1)]


def test_partial_refunds_add_up_to_a_full_one() -> None:
    story = tell([(captured(A),), (refunded(A, REFUND_1, PART),)])
    assert (story.status(), Position.of(story.record).amount_refunded) == (Status.PAID, PART)
    story.deliver(refunded(A, REFUND_2, PART))
    assert (story.status(), Position.of(story.record).amount_refunded) == (Status.PAID, 2 * PART)
    story.deliver(refunded(A, REFUND_3, AMOUNT - 2 * PART))
    assert (story.status(), Position.of(story.record).amount_refunded) == (Status.REFUNDED, AMOUNT)
    assert story.count("payment.partially_refunded") == 2
    assert story.count("payment.refunded") == 1
    assert not story.record.reviews


def test_an_order_captured_twice_is_refunded_only_when_both_captures_are() -> None:
    story = tell([(captured(A),), (captured(B),), (refunded(A, REFUND_1),)])
    assert story.status() is Status.PAID
    story.deliver(refunded(B, REFUND_2))
    assert story.status() is Status.REFUNDED


def test_more_paid_back_than_captured_is_reviewed_once() -> None:
    story = tell([(captured(A),), (refunded(A, REFUND_1, AMOUNT - 1),), (refunded(A, REFUND_2, PART),)])
    assert story.status() is Status.REFUNDED
    story.deliver(refunded(A, REFUND_3, PART))
    assert [review.reason for review in story.record.reviews] == ["over_refunded"]


def test_more_paid_back_than_captured_of_a_wrong_sum_is_reviewed_too() -> None:
    story = tell([(captured(A, PART),), (refunded(A, REFUND_1, PART + 1),)])
    assert story.reviews() == ["amount_mismatch returned", "over_refunded"]
    assert story.status() is Status.FAILED


def test_anything_paid_back_of_a_capture_of_nothing_is_too_much() -> None:
    assert tell([(captured(A, 0), refunded(A, REFUND_1, 1))]).reviews() == ["over_refunded"]


def test_a_refund_known_before_its_capture_counts_from_the_capture_on() -> None:
    story = tell([(refunded(A, REFUND_1),)])
    assert story.status() is Status.FAILED
    story.deliver(captured(A))
    assert story.status() is Status.REFUNDED
    assert list(story.types.values()) == ["payment.refunded"]


@pytest.mark.parametrize(
    ("amount_minor", "currency", "reason"),
    [
        (AMOUNT + 1, "INR", "amount_mismatch"),
        (1, "INR", "amount_mismatch"),
        (AMOUNT, "USD", "currency_mismatch"),
        (1, "USD", "currency_mismatch"),
    ],
)
def test_a_capture_of_the_wrong_sum_is_reviewed_once_and_pays_nothing(
    amount_minor: int, currency: str, reason: str
) -> None:
    story = tell([(captured(A, amount_minor, currency),)] * 2)
    assert [review.reason for review in story.record.reviews] == [reason]
    assert (story.status(), story.record.confirmed) == (Status.AUTHORIZED, False)


@pytest.mark.parametrize("reports", [(AMOUNT - 1, AMOUNT), (AMOUNT, AMOUNT - 1)])
def test_of_two_reports_about_one_capture_the_one_that_was_agreed_wins(reports: tuple[int, int]) -> None:
    story = tell([(captured(A, amount_minor),) for amount_minor in reports])
    assert (story.status(), story.record.confirmed) == (Status.PAID, True)
    assert story.record.attempts[A].amount_minor == AMOUNT
    assert story.count("payment.paid") == 1


def test_of_two_reports_of_a_wrong_sum_the_first_is_kept() -> None:
    story = tell([(captured(A, PART),), (captured(A, PART + 1),)])
    assert story.record.attempts[A].amount_minor == PART


@pytest.mark.parametrize("record", [opened(), unknown_record(ORDER_ID, OPENED)], ids=["ours", "unknown"])
def test_a_second_report_of_a_capture_that_says_no_more_is_old_news(record: Record) -> None:
    story = tell([(captured(A, method="card", fee_minor=1180),)], record)
    assert not story.deliver(captured(A, method=None)).changed
    assert not story.deliver(captured(A, method="upi", fee_minor=5)).changed


def test_of_two_reports_about_a_capture_of_an_unknown_order_the_first_is_kept() -> None:
    story = tell([(captured(A, PART),), (captured(A),)], unknown_record(ORDER_ID, OPENED))
    assert story.record.attempts[A].amount_minor == PART


@pytest.mark.parametrize(
    "first", [Authorized(payment=A, method="card"), Failed(payment=A, method="card"), captured(A, method="card")]
)
def test_the_method_is_the_one_that_was_first_told(first: Authorized | Failed | Captured) -> None:
    story = tell([(signed(A),), (first,)])
    assert story.record.attempts[A].method == "card"
    for later in (Authorized(payment=A, method="upi"), Failed(payment=A, method="upi"), captured(A, method="upi")):
        story.deliver(later)
        assert story.record.attempts[A].method == "card"


def test_why_a_payment_failed_is_told_with_its_failure_alone() -> None:
    story = tell([(Failed(payment=A, code="BAD_REQUEST_ERROR", reason="payment_cancelled"),), (captured(A),)])
    paid = next(event for event in story.record.pending.values() if event.type == "payment.paid")
    assert (paid.code, paid.failure_reason) == (None, None)


def test_a_review_of_too_much_paid_back_names_the_refund_and_its_sum() -> None:
    story = tell([(captured(A), refunded(A, REFUND_1, AMOUNT + 1))])
    review = next(event for event in story.record.pending.values() if event.review == "over_refunded")
    assert (review.payment, review.refund, review.refund_minor) == (A, REFUND_1, AMOUNT + 1)


def test_a_review_of_too_much_paid_back_names_no_refund_of_another_payment_nor_one_that_may_yet_fail() -> None:
    assert REFUND_3 < REFUND_1 < REFUND_2
    story = tell(
        [
            (captured(A), captured(B)),
            (refunded(B, REFUND_2, PART),),
            (refunded(A, REFUND_1, 1, RefundState.CREATED),),
            (refunded(A, REFUND_3, AMOUNT + 1),),
        ]
    )
    assert [review.subject for review in story.record.reviews if review.reason == "over_refunded"] == [REFUND_3]


def test_a_capture_on_a_superseded_order_does_not_stand_and_a_person_must_look() -> None:
    story = tell([(Authorized(payment=A),), (captured(A),)], superseded())
    assert (story.status(), story.record.confirmed) == (Status.AUTHORIZED, False)
    assert list(story.types.values()) == ["payment.review"]
    assert story.reviews() == ["superseded_order"]


def test_an_operator_lets_a_capture_on_a_superseded_order_stand() -> None:
    story = tell([(captured(A),), (Accepted(payment=A),)], superseded())
    assert (story.status(), story.record.confirmed) == (Status.PAID, True)
    assert story.reviews() == ["superseded_order accepted"]
    assert story.count("payment.paid") == 1


def test_every_capture_on_a_superseded_order_is_reviewed() -> None:
    story = tell([(captured(A),), (captured(B),)], superseded())
    assert story.reviews() == ["superseded_order", "superseded_order"]
    assert not story.count("payment.paid")


def test_a_superseded_order_that_is_refunded_at_once_tells_its_refund_alone() -> None:
    story = tell([(captured(A), refunded(A, REFUND_1))], superseded())
    assert (story.status(), story.record.confirmed, Position.of(story.record).amount_refunded) == (
        Status.REFUNDED,
        False,
        0,
    )
    assert list(story.types.values()) == ["payment.surplus_refunded"]


def test_captures_that_arrive_together_are_one_payment_and_its_duplicates() -> None:
    story = tell([(captured(A), captured(B), captured(C))])
    assert story.count("payment.paid") == 1
    assert [review.reason for review in story.record.reviews] == ["duplicate_capture"] * 2
    paid = next(event.payment for event in story.record.pending.values() if event.type == "payment.paid")
    assert Position.of(story.record).standing == paid


# --- the limit of attempts ------------------------------------------------------------------------------------------


def payment(number: int) -> str:
    return f"pay_{number:014d}"


@pytest.fixture(scope="module")
def crowded() -> Story:
    """An order with the maximum number of failed attempts."""
    return tell([(failed(payment(number)),) for number in range(100)])


def test_a_hundred_attempts_are_kept(crowded: Story) -> None:
    assert len(crowded.record.attempts) == 100
    assert crowded.count("payment.failed") == 100
    assert not crowded.record.reviews


def test_one_more_is_counted_and_reviewed_once(crowded: Story) -> None:
    story = Story(crowded.record, crowded.now)
    first = story.deliver(failed(payment(100)))
    assert (first.changed, first.dropped_attempts) == (True, 1)
    assert [(review.reason, review.subject) for review in story.record.reviews] == [("too_many_attempts", payment(100))]
    assert list(story.types.values()) == ["payment.review"]
    assert story.record.history[-1].what == "attempt over the limit"
    second = story.deliver(failed(payment(101)))
    assert (second.changed, second.dropped_attempts) == (False, 1)
    assert len(story.record.attempts) == 100


def test_of_several_too_many_at_once_each_is_counted_and_the_first_reviewed(crowded: Story) -> None:
    story = Story(crowded.record, crowded.now)
    decision = story.deliver(failed(payment(100)), failed(payment(101)), failed(payment(102)))
    assert decision.dropped_attempts == 3
    assert [review.subject for review in decision.record.reviews] == [payment(100)]


@pytest.mark.parametrize(
    ("fact", "status"),
    [
        (signed(A), Status.PAID),
        (Authorized(payment=A), Status.AUTHORIZED),
        (captured(A), Status.PAID),
        (refunded(A, REFUND_1), Status.FAILED),
    ],
    ids=["signature", "authorisation", "capture", "refund"],
)
def test_money_and_signatures_are_kept_beyond_the_limit(
    crowded: Story, fact: Signed | Authorized, status: Status
) -> None:
    story = Story(crowded.record, crowded.now)
    assert not story.deliver(fact).dropped_attempts
    assert story.record.status is status


def test_a_known_attempt_still_learns_beyond_the_limit(crowded: Story) -> None:
    story = Story(crowded.record, crowded.now)
    story.deliver(captured(payment(0)))
    assert story.status() is Status.PAID


# --- orders known only from a webhook -------------------------------------------------------------------------------


def test_facts_of_an_unknown_order_are_kept_and_judged_by_nobody() -> None:
    story = tell([(Authorized(payment=A),), (captured(A),), (refunded(A, REFUND_1),)], unknown_record(ORDER_ID, OPENED))
    assert story.status() is Status.UNKNOWN
    assert not story.events
    assert not story.record.confirmed
    # Only what is certainly foreign may expire.
    assert story.record.expires_at is None


def test_an_unknown_order_with_too_many_attempts_stops_changing() -> None:
    story = Story(unknown_record(ORDER_ID, OPENED))
    for number in range(100):
        story.deliver(failed(payment(number)))
    for _ in range(2):
        decision = story.deliver(failed(payment(100)))
        assert (decision.changed, decision.dropped_attempts) == (False, 1)


def test_a_decision_about_an_unknown_order_says_which_refunds_are_new_and_what_was_dropped() -> None:
    story = Story(unknown_record(ORDER_ID, OPENED))
    for number in range(100):
        story.deliver(failed(payment(number)))
    decision = story.deliver(failed(payment(100)), captured(A), refunded(A, REFUND_1, PART))
    assert (decision.changed, decision.new_refunds, decision.dropped_attempts) == (True, (REFUND_1,), 1)


def test_an_order_that_is_found_to_be_ours_is_judged_as_if_its_facts_arrived_now() -> None:
    unknown = tell([(captured(A),), (refunded(A, REFUND_1, PART),)], unknown_record(ORDER_ID, OPENED)).record
    asked = replace(unknown, foreign=True, expires_at=OPENED + 9, failures=3, lane=Lane.UNKNOWN, attention_at=OPENED)
    decision = adopt(asked, ORDER, OPENED - 60, OPENED + 90)
    record = decision.record
    assert decision.changed
    assert (record.order, record.status, record.confirmed, record.stood) == (ORDER, Status.PAID, True, A)
    assert (record.created_at, record.updated_at) == ("2026-03-01T09:29:00Z", "2026-03-01T09:31:30Z")
    assert (record.version, record.superseded_by) == (asked.version + 1, None)
    assert (record.foreign, record.expires_at, record.failures) == (False, None, 0)
    assert (record.lane, record.attention_at) == (Lane.OUTBOX, OPENED + 90 + 60)
    assert (set(record.attempts), dict(record.refunds)) == ({A}, dict(unknown.refunds))
    assert record.history[-1] == HistoryEntry(at="2026-03-01T09:31:30Z", what="found to be ours", status=Status.PAID)
    assert [event.type for event in record.pending.values()] == ["payment.paid", "payment.partially_refunded"]
    assert decision.recorded == tuple(record.pending)


def test_an_order_that_is_found_to_be_ours_and_has_nothing_to_tell_is_due_nowhere() -> None:
    asked = replace(unknown_record(ORDER_ID, OPENED), lane=Lane.UNKNOWN, attention_at=OPENED, failures=2)
    record = adopt(asked, ORDER, OPENED, OPENED + 90).record
    assert (record.status, record.lane, record.attention_at, record.failures) == (Status.CREATED, None, None, 0)


def test_an_order_that_is_found_beside_a_paid_one_is_superseded_by_that() -> None:
    unknown = tell([(captured(A),)], unknown_record(ORDER_ID, OPENED)).record
    record = adopt(unknown, ORDER, OPENED, OPENED + 90, superseded_by=OTHER_ORDER_ID).record
    assert (record.superseded_by, record.status, record.stood) == (OTHER_ORDER_ID, Status.AUTHORIZED, None)


# --- orders of the service that this one replaces -------------------------------------------------------------------


def taken_over(record: Record, status: str) -> Decision:
    """The order is imported, without a fact of its own."""
    was = Imported(status=status, at=OPENED + 60)
    return take_over(record, ORDER, was, [], OPENED + 90, created_at=OPENED - 60, unsettled=False)


@pytest.mark.parametrize(
    ("status", "events"),
    [
        ("created", ["payment.dispute_changed", "payment.paid", "payment.partially_refunded"]),
        # Other services acted on the payment and its refund long ago, and know nothing of disputes.
        ("paid", ["payment.dispute_changed"]),
    ],
)
def test_an_order_that_is_imported_keeps_what_razorpay_reported_before(status: str, events: list[EventType]) -> None:
    reported: list[Delivery] = [(captured(A),), (refunded(A, REFUND_1, PART),), (disputed(A),)]
    unknown = tell(reported, unknown_record(ORDER_ID, OPENED)).record
    asked = replace(unknown, foreign=True, expires_at=OPENED + 9, failures=3, lane=Lane.UNKNOWN, attention_at=OPENED)
    decision = taken_over(asked, status)
    record = decision.record
    assert (record.order, record.status, record.stood) == (ORDER, Status.PAID, A)
    assert (record.refunds, record.disputes) == (unknown.refunds, unknown.disputes)
    assert (record.foreign, record.expires_at, record.failures) == (False, None, 0)
    assert (record.lane, record.attention_at) == (Lane.OUTBOX, OPENED + 90 + 60)
    assert sorted(event.type for event in record.pending.values()) == events
    assert decision.recorded == tuple(record.pending)


def test_an_order_that_is_imported_and_has_nothing_to_tell_is_due_nowhere() -> None:
    asked = replace(unknown_record(ORDER_ID, OPENED), lane=Lane.UNKNOWN, attention_at=OPENED, failures=2)
    record = taken_over(asked, "created").record
    assert (record.status, record.lane, record.attention_at, record.failures) == (Status.CREATED, None, None, 0)


def test_money_on_its_way_that_razorpay_reported_before_the_import_is_asked_about() -> None:
    unknown = tell([(Authorized(payment=A),)], unknown_record(ORDER_ID, OPENED)).record
    record = taken_over(replace(unknown, lane=None, attention_at=None), "created").record
    assert (record.status, record.lane, record.attention_at) == (Status.AUTHORIZED, Lane.OUTBOX, OPENED + 90 + 60)


def test_an_order_that_is_imported_once_more_stays_due_as_it_was() -> None:
    known = replace(taken_over(unknown_record(ORDER_ID, OPENED), "created").record, failures=2)
    record = taken_over(replace(known, lane=Lane.WATCH, attention_at=OPENED + 600), "paid").record
    assert (record.lane, record.attention_at, record.failures) == (Lane.WATCH, OPENED + 600, 2)


def test_an_order_that_is_refunded_stays_so_when_it_is_imported_once_more() -> None:
    """`refunded` is final: a capture that comes after it stands for nothing."""
    replaced = supersede(taken_over(unknown_record(ORDER_ID, OPENED), "created").record, OTHER_ORDER_ID, OPENED + 91)
    story = tell([(captured(A), refunded(A, REFUND_1)), (captured(B),)], replaced)
    assert (story.status(), story.record.confirmed) == (Status.REFUNDED, False)
    assert taken_over(story.record, "paid").record.status is Status.REFUNDED


# --- the record as a whole ------------------------------------------------------------------------------------------


def test_the_history_tells_each_change_and_is_bounded() -> None:
    story = tell([(Authorized(payment=A),), (captured(A), refunded(A, REFUND_1, PART)), (captured(A),)])
    assert [(entry.what, entry.status.value) for entry in story.record.history] == [
        ("created", "created"),
        (f"authorized {A}", "authorized"),
        (f"captured {A}, refund processed {REFUND_1}", "paid"),
    ]
    for number in range(200):
        story.deliver(signed(payment(number)))
    assert len(story.record.history) == 100


def test_the_history_tells_each_kind_of_fact_in_a_word_of_its_own() -> None:
    told: dict[str, list[Delivery]] = {
        f"signed {A}": [(signed(A),)],
        f"authorized {A}": [(Authorized(payment=A),)],
        f"captured {A}": [(captured(A),)],
        f"failed {A}": [(failed(A),)],
        f"refund created {REFUND_1}": [(captured(A),), (refunded(A, REFUND_1, state=RefundState.CREATED),)],
        f"refund failed {REFUND_1}": [(captured(A),), (refunded(A, REFUND_1, state=RefundState.FAILED),)],
        f"never captured {A}": [(signed(A),), (NeverCaptured(payment=A),)],
        f"accepted {A}": [(captured(A, PART),), (Accepted(payment=A),)],
        f"released {A}": [(signed(A),), (Released(payment=A),)],
    }
    for what, deliveries in told.items():
        assert tell(deliveries).record.history[-1].what == what


def test_of_one_change_the_history_tells_the_first_five_facts_and_how_many_more() -> None:
    for count, more in ((5, ""), (6, " and 1 more"), (9, " and 4 more")):
        story = tell([tuple(failed(payment(number)) for number in range(count))])
        told = ", ".join(f"failed {payment(number)}" for number in range(5))
        assert story.record.history[-1].what == told + more


def test_a_new_order_starts_like_this() -> None:
    assert open_record(ORDER_ID, ORDER, OPENED) == Record(
        order_id=ORDER_ID,
        order=ORDER,
        status=Status.CREATED,
        confirmed=False,
        version=1,
        created_at="2026-03-01T09:30:00Z",
        updated_at="2026-03-01T09:30:00Z",
        history=(HistoryEntry(at="2026-03-01T09:30:00Z", what="created", status=Status.CREATED),),
    )


def test_an_order_known_only_from_a_webhook_starts_like_this() -> None:
    record = unknown_record(ORDER_ID, OPENED)
    assert record == Record(
        order_id=ORDER_ID,
        order=None,
        status=Status.UNKNOWN,
        confirmed=False,
        version=0,
        created_at="2026-03-01T09:30:00Z",
        updated_at="2026-03-01T09:30:00Z",
    )
    assert record.confirmed is False


def test_superseding_an_order_is_a_change_of_its_own() -> None:
    before = tell([(Authorized(payment=A),)]).record
    assert supersede(before, OTHER_ORDER_ID, OPENED + 60) == replace(
        before,
        superseded_by=OTHER_ORDER_ID,
        version=before.version + 1,
        updated_at="2026-03-01T09:31:00Z",
        history=(
            *before.history,
            HistoryEntry(at="2026-03-01T09:31:00Z", what=f"superseded by {OTHER_ORDER_ID}", status=Status.AUTHORIZED),
        ),
    )


def test_nothing_at_all_changes_nothing() -> None:
    assert not decide(opened(), (), OPENED).changed


@pytest.mark.parametrize(
    ("deliveries", "expected"),
    [
        ((), None),
        (((failed(A),),), None),
        (((Authorized(payment=A),),), A),
        (((Authorized(payment=A),), (signed(B),)), B),
        (((signed(A),), (captured(B),)), B),
        (((captured(B),), (captured(A),)), B),
        (((Authorized(payment=A),), (refunded(A, REFUND_1),)), None),
    ],
)
def test_the_status_rests_on_the_payment_that_says_most(deliveries: tuple[Delivery, ...], expected: str | None) -> None:
    assert Position.of(tell(deliveries).record).shown_payment() == expected


def test_a_change_says_which_events_it_recorded() -> None:
    story = Story()
    expected: list[EventType] = ["payment.paid", "payment.partially_refunded"]
    decision = story.deliver(captured(A), refunded(A, REFUND_1, PART))
    assert sorted(story.types[identity] for identity in decision.recorded) == expected


def test_a_refund_is_reviewed_once_even_if_razorpay_corrects_the_captured_sum() -> None:
    story = tell([(captured(A, AMOUNT - 1),), (refunded(A, REFUND_2),)])
    assert [review.reason for review in story.record.reviews] == ["amount_mismatch", "over_refunded"]
    story.deliver(captured(A))
    story.deliver(refunded(A, REFUND_1, PART))
    assert [review.reason for review in story.record.reviews].count("over_refunded") == 1
    assert max(REFUND_1, REFUND_2) == REFUND_2
