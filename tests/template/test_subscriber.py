"""The example of a subscriber, in our account and in another."""

from typing import Any

from sandbox.cloud.packages import read_template
from tests.template.transform import PROJECT

FORWARDING = read_template(PROJECT / "examples/subscriber/forwarding.yaml")["Resources"]


def test_its_queues_are_encrypted_and_outlast_two_weeks_and_forty_attempts(subscriber: Any) -> None:
    queue, dead = (subscriber.by_id[name]["Properties"] for name in ("Queue", "DeadLetters"))
    assert queue["SqsManagedSseEnabled"]
    assert dead["SqsManagedSseEnabled"]
    assert queue["MessageRetentionPeriod"] == dead["MessageRetentionPeriod"] == 14 * 24 * 3600
    assert queue["RedrivePolicy"] == {
        "deadLetterTargetArn": {"Fn::GetAtt": ["DeadLetters", "Arn"]},
        "maxReceiveCount": 40,
    }


def test_its_consumer_has_a_sixth_of_the_visibility_timeout_and_reports_failures_one_by_one(subscriber: Any) -> None:
    consumer = subscriber.by_id["Consumer"]["Properties"]
    assert subscriber.by_id["Queue"]["Properties"]["VisibilityTimeout"] >= 6 * consumer["Timeout"]
    source = subscriber.by_id["ConsumerQueue"]["Properties"]
    assert source["EventSourceArn"] == {"Fn::GetAtt": ["Queue", "Arn"]}
    assert source["FunctionResponseTypes"] == ["ReportBatchItemFailures"]


def test_its_alarms_watch_the_dead_letters_what_waits_and_what_is_held(subscriber: Any) -> None:
    alarms = subscriber.of_type("AWS::CloudWatch::Alarm")
    watched = {
        name: (alarm["MetricName"], alarm["Threshold"], alarm["ComparisonOperator"]) for name, alarm in alarms.items()
    }
    assert watched == {
        "DeadLettersAlarm": ("ApproximateNumberOfMessagesVisible", 0, "GreaterThanThreshold"),
        "BehindAlarm": ("ApproximateAgeOfOldestMessage", 900, "GreaterThanThreshold"),
        "HeldAlarm": ("Held", 0, "GreaterThanThreshold"),
    }
    assert alarms["DeadLettersAlarm"]["Dimensions"] == [
        {"Name": "QueueName", "Value": {"Fn::GetAtt": ["DeadLetters", "QueueName"]}}
    ]
    assert alarms["HeldAlarm"]["Namespace"] == "PaymentSubscriber"


def test_only_one_of_its_two_policies_applies(subscriber: Any) -> None:
    policies = {
        name: item["Condition"] for name, item in subscriber.by_id.items() if item["Type"] == "AWS::SQS::QueuePolicy"
    }
    assert policies == {"FromThisAccountPolicy": "FromThisAccount", "FromAnotherAccountPolicy": "FromAnotherAccount"}
    assert subscriber.by_id["PaymentRule"]["Condition"] == "FromThisAccount"


def test_from_another_account_its_queue_lets_in_the_role_that_forwards_and_nothing_else(subscriber: Any) -> None:
    policy = subscriber.by_id["FromAnotherAccountPolicy"]["Properties"]
    assert policy["Queues"] == [{"Ref": "Queue"}]
    (statement,) = policy["PolicyDocument"]["Statement"]
    assert statement["Action"] == "sqs:SendMessage"
    assert statement["Principal"] == {"AWS": {"Fn::Sub": "arn:${AWS::Partition}:iam::${PaymentsAccount}:root"}}
    (allowed,) = statement["Condition"]["ArnEquals"].values()
    role = FORWARDING["ForwardingRole"]["Properties"]["RoleName"]["Fn::Sub"]
    assert allowed == {"Fn::Sub": "arn:${AWS::Partition}:iam::${PaymentsAccount}:role/" + role}


def test_the_role_that_forwards_may_send_to_that_queue_and_do_nothing_else() -> None:
    role = FORWARDING["ForwardingRole"]["Properties"]
    (policy,) = role["Policies"]
    assert policy["PolicyDocument"]["Statement"] == [
        {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": {"Ref": "QueueArn"}}
    ]
    (target,) = FORWARDING["ForwardingRule"]["Properties"]["Targets"]
    assert target["Arn"] == {"Ref": "QueueArn"}
    assert target["RoleArn"] == {"Fn::GetAtt": ["ForwardingRole", "Arn"]}
    assert target["DeadLetterConfig"] == {"Arn": {"Fn::GetAtt": ["ForwardingDeadLetters", "Arn"]}}


def test_the_forwarding_rule_is_on_the_bus_that_the_service_exports() -> None:
    exported = read_template(PROJECT / "template.yaml")["Outputs"]["EventBusName"]["Export"]["Name"]
    assert FORWARDING["ForwardingRule"]["Properties"]["EventBusName"] == {"Fn::ImportValue": exported}
