"""Rotation of each secret, on the real handlers: no loss, no downtime, and forgeries cost almost nothing.

The steps are those of docs/runbook.md: first the new value in Secrets Manager, then on the other side.
"""

import itertools
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import jwt
import pytest

from payments.adapters import secrets as adapter
from payments.adapters.log import RequestLog
from payments.core.signature import checkout_signature
from payments.wiring import aws
from sandbox import development, events
from tests.handlers.cloud import denies, fails, throttles, times_out
from tests.handlers.razorpay import Reply, refusal
from tests.handlers.service import VERIFY, Answer, Service, forget_loggers, handler

OLD = development.RAZORPAY_WEBHOOK_SECRET
NEW = "hN3sLd6yRf1ZgJ5uKq8w"
NEWER = "b7Vt2mXc9QpEr4Ya6WsD"
MINUTE, HOUR = 60, 3600
# Powertools keeps a value to the end of its minute.
LATER = MINUTE + 1
FETCH = "GetSecretValue"


def put(secrets: Any, name: str, **settings: str) -> None:
    secrets.put_secret_value(SecretId=name, SecretString=json.dumps(settings))


def put_webhook_secret(secrets: Any, value: str) -> None:
    put(secrets, "webhook", RAZORPAY_WEBHOOK_SECRET=value)


def captured(number: int) -> bytes:
    """A webhook about a new order."""
    body = events.webhook_body("payment.captured")
    body = body.replace(events.ORDER_ID.encode(), f"order_{number:014d}".encode())
    return body.replace(events.PAYMENT_ID.encode(), f"pay_{number:014d}".encode())


def deliver(service: Service, body: bytes, secret: str) -> int:
    return service.invoke(events.from_razorpay(body, secret=secret)).status


@pytest.fixture(autouse=True)
def only_the_webhooks_secret(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, secrets: Any) -> None:
    """Each function has its own cached secrets."""
    named = {"webhook": "webhook", "callers": "api,jwt"}[request.param] if hasattr(request, "param") else "webhook"
    monkeypatch.setenv("SECRET_IDS", named)
    assert secrets


calls_of_users = pytest.mark.parametrize("only_the_webhooks_secret", ["callers"], indirect=True)


# --- the webhook's secret ---


@dataclass
class Razorpay:
    """Sends events, signs each once with the current secret, and resends refused ones with the same signature."""

    service: Service
    instances: list[Any]
    """One `Secrets` per warm instance of the function; any instance takes the next delivery."""
    use: Callable[[Any], None]
    secret: str = OLD
    waiting: list[tuple[int, int, str]] = field(default_factory=list)
    """When to send it (again), the event's number, and its secret."""
    answers: list[tuple[int, int, str, int]] = field(default_factory=list)
    """Time, event, secret and response of each delivery."""
    luck: random.Random = field(default_factory=lambda: random.Random(11))  # noqa: S311 - to be drawn again
    _sent: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def happen(self) -> None:
        """Adds an event; one delivery in four is lost on the way, and is repeated within a day."""
        now = self.service.clock.now
        delay = self.luck.choice([MINUTE, HOUR, 10 * HOUR, 23 * HOUR]) if self.luck.random() < 0.25 else 0
        self.waiting.append((now + delay, next(self._sent), self.secret))

    def send(self) -> None:
        """Everything that is due now."""
        now = self.service.clock.now
        due = [one for one in self.waiting if one[0] <= now]
        self.waiting = [one for one in self.waiting if one[0] > now]
        for _, number, secret in due:
            self.use(self.luck.choice(self.instances))
            status = deliver(self.service, captured(number), secret)
            self.answers.append((now, number, secret, status))
            if status != 200:
                self.waiting.append((now + MINUTE, number, secret))

    def send_the_rest(self) -> None:
        """The days after."""
        while self.waiting:
            clock = self.service.clock
            clock.now = max(clock.now, min(when for when, _, _ in self.waiting))
            self.send()

    def taken(self) -> set[int]:
        return {number for _, number, _, status in self.answers if status == 200}

    def refused(self) -> list[tuple[int, int, str, int]]:
        return [answer for answer in self.answers if answer[3] != 200]


@pytest.fixture
def razorpay_sends(service: Service, secrets: Any, monkeypatch: pytest.MonkeyPatch) -> Razorpay:  # noqa: ARG001 - first
    make = aws._secrets.__wrapped__  # noqa: SLF001 - an instance's own
    current: list[Any] = []

    def use(instance: Any) -> None:
        current[:] = [instance]

    monkeypatch.setattr(aws, "_secrets", lambda: current[0])
    return Razorpay(service, [make() for _ in range(3)], use)


def pass_time(razorpay: Razorpay, seconds: int, *, every: int, meanwhile: Callable[[], object] = lambda: None) -> None:
    for _ in range(0, seconds, every):
        razorpay.happen()
        meanwhile()
        razorpay.send()
        razorpay.service.clock.now += every


@pytest.mark.parametrize("gap_s", [0, 10, 20 * MINUTE, 5 * HOUR])
def test_a_rotation_refuses_and_loses_not_one_webhook(
    service: Service, secrets: Any, razorpay_sends: Razorpay, gap_s: int
) -> None:
    pass_time(razorpay_sends, 5 * MINUTE, every=10)
    put_webhook_secret(secrets, NEW)
    pass_time(razorpay_sends, gap_s, every=max(10, gap_s // 40))
    razorpay_sends.secret = NEW
    pass_time(razorpay_sends, 5 * MINUTE, every=10)
    pass_time(razorpay_sends, 24 * HOUR, every=20 * MINUTE)
    razorpay_sends.send_the_rest()

    assert not razorpay_sends.refused()
    signed = {secret for _, _, secret, _ in razorpay_sends.answers}
    assert signed == {OLD, NEW}
    late = [when for when, _, secret, _ in razorpay_sends.answers if secret == OLD]
    assert max(late) - min(late) > 20 * HOUR, "old signatures came long after the rotation"
    stored = {f"order#order_{number:014d}" for number in razorpay_sends.taken()}
    assert stored <= service.cloud.items().keys()
    assert len(stored) > 100


def test_forgeries_in_the_middle_of_it_delay_a_webhook_by_a_minute_and_lose_none(
    service: Service, secrets: Any, razorpay_sends: Razorpay
) -> None:
    def forge() -> None:
        for instance in razorpay_sends.instances:
            razorpay_sends.use(instance)
            assert deliver(service, captured(99_999), "a-forgers-secret") == 400

    pass_time(razorpay_sends, 2 * MINUTE + 30, every=5, meanwhile=forge)
    put_webhook_secret(secrets, NEW)
    rotated = service.clock.now
    razorpay_sends.secret = NEW  # at once, so that it surprises every instance
    pass_time(razorpay_sends, 10 * MINUTE, every=5, meanwhile=forge)
    razorpay_sends.send_the_rest()

    refused = razorpay_sends.refused()
    assert refused, "otherwise nothing was shown"
    assert all(when - rotated < MINUTE for when, _, _, _ in refused)
    assert {number for _, number, _, _ in razorpay_sends.answers} == razorpay_sends.taken()
    assert "order#order_00000000099999" not in service.cloud.items()


def test_the_other_way_round_webhooks_wait_at_razorpay(service: Service, secrets: Any) -> None:
    assert deliver(service, captured(1), NEW) == 400
    put_webhook_secret(secrets, NEW)
    service.clock.now += LATER
    assert deliver(service, captured(1), NEW) == 200


def test_a_second_rotation_leaves_the_first_secret_behind(service: Service, secrets: Any) -> None:
    put_webhook_secret(secrets, NEW)
    put_webhook_secret(secrets, NEWER)
    assert deliver(service, captured(1), NEWER) == 200
    assert deliver(service, captured(2), NEW) == 200
    assert deliver(service, captured(3), OLD) == 400
    service.clock.now += LATER
    assert deliver(service, captured(3), OLD) == 400


def test_a_leaked_secret_is_good_for_a_minute_after_it_was_taken_away(service: Service, secrets: Any) -> None:
    put_webhook_secret(secrets, NEW)
    assert deliver(service, captured(1), OLD) == 200
    # Storing the new value a second time also makes it the previous version.
    put_webhook_secret(secrets, NEW)
    service.clock.now += LATER
    assert deliver(service, captured(2), OLD) == 400
    assert deliver(service, captured(2), NEW) == 200


def test_both_ways_of_keeping_the_old_secret_work_together(service: Service, secrets: Any) -> None:
    put(secrets, "webhook", RAZORPAY_WEBHOOK_SECRET=NEWER, RAZORPAY_WEBHOOK_SECRET_PREVIOUS=NEW)
    for number, secret in enumerate((NEWER, NEW, OLD), start=1):
        assert deliver(service, captured(number), secret) == 200
    assert deliver(service, captured(4), "a-forgers-secret") == 400


@pytest.mark.parametrize(
    "first", ['{"RAZORPAY_WEBHOOK_SECRET": ""}', '{"RAZORPAY_WEBHOOK_SECRET": "k3y"}', "to be filled", "[]"]
)
def test_what_a_secret_was_before_it_was_filled_in_verifies_nothing(service: Service, secrets: Any, first: str) -> None:
    secrets.put_secret_value(SecretId="webhook", SecretString=first)
    put_webhook_secret(secrets, NEW)
    event = events.from_razorpay(captured(1), secret="k3y")
    assert service.invoke(event).status == 400
    assert deliver(service, captured(1), NEW) == 200


def test_forged_webhooks_make_at_most_one_extra_reading_a_minute(service: Service) -> None:
    service.replay("webhook-payment-captured")
    service.forget()
    for _ in range(600):
        assert deliver(service, captured(1), "a-forgers-secret") == 400
        service.clock.now += 1
    calls = service.outside_calls()
    assert set(calls) == {FETCH}, "I14: nothing but its own secret is read"
    # Ten minutes: the current and the previous version each, and the end of the first minute.
    assert len(calls) <= 2 * 10 + 1
    assert service.metrics().count("SignatureFailures") == 600


def test_without_a_forgery_there_is_one_reading_a_minute(service: Service) -> None:
    for number in range(120):
        deliver(service, captured(number % 20), OLD)
        service.clock.now += 5
    assert service.cloud.requests.count(FETCH) <= 10 + 1


# --- Secrets Manager down ---


@pytest.mark.parametrize("fault", [times_out, fails, throttles])
def test_an_outage_of_secrets_manager_is_outlived_for_an_hour(service: Service, fault: Any) -> None:
    assert deliver(service, captured(1), OLD) == 200
    service.cloud.fail_always(FETCH, fault)
    service.forget()
    for number in range(2, 60):
        service.clock.now += LATER
        assert deliver(service, captured(number), OLD) == 200
    assert service.metrics().count("StaleSecrets") > 50
    assert {line["stale"] for line in service.log() if "stale" in line} == {f"secrets: {name_of(fault)}"}
    service.clock.now += 2 * MINUTE
    assert deliver(service, captured(61), OLD) == 503
    service.cloud.heal()
    service.clock.now += LATER
    assert deliver(service, captured(61), OLD) == 200


def name_of(fault: Any) -> str:
    return "ReadTimeoutError" if fault is times_out else "ClientError"


def test_while_it_is_away_it_is_asked_twice_a_minute_whatever_comes_in(service: Service) -> None:
    assert deliver(service, captured(1), OLD) == 200
    service.cloud.fail_always(FETCH, times_out)
    service.clock.now += LATER
    service.forget()
    for number in range(300):
        secret = OLD if number % 2 else "a-forgers-secret"
        assert deliver(service, captured(number % 20), secret) == (200 if number % 2 else 400)
        service.clock.now += 1
    tries = 2  # by the client itself
    assert service.cloud.requests.count(FETCH) <= tries * (300 // adapter.PAUSE_S + 1)


def test_a_forgery_while_it_is_away_waits_for_one_answer_and_not_for_two(service: Service) -> None:
    # A new instance, because botocore retries only within a budget, which others have used up.
    aws._client.cache_clear()  # noqa: SLF001 - there is no other way to end an instance
    assert deliver(service, captured(1), OLD) == 200
    service.cloud.fail_always(FETCH, times_out)
    service.forget()
    assert deliver(service, captured(2), "a-forgers-secret") == 400
    # The client's two attempts for the current version, and none for the previous one.
    assert service.outside_calls() == [FETCH, FETCH]


def test_an_outage_after_a_rotation_leaves_both_secrets_good(service: Service, secrets: Any) -> None:
    put_webhook_secret(secrets, NEW)
    assert deliver(service, captured(1), OLD) == 200
    service.cloud.fail_always(FETCH, times_out)
    for number in range(2, 50):
        service.clock.now += LATER
        assert deliver(service, captured(number), OLD if number % 2 else NEW) == 200


def test_a_permission_that_was_taken_away_is_no_outage(service: Service) -> None:
    assert deliver(service, captured(1), OLD) == 200
    service.cloud.fail_always(FETCH, denies)
    service.clock.now += LATER
    assert deliver(service, captured(2), OLD) == 500


def test_a_value_that_cannot_be_used_is_not_passed_over_in_silence(service: Service, secrets: Any) -> None:
    assert deliver(service, captured(1), OLD) == 200
    put_webhook_secret(secrets, "changeme-changeme")
    service.clock.now += LATER
    assert deliver(service, captured(2), OLD) == 500
    assert service.metrics()[-1] == "ConfigurationErrors"
    put_webhook_secret(secrets, NEW)
    service.clock.now += LATER
    assert deliver(service, captured(2), NEW) == 200


def test_a_previous_version_that_cannot_be_read_refuses_what_it_signed_for_now(service: Service, secrets: Any) -> None:
    put_webhook_secret(secrets, NEW)
    assert deliver(service, captured(1), NEW) == 200

    def all_but_the_current_one(request: Any, send: Any) -> Any:
        return times_out(request, send) if b"AWSPREVIOUS" in request.body else send()

    service.cloud.fail_always(FETCH, all_but_the_current_one)
    assert deliver(service, captured(2), OLD) == 400
    assert deliver(service, captured(3), NEW) == 200
    service.cloud.heal()
    service.clock.now += LATER
    assert deliver(service, captured(2), OLD) == 200


# --- the API keys ---

NEW_KEYS = {"RAZORPAY_KEY_ID": "rzp_test_Rotated0000001", "RAZORPAY_KEY_SECRET": "pW4kXn8vQb2sTg6y"}
ROTATED = ":".join(NEW_KEYS.values())


@calls_of_users
def test_new_api_keys_are_taken_up_by_the_order_that_razorpay_refuses(service: Service, secrets: Any) -> None:
    assert service.create_order(application_id=1).status == 201
    put(secrets, "api", **NEW_KEYS)
    service.razorpay.keys = ROTATED
    answer = service.create_order()
    assert answer.status == 201
    # Checkout must use the key that the order was made with.
    assert answer.body["key_id"] == NEW_KEYS["RAZORPAY_KEY_ID"]
    assert [asked.keys for asked in service.razorpay.asked][-2:] == [
        f"{development.RAZORPAY_KEY_ID}:{development.RAZORPAY_KEY_SECRET}",
        ROTATED,
    ]
    service.forget()
    assert service.create_order(application_id=2).status == 201
    assert len(service.razorpay.asked) == 1


@calls_of_users
def test_keys_that_razorpay_does_not_know_cost_one_extra_reading_a_minute(service: Service) -> None:
    service.razorpay.keys = ROTATED
    for number in range(1, 61):
        answer = service.create_order(application_id=number)
        assert (answer.status, answer.code) == (502, "gateway_refused")
        service.clock.now += 5
    assert len(service.razorpay.asked) == 60, "the same keys are not tried twice"
    assert service.cloud.requests.count(FETCH) <= 2 * 2 * 6


@calls_of_users
@pytest.mark.parametrize("status", [400, 403, 500, 429])
def test_only_unknown_keys_are_worth_a_second_call(service: Service, secrets: Any, status: int) -> None:
    assert service.create_order(application_id=1).status == 201
    put(secrets, "api", **NEW_KEYS)
    service.forget()
    service.razorpay.script.append(refusal(status, "no"))
    assert service.create_order().status in {502, 503}
    assert len(service.razorpay.asked) == 1
    assert FETCH not in service.cloud.requests


@calls_of_users
@pytest.mark.parametrize("reply", [refusal(401, "no"), refusal(400, "Authentication failed", reason="NA")])
def test_reconcile_takes_new_api_keys_up_as_well(
    service: Service, secrets: Any, monkeypatch: pytest.MonkeyPatch, reply: Reply
) -> None:
    assert service.create_order().status == 201
    assert service.verify(next(iter(service.razorpay.orders))).status == 200
    monkeypatch.setenv("SECRET_IDS", "api")
    service.clock.now += MINUTE
    run("outbox", {})  # moves it to the watch lane, two minutes after the signature
    service.clock.now += MINUTE // 2
    assert run("reconcile", {"lane": "watch"})["looked_at"] == 0  # it has read the old keys
    put(secrets, "api", **NEW_KEYS)
    service.razorpay.keys = ROTATED
    service.clock.now += MINUTE // 2
    service.forget()
    service.razorpay.script.append(reply)
    report = run("reconcile", {"lane": "watch"})
    assert (report["looked_at"], report["failed"]) == (1, 0)
    assert [asked.keys for asked in service.razorpay.asked][-1] == ROTATED


def run(function: str, event: dict[str, Any]) -> dict[str, Any]:
    context = SimpleNamespace(get_remaining_time_in_millis=lambda: 290_000)
    forget_loggers()
    report: dict[str, Any] = handler(function)(event, context)
    return report


@calls_of_users
def test_a_checkout_opened_under_the_old_key_ends_well_after_the_rotation(service: Service, secrets: Any) -> None:
    assert service.create_order().status == 201
    put(secrets, "api", **NEW_KEYS)
    assert paid_under(service, NEW_KEYS["RAZORPAY_KEY_SECRET"]).status == 200
    assert paid_under(service, development.RAZORPAY_KEY_SECRET).status == 200
    assert paid_under(service, "another-key-secret").code == "invalid_signature"


@calls_of_users
def test_forged_checkouts_make_at_most_one_extra_reading_a_minute(service: Service) -> None:
    assert service.create_order().status == 201
    service.forget()
    for _ in range(60):
        assert paid_under(service, "another-key-secret").code == "invalid_signature"
        service.clock.now += 5
    # Two secrets, the current and the previous version each.
    assert service.cloud.requests.count(FETCH) <= 4 * 5 + 2


def paid_under(service: Service, key_secret: str) -> Answer:
    signature = checkout_signature(events.ORDER_ID, events.PAYMENT_ID, key_secret)
    return service.invoke(events.from_frontend(VERIFY, {**events.checkout(), "razorpay_signature": signature}))


# --- the key of tokens ---

NEW_JWT_SECRET = "0o2C7a9Bk4WqTz6Yx1Vn8Mi3Ue5Rs0Pd"


def reading_with(secret: str) -> dict[str, Any]:
    event = events.reading(events.ORDER_ID)
    token = jwt.encode({"user_id": events.CLIENT, "exp": 4_102_444_800}, secret, algorithm="HS256")
    event["headers"]["authorization"] = f"Bearer {token}"
    return event


@calls_of_users
def test_tokens_of_a_new_key_are_good_at_once_and_those_of_the_old_one_no_longer(
    service: Service, secrets: Any
) -> None:
    assert service.create_order().status == 201
    assert service.invoke(reading_with(development.JWT_SECRET)).status == 200
    put(secrets, "jwt", JWT_SECRET=NEW_JWT_SECRET)
    assert service.invoke(reading_with(NEW_JWT_SECRET)).status == 200
    # A key is changed because it may have leaked: no second chance for what it signed.
    assert service.invoke(reading_with(development.JWT_SECRET)).status == 401


@calls_of_users
def test_forged_tokens_make_at_most_one_extra_reading_a_minute_and_no_other_call(service: Service) -> None:
    assert service.create_order().status == 201
    service.forget()
    for number in range(300):
        event = reading_with("a-forgers-secret-of-more-than-32-bytes") if number % 2 else events.reading("x" * 20)
        if number % 2 == 0:
            event["headers"]["authorization"] = "Bearer not.a.token"
        assert service.invoke(event).status == 401
        service.clock.now += 1
    assert set(service.outside_calls()) == {FETCH}
    assert service.cloud.requests.count(FETCH) <= 4 * 5 + 2


@calls_of_users
def test_everything_may_be_rotated_at_once(service: Service, secrets: Any) -> None:
    assert service.create_order(application_id=1).status == 201
    put(secrets, "api", **NEW_KEYS)
    put(secrets, "jwt", JWT_SECRET=NEW_JWT_SECRET)
    service.razorpay.keys = ROTATED
    event = events.from_frontend("/api/payments/create-order", events.OFFER)
    event["headers"]["Authorization"] = reading_with(NEW_JWT_SECRET)["headers"]["authorization"]
    # One request detects both, and reads the secrets once.
    service.forget()
    assert service.invoke(event).status == 201
    assert service.cloud.requests.count(FETCH) == 2


def test_what_is_kept_of_a_secret_is_not_shown(service: Service) -> None:
    deliver(service, captured(1), OLD)
    deliver(service, captured(1), "a-forgers-secret")
    kept = aws._secrets()  # noqa: SLF001 - nothing else shows it
    assert aws.setting_texts(RequestLog("test")).values()["RAZORPAY_WEBHOOK_SECRET"] == OLD
    assert OLD not in repr(vars(kept)["_read"])
