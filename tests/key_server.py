"""An identity service's published keys: a real HTTP server on 127.0.0.1 with scripted responses."""

import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

type Answer = Callable[[BaseHTTPRequestHandler], None]


def answers(status: int, body: bytes, **headers: str) -> Answer:
    """Returns this unchanged; an underscore in a header's name stands for a dash."""
    named = {"Content-Length": str(len(body))} | {name.replace("_", "-"): value for name, value in headers.items()}

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        for name, value in named.items():
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write(body)

    return answer


def publishes(*jwks: dict[str, Any]) -> Answer:
    """A key set."""
    return answers(200, json.dumps({"keys": list(jwks)}).encode(), Content_Type="application/json")


def in_chunks(body: bytes, size: int) -> Answer:
    """The body in chunks, without a length."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Transfer-Encoding", "chunked")
        request.end_headers()
        for start in range(0, len(body), size):
            piece = body[start : start + size]
            request.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
        request.wfile.write(b"0\r\n\r\n")

    return answer


def never_ends(body: bytes, pause_s: float) -> Answer:
    """A body sent byte by byte, without end."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.end_headers()
        try:
            while True:
                request.wfile.write(body)
                time.sleep(pause_s)
        except OSError:
            pass  # the client has hung up

    return answer


class KeyServer:
    """Serves `answer`, and counts requests."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.asked: list[str] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                server.asked.append(self.path)
                server.answer(self)
                self.close_connection = True

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/.well-known/jwks.json"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
