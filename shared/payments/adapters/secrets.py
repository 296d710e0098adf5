"""Secrets Manager, through Powertools' cache: a rotated secret is taken up at once, an outage outlived.

Powertools keeps a secret for a minute. Around it:

* `renew` lets a caller whom no known secret fits have everything read anew, at most once a minute, so that forgeries
  cannot make us ask Secrets Manager more often than that;
* the version before the last rotation can be had, for what was signed with it and is still on its way;
* while Secrets Manager does not answer, what was read last stays good for an hour.
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
"""Is told, by the type of the failure, that a secret could not be read and the one known from before is used."""

CURRENT: Final = "AWSCURRENT"
PREVIOUS: Final = "AWSPREVIOUS"

# A rotated secret is taken up within a minute even if nothing fails for want of it.
MAX_AGE_S = 60
# Secrets Manager is down for minutes, if ever, and nobody can rotate a secret meanwhile. The bound is for the case that
# only we cannot reach it: a secret that was taken back must not be good here for a day.
USABLE_S = 3600
# While it is down, a call may cost its whole timeout: one request in half a minute pays that, not each.
PAUSE_S = 30

_SERVER_ERROR = 500
_NOT_FOUND = "ResourceNotFoundException"
# The code is the same for a secret that does not exist; the message tells the two apart: "Secrets Manager can't find
# the specified secret value for staging label: AWSCURRENT", against "... can't find the specified secret". If AWS ever
# words it differently, a secret without a value counts as a wrong one: louder, not quieter.
_NO_VALUE = "secret value"


@dataclass(frozen=True, slots=True)
class _Read:
    text: str | None = field(repr=False)
    """None: there is no such version."""
    at: float


class Secrets:
    """The secrets of one function instance."""

    def __init__(self, client: Any, client_for_previous: Any, now: Callable[[], float]) -> None:  # noqa: ANN401 - boto3's
        """Nothing is read yet.

        Args:
            client: boto3's, of Secrets Manager.
            client_for_previous: as `client`, with a single try: it is asked after the other one in the same request.
            now: epoch seconds.
        """
        # One provider for each stage: Powertools' cache tells secrets apart by name alone, not by version.
        self._providers: dict[Stage, SecretsProvider] = {
            CURRENT: SecretsProvider(boto3_client=client),
            PREVIOUS: SecretsProvider(boto3_client=client_for_previous),
        }
        self._now = now
        self._read: dict[tuple[str, Stage], _Read] = {}
        self._down_until = float("-inf")
        self._renewed_at = float("-inf")

    def current(self, secret_id: str, notice: Notice) -> str:
        """The secret's text.

        Raises:
            SecretsUnavailable: it cannot be read right now, and was not read in the last hour.
            NotConfiguredYet: it exists and has no value, or an empty one.
            GetParameterError: it cannot be read, and waiting does not help: there is none, or we may not.
        """
        text = self._text(secret_id, CURRENT, notice)
        assert text is not None  # noqa: S101 - for mypy: only the previous version may be absent
        return text

    def previous(self, secret_id: str) -> str | None:
        """The text before the last rotation, if `renew` has read it less than a minute ago.

        It must not outlast the version itself, which is taken away when a secret has leaked.
        """
        read = self._read.get((secret_id, PREVIOUS))
        if read is None:
            return None
        now = self._now()
        return read.text if now - read.at < (USABLE_S if now < self._down_until else MAX_AGE_S) else None

    def renew(self, secret_ids: list[str], notice: Notice, *, previous: bool) -> None:
        """Reads every secret anew, unless that was done less than a minute ago.

        Args:
            secret_ids: whose.
            notice: see `Notice`.
            previous: their previous versions, too.

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
                    return  # a second wait would be one too many
                try:
                    self._text(secret_id, stage, notice, anew=True)
                except SecretsUnavailable as failure:
                    # Only the previous version can be neither read nor known from before.
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
            # Powertools keeps the reason only as what it was handling.
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
    """The error for a secret without a value; it names the secret without the account and region of its ARN."""
    return NotConfiguredYet(f"the secret {secret_id.rpartition(':')[2]} has no value yet")


def _has_no_value(error: BaseException | None) -> bool:
    """Whether the secret is there and nobody has put a value into it."""
    if not isinstance(error, ClientError) or _code(error) != _NOT_FOUND:
        return False
    return _NO_VALUE in str(error.response.get("Error", {}).get("Message", ""))


def _passes(error: BaseException | None) -> bool:
    """Whether waiting cures it: not a missing permission, nor a secret that is not there."""
    if isinstance(error, ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return status >= _SERVER_ERROR or _code(error) == "ThrottlingException"
    return isinstance(error, HTTPClientError | Unreachable)  # two families in botocore, for reading and connecting
