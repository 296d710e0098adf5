from collections.abc import Iterator
from typing import Any

import pytest
import requests

from payments.wiring import aws
from sandbox.events import ORDERED_AT
from tests.faults.elsewhere import RAZORPAY_URL, Razorpay
from tests.faults.outside import Outside
from tests.handlers.cloud import running_cloud
from tests.handlers.conftest import start_afresh
from tests.handlers.service import ENVIRONMENT, Clock
from tests.runbook.counter import Counter


@pytest.fixture
def counter(monkeypatch: pytest.MonkeyPatch) -> Iterator[Counter]:
    """Everything newly started, with an empty table and an empty account."""
    clock = Clock(ORDERED_AT)
    monkeypatch.setattr(aws, "now", clock)
    monkeypatch.setattr(aws, "_environment", aws._environment.__wrapped__)  # noqa: SLF001 - there is no other way
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("RAZORPAY_API_URL", RAZORPAY_URL)
    razorpay = Razorpay(Outside(), clock)
    network = requests.Session.get_adapter

    def get_adapter(session: requests.Session, url: str) -> Any:
        return razorpay.transport() if url.startswith(RAZORPAY_URL) else network(session, url)

    monkeypatch.setattr(requests.Session, "get_adapter", get_adapter)
    with running_cloud(monkeypatch) as cloud:
        start_afresh()
        yield Counter(cloud, razorpay, clock)
