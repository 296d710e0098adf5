"""The account's state: orders, payments and refunds, and the rules between them.

Nothing here waits: a method runs from start to end on the event loop before another starts, so each is atomic and the
state needs no lock. `announce` is called at the moment of each event, for a snapshot. Every change goes through
`World._happened`, which also keeps the story and the earlier states that lists may show.
"""

import secrets
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any, Final, Literal

from sandbox.gateway import identifiers, refusals, validation
from sandbox.gateway.entities import (
    NO_ANSWER,
    Dispute,
    DisputeMove,
    DisputePhase,
    Failure,
    Instrument,
    Order,
    Paying,
    Payment,
    Refund,
)
from sandbox.gateway.faults import Faults
from sandbox.gateway.history import History
from sandbox.gateway.settlements import Settlement, Settlements

FEE_PERCENT: Final = 2
"""Razorpay's fee, before tax; most documented samples agree (5,000.00 costs 100.00, plus 18.00 tax)."""
GST_PERCENT: Final = 18
ORDERS_ARE_FETCHED_FOR_S: Final = 180 * 86400
REFUNDED_FOR_S: Final = 183 * 86400
"""Six months: then most banks take no refund (payments/refunds/errors.md)."""
UNTOLD: Final = frozenset({"order.created", "payment.created", "payment.fee_reported"})
"""Part of the story without a webhook (webhooks/payments.md, webhooks/orders.md)."""
DAYS_TO_CONTEST: Final = 6
"""From a dispute's creation to its `respond_by`, roughly as in webhooks/disputes.md."""

type Announce = Callable[[str, Payment, Order, Refund | Dispute | None], None]


UNSETTLED: Final = frozenset({"created", "authorized"})
"""The states of a payment that do not last."""
FALLS_BACK: Final = 2468
"""The refund, in paise, whose instant processing fails in test mode (docs: "Test S2S", Refunds)."""


_DISPUTE_MOVES: Final[dict[str, frozenset[str]]] = {
    "open": frozenset({"under_review", "won", "lost", "closed"}),
    "under_review": frozenset({"action_required", "won", "lost", "closed"}),
}
"""What may follow each status of a dispute (webhooks/disputes.md); a decision is final (api/disputes/accept.md)."""


class ImpossibleError(ValueError):
    """The control request asks for the impossible. The message says what is possible; nothing changed."""


class World:
    """One Razorpay account in test mode."""

    def __init__(self, announce: Announce, *, clock: Callable[[], float] = time.time) -> None:
        self.orders: dict[str, Order] = {}
        self.payments: dict[str, Payment] = {}
        self.refunds: dict[str, Refund] = {}
        self.disputes: dict[str, Dispute] = {}
        self.settlements = Settlements()
        self.faults = Faults()
        self._announce = announce
        self._clock = clock
        self._payments_of_order: defaultdict[str, list[Payment]] = defaultdict(list)
        self._refunds_of_payment: defaultdict[str, list[Refund]] = defaultdict(list)
        self._order_of_receipt: dict[str, Order] = {}
        self._refunds_by_key: dict[str, tuple[str, bytes, Refund]] = {}
        self._unsettled: dict[str, Payment] = {}
        self._story: list[dict[str, Any]] = []
        self._earlier_orders = History[Order](replace)
        self._earlier_payments = History[Payment](replace)
        self._earlier_refunds = History[Refund](replace)
        self._earlier_disputes = History[Dispute](replace)

    def forget(self) -> None:
        """Start over with an empty account."""
        self.orders.clear()
        self.payments.clear()
        self.refunds.clear()
        self.disputes.clear()
        self.settlements.forget()
        self._payments_of_order.clear()
        self._refunds_of_payment.clear()
        self._order_of_receipt.clear()
        self._refunds_by_key.clear()
        self._unsettled.clear()
        self._story.clear()
        for earlier in (
            self._earlier_orders,
            self._earlier_payments,
            self._earlier_refunds,
            self._earlier_disputes,
        ):
            earlier.forget()

    def pass_time(self) -> None:
        """Let everything happen that is due by the clock. Call this before using the account.

        A payment whose bank has not answered in ten minutes becomes `failed` (payments/payments/late-authorisation.md).
        A payment that nobody has captured three days after its creation is returned
        (payments/payments/capture-settings.md). What happens late happens now: nothing is backdated.
        """
        now = self._clock()
        for payment in list(self._unsettled.values()):
            age_s = now - payment.created_at
            if payment.status == "created" and age_s >= self.faults.no_answer_after_s:
                self.answer(payment, NO_ANSWER)
            elif payment.status == "authorized" and age_s >= self.faults.auto_refund_after_s:
                self.return_uncaptured(payment)

    def ledger(self, order_id: str | None = None) -> dict[str, list[dict[str, Any]]]:
        """Return the account's contents and history: the truth that an independent oracle starts from.

        Args:
            order_id: only this order; None for all.

        Returns:
            `orders`, `payments`, `refunds` and `disputes` as the API shows them now, ignoring any lag; and `story`,
            everything that happened to money or state, in order: `at` (Unix seconds), `what` (`order.created`,
            `payment.authorized`, `refund.processed`, `payment.dispute.lost`, …), `order_id`, `payment_id`,
            `refund_id`, `dispute_id`, `amount` (of the refund, the dispute, the payment or the order that it is about,
            in minor units) and `currency`.

        Raises:
            Refusal: there is no such order.
        """
        orders = list(self.orders.values()) if order_id is None else [self.order(order_id)]
        payments = [payment for order in orders for payment in self.payments_of(order)]
        paid = {payment.id for payment in payments}
        return {
            "orders": [order.to_json() for order in orders],
            "payments": [payment.to_json() for payment in payments],
            "refunds": [refund.to_json() for refund in self.refunds.values() if refund.payment_id in paid],
            "disputes": [dispute.to_json() for dispute in self.disputes.values() if dispute.payment_id in paid],
            "story": [dict(entry) for entry in self._story if order_id in {None, entry["order_id"]}],
        }

    # --- orders ---

    def create_order(self, request: validation.OrderRequest) -> Order:
        """Create an order, or return the one with that receipt if the request says `unique_receipt`."""
        if self.faults.max_amount is not None and request.amount > self.faults.max_amount:
            raise refusals.amount_above_maximum()
        if request.receipt in self._order_of_receipt:
            if request.unique_receipt:
                return self._order_of_receipt[request.receipt]
            if self.faults.duplicate_receipts == "refuse":
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
            self._order_of_receipt.setdefault(request.receipt, order)
        self._happened("order.created", order)
        return order

    def order(self, order_id: str) -> Order:
        """Return the order with that id."""
        if not identifiers.well_formed("order", order_id):
            raise refusals.malformed_id(order_id)
        if order_id not in self.orders:
            raise refusals.unknown_id()
        return self.orders[order_id]

    def recent_order(self, order_id: str) -> Order:
        """Return the order with that id, as the API fetches it: not after 180 days (api/orders/fetch-with-id today)."""
        order = self.order(order_id)
        if self._clock() - order.created_at > ORDERS_ARE_FETCHED_FOR_S:
            raise refusals.too_old()
        return order

    def payments_of(self, order: Order) -> list[Payment]:
        """Return every attempt on the order, oldest first, as it is now."""
        return list(self._payments_of_order[order.id])

    def age_order(self, order: Order, age_s: int) -> Order:
        """Let the order have been created that long ago, without its payments: as if nobody had paid it since."""
        order.created_at = int(self._clock()) - age_s
        oldest_first = sorted(self.orders.values(), key=lambda one: one.created_at)
        self.orders.clear()
        self.orders.update({one.id: one for one in oldest_first})
        self._earlier_orders.note(order, self._clock())
        return order

    # --- lists, which may lag ---

    def list_orders(self, query: validation.OrderQuery) -> list[Order]:
        """Return the newest orders that match. As in the docs, a receipt matches if it *contains* the given text."""
        newest_first = reversed(self.orders.values())
        shown = self._shown(newest_first, self._earlier_orders, self.faults.lists_lag_s)
        return _page((order for order in shown if self._matches(order, query)), query)

    def list_payments(self, query: validation.ListQuery) -> list[Payment]:
        """Return the account's payments, newest first (api/payments/fetch-all-payments.md)."""
        newest_first = reversed(self.payments.values())
        return _page(self._shown(newest_first, self._earlier_payments, self.faults.lists_lag_s), query)

    def list_refunds(self, query: validation.ListQuery) -> list[Refund]:
        """Return the account's refunds, newest first (api/refunds/fetch-all.md)."""
        newest_first = reversed(self.refunds.values())
        lag_s = max(self.faults.lists_lag_s, self.faults.refund_lists_lag_s)
        return _page(self._shown(newest_first, self._earlier_refunds, lag_s), query)

    def list_disputes(self, query: validation.ListQuery) -> list[Dispute]:
        """Return the account's disputes, newest first as in the sample (api/disputes/fetch-all.md)."""
        newest_first = reversed(self.disputes.values())
        return _page(self._shown(newest_first, self._earlier_disputes, self.faults.lists_lag_s), query)

    def list_refunds_of(self, payment: Payment, query: validation.ListQuery) -> list[Refund]:
        """Return all the payment's refunds, oldest first (api/refunds/fetch-multiple-refund-payment.md)."""
        oldest_first = self._refunds_of_payment[payment.id]
        return _page(self._shown(oldest_first, self._earlier_refunds, self.faults.refund_lists_lag_s), query)

    def list_payments_of(self, order: Order) -> list[Payment]:
        """Return every attempt on the order, oldest first (api/orders/fetch-payments.md)."""
        lag_s = self.faults.order_payments_lag_s
        return list(self._shown(self._payments_of_order[order.id], self._earlier_payments, lag_s))

    def expand_payments_of(self, order: Order) -> list[Payment]:
        """Return the attempts in the list of orders, as old as the list (api/orders/fetch-all-expanded-payments.md)."""
        lag_s = max(self.faults.lists_lag_s, self.faults.order_payments_lag_s)
        return list(self._shown(self._payments_of_order[order.id], self._earlier_payments, lag_s))

    def _shown[T: (Order, Payment, Refund, Dispute)](
        self, entities: Iterable[T], earlier: History[T], lag_s: float
    ) -> Iterator[T]:
        return earlier.shown(entities, self._clock() - lag_s) if lag_s else iter(entities)

    def _matches(self, order: Order, query: validation.OrderQuery) -> bool:
        if query.receipt is not None and query.receipt not in (order.receipt or ""):
            return False
        return query.authorized is None or query.authorized == any(
            payment.status not in {"created", "failed"} for payment in self.expand_payments_of(order)
        )

    # --- payments ---

    def payment(self, payment_id: str) -> Payment:
        """Return the payment with that id."""
        if not identifiers.well_formed("pay", payment_id):
            raise refusals.malformed_id(payment_id)
        if payment_id not in self.payments:
            raise refusals.unknown_id()
        return self.payments[payment_id]

    def attempt(self, order: Order, press: Paying, failure: Failure | None) -> Payment:
        """Let the customer try to pay the order. Without a failure the money is authorized, and captured if requested.

        If `press` is `open`, the payment stays `created`: the customer is in the bank's app.

        Raises:
            Refusal: the order is paid, or held by an authorized payment (payments/orders.md), and `press` does not
                use force.
            ImpossibleError: the offer cannot be combined with this payment (payments/offers.md).
        """
        if not press.force:
            if order.status == "paid":
                raise refusals.order_already_paid(order.id)
            if any(other.status == "authorized" for other in self._payments_of_order[order.id]):
                raise refusals.payment_under_way(order.id)
        amount, charges = self._sum(order, press)
        payment = Payment(
            id=identifiers.new("pay"),
            order_id=order.id,
            amount=amount,
            currency=press.currency or order.currency,
            status="created",
            instrument=press.instrument,
            customer=press.customer,
            description=press.description,
            notes=press.notes,
            acquirer_data=_acquirer_data(press.instrument, authorised=False),
            created_at=self._now(),
            charges=charges,
            captures_automatically={"as_ordered": order.captures_automatically, "now": True, "later": False}[
                press.capture
            ],
            offer_id=None if press.offer is None else identifiers.new("offer"),
        )
        self.payments[payment.id] = payment
        self._payments_of_order[order.id].append(payment)
        self._happened("payment.created", order, payment)
        return payment if press.open else self.answer(payment, failure, force=press.force)

    def answer(self, payment: Payment, failure: Failure | None, *, force: bool = False) -> Payment:
        """Apply the bank's answer to a pending payment.

        Only now does it count as an attempt on its order, which goes from `created` to `attempted`
        (payments/payment-gateway/web-integration/standard/integration-steps.md, payment stages). If another payment has
        paid the order in the meantime, it is returned at once, like one that is authorized late.

        Args:
            payment: a payment with status `created`.
            failure: why it failed; None if the money is authorized.
            force: leave it authorized, or capture it as requested, even if the order is paid: a duplicate capture.

        Raises:
            ImpossibleError: the payment is not pending.
        """
        order = self.orders[payment.order_id]
        if payment.status != "created":
            raise ImpossibleError(f"{payment.id} is {payment.status}; only a created payment waits for its bank")
        order.attempts += 1
        if order.status != "paid":
            order.status = "attempted"
        if failure is None:
            return self._authorize(payment, order, captures=payment.captures_automatically, force=force)
        payment.status = "failed"
        payment.failure = failure
        self._happened("payment.failed", order, payment)
        return payment

    def authorize_late(self, payment: Payment, *, force: bool = False) -> Payment:
        """Apply the bank's late answer: a failed payment is authorized, and captured if its order requests that.

        If another payment has paid the order, it is returned at once and never captured
        (payments/payments/late-authorisation). It may be of any age.

        Args:
            payment: a failed payment.
            force: capture it even if the order is paid, as some accounts have seen: a duplicate capture.

        Raises:
            ImpossibleError: the payment has not failed, or force has nothing to overcome.
        """
        order = self.orders[payment.order_id]
        if payment.status != "failed":
            raise ImpossibleError(f"{payment.id} is {payment.status}; only a failed payment is authorised late")
        if force and order.status != "paid":
            raise ImpossibleError(f"force captures on a paid order; {order.id} is {order.status}")
        payment.failure = None
        payment.late_authorized = True
        return self._authorize(payment, order, captures=payment.captures_automatically or force, force=force)

    def _authorize(self, payment: Payment, order: Order, *, captures: bool, force: bool) -> Payment:
        payment.status = "authorized"
        payment.acquirer_data = _acquirer_data(payment.instrument, authorised=True)
        order.offer_id = payment.offer_id or order.offer_id
        self._happened("payment.authorized", order, payment)
        if order.status == "paid" and not force:
            self.return_uncaptured(payment)
        elif captures:
            self._take(payment, order)
        return payment

    def _sum(self, order: Order, press: Paying) -> tuple[int, tuple[int, int]]:
        """Return what the customer pays, and Razorpay's fee and tax on it, in minor units.

        A fee that the customer bears is calculated on the order's amount and added to it. Only INR supports that
        (payments/dashboard/account-settings/configuration/convenience-fees.md).
        """
        customer_pays = self.faults.fee_bearer == "customer" and order.currency == "INR"
        if press.offer is not None:
            if customer_pays or order.currency != "INR":
                raise ImpossibleError(
                    "an offer cannot be combined with a fee that the customer bears or with a currency but INR"
                )
            if press.offer >= order.amount:
                raise ImpossibleError(f"an offer must leave something to pay: {order.id} is for {order.amount}")
            amount = order.amount - press.offer
            return amount, _charges(amount)
        if press.amount is not None or not customer_pays:
            amount = press.amount or order.amount
            return amount, _charges(amount)
        fee, tax = _charges(order.amount)
        return order.amount + fee, (fee, tax)

    def capture_authorized(self, payment: Payment, *, force: bool = False) -> Payment:
        """Capture the whole authorized amount, as the merchant's dashboard or an automatic capture does.

        Args:
            payment: an authorized payment.
            force: capture it even if another payment has paid the order.

        Raises:
            ImpossibleError: the payment is not authorized, or its order is paid and force is not given.
        """
        order = self.orders[payment.order_id]
        if payment.status != "authorized":
            raise ImpossibleError(f"{payment.id} is {payment.status}; only an authorized payment can be captured")
        if order.status == "paid" and not force:
            raise ImpossibleError(f"{order.id} is already paid; force makes a duplicate capture of it")
        self._take(payment, order)
        return payment

    def return_uncaptured(self, payment: Payment) -> Refund:
        """Return a payment that was authorized and never captured, as Razorpay does by itself after some days.

        Sends refund.created and refund.processed, with a payment whose `captured` is false (webhooks/refunds.md,
        "Identify Auto-Refunds").

        Raises:
            ImpossibleError: the payment is not authorized.
        """
        if payment.status != "authorized":
            raise ImpossibleError(
                f"{payment.id} is {payment.status}; only an authorized payment is refunded automatically"
            )
        return self._send_back(payment, payment.amount, notes={}, receipt=None, speed="normal", at_once=True)

    def open_dispute(
        self, payment: Payment, *, amount: int | None = None, phase: DisputePhase = "chargeback"
    ) -> Dispute:
        """Open a dispute about captured money, as a customer or a bank does. A payment may have several.

        A won chargeback that is challenged again is another dispute (api/disputes/fetch-all.md, sample).

        Args:
            payment: the payment.
            amount: the sum in dispute, in minor units; all of it by default.
            phase: one of Razorpay's phases.

        Raises:
            ImpossibleError: no money was captured, or not that much.
        """
        if not payment.captured:
            raise ImpossibleError(f"{payment.id} was never captured; only captured money can be disputed")
        if amount is not None and not 0 < amount <= payment.amount:
            raise ImpossibleError(f"{payment.id} is over {payment.amount}; amount can be 1 to that")
        now = self._now()
        dispute = Dispute(
            identifiers.new("disp"),
            payment.id,
            payment.amount if amount is None else amount,
            payment.currency,
            respond_by=now + DAYS_TO_CONTEST * 86400,
            created_at=now,
            phase=phase,
        )
        self.disputes[dispute.id] = dispute
        self._dispute_happened("created", dispute)
        return dispute

    def dispute_of_id(self, dispute_id: str) -> Dispute:
        """Return the dispute with that id."""
        if not identifiers.well_formed("disp", dispute_id):
            raise refusals.malformed_id(dispute_id)
        if dispute_id not in self.disputes:
            raise refusals.unknown_id()
        return self.disputes[dispute_id]

    def move_dispute(self, dispute: Dispute, to: DisputeMove, *, deducted: int | None = None) -> Dispute:
        """Submit evidence, have it sent back, or decide.

        Args:
            dispute: the dispute.
            to: `under_review` (the merchant contests it), `action_required` (the evidence is insufficient: it is open
                again), `won`, `lost` (also when the merchant accepts it, api/disputes/accept.md), or `closed`, in the
                phase `fraud` only (payments/disputes.md).
            deducted: what a loss takes, in minor units; the sum in dispute by default.

        Raises:
            ImpossibleError: that cannot follow, because "Action not allowed when dispute is in won status", and so on.
        """
        allowed = _DISPUTE_MOVES.get(dispute.status, frozenset())
        if to not in allowed:
            possible = ", ".join(sorted(allowed)) or "nothing, it is decided"
            raise ImpossibleError(f"{dispute.id} is {dispute.status}; what can follow is: {possible}")
        if to == "closed" and dispute.phase != "fraud":
            raise ImpossibleError(f"{dispute.id} is a {dispute.phase}; only a dispute of the phase fraud is closed")
        if deducted is not None and (to != "lost" or not 0 <= deducted <= dispute.amount):
            raise ImpossibleError(
                f"a loss takes 0 to {dispute.amount} of {dispute.id}, and nothing else takes anything"
            )
        dispute.status = "open" if to == "action_required" else to
        if to == "lost":
            dispute.amount_deducted = dispute.amount if deducted is None else deducted
        self._dispute_happened(to, dispute)
        return dispute

    def _dispute_happened(self, what: str, dispute: Dispute) -> None:
        """Keep the new state and its place in the story, and notify the merchant.

        A loss leaves the payment as it is: `amount_refunded` is the same in the samples before and after it.
        """
        payment = self.payments[dispute.payment_id]
        order = self.orders[payment.order_id]
        self._earlier_disputes.note(dispute, self._clock())
        self._tell(f"payment.dispute.{what}", order, payment, dispute)
        self._announce(f"payment.dispute.{what}", payment, order, dispute)

    def capture(self, payment: Payment, request: validation.CaptureRequest) -> Payment:
        """Capture an authorized payment."""
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
        if self.faults.fee_reported == "at_capture":
            payment.fee, payment.tax = payment.charges
        was_paid = order.status == "paid"
        order.status = "paid"
        # Whatever the payment's own amount: a fee that the customer bears is not part of the order.
        order.amount_paid = order.amount
        # One fact, sent twice with two event ids: receivers that count events count the money twice.
        self._happened("payment.captured", order, payment)
        if not was_paid:
            self._happened("order.paid", order, payment)

    def report_fee(self, payment: Payment) -> Payment:
        """Report what Razorpay charged for a captured payment; no event reports it.

        Raises:
            ImpossibleError: there is nothing to report, or it has been reported.
        """
        if not payment.captured:
            raise ImpossibleError(f"{payment.id} was never captured; only captured money has a fee")
        if payment.fee is not None:
            raise ImpossibleError(f"the fee of {payment.id} is already reported")
        payment.fee, payment.tax = payment.charges
        self._happened("payment.fee_reported", self.orders[payment.order_id], payment)
        return payment

    # --- refunds ---

    def refund(self, payment: Payment, request: validation.RefundRequest, *, key: str | None, body: bytes) -> Refund:
        """Refund captured money.

        Args:
            payment: the payment to refund.
            request: the amount; None for all that is left.
            key: the X-Refund-Idempotency header, already validated. Repeating it repeats the answer and nothing else.
            body: the request's bytes, which a repetition must match.
        """
        if self.faults.refund_keys == "ignored":
            key = None
        if key is not None and key in self._refunds_by_key:
            payment_id, first_body, first = self._refunds_by_key[key]
            if (payment_id, first_body) != (payment.id, body):
                raise refusals.idempotency_key_reused()
            return first
        refund = self._send_back(
            payment,
            self._refundable(payment, request.amount),
            notes=request.notes,
            receipt=request.receipt,
            speed=request.speed,
            at_once=self.faults.refunds == "processed",
        )
        if key is not None:
            self._refunds_by_key[key] = (payment.id, body, refund)
        return refund

    def _refundable(self, payment: Payment, requested: int | None) -> int:
        """Return how much a refund gives back, or refuse it."""
        if not payment.captured:
            raise refusals.not_captured()
        rest = payment.amount - payment.amount_refunded
        if rest == 0:
            raise refusals.fully_refunded()
        amount = rest if requested is None else requested
        if amount > payment.amount:
            raise refusals.refund_above_capture()
        if amount > rest:
            raise refusals.refund_above_rest()
        if self._clock() - payment.created_at > REFUNDED_FOR_S:
            raise refusals.too_old_to_refund()
        if self.faults.balance == "insufficient":
            raise refusals.insufficient_balance()
        return amount

    def refund_of_id(self, refund_id: str) -> Refund:
        """Return the refund with that id."""
        if not identifiers.well_formed("rfnd", refund_id):
            raise refusals.malformed_id(refund_id)
        if refund_id not in self.refunds:
            raise refusals.unknown_id()
        return self.refunds[refund_id]

    def settle_refund(self, refund: Refund, outcome: Literal["processed", "failed"]) -> Refund:
        """Apply the bank's answer to a pending refund. The amount of a failed refund can be refunded again.

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
        self._happened(f"refund.{outcome}", self.orders[payment.order_id], payment, refund)
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
        falls_back = (speed, amount, payment.currency) == ("optimum", FALLS_BACK, "INR")
        refund = Refund(
            id=identifiers.new("rfnd"),
            payment_id=payment.id,
            amount=amount,
            currency=payment.currency,
            notes=notes,
            receipt=receipt,
            speed_requested=speed,
            created_at=self._now(),
            status="processed" if at_once and not falls_back else "pending",
            speed_processed="instant" if falls_back else "normal",
        )
        self.refunds[refund.id] = refund
        self._refunds_of_payment[payment.id].append(refund)
        payment.amount_refunded += amount
        if payment.amount_refunded == payment.amount:
            # `captured` keeps its value and the order stays paid (published measurement).
            payment.status = "refunded"
        order = self.orders[payment.order_id]
        self._happened("refund.created", order, payment, refund)
        if falls_back:
            refund.speed_processed = "normal"
            self._happened("refund.speed_changed", order, payment, refund)
        if at_once:
            refund.status = "processed"
            self._happened("refund.processed", order, payment, refund)
        return refund

    # --- settlements ---

    def settle(self, at: int | None = None, adjustments: Sequence[validation.AdjustmentRequest] = ()) -> Settlement:
        """Pay out what is not settled yet, now or as if at another time; see `Settlements.settle`."""
        when = self._now() if at is None else at
        return self.settlements.settle(
            self.orders,
            self.payments,
            self.refunds.values(),
            self.disputes.values(),
            at=when,
            adjustments=adjustments,
        )

    def _happened(self, what: str, order: Order, payment: Payment | None = None, refund: Refund | None = None) -> None:
        """Keep the new state and its place in the story, and notify the merchant if there is an event of that name."""
        now = self._clock()
        self._earlier_orders.note(order, now)
        if payment is not None:
            self._earlier_payments.note(payment, now)
            if payment.status in UNSETTLED:
                self._unsettled[payment.id] = payment
            else:
                self._unsettled.pop(payment.id, None)
        if refund is not None:
            self._earlier_refunds.note(refund, now)
        self._tell(what, order, payment, refund)
        if payment is not None and what not in UNTOLD:
            self._announce(what, payment, order, refund)

    def _tell(self, what: str, order: Order, payment: Payment | None, about: Refund | Dispute | None) -> None:
        subject = order if payment is None or what.startswith("order.") else about or payment
        self._story.append(
            {
                "at": int(self._clock()),
                "what": what,
                "order_id": order.id,
                "payment_id": payment.id if payment else None,
                "refund_id": about.id if isinstance(about, Refund) else None,
                "dispute_id": about.id if isinstance(about, Dispute) else None,
                "amount": subject.amount,
                "currency": subject.currency,
            }
        )

    def _now(self) -> int:
        return int(self._clock())


def _charges(amount: int) -> tuple[int, int]:
    """Return Razorpay's fee for that amount, tax included, and the tax in it, in minor units."""
    fee = amount * FEE_PERCENT // 100
    tax = (fee * GST_PERCENT + 50) // 100  # to the nearest paisa, as the documented samples do
    return fee + tax, tax


def _page[T: (Order, Payment, Refund, Dispute)](entities: Iterator[T], query: validation.ListQuery) -> list[T]:
    """Return those created in the requested period, cut to the requested page."""
    matching = (
        entity
        for entity in entities
        if (query.earliest is None or entity.created_at >= query.earliest)
        and (query.latest is None or entity.created_at <= query.latest)
    )
    return list(islice(matching, query.skip, query.skip + query.count))


def _acquirer_data(instrument: Instrument, *, authorised: bool) -> dict[str, str | None]:
    """Return the bank's reference numbers; null while the bank has accepted nothing (webhooks/payments.md)."""
    match instrument.method:
        case "netbanking":
            return {"bank_transaction_id": _digits(7) if authorised else None}
        case "upi":
            return {"rrn": _digits(12) if authorised else None}
        case "card":
            return {"auth_code": _digits(6) if authorised else None, "rrn": _digits(12) if authorised else None}


def _digits(count: int) -> str:
    return "".join(secrets.choice("0123456789") for _ in range(count))
