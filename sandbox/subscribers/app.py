# ruff: noqa: INP001 - Lambda gets the files of this folder, not a package
"""A consumer of payment events, with the same code for each service: at-least-once delivery, exactly-once handling.

Plain boto3, no layer. The bus delivers an event one or more times, in any order. Two conditions in one transaction make
that harmless:

* The inbox accepts an `event_id` once. The payment service sends every copy of an event with the same id.
* A payment's `version` only rises, so an event older than the newest one seen is dropped. This matters to a service
  that subscribes to several event types, such as Notification: it must not act on a "failed" that a later "paid" has
  overtaken. A service that subscribes only to `payment.paid` gets one event per order and needs no VERSIONS_TABLE. An
  event about something other than the payment's state, such as the refund of a second capture, is never overtaken.

Make the service's own change in the same transaction: then it happens exactly once. An action that cannot be part of
it, such as an e-mail, either comes after it and happens at most once, or before it and happens at least once.

Only the fields named here are read, because a later version of the payment service may add others. New detail types
reach only services whose rule names them.
"""

import json
import logging
import os
import time
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient

# Longer than the bus's archive (90 days) can replay an event.
_INBOX_DAYS = 120
# Each is about one refund or one review, whatever has become of the payment since.
_NEVER_OVERTAKEN = frozenset({"payment.surplus_refunded", "payment.refund_failed", "payment.review"})
_DAY_S = 86_400

logger = logging.getLogger()
logger.setLevel(logging.INFO)


def lambda_handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Handle a batch from SQS. A message named in the answer is redelivered, up to five times, then dead-lettered."""
    failures = []
    for message in event["Records"]:
        try:
            outcome = consume(json.loads(message["body"]))
            logger.info("%s %s", message["messageId"], outcome)
        except Exception:  # the one boundary: no message may take the rest of its batch with it
            logger.exception("%s failed", message["messageId"])
            failures.append({"itemIdentifier": message["messageId"]})
    return {"batchItemFailures": failures}


def consume(event: dict[str, Any]) -> str:
    """Handle one event from the bus. Return "handled", or the reason why there was nothing to do."""
    detail = event["detail"]
    payment = detail["payment"]
    writes: list[Any] = [
        {
            "Put": {
                "TableName": os.environ["INBOX_TABLE"],
                "Item": {
                    "event_id": detail["event_id"],
                    "detail_type": event["detail-type"],
                    "version": detail["version"],
                    "order_id": payment["order_id"],
                    "payment_id": payment["payment_id"],
                    "razorpay_payment_id": payment["razorpay_payment_id"],
                    "status": payment["status"],
                    "expires_at": int(time.time()) + _INBOX_DAYS * _DAY_S,
                },
                "ConditionExpression": "attribute_not_exists(event_id)",
            }
        },
        # The service's own change goes here: a job status, "application paid", an e-mail to be sent. The amount and the
        # ids came from the client's browser, so first compare them with this service's own proposal (docs/events).
    ]
    versions_table = os.environ.get("VERSIONS_TABLE")
    if versions_table and event["detail-type"] not in _NEVER_OVERTAKEN:
        writes.append(
            {
                "Update": {
                    "TableName": versions_table,
                    "Key": {"order_id": payment["order_id"]},
                    "UpdateExpression": "SET version = :version",
                    # Equal is not older: one change of a payment may cause two events, such as paid and refunded.
                    "ConditionExpression": "attribute_not_exists(version) OR version <= :version",
                    "ExpressionAttributeValues": {":version": detail["version"]},
                }
            }
        )
    client = dynamodb()
    try:
        client.transact_write_items(TransactItems=writes)
    except client.exceptions.TransactionCanceledException as error:
        # One reason per write, in order ("TransactWriteItems", DynamoDB API reference).
        reasons = [reason.get("Code") for reason in error.response["CancellationReasons"]]
        if reasons[0] == "ConditionalCheckFailed":
            return "known already"
        if "ConditionalCheckFailed" in reasons:
            return "overtaken by a newer event"
        raise  # throttled, or in conflict with another consumer: the message comes back
    return "handled"


@cache
def dynamodb() -> "DynamoDBClient":
    """Return DynamoDB's client, created on first use; the resource's own client uses Python values."""
    return boto3.resource("dynamodb").meta.client
