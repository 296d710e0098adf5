"""A sample of what the decision can reach; and that a decision gone wrong is found, whichever way it went wrong."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import pytest

from payments.core import transitions
from payments.core.model import (
    Attempt,
    Authorized,
    Captured,
    Fact,
    Failed,
    Order,
    Record,
    Refund,
    RefundState,
    Signed,
    Status,
)
from payments.core.transitions import Decision
from tests.core.story import A, B
from tests.faults.campaigns import Budget
from tests.faults.reachability import (
    ALLOWED,
    DESIGN,
    MOVES,
    STARTS,
    Exploration,
    canonical,
    check_all_reached,
    exchanged,
    outcomes,
    run,
)

decide: Final = transitions.decide
adopt: Final = transitions.adopt
settle: Final = transitions.settle


def test_a_sample_of_what_is_reached_keeps_the_invariants(seed: int) -> None:
    told: list[tuple[int, int]] = []
    report = run(Budget(share=0.01, seed=seed), lambda done, of: told.append((done, of)))
    assert told
    assert all(done <= of for done, of in told)
    assert all(report.figures[f"… {status}"] for status in ("created", "failed", "authorized", "paid°", "paid"))
    assert int(report.figures["decisions"]) > 25_000


def test_the_same_seed_draws_the_same_sample() -> None:
    reports = [run(Budget(share=0.001, seed=7), lambda _done, _of: None) for _ in range(2)]
    assert reports[0] == reports[1]
    assert run(Budget(share=0.001, seed=8), lambda _done, _of: None) != reports[0]


# --- a check that cannot fail is none -------------------------------------------------------------------------------

type Decide = Callable[[Record, Sequence[Fact], int], Decision]


def then(change: Callable[[Record, Decision], Decision]) -> Decide:
    """The decision, and then something is done to whatever it changed."""

    def wrong(record: Record, facts: Sequence[Fact], now: int) -> Decision:
        decision = decide(record, facts, now)
        return change(record, decision) if decision.changed else decision

    return wrong


def altered(**changes: Any) -> Decide:
    return then(lambda _, decision: replace(decision, record=replace(decision.record, **changes)))


def without_events(event_type: str) -> Decide:
    """Events of this type are neither recorded nor pending."""

    def quiet(_: Record, decision: Decision) -> Decision:
        pending = {key: event for key, event in decision.record.pending.items() if event.type != event_type}
        recorded = tuple(key for key in decision.recorded if key in pending)
        return replace(decision, record=replace(decision.record, pending=pending), recorded=recorded)

    return then(quiet)


def the_latest_fact_is_the_status(record: Record, facts: Sequence[Fact], now: int) -> Decision:
    decision = decide(record, facts, now)
    latest = {Signed: Status.PAID, Authorized: Status.AUTHORIZED, Captured: Status.PAID, Failed: Status.FAILED}
    status = latest.get(type(facts[-1]), decision.record.status)
    return replace(decision, record=replace(decision.record, status=status)) if decision.changed else decision


def everything_is_news(record: Record, facts: Sequence[Fact], now: int) -> Decision:
    decision = decide(record, facts, now)
    return replace(decision, changed=True, record=replace(decision.record, version=record.version + 1))


def a_signature_is_forgotten(_: Record, decision: Decision) -> Decision:
    attempts = {
        payment: replace(attempt, signed=attempt.signed and not attempt.captured)
        for payment, attempt in decision.record.attempts.items()
    }
    return replace(decision, record=replace(decision.record, attempts=attempts))


def the_status_falls_back(record: Record, decision: Decision) -> Decision:
    """As if `refunded` were not final and a status only the latest news."""
    back = record.status is Status.REFUNDED
    return replace(decision, record=replace(decision.record, status=Status.PAID)) if back else decision


def confirmation_is_not_kept(record: Record, decision: Decision) -> Decision:
    return replace(decision, record=replace(decision.record, confirmed=not record.confirmed))


def reviews_are_replaced(record: Record, decision: Decision) -> Decision:
    return replace(decision, record=replace(decision.record, reviews=decision.record.reviews[len(record.reviews) :]))


def what_was_pending_is_dropped(_: Record, decision: Decision) -> Decision:
    pending = {key: decision.record.pending[key] for key in decision.recorded}
    return replace(decision, record=replace(decision.record, pending=pending))


def the_sum_is_taken_from_the_capture(_: Record, decision: Decision) -> Decision:
    sums = [attempt.amount_minor for attempt in decision.record.attempts.values() if attempt.amount_minor is not None]
    if decision.record.order is None or not sums:
        return decision
    order = replace(decision.record.order, amount_minor=sums[0])
    return replace(decision, record=replace(decision.record, order=order))


def events_say_an_older_version(_: Record, decision: Decision) -> Decision:
    pending = {
        key: replace(event, version=event.version - 1) if key in decision.recorded else event
        for key, event in decision.record.pending.items()
    }
    return replace(decision, record=replace(decision.record, pending=pending))


def the_version_stays(record: Record, decision: Decision) -> Decision:
    return replace(decision, record=replace(decision.record, version=record.version))


DECISIONS: Final[Mapping[str, tuple[Decide, str]]] = {
    "the status is the latest fact's": (the_latest_fact_is_the_status, "I[46]"),
    "old news is stored": (everything_is_news, "I8"),
    "a signature is forgotten with the capture": (then(a_signature_is_forgotten), "I[45]"),
    "refunded is taken back": (then(the_status_falls_back), "I3"),
    "confirmed is taken back": (then(confirmation_is_not_kept), "I3|I4|I6"),
    "reviews are replaced by new ones": (then(reviews_are_replaced), "I7"),
    "pending events are dropped": (then(what_was_pending_is_dropped), "I9"),
    "the sum agreed becomes the sum captured": (then(the_sum_is_taken_from_the_capture), "I1"),
    "events carry the version before": (then(events_say_an_older_version), "I12"),
    "the version stays": (then(the_version_stays), "I2"),
    "nobody looks at the record again": (altered(attention_at=None), "I9"),
    "another order takes its place": (altered(superseded_by="order_DESxiijbl9xjDB"), "I1"),
    "the payment is not announced": (without_events("payment.paid"), "I11"),
    "a partial refund is not announced": (without_events("payment.partially_refunded"), "I11"),
    "a full refund is not announced": (without_events("payment.refunded"), "I11"),
    "a failure is not announced": (without_events("payment.failed"), "I11"),
    "a review is not announced": (without_events("payment.review"), "I11"),
}


def explore() -> Exploration:
    exploration = Exploration(room=60, draw=random.Random(1))  # noqa: S311 - the same sample each time
    exploration.run()
    return exploration


def test_the_decision_as_it_is_passes_the_sample_that_finds_the_wrong_ones() -> None:
    assert explore().decisions > 10_000


@pytest.mark.parametrize(("wrong", "invariant"), DECISIONS.values(), ids=DECISIONS.keys())
def test_a_wrong_decision_is_found(wrong: Decide, invariant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transitions, "decide", wrong)
    with pytest.raises(AssertionError, match=invariant):
        explore()


# --- the rules, each broken where the decision has it ---------------------------------------------------------------


def failed_above_authorized(facts: Any, before: Status) -> Status:
    status: Status = right_status(facts, before)
    failed = any(attempt.failed for attempt in facts.attempts.values())
    return Status.FAILED if failed and status is Status.AUTHORIZED else status


def refunded_is_not_final(facts: Any, before: Status) -> Status:
    status: Status = right_status(facts, Status.PAID if before is Status.REFUNDED else before)
    return status


def one_refunded_capture_is_enough(facts: Any, before: Status) -> Status:
    status: Status = right_status(facts, before)
    amounts = [facts.refunded_minor(payment) for payment in facts.right_captures()]
    full = bool(amounts) and max(amounts) >= facts.order.amount_minor
    return Status.REFUNDED if full and status is Status.PAID else status


def given_back_never(_attempt: Attempt, _refunded_minor: int) -> bool:
    return False


def given_back_whether_captured_or_not(_attempt: Attempt, refunded_minor: int) -> bool:
    return refunded_minor > 0


def any_currency(order: Order | None, attempt: Attempt) -> str | None:
    wrong = order is not None and attempt.captured and attempt.amount_minor != order.amount_minor
    return "amount_mismatch" if wrong else None


def refunds_that_were_only_begun_count(facts: Any, payment: str) -> int:
    return sum(refund.amount_minor for refund in facts.refunds.values() if refund.payment_id == payment)


def the_last_report_of_a_refund_wins(refunds: Any, fact: Any) -> bool:
    refunds[fact.refund] = Refund(payment_id=fact.payment, amount_minor=fact.amount_minor, state=fact.state)
    return True


def one_id_for_all_payments(order_id: str, event_type: str, _subject: str, reason: str | None = None) -> str:
    return f"{order_id} {event_type} {reason}"


def superseded_is_nothing_special(recorder: Any, record: Record, *rest: Any) -> None:
    right_captures_told(recorder, replace(record, superseded_by=None), *rest)


def every_failure_is_announced(recorder: Any, payment: str) -> None:
    recorder.attempts[payment] = replace(recorder.attempts[payment], announced=False)
    right_fail(recorder, payment)


def nothing_is_too_much(_facts: Any) -> set[str]:
    return set()


right_status: Final[Any] = transitions._Facts.status  # noqa: SLF001 - broken on purpose, one rule at a time
right_captures_told: Final[Any] = transitions._record_captures  # noqa: SLF001
right_fail: Final[Any] = transitions._Recorder.fail  # noqa: SLF001

RULES: Final[Mapping[str, tuple[str, Callable[..., Any], str]]] = {
    "failed above authorized": ("_Facts.status", failed_above_authorized, "I6"),
    "refunded is not final": ("_Facts.status", refunded_is_not_final, "I3"),
    "one refunded capture of two is enough": ("_Facts.status", one_refunded_capture_is_enough, "I6"),
    "no payment is given back automatically": ("auto_refunded", given_back_never, "I6"),
    "a refunded capture counts as given back": ("auto_refunded", given_back_whether_captured_or_not, "I6"),
    "the currency does not matter": ("mismatch", any_currency, "I[3-7]"),
    "a refund counts before it is processed": ("_Facts.refunded_minor", refunds_that_were_only_begun_count, "I6"),
    "the last report of a refund wins": ("_grow_refund", the_last_report_of_a_refund_wins, "I[58]"),
    "two events share an id": ("event_id", one_id_for_all_payments, "I1[12]"),
    "a superseded order is paid like any other": ("_record_captures", superseded_is_nothing_special, "I11"),
    "a failure is announced again": ("_Recorder.fail", every_failure_is_announced, "I1[12]"),
    "too much paid back is not reviewed": ("_Facts.over_refunded", nothing_is_too_much, "I1[13]"),
}


@pytest.mark.parametrize(("name", "wrong", "invariant"), RULES.values(), ids=RULES.keys())
def test_a_broken_rule_is_found(
    name: str, wrong: Callable[..., Any], invariant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"payments.core.transitions.{name}", wrong)
    with pytest.raises(AssertionError, match=invariant):
        explore()


def test_an_order_that_is_adopted_without_its_events_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(record: Record, order: Order, created_at: int, now: int) -> Decision:
        decision = adopt(record, order, created_at, now)
        return replace(decision, record=replace(decision.record, pending={}), recorded=())

    monkeypatch.setattr(transitions, "adopt", silent)
    with pytest.raises(AssertionError, match="I11"):
        explore()


def test_an_order_that_is_settled_without_its_last_review_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def forgiving(record: Record, facts: Sequence[Fact], now: int) -> Decision:
        return settle(record, facts, now - 48 * 60 * 60)

    monkeypatch.setattr(transitions, "settle", forgiving)
    with pytest.raises(AssertionError, match="not reviewed once"):
        explore()


def test_a_last_review_of_a_payment_that_was_given_back_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def worst(record: Record) -> str | None:
        back = {refund.payment_id for refund in record.refunds.values()}
        return max(record.attempts, key=lambda payment: payment in back, default=None)

    monkeypatch.setattr(transitions, "standing_payment", worst)
    with pytest.raises(AssertionError, match=r"was given back|does not rest"):
        explore()


def test_a_decision_that_depends_on_names_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def prejudiced(record: Record, facts: Sequence[Fact], now: int) -> Decision:
        mine = any(fact.payment == B for fact in facts) and A not in record.attempts
        return decide(record, (), now) if mine else decide(record, facts, now)

    monkeypatch.setattr(transitions, "decide", prejudiced)
    with pytest.raises(AssertionError, match="I5"):
        explore()


def test_a_failure_says_the_shortest_way_to_see_it_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("payments.core.transitions._Facts.status", refunded_is_not_final)
    with pytest.raises(AssertionError) as found:
        explore()
    way = str(found.value).split("To see it again: ")[1].split("; ")
    assert "refund" in way[1]
    assert way[2] == "B captured, the right sum."


def test_a_step_that_is_not_in_the_table_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    cell = ("authorized", "captured, right sum", "paid [paid]")
    monkeypatch.setattr("tests.faults.reachability.ALLOWED", ALLOWED - {cell})
    with pytest.raises(AssertionError, match="is not in the table"):
        explore()


def test_an_outcome_of_the_table_that_nothing_leads_to_is_found() -> None:
    exploration = explore()
    exploration.cells.update(ALLOWED)
    check_all_reached(exploration)
    del exploration.cells["created", "captured, right sum", "paid [paid]"]
    with pytest.raises(AssertionError, match="nothing leads to created"):
        check_all_reached(exploration)


# --- what is counted as one -----------------------------------------------------------------------------------------


def test_a_state_has_one_name_however_its_payments_and_refunds_are_called() -> None:
    exploration = explore()
    for state in exploration.reached:
        assert canonical(state) == state
        for payments, refunds in ((True, False), (False, True), (True, True)):
            assert canonical(exchanged(state, payments=payments, refunds=refunds)) == state


def test_the_table_has_each_fact_for_each_status() -> None:
    named = {(row, name) for row, name, _ in outcomes(DESIGN)}
    assert len(named) == len({row for row, _ in named}) * len({name for _, name in named}) == 6 * 8


def test_every_fact_about_both_payments_and_both_refunds_is_tried() -> None:
    said = {(type(fact).__name__, fact.payment) for move in MOVES for fact in move.facts}
    assert len(said) == 5 * 2
    refunds = {move.back for move in MOVES if move.refund >= 0}
    assert len(refunds) == 2 * 2 * len(RefundState)
    assert {start.state.kind for start in STARTS} == {"open", "superseded", "unknown"}
