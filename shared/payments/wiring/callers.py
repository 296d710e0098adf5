"""Authenticate callers by their tokens, with the current keys."""

import os
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Protocol

from payments.adapters.log import RequestLog
from payments.adapters.tokens import Tokens
from payments.core.errors import UnknownSigner
from payments.core.identity import TokenRules
from payments.wiring import aws, priming

if TYPE_CHECKING:
    from payments.adapters.jwks import KeySet


def prime() -> None:
    """Load what checking a token needs for the configured algorithm, and create its key set without fetching a key."""
    priming.build(TokenRules)
    algorithm, url = os.environ.get("JWT_ALGORITHM") or "HS256", os.environ.get("JWT_JWKS_URL", "").strip()
    if priming.load_public_keys(algorithm) and url:
        _key_set(url, algorithm)


class TokenSettings(Protocol):
    """The settings of a function that accepts tokens."""

    @property
    def token_rules(self) -> TokenRules: ...  # noqa: D102 - as in the settings


class Callers:
    """Reads callers' tokens. If no known key signed a token, reads the keys again, at most once a minute."""

    def __init__(self, settings: TokenSettings, renewed_settings: Callable[[], TokenSettings], log: RequestLog) -> None:
        """Create a check with these settings.

        Args:
            settings: the settings known so far.
            renewed_settings: reads the settings again, unless that was just done.
            log: the request's log.
        """
        self._rules = settings.token_rules
        self._renewed_settings = renewed_settings
        self._log = log

    def user_id(self, authorization: str | None) -> int:
        """Return the caller's id on the platform; see `Tokens.user_id`."""
        return self._read(lambda tokens: tokens.user_id(authorization))

    def user_with_scope(self, authorization: str | None, scope: str) -> int:
        """Return the id of a caller whose token has a scope; see `Tokens.user_with_scope`."""
        return self._read(lambda tokens: tokens.user_with_scope(authorization, scope))

    def _read(self, read: Callable[[Tokens], int]) -> int:
        try:
            return read(self._tokens(self._rules))
        except UnknownSigner:
            if self._rules.key_set_url is not None:
                raise  # a published key set refreshes itself
            rules = self._renewed_settings().token_rules
            if rules == self._rules:
                raise
        return read(self._tokens(rules))

    def _tokens(self, rules: TokenRules) -> Tokens:
        if rules.key_set_url is None:
            return Tokens(rules)
        keys = _key_set(rules.key_set_url, rules.algorithm)
        return Tokens(rules, lambda kid: keys.key(kid, self._notice))

    def _notice(self, why: str) -> None:
        self._log.note(stale=f"key set: {why}")
        self._log.count("KeySetFailures")


@cache
def _key_set(url: str, algorithm: str) -> "KeySet":
    # Loads `cryptography`, which HS256 does not need.
    from payments.adapters.jwks import KeySet, fetch_key_set  # noqa: PLC0415

    def fetch() -> bytes:
        return fetch_key_set(url)

    return KeySet(fetch, algorithm, lambda: aws.now())  # noqa: PLW0108 - looked up at each call, as everywhere
