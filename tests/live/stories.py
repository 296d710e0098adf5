"""One payment as each side knows it, for the tests of the timeline and the observer."""

from typing import Any

ORDER = "order_DESlLckIVRkHWj"
FIRST = "pay_DESlfW9H8K9uqM"
SECOND = "pay_DESlfW9H8K9uqN"
REFUND = "rfnd_DESlfW9H8K9uqP"
BEGIN = 1_772_357_400  # 2026-03-01T09:30:00Z
CUSTOMER = {"email": "gaurav.kumar@example.com", "contact": "+919876543210", "vpa": "gaurav@upi"}


def instant(seconds: int) -> str:
    return f"2026-03-01T09:30:{seconds:02d}Z"


def record(**fields: Any) -> dict[str, Any]:
    """A new order of 499.50, with these fields on top."""
    return {
        "pk": f"order#{ORDER}",
        "order_id": ORDER,
        "payment_id": 7,
        "client_id": 42,
        "freelancer_id": 77,
        "amount": 49950,
        "currency": "INR",
        "receipt": "local-7",
        "status": "created",
        "confirmed": False,
        "version": 1,
        "created_at": instant(0),
        "updated_at": instant(0),
        "payments": {},
        "refunds": {},
        "review": [],
        "history": [change(0, "created", "created")],
        "pending": {},
    } | fields


def change(seconds: int, what: str, status: str) -> dict[str, str]:
    return {"at": instant(seconds), "what": what, "status": status}


def paid_record(**fields: Any) -> dict[str, Any]:
    """Signed, authorised and captured, all within second 5."""
    return record(
        **{
            "status": "paid",
            "confirmed": True,
            "version": 4,
            "updated_at": instant(5),
            "payments": {
                FIRST: {"signed": BEGIN + 5, "authorized": True, "captured": True, "amount": 49950, "currency": "INR"}
                | {"method": "upi", "verdict": "exact", "matched": 4}
            },
            "stood": FIRST,
            "history": [
                change(0, "created", "created"),
                change(5, f"authorized {FIRST}", "authorized"),
                change(5, f"signed {FIRST}", "paid"),
                change(5, f"captured {FIRST}", "paid"),
            ],
        }
        | fields
    )


def webhook(name: str, *attempts: dict[str, Any], at: float, **fields: Any) -> dict[str, Any]:
    """A webhook event as the stand-in prints it; `at` in seconds since the start."""
    return {
        "event_id": f"evt{name.replace('.', '')}",
        "event": name,
        "order_id": ORDER,
        "payment_id": FIRST,
        "refund_id": None,
        "created_at": BEGIN + at,
        "state": "delivered",
        "attempts": list(attempts),
    } | fields


def attempt(at: float, status: int | None = 200, outcome: str = "ok", **fields: Any) -> dict[str, Any]:
    return {"at": BEGIN + at, "status": status, "outcome": outcome, "duration_ms": 30, "extra": False} | fields


def gateway_payment(payment_id: str = FIRST, **fields: Any) -> dict[str, Any]:
    """A payment as stored by the stand-in, including personal data."""
    return {
        "id": payment_id,
        "status": "captured",
        "method": "upi",
        "amount": 49950,
        "currency": "INR",
        "error_reason": None,
        "created_at": BEGIN + 5,
        "card": {"name": "Gaurav Kumar", "last4": "1111"},
        **CUSTOMER,
    } | fields


def note(detail_type: str = "payment.paid", *, version: int = 4, at: int = 5, **fields: Any) -> dict[str, Any]:
    """An item of an inbox."""
    return {
        "event_id": f"id-of-{detail_type}",
        "detail_type": detail_type,
        "version": version,
        "order_id": ORDER,
        "payment_id": 7,
        "razorpay_payment_id": FIRST,
        "status": "paid",
        "expires_at": BEGIN + at + 120 * 86_400,
    } | fields


def three_webhooks() -> list[dict[str, Any]]:
    """Events of one payment at 5.2 s, each delivered once."""
    return [
        webhook("payment.authorized", attempt(5.21), at=5.2),
        webhook("payment.captured", attempt(5.23), at=5.2),
        webhook("order.paid", attempt(5.22), at=5.2),
    ]
