import json
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from typing import Any

import boto3
import pytest

from payments.wiring import aws, callers, create_order
from payments.wiring.gateway import gateway
from sandbox import development
from sandbox.events import ORDERED_AT
from tests.handlers.cloud import REGION, Cloud, running_cloud
from tests.handlers.razorpay import Razorpay
from tests.handlers.service import ENVIRONMENT, Clock, Service
from tests.secrecy.watch import pytest_pyfunc_call

__all__ = ["pytest_pyfunc_call"]

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
    """The functions, newly started, with an empty table."""
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("RAZORPAY_API_URL", razorpay.url)
    # An instance reads its variables once; a test that changes one simulates an instance started with it.
    monkeypatch.setattr(aws, "_environment", aws._environment.__wrapped__)  # noqa: SLF001 - there is no other way
    start_afresh()
    return Service(cloud, razorpay, clock, capsys)


@pytest.fixture
def ordered(service: Service) -> Service:
    """The story of `events/` after its first step: there is an order to pay."""
    assert service.create_order().status == 201
    service.forget()
    return service


@cache
def secrets_manager() -> Any:
    """A client for the test itself; creating one takes longer than most tests."""
    return boto3.client("secretsmanager", region_name=REGION)


@pytest.fixture
def secrets(service: Service, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Secrets Manager with the template's three secrets, instead of plain variables."""
    client = secrets_manager()
    groups = {
        "api": {name: ENVIRONMENT[name] for name in ("RAZORPAY_KEY_ID", "RAZORPAY_KEY_SECRET")},
        "jwt": {"JWT_SECRET": development.JWT_SECRET},
        "webhook": {"RAZORPAY_WEBHOOK_SECRET": development.RAZORPAY_WEBHOOK_SECRET},
    }
    for name, content in groups.items():
        client.create_secret(Name=name, SecretString=json.dumps(content))
        for setting in content:
            monkeypatch.delenv(setting)
    monkeypatch.delenv("RAZORPAY_WEBHOOK_SECRET_PREVIOUS")
    monkeypatch.setenv("SECRET_IDS", "api, jwt,webhook")

    class TheSamePresent:
        """The `datetime` that Powertools' cache uses."""

        @staticmethod
        def now() -> datetime:
            return datetime.fromtimestamp(clock.now, UTC)

    monkeypatch.setattr("aws_lambda_powertools.utilities.parameters.base.datetime", TheSamePresent)
    start_afresh()
    service.forget()
    return client


def start_afresh() -> None:
    """Clears an instance's state between requests; clients stay, because creating one is slow."""
    for kept in (aws._secrets, gateway, callers._key_set, create_order._payment_ids):  # noqa: SLF001 - there is no other way to end an instance
        kept.cache_clear()
