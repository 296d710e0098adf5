"""The EventBridge bus that other services subscribe to."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as Unreachable

from payments.core.errors import BusUnavailable
from payments.core.events import SOURCE
from payments.core.outbox import Message

if TYPE_CHECKING:
    from mypy_boto3_events.client import EventBridgeClient

# "PutEvents: up to 10 entries" (EventBridge API reference), and "the total entry size must be less than 1 MB". An
# entry's size is the bytes of its source, its detail type and its detail ("Calculating PutEvents event entry size").
_MAX_ENTRIES = 10
_MAX_BYTES = 1024 * 1024 - 1
_SERVER_ERROR = 500


class Bus:
    """Sends events and reports which of them were accepted. Keeps no state."""

    def __init__(self, client: "EventBridgeClient", name: str) -> None:
        self._client = client
        self._name = name

    def publish(self, messages: Mapping[str, Message]) -> frozenset[str]:
        """Send the messages, keyed by event id.

        Returns:
            The ids that EventBridge accepted. PutEvents returns 200 even when it refuses entries, so every entry of the
            response is checked.

        Raises:
            BusUnavailable: it did not respond in time, or is temporarily unable to. Some messages may be on the bus
                anyway.
        """
        accepted: set[str] = set()
        for batch in _batches(messages):
            try:
                answer = self._client.put_events(
                    Entries=[
                        {
                            "EventBusName": self._name,
                            "Source": SOURCE,
                            "DetailType": message.type,
                            "Detail": message.detail,
                        }
                        for _, message in batch
                    ]
                )
            except ClientError as error:
                status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
                code = error.response.get("Error", {}).get("Code", "")
                if status >= _SERVER_ERROR or code == "ThrottlingException":
                    raise BusUnavailable(code) from error
                raise
            except (HTTPClientError, Unreachable) as error:  # two families in botocore: read and connect errors
                raise BusUnavailable(type(error).__name__) from error
            # The entries come back in the order they were sent ("PutEvents", response elements).
            for (key, _), entry in zip(batch, answer["Entries"], strict=True):
                if entry.get("EventId") and not entry.get("ErrorCode"):
                    accepted.add(key)
        return frozenset(accepted)


def _batches(messages: Mapping[str, Message]) -> Iterator[list[tuple[str, Message]]]:
    """Split the messages, in order, into as few calls as EventBridge accepts. An oversized one gets its own call."""
    batch: list[tuple[str, Message]] = []
    size = 0
    for key, message in messages.items():
        added = sum(len(text.encode()) for text in (SOURCE, message.type, message.detail))
        if batch and (len(batch) == _MAX_ENTRIES or size + added > _MAX_BYTES):
            yield batch
            batch, size = [], 0
        batch.append((key, message))
        size += added
    if batch:
        yield batch
