"""The handler under test, and its own view of what it did.

The module of the handler also has these two; other names or places can be given to the command.

    agreed(terms)       Called before the events of an order arrive: the subscriber's own terms, with the keys
                        application_id, job_id, client_id, freelancer_id, amount (minor units), currency.
    outcome(order_id)   Returns what the subscriber has done about an order, a dict with at least one of
                        "released"   whether the work is released now: a job started, an application marked as paid
                        "notices"    the event ids of which it told somebody, in order, each as often as it did
"""

import importlib
import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from certify.histories import Event


class BadSubject(Exception):
    """The handler cannot be certified; the text says what to change."""


class Context:
    """The part of Lambda's context that handlers use."""

    function_name = "certified"
    function_version = "$LATEST"
    invoked_function_arn = "arn:aws:lambda:ap-south-1:111122223333:function:certified"
    memory_limit_in_mb = 512
    aws_request_id = "00000000-0000-0000-0000-000000000000"

    def get_remaining_time_in_millis(self) -> int:
        """Return half a minute."""
        return 30_000


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a subscriber has done about an order; None: it does not do such a thing."""

    released: bool | None
    notices: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class Subject:
    """A subscriber."""

    handler: Callable[[dict[str, Any], Any], Any]
    agreed: Callable[[dict[str, Any]], Any]
    outcome: Callable[[str], Mapping[str, Any]]

    @classmethod
    def named(cls, handler: str, agreed: str | None = None, outcome: str | None = None) -> Self:
        """Import a subscriber.

        Raises:
            BadSubject: a part of it is missing.
        """
        module = handler.partition(":")[0]
        return cls(
            handler=_imported(handler),
            agreed=_imported(agreed or f"{module}:agreed"),
            outcome=_imported(outcome or f"{module}:outcome"),
        )

    def deliver(self, events: Sequence[Event], *, replayed: bool = False) -> str:
        """Deliver a batch as SQS does. Return how the handler failed; empty if it did not."""
        batch = {"Records": [_message(event, replayed=replayed) for event in events]}
        try:
            answer = self.handler(batch, Context())
        except Exception as error:  # noqa: BLE001 - whatever the handler raises is the finding
            return f"the handler raised {type(error).__name__}: {error}"
        failed = answer.get("batchItemFailures", []) if isinstance(answer, Mapping) else []
        return f"the handler did not accept {len(failed)} of {len(events)} messages" if failed else ""

    def seen(self, order_id: str) -> Outcome:
        """Return what the subscriber says it did.

        Raises:
            BadSubject: it says nothing that can be checked.
        """
        said = self.outcome(order_id)
        released, notices = said.get("released"), said.get("notices")
        if released is None and notices is None:
            raise BadSubject('outcome() must return "released" or "notices"; see the docstring of certify.subject')
        return Outcome(released, None if notices is None else tuple(notices))


def _imported(path: str) -> Any:  # noqa: ANN401 - any function
    module, _, name = path.partition(":")
    if not name:
        raise BadSubject(f"{path}: name it as path.to.module:function")
    try:
        return getattr(importlib.import_module(module), name)
    except ImportError as error:
        raise BadSubject(f"{path}: {error}; is its folder in PYTHONPATH?") from error
    except AttributeError as error:
        raise BadSubject(f"{path}: {error}; the docstring of certify.subject says what a module needs") from error


def _message(event: Event, *, replayed: bool) -> dict[str, Any]:
    envelope: dict[str, Any] = {
        "version": "0",
        # EventBridge's own: different for every copy.
        "id": str(uuid.uuid4()),
        "detail-type": event.type,
        "source": "payment-service",
        "account": "111122223333",
        "time": event.detail["occurred_at"],
        "region": "ap-south-1",
        "resources": [],
        "detail": event.detail,
    }
    if replayed:
        envelope["replay-name"] = "certify"
    return {
        "messageId": str(uuid.uuid4()),
        "receiptHandle": "certify",
        "body": json.dumps(envelope),
        "attributes": {"ApproximateReceiveCount": "1"},
        "messageAttributes": {},
        "md5OfBody": "",
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:ap-south-1:111122223333:certified",
        "awsRegion": "ap-south-1",
    }
