"""Serves the same request again and again from one warm instance: a built function, or the hard floor.

    warm.py function FOLDER LAYERS NAME CANNED EVENT (stub|http) COUNT
    warm.py floor CALLS EVENT CANNED (stub URL|http URL) COUNT

With a COUNT it serves that many and ends, for callgrind. With `-` it is asked: a number on standard input serves that
many and answers with the CPU and the wall seconds of all of them.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

sys.path.append(str(Path(__file__).parent))

from stub import Canned, cut_off

ASKS_RAZORPAY = ("create_order", "reconcile")


class Context:
    """What Lambda tells of an invocation, as far as it is read."""

    aws_request_id = "c6af9ac6-7b61-11e6-9a41-93e8deadbeef"

    def get_remaining_time_in_millis(self) -> int:
        """As in the first moment of a run of reconcile."""
        return 55_000


def cut_off_from(canned: str, name: str) -> Canned:
    """Puts the canned answers in the place of the network."""
    answers = Canned(canned)
    cut_off(answers, razorpay=name in ASKS_RAZORPAY)
    return answers


def function(arguments: list[str]) -> Callable[[], None]:
    """One request of a built function."""
    folder, layers, name, canned, event_file, network = arguments
    sys.path[:0] = [folder, *(layer for layer in layers.split(":") if layer)]
    handler = import_module("app").lambda_handler
    answers = cut_off_from(canned, name) if network == "stub" else None
    event = json.loads(Path(event_file).read_text(encoding="utf-8"))
    context = Context()

    def serve() -> None:
        answer = handler(event, context)
        if answer.get("statusCode", 200) not in {200, 201} or answer.get("failed"):
            raise AssertionError(answer)

    serve()
    keep = os.environ.get("BENCH_KEEP")
    if keep and answers is not None:
        # Of a warm request: the secrets and the block of ids are there already.
        answers.asked = []
        serve()
        Path(keep).write_text(json.dumps(answers.asked), encoding="utf-8")
        answers.asked = None
    return serve


def main() -> None:
    """Serves, as it is told to."""
    kind, *arguments, count = sys.argv[1:]
    if kind == "floor":
        from hard_floor import floor

        serve = floor(arguments)
    else:
        serve = function(arguments)
    if count != "-":
        for _ in range(int(count)):
            serve()
        return
    # The handlers' log lines go nowhere; the answers go where standard output was.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    answers.write("ready\n")
    for line in sys.stdin:
        cpu, wall = time.process_time(), time.perf_counter()
        for _ in range(int(line)):
            serve()
        answers.write(f"{time.process_time() - cpu} {time.perf_counter() - wall}\n")


if __name__ == "__main__":
    main()
