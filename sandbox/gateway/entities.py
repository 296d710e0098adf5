"""Orders, payments and refunds, and the JSON the API answers for each, keys in the documented order.

All amounts are in minor units (paise for INR); all times are Unix seconds.
"""

from dataclasses import dataclass
from typing import Any, Final, Literal

OrderStatus = Literal["created", "attempted", "paid"]
PaymentStatus = Literal["created", "authorized", "captured", "refunded", "failed"]
RefundStatus = Literal["pending", "processed", "failed"]
Capture = Literal["as_ordered", "now", "later"]
Method = Literal["card", "upi", "netbanking"]
UpiFlow = Literal["collect", "intent"]
Platform = Literal["web", "android", "react-native"]
FeeBearer = Literal["platform", "customer"]


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
    """The offer that lowered what the customer paid."""

    def to_json(self) -> dict[str, Any]:
        """As the Orders API prints it: keys sorted; `offers` only where there is one (api/orders/fetch-with-id.md)."""
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
        """The `card` object of a payment (webhooks/payments.md, sample "Card")."""
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
    """Why a payment failed, in the five words of errors.md."""

    code: str
    description: str
    source: str
    step: str
    reason: str


@dataclass(frozen=True, slots=True)
class Instrument:
    """What the customer paid with; exactly one of card, vpa and bank is set, as the method says.

    `flow` is UPI's: with `collect` the customer typed their UPI ID and the app asks them; with `intent` they went to
    the app themselves, through a link or the same link as a QR code, and the ID is known once the app has answered.
    `fails_as` is the failure that a test card stands for.
    """

    method: Method
    card: Card | None = None
    vpa: str | None = None
    bank: str | None = None
    flow: UpiFlow = "collect"
    fails_as: Failure | None = None


@dataclass(frozen=True, slots=True)
class Customer:
    """Who pays. Made-up data, but personal data all the same: the service has to prove that it drops it."""

    email: str = "gaurav.kumar@example.com"
    contact: str = "+919876543210"
    name: str = "Gaurav Kumar"


@dataclass(frozen=True, slots=True)
class Paying:
    """One press of the pay button.

    The last fields are what the order does not foresee: a payment of another amount or currency than its order's (a
    conversion, another system's sum), one on an order that should take none, another way of capturing, a bank whose
    answer comes so many seconds after the payment has been given up, a customer who is still in the bank's app, an
    offer that takes so many minor units off, and a checkout on another platform than the account's switch says.
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
    # payments/payments/test-card-details.md, error scenarios; source and step are not given there
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
    """Razorpay's fee, tax included, and the tax in it, in minor units; the payment's amount has them in it if the
    customer bears them."""
    captures_automatically: bool = True
    """Whether it is captured once it is authorised."""
    offer_id: str | None = None
    late_authorized: bool = False
    """Authorised after it had failed."""

    @property
    def refund_status(self) -> Literal["partial", "full"] | None:
        """How much of the captured amount went back."""
        if self.amount_refunded == 0:
            return None
        return "full" if self.amount_refunded == self.amount else "partial"

    def to_json(self) -> dict[str, Any]:
        """As the Payments API prints it (api/payments/fetch-with-id.md): no nulls for another method's parts."""
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
        """The `offers` that a fetch adds on request (api/payments/fetch-payment-expanded-offers.md)."""
        items = [] if self.offer_id is None else [{"id": self.offer_id}]
        return {"entity": "collection", "count": len(items), "items": items}


@dataclass(slots=True)
class Refund:
    """Money on its way back (api/refunds/entity.md). In test mode it has arrived at once: `processed`."""

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
        """As the Refunds API prints it (api/refunds/create-normal.md)."""
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


@dataclass(frozen=True, slots=True)
class Dispute:
    """A customer's bank asks for the money back (webhooks/disputes.md). Its product is none of this service's."""

    id: str
    payment_id: str
    amount: int
    currency: str
    respond_by: int
    created_at: int


def notes_json(notes: dict[str, str]) -> dict[str, str] | list[str]:
    """Empty notes are an empty *list*, never `{}`: the trap every typed parser has to know (orders/fetch-all.md)."""
    return dict(notes) if notes else []
