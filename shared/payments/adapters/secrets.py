"""Secrets Manager, through Powertools' cache. Picks up a rotated secret at once and survives an outage.

Powertools caches a secret for a minute. On top of that:

* when no known secret fits, `renew` reads all of them again, at most once a minute, so that forgeries cannot make us
  call Secrets Manager more often than that;
* the version before the last rotation is available, for messages signed with it that are still on their way;
* while Secrets Manager does not respond, the last value read stays valid for an hour.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from aws_lambda_powertools.utilities.parameters import GetParameterError, SecretsProvider
from botocore.exceptions import ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as Unreachable

from payments.core.errors import NotConfiguredYet, SecretsUnavailable

type Stage = Literal["AWSCURRENT", "AWSPREVIOUS"]
type Notice = Callable[[str], None]
"""Called with the failure's type when a secret could not be read and the cached value is used."""

CURRENT: Final = "AWSCURRENT"
PREVIOUS: Final = "AWSPREVIOUS"

# A rotated secret is picked up within a minute, even if nothing fails without it.
MAX_AGE_S = 60
# Outages of Secrets Manager last minutes, if they happen at all, and nobody can rotate a secret during one. The limit
# covers the case that only we cannot reach it: a revoked secret must not stay valid here for a day.
USABLE_S = 3600
# During an outage a call may cost its whole timeout. Only one request in half a minute pays that, not each.
PAUSE_S = 30

_SERVER_ERROR = 500
_NOT_FOUND = "ResourceNotFoundException"
# The code is the same for a secret that does not exist. Only the message distinguishes them: "Secrets Manager can't
# find the specified secret value for staging label: AWSCURRENT", against "... can't find the specified secret". If AWS
# ever changes the wording, a secret without a value counts as a missing one: louder, not quieter.
_NO_VALUE = "secret value"


@dataclass(frozen=True, slots=True)
class _Read:
    text: str | None = field(repr=False)
    """None: there is no such version."""
    at: float


class Secrets:
    """The secrets of one function instance."""

    def __init__(self, client: Any, client_for_previous: Any, now: Callable[[], float]) -> None:  # noqa: ANN401 - boto3's
        """Start with nothing read.

        Args:
            client: a boto3 client of Secrets Manager.
            client_for_previous: the same with a single attempt, because it is called after the other one in the same
                request.
            now: returns epoch seconds.
        """
        # One provider per stage: Powertools' cache identifies secrets by name alone, not by version.
        self._providers: dict[Stage, SecretsProvider] = {
            CURRENT: SecretsProvider(boto3_client=client),
            PREVIOUS: SecretsProvider(boto3_client=client_for_previous),
        }
        self._now = now
        self._read: dict[tuple[str, Stage], _Read] = {}
        self._down_until = float("-inf")
        self._renewed_at = float("-inf")

    def current(self, secret_id: str, notice: Notice) -> str:
        """Return the secret's text.

        Raises:
            SecretsUnavailable: it cannot be read right now and was not read in the last hour.
            NotConfiguredYet: it exists but has no value, or an empty one.
            GetParameterError: it cannot be read, and waiting will not help: it does not exist, or we may not read it.
        """
        text = self._text(secret_id, CURRENT, notice)
        assert text is not None  # noqa: S101 - for mypy: only the previous version may be absent
        return text

    def previous(self, secret_id: str) -> str | None:
        """Return the text before the last rotation, if `renew` read it less than a minute ago.

        It must not outlive the version itself, which is removed when a secret has leaked.
        """
        read = self._read.get((secret_id, PREVIOUS))
        if read is None:
            return None
        now = self._now()
        return read.text if now - read.at < (USABLE_S if now < self._down_until else MAX_AGE_S) else None

    def renew(self, secret_ids: list[str], notice: Notice, *, previous: bool) -> None:
        """Read every secret again, unless that was done less than a minute ago.

        Args:
            secret_ids: the secrets to read.
            notice: see `Notice`.
            previous: whether to read their previous versions too.

        Raises:
            GetParameterError: as for `current`.
        """
        now = self._now()
        if now - self._renewed_at < MAX_AGE_S or now < self._down_until:
            return
        self._renewed_at = now
        stages: tuple[Stage, ...] = (CURRENT, PREVIOUS) if previous else (CURRENT,)
        for secret_id in secret_ids:
            for stage in stages:
                if self._now() < self._down_until:
                    return  # waiting twice would take too long
                try:
                    self._text(secret_id, stage, notice, anew=True)
                except SecretsUnavailable as failure:
                    # Only a previous version can be both unreadable and not cached.
                    notice(str(failure))

    def _text(self, secret_id: str, stage: Stage, notice: Notice, *, anew: bool = False) -> str | None:
        now = self._now()
        known = self._read.get((secret_id, stage))
        if known is not None and now - known.at >= USABLE_S:
            known = None
        if known is not None and now < self._down_until:
            return known.text
        provider = self._providers[stage]
        options: dict[str, Any] = {} if stage == CURRENT else {"VersionStage": stage}
        try:
            text: str | None = str(provider.get(secret_id, max_age=MAX_AGE_S, force_fetch=anew, **options))
        except GetParameterError as error:
            # Powertools keeps the reason only as the exception's context.
            reason = error.__context__
            if stage == PREVIOUS and _code(reason) == _NOT_FOUND:
                text = None  # never rotated
            elif known is None and _has_no_value(reason):
                raise _unfilled(secret_id) from error
            elif not _passes(reason):
                raise
            else:
                self._down_until = now + PAUSE_S
                why = type(reason).__name__
                if known is None:
                    raise SecretsUnavailable(why) from error
                notice(why)
                return known.text
        if stage == CURRENT and text is not None and not text.strip():
            raise _unfilled(secret_id)
        self._read[secret_id, stage] = _Read(text, now)
        return text


def _code(error: BaseException | None) -> str:
    return str(error.response.get("Error", {}).get("Code", "")) if isinstance(error, ClientError) else ""


def _unfilled(secret_id: str) -> NotConfiguredYet:
    """Return the error for a secret without a value. It names the secret without its ARN's account and region."""
    return NotConfiguredYet(f"the secret {secret_id.rpartition(':')[2]} has no value yet")


def _has_no_value(error: BaseException | None) -> bool:
    """Return whether the secret exists but nobody has set its value."""
    if not isinstance(error, ClientError) or _code(error) != _NOT_FOUND:
        return False
    return _NO_VALUE in str(error.response.get("Error", {}).get("Message", ""))


def _passes(error: BaseException | None) -> bool:
    """Return whether waiting can cure the error: not a missing permission or a missing secret."""
    if isinstance(error, ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return status >= _SERVER_ERROR or _code(error) == "ThrottlingException"
    return isinstance(error, HTTPClientError | Unreachable)  # two families in botocore: read and connect errors
