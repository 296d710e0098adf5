"""Reconcile's sweep: compare Razorpay's lists with the table, with several workers per run."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, Final

from payments.adapters.log import RequestLog
from payments.adapters.table import PaymentsTable
from payments.core.errors import GatewayThrottled, PaymentServiceError
from payments.core.reconciliation import (
    Outcome,
    Reconciler,
    apply_by_id,
    apply_disputes,
    apply_orders,
    apply_payments,
    apply_refunds,
)
from payments.core.sweeping import (
    ASIDE_PARTITION,
    DISPUTES,
    EARLIEST,
    LATEST,
    PASSES,
    Aside,
    Entry,
    Listed,
    OneRun,
    Pass,
    Watermark,
    is_due,
    read_through,
)
from payments.core.sweeping import (
    sweep as sweep_list,
)
from payments.wiring import aws
from payments.wiring.lanes import GatewayDown, GatewayFailures, chosen, fields_of, refuse, reported
from payments.wiring.reconcile import Connect
from payments.wiring.watch import is_paused, pause

# Enough for a page that hangs at Razorpay, or an entry that hangs there or at the table, before Lambda ends the run: a
# call takes 11 s at Razorpay and 7 s at the table, and a failed entry is set aside before the run reports.
_TIME_FOR_A_PAGE_MS: Final = 30_000
_TIME_FOR_AN_ENTRY_MS: Final = 25_000
# A rebuild starts with slices of a day and learns from the first page how long they should be.
_FIRST_SPAN_S: Final = 24 * 60 * 60
_NOT_APPLIED: Final = "an entry of Razorpay's lists could not be applied; it is set aside"
_ORDER_OF_REBUILD: Final[tuple[Listed, ...]] = ("orders", "payments", "refunds")
_APPLY: Final[Mapping[Listed, Callable[..., None]]] = {
    "orders": apply_orders,
    "payments": apply_payments,
    "refunds": apply_refunds,
}


_NAMES: Final = {"order": "order_id", "rfnd": "refund_id", "disp": "dispute_id"}
"""What our logs call an id, by its prefix."""


class _OutOfTime(PaymentServiceError):
    """A page has more changes than the run has time for. The next run reads it again and finds fewer of them new."""


@dataclass(slots=True)
class ListRun:
    """One run over lists, by several concurrent workers."""

    table: PaymentsTable
    log: RequestLog
    remaining_ms: Callable[[], int]
    applied: int = 0
    failed: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    gateway_failures: GatewayFailures = field(default_factory=GatewayFailures)
    throttled: bool = False
    down: bool = False
    left_over: bool = False
    lock: Lock = field(default_factory=Lock)

    def is_over(self) -> bool:
        """Return whether to stop reading pages."""
        return self.throttled or self.down or self.remaining_ms() < _TIME_FOR_A_PAGE_MS

    def apply(self, razorpay_id: str, act: Callable[[], Outcome]) -> None:
        """Apply one entry. If it fails, set it aside and go on.

        Raises:
            GatewayThrottled, GatewayDown: stop calling Razorpay.
            TableUnavailable: the entry could not even be set aside, so the page must be read again.
            _OutOfTime: the page must be read again.
        """
        if self.remaining_ms() < _TIME_FOR_AN_ENTRY_MS:
            raise _OutOfTime("Lambda ends the run soon.")
        with self.lock:
            self.applied += 1
        try:
            with self.gateway_failures.of_keys():
                outcome = act()
        except (GatewayThrottled, GatewayDown):
            raise
        except Exception as error:  # noqa: BLE001 - the boundary of one entry
            self._fail(razorpay_id, error)
        else:
            with self.lock:
                self.outcomes[outcome.value] += 1
            if outcome is not Outcome.UNCHANGED:
                self.gateway_failures.answered()

    def _fail(self, razorpay_id: str, error: Exception) -> None:
        if razorpay_id:
            self.table.set_aside(Aside.first(razorpay_id, aws.now()))
        self.record_failure(razorpay_id, error)

    def record_failure(self, razorpay_id: str, error: Exception) -> None:
        """Log a failure, and count Razorpay's consecutive ones.

        Raises:
            GatewayDown: too many failures in a row.
        """
        self.log_failure(razorpay_id, error)
        self.gateway_failures.failed(error)

    def log_failure(self, razorpay_id: str, error: Exception) -> None:
        """Log that an entry failed, with its id and the type of error."""
        with self.lock:
            self.failed += 1
            name = _NAMES.get(razorpay_id.partition("_")[0], "razorpay_payment_id")
            about = {name: razorpay_id} if razorpay_id else {}
            self.log.alert(_NOT_APPLIED, error=error, **about)

    def guarded(self, work: Callable[[], bool]) -> bool:
        """Run a pass, and return whether it finished. What stops one pass stops all."""
        try:
            finished = work()
        except GatewayThrottled:
            self.throttled = True
            finished = False
        except GatewayDown:
            self.down = True
            finished = False
        except _OutOfTime:
            finished = False
        except PaymentServiceError as error:
            # The table failed, or Razorpay's response for a whole page. The watermark stays, and the next run retries.
            self.log_failure("", error)
            finished = False
        self.left_over = self.left_over or not finished
        return finished

    def report(self) -> dict[str, Any]:
        """Log and return the run's report."""
        return reported(self.log, self.outcomes, looked_at=self.applied, failed=self.failed, left_over=self.left_over)


def sweep(
    asked: Mapping[str, Any], connect: Connect, remaining_ms: Callable[[], int], log: RequestLog
) -> dict[str, Any]:
    """Retry entries set aside, then continue each pass from its watermark."""
    passes = _passes(asked, log)
    service = connect()
    now = aws.now()
    run = ListRun(service.table, log, remaining_ms)
    if is_paused(service.table, now, log):
        run.left_over = True
        return _swept(run, service.table, now)
    run.guarded(lambda: _retry_asides(run, service.reconciler, now))
    if not run.is_over():
        marks = service.table.watermarks(one.name for one in passes)
        due = [one for one in passes if is_due(one, marks.get(one.name), now)]
        _in_parallel(run, due, service.reconcilers, now)
    if run.throttled:
        pause(service.table, log)
    return _swept(run, service.table, now)


def _passes(asked: Mapping[str, Any], log: RequestLog) -> Sequence[Pass]:
    named = fields_of(asked, frozenset({"passes"}), log).get("passes")
    by_name = {one.name: one for one in _all_passes()}
    return chosen(named, by_name, f'"passes" is a list of some of: {", ".join(by_name)}', log)


def _all_passes() -> Sequence[Pass]:
    return (DISPUTES, *PASSES)


def _in_parallel(run: ListRun, due: Sequence[Pass], reconcilers: Sequence[Reconciler], now: int) -> None:
    """Distribute the passes among the workers, each with a separate Razorpay client."""
    left = list(due)

    def work(reconciler: Reconciler) -> None:
        while True:
            with run.lock:
                one = left.pop(0) if left and not run.is_over() else None
            if one is None:
                return
            run.guarded(lambda one=one: _run_pass(run, one, reconciler, now))  # type: ignore[misc]  # bound per turn

    workers = reconcilers[: max(min(len(reconcilers), len(due)), 1)]
    if len(workers) == 1:
        work(workers[0])
    else:
        with ThreadPoolExecutor(len(workers)) as pool:
            list(pool.map(work, workers))
    run.left_over = run.left_over or bool(left)


def _run_pass(run: ListRun, one: Pass, reconciler: Reconciler, now: int) -> bool:
    if one is DISPUTES:
        return _read_disputes(run, reconciler, now)
    return _sweep_list(run, one.listed, one.name, run.table, reconciler, end=now - one.age_s)


def _sweep_list(  # noqa: PLR0913 - the list, its watermark and end, and what reads and applies it
    run: ListRun,
    listed: Listed,
    name: str,
    marks: PaymentsTable | OneRun,
    reconciler: Reconciler,
    *,
    end: int,
) -> bool:
    def read(start: int, until: int, skip: int) -> Sequence[Entry]:
        with run.gateway_failures.of_keys():
            return reconciler.gateway.page(listed, start, until, skip)

    def apply(page: Sequence[Entry]) -> None:
        _APPLY[listed](reconciler, page, run.apply, aws.now())

    return sweep_list(marks, name, read, apply, end=end, is_over=run.is_over)


def _read_disputes(run: ListRun, reconciler: Reconciler, now: int) -> bool:
    def read(skip: int) -> Sequence[Entry]:
        with run.gateway_failures.of_keys():
            return reconciler.gateway.disputes(skip)

    def apply(page: Sequence[Entry]) -> None:
        apply_disputes(reconciler, page, run.apply, aws.now())

    return read_through(run.table, DISPUTES.name, read, apply, now=now, is_over=run.is_over)


def _retry_asides(run: ListRun, reconciler: Reconciler, now: int) -> bool:
    for due in run.table.due(ASIDE_PARTITION, now):
        if run.is_over():
            return False
        _retry(run, reconciler, due.key, now)
    return True


def _retry(run: ListRun, reconciler: Reconciler, razorpay_id: str, now: int) -> None:
    aside = run.table.aside(razorpay_id)
    if aside is None:
        return
    try:
        with run.gateway_failures.of_keys():
            outcome = apply_by_id(reconciler, razorpay_id, now)
    except (GatewayThrottled, GatewayDown):
        raise
    except Exception as error:  # noqa: BLE001 - the boundary of one entry: it stays aside
        run.table.set_aside(aside.again(now))
        run.record_failure(razorpay_id, error)
    else:
        run.table.end_aside(razorpay_id)
        run.outcomes[outcome.value] += 1
        run.gateway_failures.answered()


def _swept(run: ListRun, table: PaymentsTable, now: int) -> dict[str, Any]:
    # The alarm on this metric stays on while anything is set aside, due or not.
    far = now + 2 * 24 * 60 * 60
    run.log.count("SetAside", sum(1 for _ in table.due(ASIDE_PARTITION, far)))
    run.log.count("SweepFailures", run.failed)
    passes = _all_passes()
    marks = table.watermarks(one.name for one in passes)
    # How long the most delayed pass has been due. A daily pass may lag a day without being late.
    late = [now - one.age_s - one.every_s - marks[one.name].at for one in passes if one.name in marks]
    run.log.count("SweepLagSeconds", max([0, *late]))
    return run.report()


# --- by hand --------------------------------------------------------------------------------------------------------


def rebuild(asked: object, connect: Connect, remaining_ms: Callable[[], int], log: RequestLog) -> dict[str, Any]:
    """Process a period: orders first, so that each of ours has a record, then payments, then refunds."""
    lists, mark, end = _period(asked, log)
    service = connect()
    begin = asked["from"] if isinstance(asked, Mapping) else 0
    run = ListRun(service.table, log, remaining_ms)
    following: dict[str, Any] | None = None
    for place, listed in enumerate(lists):
        marks = OneRun(mark if place == 0 else Watermark(at=begin, span=_FIRST_SPAN_S))
        finished = run.guarded(
            lambda listed=listed, marks=marks: _sweep_list(run, listed, listed, marks, service.reconciler, end=end)  # type: ignore[misc]  # bound per turn
        )
        if not finished:
            following = _next(begin, end, listed, marks.mark)
            break
    if run.throttled:
        pause(service.table, log)
    return {**run.report(), "next": following}


def _period(asked: object, log: RequestLog) -> tuple[Sequence[Listed], Watermark, int]:
    """Return which lists to read, from where, and to when (epoch seconds, exclusive).

    Raises:
        MeaninglessInput: the input is not valid; the log says what would be.
    """
    fields = asked if isinstance(asked, Mapping) else {}
    begin, to, span, skip = (
        _whole(fields.get(name, default))
        for name, default in (("from", None), ("to", None), ("span", _FIRST_SPAN_S), ("skip", 0))
    )
    at, listed = _whole(fields.get("at", begin)), fields.get("list", _ORDER_OF_REBUILD[0])
    is_known = listed in _ORDER_OF_REBUILD and not fields.keys() - {"from", "to", "list", "at", "span", "skip"}
    if not is_known or not EARLIEST <= begin <= at <= to + 1 <= LATEST or span < 1 or skip < 0:
        raise refuse(
            f'rebuild takes {{"from": ..., "to": ...}} in epoch seconds ({EARLIEST} to {LATEST}), or the last "next"',
            log,
        )
    lists = _ORDER_OF_REBUILD[_ORDER_OF_REBUILD.index(listed) :]
    return lists, Watermark(at=at, span=span, skip=skip), to + 1


def _whole(value: object) -> int:
    """Return a non-negative integer; anything else becomes -1, which no field accepts."""
    return value if type(value) is int and value >= 0 else -1


def _next(begin: int, end: int, listed: Listed, mark: Watermark) -> dict[str, Any]:
    going_on = {"list": listed, "at": mark.at, "span": mark.span, "skip": mark.skip}
    return {"rebuild": {"from": begin, "to": end - 1, **going_on}}
