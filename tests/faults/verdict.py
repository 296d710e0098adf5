"""Queries a settled world through the real handlers, and lets the oracle judge the responses.

It calls GET for every order of ours, verify for every presented proof, and create-order for every application, with the
same purchase and another one. Changes are reverted, so that each request finds the same world.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from sandbox import development, events
from sandbox.gateway import signatures
from tests.oracle.books import Ledger, Outside, Settings, read_ledger
from tests.oracle.expect import Expected, Next, Outcome, expected_orders, in_a_gap, next_answers, orphans, purchases
from tests.oracle.judge import Told, judge_next, judge_order, judge_verify, read_event
from tests.oracle.rules import refunded_twice

if TYPE_CHECKING:
    from tests.faults.rig import Answer, World

_OTHER: Final = "123.45"
"""An amount used by no scenario."""
_RAZORPAY_SECRET: Final = development.RAZORPAY_KEY_SECRET


def complaints(world: "World", settings: Settings | None = None) -> list[str]:
    """Everything that is wrong.

    Args:
        world: settled.
        settings: what it is deployed with; by default what its orders' notes say.
    """
    return _Verdict(world, settings or settings_of(world)).complaints()


def settings_of(world: "World") -> Settings:
    """The stack's own stage and installation, as its orders carry them."""
    account = world.razorpay.account
    marks = {account.order(order_id).notes.get("installation") for order_id in world.handed_out}
    assert marks <= {world.installation}, f"orders of {world.installation} carry other installations: {marks}"
    return Settings(
        stage=development.STAGE,
        installation=world.installation,
        accept_offers=world.accept_offers,
        order_expiry_days=world.order_expiry_days,
    )


def told(world: "World") -> dict[str, list[Told]]:
    """The events on the bus by order; each event once, however often it was published."""
    found: dict[str, list[Told]] = {}
    seen: set[str] = set()
    for detail_type, text in world.bus.accepted:
        detail = json.loads(text)
        if detail["event_id"] not in seen:
            seen.add(detail["event_id"])
            order_id, event = read_event(detail_type, detail)
            found.setdefault(order_id, []).append(event)
    return found


def expiries(world: "World") -> dict[str, list[int]]:
    """When each order expired, as announced: more than once only if a restore lost it."""
    found: dict[str, set[int]] = {}
    for detail_type, text in world.bus.accepted:
        if detail_type == "payment.expired":
            order_id, event = read_event(detail_type, json.loads(text))
            found.setdefault(order_id, set()).add(event.occurred_at)
    return {order_id: sorted(times) for order_id, times in found.items()}


class _Verdict:
    def __init__(self, world: "World", settings: Settings) -> None:
        self._world = world
        self._settings = settings
        self._ledger: Ledger = read_ledger(world.razorpay.account.ledger())
        self._outside: Outside = world.seen()
        self._expected = expected_orders(self._ledger, self._outside, settings)
        self._chosen: dict[str, Outcome] = {}

    def complaints(self) -> list[str]:
        found = [*self._orders(), *self._foreign(), *self._refunds()]
        # The following requests are not part of the story: their writes are neither checked nor counted.
        with self._world.unwatched():
            found += self._proofs()
            found += self._applications()
        return found

    def _orders(self) -> Iterator[str]:
        on_the_bus = told(self._world)
        for order_id, expected in self._expected.items():
            answer = self._world.read(order_id, client=_client(expected))
            shown = answer.body if answer.ok else None
            outcome, complaints = judge_order(expected, shown, on_the_bus.get(order_id, []))
            if outcome is not None:
                self._chosen[order_id] = outcome
            yield from complaints

    def _refunds(self) -> Iterator[str]:
        """Each refund that was requested of the service was made once at the most."""
        for order_id, order in self._ledger.orders.items():
            yield from (f"{order_id}: {complaint}" for complaint in refunded_twice(order))

    def _foreign(self) -> Iterator[str]:
        """A foreign order has no events and is shown to nobody."""
        on_the_bus = told(self._world)
        for order_id, order in self._ledger.orders.items():
            if order_id in self._expected:
                continue
            client = int(order.notes.get("client_id", events.CLIENT))
            if self._world.read(order_id, client=client).ok:
                yield f"{order_id}: GET shows somebody else's order"
            if order_id in on_the_bus:
                yield f"{order_id}: events about somebody else's order"

    def _proofs(self) -> Iterator[str]:
        for order_id, payment_id in sorted(self._outside.presented):
            expected, outcome = self._expected.get(order_id), self._chosen.get(order_id)
            if expected is None or outcome is None:
                continue
            signature = signatures.of_checkout(_RAZORPAY_SECRET, order_id, payment_id)
            checkout = {
                "razorpay_order_id": order_id,
                "razorpay_payment_id": payment_id,
                "razorpay_signature": signature,
            }
            with _taken_back(self._world):
                answer = self._world.verify(checkout, client=_client(expected))
            said = (answer.status, None if answer.ok else answer.body["code"])
            yield from judge_verify(expected, outcome, payment_id, said, self._settings)

    def _applications(self) -> Iterator[str]:
        bought = purchases(self._outside)
        without_answer = orphans(self._ledger, self._outside, self._settings)
        known = frozenset(self._ledger.orders)
        for (client, application), mine in bought.items():
            # An order returned in the lost time of a restore may be known or not, as if its response had been lost.
            lost = [self._ledger.orders[one.order_id] for one in mine if in_a_gap(one, self._outside)]
            unanswered = [*lost, *without_answer.get((client, application), [])]
            kept = [one for one in mine if not in_a_gap(one, self._outside)]
            ids = [*(one.order_id for one in mine), *(one.id for one in unanswered)]
            if any(one not in self._chosen for one in ids):
                # Its errors have been reported already.
                continue
            same = self._world.handed_out[mine[-1].order_id][2]
            for amount in (same, _OTHER):
                allowed = next_answers(
                    expected=self._expected,
                    chosen=self._chosen,
                    mine=kept,
                    unanswered=unanswered,
                    fields=fields(amount),
                    now=self._world.now,
                    released=self._outside.released,
                    order_expiry_days=self._settings.order_expiry_days,
                )
                with _taken_back(self._world):
                    answer = self._world.create_order(client=client, application=application, amount=amount)
                what = (
                    f"application {application} of client {client}, {'the same' if amount == same else 'another sum'}"
                )
                yield from judge_next(allowed, _next(answer), known, what)


def fields(amount: str) -> tuple[Any, ...]:
    """What makes two purchases of the rig's clients equal; everything else is constant."""
    return (int(Decimal(amount) * 100), "INR")


def _next(answer: "Answer") -> Next:
    if answer.ok:
        return Next(answer.status, None, answer.body["order_id"])
    return Next(answer.status, answer.body["code"], answer.body.get("order_id"))


def _client(expected: Expected) -> int:
    return int(expected.order.notes["client_id"])


@contextmanager
def _taken_back(world: "World") -> Iterator[None]:
    """Reverts all changes inside, except orders at Razorpay whose ids nobody has."""
    items, accepted = dict(world.table.items), len(world.bus.accepted)
    now, orders = world.now, dict(world.razorpay.account.orders)
    try:
        yield
    finally:
        world.now = now
        world.table.items.clear()
        world.table.items.update(items)
        del world.bus.accepted[accepted:]
        for made in world.razorpay.account.orders.keys() - orders.keys():
            del world.razorpay.account.orders[made]
