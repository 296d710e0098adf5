import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from sandbox import development
from tests.docs import shell
from tests.docs.pages import claim
from tests.gateway.receiver import Receiver, wait_until


def command(port: int, *options: str) -> list[str]:
    return [sys.executable, "-m", "sandbox.gateway", "--port", str(port), *options]


def refused(port: int, *options: str) -> subprocess.CompletedProcess[str]:
    """The result of a start that should fail."""
    return subprocess.run(command(port, *options), capture_output=True, text=True, timeout=20, check=False)  # noqa: S603 - our own program


def free_port() -> int:
    with socket.socket() as chosen:
        chosen.bind(("127.0.0.1", 0))
        port: int = chosen.getsockname()[1]
        return port


@contextmanager
def program(port: int, *options: str) -> Iterator[subprocess.Popen[str]]:
    started = subprocess.Popen(  # noqa: S603 - our own program
        command(port, *options), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    with started as running:
        try:
            wait_until(lambda: running.poll() is not None or answers(port), 15, "the stand-in to answer")
            yield running
        finally:
            running.kill()


def answers(port: int) -> bool:
    try:
        return requests.get(f"http://127.0.0.1:{port}/_control/health", timeout=1).ok
    except requests.ConnectionError:
        return False


def test_it_starts_with_the_command_of_the_readme(tmp_path: Path) -> None:
    (start,) = claim("sandbox/gateway/README.md", sections=("A stand-in for Razorpay",), languages=("sh",))
    ((_, *words),) = shell.run(start.text, tmp_path, {".venv/bin/python": ""}).calls
    port = free_port()
    assert words[:4] == command(8700)[1:]
    with program(port, *words[4:]):
        told = requests.get(f"http://127.0.0.1:{port}/_control/webhook", timeout=5).json()
    assert told["url"] == words[-1]


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_at_once_and_cleanly_with_deliveries_still_waiting(ending: signal.Signals) -> None:
    port = free_port()
    with Receiver(500) as receiver, program(port, "--webhook-url", receiver.url) as running:
        base, keys = f"http://127.0.0.1:{port}", (development.RAZORPAY_KEY_ID, development.RAZORPAY_KEY_SECRET)
        order = requests.post(f"{base}/v1/orders", json={"amount": 100, "currency": "INR"}, auth=keys, timeout=5).json()
        how = {"order_id": order["id"], "method": "upi", "vpa": "asha@upi", "email": "asha@example.com"}
        requests.post(f"{base}/_control/pay", json=how, timeout=5).raise_for_status()
        receiver.wait_for(2)
        running.send_signal(ending)
        log, _ = running.communicate(timeout=10)
    assert running.returncode == 0
    assert "POST /v1/orders 200" in log
    assert "POST /_control/pay 200" in log
    assert "webhook payment.authorized" in log
    assert "Traceback" not in log
    for datum in ("asha", "gaurav", "+91", development.RAZORPAY_KEY_SECRET, development.RAZORPAY_WEBHOOK_SECRET):
        assert datum not in log


def test_it_stops_at_once_with_a_call_that_hangs() -> None:
    port = free_port()
    with program(port) as running, socket.create_connection(("127.0.0.1", port)) as client:
        base = f"http://127.0.0.1:{port}"
        requests.put(f"{base}/_control/faults", json={"api": [{"fault": "hang"}]}, timeout=5).raise_for_status()
        client.sendall(b"GET /v1/orders HTTP/1.1\r\nHost: razorpay\r\n\r\n")
        wait_until(lambda: played(base) == 1, 5, "the call to hang")
        running.send_signal(signal.SIGTERM)
        log, _ = running.communicate(timeout=10)
    assert running.returncode == 0
    assert "Cancel" not in log  # uvicorn's message when it stops waiting
    assert "Traceback" not in log


def played(base: str) -> int:
    count: int = requests.get(f"{base}/_control/faults", timeout=5).json()["api"][0]["played"]
    return count


@pytest.mark.parametrize("options", [["--ladder-scale", "0"], ["--webhook-url", "nowhere"]])
def test_it_refuses_impossible_options(options: list[str]) -> None:
    outcome = refused(free_port(), *options)
    assert outcome.returncode == 2
    assert options[0] in outcome.stderr


def test_a_taken_port_is_an_exit_status_not_a_hang() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert refused(taken.getsockname()[1]).returncode == 3  # uvicorn's status for a failed start
