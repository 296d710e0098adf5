"""Run reconcile once on the service that `make run` serves, and show what it did: `make reconcile`."""

import argparse
import json
import sys
from pathlib import Path

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console

RUN_DIR = Path(__file__).parent.parent / ".run"
# Longer than the function's own 55 seconds.
_READ_TIMEOUT_S = 65


def main() -> int:
    """0: it ran; 1: nothing is running, or the run failed, and the message says which."""
    parser = argparse.ArgumentParser(prog="make reconcile", description=__doc__)
    parser.add_argument("--run-dir", type=Path, default=RUN_DIR, help="of `make run`: holds endpoints.json")
    file: Path = parser.parse_args().run_dir / "endpoints.json"
    console = Console(highlight=False)
    try:
        endpoints = json.loads(file.read_text())
    except FileNotFoundError:
        console.print("Nothing is running: start it with `make run`, in another terminal.")
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
        answer = client.invoke(FunctionName=endpoints["outputs"]["ReconcileFunctionName"], Payload=b"{}")
        report = json.loads(answer["Payload"].read())
    except (BotoCoreError, ClientError) as error:
        console.print(f"[bold red]✗[/] The local cloud refused: {error}")
        return 1
    if answer.get("FunctionError"):
        console.print(f"[bold red]✗[/] The run failed; {endpoints['logs']['functions']} says why.")
        return 1
    outcomes = ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in report["outcomes"].items())
    console.print(
        f"Looked at {report['looked_at']} due records: {outcomes or 'nothing to do'}. Failed: {report['failed']}."
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
