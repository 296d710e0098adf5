"""Refunds through the deployed template: the emulator checks AWS signatures and IAM policies, as API Gateway does."""

import json
import secrets
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
import requests
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from sandbox import development
from sandbox.cloud.service import LocalService
from tests.docs.test_refund_callers import block
from tests.e2e.platform_client import Platform, eventually


@pytest.fixture
def platform(local_service: LocalService) -> Platform:
    return Platform(local_service)


@pytest.fixture
def paid(platform: Platform) -> str:
    """An order of 499.50 that is paid and recorded."""
    order_id: str = platform.create_order().json()["order_id"]
    platform.pay(order_id)
    platform.wait_for_payment(order_id, status="paid", confirmed=True)
    return order_id


type Grant = Callable[[dict[str, Any] | None], Credentials]


@pytest.fixture(scope="module")
def grant(local_service: LocalService) -> Iterator[Grant]:
    """Makes a user with this policy, or with none, and returns its credentials."""
    iam: Any = _client(local_service, "iam")
    made: list[tuple[str, str]] = []

    def make(policy: dict[str, Any] | None) -> Credentials:
        name = f"service-{secrets.token_hex(4)}"
        iam.create_user(UserName=name)
        key = iam.create_access_key(UserName=name)["AccessKey"]
        made.append((name, key["AccessKeyId"]))
        if policy is not None:
            iam.put_user_policy(UserName=name, PolicyName="refunds", PolicyDocument=json.dumps(policy))
        return Credentials(key["AccessKeyId"], key["SecretAccessKey"])

    yield make
    for name, key_id in made:
        for policy in iam.list_user_policies(UserName=name)["PolicyNames"]:
            iam.delete_user_policy(UserName=name, PolicyName=policy)
        iam.delete_access_key(UserName=name, AccessKeyId=key_id)
        iam.delete_user(UserName=name)


@pytest.fixture(scope="module")
def job_service(local_service: LocalService, grant: Grant) -> "Caller":
    """A service with the policy of docs/deploying.md."""
    return Caller(local_service, grant(policy_of_the_page(local_service)))


def policy_of_the_page(service: LocalService, resource: str | None = None) -> dict[str, Any]:
    """The policy that docs/deploying.md shows, for this stack or for another resource."""
    policy: dict[str, Any] = json.loads(block("json"))
    arn = service.outputs["RefundsArn"]
    policy["Statement"][0]["Resource"] = [arn, f"{arn}/"] if resource is None else [resource]
    return policy


def _client(service: LocalService, name: Any) -> Any:
    endpoints = service.endpoints
    return boto3.client(
        name,
        endpoint_url=endpoints["aws"],
        region_name=endpoints["region"],
        aws_access_key_id=endpoints["access_key_id"],
        aws_secret_access_key=endpoints["secret_access_key"],
    )


@dataclass(frozen=True)
class Caller:
    """A program that signs its requests, as the code in docs/deploying.md does."""

    service: LocalService
    credentials: Credentials

    def signed(
        self, order_id: str, document: dict[str, Any], *, key: str, at: datetime | None = None
    ) -> requests.PreparedRequest:
        """A request that is signed, now or at another time."""
        endpoints = self.service.endpoints
        url = f"{endpoints['api']}/api/payments/{order_id}/refunds/"
        headers = {"Content-Type": "application/json", "Idempotency-Key": key}
        unsigned = AWSRequest("POST", url, headers=headers, data=json.dumps(document))
        auth = SigV4Auth(self.credentials, "execute-api", endpoints["region"])
        if at is None:
            auth.add_auth(unsigned)
        else:
            # As `add_auth` does, at another time.
            unsigned.context["timestamp"] = at.strftime("%Y%m%dT%H%M%SZ")
            auth._modify_request_before_signing(unsigned)  # type: ignore[attr-defined]  # noqa: SLF001 - as above
            signature = auth.signature(auth.string_to_sign(unsigned, auth.canonical_request(unsigned)), unsigned)
            auth._inject_signature_to_request(unsigned, signature)  # type: ignore[attr-defined]  # noqa: SLF001 - as above
        return requests.Request("POST", url, data=unsigned.body, headers=dict(unsigned.headers)).prepare()

    def refund(self, order_id: str, document: dict[str, Any], *, key: str) -> requests.Response:
        return send(self.signed(order_id, document, key=key))


def send(request: requests.PreparedRequest) -> requests.Response:
    with requests.Session() as session:
        session.trust_env = False
        return session.send(request, timeout=30)


def by_token(
    service: LocalService, order_id: str, token: str | None, key: str = "a-key-of-somebody"
) -> requests.Response:
    headers = {"Idempotency-Key": key} | ({} if token is None else {"Authorization": f"Bearer {token}"})
    url = f"{service.endpoints['api']}/api/payments/{order_id}/refunds/by-token/"
    return requests.post(url, json={}, headers=headers, timeout=30)


def answered(answer: requests.Response) -> tuple[int, str]:
    return answer.status_code, answer.json().get("code", "")


def test_a_service_refunds_a_part_and_the_rest_and_subscribers_are_told(
    platform: Platform, job_service: Caller, paid: str
) -> None:
    platform.wait_for_inbox("notification", paid, "payment.paid")
    part = job_service.refund(paid, {"amount": "100.00", "reason": "goodwill"}, key="row-1-of-that-order")
    assert (part.status_code, part.json()["amount"], part.json()["status"]) == (201, 10000, "processed")
    platform.wait_for_payment(paid, status="paid", amount_refunded=10000)
    again = job_service.refund(paid, {"amount": "100.00", "reason": "goodwill"}, key="row-1-of-that-order")
    assert (again.status_code, again.json()) == (200, part.json())
    rest = job_service.refund(paid, {}, key="row-2-of-that-order")
    assert (rest.status_code, rest.json()["amount"]) == (201, 39950)
    platform.wait_for_payment(paid, status="refunded", amount_refunded=49950)
    platform.wait_for_inbox("notification", paid, "payment.paid", "payment.refunded")
    assert answered(job_service.refund(paid, {}, key="row-3-of-that-order")) == (
        409,
        "nothing_to_refund",
    )


def test_ten_clicks_at_once_make_one_refund(platform: Platform, job_service: Caller, paid: str) -> None:
    def click(_: int) -> requests.Response:
        return job_service.refund(paid, {"amount": "100.00"}, key="one-key-for-ten-clicks")

    with ThreadPoolExecutor(10) as pool:
        answers = [*pool.map(click, range(10))]
    assert {answer.status_code for answer in answers} <= {200, 201, 202, 503}
    assert [answer.status_code for answer in answers].count(201) == 1
    eventually(lambda: refund_of(platform, paid), lambda amounts: amounts == [10000])


def refund_of(platform: Platform, order_id: str) -> list[int]:
    """The amounts that were refunded, by the record."""
    return [int(refund["amount"]) for refund in platform.record(order_id).get("refunds", {}).values()]


def test_a_request_without_a_signature_gets_the_answer_of_an_unknown_route(
    local_service: LocalService, paid: str
) -> None:
    url = f"{local_service.endpoints['api']}/api/payments/{paid}/refunds/"
    headers = {"Idempotency-Key": "a-key-of-somebody"}
    assert answered(requests.post(url, json={}, headers=headers, timeout=30)) == (404, "not_found")


@pytest.mark.parametrize("scope", [None, "payments:refund"])
def test_a_token_does_not_open_the_route_for_signatures(
    local_service: LocalService, paid: str, scope: str | None
) -> None:
    url = f"{local_service.endpoints['api']}/api/payments/{paid}/refunds/"
    bearer = development.token(42, scope=scope)
    headers = {"Idempotency-Key": "a-key-of-somebody", "Authorization": f"Bearer {bearer}"}
    answer = requests.post(url, json={}, headers=headers, timeout=30)
    assert answer.status_code in {403, 404}, answer.text


def test_a_signature_that_does_not_fit_is_refused(
    local_service: LocalService, platform: Platform, job_service: Caller, paid: str
) -> None:
    genuine = job_service.signed(paid, {"amount": "1.00"}, key="a-key-of-somebody")
    forged = genuine.copy()
    forged.headers["Authorization"] = genuine.headers["Authorization"][:-8] + "0" * 8
    other_body = genuine.copy()
    other_body.prepare_body(json.dumps({"amount": "499.50"}), None)
    other_key = genuine.copy()
    other_key.headers["Idempotency-Key"] = "another-key-of-somebody"
    wrong = Credentials(job_service.credentials.access_key, "not-the-secret-of-that-key")
    unknown = Credentials("AKIAIOSFODNN7EXAMPLE", job_service.credentials.secret_key)
    stale = datetime.now(UTC) - timedelta(hours=1)
    for name, attack in {
        "another signature": forged,
        "another body": other_body,
        "another key": other_key,
        "a wrong secret": Caller(local_service, wrong).signed(paid, {}, key="a-key-of-somebody"),
        "an hour old": job_service.signed(paid, {}, key="a-key-of-somebody", at=stale),
    }.items():
        assert answered(send(attack)) == (403, "forbidden"), name
    # API Gateway has no response type of its own for it (UnrecognizedClientException).
    stranger = Caller(local_service, unknown).refund(paid, {}, key="a-key-of-somebody")
    assert answered(stranger) == (404, "not_found")
    assert refund_of(platform, paid) == []
    assert send(genuine).status_code == 201


def test_a_user_whom_no_policy_allows_is_refused(
    local_service: LocalService, platform: Platform, grant: Grant, paid: str
) -> None:
    arn = local_service.outputs["RefundsArn"]
    for policy in (
        None,
        policy_of_the_page(local_service, arn.replace("/POST/", "/GET/")),
        policy_of_the_page(local_service, arn.replace("/refunds", "/verify")),
        policy_of_the_page(local_service, f"{arn}/by-token/"),
    ):
        answer = Caller(local_service, grant(policy)).refund(paid, {}, key="a-key-of-somebody")
        # Its body is the emulator's own here; AWS renders ACCESS_DENIED, whose answer tests/template checks.
        assert answer.status_code == 403, (policy, answer.text)
    assert refund_of(platform, paid) == []


def test_the_route_for_tokens_is_closed_to_everybody(
    local_service: LocalService, platform: Platform, paid: str
) -> None:
    for token in (development.token(42), development.token(43, scope="payments:refund"), "x.y.z", None):
        assert answered(by_token(local_service, paid, token)) == (403, "forbidden")
    assert refund_of(platform, paid) == []
