"""If any one dependency hangs, every function responds in time (I18). Uses real sockets: only they can hang."""

import socket
import time
from collections.abc import Callable, Iterator
from math import ceil
from runpy import run_path
from typing import Any

import pytest

from payments.adapters import gateway
from payments.core.sweeping import PASSES
from payments.wiring import aws, lanes, reconcile, sweep, watch
from tests.handlers.cloud import is_unreachable
from tests.handlers.service import LANES, ROOT, RUN_S, Service, committed
from tests.handlers.template import resources
from tests.signers import claims, signer

# How long a hanging call takes, in seconds: its attempts, and botocore's longest pause between them.
_PAUSE_S = 1.0
TABLE_S = 2 * lanes.TABLE_READ_TIMEOUT_S + _PAUSE_S
BUS_S = 2 * aws._BUS_TIMEOUTS["read_timeout"] + _PAUSE_S  # noqa: SLF001 - nothing else shows it
RAZORPAY_S = gateway.CONNECT_TIMEOUT_S + gateway.READ_TIMEOUT_S


@pytest.fixture
def black_hole() -> Iterator[str]:
    """Accepts connections and never responds."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(64)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


@pytest.fixture
def new_clients(ordered: Service, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:  # noqa: ARG001 - first
    """New clients, which read AWS's endpoint again and really pause between attempts. The order exists already."""
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
    """Call it to make Secrets Manager hang; secrets read before stay cached."""
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
    """The status and the seconds it took."""
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
    # The worst case: its secret's minute is over, and no cached secret matches.
    assert ordered.replay("webhook-payment-authorized").status == 200
    hanging_secrets()
    ordered.clock.now += 61
    status, seconds = took(ordered, committed("webhook-forged"))
    assert status == 400
    assert seconds < 4
    # Within the minute it is read again only for the forgery.
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
    # Until the next fetch, nobody waits for it.
    assert took(ordered, event)[0] == 503
    assert ordered.outside_calls() == []


def test_razorpay_and_the_tables_calls_together_fit_into_create_orders_time() -> None:
    razorpay = gateway.CONNECT_TIMEOUT_S + gateway.READ_TIMEOUT_S
    assert razorpay + 4 < resources()["CreateOrderFunction"]["Properties"]["Timeout"] < 20


def test_a_webhook_that_must_first_read_its_secret_still_answers_before_lambda_ends_it() -> None:
    tries, pause_s = 2, 1.0
    hanging = tries * aws._SECRETS_TIMEOUTS["read_timeout"] + (tries - 1) * pause_s  # noqa: SLF001 - nothing else shows it
    assert hanging + 0.5 < resources()["WebhookFunction"]["Properties"]["Timeout"]


# --- the scheduled lanes ---


@pytest.mark.parametrize(("function", "event"), LANES, ids=str)
@pytest.mark.usefixtures("new_clients")
def test_a_lane_fails_in_time_as_a_whole_when_the_table_hangs(
    ordered: Service, black_hole: str, monkeypatch: pytest.MonkeyPatch, function: str, event: dict[str, Any]
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", black_hole)
    started = time.monotonic()
    with pytest.raises(Exception, match=r"\ATableUnavailable\Z"):
        ordered.run(function, event)
    assert time.monotonic() - started < TABLE_S + 1
    assert ordered.razorpay.asked == []


@pytest.mark.usefixtures("new_clients")
def test_the_outbox_puts_off_in_time_what_a_hanging_bus_does_not_take(
    ordered: Service, black_hole: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ordered.cloud.fail_always("PutEvents", is_unreachable)
    assert ordered.replay("webhook-payment-captured").status == 503
    ordered.cloud.heal()
    ordered.clock.now += 60
    with monkeypatch.context() as hanging:
        hanging.setenv("AWS_ENDPOINT_URL_EVENTBRIDGE", black_hole)
        aws._client.cache_clear()  # noqa: SLF001 - as above
        started = time.monotonic()
        report = ordered.run("outbox", {})
        assert time.monotonic() - started < 4
    assert (report["looked_at"], report["failed"]) == (1, 1)
    aws._client.cache_clear()  # noqa: SLF001 - as above
    ordered.clock.now += 60
    assert ordered.run("outbox", {})["outcomes"] == {"published": 1}
    assert ordered.cloud.types() == ["payment.paid"]


def test_watch_puts_off_in_time_what_a_hanging_razorpay_does_not_tell(
    ordered: Service, black_hole: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ordered.replay("verify").status == 200
    ordered.clock.now += 60
    assert ordered.run("outbox", {})["looked_at"] == 1
    ordered.clock.now += 60
    monkeypatch.setenv("RAZORPAY_API_URL", black_hole)
    started = time.monotonic()
    report = ordered.run("reconcile", {"lane": "watch"})
    assert time.monotonic() - started < RAZORPAY_S + 1
    assert (report["looked_at"], report["failed"]) == (1, 1)


def test_a_sweep_ends_and_moves_nothing_when_razorpay_hangs(
    ordered: Service, black_hole: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Shorter than in production: each worker waits for every pass that it picks up.
    monkeypatch.setattr(gateway, "READ_TIMEOUT_S", 0.5)
    before = ordered.cloud.items()
    monkeypatch.setenv("RAZORPAY_API_URL", black_hole)
    rounds = ceil(len(PASSES) / reconcile.WORKERS)
    started = time.monotonic()
    assert ordered.run("reconcile", {"lane": "sweep"})["left_over"] is True
    assert time.monotonic() - started < rounds * 0.5 + 3
    assert ordered.cloud.items() == before
    assert rounds * RAZORPAY_S < RUN_S["reconcile"]


@pytest.mark.parametrize("lane", ["watch", "sweep"])
def test_a_lane_fails_in_time_when_secrets_manager_hangs_at_its_start(
    ordered: Service, hanging_secrets: Callable[[], None], monkeypatch: pytest.MonkeyPatch, lane: str
) -> None:
    monkeypatch.setenv("SECRET_IDS", "api")
    hanging_secrets()
    started = time.monotonic()
    with pytest.raises(Exception, match=r"\ASecretsUnavailable\Z"):
        ordered.run("reconcile", {"lane": lane})
    assert time.monotonic() - started < 4


def test_a_lane_keeps_enough_time_for_one_more_whose_calls_hang() -> None:
    outbox = run_path(str(ROOT / "functions/outbox/app.py"))["_TIME_FOR_ONE_MS"] / 1000
    # Read or published, postponed, and the next due record queried.
    assert max(TABLE_S, BUS_S) + 2 * TABLE_S < outbox < RUN_S["outbox"]
    watched, page, entry = (
        kept / 1000
        for kept in (watch._TIME_FOR_ONE_MS, sweep._TIME_FOR_A_PAGE_MS, sweep._TIME_FOR_AN_ENTRY_MS)  # noqa: SLF001 - nothing else shows it
    )
    # Razorpay or the table hangs for the record, then the table for postponing it and for the next due record.
    assert max(TABLE_S, RAZORPAY_S) + 2 * TABLE_S <= watched < RUN_S["reconcile"]
    # A page that Razorpay does not return; an entry that hangs and is set aside; then the run's report.
    assert RAZORPAY_S + TABLE_S < page < RUN_S["reconcile"]
    assert max(TABLE_S, RAZORPAY_S) + 2 * TABLE_S <= entry <= page


def test_each_function_ends_before_whoever_waits_for_it() -> None:
    timeouts = {name: resources()[name]["Properties"]["Timeout"] for name in ("WebhookFunction", "VerifyFunction")}
    assert timeouts["WebhookFunction"] < 5
    assert timeouts["VerifyFunction"] < 10
