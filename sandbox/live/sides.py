"""The sides that know something about a payment, as the observer reads them: the table, the inboxes, the stand-in.

They only read. They block, and raise `OutOfReach` if their side does not respond.
"""

from collections.abc import Mapping
from typing import Any, Final

import boto3
import requests
from boto3.dynamodb.conditions import Attr
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from sandbox.live.timeline import SUBSCRIBERS

CONNECT_SECONDS: Final = 2
READ_SECONDS: Final = 5
"""Everything is on this machine and answers within milliseconds. Anything slower counts as away and is asked again."""
PAGE: Final = 1000
"""The maximum number of events per page of the stand-in (its control API's default)."""
_BATCH: Final = 100
"""The maximum number of items of DynamoDB's BatchGetItem."""


class OutOfReach(Exception):
    """The side does not respond; the message says which one, and why."""


class Cloud:
    """The payments table and the inboxes of the subscribers.

    Args:
        endpoints: as in `endpoints.json`.
    """

    def __init__(self, endpoints: Mapping[str, Any]) -> None:
        self._payments: str = endpoints["table"]
        self._inboxes = {
            subscriber: str(endpoints["subscribers"][f"{subscriber.capitalize()}Inbox"])
            for subscriber in SUBSCRIBERS
            if f"{subscriber.capitalize()}Inbox" in endpoints["subscribers"]
        }
        self._dynamodb = boto3.resource(
            "dynamodb",
            endpoint_url=endpoints["aws"],
            region_name=endpoints["region"],
            aws_access_key_id=endpoints["access_key_id"],
            aws_secret_access_key=endpoints["secret_access_key"],
            config=Config(
                connect_timeout=CONNECT_SECONDS, read_timeout=READ_SECONDS, retries={"total_max_attempts": 1}
            ),
        )

    def newest(self, count: int) -> list[dict[str, Any]]:
        """Return the records of the newest orders, newest first: at most `count`, which is at most 100."""
        try:
            # The table has no order, so read all keys. A developer's table has few keys, and each read is small.
            keys = self._scan(
                self._payments,
                FilterExpression=Attr("pk").begins_with("order#"),
                ProjectionExpression="pk, created_at, payment_id",
            )
            keys.sort(key=lambda key: (key["created_at"], key.get("payment_id", 0)), reverse=True)
            wanted = [{"pk": key["pk"]} for key in keys[: min(count, _BATCH)]]
            records = self._records(wanted)
        except (BotoCoreError, ClientError) as error:
            raise OutOfReach(f"The payments table does not answer ({_why(error)}).") from error
        return [records[key["pk"]] for key in wanted if key["pk"] in records]

    def notes(self) -> dict[str, list[dict[str, Any]]]:
        """Return everything that each subscriber has noted."""
        try:
            return {subscriber: self._scan(name) for subscriber, name in self._inboxes.items()}
        except (BotoCoreError, ClientError) as error:
            raise OutOfReach(f"The subscribers' inboxes do not answer ({_why(error)}).") from error

    def _records(self, keys: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
        records: dict[str, dict[str, Any]] = {}
        left: Any = {self._payments: {"Keys": keys, "ConsistentRead": True}} if keys else {}
        while left:
            answer = self._dynamodb.batch_get_item(RequestItems=left)
            records |= {str(item["pk"]): item for item in answer["Responses"].get(self._payments, [])}
            left = answer.get("UnprocessedKeys")
        return records

    def _scan(self, table: str, **options: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - what DynamoDB takes
        found: list[dict[str, Any]] = []
        start: dict[str, Any] = {}
        while True:
            page = self._dynamodb.Table(table).scan(ConsistentRead=True, **options, **start)
            found += page["Items"]
            if "LastEvaluatedKey" not in page:
                return found
            start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}


class StandIn:
    """The stand-in for Razorpay, through its control API."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._session = requests.Session()

    def events(self, after: int) -> tuple[list[dict[str, Any]], int]:
        """Return up to `PAGE` webhook events after a position, with their deliveries, and the position after them."""
        answer = self._get("events", after=after, limit=PAGE)
        return answer["events"], int(answer["next"])

    def books(self, order_id: str) -> dict[str, Any]:
        """Return `{payments, refunds}` of an order as Razorpay's API shows them, or empty if there is no such order.

        They contain the customer's (made-up) personal data.
        """
        return self._get("ledger", order_id=order_id)

    def _get(self, path: str, **query: str | int) -> dict[str, Any]:
        try:
            answer = self._session.get(
                f"{self._url}/_control/{path}", params=query, timeout=(CONNECT_SECONDS, READ_SECONDS)
            )
            if answer.status_code == requests.codes.bad_request:
                return {"payments": [], "refunds": []}
            answer.raise_for_status()
            document: dict[str, Any] = answer.json()
        except requests.RequestException as error:
            raise OutOfReach(f"The stand-in for Razorpay does not answer ({type(error).__name__}).") from error
        return document


def _why(error: BotoCoreError | ClientError) -> str:
    return str(error.response["Error"]["Code"]) if isinstance(error, ClientError) else type(error).__name__
