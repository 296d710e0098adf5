"""The platform around the service, as the end-to-end tests play it: a frontend, a customer, and an onlooker."""

import itertools
import random
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import requests

from sandbox.cloud.service import LocalService
from sandbox.demo import Service
from sandbox.development import RAZORPAY_WEBHOOK_SECRET, token

_TIMEOUT_S = 30
_PATIENCE_S = 100  # a subscriber's message that failed twice comes again after up to thirty and then sixty seconds
_POLL_S = 0.2

_application_ids: Iterator[int] = itertools.count(random.randrange(10**6, 10**9))  # noqa: S311 - only fresh, not secret


class Platform:
    """One client who accepts one proposal; each instance has a separate application."""

    def __init__(self, service: LocalService, *, client_id: int = 42, freelancer_id: int = 77) -> None:
        self.api: str = service.endpoints["api"]
        self.razorpay: str = service.endpoints["razorpay"]
        self.client_id = client_id
        self.freelancer_id = freelancer_id
        self.application_id = next(_application_ids)
        self._service = Service(service.endpoints)
        self._session = requests.Session()

    def call(
        self, method: str, path: str, *, user_id: int | None = None, json: Any = None, **options: Any
    ) -> requests.Response:
        """A request of a signed-in user (the client unless another is named)."""
        headers = {"Authorization": f"Bearer {token(user_id or self.client_id)}"}
        # No shared session, because some of these calls are concurrent.
        return requests.request(
            method, f"{self.api}/api/payments/{path}", json=json, headers=headers, timeout=_TIMEOUT_S, **options
        )

    def create_order(self, amount: object = "499.50") -> requests.Response:
        return self.call("POST", "create-order/", json=self._order(amount))

    def agree(self, amount: object = "499.50") -> None:
        """The services that sell know this proposal at this price."""
        self._service.agree(self._order(amount))

    def _order(self, amount: object) -> dict[str, Any]:
        return {
            "job_id": 11,
            "application_id": self.application_id,
            "client_id": self.client_id,
            "freelancer_id": self.freelancer_id,
            "amount": amount,
        }

    def create_orders_at_once(self, count: int) -> list[requests.Response]:
        """Sends `count` concurrent requests; each retries if the response says that this is safe."""

        def insist() -> requests.Response:
            return eventually(self.create_order, lambda answer: answer.status_code != requests.codes.unavailable)

        with ThreadPoolExecutor(count) as pool:
            return [*pool.map(lambda _: insist(), range(count))]

    def pay(self, order_id: str, **how: Any) -> requests.Response:
        """The customer pays in Checkout: 200 with the three fields, or 400 with Checkout's error."""
        return requests.post(f"{self.razorpay}/_control/pay", json={"order_id": order_id, **how}, timeout=_TIMEOUT_S)

    def verify(self, checkout: dict[str, Any], *, user_id: int | None = None) -> requests.Response:
        return self.call("POST", "verify/", json=checkout, user_id=user_id)

    def refund(self, payment: str, amount_minor: int | None = None) -> dict[str, Any]:
        """The merchant refunds through Razorpay's API; everything left unless an amount is given."""
        from sandbox.development import RAZORPAY_KEY_ID, RAZORPAY_KEY_SECRET  # noqa: PLC0415 - of no use elsewhere

        answer = requests.post(
            f"{self.razorpay}/v1/payments/{payment}/refund",
            json={} if amount_minor is None else {"amount": amount_minor},
            auth=(RAZORPAY_KEY_ID, RAZORPAY_KEY_SECRET),
            timeout=_TIMEOUT_S,
        )
        answer.raise_for_status()
        refund: dict[str, Any] = answer.json()
        return refund

    def webhook(self, body: bytes, signature: str | None) -> requests.Response:
        headers = {"Content-Type": "application/json"}
        if signature is not None:
            headers["X-Razorpay-Signature"] = signature
        return requests.post(f"{self.api}/api/payments/webhook/", data=body, headers=headers, timeout=_TIMEOUT_S)

    def deliveries(self, order_id: str) -> list[dict[str, Any]]:
        """Every webhook event of an order that the stand-in sent, with its deliveries."""
        answer = requests.get(
            f"{self.razorpay}/_control/events", params={"order_id": order_id, "bodies": "1"}, timeout=_TIMEOUT_S
        )
        events: list[dict[str, Any]] = answer.json()["events"]
        return events

    def use_webhook_secret(self, secret: str = RAZORPAY_WEBHOOK_SECRET) -> None:
        """Rotates the secret at Razorpay, which signs later events with it."""
        requests.put(f"{self.razorpay}/_control/webhook", json={"secret": secret}, timeout=_TIMEOUT_S)

    def withhold_webhooks(self) -> str:
        """Razorpay stops sending webhooks; returns the previous URL."""
        address: str = requests.get(f"{self.razorpay}/_control/webhook", timeout=_TIMEOUT_S).json()["url"]
        requests.put(f"{self.razorpay}/_control/webhook", json={"url": None}, timeout=_TIMEOUT_S)
        return address

    def deliver_webhooks(self, address: str) -> None:
        """Razorpay sends webhooks again, for what happens from now on."""
        requests.put(f"{self.razorpay}/_control/webhook", json={"url": address}, timeout=_TIMEOUT_S)

    def payment(self, order_id: str) -> dict[str, Any]:
        answer = self.call("GET", f"{order_id}/")
        answer.raise_for_status()
        payment: dict[str, Any] = answer.json()
        return payment

    def record(self, order_id: str) -> dict[str, Any]:
        return self._service.record(order_id)

    def outcomes(self, subscriber: str, order_id: str) -> list[str]:
        """What a service did with the order's events."""
        return sorted(note["outcome"] for note in self._service.inbox(subscriber, order_id))

    def inbox(self, subscriber: str, order_id: str) -> list[str]:
        """The detail types that a subscriber has stored for the order, unordered and with repetitions."""
        return sorted(note["detail_type"] for note in self._service.inbox(subscriber, order_id))

    def wait_for_payment(self, order_id: str, **expected: object) -> dict[str, Any]:
        """Polls the API, as a frontend does, until the payment has these fields."""
        return eventually(
            lambda: self.payment(order_id), lambda payment: all(payment[name] == expected[name] for name in expected)
        )

    def wait_for_inbox(self, subscriber: str, order_id: str, *expected: str) -> None:
        eventually(lambda: self.inbox(subscriber, order_id), lambda notes: notes == sorted(expected))

    def wait_until_delivered(self, order_id: str, count: int) -> list[dict[str, Any]]:
        """Waits until this many webhook events of the order were accepted."""
        return eventually(
            lambda: [event for event in self.deliveries(order_id) if event["state"] == "delivered"],
            lambda events: len(events) == count,
        )


def eventually[T](look: Callable[[], T], accept: Callable[[T], bool]) -> T:
    """Polls until the value is accepted; fails with the last value."""
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        seen = look()
        if accept(seen):
            return seen
        assert time.monotonic() < deadline, f"still {seen!r} after {_PATIENCE_S} s"
        time.sleep(_POLL_S)
