"""Settings: everything that is wrong is named at once, and no value is shown."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from payments.adapters.config import create_order_settings, read_values, verify_settings, webhook_settings
from payments.core.errors import ConfigurationError
from sandbox import development

GOOD = {
    "PAYMENTS_TABLE": "payments",
    "EVENT_BUS": "payments-local",
    "STAGE": "local",
    "RAZORPAY_KEY_ID": development.RAZORPAY_KEY_ID,
    "RAZORPAY_KEY_SECRET": development.RAZORPAY_KEY_SECRET,
    "RAZORPAY_WEBHOOK_SECRET": development.RAZORPAY_WEBHOOK_SECRET,
    "JWT_SECRET": development.JWT_SECRET,
}
LOADERS: dict[str, Callable[[Mapping[str, str]], Any]] = {
    "create_order": create_order_settings,
    "verify": verify_settings,
    "webhook": webhook_settings,
}


def no_secret(_: str) -> str:
    raise AssertionError("there is no secret to read")


@pytest.mark.parametrize("function", LOADERS)
def test_good_settings_are_taken_and_their_secrets_never_shown(function: str) -> None:
    settings = LOADERS[function](GOOD)

    assert not [value for name, value in GOOD.items() if name.endswith("SECRET") and value in repr(settings)]


@pytest.mark.parametrize(
    ("function", "needed"),
    [
        ("create_order", {"PAYMENTS_TABLE", "STAGE", "RAZORPAY_KEY_ID", "RAZORPAY_KEY_SECRET", "JWT_SECRET"}),
        ("verify", {"PAYMENTS_TABLE", "RAZORPAY_KEY_SECRET", "JWT_SECRET"}),
        ("webhook", {"PAYMENTS_TABLE", "EVENT_BUS", "RAZORPAY_WEBHOOK_SECRET"}),
    ],
)
@pytest.mark.parametrize("value", [None, "", "   "])
def test_one_message_names_every_missing_setting(function: str, needed: set[str], value: str | None) -> None:
    with pytest.raises(ConfigurationError) as wrong:
        LOADERS[function]({} if value is None else dict.fromkeys(GOOD, value))

    assert {problem.partition(" ")[0] for problem in wrong.value.problems} == needed


@pytest.mark.parametrize(
    ("name", "value", "function"),
    [
        ("JWT_SECRET", "thirty-one-bytes-are-too-few-31", "verify"),
        ("RAZORPAY_KEY_SECRET", "k3y", "create_order"),
        ("RAZORPAY_WEBHOOK_SECRET", "k3y", "webhook"),
        ("RAZORPAY_WEBHOOK_SECRET_PREVIOUS", "k3y", "webhook"),
        ("RAZORPAY_KEY_ID", "not-a-key-id", "create_order"),
        ("CURRENCIES", "INR,XXX", "create_order"),
        ("STAGE", "a-stage-of-over-sixteen", "create_order"),
        ("JWT_ALGORITHM", "none", "verify"),
    ],
)
def test_a_setting_that_cannot_be_right_is_named_and_not_shown(name: str, value: str, function: str) -> None:
    with pytest.raises(ConfigurationError, match=name) as wrong:
        LOADERS[function](GOOD | {name: value})

    assert value not in str(wrong.value)


def test_a_test_key_does_not_start_in_production() -> None:
    with pytest.raises(ConfigurationError, match="test key"):
        create_order_settings(GOOD | {"STAGE": "production"})
    create_order_settings(GOOD | {"STAGE": "production", "RAZORPAY_KEY_ID": "rzp_live_LocalSandbox01"})


def test_a_secrets_settings_go_over_plain_variables() -> None:
    values = read_values(
        {"SECRET_IDS": " first , second ", "JWT_SECRET": "plain"},
        {"first": json.dumps({"JWT_SECRET": "kept"}), "second": "{}"}.__getitem__,
    )

    assert values["JWT_SECRET"] == "kept"


@pytest.mark.parametrize("content", ["", "plain-text-secret", "[]", '"text"', '{"JWT_SECRET": 5}', "null"])
def test_a_secret_of_another_form_is_named_and_not_shown(content: str) -> None:
    arn = "arn:aws:secretsmanager:ap-south-1:123456789012:secret:payments-jwt-AbCdEf"

    with pytest.raises(ConfigurationError, match="payments-jwt-AbCdEf") as wrong:
        read_values({"SECRET_IDS": arn}, lambda _: content)

    assert "123456789012" not in str(wrong.value)
    assert "plain-text-secret" not in str(wrong.value)


def test_without_secret_ids_no_secret_is_read() -> None:
    assert read_values({"SECRET_IDS": ""}, no_secret) == {"SECRET_IDS": ""}
