"""The expiry of orders that nobody paid, and payments made before and after it."""

from collections.abc import Iterable, Sequence
from copy import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payments.core.errors import EventsUnpublished, NotAtGateway, PaymentUnderReview, StorageConflict, TooOldForGateway
from payments.core.expiry import PASSES, expire, is_in_progress, may_expire
from payments.core.instants import iso
from payments.core.listing import read_order
from payments.core.model import Accepted, Authorized, Fact, Lane, Record, RefundState, Released, Status
from payments.core.operations import accept_payment
from payments.core.position import Policy, Position
from payments.core.reconciliation import Outcome, apply_by_id, expire_orders
from payments.core.sweeping import Watermark
from payments.core.transitions import decide, supersede
from payments.core.verification import require_paid
from tests.core.story import (
    AMOUNT,
    OPENED,
    ORDER,
    ORDER_ID,
    OTHER_ORDER_ID,
    PART,
    REFUND_1,
    A,
    B,
    Delivery,
    captured,
    failed,
    opened,
    refunded,
    signed,
    tell,
    through_the_table,
)
from tests.fakes import FakeBus, FakeGateway, FakeTable, reconciler_of

DAY = 24 * 3600
EXPIRY_S = 30 * DAY
EXPIRED = OPENED + 31 * DAY
BEFORE, AFTER = EXPIRED - 60, EXPIRED + 60


def expired() -> Record:
    return replace(expire(opened(), EXPIRED).record, pending={}, lane=None, attention_at=None)


# --- the decision ---------------------------------------------------------------------------------------------------


def test_an_unpaid_order_expires_once_without_a_change_of_status_and_tells_so() -> None:
    decision = expire(opened(), EXPIRED)
    record = decision.record
    assert (record.status, record.expired_at, record.version) == (Status.CREATED, EXPIRED, 2)
    assert (record.history[-1].what, record.updated_at) == ("expired", iso(EXPIRED))
    ((identity, event),) = record.pending.items()
    assert decision.recorded == (identity,)
    assert (event.type, event.payment, event.status) == ("payment.expired", None, Status.CREATED)
    assert (record.lane, record.attention_at) == (Lane.OUTBOX, EXPIRED + 60)
    assert not expire(record, EXPIRED + DAY).changed
    assert through_the_table(record) == record


@pytest.mark.parametrize(
    ("facts", "may"),
    [
        ((), True),
        ((failed(A),), True),
        ((Authorized(payment=A),), False),
        ((signed(A),), False),
        ((captured(A),), False),
        # Razorpay takes no other payment on an order on which something was captured.
        ((captured(A, AMOUNT - 1), refunded(A, REFUND_1, AMOUNT - 1)), False),
        ((captured(A), refunded(A, REFUND_1)), False),
        ((Authorized(payment=A), refunded(A, REFUND_1)), True),
        ((signed(A), failed(A, listed_at=OPENED + 1)), True),
        ((signed(A), Released(payment=A)), True),
    ],
    ids=repr,
)
def test_only_an_order_expires_on_which_nothing_was_captured_and_nothing_may_be(
    facts: tuple[Fact, ...], may: bool
) -> None:
    record = decide(opened(), facts, OPENED + 1).record
    assert may_expire(record) is expire(record, EXPIRED).changed is may


def test_an_order_that_was_replaced_does_not_expire() -> None:
    assert not may_expire(supersede(opened(), OTHER_ORDER_ID, OPENED + 1))


# --- payments before and after it -----------------------------------------------------------------------------------


@pytest.mark.parametrize("made_at", [BEFORE, EXPIRED])
def test_a_payment_made_before_the_expiry_pays_the_order_however_late_it_is_reported(made_at: int) -> None:
    story = tell([(captured(A, created_at=made_at),)], expired())
    assert (story.status(), story.record.stood, story.reviews()) == (Status.PAID, A, [])
    assert list(story.types.values()) == ["payment.paid"]


def test_a_payment_made_after_the_expiry_is_reviewed_in_place_of_being_announced_as_paid() -> None:
    story = tell([(captured(A, created_at=AFTER),)], expired())
    assert (story.status(), story.record.confirmed, story.reviews()) == (Status.AUTHORIZED, False, ["expired_order"])
    assert list(story.types.values()) == ["payment.review"]
    assert Position.of(story.record).under_review


def test_a_late_payment_that_an_operator_accepts_pays_the_order() -> None:
    story = tell([(captured(A, created_at=AFTER),), (Accepted(payment=A),)], expired())
    assert (story.status(), story.reviews()) == (Status.PAID, ["expired_order accepted"])
    assert story.count("payment.paid") == 1
    story.deliver(refunded(A, REFUND_1))
    assert (story.status(), story.count("payment.refunded")) == (Status.REFUNDED, 1)


def test_a_late_payment_that_is_refunded_needs_no_decision_any_more() -> None:
    story = tell([(captured(A, created_at=AFTER),), (captured(A), refunded(A, REFUND_1))], expired())
    assert (story.status(), story.record.confirmed, story.reviews()) == (
        Status.REFUNDED,
        False,
        ["expired_order returned"],
    )
    assert (story.count("payment.surplus_refunded"), story.count("payment.refunded")) == (1, 0)


def test_a_late_payment_that_is_learned_together_with_its_refund_never_paid_the_order() -> None:
    story = tell([(captured(A, created_at=AFTER), refunded(A, REFUND_1))], expired())
    assert (story.status(), story.record.stood) == (Status.REFUNDED, None)
    assert story.count("payment.refunded") == story.count("payment.paid") == 0


def test_a_wrong_amount_on_an_expired_order_is_reviewed_as_such() -> None:
    story = tell([(captured(A, AMOUNT - 1, created_at=AFTER),)], expired())
    assert story.reviews() == ["amount_mismatch"]


def test_a_late_payment_on_an_order_that_was_replaced_since_is_still_reviewed_as_late() -> None:
    replaced = supersede(expired(), OTHER_ORDER_ID, EXPIRED + 10)
    assert tell([(captured(A, created_at=AFTER),)], replaced).reviews() == ["expired_order"]
    assert tell([(captured(A, created_at=BEFORE),)], replaced).reviews() == ["superseded_order"]


@pytest.mark.parametrize("record", [expired(), supersede(opened(), OTHER_ORDER_ID, OPENED + 1)])
def test_verify_answers_for_a_late_payment_as_for_one_on_a_replaced_order(record: Record) -> None:
    story = tell([(signed(A, AFTER + 30),)], record)
    assert (story.status(), story.reviews()) == (Status.AUTHORIZED, [])
    with pytest.raises(PaymentUnderReview):
        require_paid(story.record, A)
    story.deliver(captured(A, created_at=AFTER))
    with pytest.raises(PaymentUnderReview):
        require_paid(story.record, A)


def test_a_signature_after_the_expiry_counts_once_razorpay_says_that_the_payment_was_made_before() -> None:
    story = tell([(signed(A, AFTER),), (Authorized(payment=A, created_at=BEFORE),)], expired())
    assert story.status() is Status.PAID
    require_paid(story.record, A)
    story.deliver(captured(A, created_at=BEFORE))
    assert (story.record.confirmed, story.reviews()) == (True, [])


def test_when_a_payment_was_made_may_become_known_after_its_capture() -> None:
    story = tell([(captured(A),)], expired())
    assert story.reviews() == ["expired_order"]
    story.deliver(captured(A, created_at=BEFORE))
    assert (story.status(), story.reviews()) == (Status.PAID, ["expired_order matched"])
    assert story.count("payment.paid") == 1


def test_without_an_expiry_no_payment_is_late() -> None:
    record = tell([(captured(A),)]).record
    assert not Position.of(record).is_late(A)


IN_TIME: tuple[Delivery, ...] = (
    (Authorized(payment=A, created_at=BEFORE),),
    (captured(A, created_at=BEFORE),),
    (failed(A, BEFORE + 30),),
    (signed(A, AFTER),),
    (captured(A, created_at=BEFORE), refunded(A, REFUND_1, PART)),
)
LATE: tuple[Delivery, ...] = (
    (Authorized(payment=A, created_at=AFTER),),
    (captured(A, created_at=AFTER),),
    (failed(A, AFTER + 30),),
    (signed(A, AFTER + 60),),
    (captured(A, created_at=AFTER), refunded(A, REFUND_1, PART)),
)
FAILED_BEFORE: tuple[Delivery, ...] = ((replace(failed(B, BEFORE), created_at=BEFORE - 10),),)


def play(deliveries: Sequence[Delivery | None]) -> Record:
    """Decides each delivery in turn; None is the expiry, which the second pass repeats at the end."""
    record, now = opened(), EXPIRED
    for facts in (*deliveries, None):
        decision = expire(record, now) if facts is None else decide(record, facts, now)
        record = replace(decision.record, pending={})
        now += 0 if facts is None and record.expired_at == EXPIRED else 1
    return record


def seen(record: Record) -> tuple[object, ...]:
    """What other services and the client see."""
    reviews = [(review.reason, review.subject, review.resolution) for review in record.reviews]
    back = {key: (refund.state, refund.amount_minor) for key, refund in record.refunds.items()}
    return record.status, record.confirmed, record.stood, Position.of(record).under_review, reviews, back


PAID: tuple[object, ...] = (Status.PAID, True, A, False, [], {REFUND_1: (RefundState.PROCESSED, PART)})
HELD: tuple[object, ...] = (
    Status.AUTHORIZED,
    False,
    None,
    True,
    [("expired_order", A, None)],
    {REFUND_1: (RefundState.PROCESSED, PART)},
)


@given(st.permutations([*IN_TIME, *FAILED_BEFORE, None]), st.lists(st.integers(0, 100), max_size=3))
def test_the_expiry_and_a_payment_made_before_end_alike_in_every_order(
    deliveries: list[Delivery | None], repeated: list[int]
) -> None:
    again = [deliveries[number % len(deliveries)] for number in repeated]
    assert seen(play([*deliveries, *again])) == PAID


@given(st.permutations([*LATE, *FAILED_BEFORE]), st.integers(0, 1), st.lists(st.integers(0, 100), max_size=3))
def test_the_expiry_and_a_payment_made_after_it_end_alike_in_every_order(
    deliveries: list[Delivery], place: int, repeated: list[int]
) -> None:
    # No message about a payment can come before the payment; the failed one's may come before or after the expiry.
    first = deliveries.index(FAILED_BEFORE[0])
    messages: list[Delivery | None] = [*deliveries]
    if place:
        messages.insert(0, messages.pop(first))
    messages.insert(place, None)
    again = [messages[number % len(messages)] for number in repeated]
    assert seen(play([*messages, *again])) == HELD


# --- the pass over Razorpay's orders --------------------------------------------------------------------------------


class Case:
    """One order, at Razorpay and in the table."""

    def __init__(self, record: Record | None = None) -> None:
        self.table, self.bus, self.gateway = FakeTable(), FakeBus(), FakeGateway()
        self.gateway.now = OPENED
        self.gateway.put_order(ORDER_ID, ORDER)
        self.table.insert(record or opened())
        self.reconciler = reconciler_of(self.table, self.bus, self.gateway, order_expiry_s=EXPIRY_S)

    @property
    def record(self) -> Record:
        return self.table.records[ORDER_ID]

    def expire(self, seen: Record | None = None, now: int = EXPIRED) -> Outcome:
        """The order is met in the list; `seen` is what the batch read, if outdated."""
        self.gateway.now = now
        listed = read_order(self.gateway.listed[ORDER_ID])
        return self.reconciler.expire_order(listed, seen or self.table.read(ORDER_ID), now)


def test_an_order_that_nobody_tried_to_pay_expires_without_a_call_to_razorpay() -> None:
    case = Case()
    assert case.expire() is Outcome.EXPIRED
    assert case.bus.types() == ["payment.expired"]
    assert (case.record.expired_at, dict(case.record.pending), case.record.attention_at) == (EXPIRED, {}, None)
    assert case.expire(now=EXPIRED + DAY) is Outcome.UNCHANGED
    assert (case.bus.types(), case.gateway.calls) == (["payment.expired"], [])


def test_an_attempted_order_without_a_payment_expires_after_razorpay_was_asked() -> None:
    case = Case()
    case.gateway.pay(ORDER_ID, A, "failed")
    assert case.expire() is Outcome.EXPIRED
    assert case.gateway.calls == [f"look {ORDER_ID}"]
    # What Razorpay says of the attempt is recorded before.
    assert (case.record.status, case.record.expired_at) == (Status.FAILED, EXPIRED)
    assert [entry.what for entry in case.record.history] == ["created", f"failed {A}", "expired"]


@pytest.mark.parametrize(("status", "becomes"), [("authorized", Status.AUTHORIZED), ("captured", Status.PAID)])
def test_an_order_whose_payment_no_webhook_told_of_is_recorded_and_does_not_expire(
    status: str, becomes: Status
) -> None:
    case = Case()
    case.gateway.pay(ORDER_ID, A, status)
    assert case.expire() is Outcome.RECONCILED
    assert (case.record.status, case.record.expired_at) == (becomes, None)


@pytest.mark.parametrize(("age", "outcome"), [(14 * 60, Outcome.UNCHANGED), (15 * 60, Outcome.EXPIRED)])
def test_a_payment_that_the_bank_has_not_answered_keeps_its_order_for_a_quarter_of_an_hour(
    age: int, outcome: Outcome
) -> None:
    case = Case()
    case.gateway.pay(ORDER_ID, A, "created", created_at=EXPIRED - age)
    assert case.expire() is outcome


def test_an_order_that_is_paid_with_no_payment_listed_yet_does_not_expire() -> None:
    case = Case()
    case.gateway.listed[ORDER_ID]["status"] = "paid"
    assert case.expire() is Outcome.UNCHANGED
    assert is_in_progress(case.gateway.look(ORDER_ID), EXPIRED)


@pytest.mark.parametrize("error", [NotAtGateway(400, "BAD_REQUEST_ERROR", "x"), TooOldForGateway(400, "x", "x")])
def test_an_order_that_razorpay_no_longer_shows_is_left_as_it_is(error: Exception) -> None:
    case = Case()
    case.gateway.pay(ORDER_ID, A, "failed")
    case.gateway.fails = lambda call, _: error if call == "look" else None
    assert case.expire() is Outcome.UNCHANGED
    assert case.record.expired_at is None


def test_nothing_happens_to_an_order_without_a_record_or_of_somebody_else() -> None:
    case = Case()
    del case.table.records[ORDER_ID]
    assert case.expire() is Outcome.UNCHANGED
    assert not case.table.records


@pytest.mark.parametrize("set_aside", [False, True])
def test_an_order_that_was_imported_expires_though_its_notes_do_not_say_that_it_is_ours(*, set_aside: bool) -> None:
    case = Case()
    case.gateway.put_order(ORDER_ID, ORDER, notes=[])
    assert (apply_by_id(case.reconciler, ORDER_ID, EXPIRED) if set_aside else case.expire()) is Outcome.EXPIRED


def test_an_order_of_ours_that_the_batch_did_not_have_is_read_by_itself() -> None:
    case = Case()
    listed = read_order(case.gateway.listed[ORDER_ID])
    assert case.reconciler.expire_order(listed, None, EXPIRED) is Outcome.EXPIRED


def test_what_an_attempt_came_to_is_told_before_the_expiry_and_each_once() -> None:
    case = Case()
    case.gateway.pay(ORDER_ID, A, "failed", created_at=EXPIRED - 30 * 60)
    assert case.expire() is Outcome.EXPIRED
    assert [message.type for _, message in case.bus.sent] == ["payment.failed", "payment.expired"]


def test_a_payment_that_is_found_by_the_expiry_is_judged_by_the_settings() -> None:
    case = Case()
    case.reconciler = replace(case.reconciler, policy=Policy(accept_offers_from_percent=90))
    case.gateway.pay(ORDER_ID, A, amount=AMOUNT - 1)
    case.expire()
    assert (case.record.status, case.record.attempts[A].verdict) == (Status.PAID, "offer")


def test_a_payment_recorded_since_the_batch_was_read_prevents_the_expiry() -> None:
    case = Case()
    outdated = case.record
    case.table.save(outdated, decide(outdated, [captured(A, created_at=BEFORE)], BEFORE).record)
    assert case.expire(outdated) is Outcome.UNCHANGED
    assert (case.record.status, case.record.expired_at) == (Status.PAID, None)


def test_an_event_that_the_bus_refuses_stays_pending_and_due() -> None:
    case = Case()
    case.bus.refuses = lambda _: True
    with pytest.raises(EventsUnpublished):
        case.expire()
    assert len(case.record.pending) == 1
    assert case.record.lane is Lane.OUTBOX


def test_a_lost_race_is_decided_again() -> None:
    case = Case()
    lost: list[None] = []
    save = case.table.save

    def losing(before: Record, after: Record) -> None:
        if not lost:
            lost.append(None)
            raise StorageConflict("")
        save(before, after)

    case.table.save = losing  # type: ignore[method-assign]
    assert case.expire() is Outcome.EXPIRED


def test_a_page_is_compared_in_one_batch_and_a_broken_entry_fails_alone() -> None:
    case = Case()
    other = case.gateway.create_order(replace(ORDER, payment_id=18, receipt="dev-18"))
    page = [{"id": other, "amount": "?"}, case.gateway.listed[ORDER_ID], {"id": "?"}]
    failures: list[str] = []

    def applied(razorpay_id: str, act: object) -> None:
        try:
            act()  # type: ignore[operator]
        except Exception:  # noqa: BLE001 - as a run does
            failures.append(razorpay_id)

    expire_orders(case.reconciler, page, applied, EXPIRED)
    assert failures == [other, ""]
    assert case.record.expired_at == EXPIRED


class Unreadable(FakeTable):
    """It has a record that cannot be parsed."""

    def read_many(
        self, order_ids: Iterable[str], *, consistent: bool = True, only_readable: bool | None = None
    ) -> dict[str, Record]:
        if not only_readable:
            raise ValueError("a record that cannot be parsed")
        return super().read_many(order_ids, consistent=consistent, only_readable=only_readable)


def test_a_record_that_cannot_be_read_keeps_no_other_order_of_its_page_from_expiring() -> None:
    case = Case()
    case.table = Unreadable()
    case.table.insert(opened())
    reconciler = replace(case.reconciler, table=case.table)
    outcomes: list[object] = []
    expire_orders(reconciler, [case.gateway.listed[ORDER_ID]], lambda _, act: outcomes.append(act()), EXPIRED)
    assert outcomes == [Outcome.EXPIRED]


@pytest.mark.parametrize(("age", "outcome"), [(EXPIRY_S - 1, Outcome.UNCHANGED), (EXPIRY_S, Outcome.EXPIRED)])
def test_an_order_that_was_set_aside_expires_when_it_can_be_read_if_it_is_old_enough(
    age: int, outcome: Outcome
) -> None:
    case = Case()
    case.table.open_application(ORDER.client_id, ORDER.application_id, ORDER_ID)
    assert apply_by_id(case.reconciler, ORDER_ID, OPENED + age) is outcome


def test_an_operator_accepts_a_late_payment_as_one_on_a_replaced_order() -> None:
    case = Case()
    case.expire()
    case.table.open_application(ORDER.client_id, ORDER.application_id, ORDER_ID)
    case.gateway.pay(ORDER_ID, A, created_at=AFTER)
    record = accept_payment(case.reconciler, ORDER_ID, A, AFTER + 60)
    assert (record.status, record.stood) == (Status.PAID, A)
    assert case.bus.types() == ["payment.expired", "payment.review", "payment.paid", "payment.review"]


# --- the passes -----------------------------------------------------------------------------------------------------


def test_the_first_pass_reads_an_hour_after_the_age_and_the_second_eight_days_later() -> None:
    first, second = PASSES
    assert first.end(EXPIRY_S, EXPIRED) == EXPIRED - EXPIRY_S - 3600
    assert second.end(EXPIRY_S, EXPIRED) == first.end(EXPIRY_S, EXPIRED) - 8 * DAY


def test_a_pass_is_due_once_a_day_has_collected() -> None:
    first, _ = PASSES
    assert first.is_due(None, EXPIRED)
    for age, skip, due in [(DAY - 1, 0, False), (DAY, 0, True), (1, 1, True), (1, 90, True), (-DAY, 0, False)]:
        assert first.is_due(Watermark(at=EXPIRED - age, span=1, skip=skip), EXPIRED) is due


@pytest.mark.parametrize("days", [1, 30, 170])
def test_a_new_pass_starts_before_its_end_whatever_the_setting(days: int) -> None:
    for one in PASSES:
        end = one.end(days * DAY, EXPIRED)
        assert one.begin(end, EXPIRED) < end
    # Razorpay shows no order older than 180 days.
    assert PASSES[0].begin(PASSES[0].end(days * DAY, EXPIRED), EXPIRED) == EXPIRED - 180 * DAY
    # What the second one would read of the time before, the first one reads.
    assert PASSES[1].begin(EXPIRED - 40 * DAY, EXPIRED) == EXPIRED - 41 * DAY


def test_the_names_of_the_watermarks_do_not_depend_on_the_setting() -> None:
    assert [one.name for one in PASSES] == ["expiry", "expiry-again"]
