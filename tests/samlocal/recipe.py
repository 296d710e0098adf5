"""What a developer does with `make sam-local`, command by command, in containers: run only by `make test-sam-local`.

Its name keeps it out of `make test`. It runs the commands that `sandbox.sam_local` prints, unchanged, in a shell, and
prints how long each took.
"""

import contextlib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest
import requests

from sandbox import development, events
from sandbox.cloud.build import PROJECT
from sandbox.cloud.processes import ServerProcess
from sandbox.cloud.service import LocalService
from sandbox.sam_local.__main__ import ENV_FILE, TEMPLATE
from sandbox.sam_local.engine import image_for
from tests.samlocal import image, podman
from tests.samlocal.__main__ import FOLDER

_CLIENT: Final = 4200
_PATIENCE_S: Final = 60
_SECRETS: Final = (
    development.RAZORPAY_KEY_SECRET,
    development.RAZORPAY_WEBHOOK_SECRET,
    development.JWT_SECRET,
    development.QUOTE_SECRET,
    *events.PERSONAL,
)


@dataclass
class Desk:
    """A developer's environment: a container engine, a running local cloud, and `make sam-local`."""

    folder: Path
    service: LocalService
    environment: dict[str, str] = field(repr=False)
    printed: str = field(default="", repr=False)
    logs: list[str] = field(default_factory=list, repr=False)

    def prepare(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "sandbox.sam_local", "--run-dir", str(self.folder / "run"), *words]

    def commands(self, beginning: str, printed: str | None = None) -> list[str]:
        """The printed commands with this start, as a developer would copy them."""
        blocks = (printed or self.printed).split("\n\n")
        return [block for block in blocks if block.startswith(beginning)]

    def invoke(self, command: str) -> Any:
        """A function's response to a printed command."""
        began = time.monotonic()
        done = subprocess.run(  # noqa: S602 - as a person pastes it
            command, shell=True, cwd=PROJECT, env=self.environment, capture_output=True, text=True, check=False
        )
        function, event = re.findall(r"invoke (\w+) -e (\S+)", command)[0]
        print(f"\n  {function} {Path(event).name}: {time.monotonic() - began:.1f} s", end=" ")
        self.logs.append(done.stderr)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@contextlib.contextmanager
def _developers_own_files() -> Iterator[None]:
    """Restores at the end what `make sam-local` had written for this machine's developer."""
    written = [PROJECT / TEMPLATE, PROJECT / ENV_FILE]
    before = {file: file.read_bytes() for file in written if file.exists()}
    try:
        yield
    finally:
        for file in written:
            file.unlink(missing_ok=True)
            if file in before:
                file.touch(mode=0o600)
                file.write_bytes(before[file])


@pytest.fixture(scope="module")
def desk() -> Iterator[Desk]:
    folder = Path(os.environ[FOLDER])
    architecture = "arm64" if os.uname().machine in {"arm64", "aarch64"} else "x86_64"
    began = time.monotonic()
    image.root_file_system(
        folder / "image",
        interpreter=Path(sys.executable).resolve(),
        runtime_packages=PROJECT / ".venvs/runtime/lib/python3.13/site-packages",
    )
    with (
        _developers_own_files(),
        podman.running(folder / "podman") as engine,
        LocalService.start(folder / "run") as service,
    ):
        engine.import_image(folder / "image", image_for(architecture))
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "TMPDIR": str(folder),
            "DOCKER_HOST": engine.host,
            "SAM_CLI_TELEMETRY": "0",
            "PYTHONUNBUFFERED": "1",
            # The developer's credentials, which must not reach a container.
            "AWS_ACCESS_KEY_ID": "AKIADEVELOPERSOWN000",
            "AWS_SECRET_ACCESS_KEY": "a-developers-own-secret-access-key",
            "AWS_SESSION_TOKEN": "a-developers-own-session-token",
        }
        desk = Desk(folder, service, environment)
        prepared = ServerProcess.start(
            "make sam-local", desk.prepare(), env=environment, cwd=PROJECT, log=folder / "sam-local.log"
        )
        try:
            prepared.wait_until(lambda: "Leave it running" in prepared.log.read_text(), seconds=_PATIENCE_S)
            desk.printed = prepared.log.read_text()
            print(f"\n  image, engine and local cloud: {time.monotonic() - began:.1f} s")
            yield desk
        finally:
            prepared.stop()


def test_every_function_answers_to_the_printed_invocation_and_the_story_of_an_order_comes_true(desk: Desk) -> None:
    create, verify, webhook, outbox, reconcile = desk.commands(".venvs/sam/bin/sam local invoke")

    answer = desk.invoke(create)
    assert answer["statusCode"] == 201, answer
    order = json.loads(answer["body"])
    assert (order["amount"], order["status"]) == (49950, "created")
    # As printed, the following ones concern an order that is not in the table.
    unknown = desk.invoke(verify)
    assert (unknown["statusCode"], json.loads(unknown["body"])["code"]) == (404, "order_not_found")
    forged = desk.invoke(webhook.replace("webhook-payment-captured", "webhook-forged"))
    assert (forged["statusCode"], json.loads(forged["body"])["code"]) == (400, "invalid_signature")

    told = subprocess.run(  # noqa: S603 - this project's own program
        desk.prepare("--order", order["order_id"]),
        cwd=PROJECT,
        env=desk.environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    verify, webhook, get, refund = desk.commands(".venvs/sam/bin/sam local invoke", told)
    assert json.loads(desk.invoke(verify)["body"])["status"] == "success"
    assert desk.invoke(webhook)["statusCode"] == 200
    paid = json.loads(desk.invoke(get)["body"])
    assert (paid["status"], paid["confirmed"], paid["order_id"]) == ("paid", True, order["order_id"])
    assert desk.invoke(refund)["statusCode"] == 200
    assert json.loads(desk.invoke(get)["body"])["amount_refunded"] == events.FIRST_REFUND_MINOR

    for scheduled in (outbox, reconcile):
        report = desk.invoke(scheduled)
        # A failed function returns its error.
        assert "errorType" not in report, report
        print(report, end="")


def test_the_whole_flow_works_over_the_printed_api(desk: Desk) -> None:
    (start,) = desk.commands(".venvs/sam/bin/sam local start-api")
    (redirect,) = desk.commands("curl -X PUT")
    port = re.findall(r"--port (\d+)", start)[0]
    api = f"http://127.0.0.1:{port}/api/payments"
    stand_in = desk.service.endpoints["razorpay"]
    began = time.monotonic()
    server = ServerProcess.start(
        "sam local start-api",
        ["sh", "-c", f"exec {start}"],
        env=desk.environment,
        cwd=PROJECT,
        log=desk.folder / "start-api.log",
    )
    try:
        server.wait_until(lambda: "Running on http" in server.log.read_text(), seconds=300)
        print(f"\n  start-api is ready: {time.monotonic() - began:.1f} s")
        subprocess.run(redirect, shell=True, cwd=PROJECT, env=desk.environment, capture_output=True, check=True)  # noqa: S602 - as a person pastes it
        _flow(api, stand_in)
        # The webhooks arrived here, not at the local cloud's API.
        assert len(re.findall(r'"POST /api/payments/webhook/? HTTP/1.1" 200', server.log.read_text())) >= 2
    finally:
        server.stop()
        desk.logs.append(server.log.read_text())


def _flow(api: str, stand_in: str) -> None:
    def call(method: str, path: str, *, user: int | None = _CLIENT, document: Any = None) -> requests.Response:
        headers = {} if user is None else {"Authorization": f"Bearer {development.token(user)}"}
        began = time.monotonic()
        answer = requests.request(method, f"{api}/{path}", json=document, headers=headers, timeout=_PATIENCE_S)
        milliseconds = (time.monotonic() - began) * 1000
        route = path.replace(order_id, "{order_id}") if order_id else path
        print(f"  {method:<5}{route:<16}{answer.status_code} {milliseconds:6.0f} ms")
        return answer

    order_id = ""
    offer = {**events.OFFER, "client_id": _CLIENT, "application_id": 990, "amount": "1234.50"}
    assert call("POST", "create-order/", user=None, document=offer).status_code == 401
    created = call("POST", "create-order/", document=offer)
    assert created.status_code == 201, created.text
    order_id = created.json()["order_id"]
    again = call("POST", "create-order", document=offer)
    assert (again.status_code, again.json()["order_id"]) == (200, order_id)
    for path in (f"{order_id}/", order_id):
        seen = call("GET", path)
        assert (seen.status_code, seen.json()["status"]) == (200, "created")

    paid = requests.post(f"{stand_in}/_control/pay", json={"order_id": order_id}, timeout=_PATIENCE_S).json()
    forged = call("POST", "verify/", document={**paid, "razorpay_signature": "0" * 64})
    assert (forged.status_code, forged.json()["code"]) == (400, "invalid_signature")
    verified = call("POST", "verify/", document=paid)
    assert (verified.status_code, verified.json()["status"]) == (200, "success")
    deadline = time.monotonic() + _PATIENCE_S
    while not (seen := call("GET", f"{order_id}/")).json()["confirmed"]:
        assert time.monotonic() < deadline, seen.text
        time.sleep(0.5)
    assert seen.json()["status"] == "paid"
    webhook = requests.post(f"{api}/webhook/", data=b"{}", headers={"X-Razorpay-Signature": "0" * 64}, timeout=30)
    assert (webhook.status_code, webhook.json()["code"]) == (400, "invalid_signature")


def test_no_secret_and_no_personal_data_is_printed_or_logged(desk: Desk) -> None:
    assert len(desk.logs) > 5
    said = "\n".join([desk.printed, *desk.logs])
    assert {word for word in _SECRETS if word in said} == set()
