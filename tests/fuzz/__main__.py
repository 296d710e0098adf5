"""All of the fuzzing, whole: `make fuzz`. Shows the progress and writes docs/evidence/fuzz.md.

What each campaign found is kept in docs/evidence/fuzz/, so that `--only` renews one part of the page. 0: everything
held; 1: something was found, and the output says how to see it again.
"""

import argparse
import json
import random
import sys
import tempfile
import traceback
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final

from rich import progress as bars
from rich.console import Console

from sandbox.cloud.service import LocalService
from tests.faults.__main__ import section
from tests.faults.campaigns import Budget, Campaign, Progress, Report
from tests.fuzz import api, handlers

PROJECT: Final = Path(__file__).parents[2]
KEPT: Final = PROJECT / "docs/evidence/fuzz"
PAGE: Final = PROJECT / "docs/evidence/fuzz.md"
_HEAD: Final = """# Evidence: any input gets a documented answer

Written by `make fuzz`; do not edit. `make test` runs a share of it with a new seed every time.

What can be sent to the service was made up by two programs that look for trouble: hypothesis for the functions
themselves, schemathesis for the running API. A run that finds something fails, and its section keeps the figures of the
last time that everything held. The numbers I1 to I18 are explained in [invariants.md](../invariants.md).
"""


def _ask_the_api(budget: Budget, progress: Progress) -> Report:
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        with LocalService.start(scratch / "service") as service:
            return api.run(budget, progress, api=service.endpoints["api"], scratch=scratch)


CAMPAIGNS: Final[dict[str, Campaign]] = {"handlers": handlers.run, "api": _ask_the_api}
"""In the order of the page."""


def main(arguments: Sequence[str]) -> int:
    """Runs the campaigns that were asked for."""
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("--share", type=float, default=1.0, help="how much of each campaign (default: 1, all)")
    parser.add_argument("--seed", type=int, help="what everything is drawn from (default: a new one)")
    parser.add_argument("--only", action="append", choices=CAMPAIGNS, help="this campaign only; may be repeated")
    options = parser.parse_args(arguments)
    seed = random.SystemRandom().randrange(10**6) if options.seed is None else options.seed
    console = Console(highlight=False)
    console.print(f"Seed {seed}: `--seed {seed}` draws the same again.")
    failed = [name for name in options.only or CAMPAIGNS if not _run(name, Budget(options.share, seed), console)]
    PAGE.write_text(page(), encoding="utf-8")
    console.print(f"Written: {PAGE.relative_to(PROJECT)}")
    if failed:
        console.print(f"[bold red]✗[/] Something was found by: {', '.join(failed)}")
    return 1 if failed else 0


def page() -> str:
    """The page, from what was kept of each campaign."""
    kept = [KEPT / f"{name}.json" for name in CAMPAIGNS]
    return "\n".join(
        [_HEAD, *(section(json.loads(file.read_text(encoding="utf-8"))) for file in kept if file.exists())]
    )


def _run(name: str, budget: Budget, console: Console) -> bool:
    columns = (bars.TextColumn("{task.description}"), bars.BarColumn(), bars.MofNCompleteColumn())
    with bars.Progress(*columns, bars.TimeElapsedColumn(), console=console) as bar:
        task = bar.add_task(name, total=None)
        try:
            report = CAMPAIGNS[name](budget, lambda done, of: bar.update(task, completed=done, total=of))
        except Exception:  # noqa: BLE001 - whatever it found is shown, and the other campaign goes on
            console.print(traceback.format_exc(), markup=False)
            return False
    KEPT.mkdir(parents=True, exist_ok=True)
    kept = asdict(budget) | {
        "title": report.title,
        "what": report.what,
        "figures": dict(report.figures),
        "tables": list(report.tables),
    }
    (KEPT / f"{name}.json").write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    for figure, value in report.figures.items():
        console.print(f"  {figure}: {value:,}" if isinstance(value, int) else f"  {figure}: {value}", markup=False)
    return True


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
