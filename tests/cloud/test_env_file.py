"""`.env`: read as dotenv reads it, and refused where a value must be a mistake."""

import random
import string
from pathlib import Path

import pytest

from payments.adapters.config import webhook_settings
from payments.core.errors import ConfigurationError
from sandbox.cloud.env_file import UnusableKeysError, key_id_problem, read_env, secret_problem


@pytest.fixture
def env_file(tmp_path: Path) -> Path:
    return tmp_path / ".env"


# The file format as python-dotenv documents it: https://saurabh-kumar.com/python-dotenv/reference/
@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("A=b", "b"),
        ("export A=b", "b"),
        ("  A = b  ", "b"),
        ("A=b # said why", "b"),
        ("A=b#c", "b#c"),
        ("A=b=c", "b=c"),
        ("A='b # c' # said why", "b # c"),
        ('A="b # c"', "b # c"),
        ("A=", ""),
        ("A= # nothing yet", ""),
        ("A", ""),
        ("A=$b${HOME}", "$b${HOME}"),
    ],
)
def test_a_line_is_read_as_dotenv_reads_it_and_nothing_is_put_in(env_file: Path, line: str, value: str) -> None:
    env_file.write_text(f"# first\n\n{line}\nLAST=1\n")

    assert read_env(env_file) == {"A": value, "LAST": "1"}


def test_no_file_says_nothing(env_file: Path) -> None:
    assert read_env(env_file) == {}


@pytest.mark.parametrize("line", ["no setting at all", "A='b", 'A="b" c'])
def test_a_line_that_is_no_setting_is_named_by_its_number_and_not_shown(env_file: Path, line: str) -> None:
    env_file.write_text(f"# first\nFIRST=1\n\n{line}\nLAST=1\n")

    with pytest.raises(UnusableKeysError, match=r"Line 4 of .*\.env is not NAME=value") as refusal:
        read_env(env_file)
    assert line not in str(refusal.value)


def test_what_is_no_text_or_no_file_is_refused_with_a_reason(env_file: Path) -> None:
    env_file.write_bytes("A=b".encode("utf-16"))
    with pytest.raises(UnusableKeysError, match="is not UTF-8 text"):
        read_env(env_file)
    env_file.unlink()
    env_file.mkdir()
    with pytest.raises(UnusableKeysError, match=r"cannot be read: Is a directory\."):
        read_env(env_file)


# `make run` must not start with a value that the service refuses at its first request.
@pytest.mark.parametrize(
    "value",
    [
        "changeme-changeme",
        "CHANGE_ME_PLEASE_1",
        "replace-me-before-use",
        "<the-secret-of-the-webhook>",
        "${RAZORPAY_SECRET}",
        "{{resolve:secretsmanager}}",
        "your-webhook-secret",
        "your_secret_here",
        "placeholder-value",
        "xxxxxxxxxxxxxxxx",
        "abababababababab",
        "test-secret-for-now",
        "Password-of-ours",
        "123456789012",
        "too-short-1",
        "white space in it",
    ],
)
def test_what_the_service_refuses_as_a_secret_is_refused_before_anything_starts(value: str) -> None:
    with pytest.raises(ConfigurationError):
        webhook_settings(
            {"PAYMENTS_TABLE": "payments", "EVENT_BUS": "payments", "STAGE": "local", "RAZORPAY_WEBHOOK_SECRET": value}
        )

    assert secret_problem(value) is not None


def test_keys_drawn_at_random_are_no_placeholders() -> None:
    drawn = random.Random(7)  # noqa: S311 - to be drawn again, no secret
    for _ in range(3000):
        assert key_id_problem("rzp_test_" + "".join(drawn.choices(string.ascii_letters + string.digits, k=14))) is None
        assert secret_problem("".join(drawn.choices(string.ascii_letters + string.digits, k=24))) is None
