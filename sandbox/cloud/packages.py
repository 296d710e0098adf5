"""Local folders of a built template, packed and uploaded as `sam package` does."""

import hashlib
import io
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml

# The properties that name a local folder, by resource type.
ARTEFACTS = {
    "AWS::Serverless::Function": "CodeUri",
    "AWS::Serverless::LayerVersion": "ContentUri",
}
# The same folder always gives the same archive: unchanged code keeps its key, and its place in the emulator's cache.
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
    """A template as a document, its short forms written out."""
    with path.open() as text:
        document: dict[str, Any] = yaml.load(text, CloudFormationLoader)  # noqa: S506 - a SafeLoader
    return document


def with_uploaded_artefacts(path: Path, upload: Callable[[bytes], str]) -> dict[str, Any]:
    """The template with every local folder replaced by where its archive was uploaded to.

    Args:
        path: the built template; its folders are relative to it.
        upload: stores an archive, returns its s3:// address.
    """
    template = read_template(path)
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
    """Everywhere a local folder may be named: (properties, name of the property)."""
    for resource in template["Resources"].values():
        if resource["Type"] in ARTEFACTS:
            yield resource.get("Properties", {}), ARTEFACTS[resource["Type"]]
    yield template.get("Globals", {}).get("Function", {}), "CodeUri"


def archive_of(folder: Path) -> bytes:
    """The folder's files as a zip archive that depends on their names, modes and content only."""
    buffer = io.BytesIO()
    # Stored, not compressed: it travels over the loopback interface, and unpacks faster.
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            entry = zipfile.ZipInfo(file.relative_to(folder).as_posix(), ARCHIVE_DATE)
            entry.external_attr = (file.stat().st_mode & 0xFFFF) << 16
            archive.writestr(entry, file.read_bytes())
    return buffer.getvalue()


def content_name(content: bytes) -> str:
    """A file name that says what is in it."""
    return f"{hashlib.sha256(content).hexdigest()}.zip"
