"""The commands to paste, for this machine's architecture, engine and ports."""

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Interface
from pathlib import Path
from typing import Final

from sandbox import development, events
from sandbox.sam_local.engine import Engine
from sandbox.sam_local.settings import HOST

SAM: Final = ".venvs/sam/bin/sam"
# The first events to invoke each function with.
INVOCATIONS: Final = (
    ("CreateOrderFunction", "create-order.json"),
    ("VerifyFunction", "verify.json"),
    ("WebhookFunction", "webhook-payment-captured.json"),
    ("OutboxFunction", "schedules/outbox.json"),
    ("ReconcileFunction", "schedules/reconcile-watch.json"),
    ("RefundFunction", "refund.json"),
)
# The events of what happens to an order.
STORY: Final = (
    ("VerifyFunction", "verify.json"),
    ("WebhookFunction", "webhook-payment-captured.json"),
    ("VerifyFunction", "get.json"),
    ("WebhookFunction", "webhook-refund-processed-part.json"),
)
_WEBHOOK: Final = "/api/payments/webhook/"


@dataclass(frozen=True)
class Options:
    """What every command needs.

    Attributes:
        template: the template that declares the settings.
        env_file: the settings' values.
        architecture: what was built and so must run: arm64 or x86_64. The template's own default is arm64.
        add_host: where a container finds this machine, "host-gateway" or an address; None if the engine provides it.
        skip_pull_image: the image is present, so SAM need not ask a registry for a newer one.
    """

    template: Path
    env_file: Path
    architecture: str
    add_host: str | None
    skip_pull_image: bool

    @property
    def lines(self) -> list[str]:
        """Return the options, one per line of the command."""
        files = ["-t", str(self.template), "--env-vars", str(self.env_file)]
        network = [] if self.add_host is None else ["--add-host", f"{HOST}:{self.add_host}"]
        image = ["--skip-pull-image"] if self.skip_pull_image else []
        # Last, because it takes every word that follows.
        parameters = [f"Architecture={self.architecture}", f"Stage={development.STAGE}", "CorsOrigin=*"]
        return [
            shlex.join(files),
            *([shlex.join([*network, *image])] if network or image else []),
            shlex.join(["--parameter-overrides", *parameters]),
        ]


def invoke(function: str, event: Path, options: Options) -> str:
    """Return the command that invokes one function once."""
    return _command([SAM, "local", "invoke", function, "-e", str(event)], options)


def start_api(port: int, options: Options) -> str:
    """Return the command that serves the whole API and keeps its containers for the next request."""
    return _command([SAM, "local", "start-api", "--port", str(port), "--warm-containers", "EAGER"], options)


def webhooks_to(razorpay: str, api: str) -> str:
    """Return the command that makes the stand-in deliver to another address."""
    document = json.dumps({"url": f"{api}{_WEBHOOK}"})
    json_header = "Content-Type: application/json"
    return shlex.join(["curl", "-X", "PUT", f"{razorpay}/_control/webhook", "-H", json_header, "-d", document])


def create_order(api: str) -> str:
    """Return a request to the API, with a valid token."""
    words = ["curl", "-i", f"{api}/api/payments/create-order/"]
    words += ["-H", f"Authorization: Bearer {development.token(events.CLIENT)}", "-H", "Content-Type: application/json"]
    return shlex.join([*words, "-d", json.dumps(dict(events.OFFER))])


def add_host(engine: Engine | None, *, on_linux: bool, named: IPv4Interface | None) -> str | None:
    """Return how containers find this machine.

    Args:
        engine: the container engine, if one answers.
        on_linux: on other systems Docker Desktop resolves the name by itself.
        named: the address that the user gave.
    """
    if named is not None:
        return str(named.ip)
    if not on_linux or (engine is not None and engine.is_desktop):
        return None
    if engine is not None and engine.is_podman and engine.bridge is not None:
        return str(engine.bridge.ip)
    return "host-gateway"


def _command(words: Sequence[str], options: Options) -> str:
    return " \\\n  ".join([shlex.join(words), *options.lines])
