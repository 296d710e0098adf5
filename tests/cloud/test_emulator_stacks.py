"""CloudFormation on the emulator: conditions, updates and error messages."""

from pathlib import Path

import pytest

from sandbox.cloud.cloud import DeploymentError
from tests.cloud.conftest import FIXTURE, Deployed


def test_a_resource_under_the_condition_that_a_list_is_not_empty_is_left_out_when_it_is_empty(
    patched: Deployed,
) -> None:
    patched.cloud.deploy(FIXTURE / "condition.yaml", "condition")

    with pytest.raises(LookupError, match="0 resources of type AWS::Events::EventBusPolicy"):
        patched.cloud.resource_id("condition", "AWS::Events::EventBusPolicy")


def test_the_same_resource_is_wanted_when_the_list_has_members(patched: Deployed) -> None:
    with pytest.raises(DeploymentError, match="AWS::Events::EventBusPolicy"):
        patched.cloud.deploy(FIXTURE / "condition.yaml", "condition-true", {"Accounts": "111122223333,444455556666"})


def test_the_stock_emulator_still_does_not_join_in_conditions(stock: Deployed) -> None:
    with pytest.raises(DeploymentError, match="AWS::Events::EventBusPolicy"):
        stock.cloud.deploy(FIXTURE / "condition.yaml", "condition")


def test_a_reference_to_a_secret_is_its_arn(patched: Deployed) -> None:
    secret = patched.outputs["Secret"]

    patched.cloud.put_secret(secret, {"A": "1"})
    read = patched.cloud.client("secretsmanager").get_secret_value(SecretId=secret)
    assert secret == read["ARN"]
    assert read["SecretString"] == '{"A": "1"}'


def test_the_stock_emulator_still_takes_the_name_for_a_reference_to_a_secret(stock: Deployed) -> None:
    assert not stock.outputs["Secret"].startswith("arn:")


ALARM = """
Resources:
  Alarm:
    Type: AWS::CloudWatch::Alarm
    Properties:
      Metrics:
        - {Id: a, ReturnData: false, MetricStat: {Metric: {Namespace: N, MetricName: A}, Period: 60, Stat: Sum}}
        - {Id: both, Expression: FILL(a, 0) + 1}
      EvaluationPeriods: 1
      Threshold: 1
      ComparisonOperator: GreaterThanOrEqualToThreshold
Outputs:
  Alarm: {Value: !Ref Alarm}
"""


def test_an_alarm_on_an_expression_is_made(patched: Deployed, tmp_path: Path) -> None:
    template = tmp_path / "template.yaml"
    template.write_text(ALARM)

    assert patched.cloud.deploy(template, "alarmed")["Alarm"]


def test_the_stock_emulator_still_refuses_an_alarm_on_an_expression(stock: Deployed, tmp_path: Path) -> None:
    template = tmp_path / "template.yaml"
    template.write_text(ALARM)

    with pytest.raises(DeploymentError, match="metric math"):
        stock.cloud.deploy(template, "alarmed")


GRADUAL = """
Transform: AWS::Serverless-2016-10-31
Parameters:
  Gradual: {Type: String, Default: "true"}
Resources:
  Function:
    Type: AWS::Serverless::Function
    Properties:
      Runtime: python3.13
      Handler: app.handler
      InlineCode: "def handler(event, context): pass"
      AutoPublishAlias: live
      DeploymentPreference: {Enabled: !Ref Gradual, Type: AllAtOnce}
"""


def test_a_parameter_decides_whether_a_deployment_needs_code_deploy(patched: Deployed, tmp_path: Path) -> None:
    template = tmp_path / "template.yaml"
    template.write_text(GRADUAL)

    patched.cloud.deploy(template, "at-once", {"Gradual": "false"})
    with pytest.raises(DeploymentError, match="AWS::CodeDeploy::Application"):
        patched.cloud.deploy(template, "gradual")


def test_the_stock_emulator_still_runs_the_transform_without_parameters(stock: Deployed, tmp_path: Path) -> None:
    template = tmp_path / "template.yaml"
    template.write_text(GRADUAL)

    with pytest.raises(DeploymentError, match="AWS::CodeDeploy::Application"):
        stock.cloud.deploy(template, "at-once", {"Gradual": "false"})


def test_a_stack_is_updated_in_place_and_an_unchanged_one_is_left_alone(patched: Deployed, tmp_path: Path) -> None:
    template = tmp_path / "template.yaml"
    queue = "Resources:\n  Queue:\n    Type: AWS::SQS::Queue\n    Properties: {VisibilityTimeout: %d}\n"
    output = "Outputs:\n  Queue: {Value: !Ref Queue}\n"
    template.write_text(queue % 30 + output)
    first = patched.cloud.deploy(template, "updated")

    assert patched.cloud.deploy(template, "updated") == first
    template.write_text(queue % 60 + output)
    assert patched.cloud.deploy(template, "updated") == first
    attributes = patched.cloud.client("sqs").get_queue_attributes(
        QueueUrl=first["Queue"], AttributeNames=["VisibilityTimeout"]
    )["Attributes"]
    assert attributes["VisibilityTimeout"] == "60"


NESTING = """
Transform: AWS::Serverless-2016-10-31
Resources:
  Queue: {Type: AWS::SQS::Queue}
  Beside:
    Type: AWS::Serverless::Application
    Properties: {Location: nested.yaml, Parameters: {Name: !Sub "${Queue.QueueName}-2"}}
Outputs:
  Queue: {Value: !GetAtt Queue.QueueName}
"""
NESTED = """
Parameters: {Name: {Type: String}}
Resources:
  Second: {Type: AWS::SQS::Queue, Properties: {QueueName: !Ref Name}}
"""


def test_a_nested_application_is_deployed_with_the_stack_that_has_it(patched: Deployed, tmp_path: Path) -> None:
    (tmp_path / "template.yaml").write_text(NESTING)
    (tmp_path / "nested.yaml").write_text(NESTED)

    queue = patched.cloud.deploy(tmp_path / "template.yaml", "nesting")["Queue"]
    assert patched.cloud.client("sqs").get_queue_url(QueueName=f"{queue}-2")["QueueUrl"]


def test_a_template_that_is_refused_says_which_resource_and_why(patched: Deployed, tmp_path: Path) -> None:
    template = tmp_path / "template.yaml"
    template.write_text("Resources:\n  Odd:\n    Type: AWS::Odd::Thing\n")

    with pytest.raises(DeploymentError, match="AWS::Odd::Thing"):
        patched.cloud.deploy(template, "odd")
