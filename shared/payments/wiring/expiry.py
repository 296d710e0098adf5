"""Reconcile's expiry lane: expire orders that nobody paid, from Razorpay's list of orders."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from payments.adapters.log import RequestLog
from payments.core.expiry import EVERY_S, PASSES, ExpiryPass
from payments.core.reconciliation import Reconciler, expire_orders
from payments.core.sweeping import Entry, sweep
from payments.wiring import aws
from payments.wiring.lanes import fields_of
from payments.wiring.reconcile import Connect
from payments.wiring.sweep import ListRun
from payments.wiring.watch import is_paused, pause


def expire(
    asked: Mapping[str, Any], connect: Connect, remaining_ms: Callable[[], int], log: RequestLog
) -> dict[str, Any]:
    """Continue each pass over the orders from its watermark, once a day of them has collected."""
    fields_of(asked, frozenset(), log)
    service = connect()
    now = aws.now()
    run = ListRun(service.table, log, remaining_ms)
    if is_paused(service.table, now, log):
        run.left_over = True
        return _expired(run, service.reconciler, now)
    marks = service.table.watermarks(one.name for one in PASSES)
    for one in PASSES:
        end = one.end(service.reconciler.order_expiry_s, now)
        if one.is_due(marks.get(one.name), end):
            run.guarded(lambda one=one, end=end: _run_pass(run, one, service.reconciler, end, now))  # type: ignore[misc]  # bound per turn
    if run.throttled:
        pause(service.table, log)
    return _expired(run, service.reconciler, now)


def _run_pass(run: ListRun, one: ExpiryPass, reconciler: Reconciler, end: int, now: int) -> bool:
    def read(start: int, until: int, skip: int) -> Sequence[Entry]:
        with run.gateway_failures.of_keys():
            return reconciler.gateway.page("orders", start, until, skip)

    def apply(page: Sequence[Entry]) -> None:
        expire_orders(reconciler, page, run.apply, aws.now())

    return sweep(run.table, one.name, read, apply, end=end, begin=one.begin(end, now), is_over=run.is_over)


def _expired(run: ListRun, reconciler: Reconciler, now: int) -> dict[str, Any]:
    marks = run.table.watermarks(one.name for one in PASSES)
    # How long the most delayed pass has been due.
    ends = {one.name: one.end(reconciler.order_expiry_s, now) for one in PASSES}
    late = [ends[name] - EVERY_S - mark.at for name, mark in marks.items()]
    run.log.count("ExpiryLagSeconds", max([0, *late]))
    return run.report()
