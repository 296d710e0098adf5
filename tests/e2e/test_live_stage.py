"""The stage of the live view's scenarios, on the deployed service: its switches, and that they are reset."""

import threading
from typing import Any

import pytest
import requests

from sandbox.cloud.service import LocalService
from sandbox.live.player import perform
from sandbox.live.scenarios import Scenario, Step
from sandbox.live.stage import Stage, StageError, Stopped
from tests.e2e.platform_client import Platform


@pytest.fixture
def stage(local_service: LocalService) -> Stage:
    return Stage(local_service.endpoints, threading.Event())


def switches(service: LocalService) -> tuple[list[str], object]:
    """The orders whose webhooks are held, and the functions for which EventBridge is down."""
    faults = requests.get(f"{service.endpoints['razorpay']}/_control/faults", timeout=10).json()
    away = requests.get(f"{service.endpoints['aws']}/_sandbox/outages", timeout=10).json()
    return faults["held_orders"], away["events"]


def test_the_switches_concern_this_order_alone(stage: Stage, local_service: LocalService) -> None:
    stage.create_order().expect(201)
    stage.hold_webhooks()
    stage.take_eventbridge_away()
    try:
        assert switches(local_service) == ([stage.order_id], stage.order_id)
        platform = Platform(local_service)
        order_id = platform.create_order().json()["order_id"]
        platform.pay(order_id)
        platform.wait_for_payment(order_id, status="paid", confirmed=True)
        platform.wait_for_inbox("job", order_id, "payment.paid")
    finally:
        stage.put_back()
    assert switches(local_service) == ([], False)


def test_a_scenario_that_fails_in_the_middle_leaves_no_switch_on_and_nothing_held(
    stage: Stage, local_service: LocalService
) -> None:
    def order(playing: Stage) -> str:
        playing.create_order().expect(201)
        playing.hold_webhooks()
        playing.take_eventbridge_away()
        playing.pay().expect(200)
        return ""

    def fail(_stage: Stage) -> str:
        raise StageError("as the test wants it")

    failing = Scenario("x", "X", "X.", [Step("Frontend", "Begins", order), Step("Service", "Fails", fail)], [])
    shown: dict[str, Any] = {"steps": [{}, {}], "expectations": []}

    perform(failing, lambda: stage, shown, lambda _now: None)

    assert shown["problem"] == "Step 2, “Fails”, failed: as the test wants it"
    assert switches(local_service) == ([], False)
    assert {event["state"] for event in stage.webhooks()} == {"dropped"}


def test_other_orders_that_are_held_stay_held(stage: Stage, local_service: LocalService) -> None:
    faults = f"{local_service.endpoints['razorpay']}/_control/faults"
    requests.put(faults, json={"held_orders": ["order_somebodyElses0"]}, timeout=10).raise_for_status()
    try:
        stage.create_order().expect(201)
        stage.hold_webhooks()
        stage.put_back()
        assert switches(local_service)[0] == ["order_somebodyElses0"]
    finally:
        requests.put(faults, json={"held_orders": []}, timeout=10).raise_for_status()


def test_whatever_waits_ends_with_the_server(local_service: LocalService) -> None:
    stopped = threading.Event()
    stage = Stage(local_service.endpoints, stopped)
    stopped.set()

    with pytest.raises(Stopped):
        stage.until(lambda: 1, lambda seen: seen == 2, "what never comes")
    with pytest.raises(Stopped):
        stage.create_order()


def test_an_unexpected_answer_is_told_with_what_it_said(stage: Stage) -> None:
    stage.create_order()

    with pytest.raises(StageError, match=r"answered 400, not 200: .*incorrect_otp"):
        stage.pay(outcome="failure").expect(200)
