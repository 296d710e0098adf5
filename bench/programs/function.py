"""Starts one built function, as Lambda starts it, and lets it serve the same request so many times.

    function.py FOLDER LAYERS NAME COUNT [CANNED EVENT]

COUNT 0 is Init and nothing else. Above it, the network answers from the file CANNED, and the hooks that Lambda runs in
each copy of a snapshot come first. The most memory that the process had is the last line on standard error.
"""

import json
import os
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

# Of Lambda's own runtime, whose bootstrap has loaded it before any function.
from awslambdaric.lambda_runtime_hooks_runner import run_after_restore  # type: ignore[import-not-found]

ASKS_RAZORPAY = ("create_order", "reconcile")


class Context:
    """What Lambda tells of an invocation, as far as it is read."""

    aws_request_id = "c6af9ac6-7b61-11e6-9a41-93e8deadbeef"

    def get_remaining_time_in_millis(self) -> int:
        """As in the first moment of a run of reconcile."""
        return 55_000


def cut_off_from(canned: str, name: str) -> Any:
    """Puts the canned answers in the place of the network."""
    sys.path.append(str(Path(__file__).parent))
    from stub import Canned, cut_off

    answers = Canned(canned)
    cut_off(answers, razorpay=name in ASKS_RAZORPAY)
    return answers


def serving(name: str, canned: str, event_file: str) -> Callable[[], None]:
    """One request of the function whose folder is on the path; its outside calls go into the file BENCH_KEEP names."""
    handler = import_module("app").lambda_handler
    answers = cut_off_from(canned, name)
    event = json.loads(Path(event_file).read_text(encoding="utf-8"))
    keep = os.environ.get("BENCH_KEEP")

    def serve() -> None:
        answers.asked = []
        answer = handler(event, Context())
        if answer.get("statusCode", 200) not in {200, 201} or answer.get("failed"):
            raise AssertionError(answer)
        if keep:
            Path(keep).write_text(json.dumps(answers.asked), encoding="utf-8")

    return serve


def main() -> None:
    """Starts it, and serves as often as it is told to."""
    folder, layers, name, count, *request = sys.argv[1:]
    # /var/task precedes /opt/python, and both precede what the runtime brings.
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
