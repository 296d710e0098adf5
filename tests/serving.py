"""Serves an ASGI application, or what Python's own HTTP server does, in a separate thread."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import HTTPServer
from typing import Any, Final

import uvicorn

from tests.gateway.receiver import wait_until

_STARTS_WITHIN_S: Final = 5.0
# More than twice the shutdown time of any of them.
_STOPS_WITHIN_S: Final = 5.0


@contextmanager
def serving(server: HTTPServer) -> Iterator[str]:
    """Yields the address of a server, and ends it."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Served:
    """Serves an application between `start` and `stop`, on a free port of 127.0.0.1."""

    def __init__(self, application: Any, *, shuts_down_within_s: int, **config: Any) -> None:
        # Explicitly TCP, so that asyncio disables Nagle's algorithm: otherwise 40 ms per response.
        self._socket = socket.socket(proto=socket.IPPROTO_TCP)
        self._socket.bind(("127.0.0.1", 0))
        self._server = uvicorn.Server(
            uvicorn.Config(
                application, log_config=None, access_log=False, timeout_graceful_shutdown=shuts_down_within_s, **config
            )
        )
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._socket]}, daemon=True)
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    def start(self) -> None:
        self._thread.start()
        wait_until(lambda: self._server.started, _STARTS_WITHIN_S, "the server to start")

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(_STOPS_WITHIN_S)
        if self._thread.is_alive():
            # Once, on a busy machine, one did not stop. The thread is a daemon, so it ends with the tests. That the
            # servers stop is tested where they run as processes.
            self._server.force_exit = True
            self._thread.join(_STOPS_WITHIN_S)
        self._socket.close()
