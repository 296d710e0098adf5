"""Publish stored events that are not on the bus yet. Runs every minute, without a Razorpay key or a call to Razorpay.

Processes every due record in the outbox partitions of the sparse index, longest overdue first: publishes its pending
events, then moves a record that is still unresolved (only Razorpay can say how it ends) to reconcile's watch lane. A
record that fails backs off exponentially, so it delays no other.

To process only some partitions, invoke it by hand with `{"shards": ["0", "1"]}`.
"""

from collections.abc import Callable
from typing import Any

from payments.adapters.log import RequestLog
from payments.core.model import Lane
from payments.core.reconciliation import empty_outbox
from payments.wiring import aws
from payments.wiring.boundary import scheduled_boundary
from payments.wiring.lanes import LaneRun, checked_shards, due_in
from payments.wiring.outbox import dependencies, prime

# Enough for one more record whose calls hang, before Lambda ends the run. A hanging call to the table takes 7 s, and
# a record needs three in a row: one to read it, one to postpone it and one to find what else is due.
_TIME_FOR_ONE_MS = 25_000
_NOT_EMPTIED = "a record's events could not be published; they stay pending"


def empty(event: object, remaining_ms: Callable[[], int], log: RequestLog) -> dict[str, Any]:
    """Empty the outbox record by record. One record's failure never stops the others."""
    shards = checked_shards(event, log)
    service = dependencies(log)
    started = aws.now()
    run = LaneRun(service.table, log, _NOT_EMPTIED)
    for due in due_in(service.table, Lane.OUTBOX, shards, started):
        run.oldest_due_s = max(run.oldest_due_s, started - due.at)
        if remaining_ms() < _TIME_FOR_ONE_MS:
            run.left_over = True
            break
        run.attempt(due.key, lambda due=due: empty_outbox(service.table, service.bus, due.key, aws.now()))  # type: ignore[misc]  # bound per turn
    log.count("OutboxFailures", run.failed)
    log.count("OldestOutboxSeconds", run.oldest_due_s)
    return run.report()


prime()
lambda_handler = scheduled_boundary("outbox", empty)
