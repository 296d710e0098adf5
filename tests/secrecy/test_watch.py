"""The watch on the handler tests sees every output: printed text, responses, the table, the bus."""

import logging
import sys
from typing import Any

import pytest

from payments.adapters.log import FIELDS, RequestLog
from sandbox import events
from tests.handlers.cloud import admin, running_cloud
from tests.handlers.service import forget_loggers
from tests.secrecy import watch
from tests.secrecy.words import SECRETS

LEAK = events.CUSTOMER.email


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_what_is_printed_is_noticed(stream: str) -> None:
    getattr(sys, stream).write(f"{LEAK}\n")
    assert watch.leaks() != []


def test_what_is_logged_and_counted_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    forget_loggers()
    log = RequestLog("webhook")
    log.note(why=LEAK)
    log.info("request")
    assert watch.leaks() != []
    log.count("IgnoredEvents", dimensions={"event": LEAK})
    assert watch.leaks() != []
    log.alert("request failed")
    assert watch.leaks() != []
    assert "why" in FIELDS
    forget_loggers()
    monkeypatch.undo()


def test_what_a_logger_of_a_library_prints_is_noticed() -> None:
    listening = logging.StreamHandler(sys.stderr)
    logger = logging.getLogger("a.library")
    logger.addHandler(listening)
    try:
        logger.warning("connecting with %s", LEAK)
    finally:
        logger.removeHandler(listening)
    assert watch.leaks() != []


@pytest.mark.parametrize("place", ["body", "headers"])
def test_what_is_answered_is_noticed(place: str) -> None:
    answer: dict[str, Any] = {"statusCode": 200, "headers": {}, "body": "{}", "isBase64Encoded": False}
    watch.keep_answer(answer)
    assert watch.leaks() == []
    watch.keep_answer({**answer, place: {"X": LEAK} if place == "headers" else LEAK})
    assert watch.leaks() != []


def test_what_is_stored_or_published_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    with running_cloud(monkeypatch) as cloud:
        table, bus = admin("dynamodb"), admin("events")
        item = {"pk": {"S": "order#x"}, "email": {"S": LEAK}}
        table.put_item(TableName="payments-test", Item=item)
        word = [*SECRETS, *events.PERSONAL].index(LEAK)
        assert watch.leaks() == [f"the word {word} in a PutItem", "an e-mail address in a PutItem"]
        table.update_item(
            TableName="payments-test",
            Key={"pk": {"S": "order#x"}},
            UpdateExpression="SET email = :email",
            ExpressionAttributeValues={":email": {"S": LEAK}},
        )
        assert watch.leaks() != []
        entry = {"Source": "x", "DetailType": "x", "Detail": f'{{"email":"{LEAK}"}}', "EventBusName": "payments-test"}
        bus.put_events(Entries=[entry])
        assert watch.leaks() != []
        # A read only names a key and discloses nothing.
        table.get_item(TableName="payments-test", Key={"pk": {"S": LEAK}})
        assert watch.leaks() == []
        assert cloud.requests == ["PutItem", "UpdateItem", "PutEvents", "GetItem"]
