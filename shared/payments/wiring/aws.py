"""AWS clients: made once per function instance, on first use, with short timeouts.

Nothing is made on import, so that a SnapStart snapshot holds no connection, and an import costs nothing.
"""

import os
import time
from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

import botocore.session
from botocore.config import Config

from payments.adapters.bus import Bus
from payments.adapters.config import read_previous, read_values, secret_ids
from payments.adapters.log import RequestLog
from payments.adapters.table import PaymentsTable

if TYPE_CHECKING:
    from payments.adapters.secrets import Secrets

# All three services answer within tens of milliseconds; botocore's defaults are a minute each. With these, a second try
# and up to a second between the two (botocore's pause, longest in the versions of Lambda's own runtime), a webhook is
# answered before its function's four seconds are over whatever hangs.
_TABLE_TIMEOUTS = {"connect_timeout": 0.5, "read_timeout": 1.0}
_BUS_TIMEOUTS = {"connect_timeout": 0.5, "read_timeout": 1.0}
_SECRETS_TIMEOUTS = {"connect_timeout": 0.5, "read_timeout": 1.0}

_USER_AGENT = f"payment-service botocore/{botocore.__version__}"
"""As CloudTrail shows it."""


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


def setting_values(log: RequestLog) -> dict[str, str]:
    """Every setting by name, from the environment and the secrets it names; secrets are cached for a minute."""
    return read_values(_environment(), lambda secret_id: _secrets().current(secret_id, _notice(log)))


def renewed_values(log: RequestLog, *, previous: bool = False) -> dict[str, str]:
    """As `setting_values`, with the secrets as they are at this moment, or were less than a minute ago.

    Args:
        log: of the request that no known secret fits.
        previous: reads what `previous_values` gives, too.
    """
    named = secret_ids(_environment())
    if named:
        _secrets().renew(named, _notice(log), previous=previous)
    return setting_values(log)


def previous_values() -> dict[str, str]:
    """What was in the secrets before they were last rotated, as far as `renewed_values` has just read it."""
    texts = [_secrets().previous(secret_id) for secret_id in secret_ids(_environment())]
    return read_previous(text for text in texts if text is not None)


def _environment() -> Mapping[str, str]:
    return os.environ


def _notice(log: RequestLog) -> Callable[[str], None]:
    """Secrets Manager did not answer, and what is known from before is used: it goes well for an hour."""

    def notice(why: str) -> None:
        log.note(stale=f"secrets: {why}")
        log.count("StaleSecrets")

    return notice


@cache
def _secrets() -> "Secrets":
    from payments.adapters.secrets import Secrets  # noqa: PLC0415 - Powertools' parameters: not for plain variables

    return Secrets(
        _client("secretsmanager", attempts=2, **_SECRETS_TIMEOUTS),
        _client("secretsmanager", attempts=1, **_SECRETS_TIMEOUTS),
        lambda: now(),  # noqa: PLW0108 - looked up at each call, as everywhere
    )


@cache
def _session() -> botocore.session.Session:
    # Not boto3's: what it adds (resources, transfers to S3) is not used, and loading it is a twelfth of a cold start.
    return botocore.session.Session()


@cache
def _client(service: Any, *, attempts: int, connect_timeout: float, read_timeout: float) -> Any:  # noqa: ANN401 - the stubs know each service by its literal name
    return _session().create_client(
        service,
        config=Config(
            connect_timeout=connect_timeout,
            read_timeout=read_timeout,
            retries={"total_max_attempts": attempts, "mode": "standard"},
            # botocore would describe the machine at length, and anew for each request: a sixth of what a request costs.
            user_agent=_USER_AGENT,
            # Which the types check, and the tests with the real shapes: another tenth.
            parameter_validation=False,
            # A connection on which nobody answers any more is found out by the kernel, not by a request.
            tcp_keepalive=True,
        ),
    )
