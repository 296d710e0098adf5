"""`make mutation`: how many small mistakes in the core and the hand-off the checks would notice.

mutmut's own runner mutates the functions (`[tool.mutmut]` in pyproject.toml), `tests.mutation.outside` what takes
effect while a module is imported. This program runs both, holds the survivors against `survivors.toml` and writes
docs/evidence/mutation.md. A run that was interrupted goes on where it stopped, unless the code or a test has changed.
"""

import argparse
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mutmut.mutation.data import MutantLineSpans, SourceFileMutationData
from mutmut.stats import status_by_exit_code
from mutmut.utils.format_utils import mangled_name_from_mutant_name, orig_function_and_class_names_from_key

from tests.mutation.outside import RESULTS, words_changed

PROJECT: Final = Path(__file__).parents[2]
WORKSPACE: Final = PROJECT / ".build" / "mutation"
REASONS: Final = Path(__file__).with_name("survivors.toml")
PAGE: Final = PROJECT / "docs" / "evidence" / "mutation.md"
THRESHOLD: Final = 0.95
"""The least share that the tests must notice of what the type checker lets through."""

TYPES: Final = "caught by type check"
NOTICED: Final = ("killed", "timeout")
UNFINISHED: Final = ("not checked", "check was interrupted by user")
SOURCES: Final = (
    *("shared", "tests", "tools", "functions", "sandbox", "ops", "events", "examples", "docs", "Makefile"),
    *(".env.example", "template.yaml", "pyproject.toml", "uv.lock"),
    *(":!docs/evidence", ":!tests/mutation/survivors.toml"),
)
"""What mutmut's folder has of the project, but this program's page and its reasons."""


@dataclass(frozen=True, slots=True)
class Mutant:
    module: str
    """Such as `core.money`."""
    where: str
    """The function, field or constant, such as `Merge.add`."""
    change: str
    """The words that differ, such as `AND -> and`."""
    status: str
    """In mutmut's words."""

    @property
    def name(self) -> str:
        """What it is called in `survivors.toml`, whatever line it stands in."""
        return f"{self.module}.{self.where}: {self.change}"


def main() -> int:
    """0: enough was noticed and every survivor has its reason; 1: not so, and the output says what."""
    settings = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["mutmut"]
    _link()
    known = sorted(path.stem for pattern in settings["only_mutate"] for path in WORKSPACE.glob(pattern))
    parser = argparse.ArgumentParser(prog="make mutation", description=__doc__)
    parser.add_argument("modules", nargs="*", help="only these, such as money or transitions; writes no page")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)), help="so many mutants at once")
    options = parser.parse_args()
    if unknown := sorted({*options.modules} - {*known}):
        parser.error(f"{', '.join(unknown)}: no such module. There are {', '.join(known)}.")
    # An exception, so that `subprocess.run` ends what it has started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    for program in ("functions", "outside"):
        command = [sys.executable, "-m", f"tests.mutation.{program}", str(options.jobs), *options.modules]
        if subprocess.run(command, cwd=WORKSPACE, check=False).returncode:  # noqa: S603 - these two programs
            return 1
    os.chdir(WORKSPACE)
    mutants = sorted(_results(), key=lambda mutant: mutant.module)
    if options.modules:
        mutants = [mutant for mutant in mutants if mutant.module.rpartition(".")[2] in options.modules]
    return _conclude(mutants, complete=not options.modules)


def _link() -> None:
    """Makes the folder that mutmut runs in; there the package is below `src`, where mutmut looks for one."""
    stamp, sources = WORKSPACE / "sources.sha256", _sources()
    if stamp.exists() and stamp.read_text(encoding="utf-8") == sources:
        print("Neither the code nor a test has changed since the last run: its results are kept.")
        return
    shutil.rmtree(WORKSPACE, ignore_errors=True)
    WORKSPACE.mkdir(parents=True)
    (WORKSPACE / "src").symlink_to(PROJECT / "shared")
    for path in PROJECT.iterdir():
        if not path.name.startswith(".") or path.name == ".env.example":
            (WORKSPACE / path.name).symlink_to(path)
    stamp.write_text(sources, encoding="utf-8")


def _sources() -> str:
    """A hash of all that a mutant's fate may depend on."""
    digest = hashlib.sha256()
    for name in sorted(_git("ls-files", "-z", "--cached", "--others", "--exclude-standard", *SOURCES).split("\0")):
        if (PROJECT / name).is_file():
            digest.update(f"{name}\0".encode() + (PROJECT / name).read_bytes())
    return digest.hexdigest()


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(PROJECT), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603 - our own words


def _results() -> Iterator[Mutant]:
    outside = [json.loads(line) for line in RESULTS.read_text(encoding="utf-8").splitlines()]
    codes = {found["mutant"]: found["code"] for found in outside}
    for path in sorted(Path("src/payments").glob("*/*.py")):
        data = SourceFileMutationData(path=path)
        data.load()
        spans = MutantLineSpans.load(path)
        module = ".".join(path.with_suffix("").parts[2:])
        for name, code in data.exit_code_by_key.items():
            function, owner = orig_function_and_class_names_from_key(name)
            original = f"{mangled_name_from_mutant_name(name).rpartition('.')[2]}__mutmut_orig"
            copy = name.rpartition(".")[2]
            before, after = spans.read_function_sources([original, copy])
            words = words_changed(before, after.replace(copy, original))
            status = status_by_exit_code[codes.get(name, code)]
            yield Mutant(module, f"{owner}.{function}" if owner else function, words, status)
    for found in outside:
        if "words" in found:
            module = found["module"].removeprefix("payments.")
            yield Mutant(module, found["where"], found["words"], status_by_exit_code[found["code"]])


def _conclude(mutants: Sequence[Mutant], *, complete: bool) -> int:
    unfinished = sum(mutant.status in UNFINISHED for mutant in mutants)
    if unfinished:
        print(f"{unfinished} mutants are not tested yet. The same command goes on with them.", file=sys.stderr)
        return 1
    reasons = tomllib.loads(REASONS.read_text(encoding="utf-8"))
    explained = Counter(name for names in reasons.values() for name in names)
    survivors = Counter(mutant.name for mutant in mutants if mutant.status not in {*NOTICED, TYPES})
    tested = [mutant for mutant in mutants if mutant.status != TYPES]
    noticed = sum(mutant.status in NOTICED for mutant in tested) / len(tested)
    print(
        f"mypy notices {len(mutants) - len(tested)} of {len(mutants)} mutants, the tests {noticed:.1%} of the others."
    )
    unexplained = sorted((survivors - explained).elements())
    problems = [f"No reason is given for {name}" for name in unexplained]
    if complete:
        problems += [f"No survivor any more: {name}" for name in (explained - survivors).elements()]
        if noticed < THRESHOLD:
            problems.append(f"The tests notice less than {THRESHOLD:.0%}.")
        listed = reasons | {"No reason is given.": unexplained}
        PAGE.write_text("\n".join(_page(mutants, listed, _revision())) + "\n", encoding="utf-8")
        print(f"Wrote {PAGE.relative_to(PROJECT)}.")
    for problem in problems:
        print(problem, file=sys.stderr)
    if problems:
        print(f"Kill each with a test, or give its reason in {REASONS.relative_to(PROJECT)}.", file=sys.stderr)
    return 1 if problems else 0


def _revision() -> str:
    """The commit that was tested, and whether it was changed."""
    changed = _git("status", "--porcelain", "--", *SOURCES)
    return f"`{_git('rev-parse', '--short', 'HEAD').strip()}`{' with uncommitted changes' if changed else ''}"


_INTRODUCTION = f"""\
# Mutation testing

`make mutation` makes small mistakes in the code, one at a time (mutants: `<` for `<=`, a misspelt word, an argument
left out), and checks that something notices. It writes this page.

* Mutated: all of `shared/payments/core`, `adapters/table.py` and `adapters/bus.py`, with the catalogue of
  [mutmut](https://mutmut.readthedocs.io). Its runner mutates functions; `tests/mutation/outside.py` does the same to
  constants, enums, models, decorated functions and what runs during the import.
* Types: mypy reports the mutant, and the tests do not run on it (in functions only; elsewhere mypy is not asked).
* Killed: a test fails, of those that pyproject.toml names: the core's and the adapters', and those of operators'
  commands, refunds, lists and imports. Timeout: they run many times as long as usual.
* Survived: nothing fails. `tests/mutation/survivors.toml` gives the reason for each. The run fails when one has none,
  when a reason has no survivor, or when the tests notice less than {THRESHOLD:.0%} of what mypy lets through.

`make mutation MUTATION="money wire"` tests some modules only, and writes nothing. An interrupted run goes on where it
stopped. Afterwards, in `.build/mutation`, `mutmut show` takes a mutant's name.

Tested: commit """
_COLUMNS = """
| module | mutants | types | killed | timeout | survived | noticed by the tests |
| --- | --: | --: | --: | --: | --: | --: |"""


def _page(mutants: Sequence[Mutant], reasons: Mapping[str, Sequence[str]], revision: str) -> Iterator[str]:
    yield f"{_INTRODUCTION}{revision}."
    yield _COLUMNS
    modules = dict.fromkeys(mutant.module for mutant in mutants)
    for name in [*modules, "total"]:
        count = Counter(mutant.status for mutant in mutants if name in {mutant.module, "total"})
        types, *noticed = (count[status] for status in (TYPES, *NOTICED))
        tested = count.total() - types
        cells = (name, count.total(), types, *noticed, tested - sum(noticed), f"{sum(noticed) / max(tested, 1):.1%}")
        yield f"| {' | '.join(map(str, cells))} |"
    yield "\n## Survivors, and why each is all right\n"
    for why, names in filter(all, reasons.items()):
        places = dict.fromkeys(f"`{name.partition(': ')[0]}`" for name in names)
        yield f"* {why} ({len(names)}: {', '.join(places)})"


if __name__ == "__main__":
    sys.exit(main())
