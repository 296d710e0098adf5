"""How a service asks for a refund, as docs/deploying.md shows it: the code runs, and its signature is right."""

import json
import re
from datetime import UTC, datetime
from typing import Any

import pytest
import requests
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from sandbox.cloud.packages import read_template
from tests.docs.pages import PROJECT, claim

BLOCKS = claim("docs/deploying.md", sections=("Let a service request refunds",), languages=("json", "python"))
ORDER_ID = "order_DESlLckIVRkHWj"
CREDENTIALS = Credentials("AKIDEXAMPLE", "not-a-real-key-of-anybody", "a-session")


def block(language: str) -> str:
    """The section's only block of code in a language."""
    (code,) = (block.text for block in BLOCKS if block.language == language)
    return code


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The request that the page's code sends for a refund of 199.50."""
    kept: dict[str, Any] = {}

    def post(url: str, **named: Any) -> requests.Response:
        kept.update(url=url, **named)
        answer = requests.Response()
        answer.status_code = 201
        return answer

    monkeypatch.setenv("PAYMENTS_API", "https://payments.example.com/")
    for name, value in (
        ("AWS_ACCESS_KEY_ID", CREDENTIALS.access_key),
        ("AWS_SECRET_ACCESS_KEY", CREDENTIALS.secret_key),
        ("AWS_SESSION_TOKEN", CREDENTIALS.token or ""),
        ("AWS_DEFAULT_REGION", "ap-south-1"),
    ):
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(requests, "post", post)
    names: dict[str, Any] = {}
    exec(compile(block("python"), "deploying.md", "exec"), names)  # noqa: S102 - the page's own code
    assert names["refund"](ORDER_ID, "refund-row-4711", {"amount": "199.50"}).status_code == 201
    return kept


def test_the_code_calls_the_route_with_the_key_and_the_body(sent: dict[str, Any]) -> None:
    assert sent["url"] == f"https://payments.example.com/api/payments/{ORDER_ID}/refunds/"
    assert sent["headers"]["Idempotency-Key"] == "refund-row-4711"
    assert json.loads(sent["data"]) == {"amount": "199.50"}
    # The function may take 20 seconds.
    assert sent["timeout"] > 20


def test_the_signature_covers_the_key_and_the_body_and_is_the_one_that_aws_computes(sent: dict[str, Any]) -> None:
    authorization = sent["headers"]["Authorization"]
    scope, signed, signature = re.findall(r"(?:Credential|SignedHeaders|Signature)=([^,\s]+)", authorization)
    assert scope.split("/")[2:] == ["ap-south-1", "execute-api", "aws4_request"]
    assert {"host", "idempotency-key", "x-amz-date", "x-amz-security-token"} <= set(signed.split(";"))
    headers = {name: value for name, value in sent["headers"].items() if name != "Authorization"}
    again = AWSRequest("POST", sent["url"], headers=headers, data=sent["data"])
    again.context["timestamp"] = headers["X-Amz-Date"]
    auth = SigV4Auth(CREDENTIALS, "execute-api", "ap-south-1")
    expected = auth.signature(auth.string_to_sign(again, auth.canonical_request(again)), again)
    assert signature == expected
    moment = datetime.strptime(headers["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    assert abs((datetime.now(UTC) - moment).total_seconds()) < 60


def test_the_policy_allows_the_signed_route_and_no_other() -> None:
    template = read_template(PROJECT / "template.yaml")
    (statement,) = json.loads(block("json"))["Statement"]
    assert (statement["Effect"], statement["Action"]) == ("Allow", "execute-api:Invoke")
    output = template["Outputs"]["RefundsArn"]["Value"]["Fn::Sub"]
    routes = [arn[arn.index("/POST/") :] for arn in statement["Resource"]]
    assert [output[output.index("/POST/") :] + slash for slash in ("", "/")] == routes
    patterns = [re.compile(re.escape(route).replace(r"\*", ".*")) for route in routes]
    for path, allowed in (
        (f"/POST/api/payments/{ORDER_ID}/refunds", True),
        (f"/POST/api/payments/{ORDER_ID}/refunds/", True),
        (f"/POST/api/payments/{ORDER_ID}/refunds/by-token", False),
        (f"/POST/api/payments/{ORDER_ID}/refunds/by-token/", False),
        ("/POST/api/payments/create-order", False),
        (f"/GET/api/payments/{ORDER_ID}", False),
    ):
        assert any(pattern.fullmatch(path) for pattern in patterns) is allowed, path
