"""Every campaign under faults, whole: `make faults`. Shows the progress and writes docs/evidence/faults.md.

What each campaign found is kept in docs/evidence/faults/, so that `--only` renews one part of the page. 0: all of them
held; 1: one of them found something, and says how to see it again.
"""

import argparse
import json
import random
import sys
import traceback
from collections.abc import Sequence
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from tests.faults.campaigns import Budget, Campaign, Report

PROJECT: Final = Path(__file__).parents[2]
KEPT: Final = PROJECT / "docs/evidence/faults"
PAGE: Final = PROJECT / "docs/evidence/faults.md"
CAMPAIGNS: Final = (
    "reachability",
    "crashes",
    "interleavings",
    "machine",
    "schedules",
    "outages",
    "mistakes",
    "soak",
)
"""In the order of the page: from the decision alone to the deployed service."""

_HEAD: Final = """# Evidence: nothing is lost, nothing is doubled

Written by `make faults`; do not edit. `make test` runs a share of each campaign with a new seed every time.

A sceptic's guide: each section says what was tried, and ends with figures. *Lost* is an event or a fact that was
acknowledged or recorded and is missing in the end, *doubled* a fact that changed a record twice or an event under two
ids, *invented* an event that nothing at Razorpay stands behind. A campaign that finds one fails, and its section keeps
the figures of the last time that it held. The numbers I1 to I18 are explained in [invariants.md](../invariants.md).
"""


def main(arguments: Sequence[str]) -> int:
    """Runs the campaigns that were asked for."""
    parser = argparse.ArgumentParser(prog="make faults", description=__doc__)
    parser.add_argument("--share", type=float, default=1.0, help="how much of each campaign, 0 to 1 (default: all)")
    parser.add_argument("--seed", type=int, help="what random campaigns draw from (default: a new one)")
    parser.add_argument("--only", action="append", choices=CAMPAIGNS, help="this campaign only; may be repeated")
    options = parser.parse_args(arguments)
    seed = random.SystemRandom().randrange(10**6) if options.seed is None else options.seed
    console = Console(highlight=False)
    console.print(f"Seed {seed}: `--seed {seed}` draws the same again.")
    failed = [name for name in options.only or CAMPAIGNS if not _run(name, Budget(options.share, seed), console)]
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(page(), encoding="utf-8")
    console.print(f"Written: {PAGE.relative_to(PROJECT)}")
    if failed:
        console.print(f"[bold red]✗[/] Something was found by: {', '.join(failed)}")
    return 1 if failed else 0


def page() -> str:
    """The page, from what was kept of each campaign."""
    sections = [_HEAD]
    for name in CAMPAIGNS:
        kept = KEPT / f"{name}.json"
        if kept.exists():
            sections.append(section(json.loads(kept.read_text(encoding="utf-8"))))
        else:
            sections.append(f"## {name.capitalize()}\n\nNot run as a whole yet; `make test` runs a share of it.\n")
    return "\n".join(sections)


def section(kept: dict[str, Any]) -> str:
    """One campaign's part of the page."""
    budget = f"{kept['share']:.0%} of the campaign, seed {kept['seed']}"
    rows = [f"| {name} | {_printed(figure)} |" for name, figure in kept["figures"].items()]
    lines = [f"## {kept['title']}", "", kept["what"], "", f"| {budget} | |", "| --- | ---: |", *rows]
    for table in kept["tables"]:
        lines += ["", table]
    return "\n".join([*lines, ""])


def _printed(figure: int | str) -> str:
    return f"{figure:,}" if isinstance(figure, int) else figure


def _run(name: str, budget: Budget, console: Console) -> bool:
    campaign: Campaign = import_module(f"tests.faults.{name}").run
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=console) as bar:
        task = bar.add_task(name, total=None)
        try:
            report = campaign(budget, lambda done, of: bar.update(task, completed=done, total=of))
        except Exception:  # noqa: BLE001 - whatever it found is shown, and the other campaigns go on
            console.print(traceback.format_exc(), markup=False)
            return False
    _keep(name, budget, report)
    for figure, value in report.figures.items():
        console.print(f"  {figure}: {_printed(value)}", markup=False)
    return True


def _keep(name: str, budget: Budget, report: Report) -> None:
    KEPT.mkdir(parents=True, exist_ok=True)
    kept = asdict(budget) | {
        "title": report.title,
        "what": report.what,
        "figures": dict(report.figures),
        "tables": list(report.tables),
    }
    text = json.dumps(kept, indent=1, ensure_ascii=False) + "\n"
    (KEPT / f"{name}.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
