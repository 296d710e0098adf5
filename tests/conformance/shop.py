"""The service as a merchant's integration: its real functions, an in-process AWS, and Razorpay's stand-in over HTTP."""

import json
import threading
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import requests

from sandbox import events
from sandbox.development import RAZORPAY_WEBHOOK_SECRET
from sandbox.gateway import signatures
from tests.conformance.endpoint import WebhookEndpoint
from tests.gateway.gateway import Gateway
from tests.gateway.receiver import wait_until
from tests.handlers.cloud import Cloud
from tests.handlers.service import CREATE_ORDER, VERIFY, WEBHOOK, Answer, Clock, forget_loggers, handler, invoke

MINUTE_S = 60
HOUR_S = 60 * MINUTE_S
SWEPT_S = 16 * MINUTE_S
"""By this age the first pass over Razorpay's lists, which is fifteen minutes behind, has read a payment."""


class Shop:
    """Everything that a scenario needs; one per test, with an empty table and an empty account."""

    def __init__(self, standin: Gateway, cloud: Cloud, clock: Clock) -> None:
        self.standin = standin
        self.cloud = cloud
        self.clock = clock
        self.endpoint = WebhookEndpoint(self._receive)
        # Deliveries come on the endpoint's threads; the functions' logger and the in-process AWS are not thread-safe.
        self._one_at_a_time = threading.RLock()

    # --- the frontend ---

    def create_order(self, **changes: Any) -> Answer:
        """Orders the offer of `events/`, or another one; a different application id makes it another purchase."""
        offer = {**events.OFFER, **changes}
        return self._invoke(events.from_frontend(CREATE_ORDER, offer, user_id=offer["client_id"]))

    def order(self, **changes: Any) -> str:
        """Creates an order and returns its id."""
        answer = self.create_order(**changes)
        assert answer.status == 201, answer.text
        order_id: str = answer.body["order_id"]
        return order_id

    def verify(self, checkout: Mapping[str, str]) -> Answer:
        """Sends verify what Checkout returned, or a forgery of it."""
        return self._invoke(events.from_frontend(VERIFY, checkout))

    def request_refund(self, order_id: str, amount: str, *, key: str) -> Answer:
        """A service of the platform requests a refund."""
        return self._invoke(events.from_service(order_id, {"amount": amount}, key=key))

    def payment(self, order_id: str) -> tuple[str, bool, int]:
        """Status, confirmed and amount refunded, as the client reads them."""
        answer = self._invoke(events.reading(order_id))
        assert answer.status == 200, answer.text
        return answer.body["status"], answer.body["confirmed"], answer.body["amount_refunded"]

    # --- Razorpay ---

    def pay(self, order_id: str, **how: str) -> dict[str, str]:
        """The customer pays, and Checkout returns three fields."""
        return self.standin.pay(order_id, **how)

    def fail_to_pay(self, order_id: str) -> dict[str, Any]:
        """The customer's payment is refused; returns Razorpay's error."""
        answer = self.standin.try_to_pay(order_id, method="upi", vpa="failure@razorpay")
        assert answer.status_code == 400
        error: dict[str, Any] = answer.json()["error"]
        return error

    def authorize_late(self, payment_id: str) -> None:
        """The bank authorises a failed payment after all."""
        self.standin.control("POST", f"payments/{payment_id}/authorize", {})

    def give_back(self, payment_id: str) -> None:
        """Razorpay refunds an authorised payment that was not captured in time."""
        self.standin.control("POST", f"payments/{payment_id}/auto_refund", {})

    def ledger(self, order_id: str | None = None) -> dict[str, list[dict[str, Any]]]:
        """Razorpay's orders, payments and refunds."""
        narrowed = {} if order_id is None else {"order_id": order_id}
        held: dict[str, list[dict[str, Any]]] = self.standin.control("GET", "ledger", **narrowed)
        return held

    def break_razorpay(self, fault: str, route: str | None = None, *, times: int | None = None) -> None:
        """From now on API calls fail in this way: all of them, or the next few of a route."""
        concerned = {"route": route, "times": times}
        rule = {"fault": fault} | {name: value for name, value in concerned.items() if value is not None}
        self.standin.control("PUT", "faults", {"api": [rule]})

    def faults_met(self) -> int:
        """How many API calls had the fault."""
        met: int = self.standin.control("GET", "faults")["api"][0]["played"]
        return met

    def ask_for_refund(self, payment_id: str, amount: int, *, key: str) -> requests.Response:
        """A request to the dashboard's API; the response may be lost on the way."""
        return requests.post(
            f"{self.standin.url}/v1/payments/{payment_id}/refund",
            json={"amount": amount},
            headers={"X-Refund-Idempotency": key},
            auth=(self.standin.settings.key_id, self.standin.settings.key_secret),
            timeout=10,
        )

    # --- webhooks ---

    def listen(self) -> None:
        """From now on Razorpay delivers to our endpoint."""
        self.standin.control("PUT", "webhook", {"url": self.endpoint.url})

    def told(self, order_id: str) -> list[dict[str, Any]]:
        """Every event of the order, delivered or not, with its body and signature."""
        return self.standin.events(order_id=order_id)

    def wait_until_delivered(self) -> None:
        """Waits until Razorpay has a 2xx response to each of its events."""
        wait_until(lambda: not self.standin.events(state="pending"), 10, "every event to be delivered")

    def deliver(self, event: Mapping[str, Any]) -> int:
        """Replays a stored delivery to our endpoint; returns the status."""
        return self.deliver_raw(event["body"].encode(), event["signature"])

    def deliver_raw(self, body: bytes, signature: str) -> int:
        """Replays a delivery with this signature."""
        headers = {"Content-Type": "application/json", "X-Razorpay-Signature": signature}
        return self._receive(f"{WEBHOOK}/", headers, body)

    def deliver_written(self, document: Mapping[str, Any]) -> int:
        """Sends a hand-written event, signed with the webhook's secret."""
        body = json.dumps(document, separators=(",", ":")).encode()
        return self.deliver_raw(body, signatures.of_webhook(RAZORPAY_WEBHOOK_SECRET, body))

    # --- our side ---

    def outbox(self) -> dict[str, Any]:
        """Runs the outbox once, now."""
        return self._run("outbox", {})

    def watch(self) -> dict[str, Any]:
        """Runs reconcile's watch lane once, now: it queries one order after the other."""
        return self._run("reconcile", {"lane": "watch"})

    def sweep(self) -> dict[str, Any]:
        """Runs reconcile's sweep once, now: it compares Razorpay's lists with the table."""
        return self._run("reconcile", {"lane": "sweep"})

    def record(self, order_id: str) -> dict[str, Any]:
        return self.cloud.item(order_id)

    def published(self) -> list[str]:
        """The detail types on the bus, in order."""
        return self.cloud.types()

    def _run(self, function: str, event: Mapping[str, Any]) -> dict[str, Any]:
        with self._one_at_a_time:
            forget_loggers()
            context = SimpleNamespace(get_remaining_time_in_millis=lambda: 290_000)
            report: dict[str, Any] = handler(function)(event, context)
        return report

    def _receive(self, path: str, headers: Mapping[str, str], body: bytes) -> int:
        event = events.api_event("POST", WEBHOOK, path, headers=headers, body=body.decode())
        return self._invoke(event).status

    def _invoke(self, event: Mapping[str, Any]) -> Answer:
        with self._one_at_a_time:
            return invoke(event)
