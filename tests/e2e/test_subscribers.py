"""The example of a subscriber, deployed as the sandbox's three services."""

import time
from typing import Any

import pytest

from sandbox.cloud.service import LocalService
from tests.e2e.platform_client import Platform, eventually


@pytest.fixture
def platform(local_service: LocalService) -> Platform:
    return Platform(local_service)


def test_a_payment_that_is_not_on_the_sellers_own_terms_is_held(platform: Platform) -> None:
    platform.agree("1000.00")
    order_id = platform.create_order("1.00").json()["order_id"]
    platform.pay(order_id)
    platform.wait_for_payment(order_id, status="paid", confirmed=True)

    for seller in ("job", "application"):
        platform.wait_for_inbox(seller, order_id, "payment.paid")
        assert platform.outcomes(seller, order_id) == ["held: amount not as agreed"]
    # Notification sells nothing.
    platform.wait_for_inbox("notification", order_id, "payment.paid")
    assert platform.outcomes("notification", order_id) == ["told"]


def test_a_refund_stops_what_was_released(platform: Platform) -> None:
    platform.agree()
    order_id = platform.create_order().json()["order_id"]
    checkout = platform.pay(order_id).json()
    platform.wait_for_inbox("job", order_id, "payment.paid")
    platform.refund(checkout["razorpay_payment_id"])

    platform.wait_for_inbox("job", order_id, "payment.paid", "payment.refunded")
    assert platform.outcomes("job", order_id) == ["released", "stopped"]


def test_a_message_that_fails_waits_instead_of_coming_back_at_once(local_service: LocalService) -> None:
    sqs = local_service.cloud.client("sqs")
    queue = local_service.endpoints["subscribers"]["JobQueueUrl"]
    sent = sqs.send_message(QueueUrl=queue, MessageBody="not an event")["MessageId"]

    def waiting() -> int:
        # Payments of other tests may have messages in the queue too.
        name: Any = "ApproximateNumberOfMessagesNotVisible"
        return int(sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=[name])["Attributes"][name])

    def log() -> list[str]:
        lines = local_service.cloud.function_log.read_text(encoding="utf-8").splitlines()
        return [line for line in lines if sent in line and '"level"' in line]

    eventually(log, bool)
    time.sleep(5)  # the shortest pause is three times as long
    assert [line for line in log() if "not postponed" in line] == []
    assert len(log()) == 1
    assert waiting() >= 1
    sqs.purge_queue(QueueUrl=queue)
