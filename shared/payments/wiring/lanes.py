"""What the scheduled lanes share: handling failures and reading input."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from threading import Lock
from typing import Any

from payments.adapters.log import RequestLog
from payments.adapters.table import Due, PaymentsTable
from payments.core.attention import SHARDS, partition
from payments.core.errors import (
    GatewayThrottled,
    GatewayUnavailable,
    KeysRefused,
    NotConfiguredYet,
    PaymentServiceError,
)
from payments.core.model import Lane
from payments.core.reconciliation import Outcome, back_off
from payments.wiring import aws

# No caller waits for a scheduled lane, and a failed query ends the run, so its timeouts are longer.
TABLE_READ_TIMEOUT_S = 3.0
# One order for which Razorpay fails must not block the others. Several failures in a row mean Razorpay is down.
GATEWAY_FAILURES = 3


def patient_table(name: str) -> PaymentsTable:
    """Return the payments table with a scheduled lane's timeouts."""
    return aws.table(name, attempts=2, read_timeout_s=TABLE_READ_TIMEOUT_S)


class MeaninglessInput(PaymentServiceError):
    """A scheduled function or command does not accept this input; the message says what it accepts."""


class GatewayDown(PaymentServiceError):
    """Calls to Razorpay for different records failed in a row, or it refuses our keys. The run stops calling it."""


class GatewayFailures:
    """Counts Razorpay's consecutive failures in one run, across all workers."""

    def __init__(self) -> None:
        self._in_a_row = 0
        self._lock = Lock()

    @contextmanager
    def of_keys(self) -> Iterator[None]:
        """Call Razorpay inside the block.

        Raises:
            GatewayDown: it refuses our keys, so every other call would fail too.
        """
        try:
            yield
        except KeysRefused as error:
            raise GatewayDown("Razorpay does not know our keys.") from error

    def failed(self, error: Exception) -> None:
        """Count a failure if it is Razorpay's.

        Raises:
            GatewayDown: too many failures in a row.
        """
        if not isinstance(error, GatewayUnavailable):
            return
        with self._lock:
            self._in_a_row += 1
            down = self._in_a_row >= GATEWAY_FAILURES
        if down:
            raise GatewayDown(f"{GATEWAY_FAILURES} calls to Razorpay failed in a row.") from error

    def answered(self) -> None:
        """Note that Razorpay has responded, which resets the count."""
        with self._lock:
            self._in_a_row = 0


def refuse(why: str, log: RequestLog) -> MeaninglessInput:
    """Return the error for an invalid input. The log says what would be valid."""
    log.note(why=why)
    return MeaninglessInput(why)


def fields_of(event: object, known: frozenset[str], log: RequestLog) -> Mapping[str, Any]:
    """Return the input's fields.

    Raises:
        MeaninglessInput: it is not an object, or has an unknown field.
    """
    if not isinstance(event, Mapping) or event.keys() - known:
        raise refuse(f"the input is an object with some of: {', '.join(sorted(known))}", log)
    return event


def checked_shards(event: object, log: RequestLog) -> list[int]:
    """Return the shards to process: those named in the input, or all.

    Raises:
        MeaninglessInput: it names a shard that does not exist, or something else.
    """
    named = fields_of(event, frozenset({"shards"}), log).get("shards")
    shards = {str(number): number for number in range(SHARDS)}
    return chosen(named, shards, f'"shards" is a list of "0" to "{SHARDS - 1}"', log)


def chosen[T](named: object, known: Mapping[str, T], usage: str, log: RequestLog) -> list[T]:
    """Return the known things that the input names, once each and in its order; all if it names none.

    Raises:
        MeaninglessInput: it names something else; `usage` says what it may name.
    """
    if named is None:
        return list(known.values())
    if not isinstance(named, list) or not named or not all(isinstance(one, str) and one in known for one in named):
        raise refuse(usage, log)
    return [known[one] for one in dict.fromkeys(named)]


def due_in(table: PaymentsTable, lane: Lane, shards: Iterable[int], now: int) -> Iterator[Due]:
    """Return what is due in some partitions of a lane."""
    # Start with a different partition each minute, so that a run short of time does not always skip the same ones.
    first = now // 60 % SHARDS
    for number in sorted(shards, key=lambda shard: (shard - first) % SHARDS):
        yield from table.due(partition(lane, number), now)


def reported(
    log: RequestLog, outcomes: Counter[str], *, looked_at: int, failed: int, left_over: bool
) -> dict[str, Any]:
    """Log and return a run's report, and count its outcomes."""
    report = {"looked_at": looked_at, "failed": failed, "left_over": left_over, "outcomes": dict(outcomes)}
    log.note(**report)
    for outcome, count in outcomes.items():
        log.count("Reconciled", count, dimensions={"outcome": outcome})
    return report


def nothing_yet(unfilled: NotConfiguredYet, log: RequestLog) -> dict[str, Any]:
    """Return a lane's report on a new stack: without orders nothing is late and nothing failed.

    Reports the metrics whose absence means that a lane is not running, so that no alarm goes off before anyone has
    had time to fill in the secrets.
    """
    log.note(why=f"not configured yet: {unfilled}")
    log.count("OldestDueSeconds", 0)
    log.count("SweepLagSeconds", 0)
    log.count("ExpiryLagSeconds", 0)
    return {"looked_at": 0, "failed": 0, "left_over": False, "outcomes": {}}


class LaneRun:
    """One run of a lane: the result for each record so far, and whether to keep calling Razorpay."""

    def __init__(self, table: PaymentsTable, log: RequestLog, failure: str) -> None:
        """Start a run.

        Args:
            table: where to postpone records that fail.
            log: the run's log.
            failure: the log message for a record that failed.
        """
        self._table = table
        self._log = log
        self._failure = failure
        self._gateway_failures = GatewayFailures()
        self.looked_at = 0
        self.failed = 0
        self.left_over = False
        self.oldest_due_s = 0
        self.outcomes: Counter[str] = Counter()

    def attempt(self, order_id: str, act: Callable[[], Outcome]) -> None:
        """Process one record. A failure is logged, and the record is postponed.

        Raises:
            GatewayThrottled: Razorpay asks us to slow down.
            GatewayDown: Razorpay is unreachable or refuses our keys.
        """
        self.looked_at += 1
        try:
            with self._gateway_failures.of_keys():
                outcome = act()
        except GatewayThrottled:
            raise
        except GatewayDown as error:
            self._log_failure(order_id, error.__cause__ or error)
            raise
        except Exception as error:  # noqa: BLE001 - the boundary of one record: it stays due, and the others go on
            self._fail(order_id, error)
            self._gateway_failures.failed(error)
        else:
            self.outcomes[outcome.value] += 1
            if outcome not in {Outcome.NOTHING_DUE, Outcome.PUBLISHED}:
                self._gateway_failures.answered()

    def report(self) -> dict[str, Any]:
        """Log and return the run's report."""
        self._log.note(oldest_due_s=self.oldest_due_s)
        return reported(
            self._log, self.outcomes, looked_at=self.looked_at, failed=self.failed, left_over=self.left_over
        )

    def _fail(self, order_id: str, error: Exception) -> None:
        self._log_failure(order_id, error)
        try:
            back_off(self._table, order_id, aws.now())
        except PaymentServiceError as unavailable:
            # It stays due and is processed first by the next run.
            self._log_failure(order_id, unavailable)

    def _log_failure(self, order_id: str, error: BaseException) -> None:
        self.failed += 1
        self._log.alert(self._failure, error=error, order_id=order_id)
