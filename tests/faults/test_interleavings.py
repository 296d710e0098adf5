"""A sample of the interleavings; that all runs of a small meeting are played; and that mistakes are found."""

import threading
from collections.abc import Callable, Iterator, Sequence
from copy import replace
from math import comb
from typing import Any

import pytest

from payments.adapters.table import PaymentsTable
from payments.core import outbox
from payments.core.model import Captured, Fact, Record, Status
from payments.core.position import Policy
from payments.core.transitions import Decision, decide
from tests.faults import interleavings
from tests.faults.campaigns import Budget
from tests.faults.dynamodb import MemoryDynamo
from tests.faults.interleavings import (
    MEETINGS,
    Explorer,
    Handler,
    Run,
    Step,
    explore,
    replay,
    run,
    step,
    taking_turns,
)
from tests.faults.outside import Kind
from tests.faults.rig import Instance, World, installed

type Install = Callable[[World], World]

ALL = Budget(share=1, seed=0)


@pytest.fixture
def install() -> Iterator[Install]:
    before = threading.active_count()
    with installed() as put:
        yield put
    assert threading.active_count() == before, "a handler's thread is left"


def test_a_sample_of_every_meeting_holds(seed: int) -> None:
    told: list[tuple[int, int]] = []
    report = run(Budget(share=0.01, seed=seed), lambda done, of: told.append((done, of)))
    assert told[-1] == (len(MEETINGS), len(MEETINGS))
    assert int(report.figures["runs"]) >= 4 * len(MEETINGS)
    assert int(report.figures["… of them with a fault"]) > 0


def test_the_same_seed_draws_the_same_runs(install: Install) -> None:
    samples = [explore(install, "captured, look", Budget(share=0.02, seed=seed)) for seed in (7, 7, 8)]
    assert samples[0] == samples[1]
    assert samples[0] != samples[2]


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> list[Run]:
    runs: list[Run] = []
    play = interleavings.play

    def noting(*arguments: Any) -> None:
        runs.append(arguments[-1])
        play(*arguments)

    monkeypatch.setattr(interleavings, "play", noting)
    return runs


def test_all_orders_of_two_reads_and_two_writes_are_played(install: Install, played: list[Run]) -> None:
    explorer = Explorer(install, "verify, authorized")
    explorer.play_serially()
    explorer.play_all(struck=False)
    serial, orders = ({tuple(one.steps) for one in runs} for runs in (played[:2], played[2:]))
    # The loser of the race reads and writes again, when no other handler is left.
    assert len(orders) == len(played) - 2 == comb(4, 2)
    assert serial <= orders


def test_every_call_of_a_meeting_meets_every_fault_that_it_can_meet(install: Install, played: list[Run]) -> None:
    found = explore(install, "verify, authorized", ALL)
    struck = [one for one in played if one.struck]
    assert found.struck == len(struck)
    assert len({tuple(one.steps) for one in played[2:]}) == len(played) - 2
    met = {(one.who, one.fault) for run_ in struck for one in run_.steps if one.fault}
    assert met == {(who, kind) for who in (0, 1) for kind in interleavings.FAULTS}
    assert all(sum(one.fault is not None for one in run_.steps) == 1 for run_ in struck)


# --- the checks can fail --------------------------------------------------------------------------------------------


def test_a_lost_update_is_found(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MemoryDynamo, "_demand", lambda *_: None)
    with pytest.raises(AssertionError, match=r'python -m tests\.faults\.interleavings "verify, captured" \d'):
        explore(install, "verify, captured", ALL)


def test_events_that_only_the_winner_publishes_are_missed(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    clear = PaymentsTable.clear

    def clear_what_is_there(table: PaymentsTable, record: Record, _: object) -> None:
        latest = table.read(record.order_id)
        assert latest is not None
        if latest.pending:
            clear(table, latest, latest.pending.keys())

    monkeypatch.setattr(PaymentsTable, "clear", clear_what_is_there)
    with pytest.raises(AssertionError, match=r"I9|never published"):
        explore(install, "captured, refunded in full", ALL)


def test_a_status_that_depends_on_the_order_is_found(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last fact wins: a fact after the capture returns the payment to an earlier state."""

    def last_word(record: Record, facts: Sequence[Fact], now: int, policy: Policy) -> Decision:
        decision = decide(record, facts, now, policy)
        if decision.record.confirmed and not any(isinstance(fact, Captured) for fact in facts):
            return replace(decision, record=replace(decision.record, status=Status.AUTHORIZED))
        return decision

    monkeypatch.setattr(outbox, "decide", last_word)
    with pytest.raises(AssertionError, match=r"GET says .'status': 'authorized'"):
        explore(install, "verify, captured", ALL)


def test_a_deadlock_is_told_and_nothing_is_left_running(install: Install) -> None:
    """Two requests on one instance, which Lambda never does: the second waits for the lock of the first."""
    world, shared = install(World()), Instance()

    def create(on: Instance) -> Any:
        return world.create_order(instance=on)

    handlers = [Handler(name, shared, create) for name in ("one", "other")]

    def play() -> None:
        with taking_turns(world, handlers, patience_s=0.3) as turns:
            while turns.waiting:
                # In strict turns, so that both reach the same point.
                for who in turns.waiting:
                    turns.let(Step(who))

    with pytest.raises(AssertionError, match=r"deadlock: other waits .*one at UpdateItem"):
        play()


def test_a_failing_check_ends_the_handlers_that_stand_at_a_call(install: Install) -> None:
    world = install(World())
    handlers = MEETINGS["verify, captured"].prepare(world)

    def play() -> None:
        with taking_turns(world, handlers) as turns:
            turns.let(Step(0))
            raise AssertionError("something broke")

    with pytest.raises(AssertionError, match="something broke"):
        play()
    assert world.outside.gate is None


def test_a_run_can_be_played_again_from_what_was_printed(install: Install, capfd: pytest.CaptureFixture[str]) -> None:
    steps = [Step(0), Step(1), Step(1, Kind.DIES_AFTER)]
    texts = [str(one) for one in steps]
    assert texts == ["0", "1", "1 dies after"]
    again = replay(install, "verify, captured", [step(text) for text in texts])
    assert again.steps[:3] == steps
    assert again.answers[1] == "died"
    assert "1 dies after webhook payment.captured: dynamodb UpdateItem" in capfd.readouterr().err


def test_a_handler_without_a_call_to_make_is_not_let(install: Install) -> None:
    with pytest.raises(AssertionError, match="handler 0 has no call to make"):
        replay(install, "verify, captured", [Step(0)] * 9)
