"""The functions as API Gateway sees them: an event in, a response out."""

import importlib.util
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aws_lambda_powertools.logging.filters import SuppressFilter

from payments.adapters.log import logger as kept_logger
from sandbox import development, events
from tests.handlers.cloud import BUS, TABLE, Cloud
from tests.handlers.razorpay import Razorpay
from tests.handlers.template import resources
from tests.secrecy import watch

ROOT = Path(__file__).parents[2]
EVENTS = {path.stem: path for path in sorted((ROOT / "events").glob("*.json"))}
SECRETS = (
    development.RAZORPAY_KEY_SECRET,
    development.RAZORPAY_WEBHOOK_SECRET,
    development.RAZORPAY_WEBHOOK_SECRET_PREVIOUS,
    development.JWT_SECRET,
    development.QUOTE_SECRET,
)
ENVIRONMENT = {
    "STAGE": development.STAGE,
    "PAYMENTS_TABLE": TABLE,
    "EVENT_BUS": BUS,
    "RAZORPAY_KEY_ID": development.RAZORPAY_KEY_ID,
    "RAZORPAY_KEY_SECRET": development.RAZORPAY_KEY_SECRET,
    "RAZORPAY_WEBHOOK_SECRET": development.RAZORPAY_WEBHOOK_SECRET,
    "RAZORPAY_WEBHOOK_SECRET_PREVIOUS": development.RAZORPAY_WEBHOOK_SECRET_PREVIOUS,
    "JWT_SECRET": development.JWT_SECRET,
    "CORS_ORIGIN": "https://app.example.com",
}
FUNCTIONS = ("create_order", "verify", "webhook", "refund")
CREATE_ORDER = "/api/payments/create-order"
VERIFY = "/api/payments/verify"
WEBHOOK = "/api/payments/webhook"
GET = "/api/payments/{order_id}"
LIST = "/api/payments"
REFUNDS = "/api/payments/{order_id}/refunds"
REFUNDS_BY_TOKEN = "/api/payments/{order_id}/refunds/by-token"
LANES: list[tuple[str, dict[str, Any]]] = [
    ("outbox", {}),
    ("reconcile", {"lane": "watch"}),
    ("reconcile", {"lane": "sweep"}),
]
"""The scheduled functions and their inputs."""
RUN_S = {
    function: resources()[f"{function.capitalize()}Function"]["Properties"]["Timeout"]
    for function in ("outbox", "reconcile")
}
"""Their Lambda timeouts, in seconds."""
_FUNCTION_BY_ROUTE = {
    CREATE_ORDER: "create_order",
    VERIFY: "verify",
    GET: "verify",
    LIST: "verify",
    WEBHOOK: "webhook",
    REFUNDS: "refund",
    REFUNDS_BY_TOKEN: "refund",
}


def committed(name: str) -> dict[str, Any]:
    """An event of `events/`."""
    event: dict[str, Any] = json.loads(EVENTS[name].read_text(encoding="utf-8"))
    return event


@cache
def handler(function: str) -> Any:
    """The function's handler, loaded from its file as in Lambda."""
    specification = importlib.util.spec_from_file_location(f"{function}_app", ROOT / "functions" / function / "app.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module.lambda_handler


@dataclass(frozen=True)
class Answer:
    """What API Gateway gets back."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def body(self) -> Any:
        return json.loads(self.text)

    @property
    def code(self) -> str:
        code: str = self.body["code"]
        return code


def invoke(event: Mapping[str, Any], function: str | None = None) -> Answer:
    """The response to the event by its route's function, or by another one."""
    forget_loggers()
    returned = handler(function or _FUNCTION_BY_ROUTE[event["resource"]])(event, None)
    assert set(returned) == {"statusCode", "headers", "body", "isBase64Encoded"}
    assert returned["isBase64Encoded"] is False
    watch.keep_answer(returned)
    assert all(isinstance(value, str) for value in returned["headers"].values())
    return Answer(returned["statusCode"], returned["headers"], returned["body"])


class Clock:
    """The service's current time."""

    def __init__(self, now: int) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now


class Service:
    """The functions and everything around them; one per test."""

    def __init__(self, cloud: Cloud, razorpay: Razorpay, clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
        self.cloud = cloud
        self.razorpay = razorpay
        self.clock = clock
        self._capsys = capsys
        self._output = ""

    def invoke(self, event: Mapping[str, Any], function: str | None = None) -> Answer:
        return invoke(event, function)

    def replay(self, name: str) -> Answer:
        """Invokes the function with an event of `events/`."""
        return self.invoke(committed(name))

    def create_order(self, **changes: Any) -> Answer:
        """The story's order, or another one."""
        offer = {**events.OFFER, **changes}
        return self.invoke(events.from_frontend(CREATE_ORDER, offer, user_id=offer["client_id"]))

    def verify(
        self, order_id: str = events.ORDER_ID, payment_id: str = events.PAYMENT_ID, *, user_id: int = events.CLIENT
    ) -> Answer:
        return self.invoke(events.from_frontend(VERIFY, events.checkout(order_id, payment_id), user_id=user_id))

    def read(self, order_id: str = events.ORDER_ID, *, user_id: int = events.CLIENT) -> Answer:
        return self.invoke(events.reading(order_id, user_id=user_id))

    def refund(
        self, document: Any = None, *, key: str | None = "the-callers-own-key", order_id: str = events.ORDER_ID
    ) -> Answer:
        """A refund, asked for by a service whose signature API Gateway has checked."""
        return self.invoke(events.from_service(order_id, {} if document is None else document, key=key))

    def find(self, *, user_id: int = events.CLIENT, **query: str) -> Answer:
        """The user's payments, by these query parameters."""
        return self.invoke(events.listing(user_id=user_id, **query))

    def deliver(self, body: bytes) -> Answer:
        """A signed webhook."""
        return self.invoke(events.from_razorpay(body))

    def run(self, function: str, event: Mapping[str, Any]) -> dict[str, Any]:
        """Runs outbox or reconcile, as its schedule does: the report."""
        forget_loggers()
        context = SimpleNamespace(get_remaining_time_in_millis=lambda: RUN_S[function] * 1000)
        report: dict[str, Any] = handler(function)(event, context)
        return report

    def outside_calls(self) -> list[str]:
        """All requests to the table, the bus and Razorpay since `forget`."""
        return [*self.cloud.requests, *("Razorpay" for _ in self.razorpay.asked)]

    def forget(self) -> None:
        """Resets the recorded calls and output."""
        self.cloud.forget()
        self.razorpay.asked.clear()
        self.output()
        self._output = ""

    def output(self) -> str:
        """Everything printed and logged since `forget`."""
        captured = self._capsys.readouterr()
        self._output += captured.out + captured.err
        return self._output

    def log(self) -> list[dict[str, Any]]:
        """The log lines, without the metrics."""
        return [line for line in self._lines() if "_aws" not in line]

    def metrics(self) -> list[str]:
        """The names of the metrics counted."""
        return [
            metric["Name"]
            for line in self._lines()
            if "_aws" in line
            for group in line["_aws"]["CloudWatchMetrics"]
            for metric in group["Metrics"]
        ]

    def _lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.output().splitlines() if line.strip()]


def forget_loggers() -> None:
    """Powertools keeps the stdout of its first logger; pytest replaces stdout for each phase of a test."""
    # Each new logger adds a filter to each of pytest's handlers, which would soon be thousands.
    for handler in logging.root.handlers:
        for left in [each for each in handler.filters if isinstance(each, SuppressFilter)]:
            handler.removeFilter(left)
    kept_logger.cache_clear()
    for name in (*FUNCTIONS, "outbox", "reconcile"):
        logger = logging.getLogger(name)
        for present in list(logger.handlers):
            logger.removeHandler(present)
        for attribute in ("init", "powertools_handler"):
            if hasattr(logger, attribute):
                delattr(logger, attribute)
