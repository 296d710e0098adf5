"""Orders, payments and refunds, and the API's JSON for each, with keys in the documented order.

All amounts are in minor units (paise for INR); all times are Unix seconds.
"""

from dataclasses import dataclass
from typing import Any, Final, Literal

OrderStatus = Literal["created", "attempted", "paid"]
PaymentStatus = Literal["created", "authorized", "captured", "refunded", "failed"]
RefundStatus = Literal["pending", "processed", "failed"]
DisputeStatus = Literal["open", "under_review", "won", "lost", "closed"]
DisputeMove = Literal["under_review", "action_required", "won", "lost", "closed"]
"""What may happen to a dispute, by the name of its event."""
DisputePhase = Literal["fraud", "retrieval", "chargeback", "pre_arbitration", "arbitration"]
Capture = Literal["as_ordered", "now", "later"]
Method = Literal["card", "upi", "netbanking"]
UpiFlow = Literal["collect", "intent"]
Platform = Literal["web", "android", "react-native"]


@dataclass(slots=True)
class Order:
    """What the merchant asks to be paid (api/orders/entity.md). It never expires and cannot be cancelled."""

    id: str
    amount: int
    currency: str
    receipt: str | None
    notes: dict[str, str]
    captures_automatically: bool
    created_at: int
    status: OrderStatus = "created"
    amount_paid: int = 0
    attempts: int = 0
    offer_id: str | None = None
    """The offer that reduced what the customer paid."""

    def to_json(self) -> dict[str, Any]:
        """Return it as the Orders API shows it: keys sorted, `offers` only if present (api/orders/fetch-with-id.md)."""
        offers = {} if self.offer_id is None else {"offers": [self.offer_id]}
        return {
            "amount": self.amount,
            "amount_due": self.amount - self.amount_paid,
            "amount_paid": self.amount_paid,
            "attempts": self.attempts,
            "created_at": self.created_at,
            "currency": self.currency,
            "entity": "order",
            "id": self.id,
            "notes": notes_json(self.notes),
            "offer_id": self.offer_id,
            **offers,
            "receipt": self.receipt,
            "status": self.status,
        }


@dataclass(frozen=True, slots=True)
class Card:
    """The public part of a card: what Razorpay tells merchants about it."""

    id: str
    name: str
    last4: str
    network: str
    iin: str

    def to_json(self) -> dict[str, Any]:
        """Return the `card` object of a payment (webhooks/payments.md, sample "Card")."""
        return {
            "id": self.id,
            "entity": "card",
            "name": self.name,
            "last4": self.last4,
            "network": self.network,
            "type": "debit",
            "issuer": None,
            "international": False,
            "emi": False,
            "sub_type": "consumer",
            "iin": self.iin,
        }


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a payment failed, in the five fields of errors.md."""

    code: str
    description: str
    source: str
    step: str
    reason: str


@dataclass(frozen=True, slots=True)
class Instrument:
    """What the customer paid with. Exactly one of card, vpa and bank is set, depending on the method.

    `flow` applies to UPI. With `collect` the customer typed their UPI ID and the app asks them. With `intent` they
    opened the app themselves, through a link or its QR code, and the ID is known once the app has answered. `fails_as`
    is the failure that a test card stands for.
    """

    method: Method
    card: Card | None = None
    vpa: str | None = None
    bank: str | None = None
    flow: UpiFlow = "collect"
    fails_as: Failure | None = None


@dataclass(frozen=True, slots=True)
class Customer:
    """The payer. Made-up, but still personal data: the service must prove that it drops it."""

    email: str = "gaurav.kumar@example.com"
    contact: str = "+919876543210"
    name: str = "Gaurav Kumar"


@dataclass(frozen=True, slots=True)
class Paying:
    """One press of the pay button.

    The last fields cover what orders do not provide for: a payment whose amount or currency differs from its order's (a
    conversion, another system's amount), a payment on an order that should accept none, another way of capturing, a
    bank that answers some seconds after the payment was given up, a customer who is still in the bank's app, an offer
    that takes off some minor units, and a checkout on a platform other than the account's switch.
    """

    order_id: str
    instrument: Instrument
    customer: Customer
    fails: bool
    description: str | None
    notes: dict[str, str]
    amount: int | None = None
    currency: str | None = None
    force: bool = False
    capture: Capture = "as_ordered"
    late_after_s: float | None = None
    open: bool = False
    offer: int | None = None
    platform: Platform | None = None


NO_ANSWER: Final = Failure(
    # payments/payments/test-card-details.md, error scenarios; it gives no source and step
    "BAD_REQUEST_ERROR",
    "Your payment could not be completed due to a temporary issue. Try again later.",
    "bank",
    "payment_authorization",
    "payment_timed_out",
)
"""The bank did not answer in time."""


@dataclass(slots=True)
class Payment:
    """One attempt to pay an order (api/payments/entity.md)."""

    id: str
    order_id: str
    amount: int
    currency: str
    status: PaymentStatus
    instrument: Instrument
    customer: Customer
    description: str | None
    notes: dict[str, str]
    acquirer_data: dict[str, str | None]
    created_at: int
    failure: Failure | None = None
    captured: bool = False
    amount_refunded: int = 0
    fee: int | None = None
    tax: int | None = None
    """What Razorpay reports of `charges`, once it does."""
    charges: tuple[int, int] = (0, 0)
    """Razorpay's fee, tax included, and the tax in it, in minor units. The payment's amount includes them if the
    customer bears them."""
    captures_automatically: bool = True
    """Whether it is captured once it is authorized."""
    offer_id: str | None = None
    late_authorized: bool = False
    """Authorized after it had failed."""

    @property
    def refund_status(self) -> Literal["partial", "full"] | None:
        """Return how much of the captured amount was refunded."""
        if self.amount_refunded == 0:
            return None
        return "full" if self.amount_refunded == self.amount else "partial"

    def to_json(self) -> dict[str, Any]:
        """Return it as the Payments API shows it (api/payments/fetch-with-id.md), without other methods' fields."""
        instrument, failure = self.instrument, self.failure
        unknown = instrument.flow == "intent" and self.status == "created"
        vpa = None if unknown else instrument.vpa
        entity: dict[str, Any] = {
            "id": self.id,
            "entity": "payment",
            "amount": self.amount,
            "currency": self.currency,
            "status": self.status,
            "order_id": self.order_id,
            "invoice_id": None,
            "international": False,
            "method": instrument.method,
            "amount_refunded": self.amount_refunded,
            "refund_status": self.refund_status,
            "captured": self.captured,
            "description": self.description,
            "card_id": instrument.card.id if instrument.card else None,
        }
        if instrument.card:
            entity["card"] = instrument.card.to_json()
        entity |= {
            "bank": instrument.bank,
            "wallet": None,
            "vpa": vpa,
            "email": self.customer.email,
            "contact": self.customer.contact,
            "notes": notes_json(self.notes),
            "fee": self.fee,
            "tax": self.tax,
            "error_code": failure.code if failure else None,
            "error_description": failure.description if failure else None,
            "error_source": failure.source if failure else None,
            "error_step": failure.step if failure else None,
            "error_reason": failure.reason if failure else None,
            "acquirer_data": dict(self.acquirer_data),
            "created_at": self.created_at,
        }
        if vpa:
            entity["upi"] = {"payer_account_type": "bank_account", "vpa": vpa, "flow": instrument.flow}
        if self.late_authorized:
            # docs: "Test S2S", Payment States and Late Authorisation, BP-06
            entity["late_authorized"] = True
        return entity

    def offers_json(self) -> dict[str, Any]:
        """Return the `offers` that a fetch adds on request (api/payments/fetch-payment-expanded-offers.md)."""
        items = [] if self.offer_id is None else [{"id": self.offer_id}]
        return {"entity": "collection", "count": len(items), "items": items}


@dataclass(slots=True)
class Refund:
    """A refund (api/refunds/entity.md). In test mode the money arrives at once: `processed`."""

    id: str
    payment_id: str
    amount: int
    currency: str
    notes: dict[str, str]
    receipt: str | None
    speed_requested: str
    created_at: int
    status: RefundStatus = "processed"
    speed_processed: Literal["normal", "instant"] = "normal"

    def to_json(self) -> dict[str, Any]:
        """Return it as the Refunds API shows it (api/refunds/create-normal.md)."""
        return {
            "id": self.id,
            "entity": "refund",
            "amount": self.amount,
            "currency": self.currency,
            "payment_id": self.payment_id,
            "notes": notes_json(self.notes),
            "receipt": self.receipt,
            "acquirer_data": {"arn": None},
            "created_at": self.created_at,
            "batch_id": None,
            "status": self.status,
            "speed_processed": self.speed_processed,
            "speed_requested": self.speed_requested,
        }


@dataclass(slots=True)
class Dispute:
    """A customer or a bank demands captured money back (api/disputes/entity.md)."""

    id: str
    payment_id: str
    amount: int
    currency: str
    respond_by: int
    created_at: int
    status: DisputeStatus = "open"
    phase: DisputePhase = "chargeback"
    reason_code: str = "processed_invalid_expired_card"
    amount_deducted: int = 0
    """0 unless it is lost."""

    def to_json(self) -> dict[str, Any]:
        """Return it as the Disputes API shows it (api/disputes/fetch-all.md). Evidence is not modelled: it is null."""
        return {
            "id": self.id,
            "entity": "dispute",
            "payment_id": self.payment_id,
            "amount": self.amount,
            "currency": self.currency,
            "amount_deducted": self.amount_deducted,
            "reason_code": self.reason_code,
            "respond_by": self.respond_by,
            "status": self.status,
            "phase": self.phase,
            "created_at": self.created_at,
            "evidence": self.evidence(),
        }

    def evidence(self) -> dict[str, Any]:
        """Return the evidence, of which nothing was given."""
        return {"amount": self.amount, **dict.fromkeys(_EVIDENCE)}


_EVIDENCE: Final = (
    "summary",
    "shipping_proof",
    "billing_proof",
    "cancellation_proof",
    "customer_communication",
    "proof_of_service",
    "explanation_letter",
    "refund_confirmation",
    "access_activity_log",
    "refund_cancellation_policy",
    "term_and_conditions",
    "others",
    "submitted_at",
)


def notes_json(notes: dict[str, str]) -> dict[str, str] | list[str]:
    """Return empty notes as an empty *list*, never `{}`: a trap for every typed parser (orders/fetch-all.md)."""
    return dict(notes) if notes else []
