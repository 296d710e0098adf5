"""The command line in front of the real functions, with a table in memory and the stand-in for Razorpay."""

import io
import json
import re
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.awsrequest import AWSPreparedRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from click.testing import CliRunner, Result

from ops.__main__ import ops
from ops.cloud import Cloud
from payments.wiring.boundary import RunFailed
from sandbox import events
from tests.handlers.cloud import TABLE, admin
from tests.handlers.service import invoke
from tests.runbook.conftest import counter  # noqa: F401 - a fixture
from tests.runbook.counter import Counter

ARN = "arn:aws:sts::123456789012:assumed-role/PaymentsOperator/asha"
WHY = ("--cause", "agreed_with_client", "--ticket", "OPS-7")
API = "https://abcdefghij.execute-api.ap-south-1.amazonaws.com/test/"
RECONCILE = "arn:aws:lambda:ap-south-1:123456789012:function:payments-test-reconcile:live"


@dataclass
class Account:
    """An AWS account with one stage, and credentials that may do what `allowed` says."""

    counter: Counter
    arn: str = ARN
    denied: set[str] = field(default_factory=set)
    """The operations that the credentials may not call."""
    commands: list[dict[str, Any]] = field(default_factory=list)
    """What reconcile was asked to do."""
    refunds: list[dict[str, Any]] = field(default_factory=list)
    """The bodies of requests for refunds."""
    region_name: str | None = None

    def client(self, service: str, **_: Any) -> Any:
        if service == "dynamodb":
            return _Watched(admin("dynamodb"), self)
        return {"lambda": _Lambda, "sts": _Identity, "cloudformation": _Stacks}[service](self)

    def get_credentials(self) -> Credentials:
        return Credentials("AKIDEXAMPLE", "a-secret-of-nobody")

    def check(self, operation: str) -> None:
        if operation in self.denied:
            raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "not authorized"}}, operation)


class _Watched:
    """A client whose operations may be denied."""

    def __init__(self, client: Any, account: Account) -> None:
        self._client, self._account = client, account

    def __getattr__(self, name: str) -> Callable[..., Any]:
        operation = "".join(word.title() for word in name.split("_"))

        def call(**parameters: Any) -> Any:
            self._account.check(operation)
            return getattr(self._client, name)(**parameters)

        return call


class _Lambda:
    def __init__(self, account: Account) -> None:
        self._account = account

    def invoke(self, *, FunctionName: str, Payload: bytes) -> dict[str, Any]:  # noqa: N803 - boto3's own names
        self._account.check("Invoke")
        assert FunctionName == RECONCILE
        self._account.commands.append(json.loads(Payload))
        answer: dict[str, Any] = {"ResponseMetadata": {"RequestId": "a-request-id"}}
        try:
            # The function's log is not the command's output.
            with redirect_stdout(io.StringIO()):
                report = self._account.counter.reconcile(**json.loads(Payload))
        except RunFailed as failure:
            report = {"errorMessage": str(failure), "errorType": "RunFailed"}
            answer["FunctionError"] = "Unhandled"
        return {**answer, "Payload": io.BytesIO(json.dumps(report).encode())}


class _Identity:
    def __init__(self, account: Account) -> None:
        self._account = account

    def get_caller_identity(self) -> dict[str, str]:
        return {"Arn": self._account.arn, "Account": "123456789012"}


class _Stacks:
    def __init__(self, account: Account) -> None:
        self._account = account

    def describe_stacks(self, *, StackName: str) -> dict[str, Any]:  # noqa: N803 - boto3's own names
        self._account.check("DescribeStacks")
        if StackName != "payments-test":
            message = f"Stack with id {StackName} does not exist"
            raise ClientError({"Error": {"Code": "ValidationError", "Message": message}}, "DescribeStacks")
        outputs = {"TableName": TABLE, "ReconcileAlias": RECONCILE, "ApiUrl": API}
        return {"Stacks": [{"Outputs": [{"OutputKey": key, "OutputValue": value} for key, value in outputs.items()]}]}


class _Api:
    """API Gateway in front of the refund function: it checks the signature, and says whose it is."""

    def __init__(self, account: Account) -> None:
        self._account = account

    def send(self, request: AWSPreparedRequest) -> SimpleNamespace:
        found = re.fullmatch(rf"{re.escape(API)}api/payments/(order_\w+)/refunds/", request.url)
        assert found is not None
        assert "/ap-south-1/execute-api/aws4_request" in request.headers["Authorization"]
        if "execute-api" in self._account.denied:
            forbidden = {"detail": "This request is not allowed.", "code": "forbidden"}
            return SimpleNamespace(status_code=403, content=json.dumps(forbidden).encode())
        assert isinstance(request.body, str | bytes)
        body, key = json.loads(request.body), request.headers["Idempotency-Key"]
        self._account.refunds.append(body)
        with redirect_stdout(io.StringIO()):
            answer = invoke(events.from_service(found[1], body, key=key, caller=self._account.arn))
        return SimpleNamespace(status_code=answer.status, content=json.dumps(answer.body).encode())


@dataclass
class Terminal:
    """An operator's terminal."""

    account: Account

    def type(self, *words: str, answer: str | None = None, stage: str = "test") -> Result:
        """Runs a command; `answer` is what the operator types when asked."""
        return CliRunner().invoke(ops, [*words, "--stage", stage], input=answer, env={"COLUMNS": "250"})

    def json(self, *words: str) -> dict[str, Any]:
        """Runs a command for a script, without a question; returns what it printed."""
        result = self.type(*words, "--json")
        assert result.exit_code == 0, result.output
        document: dict[str, Any] = json.loads(result.stdout)
        return document

    def error(self, *words: str, answer: str | None = None, stage: str = "test") -> str:
        """Runs a command that must fail; returns what it said."""
        result = self.type(*words, answer=answer, stage=stage)
        assert result.exit_code == 1, result.output
        assert "Traceback" not in result.output
        return result.output


@pytest.fixture
def account(counter: Counter) -> Account:  # noqa: F811 - the fixture
    return Account(counter)


@pytest.fixture
def terminal(account: Account, monkeypatch: pytest.MonkeyPatch) -> Terminal:
    def of(stage: str, **_: Any) -> Cloud:
        return Cloud(stage=stage, session=account)  # type: ignore[arg-type]  # as much of a session as is needed

    monkeypatch.setattr(Cloud, "of", of)
    monkeypatch.setattr("ops.cloud.URLLib3Session", lambda **_: _Api(account))
    return Terminal(account)
