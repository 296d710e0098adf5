"""The shop page, its configuration and clients, and the live view, as one ASGI application."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sandbox.live.routes import routes as live_routes
from sandbox.proposals import Proposals
from sandbox.shop.clients import SIGNED_IN_FOR, Client, client_of_cookie, new_client
from sandbox.shop.pages import SECURITY_HEADERS, content_security_policy, page

STATIC: Final = Path(__file__).parent / "static"
CLIENT: Final = "clients/javascript/src"
"""The client's folder in the project, and its address: the modules in `static` import it by relative paths."""
REACT: Final = Path(__file__).parents[2] / "examples/react"
LIVE: Final = "/live/"
COOKIE: Final = "shop_client"
REAL_CHECKOUT: Final = "https://checkout.razorpay.com/v1/checkout.js"


def application(endpoints: Mapping[str, Any]) -> ASGIApp:
    """Return the pages for a running service.

    Args:
        endpoints: as in `endpoints.json`; `stand_in` says whether Razorpay is the stand-in.
    """
    app = Starlette(
        routes=[
            *Shop(endpoints).routes(),
            Mount(LIVE.rstrip("/"), routes=live_routes(endpoints)),
            Mount("/static", StaticFiles(directory=STATIC)),
            Mount(f"/{CLIENT}", StaticFiles(directory=Path(__file__).parents[2] / CLIENT)),
        ],
        # Only under its own names: a foreign page whose name was pointed here gets nothing.
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"])],
    )
    return _WithSecurityHeaders(app)


class Shop:
    """The shop's own routes."""

    def __init__(self, endpoints: Mapping[str, Any]) -> None:
        self._api: str = endpoints["api"]
        self._razorpay: str = endpoints["razorpay"]
        self._stand_in: bool = endpoints["stand_in"]
        self._proposals = Proposals(endpoints)

    def routes(self) -> list[Route]:
        """Return everything that the page needs."""
        return [
            Route("/", self._page, methods=["GET"]),
            Route("/react/", self._react, methods=["GET"]),
            Route("/react/main.js", self._react_script, methods=["GET"]),
            Route("/config.json", self._config, methods=["GET"]),
            Route("/session", self._session, methods=["POST"]),
            Route("/session/new", self._new_session, methods=["POST"]),
            Route("/quotes/{application_id:int}", self._quote, methods=["POST"]),
        ]

    async def _page(self, _request: Request) -> Response:
        return page(STATIC / "shop.html", self.policy())

    async def _react(self, _request: Request) -> Response:
        return page(REACT / "index.html", self.policy())

    async def _react_script(self, _request: Request) -> Response:
        built = REACT / "build/main.js"
        if not built.is_file():
            return PlainTextResponse("The React example is not built yet: run `make react`, then reload.", 404)
        return FileResponse(built, media_type="text/javascript")

    def policy(self) -> str:
        """Return what the page may load, call and frame: itself, the payment service, and Checkout."""
        if self._stand_in:
            return content_security_policy(
                script_src=f"'self' {self._razorpay}",
                style_src="'self'",
                img_src="'self'",
                connect_src=f"'self' {self._api}",
                frame_src=self._razorpay,
                form_action="'none'",
            )
        # As wide as Razorpay's own script needs (razorpay/razorpay-magento, etc/csp_whitelist.xml): it loads parts from
        # several Razorpay hosts and sets style attributes.
        return content_security_policy(
            script_src="'self' https://checkout.razorpay.com https://cdn.razorpay.com",
            style_src="'self' 'unsafe-inline'",
            img_src="'self' data: https://*.razorpay.com",
            font_src="https://*.razorpay.com",
            connect_src=f"'self' {self._api} https://*.razorpay.com",
            frame_src="https://*.razorpay.com",
            form_action="https://*.razorpay.com",
        )

    async def _config(self, _request: Request) -> Response:
        return JSONResponse(
            {
                "api": self._api,
                "checkout_script": f"{self._razorpay}/v1/checkout.js" if self._stand_in else REAL_CHECKOUT,
                "gateway": "the stand-in for Razorpay: no money moves"
                if self._stand_in
                else "Razorpay's test mode: no money moves",
                "live": LIVE,
            }
        )

    async def _session(self, request: Request) -> Response:
        return await self._signed_in(client_of_cookie(request.cookies.get(COOKIE)) or new_client())

    async def _new_session(self, _request: Request) -> Response:
        return await self._signed_in(new_client())

    async def _signed_in(self, client: Client) -> Response:
        # The services that sell know these proposals before anybody can pay for them.
        for proposal in client.proposals():
            await run_in_threadpool(self._proposals.agree, proposal | {"client_id": client.user_id})
        return _signed_in(client)

    async def _quote(self, request: Request) -> Response:
        client = client_of_cookie(request.cookies.get(COOKIE))
        if client is None:
            return PlainTextResponse("Nobody is signed in.", 401)
        quote = client.quote(request.path_params["application_id"])
        if quote is None:
            return PlainTextResponse("There is no such proposal.", 404)
        return JSONResponse({"quote": quote})


def _signed_in(client: Client) -> Response:
    answer = JSONResponse(client.to_json())
    # Strict: no other site can make the browser request a token with it.
    answer.set_cookie(
        COOKIE, client.to_cookie(), max_age=int(SIGNED_IN_FOR.total_seconds()), httponly=True, samesite="strict"
    )
    return answer


class _WithSecurityHeaders:
    """Adds the headers that every response has."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = {name.lower() for name, _ in message["headers"]}
                message["headers"] = [
                    *message["headers"],
                    *(
                        (name.encode(), value.encode())
                        for name, value in SECURITY_HEADERS.items()
                        if name.lower().encode() not in given
                    ),
                ]
            await send(message)

        await self._app(scope, receive, with_headers if scope["type"] == "http" else send)
