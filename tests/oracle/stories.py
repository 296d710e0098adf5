"""Hand-written Razorpay data for the judge's own tests: one application, its orders, and their history."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from tests.oracle.books import HandedOut, Ledger, Outside, Settings, read_ledger
from tests.oracle.expect import Expected, Next, Outcome, expected_orders, next_answers, orphans, purchases
from tests.oracle.judge import Told, judge_order, read_event

AT: Final = 1_772_357_400
DAY: Final = 86_400
AMOUNT: Final = 50_000
SETTINGS: Final = Settings(stage="dev", installation="one")
NOTES: Final = {
    "service": "payment-service",
    "stage": "dev",
    "installation": "one",
    "client_id": "42",
    "application_id": "12",
}
FIRST, SECOND = "order_00000000000001", "order_00000000000002"
A, B = "pay_0000000000000A", "pay_0000000000000B"
R1, R2, R3 = "rfnd_00000000000001", "rfnd_00000000000002", "rfnd_00000000000003"


@dataclass
class Books:
    """Razorpay's ledger, written line by line."""

    orders: list[dict[str, Any]] = field(default_factory=list)
    payments: list[dict[str, Any]] = field(default_factory=list)
    refunds: list[dict[str, Any]] = field(default_factory=list)
    disputes: list[dict[str, Any]] = field(default_factory=list)
    story: list[dict[str, Any]] = field(default_factory=list)
    handed_out: list[HandedOut] = field(default_factory=list)

    def order(
        self,
        order_id: str = FIRST,
        *,
        amount: int = AMOUNT,
        at: int = AT,
        notes: Mapping[str, str] | None = None,
        handed: bool = True,
    ) -> "Books":
        """An order of 500.00 rupees, returned to client 42 for application 12."""
        noted = NOTES if notes is None else notes
        self.orders.append(
            {"id": order_id, "amount": amount, "currency": "INR", "created_at": at, "notes": dict(noted) or []}
        )
        if handed:
            self.handed_out.append(
                HandedOut(order_id=order_id, client_id=42, application_id=12, fields=(amount, "INR"), at=at)
            )
        return self

    def payment(self, payment_id: str = A, status: str = "captured", **changes: Any) -> "Books":
        """A payment of the last order; by default captured, with the order's sum."""
        order = self.orders[-1]
        entity = {
            "id": payment_id,
            "order_id": order["id"],
            "amount": order["amount"],
            "currency": "INR",
            "status": status,
            "captured": status in {"captured", "refunded"},
            "fee": None,
            "amount_refunded": 0,
            "created_at": order["created_at"] + 60,
            **changes,
        }
        self.payments.append(entity)
        if status == "failed":
            self.tell("payment.failed", entity["created_at"], payment_id=payment_id)
        return self

    def refund(
        self, refund_id: str = R1, amount: int = AMOUNT, status: str = "processed", *, total: bool = True
    ) -> "Books":
        """A refund of the last payment; by default counted in Razorpay's total."""
        payment = self.payments[-1]
        if total and status != "failed":
            payment["amount_refunded"] += amount
        self.refunds.append(
            {
                "id": refund_id,
                "payment_id": payment["id"],
                "amount": amount,
                "status": status,
                "created_at": payment["created_at"] + 3600,
            }
        )
        return self

    def tell(self, what: str, at: int, *, payment_id: str | None = None, refund_id: str | None = None) -> "Books":
        self.story.append({"what": what, "at": at, "payment_id": payment_id, "refund_id": refund_id})
        return self

    @property
    def ledger(self) -> Ledger:
        return read_ledger(
            {
                "orders": self.orders,
                "payments": self.payments,
                "refunds": self.refunds,
                "disputes": self.disputes,
                "story": self.story,
            }
        )

    def expected(
        self, settings: Settings = SETTINGS, *, presented: Sequence[str] = (), **outside: Any
    ) -> dict[str, Expected]:
        """What must be visible; `presented` are payment ids of the last order."""
        proofs = frozenset((self.orders[-1]["id"], payment) for payment in presented)
        return expected_orders(self.ledger, self.outside(presented=proofs, **outside), settings)

    def outside(self, **changes: Any) -> Outside:
        return Outside(handed_out=tuple(self.handed_out), **changes)


def statuses(expected: Expected) -> set[str]:
    return {outcome.view.status for outcome in expected.outcomes}


def only(expected: Expected) -> Outcome:
    """Its outcome, if only the payment that GET names may differ."""
    views = {
        (one.view.status, one.view.confirmed, one.view.amount_refunded, one.view.under_review)
        for one in expected.outcomes
    }
    assert len(views) == 1, views
    return expected.outcomes[0]


def shown(outcome: Outcome, **changes: Any) -> dict[str, Any]:
    """What GET would return for it."""
    view = outcome.view
    return {
        "status": view.status,
        "confirmed": view.confirmed,
        "amount_refunded": view.amount_refunded,
        "amount_disputed": view.amount_disputed,
        "razorpay_payment_id": view.razorpay_payment_id,
        "under_review": view.under_review,
        **changes,
    }


def event(  # noqa: PLR0913 - what an event may say
    detail_type: str,
    *,
    order_id: str = FIRST,
    payment: str | None = A,
    refund: str | None = None,
    review: tuple[str, str] | None = None,
    occurred_at: str = "2026-03-01T09:31:00Z",
) -> Told:
    """As consumers get it."""
    detail: dict[str, Any] = {
        "payment": {"order_id": order_id, "razorpay_payment_id": payment},
        "occurred_at": occurred_at,
    }
    if refund is not None:
        detail["refund"] = {"id": refund, "amount": 1}
    if review is not None:
        detail["review"] = {"reason": review[0], "state": review[1]}
    told_of, told = read_event(detail_type, detail)
    assert told_of == order_id
    return told


def complaints(expected: Expected, *told: Told, **changes: Any) -> list[str]:
    """The complaints if GET shows the first outcome and these events were published."""
    return judge_order(expected, shown(expected.outcomes[0], **changes), told)[1]


def next_of(
    books: Books,
    amount: int = AMOUNT,
    *,
    settings: Settings = SETTINGS,
    now: int | None = None,
    released: frozenset[str] = frozenset(),
    **changes: Any,
) -> frozenset[Next]:
    """What create-order returns to the client when everything is quiet, before an open order gets too old."""
    outside = books.outside(**changes)
    expected = expected_orders(books.ledger, outside, settings)
    return next_answers(
        expected=expected,
        chosen={order_id: one.outcomes[0] for order_id, one in expected.items()},
        mine=purchases(outside).get((42, 12), []),
        unanswered=orphans(books.ledger, outside, settings).get((42, 12), []),
        fields=(amount, "INR"),
        now=AT + 17 * DAY if now is None else now,
        released=released,
        order_expiry_days=settings.order_expiry_days,
    )
