"""The shell commands of the pages run with doubles, and each call is parsed by the program that it is meant for.

Commands that need the local cloud are in tests/e2e, those of the runbook in tests/e2e/test_runbook.py.
"""

import argparse
import json
import os
import re
import shlex
import subprocess
import tomllib
from collections import defaultdict
from importlib.metadata import metadata
from pathlib import Path
from typing import Any, Final

import pytest
from click.testing import CliRunner

from ops.__main__ import ops
from sandbox import postman
from sandbox.cloud.packages import read_template
from tests.docs import shell
from tests.docs.pages import PROJECT, claim

EXAMPLE: Final = PROJECT / "examples/subscriber"
PROJECTS_OWN: Final = [
    *claim("README.md", languages=("sh",)),
    *claim("CONTRIBUTING.md", sections=("Set up", "Run tests", "Add a field to an order"), languages=("sh",)),
    *claim("docs/development.md"),
    *claim("docs/sam-local.md"),
    *claim("docs/operating.md", languages=("sh",)),
    *claim("docs/settlements.md", sections=("The settlement check",)),
]
OF_THE_EXAMPLE: Final = claim("examples/subscriber/README.md")
PYTEST: Final = ".venv/bin/python"

# Stands in for a stack with a queue and dead letters.
STACK: Final = """case "$2 $*" in
  describe-stacks*DeadLettersUrl*) echo https://sqs.invalid/dead-letters ;;
  describe-stacks*) echo https://sqs.invalid/queue ;;
  get-queue-attributes*) echo "arn:aws:sqs:ap-south-1:111122223333:${4##*/}" ;;
esac"""
# The parsers of the SAM CLI, which reports an option that it does not know.
SAM: Final = """
import importlib, json, sys
import click
for name, *words in json.load(sys.stdin):
    command = importlib.import_module(f"samcli.commands.{name}.command").cli
    command.make_parser(click.Context(command, info_name=name)).parse_args(words)
"""

type Calls = dict[str, list[list[str]]]


@pytest.fixture(scope="module")
def calls(tmp_path_factory: pytest.TempPathFactory) -> Calls:
    """What the project's own pages call: the arguments, by program."""
    folder = tmp_path_factory.mktemp("commands")
    programs: dict[str, str | None] = dict.fromkeys(("make", "sam", PYTEST), "")
    found: defaultdict[str, list[list[str]]] = defaultdict(list)
    for block in PROJECTS_OWN:
        for name, *arguments in shell.run(block.text, folder, programs).calls:
            found[name].append(arguments)
    return found


@pytest.fixture(scope="module")
def example_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("example")


@pytest.fixture(scope="module")
def calls_of_the_example(example_folder: Path) -> Calls:
    """What the example's page calls, in its folder."""
    folder = example_folder
    for path in EXAMPLE.iterdir():
        (folder / path.name).symlink_to(path)
    programs = {"sam": "", "pip": "", "aws": STACK, "python": 'echo "$PYTHONPATH" > paths'}
    found: defaultdict[str, list[list[str]]] = defaultdict(list)
    for block in OF_THE_EXAMPLE:
        ran = shell.run(block.text, folder, programs, TOPIC_ARN="arn:topic", QUEUE_ARN="arn:queue")
        for name, *arguments in ran.calls:
            found[name].append(arguments)
    return found


# --- the project's own pages ------------------------------------------------------------------------------------------


def is_assignment(word: str) -> bool:
    return re.match(r"[A-Z_]+=", word) is not None


def dry(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """Lets make read the Makefile and decide what it would run."""
    return subprocess.run(  # noqa: S603 - the project's own Makefile
        ["make", "--dry-run", "--no-print-directory", *arguments],  # noqa: S607 - as on anybody's PATH
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_make_knows_every_target_and_uses_every_variable(calls: Calls) -> None:
    makefile = (PROJECT / "Makefile").read_text(encoding="utf-8")
    targets = {word for arguments in calls["make"] for word in arguments if not is_assignment(word)}
    done = dry(*sorted(targets))
    assert done.returncode == 0, done.stderr
    for arguments in calls["make"]:
        for name in (word.split("=", 1)[0] for word in arguments if is_assignment(word)):
            assert re.search(rf"\$\({name}\)|\$\(call said,{name}\)|\"\$\${name}\"", makefile), name


def test_a_target_that_make_does_not_know_is_noticed() -> None:
    assert "No rule to make target" in dry("check", "chekc").stderr


def test_the_operators_commands_are_parsed(calls: Calls) -> None:
    given = [arguments[1].removeprefix("ARGS=") for arguments in calls["make"] if arguments[0] == "ops"]
    assert len(given) > 2
    for words in given:
        # Options are parsed before the help is printed.
        done = CliRunner().invoke(ops, [*shlex.split(words), "--help"])
        assert done.exit_code == 0, done.output


def test_pytest_is_given_tests_that_exist(calls: Calls) -> None:
    parser = argparse.ArgumentParser(exit_on_error=False)
    parser.add_argument("paths", nargs="+", type=Path)
    parser.add_argument("-k", default="")
    parser.add_argument("-n", type=int)
    for module, name, *words in calls[PYTEST]:
        assert (module, name) == ("-m", "pytest")
        given = parser.parse_args(words)
        files = [file for path in given.paths for file in (PROJECT / path).rglob("*.py")]
        files += [PROJECT / path for path in given.paths if path.suffix]
        assert all((PROJECT / path).exists() for path in given.paths), words
        names = re.findall(r"^def (test_\w+)", "\n".join(file.read_text() for file in files), re.MULTILINE)
        assert [name for name in names if given.k in name], words


def test_sam_builds_and_deploys_with_settings_that_exist(calls: Calls, calls_of_the_example: Calls) -> None:
    given = [*calls["sam"], *calls_of_the_example["sam"]]
    assert {name for name, *_ in given} == {"build", "deploy"}
    done = subprocess.run(  # noqa: S603 - fixed command
        [PROJECT / ".venvs/sam/bin/python", "-c", SAM],
        input=json.dumps(given),
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    stages = tomllib.loads((PROJECT / "samconfig.toml").read_text(encoding="utf-8"))
    for command, option, stage in calls["sam"]:
        assert option == "--config-env"
        assert command in stages[stage]


# --- the example of a subscriber --------------------------------------------------------------------------------------


def are_all_set(template: Path, overrides: list[str]) -> None:
    """Whether these are parameters of a template, and those without a default are among them."""
    parameters: dict[str, Any] = read_template(template)["Parameters"]
    given = dict(word.split("=", 1) for word in overrides)
    assert given.keys() <= parameters.keys()
    assert {name for name, one in parameters.items() if "Default" not in one} <= given.keys()
    for name, value in given.items():
        assert value in parameters[name].get("AllowedValues", [value]), name
        assert re.search(parameters[name].get("AllowedPattern", ""), value) or value.startswith("arn:"), name


def test_the_example_deploys_with_parameters_that_its_template_has(calls_of_the_example: Calls) -> None:
    deployed = [words for name, *words in calls_of_the_example["sam"] if name == "deploy"]
    assert len(deployed) == 2
    for option, *overrides in deployed:
        assert option == "--parameter-overrides"
        are_all_set(EXAMPLE / "template.yaml", overrides)


def test_the_rule_for_another_account_is_deployed_by_a_command_that_the_cli_takes(calls_of_the_example: Calls) -> None:
    (words,) = [words for words in calls_of_the_example["aws"] if words[:2] == ["cloudformation", "deploy"]]
    are_all_set(EXAMPLE / "forwarding.yaml", words[words.index("--parameter-overrides") + 1 :])
    # Nothing listens there: the CLI has taken its arguments and read the template when it finds out.
    done = subprocess.run(  # noqa: S603 - the project's own document
        [PROJECT / ".venvs/aws/bin/aws", *words, "--endpoint-url", "http://127.0.0.1:9", "--region", "ap-south-1"],
        cwd=EXAMPLE,
        env={
            "PATH": os.environ["PATH"],
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_MAX_ATTEMPTS": "1",
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert "Could not connect to the endpoint URL" in done.stderr


def test_dead_letters_are_moved_back_to_the_queue(calls_of_the_example: Calls) -> None:
    asked = [words for words in calls_of_the_example["aws"] if words[:2] != ["cloudformation", "deploy"]]
    for words in asked[:-1]:
        shell.parameters(words)
    assert asked[-1][:2] == ["sqs", "start-message-move-task"]
    arn = "arn:aws:sqs:ap-south-1:111122223333:"
    assert shell.parameters(asked[-1]) == {
        "SourceArn": f"{arn}dead-letters",
        "DestinationArn": f"{arn}queue",
        "MaxNumberOfMessagesPerSecond": 10,
    }


def test_the_examples_tests_run_with_its_packages_on_the_paths_of_this_project(
    example_folder: Path, calls_of_the_example: Calls
) -> None:
    ((install, option, file, *packages),) = calls_of_the_example["pip"]
    assert (install, option, (EXAMPLE / file).is_file()) == ("install", "-r", True)
    for package in packages:
        name, _, extras = package.rstrip("]").partition("[")
        assert {*filter(None, extras.split(","))} <= {*(metadata(name).get_all("Provides-Extra") or [])}
    # `make test` runs the same tests with the same paths.
    assert calls_of_the_example["python"] == [["-m", "pytest", "tests"]]
    settings = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["pytest"]["ini_options"]
    assert "examples/subscriber/tests" in settings["testpaths"]
    paths = (example_folder / "paths").read_text(encoding="utf-8").strip().split(":")
    assert {f"examples/subscriber/{path}" for path in paths} <= {*settings["pythonpath"]}


# --- docs/aws.md ------------------------------------------------------------------------------------------------------


def test_an_account_is_prepared_by_calls_that_aws_knows(tmp_path: Path) -> None:
    (prepare,) = claim("docs/aws.md")
    quota, table = shell.run(prepare.text, tmp_path, {"aws": ""}, TABLE="payments-staging").calls
    assert shell.parameters(quota[1:])["DesiredValue"] == 1000
    assert shell.parameters(table[1:]) == {"TableName": "payments-staging", "DeletionProtectionEnabled": False}


# --- docs/events/README.md --------------------------------------------------------------------------------------------


def test_the_schema_goes_to_a_registry_by_a_call_that_aws_knows(tmp_path: Path) -> None:
    (upload,) = claim("docs/events/README.md", sections=("Three variants",))
    (call,) = shell.run(upload.text, tmp_path, {"aws": ""}).calls
    asked = shell.parameters(call[1:])
    assert asked["Type"] == "JSONSchemaDraft4"
    schema = json.loads((PROJECT / asked["Content"].removeprefix("file://")).read_text(encoding="utf-8"))
    assert schema["$schema"] == "http://json-schema.org/draft-04/schema#"


# --- docs/postman/README.md -------------------------------------------------------------------------------------------


def test_the_collection_is_run_with_the_environment_that_make_writes(tmp_path: Path) -> None:
    calls = [
        call
        for block in claim("docs/postman/README.md", sections=("On your machine",))
        for call in shell.run(block.text, tmp_path, {"make": "", "npx": ""}).calls
    ]
    *targets, (_, newman, run, collection, option, environment) = calls
    assert dry(*(target for _, target in targets)).returncode == 0
    assert (newman, run, option) == ("newman", "run", "-e")
    assert (PROJECT / collection).is_file()
    assert environment == f".run/{postman.NAME}"


# --- releases ---------------------------------------------------------------------------------------------------------


def test_a_release_keeps_its_contracts(tmp_path: Path) -> None:
    keep, _ = claim("CONTRIBUTING.md", sections=("Release",))
    (tmp_path / "docs").mkdir()
    for name in ("openapi.yaml", "events"):
        (tmp_path / "docs" / name).symlink_to(PROJECT / "docs" / name)
    shell.run(keep.text, tmp_path, {"mkdir": None, "cp": None})
    kept, baseline = tmp_path / "docs/contracts/1.0.0", PROJECT / "docs/contracts/1.0.0"
    names = {str(file.relative_to(kept)) for file in kept.rglob("*") if file.is_file()}
    assert names >= {str(file.relative_to(baseline)) for file in baseline.rglob("*") if file.is_file()}


def test_a_release_is_a_tag_on_the_remote(tmp_path: Path) -> None:
    _, release = claim("CONTRIBUTING.md", sections=("Release",))
    begun = """
        git init --quiet --bare remote
        git clone --quiet remote checkout 2>&1
        cd checkout
        git -c user.name=a -c user.email=a@example.com commit --quiet --allow-empty --message released
    """
    seen = "git ls-remote --tags origin"
    ran = shell.run(f"{begun}\n{release.text}\n{seen}", tmp_path, {"git": None}, GIT_CONFIG_GLOBAL=os.devnull)
    assert ran.output.split()[-1] == "refs/tags/v1.0.0"
