"""Answers that never come: the connection held open, closed or reset without a byte of an answer.

ASGI has no word for that, so the server that runs the stand-in speaks `DroppableProtocol`: uvicorn's own, which also
hands each request its connection.
"""

import asyncio
import socket
import struct
from http import HTTPStatus
from typing import Final, Literal

from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

LONGEST_HANG_S: Final = 30
"""As long as the SDKs of other languages wait; then the connection is closed, and still without an answer."""
CONNECTION: Final = "razorpay.connection"
# SO_LINGER with no time to linger: closing sends RST instead of FIN.
_NO_LINGER: Final = struct.pack("ii", 1, 0)


class DroppableProtocol(H11Protocol):
    """HTTP/1.1 whose requests know their connection, as `scope["razorpay.connection"]`."""

    hangs = False
    """An answer never comes: a server that stops need not wait for it."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn's own
        """Hand itself to every request of the connection."""
        super().connection_made(transport)
        application = self.app

        async def knowing_its_connection(scope: Scope, receive: Receive, send: Send) -> None:
            await application({**scope, CONNECTION: self}, receive, send)

        self.app = knowing_its_connection

    def shutdown(self) -> None:
        """The server stops."""
        if self.hangs:
            self.transport.abort()
        else:
            super().shutdown()


class NoAnswer(Response):
    """Ends the connection, at once or after waiting, without an answer.

    Args:
        how: `close` it as a crashed server does, `reset` it, or `hang` until the client goes or 30 seconds have passed.
    """

    def __init__(self, how: Literal["close", "reset", "hang"]) -> None:
        super().__init__(status_code=HTTPStatus.INTERNAL_SERVER_ERROR)  # never sent
        self._how = how

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - nothing is sent
        """Play it."""
        connection: DroppableProtocol = scope[CONNECTION]
        if self._how == "hang":
            connection.hangs = True
            try:
                async with asyncio.timeout(LONGEST_HANG_S):
                    await _gone(receive)
            except TimeoutError:
                pass
            else:
                return
        if self._how == "reset":
            below: socket.socket = connection.transport.get_extra_info("socket")
            below.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
            connection.transport.abort()
        else:
            connection.transport.close()
        await _gone(receive)


async def _gone(receive: Receive) -> None:
    """Wait until the connection is gone: only then does uvicorn not miss an answer."""
    while (await receive())["type"] != "http.disconnect":
        pass
