"""Play one scenario at a time, and show its progress on the board."""

import asyncio
import copy
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

import requests
from botocore.exceptions import BotoCoreError, ClientError

from sandbox.demo import DemoError
from sandbox.live.board import Board
from sandbox.live.scenarios import Expectation, Scenario
from sandbox.live.stage import StageError, Stopped

PART: Final = "scenario"
"""The part of the board that shows the scenario playing now, or the last one."""
PATIENCE_LOOKS: Final = 600
"""How often expectations are checked before they count as not met: two minutes or more. A subscriber's message that
failed twice comes again after up to thirty and then sixty seconds."""
LOOK_PAUSE_S: Final = 0.2
SETTLED_S: Final = 0.5
"""A result must still hold a moment later: something that should happen once could happen again."""

_log = logging.getLogger("sandbox.live")
# What a step raises when the service, the stand-in or the local cloud does not do what the story needs.
_FAILURES: Final = (StageError, DemoError, BotoCoreError, ClientError, requests.RequestException)

type Progress = Callable[[Mapping[str, Any]], None]


class Stage(Protocol):
    """The part of `stage.Stage` that the player itself needs."""

    order_id: str

    def put_back(self) -> None:
        """Restore every switch."""
        ...

    def pause(self, seconds: float) -> None:
        """Wait, and raise Stopped when the server stops."""
        ...


class AlreadyPlaying(Exception):
    """Only one scenario at a time can play; the message says which one does."""


class Player:
    """Used on one event loop; the scenario itself plays in a thread.

    Args:
        board: shows `scenario`: `{number, name, title, state, order_id, steps: [{who, what, state, seen}],
            expectations: [{what, state, seen}], problem}`, once one has played. `state` is `playing`, `met`, `not_met`
            or `failed`; a step's is `waiting`, `playing`, `done` or `failed`; an expectation's is `waiting`, `met` or
            `not_met`.
        stage: creates the stage of one scenario; its argument is set when the server stops.
    """

    def __init__(self, board: Board, stage: Callable[[threading.Event], Any]) -> None:
        self._board = board
        self._stage = stage
        self._playing: asyncio.Task[None] | None = None
        self._number = 0

    def play(self, scenario: Scenario) -> int:
        """Start to play, and return the number of this play.

        Raises:
            AlreadyPlaying: another one has not ended.
        """
        if self._playing is not None and not self._playing.done():
            raise AlreadyPlaying(f"“{self._board.part(PART)['title']}” is being played; wait until it has ended.")
        self._number += 1
        show = _programme(scenario, self._number)
        self._board.put({PART: copy.deepcopy(show)})
        self._playing = asyncio.create_task(self._play(scenario, show))
        return self._number

    async def _play(self, scenario: Scenario, show: dict[str, Any]) -> None:
        loop = asyncio.get_running_loop()
        stopped = threading.Event()

        def progress(now: Mapping[str, Any]) -> None:
            loop.call_soon_threadsafe(self._board.put, {PART: copy.deepcopy(dict(now))})

        try:
            await asyncio.to_thread(perform, scenario, lambda: self._stage(stopped), show, progress)
        except Stopped:
            _log.info("%s ended with the server", scenario.name)
        except Exception:  # noqa: BLE001 - the one boundary: the viewer is told
            _log.exception("%s failed", scenario.name)
            show |= {"state": "failed", "problem": "The live view itself failed; see the shop's log."}
            self._board.put({PART: copy.deepcopy(show)})
        finally:
            # If only cancelled with the server's loop, the thread would keep playing and delay its end.
            stopped.set()


def perform(scenario: Scenario, make_stage: Callable[[], Any], show: dict[str, Any], progress: Progress) -> None:
    """Play a scenario and keep `show` up to date. The switches are restored whatever happens.

    Raises:
        Stopped: the server is stopping.
    """
    stage = make_stage()
    try:
        if _play_steps(scenario, stage, show, progress):
            _check(scenario.expectations, stage, show, progress)
            met = all(expectation["state"] == "met" for expectation in show["expectations"])
            show["state"] = "met" if met else "not_met"
    finally:
        try:
            stage.put_back()
        except _FAILURES as error:
            show |= {"state": "failed", "problem": f"The switches could not be reset: {_words(error)}"}
        progress(show)


def _programme(scenario: Scenario, number: int) -> dict[str, Any]:
    return {
        "number": number,
        "name": scenario.name,
        "title": scenario.title,
        "state": "playing",
        "order_id": None,
        "steps": [{"who": step.who, "what": step.what, "state": "waiting", "seen": ""} for step in scenario.steps],
        "expectations": [
            {"what": expectation.what, "state": "waiting", "seen": ""} for expectation in scenario.expectations
        ],
        "problem": "",
    }


def _play_steps(scenario: Scenario, stage: Any, show: dict[str, Any], progress: Progress) -> bool:  # noqa: ANN401 - a stage or a fake
    """Play the steps, and return whether all of them went through."""
    for number, (step, shown) in enumerate(zip(scenario.steps, show["steps"], strict=True), start=1):
        shown["state"] = "playing"
        progress(show)
        try:
            shown |= {"seen": step.act(stage), "state": "done"}
        except _FAILURES as error:
            shown |= {"seen": _words(error), "state": "failed"}
            problem = f"Step {number}, “{step.what}”, failed: {_words(error)}"
            show |= {"state": "failed", "problem": problem, "order_id": stage.order_id or None}
            return False
        show["order_id"] = stage.order_id or None
        progress(show)
    return True


def _check(expectations: Sequence[Expectation], stage: Any, show: dict[str, Any], progress: Progress) -> None:  # noqa: ANN401 - as above
    settled = False
    for _ in range(PATIENCE_LOOKS):
        for expectation, shown in zip(expectations, show["expectations"], strict=True):
            met, seen = _looked(expectation, stage)
            shown |= {"state": "met" if met else "waiting", "seen": seen}
        progress(show)
        if all(shown["state"] == "met" for shown in show["expectations"]):
            if settled:
                return
            settled = True
            stage.pause(SETTLED_S)
        else:
            settled = False
            stage.pause(LOOK_PAUSE_S)
    for shown in show["expectations"]:
        shown["state"] = "met" if shown["state"] == "met" else "not_met"


def _looked(expectation: Expectation, stage: Any) -> tuple[bool, str]:  # noqa: ANN401 - as above
    try:
        return expectation.look(stage)
    except _FAILURES as error:
        return False, _words(error)


def _words(error: Exception) -> str:
    return str(error) or type(error).__name__
