"""Token checks with each algorithm and with published keys, on the real handlers."""

from collections.abc import Iterator
from typing import Any

import pytest

from sandbox import events
from tests.handlers.service import CREATE_ORDER, Service
from tests.key_server import KeyServer, answers, publishes
from tests.signers import ALGORITHMS, claims, signer

RSA = signer("RS256")


def with_token(token: str) -> dict[str, Any]:
    event = events.reading(events.ORDER_ID)
    event["headers"]["authorization"] = f"Bearer {token}"
    return event


def good(algorithm: str = "RS256", **header: Any) -> dict[str, Any]:
    return with_token(signer(algorithm).token(claims(), header))


@pytest.fixture
def key_server(ordered: Service, monkeypatch: pytest.MonkeyPatch) -> Iterator[KeyServer]:  # noqa: ARG001 - first
    """The identity service publishes its keys, and the functions are told where."""
    with KeyServer(publishes(RSA.jwk())) as server:
        monkeypatch.delenv("JWT_SECRET", raising=False)
        monkeypatch.setenv("JWT_ALGORITHM", "RS256")
        monkeypatch.setenv("JWT_JWKS_URL", server.url)
        yield server


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_caller_is_known_by_the_configured_algorithm_and_no_other(
    ordered: Service, monkeypatch: pytest.MonkeyPatch, algorithm: str
) -> None:
    monkeypatch.setenv("JWT_ALGORITHM", algorithm)
    if algorithm != "HS256":
        monkeypatch.setenv("JWT_PUBLIC_KEY", signer(algorithm).pem)
    for used in ALGORITHMS:
        ordered.forget()
        answer = ordered.invoke(good(used))
        assert answer.status == (200 if used == algorithm else 401)
        assert ordered.outside_calls() == (["GetItem"] if used == algorithm else [])


def test_published_keys_are_fetched_once_for_all_requests(ordered: Service, key_server: KeyServer) -> None:
    for _ in range(20):
        assert ordered.invoke(good()).status == 200
    placing = events.from_frontend(CREATE_ORDER, events.OFFER)
    placing["headers"]["Authorization"] = good()["headers"]["authorization"]
    assert ordered.invoke(placing).status == 200
    assert len(key_server.asked) == 1


def test_forged_key_ids_are_401_and_reach_nobody_often(ordered: Service, key_server: KeyServer) -> None:
    assert ordered.invoke(good()).status == 200
    ordered.forget()
    for number in range(300):
        answer = ordered.invoke(good(kid=f"forged-{number}"))
        assert (answer.status, answer.code) == (401, "unauthenticated")
        ordered.clock.now += 1
    assert len(key_server.asked) <= 1 + 300 // 30
    assert ordered.outside_calls() == []


def test_a_new_key_is_taken_up_by_the_first_token_it_signed(ordered: Service, key_server: KeyServer) -> None:
    assert ordered.invoke(good()).status == 200
    new = signer("RS256", 2)
    key_server.answer = publishes(RSA.jwk(), new.jwk("key-2"))
    ordered.clock.now += 30
    assert ordered.invoke(with_token(new.token(claims(), {"kid": "key-2"}))).status == 200
    # Only under its own name.
    assert ordered.invoke(with_token(new.token(claims()))).status == 401


def test_an_identity_service_that_is_away_from_the_start_is_503(ordered: Service, key_server: KeyServer) -> None:
    key_server.answer = answers(500, b"")
    answer = ordered.invoke(good())
    assert (answer.status, answer.code) == (503, "temporarily_unavailable")
    assert answer.headers["Retry-After"] == "5"
    assert ordered.metrics() == ["KeySetFailures"]
    assert [line["stale"] for line in ordered.log()] == ["key set: answered 500"]
    assert ordered.outside_calls() == []
    key_server.answer = publishes(RSA.jwk())
    ordered.clock.now += 5
    assert ordered.invoke(good()).status == 200


def test_an_identity_service_that_goes_away_is_outlived(ordered: Service, key_server: KeyServer) -> None:
    assert ordered.invoke(good()).status == 200
    key_server.answer = answers(500, b"")
    ordered.forget()
    ordered.clock.now += 600
    assert ordered.invoke(good()).status == 200
    assert ordered.metrics() == ["KeySetFailures"]
    ordered.clock.now += 3000
    assert ordered.invoke(good()).status == 503


def test_a_token_of_published_keys_reads_no_secret_anew(
    ordered: Service, secrets: Any, key_server: KeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert secrets
    assert key_server
    monkeypatch.setenv("SECRET_IDS", "api")
    assert ordered.invoke(good()).status == 200
    ordered.forget()
    for _ in range(10):
        assert ordered.invoke(with_token(signer("RS256", 2).token(claims()))).status == 401
        ordered.clock.now += 5
    assert ordered.cloud.requests == []


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"JWT_ALGORITHM": "RS256"}, {"JWT_PUBLIC_KEY"}),
        ({"JWT_JWKS_URL": "https://id.example.com/jwks.json"}, {"JWT_JWKS_URL"}),
        ({"JWT_ALGORITHM": "RS256", "JWT_JWKS_URL": "http://id.example.com/jwks.json"}, {"JWT_JWKS_URL"}),
        ({"JWT_SECRET": RSA.pem}, {"JWT_SECRET"}),
        ({"JWT_SECRET": "changeme-changeme-changeme-changeme"}, {"JWT_SECRET"}),
        ({"STAGE": "staging"}, {"JWT_SECRET", "RAZORPAY_KEY_SECRET"}),
    ],
)
def test_settings_that_let_the_wrong_ones_in_start_nothing(
    ordered: Service, monkeypatch: pytest.MonkeyPatch, changes: dict[str, str], named: set[str]
) -> None:
    for name, value in changes.items():
        monkeypatch.setenv(name, value)
    answer = ordered.invoke(events.reading(events.ORDER_ID))
    assert (answer.status, answer.code) == (500, "internal_error")
    (line,) = ordered.log()
    assert {problem.partition(" ")[0] for problem in line["problems"]} == named
    assert ordered.metrics() == ["ConfigurationErrors"]
    assert ordered.outside_calls() == []
    assert not [value for value in changes.values() if len(value) > 20 and value in ordered.output()]
