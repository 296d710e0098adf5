"""The stand-in's account in memory, with its own clock."""

from typing import Any, Final

from sandbox.gateway import checkout, validation
from sandbox.gateway.entities import Dispute, Order, Payment, Refund
from sandbox.gateway.world import World

NOW: Final = 1_772_357_400
"""When the account is opened, in Unix seconds."""


class Account:
    """A world that records its webhook events."""

    def __init__(self) -> None:
        self.now: float = NOW
        self.told: list[tuple[str, str]] = []
        """Every event's name, and the status of its payment at that moment."""
        self.world = World(self._note, clock=lambda: self.now)

    def _note(self, event: str, payment: Payment, _order: Order, _about: Refund | Dispute | None) -> None:
        self.told.append((event, payment.status))

    def order(self, **fields: object) -> Order:
        asked = {"amount": 50000, "currency": "INR", "payment": {"capture": "automatic"}}
        return self.world.create_order(validation.order(asked | fields))

    def attempt(self, order: Order, **how: object) -> Payment:
        press = checkout.paying({"order_id": order.id, **how})
        return self.world.attempt(order, press, checkout.failure_of(press))

    def refund(self, payment: Payment, **fields: object) -> Refund:
        return self.world.refund(payment, validation.refund(dict(fields), payment.currency), key=None, body=b"")

    def switch(self, **settings: Any) -> None:
        self.world.faults = self.world.faults.switched(settings)
