"""The rules for callers' access tokens."""

from pydantic import Field

from payments.core.model import Model


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
