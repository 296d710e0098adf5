"""The part of Razorpay's API that the service uses, under /v1."""

import base64
import binascii
import contextlib
import hmac
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from sandbox.gateway import refusals, validation
from sandbox.gateway.connections import NoAnswer
from sandbox.gateway.faults import ROUTES, ApiFaultName
from sandbox.gateway.world import World

SHORTEST_IDEMPOTENCY_KEY: Final = 10
BURST_RETRY_AFTER_S: Final = 2
"""As observed by one developer; the docs give no numbers (api/understand.md)."""
_IDEMPOTENCY_KEY: Final = re.compile(r"\A[A-Za-z0-9_-]+\Z")

type Endpoint = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Credentials:
    """The API key pair: user name and password of HTTP Basic."""

    key_id: str
    key_secret: str


class Api:
    """The routes, each behind `_guard`."""

    def __init__(self, world: World, credentials: Credentials) -> None:
        self._world = world
        self._credentials = credentials

    def routes(self) -> list[Route]:
        """Return every route under /v1."""
        endpoints: dict[str, Endpoint] = {
            "POST /v1/orders": self._create_order,
            "GET /v1/orders": self._list_orders,
            "GET /v1/orders/{order_id}": self._fetch_order,
            "GET /v1/orders/{order_id}/payments": self._list_payments_of_order,
            "GET /v1/payments": self._list_payments,
            "GET /v1/payments/{payment_id}": self._fetch_payment,
            "POST /v1/payments/{payment_id}/capture": self._capture,
            "POST /v1/payments/{payment_id}/refund": self._refund,
            "GET /v1/payments/{payment_id}/refunds": self._list_refunds_of_payment,
            "GET /v1/refunds": self._list_refunds,
            "GET /v1/refunds/{refund_id}": self._fetch_refund,
            "GET /v1/disputes": self._list_disputes,
            "GET /v1/disputes/{dispute_id}": self._fetch_dispute,
            "GET /v1/settlements": self._list_settlements,
            "GET /v1/settlements/recon/combined": self._report_settlements,
        }
        return [self._route(route, endpoints[route]) for route in ROUTES]

    def _route(self, route: str, endpoint: Endpoint) -> Route:
        method, path = route.split(" ")
        return Route(path, self._guard(method, path, endpoint), methods=[method])

    def _guard(self, method: str, path: str, endpoint: Endpoint) -> Endpoint:
        """Apply what holds for every call: the faults that affect any endpoint, and the keys.

        Faults come first: whatever throttles, fails or hangs is in front of the API and knows no keys.
        """

        async def guarded(request: Request) -> Response:
            self._world.pass_time()
            fault = self._world.faults.of_call(method, path, request.path_params.values())
            if fault is not None and fault != "answer_lost":
                # Read it first: a client that is cut off while sending sees one of several errors, at random.
                await request.body()
                return _played(fault)
            self._authenticate(request.headers.get("authorization"))
            if fault == "answer_lost":
                # Whatever the response would have been: a refusal is lost too.
                with contextlib.suppress(refusals.Refusal):
                    await endpoint(request)
                return NoAnswer("close")
            return await endpoint(request)

        return guarded

    def _authenticate(self, header: str | None) -> None:
        status = self._world.faults.status_of_key_errors
        scheme, _, encoded = (header or "").partition(" ")
        if scheme.lower() != "basic":
            raise refusals.authentication_failed(status)
        try:
            key_id, _, key_secret = base64.b64decode(encoded, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError) as error:
            raise refusals.authentication_failed(status) from error
        if key_id != self._credentials.key_id:
            raise refusals.invalid_key(status)
        if not hmac.compare_digest(key_secret.encode(), self._credentials.key_secret.encode()):
            raise refusals.invalid_secret(status)

    async def _create_order(self, request: Request) -> Response:
        order = validation.order(validation.json_object(await request.body()))
        return JSONResponse(self._world.create_order(order).to_json())

    async def _list_orders(self, request: Request) -> Response:
        query = validation.order_query(request.query_params)
        items = []
        for order in self._world.list_orders(query):
            item = order.to_json()
            if query.expands_payments:
                item["payments"] = _collection([payment.to_json() for payment in self._world.expand_payments_of(order)])
            items.append(item)
        return JSONResponse(_collection(items))

    async def _fetch_order(self, request: Request) -> Response:
        return JSONResponse(self._world.recent_order(request.path_params["order_id"]).to_json())

    async def _list_payments_of_order(self, request: Request) -> Response:
        order = self._world.recent_order(request.path_params["order_id"])
        return JSONResponse(_collection([payment.to_json() for payment in self._world.list_payments_of(order)]))

    async def _list_payments(self, request: Request) -> Response:
        query = validation.list_query(request.query_params)
        return JSONResponse(_collection([payment.to_json() for payment in self._world.list_payments(query)]))

    async def _fetch_payment(self, request: Request) -> Response:
        payment = self._world.payment(request.path_params["payment_id"])
        expanded = request.query_params.getlist("expand[]")
        return JSONResponse(payment.to_json() | ({"offers": payment.offers_json()} if "offers" in expanded else {}))

    async def _capture(self, request: Request) -> Response:
        document = validation.json_object(await request.body())
        payment = self._world.payment(request.path_params["payment_id"])
        return JSONResponse(self._world.capture(payment, validation.capture(document)).to_json())

    async def _refund(self, request: Request) -> Response:
        body = await request.body()
        document = validation.json_object(body)
        key = _idempotency_key(request.headers.get("x-refund-idempotency"))
        payment = self._world.payment(request.path_params["payment_id"])
        asked = validation.refund(document, payment.currency)
        return JSONResponse(self._world.refund(payment, asked, key=key, body=body).to_json())

    async def _list_refunds_of_payment(self, request: Request) -> Response:
        payment = self._world.payment(request.path_params["payment_id"])
        query = validation.list_query(request.query_params)
        return JSONResponse(_collection([refund.to_json() for refund in self._world.list_refunds_of(payment, query)]))

    async def _list_refunds(self, request: Request) -> Response:
        query = validation.list_query(request.query_params)
        return JSONResponse(_collection([refund.to_json() for refund in self._world.list_refunds(query)]))

    async def _fetch_refund(self, request: Request) -> Response:
        return JSONResponse(self._world.refund_of_id(request.path_params["refund_id"]).to_json())

    async def _list_disputes(self, request: Request) -> Response:
        query = validation.dispute_query(request.query_params)
        return JSONResponse(_collection([dispute.to_json() for dispute in self._world.list_disputes(query)]))

    async def _fetch_dispute(self, request: Request) -> Response:
        return JSONResponse(self._world.dispute_of_id(request.path_params["dispute_id"]).to_json())

    async def _list_settlements(self, request: Request) -> Response:
        query = validation.list_query(request.query_params)
        return JSONResponse(_collection([one.to_json() for one in self._world.settlements.page(query)]))

    async def _report_settlements(self, request: Request) -> Response:
        query = validation.report_query(request.query_params)
        rows = self._world.settlements.report(query, self._world.faults.settlement_report)
        return JSONResponse(_collection(rows))


async def refused(_request: Request, refusal: Exception) -> Response:
    """Turn a `Refusal` into its answer."""
    if not isinstance(refusal, refusals.Refusal):
        raise refusal
    return JSONResponse(refusal.body(), status_code=refusal.status)


async def not_found(request: Request, error: Exception) -> Response:
    """Answer an unknown route: in the API's own wording under /v1, with a plain 404 elsewhere."""
    if request.url.path.startswith("/v1"):
        return await refused(request, refusals.unknown_url())
    return JSONResponse({"detail": str(error)}, status_code=HTTPStatus.NOT_FOUND)


_REFUSED: Final[Mapping[ApiFaultName, refusals.Refusal]] = {
    "429_cool_down": refusals.too_many_requests(HTTPStatus.TOO_MANY_REQUESTS),
    "400_cool_down": refusals.too_many_requests(HTTPStatus.BAD_REQUEST),
    "400_unknown_id": refusals.unknown_id(),
    "400_unknown_url": refusals.unknown_url(),
    "400_older_than_180_days": refusals.too_old(),
    "400_key": refusals.invalid_key(HTTPStatus.BAD_REQUEST),
    "401_key": refusals.invalid_key(HTTPStatus.UNAUTHORIZED),
    "409_refund_in_progress": refusals.refund_in_progress(),
    "500": refusals.server_error(500),
    "502": refusals.server_error(502),
    "503": refusals.server_error(503),
    "504": refusals.server_error(504),
}


def _played(fault: ApiFaultName) -> Response:
    match fault:
        case "429_burst":
            headers = {"Retry-After": str(BURST_RETRY_AFTER_S)}
            return PlainTextResponse("Too many requests", HTTPStatus.TOO_MANY_REQUESTS, headers)
        case "hang" | "reset":
            return NoAnswer(fault)
        case _:
            refusal = _REFUSED[fault]
            return JSONResponse(refusal.body(), refusal.status)


def _collection(items: list[dict[str, Any]]) -> dict[str, Any]:
    return {"entity": "collection", "count": len(items), "items": items}


def _idempotency_key(key: str | None) -> str | None:
    if key is None:
        return None
    if len(key) < SHORTEST_IDEMPOTENCY_KEY:
        raise refusals.short_idempotency_key()
    if not _IDEMPOTENCY_KEY.match(key):
        raise refusals.malformed_idempotency_key()
    return key
