"""The control API, under /_control: the customer, the merchant's dashboard and the stagehand. No keys: loopback only.

A control request that makes no sense is answered 422 `{"detail": …}`, so it can't be mistaken for Razorpay's errors.
"""

from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.gateway import checkout, validation
from sandbox.gateway.deliveries import Deliveries, Webhook
from sandbox.gateway.entities import Payment
from sandbox.gateway.faults import Faults, UnknownSwitchError
from sandbox.gateway.world import ImpossibleError, World

DEFAULT_PAGE: Final = 1000


class UnusableRequestError(ValueError):
    """The control request cannot be followed; the message says why."""


class Control:
    """The routes."""

    def __init__(self, world: World, deliveries: Deliveries, key_secret: str) -> None:
        self._world = world
        self._deliveries = deliveries
        self._key_secret = key_secret

    def routes(self) -> list[Route]:
        """Everything under /_control."""
        return [
            Route("/_control/health", self._health, methods=["GET"]),
            Route("/_control/pay", self._pay, methods=["POST"]),
            Route("/_control/webhook", self._show_webhook, methods=["GET"]),
            Route("/_control/webhook", self._set_webhook, methods=["PUT"]),
            Route("/_control/faults", self._show_faults, methods=["GET"]),
            Route("/_control/faults", self._set_faults, methods=["PUT"]),
            Route("/_control/events", self._events, methods=["GET"]),
            Route("/_control/ledger", self._ledger, methods=["GET"]),
            Route("/_control/payments/{payment_id}/authorize", self._authorize, methods=["POST"]),
            Route("/_control/payments/{payment_id}/capture", self._capture, methods=["POST"]),
            Route("/_control/payments/{payment_id}/auto_refund", self._auto_refund, methods=["POST"]),
            Route("/_control/refunds/{refund_id}", self._settle_refund, methods=["PUT"]),
            Route("/_control/reset", self._reset, methods=["POST"]),
        ]

    async def _health(self, _request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def _pay(self, request: Request) -> Response:
        press = checkout.paying(validation.json_object(await request.body()))
        return JSONResponse(checkout.pay(self._world, press, self._key_secret))

    async def _show_webhook(self, _request: Request) -> Response:
        webhook = self._deliveries.webhook
        return JSONResponse({"url": webhook.url, "enabled": webhook.enabled, "ladder_scale": self._deliveries.scale})

    async def _set_webhook(self, request: Request) -> Response:
        """Set the URL, the secret or both, and enable the webhook again. The secret is never shown."""
        document = await _document(request, {"url", "secret"})
        url = document.get("url", self._deliveries.webhook.url)
        secret = document.get("secret", self._deliveries.webhook.secret)
        if not isinstance(secret, str):
            raise UnusableRequestError("secret must be a string")
        self._deliveries.webhook = Webhook(webhook_url(url), secret)
        return await self._show_webhook(request)

    async def _show_faults(self, _request: Request) -> Response:
        return JSONResponse(self._world.faults.to_json())

    async def _set_faults(self, request: Request) -> Response:
        self._world.faults = self._world.faults.switched(validation.json_object(await request.body()))
        return await self._show_faults(request)

    async def _authorize(self, request: Request) -> Response:
        """Late authorisation of a failed payment."""
        payment, force = await self._payment_and_force(request)
        return JSONResponse(self._world.authorize_late(payment, force=force).to_json())

    async def _capture(self, request: Request) -> Response:
        payment, force = await self._payment_and_force(request)
        return JSONResponse(self._world.capture_authorized(payment, force=force).to_json())

    async def _auto_refund(self, request: Request) -> Response:
        """Razorpay sends back an authorised payment that nobody captured."""
        await _document(request, set())
        payment = self._world.payment(request.path_params["payment_id"])
        return JSONResponse(self._world.return_uncaptured(payment).to_json())

    async def _settle_refund(self, request: Request) -> Response:
        """The bank's answer to a pending refund."""
        document = await _document(request, {"status"})
        refund = self._world.refund_of_id(request.path_params["refund_id"])
        match document.get("status"):
            case "processed" | "failed" as outcome:
                return JSONResponse(self._world.settle_refund(refund, outcome).to_json())
            case _:
                raise UnusableRequestError("status can be: processed, failed")

    async def _payment_and_force(self, request: Request) -> tuple[Payment, bool]:
        document = await _document(request, {"force"})
        force = document.get("force", False)
        if not isinstance(force, bool):
            raise UnusableRequestError("force can be: true, false")
        return self._world.payment(request.path_params["payment_id"]), force

    async def _events(self, request: Request) -> Response:
        """The events in the order in which they happened; `next` continues where this page ended."""
        query = request.query_params
        wanted = {name: query[name] for name in ("order_id", "payment_id", "event", "state") if name in query}
        after, limit = _count(query.get("after"), 0), _count(query.get("limit"), DEFAULT_PAGE)
        items: list[dict[str, Any]] = []
        end = after
        for event in self._deliveries.events[after:]:
            end += 1
            entry = event.to_json(with_body=query.get("bodies") == "1")
            if all(entry[name] == value for name, value in wanted.items()):
                items.append(entry)
            if len(items) >= limit:
                break
        return JSONResponse({"count": len(items), "next": end, "events": items})

    async def _ledger(self, request: Request) -> Response:
        """What the account holds, the truth that a test compares the service with; `order_id` narrows it."""
        world = self._world
        if (order_id := request.query_params.get("order_id")) is not None:
            orders = [world.order(order_id)]
        else:
            orders = list(world.orders.values())
        payments = [payment for order in orders for payment in world.payments_of(order)]
        paid = {payment.id for payment in payments}
        return JSONResponse(
            {
                "orders": [order.to_json() for order in orders],
                "payments": [payment.to_json() for payment in payments],
                "refunds": [refund.to_json() for refund in world.refunds.values() if refund.payment_id in paid],
            }
        )

    async def _reset(self, _request: Request) -> Response:
        """Forget everything but the webhook's URL and secret; it is enabled again and every switch is off."""
        await self._deliveries.forget()
        self._world.forget()
        self._world.faults = Faults()
        self._deliveries.webhook.enabled = True
        return JSONResponse({"status": "ok"})


async def unusable(_request: Request, error: Exception) -> Response:
    """Answer a control request that makes no sense."""
    return JSONResponse({"detail": str(error)}, status_code=HTTPStatus.UNPROCESSABLE_ENTITY)


UNUSABLE: Final = (UnusableRequestError, UnknownSwitchError, ImpossibleError, checkout.UnplayableError)


def webhook_url(given: object) -> str | None:
    """The URL to deliver to, or None for nowhere.

    Raises:
        UnusableRequestError: neither http nor https, or no host.
    """
    if given is None:
        return None
    if not isinstance(given, str):
        raise UnusableRequestError("url must be a string or null")
    parts = urlsplit(given)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise UnusableRequestError("url must begin with http:// or https:// and name a host")
    return given


async def _document(request: Request, known: set[str]) -> dict[str, Any]:
    document = validation.json_object(await request.body())
    if extra := sorted(set(document) - known):
        possible = f"; there are: {', '.join(sorted(known))}" if known else "; there are none"
        raise UnusableRequestError(f"unknown fields: {', '.join(extra)}{possible}")
    return document


def _count(given: str | None, default: int) -> int:
    if given is None:
        return default
    if not (given.isascii() and given.isdecimal()):
        raise UnusableRequestError("after and limit must be whole numbers")
    return int(given)
