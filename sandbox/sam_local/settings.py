"""The two files for `sam local`: a template that declares the development settings, and their values.

SAM takes a value from `--env-vars` only for variables that the template declares, and silently drops all others. A
deployed stage has no secrets in its variables, so the built template declares none. This one does, all empty.
"""

import copy
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import urlsplit

import yaml

from sandbox import development
from sandbox.cloud.cloud import ACCESS_KEY_ID, REGION, SECRET_ACCESS_KEY
from sandbox.cloud.gateways import Gateway, gateway_of
from sandbox.cloud.packages import read_template

HOST: Final = "host.docker.internal"
"""This machine's name inside containers."""

# Where `make run` listens unless the port is taken.
_USUAL_AWS: Final = "http://127.0.0.1:4566"
_USUAL_STAND_IN: Final = "http://127.0.0.1:8090"
_USUAL_NAME: Final = "payments-local"


class DamagedEndpointsError(ValueError):
    """`endpoints.json` cannot be used; the message says what to do."""


@dataclass(frozen=True)
class Surroundings:
    """The environment that the functions run in.

    Attributes:
        aws: the AWS endpoint on this machine.
        razorpay: the gateway: its stand-in or the real test mode.
        table: the payments table's name.
        bus: the event bus's name.
        gateway: the keys and secrets.
        is_running: whether all this is running now; otherwise these are `make run`'s usual addresses.
    """

    aws: str
    razorpay: str
    table: str
    bus: str
    gateway: Gateway
    is_running: bool

    @classmethod
    def of(cls, endpoints_file: Path, env_file: Path) -> Self:
        """Return what `make run` wrote into `endpoints.json`, or its usual addresses if it is not running.

        Raises:
            DamagedEndpointsError: the file is not what `make run` writes.
            UnusableKeysError: the keys in `.env` cannot be used.
        """
        gateway = gateway_of(env_file)
        try:
            endpoints = json.loads(endpoints_file.read_text())
            return cls(
                aws=endpoints["aws"],
                razorpay=endpoints["razorpay"],
                table=endpoints["table"],
                bus=endpoints["bus"],
                gateway=gateway,
                is_running=True,
            )
        except FileNotFoundError:
            return cls(_USUAL_AWS, gateway.url or _USUAL_STAND_IN, _USUAL_NAME, _USUAL_NAME, gateway, is_running=False)
        except (ValueError, KeyError, TypeError) as error:
            raise DamagedEndpointsError(
                f"{endpoints_file} is damaged: stop `make run`, start it again, then repeat `make sam-local`."
            ) from error

    @property
    def local_ports(self) -> tuple[int, ...]:
        """Return the ports on 127.0.0.1 that the containers must reach."""
        parts = [urlsplit(url) for url in (self.aws, self.razorpay)]
        return tuple(part.port for part in parts if part.hostname == "127.0.0.1" and part.port is not None)


def settings_by_function(surroundings: Surroundings) -> dict[str, dict[str, str]]:
    """Return each function's variables, by its logical id. No function gets a secret that it does not need."""
    gateway = surroundings.gateway
    shared = {
        "STAGE": development.STAGE,
        "PAYMENTS_TABLE": surroundings.table,
        "AWS_ENDPOINT_URL": _seen_from_a_container(surroundings.aws),
        # SAM passes the developer's own credentials and region to the container unless these are declared.
        "AWS_ACCESS_KEY_ID": ACCESS_KEY_ID,
        "AWS_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY,
        "AWS_SESSION_TOKEN": "",
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        # Docker passes its own proxies to every container.
        "NO_PROXY": f"{HOST},localhost,127.0.0.1",
        "no_proxy": f"{HOST},localhost,127.0.0.1",
    }
    # Empty: the secrets are here, not in Secrets Manager.
    no_secrets = {"SECRET_IDS": ""}
    bus = {"EVENT_BUS": surroundings.bus}
    razorpay = {**gateway.api_keys, "RAZORPAY_API_URL": _seen_from_a_container(surroundings.razorpay)}
    tokens = {"JWT_SECRET": development.JWT_SECRET}
    return {
        "CreateOrderFunction": shared | no_secrets | razorpay | tokens | {"QUOTE_SECRET": development.QUOTE_SECRET},
        "VerifyFunction": shared | no_secrets | {"RAZORPAY_KEY_SECRET": gateway.key_secret} | tokens,
        "WebhookFunction": shared | no_secrets | bus | gateway.webhook_secrets,
        "RefundFunction": shared | no_secrets | razorpay | tokens,
        "OutboxFunction": shared | bus,
        "ReconcileFunction": shared | no_secrets | bus | razorpay,
    }


def declared(template: Mapping[str, Any], settings: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    """Return the template with every setting declared but without values."""
    document = copy.deepcopy(dict(template))
    for function, values in settings.items():
        properties = document["Resources"][function]["Properties"]
        variables = properties.setdefault("Environment", {}).setdefault("Variables", {})
        inherited = document.get("Globals", {}).get("Function", {}).get("Environment", {}).get("Variables", {})
        for name in values:
            if name not in inherited:
                variables.setdefault(name, "")
    return document


def write(built: Path, template_file: Path, env_file: Path, surroundings: Surroundings) -> None:
    """Write both files. The one with secrets is readable only by its owner.

    Args:
        built: the template that `sam build` wrote.
        template_file: the template that declares the settings; next to the built one, because its paths are relative.
        env_file: the settings' values.
        surroundings: the environment that the functions run in.
    """
    settings = settings_by_function(surroundings)
    template_file.write_text(
        yaml.dump(declared(read_template(built), settings), Dumper=yaml.CSafeDumper, sort_keys=False)
    )
    env_file.unlink(missing_ok=True)
    with os.fdopen(os.open(env_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(json.dumps(settings, indent=2) + "\n")


def _seen_from_a_container(url: str) -> str:
    parts = urlsplit(url)
    if parts.hostname != "127.0.0.1":
        return url
    return parts._replace(netloc=f"{HOST}:{parts.port}").geturl()
