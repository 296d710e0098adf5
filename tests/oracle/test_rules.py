"""The definitions of the design, section 3, with examples derived by hand."""

import pytest

from tests.oracle import rules
from tests.oracle.books import Order, Payment, Refund, Settings
from tests.oracle.stories import NOTES

OURS = Settings(stage="dev", installation="one")
OFFERS = Settings(stage="dev", installation="one", accept_offers=90)


def paid(amount: int = 50_000, *refunds: int, status: str = "captured", currency: str = "INR", fee: int = 0) -> Payment:
    return Payment(
        id="pay_0000000000000A",
        order_id="order_00000000000001",
        amount=amount,
        currency=currency,
        status=status,
        captured=status == "captured",
        fee=fee,
        refunds=tuple(
            Refund(id=f"rfnd_{number:014d}", payment_id="pay_0000000000000A", amount=refund, status="processed")
            for number, refund in enumerate(refunds)
        ),
    )


def order(*payments: Payment) -> Order:
    return Order(id="order_00000000000001", amount=50_000, currency="INR", notes=NOTES, payments=payments)


@pytest.mark.parametrize(
    ("payment", "settings", "verdict"),
    [
        (paid(), OURS, "exact"),
        # Customer fee bearer: the customer pays order amount + fee, and the merchant receives the agreed sum.
        (paid(51_180, fee=1_180), OURS, "fee"),
        (paid(51_180, fee=1_181), OURS, None),
        (paid(51_180), OURS, None),
        # Merchant fee bearer: the fee is inside the sum, which is the order's.
        (paid(50_000, fee=1_180), OURS, "exact"),
        (paid(45_000), OFFERS, "offer"),
        (paid(44_999), OFFERS, None),
        (paid(45_000), OURS, None),
        (paid(currency="USD"), OURS, None),
        (paid(status="authorized"), OURS, None),
    ],
)
def test_a_capture_matches_what_was_agreed_in_one_of_three_ways(
    payment: Payment, settings: Settings, verdict: str | None
) -> None:
    assert rules.verdict(order(payment), payment, settings) == verdict


@pytest.mark.parametrize(
    ("payment", "returned"),
    [
        (paid(), False),
        (paid(50_000, 20_000), False),
        (paid(50_000, 20_000, 30_000), True),
        # min(captured amount, order amount): the fee need not be refunded, a lower capture is refunded in full.
        (paid(51_180, 50_000, fee=1_180), True),
        (paid(99, 99), True),
        (paid(60_000, 50_000), True),
        # Never captured: any processed refund is Razorpay's own.
        (paid(50_000, 50_000, status="refunded"), True),
        (paid(status="authorized"), False),
    ],
)
def test_a_payment_is_returned_when_its_processed_refunds_reach_the_lower_of_two_sums(
    payment: Payment, *, returned: bool
) -> None:
    assert rules.is_returned(order(payment), payment) is returned
    assert rules.holds_money(order(payment), payment) is (payment.captured and not returned)


def test_a_refund_that_is_pending_or_failed_moves_nothing() -> None:
    waiting = Refund(id="rfnd_00000000000001", payment_id="pay_0000000000000A", amount=50_000, status="pending")
    failed = Refund(id="rfnd_00000000000002", payment_id="pay_0000000000000A", amount=50_000, status="failed")
    payment = Payment(
        id="pay_0000000000000A",
        order_id="order_00000000000001",
        amount=50_000,
        currency="INR",
        status="captured",
        captured=True,
        refunds=(waiting, failed),
    )
    assert rules.refunded_minor(payment) == 0
    assert rules.holds_money(order(payment), payment)


@pytest.mark.parametrize(
    ("notes", "ours"),
    [
        (NOTES, True),
        ({**NOTES, "stage": "production"}, False),
        ({**NOTES, "service": "another"}, False),
        ({**NOTES, "installation": "another stack"}, False),
        # Version 0.1's orders have no installation.
        ({name: note for name, note in NOTES.items() if name != "installation"}, True),
        ({}, False),
    ],
)
def test_marker_stage_and_installation_tell_our_orders_from_others(notes: dict[str, str], *, ours: bool) -> None:
    assert rules.is_ours(Order(id="order_00000000000001", amount=1, currency="INR", notes=notes), OURS) is ours


@pytest.mark.parametrize(
    ("total", "differs"), [(0, True), (10_000, False), (15_000, False), (30_000, False), (30_001, True)]
)
def test_a_total_agrees_between_the_processed_and_the_processed_with_the_created_refunds(
    total: int, *, differs: bool
) -> None:
    refunds = (
        Refund(id="rfnd_00000000000001", payment_id="pay_0000000000000A", amount=10_000, status="processed"),
        Refund(id="rfnd_00000000000002", payment_id="pay_0000000000000A", amount=20_000, status="pending"),
        Refund(id="rfnd_00000000000003", payment_id="pay_0000000000000A", amount=5_000, status="failed"),
    )
    payment = Payment(
        id="pay_0000000000000A",
        order_id="order_00000000000001",
        amount=50_000,
        currency="INR",
        status="captured",
        captured=True,
        amount_refunded=total,
        refunds=refunds,
    )
    assert rules.totals_differ(payment) is differs


def test_only_a_failed_payment_is_dead_and_only_a_capture_consumes_an_order() -> None:
    failed, authorized, captured = paid(status="failed"), paid(status="authorized"), paid()
    assert [rules.is_dead(one) for one in (failed, authorized, captured)] == [True, False, False]
    assert [rules.is_consumed(order(one)) for one in (failed, authorized, captured)] == [False, False, True]
    assert rules.is_consumed(order(paid(99, 99)))


def test_every_capture_that_does_not_stand_is_surplus() -> None:
    first, second = paid(), paid(99)
    assert rules.surplus(order(first, second), first) == [second]
    assert rules.surplus(order(second), None) == [second]
