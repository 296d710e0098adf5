"""Run each scheduled lane once on the service that `make run` serves, and print the results: `make reconcile`.

Runs outbox, then reconcile's watch, sweep and expiry: what the schedules run every minute, every five or every hour.
The sweep reads Razorpay's lists 15 minutes behind the present, the expiry the orders of a month ago. `--last MINUTES`
(`make reconcile LAST=30`) also rebuilds the last minutes, as an operator does by hand (docs/runbook.md, "Rebuilding
from Razorpay").
"""

import argparse
import json
import sys
import time
from collections.abc import Mapping
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, EndpointConnectionError

from sandbox import proxies, running, terminal

# Longer than reconcile's own 290 seconds.
_READ_TIMEOUT_S = 300
_LANES: tuple[tuple[str, str, Mapping[str, str]], ...] = (
    ("Outbox", "OutboxAlias", {}),
    ("Watch", "ReconcileAlias", {"lane": "watch"}),
    ("Sweep", "ReconcileAlias", {"lane": "sweep"}),
    ("Expiry", "ReconcileAlias", {"lane": "expiry"}),
)
_LOOKED_AT = {"Outbox": "due records", "Watch": "due records"}


class RunFailedError(Exception):
    """A run failed; the message says which."""


def main(arguments: list[str] | None = None) -> int:
    """Return 0 if all lanes ran, or 1 if nothing is running or a run failed; the message says which."""
    parser = argparse.ArgumentParser(prog="make reconcile", description=__doc__)
    running.add_run_dir(parser)
    parser.add_argument("--last", type=int, metavar="MINUTES", help="also rebuild the last minutes")
    options = parser.parse_args(arguments)
    console = terminal.console()
    proxies.bypass_for_this_machine()
    try:
        endpoints = running.endpoints_of(options.run_dir)
    except running.NotRunningError as error:
        console.print(str(error))
        return 1
    client = boto3.client(
        "lambda",
        endpoint_url=endpoints["aws"],
        region_name=endpoints["region"],
        aws_access_key_id=endpoints["access_key_id"],
        aws_secret_access_key=endpoints["secret_access_key"],
        config=Config(read_timeout=_READ_TIMEOUT_S, retries={"total_max_attempts": 1}),
    )
    try:
        for name, function, event in _LANES:
            report = _invoke(client, name, endpoints["outputs"][function], event)
            console.print(_told(name, _LOOKED_AT.get(name, "entries of Razorpay's lists"), report))
        if options.last is not None:
            for report in _rebuild(client, endpoints["outputs"]["ReconcileAlias"], options.last * 60):
                console.print(_told("Rebuild", "entries of Razorpay's lists", report))
    except EndpointConnectionError:
        console.print(f"[bold red]✗[/] Nothing answers at {endpoints['aws']}; start the service with `make run`.")
        return 1
    except (BotoCoreError, ClientError) as error:
        console.print(f"[bold red]✗[/] The local cloud refused: {error}")
        return 1
    except RunFailedError as error:
        console.print(f"[bold red]✗[/] {error}; {endpoints['logs']['functions']} says why.")
        return 1
    return 0


def _rebuild(client: Any, function: str, seconds: int) -> list[dict[str, Any]]:  # noqa: ANN401 - boto3 makes its clients at run time
    now = int(time.time())
    reports: list[dict[str, Any]] = []
    asked: Mapping[str, Any] | None = {"rebuild": {"from": now - seconds, "to": now}}
    while asked is not None:
        reports.append(_invoke(client, "Rebuild", function, asked))
        asked = reports[-1]["next"]
    return reports


def _invoke(client: Any, name: str, function: str, event: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ANN401 - as above
    answer = client.invoke(FunctionName=function, Payload=json.dumps(event).encode())
    report: dict[str, Any] = json.loads(answer["Payload"].read())
    if answer.get("FunctionError"):
        raise RunFailedError(f"{name} failed")
    return report


def _told(name: str, what: str, report: Mapping[str, Any]) -> str:
    outcomes = ", ".join(f"{outcome.replace('_', ' ')} {count}" for outcome, count in report["outcomes"].items())
    left = " More is left for the next run." if report["left_over"] else ""
    return f"{name}: {report['looked_at']} {what}: {outcomes or 'nothing to do'}. Failed: {report['failed']}.{left}"


if __name__ == "__main__":
    sys.exit(main())
