"""Reads templates, and packages and uploads a built template's folders and nested templates as `sam package` does."""

import hashlib
import io
import json
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

# The properties that contain a local folder, by resource type.
ARTEFACTS = {
    "AWS::Serverless::Function": "CodeUri",
    "AWS::Serverless::LayerVersion": "ContentUri",
}
NESTED_APPLICATION = "AWS::Serverless::Application"
NESTED = "AWS::CloudFormation::Stack"
"""The type into which the SAM transform turns a nested application."""

# The same folder always gives the same archive, so unchanged code keeps its key and its place in the emulator's cache.
ARCHIVE_DATE = (1980, 1, 1, 0, 0, 0)


class CloudFormationLoader(yaml.CSafeLoader):
    """YAML with CloudFormation's short forms: `!GetAtt A.B` becomes `{"Fn::GetAtt": "A.B"}`."""


def _intrinsic(loader: CloudFormationLoader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    name = suffix if suffix in {"Ref", "Condition"} else f"Fn::{suffix}"
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
        if name == "Fn::GetAtt":
            value = value.split(".", 1)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    elif isinstance(node, yaml.MappingNode):
        value = loader.construct_mapping(node, deep=True)
    return {name: value}


CloudFormationLoader.add_multi_constructor("!", _intrinsic)
# `Version: 2012-10-17` is a text to CloudFormation, not a date.
CloudFormationLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}


def read_template(path: Path) -> dict[str, Any]:
    """A template as a document: short forms are expanded, and each use of an anchor is a separate block."""
    with path.open() as text:
        shared = yaml.load(text, CloudFormationLoader)  # noqa: S506 - a SafeLoader
    document: dict[str, Any] = json.loads(json.dumps(shared))
    return document


def read_whole(path: Path) -> dict[str, Any]:
    """A template including the resources of its nested applications; see `with_nested`."""
    document = read_template(path)
    nested = {
        name: read_template(path.parent / application["Properties"]["Location"])
        for name, application in document["Resources"].items()
        if application["Type"] == NESTED_APPLICATION
    }
    return with_nested(document, nested)


def with_nested(template: Mapping[str, Any], nested: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """A template as if it contained the resources of its nested applications.

    References to their parameters are replaced by the passed values: `!Ref QueueName` becomes `!GetAtt
    Queue.QueueName`.

    Args:
        template: before or after the SAM transform.
        nested: the templates of the nested applications, by the applications' logical ids.

    Raises:
        ValueError: a logical id is in both, or `${...}` refers to a parameter whose value is not a reference.
    """
    resources = {name: item for name, item in template["Resources"].items() if name not in nested}
    for application, child in nested.items():
        passed = template["Resources"][application]["Properties"].get("Parameters", {})
        # A condition of the application applies to its resources, which may have additional conditions.
        shared = {"Condition": template["Resources"][application].get("Condition")}
        for name, item in child["Resources"].items():
            if name in resources:
                raise ValueError(f"{name} is in the template and in {application}")
            resources[name] = (shared if shared["Condition"] else {}) | _resolved(item, passed)
    return {**template, "Resources": resources}


def _resolved(node: Any, passed: Mapping[str, Any]) -> Any:  # noqa: ANN401 - any part of a template
    if isinstance(node, list):
        return [_resolved(item, passed) for item in node]
    if not isinstance(node, dict):
        return node
    if node.keys() == {"Ref"}:
        return passed.get(node["Ref"], node)
    if node.keys() == {"Fn::Sub"} and isinstance(node["Fn::Sub"], str):
        return {"Fn::Sub": re.sub(r"\$\{(\w+)\}", lambda found: _in_a_text(found[1], passed), node["Fn::Sub"])}
    return {name: _resolved(item, passed) for name, item in node.items()}


def _in_a_text(name: str, passed: Mapping[str, Any]) -> str:
    """The replacement of `${name}`."""
    match passed.get(name, {"Ref": name}):
        case {"Ref": referenced}:
            return f"${{{referenced}}}"
        case {"Fn::GetAtt": attribute}:
            return f"${{{'.'.join(attribute)}}}"
        case value:
            raise ValueError(f"${{{name}}} stands for {value}, which is not a reference")


def with_uploaded_artefacts(path: Path, upload: Callable[[bytes], str], url: Callable[[str], str]) -> dict[str, Any]:
    """The template with every local folder and nested template replaced by its uploaded location.

    Args:
        path: the built template; its paths are relative to it.
        upload: stores an archive or a template, returns its s3:// address.
        url: the https:// form of such an address, which CloudFormation needs for templates.
    """
    template = read_template(path)
    for resource in template["Resources"].values():
        if resource["Type"] == NESTED_APPLICATION:
            properties = resource["Properties"]
            nested = with_uploaded_artefacts(path.parent / properties["Location"], upload, url)
            properties["Location"] = url(upload(json.dumps(nested).encode()))
    uploaded: dict[Path, str] = {}
    for properties, property_name in _artefact_properties(template):
        location = properties.get(property_name)
        if not isinstance(location, str) or location.startswith("s3://"):
            continue
        folder = (path.parent / location).resolve()
        if folder not in uploaded:
            uploaded[folder] = upload(archive_of(folder))
        properties[property_name] = uploaded[folder]
    return template


def _artefact_properties(template: dict[str, Any]) -> Iterator[tuple[dict[str, Any], str]]:
    """Every place that may contain a local folder: (properties, name of the property)."""
    for resource in template["Resources"].values():
        if resource["Type"] in ARTEFACTS:
            yield resource.get("Properties", {}), ARTEFACTS[resource["Type"]]
    yield template.get("Globals", {}).get("Function", {}), "CodeUri"


def archive_of(folder: Path) -> bytes:
    """The folder's files as a zip archive that depends only on their names, modes and content."""
    buffer = io.BytesIO()
    # Stored, not compressed: it only crosses the loopback interface, and unpacks faster.
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            entry = zipfile.ZipInfo(file.relative_to(folder).as_posix(), ARCHIVE_DATE)
            entry.external_attr = (file.stat().st_mode & 0xFFFF) << 16
            archive.writestr(entry, file.read_bytes())
    return buffer.getvalue()


def content_name(content: bytes) -> str:
    """A file name derived from the content."""
    return f"{hashlib.sha256(content).hexdigest()}.zip"
