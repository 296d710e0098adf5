"""What template.yaml says, read without CloudFormation."""

from functools import cache
from pathlib import Path
from typing import Any

import yaml

_TEMPLATE = Path(__file__).parents[2] / "template.yaml"


class _Loader(yaml.CSafeLoader):
    """YAML with CloudFormation's tags, each kept as `{tag: value}`."""


def _tagged(loader: _Loader, tag: str, node: yaml.Node) -> dict[str, Any]:
    if isinstance(node, yaml.ScalarNode):
        return {tag: loader.construct_scalar(node)}
    if isinstance(node, yaml.SequenceNode):
        return {tag: loader.construct_sequence(node, deep=True)}
    assert isinstance(node, yaml.MappingNode)
    return {tag: loader.construct_mapping(node, deep=True)}


_Loader.add_multi_constructor("!", _tagged)


@cache
def resources() -> dict[str, Any]:
    document = yaml.load(_TEMPLATE.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506 - a SafeLoader with tags
    found: dict[str, Any] = document["Resources"]
    return found


def table_schema() -> dict[str, Any]:
    """The payments table's keys and indexes, as `create_table` takes them."""
    properties = resources()["PaymentsTable"]["Properties"]
    kept = ("AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes", "BillingMode")
    return {name: properties[name] for name in kept}
