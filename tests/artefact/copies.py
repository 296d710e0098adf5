"""Two copies of one started function, as SnapStart makes them: the ids that each assigns, and the state they share.

Usage, by the runtime's interpreter:

    copies.py <folder of the function> <layer> <bench/programs> <canned answers> <event> <counter's file>

The process starts create_order without a secret and then forks, which simulates resuming a snapshot. A fork reseeds
Python's random generator and resuming does not, so its state is restored. Each copy runs Lambda's after-restore hooks,
reads the secrets from standard input and serves a dozen requests. Both share one counter of payment ids.
"""

import fcntl
import gc
import json
import os
import random
import socket
import ssl
import sys
from pathlib import Path
from typing import Any

from awslambdaric.lambda_runtime_hooks_runner import run_after_restore  # type: ignore[import-not-found]

folder, layer, programs, canned, event_file, counter = sys.argv[1:]
sys.path[:0] = [folder, layer]
sys.path.append(programs)
COPIES, REQUESTS = 2, 12

import app  # type: ignore[import-not-found] # noqa: E402 - where the arguments say; this is what Lambda calls Init

from payments.wiring import aws, create_order, gateway  # noqa: E402 - as above

KEPT = {
    "environment": aws._environment,  # noqa: SLF001 - nothing else shows what an instance keeps
    "settings": create_order._settings,  # noqa: SLF001 - as above
    "ids": create_order._payment_ids,  # noqa: SLF001 - as above
    "gateway": gateway.gateway,
}
state = random.getstate()
started = {
    "kept": {name: kept.cache_info().currsize for name, kept in KEPT.items()},
    "sockets": sum(isinstance(thing, socket.socket) for thing in gc.get_objects()),
}


def take(count: int) -> int:
    """What DynamoDB's atomic ADD would return, for both copies."""
    with Path(counter).open("r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        last = int(file.read() or "0") + count
        file.seek(0)
        file.write(str(last))
    return last


def serve() -> dict[str, Any]:
    """The payment ids of a dozen orders, and everything else that must differ between two copies."""
    random.setstate(state)
    stirred: list[int] = []
    stir = ssl.RAND_add
    ssl.RAND_add = lambda seed, entropy: (stirred.append(int(entropy)), stir(seed, entropy))  # type: ignore[assignment,func-returns-value]
    run_after_restore()
    from function import Context, cut_off_from  # noqa: PLC0415 - the copies' own

    answers = cut_off_from(canned, "create_order")
    import botocore.httpsession  # noqa: PLC0415 - the function's own

    send = botocore.httpsession.URLLib3Session.send
    invocations: list[str] = []

    def note(session: Any, request: Any) -> Any:
        invocations.append(str(request.headers["amz-sdk-invocation-id"]))
        return send(session, request)

    botocore.httpsession.URLLib3Session.send = note  # type: ignore[method-assign,assignment]
    plain = answers.aws

    def aws_call(target: str, body: bytes) -> Any:
        if b"counter#" not in body:
            return plain(target, body)
        values = json.loads(body)["ExpressionAttributeValues"].values()
        (count,) = (int(value["N"]) for value in values if "N" in value)
        attributes = {"last_taken": {"N": str(take(count))}, "installation": {"S": "a0000001"}}
        return 200, json.dumps({"Attributes": attributes}).encode()

    answers.aws = aws_call
    event = json.loads(Path(event_file).read_text(encoding="utf-8"))
    bodies = [json.loads(app.lambda_handler(event, Context())["body"]) for _ in range(REQUESTS)]
    return {
        "payments": [body["payment_id"] for body in bodies],
        "invocations": invocations,
        "pause": random.random(),  # noqa: S311 - as botocore draws it
        "stirred": stirred,
    }


secrets = json.loads(sys.stdin.read())
reports = []
for _ in range(COPIES):
    reading, writing = os.pipe()
    if os.fork() == 0:
        os.environ |= secrets
        os.write(writing, json.dumps(serve()).encode())
        os._exit(0)
    os.close(writing)
    reports.append(os.fdopen(reading))
taken = [json.loads(report.read()) for report in reports]
sys.stderr.write(json.dumps({"started": started, "taken": taken}))
