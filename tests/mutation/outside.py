"""Tests the mutants that mutmut's own runner cannot: those that take effect while a module is imported.

mutmut switches between copies of a function while it runs. Constants, enums, pydantic models and decorated functions
have no such copies, and a function that runs during the import has run before mutmut switches. So each of those gets
a process of its own that imports the changed module. `tests.mutation.run` starts this program where mutmut has run.
"""

import gc
import importlib
import json
import linecache
import os
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from importlib.machinery import ModuleSpec
from importlib.util import find_spec, module_from_spec
from itertools import islice
from math import ceil
from pathlib import Path
from typing import Final, TextIO, cast

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

RESULTS: Final = Path("outside.jsonl")
"""A line for each mutant and control: its name here, its exit code, who killed it, and what it changes, if that is not
mutmut's."""

# Without a mutant: each test by its name, as mutmut calls it. One that pytest does not find would look like a killed
# mutant. In the end a control for each module runs all files that have killed its mutants, with the module imported as
# a changed one is.
_BY_NAME: Final = "tests.by_name"
_UNCHANGED: Final = ".unchanged"
# What a process ends with that the first file of tests has killed. Python itself ends with 1 after an exception.
_KILLED: Final = 100
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

    @property
    def words(self) -> str:
        return words_changed(self.before, self.after)


def words_changed(before: str, after: str) -> str:
    """What differs between two sources, in whole words and operators, such as `AND -> and`."""
    old, new = (re.findall(r"\w+|[-+*/<>=!]+|\s+|.", source) for source in (before, after))
    while old and new and old[0] == new[0]:
        del old[0], new[0]
    while old and new and old[-1] == new[-1]:
        del old[-1], new[-1]
    return " -> ".join(" ".join("".join(part).split()) for part in (old, new)).strip()


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


def _import_changed(change: Change) -> None:
    spec = cast("ModuleSpec", find_spec(change.module))
    # mutmut has its own text in that file; `make contracts` reads what is below a field there.
    lines = change.after.splitlines(keepends=True)
    linecache.cache[str(spec.origin)] = (len(change.after), None, lines, str(spec.origin))
    module = sys.modules[change.module] = module_from_spec(spec)
    exec(compile(change.after, str(spec.origin), "exec", dont_inherit=True), vars(module))  # noqa: S102 - the mutant


class _Runner:
    """Runs pytest in a process that has not imported the service yet, and answers which file of tests failed."""

    def __init__(self, changes: Mapping[str, Change], files: Sequence[str], killers: Iterable[tuple[str, str]]) -> None:
        self._changes = changes
        self._files = files
        self._killers: dict[str, Counter[str]] = defaultdict(Counter)
        for mutant_name, file in killers:
            self._killers[_module_of(mutant_name)][file] += 1

    def run_tests(self, *, mutant_name: str, tests: Sequence[str]) -> int:
        if change := self._changes.get(mutant_name):
            try:
                _import_changed(change)
            except Exception:  # noqa: BLE001 - whatever it is, every test that needs the module would fail
                return _KILLED
        # File by file, since collecting all of them takes longer than most mutants live.
        for part in [tests] if mutant_name == _BY_NAME else [[file] for file in self._ordered(mutant_name)]:
            if self._fails(part):
                return _KILLED + self._files.index(part[0].partition("::")[0])
        return 0

    def _ordered(self, mutant_name: str) -> list[str]:
        """What has killed most mutants of the module first, then the module's own tests, then the fastest."""
        module = _module_of(mutant_name)
        if mutant_name.endswith(_UNCHANGED):
            return list(self._killers[module])
        return sorted(self._files, key=lambda file: (-self._killers[module][file], module not in file))

    def learn(self, mutant_name: str, exit_code: int) -> tuple[int, str]:
        """pytest's exit code for it, and which file has killed it."""
        if exit_code == 1:
            sys.exit(f"The process that tested {mutant_name} has failed by itself.")
        if exit_code < _KILLED:
            return exit_code, ""
        # A mutant that cannot be imported fails in whatever file comes first.
        killer = self._files[exit_code - _KILLED]
        self._killers[_module_of(mutant_name)][killer] += 1
        return 1, killer

    @staticmethod
    def _fails(tests: Sequence[str]) -> bool:
        try:
            return PytestRunner().run_tests(mutant_name=None, tests=tests) not in {
                pytest.ExitCode.OK,
                pytest.ExitCode.NO_TESTS_COLLECTED,
            }
        except BadTestExecutionCommandsException:  # a conftest.py cannot be imported
            return True


def _module_of(mutant_name: str) -> str:
    return mutant_name.split(".")[-2]


def _run_at_import() -> set[str]:
    """The functions that run when a mutated module is imported, as mutmut names them."""
    os.environ["MUTANT_UNDER_TEST"] = "stats"
    for path in walk_mutatable_files():
        importlib.import_module(_module(path))
    return set(state()._stats)  # noqa: SLF001 - mutmut says it nowhere else


def _imported_by_mutmut(paths: Sequence[Path], functions: AbstractSet[str]) -> Iterator[str]:
    """The mutants of these functions, as mutmut calls them."""
    for path in paths:
        data = SourceFileMutationData(path=path)
        data.load()
        for name, code in data.exit_code_by_key.items():
            if name.partition("__mutmut_")[0] in functions and status_by_exit_code[code] != "caught by type check":
                yield name


def main(jobs: int, modules: Sequence[str]) -> None:
    """Adds to `RESULTS` every mutant of these modules, or of all, that is not there yet."""
    setup_source_paths()
    early = run_in_fork_with_result(_run_at_import)
    load_stats()
    paths = [path for path in walk_mutatable_files() if not modules or path.stem in modules]
    changes = {f"{c.module}.{number}": c for path in paths for number, c in enumerate(_changes(path))}
    results = RESULTS.read_text(encoding="utf-8") if RESULTS.exists() else ""
    done = [json.loads(line) for line in results.splitlines()]
    known = {found["mutant"] for found in done}
    one_each = {change.module: change for change in changes.values()}
    unchanged = {f"{module}{_UNCHANGED}": replace(one, after=one.before) for module, one in one_each.items()}
    # A control of a module comes after its mutants: what killed them is what it runs.
    batches = [[_BY_NAME], [*changes, *_imported_by_mutmut(paths, early)], [*unchanged]]
    left = [[name for name in batch if name not in known] for batch in batches]
    if any(left):
        _test(left, changes | unchanged, [(found["mutant"], found["by"]) for found in done if found["by"]], jobs)


def _test(
    batches: Sequence[Sequence[str]], changes: Mapping[str, Change], killers: Sequence[tuple[str, str]], jobs: int
) -> None:
    """Tests mutants and controls, batch after batch.

    Args:
        batches: their names.
        changes: what each of them imports, by its name; mutmut's own and the control by name import nothing changed.
        killers: which files have killed which mutants before.
        jobs: how many at once.
    """
    for library in _LIBRARIES:
        importlib.import_module(library)
    durations = state().duration_by_test
    names = list(durations)
    # By file, since a changed constant may be part of a test's name.
    files: Counter[str] = Counter()
    for name in names:
        files[name.partition("::")[0]] += durations[name]
    runner = _Runner(changes, sorted(files, key=files.__getitem__), killers)
    processes = ForkRunner(max_workers=jobs, test_runner=runner)
    gc.collect()
    processes.startup()
    limit_s = ceil((files.total() + config().timeout_constant) * config().timeout_multiplier)
    taken = 0

    def take(output: TextIO) -> None:
        nonlocal taken
        result = processes.wait_for_result()
        code, killer = runner.learn(result.mutant_name, result.exit_code)
        is_control = result.mutant_name == _BY_NAME or result.mutant_name.endswith(_UNCHANGED)
        if code and is_control:
            RESULTS.unlink()
            status = "failed" if code == 1 else status_by_exit_code[code]
            sys.exit(
                f"\nWithout any mutant ({result.mutant_name}): {status}. A busy machine is a reason for a timeout."
            )
        changed = None if is_control else changes.get(result.mutant_name)
        where = {"module": changed.module, "where": changed.where, "words": changed.words} if changed else {}
        output.write(json.dumps({"mutant": result.mutant_name, "code": code, "by": killer, **where}) + "\n")
        output.flush()
        taken += 1
        print(f"\r{taken} of {sum(map(len, batches))} that take effect during the import", end="", flush=True)

    with RESULTS.open("a", encoding="utf-8") as output:
        for batch in batches:
            for name in batch:
                while not processes.has_capacity():
                    take(output)
                processes.submit(name, names, limit_s, files.total())
            while processes.pending_count():
                take(output)
    print()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
