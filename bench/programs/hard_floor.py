"""The hard floor of a request: what must be done for it, by hand, with urllib3, json and hmac, and no SDK.

It checks the token (HS256, or RS256 with `cryptography`) and one HMAC over the body, reads the body, makes the outside
calls that the function was seen to make, each with a signature of its own (SigV4) and its item in DynamoDB's types,
turns what it reads into plain values, writes one log line and an answer. Nothing is validated and nothing decided: less
than this nobody can do who makes these calls.
"""

import base64
import hashlib
import hmac
import json
import os
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import urllib3
from stub import Canned

_KEY_ID, _SECRET, _REGION = "test", "test", "ap-south-1"
_SERVICES = {"DynamoDB_20120810": "dynamodb", "AWSEvents": "events", "secretsmanager": "secretsmanager"}
_TYPED = ("Item", "Key", "ExpressionAttributeValues")
"""The parts of a call to DynamoDB that hold values in its types."""
_KEY = b"a-secret-of-more-than-32-bytes-for-hmac"

type Send = Callable[[str, str, dict[str, str], bytes], bytes]
type Check = Callable[[bytes, bytes], None]
"""Raises where the signature, the second, is not that of the first."""


def floor(arguments: list[str]) -> Callable[[], None]:
    """One request of the floor."""
    calls_file, event_file, canned, network, url = arguments
    calls = [
        (call["target"], _without_types(json.loads(call["body"] or "{}")))
        for call in json.loads(Path(calls_file).read_text(encoding="utf-8"))
    ]
    event = json.loads(Path(event_file).read_text(encoding="utf-8"))
    headers = {name.lower(): value for name, value in event.get("headers", {}).items()}
    send = _stub(Canned(canned)) if network == "stub" else _http()
    body = event.get("body") or ""
    expected = _hmac(body.encode())
    token = headers.get("authorization", "")
    public_key = os.environ.get("JWT_PUBLIC_KEY")
    check = _rsa(public_key) if public_key else _hs256(token)

    def serve() -> None:
        caller = _caller(token, check) if token else None
        if not hmac.compare_digest(_hmac(body.encode()), expected):
            raise AssertionError("signature")
        asked = json.loads(body) if body else {}
        for target, document in calls:
            answer = json.loads(_call(send, url, target, document))
            if "Item" in answer:
                asked = {name: _plain(value) for name, value in answer["Item"].items()}
        line = {
            "level": "INFO",
            "message": "request",
            "timestamp": datetime.now(UTC).isoformat(),
            "user_id": caller,
            "order_id": asked.get("order_id"),
            "http_status": 200,
        }
        sys.stdout.write(json.dumps(line) + "\n")
        json.dumps({"statusCode": 200, "headers": {"Content-Type": "application/json"}, "body": json.dumps({})})

    return serve


def _hmac(message: bytes) -> bytes:
    return hmac.new(_KEY, message, hashlib.sha256).digest()


def _hs256(authorization: str) -> Check:
    # The token was not signed with our key: what is compared is what our key makes of it.
    expected = _hmac(authorization.removeprefix("Bearer ").rpartition(".")[0].encode())

    def check(signed: bytes, _: bytes) -> None:
        if not hmac.compare_digest(_hmac(signed), expected):
            raise AssertionError("token")

    return check


def _rsa(pem: str) -> Check:
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    key = load_pem_public_key(pem.encode())
    assert isinstance(key, RSAPublicKey)

    def check(signed: bytes, signature: bytes) -> None:
        key.verify(signature, signed, PKCS1v15(), SHA256())

    return check


def _caller(authorization: str, check: Check) -> str:
    """The user of a token, its signature and its time checked."""
    signed, _, signature = authorization.removeprefix("Bearer ").rpartition(".")
    header, _, payload = signed.partition(".")
    _decoded(header)
    check(signed.encode(), _decoded(signature))
    claims = json.loads(_decoded(payload))
    if claims["exp"] < time.time():
        raise AssertionError("expired")
    user: str = claims["user_id"]
    return user


def _decoded(segment: str) -> bytes:
    return base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))


def _plain(value: dict[str, Any]) -> Any:
    """A value of DynamoDB's, without its type."""
    ((kind, content),) = value.items()
    match kind:
        case "N":
            return int(content)
        case "M":
            return {name: _plain(member) for name, member in content.items()}
        case "L":
            return [_plain(member) for member in content]
        case _:
            return content


def _typed(value: Any) -> dict[str, Any]:
    """A plain value in DynamoDB's types."""
    match value:
        case bool():
            return {"BOOL": value}
        case str():
            return {"S": value}
        case int():
            return {"N": str(value)}
        case dict():
            return {"M": {name: _typed(member) for name, member in value.items()}}
        case list():
            return {"L": [_typed(member) for member in value]}
    raise TypeError(type(value).__name__)


def _without_types(document: dict[str, Any]) -> dict[str, Any]:
    return {
        part: {name: _plain(value) for name, value in content.items()} if part in _TYPED else content
        for part, content in document.items()
    }


def _call(send: Send, url: str, target: str, document: dict[str, Any]) -> bytes:
    if " " in target:
        method, path = target.split(" ")
        body = json.dumps(document).encode() if document else b""
        headers = {"content-type": "application/json", "authorization": "Basic dGVzdDp0ZXN0"}
        return send(method, url + path, headers, body)
    typed = {
        part: {name: _typed(value) for name, value in content.items()} if part in _TYPED else content
        for part, content in document.items()
    }
    body = json.dumps(typed).encode()
    service = _SERVICES[target.partition(".")[0]]
    return send("POST", f"{url}/", _signed(service, target, body), body)


def _signed(service: str, target: str, body: bytes) -> dict[str, str]:
    """Signature Version 4 of a POST to `/`."""
    now = datetime.now(UTC)
    stamp, day = now.strftime("%Y%m%dT%H%M%SZ"), now.strftime("%Y%m%d")
    host = f"{service}.{_REGION}.amazonaws.com"
    digest = hashlib.sha256(body).hexdigest()
    names = "content-type;host;x-amz-date;x-amz-target"
    canonical = (
        f"POST\n/\n\ncontent-type:application/x-amz-json-1.0\nhost:{host}\nx-amz-date:{stamp}\n"
        f"x-amz-target:{target}\n\n{names}\n{digest}"
    )
    scope = f"{day}/{_REGION}/{service}/aws4_request"
    to_sign = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = f"AWS4{_SECRET}".encode()
    for part in (day, _REGION, service, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    signature = hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()
    return {
        "content-type": "application/x-amz-json-1.0",
        "host": host,
        "x-amz-date": stamp,
        "x-amz-target": target,
        "authorization": (
            f"AWS4-HMAC-SHA256 Credential={_KEY_ID}/{scope}, SignedHeaders={names}, Signature={signature}"
        ),
    }


def _stub(canned: Canned) -> Send:
    def send(method: str, url: str, headers: dict[str, str], body: bytes) -> bytes:
        target = headers.get("x-amz-target")
        content: bytes = (canned.razorpay(method, url, body) if target is None else canned.aws(target, body))[1]
        return content

    return send


def _http() -> Send:
    pool = urllib3.PoolManager(retries=False, timeout=5)

    def send(method: str, url: str, headers: dict[str, str], body: bytes) -> bytes:
        return pool.request(method, url, body=body, headers=headers).data

    return send
