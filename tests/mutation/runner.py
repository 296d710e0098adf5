"""Runs the tests on mutants, each in a process of its own that is forked from one that has everything loaded.

Loading costs seconds and most mutants die within milliseconds. So a mutant inside a function is made by giving a
loaded function its new code, in a fork of a process that has collected the tests. What stands outside of functions
takes effect while it is loaded; such a mutant gets a fork of a process that has loaded all but the service and its
tests.
"""

import gc
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import multiprocessing
import os
import resource
import signal
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from math import ceil
from multiprocessing.connection import Connection, wait
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any, Literal, Self, cast

import pytest

from tests.mutation.mutants import Mutant

type Verdict = Literal["killed", "survived", "timeout", "no test"]

FOLDERS = ("tests/core", "tests/table", "tests/adapters")
"""Where the tests of the core and the hand-off are."""

# The contract of the table is tested on two stand-ins for DynamoDB; moto is by far the slower one.
_SELECTION = ("-k", "not moto")

# These go through thousands of stories each and take most of the time of all tests, which every survivor would cost.
# They look for what nobody has thought of; what somebody has, a test says that takes milliseconds.
EXPLORATIONS = (
    "tests/core/test_delivery_order.py",
    "tests/core/test_order_model.py",
    "tests/core/test_properties.py",
    "tests/table/test_limits.py",
)

# Loaded once, before anything of the service: what the tests spend most of their start on.
_LIBRARIES = (
    "aws_lambda_powertools",
    "boto3",
    "boto3.dynamodb.types",
    "certifi",
    "hypothesis.strategies",
    "jsonschema",
    "jwt",
    "moto.dynamodb.models",
    "pydantic",
    "razorpay",
    "yaml",
)

# The tests of one mutant may take the processor several times as long as they did without it, and what goes wrong may
# take a moment to show; beyond that it is a loop. A mutant that waits for ever takes no processor time, and on a busy
# machine everything waits: so the limit by the clock is many times that.
_TIMES_LONGER = 3
_GRACE_S = 4
_TIMES_WAITING = 60
_MEMORY_BYTES = 6 * 2**30

_fork = multiprocessing.get_context("fork")


@dataclass
class Coverage:
    """Which tests there are, how long each took without any mutant, and what each executed."""

    seconds: dict[str, float] = field(default_factory=dict)
    """By the test's node id, in the order of collection."""
    tests: dict[tuple[str, int], set[str]] = field(default_factory=lambda: defaultdict(set))
    """By path, relative to the project, and line."""
    lines: dict[str, dict[str, list[int]]] = field(default_factory=dict)
    """By path and function: its lines that can be executed."""
    importers: dict[str, set[str]] = field(default_factory=dict)
    """By path: the mutated modules that import it, directly or not, and itself."""
    imported: set[tuple[str, str]] = field(default_factory=set)
    """By path and function: what some module calls when it is imported; what it made there outlasts a later change."""

    def is_called(self, mutant: Mutant) -> bool:
        """Whether it is in a function that some test calls, and no import."""
        return (
            mutant.in_body
            and (mutant.path, mutant.where) not in self.imported
            and any((mutant.path, line) in self.tests for line in self.lines[mutant.path][mutant.where])
        )

    def of(self, mutant: Mutant) -> set[str]:
        """The tests that a mutant may fail."""
        if not self.is_called(mutant):
            paths = self.importers[mutant.path]
            users = {test for (path, _), tests in self.tests.items() if path in paths for test in tests}
            # A test that calls no function of the service may still look at its words and tables.
            callers = {test for tests in self.tests.values() for test in tests}
            return users | (set(self.seconds) - callers)
        executed = [line for line in mutant.lines if (mutant.path, line) in self.tests]
        # Some statements leave no line of their own in the byte code; then whatever calls the function may tell.
        lines = executed or self.lines[mutant.path][mutant.where]
        return {test for line in lines for test in self.tests.get((mutant.path, line), ())}


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a mutant."""

    mutant: Mutant
    verdict: Verdict
    test: str | None = None
    """The test that failed."""


class TestsBrokenError(Exception):
    """The tests do not pass as they are."""


def measure(project: Path, paths: Sequence[str]) -> Coverage:
    """Runs every test once, without a mutant.

    Args:
        project: the folder of the project.
        paths: of the modules that will be mutated, relative to it.

    Raises:
        TestsBrokenError: some test fails, so nothing could be learnt from mutants.
    """
    with _Job(lambda: _measure(project, paths)) as job:
        measured: Coverage | str | None = job.wait()
    if not isinstance(measured, Coverage):
        raise TestsBrokenError(f"Without any mutant, {measured or 'the collection of the tests'} fails; see pytest.")
    return measured


def run(mutants: Sequence[Mutant], coverage: Coverage, jobs: int = 1) -> Iterator[Result]:
    """Tests the mutants, in so many processes at once; each takes its share of every module.

    Raises:
        RunnerBrokenError: the mistake is here, not in a mutant.
    """
    with ExitStack() as stack:
        shares: dict[Connection, _Job] = {}
        for number in range(jobs):
            receiver, sender = _fork.Pipe(duplex=False)
            job = stack.enter_context(_Job(_share(mutants[number::jobs], coverage, sender)))
            sender.close()
            shares[receiver] = job
        while shares:
            for receiver in cast("list[Connection]", wait(list(shares))):
                try:
                    yield receiver.recv()
                except EOFError:
                    if shares.pop(receiver).wait() is not True:
                        raise RunnerBrokenError("A process that runs mutants has died.") from None


def _share(mutants: Sequence[Mutant], coverage: Coverage, sender: Connection) -> Callable[[], Literal[True]]:
    def work() -> Literal[True]:
        for result in _run(mutants, coverage):
            sender.send(result)
        sender.close()
        return True

    return work


def _run(mutants: Sequence[Mutant], coverage: Coverage) -> Iterator[Result]:
    """Tests the mutants one after the other, those inside of functions that are called first."""
    order = _Order(coverage)
    for mutant in mutants:
        if not coverage.of(mutant):
            yield Result(mutant, "no test")
    tested = [mutant for mutant in mutants if coverage.of(mutant)]
    yield from _run_loaded([mutant for mutant in tested if coverage.is_called(mutant)], order)
    for mutant in tested:
        if not coverage.is_called(mutant):
            tests = order.of(mutant)
            with _Job(_importing(mutant, tests, coverage.seconds.keys()), order.limit_s(tests)) as job:
                result = _judge(mutant, job.wait())
            order.learn(result)
            yield result


class _Order:
    """The tests of a mutant in the order that kills it soonest: those that killed its neighbours, then the fastest."""

    def __init__(self, coverage: Coverage) -> None:
        self._coverage = coverage
        self._killers: dict[str, list[str]] = defaultdict(list)

    def of(self, mutant: Mutant) -> list[str]:
        tests = self._coverage.of(mutant)
        killers = [test for test in self._killers[_home(mutant)] if test in tests]
        return list(dict.fromkeys([*killers, *sorted(tests, key=self._coverage.seconds.__getitem__)]))

    def learn(self, result: Result) -> None:
        if result.test is not None:
            killers = self._killers[_home(result.mutant)]
            with suppress(ValueError):
                killers.remove(result.test)
            killers.insert(0, result.test)

    def limit_s(self, tests: Sequence[str]) -> float:
        return _GRACE_S + _TIMES_LONGER * sum(self._coverage.seconds[test] for test in tests)


def _home(mutant: Mutant) -> str:
    return f"{mutant.module}.{mutant.where}"


# --- processes ------------------------------------------------------------------------------------------------------


class RunnerBrokenError(Exception):
    """The mistake is here, not in a mutant."""


class _Job:
    """A forked process, and the one thing that it sends; it ends with the block that it is used in."""

    def __init__(self, work: Callable[[], Any], limit_s: float | None = None) -> None:
        """Starts it.

        Args:
            work: what to do there; its result is sent.
            limit_s: of processor time, if there is one.
        """
        self._limit_s = limit_s
        self._answer, sender = _fork.Pipe(duplex=False)
        self._process = _fork.Process(target=_send, args=(work, sender, limit_s))
        self._process.start()
        sender.close()

    def wait(self) -> Any:
        """What it sent; `TimeoutError` if it was too slow, None if it died.

        Raises:
            RunnerBrokenError: its work could not be done.
        """
        patience_s = None if self._limit_s is None else self._limit_s * _TIMES_WAITING
        try:
            answer = self._answer.recv() if self._answer.poll(patience_s) else TimeoutError
        except EOFError:
            self._process.join()
            return TimeoutError if self._process.exitcode == -signal.SIGXCPU else None
        if isinstance(answer, RunnerBrokenError):
            raise answer
        return answer

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.join()
        self._process.close()
        self._answer.close()


def _send(work: Callable[[], Any], sender: Connection, limit_s: float | None) -> None:
    # A mutant that never stops, or never stops collecting, must not take the machine with it.
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    if limit_s is not None:
        resource.setrlimit(resource.RLIMIT_CPU, (ceil(limit_s), ceil(limit_s) + 1))
    silence = os.open(os.devnull, os.O_RDWR)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    try:
        answer = work()
    except Exception as error:  # noqa: BLE001 - whatever it is, it is told where it can be seen
        answer = RunnerBrokenError(repr(error))
    sender.send(answer)
    sender.close()


def _judge(mutant: Mutant, answer: Any) -> Result:
    if answer is TimeoutError:
        return Result(mutant, "timeout")
    # A process that died without a word was killed by its mutant as well.
    test = answer if isinstance(answer, str) else None
    return Result(mutant, "survived" if answer is True else "killed", test)


def preload() -> None:
    """Loads the libraries that every process needs, once."""
    for name in _LIBRARIES:
        importlib.import_module(name)
    # The garbage collector would touch, and so copy, all that the forks share.
    gc.collect()
    gc.freeze()


# --- pytest ---------------------------------------------------------------------------------------------------------


class _Plugin:
    """Takes the place of pytest's loop over the tests."""

    def __init__(self, loop: Callable[[pytest.Session], Any]) -> None:
        self._loop = loop
        self.answer: Any = None

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection(self) -> None:
        from hypothesis import Phase, settings  # noqa: PLC0415 - loaded by now; pytest would complain before

        # The same examples for every mutant, and none remembered from the one before.
        settings.register_profile(
            "mutation",
            parent=settings.get_profile("payments"),
            database=None,
            derandomize=True,
            phases=(Phase.explicit, Phase.generate),
        )
        settings.load_profile("mutation")

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        if not session.testsfailed:
            self.answer = self._loop(session)
        return True


def _pytest(loop: Callable[[pytest.Session], Any]) -> Any:
    """Collects the tests and hands them to the loop; None if they cannot be collected."""
    plugin = _Plugin(loop)
    quiet = ("-q", "-s", "-p", "no:cacheprovider", "-p", "no:terminalreporter")
    # pytest would rewrite the assertions of its plugins, and some are loaded already.
    warnings = ("-W", "ignore::pytest.PytestAssertRewriteWarning")
    left_out = [f"--ignore={path}" for path in EXPLORATIONS]
    pytest.main([*quiet, *warnings, *_SELECTION, *left_out, *FOLDERS], plugins=[plugin])
    return plugin.answer


class _FirstFailure:
    """Remembers which test failed first."""

    def __init__(self) -> None:
        self.test: str | None = None

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and self.test is None:
            self.test = report.nodeid


def _first_failure(session: pytest.Session, tests: Iterable[str]) -> str | Literal[True]:
    """Runs these tests until one fails: its node id, or True if all pass."""
    items = {item.nodeid: item for item in session.items}
    watcher = _FirstFailure()
    session.config.pluginmanager.register(watcher)
    for test in tests:
        session.config.hook.pytest_runtest_protocol(item=items[test], nextitem=None)
        if watcher.test is not None:
            return watcher.test
    return True


# --- without a mutant -----------------------------------------------------------------------------------------------


def _measure(project: Path, paths: Sequence[str]) -> Coverage | str | None:
    """The coverage, or the test that failed; None if there are no tests."""
    monitoring, tool = sys.monitoring, sys.monitoring.COVERAGE_ID
    names = {str(project / path): path for path in paths}
    coverage = Coverage()
    current: set[tuple[str, int]] = set()
    collecting = True

    def on_line(code: CodeType, line: int) -> object:
        path = names.get(code.co_filename)
        if path is not None:
            current.add((path, line))
            if collecting:
                coverage.imported.add((path, code.co_qualname.partition(".<locals>")[0]))
        return monitoring.DISABLE

    monitoring.use_tool_id(tool, "mutation")
    monitoring.register_callback(tool, monitoring.events.LINE, on_line)
    monitoring.set_events(tool, monitoring.events.LINE)

    def loop(session: pytest.Session) -> str | Literal[True]:
        nonlocal collecting
        for path in paths:
            module = importlib.import_module(_module(path))
            coverage.lines[path] = {
                name: sorted({line for code in _all_codes(function.__code__) for _, _, line in code.co_lines() if line})
                for name, function in _functions(module).items()
            }
            coverage.importers[path] = {path}
        _close_importers(coverage.importers, paths)
        collecting = False
        for item in session.items:
            current.clear()
            monitoring.restart_events()
            started = time.process_time()
            if (failed := _first_failure(session, [item.nodeid])) is not True:
                return failed
            coverage.seconds[item.nodeid] = time.process_time() - started
            for place in current:
                coverage.tests[place].add(item.nodeid)
        monitoring.set_events(tool, monitoring.events.NO_EVENTS)
        return True

    failed: str | Literal[True] | None = _pytest(loop)
    if failed is not True:
        return failed
    coverage.tests = dict(coverage.tests)
    return coverage if coverage.seconds else None


def _module(path: str) -> str:
    return ".".join(Path(path).with_suffix("").parts[1:])


def _close_importers(importers: dict[str, set[str]], paths: Sequence[str]) -> None:
    """Finds who imports whom, by what their modules hold of each other, until nothing is added."""
    defined = {_module(path): path for path in paths}
    uses = {path: _uses(sys.modules[_module(path)]) for path in paths}
    for _ in paths:
        for path in paths:
            for used in uses[path] & defined.keys():
                importers[defined[used]] |= importers[path]


def _uses(module: ModuleType) -> set[str]:
    source = Path(str(module.__file__)).read_text(encoding="utf-8")
    lines = [line.split() for line in source.splitlines() if line.startswith("from payments")]
    return {line[1] for line in lines} | {f"{line[1]}.{name.strip(',')}" for line in lines for name in line[3:]}


def _all_codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _all_codes(constant)


# --- mutants inside of functions ------------------------------------------------------------------------------------


def _run_loaded(mutants: Sequence[Mutant], order: _Order) -> Iterator[Result]:
    """Tests mutants of function bodies, all in one process with the tests collected, which forks for each of them."""
    answers, sender = _fork.Pipe(duplex=False)

    def work() -> None:
        # Held open here, it would keep this process from noticing that nobody listens any more.
        answers.close()

        def loop(session: pytest.Session) -> None:
            gc.collect()
            gc.freeze()
            for mutant in mutants:
                tests = order.of(mutant)
                with _Job(_patched(session, mutant, tests), order.limit_s(tests)) as job:
                    result = _judge(mutant, job.wait())
                order.learn(result)
                sender.send((result.verdict, result.test))

        _pytest(loop)

    with _Job(work):
        sender.close()
        for mutant in mutants:
            verdict, test = answers.recv()
            result = Result(mutant, verdict, test)
            order.learn(result)
            yield result


def _patched(session: pytest.Session, mutant: Mutant, tests: Sequence[str]) -> Callable[[], str | Literal[True]]:
    def work() -> str | Literal[True]:
        module = sys.modules[mutant.module]
        compiled = compile(mutant.source, str(module.__file__), "exec", dont_inherit=True)
        codes = {code.co_qualname: code for code in _all_codes(compiled)}
        _functions(module)[mutant.where].__code__ = codes[mutant.where]
        return _first_failure(session, tests)

    return work


def _functions(module: ModuleType) -> dict[str, FunctionType]:
    """The functions and methods of a module by their qualified names."""
    found: dict[str, FunctionType] = {}
    holders: list[Mapping[str, object]] = [vars(module)]
    holders += [vars(kind) for kind in vars(module).values() if isinstance(kind, type)]
    for holder in holders:
        for member in holder.values():
            function = member.fget if isinstance(member, property) else getattr(member, "__func__", member)
            if isinstance(function, FunctionType) and function.__code__.co_filename == module.__file__:
                found[function.__code__.co_qualname] = function
    return found


# --- mutants outside of functions -----------------------------------------------------------------------------------


class _Importer(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Gives the changed source when the module is imported."""

    def __init__(self, mutant: Mutant) -> None:
        self._mutant = mutant

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        del path, target
        if fullname != self._mutant.module:
            return None
        return importlib.util.spec_from_loader(fullname, self, origin=self._mutant.path)

    def exec_module(self, module: ModuleType) -> None:
        exec(compile(self._mutant.source, self._mutant.path, "exec", dont_inherit=True), vars(module))  # noqa: S102 - the mutant


def _importing(
    mutant: Mutant, tests: Sequence[str], known: AbstractSet[str]
) -> Callable[[], str | Literal[True] | None]:
    def loop(session: pytest.Session) -> str | Literal[True]:
        # A changed constant may rename a test that has it for a parameter: such a test is neither failed nor left out.
        there = [item.nodeid for item in session.items]
        renamed = [test for test in there if test not in known]
        return _first_failure(session, [*(test for test in tests if test in there), *renamed])

    def work() -> str | Literal[True] | None:
        sys.meta_path.insert(0, _Importer(mutant))
        answer: str | Literal[True] | None = _pytest(loop)
        return answer

    return work
