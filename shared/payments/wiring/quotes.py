"""Check the platform's quotes, with the current key."""

import os
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from payments.adapters import tokens
from payments.core.errors import QuoteRefused, Unauthenticated, UnknownSigner
from payments.core.identity import QuoteRules
from payments.core.model import Order
from payments.core.quotes import check_quote, invalid_quote
from payments.wiring import priming


def prime() -> None:
    """Load what checking a quote needs for the configured algorithm."""
    priming.build(QuoteRules)
    priming.load_public_keys(os.environ.get("QUOTE_ALGORITHM") or "HS256")


class QuoteSettings(Protocol):
    """The settings of a function that accepts quotes."""

    @property
    def quote_rules(self) -> QuoteRules: ...  # noqa: D102 - as in the settings


class Quotes:
    """Checks quotes. If our key did not sign one, reads the key again, at most once a minute."""

    def __init__(self, settings: QuoteSettings, renewed_settings: Callable[[], QuoteSettings]) -> None:
        """Create a check with these settings.

        Args:
            settings: the settings known so far.
            renewed_settings: reads the settings again, unless that was just done.
        """
        self._rules = settings.quote_rules
        self._renewed_settings = renewed_settings

    def check(self, quote: str, offer: Order, now: int) -> None:
        """Check that the platform offers what the order asks for.

        Args:
            quote: as the client sent it; empty if there is none.
            offer: the order that the client asks for.
            now: epoch seconds.

        Raises:
            QuoteRefused: the quote is missing and required, invalid, expired or for another order.
        """
        if not quote:
            if self._rules.required:
                raise QuoteRefused("is required: ask the platform for one", "missing")
            return
        if self._rules.key is None:
            # Never ignored: whoever sends one believes that it protects the price.
            raise QuoteRefused("is not accepted, because quotes are not configured", "no key")
        try:
            claims = self._claims(quote)
        except Unauthenticated as refused:
            raise invalid_quote(str(refused)) from None
        check_quote(claims, offer, now)

    def _claims(self, quote: str) -> Mapping[str, Any]:
        try:
            return tokens.Quotes(self._rules).claims(quote)
        except UnknownSigner:
            rules = self._renewed_settings().quote_rules
            if rules.key is None or rules == self._rules:
                raise
        return tokens.Quotes(rules).claims(quote)
