"""Services that are down: what their callers get, and that other services are unaffected."""

from collections.abc import Iterator
from typing import Any

import pytest
import requests
from botocore.exceptions import ClientError

from sandbox.cloud.emulator.outages import PATH, SERVICES, service_of, unavailable
from tests.cloud.conftest import Deployed


def switch(deployed: Deployed, **services: bool | str) -> requests.Response:
    return requests.put(deployed.cloud.aws_url + PATH, json=services, timeout=10)


@pytest.fixture
def cloud(patched: Deployed) -> Iterator[Deployed]:
    """The emulator; restores every service afterwards."""
    yield patched
    answer = switch(patched, **dict.fromkeys(SERVICES, False))
    assert answer.json() == dict.fromkeys(SERVICES, False)


CALLS: dict[str, Any] = {
    "dynamodb": lambda deployed: deployed.cloud.client("dynamodb").list_tables(),
    "events": lambda deployed: deployed.put_event("open"),
    "lambda": lambda deployed: deployed.cloud.client("lambda").list_functions(),
    "secretsmanager": lambda deployed: deployed.cloud.client("secretsmanager").list_secrets(),
    "sqs": lambda deployed: deployed.cloud.client("sqs").list_queues(),
}


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_that_is_away_answers_503_as_its_client_reads_it_and_comes_back(
    cloud: Deployed, service: str
) -> None:
    call = CALLS[service]
    call(cloud)

    switch(cloud, **{service: True})
    with pytest.raises(ClientError) as caught:
        call(cloud)

    response = caught.value.response
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 503
    assert response["Error"]["Code"] == "ServiceUnavailable"
    assert "temporary failure" in str(caught.value)
    switch(cloud, **{service: False})
    call(cloud)
    cloud.received("Open", within_seconds=0)


def test_the_other_services_notice_nothing(cloud: Deployed) -> None:
    switch(cloud, events=True)

    for service in set(SERVICES) - {"events"}:
        CALLS[service](cloud)


def test_a_text_concerns_only_the_calls_whose_body_holds_it(cloud: Deployed) -> None:
    switch(cloud, events="order_A")

    assert cloud.put_event("open", '{"order": "order_B"}')["FailedEntryCount"] == 0
    assert len(cloud.received("Open")) == 1
    with pytest.raises(ClientError, match="ServiceUnavailable"):
        cloud.put_event("open", '{"order": "order_A"}')
    assert cloud.received("Open", within_seconds=0) == []


def test_a_function_meets_the_outage_too(cloud: Deployed) -> None:
    entry = {"EventBusName": cloud.outputs["BusName"], "Source": "test", "DetailType": "published", "Detail": "{}"}
    switch(cloud, events=True)

    kind, document = cloud.invoke("Publish", {"entries": [entry]})

    assert kind == "Unhandled"
    assert "ServiceUnavailable" in document["errorMessage"]


def test_what_is_set_is_shown(cloud: Deployed) -> None:
    assert switch(cloud, events=True, sqs="order_A").status_code == 200

    shown = requests.get(cloud.cloud.aws_url + PATH, timeout=10).json()

    assert shown == dict.fromkeys(SERVICES, False) | {"events": True, "sqs": "order_A"}


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"event": True}, "there are: dynamodb, events"),
        ({"events": 1}, "events can be: true, false"),
        ({"events": ""}, "events can be: true, false"),
        ([], "must be an object"),
    ],
)
def test_a_request_that_makes_no_sense_changes_nothing_and_says_what_is_possible(
    cloud: Deployed, document: Any, expected: str
) -> None:
    answer = requests.put(cloud.cloud.aws_url + PATH, json=document, timeout=10)

    assert answer.status_code == 422
    assert expected in answer.json()["detail"]
    assert not any(requests.get(cloud.cloud.aws_url + PATH, timeout=10).json().values())


def test_a_body_that_is_no_json_and_a_method_that_is_not_known_are_refused(cloud: Deployed) -> None:
    assert requests.put(cloud.cloud.aws_url + PATH, data="events", timeout=10).status_code == 422
    assert requests.delete(cloud.cloud.aws_url + PATH, timeout=10).status_code == 405


def test_the_front_door_does_not_lead_to_the_switch(cloud: Deployed) -> None:
    for path in (PATH, f"/{PATH}", "/_sandbox%2Foutages", f"/local{PATH}"):
        requests.put(cloud.cloud.api_url + path, json={"events": True}, timeout=10)

    assert requests.get(cloud.cloud.aws_url + PATH, timeout=10).json() == dict.fromkeys(SERVICES, False)


def test_the_service_is_the_one_the_request_was_signed_for() -> None:
    signed = "AWS4-HMAC-SHA256 Credential=AKID/20260301/ap-south-1/events/aws4_request, SignedHeaders=host, Signature=0"

    assert service_of({"authorization": signed, "x-amz-target": "DynamoDB_20120810.GetItem"}) == "events"
    assert service_of({"x-amz-target": "DynamoDB_20120810.GetItem"}) == "dynamodb"
    assert service_of({"authorization": "Bearer Credential=AKID/x/y/events/aws4_request"}) is None
    assert service_of({}) is None


def test_a_query_protocol_is_answered_in_xml() -> None:
    status, headers, body = unavailable("sqs", {"content-type": "application/x-www-form-urlencoded"})

    assert (status, headers["content-type"]) == (503, "text/xml")
    assert b"<Code>ServiceUnavailable</Code>" in body
