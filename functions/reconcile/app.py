"""Every minute: whatever the others left undone. Nothing is lost if no webhook ever comes.

Each record in the sparse index whose time has come is looked at, the longest overdue first: pending events are
published, open orders are settled from Razorpay's own list of their payments, and records known only from a webhook are
rebuilt from their order's notes or found to be foreign. What there is no time for is left to the next minute.

The schedule's input may name shards, `{"shards": ["0", "1"]}`, so that several schedules share the work.

By hand, after the table was restored: `{"rebuild": {"from": ..., "to": ...}}`, epoch seconds, goes through all orders
that Razorpay lists as created then, brings each of ours up to date, and rebuilds those that have no record. `next` in
the answer, unless it is null, is the input for going on. See docs/runbook.md.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from payments.adapters.gateway import MOST_LISTED
from payments.adapters.log import RequestLog
from payments.adapters.table import Due
from payments.core.attention import SHARDS
from payments.core.errors import GatewayThrottled, GatewayUnavailable
from payments.core.listing import ListedOrder
from payments.core.reconciliation import Outcome, reconcile_record, recover_order
from payments.wiring import aws
from payments.wiring.boundary import scheduled_boundary
from payments.wiring.reconcile import Dependencies, dependencies

# Enough for one more record whose calls to Razorpay hang (3 s to connect, 8 s to read) before Lambda ends the run.
_TIME_FOR_ONE_MS = 20_000
# What one run may ask of Razorpay, whose limits are the account's and shared with create-order: at a call or two each,
# 20 a second on average. What is over is left to the next minute.
_MOST_RECORDS = 500
# One order that Razorpay cannot answer for must not keep the others waiting; several in a row are Razorpay itself.
_GATEWAY_FAILURES = 3
_NOT_RECONCILED = "a record could not be reconciled; it stays due"
_NOT_RECOVERED = "an order could not be recovered; go through its period again"


def reconcile(event: object, remaining_ms: Callable[[], int], log: RequestLog) -> dict[str, Any]:
    """Repairs what is due, record by record; one record's failure never stops the others."""
    if isinstance(event, Mapping) and "rebuild" in event:
        return recover(event["rebuild"], remaining_ms, log)
    run = _Run(dependencies(log), log)
    started = aws.now()
    shards = _shards(event, started)
    left_over = False
    for due in _due(run.service, shards, started):
        # The alarm's figure: a record that fails stays due, so it grows from run to run until somebody looks.
        run.oldest_due_s = max(run.oldest_due_s, started - due.at)
        if run.is_spent(remaining_ms):
            left_over = True
            break
        run.look_at(due.order_id)
    report = {"looked_at": run.looked_at, "failed": run.failed, "left_over": left_over, "outcomes": dict(run.outcomes)}
    log.note(**report, oldest_due_s=run.oldest_due_s)
    for outcome, count in run.outcomes.items():
        log.count("Reconciled", count, dimensions={"outcome": outcome})
    log.count("ReconcileFailures", run.failed)
    log.count("OldestDueSeconds", run.oldest_due_s)
    return report


def recover(asked: object, remaining_ms: Callable[[], int], log: RequestLog) -> dict[str, Any]:
    """Goes through the orders of a period at Razorpay, the newest first, for as long as there is time."""
    start, end, skip = _period(asked, log)
    run = _Run(dependencies(log), log)
    ended = False
    while not ended and not run.is_over(remaining_ms):
        page = run.service.gateway.orders_created(start, end, skip)
        ended = len(page) < MOST_LISTED
        for listed in page:
            if run.is_over(remaining_ms):
                ended = False
                break
            run.recover(listed)
            skip += 1
    # Those that Razorpay did not answer for last come first again. Another failure stays behind: it is told and logged,
    # and the same period may be gone through again.
    skip = max(0, skip - run.gateway_failures)
    next_input = None if ended else {"rebuild": {"from": start, "to": end, "skip": skip}}
    report = {"looked_at": run.looked_at, "failed": run.failed, "left_over": not ended, "outcomes": dict(run.outcomes)}
    log.note(**report)
    return {**report, "next": next_input}


def _period(asked: object, log: RequestLog) -> tuple[int, int, int]:
    """From when to when, epoch seconds, and how many to skip.

    Raises:
        ValueError: it is not that; the log says what it should be.
    """
    fields = asked if isinstance(asked, dict) else {}
    numbers = [fields.get("from"), fields.get("to"), fields.get("skip", 0)]
    start, end, skip = (number if type(number) is int else -1 for number in numbers)
    if min(start, end, skip) < 0 or start > end or fields.keys() - {"from", "to", "skip"}:
        why = 'rebuild takes {"from": ..., "to": ...} in epoch seconds, and the "skip" of an earlier answer'
        log.note(why=why)
        raise ValueError(why)
    return start, end, skip


class _Run:
    """One run: what came of each record so far, and whether Razorpay may still be asked."""

    def __init__(self, service: Dependencies, log: RequestLog) -> None:
        self.service = service
        self.looked_at = 0
        self.failed = 0
        self.outcomes: Counter[str] = Counter()
        self.oldest_due_s = 0
        self._log = log
        self.gateway_failures = 0

    def look_at(self, order_id: str) -> None:
        service = self.service
        gateway = service.gateway if self.gateway_failures < _GATEWAY_FAILURES else None
        outcome = self._attempt(
            order_id,
            lambda: reconcile_record(service.table, gateway, service.bus, order_id, stage=service.stage, now=aws.now()),
            _NOT_RECONCILED,
        )
        if outcome not in {None, Outcome.NOTHING_DUE, Outcome.PUBLISHED, Outcome.WAITING}:
            self.gateway_failures = 0

    def recover(self, listed: ListedOrder) -> None:
        service = self.service
        outcome = self._attempt(
            listed.id,
            lambda: recover_order(
                service.table, service.gateway, service.bus, listed, stage=service.stage, now=aws.now()
            ),
            _NOT_RECOVERED,
        )
        if outcome is not None:
            self.gateway_failures = 0

    def is_over(self, remaining_ms: Callable[[], int]) -> bool:
        """Whether this run must look at no more."""
        return self.gateway_failures >= _GATEWAY_FAILURES or self.is_spent(remaining_ms)

    def is_spent(self, remaining_ms: Callable[[], int]) -> bool:
        """Whether its records or its time are used up."""
        return self.looked_at >= _MOST_RECORDS or remaining_ms() < _TIME_FOR_ONE_MS

    def _attempt(self, order_id: str, act: Callable[[], Outcome], failure: str) -> Outcome | None:
        """What came of one record; None, and the failure told, if it failed."""
        self.looked_at += 1
        try:
            outcome = act()
        except GatewayThrottled as error:
            # It asks us to slow down: no more calls to it in this run.
            self.gateway_failures = _GATEWAY_FAILURES
            self._fail(order_id, error, failure)
        except GatewayUnavailable as error:
            self.gateway_failures += 1
            self._fail(order_id, error, failure)
        except Exception as error:  # noqa: BLE001 - the boundary of one record: it stays due, and the others go on
            self._fail(order_id, error, failure)
        else:
            self.outcomes[outcome.value] += 1
            return outcome
        return None

    def _fail(self, order_id: str, error: Exception, told: str) -> None:
        self.failed += 1
        with self._log.about(order_id=order_id):
            self._log.crash(error)
            self._log.alert(told)


def _shards(event: object, now: int) -> list[str]:
    named = event.get("shards") if isinstance(event, Mapping) else None
    everything = [str(number) for number in range(SHARDS)]
    if isinstance(named, list) and named:
        return [shard for shard in everything if shard in named]
    # Another one first each minute, so that a run without enough time does not always leave the same ones.
    first = now // 60 % SHARDS
    return everything[first:] + everything[:first]


def _due(service: Dependencies, shards: list[str], now: int) -> Iterator[Due]:
    for shard in shards:
        yield from service.table.due(shard, now)


lambda_handler = scheduled_boundary("reconcile", reconcile)
