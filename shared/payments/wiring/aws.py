"""AWS clients: created once per function instance, with short timeouts.

Importing this module creates none. `priming` creates them in Lambda's Init phase, without credentials, and they open
no connection before the first call.
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

# All three services respond within tens of milliseconds, but botocore's defaults are a minute. With these timeouts,
# one retry and up to a second of backoff (longest in the botocore of Lambda's own runtime), a webhook is answered
# within its function's four seconds, whatever hangs.
_TABLE_TIMEOUTS = {"connect_timeout": 0.5, "read_timeout": 1.0}
_BUS_TIMEOUTS = {"connect_timeout": 0.5, "read_timeout": 1.0}
_SECRETS_TIMEOUTS = {"connect_timeout": 0.5, "read_timeout": 1.0}

_USER_AGENT = f"payment-service boto3/{boto3.__version__}"
"""Shown in CloudTrail."""


def now() -> int:
    """Return the current time, in epoch seconds."""
    return int(time.time())


def clock() -> float:
    """Return monotonic seconds, for measuring durations."""
    return time.monotonic()


def table(name: str, *, attempts: int, read_timeout_s: float = _TABLE_TIMEOUTS["read_timeout"]) -> PaymentsTable:
    """Return the payments table.

    Args:
        name: the table's name.
        attempts: how often the client tries a call; each attempt may cost its whole timeout.
        read_timeout_s: how long one attempt waits for the answer.
    """
    timeouts = _TABLE_TIMEOUTS | {"read_timeout": read_timeout_s}
    return PaymentsTable(_client("dynamodb", attempts=attempts, **timeouts), name)


def bus(name: str) -> Bus:
    """Return the event bus."""
    return Bus(_client("events", attempts=2, **_BUS_TIMEOUTS), name)


@dataclass(frozen=True, slots=True)
class SettingTexts:
    """The texts that settings are read from. Equal while nothing has changed, so that parsed settings can be cached."""

    environment: frozenset[tuple[str, str]] = field(repr=False)
    secrets: tuple[tuple[str, str], ...] = field(repr=False)
    """Each secret's id and text, unparsed."""
    previous: tuple[str, ...] = field(repr=False)
    """The texts before the last rotation, if `renewed_texts` has just read them."""

    def values(self) -> dict[str, str]:
        """Return every setting by name. Secrets override the environment.

        Raises:
            ConfigurationError: a secret is not a JSON object of strings.
        """
        return read_values(dict(self.environment), dict(self.secrets).__getitem__)

    def previous_values(self) -> dict[str, str]:
        """Return the values from before the secrets' last rotation, by name."""
        return read_previous(self.previous)


def setting_texts(log: RequestLog) -> SettingTexts:
    """Return the environment and the secrets it names. Secrets are cached for a minute.

    Raises:
        SecretsUnavailable, NotConfiguredYet: as for `Secrets.current`.
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
    """Return the same as `setting_texts`, with secrets read again unless that was done less than a minute ago.

    Args:
        log: the log of the request that no known secret fits.
        previous: whether to read the texts before the last rotation too.
    """
    named = _secret_ids(_environment())
    if named:
        _secrets().renew(list(named), _notice(log), previous=previous)
    return setting_texts(log)


@cache
def _environment() -> frozenset[tuple[str, str]]:
    # Read once: an instance's variables never change, and reading them all is a twentieth of a request's work.
    return frozenset(os.environ.items())


def variable(name: str) -> str:
    """Return an environment variable that is needed before the secrets are, or an empty string if it is not set."""
    return dict(_environment()).get(name, "")


@lru_cache(maxsize=1)
def _secret_ids(environment: frozenset[tuple[str, str]]) -> tuple[str, ...]:
    return tuple(secret_ids(dict(environment)))


def _notice(log: RequestLog) -> Callable[[str], None]:
    """Return a callback for when Secrets Manager does not respond and the cached value is used, for up to an hour."""

    def notice(why: str) -> None:
        log.note(stale=f"secrets: {why}")
        log.count("StaleSecrets")

    return notice


@cache
def _secrets() -> "Secrets":
    from payments.adapters.secrets import Secrets  # noqa: PLC0415 - loads Powertools' parameters only if there are secrets

    return Secrets(
        _client("secretsmanager", attempts=2, **_SECRETS_TIMEOUTS),
        _client("secretsmanager", attempts=1, **_SECRETS_TIMEOUTS),
        lambda: now(),  # noqa: PLW0108 - looked up at each call, as everywhere
    )


def prime_secrets() -> None:
    """Create the client that reads the secrets, if settings name any, without reading one."""
    if secret_ids(os.environ):
        _secrets()


class _LateCredentials(Credentials):
    """The function's credentials, looked up when the first call is signed instead of when its client is created.

    A client created in Init must not carry credentials into a snapshot. With SnapStart, Init has none to find.
    """

    def __init__(self, chain: CredentialResolver) -> None:
        super().__init__("", "", method="late")
        self._chain = chain
        self._found: Credentials | None = None

    def load_credentials(self) -> Credentials:
        """Return itself: botocore asks its chain for credentials when it creates a client."""
        return self

    def get_frozen_credentials(self) -> ReadOnlyCredentials:
        """Return the credentials that botocore signs a call with. They renew themselves when they expire."""
        self._found = self._found or self._chain.load_credentials()
        # None, as from a session without credentials: botocore reports it, and the next call looks again.
        return None if self._found is None else self._found.get_frozen_credentials()  # type: ignore[return-value]

    def get_deferred_property(self, property_name: str) -> Callable[[], Any]:
        """Return how botocore finds the account id when it resolves a call's endpoint."""
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
            # botocore would otherwise describe the machine at length for every request: a sixth of a request's cost.
            user_agent=_USER_AGENT,
            # Types check the parameters, and tests compare them with the real shapes. Skipping this saves another
            # tenth.
            parameter_validation=False,
            # The kernel detects dead connections, so that no request has to.
            tcp_keepalive=True,
        ),
    )
