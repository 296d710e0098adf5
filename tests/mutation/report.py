"""What came of a run: the figures, and whether every survivor has its reason."""

import sys
import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from tests.mutation.runner import EXPLORATIONS, Result

REASONS: Final = Path(__file__).with_name("survivors.toml")
THRESHOLD: Final = 0.95
"""The least share of mutants that the tests must notice."""

type Change = tuple[str, str]
"""A module, such as `transitions`, and what is changed in it, as `Mutant.change` says it."""

_NOTICED = ("killed", "timeout")
_INTRODUCTION = """\
# Mutation testing

How many small mistakes in the core and in the hand-off to the table and the bus would the tests notice? `make mutation`
makes each of them, one at a time (a mutant: `<` for `<=`, another constant, an argument left out, a word misspelt), and
runs the tests on it. This page is written by that command; the reasons are kept in `tests/mutation/survivors.toml`.

* Mutated: every module of `shared/payments/core`, and `adapters/table.py` and `adapters/bus.py`; constants, patterns,
  enums and models as well as functions. The changes are those of [mutmut](https://mutmut.readthedocs.io)'s catalogue.
* Tests: `tests/core`, `tests/table` and `tests/adapters`, except for the variants on moto of tests that also run on
  the table in memory, and for {explorations}, which take most of the time. A mutant gets the tests that execute its
  line, until one fails; hypothesis draws the same examples for each.
* Killed: a test failed. Timeout: the tests took many times their processor time (an endless loop), which is noticed
  too. Survived: every test passed. No test: none executes it.
* The run fails when less than {threshold:.0%} are noticed, when a survivor has no reason below, or when a reason has no
  survivor any more.

Again: `make mutation` installs what it needs into `.venvs/mutation` and shows its progress; it runs as many mutants at
once as there are processors (`--jobs`), and takes about an hour on two. `.venvs/mutation/bin/python -m
tests.mutation.run money wire` does some modules only.

## Figures
"""


def conclude(project: Path, results: Sequence[Result], *, complete: bool) -> int:
    """Says what is wrong and writes the report of a complete run.

    Returns:
        0 if every survivor has its reason and enough mutants were noticed, else 1.
    """
    reasons = _read_reasons()
    survivors = _survivors(results)
    noticed = sum(result.verdict in _NOTICED for result in results)
    problems = [
        f"No reason is given for {module} {text}" for module, text in survivors if (module, text) not in reasons
    ]
    print(f"{noticed} of {len(results)} mutants were noticed ({noticed / len(results):.1%}).")
    if complete:
        problems += [
            f"No survivor any more: {module} {text}" for module, text in reasons if (module, text) not in survivors
        ]
        if noticed < THRESHOLD * len(results):
            problems.append(f"Fewer than {THRESHOLD:.0%} were noticed.")
        page = project / "docs" / "evidence" / "mutation.md"
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(_page(results, survivors, reasons), encoding="utf-8")
        print(f"Wrote {page.relative_to(project)}.")
    for problem in problems:
        print(problem, file=sys.stderr)
    if problems:
        print(f"Kill each with a test, or give its reason in {REASONS.relative_to(project)}.", file=sys.stderr)
    return 1 if problems else 0


def _read_reasons() -> dict[Change, str]:
    groups = tomllib.loads(REASONS.read_text(encoding="utf-8"))["group"]
    return {(group["module"], text): " ".join(group["why"].split()) for group in groups for text in group["changes"]}


def _survivors(results: Iterable[Result]) -> list[Change]:
    """In the order of the source; one change may be possible at several places of a function."""
    left = [result.mutant for result in results if result.verdict not in _NOTICED]
    left.sort(key=lambda mutant: (mutant.path, mutant.lines.start))
    return list(dict.fromkeys((Path(mutant.path).stem, mutant.change) for mutant in left))


def _page(results: Sequence[Result], survivors: Sequence[Change], reasons: Mapping[Change, str]) -> str:
    lines = [
        _INTRODUCTION.format(threshold=THRESHOLD, explorations=_listed(EXPLORATIONS)),
        "| module | mutants | killed | timeout | survived | no test | noticed |",
        "| --- | --: | --: | --: | --: | --: | --: |",
    ]
    counts: dict[str, Counter[str]] = {}
    for result in sorted(results, key=lambda result: result.mutant.path):
        counts.setdefault(result.mutant.path.removeprefix("shared/payments/"), Counter())[result.verdict] += 1
    total = sum(counts.values(), Counter())
    for name, count in [*((f"`{path}`", count) for path, count in counts.items()), ("**total**", total)]:
        noticed = sum(count[verdict] for verdict in _NOTICED) / count.total()
        cells = (name, count.total(), *(count[verdict] for verdict in ("killed", "timeout", "survived", "no test")))
        lines.append(f"| {' | '.join(map(str, cells))} | {noticed:.1%} |")
    lines += [
        "",
        "## What the tests do not notice, and why that is all right",
        "",
        "| module | where | was | is | why |",
        "| --- | --- | --- | --- | --- |",
    ]
    for module, change in survivors:
        where, _, difference = change.partition(": ")
        was, _, now = difference.partition(" => ")
        cells = (f"`{module}`", _code(where), _code(was), _code(now), reasons.get((module, change), "**not given**"))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _listed(paths: Sequence[str]) -> str:
    *first, last = (f"`{path}`" for path in paths)
    return f"{', '.join(first)} and {last}"


def _code(text: str) -> str:
    if not text:
        return ""
    shown = text.replace("|", "\\|")
    return f"`` {shown} ``" if "`" in text else f"`{shown}`"
