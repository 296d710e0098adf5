"""The definitions of the design, section 3, each a small function with its rule quoted."""

from collections import Counter
from collections.abc import Container, Iterable
from typing import Final, Literal

from tests.oracle.books import MARKER, Order, Payment, Settings

type Verdict = Literal["exact", "fee", "offer"]

_WHOLE: Final = 100
"""Per cent."""
DAY_S: Final = 86_400
LISTS_LAG_S: Final = 15 * 60
"""How far Razorpay's lists may be behind what it has recorded."""
MOST_ATTEMPTS: Final = 100
"""Section 4: the cap on attempts; reaching it opens a review."""


def is_ours(order: Order, settings: Settings) -> bool:
    """Marker, stage and installation are in the order's notes (section 6, step 7).

    "Orders with marker and stage but no installation are ours (version 0.1)."
    """
    notes = order.notes
    installation = notes.get("installation")
    return (
        notes.get("service") == MARKER
        and notes.get("stage") == settings.stage
        and installation in {None, settings.installation}
    )


def verdict(order: Order, payment: Payment, settings: Settings) -> Verdict | None:
    """How a captured payment matches what was agreed; None if it does not, or was not captured.

    "A captured payment matches if it is in the order's currency and its amount equals the order's (`exact`), or exceeds
    it by exactly the fee that Razorpay reports (`fee`), or is lower within the floor of the setting `AcceptOffers`
    (`offer`)."
    """
    if not payment.captured or payment.currency != order.currency:
        return None
    if payment.amount == order.amount:
        return "exact"
    if payment.fee is not None and payment.fee > 0 and payment.amount == order.amount + payment.fee:
        return "fee"
    floor = settings.accept_offers
    if floor is not None and payment.amount < order.amount and payment.amount * _WHOLE >= order.amount * floor:
        return "offer"
    return None


def refunded_minor(payment: Payment) -> int:
    """The refunded sum: "only processed refunds count"."""
    return sum(refund.amount for refund in payment.refunds if refund.status == "processed")


def disputed_minor(payment: Payment) -> int:
    """What lost disputes took: `amount_deducted`, in the payment's currency (api/disputes/entity.md)."""
    return sum(dispute.deducted for dispute in payment.disputes if dispute.currency == payment.currency)


def is_lost(payment: Payment, cleared: Container[str] = ()) -> bool:
    """A dispute about it was lost, and no operator released the payment: a person must look."""
    return payment.id not in cleared and any(dispute.status == "lost" for dispute in payment.disputes)


def is_returned(order: Order, payment: Payment) -> bool:
    """Whether the money has gone back.

    "A payment is returned when its processed refunds reach min(captured amount, order amount), or when it was never
    captured and a refund of it was processed." What a lost dispute took counts as returned.
    """
    refunded = refunded_minor(payment)
    if not payment.captured:
        return refunded > 0
    return refunded + disputed_minor(payment) >= min(payment.amount, order.amount)


def holds_money(order: Order, payment: Payment) -> bool:
    """ "A payment holds money when it was captured and is not returned, whatever its amount.\""""
    return payment.captured and not is_returned(order, payment)


def is_authorized(order: Order, payment: Payment) -> bool:
    """An authorised payment that was neither captured nor returned: money is on its way."""
    return payment.status == "authorized" and not payment.captured and not is_returned(order, payment)


def is_dead(payment: Payment) -> bool:
    """Whether a signature on it no longer counts after all checks.

    "A signed payment is dead only if a look that began after it was signed listed it as failed and no authorised or
    captured fact is known." Looks go on for eight days after the newest activity (section 7), so in the end every
    signed payment that Razorpay has as failed has been listed so.
    """
    return payment.status == "failed" and not payment.captured


def is_consumed(order: Order) -> bool:
    """ "An order on which anything was ever captured is consumed: it is never handed out again.\""""
    return any(payment.captured for payment in order.payments)


def matches(order: Order, settings: Settings, accepted: Container[str] = ()) -> list[Payment]:
    """The captured payments of the right sum and the accepted ones, the oldest first.

    "`accept`: the payment stands"; what stands matches, and once it is returned the order is refunded.
    """
    return [
        payment
        for payment in order.payments
        if verdict(order, payment, settings) is not None or (payment.captured and payment.id in accepted)
    ]


def held(order: Order) -> list[Payment]:
    """Every payment that holds money."""
    return [payment for payment in order.payments if holds_money(order, payment)]


def is_late(payment: Payment, expired_at: int | None) -> bool:
    """ "A payment **created** after the expiry"; "one created before it" counts as always."""
    return expired_at is not None and payment.created_at > expired_at


def may_have_expired(order: Order, at: int, settings: Settings) -> bool:
    """Whether the order was unpaid and old enough at that time.

    "An order whose payment is already in flight or captured is not expired." Razorpay's lists lag by minutes, so what
    it learned only then may have been missed. A payment that it gave back has left the order unpaid again.
    """
    promised = [one for one in order.payments if one.promised_at is not None and one.promised_at < at - LISTS_LAG_S]
    back = {one.id for one in promised if not one.captured and any(r.created_at <= at for r in one.refunds)}
    return at - order.created_at >= settings.order_expiry_days * DAY_S and all(one.id in back for one in promised)


def must_have_expired(order: Order, until: int, settings: Settings) -> bool:
    """Whether the daily pass has met the order, and nobody ever succeeded in paying it.

    A pass reads a day at a time, an hour after the age at the earliest.
    """
    old_enough = until - order.created_at >= (settings.order_expiry_days + 2) * DAY_S
    return old_enough and all(one.status == "failed" and one.promised_at is None for one in order.payments)


def standing(order: Order, settings: Settings) -> list[Payment]:
    """The payments that may stand on an order that is not superseded; none if none matches.

    "The standing payment is the first recorded match that is not returned; if all are returned, the last that stood."
    Which one was recorded first depends on what was learned first (a webhook, or a list), so any of them may stand.
    """
    right = matches(order, settings)
    return [payment for payment in right if not is_returned(order, payment)] or right


def surplus(order: Order, stands: Payment | None) -> list[Payment]:
    """ "Every other captured payment is surplus, also where none stands.\""""
    return [payment for payment in order.payments if payment.captured and payment is not stands]


def never_captured(order: Order, signed: Iterable[str]) -> list[Payment]:
    """Signed or authorised, neither captured nor given back nor dead: `never_captured` (never for a captured one)."""
    claimed = set(signed)
    return [
        payment
        for payment in order.payments
        if not payment.captured
        and not is_returned(order, payment)
        and not is_dead(payment)
        and (payment.id in claimed or payment.status == "authorized")
    ]


def totals_differ(payment: Payment) -> bool:
    """Whether Razorpay's total contradicts its list of refunds.

    "`amount_refunded` agrees when it lies between our processed and our created-plus-processed refunds."
    """
    low = refunded_minor(payment)
    high = low + sum(refund.amount for refund in payment.refunds if refund.status == "pending")
    return not low <= payment.amount_refunded <= high


def refunded_twice(order: Order) -> list[str]:
    """Requests of which there is more than one refund, and payments of which more was given back than was captured.

    "A lost answer, a crash or a second click gives one refund." A refund that failed gave nothing back.
    """
    refunds = [refund for payment in order.payments for refund in payment.refunds]
    made = Counter(refund.intent for refund in refunds if refund.intent is not None)
    twice = [f"{count} refunds of the request {intent}" for intent, count in made.items() if count > 1]
    above = [
        payment.id
        for payment in order.payments
        if payment.captured and sum(one.amount for one in payment.refunds if one.status != "failed") > payment.amount
    ]
    return [*twice, *(f"more was given back of {payment} than was captured" for payment in above)]
