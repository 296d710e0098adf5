"""Razorpay's API as a script: a real HTTP server on 127.0.0.1 that answers as it is told and keeps what it was sent."""

import base64
import json
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from sandbox import development
from sandbox.events import ORDER_ID

_KEYS = f"{development.RAZORPAY_KEY_ID}:{development.RAZORPAY_KEY_SECRET}"


@dataclass(frozen=True)
class Reply:
    """One answer; `hangs` never gives it."""

    status: int = 200
    body: bytes = b"{}"
    headers: Mapping[str, str] = field(default_factory=dict)
    hangs: bool = False


def refusal(status: int, description: str, **more: str) -> Reply:
    """An error in Razorpay's shape."""
    error = {"code": "BAD_REQUEST_ERROR", "description": description, "source": "business", "metadata": {}, **more}
    return Reply(status, json.dumps({"error": error}).encode())


@dataclass(frozen=True)
class Asked:
    """One request as it came in; header names in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def document(self) -> Any:
        return json.loads(self.body)

    @property
    def keys(self) -> str:
        """`key id:key secret`, from HTTP Basic."""
        return base64.b64decode(self.headers["authorization"].removeprefix("Basic ")).decode()


class Razorpay:
    """Makes every order it is asked for, unless `script` has another reply for it."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.script: deque[Reply] = deque()
        self.keys = _KEYS
        self._made = 0
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def reset(self) -> None:
        self.asked.clear()
        self.script.clear()
        self.keys = _KEYS
        self._made = 0

    def order(self, asked: Asked, **changes: Any) -> bytes:
        """The order that is asked for, as documented."""
        wanted = asked.document
        with self._lock:
            self._made += 1
            number = self._made
        entity = {
            "amount": wanted["amount"],
            "amount_due": wanted["amount"],
            "amount_paid": 0,
            "attempts": 0,
            "created_at": 1772357400,
            "currency": wanted["currency"],
            "entity": "order",
            "id": ORDER_ID if number == 1 else f"order_{number:014d}",
            "notes": wanted.get("notes") or [],
            "offer_id": None,
            "receipt": wanted.get("receipt"),
            "status": "created",
        }
        return json.dumps(entity | changes).encode()

    def _reply(self, asked: Asked) -> Reply:
        with self._lock:
            self.asked.append(asked)
            scripted = self.script.popleft() if self.script else None
        if scripted is not None:
            return scripted
        if asked.keys != self.keys:
            return refusal(401, "Authentication failed")
        return Reply(body=self.order(asked))

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        razorpay = self

        class Handler(BaseHTTPRequestHandler):
            # Keeps connections open, unless the client says otherwise.
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                reply = razorpay._reply(Asked(self.command, self.path, headers, body))
                if reply.hangs:
                    razorpay._stopping.wait(20)
                    self.close_connection = True
                    return
                self.send_response(reply.status)
                for name, value in {"Content-Type": "application/json", **reply.headers}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(reply.body)))
                self.end_headers()
                self.wfile.write(reply.body)

            do_GET = answer  # noqa: N815 - http.server's name
            do_POST = answer  # noqa: N815 - as above

            def log_message(self, *_: object) -> None:
                pass

        return Handler
