"""The judge on orders that nobody paid in time, with examples derived by hand from the design."""

import pytest

from tests.oracle.books import Settings
from tests.oracle.expect import Next
from tests.oracle.judge import Told
from tests.oracle.stories import (
    AMOUNT,
    AT,
    DAY,
    FIRST,
    R1,
    SECOND,
    A,
    Books,
    complaints,
    event,
    next_of,
    only,
    statuses,
)

EXPIRED = AT + 31 * DAY
BEFORE, AFTER = EXPIRED - 3600, EXPIRED + 3600
TOLD = event("payment.expired", payment=None)
PAID = event("payment.paid")


def review(state: str = "open", reason: str = "expired_order") -> Told:
    return event("payment.review", review=(reason, state))


def test_an_unpaid_order_must_expire_within_two_days_of_its_age_and_keeps_its_status() -> None:
    expected = Books().order().expected(expired={FIRST: (EXPIRED,)})[FIRST]
    assert only(expected).view.status == "created"
    assert complaints(expected, TOLD) == []
    assert complaints(expected) == [f"{FIRST}: payment.expired {FIRST} was never told"]
    for until, missed in ((AT + 32 * DAY - 1, False), (AT + 32 * DAY, True)):
        silent = Books().order().expected(until=until)[FIRST]
        assert (complaints(silent) == [f"{FIRST}: payment.expired was never told"]) is missed


def test_a_failed_order_must_expire_too_and_one_with_any_other_payment_need_not() -> None:
    until = AT + 60 * DAY
    failed = Books().order().payment(A, "failed").expected(until=until)[FIRST]
    assert f"{FIRST}: payment.expired was never told" in complaints(failed)
    for status in ("created", "authorized", "captured"):
        held = Books().order().payment(A, status).expected(until=until)[FIRST]
        assert f"{FIRST}: payment.expired was never told" not in complaints(held)


@pytest.mark.parametrize("days", [7, 60])
def test_the_age_is_a_setting(days: int) -> None:
    settings = Settings(stage="dev", installation="one", order_expiry_days=days)
    for age, allowed in ((days * DAY - 1, False), (days * DAY, True)):
        expected = Books().order().expected(settings, expired={FIRST: (AT + age,)})[FIRST]
        assert (complaints(expected, TOLD) == []) is allowed


def test_a_payment_made_before_the_expiry_pays_the_order_whenever_it_is_reported() -> None:
    for made_at in (BEFORE, EXPIRED):
        books = Books().order().payment(created_at=made_at).tell("payment.captured", EXPIRED + DAY, payment_id=A)
        expected = books.expected(expired={FIRST: (EXPIRED,)})[FIRST]
        assert (only(expected).view.status, only(expected).view.under_review) == ("paid", False)
        assert complaints(expected, TOLD, PAID) == []
        assert complaints(expected, TOLD, review()) != []


def test_a_payment_made_afterwards_is_reviewed_in_place_of_being_announced() -> None:
    books = Books().order().payment(created_at=AFTER)
    expected = books.expected(expired={FIRST: (EXPIRED,)})[FIRST]
    assert (only(expected).view.status, only(expected).view.under_review) == ("authorized", True)
    assert complaints(expected, TOLD, review()) == []
    assert complaints(expected, TOLD, PAID) != []
    assert next_of(books, expired={FIRST: (EXPIRED,)}) == {Next(409, "payment_under_review", FIRST)}


def test_an_operator_lets_it_stand_or_the_merchant_gives_it_back() -> None:
    books = Books().order().payment(created_at=AFTER)
    stands = books.expected(expired={FIRST: (EXPIRED,)}, accepted=frozenset({A}))[FIRST]
    assert only(stands).view.status == "paid"
    assert complaints(stands, TOLD, review(), review("resolved"), PAID) == []
    books.refund(R1)
    back = books.expected(expired={FIRST: (EXPIRED,)})[FIRST]
    assert (only(back).view.status, only(back).view.confirmed) == ("refunded", False)
    surplus = event("payment.surplus_refunded", refund=R1)
    assert complaints(back, TOLD, review(), review("resolved"), surplus) == []


def test_an_order_must_not_expire_while_its_payment_is_promised() -> None:
    for status in ("authorized", "captured"):
        books = Books().order().payment(A, status, created_at=BEFORE)
        told = complaints(books.expected(expired={FIRST: (EXPIRED,)})[FIRST], TOLD)
        assert any("when the order was paid" in one for one in told)
        # Razorpay's lists lag by minutes.
        just = Books().order().payment(A, status, created_at=EXPIRED - 600)
        told = complaints(just.expected(expired={FIRST: (EXPIRED,)})[FIRST], TOLD)
        assert not any("when the order was paid" in one for one in told)


def test_an_order_whose_payment_was_given_back_uncaptured_may_expire() -> None:
    books = Books().order().payment(A, "refunded", captured=False).refund(R1)
    told = complaints(books.expected(expired={FIRST: (EXPIRED,)})[FIRST], TOLD)
    assert not any("when the order was paid" in one for one in told)


def test_an_order_that_was_replaced_does_not_expire() -> None:
    books = Books().order(FIRST).order(SECOND, amount=60_000, at=AT + 30)
    told = complaints(books.expected(expired={FIRST: (EXPIRED,)})[FIRST], TOLD)
    assert told == [f"{FIRST}: payment.expired was told of {EXPIRED}, when another order had replaced it"]
    assert complaints(books.expected(until=AT + 60 * DAY)[FIRST]) == []


def test_an_expired_order_is_not_handed_out_again() -> None:
    books = Books().order()
    assert next_of(books, now=AT + 20 * DAY) == {Next(200, None, FIRST)}
    assert next_of(books, now=AT + 20 * DAY, expired={FIRST: (AT + 19 * DAY,)}) == {Next(201)}
    settings = Settings(stage="dev", installation="one", order_expiry_days=7)
    assert next_of(books, now=AT + 7 * DAY, settings=settings) == {Next(201)}
    assert next_of(books, now=AT + 7 * DAY - 1, settings=settings) == {Next(200, None, FIRST)}


def test_after_a_restore_the_expiry_may_be_forgotten() -> None:
    books = Books().order().payment(created_at=AFTER)
    expected = books.expected(expired={FIRST: (EXPIRED,)}, restored=((AFTER - 60, EXPIRED - 60),))[FIRST]
    assert statuses(expected) == {"authorized", "paid"}


def test_a_wrong_amount_on_an_expired_order_is_reviewed_as_a_wrong_amount() -> None:
    books = Books().order().payment(amount=AMOUNT - 1, created_at=AFTER)
    expected = books.expected(expired={FIRST: (EXPIRED,)})[FIRST]
    assert complaints(expected, TOLD, review(reason="amount_mismatch")) == []
    assert complaints(expected, TOLD, review()) != []
