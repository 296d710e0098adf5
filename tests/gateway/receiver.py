"""A merchant's webhook endpoint: records deliveries and responds as configured."""

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


@dataclass(frozen=True)
class Arrival:
    """One received request; header names as sent."""

    at: float
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def event_id(self) -> str:
        return self.headers["X-Razorpay-Event-Id"]

    def json(self) -> Any:
        return json.loads(self.body)


class Receiver:
    """Returns the given status codes in turn and then the last one for ever, each after `delay` seconds."""

    def __init__(self, *statuses: int, delay: float = 0) -> None:
        self.arrivals: list[Arrival] = []
        self._statuses = list(statuses or (200,))
        self._delay = delay
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/api/payments/webhook/"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def wait_for(self, count: int, timeout: float = 10) -> list[Arrival]:
        wait_until(lambda: len(self.arrivals) >= count, timeout, f"{count} deliveries, had {len(self.arrivals)}")
        return list(self.arrivals)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with receiver._lock:
                    receiver.arrivals.append(Arrival(time.monotonic(), self.path, dict(self.headers.items()), body))
                    statuses = receiver._statuses
                    status = statuses.pop(0) if len(statuses) > 1 else statuses[0]
                time.sleep(receiver._delay)
                try:
                    self.send_response(status)
                    self.send_header("Content-Length", "0")
                    if status in {301, 302, 307}:
                        self.send_header("Location", "/elsewhere")
                    self.end_headers()
                except ConnectionError:
                    self.close_connection = True  # the sender hung up first

            def log_message(self, *_: object) -> None:
                pass

        return Handler


def wait_until(condition: Callable[[], object], timeout: float, awaited: str) -> None:
    """Return as soon as the condition holds; fail the test if it does not in time."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, f"waited {timeout} s in vain for {awaited}"
        time.sleep(0.01)
