"""No command of docs/runbook.md or docs/deploying.md does harm if it is pasted carelessly.

This file checks the text; tests/e2e/test_runbook.py runs it.
"""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from payments.core import webhooks
from sandbox.cloud.packages import read_template
from tests.runbook.book import DEPLOYING, PROJECT, RUNBOOK, Block, Section, blocks, sections

HELPERS, VARIABLES = (block for block in blocks(RUNBOOK) if block.section == "Before you begin")
# The first two are pasted first, in full, and define what all others use; the third replaces them.
FIRST = {HELPERS.name, VARIABLES.name, "Rehearse on your machine 1"}
ALL = [(page, block) for page in (RUNBOOK, DEPLOYING) for block in blocks(page)]
LATER = [(page, block) for page, block in ALL if block.name not in FIRST]
SHELLS = {"PWD", "PATH", "LATEST"}
# Harmless defaults for unset variables: a search up to now, and the region of all stages.
DEFAULTS = {"TO": "$(date +%s)", "AWS_DEFAULT_REGION": "ap-south-1"}
EXPORTED = set(re.findall(r"^export ([A-Z_]+)=", VARIABLES.text, re.MULTILINE)) | {"STAGE"}

each_block = pytest.mark.parametrize(
    ("page", "block"), LATER, ids=[f"{page.stem}: {block.name}" for page, block in LATER]
)


def own(script: str) -> set[str]:
    """The variables that a block sets itself."""
    return set(re.findall(r"(?:^|[\s(;])(?:export )?([A-Za-z_]\w*)=", script)) | set(
        re.findall(r"\bfor (\w+) in", script)
    )


def used(script: str) -> list[tuple[str, str]]:
    """Each use of a variable: its name and its suffix, such as `:?`."""
    return re.findall(r"(?<!\\)\$\{?([A-Za-z_]\w*)((?::?[?=+-])?)", script)


def stops(script: str) -> set[str]:
    """The variables without which a block stops before using them."""
    return {name for name, behind in used(script) if behind == ":?"}


def section_of(page: Path, block: Block) -> Section:
    return next(section for section in sections(page) if section.title == block.section)


@each_block
def test_a_variable_that_is_not_set_stops_the_command(page: Path, block: Block) -> None:
    for name, behind in used(block.text):
        if name in SHELLS | own(block.text):
            continue
        if behind == ":-":
            assert f"${{{name}:-{DEFAULTS[name]}}}" in block.text, name
        elif name in stops(block.text) and block.text.startswith("("):
            # In a subshell that stops at the first error, checking the first use is enough.
            first = next(found for found in used(block.text) if found[0] == name)
            assert first == (name, ":?"), name
        else:
            assert behind == ":?", name
    assert page  # whichever


@each_block
def test_what_a_block_needs_is_set_before_you_begin_or_said_to_be_set_in_its_section(page: Path, block: Block) -> None:
    text = section_of(page, block).text
    for name in stops(block.text) - EXPORTED - own(block.text):
        assert re.search(rf"[Ss]et (?:`\w+` [^.]*)?`{name}`|export {name}=", text), name


@each_block
def test_several_steps_that_belong_together_end_at_the_first_that_fails(page: Path, block: Block) -> None:
    lines = block.text.splitlines()
    steps = [line for line in lines if re.match(r"(?:cd |export |rm |git |make |sam |printf .*>|echo .*>)|\w+=", line)]
    # An unindented line is a separate step; steps that depend on each other must be in one subshell.
    assert not steps or block.text.startswith("(\n  set -eu\n") or len(lines) == 1
    if block.text.startswith("("):
        assert re.match(r"\(\n  (set -eu|umask 077)\n", block.text)
    assert page


@each_block
def test_no_placeholder_is_in_a_command(page: Path, block: Block) -> None:
    assert not re.search(r"<[a-z][^>]*>|…|\.\.\.|\b(?:XXX|TODO|CHANGEME|changeme)\b", block.text)
    assert not re.search(r"\b(?:order|pay)_[A-Za-z0-9]{10,}|rzp_(?:live|test)_", block.text)
    assert page


@each_block
def test_nothing_is_left_in_a_file_that_others_can_read(page: Path, block: Block) -> None:
    written = re.findall(r"(?<![0-9&])>\s*(?!&)(\S+)", re.sub(r"'[^']*'", "''", block.text))
    assert not written or "umask 077" in block.text, written
    assert not re.search(r"aws lambda invoke", block.text), "`invoke` of the first section keeps its files to itself"
    assert page


@pytest.mark.parametrize(("page", "block"), ALL, ids=[f"{page.stem}: {block.name}" for page, block in ALL])
def test_a_block_can_be_pasted_into_zsh_as_well(page: Path, block: Block) -> None:
    # An interactive zsh, as on macOS, takes `#` for a command.
    assert not re.search(r"^\s*#|\s#\s", block.text, re.MULTILINE)
    done = subprocess.run(["/bin/sh", "-n", "-c", block.text], capture_output=True, text=True, check=False)  # noqa: S603 - the project's own document
    assert (done.returncode, done.stderr) == (0, "")
    assert page


def test_a_live_secret_is_written_by_fill_alone() -> None:
    for page in [PROJECT / "README.md", *(PROJECT / "docs").glob("*.md")]:
        text = page.read_text(encoding="utf-8")
        if page == RUNBOOK:
            text = text.replace(HELPERS.text, "")
        for command in ("put-secret-value", "update-secret", "create-secret", "--secret-string", "--secret-binary"):
            assert command not in text, (page.name, command)
    assert HELPERS.text.count("put-secret-value") == 1


def test_no_alias_is_moved_by_hand() -> None:
    for page in [PROJECT / "README.md", RUNBOOK, DEPLOYING]:
        assert "aws lambda update-alias" not in page.read_text(encoding="utf-8")


def test_every_variable_of_the_first_section_stops_what_needs_it_when_it_is_empty() -> None:
    assert "${STAGE:?" in VARIABLES.text
    assert not re.search(r"\$\{?STAGE(?!:\?)", VARIABLES.text)
    assert len(EXPORTED) > 12
    for name in EXPORTED - {"STAGE", "AWS_DEFAULT_REGION"}:
        assert any(name in stops(block.text) for _, block in ALL), f"{name} is of no use"


# --- fill -------------------------------------------------------------------------------------------------------------

# Replaces the AWS CLI: records its input, and who else could have read it.
AWS = """#!/bin/sh
for argument; do
  case "$argument" in
    file://*)
      file="${argument#file://}"
      cat "$file"
      ls -l "$file" >&2
      ls -ld "$(dirname "$file")" >&2 ;;
  esac
done > "$HOME/put"
"""


@pytest.fixture
def fill(tmp_path: Path) -> "Fill":
    return Fill(tmp_path)


class Fill:
    """Runs the helper `fill` with typed answers."""

    def __init__(self, home: Path) -> None:
        self.home = home
        program = home / "bin/aws"
        program.parent.mkdir()
        program.write_text(AWS)
        program.chmod(0o755)

    def __call__(self, *names: str, answers: list[str], stage: str = "staging") -> "subprocess.CompletedProcess[str]":
        return subprocess.run(  # noqa: S603 - the project's own document
            ["/bin/sh", "-eu", "-c", HELPERS.text + 'fill arn "$@"', "sh", *names],
            cwd=self.home,
            env={
                "PATH": f"{self.home}/bin:{os.defpath}",
                "HOME": str(self.home),
                "TMPDIR": str(self.home),
                "STAGE": stage,
                "LANG": "C.UTF-8",
            },
            input="".join(answer + "\n" for answer in answers),
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            start_new_session=True,  # without a terminal, Python's getpass reads this input
        )

    @property
    def put(self) -> object:
        """What was written to the secret; None if nothing was."""
        file = self.home / "put"
        return json.loads(file.read_text()) if file.exists() else None


SECRET = "c41f9a0be1d24c3d95f7a1c41f9a0be1"


def test_fill_puts_in_what_it_was_told_and_shows_and_leaves_none_of_it(fill: Fill) -> None:
    done = fill("RAZORPAY_KEY_ID", "RAZORPAY_KEY_SECRET", answers=["rzp_test_LocalSandbox01", SECRET])
    assert done.returncode == 0, done.stderr
    assert fill.put == {"RAZORPAY_KEY_ID": "rzp_test_LocalSandbox01", "RAZORPAY_KEY_SECRET": SECRET}
    assert SECRET not in done.stdout + done.stderr
    modes = re.findall(r"^([d-][rwx-]{9})", done.stderr, re.MULTILINE)
    assert modes == ["-rw-------", "drwx------"]
    assert {path.name for path in fill.home.iterdir()} == {"bin", "put"}


def test_fill_reads_a_public_key_from_its_file(fill: Fill) -> None:
    key = "-----BEGIN PUBLIC KEY-----\nMFkw\n-----END PUBLIC KEY-----"
    (fill.home / "public.pem").write_text(key + "\n")
    for name in ("JWT_PUBLIC_KEY", "QUOTE_PUBLIC_KEY"):
        done = fill(name, answers=["@public.pem"])
        assert done.returncode == 0, done.stderr
        assert fill.put == {name: key}


@pytest.mark.parametrize(
    ("name", "answer", "stage"),
    [
        ("RAZORPAY_WEBHOOK_SECRET", "", "staging"),
        ("RAZORPAY_WEBHOOK_SECRET", "x", "staging"),
        ("RAZORPAY_WEBHOOK_SECRET", "<the webhook's secret>", "staging"),
        ("RAZORPAY_WEBHOOK_SECRET", "paste-the-secret…", "staging"),
        ("RAZORPAY_WEBHOOK_SECRET", "paste-the-secret-...", "staging"),
        ("RAZORPAY_WEBHOOK_SECRET", "two words, pasted along", "staging"),
        ("RAZORPAY_KEY_ID", "rzp_live_x", "production"),
        ("RAZORPAY_KEY_ID", "rzp_test_LocalSandbox01", "production"),
        ("RAZORPAY_KEY_ID", "a-key-id-of-somebody-else", "staging"),
        ("RAZORPAY_KEY_SECRET", "${KEY_SECRET}"[:11], "staging"),
        ("JWT_SECRET", "thirty-one-bytes-are-too-few-01", "staging"),
        ("QUOTE_SECRET", "thirty-one-bytes-are-too-few-01", "staging"),
        ("QUOTE_PUBLIC_KEY", "-----BEGIN PRIVATE KEY-----", "staging"),
        ("JWT_PUBLIC_KEY", "-----BEGIN PRIVATE KEY-----", "staging"),
        ("JWT_PUBLIC_KEY", "@none.pem", "staging"),
    ],
)
def test_fill_refuses_what_cannot_be_the_value(fill: Fill, name: str, answer: str, stage: str) -> None:
    done = fill(name, answers=[answer], stage=stage)
    assert done.returncode != 0
    assert "Nothing was changed" in done.stderr
    assert "Traceback" not in done.stderr
    assert fill.put is None


def test_fill_puts_nothing_in_when_one_of_two_is_wrong(fill: Fill) -> None:
    done = fill("RAZORPAY_KEY_ID", "RAZORPAY_KEY_SECRET", answers=["rzp_test_LocalSandbox01", ""])
    assert done.returncode != 0
    assert fill.put is None


def test_fill_without_a_stage_or_a_secret_does_nothing(fill: Fill) -> None:
    done = fill("RAZORPAY_WEBHOOK_SECRET", answers=[SECRET], stage="")
    assert done.returncode != 0
    assert fill.put is None


# --- docs/deploying.md ------------------------------------------------------------------------------------------------


def test_the_page_on_deploying_goes_from_the_start_to_the_teardown() -> None:
    titles = [section.title for section in sections(DEPLOYING)]
    assert titles[0] == "Deploying to AWS"
    for title in ("What you need", "Parameters", "Quotas", "Secrets", "Razorpay's dashboard", "Roll back", "Tear down"):
        assert title in titles
    assert titles.index("Deploy") < titles.index("Secrets") < titles.index("Try it out") < titles.index("Tear down")


def test_every_parameter_that_the_page_has_in_a_table_is_one_of_the_template() -> None:
    (section,) = (section for section in sections(DEPLOYING) if section.title == "Parameters")
    rows = re.findall(r"^\| (`[^|]+) \|", section.text, re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert len(named) > 20
    assert named <= read_template(PROJECT / "template.yaml")["Parameters"].keys()


def test_the_page_names_the_thirteen_events_that_the_webhook_acts_on() -> None:
    (section,) = (section for section in sections(DEPLOYING) if section.title == "Razorpay's dashboard")
    named = re.findall(r"`((?:payment|order|refund)\.[\w.]+)`", section.text)
    assert len(named) == 13
    # Its own names for them.
    states = webhooks._REFUND_STATES.keys() | webhooks._DISPUTE_STATES.keys()  # noqa: SLF001
    assert set(named) == webhooks._PAYMENT_EVENTS | states  # noqa: SLF001


# Replaces the AWS CLI: a function with six published versions, whose alias sends calls to the second and third. Records
# what is deleted.
VERSIONS = """#!/bin/sh
case "$2" in
  list-aliases) printf '2\\t3\\n' ;;
  list-versions-by-function) printf '$LATEST\\t1\\t2\\t3\\t8\\t9\\t10\\n' ;;
  delete-function) echo "$4 $6" >> "$HOME/deleted" ;;
esac
"""


def test_old_versions_are_deleted_but_the_newest_three_and_those_that_an_alias_uses(tmp_path: Path) -> None:
    (block,) = (block for block in blocks(DEPLOYING) if block.section == "Delete old versions")
    program = tmp_path / "bin/aws"
    program.parent.mkdir()
    program.write_text(VERSIONS)
    program.chmod(0o755)
    done = subprocess.run(  # noqa: S603 - the project's own document
        ["/bin/sh", "-c", block.text],
        env={"PATH": f"{program.parent}:{os.defpath}", "HOME": str(tmp_path), "STAGE": "staging"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    # 8, 9 and 10 are the newest three, by number and not by text; $LATEST is not a version.
    assert (tmp_path / "deleted").read_text().splitlines() == [
        f"payments-staging-{name} 1" for name in ("create-order", "verify", "webhook", "outbox", "reconcile")
    ]
