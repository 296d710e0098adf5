"""Every minute: whatever the others left undone. Nothing is lost if no webhook ever comes.

Each record in the sparse index whose time has come is looked at, the longest overdue first: pending events are
published, open orders are settled from Razorpay's own list of their payments, and records known only from a webhook are
rebuilt from their order's notes or found to be foreign. What there is no time for is left to the next minute.

The schedule's input may name shards, `{"shards": ["0", "1"]}`, so that several schedules share the work.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from payments.adapters.log import RequestLog
from payments.adapters.table import Due
from payments.core.attention import SHARDS
from payments.core.errors import GatewayThrottled, GatewayUnavailable
from payments.core.reconciliation import Outcome, reconcile_record
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


def reconcile(event: Mapping[str, Any], remaining_ms: Callable[[], int], log: RequestLog) -> dict[str, Any]:
    """Repairs what is due, record by record; one record's failure never stops the others."""
    run = _Run(dependencies(log), log)
    started = aws.now()
    shards = _shards(event, started)
    left_over = False
    for due in _due(run.service, shards, started):
        # The alarm's figure: a record that fails stays due, so it grows from run to run until somebody looks.
        run.oldest_due_s = max(run.oldest_due_s, started - due.at)
        if run.looked_at == _MOST_RECORDS or remaining_ms() < _TIME_FOR_ONE_MS:
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


class _Run:
    """One run: what came of each record so far, and whether Razorpay may still be asked."""

    def __init__(self, service: Dependencies, log: RequestLog) -> None:
        self.service = service
        self.looked_at = 0
        self.failed = 0
        self.outcomes: Counter[str] = Counter()
        self.oldest_due_s = 0
        self._log = log
        self._gateway_failures = 0

    def look_at(self, order_id: str) -> None:
        service = self.service
        self.looked_at += 1
        gateway = service.gateway if self._gateway_failures < _GATEWAY_FAILURES else None
        try:
            outcome = reconcile_record(
                service.table, gateway, service.bus, order_id, stage=service.stage, now=aws.now()
            )
        except GatewayThrottled as error:
            # It asks us to slow down: no more calls to it in this run.
            self._gateway_failures = _GATEWAY_FAILURES
            self._fail(order_id, error)
        except GatewayUnavailable as error:
            self._gateway_failures += 1
            self._fail(order_id, error)
        except Exception as error:  # noqa: BLE001 - the boundary of one record: it stays due, and the others go on
            self._fail(order_id, error)
        else:
            self.outcomes[outcome.value] += 1
            if outcome not in {Outcome.NOTHING_DUE, Outcome.PUBLISHED, Outcome.WAITING}:
                self._gateway_failures = 0

    def _fail(self, order_id: str, error: Exception) -> None:
        self.failed += 1
        with self._log.about(order_id=order_id):
            self._log.crash(error)
            self._log.alert("a record could not be reconciled; it stays due")


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
