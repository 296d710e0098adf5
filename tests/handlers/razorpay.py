"""A scripted Razorpay API: a real HTTP server on 127.0.0.1 that returns given responses and records requests."""

import base64
import json
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from sandbox import development
from sandbox.events import ORDER_ID, ORDERED_AT

_KEYS = f"{development.RAZORPAY_KEY_ID}:{development.RAZORPAY_KEY_SECRET}"


@dataclass(frozen=True)
class Reply:
    """One response; with `hangs` it is never sent."""

    status: int = 200
    body: bytes = b"{}"
    headers: Mapping[str, str] = field(default_factory=dict)
    hangs: bool = False


def refusal(status: int, description: str, **more: str) -> Reply:
    """An error in Razorpay's shape."""
    error = {"code": "BAD_REQUEST_ERROR", "description": description, "source": "business", "metadata": {}, **more}
    return Reply(status, json.dumps({"error": error}).encode())


@dataclass(frozen=True)
class Asked:
    """One received request; header names in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def document(self) -> Any:
        return json.loads(self.body)

    @property
    def keys(self) -> str:
        """`key id:key secret`, from HTTP Basic."""
        return base64.b64decode(self.headers["authorization"].removeprefix("Basic ")).decode()


def collection(items: Iterable[Mapping[str, Any]]) -> bytes:
    """A list in Razorpay's shape."""
    listed = list(items)
    return json.dumps({"entity": "collection", "count": len(listed), "items": listed}).encode()


NOT_THERE = refusal(
    400, "The id provided does not exist", reason="input_validation_failed", step="payment_initiation", field="id"
)
KEYS_REFUSED = refusal(400, "Authentication failed", reason="NA", step="NA", source="NA")


class Razorpay:
    """Creates and stores every requested order, unless `script` or `trouble` has another reply."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.script: deque[Reply] = deque()
        self.trouble: Callable[[Asked], Reply | None] = lambda _: None
        """Another reply to a request; None: the stored data answers it."""
        self.orders: dict[str, dict[str, Any]] = {}
        self.payments: dict[str, dict[str, Any]] = {}
        self.refunds: dict[str, dict[str, Any]] = {}
        self.keys_of_refunds: dict[str, str] = {}
        self.disputes: dict[str, dict[str, Any]] = {}
        self.keys = _KEYS
        self._made = 0
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def reset(self) -> None:
        self.asked.clear()
        self.script.clear()
        self.trouble = lambda _: None
        for book in (self.orders, self.payments, self.refunds, self.keys_of_refunds, self.disputes):
            book.clear()
        self.keys = _KEYS
        self._made = 0

    def pay(self, order_id: str | None, payment_id: str, status: str = "captured", **changes: Any) -> None:
        """Adds or replaces a payment on an order."""
        order = self.orders.get(order_id or "", {})
        self.payments[payment_id] = (
            {
                "id": payment_id,
                "entity": "payment",
                "order_id": order_id,
                "amount": order.get("amount", 49950),
                "currency": "INR",
                "method": "netbanking",
                "amount_refunded": 0,
                "fee": None,
                "error_code": None,
                "error_reason": None,
                "created_at": ORDERED_AT + 60,
            }
            | self.payments.get(payment_id, {})
            | {"status": status, "captured": status in {"captured", "refunded"}}
            | changes
        )
        if order:
            order["status"] = "paid" if status in {"captured", "refunded"} else "attempted"

    def give_back(self, payment_id: str, refund_id: str, amount: int, status: str = "processed", **more: Any) -> None:
        """Adds or replaces a refund of a payment; Razorpay's sum counts refunds that did not fail."""
        self.refunds[refund_id] = (
            {"id": refund_id, "entity": "refund", "payment_id": payment_id, "created_at": ORDERED_AT + 90}
            | self.refunds.get(refund_id, {})
            | {"amount": amount, "status": status}
            | more
        )
        mine = [one for one in self.refunds.values() if one["payment_id"] == payment_id and one["status"] != "failed"]
        self.payments[payment_id]["amount_refunded"] = sum(one["amount"] for one in mine)

    def paths(self) -> list[str]:
        """Each request's method and path, without the query."""
        return [f"{asked.method} {urlsplit(asked.path).path}" for asked in self.asked]

    def order(self, asked: Asked, **changes: Any) -> bytes:
        """The requested order, as documented."""
        wanted = asked.document
        with self._lock:
            self._made += 1
            number = self._made
        entity = {
            "amount": wanted["amount"],
            "amount_due": wanted["amount"],
            "amount_paid": 0,
            "attempts": 0,
            "created_at": ORDERED_AT,
            "currency": wanted["currency"],
            "entity": "order",
            "id": ORDER_ID if number == 1 else f"order_{number:014d}",
            "notes": wanted.get("notes") or [],
            "offer_id": None,
            "receipt": wanted.get("receipt"),
            "status": "created",
        }
        self.orders[str((entity | changes)["id"])] = entity | changes
        return json.dumps(entity | changes).encode()

    def _reply(self, asked: Asked) -> Reply:
        with self._lock:
            self.asked.append(asked)
            scripted = self.script.popleft() if self.script else None
        if scripted is not None:
            return scripted
        if (trouble := self.trouble(asked)) is not None:
            return trouble
        if asked.keys != self.keys:
            return refusal(401, "Authentication failed")
        if asked.method == "POST" and asked.path.endswith("/refund"):
            return self._refund(asked)
        return Reply(body=self.order(asked)) if asked.method == "POST" else self._read(asked)

    def _refund(self, asked: Asked) -> Reply:
        """A refund, as documented ("Create a Normal Refund (Idempotent Request)")."""
        payment_id, wanted, key = asked.path.split("/")[3], asked.document, asked.headers["x-refund-idempotency"]
        with self._lock:
            if key not in self.keys_of_refunds:
                if (payment := self.payments.get(payment_id)) is None:
                    return NOT_THERE
                rest = payment["amount"] - payment["amount_refunded"]
                if not rest:
                    return refusal(400, "The payment has been fully refunded already")
                if wanted["amount"] > rest:
                    return refusal(400, "The total refund amount is greater than the refund payment amount")
                refund_id = f"rfnd_{len(self.refunds) + 1:014d}"
                self.give_back(payment_id, refund_id, wanted["amount"], notes=wanted["notes"], currency="INR")
                self.keys_of_refunds[key] = refund_id
            return Reply(body=json.dumps(self.refunds[self.keys_of_refunds[key]]).encode())

    def _read(self, asked: Asked) -> Reply:
        """The stored data ("Fetch …" in Razorpay's API pages)."""
        address = urlsplit(asked.path)
        query = {name: int(values[0]) for name, values in parse_qs(address.query).items()}
        _, _, kind, *rest = address.path.rstrip("/").split("/")
        books = {
            "orders": self.orders,
            "payments": self.payments,
            "refunds": self.refunds,
            "disputes": self.disputes,
        }
        match rest:
            case [] if kind == "disputes":
                # Its page names no period.
                return self._page(list(self.disputes.values()), query)
            case []:
                start, end = query["from"], query["to"]
                found = [one for one in books[kind].values() if start <= one["created_at"] <= end]
                return self._page(found, query)
            case [identity]:
                entity = books[kind].get(identity)
                return NOT_THERE if entity is None else Reply(body=json.dumps(entity).encode())
            case [identity, "payments"]:
                # The one list that is not paged.
                return Reply(body=collection(one for one in self.payments.values() if one["order_id"] == identity))
            case [identity, "refunds"]:
                return self._page([one for one in self.refunds.values() if one["payment_id"] == identity], query)
        return refusal(400, "The requested URL was not found on the server.")

    @staticmethod
    def _page(found: list[dict[str, Any]], query: Mapping[str, int]) -> Reply:
        newest_first = sorted(found, key=lambda one: one["created_at"], reverse=True)
        skip = query.get("skip", 0)
        return Reply(body=collection(newest_first[skip : skip + query.get("count", 10)]))

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        razorpay = self

        class Handler(BaseHTTPRequestHandler):
            # Keeps connections open, unless the client says otherwise.
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                reply = razorpay._reply(Asked(self.command, self.path, headers, body))
                if reply.hangs:
                    razorpay._stopping.wait(20)
                    self.close_connection = True
                    return
                self.send_response(reply.status)
                for name, value in {"Content-Type": "application/json", **reply.headers}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(reply.body)))
                self.end_headers()
                self.wfile.write(reply.body)

            do_GET = answer  # noqa: N815 - http.server's name
            do_POST = answer  # noqa: N815 - as above

            def log_message(self, *_: object) -> None:
                pass

        return Handler
