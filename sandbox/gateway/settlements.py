"""Settlements: what Razorpay pays to the merchant's bank, and its report about them.

A settlement contains every captured payment, every processed refund and what every lost dispute took, in INR, that no
earlier one contains. Razorpay settles other currencies in INR (payments/settlements/faqs.md) at a rate that the docs do
not give, so those are left out. A refund of a payment that was never captured moves none of the merchant's money.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from itertools import islice
from typing import Any, Final

from sandbox.gateway import identifiers
from sandbox.gateway.entities import Dispute, Order, Payment, Refund, notes_json
from sandbox.gateway.faults import RowFault
from sandbox.gateway.validation import AdjustmentRequest, ListQuery, ReportQuery

IST: Final = timezone(timedelta(hours=5, minutes=30))
"""Razorpay's days are India's; the docs give no time zone for the report."""


class NothingToSettleError(ValueError):
    """There is no money to pay out; the message says what there is."""


@dataclass(frozen=True, slots=True)
class Settlement:
    """One transfer to the merchant's bank (api/settlements/entity.md), with its rows of the report."""

    id: str
    utr: str
    settled_at: int
    rows: tuple[dict[str, Any], ...]

    @property
    def amount(self) -> int:
        """Return what the bank receives, in paise."""
        return sum(row["credit"] - row["debit"] for row in self.rows)

    def to_json(self) -> dict[str, Any]:
        """Return it as the Settlements API shows it. `fees` and `tax` are 0 for a normal settlement."""
        return {
            "id": self.id,
            "entity": "settlement",
            "amount": self.amount,
            "status": "processed",
            "fees": 0,
            "tax": 0,
            "utr": self.utr,
            "created_at": self.settled_at,
        }


class Settlements:
    """Every settlement of the account, oldest first."""

    def __init__(self) -> None:
        self._all: list[Settlement] = []
        self._settled: set[str] = set()

    def forget(self) -> None:
        """Forget everything."""
        self._all.clear()
        self._settled.clear()

    def settle(  # noqa: PLR0913 - the parts of the account
        self,
        orders: Mapping[str, Order],
        payments: Mapping[str, Payment],
        refunds: Iterable[Refund],
        disputes: Iterable[Dispute],
        *,
        at: int,
        adjustments: Sequence[AdjustmentRequest] = (),
    ) -> Settlement:
        """Settle everything that is not settled yet.

        Args:
            orders: the account's orders, by id.
            payments: its payments, by id.
            refunds: its refunds.
            disputes: its disputes.
            at: when, Unix seconds.
            adjustments: corrections to include.

        Raises:
            NothingToSettleError: the debits are as high as the credits, or higher.
        """
        paid = [payment for payment in payments.values() if payment.captured and self._is_open(payment)]
        given_back = [
            refund
            for refund in refunds
            if refund.status == "processed" and payments[refund.payment_id].captured and self._is_open(refund)
        ]
        settlement_id, utr = identifiers.new("setl"), f"{at}{identifiers.bare()[:6].lower()}"
        about = {"settled_at": at, "settlement_id": settlement_id, "settlement_utr": utr}
        rows = [_payment_row(payment, orders[payment.order_id]) | about for payment in paid]
        for refund in given_back:
            payment = payments[refund.payment_id]
            rows.append(_refund_row(refund, payment, orders[payment.order_id]) | about)
        lost = [dispute for dispute in disputes if dispute.amount_deducted and self._is_open(dispute)]
        taken = [AdjustmentRequest(-dispute.amount_deducted, dispute_id=dispute.id) for dispute in lost]
        rows += [
            _adjustment_row(adjustment, at) | about | {"settlement_utr": None} for adjustment in (*taken, *adjustments)
        ]
        made = Settlement(settlement_id, utr, at, tuple(rows))
        if made.amount <= 0:
            raise NothingToSettleError(
                f"there is nothing to pay out: {len(rows)} transactions come to {made.amount} paise; let somebody pay"
            )
        self._all.append(made)
        self._settled |= {entity.id for entities in (paid, given_back, lost) for entity in entities}
        return made

    def page(self, query: ListQuery) -> list[Settlement]:
        """Return the settlements created in a period, newest first (api/settlements/fetch-all.md)."""
        found = (
            one
            for one in reversed(self._all)
            if (query.earliest is None or one.settled_at >= query.earliest)
            and (query.latest is None or one.settled_at <= query.latest)
        )
        return list(islice(found, query.skip, query.skip + query.count))

    def report(self, query: ReportQuery, faults: Iterable[RowFault] = ()) -> list[dict[str, Any]]:
        """Return a page of a day's or a month's rows (api/settlements/fetch-recon.md), with the errors that are set.

        `count` and `skip` count rows. The docs speak of "settlements", but their sample has four rows of one.
        """
        rows = (row for one in self._all if _is_of(query, one.settled_at) for row in one.rows)
        wrong = {fault.entity_id: fault for fault in faults}
        shown = (copy for row in rows for copy in _shown(row, wrong.get(row["entity_id"])))
        return list(islice(shown, query.skip, query.skip + query.count))

    def _is_open(self, entity: Payment | Refund | Dispute) -> bool:
        return entity.currency == "INR" and entity.id not in self._settled


def _is_of(query: ReportQuery, at: int) -> bool:
    day = datetime.fromtimestamp(at, IST)
    return (day.year, day.month) == (query.year, query.month) and query.day in {None, day.day}


def _shown(row: dict[str, Any], fault: RowFault | None) -> Iterator[dict[str, Any]]:
    if fault is None:
        yield dict(row)
        return
    fault.played += 1
    changed = {name: row[name] + by for name, by in fault.add.items()}
    for _ in range(fault.copies):
        yield row | changed


def _payment_row(payment: Payment, order: Order) -> dict[str, Any]:
    fee, tax = payment.charges
    return _row(
        payment.id,
        "payment",
        credit=payment.amount - fee,
        amount=payment.amount,
        fee=fee,
        tax=tax,
        created_at=payment.created_at,
        description=payment.description,
        notes=notes_json(payment.notes),
        **_instrument(payment, order),
    )


def _refund_row(refund: Refund, payment: Payment, order: Order) -> dict[str, Any]:
    return _row(
        refund.id,
        "refund",
        debit=refund.amount,
        amount=refund.amount,
        created_at=refund.created_at,
        notes=notes_json(refund.notes),
        payment_id=payment.id,
        **_instrument(payment, order),
    )


def _adjustment_row(adjustment: AdjustmentRequest, at: int) -> dict[str, Any]:
    row = _row(
        identifiers.new("adj"),
        "adjustment",
        credit=max(adjustment.amount, 0),
        debit=max(-adjustment.amount, 0),
        amount=abs(adjustment.amount),
        created_at=at,
        description=adjustment.description,
        dispute_id=adjustment.dispute_id,
    )
    # The documented one has none.
    del row["credit_type"]
    return row


def _instrument(payment: Payment, order: Order) -> dict[str, Any]:
    card = payment.instrument.card
    return {
        "order_id": order.id,
        "order_receipt": order.receipt,
        "method": payment.instrument.method,
        "card_network": card.network if card else None,
        "card_issuer": None,
        "card_type": "debit" if card else None,
    }


def _row(entity_id: str, kind: str, **known: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """Return a row with its keys in the documented order."""
    return {
        "entity_id": entity_id,
        "type": kind,
        "debit": 0,
        "credit": 0,
        "amount": 0,
        "currency": "INR",
        "fee": 0,
        "tax": 0,
        "on_hold": False,
        "settled": True,
        "created_at": 0,
        "settled_at": 0,
        "settlement_id": None,
        "posted_at": None,
        "credit_type": "default",
        "description": None,
        "notes": None,
        "payment_id": None,
        "settlement_utr": None,
        "order_id": None,
        "order_receipt": None,
        "method": None,
        "card_network": None,
        "card_issuer": None,
        "card_type": None,
        "dispute_id": None,
    } | known
