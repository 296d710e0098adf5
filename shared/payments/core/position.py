"""What the facts about an order's payments add up to. Defines the terms for status, reviews, events and create-order.

* A captured payment **matches** if its currency is the order's and its amount is the order's (`exact`), the order's
  plus the fee that the customer bears (`fee`), or less within what the setting `ACCEPT_OFFERS` allows (`offer`). A
  payment that an operator accepted matches too.
* A payment is **returned** when its processed refunds, and what lost disputes deducted in its currency, reach the
  smaller of its own amount and the order's. A payment that was never captured is returned when a refund of it was
  processed: Razorpay gave it back.
* A payment is **lost** from the loss of a dispute about it until an operator releases it, whatever was deducted: the
  client must not simply pay again.
* A payment **holds money** when it was captured and is not returned, whatever its amount.
* A payment is **late** if it was made after its order had expired (`expiry`). Razorpay's creation time decides,
  whenever the messages arrive; until it is known, the signature's. A payment of unknown time counts as late.
* The **standing** payment is the first recorded match that is not returned. No late payment stands, and none on a
  superseded order, unless an operator accepted it. Once the order is refunded none stands again.
* Every other payment that holds money is **surplus**.
* A signed payment is **dead** once a query to Razorpay that started after it was signed listed it as failed.
  Webhooks alone never end a signature: `failed` followed by `authorized` for one payment is normal ("Late
  authorisation").
* An order on which any payment was ever captured is **consumed**: Razorpay accepts no other payment on it.
* What **remains** of a captured payment can be refunded: its amount without its processed and created refunds, without
  the refunds that were requested and may exist, and without what lost disputes deducted.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from payments.core.model import (
    Attempt,
    Dispute,
    DisputeState,
    Order,
    Reason,
    Record,
    Refund,
    RefundIntent,
    RefundState,
    Status,
    Verdict,
)

_PER_CENT = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Settings that decide what counts as the agreed amount."""

    accept_offers_from_percent: int | None = None
    """The smallest percentage of the order's amount that a payment with an offer may have; None accepts no offers."""

    def verdict(self, order: Order, attempt: Attempt) -> Verdict | None:
        """Return how a captured payment matches its order, or None if it does not."""
        if not attempt.captured or attempt.amount_minor is None or attempt.currency != order.currency:
            return None
        if attempt.amount_minor == order.amount_minor:
            return "exact"
        # "Customer fee bearer": the payment's amount is the order's plus the fee, tax included.
        if attempt.fee_minor is not None and attempt.amount_minor == order.amount_minor + attempt.fee_minor:
            return "fee"
        floor = self.accept_offers_from_percent
        if floor is not None and attempt.amount_minor < order.amount_minor:
            # Compare without dividing: money is never rounded.
            return "offer" if attempt.amount_minor * _PER_CENT >= order.amount_minor * floor else None
        return None


NO_OFFERS = Policy()
"""The policy when nothing is set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """What is known about an order's payments, refunds and disputes, with everything derived from it."""

    order: Order | None
    attempts: Mapping[str, Attempt]
    refunds: Mapping[str, Refund]
    disputes: Mapping[str, Dispute]
    superseded: bool
    expired_at: int | None
    stood: str | None
    refunded: bool
    """The order's status is `refunded`, which is final."""
    intents: Mapping[str, RefundIntent]
    unsettled: bool = False
    """Razorpay no longer tells what became of its payments."""

    @classmethod
    def of(cls, record: Record) -> "Position":
        """Return the position that a record's facts add up to."""
        return cls(
            order=record.order,
            attempts=record.attempts,
            refunds=record.refunds,
            disputes=record.disputes,
            superseded=record.superseded_by is not None,
            expired_at=record.expired_at,
            stood=record.stood,
            refunded=record.status is Status.REFUNDED,
            intents=record.refund_intents,
            unsettled=record.unsettled,
        )

    # --- money ---

    def matches(self, payment: str) -> bool:
        """Return whether it was captured for the agreed amount, or accepted as if it were."""
        attempt = self.attempts[payment]
        return attempt.captured and (attempt.verdict is not None or attempt.accepted)

    def all_matches(self) -> list[str]:
        """Return every match, first recorded first. Ties are ordered by Razorpay's own time, then by id."""
        return sorted(filter(self.matches, self.attempts), key=self._rank)

    def refunded_minor(self, payment: str) -> int:
        """Return how much of it was refunded. Only processed refunds count: a created one may still fail."""
        return self._sum(payment, RefundState.PROCESSED)

    def deducted_minor(self, payment: str) -> int:
        """Return how much of it lost disputes took from our balance.

        Only sums in the payment's own currency count; any other cannot be compared with it and is left to a person.
        """
        return sum(
            dispute.deducted_minor
            for dispute in self.disputes.values()
            if dispute.payment_id == payment and dispute.currency == self.attempts[payment].currency
        )

    @property
    def amount_refunded(self) -> int:
        """Return how much was refunded of the payment that stands, or stood last, in minor units."""
        return 0 if self.stood is None else self.refunded_minor(self.stood)

    @property
    def amount_disputed(self) -> int:
        """Return how much lost disputes took of the payment that stands, or stood last, in minor units."""
        return 0 if self.stood is None else self.deducted_minor(self.stood)

    def losses(self) -> set[str]:
        """Return the lost disputes that no operator has released."""
        return {
            key for key, dispute in self.disputes.items() if dispute.state is DisputeState.LOST and not dispute.released
        }

    def is_lost(self, payment: str) -> bool:
        """Return whether a dispute about it was lost and not released."""
        return any(self.disputes[key].payment_id == payment for key in self.losses())

    def remaining_minor(self, payment: str) -> int:
        """Return how much of a captured payment can still be refunded. A requested refund reserves its amount.

        What a lost dispute took is with the customer already: Razorpay would pay it a second time. A loss in another
        currency than the payment's cannot be subtracted, so a person decides about the rest.
        """
        attempt = self.attempts[payment]
        if not attempt.captured:
            return 0
        refunds = self.refunded_minor(payment) + self._sum(payment, RefundState.CREATED)
        requested = sum(intent.amount_minor for intent in self.open_intents.values() if intent.payment_id == payment)
        if any(
            dispute.payment_id == payment and dispute.deducted_minor and dispute.currency != attempt.currency
            for dispute in self.disputes.values()
        ):
            return 0
        # Razorpay's total counts refunds that we have not read yet, and may count the requested ones too.
        unread = attempt.total_minor if attempt.refunds_unread else 0
        left = (attempt.amount_minor or 0) - self.deducted_minor(payment)
        return max(0, left - max(refunds + requested, unread))

    @property
    def open_intents(self) -> dict[str, RefundIntent]:
        """Return the requested refunds of which only Razorpay knows whether they exist."""
        return {key: intent for key, intent in self.intents.items() if intent.is_open}

    def refunds_agree(self, payment: str, total_minor: int) -> bool:
        """Return whether Razorpay's total fits the refunds we know, with or without pending ones."""
        processed = self.refunded_minor(payment)
        return processed <= total_minor <= processed + self._sum(payment, RefundState.CREATED)

    def returned(self, payment: str) -> bool:
        """Return whether everything of the payment that counts went back to the customer."""
        attempt, back = self.attempts[payment], self.refunded_minor(payment)
        if not attempt.captured:
            return back > 0
        back += self.deducted_minor(payment)
        amount = attempt.amount_minor or 0
        if self.order is not None and attempt.currency == self.order.currency:
            amount = min(amount, self.order.amount_minor)
        return back >= amount

    def holds_money(self, payment: str) -> bool:
        """Return whether it has money that did not go back."""
        return self.attempts[payment].captured and not self.returned(payment)

    @property
    def standing(self) -> str | None:
        """Return the payment that stands now, or None."""
        if self.refunded:
            return None
        return next((payment for payment in self.all_matches() if self._can_stand(payment)), None)

    @property
    def surplus(self) -> set[str]:
        """Return the payments that hold money but do not stand."""
        standing = self.standing
        return {payment for payment in self.attempts if payment != standing and self.holds_money(payment)}

    @property
    def consumed(self) -> bool:
        """Return whether Razorpay accepts no other payment on the order."""
        return any(attempt.captured for attempt in self.attempts.values())

    def mismatch(self, payment: str) -> Reason | None:
        """Return how a capture differs from what was agreed, or None if it does not or there is nothing to compare."""
        attempt = self.attempts[payment]
        if self.order is None or not attempt.captured or self.matches(payment):
            return None
        return "currency_mismatch" if attempt.currency != self.order.currency else "amount_mismatch"

    def is_late(self, payment: str) -> bool:
        """Return whether it was made after the order had expired, as far as is known."""
        if self.expired_at is None:
            return False
        attempt = self.attempts[payment]
        made_at = attempt.created_at if attempt.created_at is not None else attempt.signed_at
        return made_at is None or made_at > self.expired_at

    def over_refunded(self) -> set[str]:
        """Return captured payments of which more went back than was captured: by refunds, or by refunds and losses."""
        return {
            payment
            for payment, attempt in self.attempts.items()
            if attempt.captured
            and self.refunded_minor(payment) + self.deducted_minor(payment) > (attempt.amount_minor or 0)
        }

    @property
    def under_review(self) -> bool:
        """Return whether a payment is not as agreed or lost: a person must decide, and the client must not pay again.

        A second capture of the agreed amount does not count: it has a separate review, and the purchase is as agreed.
        """
        is_paid = self.standing is not None
        return bool(self.losses()) or any(not (is_paid and self.matches(payment)) for payment in self.surplus)

    # --- promises of money ---

    def dead(self, payment: str) -> bool:
        """Return whether its signature can no longer lead to a capture."""
        attempt = self.attempts[payment]
        if attempt.signed_at is None or attempt.listed_failed_at is None:
            return False
        return attempt.listed_failed_at > attempt.signed_at and not attempt.authorized and not attempt.captured

    def claims(self, payment: str) -> bool:
        """Return whether its signature alone makes the order paid, although nothing confirms it yet."""
        attempt = self.attempts[payment]
        ended = attempt.captured or attempt.lapsed or attempt.released or self.returned(payment) or self.dead(payment)
        return attempt.signed_at is not None and not ended

    def held_at_the_bank(self, payment: str) -> bool:
        """Return whether it is authorized and neither captured nor returned."""
        attempt = self.attempts[payment]
        return attempt.authorized and not attempt.captured and not attempt.released and not self.returned(payment)

    def alive(self, payment: str) -> bool:
        """Return whether it may still be captured and nothing has confirmed it yet."""
        return self.claims(payment) or self.held_at_the_bank(payment)

    @property
    def unresolved(self) -> bool:
        """Return whether only Razorpay knows the outcome.

        A payment is alive, a total differs, a refund is pending, or a requested refund may or may not exist.
        """
        return (
            (
                not self.unsettled
                and any(self.alive(payment) and not self.attempts[payment].lapsed for payment in self.attempts)
            )
            or any(attempt.refunds_unread for attempt in self.attempts.values())
            or any(refund.state is RefundState.CREATED for refund in self.refunds.values())
            or bool(self.open_intents)
        )

    # --- derived status ---

    def status(self) -> Status:
        """Return the order's status, by the rules in `transitions`, in their order."""
        matches = self.all_matches()
        if self.refunded or (matches and all(map(self.returned, matches))):
            return Status.REFUNDED
        if self.standing is not None:
            return Status.PAID
        if any(map(self.holds_money, self.attempts)):
            return Status.AUTHORIZED
        if claims := [payment for payment in self.attempts if self.claims(payment)]:
            return Status.AUTHORIZED if self.superseded or all(map(self.is_late, claims)) else Status.PAID
        if any(map(self.held_at_the_bank, self.attempts)):
            return Status.AUTHORIZED
        return Status.FAILED if any(map(self._came_to_nothing, self.attempts)) else Status.CREATED

    def shown_payment(self) -> str | None:
        """Return the Razorpay payment behind the status: standing, else holding money, signed or authorized."""
        if (stands := self.standing or self.stood) is not None:
            return stands
        for kind in (self.holds_money, self.matches, self.claims, self.held_at_the_bank):
            found = sorted(filter(kind, self.attempts), key=self._rank)
            if found:
                return found[0]
        return None

    def _can_stand(self, payment: str) -> bool:
        is_in_time = not self.superseded and not self.is_late(payment)
        return not self.returned(payment) and (is_in_time or self.attempts[payment].accepted or payment == self.stood)

    def _came_to_nothing(self, payment: str) -> bool:
        attempt = self.attempts[payment]
        return attempt.failed or attempt.lapsed or attempt.released or self.returned(payment)

    def _rank(self, payment: str) -> tuple[int, int, str]:
        attempt = self.attempts[payment]
        return (attempt.matched_in or 0, attempt.created_at or 0, payment)

    def _sum(self, payment: str, state: RefundState) -> int:
        return sum(
            refund.amount_minor
            for refund in self.refunds.values()
            if refund.payment_id == payment and refund.state is state
        )
