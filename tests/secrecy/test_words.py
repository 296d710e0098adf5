"""The search for secrets works: it finds whatever is planted, and names it without showing it."""

import hmac
import json
from hashlib import sha256

import pytest

from sandbox import development, events
from tests.secrecy.words import MARK, SECRETS, found

PLANTED = {
    "a key secret": development.RAZORPAY_KEY_SECRET,
    "a webhook secret": development.RAZORPAY_WEBHOOK_SECRET,
    "the secret of the tokens": development.JWT_SECRET,
    "a canary": f"{MARK}-17",
    "the customer's address": events.CUSTOMER.email,
    "the customer's name": events.CUSTOMER.name,
    "somebody's address": "asha.rao+x@mail.example.co.in",
    "somebody's phone": "+919812345678",
    "a token": events.token(42),
    "a signature": hmac.new(b"k", b"m", sha256).hexdigest(),
    "a signature in capitals": hmac.new(b"k", b"m", sha256).hexdigest().upper(),
    "a header": f"Bearer {'x' * 20}",
    "keys": "Basic cnpwX3Rlc3Q6c2VjcmV0",
    "a private key": "-----BEGIN EC PRIVATE KEY-----",
    "a key of AWS": "AKIAIOSFODNN7EXAMPLE",
    "a stack trace": "Traceback (most recent call last):\n  File",
}


@pytest.mark.parametrize("planted", PLANTED.values(), ids=PLANTED.keys())
@pytest.mark.parametrize("within", ["%s", "why=%s.", '{"why":"%s"}'])
def test_what_is_planted_is_found_and_not_shown(planted: str, within: str) -> None:
    said = found(within % planted)
    assert said
    assert planted not in str(said)


@pytest.mark.parametrize("planted", [events.CUSTOMER.email, events.VPA, "Café", development.JWT_SECRET])
def test_it_is_found_in_json_within_json_too(planted: str) -> None:
    assert found(json.dumps({"Detail": json.dumps({"name": planted})}))


def test_words_of_a_tests_own_are_found() -> None:
    assert found("x hunter2 y") == []
    assert found("x hunter2 y", "hunter2") == ["a word of the test"]


@pytest.mark.parametrize(
    "usual",
    [
        "",
        json.dumps(
            {"order_id": events.ORDER_ID, "payment_id": 1, "request_id": "c6af9ac6-7b61-11e6-9a41-93e8deadbeef"}
        ),
        "urn:payment-service:problem:unauthenticated",
        '{"WWW-Authenticate":"Bearer"}',
        "arn:aws:events:ap-south-1:123456789012:event-bus/payments-test",
    ],
)
def test_what_the_service_says_every_day_is_no_secret(usual: str) -> None:
    assert found(usual) == []


def test_all_development_secrets_are_looked_for() -> None:
    named = {name: value for name, value in vars(development).items() if "SECRET" in name}
    assert set(named.values()) == set(SECRETS)
