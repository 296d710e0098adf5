"""What a document must look like to become one of our dataclasses, told to pydantic's validator.

The validator alone, `pydantic_core`, without the model classes that usually stand before it: those read annotations
whenever a function starts, a third of a cold start for a dozen small models. What they would make of the same fields is
held against this in `tests/core/test_shapes.py`.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from pydantic_core import SchemaValidator

from payments.core.model import MAX_ID

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

type Schema = Mapping[str, Any]
"""A schema of pydantic's validator."""

ANYTHING: Schema = {"type": "any"}
STRING: Schema = {"type": "str", "strict": True}
BOOLEAN: Schema = {"type": "bool"}
"""True or false, or what stands for it elsewhere: 1, "true", "yes" and their opposites."""


def matching(expression: re.Pattern[str]) -> Schema:
    """A text of this form, which the expression describes from its beginning to its end."""
    # The validator's expressions are Rust's, where the end of the text has another name.
    return {**STRING, "pattern": expression.pattern.replace(r"\Z", r"\z")}


def integer(least: int, most: int = MAX_ID) -> Schema:
    """An integer within bounds, and neither a text nor a boolean nor a number with a point."""
    return {"type": "int", "strict": True, "ge": least, "le": most}


def optional(schema: Schema) -> Schema:
    """The same, or null."""
    return {"type": "nullable", "schema": schema}


def after(change: Callable[[Any], object], schema: Schema) -> Schema:
    """What a function makes of the value has this schema."""
    return {"type": "function-before", "function": {"type": "no-info", "function": change}, "schema": schema}


def inside(name: str, schema: Schema) -> Schema:
    """What an object holds under this name, in place of the object; whatever else is in it is left alone."""
    return {
        "type": "function-after",
        "function": {"type": "no-info", "function": itemgetter(name)},
        "schema": {"type": "typed-dict", "fields": {name: {"type": "typed-dict-field", "schema": schema}}},
    }


class Shape[T: DataclassInstance]:
    """A JSON object that becomes a dataclass. A field that has a default there may be missing."""

    def __init__(self, kind: type[T], members: Mapping[str, Schema], *, closed: bool = False) -> None:
        """Every field of the dataclass with its schema.

        Args:
            kind: the dataclass.
            members: the fields' schemas by name.
            closed: refuse an object that has anything else in it; otherwise that is left alone.

        Raises:
            TypeError: a field has no schema, or a schema no field.
        """
        defaults = {field.name: field.default for field in fields(kind)}
        if defaults.keys() != members.keys():
            raise TypeError(f"{kind.__name__}: {', '.join(sorted(defaults.keys() ^ members.keys()))}")
        arguments = []
        for name, member in members.items():
            default = defaults[name]
            value = member if default is MISSING else {"type": "default", "schema": member, "default": default}
            arguments.append({"type": "dataclass-field", "name": name, "schema": value})
        schema: Any = {
            "type": "dataclass",
            "cls": kind,
            "slots": True,
            "fields": list(members),
            "schema": {
                "type": "dataclass-args",
                "dataclass_name": kind.__name__,
                "fields": arguments,
                "extra_behavior": "forbid" if closed else "ignore",
            },
        }
        self.schema: Schema = schema
        """Its own, for a shape that has such an object in it."""
        self._validator = SchemaValidator(schema)

    def read(self, document: object) -> T:
        """The dataclass that a document describes.

        Args:
            document: as parsed from JSON.

        Raises:
            pydantic_core.ValidationError: it does not fit; its `errors()` name every wrong place.
        """
        read: T = self._validator.validate_python(document)
        return read
