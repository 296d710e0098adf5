"""The function on moto, and events for it."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from moto import mock_aws

from subscriber import handler
from world import EVENTS, TERMS, Event, World


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    settings = {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "ap-south-1",
        "RULE": "release",
        "RECORDS_TABLE": "Records",
        "INBOX_TABLE": "Inbox",
        "IDEMPOTENCY_TABLE": "Idempotency",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(handler.metrics, "service", "job")  # Lambda's POWERTOOLS_SERVICE_NAME
    clients = (handler._once, handler._store, handler._sqs)  # noqa: SLF001 - made once per environment
    with mock_aws():
        for client in clients:
            client.cache_clear()
        made = World()
        monkeypatch.setenv("QUEUE_URL", made.queue)
        made.store.agree(TERMS)
        yield made
    for client in clients:
        client.cache_clear()


@pytest.fixture
def event() -> Event:
    """One of the fixtures in `events`, changed."""

    def changed(kind: str, event_id: str | None = None, version: int | None = None, **payment: Any) -> dict[str, Any]:
        envelope: dict[str, Any] = json.loads((EVENTS / f"{kind}.json").read_text())
        detail = envelope["detail"]
        detail["event_id"] = event_id or detail["event_id"]
        detail["version"] = version or detail["version"]
        detail["payment"] |= payment
        return envelope

    return changed
