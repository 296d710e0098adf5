"""Make the refunds that are requested, each of them once: the steps around the decisions in `refunding`.

Read (strongly consistent) → decide → store the intent → ask Razorpay → record the refund. A process may die after any
step, and any answer may be lost. Whoever comes next, a repeated request or reconcile, finds the open intent. It first
reads the payment's list of refunds at Razorpay and looks for the intent in their notes. Only if it is not there, and
Razorpay was asked so long ago that the list would show it (`attention.RESEND_AFTER_S`), is the refund sent again, with
the same body and the same idempotency key. Razorpay does not confirm that its key works in test mode, so the key is
the second guard, not the first.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from copy import replace
from dataclasses import dataclass
from typing import Protocol

from payments.core.entities import ListedRefund
from payments.core.errors import (
    ContentionError,
    GatewayRefused,
    GatewayThrottled,
    GatewayUnavailable,
    KeyReused,
    KeysRefused,
    OrderNotFound,
    StorageConflict,
)
from payments.core.model import Record, RefundIntent
from payments.core.outbox import MAX_ROUNDS, RecordStore, record_facts
from payments.core.refunding import (
    GIVE_UP_AFTER_S,
    RefundRequest,
    asked,
    error_of,
    in_doubt,
    is_absent,
    is_reviewed,
    known_intent,
    known_refund,
    may_ask_again,
    not_taken,
    refund_of,
    refusal_of,
    refused,
    reserve,
)
from payments.core.transitions import Decision


class RefundGateway(Protocol):
    """The part of Razorpay's API that refunds need."""

    def create_refund(self, payment_id: str, amount_minor: int, intent_id: str) -> ListedRefund:
        """Refund a part of a captured payment, under an idempotency key, and return the refund."""
        ...

    def refunds_of(self, payment_id: str) -> Sequence[ListedRefund]:
        """Return every refund of a payment."""
        ...


@dataclass(frozen=True, slots=True)
class PaidBack:
    """What became of a request."""

    record: Record
    refund_id: str | None
    """None while only Razorpay knows whether the refund exists."""
    is_new: bool
    """Whether this request made it, rather than one before it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refunder:
    """Makes refunds. It publishes nothing: the events it records are left to the webhook and the outbox."""

    table: RecordStore
    gateway: RefundGateway

    def pay_back(self, order_id: str, request: RefundRequest, now: int) -> PaidBack:
        """Make the requested refund, or return what became of it if the request is a repetition.

        Raises:
            OrderNotFound: there is no such order.
            RefundNotPossible, InvalidRequest: see `refunding.reserve` and `refunding.error_of`.
            GatewayRefused, GatewayThrottled: Razorpay did not consider the request; it may be repeated.
            TableUnavailable, ContentionError: the refund may exist; repeating the request finds it.
        """
        for _ in range(MAX_ROUNDS):
            # A twin of this request, or another change of the record, was faster: the stored state decides.
            with suppress(StorageConflict):
                return self._pay_back(order_id, request, now)
        raise ContentionError(f"The record changed {MAX_ROUNDS} times while a refund was requested.")

    def _pay_back(self, order_id: str, request: RefundRequest, now: int) -> PaidBack:
        record = self.table.read(order_id)
        if record is None:
            raise OrderNotFound("no record")
        known = known_intent(record, request)
        if known is not None:
            return self._repeated(record, request.intent_id, known, now)
        refund_id = known_refund(record, request)
        if refund_id is not None:
            # Its intent was dropped, or is lost since a restore of the table.
            return PaidBack(record, refund_id, is_new=False)
        reserved = reserve(record, request, now)
        self.table.save(record, reserved)
        return self._sent_or_waiting(reserved, request.intent_id, None, now)

    def _repeated(self, record: Record, intent_id: str, known: RefundIntent, now: int) -> PaidBack:
        if known.refusal is not None:
            raise error_of(known.refusal)
        if not known.is_open:
            return PaidBack(record, known.refund_id, is_new=False)
        try:
            listed = self.gateway.refunds_of(known.payment_id)
        except GatewayUnavailable:
            return PaidBack(record, None, is_new=False)
        for refund in listed:
            if refund.intent == intent_id:
                found = record_facts(self.table, record.order_id, refund.facts(), now).record
                return PaidBack(found, refund.id, is_new=False)
        if not may_ask_again(known, now):
            return PaidBack(record, None, is_new=False)
        marked = asked(record, intent_id, now)
        self.table.save(record, marked)
        return self._sent_or_waiting(marked, intent_id, known.asked_at, now)

    def _sent_or_waiting(self, record: Record, intent_id: str, asked_before: int | None, now: int) -> PaidBack:
        try:
            sent = self._send(record, intent_id, asked_before, now)
        except GatewayThrottled:
            raise
        except GatewayUnavailable:
            return PaidBack(record, None, is_new=True)
        intent, made = sent.refund_intents.get(intent_id), refund_of(sent, intent_id)
        if intent is not None and intent.refusal is not None:
            raise error_of(intent.refusal)
        if made is not None:
            return PaidBack(sent, made[0], is_new=True)
        return PaidBack(sent, None if intent is None else intent.refund_id, is_new=True)

    def settle(self, record: Record, now: int) -> Record:
        """Send the open intents of a record again, whose refunds Razorpay's list of a moment ago does not show.

        Args:
            record: as stored, with everything that the list shows.
            now: epoch seconds, when the list was read.

        Raises:
            StorageConflict: the record changed meanwhile.
            GatewayUnavailable, GatewayRefused: a refund is still in doubt.
        """
        for intent_id in list(record.refund_intents):
            intent = record.refund_intents.get(intent_id)
            # Recording one answer reads the record again, which may have ended the next intent.
            if intent is None or not intent.is_open or not may_ask_again(intent, now):
                continue
            if is_reviewed(record, intent_id):
                continue
            marked = asked(record, intent_id, now)
            self.table.save(record, marked)
            try:
                record = self._send(marked, intent_id, intent.asked_at, now)
            except (GatewayUnavailable, GatewayRefused):
                if now - intent.requested_at < GIVE_UP_AFTER_S:
                    raise
                record = self._leave_in_doubt(record.order_id, intent_id, now)
        return record

    def _send(self, record: Record, intent_id: str, asked_before: int | None, now: int) -> Record:
        """Ask Razorpay for the refund of an intent that is stored as asked for, and record the answer.

        Args:
            record: as stored.
            intent_id: the intent.
            asked_before: when Razorpay was asked for it the time before; None if this is the first time.
            now: epoch seconds.

        Raises:
            GatewayThrottled, KeysRefused: Razorpay did not consider it, and it may be sent again at once.
            GatewayUnavailable: it may exist.
            KeyReused: likewise; a person must look.
        """
        intent, order_id = record.refund_intents[intent_id], record.order_id
        try:
            refund = self.gateway.create_refund(intent.payment_id, intent.amount_minor, intent_id)
        except (GatewayThrottled, KeysRefused):
            self._store(order_id, lambda stored: not_taken(stored, intent_id, asked_before, now))
            raise
        except KeyReused:
            self._leave_in_doubt(order_id, intent_id, now)
            raise
        except GatewayRefused as error:
            refusal = refusal_of(error, is_absent=is_absent(intent, asked_before, now))
            if refusal is None:
                raise GatewayUnavailable("Razorpay refused a refund that may exist.") from error
            return self._store(order_id, lambda stored: refused(stored, intent_id, refusal, now))
        # The answer to this intent's own key is its refund, whatever became of its notes.
        if refund.state is None:
            raise GatewayUnavailable("Razorpay's answer has a status that is not documented.")
        fact = replace(refund.as_refunded(refund.state), intent=intent_id)
        return record_facts(self.table, order_id, [fact], now).record

    def _leave_in_doubt(self, order_id: str, intent_id: str, now: int) -> Record:
        return self._store(order_id, lambda stored: in_doubt(stored, intent_id, now))

    def _store(self, order_id: str, change: Callable[[Record], Decision]) -> Record:
        """Change the stored record, whatever else changes it at the same time.

        Raises:
            ContentionError, TableUnavailable: the change may not be stored. The intent then stays open.
        """
        for _ in range(MAX_ROUNDS):
            stored = self.table.read(order_id)
            if stored is None:
                raise OrderNotFound("no record")
            decision = change(stored)
            if not decision.changed:
                return stored
            with suppress(StorageConflict):
                self.table.save(stored, decision.record)
                return decision.record
        raise ContentionError(f"The record changed {MAX_ROUNDS} times while a refund was recorded.")
