"""AWS services that are down for a while: `PUT /_sandbox/outages {"events": true}` on the AWS port.

While a service is down, its calls get AWS's response for unavailability: status 503, error code `ServiceUnavailable`,
in that service's protocol ("Common errors" in each API reference). The value selects the calls: `true` all, a text only
those whose body contains it (such as an order id), `false` none. Services that are not named stay unchanged; PUT and
`GET` return every service's state. The front door never leads here.

The emulator's internal work, such as passing an event to a queue, is not a call and continues.
"""

import json
import re
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

type Message = dict[str, Any]
type Receive = Callable[[], Awaitable[Message]]
type Send = Callable[[Message], Awaitable[None]]
type Application = Callable[[dict[str, Any], Receive, Send], Awaitable[None]]

PATH = "/_sandbox/outages"
SERVICES = ("dynamodb", "events", "lambda", "secretsmanager", "sqs")
"""The services that this service and its subscribers call, by signing name."""

_TARGETS = {
    "AWSEvents": "events",
    "AmazonSQS": "sqs",
    "DynamoDB_20120810": "dynamodb",
    "secretsmanager": "secretsmanager",
}
# Credential=<key>/<date>/<region>/<service>/aws4_request ("Signing AWS API requests").
_SCOPE = re.compile(r"Credential=[^/,\s]+/\d{8}/[^/,\s]+/([^/,\s]+)/aws4_request")
_MESSAGE = "The request has failed due to a temporary failure of the server."


class Outages:
    """ASGI middleware around the emulator: responds for services that are down, and passes on everything else."""

    def __init__(self, application: Application) -> None:
        self.application = application
        self.away: dict[str, bool | str] = dict.fromkeys(SERVICES, False)

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Serve one connection event."""
        if scope["type"] != "http":
            await self.application(scope, receive, send)
            return
        if scope["path"] == PATH:
            await self._switch(scope, receive, send)
            return
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        service = service_of(headers)
        which = False if service is None else self.away.get(service, False)
        if service is None or which is False:
            await self.application(scope, receive, send)
            return
        # The body is read before the response; a client that is still sending would see a broken connection instead,
        # and retry for the wrong reason.
        body = await _read(receive)
        if which is True or str(which).encode() in body:
            await _answer(send, *unavailable(service, headers))
            return
        await self.application(scope, _again(body, receive), send)

    async def _switch(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        body = await _read(receive)
        match scope["method"]:
            case "GET":
                await _answer_json(send, 200, self.away)
            case "PUT":
                try:
                    self.away |= switched(body)
                except UnusableError as error:
                    await _answer_json(send, 422, {"detail": str(error)})
                    return
                await _answer_json(send, 200, self.away)
            case _:
                await _answer_json(send, 405, {"detail": "GET shows the outages, PUT sets them"})


class UnusableError(ValueError):
    """The request is invalid; the message says what is possible."""


def switched(body: bytes) -> dict[str, bool | str]:
    """The outages that a PUT requests, by service.

    Raises:
        UnusableError: nothing may be changed.
    """
    try:
        document = json.loads(body)
    except ValueError as error:
        raise UnusableError(f"the body must be JSON: {error}") from error
    if not isinstance(document, dict) or set(document) - set(SERVICES):
        raise UnusableError(f"the body must be an object of services; there are: {', '.join(SERVICES)}")
    for service, which in document.items():
        if not isinstance(which, bool) and not (isinstance(which, str) and which):
            raise UnusableError(f"{service} can be: true, false, or a text that the calls' bodies contain")
    return document


def service_of(headers: dict[str, str]) -> str | None:
    """The AWS service of a request, found as in the emulator: by the signature's scope, otherwise by target.

    Args:
        headers: by lower-case name.
    """
    scope = _SCOPE.search(headers.get("authorization", ""))
    if scope:
        return scope[1]
    return _TARGETS.get(headers.get("x-amz-target", "").partition(".")[0])


def unavailable(service: str, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
    """The answer of a service that is away: status, headers, body."""
    request_id = str(uuid.uuid4())
    headers_of_answer = {"x-amzn-requestid": request_id}
    target = "x-amz-target" in headers
    if target or service == "lambda":
        # AWS JSON has the code in the body; REST JSON (Lambda) in a header, and its `Message` is capitalised.
        content_type = headers.get("content-type", "application/x-amz-json-1.1") if target else "application/json"
        headers_of_answer |= {"content-type": content_type, "x-amzn-errortype": "ServiceUnavailable"}
        document = {"__type": "ServiceUnavailable", "message": _MESSAGE} if target else {"Message": _MESSAGE}
        return 503, headers_of_answer, json.dumps(document).encode()
    # AWS Query, such as SQS before it spoke JSON.
    text = (
        "<ErrorResponse><Error><Type>Receiver</Type><Code>ServiceUnavailable</Code>"
        f"<Message>{_MESSAGE}</Message></Error><RequestId>{request_id}</RequestId></ErrorResponse>"
    )
    return 503, headers_of_answer | {"content-type": "text/xml"}, text.encode()


async def _read(receive: Receive) -> bytes:
    parts: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] != "http.request":
            break
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            break
    return b"".join(parts)


def _again(body: bytes, receive: Receive) -> Receive:
    """A `receive` that returns the body already read, and then whatever follows."""
    left: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def hand_out() -> Message:
        return left.pop() if left else await receive()

    return hand_out


async def _answer_json(send: Send, status: int, document: object) -> None:
    await _answer(send, status, {"content-type": "application/json"}, json.dumps(document).encode())


async def _answer(send: Send, status: int, headers: dict[str, str], body: bytes) -> None:
    lines = [(name.encode(), value.encode()) for name, value in headers.items()]
    lines.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": lines})
    await send({"type": "http.response.body", "body": body})
