"""Logs and metrics, by allow-list: what is not named here cannot reach CloudWatch.

No body, header, token, signature, e-mail address, phone number or card is ever a field, so none can slip in.
"""

import os
import traceback
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import MetricUnit, single_metric

NAMESPACE = "Payments"
"""Of every metric, unless the template sets one of its stage's own: stages that share an account share no alarm."""

FIELDS = frozenset(
    {
        "request_id",
        "function_request_id",
        "cold_start",
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


_first_requests = iter((True,))


class RequestLog:
    """What is said about one request: keys gathered on the way, one line at the end, counts as metrics.

    Every line has Lambda's own id of the request, and whether it was the instance's first. Powertools'
    `inject_lambda_context` would add the function's ARN, with the account in it.
    """

    def __init__(self, service: str, function_request_id: str | None = None) -> None:
        """Forgets what was said about the request before.

        Args:
            service: the function's name in logs and metrics.
            function_request_id: Lambda's own id of the request.
        """
        self._service = service
        self._logger = logger(service)
        # `clear_state` would set Powertools' own keys anew as well, for ten times the work.
        self._logger.remove_keys(FIELDS)
        self.note(function_request_id=function_request_id, cold_start=next(_first_requests, False))

    def note(self, **fields: object) -> None:
        """Adds fields to every line of the request from here on.

        Raises:
            ValueError: for a field that is not in `FIELDS`.
        """
        self._logger.append_keys(**_allowed(fields))

    def crash(self, error: BaseException) -> None:
        """Notes an unexpected error by its type and where it happened; its message may hold anything."""
        self.note(**_place(error))

    def info(self, message: str) -> None:
        """Writes the request's line."""
        self._logger.info(message)

    def alert(self, message: str, *, error: BaseException | None = None, **fields: object) -> None:
        """Writes a line that a person should see.

        Args:
            message: what happened.
            error: told by its type and place.
            fields: of this line alone.
        """
        here = _allowed(fields) if error is None else _allowed(fields | _place(error))
        self._logger.error(message, extra=here)

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


def _allowed(fields: Mapping[str, object]) -> dict[str, object]:
    if not FIELDS.issuperset(fields):
        raise ValueError(f"not a field that may be logged: {', '.join(sorted(fields.keys() - FIELDS))}")
    return {name: value for name, value in fields.items() if value is not None}


def _place(error: BaseException) -> dict[str, object]:
    frames = traceback.extract_tb(error.__traceback__)[-_MAX_FRAMES:]
    return {
        "error": type(error).__name__,
        "stack": [f"{frame.filename.rpartition('/')[2]}:{frame.lineno} {frame.name}" for frame in frames],
    }
