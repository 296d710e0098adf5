"""How two versions of a JSON Schema differ, for those who send such values and for those who receive them."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from tools.contracts.schemas import Schema


class Change(NamedTuple):
    """A difference between two contracts."""

    breaks: bool
    where: str
    what: str


def received(old: Schema, new: Schema) -> Iterator[Change]:
    """The changes of what callers send."""
    return _Received().compare(old, new, ())


def sent(old: Schema, new: Schema, growing: frozenset[str]) -> Iterator[Change]:
    """The changes of what the service sends.

    Args:
        old: a schema of `written_out`, as the next one.
        new: the present one.
        growing: the fields that may get new values, by their path.
    """
    return _Sent(growing).compare(old, new, ())


_LOWER: Final = ("minimum", "minLength", "minItems")
_UPPER: Final = ("maximum", "maxLength", "maxItems")
_EXACT: Final = ("pattern", "format")
_COMBINED: Final = ("allOf", "anyOf", "oneOf")
_COMPARED: Final = frozenset(
    {*_LOWER, *_UPPER, *_EXACT, *_COMBINED, "type", "enum", "const", "items"}
    | {"properties", "required", "additionalProperties", "default"}
)
# What a program does not read.
_SAID: Final = frozenset({"$schema", "$defs", "title", "description", "example", "examples"})
_OF_A_TYPE: Final[Mapping[str, tuple[str, ...]]] = {
    "string": ("minLength", "maxLength", "pattern", "format"),
    "integer": ("minimum", "maximum"),
    "number": ("minimum", "maximum"),
    "array": ("minItems", "maxItems", "items"),
    "object": ("properties", "required", "additionalProperties"),
    "boolean": (),
    "null": (),
}

type Alternative = dict[str, Any]
"""A schema of one type; of any type if it has no `type`."""


def written_out(part: Any, files: Mapping[str, Any], file: str) -> Any:  # noqa: ANN401 - any part of a document
    """The same without references. What is beside one is combined with its target."""
    if isinstance(part, list):
        return [written_out(item, files, file) for item in part]
    if not isinstance(part, dict):
        return part
    rest = {name: written_out(value, files, file) for name, value in part.items() if name != "$ref"}
    if "$ref" not in part:
        return rest
    named, _, pointer = part["$ref"].partition("#")
    source = named or file
    target = files[source]
    for name in filter(None, pointer.split("/")):
        target = target[name]
    found = written_out(target, files, source)
    return {**rest, "allOf": [found, *rest.get("allOf", [])]} if rest else found


def _alternatives(schema: Schema) -> list[Alternative]:
    """One schema for each type that a value may have.

    Raises:
        ValueError, TypeError: a keyword or its value is not known here, so a change of it would go unnoticed.
    """
    unknown = schema.keys() - _COMPARED - _SAID
    if unknown:
        raise ValueError(f"teach {__name__} to compare {', '.join(sorted(unknown))}")
    if not isinstance(schema.get("additionalProperties", True), bool):
        raise TypeError(f"teach {__name__} to compare schemas of additional properties")
    found = list(_of_each_type(schema))
    for keyword in ("anyOf", "oneOf"):
        if keyword in schema:
            found = _both(found, [option for part in schema[keyword] for option in _alternatives(part)])
    for part in schema.get("allOf", []):
        found = _both(found, _alternatives(part))
    return found


def _of_each_type(schema: Schema) -> Iterator[Alternative]:
    values = [schema["const"]] if "const" in schema else schema.get("enum")
    types = schema.get("type")
    if types is None and values is not None:
        types = list(dict.fromkeys(_type_of(value) for value in values))
    if types is None:
        keywords = schema.keys() & {keyword for keywords in _OF_A_TYPE.values() for keyword in keywords}
        types = [name for name, its in _OF_A_TYPE.items() if keywords and keywords <= set(its)][:1]
    if not types:
        yield {}
    for name in [types] if isinstance(types, str) else types:
        one = {"type": name, **{keyword: schema[keyword] for keyword in _OF_A_TYPE[name] if keyword in schema}}
        for keyword in _EXACT:
            if keyword in one:
                one[keyword] = frozenset({one[keyword]})
        if values is None:
            yield one
        elif fitting := [value for value in values if _takes(name, _type_of(value))]:
            yield {**one, "enum": fitting}


_TYPES: Final = ((type(None), "null"), (bool, "boolean"), (int, "integer"), (float, "number"), (str, "string"))


def _type_of(value: object) -> str:
    return next((name for kind, name in _TYPES if isinstance(value, kind)), "object")


def _takes(wide: str | None, narrow: str | None) -> bool:
    return wide in {None, narrow} or (wide, narrow) == ("number", "integer")


def _both(some: list[Alternative], others: list[Alternative]) -> list[Alternative]:
    """What satisfies one of both lists."""
    return [merged for one in some for other in others if (merged := _merged(one, other)) is not None]


def _merged(one: Alternative, other: Alternative) -> Alternative | None:
    """What satisfies both; None if nothing does."""
    types = [part["type"] for part in (one, other) if "type" in part]
    narrow = min(types, key=lambda name: name == "number", default=None)
    if not all(_takes(name, narrow) for name in types):
        return None
    result = {**one, **other, **({"type": narrow} if types else {})}
    for keyword in one.keys() & other.keys() - {"type"}:
        result[keyword] = _MERGING[keyword](one[keyword], other[keyword])
    return result if result.get("enum", [...]) else None


def _with_all_fields(mine: Mapping[str, Schema], its: Mapping[str, Schema]) -> dict[str, Schema]:
    return {name: {"allOf": [part[name] for part in (mine, its) if name in part]} for name in {**mine, **its}}


_MERGING: Final[Mapping[str, Callable[[Any, Any], Any]]] = {
    **dict.fromkeys(_LOWER, max),
    **dict.fromkeys(_UPPER, min),
    **dict.fromkeys(_EXACT, frozenset.union),
    "enum": lambda mine, its: [value for value in mine if value in its],
    "required": lambda mine, its: list(dict.fromkeys([*mine, *its])),
    "properties": _with_all_fields,
    "items": lambda mine, its: {"allOf": [mine, its]},
    "additionalProperties": lambda mine, its: mine and its,
}


class _Received:
    """What callers send: every value that was accepted must be accepted."""

    def compare(self, old: Schema, new: Schema, path: tuple[str, ...]) -> Iterator[Change]:
        """The changes of a schema and its fields."""
        if "default" in old and old["default"] != new.get("default"):
            yield _change(path, f"the default changes from {old['default']} to {new.get('default')}")
        yield from self._all_fit(_alternatives(old), _alternatives(new), path)

    def _all_fit(self, some: list[Alternative], others: list[Alternative], path: tuple[str, ...]) -> Iterator[Change]:
        """Whatever is no longer possible: `some` occur, `others` are allowed."""
        for one in some:
            fitting = [other for other in others if _takes(other.get("type"), one.get("type"))]
            if not fitting:
                yield _change(path, self.of_another_type(one.get("type", "anything")))
                continue
            tried = [list(self._fits(one, other, path)) for other in fitting]
            yield from min(tried, key=lambda changes: sum(change.breaks for change in changes))

    def of_another_type(self, name: str) -> str:
        """Says that values of a type do not fit."""
        return f"{name} is no longer accepted"

    def _fits(self, one: Alternative, other: Alternative, path: tuple[str, ...]) -> Iterator[Change]:
        for keyword in (*_LOWER, *_UPPER):
            limit, its = other.get(keyword), one.get(keyword)
            if limit is not None and (its is None or (its < limit if keyword in _LOWER else its > limit)):
                yield _change(path, f"{keyword} changes: {self.order(its, limit)}")
        for keyword in _EXACT:
            if not other.get(keyword, frozenset()) <= one.get(keyword, frozenset()):
                before, after = (" and ".join(sorted(its.get(keyword, ["none"]))) for its in (one, other))
                yield _change(path, f"{keyword} changes: {self.order(before, after)}")
        if "enum" in other:
            yield from self.values(one.get("enum"), other["enum"], path)
        for name in other.get("required", []):
            if name not in one.get("required", []):
                yield from self.missing(one, name, path)
        yield from self.fields(one, other, path)
        if "items" in other:
            yield from self.compare(*self.in_time(one.get("items", {}), other["items"]), (*path, "[]"))

    def order(self, one: object, other: object) -> str:
        """Old and new value of a keyword."""
        return "{} to {}".format(*self.in_time(one, other))

    def in_time[T](self, one: T, other: T) -> tuple[T, T]:
        """Old and new, from what occurs and what is allowed."""
        return one, other

    def values(self, occurring: list[Any] | None, allowed: list[Any], path: tuple[str, ...]) -> Iterator[Change]:
        """Compares enumerations; without one, any value may occur."""
        refused = None if occurring is None else [value for value in occurring if value not in allowed]
        if refused is None:
            yield _change(path, f"only {_words(allowed)} is accepted")
        elif refused:
            yield _change(path, f"{_words(refused)} is no longer accepted")

    def missing(self, one: Alternative, name: str, path: tuple[str, ...]) -> Iterator[Change]:  # noqa: ARG002 - see _Sent
        """A field that must be there, and was not always."""
        yield _change((*path, name), "is now required")

    def fields(self, one: Alternative, other: Alternative, path: tuple[str, ...]) -> Iterator[Change]:
        """Compares the fields of objects."""
        before, after = one.get("properties", {}), other.get("properties", {})
        for name, schema in before.items():
            if name in after:
                yield from self.compare(schema, after[name], (*path, name))
            else:
                yield _change((*path, name), "is no longer accepted")
        if one.get("additionalProperties", True) and not other.get("additionalProperties", True):
            yield _change(path, "other fields are no longer accepted")
        for name in after.keys() - before.keys():
            yield _change((*path, name), "is new", breaks=False)
            if one.get("type") == "object" and one.get("additionalProperties", True):
                # It could be sent before, with any value.
                yield from self.compare({}, after[name], (*path, name))


class _Sent(_Received):
    """What the service sends: what is received now must be what was promised, but for new fields and growing values."""

    def __init__(self, growing: frozenset[str]) -> None:
        self._growing = growing

    def compare(self, old: Schema, new: Schema, path: tuple[str, ...]) -> Iterator[Change]:
        before, after = _alternatives(old), _alternatives(new)
        yield from self._all_fit(after, before, path)
        types = {one.get("type") for one in after}
        for name in {one.get("type") for one in before} - types:
            if not any(_takes(name, its) for its in types):
                yield _change(path, f"is never {name} any more")

    def of_another_type(self, name: str) -> str:
        return f"may now be {name}"

    def in_time[T](self, one: T, other: T) -> tuple[T, T]:
        return other, one

    def values(self, occurring: list[Any] | None, allowed: list[Any], path: tuple[str, ...]) -> Iterator[Change]:
        if occurring is None:
            yield _change(path, f"may now be anything besides {_words(allowed)}")
            return
        added = [value for value in occurring if value not in allowed]
        gone = [value for value in allowed if value not in occurring]
        if added:
            yield _change(path, f"may now be {_words(added)}", breaks=".".join(path) not in self._growing)
        if gone:
            yield _change(path, f"is never {_words(gone)} any more")

    def missing(self, one: Alternative, name: str, path: tuple[str, ...]) -> Iterator[Change]:
        if name in one.get("properties", {}):
            yield _change((*path, name), "may now be absent")

    def fields(self, one: Alternative, other: Alternative, path: tuple[str, ...]) -> Iterator[Change]:
        after, before = one.get("properties", {}), other.get("properties", {})
        for name, schema in before.items():
            if name in after:
                yield from self.compare(schema, after[name], (*path, name))
            else:
                yield _change((*path, name), "is gone")
        for name in after.keys() - before.keys():
            yield _change((*path, name), "is new", breaks=False)


def _change(path: tuple[str, ...], what: str, *, breaks: bool = True) -> Change:
    return Change(breaks, ".".join(path), what)


def _words(values: list[Any]) -> str:
    return " or ".join(map(str, values))
