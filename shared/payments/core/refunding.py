"""Decide about the refunds that are requested from us: what may be refunded, and what a repeated request gets.

A request becomes an **intent** in the record before Razorpay is asked, and reserves its amount from then on. Its id is
derived from the order and the caller's idempotency key, and is part of the refund's notes. So whoever reads the refund
later, in a webhook, a list or an answer, knows which intent it fulfils, and a request that is repeated after a lost
answer finds its refund again.

An intent is `open` until Razorpay's answer is known. `facts` turns it into `made` when its refund appears, from
wherever; `refused` is Razorpay's no, which frees the amount.
"""

import json
from collections.abc import Mapping
from copy import replace
from dataclasses import dataclass
from decimal import Decimal
from hashlib import sha256
from typing import Final
from uuid import UUID, uuid5

from payments.core import attention
from payments.core.announcements import Recorder
from payments.core.errors import (
    AmountRefused,
    BalanceInsufficient,
    BalanceTooLow,
    FieldError,
    FullyRefunded,
    GatewayRefused,
    IdempotencyConflict,
    InvalidRequest,
    NotCaptured,
    NothingToRefund,
    OrderNotFound,
    PaymentServiceError,
    PaymentTooOld,
    RefundNotAccepted,
    RefundTooOld,
    TooManyRefunds,
)
from payments.core.model import (
    IntentState,
    Later,
    Mandate,
    Record,
    Refund,
    RefundIntent,
    RefundReason,
    RefundRefusal,
    RefundState,
)
from payments.core.money import EXPONENT_BY_CURRENCY, MIN_MAJOR, to_minor_units
from payments.core.position import Position
from payments.core.transitions import Decision, with_version

MAX_INTENTS: Final = 50
"""How many intents a record keeps, at about 300 bytes each. One that is made is dropped first: its refund names it."""
GIVE_UP_AFTER_S: Final = 24 * 60 * 60
"""How long an unanswered refund is sent again by itself. After that a person decides."""
# 128 bits tell any two bodies apart. A whole SHA-256 would look like one of Razorpay's signatures.
_FINGERPRINT_CHARS: Final = 32
_BAD_REQUEST: Final = 400
_SERVER_ERROR: Final = 500
# A timeout and a conflict of one request with another say nothing about what became of either.
_SAY_NOTHING: Final = frozenset({408, 409})

# Any fixed UUID works; changing it would let a key that was used before make a second refund.
_NAMESPACE: Final = UUID("0d8ccbd8-5b0a-5c9c-8d0e-3c6c9e0b1a52")


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundRequest:
    """A valid request for a refund of one order."""

    intent_id: str
    fingerprint: str
    amount: Decimal | None
    """In major units; None for what remains."""
    payment: str | None
    """The Razorpay payment; None for the one that stands."""
    reason: RefundReason | None
    by: Mandate | None = None
    """Who requests it, and why, if an AWS signature says so. A repetition by somebody else is the same request."""

    @classmethod
    def of(  # noqa: PLR0913 - the parts of a request
        cls,
        order_id: str,
        key: str,
        *,
        amount: Decimal | None,
        payment: str | None,
        reason: RefundReason | None,
        by: Mandate | None = None,
    ) -> "RefundRequest":
        """Return the request under this idempotency key. The key itself is not kept: callers choose what is in it."""
        # 500 and 500.00 are the same amount.
        plain = None if amount is None else format(amount.normalize(), "f")
        body = json.dumps([plain, payment, reason])
        return cls(
            intent_id=str(uuid5(_NAMESPACE, f"{order_id}|{key}")),
            fingerprint=sha256(body.encode()).hexdigest()[:_FINGERPRINT_CHARS],
            amount=amount,
            payment=payment,
            reason=reason,
            by=by,
        )


# --- the decision ---------------------------------------------------------------------------------------------------


def known_intent(record: Record, request: RefundRequest) -> RefundIntent | None:
    """Return the intent of an earlier request under the same key, or None.

    Raises:
        IdempotencyConflict: the earlier request had another body.
    """
    known = record.refund_intents.get(request.intent_id)
    if known is not None and known.fingerprint != request.fingerprint:
        raise IdempotencyConflict("the key was used for another request")
    return known


def refund_of(record: Record, intent_id: str) -> tuple[str, Refund] | None:
    """Return the refund that fulfils an intent, with its id, or None. It is found even if the intent was dropped."""
    return next(((key, refund) for key, refund in record.refunds.items() if refund.intent == intent_id), None)


def known_refund(record: Record, request: RefundRequest) -> str | None:
    """Return the id of an earlier request's refund, even if its intent was dropped or lost, or None.

    Raises:
        IdempotencyConflict: the refund is of another payment or amount.
    """
    known = refund_of(record, request.intent_id)
    if known is None:
        return None
    refund_id, refund = known
    currency = shown(record, request.intent_id).currency
    is_other_amount = (
        request.amount is not None and request.amount.scaleb(EXPONENT_BY_CURRENCY[currency]) != refund.amount_minor
    )
    if is_other_amount or request.payment not in (None, refund.payment_id):
        raise IdempotencyConflict("the key was used for another refund")
    return refund_id


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownRefund:
    """What is known of a requested refund."""

    payment_id: str
    amount_minor: int
    currency: str
    state: RefundState
    """`created` while only Razorpay knows more."""


def shown(record: Record, intent_id: str) -> ShownRefund:
    """Return what is known of a requested refund.

    Raises:
        KeyError: the record has neither the intent nor its refund.
    """
    made = refund_of(record, intent_id)
    about = record.refund_intents[intent_id] if made is None else made[1]
    return ShownRefund(
        payment_id=about.payment_id,
        amount_minor=about.amount_minor,
        currency=record.attempts[about.payment_id].currency or record.agreed().currency,
        state=RefundState.CREATED if made is None else made[1].state,
    )


def reserve(record: Record, request: RefundRequest, now: int) -> Record:
    """Return the record with the intent of a new request, which reserves its amount.

    Raises:
        OrderNotFound: the record has no order: nobody knows whose it is.
        NothingToRefund: nothing remains of the payment, or there is none.
        InvalidRequest: the amount or the payment is not possible.
        TooManyRefunds: the record cannot keep another intent.
    """
    if record.order is None:
        raise OrderNotFound("whose order it is is unknown")
    payment = _payment(record, request)
    intent = RefundIntent(
        payment_id=payment,
        amount_minor=_amount_minor(record, payment, request),
        reason=request.reason,
        fingerprint=request.fingerprint,
        requested_at=now,
        asked_at=now,
    )
    intents = {**_with_room(record), request.intent_id: intent}
    return _changed(record, intents, f"refund requested {payment}", now, request.by)


def _payment(record: Record, request: RefundRequest) -> str:
    position = Position.of(record)
    if request.payment is not None:
        if request.payment not in record.attempts or not record.attempts[request.payment].captured:
            raise InvalidRequest([FieldError("razorpay_payment_id", "must be a captured payment of this order")])
        return request.payment
    payment = position.standing
    if payment is None:
        raise NothingToRefund("no payment stands")
    return payment


def _amount_minor(record: Record, payment: str, request: RefundRequest) -> int:
    currency = record.attempts[payment].currency
    if currency is None or currency not in EXPONENT_BY_CURRENCY:
        raise NothingToRefund("captured in a currency that we cannot count in")
    rest = Position.of(record).remaining_minor(payment)
    # Razorpay refuses less than 1.00 INR; a smaller rest cannot be refunded at all.
    if rest < to_minor_units(MIN_MAJOR, currency):
        raise NothingToRefund("nothing remains")
    if request.amount is None:
        return rest
    try:
        amount_minor = to_minor_units(request.amount, currency)
    except ValueError as error:
        raise InvalidRequest([FieldError("amount", str(error))]) from None
    if amount_minor > rest:
        raise InvalidRequest([FieldError("amount", "is more than what remains of the payment")])
    return amount_minor


def _with_room(record: Record) -> dict[str, RefundIntent]:
    """Return the intents with room for one more.

    Raises:
        TooManyRefunds: none can be dropped without forgetting what a repeated request must get.
    """
    intents = dict(record.refund_intents)
    if len(intents) < MAX_INTENTS:
        return intents
    droppable = [key for key, intent in intents.items() if _is_told_by_refund(record, key, intent)]
    if not droppable:
        raise TooManyRefunds(f"the record has {MAX_INTENTS} intents that it must keep")
    del intents[min(droppable, key=lambda key: (intents[key].requested_at, key))]
    return intents


def _is_told_by_refund(record: Record, intent_id: str, intent: RefundIntent) -> bool:
    return intent.state is IntentState.MADE and refund_of(record, intent_id) is not None


# --- what Razorpay made of it -----------------------------------------------------------------------------------------


def may_ask_again(intent: RefundIntent, now: int) -> bool:
    """Return whether a refund that no list shows certainly does not exist, so that it may be requested again."""
    return intent.asked_at is None or now - intent.asked_at >= attention.RESEND_AFTER_S


def is_absent(intent: RefundIntent, asked_before: int | None, now: int) -> bool:
    """Return whether a refund that is being sent certainly does not exist yet.

    Either Razorpay was never asked for it, or a list of a day later does not show it. Otherwise a refusal would never
    end an intent whose call got lost while the money was refunded elsewhere.
    """
    return asked_before is None or now - intent.requested_at >= GIVE_UP_AFTER_S


def asked(record: Record, intent_id: str, now: int) -> Record:
    """Return the record with an intent that Razorpay is about to be asked for again.

    Storing it before the call, conditionally, keeps two callers from asking at once.
    """
    intent = record.refund_intents[intent_id]
    intents = {**record.refund_intents, intent_id: replace(intent, asked_at=now)}
    return _changed(record, intents, f"refund requested again {intent.payment_id}", now)


def not_taken(record: Record, intent_id: str, asked_before: int | None, now: int) -> Decision:
    """Return the record with an intent that Razorpay did not consider: throttled, or our keys are wrong.

    Args:
        record: as stored.
        intent_id: the intent.
        asked_before: when Razorpay was asked the time before; None if it was the first time.
        now: epoch seconds.
    """
    intent = record.refund_intents.get(intent_id)
    if intent is None or not intent.is_open:
        return Decision(record=record, changed=False)
    intents = {**record.refund_intents, intent_id: replace(intent, asked_at=asked_before)}
    return Decision(record=_changed(record, intents, f"refund not taken {intent.payment_id}", now), changed=True)


def refused(record: Record, intent_id: str, refusal: RefundRefusal, now: int) -> Decision:
    """Return the record with an intent that Razorpay refused. Its amount is free again."""
    intent = record.refund_intents.get(intent_id)
    if intent is None or not intent.is_open:
        return Decision(record=record, changed=False)
    ended = replace(intent, state=IntentState.REFUSED, refusal=refusal)
    changed = _changed(record, {**record.refund_intents, intent_id: ended}, f"refund refused {intent.payment_id}", now)
    recorder = Recorder(changed, now)
    for place, review in enumerate(record.reviews):
        if (review.reason, review.subject) == ("refund_in_doubt", intent_id) and review.is_open:
            recorder.resolve(place, "known")
    return _recorded(changed, recorder, now)


def is_reviewed(record: Record, intent_id: str) -> bool:
    """Return whether a person was asked what became of an intent. It is no longer sent again by itself then."""
    return any((review.reason, review.subject) == ("refund_in_doubt", intent_id) for review in record.reviews)


def in_doubt(record: Record, intent_id: str, now: int) -> Decision:
    """Return the record with a review of an intent whose refund may or may not exist, unless there has been one."""
    intent = record.refund_intents.get(intent_id)
    if intent is None or not intent.is_open:
        return Decision(record=record, changed=False)
    changed = _changed(record, record.refund_intents, "review refund_in_doubt", now)
    recorder = Recorder(changed, now)
    recorder.review("refund_in_doubt", intent.payment_id, subject=intent_id)
    return _recorded(changed, recorder, now) if recorder.events else Decision(record=record, changed=False)


def _recorded(changed: Record, recorder: Recorder, now: int) -> Decision:
    changed = replace(changed, reviews=tuple(recorder.reviews), pending={**changed.pending, **recorder.events})
    return Decision(record=attention.after_change(changed, now), changed=True, recorded=tuple(recorder.events))


def _changed(
    record: Record, intents: Mapping[str, RefundIntent], what: str, now: int, by: Mandate | None = None
) -> Record:
    return attention.after_change(replace(with_version(record, what, now, by), refund_intents=intents), now)


# --- Razorpay's refusals ----------------------------------------------------------------------------------------------

_REFUSALS: Final[Mapping[type[GatewayRefused], RefundRefusal]] = {
    FullyRefunded: "nothing_left",
    AmountRefused: "amount",
    PaymentTooOld: "too_old",
    NotCaptured: "not_captured",
    BalanceInsufficient: "insufficient_balance",
}
_SAY_THE_SAME: Final = frozenset({"nothing_left", "amount"})
"""What Razorpay says of a refund that is already made, too."""


def refusal_of(error: GatewayRefused, *, is_absent: bool) -> RefundRefusal | None:
    """Return why Razorpay refused a refund, or None if it may exist all the same.

    Args:
        error: what Razorpay answered.
        is_absent: whether the refund certainly did not exist (`is_absent`). Asked again for one that exists, Razorpay
            may say that nothing is left.
    """
    refusal: RefundRefusal = _REFUSALS.get(type(error), "refused")
    if not is_absent and refusal in _SAY_THE_SAME:
        return None
    is_definite = _BAD_REQUEST <= error.status < _SERVER_ERROR and error.status not in _SAY_NOTHING
    return refusal if is_definite else None


def error_of(refusal: RefundRefusal | Later | None) -> PaymentServiceError:
    """Return the error that a request gets whose refund Razorpay refused, now and whenever it is repeated."""
    match refusal:
        case "nothing_left" | "not_captured":
            return NothingToRefund("Razorpay says so")
        case "amount":
            return InvalidRequest([FieldError("amount", "is not an amount that the payment gateway refunds")])
        case "too_old":
            return RefundTooOld("Razorpay says so")
        case "insufficient_balance":
            return BalanceTooLow("Razorpay says so")
        case _:
            return RefundNotAccepted(_BAD_REQUEST, None)
