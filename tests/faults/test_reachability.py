"""A sample of what the decision can reach; and that each kind of wrong decision is found."""

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from copy import replace
from typing import Any, Final

import pytest

from payments.core import transitions
from payments.core.model import (
    Authorized,
    Captured,
    Fact,
    Failed,
    Order,
    Record,
    RefundState,
    Signed,
    Status,
)
from payments.core.position import Position
from payments.core.transitions import TRANSITIONS, Decision
from tests.faults.campaigns import Budget
from tests.faults.reachability import (
    EVERYTHING,
    SIZES,
    STATES,
    WORLDS,
    Exploration,
    canonical,
    check_all_taken,
    run,
)

decide: Final = transitions.decide
adopt: Final = transitions.adopt
right_status: Final[Any] = Position.status


def test_a_sample_of_what_is_reached_keeps_the_invariants(seed: int) -> None:
    told: list[tuple[int, int]] = []
    report = run(Budget(share=0.005, seed=seed), lambda done, of: told.append((done, of)))
    assert told
    assert all(done <= of for done, of in told)
    assert int(report.figures["decisions"]) > 4_000
    assert int(report.figures["the same facts met after another way, with the same end"]) > 100


def test_the_same_seed_draws_the_same_sample() -> None:
    reports = [run(Budget(share=0.0005, seed=7), lambda _done, _of: None) for _ in range(2)]
    assert reports[0] == reports[1]
    assert run(Budget(share=0.0005, seed=8), lambda _done, _of: None) != reports[0]


# --- the checks can fail --------------------------------------------------------------------------------------------

type Decide = Callable[[Record, Sequence[Fact], int], Decision]


def then(change: Callable[[Record, Decision], Decision]) -> Decide:
    """The decision, with its change then altered."""

    def wrong(record: Record, facts: Sequence[Fact], now: int) -> Decision:
        decision = decide(record, facts, now)
        return change(record, decision) if decision.changed else decision

    return wrong


def altered(**changes: Any) -> Decide:
    return then(lambda _, decision: replace(decision, record=replace(decision.record, **changes)))


def without_events(event_type: str) -> Decide:
    """Drops events of this type."""

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
        payment: replace(attempt, signed_at=None if attempt.captured else attempt.signed_at)
        for payment, attempt in decision.record.attempts.items()
    }
    return replace(decision, record=replace(decision.record, attempts=attempts))


def the_status_falls_back(record: Record, decision: Decision) -> Decision:
    """As if `refunded` were not final and the latest fact set the status."""
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
    "refunded is taken back": (then(the_status_falls_back), "I[23]"),
    "confirmed is taken back": (then(confirmation_is_not_kept), "I3|I4|I6"),
    "reviews are replaced by new ones": (then(reviews_are_replaced), "I[57]"),
    "pending events are dropped": (then(what_was_pending_is_dropped), "I9"),
    "the sum agreed becomes the sum captured": (then(the_sum_is_taken_from_the_capture), "I1"),
    "events carry the version before": (then(events_say_an_older_version), "I12"),
    "the version stays": (then(the_version_stays), "I2"),
    "nobody looks at the record again": (altered(attention_at=None), "I9"),
    "another order takes its place": (altered(superseded_by="order_DESxiijbl9xjDB"), "I1"),
    "the payment is not announced": (without_events("payment.paid"), "I11"),
    "a partial refund is not announced": (without_events("payment.partially_refunded"), "I11"),
    "a refund of surplus is not announced": (without_events("payment.surplus_refunded"), "I11"),
    "a full refund is not announced": (without_events("payment.refunded"), "I11"),
    "a failure is not announced": (without_events("payment.failed"), "I11"),
    "a dispute is not announced": (without_events("payment.dispute_changed"), "I11"),
    "a review is not announced": (without_events("payment.review"), "I11"),
}


WORLD: Final = {world.name: world for world in WORLDS}


def explore() -> list[Exploration]:
    explored = []
    for world in WORLDS:
        exploration = Exploration(world, room=12, draw=random.Random(1))  # noqa: S311 - the same sample each time
        exploration.run()
        explored.append(exploration)
    return explored


@pytest.fixture(scope="module")
def explored() -> list[Exploration]:
    return explore()


def test_the_decision_as_it_is_passes_the_sample_that_finds_the_wrong_ones(explored: list[Exploration]) -> None:
    assert sum(exploration.decisions for exploration in explored) > 4_000


@pytest.mark.parametrize(("wrong", "invariant"), DECISIONS.values(), ids=DECISIONS.keys())
def test_a_wrong_decision_is_found(wrong: Decide, invariant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transitions, "decide", wrong)
    with pytest.raises(AssertionError, match=invariant):
        explore()


def refunded_is_not_final(position: Any) -> Status:
    status: Status = right_status(replace(position, refunded=False))
    return status


def test_an_order_that_is_adopted_without_its_events_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(record: Record, order: Order, created_at: int, now: int, **named: Any) -> Decision:
        decision = adopt(record, order, created_at, now, **named)
        return replace(decision, record=replace(decision.record, pending={}), recorded=())

    monkeypatch.setattr(transitions, "adopt", silent)
    with pytest.raises(AssertionError, match="I11"):
        explore()


def test_a_superseded_order_that_loses_a_fact_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    supersede = transitions.supersede

    def forgetful(record: Record, successor: str, now: int) -> Record:
        return replace(supersede(record, successor, now), attempts={})

    monkeypatch.setattr(transitions, "supersede", forgetful)
    with pytest.raises(AssertionError, match="I5"):
        explore()


def test_an_end_that_depends_on_the_way_is_found() -> None:
    """The model follows the facts, so the test gives the comparison a false outcome for one way."""
    exploration = Exploration(WORLD["one payment"], room=3, draw=random.Random(1))  # noqa: S311 - as above
    exploration.run()
    exploration.ends = dict.fromkeys(exploration.ends, ("created", True, 1))
    exploration.reached.clear()
    with pytest.raises(AssertionError, match="I6: the same facts end as"):
        exploration.run()


def test_a_failure_says_the_shortest_way_to_see_it_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Position, "status", refunded_is_not_final)
    with pytest.raises(AssertionError) as found:
        Exploration(WORLD["two payments, money"]).run()
    way = str(found.value).split("To see it again: ")[1].split("; ")
    assert way[0] == "an open order"
    assert "refund" in way[1]
    assert "captured" in way[2]
    assert len(way) == 3


def test_a_step_that_is_not_in_the_table_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.faults.reachability.TRANSITIONS", {**TRANSITIONS, Status.FAILED: frozenset[Status]()})
    with pytest.raises(AssertionError, match="I2: failed became"):
        explore()


def test_a_step_of_the_table_that_is_never_taken_is_found() -> None:
    exploration = Exploration(WORLD["one payment"], room=1)
    exploration.steps = Counter({(before, after): 1 for before, row in TRANSITIONS.items() for after in row})
    check_all_taken([exploration])
    del exploration.steps[Status.CREATED, Status.PAID]
    with pytest.raises(AssertionError, match="nothing leads from created to paid"):
        check_all_taken([exploration])


# --- what counts as one state, and what is tried --------------------------------------------------------------------


def test_a_state_has_one_name_however_its_payments_are_called(explored: list[Exploration]) -> None:
    for exploration in explored:
        if exploration.world.payments == 1:
            continue
        for state in exploration.reached:
            assert canonical(state) == state
            named_otherwise = state._replace(
                payments=state.payments[::-1],
                matched=tuple(1 - p for p in state.matched),
                stood=1 - state.stood if state.stood >= 0 else -1,
            )
            assert canonical(named_otherwise) == state


def test_every_fact_about_both_payments_and_their_refunds_is_tried() -> None:
    said = {(type(fact).__name__, fact.payment) for move in EVERYTHING.moves for fact in move.facts}
    # Of all facts, only Razorpay's totals are omitted: they are evidence and change no status.
    assert len(said) == (len(Fact.__value__.__args__) - 1) * 2
    refunds = {
        (one.of, one.refund, one.size, one.reached) for move in EVERYTHING.moves for one in move.said if one.refund >= 0
    }
    assert len(refunds) == 2 * 2 * len(SIZES) * len(STATES)
    assert len(STATES) == len(RefundState)
