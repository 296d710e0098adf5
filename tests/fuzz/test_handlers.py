"""Every generated input gets a documented response: a part in every run, more of them with `make fuzz`."""

import os
from typing import Final

import pytest
from hypothesis import HealthCheck, Phase, event, given, settings
from hypothesis import strategies as st

from tests.attacks.target import running_target
from tests.fuzz.contract import undocumented
from tests.fuzz.handlers import PROPERTIES, Draw
from tests.handlers.service import CREATE_ORDER, VERIFY, committed

EXAMPLES: Final = int(os.environ.get("FUZZ_EXAMPLES") or 50)


@pytest.mark.parametrize("name", PROPERTIES)
@settings(
    max_examples=EXAMPLES,
    database=None,
    deadline=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.generate, Phase.shrink),
)
@given(data=st.data())
def test_whatever_comes_is_answered_as_documented(data: Draw, name: str) -> None:
    # Each on a new service, so that a failure depends on nothing before it.
    with running_target() as target:
        # The outcome of each, for hypothesis' statistics.
        event(PROPERTIES[name](data, target))


def test_the_contract_knows_an_answer_that_is_none_of_its_own() -> None:
    with running_target() as target:
        answer = target.world.invoke("create_order", committed("create-order"))
    assert undocumented("POST", CREATE_ORDER, answer) == []
    assert undocumented("POST", VERIFY, answer) != []
    assert undocumented("GET", CREATE_ORDER, answer) != []
    for change in (
        {"statusCode": 202},
        {"statusCode": 503},
        {"body": "{}"},
        {"body": answer["body"][:-1] + ',"pk":"x"}'},
        {"headers": {**answer["headers"], "Content-Type": "text/plain"}},
        {"headers": {**answer["headers"], "Cache-Control": "public"}},
        {"isBase64Encoded": True},
    ):
        assert undocumented("POST", CREATE_ORDER, {**answer, **change}) != [], change
