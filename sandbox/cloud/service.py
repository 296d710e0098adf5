"""The entire service on this machine: the emulator, both stacks on it, the gateway's stand-in, and the pages."""

import json
import os
import sys
import time
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from sandbox import development, proxies
from sandbox.cloud.build import PROJECT, architecture, build, is_built
from sandbox.cloud.cloud import ACCESS_KEY_ID, REGION, SECRET_ACCESS_KEY, Cloud, Ports
from sandbox.cloud.gateways import STAND_IN, Gateway
from sandbox.cloud.ports import LOOPBACK, free_port
from sandbox.cloud.processes import ServerProcess

if TYPE_CHECKING:
    from types import TracebackType

STACK = "payments-local"
QUOTES = "payments/quotes-local"
"""The secret of quotes, which a stack is given and does not create."""
SUBSCRIBER = PROJECT / "examples/subscriber/template.yaml"
"""The example of a subscriber, which plays all of `SUBSCRIBERS`, each as a stack of its own."""
SUBSCRIBERS = {
    "Job": {"Rule": "release", "DetailTypes": "payment.paid,payment.refunded,payment.dispute_changed"},
    "Application": {"Rule": "release", "DetailTypes": "payment.paid,payment.refunded,payment.dispute_changed"},
    "Notification": {
        "Rule": "notify",
        "DetailTypes": "payment.paid,payment.failed,payment.refunded,payment.surplus_refunded",
    },
}
"""The parameters of each."""
WEBHOOK_PATH = "/api/payments/webhook/"

# Unpacked functions and layers with their bytecode, shared by all runs on this machine.
UNPACKED = PROJECT / ".build/unpacked"

BUILD_TAKES = "a minute or two at first"
SERVER_READY_SECONDS = 20.0  # a slow machine's first start; under a second is usual

type Step = Callable[[str], AbstractContextManager[object]]


@dataclass(frozen=True)
class ServicePorts:
    """Where the local service listens, on 127.0.0.1."""

    cloud: Ports
    stand_in: int
    shop: int

    @classmethod
    def preferred(cls) -> Self:
        """4566 (AWS), 8080 (the API), 8090 (the stand-in) and 3000 (the shop), or for each the next free one."""
        cloud = Ports.preferred()
        taken = frozenset({cloud.aws, cloud.front_door})
        stand_in = free_port(8090, taken=taken)
        return cls(cloud, stand_in, free_port(3000, taken=taken | {stand_in}))

    def instead(self) -> list[str]:
        """Sentences that say which usual ports are taken, and what is used instead."""
        used = (
            ("the shop", 3000, self.shop),
            ("AWS", 4566, self.cloud.aws),
            ("the API", 8080, self.cloud.front_door),
            ("the stand-in for Razorpay", 8090, self.stand_in),
        )
        return [
            f"Port {usual} is in use by another program: {name} is at {port} instead."
            for name, usual, port in used
            if port != usual
        ]

    @classmethod
    def any(cls) -> Self:
        """Any four free ports."""
        return cls(Ports.any(), free_port(), free_port())


class LocalService:
    """The running service. Use it as a context manager, or call `stop`.

    Attributes:
        cloud: the emulator, and boto3 clients of it.
        outputs: the outputs of the service's stack.
        endpoints: what other programs need; also in the run dir's `endpoints.json` while it runs.
    """

    def __init__(self, run_dir: Path, cloud: Cloud, outputs: dict[str, str]) -> None:
        self.cloud = cloud
        self.outputs = outputs
        self.endpoints: dict[str, Any] = {}
        self._file = run_dir / "endpoints.json"
        self._processes = [cloud.process]

    @staticmethod
    def steps(gateway: Gateway = STAND_IN) -> int:
        """How many steps `start` takes."""
        return 7 if gateway.url is None else 6

    @classmethod
    def start(
        cls,
        run_dir: Path,
        *,
        ports: ServicePorts | None = None,
        gateway: Gateway = STAND_IN,
        step: Step = nullcontext,
        parameters: Mapping[str, str] | None = None,
    ) -> Self:
        """Build, start and deploy everything, and wait until it serves.

        Args:
            run_dir: for logs, temporary files and `endpoints.json`.
            ports: where to listen; any free ports by default.
            gateway: the stand-in, or a real test account.
            step: called with the title of each step; the step runs inside the context it returns.
            parameters: template parameters that override the local cloud's.

        Raises:
            BuildError, DeploymentError, NotReadyError, ProcessDiedError: what failed; nothing is left running.
        """
        ports = ports or ServicePorts.any()
        run_dir.mkdir(parents=True, exist_ok=True)
        (run_dir / "endpoints.json").unlink(missing_ok=True)
        stand_in_url = f"http://{LOOPBACK}:{ports.stand_in}"
        with step("Build the functions and their layers" + ("" if is_built() else f" ({BUILD_TAKES})")):
            template = build()
            subscriber = build(SUBSCRIBER, PROJECT / ".build/subscriber")
        with ExitStack() as undo:
            with step("Start the local cloud"):
                UNPACKED.mkdir(parents=True, exist_ok=True)
                # Functions use no proxy, as in AWS, unless this machine reaches Razorpay only through one.
                through = {} if gateway.url is None else proxies.from_environment()
                cloud = Cloud.start(run_dir, ports=ports.cloud, unpacked=UNPACKED, proxies=through)
                undo.callback(cloud.stop)
            with step(f"Deploy template.yaml as {STACK}"):
                values = {
                    "Stage": development.STAGE,
                    "CorsOrigin": "*",
                    "RazorpayApiUrl": gateway.url or stand_in_url,
                    "Architecture": architecture(),
                    "DeletionProtection": "false",
                    "GradualDeployment": "false",
                    "QuoteSecretArn": cloud.create_secret(QUOTES, {"QUOTE_SECRET": development.QUOTE_SECRET}),
                    **(parameters or {}),
                }
                outputs = cloud.deploy(template, STACK, values)
                cloud.serve_api(STACK)
            with step("Store the secrets"):
                cloud.put_secret(outputs["ApiKeysSecretArn"], gateway.api_keys)
                cloud.put_secret(outputs["WebhookSecretArn"], gateway.webhook_secrets)
                cloud.put_secret(outputs["JwtSecretArn"], {"JWT_SECRET": development.JWT_SECRET})
            if gateway.url is not None:
                _continue_payment_ids(cloud, outputs["TableName"])
            service = cls(run_dir, cloud, outputs)
            undo.callback(service.stop)
            with step("Deploy the subscribers " + ", ".join(SUBSCRIBERS)):
                subscribers = {
                    f"{name}{output}": value
                    for name, parameters in SUBSCRIBERS.items()
                    for output, value in cloud.deploy(
                        subscriber,
                        f"{name.lower()}-local",
                        parameters | {"Service": name.lower(), "EventBusName": outputs["EventBusName"]},
                    ).items()
                }
            if gateway.url is None:
                with step("Start the stand-in for Razorpay"):
                    service._start_stand_in(run_dir, ports.stand_in, gateway)
            service._describe(run_dir, gateway.url, stand_in_url, subscribers)
            with step("Start the shop and the live view"):
                service._start_shop(run_dir, ports.shop)
            service._publish()
            undo.pop_all()
        return service

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: "TracebackType | None"
    ) -> None:
        self.stop()

    def check(self) -> None:
        """Raise `ProcessDiedError` if a part of it exited unexpectedly."""
        for process in self._processes:
            process.check()

    def stop(self) -> None:
        """Stop everything it started, and nothing else."""
        self._file.unlink(missing_ok=True)
        for process in reversed(self._processes):
            process.stop()

    def _start_stand_in(self, run_dir: Path, port: int, gateway: Gateway) -> None:
        command = [
            sys.executable,
            *("-m", "sandbox.cloud.attached", "sandbox.gateway"),
            *("--port", str(port)),
            *("--webhook-url", self.cloud.api_url + WEBHOOK_PATH),
            *("--key-id", gateway.key_id),
            *("--key-secret", gateway.key_secret),
            *("--webhook-secret", gateway.webhook_secret),
        ]
        self._start_server("The stand-in for Razorpay", command, run_dir / "gateway.log", port, "/_control/health")

    def _start_shop(self, run_dir: Path, port: int) -> None:
        self.endpoints["shop"] = f"http://{LOOPBACK}:{port}"
        settings = run_dir / "shop.json"
        settings.write_text(json.dumps(self.endpoints))
        command = [
            sys.executable,
            *("-m", "sandbox.cloud.attached", "sandbox.shop"),
            *("--port", str(port)),
            *("--endpoints", str(settings)),
        ]
        self._start_server("The shop", command, run_dir / "shop.log", port, "/")

    def _start_server(self, name: str, command: list[str], log: Path, port: int, health: str) -> None:
        environment = {"PATH": os.defpath, "LANG": "C.UTF-8", "PYTHONUNBUFFERED": "1"}
        process = ServerProcess.start(name, command, env=environment, cwd=PROJECT, log=log)
        self._processes.append(process)
        process.wait_until(lambda: _answers(f"http://{LOOPBACK}:{port}{health}"), seconds=SERVER_READY_SECONDS)

    def _describe(self, run_dir: Path, real_url: str | None, stand_in_url: str, subscribers: dict[str, str]) -> None:
        self.endpoints = {
            "api": self.cloud.api_url,
            "razorpay": real_url or stand_in_url,
            "stand_in": real_url is None,
            "aws": self.cloud.aws_url,
            "table": self.outputs["TableName"],
            "bus": self.outputs["EventBusName"],
            "queues": queues_of(subscribers),
            "jwt_secret": development.JWT_SECRET,
            "region": REGION,
            "access_key_id": ACCESS_KEY_ID,
            "secret_access_key": SECRET_ACCESS_KEY,
            "outputs": self.outputs,
            "subscribers": subscribers,
            "run_dir": str(run_dir),
        }

    def _publish(self) -> None:
        self.endpoints |= {
            "pids": {"run": os.getpid()} | {process.log.stem: process.pid for process in self._processes},
            "logs": {process.log.stem: str(process.log) for process in self._processes}
            | {"functions": str(self.cloud.function_log)},
        }
        # Written atomically, because other programs wait for this file.
        draft = self._file.with_suffix(".new")
        draft.write_text(json.dumps(self.endpoints, indent=2) + "\n")
        draft.rename(self._file)


def _continue_payment_ids(cloud: Cloud, table: str) -> None:
    """Start payment ids above those of any earlier run on the same Razorpay account.

    The table is new at every start but the account is not, and it may refuse a repeated receipt. Receipts contain the
    payment id, and no test account creates more than one order a second.
    """
    used = int(time.time()) - int(datetime(2026, 1, 1, tzinfo=UTC).timestamp())
    cloud.client("dynamodb").put_item(
        TableName=table, Item={"pk": {"S": "counter#payment_id"}, "last_taken": {"N": str(used)}}
    )


def queues_of(outputs: dict[str, str]) -> dict[str, str]:
    """The subscribers' queues by service: the output `JobQueueUrl` is the queue of `job`."""
    ending = "QueueUrl"
    return {name.removesuffix(ending).lower(): url for name, url in outputs.items() if name.endswith(ending)}


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 - loopback
            return bool(answer.status == 200)  # noqa: PLR2004 - HTTP's OK
    except OSError:
        return False
