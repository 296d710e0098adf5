"""Tests the mutants that mutmut's own runner cannot: those that take effect while a module is imported.

mutmut switches between copies of a function while it runs. Constants, enums, pydantic models and decorated functions
have no such copies, and a function that runs during the import has run before mutmut switches. So each of those gets
a process of its own that imports the changed module. `tests.mutation.run` starts this program where mutmut has run.
"""

import gc
import importlib
import importlib.abc
import json
import os
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from itertools import islice
from math import ceil
from pathlib import Path
from types import CodeType, ModuleType
from typing import Final

import libcst as cst
import pytest
from mutmut.configuration import config
from mutmut.mutation.data import SourceFileMutationData
from mutmut.mutation.mutators import mutation_operators, operator_assignment, operator_string
from mutmut.runners.harness import BadTestExecutionCommandsException, PytestRunner
from mutmut.state import state
from mutmut.stats import load_stats, status_by_exit_code
from mutmut.utils.file_utils import setup_source_paths, walk_mutatable_files
from mutmut.workers.isolation import ForkRunner, run_in_fork_with_result

RESULTS: Final = Path("outside.json")
"""A list of [module, what is changed, its source, its changed source, exit code]."""

# One of mutmut's exit codes for it. 1, another, is also what Python ends with after an exception in this program.
_KILLED: Final = 3
# Loaded once, before the processes part: what the tests spend most of their start on. Nothing of the service.
_LIBRARIES: Final = ("boto3", "hypothesis.strategies", "jsonschema", "jwt", "moto.dynamodb.models", "pydantic", "yaml")
# Decorators and imports fail at once or not at all.
_LEFT_ALONE: Final = (cst.Decorator, cst.Import, cst.ImportFrom)
_TYPES: Final = (cst.Annotation, cst.TypeAlias)


@dataclass(frozen=True, kw_only=True)
class Change:
    path: Path
    where: str
    """The constant, field or function, such as `Status.PAID`."""
    before: str
    after: str
    """The source of the module."""

    @property
    def module(self) -> str:
        return _module(self.path)


def _changes(path: Path) -> Iterator[Change]:
    before = path.read_text(encoding="utf-8")
    tree = cst.parse_module(before)
    for statement in tree.body:
        parts, owner = [statement], ""
        if isinstance(statement, cst.ClassDef):
            parts, owner = [*statement.bases, *statement.keywords, *statement.body.body], f"{statement.name.value}."
        for part in parts:
            if not _is_mutmuts(part):
                for node, changed in _mutants(part, in_type=False):
                    after = tree.deep_replace(node, changed).code
                    yield Change(path=path, where=owner + _name(part), before=before, after=after)


def _module(path: Path) -> str:
    return ".".join(path.with_suffix("").parts[1:]).removesuffix(".__init__")


def _is_mutmuts(part: cst.CSTNode) -> bool:
    """Whether mutmut's own runner mutates it: a function with no decorator but these."""
    return isinstance(part, cst.FunctionDef) and all(
        getattr(decorator.decorator, "value", None) in {"staticmethod", "classmethod"} for decorator in part.decorators
    )


def _mutants(node: cst.CSTNode, *, in_type: bool) -> Iterator[tuple[cst.CSTNode, cst.CSTNode]]:
    """mutmut's catalogue, but None for a value and another case for a text: the type checker and a misspelt text do."""
    if isinstance(node, _LEFT_ALONE):
        return
    # Types are the type checker's, but what a model is told there, such as `Field(alias="amount")`, is code.
    in_type = (in_type or isinstance(node, _TYPES)) and not isinstance(node, cst.Call)
    for kind, operator in mutation_operators:
        if isinstance(node, kind) and not in_type and operator is not operator_assignment:
            for changed in islice(operator(node), 1 if operator is operator_string else None):
                yield node, changed
    for child in node.children:
        yield from _mutants(child, in_type=in_type)


def _name(part: cst.CSTNode) -> str:
    if isinstance(part, cst.SimpleStatementLine):
        part = part.body[0]
    if isinstance(part, cst.Assign):
        part = part.targets[0]
    named = getattr(part, "name", None) or getattr(part, "target", None)
    return str(getattr(named, "value", ""))


class _Changed(importlib.abc.MetaPathFinder):
    """Gives one module's changed source when it is imported."""

    def __init__(self, module: str, path: Path, source: str) -> None:
        class Loader(SourceFileLoader):
            def get_code(self, fullname: str) -> CodeType:
                del fullname
                return self.source_to_code(source.encode(), self.path)

        self._module = module
        self._loader = Loader(module, str(path))

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        del path, target
        if fullname != self._module:
            return None
        return spec_from_file_location(fullname, self._loader.path, loader=self._loader)


class _Runner:
    """Runs pytest in a process that has not imported the service yet."""

    def __init__(self, changes: dict[str, Change]) -> None:
        self._changes = changes

    def run_tests(self, *, mutant_name: str, tests: Sequence[str]) -> int:
        if not mutant_name:
            return _KILLED if self._fails(tests) else 0
        if change := self._changes.get(mutant_name):
            path = Path("mutants").resolve() / change.path
            sys.meta_path.insert(0, _Changed(change.module, path, change.after))
        # File by file, since collecting all of them takes longer than most mutants live; the module's own tests first.
        module = mutant_name.split(".")[-2]
        files = sorted(tests, key=lambda file: module not in file)
        return _KILLED if any(self._fails([file]) for file in files) else 0

    @staticmethod
    def _fails(tests: Sequence[str]) -> bool:
        try:
            return PytestRunner().run_tests(mutant_name=None, tests=tests) not in {
                pytest.ExitCode.OK,
                pytest.ExitCode.NO_TESTS_COLLECTED,
            }
        except BadTestExecutionCommandsException:  # a conftest.py cannot be imported
            return True


def _run_at_import() -> set[str]:
    """The functions that run when a mutated module is imported, as mutmut names them."""
    os.environ["MUTANT_UNDER_TEST"] = "stats"
    for path in walk_mutatable_files():
        importlib.import_module(_module(path))
    return set(state()._stats)  # noqa: SLF001 - mutmut says it nowhere else


def _imported_by_mutmut(
    paths: Sequence[Path], functions: AbstractSet[str]
) -> Iterator[tuple[str, SourceFileMutationData]]:
    """The mutants of these functions, with mutmut's results of their module."""
    for path in paths:
        data = SourceFileMutationData(path=path)
        data.load()
        for name, code in data.exit_code_by_key.items():
            if name.partition("__mutmut_")[0] in functions and status_by_exit_code[code] != "caught by type check":
                yield name, data


def main(jobs: int, modules: Sequence[str]) -> None:
    """Writes `RESULTS`, and corrects what mutmut says of functions that run during the import."""
    setup_source_paths()
    early = run_in_fork_with_result(_run_at_import)
    load_stats()
    seconds = state().duration_by_test
    paths = [path for path in walk_mutatable_files() if not modules or path.stem in modules]
    changes = {f"{c.module}.{number}": c for number, c in enumerate(c for path in paths for c in _changes(path))}
    switched = dict(_imported_by_mutmut(paths, early))
    for library in _LIBRARIES:
        importlib.import_module(library)
    runner = ForkRunner(max_workers=jobs, test_runner=_Runner(changes))
    gc.collect()
    runner.startup()
    # By file, since a changed constant may be part of a test's name.
    files: Counter[str] = Counter()
    for test, duration in seconds.items():
        files[test.partition("::")[0]] += duration
    names = list(seconds)
    seconds.update(files)
    # First without a mutant: file by file, and each test by its name, as mutmut calls it (one that pytest does not find
    # would look like a mutant that is killed).
    for name, tests in ("", names), ("without.mutant", [*files]):
        if _exit_codes(runner, [name], tests, files.total())[name]:
            sys.exit("Without any mutant the tests fail, or one of them is not found by its name.")
    exit_codes = _exit_codes(runner, [*changes, *switched], [*files], files.total())
    if 1 in exit_codes.values():
        sys.exit("A process that tested a mutant has failed by itself.")
    for name, data in switched.items():
        data.exit_code_by_key[name] = exit_codes[name]
        data.save()
    found = [(c.module, c.where, c.before, c.after, exit_codes[name]) for name, c in changes.items()]
    RESULTS.write_text(json.dumps(found), encoding="utf-8")


def _exit_codes(runner: ForkRunner, names: Sequence[str], tests: Sequence[str], seconds: float) -> dict[str, int]:
    limit_s = ceil((seconds + config().timeout_constant) * config().timeout_multiplier * 2)
    codes: dict[str, int] = {}

    def take() -> None:
        result = runner.wait_for_result()
        codes[result.mutant_name] = result.exit_code
        print(f"\r{len(codes)} of {len(names)} that take effect during the import", end="", flush=True)

    for name in names:
        if not runner.has_capacity():
            take()
        runner.submit(name, list(tests), limit_s, seconds)
    while runner.pending_count():
        take()
    print()
    return codes


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
