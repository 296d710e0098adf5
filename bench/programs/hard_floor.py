"""The hard floor of a request: the same outside calls with urllib3, json, hmac and an own SigV4, and no SDK.

It checks one HMAC over the request's body, makes the calls that the function was seen to make, with the same bodies
serialised anew, reads each answer as JSON, and prints a line. Nothing is validated and nothing decided: less than this
nobody can do who makes these calls.
"""

import hashlib
import hmac
import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import urllib3
from stub import Canned

_KEY_ID, _SECRET, _REGION = "test", "test", "ap-south-1"
_SERVICES = {"DynamoDB_20120810": "dynamodb", "AWSEvents": "events", "secretsmanager": "secretsmanager"}

type Send = Callable[[str, str, dict[str, str], bytes], bytes]


def floor(arguments: list[str]) -> Callable[[], None]:
    """One request of the floor."""
    calls_file, event_file, canned, network, url = arguments
    calls = [
        (call["target"], json.loads(call["body"] or "{}"))
        for call in json.loads(Path(calls_file).read_text(encoding="utf-8"))
    ]
    event = json.loads(Path(event_file).read_text(encoding="utf-8"))
    send = _stub(Canned(canned)) if network == "stub" else _http()
    secret = b"a-secret-of-more-than-32-bytes-for-hmac"
    expected = hmac.new(secret, (event.get("body") or "").encode(), hashlib.sha256).hexdigest()

    def serve() -> None:
        body = event.get("body") or ""
        made = hmac.new(secret, body.encode(), hashlib.sha256).hexdigest()
        if not hmac.compare_digest(made, expected):
            raise AssertionError("signature")
        if body:
            json.loads(body)
        for target, document in calls:
            json.loads(_call(send, url, target, document))
        sys.stdout.write(json.dumps({"level": "INFO", "message": "request", "http_status": 200}) + "\n")

    return serve


def _call(send: Send, url: str, target: str, document: dict[str, Any]) -> bytes:
    if " " in target:
        method, path = target.split(" ")
        body = json.dumps(document).encode() if document else b""
        headers = {"content-type": "application/json", "authorization": "Basic dGVzdDp0ZXN0"}
        return send(method, url + path, headers, body)
    body = json.dumps(document).encode()
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
