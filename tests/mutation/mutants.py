"""The mutants of a module: its source with one small change each, by mutmut's catalogue of changes.

mutmut's own runner leaves constants, models, enums and decorated functions alone, and there stands much of what the
core says. So only its catalogue is used, on every expression and statement but those listed in `_is_left_alone`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import libcst as cst
from libcst.metadata import MetadataWrapper, ParentNodeProvider, PositionProvider
from mutmut.mutation.mutators import mutation_operators

# Annotations, type parameters and aliases are for the type checker.
_LEFT_ALONE = (cst.Annotation, cst.TypeParameters, cst.TypeAlias, cst.Decorator, cst.Import, cst.ImportFrom)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """One changed module."""

    path: str
    """Relative to the project."""
    where: str
    """The function or class it is in, such as `PaymentsTable.read`; empty at the top of the module."""
    lines: range
    """The statement that is changed."""
    was: str
    now: str
    """The source lines that differ, without their indentation."""
    in_body: bool
    """Whether the body of a function alone is changed, so that a loaded module need only be given the new body."""
    source: str
    """The whole module as changed."""

    @property
    def module(self) -> str:
        """Such as `payments.core.money`."""
        return ".".join(Path(self.path).with_suffix("").parts[1:])

    @property
    def change(self) -> str:
        """What tells it from every other mutant of the module, whatever line it stands in."""
        return f"{self.where}: {self.was} => {self.now}"


def mutants_of(project: Path, path: str) -> list[Mutant]:
    """Every mutant of a module, in the order of its source.

    Args:
        project: the folder of the project.
        path: of the module, relative to it.
    """
    source = (project / path).read_text(encoding="utf-8")
    wrapper = MetadataWrapper(cst.parse_module(source), unsafe_skip_copy=True)
    found = _Finder(wrapper, path, source).find()
    unique = {mutant.source: mutant for mutant in found if mutant.source != source}
    return list(unique.values())


class _Finder:
    def __init__(self, wrapper: MetadataWrapper, path: str, source: str) -> None:
        self._module = wrapper.module
        self._positions = wrapper.resolve(PositionProvider)
        self._parents = wrapper.resolve(ParentNodeProvider)
        self._path = path
        self._source = source
        # The module in parts, of which a mutant changes one: to write out all of it for each would take minutes.
        module = self._module
        self._head = "".join(module.code_for_node(line) for line in module.header)
        self._parts = {statement: module.code_for_node(statement) for statement in module.body}
        self._foot = "".join(module.code_for_node(line) for line in module.footer)

    def find(self) -> Iterator[Mutant]:
        todo: list[cst.CSTNode] = [self._module]
        while todo:
            node = todo.pop()
            if self._is_left_alone(node):
                continue
            todo += reversed(node.children)
            for kind, operator in mutation_operators:
                if isinstance(node, kind):
                    for changed in operator(node):
                        yield self._mutant(node, changed)

    def _is_left_alone(self, node: cst.CSTNode) -> bool:
        """What no test could tell, or what is not code."""
        # mutmut leaves the second and third alone as well: docstrings (and whatever else stands alone as a string) and
        # the arguments of these built-in functions.
        return (
            isinstance(node, _LEFT_ALONE)
            or (isinstance(node, cst.Expr) and isinstance(node.value, cst.BaseString | cst.Ellipsis))
            or (isinstance(node, cst.Call) and getattr(node.func, "value", None) in {"len", "isinstance"})
            or (isinstance(node, cst.ClassDef) and any(_name(base.value) == "Protocol" for base in node.bases))
        )

    def _mutant(self, node: cst.CSTNode, changed: cst.CSTNode) -> Mutant:
        names: list[str] = []
        in_body = False
        statement: cst.CSTNode | None = None
        above = node
        while True:
            parent = self._parents[above]
            if statement is None and isinstance(above, cst.BaseStatement | cst.ExceptHandler | cst.MatchCase):
                statement = above
            if isinstance(above, cst.FunctionDef):
                names = [above.name.value]  # of functions in functions, the outermost
            if isinstance(above, cst.ClassDef):
                names.append(above.name.value)
            if isinstance(parent, cst.FunctionDef):
                in_body = above is parent.body
            if parent is self._module:
                break
            above = parent
        source = self._with(above, node, changed)
        was, now = _difference(self._source, source)
        return Mutant(
            path=self._path,
            where=".".join(reversed(names)),
            lines=self._lines(node, statement),
            was=was,
            now=now,
            in_body=in_body,
            source=source,
        )

    def _with(self, statement: cst.CSTNode, node: cst.CSTNode, changed: cst.CSTNode) -> str:
        """The module's source with one node of a statement at its top changed."""
        parts = dict(self._parts)
        parts[statement] = self._module.code_for_node(statement.deep_replace(node, changed))
        return "".join([self._head, *parts.values(), self._foot])

    def _lines(self, node: cst.CSTNode, statement: cst.CSTNode | None) -> range:
        if isinstance(statement, cst.SimpleStatementLine):
            node = statement
        position = self._positions[node]
        return range(position.start.line, position.end.line + 1)


def _name(node: cst.BaseExpression) -> str | None:
    return node.value if isinstance(node, cst.Name) else None


def _difference(before: str, after: str) -> tuple[str, str]:
    """The lines that differ, joined and without indentation."""
    old, new = before.splitlines(), after.splitlines()
    while old and new and old[0] == new[0]:
        del old[0], new[0]
    while old and new and old[-1] == new[-1]:
        del old[-1], new[-1]
    return " ".join(line.strip() for line in old), " ".join(line.strip() for line in new)
