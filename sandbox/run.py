"""Run the whole service on this machine until Ctrl-C: `make run`."""

import argparse
import contextlib
import fcntl
import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

from rich.console import Console

from sandbox import development, proxies, terminal
from sandbox.cloud.build import PROJECT, BuildError
from sandbox.cloud.cloud import DeploymentError
from sandbox.cloud.env_file import UnusableKeysError
from sandbox.cloud.gateways import Gateway, check_keys, gateway_of
from sandbox.cloud.processes import NotReadyError, ProcessDiedError
from sandbox.cloud.service import WEBHOOK_PATH, LocalService, ServicePorts

RUN_DIR = PROJECT / ".run"
CHECK_SECONDS = 0.3  # how soon a part that died is noticed
CLIENT_ID = 301
EXAMPLE_ORDER = {
    "job_id": 101,
    "application_id": 201,
    "client_id": CLIENT_ID,
    "freelancer_id": 401,
    "amount": "2500.00",
}


class AlreadyRunningError(RuntimeError):
    """Another process is running the service in the same run dir."""


class StopRequested(BaseException):
    """SIGTERM, or SIGHUP when the terminal closes: stop as for Ctrl-C.

    Not an `Exception`, so that nothing in between handles it as a failure.
    """


def main(arguments: list[str] | None = None) -> int:
    """Run until told to stop. Return 0 after a requested stop, or 1 after a failure that the message describes."""
    parser = argparse.ArgumentParser(prog="make run", description=__doc__)
    parser.add_argument(
        "--run-dir", type=Path, default=RUN_DIR, help="folder of logs and endpoints.json (default: .run)"
    )
    parser.add_argument("--env-file", type=Path, default=PROJECT / ".env", help="Razorpay test keys (default: .env)")
    parser.add_argument("--any-ports", action="store_true", help="free ports instead of 3000, 4566, 8080 and 8090")
    parser.add_argument("--steps-before", type=int, default=0, help="how many steps `make` has taken (default: 0)")
    parser.add_argument("--began", type=float, help="when `make` began, in seconds since 1970 (default: now)")
    options = parser.parse_args(arguments)

    console = terminal.console()
    proxies.bypass_for_this_machine()
    signal.signal(signal.SIGTERM, _stop)
    ends_with_terminal = signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN  # nohup ignores it on purpose
    if ends_with_terminal:
        signal.signal(signal.SIGHUP, _stop_without_terminal)
    # A shell starts background jobs with SIGINT ignored, and Python keeps it that way.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        gateway = gateway_of(options.env_file)
        with only_one(options.run_dir):
            ports = ServicePorts.any() if options.any_ports else ServicePorts.preferred()
            progress = Progress(console, options.steps_before, gateway, began=options.began)
            notes = [] if options.any_ports else ports.instead()
            if gateway.url is not None:
                with progress.step("Check the API keys with Razorpay"):
                    notes.append(check_keys(gateway))
            terminals = _terminals() if ends_with_terminal else []
            with _started(progress, options.run_dir.resolve(), ports, gateway) as service:
                console.print(f"[bold green]Ready[/] [dim]after {progress.seconds():.0f} s[/]\n")
                console.print(introduction(service, gateway, notes), markup=False, soft_wrap=True)
                _watch(service, terminals)
    except (KeyboardInterrupt, StopRequested):
        _say_last(console, "Stopped.")
        return 0
    except (
        AlreadyRunningError,
        BuildError,
        DeploymentError,
        NotReadyError,
        ProcessDiedError,
        UnusableKeysError,
    ) as error:
        console.print("[bold red]✗[/]", end=" ")
        console.print(str(error), markup=False, soft_wrap=True)
        return 1
    return 0


@contextlib.contextmanager
def only_one(run_dir: Path) -> Iterator[None]:
    """Hold the run dir's lock.

    The system releases it when the process ends, however it ends, so a leftover lock file blocks nobody.

    Raises:
        AlreadyRunningError: another process holds it.
    """
    run_dir.mkdir(parents=True, exist_ok=True)
    with (run_dir / "run.lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            pid = lock.read().strip()
            raise AlreadyRunningError(
                f"The service is already running as process {pid} (see {run_dir}/endpoints.json).\n"
                f"Stop it with Ctrl-C in its terminal or, if that terminal is gone, with: kill {pid}"
            ) from None
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield


class Progress:
    """Prints each step with its number and duration.

    Args:
        console: where to print.
        before: how many steps `make` has taken already; they count.
        gateway: the gateway of the service being started, which determines the number of steps.
        began: when the first step began, in seconds since 1970; now by default.
    """

    def __init__(self, console: Console, before: int, gateway: Gateway, *, began: float | None = None) -> None:
        self.console = console
        self._taken = before
        self._all = before + LocalService.steps(gateway) + (gateway.url is not None)
        self._began = time.time() if began is None else began

    @contextlib.contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Run one step. On a terminal a spinner turns meanwhile; otherwise the title is printed as the step starts."""
        self._taken += 1
        began = time.monotonic()
        numbered = f"[{self._taken}/{self._all}] {title}"
        if self.console.is_terminal:
            with self.console.status(f"{numbered} …"):
                yield
            self.console.print(f"[green]✓[/] {numbered} [dim]{time.monotonic() - began:.1f} s[/]")
            return
        self.console.print(f"{numbered} …", end=" ", soft_wrap=True)
        took = "failed"
        try:
            yield
            took = f"{time.monotonic() - began:.1f} s"
        finally:
            self.console.print(took)

    def seconds(self) -> float:
        """Return how long it has taken so far."""
        return time.time() - self._began


@contextlib.contextmanager
def _started(progress: Progress, run_dir: Path, ports: ServicePorts, gateway: Gateway) -> Iterator[LocalService]:
    service = LocalService.start(run_dir, ports=ports, gateway=gateway, step=progress.step)
    try:
        yield service
    finally:
        # A second Ctrl-C, or the one that make passes on, must not leave half of it running.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        _say_last(progress.console, "Stopping …")
        service.stop()


def _watch(service: LocalService, terminals: list[int]) -> None:
    """Watch the service and never return: raise when a part has died or one of the terminals is gone.

    SIGHUP is not enough: when a terminal closes, it reaches only the session's first process. That may be make,
    which then waits for us.
    """
    while True:
        service.check()
        if not all(os.isatty(terminal) for terminal in terminals):
            _leave_terminal()
            raise StopRequested
        time.sleep(CHECK_SECONDS)


def _terminals() -> list[int]:
    return [number for number in (0, 1, 2) if os.isatty(number)]


def introduction(service: LocalService, gateway: Gateway, notes: list[str]) -> str:
    """Return the addresses, anything unusual, a request to paste, and what to do next."""
    endpoints = service.endpoints
    curl = "curl"
    if proxies.from_environment():
        curl = "curl --noproxy 127.0.0.1"
        notes = [*notes, "Your shell sets a proxy: programs outside `make` need NO_PROXY=127.0.0.1 to connect."]
    lines = [
        f"Shop       {endpoints['shop']}/  (pay in the browser)",
        f"Live view  {endpoints['shop']}/live/  (watch what happens)",
        f"API        {endpoints['api']}/api/payments/",
        f"Razorpay   {endpoints['razorpay']}" + ("  (stand-in)" if gateway.url is None else "  (the real test mode)"),
        f"AWS        {endpoints['aws']}  (region {endpoints['region']}, any SDK; credentials test/test)",
        f"Logs       {endpoints['logs']['functions']}",
        *(["", *notes] if notes else []),
        "",
        "Create an order:",
        "",
        f"{curl} -i {endpoints['api']}/api/payments/create-order/ \\",
        f"  -H 'Authorization: Bearer {development.token(CLIENT_ID)}' \\",
        "  -H 'Content-Type: application/json' \\",
        f"  -d '{json.dumps(EXAMPLE_ORDER)}'",
        "",
    ]
    if gateway.url is None:
        lines.append(
            "Or accept a proposal in the shop and pay. `make demo` in another terminal needs no browser.\n"
            "Press Ctrl-C to stop everything."
        )
    else:
        lines += [
            "Razorpay cannot reach this machine: webhooks come only through a tunnel to",
            f"{endpoints['api']}{WEBHOOK_PATH} (set its public address in the Razorpay dashboard).",
            "Without one, reconcile confirms payments by asking Razorpay. Press Ctrl-C to stop everything.",
        ]
    return "\n".join(lines)


def _say_last(console: Console, text: str) -> None:
    """Print, unless nobody can read it any more. The remaining cleanup must not fail because of that."""
    try:
        console.print(text)
    except OSError:
        _leave_terminal()


def _leave_terminal() -> None:
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(nowhere, stream.fileno())


def _stop(_number: int, _frame: FrameType | None) -> None:
    raise StopRequested


def _stop_without_terminal(_number: int, _frame: FrameType | None) -> None:
    _leave_terminal()
    raise StopRequested


if __name__ == "__main__":
    sys.exit(main())
