from collections.abc import Iterator

import pytest

from payments.wiring import aws, callers, create_order
from payments.wiring.gateway import gateway
from sandbox.events import ORDERED_AT
from tests.handlers.cloud import Cloud, running_cloud
from tests.handlers.razorpay import Razorpay
from tests.handlers.service import ENVIRONMENT, Clock, Service

# Two minutes after the order of `events/`, and a minute after its payment.
NOW = ORDERED_AT + 120


@pytest.fixture(scope="session")
def running_razorpay() -> Iterator[Razorpay]:
    with Razorpay() as razorpay:
        yield razorpay


@pytest.fixture
def razorpay(running_razorpay: Razorpay) -> Razorpay:
    running_razorpay.reset()
    return running_razorpay


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    with running_cloud(monkeypatch) as cloud:
        yield cloud


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock(NOW)
    monkeypatch.setattr(aws, "now", clock)
    return clock


@pytest.fixture
def service(
    cloud: Cloud,
    razorpay: Razorpay,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Service:
    """The three functions, freshly started, with an empty table."""
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("RAZORPAY_API_URL", razorpay.url)
    start_afresh()
    return Service(cloud, razorpay, clock, capsys)


@pytest.fixture
def ordered(service: Service) -> Service:
    """The story of `events/` after its first line: there is an order to pay."""
    assert service.create_order().status == 201
    service.forget()
    return service


def start_afresh() -> None:
    """Forgets what a function instance keeps between requests; clients may stay, making one reads botocore's models."""
    for kept in (aws._secrets, gateway, callers._key_set, create_order._payment_ids):  # noqa: SLF001 - there is no other way to end an instance
        kept.cache_clear()
