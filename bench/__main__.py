"""`make bench`: measures what `sam build` made, shows it, and writes docs/evidence/performance.md.

What each section found is kept in docs/evidence/performance/, so that `--only` renews one part of the page. 0: it was
measured, whatever the figures; the page says which targets are missed. 1: something could not be measured.
"""

import argparse
import shutil
import sys
import tempfile
import traceback
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from bench import coldstart, counted, growth, load, page, subjects, warmpath
from bench.artefact import Artefact
from bench.children import VALGRIND
from bench.progress import Effort, Result
from bench.progress import Progress as Told
from bench.targets import verdicts
from sandbox import proxies, terminal
from sandbox.cloud.build import build

type Section = Callable[[Artefact, Effort, Told], Result]


def _size(artefact: Artefact, _: Effort, told: Told) -> Result:
    found = {"folders": {name: asdict(size) for name, size in subjects.sizes(artefact.folder).items()}}
    told(1, 1)
    return found


def _start(artefact: Artefact, effort: Effort, told: Told) -> Result:
    return coldstart.measure(coldstart.cases(artefact.subjects, artefact.flows), effort, told)


def _warm(artefact: Artefact, effort: Effort, told: Told) -> Result:
    return warmpath.measure(artefact.flows, effort, told)


def _flows(_: Artefact, __: Effort, told: Told) -> Result:
    found = {"flows": counted.measure()}
    told(1, 1)
    return found


def _growth(_: Artefact, __: Effort, told: Told) -> Result:
    return {
        "record": growth.record_growth(growth.ATTEMPTS, told),
        "reconcile": growth.reconcile_growth(growth.TABLES, told),
    }


def _load(_: Artefact, effort: Effort, told: Told) -> Result:
    return load.measure(effort, told)


MEASURES: Final[dict[str, Section]] = {
    "size": _size,
    "start": _start,
    "warm": _warm,
    "flows": _flows,
    "growth": _growth,
    "load": _load,
}


def main(arguments: Sequence[str]) -> int:
    """Measures what was asked for."""
    options = _options(arguments)
    effort = Effort(options.rounds, not options.no_instructions, options.seconds)
    console = terminal.console()
    proxies.bypass_for_this_machine()
    if VALGRIND is None and effort.instructions:
        console.print("Instructions are not measured: there is no valgrind (Debian: apt install valgrind).")
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        # A copy, so that a build in the meantime changes nothing.
        copy = Path(scratch) / "built"
        shutil.copytree(build().parent, copy)
        artefact = Artefact.prepare(copy, Path(scratch))
        asked = options.only or page.SECTIONS
        failed = [name for name in asked if not _measure(name, artefact, effort, console)]
    page.PAGE.parent.mkdir(parents=True, exist_ok=True)
    page.PAGE.write_text(page.page(), encoding="utf-8")
    _show_targets(console)
    console.print(f"Written: {page.PAGE.relative_to(page.PROJECT)}")
    if failed:
        console.print(f"[bold red]✗[/] Could not be measured: {', '.join(failed)}")
    return 1 if failed else 0


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--only", action="append", choices=page.SECTIONS, help="this section only; may be repeated")
    parser.add_argument("--rounds", type=int, default=15, help="how often each case runs (default: 15)")
    parser.add_argument("--seconds", type=float, default=10.0, help="how long each level of load lasts (default: 10)")
    parser.add_argument("--no-instructions", action="store_true", help="do not count instructions, which takes longest")
    return parser.parse_args(arguments)


def _measure(name: str, artefact: Artefact, effort: Effort, console: Console) -> bool:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=console) as bar:
        task = bar.add_task(name, total=None)
        try:
            found = MEASURES[name](artefact, effort, lambda done, of: bar.update(task, completed=done, total=of))
        except Exception:  # noqa: BLE001 - what went wrong is shown, and the other sections go on
            console.print(traceback.format_exc(), markup=False)
            return False
    page.keep(name, {"about": _about(), "found": found})
    for heading, headings, lines in page.tables(name, found):
        show(console, heading or name, headings, lines)
    return True


def show(console: Console, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """One table on the screen."""
    shown = Table(title=title.replace("*", ""), title_justify="left", header_style="bold")
    for number, column in enumerate(columns):
        shown.add_column(column, justify="left" if number == 0 else "right")
    for row in rows:
        shown.add_row(*row)
    console.print(shown)


def _show_targets(console: Console) -> None:
    colours = {True: "green", False: "red", None: "yellow"}
    rows = [
        [one.target, one.bound, one.measured, f"[{colours[one.reached]}]{one.said.strip('*')}[/]"]
        for one in verdicts({name: page.read(name) for name in page.SECTIONS})
    ]
    show(console, "Targets", ["target", "at most", "measured", ""], rows)


def _about() -> dict[str, Any]:
    return {
        "measured": datetime.now(UTC).date().isoformat(),
        "revision": subjects.revision(),
        **subjects.machine(),
        "valgrind": "counts instructions" if VALGRIND else "not there, instructions not measured",
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
