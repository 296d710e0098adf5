"""JSON Schema of models and TypedDicts, in the form that people write: no titles, no repetition."""

from collections.abc import Callable, Mapping
from typing import Any, Literal

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import core_schema

from tools.contracts.docstrings import field_docs, flowed

type Schema = dict[str, Any]
type Named = Mapping[str, Schema]
"""Named schemas, by their reference."""

_LOCAL = "#/$defs/"
_ORDER = ("description", "type", "const", "enum", "pattern", "format", "minimum", "maximum")
_LAST = ("additionalProperties", "required", "properties")


class _Documented(GenerateJsonSchema):
    """Uses the docstring below a field as its description. What the service writes has no other fields."""

    def field_title_should_be_set(self, schema: object) -> bool:  # noqa: ARG002 - pydantic's signature
        return False

    def model_schema(self, schema: core_schema.ModelSchema) -> Schema:
        return self._finished(schema["cls"], super().model_schema(schema))

    def typed_dict_schema(self, schema: core_schema.TypedDictSchema) -> Schema:
        kind = schema.get("cls")
        if kind is None:
            raise TypeError("a TypedDict without a class")
        return self._finished(kind, super().typed_dict_schema(schema))

    def _finished(self, kind: type, json_schema: Schema) -> Schema:
        docs = field_docs(kind)
        for name, field in json_schema["properties"].items():
            if name in docs:
                field.setdefault("description", docs[name])
        if kind.__doc__:
            json_schema["description"] = flowed(kind.__doc__)
        if self.mode == "serialization":
            json_schema["additionalProperties"] = False
        return json_schema


def schema_of(
    kind: Any,  # noqa: ANN401 - whatever pydantic takes for a type
    *,
    mode: Literal["validation", "serialization"] = "serialization",
) -> Schema:
    """The complete schema of a type, without references.

    Args:
        kind: a model, a TypedDict or any other type that pydantic knows.
        mode: `validation` for input, `serialization` for output.
    """
    schema = TypeAdapter[Any](kind).json_schema(mode=mode, schema_generator=_Documented)
    return _plain(schema, schema.pop("$defs", {}))  # type: ignore[no-any-return]  # an object stays one


def _plain(part: Any, definitions: Mapping[str, Schema]) -> Any:  # noqa: ANN401 - any part of a schema
    if isinstance(part, list):
        return [_plain(item, definitions) for item in part]
    if not isinstance(part, dict):
        return part
    part = {
        name: {field: _plain(its, definitions) for field, its in value.items()}
        if name == "properties"
        else _plain(value, definitions)
        for name, value in part.items()
        # pydantic's titles only repeat the names of classes and fields.
        if name != "title"
    }
    if part.get("default", ...) is None:
        del part["default"]
    reference = part.pop("$ref", None)
    if reference is not None:
        part = {**_plain(definitions[reference.removeprefix(_LOCAL)], definitions), **part}
    return in_order(part)


def in_order(schema: Schema) -> Schema:
    """The same schema in a readable order; pydantic's is alphabetical."""
    rest = [name for name in schema if name not in {*_ORDER, *_LAST}]
    return {name: schema[name] for name in (*_ORDER, *rest, *_LAST) if name in schema}


def with_references(
    part: Any,  # noqa: ANN401 - any part of a schema
    named: Named,
    refer: Callable[[str, Schema], Schema],
) -> Any:  # noqa: ANN401 - the same
    """The same schema with each named part replaced by a reference.

    Args:
        part: a schema, or a part of one.
        named: the schemas that may be referenced.
        refer: creates a reference from its target and its siblings.
    """
    if isinstance(part, list):
        return [with_references(item, named, refer) for item in part]
    if not isinstance(part, dict):
        return part
    beside = {name: value for name, value in part.items() if name in {"description", "default"}}
    core = {name: value for name, value in part.items() if name not in beside}
    for target, schema in named.items():
        if core == {name: value for name, value in schema.items() if name != "description"}:
            if beside.get("description") == schema.get("description"):
                beside.pop("description", None)
            return refer(target, beside)
    return {name: with_references(value, named, refer) for name, value in part.items()}


def reference(target: str, beside: Schema) -> Schema:
    """A reference with siblings. OpenAPI 3.0, AsyncAPI and older drafts of JSON Schema ignore them beside `$ref`."""
    return in_order({"allOf": [{"$ref": target}], **beside}) if beside else {"$ref": target}


def with_short_nulls(part: Any) -> Any:  # noqa: ANN401 - any part of a schema
    """`{"type": ["string", "null"]}` instead of `anyOf`, if equivalent."""
    if isinstance(part, list):
        return [with_short_nulls(item) for item in part]
    if not isinstance(part, dict):
        return part
    part = {name: with_short_nulls(value) for name, value in part.items()}
    match part.get("anyOf"):
        case [{"type": str(kind)} as schema, {"type": "null"}] if not {"enum", "const"} & schema.keys():
            rest = {name: value for name, value in part.items() if name != "anyOf"}
            return {**schema, "type": [kind, "null"], **rest}
    return part


def without_null(field: Schema) -> Schema:
    """An optional field that is absent if it has no value, never null."""
    if "anyOf" not in field:
        return field
    (schema,) = [option for option in field["anyOf"] if option.get("type") != "null"]
    return {**schema, **{name: value for name, value in field.items() if name != "anyOf"}}


def promised(schema: Schema, types: Mapping[str, Any]) -> Schema:
    """An object whose fields are described by these types, because the model itself accepts more.

    Raises:
        KeyError: there is no such field.
    """
    unknown = types.keys() - schema["properties"].keys()
    if unknown:
        raise KeyError(f"there is no field {', '.join(sorted(unknown))}")
    fields = {
        name: {**schema_of(types[name]), **({"description": field["description"]} if "description" in field else {})}
        if name in types
        else field
        for name, field in schema["properties"].items()
    }
    return {**schema, "properties": fields}


def with_words(schema: Schema, words: Mapping[str, Any]) -> Schema:
    """A schema with descriptions of it and its fields from a document.

    Raises:
        KeyError: the descriptions name an unknown field.
    """
    fields: Mapping[str, Schema] = words.get("properties", {})
    unknown = fields.keys() - schema.get("properties", {}).keys()
    if unknown:
        raise KeyError(f"there is no field {', '.join(sorted(unknown))}")
    result = {**schema, **words}
    if "properties" in schema:
        result["properties"] = {
            name: in_order({**field, **fields.get(name, {})}) for name, field in schema["properties"].items()
        }
    return in_order(result)
