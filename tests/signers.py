"""An identity service's keys, and hand-made tokens that no library would create."""

import base64
import json
import time
from dataclasses import dataclass
from functools import cache
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from sandbox import development

ALGORITHMS = ("HS256", "RS256", "ES256")
KID = "key-1"


@dataclass(frozen=True)
class Signer:
    """Signs tokens with one algorithm and key."""

    algorithm: str
    key: Any
    """A text (HS256) or a private key of `cryptography`."""

    @property
    def pem(self) -> str:
        """The public key in PEM format."""
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        text: bytes = self.key.public_key().public_bytes(serialization.Encoding.PEM, form)
        return text.decode()

    def jwk(self, kid: str = KID, **members: Any) -> dict[str, Any]:
        """The public key as a member of a key set."""
        algorithm: Any = jwt.get_algorithm_by_name(self.algorithm)
        public = algorithm.to_jwk(self.key.public_key(), as_dict=True)
        del_ops = {name: value for name, value in public.items() if name != "key_ops"}
        return {**del_ops, "kid": kid, "use": "sig", "alg": self.algorithm, **members}

    def token(self, claims: dict[str, Any] | bytes, header: dict[str, Any] | bytes | None = None) -> str:
        """A token with exactly this header and these claims; `alg` is this signer's unless the header has one."""
        if not isinstance(header, bytes):
            header = json.dumps({"alg": self.algorithm, "typ": "JWT", "kid": KID, **(header or {})}).encode()
        if not isinstance(claims, bytes):
            claims = json.dumps(claims).encode()
        signed = f"{segment(header)}.{segment(claims)}"
        algorithm: Any = jwt.get_algorithm_by_name(self.algorithm)
        return f"{signed}.{segment(algorithm.sign(signed.encode(), algorithm.prepare_key(self.key)))}"


def segment(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def signer(algorithm: str, number: int = 1) -> Signer:
    """The identity service's signer; another number gives another party's."""
    return _signer(algorithm, number)


@cache
def _signer(algorithm: str, number: int) -> Signer:
    if algorithm == "HS256":
        return Signer(
            algorithm, development.JWT_SECRET if number == 1 else f"another-secret-{number}-of-more-than-32-bytes"
        )
    if algorithm == "RS256":
        return Signer(algorithm, rsa.generate_private_key(public_exponent=65537, key_size=2048))
    return Signer(algorithm, ec.generate_private_key(ec.SECP256R1()))


def claims(**changes: Any) -> dict[str, Any]:
    """Valid claims for one minute; a change to None removes the claim."""
    now = int(time.time())
    made = {"token_type": "access", "user_id": "42", "iat": now, "exp": now + 60, **changes}
    return {name: value for name, value in made.items() if value is not None}
