"""The measurements of a build, process by process: starts, warm requests, and the layers' size.

Instructions are counted once, since they do not depend on the machine's load; counting uses all cores.
"""

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from bench import targets
from bench.canned import Flow
from bench.children import instructions, memory_mib
from bench.subjects import BARE, CRYPTOGRAPHY_LAYER, SHARED_LAYER, zipped_mb
from bench.targets import Figure

_PROGRAM: Final = "function.py"
# More than the ten orders of the first block of payment ids, by whole blocks.
_FEW, _MANY = 10, 30


def starts(flows: Sequence[Flow]) -> list[Figure]:
    """Each function's Init, primed as deployed, and the work from there to the first response, relative to the floor F.

    Raises:
        ChildFailed: a function did not start, or did not serve its request.
    """
    first_of: dict[str, Flow] = {}
    for flow in flows:
        first_of.setdefault(flow.subject.case, flow)
    firsts = list(first_of.values())
    floor, *counts = _at_once(
        lambda task: instructions(*task),
        [
            ("floor.py", [], dict(BARE)),
            *(
                (_PROGRAM, arguments, flow.subject.environment(in_secrets=True))
                for flow in firsts
                for arguments in ([*flow.subject.arguments(), "0"], flow.served(1))
            ),
        ],
    )
    found = [Figure("F: boto3 and a client of DynamoDB, million instructions", floor / 1e6)]
    for flow, ready, answered in zip(firsts, counts[::2], counts[1::2], strict=True):
        case, after = flow.subject.case, (answered - ready) / floor
        environment = flow.subject.environment(in_secrets=True)
        most = targets.MEMORY_WITH_CRYPTOGRAPHY_MIB if flow.subject.asymmetric else targets.MEMORY_MIB
        memory = memory_mib(_PROGRAM, [*flow.subject.arguments(), "0"], environment)
        found += [
            Figure(f"{case}: ready, x F", ready / floor, targets.READY[case], 3),
            Figure(f"{case}: first answer more, x F", after, targets.FIRST_ANSWER, 3),
            Figure(f"{case}: memory when ready, MiB", memory, most, 1),
        ]
    return found


def warm(flows: Sequence[Flow]) -> list[Figure]:
    """Instructions of one request on a warm instance with a stubbed network: a run of many minus a run of few.

    Raises:
        ChildFailed: a function did not serve its request.
    """
    counts = _at_once(
        lambda task: instructions(_PROGRAM, task[0].served(task[1]), task[0].subject.environment(in_secrets=True)),
        [(flow, count) for flow in flows for count in (_FEW, _MANY)],
    )
    found = []
    for flow, few, many in zip(flows, counts[::2], counts[1::2], strict=True):
        base = targets.WARM_BASE.get(flow.case)
        bound = None if base is None else base * targets.WARM_GROWTH
        found.append(Figure(f"{flow.case}, instructions", (many - few) / (_MANY - _FEW), bound))
    return found


def sizes(built: Path) -> list[Figure]:
    """The size of what is uploaded once for all functions; a function's own folder is a few kilobytes."""
    return [
        Figure("the layer of all functions, zipped, MB", zipped_mb(built / SHARED_LAYER), targets.LAYER_MB, 1),
        Figure("the layer for RS256 and ES256, zipped, MB", zipped_mb(built / CRYPTOGRAPHY_LAYER), digits=1),
    ]


def _at_once[T](count: Callable[[T], int], tasks: Iterable[T]) -> list[int]:
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        return list(pool.map(count, tasks))
