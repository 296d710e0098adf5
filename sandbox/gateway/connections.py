"""Answers that never arrive: hold, close or reset a connection without sending a byte.

ASGI cannot express that, so the stand-in's server uses `DroppableProtocol`: uvicorn's own protocol, which also passes
each request its connection.
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
"""As long as the SDKs of other languages wait. Then the connection is closed, still without an answer."""
CONNECTION: Final = "razorpay.connection"
# SO_LINGER with no linger time: closing sends RST instead of FIN.
_NO_LINGER: Final = struct.pack("ii", 1, 0)


class DroppableProtocol(H11Protocol):
    """HTTP/1.1 that gives requests their connection, as `scope["razorpay.connection"]`."""

    hangs = False
    """An answer never comes, so a stopping server need not wait for it."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn's own
        """Pass itself to every request of the connection."""
        super().connection_made(transport)
        application = self.app

        async def knowing_its_connection(scope: Scope, receive: Receive, send: Send) -> None:
            await application({**scope, CONNECTION: self}, receive, send)

        self.app = knowing_its_connection

    def shutdown(self) -> None:
        """Handle the server's shutdown."""
        if self.hangs:
            self.transport.abort()
        else:
            super().shutdown()


class NoAnswer(Response):
    """Ends the connection without an answer, at once or after waiting.

    Args:
        how: `close` it as a crashed server does, `reset` it, or `hang` until the client disconnects or 30 seconds
            have passed.
    """

    def __init__(self, how: Literal["close", "reset", "hang"]) -> None:
        super().__init__(status_code=HTTPStatus.INTERNAL_SERVER_ERROR)  # never sent
        self._how = how

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - nothing is sent
        """Carry it out."""
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
    """Wait until the connection is gone. Only then does uvicorn not report a missing answer."""
    while (await receive())["type"] != "http.disconnect":
        pass
