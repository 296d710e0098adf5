"""Settings from the environment or Secrets Manager, and what a function does without them."""

import json
from typing import Any

import pytest

from payments.adapters.log import RequestLog
from payments.core.signature import webhook_signature
from payments.wiring import aws
from sandbox import development, events
from tests.handlers.cloud import Fault, denies, fails, is_unreachable, throttles, times_out
from tests.handlers.conftest import start_afresh
from tests.handlers.service import ENVIRONMENT, LANES, SECRETS, Service

EVENT = {"create_order": "create-order", "verify": "verify", "webhook": "webhook-payment-captured"}
NEEDED = {
    "create_order": {"PAYMENTS_TABLE", "STAGE", "RAZORPAY_KEY_ID", "RAZORPAY_KEY_SECRET", "JWT_SECRET"},
    "verify": {"PAYMENTS_TABLE", "STAGE", "RAZORPAY_KEY_SECRET", "JWT_SECRET"},
    "webhook": {"PAYMENTS_TABLE", "EVENT_BUS", "STAGE", "RAZORPAY_WEBHOOK_SECRET"},
}
NEEDED_ON_SCHEDULE = {
    # The outbox publishes what is stored; it needs no key, so Razorpay cannot stop it.
    "outbox": {"PAYMENTS_TABLE", "EVENT_BUS", "STAGE"},
    "reconcile": {"PAYMENTS_TABLE", "EVENT_BUS", "STAGE", "RAZORPAY_KEY_ID", "RAZORPAY_KEY_SECRET"},
}


@pytest.mark.parametrize("function", NEEDED)
def test_a_function_without_its_settings_answers_500_and_logs_which_ones(
    service: Service, monkeypatch: pytest.MonkeyPatch, function: str
) -> None:
    for name in ENVIRONMENT:
        monkeypatch.delenv(name)
    answer = service.replay(EVENT[function])
    assert (answer.status, answer.code) == (500, "internal_error")
    (line,) = service.log()
    assert {problem.partition(" ")[0] for problem in line["problems"]} == NEEDED[function]
    assert service.metrics() == ["ConfigurationErrors"]
    assert not any(name in answer.text for name in ENVIRONMENT)
    assert service.outside_calls() == []


@pytest.mark.parametrize("function", NEEDED)
def test_a_function_needs_nothing_of_the_others(
    ordered: Service, monkeypatch: pytest.MonkeyPatch, function: str
) -> None:
    for name in ENVIRONMENT.keys() - NEEDED[function]:
        monkeypatch.delenv(name)
    assert ordered.replay(EVENT[function]).status == 200


@pytest.mark.parametrize(("function", "event"), LANES, ids=str)
def test_a_lane_without_its_settings_fails_as_a_whole_and_logs_which_ones(
    service: Service, monkeypatch: pytest.MonkeyPatch, function: str, event: dict[str, Any]
) -> None:
    for name in ENVIRONMENT:
        monkeypatch.delenv(name)
    with pytest.raises(Exception, match=r"\AConfigurationError\Z"):
        service.run(function, event)
    (line,) = service.log()
    assert line["message"] == "run failed"
    assert {problem.partition(" ")[0] for problem in line["problems"]} == NEEDED_ON_SCHEDULE[function]
    assert service.metrics() == ["ConfigurationErrors"]
    assert service.outside_calls() == []


@pytest.mark.parametrize(("function", "event"), LANES, ids=str)
@pytest.mark.parametrize("missing", sorted(NEEDED_ON_SCHEDULE["reconcile"]))
def test_a_lane_needs_each_of_its_settings_and_nothing_of_the_others(
    ordered: Service, monkeypatch: pytest.MonkeyPatch, *, function: str, event: dict[str, Any], missing: str
) -> None:
    for name in ENVIRONMENT.keys() - NEEDED_ON_SCHEDULE[function]:
        monkeypatch.delenv(name)
    assert ordered.run(function, event)["failed"] == 0
    if missing in NEEDED_ON_SCHEDULE[function]:
        monkeypatch.delenv(missing)
        with pytest.raises(Exception, match=r"\AConfigurationError\Z"):
            ordered.run(function, event)


def test_an_empty_webhook_secret_lets_nobody_in(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAZORPAY_WEBHOOK_SECRET", "")
    event = events.from_razorpay(b"{}", secret="x")
    event["headers"]["X-Razorpay-Signature"] = "22f8eea909400af98adf3681a9f31923ef6b7fcba4abb553d92823a3e9d5c25e"
    assert service.invoke(event).status == 500


def test_a_test_key_in_production_stops_create_order(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STAGE", "production")
    assert service.create_order().status == 500
    assert service.outside_calls() == []
    assert "RAZORPAY_KEY_ID is a test key" in service.output()


@pytest.mark.parametrize("lane", ["watch", "sweep"])
def test_a_test_key_in_production_stops_reconcile(service: Service, monkeypatch: pytest.MonkeyPatch, lane: str) -> None:
    monkeypatch.setenv("STAGE", "production")
    with pytest.raises(Exception, match=r"\AConfigurationError\Z"):
        service.run("reconcile", {"lane": lane})
    assert service.outside_calls() == []
    assert "RAZORPAY_KEY_ID is a test key" in service.output()


# --- secrets ---


def test_secrets_are_read_once_a_minute(service: Service, secrets: Any) -> None:  # noqa: ARG001 - they must be there
    assert service.create_order().status == 201
    assert service.cloud.requests.count("GetSecretValue") == 3
    service.create_order()
    assert service.cloud.requests.count("GetSecretValue") == 3


def test_a_rotated_secret_is_taken_up(service: Service, secrets: Any) -> None:
    rotated = "a-new-webhook-secret-of-ours"
    body = events.webhook_body("payment.captured")
    signature = webhook_signature(body, rotated)
    event = events.from_razorpay(body)
    event["headers"]["X-Razorpay-Signature"] = signature
    assert service.invoke(event).status == 400
    secrets.put_secret_value(
        SecretId="webhook",
        SecretString=json.dumps(
            {
                "RAZORPAY_WEBHOOK_SECRET": rotated,
                "RAZORPAY_WEBHOOK_SECRET_PREVIOUS": development.RAZORPAY_WEBHOOK_SECRET,
            }
        ),
    )
    start_afresh()  # the minute has passed
    assert service.invoke(event).status == 200
    assert service.replay("webhook-payment-captured").status == 200


@pytest.mark.parametrize("content", ["not JSON hunter2", "[]", '{"RAZORPAY_WEBHOOK_SECRET": 5}', '"text"'])
def test_a_secret_of_another_form_is_named_and_not_shown(service: Service, secrets: Any, content: str) -> None:
    secrets.put_secret_value(SecretId="webhook", SecretString=content)
    assert service.replay("webhook-payment-captured").code == "internal_error"
    assert "the secret webhook must be a JSON object" in service.output()
    assert "hunter2" not in service.output()


def test_a_secret_that_does_not_exist_is_a_500_without_its_arn(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    arn = "arn:aws:secretsmanager:ap-south-1:123456789012:secret:payments-webhook-AbCdEf"
    monkeypatch.setenv("SECRET_IDS", arn)
    answer = service.replay("webhook-payment-captured")
    assert (answer.status, answer.code) == (500, "internal_error")
    assert "arn:" not in answer.text + service.output()


@pytest.mark.parametrize("fault", [times_out, is_unreachable, fails, throttles])
def test_a_secret_that_cannot_be_read_right_now_is_a_503_that_may_be_tried_again(
    service: Service,
    secrets: Any,  # noqa: ARG001 - they must be there
    fault: Fault,
) -> None:
    start_afresh()
    service.cloud.fail_always("GetSecretValue", fault)
    answer = service.replay("webhook-payment-captured")
    assert (answer.status, answer.code) == (503, "temporarily_unavailable")
    assert answer.headers["Retry-After"]
    service.cloud.heal()
    assert service.replay("webhook-payment-captured").status == 200


def test_a_secret_that_may_not_be_read_is_a_500(service: Service, secrets: Any) -> None:  # noqa: ARG001 - as above
    start_afresh()
    service.cloud.fail_always("GetSecretValue", denies)
    assert service.replay("webhook-payment-captured").code == "internal_error"


# --- a new stack with empty secrets ---


@pytest.fixture(params=["no value", "an empty value"])
def unfilled(request: pytest.FixtureRequest, service: Service, secrets: Any) -> Any:
    """The three secrets as CloudFormation creates them: without a value."""
    for name in ("api", "jwt", "webhook"):
        secrets.delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)
        secrets.create_secret(Name=name, **({} if request.param == "no value" else {"SecretString": " "}))
    start_afresh()
    service.forget()
    return secrets


@pytest.mark.parametrize("function", NEEDED)
@pytest.mark.usefixtures("unfilled")
def test_before_its_secret_is_filled_a_function_answers_503_and_no_alarm_of_a_broken_function_goes_off(
    service: Service, function: str
) -> None:
    answer = service.replay(EVENT[function])
    assert (answer.status, answer.code) == (503, "temporarily_unavailable")
    assert answer.headers["Retry-After"]
    (line,) = service.log()
    assert line["why"].startswith("not configured yet: the secret ")
    assert service.metrics() == []


@pytest.mark.parametrize("lane", ["watch", "sweep"])
@pytest.mark.usefixtures("unfilled")
def test_before_the_secrets_are_filled_reconcile_says_so_once_a_run_and_sets_no_alarm_off(
    service: Service, lane: str
) -> None:
    report = service.run("reconcile", {"lane": lane})
    assert report == {"looked_at": 0, "failed": 0, "left_over": False, "outcomes": {}}
    (line,) = service.log()
    assert (line["level"], line["why"]) == ("INFO", "not configured yet: the secret api has no value yet")
    # Without these metrics the alarms would report that the lanes do not run.
    assert sorted(service.metrics()) == ["ExpiryLagSeconds", "OldestDueSeconds", "SweepLagSeconds"]
    assert service.razorpay.asked == []


@pytest.mark.parametrize("lane", ["watch", "sweep"])
def test_once_its_secret_is_filled_reconcile_runs(
    service: Service, unfilled: Any, monkeypatch: pytest.MonkeyPatch, lane: str
) -> None:
    monkeypatch.setenv("SECRET_IDS", "api")
    service.run("reconcile", {"lane": lane})
    names = ("RAZORPAY_KEY_ID", "RAZORPAY_KEY_SECRET")
    unfilled.put_secret_value(SecretId="api", SecretString=json.dumps({name: ENVIRONMENT[name] for name in names}))
    service.clock.now += 61
    service.forget()
    service.run("reconcile", {"lane": lane})
    assert not [line for line in service.log() if "not configured" in line.get("why", "")]
    assert service.razorpay.asked or lane == "watch"


@pytest.mark.parametrize("lane", ["watch", "sweep"])
@pytest.mark.usefixtures("unfilled")
def test_a_stack_that_has_made_orders_fails_loudly_when_it_is_given_an_unfilled_secret(
    service: Service, lane: str
) -> None:
    service.cloud.change("counter#payment_id", {"last_taken": 10, "installation": "0a1b2c3d"})
    with pytest.raises(Exception, match=r"\AConfigurationError\Z"):
        service.run("reconcile", {"lane": lane})
    assert service.log()[-1]["problems"] == ["the secret api has no value yet"]
    assert service.metrics() == ["ConfigurationErrors"]


@pytest.mark.usefixtures("unfilled")
def test_a_command_by_hand_does_not_pretend_to_have_done_anything_before_the_secrets_are_filled(
    service: Service,
) -> None:
    with pytest.raises(Exception, match=r"\ANotConfiguredYet\Z"):
        service.run("reconcile", {"look": {"order_id": events.ORDER_ID}})


def test_a_secret_that_is_filled_wrongly_is_not_taken_for_an_unfilled_one(
    service: Service, unfilled: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_IDS", "api")
    unfilled.put_secret_value(SecretId="api", SecretString="{}")
    with pytest.raises(Exception, match=r"\AConfigurationError\Z"):
        service.run("reconcile", {"lane": "watch"})
    assert service.metrics() == ["ConfigurationErrors"]


def test_nothing_is_made_or_read_on_import(service: Service) -> None:
    assert service.outside_calls() == []
    assert aws._secrets.cache_info().currsize == 0  # noqa: SLF001 - nothing else shows it


def test_dependencies_never_show_a_secret(service: Service) -> None:  # noqa: ARG001 - its environment
    from payments.wiring import create_order, outbox, reconcile, verify, webhook  # noqa: PLC0415 - beside their use

    for module in (create_order, outbox, reconcile, verify, webhook):
        shown = repr(module.dependencies(RequestLog("test")))
        assert not [secret for secret in SECRETS if secret in shown], module.__name__
