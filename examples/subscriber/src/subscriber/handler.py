"""The function behind the queue: at-least-once delivery, each event handled once, retries that outlast an outage.

* Powertools answers a copy of a handled event from its own table, by `event_id`. If the function ends between its work
  and that note, the event runs again: then the inbox's condition in `Store.save` stops it.
* A message that failed waits longer each time, from half a minute up to an hour, and moves to the dead-letter queue
  after `maxReceiveCount` (template.yaml): about a day. If not even this code runs, the queue's own visibility timeout
  is the pause.
* No message fails with another: the answer names those to redeliver.
"""

import json
import os
import random
import time
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import boto3
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.idempotency import (
    DynamoDBPersistenceLayer,
    IdempotencyConfig,
    idempotent_function,
)
from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from subscriber.events import Event
from subscriber.rules import HELD, OVERTAKEN, RULES
from subscriber.store import REMEMBERED_S, Store

if TYPE_CHECKING:
    from collections.abc import Callable

FIRST_PAUSE_S: Final = 30
LONGEST_PAUSE_S: Final = 3_600
# How often a change is decided because other events of the same order get in between, and the longest first pause.
# Pauses double and have full jitter: without it, the same events would meet again. They take 0.75 s at most.
_TRIES: Final = 5
_FIRST_TRY_PAUSE_S: Final = 0.05
# If DynamoDB and SQS hang, a message takes 12 s and a batch of ten ends before the function's timeout (template.yaml).
_TIMEOUTS: Final = Config(connect_timeout=1, read_timeout=2, retries={"total_max_attempts": 2, "mode": "standard"})

logger = Logger()
metrics = Metrics(namespace="PaymentSubscriber")
# A batch that failed as a whole is no error of the function: each message has its own pause.
_processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)
_config = IdempotencyConfig(
    event_key_jmespath="event_id", raise_on_no_idempotency_key=True, expires_after_seconds=REMEMBERED_S
)


class Outrun(Exception):
    """Other events of the same order kept getting in between."""


@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
    """Handle a batch from SQS. A message named in the answer is redelivered after a pause, in the end dead-lettered."""
    _config.register_lambda_context(context)
    return process_partial_response(event=event, record_handler=receive, processor=_processor, context=context)


def receive(record: SQSRecord) -> str:
    """Handle one message; if that fails, choose when it comes again."""
    try:
        event = Event.of(json.loads(record.body))
        outcome = _once()(event=event)
    except Exception as error:
        # No content, only its kind: the message stays in the queue for who wants to see it.
        logger.exception("failed", message_id=record.message_id, error=type(error).__name__)
        metrics.add_metric(name="Failed", unit=MetricUnit.Count, value=1)
        _postpone(record)
        raise
    metrics.add_metric(name="Handled", unit=MetricUnit.Count, value=1)
    logger.info("handled", event_id=event.event_id, order_id=event.order_id, type=event.type, outcome=outcome)
    return outcome


def consume(event: Event) -> str:
    """Decide on an event and store the result. Return the outcome in words.

    Raises:
        Outrun, BotoCoreError, ClientError: not stored; the message comes back.
    """
    rule = RULES[os.environ["RULE"]]
    store = _store()
    for tried in range(_TRIES):
        if tried:
            time.sleep(random.uniform(0, _FIRST_TRY_PAUSE_S * 2 ** (tried - 1)))  # noqa: S311 - jitter
        known = store.purchase(event.order_id)
        now, outcome = rule(known, event, store.agreed(event.terms.application_id))
        if outcome == OVERTAKEN:
            return outcome
        # Your own change belongs into this transaction: then it happens exactly once. What cannot be part of it, such
        # as an e-mail, is sent from the inbox afterwards.
        saved = store.save(event, now, outcome)
        if saved == "known":
            return "known already"
        if saved == "saved":
            if outcome.startswith(HELD):
                metrics.add_metric(name="Held", unit=MetricUnit.Count, value=1)
            return outcome
    raise Outrun(event.order_id)


def pause_s(receives: int) -> int:
    """Return for how many seconds a message waits after it was received this often: doubling, with jitter."""
    longest = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** min(receives - 1, 12))
    return random.randint(longest // 2, longest)  # noqa: S311 - jitter


def _postpone(record: SQSRecord) -> None:
    receives = int(record.attributes.approximate_receive_count)
    try:
        _sqs().change_message_visibility(
            QueueUrl=os.environ["QUEUE_URL"],
            ReceiptHandle=record.receipt_handle,
            VisibilityTimeout=pause_s(receives),
        )
    except (BotoCoreError, ClientError) as error:
        # The queue's own visibility timeout applies instead.
        logger.warning("not postponed", message_id=record.message_id, error=type(error).__name__)


# Clients are made on first use: what the tests import needs no AWS.


@cache
def _once() -> "Callable[..., str]":
    table = os.environ["IDEMPOTENCY_TABLE"]
    persistence = DynamoDBPersistenceLayer(table_name=table, boto_config=_TIMEOUTS)
    once: Callable[..., str] = idempotent_function(
        consume, data_keyword_argument="event", persistence_store=persistence, config=_config
    )
    return once


@cache
def _store() -> Store:
    client = boto3.resource("dynamodb", config=_TIMEOUTS).meta.client
    return Store(client, records=os.environ["RECORDS_TABLE"], inbox=os.environ["INBOX_TABLE"])


@cache
def _sqs() -> Any:  # noqa: ANN401 - boto3 makes its clients at run time
    return boto3.client("sqs", config=_TIMEOUTS)
