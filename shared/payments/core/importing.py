"""Import the payments of the Django service that this one replaces (`docs/migrating.md`).

A row of that service becomes a record by the same decision as everything else (`transitions`). Its status is not
copied: it is derived from what proves it.

| status of the row | what is recorded | status here |
| --- | --- | --- |
| `created` | nothing | `created` |
| `failed` | its payment failed, if it names one | `failed`, or `created` without a payment |
| `paid`, `refunded` | its checkout signature, if that is valid | `paid`, not confirmed |
| `paid`, `refunded` | otherwise that its payment is authorized: nothing is sold twice | `authorized` |

Razorpay's books then settle the record: the rebuild finds the capture and the refunds. Razorpay's API does not return
what is older than 180 days. Such a row stays as it was imported and is marked `unsettled`; one that was `refunded` is
`refunded` on that service's word.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, tzinfo
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final, Protocol, cast, get_args

from payments.core.errors import ContentionError, StorageConflict
from payments.core.instants import iso
from payments.core.model import (
    MAX_ID,
    OLD_PAID,
    ORDER_ID,
    PAYMENT_ID,
    Application,
    Authorized,
    Fact,
    Failed,
    Imported,
    OldStatus,
    Order,
    Record,
    Signed,
    Status,
)
from payments.core.money import EXPONENT_BY_CURRENCY, to_minor_units
from payments.core.outbox import MAX_ROUNDS
from payments.core.signature import checkout_signature_is_valid
from payments.core.sweeping import EARLIEST
from payments.core.transitions import take_over, unknown_record

API_SHOWS_S: Final = 180 * 24 * 60 * 60
"""How far back Razorpay's API goes (its error: "older than 180 days")."""
COLUMNS: Final = (
    *("id", "job_id", "application_id", "client_id", "freelancer_id", "amount", "currency"),
    *("razorpay_order_id", "razorpay_payment_id", "razorpay_signature", "status", "created_at"),
)
"""The columns of the Django model. A row has all of them; others are ignored."""

_STATUSES: Final = get_args(OldStatus)
_WHOLE: Final = re.compile(r"\A[0-9]{1,16}\Z")
_SIGNATURE: Final = re.compile(r"\A[0-9a-f]{64}\Z")
# Clocks differ, but not by more than this.
_CLOCKS_DIFFER_S: Final = 60 * 60


@dataclass(frozen=True, slots=True)
class Mistake:
    """Why a row cannot be imported. Neither part has a value of the row."""

    field: str
    message: str

    def __str__(self) -> str:
        return f"{self.field} {self.message}"


class InvalidRow(ValueError):
    """A row cannot be imported."""

    def __init__(self, mistakes: Iterable[Mistake]) -> None:
        self.mistakes = tuple(mistakes)
        super().__init__("; ".join(map(str, self.mistakes)))


@dataclass(frozen=True, slots=True, kw_only=True)
class OldPayment:
    """One row of the Django service, checked."""

    order_id: str
    order: Order
    status: OldStatus
    created_at: int
    """Epoch seconds."""
    payment: str | None
    """Razorpay's id of it; never None if the row was paid or refunded."""
    signature: str | None

    @property
    def was_paid(self) -> bool:
        """Return whether the old service told others that it was paid."""
        return self.status in OLD_PAID

    def is_proven(self, key_secrets: Iterable[str]) -> bool:
        """Return whether the stored signature fits its order and payment, with the key secret of today or before."""
        payment, signature = self.payment, self.signature
        if payment is None or signature is None:
            return False
        return any(
            checkout_signature_is_valid(
                order_id=self.order_id, payment_id=payment, signature=signature, key_secret=secret
            )
            for secret in key_secrets
        )

    def is_too_old(self, now: int) -> bool:
        """Return whether Razorpay's API no longer tells what became of it."""
        return self.was_paid and now - self.created_at >= API_SHOWS_S

    def facts(self, *, proven: bool) -> tuple[Fact, ...]:
        """Return what the row proves."""
        if self.payment is None or self.status == "created":
            return ()
        if self.status == "failed":
            # Without a time, so that nobody is told of an old failure.
            return (Failed(payment=self.payment),)
        return (Signed(payment=self.payment, at=self.created_at) if proven else Authorized(payment=self.payment),)


# --- reading a row --------------------------------------------------------------------------------------------------


def read_row(row: Mapping[str, object], now: int, zone: tzinfo | None = None) -> OldPayment:
    """Check one row and return what it says.

    Args:
        row: values by column, as text or as JSON parsed with Decimal. An empty text is no value.
        now: epoch seconds.
        zone: of times that have no UTC offset; None refuses them.

    Raises:
        InvalidRow: with every mistake in it.
    """
    reading = _Reading({name: None if value == "" else value for name, value in row.items()})
    payment_id, *parties = (reading.take(name, _id) for name in COLUMNS[:5])
    currency = reading.take("currency", _currency)
    amount = reading.take("amount", lambda value: _amount(value, currency or "INR"))
    order_id = reading.take("razorpay_order_id", lambda value: _form(value, ORDER_ID, "a Razorpay order id"))
    status = reading.take("status", _status)
    was_paid = status in OLD_PAID
    payment = reading.take(
        "razorpay_payment_id",
        lambda value: _form(value, PAYMENT_ID, "a Razorpay payment id"),
        default=None if was_paid else "",
    )
    # A row that is not paid may have kept whatever a browser sent.
    signature = reading.take("razorpay_signature", _signature, default="") if was_paid else None
    created_at = reading.take("created_at", lambda value: _instant(value, now, zone))
    reading.finish()
    agreed = cast("Any", dict(zip(COLUMNS[1:5], parties, strict=True)))
    order = Order(payment_id=payment_id, amount_minor=amount, currency=currency, receipt="", **agreed)
    return OldPayment(
        order_id=cast("str", order_id),
        order=order,
        status=cast("OldStatus", status),
        created_at=cast("int", created_at),
        payment=payment or None,
        signature=signature or None,
    )


class _Reading:
    """Takes values from a row and collects what is wrong with them."""

    def __init__(self, row: Mapping[str, object]) -> None:
        self._row = row
        self._mistakes: list[Mistake] = []

    def take[T](self, name: str, read: "Any", default: T | None = None) -> Any:  # noqa: ANN401 - the field's type
        """Return a field's value; the default if it has none."""
        value = self._row.get(name)
        if value is None and default is not None:
            return default
        try:
            if name not in self._row:
                raise ValueError("is missing: export every column of the model")  # noqa: TRY301 - one place collects them
            if value is None:
                raise ValueError("is empty")  # noqa: TRY301 - as above
            return read(value)
        except ValueError as error:
            self._mistakes.append(Mistake(name, str(error)))
            return None

    def finish(self) -> None:
        if self._mistakes:
            raise InvalidRow(self._mistakes)


def _id(value: object) -> int:
    number = int(value) if isinstance(value, str) and _WHOLE.match(value) else value
    if type(number) is not int or not 1 <= number <= MAX_ID:
        raise ValueError(f"must be a whole number from 1 to {MAX_ID}")
    return number


def _currency(value: object) -> str:
    if not isinstance(value, str) or value not in EXPONENT_BY_CURRENCY:
        raise ValueError("must be a currency code that Razorpay supports, such as INR")
    return value


def _amount(value: object, currency: str) -> int:
    # A Decimal column has two decimals, in a currency without any too.
    if isinstance(value, str) and re.fullmatch(r"[0-9]+\.[0-9]+", value):
        value = value.rstrip("0").removesuffix(".")
    if isinstance(value, Decimal):
        value = format(value.normalize(), "f")
    return to_minor_units(value, currency)


def _form(value: object, form: re.Pattern[str], what: str) -> str:
    if not isinstance(value, str) or not form.match(value):
        raise ValueError(f"must be {what}")
    return value


def _status(value: object) -> str:
    if value not in _STATUSES:
        raise ValueError(f"must be {', '.join(_STATUSES[:-1])} or {_STATUSES[-1]}")
    return str(value)


def _signature(value: object) -> str:
    return _form(value, _SIGNATURE, "64 lower-case hexadecimal digits, or empty")


def _instant(value: object, now: int, zone: tzinfo | None) -> int:
    try:
        if not isinstance(value, str):
            raise TypeError  # noqa: TRY301 - the same message
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise ValueError("must be an ISO 8601 time such as 2026-03-01T09:30:00Z") from None
    if moment.tzinfo is None:
        if zone is None:
            raise ValueError("has no UTC offset: name the database's time zone")
        moment = moment.replace(tzinfo=zone)
    seconds = int(moment.timestamp())
    if not EARLIEST <= seconds <= now + _CLOCKS_DIFFER_S:
        raise ValueError("lies in the future, or before 2000")
    return seconds


# --- from a row to a record -----------------------------------------------------------------------------------------


class Result(StrEnum):
    """What importing a row does to the table."""

    NEW = "new"
    """The order had no record."""
    IDENTIFIED = "identified"
    """Razorpay had reported the order before, and it was not known to be ours."""
    ADVANCED = "advanced"
    """The row was imported before, and has advanced since: it was paid, for example."""
    UNCHANGED = "unchanged"
    CONTRADICTS = "contradicts"
    """The record says something else. It is never overwritten."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """What importing a row does, or did."""

    result: Result
    record: Record
    """As it is afterwards."""
    differs: tuple[str, ...] = ()
    """The columns in which a row contradicts the record."""


def import_row(stored: Record | None, old: OldPayment, exported_at: int, now: int, *, proven: bool) -> Import:
    """Decide what becomes of an order's record with a row of the old service.

    Args:
        stored: the record as read; None if there is none.
        old: the row.
        exported_at: when the rows were exported, epoch seconds.
        now: epoch seconds.
        proven: whether its signature is valid (`OldPayment.is_proven`).
    """
    if stored is not None and stored.order is not None:
        differs = _contradictions(stored, old)
        if differs:
            return Import(result=Result.CONTRADICTS, record=stored, differs=differs)
        if not _advances(stored, old, proven=proven):
            return Import(result=Result.UNCHANGED, record=stored)
        result = Result.ADVANCED
    else:
        result = Result.NEW if stored is None else Result.IDENTIFIED
    decision = take_over(
        stored or unknown_record(old.order_id, now),
        old.order,
        Imported(status=old.status, at=exported_at),
        old.facts(proven=proven),
        now,
        created_at=old.created_at,
        unsettled=old.is_too_old(now),
    )
    return Import(result=result, record=decision.record)


def _contradictions(stored: Record, old: OldPayment) -> tuple[str, ...]:
    agreed = stored.agreed()
    columns = {"id": "payment_id", "amount": "amount_minor"}
    differs = [
        column
        for column in COLUMNS[:7]
        if getattr(agreed, columns.get(column, column)) != getattr(old.order, columns.get(column, column))
    ]
    if stored.created_at != iso(old.created_at):
        differs.append("created_at")
    if stored.imported is None:
        return (*differs, "razorpay_order_id")
    if old.was_paid and stored.imported.was_paid and old.payment not in stored.attempts:
        differs.append("razorpay_payment_id")
    if _STATUSES.index(old.status) < _rank(stored.imported):
        differs.append("status")
    return tuple(differs)


def _rank(imported: Imported) -> int:
    return _STATUSES.index(imported.status) if imported.status in _STATUSES else len(_STATUSES)


def _advances(stored: Record, old: OldPayment, *, proven: bool) -> bool:
    """Return whether the row says more than the record. Once Razorpay confirmed a payment, no row does."""
    if stored.confirmed or stored.imported is None:
        return False
    if _STATUSES.index(old.status) > _rank(stored.imported):
        return True
    attempt = stored.attempts.get(old.payment or "")
    return old.was_paid and proven and attempt is not None and attempt.signed_at is None


# --- storing it -----------------------------------------------------------------------------------------------------


class ImportStore(Protocol):
    """The part of the payments table that an import uses."""

    def read(self, order_id: str) -> Record | None:
        """Return the current record (strongly consistent), or None."""
        ...

    def read_many(self, order_ids: Iterable[str]) -> Mapping[str, Record]:
        """Return records by order id. Ids without a record are left out."""
        ...

    def insert(self, record: Record) -> None:
        """Store a new record; raise StorageConflict if it exists."""
        ...

    def save(self, before: Record, after: Record) -> None:
        """Replace `before` with `after`; raise StorageConflict if the stored version is no longer that of `before`."""
        ...

    def application(self, client_id: int, application_id: int) -> Application | None:
        """Return the orders of this client's application (strongly consistent), or None."""
        ...

    def open_application(self, client_id: int, application_id: int, order_id: str) -> None:
        """Store an application with its first order; raise StorageConflict if it exists."""
        ...

    def insert_first_orders(self, records: Sequence[Record]) -> None:
        """Store up to 50 new records with their new applications atomically, or raise StorageConflict."""
        ...

    def extend_application(self, seen: Application, order_id: str, *, current: str | None = None) -> None:
        """Add an order to an application; raise StorageConflict if the application changed meanwhile."""
        ...


MOST_FIRST_ORDERS: Final = 50
"""How many rows `store_first_orders` takes: each is two of the hundred items of a transaction."""


def store_first_orders(
    table: ImportStore, rows: Sequence[tuple[OldPayment, bool]], exported_at: int, now: int
) -> list[Import]:
    """Import rows whose orders and applications are new, all in one write: six times as fast as one by one.

    Args:
        table: the payments table.
        rows: each with whether its signature is valid.
        exported_at: when the rows were exported, epoch seconds.
        now: epoch seconds.

    Raises:
        StorageConflict: one of them is not new after all, and nothing was written.
        TableUnavailable: try again.
    """
    imports = [import_row(None, old, exported_at, now, proven=proven) for old, proven in rows]
    table.insert_first_orders([done.record for done in imports])
    return imports


def store_row(  # noqa: PLR0913 - as `import_row`, plus the table
    table: ImportStore, stored: Record | None, old: OldPayment, exported_at: int, now: int, *, proven: bool
) -> Import:
    """Import a row. A crash after any step leaves nothing that importing it again would not complete.

    Args:
        table: the payments table.
        stored: the record as read a moment ago; None if there was none.
        old: the row.
        exported_at: when the rows were exported, epoch seconds.
        now: epoch seconds.
        proven: whether its signature is valid.

    Raises:
        TableUnavailable, ContentionError: try again.
    """
    for _ in range(MAX_ROUNDS):
        done = import_row(stored, old, exported_at, now, proven=proven)
        if done.result in {Result.UNCHANGED, Result.CONTRADICTS}:
            return done
        with suppress(StorageConflict):
            # The record comes last: where there is one, the application has its order.
            _join_application(table, old, done.record)
            if stored is None:
                table.insert(done.record)
            else:
                table.save(stored, done.record)
            return done
        # A lost response makes our own write look like someone else's. What is stored decides.
        stored = table.read(old.order_id)
    raise ContentionError(f"The record changed {MAX_ROUNDS} times while it was imported.")


def _join_application(table: ImportStore, old: OldPayment, record: Record) -> None:
    application = table.application(old.order.client_id, old.order.application_id)
    if application is None:
        table.open_application(old.order.client_id, old.order.application_id, old.order_id)
    elif old.order_id not in application.orders:
        current = table.read(application.current)
        is_better = current is not None and current.imported is not None and _precedence(record) > _precedence(current)
        table.extend_application(application, old.order_id, current=old.order_id if is_better else None)


def _precedence(record: Record) -> tuple[bool, int]:
    """Rank an application's imported orders: what is paid, then the newest, which a client may have open."""
    return record.status in {Status.PAID, Status.AUTHORIZED}, record.agreed().payment_id
