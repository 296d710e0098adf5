"""What an operator may decide (design, section 3, Reviews), and which refunds the sweep still hears of."""

import pytest

from payments.core.listing import Origin
from payments.core.model import Application, Order, RefundState, Status
from payments.core.operations import NotPossible, accept_payment, release_order, release_payment
from payments.core.position import NO_OFFERS
from payments.core.reconciliation import Outcome, Reconciler
from payments.core.transitions import decide, open_record, supersede
from tests.core.story import AMOUNT, OPENED, ORDER, ORDER_ID, OTHER_ORDER_ID, PART, REFUND_1, A, B, signed
from tests.fakes import INSTALLATION, FakeBus, FakeGateway, FakeTable

NOW = OPENED + 3600


class Case:
    """One application with one order, at Razorpay and in the table."""

    def __init__(self, order: Order = ORDER) -> None:
        self.table, self.bus, self.gateway = FakeTable(), FakeBus(), FakeGateway()
        self.gateway.now = OPENED
        self.gateway.put_order(ORDER_ID, order)
        self.table.insert(open_record(ORDER_ID, order, OPENED))
        self.table.open_application(order.client_id, order.application_id, ORDER_ID)
        origin = Origin(stage="test", installation=INSTALLATION)
        self.reconciler = Reconciler(
            table=self.table, bus=self.bus, gateway=self.gateway, origin=origin, policy=NO_OFFERS
        )

    def status(self) -> Status:
        return self.table.records[ORDER_ID].status

    def replace_by_other(self) -> None:
        record = self.table.records[ORDER_ID]
        self.table.records[ORDER_ID] = supersede(record, OTHER_ORDER_ID, OPENED + 1)
        self.gateway.put_order(OTHER_ORDER_ID, ORDER)
        self.table.insert(open_record(OTHER_ORDER_ID, ORDER, OPENED))
        self.table.applications[ORDER.client_id, ORDER.application_id] = Application(
            client_id=ORDER.client_id,
            application_id=ORDER.application_id,
            current=OTHER_ORDER_ID,
            orders=(ORDER_ID, OTHER_ORDER_ID),
        )


def test_a_payment_of_another_sum_stands_once_it_is_accepted() -> None:
    case = Case()
    case.gateway.pay(ORDER_ID, A, amount=PART)
    record = accept_payment(case.reconciler, ORDER_ID, A, NOW)
    assert (record.status, record.confirmed, record.stood) == (Status.PAID, True, A)
    assert case.bus.types().count("payment.paid") == 1


def test_a_payment_on_a_superseded_order_stands_once_it_is_accepted() -> None:
    case = Case()
    case.replace_by_other()
    case.gateway.pay(ORDER_ID, A)
    assert accept_payment(case.reconciler, ORDER_ID, A, NOW).status is Status.PAID


def test_nothing_is_accepted_while_another_order_of_the_application_holds_money() -> None:
    case = Case()
    case.replace_by_other()
    case.gateway.pay(ORDER_ID, A)
    case.gateway.pay(OTHER_ORDER_ID, B)
    case.reconciler.reconcile_record(case.table.records[OTHER_ORDER_ID], NOW)
    with pytest.raises(NotPossible):
        accept_payment(case.reconciler, ORDER_ID, A, NOW)
    assert case.status() is Status.AUTHORIZED


def test_nothing_is_accepted_on_an_order_that_is_refunded_for_that_is_final() -> None:
    case = Case()
    case.gateway.pay(ORDER_ID, A)
    case.gateway.give_back(A, REFUND_1, AMOUNT)
    case.reconciler.reconcile_record(case.table.records[ORDER_ID], NOW)
    case.gateway.pay(ORDER_ID, B)
    with pytest.raises(NotPossible, match="final"):
        accept_payment(case.reconciler, ORDER_ID, B, NOW)


@pytest.mark.parametrize("status", ["created", "failed", "authorized"])
def test_a_payment_that_was_not_captured_is_not_accepted(status: str) -> None:
    case = Case()
    case.gateway.pay(ORDER_ID, A, status)
    with pytest.raises(NotPossible):
        accept_payment(case.reconciler, ORDER_ID, A, NOW)


def test_a_released_signature_no_longer_counts() -> None:
    case = Case()
    before = case.table.records[ORDER_ID]
    case.table.save(before, decide(before, [signed(A)], OPENED + 1).record)
    assert case.status() is Status.PAID
    assert release_payment(case.reconciler, ORDER_ID, A, NOW).status is Status.FAILED


def test_a_look_comes_before_a_release_and_a_captured_payment_is_not_released() -> None:
    case = Case()
    before = case.table.records[ORDER_ID]
    case.table.save(before, decide(before, [signed(A)], OPENED + 1).record)
    case.gateway.pay(ORDER_ID, A)
    with pytest.raises(NotPossible):
        release_payment(case.reconciler, ORDER_ID, A, NOW)
    assert case.status() is Status.PAID


def test_only_an_order_that_razorpay_says_is_unpaid_is_released() -> None:
    unpaid, paid = Case(), Case()
    assert release_order(unpaid.reconciler, ORDER_ID, NOW).released
    paid.gateway.pay(ORDER_ID, A)
    with pytest.raises(NotPossible):
        release_order(paid.reconciler, ORDER_ID, NOW)


def test_a_listed_refund_that_failed_after_it_was_processed_is_for_a_person() -> None:
    case = Case()
    case.gateway.pay(ORDER_ID, A)
    case.gateway.give_back(A, REFUND_1, PART)
    assert case.reconciler.apply_refund(case.gateway.refund(REFUND_1), None, NOW) is Outcome.RECONCILED
    case.gateway.give_back(A, REFUND_1, PART, "failed")
    known = case.table.known_refunds[REFUND_1]
    assert case.reconciler.apply_refund(case.gateway.refund(REFUND_1), known, NOW + 60) is Outcome.RECONCILED
    record = case.table.records[ORDER_ID]
    assert record.refunds[REFUND_1].state is RefundState.PROCESSED
    assert "refund_reversed" in {review.reason for review in record.reviews}
    again = case.table.known_refunds[REFUND_1]
    assert case.reconciler.apply_refund(case.gateway.refund(REFUND_1), again, NOW + 120) is Outcome.UNCHANGED


def test_a_refund_of_a_payment_that_no_webhook_told_is_decided_with_its_capture() -> None:
    case = Case()
    case.gateway.pay(ORDER_ID, A)
    case.gateway.give_back(A, REFUND_1, AMOUNT)
    case.reconciler.apply_refund(case.gateway.refund(REFUND_1), None, NOW)
    assert case.status() is Status.REFUNDED
    assert case.bus.types() == ["payment.refunded"]
