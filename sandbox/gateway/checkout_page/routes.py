"""The script, the frame's files and the frame's endpoints, under /v1/checkout.

The endpoints know the merchant as Checkout does, by the public key id; the key secret never reaches a browser. They
allow what a customer can do and nothing else, and only from the frame itself: any other page that could call them could
pay on behalf of its visitor.

A failed payment is an ordinary outcome of a test, so it is answered 200 with the error inside, and the browser's
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
from sandbox.gateway.world import ImpossibleError, World

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
    "upi.js": "text/javascript",
    "validity.js": "text/javascript",
}
LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "[::1]"})

_MERCHANTS: Final = "http://127.0.0.1:* http://localhost:*"
"""Any port: the merchant's page may be served on any free one."""
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
    {"order_id", "method", "card", "otp", "vpa", "flow", "bank", "outcome", "email", "contact", "name", "description"}
    | {"notes"}
)
"""What a customer can decide. Setting an amount, a forced payment or another way of capturing needs the control API."""

_IN_THE_APP: Final = ("success", "failure", "late")

type Endpoint = Callable[[Request], Awaitable[Response]]


class CheckoutPage:
    """The routes."""

    def __init__(self, world: World, credentials: Credentials, late: checkout.LateAnswers) -> None:
        self._world = world
        self._credentials = credentials
        self._late = late

    def routes(self) -> list[Route]:
        """Return the script, and everything under /v1/checkout."""
        return [
            Route(SCRIPT, self._script, methods=["GET"]),
            Route(FRAME, self._frame, methods=["GET"]),
            Route("/v1/checkout/assets/{name}", self._asset, methods=["GET"]),
            Route("/v1/checkout/orders/{order_id}", _from_the_frame(self._order), methods=["GET"]),
            Route("/v1/checkout/payments", _from_the_frame(self._pay), methods=["POST"]),
            Route("/v1/checkout/payments/{payment_id}/finish", _from_the_frame(self._finish), methods=["POST"]),
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
        """Return what is to be paid, for the header: the order's own amount, whatever the merchant's page says.

        Amounts are in minor units; `exponent` is the number of decimals of the currency, `late_after_s` how long a late
        answer takes.
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
        """Pay as the customer: return the three fields of a success, or `{"error": …}` for a payment that failed.

        For UPI with the flow `intent` the customer goes to their app, with the outcome `open`: the answer is then
        `{order_id, payment_id, status: "created"}`, until they come back (`_finish`).
        """
        document = await self._asked(request, _CUSTOMERS_FIELDS)
        self._world.pass_time()
        try:
            press = checkout.paying(document)
        except checkout.UnplayableError as error:
            # The control API's text for an invalid request, in the shape that a merchant's page knows.
            raise refusals.Refusal(str(error)) from error
        if press.open and press.instrument.flow != "intent":
            raise refusals.Refusal("outcome can be open for UPI with the flow intent: nothing else goes to an app.")
        order = self._world.order(press.order_id)
        try:
            paid = checkout.pay(self._world, press, self._credentials.key_secret, self._late)
        except refusals.Refusal as failed:
            return _own_json(failed.body())
        if paid is None:
            payment = self._world.payments_of(order)[-1]
            return _own_json({"order_id": order.id, "payment_id": payment.id, "status": payment.status})
        return _own_json(checkout.handed_over(paid, self._world.faults.checkout_platform))

    async def _finish(self, request: Request) -> Response:
        """Apply what the customer did in their app: success, failure, or an answer that comes too late; see `_pay`."""
        document = await self._asked(request, frozenset({"outcome"}))
        outcome = document.get("outcome")
        if outcome not in _IN_THE_APP:
            raise refusals.Refusal(f"outcome can be: {', '.join(_IN_THE_APP)}")
        self._world.pass_time()
        payment = self._world.payment(request.path_params["payment_id"])
        try:
            if outcome == "late":
                checkout.give_up(self._world, payment, self._late)
                fields = checkout.outcome_of(payment, self._credentials.key_secret)
            else:
                key_secret = self._credentials.key_secret
                fields = checkout.finish(self._world, payment, key_secret, fails=outcome == "failure")
        except ImpossibleError as error:
            raise refusals.Refusal(str(error)) from error
        except refusals.Refusal as failed:
            return _own_json(failed.body())
        return _own_json(checkout.handed_over(fields, self._world.faults.checkout_platform))

    async def _asked(self, request: Request, known: frozenset[str]) -> dict[str, Any]:
        """Return the request's document without the key id, which is checked."""
        document = validation.json_object(await request.body())
        key_id = document.pop("key_id", None)
        self._authenticate(key_id if isinstance(key_id, str) else None)
        if extra := sorted(set(document) - known):
            raise refusals.unexpected_fields(extra)
        return document

    def _authenticate(self, key_id: str | None) -> None:
        status = self._world.faults.status_of_key_errors
        if not key_id:
            raise refusals.authentication_failed(status)
        if key_id != self._credentials.key_id:
            raise refusals.invalid_key(status)


def _from_the_frame(endpoint: Endpoint) -> Endpoint:
    """Refuse anything that the browser does not mark as a call from this very origin.

    A host other than loopback is a name that someone has pointed at this machine, and its pages would have the same
    origin. Only JSON is accepted, so that another page's form cannot be sent here without a preflight request.
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
