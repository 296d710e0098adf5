"""A page of evidence: campaigns that are run whole, the figures that are kept of each, and the text made of them."""

import argparse
import json
import random
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from rich import progress as bars
from rich.console import Console

from sandbox import proxies, terminal
from tests.faults.campaigns import Budget, Campaign, Report

PROJECT: Final = Path(__file__).parents[2]
FOLDER: Final = PROJECT / "docs/evidence"


@dataclass(frozen=True, slots=True)
class Evidence:
    """One page under docs/evidence, and the folder beside it with what was kept of each campaign."""

    command: str
    """What a person types."""
    name: str
    head: str
    """The page's beginning (Markdown)."""
    campaigns: Mapping[str, Campaign]
    """In the order of the page."""

    def renew(self, arguments: Sequence[str], *, description: str | None) -> int:
        """Runs the campaigns that were asked for and writes the page. 0: all held; 1: one found something."""
        parser = argparse.ArgumentParser(prog=self.command, description=description)
        parser.add_argument("--share", type=float, default=1.0, help="how much of each campaign, 0 to 1 (default: all)")
        parser.add_argument("--seed", type=int, help="what random campaigns draw from (default: a new one)")
        parser.add_argument(
            "--only", action="append", choices=self.campaigns, help="this campaign only; may be repeated"
        )
        options = parser.parse_args(arguments)
        seed = random.SystemRandom().randrange(10**6) if options.seed is None else options.seed
        console = terminal.console()
        proxies.bypass_for_this_machine()
        console.print(f"Seed {seed}: `--seed {seed}` draws the same again.")
        budget = Budget(options.share, seed)
        failed = [name for name in options.only or self.campaigns if not self._run(name, budget, console)]
        page = FOLDER / f"{self.name}.md"
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(self.page(), encoding="utf-8")
        console.print(f"Written: {page.relative_to(PROJECT)}")
        if failed:
            console.print(f"[bold red]✗[/] Something was found by: {', '.join(failed)}")
        return 1 if failed else 0

    def page(self) -> str:
        """The page, from what was kept of each campaign."""
        sections = [self.head]
        for name in self.campaigns:
            kept = FOLDER / self.name / f"{name}.json"
            if kept.exists():
                sections.append(_section(json.loads(kept.read_text(encoding="utf-8"))))
            else:
                sections.append(f"## {name.capitalize()}\n\nNot run as a whole yet; `make test` runs a share of it.\n")
        return "\n".join(sections)

    def _run(self, name: str, budget: Budget, console: Console) -> bool:
        columns = (bars.TextColumn("{task.description}"), bars.BarColumn(), bars.MofNCompleteColumn())
        times = (bars.TimeElapsedColumn(), bars.TimeRemainingColumn())
        with bars.Progress(*columns, *times, console=console) as bar:
            task = bar.add_task(name, total=None)
            try:
                report = self.campaigns[name](budget, lambda done, of: bar.update(task, completed=done, total=of))
            except Exception:  # noqa: BLE001 - whatever it found is shown, and the other campaigns go on
                console.print(traceback.format_exc(), markup=False)
                return False
        self._keep(name, budget, report)
        for figure, value in report.figures.items():
            console.print(f"  {figure}: {_printed(value)}", markup=False)
        return True

    def _keep(self, name: str, budget: Budget, report: Report) -> None:
        folder = FOLDER / self.name
        folder.mkdir(parents=True, exist_ok=True)
        kept = asdict(budget) | {
            "title": report.title,
            "what": report.what,
            "figures": dict(report.figures),
            "tables": list(report.tables),
        }
        text = json.dumps(kept, indent=1, ensure_ascii=False) + "\n"
        (folder / f"{name}.json").write_text(text, encoding="utf-8")


def _section(kept: dict[str, Any]) -> str:
    """One campaign's part of the page."""
    budget = f"{kept['share']:.0%} of the campaign, seed {kept['seed']}"
    rows = [f"| {name} | {_printed(figure)} |" for name, figure in kept["figures"].items()]
    lines = [f"## {kept['title']}", "", kept["what"], "", f"| {budget} | |", "| --- | ---: |", *rows]
    for table in kept["tables"]:
        lines += ["", table]
    return "\n".join([*lines, ""])


def _printed(figure: int | str) -> str:
    return f"{figure:,}" if isinstance(figure, int) else figure
