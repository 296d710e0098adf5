"""The rules for what the platform signs: callers' access tokens, and the quotes of orders."""

from typing import Final

from pydantic import Field

from payments.core.model import Model

CLOCK_LEEWAY_S: Final = 30
"""Clocks of well-kept servers differ by less. A longer leeway only extends a stolen token's life."""
QUOTE_AUDIENCE: Final = "payment-quote"
"""The `aud` of the platform's quotes (see `quotes`). No access token may have it, whatever key signed it."""


class TokenRules(Model):
    """The configuration of the check. We choose the algorithm, never the token.

    Attributes:
        algorithm: HS256, RS256 or ES256.
        key: the secret for HS256, otherwise the public key in PEM form; None if `key_set_url` is set.
        key_set_url: the URL of the identity service's keys (a JWKS); the token's `kid` selects one.
        user_claim: the claim that contains the caller's user id.
        issuer: the required `iss`; None if it is not checked.
        audience: the value that `aud` must be or contain; None if it is not checked.
    """

    algorithm: str
    key: str | None = Field(default=None, repr=False)
    key_set_url: str | None = None
    user_claim: str
    issuer: str | None = None
    audience: str | None = None


class QuoteRules(Model):
    """The configuration of the check of quotes. We choose the algorithm, never the quote.

    Attributes:
        algorithm: HS256, RS256 or ES256.
        key: the secret for HS256, otherwise the public key in PEM form; None if this service takes no quotes.
        required: whether an order without a quote is refused.
    """

    algorithm: str
    key: str | None = Field(default=None, repr=False)
    required: bool = False
