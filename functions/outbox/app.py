"""Every minute: publishes what is stored and not yet on the bus. No Razorpay key, and nothing that waits for Razorpay.

Each record in the outbox partitions of the sparse index whose time has come is looked at, the longest overdue first:
its pending events are published, and a record that is unresolved, so that only Razorpay can say how it ends, goes on to
reconcile's watch lane. One that fails waits longer each time, so that it delays no other.

By hand, `{"shards": ["0", "1"]}` looks at some of the partitions only.
"""

from collections.abc import Callable, Iterator
from typing import Any

from payments.adapters.log import RequestLog
from payments.adapters.table import Due
from payments.core.attention import SHARDS, partition
from payments.core.model import Lane
from payments.core.reconciliation import empty_outbox
from payments.wiring import aws
from payments.wiring.boundary import scheduled_boundary
from payments.wiring.lanes import LaneRun, checked_shards
from payments.wiring.outbox import Dependencies, dependencies, prime

# Enough for one more record whose calls hang before Lambda ends the run: a call to the table takes 7 s then, and one to
# read the record, one to put it off and one for what else is due follow each other.
_TIME_FOR_ONE_MS = 25_000
_NOT_EMPTIED = "a record's events could not be published; they stay pending"


def empty(event: object, remaining_ms: Callable[[], int], log: RequestLog) -> dict[str, Any]:
    """Empties the outbox, record by record; one record's failure never stops the others."""
    shards = checked_shards(event, log)
    service = dependencies(log)
    started = aws.now()
    run = LaneRun(service.table, log, _NOT_EMPTIED)
    for due in _due(service, shards, started):
        run.oldest_due_s = max(run.oldest_due_s, started - due.at)
        if remaining_ms() < _TIME_FOR_ONE_MS:
            run.left_over = True
            break
        run.attempt(due.key, lambda due=due: empty_outbox(service.table, service.bus, due.key, aws.now()))  # type: ignore[misc]  # bound per turn
    log.count("OutboxFailures", run.failed)
    log.count("OldestOutboxSeconds", run.oldest_due_s)
    return run.report()


def _due(service: Dependencies, shards: list[int], now: int) -> Iterator[Due]:
    # Another one first each minute, so that a run without enough time does not always leave the same ones.
    first = now // 60 % SHARDS
    for number in sorted(shards, key=lambda shard: (shard - first) % SHARDS):
        yield from service.table.due(partition(Lane.OUTBOX, number), now)


prime()
lambda_handler = scheduled_boundary("outbox", empty)
