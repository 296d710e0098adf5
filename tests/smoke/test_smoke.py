"""`make smoke`: its output for a working stage, for each kind of broken one, and for wrong arguments.

The working stage is the real template on the local cloud. The broken ones are a small server that responds as
docs/openapi.yaml and API Gateway's documentation say a broken stage does.
"""

import json
import os
import re
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jwt
import pytest

from sandbox import development, smoke
from sandbox.cloud.service import LocalService
from tests.docs.pages import claim
from tests.serving import serving

PROJECT = Path(__file__).parents[2]
CLIENT = 301
TOKEN = development.token(CLIENT)
ORDER_ID = "order_DESlLckIVRkHWj"


def said(capsys: pytest.CaptureFixture[str], *arguments: str, **environment: str) -> tuple[int, str]:
    """The exit status and the output, which never contains the token."""
    status = smoke.main([*arguments], environment)
    printed = capsys.readouterr()
    for token in {value for name, value in environment.items() if name == "PAYMENTS_TOKEN" and len(value) > 20}:
        assert token not in printed.out + printed.err
        assert token.rpartition(".")[2] not in printed.out + printed.err
    return status, printed.out


# --- a stage that works -----------------------------------------------------------------------------------------------


def test_a_stage_that_works_is_said_to_work_step_by_step(
    local_service: LocalService, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out = said(capsys, local_service.endpoints["api"], PAYMENTS_TOKEN=TOKEN)
    assert status == 0, out
    steps = [line for line in out.splitlines() if line.startswith("✓")]
    assert len(steps) == 6
    for step, words in zip(
        steps,
        ("without a token: 401", "201", "test mode", "read back: 200", "400 invalid_signature", "not confirmed"),
        strict=True,
    ):
        assert words in step
    assert out.splitlines()[-1] == "The stage works."
    (shown,) = claim("docs/deploying.md", sections=("Try it out",), languages=("text",))
    ids = re.compile(r"order_\w+|payment \d+")
    assert ids.sub("…", out) == ids.sub("…", shown.text)


def test_it_leaves_one_unpaid_order_and_no_forged_payment(
    local_service: LocalService, capsys: pytest.CaptureFixture[str]
) -> None:
    _, out = said(capsys, local_service.endpoints["api"], PAYMENTS_TOKEN=TOKEN)
    (order_id,) = {word.strip(",") for word in out.split() if word.startswith("order_")}
    item = local_service.cloud.client("dynamodb").get_item(
        TableName=local_service.endpoints["table"], Key={"pk": {"S": f"order#{order_id}"}}, ConsistentRead=True
    )["Item"]
    assert item["status"] == {"S": "created"}
    assert "pay_" not in json.dumps(item)


def test_a_token_of_another_issuer_is_told_what_to_compare(
    local_service: LocalService, capsys: pytest.CaptureFixture[str]
) -> None:
    foreign = development.token(CLIENT, secret="another-identity-services-secret-of-32-bytes")
    status, out = said(capsys, local_service.endpoints["api"], PAYMENTS_TOKEN=foreign)
    assert status == 1
    assert "create-order was answered 401 instead of 201" in out
    assert "JwtIssuer" in out


def test_make_takes_the_token_from_a_private_file(local_service: LocalService, tmp_path: Path) -> None:
    done = make(tmp_path, API=local_service.endpoints["api"], PAYMENTS_TOKEN_FILE=str(private(tmp_path, TOKEN)))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "The stage works." in done.stdout


# --- its arguments ----------------------------------------------------------------------------------------------------


def private(folder: Path, token: str, mode: int = 0o600) -> Path:
    file = folder / "token.txt"
    file.write_text(token + "\n")
    file.chmod(mode)
    return file


def make(
    folder: Path, *, on_the_command_line: tuple[str, ...] = (), **environment: str
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(  # noqa: S603 - the project's own Makefile
        ["make", "--no-print-directory", "smoke", *on_the_command_line],  # noqa: S607 - as on anybody's PATH
        cwd=PROJECT,
        env={"PATH": os.environ["PATH"], "HOME": str(folder), "LANG": "C.UTF-8", **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )


def test_make_refuses_a_token_on_its_command_line(tmp_path: Path) -> None:
    done = make(tmp_path, on_the_command_line=(f"PAYMENTS_TOKEN={TOKEN}",), API="https://payments.example.com")
    assert done.returncode == 2
    assert "No token on the command line" in done.stderr
    assert TOKEN not in done.stdout + done.stderr


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660])
def test_a_file_that_others_can_read_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str], mode: int) -> None:
    file = private(tmp_path, TOKEN, mode)
    status, out = said(capsys, "https://payments.example.com", PAYMENTS_TOKEN_FILE=str(file))
    assert status == 1
    assert "chmod 600 it first" in out
    assert TOKEN not in out


def test_a_file_that_is_missing_a_folder_or_no_text_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe")
    binary.chmod(0o600)
    for file, expected in (
        (tmp_path / "none", "does not exist"),
        (tmp_path, "is not a file"),
        (binary, "contains no token"),
    ):
        status, out = said(capsys, "https://payments.example.com", PAYMENTS_TOKEN_FILE=str(file))
        assert (status, str(file) in out, expected in out) == (1, True, True), out


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, "there is no access token"),
        ({"PAYMENTS_TOKEN": "  "}, "there is no access token"),
        ({"PAYMENTS_TOKEN": TOKEN, "PAYMENTS_TOKEN_FILE": "token.txt"}, "unset one of them"),
        ({"PAYMENTS_TOKEN": f"Bearer {TOKEN}"}, "without 'Bearer'"),
        ({"PAYMENTS_TOKEN": "no-token"}, "is not a JWT"),
        ({"PAYMENTS_TOKEN": "a.b.c"}, "is not a JWT"),
        ({"PAYMENTS_TOKEN": "a.WzEsMl0.c"}, "is not a JWT"),  # [1,2]
        ({"PAYMENTS_TOKEN": jwt.encode({"sub": "7"}, development.JWT_SECRET)}, "has no claim user_id"),
        ({"PAYMENTS_TOKEN": jwt.encode({"user_id": "asha"}, development.JWT_SECRET)}, "is not a user id"),
        ({"PAYMENTS_TOKEN": jwt.encode({"user_id": 0}, development.JWT_SECRET)}, "is not a user id"),
        ({"PAYMENTS_TOKEN": jwt.encode({"user_id": 7, "exp": 1}, development.JWT_SECRET)}, "has expired"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_token_that_cannot_be_used_is_said_to_be_so_before_anything_is_sent(
    capsys: pytest.CaptureFixture[str], environment: dict[str, str], expected: str
) -> None:
    # Nothing responds at this name (RFC 6761), so a request would give another error.
    status, out = said(capsys, "https://payments.invalid", **environment)
    assert (status, expected in out) == (1, True), out


@pytest.mark.parametrize(
    ("api", "expected"),
    [
        ("", "API is missing"),
        ("payments.example.com", "is not an address"),
        ("ftp://payments.example.com", "is not an address"),
        ("https://", "is not an address"),
        ("http://payments.example.com", "is not https"),
        ("https://payments.example.com/?stage=1", "a query"),
        ("https://token@payments.example.com/", "a user"),
        ("https://payments.example.com/api/payments/create-order/", "give the part before it"),
    ],
)
def test_an_address_that_no_token_may_be_sent_to_is_refused(
    capsys: pytest.CaptureFixture[str], api: str, expected: str
) -> None:
    status, out = said(capsys, api, PAYMENTS_TOKEN=TOKEN)
    assert (status, expected in out) == (1, True), out


# --- a stage that does not work ---------------------------------------------------------------------------------------

type Answer = tuple[int, Any]


class Stage:
    """A server whose responses a test chooses. By default it works."""

    def __init__(self) -> None:
        self.without_token: Answer = (401, problem(401, "unauthenticated"))
        self.create: Answer = (201, None)
        self.read: Answer = (200, {})
        self.read_later: Answer | None = None
        self.webhook: Answer = (400, problem(400, "invalid_signature"))
        self.key_id = "rzp_test_LocalSandbox01"
        self.seen: list[tuple[str, str, dict[str, str], bytes]] = []

    def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        self.seen.append((method, path, headers, body))
        if path.endswith("/webhook/"):
            return self.webhook
        if "authorization" not in headers:
            return self.without_token
        order = {"order_id": ORDER_ID, "amount": 100, "currency": "INR", "status": "created", "payment_id": 1}
        if method == "POST":
            status, given = self.create
            return status, given if given is not None else {**order, "key_id": self.key_id}
        status, given = (self.read_later or self.read) if any("/webhook/" in one[1] for one in self.seen) else self.read
        return status, {**order, "client_id": CLIENT, "confirmed": False, **given} if status == 200 else given


def problem(status: int, code: str, **more: Any) -> dict[str, Any]:
    """A problem document of docs/openapi.yaml."""
    return {"type": f"urn:payment-service:problem:{code}", "status": status, "code": code, "request_id": "r-1", **more}


@contextmanager
def served(answer: Callable[[str, str, dict[str, str], bytes], Answer]) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, document = answer(self.command, self.path, headers, body)
            text = document if isinstance(document, bytes) else json.dumps(document).encode()
            self.send_response(status)
            if 300 <= status < 400:
                self.send_header("Location", "https://elsewhere.invalid/")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST  # noqa: N815 - the name that the library calls

        def log_message(self, *_arguments: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_who: Any) -> None:
            """The client gave up; the test says whether it should have."""

    with serving(Server(("127.0.0.1", 0), Handler)) as address:
        yield address


@pytest.fixture
def stage() -> Stage:
    return Stage()


@pytest.fixture
def run(stage: Stage, capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[..., tuple[int, str]]]:
    with served(stage.answer) as api:
        yield lambda *arguments: said(capsys, *arguments, f"{api}/staging/", PAYMENTS_TOKEN=TOKEN)


def test_a_small_server_that_answers_as_documented_is_a_stage_that_works(stage: Stage, run: Any) -> None:
    status, out = run()
    assert status == 0, out
    assert [(method, path) for method, path, _, _ in stage.seen] == [
        ("POST", "/staging/api/payments/create-order/"),
        ("POST", "/staging/api/payments/create-order/"),
        ("GET", f"/staging/api/payments/{ORDER_ID}/"),
        ("POST", "/staging/api/payments/webhook/"),
        ("GET", f"/staging/api/payments/{ORDER_ID}/"),
    ]


def test_the_order_is_of_one_rupee_and_of_nobodys_application(stage: Stage, run: Any) -> None:
    run()
    offer = json.loads(stage.seen[1][3])
    assert offer["amount"] == "1.00"
    assert offer["client_id"] == CLIENT
    for name in ("application_id", "job_id", "freelancer_id"):
        assert 9 * 10**15 <= offer[name] <= 2**53 - 1
    assert json.loads(stage.seen[0][3])["application_id"] != offer["application_id"]


def test_the_forged_webhook_claims_the_payment_and_carries_no_token(stage: Stage, run: Any) -> None:
    run()
    _, _, headers, body = stage.seen[3]
    entity = json.loads(body)["payload"]["payment"]["entity"]
    assert (entity["order_id"], entity["status"], entity["amount"]) == (ORDER_ID, "captured", 100)
    assert len(headers["x-razorpay-signature"]) == 64
    assert "authorization" not in headers


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ((400, problem(400, "invalid_request", errors=[{"field": "amount", "message": "too small"}])), "too small"),
        ((401, problem(401, "unauthenticated")), "JwtAlgorithm, JwtIssuer, JwtAudience"),
        ((403, problem(403, "forbidden")), "USER_CLAIM=…"),
        # API Gateway's own response for an unknown path or stage.
        ((403, {"message": "Missing Authentication Token"}), "the stack's output ApiUrl"),
        ((404, problem(404, "not_found")), "the stack's output ApiUrl"),
        ((429, problem(429, "too_many_requests")), "ApiRateLimit"),
        ((500, problem(500, "internal_error")), "`problems` in the function's log"),
        ((502, problem(502, "gateway_refused")), "Razorpay refuses the API keys"),
        ((503, problem(503, "gateway_unavailable")), "try again in a minute"),
        ((503, problem(503, "temporarily_unavailable")), "see the function's log"),
        ((418, {"short": "and stout"}), "418 instead of 201"),
        ((200, {"order_id": ORDER_ID}), "200 instead of 201"),
        ((201, {"order_id": ORDER_ID, "amount": 100.0, "currency": "INR", "status": "created"}), "amount is 100.0"),
        ((201, {"amount": 100, "currency": "INR", "status": "created"}), "not with the requested order"),
        ((302, b""), "not the payment API"),
        ((200, b"<html>"), "not the payment API"),
        ((201, [1]), "not the payment API"),
    ],
)
def test_each_failure_of_create_order_says_what_to_do(stage: Stage, run: Any, answer: Answer, expected: str) -> None:
    stage.create = answer
    status, out = run()
    assert (status, expected in out) == (1, True), out
    assert not any("/webhook/" in path for _, path, _, _ in stage.seen)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ((200, {"status": "ok"}), "Take the stage out of service"),
        ((401, problem(401, "unauthenticated")), "401 instead of 400"),
        ((400, problem(400, "malformed_request")), "400 instead of 400 invalid_signature: malformed_request"),
        ((403, {"message": "Forbidden"}), "403 instead of 400"),
        ((403, problem(403, "forbidden")), "WEBHOOK_BLOCKED=yes"),
        ((500, problem(500, "internal_error")), "a setting or a secret is missing"),
    ],
)
def test_a_forged_webhook_must_be_refused_and_for_its_signature(
    stage: Stage, run: Any, answer: Answer, expected: str
) -> None:
    stage.webhook = answer
    status, out = run()
    assert (status, expected in out) == (1, True), out


def test_behind_a_web_acl_for_razorpay_alone_the_webhook_must_be_refused_there(stage: Stage, run: Any) -> None:
    stage.webhook = (403, problem(403, "forbidden"))
    status, out = run("--webhook-blocked")
    assert (status, "blocked by the web ACL" in out) == (0, True), out
    stage.webhook = (400, problem(400, "invalid_signature"))
    status, out = run("--webhook-blocked")
    assert (status, "instead of 403" in out) == (1, True), out


def test_a_stage_that_takes_orders_without_a_token_is_to_be_taken_out_of_service(stage: Stage, run: Any) -> None:
    stage.without_token = (201, {"order_id": ORDER_ID})
    status, out = run()
    assert (status, "Take the stage out of service" in out) == (1, True), out


@pytest.mark.parametrize("read", [{"status": "paid"}, {"confirmed": True}, {"amount": 1}, {"client_id": 7}])
def test_what_is_read_back_must_be_what_was_created(stage: Stage, run: Any, read: dict[str, Any]) -> None:
    stage.read = (200, read)
    status, out = run()
    assert (status, "is not as it was created" in out, next(iter(read)) in out) == (1, True, True), out


def test_an_order_that_cannot_be_read_back_says_so(stage: Stage, run: Any) -> None:
    stage.read = (404, problem(404, "order_not_found"))
    status, out = run()
    assert (status, "do two stages share this address?" in out) == (1, True), out


def test_a_forged_webhook_that_was_refused_and_believed_all_the_same_is_noticed(stage: Stage, run: Any) -> None:
    stage.read_later = (200, {"status": "paid", "confirmed": True})
    status, out = run()
    assert (status, "Take the stage out of service" in out) == (1, True), out


@pytest.mark.parametrize(
    ("key_id", "arguments", "expected"),
    [
        ("rzp_live_x", [], "an unpaid order in live mode"),
        ("rzp_test_x", ["--live"], "it cannot take real payments"),
        ("x", [], "is not a Razorpay key"),
    ],
)
def test_the_mode_of_the_keys_must_be_the_one_that_was_meant(
    stage: Stage, run: Any, key_id: str, arguments: list[str], expected: str
) -> None:
    stage.key_id = key_id
    status, out = run(*arguments)
    assert (status, expected in out) == (1, True), out


def test_a_live_stage_is_tried_out_when_that_is_said(stage: Stage, run: Any) -> None:
    stage.key_id = "rzp_live_x"
    status, out = run("--live")
    assert (status, "live mode" in out) == (0, True), out


def test_what_a_stage_answers_does_not_reach_the_terminal_as_control_characters(stage: Stage, run: Any) -> None:
    stage.create = (418, {"detail": "\x1b[31m[red]x[/red]\r\n"})
    _, out = run()
    assert "\x1b" not in out
    assert "[red]x[/red]" in out


def test_an_address_where_nothing_listens_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    status, out = said(capsys, f"http://127.0.0.1:{port}", PAYMENTS_TOKEN=TOKEN)
    assert (status, "nothing answers" in out) == (1, True), out


def test_a_stage_that_hangs_is_given_up_on(
    stage: Stage, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smoke, "_TIMEOUT_S", 0.2)
    usual = stage.answer

    def slow(*asked: Any) -> Answer:
        time.sleep(0.6)
        return usual(*asked)

    with served(slow) as api:
        status, out = said(capsys, api, PAYMENTS_TOKEN=TOKEN)
    assert (status, "did not answer within 0.2 s" in out) == (1, True), out


def test_a_certificate_of_somebody_else_is_not_accepted(capsys: pytest.CaptureFixture[str], stage: Stage) -> None:
    # For a server without TLS the library raises the same error.
    with served(stage.answer) as api:
        status, out = said(capsys, api.replace("http:", "https:"), PAYMENTS_TOKEN=TOKEN)
    assert (status, "certificate" in out) == (1, True), out


def test_a_proxy_of_the_machine_is_not_asked_for_what_is_on_the_machine(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # the discard port: nothing answers
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    status, out = run()
    assert status == 0, out
