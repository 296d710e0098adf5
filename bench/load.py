"""The whole local cloud under load: API, functions, table, bus, and the stand-in for Razorpay, over the loopback.

Each connection takes payments from order to confirmation, one request after the other: create-order, verify, the
webhook's payment.captured, read. The emulator, every function's process and this client share one machine, so the
figures say nothing about Lambda; what counts is that every response is correct at any concurrency.
"""

import json
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from statistics import quantiles
from typing import Any, Final

import urllib3

from bench.canned import CREATE_ORDER, VERIFY
from bench.targets import Figure
from sandbox import development, events
from sandbox.cloud.service import WEBHOOK_PATH, LocalService
from sandbox.gateway import signatures

CONNECTIONS: Final = (1, 4, 16)
# On a small machine a starting instance delays everything else for seconds, so Lambda's timeouts are easily exceeded.
# Each level therefore starts with unmeasured payments, which may be restarted.
_BEFORE_S: Final = 12.0
_WARM_UP_TRIES: Final = 8
# An unacknowledged webhook is retried, as by Razorpay, but at once.
_MOST_DELIVERIES: Final = 5
_SERVER_ERROR: Final = 500
# Raised, to measure the service and not its throttling.
PARAMETERS: Final = {"ApiRateLimit": "10000", "WebhookRateLimit": "10000"}
_CAPTURED: Final = events.webhook_body("payment.captured")


class LoadFailed(RuntimeError):
    """A response was wrong; the message says which, and how."""


def measure(seconds: float) -> list[Figure]:
    """Starts a separate local cloud, loads it at each number of connections for this long, and stops it.

    Raises:
        LoadFailed: a response was wrong, or a payment is not confirmed at the end.
    """
    found: list[Figure] = []
    with (
        tempfile.TemporaryDirectory(prefix="bench-load-") as folder,
        LocalService.start(Path(folder), parameters=PARAMETERS) as service,
    ):
        shop = _Shop(service.endpoints["api"])
        for connections in CONNECTIONS:
            shop.at_once(connections, lambda: _until(0, lambda: shop.take_payment(tries=_WARM_UP_TRIES)))
            shop.at_once(connections, lambda: _until(min(_BEFORE_S, seconds), shop.take_payment))
            found += _level(shop, connections, seconds)
    return found


def _level(shop: "_Shop", connections: int, seconds: float) -> list[Figure]:
    shop.waits_s.clear()
    shop.sent_again = 0
    started = time.perf_counter()
    shop.at_once(connections, lambda: _until(seconds, shop.take_payment))
    took_s = time.perf_counter() - started
    percentiles = quantiles(shop.waits_s, n=100)
    return [
        Figure(f"{connections} at once: requests a second", len(shop.waits_s) / took_s),
        Figure(f"{connections} at once: median, ms", percentiles[49] * 1000),
        Figure(f"{connections} at once: slowest of a hundred, ms", percentiles[98] * 1000),
        Figure(f"{connections} at once: webhooks sent again", shop.sent_again),
    ]


def _until(seconds: float, work: Callable[[], None]) -> None:
    """At least once."""
    end = time.perf_counter() + seconds
    work()
    while time.perf_counter() < end:
        work()


class _Shop:
    """Customers with one browser each, and Razorpay's deliveries."""

    def __init__(self, api: str) -> None:
        self.waits_s: list[float] = []
        self.sent_again = 0
        self._api = api
        self._numbers = count(1)
        self._pool = urllib3.PoolManager(maxsize=max(CONNECTIONS), retries=False, timeout=30)
        self._headers = {
            "Authorization": f"Bearer {development.token(events.CLIENT)}",
            "Content-Type": "application/json",
        }

    def at_once(self, connections: int, work: Callable[[], None]) -> None:
        """Runs this many in parallel; if one fails, this fails."""
        with ThreadPoolExecutor(connections) as threads:
            for done in [threads.submit(work) for _ in range(connections)]:
                done.result()

    def take_payment(self, *, tries: int = 1) -> None:
        """One payment from order to confirmation, restarted up to this many times on failure."""
        try:
            self._take_payment(next(self._numbers))
        except LoadFailed:
            if tries == 1:
                raise
            self.take_payment(tries=tries - 1)

    def _take_payment(self, number: int) -> None:
        offer = {**events.OFFER, "application_id": 1_000_000 + number}
        order_id: str = self._ask(f"{CREATE_ORDER}/", json.dumps(offer).encode())["order_id"]
        payment_id = f"pay_{number:014d}"
        self._ask(f"{VERIFY}/", json.dumps(events.checkout(order_id, payment_id)).encode())
        body = _CAPTURED.replace(events.ORDER_ID.encode(), order_id.encode())
        body = body.replace(events.PAYMENT_ID.encode(), payment_id.encode())
        signature = signatures.of_webhook(development.RAZORPAY_WEBHOOK_SECRET, body)
        self._ask(WEBHOOK_PATH, body, deliveries=_MOST_DELIVERIES, **{"X-Razorpay-Signature": signature})
        read = self._ask(f"/api/payments/{order_id}/")
        if read["status"] != "paid" or not read["confirmed"]:
            raise LoadFailed(f"{order_id} is {read['status']} after its capture was acknowledged")

    def _ask(self, path: str, body: bytes | None = None, *, deliveries: int = 1, **headers: str) -> dict[str, Any]:
        """Sends one request, up to this many times while the response is a 5xx, and records its latency."""
        method = "GET" if body is None else "POST"
        for left in reversed(range(deliveries)):
            started = time.perf_counter()
            answer = self._pool.request(method, self._api + path, body=body, headers=self._headers | headers)
            took_s = time.perf_counter() - started
            if answer.status < _SERVER_ERROR or left == 0:
                break
            self.sent_again += 1
        if answer.status not in {200, 201}:
            raise LoadFailed(f"{method} {path} was answered {answer.status}: {answer.data.decode()[:300]}")
        self.waits_s.append(took_s)
        document: dict[str, Any] = answer.json()
        return document
