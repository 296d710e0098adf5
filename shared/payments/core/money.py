"""Convert amounts from the major units that people write (rupees) to integer minor units (paise)."""

import re
from decimal import Decimal

from payments.core.errors import kind_of

# Razorpay's supported currencies by the number of decimals of their minor unit ("Accept international payments",
# table of supported currencies). HUF, IDR and TWD have two here, unlike at some other gateways.
_EXPONENTS: dict[int, str] = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF",
    2: "AED ALL AMD AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BRL BSD BTN BWP BZD CAD CHF CNY COP CRC CUP CVE "
    "CZK DKK DOP DZD EGP ETB EUR FJD GBP GHS GIP GMD GTQ GYD HKD HNL HRK HTG HUF IDR ILS INR JMD KES KGS "
    "KHR KYD KZT LAK LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR "
    "NZD PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SCR SEK SGD SLL SOS SVC SZL THB TRY TTD TWD TZS UAH USD "
    "UYU UZS XCD YER ZAR ZMW",
    3: "BHD IQD JOD KWD OMR TND",
}
EXPONENT_BY_CURRENCY: dict[str, int] = {
    code: exponent for exponent, codes in _EXPONENTS.items() for code in codes.split()
}

# One rupee is Razorpay's minimum for an order. Its maximum is not documented and depends on the account; ours only
# keeps out typing errors, and integers larger than consumers expect.
MIN_MAJOR = Decimal(1)
MAX_MAJOR = Decimal("99999999.99")

_DECIMAL_FORM = r"[0-9]{1,16}(\.[0-9]{1,4})?"
_DECIMAL = re.compile(rf"\A{_DECIMAL_FORM}\Z")
DECIMAL_PATTERN = f"^{_DECIMAL_FORM}$"
"""The JSON Schema pattern of an amount that is sent as a string."""
_NO_DECIMAL_STRING = "must be a decimal string such as 499.50, with at most 16 digits before the point and 4 after it"


def to_minor_units(amount: object, currency: str, *, most: Decimal = MAX_MAJOR) -> int:
    """Convert an amount in major units, as a client sent it, to integer minor units: `499.5` INR is 49950.

    Args:
        amount: an int, a Decimal (a JSON number is parsed into one, never into a float) or a decimal string.
        currency: an ISO 4217 code that Razorpay supports.
        most: the largest amount, in major units.

    Raises:
        ValueError: the amount is not valid; the message may be shown to the caller.
    """
    exponent = EXPONENT_BY_CURRENCY[currency]
    value = _parse(amount)
    written = value.as_tuple().exponent
    if not isinstance(written, int) or -written > exponent:
        raise ValueError(f"must have at most {exponent} decimals in {currency}")
    if not MIN_MAJOR <= value <= most:
        raise ValueError(f"must be from {MIN_MAJOR}.00 to {most}")
    minor = int(value.scaleb(exponent))
    # Razorpay refuses, or rounds, a last digit other than 0 in three-decimal currencies; its pages disagree on which.
    if exponent == 3 and minor % 10:  # noqa: PLR2004 - the number of decimals, as in the table above
        raise ValueError(f"must end in 0 at the third decimal in {currency}")
    return minor


def parse_major(amount: object) -> Decimal:
    """Parse an amount in major units whose currency is not known yet.

    Raises:
        ValueError: no currency has such an amount; the message may be shown to the caller.
    """
    value = _parse(amount)
    if not MIN_MAJOR <= value <= MAX_MAJOR:
        raise ValueError(f"must be from {MIN_MAJOR}.00 to {MAX_MAJOR}")
    return value


def _parse(amount: object) -> Decimal:
    if isinstance(amount, str):
        if not _DECIMAL.match(amount):
            raise ValueError(_NO_DECIMAL_STRING)
        return Decimal(amount)
    if isinstance(amount, int | Decimal) and not isinstance(amount, bool):
        return Decimal(amount)
    raise ValueError(f"must be a number or a decimal string, not {kind_of(amount)}")
