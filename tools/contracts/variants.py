"""The event schemas for consumers: a tolerant variant of each, and one in Draft 4 for EventBridge's schema registry."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from payments.core.events import SCHEMA_VERSION, SOURCE
from tools.contracts import events
from tools.contracts.schemas import Schema

WORDS: Final = Path(__file__).with_name("variants.yaml")
TOLERANT: Final = "tolerant"
"""The folder of the tolerant schemas, inside docs/events."""
REGISTRY: Final = "registry/payment-service.draft4.json"
_DRAFT_4: Final = "http://json-schema.org/draft-04/schema#"
# Keywords of 2020-12 that Draft 4 does not have, besides the ones that are translated. None of them is in use.
_LATER: Final = frozenset(
    {"$anchor", "$dynamicRef", "contains", "dependentRequired", "dependentSchemas", "else", "if", "prefixItems"}
    | {"propertyNames", "then", "unevaluatedItems", "unevaluatedProperties"}
)


def documents() -> dict[str, str]:
    """The text of each file, by its name in docs/events."""
    exact = {name: json.loads(text) for name, text in events.documents().items()}
    words = yaml.safe_load(WORDS.read_text(encoding="utf-8"))
    loose = tolerant(exact, growing(), words["tolerant"])
    return {
        **{f"{TOLERANT}/{name}": events.text(schema) for name, schema in loose.items()},
        REGISTRY: events.text(registry(loose, words["registry"])),
    }


def growing() -> list[str]:
    """The fields to which a later minor version may add values, by their path in the detail."""
    words: list[str] = yaml.safe_load(WORDS.read_text(encoding="utf-8"))["growing"]
    return words


# --- tolerant -------------------------------------------------------------------------------------------------------


def tolerant(exact: Mapping[str, Schema], may_grow: list[str], said: str) -> dict[str, Schema]:
    """What a consumer may rely on: fields may be added, and values of the growing fields.

    Args:
        exact: the schemas of exactly what this version sends, by file name.
        may_grow: what `growing` returns.
        said: what to say about it, before the description of each schema.

    Raises:
        ValueError: there is no such field, or it is no enumeration.
    """
    found: set[str] = set()
    loose = {name: _loose(schema, (), frozenset(may_grow), found) for name, schema in exact.items()}
    if found != set(may_grow):
        raise ValueError(f"{WORDS.name} names {', '.join(sorted(set(may_grow) - found))}, which is no enumeration")
    shared = loose[events.SHARED]["$defs"]
    major = SCHEMA_VERSION.partition(".")[0]
    shared["schema_version"] = {
        "description": shared["schema_version"]["description"],
        "type": "string",
        "pattern": rf"^{major}\.[0-9]+$",
    }
    return {name: {**schema, "description": f"{said} {schema['description']}"} for name, schema in loose.items()}


def _loose(part: Any, path: tuple[str, ...], may_grow: frozenset[str], found: set[str]) -> Any:  # noqa: ANN401 - any part
    if isinstance(part, list):
        return [_loose(item, path, may_grow, found) for item in part]
    if not isinstance(part, dict):
        return part
    named = ".".join(path)
    if named in may_grow and "enum" in part:
        found.add(named)
        # A value that is added is a word, like the present ones.
        part = {"description": part["description"], "type": "string", "examples": part["enum"]}
    return {
        keyword: {field: _loose(its, (*path, field), may_grow, found) for field, its in value.items()}
        if keyword in {"properties", "$defs"}
        else _loose(value, path, may_grow, found)
        for keyword, value in part.items()
        if keyword != "additionalProperties"
    }


# --- Draft 4 --------------------------------------------------------------------------------------------------------


def registry(loose: Mapping[str, Schema], said: str) -> Schema:
    """One Draft 4 schema of every event in its envelope, as the registry describes events.

    Args:
        loose: the tolerant schemas, by file name.
        said: its description.
    """
    names = {name: name.removesuffix(".schema.json") for name in loose if name != events.SHARED}
    return {
        "$schema": _DRAFT_4,
        "title": SOURCE,
        "description": said,
        "type": "object",
        "required": ["source", "detail-type", "detail"],
        "properties": {
            **{field: {"type": "string"} for field in ("version", "id", "account", "region")},
            "time": {"type": "string", "format": "date-time"},
            "resources": {"type": "array", "items": {"type": "string"}},
            "source": {"enum": [SOURCE]},
        },
        "oneOf": [
            {
                "properties": {
                    "detail-type": {"enum": [name]},
                    "detail": {"$ref": f"#/definitions/{name}"},
                }
            }
            for name in names.values()
        ],
        "definitions": {
            **{name: _draft_4(schema) for name, schema in loose[events.SHARED]["$defs"].items()},
            **{name: _draft_4(loose[file]) for file, name in names.items()},
        },
    }


def _draft_4(part: Any) -> Any:  # noqa: ANN401 - any part of a schema
    """The same schema in Draft 4.

    Raises:
        ValueError: it cannot be said in Draft 4.
    """
    if isinstance(part, list):
        return [_draft_4(item) for item in part]
    if not isinstance(part, dict):
        return part
    later = _LATER & part.keys()
    if later:
        raise ValueError(f"Draft 4 has no {', '.join(sorted(later))}")
    translated: Schema = {}
    for keyword, value in part.items():
        match keyword:
            case "$schema" | "examples":
                pass
            case "const":
                translated["enum"] = [value]
            case "$ref":
                translated["$ref"] = value.replace(f"{events.SHARED}#/$defs/", "#/definitions/").replace(
                    "#/$defs/", "#/definitions/"
                )
            case "properties":
                translated["properties"] = {name: _draft_4(its) for name, its in value.items()}
            case _:
                translated[keyword] = _draft_4(value)
    if "$ref" in translated and len(translated) > 1:
        raise ValueError(f"Draft 4 ignores what is beside {translated['$ref']}")
    return translated
