"""Logs and metrics, by allow-list: what is not named here cannot reach CloudWatch.

No body, header, token, signature, e-mail address, phone number or card is ever a field, so none can slip in.
"""

import os
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from types import MappingProxyType

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import MetricUnit, single_metric

NAMESPACE = "Payments"
"""Of every metric, unless the template sets one of its stage's own: stages that share an account share no alarm."""

FIELDS = frozenset(
    {
        "request_id",
        "route",
        "method",
        "http_status",
        "function_version",
        "code",
        "why",
        "order_id",
        "razorpay_payment_id",
        "refund_id",
        "payment_id",
        "user_id",
        "status",
        "version",
        "event",
        "event_id",
        "created_at",
        "published",
        "dropped_attempts",
        "error",
        "stack",
        "gateway_status",
        "gateway_code",
        "gateway_reason",
        "gateway_field",
        "problems",
        "shards",
        "looked_at",
        "outcomes",
        "failed",
        "left_over",
        "oldest_due_s",
        "stale",
    }
)
"""Every field a log line may have."""

_NO_DIMENSIONS: Mapping[str, str] = MappingProxyType({})
_MAX_FRAMES = 12


@cache
def logger(service: str) -> Logger:
    """The function's logger: made once, as to make one reads Powertools' settings from the environment."""
    return Logger(service=service, location=None)  # None leaves the key out


class RequestLog:
    """What is said about one request: fields gathered on the way, one line at the end, counts as metrics."""

    def __init__(self, service: str) -> None:
        self._service = service
        self._logger = logger(service)
        self._fields: dict[str, object] = {}

    def note(self, **fields: object) -> None:
        """Adds fields to the request's line.

        Raises:
            ValueError: for a field that is not in `FIELDS`.
        """
        unknown = fields.keys() - FIELDS
        if unknown:
            raise ValueError(f"not a field that may be logged: {', '.join(sorted(unknown))}")
        self._fields |= {name: value for name, value in fields.items() if value is not None}

    @contextmanager
    def about(self, **fields: object) -> Iterator[None]:
        """For a line in between about one thing of several: what is noted inside is forgotten after it."""
        before = dict(self._fields)
        self.note(**fields)
        try:
            yield
        finally:
            self._fields = before

    def crash(self, error: BaseException) -> None:
        """Notes an unexpected error by its type and where it happened; its message may hold anything."""
        frames = traceback.extract_tb(error.__traceback__)[-_MAX_FRAMES:]
        self.note(
            error=type(error).__name__,
            stack=[f"{frame.filename.rpartition('/')[2]}:{frame.lineno} {frame.name}" for frame in frames],
        )

    def info(self, message: str) -> None:
        """Writes the request's line."""
        self._logger.info(message, extra=self._fields)

    def alert(self, message: str) -> None:
        """Writes the request's line as one that a person should see."""
        self._logger.error(message, extra=self._fields)

    def count(self, metric: str, amount: int = 1, dimensions: Mapping[str, str] = _NO_DIMENSIONS) -> None:
        """Counts something as a CloudWatch metric (embedded metric format, no call)."""
        with single_metric(
            namespace=os.environ.get("POWERTOOLS_METRICS_NAMESPACE") or NAMESPACE,
            name=metric,
            unit=MetricUnit.Count,
            value=amount,
            default_dimensions={"service": self._service},
        ) as line:
            for name, value in dimensions.items():
                line.add_dimension(name=name, value=value)
