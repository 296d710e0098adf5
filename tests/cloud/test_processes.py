"""Processes and ports of the sandbox."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sandbox.cloud.build import PROJECT
from sandbox.cloud.cloud import Ports
from sandbox.cloud.ports import LOOPBACK, free_port
from sandbox.cloud.processes import NotReadyError, ProcessDiedError, ServerProcess
from sandbox.cloud.service import ServicePorts


def start(tmp_path: Path, program: str) -> ServerProcess:
    command = [sys.executable, "-c", program]
    return ServerProcess.start("The program", command, env={"ONLY": "this"}, cwd=tmp_path, log=tmp_path / "log")


def test_a_process_that_dies_is_named_with_the_end_of_its_log(tmp_path: Path) -> None:
    process = start(tmp_path, "print('first'); print('last words'); raise SystemExit(3)")
    try:
        with pytest.raises(ProcessDiedError, match=r"(?s)The program ended with status 3.*last words"):
            process.wait_until(lambda: False, seconds=10)
    finally:
        process.stop()


def test_a_process_that_never_gets_ready_is_reported(tmp_path: Path) -> None:
    process = start(tmp_path, "import time; time.sleep(60)")
    try:
        with pytest.raises(NotReadyError, match="The program did not respond"):
            process.wait_until(lambda: False, seconds=0.1)
    finally:
        process.stop()


def test_a_process_gets_the_environment_given_and_no_more(tmp_path: Path) -> None:
    process = start(tmp_path, "import os; print(sorted(set(os.environ) - {'LC_CTYPE'}), flush=True); input()")
    try:
        process.wait_until(lambda: "ONLY" in process.log.read_text(), seconds=10)
        assert process.log.read_text().strip() == "['ONLY']"
    finally:
        process.stop()


def test_what_a_process_started_ends_with_it(tmp_path: Path) -> None:
    program = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    process = start(tmp_path, program)
    process.wait_until(lambda: process.log.read_text().strip().isdigit(), seconds=10)
    child = int(process.log.read_text())

    process.stop()

    deadline = time.monotonic() + 5
    while Path(f"/proc/{child}").exists() and "\nState:\tZ" not in Path(f"/proc/{child}/status").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.stop()  # a second call does nothing


@pytest.mark.parametrize("told", [True, False])
def test_a_program_that_is_attached_ends_cleanly_when_told_to_and_with_its_starter(tmp_path: Path, told: bool) -> None:
    program = (
        "import os, signal, sys\n"
        "def end(*_):\n"
        "    os.write(1, b'asked to end\\n')\n"
        "    sys.exit()\n"
        "signal.signal(signal.SIGTERM, end)\n"
        "os.write(1, b'ready\\n')\n"
        "while True: signal.pause()\n"
    )
    (tmp_path / "program.py").write_text(program)
    command = [sys.executable, "-m", "sandbox.cloud.attached", "program"]
    path = os.pathsep.join((str(PROJECT), str(tmp_path)))
    with subprocess.Popen(  # noqa: S603 - our own program
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env={"PYTHONPATH": path}
    ) as running:
        assert running.stdin is not None
        assert running.stdout is not None
        assert running.stdout.readline() == b"ready\n"
        if told:
            running.terminate()
        else:
            running.stdin.close()

        assert (running.stdout.read(), running.wait(10)) == (b"asked to end\n", 0)


def test_the_preferred_port_is_taken_when_free_and_otherwise_the_next() -> None:
    with socket.socket() as listener:
        listener.bind((LOOPBACK, 0))
        listener.listen()
        busy = listener.getsockname()[1]
        after = free_port(busy)
        assert after > busy
        assert free_port(after) == after
        assert free_port(after, taken=frozenset({after})) > after


def test_a_port_that_is_busy_is_named_with_the_one_that_is_used_instead() -> None:
    usual = ServicePorts(Ports(aws=4566, front_door=8080), stand_in=8090, shop=3000)
    moved = ServicePorts(Ports(aws=4566, front_door=8081), stand_in=8090, shop=3002)

    assert usual.instead() == []
    assert moved.instead() == [
        "Port 3000 is in use by another program: the shop is at 3002 instead.",
        "Port 8080 is in use by another program: the API is at 8081 instead.",
    ]
