"""The list: a user's own payments, and the orders of one of their applications."""

import base64
from typing import Any, Final

import pytest

from payments.core.lookup import PAGE_SIZE
from sandbox import development, events
from tests.handlers import cloud as faults
from tests.handlers.cloud import Fault
from tests.handlers.service import LIST, Answer, Service

CLIENT, FREELANCER, STRANGER = events.CLIENT, events.FREELANCER, events.SOMEBODY_ELSE
APPLICATION: Final = str(events.OFFER["application_id"])


def order(service: Service, **changes: Any) -> str:
    """A new order's id."""
    answer = service.create_order(**changes)
    assert answer.status == 201, answer.text
    order_id: str = answer.body["order_id"]
    return order_id


def payments(answer: Answer) -> list[str]:
    """The orders of a page."""
    assert answer.status == 200, answer.text
    assert list(answer.body) == ["payments", "next_cursor"]
    return [payment["order_id"] for payment in answer.body["payments"]]


def wrong(answer: Answer) -> list[str]:
    """The parameters that a refusal names."""
    assert (answer.status, answer.code) == (400, "invalid_request")
    return [error["field"] for error in answer.body["errors"]]


# --- a user's own payments ---


@pytest.mark.parametrize(("user_id", "role"), [(CLIENT, "client"), (FREELANCER, "freelancer")])
def test_both_parties_list_the_payment_as_they_read_it(ordered: Service, user_id: int, role: str) -> None:
    for name in ("verify", "webhook-payment-captured", "webhook-refund-processed-part"):
        ordered.replay(name)
    answer = ordered.find(user_id=user_id, role=role)
    assert answer.body == {"payments": [ordered.read(user_id=user_id).body], "next_cursor": None}
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("user_id", "role"),
    [(CLIENT, "freelancer"), (FREELANCER, "client"), (STRANGER, "client"), (STRANGER, "freelancer"), (4, "client")],
)
def test_nobody_lists_a_payment_in_which_they_do_not_have_the_role(ordered: Service, user_id: int, role: str) -> None:
    assert ordered.find(user_id=user_id, role=role).body == {"payments": [], "next_cursor": None}


def test_the_newest_payment_comes_first_and_a_replaced_order_is_there_as_well(ordered: Service) -> None:
    ordered.clock.now += 60
    second = order(ordered, application_id=13)
    ordered.clock.now += 60
    replacing = order(ordered, amount=600)
    assert payments(ordered.find(role="client")) == [replacing, second, events.ORDER_ID]


def test_an_order_that_is_known_from_a_webhook_alone_is_nobodys(service: Service) -> None:
    service.replay("webhook-payment-captured")
    assert service.cloud.item(events.ORDER_ID)["status"] == "unknown"
    assert payments(service.find(role="client")) == []


def pages(service: Service, role: str, user_id: int) -> list[list[str]]:
    found: list[list[str]] = []
    cursor: dict[str, Any] = {}
    while True:
        answer = service.find(user_id=user_id, role=role, **cursor)
        found.append(payments(answer))
        if answer.body["next_cursor"] is None:
            return found
        cursor = {"cursor": answer.body["next_cursor"]}


@pytest.mark.parametrize("role", ["client", "freelancer"])
@pytest.mark.parametrize("count", [24, 25, 26, 51])
def test_pages_of_25_lead_to_every_payment_once(service: Service, role: str, count: int) -> None:
    made = []
    for number in range(count):
        # Three of one second, so that a page ends between two of them.
        service.clock.now += number % 3 == 0
        made.append(order(service, application_id=100 + number))
    user_id = {"client": CLIENT, "freelancer": FREELANCER}[role]
    found = pages(service, role, user_id)
    assert [len(page) for page in found] == [PAGE_SIZE] * (count // PAGE_SIZE) + [count % PAGE_SIZE] * (count % 25 > 0)
    everything = [order_id for page in found for order_id in page]
    assert sorted(everything) == sorted(made)
    seconds = [made.index(order_id) // 3 for order_id in everything]
    assert seconds == sorted(seconds, reverse=True)


def test_a_page_costs_a_query_and_a_read_of_many_items_and_an_empty_one_the_query(ordered: Service) -> None:
    before = ordered.cloud.raw_item(events.ORDER_ID)
    ordered.find(role="client")
    assert ordered.outside_calls() == ["Query", "BatchGetItem"]
    assert ordered.cloud.raw_item(events.ORDER_ID) == before
    ordered.forget()
    ordered.find(user_id=STRANGER, role="client")
    assert ordered.outside_calls() == ["Query"]


def test_the_record_decides_not_what_the_page_was_at_the_time_of_the_query(ordered: Service) -> None:
    ordered.cloud.just_before("BatchGetItem", lambda: ordered.replay("verify"))
    (payment,) = ordered.find(role="client").body["payments"]
    assert payment["status"] == "paid"


def test_keys_that_dynamodb_leaves_over_are_asked_for_again(ordered: Service) -> None:
    second = order(ordered, application_id=13)
    ordered.cloud.fail("BatchGetItem", faults.leaves_keys_over)
    ordered.forget()
    assert sorted(payments(ordered.find(role="client"))) == sorted([events.ORDER_ID, second])
    assert ordered.cloud.requests == ["Query", "BatchGetItem", "BatchGetItem"]


@pytest.mark.parametrize("harm", ["gone", "unreadable"])
def test_a_record_that_cannot_be_read_does_not_hide_the_others_and_is_told_to_a_person(
    ordered: Service, harm: str
) -> None:
    second = order(ordered, application_id=13)
    if harm == "gone":
        ordered.cloud.just_before("BatchGetItem", lambda: ordered.cloud.remove(f"order#{second}"))
    else:
        ordered.cloud.change(f"order#{second}", {"payments": "not a map"})
    ordered.forget()
    assert payments(ordered.find(role="client")) == [events.ORDER_ID]
    (line,) = [line for line in ordered.log() if line["level"] == "ERROR"]
    assert (line["message"], line["failed"]) == ("listed payments cannot be read", 1)


# --- an application's orders ---


def test_the_client_finds_the_current_order_of_an_application_and_its_earlier_ones(ordered: Service) -> None:
    amounts = (600, 700)
    made = []
    for amount in amounts:
        ordered.clock.now += 3600
        made.append(order(ordered, amount=amount))
    order(ordered, application_id=13)
    answer = ordered.find(application_id=APPLICATION)
    assert answer.status == 200
    assert list(answer.body) == ["current", "earlier"]
    assert answer.body == {
        "current": ordered.read(made[1]).body,
        "earlier": [ordered.read(made[0]).body, ordered.read().body],
    }


def test_a_payment_on_a_replaced_order_is_seen_to_be_under_review(ordered: Service) -> None:
    ordered.clock.now += 3600
    order(ordered, amount=600)
    ordered.replay("webhook-payment-captured")
    body = ordered.find(application_id=APPLICATION).body
    assert (body["current"]["status"], body["current"]["under_review"]) == ("created", False)
    assert [payment["under_review"] for payment in body["earlier"]] == [True]


def test_an_application_whose_current_order_has_no_record_has_none_to_show(ordered: Service) -> None:
    ordered.cloud.remove(f"order#{events.ORDER_ID}")
    assert ordered.find(application_id=APPLICATION).body == {"current": None, "earlier": []}


def test_an_application_with_a_record_that_cannot_be_read_is_a_failure_and_not_unpaid(ordered: Service) -> None:
    ordered.cloud.change(f"order#{events.ORDER_ID}", {"payments": "not a map"})
    answer = ordered.find(application_id=APPLICATION)
    assert (answer.status, answer.code) == (500, "internal_error")


def test_an_application_costs_two_strongly_consistent_reads(ordered: Service) -> None:
    ordered.find(application_id=APPLICATION)
    assert ordered.outside_calls() == ["GetItem", "BatchGetItem"]


@pytest.mark.parametrize("user_id", [STRANGER, FREELANCER, 4, 420])
def test_another_clients_application_and_an_unknown_one_look_the_same_to_the_byte(
    ordered: Service, user_id: int
) -> None:
    unknown = ordered.find(user_id=user_id, application_id="999")
    assert (unknown.status, unknown.code) == (404, "order_not_found")
    ordered.forget()
    assert ordered.find(user_id=user_id, application_id=APPLICATION) == unknown
    assert ordered.outside_calls() == ["GetItem"]
    assert ordered.find(application_id="999") == unknown
    assert ordered.read(events.UNKNOWN_ORDER_ID, user_id=user_id) == unknown


def test_two_clients_with_one_application_id_each_find_their_own(ordered: Service) -> None:
    other = order(ordered, client_id=STRANGER)
    assert ordered.find(user_id=STRANGER, application_id=APPLICATION).body["current"]["order_id"] == other
    assert ordered.find(application_id=APPLICATION).body["current"]["order_id"] == events.ORDER_ID


# --- what may be asked ---


@pytest.mark.parametrize(
    ("query", "fields"),
    [
        ({}, ["application_id", "role"]),
        ({"cursor": "x"}, ["application_id", "role"]),
        ({"role": "client", "application_id": "12"}, ["role"]),
        ({"application_id": "12", "cursor": "x"}, ["cursor"]),
        ({"role": "admin"}, ["role"]),
        ({"role": ""}, ["role"]),
        ({"application_id": "twelve"}, ["application_id"]),
        ({"application_id": "0"}, ["application_id"]),
        ({"role": "client", "cursor": "x"}, ["cursor"]),
        ({"role": "client", "client_id": "43"}, ["client_id"]),
        ({"role": "client", "limit": "1000"}, ["limit"]),
        ({"role": "client", "page\n": "1"}, ["(unprintable)"]),
    ],
)
def test_a_query_that_is_not_as_described_is_refused_by_parameter_before_any_call(
    ordered: Service, query: dict[str, Any], fields: list[str]
) -> None:
    assert wrong(ordered.find(**query)) == fields
    assert ordered.outside_calls() == []


@pytest.mark.parametrize(
    "changes",
    [
        {"multiValueQueryStringParameters": {"role": ["client", "freelancer"]}},
        {"multiValueQueryStringParameters": {"role": ["client", "client"]}},
        {"multiValueQueryStringParameters": {"role": [{"a": 1}]}},
        {"multiValueQueryStringParameters": {"role": ["client"], "x": []}, "queryStringParameters": {"x": "1"}},
    ],
)
def test_a_parameter_that_is_said_twice_or_in_another_form_is_refused(
    ordered: Service, changes: dict[str, Any]
) -> None:
    assert wrong(ordered.invoke({**events.listing(role="client"), **changes})) != []
    assert ordered.outside_calls() == []


def test_parameters_are_read_where_only_the_last_value_of_each_is_sent(ordered: Service) -> None:
    event = {**events.listing(role="client"), "multiValueQueryStringParameters": None}
    assert payments(ordered.invoke(event)) == [events.ORDER_ID]


@pytest.mark.parametrize("slash", ["", "/"])
def test_both_forms_of_the_path_are_served(ordered: Service, slash: str) -> None:
    event = {**events.listing(role="client"), "path": LIST + slash, "resource": LIST + slash}
    assert payments(ordered.invoke(event, "verify")) == [events.ORDER_ID]


def test_a_list_needs_a_token_before_its_parameters_are_looked_at(ordered: Service) -> None:
    event = events.listing(role="nobody")
    answer = ordered.invoke({**event, "headers": {}})
    assert (answer.status, answer.code) == (401, "unauthenticated")
    assert ordered.outside_calls() == []


# --- the cursor ---


@pytest.fixture
def many(service: Service) -> Service:
    """More than a page of payments."""
    for number in range(PAGE_SIZE + 1):
        service.clock.now += 1
        order(service, application_id=100 + number)
    service.forget()
    return service


def test_a_cursor_of_another_user_or_role_is_refused_and_reads_nothing(many: Service) -> None:
    cursor = many.find(role="client").body["next_cursor"]
    many.forget()
    assert wrong(many.find(user_id=STRANGER, role="client", cursor=cursor)) == ["cursor"]
    assert wrong(many.find(user_id=FREELANCER, role="freelancer", cursor=cursor)) == ["cursor"]
    assert wrong(many.find(role="freelancer", cursor=cursor)) == ["cursor"]
    assert many.outside_calls() == []


def test_a_cursor_that_was_rewritten_for_oneself_shows_ones_own_payments_only(many: Service) -> None:
    theirs = many.find(role="client").body["next_cursor"]
    text = base64.urlsafe_b64decode(theirs + "==").decode()
    mine = base64.urlsafe_b64encode(text.replace(f" {CLIENT} ", f" {STRANGER} ").encode()).decode().rstrip("=")
    assert payments(many.find(user_id=STRANGER, role="client", cursor=mine)) == []
    many.clock.now -= 3600
    own = order(many, client_id=STRANGER)
    assert payments(many.find(user_id=STRANGER, role="client", cursor=mine)) == [own]


def test_neither_the_token_nor_a_cursor_is_logged(many: Service) -> None:
    cursor = many.find(role="client").body["next_cursor"]
    many.find(role="client", cursor=cursor)
    many.find(role="freelancer", cursor=cursor)
    assert cursor not in many.output()
    assert development.JWT_SECRET not in many.output()


# --- when the table cannot ---


@pytest.mark.parametrize("fault", [faults.times_out, faults.is_unreachable, faults.throttles, faults.fails])
@pytest.mark.parametrize(
    ("operation", "query"),
    [
        ("Query", {"role": "client"}),
        ("BatchGetItem", {"role": "client"}),
        ("GetItem", {"application_id": APPLICATION}),
        ("BatchGetItem", {"application_id": APPLICATION}),
    ],
)
def test_a_table_that_cannot_now_is_answered_503_with_retry_after(
    ordered: Service, operation: str, query: dict[str, Any], fault: Fault
) -> None:
    ordered.cloud.fail_always(operation, fault)
    answer = ordered.find(**query)
    assert (answer.status, answer.code) == (503, "temporarily_unavailable")
    assert answer.headers["Retry-After"]
