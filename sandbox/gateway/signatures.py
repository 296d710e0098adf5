"""The two signatures that a merchant checks: lower-case hex HMAC-SHA256, each with its own secret."""

import hashlib
import hmac


def of_checkout(key_secret: str, order_id: str, payment_id: str) -> str:
    """Return Checkout's signature of `order_id|payment_id` with the API key secret (integration-steps.md)."""
    return _hex(key_secret, f"{order_id}|{payment_id}".encode())


def of_webhook(webhook_secret: str, body: bytes) -> str:
    """Return the X-Razorpay-Signature header for the exact bytes of the body (webhooks/validate-test.md)."""
    return _hex(webhook_secret, body)


def _hex(secret: str, message: bytes) -> str:
    return hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()
