"""Prints, as JSON, where botocore's clients send a request to and how they sign it, everywhere. Nothing is sent.

Usage: python -I ask.py <folder with botocore> <service> ...
"""

import contextlib
import itertools
import json
import sys
from typing import Any

python, *services = sys.argv[1:]
sys.path.insert(0, python)

import botocore.session  # noqa: E402 - it is where the argument says
from botocore.config import Config  # noqa: E402
from botocore.exceptions import BotoCoreError  # noqa: E402

# Regions that botocore's tables do not have yet: it makes their endpoints by rule.
UNLISTED = ("ap-south-99", "us-gov-north-9", "cn-east-9")

session = botocore.session.Session()
session.set_credentials("none", "none")


class _NotSentError(BaseException):
    """Ends a request where it would leave the process; botocore handles every Exception."""


def regions(service: str) -> list[str]:
    """Every region of every partition that has the service, listed or not."""
    partitions = session.get_available_partitions()
    listed = [region for partition in partitions for region in session.get_available_regions(service, partition)]
    return sorted({*listed, *UNLISTED})


def answer(service: str, region: str, *, fips: bool, dualstack: bool) -> dict[str, Any]:
    """Where one request goes, and what its client does about failures."""
    config = Config(use_fips_endpoint=fips, use_dualstack_endpoint=dualstack, retries={"mode": "standard"})
    try:
        client: Any = session.create_client(service, region_name=region, config=config)
        sent: list[Any] = []

        def instead_of_sending(request: Any, **_: object) -> None:  # noqa: ANN401 - botocore's request
            sent.append(request)
            raise _NotSentError

        client.meta.events.register_first("before-send", instead_of_sending)
        operation = next(name for name in sorted(client.meta.method_to_api_mapping) if is_bare(client, name))
        with contextlib.suppress(_NotSentError):
            getattr(client, operation)()
    except BotoCoreError as error:
        return {"refused": type(error).__name__}
    request = sent[0]
    scope = request.headers["Authorization"].decode().partition("Credential=")[2].partition(",")[0].split("/")
    return {
        "url": request.url,
        "target": request.headers.get("X-Amz-Target", b"").decode(),
        "signing": [scope[2], scope[3], client.meta.config.signature_version],
        "endpoint": client.meta.endpoint_url,
        "retries": client.meta.config.retries,
        "operations": len(client.meta.method_to_api_mapping),
    }


def is_bare(client: Any, method: str) -> bool:  # noqa: ANN401 - botocore makes its class
    """Whether an operation can be asked for with nothing given."""
    shape = client.meta.service_model.operation_model(client.meta.method_to_api_mapping[method]).input_shape
    return shape is None or not shape.required_members


report = {
    f"{service} {region}{' fips' * fips}{' dualstack' * dualstack}": answer(
        service, region, fips=fips, dualstack=dualstack
    )
    for service in services
    for region in regions(service)
    for fips, dualstack in itertools.product((False, True), repeat=2)
}
json.dump(report, sys.stdout, sort_keys=True)
