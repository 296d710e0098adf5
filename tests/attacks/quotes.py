"""Quotes that buy nothing: forged, old, for another order, or another kind of token."""

import base64
import json
from collections.abc import Mapping
from hashlib import sha1, sha512
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from sandbox import development, events
from tests.attacks.family import Event, Family, with_json
from tests.attacks.public_keys import _ec, _pem, _rsa
from tests.attacks.tokens import (
    _KEY_HEADERS,
    _KIDS,
    _NONE,
    _OTHER_ALGORITHMS,
    HEADER,
    as_bytes,
    b64,
    made,
    unsigned,
)
from tests.handlers.service import CREATE_ORDER

# The clock of the target stands two minutes after the order of `events/`.
_NOW: Final = events.ORDERED_AT + 120
_SECRET: Final = development.QUOTE_SECRET
_CLAIMS: Final[Mapping[str, Any]] = {
    "aud": "payment-quote",
    "sub": "42",
    "job_id": 11,
    "application_id": 12,
    "freelancer_id": 77,
    "amount": "499.50",
    "currency": "INR",
    "iat": _NOW - 60,
    "exp": _NOW + 600,
}
_ORDER: Final = events.from_frontend(CREATE_ORDER, events.OFFER)
_SETTINGS: Final = {"JWT_SECRET": development.JWT_SECRET, "QUOTE_SECRET": _SECRET, "QUOTE_REQUIRED": "true"}
_REFUSED: Final = frozenset({400})


def _quoted(quote: object, **changes: object) -> Event:
    """The order with this for a quote, and other fields changed."""
    return with_json(_ORDER, {**events.OFFER, **changes, "quote": quote})


_VALID: Final = made(HEADER, _CLAIMS, _SECRET)
_GENUINE: Final = _quoted(_VALID)


def _claimed(**changes: object) -> str:
    """A properly signed quote with other claims; `...` removes one."""
    claims = {**_CLAIMS, **changes}
    return made(HEADER, {name: value for name, value in claims.items() if value is not ...}, _SECRET)


def _algorithms() -> dict[str, str]:
    cases: dict[str, str] = {}
    signature = _VALID.rpartition(".")[2]
    for name in _NONE:
        header = {**HEADER, "alg": name}
        cases[f"alg {name!a}, not signed"] = unsigned(header, _CLAIMS)
        cases[f"alg {name!a}, with a signature of another quote"] = unsigned(header, _CLAIMS, signature)
        cases[f"alg {name!a}, signed with the secret"] = made(header, _CLAIMS, _SECRET)
    for other in _OTHER_ALGORITHMS:
        cases[f"alg {other!a}, signed as HS256"] = made({**HEADER, "alg": other}, _CLAIMS, _SECRET)
    cases["signed with SHA-512"] = made(HEADER, _CLAIMS, _SECRET, sha512)
    cases["signed with SHA-1"] = made(HEADER, _CLAIMS, _SECRET, sha1)
    cases["no alg"] = made({"typ": "JWT"}, _CLAIMS, _SECRET)
    cases["alg twice"] = made(b'{"alg":"none","alg":"HS256"}', _CLAIMS, _SECRET)
    cases["a critical extension"] = made({**HEADER, "crit": ["exp"]}, _CLAIMS, _SECRET)
    for kind in ("at+jwt", "application/at+jwt", "logout+jwt", "dpop+jwt", "", None, 1, ["JWT"]):
        cases[f"typ {kind!r}"] = made({**HEADER, "typ": kind}, _CLAIMS, _SECRET)
    return cases


def _keys() -> dict[str, str]:
    secrets: dict[str, str | bytes] = {
        "the secret of login tokens": development.JWT_SECRET,
        "the key secret": development.RAZORPAY_KEY_SECRET,
        "the webhook secret": development.RAZORPAY_WEBHOOK_SECRET,
        "the key id": development.RAZORPAY_KEY_ID,
        "nothing": "",
        "a null byte": b"\x00",
        "the secret less one character": _SECRET[:-1],
        "the secret and a line break": f"{_SECRET}\n",
        "the secret in capitals": _SECRET.upper(),
        "the secret in base64": base64.b64encode(_SECRET.encode()),
        "the setting's name": "QUOTE_SECRET",
        "the audience": "payment-quote",
    }
    cases = {f"signed with {name}": made(HEADER, _CLAIMS, secret) for name, secret in secrets.items()}
    for kid in _KIDS:
        cases[f"kid {kid[:40]!a}, signed with the kid"] = made({**HEADER, "kid": kid}, _CLAIMS, kid)
    for name, header in _KEY_HEADERS.items():
        attackers = made({**HEADER, **header}, _CLAIMS, "attacker's key of more than 32 bytes")
        cases[f"{name}, signed with a key of the attacker"] = attackers
    return cases


def _odd(genuine: object) -> list[Any]:
    """What a claim may be in place of what it should be: other types, other spellings, nothing."""
    text = str(genuine)
    others: list[Any] = [..., None, True, False, 0, -1, "", "0", [], [genuine], {}, {"value": genuine}, "*", 1e9, 2**53]
    others += [f" {text}", f"{text} ", f"{text}\n", f"{text}\u0000", f"{text}\u200b", f"\ufeff{text}", f"{text},{text}"]
    # The same value, or nearly, in another type.
    if isinstance(genuine, int):
        others += [text, float(genuine), f"{genuine}.0", genuine + 1, -genuine]
    elif text.isdigit():
        others += [int(text), float(text), f"0{text}", f"+{text}", f"{text}.0", "43", "\u0664\u0662", "\uff14\uff12"]
    return others


_ODD_AMOUNTS: Final[list[Any]] = [
    499.5,
    499.50,
    49950,
    "49950",
    500,
    "500",
    "499.51",
    "499.49",
    "1.00",
    "499,50",
    "499.500",
    "499.5000",
    "4.995e2",
    "+499.50",
    "-499.50",
    "499.50 INR",
    "\u20b9499.50",
    "499.50.0",
    "\u0664\u0669\u0669.\u0665",
    "\uff14\uff19\uff19.5",
    "NaN",
    "Infinity",
    "1e400",
    "9" * 400,
    "00000000000000000499.50",
]
_ODD_CURRENCIES: Final[list[Any]] = [
    "USD",
    "inr",
    "Inr",
    "\uff29\uff2e\uff32",
    "IN",
    "356",
    "INRR",
    "XXX",
    ["INR", "USD"],
]
_ODD_AUDIENCES: Final[list[Any]] = [
    "payments",
    "payment-quotes",
    "payment_quote",
    "Payment-Quote",
    "PAYMENT-QUOTE",
    "payment\u2010quote",
    "p\u0430yment-quote",
    ["payment-quote"],
    ["payments", "payment-quote"],
    {"payment-quote": 1},
]


def _terms() -> dict[str, str]:
    more = {"amount": _ODD_AMOUNTS, "currency": _ODD_CURRENCIES, "aud": _ODD_AUDIENCES, "sub": [], "job_id": []}
    names = [name for name in _CLAIMS if name not in {"iat", "exp"}]
    cases = {
        f"{name} {value!a:.60}": _claimed(**{name: value})
        for name in names
        for value in [*_odd(_CLAIMS[name]), *more.get(name, [])]
    }
    for name in names:
        cases[f"{name} in capitals"] = _claimed(**{name: ..., name.upper(): _CLAIMS[name]})
        cases[f"{name} further in"] = _claimed(**{name: ..., "order": {name: _CLAIMS[name]}})
        twice = json.dumps(dict(_CLAIMS))[:-1]
        cases[f"{name} twice"] = made(HEADER, f'{twice},"{name}":{json.dumps(_CLAIMS[name])}}}'.encode(), _SECRET)
    cases["the client in client_id"] = _claimed(sub=..., client_id=42)
    cases["the client in user_id"] = _claimed(sub=..., user_id=42)
    cases["the amount in paise"] = _claimed(amount=..., amount_minor=49950)
    return {name.replace("Ellipsis", "missing"): quote for name, quote in cases.items()}


def _times() -> dict[str, str]:
    wrong: list[Any] = [
        ...,
        None,
        True,
        "",
        "soon",
        float(_NOW),
        _NOW + 0.5,
        str(_NOW),
        [_NOW],
        {},
        -1,
        2**53,
        10**30,
        -(10**30),
    ]
    cases = {f"{name} {value!r}": _claimed(**{name: value}) for name in ("iat", "exp") for value in wrong}
    cases |= {f"nbf {value!r}": _claimed(nbf=value) for value in [*wrong[1:], _NOW + 31, _NOW + 600]}
    for issued, expires in (
        (-60, 841),
        (0, 901),
        (-900, 1),
        (-30, 3600),
        (-60, 86400),
        (-60, 10**9),
        (-600, -30),
        (-900, -31),
        (-(10**6), -(10**6) + 600),
        (31, 600),
        (600, 1200),
        (0, 0),
        (20, 10),
        (-10, -20),
        (-_NOW, 600),
    ):
        cases[f"from {issued} to {expires}"] = _claimed(iat=_NOW + issued, exp=_NOW + expires)
    return {name.replace("Ellipsis", "missing"): quote for name, quote in cases.items()}


def _shapes() -> dict[str, Any]:
    header, payload, signature = _VALID.split(".")
    cases: dict[str, Any] = {
        f"cut off after {length} characters": _VALID[:length] for length in range(0, len(_VALID), 20)
    }
    cases |= {f"{value!r:.40}": value for value in (None, True, 0, 1.5, [], [_VALID], {}, {"quote": _VALID})}
    marks = ("=", "==", " ", "\n", "\t", "\u0000", "%20", "+", "/", "\u00e4", "\u200b", "\u00ad", "A", "AA", ".")
    for mark in marks:
        cases[f"{mark!a} before"] = mark + _VALID
        cases[f"{mark!a} after"] = _VALID + mark
        cases[f"{mark!a} after the header"] = f"{header}{mark}.{payload}.{signature}"
        cases[f"{mark!a} within the claims"] = f"{header}.{payload[:20]}{mark}{payload[20:]}.{signature}"
        cases[f"{mark!a} within the signature"] = f"{header}.{payload}.{signature[:20]}{mark}{signature[20:]}"
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    for spare in (1, 2, 3):
        last = alphabet[alphabet.index(signature[-1]) ^ spare]
        cases[f"spare bits {spare} of the signature"] = f"{header}.{payload}.{signature[:-1]}{last}"
    cases |= {
        "the parts in another order": f"{payload}.{header}.{signature}",
        "four parts": f"{_VALID}.{signature}",
        "the scheme of a header": f"Bearer {_VALID}",
        "another order's signature": f"{header}.{payload}.{_claimed(amount='1.00').split('.')[2]}",
        "another order's claims": f"{header}.{_claimed(amount='1.00').split('.')[1]}.{signature}",
        "a quote within a quote": made({**HEADER, "cty": "JWT"}, _VALID.encode(), _SECRET),
        "claims that are a list": made(HEADER, [dict(_CLAIMS)], _SECRET),
        "claims that are a text": made(HEADER, "claims", _SECRET),
        "claims with NaN": made(HEADER, as_bytes(dict(_CLAIMS))[:-1] + b',"x":NaN}', _SECRET),
        "claims with a lone surrogate": made(HEADER, as_bytes(dict(_CLAIMS))[:-1] + b',"x":"\\ud800"}', _SECRET),
        "claims nested deeply": made(
            HEADER, as_bytes(dict(_CLAIMS))[:-1] + b',"x":' + b"[" * 99 + b"]" * 99 + b"}", _SECRET
        ),
        "huge": made(HEADER, {**_CLAIMS, "x": "x" * 4000}, _SECRET),
        "huge and empty": "a" * 7000,
        "huge in dots": "." * 7000,
        "in look-alikes": _VALID.replace("e", "\u0435"),
    }
    return cases


def _kinds() -> dict[str, str]:
    """Tokens of other kinds; the platform signs them for the same client."""
    login = events.token(events.CLIENT)
    as_login = {"token_type": "access", "user_id": 42, "sub": "42", "iat": _NOW - 60, "exp": _NOW + 600}
    return {
        "a login token": login,
        "a login token signed with the key of quotes": made(HEADER, as_login, _SECRET),
        "a login token for the audience of quotes": made(HEADER, {**as_login, "aud": "payment-quote"}, _SECRET),
        "a quote signed with the key of login tokens": made(HEADER, _CLAIMS, development.JWT_SECRET),
    }


def _flips() -> dict[str, str]:
    message, _, encoded = _VALID.rpartition(".")
    signature = base64.urlsafe_b64decode(f"{encoded}=")
    cases = {}
    for position in range(len(signature)):
        damaged = bytearray(signature)
        damaged[position] ^= 1 << (position % 8)
        cases[f"bit {position % 8} of byte {position} of the signature"] = f"{message}.{b64(bytes(damaged))}"
    for position in range(0, len(message), 4):
        changed = chr(ord(message[position]) ^ (1 << position % 6))
        cases[f"character {position}"] = f"{message[:position]}{changed}{message[position + 1 :]}.{encoded}"
    return cases


def _against_order() -> dict[str, Event]:
    """Orders that the genuine quote is not for, and the missing quote."""
    cases = {
        f"another {field}": _quoted(_VALID, **{field: value})
        for field, value in {
            "job_id": 12,
            "application_id": 13,
            "freelancer_id": 78,
            "amount": "1.00",
        }.items()
    }
    cases |= {
        f"amount {amount!r} in the order": _quoted(_VALID, amount=amount)
        for amount in (1, 499, 499.49, 499.51, "499.49", "49950", 49950, 500)
    }
    cases["another client's quote"] = _quoted(_claimed(sub="43"))
    cases["no quote"] = _ORDER
    cases["a quote in a header"] = {**_ORDER, "headers": {**_ORDER["headers"], "Quote": _VALID, "X-Quote": _VALID}}
    cases["a quote by another name"] = with_json(_ORDER, {**events.OFFER, "Quote": _VALID})
    body = json.dumps({**events.OFFER, "quote": _VALID})[:-1]
    cases["two quotes"] = {**_ORDER, "body": f'{body},"quote":{json.dumps(_claimed(amount="1.00"))}}}'}
    cases["two amounts"] = {**_ORDER, "body": f'{body},"amount":1}}'}
    return cases


def _stolen() -> dict[str, Event]:
    """The genuine quote in the hands of another client, who may not order for the one that it names."""
    another = events.from_frontend(CREATE_ORDER, events.OFFER, user_id=events.SOMEBODY_ELSE)
    return {
        "for the client of the quote": with_json(another, {**events.OFFER, "quote": _VALID}),
        "without the quote": with_json(another, dict(events.OFFER)),
    }


def _presented(quotes: Mapping[str, Any]) -> dict[str, Event]:
    return {name: _quoted(quote) for name, quote in quotes.items()}


def _family(
    name: str,
    attacks: Mapping[str, Event],
    *,
    statuses: frozenset[int] = _REFUSED,
    genuine: Event = _GENUINE,
    settings: Mapping[str, str] = _SETTINGS,
) -> Family:
    return Family(
        name=f"quote {name}", attacks=attacks, statuses=statuses, genuine=genuine, control=genuine, settings=settings
    )


def _of_public_key(algorithm: str, key: Any, attacker: Any) -> Family:
    """Quotes under a public key, which everyone has."""
    pem = _pem(key)
    claims = dict(_CLAIMS)
    valid = jwt.encode(claims, key, algorithm=algorithm)
    message, _, encoded = valid.rpartition(".")
    cases: dict[str, str] = {
        "a key of the attacker": jwt.encode(claims, attacker, algorithm=algorithm),
        "the key in jwk": jwt.encode(claims, attacker, algorithm=algorithm, headers={"jwk": {"kty": "RSA"}}),
        "a login token of the same key": jwt.encode({"user_id": 42, "sub": "42", "exp": _NOW + 600}, key, algorithm),
        "for another amount": jwt.encode({**claims, "amount": "1.00"}, key, algorithm),
        "for another client": jwt.encode({**claims, "sub": "43"}, key, algorithm),
        "expired": jwt.encode({**claims, "iat": _NOW - 600, "exp": _NOW - 31}, key, algorithm),
        "a signature cut in half": f"{message}.{encoded[: len(encoded) // 2]}",
        "a signature of zeros": f"{message}.{'A' * len(encoded)}",
        "signed as HS256 with the secret of quotes": _VALID,
    }
    for form, secret in {"PEM": pem, "PEM on one line": pem.strip(), "nothing": ""}.items():
        for said in ("HS256", algorithm):
            cases[f"alg {said}, HMAC with the public key's {form}"] = made({"alg": said, "typ": "JWT"}, claims, secret)
    for said in ("none", "None", algorithm):
        cases[f"alg {said}, not signed"] = unsigned({"alg": said, "typ": "JWT"}, claims)
        cases[f"alg {said}, signed with AAAA"] = unsigned({"alg": said, "typ": "JWT"}, claims, "AAAA")
    if algorithm == "RS256":
        pss = key.sign(message.encode(), padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256())
        cases["signed as PS256"] = f"{message}.{b64(pss)}"
    return _family(
        f"{algorithm}",
        _presented(cases),
        genuine=_quoted(valid),
        settings={
            "JWT_SECRET": development.JWT_SECRET,
            "QUOTE_ALGORITHM": algorithm,
            "QUOTE_PUBLIC_KEY": pem,
            "QUOTE_REQUIRED": "true",
        },
    )


def families() -> list[Family]:
    """Against create-order where quotes are required; and where they are taken, or not, but not required."""
    taken = {name: value for name, value in _SETTINGS.items() if name != "QUOTE_REQUIRED"}
    optional = {
        name: event for name, event in _against_order().items() if name not in {"no quote", "a quote in a header"}
    }
    found = [
        _family("algorithm", _presented(_algorithms())),
        _family("key", _presented(_keys())),
        _family("terms", _presented(_terms())),
        _family("times", _presented(_times())),
        _family("shape", _presented(_shapes())),
        _family("kind", _presented(_kinds())),
        _family("bits", _presented(_flips())),
        _family("of another order", _against_order()),
        _family("of another order, not required", optional, settings=taken),
        _family("in other hands", _stolen(), statuses=frozenset({403})),
        _of_public_key("RS256", _rsa("ours"), _rsa("attacker")),
        _of_public_key("ES256", _ec("ours"), _ec("attacker")),
    ]
    # Without a key nothing could be checked, so that even the genuine one is refused.
    unchecked = Family(
        name="quote without a key",
        attacks=_presented({"genuine": _VALID, "unsigned": unsigned({"alg": "none"}, _CLAIMS, "AAAA")}),
        statuses=_REFUSED,
        genuine=_ORDER,
        control=_ORDER,
    )
    # A quote in the place of the login token.
    bearer = Family(
        name="quote as a login token",
        attacks={
            name: {**_ORDER, "headers": {**_ORDER["headers"], "Authorization": f"Bearer {token}"}}
            for name, token in {
                "as it is": _VALID,
                "with the user, signed with the key of login tokens": made(
                    HEADER, {**_CLAIMS, "user_id": 42, "exp": 2**32}
                ),
                "among other audiences": made(
                    HEADER, {"user_id": 42, "exp": 2**32, "aud": ["payments", "payment-quote"]}
                ),
            }.items()
        },
        statuses=frozenset({401}),
        genuine=_ORDER,
        control=_ORDER,
    )
    return [*found, unchecked, bearer]
