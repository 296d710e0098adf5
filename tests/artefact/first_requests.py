"""Starts a built function as Lambda does and sends it requests; prints what Init did and what each request loaded.

Usage, by the runtime's interpreter:

    first_requests.py <folder of the function> <layers, with colons between> <{"events": {...}, "secrets": [...]}

`secrets` are written backwards, so that this program itself does not contain the values it searches for.
"""

import gc
import json
import os
import posix
import socket
import sys
from typing import Any

# Part of Lambda's runtime, whose bootstrap loads it before any function.
from awslambdaric.lambda_runtime_hooks_runner import run_after_restore  # type: ignore[import-not-found]

folder, layers = sys.argv[1:]
sys.path[:0] = [folder, *layers.split(":")]
given = json.load(sys.stdin)

heard: list[str] = []
sys.addaudithook(lambda event, _: heard.append(event) if event.startswith("socket.") else None)


def holders() -> list[str]:
    """The types of all objects that contain a secret, except the environment, where Lambda itself puts credentials."""
    seen = {id(os.environ._data), id(posix.environ)}  # type: ignore[attr-defined]  # noqa: SLF001 - there is no other way
    stack = [thing for thing in gc.get_objects() if id(thing) not in seen]
    secrets = [secret[::-1].encode() for secret in given["secrets"]]
    shortest = min(map(len, secrets))
    found: set[str] = set()
    while stack:
        thing = stack.pop()
        for part in gc.get_referents(thing):
            if isinstance(part, str | bytes):
                if len(part) < shortest:  # as most are
                    continue
                text = part if isinstance(part, bytes) else part.encode(errors="replace")
                if any(secret in text for secret in secrets):
                    found.add(type(thing).__name__)
            elif not gc.is_tracked(part) and id(part) not in seen:
                seen.add(id(part))
                stack.append(part)
    return sorted(found)


def open_sockets() -> int:
    """The sockets that are still open."""
    return sum(isinstance(thing, socket.socket) and thing.fileno() >= 0 for thing in gc.get_objects())


def built() -> set[str]:
    """The models that have a validator."""
    todo, found = BaseModel.__subclasses__(), set()
    while todo:
        model = todo.pop()
        todo += model.__subclasses__()
        if model.__pydantic_complete__:
            found.add(f"{model.__module__}.{model.__qualname__}")
    return found


class Context:
    """Lambda's invocation context, as far as the functions read it."""

    aws_request_id = "c6af9ac6-7b61-11e6-9a41-93e8deadbeef"

    def get_remaining_time_in_millis(self) -> int:
        """The remaining time at the start of a sweep run."""
        return 290_000


import app  # type: ignore[import-not-found] # noqa: E402 - where the arguments say; this is what Lambda calls Init
from pydantic import BaseModel  # noqa: E402 - as above

from payments.wiring import aws  # noqa: E402 - as above

collects = gc.isenabled() and gc.get_freeze_count() > 0
# `gc.get_objects` leaves out what is frozen.
gc.unfreeze()
started = {
    "collects": collects,
    "sockets": [*heard],
    "open": open_sockets(),
    "holders": holders(),
    "loaded": sorted(sys.modules),
    "built": sorted(built()),
}
clients = aws._client.cache_info().misses  # noqa: SLF001 - nothing else shows what an instance keeps
if os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"] == "snap-start":
    run_after_restore()
answers: dict[str, Any] = {}
for name, event in given["events"].items():
    before, built_before = set(sys.modules), built()
    answer = app.lambda_handler(event, Context())
    answers[name] = {
        "status": answer.get("statusCode", "failed" if answer.get("failed") else "ran"),
        "imported": sorted(set(sys.modules) - before),
        "built": sorted(built() - built_before),
    }
made = aws._client.cache_info().misses - clients  # noqa: SLF001 - as above
sys.stderr.write(json.dumps({"started": started, "answers": answers, "clients": made, "holders": holders()}))
