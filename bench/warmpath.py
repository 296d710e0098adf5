"""The same request again and again from a warm function, against the hard floor that makes the same outside calls.

Stubbed: the answer is there the moment a call is sent, so only our own work counts; instructions are the figure to
trust. Over local HTTP: connections, sockets and parsing as well, without TLS.
"""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any, Final

from bench import figures
from bench.canned import Flow
from bench.children import VALGRIND, Warm, canned_server, instructions_of_request, warm
from bench.figures import Spread
from bench.progress import Effort, Progress, Result
from bench.subjects import BARE

# A request is 1 to 10 ms: enough of them that the process's clock (10 ms or better) does not matter.
_REQUESTS_A_ROUND: Final = 40
# Past the 10 orders that one block of payment ids serves.
_FEW, _MANY = 10, 50


def measure(flows: Sequence[Flow], effort: Effort, progress: Progress) -> Result:
    """Every flow and its floor, stubbed and over HTTP."""
    counted = VALGRIND is not None and effort.instructions
    steps = counted * 2 * len(flows) + 2 * effort.rounds
    done = 0

    def step() -> None:
        nonlocal done
        done += 1
        progress(done, steps)

    rows: list[dict[str, Any]] = [
        {
            "flow": flow.name if not flow.subject.asymmetric else f"{flow.name} (RS256)",
            "function": flow.subject.name,
            "outside_calls": flow.outside_calls,
        }
        for flow in flows
    ]
    if counted:

        def count(task: tuple[list[str], dict[str, str]]) -> int | None:
            number = instructions_of_request(*task, few=_FEW, many=_MANY)
            step()
            return number

        tasks = [_function(flow, "stub") for flow in flows] + [_floor(flow, "stub", "") for flow in flows]
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            numbers = list(pool.map(count, tasks))
        for row, own, floor in zip(rows, numbers, numbers[len(flows) :], strict=False):
            row["instructions"], row["floor_instructions"] = own, floor
            row["instructions_of_floor"] = own / floor if own and floor else None
    for network in ("stub", "http"):
        _timed(flows, rows, network, effort, step)
    return {"rounds": effort.rounds, "requests_a_round": _REQUESTS_A_ROUND, "rows": rows}


def _timed(flows: Sequence[Flow], rows: list[dict[str, Any]], network: str, effort: Effort, step: Any) -> None:  # noqa: ANN401 - a call without arguments
    with ExitStack() as processes:
        pairs: list[tuple[Warm, Warm]] = []
        for flow in flows:
            url = processes.enter_context(canned_server(flow.canned)) if network == "http" else ""
            own = processes.enter_context(warm(*_function(flow, network, url)))
            floor = processes.enter_context(warm(*_floor(flow, network, url)))
            pairs.append((own, floor))
        own_times: list[list[tuple[float, float]]] = [[] for _ in flows]
        floor_times: list[list[tuple[float, float]]] = [[] for _ in flows]
        for _ in range(effort.rounds):
            for at, (own, floor) in enumerate(pairs):
                own_times[at].append(own.serve(_REQUESTS_A_ROUND))
                floor_times[at].append(floor.serve(_REQUESTS_A_ROUND))
            step()
    for row, mine, others in zip(rows, own_times, floor_times, strict=True):
        cpu, floor_cpu = [cpu for cpu, _ in mine], [cpu for cpu, _ in others]
        row[network] = {
            "cpu_ms": Spread.of([value * 1000 for value in cpu]).document(),
            "floor_cpu_ms": Spread.of([value * 1000 for value in floor_cpu]).document(),
            "cpu_of_floor": figures.ratios(cpu, floor_cpu).document(),
            "wall_ms": Spread.of([wall * 1000 for _, wall in mine]).document(),
        }


def _function(flow: Flow, network: str, url: str = "") -> tuple[list[str], dict[str, str]]:
    environment = flow.subject.environment(in_secrets=True)
    if network == "http":
        environment |= {"AWS_ENDPOINT_URL": url, "RAZORPAY_API_URL": url}
    arguments = ["function", *flow.subject.arguments(), str(flow.canned), str(flow.event), network]
    return arguments, environment


def _floor(flow: Flow, network: str, url: str) -> tuple[list[str], dict[str, str]]:
    environment = dict(BARE)
    if flow.subject.asymmetric:
        layers = os.pathsep.join(str(layer) for layer in flow.subject.layers if (layer / "cryptography").is_dir())
        environment |= {"PYTHONPATH": layers, "JWT_PUBLIC_KEY": flow.subject.secrets["JWT_PUBLIC_KEY"]}
    return ["floor", str(flow.calls), str(flow.event), str(flow.canned), network, url], environment
