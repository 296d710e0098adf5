"""`make run` as a developer meets it: one at a time, ended as a whole, and clear about what failed."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
import requests

from sandbox.cloud.build import PROJECT

START_SECONDS = 60.0  # sam build included, on a slow machine
STOP_SECONDS = 30.0  # a server gets three seconds before it is killed, and there are three, on a slow machine


class Run:
    """One `sandbox.run` process and its run dir."""

    def __init__(self, run_dir: Path, env: str = "") -> None:
        self.run_dir = run_dir
        self.endpoints_file = run_dir / "endpoints.json"
        self.output = run_dir.with_suffix(".out")
        command = [sys.executable, "-m", "sandbox.run", "--any-ports", "--run-dir", str(run_dir)]
        env_file = run_dir.with_suffix(".env")
        env_file.write_text(env)
        command += ["--env-file", str(env_file)]
        with self.output.open("w") as output:
            self.process = subprocess.Popen(command, cwd=PROJECT, stdout=output, stderr=subprocess.STDOUT)  # noqa: S603 - this interpreter

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


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    started = Run(tmp_path / "run")
    yield started
    if started.process.poll() is None:
        started.process.terminate()
        started.end()


def is_alive(pid: int) -> bool:
    """Whether the process runs; one that ended and waits to be collected does not."""
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


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_it_is_told_to_stop_and_leaves_nothing_behind(run: Run, number: signal.Signals) -> None:
    endpoints = run.endpoints()
    assert requests.get(endpoints["api"] + "/nothing/", timeout=5).status_code == 404
    for page in ("/", "/live/"):
        assert requests.get(endpoints["shop"] + page, timeout=5).headers["Content-Type"] == "text/html; charset=utf-8"
    watcher = requests.get(endpoints["shop"] + "/live/stream", stream=True, timeout=5)
    assert watcher.ok

    run.process.send_signal(number)

    assert run.end() == 0, run.output.read_text()
    assert all_end(endpoints["pids"])
    assert not run.endpoints_file.exists()
    assert "create-order" in run.output.read_text()
    assert endpoints["shop"] in run.output.read_text()


def test_a_second_start_says_that_one_runs_already_and_does_not_disturb_it(run: Run) -> None:
    endpoints = run.endpoints()

    second = Run(run.run_dir)

    assert second.end() == 1
    assert f"runs already, as process {run.process.pid}" in second.output.read_text()
    assert requests.get(endpoints["api"] + "/nothing/", timeout=5).status_code == 404
    assert run.endpoints_file.exists()


@pytest.mark.parametrize(
    ("part", "called"), [("emulator", "The emulator"), ("gateway", "The stand-in for Razorpay"), ("shop", "The shop")]
)
def test_a_part_that_dies_is_named_with_its_last_words_and_the_rest_ends(run: Run, part: str, called: str) -> None:
    endpoints = run.endpoints()

    os.kill(endpoints["pids"][part], signal.SIGKILL)

    assert run.end() == 1
    said = run.output.read_text()
    assert f"{called} ended with status -9" in said
    assert endpoints["logs"][part] in said.replace("\n", "")
    assert all_end(endpoints["pids"])
    assert not run.endpoints_file.exists()


def test_what_it_started_ends_even_when_it_is_killed_and_the_next_start_is_not_held_up(run: Run) -> None:
    pids = run.endpoints()["pids"]

    run.process.kill()

    assert run.end() == -signal.SIGKILL
    assert all_end(pids)
    again = Run(run.run_dir)
    try:
        run.endpoints_file.unlink(missing_ok=True)
        assert again.endpoints()["pids"]["run"] == again.process.pid
    finally:
        again.process.terminate()
        again.end()


TEST_KEYS = "RAZORPAY_KEY_ID=rzp_test_AAAAAAAAAAAAAA\nRAZORPAY_KEY_SECRET=secret\nRAZORPAY_WEBHOOK_SECRET=webhook\n"


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


def test_with_test_keys_it_uses_the_real_test_mode_and_starts_no_stand_in(tmp_path: Path) -> None:
    run = Run(tmp_path / "run", TEST_KEYS)
    try:
        endpoints = run.endpoints()
        counter = payment_id_counter(endpoints)
        shop = requests.get(endpoints["shop"], timeout=5)
        config = requests.get(endpoints["shop"] + "/config.json", timeout=5).json()
        live = requests.get(endpoints["shop"] + "/live/", timeout=5)
    finally:
        run.process.terminate()

    assert run.end() == 0
    assert endpoints["razorpay"] == "https://api.razorpay.com"
    assert config["checkout_script"] == "https://checkout.razorpay.com/v1/checkout.js"
    assert "script-src 'self' https://checkout.razorpay.com" in shop.headers["Content-Security-Policy"]
    assert live.ok
    # An account that outlives the table must not see a receipt twice.
    assert counter > 20_000_000
    assert "gateway" not in endpoints["pids"]
    assert "through a tunnel" in run.output.read_text()


def test_a_live_key_stops_it_before_anything_is_started(tmp_path: Path) -> None:
    run = Run(tmp_path / "run", TEST_KEYS.replace("rzp_test_", "rzp_live_"))

    assert run.end() == 1
    assert "has a live key" in run.output.read_text()
    assert not (tmp_path / "run").exists()
