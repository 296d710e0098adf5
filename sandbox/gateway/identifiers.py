"""Ids of Razorpay's shape: a prefix and 14 case-sensitive alphanumerics (api/understand.md)."""

import re
import secrets
import string
from typing import Final

ALPHABET: Final = string.ascii_letters + string.digits
LENGTH: Final = 14
_SHAPES: Final = {
    prefix: re.compile(rf"\A{prefix}_[A-Za-z0-9]{{{LENGTH}}}\Z") for prefix in ("order", "pay", "rfnd", "card", "token")
}


def bare() -> str:
    """Fourteen alphanumerics without a prefix: what a webhook's event id looks like (published measurement)."""
    return "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))


def new(prefix: str) -> str:
    """A fresh id such as `order_RB58MiP5SPFYyM`."""
    return f"{prefix}_{bare()}"


def well_formed(prefix: str, candidate: str) -> bool:
    """Whether the text could be an id of that kind; Razorpay words its refusal differently when it could not."""
    return bool(_SHAPES[prefix].match(candidate))
