"""Runs shell blocks of the pages, with programs of a test's own on PATH that record how they are called."""

import json
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import botocore.session
from botocore import xform_name
from botocore.validate import ParamValidator

# Arguments may have several lines.
_RECORD: Final = """#!/bin/sh
{ printf '%s\\0' "${0#"$HOME/.programs/"}" "$@"; printf '\\036'; } >> "$CALLS"
"""


@dataclass(frozen=True)
class Ran:
    """What a block did."""

    calls: list[list[str]]
    """The recorded calls in order: the program as `programs` names it, then its arguments."""
    output: str


def run(script: str, folder: Path, programs: Mapping[str, str | None], **environment: str) -> Ran:
    """Runs a block that must succeed. It reaches only the shell's own commands and these programs.

    Args:
        script: The block's text.
        folder: Where it runs, and its home.
        programs: The programs by name, with what each does after it has recorded its call, in shell; None is the
            system's own, unrecorded. One with a slash in its name is in the folder, the others are on PATH.
        environment: Variables that the page says are set.
    """
    found = folder / ".programs"
    for name, does in programs.items():
        program = folder / name if "/" in name else found / name
        program.parent.mkdir(parents=True, exist_ok=True)
        program.unlink(missing_ok=True)
        if does is None:
            program.symlink_to(str(shutil.which(name)))
            continue
        program.write_text(f"{_RECORD}{does}\n", encoding="utf-8")
        program.chmod(0o755)
    calls = folder / ".calls"
    calls.write_bytes(b"")
    done = subprocess.run(  # noqa: S603 - the project's own document
        ["/bin/sh", "-eu", "-c", script],
        cwd=folder,
        env={"PATH": str(found), "HOME": str(folder), "CALLS": str(calls), **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=90,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    recorded = calls.read_text(encoding="utf-8").split("\0\036")[:-1]
    return Ran([call.split("\0") for call in recorded], done.stdout)


def parameters(arguments: list[str]) -> dict[str, Any]:
    """The parameters of a call of the AWS CLI, checked with AWS's own model of the operation.

    Args:
        arguments: As `aws` gets them: the service, the operation, and options.
    """
    service, operation, *options = arguments
    model = botocore.session.get_session().get_service_model(service)
    (name,) = (name for name in model.operation_names if xform_name(name, "-") == operation)
    shape = model.operation_model(name).input_shape
    assert shape is not None
    members = {f"--{xform_name(member, '-')}": member for member in shape.members}
    given: dict[str, Any] = {}
    words = iter(options)
    for option in words:
        switch = members.get(option.replace("--no-", "--", 1))
        if switch and shape.members[switch].type_name == "boolean":
            given[switch] = not option.startswith("--no-")
            continue
        value = next(words)
        if option not in {"--query", "--output"}:  # the CLI's own
            given[members[option]] = _value(shape.members[members[option]].type_name, value)
    report = ParamValidator().validate(given, shape)
    assert not report.has_errors(), report.generate_report()
    return given


def _value(kind: str, given: str) -> Any:
    if kind == "string":
        return given
    # A single entry of a list needs no brackets.
    return [given] if kind == "list" and not given.startswith("[") else json.loads(given)
