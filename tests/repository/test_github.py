"""The files in .github: `make github` finds errors in them, and they do what the documentation says."""

import json
import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.runbook.book import DEPLOYING, blocks

PROJECT = Path(__file__).parents[2]
GITHUB = PROJECT / ".github"
# Nothing listens there, so a tool that used the network would fail.
NO_NETWORK = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), "http://127.0.0.1:9")


def workflow(name: str) -> dict[Any, Any]:
    found: dict[Any, Any] = yaml.safe_load((GITHUB / f"workflows/{name}.yml").read_text(encoding="utf-8"))
    return found


TEST, DEPLOY = workflow("test"), workflow("deploy")


def steps(job: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """A job's steps by name, or by action where they have none."""
    return {step.get("name") or step.get("uses", "").partition("@")[0] or step["run"]: step for step in job["steps"]}


# --- make github ------------------------------------------------------------------------------------------------------


def check(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - our own target
        ["make", "--no-print-directory", "github", f"GITHUB={folder}"],  # noqa: S607 - the make that runs these tests
        cwd=PROJECT,
        env={"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/nonexistent"), **NO_NETWORK},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )


def test_the_files_are_accepted_without_a_network() -> None:
    done = check(GITHUB)
    assert done.returncode == 0, done.stdout + done.stderr


BROKEN = {
    "an action by a tag that can be moved": (
        "workflows/test.yml",
        r"(actions/checkout)@\w+ # \S+",
        r"\1@v7",
        "unpinned-uses",
    ),
    "credentials left in the checkout": (
        "workflows/test.yml",
        "persist-credentials: false",
        "clean: true",
        "artipacked",
    ),
    "rights for everything": ("workflows/test.yml", r"permissions: \{\}", "permissions: write-all", "excessive-perm"),
    "a tag's name in the text of a script": (
        "workflows/deploy.yml",
        r'"\$GITHUB_REF_NAME" != "v\$version"',
        '"${{ github.ref_name }}" != "v$version"',
        "template-injection",
    ),
    "a key that GitHub does not know": ("workflows/test.yml", "runs-on:", "runs_on:", "runs_on"),
    "a job that may run for six hours": ("workflows/test.yml", "    timeout-minutes: 90\n", "", "timeout-minutes"),
    "updates on the day of their release": ("dependabot.yml", r"    cooldown:\n.*\n", "", "dependabot-cooldown"),
    "updates at no known interval": ("dependabot.yml", "interval: weekly", "interval: sometimes", "sometimes"),
    "a form without questions": ("ISSUE_TEMPLATE/bug.yml", r"\nbody:\n(?:.*\n)*", "\n", "'body' is a required"),
    "a link that leads nowhere": ("ISSUE_TEMPLATE/config.yml", r"    url: .*\n", "", "'url' is a required"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_wrong_in_a_file_fails_the_check(tmp_path: Path, name: str) -> None:
    file, pattern, replacement, said = BROKEN[name]
    copy = tmp_path / ".github"
    shutil.copytree(GITHUB, copy)
    text, count = re.subn(pattern, replacement, (copy / file).read_text(encoding="utf-8"))
    assert count
    (copy / file).write_text(text)
    done = check(copy)
    assert done.returncode != 0
    assert said in done.stdout + done.stderr


def test_the_check_is_a_part_of_what_ci_runs() -> None:
    makefile = (PROJECT / "Makefile").read_text(encoding="utf-8")
    assert re.search(r"^audit:.* github\b", makefile, re.MULTILINE)
    assert re.search(r"^test:.*\n\t.* audit\b", makefile, re.MULTILINE)


def test_every_action_is_one_commit_with_its_version_beside_it() -> None:
    uses = [
        line.strip().removeprefix("- ").removeprefix("uses: ")
        for path in sorted((GITHUB / "workflows").glob("*.yml"))
        for line in path.read_text(encoding="utf-8").splitlines()
        if re.match(r"\s*(?:- )?uses: (?!\$/)", line)
    ]
    assert len(uses) > 5
    commits: dict[str, str] = {}
    for use in uses:
        found = re.fullmatch(r"([\w-]+/[\w-]+)@([0-9a-f]{40}) # (v\d+\.\d+\.\d+)", use)
        assert found is not None, use
        assert commits.setdefault(found[1], found[0]) == found[0], "one action in two versions"


# --- test.yml ---------------------------------------------------------------------------------------------------------


def test_the_test_workflow_runs_make_test_on_the_projects_python() -> None:
    (job,) = TEST["jobs"].values()
    assert [step["run"] for step in job["steps"] if "run" in step] == ["make test"]
    python = steps(job)["actions/setup-python"]["with"]["python-version"]
    assert python == (PROJECT / ".python-version").read_text().strip()
    assert job["timeout-minutes"] == 90
    assert job["permissions"] == {"contents": "read"}
    assert (PROJECT / ".ci/run").read_text().splitlines()[-1] == "exec make test"


# --- deploy.yml -------------------------------------------------------------------------------------------------------


def commands(script: str) -> list[str]:
    return [line.strip() for line in script.splitlines() if re.match(r"\s*(?:make|sam|export) ", line)]


def test_a_deployment_runs_the_commands_of_the_page() -> None:
    (page,) = (block for block in blocks(DEPLOYING) if block.name == "Deploy 1")
    job = steps(DEPLOY["jobs"]["deploy"])
    built, deployed = commands(job["Build"]["run"]), commands(job["Deploy"]["run"])
    # Each step runs in a new shell, and nobody can answer production's prompt.
    path = 'export PATH="$PWD/.venvs/sam/bin:$PATH"'
    assert deployed[0] == path
    assert built + [line.removesuffix(" --no-confirm-changeset") for line in deployed[1:]] == commands(page.text)


def test_only_the_job_that_deploys_gets_a_token_for_aws_and_it_reads_the_checkout_alone() -> None:
    assert DEPLOY["permissions"] == {}
    assert {name: job["permissions"] for name, job in DEPLOY["jobs"].items()} == {
        "test": {"contents": "read"},
        "deploy": {"contents": "read", "id-token": "write"},
        "record": {"contents": "write"},
    }
    assert DEPLOY["jobs"]["deploy"]["environment"] == DEPLOY["jobs"]["deploy"]["env"]["STAGE"]


def test_nothing_runs_with_credentials_before_it_is_built() -> None:
    names = list(steps(DEPLOY["jobs"]["deploy"]))
    credentials = names.index("aws-actions/configure-aws-credentials")
    assert names.index("Look at what is deployed") < names.index("Build") < credentials < names.index("Deploy")


def test_the_stages_and_their_region_are_those_of_samconfig() -> None:
    config = tomllib.loads((PROJECT / "samconfig.toml").read_text(encoding="utf-8"))
    stages = DEPLOY[True]["workflow_dispatch"]["inputs"]["stage"]["options"]  # YAML 1.1 reads `on` as true
    assert set(stages) == set(config) - {"version", "default", "local"}
    for stage in stages:
        assert config[stage]["deploy"]["parameters"]["region"] == DEPLOY["jobs"]["deploy"]["env"]["AWS_REGION"]
        assert config[stage]["deploy"]["parameters"]["stack_name"] == f"payments-{stage}"


def run_step(name: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs a step's script as GitHub does: `bash -e`, in the checkout."""
    return subprocess.run(  # noqa: S603 - our own workflow
        ["bash", "-e", "-c", steps(DEPLOY["jobs"]["deploy"])[name]["run"]],  # noqa: S607 - as GitHub calls it
        cwd=folder,
        env={"PATH": f"{folder / 'bin'}:{os.environ['PATH']}", **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


@pytest.mark.parametrize(
    ("stage", "kind", "name", "refused"),
    [
        ("staging", "branch", "main", ""),
        ("staging", "tag", "v1.2.3", ""),
        ("production", "tag", "v1.2.3", ""),
        ("production", "branch", "main", "Production takes releases only"),
        ("production", "branch", "v1.2.3", "Production takes releases only"),
        ("production", "tag", "deployed/staging/20261126T000000Z", "pyproject.toml says 1.2.3"),
        ("staging", "tag", "v1.2.4", "pyproject.toml says 1.2.3"),
    ],
)
def test_production_takes_releases_only_and_a_tag_is_of_its_version(
    tmp_path: Path, stage: str, kind: str, name: str, refused: str
) -> None:
    project = re.sub(
        r'^version = ".*"$', 'version = "1.2.3"', (PROJECT / "pyproject.toml").read_text(), flags=re.MULTILINE
    )
    (tmp_path / "pyproject.toml").write_text(project)
    done = run_step("Look at what is deployed", tmp_path, STAGE=stage, GITHUB_REF_TYPE=kind, GITHUB_REF_NAME=name)
    assert done.returncode == bool(refused), done.stdout + done.stderr
    assert refused in done.stdout


@pytest.mark.parametrize("token", ["", "a.b.c"])
def test_a_stage_is_tried_out_with_a_token_and_without_one_it_is_said_that_nobody_did(
    tmp_path: Path, token: str
) -> None:
    (tmp_path / "bin").mkdir()
    for program, script in (("aws", "echo https://api.example.com/"), ("make", 'echo "$*" > called')):
        (tmp_path / "bin" / program).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "bin" / program).chmod(0o755)
    done = run_step("Try it out", tmp_path, STAGE="staging", PAYMENTS_TOKEN=token)
    assert done.returncode == 0, done.stderr
    if token:
        assert (tmp_path / "called").read_text() == "smoke API=https://api.example.com/\n"
        assert token not in done.stdout + done.stderr
    else:
        assert done.stdout.startswith("::warning::")
        assert "Run make smoke" in done.stdout
        assert not (tmp_path / "called").exists()


def test_the_role_trusts_one_environment_of_one_repository_and_cannot_be_changed_by_a_deployment() -> None:
    trust = json.loads((PROJECT / "docs/deploying-trust.json").read_text(encoding="utf-8"))
    (statement,) = trust["Statement"]
    issuer = "token.actions.githubusercontent.com"
    # Compared as a whole: with a wildcard, other repositories or branches would get in.
    assert statement["Condition"] == {
        "StringEquals": {f"{issuer}:aud": "sts.amazonaws.com", f"{issuer}:sub": "REPOSITORY:environment:STAGE"}
    }
    script = "".join(block.text for block in blocks(DEPLOYING) if block.section == "Deploying from GitHub")
    (role,) = set(re.findall(r'--role-name "([^"]+)"', script))
    rights = json.loads((PROJECT / "docs/deploying-policy.json").read_text(encoding="utf-8"))["Statement"]
    own = {str(s["Resource"]) for s in rights if any("iam:Update" in str(action) for action in s["Action"])}
    assert own == {"arn:aws:iam::*:role/payments-*"}
    assert not role.startswith("payments-")


# --- dependabot.yml ---------------------------------------------------------------------------------------------------


def test_updates_of_what_is_deployed_come_apart_from_all_others() -> None:
    updates = yaml.safe_load((GITHUB / "dependabot.yml").read_text(encoding="utf-8"))["updates"]
    (uv,) = (update for update in updates if update["package-ecosystem"] == "uv")
    groups = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["dependency-groups"]
    deployed = {re.split(r"[\[><=]", line)[0] for name in ("layer", "cryptography") for line in groups[name]}
    assert set(uv["groups"]["layer"]["patterns"]) == deployed
    # The first group that matches counts.
    assert list(uv["groups"]) == ["layer", "development"]


def test_everything_that_is_locked_is_kept_up_to_date() -> None:
    updates = yaml.safe_load((GITHUB / "dependabot.yml").read_text(encoding="utf-8"))["updates"]
    kept = {(update["package-ecosystem"], update["directory"]) for update in updates}
    locked = {
        ("uv", "/"): "uv.lock",
        ("pip", "/sandbox/bootstrap"): "uv.txt",
        ("pip", "/examples/subscriber/src"): "requirements.txt",
        ("npm", "/examples/react"): "package-lock.json",
        ("npm", "/clients/javascript"): "package-lock.json",
        ("npm", "/tools/reference"): "package-lock.json",
        ("npm", "/tests/postman"): "package-lock.json",
    }
    assert kept == {("github-actions", "/"), *locked}
    for (_, folder), file in locked.items():
        assert (PROJECT / folder.lstrip("/") / file).is_file()
