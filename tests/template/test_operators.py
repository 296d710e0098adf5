"""What the policies for operators allow: to look, or to look and to give reconcile commands. Nothing else."""

from typing import Any

import pytest

from tests.template.test_service import INDEX, PARTY_INDEXES, TABLE, as_list

REFUNDS = {
    "Fn::Sub": "arn:${AWS::Partition}:execute-api:${AWS::Region}:${AWS::AccountId}:${PaymentsApi}/${Stage}"
    "/POST/api/payments/*/refunds"
}
READS = {"dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:Scan", "dynamodb:DescribeTable"}
LOOKING = [
    ({"cloudformation:DescribeStacks"}, [{"Ref": "AWS::StackId"}]),
    (READS, [TABLE]),
    (
        {"dynamodb:Query"},
        [
            {
                "Fn::If": [
                    "UsesRestoredTable",
                    *([INDEX["Fn::If"][side], *PARTY_INDEXES["Fn::If"][side]] for side in (1, 2)),
                ]
            }
        ],
    ),
]
GRANTED = {
    "OperatorReadPolicy": LOOKING,
    "OperatorFullPolicy": [
        *LOOKING,
        ({"lambda:InvokeFunction"}, [{"Ref": "ReconcileFunctionAliaslive"}]),
        ({"execute-api:Invoke"}, [REFUNDS]),
    ],
}


@pytest.mark.parametrize("name", GRANTED)
def test_an_operator_may_do_what_the_command_line_does_and_nothing_else(service: Any, name: str) -> None:
    policy = service.by_id[name]["Properties"]
    granted = [(set(as_list(s["Action"])), as_list(s["Resource"])) for s in policy["PolicyDocument"]["Statement"]]
    assert granted == GRANTED[name]
    assert {statement["Effect"] for statement in policy["PolicyDocument"]["Statement"]} == {"Allow"}


def test_these_are_all_policies_and_the_stack_attaches_them_to_nobody(service: Any) -> None:
    policies = service.of_type("AWS::IAM::ManagedPolicy")
    assert policies.keys() == GRANTED.keys()
    for name, policy in policies.items():
        assert not policy.keys() & {"Users", "Roles", "Groups", "ManagedPolicyName"}, name


def test_no_operator_writes_to_the_table_publishes_or_reads_a_secret(service: Any) -> None:
    allowed = {
        action
        for policy in service.of_type("AWS::IAM::ManagedPolicy").values()
        for statement in policy["PolicyDocument"]["Statement"]
        for action in as_list(statement["Action"])
    }
    assert not [action for action in allowed if "*" in action]
    assert not [
        action for action in allowed if action.startswith(("secretsmanager:", "events:", "kms:", "iam:", "sqs:"))
    ]
    assert not [action for action in allowed if "Put" in action or "Update" in action or "Delete" in action]


def test_the_outputs_say_what_to_attach(written: dict[str, Any]) -> None:
    assert {name: written["Outputs"][f"{name}Arn"]["Value"] for name in GRANTED} == {
        name: {"Ref": name} for name in GRANTED
    }
