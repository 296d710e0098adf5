"""Starting each function, against the floor F and the hard floor, every case once a round.

Two depths, both in the deployed configuration: `ready` is what Lambda calls Init, primed, and so what a snapshot holds;
`answer` is that and the whole first request, its secrets read, with the network stubbed. What is between the two is
what is left to do after a snapshot was resumed. The targets are about `ready` and about what is between.
"""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from bench import figures
from bench.canned import Flow
from bench.children import VALGRIND, Start, dearest_imports, instructions_of_start, run_start
from bench.figures import Spread
from bench.progress import Effort, Progress, Result
from bench.subjects import BARE, Subject

F: Final = "F: boto3 and a client of DynamoDB"
HARD_FLOOR: Final = "hard floor: urllib3"
DEPTHS: Final = ("ready", "answer")


@dataclass(frozen=True, slots=True)
class Case:
    """One way to start one process."""

    name: str
    depth: str
    program: str
    arguments: Sequence[str]
    environment: dict[str, str]


def cases(subjects: Sequence[Subject], flows: Sequence[Flow]) -> list[Case]:
    """The floors, and each function at each depth."""
    found = [
        Case(F, "ready", "floor.py", [], dict(BARE)),
        Case(HARD_FLOOR, "ready", "hard_floor_start.py", [], dict(BARE)),
    ]
    for subject in subjects:
        flow = next(flow for flow in flows if flow.subject is subject)
        for depth in DEPTHS:
            arguments = [*subject.arguments(), depth]
            if depth == "answer":
                arguments += [str(flow.canned), str(flow.event)]
            found.append(Case(subject.case, depth, "start.py", arguments, subject.environment(in_secrets=True)))
    return found


def measure(cases: Sequence[Case], effort: Effort, progress: Progress) -> Result:
    """Runs them all, interleaved, then counts instructions, then asks for the dearest imports."""
    counted = VALGRIND is not None and effort.instructions
    importing = [case for case in cases if case.depth == "ready"]
    steps = effort.rounds * len(cases) + counted * len(cases) + len(importing)
    done = 0

    def step() -> None:
        nonlocal done
        done += 1
        progress(done, steps)

    starts = _in_rounds(cases, effort.rounds, step)
    instructions = _counted(cases, step) if counted else {}
    imports = {}
    for case in importing:
        imports[case.name] = dearest_imports(case.program, case.arguments, case.environment)
        step()
    floor = next(case for case in cases if case.name == F)
    return {
        "rounds": effort.rounds,
        "rows": [
            {
                "case": case.name,
                "depth": case.depth,
                "cpu_s": Spread.of([start.cpu_s for start in starts[at]]).document(),
                "cpu_of_floor": figures.ratios(
                    [start.cpu_s for start in starts[at]], [start.cpu_s for start in starts[cases.index(floor)]]
                ).document(),
                "instructions": instructions.get(at),
                "instructions_of_floor": instructions[at] / instructions[cases.index(floor)] if instructions else None,
                "rss_mib": Spread.of([start.rss_kib / 1024 for start in starts[at]]).document(),
                "modules": starts[at][-1].modules,
            }
            for at, case in enumerate(cases)
        ],
        "imports": imports,
    }


def _in_rounds(cases: Sequence[Case], rounds: int, step: Callable[[], None]) -> list[list[Start]]:
    starts: list[list[Start]] = [[] for _ in cases]
    for number in range(rounds):
        # Another one first each round, so that none always follows the same other.
        for place in range(len(cases)):
            at = (place + number) % len(cases)
            case = cases[at]
            starts[at].append(run_start(case.program, case.arguments, case.environment))
            step()
    return starts


def _counted(cases: Sequence[Case], step: Callable[[], None]) -> dict[int, int]:
    """Instructions by the number of the case. Counting is not disturbed by others, so it uses all cores."""

    def count(case: Case) -> int | None:
        number = instructions_of_start(case.program, case.arguments, case.environment)
        step()
        return number

    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        numbers = list(pool.map(count, cases))
    return {at: number for at, number in enumerate(numbers) if number is not None}
