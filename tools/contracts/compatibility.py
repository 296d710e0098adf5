"""Compares the contracts with the last release's, in docs/contracts: a breaking change needs a new version.

What callers send must still be accepted. What the service sends must still be readable: readers ignore new fields, and
only the fields that the documents name may get new values.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import yaml

from tools.contracts import events, variants
from tools.contracts.differences import Change, received, sent, written_out
from tools.contracts.schemas import Schema

_VERSION_FIELD: Final = "schema_version"
_PROBLEM: Final = "application/problem+json"
# Errors may get new codes: a caller that does not know one goes by the status (docs/api.md).
_GROWING_IN_ERRORS: Final = frozenset({"code"})


@dataclass(frozen=True)
class Contract:
    """What is published: the OpenAPI description, and the event schemas by file name."""

    openapi: Mapping[str, Any]
    events: Mapping[str, Schema]

    @classmethod
    def read(cls, folder: Path) -> "Contract":
        """The contract in a folder such as docs or docs/contracts/1.0.0."""
        openapi = yaml.safe_load((folder / "openapi.yaml").read_text(encoding="utf-8"))
        return cls(openapi, events.read(folder / "events"))

    @cached_property
    def operations(self) -> Mapping[str, Any]:
        """Every operation without references, by its method and path; the names of path parameters do not matter."""
        return {
            f"{method.upper()} {re.sub(r'{[^}]*}', '{}', path)}": written_out(operation, {"": self.openapi}, "")
            for path, operations in self.openapi["paths"].items()
            for method, operation in operations.items()
        }

    @property
    def version(self) -> str:
        """The version of the service."""
        version: str = self.openapi["info"]["version"]
        return version

    @property
    def schema_version(self) -> str:
        """The version of the events."""
        version: str = self.events[events.SHARED]["$defs"][_VERSION_FIELD]["const"]
        return version


def latest(docs: Path) -> Path:
    """The folder of the last release's contracts."""
    return max((docs / "contracts").iterdir(), key=lambda folder: [int(number) for number in folder.name.split(".")])


def check(docs: Path) -> list[str]:
    """What the contracts in a folder must not change since the last release."""
    return problems(Contract.read(latest(docs)), Contract.read(docs))


def problems(old: Contract, new: Contract) -> list[str]:
    """What the new contract must not change in its version, and what to do; empty if nothing."""
    found: list[str] = []
    of_api = [change for change in api_changes(old.operations, new.operations) if change.breaks]
    if of_api and _major(new.version) == _major(old.version):
        found.append(
            f"The API breaks callers of {old.version}:\n{_listed(of_api)}\n"
            f"Keep what they use, or raise the version in pyproject.toml to {_major(old.version) + 1}.0.0 and say in "
            "CHANGELOG.md how to adapt."
        )
    of_events = list(event_changes(old.events, new.events))
    breaking = [change for change in of_events if change.breaks]
    if breaking and _major(new.schema_version) == _major(old.schema_version):
        found.append(
            f"The events break consumers of schema_version {old.schema_version}:\n{_listed(breaking)}\n"
            f"Keep what they use, or raise SCHEMA_VERSION in shared/payments/core/events.py to "
            f"{_major(old.schema_version) + 1}.0 and say in CHANGELOG.md how to adapt."
        )
    elif of_events and new.schema_version == old.schema_version:
        major, minor = (int(number) for number in old.schema_version.split("."))
        found.append(
            f"The events have additions to schema_version {old.schema_version}:\n{_listed(of_events)}\n"
            f"Raise SCHEMA_VERSION in shared/payments/core/events.py to {major}.{minor + 1}."
        )
    return found


def _major(version: str) -> int:
    return int(version.partition(".")[0])


def _listed(changes: list[Change]) -> str:
    return "\n".join(f"  {change.where}: {change.what}" for change in changes)


# --- events ---------------------------------------------------------------------------------------------------------


def event_changes(old: Mapping[str, Schema], new: Mapping[str, Schema]) -> Iterator[Change]:
    """How the events differ."""
    growing = frozenset(variants.growing())
    for name in sorted((old.keys() | new.keys()) - {events.SHARED}):
        where = name.removesuffix(".schema.json")
        if name not in new:
            yield Change(breaks=True, where=where, what="the event is gone")
        elif name not in old:
            yield Change(breaks=False, where=where, what="the event is new")
        else:
            before, after = (_without_version(written_out(its[name], its, name)) for its in (old, new))
            yield from _placed(where, sent(before, after, growing))


def _without_version(schema: Schema) -> Schema:
    return {**schema, "properties": {name: its for name, its in schema["properties"].items() if name != _VERSION_FIELD}}


# --- the API --------------------------------------------------------------------------------------------------------


def api_changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    """How the operations differ."""
    for route, operation in old.items():
        if route in new:
            yield from _operation_changes(route, operation, new[route])
        else:
            yield Change(breaks=True, where=route, what="the route is gone")
    for route in new.keys() - old.keys():
        yield Change(breaks=False, where=route, what="the route is new")


def _operation_changes(route: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    if not _accesses(old) <= _accesses(new):
        yield Change(breaks=True, where=route, what="callers must authenticate in another way")
    yield from _parameter_changes(route, old, new)
    yield from _body_changes(route, old.get("requestBody", {}), new.get("requestBody", {}))
    for status, response in old["responses"].items():
        if status not in new["responses"]:
            yield Change(breaks=True, where=f"{route} {status}", what="the response is gone")
        else:
            yield from _response_changes(f"{route} {status}", response, new["responses"][status])
    for status in new["responses"].keys() - old["responses"].keys():
        yield Change(breaks=status.startswith("2"), where=f"{route} {status}", what="the response is new")


def _accesses(operation: Mapping[str, Any]) -> set[frozenset[str]]:
    """The ways to authenticate, of which a caller needs one; an empty one for everybody."""
    return {frozenset(way) for way in operation.get("security", [])} or {frozenset()}


def _parameter_changes(route: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    before, after = (
        {(its["in"], its["name"] if its["in"] != "path" else ""): its for its in operation.get("parameters", [])}
        for operation in (old, new)
    )
    for kind, name in before.keys() | after.keys():
        where = f"{route} {kind} {name}".rstrip()
        was, is_now = before.get((kind, name)), after.get((kind, name))
        if is_now is None:
            yield Change(breaks=True, where=where, what="the parameter is gone")
        elif was is None:
            yield Change(breaks=is_now.get("required", False), where=where, what="the parameter is new")
        else:
            if is_now.get("required", False) and not was.get("required", False):
                yield Change(breaks=True, where=where, what="the parameter is now required")
            yield from _placed(where, received(was["schema"], is_now["schema"]))


def _body_changes(route: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    where = f"{route} body"
    if new.get("required", False) and not old.get("required", False):
        yield Change(breaks=True, where=where, what="is now required")
    for kind, media in old.get("content", {}).items():
        if kind not in new.get("content", {}):
            yield Change(breaks=True, where=where, what=f"{kind} is no longer accepted")
        else:
            yield from _placed(where, received(media["schema"], new["content"][kind]["schema"]))


def _response_changes(where: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    for header in old.get("headers", {}).keys() - new.get("headers", {}).keys():
        yield Change(breaks=True, where=where, what=f"the header {header} is gone")
    for kind, media in old.get("content", {}).items():
        if kind not in new.get("content", {}):
            yield Change(breaks=True, where=where, what=f"{kind} is no longer sent")
            continue
        other = new["content"][kind]
        for code in sorted(_codes(media) - _codes(other)):
            yield Change(breaks=True, where=where, what=f"the code {code} is gone")
        growing = _GROWING_IN_ERRORS if kind == _PROBLEM else frozenset()
        yield from _placed(where, sent(media["schema"], other["schema"], growing))


def _codes(media: Mapping[str, Any]) -> set[str]:
    """The codes of the examples: an example of each is in the description."""
    values = (example["value"] for example in media.get("examples", {}).values())
    return {value["code"] for value in values if isinstance(value, dict) and "code" in value}


def _placed(where: str, changes: Iterator[Change]) -> Iterator[Change]:
    for change in changes:
        yield change._replace(where=f"{where} {change.where}".rstrip())
