"""Compare Razorpay's settlement report of a day with the payments table, to the paisa.

Pure: the caller brings the report and the records. Three comparisons find different mistakes:

* a row with our record: the captured or refunded amount, the currency, and Razorpay's fee if the record has it;
* a row with itself: what is credited is the amount less the fee, what is debited the amount and the fee. The record
  has no tax, so of the tax only that it is no more than the fee, which includes it;
* the rows of a settlement with the settlement: together they are what the bank received, under one reference (UTR).
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final, Self

from payments.core.instants import iso
from payments.core.model import KnownRefund, Record, RefundState, Status
from payments.core.money import EXPONENT_BY_CURRENCY
from payments.core.settlements import Settlement, Transaction, seconds_of

SETTLED_IN: Final = "INR"
"""Razorpay settles every payment in rupees ("Settlements", FAQs), at a rate that the report does not have."""

NOT_OURS: Final = "not_ours"
"""How the rows of other systems on the same Razorpay account are listed."""


class Kind(StrEnum):
    """How the report and the table differ."""

    UNKNOWN_ORDER = "unknown_order"
    PAYMENT_UNKNOWN = "payment_unknown"
    NOT_CAPTURED = "not_captured"
    REFUND_UNKNOWN = "refund_unknown"
    REFUND_FAILED = "refund_failed"
    OTHER_PAYMENT = "other_payment"
    OTHER_AMOUNT = "other_amount"
    OTHER_CURRENCY = "other_currency"
    OTHER_FEE = "other_fee"
    SUMS_DISAGREE = "sums_disagree"
    ROW_TWICE = "row_twice"
    NOT_SETTLED = "not_settled"
    OTHER_UTR = "other_utr"
    UNREADABLE = "unreadable"
    SETTLEMENT_UNKNOWN = "settlement_unknown"
    SETTLEMENT_NOT_PROCESSED = "settlement_not_processed"
    SETTLEMENT_DIFFERS = "settlement_differs"
    SETTLEMENT_WITHOUT_ROWS = "settlement_without_rows"


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference."""

    kind: Kind
    entity_id: str | None
    """The payment, refund or settlement that it is about; None for a row without a readable id."""
    reported: int | str | None = None
    """What Razorpay says; a number is a sum in minor units."""
    recorded: int | str | None = None
    """What we have, or what follows from the rest of the report."""
    currency: str = SETTLED_IN
    """Of sums."""

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return {
            "kind": self.kind.value,
            "entity_id": self.entity_id,
            "reported": self.reported,
            "recorded": self.recorded,
            "currency": self.currency,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A day's report, as reconcile returns it."""

    day: date
    settlements: Mapping[str, Settlement]
    """Those of the day and of the week before, by id."""
    rows: Sequence[Transaction]
    unreadable: Sequence[str | None]
    """The ids of entries that are not as Razorpay documents them; None where the id is not either."""

    @classmethod
    def of(cls, day: date, settlements: Iterable[Mapping[str, Any]], rows: Iterable[Mapping[str, Any]]) -> Self:
        """Parse the items of reconcile's pages."""
        items, entries = list(settlements), list(rows)
        return cls(
            day=day,
            settlements={item["id"]: Settlement.model_validate(item) for item in items if "unreadable" not in item},
            rows=[Transaction.model_validate(entry) for entry in entries if "unreadable" not in entry],
            unreadable=[entry["entity_id"] for entry in (*items, *entries) if "unreadable" in entry],
        )

    def orders(self) -> set[str]:
        """Return the orders whose records the comparison needs."""
        return {row.order_id for row in self.rows if row.order_id is not None}

    def refunds_without_order(self) -> set[str]:
        """Return the refunds whose rows do not name an order. The table knows refunds by their own ids too."""
        return {row.entity_id for row in self.rows if row.type == "refund" and row.order_id is None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A row of the report with what the comparison made of it."""

    row: Transaction
    record: Record | None
    listed_as: str
    """`payment` or `refund` for what was compared; `not_ours`, `dispute`, or the type for what is only listed."""
    differences: tuple[Difference, ...]
    fee_compared: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Total:
    """What one settlement consists of, in minor units. Debits are negative."""

    settlement_id: str | None
    utr: str | None
    rows: int
    payments: int
    refunds: int
    fees: int
    """Of payments and refunds, tax included."""
    tax: int
    """In those fees."""
    others: int
    """Transfers, adjustments and disputes."""
    net: int
    """Credits less debits; the sum of payments, refunds, fees and others."""
    paid: int | None
    """What Razorpay says that the bank received; None if its list has no such settlement."""

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return {name: getattr(self, name) for name in self.__slots__} | {"agrees": self.net == self.paid}


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The result for a day."""

    day: date
    lines: Sequence[Line]
    totals: Sequence[Total]
    differences: Sequence[Difference]
    """Of rows, in their order, then of settlements."""

    @property
    def agrees(self) -> bool:
        """Whether nothing differs."""
        return not self.differences

    def counts(self) -> dict[str, int]:
        """Return how many rows there are of each kind, and how many payments' fees the table could confirm."""
        listed = Counter(line.listed_as for line in self.lines)
        return {**dict(sorted(listed.items())), "fees_compared": sum(line.fee_compared for line in self.lines)}

    def listed(self) -> Iterator[Line]:
        """Yield the rows that are only listed: others' payments, disputes, adjustments and transfers."""
        return (line for line in self.lines if line.listed_as not in {"payment", "refund"})

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return {
            "day": self.day.isoformat(),
            "agrees": self.agrees,
            "counts": self.counts(),
            "totals": [total.to_json() for total in self.totals],
            "differences": [difference.to_json() for difference in self.differences],
            "listed": [
                {"listed_as": line.listed_as, **line.row.model_dump(include=_LISTED_FIELDS)} for line in self.listed()
            ],
        }


_LISTED_FIELDS: Final = {
    "entity_id",
    "amount",
    "currency",
    "credit",
    "debit",
    "settlement_id",
    "order_id",
    "dispute_id",
}


def compare(report: Report, records: Mapping[str, Record], refunds: Mapping[str, KnownRefund]) -> Comparison:
    """Compare a day's report with the table.

    Args:
        report: the report.
        records: the records of `Report.orders` and of the orders in `refunds`, by order id.
        refunds: what the table knows of `Report.refunds_without_order`, by refund id.
    """
    seen: Counter[str] = Counter()
    lines = []
    for row in report.rows:
        seen[row.entity_id] += 1
        lines.append(_line(report, row, records, refunds, is_repeated=seen[row.entity_id] > 1))
    totals = _totals(report)
    differences = [
        *(Difference(Kind.UNREADABLE, entity_id) for entity_id in report.unreadable),
        *(difference for line in lines for difference in line.differences),
        *_of_settlements(report, totals),
    ]
    return Comparison(day=report.day, lines=lines, totals=totals, differences=differences)


def major(minor: int, currency: str) -> str:
    """Return minor units as people write them: 49951 INR is `499.51`."""
    exponent = EXPONENT_BY_CURRENCY.get(currency, 0)
    return f"{Decimal(minor).scaleb(-exponent):.{exponent}f}"


COLUMNS: Final = (
    "day",
    "settlement_id",
    "utr",
    "settled_at",
    "type",
    "entity_id",
    "razorpay_payment_id",
    "order_id",
    "payment_id",
    "job_id",
    "application_id",
    "currency",
    "amount",
    "fee",
    "tax",
    "credit",
    "debit",
    "dispute_id",
    "differences",
)
"""Of the file for accounting: one line for each row of the report. Ids and sums; nothing that a customer typed."""


def accounting(comparison: Comparison) -> Iterator[dict[str, str]]:
    """Yield the lines of the file for accounting. Sums are in major units, times in UTC."""
    for line in comparison.lines:
        row, order = line.row, None if line.record is None else line.record.order
        sums = {name: major(getattr(row, name), row.currency) for name in ("amount", "fee", "tax")}
        moved = {name: major(getattr(row, name), SETTLED_IN) for name in ("credit", "debit")}
        values = {
            "day": comparison.day.isoformat(),
            "settlement_id": row.settlement_id,
            "utr": row.settlement_utr,
            "settled_at": None if row.settled_at is None else iso(row.settled_at),
            "type": line.listed_as,
            "entity_id": row.entity_id,
            "razorpay_payment_id": row.entity_id if row.type == "payment" else row.payment_id,
            "order_id": line.record.order_id if line.record is not None else row.order_id,
            "payment_id": None if order is None else order.payment_id,
            "job_id": None if order is None else order.job_id,
            "application_id": None if order is None else order.application_id,
            "currency": row.currency,
            **sums,
            **moved,
            "dispute_id": row.dispute_id,
            "differences": " ".join(difference.kind for difference in line.differences),
        }
        yield {name: "" if values[name] is None else str(values[name]) for name in COLUMNS}


# --- rows -----------------------------------------------------------------------------------------------------------


def _line(
    report: Report,
    row: Transaction,
    records: Mapping[str, Record],
    refunds: Mapping[str, KnownRefund],
    *,
    is_repeated: bool,
) -> Line:
    known = refunds.get(row.entity_id)
    order_id = row.order_id or (known.order_id if known is not None else None)
    record = records.get(order_id) if order_id is not None else None
    listed_as, found = row.type, list[Difference]()
    if row.type in {"payment", "refund"}:
        if _is_foreign(row, record, known):
            listed_as, record = NOT_OURS, None
        elif record is None or record.status is Status.UNKNOWN:
            found.append(Difference(Kind.UNKNOWN_ORDER, row.entity_id, reported=order_id))
        else:
            found += _payment(row, record) if row.type == "payment" else _refund(row, record)
    elif row.dispute_id is not None:
        listed_as = "dispute"
    found += _sums(row)
    found += _settling(report, row)
    if is_repeated:
        found.append(Difference(Kind.ROW_TWICE, row.entity_id))
    return Line(
        row=row,
        record=record,
        listed_as=listed_as,
        differences=tuple(found),
        fee_compared=_recorded_fee(row, record) is not None,
    )


def _is_foreign(row: Transaction, record: Record | None, known: KnownRefund | None) -> bool:
    """Return whether a payment or refund is another system's on the same Razorpay account."""
    if record is not None:
        return record.foreign
    if row.order_id is None and row.type == "payment":
        # Each of our payments is of an order. Payment links and buttons have none.
        return True
    if known is not None and known.order_id is None:
        return True
    return row.ours is False


def _payment(row: Transaction, record: Record) -> Iterator[Difference]:
    attempt = record.attempts.get(row.entity_id)
    if attempt is None:
        yield Difference(Kind.PAYMENT_UNKNOWN, row.entity_id, row.amount, currency=row.currency)
        return
    if not attempt.captured:
        yield Difference(Kind.NOT_CAPTURED, row.entity_id, row.amount, currency=row.currency)
        return
    if row.currency != attempt.currency:
        yield Difference(Kind.OTHER_CURRENCY, row.entity_id, row.currency, attempt.currency)
    if row.amount != attempt.amount_minor:
        yield Difference(Kind.OTHER_AMOUNT, row.entity_id, row.amount, attempt.amount_minor, row.currency)
    fee = _recorded_fee(row, record)
    if fee is not None and row.fee != fee:
        yield Difference(Kind.OTHER_FEE, row.entity_id, row.fee, fee, row.currency)


def _recorded_fee(row: Transaction, record: Record | None) -> int | None:
    attempt = None if record is None else record.attempts.get(row.entity_id)
    return None if attempt is None or not attempt.captured else attempt.fee_minor


def _refund(row: Transaction, record: Record) -> Iterator[Difference]:
    refund = record.refunds.get(row.entity_id)
    if refund is None:
        yield Difference(Kind.REFUND_UNKNOWN, row.entity_id, row.amount, currency=row.currency)
        return
    if row.payment_id is not None and row.payment_id != refund.payment_id:
        yield Difference(Kind.OTHER_PAYMENT, row.entity_id, row.payment_id, refund.payment_id)
    if refund.state is RefundState.FAILED:
        yield Difference(Kind.REFUND_FAILED, row.entity_id, row.amount, currency=row.currency)
    if row.amount != refund.amount_minor:
        yield Difference(Kind.OTHER_AMOUNT, row.entity_id, row.amount, refund.amount_minor, row.currency)
    attempt = record.attempts.get(refund.payment_id)
    if attempt is not None and attempt.currency is not None and row.currency != attempt.currency:
        yield Difference(Kind.OTHER_CURRENCY, row.entity_id, row.currency, attempt.currency)


def _sums(row: Transaction) -> Iterator[Difference]:
    """Yield what is wrong in the sums of a row by itself.

    The documented payment is credited with its amount less the fee, the documented transfer debited with its amount and
    the fee. Only rupees: other currencies are converted.
    """
    if row.tax > row.fee:
        tax, fee = (major(minor, row.currency) for minor in (row.tax, row.fee))
        yield Difference(Kind.SUMS_DISAGREE, row.entity_id, f"tax {tax}", f"fee {fee}", row.currency)
    if row.currency != SETTLED_IN:
        return
    is_debit = {"payment": False, "refund": True}.get(row.type, row.debit > 0)
    found = (row.credit, row.debit)
    expected = (0, row.amount + row.fee) if is_debit else (row.amount - row.fee, 0)
    if found != expected:
        yield Difference(Kind.SUMS_DISAGREE, row.entity_id, _moved(*found), _moved(*expected))


def _moved(credit: int, debit: int) -> str:
    sums = {"credit": credit, "debit": debit}
    return ", ".join(f"{name} {major(minor, SETTLED_IN)}" for name, minor in sums.items() if minor) or "nothing"


def _settling(report: Report, row: Transaction) -> Iterator[Difference]:
    """Yield what is wrong in how a row was settled. The documented adjustment has no UTR, so it needs none."""
    if not row.settled or row.on_hold:
        yield Difference(Kind.NOT_SETTLED, row.entity_id)
    settlement = report.settlements.get(row.settlement_id or "")
    if settlement is None:
        # A settlement that is unknown is named once, with its total; a row without any has nothing to be named with.
        if row.settlement_id is None and row.settled:
            yield Difference(Kind.SETTLEMENT_UNKNOWN, row.entity_id)
        return
    is_needed = row.type in {"payment", "refund"} or row.settlement_utr is not None
    if is_needed and (row.settlement_utr is None or row.settlement_utr != settlement.utr):
        yield Difference(Kind.OTHER_UTR, row.entity_id, row.settlement_utr, settlement.utr)


# --- settlements ----------------------------------------------------------------------------------------------------


def _totals(report: Report) -> list[Total]:
    rows_of = defaultdict[str | None, list[Transaction]](list)
    for row in report.rows:
        rows_of[row.settlement_id].append(row)
    return [_total(settlement_id, rows, report) for settlement_id, rows in rows_of.items()]


def _total(settlement_id: str | None, rows: Sequence[Transaction], report: Report) -> Total:
    settlement = report.settlements.get(settlement_id or "")

    payments, refunds = ([row for row in rows if row.type == kind] for kind in ("payment", "refund"))
    compared, net = payments + refunds, sum(row.credit - row.debit for row in rows)
    return Total(
        settlement_id=settlement_id,
        utr=next((row.settlement_utr for row in rows if row.settlement_utr), settlement.utr if settlement else None),
        rows=len(rows),
        payments=sum(row.amount for row in payments),
        refunds=-sum(row.amount for row in refunds),
        fees=-sum(row.fee for row in compared),
        tax=-sum(row.tax for row in compared),
        others=net - sum(row.credit - row.debit for row in compared),
        net=net,
        paid=None if settlement is None else settlement.amount,
    )


def _of_settlements(report: Report, totals: Iterable[Total]) -> Iterator[Difference]:
    named = set()
    for total in totals:
        if total.settlement_id is None:
            continue
        named.add(total.settlement_id)
        settlement = report.settlements.get(total.settlement_id)
        if settlement is None:
            yield Difference(Kind.SETTLEMENT_UNKNOWN, total.settlement_id, reported=total.net)
            continue
        if settlement.status != "processed":
            yield Difference(Kind.SETTLEMENT_NOT_PROCESSED, settlement.id, reported=settlement.status)
        if settlement.amount != total.net:
            yield Difference(Kind.SETTLEMENT_DIFFERS, settlement.id, settlement.amount, total.net)
    first, last = seconds_of(report.day)
    for settlement in report.settlements.values():
        is_of_day = first <= settlement.created_at <= last and settlement.status == "processed"
        if is_of_day and settlement.id not in named:
            yield Difference(Kind.SETTLEMENT_WITHOUT_ROWS, settlement.id, reported=settlement.amount)
