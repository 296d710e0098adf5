"""Read the whole table, for what no index answers, slowly enough to disturb nobody."""

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer

from ops.cloud import Cloud, explained

# A page is 1 MB, which costs 128 read units, and a partition serves 3,000 a second: this leaves it four fifths.
_PAGES_PER_S: Final = 5
_PAGE_BYTES: Final = 1_000_000

_serialize: Final = TypeSerializer().serialize
_deserialize: Final = TypeDeserializer().deserialize


def scan(
    cloud: Cloud,
    condition: str,
    values: Mapping[str, Any],
    progress: Callable[[int, int], None],
    *,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[dict[str, Any]]:
    """Return the items that fulfil a condition, as plain values.

    Args:
        cloud: where the table is.
        condition: a filter expression. DynamoDB applies it, so only what fulfils it is sent.
        values: its values.
        progress: receives how many pages were read, and about how many there are.
        sleep: waits between two pages.
    """
    name = cloud.output("TableName")
    serialized = {key: _serialize(value) for key, value in values.items()}
    with explained():
        size = cloud.dynamodb.describe_table(TableName=name)["Table"].get("TableSizeBytes", 0)
    start: dict[str, Any] = {}
    pages = 0
    while True:
        began = time.monotonic()
        with explained():
            page = cloud.dynamodb.scan(
                TableName=name, FilterExpression=condition, ExpressionAttributeValues=serialized, **start
            )
        for item in page["Items"]:
            yield {key: _deserialize(value) for key, value in item.items()}
        pages += 1
        progress(pages, max(pages, size // _PAGE_BYTES))
        if "LastEvaluatedKey" not in page:
            return
        start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}
        sleep(max(0.0, 1 / _PAGES_PER_S - (time.monotonic() - began)))
