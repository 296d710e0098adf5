"""A running stand-in, as tests hold it: its URL, the real SDK and the control API."""

import socket
import threading
from typing import Any, Self

import razorpay
import requests
import uvicorn

from sandbox.gateway.connections import DroppableProtocol
from sandbox.gateway.server import Settings, application
from tests.gateway.receiver import wait_until

# Twice its graceful shutdown, and some.
_STOPS_WITHIN_S = 5.0


class Gateway:
    """The stand-in on a free port of 127.0.0.1, on a thread of its own."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        # Named TCP, so that asyncio turns Nagle's algorithm off: 40 ms an answer otherwise.
        self._socket = socket.socket(proto=socket.IPPROTO_TCP)
        self._socket.bind(("127.0.0.1", 0))
        config = uvicorn.Config(
            application(settings),
            http=DroppableProtocol,
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=2,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._socket]}, daemon=True)
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self.sdk = self.client(settings.key_id, settings.key_secret)
        self.http = requests.Session()

    def client(self, key_id: str, key_secret: str) -> Any:
        return razorpay.Client(auth=(key_id, key_secret), base_url=self.url)

    def __enter__(self) -> Self:
        self._thread.start()
        wait_until(lambda: self._server.started, 5, "the stand-in to start")
        return self

    def __exit__(self, *_: object) -> None:
        self.sdk.session.close()
        self.http.close()
        self._server.should_exit = True
        self._thread.join(_STOPS_WITHIN_S)
        if self._thread.is_alive():
            # Once, on a busy machine, it did not stop. The thread is a daemon, so it cannot outlive the tests; that the
            # stand-in itself stops is tested where it is a process.
            self._server.force_exit = True
            self._thread.join(_STOPS_WITHIN_S)
        self._socket.close()

    def order(self, **fields: Any) -> Any:
        """A new order over 500.00, captured automatically unless told otherwise."""
        return self.sdk.order.create({"amount": 50000, "currency": "INR", "payment": {"capture": "automatic"}} | fields)

    def control(self, method: str, path: str, document: Any = None, **query: str) -> Any:
        answer = self.http.request(method, f"{self.url}/_control/{path}", json=document, params=query, timeout=10)
        answer.raise_for_status()
        return answer.json()

    def try_to_pay(self, order_id: str, **how: Any) -> requests.Response:
        return self.http.post(f"{self.url}/_control/pay", json={"order_id": order_id, **how}, timeout=10)

    def pay(self, order_id: str, **how: Any) -> dict[str, str]:
        answer = self.try_to_pay(order_id, **how)
        assert answer.status_code == 200, answer.text
        fields: dict[str, str] = answer.json()
        return fields

    def events(self, **query: str) -> list[dict[str, Any]]:
        entries: list[dict[str, Any]] = self.control("GET", "events", bodies="1", **query)["events"]
        return entries
