"""Razorpay's settlement report ("Fetch settlement recon details"): whose day it is, and which fields leave the service.

Rows have descriptions, notes and card details, and those of other systems on the account too. The fields named here are
ids, sums and times; no other field leaves the function.
"""

import re
from collections.abc import Mapping
from copy import replace
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field, ValidationError

from payments.core.entities import MinorUnits, Number, Text, Word
from payments.core.listing import Origin
from payments.core.model import Model

IST: Final = timezone(timedelta(hours=5, minutes=30))
"""A day of the report is a day in India. The report's page names no time zone."""
EARLIEST_DAY: Final = date(2000, 1, 1)
"""Razorpay's lists accept no earlier time."""
MOST_ROWS: Final = 1_000_000
"""More rows than a day can have: a larger `skip` is a mistake."""
LOOKBACK_S: Final = 7 * 24 * 60 * 60
"""How long before its day a settlement may have been created. A bank holiday can be in between."""

ReportList = Literal["settlements", "transactions"]
"""What the report of a day consists of, in the order in which it is read."""

_DAY: Final = re.compile(r"\A[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")
_ID: Final = re.compile(r"\A[a-z]{2,12}_[A-Za-z0-9]{14}\Z")
_UTR: Final = re.compile(r"\A[A-Za-z0-9]{1,40}\Z")


def _id(value: object) -> str | None:
    return value if isinstance(value, str) and _ID.match(value) else None


def _utr(value: object) -> str | None:
    return value if isinstance(value, str) and _UTR.match(value) else None


Id = Annotated[str | None, BeforeValidator(_id)]
"""An id in Razorpay's form; anything else is dropped."""
Utr = Annotated[str | None, BeforeValidator(_utr)]
"""A bank's reference number of a transfer; anything else is dropped."""


class Settlement(Model):
    """A transfer to our bank ("Settlements entity")."""

    id: Annotated[str, Field(pattern=r"^setl_[A-Za-z0-9]{14}$")]
    amount: MinorUnits
    """What the bank receives."""
    status: Word = None
    """`created`, `processed` or `failed`."""
    utr: Utr = None
    created_at: MinorUnits


class Transaction(Model):
    """A row of the report: a payment, a refund, a transfer or an adjustment that was settled."""

    entity_id: Annotated[str, Field(pattern=r"^[a-z]{2,12}_[A-Za-z0-9]{14}$")]
    type: Annotated[str, Field(strict=True, pattern=r"^[a-z_]{1,32}$")]
    debit: MinorUnits
    credit: MinorUnits
    amount: MinorUnits
    currency: Annotated[str, Field(strict=True, pattern=r"^[A-Z]{3}$")]
    fee: MinorUnits
    """Razorpay's fee, tax included."""
    tax: MinorUnits
    on_hold: bool = False
    settled: bool
    created_at: Number = None
    settled_at: Number = None
    settlement_id: Id = None
    settlement_utr: Utr = None
    payment_id: Id = None
    """The payment that a refund or a transfer is about; None for a payment itself."""
    order_id: Id = None
    method: Word = None
    dispute_id: Id = None
    ours: bool | None = None
    """Whether the order's receipt begins as ours do; None if it has none, or we have nothing to compare it with. Not
    Razorpay's: `shown_transaction` sets it."""


class _Receipt(Model):
    order_receipt: Text | None = None


def report_day(text: object, now: int) -> date:
    """Parse a past day in India, such as `2026-03-01`. The report of the present day is not complete yet.

    Args:
        text: as the caller wrote it.
        now: the current time, epoch seconds.

    Raises:
        ValueError: it is no day, or not a past one; the message may be shown to the caller.
    """
    if not isinstance(text, str) or not _DAY.match(text):
        raise ValueError("the day is written as YYYY-MM-DD")
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise ValueError("there is no such day in the calendar") from None
    today = datetime.fromtimestamp(now, IST).date()
    if not EARLIEST_DAY <= day < today:
        raise ValueError(f"the day is from {EARLIEST_DAY} to yesterday in India, {today - timedelta(days=1)}")
    return day


def seconds_of(day: date) -> tuple[int, int]:
    """Return the first and the last second of a day in India, epoch seconds."""
    first = datetime(day.year, day.month, day.day, tzinfo=IST).astimezone(UTC)
    begin = int(first.timestamp())
    return begin, begin + 24 * 60 * 60 - 1


def shown_settlement(item: Mapping[str, Any]) -> dict[str, Any]:
    """Return what leaves the service of an item in the list of settlements."""
    try:
        return Settlement.model_validate(item).model_dump()
    except ValidationError:
        return _unreadable(item.get("id"))


def shown_transaction(item: Mapping[str, Any], origin: Origin) -> dict[str, Any]:
    """Return what leaves the service of a row of the report.

    The order's receipt stays here, since another system may have written anything into it.

    Args:
        item: as parsed from JSON.
        origin: who we are; receipts begin with it.
    """
    try:
        row = Transaction.model_validate({**item, "ours": None})
        receipt = _Receipt.model_validate(item).order_receipt
    except ValidationError:
        return _unreadable(item.get("entity_id"))
    ours = None
    if receipt is not None and origin.installation is not None:
        ours = receipt.startswith(f"{origin.stage}-{origin.installation}-")
    return replace(row, ours=ours).model_dump()


def _unreadable(identity: object) -> dict[str, Any]:
    """Return what is said of an entry that Razorpay does not document, so that it is not overlooked."""
    return {"unreadable": True, "entity_id": _id(identity)}
