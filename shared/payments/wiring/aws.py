"""AWS clients: made once per function instance, on first use, with short timeouts.

Nothing is made on import, so that a SnapStart snapshot holds no connection, and an import costs nothing.
"""

import os
import time
from functools import cache
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as Unreachable

from payments.adapters.bus import Bus
from payments.adapters.config import read_values
from payments.adapters.table import PaymentsTable
from payments.core.errors import SecretsUnavailable

# All three services answer within tens of milliseconds; botocore's defaults are a minute each. With these, a second try
# and up to a second between the two (botocore's pause, longest in the versions of Lambda's own runtime), a webhook is
# answered before its function's four seconds are over whatever hangs.
_TABLE_TIMEOUTS = {"connect_timeout": 0.5, "read_timeout": 1.0}
_BUS_TIMEOUTS = {"connect_timeout": 0.5, "read_timeout": 1.0}
_SECRETS_TIMEOUTS = {"connect_timeout": 0.5, "read_timeout": 1.0}

_SERVER_ERROR = 500

# A rotated secret is taken up within a minute; the webhook's previous one stays valid far longer than that.
_SECRET_MAX_AGE_S = 60


def now() -> int:
    """The present, in epoch seconds."""
    return int(time.time())


def table(name: str, *, attempts: int, read_timeout_s: float = _TABLE_TIMEOUTS["read_timeout"]) -> PaymentsTable:
    """The payments table.

    Args:
        name: of the table.
        attempts: how often the client itself tries a call; each may cost its whole timeout.
        read_timeout_s: how long one try waits for the answer.
    """
    timeouts = _TABLE_TIMEOUTS | {"read_timeout": read_timeout_s}
    return PaymentsTable(_client("dynamodb", attempts=attempts, **timeouts), name)


def bus(name: str) -> Bus:
    """The event bus."""
    return Bus(_client("events", attempts=2, **_BUS_TIMEOUTS), name)


def setting_values() -> dict[str, str]:
    """Every setting by name, from the environment and the secrets it names; secrets are cached for a minute."""
    return read_values(dict(os.environ), _read_secret)


def _read_secret(secret_id: str) -> str:
    from aws_lambda_powertools.utilities.parameters import GetParameterError  # noqa: PLC0415 - as _secrets_provider

    try:
        return str(_secrets_provider().get(secret_id, max_age=_SECRET_MAX_AGE_S))
    except GetParameterError as error:
        # Powertools keeps the reason only as what it was handling. A cold start that met a slow answer may simply be
        # tried again; no permission, or no such secret, is for a person.
        if _passes(error.__context__):
            raise SecretsUnavailable(type(error.__context__).__name__) from error
        raise


def _passes(error: BaseException | None) -> bool:
    """Whether waiting cures it."""
    if isinstance(error, ClientError):
        code = error.response.get("Error", {}).get("Code", "")
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return status >= _SERVER_ERROR or code == "ThrottlingException"
    return isinstance(error, HTTPClientError | Unreachable)  # two families in botocore, for reading and connecting


@cache
def _secrets_provider() -> Any:  # noqa: ANN401 - Powertools' provider, loaded only where secrets are used
    from aws_lambda_powertools.utilities.parameters import SecretsProvider  # noqa: PLC0415 - not for plain variables

    return SecretsProvider(boto3_client=_client("secretsmanager", attempts=2, **_SECRETS_TIMEOUTS))


@cache
def _session() -> boto3.Session:
    return boto3.Session()


@cache
def _client(service: Any, *, attempts: int, connect_timeout: float, read_timeout: float) -> Any:  # noqa: ANN401 - the stubs know each service by its literal name
    return _session().client(
        service,
        config=Config(
            connect_timeout=connect_timeout,
            read_timeout=read_timeout,
            retries={"total_max_attempts": attempts, "mode": "standard"},
        ),
    )
