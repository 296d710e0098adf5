"""Disputes in the judge's eyes: what Razorpay's documents say of them (api/disputes/*.md, webhooks/disputes.md)."""

from tests.oracle.expect import Key, verify_answers
from tests.oracle.stories import AMOUNT, FIRST, R1, SETTINGS, A, Books, only

D = "disp_EsIAlDcoUr8CaQ"


def disputed(books: Books, *states: str, deducted: int = 0) -> Books:
    """The last payment is disputed, and these states of it were told."""
    payment = books.payments[-1]
    last = "open" if states[-1] == "action_required" else states[-1]
    books.disputes.append(
        {
            "id": D,
            "payment_id": payment["id"],
            "currency": "INR",
            "phase": "chargeback",
            "status": last,
            "amount_deducted": deducted,
        }
    )
    for state in states:
        name = "created" if state == "open" else state
        books.story.append({"what": f"payment.dispute.{name}", "at": payment["created_at"], "dispute_id": D})
    return books


def told(state: str) -> Key:
    return Key("payment.dispute_changed", D, "chargeback", state)


def test_a_lost_dispute_returns_the_payment_and_is_no_refund() -> None:
    outcome = only(disputed(Books().order().payment(), "open", "lost", deducted=AMOUNT).expected()[FIRST])
    view = outcome.view
    assert (view.status, view.amount_refunded, view.amount_disputed) == ("refunded", 0, AMOUNT)
    assert view.under_review
    assert told("lost") in outcome.events.must
    assert Key("payment.review", D, "dispute_lost", "open") in outcome.events.must
    every = outcome.events.must | outcome.events.may
    assert Key("payment.refunded", FIRST) not in every
    assert told("open") in outcome.events.may


def test_a_payment_that_an_operator_released_after_its_loss_is_reviewed_no_more() -> None:
    books = disputed(Books().order().payment(), "lost", deducted=AMOUNT)
    outcome = only(books.expected(cleared=frozenset({A}))[FIRST])
    assert not outcome.view.under_review
    assert Key("payment.review", D, "dispute_lost", "open") not in outcome.events.must


def test_a_part_that_was_lost_and_a_rest_that_was_refunded_are_both_shown() -> None:
    books = disputed(Books().order().payment().refund(R1, AMOUNT - 10_000), "lost", deducted=10_000)
    view = only(books.expected()[FIRST]).view
    assert (view.status, view.amount_refunded, view.amount_disputed) == ("refunded", AMOUNT - 10_000, 10_000)


def test_a_part_that_was_lost_leaves_the_payment_paid_and_under_review() -> None:
    view = only(disputed(Books().order().payment(), "lost", deducted=10_000).expected()[FIRST]).view
    assert (view.status, view.amount_disputed, view.under_review) == ("paid", 10_000, True)


def test_a_dispute_that_is_open_or_won_changes_nothing_but_what_is_told() -> None:
    for states in (("open",), ("open", "under_review"), ("open", "won")):
        outcome = only(disputed(Books().order().payment(), *states).expected()[FIRST])
        assert (outcome.view.status, outcome.view.under_review) == ("paid", False)
        assert told(states[-1]) in outcome.events.must


def test_without_its_webhook_a_dispute_that_was_sent_back_looks_open() -> None:
    outcome = only(disputed(Books().order().payment(), "open", "under_review", "action_required").expected()[FIRST])
    (group,) = (one for one in outcome.events.groups if one.what == f"dispute {D}")
    assert group.keys == frozenset({told("open"), told("action_required")})
    assert group.least == 1


def test_verify_sends_the_client_of_a_lost_payment_to_a_person() -> None:
    expected = disputed(Books().order().payment(), "lost", deducted=AMOUNT).expected(presented=[A])[FIRST]
    assert verify_answers(expected, only(expected), A, SETTINGS) == {(409, "payment_under_review")}
