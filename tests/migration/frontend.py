"""The calls of the platform's frontend to the old service, as its README documents them. Only the address changes."""

from dataclasses import dataclass
from typing import Any

import requests


@dataclass(frozen=True)
class Frontend:
    """One user's page."""

    address: str
    token: str

    def create_order(self, application_id: int) -> tuple[int, Any]:
        """The documented example, for one of the client's applications."""
        offer = {
            "job_id": 1,
            "application_id": application_id,
            "client_id": 5,
            "freelancer_id": 9,
            "amount": 5000,
        }
        return self._post("create-order", offer)

    def verify(self, checkout: dict[str, str]) -> tuple[int, Any]:
        """What Checkout passed to the page."""
        return self._post("verify", checkout)

    def _post(self, call: str, body: dict[str, Any]) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        answer = requests.post(f"{self.address}/api/payments/{call}/", json=body, headers=headers, timeout=30)
        return answer.status_code, answer.json()
