"""A running stand-in for tests: its URL, the real SDK and the control API."""

from typing import Any, Self

import razorpay
import requests

from sandbox.gateway.connections import DroppableProtocol
from sandbox.gateway.server import Settings, application
from tests.serving import Served


class Gateway:
    """The stand-in, served in a separate thread."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._served = Served(application(settings), shuts_down_within_s=2, http=DroppableProtocol)
        self.url = self._served.url
        self.sdk = self.client(settings.key_id, settings.key_secret)
        self.http = requests.Session()

    def client(self, key_id: str, key_secret: str) -> Any:
        return razorpay.Client(auth=(key_id, key_secret), base_url=self.url)

    def __enter__(self) -> Self:
        self._served.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.sdk.session.close()
        self.http.close()
        self._served.stop()

    def order(self, **fields: Any) -> Any:
        """A new order of 500.00, with automatic capture unless requested otherwise."""
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
