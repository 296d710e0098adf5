import time
from collections.abc import Iterator

import pytest

from payments.wiring import aws
from sandbox.gateway.server import Settings
from tests.conformance.shop import Shop
from tests.gateway.gateway import Gateway
from tests.handlers.cloud import running_cloud
from tests.handlers.conftest import start_afresh
from tests.handlers.service import ENVIRONMENT, Clock


@pytest.fixture(scope="session")
def running_standin() -> Iterator[Gateway]:
    """One account for all tests; its day of retries lasts 86 seconds."""
    with Gateway(Settings(ladder_scale=0.001)) as running:
        yield running


@pytest.fixture
def standin(running_standin: Gateway) -> Iterator[Gateway]:
    """The stand-in with an empty account, without a webhook until a test listens."""
    nowhere = {"url": None, "secret": running_standin.settings.webhook_secret}
    running_standin.control("PUT", "webhook", nowhere)
    running_standin.control("POST", "reset")
    yield running_standin
    running_standin.control("PUT", "webhook", nowhere)
    running_standin.control("POST", "reset")


@pytest.fixture
def shop(standin: Gateway, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    """The service, freshly started, with Razorpay behind it."""
    clock = Clock(int(time.time()))
    monkeypatch.setattr(aws, "now", clock)
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    with running_cloud(monkeypatch) as cloud:
        monkeypatch.setenv("RAZORPAY_API_URL", standin.url)
        start_afresh()
        shop = Shop(standin, cloud, clock)
        with shop.endpoint:
            yield shop
            # Before the endpoint stops: nothing may arrive during the next test.
            standin.control("PUT", "webhook", {"url": None})
            standin.control("POST", "reset")
