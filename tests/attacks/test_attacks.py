"""Each attack is refused and changes nothing; the genuine request beside it is accepted.

An attack counts as accepted if a record changed, an event was recorded or sent, Razorpay was called, or the response
was not one of its family's refusals.
"""

from typing import Final

import pytest

from sandbox import events
from tests.attacks import forgery, lists, public_keys, quotes, refunds, requests, tokens
from tests.attacks.family import OTHER_ORDER_ID, PAID_ORDER_ID, STRANGERS_ORDER_ID, Family
from tests.attacks.target import Target, accepted
from tests.attacks.test_replays import REPLAYS
from tests.secrecy import watch

FAMILIES: Final = [
    *tokens.families(),
    *public_keys.families(),
    *quotes.families(),
    *forgery.families(),
    *requests.families(),
    *lists.families(),
    *refunds.families(),
]
_FEWEST: Final = 1000


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_each_attack_of_a_family_is_refused_and_the_genuine_request_beside_it_accepted(
    target: Target, family: Family
) -> None:
    # One test per family, because pytest needs more time for a test than the service for an attack.
    achieved = {}
    for name, attack in family.attacks.items():
        seen = accepted(target, family, attack)
        control = target.send(family.control)
        if control.status not in {200, 201}:
            seen.append(f"the genuine request was answered {control.status}: {control.text}")
        achieved[name] = [*seen, *watch.leaks()]
    assert {name: seen for name, seen in achieved.items() if seen} == {}


def test_after_all_attacks_the_order_that_they_were_after_is_as_it_was(target: Target) -> None:
    for order_id in (events.ORDER_ID, STRANGERS_ORDER_ID):
        record = target.item(order_id)
        assert (record["status"], record["version"], record.get("payments", {})) == ("created", 1, {})
    told = {detail["payment"]["order_id"] for _, detail in target.sent()}
    assert told == {OTHER_ORDER_ID, PAID_ORDER_ID}
    (back,) = target.item(PAID_ORDER_ID)["refunds"].values()
    assert (back["amount"], target.item(PAID_ORDER_ID)["status"]) == (100, "paid")
    assert [payment.amount_refunded for payment in target.world.razorpay.account.payments.values()] == [100]


def test_there_are_enough_attacks_and_each_is_another() -> None:
    assert sum(len(family.attacks) for family in FAMILIES) + len(REPLAYS) >= _FEWEST
    assert len({family.name for family in FAMILIES}) == len(FAMILIES)
    for family in FAMILIES:
        assert family.attacks, family.name
        assert family.genuine not in family.attacks.values(), family.name
        assert family.control not in family.attacks.values(), family.name
        assert not family.statuses & set(range(200, 300)), family.name
