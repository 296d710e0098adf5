"""`make run` as a developer uses it: one at a time, stopped as a whole, with clear errors."""

import contextlib
import json
import os
import pty
import re
import signal
import socketserver
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import boto3
import pytest
import requests

from sandbox.cloud.build import PROJECT
from sandbox.cloud.ports import free_port
from sandbox.development import token
from sandbox.run import CLIENT_ID, EXAMPLE_ORDER

START_SECONDS = 60.0  # sam build included, on a slow machine
STOP_SECONDS = 30.0  # a server gets three seconds before it is killed, and there are three, on a slow machine


class Run:
    """One `sandbox.run` process and its run dir."""

    def __init__(self, run_dir: Path, env: str = "", output: Path | None = None, /, **environment: str) -> None:
        self.run_dir = run_dir
        self.endpoints_file = run_dir / "endpoints.json"
        self.output = output or run_dir.with_suffix(".out")
        command = [sys.executable, "-m", "sandbox.run", "--any-ports", "--run-dir", str(run_dir)]
        env_file = run_dir.with_suffix(".env")
        env_file.write_text(env)
        command += ["--env-file", str(env_file)]
        with self.output.open("w") as written:
            self.process = subprocess.Popen(  # noqa: S603 - this interpreter
                command, cwd=PROJECT, stdout=written, stderr=subprocess.STDOUT, env=os.environ | environment
            )

    def endpoints(self) -> dict[str, Any]:
        deadline = time.monotonic() + START_SECONDS
        while not self.endpoints_file.exists():
            assert self.process.poll() is None, self.output.read_text()
            assert time.monotonic() < deadline, self.output.read_text()
            time.sleep(0.1)
        document: dict[str, Any] = json.loads(self.endpoints_file.read_text())
        return document

    def end(self) -> int:
        return self.process.wait(STOP_SECONDS)

    def stop(self) -> None:
        """Does nothing if it has ended."""
        if self.process.poll() is None:
            self.process.terminate()
            self.end()


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    started = Run(tmp_path / "run")
    yield started
    started.stop()


def is_alive(pid: int) -> bool:
    """Whether the process runs; a zombie does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def all_end(pids: dict[str, int]) -> bool:
    deadline = time.monotonic() + STOP_SECONDS
    while any(is_alive(pid) for pid in pids.values()):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def stops_as_a_whole(run: Run, number: signal.Signals) -> None:
    pids = run.endpoints()["pids"]

    run.process.send_signal(number)

    assert run.end() == 0, run.output.read_text()
    assert all_end(pids)
    assert not run.endpoints_file.exists()


# --- one service for all that leaves it running ---


@pytest.fixture(scope="module")
def shell() -> dict[str, str]:
    """The variables of a shell with a proxy for everything, which does not answer."""
    dead = f"http://127.0.0.1:{free_port()}"
    return {"HTTP_PROXY": dead, "http_proxy": dead, "HTTPS_PROXY": dead, "NO_PROXY": "", "no_proxy": ""}


@pytest.fixture(scope="module")
def running(shell: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """Started from that shell."""
    started = Run(tmp_path_factory.mktemp("running") / "run", **shell)
    try:
        started.endpoints()
        yield started
    finally:
        started.stop()


def test_it_serves_the_api_and_the_pages_and_says_how(running: Run) -> None:
    endpoints = running.endpoints()
    assert requests.get(endpoints["api"] + "/nothing/", timeout=5).status_code == 404
    for page in ("/", "/live/"):
        answer = requests.get(endpoints["shop"] + page, timeout=5)
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert endpoints["pids"].keys() == {"run", "emulator", "gateway", "shop"}
    said = running.output.read_text()
    assert "create-order" in said
    assert endpoints["shop"] in said
    steps = re.findall(r"^\[(\d+)/(\d+)\] .+ … \d+\.\d s$", said, re.MULTILINE)
    assert steps == [(str(number), "7") for number in range(1, 8)]


def test_with_a_proxy_for_everything_a_payment_gets_all_the_way(running: Run, shell: dict[str, str]) -> None:
    for module in ("sandbox.demo", "sandbox.reconcile"):
        done = subprocess.run(  # noqa: S603 - this interpreter
            [sys.executable, "-m", module, "--run-dir", str(running.run_dir)],
            cwd=PROJECT,
            env=os.environ | shell,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
    # Exactly as printed, to be pasted into the same shell.
    (pasted,) = re.findall(r"^curl .+?\n\n", running.output.read_text(), re.MULTILINE | re.DOTALL)
    answer = subprocess.run(  # noqa: S602 - what the program tells a person to run
        pasted, shell=True, env=os.environ | shell, capture_output=True, text=True, check=True
    )
    assert " 201" in answer.stdout.splitlines()[0]


def test_a_second_start_says_that_one_runs_already_and_does_not_disturb_it(running: Run) -> None:
    endpoints = running.endpoints()

    second = Run(running.run_dir, "", running.run_dir.with_name("second.out"))

    assert second.end() == 1
    said = second.output.read_text()
    assert f"already running as process {running.process.pid}" in said
    assert f"if that terminal is gone, with: kill {running.process.pid}\n" in said
    assert requests.get(endpoints["api"] + "/nothing/", timeout=5).status_code == 404
    assert running.endpoints_file.exists()


# --- how it ends ---


# As with `ssh -t … make run`: only the session's first process gets the signal, and it waits for the service.
ON_A_TERMINAL_OF_ITS_OWN = """
import fcntl, os, signal, subprocess, sys, termios
os.setsid()
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
signal.signal(signal.SIGHUP, lambda *_: None)
sys.exit(subprocess.call([sys.executable, *sys.argv[1:]]))
"""


def test_when_its_terminal_closes_it_ends_as_a_whole(tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    endpoints_file = run_dir / "endpoints.json"
    terminal, end = pty.openpty()
    os.set_blocking(terminal, False)
    program = ["-m", "sandbox.run", "--any-ports", "--run-dir", str(run_dir), "--env-file", os.devnull]
    with subprocess.Popen(  # noqa: S603 - this interpreter
        [sys.executable, "-c", ON_A_TERMINAL_OF_ITS_OWN, *program], cwd=PROJECT, stdin=end, stdout=end, stderr=end
    ) as process:
        os.close(end)
        deadline = time.monotonic() + START_SECONDS
        while not endpoints_file.exists():
            assert time.monotonic() < deadline
            with contextlib.suppress(BlockingIOError):
                os.read(terminal, 65536)  # a terminal that nobody reads blocks its writers
            time.sleep(0.1)
        pids = json.loads(endpoints_file.read_text())["pids"]

        os.close(terminal)

        assert process.wait(STOP_SECONDS) == 0
    assert all_end(pids)
    assert not endpoints_file.exists()


# The stand-in is started and watched by the same code as the shop.
@pytest.mark.parametrize(("part", "called"), [("emulator", "The emulator"), ("shop", "The shop")])
def test_a_part_that_dies_is_named_with_its_last_words_and_the_rest_ends(run: Run, part: str, called: str) -> None:
    endpoints = run.endpoints()

    os.kill(endpoints["pids"][part], signal.SIGKILL)

    assert run.end() == 1
    said = run.output.read_text()
    assert f"{called} ended with status -9" in said
    assert endpoints["logs"][part] in said.replace("\n", "")
    assert all_end(endpoints["pids"])
    assert not run.endpoints_file.exists()


def test_what_it_started_ends_even_when_it_is_killed_and_the_next_start_serves_until_ctrl_c(run: Run) -> None:
    pids = run.endpoints()["pids"]

    run.process.kill()

    assert run.end() == -signal.SIGKILL
    assert all_end(pids)
    again = Run(run.run_dir)
    try:
        run.endpoints_file.unlink(missing_ok=True)
        endpoints = again.endpoints()
        assert endpoints["pids"]["run"] == again.process.pid
        # A page that is open does not hold it up.
        watcher = requests.get(endpoints["shop"] + "/live/stream", stream=True, timeout=5)
        assert watcher.ok
        stops_as_a_whole(again, signal.SIGINT)
    finally:
        again.stop()


KEY_SECRET, WEBHOOK_SECRET = "Vq81kf0LzMwA2nTe6yRb", "w7-Jd93kPzQm5ffL"
TEST_KEYS = f"""
RAZORPAY_KEY_ID=rzp_test_8fJq2LmZx0Tn4V  # of the dashboard
RAZORPAY_KEY_SECRET={KEY_SECRET}
RAZORPAY_WEBHOOK_SECRET={WEBHOOK_SECRET}
"""


def payment_id_counter(endpoints: dict[str, Any]) -> int:
    table = boto3.client(
        "dynamodb",
        endpoint_url=endpoints["aws"],
        region_name=endpoints["region"],
        aws_access_key_id=endpoints["access_key_id"],
        aws_secret_access_key=endpoints["secret_access_key"],
    )
    item = table.get_item(TableName=endpoints["table"], Key={"pk": {"S": "counter#payment_id"}})["Item"]
    return int(item["last_taken"]["N"])


class ClosedProxy(socketserver.ThreadingTCPServer):
    """A proxy that connects nowhere, and records the requested targets."""

    daemon_threads = True

    def __init__(self) -> None:
        self.asked: list[str] = []
        proxy = self

        class Refusing(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                proxy.asked.append(self.rfile.readline().decode())
                self.wfile.write(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")

        super().__init__(("127.0.0.1", 0), Refusing)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


@pytest.fixture
def proxy() -> Iterator[ClosedProxy]:
    with ClosedProxy() as listening:
        Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.02}).start()
        yield listening
        listening.shutdown()


def test_with_test_keys_it_uses_the_real_test_mode_and_starts_no_stand_in(tmp_path: Path, proxy: ClosedProxy) -> None:
    # Nothing can be reached, so that the result does not depend on this machine's access to Razorpay.
    shell = {"HTTPS_PROXY": proxy.url, "https_proxy": proxy.url, "HTTP_PROXY": proxy.url, "http_proxy": proxy.url}
    run = Run(tmp_path / "run", TEST_KEYS, **shell, NO_PROXY="", no_proxy="")
    try:
        endpoints = run.endpoints()
        counter = payment_id_counter(endpoints)
        shop = requests.get(endpoints["shop"], timeout=5)
        config = requests.get(endpoints["shop"] + "/config.json", timeout=5).json()
        live = requests.get(endpoints["shop"] + "/live/", timeout=5)
        asked_before = list(proxy.asked)
        order = requests.post(
            endpoints["api"] + "/api/payments/create-order/",
            json=EXAMPLE_ORDER,
            headers={"Authorization": f"Bearer {token(CLIENT_ID)}"},
            timeout=30,
        )
        stops_as_a_whole(run, signal.SIGTERM)
    finally:
        run.stop()

    said = run.output.read_text()
    assert endpoints["razorpay"] == "https://api.razorpay.com"
    assert config["checkout_script"] == "https://checkout.razorpay.com/v1/checkout.js"
    assert "script-src 'self' https://checkout.razorpay.com" in shop.headers["Content-Security-Policy"]
    assert live.ok
    # An account that outlives the table must not see a receipt twice.
    assert counter > 20_000_000
    assert "gateway" not in endpoints["pids"]
    assert "through a tunnel" in said
    # One call checks the keys, and the output gives the result without showing them.
    assert asked_before == ["CONNECT api.razorpay.com:443 HTTP/1.1\r\n"]
    assert "[1/7] Check the API keys with Razorpay" in said
    assert "Not checked: https://api.razorpay.com cannot be reached from here (ProxyError)" in said
    assert KEY_SECRET not in said
    assert WEBHOOK_SECRET not in said
    # The functions use the proxy only for Razorpay.
    assert (order.status_code, order.json()["code"]) == (503, "gateway_unavailable")
    assert len(proxy.asked) > 1
    assert set(proxy.asked) == set(asked_before)


def test_a_live_key_stops_it_before_anything_is_started(tmp_path: Path) -> None:
    run = Run(tmp_path / "run", TEST_KEYS.replace("rzp_test_", "rzp_live_"))

    assert run.end() == 1
    assert "has a live key" in run.output.read_text()
    assert not (tmp_path / "run").exists()
