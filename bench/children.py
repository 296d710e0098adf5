"""Processes that are measured: their CPU time, instructions, memory and imports."""

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from bench.subjects import PROGRAMS, RUNTIME

if TYPE_CHECKING:
    from collections.abc import Iterator

VALGRIND: Final = shutil.which("valgrind")
"""None: instructions are not counted on this machine."""
_LONGEST_S: Final = 600
_COLLECTED: Final = re.compile(r"Collected : (\d+)")
_IMPORTED: Final = re.compile(r"import time:\s+(\d+) \|\s+(\d+) \|\s*(\S+)")
# As Lambda starts it, in a clean environment: no user site, no current folder on the path.
_PYTHON: Final = (str(RUNTIME), "-P", "-s", "-B")


class ChildFailed(RuntimeError):
    """A measured process failed; the message is what it said."""


@dataclass(frozen=True, slots=True)
class Start:
    """One process from its start to its end."""

    cpu_s: float
    """User and system time."""
    rss_kib: int
    """The most memory it ever had."""
    modules: int
    """In `sys.modules` at its end."""


def run_start(program: str, arguments: Sequence[str], environment: Mapping[str, str]) -> Start:
    """Runs a program that reports its memory and modules into the file that is its first argument.

    Raises:
        ChildFailed: it ended with an error.
    """
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        report = Path(scratch) / "report.json"
        command = [*_PYTHON, str(PROGRAMS / program), str(report), *arguments]
        with (Path(scratch) / "said").open("w+b") as said:
            process = subprocess.Popen(command, env=dict(environment), stdout=said, stderr=said)  # noqa: S603 - our own
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode:
                said.seek(0)
                raise ChildFailed(said.read().decode(errors="replace"))
        told = json.loads(report.read_text(encoding="ascii"))
    return Start(usage.ru_utime + usage.ru_stime, told["rss_kib"], told["modules"])


def run_program(program: str, arguments: Sequence[str], environment: Mapping[str, str]) -> str:
    """Runs a program to its end; returns what it printed.

    Raises:
        ChildFailed: it ended with an error.
    """
    done = subprocess.run(  # noqa: S603 - our own
        [*_PYTHON, str(PROGRAMS / program), *arguments],
        env=dict(environment),
        capture_output=True,
        text=True,
        check=False,
        timeout=_LONGEST_S,
    )
    if done.returncode:
        raise ChildFailed(done.stdout + done.stderr)
    return done.stdout


def instructions_of_start(program: str, arguments: Sequence[str], environment: Mapping[str, str]) -> int | None:
    """Instructions that the process executes in user space, or None where valgrind is missing.

    Raises:
        ChildFailed: it ended with an error.
    """
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        return _instructions([str(PROGRAMS / program), f"{scratch}/report.json", *arguments], environment)


def instructions_of_request(
    arguments: Sequence[str], environment: Mapping[str, str], *, few: int, many: int
) -> int | None:
    """Instructions of one warm request, or None where valgrind is missing.

    The difference of a run with many requests and one with few: what starting costs is in both.

    Raises:
        ChildFailed: it ended with an error.
    """
    program = str(PROGRAMS / "warm.py")
    less = _instructions([program, *arguments, str(few)], environment)
    more = _instructions([program, *arguments, str(many)], environment)
    return None if less is None or more is None else (more - less) // (many - few)


def _instructions(command: Sequence[str], environment: Mapping[str, str]) -> int | None:
    if VALGRIND is None:
        return None
    done = subprocess.run(  # noqa: S603 - our own
        [VALGRIND, "--tool=callgrind", "--callgrind-out-file=/dev/null", *_PYTHON, *command],
        env=dict(environment),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        timeout=_LONGEST_S,
    )
    counted = _COLLECTED.search(done.stderr)
    if done.returncode or counted is None:
        raise ChildFailed(done.stderr)
    return int(counted[1])


def dearest_imports(
    program: str, arguments: Sequence[str], environment: Mapping[str, str], *, count: int = 10
) -> list[tuple[str, int, float]]:
    """The packages whose modules take longest to import: name, modules, share of the time of all imports.

    Each module's own time, without what it imports, added up by its package: nothing is counted twice.
    """
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        done = subprocess.run(  # noqa: S603 - our own
            [*_PYTHON, "-X", "importtime", str(PROGRAMS / program), f"{scratch}/report.json", *arguments],
            env=dict(environment),
            capture_output=True,
            text=True,
            check=False,
            timeout=_LONGEST_S,
        )
    if done.returncode:
        raise ChildFailed(done.stderr)
    return by_package(done.stderr, count)


def by_package(importtime: str, count: int) -> list[tuple[str, int, float]]:
    """What `-X importtime` said, by package and the dearest first."""
    times: defaultdict[str, int] = defaultdict(int)
    modules: defaultdict[str, int] = defaultdict(int)
    for own_us, _, name in _IMPORTED.findall(importtime):
        package = name.partition(".")[0]
        times[package] += int(own_us)
        modules[package] += 1
    total = sum(times.values()) or 1
    dearest = sorted(times, key=lambda package: -times[package])[:count]
    return [(package, modules[package], times[package] / total) for package in dearest]


class Warm:
    """A process that serves the same request as often as it is asked to."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def serve(self, count: int) -> tuple[float, float]:
        """CPU and wall seconds of one of so many requests.

        Raises:
            ChildFailed: it ended.
        """
        stdin, stdout = _pipes(self._process)
        stdin.write(f"{count}\n")
        stdin.flush()
        line = stdout.readline()
        if not line:
            raise ChildFailed("a warm process ended before it had served what it was asked for")
        cpu_s, wall_s = line.split()
        return float(cpu_s) / count, float(wall_s) / count


@contextmanager
def warm(arguments: Sequence[str], environment: Mapping[str, str]) -> "Iterator[Warm]":
    """A warm process, ready to serve; ended at the end.

    Raises:
        ChildFailed: it could not serve its first request.
    """
    with (
        tempfile.TemporaryFile("w+") as said,
        subprocess.Popen(  # noqa: S603 - our own
            [*_PYTHON, str(PROGRAMS / "warm.py"), *arguments, "-"],
            env=dict(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=said,
            text=True,
        ) as process,
    ):
        _, stdout = _pipes(process)
        # The function prints its log lines until it is asked for the first time.
        while line := stdout.readline():
            if line == "ready\n":
                break
        else:
            said.seek(0)
            raise ChildFailed(said.read())
        try:
            yield Warm(process)
        finally:
            _pipes(process)[0].close()
            process.wait(timeout=_LONGEST_S)


@contextmanager
def canned_server(canned: Path) -> "Iterator[str]":
    """The canned answers over HTTP; gives the address."""
    with subprocess.Popen(  # noqa: S603 - our own
        [*_PYTHON, str(PROGRAMS / "server.py"), str(canned)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        stdin, stdout = _pipes(process)
        port = stdout.readline().strip()
        if not port:
            raise ChildFailed("the server of canned answers did not start")
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            stdin.close()
            process.wait(timeout=_LONGEST_S)


def _pipes(process: "subprocess.Popen[str]") -> tuple[IO[str], IO[str]]:
    assert process.stdin is not None
    assert process.stdout is not None
    return process.stdin, process.stdout
