"""Replaces the network for the functions: the same response to each call every time.

Runs with the built function in Lambda's environment, so it uses only the standard library. The responses are prepared
bytes (`bench/canned.py`): looking them up costs almost nothing, for the functions and the floor alike.
"""

import json
from pathlib import Path
from typing import Any

JSON = "application/json"
AMZ_JSON = "application/x-amz-json-1.0"


class Canned:
    """Maps calls to responses; records calls if configured."""

    def __init__(self, file: str) -> None:
        document = json.loads(Path(file).read_text(encoding="utf-8"))
        self._answers: dict[str, bytes] = {name: answer.encode() for name, answer in document.items()}
        self.asked: list[dict[str, str]] | None = None

    def aws(self, target: str, body: bytes) -> tuple[int, bytes]:
        """Status and body of an AWS call; the target is the header X-Amz-Target, such as `AWSEvents.PutEvents`."""
        if self.asked is not None:
            self.asked.append({"target": target, "body": body.decode()})
        operation = target.rpartition(".")[2]
        if operation == "GetItem" and b"order#" not in body:
            # No application, no pause, no installation name.
            return 200, self._answers["nothing"]
        if operation == "UpdateItem" and b"counter#" in body:
            return 200, self._answers["counter"]
        if operation == "GetSecretValue" and b"AWSPREVIOUS" in body:
            return 400, b'{"__type":"ResourceNotFoundException"}'
        return 200, self._answers[operation]

    def razorpay(self, method: str, path: str, body: bytes) -> tuple[int, bytes]:
        """Status and body of a call to Razorpay."""
        if self.asked is not None:
            self.asked.append({"target": f"{method} {path}", "body": body.decode()})
        if path.endswith("/refund"):
            return 200, self._answers["refund"]
        return 200, self._answers["order" if method == "POST" else "payments"]


class _Raw:
    """The part of urllib3's response that botocore reads."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def stream(self, *_: object, **__: object) -> list[bytes]:
        return [self._content]


def cut_off(canned: Canned, *, razorpay: bool) -> None:
    """Replaces the sending of botocore and, if it is loaded, of requests."""
    import botocore.httpsession
    from botocore.awsrequest import AWSResponse

    def send_aws(_: object, request: Any) -> Any:
        target = request.headers["X-Amz-Target"]
        body = request.body
        status, content = canned.aws(
            target.decode() if isinstance(target, bytes) else target, body.encode() if isinstance(body, str) else body
        )
        headers = {"content-type": AMZ_JSON, "content-length": str(len(content)), "x-amzn-requestid": "0" * 52}
        return AWSResponse(request.url, status, headers, _Raw(content))  # type: ignore[arg-type]  # what it reads

    botocore.httpsession.URLLib3Session.send = send_aws  # type: ignore[method-assign,assignment]
    if not razorpay:
        return
    import requests
    from requests.adapters import HTTPAdapter

    def send_http(_: object, request: Any, **__: object) -> Any:
        body = request.body or b""
        status, content = canned.razorpay(
            request.method, request.path_url, body.encode() if isinstance(body, str) else body
        )
        response = requests.Response()
        response.status_code = status
        response._content = content  # noqa: SLF001 - requests has no other way to make one
        response.headers["Content-Type"] = JSON
        response.request, response.url = request, request.url
        return response

    HTTPAdapter.send = send_http  # type: ignore[method-assign,assignment]
