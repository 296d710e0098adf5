"""Check what the platform signed: access tokens in `Authorization`, and the quotes of orders. Both are JWTs.

PyJWT checks the signature and the times. This module checks what PyJWT is lenient about but RFC 8725 ("JSON Web
Token Best Current Practices") is not: one spelling per token, no duplicate keys, the types of claims and the kind of
token.
"""

from base64 import urlsafe_b64decode
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import jwt

from payments.core.errors import MalformedRequest, MayNotRefund, Unauthenticated, UnknownSigner
from payments.core.identity import CLOCK_LEEWAY_S, QUOTE_AUDIENCE, QuoteRules, TokenRules
from payments.core.model import MAX_ID
from payments.core.wire import read_json

if TYPE_CHECKING:
    from jwt.types import Options

# API Gateway accepts 10 KiB of headers in total. A Cognito or Auth0 token takes about 1 KiB.
_MAX_TOKEN_CHARS = 8192
_MAX_KID_CHARS = 256
_SCHEME = "bearer "
_SEGMENTS = 3
# RFC 9068 gives access tokens their own type; everyone else says JWT or nothing. Logout tokens and security events are
# signed with the same keys and must not be accepted.
_TYPES = frozenset({"jwt", "at+jwt", "application/at+jwt"})
_QUOTE_TYPES = frozenset({"jwt"})
_TIMES = ("exp", "nbf", "iat")


class Tokens:
    """Reads callers' tokens."""

    def __init__(self, rules: TokenRules, published_key: Callable[[str], Any] | None = None) -> None:
        """Create a check with these rules.

        Args:
            rules: the configuration.
            published_key: for rules that name a key set. Returns its key for a `kid`, or raises UnknownSigner or
                KeysUnavailable.
        """
        self._rules = rules
        self._published_key = published_key

    def user_id(self, authorization: str | None) -> int:
        """Return the caller's id on the platform.

        Args:
            authorization: the header's value, `Bearer …`.

        Raises:
            Unauthenticated: the token is not valid; the reason is only for the log.
            KeysUnavailable: the key that the token names is not available right now.
        """
        return self._user_id(self._claims(authorization))

    def user_with_scope(self, authorization: str | None, scope: str) -> int:
        """Return the id of a caller whose token was granted a scope.

        The claim `scope` lists scopes separated by spaces (RFC 8693, section 4.2; RFC 9068, section 2.2.3). A list, as
        some issuers write it, is not accepted: two ways to read a permission are one too many.

        Args:
            authorization: the header's value, `Bearer …`.
            scope: the scope that is needed.

        Raises:
            MayNotRefund: the token is valid and does not have the scope.
            Unauthenticated, KeysUnavailable: as `user_id`.
        """
        claims = self._claims(authorization)
        user_id = self._user_id(claims)
        granted = claims.get("scope")
        if not isinstance(granted, str) or scope not in granted.split(" "):
            raise MayNotRefund("the token lacks the scope")
        return user_id

    def _claims(self, authorization: str | None) -> Mapping[str, Any]:
        token = _bearer(authorization)
        header_segment, payload_segment = _segments(token)
        header = _object(header_segment)
        _check_header(header, self._rules.algorithm, _TYPES)
        self._check_signature_and_times(token, self._key(header))
        # PyJWT has read the claims too, but it does not notice a duplicate name.
        return _object(payload_segment)

    def _key(self, header: Mapping[str, Any]) -> Any:  # noqa: ANN401 - PyJWT takes texts and key objects
        if self._published_key is None:
            return _configured_key(self._rules.algorithm, self._rules.key)
        kid = header.get("kid")
        if not isinstance(kid, str) or not 0 < len(kid) <= _MAX_KID_CHARS:
            raise Unauthenticated("no key id")
        return self._published_key(kid)

    def _check_signature_and_times(self, token: str, key: Any) -> None:  # noqa: ANN401 - as above
        rules = self._rules
        options: Options = {
            "require": ["exp", rules.user_claim],
            "verify_iss": rules.issuer is not None,
            # Cognito uses another claim: see _check_audience.
            "verify_aud": False,
            # PyJWT requires a string here. Where this claim names the user, strings and integers are both accepted.
            "verify_sub": False,
        }
        _decode(token, key, rules.algorithm, options, issuer=rules.issuer)

    def _user_id(self, claims: Mapping[str, Any]) -> int:
        for name in _TIMES:
            # PyJWT treats "1", true and 1 as equal.
            if not isinstance(claims.get(name, 0), int | Decimal) or isinstance(claims.get(name), bool):
                raise Unauthenticated("a time that is not a number")
        # djangorestframework-simplejwt and Cognito mark their tokens. A refresh or ID token is not an access token.
        if claims.get("token_type", "access") != "access" or claims.get("token_use", "access") != "access":
            raise Unauthenticated("not an access token")
        if QUOTE_AUDIENCE in _listed(claims.get("aud")):
            # A quote goes through the browser, and names its client as an access token may.
            raise Unauthenticated("a quote")
        self._check_audience(claims)
        return _id(claims[self._rules.user_claim])

    def _check_audience(self, claims: Mapping[str, Any]) -> None:
        audience = self._rules.audience
        if audience is None:
            return
        named = claims.get("aud")
        if "aud" not in claims and claims.get("token_use") == "access":
            # Cognito's access tokens carry the app client there instead ("Verifying JSON web tokens").
            named = claims.get("client_id")
        listed = _listed(named)
        if not all(isinstance(one, str) for one in listed) or audience not in listed:
            raise Unauthenticated("for another audience")


class Quotes:
    """Reads the platform's quotes."""

    def __init__(self, rules: QuoteRules) -> None:
        """Create a check with these rules, which have a key."""
        self._rules = rules

    def claims(self, quote: str) -> Mapping[str, Any]:
        """Return what a quote says, times included, which are not checked here: see `core.quotes`.

        Args:
            quote: three segments, as `CreateOrderBody` has checked.

        Raises:
            Unauthenticated: it is not signed with our key and algorithm, or is not strict JSON; the reason is only for
                the log.
        """
        header_segment, payload_segment = _segments(quote)
        header = _object(header_segment)
        _check_header(header, self._rules.algorithm, _QUOTE_TYPES)
        key = _configured_key(self._rules.algorithm, self._rules.key)
        _decode(quote, key, self._rules.algorithm, _SIGNATURE_ONLY)
        return _object(payload_segment)


# PyJWT has a clock of its own, and is lenient about the types of what it compares.
_SIGNATURE_ONLY: "Options" = {
    "verify_exp": False,
    "verify_nbf": False,
    "verify_iat": False,
    "verify_aud": False,
    "verify_iss": False,
    "verify_sub": False,
    "verify_jti": False,
}


def _check_header(header: Mapping[str, Any], algorithm: str, types: frozenset[str]) -> None:
    if header.get("alg") != algorithm:
        raise Unauthenticated("not the algorithm that is configured")
    if "crit" in header:
        # It lists extensions that a reader must understand, and we understand none.
        raise Unauthenticated("a critical extension")
    kind = header.get("typ", "JWT")
    if not isinstance(kind, str) or kind.lower() not in types:
        raise Unauthenticated("another kind of token")


def _decode(token: str, key: Any, algorithm: str, options: "Options", *, issuer: str | None = None) -> None:  # noqa: ANN401 - as in `Tokens`
    try:
        jwt.decode(token, key, algorithms=[algorithm], issuer=issuer, leeway=CLOCK_LEEWAY_S, options=options)
    except jwt.InvalidSignatureError:
        raise UnknownSigner("InvalidSignatureError") from None
    except (jwt.InvalidTokenError, ValueError) as error:
        # The type says what was wrong with the token. The message may quote the token.
        raise Unauthenticated(type(error).__name__) from None


def _configured_key(algorithm: str, key: str | None) -> Any:  # noqa: ANN401 - as in `Tokens`
    return (key or "") if algorithm == "HS256" else _public_key(key or "")


def _listed(audience: object) -> list[Any]:
    return audience if isinstance(audience, list) else [audience]


def _bearer(authorization: str | None) -> str:
    if authorization is None or authorization[: len(_SCHEME)].lower() != _SCHEME:
        raise Unauthenticated("no bearer token")
    token = authorization[len(_SCHEME) :].strip(" ")
    if len(token) > _MAX_TOKEN_CHARS:
        raise Unauthenticated("token too long")
    return token


def _segments(token: str) -> tuple[str, str]:
    """Return a token's header and payload segments, undecoded."""
    segments = token.split(".")
    # PyJWT accepts only one spelling of each segment (RFC 7515, section 2), apart from padding, which some issuers add.
    if len(segments) != _SEGMENTS or "=" in token:
        raise Unauthenticated("not three segments of base64url")
    return segments[0], segments[1]


def _object(segment: str) -> dict[str, Any]:
    try:
        document = read_json(urlsafe_b64decode(segment + "=" * (-len(segment) % 4)))
    except (MalformedRequest, ValueError):
        raise Unauthenticated("not strict JSON in base64url") from None
    if not isinstance(document, dict):
        raise Unauthenticated("not an object")
    return document


# Parsing PEM takes as long as checking a signature. Two keys, of tokens and of quotes, before and after a rotation.
@lru_cache(maxsize=4)
def _public_key(pem: str) -> Any:  # noqa: ANN401 - of a package that HS256 does without
    from cryptography.hazmat.primitives.serialization import load_pem_public_key  # noqa: PLC0415 - as above

    return load_pem_public_key(pem.encode())


def _id(claim: Any) -> int:  # noqa: ANN401 - any JSON value
    """Return the id from an integer or its plain decimal string; djangorestframework-simplejwt issues either."""
    if isinstance(claim, str) and claim.isascii() and claim.isdigit() and not claim.startswith("0"):
        claim = int(claim) if len(claim) <= len(str(MAX_ID)) else 0
    if not isinstance(claim, int) or isinstance(claim, bool) or not 1 <= claim <= MAX_ID:
        raise Unauthenticated("user claim of the wrong type")
    return claim
