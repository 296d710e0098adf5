"""Logs and metrics with an allow-list: only fields named here can reach CloudWatch.

Bodies, headers, tokens, signatures, e-mail addresses, phone numbers and card data are never fields, so none can slip
in.
"""

import os
import traceback
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import MetricUnit, single_metric

NAMESPACE = "Payments"
"""The namespace of every metric, unless the template sets one per stage so that stages on an account share no alarm."""

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
        "dispute_id",
        "refund_intent",
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
        "refused",
        "by_role",
        "by_session",
        "cause",
        "ticket",
    }
)
"""Every field that a log line may have."""

_NO_DIMENSIONS: Mapping[str, str] = MappingProxyType({})
_MAX_FRAMES = 12


@cache
def logger(service: str) -> Logger:
    """Return the function's logger. Cached, because creating one reads Powertools' settings from the environment."""
    # None leaves the key out. Our messages are sentences, so Powertools need not try to read each as JSON.
    return Logger(service=service, location=None, json_deserializer=str)


_first_requests = iter((True,))


class RequestLog:
    """The log of one request: fields collected along the way, one line at the end, counts as metrics.

    Every line has Lambda's own request id, and whether this was the instance's cold start. Powertools'
    `inject_lambda_context` would add the function's ARN, which contains the account id.
    """

    def __init__(self, service: str, function_request_id: str | None = None) -> None:
        """Start a request, without the fields of the one before.

        Args:
            service: the function's name in logs and metrics.
            function_request_id: Lambda's own id of the request.
        """
        self._service = service
        self._logger = logger(service)
        self._fields: dict[str, object] = {}
        # These replace the last request's. Powertools leaves out a key whose value is None.
        self._logger.append_keys(function_request_id=function_request_id, cold_start=next(_first_requests, False))

    def note(self, **fields: object) -> None:
        """Add fields to every later line of this request.

        Raises:
            ValueError: a field is not in `FIELDS`.
        """
        self._fields |= _allowed(fields)

    def crash(self, error: BaseException) -> None:
        """Note an unexpected error by type and place only. Its message may contain anything."""
        self.note(**_place(error))

    def info(self, message: str) -> None:
        """Write the request's log line."""
        self._logger.info(message, extra=self._fields)

    def alert(self, message: str, *, error: BaseException | None = None, **fields: object) -> None:
        """Write a line that a person should see.

        Args:
            message: what happened.
            error: logged by type and place.
            fields: fields of this line alone.
        """
        here = _allowed(fields) if error is None else _allowed(fields | _place(error))
        self._logger.error(message, extra=self._fields | here)

    def count(self, metric: str, amount: int = 1, dimensions: Mapping[str, str] = _NO_DIMENSIONS) -> None:
        """Count something as a CloudWatch metric (embedded metric format, no API call)."""
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
