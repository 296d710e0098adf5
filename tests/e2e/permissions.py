"""Removes a permission from a deployed function, and restores it."""

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import boto3

from sandbox.cloud.service import LocalService


@contextlib.contextmanager
def without_put_events(service: LocalService) -> Iterator[None]:
    """The webhook function without its PutEvents statement."""
    endpoints = service.endpoints
    iam = boto3.client(
        "iam",
        endpoint_url=endpoints["aws"],
        region_name=endpoints["region"],
        aws_access_key_id=endpoints["access_key_id"],
        aws_secret_access_key=endpoints["secret_access_key"],
    )
    function = service.cloud.client("lambda").get_function(FunctionName="payments-local-webhook")
    role = function["Configuration"]["Role"].rpartition("/")[2]
    name, policy = _policy_with(iam, role, "events:PutEvents")
    kept = [statement for statement in policy["Statement"] if statement["Action"] != "events:PutEvents"]
    iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=json.dumps(policy | {"Statement": kept}))
    try:
        yield
    finally:
        iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=json.dumps(policy))


def _policy_with(iam: Any, role: str, action: str) -> tuple[str, dict[str, Any]]:
    for name in iam.list_role_policies(RoleName=role)["PolicyNames"]:
        policy: dict[str, Any] = iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
        if any(statement["Action"] == action for statement in policy["Statement"]):
            return name, policy
    raise AssertionError(f"{role} has no inline policy that allows {action}")
