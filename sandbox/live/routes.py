"""The live view's page, its stream of server-sent events, and the buttons that play scenarios."""

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import anyio
from sse_starlette.event import ServerSentEvent
from sse_starlette.sse import EventSourceResponse
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from sandbox.live.board import Board
from sandbox.live.observer import Eyes, Observer
from sandbox.live.player import AlreadyPlaying, Player
from sandbox.live.scenarios import SCENARIOS
from sandbox.live.sides import Cloud, StandIn
from sandbox.live.stage import Stage

STATIC: Final = Path(__file__).parent / "static"
RECONNECT_MS: Final = 1000
"""How long a browser waits before it reconnects."""
PING_SECONDS: Final = 15
"""How often an idle stream sends a ping."""
LAST_WORDS_SECONDS: Final = 0.5
"""How long a stream may take to end by itself when the server stops."""
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def routes(endpoints: Mapping[str, Any]) -> list[Route | Mount]:
    """Return what to mount under `/live` for a running service.

    Args:
        endpoints: as in `endpoints.json`. Without the stand-in for Razorpay (`stand_in` false) there is less to see,
            and no scenario can be played.
    """
    razorpay = str(endpoints["razorpay"])
    stand_in = bool(endpoints.get("stand_in", urlsplit(razorpay).hostname == "127.0.0.1"))
    board = Board()
    eyes = Eyes(Cloud(endpoints), StandIn(razorpay) if stand_in else None)
    player = Player(board, lambda stopped: Stage(endpoints, stopped)) if stand_in else None
    return view(board, Observer(eyes.look, board), player)


def view(board: Board, observer: Observer, player: Player | None) -> list[Route | Mount]:
    """Return the routes for these parts; without a player no scenario can be played."""

    async def page(_request: Request) -> Response:
        headers = {"Content-Security-Policy": POLICY, "Cache-Control": "no-store"}
        return FileResponse(STATIC / "live.html", headers=headers)

    async def stream(request: Request) -> Response:
        stopping = anyio.Event()
        return EventSourceResponse(
            _told(board, observer, request.headers.get("last-event-id"), stopping),
            ping=PING_SECONDS,
            sep="\n",
            shutdown_event=stopping,
            shutdown_grace_period=LAST_WORDS_SECONDS,
        )

    async def show_scenarios(_request: Request) -> Response:
        known = [
            {"name": scenario.name, "title": scenario.title, "about": scenario.about}
            for scenario in (SCENARIOS.values() if player is not None else ())
        ]
        return JSONResponse({"scenarios": known}, headers={"Cache-Control": "no-store"})

    async def play(request: Request) -> Response:
        """Answer 202 with the number of the play, which the stream reports on; or say why it is not played."""
        if not from_here(request.headers):
            return _refused(HTTPStatus.FORBIDDEN, "Scenarios are played from the live view itself.")
        scenario = SCENARIOS.get(request.path_params["name"])
        if scenario is None:
            return _refused(HTTPStatus.NOT_FOUND, f"There is no such scenario; there are: {', '.join(SCENARIOS)}.")
        if player is None:
            detail = "Scenarios need the stand-in for Razorpay: start the service without keys in .env."
            return _refused(HTTPStatus.CONFLICT, detail)
        try:
            number = player.play(scenario)
        except AlreadyPlaying as error:
            return _refused(HTTPStatus.CONFLICT, str(error))
        return JSONResponse({"number": number}, HTTPStatus.ACCEPTED)

    return [
        Route("/", page, methods=["GET"]),
        Route("/stream", stream, methods=["GET"]),
        Route("/scenarios", show_scenarios, methods=["GET"]),
        Route("/scenarios/{name}", play, methods=["POST"]),
        Mount("/static", StaticFiles(directory=STATIC)),
    ]


async def _told(
    board: Board, observer: Observer, last_id: str | None, stopping: anyio.Event
) -> AsyncGenerator[ServerSentEvent]:
    """Yield one watcher's updates until they leave or the server stops; then the response ends normally."""
    watching = board.watch(last_id)
    end = asyncio.ensure_future(stopping.wait())
    with observer.watched():
        try:
            while not end.done():
                coming = asyncio.ensure_future(anext(watching))
                try:
                    await asyncio.wait({coming, end}, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    coming.cancel()  # no effect if it has arrived
                if not coming.cancelled() and coming.done():
                    news = coming.result()
                    data = json.dumps({"parts": news.parts}, separators=(",", ":"))
                    yield ServerSentEvent(data, event=news.kind, id=news.id, retry=RECONNECT_MS)
        finally:
            end.cancel()


def from_here(headers: Mapping[str, str]) -> bool:
    """Return whether a request comes from a page of this server, or from no browser at all.

    A browser sends the page's origin with every POST, and most also say how it relates to ours.
    """
    if headers.get("sec-fetch-site", "same-origin") != "same-origin":
        return False
    origin = headers.get("origin")
    return origin is None or urlsplit(origin).netloc == headers.get("host")


def _refused(status: HTTPStatus, detail: str) -> Response:
    return JSONResponse({"detail": detail}, status)
