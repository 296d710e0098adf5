"""The API's input: request bodies and queries, validated in the order in which Razorpay complains.

Stricter than the gateway in one point: numbers must be JSON integers. The gateway also accepts strings of digits, but a
client that sends them has a mistake to find.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypedDict

from sandbox.gateway import refusals

MINIMUM_INR: Final = 100
"""INR 1.00 in paise: the minimum amount of a payment or refund (api/orders/create.md)."""
MAXIMUM_RECEIPT: Final = 40
MAXIMUM_NOTES: Final = 15
MAXIMUM_NOTE: Final = 256
MAXIMUM_COUNT: Final = 100
MAXIMUM_ROWS: Final = 1000
"""The largest `count` of the settlement report (api/settlements/fetch-recon.md)."""
DEFAULT_COUNT: Final = 10
MAXIMUM_DIGITS: Final = 18
"""For a number in a query: a 64-bit integer has no more."""
EXPIRY_MINUTES: Final = range(12, 7201)
"""The values that capture_options accepts (payments/payments/capture-settings/api.md)."""

_WITHOUT_DECIMALS: Final = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF"
_WITH_TWO: Final = (
    "AED ALL AMD AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BRL BSD BTN BWP BZD CAD CHF CNY COP CRC CUP CVE CZK DKK DOP "
    "DZD EGP ETB EUR FJD GBP GHS GIP GMD GTQ GYD HKD HNL HRK HTG HUF IDR ILS INR JMD KES KGS KHR KYD KZT LAK LKR LRD "
    "LSL MAD MDL MGA MKD MMK MNT MOP MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD PEN PGK PHP PKR PLN QAR RON RSD "
    "RUB SAR SCR SEK SGD SLL SOS SVC SZL THB TRY TTD TWD TZS UAH USD UYU UZS XCD YER ZAR ZMW"
)
_WITH_THREE: Final = "BHD IQD JOD KWD OMR TND"
EXPONENTS: Final = {
    currency: exponent
    for exponent, currencies in ((0, _WITHOUT_DECIMALS), (2, _WITH_TWO), (3, _WITH_THREE))
    for currency in currencies.split()
}
"""The number of decimals of each supported currency (payments/international-payments.md)."""

EARLIEST: Final = 946684800
LATEST: Final = 4765046400
"""The limits of `from` and `to` of a list, in Unix seconds (api/payments/fetch-all-payments.md)."""

_ORDER_FIELDS: Final = frozenset(
    {"amount", "currency", "receipt", "unique_receipt", "notes", "payment", "payment_capture"}
)
_LIST_FIELDS: Final = frozenset({"from", "to", "count", "skip"})


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """POST /v1/orders. Amount in minor units."""

    amount: int
    currency: str
    receipt: str | None
    notes: dict[str, str]
    captures_automatically: bool
    unique_receipt: bool = False
    """A retried creation, to be answered with the order that already has this receipt."""


@dataclass(frozen=True, slots=True)
class CaptureRequest:
    """POST /v1/payments/{id}/capture. Amount in minor units."""

    amount: int
    currency: str


@dataclass(frozen=True, slots=True)
class RefundRequest:
    """POST /v1/payments/{id}/refund. Amount in minor units; None for everything that is left."""

    amount: int | None
    speed: str
    notes: dict[str, str]
    receipt: str | None


@dataclass(frozen=True, slots=True)
class ListQuery:
    """A page of a list. Creation times, both inclusive, in Unix seconds."""

    earliest: int | None = None
    latest: int | None = None
    count: int = DEFAULT_COUNT
    skip: int = 0


@dataclass(frozen=True, slots=True)
class OrderQuery(ListQuery):
    """GET /v1/orders."""

    receipt: str | None = None
    authorized: bool | None = None
    expands_payments: bool = False


@dataclass(frozen=True, slots=True)
class ReportQuery:
    """GET /v1/settlements/recon/combined: a page of the rows of a day, or of a month."""

    year: int
    month: int
    day: int | None
    count: int
    skip: int


@dataclass(frozen=True, slots=True)
class AdjustmentRequest:
    """A correction in a settlement. Positive amounts are credits, in paise."""

    amount: int
    description: str | None = None
    dispute_id: str | None = None


def json_object(body: bytes) -> dict[str, Any]:
    """Parse the request's JSON object; an empty body is an empty object."""
    if not body.strip():
        return {}
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise refusals.unreadable_body() from error
    if not isinstance(document, dict):
        raise refusals.unreadable_body()
    return document


def order(document: dict[str, Any]) -> OrderRequest:
    """Parse the requested order. Partial payments are not modelled: their fields are refused like unknown ones."""
    _only(document, _ORDER_FIELDS)
    currency = _currency(document)
    return OrderRequest(
        amount=_amount(document, currency),
        currency=currency,
        receipt=_receipt(document),
        notes=notes(document),
        captures_automatically=_captures_automatically(document),
        unique_receipt=_unique_receipt(document),
    )


def capture(document: dict[str, Any]) -> CaptureRequest:
    """Parse the requested capture; both fields are required."""
    _only(document, {"amount", "currency"})
    return CaptureRequest(amount=_integer(document, "amount"), currency=_currency(document))


def refund(document: dict[str, Any], currency: str) -> RefundRequest:
    """Parse the requested refund.

    Args:
        document: the request's JSON.
        currency: the payment's currency, whose minimum applies.
    """
    _only(document, {"amount", "speed", "notes", "receipt"})
    speed = document.get("speed", "normal")
    if speed not in {"normal", "optimum"}:
        raise refusals.invalid("speed", "The selected speed is invalid.")
    # The SDK's `refund(id, None)` sends null for "all of it".
    amount = None if document.get("amount") is None else _amount(document, currency)
    return RefundRequest(amount=amount, speed=speed, notes=notes(document), receipt=_receipt(document))


def list_query(query: Mapping[str, str]) -> ListQuery:
    """Parse which page of a list to return."""
    _only(query, _LIST_FIELDS)
    return ListQuery(**_page(query))


def dispute_query(query: Mapping[str, str]) -> ListQuery:
    """Parse which page of the disputes to return. Their page documents no period (api/disputes/fetch-all.md)."""
    _only(query, frozenset({"count", "skip"}))
    return ListQuery(**_page(query))


def report_query(query: Mapping[str, str]) -> ReportQuery:
    """Parse which page of the settlement report to return; the wordings are those of its page's errors.

    The docs give no default for `count`; it is that of the lists.
    """
    _only(query, {"year", "month", "day", "count", "skip"})
    year, month, day = (query.get(name) for name in ("year", "month", "day"))
    for name, given in (("year", year), ("month", month)):
        if given is None:
            raise refusals.missing(name)
    if not _is_number(year, digits={4}):
        raise refusals.invalid("year", "The year must be 4 digits.")
    if not _is_number(month, digits={1, 2}) or int(month or 0) not in range(1, 13):
        raise refusals.invalid("month", "The month is not a valid month.")
    if day is not None and (not _is_number(day, digits={1, 2}) or int(day) not in range(1, 32)):
        raise refusals.invalid("day", "The day must be between 1 and 2 digits.")
    return ReportQuery(
        year=int(year or 0),
        month=int(month or 0),
        day=None if day is None else int(day),
        count=_count(query, MAXIMUM_ROWS),
        skip=_number(query, "skip") or 0,
    )


def order_query(query: Mapping[str, str]) -> OrderQuery:
    """Parse which orders to list."""
    _only(query, _LIST_FIELDS | {"receipt", "authorized", "expand[]"})
    authorized = query.get("authorized")
    if authorized not in {None, "0", "1"}:
        raise refusals.invalid("authorized", "The selected authorized is invalid.")
    expand = query.get("expand[]")
    if expand not in {None, "payments"}:
        raise refusals.invalid("expand", f"The expand field {expand} is not supported.")
    return OrderQuery(
        **_page(query),
        receipt=query.get("receipt"),
        authorized=None if authorized is None else authorized == "1",
        expands_payments=expand == "payments",
    )


def notes(document: dict[str, Any]) -> dict[str, str]:
    """Parse the `notes`: up to 15 pairs of up to 256 characters. Numbers and booleans become text, as at Razorpay."""
    given = document.get("notes")
    if given is None or given == []:
        return {}
    if not isinstance(given, dict):
        raise refusals.invalid("notes", "The notes must be an array.")
    if len(given) > MAXIMUM_NOTES:
        raise refusals.invalid(
            "notes", f"The number of fields in notes should be less than or equal to {MAXIMUM_NOTES}"
        )
    kept: dict[str, str] = {}
    for key, note in given.items():
        if isinstance(note, dict | list):
            raise refusals.invalid("notes", "Notes values themselves should not be an array")
        text = note if isinstance(note, str) else json.dumps(note)
        if max(len(key), len(text)) > MAXIMUM_NOTE:
            raise refusals.invalid("notes", f"Notes key and value length should not exceed {MAXIMUM_NOTE} characters")
        kept[key] = text
    return kept


class _Page(TypedDict):
    earliest: int | None
    latest: int | None
    count: int
    skip: int


def _page(query: Mapping[str, str]) -> _Page:
    return {
        "earliest": _moment(query, "from"),
        "latest": _moment(query, "to"),
        "count": _count(query, MAXIMUM_COUNT),
        "skip": _number(query, "skip") or 0,
    }


def _count(query: Mapping[str, str], most: int) -> int:
    count = _number(query, "count")
    if count is not None and count < 1:
        raise refusals.invalid("count", "The count must be at least 1.")  # api/settlements/fetch-all.md
    if count is not None and count > most:
        # api/x/account-validation/balance-fetch.md; the pages of these lists give the limit without a wording
        raise refusals.invalid("count", f"The count may not be greater than {most}.")
    return DEFAULT_COUNT if count is None else count


def _moment(query: Mapping[str, str], name: str) -> int | None:
    moment = _number(query, name)
    if moment is not None and not EARLIEST <= moment <= LATEST:
        raise refusals.invalid(name, f"{name} must be between {EARLIEST} and {LATEST}")
    return moment


def _only(given: Mapping[str, Any], known: frozenset[str] | set[str]) -> None:
    if extra := [name for name in given if name not in known]:
        raise refusals.unexpected_fields(extra)


def _integer(document: dict[str, Any], name: str) -> int:
    if (given := document.get(name)) is None:
        raise refusals.missing(name)
    if not isinstance(given, int) or isinstance(given, bool):
        raise refusals.invalid(name, f"The {name} must be an integer.")
    return given


def _amount(document: dict[str, Any], currency: str) -> int:
    amount = _integer(document, "amount")
    if currency == "INR" and amount < MINIMUM_INR:
        raise refusals.invalid("amount", "The amount must be at least INR 1.00")
    if amount < 1:
        raise refusals.invalid("amount", "The amount must be at least 1.")
    # Card networks settle two of the three decimals (api/orders/create.md).
    if EXPONENTS[currency] > 2 and amount % 10:  # noqa: PLR2004 - two decimals
        raise refusals.invalid("amount", f"The last digit of an amount in {currency} must be 0.")
    return amount


def _currency(document: dict[str, Any]) -> str:
    if (given := document.get("currency")) is None:
        raise refusals.missing("currency")
    if not isinstance(given, str) or given not in EXPONENTS:
        raise refusals.invalid("currency", "Currency is not supported")
    return given


def _receipt(document: dict[str, Any]) -> str | None:
    given = document.get("receipt")
    if given is None:
        return None
    if not isinstance(given, str):
        raise refusals.invalid("receipt", "The receipt must be a string.")
    if len(given) > MAXIMUM_RECEIPT:
        raise refusals.invalid("receipt", f"The receipt may not be greater than {MAXIMUM_RECEIPT} characters.")
    return given


def _unique_receipt(document: dict[str, Any]) -> bool:
    given = document.get("unique_receipt", False)
    if not isinstance(given, bool):
        raise refusals.invalid("unique_receipt", "The unique receipt field must be true or false.")
    return given


def _captures_automatically(document: dict[str, Any]) -> bool:
    """Return the order's capture setting, new form or legacy; manual, the accounts' default, if neither is given."""
    if (legacy := document.get("payment_capture")) is not None and legacy not in (0, 1):
        raise refusals.invalid("payment_capture", "The payment capture field must be true or false.")
    payment = document.get("payment")
    if payment is None:
        return bool(legacy)
    if not isinstance(payment, dict):
        raise refusals.invalid("payment", "The payment must be an array.")
    _only(payment, {"capture", "capture_options"})
    if payment.get("capture") not in {"automatic", "manual"}:
        raise refusals.invalid("capture", "The selected payment.capture is invalid.")
    _check_capture_options(payment.get("capture_options"))
    return bool(payment["capture"] == "automatic")


def _check_capture_options(options: object) -> None:
    if options is None:
        return
    if not isinstance(options, dict):
        raise refusals.invalid("capture_options", "The capture options must be an array.")
    _only(options, {"automatic_expiry_period", "manual_expiry_period", "refund_speed"})
    for name in ("automatic_expiry_period", "manual_expiry_period"):
        if options.get(name) is not None and _integer(options, name) not in EXPIRY_MINUTES:
            raise refusals.invalid(name, f"The {name} must be between 12 and 7200 minutes.")
    if options.get("refund_speed") not in {None, "normal", "optimum"}:
        raise refusals.invalid("refund_speed", "The selected refund speed is invalid.")


def _is_number(given: str | None, *, digits: set[int]) -> bool:
    return given is not None and given.isascii() and given.isdecimal() and len(given) in digits


def _number(query: Mapping[str, str], name: str) -> int | None:
    given = query.get(name)
    if given is None:
        return None
    if not (given.isascii() and given.isdecimal() and len(given) <= MAXIMUM_DIGITS):
        raise refusals.invalid(name, f"The {name} must be an integer.")
    return int(given)
