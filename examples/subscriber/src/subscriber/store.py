"""The service's tables.

Records   this service's own data: the terms it agreed to (`terms#<application_id>`), and what it knows of an order
          (`order#<order_id>`).
Inbox     what was done with each event; an e-mail to send, say. One item per event, for ever the first.

An event changes both in one transaction. Powertools keeps its own table, to answer duplicates (handler.py).
"""

import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from subscriber.events import Event, Terms
from subscriber.rules import Dispute, Purchase

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient

REMEMBERED_S: Final = 120 * 86_400
"""How long a handled event is remembered: longer than the bus's archive (90 days) can replay it."""


class Store:
    """The tables, by name. `dynamodb` is a client that takes Python values: that of a boto3 resource."""

    def __init__(self, dynamodb: "DynamoDBClient", *, records: str, inbox: str) -> None:
        self._dynamodb, self._records, self._inbox = dynamodb, records, inbox

    def agreed(self, application_id: int) -> Terms | None:
        """Return this service's own terms; None if it has none for the application."""
        item = self._get(f"terms#{application_id}")
        return Terms(**_native(item["terms"])) if item else None

    def agree(self, terms: Terms) -> None:
        """Store terms. Your service knows them from elsewhere: then this method and its items are not needed."""
        key = {"pk": f"terms#{terms.application_id}"}
        self._dynamodb.put_item(TableName=self._records, Item=key | {"terms": asdict(terms)})

    def purchase(self, order_id: str) -> Purchase:
        """Return what is known of an order."""
        item = self._get(f"order#{order_id}")
        if item is None:
            return Purchase()
        known = _native(item["purchase"])
        known["disputes"] = {name: Dispute(**dispute) for name, dispute in known["disputes"].items()}
        return Purchase(**known)

    def save(self, event: Event, now: Purchase, outcome: str) -> str:
        """Store what is known now and what was done: both or neither.

        Args:
            event: the event.
            now: as the rule returned it; its `revision` is still the one that was read.
            outcome: in words.

        Returns:
            "saved"; "known" if the inbox has the event; or "outrun" if somebody else changed the order.
        """
        order = {
            "pk": f"order#{event.order_id}",
            "application_id": event.terms.application_id,
            "released": now.released,
            "purchase": asdict(now) | {"revision": now.revision + 1},
        }
        note = {
            "event_id": event.event_id,
            "detail_type": event.type,
            "outcome": outcome,
            "version": event.version,
            "order_id": event.order_id,
            "payment_id": event.payment_id,
            "razorpay_payment_id": event.razorpay_payment_id,
            "status": event.status,
            "expires_at": int(time.time()) + REMEMBERED_S,
        }
        first = {"TableName": self._inbox, "Item": note, "ConditionExpression": "attribute_not_exists(event_id)"}
        unchanged = {
            "TableName": self._records,
            "Item": order,
            "ConditionExpression": "attribute_not_exists(pk) OR purchase.revision = :read",
            "ExpressionAttributeValues": {":read": now.revision},
        }
        writes: list[Any] = [{"Put": first}, {"Put": unchanged}]
        try:
            self._dynamodb.transact_write_items(TransactItems=writes)
        except self._dynamodb.exceptions.TransactionCanceledException as error:
            # One reason per write, in order ("TransactWriteItems", DynamoDB API reference).
            reasons = [reason.get("Code") for reason in error.response["CancellationReasons"]]
            if reasons[0] == "ConditionalCheckFailed":
                return "known"
            if {"ConditionalCheckFailed", "TransactionConflict"} & set(reasons):
                return "outrun"
            raise  # throttled, say: the message comes back
        return "saved"

    def _get(self, key: str) -> Any:  # noqa: ANN401 - what DynamoDB returns
        answer = self._dynamodb.get_item(TableName=self._records, Key={"pk": key}, ConsistentRead=True)
        return answer.get("Item")


def _native(item: Any) -> Any:  # noqa: ANN401 - any part of an item
    """Return an item without DynamoDB's decimals: all numbers here are integers."""
    if isinstance(item, dict):
        return {name: _native(value) for name, value in item.items()}
    return item if isinstance(item, (str, bool)) else int(item)
