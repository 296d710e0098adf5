"""The positive controls: each family's genuine request is accepted and has its effect."""

import pytest

from tests.attacks.family import Family
from tests.attacks.target import Target
from tests.attacks.test_attacks import FAMILIES


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_the_genuine_request_of_a_family_does_what_it_says(fresh_target: Target, family: Family) -> None:
    fresh_target.adopt(family.settings)
    before = fresh_target.state()
    is_refund = "refunds" in family.genuine["resource"]
    assert fresh_target.send(family.genuine).status == (201 if is_refund else 200)
    only_reads = family.genuine["httpMethod"] == "GET" or "create-order" in family.genuine["resource"]
    assert (fresh_target.state() == before) is only_reads
