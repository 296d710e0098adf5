"""The emulator's process, and deployments to it."""

import contextlib
import json
import os
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal, Self, overload

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError, WaiterError

from sandbox.cloud.packages import content_name, with_uploaded_artefacts
from sandbox.cloud.ports import LOOPBACK, free_port
from sandbox.cloud.processes import ServerProcess

if TYPE_CHECKING:
    from types import TracebackType

    from mypy_boto3_apigateway import APIGatewayClient
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_sqs import SQSClient

PROJECT = Path(__file__).resolve().parents[2]
EMULATOR_PYTHON = PROJECT / ".venvs/cloud/bin/python"
RUNTIME_PYTHON = PROJECT / ".venvs/runtime/bin/python"

REGION: Final = "ap-south-1"
# A manual invocation returns when the function ends, for reconcile up to 290 s later.
_LONGEST_RUN_S: Final = 300
# The emulator's root user. Roles are enforced for everyone else, above all the functions.
ACCESS_KEY_ID = "test"
SECRET_ACCESS_KEY = "test"  # noqa: S105 - opens nothing but the emulator
DOMAIN_NAME = "api.payments.localhost"
ARTEFACT_BUCKET = "local-artefacts"

READY_SECONDS = 30.0  # a slow machine's first start; 1.5 s is usual


class DeploymentError(RuntimeError):
    """A stack could not be deployed; the message says which resource and why."""


@dataclass(frozen=True)
class Ports:
    """Where the emulator listens, on 127.0.0.1."""

    aws: int
    front_door: int

    @classmethod
    def preferred(cls, aws: int = 4566, front_door: int = 8080) -> Self:
        """The usual ports, or for each the next free one."""
        aws = free_port(aws)
        return cls(aws, free_port(front_door, taken=frozenset({aws})))

    @classmethod
    def any(cls) -> Self:
        """Any two free ports."""
        return cls(free_port(), free_port())


class Cloud:
    """A running emulator. Use it as a context manager, or call `stop`.

    Attributes:
        aws_url: the AWS endpoint.
        api_url: the front door, which serves the API set by `serve_api`.
        process: the emulator's process.
        function_log: the functions' output.
    """

    def __init__(self, process: ServerProcess, ports: Ports, function_log: Path) -> None:
        self.process = process
        self.aws_url = f"http://{LOOPBACK}:{ports.aws}"
        self.api_url = f"http://{LOOPBACK}:{ports.front_door}"
        self.function_log = function_log
        self._session = boto3.session.Session(ACCESS_KEY_ID, SECRET_ACCESS_KEY, region_name=REGION)

    @classmethod
    def start(
        cls,
        run_dir: Path,
        *,
        ports: Ports | None = None,
        unpacked: Path | None = None,
        stock: bool = False,
        proxies: Mapping[str, str] = MappingProxyType({}),
    ) -> Self:
        """Start the emulator and wait until it serves.

        Args:
            run_dir: for its logs and temporary files.
            ports: where to listen; any free ports by default.
            unpacked: where functions and layers are unpacked, by content; several emulators may share it and reuse its
            bytecode. In the run dir by default.
            stock: without this project's patches; for the tests of the patches.
            proxies: the functions' proxy variables for outside calls, not for this machine; normally none.

        Raises:
            ProcessDiedError: the emulator exited at once.
            NotReadyError: the emulator does not respond.
        """
        ports = ports or Ports.any()
        run_dir = run_dir.resolve()
        scratch = run_dir / "tmp"
        scratch.mkdir(parents=True, exist_ok=True)
        function_log = run_dir / "functions.log"
        function_log.write_text("")
        command = [
            str(EMULATOR_PYTHON),
            *("-m", "sandbox.cloud.attached", "sandbox.cloud.emulator"),
            *("--port", str(ports.aws)),
            *("--front-door-port", str(ports.front_door)),
            *("--domain-name", DOMAIN_NAME),
            *("--runtime-python", str(RUNTIME_PYTHON)),
            *("--unpacked", str((unpacked or run_dir / "unpacked").resolve())),
            *("--function-log", str(function_log)),
            *(["--stock"] if stock else []),
        ]
        process = ServerProcess.start(
            "The emulator",
            command,
            env={**emulator_environment(ports, scratch), **proxies},
            cwd=PROJECT,
            log=run_dir / "emulator.log",
        )
        cloud = cls(process, ports, function_log)
        try:
            process.wait_until(cloud.is_ready, seconds=READY_SECONDS)
        except BaseException:
            process.stop()
            raise
        return cloud

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: "TracebackType | None"
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop the emulator and its functions, and nothing else."""
        self.process.stop()

    def is_ready(self) -> bool:
        """Whether the emulator serves."""
        try:
            with urllib.request.urlopen(f"{self.aws_url}/_ministack/ready", timeout=2) as answer:  # noqa: S310 - loopback
                return bool(answer.status == 200)  # noqa: PLR2004 - HTTP's OK
        except OSError:
            return False

    # --- clients -----------------------------------------------------------------------------------------------------

    @overload
    def client(self, service: Literal["apigateway"]) -> "APIGatewayClient": ...
    @overload
    def client(self, service: Literal["cloudformation"]) -> "CloudFormationClient": ...
    @overload
    def client(self, service: Literal["dynamodb"]) -> "DynamoDBClient": ...
    @overload
    def client(self, service: Literal["events"]) -> "EventBridgeClient": ...
    @overload
    def client(self, service: Literal["lambda"]) -> "LambdaClient": ...
    @overload
    def client(self, service: Literal["s3"]) -> "S3Client": ...
    @overload
    def client(self, service: Literal["secretsmanager"]) -> "SecretsManagerClient": ...
    @overload
    def client(self, service: Literal["sqs"]) -> "SQSClient": ...
    def client(self, service: Any) -> Any:
        """A boto3 client of this cloud, as its root user."""
        config = Config(read_timeout=_LONGEST_RUN_S, retries={"total_max_attempts": 1}, s3={"addressing_style": "path"})
        return self._session.client(service, endpoint_url=self.aws_url, config=config)

    # --- deployments -------------------------------------------------------------------------------------------------

    def deploy(self, template: Path, stack_name: str, parameters: Mapping[str, str] | None = None) -> dict[str, str]:
        """Deploy a template by change set, as `sam deploy` does, and return the stack's outputs.

        Args:
            template: a built template; its `CodeUri` and `ContentUri` folders are packaged and uploaded.
            stack_name: created, or updated if it exists.
            parameters: values by name.

        Raises:
            DeploymentError: the change set was refused or the stack rolled back.
        """
        s3 = self.client("s3")
        with contextlib.suppress(s3.exceptions.BucketAlreadyOwnedByYou):
            s3.create_bucket(Bucket=ARTEFACT_BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})

        def upload(archive: bytes) -> str:
            key = content_name(archive)
            s3.put_object(Bucket=ARTEFACT_BUCKET, Key=key, Body=archive)
            return f"s3://{ARTEFACT_BUCKET}/{key}"

        def url(address: str) -> str:
            return f"{self.aws_url}/{address.removeprefix('s3://')}"

        # From a bucket, as SAM does: CloudFormation accepts only 51,200 bytes in the request itself.
        body = upload(json.dumps(with_uploaded_artefacts(template, upload, url)).encode())
        cloudformation = self.client("cloudformation")
        exists = self._stack_exists(stack_name)
        try:
            change_set = cloudformation.create_change_set(
                StackName=stack_name,
                ChangeSetName=f"{stack_name}-{os.urandom(4).hex()}",
                ChangeSetType="UPDATE" if exists else "CREATE",
                TemplateURL=url(body),
                Parameters=[
                    {"ParameterKey": name, "ParameterValue": value} for name, value in (parameters or {}).items()
                ],
                Capabilities=["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"],
            )["Id"]
        except ClientError as error:
            raise DeploymentError(f"{stack_name}: {error.response['Error']['Message']}") from error
        wait: Any = {"Delay": 0.1, "MaxAttempts": 300}
        try:
            cloudformation.get_waiter("change_set_create_complete").wait(ChangeSetName=change_set, WaiterConfig=wait)
        except WaiterError as error:
            described = cloudformation.describe_change_set(ChangeSetName=change_set)
            reason = described.get("StatusReason", "")
            if "didn't contain changes" in reason or "No updates" in reason:
                return self.outputs(stack_name)
            raise DeploymentError(f"{stack_name}: the change set failed: {reason}") from error
        cloudformation.execute_change_set(ChangeSetName=change_set)
        done = cloudformation.get_waiter("stack_update_complete" if exists else "stack_create_complete")
        try:
            done.wait(StackName=stack_name, WaiterConfig=wait)
        except WaiterError as error:
            raise DeploymentError(f"{stack_name}:\n{self._failures(stack_name)}") from error
        return self.outputs(stack_name)

    def outputs(self, stack_name: str) -> dict[str, str]:
        """A stack's outputs by name."""
        stack = self.client("cloudformation").describe_stacks(StackName=stack_name)["Stacks"][0]
        return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}

    def resource_id(self, stack_name: str, resource_type: str) -> str:
        """The physical id of a stack's only resource of the type."""
        resources = self.client("cloudformation").describe_stack_resources(StackName=stack_name)["StackResources"]
        ids = [resource["PhysicalResourceId"] for resource in resources if resource["ResourceType"] == resource_type]
        if len(ids) != 1:
            raise LookupError(f"{stack_name} has {len(ids)} resources of type {resource_type}")
        return ids[0]

    def serve_api(self, stack_name: str) -> None:
        """Map the custom domain, and with it the front door, to the stack's REST API."""
        apigateway = self.client("apigateway")
        rest_api = self.resource_id(stack_name, "AWS::ApiGateway::RestApi")
        stage = self.resource_id(stack_name, "AWS::ApiGateway::Stage")
        certificate = f"arn:aws:acm:{REGION}:000000000000:certificate/local"
        apigateway.create_domain_name(
            domainName=DOMAIN_NAME, regionalCertificateArn=certificate, endpointConfiguration={"types": ["REGIONAL"]}
        )
        apigateway.create_base_path_mapping(domainName=DOMAIN_NAME, restApiId=rest_api, stage=stage)

    def create_secret(self, name: str, settings: Mapping[str, str]) -> str:
        """Create a secret beside the stacks, with settings as its value; return its ARN."""
        made = self.client("secretsmanager").create_secret(Name=name, SecretString=json.dumps(dict(settings)))
        return str(made["ARN"])

    def put_secret(self, arn: str, settings: Mapping[str, str]) -> None:
        """Store settings as a secret's value: one JSON object."""
        self.client("secretsmanager").put_secret_value(SecretId=arn, SecretString=json.dumps(dict(settings)))

    def _stack_exists(self, stack_name: str) -> bool:
        try:
            stacks = self.client("cloudformation").describe_stacks(StackName=stack_name)["Stacks"]
        except ClientError:
            return False
        return stacks[0]["StackStatus"] != "REVIEW_IN_PROGRESS"

    def _failures(self, stack_name: str) -> str:
        events = self.client("cloudformation").describe_stack_events(StackName=stack_name)["StackEvents"]
        return "\n".join(
            f"  {event['LogicalResourceId']}: {event.get('ResourceStatusReason', '')}"
            for event in reversed(events)
            if event["ResourceStatus"].endswith("_FAILED")
        )


def emulator_environment(ports: Ports, scratch: Path) -> dict[str, str]:
    """The emulator's complete environment, without this process's variables."""
    return {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": str(scratch),
        "TMPDIR": str(scratch),
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(PROJECT),
        "PYTHONUNBUFFERED": "1",
        # ministack's settings. Roles are enforced as on AWS.
        "AUTH": "true",
        "BIND_HOST": LOOPBACK,
        "GATEWAY_PORT": str(ports.aws),
        "MINISTACK_REGION": REGION,
        "LOG_LEVEL": "INFO",
        # By default it opens another port on every interface.
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        # Its container features would search a developer's Docker for leftovers.
        "DOCKER_HOST": f"unix://{scratch}/no-docker.sock",
        # The functions' AWS endpoint.
        "AWS_ENDPOINT_URL": f"http://{LOOPBACK}:{ports.aws}",
    }
