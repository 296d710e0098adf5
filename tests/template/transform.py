"""The result of the SAM transform for a template and its nested applications."""

import atexit
import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from sandbox.cloud.packages import NESTED, with_nested

PROJECT = Path(__file__).parents[2]
SAM_ENVIRONMENT = PROJECT / ".venvs/sam/bin"


@dataclass(frozen=True)
class Resources:
    """The resources that CloudFormation is asked to create, by logical id."""

    by_id: dict[str, dict[str, Any]]

    def of_type(self, kind: str) -> dict[str, dict[str, Any]]:
        """The properties of the resources of a type, by logical id."""
        return {name: item["Properties"] for name, item in self.by_id.items() if item["Type"] == kind}

    def the(self, kind: str) -> dict[str, Any]:
        """The properties of the one resource of a type."""
        (properties,) = self.of_type(kind).values()
        return properties


def transformed(template: Path, *parameters: str) -> Resources:
    """What a deployment of a template creates: its own resources and those of its nested applications.

    References to a nested application's parameters are replaced by the values that the template passes.
    """
    document = _transform(template, *parameters)
    nested = {
        name: _transform(template.parent / application["Properties"]["TemplateURL"])
        for name, application in document["Resources"].items()
        if application["Type"] == NESTED
    }
    return Resources(with_nested(document, nested)["Resources"])


def _transform(template: Path, *parameters: str) -> dict[str, Any]:
    """Runs the SAM CLI's aws-sam-translator."""
    translator = _translator()
    assert translator.stdin is not None
    assert translator.stdout is not None
    translator.stdin.write(json.dumps([str(template), *parameters]) + "\n")
    translator.stdin.flush()
    answer = translator.stdout.readline()
    assert answer, f"{template}: {translator.communicate()[1]}"
    document: dict[str, Any] = json.loads(answer)
    return document


@cache
def _translator() -> subprocess.Popen[str]:
    """One process for all templates, because it takes longer to start than to translate them."""
    translator = subprocess.Popen(  # noqa: S603 - fixed command
        [SAM_ENVIRONMENT / "python", Path(__file__).with_name("translate.py")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    # It ends with its input.
    atexit.register(translator.communicate)
    return translator


def parameters_in(node: Any, parameters: set[str]) -> Iterator[str]:
    """The names of template parameters that a part of a template refers to."""
    if isinstance(node, dict):
        if node.get("Ref") in parameters:
            yield node["Ref"]
        text = node.get("Fn::Sub")
        if isinstance(text, str):
            yield from (name for name in parameters if f"${{{name}}}" in text)
        for value in node.values():
            yield from parameters_in(value, parameters)
    elif isinstance(node, list):
        for value in node:
            yield from parameters_in(value, parameters)
