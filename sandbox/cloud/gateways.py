"""Which Razorpay the local service talks to: the stand-in, or the real test mode with the keys of `.env`."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sandbox import development

REAL_URL = "https://api.razorpay.com"
SETTINGS = ("RAZORPAY_KEY_ID", "RAZORPAY_KEY_SECRET", "RAZORPAY_WEBHOOK_SECRET")


class UnusableKeysError(ValueError):
    """The keys in `.env` cannot be used; the message says what to do."""


@dataclass(frozen=True)
class Gateway:
    """The gateway and this service's account with it.

    Attributes:
        url: where it is; None: a stand-in is to be started.
        key_id: the API key.
        key_secret: the API key's secret, also of Checkout signatures.
        webhook_secret: the secret of webhook signatures.
        webhook_secret_previous: the one before, while rotating.
    """

    url: str | None
    key_id: str
    key_secret: str
    webhook_secret: str
    webhook_secret_previous: str | None = None

    @property
    def api_keys(self) -> dict[str, str]:
        """The secret for those who call Razorpay."""
        return {"RAZORPAY_KEY_ID": self.key_id, "RAZORPAY_KEY_SECRET": self.key_secret}

    @property
    def webhook_secrets(self) -> dict[str, str]:
        """The secret for the webhook."""
        secrets = {"RAZORPAY_WEBHOOK_SECRET": self.webhook_secret}
        if self.webhook_secret_previous:
            secrets["RAZORPAY_WEBHOOK_SECRET_PREVIOUS"] = self.webhook_secret_previous
        return secrets


STAND_IN = Gateway(
    url=None,
    key_id=development.RAZORPAY_KEY_ID,
    key_secret=development.RAZORPAY_KEY_SECRET,
    webhook_secret=development.RAZORPAY_WEBHOOK_SECRET,
    webhook_secret_previous=development.RAZORPAY_WEBHOOK_SECRET_PREVIOUS,
)


def gateway_of(env_file: Path) -> Gateway:
    """The real test gateway if the file has its keys, otherwise the stand-in.

    Raises:
        UnusableKeysError: some of the keys are missing, or they are not test keys.
    """
    settings = read_env(env_file.read_text()) if env_file.exists() else {}
    given = {name: settings[name] for name in SETTINGS if settings.get(name)}
    if not given:
        return STAND_IN
    key_id = given.get("RAZORPAY_KEY_ID", "")
    if key_id.startswith("rzp_live_"):
        raise UnusableKeysError(
            f"{env_file} has a live key (rzp_live_…). Nothing on a developer's machine may move real money:\n"
            "replace it by a test key (rzp_test_…), or remove it to use the stand-in."
        )
    if missing := [name for name in SETTINGS if name not in given]:
        raise UnusableKeysError(
            f"{env_file} has {', '.join(given)} but not {', '.join(missing)}.\n"
            "The real test gateway needs all three; with none of them the stand-in is used."
        )
    if not key_id.startswith("rzp_test_"):
        raise UnusableKeysError(f"RAZORPAY_KEY_ID in {env_file} is no test key: those begin with rzp_test_.")
    previous = settings.get("RAZORPAY_WEBHOOK_SECRET_PREVIOUS")
    return Gateway(REAL_URL, key_id, given["RAZORPAY_KEY_SECRET"], given["RAZORPAY_WEBHOOK_SECRET"], previous)


def read_env(text: str) -> Mapping[str, str]:
    """`NAME=value` lines. Empty lines and lines that begin with # say nothing; quotes around a value are dropped."""
    settings = {}
    for line in text.splitlines():
        name, equals, value = line.strip().removeprefix("export ").partition("=")
        if not equals or name.startswith("#"):
            continue
        value = value.strip()
        if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
            value = value[1:-1]
        settings[name.strip()] = value
    return settings
