"""EventBridge, Secrets Manager and Razorpay in memory, behind the clients that the functions use.

Razorpay is the stand-in itself (`sandbox/gateway`): its state, its API and its webhooks, called without a socket. So
the functions get the same responses as over HTTP.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import requests
from botocore.exceptions import ClientError, ReadTimeoutError
from requests.adapters import BaseAdapter
from starlette.applications import Starlette
from starlette.exceptions import HTTPException

from sandbox import development
from sandbox.gateway import signatures, webhooks
from sandbox.gateway.api import Api, Credentials, not_found, refused
from sandbox.gateway.entities import Dispute, Order, Payment, Refund
from sandbox.gateway.refusals import Refusal
from sandbox.gateway.world import World as Account
from tests.aws_limits import check_request
from tests.faults.expressions import Refused
from tests.faults.outside import Client, Outside

RAZORPAY_URL: Final = "http://razorpay.test"


def _aws(name: str, patience_s: float) -> Client:
    return Client(
        name=name,
        refused=lambda: ClientError(
            {"Error": {"Code": "InternalFailure"}, "ResponseMetadata": {"HTTPStatusCode": 500}},  # type: ignore[typeddict-item]  # the parts that are read
            "call",
        ),
        lost=lambda: ReadTimeoutError(endpoint_url=f"https://{name}.ap-south-1.amazonaws.com"),
        patience_s=patience_s,
        repeats=True,
    )


class MemoryBus:
    """The event bus: keeps what it accepted, in order."""

    def __init__(self, outside: Outside, *, on_event: Callable[[str, str], None] | None = None) -> None:
        self.accepted: list[tuple[str, str]] = []
        """Detail type and detail of every event that was accepted."""
        self._outside = outside
        self._on_event = on_event

    def client(self, patience_s: float) -> "BusClient":
        """A client of it."""
        return BusClient(self, self._outside, _aws("events", patience_s))

    def accept(self, entries: list[dict[str, Any]], *, all_but_the_last: bool) -> dict[str, Any]:
        """PutEvents.

        Raises:
            ClientError: EventBridge refuses the request itself.
        """
        try:
            check_request("PutEvents", {"Entries": entries})
        except Refused as refusal:
            self._outside.refused.append(f"events PutEvents: {refusal.message}")
            raise ClientError(
                {
                    "Error": {"Code": refusal.code, "Message": refusal.message},
                    "ResponseMetadata": {"HTTPStatusCode": 400},  # type: ignore[typeddict-item]  # the part that is read
                },
                "PutEvents",
            ) from refusal
        refused = len(entries) - 1 if all_but_the_last else len(entries)
        answers = []
        for number, entry in enumerate(entries):
            if number == refused:
                answers.append({"ErrorCode": "InternalFailure", "ErrorMessage": "-"})
                continue
            self.accepted.append((entry["DetailType"], entry["Detail"]))
            answers.append({"EventId": f"accepted-{len(self.accepted)}"})
            if self._on_event is not None:
                self._on_event(entry["DetailType"], entry["Detail"])
        return {"FailedEntryCount": int(all_but_the_last), "Entries": answers}


class BusClient:
    """The boto3 client call that the adapter makes."""

    def __init__(self, bus: MemoryBus, outside: Outside, client: Client) -> None:
        self._bus = bus
        self._outside = outside
        self._client = client

    def put_events(self, *, Entries: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803 - boto3's own
        return self._outside.call(
            self._client,
            "PutEvents",
            lambda: self._bus.accept(Entries, all_but_the_last=False),
            partly=lambda: self._bus.accept(Entries, all_but_the_last=True),
        )


class SecretsClient:
    """Secrets Manager: secrets by id, each a JSON object of settings; previous versions are not kept."""

    def __init__(self, secrets: Mapping[str, Mapping[str, str]], outside: Outside, patience_s: float) -> None:
        self._secrets = secrets
        self._outside = outside
        self._client = _aws("secretsmanager", patience_s)

    def get_secret_value(self, *, SecretId: str, VersionStage: str = "AWSCURRENT") -> dict[str, Any]:  # noqa: N803 - boto3's own
        def answer() -> dict[str, Any]:
            if VersionStage != "AWSCURRENT":
                raise ClientError({"Error": {"Code": "ResourceNotFoundException"}}, "GetSecretValue")
            return {"SecretString": json.dumps(self._secrets[SecretId])}

        return self._outside.call(self._client, "GetSecretValue", answer, reads=True)


@dataclass(frozen=True, slots=True)
class Webhook:
    """A Razorpay event as delivered: always the same bytes and signature."""

    event: str
    order_id: str
    body: bytes
    signature: str
    created_at: int


class Razorpay:
    """One Razorpay account and its webhooks."""

    def __init__(self, outside: Outside, clock: Callable[[], int]) -> None:
        self.webhook_secret = development.RAZORPAY_WEBHOOK_SECRET
        self._told: list[Webhook] = []
        self.account = Account(self._announce, clock=clock)
        self._clock = clock
        self._outside = outside
        self._app = Starlette(
            routes=Api(
                self.account, Credentials(development.RAZORPAY_KEY_ID, development.RAZORPAY_KEY_SECRET)
            ).routes(),
            exception_handlers={Refusal: refused, HTTPException: not_found},
        )

    @property
    def told(self) -> list[Webhook]:
        """Every event so far, the oldest first; first lets happen what is due."""
        self.account.pass_time()
        return self._told

    def transport(self) -> "Transport":
        """The SDK's HTTP transport adapter."""
        return Transport(self, self._outside)

    def answer(self, request: requests.PreparedRequest) -> requests.Response:
        """Answers one request of the API."""
        url = urlsplit(request.url or "")
        body = request.body or b""
        status, content = _run(
            self._app,
            {
                "type": "http",
                "method": request.method,
                "path": url.path,
                "raw_path": url.path.encode(),
                "query_string": url.query.encode(),
                "headers": [(name.lower().encode(), str(value).encode()) for name, value in request.headers.items()],
            },
            body.encode() if isinstance(body, str) else body,
        )
        return _response(request, status, content)

    def _announce(self, event: str, payment: Payment, order: Order, about: Refund | Dispute | None) -> None:
        created_at = self._clock()
        body = webhooks.body(event, payment, order, about, created_at)
        signature = signatures.of_webhook(self.webhook_secret, body)
        self._told.append(Webhook(event, order.id, body, signature, created_at))


class Transport(BaseAdapter):
    """Replaces a connection."""

    def __init__(self, razorpay: Razorpay, outside: Outside) -> None:
        super().__init__()
        self._razorpay = razorpay
        self._outside = outside

    def send(  # type: ignore[override]  # requests calls it with these, by name
        self, request: requests.PreparedRequest, *, timeout: tuple[float, float], **_: object
    ) -> requests.Response:
        client = Client(
            name="razorpay",
            refused=lambda: _Answered(_response(request, 503, b"")),
            lost=lambda: requests.exceptions.ReadTimeout("read timed out"),
            patience_s=timeout[1],
        )
        parts = urlsplit(request.url or "").path.split("/")
        # Without ids, so that calls of one kind share a name.
        operation = f"{request.method} {'/'.join('{id}' if '_' in part else part for part in parts)}"
        try:
            return self._outside.call(
                client, operation, lambda: self._razorpay.answer(request), reads=request.method == "GET"
            )
        except _Answered as answered:
            return answered.response

    def close(self) -> None:
        pass


class _Answered(Exception):
    """An error response is returned, not raised."""

    def __init__(self, response: requests.Response) -> None:
        super().__init__()
        self.response = response


def _response(request: requests.PreparedRequest, status: int, content: bytes) -> requests.Response:
    response = requests.Response()
    response.status_code = status
    response._content = content  # noqa: SLF001 - requests has no other way to make one
    response.request = request
    response.url = request.url or ""
    response.headers["Content-Type"] = "application/json"
    return response


def _run(app: Starlette, scope: dict[str, Any], body: bytes) -> tuple[int, bytes]:
    """Runs the application for one request. It never waits, so it needs no event loop."""
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    running = app({"http_version": "1.1", "scheme": "http", "app": app, **scope}, receive, send)
    try:
        running.send(None)
    except StopIteration:
        return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:])
    running.close()
    raise AssertionError("the stand-in waited for something; it cannot be used without an event loop")
