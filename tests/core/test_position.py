"""The terms of the design, section 3, each with examples; and the limits on stored facts."""

import pytest

from payments.core.errors import PaymentFailed, PaymentRefunded, PaymentReturned, PaymentUnderReview, RequestError
from payments.core.facts import MAX_FACTS, MAX_REFUNDS, batches
from payments.core.model import (
    Accepted,
    Authorized,
    Captured,
    Fact,
    Failed,
    NeverCaptured,
    RefundState,
    Released,
    Status,
    Verdict,
)
from payments.core.outbox import record_and_publish
from payments.core.position import Policy, Position
from payments.core.verification import require_paid
from tests.core.story import (
    AMOUNT,
    OPENED,
    ORDER_ID,
    PART,
    REFUND_1,
    REFUND_2,
    A,
    B,
    captured,
    failed,
    opened,
    refunded,
    signed,
    superseded,
    tell,
    total,
)
from tests.fakes import FakeBus, FakeTable


@pytest.mark.parametrize(
    ("capture", "floor", "verdict"),
    [
        (captured(A), None, "exact"),
        (captured(A, AMOUNT + 1180, fee_minor=1180), None, "fee"),
        (captured(A, AMOUNT + 1180, fee_minor=1179), None, None),
        (captured(A, AMOUNT + 1180), None, None),
        (captured(A, AMOUNT * 9 // 10), 90, "offer"),
        (captured(A, AMOUNT * 9 // 10 - 1), 90, None),
        (captured(A, AMOUNT * 9 // 10), None, None),
        (captured(A, AMOUNT + 1), 90, None),
        (captured(A, currency="USD"), 90, None),
    ],
)
def test_a_capture_matches_exactly_with_its_fee_or_within_an_offer(
    capture: Captured, floor: int | None, verdict: Verdict | None
) -> None:
    record = tell([(capture,)], policy=Policy(accept_offers_from_percent=floor)).record
    assert record.attempts[A].verdict == verdict
    assert (record.status is Status.PAID) == (verdict is not None)


def test_a_refund_that_is_known_is_no_news_under_a_new_setting_either() -> None:
    story = tell([(captured(A, AMOUNT * 9 // 10),), (refunded(A, REFUND_1, 1),)])
    story.policy = Policy(accept_offers_from_percent=90)
    assert not story.deliver(refunded(A, REFUND_1, 1)).changed


def test_a_fee_that_is_reported_later_cures_a_mismatch() -> None:
    story = tell([(captured(A, AMOUNT + 1180),)])
    assert story.reviews() == ["amount_mismatch"]
    story.deliver(captured(A, AMOUNT + 1180, fee_minor=1180))
    assert (story.status(), story.reviews()) == (Status.PAID, ["amount_mismatch matched"])


@pytest.mark.parametrize(
    ("facts", "returned"),
    [
        ((captured(A), refunded(A, REFUND_1, AMOUNT - 1)), False),
        ((captured(A), refunded(A, REFUND_1)), True),
        ((captured(A), refunded(A, REFUND_1, state=RefundState.CREATED)), False),
        ((captured(A, PART), refunded(A, REFUND_1, PART)), True),
        ((captured(A, AMOUNT + 1180, fee_minor=1180), refunded(A, REFUND_1)), True),
        ((Authorized(payment=A), refunded(A, REFUND_1, 1)), True),
        ((Authorized(payment=A),), False),
    ],
)
def test_a_payment_is_returned_when_all_that_counts_of_it_came_back(facts: tuple[Fact, ...], returned: bool) -> None:
    assert Position.of(tell([facts]).record).returned(A) is returned


def test_the_first_recorded_match_stands_and_the_next_when_it_is_returned() -> None:
    story = tell([(captured(B),), (captured(A),)])
    assert Position.of(story.record).standing == B
    story.deliver(refunded(B, REFUND_1))
    assert (Position.of(story.record).standing, story.status()) == (A, Status.PAID)
    assert story.reviews() == ["duplicate_capture returned"]
    assert story.count("payment.surplus_refunded") == 1


def test_of_matches_recorded_together_the_one_razorpay_made_first_stands_then_the_lower_id() -> None:
    together = tell([(captured(A, created_at=OPENED + 2), captured(B, created_at=OPENED + 1))]).record
    assert Position.of(together).standing == B
    assert Position.of(tell([(captured(B), captured(A))]).record).standing == min(A, B)


def test_a_second_capture_of_the_agreed_sum_is_surplus_and_the_purchase_not_under_review() -> None:
    record = tell([(captured(A), captured(B))]).record
    assert len(Position.of(record).surplus) == 1
    assert not Position.of(record).under_review


@pytest.mark.parametrize(
    ("deliveries", "dead"),
    [
        ([(signed(A, OPENED),), (failed(A),)], False),
        ([(signed(A, OPENED),), (failed(A, listed_at=OPENED),)], False),
        ([(signed(A, OPENED),), (failed(A, listed_at=OPENED + 1),)], True),
        ([(failed(A, listed_at=OPENED + 1),), (signed(A, OPENED + 2),)], False),
        ([(signed(A, OPENED),), (failed(A, listed_at=OPENED + 1),), (Authorized(payment=A),)], False),
    ],
)
def test_only_a_look_that_began_after_it_was_signed_ends_a_signature(
    deliveries: list[tuple[Fact, ...]], dead: bool
) -> None:
    record = tell(deliveries).record
    assert Position.of(record).dead(A) is dead
    assert (record.status is Status.FAILED) is dead


def test_never_captured_ends_the_claim_of_a_signature_but_is_never_said_of_a_capture() -> None:
    story = tell([(signed(A),), (NeverCaptured(payment=A),)])
    assert (story.status(), story.reviews()) == (Status.FAILED, ["never_captured"])
    story.deliver(captured(A))
    assert (story.status(), story.reviews()) == (Status.PAID, ["never_captured captured"])
    assert not story.deliver(NeverCaptured(payment=A)).changed


# --- verify ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("facts", "replaced", "refusal"),
    [
        ((captured(A), refunded(A, REFUND_1)), False, PaymentRefunded),
        ((refunded(A, REFUND_1),), False, PaymentReturned),
        ((failed(A, listed_at=OPENED + 1),), False, PaymentFailed),
        ((captured(A, PART),), False, PaymentUnderReview),
        ((), True, PaymentUnderReview),
        ((captured(A),), True, PaymentUnderReview),
        ((Released(payment=A),), False, PaymentFailed),
    ],
)
def test_verify_refuses_what_is_not_paid_with_its_reason(
    facts: tuple[Fact, ...], replaced: bool, refusal: type[Exception]
) -> None:
    record = tell([(signed(A),), facts], superseded() if replaced else opened()).record
    with pytest.raises(refusal):
        require_paid(record, A)


def test_verify_passes_what_is_paid() -> None:
    require_paid(tell([(signed(A),)]).record, A)


# --- many facts, and evidence ---------------------------------------------------------------------------------------


def many(count: int, amount_minor: int = 1) -> list[Fact]:
    return [refunded(A, f"rfnd_{n:014d}", amount_minor, created_at=OPENED + n) for n in range(count)]


def test_more_than_fifty_facts_take_several_decisions_captures_first_and_refunds_by_creation() -> None:
    parts = list(batches([total(A, 120, complete=True), *reversed(many(120)), captured(A)]))
    assert max(map(len, parts)) <= MAX_FACTS == 50
    told = [fact for part in parts for fact in part]
    assert told == [captured(A), *many(120), total(A, 120, complete=True)]


def test_each_capture_comes_with_its_own_refunds_and_what_has_none_comes_last() -> None:
    late: list[Fact] = [Authorized(payment="pay_DESyzxuld02Zum"), failed("pay_DESyzxuld02Zun")]
    of_b: list[Fact] = [refunded(B, f"rfnd_b{n:013d}", 1, created_at=OPENED + n) for n in range(30)]
    mixed = [*late, *reversed(of_b), captured(B), *reversed(many(30)), total(B, 30), captured(A)]
    told = [fact for part in batches(mixed) for fact in part]
    assert told == [captured(B), *of_b, total(B, 30), captured(A), *many(30), *late]


def test_a_refund_of_unknown_age_is_told_before_the_others() -> None:
    unknown = refunded(A, "rfnd_zzzzzzzzzzzzzz", 1, created_at=None)
    told = [fact for part in batches([*many(60), unknown, captured(A)]) for fact in part]
    assert told == [captured(A), unknown, *many(60)]


def test_fifty_facts_or_fewer_are_one_decision_as_they_came() -> None:
    facts = [*reversed(many(MAX_FACTS - 1)), captured(A)]
    assert list(batches(facts)) == [tuple(facts)]


def test_a_payment_with_very_many_refunds_keeps_five_hundred_and_a_person_is_told_once() -> None:
    table, bus = FakeTable(), FakeBus()
    table.insert(opened())
    for _ in range(2):
        record_and_publish(table, bus, ORDER_ID, [captured(A), *many(MAX_REFUNDS + 20)], OPENED + 60)
    record = table.records[ORDER_ID]
    assert len(record.refunds) == MAX_REFUNDS == 500
    assert [review.reason for review in record.reviews] == ["refund_total_differs"]
    assert bus.types()[0] == "payment.paid"


def test_a_total_that_fits_the_refunds_we_know_or_those_under_way_agrees() -> None:
    base = (captured(A), refunded(A, REFUND_1, 100), refunded(A, REFUND_2, 50, RefundState.CREATED))
    for amount, unread in ((99, True), (100, False), (150, False), (151, True)):
        assert tell([base, (total(A, amount),)]).record.attempts[A].refunds_unread is unread


def test_a_total_that_differs_keeps_the_record_due_until_the_refunds_were_read() -> None:
    story = tell([(captured(A), total(A, PART))])
    assert Position.of(story.record).unresolved
    story.deliver(refunded(A, REFUND_1, PART), total(A, PART, complete=True))
    assert not Position.of(story.record).unresolved
    assert not story.reviews()


# --- one payment, reported more than once ---------------------------------------------------------------------------


def test_what_a_payment_was_made_with_and_when_is_kept_from_whichever_report_says_it_first() -> None:
    """A webhook may lack what another had; nothing known is lost."""
    reports: list[Fact] = [
        Authorized(payment=A, method="card", created_at=OPENED + 5),
        captured(A, method="card", created_at=OPENED + 5),
        Failed(payment=A, method="card", created_at=OPENED + 5),
    ]
    silent: list[Fact] = [Authorized(payment=A), captured(A, method=None), Failed(payment=A)]
    for told in reports:
        for unsaid in silent:
            for facts in ((told, unsaid), (unsaid, told)):
                if facts == (silent[2], reports[2]):
                    # The first report of a failure is kept, even if it lacks something.
                    continue
                attempt = tell([facts]).record.attempts[A]
                assert (attempt.method, attempt.created_at) == ("card", OPENED + 5), facts


def test_the_first_that_is_said_of_a_payment_stays() -> None:
    first = captured(A, method="card", created_at=OPENED + 5, fee_minor=9)
    later = captured(A, method="upi", created_at=OPENED + 6, fee_minor=8)
    attempt = tell([(first,), (later,), (Authorized(payment=A, method="upi", created_at=OPENED + 7),)]).record.attempts[
        A
    ]
    assert (attempt.method, attempt.created_at, attempt.fee_minor) == ("card", OPENED + 5, 9)


def test_the_time_that_an_authorisation_told_decides_which_of_two_captures_stands() -> None:
    early, late = Authorized(payment=B, created_at=OPENED + 1), Authorized(payment=A, created_at=OPENED + 2)
    record = tell([(early, late), (captured(A), captured(B))]).record
    assert Position.of(record).standing == B


def test_of_two_reports_of_a_capture_the_one_that_agrees_with_the_order_wins_whichever_came_first() -> None:
    for wrong in (captured(A, PART), captured(A, currency="USD"), captured(A, PART, "USD")):
        for reports in ((captured(A), wrong), (wrong, captured(A))):
            record = tell([(report,) for report in reports]).record
            attempt = record.attempts[A]
            assert (attempt.amount_minor, attempt.currency, attempt.verdict) == (AMOUNT, "INR", "exact"), reports
            assert record.status is Status.PAID


def test_of_two_reports_of_which_none_agrees_the_first_stays() -> None:
    story = tell([(captured(A, PART, "USD"),), (captured(A, PART + 1, "EUR"),)])
    attempt = story.record.attempts[A]
    assert (attempt.amount_minor, attempt.currency, attempt.verdict) == (PART, "USD", None)
    assert story.reviews() == ["currency_mismatch"]


def test_when_it_was_signed_is_the_first_time_that_it_was() -> None:
    assert tell([(signed(A, OPENED + 1),), (signed(A, OPENED + 9),)]).record.attempts[A].signed_at == OPENED + 1


def test_a_failure_keeps_its_first_reason_and_time() -> None:
    first = Failed(payment=A, code="BAD_REQUEST_ERROR", reason="payment_cancelled", at=OPENED + 3)
    later = Failed(payment=A, code="GATEWAY_ERROR", reason="payment_timed_out", at=OPENED + 9)
    attempt = tell([(first,), (later,)]).record.attempts[A]
    assert (attempt.code, attempt.reason, attempt.failed_at) == ("BAD_REQUEST_ERROR", "payment_cancelled", OPENED + 3)


def test_a_failure_without_a_time_of_its_own_has_that_of_its_payment() -> None:
    assert tell([(Failed(payment=A, created_at=OPENED + 5),)]).record.attempts[A].failed_at == OPENED + 5
    assert tell([(Failed(payment=A, created_at=OPENED + 5, at=0),)]).record.attempts[A].failed_at == 0


def test_the_latest_look_that_listed_a_failure_counts_until_it_ends_the_signature() -> None:
    story = tell([(failed(A, listed_at=OPENED - 5),)])
    # There was no signature that it could invalidate.
    assert story.record.attempts[A].listed_failed_at is None
    story = tell([(signed(A, OPENED),), (failed(A, listed_at=OPENED - 5),), (failed(A, listed_at=OPENED - 9),)])
    assert story.record.attempts[A].listed_failed_at == OPENED - 5
    story.deliver(failed(A, listed_at=OPENED))
    assert (story.record.attempts[A].listed_failed_at, story.status()) == (OPENED, Status.PAID)
    story.deliver(failed(A, listed_at=OPENED + 7))
    assert (story.record.attempts[A].listed_failed_at, story.status()) == (OPENED + 7, Status.FAILED)
    # It has ended, so later checks change nothing.
    assert not story.deliver(failed(A, listed_at=OPENED + 99)).changed


def test_how_and_when_a_payment_was_made_is_no_news_by_itself() -> None:
    story = tell([(Authorized(payment=A),)])
    assert not story.deliver(Authorized(payment=A, method="card", created_at=OPENED)).changed


def test_what_operators_and_looks_say_of_a_payment_that_nobody_knows_is_nothing() -> None:
    for fact in (NeverCaptured(payment=A), Accepted(payment=A), Released(payment=A)):
        assert not tell([]).deliver(fact).changed


def test_a_capture_cannot_be_released_and_only_a_capture_be_accepted() -> None:
    assert not tell([(captured(A),)]).deliver(Released(payment=A)).changed
    assert not tell([(Authorized(payment=A),)]).deliver(Accepted(payment=A)).changed


def test_a_capture_of_nothing_holds_no_money() -> None:
    record = tell([(captured(A, 0),)]).record
    assert not Position.of(record).holds_money(A)


def test_a_payment_in_another_currency_is_returned_when_all_of_it_came_back() -> None:
    story = tell([(captured(A, 2 * AMOUNT, "USD"), refunded(A, REFUND_1, AMOUNT))])
    assert (Position.of(story.record).returned(A), story.reviews()) == (False, ["currency_mismatch"])
    story.deliver(refunded(A, REFUND_2, AMOUNT))
    assert Position.of(story.record).returned(A)


def test_only_a_capture_can_differ_from_what_was_agreed() -> None:
    assert Position.of(tell([(Authorized(payment=A),)]).record).mismatch(A) is None
    assert Position.of(tell([(captured(A),)]).record).mismatch(A) is None


def test_the_payment_that_stood_is_shown_also_if_another_sum_came_after_its_refund() -> None:
    record = tell([(captured(A),), (refunded(A, REFUND_1),), (captured(B, PART),)]).record
    assert Position.of(record).shown_payment() == A


def test_of_payments_that_say_the_same_the_one_that_razorpay_made_first_is_shown() -> None:
    assert min(A, B) == A
    both = (Authorized(payment=A, created_at=OPENED + 2), Authorized(payment=B, created_at=OPENED + 1))
    assert Position.of(tell([both]).record).shown_payment() == B


@pytest.mark.parametrize(
    ("facts", "replaced", "why"),
    [
        ((captured(A), refunded(A, REFUND_1)), False, "refunded in full"),
        ((captured(A, PART), refunded(A, REFUND_1, PART)), False, "refunded in full"),
        ((refunded(A, REFUND_1),), False, "given back uncaptured"),
        ((failed(A, listed_at=OPENED + 1),), False, "listed as failed after it was signed"),
        ((captured(A, PART),), False, "the money is not as agreed"),
        ((), True, "the money is not as agreed"),
    ],
)
def test_the_log_is_told_why_verify_refuses(facts: tuple[Fact, ...], replaced: bool, why: str) -> None:
    record = tell([(signed(A),), facts], superseded() if replaced else opened()).record
    with pytest.raises(RequestError, match=f"^{why}$") as refused:
        require_paid(record, A)
    if isinstance(refused.value, PaymentUnderReview):
        assert refused.value.order_id == ORDER_ID
