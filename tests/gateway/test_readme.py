import json
from datetime import date
from pathlib import Path
from typing import Any, get_args

import pytest
import razorpay

from sandbox import gateway as package
from sandbox.gateway.control import OTHER_EVENTS
from sandbox.gateway.deliveries import Order, Outcome, State
from sandbox.gateway.entities import Capture
from sandbox.gateway.faults import ApiFaultName, Faults
from tests.docs import shell
from tests.docs.pages import claim
from tests.gateway.gateway import Gateway

README = (Path(package.__file__).parent / "README.md").read_text(encoding="utf-8")
DOCUMENTED_URL = "http://127.0.0.1:8700"
INDEX = (Path(package.__file__).parents[1] / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("word", [*Faults().to_json(), *get_args(ApiFaultName), *get_args(State), *OTHER_EVENTS])
def test_every_switch_fault_state_and_event_is_documented(word: str) -> None:
    assert f"`{word}`" in README


@pytest.mark.parametrize("word", [*get_args(Outcome), *get_args(Capture), *get_args(Order)])
def test_every_other_choice_is_documented(word: str) -> None:
    assert word in README


def test_the_index_of_the_folder_names_every_switch() -> None:
    assert [name for name in Faults().to_json() if name not in INDEX] == []


def test_the_command_that_sets_switches_is_accepted(gateway: Gateway, tmp_path: Path) -> None:
    (command,) = claim("sandbox/gateway/README.md", sections=("The switches",))
    ran = shell.run(command.text.replace(DOCUMENTED_URL, gateway.url), tmp_path, {"curl": None}, NO_PROXY="127.0.0.1")
    assert [fault["fault"] for fault in json.loads(ran.output)["api"]] == ["answer_lost", "500"]


def test_the_client_that_the_readme_makes_creates_an_order(gateway: Gateway) -> None:
    (code,) = claim("sandbox/gateway/README.md", sections=("A stand-in for Razorpay",), languages=("python",))
    names: dict[str, Any] = {"razorpay": razorpay, "key_id": gateway.settings.key_id}
    names["key_secret"] = gateway.settings.key_secret
    exec(code.text.replace(DOCUMENTED_URL, gateway.url), names)  # noqa: S102 - the project's own document
    with names["client"].session:
        assert names["client"].order.create({"amount": 50000, "currency": "INR"})["status"] == "created"


def test_the_settlement_check_can_be_tried_as_its_page_says(gateway: Gateway, tmp_path: Path) -> None:
    settle, differ = claim("docs/settlements.md", sections=("Try it on your machine",))
    paid = gateway.pay(gateway.order()["id"])["razorpay_payment_id"]
    given = {"GATEWAY": gateway.url, "NO_PROXY": "127.0.0.1"}
    calls = shell.run(settle.text, tmp_path, {"make": "", "curl": None, "date": None}, **given).calls
    assert calls[0] == ["make", "demo"]
    (make, target, words) = calls[1]
    assert (make, target) == ("make", "ops")
    options = words.removeprefix("ARGS=settlements ").split()
    day = date.fromisoformat(options[options.index("--day") + 1])
    asked = {"year": day.year, "month": day.month, "day": day.day}
    (row,) = gateway.sdk.settlement.report(asked)["items"]
    assert (row["entity_id"], row["amount"]) == (paid, 50000)
    shell.run(differ.text.replace("pay_…", paid), tmp_path, {"curl": None}, **given)
    (row,) = gateway.sdk.settlement.report(asked)["items"]
    assert row["amount"] == 50001
