"""Each attack is refused and changes nothing; the genuine request beside it is accepted.

An attack counts as accepted if a record changed, an event was recorded or sent, Razorpay was called, or the response
was not one of its family's refusals.
"""

from typing import Final

import pytest

from sandbox import events
from tests.attacks import forgery, lists, public_keys, quotes, requests, tokens
from tests.attacks.family import OTHER_ORDER_ID, STRANGERS_ORDER_ID, Family
from tests.attacks.target import Target, accepted
from tests.attacks.test_replays import REPLAYS

FAMILIES: Final = [
    *tokens.families(),
    *public_keys.families(),
    *quotes.families(),
    *forgery.families(),
    *requests.families(),
    *lists.families(),
]
CASES: Final = [(family, name) for family in FAMILIES for name in family.attacks]
_FEWEST: Final = 1000


def named(value: object) -> str:
    """The name of a family or case that pytest shows: ASCII, and not too long."""
    text = value.name if isinstance(value, Family) else str(value)
    return text.encode("unicode_escape").decode()[:80]


@pytest.mark.parametrize(("family", "name"), CASES, ids=named)
def test_an_attack_is_refused_and_the_genuine_request_beside_it_accepted(
    target: Target, family: Family, name: str
) -> None:
    assert accepted(target, family, family.attacks[name]) == []
    control = target.send(family.control)
    assert control.status in {200, 201}, control.text


def test_after_all_attacks_the_order_that_they_were_after_is_as_it_was(target: Target) -> None:
    for order_id in (events.ORDER_ID, STRANGERS_ORDER_ID):
        record = target.item(order_id)
        assert (record["status"], record["version"], record.get("payments", {})) == ("created", 1, {})
    told = {detail["payment"]["order_id"] for _, detail in target.sent()}
    assert told == {OTHER_ORDER_ID}


def test_there_are_enough_attacks_and_each_is_another() -> None:
    count = len(CASES) + len(REPLAYS)
    assert count >= _FEWEST
    assert len({(family.name, name) for family, name in CASES}) == len(CASES)
    for family in FAMILIES:
        assert family.attacks, family.name
        assert family.genuine not in family.attacks.values(), family.name
        assert family.control not in family.attacks.values(), family.name
        assert not family.statuses & set(range(200, 300)), family.name
