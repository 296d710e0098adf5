"""A cursor that somebody made up for themselves shows them nothing but their own payments."""

import itertools

import pytest

from payments.core.lookup import Place, Role, cursor_after
from sandbox import events
from tests.attacks.family import OTHER_ORDER_ID, PAID_ORDER_ID, STRANGERS_ORDER_ID
from tests.attacks.target import Target

OWN = {
    (events.CLIENT, Role.CLIENT): {events.ORDER_ID, OTHER_ORDER_ID, PAID_ORDER_ID},
    (events.SOMEBODY_ELSE, Role.CLIENT): {STRANGERS_ORDER_ID},
    (events.FREELANCER, Role.FREELANCER): {events.ORDER_ID, OTHER_ORDER_ID, STRANGERS_ORDER_ID, PAID_ORDER_ID},
}
TIMES = ("0000-00-00T00:00:00Z", "2026-03-01T09:32:00Z", "2026-03-01T09:32:01Z", "9999-99-99T99:99:99Z")
ORDERS = ("order_00000000000000", events.ORDER_ID, STRANGERS_ORDER_ID, "order_zzzzzzzzzzzzzz")


@pytest.mark.parametrize(("at", "order_id"), list(itertools.product(TIMES, ORDERS)))
def test_wherever_a_cursor_begins_there_are_ones_own_payments_only(target: Target, at: str, order_id: str) -> None:
    for user, role in itertools.product(
        (events.CLIENT, events.SOMEBODY_ELSE, events.FREELANCER, 4, 420, 2**53 - 1), Role
    ):
        cursor = cursor_after(Place(at, order_id), role, user)
        target.forget()
        answer = target.send(events.listing(user_id=user, role=role.value, cursor=cursor))
        assert answer.status == 200, answer.text
        assert {payment["order_id"] for payment in answer.body["payments"]} <= OWN.get((user, role), set())
        assert target.changes() == []


def test_a_cursor_before_everything_finds_all_of_ones_own(target: Target) -> None:
    for (user, role), orders in OWN.items():
        cursor = cursor_after(Place(TIMES[-1], ORDERS[-1]), role, user)
        answer = target.send(events.listing(user_id=user, role=role.value, cursor=cursor))
        assert {payment["order_id"] for payment in answer.body["payments"]} == orders


def test_somebody_elses_application_and_an_unknown_one_look_the_same_to_the_byte(target: Target) -> None:
    unknown = target.send(events.listing(user_id=events.SOMEBODY_ELSE, application_id="999"))
    assert unknown.status == 404
    assert target.send(events.listing(user_id=events.SOMEBODY_ELSE, application_id="13")) == unknown
    assert target.send(events.listing(user_id=events.FREELANCER, application_id="12")) == unknown
    assert target.send(events.reading(STRANGERS_ORDER_ID, user_id=events.CLIENT)) == unknown
