"""The Postman collection on the local cloud: newman sends every request, and the collection's own assertions hold."""

import json
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import pytest
import yaml

from sandbox import development, postman
from sandbox.cloud.service import LocalService
from tests import npm

PROJECT: Final = Path(__file__).parents[2]
NEWMAN: Final = PROJECT / "tests/postman/node_modules/.bin/newman"
LIST: Final = postman.FOLDER / "README.md"
REQUEST_MS: Final = 30_000
"""A function's cold start on a slow machine, with a margin."""


@dataclass(frozen=True)
class Sent:
    """What newman did with one request; `status` is None if it was skipped."""

    item: str
    """newman's id of the request in the collection."""
    name: str
    method: str
    path: str
    status: int | None
    code: str | None
    assertions: dict[str, str | None]
    """The error of each assertion, None where it holds."""


def run(environment: dict[str, Any], scratch: Path) -> list[Sent]:
    """Runs the whole collection in an environment; returns every request, in order."""
    npm.install("tests/postman")
    file, report = scratch / "environment.json", scratch / "report.json"
    file.write_text(json.dumps(environment))
    command: list[str | Path] = [NEWMAN, "run", postman.COLLECTION, "-e", file, "--timeout-request", str(REQUEST_MS)]
    done = subprocess.run(  # noqa: S603 - locked by hash
        [*command, "--reporters", "json", "--reporter-json-export", report],
        cwd=scratch,
        env={"PATH": npm.before(os.defpath), "LANG": "C.UTF-8"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert report.exists(), done.stdout + done.stderr
    found = json.loads(report.read_text())["run"]
    every = [of_execution(execution) for execution in found["executions"]]
    # Errors in scripts and broken connections are failures that belong to no assertion.
    assert {failure["error"]["message"] for failure in found["failures"]} == {
        error for request in every for error in request.assertions.values() if error is not None
    }
    # The last of each counts: before it, newman lists what its script sent, and what was answered 503 and repeated.
    return [*{request.item: request for request in every}.values()]


def of_execution(execution: dict[str, Any]) -> Sent:
    response = execution.get("response")
    answer = {}
    if response is not None and "json" in str(response["header"]):
        answer = json.loads(bytes(response["stream"]["data"]))
    return Sent(
        item=execution["item"]["id"],
        name=execution["item"]["name"],
        method=execution["request"]["method"],
        path="/" + "/".join(execution["request"]["url"]["path"]),
        status=None if response is None else response["code"],
        code=answer.get("code") if response is not None and response["code"] >= 400 else None,
        assertions={
            made["assertion"]: made.get("error", {}).get("message") for made in execution.get("assertions") or []
        },
    )


def requests_of(folder: dict[str, Any]) -> list[dict[str, Any]]:
    """Every request of a folder, and of the folders in it."""
    return [each for item in folder["item"] for each in (requests_of(item) if "item" in item else [item])]


def failed(sent: list[Sent]) -> list[Sent]:
    return [request for request in sent if any(request.assertions.values())]


@pytest.fixture(scope="module")
def collection() -> dict[str, Any]:
    read: dict[str, Any] = json.loads(postman.COLLECTION.read_text())
    return read


@pytest.fixture(scope="module")
def sent(local_service: LocalService, tmp_path_factory: pytest.TempPathFactory) -> list[Sent]:
    return run(postman.environment(local_service.endpoints), tmp_path_factory.mktemp("newman"))


def test_every_request_is_sent_and_every_assertion_holds(collection: dict[str, Any], sent: list[Sent]) -> None:
    assert failed(sent) == []
    assert [request.name for request in sent if request.status is not None and request.assertions] == [
        item["name"] for item in requests_of(collection)
    ]


# --- every error ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def description() -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load((PROJECT / "docs/openapi.yaml").read_text())
    return read


def described(description: dict[str, Any]) -> set[tuple[str, str]]:
    """Each operation of the API with each code that it answers."""
    return {
        (operation["operationId"], code)
        for methods in description["paths"].values()
        for operation in methods.values()
        for response in operation["responses"].values()
        for code in codes(response, description)
    }


def codes(response: dict[str, Any], description: dict[str, Any]) -> set[str]:
    if "$ref" in response:
        response = description["components"]["responses"][response["$ref"].rpartition("/")[2]]
    examples = response.get("content", {}).get("application/problem+json", {}).get("examples", {})
    return {example["value"]["code"] for example in examples.values()}


def operation_of(request: Sent, description: dict[str, Any]) -> str | None:
    """The operation that a request is for; None if the API has none at this address."""
    for path, methods in description["paths"].items():
        pattern = re.sub(r"\\\{\w+\\\}", "order_[A-Za-z0-9]+", re.escape(path))
        if re.fullmatch(pattern, urlsplit(request.path).path) and request.method.lower() in methods:
            name: str = methods[request.method.lower()]["operationId"]
            return name
    return None


def listed() -> set[tuple[str, str]]:
    """The errors that the list of exceptions names."""
    rows = re.findall(r"^\| (`.+`) \| (`.+`) \| .+ \|$", LIST.read_text(), re.MULTILINE)
    return {
        (operation, code)
        for operations, of_them in rows
        for operation in re.findall(r"`(\w+)`", operations)
        for code in re.findall(r"`(\w+)`", of_them)
    }


def test_every_error_of_the_description_is_provoked_or_among_the_exceptions(
    sent: list[Sent], description: dict[str, Any]
) -> None:
    provoked = {(operation_of(request, description), request.code) for request in sent}
    assert described(description) - provoked == listed()


def test_every_code_of_the_description_is_provoked_or_among_the_exceptions(
    sent: list[Sent], description: dict[str, Any]
) -> None:
    every = set(description["components"]["schemas"]["Problem"]["properties"]["code"]["enum"])
    never = {code for _, code in listed()} - {request.code for request in sent}
    assert every - {request.code for request in sent} == never | {"method_not_allowed"}
    assert "`method_not_allowed`" in LIST.read_text()


# --- what the old service's users know ------------------------------------------------------------------------------


def test_the_bodies_of_the_old_service_are_the_examples(collection: dict[str, Any]) -> None:
    bodies = {item["name"]: item["request"]["body"]["raw"] for item in collection["item"][0]["item"][:4]}
    known = {"application_id": "10", "client_id": "5", "order_id": "order_x", "payment_id": "pay_x", "signature": "s"}

    def filled(name: str) -> Any:
        return json.loads(re.sub(r"\{\{(\w+)\}\}", lambda variable: known[variable[1]], bodies[name]))

    assert filled("201 Create order") == {
        "job_id": 1,
        "application_id": 10,
        "client_id": 5,
        "freelancer_id": 9,
        "amount": 5000,
    }
    assert filled("200 Verify payment") == {
        "razorpay_order_id": "order_x",
        "razorpay_payment_id": "pay_x",
        "razorpay_signature": "s",
    }


# --- environments ---------------------------------------------------------------------------------------------------


def test_the_environment_of_a_stage_is_empty() -> None:
    assert {variable["value"] for variable in json.loads(postman.EMPTY.read_text())["values"]} == {""}


def test_on_a_stage_an_access_token_is_enough_and_the_rest_is_skipped(
    local_service: LocalService, tmp_path: Path
) -> None:
    stage = json.loads(postman.EMPTY.read_text())
    known = {
        "base_url": local_service.endpoints["api"],
        "client_id": "5",
        "token": development.token(5),
    }
    for variable in stage["values"]:
        variable["value"] = known.get(variable["key"], "")

    sent = run(stage, tmp_path)

    assert failed(sent) == []
    tried = {request.name for request in sent if request.status is not None}
    assert {"201 Create order", "200 Read the payment", "403 forbidden: for another client"} <= tried
    assert not any(name.startswith("Sandbox: ") or "refund" in name.lower() for name in tried)


def test_the_environment_of_make_run_is_written_beside_its_addresses(
    tmp_path: Path, local_service: LocalService, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "endpoints.json").write_text(json.dumps(local_service.endpoints))

    assert postman.main(["--run-dir", str(tmp_path)]) == 0

    written = tmp_path / "local.postman_environment.json"
    assert str(written) in capsys.readouterr().out
    values = {each["key"]: each["value"] for each in json.loads(written.read_text())["values"]}
    assert values["base_url"] == local_service.endpoints["api"]
    assert values["razorpay_webhook_secret"] == development.RAZORPAY_WEBHOOK_SECRET


def test_with_the_real_test_mode_the_environment_has_no_secret_of_razorpays(local_service: LocalService) -> None:
    made = postman.environment(local_service.endpoints | {"stand_in": False})
    assert {each["key"] for each in made["values"] if each["key"].startswith("razorpay") and each["value"]} == set()


@pytest.mark.parametrize(("text", "says"), [(None, "start it with `make run`"), ("{}", "is damaged")])
def test_without_a_running_service_it_says_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str | None, says: str
) -> None:
    if text is not None:
        (tmp_path / "endpoints.json").write_text(text)
    assert postman.main(["--run-dir", str(tmp_path)]) == 1
    assert says in capsys.readouterr().err
