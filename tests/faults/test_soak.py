"""A few concurrent customers on the deployed template; and that a difference between the records is found."""

from collections.abc import Mapping
from typing import Any, cast

import pytest

from sandbox.cloud.service import LocalService
from tests.e2e.platform_client import Platform
from tests.faults.rig import World, installed
from tests.faults.soak import Bought, differences, soak
from tests.faults.verdict import settings_of
from tests.oracle.books import Outside, read_ledger
from tests.oracle.expect import expected_orders


# Twenty seconds on an idle machine; on a busy one, starting function instances takes longer.
@pytest.mark.timeout(400)
def test_customers_at_once_leave_books_that_agree(local_service: LocalService, seed: int) -> None:
    told: list[tuple[int, int]] = []
    report = soak(local_service, 16, seed, lambda done, of: told.append((done, of)))
    assert told[-1] == (16, 16)
    assert int(report.figures["paid"]) > 8
    assert int(report.figures["webhooks lost, or sent again though accepted"]) > 0


class Shown:
    """What the platform shows of one paid order."""

    def __init__(self, payment: Mapping[str, Any], notes: list[str]) -> None:
        self.payment = lambda _: payment
        self.inbox = lambda *_: notes


@pytest.mark.parametrize(
    ("changes", "notes", "found"),
    [
        ({}, ["payment.paid"], []),
        ({"status": "created", "confirmed": False}, ["payment.paid"], ["GET says"]),
        ({"amount_refunded": 1}, ["payment.paid"], ["GET says"]),
        ({}, [], ["job noted", "application noted"]),
        ({}, ["payment.paid", "payment.paid"], ["job noted", "application noted"]),
    ],
)
def test_a_difference_is_found(changes: Mapping[str, Any], notes: list[str], found: list[str]) -> None:
    with installed() as install:
        world = install(World())
        order_id = world.create_order().body["order_id"]
        world.pay(order_id)
        world.come_to_rest()
        books, outside = read_ledger(world.razorpay.account.ledger()), Outside(handed_out=world.handed)
        expected = expected_orders(books, outside, settings_of(world))[order_id]
        platform = cast("Platform", Shown({**world.read(order_id).body, **changes}, notes))
    said = list(differences(Bought(platform, order_id, 0, 0), expected))
    assert [text[: len(start)] for text, start in zip(said, found, strict=True)] == found
