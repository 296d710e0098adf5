"""`make token`: a user's access token for the running service."""

import json
import os
import subprocess
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import jwt
import pytest

from sandbox import mint

PROJECT = Path(__file__).parents[2]
SECRET = "a-secret-of-this-test-that-is-long-enough"
GONE = "http://127.0.0.1:9"  # the discard port: nothing listens


class Api(HTTPServer):
    """A fake service: accepts every token signed with the secret, or returns a scripted response."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.asked: list[str] = []
        self.status = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Answer(BaseHTTPRequestHandler):
    server: Api

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        token = self.headers["Authorization"].removeprefix("Bearer ")
        try:
            jwt.decode(token, SECRET, algorithms=["HS256"])
            status = 404
        except jwt.InvalidTokenError:
            status = 401
        self.send_response(self.server.status or status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """A server that logs nothing."""


@pytest.fixture
def api() -> Iterator[Api]:
    with Api() as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def run_dir(tmp_path: Path, api: Api) -> Path:
    return running(tmp_path, api=api.url)


def running(run_dir: Path, **endpoints: str) -> Path:
    """A run dir as during `make run`."""
    (run_dir / "endpoints.json").write_text(json.dumps({"jwt_secret": SECRET, **endpoints}))
    return run_dir


def minted(run_dir: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    """The claims of the printed token, which is the only output."""
    assert mint.main(["--run-dir", str(run_dir), *arguments]) == 0
    printed = capsys.readouterr().out
    assert printed.count("\n") == 1
    claims: dict[str, Any] = jwt.decode(printed.strip(), SECRET, algorithms=["HS256"])
    return claims


def refused(run_dir: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The message printed instead of a token."""
    assert mint.main(["--run-dir", str(run_dir), *arguments]) == 1
    captured = capsys.readouterr()
    assert captured.out == "", "nothing that a shell would take for a token"
    return captured.err


@pytest.mark.parametrize("user", [1, 42, 2**53 - 1])
def test_any_user_gets_a_token_of_twelve_hours(
    run_dir: Path, capsys: pytest.CaptureFixture[str], user: int, api: Api
) -> None:
    claims = minted(run_dir, capsys, "--user", str(user))
    assert (claims["user_id"], claims["token_type"]) == (str(user), "access")
    assert claims["exp"] - claims["iat"] == 12 * 3600
    assert abs(claims["iat"] - time.time()) < 60
    assert "scope" not in claims
    assert len(api.asked) == 1, "it was tried"


def test_its_lifetime_and_a_scope_may_be_said(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    claims = minted(run_dir, capsys, "--user", "42", "--minutes", "15", "--scope", "jobs:read jobs:pay")
    assert claims["exp"] - claims["iat"] == 15 * 60
    assert claims["scope"] == "jobs:read jobs:pay"


def test_whose_it_is_and_until_when_is_told_beside_it(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert mint.main(["--run-dir", str(run_dir), "--user", "42"]) == 0
    assert "User 42, valid until " in capsys.readouterr().err


@pytest.mark.parametrize("user", ["0", "-1", "42.0", "4e1", "0x2a", "asha", " 42", "4_2", "\u0664\u0662", str(2**53)])
def test_what_is_no_users_id_is_refused_with_an_example(
    run_dir: Path, capsys: pytest.CaptureFixture[str], user: str, api: Api
) -> None:
    said = refused(run_dir, capsys, f"--user={user}")
    assert said.startswith("USER must be an integer from 1 to 9007199254740991")
    assert "make token USER=42" in said
    assert api.asked == []


@pytest.mark.parametrize("minutes", ["0", "-5", "1.5", "1h", "527041"])
def test_a_lifetime_that_cannot_be_is_refused(run_dir: Path, capsys: pytest.CaptureFixture[str], minutes: str) -> None:
    assert refused(run_dir, capsys, "--user=42", f"--minutes={minutes}").startswith("MINUTES must be an integer")


@pytest.mark.parametrize("scope", [" a", "a  b", "a\nb", 'a"b', "a\\b", "é", "x" * 501])
def test_what_is_no_scope_is_refused(run_dir: Path, capsys: pytest.CaptureFixture[str], scope: str) -> None:
    assert refused(run_dir, capsys, "--user=42", f"--scope={scope}").startswith("SCOPE must be scopes")


def test_without_a_user_it_asks_for_one(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert refused(run_dir, capsys) == "USER is missing. Name the user: make token USER=42\n"


def test_it_says_how_to_start_the_service_when_nothing_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "start it with `make run`" in refused(tmp_path, capsys, "--user=42")


def test_it_says_so_when_the_service_is_gone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = refused(running(tmp_path, api=GONE), capsys, "--user=42")
    assert said == f"Nothing answers at {GONE}: start the service with `make run`.\n"


@pytest.mark.parametrize("text", ["{", "{}", "[]"])
def test_it_says_so_when_the_endpoints_are_damaged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    (tmp_path / "endpoints.json").write_text(text)
    assert "is damaged: stop `make run` and start it again" in refused(tmp_path, capsys, "--user=42")


def test_a_token_that_the_service_does_not_take_is_not_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], api: Api
) -> None:
    other = running(tmp_path, api=api.url, jwt_secret="another-secret-that-is-long-enough-as-well")
    assert "does not accept the token" in refused(other, capsys, "--user=42")


def test_a_service_that_fails_is_told_by_its_answer(
    run_dir: Path, capsys: pytest.CaptureFixture[str], api: Api
) -> None:
    api.status = 500
    assert "answered 500; see the logs" in refused(run_dir, capsys, "--user=42")


def test_a_proxy_of_the_environment_is_not_asked_for_this_machine(
    run_dir: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, GONE)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    assert minted(run_dir, capsys, "--user=42")["user_id"] == "42"


# --- make ---


def made(*arguments: str, **environment: str) -> str:
    """The command that `make token` runs."""
    done = subprocess.run(  # noqa: S603 - fixed command
        ["make", "--silent", "--dry-run", "token", *arguments],  # noqa: S607 - the make that runs these tests
        cwd=PROJECT,
        # Without the variables that make passes to a nested make.
        env={name: value for name, value in os.environ.items() if not name.startswith("MAKE")} | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


def test_only_the_command_line_names_the_user() -> None:
    # Every shell has a USER, who is not a user of the platform.
    assert "--user '' --minutes '' --scope ''" in made(USER="7", MINUTES="8", SCOPE="c")
    assert "--user '' " in made("--environment-overrides", USER="7")
    said = made("USER=42", "MINUTES=15", "SCOPE=a b", USER="7", MINUTES="8", SCOPE="c")
    assert "--user '42' --minutes '15' --scope 'a b'" in said


def test_what_is_said_reaches_the_program_as_it_is_and_no_shell() -> None:
    assert r"--user '4'\''; echo 2'" in made("USER=4'; echo 2")
