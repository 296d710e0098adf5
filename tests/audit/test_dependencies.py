"""The software bill of materials, and the check for known vulnerabilities."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from shutil import which
from typing import Any

import pytest

from sandbox.audit import advisories
from sandbox.audit.groups import DEPLOYED, PROJECT, groups
from sandbox.audit.sbom import AUDIT_PYTHON, VALIDATE, write_all


@pytest.fixture(scope="module")
def boms(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The bills of materials by group, validated."""
    uv = which("uv") or str(PROJECT / ".venvs/uv/bin/uv")
    written = write_all(uv, tmp_path_factory.mktemp("sbom"))
    return {path.name.removesuffix(".cdx.json"): json.loads(path.read_text()) for path in written}


def test_every_group_has_a_bill_of_materials(boms: dict[str, Any]) -> None:
    assert set(boms) == set(groups())
    assert set(DEPLOYED) <= set(boms)


def test_the_layers_bill_lists_what_its_requirements_pin_with_the_same_versions_and_hashes(
    boms: dict[str, Any],
) -> None:
    requirements = (PROJECT / "shared/requirements.txt").read_text()
    pinned = {line.split(" ")[0] for line in requirements.splitlines() if "==" in line and not line.startswith(" ")}
    listed = {f"{item['name']}=={item['version']}": item for item in boms["layer"]["components"]}
    assert set(listed) == pinned
    for item in listed.values():
        hashes = [h["content"] for file in item["externalReferences"] for h in file.get("hashes", [])]
        assert any(f"sha256:{digest}" in requirements for digest in hashes), item["name"]
        assert item["purl"].startswith("pkg:pypi/")


def test_a_file_that_is_no_bill_of_materials_is_refused(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.cdx.json"
    wrong.write_text('{"bomFormat": "CycloneDX", "specVersion": "1.5", "components": [{"name": "nameless"}]}')
    done = subprocess.run(  # noqa: S603 - fixed command
        [AUDIT_PYTHON, VALIDATE, wrong], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 1
    assert "wrong.cdx.json is not valid CycloneDX" in done.stderr


def test_every_requirement_of_the_layers_and_the_example_is_pinned_by_hash() -> None:
    example = PROJECT / "examples/subscriber/src/requirements.txt"
    layers = sorted((PROJECT / "layers").glob("*/requirements.txt"))
    for file in [PROJECT / "shared/requirements.txt", example, *layers]:
        for requirement in file.read_text().replace("\\\n", " ").splitlines():
            if requirement.strip() and not requirement.lstrip().startswith("#"):
                assert "==" in requirement, file
                assert "--hash=sha256:" in requirement, file


# --- advisories -------------------------------------------------------------------------------------------------------


@pytest.fixture
def fake_uv(tmp_path: Path) -> Callable[[int, str], list[str]]:
    """A fake uv that prints this and exits with this code."""

    def make(code: int, said: str) -> list[str]:
        script = tmp_path / "uv"
        script.write_text(f"#!/bin/sh\necho '{said}' >&2\nexit {code}\n")
        script.chmod(0o755)
        return [str(script)]

    return make


def test_without_an_advisory_source_it_says_that_nothing_was_checked_and_never_that_all_is_well(
    fake_uv: Callable[[int, str], list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert advisories.main(fake_uv(2, "error: Request failed. cause: dns error")) == 0
    said = capsys.readouterr().out
    assert ": not checked: the advisory source is unreachable" in said
    assert "no known vulnerability" not in said


def test_with_an_advisory_source_and_nothing_found_each_group_is_said_to_be_checked(
    fake_uv: Callable[[int, str], list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert advisories.main(fake_uv(0, "")) == 0
    assert capsys.readouterr().out.count("no known vulnerability") == len(groups())


@pytest.mark.parametrize(
    ("code", "said"),
    [(1, "found 1 vulnerability"), (1, "found 1 vulnerability: dns error in dnslib"), (2, "unexpected argument")],
)
def test_a_vulnerability_or_a_wrong_call_ends_the_run(
    fake_uv: Callable[[int, str], list[str]], capsys: pytest.CaptureFixture[str], code: int, said: str
) -> None:
    assert advisories.main(fake_uv(code, said)) == 1
    assert said in capsys.readouterr().out
