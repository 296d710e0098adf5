"""An account at Razorpay, the table as the service records it, and the day's report of both."""

import json
from collections.abc import Iterable
from datetime import date, datetime
from typing import Any, Final

from ops.settlements import Comparison, Report, compare
from payments.core.entities import ListedPayment, ListedRefund
from payments.core.listing import Origin
from payments.core.model import KnownRefund, Order
from payments.core.outbox import record_facts
from payments.core.settlements import IST, shown_settlement, shown_transaction
from payments.core.transitions import open_record
from sandbox.gateway.entities import Order as AccountOrder
from sandbox.gateway.entities import Payment
from sandbox.gateway.settlements import Settlement
from sandbox.gateway.validation import AdjustmentRequest, ListQuery, ReportQuery
from tests.fakes import INSTALLATION, FakeTable
from tests.gateway.account import NOW, Account

ORIGIN: Final = Origin(stage="test", installation=INSTALLATION)
DAY: Final = datetime.fromtimestamp(NOW, IST).date()


class Books:
    """What a customer, the merchant and the service do, and what the report says afterwards."""

    def __init__(self) -> None:
        self.account = Account()
        self.table = FakeTable()
        self._placed = 0

    def order(self, amount: int = 50_000) -> AccountOrder:
        """An order of ours, at Razorpay and in the table."""
        self._placed += 1
        number = self._placed
        order = self.account.order(amount=amount, receipt=f"test-{INSTALLATION}-{number}")
        agreed = Order(
            payment_id=number,
            job_id=11,
            application_id=number,
            client_id=42,
            freelancer_id=77,
            amount_minor=amount,
            currency="INR",
            receipt=order.receipt or "",
        )
        self.table.insert(open_record(order.id, agreed, NOW))
        return order

    def pay(self, amount: int = 50_000, **how: Any) -> Payment:
        return self.account.attempt(self.order(amount), **how)

    def record(self) -> None:
        """The service learns everything that Razorpay lists."""
        world = self.account.world
        for payment in world.payments.values():
            refunds = [one for one in world.refunds.values() if one.payment_id == payment.id]
            listed = [ListedRefund.model_validate(one.to_json()) for one in refunds]
            facts = ListedPayment.model_validate(payment.to_json()).facts(listed)
            if payment.order_id in self.table.records:
                record_facts(self.table, payment.order_id, facts, NOW)
            for one in listed:
                known = KnownRefund(
                    refund_id=one.id,
                    payment_id=payment.id,
                    order_id=payment.order_id,
                    amount_minor=one.amount,
                    state="processed",
                )
                self.table.keep_refunds([known])

    def settle(self, *adjustments: int) -> Settlement:
        """Everything recorded and paid out, now."""
        self.record()
        corrections = [AdjustmentRequest(amount) for amount in adjustments]
        return self.account.world.settle(adjustments=corrections)

    def rows(self, day: date = DAY) -> list[dict[str, Any]]:
        """The day's rows as they leave the service."""
        query = ReportQuery(day.year, day.month, day.day, count=1000, skip=0)
        world = self.account.world
        items = world.settlements.report(query, world.faults.settlement_report)
        shown: list[dict[str, Any]] = json.loads(json.dumps([shown_transaction(item, ORIGIN) for item in items]))
        return shown

    def compare(
        self, rows: Iterable[dict[str, Any]] | None = None, *, day: date = DAY, changed: dict[str, Any] | None = None
    ) -> Comparison:
        """The day's report against the table; with other rows, or another first settlement, if given."""
        listed = [shown_settlement(one.to_json()) for one in self.account.world.settlements.page(ListQuery(count=100))]
        if changed:
            listed[0] |= changed
        report = Report.of(day, listed, self.rows(day) if rows is None else rows)
        refunds = self.table.refunds(report.refunds_without_order())
        orders = report.orders() | {one.order_id for one in refunds.values() if one.order_id}
        return compare(report, self.table.read_many(orders), refunds)


def found(comparison: Comparison) -> list[tuple[str, str | None]]:
    """The kind of each difference, and what it is about."""
    return [(difference.kind.value, difference.entity_id) for difference in comparison.differences]
