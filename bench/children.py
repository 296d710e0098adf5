"""Runs processes and measures their instructions and memory."""

import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from typing import Final

from bench.subjects import PROGRAMS, RUNTIME

VALGRIND: Final = shutil.which("valgrind")
_LONGEST_S: Final = 600
_COLLECTED: Final = re.compile(r"Collected : (\d+)")
# As Lambda starts it, in a clean environment: no user site, no current folder on the path.
_PYTHON: Final = (str(RUNTIME), "-P", "-s", "-B")
_MEMORY: Final = re.compile(r"VmHWM:\s+(\d+) kB")


class ChildFailed(RuntimeError):
    """A measured process failed; the message is its output."""


def memory_mib(program: str, arguments: Sequence[str], environment: Mapping[str, str]) -> float:
    """Runs a program to its end and returns its peak memory.

    Raises:
        ChildFailed: it ended with an error.
    """
    return _run([*_PYTHON, str(PROGRAMS / program), *arguments], environment, _MEMORY) / 1024


def instructions(program: str, arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """The program's instructions in user space, counted by callgrind: independent of the machine's load.

    Raises:
        ChildFailed: it ended with an error, or there is no valgrind.
    """
    if VALGRIND is None:
        raise ChildFailed("instructions are counted by valgrind, which is not installed (Debian: apt install valgrind)")
    counting = [VALGRIND, "--tool=callgrind", "--callgrind-out-file=/dev/null", *_PYTHON]
    return _run([*counting, str(PROGRAMS / program), *arguments], environment, _COLLECTED)


def _run(command: Sequence[str], environment: Mapping[str, str], wanted: re.Pattern[str]) -> int:
    done = subprocess.run(  # noqa: S603 - our own
        command,
        env=dict(environment),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        timeout=_LONGEST_S,
    )
    found = wanted.search(done.stderr)
    if done.returncode or found is None:
        raise ChildFailed(done.stderr)
    return int(found[1])
