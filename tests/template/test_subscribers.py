"""The three services that subscribe."""

from typing import Any

import pytest

HEARD = {
    "Job": ["payment.paid"],
    "Application": ["payment.paid"],
    "Notification": ["payment.paid", "payment.failed", "payment.refunded", "payment.surplus_refunded"],
}


@pytest.mark.parametrize("service", HEARD)
def test_each_service_hears_of_what_it_acts_on(subscribers: Any, service: str) -> None:
    rule = subscribers.by_id[f"{service}Rule"]["Properties"]
    assert rule["EventBusName"] == {"Ref": "EventBusName"}
    assert rule["EventPattern"] == {"source": ["payment-service"], "detail-type": HEARD[service]}
    assert rule["Targets"][0]["Arn"] == {"Fn::GetAtt": [f"{service}Queue", "Arn"]}


@pytest.mark.parametrize("service", HEARD)
def test_each_queue_is_encrypted_and_sets_aside_what_cannot_be_handled(subscribers: Any, service: str) -> None:
    queue = subscribers.by_id[f"{service}Queue"]["Properties"]
    dead_letters = subscribers.by_id[f"{service}DeadLetters"]["Properties"]
    assert queue["SqsManagedSseEnabled"]
    assert dead_letters["SqsManagedSseEnabled"]
    assert queue["RedrivePolicy"] == {
        "deadLetterTargetArn": {"Fn::GetAtt": [f"{service}DeadLetters", "Arn"]},
        "maxReceiveCount": 5,
    }
    assert dead_letters["MessageRetentionPeriod"] == 14 * 24 * 3600


@pytest.mark.parametrize("service", HEARD)
def test_each_consumer_has_time_for_six_attempts_and_reports_failures_one_by_one(
    subscribers: Any, service: str
) -> None:
    consumer = subscribers.by_id[f"{service}Consumer"]["Properties"]
    queue = subscribers.by_id[f"{service}Queue"]["Properties"]
    assert queue["VisibilityTimeout"] >= 6 * consumer["Timeout"]
    source = subscribers.by_id[f"{service}ConsumerQueue"]["Properties"]
    assert source["EventSourceArn"] == {"Fn::GetAtt": [f"{service}Queue", "Arn"]}
    assert source["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert consumer["Environment"]["Variables"]["INBOX_TABLE"] == {"Ref": f"{service}Inbox"}


def test_only_a_service_with_several_kinds_of_event_keeps_versions(subscribers: Any) -> None:
    with_versions = {
        service
        for service in HEARD
        if "VERSIONS_TABLE" in subscribers.by_id[f"{service}Consumer"]["Properties"]["Environment"]["Variables"]
    }
    assert with_versions == {service for service, kinds in HEARD.items() if len(kinds) > 1}
