"""The deployed service answers: routes, roles, secrets and the stand-in fit together."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
import requests

from sandbox import mint
from sandbox.cloud.build import PROJECT
from sandbox.cloud.service import LocalService
from sandbox.development import JWT_SECRET, quote, token
from tests.docs import shell
from tests.docs.pages import claim

CLIENT = 301


def create_order(service: LocalService, application_id: int, *, slash: str = "/", **more: object) -> requests.Response:
    order: Any = offer_of(application_id) | more
    url = f"{service.endpoints['api']}/api/payments/create-order{slash}"
    return requests.post(url, json=order, headers={"Authorization": f"Bearer {token(CLIENT)}"}, timeout=20)


def offer_of(application_id: int) -> dict[str, Any]:
    return {
        "job_id": 101,
        "application_id": application_id,
        "client_id": CLIENT,
        "freelancer_id": 401,
        "amount": "2500.00",
    }


def test_a_token_and_an_order_are_made_as_the_page_says(local_service: LocalService, tmp_path: Path) -> None:
    """`make token` always asks the service that `make run` started, so this gives its program another run dir."""
    printed, ordered = claim("docs/tokens.md", sections=("A token on your machine",))
    run_dir = local_service.endpoints["run_dir"]
    mints = f'cd {PROJECT}; exec {sys.executable} -m sandbox.mint --run-dir {run_dir} --user "${{user#USER=}}"'
    programs = {"make": f"for user; do :; done; {mints}"}
    made = shell.run(printed.text, tmp_path, programs, NO_PROXY="127.0.0.1")
    assert made.calls == [["make", "token", "USER=42"]]
    assert len(made.output.split(".")) == 3
    script = ordered.text.replace("http://127.0.0.1:8080", local_service.endpoints["api"])
    answer = shell.run(script, tmp_path, {**programs, "curl": None}, NO_PROXY="127.0.0.1")
    assert answer.calls == [["make", "-s", "token", "USER=42"]]
    # Other tests may have made the same order before: then it is handed out again.
    assert answer.output.splitlines()[0].split()[1] in {"200", "201"}


def test_the_platforms_quote_decides_what_the_price_is(local_service: LocalService) -> None:
    signed = quote(offer_of(2))
    cheaper = create_order(local_service, 2, quote=signed, amount="1.00")
    assert (cheaper.status_code, cheaper.json()["code"]) == (400, "invalid_request")
    assert cheaper.json()["errors"][0]["field"] == "quote"
    assert create_order(local_service, 2, quote=token(CLIENT)).status_code == 400
    created = create_order(local_service, 2, quote=signed)
    assert (created.status_code, created.json()["amount"]) == (201, 250000)


def test_an_order_is_created_and_read_with_and_without_the_trailing_slash(local_service: LocalService) -> None:
    created = create_order(local_service, 1)
    again = create_order(local_service, 1, slash="")

    assert (created.status_code, again.status_code) == (201, 200)
    assert created.json()["order_id"] == again.json()["order_id"]
    for slash in ("", "/"):
        url = f"{local_service.endpoints['api']}/api/payments/{created.json()['order_id']}{slash}"
        read = requests.get(url, headers={"Authorization": f"Bearer {token(CLIENT)}"}, timeout=20)
        assert read.json()["amount"] == 250000


def test_the_endpoints_file_tells_other_programs_where_everything_is(local_service: LocalService) -> None:
    endpoints = json.loads(json.dumps(local_service.endpoints))

    assert endpoints["jwt_secret"] == JWT_SECRET
    assert endpoints["pids"]["run"] == os.getpid()
    tables = local_service.cloud.client("dynamodb").list_tables()["TableNames"]
    assert endpoints["table"] in tables
    buses = [bus["Name"] for bus in local_service.cloud.client("events").list_event_buses()["EventBuses"]]
    assert endpoints["bus"] in buses


def test_nothing_of_the_build_is_outside_the_build_folder(local_service: LocalService) -> None:
    assert local_service.outputs
    assert (PROJECT / ".build/local/out/template.yaml").exists()
    assert not list((PROJECT / ".build/local").glob("sam-*"))


@pytest.mark.parametrize("scope", [[], ["--scope", "jobs:read jobs:pay"]])
def test_a_printed_token_opens_the_service_for_its_user_alone(
    local_service: LocalService, capsys: pytest.CaptureFixture[str], scope: list[str]
) -> None:
    order_id = create_order(local_service, 1).json()["order_id"]
    answers = {}
    for user in (CLIENT, 302):
        arguments = ["--run-dir", local_service.endpoints["run_dir"], "--user", str(user), "--minutes", "5", *scope]
        assert mint.main(arguments) == 0
        url = f"{local_service.endpoints['api']}/api/payments/{order_id}/"
        headers = {"Authorization": f"Bearer {capsys.readouterr().out.strip()}"}
        answers[user] = requests.get(url, headers=headers, timeout=20).status_code
    assert answers == {CLIENT: 200, 302: 404}
