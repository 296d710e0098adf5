"""The script, the frame's files and the frame's two endpoints, under /v1/checkout.

The endpoints know the merchant as Checkout does, by the public key id; the key secret never meets a browser. They take
what a customer can do and nothing else, and only from the frame itself: a page that could call them would pay for
whoever looks at it.

A payment that fails is an ordinary outcome of a test, so it is answered 200 with the error inside, and a browser's
console stays clean. Refused *requests* (a wrong key, an unknown order) have Razorpay's status and shape.
"""

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from sandbox.gateway import checkout, refusals, validation
from sandbox.gateway.api import Credentials
from sandbox.gateway.world import World

FOLDER: Final = Path(__file__).parent
SCRIPT: Final = "/v1/checkout.js"
"""As at Razorpay, https://checkout.razorpay.com/v1/checkout.js."""
FRAME: Final = "/v1/checkout/frame"
ASSETS: Final = {
    "frame.css": "text/css",
    "frame.js": "text/javascript",
    "instruments.js": "text/javascript",
    "money.js": "text/javascript",
    "tabs.js": "text/javascript",
    "validity.js": "text/javascript",
}
LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "[::1]"})

_MERCHANTS: Final = "http://127.0.0.1:* http://localhost:*"
"""Any port: the merchant's page is served wherever there was room."""
_POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        f"img-src 'self' data: {_MERCHANTS}",
        "base-uri 'none'",
        "form-action 'none'",
        f"frame-ancestors {_MERCHANTS}",
    )
)
_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_OWN: Final = _HEADERS | {"Cross-Origin-Resource-Policy": "same-origin"}
_FOR_EVERY_PAGE: Final = _HEADERS | {"Cross-Origin-Resource-Policy": "cross-origin"}

_CUSTOMERS_FIELDS: Final = frozenset(
    {"order_id", "method", "card", "otp", "vpa", "bank", "outcome", "email", "contact", "name", "description", "notes"}
)
"""What a customer can decide. An amount, a forced payment or another way of capturing is the stagehand's."""

type Endpoint = Callable[[Request], Awaitable[Response]]


class CheckoutPage:
    """The routes."""

    def __init__(self, world: World, credentials: Credentials, late: checkout.LateAnswers) -> None:
        self._world = world
        self._credentials = credentials
        self._late = late

    def routes(self) -> list[Route]:
        """The script, and everything under /v1/checkout."""
        return [
            Route(SCRIPT, self._script, methods=["GET"]),
            Route(FRAME, self._frame, methods=["GET"]),
            Route("/v1/checkout/assets/{name}", self._asset, methods=["GET"]),
            Route("/v1/checkout/orders/{order_id}", _from_the_frame(self._order), methods=["GET"]),
            Route("/v1/checkout/payments", _from_the_frame(self._pay), methods=["POST"]),
        ]

    async def _script(self, _request: Request) -> Response:
        return FileResponse(FOLDER / "checkout.js", media_type="text/javascript", headers=_FOR_EVERY_PAGE)

    async def _frame(self, _request: Request) -> Response:
        headers = _OWN | {"Content-Security-Policy": _POLICY}
        return FileResponse(FOLDER / "frame.html", media_type="text/html", headers=headers)

    async def _asset(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in ASSETS:
            raise refusals.unknown_url()
        return FileResponse(FOLDER / name, media_type=ASSETS[name], headers=_OWN)

    async def _order(self, request: Request) -> Response:
        """What is to be paid, for the header: the order's own sum, whatever the merchant's page says.

        Amounts in minor units; `exponent` is how many decimals the currency has, `late_after_s` how long a late answer
        takes.
        """
        self._authenticate(request.query_params.get("key_id"))
        self._world.pass_time()
        order = self._world.order(request.path_params["order_id"])
        return _own_json(
            {
                "order_id": order.id,
                "amount_due": order.amount - order.amount_paid,
                "amount": order.amount,
                "currency": order.currency,
                "exponent": validation.EXPONENTS[order.currency],
                "status": order.status,
                "late_after_s": checkout.DEFAULT_LATE_AFTER_S,
            }
        )

    async def _pay(self, request: Request) -> Response:
        """Pay as the customer: the three fields of a success, or `{"error": …}` of a payment that failed."""
        document = validation.json_object(await request.body())
        key_id = document.pop("key_id", None)
        self._authenticate(key_id if isinstance(key_id, str) else None)
        if extra := sorted(set(document) - _CUSTOMERS_FIELDS):
            raise refusals.unexpected_fields(extra)
        self._world.pass_time()
        try:
            press = checkout.paying(document)
        except checkout.UnplayableError as error:
            # The control API's words for a request that makes no sense, in the shape that a merchant's page knows.
            raise refusals.Refusal(str(error)) from error
        if press.open:
            raise refusals.Refusal("The bank's app is opened by POST /_control/pay, not from the frame.")
        self._world.order(press.order_id)
        try:
            paid = checkout.pay(self._world, press, self._credentials.key_secret, self._late)
            return _own_json(checkout.handed_over(paid or {}, self._world.faults.checkout_platform))
        except refusals.Refusal as failed:
            return _own_json(failed.body())

    def _authenticate(self, key_id: str | None) -> None:
        status = self._world.faults.status_of_key_errors
        if not key_id:
            raise refusals.authentication_failed(status)
        if key_id != self._credentials.key_id:
            raise refusals.invalid_key(status)


def _from_the_frame(endpoint: Endpoint) -> Endpoint:
    """Refuse whatever a browser does not vouch for as a call of this very origin.

    A host other than loopback is a name that somebody has pointed at this machine, and its pages would be of the same
    origin. JSON alone is taken, so that no form of another page can even be sent here without being asked first.
    """

    async def guarded(request: Request) -> Response:
        host = request.headers.get("host", "")
        origin, site = request.headers.get("origin"), request.headers.get("sec-fetch-site")
        vouched = origin is not None or site is not None
        if (
            host.rpartition(":")[0] not in LOOPBACK
            or not vouched
            or origin not in {None, f"http://{host}"}
            or site not in {None, "same-origin"}
        ):
            raise refusals.not_checkouts_own()
        if request.method == "POST" and request.headers.get("content-type") != "application/json":
            raise refusals.unreadable_body()
        return await endpoint(request)

    return guarded


def _own_json(document: dict[str, Any]) -> Response:
    return JSONResponse(document, HTTPStatus.OK, headers=_OWN)
