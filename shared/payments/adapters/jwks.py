"""The identity service's published keys: its JSON Web Key Set, fetched and cached within limits.

PyJWT parses the keys. Its client is not used: after a failure it retries at once and waits 30 s each time, it drops
keys that were good a moment ago, and it checks neither the size of the response nor what a key is for.
"""

import re
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Any

import certifi
import urllib3
from jwt import InvalidKeyError
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from payments.core.errors import KeysUnavailable, MalformedRequest, UnknownSigner
from payments.core.wire import read_json

# Normally takes milliseconds. A caller waits for it, and verify has 9 seconds for everything.
CONNECT_TIMEOUT_S = 1.0
READ_TIMEOUT_S = 2.0
# A set of ten RSA keys with their certificates takes 30 KiB.
MAX_BYTES = 64 * 1024
MAX_KEYS = 100
# How long a revoked key stays valid here. The identity service gets six requests an hour from each instance.
FRESH_S = 600
# A forged `kid` triggers a refresh, but no more often than this. A new key used before it was published waits as long.
ASK_EVERY_S = 30
# Without any key every caller is refused, so refresh as often as callers are asked to retry.
ASK_WITHOUT_KEYS_EVERY_S = 5
# Known keys stay valid this long while the identity service is down: longer than most access tokens live, and too short
# for an attacker with a revoked key to gain much by keeping the service down.
USABLE_S = 3600

# Looking up the path loads part of the standard library, which the first request should not have to do.
_AUTHORITIES = certifi.where()
_MIN_RSA_BITS = 2048
# Above this size, checking one signature takes milliseconds.
_MAX_RSA_BITS = 8192
_OK = 200
_BASE64URL = re.compile(r"\A[A-Za-z0-9_-]+\Z")


@dataclass(frozen=True, slots=True)
class _Family:
    kty: str
    members: tuple[str, ...]
    """The public members. Nothing else in a JWK is read."""
    read: Callable[[dict[str, Any]], Any]


_FAMILIES: Mapping[str, _Family] = {
    "RS256": _Family("RSA", ("n", "e"), RSAAlgorithm.from_jwk),
    "ES256": _Family("EC", ("crv", "x", "y"), ECAlgorithm.from_jwk),
}


class KeySet:
    """The published keys by id. One set per function instance."""

    def __init__(self, fetch: Callable[[], bytes], algorithm: str, now: Callable[[], float]) -> None:
        """Create an empty set, which is filled on first use.

        Args:
            fetch: returns the document, or raises KeysUnavailable.
            algorithm: RS256 or ES256; keys for anything else are left out.
            now: returns epoch seconds. Not a monotonic clock, which may stand still while Lambda has frozen the
                instance.
        """
        self._fetch = fetch
        self._algorithm = algorithm
        self._now = now
        self._keys: dict[str, Any] = {}
        self._fetched_at = float("-inf")
        self._asked_at = float("-inf")
        self._failure: str | None = None
        self._lock = Lock()

    def key(self, kid: str, notice: Callable[[str], None]) -> Any:  # noqa: ANN401 - a public key of `cryptography`
        """Return the key with this id.

        Args:
            kid: the token's key id, which may be anything.
            notice: called with the failure's type if the identity service could not be reached.

        Raises:
            UnknownSigner: the identity service publishes no such key.
            KeysUnavailable: the identity service cannot be reached, and the key is not cached.
        """
        with self._lock:
            if self._now() - self._fetched_at >= FRESH_S:
                self._refresh(notice)
            if kid not in self._usable():
                self._refresh(notice)
            key = self._usable().get(kid)
            if key is not None:
                return key
            if self._failure is not None:
                raise KeysUnavailable(self._failure)
            raise UnknownSigner("no such key id")

    def _usable(self) -> Mapping[str, Any]:
        return self._keys if self._now() - self._fetched_at < USABLE_S else {}

    def _refresh(self, notice: Callable[[str], None]) -> None:
        """Fetch the keys again, unless it is too soon."""
        now = self._now()
        if now - self._asked_at < (ASK_EVERY_S if self._usable() else ASK_WITHOUT_KEYS_EVERY_S):
            return
        self._asked_at = now
        try:
            self._keys = read_key_set(self._fetch(), self._algorithm)
        except KeysUnavailable as failure:
            self._failure = str(failure)
            notice(self._failure)
        else:
            self._failure = None
            self._fetched_at = now


def read_key_set(raw: bytes, algorithm: str) -> dict[str, Any]:
    """Return the keys of a key set that can verify signatures of this algorithm, by id.

    Raises:
        KeysUnavailable: it is not a key set, or contains no such key.
    """
    try:
        document = read_json(raw)
    except MalformedRequest:
        raise KeysUnavailable("not strict JSON") from None
    listed = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(listed, list) or len(listed) > MAX_KEYS:
        raise KeysUnavailable("not a key set")
    found = [(jwk["kid"], key) for jwk in listed if (key := _key(jwk, algorithm)) is not None]
    # An id shared by two keys identifies neither.
    times = Counter(kid for kid, _ in found)
    keys = {kid: key for kid, key in found if times[kid] == 1}
    if not keys:
        raise KeysUnavailable("no key for the configured algorithm")
    return keys


def _key(jwk: object, algorithm: str) -> Any | None:  # noqa: ANN401 - as above
    """Return the key in a JWK, or None if it is not meant for verifying this algorithm's signatures, or is too weak."""
    family = _FAMILIES[algorithm]
    if not isinstance(jwk, dict) or not _is_meant_for(jwk, algorithm, family):
        return None
    members = {name: jwk.get(name) for name in family.members}
    if not all(isinstance(value, str) and _BASE64URL.match(value) for value in members.values()):
        return None
    if algorithm == "ES256" and members["crv"] != "P-256":
        return None
    try:
        key = family.read({"kty": family.kty, **members})
    except (InvalidKeyError, ValueError):
        return None
    if algorithm == "RS256" and not _MIN_RSA_BITS <= key.key_size <= _MAX_RSA_BITS:
        return None
    return key


def _is_meant_for(jwk: Mapping[str, Any], algorithm: str, family: _Family) -> bool:
    kid, operations = jwk.get("kid"), jwk.get("key_ops", ["verify"])
    return (
        jwk.get("kty") == family.kty
        and isinstance(kid, str)
        and kid != ""
        and jwk.get("alg", algorithm) == algorithm
        and jwk.get("use", "sig") == "sig"
        and isinstance(operations, list)
        and "verify" in operations
        # A private key that is published belongs to everyone.
        and "d" not in jwk
    )


def fetch_key_set(url: str) -> bytes:
    """Fetch the document at a URL: no redirects, no retries, within limits of size and time.

    botocore has loaded urllib3 already. Its timeouts apply to each wait; the deadline applies to the whole body.

    Raises:
        KeysUnavailable: it is unreachable, slow or too large, or returns anything but 200.
    """
    deadline = time.monotonic() + CONNECT_TIMEOUT_S + READ_TIMEOUT_S
    timeout = urllib3.Timeout(connect=CONNECT_TIMEOUT_S, read=READ_TIMEOUT_S)
    body = b""
    try:
        with (
            urllib3.PoolManager(cert_reqs="CERT_REQUIRED", ca_certs=_AUTHORITIES) as pool,
            # Closed right away: by the next refresh, in ten minutes, Lambda may have frozen the instance.
            pool.request(
                "GET",
                url,
                headers={"Accept": "application/json", "Connection": "close"},
                timeout=timeout,
                retries=False,
                redirect=False,
                preload_content=False,
            ) as response,
        ):
            if response.status != _OK:
                raise KeysUnavailable(f"answered {response.status}")
            while part := response.read1(MAX_BYTES):
                body += part
                if len(body) > MAX_BYTES:
                    raise KeysUnavailable("the answer is too large")
                if time.monotonic() > deadline:
                    raise KeysUnavailable("the answer takes too long")
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise KeysUnavailable(type(error).__name__) from error
    return body
