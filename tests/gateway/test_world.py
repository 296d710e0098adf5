"""The account without HTTP, event loop or real time, as other tests use it in process."""

import pytest

from sandbox.gateway import validation
from sandbox.gateway.world import ImpossibleError
from tests.gateway.account import NOW, Account


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
    assert paid.created_at == NOW


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
