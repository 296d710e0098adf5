import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest
import requests

from sandbox.live import player as module
from sandbox.live.board import Board
from sandbox.live.player import AlreadyPlaying, Player, perform
from sandbox.live.scenarios import SCENARIOS, Expectation, Scenario, Step
from sandbox.live.stage import StageError, Stopped


class FakeStage:
    """A stage on which nothing happens; records the player's actions."""

    def __init__(self, stopped: threading.Event | None = None) -> None:
        self.order_id = ""
        self.stopped = stopped or threading.Event()
        self.pauses = 0
        self.put_backs = 0
        self.put_back_fails = False

    def pause(self, _seconds: float) -> None:
        self.pauses += 1
        if self.stopped.is_set():
            raise Stopped

    def put_back(self) -> None:
        self.put_backs += 1
        if self.put_back_fails:
            raise requests.ConnectionError("refused")


def order(stage: Any) -> str:
    stage.order_id = "order_DESlLckIVRkHWj"
    return "done so"


def scenario(
    *, act: Callable[[Any], str] = order, look: Callable[[Any], tuple[bool, str]] = lambda _stage: (True, "seen so")
) -> Scenario:
    return Scenario(
        name="a-scenario",
        title="A scenario",
        about="Shows something.",
        steps=[Step("Frontend", "Does it", act), Step("Customer", "Does more", lambda _stage: "more")],
        expectations=[Expectation("It is so", look)],
    )


def performed(one: Scenario, stage: FakeStage) -> tuple[dict[str, Any], list[str]]:
    """The final show, and the states of the first step along the way."""
    show = module._programme(one, 1)  # noqa: SLF001 - what `play` begins with
    states: list[str] = []
    perform(one, lambda: stage, show, lambda now: states.append(now["steps"][0]["state"]))
    return show, states


def test_the_steps_are_carried_out_one_after_the_other_and_then_the_expectations_are_checked() -> None:
    stage = FakeStage()

    show, states = performed(scenario(), stage)

    assert show["state"] == "met"
    assert [(step["state"], step["seen"]) for step in show["steps"]] == [("done", "done so"), ("done", "more")]
    assert show["expectations"] == [{"what": "It is so", "state": "met", "seen": "seen so"}]
    assert show["order_id"] == "order_DESlLckIVRkHWj"
    assert states[:2] == ["playing", "done"]
    assert stage.put_backs == 1


def test_a_failure_names_the_step_ends_the_scenario_and_puts_the_switches_back() -> None:
    stage = FakeStage()

    def fail(_stage: Any) -> str:
        raise StageError("answered 500, not 201")

    show, _ = performed(scenario(act=fail), stage)

    assert show["state"] == "failed"
    assert show["problem"] == "Step 1, “Does it”, failed: answered 500, not 201"
    assert [step["state"] for step in show["steps"]] == ["failed", "waiting"]
    assert stage.put_backs == 1


def test_a_mistake_of_the_scenario_itself_puts_the_switches_back_too() -> None:
    stage = FakeStage()

    def fail(_stage: Any) -> str:
        raise KeyError

    with pytest.raises(KeyError):
        performed(scenario(act=fail), stage)
    assert stage.put_backs == 1


def test_an_expectation_that_is_met_later_is_waited_for() -> None:
    stage = FakeStage()

    show, _ = performed(scenario(look=lambda _stage: (stage.pauses >= 3, "")), stage)

    assert show["state"] == "met"


def test_an_expectation_must_still_be_met_a_moment_later() -> None:
    stage = FakeStage()

    show, _ = performed(scenario(look=lambda _stage: (stage.pauses == 0, "twice")), stage)

    assert show["state"] == "not_met"
    assert show["expectations"] == [{"what": "It is so", "state": "not_met", "seen": "twice"}]
    assert stage.put_backs == 1


def test_an_expectation_that_cannot_be_looked_at_is_not_met_and_says_why() -> None:
    def fail(_stage: Any) -> tuple[bool, str]:
        raise requests.ConnectionError("refused")

    show, _ = performed(scenario(look=fail), FakeStage())

    assert show["expectations"] == [{"what": "It is so", "state": "not_met", "seen": "refused"}]


def test_switches_that_cannot_be_put_back_are_said() -> None:
    stage = FakeStage()
    stage.put_back_fails = True

    show, _ = performed(scenario(), stage)

    assert (show["state"], show["problem"]) == ("failed", "The switches could not be reset: refused")


async def _ended(board: Board) -> dict[str, Any]:
    async for news in board.watch(None):
        shown = news.parts.get("scenario")
        if shown is not None and shown["state"] != "playing":
            return dict(shown)
    raise AssertionError("the board never ends")


def test_only_one_scenario_plays_at_a_time_and_then_the_next() -> None:
    board, go_on = Board(), threading.Event()

    def wait(_stage: Any) -> str:
        assert go_on.wait(10)
        return ""

    async def play() -> None:
        player = Player(board, FakeStage)
        assert player.play(scenario(act=wait)) == 1
        with pytest.raises(AlreadyPlaying, match="“A scenario” is being played"):
            player.play(scenario())
        go_on.set()
        assert (await _ended(board))["number"] == 1
        await asyncio.sleep(0)
        while True:
            try:
                assert player.play(scenario()) == 2
                break
            except AlreadyPlaying:  # its thread has reported the end and is about to stop
                await asyncio.sleep(0.01)
        assert (await _ended(board))["state"] == "met"

    asyncio.run(play())


def test_a_mistake_of_the_scenario_itself_is_said_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    board = Board()

    def fail(_stage: Any) -> str:
        raise KeyError("x")

    async def play() -> dict[str, Any]:
        Player(board, FakeStage).play(scenario(act=fail))
        return await _ended(board)

    shown = asyncio.run(play())

    assert shown["problem"] == "The live view itself failed; see the shop's log."
    assert "KeyError" in caplog.text


def test_a_scenario_ends_with_the_server() -> None:
    board, stages = Board(), list[FakeStage]()

    def stage(stopped: threading.Event) -> FakeStage:
        stages.append(FakeStage(stopped))
        return stages[0]

    def wait(waiting: Any) -> str:
        assert waiting.stopped.wait(10)
        waiting.pause(0)
        return ""

    async def play() -> None:
        Player(board, stage).play(scenario(act=wait))
        while not stages:  # noqa: ASYNC110 - the thread knows of no event of this loop
            await asyncio.sleep(0.01)

    asyncio.run(play())  # and the loop ends as in a server: all its tasks are cancelled, and its threads joined

    assert stages[0].put_backs == 1


def test_every_scenario_has_a_name_of_its_own_a_line_about_it_and_something_to_expect() -> None:
    assert list(SCENARIOS) == [
        "fail-then-succeed",
        "duplicate-webhooks",
        "webhooks-withheld",
        "out-of-order",
        "refunds",
        "amount-mismatch",
        "duplicate-capture",
        "superseded-order",
        "dispute-lost",
        "expired-order",
        "paid-before-expiry",
        "eventbridge-down",
    ]
    for one in SCENARIOS.values():
        assert one.about.endswith(".")
        assert len(one.expectations) >= 3
        whats = [expectation.what for expectation in one.expectations]
        assert len(set(whats)) == len(whats)
