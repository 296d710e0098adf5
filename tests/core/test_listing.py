"""What Razorpay's API lists, as facts."""

from typing import Any

import pytest

from payments.core.errors import GatewayUnavailable
from payments.core.listing import facts_of, read_order, read_payments, read_refunds, rebuild
from payments.core.model import Authorized, Captured, Failed, Refunded, RefundState

ORDER = "order_DESlLckIVRkHWj"
PAYMENT = "pay_DESlfW9H8K9uqM"
REFUND = "rfnd_FS8TWyPrCsa0OB"
CAPTURED = Captured(payment=PAYMENT, amount_minor=49950, currency="INR", method="upi")
NOTES = {
    "service": "payment-service",
    "stage": "local",
    "payment_id": "7",
    "job_id": "11",
    "application_id": "12",
    "client_id": "42",
    "freelancer_id": "77",
}


def payment(**changes: Any) -> dict[str, Any]:
    return {
        "id": PAYMENT,
        "order_id": ORDER,
        "amount": 49950,
        "currency": "INR",
        "status": "captured",
        "captured": True,
        "method": "upi",
        "amount_refunded": 0,
        "email": "asha@example.com",
    } | changes


def listed_order(**changes: Any) -> dict[str, Any]:
    return {
        "id": ORDER,
        "amount": 49950,
        "currency": "INR",
        "receipt": "local-7",
        "notes": NOTES,
        "created_at": 1772357400,
    } | changes


@pytest.mark.parametrize(
    ("item", "facts"),
    [
        (payment(), (CAPTURED,)),
        (payment(status="refunded"), (CAPTURED,)),
        (payment(status="authorized", captured=False), (Authorized(payment=PAYMENT, method="upi"),)),
        (
            payment(status="failed", captured=False, error_code="BAD_REQUEST_ERROR", error_reason="payment_cancelled"),
            (Failed(payment=PAYMENT, code="BAD_REQUEST_ERROR", reason="payment_cancelled", method="upi"),),
        ),
        (payment(status="created", captured=False), ()),
        (payment(status="refunded", captured=False), ()),
        (payment(status="captured", captured=False), ()),
        (payment(status="failed", captured=True), ()),
        (payment(status="authorized", captured=True), ()),
    ],
    ids=lambda value: f"{value['status']}, captured {value['captured']}" if isinstance(value, dict) else "",
)
def test_a_payments_status_decides_where_nothing_contradicts_it(item: dict[str, Any], facts: tuple[Any, ...]) -> None:
    (listed,) = read_payments([item], ORDER)
    assert facts_of(listed) == facts


@pytest.mark.parametrize(
    ("status", "state"),
    [("pending", RefundState.CREATED), ("processed", RefundState.PROCESSED), ("failed", RefundState.FAILED)],
)
def test_a_refunded_payments_refunds_are_facts_of_their_own(status: str, state: RefundState) -> None:
    (listed,) = read_payments([payment(status="refunded", amount_refunded=49950)], ORDER)
    assert listed.has_refunds
    refunds = read_refunds([{"id": REFUND, "payment_id": PAYMENT, "amount": 49950, "status": status}], PAYMENT)
    assert facts_of(listed, refunds) == (
        CAPTURED,
        Refunded(payment=PAYMENT, refund=REFUND, amount_minor=49950, state=state),
    )


@pytest.mark.parametrize(
    "item", [payment(order_id=None), payment(order_id="order_AAAAAAAAAAAAAA"), payment(amount="x"), {}]
)
def test_a_list_that_is_not_of_this_order_is_not_used(item: dict[str, Any]) -> None:
    with pytest.raises(GatewayUnavailable):
        read_payments([payment(), item], ORDER)


def test_an_order_of_ours_is_rebuilt_from_its_notes() -> None:
    order = rebuild(read_order(listed_order(), ORDER), "local")
    assert order is not None
    assert (order.payment_id, order.job_id, order.application_id) == (7, 11, 12)
    assert (order.client_id, order.freelancer_id, order.amount_minor) == (42, 77, 49950)
    assert (order.currency, order.receipt) == ("INR", "local-7")


@pytest.mark.parametrize(
    "notes",
    [
        [],
        {},
        None,
        NOTES | {"service": "another-shop"},
        NOTES | {"stage": "production"},
        NOTES | {"client_id": "0"},
        NOTES | {"client_id": "4.2"},
        {name: value for name, value in NOTES.items() if name != "job_id"},
    ],
)
def test_an_order_without_our_notes_is_foreign(notes: Any) -> None:
    assert rebuild(read_order(listed_order(notes=notes), ORDER), "local") is None
