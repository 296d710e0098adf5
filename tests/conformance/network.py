"""The two ways between the service and Razorpay's stand-in: real HTTP, and a switch where a scenario wants one."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

import requests


class _Server:
    """An HTTP server on a free port of 127.0.0.1, on a thread of its own."""

    def __init__(self, handler: type[BaseHTTPRequestHandler]) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class WayToRazorpay(_Server):
    """Passes every request on to the stand-in, and loses the answers that it is told to lose."""

    def __init__(self, target: str) -> None:
        super().__init__(self._handler())
        self.asked: list[str] = []
        """Method and path of each request, in order."""
        self.answers_to_lose = 0
        self._target = target

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        way = self

        class Handler(BaseHTTPRequestHandler):
            def pass_on(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                way.asked.append(f"{self.command} {self.path}")
                kept = {
                    name: value for name, value in self.headers.items() if name.lower() not in {"host", "connection"}
                }
                answer = requests.request(self.command, way._target + self.path, headers=kept, data=body, timeout=10)
                if way.answers_to_lose:
                    # It has been done, and the one who asked sees the connection end.
                    way.answers_to_lose -= 1
                    self.close_connection = True
                    return
                self.send_response(answer.status_code)
                self.send_header("Content-Type", answer.headers["Content-Type"])
                self.send_header("Content-Length", str(len(answer.content)))
                self.end_headers()
                self.wfile.write(answer.content)

            do_GET = pass_on  # noqa: N815 - http.server's name
            do_POST = pass_on  # noqa: N815 - as above

            def log_message(self, *_: object) -> None:
                pass

        return Handler


@dataclass
class Trouble:
    """What is wrong with the endpoint."""

    down: bool = False
    """Answers 500 without looking at the delivery."""
    loses_answers: bool = False
    """Has the delivery handled, and answers 500 all the same, so that Razorpay sends it again."""
    statuses: list[int] = field(default_factory=list)
    """What the service said to each delivery that reached it."""


class WebhookEndpoint(_Server):
    """Our webhook URL: hands each delivery to the service, as API Gateway does."""

    def __init__(self, receive: Callable[[str, Mapping[str, str], bytes], int]) -> None:
        super().__init__(self._handler())
        self.url += "/api/payments/webhook/"
        self.trouble = Trouble()
        self._receive = receive

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
