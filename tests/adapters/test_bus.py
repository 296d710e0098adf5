"""PutEvents as EventBridge answers it: one result per entry, in the order sent, with 200 even for refusals."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

import boto3
import pytest
from botocore.exceptions import (
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    ReadTimeoutError,
)
from botocore.stub import Stubber

from payments.adapters.bus import Bus
from payments.core.errors import BusUnavailable
from payments.core.outbox import Message
from tests.aws_limits import check_request

if TYPE_CHECKING:
    from mypy_boto3_events.client import EventBridgeClient

PAID = Message("payment.paid", '{"event_id":"a"}')
ACCEPTED = {"EventId": "11710aed-b79e-4468-a20b-bb3c0c3b4860"}
REFUSED = {"ErrorCode": "InternalFailure", "ErrorMessage": "Try again."}


def within_limits(params: dict[str, Any], **_: Any) -> None:
    """EventBridge's documented limits, which botocore does not know."""
    check_request("PutEvents", params)


@pytest.fixture
def eventbridge() -> Iterator[Stubber]:
    """A client that checks every call against EventBridge's service model, and returns responses from a list."""
    client = boto3.client("events", region_name="ap-south-1", aws_access_key_id="none", aws_secret_access_key="none")
    client.meta.events.register("before-parameter-build.events.PutEvents", within_limits)
    with Stubber(client) as stub:
        yield stub
        stub.assert_no_pending_responses()


@pytest.fixture
def bus(eventbridge: Stubber) -> Bus:
    return Bus(cast("EventBridgeClient", eventbridge.client), "payments-test")


def entry(message: Message) -> dict[str, Any]:
    return {
        "EventBusName": "payments-test",
        "Source": "payment-service",
        "DetailType": message.type,
        "Detail": message.detail,
    }


def answer(eventbridge: Stubber, *entries: dict[str, str], to: list[Message] | None = None) -> None:
    expected = None if to is None else {"Entries": [entry(message) for message in to]}
    refused = sum("ErrorCode" in told for told in entries)
    eventbridge.add_response("put_events", {"FailedEntryCount": refused, "Entries": list(entries)}, expected)


def messages(count: int) -> dict[str, Message]:
    return {f"event-{number}": Message("payment.failed", f'{{"number":{number}}}') for number in range(count)}


def test_an_event_goes_to_our_bus_under_our_source_with_its_type_and_bytes(eventbridge: Stubber, bus: Bus) -> None:
    answer(eventbridge, ACCEPTED, to=[PAID])
    assert bus.publish({"a": PAID}) == {"a"}


def test_without_events_eventbridge_is_not_called(bus: Bus) -> None:
    assert bus.publish({}) == frozenset()


def test_ten_events_go_in_one_call_and_the_eleventh_in_another(eventbridge: Stubber, bus: Bus) -> None:
    sent = messages(11)
    answer(eventbridge, *[ACCEPTED] * 10, to=list(sent.values())[:10])
    answer(eventbridge, ACCEPTED, to=list(sent.values())[10:])
    assert bus.publish(sent) == set(sent)


def large(count: int, size: int) -> dict[str, Message]:
    """Messages that each count this many bytes: source, detail type and detail."""
    rest = len("payment-service") + len("payment.review")
    return {f"event-{number}": Message("payment.review", "x" * (size - rest)) for number in range(count)}


@pytest.mark.parametrize(
    ("size", "calls"),
    [(256 * 1024, [3, 3, 1]), (100 * 1024, [7]), (150 * 1024, [6, 1]), (1024 * 1024 - 1, [1] * 7)],
    ids=["256 KiB", "100 KiB", "150 KiB", "just under 1 MiB"],
)
def test_a_call_stays_under_one_megabyte(eventbridge: Stubber, bus: Bus, size: int, calls: list[int]) -> None:
    # "The total entry size must be less than 1 MB."
    sent = large(7, size)
    left = list(sent.values())
    for count in calls:
        answer(eventbridge, *[ACCEPTED] * count, to=left[:count])
        left = left[count:]
    assert bus.publish(sent) == set(sent)


def sized(*sizes: int) -> dict[str, Message]:
    """Messages that count these many bytes."""
    return {f"event-{number}": large(1, size)["event-0"] for number, size in enumerate(sizes)}


MOST = 1024 * 1024 - 1


@pytest.mark.parametrize(
    ("sizes", "calls"),
    [
        ((500, MOST - 500), [2]),
        ((500, MOST - 499), [1, 1]),
        # Each call's size counts separately.
        ((MOST, 500, MOST - 500), [1, 2]),
        ((MOST, 500, MOST - 499), [1, 1, 1]),
    ],
)
def test_a_call_takes_all_that_it_may_and_not_a_byte_more(
    eventbridge: Stubber, bus: Bus, sizes: tuple[int, ...], calls: list[int]
) -> None:
    for count in calls:
        answer(eventbridge, *[ACCEPTED] * count)
    assert len(bus.publish(sized(*sizes))) == len(sizes)


def test_bytes_count_and_not_characters(eventbridge: Stubber, bus: Bus) -> None:
    sent = {f"event-{number}": Message("payment.review", "é" * 300_000) for number in range(2)}
    for message in sent.values():
        answer(eventbridge, ACCEPTED, to=[message])
    assert bus.publish(sent) == set(sent)


def test_what_comes_after_a_call_that_refused_all_is_sent_all_the_same(eventbridge: Stubber, bus: Bus) -> None:
    sent = large(2, 600 * 1024)
    answer(eventbridge, REFUSED)
    answer(eventbridge, ACCEPTED)
    assert bus.publish(sent) == {"event-1"}


def test_of_every_call_only_the_accepted_entries_count(eventbridge: Stubber, bus: Bus) -> None:
    answer(eventbridge, REFUSED, *[ACCEPTED] * 8, REFUSED)
    answer(eventbridge, ACCEPTED, REFUSED)
    assert bus.publish(messages(12)) == {f"event-{number}" for number in (*range(1, 9), 10)}


@pytest.mark.parametrize(
    "told", [{}, {"EventId": ""}, {**ACCEPTED, **REFUSED}], ids=["nothing", "an empty id", "an id and an error"]
)
def test_what_is_not_clearly_accepted_is_not_accepted(eventbridge: Stubber, bus: Bus, told: dict[str, str]) -> None:
    answer(eventbridge, told)
    assert bus.publish({"a": PAID}) == frozenset()


def test_an_answer_of_fewer_entries_than_were_sent_is_no_answer_to_rely_on(eventbridge: Stubber, bus: Bus) -> None:
    answer(eventbridge, ACCEPTED)
    with pytest.raises(ValueError, match="zip"):
        bus.publish(messages(2))


@pytest.mark.parametrize(
    ("code", "status"), [("InternalException", 500), ("ServiceUnavailable", 503), ("ThrottlingException", 400)]
)
def test_what_time_may_cure_is_told_apart(eventbridge: Stubber, bus: Bus, code: str, status: int) -> None:
    eventbridge.add_client_error("put_events", code, http_status_code=status)
    with pytest.raises(BusUnavailable, match=code):
        bus.publish({"a": PAID})


@pytest.mark.parametrize("code", ["AccessDeniedException", "ResourceNotFoundException", "ValidationException"])
def test_what_only_a_person_can_cure_is_not_called_temporary(eventbridge: Stubber, bus: Bus, code: str) -> None:
    eventbridge.add_client_error("put_events", code, http_status_code=499)
    with pytest.raises(ClientError, match=code):
        bus.publish({"a": PAID})


class Unreachable:
    """A client that never gets a response."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def put_events(self, **_: object) -> None:
        raise self._error


@pytest.mark.parametrize("error", [ConnectTimeoutError, ReadTimeoutError, EndpointConnectionError])
def test_no_answer_in_time_may_be_cured_by_time(error: type[Exception]) -> None:
    bus = Bus(Unreachable(error(endpoint_url="https://events")), "payments-test")  # type: ignore[call-arg,arg-type]  # as botocore makes them; only as much of a client as is called
    with pytest.raises(BusUnavailable, match=error.__name__):
        bus.publish({"a": PAID})


def test_a_function_without_credentials_does_not_wait_for_them() -> None:
    bus = Bus(Unreachable(NoCredentialsError()), "payments-test")  # type: ignore[arg-type]  # as above
    with pytest.raises(NoCredentialsError):
        bus.publish({"a": PAID})


def test_a_failure_without_a_code_may_be_cured_by_time() -> None:
    unnamed = ClientError({"ResponseMetadata": {"HTTPStatusCode": 500}}, "PutEvents")  # type: ignore[typeddict-item]  # the rest is not read
    bus = Bus(Unreachable(unnamed), "payments-test")  # type: ignore[arg-type]  # as above
    with pytest.raises(BusUnavailable, match=r"^$"):
        bus.publish({"a": PAID})


def test_an_error_without_details_is_not_called_temporary() -> None:
    bus = Bus(Unreachable(ClientError({}, "PutEvents")), "payments-test")  # type: ignore[arg-type]  # as above
    with pytest.raises(ClientError):
        bus.publish({"a": PAID})
