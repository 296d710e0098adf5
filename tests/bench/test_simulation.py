"""Failures delay payments but never lose one; and the simulation would notice a loss."""

from dataclasses import replace

import pytest

from bench import scaling, simulation
from bench.simulation import LADDER_S, SCENARIOS, Outcome, Scenario, Simulation


def play(scenario: Scenario, seed: int) -> Outcome:
    return Simulation(scenario, seed).run()


def short(scenario: Scenario) -> Scenario:
    return replace(scenario, rate=scenario.rate / 5, bus_rate=scenario.bus_rate / 5, trouble_s=scenario.trouble_s / 2)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_nothing_captured_is_lost(scenario: Scenario, seed: int) -> None:
    outcome = play(short(scenario), seed)
    assert outcome.captured > 0
    assert outcome.lost == 0
    assert outcome.by.total() == outcome.captured


@pytest.mark.parametrize("scenario", SCENARIOS[1:], ids=lambda scenario: scenario.name)
def test_the_trouble_is_felt_and_the_lanes_publish(scenario: Scenario, seed: int) -> None:
    # Otherwise a good end would prove nothing.
    good, bad = play(short(SCENARIOS[0]), seed), play(short(scenario), seed)
    assert max(good.waits_s) < 1
    assert max(bad.waits_s) > 60
    assert bad.by.total() > bad.by["webhook"]


def test_the_same_seed_gives_the_same_outcome(seed: int) -> None:
    scenario = short(SCENARIOS[1])
    assert play(scenario, seed) == play(scenario, seed)
    assert play(scenario, seed) != play(scenario, seed + 1)


def test_without_the_lanes_webhooks_that_are_away_for_too_long_lose_payments() -> None:
    # The simulation can detect a loss, which the lanes prevent.
    away = Scenario("away", "", rate=0.002, webhooks_blocked=True, trouble_s=LADDER_S[-1] + 3600)
    alone, kept = play(replace(away, lanes=False), 7), play(away, 7)
    assert alone.lost > 0
    assert (kept.captured > 0, kept.lost) == (True, 0)
    assert kept.by["watch"] > 0


def test_the_sweep_alone_finds_every_payment_that_no_webhook_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulation, "WATCH_AGES_S", ())
    kept = play(Scenario("away", "", rate=0.5, webhooks_off=True, trouble_s=3600), 7)
    assert kept.captured == kept.by["sweep"] > 0
    # The first pass stays 15 minutes behind, is due every five minutes, and runs every five minutes.
    assert max(kept.waits_s) <= 15 * 60 + 2 * 5 * 60


def test_the_page_has_the_outcomes_of_the_committed_seed() -> None:
    outcomes = simulation.play()
    text = scaling.PAGE.read_text(encoding="utf-8")
    assert scaling.between(text, "simulation") == scaling.simulation_table(outcomes)
    assert all(one.lost == 0 for one in outcomes)
