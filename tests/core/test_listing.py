"""What Razorpay's API lists, as facts."""

import re
from copy import replace
from typing import Any

import pytest

from payments.core.entities import ListedOrder
from payments.core.errors import GatewayUnavailable
from payments.core.listing import (
    Look,
    Origin,
    Ownership,
    ownership,
    read_order,
    read_payments,
    read_refunds,
)
from payments.core.model import MAX_ID, Authorized, Captured, Failed, Order, Refunded, RefundState, RefundTotal

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


def refund(**changes: Any) -> dict[str, Any]:
    return {"id": REFUND, "payment_id": PAYMENT, "amount": 49950, "status": "processed"} | changes


def whole(text: str) -> str:
    """A pattern that matches exactly this text."""
    return f"^{re.escape(text)}$"


OURS = Origin(stage="local", installation="1f2e3d4c")


def rebuilt(listed: ListedOrder) -> Order | None:
    return ownership(listed, OURS).order


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
    assert listed.facts() == facts


@pytest.mark.parametrize(
    ("status", "state"),
    [("pending", RefundState.CREATED), ("processed", RefundState.PROCESSED), ("failed", RefundState.FAILED)],
)
def test_a_refunded_payments_refunds_are_facts_of_their_own(status: str, state: RefundState) -> None:
    (listed,) = read_payments([payment(status="refunded", amount_refunded=49950)], ORDER)
    assert listed.has_refunds
    refunds = read_refunds([refund(status=status)], PAYMENT)
    assert listed.facts(refunds) == (
        CAPTURED,
        Refunded(payment=PAYMENT, refund=REFUND, amount_minor=49950, state=state),
        RefundTotal(payment=PAYMENT, amount_minor=49950, complete=True),
    )


@pytest.mark.parametrize(
    ("item", "why"),
    [
        (payment(order_id=None), "Razorpay's list has a payment of another order."),
        (payment(order_id="order_AAAAAAAAAAAAAA"), "Razorpay's list has a payment of another order."),
        (payment(amount="x"), "Razorpay's payment has an unexpected shape."),
        ({}, "Razorpay's payment has an unexpected shape."),
    ],
)
def test_a_list_that_is_not_of_this_order_is_not_used(item: dict[str, Any], why: str) -> None:
    with pytest.raises(GatewayUnavailable, match=whole(why)):
        read_payments([payment(), item], ORDER)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"payment_id": "pay_AAAAAAAAAAAAAA"}, "Razorpay's list has a refund of another payment."),
        ({"amount": 0}, "Razorpay's refund has an unexpected shape."),
        ({"status": None}, "Razorpay's refund has an unexpected shape."),
    ],
)
def test_refunds_that_are_not_of_this_payment_are_not_used(changes: dict[str, Any], why: str) -> None:
    with pytest.raises(GatewayUnavailable, match=whole(why)):
        read_refunds([refund(), refund(**changes)], PAYMENT)


@pytest.mark.parametrize(
    ("status", "amount_refunded", "expected"),
    [
        ("captured", 0, False),
        ("captured", None, False),
        ("captured", 1, True),
        ("refunded", 0, True),
        ("refunded", None, True),
    ],
)
def test_refunds_are_listed_where_the_payment_speaks_of_any(
    status: str, amount_refunded: int | None, expected: bool
) -> None:
    (listed,) = read_payments([payment(status=status, amount_refunded=amount_refunded)], ORDER)
    assert listed.has_refunds is expected


def test_a_refund_whose_state_we_do_not_know_is_no_fact() -> None:
    (listed,) = read_payments([payment()], ORDER)
    assert listed.facts(read_refunds([refund(status="reversed")], PAYMENT)) == (
        CAPTURED,
        RefundTotal(payment=PAYMENT, amount_minor=0, complete=True),
    )


def test_an_order_of_ours_is_rebuilt_from_its_notes() -> None:
    order = rebuilt(read_order(listed_order(), ORDER))
    assert order is not None
    assert (order.payment_id, order.job_id, order.application_id) == (7, 11, 12)
    assert (order.client_id, order.freelancer_id, order.amount_minor) == (42, 77, 49950)
    assert (order.currency, order.receipt) == ("INR", "local-7")


def test_the_very_first_of_everything_is_rebuilt_too() -> None:
    notes = NOTES | dict.fromkeys(("payment_id", "job_id", "application_id", "client_id", "freelancer_id"), "1")
    order = rebuilt(read_order(listed_order(notes=notes), ORDER))
    assert order is not None
    assert (order.payment_id, order.job_id, order.application_id, order.client_id, order.freelancer_id) == (1,) * 5


def test_an_order_made_without_a_receipt_has_an_empty_one() -> None:
    order = rebuilt(read_order(listed_order(receipt=None), ORDER))
    assert order is not None
    assert order.receipt == ""


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"id": "order_AAAAAAAAAAAAAA"}, "Razorpay answered with another order."),
        ({"id": None}, "Razorpay's order has an unexpected shape."),
        ({"amount": 0}, "Razorpay's order has an unexpected shape."),
        ({"amount": "49950"}, "Razorpay's order has an unexpected shape."),
        ({"created_at": -1}, "Razorpay's order has an unexpected shape."),
        ({"created_at": "1772357400"}, "Razorpay's order has an unexpected shape."),
    ],
)
def test_an_order_that_is_not_the_one_asked_for_is_not_used(changes: dict[str, Any], why: str) -> None:
    with pytest.raises(GatewayUnavailable, match=whole(why)):
        read_order(listed_order(**changes), ORDER)


def test_the_least_order_is_of_one_paisa_and_of_the_first_second() -> None:
    order = read_order(listed_order(amount=1, created_at=0), ORDER)
    assert (order.amount, order.created_at) == (1, 0)


@pytest.mark.parametrize(
    "notes",
    [
        NOTES | {"client_id": "0"},
        NOTES | {"client_id": "4.2"},
        NOTES | {"client_id": "٤٢"},
        NOTES | {"client_id": ""},
        NOTES | {"client_id": "-42"},
        NOTES | {"client_id": None},
        NOTES | {"client_id": [42]},
        NOTES | {"client_id": True},
        NOTES | {"client_id": str(MAX_ID + 1)},
        {name: value for name, value in NOTES.items() if name != "job_id"},
    ],
)
def test_an_order_marked_as_ours_whose_ids_are_spoiled_is_nobody_elses(notes: Any) -> None:
    """An order counts as foreign only on positive evidence, and only foreign orders expire."""
    assert ownership(read_order(listed_order(notes=notes), ORDER), OURS) == Ownership(None, foreign=False)


@pytest.mark.parametrize(
    ("installation", "is_ours", "foreign"),
    [("1f2e3d4c", True, False), ("ffffffff", False, True), (None, True, False)],
    ids=["this installation", "another on the account", "version 0.1, which noted none"],
)
def test_an_orders_installation_says_whose_it_is(installation: str | None, is_ours: bool, foreign: bool) -> None:
    noted = {"installation": installation} if installation is not None else {}
    claim = ownership(read_order(listed_order(notes=NOTES | noted), ORDER), OURS)
    assert (claim.order is not None, claim.foreign) == (is_ours, foreign)


def test_a_table_without_an_installation_of_its_own_cannot_tell() -> None:
    notes = NOTES | {"installation": "1f2e3d4c"}
    claim = ownership(read_order(listed_order(notes=notes), ORDER), Origin(stage="local", installation=None))
    assert claim == Ownership(None, foreign=False)


@pytest.mark.parametrize(
    "notes",
    [
        [],
        {},
        None,
        {"service": "another-shop"},
        NOTES | {"service": "another-shop"},
        NOTES | {"stage": "dev"},
        NOTES | {"service": "another-shop", "client_id": "0"},
        NOTES | {"installation": "ffffffff", "client_id": "0"},
        NOTES | {"installation": ["1f2e3d4c"]},
    ],
)
def test_an_order_that_is_not_ours_is_foreign(notes: Any) -> None:
    assert ownership(read_order(listed_order(notes=notes), ORDER), OURS) == Ownership(None, foreign=True)


@pytest.mark.parametrize("odd", ["0", -1, True, 1.5, 2**53])
def test_a_number_that_is_none_is_not_read(odd: object) -> None:
    (listed,) = read_payments([payment(amount_refunded=odd, fee=odd, created_at=odd)], ORDER)
    assert listed.facts() == (CAPTURED,)


@pytest.mark.parametrize("number", [0, 1, MAX_ID])
def test_every_number_that_consumers_can_read_is_read(number: int) -> None:
    (listed,) = read_payments([payment(fee=number, created_at=number)], ORDER)
    assert listed.facts() == (replace(CAPTURED, fee_minor=number, created_at=number),)


@pytest.mark.parametrize("status", ["authorized", "failed"])
def test_when_a_payment_was_made_is_told_whatever_became_of_it(status: str) -> None:
    (listed,) = read_payments([payment(status=status, captured=False, created_at=1772357400)], ORDER)
    (fact,) = listed.facts()
    assert isinstance(fact, Authorized | Failed)
    assert fact.created_at == 1772357400


def test_a_failure_that_a_look_lists_says_when_the_look_began() -> None:
    (listed,) = read_payments([payment(status="failed", captured=False)], ORDER)
    assert listed.facts(looked_at=1772357500) == (Failed(payment=PAYMENT, method="upi", listed_at=1772357500),)


def test_a_payment_tells_its_fee_its_time_and_the_sum_of_its_refunds() -> None:
    (listed,) = read_payments([payment(fee=1180, created_at=1772357400, amount_refunded=100)], ORDER)
    told = replace(CAPTURED, fee_minor=1180, created_at=1772357400)
    total = RefundTotal(payment=PAYMENT, amount_minor=100, complete=False)
    assert listed.facts() == (told, total)
    assert listed.facts(totals=False) == (told,)
    # When its refunds are listed too, the sum is complete and always recorded.
    assert listed.facts([], totals=False) == (told, replace(total, complete=True))
    (unpaid,) = read_payments([payment(status="created", captured=False, amount_refunded=None)], ORDER)
    assert unpaid.facts([]) == (RefundTotal(payment=PAYMENT, amount_minor=0, complete=True),)


def test_a_refund_tells_when_it_was_made() -> None:
    (listed,) = read_refunds([refund(created_at=1772357400)], PAYMENT)
    (fact,) = listed.facts()
    assert isinstance(fact, Refunded)
    assert fact.created_at == 1772357400


@pytest.mark.parametrize("status", ["created", "authorized", "captured", "refunded", "failed", None])
def test_only_a_payment_in_the_state_created_is_still_at_the_bank(status: str | None) -> None:
    (listed,) = read_payments([payment(status=status)], ORDER)
    assert listed.in_flight is (status == "created")


@pytest.mark.parametrize(
    ("status", "payments", "lags"), [("paid", 0, True), ("paid", 1, False), ("attempted", 0, False), (None, 0, False)]
)
def test_a_paid_order_without_any_payment_is_a_list_that_lags(status: str | None, payments: int, lags: bool) -> None:
    look = Look(order=read_order(listed_order(status=status)), facts=(), in_flight=(), payments=payments)
    assert look.says_paid_without_payment() is lags
