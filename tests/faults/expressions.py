"""The DynamoDB expressions that the service and its tests use: parsed once, then evaluated on typed items.

Other features of DynamoDB (BETWEEN, IN, NOT, `contains`, arithmetic, sets, list indexes) raise an AssertionError: add
them here first, with cases in the contract test.

Grammar and meaning: "Condition and filter expressions, operators, and functions in DynamoDB", "Using update expressions
in DynamoDB", "Using projection expressions in DynamoDB" (DynamoDB developer guide). Where these are not specific, it
follows DynamoDB Local, Amazon's own engine; `tests/table/test_dynamodb_contract.py` compares them.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Context, Decimal
from functools import cache, lru_cache
from importlib.util import find_spec
from operator import ge, gt, le, lt
from pathlib import Path as File
from typing import Any, Final, NamedTuple

type Value = dict[str, Any]
"""A value with its type: `{"N": "3"}`."""
type Item = dict[str, Any]
type Path = tuple[str, ...]
"""A document path: names of attributes and members."""
type Operand = Callable[[Item, Bound], Value | None]
"""The value of an operand on an item; None if absent."""
type Condition = Callable[[Item, Bound], bool]
"""Whether a condition holds for an item; a missing item counts as empty."""

_TOKEN: Final = re.compile(r"\s*(?:([#:][A-Za-z0-9_]+|[A-Za-z_][A-Za-z0-9_]*|\d+|<>|<=|>=|[=<>+\-().,\[\]])|(\S))")
_WORD: Final = re.compile(r"[A-Za-z_#]")
_KEPT: Final = 20_000
"""The number of parsed expressions to cache; a campaign uses the same few repeatedly."""
_NUMBERS: Final = Context(prec=38)
"""DynamoDB keeps 38 digits ("Service, account, and table quotas in Amazon DynamoDB", data types)."""
_ORDERED: Final = frozenset({"S", "N"})
_UNKNOWN: Final = frozenset({"BETWEEN", "IN", "NOT", "CONTAINS", "ATTRIBUTE_TYPE", "DELETE", "+", "-", "["})
"""DynamoDB's words and signs that are not supported here."""
_ORDERS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {"<": lt, "<=": le, ">": gt, ">=": ge}
_NO_PATH: Final = "The document path provided in the update expression is invalid for update"
_NO_VALUE: Final = "The provided expression refers to an attribute that does not exist in the item"
_WRONG_TYPE: Final = "An operand in the update expression has an incorrect data type"


class Refused(Exception):
    """DynamoDB or EventBridge refuses the request itself."""

    def __init__(self, message: str, code: str = "ValidationException") -> None:
        super().__init__(message)
        self.message = message
        self.code = code


@dataclass(frozen=True, slots=True)
class Bound:
    """The names and values behind one request's placeholders."""

    names: Mapping[str, str]
    values: Mapping[str, Value]

    def path(self, path: Path) -> Path:
        """The path with its real names."""
        return tuple([self.names.get(part, part) for part in path])


class Compared(NamedTuple):
    """One part of a key condition."""

    path: Path
    sign: str
    value: str
    """The placeholder."""


@dataclass(frozen=True, slots=True)
class Used:
    """The placeholders and operators that an expression uses."""

    names: frozenset[str]
    values: frozenset[str]
    operators: int
    """Comparisons, logic, arithmetic and functions; the `=` of a SET does not count."""


# --- values ---------------------------------------------------------------------------------------------------------


def at(item: Item, path: Path) -> Value | None:
    """The value at a path of an item."""
    name, *rest = path
    value = item.get(name)
    for part in rest:
        value = None if value is None or "M" not in value else value["M"].get(part)
    return value


def _size(value: Value | None) -> Value | None:
    if value is None:
        return None
    ((kind, content),) = value.items()
    return {"N": str(len(content))} if kind in {"S", "M", "L", "SS"} else None


def _appended(first: Value | None, second: Value | None) -> Value:
    if first is None or second is None:
        raise Refused(_NO_VALUE)
    if "L" not in first or "L" not in second:
        raise Refused(_WRONG_TYPE)
    return {"L": first["L"] + second["L"]}


def _begins_with(value: Value | None, begin: Value | None) -> bool:
    return value is not None and begin is not None and "S" in value and value["S"].startswith(begin["S"])


def equal(first: Value, second: Value) -> bool:
    """Whether two values are equal; numbers compare by value."""
    if first == second:
        return True
    ((kind, content),), ((other_kind, other),) = first.items(), second.items()
    if kind != other_kind:
        return False
    match kind:
        case "N":
            return Decimal(content) == Decimal(other)
        case "L":
            return len(content) == len(other) and all(map(equal, content, other))
        case "M":
            return content.keys() == other.keys() and all(equal(content[name], other[name]) for name in content)
    return False


def compare(sign: str, first: Value | None, second: Value | None) -> bool:
    """Whether a comparison holds; an absent value differs from everything."""
    if sign in {"=", "<>"}:
        same = first is not None and second is not None and equal(first, second)
        return same == (sign == "=")
    if first is None or second is None:
        return False
    ((kind, content),), ((other_kind, other),) = first.items(), second.items()
    if other_kind not in _ORDERED:
        raise Refused(
            "Invalid ConditionExpression: Incorrect operand type for operator or function; operator or "
            f"function: {sign}, operand type: {other_kind}"
        )
    key = sort_key(kind)
    return kind == other_kind and _ORDERS[sign](key(content), key(other))


def sort_key(kind: str) -> Callable[[Any], Any]:
    """The sort key within one type: numbers by value, texts by their UTF-8 bytes."""
    return Decimal if kind == "N" else str.encode


# --- updates --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Action:
    """One action of an update."""

    verb: str
    path: Path
    operand: Operand | None = None
    """None for REMOVE."""


@dataclass(frozen=True, slots=True)
class Update:
    """An update expression."""

    actions: tuple[Action, ...]

    def paths(self, bound: Bound) -> list[Path]:
        """The paths it changes.

        Raises:
            Refused: two of them overlap.
        """
        paths = [bound.path(action.path) for action in self.actions]
        known: set[Path] = set()
        for path in sorted(paths, key=len):
            for length in range(1, len(path) + 1):
                if path[:length] in known:
                    raise Refused(
                        "Invalid UpdateExpression: Two document paths overlap with each other; must remove or rewrite "
                        f"one of these paths; path one: [{', '.join(path[:length])}], path two: [{', '.join(path)}]"
                    )
            known.add(path)
        return paths

    def applied(self, item: Item, bound: Bound) -> Item:
        """The item after the update. Operands have their values from before it.

        Raises:
            Refused: a path or an operand is missing from the item, or has the wrong type.
        """
        changing = _Changing(item)
        paths = self.paths(bound)
        for action, path in zip(self.actions, paths, strict=True):
            value = None if action.operand is None else action.operand(item, bound)
            match action.verb:
                case "SET":
                    if value is None:
                        raise Refused(_NO_VALUE)
                    changing.put(path, value)
                case "REMOVE":
                    changing.remove(path)
                case _:
                    changing.put(path, _added(at(item, path), value))
        return changing.item


class _Changing:
    """An item being updated: changed parts are copied, the rest is shared with the old item."""

    def __init__(self, item: Item) -> None:
        self.item = dict(item)
        self._own = {id(self.item)}

    def put(self, path: Path, value: Value) -> None:
        holder, last = self._holder(path)
        holder[last] = value

    def remove(self, path: Path) -> None:
        holder, last = self._holder(path)
        holder.pop(last, None)

    def _holder(self, path: Path) -> tuple[dict[str, Any], str]:
        """The map that contains the last part of a path."""
        holder: dict[str, Any] = self.item
        for part in path[:-1]:
            if "M" not in holder.get(part, {}):
                raise Refused(_NO_PATH)
            content = holder[part]["M"]
            if id(content) not in self._own:
                content = content.copy()
                self._own.add(id(content))
                holder[part] = {"M": content}
            holder = content
        return holder, path[-1]


def _added(stored: Value | None, more: Value | None) -> Value:
    assert more is not None
    assert "N" in more, "this stand-in for DynamoDB adds numbers alone"
    if stored is None:
        return more
    if "N" not in stored:
        raise Refused(_WRONG_TYPE)
    total = _NUMBERS.add(Decimal(stored["N"]), Decimal(more["N"]))
    return {"N": format(total.normalize(_NUMBERS), "f")}


# --- reading --------------------------------------------------------------------------------------------------------


@lru_cache(_KEPT)
def condition(text: str) -> tuple[Condition, Used]:
    """Parses a ConditionExpression or FilterExpression, or finds what a KeyConditionExpression uses.

    Raises:
        Refused: it is invalid; the message does not name the parameter.
    """
    reader = _Reader(text)
    read = reader.either()
    reader.end()
    return read, reader.used()


@lru_cache(_KEPT)
def key_condition(text: str) -> tuple[Compared, ...]:
    """Parses a KeyConditionExpression: one condition per attribute.

    Raises:
        Refused: as `condition`.
    """
    reader = _Reader(text)
    read = tuple(reader.compared())
    reader.end()
    return read


@lru_cache(_KEPT)
def update(text: str) -> tuple[Update, Used]:
    """Reads an UpdateExpression.

    Raises:
        Refused: as `condition`.
    """
    reader = _Reader(text)
    read = Update(tuple(reader.actions()))
    reader.end()
    return read, reader.used()


@lru_cache(_KEPT)
def projection(text: str) -> tuple[tuple[Path, ...], Used]:
    """Reads a ProjectionExpression.

    Raises:
        Refused: as `condition`.
    """
    reader = _Reader(text)
    read = tuple(reader.listed(reader.path))
    reader.end()
    return read, reader.used()


_CONDITION_FUNCTIONS: Final = {"attribute_exists": 1, "attribute_not_exists": 1, "begins_with": 2}


class _Reader:
    """Reads one expression from left to right."""

    def __init__(self, text: str) -> None:
        self._tokens = list(_tokens(text))
        self._place = 0
        self._names: set[str] = set()
        self._values: set[str] = set()
        self._operators = 0
        self._group = (-1, -1)
        """Start and end of the last expression in parentheses."""
        if not self._tokens:
            raise Refused("The expression can not be empty;")
        unknown = _UNKNOWN & {token.upper() for token in self._tokens}
        assert not unknown, f"this stand-in for DynamoDB does not know {', '.join(sorted(unknown))}"

    def used(self) -> Used:
        return Used(frozenset(self._names), frozenset(self._values), self._operators)

    def end(self) -> None:
        if self._place < len(self._tokens):
            raise self._wrong()

    def listed[T](self, read: Callable[[], T]) -> Iterator[T]:
        yield read()
        while self._take(","):
            yield read()

    # conditions, lowest precedence first

    def either(self) -> Condition:
        conditions = [self._both()]
        while self._word("OR"):
            self._operators += 1
            conditions.append(self._both())
        return lambda item, bound: any(condition(item, bound) for condition in conditions)

    def _both(self) -> Condition:
        conditions = [self._primary()]
        while self._word("AND"):
            self._operators += 1
            conditions.append(self._primary())
        return lambda item, bound: all(condition(item, bound) for condition in conditions)

    def _primary(self) -> Condition:
        begin = self._place
        if self._take("("):
            inner = self.either()
            self._expect(")")
            if self._group == (begin + 1, self._place - 1):
                raise Refused("The expression has redundant parentheses;")
            self._group = (begin, self._place)
            return inner
        return self._test()

    def _test(self) -> Condition:
        name = self._next()
        if name in _CONDITION_FUNCTIONS and self._next(1) == "(":
            self._place += 2
            self._operators += 1
            arguments = tuple(self.listed(self._operand))
            self._expect(")")
            if len(arguments) != _CONDITION_FUNCTIONS[name]:
                raise Refused(
                    f"Incorrect number of operands for operator or function; operator or function: {name}, "
                    f"number of operands: {len(arguments)}"
                )
            match name:
                case "attribute_exists":
                    return lambda item, bound: arguments[0](item, bound) is not None
                case "attribute_not_exists":
                    return lambda item, bound: arguments[0](item, bound) is None
            return lambda item, bound: _begins_with(*(argument(item, bound) for argument in arguments))
        first = self._operand()
        self._operators += 1
        sign = self._sign()
        second = self._operand()
        return lambda item, bound: compare(sign, first(item, bound), second(item, bound))

    def compared(self) -> Iterator[Compared]:
        while True:
            path, sign, value = self.path(), self._sign(), self._next()
            if not value.startswith(":"):
                raise self._wrong()
            self._place += 1
            yield Compared(path, sign, value)
            if not self._word("AND"):
                return

    def _sign(self) -> str:
        sign = self._next()
        if sign not in {"=", "<>", *_ORDERS}:
            raise self._wrong()
        self._place += 1
        return sign

    def _operand(self) -> Operand:
        token = self._next()
        if token.startswith(":"):
            self._place += 1
            self._values.add(token)
            return lambda _, bound: bound.values[token]
        if token == "size" and self._next(1) == "(":
            self._place += 2
            self._operators += 1
            inner = self._operand()
            self._expect(")")
            return lambda item, bound: _size(inner(item, bound))
        path = self.path()
        return lambda item, bound: at(item, bound.path(path))

    # updates

    def actions(self) -> Iterator[Action]:
        seen: set[str] = set()
        while self._place < len(self._tokens):
            verb = self._next().upper()
            if verb not in {"SET", "REMOVE", "ADD"}:
                raise self._wrong()
            if verb in seen:
                raise Refused(f'The "{verb}" section can only be used once in an update expression;')
            seen.add(verb)
            self._place += 1
            yield from self.listed(lambda verb=verb: self._action(verb))  # type: ignore[misc]  # a default binds it

    def _action(self, verb: str) -> Action:
        path = self.path()
        match verb:
            case "SET":
                self._expect("=")
                return Action(verb, path, self._new_value())
            case "REMOVE":
                return Action(verb, path)
        if not self._next().startswith(":"):
            raise self._wrong()
        return Action(verb, path, self._operand())

    def _new_value(self) -> Operand:
        name = self._next()
        if name not in {"if_not_exists", "list_append"} or self._next(1) != "(":
            return self._operand()
        self._place += 2
        self._operators += 1
        first = self._new_value()
        self._expect(",")
        second = self._new_value()
        self._expect(")")
        if name == "list_append":
            return lambda item, bound: _appended(first(item, bound), second(item, bound))

        def if_not_exists(item: Item, bound: Bound) -> Value | None:
            found = first(item, bound)
            return second(item, bound) if found is None else found

        return if_not_exists

    # paths

    def path(self) -> Path:
        parts = [self._name()]
        while self._take("."):
            parts.append(self._name())
        return tuple(parts)

    def _name(self) -> str:
        name = self._next()
        if not _WORD.match(name):
            raise self._wrong()
        if name.startswith("#"):
            self._names.add(name)
        elif name.upper() in reserved_words():
            raise Refused(f"Attribute name is a reserved keyword; reserved keyword: {name}")
        self._place += 1
        return name

    # tokens

    def _next(self, ahead: int = 0) -> str:
        place = self._place + ahead
        return self._tokens[place] if place < len(self._tokens) else ""

    def _take(self, token: str) -> bool:
        taken = self._next() == token
        self._place += taken
        return taken

    def _word(self, word: str) -> bool:
        taken = self._next().upper() == word
        self._place += taken
        return taken

    def _expect(self, token: str) -> None:
        if not self._take(token):
            raise self._wrong()

    def _wrong(self) -> Refused:
        near = " ".join(self._tokens[max(0, self._place - 1) : self._place + 2])
        return Refused(f'Syntax error; token: "{self._next() or "<EOF>"}", near: "{near}"')


def _tokens(text: str) -> Iterator[str]:
    for found in _TOKEN.finditer(text.rstrip()):
        token, other = found.groups()
        if other is not None:
            raise Refused(f'Syntax error; token: "{other}", near: "{text[found.start() : found.start() + 10]}"')
        yield token


@cache
def reserved_words() -> frozenset[str]:
    """Names that an expression cannot use directly ("Reserved words in DynamoDB"): moto's copy of the list."""
    moto = find_spec("moto")
    assert moto is not None
    assert moto.origin is not None
    listed = File(moto.origin).parent / "dynamodb/parsing/reserved_keywords.txt"
    return frozenset(listed.read_text(encoding="utf-8").split())
