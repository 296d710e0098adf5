"""Looking at payments: what an operator finds, and that nothing changes by it."""

import json
import re
from collections.abc import Callable

import pytest

from sandbox import events
from tests.ops.conftest import Account, Terminal
from tests.runbook.counter import AMOUNT_MINOR, Counter

OTHER = "600"


@pytest.fixture
def paid(counter: Counter) -> Counter:
    counter.create_order()
    counter.pay()
    counter.verify()
    counter.deliver()
    return counter


@pytest.fixture
def under_review(counter: Counter) -> Counter:
    """The first of two orders was paid from a page that was still open."""
    counter.create_order()
    counter.create_order(OTHER)
    counter.pay(counter.order_id)
    counter.deliver()
    return counter


# --- one payment ----------------------------------------------------------------------------------------------------


def test_a_payment_is_shown_as_a_timeline(terminal: Terminal, paid: Counter) -> None:
    paid.refund(amount_minor=10_000)
    paid.deliver()
    shown = terminal.type("show", paid.order_id).output
    assert "INR 499.50, refunded INR 100.00" in shown
    steps = [rf"signed {paid.payment} +paid", rf"captured {paid.payment}", "refund processed rfnd_"]
    assert re.search(".*".join(["created", *steps]), shown, re.DOTALL)


def test_a_payment_is_printed_as_json_with_amounts_in_minor_units(terminal: Terminal, paid: Counter) -> None:
    document = terminal.json("show", paid.order_id)
    assert (document["status"], document["amount"], document["currency"]) == ("paid", AMOUNT_MINOR, "INR")
    assert document["stands"] == paid.payment
    assert [entry["status"] for entry in document["timeline"]][-1] == "paid"
    assert document["timeline"][0].keys() == {"at", "what", "status", "by"}


def test_a_review_and_the_money_that_it_is_about_are_shown(terminal: Terminal, under_review: Counter) -> None:
    shown = terminal.type("show", under_review.order_id).output
    assert "under review" in shown
    assert "holds money, does not stand" in shown
    assert "superseded_order" in shown


def test_an_event_that_is_not_on_the_bus_is_shown_with_when_it_is_due(terminal: Terminal, counter: Counter) -> None:
    counter.create_order()
    counter.pay()
    counter.verify()
    document = terminal.json("show", counter.order_id)
    assert document["due"]["lane"] == "outbox"
    assert "due in lane outbox" in terminal.type("show", counter.order_id).output


@pytest.mark.parametrize("word", ["order_1", "pay_DESlfW9H8K9uqM", "", "order_DESlLckIVRkHWj; rm -rf /"])
def test_what_is_no_order_id_is_refused_before_anything_is_read(
    terminal: Terminal, account: Account, word: str
) -> None:
    account.denied = {"GetItem", "DescribeStacks"}
    result = terminal.type("show", word)
    assert result.exit_code == 2
    assert "is no order id" in result.output


def test_an_order_without_a_record_is_said_with_what_to_do(terminal: Terminal) -> None:
    said = terminal.error("show", "order_DESlLckIVRkHWj")
    assert "has no record of order_DESlLckIVRkHWj" in said
    assert "reconcile --from" in said


def test_an_error_is_json_as_well(terminal: Terminal) -> None:
    result = terminal.type("show", "order_DESlLckIVRkHWj", "--json")
    assert result.exit_code == 1
    assert "no record" in json.loads(result.stdout)["error"]


# --- explain --------------------------------------------------------------------------------------------------------


def test_each_status_and_event_is_explained_by_the_fact_that_caused_it(terminal: Terminal, paid: Counter) -> None:
    document = terminal.json("explain", paid.order_id)
    assert document["exact"] is True
    caused = {
        (fact["fact"], fact["vouched_for_by"]): (
            step["status"] if step["changed_status"] else None,
            [event["type"] for event in step["events"]],
        )
        for step in document["steps"]
        for fact in step["facts"]
    }
    assert caused["signed", "Checkout (signature)"] == ("paid", [])
    assert caused["captured", "Razorpay (signed webhook or API)"] == (None, ["payment.paid"])


def test_the_events_of_an_explanation_are_those_on_the_bus(terminal: Terminal, paid: Counter) -> None:
    paid.refund()
    paid.deliver()
    steps = terminal.json("explain", paid.order_id)["steps"]
    explained = {event["event_id"] for step in steps for event in step["events"]}
    on_the_bus = {json.loads(entry["Detail"])["event_id"] for entry in paid.cloud.accepted}
    assert explained == on_the_bus
    assert len(explained) == 2


def test_an_explanation_for_people_says_that_it_is_exact(terminal: Terminal, under_review: Counter) -> None:
    shown = terminal.type("explain", under_review.order_id).output
    assert "gives the record exactly as it is stored" in shown
    assert "payment.review superseded_order open" in shown


# --- find -----------------------------------------------------------------------------------------------------------


def found(terminal: Terminal, *words: str) -> list[str]:
    return [one["order_id"] for one in terminal.json("find", *words)["payments"]]


def test_payments_are_found_by_order_application_client_and_freelancer(
    terminal: Terminal, under_review: Counter
) -> None:
    first, second = under_review.order_id, under_review.handed_out
    client, application = str(events.CLIENT), str(events.OFFER["application_id"])
    assert found(terminal, "--order", first) == [first]
    for words in (
        ("--application", application, "--client", client),
        ("--application", application),
        ("--client", client),
        ("--freelancer", str(events.OFFER["freelancer_id"])),
    ):
        assert set(found(terminal, *words)) == {first, second}, words
    assert found(terminal, "--client", client, "--limit", "1") != []


def test_nothing_found_is_said(terminal: Terminal, paid: Counter) -> None:
    assert paid.order_id
    assert "Nothing found" in terminal.type("find", "--client", "999").output
    assert found(terminal, "--application", "999", "--client", "999") == []


def test_a_payment_or_refund_is_found_through_razorpay_which_only_reconcile_asks(
    terminal: Terminal, account: Account, paid: Counter
) -> None:
    assert found(terminal, "--payment", paid.payment) == [paid.order_id]
    refund = paid.refund(amount_minor=10_000).id
    assert found(terminal, "--refund", refund) == [paid.order_id]
    assert account.commands == [{"find": {"razorpay_payment_id": paid.payment}}, {"find": {"refund_id": refund}}]
    paid.deliver()
    assert found(terminal, "--refund", refund) == [paid.order_id]
    assert len(account.commands) == 2, "the table knows it now"


def test_a_payment_that_razorpay_does_not_know_is_said(terminal: Terminal, paid: Counter) -> None:
    assert paid.order_id
    assert "Razorpay does not know it" in terminal.error("find", "--payment", "pay_DESlfW9H8K9uqM")


@pytest.mark.parametrize("words", [(), ("--order", "x", "--client", "1"), ("--client", "1", "--freelancer", "2")])
def test_a_search_that_means_nothing_is_refused(terminal: Terminal, words: tuple[str, ...]) -> None:
    assert "Name one of the options" in terminal.error("find", *words)


# --- reviews, and what is pending -----------------------------------------------------------------------------------


def test_open_reviews_are_listed_and_resolved_ones_on_request(terminal: Terminal, under_review: Counter) -> None:
    (listed,) = terminal.json("reviews")["reviews"]
    assert (listed["reason"], listed["subject"], listed["order_id"]) == (
        "superseded_order",
        under_review.payment,
        under_review.order_id,
    )
    assert terminal.json("reviews", "--reason", "over_refunded")["reviews"] == []
    under_review.refund()
    under_review.deliver()
    assert terminal.json("reviews")["reviews"] == []
    assert [one["state"] for one in terminal.json("reviews", "--all")["reviews"]] == ["returned"]
    assert "No reviews" in terminal.type("reviews").output


def test_what_is_pending_is_listed_with_its_lane_and_how_often_it_failed(terminal: Terminal, counter: Counter) -> None:
    counter.create_order()
    counter.pay()
    counter.verify()
    (due,) = terminal.json("pending")["due"]
    assert (due["order_id"], due["lane"], due["failures"]) == (counter.order_id, "outbox", 0)
    assert terminal.json("pending", "--failing")["due"] == []
    assert counter.order_id in terminal.type("pending").output


def test_a_record_that_keeps_failing_is_listed_as_failing(terminal: Terminal, counter: Counter) -> None:
    counter.create_order()
    counter.pay()
    counter.verify()
    counter.publish()  # moves it on to the watch lane
    counter.switch(api=[{"fault": "503"}])
    counter.clock.now += 180
    counter.reconcile(lane="watch")
    (due,) = terminal.json("pending", "--failing")["due"]
    assert (due["lane"], due["failures"]) == ("watch", 1)


# --- looking changes nothing, and needs no more than it must --------------------------------------------------------


def look_around(terminal: Terminal, counter: Counter) -> None:
    client = str(events.CLIENT)
    for words in (
        ("show", counter.order_id),
        ("explain", counter.order_id),
        ("find", "--order", counter.order_id),
        ("find", "--client", client),
        ("find", "--application", str(events.OFFER["application_id"])),
        ("reviews",),
        ("pending",),
        ("pending", "--failing"),
    ):
        assert terminal.type(*words).exit_code == 0, words
        assert terminal.type(*words, "--json").exit_code == 0, words


def test_looking_writes_nothing_and_invokes_nothing(
    terminal: Terminal, account: Account, under_review: Counter
) -> None:
    account.denied = {"Invoke", "PutItem", "UpdateItem", "DeleteItem", "TransactWriteItems", "BatchWriteItem"}
    before = under_review.cloud.items()
    look_around(terminal, under_review)
    assert under_review.cloud.items() == before
    assert account.commands == []


def test_no_personal_data_is_shown_although_razorpay_has_some(
    terminal: Terminal, under_review: Counter, look: Callable[[Terminal, Counter], str]
) -> None:
    assert "@" not in look(terminal, under_review)


@pytest.fixture
def look() -> Callable[[Terminal, Counter], str]:
    def look(terminal: Terminal, counter: Counter) -> str:
        words = (("show", counter.order_id), ("explain", counter.order_id), ("reviews",), ("pending",))
        return "".join(terminal.type(*one).output + terminal.type(*one, "--json").output for one in words)

    return look
