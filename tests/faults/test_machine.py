"""A few dozen stories of the state machine; and that it finds a mistake in the service and prints its story."""

from collections.abc import Sequence
from copy import replace
from typing import Any

import pytest

from payments.core import attention, outbox
from payments.core.model import Captured, Fact, Record
from payments.core.position import Policy
from payments.core.transitions import Decision, decide
from tests.faults.campaigns import Budget
from tests.faults.machine import ALL, RULES, Tally, play, run
from tests.faults.rig import World, installed

FEW = 16


# On an idle machine a story takes less than a second; only the campaign searches for the shortest failing one.
@pytest.mark.timeout(300)
def test_a_few_stories_keep_the_invariants(seed: int) -> None:
    told: list[tuple[int, int]] = []
    report = run(Budget(share=FEW / ALL, seed=seed), lambda done, of: told.append((done, of)), shrink=False)
    assert told[-1] == (FEW, FEW)
    assert int(report.figures["examples"]) >= FEW
    assert int(report.figures["steps"]) > 8 * FEW
    assert int(report.figures["calls that went wrong"]) > 0


def test_the_same_seed_plays_the_same_stories() -> None:
    tallies = [stories(2, seed) for seed in (5, 5, 6)]
    assert tallies[0] == tallies[1]
    assert tallies[0] != tallies[2]


def test_a_whole_campaign_demands_that_every_rule_was_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.faults.machine.ALL", 1)
    monkeypatch.setattr("tests.faults.machine.RULES", RULES | {"a_rule_that_cannot_be_run"})
    with pytest.raises(AssertionError, match=r"rules that were never run: .*a_rule_that_cannot_be_run"):
        run(Budget(share=1, seed=0), lambda _done, _of: None)


# --- the checks can fail --------------------------------------------------------------------------------------------


def stories(examples: int, seed: int) -> Tally:
    return play(examples, seed, lambda _: None, shrink=False)


def test_events_that_nobody_will_look_for_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attention, "after_change", lambda record, _: record)
    with pytest.raises(AssertionError, match="nothing says when to look") as caught:
        stories(25, 2)
    # The message has the story and how to reproduce it.
    assert "state = Payments()" in str(caught.value)
    assert str(caught.value).endswith("to see it again: PYTHONPATH=shared python -m tests.faults.machine 2 25")


def test_a_version_that_grows_without_news_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def grow(record: Record, facts: Sequence[Fact], now: int, policy: Policy) -> Decision:
        decision = decide(record, facts, now, policy)
        return (
            decision if decision.changed else Decision(record=replace(record, version=record.version + 1), changed=True)
        )

    monkeypatch.setattr(outbox, "decide", grow)
    with pytest.raises(AssertionError, match="I2: version and content did not move together"):
        stories(25, 1)


def test_a_wrong_sum_that_passes_for_the_right_one_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def believe(record: Record, facts: Sequence[Fact], now: int, policy: Policy) -> Decision:
        order = record.order
        believed: list[Any] = [
            replace(fact, amount_minor=order.amount_minor, currency=order.currency)
            if isinstance(fact, Captured) and order is not None
            else fact
            for fact in facts
        ]
        return decide(record, believed, now, policy)

    monkeypatch.setattr(outbox, "decide", believe)
    with installed() as install:
        world = install(World())
        world.pay(world.create_order().body["order_id"], force=True, amount=99)
        world.come_to_rest()
        with pytest.raises(AssertionError, match=r"GET says .'status': 'paid'.* the books .'status': 'authorized'"):
            world.check()
