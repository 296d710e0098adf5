"""What holds for every template of the project."""

import re
from typing import Any

import pytest

from tests.template.transform import PROJECT

EVENTBRIDGE = "events.amazonaws.com"


@pytest.fixture(params=["service", "subscriber"])
def resources(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(request.param)


def test_make_test_has_sam_and_cfn_lint_look_at_every_template() -> None:
    makefile = (PROJECT / "Makefile").read_text(encoding="utf-8")
    (recipe,) = re.findall(r"^validate:.*\n((?:\t.*\n)+)", makefile, re.MULTILINE)
    templates = [*PROJECT.glob("[!.]*.yaml"), *(PROJECT / "examples/subscriber").glob("*.yaml")]
    assert set(re.findall(r"[\w/-]+\.yaml", recipe)) == {str(path.relative_to(PROJECT)) for path in templates}
    assert "set -e" in recipe
    assert "validate --lint --template-file $$template" in recipe
    assert re.search(r"^test:.*\n\t.* validate\b", makefile, re.MULTILINE)


def test_every_role_names_its_actions_and_resources(resources: Any) -> None:
    for name, role in resources.of_type("AWS::IAM::Role").items():
        for policy in role.get("Policies", []):
            for listed in policy["PolicyDocument"]["Statement"]:
                statement = listed["Fn::If"][1] if "Fn::If" in listed else listed
                assert statement["Effect"] == "Allow"
                for action in as_list(statement["Action"]):
                    assert "*" not in action, name
                for resource in as_list(statement["Resource"]):
                    assert isinstance(resource, dict), f"{name}: {resource}"  # a reference, not a pattern
                    assert "*" not in str(resource), name


def test_every_function_has_a_role_of_its_own_with_nothing_more_than_aws_own_logging_tracing_and_polling(
    resources: Any,
) -> None:
    functions = resources.of_type("AWS::Lambda::Function")
    roles = [function["Role"]["Fn::GetAtt"][0] for function in functions.values()]
    assert len(set(roles)) == len(functions)
    managed = {
        arn.rpartition("/")[2] for role in roles for arn in resources.by_id[role]["Properties"]["ManagedPolicyArns"]
    }
    # Five actions of X-Ray, none of which can be limited to a resource.
    assert managed <= {"AWSLambdaBasicExecutionRole", "AWSLambdaSQSQueueExecutionRole", "AWSXrayWriteOnlyAccess"}


def test_every_function_writes_to_a_log_group_of_its_own_that_forgets(resources: Any) -> None:
    groups = resources.of_type("AWS::Logs::LogGroup")
    assert all("RetentionInDays" in group for group in groups.values())
    used = [f["LoggingConfig"]["LogGroup"]["Ref"] for f in resources.of_type("AWS::Lambda::Function").values()]
    stages = resources.of_type("AWS::ApiGateway::Stage").values()
    used_by_apis = [stage["AccessLogSetting"]["DestinationArn"]["Fn::GetAtt"][0] for stage in stages]
    assert sorted(used + used_by_apis) == sorted(groups)


def test_every_rule_target_has_a_dead_letter_queue(resources: Any) -> None:
    for name, rule in resources.of_type("AWS::Events::Rule").items():
        for target in rule["Targets"]:
            assert target["DeadLetterConfig"]["Arn"], name


def test_every_queue_rules_write_to_lets_these_rules_and_no_others_in(resources: Any) -> None:
    writers: dict[str, set[str]] = {}
    for rule_id, rule in resources.of_type("AWS::Events::Rule").items():
        for target in rule["Targets"]:
            # A function, named by its alias, allows the rule by a separate permission: see below.
            for arn in [arn for arn in (target["Arn"], target["DeadLetterConfig"]["Arn"]) if "Ref" not in arn]:
                queue_id, attribute = arn["Fn::GetAtt"]
                assert attribute == "Arn"
                writers.setdefault(queue_id, set()).add(rule_id)
    assert writers
    for queue_id, rules in writers.items():
        (statement,) = [
            statement
            for policy in resources.of_type("AWS::SQS::QueuePolicy").values()
            if {"Ref": queue_id} in policy["Queues"]
            for statement in policy["PolicyDocument"]["Statement"]
            # The subscriber's other policy is for a rule in another account (test_subscriber.py).
            if "AWS" not in statement["Principal"]
        ]
        assert statement["Principal"] == {"Service": EVENTBRIDGE}
        assert statement["Action"] == "sqs:SendMessage"
        assert {"Fn::GetAtt": [queue_id, "Arn"]} in statement["Resource"]
        assert statement["Condition"].keys() == {"ArnEquals"}
        sources = as_list(statement["Condition"]["ArnEquals"]["aws:SourceArn"])
        assert {source["Fn::GetAtt"][0] for source in sources} == rules
        assert {source["Fn::GetAtt"][1] for source in sources} == {"Arn"}


def test_every_function_that_rules_call_lets_these_rules_and_no_others_in(resources: Any) -> None:
    callers: dict[str, set[str]] = {}
    for rule_id, rule in resources.of_type("AWS::Events::Rule").items():
        for function in [target["Arn"]["Ref"] for target in rule["Targets"] if "Ref" in target["Arn"]]:
            callers.setdefault(function, set()).add(rule_id)
    for function, rules in callers.items():
        permitted = [
            permission["SourceArn"]["Fn::GetAtt"]
            for permission in resources.of_type("AWS::Lambda::Permission").values()
            if permission["FunctionName"] == {"Ref": function} and permission["Principal"] == EVENTBRIDGE
        ]
        assert sorted(permitted) == sorted([rule, "Arn"] for rule in rules)


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
