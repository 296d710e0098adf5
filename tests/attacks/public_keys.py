"""Tokens that must be refused: RS256 and ES256, with one public key or a published key set."""

import base64
import json
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from sandbox import events
from tests.attacks.family import Event, Family, with_headers
from tests.attacks.tokens import CLAIMS, as_bytes, b64, made, unsigned

KEY_SET_URL: Final = "https://id.example.com/jwks.json"
_GET: Final = events.reading(events.ORDER_ID)
_REFUSED: Final = frozenset({401})
# The order of P-256's group (FIPS 186-4, D.1.2.3): r and s of a signature are always below it.
_P256_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_KIDS: Final = (
    "",
    " ",
    "key-2",
    "KEY-1",
    "key-1 ",
    " key-1",
    "key-1\n",
    "key-1\u0000",
    "key-\u0661",
    "*",
    "../key-1",
    "/dev/null",
    "0",
    "' OR '1'='1",
    "__class__",
    "k" * 2000,
)


@cache
def _rsa(name: str, bits: int = 2048) -> rsa.RSAPrivateKey:
    """A key pair, cached by name."""
    assert name
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


@cache
def _ec(name: str, curve: type[ec.EllipticCurve] = ec.SECP256R1) -> ec.EllipticCurvePrivateKey:
    """As `_rsa`."""
    assert name
    return ec.generate_private_key(curve())


def _pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> str:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def _signed(key: Any, algorithm: str, headers: Mapping[str, Any] | None = None) -> str:
    return jwt.encode(dict(CLAIMS), key, algorithm=algorithm, headers=dict(headers or {}))


def _message(algorithm: str, **header: object) -> str:
    return f"{b64(as_bytes({'alg': algorithm, 'typ': 'JWT', **header}))}.{b64(as_bytes(dict(CLAIMS)))}"


def _confused(algorithm: str, key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> dict[str, str]:
    """The public key, which anybody can read, used as an HMAC secret; and no signature at all."""
    pem = _pem(key)
    public = key.public_key()
    der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    forms: dict[str, str | bytes] = {
        "PEM": pem,
        "PEM without its last line break": pem.strip(),
        "PEM with Windows line breaks": pem.replace("\n", "\r\n"),
        "PEM on one line": pem.replace("\n", "\\n"),
        "PEM without its frame": "".join(pem.splitlines()[1:-1]),
        "DER": der,
        "DER in base64": base64.b64encode(der),
        "nothing": "",
    }
    if isinstance(public, rsa.RSAPublicKey):
        forms["PKCS #1"] = public.public_bytes(Encoding.PEM, PublicFormat.PKCS1)
        forms["JWK"] = RSAAlgorithm.to_jwk(public)
        forms["modulus"] = str(public.public_numbers().n)
    else:
        forms["JWK"] = ECAlgorithm.to_jwk(public)
        forms["point"] = public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    cases = {}
    for name, secret in forms.items():
        for said in ("HS256", "hs256", algorithm):
            cases[f"alg {said}, HMAC with the public key's {name}"] = made({"alg": said, "typ": "JWT"}, CLAIMS, secret)
    for said in ("none", "None", "NONE", "", algorithm):
        cases[f"alg {said!r}, not signed"] = unsigned({"alg": said, "typ": "JWT"}, CLAIMS)
        cases[f"alg {said!r}, signed with AAAA"] = unsigned({"alg": said, "typ": "JWT"}, CLAIMS, "AAAA")
    return cases


def _other_keys(algorithm: str, attacker: Any, jwk: dict[str, Any], headers: Mapping[str, Any]) -> dict[str, str]:
    """Signed with the attacker's key; the header says where to find it."""
    offers: dict[str, dict[str, Any]] = {
        "saying nothing": {},
        "in jwk": {"jwk": jwk},
        "in jku": {"jku": "https://attacker.example/jwks.json"},
        "in jku at the address that is configured": {"jku": KEY_SET_URL},
        "in jku on this machine": {"jku": "http://127.0.0.1:1/jwks.json"},
        "in x5u": {"x5u": "https://attacker.example/cert.pem"},
        "in x5c": {"x5c": ["MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A"]},
        "in iss": {"iss": "https://attacker.example/"},
    }
    return {
        f"a key of the attacker, {name}": _signed(attacker, algorithm, {**headers, **offer})
        for name, offer in offers.items()
    }


def _flipped(token: str) -> dict[str, str]:
    """Flips one bit in every byte of the signature, and in every fourth character of the signed text."""
    message, _, encoded = token.rpartition(".")
    signature = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))
    cases = {}
    for position in range(len(signature)):
        damaged = bytearray(signature)
        damaged[position] ^= 1 << (position % 8)
        cases[f"bit {position % 8} of byte {position} of the signature"] = f"{message}.{b64(bytes(damaged))}"
    for position in range(0, len(message), 4):
        damaged_text = message[:position] + chr(ord(message[position]) ^ (1 << position % 6)) + message[position + 1 :]
        cases[f"bit {position % 6} of character {position}"] = f"{damaged_text}.{encoded}"
    return cases


def _of_rsa() -> dict[str, str]:
    key, attacker = _rsa("ours"), _rsa("attacker")
    token = _signed(key, "RS256")
    message = _message("RS256")
    modulus = key.public_key().public_numbers().n
    size = key.key_size // 8
    signature = int.from_bytes(key.sign(message.encode(), padding.PKCS1v15(), hashes.SHA256()))
    numbers = {
        "0": 0,
        "1": 1,
        "the modulus": modulus,
        "the modulus less 1": modulus - 1,
        "all ones": (1 << key.key_size) - 1,
        "the negative of the signature": modulus - signature,
    }
    cases = _confused("RS256", key)
    jwk = json.loads(RSAAlgorithm.to_jwk(attacker.public_key()))
    cases |= _other_keys("RS256", attacker, jwk, {})
    cases |= _flipped(token)
    cases |= {f"the signature {name}": f"{message}.{b64(number.to_bytes(size))}" for name, number in numbers.items()}
    raw = signature.to_bytes(size)
    cases["the signature plus the modulus"] = f"{message}.{b64((signature + modulus).to_bytes(size + 1))}"
    cases["the signature with a zero before"] = f"{message}.{b64(bytes(1) + raw)}"
    cases["the signature with a zero after"] = f"{message}.{b64(raw + bytes(1))}"
    cases["the signature without its last byte"] = f"{message}.{b64(raw[:-1])}"
    cases["the signature twice"] = f"{message}.{b64(raw * 2)}"
    for other in ("RS384", "RS512", "PS256", "PS384", "PS512"):
        cases[f"alg {other} with the genuine key"] = _signed(key, other)
    cases["PSS under the name RS256"] = (
        f"{message}.{b64(key.sign(message.encode(), padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256()))}"
    )
    for name, digest in {"SHA-1": hashes.SHA1(), "SHA-384": hashes.SHA384(), "SHA-512": hashes.SHA512()}.items():  # noqa: S303 - what is tried
        cases[f"{name} under the name RS256"] = (
            f"{message}.{b64(key.sign(message.encode(), padding.PKCS1v15(), digest))}"
        )
    cases["alg ES256 with a key of its own"] = _signed(_ec("attacker"), "ES256")
    return cases


def _of_ec() -> dict[str, str]:
    key, attacker = _ec("ours"), _ec("attacker")
    token = _signed(key, "ES256")
    message = _message("ES256")
    der = key.sign(message.encode(), ec.ECDSA(hashes.SHA256()))
    r, s = decode_dss_signature(der)
    pairs = {
        "0 and 0": (0, 0),
        "r and 0": (r, 0),
        "0 and s": (0, s),
        "1 and 1": (1, 1),
        "the order and the order": (_P256_ORDER, _P256_ORDER),
        "r and the order": (r, _P256_ORDER),
        "the order and s": (_P256_ORDER, s),
        "s and r": (s, r),
        "r and r": (r, r),
        "all ones": (2**256 - 1, 2**256 - 1),
    }
    cases = _confused("ES256", key)
    jwk = json.loads(ECAlgorithm.to_jwk(attacker.public_key()))
    cases |= _other_keys("ES256", attacker, jwk, {})
    cases |= _flipped(token)
    cases |= {
        f"the signature {name}": f"{message}.{b64(one.to_bytes(32) + two.to_bytes(32))}"
        for name, (one, two) in pairs.items()
    }
    raw = r.to_bytes(32) + s.to_bytes(32)
    cases["the signature in DER"] = f"{message}.{b64(der)}"
    cases["the signature without its last byte"] = f"{message}.{b64(raw[:-1])}"
    cases["the signature with a zero after"] = f"{message}.{b64(raw + bytes(1))}"
    cases["the signature in 48 bytes each"] = f"{message}.{b64(r.to_bytes(48) + s.to_bytes(48))}"
    cases["the signature twice"] = f"{message}.{b64(raw * 2)}"
    cases["r alone"] = f"{message}.{b64(raw[:32])}"
    cases["alg ES384 with a key of its own"] = _signed(_ec("attacker", ec.SECP384R1), "ES384")
    cases["alg ES256K with a key of its own"] = _signed(_ec("attacker", ec.SECP256K1), "ES256K")
    cases["alg RS256 with a key of its own"] = _signed(_rsa("attacker"), "RS256")
    for name, digest in {"SHA-384": hashes.SHA384(), "SHA-512": hashes.SHA512()}.items():
        one, two = decode_dss_signature(key.sign(message.encode(), ec.ECDSA(digest)))
        cases[f"{name} under the name ES256"] = f"{message}.{b64(one.to_bytes(32) + two.to_bytes(32))}"
    return cases


# Keys in the set that may not sign tokens, by the reason.
_UNFIT: Final[dict[str, dict[str, Any]]] = {
    "use enc": {"use": "enc"},
    "use of no kind": {"use": ""},
    "key_ops without verify": {"key_ops": ["sign", "encrypt"]},
    "key_ops empty": {"key_ops": []},
    "key_ops a text": {"key_ops": "verify"},
    "alg RS512": {"alg": "RS512"},
    "alg PS256": {"alg": "PS256"},
    "alg HS256": {"alg": "HS256"},
    "kty EC": {"kty": "EC"},
    "kty oct": {"kty": "oct"},
    "no kty": {"kty": None},
}


@cache
def key_set() -> bytes:
    """The document at `KEY_SET_URL`: one good key, and others that must not be accepted."""
    good = {**json.loads(RSAAlgorithm.to_jwk(_rsa("ours").public_key())), "kid": "key-1", "alg": "RS256", "use": "sig"}
    good["key_ops"] = ["verify"]
    keys: list[Any] = [good]
    for name, change in _UNFIT.items():
        public = json.loads(RSAAlgorithm.to_jwk(_rsa("unfit").public_key()))
        keys.append({**public, "kid": name, "alg": "RS256", "use": "sig", "key_ops": ["verify"], **change})
    weak = json.loads(RSAAlgorithm.to_jwk(_rsa("weak", 1024).public_key()))
    private = json.loads(RSAAlgorithm.to_jwk(_rsa("private")))
    keys += [{**weak, "kid": "1024 bits"}, {**private, "kid": "a private key", "key_ops": ["verify"]}]
    keys += [{"kty": "oct", "kid": "a secret", "k": b64(b"attacker's key of more than 32 bytes")}, None, 5, {}]
    return json.dumps({"keys": keys}).encode()


def _of_key_set() -> dict[str, str]:
    good = {"kid": "key-1"}
    token = _signed(_rsa("ours"), "RS256", good)
    attacker = _rsa("attacker")
    jwk = json.loads(RSAAlgorithm.to_jwk(attacker.public_key()))
    cases = _other_keys("RS256", attacker, jwk, good)
    cases |= _flipped(token)
    cases |= {f"the genuine key under kid {kid[:30]!a}": _signed(_rsa("ours"), "RS256", {"kid": kid}) for kid in _KIDS}
    for kid in (None, 1, True, ["key-1"], {"kid": "key-1"}):
        signature = _rsa("ours").sign(_message("RS256", kid=kid).encode(), padding.PKCS1v15(), hashes.SHA256())
        cases[f"the genuine key under kid {kid!r}"] = f"{_message('RS256', kid=kid)}.{b64(signature)}"
    cases["the genuine key without a kid"] = _signed(_rsa("ours"), "RS256")
    for name in _UNFIT:
        cases[f"a published key with {name}"] = _signed(_rsa("unfit"), "RS256", {"kid": name})
    cases["a published key of 1024 bits"] = _weakly_signed()
    cases["a published private key"] = _signed(_rsa("private"), "RS256", {"kid": "a private key"})
    cases["a published secret"] = made(
        {"alg": "HS256", "typ": "JWT", "kid": "a secret"}, CLAIMS, "attacker's key of more than 32 bytes"
    )
    for algorithm in ("HS256", "RS256"):
        header = {"alg": algorithm, "typ": "JWT", "kid": "key-1"}
        cases[f"alg {algorithm}, HMAC with the published key"] = made(header, CLAIMS, _pem(_rsa("ours")))
        cases[f"alg {algorithm}, HMAC with the key set"] = made(header, CLAIMS, key_set())
    cases["alg none"] = unsigned({"alg": "none", "kid": "key-1"}, CLAIMS)
    return cases


def _weakly_signed() -> str:
    """Without PyJWT, which warns of such keys."""
    message = _message("RS256", kid="1024 bits")
    signature = _rsa("weak", 1024).sign(message.encode(), padding.PKCS1v15(), hashes.SHA256())
    return f"{message}.{b64(signature)}"


def _presented(token: str) -> Event:
    return with_headers(_GET, authorization=f"Bearer {token}")


def _family(name: str, tokens: Mapping[str, str], genuine: str, settings: Mapping[str, str]) -> Family:
    accepted = _presented(genuine)
    return Family(
        name=name,
        attacks={case: _presented(token) for case, token in tokens.items()},
        statuses=_REFUSED,
        genuine=accepted,
        control=accepted,
        settings=settings,
    )


def families() -> list[Family]:
    """Against the read-only endpoint: all endpoints check tokens in one place."""
    ours = _rsa("ours")
    return [
        _family(
            "token RS256",
            _of_rsa(),
            _signed(ours, "RS256"),
            {"JWT_ALGORITHM": "RS256", "JWT_PUBLIC_KEY": _pem(ours)},
        ),
        _family(
            "token ES256",
            _of_ec(),
            _signed(_ec("ours"), "ES256"),
            {"JWT_ALGORITHM": "ES256", "JWT_PUBLIC_KEY": _pem(_ec("ours"))},
        ),
        _family(
            "token RS256 by key set",
            _of_key_set(),
            _signed(ours, "RS256", {"kid": "key-1"}),
            {"JWT_ALGORITHM": "RS256", "JWT_JWKS_URL": KEY_SET_URL},
        ),
    ]
