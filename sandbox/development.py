"""The documented development secrets, public on purpose. The local cloud, `events/` and the tests use them.

They only open a developer's own machine. A deployed stage reads its secrets from Secrets Manager.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt

STAGE = "local"
RAZORPAY_KEY_ID = "rzp_test_LocalSandbox01"
RAZORPAY_KEY_SECRET = "local-development-key-secret"
RAZORPAY_WEBHOOK_SECRET = "local-development-webhook-secret"
RAZORPAY_WEBHOOK_SECRET_PREVIOUS = "local-development-webhook-secret-before-rotation"
JWT_SECRET = "local-development-jwt-secret-of-more-than-32-bytes"
QUOTE_SECRET = "local-development-quote-secret-of-more-than-32-bytes"


def token(
    user_id: int,
    *,
    secret: str = JWT_SECRET,
    now: datetime | None = None,
    lifetime: timedelta = timedelta(hours=12),
    scope: str | None = None,
) -> str:
    """Return an access token like djangorestframework-simplejwt's: HS256, `user_id` as a string, one lifetime.

    Args:
        user_id: the caller's id on the platform.
        secret: the HS256 key, at least 32 bytes.
        now: when it is issued; the current time by default.
        lifetime: how long it is valid.
        scope: the claim `scope`, which this service ignores; None leaves it out.
    """
    issued = now or datetime.now(UTC)
    claims = {
        "token_type": "access",
        "user_id": str(user_id),
        "iat": issued,
        "exp": issued + lifetime,
        "jti": f"local-{user_id}",
    }
    if scope is not None:
        claims["scope"] = scope
    return jwt.encode(claims, secret, algorithm="HS256")


def quote(offer: Mapping[str, Any], *, now: datetime | None = None, lifetime: timedelta = timedelta(minutes=10)) -> str:
    """Return a quote as the platform's Application service signs it: HS256, with a secret of its own.

    Args:
        offer: what create-order takes; `amount` is anything whose text is a decimal number of major units.
        now: when it is issued; the current time by default.
        lifetime: how long it is valid, at most 15 minutes.
    """
    issued = now or datetime.now(UTC)
    claims = {
        "aud": "payment-quote",
        "sub": str(offer["client_id"]),
        "job_id": offer["job_id"],
        "application_id": offer["application_id"],
        "freelancer_id": offer["freelancer_id"],
        "amount": str(offer["amount"]),
        "currency": offer.get("currency", "INR"),
        "iat": issued,
        "exp": issued + lifetime,
    }
    return jwt.encode(claims, QUOTE_SECRET, algorithm="HS256")
