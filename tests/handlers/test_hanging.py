"""With any one dependency hanging, every function answers in time (I18). Real sockets: only they can hang."""

import socket
import time
from collections.abc import Callable, Iterator
from runpy import run_path
from typing import Any

import pytest

from payments.adapters import gateway
from payments.wiring import aws, reconcile
from tests.handlers.service import ROOT, Service, committed
from tests.handlers.template import resources
from tests.signers import claims, signer


@pytest.fixture
def black_hole() -> Iterator[str]:
    """Takes connections and never says a word."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(64)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


@pytest.fixture
def new_clients(ordered: Service, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:  # noqa: ARG001 - first
    """Clients that look up anew where AWS is, and really pause between tries. The order is made by the old ones."""
    monkeypatch.setattr("botocore.endpoint.time", time)
    aws._client.cache_clear()  # noqa: SLF001 - there is no other way to end an instance
    yield
    aws._client.cache_clear()  # noqa: SLF001 - as above


@pytest.mark.parametrize(
    ("dependency", "name", "within"),
    [
        ("DYNAMODB", "webhook-payment-captured", 4),
        ("EVENTBRIDGE", "webhook-payment-captured", 4),
        ("DYNAMODB", "verify", 9),
        ("DYNAMODB", "create-order", 19),
    ],
)
@pytest.mark.usefixtures("new_clients")
def test_an_answer_comes_in_time_whatever_hangs(  # noqa: PLR0913 - fixtures and cases
    ordered: Service, black_hole: str, monkeypatch: pytest.MonkeyPatch, *, dependency: str, name: str, within: float
) -> None:
    monkeypatch.setenv(f"AWS_ENDPOINT_URL_{dependency}", black_hole)
    started = time.monotonic()
    answer = ordered.replay(name)
    took = time.monotonic() - started
    assert (answer.status, answer.code) == (503, "temporarily_unavailable")
    assert took < within


@pytest.fixture
def hanging_secrets(
    ordered: Service,  # noqa: ARG001 - first
    secrets: Any,  # noqa: ARG001 - as above
    black_hole: str,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Callable[[], None]]:
    """Call it, and Secrets Manager hangs from then on; what was read before is known."""
    monkeypatch.setenv("SECRET_IDS", "webhook")
    monkeypatch.setattr("botocore.endpoint.time", time)

    def hang() -> None:
        known = aws._secrets()  # noqa: SLF001 - there is no other way to what an instance knows
        monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", black_hole)
        aws._client.cache_clear()  # noqa: SLF001 - as above
        for stage, attempts in (("AWSCURRENT", 2), ("AWSPREVIOUS", 1)):
            client = aws._client("secretsmanager", attempts=attempts, **aws._SECRETS_TIMEOUTS)  # noqa: SLF001 - as above
            known._providers[stage].client = client  # type: ignore[index]  # noqa: SLF001 - as above

    yield hang
    aws._client.cache_clear()  # noqa: SLF001 - as above


def took(service: Service, event: dict[str, Any]) -> tuple[int, float]:
    """The status and the seconds until it was there."""
    started = time.monotonic()
    status = service.invoke(event).status
    return status, time.monotonic() - started


def test_a_webhook_is_answered_in_time_when_secrets_manager_hangs_at_its_start(
    ordered: Service, hanging_secrets: Callable[[], None]
) -> None:
    hanging_secrets()
    status, seconds = took(ordered, committed("webhook-payment-captured"))
    assert status == 503
    assert seconds < 4


def test_a_webhook_is_taken_in_time_when_secrets_manager_hangs_later(
    ordered: Service, hanging_secrets: Callable[[], None]
) -> None:
    assert ordered.replay("webhook-payment-authorized").status == 200
    hanging_secrets()
    ordered.clock.now += 61
    status, seconds = took(ordered, committed("webhook-payment-captured"))
    assert status == 200
    assert seconds < 4


def test_a_forged_webhook_is_refused_in_time_when_secrets_manager_hangs(
    ordered: Service, hanging_secrets: Callable[[], None]
) -> None:
    # The worst there is: its secret's minute is over, and no known secret fits.
    assert ordered.replay("webhook-payment-authorized").status == 200
    hanging_secrets()
    ordered.clock.now += 61
    status, seconds = took(ordered, committed("webhook-forged"))
    assert status == 400
    assert seconds < 4
    # Within the minute it is read anew for the forgery alone.
    ordered.clock.now += 61
    status, seconds = took(ordered, committed("webhook-forged"))
    assert status == 400
    assert seconds < 4


def test_verify_is_answered_in_time_when_the_identity_service_hangs(
    ordered: Service, black_hole: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JWT_ALGORITHM", "RS256")
    monkeypatch.setenv("JWT_JWKS_URL", f"{black_hole}/jwks.json")
    event = committed("get")
    event["headers"]["authorization"] = f"Bearer {signer('RS256').token(claims())}"
    started = time.monotonic()
    answer = ordered.invoke(event)
    assert (answer.status, answer.code) == (503, "temporarily_unavailable")
    assert answer.headers["Retry-After"]
    assert time.monotonic() - started < 9
    # Until it is asked again, nobody waits for it.
    assert took(ordered, event)[0] == 503
    assert ordered.outside_calls() == []


def test_razorpay_and_the_tables_calls_together_fit_into_create_orders_time() -> None:
    razorpay = gateway.CONNECT_TIMEOUT_S + gateway.READ_TIMEOUT_S
    assert razorpay + 4 < resources()["CreateOrderFunction"]["Properties"]["Timeout"] < 20


def test_a_webhook_that_must_first_read_its_secret_still_answers_before_lambda_ends_it() -> None:
    tries, pause_s = 2, 1.0
    hanging = tries * aws._SECRETS_TIMEOUTS["read_timeout"] + (tries - 1) * pause_s  # noqa: SLF001 - nothing else shows it
    assert hanging + 0.5 < resources()["WebhookFunction"]["Properties"]["Timeout"]


def test_reconcile_keeps_enough_time_for_a_record_whose_calls_hang() -> None:
    tries, pause_s = 2, 1.0
    table = tries * reconcile.TABLE_READ_TIMEOUT_S + (tries - 1) * pause_s
    razorpay = gateway.CONNECT_TIMEOUT_S + gateway.READ_TIMEOUT_S
    kept_ms = run_path(str(ROOT / "functions/reconcile/app.py"))["_TIME_FOR_ONE_MS"]
    assert table + razorpay < kept_ms / 1000


def test_each_function_ends_before_whoever_waits_for_it() -> None:
    timeouts = {name: resources()[name]["Properties"]["Timeout"] for name in ("WebhookFunction", "VerifyFunction")}
    assert timeouts["WebhookFunction"] < 5
    assert timeouts["VerifyFunction"] < 10
