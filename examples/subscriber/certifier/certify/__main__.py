"""`python -m certify path.to.module:handler`: exits with 0 if the subscriber passes, 1 if not, 2 if it cannot run."""

import argparse
import secrets
import sys
import time

from certify.histories import histories
from certify.schedules import Case
from certify.search import Finding, Search
from certify.subject import BadSubject, Subject

_SHOWN_EVERY_S = 2.0


def main(arguments: list[str] | None = None) -> int:
    """Run the command."""
    options = _parser().parse_args(arguments)
    seed = options.seed if options.seed is not None else secrets.randbelow(10**6)
    shown = 0.0

    def progress(tried: int, what: str) -> None:
        nonlocal shown
        if time.monotonic() - shown > _SHOWN_EVERY_S:
            shown = time.monotonic()
            print(f"  {tried} schedules tried, now {what} …", file=sys.stderr, flush=True)

    # The folder the command runs in, as for `python -m`; also if it is installed as a program.
    sys.path.insert(0, "")
    try:
        search = Search(
            Subject.named(options.handler, options.agreed, options.outcome),
            types=frozenset(options.types.split(",")) if options.types else frozenset(),
            seed=seed,
            seconds=options.seconds,
            progress=progress,
        )
        known = histories()
        print(f"Certifying {options.handler} with {len(known)} histories, up to {options.seconds:g} s, seed {seed}")
        finding = search.run(known)
    except BadSubject as error:
        print(f"Cannot certify: {error}", file=sys.stderr)
        return 2
    print(_failed(finding, search) if finding else _passed(search))
    return 1 if finding else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m certify", description=__doc__)
    parser.add_argument("handler", help="the Lambda handler, as path.to.module:function")
    parser.add_argument(
        "--agreed", metavar="PATH", help="told the subscriber's own terms (default: agreed, beside the handler)"
    )
    parser.add_argument("--outcome", metavar="PATH", help="says what it did (default: outcome, beside the handler)")
    parser.add_argument("--types", default="", help="the detail types of its rule, comma separated (default: all)")
    parser.add_argument("--seconds", type=float, default=60, help="how long to search (default: 60)")
    parser.add_argument("--seed", type=int, help="repeats a run")
    return parser


def _passed(search: Search) -> str:
    told = (
        "every schedule"
        if search.exhausted
        else f"every schedule of up to {search.complete} deliveries, and longer ones"
    )
    return f"PASSED: {search.tried} schedules, {told}"


def _failed(finding: Finding, search: Search) -> str:
    shortest = "the shortest" if finding.is_shortest else "there may be a shorter one"
    lines = [
        f"FAILED: {finding.wrong}",
        f"after {len(finding.case)} message{'s' if len(finding.case) > 1 else ''} ({shortest}):",
        *_deliveries(finding.case),
    ]
    if not finding.case.as_agreed:
        lines.append("The subscriber's own terms have another amount.")
    return "\n".join([*lines, f"{search.tried} schedules tried; repeat with --seed {search.seed}"])


def _deliveries(case: Case) -> list[str]:
    lines, seen = [], set[int]()
    for number, delivery in enumerate(case.schedule, start=1):
        for place in delivery.events:
            again = " (again)" if place in seen else ""
            replayed = " (replayed)" if delivery.replayed else ""
            lines.append(f"  {number}. {case.history[place]}{again}{replayed}")
            seen.add(place)
    return lines


if __name__ == "__main__":
    sys.exit(main())
