"""Which refunds may be requested, and what a repeated request gets. `paying_back` in `test_paying_back`."""

from copy import replace
from decimal import Decimal
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payments.core.attention import RESEND_AFTER_S, after_look
from payments.core.errors import (
    AmountRefused,
    BalanceInsufficient,
    BalanceTooLow,
    FullyRefunded,
    GatewayRefused,
    IdempotencyConflict,
    InvalidRequest,
    NotAtGateway,
    NotCaptured,
    NothingToRefund,
    OrderNotFound,
    PaymentTooOld,
    RefundNotAccepted,
    RefundTooOld,
    TooManyRefunds,
)
from payments.core.model import INTENT_ID, DisputeState, IntentState, Lane, Mandate, Record, RefundState
from payments.core.position import Position
from payments.core.refunding import (
    GIVE_UP_AFTER_S,
    MAX_INTENTS,
    RefundRequest,
    asked,
    error_of,
    in_doubt,
    is_absent,
    known_intent,
    may_ask_again,
    not_taken,
    refund_of,
    refusal_of,
    refused,
    reserve,
    shown,
)
from payments.core.transitions import decide, unknown_record
from tests.core.story import (
    AMOUNT,
    DISPUTE_2,
    OPENED,
    ORDER_ID,
    PART,
    REFUND_1,
    REFUND_2,
    REFUND_3,
    A,
    B,
    C,
    Delivery,
    captured,
    check_detail,
    disputed,
    failed,
    refunded,
    signed,
    tell,
    through_the_table,
    total,
)
from tests.fakes import BY

KEY = "refund-of-half-the-work"
NOW = OPENED + 3600


def request(key: str = KEY, **changes: Any) -> RefundRequest:
    fields: dict[str, Any] = {"amount": None, "payment": None, "reason": None} | changes
    if isinstance(fields["amount"], str):
        fields["amount"] = Decimal(fields["amount"])
    return RefundRequest.of(ORDER_ID, key, **fields)


def paid() -> Record:
    return tell([(captured(A),)]).record


def remaining(record: Record, payment: str = A) -> int:
    return Position.of(record).remaining_minor(payment)


def made(record: Record, asked_for: RefundRequest, refund: str, state: RefundState = RefundState.PROCESSED) -> Record:
    """The refund of an intent appears, from wherever."""
    intent = record.refund_intents[asked_for.intent_id]
    fact = replace(refunded(intent.payment_id, refund, intent.amount_minor, state), intent=asked_for.intent_id)
    return decide(record, [fact], NOW + 1).record


# --- the request ----------------------------------------------------------------------------------------------------


def test_the_intents_id_is_a_uuid_of_the_order_and_the_key_and_hides_the_key() -> None:
    assert INTENT_ID.match(request().intent_id)
    assert request().intent_id == request().intent_id
    assert request().intent_id != request("another-key-entirely").intent_id
    elsewhere = RefundRequest.of("order_DESxiijbl9xjDB", KEY, amount=None, payment=None, reason=None)
    assert elsewhere.intent_id != request().intent_id


@pytest.mark.parametrize(
    ("one", "other"), [("500", "500.00"), ("500.0", "500"), ("1", "1.000"), ("500", "5E+2"), ("0.0000001", "1E-7")]
)
def test_the_same_amount_written_differently_is_the_same_body(one: str, other: str) -> None:
    assert request(amount=one).fingerprint == request(amount=other).fingerprint


def test_a_repetition_is_recognized_by_every_version_of_this_service() -> None:
    body = b'["500", "pay_DESlfW9H8K9uqM", "goodwill"]'
    assert request(amount="500.00", payment=A, reason="goodwill").fingerprint == sha256(body).hexdigest()[:32]


@pytest.mark.parametrize(
    "changes", [{"amount": "500"}, {"amount": "5"}, {"payment": A}, {"payment": B}, {"reason": "goodwill"}]
)
def test_another_body_has_another_fingerprint(changes: dict[str, Any]) -> None:
    assert request(**changes).fingerprint != request().fingerprint
    assert request(**changes).intent_id == request().intent_id


# --- what may be refunded -------------------------------------------------------------------------------------------


def test_without_an_amount_the_rest_of_the_standing_payment_is_refunded() -> None:
    record = tell([(captured(A),), (refunded(A, REFUND_1, PART),)]).record
    intent = reserve(record, request(), NOW).refund_intents[request().intent_id]
    assert (intent.payment_id, intent.amount_minor, intent.state) == (A, AMOUNT - PART, IntentState.OPEN)
    assert (intent.requested_at, intent.asked_at) == (NOW, NOW)


def test_what_a_lost_dispute_took_cannot_be_refunded_again() -> None:
    story = tell([(captured(A),), (disputed(A, amount_minor=PART),)])
    # Nothing is taken back before the dispute is lost.
    assert remaining(story.record) == AMOUNT
    story.deliver(disputed(A, DisputeState.LOST, amount_minor=PART))
    assert remaining(story.record) == AMOUNT - PART
    assert reserve(story.record, request(), NOW).refund_intents[request().intent_id].amount_minor == AMOUNT - PART
    with pytest.raises(InvalidRequest, match="amount"):
        reserve(story.record, request(amount="499.50"), NOW)


def test_a_payment_that_was_lost_as_a_whole_cannot_be_refunded_through_us() -> None:
    record = tell([(captured(A),), (disputed(A, DisputeState.LOST),)]).record
    assert remaining(record) == 0
    for asked_for in (request(), request(payment=A), request(payment=A, amount="1")):
        with pytest.raises(NothingToRefund):
            reserve(record, asked_for, NOW)


def test_a_loss_and_refunds_count_together_and_a_loss_after_both_leaves_nothing() -> None:
    story = tell([(captured(A),), (refunded(A, REFUND_1, PART),), (disputed(A, DisputeState.LOST, amount_minor=PART),)])
    assert remaining(story.record) == AMOUNT - 2 * PART
    story.deliver(disputed(A, DisputeState.LOST, dispute=DISPUTE_2, amount_minor=AMOUNT))
    assert remaining(story.record) == 0


def test_a_loss_in_another_currency_leaves_the_rest_to_a_person() -> None:
    record = tell([(captured(A),), (disputed(A, DisputeState.LOST, amount_minor=PART, currency="USD"),)]).record
    assert remaining(record) == 0


def test_a_dispute_that_was_won_or_took_nothing_leaves_the_payment_refundable() -> None:
    for state, deducted in ((DisputeState.WON, 0), (DisputeState.CLOSED, 0), (DisputeState.LOST, 0)):
        record = tell([(captured(A),), (disputed(A, state, deducted_minor=deducted),)]).record
        assert remaining(record) == AMOUNT, state


def test_an_amount_is_in_major_units_of_the_payments_currency() -> None:
    intent = reserve(paid(), request(amount="199.5"), NOW).refund_intents[request().intent_id]
    assert intent.amount_minor == 19950


def test_a_surplus_payment_is_refunded_when_it_is_named() -> None:
    record = tell([(captured(A),), (captured(B),)]).record
    intent = reserve(record, request(payment=B), NOW).refund_intents[request().intent_id]
    assert (intent.payment_id, intent.amount_minor) == (B, AMOUNT)


def test_a_payment_of_another_currency_is_counted_in_its_own() -> None:
    record = tell([(captured(A, 5000, "JPY"),)]).record
    intent = reserve(record, request(payment=A, amount="70"), NOW).refund_intents[request().intent_id]
    assert intent.amount_minor == 70


@pytest.mark.parametrize("amount", ["500.01", "501", "99999999.99"])
def test_more_than_what_remains_is_refused(amount: str) -> None:
    with pytest.raises(InvalidRequest, match="amount is more than what remains"):
        reserve(paid(), request(amount=amount), NOW)


@pytest.mark.parametrize("amount", ["0", "0.99", "-1", "100.001"])
def test_an_amount_that_no_refund_has_is_refused(amount: str) -> None:
    with pytest.raises(InvalidRequest, match="amount must"):
        reserve(paid(), request(amount=amount), NOW)


@pytest.mark.parametrize("payment", [B, C])
def test_a_payment_that_is_not_captured_on_this_order_cannot_be_named(payment: str) -> None:
    record = tell([(captured(A),), (signed(C),)]).record
    with pytest.raises(InvalidRequest, match="razorpay_payment_id must be a captured payment"):
        reserve(record, request(payment=payment), NOW)


@pytest.mark.parametrize(
    "deliveries",
    [
        pytest.param([], id="nothing was paid"),
        pytest.param([(signed(A),)], id="not confirmed"),
        pytest.param([(captured(A, AMOUNT - 1),)], id="another amount, so nothing stands"),
        pytest.param([(captured(A),), (refunded(A, REFUND_1, AMOUNT),)], id="refunded"),
        pytest.param(
            [(captured(A),), (refunded(A, REFUND_1, AMOUNT, RefundState.CREATED),)], id="the refund is under way"
        ),
        pytest.param([(captured(A),), (refunded(A, REFUND_1, AMOUNT - 99),)], id="less than a rupee remains"),
    ],
)
def test_where_nothing_remains_no_refund_is_made(deliveries: list[Any]) -> None:
    with pytest.raises(NothingToRefund):
        reserve(tell(deliveries).record, request(), NOW)


def test_one_rupee_that_remains_can_be_refunded() -> None:
    record = tell([(captured(A),), (refunded(A, REFUND_1, AMOUNT - 100),)]).record
    (intent,) = reserve(record, request(), NOW).refund_intents.values()
    assert intent.amount_minor == 100


@pytest.mark.parametrize(
    ("deliveries", "payment", "why"),
    [
        ([], None, "no payment stands"),
        ([(captured(A, currency="XYZ"),)], A, "captured in a currency that we cannot count in"),
        ([(captured(A), refunded(A, REFUND_1))], A, "nothing remains"),
    ],
)
def test_the_log_is_told_why_there_is_nothing_to_refund(
    deliveries: list[Delivery], payment: str | None, why: str
) -> None:
    with pytest.raises(NothingToRefund, match=f"^{why}$"):
        reserve(tell(deliveries).record, request(payment=payment), NOW)


def test_an_order_that_nobody_knows_is_not_found() -> None:
    with pytest.raises(OrderNotFound, match=r"^whose order it is is unknown$"):
        reserve(decide(unknown_record(ORDER_ID, OPENED), [captured(A)], OPENED).record, request(), NOW)


def test_who_requests_a_refund_and_why_is_kept() -> None:
    by = Mandate.model_validate(BY)
    asked_for = request(amount="200", reason="goodwill", by=by)
    reserved = reserve(paid(), asked_for, NOW)
    assert reserved.refund_intents[asked_for.intent_id].reason == "goodwill"
    assert (reserved.history[-1].what, reserved.history[-1].by) == (f"refund requested {A}", by)


def test_a_failed_refund_frees_its_amount() -> None:
    record = tell([(captured(A),), (refunded(A, REFUND_1, AMOUNT, RefundState.FAILED),)]).record
    assert remaining(record) == AMOUNT
    # Its sum was in Razorpay's total for a while.
    pending: list[Delivery] = [(captured(A),), (refunded(A, REFUND_1, PART, RefundState.CREATED), total(A, PART))]
    assert remaining(tell(pending).record) == AMOUNT - PART
    assert remaining(tell([*pending, (refunded(A, REFUND_1, PART, RefundState.FAILED),)]).record) == AMOUNT


def test_of_a_payment_that_was_not_captured_nothing_remains() -> None:
    assert remaining(tell([(signed(A),)]).record) == 0


def test_a_total_of_razorpays_that_is_not_read_yet_is_believed() -> None:
    # Somebody refunded in the dashboard, and only the payment's total says so.
    record = tell([(captured(A), total(A, PART))]).record
    assert remaining(record) == AMOUNT - PART
    with pytest.raises(InvalidRequest, match="more than what remains"):
        reserve(record, request(amount="400"), NOW)


# --- intents --------------------------------------------------------------------------------------------------------


def test_an_intent_reserves_its_amount_and_changes_nothing_else() -> None:
    record = paid()
    reserved = reserve(record, request(amount="300"), NOW)
    assert remaining(reserved) == AMOUNT - 30000
    assert (reserved.status, reserved.version) == (record.status, record.version + 1)
    assert Position.of(reserved).amount_refunded == 0
    assert Position.of(reserved).unresolved
    with pytest.raises(InvalidRequest, match="more than what remains"):
        reserve(reserved, request("another-key-entirely", amount="300"), NOW)


def test_an_order_without_refunds_of_ours_has_no_attribute_for_them() -> None:
    from payments.adapters.table import to_item  # noqa: PLC0415 - of the table

    item = to_item(decide(paid(), [refunded(A, REFUND_1, PART)], NOW).record)
    assert "refund_intents" not in item
    assert set(item["refunds"][REFUND_1]) == {"payment", "amount", "state"}


def test_an_intent_is_stored_and_read_back() -> None:
    reserved = reserve(paid(), request(amount="300", reason="not_delivered"), NOW)
    assert through_the_table(reserved) == reserved
    ended = refused(reserved, request().intent_id, "too_old", NOW).record
    assert through_the_table(ended) == ended


def test_neither_the_key_nor_the_body_is_stored() -> None:
    from payments.adapters.table import to_item  # noqa: PLC0415 - as above

    reserved = reserve(paid(), request("client-4711-mr-kumar", amount="300"), NOW)
    assert "kumar" not in str(to_item(reserved))


def test_the_same_key_with_another_body_is_a_conflict() -> None:
    reserved = reserve(paid(), request(), NOW)
    assert known_intent(reserved, request()) is not None
    with pytest.raises(IdempotencyConflict):
        known_intent(reserved, request(amount="1"))


@pytest.mark.parametrize("state", list(RefundState))
def test_a_refund_that_names_the_intent_ends_it(state: RefundState) -> None:
    record = made(reserve(paid(), request(amount="200"), NOW), request(), REFUND_1, state)
    intent = record.refund_intents[request().intent_id]
    assert (intent.state, intent.refund_id) == (IntentState.MADE, REFUND_1)
    assert remaining(record) == AMOUNT - (0 if state is RefundState.FAILED else 20000)
    told = refund_of(record, request().intent_id)
    assert told is not None
    assert told[0] == REFUND_1


def test_a_refund_whose_notes_were_copied_does_not_end_the_intent() -> None:
    reserved = reserve(paid(), request(amount="200"), NOW)
    foreign = replace(refunded(A, REFUND_1, 10000), intent=request().intent_id)
    record = decide(reserved, [foreign], NOW).record
    assert record.refund_intents[request().intent_id].is_open
    assert record.refunds[REFUND_1].amount_minor == 10000
    assert not decide(record, [foreign], NOW + 1).changed


def test_that_a_known_refund_is_the_one_that_was_requested_is_news() -> None:
    reserved = reserve(paid(), request(amount="200"), NOW)
    unnamed = decide(reserved, [refunded(A, REFUND_1, 20000)], NOW).record
    assert unnamed.refund_intents[request().intent_id].is_open
    assert not made(unnamed, request(), REFUND_1).refund_intents[request().intent_id].is_open


def test_a_total_from_before_razorpays_answer_to_a_request_is_no_news() -> None:
    record = paid()
    for key, refund in (("the-first-half", REFUND_1), ("the-second-half", REFUND_2)):
        record = made(reserve(record, request(key, amount="200"), NOW), request(key), refund)
    # A webhook that is late has the sum of the first refund alone.
    assert not decide(record, [total(A, 20000)], NOW + 60).changed


def test_a_total_with_a_refund_that_nobody_told_is_news_after_a_request_as_well() -> None:
    record = tell([(captured(A), captured(B)), (refunded(B, REFUND_2, PART),)]).record
    record = decide(record, [refunded(A, REFUND_3, PART, RefundState.FAILED)], NOW - 60).record
    record = made(reserve(record, request(amount="200"), NOW), request(), REFUND_1)
    assert decide(record, [total(A, 20001)], NOW + 60).record.attempts[A].refunds_unread


def test_a_second_refund_under_one_intent_does_not_take_the_firsts_place() -> None:
    record = made(reserve(paid(), request(amount="200"), NOW), request(), REFUND_1)
    record = made(record, request(), REFUND_2)
    assert record.refund_intents[request().intent_id].refund_id == REFUND_1
    assert Position.of(record).amount_refunded == 40000


def test_a_refusal_frees_the_amount_for_good() -> None:
    reserved = reserve(paid(), request(), NOW)
    ended = refused(reserved, request().intent_id, "insufficient_balance", NOW)
    assert remaining(ended.record) == AMOUNT
    assert not Position.of(ended.record).unresolved
    assert not refused(ended.record, request().intent_id, "amount", NOW).changed


def test_a_refund_that_appears_after_all_overrules_the_refusal() -> None:
    ended = refused(reserve(paid(), request(), NOW), request().intent_id, "insufficient_balance", NOW).record
    record = made(ended, request(), REFUND_1)
    intent = record.refund_intents[request().intent_id]
    assert (intent.state, intent.refund_id, intent.refusal) == (IntentState.MADE, REFUND_1, None)


def test_a_refund_is_asked_for_again_only_once_lists_would_show_it() -> None:
    reserved = reserve(paid(), request(), NOW)
    intent = reserved.refund_intents[request().intent_id]
    assert not may_ask_again(intent, NOW + RESEND_AFTER_S - 1)
    assert may_ask_again(intent, NOW + RESEND_AFTER_S)
    again = asked(reserved, request().intent_id, NOW + RESEND_AFTER_S)
    assert not may_ask_again(again.refund_intents[request().intent_id], NOW + RESEND_AFTER_S)
    # Razorpay did not consider it, so nothing needs to be waited for.
    free = not_taken(reserved, request().intent_id, None, NOW).record
    assert may_ask_again(free.refund_intents[request().intent_id], NOW)
    back = not_taken(again, request().intent_id, NOW, NOW + RESEND_AFTER_S).record
    assert back.refund_intents[request().intent_id].asked_at == NOW


def test_reconcile_looks_at_an_open_intent_as_soon_as_it_may_be_asked_for_again() -> None:
    reserved = reserve(replace(paid(), pending={}), request(), NOW)
    looked = after_look(reserved, NOW + 11 * 60)
    assert (looked.lane, looked.attention_at) == (Lane.WATCH, NOW + RESEND_AFTER_S)
    again = after_look(reserved, NOW + RESEND_AFTER_S).attention_at
    assert again is not None
    assert again > NOW + RESEND_AFTER_S


def test_a_review_asks_a_person_once_and_closes_when_the_refund_appears() -> None:
    reserved = reserve(paid(), request(), NOW)
    doubt = in_doubt(reserved, request().intent_id, NOW)
    assert [(review.reason, review.subject) for review in doubt.record.reviews] == [
        ("refund_in_doubt", request().intent_id)
    ]
    assert not in_doubt(doubt.record, request().intent_id, NOW + 1).changed
    (event,) = [event for event in doubt.record.pending.values() if event.review]
    assert (event.payment, event.review_state) == (A, "open")
    other = decide(doubt.record, [failed(B)], NOW + 2).record
    assert [review.is_open for review in other.reviews] == [True]
    closed = made(doubt.record, request(), REFUND_1)
    assert [review.resolution for review in closed.reviews] == ["known"]
    refusal = refused(doubt.record, request().intent_id, "too_old", NOW).record
    assert [review.resolution for review in refusal.reviews] == ["known"]


def test_fifty_intents_are_kept_and_one_that_its_refund_names_makes_room() -> None:
    record = tell([(captured(A, 100 * 100),)]).record
    record = replace(record, order=replace(record.agreed(), amount_minor=100 * 100))
    record = decide(record, [captured(A, 100 * 100)], NOW).record
    keys = [f"refund-number-{number:02}" for number in range(MAX_INTENTS + 1)]
    for key in keys[:-1]:
        record = reserve(record, request(key, payment=A, amount="1"), NOW)
    with pytest.raises(TooManyRefunds, match=r"^the record has 50 intents that it must keep$"):
        reserve(record, request(keys[-1], payment=A, amount="1"), NOW)
    refusal = refused(record, request(keys[0]).intent_id, "too_old", NOW).record
    with pytest.raises(TooManyRefunds):
        # Its key must go on being refused.
        reserve(refusal, request(keys[-1], payment=A, amount="1"), NOW)
    fulfilled = made(record, request(keys[1]), REFUND_1)
    with pytest.raises(TooManyRefunds):
        # Without its intent, a repetition would be a second refund.
        reserve(replace(fulfilled, refunds={}), request(keys[-1], payment=A, amount="1"), NOW)
    full = reserve(fulfilled, request(keys[-1], payment=A, amount="1"), NOW)
    assert len(full.refund_intents) == MAX_INTENTS
    assert request(keys[1]).intent_id not in full.refund_intents
    told = refund_of(full, request(keys[1]).intent_id)
    assert told is not None
    assert told[0] == REFUND_1


# --- refusals -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "refusal", "error"),
    [
        (FullyRefunded, "nothing_left", NothingToRefund),
        (AmountRefused, "amount", InvalidRequest),
        (PaymentTooOld, "too_old", RefundTooOld),
        (NotCaptured, "not_captured", NothingToRefund),
        (BalanceInsufficient, "insufficient_balance", BalanceTooLow),
        (NotAtGateway, "refused", RefundNotAccepted),
        (GatewayRefused, "refused", RefundNotAccepted),
    ],
)
def test_each_refusal_of_razorpays_has_its_answer(kind: type[GatewayRefused], refusal: Any, error: type) -> None:
    assert refusal_of(kind(400, None), is_absent=True) == refusal
    assert isinstance(error_of(refusal), error)


@pytest.mark.parametrize("kind", [FullyRefunded, AmountRefused])
def test_asked_again_razorpay_may_refuse_because_the_refund_exists(kind: type[GatewayRefused]) -> None:
    assert refusal_of(kind(400, None), is_absent=False) is None


@pytest.mark.parametrize("status", [408, 409])
def test_a_status_that_says_nothing_leaves_the_refund_in_doubt(status: int) -> None:
    assert refusal_of(GatewayRefused(status, None), is_absent=True) is None


def test_a_refusal_of_a_later_version_is_answered_all_the_same() -> None:
    assert isinstance(error_of("a_word_of_a_later_version"), RefundNotAccepted)


# --- the event ------------------------------------------------------------------------------------------------------


def test_a_refund_that_razorpay_gives_up_is_announced_once() -> None:
    story = tell([(captured(A),), (refunded(A, REFUND_1, PART, RefundState.CREATED),)])
    assert story.count("payment.refund_failed") == 0
    story.deliver(refunded(A, REFUND_1, PART, RefundState.FAILED))
    story.deliver(refunded(A, REFUND_1, PART, RefundState.FAILED))
    assert story.count("payment.refund_failed") == 1
    story.deliver(refunded(A, REFUND_1, PART))
    assert list(story.types.values()) == ["payment.paid", "payment.refund_failed", "payment.partially_refunded"]


def test_the_event_names_the_refund_and_what_was_refunded_by_then() -> None:
    story = tell([(captured(A),), (refunded(A, REFUND_1, PART),), (refunded(A, REFUND_2, PART, RefundState.FAILED),)])
    ((_, event),) = [
        (key, event) for key, event in story.record.pending.items() if event.type == "payment.refund_failed"
    ]
    assert (event.payment, event.refund, event.refund_minor, event.refunded_minor) == (A, REFUND_2, PART, PART)


def test_a_refund_that_fails_after_it_was_processed_is_a_review_and_no_event() -> None:
    story = tell([(captured(A),), (refunded(A, REFUND_1, PART),), (refunded(A, REFUND_1, PART, RefundState.FAILED),)])
    assert story.count("payment.refund_failed") == 0
    assert story.reviews() == ["refund_reversed"]


def test_the_returned_money_of_an_uncaptured_payment_is_not_announced_when_it_fails() -> None:
    story = tell([(refunded(A, REFUND_1, PART, RefundState.FAILED),)])
    assert story.count("payment.refund_failed") == 0


# --- whatever happens -----------------------------------------------------------------------------------------------

KEYS = [f"key-number-{number}" for number in range(4)]


@st.composite
def steps(draw: st.DrawFn) -> list[tuple[Any, ...]]:
    amounts = st.sampled_from([None, "1", "200", "300", "500"])
    request_ = st.tuples(st.just("request"), st.sampled_from(KEYS), amounts, st.sampled_from([None, A, B]))
    ends = st.tuples(st.sampled_from(["made", "failed", "refused"]), st.sampled_from(KEYS))
    elsewhere = st.tuples(st.just("elsewhere"), st.sampled_from([A, B]), st.sampled_from([100, 20000]))
    return draw(st.lists(st.one_of(request_, ends, elsewhere), max_size=14))


@given(steps())
def test_whatever_is_requested_refused_and_refunded_elsewhere_no_more_is_asked_for_than_remains(
    played: list[tuple[Any, ...]],
) -> None:
    record = tell([(captured(A),), (captured(B),)]).record
    asked_for: dict[str, RefundRequest] = {}
    number = 0
    for step in played:
        number += 1
        refund = f"rfnd_{number:014d}"
        match step:
            case ("request", key, amount, payment):
                wanted = request(key, amount=amount, payment=payment)
                if wanted.intent_id in record.refund_intents:
                    continue
                before = {each: remaining(record, each) for each in (A, B)}
                try:
                    record = reserve(record, wanted, NOW)
                except (InvalidRequest, NothingToRefund):
                    continue
                asked_for[key] = wanted
                intent = record.refund_intents[wanted.intent_id]
                assert 100 <= intent.amount_minor <= before[intent.payment_id]
                assert remaining(record, intent.payment_id) == before[intent.payment_id] - intent.amount_minor
            case ("made" | "failed" as how, key) if key in asked_for:
                state = RefundState.PROCESSED if how == "made" else RefundState.FAILED
                record = made(record, asked_for[key], refund, state)
            case ("refused", key) if key in asked_for:
                record = refused(record, asked_for[key].intent_id, "too_old", NOW).record
            case ("elsewhere", payment, amount) if amount <= remaining(record, payment):
                record = decide(record, [refunded(payment, refund, amount)], NOW).record
            case _:
                continue
        assert through_the_table(record) == record
    for key, event in record.pending.items():
        if event.type == "payment.refund_failed":
            from payments.core.events import detail  # noqa: PLC0415 - only here

            check_detail(event.type, detail(record, key, event).model_dump(exclude_unset=True, mode="json"))


def test_three_refunds_of_three_intents_are_told_apart() -> None:
    record = paid()
    for key, refund in zip(KEYS, (REFUND_1, REFUND_2, REFUND_3), strict=False):
        record = made(reserve(record, request(key, amount="100"), NOW), request(key), refund)
    assert [intent.refund_id for intent in record.refund_intents.values()] == [REFUND_1, REFUND_2, REFUND_3]


def test_of_the_intents_that_may_go_the_oldest_makes_room() -> None:
    record = paid()
    keys = [f"refund-number-{number:02}" for number in range(MAX_INTENTS)]
    # The ids of intents have no order in time.
    for number, key in enumerate(sorted(keys, key=lambda key: request(key).intent_id, reverse=True)):
        asked_for = request(key, amount="1")
        record = reserve(record, asked_for, NOW + number)
        record = made(record, asked_for, f"rfnd_{number:014d}")
    oldest = min(record.refund_intents, key=lambda intent_id: record.refund_intents[intent_id].requested_at)
    full = reserve(record, request(amount="1"), NOW + MAX_INTENTS)
    assert set(record.refund_intents) - set(full.refund_intents) == {oldest}


def test_an_intent_that_has_ended_is_neither_in_doubt_nor_sent_again() -> None:
    ended = made(reserve(paid(), request(), NOW), request(), REFUND_1)
    assert not in_doubt(ended, request().intent_id, NOW).changed
    assert not not_taken(ended, request().intent_id, None, NOW).changed


def test_a_refusal_ends_no_other_review() -> None:
    differing = tell([(captured(A), captured(B))]).record
    doubt = in_doubt(reserve(differing, request(), NOW), request().intent_id, NOW).record
    ended = refused(doubt, request().intent_id, "too_old", NOW).record
    assert [(review.reason, review.is_open) for review in ended.reviews] == [
        ("duplicate_capture", True),
        ("refund_in_doubt", False),
    ]


def test_what_was_recorded_about_an_intent_is_said_in_the_history_and_by_the_ids_of_its_events() -> None:
    doubt = in_doubt(reserve(replace(paid(), pending={}), request(), NOW), request().intent_id, NOW)
    assert doubt.record.history[-1].what == "review refund_in_doubt"
    assert doubt.recorded == tuple(doubt.record.pending) != ()


def test_a_day_without_a_trace_proves_that_a_refund_is_absent() -> None:
    intent = reserve(paid(), request(), NOW).refund_intents[request().intent_id]
    assert is_absent(intent, None, NOW)
    assert not is_absent(intent, NOW, NOW + GIVE_UP_AFTER_S - 1)
    assert is_absent(intent, NOW, NOW + GIVE_UP_AFTER_S)


def test_what_is_shown_of_a_request_is_its_refund_once_there_is_one() -> None:
    reserved = reserve(paid(), request(amount="200"), NOW)
    assert shown(reserved, request().intent_id).state is RefundState.CREATED
    assert shown(made(reserved, request(), REFUND_1), request().intent_id).state is RefundState.PROCESSED


@pytest.mark.parametrize(("status", "is_refusal"), [(399, False), (400, True), (499, True), (500, False)])
def test_only_a_status_that_blames_the_request_is_a_refusal(status: int, *, is_refusal: bool) -> None:
    assert (refusal_of(GatewayRefused(status, None), is_absent=True) == "refused") is is_refusal


@pytest.mark.parametrize("refusal", ["nothing_left", "not_captured", "too_old", "insufficient_balance"])
def test_the_log_is_told_that_it_was_razorpay_who_refused(refusal: Any) -> None:
    assert str(error_of(refusal)) == "Razorpay says so"


def test_an_amount_that_razorpay_refused_is_the_callers_mistake() -> None:
    error = error_of("amount")
    assert isinstance(error, InvalidRequest)
    ((field, message),) = [(mistake.field, mistake.message) for mistake in error.errors]
    assert (field, message) == ("amount", "is not an amount that the payment gateway refunds")
