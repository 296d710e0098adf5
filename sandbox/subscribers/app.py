# ruff: noqa: INP001 - Lambda gets the files of this folder, not a package
"""A consumer of payment events, the same code for each service: at least once in, once handled. Plain boto3, no layer.

The bus delivers an event once or more, in any order. Two conditions in one transaction make that harmless:

* the inbox takes an `event_id` once; the payment service sends every copy of an event under the same one;
* a payment's `version` only rises, so what is older than the newest seen is dropped. It matters to a service that
  hears of several kinds of event, such as Notification: a "failed" that was overtaken by the "paid" after it must not
  be acted on any more. A service that hears of `payment.paid` alone gets one event per order: no VERSIONS_TABLE. What
  tells of something of its own and not of the payment's state, such as money that came back of a second capture, is
  never overtaken.

What the service itself changes belongs into the same transaction: then it happens exactly once. What cannot be part of
it, such as an e-mail, comes after it and happens at most once, or before it and happens at least once.

Only the fields that are named here are read: a later version of the payment service may add others, and other detail
types reach nobody whose rule does not name them.
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

# Longer than the bus's archive (90 days) can bring an event back.
_INBOX_DAYS = 120
# Each is about one refund or one review, whatever has become of the payment since.
_NEVER_OVERTAKEN = frozenset({"payment.surplus_refunded", "payment.review"})
_DAY_S = 86_400

logger = logging.getLogger()
logger.setLevel(logging.INFO)


def lambda_handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Handles a batch from SQS. A message named in the answer comes back; after five times SQS sets it aside."""
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
    """Handles one event from the bus: "handled", or the reason why there was nothing to do."""
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
        # The service's own change goes here: job status, "application paid", an e-mail to be sent. The client's browser
        # named the amount and the ids: first compare them with this service's own proposal (docs/events).
    ]
    versions_table = os.environ.get("VERSIONS_TABLE")
    if versions_table and event["detail-type"] not in _NEVER_OVERTAKEN:
        writes.append(
            {
                "Update": {
                    "TableName": versions_table,
                    "Key": {"order_id": payment["order_id"]},
                    "UpdateExpression": "SET version = :version",
                    # Equal is not older: one change of a payment may say two things, such as paid and refunded.
                    "ConditionExpression": "attribute_not_exists(version) OR version <= :version",
                    "ExpressionAttributeValues": {":version": detail["version"]},
                }
            }
        )
    client = dynamodb()
    try:
        client.transact_write_items(TransactItems=writes)
    except client.exceptions.TransactionCanceledException as error:
        # One reason per write, in their order ("TransactWriteItems", DynamoDB API reference).
        reasons = [reason.get("Code") for reason in error.response["CancellationReasons"]]
        if reasons[0] == "ConditionalCheckFailed":
            return "known already"
        if "ConditionalCheckFailed" in reasons:
            return "overtaken by a newer event"
        raise  # throttled, or in conflict with another consumer: the message comes back
    return "handled"


@cache
def dynamodb() -> "DynamoDBClient":
    """DynamoDB, made on first use; the resource's own client takes and gives Python values."""
    return boto3.resource("dynamodb").meta.client
