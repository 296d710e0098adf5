"""What a query of the list may say, and what a cursor is worth."""

import base64
import string
from copy import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payments.core.errors import InvalidRequest
from payments.core.lookup import (
    OfApplication,
    OfCaller,
    Place,
    Role,
    cursor_after,
    listed,
    read_cursor,
    read_query,
    split,
)
from payments.core.model import MAX_ID, Application
from payments.core.transitions import open_record, unknown_record
from tests.core.story import OPENED, ORDER, ORDER_ID, OTHER_ORDER_ID

USER = 303
PLACE = Place("2026-03-01T09:30:00Z", ORDER_ID)
THIRD_ORDER_ID = "order_00000000000003"


def refusal(**parameters: list[str]) -> dict[str, str]:
    """What is wrong with a query, by parameter."""
    with pytest.raises(InvalidRequest) as refused:
        read_query(parameters, USER)
    return {error.field: error.message for error in refused.value.errors}


# --- the query ---


def test_a_query_is_for_an_application_or_for_the_callers_own_payments() -> None:
    assert read_query({"application_id": ["12"]}, USER) == OfApplication(12)
    assert read_query({"application_id": [str(MAX_ID)]}, USER) == OfApplication(MAX_ID)
    assert read_query({"role": ["client"]}, USER) == OfCaller(Role.CLIENT, None)
    assert read_query({"role": ["freelancer"]}, USER) == OfCaller(Role.FREELANCER, None)


def test_a_cursor_goes_with_the_role_that_it_was_made_for() -> None:
    cursor = cursor_after(PLACE, Role.FREELANCER, USER)
    assert read_query({"role": ["freelancer"], "cursor": [cursor]}, USER) == OfCaller(Role.FREELANCER, PLACE)


def test_a_query_for_nothing_is_told_both_ways_to_ask() -> None:
    assert refusal() == {
        "application_id": "is required, unless role is given",
        "role": "is required, unless application_id is given",
    }
    assert refusal(cursor=["x"]).keys() == {"application_id", "role"}
    assert refusal(limit=["1"]).keys() == {"limit", "application_id", "role"}


def test_a_query_for_both_is_refused() -> None:
    assert refusal(application_id=["12"], role=["client"]) == {"role": "cannot be combined with application_id"}
    assert refusal(application_id=["12"], cursor=["x"]) == {"cursor": "is only for lists by role"}


@pytest.mark.parametrize("name", ["application_id", "role", "cursor"])
def test_a_parameter_that_is_given_twice_is_refused_also_with_the_same_value(name: str) -> None:
    sound = {"role": ["client"]} | ({"cursor": [cursor_after(PLACE, Role.CLIENT, USER)]} if name == "cursor" else {})
    sound = {"application_id": ["12"]} if name == "application_id" else sound
    assert refusal(**{**sound, name: sound[name] * 2}) == {name: "must be given once"}


@pytest.mark.parametrize("name", ["client_id", "user_id", "limit", "Role", "application_id[]", ""])
def test_an_unknown_parameter_is_refused(name: str) -> None:
    assert list(refusal(role=["client"], **{name: ["1"]}).values()) == ["is not a known parameter"]


def test_every_wrong_parameter_is_named_and_what_the_caller_made_up_is_told_apart() -> None:
    with pytest.raises(InvalidRequest) as refused:
        read_query({"role": ["client", "client"], "limit": ["1"]}, USER)
    # The log has names of our own only.
    assert sorted((error.field, error.ours) for error in refused.value.errors) == [("limit", False), ("role", True)]


def test_a_parameters_name_is_shown_only_if_it_can_be_nothing_else() -> None:
    assert list(refusal(role=["client"], **{"<script>": ["1"]})) == ["(unprintable)"]
    with pytest.raises(InvalidRequest) as refused:
        read_query({"role": ["client"], "someone@example.com": ["1"]}, USER)
    assert "someone" not in str(refused.value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "-1",
        "+1",
        "1.0",
        "1e3",
        "012",
        " 12",
        "12 ",
        "12\n",
        "0x1",
        "1_0",
        "\u0661\u0662",
        str(MAX_ID + 1),
        "9" * 5000,
    ],
)
def test_an_application_is_named_by_its_number_alone(text: str) -> None:
    assert refusal(application_id=[text]) == {"application_id": f"must be an integer from 1 to {MAX_ID}"}


@pytest.mark.parametrize("text", ["", "Client", "client ", "CLIENT", "admin", "both", "client,freelancer"])
def test_a_role_is_one_of_the_two(text: str) -> None:
    assert refusal(role=[text]) == {"role": "must be client or freelancer"}


# --- the cursor ---

ids = st.integers(1, MAX_ID)
order_ids = st.text(string.ascii_letters + string.digits, min_size=14, max_size=14).map("order_{}".format)
instants = st.datetimes().map(lambda at: at.strftime("%Y-%m-%dT%H:%M:%SZ").rjust(20, "0"))


@given(st.builds(Place, instants, order_ids), st.sampled_from(Role), ids)
def test_a_cursor_leads_back_to_its_place_and_needs_no_escaping_in_a_url(place: Place, role: Role, user: int) -> None:
    cursor = cursor_after(place, role, user)
    assert read_cursor(cursor, role, user) == place
    assert set(cursor) <= set(string.ascii_letters + string.digits + "-_")


def wrong(cursor: str, role: Role = Role.CLIENT, user_id: int = USER) -> bool:
    with pytest.raises(InvalidRequest) as refused:
        read_cursor(cursor, role, user_id)
    ((error),) = refused.value.errors
    assert error.field == "cursor"
    assert "next_cursor" in error.message
    return True


def test_a_cursor_keeps_its_last_character_whatever_that_is() -> None:
    """In the cursor of this text, which needs no padding, the last of `W`'s bits are an `X`."""
    place = Place(PLACE.created_at, "order_0000000000000W")
    cursor = cursor_after(place, Role.CLIENT, USER)
    assert (len(cursor) % 4, cursor[-1]) == (0, "X")
    assert read_cursor(cursor, Role.CLIENT, USER) == place


def test_a_cursor_of_another_user_or_another_role_is_refused() -> None:
    assert wrong(cursor_after(PLACE, Role.CLIENT, USER + 1))
    assert wrong(cursor_after(PLACE, Role.CLIENT, 3030))
    assert wrong(cursor_after(PLACE, Role.FREELANCER, USER))


def encoded(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        f"2 client {USER} {PLACE.created_at} {ORDER_ID}",
        f"client {USER} {PLACE.created_at} {ORDER_ID}",
        f"1 client {USER} {PLACE.created_at} {ORDER_ID} ",
        f"1 client {USER} {PLACE.created_at} {ORDER_ID}\n",
        f"1 client 0{USER} {PLACE.created_at} {ORDER_ID}",
        f"1 admin {USER} {PLACE.created_at} {ORDER_ID}",
        f"1 client {USER} {PLACE.created_at} order#{ORDER_ID}",
        f"1 client {USER} {PLACE.created_at} {ORDER_ID}/..",
        f"1 client {USER} now {ORDER_ID}",
        f"1 client {USER} \u0662026-03-01T09:30:00Z {ORDER_ID}",
        f"1 client {USER} {PLACE.created_at}  {ORDER_ID}",
        '{"pk": {"S": "order#x"}}',
    ],
)
def test_what_a_cursor_says_has_one_form(text: str) -> None:
    assert wrong(encoded(text))


@pytest.mark.parametrize("user", [3, 30, USER])
def test_a_cursor_has_one_spelling(user: int) -> None:
    cursor = cursor_after(PLACE, Role.CLIENT, user)
    text = base64.urlsafe_b64decode(cursor + "==")
    others = {cursor + "=" * count for count in (1, 2, 3)}
    others |= {f" {cursor}", f"{cursor} ", f"{cursor}\n", f"{cursor[:5]}\n{cursor[5:]}", f"{cursor[:-1]}\u043e"}
    # Bits of the last character that no byte takes.
    last = {cursor[:-1] + letter for letter in string.ascii_letters + string.digits + "-_"} - {cursor}
    others |= {other for other in last if base64.urlsafe_b64decode(other + "==") == text}
    assert len(others) > 8 or len(cursor) % 4 == 0
    assert all(wrong(other, user_id=user) for other in others)


@pytest.mark.parametrize("cursor", ["A" * 10**6, "A", "-", "_", "====", "+/+/", "\ud800", "\x00"])
def test_what_is_no_cursor_is_refused_however_long_it_is(cursor: str) -> None:
    assert wrong(cursor)


# --- what is found ---


def test_a_page_has_the_order_of_the_index_and_only_records_in_which_the_caller_has_the_role() -> None:
    keys = [ORDER_ID, OTHER_ORDER_ID, THIRD_ORDER_ID]
    records = {key: open_record(key, replace(ORDER, client_id=USER), OPENED) for key in keys}
    places = [Place("", key) for key in reversed(keys)]
    assert [record.order_id for record in listed(places, records, Role.CLIENT, USER)] == keys[::-1]
    records[OTHER_ORDER_ID] = open_record(OTHER_ORDER_ID, replace(ORDER, client_id=USER + 1), OPENED)
    records[THIRD_ORDER_ID] = unknown_record(THIRD_ORDER_ID, OPENED)
    assert [record.order_id for record in listed(places, records, Role.CLIENT, USER)] == [ORDER_ID]
    assert listed(places, {}, Role.CLIENT, USER) == []
    assert listed([Place("", ORDER_ID)], records, Role.FREELANCER, USER) == []


def application(current: str, *orders: str) -> Application:
    return Application(client_id=USER, application_id=12, current=current, orders=orders)


def test_the_current_order_is_apart_from_the_earlier_ones_which_are_newest_first() -> None:
    keys = [f"order_{number:014d}" for number in range(5)]
    # The second was found at Razorpay later, and is the oldest; the last two are of one second.
    at = dict(zip(keys, (OPENED + 1, OPENED, OPENED + 2, OPENED + 3, OPENED + 3), strict=True))
    records = {key: open_record(key, ORDER, at[key]) for key in keys}
    current, earlier = split(application(keys[2], *keys), records)
    assert current == records[keys[2]]
    assert [record.order_id for record in earlier] == [keys[4], keys[3], keys[0], keys[1]]


def test_an_order_without_a_record_of_ours_is_left_out() -> None:
    records = {ORDER_ID: open_record(ORDER_ID, ORDER, OPENED), THIRD_ORDER_ID: unknown_record(THIRD_ORDER_ID, OPENED)}
    current, earlier = split(application(OTHER_ORDER_ID, ORDER_ID, OTHER_ORDER_ID, THIRD_ORDER_ID), records)
    assert current is None
    assert list(earlier) == [records[ORDER_ID]]
