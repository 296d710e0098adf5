"""The platform's quotes: a signed price for one order. `adapters.tokens` checks the signature, this module the claims.

A browser that sends the price could send another one. A quote is the price from the platform itself, so an order with
a valid quote is for exactly what the platform offered to this client.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from payments.core.errors import QuoteRefused
from payments.core.identity import CLOCK_LEEWAY_S, QUOTE_AUDIENCE
from payments.core.model import MAX_ID, Order
from payments.core.money import to_minor_units

MAX_LIFETIME_S: Final = 15 * 60
"""Long enough to read a page and click, too short for an old price to come back."""
_NOT_VALID: Final = "is not a valid quote: ask the platform for a new one"
_EXPIRED: Final = "has expired: ask the platform for a new one"


def invalid_quote(why: str) -> QuoteRefused:
    """Return the error for what is no valid quote; `why` goes to the log only."""
    return QuoteRefused(_NOT_VALID, why)


def check_quote(claims: Mapping[str, Any], offer: Order, now: int) -> None:
    """Check that a quote is in force and says exactly what the order says.

    Args:
        claims: of a quote whose signature is valid.
        offer: what the client asks for.
        now: epoch seconds.

    Raises:
        QuoteRefused: it is another kind of token, is not in force, or is for another order.
    """
    # Access tokens may be signed with the same key pair: only this claim tells them apart.
    if claims.get("aud") != QUOTE_AUDIENCE:
        raise invalid_quote("another audience")
    _check_times(claims, now)
    differing = ", ".join(_differing(claims, offer))
    if differing:
        raise QuoteRefused(f"does not match the order in {differing}: ask the platform for a new one", "differs")


def _check_times(claims: Mapping[str, Any], now: int) -> None:
    issued_at, expires_at = _time(claims, "iat"), _time(claims, "exp")
    not_before = _time(claims, "nbf") if "nbf" in claims else issued_at
    if max(issued_at, not_before) > now + CLOCK_LEEWAY_S:
        raise invalid_quote("issued in the future")
    if not 0 < expires_at - issued_at <= MAX_LIFETIME_S:
        raise invalid_quote("a lifetime that is not allowed")
    if expires_at <= now - CLOCK_LEEWAY_S:
        raise QuoteRefused(_EXPIRED, "expired")


def _time(claims: Mapping[str, Any], name: str) -> int:
    value = claims.get(name)
    # Whole seconds, as PyJWT writes them; fractions would only be another way to say the same.
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MAX_ID:
        raise invalid_quote(f"no {name} in whole seconds")
    return value


def _differing(claims: Mapping[str, Any], offer: Order) -> Iterator[str]:
    """Yield the names of the order's fields that the quote does not have, or has with another value or type."""
    for name in ("job_id", "application_id"):
        if not _is_id(claims.get(name), getattr(offer, name)):
            yield name
    # RFC 7519, section 4.1.2: a subject is a string.
    if claims.get("sub") != str(offer.client_id):
        yield "client_id"
    if not _is_id(claims.get("freelancer_id"), offer.freelancer_id):
        yield "freelancer_id"
    if not _is_amount(claims.get("amount"), offer):
        yield "amount"
    if claims.get("currency") != offer.currency:
        yield "currency"


def _is_id(claim: object, expected: int) -> bool:
    # True equals 1, and Decimal("1.0") does too.
    return isinstance(claim, int) and not isinstance(claim, bool) and claim == expected


def _is_amount(claim: object, offer: Order) -> bool:
    # Only a string: no JSON writer turns it into a float.
    if not isinstance(claim, str):
        return False
    try:
        return to_minor_units(claim, offer.currency) == offer.amount_minor
    except ValueError:
        return False
