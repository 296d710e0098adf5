"""Reconcile's watch lane: ask Razorpay about one record at a time."""

from collections.abc import Callable, Mapping
from typing import Any

from payments.adapters.log import RequestLog
from payments.adapters.table import PaymentsTable
from payments.core.errors import GatewayThrottled
from payments.core.model import Lane
from payments.core.reconciliation import Outcome
from payments.core.sweeping import Pause
from payments.wiring import aws
from payments.wiring.lanes import GatewayDown, LaneRun, checked_shards, due_in
from payments.wiring.reconcile import Connect, Dependencies

# Enough for one more record whose calls to Razorpay hang (3 s to connect, 8 s to read, several times) before Lambda
# ends the run.
_TIME_FOR_ONE_MS = 30_000
# The function's timeout is longer, for the sweep. The lane's next run starts a minute later and finds the same records,
# so this run starts nothing new after that: both would ask Razorpay about the same records.
_NEXT_RUN_MS = 55_000
# How many records of each kind one run may ask Razorpay about. The limits are the account's and shared with
# create-order. The rest waits for the next minute, and neither kind uses the other's share.
_MOST_RECORDS = {Lane.UNKNOWN: 100, Lane.WATCH: 500}
_NOT_WATCHED = "a record could not be reconciled; it stays due"


def watch(
    asked: Mapping[str, Any], connect: Connect, remaining_ms: Callable[[], int], log: RequestLog
) -> dict[str, Any]:
    """Process what is due, unknown orders first: they are few, and nobody knows what they hold."""
    shards = checked_shards(asked, log)
    service = connect()
    started, end_ms = aws.now(), max(remaining_ms() - _NEXT_RUN_MS, _TIME_FOR_ONE_MS)
    run = LaneRun(service.table, log, _NOT_WATCHED)
    if is_paused(service.table, started, log):
        run.left_over = True
        return _report(run, log, unknown=0)
    unknown = 0
    try:
        for lane, most in _MOST_RECORDS.items():
            oldest, count = _watch_lane(
                lane, most, shards, run=run, service=service, is_over=lambda: remaining_ms() < end_ms
            )
            if lane is Lane.WATCH:
                run.oldest_due_s = oldest
            else:
                unknown = count
    except GatewayThrottled:
        pause(service.table, log)
        run.left_over = True
    except GatewayDown:
        run.left_over = True
    return _report(run, log, unknown=unknown + run.outcomes[Outcome.UNKNOWN.value])


def _watch_lane(  # noqa: PLR0913 - the lane, its limits, and what processes it
    lane: Lane,
    most: int,
    shards: list[int],
    *,
    run: LaneRun,
    service: Dependencies,
    is_over: Callable[[], bool],
) -> tuple[int, int]:
    """Process what is due in one lane.

    Returns:
        How long the oldest has been due, in seconds, and how many failed.
    """
    oldest, before, looked_at, started = 0, run.failed, run.looked_at, aws.now()
    for due in due_in(service.table, lane, shards, started):
        oldest = max(oldest, started - due.at)
        if run.looked_at - looked_at >= most or is_over():
            run.left_over = True
            break
        run.attempt(due.key, lambda due=due: service.reconciler.watch(due.key, aws.now()))  # type: ignore[misc]  # bound per turn
    return oldest, run.failed - before


def _report(run: LaneRun, log: RequestLog, *, unknown: int) -> dict[str, Any]:
    log.count("ReconcileFailures", run.failed)
    log.count("OldestDueSeconds", run.oldest_due_s)
    log.count("UnknownOrders", unknown)
    return run.report()


def is_paused(table: PaymentsTable, now: int, log: RequestLog) -> bool:
    """Return whether Razorpay recently asked any run to slow down."""
    current = table.pause()
    paused = current is not None and current.until > now
    if paused:
        log.note(why="Razorpay asked us to slow down")
    return paused


def pause(table: PaymentsTable, log: RequestLog) -> None:
    """Stop calling Razorpay for a while, in every lane and instance."""
    now = aws.now()
    table.set_pause(Pause.after(table.pause(), now))
    log.count("GatewayPauses")
