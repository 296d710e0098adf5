"""Who is calling: the JWT in `Authorization`, as the platform's identity service issues it."""

from typing import Any

import jwt

from payments.core.errors import Unauthenticated
from payments.core.identity import TokenRules
from payments.core.model import MAX_ID

# Clocks of well-kept servers differ by less; a longer leeway only lengthens a stolen token's life.
_LEEWAY_S = 30
_MAX_TOKEN_CHARS = 8192
_SCHEME = "bearer "


class Tokens:
    """Reads callers' tokens."""

    def __init__(self, rules: TokenRules) -> None:
        self._rules = rules

    def user_id(self, authorization: str | None) -> int:
        """The platform's id of the caller.

        Args:
            authorization: the header's value, `Bearer …`.

        Raises:
            Unauthenticated: for whatever reason; the reason is for the log alone.
        """
        if authorization is None or authorization[: len(_SCHEME)].lower() != _SCHEME:
            raise Unauthenticated("no bearer token")
        token = authorization[len(_SCHEME) :].strip()
        if len(token) > _MAX_TOKEN_CHARS:
            raise Unauthenticated("token too long")
        rules = self._rules
        try:
            claims = jwt.decode(
                token,
                rules.key,
                algorithms=[rules.algorithm],
                issuer=rules.issuer,
                audience=rules.audience,
                leeway=_LEEWAY_S,
                options={
                    "require": ["exp", rules.user_claim],
                    "verify_aud": rules.audience is not None,
                    "verify_iss": rules.issuer is not None,
                    # PyJWT insists on a text here; where the claim names the user, either type will do.
                    "verify_sub": False,
                },
            )
        except (jwt.InvalidTokenError, ValueError) as error:
            # The type says what was wrong with it; the message may quote the token.
            raise Unauthenticated(type(error).__name__) from None
        # djangorestframework-simplejwt marks its tokens; a refresh token opens no door but its own.
        if claims.get("token_type", "access") != "access":
            raise Unauthenticated("not an access token")
        return _user_id(claims[rules.user_claim])


def _user_id(claim: Any) -> int:  # noqa: ANN401 - any JSON value
    """An integer or its plain decimal string, as djangorestframework-simplejwt issues either."""
    if isinstance(claim, str) and claim.isascii() and claim.isdigit() and not claim.startswith("0"):
        claim = int(claim) if len(claim) <= len(str(MAX_ID)) else 0
    if not isinstance(claim, int) or isinstance(claim, bool) or not 1 <= claim <= MAX_ID:
        raise Unauthenticated("user claim of the wrong type")
    return claim
