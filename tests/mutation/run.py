"""`make mutation`: how many small mistakes in the core and the hand-off the tests would notice.

Every mutant is one small mistake. The tests of the core and of the table run on each; a mutant that they do not fail
has survived, and `survivors.toml` says why that is all right. A survivor without a reason, a reason without its
survivor, or a rate below the threshold fails the run. The figures go into docs/evidence/mutation.md.
"""

import argparse
import os
import signal
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Final

from tests.mutation import report, runner
from tests.mutation.mutants import Mutant, mutants_of

PROJECT: Final = Path(__file__).parents[2]
MODULES: Final = (
    *sorted(path.relative_to(PROJECT).as_posix() for path in (PROJECT / "shared/payments/core").glob("[a-z]*.py")),
    "shared/payments/adapters/bus.py",
    "shared/payments/adapters/table.py",
)

_SHOWN_EVERY_S = 10


def main() -> int:
    """0: every survivor has its reason and the rate is high enough; 1: not so, and the output says what."""
    parser = argparse.ArgumentParser(prog="make mutation", description=__doc__)
    parser.add_argument("modules", nargs="*", help="only these, such as money or transitions; writes no report")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)), help="so many mutants at once")
    options = parser.parse_args()
    paths = [path for path in MODULES if not options.modules or Path(path).stem in options.modules]
    if not paths:
        parser.error(f"There is no such module among {', '.join(Path(path).stem for path in MODULES)}.")
    os.chdir(PROJECT)
    # So that whatever was started is ended with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    runner.preload()
    print("Running the tests once without a mutant, to see what each executes.", flush=True)
    try:
        coverage = runner.measure(PROJECT, MODULES)
    except runner.TestsBrokenError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"Making the mutants of {len(paths)} modules.", flush=True)
    mutants = [mutant for path in paths for mutant in mutants_of(PROJECT, path)]
    results = _run(mutants, coverage, options.jobs)
    return report.conclude(PROJECT, results, complete=not options.modules)


def _run(mutants: list[Mutant], coverage: runner.Coverage, jobs: int) -> list[runner.Result]:
    print(f"Running {len(coverage.seconds)} tests on {len(mutants)} mutants.", flush=True)
    results = []
    counts: Counter[str] = Counter()
    shown = time.monotonic()
    for result in runner.run(mutants, coverage, jobs):
        results.append(result)
        counts[result.verdict] += 1
        if result.verdict in {"survived", "no test"}:
            print(f"{result.verdict}: {result.mutant.module} {result.mutant.change}", flush=True)
        if len(results) == len(mutants) or time.monotonic() - shown > _SHOWN_EVERY_S:
            shown = time.monotonic()
            told = ", ".join(f"{count} {verdict}" for verdict, count in sorted(counts.items()))
            print(f"{len(results)} of {len(mutants)} mutants: {told}", flush=True)
    return results


if __name__ == "__main__":
    sys.exit(main())
