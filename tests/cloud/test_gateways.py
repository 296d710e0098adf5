"""Which Razorpay the local service talks to."""

from pathlib import Path

import pytest

from sandbox.cloud.gateways import REAL_URL, STAND_IN, UnusableKeysError, gateway_of, read_env

TEST_KEYS = """
# from the dashboard, test mode
export RAZORPAY_KEY_ID=rzp_test_AAAAAAAAAAAAAA
RAZORPAY_KEY_SECRET = 'quoted = secret'
RAZORPAY_WEBHOOK_SECRET="webhook"
OTHER=ignored
"""


@pytest.fixture
def env_file(tmp_path: Path) -> Path:
    return tmp_path / ".env"


def test_without_a_file_or_without_keys_in_it_the_stand_in_is_used(env_file: Path) -> None:
    assert gateway_of(env_file) is STAND_IN
    env_file.write_text("# nothing\nOTHER=1\nRAZORPAY_KEY_ID=\n")
    assert gateway_of(env_file) is STAND_IN


def test_with_all_three_test_keys_the_real_test_gateway_is_used(env_file: Path) -> None:
    env_file.write_text(TEST_KEYS)

    gateway = gateway_of(env_file)

    assert gateway.url == REAL_URL
    assert gateway.api_keys == {
        "RAZORPAY_KEY_ID": "rzp_test_AAAAAAAAAAAAAA",
        "RAZORPAY_KEY_SECRET": "quoted = secret",
    }
    assert gateway.webhook_secrets == {"RAZORPAY_WEBHOOK_SECRET": "webhook"}


def test_a_live_key_is_refused_without_showing_it(env_file: Path) -> None:
    env_file.write_text(TEST_KEYS.replace("rzp_test_", "rzp_live_"))

    with pytest.raises(UnusableKeysError, match=r"has a live key") as refusal:
        gateway_of(env_file)
    assert "AAAAAAAAAAAAAA" not in str(refusal.value)


def test_a_live_key_alone_is_called_live_rather_than_incomplete(env_file: Path) -> None:
    env_file.write_text("RAZORPAY_KEY_ID=rzp_live_AAAAAAAAAAAAAA\n")

    with pytest.raises(UnusableKeysError, match="live key"):
        gateway_of(env_file)


def test_incomplete_keys_are_refused_and_the_missing_ones_named(env_file: Path) -> None:
    env_file.write_text("RAZORPAY_KEY_ID=rzp_test_AAAAAAAAAAAAAA\n")

    with pytest.raises(UnusableKeysError, match="but not RAZORPAY_KEY_SECRET, RAZORPAY_WEBHOOK_SECRET"):
        gateway_of(env_file)


def test_a_key_that_is_neither_test_nor_live_is_refused(env_file: Path) -> None:
    env_file.write_text(TEST_KEYS.replace("rzp_test_", "key_"))

    with pytest.raises(UnusableKeysError, match="no test key"):
        gateway_of(env_file)


def test_a_value_may_hold_an_equals_sign_and_a_hash() -> None:
    assert read_env("A=b=c#d\n") == {"A": "b=c#d"}
