"""The whole local cloud under load: API, functions, table, bus, and the stand-in for Razorpay, over the loopback.

Each connection takes payments from their order to their confirmation, one request after the other: create-order,
verify, the webhook's payment.captured, read. The emulator, every function's process and this client share one machine,
so the figures compare revisions and numbers of connections with each other, and say nothing about Lambda.
"""

import http.client
import json
import tempfile
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from threading import Lock
from typing import Any, Final
from urllib.parse import urlsplit

from bench.canned import CREATE_ORDER, VERIFY
from bench.figures import percentile
from bench.progress import Effort, Progress, Result
from sandbox import development, events
from sandbox.cloud.service import WEBHOOK_PATH, LocalService
from sandbox.gateway import signatures, webhooks
from sandbox.gateway.entities import Customer, Instrument, Order, Payment

CONNECTIONS: Final = (1, 4, 16)
_MOST_PAYMENTS: Final = 2_000
_TIMEOUT_S: Final = 30
_WARM_UP_TRIES: Final = 8
# A webhook that was not acknowledged comes again, as from Razorpay, here at once. The first one of an instance may be
# too late for Lambda's limit of 4 s where everything starts on one small machine.
_MOST_DELIVERIES: Final = 5
_SERVER_ERROR: Final = 500
_BEFORE_S: Final = 3.0
_BEFORE_PER_CONNECTION_S: Final = 0.75
"""Each level runs so long before it is measured, and starts what instances are still missing: while one starts, on a
small machine everybody else waits for seconds."""
# Out of the way: what is measured is the service, not its throttles.
PARAMETERS: Final = {"ApiRateLimit": "10000", "WebhookRateLimit": "10000"}


class LoadFailed(RuntimeError):
    """A request was not answered as it should have been; the message says which, and how."""


@dataclass(slots=True)
class _Shared:
    """What all connections of one level have in common."""

    until: float
    numbers: "count[int]"
    lock: Lock = field(default_factory=Lock)
    waits_s: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    orders: list[str] = field(default_factory=list)
    sent_again: int = 0


def measure(effort: Effort, progress: Progress) -> Result:
    """Starts a local cloud of its own, loads it at each number of connections, and ends it.

    Raises:
        LoadFailed: an answer was not what it should be, or a payment is not confirmed in the end.
    """
    rows: list[dict[str, Any]] = []
    steps = len(CONNECTIONS) + 1
    with (
        tempfile.TemporaryDirectory(prefix="bench-load-") as folder,
        LocalService.start(Path(folder), parameters=PARAMETERS) as service,
    ):
        numbers = count(1)
        _warm_up(service, numbers)
        progress(1, steps)
        for connections in CONNECTIONS:
            before_s = max(_BEFORE_S, connections * _BEFORE_PER_CONNECTION_S)
            _level(service, connections, min(before_s, 2 * effort.seconds), numbers)
            rows.append(_level(service, connections, effort.seconds, numbers))
            progress(len(rows) + 1, steps)
    return {"seconds": effort.seconds, "rows": rows}


def _warm_up(service: LocalService, numbers: "count[int]") -> None:
    """Lets every function start as many instances as it will need.

    So many at once on a small machine may take longer than Lambda allows them; such a payment is begun again.
    """
    shared = _Shared(0.0, numbers)

    def take_one() -> None:
        for tries in range(_WARM_UP_TRIES):
            try:
                _take_payments(service, shared)
            except LoadFailed:
                if tries == _WARM_UP_TRIES - 1:
                    raise
            else:
                return

    for connections in (1, *CONNECTIONS):
        with ThreadPoolExecutor(connections) as pool:
            for done in [pool.submit(take_one) for _ in range(connections)]:
                done.result()


def _level(service: LocalService, connections: int, seconds: float, numbers: "count[int]") -> dict[str, Any]:
    shared = _Shared(time.perf_counter() + seconds, numbers)
    started = time.perf_counter()
    with ThreadPoolExecutor(connections) as pool:
        for done in [pool.submit(_take_payments, service, shared) for _ in range(connections)]:
            done.result()
    took_s = time.perf_counter() - started
    waits = [wait for times in shared.waits_s.values() for wait in times]
    return {
        "connections": connections,
        "payments": len(shared.orders),
        "requests": len(waits),
        "sent_again": shared.sent_again,
        "requests_a_second": len(waits) / took_s,
        "p50_ms": percentile(waits, 0.5) * 1000,
        "p99_ms": percentile(waits, 0.99) * 1000,
        "by_request": {
            name: {"p50_ms": percentile(times, 0.5) * 1000, "p99_ms": percentile(times, 0.99) * 1000}
            for name, times in shared.waits_s.items()
        },
    }


def _take_payments(service: LocalService, shared: _Shared) -> None:
    """One connection: at least one payment, then as many as there is time for."""
    client = _Client(service.endpoints["api"], shared)
    try:
        while True:
            number = next(shared.numbers)
            _take_payment(client, number)
            if time.perf_counter() >= shared.until or number >= _MOST_PAYMENTS:
                return
    finally:
        client.close()


def _take_payment(client: "_Client", number: int) -> None:
    offer = {**events.OFFER, "application_id": 1_000_000 + number}
    order_id: str = client.ask("create-order", "POST", f"{CREATE_ORDER}/", json.dumps(offer).encode())["order_id"]
    payment_id = f"pay_{number:014d}"
    client.ask("verify", "POST", f"{VERIFY}/", json.dumps(events.checkout(order_id, payment_id)).encode())
    body = _captured(order_id, payment_id)
    signature = signatures.of_webhook(development.RAZORPAY_WEBHOOK_SECRET, body)
    client.ask("webhook", "POST", WEBHOOK_PATH, body, {"X-Razorpay-Signature": signature}, deliveries=_MOST_DELIVERIES)
    read = client.ask("read", "GET", f"/api/payments/{order_id}/")
    if read["status"] != "paid" or not read["confirmed"]:
        raise LoadFailed(f"{order_id} is {read['status']} after its capture was acknowledged")
    client.done(order_id)


def _captured(order_id: str, payment_id: str) -> bytes:
    now = int(time.time())
    order = Order(
        order_id,
        events.AMOUNT_MINOR,
        "INR",
        "bench",
        {"service": "payment-service"},
        captures_automatically=True,
        created_at=now,
        status="paid",
        amount_paid=events.AMOUNT_MINOR,
        attempts=1,
    )
    payment = Payment(
        payment_id,
        order_id,
        events.AMOUNT_MINOR,
        "INR",
        "captured",
        Instrument("netbanking", bank=events.BANK),
        Customer(),
        None,
        {},
        {"bank_transaction_id": "0125836177"},
        created_at=now,
        captured=True,
        fee=1179,
        tax=180,
    )
    return webhooks.body("payment.captured", payment, order, None, now)


class _Client:
    """One connection, kept alive."""

    def __init__(self, api: str, shared: _Shared) -> None:
        address = urlsplit(api)
        assert address.hostname is not None
        self._connection = http.client.HTTPConnection(address.hostname, address.port, timeout=_TIMEOUT_S)
        self._headers = {
            "Authorization": f"Bearer {development.token(events.CLIENT)}",
            "Content-Type": "application/json",
        }
        self._shared = shared

    def ask(  # noqa: PLR0913 - what is sent, and how often
        self,
        name: str,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
        *,
        deliveries: int = 1,
    ) -> dict[str, Any]:
        """Sends one request and notes how long its answer took.

        Args:
            name: of the request, for the figures.
            method: of HTTP.
            path: below the API.
            body: JSON.
            headers: beside the usual ones.
            deliveries: how often it may be sent while the answer is "not now" (5xx).

        Raises:
            LoadFailed: the answer is not a 2xx.
        """
        for left in reversed(range(deliveries)):
            started = time.perf_counter()
            self._connection.request(method, path, body, {**self._headers, **(headers or {})})
            answer = self._connection.getresponse()
            content = answer.read()
            took_s = time.perf_counter() - started
            if answer.status < _SERVER_ERROR or left == 0:
                break
            with self._shared.lock:
                self._shared.sent_again += 1
        if answer.status not in {200, 201}:
            raise LoadFailed(f"{name} was answered {answer.status}: {content.decode(errors='replace')[:300]}")
        with self._shared.lock:
            self._shared.waits_s[name].append(took_s)
        document: dict[str, Any] = json.loads(content)
        return document

    def done(self, order_id: str) -> None:
        """A payment was taken all the way."""
        with self._shared.lock:
            self._shared.orders.append(order_id)

    def close(self) -> None:
        """Hangs up."""
        self._connection.close()
