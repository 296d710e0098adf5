"""The operators' command line, as a program, on the deployed service."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from ops.__main__ import ops as group
from sandbox.cloud.service import LocalService
from tests.e2e.platform_client import Platform

PROJECT = Path(__file__).parents[2]
WHY = ("--cause", "agreed_with_client", "--ticket", "OPS-123", "--yes")


@pytest.fixture
def platform(local_service: LocalService) -> Platform:
    return Platform(local_service)


ENVIRONMENT = {
    "STAGE": "local",
    # Not to be used: the local cloud has its own.
    "AWS_PROFILE": "production",
}


def ops(service: LocalService, *words: str) -> dict[str, Any]:
    """Runs a command in this process, which is much faster than a program for each."""
    run_dir = str(service.endpoints["run_dir"])
    # The command line sets these for itself.
    unchanged = {name: os.environ.get(name) for name in ("NO_PROXY", "no_proxy", "AWS_DEFAULT_PROFILE")}
    done = CliRunner().invoke(group, [*words, "--json"], env={**unchanged, **ENVIRONMENT, "OPS_RUN_DIR": run_dir})
    assert done.exit_code == 0, done.output
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def program(service: LocalService, *words: str) -> str:
    """Runs a command as the operator does."""
    done = subprocess.run(  # noqa: S603 - this project's own program
        [sys.executable, "-m", "ops", *words],
        cwd=PROJECT,
        env={
            "PATH": os.defpath,
            "PYTHONPATH": str(PROJECT / "shared"),
            "OPS_RUN_DIR": str(service.endpoints["run_dir"]),
            **ENVIRONMENT,
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=90,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.timeout(300)
def test_a_payment_on_a_superseded_order_is_found_accepted_refunded_in_part_and_told_again(
    platform: Platform, local_service: LocalService
) -> None:
    first = platform.create_order().json()["order_id"]
    platform.create_order(amount="600.00")
    payment = platform.pay(first).json()["razorpay_payment_id"]
    platform.wait_for_payment(first, status="authorized", under_review=True)

    assert [one["order_id"] for one in ops(local_service, "find", "--payment", payment)["payments"]] == [first]
    assert first in {one["order_id"] for one in ops(local_service, "reviews")["reviews"]}

    told = ops(local_service, "resolve", "accept", first, *WHY)
    assert (told["status_before"], told["status"]) == ("authorized", "paid")
    assert told["changes"][-1]["by"]["ticket"] == "OPS-123"
    platform.wait_for_inbox("job", first, "payment.paid")

    refund = ops(
        local_service, "refund", first, "--amount", "100.00", "--reason", "goodwill", "--ticket", "OPS-123", "--yes"
    )
    assert (refund["amount"], refund["razorpay_payment_id"]) == (10_000, payment)
    platform.wait_for_payment(first, status="paid", amount_refunded=10_000)

    explained = program(local_service, "explain", first)
    assert "gives the record exactly as it is stored" in explained
    published = ops(local_service, "republish", first, *WHY)["published"]
    assert "payment.paid" in published
    assert "payment.partially_refunded" in published
    assert ops(local_service, "pending")["counts"].keys() == {"outbox", "watch", "unknown", "set_aside"}
