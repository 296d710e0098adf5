"""What a caller's token must be."""

from pydantic import Field

from payments.core.model import Model


class TokenRules(Model):
    """The configuration of the check. The algorithm is ours to choose, never the token's.

    Attributes:
        algorithm: HS256, RS256 or ES256.
        key: HS256: the secret. Else the public key in PEM form, or None where `key_set_url` has the keys.
        key_set_url: where the identity service publishes its keys (a JWKS); the token's `kid` says which it is.
        user_claim: the claim that holds the caller's user id.
        issuer: what `iss` must be; None: not checked.
        audience: what `aud` must be or contain; None: not checked.
    """

    algorithm: str
    key: str | None = Field(default=None, repr=False)
    key_set_url: str | None = None
    user_claim: str
    issuer: str | None = None
    audience: str | None = None
