"""Reads a developer's `.env`, and rejects Razorpay settings that must be a mistake."""

import re
from collections.abc import Mapping
from pathlib import Path

from dotenv.parser import parse_stream

from sandbox import development

MIN_SECRET_CHARS = 12  # the service rejects shorter ones
_TEST_KEY = re.compile(r"\Arzp_test_[A-Za-z0-9]+\Z")
# Placeholders of templates and tutorials, as in the service (payments.adapters.config; a test compares both). Case,
# dots, dashes and underscores are ignored.
_FILLINGS = (
    *("changeme", "changethis", "replaceme", "replacethis", "placeholder"),
    *("yoursecret", "yourwebhook", "yourkey", "yourrazorpay", "yourtest", "keyid", "keysecret", "webhooksecret"),
    *("examplesecret", "testsecret", "notasecret", "password", "12345678", "abcdefgh"),
)
_MIN_DIFFERENT_CHARS = 4  # "xxxxxxxxxxxx" and the like


class UnusableKeysError(ValueError):
    """The keys in `.env` cannot be used; the message says what to do, and never contains a value."""


def read_env(env_file: Path) -> Mapping[str, str]:
    """The file's settings; none if there is no file.

    As dotenv reads it, except that `${…}` is not expanded: a secret is taken literally.

    Raises:
        UnusableKeysError: the file or one of its lines cannot be read.
    """
    settings = {}
    try:
        with env_file.open(encoding="utf-8") as text:
            for binding in parse_stream(text):
                if binding.error:
                    statement = binding.original.string
                    line = binding.original.line + len(statement) - len(statement.lstrip("\n"))
                    raise UnusableKeysError(
                        f"Line {line} of {env_file} is not NAME=value: quote values that contain spaces or quotes,\n"
                        "and start comments with #."
                    )
                if binding.key is not None:
                    settings[binding.key] = binding.value or ""
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise UnusableKeysError(f"{env_file} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise UnusableKeysError(f"{env_file} is not UTF-8 text: save it as plain text and try again.") from error
    return settings


def key_id_problem(value: str) -> str | None:
    """What is wrong with a key id, as words that follow its name; None if nothing is visibly wrong."""
    if not value.startswith("rzp_test_"):
        return "is a placeholder" if _is_filling(value) else "is not a test key: test keys start with rzp_test_"
    if value == development.RAZORPAY_KEY_ID:
        return "is the stand-in's own, which Razorpay does not know"
    if not _TEST_KEY.match(value) or _is_filling(value.removeprefix("rzp_test_")):
        return "is a placeholder"
    return None


def secret_problem(value: str) -> str | None:
    """What is wrong with a secret, as words that follow its name; None if nothing is visibly wrong."""
    if value.startswith("local-development-"):
        return "is the stand-in's own, which Razorpay does not know"
    if _is_filling(value):
        return "is a placeholder"
    if any(char.isspace() for char in value):
        return "contains white space"
    if not value.isascii():
        return "contains a non-ASCII character, perhaps from a word processor"
    if len(value) < MIN_SECRET_CHARS:
        return f"is too short: the service needs at least {MIN_SECRET_CHARS} bytes"
    return None


def _is_filling(value: str) -> bool:
    plain = re.sub(r"[-_.\s]", "", value.lower())
    few = len(set(plain)) < _MIN_DIFFERENT_CHARS
    return few or value[0] in "<{$…" or any(word in plain for word in _FILLINGS)
