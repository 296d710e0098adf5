"""The page, the stream and the buttons over HTTP."""

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import pytest
import requests
from starlette.applications import Starlette
from starlette.routing import Mount

from sandbox.cloud.ports import free_port
from sandbox.live.board import Board
from sandbox.live.observer import Observer
from sandbox.live.player import Player
from sandbox.live.routes import from_here, view
from tests.gateway.receiver import wait_until
from tests.serving import Served

PROJECT = Path(__file__).parents[2]
TIMEOUT_S = 10


class Stage:
    """A stage on which every scenario waits until the test lets it fail."""

    order_id = ""

    def __init__(self, go_on: threading.Event) -> None:
        self._go_on = go_on

    def create_order(self) -> None:
        assert self._go_on.wait(TIMEOUT_S)
        raise requests.ConnectionError("there is no service here")

    def put_back(self) -> None:
        pass


class Server:
    """The routes on a free port of 127.0.0.1; `parts` is what the observer returns."""

    def __init__(self, *, scenarios: bool = True) -> None:
        self.parts: dict[str, Any] = {"payments": []}
        self.go_on = threading.Event()
        board = Board()
        player = Player(board, lambda _stopped: Stage(self.go_on)) if scenarios else None
        app = Starlette(routes=[Mount("/live", routes=view(board, Observer(lambda: dict(self.parts), board), player))])
        self._served = Served(app, shuts_down_within_s=1)
        self.url = self._served.url

    def __enter__(self) -> Self:
        self._served.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.go_on.set()
        self._served.stop()

    def get(self, path: str, **options: Any) -> requests.Response:
        return requests.get(f"{self.url}/live{path}", timeout=TIMEOUT_S, **options)

    def play(self, name: str, **headers: str) -> requests.Response:
        named = {header.replace("_", "-"): value for header, value in headers.items()}
        return requests.post(f"{self.url}/live/scenarios/{name}", headers=named, timeout=TIMEOUT_S)


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        yield running


class Stream:
    """A minimal EventSource client."""

    def __init__(self, server: Server, last_id: str | None = None) -> None:
        headers = {} if last_id is None else {"Last-Event-ID": last_id}
        self._answer = server.get("/stream", headers=headers, stream=True)
        assert self._answer.headers["content-type"].startswith("text/event-stream")
        self._lines = self._answer.iter_lines(chunk_size=1, decode_unicode=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._answer.close()

    def next(self) -> tuple[str, str, dict[str, Any]]:
        """The next event: its id, its name, and the parts."""
        fields: dict[str, str] = {}
        for line in self._lines:
            if not line and "data" in fields:
                return fields["id"], fields["event"], json.loads(fields["data"])["parts"]
            name, _, value = line.partition(": ")
            if name:
                fields[name] = value
        raise AssertionError("the stream has ended")

    def until(self, name: str) -> Any:
        """The next update of this part."""
        while True:
            _, _, parts = self.next()
            if name in parts:
                return parts[name]


def test_the_page_is_served_under_a_strict_policy_and_with_everything_it_needs(server: Server) -> None:
    page = server.get("/")

    assert page.status_code == 200
    assert page.headers["content-security-policy"] == (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    assert 'lang="en"' in page.text
    for file in ("live.css", "live.js", "dom.js", "icons.js", "words.js", "stream.js", "payments.js", "inboxes.js"):
        assert server.get(f"/static/{file}").status_code == 200


def test_the_page_holds_no_inline_script_or_style(server: Server) -> None:
    page = server.get("/").text

    assert "style=" not in page
    assert "<style" not in page
    assert "<script>" not in page
    for file in (PROJECT / "sandbox/live/static").glob("*.js"):
        assert "innerHTML" not in file.read_text(encoding="utf-8")


def test_a_watcher_gets_the_whole_state_first_and_then_what_changes(server: Server) -> None:
    server.parts = {"payments": ["a"], "payment/a": {"version": 1}, "away": []}
    with Stream(server) as stream:
        _, kind, _ = stream.next()
        assert kind == "state"  # of a board that is still empty
        assert stream.until("payment/a") == {"version": 1}

        server.parts = {"payments": ["a"], "payment/a": {"version": 2}, "away": []}
        _, kind, parts = stream.next()

    assert (kind, parts) == ("change", {"payment/a": {"version": 2}})


def test_a_reconnect_with_the_last_id_gets_only_what_is_new(server: Server) -> None:
    server.parts = {"payments": ["a"], "payment/a": {"version": 1}}
    with Stream(server) as stream:
        stream.until("payments")
    with Stream(server) as stream:
        last_id, kind, parts = stream.next()
        assert (kind, parts["payment/a"]) == ("state", {"version": 1})
    server.parts |= {"payment/a": {"version": 2}}

    with Stream(server, last_id) as stream:
        _, kind, parts = stream.next()

    assert (kind, parts) == ("change", {"payment/a": {"version": 2}})


def test_a_reconnect_with_an_id_of_another_run_gets_everything(server: Server) -> None:
    server.parts = {"payments": ["a"], "payment/a": {}}
    with Stream(server) as stream:
        stream.until("payments")

    with Stream(server, "0badcafe-1") as stream:
        _, kind, parts = stream.next()

    assert (kind, set(parts)) == ("state", {"payments", "payment/a"})


def test_the_scenarios_are_listed_in_their_order(server: Server) -> None:
    listed = server.get("/scenarios").json()["scenarios"]

    assert [scenario["name"] for scenario in listed][:2] == ["fail-then-succeed", "duplicate-webhooks"]
    assert all(set(scenario) == {"name", "title", "about"} for scenario in listed)


def test_a_scenario_is_accepted_and_told_of_by_the_stream(server: Server) -> None:
    with Stream(server) as stream:
        answer = server.play("refunds")
        assert (answer.status_code, answer.json()) == (202, {"number": 1})
        assert stream.until("scenario")["state"] == "playing"
        server.go_on.set()
        while (shown := stream.until("scenario"))["state"] == "playing":
            pass

    assert shown["problem"].startswith("Step 1, “Creates an order for an accepted proposal”, failed: ")


def test_a_second_press_is_answered_clearly(server: Server) -> None:
    server.play("refunds")

    answer = server.play("amount-mismatch")

    assert answer.status_code == 409
    assert answer.json()["detail"] == "“Part refund, then full” is being played; wait until it has ended."


def test_an_unknown_scenario_is_answered_with_those_there_are(server: Server) -> None:
    answer = server.play("meteorite")

    assert answer.status_code == 404
    assert "fail-then-succeed, duplicate-webhooks" in answer.json()["detail"]


def test_a_page_of_another_origin_plays_nothing(server: Server) -> None:
    for headers in (
        {"Origin": "https://elsewhere.example"},
        {"Origin": "null"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site", "Origin": server.url},
    ):
        assert server.play("refunds", **headers).status_code == 403
    assert server.play("refunds", Origin=server.url, Sec_Fetch_Site="same-origin").status_code == 202


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, True),
        ({"sec-fetch-site": "none"}, False),
        ({"origin": "http://127.0.0.1:3000", "host": "127.0.0.1:3000"}, True),
        ({"origin": "http://127.0.0.1:3001", "host": "127.0.0.1:3000"}, False),
        ({"origin": "http://127.0.0.1:3000"}, False),
    ],
)
def test_what_counts_as_a_request_from_here(headers: dict[str, str], expected: bool) -> None:
    assert from_here(headers) is expected


def test_a_scenario_cannot_be_played_by_a_link(server: Server) -> None:
    assert server.get("/scenarios/refunds").status_code == 405


def test_without_the_stand_in_there_is_no_scenario_and_a_reason() -> None:
    with Server(scenarios=False) as server:
        assert server.get("/scenarios").json() == {"scenarios": []}
        answer = server.play("refunds")

    assert answer.status_code == 409
    assert "stand-in for Razorpay" in answer.json()["detail"]


def test_the_server_ends_when_it_is_told_to_though_somebody_watches(tmp_path: Path) -> None:
    nowhere = "http://127.0.0.1:1"
    endpoints = {
        "api": nowhere,
        "aws": nowhere,
        "razorpay": nowhere,
        "stand_in": True,
        "table": "payments",
        "subscribers": {},
        "region": "ap-south-1",
        "access_key_id": "test",
        "secret_access_key": "test",
    }
    file = tmp_path / "endpoints.json"
    file.write_text(json.dumps(endpoints))
    port = free_port()
    command = [sys.executable, "-m", "sandbox.shop", "--port", str(port), "--endpoints", str(file)]
    url = f"http://127.0.0.1:{port}/live/stream"

    def serves() -> bool:
        try:
            return requests.get(f"http://127.0.0.1:{port}/live/", timeout=1).ok
        except requests.ConnectionError:
            return False

    with subprocess.Popen(command, cwd=PROJECT) as process:  # noqa: S603 - this repository's own program
        try:
            wait_until(serves, 20, "the server to start")
            with requests.get(url, stream=True, timeout=TIMEOUT_S) as watching:
                lines = watching.iter_lines(chunk_size=1, decode_unicode=True)
                assert any(line.startswith("data: ") and "does not answer" in line for line in lines)
                process.send_signal(signal.SIGTERM)
                assert [line for line in lines if line.startswith("data: ")] == []
            assert process.wait(TIMEOUT_S) == 0
        finally:
            process.kill()
