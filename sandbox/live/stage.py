"""Every role except the service's, for one order: frontend, customer, merchant, and the stagehand with the switches.

Everything here is really done: to the running service over HTTP, to the stand-in for Razorpay through its control API,
and to the local cloud with AWS's own clients. It blocks. One stage is one order of one client, and its switches affect
only this order, so that it and payments made in the shop meanwhile do not disturb each other.
"""

import json
import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import boto3
import requests
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials

from sandbox import development
from sandbox.demo import Service

AMOUNT_RUPEES: Final = "499.50"
AMOUNT_MINOR: Final = 49950
REQUEST_SECONDS: Final = 30
"""A function's cold start on a slow machine, with a margin."""
PATIENCE_SECONDS: Final = 30
POLL_SECONDS: Final = 0.2
# Longer than reconcile's timeout of 290 seconds.
_RECONCILE_SECONDS: Final = 300
_BEFORE_S: Final = 5
"""The stand-in uses this machine's clock, in whole seconds, and creates an order before returning it."""
_OUTAGES: Final = "/_sandbox/outages"


class StageError(Exception):
    """The scenario cannot continue; the message says what happened instead of what should have."""


class Stopped(Exception):
    """The server is stopping, and the scenario with it."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer to the frontend, the customer or the merchant."""

    status: int
    document: Mapping[str, Any]

    def expect(self, status: int) -> "Answer":
        """Return this answer, if it has the status that the story needs.

        Raises:
            StageError: it has another status.
        """
        if self.status != status:
            raise StageError(f"answered {self.status}, not {status}: {json.dumps(self.document)[:300]}")
        return self


class Stage:
    """One order, and everyone involved in it.

    Args:
        endpoints: as in `endpoints.json`, for a service with the stand-in.
        stopped: set when the server stops; anything that waits here then raises `Stopped`.

    Attributes:
        order_id: the order's id, once there is one.
        paid: what Checkout returned for each successful payment, oldest first.
        version: the record's version at the last `mark`.
    """

    def __init__(self, endpoints: Mapping[str, Any], stopped: threading.Event) -> None:
        self._endpoints = endpoints
        self._stopped = stopped
        self._service = Service(dict(endpoints))
        self._held = False
        self._out: bool | str | None = None
        # Four different ids: nobody can pay themselves.
        self._client_id, self._freelancer_id, self._job_id, self._application_id = random.sample(range(1, 10**9), 4)
        self.order_id = ""
        self._began = int(time.time())
        self.paid: list[Mapping[str, Any]] = []
        self.dispute_id = ""
        self.version = 0

    # --- the frontend ---

    def create_order(self, amount: str = AMOUNT_RUPEES) -> Answer:
        """Accept the proposal as the client, click once more, or agree to another amount (in rupees)."""
        answer = self._call(
            "POST",
            "create-order/",
            {
                "job_id": self._job_id,
                "application_id": self._application_id,
                "client_id": self._client_id,
                "freelancer_id": self._freelancer_id,
                "amount": amount,
            },
        )
        if not self.order_id and answer.status == requests.codes.created:
            self.order_id = str(answer.document["order_id"])
        return answer

    def verify(self, checkout: Mapping[str, Any]) -> Answer:
        """Send what Checkout returned to verify."""
        return self._call("POST", "verify/", dict(checkout))

    def payment(self) -> Mapping[str, Any]:
        """Return the payment as its client sees it."""
        return self._call("GET", f"{self.order_id}/").expect(requests.codes.ok).document

    # --- the customer and the merchant ---

    def pay(self, **how: Any) -> Answer:  # noqa: ANN401 - the fields of the stand-in's `pay`
        """Pay in Checkout as the customer: 200 and the three fields, or 400 and Checkout's error."""
        answer = self._request("POST", f"{self._service.gateway}/_control/pay", json={"order_id": self.order_id, **how})
        if answer.status == requests.codes.ok:
            self.paid.append(answer.document)
        return answer

    def refund(self, amount_minor: int | None = None, *, payment: int = 0) -> Answer:
        """Refund the first payment, or the given one, as the merchant through the API: a part, or all that is left."""
        payment_id = self.paid[payment]["razorpay_payment_id"]
        return self._request(
            "POST",
            f"{self._service.gateway}/v1/payments/{payment_id}/refund",
            json={} if amount_minor is None else {"amount": amount_minor},
            auth=(development.RAZORPAY_KEY_ID, development.RAZORPAY_KEY_SECRET),
        )

    def request_refund(self, key: str) -> Answer:
        """Request a refund of all that is left from the service, as the back office, which has AWS credentials."""
        url = f"{self._service.api}/api/payments/{self.order_id}/refunds/"
        headers = {"Content-Type": "application/json", "Idempotency-Key": key}
        unsigned = AWSRequest("POST", url, headers=headers, data=json.dumps({"reason": "cancelled"}))
        credentials = Credentials(self._endpoints["access_key_id"], self._endpoints["secret_access_key"])
        SigV4Auth(credentials, "execute-api", self._endpoints["region"]).add_auth(unsigned)
        return self._request("POST", url, data=unsigned.body, headers=dict(unsigned.headers))

    # --- the customer's bank ---

    def dispute(self) -> Mapping[str, Any]:
        """Demand all of the first payment back, as the customer's bank."""
        payment_id = self.paid[0]["razorpay_payment_id"]
        opened: Mapping[str, Any] = self._service.control("POST", f"payments/{payment_id}/dispute", {})
        self.dispute_id = str(opened["id"])
        return opened

    def move_dispute(self, status: str) -> Mapping[str, Any]:
        """Have evidence submitted or sent back, or decide the dispute."""
        moved: Mapping[str, Any] = self._service.control("PUT", f"disputes/{self.dispute_id}", {"status": status})
        return moved

    # --- the stagehand ---

    def authorize_late(self, payment_id: str) -> None:
        """Let the bank say that a failed payment went through after all."""
        self._service.control("POST", f"payments/{payment_id}/authorize")

    def hold_webhooks(self) -> None:
        """Hold back this order's webhooks from now on."""
        held = self._service.control("GET", "faults")["held_orders"]
        self._held = True
        self._service.control("PUT", "faults", {"held_orders": [*held, self.order_id]})

    def stop_holding_webhooks(self) -> None:
        """Send later webhooks at once; those that are held stay held until they are released."""
        held = self._service.control("GET", "faults")["held_orders"]
        others = [order_id for order_id in held if order_id != self.order_id]
        self._service.control("PUT", "faults", {"held_orders": others})
        self._held = False

    def release(self, events: Sequence[Mapping[str, Any]]) -> None:
        """Release held webhooks one at a time, in this order."""
        self._service.control("POST", "events/release", {"event_ids": [event["event_id"] for event in events]})

    def redeliver(self, events: Sequence[Mapping[str, Any]]) -> list[int | None]:
        """Send webhooks once more, in parallel, and return how each was answered."""
        told = self._service.control("POST", "events/redeliver", {"event_ids": [event["event_id"] for event in events]})
        return [attempt["status"] for attempt in told["redelivered"]]

    def take_eventbridge_away(self) -> None:
        """Make EventBridge unavailable for events of this order."""
        before = self._outages("GET")["events"]
        self._out = before
        self._outages("PUT", {"events": self.order_id})

    def bring_eventbridge_back(self) -> None:
        """Make EventBridge available again."""
        if self._out is not None:
            self._outages("PUT", {"events": self._out})
            self._out = None

    def rebuild(self) -> int:
        """Let reconcile rebuild from Razorpay's lists since this story began, and return how many entries it read.

        The scheduled sweep reads them 15 minutes later, when nobody is watching any more.

        Raises:
            StageError: a run failed.
        """
        asked: Any = {"rebuild": {"from": self._began - _BEFORE_S, "to": int(time.time()) + 1}}
        entries = 0
        while asked is not None:
            report = self._reconcile(asked)
            entries += int(report["looked_at"])
            asked = report["next"]
        return entries

    def let_it_grow_old(self, age_s: int) -> None:
        """Let the order be that old at Razorpay, and let the expiry lane read every order again.

        The lane's watermark has passed orders of that age; without one it starts with the oldest.
        """
        self._service.control("PUT", f"orders/{self.order_id}", {"age_s": age_s})
        self._aws("dynamodb").delete_item(
            TableName=self._endpoints["outputs"]["TableName"], Key={"pk": {"S": "sweep#expiry"}}
        )

    def expire(self) -> Mapping[str, Any]:
        """Run the expiry lane, which runs every hour anyway, and return its report."""
        return self._reconcile({"lane": "expiry"})

    def mark(self) -> int:
        """Note the record's version, to see later whether it changed."""
        self.version = int(self.record()["version"])
        return self.version

    def put_back(self) -> None:
        """Restore every switch, and leave nothing of this order waiting at the stand-in."""
        self.bring_eventbridge_back()
        if self._held:
            self.stop_holding_webhooks()
        if not self.order_id:
            return
        waiting = [event["event_id"] for event in self.webhooks() if event["state"] == "held"]
        if waiting:
            self._service.control("POST", "events/release", {"event_ids": [], "drop": waiting})

    # --- the observer ---

    def record(self) -> Mapping[str, Any]:
        """Return the payment's stored record."""
        return self._service.record(self.order_id)

    def inbox(self, subscriber: str) -> list[str]:
        """Return the detail types that a subscriber has noted about the order, sorted, with repetitions."""
        return sorted(str(note["detail_type"]) for note in self._service.inbox(subscriber, self.order_id))

    def webhooks(self, *names: str) -> list[Mapping[str, Any]]:
        """Return the order's webhook events at Razorpay, oldest first; only those with these names, if any."""
        events = self._service.control("GET", f"events?order_id={self.order_id}")["events"]
        return [event for event in events if not names or event["event"] in names]

    def until[T](self, look: Callable[[], T], accept: Callable[[T], bool], awaited: str) -> T:
        """Look repeatedly until the result is accepted.

        Raises:
            StageError: it took too long.
            Stopped: the server is stopping.
        """
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not accept(seen := look()):
            if time.monotonic() > deadline:
                raise StageError(f"waited {PATIENCE_SECONDS} s in vain for {awaited}; seen last: {seen}")
            self.pause(POLL_SECONDS)
        return seen

    def pause(self, seconds: float) -> None:
        """Wait.

        Raises:
            Stopped: the server is stopping.
        """
        if self._stopped.wait(seconds):
            raise Stopped

    # --- how ---

    def _reconcile(self, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        answer = self._aws("lambda").invoke(
            FunctionName=self._endpoints["outputs"]["ReconcileAlias"], Payload=json.dumps(asked).encode()
        )
        report: Mapping[str, Any] = json.loads(answer["Payload"].read())
        if answer.get("FunctionError"):
            raise StageError(f"reconcile failed; {self._endpoints['logs']['functions']} says why")
        return report

    def _call(self, method: str, path: str, document: dict[str, Any] | None = None) -> Answer:
        token = development.token(self._client_id, secret=self._endpoints["jwt_secret"])
        return self._request(
            method,
            f"{self._service.api}/api/payments/{path}",
            json=document,
            headers={"Authorization": f"Bearer {token}"},
        )

    def _request(self, method: str, url: str, **options: Any) -> Answer:  # noqa: ANN401 - what requests takes
        if self._stopped.is_set():
            raise Stopped
        answer = requests.request(method, url, timeout=REQUEST_SECONDS, **options)
        document = answer.json()
        if not isinstance(document, dict):
            raise StageError(f"{method} {url} answered {answer.status_code} with something unexpected")
        return Answer(answer.status_code, document)

    def _outages(self, method: str, document: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
        answer = requests.request(method, f"{self._endpoints['aws']}{_OUTAGES}", json=document, timeout=REQUEST_SECONDS)
        answer.raise_for_status()
        away: Mapping[str, Any] = answer.json()
        return away

    def _aws(self, service: Any) -> Any:  # noqa: ANN401 - the stubs know each service by its literal name
        return boto3.client(
            service,
            endpoint_url=self._endpoints["aws"],
            region_name=self._endpoints["region"],
            aws_access_key_id=self._endpoints["access_key_id"],
            aws_secret_access_key=self._endpoints["secret_access_key"],
            config=Config(connect_timeout=3, read_timeout=_RECONCILE_SECONDS, retries={"total_max_attempts": 1}),
        )
