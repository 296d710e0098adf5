"""The documented development secrets, public on purpose. The local cloud, `events/` and the tests use them.

They only open a developer's own machine. A deployed stage reads its secrets from Secrets Manager.
"""

from datetime import UTC, datetime, timedelta

import jwt

STAGE = "local"
RAZORPAY_KEY_ID = "rzp_test_LocalSandbox01"
RAZORPAY_KEY_SECRET = "local-development-key-secret"
RAZORPAY_WEBHOOK_SECRET = "local-development-webhook-secret"
RAZORPAY_WEBHOOK_SECRET_PREVIOUS = "local-development-webhook-secret-before-rotation"
JWT_SECRET = "local-development-jwt-secret-of-more-than-32-bytes"


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
