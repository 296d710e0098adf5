"""What a caller's token must be."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRules:
    """The configuration of the check. The algorithm is ours to choose, never the token's."""

    algorithm: str
    key: str = field(repr=False)
    user_claim: str
    issuer: str | None = None
    audience: str | None = None
