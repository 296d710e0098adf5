"""The control API, under /_control: the customer, the merchant's dashboard and the switches. No keys: loopback only.

An invalid control request is answered 422 `{"detail": …}`, so that nobody mistakes it for one of Razorpay's errors.
"""

import time
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any, Final, TypeIs, get_args
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.gateway import checkout, identifiers, validation, webhooks
from sandbox.gateway.deliveries import Deliveries, Event, Order, UndeliverableError, Webhook
from sandbox.gateway.entities import DisputeMove, DisputePhase, Payment, Refund
from sandbox.gateway.faults import Faults, UnknownSwitchError
from sandbox.gateway.settlements import NothingToSettleError
from sandbox.gateway.world import ImpossibleError, World

DEFAULT_PAGE: Final = 1000
OTHER_EVENTS: Final[dict[str, str | None]] = {
    "settlement.processed": None,
    "refund.speed_changed": "refund_id",
}
"""Events of other products, and the kind of entity each is about."""
OLDEST_S: Final = 180 * 24 * 60 * 60
"""For how long Razorpay shows an order."""
SLOWEST_SCALE: Final = 1000
"""A retry schedule of years; more is a mistake."""


type Endpoint = Callable[[Request], Awaitable[Response]]


class UnusableRequestError(ValueError):
    """The control request is invalid; the message says why."""


class Control:
    """The routes."""

    def __init__(self, world: World, deliveries: Deliveries, late: checkout.LateAnswers, key_secret: str) -> None:
        self._world = world
        self._deliveries = deliveries
        self._late = late
        self._key_secret = key_secret

    def routes(self) -> list[Route]:
        """Return everything under /_control, each route behind `_timely`."""
        routes = [
            Route("/_control/health", self._health, methods=["GET"]),
            Route("/_control/pay", self._pay, methods=["POST"]),
            Route("/_control/webhook", self._show_webhook, methods=["GET"]),
            Route("/_control/webhook", self._set_webhook, methods=["PUT"]),
            Route("/_control/faults", self._show_faults, methods=["GET"]),
            Route("/_control/faults", self._set_faults, methods=["PUT"]),
            Route("/_control/events", self._events, methods=["GET"]),
            Route("/_control/events/emit", self._emit, methods=["POST"]),
            Route("/_control/events/release", self._release, methods=["POST"]),
            Route("/_control/events/redeliver", self._redeliver, methods=["POST"]),
            Route("/_control/clock", self._show_clock, methods=["GET"]),
            Route("/_control/clock", self._set_clock, methods=["PUT"]),
            Route("/_control/ledger", self._ledger, methods=["GET"]),
            Route("/_control/payments/{payment_id}/authorize", self._authorize, methods=["POST"]),
            Route("/_control/payments/{payment_id}/finish", self._finish, methods=["POST"]),
            Route("/_control/payments/{payment_id}/fee", self._report_fee, methods=["POST"]),
            Route("/_control/payments/{payment_id}/capture", self._capture, methods=["POST"]),
            Route("/_control/payments/{payment_id}/auto_refund", self._auto_refund, methods=["POST"]),
            Route("/_control/payments/{payment_id}/dispute", self._open_dispute, methods=["POST"]),
            Route("/_control/disputes/{dispute_id}", self._move_dispute, methods=["PUT"]),
            Route("/_control/refunds/{refund_id}", self._settle_refund, methods=["PUT"]),
            Route("/_control/orders/{order_id}", self._age_order, methods=["PUT"]),
            Route("/_control/settlements", self._settle, methods=["POST"]),
            Route("/_control/reset", self._reset, methods=["POST"]),
        ]
        return [Route(route.path, self._timely(route.endpoint), methods=route.methods) for route in routes]

    def _timely(self, endpoint: Endpoint) -> Endpoint:
        """Let everything that is due happen before a control call reads or changes anything."""

        async def timely(request: Request) -> Response:
            self._world.pass_time()
            return await endpoint(request)

        return timely

    async def _health(self, _request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def _pay(self, request: Request) -> Response:
        press = checkout.paying(validation.json_object(await request.body()))
        paid = checkout.pay(self._world, press, self._key_secret, self._late)
        if paid is None:
            payment = self._world.payments_of(self._world.order(press.order_id))[-1]
            return JSONResponse({"order_id": payment.order_id, "payment_id": payment.id, "status": payment.status})
        return JSONResponse(checkout.handed_over(paid, press.platform or self._world.faults.checkout_platform))

    async def _show_webhook(self, _request: Request) -> Response:
        webhook = self._deliveries.webhook
        return JSONResponse(
            {"url": webhook.url, "enabled": webhook.enabled, "ladder_scale": self._deliveries.clock.scale}
        )

    async def _set_webhook(self, request: Request) -> Response:
        """Set the URL, the secret or both, and re-enable the webhook. The secret is never shown."""
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
        """Authorize a failed payment late."""
        payment, force = await self._payment_and_force(request)
        return JSONResponse(self._world.authorize_late(payment, force=force).to_json())

    async def _capture(self, request: Request) -> Response:
        payment, force = await self._payment_and_force(request)
        return JSONResponse(self._world.capture_authorized(payment, force=force).to_json())

    async def _finish(self, request: Request) -> Response:
        """Give the bank's answer to a pending payment, and return what Checkout returns then."""
        document = await _document(request, {"outcome", "force"})
        outcome, force = document.get("outcome", "success"), document.get("force", False)
        if outcome not in {"success", "failure"} or not isinstance(force, bool):
            raise UnusableRequestError("outcome can be: success, failure; and force: true, false")
        payment = self._world.payment(request.path_params["payment_id"])
        fields = checkout.finish(self._world, payment, self._key_secret, fails=outcome == "failure", force=force)
        return JSONResponse(checkout.handed_over(fields, self._world.faults.checkout_platform))

    async def _report_fee(self, request: Request) -> Response:
        """Report the fee of a captured payment."""
        await _document(request, set())
        return JSONResponse(self._world.report_fee(self._world.payment(request.path_params["payment_id"])).to_json())

    async def _auto_refund(self, request: Request) -> Response:
        """Return an authorized payment that nobody captured."""
        await _document(request, set())
        payment = self._world.payment(request.path_params["payment_id"])
        return JSONResponse(self._world.return_uncaptured(payment).to_json())

    async def _settle_refund(self, request: Request) -> Response:
        """Give the bank's answer to a pending refund."""
        document = await _document(request, {"status"})
        refund = self._world.refund_of_id(request.path_params["refund_id"])
        match document.get("status"):
            case "processed" | "failed" as outcome:
                return JSONResponse(self._world.settle_refund(refund, outcome).to_json())
            case _:
                raise UnusableRequestError("status can be: processed, failed")

    async def _open_dispute(self, request: Request) -> Response:
        """Open a dispute about a captured payment."""
        document = await _document(request, {"amount", "phase"})
        phase = document.get("phase", "chargeback")
        if phase not in get_args(DisputePhase):
            raise UnusableRequestError(f"phase can be: {', '.join(get_args(DisputePhase))}")
        payment = self._world.payment(request.path_params["payment_id"])
        dispute = self._world.open_dispute(payment, amount=_minor_units(document, "amount"), phase=phase)
        return JSONResponse(dispute.to_json())

    async def _move_dispute(self, request: Request) -> Response:
        """Submit evidence, have it sent back, or decide."""
        document = await _document(request, {"status", "amount_deducted"})
        to = document.get("status")
        if not _is_move(to):
            raise UnusableRequestError(f"status can be: {', '.join(get_args(DisputeMove))}")
        dispute = self._world.dispute_of_id(request.path_params["dispute_id"])
        deducted = _minor_units(document, "amount_deducted")
        return JSONResponse(self._world.move_dispute(dispute, to, deducted=deducted).to_json())

    async def _age_order(self, request: Request) -> Response:
        """Make an order older."""
        document = await _document(request, {"age_s"})
        age_s = document.get("age_s")
        if not isinstance(age_s, int) or isinstance(age_s, bool) or not 0 <= age_s <= OLDEST_S:
            raise UnusableRequestError(f"age_s is a number of seconds, at most {OLDEST_S}")
        return JSONResponse(self._world.age_order(self._world.order(request.path_params["order_id"]), age_s).to_json())

    async def _settle(self, request: Request) -> Response:
        """Settle what is not settled yet, and return the settlement with the ids of its rows."""
        document = await _document(request, {"settled_at", "adjustments"})
        settled = self._world.settle(_instant(document.get("settled_at")), _adjustments(document))
        rows = [{name: row[name] for name in ("entity_id", "type")} for row in settled.rows]
        return JSONResponse(settled.to_json() | {"rows": rows})

    async def _payment_and_force(self, request: Request) -> tuple[Payment, bool]:
        document = await _document(request, {"force"})
        force = document.get("force", False)
        if not isinstance(force, bool):
            raise UnusableRequestError("force can be: true, false")
        return self._world.payment(request.path_params["payment_id"]), force

    async def _events(self, request: Request) -> Response:
        """List the events in the order they happened; `next` continues where this page ends."""
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

    async def _emit(self, request: Request) -> Response:
        """Send an event of another product, in its documented shape."""
        document = await _document(request, {"event", "payment_id", "refund_id"})
        name = document.get("event")
        if not isinstance(name, str) or name not in OTHER_EVENTS:
            raise UnusableRequestError(f"event can be: {', '.join(OTHER_EVENTS)}")
        subject = OTHER_EVENTS[name]
        if set(document) - {"event"} != ({subject} if subject else set()):
            raise UnusableRequestError(f"{name} is about {subject or 'the whole account'}; give that and nothing else")
        event = self._send_other(name, str(document[subject]) if subject else "")
        return JSONResponse(event.to_json(with_body=False))

    def _send_other(self, name: str, subject_id: str) -> Event:
        world, now = self._world, int(time.time())
        payment: Payment | None = None
        refund: Refund | None = None
        match name:
            case "settlement.processed":
                body = webhooks.of_settlement(identifiers.new("setl"), world.payments.values(), now)
            case _:
                refund = world.refund_of_id(subject_id)
                payment = world.payment(refund.payment_id)
                if refund.speed_requested != "optimum":
                    raise UnusableRequestError(f"{refund.id} was asked for at normal speed; only optimum can change")
                body = webhooks.of_changed_speed(payment, refund, now)
        return self._deliveries.send(
            name,
            body,
            order_id=payment.order_id if payment else None,
            payment_id=payment.id if payment else None,
            refund_id=refund.id if refund else None,
        )

    async def _release(self, request: Request) -> Response:
        """Release held events in some order, and drop others for good."""
        document = await _document(request, {"order", "seed", "event_ids", "drop"})
        order = document.get("order", "as_happened")
        if order not in get_args(Order):
            raise UnusableRequestError(
                f"order can be: {', '.join(get_args(Order))}; or give event_ids in the order you want"
            )
        if "event_ids" in document and "order" in document:
            raise UnusableRequestError("event_ids already give the order; omit `order`")
        seed = document.get("seed", 0)
        if not isinstance(seed, int) or isinstance(seed, bool):
            raise UnusableRequestError("seed must be a whole number")
        if "seed" in document and order != "shuffled":
            raise UnusableRequestError("seed is for order: shuffled")
        chosen = _ids(document, "event_ids") if "event_ids" in document else None
        drop = _ids(document, "drop") if "drop" in document else []
        leaving, held = self._deliveries.release(chosen, order=order, seed=seed, drop=drop)
        return JSONResponse({"released": leaving, "dropped": drop, "held": held})

    async def _redeliver(self, request: Request) -> Response:
        """Send events again, and return the results."""
        event_ids = _ids(await _document(request, {"event_ids"}), "event_ids")
        attempts = await self._deliveries.redeliver(event_ids)
        told = zip(event_ids, attempts, strict=True)
        return JSONResponse({"redelivered": [{"event_id": id_, **attempt.to_json()} for id_, attempt in told]})

    async def _show_clock(self, _request: Request) -> Response:
        return JSONResponse({"ladder_scale": self._deliveries.clock.scale})

    async def _set_clock(self, request: Request) -> Response:
        """Change the speed of the retry schedule; events in progress follow."""
        scale = (await _document(request, {"ladder_scale"})).get("ladder_scale")
        if not isinstance(scale, int | float) or isinstance(scale, bool) or not 0 < scale <= SLOWEST_SCALE:
            raise UnusableRequestError(f"ladder_scale must be a number above 0, at most {SLOWEST_SCALE}")
        self._deliveries.clock.scale = float(scale)
        return await self._show_clock(request)

    async def _ledger(self, request: Request) -> Response:
        """Return the account's contents and history, see `World.ledger`; `order_id` filters it."""
        return JSONResponse(self._world.ledger(request.query_params.get("order_id")))

    async def _reset(self, _request: Request) -> Response:
        """Forget everything except the webhook's URL and secret. Re-enable the webhook and turn every switch off."""
        self._late.forget()
        await self._deliveries.forget()
        self._world.forget()
        self._world.faults = Faults()
        self._deliveries.webhook.enabled = True
        return JSONResponse({"status": "ok"})


async def unusable(_request: Request, error: Exception) -> Response:
    """Answer an invalid control request."""
    return JSONResponse({"detail": str(error)}, status_code=HTTPStatus.UNPROCESSABLE_ENTITY)


UNUSABLE: Final = (
    UnusableRequestError,
    UnknownSwitchError,
    UndeliverableError,
    ImpossibleError,
    NothingToSettleError,
    checkout.UnplayableError,
)


def webhook_url(given: object) -> str | None:
    """Parse the URL to deliver to, or None for nowhere.

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


def _is_move(given: object) -> TypeIs[DisputeMove]:
    return given in get_args(DisputeMove)


def _minor_units(document: dict[str, Any], name: str) -> int | None:
    given = document.get(name)
    if given is not None and (not isinstance(given, int) or isinstance(given, bool)):
        raise UnusableRequestError(f"{name} must be a whole number of minor units")
    return given


def _ids(document: dict[str, Any], name: str) -> list[str]:
    given = document.get(name)
    if not isinstance(given, list) or not all(isinstance(event_id, str) for event_id in given):
        raise UnusableRequestError(f"{name} must be a list of event ids, as GET /_control/events shows them")
    return given


def _instant(given: object) -> int | None:
    if given is None:
        return None
    if not isinstance(given, int) or isinstance(given, bool) or not validation.EARLIEST <= given <= validation.LATEST:
        raise UnusableRequestError(
            f"settled_at must be in Unix seconds, from {validation.EARLIEST} to {validation.LATEST}"
        )
    return given


def _adjustments(document: dict[str, Any]) -> list[validation.AdjustmentRequest]:
    given = document.get("adjustments", [])
    usage = "adjustments must be a list of {amount, description, dispute_id}; amount is in paise and not 0"
    if not isinstance(given, list):
        raise UnusableRequestError(usage)
    read = []
    for one in given:
        if not isinstance(one, dict) or set(one) - {"amount", "description", "dispute_id"}:
            raise UnusableRequestError(usage)
        amount, texts = one.get("amount"), (one.get("description"), one.get("dispute_id"))
        if not isinstance(amount, int) or isinstance(amount, bool) or amount == 0:
            raise UnusableRequestError(usage)
        if not all(text is None or isinstance(text, str) for text in texts):
            raise UnusableRequestError(usage)
        read.append(validation.AdjustmentRequest(amount, *texts))
    return read


def _count(given: str | None, default: int) -> int:
    if given is None:
        return default
    if not (given.isascii() and given.isdecimal()):
        raise UnusableRequestError("after and limit must be whole numbers")
    return int(given)
