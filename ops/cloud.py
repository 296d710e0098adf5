"""What the command line reaches: a stage on AWS, or the local cloud of `make run`.

It reads the table, and it asks functions to change something. It holds no key of Razorpay's, and has no permission to
write to the table.
"""

import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import boto3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, EndpointConnectionError, NoCredentialsError
from botocore.httpsession import URLLib3Session

from ops.errors import OpsError, Refused
from payments.adapters.table import PaymentsTable
from payments.core.errors import TableUnavailable
from payments.core.operators import role_and_session

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient

LOCAL: Final = "local"
"""The stage that `make run` serves."""
RUN_DIR: Final = Path(__file__).parent.parent / ".run"
_DEFAULT_REGION: Final = "ap-south-1"
_DENIED: Final = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"})
_BAD_REQUEST: Final = 400
_SERVER_ERROR: Final = 500
# The refund function has 19 seconds, and API Gateway 29.
_REFUND_TIMEOUT_S: Final = 30
_HINTS: Final[Mapping[str, str]] = {
    "GatewayUnavailable": "Razorpay does not answer: try again later.",
    "GatewayThrottled": "Razorpay asks us to slow down: try again later.",
    "KeysRefused": "Razorpay does not accept the API keys: see the runbook.",
    "TableUnavailable": "The table does not answer: try again, which is safe.",
    "ContentionError": "The record is changing right now: try again.",
    "BusUnavailable": "What was decided is stored, and the outbox publishes it. Only `republish` must be repeated.",
    "EventsUnpublished": "What was decided is stored, and the outbox publishes it. Only `republish` must be repeated.",
    "NotConfiguredYet": "The stage's secrets have no values yet: see docs/deploying.md.",
}
_STAGE: Final = re.compile(r"[a-z][a-z0-9]{0,15}")
# Longer than reconcile's own 290 seconds. A command that is sent twice does no harm, but a second one hides what became
# of the first.
_RUN: Final = Config(connect_timeout=5, read_timeout=300, retries={"total_max_attempts": 1})
_READ: Final = Config(connect_timeout=5, read_timeout=20, retries={"total_max_attempts": 4, "mode": "standard"})


@contextmanager
def explained() -> Iterator[None]:
    """Call AWS inside the block.

    Raises:
        OpsError: AWS refused or did not answer; the message says what to do.
    """
    try:
        yield
    except NoCredentialsError as error:
        raise OpsError("There are no AWS credentials: sign in, and name the profile with --profile.") from error
    except EndpointConnectionError as error:
        raise OpsError(f"{error} For the local cloud, start `make run`.") from error
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        if code in _DENIED:
            raise OpsError(f"The credentials may not do that ({error.operation_name}: {code}).") from error
        raise OpsError(str(error)) from error
    except BotoCoreError as error:
        raise OpsError(str(error)) from error
    except TableUnavailable as error:
        raise OpsError("The table does not answer: try again.") from error


@dataclass(frozen=True, slots=True)
class Operator:
    """Who runs the command, as AWS names the credentials in use."""

    role: str
    """The role that was assumed; `user` or `root` if none was."""
    session: str
    """The session's name, or the user's."""
    account: str

    @classmethod
    def named(cls, arn: str, account: str) -> "Operator":
        """Return the operator in the ARN of an AWS identity.

        Raises:
            OpsError: it is none that can run commands.
        """
        who = role_and_session(arn)
        if who is None:
            raise OpsError(f"The credentials belong to {arn}, which is neither a role's session nor a user.")
        return cls(role=who[0], session=who[1], account=account)


@dataclass(frozen=True)
class Cloud:
    """One stage and the credentials to reach it."""

    stage: str
    session: boto3.Session
    endpoint: str | None = None
    """Where every service of the local cloud answers; None on AWS."""
    known_outputs: Mapping[str, str] | None = field(default=None, repr=False)
    """The stack's outputs, if they need not be asked for."""
    api: str | None = None
    """The address of the local API; None on AWS, where an output has it."""

    @classmethod
    def of(cls, stage: str, *, profile: str | None, region: str | None, run_dir: Path = RUN_DIR) -> "Cloud":
        """Return the stage on AWS, or the local cloud if the stage is `local`.

        Raises:
            OpsError: there is no such profile, or the local cloud is not running.
        """
        if not _STAGE.fullmatch(stage):
            raise OpsError(f"{stage!r} is not the name of a stage: --stage takes one such as staging, or {LOCAL}.")
        if stage == LOCAL:
            return cls._local(run_dir)
        try:
            session = boto3.Session(profile_name=profile, region_name=region)
        except BotoCoreError as error:
            raise OpsError(f"{error}. Name one of `aws configure list-profiles` with --profile.") from error
        return cls(stage=stage, session=session)

    @classmethod
    def _local(cls, run_dir: Path) -> "Cloud":
        file = run_dir / "endpoints.json"
        # The terminal's settings are for AWS: a profile that is missing here would stop it, and a proxy would look for
        # 127.0.0.1 on its own machine.
        for name in ("AWS_PROFILE", "AWS_DEFAULT_PROFILE"):
            os.environ.pop(name, None)
        os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1"
        try:
            endpoints = json.loads(file.read_text())
            session = boto3.Session(
                aws_access_key_id=endpoints["access_key_id"],
                aws_secret_access_key=endpoints["secret_access_key"],
                region_name=endpoints["region"],
            )
            outputs = {**endpoints["outputs"], "TableName": endpoints["table"]}
            return cls(LOCAL, session, endpoint=endpoints["aws"], known_outputs=outputs, api=endpoints["api"])
        except FileNotFoundError as error:
            raise OpsError("The local cloud is not running: start it with `make run` in another terminal.") from error
        except (ValueError, KeyError, TypeError) as error:
            raise OpsError(f"{file} is damaged: stop `make run` and start it again.") from error

    @property
    def region(self) -> str:
        """The region of the stage."""
        return self.session.region_name or _DEFAULT_REGION

    def client(self, service: Any, config: Config = _READ) -> Any:  # noqa: ANN401 - the stubs know each service by its literal name
        """Return a client of one of the stage's services."""
        return self.session.client(service, region_name=self.region, endpoint_url=self.endpoint, config=config)

    # --- reading ---

    @cached_property
    def outputs(self) -> Mapping[str, str]:
        """The outputs of the stage's stack.

        Raises:
            OpsError: there is no such stack here, or the credentials may not see it.
        """
        if self.known_outputs is not None:
            return self.known_outputs
        with explained():
            stacks = self.client("cloudformation").describe_stacks(StackName=f"payments-{self.stage}")["Stacks"]
        return {output["OutputKey"]: output["OutputValue"] for output in stacks[0].get("Outputs", ())}

    def output(self, name: str) -> str:
        """Return one of them.

        Raises:
            OpsError: the stack has no such output.
        """
        if name not in self.outputs:
            raise OpsError(f"payments-{self.stage} has no output {name}: is it of an older version? Deploy this one.")
        return self.outputs[name]

    @cached_property
    def dynamodb(self) -> "DynamoDBClient":
        """The client of the table."""
        client: DynamoDBClient = self.client("dynamodb")
        return client

    @cached_property
    def table(self) -> PaymentsTable:
        """The payments table. Only its methods that read may be called; the credentials cannot write."""
        return PaymentsTable(self.dynamodb, self.output("TableName"))

    @cached_property
    def operator(self) -> Operator:
        """Who runs the command."""
        with explained():
            identity = self.client("sts").get_caller_identity()
        return Operator.named(identity["Arn"], identity["Account"])

    # --- asking functions ---

    def run(self, command: Mapping[str, Any]) -> dict[str, Any]:
        """Let reconcile run a command (`functions/reconcile`), and return its report.

        Raises:
            Refused: the command is not possible; the message says why.
            OpsError: it failed, or the credentials may not run it.
        """
        with explained():
            answer = self.client("lambda", _RUN).invoke(
                FunctionName=self.output("ReconcileAlias"), Payload=json.dumps(command).encode()
            )
            report: dict[str, Any] = json.loads(answer["Payload"].read())
        if answer.get("FunctionError"):
            error = str(report.get("errorMessage", ""))
            hint = _HINTS.get(error, "Its log has the reason.")
            request = answer["ResponseMetadata"].get("RequestId", "unknown")
            raise OpsError(f"reconcile failed: {error or 'it said nothing'}. {hint} Request id: {request}.")
        if "refused" in report:
            raise Refused(f"Refused: {report['why']}")
        return report

    def refund(self, order_id: str, body: Mapping[str, Any], key: str) -> dict[str, Any]:
        """Request a refund from the refund function, with an AWS signature (docs/api.md), and return its answer.

        Args:
            order_id: the order.
            body: as the API takes it.
            key: the idempotency key. The same request with the same key gives the same refund.

        Raises:
            Refused: nothing was refunded; the message says why.
            OpsError: it failed, or the credentials may not do it.
        """
        base = f"{self.api}/" if self.api is not None else self.output("ApiUrl")
        headers = {"Content-Type": "application/json", "Idempotency-Key": key}
        request = AWSRequest("POST", f"{base}api/payments/{order_id}/refunds/", headers, json.dumps(body))
        with explained():
            credentials = self.session.get_credentials()
            if credentials is None:
                raise NoCredentialsError
            SigV4Auth(credentials.get_frozen_credentials(), "execute-api", self.region).add_auth(request)
            answer = URLLib3Session(timeout=_REFUND_TIMEOUT_S).send(request.prepare())
        try:
            document: dict[str, Any] = json.loads(answer.content)
        except ValueError:
            raise OpsError(
                f"The API answered {answer.status_code}, and not as it should: is the stage up to date?"
            ) from None
        if answer.status_code < _BAD_REQUEST:
            return document
        errors = "".join(f" {one['field']} {one['message']}." for one in document.get("errors", ()))
        said = f"{document.get('detail', answer.status_code)}{errors} ({document.get('code', answer.status_code)})"
        if answer.status_code < _SERVER_ERROR:
            raise Refused(f"Refused: {said}")
        raise OpsError(f"{said}. Repeat it with --key {key}, which never refunds twice.")
