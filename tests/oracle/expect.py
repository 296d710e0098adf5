"""What must be visible of every order from outside once everything is quiet.

If the design lets the result depend on the order in which facts were learned, there are several outcomes. Each is
complete, so that the status of one and an event of another do not pass together.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

from tests.oracle import rules
from tests.oracle.books import Acceptance, HandedOut, Ledger, Order, Outside, Payment, Settings

HOUR_S: Final = 3600
DAY_S: Final = 86_400
OPEN: Final = frozenset({"created", "failed", "authorized"})
_OFFERED_AGAIN_FOR_S: Final = 30 * DAY_S
_MOST_ORDERS: Final = 100


class Key(NamedTuple):
    """An event's identity for consumers: detail type and subject."""

    type: str
    subject: str
    """The refund or dispute it names, otherwise the payment; for `payment.paid` and `payment.refunded`, sent once, the
    order."""
    reason: str = ""
    state: str = ""
    """For a `payment.review`: `open` or `resolved`. For a dispute: its state; `reason` is its phase."""


class Group(NamedTuple):
    """Events, of which a given number must be on the bus."""

    what: str
    keys: frozenset[Key]
    least: int
    most: int


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What GET returns, as far as Razorpay's data decides it."""

    status: str
    confirmed: bool
    amount_refunded: int
    amount_disputed: int
    razorpay_payment_id: str | None
    under_review: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Events:
    """The events about an order."""

    must: frozenset[Key] = frozenset()
    may: frozenset[Key] = frozenset()
    groups: tuple[Group, ...] = ()
    follows: tuple[tuple[Key, Key], ...] = ()
    """If the first is there, the second must be: a review that was opened and closed was published as resolved."""
    before: Mapping[Key, int] = field(default_factory=dict)
    """Latest time at which one may have been recorded (`occurred_at`), exclusive."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One possible outcome of an order."""

    view: View
    stands: str | None
    """The payment that stands, or stood last."""
    events: Events
    expired: int | None = None
    """When the order expired; None if it has not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What must be visible of one order of ours."""

    order: Order
    signed: frozenset[str]
    """The payment ids with a genuine presented proof."""
    outcomes: tuple[Outcome, ...]
    complaints: tuple[str, ...] = ()
    """What the service announced of its expiry, and must not have, or did not announce, and must have."""
    known: bool
    """Whether GET must know the order: it was returned to a client, or there was an attempt to pay it."""


def expected_orders(ledger: Ledger, outside: Outside, settings: Settings) -> dict[str, Expected]:
    """What must be visible of every order of ours; foreign orders are left out and must not be visible."""
    found = {}
    # An unpaid order of the lost time is in no list of payments; its client gets another one.
    handed = {one.order_id for one in outside.handed_out if not in_a_gap(one, outside)}
    for order in ledger.orders.values():
        if not rules.is_ours(order, settings):
            continue
        sure = frozenset(payment for order_id, payment in outside.presented if order_id == order.id)
        doubt = frozenset(payment for order_id, payment in outside.doubtful if order_id == order.id) - sure
        proofs = [sure] if not doubt else [sure, sure | doubt]
        since = _superseded(order, ledger, outside, settings)
        replaced = any(one is not None for one in since)
        times: list[int | None] = [*outside.expired.get(order.id, ())] or [None]
        if outside.restored and times[0] is not None:
            # The expiry may have been lost with the table, or recorded once more.
            times.append(None)
        outcomes = [
            outcome
            for superseded, signed in ((one, proof) for one in since for proof in proofs)
            for at in times
            for outcome in _outcomes(
                _Case(order, signed, superseded, outside.accepted, settings, replaced, at, outside.cleared)
            )
        ]
        if any(order.created_at <= at for at, _ in outside.restored):
            accepted = outside.accepted | outside.forgotten
            earlier = [
                outcome
                for one in since
                for at in times
                for outcome in _outcomes(
                    _Case(order, sure | doubt, one, accepted, settings, replaced, at, outside.cleared)
                )
            ]
            outcomes = _told_before(outcomes, [*outcomes, *earlier])
        found[order.id] = Expected(
            order=order,
            signed=sure,
            outcomes=tuple(outcomes),
            complaints=tuple(_judge_expiry(order, since, order.id in handed, outside, settings)),
            known=order.id in handed or bool(order.payments),
        )
    return found


def _judge_expiry(
    order: Order, since: Sequence[int | None], handed: bool, outside: Outside, settings: Settings
) -> Iterator[str]:
    """ "Writes the unpaid ones once"; an order that was replaced does not expire, since another one took its place."""
    told = outside.expired.get(order.id, ())
    for at in told:
        if not rules.may_have_expired(order, at, settings):
            yield f"payment.expired was told of {at}, when the order was paid, about to be, or too young"
        if all(one is not None and one < at for one in since):
            yield f"payment.expired was told of {at}, when another order had replaced it"
    proofs = {order_id for order_id, _ in outside.presented | outside.doubtful}
    is_certain = handed and list(since) == [None] and order.id not in proofs and not outside.restored
    if (
        is_certain
        and outside.until is not None
        and not told
        and rules.must_have_expired(order, outside.until, settings)
    ):
        yield "payment.expired was never told"


def _told_before(outcomes: Sequence[Outcome], earlier: Sequence[Outcome]) -> list[Outcome]:
    """Events published before the table was restored remain, whichever outcome they belonged to."""
    every = [one.events for one in earlier]
    told = frozenset[Key]().union(
        *(one.must | one.may for one in every), *(group.keys for one in every for group in one.groups)
    )
    return [replace(one, events=_with_told(one.events, told)) for one in outcomes]


def _with_told(events: Events, told: frozenset[Key]) -> Events:
    # A repeated event may name another payment: which of two came first is learned again.
    groups = tuple(group._replace(most=max(group.most, len(group.keys))) for group in events.groups)
    # And a review that was opened before, and is over when learned again, is not opened again to be resolved.
    return replace(events, may=events.may | told, groups=groups, follows=())


def in_a_gap(handed: HandedOut, outside: Outside) -> bool:
    """Whether it was returned in the time that a restore lost."""
    return any(back < handed.at <= at for at, back in outside.restored)


# --- which order replaced which -------------------------------------------------------------------------------------


def purchases(outside: Outside) -> dict[tuple[int, int], list[HandedOut]]:
    """The orders of each client's application, each with the time at which it was first returned."""
    found: dict[tuple[int, int], list[HandedOut]] = {}
    for handed in outside.handed_out:
        orders = found.setdefault((handed.client_id, handed.application_id), [])
        if all(one.order_id != handed.order_id for one in orders):
            orders.append(handed)
    return found


def orphans(ledger: Ledger, outside: Outside, settings: Settings) -> dict[tuple[int, int], list[Order]]:
    """Orders of ours at Razorpay whose id was never returned: create-order died or its response was lost."""
    handed = {one.order_id for one in outside.handed_out}
    found: dict[tuple[int, int], list[Order]] = {}
    for order in ledger.orders.values():
        if order.id not in handed and rules.is_ours(order, settings):
            found.setdefault(_noted(order), []).append(order)
    return found


def _noted(order: Order) -> tuple[int, int]:
    """Client and application, from the order's notes."""
    return int(order.notes["client_id"]), int(order.notes["application_id"])


def _superseded(order: Order, ledger: Ledger, outside: Outside, settings: Settings) -> Sequence[int | None]:
    """Since when the order is superseded; None if it is not; both if it cannot be known.

    "Set `superseded_by` on the old current"; "before any hand-out every other open order in `orders` is marked"
    (section 6). An order replaced before its capture stays replaced, since nothing reverts `superseded_by`.
    """
    mine = purchases(outside).get(_noted(order), [])
    unanswered = orphans(ledger, outside, settings).get(_noted(order), [])
    place = next((number for number, one in enumerate(mine) if one.order_id == order.id), None)
    if place is None:
        # Never returned: found by a webhook or by the sweep, before or after another one was returned.
        taken = any(one.at >= order.created_at for one in _accepted_elsewhere(order, ledger, outside))
        alone = not any(one.at >= order.created_at for one in mine) and len(unanswered) == 1 and not taken
        return [None] if alone else [None, order.created_at]
    if any(in_a_gap(one, outside) for one in mine):
        # Which orders were marked, and when, was lost with the table.
        return [None, order.created_at] if len(mine) > 1 or unanswered else [None]
    accepted = [one for one in _accepted_elsewhere(order, ledger, outside) if one.at >= mine[place].at]
    certain = [one.at for one in mine[place + 1 : place + 2]] + [one.at for one in accepted if one.certain]
    if certain:
        at = min(certain)
        # If it was paid and refunded before it was replaced, it stood, unless that was not known yet.
        stood = any(
            rules.is_returned(order, payment) and payment.created_at <= at
            for payment in rules.matches(order, settings, outside.accepted | outside.forgotten)
        )
        return [None, at] if stood else [at]
    if accepted:
        return [None, accepted[0].at]
    # A lost response may have left a successor that no client received.
    newer = [one.created_at for one in unanswered if one.created_at >= mine[place].at]
    return [None, newer[0]] if newer else [None]


def _accepted_elsewhere(order: Order, ledger: Ledger, outside: Outside) -> list[Acceptance]:
    """When a payment of another order of its application was accepted, which takes this order's place.

    "`accept`: the payment stands, if no other order of the application holds money"; and an application is never sold
    twice (I19), although the customer may still have this order's Checkout open.
    """
    return [
        one
        for one in outside.acceptances
        if one.order_id != order.id
        and one.order_id in ledger.orders
        and _noted(ledger.orders[one.order_id]) == _noted(order)
    ]


# --- one order ------------------------------------------------------------------------------------------------------


class _Case(NamedTuple):
    """An order with everything that decides its outcome."""

    order: Order
    signed: frozenset[str]
    superseded: int | None
    """Since when it is superseded; None if it is not."""
    accepted: frozenset[str]
    settings: Settings
    replaced: bool
    """Whether another order ever replaced it, even after it was paid and refunded."""
    expired: int | None = None
    """When it expired; None if it has not."""
    cleared: frozenset[str] = frozenset()
    """Payments whose lost disputes an operator released."""

    @property
    def is_superseded(self) -> bool:
        return self.superseded is not None

    def may_stand(self, payment: Payment) -> bool:
        """ "On a superseded order nothing stands unless an operator accepts it"; nor does a late payment."""
        in_time = not self.is_superseded and not rules.is_late(payment, self.expired)
        return in_time or payment.id in self.accepted

    @property
    def is_lost(self) -> bool:
        """Whether a dispute about one of its payments was lost, and a person must look."""
        return any(rules.is_lost(payment, self.cleared) for payment in self.order.payments)

    def matches(self) -> list[Payment]:
        """The payments that could stand."""
        return rules.matches(self.order, self.settings, self.accepted)

    def accepts(self) -> list[Payment]:
        """ "`accept`: the payment stands.\""""
        return [payment for payment in rules.held(self.order) if payment.id in self.accepted]


def _outcomes(case: _Case) -> Iterator[Outcome]:
    """Section 3, "Status": the first rule that fits, in its order."""
    order = case.order
    right = case.matches()
    kept = [payment for payment in right if not rules.is_returned(order, payment)]
    back = [payment for payment in right if payment not in kept]
    stood: list[Payment | None] = [one for one in back if case.may_stand(one)]
    stood = stood or [None]
    accepted = case.accepts()
    if accepted:
        for payment in accepted:
            yield _paid(case, payment)
    elif right and not kept:
        # Section 3: "`refunded` once every match is returned".
        for last in stood:
            yield from _refunded(case, last)
    elif standing := [payment for payment in kept if case.may_stand(payment)]:
        # 1. "A payment stands: `paid`, confirmed."
        for payment in standing:
            yield _paid(case, payment)
        # "Final for the order; later captures on it are surplus": if the first was refunded before the second was
        # known.
        for payment in back:
            yield from _refunded(case, payment if case.may_stand(payment) else None)
    else:
        for last in stood:
            yield from _without_standing(case, last)
            if back:
                # As above, on a superseded order, where nothing stands.
                yield from _refunded(case, last)


def _paid(case: _Case, stands: Payment) -> Outcome:
    others = [payment for payment in rules.held(case.order) if payment is not stands]
    wrong = any(rules.verdict(case.order, payment, case.settings) is None for payment in others)
    view = View(
        status="paid",
        confirmed=True,
        # "`amount_refunded` counts the payment that stood."
        amount_refunded=rules.refunded_minor(stands),
        amount_disputed=rules.disputed_minor(stands),
        razorpay_payment_id=stands.id,
        under_review=wrong or case.is_lost,
    )
    return Outcome(view=view, stands=stands.id, events=_events(case, stands, view), expired=case.expired)


def _refunded(case: _Case, stood: Payment | None) -> Iterator[Outcome]:
    # If nothing ever stood, the design does not say which payment GET names: none, or a returned one.
    named = [stood.id] if stood is not None else [None, *(one.id for one in case.matches())]
    named += [one.id for one in rules.held(case.order)] if stood is None else []
    for payment in named:
        view = View(
            status="refunded",
            # A match was captured; on a superseded order nothing ever stood.
            confirmed=stood is not None,
            amount_refunded=rules.refunded_minor(stood) if stood is not None else 0,
            amount_disputed=rules.disputed_minor(stood) if stood is not None else 0,
            razorpay_payment_id=payment,
            # Other held money does not count: another sum, or a later capture, which is surplus.
            under_review=bool(rules.held(case.order)) or case.is_lost,
        )
        yield Outcome(
            view=view,
            stands=stood.id if stood is not None else None,
            events=_events(case, stood, view),
            expired=case.expired,
        )


def _without_standing(case: _Case, stood: Payment | None) -> Iterator[Outcome]:
    """No payment stands; an accepted one may have stood until it was returned."""
    order = case.order
    held = rules.held(order)
    alive = [payment for payment in order.payments if rules.is_authorized(order, payment)]
    if held:
        # 2. "Else some payment holds money: `authorized` and under review, the same however we learned of it."
        status, based_on = "authorized", held
    elif alive:
        # 3. is over in the end: a signed payment was captured, returned or found dead, or "`never_captured` ends the
        # claim of a signature". 4. "Else some payment is authorised and not returned: `authorized`."
        status, based_on = "authorized", alive
    else:
        status, based_on = _unpaid(order)
    # The design does not say which payment GET names if none stands: none, or one that explains the status.
    named = [stood.id] if stood is not None else [None, *(payment.id for payment in based_on)]
    for payment_id in named:
        view = View(
            status=status,
            confirmed=stood is not None,
            amount_refunded=rules.refunded_minor(stood) if stood is not None else 0,
            amount_disputed=rules.disputed_minor(stood) if stood is not None else 0,
            razorpay_payment_id=payment_id,
            under_review=bool(held) or case.is_lost,
        )
        yield Outcome(
            view=view,
            stands=stood.id if stood is not None else None,
            events=_events(case, stood, view),
            expired=case.expired,
        )


def _unpaid(order: Order) -> tuple[str, list[Payment]]:
    """5. "Else some payment failed or was returned: `failed`"; 6. "else `created`"."""
    over = [payment for payment in order.payments if payment.failed_at is not None or rules.is_returned(order, payment)]
    return ("failed", over) if over else ("created", [])


# --- events ---------------------------------------------------------------------------------------------------------


class _Collected:
    """Collects what may and what must be on the bus."""

    def __init__(self) -> None:
        self.must: set[Key] = set()
        self.may: set[Key] = set()
        self.groups: list[Group] = []
        self.follows: list[tuple[Key, Key]] = []
        self.before: dict[Key, int] = {}

    def group(self, what: str, keys: Iterable[Key], *, least: int, most: int) -> None:
        self.groups.append(Group(what, frozenset(keys), least, most))

    def open_review(self, subject: str, reason: str) -> None:
        """The review was opened and is open."""
        self.must.add(Key("payment.review", subject, reason, "open"))

    def may_be_open(self, subject: str, reason: str) -> None:
        self.may.add(Key("payment.review", subject, reason, "open"))

    def may_be_over(self, subject: str, reason: str) -> None:
        """If the review was ever opened, it was also published as resolved."""
        opened, resolved = (Key("payment.review", subject, reason, state) for state in ("open", "resolved"))
        self.may |= {opened, resolved}
        self.follows += [(opened, resolved), (resolved, opened)]

    def may_be(self, subject: str, reason: str, *, is_open: bool) -> None:
        """If the review was ever opened, it is still open or was resolved."""
        (self.may_be_open if is_open else self.may_be_over)(subject, reason)

    def events(self) -> Events:
        return Events(
            must=frozenset(self.must),
            may=frozenset(self.may),
            groups=tuple(self.groups),
            follows=tuple(self.follows),
            before=self.before,
        )


def _events(case: _Case, stands: Payment | None, view: View) -> Events:
    collected = _Collected()
    if case.expired is not None:
        # "Publishes `payment.expired`", once; its subject is the order.
        collected.must.add(Key("payment.expired", case.order.id))
    _tell_payments(collected, case, stands, view)
    for payment in case.order.payments:
        _tell_failure(collected, case, payment)
        _tell_refunds(collected, case, payment, stands, view)
        _tell_disputes(collected, payment)
        _review_losses(collected, case, payment)
    _review_sums(collected, case)
    _review_duplicates(collected, case, view)
    _review_claims(collected, case)
    _review_refunds(collected, case)
    return collected.events()


def _tell_payments(collected: _Collected, case: _Case, stands: Payment | None, view: View) -> None:
    """`payment.paid` and `payment.refunded`, each at most once."""
    order_id = case.order.id
    if stands is None:
        return
    if view.status != "refunded":
        # "Something stands for the first time → `payment.paid`."
        collected.must.add(Key("payment.paid", order_id))
        return
    # "A full refund learned together with its capture sends `payment.refunded` only."
    collected.may.add(Key("payment.paid", order_id))
    refunded = Key("payment.refunded", order_id)
    right = case.matches()
    if not any(rules.disputed_minor(payment) for payment in right):
        # "`payment.refunded` when no match holds money any more."
        collected.must.add(refunded)
    elif any(refund.was_processed for payment in right for refund in payment.refunds):
        # It claims a refund, so it is told only of one that was the last part, and which was last is not in the books.
        collected.may.add(refunded)


def _tell_failure(collected: _Collected, case: _Case, payment: Payment) -> None:
    """`payment.failed`: "an attempt failed less than an hour ago, nothing else alive, order not superseded".

    Whether anything else was alive then depends on what had been learned, so the event is optional.
    """
    key = Key("payment.failed", payment.id)
    if payment.failed_at is not None:
        if case.superseded is None or payment.failed_at <= case.superseded:
            collected.may.add(key)
            collected.before[key] = payment.failed_at + HOUR_S
    elif not payment.captured and rules.is_returned(case.order, payment) and not case.is_superseded:
        # The status is `failed` for a returned payment as for a failed one (rule 5); the design does not say whether
        # this is published.
        collected.may.add(key)


def _tell_disputes(collected: _Collected, payment: Payment) -> None:
    """Every state of a dispute may be told, and the one that it has now must be; webhooks come in any order."""
    for dispute in payment.disputes:
        keys = [Key("payment.dispute_changed", dispute.id, dispute.phase, state) for state in dispute.told]
        collected.may.update(keys)
        if dispute.told[-1] == "action_required":
            # Without its webhook it is `open` in the API, as it was before (webhooks/disputes.md, sample).
            both = {key._replace(state=state) for key in keys[-1:] for state in ("open", "action_required")}
            collected.group(f"dispute {dispute.id}", both, least=1, most=2)
        else:
            # An earlier state may be old news by the time it is heard; the last is never.
            collected.must.add(keys[-1])


def _review_losses(collected: _Collected, case: _Case, payment: Payment) -> None:
    """`dispute_lost`, until an operator releases the payment."""
    for dispute in payment.disputes:
        if dispute.status == "lost":
            is_open = payment.id not in case.cleared
            (collected.open_review if is_open else collected.may_be_over)(dispute.id, "dispute_lost")


def _tell_refunds(collected: _Collected, case: _Case, payment: Payment, stands: Payment | None, view: View) -> None:
    """Processed refunds of the standing payment or another captured one; at most one event each.

    "Refunds after that [what makes it returned] change `amount_refunded` without an event."
    """
    if not payment.captured:
        return
    order = case.order
    enough = min(payment.amount, order.amount)
    total = rules.refunded_minor(payment) + rules.disputed_minor(payment)
    right = case.matches()
    is_match = payment in right
    only_match = is_match and len(right) == 1 and case.may_stand(payment) and not case.accepted
    for refund in payment.refunds:
        if not refund.was_processed:
            if refund.status == "failed":
                # "When Razorpay gives up": once, and of no refund that has given the money back.
                collected.must.add(Key("payment.refund_failed", refund.id))
            continue
        # It may have failed before it was processed after all, or only in a report that came late.
        collected.may.add(Key("payment.refund_failed", refund.id))
        partly, surplus = (Key(kind, refund.id) for kind in ("payment.partially_refunded", "payment.surplus_refunded"))
        # In any order, it was not returned before this one.
        needed = refund.status == "processed" and total - refund.amount < enough
        if only_match and stands is payment and rules.verdict(order, payment, case.settings) == "exact":
            # Refunds learned together with the completing one are published as `payment.refunded`.
            told_apart = view.status != "refunded"
            collected.group(f"refund {refund.id}", [partly], least=int(needed and told_apart), most=1)
        elif not is_match or (not case.may_stand(payment) and not case.accepted):
            collected.group(f"refund {refund.id}", [surplus], least=int(needed), most=1)
        else:
            # Which payment stood when it was recorded depends on what was learned first; so does whether a fee was
            # known that makes the capture a match.
            told_apart = view.status != "refunded"
            collected.group(f"refund {refund.id}", [partly, surplus], least=int(needed and told_apart), most=1)


def _review_sums(collected: _Collected, case: _Case) -> None:
    """`amount_mismatch`, `currency_mismatch`, `superseded_order`: open while the money is held and not accepted."""
    for payment in case.order.payments:
        if payment.captured:
            is_open = rules.holds_money(case.order, payment) and payment.id not in case.accepted
            _review_sum(collected, case, payment, is_open=is_open)


def _review_sum(collected: _Collected, case: _Case, payment: Payment, *, is_open: bool) -> None:
    order = case.order
    if rules.verdict(order, payment, case.settings) is None:
        reason = "currency_mismatch" if payment.currency != order.currency else "amount_mismatch"
        (collected.open_review if is_open else collected.may_be_over)(payment.id, reason)
        if case.is_superseded:
            (collected.may_be_open if is_open else collected.may_be_over)(payment.id, "superseded_order")
        if rules.is_late(payment, case.expired):
            (collected.may_be_open if is_open else collected.may_be_over)(payment.id, "expired_order")
    elif rules.is_late(payment, case.expired):
        # "A payment created after the expiry is a review `expired_order` in place of `payment.paid`." As below, a
        # second capture is also a duplicate, and a fee may be reported later.
        is_only = len(rules.matches(order, case.settings)) == 1
        opened = collected.open_review if is_only else collected.may_be_open
        (opened if is_open else collected.may_be_over)(payment.id, "expired_order")
        if payment.amount != order.amount:
            collected.may_be_over(payment.id, "amount_mismatch")
    elif case.is_superseded:
        # A second capture is also a duplicate; the design does not say which of the two reasons it gets.
        is_only = len(rules.matches(order, case.settings)) == 1
        opened = collected.open_review if is_only else collected.may_be_open
        (opened if is_open else collected.may_be_over)(payment.id, "superseded_order")
    elif payment.amount != order.amount:
        # "A fee may be reported later; a mismatch that it cures is resolved."
        collected.may_be_over(payment.id, "amount_mismatch")
    elif case.replaced:
        # A later capture on an order that was refunded, and then replaced.
        (collected.may_be_open if is_open else collected.may_be_over)(payment.id, "superseded_order")


def _review_duplicates(collected: _Collected, case: _Case, view: View) -> None:
    """`duplicate_capture`, "closed by itself when at most one match holds money".

    That one then stands and is not a duplicate. On a refunded order nothing stands: "later captures on it are surplus",
    and someone must refund that money before the review closes.
    """
    order = case.order
    right = case.matches()
    if not right[1:]:
        return
    kept = [payment for payment in right if rules.holds_money(order, payment)]
    opened = {Key("payment.review", payment.id, "duplicate_capture", "open") for payment in right}
    if len(kept) > 1:
        # n captures of the agreed sum give n - 1 reviews (I7); returned ones may have none.
        least = 0 if not all(map(case.may_stand, kept)) else len(kept) - 1
        collected.group("duplicate_capture", opened, least=least, most=len(right) - 1)
        return
    collected.group("duplicate_capture", opened, least=0, most=len(right) - 1)
    for payment in right:
        if payment in kept and view.status == "refunded":
            collected.may_be_open(payment.id, "duplicate_capture")
        else:
            collected.may_be_over(payment.id, "duplicate_capture")


def _review_claims(collected: _Collected, case: _Case) -> None:
    """`never_captured`: "never for a captured payment"; resolved "on capture or return"."""
    waiting = {payment.id for payment in rules.never_captured(case.order, case.signed)}
    for payment in case.order.payments:
        if payment.id in waiting:
            # Last checked eight days after its newest activity (section 7).
            collected.open_review(payment.id, "never_captured")
        elif payment.captured or rules.is_returned(case.order, payment):
            collected.may_be_over(payment.id, "never_captured")
        elif payment.id in case.signed:
            # A dead one: its claim may have ended first.
            collected.may_be_open(payment.id, "never_captured")


def _review_refunds(collected: _Collected, case: _Case) -> None:
    """Reviews about refunds and about exceeded limits."""
    order = case.order
    for payment in order.payments:
        # Asked for, and in doubt for a day; it is over once Razorpay's answer is known.
        collected.may_be_over(payment.id, "refund_in_doubt")
        ids = [payment.id, *(one.id for one in payment.refunds), *(one.id for one in payment.disputes)]
        if payment.captured and rules.refunded_minor(payment) + rules.disputed_minor(payment) > payment.amount:
            keys = {Key("payment.review", one, "over_refunded", "open") for one in ids}
            collected.group(f"over_refunded {payment.id}", keys, least=1, most=len(keys))
        for refund in payment.refunds:
            if refund.was_processed and refund.status != "processed":
                # "Reported lower than known is a review `refund_reversed`"; known only if the report arrived.
                collected.may_be_open(refund.id, "refund_reversed")
        if rules.totals_differ(payment):
            collected.open_review(payment.id, "refund_total_differs")
        else:
            # "Resolved on agreement."
            collected.may_be_over(payment.id, "refund_total_differs")
    if len(order.payments) > rules.MOST_ATTEMPTS:
        subjects = [order.id, *(payment.id for payment in order.payments)]
        keys = {Key("payment.review", one, "too_many_attempts", "open") for one in subjects}
        collected.group("too_many_attempts", keys, least=1, most=len(keys))


# --- verify ---------------------------------------------------------------------------------------------------------


def verify_answers(
    expected: Expected, outcome: Outcome, payment_id: str, settings: Settings
) -> frozenset[tuple[int, str | None]]:
    """What verify returns for a genuine proof of this payment, presented (again) when everything is quiet.

    "200 only if the record is `paid` afterwards. 409 `payment_refunded` after a full refund, `payment_returned` when
    Razorpay gave the payment back uncaptured, `payment_failed` when it is known dead, `payment_under_review` when the
    money is not as agreed (wrong sum, superseded order)." If two of them are true, either is allowed.
    """
    order = expected.order
    payment = next(one for one in order.payments if one.id == payment_id)
    allowed: set[tuple[int, str | None]] = set()
    back = rules.is_returned(order, payment)
    if back and not payment.captured:
        allowed.add((409, "payment_returned"))
    if (back and payment.captured) or outcome.view.status == "refunded":
        allowed.add((409, "payment_refunded"))
    if rules.is_dead(payment):
        allowed.add((409, "payment_failed"))
    wrong = rules.holds_money(order, payment) and payment.id != outcome.stands
    is_lost = any(rules.is_lost(one) for one in order.payments) and outcome.view.under_review
    if is_lost and outcome.view.status == "refunded":
        # The client has the money back by a dispute: a person looks, and nobody refunded it.
        allowed = {(409, "payment_under_review")}
    if wrong or outcome.view.status == "authorized":
        allowed.add((409, "payment_under_review"))
    if outcome.view.status == "paid":
        is_duplicate = wrong and rules.verdict(order, payment, settings) is not None
        if is_duplicate:
            # Paid twice as agreed; the record is `paid`.
            allowed.discard((409, "payment_under_review"))
        allowed.add((200, None))
    # A signature whose claim `never_captured` has ended: not `paid`, and nothing else is known.
    return frozenset(allowed) or frozenset({(409, "payment_failed"), (409, "payment_under_review")})


# --- create-order ---------------------------------------------------------------------------------------------------


class Next(NamedTuple):
    """What create-order returns next."""

    status: int
    code: str | None = None
    order_id: str | None = None
    """The id of the order it returns again, or because of which it refuses; None for a new one."""


def next_answers(  # noqa: PLR0913 - what an application is, and what is asked
    *,
    expected: Mapping[str, Expected],
    chosen: Mapping[str, Outcome],
    mine: Sequence[HandedOut],
    unanswered: Sequence[Order],
    fields: tuple[object, ...],
    now: int,
    released: frozenset[str] = frozenset(),
    order_expiry_days: int = 30,
) -> frozenset[Next]:
    """Section 6, steps 2 to 5, for one client's application.

    Args:
        expected: for every order.
        chosen: the outcome that was seen for each.
        mine: the orders returned for it, the oldest first.
        unanswered: its orders whose id no client received.
        fields: the requested purchase.
        now: when.
        released: orders released by an operator: they no longer count towards the limit; nothing else changes, since
        they can still be paid (I19).
        order_expiry_days: the setting `OrderExpiryDays`: "create-order does not hand an expired order out".
    """
    open_for_s = min(_OFFERED_AGAIN_FOR_S, order_expiry_days * DAY_S)
    ids = list(dict.fromkeys([*(each.order_id for each in mine), *(each.id for each in unanswered)]))
    refused = _refusals(expected, chosen, ids)
    if refused is not None:
        return refused
    currents: list[tuple[str, tuple[object, ...] | None]] = [(mine[-1].order_id, mine[-1].fields)] if mine else []
    since = mine[-1].at if mine else 0
    currents += [(order.id, None) for order in unanswered if order.created_at >= since]
    answers: set[Next] = set() if currents else {Next(201)}
    for current, its_fields in currents:
        if its_fields is None:
            # A lost response: it is the current order, or was never stored.
            answers |= {Next(200, None, current), Next(201)}
        else:
            order, outcome = expected[current].order, chosen[current]
            again = (
                outcome.view.status in OPEN
                and its_fields == fields
                and not rules.is_consumed(order)
                and outcome.expired is None
                and now - order.created_at < open_for_s
            )
            answers.add(Next(200, None, current) if again else Next(201))
        # "An authorised payment on any order but the one to be handed out."
        busy = [one for one in ids if _is_alive(expected[one], chosen[one]) and one != current]
        if its_fields != fields and _is_alive(expected[current], chosen[current]):
            busy.append(current)
        if busy:
            return frozenset(Next(409, "payment_in_progress", one) for one in busy)
    if len([one for one in ids if one not in released]) >= _MOST_ORDERS and answers == {Next(201)}:
        return frozenset(Next(409, "payment_under_review", one) for one in ids)
    return frozenset(answers)


def _refusals(
    expected: Mapping[str, Expected], chosen: Mapping[str, Outcome], ids: Sequence[str]
) -> frozenset[Next] | None:
    """ "Decide over all of them, in this order"; None if neither of the first two applies."""
    doubtful = frozenset(
        Next(409, "payment_under_review", one) for one in ids if len(rules.held(expected[one].order)) > 1
    )
    reviewed = frozenset(Next(409, "payment_under_review", one) for one in ids if chosen[one].view.under_review)
    if reviewed:
        # "Money held that is not as agreed, or on a superseded order → `payment_under_review`. Tested first."
        return reviewed | doubtful
    paid = frozenset(Next(409, "already_paid", one) for one in ids if chosen[one].view.status == "paid")
    if paid:
        # The design does not say whether a second capture of the agreed sum is "as agreed".
        return paid | doubtful
    return None


def _is_alive(expected: Expected, outcome: Outcome) -> bool:
    """Whether an authorised payment is alive on it, or its status says that money is on its way."""
    order = expected.order
    return outcome.view.status == "authorized" or any(rules.is_authorized(order, one) for one in order.payments)
