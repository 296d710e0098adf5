from pathlib import Path
from typing import get_args

import pytest

from sandbox import gateway as package
from sandbox.gateway.control import OTHER_EVENTS
from sandbox.gateway.deliveries import Order, Outcome, State
from sandbox.gateway.entities import Capture
from sandbox.gateway.faults import ApiFaultName, Faults
from tests.gateway.gateway import Gateway

README = (Path(package.__file__).parent / "README.md").read_text(encoding="utf-8")
INDEX = (Path(package.__file__).parents[1] / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("word", [*Faults().to_json(), *get_args(ApiFaultName), *get_args(State), *OTHER_EVENTS])
def test_every_switch_fault_state_and_event_is_documented(word: str) -> None:
    assert f"`{word}`" in README


@pytest.mark.parametrize("word", [*get_args(Outcome), *get_args(Capture), *get_args(Order)])
def test_every_other_choice_is_documented(word: str) -> None:
    assert word in README


def test_the_index_of_the_folder_names_every_switch() -> None:
    assert [name for name in Faults().to_json() if name not in INDEX] == []


def test_the_documented_example_is_accepted(gateway: Gateway) -> None:
    _, _, rest = README.partition("/_control/faults -d '")
    document, _, _ = rest.partition("'")
    answer = gateway.http.put(f"{gateway.url}/_control/faults", data=document, timeout=5)
    assert answer.status_code == 200, answer.text
    assert [fault["fault"] for fault in answer.json()["api"]] == ["answer_lost", "500"]
