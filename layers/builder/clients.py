"""Which AWS services the code makes clients of, by reading it."""

import ast
from pathlib import Path

_MAKERS = {"client", "_client", "create_client", "resource"}


class UnreadableClientError(RuntimeError):
    """A client is made of a service that reading the code does not tell."""


def services_of(folders: list[Path]) -> list[str]:
    """The names of the services, sorted.

    Each client is made by a function whose name says so, from a name in quotes. A function of such a name may pass on
    what it was given: its callers are read.

    Raises:
        UnreadableClientError: a name is computed, so that pruning could remove its data.
    """
    services: set[str] = set()
    for source in sorted(path for folder in folders for path in folder.rglob("*.py")):
        _read(ast.parse(source.read_text(encoding="utf-8")), source, services, parameters=set())
    return sorted(services)


def _read(node: ast.AST, source: Path, services: set[str], parameters: set[str]) -> None:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name in _MAKERS:
        parameters = {argument.arg for argument in node.args.args}
    if isinstance(node, ast.Call) and _name(node.func) in _MAKERS:
        given = node.args[0] if node.args else None
        if isinstance(given, ast.Constant) and isinstance(given.value, str):
            services.add(given.value)
        elif not (isinstance(given, ast.Name) and given.id in parameters):
            raise UnreadableClientError(
                f"{source}:{node.lineno} makes a client of a service that is not named in quotes, so the build cannot "
                "know to keep its data."
            )
    for child in ast.iter_child_nodes(node):
        _read(child, source, services, parameters)


def _name(called: ast.expr) -> str:
    if isinstance(called, ast.Attribute):
        return called.attr
    return called.id if isinstance(called, ast.Name) else ""
