"""Which Razorpay the local service uses: the stand-in, or the real test mode with the keys of `.env`."""

from dataclasses import dataclass, field
from pathlib import Path

import requests

from sandbox import development
from sandbox.cloud.env_file import UnusableKeysError, key_id_problem, read_env, secret_problem

REAL_URL = "https://api.razorpay.com"
SETTINGS = ("RAZORPAY_KEY_ID", "RAZORPAY_KEY_SECRET", "RAZORPAY_WEBHOOK_SECRET")

_SAME_SECRET = "is the key's secret: choose another one in the dashboard's form for webhooks"  # noqa: S105 - words about one
_CHECK_TIMEOUT_S = (5, 10)
# The request is always valid, so a 400 can only mean the keys; Razorpay's documents show both.
_REFUSED = (400, 401)


@dataclass(frozen=True)
class Gateway:
    """The gateway and this service's account with it.

    Attributes:
        url: its URL; None to start a stand-in.
        key_id: the API key.
        key_secret: the API key's secret, which also signs Checkout's response.
        webhook_secret: the secret of webhook signatures.
        webhook_secret_previous: the previous one, during a rotation.
    """

    url: str | None
    key_id: str
    key_secret: str = field(repr=False)
    webhook_secret: str = field(repr=False)
    webhook_secret_previous: str | None = field(default=None, repr=False)

    @property
    def api_keys(self) -> dict[str, str]:
        """The secret for functions that call Razorpay."""
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
    """The real test mode if the file has its keys, otherwise the stand-in.

    Raises:
        UnusableKeysError: some keys are missing, are not test keys, or must be a mistake.
    """
    settings = read_env(env_file)
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
    previous = settings.get("RAZORPAY_WEBHOOK_SECRET_PREVIOUS") or None
    problems = {name: secret_problem(given[name]) for name in SETTINGS[1:]}
    problems["RAZORPAY_KEY_ID"] = key_id_problem(key_id)
    if given["RAZORPAY_KEY_SECRET"] == given["RAZORPAY_WEBHOOK_SECRET"]:
        problems["RAZORPAY_WEBHOOK_SECRET"] = _SAME_SECRET
    if previous is not None:
        problems["RAZORPAY_WEBHOOK_SECRET_PREVIOUS"] = secret_problem(previous)
    if wrong := [f"{name} {problem}" for name, problem in sorted(problems.items()) if problem is not None]:
        raise UnusableKeysError(
            "\n".join([f"{env_file} cannot be used:", *(f"  {line}." for line in wrong)])
            + "\nFill in what the Razorpay dashboard shows in test mode, or empty all of them to use the stand-in."
        )
    return Gateway(REAL_URL, key_id, given["RAZORPAY_KEY_SECRET"], given["RAZORPAY_WEBHOOK_SECRET"], previous)


def check_keys(gateway: Gateway) -> str:
    """Ask Razorpay once whether the keys are valid; returns a message for the developer, without the keys.

    Unlike local calls, this uses the environment's proxy.

    Raises:
        UnusableKeysError: Razorpay rejects them.
    """
    try:
        answer = requests.get(
            f"{gateway.url}/v1/orders",
            params={"count": 1},
            auth=(gateway.key_id, gateway.key_secret),
            timeout=_CHECK_TIMEOUT_S,
            allow_redirects=False,
        )
    except requests.RequestException as error:
        return (
            f"Not checked: {gateway.url} cannot be reached from here ({type(error).__name__}). "
            "Until it can, no order can be created."
        )
    if answer.status_code in _REFUSED:
        raise UnusableKeysError(
            f"Razorpay refuses RAZORPAY_KEY_ID with RAZORPAY_KEY_SECRET (status {answer.status_code}):\n"
            "one is mistyped, or the key was regenerated. Take both from the dashboard in test mode\n"
            "(Account & Settings, API keys), or empty the three settings to use the stand-in."
        )
    if answer.status_code == requests.codes.ok:
        if _is_a_list(answer):
            return "Razorpay accepts the API keys. The webhook secret is only checked when a webhook arrives."
        return f"Not checked: what answers at {gateway.url} is not Razorpay (a proxy's or a network's own page?)."
    return f"Not checked: {gateway.url} answered {answer.status_code}. Until it recovers, no order can be created."


def _is_a_list(answer: requests.Response) -> bool:
    try:
        document = answer.json()
    except requests.JSONDecodeError:
        return False
    return isinstance(document, dict) and document.get("entity") == "collection"
