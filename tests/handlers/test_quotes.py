"""The platform's price, on the real handler: checked if it is sent, required where a stage says so, kept nowhere."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest

from sandbox import development, events
from tests.handlers.conftest import NOW
from tests.handlers.service import Answer, Service
from tests.handlers.test_rotation import put
from tests.signers import Signer, signer

ORDER_FIELDS = ("job_id", "application_id", "client_id", "freelancer_id", "amount", "currency")
NEW_SECRET = "gX2pWn7vKd9sTz4bQm6rYc1hLf8jUe3a"


def quote(*, at: int = NOW, **changes: Any) -> str:
    """The platform's quote for the story's order, or another one."""
    return development.quote({**events.OFFER, **changes}, now=datetime.fromtimestamp(at, UTC))


def claims(**changes: Any) -> dict[str, Any]:
    """What such a quote says; a change to None leaves a claim out."""
    said = jwt.decode(quote(), options={"verify_signature": False})
    return {name: value for name, value in {**said, **changes}.items() if value is not None}


def message(answer: Answer) -> str:
    """What is wrong with the quote."""
    assert (answer.status, answer.code) == (400, "invalid_request"), answer.text
    (error,) = answer.body["errors"]
    assert error["field"] == "quote"
    said: str = error["message"]
    return said


@pytest.fixture
def quoting(service: Service, monkeypatch: pytest.MonkeyPatch) -> Service:
    """A stage that takes quotes."""
    monkeypatch.setenv("QUOTE_SECRET", development.QUOTE_SECRET)
    return service


@pytest.fixture
def requiring(quoting: Service, monkeypatch: pytest.MonkeyPatch) -> Service:
    """A stage that takes no order without one."""
    monkeypatch.setenv("QUOTE_REQUIRED", "true")
    return quoting


# --- the published contract: optional ---


def test_an_order_needs_no_quote_unless_the_stage_requires_it(quoting: Service) -> None:
    assert quoting.create_order().status == 201


def test_an_order_with_its_quote_is_created_like_any_other(quoting: Service) -> None:
    without = quoting.create_order(application_id=13).body
    answer = quoting.create_order(quote=quote())
    assert answer.status == 201
    assert answer.body.keys() == without.keys()


@pytest.mark.parametrize("amount", [499.5, "499.5", "499.50"])
def test_the_amount_of_a_quote_may_be_written_differently_from_that_of_the_order(
    requiring: Service, amount: object
) -> None:
    assert requiring.create_order(amount=amount, quote=quote(amount="499.50")).status == 201


@pytest.mark.parametrize("field", ORDER_FIELDS)
def test_a_quote_that_differs_in_one_field_is_refused_before_anything_is_asked(quoting: Service, field: str) -> None:
    other: dict[str, Any] = {"amount": "499.49", "currency": "USD"}
    answer = quoting.create_order(quote=quote(**{field: other.get(field, 99)}))
    assert message(answer) == f"does not match the order in {field}: ask the platform for a new one"
    assert quoting.outside_calls() == []


def test_an_open_order_is_handed_out_again_only_for_a_quote_that_matches_the_request(requiring: Service) -> None:
    order = requiring.create_order(quote=quote())
    again = requiring.create_order(quote=quote(at=NOW - 60))
    assert (order.status, again.status) == (201, 200)
    requiring.forget()
    assert message(requiring.create_order(quote=quote(amount="1.00"))).startswith("does not match the order in amount")
    assert message(requiring.create_order()) == "is required: ask the platform for one"
    assert requiring.outside_calls() == []


def test_a_price_of_the_browsers_own_is_refused_with_and_without_the_platforms_quote(requiring: Service) -> None:
    assert message(requiring.create_order(amount="1.00", quote=quote())).startswith(
        "does not match the order in amount"
    )
    assert message(requiring.create_order(amount="1.00")) == "is required: ask the platform for one"


def test_an_expired_quote_says_so_and_one_more_from_the_platform_is_accepted(quoting: Service) -> None:
    old = quote()
    quoting.clock.now += 10 * 60 + 29
    assert quoting.create_order(quote=old).status == 201
    quoting.clock.now += 1
    assert message(quoting.create_order(quote=old)) == "has expired: ask the platform for a new one"
    assert quoting.create_order(quote=quote(at=quoting.clock.now)).status == 200


def test_the_caller_is_judged_before_the_quote(quoting: Service) -> None:
    event = events.from_frontend("/api/payments/create-order", {**events.OFFER, "quote": "a.b.c"}, user_id=43)
    assert quoting.invoke(event).code == "forbidden"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "must be a string, not null"),
        (5, "must be a string, not an integer"),
        ({}, "must be a string, not an object"),
        ("", "must be a signed JWT: three parts in base64url, separated by dots"),
        ("a.b.", "must be a signed JWT: three parts in base64url, separated by dots"),
        ("a.b.c ", "must be a signed JWT: three parts in base64url, separated by dots"),
        ("a" * 5000, "must have at most 4096 characters"),
        ("a.b.c", "is not a valid quote: ask the platform for a new one"),
    ],
)
def test_what_is_no_quote_is_named_in_one_message(quoting: Service, value: object, said: str) -> None:
    assert message(quoting.create_order(quote=value)) == said


# --- settings ---


def test_a_quote_that_cannot_be_checked_is_refused_and_the_log_says_why(service: Service) -> None:
    answer = service.create_order(quote=quote())
    assert message(answer) == "is not accepted, because quotes are not configured"
    assert "quotes are not configured" in service.log()[-1]["why"]
    assert service.outside_calls() == []


def test_a_stage_that_requires_quotes_and_cannot_check_them_takes_no_order(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUOTE_REQUIRED", "true")
    answer = service.create_order()
    assert (answer.status, answer.code) == (500, "internal_error")
    assert service.log()[-1]["problems"] == ["QUOTE_SECRET is not set"]
    assert "ConfigurationErrors" in service.metrics()


@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
def test_a_public_key_checks_quotes_as_well(service: Service, monkeypatch: pytest.MonkeyPatch, algorithm: str) -> None:
    monkeypatch.setenv("QUOTE_ALGORITHM", algorithm)
    monkeypatch.setenv("QUOTE_PUBLIC_KEY", signer(algorithm).pem)
    monkeypatch.setenv("QUOTE_REQUIRED", "true")
    assert service.create_order(quote=signer(algorithm).token(claims())).status == 201
    for forged in (
        signer(algorithm, 2).token(claims()),
        # The public key as a shared one, which everyone has.
        Signer("HS256", "x").token(claims()),
        quote(),
    ):
        assert message(service.create_order(quote=forged)).startswith("is not a valid quote")


@pytest.mark.parametrize("algorithm", ["HS256", "RS256", "ES256"])
def test_the_log_says_why_a_quote_was_refused_and_shows_nothing_of_it(quoting: Service, algorithm: str) -> None:
    forged = signer(algorithm, 2).token(claims())
    message(quoting.create_order(quote=forged))
    (line,) = quoting.log()
    assert line["why"].startswith("quote is not a valid quote")
    assert line["why"].endswith("(InvalidSignatureError)" if algorithm == "HS256" else "that is configured)")
    assert not [part for part in forged.split(".") if part in quoting.output()]


# --- rotation ---


@pytest.fixture
def quote_secret(quoting: Service, secrets: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Secrets Manager with create_order's secrets, that of quotes among them."""
    assert quoting
    monkeypatch.delenv("QUOTE_SECRET")
    secrets.create_secret(Name="quotes", SecretString=json.dumps({"QUOTE_SECRET": development.QUOTE_SECRET}))
    monkeypatch.setenv("SECRET_IDS", "api,jwt,quotes")
    return secrets


def test_quotes_of_a_new_key_are_good_at_once_and_those_of_the_old_one_no_longer(
    quoting: Service, quote_secret: Any
) -> None:
    assert quoting.create_order(quote=quote()).status == 201
    put(quote_secret, "quotes", QUOTE_SECRET=NEW_SECRET)
    assert quoting.create_order(quote=jwt.encode(claims(), NEW_SECRET)).status == 200
    # A key is changed because it may have leaked: no second chance for what it signed.
    assert message(quoting.create_order(quote=quote())).startswith("is not a valid quote")


def test_forged_quotes_make_at_most_one_extra_reading_a_minute(quoting: Service, quote_secret: Any) -> None:
    assert quote_secret
    assert quoting.create_order(quote=quote()).status == 201
    quoting.forget()
    for _ in range(60):
        forged = jwt.encode(claims(iat=quoting.clock.now, exp=quoting.clock.now + 60), NEW_SECRET)
        assert message(quoting.create_order(quote=forged)).startswith("is not a valid quote")
        quoting.clock.now += 5
    assert set(quoting.outside_calls()) == {"GetSecretValue"}
    # Three secrets, read again by age and by forgeries, five minutes long.
    assert quoting.cloud.requests.count("GetSecretValue") <= 3 * 2 * 6


# --- secrecy ---


def test_a_quote_is_neither_stored_nor_logged_nor_sent_on(requiring: Service) -> None:
    sent = quote()
    assert requiring.create_order(quote=sent).status == 201
    requiring.replay("webhook-payment-captured")
    everything = json.dumps(
        [requiring.cloud.items(), requiring.cloud.details(), [asked.document for asked in requiring.razorpay.asked]],
        default=str,
    )
    for part in sent.split("."):
        assert part not in everything + requiring.output()
    assert "quote" not in everything


# --- one kind of token in place of the other ---


def test_a_login_token_is_no_quote_and_a_quote_no_login_token_even_with_one_key(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The worst case: one key pair for both, and the user in the claim that a quote has as well.
    pair = signer("RS256")
    for name in ("JWT", "QUOTE"):
        monkeypatch.setenv(f"{name}_ALGORITHM", "RS256")
        monkeypatch.setenv(f"{name}_PUBLIC_KEY", pair.pem)
    monkeypatch.setenv("JWT_USER_CLAIM", "sub")
    monkeypatch.delenv("JWT_SECRET")
    later = int((datetime.now(UTC) + timedelta(minutes=5)).timestamp())
    login = {"sub": "42", "iat": NOW, "exp": later}
    event = events.from_frontend("/api/payments/create-order", {**events.OFFER, "quote": pair.token(claims())})

    def with_token(**said: Any) -> Answer:
        return service.invoke({**event, "headers": {**event["headers"], "Authorization": f"Bearer {pair.token(said)}"}})

    assert with_token(**login).status == 201
    assert with_token(**claims(exp=later)).code == "unauthenticated"
    assert with_token(**login, aud=["payments", "payment-quote"]).code == "unauthenticated"
    event = events.from_frontend("/api/payments/create-order", {**events.OFFER, "quote": pair.token(login)})
    assert message(with_token(**login)).startswith("is not a valid quote")
