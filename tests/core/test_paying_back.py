"""Each requested refund is made once, whatever is lost or dies on the way. The steps around `refunding`'s decisions."""

from collections.abc import Callable
from contextlib import suppress
from copy import replace
from decimal import Decimal
from typing import Any

import pytest

from payments.core.attention import RESEND_AFTER_S
from payments.core.errors import (
    BalanceInsufficient,
    BalanceTooLow,
    ContentionError,
    GatewayRefused,
    GatewayThrottled,
    GatewayUnavailable,
    IdempotencyConflict,
    KeyReused,
    KeysRefused,
    NothingToRefund,
    OrderNotFound,
    PaymentServiceError,
    StorageConflict,
    TableUnavailable,
)
from payments.core.facts import MAX_REFUNDS
from payments.core.model import IntentState, Lane, Record, Refund, RefundState
from payments.core.paying_back import PaidBack, Refunder
from payments.core.position import Position
from payments.core.refunding import GIVE_UP_AFTER_S, RefundRequest
from payments.core.transitions import decide, open_record
from tests.core.story import AMOUNT, OPENED, ORDER, ORDER_ID, PART, A, B, captured
from tests.fakes import Crash, FakeBus, FakeGateway, FakeTable, Fate, reconciler_of

NOW = OPENED + 3600
LOST = GatewayUnavailable("the answer is lost")


class Desk:
    """One paid order, and somebody who wants money back."""

    def __init__(self, *payments: str) -> None:
        self.table, self.bus, self.gateway = FakeTable(), FakeBus(), FakeGateway()
        self.gateway.now = self.now = NOW
        self.gateway.put_order(ORDER_ID, ORDER)
        record = open_record(ORDER_ID, ORDER, OPENED)
        for payment in payments or (A,):
            self.gateway.pay(ORDER_ID, payment)
            record = decide(record, [captured(payment)], OPENED + 1).record
        self.table.insert(record)
        self.fate = Fate()

    def ask(self, key: str = "a-key-of-the-caller", amount: str | None = None, **more: Any) -> PaidBack:
        value = None if amount is None else Decimal(amount)
        fields = {"payment": None, "reason": None} | more
        refunder = Refunder(table=self.fate.wrap(self.table), gateway=self.fate.wrap(self.gateway))
        return refunder.pay_back(ORDER_ID, RefundRequest.of(ORDER_ID, key, amount=value, **fields), self.now)

    def reconcile(self, after_s: int) -> None:
        """The watch lane looks at the order, as if it were due then."""
        self.now += after_s
        self.gateway.now = self.now
        reconciler_of(self.fate.wrap(self.table), self.bus, self.fate.wrap(self.gateway)).ask_about(ORDER_ID, self.now)

    @property
    def record(self) -> Record:
        return self.table.records[ORDER_ID]

    @property
    def made(self) -> list[int]:
        """The amounts of the refunds that exist at Razorpay."""
        return [refund["amount"] for refund in self.gateway.refunded.values()]

    def hides_refunds(self) -> None:
        """The list of refunds lags."""
        self.gateway.refunds_of = lambda _payment: []  # type: ignore[method-assign, assignment]


def once[T](failure: T) -> Callable[[str, str], T | None]:
    """Fails the first call it is asked about."""
    left = [failure]
    return lambda call, _: left.pop() if call == "create_refund" and left else None


def test_a_refund_is_recorded_with_its_intent_and_answered() -> None:
    desk = Desk()
    paid_back = desk.ask(amount="200")
    assert (paid_back.is_new, desk.made) == (True, [20000])
    (intent,) = desk.record.refund_intents.values()
    assert (intent.state, intent.refund_id) == (IntentState.MADE, paid_back.refund_id)
    assert Position.of(desk.record).amount_refunded == 20000
    assert "payment.partially_refunded" in {event.type for event in desk.record.pending.values()}


def test_the_intent_is_stored_before_razorpay_is_asked() -> None:
    desk = Desk()
    stored: list[bool] = []
    desk.gateway.fails = lambda _call, _about: stored.append(bool(desk.record.refund_intents))
    desk.ask()
    assert stored == [True]


def test_the_events_are_left_to_the_outbox() -> None:
    desk = Desk()
    desk.ask()
    assert desk.bus.sent == []
    assert (desk.record.lane, desk.record.attention_at is not None) == (Lane.OUTBOX, True)


def test_repeating_a_request_returns_its_refund_without_asking_razorpay() -> None:
    desk = Desk()
    first = desk.ask()
    desk.gateway.calls.clear()
    again = desk.ask()
    assert (again.refund_id, again.is_new, desk.gateway.calls) == (first.refund_id, False, [])


def test_another_body_under_the_same_key_is_a_conflict_and_asks_nobody() -> None:
    desk = Desk()
    desk.ask(amount="200")
    desk.gateway.calls.clear()
    with pytest.raises(IdempotencyConflict, match=r"^the key was used for another request$"):
        desk.ask(amount="300")
    assert (desk.gateway.calls, desk.made) == ([], [20000])


def test_a_key_whose_intent_was_dropped_returns_its_refund_and_takes_no_other_body() -> None:
    desk = Desk(A, B)
    first = desk.ask(amount="200")
    desk.table.records[ORDER_ID] = replace(desk.record, refund_intents={})
    again = desk.ask(amount="200.00", payment=A)
    assert (again.refund_id, again.is_new) == (first.refund_id, False)
    for amount, payment in (("300", None), ("200", B)):
        with pytest.raises(IdempotencyConflict, match=r"^the key was used for another refund$"):
            desk.ask(amount=amount, payment=payment)
    assert desk.made == [20000]


def test_two_keys_cannot_refund_more_than_there_is() -> None:
    desk = Desk()
    desk.ask("the-first-key-of-two", amount="300")
    with pytest.raises(PaymentServiceError, match="more than what remains"):
        desk.ask("the-second-key-of-two", amount="300")
    assert desk.ask("the-second-key-of-two", amount="200").is_new
    with pytest.raises(NothingToRefund):
        desk.ask("the-third-key-of-two")
    assert sum(desk.made) == AMOUNT


def test_a_named_surplus_payment_is_the_one_that_is_refunded() -> None:
    desk = Desk(A, B)
    desk.ask(payment=B)
    assert {refund["payment_id"] for refund in desk.gateway.refunded.values()} == {B}
    assert desk.record.status.value == "paid"


def test_an_unknown_order_is_not_found() -> None:
    desk = Desk()
    desk.table.records.clear()
    with pytest.raises(OrderNotFound, match=r"^no record$"):
        desk.ask()


def test_a_refund_that_the_bank_has_not_answered_is_pending_and_looked_at_again() -> None:
    desk = Desk()
    desk.gateway.refund_status = "pending"
    desk.ask()
    (refund,) = desk.record.refunds.values()
    assert refund.state is RefundState.CREATED
    assert Position.of(desk.record).unresolved


# --- lost answers ---------------------------------------------------------------------------------------------------


def test_a_lost_answer_is_in_doubt_and_the_repetition_finds_the_refund() -> None:
    desk = Desk()
    desk.gateway.loses_answers = once(LOST)
    assert desk.ask().refund_id is None
    again = desk.ask()
    assert (again.refund_id, again.is_new) == (next(iter(desk.gateway.refunded)), False)
    assert desk.made == [AMOUNT]


def test_only_the_request_that_asks_razorpay_first_or_again_is_said_to_be_new() -> None:
    desk = Desk()
    desk.gateway.fails = once(LOST)
    assert desk.ask() == PaidBack(desk.record, None, is_new=True)
    assert desk.ask() == PaidBack(desk.record, None, is_new=False)
    desk.gateway.fails = lambda call, _: LOST if call == "refunds_of" else None
    desk.now += RESEND_AFTER_S
    assert desk.ask() == PaidBack(desk.record, None, is_new=False)
    desk.gateway.fails = lambda _call, _about: None
    assert desk.ask().is_new


def test_a_request_that_never_arrived_is_sent_again_only_once_the_list_would_show_it() -> None:
    desk = Desk()
    desk.gateway.fails = once(LOST)
    assert desk.ask().refund_id is None
    desk.now += RESEND_AFTER_S - 1
    assert desk.ask().refund_id is None
    assert desk.made == []
    desk.now += 1
    assert desk.ask().refund_id is not None
    assert desk.made == [AMOUNT]


def test_while_the_list_lags_nothing_is_sent_twice_even_if_the_key_is_ignored() -> None:
    desk = Desk()
    desk.gateway.keeps_keys = False
    desk.gateway.loses_answers = once(LOST)
    desk.ask(amount="100")
    listed = desk.gateway.refunds_of
    desk.hides_refunds()
    desk.now += RESEND_AFTER_S - 1
    assert desk.ask(amount="100").refund_id is None
    desk.gateway.refunds_of = listed  # type: ignore[method-assign]
    desk.now += 1
    assert desk.ask(amount="100").refund_id is not None
    assert desk.made == [10000]


def test_if_the_list_lags_for_longer_the_key_is_the_second_guard() -> None:
    desk = Desk()
    desk.gateway.loses_answers = once(LOST)
    desk.ask(amount="100")
    desk.hides_refunds()
    desk.now += RESEND_AFTER_S
    assert desk.ask(amount="100").refund_id is not None
    assert desk.made == [10000]


def test_asked_again_for_a_refund_that_exists_a_refusal_proves_nothing() -> None:
    desk = Desk()
    desk.gateway.keeps_keys = False
    desk.gateway.loses_answers = once(LOST)
    desk.ask()
    listed = desk.gateway.refunds_of
    desk.hides_refunds()
    desk.now += RESEND_AFTER_S
    # "The payment has been fully refunded already": by this very intent.
    assert desk.ask().refund_id is None
    assert Position.of(desk.record).open_intents
    desk.gateway.refunds_of = listed  # type: ignore[method-assign]
    assert desk.ask().refund_id is not None
    assert desk.made == [AMOUNT]


def test_a_webhook_that_comes_before_the_answer_ends_the_intent() -> None:
    desk = Desk()

    def webhook(call: str, _about: str) -> None:
        if call == "create_refund":
            refunder = Refunder(table=desk.table, gateway=desk.gateway)
            (intent_id,) = desk.record.refund_intents
            listed = next(one for one in desk.gateway._refunds_of(A) if one.intent == intent_id)  # noqa: SLF001 - inside its lock
            refunder.table.save(desk.record, decide(desk.record, listed.facts(), NOW).record)

    desk.gateway.loses_answers = webhook
    paid_back = desk.ask()
    assert (paid_back.refund_id, desk.made) == (next(iter(desk.gateway.refunded)), [AMOUNT])
    assert Position.of(desk.record).amount_refunded == AMOUNT


def test_a_second_click_while_the_first_is_under_way_makes_no_second_refund() -> None:
    desk = Desk()
    seconds: list[PaidBack] = []

    def click(call: str, _about: str) -> None:
        if call == "create_refund" and not seconds:
            # The gateway's own lock is held, so the second click's look at the list is left out.
            desk.gateway.refunds_of, kept = (lambda _payment: []), desk.gateway.refunds_of  # type: ignore[method-assign, assignment]
            seconds.append(desk.ask())
            desk.gateway.refunds_of = kept  # type: ignore[method-assign]

    desk.gateway.fails = click
    assert desk.ask().refund_id is not None
    assert (seconds[0].refund_id, desk.made) == (None, [AMOUNT])


# --- refusals -------------------------------------------------------------------------------------------------------


def test_a_refusal_ends_the_intent_and_its_key_goes_on_being_refused() -> None:
    desk = Desk()
    desk.gateway.fails = once(BalanceInsufficient(400, "BAD_REQUEST_ERROR"))
    with pytest.raises(BalanceTooLow):
        desk.ask()
    with pytest.raises(BalanceTooLow):
        desk.ask()
    assert desk.made == []
    assert desk.ask("another-key-entirely").refund_id is not None


@pytest.mark.parametrize("failure", [GatewayThrottled("slow down"), KeysRefused(401, None)])
def test_what_razorpay_did_not_consider_is_sent_by_the_next_request(failure: PaymentServiceError) -> None:
    desk = Desk()
    desk.gateway.fails = once(failure)
    with pytest.raises(type(failure)):
        desk.ask()
    desk.now += 1
    assert desk.ask().refund_id is not None
    assert desk.made == [AMOUNT]


def test_a_reused_key_is_a_persons_business_and_is_not_sent_again_by_itself() -> None:
    desk = Desk()
    desk.gateway.fails = once(KeyReused(409, None))
    with pytest.raises(KeyReused):
        desk.ask()
    assert [review.reason for review in desk.record.reviews] == ["refund_in_doubt"]
    desk.gateway.calls.clear()
    desk.reconcile(RESEND_AFTER_S)
    assert not [call for call in desk.gateway.calls if call.startswith("create_refund")]


def test_a_status_that_is_no_refusal_leaves_the_refund_in_doubt() -> None:
    desk = Desk()
    desk.gateway.fails = once(GatewayRefused(409, None))
    assert desk.ask().refund_id is None


def test_a_refund_is_the_answer_to_its_request_even_if_its_notes_are_lost() -> None:
    desk = Desk()
    create = desk.gateway.create_refund
    desk.gateway.create_refund = lambda *about: replace(create(*about), notes=[])  # type: ignore[method-assign]
    refund_id = desk.ask().refund_id
    assert refund_id == next(iter(desk.gateway.refunded))
    assert desk.ask().refund_id == refund_id


def test_what_razorpay_did_not_consider_the_second_time_waits_from_the_first() -> None:
    desk = Desk()
    desk.gateway.fails = once(LOST)
    desk.ask()
    desk.now += RESEND_AFTER_S
    desk.gateway.fails = once(GatewayThrottled("slow down"))
    with pytest.raises(GatewayThrottled):
        desk.ask()
    assert [intent.asked_at for intent in desk.record.refund_intents.values()] == [NOW]


# --- reconcile ------------------------------------------------------------------------------------------------------


def test_reconcile_finds_the_refund_of_an_intent_and_publishes_what_it_means() -> None:
    desk = Desk()
    desk.gateway.loses_answers = once(LOST)
    desk.ask(amount="100")
    desk.reconcile(120)
    assert not Position.of(desk.record).open_intents
    assert desk.bus.types() == ["payment.paid", "payment.partially_refunded"]
    assert desk.record.attention_at is None


def test_reconcile_waits_for_the_list_and_then_makes_the_refund() -> None:
    desk = Desk()
    desk.gateway.fails = once(LOST)
    desk.ask()
    desk.reconcile(120)
    assert (desk.made, desk.record.attention_at) == ([], NOW + 600)
    desk.reconcile(480)
    assert (desk.made, desk.record.attention_at) == ([], NOW + RESEND_AFTER_S)
    desk.reconcile(300)
    assert desk.made == [AMOUNT]
    assert desk.record.status.value == "refunded"
    assert desk.bus.types() == ["payment.paid", "payment.refunded"]


def test_after_a_day_without_an_answer_a_person_is_asked_and_the_request_repeated_by_hand_ends_it() -> None:
    desk = Desk()
    desk.gateway.fails = lambda call, _: LOST if call == "create_refund" else None
    desk.ask()
    with pytest.raises(GatewayUnavailable):
        desk.reconcile(RESEND_AFTER_S)
    desk.reconcile(GIVE_UP_AFTER_S)
    assert desk.bus.types() == ["payment.paid", "payment.review"]
    assert desk.record.attention_at is not None
    desk.gateway.fails = lambda _call, _about: None
    desk.reconcile(RESEND_AFTER_S)
    assert desk.made == []
    desk.ask()
    assert desk.made == [AMOUNT]
    assert [review.resolution for review in desk.record.reviews] == ["known"]


def test_a_lost_request_whose_money_was_refunded_elsewhere_ends_after_a_day_and_frees_the_rest() -> None:
    desk = Desk()
    desk.gateway.fails = once(LOST)
    desk.ask(amount="300")
    desk.gateway.give_back(A, "rfnd_FS8TWyPrCsa0OB", 30000)
    # Razorpay says that it is too much. A request that was made would be answered the same.
    with pytest.raises(GatewayUnavailable, match=r"^Razorpay refused a refund that may exist\.$"):
        desk.reconcile(RESEND_AFTER_S)
    assert Position.of(desk.record).remaining_minor(A) == 0
    desk.reconcile(GIVE_UP_AFTER_S)
    assert [intent.refusal for intent in desk.record.refund_intents.values()] == ["amount"]
    assert Position.of(desk.record).remaining_minor(A) == AMOUNT - 30000
    assert (desk.record.reviews, Position.of(desk.record).unresolved) == ((), False)


def test_reconcile_leaves_one_request_for_later_and_makes_the_next() -> None:
    desk = Desk()
    desk.gateway.fails = once(KeyReused(409, None))
    with pytest.raises(KeyReused):
        desk.ask("a-key-that-needs-a-person", amount="100")
    for wait, key, amount in ((1, "the-second-key-of-three", "110"), (RESEND_AFTER_S, "the-third-key-of-three", "120")):
        desk.now += wait
        desk.gateway.fails = once(LOST)
        desk.ask(key, amount=amount)
    # The first is with a person, and the last was asked for a moment ago.
    desk.reconcile(60)
    assert desk.made == [11000]
    desk.reconcile(RESEND_AFTER_S)
    assert sorted(desk.made) == [11000, 12000]


def test_an_answer_with_a_status_that_is_not_documented_leaves_the_refund_in_doubt() -> None:
    desk = Desk()
    desk.gateway.fails = once(LOST)
    desk.ask()
    desk.gateway.refund_status = "on_its_way"
    with pytest.raises(GatewayUnavailable, match=r"^Razorpay's answer has a status that is not documented\.$"):
        desk.reconcile(RESEND_AFTER_S)
    assert Position.of(desk.record).open_intents


@pytest.mark.parametrize(("saved", "what"), [(0, "requested"), (1, "recorded")])
def test_a_record_that_changes_all_the_time_is_given_up(saved: int, what: str) -> None:
    desk = Desk()
    desk.gateway.fails = once(GatewayThrottled("slow down"))
    save, left = desk.table.save, iter(range(saved))

    def losing(before: Record, after: Record) -> None:
        if next(left, None) is None:
            raise StorageConflict
        save(before, after)

    desk.table.save = losing  # type: ignore[method-assign]
    with pytest.raises(ContentionError, match=rf"^The record changed 5 times while a refund was {what}\.$"):
        desk.ask()


def test_an_order_that_is_deleted_while_its_refund_is_asked_for_is_not_found() -> None:
    desk = Desk()

    def deleting(call: str, _about: str) -> BaseException | None:
        if call != "create_refund":
            return None
        desk.table.records.clear()
        return BalanceInsufficient(400, None)

    desk.gateway.fails = deleting
    with pytest.raises(OrderNotFound, match=r"^no record$"):
        desk.ask()


def test_a_refund_beyond_those_that_a_record_keeps_is_answered_all_the_same() -> None:
    desk = Desk()
    kept = {
        f"rfnd_{number:014d}": Refund(payment_id=A, amount_minor=1, state=RefundState.PROCESSED)
        for number in range(MAX_REFUNDS)
    }
    desk.table.records[ORDER_ID] = replace(desk.record, refunds=kept)
    paid_back = desk.ask(amount="100")
    assert (paid_back.refund_id, paid_back.is_new) == (next(iter(desk.gateway.refunded)), True)


def test_reconcile_gives_up_when_a_day_is_over() -> None:
    for age, given_up in ((GIVE_UP_AFTER_S - 1, False), (GIVE_UP_AFTER_S, True)):
        desk = Desk()
        desk.gateway.fails = lambda call, _: LOST if call == "create_refund" else None
        desk.ask()
        with suppress(GatewayUnavailable):
            desk.reconcile(age)
        assert bool(desk.record.reviews) is given_up


def test_reconcile_takes_a_refund_of_the_dashboard_for_what_it_is() -> None:
    desk = Desk()
    desk.gateway.give_back(A, "rfnd_FS8TWyPrCsa0OB", PART)
    desk.reconcile(120)
    assert (Position.of(desk.record).amount_refunded, dict(desk.record.refund_intents)) == (PART, {})
    assert desk.ask().refund_id is not None
    assert sum(desk.made) == AMOUNT


# --- every call, before and after -----------------------------------------------------------------------------------

FAILURES = [Crash(), TableUnavailable("no answer"), StorageConflict("lost the race"), LOST]


def calls_of(play: Callable[[Desk], None]) -> list[str]:
    desk = Desk()
    desk.gateway.fails = once(LOST) if play is settled else desk.gateway.fails
    play(desk)
    return desk.fate.calls


def asked_for(desk: Desk) -> None:
    desk.ask(amount="200")


def settled(desk: Desk) -> None:
    desk.ask(amount="200")
    desk.reconcile(RESEND_AFTER_S)


@pytest.mark.parametrize("keeps_keys", [True, False], ids=["key honoured", "key ignored"])
@pytest.mark.parametrize("after", [False, True], ids=["before it took effect", "after"])
@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: type(failure).__name__)
@pytest.mark.parametrize("play", [asked_for, settled])
def test_whatever_becomes_of_any_call_one_refund_is_made(
    play: Callable[[Desk], None], failure: BaseException, *, after: bool, keeps_keys: bool
) -> None:
    for number in range(1, len(calls_of(play)) + 1):
        desk = Desk()
        desk.gateway.keeps_keys = keeps_keys
        if play is settled:
            desk.gateway.fails = once(LOST)
        desk.fate.strikes[number] = failure
        desk.fate.after = after
        with suppress(Crash, PaymentServiceError):
            play(desk)
        desk.fate.strikes.clear()
        desk.gateway.fails = lambda _call, _about: None
        assert sum(desk.made) <= 20000, f"call {number}: {desk.fate.calls}"
        # The client asks again, and reconcile runs when it is due.
        for _ in range(3):
            desk.ask(amount="200")
            desk.reconcile(RESEND_AFTER_S)
        assert desk.made == [20000], f"call {number}: {desk.fate.calls}"
        assert Position.of(desk.record).amount_refunded == 20000
        assert desk.ask(amount="200").refund_id in desk.record.refunds
        assert not Position.of(desk.record).unresolved
