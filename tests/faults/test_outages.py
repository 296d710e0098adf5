"""A short form of the long outages, and that their checks can fail."""

import random

import pytest

from payments.core import attention
from payments.core.sweeping import PASSES
from payments.wiring import sweep
from tests.faults import outages
from tests.faults.campaigns import Budget
from tests.faults.outside import Kind
from tests.faults.rig import World, installed


def dice() -> random.Random:
    return random.Random(1)  # noqa: S311 - reproducible on purpose


def test_no_outage_loses_anything_or_delays_what_does_not_depend_on_it(seed: int) -> None:
    told: list[tuple[int, int]] = []
    report = outages.run(Budget(share=0.05, seed=seed), lambda done, of: told.append((done, of)))
    assert told[-1] == (100, 100)
    refused, hanging = str(report.figures["events that waited while it refused, while it hung"]).split(", ")
    assert int(refused) >= 3
    assert int(hanging) >= 3
    assert report.figures["payments without any webhook, all told of"] == 20


def test_unheard_payments_that_are_found_late_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "PASSES", [one for one in PASSES if one.name != "payments-900"])
    with installed() as install, pytest.raises(AssertionError, match="verified: False, and not told of"):
        outages.without_webhooks(install(World(watch_logs=False)), dice(), 10, lambda: None)


def test_verified_payments_that_are_looked_at_late_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attention, "WATCH_AGES_S", (6 * 3600,))
    with installed() as install, pytest.raises(AssertionError, match="verified: True, and not told of"):
        outages.without_webhooks(install(World(watch_logs=False)), dice(), 10, lambda: None)


def test_events_that_wait_behind_a_backlog_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attention, "OUTBOX_DELAY_S", 3600)
    with installed() as install, pytest.raises(AssertionError, match="behind the backlog"):
        outages.behind_a_backlog(install(World(watch_logs=False)), dice(), 10)


def test_a_webhook_that_keeps_refusing_for_a_day_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outages, "GIVE_UP_AFTER_S", 3600)
    with installed() as install, pytest.raises(AssertionError, match="switched the webhook off"):
        outages.without_eventbridge(
            install(World(watch_logs=False)),
            dice(),
            payments=3,
            kind=Kind.FAILS_BEFORE,
            every_s=3600,
            step=lambda: None,
        )
