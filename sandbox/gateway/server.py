"""The stand-in as one ASGI application."""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sandbox import development
from sandbox.gateway import checkout, webhooks
from sandbox.gateway.api import Api, Credentials, not_found, refused
from sandbox.gateway.checkout_page.routes import CheckoutPage
from sandbox.gateway.control import UNUSABLE, Control, unusable
from sandbox.gateway.deliveries import Deliveries, Webhook
from sandbox.gateway.entities import Dispute, Order, Payment, Refund
from sandbox.gateway.refusals import Refusal
from sandbox.gateway.world import World

DEFAULT_LADDER_SCALE: Final = 0.05
"""Twenty times faster than Razorpay: retries after 0.01, 0.3 and 1 s, the last after 68 minutes, disabled after 72."""

TICK_S: Final = 1
"""How often due things happen by themselves, without a call."""

_log = logging.getLogger("sandbox.gateway")


@dataclass(frozen=True, slots=True)
class Settings:
    """The stand-in's start options; the defaults are the documented development secrets."""

    key_id: str = development.RAZORPAY_KEY_ID
    key_secret: str = development.RAZORPAY_KEY_SECRET
    webhook_url: str | None = None
    webhook_secret: str = development.RAZORPAY_WEBHOOK_SECRET
    ladder_scale: float = DEFAULT_LADDER_SCALE


def application(settings: Settings) -> ASGIApp:
    """Return the API, Checkout and the control API for one new account."""
    deliveries = Deliveries(
        Webhook(settings.webhook_url, settings.webhook_secret),
        scale=settings.ladder_scale,
        faults=lambda: world.faults,
    )

    def announce(event: str, payment: Payment, order: Order, about: Refund | Dispute | None) -> None:
        deliveries.send(
            event,
            webhooks.body(event, payment, order, about, int(time.time())),
            order_id=order.id,
            payment_id=payment.id,
            refund_id=about.id if isinstance(about, Refund) else None,
            dispute_id=about.id if isinstance(about, Dispute) else None,
        )

    async def tick() -> None:
        while True:
            await asyncio.sleep(TICK_S)
            world.pass_time()

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncGenerator[None]:
        await deliveries.start()
        ticking = asyncio.create_task(tick())
        try:
            yield
        finally:
            ticking.cancel()
            late.forget()
            await deliveries.stop()

    world = World(announce)
    late = checkout.LateAnswers(world)
    credentials = Credentials(settings.key_id, settings.key_secret)
    app = Starlette(
        routes=[
            *Api(world, credentials).routes(),
            *CheckoutPage(world, credentials, late).routes(),
            *Control(world, deliveries, late, settings.key_secret).routes(),
        ],
        exception_handlers={
            Refusal: refused,
            HTTPException: not_found,
            **dict.fromkeys(UNUSABLE, unusable),
        },
        lifespan=lifespan,
    )
    # Razorpay does not know `/v1/orders/`, and a redirect would turn a POST into a GET.
    app.router.redirect_slashes = False
    return _Logged(app)


class _Logged:
    """One line per request: method, path, status, duration. No query, header or body: they contain personal data."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun, status = time.perf_counter(), 0

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noting)
        finally:
            # The path as it was sent: decoded, it could contain a line break and forge a line of this log.
            path = scope["raw_path"].decode("ascii", "backslashreplace")
            _log.info("%s %s %s, %d ms", scope["method"], path, status, (time.perf_counter() - begun) * 1000)
