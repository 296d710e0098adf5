"""The real functions with a table in memory, the stand-in for Razorpay and a clock, on which repairs are tested."""

import json
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from sandbox import development, events
from sandbox.gateway import checkout, validation, webhooks
from sandbox.gateway.entities import Refund
from sandbox.gateway.refusals import Refusal
from tests.fakes import BY
from tests.faults.elsewhere import Razorpay
from tests.handlers.cloud import TABLE, Cloud, admin
from tests.handlers.service import CREATE_ORDER, VERIFY, Clock, forget_loggers, handler, invoke

AMOUNT = "499.50"
AMOUNT_MINOR = 49950
CONTEXT = SimpleNamespace(get_remaining_time_in_millis=lambda: 290_000)
DAY_S = 24 * 60 * 60


def said(status: int, body: Mapping[str, Any]) -> str:
    """A response as the runbook writes it: the status, and a problem's code."""
    return f"{status} {body['code']}" if "code" in body else str(status)


class Counter:
    """One client with one application, Razorpay's account, and the operator."""

    def __init__(self, cloud: Cloud, razorpay: Razorpay, clock: Clock) -> None:
        self.cloud = cloud
        self.razorpay = razorpay
        self.clock = clock
        self.order_id = ""
        """The order of the story."""
        self.payment = ""
        """The Razorpay payment that the story is about."""
        self.proof: Mapping[str, str] = {}
        """Checkout's fields for it."""
        self._told = 0

    # --- the client ---

    def create_order(self, amount: str = AMOUNT) -> str:
        """The client accepts the proposal; returns the response; the first order becomes the story's."""
        offer = {**events.OFFER, "amount": amount}
        answer = invoke(events.from_frontend(CREATE_ORDER, offer, user_id=events.CLIENT))
        if answer.status in {200, 201}:
            self.handed_out = answer.body["order_id"]
            self.order_id = self.order_id or self.handed_out
        return said(answer.status, answer.body)

    def verify(self) -> str:
        """The client's page sends the proof of the story's payment to verify."""
        answer = invoke(events.from_frontend(VERIFY, self.proof, user_id=events.CLIENT))
        return said(answer.status, answer.body)

    def read(self) -> dict[str, Any]:
        """The story's payment as shown to the client."""
        body: dict[str, Any] = invoke(events.reading(self.order_id)).body
        return body

    # --- the customer and the merchant, at Razorpay ---

    def pay(self, order_id: str | None = None, **how: Any) -> str:
        """The customer pays; returns the payment id."""
        press = checkout.paying({"order_id": order_id or self.order_id, **how})
        proof = checkout.pay(self.razorpay.account, press, development.RAZORPAY_KEY_SECRET)
        if proof is None:
            raise AssertionError("the customer is still in the bank's app")
        self.payment, self.proof = proof["razorpay_payment_id"], proof
        return self.payment

    def fail(self) -> None:
        """The customer tries, and the bank refuses."""
        press = checkout.paying({"order_id": self.order_id, "outcome": "failure"})
        try:
            checkout.pay(self.razorpay.account, press, development.RAZORPAY_KEY_SECRET)
        except Refusal:
            return
        raise AssertionError("the payment went through")

    def refund(self, payment: str | None = None, amount_minor: int | None = None) -> Refund:
        """A refund in Razorpay's dashboard, of everything left unless an amount is given."""
        account = self.razorpay.account
        entity = account.payment(payment or self.payment)
        document = {} if amount_minor is None else {"amount": amount_minor}
        return account.refund(entity, validation.refund(document, entity.currency), key=None, body=b"")

    def switch(self, **switches: Any) -> None:
        """Sets switches of the stand-in (`sandbox/gateway/README.md`)."""
        account = self.razorpay.account
        account.faults = account.faults.switched(switches)

    def deliver(self) -> None:
        """Delivers every webhook since the last time, once."""
        told, self._told = self.razorpay.told[self._told :], len(self.razorpay.told)
        for webhook in told:
            assert invoke(events.from_razorpay(webhook.body)).status == 200

    def lose_webhooks(self) -> None:
        """Drops every webhook since the last time."""
        self._told = len(self.razorpay.told)

    def tell_of_refund(self, event: str, refund: Refund, **changes: Any) -> None:
        """A webhook about a refund whose entity differs from the account's."""
        account = self.razorpay.account
        payment = account.payment(refund.payment_id)
        order = account.order(self.order_id)
        entity = json.loads(webhooks.body(event, payment, order, refund, self.clock.now))
        entity["payload"]["refund"]["entity"] |= changes
        assert invoke(events.from_razorpay(json.dumps(entity).encode())).status == 200

    def request_refund(self) -> str:
        """A service asks for the rest of the story's payment, always under the same key."""
        answer = invoke(events.from_service(self.order_id, {}, key="refund-of-the-story"))
        return said(answer.status, answer.body)

    # --- the operator and the schedules ---

    def reconcile(self, **event: Any) -> dict[str, Any]:
        """An invocation of reconcile by hand or by a schedule."""
        forget_loggers()
        report: dict[str, Any] = handler("reconcile")(event, CONTEXT)
        return report

    def publish(self) -> None:
        """Runs the outbox a minute later."""
        self.clock.now += 61
        forget_loggers()
        handler("outbox")({}, CONTEXT)

    def look(self) -> dict[str, Any]:
        return self.reconcile(look={"order_id": self.order_id})

    def accept(self) -> dict[str, Any]:
        return self.reconcile(accept={"order_id": self.order_id, "razorpay_payment_id": self.payment, "by": BY})

    def release(self, order_id: str | None = None) -> dict[str, Any]:
        """The status of the story's payment, or of an order."""
        if order_id is not None:
            return self.reconcile(release={"order_id": order_id, "by": BY})
        return self.reconcile(release={"order_id": self.order_id, "razorpay_payment_id": self.payment, "by": BY})

    def note(self) -> dict[str, Any]:
        return self.reconcile(note={"order_id": self.order_id, "by": BY})

    def rebuild(self, back_s: int = DAY_S) -> list[dict[str, Any]]:
        """Sweeps Razorpay's lists up to now, run after run."""
        reports = []
        asked: dict[str, Any] | None = {"rebuild": {"from": self.clock.now - back_s, "to": self.clock.now}}
        while asked is not None:
            reports.append(self.reconcile(**asked))
            asked = reports[-1]["next"]
        return reports

    # --- what is stored and published ---

    def record(self, order_id: str | None = None) -> dict[str, Any]:
        return self.cloud.item(order_id or self.order_id)

    def review(self, reason: str, order_id: str | None = None) -> str:
        """The state of the only review with this reason: `open`, or what closed it."""
        (found,) = [one for one in self.record(order_id)["review"] if one["reason"] == reason]
        return str(found.get("resolution", "open"))

    def reviews_told(self) -> list[tuple[str, str]]:
        """Reason and state of each review event on the bus, in order."""
        return [
            (detail["review"]["reason"], detail["review"]["state"]) for detail in self.cloud.details("payment.review")
        ]

    def set_aside(self) -> list[str]:
        return [key.removeprefix("aside#") for key in self.cloud.items() if key.startswith("aside#")]

    def have_orders_like(self, order_id: str, count: int) -> None:
        """Adds this many more orders of the application, copies of a superseded one."""
        item = self.cloud.raw_item(order_id)
        copies = [{"S": f"order_Copy{number:010d}"} for number in range(count)]
        for copy in copies:
            key = {"S": f"order#{copy['S']}"}
            admin("dynamodb").put_item(TableName=TABLE, Item={**item, "pk": key, "order_id": copy})
        admin("dynamodb").update_item(
            TableName=TABLE,
            Key={"pk": {"S": f"application#{events.CLIENT}#{events.OFFER['application_id']}"}},
            UpdateExpression="SET orders = list_append(:copies, orders)",
            ExpressionAttributeValues={":copies": {"L": copies}},
        )

    def delete(self, *keys: str) -> None:
        """Deletes items."""
        for key in keys:
            admin("dynamodb").delete_item(TableName=TABLE, Key={"pk": {"S": key}})
