"""A short form of the long outages, and that what they look for can be missing."""

import random

import pytest

from payments.core import attention
from tests.faults import outages
from tests.faults.campaigns import Budget
from tests.faults.outside import Kind
from tests.faults.rig import World, installed

DICE = random.Random(1)  # noqa: S311 - reproducible on purpose


def test_a_day_without_eventbridge_and_a_life_without_webhooks_lose_nothing(seed: int) -> None:
    told: list[tuple[int, int]] = []
    report = outages.run(Budget(share=0.1, seed=seed), lambda done, of: told.append((done, of)))
    assert told[-1] == (100, 100)
    figures = report.figures
    assert figures["… events that waited"] == figures["… events delivered afterwards"]
    assert figures["… paid and told, or given back and told"] == figures["payments without any webhook"] == 40
    assert 0 < int(figures["… the longest from due to told, in seconds"]) < 60


@pytest.mark.xfail(strict=True, reason="design v2, section 7, sweep: Razorpay's lists are compared with our books")
def test_payments_and_refunds_of_any_age_are_found_without_webhooks() -> None:
    with installed() as install:
        outages.at_any_age(install(World(watch_logs=False)), random.Random(1), 8)  # noqa: S311 - reproducible on purpose


def test_orders_that_are_never_due_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attention, "DUE_AGES_S", (6 * 3600,))
    with installed() as install, pytest.raises(AssertionError, match="was paid, due and not found"):
        outages.without_webhooks(install(World(watch_logs=False)), DICE, 20, lambda: None)


def test_a_webhook_that_keeps_refusing_for_a_day_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outages, "GIVE_UP_AFTER_S", 3600)
    with installed() as install, pytest.raises(AssertionError, match="switched the webhook off"):
        outages.without_eventbridge(
            install(World(watch_logs=False)),
            DICE,
            payments=3,
            kind=Kind.FAILS_BEFORE,
            every_s=3600,
            step=lambda: None,
        )
