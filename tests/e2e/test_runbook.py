"""Every block of shell in docs/runbook.md: run on the local cloud, or at least taken by the AWS CLI as well formed.

A block that the local cloud cannot run is listed with the reason; there the CLI checks service, operation and
parameters against AWS's own models, and sends nothing.
"""

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from sandbox.cloud.cloud import ACCESS_KEY_ID, REGION, SECRET_ACCESS_KEY
from sandbox.cloud.service import LocalService
from tests.e2e.platform_client import Platform
from tests.runbook.book import PROJECT, Block, blocks

AWS = PROJECT / ".venvs/aws/bin/aws"
SETUP, *BLOCKS = blocks()
# What the emulator lacks or does differently, by block.
ONLY_ON_AWS = {
    "reviews-waiting 2": "needs the receipt handle of a message that waits",
    "dead-letters 2": "the emulator has no StartMessageMoveTask",
}
# Version 1 of the CLI takes the endpoint of SQS from nowhere else.
LOCAL = f"""#!/bin/sh
exec {AWS} --endpoint-url "$AWS_ENDPOINT_URL" "$@"
"""
# With this the CLI checks what it is given, and sends nothing.
DRY = f"""#!/bin/sh
case "$2" in wait) exit 0 ;; esac
exec {AWS} "$@" --generate-cli-skeleton output
"""


@dataclass(frozen=True)
class Shell:
    """A shell as the runbook wants it, at work on a local cloud."""

    folder: Path
    environment: dict[str, str]

    def run(self, script: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(  # noqa: S603 - the project's own document
            ["/bin/sh", "-eu", "-c", script],
            cwd=self.folder,
            env=self.environment | more,
            capture_output=True,
            text=True,
            check=False,
            timeout=100,
        )


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalService]:
    """A service of its own: the runbook stops functions and replaces secrets."""
    with LocalService.start(tmp_path_factory.mktemp("runbook")) as service:
        yield service


@pytest.fixture(scope="module")
def shell(service: LocalService, tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """After "Before you begin", with an order that is paid."""
    platform = Platform(service)
    order_id = platform.create_order().json()["order_id"]
    platform.pay(order_id)
    platform.wait_for_payment(order_id, status="paid", confirmed=True)

    folder = tmp_path_factory.mktemp("shell")
    for name, script in (("local", LOCAL), ("dry", DRY)):
        program = folder / name / "aws"
        program.parent.mkdir()
        program.write_text(script)
        program.chmod(0o755)
    bare = {
        "PATH": f"{folder}/local:{os.defpath}",
        "HOME": str(folder),
        "LANG": "C.UTF-8",
        "AWS_ENDPOINT_URL": service.endpoints["aws"],
        "AWS_ACCESS_KEY_ID": ACCESS_KEY_ID,
        "AWS_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_MAX_ATTEMPTS": "1",
        "STAGE": "local",
        "ORDER": order_id,
        # What an earlier block of the same section, or the one on logs, exports.
        "FUNCTION": "webhook",
        "RESTORED": "payments-restored",
    }
    done = Shell(folder, bare).run(SETUP.script + "\nenv -0")
    assert done.returncode == 0, done.stderr
    variables = dict(line.split("=", 1) for line in done.stdout.split("\0") if "=" in line)
    return Shell(folder, variables)


def test_before_anything_else_every_variable_gets_a_value(shell: Shell) -> None:
    assigned = [line.split("=")[0].removeprefix("export ") for line in SETUP.script.splitlines() if "$(output" in line]
    assert len(assigned) == 11
    assert all(shell.environment[name] not in {"", "None"} for name in assigned)


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.name)
def test_a_block_runs(shell: Shell, block: Block) -> None:
    program = "dry" if block.name in ONLY_ON_AWS else "local"
    done = shell.run(block.script, PATH=f"{shell.folder}/{program}:{os.defpath}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_every_block_that_is_not_run_exists() -> None:
    assert set(ONLY_ON_AWS) <= {block.name for block in BLOCKS}


@pytest.mark.parametrize("program", ["local", "dry"])
def test_a_parameter_that_does_not_exist_is_noticed(shell: Shell, program: str) -> None:
    path = f"{shell.folder}/{program}:{os.defpath}"
    good = "aws dynamodb get-item --table-name t --key '{}'"
    assert "Unknown options: --kye" in shell.run(f"{good} --kye x", PATH=path).stderr
    assert "Unknown options" not in shell.run(good, PATH=path).stderr
