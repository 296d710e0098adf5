"""What must be visible of an order, derived by hand from the design, sections 2, 3, 5 and 6."""

import pytest

from tests.oracle.books import Acceptance, Settings
from tests.oracle.expect import Next, verify_answers
from tests.oracle.judge import Told, judge_next, judge_order, judge_verify
from tests.oracle.stories import (
    AMOUNT,
    AT,
    DAY,
    FIRST,
    NOTES,
    R1,
    R2,
    SECOND,
    SETTINGS,
    A,
    B,
    Books,
    complaints,
    event,
    next_of,
    only,
    shown,
    statuses,
)

PAID = event("payment.paid")
REFUNDED = event("payment.refunded", refund=R1)


def partly(refund: str) -> Told:
    return event("payment.partially_refunded", refund=refund)


def surplus(refund: str, payment: str = A) -> Told:
    return event("payment.surplus_refunded", refund=refund, payment=payment)


def review(reason: str, state: str = "open", payment: str = A) -> Told:
    return event("payment.review", payment=payment, review=(reason, state))


# --- the usual course -----------------------------------------------------------------------------------------------


def test_an_order_that_nobody_tried_to_pay_is_created_and_handed_out_again() -> None:
    books = Books().order()
    expected = books.expected()[FIRST]
    assert only(expected).view.status == "created"
    assert complaints(expected) == []
    assert next_of(books) == {Next(200, None, FIRST)}
    assert next_of(books, 60_000) == {Next(201)}
    # Section 6: "younger than 30 days".
    assert next_of(books, now=AT + 30 * DAY) == {Next(201)}


def test_a_capture_of_what_was_agreed_stands_and_is_told() -> None:
    books = Books().order().payment()
    expected = books.expected(presented=[A])[FIRST]
    outcome = only(expected)
    assert (outcome.view.status, outcome.view.confirmed, outcome.view.razorpay_payment_id) == ("paid", True, A)
    assert complaints(expected, PAID) == []
    assert complaints(expected) == [f"{FIRST}: payment.paid {FIRST} was never told"]
    assert verify_answers(expected, outcome, A, SETTINGS) == {(200, None)}
    assert next_of(books) == next_of(books, 60_000) == {Next(409, "already_paid", FIRST)}


def test_a_failure_is_told_within_an_hour_or_not_at_all() -> None:
    expected = Books().order().payment(status="failed").expected()[FIRST]
    assert only(expected).view.status == "failed"
    soon, late = (event("payment.failed", occurred_at=f"2026-03-01T{at}:59Z") for at in ("09:31", "10:31"))
    assert complaints(expected) == complaints(expected, soon) == []
    assert complaints(expected, late) == [f"{FIRST}: payment.failed {A} was recorded 59 s too late to be told"]


def test_a_late_authorisation_after_a_failure_is_a_payment_like_any_other() -> None:
    books = Books().order().payment(created_at=AT + 60).tell("payment.failed", AT + 700, payment_id=A)
    expected = books.expected()[FIRST]
    assert only(expected).view.status == "paid"
    failed = event("payment.failed", occurred_at="2026-03-01T09:42:00Z")
    assert complaints(expected, failed, PAID) == complaints(expected, PAID) == []


def test_a_signed_payment_that_razorpay_lists_as_failed_is_dead() -> None:
    expected = Books().order().payment(status="failed").expected(presented=[A])[FIRST]
    assert only(expected).view.status == "failed"
    assert verify_answers(expected, expected.outcomes[0], A, SETTINGS) == {(409, "payment_failed")}


def test_an_authorisation_that_is_given_back_after_three_days_leaves_the_order_open() -> None:
    books = Books().order().payment(status="refunded", captured=False).refund()
    expected = books.expected(presented=[A])[FIRST]
    assert only(expected).view.status == "failed"
    assert only(expected).view.amount_refunded == 0
    assert complaints(expected) == []
    assert complaints(expected, REFUNDED) == [f"{FIRST}: payment.refunded {FIRST} was told, and must not be"]
    assert verify_answers(expected, expected.outcomes[0], A, SETTINGS) == {(409, "payment_returned")}
    assert next_of(books) == {Next(200, None, FIRST)}
    assert next_of(books, 60_000) == {Next(201)}


def test_an_authorisation_that_never_ends_is_reviewed_and_holds_the_application() -> None:
    books = Books().order().payment(status="authorized")
    expected = books.expected(presented=[A])[FIRST]
    # `never_captured` ends the claim of a signature: it is not `paid` any more.
    assert only(expected).view.status == "authorized"
    assert not only(expected).view.under_review
    assert complaints(expected, review("never_captured")) == []
    assert complaints(expected) == [f"{FIRST}: payment.review {A} never_captured open was never told"]
    # Razorpay itself refuses a second payment on it, so the same purchase gets it again.
    assert next_of(books) == {Next(200, None, FIRST)}
    assert next_of(books, 60_000) == {Next(409, "payment_in_progress", FIRST)}


# --- refunds --------------------------------------------------------------------------------------------------------


def test_a_refund_in_part_is_told_and_counted() -> None:
    expected = Books().order().payment().refund(R1, 20_000).expected(presented=[A])[FIRST]
    assert (only(expected).view.status, only(expected).view.amount_refunded) == ("paid", 20_000)
    assert complaints(expected, PAID, partly(R1)) == []
    assert complaints(expected, PAID) == [f"{FIRST}: refund {R1} was told 0 times, expected 1 to 1"]
    assert verify_answers(expected, expected.outcomes[0], A, SETTINGS) == {(200, None)}


def test_a_refund_in_full_is_final_and_told_once_even_if_it_was_learned_with_its_capture() -> None:
    books = Books().order().payment().refund(R1, 20_000).refund(R2, 30_000)
    expected = books.expected(presented=[A])[FIRST]
    assert (only(expected).view.status, only(expected).view.amount_refunded) == ("refunded", AMOUNT)
    assert only(expected).view.confirmed
    together = event("payment.refunded", refund=R2)
    assert complaints(expected, together) == complaints(expected, PAID, partly(R1), together) == []
    assert complaints(expected, PAID, partly(R1)) == [f"{FIRST}: payment.refunded {FIRST} was never told"]
    assert complaints(expected, together, together) == [f"{FIRST}: payment.refunded {FIRST} was told under two ids"]
    assert verify_answers(expected, expected.outcomes[0], A, SETTINGS) == {(409, "payment_refunded")}
    # Consumed: Razorpay takes no other payment on it.
    assert next_of(books) == {Next(201)}


def test_a_refund_that_fails_after_it_was_created_moves_nothing() -> None:
    expected = Books().order().payment().refund(R1, 20_000, "failed").expected()[FIRST]
    assert (only(expected).view.status, only(expected).view.amount_refunded) == ("paid", 0)
    given_up = event("payment.refund_failed", refund=R1)
    assert complaints(expected, PAID, given_up) == []
    assert complaints(expected, PAID) == [f"{FIRST}: payment.refund_failed {R1} was never told"]
    assert complaints(expected, PAID, given_up, partly(R1)) == [
        f"{FIRST}: payment.partially_refunded {R1} was told, and must not be"
    ]


def test_a_refund_that_was_processed_and_is_reported_lower_may_be_reviewed() -> None:
    books = Books().order().payment().refund(R1, 20_000, "failed").tell("refund.processed", AT + 90, refund_id=R1)
    reversed_ = event("payment.review", refund=R1, review=("refund_reversed", "open"))
    assert complaints(books.expected()[FIRST], PAID, partly(R1), reversed_) == []


def test_more_paid_back_than_captured_is_reviewed() -> None:
    expected = Books().order().payment().refund(R1).refund(R2, 1).expected()[FIRST]
    assert (only(expected).view.status, only(expected).view.amount_refunded) == ("refunded", AMOUNT + 1)
    over = event("payment.review", refund=R2, review=("over_refunded", "open"))
    assert complaints(expected, PAID, REFUNDED, over) == []
    assert complaints(expected, PAID, REFUNDED) == [f"{FIRST}: over_refunded {A} was told 0 times, expected 1 to 3"]


def test_a_total_that_no_refund_explains_stays_a_review_and_one_that_is_explained_is_resolved() -> None:
    ahead = Books().order().payment(amount_refunded=20_000).expected()[FIRST]
    assert complaints(ahead, PAID, review("refund_total_differs")) == []
    assert complaints(ahead, PAID) == [f"{FIRST}: payment.review {A} refund_total_differs open was never told"]
    explained = Books().order().payment().refund(R1, 20_000).expected()[FIRST]
    told = [PAID, partly(R1), review("refund_total_differs")]
    assert complaints(explained, *told, review("refund_total_differs", "resolved")) == []
    opened, resolved = (f"payment.review {A} refund_total_differs {state}" for state in ("open", "resolved"))
    assert complaints(explained, *told) == [f"{FIRST}: {opened} was told, and not {resolved}"]


# --- other sums -----------------------------------------------------------------------------------------------------


def test_a_capture_of_another_sum_holds_money_that_a_person_must_look_at() -> None:
    books = Books().order().payment(amount=99)
    expected = books.expected(presented=[A])[FIRST]
    outcome = only(expected)
    assert (outcome.view.status, outcome.view.confirmed, outcome.view.under_review) == ("authorized", False, True)
    assert complaints(expected, review("amount_mismatch")) == []
    assert complaints(expected, PAID, review("amount_mismatch")) == [
        f"{FIRST}: payment.paid {FIRST} was told, and must not be"
    ]
    assert verify_answers(expected, outcome, A, SETTINGS) == {(409, "payment_under_review")}
    assert next_of(books) == next_of(books, 60_000) == {Next(409, "payment_under_review", FIRST)}


def test_after_a_full_refund_of_another_sum_the_client_may_pay_again() -> None:
    books = Books().order().payment(amount=99).refund(R1, 99)
    expected = books.expected(presented=[A])[FIRST]
    outcome = only(expected)
    assert (outcome.view.status, outcome.view.amount_refunded, outcome.view.under_review) == ("failed", 0, False)
    told = [review("amount_mismatch"), surplus(R1)]
    assert complaints(expected, *told, review("amount_mismatch", "resolved")) == complaints(expected, surplus(R1)) == []
    assert complaints(expected, *told) != []
    assert complaints(expected, PAID, REFUNDED) != []
    assert verify_answers(expected, outcome, A, SETTINGS) == {(409, "payment_refunded")}
    # The order is consumed: another one.
    assert next_of(books) == {Next(201)}


def test_another_currency_is_another_sum() -> None:
    expected = Books().order().payment(currency="USD").expected()[FIRST]
    assert (only(expected).view.status, only(expected).view.under_review) == ("authorized", True)
    assert complaints(expected, review("currency_mismatch")) == []
    assert complaints(expected, review("amount_mismatch")) != []


def test_a_fee_that_the_customer_bears_is_part_of_what_was_agreed() -> None:
    books = Books().order().payment(amount=51_180, fee=1_180)
    assert complaints(books.expected()[FIRST], PAID) == []
    # The fee may have been reported later than the capture.
    told = [review("amount_mismatch"), PAID]
    assert complaints(books.expected()[FIRST], *told, review("amount_mismatch", "resolved")) == []
    assert complaints(books.expected()[FIRST], *told) != []
    back = books.refund(R1).expected()[FIRST]
    assert (only(back).view.status, only(back).view.amount_refunded) == ("refunded", AMOUNT)


def test_an_offer_is_agreed_where_the_setting_says_so() -> None:
    books = Books().order().payment(amount=45_000)
    offers = Settings(stage="dev", installation="one", accept_offers=90)
    accepted = books.expected(offers)[FIRST]
    assert only(accepted).view.status == "paid"
    assert complaints(accepted, PAID) == []
    assert only(books.expected()[FIRST]).view.status == "authorized"
    back = books.refund(R1, 45_000).expected(offers)[FIRST]
    assert only(back).view.status == "refunded"


# --- two captures ---------------------------------------------------------------------------------------------------


def test_of_two_captures_the_one_that_was_learned_first_stands_and_the_other_is_reviewed() -> None:
    books = Books().order().payment(A).payment(B)
    expected = books.expected(presented=[A])[FIRST]
    assert statuses(expected) == {"paid"}
    assert {one.view.razorpay_payment_id for one in expected.outcomes} == {A, B}
    assert complaints(expected, PAID, review("duplicate_capture", payment=B)) == []
    assert complaints(expected, PAID) == [f"{FIRST}: duplicate_capture was told 0 times, expected 1 to 1"]
    assert Next(409, "already_paid", FIRST) in next_of(books)
    assert all(one.status == 409 for one in next_of(books))


def test_a_second_capture_that_is_given_back_leaves_the_first_standing() -> None:
    expected = Books().order().payment(A).payment(B).refund(R1).expected()[FIRST]
    paid = next(one for one in expected.outcomes if one.view.status == "paid")
    assert (paid.view.razorpay_payment_id, paid.view.amount_refunded) == (A, 0)
    opened, resolved = (review("duplicate_capture", state, B) for state in ("open", "resolved"))
    told = [PAID, surplus(R1, B), opened, resolved]
    assert judge_order(expected, shown(paid), told)[1] == []
    assert judge_order(expected, shown(paid), told[:3])[1] != []
    # If the second had been known first and refunded before the other was known, `refunded` would be final.
    assert statuses(expected) == {"paid", "refunded"}


def test_two_captures_that_are_both_given_back_are_refunded_once() -> None:
    expected = Books().order().payment(A).refund(R1).payment(B).refund(R2).expected()[FIRST]
    assert statuses(expected) == {"refunded"}
    assert complaints(expected, PAID, surplus(R2, B), event("payment.refunded", refund=R1)) == []


def test_a_right_and_a_wrong_sum_on_one_order_are_paid_and_under_review() -> None:
    books = Books().order().payment(A).payment(B, amount=99)
    expected = books.expected()[FIRST]
    assert (only(expected).view.status, only(expected).view.under_review) == ("paid", True)
    assert complaints(expected, PAID, review("amount_mismatch", payment=B)) == []
    # "Tested first."
    assert next_of(books) == {Next(409, "payment_under_review", FIRST)}


# --- several orders -------------------------------------------------------------------------------------------------


def test_money_on_a_superseded_order_stands_for_nothing_and_nobody_is_sold_a_third() -> None:
    books = Books().order(FIRST).payment().order(SECOND, amount=60_000, at=AT + 30)
    expected = books.expected()
    outcome = only(expected[FIRST])
    assert (outcome.view.status, outcome.view.confirmed, outcome.view.under_review) == ("authorized", False, True)
    assert complaints(expected[FIRST], review("superseded_order")) == []
    assert complaints(expected[FIRST], PAID) != []
    assert only(expected[SECOND]).view.status == "created"
    for amount in (AMOUNT, 60_000, 70_000):
        assert next_of(books, amount) == {Next(409, "payment_under_review", FIRST)}


def test_a_superseded_order_that_was_given_back_lets_the_client_pay_the_new_one() -> None:
    books = Books().order(FIRST).payment().refund(R1).order(SECOND, amount=60_000, at=AT + 30)
    expected = books.expected()
    assert only(expected[FIRST]).view.status == "refunded"
    told = [review("superseded_order"), review("superseded_order", "resolved"), surplus(R1)]
    assert complaints(expected[FIRST], *told) == complaints(expected[FIRST], surplus(R1)) == []
    # It never stood, so there is no `payment.refunded`.
    assert complaints(expected[FIRST], REFUNDED) != []
    assert next_of(books, 60_000) == {Next(200, None, SECOND)}


def test_an_authorisation_on_a_superseded_order_is_in_progress() -> None:
    books = Books().order(FIRST).payment(status="authorized").order(SECOND, amount=60_000, at=AT + 30)
    assert next_of(books, 60_000) == {Next(409, "payment_in_progress", FIRST)}


def test_nothing_is_ever_pointed_back() -> None:
    books = Books().order(FIRST).order(SECOND, amount=60_000, at=AT + 30)
    assert next_of(books) == {Next(201)}
    assert next_of(books, 60_000) == {Next(200, None, SECOND)}


def test_both_orders_paid_are_under_review_because_of_the_old_one() -> None:
    books = Books().order(FIRST).payment(A).order(SECOND, amount=60_000, at=AT + 30).payment(B)
    expected = books.expected()
    assert (only(expected[FIRST]).view.status, only(expected[SECOND]).view.status) == ("authorized", "paid")
    assert next_of(books, 60_000) == {Next(409, "payment_under_review", FIRST)}


def test_an_operator_lets_a_payment_of_a_superseded_order_stand() -> None:
    books = Books().order(FIRST).payment().order(SECOND, amount=60_000, at=AT + 30)
    expected = books.expected(accepted=frozenset({A}))[FIRST]
    assert (only(expected).view.status, only(expected).view.under_review) == ("paid", False)
    told = [review("superseded_order"), review("superseded_order", "resolved"), PAID]
    assert complaints(expected, *told) == []
    assert next_of(books, 60_000, accepted=frozenset({A})) == {Next(409, "already_paid", FIRST)}


@pytest.mark.parametrize(("certain", "expected"), [(True, {"authorized"}), (False, {"authorized", "paid"})])
def test_what_is_paid_on_the_other_order_after_that_does_not_stand(certain: bool, expected: set[str]) -> None:
    books = Books().order(FIRST).payment().order(SECOND, at=AT + 30).payment(B)
    acceptance = Acceptance(order_id=FIRST, at=AT + 60, certain=certain)
    accepted = frozenset({A} if certain else ())
    found = books.expected(accepted=accepted, acceptances=(acceptance,))
    assert statuses(found[SECOND]) == expected


def test_an_order_that_was_given_out_after_an_acceptance_is_like_any_other() -> None:
    """The accepted payment was refunded, and the client may pay again."""
    books = Books().order(FIRST).payment().refund().order(SECOND, at=AT + 300).payment(B)
    acceptance = Acceptance(order_id=FIRST, at=AT + 100, certain=True)
    found = books.expected(accepted=frozenset({A}), acceptances=(acceptance,))
    assert only(found[SECOND]).view.status == "paid"


def test_a_payment_that_an_operator_let_stand_is_refunded_like_any_other() -> None:
    books = Books().order(FIRST).payment(amount=40_000).refund(R1, 15_000)
    expected = books.expected(accepted=frozenset({A}))[FIRST]
    assert (only(expected).view.status, only(expected).view.amount_refunded) == ("paid", 15_000)
    told = [review("amount_mismatch"), review("amount_mismatch", "resolved"), PAID]
    assert complaints(expected, *told, partly(R1)) == []
    books.refund(R2, 25_000)
    back = books.expected(accepted=frozenset({A}))[FIRST]
    assert (only(back).view.status, only(back).view.amount_refunded) == ("refunded", 40_000)
    assert complaints(back, *told, partly(R1), event("payment.refunded", refund=R2)) == []
    assert complaints(back, *told, partly(R1)) == [f"{FIRST}: payment.refunded {FIRST} was never told"]


def test_an_order_that_nobody_was_given_may_have_come_before_or_after() -> None:
    """create-order died between Razorpay and its answer, and the customer's retry got another one."""
    books = Books().order(FIRST, handed=False).payment().order(SECOND, at=AT + 30)
    assert statuses(books.expected()[FIRST]) == {"paid", "authorized"}
    assert only(books.expected()[SECOND]).view.status == "created"
    alone = Books().order(FIRST, handed=False).payment()
    assert only(alone.expected()[FIRST]).view.status == "paid"
    assert alone.expected()[FIRST].known


def test_a_hundred_orders_end_in_a_review() -> None:
    books = Books()
    for number in range(100):
        books.order(f"order_{number:014d}", amount=100_00 + number, at=AT + number)
    assert {one.code for one in next_of(books)} == {"payment_under_review"}
    assert next_of(books, 100_99) == {Next(200, None, "order_00000000000099")}


# --- whose it is ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("change", [{"stage": "production"}, {"installation": "two"}, {"service": "shop"}])
def test_nothing_is_expected_of_somebody_elses_order(change: dict[str, str]) -> None:
    assert Books().order(notes={**NOTES, **change}, handed=False).payment().expected() == {}


def test_after_a_restore_what_was_marked_in_the_gap_may_be_forgotten() -> None:
    books = Books().order(FIRST).payment().order(SECOND, amount=60_000, at=AT + 30)
    expected = books.expected(restored=((AT + 60, AT + 10),))
    assert statuses(expected[FIRST]) == {"paid", "authorized"}
    # Events published before the restore remain.
    paid = next(one for one in expected[FIRST].outcomes if one.view.status == "paid")
    assert judge_order(expected[FIRST], shown(paid), [review("superseded_order"), PAID])[1] == []


def test_an_unpaid_order_of_a_gap_need_not_be_known_again() -> None:
    books = Books().order(FIRST)
    assert books.expected()[FIRST].known
    assert not books.expected(restored=((AT + 60, AT - 60),))[FIRST].known
    assert books.payment().expected(restored=((AT + 60, AT - 60),))[FIRST].known


def test_a_proof_whose_answer_was_lost_may_count_or_not() -> None:
    books = Books().order().payment(status="authorized")
    assert statuses(books.expected(doubtful=frozenset({(FIRST, A)}))[FIRST]) == {"authorized"}


# --- the judge ------------------------------------------------------------------------------------------------------


def test_each_part_of_the_view_is_compared() -> None:
    expected = Books().order().payment().expected()[FIRST]
    for wrong in (
        {"status": "authorized"},
        {"confirmed": False},
        {"amount_refunded": 1},
        {"razorpay_payment_id": B},
        {"under_review": True},
    ):
        assert complaints(expected, PAID, **wrong) != [], wrong
    assert judge_order(expected, None, [])[1] == [f"{FIRST}: GET does not know it"]


def test_an_order_that_nobody_was_given_need_not_be_known_but_then_nothing_is_told_of_it() -> None:
    expected = Books().order(handed=False).expected()[FIRST]
    assert judge_order(expected, None, [])[1] == []
    assert judge_order(expected, None, [PAID])[1] != []


def test_each_part_of_an_answer_of_create_order_is_compared() -> None:
    books = Books().order(FIRST).payment().order(SECOND, at=AT + 30)
    allowed, known = next_of(books), frozenset({FIRST, SECOND})
    assert judge_next(allowed, Next(409, "payment_under_review", FIRST), known, "again") == []
    for wrong in (
        Next(409, "payment_under_review", SECOND),
        Next(409, "already_paid", FIRST),
        Next(201, None, "order_00000000000003"),
        Next(200, None, SECOND),
    ):
        assert judge_next(allowed, wrong, known, "again") != [], wrong
    assert judge_next({Next(201)}, Next(201, None, "order_00000000000003"), known, "again") == []
    assert judge_next({Next(201)}, Next(201, None, SECOND), known, "again") != []


def test_an_answer_of_verify_is_compared() -> None:
    expected = Books().order().payment().expected(presented=[A])[FIRST]
    assert judge_verify(expected, expected.outcomes[0], A, (200, None), SETTINGS) == []
    assert judge_verify(expected, expected.outcomes[0], A, (409, "payment_refunded"), SETTINGS) != []
