"""The account's state: orders, payments and refunds, and every rule between them.

Nothing here waits: a method runs from its first line to its last on the event loop before another begins, so each is
atomic and the state needs no lock. `announce` is called at the moment of each event, for a snapshot of that moment.
"""

import secrets
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Final, Literal

from sandbox.gateway import identifiers, refusals, validation
from sandbox.gateway.entities import Dispute, Failure, Instrument, Order, Paying, Payment, Refund
from sandbox.gateway.faults import Faults

FEE_PERCENT: Final = 2
"""Razorpay's fee, before tax; most documented samples agree (5,000.00 costs 100.00, and 18.00 of tax)."""
GST_PERCENT: Final = 18
DAYS_TO_CONTEST: Final = 6
"""From a dispute's creation to its `respond_by`, about as in webhooks/disputes.md."""

type Announce = Callable[[str, Payment, Order, Refund | None], None]


class ImpossibleError(ValueError):
    """The stagehand asked for what no account comes to; the message says what is possible, and nothing has changed."""


class World:
    """One Razorpay account in test mode."""

    def __init__(self, announce: Announce, *, clock: Callable[[], float] = time.time) -> None:
        self.orders: dict[str, Order] = {}
        self.payments: dict[str, Payment] = {}
        self.refunds: dict[str, Refund] = {}
        self.disputes: dict[str, Dispute] = {}
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
        self.disputes.clear()
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
            Refusal: the order is paid, or held by an authorised payment (payments/orders.md), and `press` does not
                force its way in.
        """
        if not press.force:
            if order.status == "paid":
                raise refusals.order_already_paid(order.id)
            if any(other.status == "authorized" for other in self._payments_of_order[order.id]):
                raise refusals.payment_under_way(order.id)
        payment = Payment(
            id=identifiers.new("pay"),
            order_id=order.id,
            amount=order.amount if press.amount is None else press.amount,
            currency=press.currency or order.currency,
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
        if order.status != "paid":
            order.status = "attempted"
        if failure:
            self._announce("payment.failed", payment, order, None)
            return payment
        self._announce("payment.authorized", payment, order, None)
        if press.capture == "now" or (press.capture == "as_ordered" and order.captures_automatically):
            self._take(payment, order)
        return payment

    def authorize_late(self, payment: Payment, *, force: bool = False) -> Payment:
        """The bank's answer comes after all: a failed payment is authorised, and captured if its order so asked.

        On an order that another payment has paid it is sent back at once and never captured
        (payments/payments/late-authorisation).

        Args:
            payment: a failed one.
            force: capture it although the order is paid, as some accounts have met it: a duplicate capture.

        Raises:
            ImpossibleError: the payment has not failed, or force has nothing to overcome.
        """
        order = self.orders[payment.order_id]
        if payment.status != "failed":
            raise ImpossibleError(f"{payment.id} is {payment.status}; only a failed payment is authorised late")
        if force and order.status != "paid":
            raise ImpossibleError(f"force captures on a paid order; {order.id} is {order.status}")
        payment.status = "authorized"
        payment.failure = None
        payment.acquirer_data = _acquirer_data(payment.instrument, authorised=True)
        self._announce("payment.authorized", payment, order, None)
        if order.status == "paid" and not force:
            self.return_uncaptured(payment)
        elif order.captures_automatically or force:
            self._take(payment, order)
        return payment

    def capture_authorized(self, payment: Payment, *, force: bool = False) -> Payment:
        """Take authorised money, whole, as the merchant's dashboard or an automatic capture does.

        Args:
            payment: an authorised one.
            force: take it although another payment has paid the order.

        Raises:
            ImpossibleError: the payment is not authorised, or its order is paid and force is not given.
        """
        order = self.orders[payment.order_id]
        if payment.status != "authorized":
            raise ImpossibleError(f"{payment.id} is {payment.status}; only an authorized payment can be captured")
        if order.status == "paid" and not force:
            raise ImpossibleError(f"{order.id} is paid already; force makes a duplicate capture of it")
        self._take(payment, order)
        return payment

    def return_uncaptured(self, payment: Payment) -> Refund:
        """Send back what was authorised and never captured, as Razorpay does by itself after some days.

        Told as refund.created and refund.processed, with a payment whose `captured` is false (webhooks/refunds.md,
        "Identify Auto-Refunds").

        Raises:
            ImpossibleError: the payment is not authorised.
        """
        if payment.status != "authorized":
            raise ImpossibleError(f"{payment.id} is {payment.status}; only an authorized payment is refunded by itself")
        return self._send_back(payment, payment.amount, notes={}, receipt=None, speed="normal", at_once=True)

    def dispute(self, payment: Payment) -> Dispute:
        """The payment's dispute, opened over its whole amount when it is first asked for.

        Raises:
            ImpossibleError: no money was captured.
        """
        if not payment.captured:
            raise ImpossibleError(f"{payment.id} was never captured; only captured money can be disputed")
        if payment.id not in self.disputes:
            now = self._now()
            self.disputes[payment.id] = Dispute(
                identifiers.new("disp"),
                payment.id,
                payment.amount,
                payment.currency,
                respond_by=now + DAYS_TO_CONTEST * 86400,
                created_at=now,
            )
        return self.disputes[payment.id]

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
        was_paid = order.status == "paid"
        order.status = "paid"
        # Whatever the payment's own amount: a fee that the customer bears is no part of the order.
        order.amount_paid = order.amount
        # One fact, told twice under two event ids: receivers that count events count the money twice.
        self._announce("payment.captured", payment, order, None)
        if not was_paid:
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
        refund = self._send_back(
            payment,
            amount,
            notes=request.notes,
            receipt=request.receipt,
            speed=request.speed,
            at_once=self.faults.refunds == "processed",
        )
        if key is not None:
            self._refunds_by_key[key] = (payment.id, body, refund)
        return refund

    def refund_of_id(self, refund_id: str) -> Refund:
        """The refund of that id."""
        if not identifiers.well_formed("rfnd", refund_id):
            raise refusals.malformed_id(refund_id)
        if refund_id not in self.refunds:
            raise refusals.unknown_id()
        return self.refunds[refund_id]

    def refunds_of(self, payment: Payment) -> list[Refund]:
        """Every refund of the payment, failed ones included, oldest first."""
        return [refund for refund in self.refunds.values() if refund.payment_id == payment.id]

    def settle_refund(self, refund: Refund, outcome: Literal["processed", "failed"]) -> Refund:
        """The bank's answer to a pending refund; what a failed one held can be refunded again.

        Raises:
            ImpossibleError: the refund is not pending.
        """
        if refund.status != "pending":
            raise ImpossibleError(f"{refund.id} is {refund.status}; only a pending refund can be {outcome}")
        payment = self.payments[refund.payment_id]
        refund.status = outcome
        if outcome == "failed":
            payment.amount_refunded -= refund.amount
            payment.status = "captured"
        self._announce(f"refund.{outcome}", payment, self.orders[payment.order_id], refund)
        return refund

    def _send_back(  # noqa: PLR0913 - the parts of one refund
        self,
        payment: Payment,
        amount: int,
        *,
        notes: dict[str, str],
        receipt: str | None,
        speed: str,
        at_once: bool,
    ) -> Refund:
        refund = Refund(
            id=identifiers.new("rfnd"),
            payment_id=payment.id,
            amount=amount,
            currency=payment.currency,
            notes=notes,
            receipt=receipt,
            speed_requested=speed,
            created_at=self._now(),
            status="processed" if at_once else "pending",
        )
        self.refunds[refund.id] = refund
        payment.amount_refunded += amount
        if payment.amount_refunded == payment.amount:
            # `captured` stays what it was and the order stays paid (published measurement).
            payment.status = "refunded"
        order = self.orders[payment.order_id]
        self._announce("refund.created", payment, order, refund)
        if at_once:
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
