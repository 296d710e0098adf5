"""The service under attack: the real handlers on the in-memory world of `tests/faults`, which counts outside calls."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from itertools import chain, count
from typing import Any, Final
from unittest.mock import patch

from payments.adapters import jwks
from payments.wiring import callers
from payments.wiring.boundary import RunFailed
from sandbox import development, events
from tests.attacks.family import (
    MADE_KEY,
    OTHER_ORDER_ID,
    PAID_ORDER_ID,
    PAID_PAYMENT_ID,
    STRANGERS_ORDER_ID,
    Event,
    Family,
)
from tests.attacks.public_keys import KEY_SET_URL, key_set
from tests.faults.dynamodb import plain
from tests.faults.rig import JWT, World, installed
from tests.faults.rig import WEBHOOK as WEBHOOK_SECRETS
from tests.handlers.service import (
    CREATE_ORDER,
    GET,
    LIST,
    REFUNDS,
    REFUNDS_BY_TOKEN,
    VERIFY,
    WEBHOOK,
    Answer,
    forget_loggers,
)
from tests.secrecy import watch

_FUNCTIONS: Final = {
    CREATE_ORDER: "create_order",
    VERIFY: "verify",
    GET: "verify",
    LIST: "verify",
    WEBHOOK: "webhook",
    REFUNDS: "refund",
    REFUNDS_BY_TOKEN: "refund",
}
_READS: Final = frozenset({"dynamodb GetItem", "dynamodb BatchGetItem", "dynamodb Query"})


class Target:
    """The functions, and what they have done since `forget`."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.said = ""
        """What the last call printed: its log lines and metrics."""
        self._seen = 0

    def send(self, event: Event, *, like: Event | None = None) -> Answer:
        """The function's response to a request.

        Args:
            event: the request, whatever its shape.
            like: the request whose function gets it, if its own route is not one of ours.
        """
        function = _FUNCTIONS.get(event["resource"]) or _FUNCTIONS[(like or event)["resource"]]
        returned = self.call(function, event)
        watch.keep_answer(returned)
        return Answer(returned["statusCode"], returned["headers"], returned["body"])

    def call(self, function: str, event: Any) -> Any:
        """What a function returns; everything it prints goes to the world's log, whichever test is running."""
        with redirect_stdout(self.world.log), redirect_stderr(self.world.log):
            try:
                return self.world.invoke(function, event)
            finally:
                self.said = self.world.log.getvalue()
                self.world.log.seek(0)
                self.world.log.truncate()
                watch.keep("the log", self.said)

    def order(self, application_id: int, *, client_id: int = events.CLIENT) -> str:
        """Creates an order and returns its id."""
        offer = {**events.OFFER, "client_id": client_id, "application_id": application_id}
        answer = self.send(events.from_frontend(CREATE_ORDER, offer, user_id=client_id))
        assert answer.status == 201, answer.text
        order_id: str = answer.body["order_id"]
        return order_id

    def pay(self, order_id: str) -> None:
        """Pays an order, lets Razorpay report it, and refunds a part of it."""
        with redirect_stdout(self.world.log), redirect_stderr(self.world.log):
            checkout = self.world.pay(order_id)
            assert checkout is not None
            assert (order_id, checkout["razorpay_payment_id"]) == (PAID_ORDER_ID, PAID_PAYMENT_ID)
            self._deliver()
            made = self.world.request_refund(order_id, MADE_KEY, "1.00")
            assert made.status == 201, made
            self._deliver()

    def _deliver(self) -> None:
        for webhook in self.world.waiting:
            assert self.world.deliver(webhook).ok

    def adopt(self, settings: Mapping[str, str]) -> None:
        """Checks tokens by these settings from now on."""
        if self.world.secrets[JWT] != settings:
            self.world.secrets[JWT] = dict(settings)
            self.world.forget_instances()

    def calls(self) -> list[str]:
        """All calls to the table, the bus and Razorpay since `forget`; reads of secrets are left out."""
        calls = [call.operation for call in self.world.outside.calls[self._seen :]]
        return [call for call in calls if not call.startswith("secretsmanager ")]

    def changes(self) -> list[str]:
        """The calls that could change something."""
        return [call for call in self.calls() if call not in _READS]

    def forget(self) -> None:
        self._seen = len(self.world.outside.calls)

    def item(self, order_id: str) -> dict[str, Any]:
        """An order's record, as plain values."""
        return plain(self.world.table.items[f"order#{order_id}"])

    def sent(self) -> list[tuple[str, dict[str, Any]]]:
        """Detail type and detail of every event on the bus."""
        return [(kind, json.loads(detail)) for kind, detail in self.world.bus.accepted]

    def state(self) -> str:
        """Every item of the table and every event on the bus, to compare."""
        return json.dumps([self.world.table.items, self.world.bus.accepted], sort_keys=True)


def accepted(target: Target, family: Family, attack: Event) -> list[str]:
    """What an attack achieved: nothing, if it was refused as it must be."""
    target.adopt(family.settings)
    target.forget()
    before = target.state()
    achieved = []
    try:
        answer = target.send(attack, like=family.genuine)
    except RunFailed:
        # An event that no REST API with our routes sends gets no response: the invocation fails.
        if "{proxy+}" not in str(attack["resource"]) and isinstance(attack.get("httpMethod"), str):
            achieved.append("the invocation failed")
    else:
        if answer.status not in family.statuses:
            achieved.append(f"answered {answer.status}: {answer.text}")
        if answer.headers["Content-Type"] != "application/problem+json":
            achieved.append("not answered with a problem")
    calls = target.changes() if family.reaches_table else target.calls()
    if calls:
        achieved.append(f"calls: {', '.join(calls)}")
    if target.state() != before:
        achieved.append("a record or the bus changed")
    return achieved


@contextmanager
def running_target() -> Iterator[Target]:
    """A new target with the story's order, the client's second one and a stranger's, all unpaid, and a paid one.

    Of the paid order, 499.50, a service has refunded 1.00.
    """
    fetched: list[str] = []

    def fetch(url: str) -> bytes:
        fetched.append(url)
        return key_set()

    callers._key_set.cache_clear()  # noqa: SLF001 - as a new function instance finds it
    with installed() as install, patch.object(jwks, "fetch_key_set", fetch):
        world = install(World())
        world.now = events.ORDERED_AT + 120
        # The ids that Razorpay's stand-in assigns: first the story's, then those of `family`.
        world.ids = (text for text in chain([events.ORDER_ID[6:]], (f"{number:014d}" for number in count(2))))
        world.secrets[WEBHOOK_SECRETS]["RAZORPAY_WEBHOOK_SECRET_PREVIOUS"] = (
            development.RAZORPAY_WEBHOOK_SECRET_PREVIOUS
        )
        target = Target(world)
        # The first call creates the loggers, which then write to this world's log.
        forget_loggers()
        assert target.order(12) == events.ORDER_ID
        assert target.order(13) == OTHER_ORDER_ID
        assert target.order(12, client_id=events.SOMEBODY_ELSE) == STRANGERS_ORDER_ID
        target.pay(target.order(14))
        target.forget()
        yield target
        # No token's header may make us call another server.
        assert set(fetched) <= {KEY_SET_URL}
