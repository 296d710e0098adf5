"""The judge's input: Razorpay's data, the actions of the outside world, and three settings.

All amounts are in minor units, all times are epoch seconds.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

MARKER: Final = "payment-service"
"""What `service` in the notes of our orders says (design, section 6, step 7)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refund:
    """A refund's final state at Razorpay (api/refunds/entity.md)."""

    id: str
    payment_id: str
    amount: int
    status: str
    """`pending`, `processed` or `failed`."""
    created_at: int = 0
    was_processed: bool = False
    """Razorpay reported it as processed at some time, whatever its state now."""
    intent: str | None = None
    """The request of our service that its notes name; None if it was made elsewhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispute:
    """A dispute as Razorpay has it in the end (api/disputes/entity.md), and what was told of it."""

    id: str
    payment_id: str
    currency: str
    phase: str
    status: str
    """`open`, `under_review`, `won`, `lost` or `closed`."""
    deducted: int = 0
    """`amount_deducted`: 0 unless it is lost."""
    told: tuple[str, ...] = ("open",)
    """The states that its webhooks told, in their order; the last is its state now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """A payment's final state at Razorpay (api/payments/entity.md), with its refunds."""

    id: str
    order_id: str
    amount: int
    currency: str
    status: str
    """`created`, `authorized`, `captured`, `refunded` or `failed`."""
    captured: bool
    fee: int | None = None
    amount_refunded: int = 0
    created_at: int = 0
    failed_at: int | None = None
    """When it failed (for the last time), even if it was authorised later."""
    promised_at: int | None = None
    """When Razorpay first had it as authorised or captured."""
    refunds: tuple[Refund, ...] = ()
    disputes: tuple[Dispute, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """An order's final state at Razorpay, with its payments, the oldest first (then by id)."""

    id: str
    amount: int
    currency: str
    created_at: int = 0
    notes: Mapping[str, str] = field(default_factory=dict)
    payments: tuple[Payment, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class HandedOut:
    """create-order returned 200 or 201 with this order."""

    order_id: str
    client_id: int
    application_id: int
    fields: tuple[Any, ...]
    """What the client requested: the same purchase has the same fields."""
    at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance:
    """An operator accepted a payment of this order."""

    order_id: str
    at: int
    certain: bool
    """False if the command broke off, so that it may or may not have taken its first steps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outside:
    """What is known outside but not to Razorpay."""

    handed_out: Sequence[HandedOut] = ()
    """In order; an order may be returned more than once."""
    presented: frozenset[tuple[str, str]] = frozenset()
    """Order and payment id of every genuine checkout proof that got 200 or 409 from verify."""
    doubtful: frozenset[tuple[str, str]] = frozenset()
    """The same for proofs whose response was lost, so that they may or may not be stored."""
    accepted: frozenset[str] = frozenset()
    """Payment ids that an operator accepted (design, section 3)."""
    acceptances: Sequence[Acceptance] = ()
    """When, in order. From then on what is paid on another order of the application is not as agreed."""
    forgotten: frozenset[str] = frozenset()
    """Payment ids accepted before a restore lost them; their events may have been published."""
    released: frozenset[str] = frozenset()
    """Order ids that an operator released."""
    cleared: frozenset[str] = frozenset()
    """Payment ids whose lost disputes an operator released."""
    restored: Sequence[tuple[int, int]] = ()
    """When the table was restored, and to which time."""
    expired: Mapping[str, Sequence[int]] = field(default_factory=dict)
    """By order id, when the service announced that the order expired: each `occurred_at` on the bus."""
    until: int | None = None
    """When everything was quiet; None if it does not matter what should have expired by then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the stack was deployed with."""

    stage: str
    installation: str | None = None
    """The installation in the notes of this stack's orders; None if there is none."""
    accept_offers: int | None = None
    """The lowest per cent of the order's amount that a capture may have (`AcceptOffers`); None: no offers."""
    order_expiry_days: int = 30
    """The age at which an order that nobody paid expires (`OrderExpiryDays`)."""


@dataclass(frozen=True, slots=True)
class Ledger:
    """Razorpay's data."""

    orders: Mapping[str, Order]


def read_ledger(document: Mapping[str, Any]) -> Ledger:
    """Reads the stand-in's ledger.

    Args:
        document: `orders`, `payments`, `refunds` and, if there are any, `disputes`, each entity as in the API, and
            `story`: everything that happened, in order, as `{at, what, payment_id, refund_id, …}`.

    Raises:
        KeyError, ValueError: the document has another form.
    """
    failed_at, promised_at, processed = _told(document.get("story", ()))
    refunds: defaultdict[str, list[Refund]] = defaultdict(list)
    for entity in document["refunds"]:
        refund = Refund(
            id=entity["id"],
            payment_id=entity["payment_id"],
            amount=entity["amount"],
            status=entity["status"],
            created_at=entity["created_at"],
            was_processed=entity["status"] == "processed" or entity["id"] in processed,
            # Empty notes are an empty list here too.
            intent=dict(entity.get("notes") or {}).get("refund_intent"),
        )
        refunds[refund.payment_id].append(refund)
    disputes = _disputes(document)
    payments: defaultdict[str, list[Payment]] = defaultdict(list)
    for entity in document["payments"]:
        if (order_id := entity["order_id"]) is not None:
            its = refunds[entity["id"]], disputes[entity["id"]]
            payments[order_id].append(_payment(entity, failed_at, promised_at, *its))
    orders = {
        entity["id"]: Order(
            id=entity["id"],
            amount=entity["amount"],
            currency=entity["currency"],
            created_at=entity["created_at"],
            # Empty notes are an empty list (api/orders/fetch-all.md).
            notes=dict(entity["notes"] or {}),
            payments=tuple(sorted(payments[entity["id"]], key=lambda payment: (payment.created_at, payment.id))),
        )
        for entity in document["orders"]
    }
    if strange := payments.keys() - orders.keys():
        raise ValueError(f"payments of orders that are not in the ledger: {sorted(strange)}")
    return Ledger(orders)


def _disputes(document: Mapping[str, Any]) -> defaultdict[str, list[Dispute]]:
    """The disputes by payment, each with what was told of it."""
    told: defaultdict[str, list[str]] = defaultdict(list)
    for entry in document.get("story", ()):
        kind, _, name = entry["what"].rpartition(".")
        if kind == "payment.dispute":
            # The event `created` tells the state `open`; the others tell their own name (webhooks/disputes.md).
            told[entry["dispute_id"]].append("open" if name == "created" else name)
    found: defaultdict[str, list[Dispute]] = defaultdict(list)
    for entity in document.get("disputes", ()):
        found[entity["payment_id"]].append(
            Dispute(
                id=entity["id"],
                payment_id=entity["payment_id"],
                currency=entity["currency"],
                phase=entity["phase"],
                status=entity["status"],
                deducted=entity["amount_deducted"],
                told=tuple(told[entity["id"]] or [entity["status"]]),
            )
        )
    return found


def _payment(
    entity: Mapping[str, Any],
    failed_at: Mapping[str, int],
    promised_at: Mapping[str, int],
    refunds: Iterable[Refund],
    disputes: Iterable[Dispute],
) -> Payment:
    held = entity["status"] in {"authorized", "captured", "refunded"}
    failed = failed_at.get(entity["id"], entity["created_at"] if entity["status"] == "failed" else None)
    return Payment(
        id=entity["id"],
        order_id=entity["order_id"],
        amount=entity["amount"],
        currency=entity["currency"],
        status=entity["status"],
        captured=entity["captured"],
        fee=entity["fee"],
        amount_refunded=entity["amount_refunded"],
        created_at=entity["created_at"],
        failed_at=failed,
        promised_at=promised_at.get(entity["id"], entity["created_at"] if held else None),
        refunds=tuple(sorted(refunds, key=lambda refund: (refund.created_at, refund.id))),
        disputes=tuple(disputes),
    )


def _told(story: Iterable[Mapping[str, Any]]) -> tuple[dict[str, int], dict[str, int], set[str]]:
    """When each payment failed and was first promised, and which refunds were ever processed, from the story."""
    failed_at: dict[str, int] = {}
    promised_at: dict[str, int] = {}
    processed: set[str] = set()
    for entry in story:
        match entry["what"]:
            case "payment.failed":
                failed_at[entry["payment_id"]] = entry["at"]
            case "payment.authorized" | "payment.captured":
                promised_at.setdefault(entry["payment_id"], entry["at"])
            case "refund.processed":
                processed.add(entry["refund_id"])
    return failed_at, promised_at, processed
