"""AWS clients: made once per function instance, with short timeouts.

Importing this makes none. `priming` makes them in Lambda's Init, so they know no credentials and hold no connection
until the first call.
"""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

import boto3
import botocore.session
from botocore.config import Config
from botocore.credentials import CredentialResolver, Credentials, ReadOnlyCredentials

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

_USER_AGENT = f"payment-service boto3/{boto3.__version__}"
"""As CloudTrail shows it."""


def now() -> int:
    """The present, in epoch seconds."""
    return int(time.time())


def clock() -> float:
    """Seconds on a clock that only goes forward, for how long things may take."""
    return time.monotonic()


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


@dataclass(frozen=True, slots=True)
class SettingTexts:
    """Where settings are read from. Equal as long as nothing in it changed, so what was read can be kept by it."""

    environment: frozenset[tuple[str, str]] = field(repr=False)
    secrets: tuple[tuple[str, str], ...] = field(repr=False)
    """Each secret's id and text, as it is."""
    previous: tuple[str, ...] = field(repr=False)
    """The texts before the last rotation, as far as `renewed_texts` has just read them."""

    def values(self) -> dict[str, str]:
        """Every setting by name, secrets over the environment.

        Raises:
            ConfigurationError: a secret is not a JSON object of texts.
        """
        return read_values(dict(self.environment), dict(self.secrets).__getitem__)

    def previous_values(self) -> dict[str, str]:
        """What was in the secrets before they were last rotated, by name."""
        return read_previous(self.previous)


def setting_texts(log: RequestLog) -> SettingTexts:
    """The environment, and the secrets it names; those are read anew after a minute.

    Raises:
        SecretsUnavailable, NotConfiguredYet: as `Secrets.current` says.
    """
    environment = _environment()
    named = _secret_ids(environment)
    if not named:
        return SettingTexts(environment, (), ())
    secrets, notice = _secrets(), _notice(log)
    current = tuple((secret_id, secrets.current(secret_id, notice)) for secret_id in named)
    previous = (secrets.previous(secret_id) for secret_id in named)
    return SettingTexts(environment, current, tuple(text for text in previous if text is not None))


def renewed_texts(log: RequestLog, *, previous: bool = False) -> SettingTexts:
    """As `setting_texts`, with the secrets as they are at this moment, or were less than a minute ago.

    Args:
        log: of the request that no known secret fits.
        previous: reads the texts before the last rotation, too.
    """
    named = _secret_ids(_environment())
    if named:
        _secrets().renew(list(named), _notice(log), previous=previous)
    return setting_texts(log)


@cache
def _environment() -> frozenset[tuple[str, str]]:
    # Read once: an instance's variables never change, and reading them all is a twentieth of a request.
    return frozenset(os.environ.items())


def variable(name: str) -> str:
    """One of the function's environment variables, for what must be known before the secrets are; empty if not set."""
    return dict(_environment()).get(name, "")


@lru_cache(maxsize=1)
def _secret_ids(environment: frozenset[tuple[str, str]]) -> tuple[str, ...]:
    return tuple(secret_ids(dict(environment)))


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


def prime_secrets() -> None:
    """Makes what reads the secrets, where settings are kept in any, and reads none."""
    if secret_ids(os.environ):
        _secrets()


class _LateCredentials(Credentials):
    """The function's own, looked for when the first call is signed, and not when its client is made.

    A client that is made in Init must not carry any into a snapshot; with SnapStart there are none in Init to be found.
    """

    def __init__(self, chain: CredentialResolver) -> None:
        super().__init__("", "", method="late")
        self._chain = chain
        self._found: Credentials | None = None

    def load_credentials(self) -> Credentials:
        """What botocore asks its chain for when it makes a client."""
        return self

    def get_frozen_credentials(self) -> ReadOnlyCredentials:
        """What botocore signs a call with; it renews those that expire in here."""
        self._found = self._found or self._chain.load_credentials()
        # None as from a session that has found none: botocore says so, and the next call looks again.
        return None if self._found is None else self._found.get_frozen_credentials()  # type: ignore[return-value]

    def get_deferred_property(self, property_name: str) -> Callable[[], Any]:
        """As botocore finds out the account, when it chooses where to send a call to."""
        return lambda: getattr(self.get_frozen_credentials(), property_name, None)


@cache
def _session() -> boto3.Session:
    session = botocore.session.Session()
    session.register_component("credential_provider", _LateCredentials(session.get_component("credential_provider")))
    return boto3.Session(botocore_session=session)


@cache
def _client(service: Any, *, attempts: int, connect_timeout: float, read_timeout: float) -> Any:  # noqa: ANN401 - the stubs know each service by its literal name
    return _session().client(
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
