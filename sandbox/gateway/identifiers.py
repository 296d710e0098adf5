"""Ids in Razorpay's form: a prefix and 14 case-sensitive alphanumerics (api/understand.md)."""

import re
import secrets
import string
from typing import Final

ALPHABET: Final = string.ascii_letters + string.digits
LENGTH: Final = 14
_SHAPES: Final = {
    prefix: re.compile(rf"\A{prefix}_[A-Za-z0-9]{{{LENGTH}}}\Z")
    for prefix in ("order", "pay", "rfnd", "disp", "card", "token")
}


def bare() -> str:
    """Return fourteen alphanumerics without a prefix, like a webhook's event id (published measurement)."""
    return "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))


def new(prefix: str) -> str:
    """Return a new id such as `order_RB58MiP5SPFYyM`."""
    return f"{prefix}_{bare()}"


def well_formed(prefix: str, candidate: str) -> bool:
    """Return whether the text could be an id of that kind. Razorpay words its refusal differently if not."""
    return bool(_SHAPES[prefix].match(candidate))
