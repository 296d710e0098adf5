"""Our webhook URL over real HTTP, with the faults that a scenario needs."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self


@dataclass
class Trouble:
    """The endpoint's faults."""

    down: bool = False
    """Answers 500 without looking at the delivery."""
    loses_answers: bool = False
    """Handles the delivery but answers 500, so that Razorpay sends it again."""
    statuses: list[int] = field(default_factory=list)
    """The service's response to each delivery that reached it."""


class WebhookEndpoint:
    """Passes each delivery to the service as API Gateway does; on a free port of 127.0.0.1, in a separate thread."""

    def __init__(self, receive: Callable[[str, Mapping[str, str], bytes], int]) -> None:
        self.trouble = Trouble()
        self._receive = receive
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}/api/payments/webhook/"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                trouble = endpoint.trouble
                if trouble.down:
                    self._answer(500)
                    return
                status = endpoint._receive(self.path, dict(self.headers.items()), body)
                trouble.statuses.append(status)
                self._answer(500 if trouble.loses_answers else status)

            def _answer(self, status: int) -> None:
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        return Handler
