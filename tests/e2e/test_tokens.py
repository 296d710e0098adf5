"""Tokens of a published key set on the deployed template: the layer with cryptography is built and attached."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from sandbox import events
from sandbox.cloud.build import architecture, build
from sandbox.cloud.cloud import Cloud, DeploymentError
from sandbox.cloud.service import LocalService
from tests.key_server import KeyServer, answers, publishes
from tests.signers import claims, signer

STACK = "payments-tokens"
# Not the stage `local`, so that its documented secrets would be refused here.
STAGE = "tokens"
API_KEYS = {"RAZORPAY_KEY_ID": "rzp_test_Zq81Lm20Xc53Vb", "RAZORPAY_KEY_SECRET": "mX7pQ2rT9vWb4Kc8"}
UNKNOWN_ORDER = "order_Zz000000000000"


@pytest.fixture(scope="module")
def key_server() -> Iterator[KeyServer]:
    with KeyServer(publishes(signer("RS256").jwk())) as server:
        yield server


def parameters(**changes: str) -> dict[str, str]:
    return {
        "Stage": STAGE,
        "CorsOrigin": "*",
        "Architecture": architecture(),
        "DeletionProtection": "false",
        "GradualDeployment": "false",
        "JwtAlgorithm": "RS256",
        **changes,
    }


@pytest.fixture(scope="module")
def outputs(local_service: LocalService, key_server: KeyServer) -> dict[str, str]:
    """A second stack of the same template."""
    outputs = local_service.cloud.deploy(build(), STACK, parameters(JwtJwksUrl=key_server.url))
    local_service.cloud.put_secret(outputs["ApiKeysSecretArn"], API_KEYS)
    return outputs


def read_payment(cloud: Cloud, outputs: dict[str, str], token: str) -> tuple[int, str]:
    """Status and code of a GET."""
    event = events.reading(UNKNOWN_ORDER)
    event["headers"]["authorization"] = f"Bearer {token}"
    answer: Any = cloud.client("lambda").invoke(
        FunctionName=outputs["VerifyFunctionName"], Qualifier="live", Payload=json.dumps(event).encode()
    )
    returned: Any = json.loads(answer["Payload"].read())
    assert "FunctionError" not in answer, returned
    return returned["statusCode"], json.loads(returned["body"])["code"]


def test_a_token_of_a_published_key_is_taken_and_others_are_not(
    local_service: LocalService, outputs: dict[str, str], key_server: KeyServer
) -> None:
    cloud = local_service.cloud
    known = signer("RS256")

    # The order does not exist, but the caller is authenticated.
    assert read_payment(cloud, outputs, known.token(claims())) == (404, "order_not_found")
    assert read_payment(cloud, outputs, signer("RS256", 2).token(claims())) == (401, "unauthenticated")
    assert read_payment(cloud, outputs, known.token(claims(), {"kid": "key-2"})) == (401, "unauthenticated")
    assert read_payment(cloud, outputs, signer("HS256").token(claims())) == (401, "unauthenticated")
    assert key_server.asked, "the keys came from there"


def test_the_layer_with_cryptography_is_where_tokens_are_and_nowhere_else(
    local_service: LocalService, outputs: dict[str, str]
) -> None:
    def layers(function_name: str) -> list[str]:
        described = local_service.cloud.client("lambda").get_function_configuration(FunctionName=function_name)
        # arn:aws:lambda:<region>:<account>:layer:<name>:<version>
        return [layer["Arn"].split(":")[6] for layer in described.get("Layers", [])]

    both = [f"payments-{STAGE}", f"payments-{STAGE}-cryptography"]
    assert layers(outputs["CreateOrderFunctionName"]) == layers(outputs["VerifyFunctionName"]) == both
    assert layers(outputs["WebhookFunctionName"]) == layers(outputs["ReconcileFunctionName"]) == both[:1]
    # The service itself, whose tokens use HS256, does not need it.
    assert layers(local_service.outputs["VerifyFunctionName"]) == ["payments-local"]


def test_there_is_no_secret_of_tokens_where_keys_are_published(
    local_service: LocalService, outputs: dict[str, str]
) -> None:
    assert "JwtSecretArn" not in outputs
    assert "JwtSecretArn" in local_service.outputs


def test_a_token_of_a_key_that_cannot_be_looked_up_may_be_sent_again(
    local_service: LocalService, key_server: KeyServer
) -> None:
    # A new URL means a new version of the function, which knows no key yet.
    key_server.answer = answers(503, b"")
    outputs = local_service.cloud.deploy(build(), STACK, parameters(JwtJwksUrl=key_server.url + "?again"))
    try:
        token = signer("RS256").token(claims())
        assert read_payment(local_service.cloud, outputs, token) == (503, "temporarily_unavailable")
    finally:
        key_server.answer = publishes(signer("RS256").jwk())


def test_an_algorithm_that_nobody_knows_is_not_deployed(local_service: LocalService) -> None:
    with pytest.raises(DeploymentError):
        local_service.cloud.deploy(build(), "payments-none", parameters(JwtAlgorithm="none"))
