"""What the deployed functions printed and stored until now, by the earlier end-to-end tests too.

The local cloud's function log has every line printed since its start. It is searched once more at the end
(tests/conftest.py).
"""

import json
from typing import TYPE_CHECKING, Any

import pytest
from boto3.dynamodb.types import TypeDeserializer

from sandbox import development
from tests.e2e.platform_client import Platform, eventually
from tests.secrecy.printed import leaks_of_functions, printed_by_functions
from tests.secrecy.words import found

if TYPE_CHECKING:
    from sandbox.cloud.service import LocalService


@pytest.fixture
def played(local_service: "LocalService") -> "LocalService":
    """The service after one more payment, so that there is something to search if this file runs alone."""
    platform = Platform(local_service)
    order_id = platform.create_order().json()["order_id"]
    checkout = platform.pay(order_id).json()
    assert platform.verify(checkout).status_code == 200
    platform.call("POST", "verify/", json={**checkout, "razorpay_signature": "0" * 64})
    eventually(lambda: platform.call("GET", f"{order_id}/"), lambda answer: answer.json()["confirmed"])
    return local_service


def test_no_secret_is_in_what_the_functions_printed(played: "LocalService") -> None:
    documents = [json.loads(line) for line in printed_by_functions(played) if line.startswith("{")]
    assert {document.get("service") for document in documents} >= {"create_order", "verify", "webhook"}
    assert any("_aws" in document for document in documents), "no metric was printed"
    assert leaks_of_functions(played) == {}, "what, and in which line of theirs"


def test_no_secret_is_in_the_table(played: "LocalService") -> None:
    items: list[dict[str, Any]] = []
    for page in played.cloud.client("dynamodb").get_paginator("scan").paginate(TableName=played.endpoints["table"]):
        items += page["Items"]
    assert items
    plain = TypeDeserializer().deserialize
    leaks = {what for item in items for what in found(json.dumps({k: plain(v) for k, v in item.items()}, default=str))}
    assert leaks == set()


def test_what_is_looked_for_was_there_to_leak(played: "LocalService") -> None:
    """The functions have the very secrets that are searched for."""
    client = played.cloud.client("secretsmanager")
    held = [
        json.loads(client.get_secret_value(SecretId=played.outputs[name])["SecretString"])
        for name in ("ApiKeysSecretArn", "WebhookSecretArn", "JwtSecretArn")
    ]
    values = {value for secret in held for value in secret.values()}
    assert {development.RAZORPAY_KEY_SECRET, development.RAZORPAY_WEBHOOK_SECRET, development.JWT_SECRET} <= values
