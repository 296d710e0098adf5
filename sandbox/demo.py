"""Take one payment from start to end, on the service that `make run` serves: `make demo`.

The demo plays every role but the service's: the frontend (with a token of its own), the customer at the gateway's
stand-in, and an observer of the three subscribers and the payments table.
"""

import argparse
import random
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlsplit

import boto3
import requests
from boto3.dynamodb.conditions import Attr
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console
from rich.table import Table

from sandbox import development, proxies, running, terminal
from sandbox.proposals import Proposals

AMOUNT_RUPEES: Final = "2500.00"
SUBSCRIBERS: Final = ("job", "application", "notification")
REQUEST_SECONDS: Final = 30
"""A function's cold start on a slow machine, with a margin."""
PATIENCE_SECONDS: Final = 60
"""How long to wait for the webhooks, and then for the events. It usually takes seconds, longer after cold starts."""
POLL_SECONDS: Final = 0.5


class DemoError(Exception):
    """The payment did not get through; the message says at which step."""


class Service:
    """The running service, as seen from outside."""

    def __init__(self, endpoints: dict[str, Any]) -> None:
        try:
            self.api: str = endpoints["api"]
            self.gateway: str = endpoints["razorpay"]
            self._table_name: str = endpoints["table"]
            self._subscribers: dict[str, str] = endpoints["subscribers"]
            self._jwt_secret: str = endpoints["jwt_secret"]
            self._proposals = Proposals(endpoints)
            self._aws = boto3.resource(
                "dynamodb",
                endpoint_url=endpoints["aws"],
                region_name=endpoints["region"],
                aws_access_key_id=endpoints.get("access_key_id", "test"),
                aws_secret_access_key=endpoints.get("secret_access_key", "test"),
                config=Config(connect_timeout=3, read_timeout=10, retries={"total_max_attempts": 2}),
            )
        except KeyError as error:
            raise DemoError(f"endpoints.json has no {error}; stop `make run` and start it again") from error
        if urlsplit(self.gateway).hostname != "127.0.0.1":
            # Only the stand-in has a customer to play. Never send the demo's requests to the real gateway.
            raise DemoError(f"the service talks to {self.gateway}, not to the stand-in: start it without keys in .env")

    def call(self, method: str, path: str, *, user_id: int, document: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the service's answer to a signed-in user."""
        token = development.token(user_id, secret=self._jwt_secret)
        return self._answer(method, f"{self.api}/api/payments/{path}", document, {"Authorization": f"Bearer {token}"})

    def agree(self, order: dict[str, Any]) -> None:
        """Have the subscribers know the terms of an order: `order` is create-order's document."""
        self._proposals.agree(order)

    def control(self, method: str, path: str, document: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the stand-in's answer."""
        return self._answer(method, f"{self.gateway}/_control/{path}", document, {})

    def record(self, order_id: str) -> dict[str, Any]:
        """Return the payment's stored record."""
        table = self._aws.Table(self._table_name)
        item = table.get_item(Key={"pk": f"order#{order_id}"}, ConsistentRead=True).get("Item")
        if item is None:
            raise DemoError(f"the table {self._table_name} has no record of {order_id}")
        return item

    def inbox(self, subscriber: str, order_id: str) -> list[dict[str, Any]]:
        """Return what a subscriber has noted about the order."""
        name = self._subscribers.get(f"{subscriber.capitalize()}Inbox")
        if name is None:
            raise DemoError(f"the {subscriber} service is not deployed; stop `make run` and start it again")
        # A scan is fine for an inbox that one developer fills: its key is the event id, which is not known here.
        found = self._aws.Table(name).scan(FilterExpression=Attr("order_id").eq(order_id), ConsistentRead=True)
        return found["Items"]

    def _answer(
        self, method: str, url: str, document: dict[str, Any] | None, headers: dict[str, str]
    ) -> dict[str, Any]:
        try:
            answer = requests.request(method, url, json=document, headers=headers, timeout=REQUEST_SECONDS)
        except requests.ConnectionError as error:
            raise DemoError(f"nothing answers at {url}; start the service with `make run`") from error
        except requests.Timeout as error:
            raise DemoError(f"{url} did not answer within {REQUEST_SECONDS} s") from error
        if not answer.ok:
            raise DemoError(f"{method} {url} answered {answer.status_code}: {answer.text}")
        document = answer.json()
        if not isinstance(document, dict):
            raise DemoError(f"{method} {url} answered with something unexpected: {answer.text}")
        return document


def demo(service: Service, console: Console) -> None:
    """Take one payment and print each step.

    Raises:
        DemoError: it did not get through.
    """
    began = time.monotonic()
    client_id, freelancer_id, job_id, application_id = random.sample(range(1, 10**9), 4)

    _step(console, "The client accepts a proposal: the frontend creates an order")
    accepted = {
        "job_id": job_id,
        "application_id": application_id,
        "client_id": client_id,
        "freelancer_id": freelancer_id,
        "amount": AMOUNT_RUPEES,
    }
    service.agree(accepted)
    order = service.call("POST", "create-order/", user_id=client_id, document=accepted)
    order_id: str = order["order_id"]
    _facts(
        console,
        order=order_id,
        amount=f"{_rupees(order['amount'])}  ({order['amount']} paise)",
        status=order["status"],
        payment_id=order["payment_id"],
        application=application_id,
    )

    _step(console, "The client pays in Razorpay Checkout (the stand-in plays both roles)")
    paid = service.control("POST", "pay", {"order_id": order_id, "method": "upi", "vpa": "success@razorpay"})
    _facts(console, payment=paid["razorpay_payment_id"], signature=f"{paid['razorpay_signature'][:16]}…")

    _step(console, "The frontend sends the signature to the service")
    verified = service.call("POST", "verify/", user_id=client_id, document=paid)
    _facts(console, answer=verified["message"])

    _step(console, "Razorpay's webhooks confirm it")
    payment = _wait(
        console,
        lambda: service.call("GET", f"{order_id}/", user_id=client_id),
        until=lambda seen: seen["confirmed"] is True,
        awaited="the webhooks to confirm the payment",
        instead=lambda seen: f"it is {seen['status']}",
    )
    told = _wait(
        console,
        lambda: service.control("GET", f"events?order_id={order_id}"),
        until=lambda seen: all(event["state"] == "delivered" for event in seen["events"]),
        awaited="every webhook to be accepted",
        instead=lambda seen: "; ".join(f"{event['event']} was answered {_answers(event)}" for event in seen["events"]),
    )
    for event in told["events"]:
        console.print(
            f"  {event['event']:<20} event id {event['event_id']}   answered {_answers(event)}", highlight=False
        )
    _facts(console, status=f"{payment['status']}, confirmed")

    _step(console, "Each of the other services is notified once")
    inboxes = _wait(
        console,
        lambda: {name: service.inbox(name, order_id) for name in SUBSCRIBERS},
        until=lambda seen: all(seen.values()),
        awaited="the three subscribers to note the payment",
        instead=lambda seen: f"still empty: {', '.join(name for name, items in seen.items() if not items)}",
    )
    _show_inboxes(console, inboxes)

    _step(console, "The payment's record in the table")
    record = service.record(order_id)
    _show_history(console, record)
    if not (record["status"] == "paid" and record["confirmed"] is True and not record["pending"]):
        raise DemoError(
            f"the record of {order_id} is {record['status']} with {len(record['pending'])} events unpublished"
        )
    console.print(f"\n[bold green]Paid, confirmed and published[/] [dim]in {time.monotonic() - began:.1f} s[/]")


def _wait[T](
    console: Console, look: Callable[[], T], *, until: Callable[[T], bool], awaited: str, instead: Callable[[T], str]
) -> T:
    deadline = time.monotonic() + PATIENCE_SECONDS
    with console.status(f"Waiting for {awaited} …"):
        while not until(seen := look()):
            if time.monotonic() > deadline:
                raise DemoError(f"gave up after {PATIENCE_SECONDS} s waiting for {awaited}: {instead(seen)}")
            time.sleep(POLL_SECONDS)
    return seen


def _answers(event: dict[str, Any]) -> str:
    return ", ".join(str(attempt["status"] or attempt["outcome"]) for attempt in event["attempts"])


def _show_inboxes(console: Console, inboxes: dict[str, list[dict[str, Any]]]) -> None:
    table = Table("service", "event", "event id", "version", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name, items in inboxes.items():
        for item in items:
            table.add_row(name, str(item["detail_type"]), str(item["event_id"]), str(item["version"]))
    console.print(table)


def _show_history(console: Console, record: dict[str, Any]) -> None:
    table = Table("time", "change", "status", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for entry in record["history"]:
        table.add_row(_local_time(entry["at"]), entry["what"], entry["status"])
    console.print(table)
    _facts(console, version=record["version"], pending_events=len(record["pending"]))


def _step(console: Console, title: str) -> None:
    console.print(f"\n[bold]{title}[/]")


def _facts(console: Console, **facts: object) -> None:
    for name, value in facts.items():
        console.print(f"  {name.replace('_', ' '):<20} {value}", highlight=False, markup=False)


def _rupees(paise: int) -> str:
    return f"₹{paise // 100:,}.{paise % 100:02d}"


def _local_time(instant: str) -> str:
    """Format an ISO 8601 instant as local time; return anything else unchanged."""
    with suppress(ValueError):
        return datetime.fromisoformat(instant).replace(tzinfo=UTC).astimezone().strftime("%H:%M:%S")
    return instant


def main(arguments: list[str] | None = None) -> int:
    """Run the demo. Return 0 if the payment got through, or 1 with a message about where it stopped."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    running.add_run_dir(parser)
    run_dir = parser.parse_args(arguments).run_dir
    console = terminal.console()
    proxies.bypass_for_this_machine()
    try:
        endpoints = running.endpoints_of(run_dir)
    except running.NotRunningError as error:
        console.print(str(error))
        return 1
    try:
        demo(Service(endpoints), console)
    except DemoError as error:
        console.print("\n[bold red]✗[/] ", end="")
        console.print(str(error), markup=False, highlight=False)
        return 1
    except (BotoCoreError, ClientError) as error:
        console.print(f"\n[bold red]✗[/] The local cloud refused: {error}", highlight=False)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
