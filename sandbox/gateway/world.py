"""The account's state: orders, payments and refunds, and every rule between them.

Nothing here waits: a method runs from its first line to its last on the event loop before another begins, so each is
atomic and the state needs no lock. `announce` is called at the moment of each event, for a snapshot of that moment.
"""

import secrets
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Final

from sandbox.gateway import identifiers, refusals, validation
from sandbox.gateway.entities import Failure, Instrument, Order, Paying, Payment, Refund
from sandbox.gateway.faults import Faults

FEE_PERCENT: Final = 2
"""Razorpay's fee, before tax; most documented samples agree (5,000.00 costs 100.00, and 18.00 of tax)."""
GST_PERCENT: Final = 18

type Announce = Callable[[str, Payment, Order, Refund | None], None]


class World:
    """One Razorpay account in test mode."""

    def __init__(self, announce: Announce, *, clock: Callable[[], float] = time.time) -> None:
        self.orders: dict[str, Order] = {}
        self.payments: dict[str, Payment] = {}
        self.refunds: dict[str, Refund] = {}
        self.faults = Faults()
        self._announce = announce
        self._clock = clock
        self._payments_of_order: defaultdict[str, list[Payment]] = defaultdict(list)
        self._receipts: set[str] = set()
        self._refunds_by_key: dict[str, tuple[str, bytes, Refund]] = {}

    def forget(self) -> None:
        """Start over with an empty account."""
        self.orders.clear()
        self.payments.clear()
        self.refunds.clear()
        self._payments_of_order.clear()
        self._receipts.clear()
        self._refunds_by_key.clear()

    # --- orders ---

    def create_order(self, request: validation.OrderRequest) -> Order:
        """A new order, state `created`."""
        if self.faults.duplicate_receipts == "refuse" and request.receipt in self._receipts:
            raise refusals.reused_receipt()
        order = Order(
            id=identifiers.new("order"),
            amount=request.amount,
            currency=request.currency,
            receipt=request.receipt,
            notes=request.notes,
            captures_automatically=request.captures_automatically,
            created_at=self._now(),
        )
        self.orders[order.id] = order
        if request.receipt is not None:
            self._receipts.add(request.receipt)
        return order

    def order(self, order_id: str) -> Order:
        """The order of that id."""
        if not identifiers.well_formed("order", order_id):
            raise refusals.malformed_id(order_id)
        if order_id not in self.orders:
            raise refusals.unknown_id()
        return self.orders[order_id]

    def find_orders(self, query: validation.OrderQuery) -> list[Order]:
        """The newest orders that match; a receipt matches where it *contains* the asked one, as the docs have it."""
        return list(islice(self._matching(query), query.skip, query.skip + query.count))

    def payments_of(self, order: Order) -> list[Payment]:
        """Every attempt on the order, oldest first."""
        return list(self._payments_of_order[order.id])

    # --- payments ---

    def payment(self, payment_id: str) -> Payment:
        """The payment of that id."""
        if not identifiers.well_formed("pay", payment_id):
            raise refusals.malformed_id(payment_id)
        if payment_id not in self.payments:
            raise refusals.unknown_id()
        return self.payments[payment_id]

    def attempt(self, order: Order, press: Paying, failure: Failure | None) -> Payment:
        """The customer tries to pay the order; without a failure the money is authorised, and captured if so asked.

        Raises:
            Refusal: the order is paid, or held by an authorised payment (payments/orders.md).
        """
        if order.status == "paid":
            raise refusals.order_already_paid(order.id)
        if any(other.status == "authorized" for other in self._payments_of_order[order.id]):
            raise refusals.payment_under_way(order.id)
        payment = Payment(
            id=identifiers.new("pay"),
            order_id=order.id,
            amount=order.amount,
            currency=order.currency,
            status="failed" if failure else "authorized",
            instrument=press.instrument,
            customer=press.customer,
            description=press.description,
            notes=press.notes,
            acquirer_data=_acquirer_data(press.instrument, authorised=failure is None),
            created_at=self._now(),
            failure=failure,
        )
        self.payments[payment.id] = payment
        self._payments_of_order[order.id].append(payment)
        order.attempts += 1
        order.status = "attempted"
        if failure:
            self._announce("payment.failed", payment, order, None)
            return payment
        self._announce("payment.authorized", payment, order, None)
        if order.captures_automatically:
            self._take(payment, order)
        return payment

    def capture(self, payment: Payment, request: validation.CaptureRequest) -> Payment:
        """Take authorised money."""
        order = self.orders[payment.order_id]
        if payment.captured or order.status == "paid":
            raise refusals.order_already_paid(order.id, payment.id)
        if payment.status != "authorized":
            raise refusals.not_authorized()
        if request.amount != payment.amount:
            raise refusals.capture_differs()
        if request.currency != payment.currency:
            raise refusals.capture_currency_differs()
        self._take(payment, order)
        return payment

    def _take(self, payment: Payment, order: Order) -> None:
        payment.status = "captured"
        payment.captured = True
        fee = payment.amount * FEE_PERCENT // 100
        payment.tax = (fee * GST_PERCENT + 50) // 100  # to the nearest paisa, as the documented samples do
        payment.fee = fee + payment.tax
        order.status = "paid"
        order.amount_paid = payment.amount
        # One fact, told twice under two event ids: receivers that count events count the money twice.
        self._announce("payment.captured", payment, order, None)
        self._announce("order.paid", payment, order, None)

    # --- refunds ---

    def refund(self, payment: Payment, request: validation.RefundRequest, *, key: str | None, body: bytes) -> Refund:
        """Send captured money back.

        Args:
            payment: where it came from.
            request: how much, None for all that is left.
            key: the X-Refund-Idempotency header, already checked; repeating it repeats the answer and nothing else.
            body: the request's bytes, which a repetition must match.
        """
        if key is not None and key in self._refunds_by_key:
            payment_id, first_body, first = self._refunds_by_key[key]
            if (payment_id, first_body) != (payment.id, body):
                raise refusals.idempotency_key_reused()
            return first
        if not payment.captured:
            raise refusals.not_captured()
        rest = payment.amount - payment.amount_refunded
        if rest == 0:
            raise refusals.fully_refunded()
        amount = rest if request.amount is None else request.amount
        if amount > payment.amount:
            raise refusals.refund_above_capture()
        if amount > rest:
            raise refusals.refund_above_rest()
        refund = Refund(
            id=identifiers.new("rfnd"),
            payment_id=payment.id,
            amount=amount,
            currency=payment.currency,
            notes=request.notes,
            receipt=request.receipt,
            speed_requested=request.speed,
            created_at=self._now(),
        )
        self.refunds[refund.id] = refund
        if key is not None:
            self._refunds_by_key[key] = (payment.id, body, refund)
        payment.amount_refunded += amount
        if payment.amount_refunded == payment.amount:
            # `captured` stays true and the order stays paid (published measurement).
            payment.status = "refunded"
        order = self.orders[payment.order_id]
        self._announce("refund.created", payment, order, refund)
        self._announce("refund.processed", payment, order, refund)
        return refund

    def _matching(self, query: validation.OrderQuery) -> Iterator[Order]:
        newest_first: Iterable[Order] = reversed(self.orders.values())
        for order in newest_first:
            if query.receipt is not None and query.receipt not in (order.receipt or ""):
                continue
            if query.earliest is not None and order.created_at < query.earliest:
                continue
            if query.latest is not None and order.created_at > query.latest:
                continue
            if query.authorized is not None and query.authorized != self._was_authorised(order):
                continue
            yield order

    def _was_authorised(self, order: Order) -> bool:
        return any(payment.status != "failed" for payment in self._payments_of_order[order.id])

    def _now(self) -> int:
        return int(self._clock())


def _acquirer_data(instrument: Instrument, *, authorised: bool) -> dict[str, str | None]:
    """The bank's reference numbers, null while the bank has accepted nothing (webhooks/payments.md)."""
    match instrument.method:
        case "netbanking":
            return {"bank_transaction_id": _digits(7) if authorised else None}
        case "upi":
            return {"rrn": _digits(12) if authorised else None}
        case "card":
            return {"auth_code": _digits(6) if authorised else None, "rrn": _digits(12) if authorised else None}


def _digits(count: int) -> str:
    return "".join(secrets.choice("0123456789") for _ in range(count))
