"""Processes that the sandbox starts: each in its own process group, its output in a file, stopped with its children."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self

STOP_SECONDS = 3.0  # time to exit after SIGTERM; the emulator needs about half a second
POLL_SECONDS = 0.02
LAST_LINES = 15


class ProcessDiedError(RuntimeError):
    """A process of the sandbox exited unexpectedly; the message says which and shows its last lines."""


class NotReadyError(RuntimeError):
    """A process of the sandbox runs but does not respond."""


class ServerProcess:
    """A server in its own process group.

    Its standard input is a pipe that nobody writes to; see `sandbox.cloud.attached`.
    """

    def __init__(self, name: str, process: subprocess.Popen[bytes], log: Path) -> None:
        self.name = name
        self.log = log
        self._process = process

    @classmethod
    def start(cls, name: str, command: Sequence[str], *, env: Mapping[str, str], cwd: Path, log: Path) -> Self:
        """Start the command with exactly the environment given.

        Args:
            name: its name in messages.
            command: program and arguments.
            env: its environment, complete.
            cwd: its working directory.
            log: receives its standard output and error; overwritten.
        """
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as output:
            process = subprocess.Popen(  # noqa: S603 - commands of this repository, no shell
                list(command),
                env=dict(env),
                cwd=cwd,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return cls(name, process, log)

    @property
    def pid(self) -> int:
        """Its process id, which is also its group's."""
        return self._process.pid

    def check(self) -> None:
        """Raise `ProcessDiedError` if it has exited."""
        status = self._process.poll()
        if status is not None:
            raise ProcessDiedError(f"{self.name} ended with status {status}.\n{self.last_lines()}")

    def last_lines(self) -> str:
        """The end of its log, after the log's path."""
        lines = self.log.read_text(errors="replace").splitlines()[-LAST_LINES:]
        return "\n".join([f"The end of {self.log}:", *(f"  {line}" for line in lines or ["(nothing)"])])

    def wait_until(self, is_ready: Callable[[], bool], *, seconds: float) -> None:
        """Wait for it to serve.

        Raises:
            ProcessDiedError: it exited before.
            NotReadyError: it was not ready in time.
        """
        deadline = time.monotonic() + seconds
        while not is_ready():
            self.check()
            if time.monotonic() > deadline:
                raise NotReadyError(f"{self.name} did not respond within {seconds:.0f} s.\n{self.last_lines()}")
            time.sleep(POLL_SECONDS)

    def stop(self) -> None:
        """Stop it and everything it started; does nothing if it has already exited."""
        if self._process.poll() is None:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_SECONDS)
        # The rest of the group: surviving children, or the process itself. The id cannot be reused while the group has
        # a member, and without members there is nothing to signal.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()
