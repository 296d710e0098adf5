"""Rows of the Django service, as many as wanted: exported as it would export them."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from payments.core.instants import iso
from payments.core.signature import checkout_signature

DAY = 24 * 60 * 60


def razorpay_id(kind: str, number: int) -> str:
    """An id in Razorpay's form."""
    return f"{kind}_{hashlib.sha256(f'{kind}{number}'.encode()).hexdigest()[:14]}"


def rows(count: int, now: int, key_secret: str) -> Iterator[dict[str, Any]]:
    """Two years of rows, oldest first: every tenth failed, every tenth unpaid, every twentieth refunded.

    Every twentieth row is the second order of its application. Every seventh was confirmed by a webhook only, so it has
    no signature.
    """
    for number in range(1, count + 1):
        order, payment = razorpay_id("order", number), razorpay_id("pay", number)
        last = number % 20
        status = "created" if last in {1, 2} else "failed" if last in {3, 4} else "refunded" if last == 5 else "paid"
        signed = status in {"paid", "refunded"} and number % 7
        application = number - 1 if number % 20 == 0 else number
        yield {
            "id": number,
            "job_id": number // 3 + 1,
            "application_id": application,
            "client_id": application % 997 + 1,
            "freelancer_id": application % 991 + 2_000,
            "amount": f"{number % 90_000 + 100}.{number % 100:02}",
            "currency": "INR",
            "razorpay_order_id": order,
            "razorpay_payment_id": None if status == "created" else payment,
            "razorpay_signature": checkout_signature(order, payment, key_secret) if signed else None,
            "status": status,
            "created_at": iso(now - 2 * 365 * DAY + number * (2 * 365 * DAY - 3600) // count),
        }


def write_dump(path: Path, dumped: Iterator[dict[str, Any]]) -> None:
    """Write them as `manage.py dumpdata payments.Payment --format jsonl` does."""
    with path.open("w", encoding="utf-8") as file:
        for row in dumped:
            fields = {name: value for name, value in row.items() if name != "id"}
            file.write(json.dumps({"model": "payments.payment", "pk": row["id"], "fields": fields}) + "\n")
