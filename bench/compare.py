"""`make bench-compare REV=…`: this tree and another revision side by side, measured in turns by the same bench.

The other revision is checked out under .build/compare, built there by its own build, and put away again; only what is
deployed is compared (size, start, warm), so it does not matter whether that revision has a bench.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from bench import coldstart, subjects, warmpath
from bench.__main__ import show
from bench.artefact import Artefact
from bench.canned import Flow
from bench.figures import Spread
from bench.progress import Effort
from sandbox import proxies, terminal
from sandbox.cloud.build import build

PROJECT: Final = subjects.PROJECT
WORKTREES: Final = PROJECT / ".build/compare"


class NoSuchRevision(RuntimeError):
    """Git does not know the revision; the message says what it said."""


def main(arguments: Sequence[str]) -> int:
    """Measures both, and shows them."""
    parser = argparse.ArgumentParser(prog="make bench-compare", description=__doc__)
    parser.add_argument("revision", help="anything git understands, such as HEAD~5 or a tag")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--no-instructions", action="store_true")
    options = parser.parse_args(arguments)
    effort = Effort(options.rounds, not options.no_instructions, 0.0)
    console = terminal.console()
    proxies.bypass_for_this_machine()
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        try:
            commit = _commit(options.revision)
        except NoSuchRevision as error:
            console.print(f"[bold red]✗[/] {error}")
            return 1
        console.print(f"Building {options.revision} ({commit[:10]}) and this tree ({subjects.revision()})")
        here = _prepared(build().parent, Path(scratch) / "here")
        with checked_out(commit) as tree:
            there = _prepared(_built(tree), Path(scratch) / "there")
        compare(there, here, effort, console)
    return 0


def compare(there: Artefact, here: Artefact, effort: Effort, console: Console) -> None:
    """Measures two builds in turns and shows them side by side."""
    _compare_sizes(there, here, console)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=console) as bar:
        task = bar.add_task("start", total=None)
        cases = [
            *(replace(case, name=_both(case.name, "there")) for case in coldstart.cases(there.subjects, there.flows)),
            *(
                replace(case, name=_both(case.name, "here"))
                for case in coldstart.cases(here.subjects, here.flows)
                if case.name not in {coldstart.F, coldstart.HARD_FLOOR}
            ),
        ]
        starts = coldstart.measure(cases, effort, lambda done, of: bar.update(task, completed=done, total=of))
        task = bar.add_task("warm", total=None)
        warm = warmpath.measure(
            [*_named(there.flows, "there"), *_named(here.flows, "here")],
            effort,
            lambda done, of: bar.update(task, completed=done, total=of),
        )
    rows = {(row["case"], row["depth"]): row for row in starts["rows"]}
    shown = [
        [
            case.removesuffix(" [there]"),
            depth,
            *_pair(rows[case, depth], other),
        ]
        for case, depth in rows
        if case.endswith(" [there]") and (other := rows.get((case.replace("[there]", "[here]"), depth))) is not None
    ]
    show(console, "Starting: there, here", ["case", "depth", *_START_COLUMNS], shown)
    flows = {row["flow"]: row for row in warm["rows"]}
    shown = [
        [flow.removesuffix(" [there]"), *_warm_pair(row, other)]
        for flow, row in flows.items()
        if flow.endswith(" [there]") and (other := flows.get(flow.replace("[there]", "[here]"))) is not None
    ]
    show(console, "A warm request: there, here", ["request", *_WARM_COLUMNS], shown)


_START_COLUMNS: Final = ["instructions, M", "here / there", "CPU x F", "RSS, MiB", "modules"]
_WARM_COLUMNS: Final = ["outside calls", "instructions, k", "here / there", "CPU, ms, HTTP"]


def _pair(there: Mapping[str, Any], here: Mapping[str, Any]) -> list[str]:
    return [
        f"{_count(there['instructions'], 1e6)}, {_count(here['instructions'], 1e6)}",
        _ratio(there["instructions"], here["instructions"]),
        f"{_middle(there['cpu_of_floor'])}, {_middle(here['cpu_of_floor'])}",
        f"{_middle(there['rss_mib'], 1)}, {_middle(here['rss_mib'], 1)}",
        f"{there['modules']}, {here['modules']}",
    ]


def _warm_pair(there: Mapping[str, Any], here: Mapping[str, Any]) -> list[str]:
    return [
        f"{there['outside_calls']}, {here['outside_calls']}",
        f"{_count(there.get('instructions'), 1e3)}, {_count(here.get('instructions'), 1e3)}",
        _ratio(there.get("instructions"), here.get("instructions")),
        f"{_middle(there['http']['cpu_ms'])}, {_middle(here['http']['cpu_ms'])}",
    ]


def _compare_sizes(there: Artefact, here: Artefact, console: Console) -> None:
    before, after = subjects.sizes(there.folder), subjects.sizes(here.folder)
    rows = [
        [
            name,
            *(
                f"{getattr(before[name], what) / 1000:,.0f}, {getattr(after[name], what) / 1000:,.0f}"
                for what in ("unpacked", "zipped")
            ),
        ]
        for name in before
        if name in after
    ]
    show(console, "Size in KB: there, here", ["folder", "unpacked", "zipped"], rows)


def _prepared(built: Path, scratch: Path) -> Artefact:
    copy = scratch / "built"
    shutil.copytree(built, copy)
    return Artefact.prepare(copy, scratch)


def _named(flows: Sequence[Flow], where: str) -> list[Flow]:
    return [replace(flow, name=_both(flow.name, where)) for flow in flows]


def _both(name: str, where: str) -> str:
    return name if name in {coldstart.F, coldstart.HARD_FLOOR} else f"{name} [{where}]"


def _commit(revision: str) -> str:
    done = subprocess.run(  # noqa: S603 - what the person at the terminal asked for, after --end-of-options
        ["git", "-C", str(PROJECT), "rev-parse", "--verify", "--end-of-options", f"{revision}^{{commit}}"],  # noqa: S607
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise NoSuchRevision(f"git knows no revision {revision}: {done.stderr.strip()}")
    return done.stdout.strip()


@contextmanager
def checked_out(commit: str) -> Iterator[Path]:
    """A tree of that commit, gone again at the end."""
    WORKTREES.mkdir(parents=True, exist_ok=True)
    git = ["git", "-C", str(PROJECT), "worktree"]
    with tempfile.TemporaryDirectory(prefix=f"{commit[:10]}-", dir=WORKTREES) as folder:
        tree = Path(folder) / "tree"
        subprocess.run([*git, "add", "--quiet", "--detach", str(tree), commit], check=True)  # noqa: S603 - our own
        try:
            yield tree
        finally:
            subprocess.run([*git, "remove", "--force", str(tree)], check=True)  # noqa: S603 - our own


def _built(tree: Path) -> Path:
    """The tree's build, made by its own rules with this tree's tools.

    Raises:
        subprocess.CalledProcessError: it cannot be built; what was said is on the screen.
    """
    for environment in (".venv", ".venvs"):
        (tree / environment).symlink_to(PROJECT / environment)
    # What the revision calls its build may have changed since; its own program knows.
    done = subprocess.run(  # noqa: S603 - our own
        [str(PROJECT / ".venv/bin/python"), "-c", "from sandbox.cloud.build import build; print(build())"],
        cwd=tree,
        env={name: value for name, value in os.environ.items() if not name.startswith("PYTHON")},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return Path(done.stdout.strip().splitlines()[-1]).parent


def _count(number: int | None, scale: float) -> str:
    return "-" if number is None else f"{number / scale:,.0f}"


def _ratio(there: int | None, here: int | None) -> str:
    return "not measured" if there is None or here is None else f"{here / there:.3f}"


def _middle(document: Mapping[str, Any], digits: int = 2) -> str:
    return f"{Spread.of_document(document).middle:.{digits}f}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
