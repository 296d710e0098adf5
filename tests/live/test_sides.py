"""The real sides: DynamoDB (moto's), and a running stand-in."""

from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from sandbox.gateway.server import Settings
from sandbox.live.sides import Cloud, OutOfReach, StandIn
from tests import moto_guard
from tests.gateway.gateway import Gateway
from tests.live.stories import note, record

REGION = "ap-south-1"
ENDPOINTS: dict[str, Any] = {
    "table": "payments",
    "subscribers": {"JobInbox": "job-inbox", "JobQueueUrl": "…"},
    "aws": f"https://dynamodb.{REGION}.amazonaws.com",
    "region": REGION,
    "access_key_id": "test",
    "secret_access_key": "test",
}


@pytest.fixture
def dynamodb() -> Iterator[Any]:
    with moto_guard.mocked_aws():
        resource = boto3.resource("dynamodb", REGION, aws_access_key_id="test", aws_secret_access_key="test")
        for name, key in (("payments", "pk"), ("job-inbox", "event_id")):
            resource.create_table(
                TableName=name,
                KeySchema=[{"AttributeName": key, "KeyType": "HASH"}],
                AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"}],
                BillingMode="PAY_PER_REQUEST",
            )
        yield resource


def test_the_newest_records_come_first_and_nothing_but_records(dynamodb: Any) -> None:
    table = dynamodb.Table("payments")
    for number, created_at in enumerate(["2026-03-01T09:30:01Z", "2026-03-01T09:30:03Z", "2026-03-01T09:30:02Z"]):
        order_id = f"order_{number:014d}"
        table.put_item(Item=record(pk=f"order#{order_id}", order_id=order_id, created_at=created_at))
    table.put_item(Item={"pk": "counter#payment_id", "last_taken": 3})
    table.put_item(Item={"pk": "application#1#2", "order_id": "order_00000000000000"})

    newest = Cloud(ENDPOINTS).newest(2)

    assert [found["order_id"] for found in newest] == ["order_00000000000001", "order_00000000000002"]
    assert newest[0]["history"][0]["what"] == "created"


def test_of_one_second_the_later_payment_comes_first(dynamodb: Any) -> None:
    for payment_id in (1, 2):
        order_id = f"order_{payment_id:014d}"
        dynamodb.Table("payments").put_item(
            Item=record(pk=f"order#{order_id}", order_id=order_id, payment_id=payment_id)
        )

    assert [int(found["payment_id"]) for found in Cloud(ENDPOINTS).newest(50)] == [2, 1]


@pytest.mark.usefixtures("dynamodb")
def test_an_empty_table_has_no_records() -> None:
    assert Cloud(ENDPOINTS).newest(50) == []


def test_the_notes_of_each_inbox_that_is_deployed_are_read(dynamodb: Any) -> None:
    dynamodb.Table("job-inbox").put_item(Item=note())

    notes = Cloud(ENDPOINTS).notes()

    assert list(notes) == ["job"]
    assert notes["job"][0]["detail_type"] == "payment.paid"


def test_a_cloud_that_is_away_is_out_of_reach() -> None:
    cloud = Cloud(ENDPOINTS | {"aws": "http://127.0.0.1:1"})

    with pytest.raises(OutOfReach, match=r"payments table does not answer \(EndpointConnectionError\)"):
        cloud.newest(50)
    with pytest.raises(OutOfReach, match="inboxes do not answer"):
        cloud.notes()


@pytest.mark.usefixtures("dynamodb")
def test_a_table_that_is_not_there_is_named_so() -> None:
    with pytest.raises(OutOfReach, match="ResourceNotFoundException"):
        Cloud(ENDPOINTS | {"table": "other"}).newest(50)


@pytest.fixture(scope="module")
def gateway() -> Iterator[Gateway]:
    with Gateway(Settings()) as running:
        yield running


def test_the_stand_in_tells_its_events_page_by_page_and_the_books_of_an_order(gateway: Gateway) -> None:
    gateway.control("POST", "reset")
    order_id = gateway.order()["id"]
    gateway.pay(order_id)
    side = StandIn(gateway.url)

    events, behind = side.events(0)
    books = side.books(order_id)

    assert [event["event"] for event in events] == ["payment.authorized", "payment.captured", "order.paid"]
    assert (behind, side.events(behind)) == (3, ([], 3))
    assert [payment["status"] for payment in books["payments"]] == ["captured"]


def test_an_order_that_the_stand_in_does_not_know_any_more_has_empty_books(gateway: Gateway) -> None:
    assert StandIn(gateway.url).books("order_DESlLckIVRkHWj") == {"payments": [], "refunds": []}


def test_a_stand_in_that_is_away_is_out_of_reach() -> None:
    with pytest.raises(OutOfReach, match="stand-in for Razorpay does not answer"):
        StandIn("http://127.0.0.1:1").events(0)
