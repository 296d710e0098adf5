import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox.gateway.server import Settings
from tests.gateway.gateway import Gateway
from tests.gateway.receiver import Receiver

SAMPLES = Path(__file__).parent / "samples"


@pytest.fixture(scope="session")
def shared_gateway() -> Iterator[Gateway]:
    with Gateway(Settings(ladder_scale=0.01)) as running:
        yield running


@pytest.fixture
def gateway(shared_gateway: Gateway) -> Gateway:
    """A stand-in with an empty account and without a webhook."""
    shared_gateway.control("PUT", "webhook", {"url": None, "secret": shared_gateway.settings.webhook_secret})
    shared_gateway.control("POST", "reset")
    return shared_gateway


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as listening:
        yield listening


@pytest.fixture(scope="session")
def sample() -> Callable[[str], Any]:
    """The body of a sample, by file name."""

    def read(name: str) -> Any:
        return json.loads((SAMPLES / f"{name}.json").read_text(encoding="utf-8"))["body"]

    return read
