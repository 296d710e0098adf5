"""Starts one built function as Lambda does, and lets it serve the same request repeatedly.

    function.py FOLDER LAYERS NAME COUNT [CANNED EVENT]

COUNT 0 is Init only. Above 0, Lambda's after-restore hooks run first, and the network responds from the file CANNED.
The last line on standard error is the process's peak memory.
"""

import json
import os
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

# Part of Lambda's runtime, whose bootstrap loads it before any function.
from awslambdaric.lambda_runtime_hooks_runner import run_after_restore  # type: ignore[import-not-found]

ASKS_RAZORPAY = ("create_order", "reconcile")


class Context:
    """Lambda's invocation context, as far as the functions read it."""

    aws_request_id = "c6af9ac6-7b61-11e6-9a41-93e8deadbeef"

    def get_remaining_time_in_millis(self) -> int:
        """The remaining time at the start of a reconcile run."""
        return 55_000


def cut_off_from(canned: str, name: str) -> Any:
    """Replaces the network by the canned responses."""
    sys.path.append(str(Path(__file__).parent))
    from stub import Canned, cut_off

    answers = Canned(canned)
    cut_off(answers, razorpay=name in ASKS_RAZORPAY)
    return answers


def serving(name: str, canned: str, event_file: str) -> Callable[[], None]:
    """Serves one request with the function on the path; BENCH_KEEP names the file for its outside calls."""
    handler = import_module("app").lambda_handler
    answers = cut_off_from(canned, name)
    event = json.loads(Path(event_file).read_text(encoding="utf-8"))
    keep = os.environ.get("BENCH_KEEP")
    is_warm = False

    def serve() -> None:
        nonlocal is_warm
        answers.asked = []
        answer = handler(event, Context())
        if answer.get("statusCode", 200) not in {200, 201} or answer.get("failed"):
            raise AssertionError(answer)
        if is_warm and any(call["target"].endswith("GetSecretValue") for call in answers.asked):
            raise AssertionError("The secrets were read again: a minute has passed. Measure when less else is running.")
        is_warm = True
        if keep:
            Path(keep).write_text(json.dumps(answers.asked), encoding="utf-8")

    return serve


def main() -> None:
    """Starts it, and serves the requested number of times."""
    folder, layers, name, count, *request = sys.argv[1:]
    # /var/task precedes /opt/python, and both precede the runtime's own packages.
    sys.path[:0] = [folder, *layers.split(":")]
    import_module("app")
    if request:
        run_after_restore()
        serve = serving(name, *request)
        for _ in range(int(count)):
            serve()
    with open("/proc/self/status", encoding="ascii") as status:  # noqa: PTH123 - the file of a running process
        sys.stderr.write(next(line for line in status if line.startswith("VmHWM")))


if __name__ == "__main__":
    main()
