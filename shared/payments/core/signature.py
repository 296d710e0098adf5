"""Create and check Razorpay's two signatures: HMAC-SHA256 in lower-case hex.

The SDK's `utility` is not used: it raises TypeError on a missing or non-ASCII signature and on a body of bytes, and
accepts an empty secret, with which anyone can sign (Razorpay documents both formats under "Verify payment signature"
and "Validate and test webhooks").
"""

import hmac
from collections.abc import Iterable
from hashlib import sha256


def checkout_signature(order_id: str, payment_id: str, key_secret: str) -> str:
    """Return the signature that Checkout passes to the browser: HMAC(key secret, order id | payment id)."""
    # A lone surrogate must not raise an exception: Razorpay signs none, so the signature will not match.
    return _sign(f"{order_id}|{payment_id}".encode(errors="surrogatepass"), key_secret)


def checkout_signature_is_valid(*, order_id: str, payment_id: str, signature: str, key_secret: str) -> bool:
    """Return whether Razorpay signed this payment for this order. Malformed input is not valid.

    `order_id` must be the stored one: with the caller's, a valid signature of another purchase would pass.
    """
    return _equal(checkout_signature(order_id, payment_id, key_secret), signature)


def webhook_signature(body: bytes, secret: str) -> str:
    """Return the value of `X-Razorpay-Signature`: HMAC(webhook secret, the raw bytes of the body)."""
    return _sign(body, secret)


def webhook_signature_is_valid(body: bytes, signature: str | None, secrets: Iterable[str]) -> bool:
    """Return whether one of the secrets signed these exact bytes.

    There are two secrets during a rotation: Razorpay signs retries of older events with the old one.
    """
    # Try every secret even after a match, so that the time taken does not reveal which one matched.
    matches = [_equal(_sign(body, secret), signature) for secret in secrets]
    return any(matches)


def _sign(message: bytes, secret: str) -> str:
    if not secret:
        raise ValueError("An empty secret verifies against an empty key, which anyone can forge.")
    return hmac.new(secret.encode(), message, sha256).hexdigest()


def _equal(expected: str, given: object) -> bool:
    if not isinstance(given, str) or not given.isascii():
        return False
    return hmac.compare_digest(expected.encode(), given.encode())
