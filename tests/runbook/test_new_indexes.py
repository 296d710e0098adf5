"""docs/deploying.md on the indexes that a stage of 1.0.0 lacks: its commands, with stand-ins for sam and aws."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest

from sandbox.cloud.packages import read_template
from tests.handlers.template import table_schema
from tests.runbook.book import DEPLOYING, PROJECT, Block, blocks

SECTION: Final = "Update a stage of 1.0.0"
NEW: Final = ("client-index", "freelancer-index")


def block(number: int) -> Block:
    (found,) = [one for one in blocks(DEPLOYING) if (one.section, one.number) == (SECTION, number)]
    return found


def run(script: str, folder: Path, program: str, stand_in: str) -> subprocess.CompletedProcess[str]:
    """Runs a block in a folder, with a program of one's own in the place of `sam` or `aws`."""
    path = folder / "bin" / program
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{stand_in}\n")
    path.chmod(0o755)
    environment = {"PATH": f"{path.parent}:{os.environ['PATH']}", "STAGE": "staging", "TABLE": "payments-test"}
    return subprocess.run(  # noqa: S603 - the page's own command
        ["/bin/sh", "-c", script], cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=30
    )


def indexes(table: dict[str, Any]) -> list[str]:
    return [index["IndexName"] for index in table["GlobalSecondaryIndexes"]]


@pytest.mark.parametrize("deploys", [True, False])
def test_the_first_deployment_has_one_index_less_and_the_template_is_whole_again_afterwards(
    tmp_path: Path, *, deploys: bool
) -> None:
    whole = (PROJECT / "template.yaml").read_text(encoding="utf-8")
    (tmp_path / "template.yaml").write_text(whole)
    keeps = 'cp template.yaml "deployed-$1.yaml"'
    done = run(block(1).text, tmp_path, "sam", keeps if deploys else "exit 1")
    assert (done.returncode == 0) is deploys, done.stderr
    assert (tmp_path / "template.yaml").read_text() == whole
    assert sorted(path.name for path in tmp_path.glob("template*")) == ["template.yaml"]
    if not deploys:
        return
    wanted = read_template(PROJECT / "template.yaml")
    table = wanted["Resources"]["PaymentsTable"]["Properties"]
    table["GlobalSecondaryIndexes"] = [i for i in table["GlobalSecondaryIndexes"] if i["IndexName"] != NEW[1]]
    # DynamoDB refuses the definition of an attribute that is no key.
    definitions = table["AttributeDefinitions"]
    table["AttributeDefinitions"] = [one for one in definitions if one["AttributeName"] != "freelancer_id"]
    assert indexes(table) == ["attention", NEW[0]]
    for step in ("build", "deploy"):
        assert read_template(tmp_path / f"deployed-{step}.yaml") == wanted


def test_what_adds_an_index_by_hand_adds_it_as_the_template_has_it(tmp_path: Path) -> None:
    record = "for argument; do printf '%s\\0' \"$argument\"; done; printf '\\n'"
    done = run(f"{block(3).text}\n{block(4).text}", tmp_path, "aws", record)
    assert done.returncode == 0, done.stderr
    schema = table_schema()
    types = {one["AttributeName"]: one["AttributeType"] for one in schema["AttributeDefinitions"]}
    by_name = {index["IndexName"]: index for index in schema["GlobalSecondaryIndexes"]}
    calls = [line.strip("\0").split("\0") for line in done.stdout.split("\0\n") if line]
    added = []
    for call in calls:
        assert call[:4] == ["dynamodb", "update-table", "--table-name", "payments-test"]
        given = dict(part.split(",") for part in call[5:7])
        ((update,),) = [json.loads(call[-1])]
        index = update["Create"]
        added.append(index["IndexName"])
        assert index == by_name[index["IndexName"]]
        keys = [key["AttributeName"] for key in index["KeySchema"]]
        assert given == {f"AttributeName={key}": f"AttributeType={types[key]}" for key in keys}
    assert tuple(added) == NEW
