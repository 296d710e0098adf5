"""The account by itself, without HTTP, event loop or time: as other tests use it in process."""

import pytest

from sandbox.gateway import checkout, validation
from sandbox.gateway.entities import Order, Payment, Refund
from sandbox.gateway.world import ImpossibleError, World


class Account:
    """A world that notes what it tells."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []
        self.world = World(self._note, clock=lambda: 1_772_357_400.0)

    def _note(self, event: str, payment: Payment, _order: Order, _refund: Refund | None) -> None:
        self.told.append((event, payment.status))

    def order(self) -> Order:
        asked = {"amount": 50000, "currency": "INR", "payment": {"capture": "automatic"}}
        return self.world.create_order(validation.order(asked))

    def attempt(self, order: Order, **how: object) -> Payment:
        press = checkout.paying({"order_id": order.id, **how})
        return self.world.attempt(order, press, checkout.failure_of(press))


def test_it_tells_a_whole_story_without_an_event_loop() -> None:
    account = Account()
    order = account.order()
    late = account.attempt(order, outcome="failure")
    paid = account.attempt(order)
    account.world.authorize_late(late)
    account.world.faults = account.world.faults.switched({"refunds": "pending"})
    refund = account.world.refund(paid, validation.refund({}, "INR"), key=None, body=b"")
    account.world.settle_refund(refund, "failed")
    assert account.told == [
        ("payment.failed", "failed"),
        ("payment.authorized", "authorized"),
        ("payment.captured", "captured"),
        ("order.paid", "captured"),
        ("payment.authorized", "authorized"),
        ("refund.created", "refunded"),
        ("refund.processed", "refunded"),
        ("refund.created", "refunded"),
        ("refund.failed", "captured"),
    ]
    assert paid.created_at == 1_772_357_400


def test_what_no_account_comes_to_changes_nothing() -> None:
    account = Account()
    paid = account.attempt(account.order())
    told = list(account.told)
    for impossible in (
        account.world.authorize_late,
        account.world.capture_authorized,
        account.world.return_uncaptured,
    ):
        with pytest.raises(ImpossibleError):
            impossible(paid)
    assert (paid.status, account.told) == ("captured", told)
