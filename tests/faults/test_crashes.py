"""A part of the single faults and of the pairs; and that they find a mistake."""

import shlex
from collections.abc import Collection, Iterable, Mapping
from copy import replace
from typing import Any

import pytest

from payments.adapters.bus import Bus
from payments.adapters.table import PaymentsTable
from payments.core.model import Record
from payments.core.outbox import Message
from payments.wiring import aws
from tests.faults.campaigns import Budget
from tests.faults.crashes import (
    SCENARIOS,
    Case,
    Outage,
    Play,
    Run,
    Scenario,
    Strike,
    outages,
    play,
    read_case,
    run,
    singles,
)
from tests.faults.outside import Kind
from tests.faults.rig import installed


def undisturbed(name: str) -> Run:
    with installed() as install:
        return play(Case(name), install)


def play_each(cases: Iterable[Case], usual: Run) -> None:
    with installed() as install:
        for case in cases:
            play(case, install, undisturbed=usual)


@pytest.mark.timeout(300)
def test_a_share_of_the_single_faults_and_of_the_pairs_lose_double_and_invent_nothing(seed: int) -> None:
    told: list[tuple[int, int]] = []
    report = run(Budget(share=0.1, seed=seed), lambda done, of: told.append((done, of)))
    assert int(report.figures["calls found by playing them"]) > 300
    assert int(report.figures["single faults"]) > 100
    assert int(report.figures["pairs of faults"]) > 10
    assert told[-1][0] == told[-1][1]


def test_the_scenarios_make_each_function_do_all_that_it_does() -> None:
    """A call that no fault-free run reaches gets no fault."""
    found = {(call.place.during, call.place.operation) for name in SCENARIOS for call in undisturbed(name).found}
    assert {
        ("create_order", "secretsmanager GetSecretValue"),
        ("create_order", "razorpay POST /v1/orders"),
        ("create_order", "dynamodb PutItem"),
        ("verify", "secretsmanager GetSecretValue"),
        ("verify", "dynamodb UpdateItem"),
        ("verify GET", "dynamodb GetItem"),
        ("webhook payment.failed", "dynamodb PutItem"),
        ("webhook payment.captured", "secretsmanager GetSecretValue"),
        ("webhook payment.captured", "events PutEvents"),
        ("webhook order.paid", "dynamodb GetItem"),
        ("webhook refund.processed", "events PutEvents"),
        ("create_order", "dynamodb TransactWriteItems"),
        ("create_order", "dynamodb BatchGetItem"),
        ("create_order", "razorpay GET /v1/orders/{id}"),
        ("create_order", "razorpay GET /v1/orders/{id}/payments"),
        ("outbox", "events PutEvents"),
        ("reconcile watch", "secretsmanager GetSecretValue"),
        ("reconcile watch", "razorpay GET /v1/orders/{id}"),
        ("reconcile watch", "razorpay GET /v1/orders/{id}/payments"),
        ("reconcile watch", "razorpay GET /v1/payments/{id}/refunds"),
        ("reconcile watch", "events PutEvents"),
        ("reconcile sweep", "razorpay GET /v1/payments"),
        ("reconcile sweep", "razorpay GET /v1/refunds"),
        ("reconcile sweep", "razorpay GET /v1/disputes"),
        ("reconcile sweep", "razorpay GET /v1/disputes/{id}"),
        ("reconcile sweep", "dynamodb BatchGetItem"),
        ("reconcile sweep", "events PutEvents"),
    } <= found


def of_kind(kind: Kind, cases: Iterable[Case]) -> list[Case]:
    """The scenarios in which only these can show a mistake."""
    return [case for case in cases if case.strikes[0].kind is kind]


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A campaign of one short scenario, so that a test can play all of it."""

    def order(play: Play) -> None:
        play.create_order()

    def read(play: Play) -> None:
        play.read(play.last_order)

    scenario = Scenario("a short one", "an order is read", read, prepare=order)
    monkeypatch.setattr("tests.faults.crashes.SCENARIOS", {scenario.name: scenario})


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Case, Run]]:
    """Records the cases played from now on."""
    found: list[tuple[Case, Run]] = []

    def noting(case: Case, *arguments: Any, **named: Any) -> Run:
        found.append((case, play(case, *arguments, **named)))
        return found[-1][1]

    monkeypatch.setattr("tests.faults.crashes.play", noting)
    return found


@pytest.mark.usefixtures("small")
def test_the_same_seed_draws_the_same_cases(played: list[tuple[Case, Run]]) -> None:
    drawn = []
    for seed in (7, 7, 8):
        played.clear()
        run(Budget(share=1, seed=seed), lambda _done, _of: None)
        drawn.append([case for case, _ in played])
    assert drawn[0] == drawn[1]
    assert drawn[0] != drawn[2]


@pytest.mark.usefixtures("small")
def test_a_second_fault_strikes_what_was_called_only_after_the_first(played: list[tuple[Case, Run]]) -> None:
    """An instance that died is followed by one that reads its secrets again."""
    run(Budget(share=1, seed=0), lambda _done, _of: None)
    assert all("secretsmanager" not in call.place.operation for call in played[0][1].found)
    pairs = [(case, one) for case, one in played if len(case.strikes) > 1]
    struck = {str(one.found[case.strikes[1].number - 1].place) for case, one in pairs}
    assert "verify GET: secretsmanager GetSecretValue" in struck


def test_events_that_only_their_writer_would_publish_are_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    read = PaymentsTable.read

    def forget(table: PaymentsTable, order_id: str) -> Record | None:
        record = read(table, order_id)
        return record and replace(record, pending={})

    monkeypatch.setattr(PaymentsTable, "read", forget)
    usual = undisturbed("cold starts")
    with pytest.raises(AssertionError, match=r"(?s)nothing says when to look.*To see it again"):
        play_each(of_kind(Kind.DIES_AFTER, singles("cold starts", usual)), usual)


def test_events_that_are_cleared_though_the_bus_refused_them_are_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    publish = Bus.publish

    def accept_everything(bus: Bus, messages: Mapping[str, Message]) -> frozenset[str]:
        publish(bus, messages)
        return frozenset(messages)

    monkeypatch.setattr(Bus, "publish", accept_everything)
    usual = undisturbed("cold starts")
    with pytest.raises(AssertionError, match=r"(?s)I9.*partly"):
        play_each(of_kind(Kind.PARTLY, singles("cold starts", usual)), usual)


def test_a_clear_that_takes_more_than_the_bus_accepted_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    clear = PaymentsTable.clear

    def clear_all(table: PaymentsTable, record: Record, event_ids: Collection[str]) -> None:
        clear(table, record, [*event_ids, *record.pending.keys() - event_ids])

    monkeypatch.setattr(PaymentsTable, "clear", clear_all)
    usual = undisturbed("no webhook comes")
    with pytest.raises(AssertionError, match=r"(?s)I9.*partly"):
        play_each(of_kind(Kind.PARTLY, singles("no webhook comes", usual)), usual)


def test_a_webhook_that_waits_too_long_for_a_secret_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aws, "_SECRETS_TIMEOUTS", {"connect_timeout": 0.5, "read_timeout": 1.5})
    usual = undisturbed("cold starts")
    with pytest.raises(AssertionError, match="I18"):
        play_each(outages("cold starts", usual), usual)


def test_another_end_than_the_undisturbed_one_is_found() -> None:
    usual = undisturbed("cold starts")
    with pytest.raises(AssertionError, match="undisturbed"):
        play_each([Case("cold starts")], replace(usual, end=()))


def test_a_fault_that_never_happens_is_no_case() -> None:
    usual = undisturbed("cold starts")
    with pytest.raises(AssertionError, match="never happened"):
        play_each([Case("cold starts", (Strike(1000, Kind.HANGS),))], usual)


@pytest.mark.parametrize(
    "case",
    [
        Case("cold starts"),
        Case("cold starts", (Strike(3, Kind.DIES_AFTER), Strike(12, Kind.HANGS))),
        Case("cold starts", outage=Outage(2, "secretsmanager")),
    ],
    ids=str,
)
def test_a_failure_says_how_to_see_it_again(case: Case) -> None:
    name, *faults = shlex.split(str(case).split("tests.faults.crashes ")[1])
    assert read_case(name, faults) == case
