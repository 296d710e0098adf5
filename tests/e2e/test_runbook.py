"""Every shell block in docs/runbook.md and docs/deploying.md, run on the local cloud like the runbook's rehearsal.

Blocks that the local cloud cannot run are in one of the two tables below, with the reason. Those that call AWS go to
the AWS CLI, which checks service, operation and parameters against AWS's models but sends nothing. Those that build and
deploy get stand-ins for `make` and `sam`, which record their arguments.
"""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from sandbox import development
from sandbox.cloud.processes import ServerProcess
from sandbox.cloud.service import LocalService
from tests.docs.pages import claim
from tests.e2e import warm_aws
from tests.e2e.platform_client import Platform
from tests.runbook.book import PROJECT, Block

AWS = PROJECT / ".venvs/aws/bin"
CLAIMED = [*claim("docs/runbook.md"), *claim("docs/deploying.md", languages=("sh",))]
HELPERS, VARIABLES = (block for block in CLAIMED if block.section == "Before you begin")
(REHEARSE,) = (block for block in CLAIMED if block.section == "Rehearse on your machine")
BLOCKS = [block for block in CLAIMED if block not in (HELPERS, VARIABLES, REHEARSE)]
# Blocks that need what the emulator lacks or does differently.
ONLY_ON_AWS = {
    "reviews-waiting 2": "needs the receipt handle of a message that waits",
    "dead-letters 4": "the emulator has no StartMessageMoveTask",
    "Quotas 2": "nobody grants a quota here",
}
# Blocks that build, deploy or change an older stage; tests with stand-ins run them, most in a separate repository.
WITH_STAND_INS = {
    "Roll back to the previous version 1": "needs a repository with tags, and a remote",
    "Roll back to the previous version 2": "builds and deploys another commit",
    "Deploy 1": "builds and deploys to an account",
    "Update a stage of 1.0.0 1": "changes the template and deploys it; tests/runbook/test_new_indexes.py runs it",
    "Update a stage of 1.0.0 3": "the stage has this index already; tests/runbook/test_new_indexes.py runs it",
    "Update a stage of 1.0.0 4": "needs the block before it; tests/runbook/test_new_indexes.py runs both",
    "Try it out 2": "the stack's ApiUrl is AWS's; tests/smoke runs the program itself",
}
# The answers to `fill` and to the prompt for a token.
KEY = f"{development.RAZORPAY_KEY_ID}\n{development.RAZORPAY_KEY_SECRET}\n"
ANSWERS = {
    "The webhook secret 2": development.RAZORPAY_WEBHOOK_SECRET + "\n",
    "The webhook secret 3": f"{development.RAZORPAY_WEBHOOK_SECRET}\n{development.RAZORPAY_WEBHOOK_SECRET_PREVIOUS}\n",
    "The API keys 1": KEY,
    "The key of the callers' tokens 1": development.JWT_SECRET + "\n",
    "The key of the callers' tokens 2": "@public.pem\n",
    "The key of quotes 1": development.QUOTE_SECRET + "\n",
    "The key of quotes 2": "@public.pem\n",
    "Secrets 1": KEY,
    "Secrets 2": development.RAZORPAY_WEBHOOK_SECRET + "\n",
    "Secrets 3": development.JWT_SECRET + "\n",
    "Try it out 1": development.token(301) + "\n",
}
# The rehearsal's order is paid as agreed, so there is nothing to release.
REFUSED = {"Reviews 2": "Refused: The payment is unknown", "Reviews 3": "Refused: Money is held"}
# These ask before they do anything.
CONFIRMED = {"Reviews 1", "Reviews 2", "Reviews 3", "Reviews 4", "Replaying events 1"}
# The rehearsal's function of this name, for blocks that each run in a new shell.
LOCAL = """#!/bin/sh
exec "$(dirname "$0")/../.venvs/aws/bin/aws" --endpoint-url "$AWS_ENDPOINT_URL" "$@"
"""
# With this the CLI checks its arguments and sends nothing.
DRY = """#!/bin/sh
case "$2" in wait) exit 0 ;; esac
exec "$(dirname "$0")/../.venvs/aws/bin/aws" "$@" --generate-cli-skeleton output
"""
# `make ops` of this checkout, on the service under test. The Makefile would make a cache in the shell's home directory.
OPS = f"""#!/bin/sh
export HOME={PROJECT / ".build"} OPS_RUN_DIR="$(dirname "$0")/../.run"
exec {shutil.which("make")} --no-print-directory -C {PROJECT} "$@"
"""
STAND_IN = """#!/bin/sh
echo "$(basename "$0") $*" >> "$CALLS"
"""


@dataclass(frozen=True)
class Shell:
    """A shell set up as the runbook says, on a local cloud."""

    folder: Path
    environment: dict[str, str]

    def run(
        self, script: str, *, answers: str = "", folder: Path | None = None, **more: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(  # noqa: S603 - the project's own document
            ["/bin/sh", "-eu", "-c", script],
            cwd=folder or self.folder,
            env=self.environment | more,
            input=answers,
            capture_output=True,
            text=True,
            check=False,
            timeout=100,
            start_new_session=True,  # without a terminal, Python's getpass reads the answers
        )

    def programs(self, *names: str) -> str:
        """A PATH with these folders of programs before the system's."""
        return ":".join([*(str(self.folder / name) for name in names), os.defpath])


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalService]:
    """A separate service, because the runbook stops functions, replaces secrets and finally deletes everything."""
    with LocalService.start(tmp_path_factory.mktemp("runbook")) as service:
        yield service


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The home directory of the shell, with the AWS CLI already started."""
    folder = tmp_path_factory.mktemp("shell")
    cli = ServerProcess.start(
        "the AWS CLI",
        [str(AWS / "python"), str(Path(warm_aws.__file__)), str(folder)],
        env={"HOME": str(folder), "LANG": "C.UTF-8"},
        cwd=folder,
        log=folder / "aws.log",
    )
    try:
        cli.wait_until((folder / warm_aws.SOCKET).exists, seconds=30)
        yield folder
    finally:
        cli.stop()


@pytest.fixture(scope="module")
def shell(service: LocalService, folder: Path) -> Shell:
    """The state after "Rehearse on your machine" and "Before you begin", with a paid order."""
    platform = Platform(service)
    order_id = platform.create_order().json()["order_id"]
    payment = platform.pay(order_id).json()["razorpay_payment_id"]
    platform.wait_for_payment(order_id, status="paid", confirmed=True)

    for name, program, script in (
        (".venvs/aws/bin", "aws", warm_aws.client(folder)),
        ("local", "aws", LOCAL),
        ("local", "make", OPS),
        ("dry", "aws", DRY),
        ("stand-ins", "make", STAND_IN),
        ("stand-ins", "sam", STAND_IN),
    ):
        file = folder / name / program
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(script)
        file.chmod(0o755)
    # The files of a checkout that the blocks read.
    (folder / ".run").symlink_to(service.endpoints["run_dir"])
    (folder / "docs").symlink_to(PROJECT / "docs")
    (folder / "public.pem").write_text("-----BEGIN PUBLIC KEY-----\nMFkw\n-----END PUBLIC KEY-----\n")
    bare = {"PATH": os.defpath, "HOME": str(folder), "TMPDIR": str(folder), "LANG": "C.UTF-8", "AWS_MAX_ATTEMPTS": "1"}
    begun = f"{REHEARSE.text}\n{HELPERS.text}\n{VARIABLES.text}\nenv -0"
    # The user's own settings must not redirect it.
    done = Shell(folder, bare).run(begun, AWS_PROFILE="production", AWS_REGION="us-east-1", AWS_SESSION_TOKEN="x")
    assert done.returncode == 0, done.stderr
    assert "Stage local in account 000000000000, region ap-south-1." in done.stdout
    said, *variables = done.stdout.split("Logs from an hour ago.\n", 1)[1].split("\0")
    exported = dict(line.split("=", 1) for line in (said, *variables) if "=" in line)
    of_the_operator = {
        "FUNCTION": "webhook",
        "ORDER": order_id,
        "PAYMENT": payment,
        "RECEIPT": "a-receipt-handle",
        "CAUSE": "agreed_with_client",
        "TICKET": "OPS-123",
        "RESTORED": "payments-restored",
        "GOOD": str(_now() - 600),
        "FROM": str(_now() - 86_400),
        "TO": str(_now()),
        "INSTALLATION": _installation(service),
        "REPLAY": "rehearsed",
        "DELETE": "payments-local",
        "FORGET": exported["TABLE"],
        "REPOSITORY": "repo:octocat@123456/payments@456789",
    }
    return Shell(folder, exported | of_the_operator)


def test_before_anything_else_every_variable_gets_a_value(shell: Shell) -> None:
    assigned = [
        line.split("=")[0].removeprefix("export ") for line in VARIABLES.text.splitlines() if "$(output" in line
    ]
    assert len(assigned) == 13
    assert all(shell.environment[name] not in {"", "None"} for name in assigned)
    assert "AWS_PROFILE" not in shell.environment


def test_without_make_run_nothing_is_sent_anywhere(shell: Shell, tmp_path: Path) -> None:
    script = REHEARSE.text.replace("export AWS_ENDPOINT_URL", "set +e; export AWS_ENDPOINT_URL")
    done = shell.run(script + "\naws sts get-caller-identity", folder=tmp_path, AWS_ENDPOINT_URL="")
    assert done.returncode != 0
    assert "start make run" in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("name", ["STAGE", "RECONCILE", "ORDER"])
def test_a_command_without_one_of_its_variables_sends_nothing(shell: Shell, name: str) -> None:
    (look,) = (block for block in BLOCKS if block.section == "How to look at one order now")
    script = f"unset {name}; " + (VARIABLES.text if name == "STAGE" else look.text)
    done = shell.run(HELPERS.text + script, PATH=shell.programs("stand-ins", "local"))
    assert done.returncode != 0
    assert name in done.stderr
    assert done.stdout == ""


def test_a_run_that_fails_is_shown_and_fails(shell: Shell) -> None:
    done = shell.run(HELPERS.text + 'invoke "$RECONCILE" \'{"no": "lane"}\'', PATH=shell.programs("local"))
    assert done.returncode == 1
    assert "MeaninglessInput" in done.stdout


# --- what builds and deploys, with stand-ins --------------------------------------------------------------------------


def named(name: str) -> str:
    (block,) = (block for block in BLOCKS if block.name == name)
    return HELPERS.text + block.text


@pytest.fixture
def checkout(shell: Shell, tmp_path: Path) -> tuple[Path, dict[str, str]]:
    """A repository with two deployed commits and a remote, and the environment its programs need."""
    git = shutil.which("git")
    assert git is not None
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/git").symlink_to(git)
    environment = {
        "PATH": f"{tmp_path / 'bin'}:{shell.programs('stand-ins', 'local')}",
        "CALLS": str(tmp_path / "calls"),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_AUTHOR_NAME": "a",
        "GIT_AUTHOR_EMAIL": "a@example.com",
        "GIT_COMMITTER_NAME": "a",
        "GIT_COMMITTER_EMAIL": "a@example.com",
    }
    made = shell.run(
        """
        git init --quiet --bare remote
        git clone --quiet remote checkout 2>&1
        cd checkout
        git commit --quiet --allow-empty --message first
        GIT_COMMITTER_DATE=2026-03-01T00:00:00Z git tag deployed/local/20260301T000000Z
        git commit --quiet --allow-empty --message second
        git tag deployed/local/20260302T000000Z
        git tag deployed/production/20260303T000000Z
        git push --quiet --tags
        """,
        folder=tmp_path,
        **environment,
    )
    assert made.returncode == 0, made.stderr
    return tmp_path / "checkout", environment


def test_the_deployed_commits_of_the_stage_are_listed(shell: Shell, checkout: tuple[Path, dict[str, str]]) -> None:
    folder, environment = checkout
    done = shell.run(named("Roll back to the previous version 1"), folder=folder, **environment)
    assert done.returncode == 0, done.stderr
    assert {line.split()[0] for line in done.stdout.splitlines()} == {
        "deployed/local/20260301T000000Z",
        "deployed/local/20260302T000000Z",
    }


def test_going_back_builds_and_deploys_the_commit_in_a_folder_of_its_own(
    shell: Shell, checkout: tuple[Path, dict[str, str]]
) -> None:
    folder, environment = checkout
    commit = shell.run("git rev-parse --short HEAD~1", folder=folder, **environment).stdout.strip()
    (folder / "unfinished").write_text("not in any commit")
    done = shell.run(named("Roll back to the previous version 2"), folder=folder, COMMIT=commit, **environment)
    assert done.returncode == 0, done.stderr
    assert (folder.parent / "calls").read_text().splitlines() == [
        "make install",
        "sam build --config-env local",
        "sam deploy --config-env local",
    ]
    older = folder.parent / f"payments-back-to-{commit}"
    assert not (older / "unfinished").exists()
    head = shell.run("git log -1 --format=%s", folder=older, **environment)
    assert head.stdout == "first\n"


def test_a_deployment_is_of_a_commit_and_leaves_a_tag(shell: Shell, checkout: tuple[Path, dict[str, str]]) -> None:
    folder, environment = checkout
    done = shell.run(named("Deploy 1"), folder=folder, **environment)
    assert done.returncode == 0, done.stderr
    assert (folder.parent / "calls").read_text().splitlines()[1:] == [
        "sam build --config-env local",
        "sam deploy --config-env local",
    ]
    tags = shell.run("git tag --points-at HEAD --list 'deployed/local/*'", folder=folder, **environment).stdout
    assert len(tags.split()) == 2


def test_what_is_in_no_commit_is_not_deployed(shell: Shell, checkout: tuple[Path, dict[str, str]]) -> None:
    folder, environment = checkout
    (folder / "unfinished").write_text("not in any commit")
    done = shell.run(named("Deploy 1"), folder=folder, **environment)
    assert done.returncode != 0
    assert "Commit first" in done.stdout
    assert not (folder.parent / "calls").exists()


def test_trying_out_hands_the_token_over_in_a_file(shell: Shell, tmp_path: Path) -> None:
    calls = tmp_path / "calls"
    done = shell.run(named("Try it out 2"), CALLS=str(calls), PATH=shell.programs("stand-ins", "local"))
    assert done.returncode == 0, done.stderr
    (call,) = calls.read_text().splitlines()
    assert call.startswith("make smoke API=https://")


# --- everything else, in the order of the pages: the teardown is last -------------------------------------------------


RUN = [block for block in BLOCKS if block.name not in WITH_STAND_INS]


@pytest.mark.parametrize("block", RUN, ids=lambda block: block.name)
def test_a_block_runs(shell: Shell, block: Block) -> None:
    before = {file.name for file in shell.folder.iterdir()}
    program = "dry" if block.name in ONLY_ON_AWS else "local"
    answers = "y\n" if block.name in CONFIRMED else ANSWERS.get(block.name, "")
    done = shell.run(HELPERS.text + block.text, answers=answers, PATH=shell.programs(program))
    if block.name in REFUSED:
        assert done.returncode != 0
        assert REFUSED[block.name] in done.stdout + done.stderr
    else:
        assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    for answer in ANSWERS.get(block.name, "").splitlines():
        assert answer not in done.stdout + done.stderr
    # The only file left over is the one with the token, which is private.
    left = {file.name for file in shell.folder.iterdir()} - before
    assert left == ({".smoke-token"} if block.name == "Try it out 1" else set())
    if left:
        assert (shell.folder / ".smoke-token").stat().st_mode & 0o077 == 0


def test_every_block_of_the_tables_exists() -> None:
    names = {block.name for block in BLOCKS}
    assert len(names) == len(BLOCKS), "two blocks have one name, and the tables cannot tell them apart"
    for table in (ONLY_ON_AWS, WITH_STAND_INS, ANSWERS, REFUSED, CONFIRMED):
        assert set(table) <= names


def test_the_cli_that_is_forked_is_the_one_that_is_installed(shell: Shell) -> None:
    forked = shell.run("aws --version", PATH=shell.programs("local"))
    installed = shell.run(f"{AWS / 'aws'} --version")
    assert forked.returncode == installed.returncode == 0
    assert forked.stdout == installed.stdout != ""


@pytest.mark.parametrize("program", ["local", "dry"])
def test_a_parameter_that_does_not_exist_is_noticed(shell: Shell, program: str) -> None:
    path = shell.programs(program)
    good = "aws dynamodb get-item --table-name t --key '{}'"
    assert "Unknown options: --kye" in shell.run(f"{good} --kye x", PATH=path).stderr
    assert "Unknown options" not in shell.run(good, PATH=path).stderr


def _now() -> int:

    return int(time.time())


def _installation(service: LocalService) -> str:
    item = service.cloud.client("dynamodb").get_item(
        TableName=service.endpoints["table"], Key={"pk": {"S": "counter#payment_id"}}
    )["Item"]
    return item["installation"]["S"]
