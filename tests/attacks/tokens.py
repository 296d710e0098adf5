"""Tokens that must be refused: HS256, where both sides share one secret."""

import base64
import hmac
import json
from collections.abc import Mapping
from hashlib import md5, sha1, sha256, sha384, sha512
from typing import Any, Final

from sandbox import development, events
from tests.attacks.family import Event, Family, checkout, with_headers, with_json
from tests.handlers.service import CREATE_ORDER, VERIFY

FAR: Final = 4_102_444_800
SECRET: Final = development.JWT_SECRET
CLAIMS: Final[Mapping[str, Any]] = {"user_id": events.CLIENT, "exp": FAR, "token_type": "access"}
HEADER: Final[Mapping[str, Any]] = {"alg": "HS256", "typ": "JWT"}
VALID: Final = events.token(events.CLIENT)


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def as_bytes(document: object) -> bytes:
    return document if isinstance(document, bytes) else json.dumps(document).encode()


def made(header: object, claims: object, key: str | bytes = SECRET, digest: Any = sha256) -> str:
    """A token whose signature is valid for this key and digest, whatever the header says."""
    message = f"{b64(as_bytes(header))}.{b64(as_bytes(claims))}"
    secret = key.encode() if isinstance(key, str) else key
    return f"{message}.{b64(hmac.new(secret, message.encode(), digest).digest())}"


def unsigned(header: object, claims: object, signature: str = "") -> str:
    return f"{b64(as_bytes(header))}.{b64(as_bytes(claims))}.{signature}"


def claimed(**changes: object) -> str:
    """A properly signed token with other claims; None removes one."""
    claims = {**CLAIMS, **changes}
    return made(HEADER, {name: value for name, value in claims.items() if value is not ...})


_NONE = [
    "none",
    "None",
    "NONE",
    "nOnE",
    "noNe",
    " none",
    "none ",
    "none\n",
    "none\u0000",
    "",
    "null",
    "nil",
    "n\u043ene",
    "\uff4e\uff4f\uff4e\uff45",
    "NoNe",
    "plain",
    "unsecured",
]
_OTHER_ALGORITHMS: list[Any] = [
    "RS256",
    "RS384",
    "RS512",
    "ES256",
    "ES384",
    "ES512",
    "ES256K",
    "PS256",
    "PS384",
    "PS512",
    "EdDSA",
    "Ed25519",
    "HS384",
    "HS512",
    "HS224",
    "HS1",
    "HS",
    "HMAC",
    "hs256",
    "Hs256",
    "hS256",
    " HS256",
    "HS256 ",
    "HS256\n",
    "HS256\u0000",
    "HS-256",
    "HS256,none",
    "A256KW",
    "dir",
    "\uff28\uff33256",
    None,
    True,
    256,
    0,
    [],
    ["HS256"],
    ["HS256", "none"],
    {},
    {"alg": "HS256"},
]
_KEYS: dict[str, str | bytes] = {
    "an empty key": "",
    "a null byte": b"\x00",
    "'secret'": "secret",
    "'null'": "null",
    "'undefined'": "undefined",
    "'HS256'": "HS256",
    "the key id": development.RAZORPAY_KEY_ID,
    "Razorpay's key secret": development.RAZORPAY_KEY_SECRET,
    "the webhook secret": development.RAZORPAY_WEBHOOK_SECRET,
    "the previous webhook secret": development.RAZORPAY_WEBHOOK_SECRET_PREVIOUS,
    "the secret less one character": SECRET[:-1],
    "the secret and a line break": f"{SECRET}\n",
    "the secret and a blank": f"{SECRET} ",
    "a blank and the secret": f" {SECRET}",
    "the secret in capitals": SECRET.upper(),
    "the secret backwards": SECRET[::-1],
    "the secret's first 32 bytes": SECRET[:32],
    "the secret twice": SECRET * 2,
    "the secret in base64": base64.b64encode(SECRET.encode()),
    "the secret in base64 for URLs": b64(SECRET.encode()),
    "the secret in hex": SECRET.encode().hex(),
    "the secret's SHA-256": sha256(SECRET.encode()).digest(),
    "the secret's SHA-256 in hex": sha256(SECRET.encode()).hexdigest(),
    "the secret in UTF-16": SECRET.encode("utf-16"),
    "the secret in quotes": f'"{SECRET}"',
    "the setting's name": "JWT_SECRET",
    "Django's default": "django-insecure-key-of-more-than-32-characters",
}
_KIDS: list[Any] = [
    "../../../../dev/null",
    "/dev/null",
    "/proc/sys/kernel/randomize_va_space",
    "file:///dev/null",
    "C:\\NUL",
    "' OR '1'='1",
    "x' UNION SELECT '' --",
    "1; DROP TABLE keys",
    "$(cat /dev/null)",
    "| true",
    "`true`",
    "%00",
    "\u0000",
    "",
    " ",
    "*",
    "0",
    "null",
    "none",
    "http://127.0.0.1/key",
    "https://attacker.example/jwks.json",
    "ldap://127.0.0.1/x",
    "{{7*7}}",
    "${jndi:ldap://127.0.0.1/x}",
    "k" * 2000,
    "\u202e",
    "..",
    ".",
]
_KEY_HEADERS: dict[str, dict[str, Any]] = {
    "jku": {"jku": "https://attacker.example/jwks.json"},
    "jku on this machine": {"jku": "http://127.0.0.1:1/jwks.json"},
    "jku of a file": {"jku": "file:///etc/passwd"},
    "jku with a user": {"jku": "https://id.example.com@attacker.example/jwks.json"},
    "x5u": {"x5u": "https://attacker.example/cert.pem"},
    "x5u of a file": {"x5u": "file:///dev/null"},
    "x5c": {"x5c": ["MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A"]},
    "x5t": {"x5t": "AAAA", "x5t#S256": "AAAA"},
    "jwk": {"jwk": {"kty": "oct", "k": b64(b"attacker's key of more than 32 bytes")}},
    "jwk without a key": {"jwk": {"kty": "oct", "k": ""}},
    "jwk of RSA": {"jwk": {"kty": "RSA", "n": "AQAB", "e": "AQAB"}},
    "jwks": {"jwks": {"keys": [{"kty": "oct", "k": b64(b"attacker's key of more than 32 bytes")}]}},
    "p2s and p2c": {"p2s": "AAAA", "p2c": 2**31},
    "zip": {"zip": "DEF"},
    "enc": {"enc": "A256GCM"},
    "cty": {"cty": "JWT"},
}
_WRONG_TYPES: dict[str, Any] = {
    "a text": "tomorrow",
    "a number as a text": str(FAR),
    "an empty text": "",
    "true": True,
    "false": False,
    "null": None,
    "a list": [FAR],
    "an object": {"value": FAR},
    "NaN": float("nan"),
    "Infinity": float("inf"),
    "-Infinity": float("-inf"),
}
_WRONG_USERS: list[Any] = [
    True,
    False,
    None,
    0,
    -0.0,
    -42,
    42.0,
    42.5,
    4.2e1,
    "",
    "042",
    "42.0",
    "+42",
    "-42",
    " 42",
    "42 ",
    "42\n",
    "4_2",
    "4 2",
    "\u0664\u0662",
    "\uff14\uff12",
    "0x2a",
    "0b101010",
    "1e3",
    "4.2e1",
    "42\u0000",
    "42,43",
    "42;43",
    "9" * 400,
    str(2**53),
    2**53,
    -(2**53),
    10**30,
    [42],
    [[42]],
    ["42"],
    {"id": 42},
    {"$eq": 42},
    "user",
    "admin",
    "*",
    "null",
    "\u00b2",
    "four",
]


def _algorithms() -> dict[str, str]:
    cases: dict[str, str] = {}
    signature = VALID.rpartition(".")[2]
    for name in _NONE:
        header = {**HEADER, "alg": name}
        cases[f"alg {name!a}, not signed"] = unsigned(header, CLAIMS)
        cases[f"alg {name!a}, with a signature of another token"] = unsigned(header, CLAIMS, signature)
        cases[f"alg {name!a}, signed with nothing"] = made(header, CLAIMS, "")
    for name in _OTHER_ALGORITHMS:
        cases[f"alg {name!a}, signed as HS256"] = made({**HEADER, "alg": name}, CLAIMS)
    cases["alg HS384, as it should be"] = made({**HEADER, "alg": "HS384"}, CLAIMS, digest=sha384)
    cases["alg HS512, as it should be"] = made({**HEADER, "alg": "HS512"}, CLAIMS, digest=sha512)
    cases["alg HS256, signed with SHA-512"] = made(HEADER, CLAIMS, digest=sha512)
    cases["alg HS256, signed with SHA-1"] = made(HEADER, CLAIMS, digest=sha1)
    cases["alg HS256, signed with MD5"] = made(HEADER, CLAIMS, digest=md5)
    cases["no alg"] = made({"typ": "JWT"}, CLAIMS)
    cases["an empty header"] = made({}, CLAIMS)
    cases["Alg in place of alg"] = made({"Alg": "HS256"}, CLAIMS)
    cases["alg twice, none last"] = made(b'{"alg":"HS256","alg":"none"}', CLAIMS)
    cases["alg twice, none first"] = made(b'{"alg":"none","alg":"HS256"}', CLAIMS)
    cases["alg twice by an escape"] = made(b'{"\\u0061lg":"none","alg":"HS256"}', CLAIMS)
    return cases


def _keys() -> dict[str, str]:
    cases = {f"signed with {name}": made(HEADER, CLAIMS, key) for name, key in _KEYS.items()}
    for kid in _KIDS:
        name = f"kid {kid[:40]!a}"
        cases[f"{name}, signed with nothing"] = made({**HEADER, "kid": kid}, CLAIMS, "")
        cases[f"{name}, signed with the kid"] = made({**HEADER, "kid": kid}, CLAIMS, kid)
    for odd in (5, True, ["k"], {"k": 1}):
        cases[f"kid {odd!r}, signed with nothing"] = made({**HEADER, "kid": odd}, CLAIMS, "")
    for name, header in _KEY_HEADERS.items():
        cases[f"{name}, signed with a key of the attacker"] = made(
            {**HEADER, **header}, CLAIMS, "attacker's key of more than 32 bytes"
        )
        cases[f"{name}, not signed"] = unsigned({**HEADER, **header}, CLAIMS)
    cases["crit of what nobody knows"] = made({**HEADER, "crit": ["x"], "x": 1}, CLAIMS)
    cases["crit that is empty"] = made({**HEADER, "crit": []}, CLAIMS)
    cases["crit that is no list"] = made({**HEADER, "crit": "exp"}, CLAIMS)
    cases["b64 false, critical"] = made({**HEADER, "b64": False, "crit": ["b64"]}, CLAIMS)
    return cases


def _claims() -> dict[str, str]:
    cases = {f"exp {name}": claimed(exp=value) for name, value in _WRONG_TYPES.items()}
    cases |= {f"nbf {name}": claimed(nbf=value) for name, value in _WRONG_TYPES.items() if value is not None}
    cases |= {f"exp {value}": claimed(exp=value) for value in (0, 1, -1, -FAR, 1_500_000_000, 1_700_000_000.5)}
    cases |= {f"nbf {value}": claimed(nbf=value) for value in (FAR, FAR - 10, FAR + 0.5)}
    cases |= {f"user {value!a:.60}": claimed(user_id=value) for value in _WRONG_USERS}
    cases |= {
        f"token_type {value!r}": claimed(token_type=value)
        for value in ("refresh", "sliding", "id", "ACCESS", "access ", "", 1, True, None, [], ["access"])
    }
    cases["issued in the future"] = claimed(iat=FAR)
    cases["no exp"] = claimed(exp=...)
    cases["no user"] = claimed(user_id=...)
    cases["Exp in place of exp"] = claimed(exp=..., Exp=FAR)
    cases["User_Id in place of user_id"] = claimed(user_id=..., User_Id=42)
    cases["the user in sub"] = claimed(user_id=..., sub="42")
    cases["the user in another claim"] = claimed(user_id=..., uid=42, id=42)
    exp = f'"exp":{FAR}'
    for name, text in {
        "user_id twice, the client last": f'{{"user_id":43,"user_id":42,{exp}}}',
        "user_id twice, the client first": f'{{"user_id":42,"user_id":43,{exp}}}',
        "user_id twice, the same": f'{{"user_id":42,"user_id":42,{exp}}}',
        "user_id twice by an escape": f'{{"user_id":43,"user\\u005fid":42,{exp}}}',
        "exp twice, far last": f'{{"user_id":42,"exp":1,{exp}}}',
        "exp twice, far first": f'{{"user_id":42,{exp},"exp":1}}',
        "token_type twice": f'{{"user_id":42,{exp},"token_type":"refresh","token_type":"access"}}',
        "a key twice further in": f'{{"user_id":42,{exp},"realm":{{"a":1,"a":2}}}}',
    }.items():
        cases[name] = made(HEADER, text.encode())
    return cases


def _shapes() -> dict[str, str]:
    header, payload, signature = VALID.split(".")
    cases = {f"cut off after {length} characters": VALID[:length] for length in range(0, len(VALID), 6)}
    cases |= {f"less the last {count}": VALID[:-count] for count in (1, 2, 3, 4)}
    for name, mark in {
        "=": "=",
        "==": "==",
        "a line break": "\n",
        "a blank": " ",
        "!": "!",
        "+": "+",
        "/": "/",
        "a null byte": "\u0000",
        "an A": "A",
        "AA": "AA",
        "%3D": "%3D",
        "an umlaut": "\u00e4",
        "a soft hyphen": "\u00ad",
    }.items():
        cases[f"{name} after the header"] = f"{header}{mark}.{payload}.{signature}"
        cases[f"{name} after the claims"] = f"{header}.{payload}{mark}.{signature}"
        cases[f"{name} within the claims"] = f"{header}.{payload[:20]}{mark}{payload[20:]}.{signature}"
        cases[f"{name} within the signature"] = f"{header}.{payload}.{signature[:20]}{mark}{signature[20:]}"
        if mark.strip():  # blanks around a header's value are not part of it
            cases[f"{name} after the signature"] = f"{header}.{payload}.{signature}{mark}"
    # 32 bytes are 256 bits and 43 characters encode 258, so four last characters decode to the same bytes.
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    for spare in (1, 2, 3):
        last = alphabet[alphabet.index(signature[-1]) ^ spare]
        cases[f"spare bits {spare} of the signature"] = f"{header}.{payload}.{signature[:-1]}{last}"
    cases |= {
        "the parts in another order": f"{payload}.{header}.{signature}",
        "no header": f".{payload}.{signature}",
        "no claims": f"{header}..{signature}",
        "a dot before": f".{VALID}",
        "a dot after": f"{VALID}.",
        "two dots": f"{header}..{payload}.{signature}",
        "four parts": f"{VALID}.{signature}",
        "five parts, as encrypted tokens have": f"{header}.AAAA.AAAA.{payload}.{signature}",
        "the signature twice": f"{VALID}{signature}",
        "the signature in hex": f"{header}.{payload}.{sha256(b'x').hexdigest()}",
        "another token's signature": f"{VALID.rpartition('.')[0]}.{events.token(43).rpartition('.')[2]}",
        "another user's claims": f"{header}.{events.token(43).split('.')[1]}.{signature}",
        "a token within a token": made({**HEADER, "cty": "JWT"}, VALID.encode()),
        "a token as a claim": made(HEADER, {"jwt": VALID}),
        "a token of the attacker around the token": made(HEADER, {**CLAIMS, "act": VALID}, "attacker's" * 4),
        "claims that are a list": made(HEADER, [CLAIMS]),
        "claims that are a text": made(HEADER, "claims"),
        "claims that are a number": made(HEADER, 42),
        "claims that are null": made(HEADER, None),
        "claims that are empty": made(HEADER, b""),
        "claims that are no JSON": made(HEADER, b"{"),
        "claims that are two documents": made(HEADER, as_bytes(CLAIMS) * 2),
        "claims that are no UTF-8": made(HEADER, b'{"user_id":42,"exp":4102444800,"x":"\xff"}'),
        "claims in UTF-16": made(HEADER, json.dumps(dict(CLAIMS)).encode("utf-16")),
        "claims with a byte order mark": made(HEADER, b"\xef\xbb\xbf" + as_bytes(CLAIMS)),
        "claims of thousands of brackets": made(HEADER, b"[" * 4000),
        "claims of thousands of levels": made(HEADER, b'{"a":' * 900 + b"1" + b"}" * 900),
        "claims with an endless number": made(HEADER, b'{"user_id":' + b"4" * 5000 + b',"exp":4102444800}'),
        "a header that is a list": made([HEADER], CLAIMS),
        "a header that is a text": made("HS256", CLAIMS),
        "a header that is null": made(None, CLAIMS),
        "a header that is no JSON": made(b"{", CLAIMS),
        "a header of thousands of brackets": made(b"[" * 4000, CLAIMS),
        "over 8 KiB": claimed(padding="x" * 8192),
        "100 KB": claimed(padding="x" * 100_000),
        "100 KB of dots": "." * 100_000,
        "JWS in JSON": json.dumps({"protected": header, "payload": payload, "signature": signature}),
    }
    return cases


def _flips() -> dict[str, str]:
    """Flips one bit of each character in each part, within the base64url alphabet or not."""
    cases = {}
    names = ("header", "claims", "signature")
    for index, part in enumerate(VALID.split(".")):
        for position, character in enumerate(part):
            flipped = chr(ord(character) ^ (1 << (position % 6)))
            parts = VALID.split(".")
            parts[index] = part[:position] + flipped + part[position + 1 :]
            cases[f"bit {position % 6} of character {position} of the {names[index]}"] = ".".join(parts)
    return cases


def _schemes() -> dict[str, str | None]:
    return {
        "no header": None,
        "an empty header": "",
        "no scheme": VALID,
        "Basic": f"Basic {VALID}",
        "Token": f"Token {VALID}",
        "JWT": f"JWT {VALID}",
        "Digest": f"Digest {VALID}",
        "DPoP": f"DPoP {VALID}",
        "no blank": f"Bearer{VALID}",
        "a colon": f"Bearer: {VALID}",
        "an equals sign": f"Bearer={VALID}",
        "the scheme alone": "Bearer",
        "the scheme and a blank": "Bearer ",
        "the scheme twice": f"Bearer Bearer {VALID}",
        "a blank before": f" Bearer {VALID}",
        "quotes": f'Bearer "{VALID}"',
        "brackets": f"Bearer <{VALID}>",
        "two tokens": f"Bearer {VALID} {VALID}",
        "two tokens and a comma": f"Bearer {VALID}, Bearer {VALID}",
        "a parameter": f"Bearer token={VALID}",
        "a look-alike of the scheme": f"B\u0435arer {VALID}",
        "full-width letters": f"\uff22earer {VALID}",
        "null": "Bearer null",
        "undefined": "Bearer undefined",
        "an object": "Bearer [object Object]",
        "a lone surrogate": "Bearer \ud800.\ud800.\ud800",
        "a user and a password": f"Basic {base64.b64encode(b'42:password').decode()}",
        "Razorpay's keys": "Basic "
        + base64.b64encode(f"{development.RAZORPAY_KEY_ID}:{development.RAZORPAY_KEY_SECRET}".encode()).decode(),
        "the secret itself": f"Bearer {SECRET}",
        "a header break": f"Bearer {VALID}\r\nX-User: 42",
    }


def _misplaced(event: Event) -> dict[str, Event]:
    """The genuine token, in places where it must not be accepted."""
    bare = with_headers(event, authorization=None)
    places: dict[str, Event] = {
        f"in {name}": with_headers(bare, **{name.replace("-", "_"): f"Bearer {VALID}"})
        for name in (
            "X-Authorization",
            "X-Forwarded-Authorization",
            "Proxy-Authorization",
            "X-Access-Token",
            "Authorization-",
            "X-Original-Authorization",
            "Authentication",
            "X-Amzn-Remapped-Authorization",
        )
    }
    places["in a cookie"] = with_headers(bare, cookie=f"access={VALID}; jwt={VALID}; Authorization=Bearer {VALID}")
    places["in the query"] = {**bare, "queryStringParameters": {"access_token": VALID, "Authorization": VALID}}
    places["in the path"] = {**bare, "path": f"{event['path']}{VALID}/"}
    places["in what an authorizer would say"] = {
        **bare,
        "requestContext": {**event["requestContext"], "authorizer": {"user_id": 42, "claims": dict(CLAIMS)}},
    }
    places["in headers of several values"] = {**bare, "multiValueHeaders": {"Authorization": [f"Bearer {VALID}"]}}
    for name, value in {
        "X-User-Id": "42",
        "X-Forwarded-User": "42",
        "X-Authenticated-User": "42",
        "User-Id": "42",
        "X-Amzn-Oidc-Identity": "42",
        "X-Amzn-Oidc-Data": VALID,
    }.items():
        places[f"{name} in its place"] = with_headers(bare, **{name.replace("-", "_"): value})
    places["twice, in two spellings, one forged"] = {
        **bare,
        "headers": {
            **bare["headers"],
            "Authorization": f"Bearer {VALID}",
            "authorization": f"Bearer {made(HEADER, CLAIMS, '')}",
        },
    }
    return places


def _presented(event: Event, tokens: Mapping[str, str]) -> dict[str, Event]:
    return {name: with_headers(event, authorization=f"Bearer {token}") for name, token in tokens.items()}


ISSUER: Final = "https://id.example.com/"
AUDIENCE: Final = "payments"
_STRICT: Final = {"JWT_SECRET": SECRET, "JWT_ISSUER": ISSUER, "JWT_AUDIENCE": AUDIENCE}


def _addressed() -> dict[str, str]:
    good: dict[str, Any] = {"iss": ISSUER, "aud": AUDIENCE}
    issuers: list[Any] = [
        ...,
        None,
        "",
        "https://id.example.com",
        "https://id.example.com//",
        "HTTPS://ID.EXAMPLE.COM/",
        "http://id.example.com/",
        "https://id.example.com/ ",
        " https://id.example.com/",
        "https://id.example.com/x",
        "https://attacker.example/",
        "https://id.example.com.attacker.example/",
        "https://id.example.com@attacker.example/",
        "https://\u0456d.example.com/",
        5,
        True,
        [],
        [ISSUER],
        {"iss": ISSUER},
        {},
    ]
    audiences: list[Any] = [
        ...,
        None,
        "",
        "Payments",
        "PAYMENTS",
        "payments ",
        " payments",
        "payment",
        "paymentss",
        "payments,others",
        "payments others",
        "p\u0430yments",
        "*",
        ".*",
        5,
        True,
        [],
        [""],
        ["others"],
        ["Payments"],
        [["payments"]],
        {"aud": "payments"},
        {"payments": 1},
        [5],
        [None],
        "payments\u0000",
    ]
    cases = {f"iss {issuer!a}": claimed(**{**good, "iss": issuer}) for issuer in issuers}
    cases |= {f"aud {audience!a}": claimed(**{**good, "aud": audience}) for audience in audiences}
    cases["iss and aud exchanged"] = claimed(iss=AUDIENCE, aud=ISSUER)
    return {name.replace("Ellipsis", "missing"): token for name, token in cases.items()}


_GET: Final = events.reading(events.ORDER_ID)
_POST_ORDER: Final = events.from_frontend(CREATE_ORDER, events.OFFER)
_POST_VERIFY: Final = events.from_frontend(VERIFY, checkout(events.ORDER_ID, events.PAYMENT_ID))
_POST_OTHER: Final = with_json(_POST_VERIFY, checkout("order_00000000000002", "pay_DESlfW9H8K9uqN"))
_ENDPOINTS: Final = {
    "get": (_GET, _GET),
    "list": (events.listing(role="client"), events.listing(role="client")),
    "create-order": (_POST_ORDER, _POST_ORDER),
    "verify": (_POST_VERIFY, _POST_OTHER),
}


def families() -> list[Family]:
    """Every token against every endpoint; the flipped bits against the read-only one."""
    found = []
    refused = frozenset({401})
    for endpoint, (genuine, control) in _ENDPOINTS.items():
        everywhere: dict[str, dict[str, Event]] = {
            "algorithm": _presented(genuine, _algorithms()),
            "key": _presented(genuine, _keys()),
            "claims": _presented(genuine, _claims()),
            "shape": _presented(genuine, _shapes()),
            "scheme": {name: with_headers(genuine, authorization=value) for name, value in _schemes().items()},
            "place": _misplaced(genuine),
        }
        if endpoint == "get":
            everywhere["bits"] = _presented(genuine, _flips())
        for name, attacks in everywhere.items():
            found.append(
                Family(
                    name=f"token {name} at {endpoint}",
                    attacks=attacks,
                    statuses=refused,
                    genuine=genuine,
                    control=control,
                )
            )
    addressed = with_headers(_GET, authorization=f"Bearer {claimed(iss=ISSUER, aud=['others', AUDIENCE])}")
    found.append(
        Family(
            name="token issuer and audience",
            attacks=_presented(_GET, _addressed()),
            statuses=refused,
            genuine=addressed,
            control=addressed,
            settings=_STRICT,
        )
    )
    return found
