"""Overload costs time and turns people away, and never loses a payment; and the simulation would notice if one were."""

import tomllib
from dataclasses import replace
from runpy import run_path

import pytest

from bench import counted, scaling, simulation
from bench.simulation import LADDER_S, SCENARIOS, Limits, Outcome, Scenario, Simulation
from payments.core.model import Lane
from payments.wiring.reconcile import WORKERS
from payments.wiring.sweep import _TIME_FOR_A_PAGE_MS
from payments.wiring.watch import _MOST_RECORDS, _NEXT_RUN_MS
from sandbox.cloud.packages import read_template


def play(scenario: Scenario, seed: int, *, limits: Limits | None = None) -> Outcome:
    return Simulation(scenario, seed, limits=limits).run()


def short(scenario: Scenario) -> Scenario:
    return replace(scenario, rate=scenario.rate / 5, quiet_s=20, trouble_s=60)


def tight(scenario: Scenario) -> Scenario:
    """As the short one, with limits that are a fifth too."""
    during = scenario.during
    if during is not None:
        during = replace(during, bus_rate=during.bus_rate / 5, table_units=during.table_units / 5)
    return replace(short(scenario), during=during, failing_looks=scenario.failing_looks // 5)


FIFTH = Limits(api_rate=20, webhook_rate=60, create_instances=40, verify_instances=20, webhook_instances=20)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_nothing_captured_is_lost_whatever_is_too_small(scenario: Scenario, seed: int) -> None:
    outcome = play(tight(scenario), seed, limits=FIFTH)
    assert outcome.captured > 0
    assert outcome.captured == outcome.recorded == outcome.told
    assert outcome.exhausted == 0
    assert outcome.customers >= outcome.orders + outcome.turned_away


# Here nobody is refused: payments are told late.
QUIET = [scenario for scenario in SCENARIOS if scenario.webhooks_off or scenario.failing_looks]


@pytest.mark.parametrize(
    "scenario", [one for one in SCENARIOS[1:] if one not in QUIET], ids=lambda scenario: scenario.name
)
def test_the_trouble_is_felt(scenario: Scenario, seed: int) -> None:
    # Else it would show nothing that all is well in the end.
    good = play(tight(SCENARIOS[0]), seed, limits=FIFTH)
    bad = play(tight(scenario), seed, limits=FIFTH)
    assert (good.refused, good.turned_away) == (0, 0)
    assert bad.refused > 0


@pytest.mark.parametrize("scenario", QUIET, ids=lambda scenario: scenario.name)
def test_without_webhooks_the_lanes_tell(scenario: Scenario, seed: int) -> None:
    outcome = play(tight(scenario), seed, limits=FIFTH)
    assert outcome.by_outbox + outcome.by_watch + outcome.by_sweep > 0


def test_the_same_seed_gives_the_same_outcome(seed: int) -> None:
    scenario = tight(SCENARIOS[-1])
    assert play(scenario, seed) == play(scenario, seed)
    assert play(scenario, seed) != play(scenario, seed + 1)


def test_without_reconcile_a_webhook_that_is_away_for_too_long_loses_payments() -> None:
    # The simulation can see a loss: this is what reconcile is for.
    away = Scenario("away", "", rate=0.002, webhooks_blocked=True, trouble_s=LADDER_S[-1] + 3600)
    lost = play(away, 7, limits=Limits(watch_records=0, sweep_workers=0))
    assert lost.exhausted > 0
    assert lost.told < lost.captured
    kept = play(away, 7)
    assert kept.captured == lost.captured == kept.recorded == kept.told
    assert kept.by_watch > 0


def test_the_sweep_alone_finds_every_payment_that_no_webhook_told() -> None:
    away = Scenario("away", "", rate=0.5, webhooks_off=True, quiet_s=0, trouble_s=3600)
    kept = play(away, 7, limits=Limits(watch_records=0))
    assert kept.captured == kept.recorded == kept.told == kept.by_sweep > 0
    # The first pass is a quarter of an hour behind, is due every five minutes, and runs every five minutes.
    assert kept.slowest_s <= 15 * 60 + 2 * 5 * 60


def test_ten_thousand_failing_looks_delay_no_event() -> None:
    scenario = next(one for one in SCENARIOS if one.failing_looks)
    outcome = play(replace(scenario, trouble_s=300), 7)
    assert scenario.failing_looks == 10_000
    assert outcome.by_outbox > 100
    assert outcome.overdue_s <= 120
    # The same without them.
    assert play(replace(scenario, trouble_s=300, failing_looks=0), 7).overdue_s == outcome.overdue_s


def test_an_order_that_nobody_pays_costs_the_lanes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulation, "_UNPAID_SHARE", 1.0)
    asked = []
    monkeypatch.setattr(Simulation, "_look", lambda *_: asked.append("look"))
    monkeypatch.setattr(Simulation, "_empty", lambda *_: asked.append("empty"))
    outcome = play(short(SCENARIOS[0]), 7)
    assert (outcome.orders > 0, outcome.captured, asked) == (True, 0, [])


def test_the_front_door_keeps_a_surge_from_the_rest() -> None:
    surge = play(tight(SCENARIOS[1]), 7, limits=FIFTH)
    assert surge.turned_away > 0
    assert surge.slowest_s < 60


def test_its_limits_and_its_clock_are_those_of_the_service() -> None:
    parameters = read_template(scaling.TEMPLATE)["Parameters"]
    configured = tomllib.loads((scaling.PROJECT / "samconfig.toml").read_text())["production"]["global"]["parameters"]
    production = dict(override.split("=", 1) for override in configured["parameter_overrides"])
    given = Limits()
    assert given.api_rate == parameters["ApiRateLimit"]["Default"]
    assert given.webhook_rate == parameters["WebhookRateLimit"]["Default"]
    assert given.create_instances == int(production["CreateOrderConcurrency"])
    assert given.verify_instances == int(production["VerifyConcurrency"])
    assert given.webhook_instances == int(production["WebhookConcurrency"])
    functions = read_template(scaling.TEMPLATE)["Resources"]
    assert (
        given.outbox_s
        == functions["OutboxFunction"]["Properties"]["Timeout"]
        - run_path(str(scaling.PROJECT / "functions/outbox/app.py"))["_TIME_FOR_ONE_MS"] / 1000
    )
    assert given.sweep_s == functions["ReconcileFunction"]["Properties"]["Timeout"] - _TIME_FOR_A_PAGE_MS / 1000
    assert given.watch_s == _NEXT_RUN_MS / 1000
    assert given.watch_records == _MOST_RECORDS[Lane.WATCH]
    assert given.sweep_workers == WORKERS


def test_its_steps_write_what_was_counted() -> None:
    assert scaling.counted_units(counted.measure()) == simulation.Units()


def test_the_page_has_the_outcomes_of_the_committed_seed() -> None:
    outcomes = simulation.play(units=scaling.counted_units(counted.measure()))
    text = scaling.PAGE.read_text(encoding="utf-8")
    assert scaling.between(text, "simulation") == scaling.simulation_table(outcomes)
    assert all(one.captured == one.recorded == one.told for one in outcomes)
