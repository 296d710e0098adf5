"""A share of the fuzzing of the handlers, with the same seed every time; `make fuzz` runs all of it with new ones."""

from typing import Final

import pytest

from tests.attacks.target import running_target
from tests.fuzz.contract import undocumented
from tests.fuzz.handlers import PROPERTIES, check
from tests.handlers.service import CREATE_ORDER, VERIFY, committed

_EXAMPLES: Final = 100


@pytest.mark.parametrize("name", PROPERTIES)
def test_whatever_comes_is_answered_as_documented(name: str, seed: int) -> None:
    answers: list[str] = []
    check(name, examples=_EXAMPLES, seed=seed, told=answers.append)
    assert len(answers) >= _EXAMPLES // 2


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
