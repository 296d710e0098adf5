"""The two signatures of Razorpay, made and checked: HMAC-SHA256 in lower-case hex.

Our own HMAC and not the SDK's `utility`: that one raises TypeError on a missing or non-ASCII signature and on a body of
bytes, and accepts an empty secret, against which anyone can sign (Razorpay documents both formats under "Verify payment
signature" and "Validate and test webhooks").
"""

import hmac
from collections.abc import Iterable
from hashlib import sha256


def checkout_signature(order_id: str, payment_id: str, key_secret: str) -> str:
    """What Checkout hands to the browser: HMAC(key secret, order id | payment id)."""
    # A lone surrogate is not worth an exception: nothing that Razorpay signed has one.
    return _sign(f"{order_id}|{payment_id}".encode(errors="surrogatepass"), key_secret)


def checkout_signature_is_valid(*, order_id: str, payment_id: str, signature: str, key_secret: str) -> bool:
    """Whether Razorpay signed this payment for this order.

    `order_id` must be the stored one: a valid triple of another purchase would pass with the caller's. Malformed input
    of any kind is simply not valid.
    """
    return _equal(checkout_signature(order_id, payment_id, key_secret), signature)


def webhook_signature(body: bytes, secret: str) -> str:
    """What Razorpay sends in `X-Razorpay-Signature`: HMAC(webhook secret, the raw bytes of the body)."""
    return _sign(body, secret)


def webhook_signature_is_valid(body: bytes, signature: str | None, secrets: Iterable[str]) -> bool:
    """Whether one of the secrets signed these exact bytes.

    There are two secrets while one is being rotated: Razorpay signs retries of older events with the old one.
    """
    # Every secret is tried, whichever matches: how long it takes says nothing about which one did.
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
