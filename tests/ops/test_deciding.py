"""Deciding about payments: asked first, done by reconcile, told afterwards, and kept with who and why."""

import json
import re

import pytest

from tests.ops.conftest import WHY, Account, Terminal
from tests.runbook.counter import Counter

OTHER = "600"
BY = {"role": "PaymentsOperator", "session": "asha", "cause": "agreed_with_client", "ticket": "OPS-7"}
WRITES = {"PutItem", "UpdateItem", "DeleteItem", "TransactWriteItems", "BatchWriteItem"}


@pytest.fixture
def under_review(counter: Counter) -> Counter:
    """The first of two orders was paid from a page that was still open."""
    counter.create_order()
    counter.create_order(OTHER)
    counter.pay(counter.order_id)
    counter.deliver()
    return counter


@pytest.fixture
def paid(counter: Counter) -> Counter:
    counter.create_order()
    counter.pay()
    counter.deliver()
    return counter


# --- what each decision does ----------------------------------------------------------------------------------------


def test_an_accepted_payment_stands_and_is_published_and_what_was_done_is_said(
    terminal: Terminal, under_review: Counter
) -> None:
    result = terminal.type("resolve", "accept", under_review.order_id, *WHY, answer="y\n")
    assert result.exit_code == 0, result.output
    assert re.search(rf"accepted {under_review.payment} +paid +asha \(PaymentsOperator\)", result.output)
    assert re.search(r"superseded_order +pay_\w+ +accepted", result.output)
    assert [one["payment"]["order_id"] for one in under_review.cloud.details("payment.paid")] == [under_review.order_id]
    last = under_review.record()["history"][-1]
    assert last["by"] == BY


def test_what_is_paid_on_the_other_order_afterwards_is_no_second_sale(
    terminal: Terminal, under_review: Counter
) -> None:
    terminal.json("resolve", "accept", under_review.order_id, *WHY, "--yes")
    other = under_review.handed_out
    under_review.pay(other)
    under_review.deliver()
    assert len(under_review.cloud.details("payment.paid")) == 1
    assert terminal.json("show", other)["under_review"] is True


def test_an_unpaid_order_is_released(terminal: Terminal, counter: Counter) -> None:
    counter.create_order()
    told = terminal.json("resolve", "release", counter.order_id, *WHY, "--yes")
    assert [(one["what"], one["by"]) for one in told["changes"]] == [("released", BY)]


def test_a_signature_that_leads_to_nothing_is_released(terminal: Terminal, counter: Counter) -> None:
    counter.create_order()
    payment = counter.pay(capture="later")
    counter.verify()
    told = terminal.json("resolve", "release", counter.order_id, "--payment", payment, *WHY, "--yes")
    assert (told["status_before"], told["status"]) == ("paid", "failed")


def test_a_note_resolves_a_review_that_nothing_else_resolves(terminal: Terminal, paid: Counter) -> None:
    refund = paid.refund()
    paid.deliver()
    paid.tell_of_refund("refund.processed", refund, amount=1, id="rfnd_AAAAAAAAAAAAAA")
    assert paid.review("over_refunded") == "open"
    told = terminal.json("resolve", "note", paid.order_id, *WHY, "--yes")
    assert [(one["reason"], one["state"]) for one in told["reviews"]] == [("over_refunded", "noted")]
    assert ("over_refunded", "resolved") in paid.reviews_told()
    assert paid.record()["history"][-1]["by"] == BY


REFUND = ("--reason", "not_delivered", "--ticket", "OPS-7")


def test_a_part_is_refunded_and_the_record_says_who_asked_for_it_and_why(terminal: Terminal, paid: Counter) -> None:
    told = terminal.json("refund", paid.order_id, "--amount", "100.00", *REFUND, "--yes")
    assert (told["amount"], told["razorpay_payment_id"]) == (10_000, paid.payment)
    requested = next(one for one in paid.record()["history"] if one["what"].startswith("refund requested"))
    assert requested["by"] == {**BY, "cause": "not_delivered"}
    shown = terminal.type("refund", paid.order_id, *REFUND, answer="y\n").output
    assert "Refund what remains of the payment that stands" in shown
    assert "INR 399.50" in shown


def test_a_refund_that_is_repeated_with_its_key_is_made_once(terminal: Terminal, paid: Counter) -> None:
    words = ("refund", paid.order_id, "--amount", "100.00", *REFUND, "--yes")
    first = terminal.json(*words)
    again = terminal.json(*words, "--key", first["key"])
    assert again["refund_id"] == first["refund_id"]
    assert len(paid.razorpay.account.refunds) == 1


def test_a_review_is_resolved_by_refunding_the_payment_that_it_is_about(
    terminal: Terminal, under_review: Counter
) -> None:
    told = terminal.json("resolve", "refund", under_review.order_id, *REFUND, "--yes")
    assert told["razorpay_payment_id"] == under_review.payment
    under_review.deliver()
    assert under_review.review("superseded_order") == "returned"


def test_more_than_remains_is_refused_with_the_reason(terminal: Terminal, paid: Counter) -> None:
    said = terminal.error("refund", paid.order_id, "--amount", "500.00", *REFUND, "--yes")
    assert "Refused:" in said
    assert "amount is more than what remains of the payment" in said


def test_the_events_of_a_requested_refund_are_explained_and_published_again(terminal: Terminal, paid: Counter) -> None:
    terminal.json("refund", paid.order_id, "--amount", "100.00", *REFUND, "--yes")
    paid.deliver()
    assert terminal.json("explain", paid.order_id)["exact"] is True
    published = terminal.json("republish", paid.order_id, *WHY, "--yes")["published"]
    assert published == ["payment.paid", "payment.partially_refunded"]


def test_every_event_is_published_again_with_the_same_bytes(terminal: Terminal, paid: Counter) -> None:
    before = [entry["Detail"] for entry in paid.cloud.accepted]
    told = terminal.json("republish", paid.order_id, *WHY, "--yes")
    assert told["published"] == ["payment.paid"]
    assert [entry["Detail"] for entry in paid.cloud.accepted] == before * 2
    assert "Published again: payment.paid" in terminal.type("republish", paid.order_id, *WHY, "--yes").output


def test_one_order_is_compared_with_razorpay_now(terminal: Terminal, counter: Counter) -> None:
    counter.create_order()
    counter.pay()
    counter.lose_webhooks()
    told = terminal.json("reconcile", counter.order_id, "--yes")
    assert (told["status_before"], told["status"]) == ("created", "paid")
    assert "Nothing has changed" in terminal.type("reconcile", counter.order_id, "--yes").output


def test_a_period_is_compared_with_razorpay_to_its_end(terminal: Terminal, counter: Counter, account: Account) -> None:
    counter.create_order()
    counter.pay()
    counter.lose_webhooks()
    begin = str(counter.clock.now - 86_400)
    told = terminal.json("reconcile", "--from", begin, "--to", str(counter.clock.now + 1), "--yes")
    assert (told["failed"], told["runs"]) == (0, len(account.commands))
    assert counter.record()["status"] == "paid"


def test_a_lost_order_is_found_again_as_the_message_recommends(terminal: Terminal, paid: Counter) -> None:
    paid.delete(f"order#{paid.order_id}")
    assert "`reconcile --from`" in terminal.error("show", paid.order_id)
    assert "There is no record" in terminal.error("reconcile", paid.order_id, "--yes")
    terminal.json("reconcile", "--from", str(paid.clock.now - 60), "--to", str(paid.clock.now), "--yes")
    assert terminal.json("show", paid.order_id)["status"] == "paid"


# --- asked first ----------------------------------------------------------------------------------------------------


CHANGES = [
    ("resolve", "accept", "{order}", "--payment", "{payment}", *WHY),
    ("resolve", "release", "{order}", *WHY),
    ("resolve", "release", "{order}", "--payment", "{payment}", *WHY),
    ("resolve", "note", "{order}", *WHY),
    ("refund", "{order}", "--payment", "{payment}", *REFUND),
    ("resolve", "refund", "{order}", *REFUND),
    ("republish", "{order}", *WHY),
    ("reconcile", "{order}"),
    ("reconcile", "--last", "12h"),
]
each_change = pytest.mark.parametrize("words", CHANGES, ids=lambda words: " ".join(words[:2]))


def filled(words: tuple[str, ...], counter: Counter) -> list[str]:
    return [word.format(order=counter.order_id, payment=counter.payment) for word in words]


@each_change
@pytest.mark.parametrize("answer", ["n\n", "\n", None], ids=["no", "just enter", "nobody there"])
def test_nothing_happens_without_a_yes(
    terminal: Terminal, account: Account, under_review: Counter, words: tuple[str, ...], answer: str | None
) -> None:
    said = terminal.error(*filled(words, under_review), answer=answer)
    assert "Nothing was changed" in said
    assert (account.commands, account.refunds) == ([], [])


@each_change
def test_the_question_names_the_stage_the_region_and_who_is_asking(
    terminal: Terminal, under_review: Counter, words: tuple[str, ...]
) -> None:
    said = terminal.error(*filled(words, under_review), answer="n\n")
    assert "Stage test, region ap-south-1, as asha (PaymentsOperator). Go on?" in said


# --- who and why ----------------------------------------------------------------------------------------------------

DECISIONS = [words for words in CHANGES if WHY[0] in words]


@pytest.mark.parametrize("words", DECISIONS, ids=lambda words: " ".join(words[:2]))
def test_a_decision_without_a_reason_is_not_asked_for(
    terminal: Terminal, account: Account, under_review: Counter, words: tuple[str, ...]
) -> None:
    typed = filled(words, under_review)
    for option in ("--cause", "--ticket"):
        place = typed.index(option)
        result = terminal.type(*typed[:place], *typed[place + 2 :], "--yes")
        assert result.exit_code == 2
        assert f"Missing option '{option}'" in result.output
    assert (account.commands, account.refunds) == ([], [])


@pytest.mark.parametrize(
    "ticket",
    ["", "asha@shop.in", "the client called", "A" * 41, "OPS_7", "OPS-7\n", "ÖPS-7"],
    ids=["nothing", "an address", "words", "too long", "another sign", "a line break", "not ASCII"],
)
def test_a_ticket_is_an_id_and_no_text(
    terminal: Terminal, account: Account, under_review: Counter, ticket: str
) -> None:
    words = ("resolve", "note", under_review.order_id, "--cause", "incident", "--ticket", ticket, "--yes")
    assert terminal.type(*words).exit_code == 2
    assert (account.commands, account.refunds) == ([], [])


def test_who_decided_is_what_aws_says_and_not_what_somebody_types(
    terminal: Terminal, account: Account, under_review: Counter
) -> None:
    account.arn = "arn:aws:sts::123456789012:assumed-role/AWSReservedSSO_Operators_0a1b/ravi"
    terminal.json("resolve", "note", under_review.order_id, *WHY, "--yes")
    (command,) = account.commands
    assert command["note"]["by"] == {**BY, "role": "AWSReservedSSO_Operators_0a1b", "session": "ravi"}


@pytest.mark.parametrize(
    ("arn", "who"),
    [
        ("arn:aws:iam::123456789012:user/division/ravi", ("user", "ravi")),
        ("arn:aws:sts::123456789012:federated-user/ravi", ("federated-user", "ravi")),
        ("arn:aws:iam::123456789012:root", ("root", "root")),
        ("arn:aws-us-gov:sts::123456789012:assumed-role/Ops/ravi", ("Ops", "ravi")),
    ],
)
def test_every_kind_of_credentials_has_a_name(
    terminal: Terminal, account: Account, under_review: Counter, arn: str, who: tuple[str, str]
) -> None:
    account.arn = arn
    terminal.json("resolve", "note", under_review.order_id, *WHY, "--yes")
    by = under_review.record()["history"][-1]["by"]
    assert (by["role"], by["session"]) == who


# --- what is not possible -------------------------------------------------------------------------------------------


def test_a_decision_that_would_break_a_promise_is_refused_with_the_reason(terminal: Terminal, paid: Counter) -> None:
    words = ("resolve", "release", paid.order_id, *WHY, "--yes")
    assert "Refused: Money is held on this order, or on its way to it." in terminal.error(*words)
    result = terminal.type(*words, "--json")
    assert json.loads(result.stdout)["error"].startswith("Refused: Money is held")


def test_without_one_payment_under_review_the_payment_must_be_named(terminal: Terminal, paid: Counter) -> None:
    assert "0 payments" in terminal.error("resolve", "accept", paid.order_id, *WHY, "--yes")


def test_razorpay_being_down_is_said_and_nothing_was_decided(terminal: Terminal, under_review: Counter) -> None:
    under_review.switch(api=[{"fault": "503"}])
    said = terminal.error("resolve", "accept", under_review.order_id, *WHY, "--yes")
    assert "Razorpay does not answer: try again later." in said
    assert "a-request-id" in said
    assert under_review.cloud.details("payment.paid") == []


def test_a_period_that_razorpay_does_not_let_us_read_ends_with_a_message(terminal: Terminal, paid: Counter) -> None:
    paid.switch(api=[{"fault": "401_key"}])
    assert "No way forward" in terminal.error("reconcile", "--last", "1h", "--yes")


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("order_DESlLckIVRkHWj", "--last", "1h"),
        ("--last", "1h", "--from", "2026-03-01"),
        ("--last", "an hour"),
        ("--last", "1h", "--to", "2026-03-01"),
        ("--from", "yesterday"),
        ("--to", "2026-03-01"),
        ("order_1",),
        ("--from", "2026-03-02", "--to", "2026-03-01"),
    ],
    ids=" ".join,
)
def test_a_period_that_means_nothing_is_refused(terminal: Terminal, account: Account, words: tuple[str, ...]) -> None:
    terminal.error("reconcile", *words, "--yes")
    assert (account.commands, account.refunds) == ([], [])


# --- who may not ----------------------------------------------------------------------------------------------------


@each_change
def test_an_operator_who_may_only_read_changes_nothing(
    terminal: Terminal, account: Account, under_review: Counter, words: tuple[str, ...]
) -> None:
    account.denied = {"Invoke", "execute-api", *WRITES}
    before = under_review.cloud.items()
    said = terminal.error(*filled(words, under_review), "--yes")
    assert "The credentials may not do that (Invoke: AccessDeniedException)" in said or "forbidden" in said
    assert under_review.cloud.items() == before
    assert (account.commands, account.refunds) == ([], [])


@each_change
def test_a_laptop_without_the_role_sees_and_changes_nothing(
    terminal: Terminal, account: Account, under_review: Counter, words: tuple[str, ...]
) -> None:
    account.denied = {"Invoke", "DescribeStacks", "GetItem", "Query", "Scan", "BatchGetItem", "execute-api", *WRITES}
    for typed in (filled(words, under_review), ["show", under_review.order_id], ["reviews"], ["pending"]):
        more = [] if typed[0] in {"show", "reviews", "pending"} else ["--yes"]
        said = terminal.error(*typed, *more)
        assert under_review.payment not in said or under_review.payment in typed
    assert (account.commands, account.refunds) == ([], [])


@each_change
def test_the_command_line_itself_never_writes_to_the_table(
    terminal: Terminal, account: Account, under_review: Counter, words: tuple[str, ...]
) -> None:
    """Only reconcile does. Its own client is not the operator's."""
    account.denied = set(WRITES)
    result = terminal.type(*filled(words, under_review), "--yes")
    assert "AccessDenied" not in result.output


def test_a_stage_that_does_not_exist_is_said(terminal: Terminal) -> None:
    said = terminal.error("show", "order_DESlLckIVRkHWj", stage="nowhere")
    assert "payments-nowhere does not exist" in said
