"""The whole service on this machine, until Ctrl-C: what `make run` starts."""

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

from sandbox import development
from sandbox.cloud.build import PROJECT, BuildError
from sandbox.cloud.cloud import DeploymentError
from sandbox.cloud.gateways import Gateway, UnusableKeysError, gateway_of
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
    """Another process runs the service in the same run dir."""


class StopRequested(BaseException):
    """SIGTERM: end like Ctrl-C. Not an `Exception`, so that nothing on the way takes it for a failure."""


def main(arguments: list[str] | None = None) -> int:
    """Run until told to stop. 0: stopped as asked; 1: something failed, and the message says what."""
    parser = argparse.ArgumentParser(prog="make run", description=__doc__)
    parser.add_argument("--run-dir", type=Path, default=RUN_DIR, help="logs and endpoints.json (default: .run)")
    parser.add_argument("--env-file", type=Path, default=PROJECT / ".env", help="Razorpay test keys (default: .env)")
    parser.add_argument("--any-ports", action="store_true", help="any free ports instead of 3000, 4566, 8080 and 8090")
    options = parser.parse_args(arguments)

    console = Console(highlight=False)
    signal.signal(signal.SIGTERM, _stop)
    # A shell starts background jobs with SIGINT ignored, and Python leaves that as it is.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        gateway = gateway_of(options.env_file)
        with only_one(options.run_dir):
            ports = ServicePorts.any() if options.any_ports else ServicePorts.preferred()
            _serve(console, options.run_dir.resolve(), ports, gateway)
    except (KeyboardInterrupt, StopRequested):
        console.print("Stopped.")
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

    The system releases it with the process, however that ends: a lock file left behind holds nobody up.

    Raises:
        AlreadyRunningError: another process holds it.
    """
    run_dir.mkdir(parents=True, exist_ok=True)
    with (run_dir / "run.lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise AlreadyRunningError(
                f"The service runs already, as process {lock.read().strip()} (see {run_dir}/endpoints.json).\n"
                "Stop it with Ctrl-C where it runs."
            ) from None
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield


def _serve(console: Console, run_dir: Path, ports: ServicePorts, gateway: Gateway) -> None:
    started = time.monotonic()

    @contextlib.contextmanager
    def step(title: str) -> Iterator[None]:
        began = time.monotonic()
        with console.status(f"{title} …"):
            yield
        console.print(f"[green]✓[/] {title} [dim]{time.monotonic() - began:.1f} s[/]")

    service = LocalService.start(run_dir, ports=ports, gateway=gateway, step=step)
    try:
        console.print(f"[bold green]Ready[/] [dim]after {time.monotonic() - started:.1f} s[/]\n")
        console.print(introduction(service, gateway), markup=False, soft_wrap=True)
        while True:
            service.check()
            time.sleep(CHECK_SECONDS)
    finally:
        # A second Ctrl-C, or the one that make passes on, must not leave half of it running.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        with console.status("Stopping …"):
            service.stop()


def introduction(service: LocalService, gateway: Gateway) -> str:
    """Where everything is, a request to paste, and what to do next."""
    endpoints = service.endpoints
    lines = [
        f"Shop       {endpoints['shop']}/  (pay in the browser)",
        f"Live view  {endpoints['shop']}/live/  (watch what happens)",
        f"API        {endpoints['api']}/api/payments/",
        f"Razorpay   {endpoints['razorpay']}" + ("  (stand-in)" if gateway.url is None else "  (the real test mode)"),
        f"AWS        {endpoints['aws']}  (region {endpoints['region']}, any SDK; credentials test/test)",
        f"Logs       {endpoints['logs']['functions']}",
        "",
        "Create an order:",
        "",
        f"curl -i {endpoints['api']}/api/payments/create-order/ \\",
        f"  -H 'Authorization: Bearer {development.token(CLIENT_ID)}' \\",
        "  -H 'Content-Type: application/json' \\",
        f"  -d '{json.dumps(EXAMPLE_ORDER)}'",
        "",
    ]
    if gateway.url is None:
        lines.append(
            "Or accept a proposal in the shop and pay; `make demo` in another terminal does so without a browser.\n"
            "Ctrl-C stops everything."
        )
    else:
        lines += [
            "Razorpay cannot reach this machine: webhooks come only through a tunnel to",
            f"{endpoints['api']}{WEBHOOK_PATH} (set its public address in the Razorpay dashboard).",
            "Without one, reconcile confirms payments by asking Razorpay. Ctrl-C stops everything.",
        ]
    return "\n".join(lines)


def _stop(_number: int, _frame: FrameType | None) -> None:
    raise StopRequested


if __name__ == "__main__":
    sys.exit(main())
