"""docs/deploying-policy.json: what a deployment needs, and little else.

The calls that CloudFormation makes to create, read, update and delete a resource are in AWS's schema of its type
(`handlers`). cfn-lint, and so the SAM environment, contains a copy; no account is needed.
"""

import json
from collections.abc import Iterator
from fnmatch import fnmatchcase
from functools import cache
from typing import Any

import pytest

from sandbox.cloud.packages import NESTED
from tests.template.metrics import text
from tests.template.transform import PROJECT, SAM_ENVIRONMENT, Resources

POLICY: dict[str, Any] = json.loads((PROJECT / "docs/deploying-policy.json").read_text(encoding="utf-8"))
STATEMENTS: list[dict[str, Any]] = POLICY["Statement"]
(SCHEMAS,) = SAM_ENVIRONMENT.parent.glob("lib/python*/site-packages/cfnlint/data/schemas")
REGION = "ap-south-1"
# What `sam deploy` creates with `resolve_s3`, in a separate stack (samcli/lib/bootstrap/bootstrap.py).
OF_SAM = {"AWS::S3::Bucket", "AWS::S3::BucketPolicy"}
# A custom domain is optional; its types are allowed whether or not this template has them.
OF_A_DOMAIN = {"AWS::ApiGateway::DomainName", "AWS::ApiGateway::BasePathMapping", "AWS::Route53::RecordSet"}
# Types without published handlers, and the type that makes the same calls.
WITHOUT_HANDLERS = {"AWS::Route53::RecordSetGroup": "AWS::Route53::RecordSet"}
# Actions that a schema lists for properties that this template does not set, and why it does not need them.
NOT_NEEDED = {
    "amplify:*": "a web ACL before something else than an API",
    "apprunner:*": "as amplify",
    "appsync:*": "as amplify",
    "bedrock-agentcore:*": "as amplify",
    "cognito-idp:*": "as amplify",
    "ec2:*": "as amplify, and functions in a VPC",
    "elasticloadbalancing:*": "as amplify",
    "payments:GetConnectedAccount": "rules of the marketplace in a web ACL",
    "dynamodb:AssociateTableReplica": "global tables",
    "dynamodb:CreateTableReplica": "global tables",
    "dynamodb:BatchWriteItem": "an import from S3",
    "dynamodb:DeleteItem": "an import from S3",
    "dynamodb:GetItem": "an import from S3",
    "dynamodb:PutItem": "an import from S3",
    "dynamodb:Query": "an import from S3",
    "dynamodb:Scan": "an import from S3",
    "dynamodb:UpdateItem": "an import from S3",
    "dynamodb:ImportTable": "an import from S3",
    "dynamodb:DisableKinesisStreamingDestination": "Kinesis",
    "dynamodb:EnableKinesisStreamingDestination": "Kinesis",
    "dynamodb:UpdateKinesisStreamingDestination": "Kinesis",
    "kinesis:*": "Kinesis",
    "dynamodb:DeleteResourcePolicy": "a policy of the table's own",
    "dynamodb:PutResourcePolicy": "a policy of the table's own",
    "elasticfilesystem:*": "a file system for functions",
    "s3files:*": "a file system for functions",
    "kms:CreateGrant": "a key of the customer's for a table, a bus or a function",
    "kms:Decrypt": "as kms:CreateGrant",
    "kms:Encrypt": "as kms:CreateGrant",
    "kms:GenerateDataKey": "as kms:CreateGrant",
    "kms:GenerateDataKeyWithoutPlaintext": "as kms:CreateGrant",
    "kms:ReEncrypt": "as kms:CreateGrant",
    "kms:ReEncryptFrom": "as kms:CreateGrant",
    "kms:ReEncryptTo": "as kms:CreateGrant",
    "kms:RevokeGrant": "as kms:CreateGrant",
    "kms:ListAliases": "as kms:CreateGrant",
    "lambda:AssociateRuntimeAlias": "a runtime that is pinned",
    "lambda:PassCapacityProvider": "functions on instances of one's own",
    "firehose:*": "logs that go elsewhere",
    "logs:AssociateKmsKey": "a key of the customer's for logs",
    "logs:DisassociateKmsKey": "a key of the customer's for logs",
    "logs:CreateLogDelivery": "logs that go elsewhere",
    "logs:CreateLogStream": "an import from S3, of the table",
    "logs:DescribeLogStreams": "an import from S3, of the table",
    "logs:PutLogEvents": "an import from S3, of the table",
    "logs:DescribeResourcePolicies": "a policy of the log group's own",
    "logs:PutResourcePolicy": "a policy of the log group's own",
    "logs:PutBearerTokenAuthentication": "logs sent with a token",
    "logs:PutDataProtectionPolicy": "masking in logs",
    "logs:PutIndexPolicy": "an index of logs",
    "logs:PutLogGroupDeletionProtection": "protection of a log group",
    "iam:AttachGroupPolicy": "the stack attaches the operators' policies to nobody",
    "iam:AttachUserPolicy": "as iam:AttachGroupPolicy",
    "iam:DetachGroupPolicy": "as iam:AttachGroupPolicy",
    "iam:DetachUserPolicy": "as iam:AttachGroupPolicy",
    "iam:DeleteRolePermissionsBoundary": "a boundary, which the roles do not have",
    "iam:PutRolePermissionsBoundary": "a boundary, which the roles do not have",
    "s3tables:*": "tables of metadata about a bucket",
    "secretsmanager:RemoveRegionsFromReplication": "secrets in several regions",
    "secretsmanager:ReplicateSecretToRegions": "secrets in several regions",
    "sns:PutDataProtectionPolicy": "masking in a topic",
    "wafv2:GetPermissionPolicy": "a rule group of another account",
    "wafv2:PutPermissionPolicy": "a rule group of another account",
}


@cache
def schema(kind: str) -> dict[str, Any]:
    """AWS's schema of a type."""
    provider = json.loads((SCHEMAS / f"providers/{REGION}.json").read_text(encoding="utf-8"))
    found: dict[str, Any] = json.loads((SCHEMAS / f"resources/{provider[kind]}.json").read_text(encoding="utf-8"))
    return found


def calls_of(kind: str) -> set[str]:
    """CloudFormation's calls for a resource of a type over its lifetime."""
    handlers = schema(WITHOUT_HANDLERS.get(kind, kind))["handlers"]
    return {
        action
        for step in ("create", "read", "update", "delete")
        for action in handlers.get(step, {}).get("permissions", [])
    }


def actions(statement: dict[str, Any]) -> list[str]:
    found = statement["Action"]
    return [found] if isinstance(found, str) else found


def resources_of(statement: dict[str, Any]) -> list[str]:
    found = statement["Resource"]
    return [found] if isinstance(found, str) else found


def allowed(action: str) -> bool:
    # IAM compares actions without case.
    return any(
        fnmatchcase(action.lower(), pattern.lower()) for statement in STATEMENTS for pattern in actions(statement)
    )


def not_needed(action: str) -> bool:
    return any(fnmatchcase(action, pattern) for pattern in NOT_NEEDED)


@pytest.fixture(scope="session")
def types(service: Resources) -> set[str]:
    """What a deployment creates with any parameters: the transform keeps conditional resources."""
    return {resource["Type"] for resource in service.by_id.values()} | {NESTED} | OF_SAM | OF_A_DOMAIN


def test_every_type_has_the_actions_that_cloudformation_needs_in_its_life(types: set[str]) -> None:
    assert len(types) > 25
    missing = {
        kind: lacking
        for kind in types
        if (lacking := sorted(action for action in calls_of(kind) if not (allowed(action) or not_needed(action))))
    }
    assert missing == {}


def test_no_type_is_taken_for_one_that_needs_nothing(types: set[str]) -> None:
    assert {kind for kind in types if not calls_of(kind)} == set()


def test_what_is_said_not_to_be_needed_is_listed_by_a_schema_and_not_allowed(types: set[str]) -> None:
    listed = {action for kind in types for action in calls_of(kind)}
    for pattern in NOT_NEEDED:
        assert any(fnmatchcase(action, pattern) for action in listed), pattern
    # Nothing is in both: `kms:GetKey*` must not allow an action listed as not needed.
    assert [action for action in listed if not_needed(action) and allowed(action)] == []


def test_no_action_is_allowed_that_nothing_needs(types: set[str]) -> None:
    listed = {action for kind in types for action in calls_of(kind)}
    by_hand = {
        "cloudformation:": "sam deploy",
        "servicequotas:": "docs/deploying.md asks for quotas",
        "lambda:GetAccountSettings": "docs/deploying.md looks at the quota",
        "cloudwatch:SetAlarmState": "docs/deploying.md tries an alarm out",
        "secretsmanager:PutSecretValue": "docs/deploying.md fills the secrets",
        "secretsmanager:RestoreSecret": "a secret that a teardown deleted, within its 30 days",
        "iam:CreateServiceLinkedRole": "API Gateway's own role, made with an account's first domain name",
    }
    for statement in STATEMENTS:
        for pattern in actions(statement):
            assert pattern.startswith(tuple(by_hand)) or any(
                fnmatchcase(action.lower(), pattern.lower()) for action in listed
            ), pattern


def test_whole_services_are_allowed_only_where_the_resources_are_this_services(types: set[str]) -> None:
    whole = {pattern for statement in STATEMENTS for pattern in actions(statement) if pattern.endswith(":*")}
    assert whole == {"cloudformation:*", "s3:*", "codedeploy:*", "apigateway:*"}
    assert types  # each of these is in the template


def test_what_has_no_name_is_changed_through_cloudformation_alone() -> None:
    changing = ("Create", "Delete", "Put", "Update", "Set", "Tag", "Untag", "Schedule", "Change", "*", "POST", "PATCH")
    for statement in STATEMENTS:
        if resources_of(statement) != ["*"]:
            continue
        through = statement.get("Condition", {}).get("ForAnyValue:StringEquals", {}).get("aws:CalledVia")
        if through != "cloudformation.amazonaws.com":
            for action in actions(statement):
                assert not action.partition(":")[2].startswith(changing), action


def test_a_role_is_passed_to_the_services_that_the_template_gives_one_and_to_no_other(service: Resources) -> None:
    trusted = {
        principal
        for role in service.of_type("AWS::IAM::Role").values()
        for statement in role["AssumeRolePolicyDocument"]["Statement"]
        for principal in _listed(statement["Principal"]["Service"])
    }
    (passing,) = (statement for statement in STATEMENTS if "iam:PassRole" in actions(statement))
    assert set(passing["Condition"]["StringEquals"]["iam:PassedToService"]) == trusted


def test_every_name_that_the_template_chooses_is_one_of_those_that_the_policy_names(service: Resources) -> None:
    named = list(_names(service))
    assert len(named) > 30
    of_logs = [pattern.split(":log-group:")[1] for pattern in _all_resources() if ":log-group:" in pattern]
    for name in named:
        assert name.startswith("payments-") or any(fnmatchcase(name, pattern) for pattern in of_logs), name


def test_a_deployment_manages_the_operators_policies_and_not_its_own(service: Resources) -> None:
    (managing,) = (statement for statement in STATEMENTS if "iam:CreatePolicyVersion" in actions(statement))
    # CloudFormation names a policy after the stack and its logical id.
    made = [f"payments-staging-{name}-AB12" for name in service.of_type("AWS::IAM::ManagedPolicy")]
    assert len(made) == 2
    for name in (*made, "payments-deployment"):
        allowed = fnmatchcase(f"arn:aws:iam::123456789012:policy/{name}", managing["Resource"])
        assert allowed == (name in made), name


def test_a_secret_is_named_after_its_logical_id(service: Resources) -> None:
    # Without a Name CloudFormation uses the logical id and a random suffix, not the stack's name.
    secrets = service.of_type("AWS::SecretsManager::Secret")
    assert not any("Name" in secret for secret in secrets.values())
    patterns = {pattern.rpartition(":")[2] for pattern in _all_resources() if ":secret:" in pattern}
    # As for all other types, in case that changes.
    assert patterns == {f"{name}-*" for name in secrets} | {"payments-*"}


def test_it_is_a_managed_policy_that_iam_takes() -> None:
    # IAM and STS quotas: 6,144 characters without white space.
    assert len(json.dumps(POLICY, separators=(",", ":"))) <= 6_144
    ids = [statement["Sid"] for statement in STATEMENTS]
    assert len(ids) == len(set(ids))
    assert all(name.isalnum() for name in ids)
    assert all(statement["Effect"] == "Allow" for statement in STATEMENTS)


def _all_resources() -> list[str]:
    return [resource for statement in STATEMENTS for resource in resources_of(statement)]


def _listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def _names(service: Resources) -> Iterator[str]:
    """The explicit names of resources, not those that CloudFormation generates."""
    properties = {"AlarmName", "DashboardName", "FunctionName", "LayerName", "LogGroupName", "QueueName", "ArchiveName"}
    kinds = ("Alarm", "Dashboard", "Function", "LayerVersion", "LogGroup", "Queue", "Archive")
    for resource in service.by_id.values():
        if resource["Type"].endswith(kinds):
            for name in properties & resource["Properties"].keys():
                yield text(resource["Properties"][name])
