"""Settings: what a function needs, checked before it does anything. A message names settings and shows no value.

Values come from the environment and, over it, from Secrets Manager: each secret named in `SECRET_IDS` is a JSON object
whose keys are setting names. The plain variables are for `sam local`, `.env` and tests.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from payments.core.errors import ConfigurationError
from payments.core.identity import TokenRules
from payments.core.money import EXPONENT_BY_CURRENCY

RAZORPAY_API_URL = "https://api.razorpay.com"

# RFC 7518, section 3.2: a key of at least the hash's size.
_MIN_HS256_KEY_BYTES = 32
# Short enough to type into Razorpay's dashboard by hand, too long to guess.
_MIN_SECRET_CHARS = 12
_MAX_STAGE_CHARS = 16
_PRODUCTION = "production"


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateOrderSettings:
    """What create_order needs."""

    table: str
    stage: str
    key_id: str
    key_secret: str = field(repr=False)
    api_url: str
    currencies: frozenset[str]
    token_rules: TokenRules


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifySettings:
    """What verify needs."""

    table: str
    key_secret: str = field(repr=False)
    token_rules: TokenRules


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookSettings:
    """What webhook needs."""

    table: str
    event_bus: str
    webhook_secrets: tuple[str, ...] = field(repr=False)
    """The current one and, while rotating, the previous one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconcileSettings:
    """What reconcile needs."""

    table: str
    event_bus: str
    stage: str
    key_id: str
    key_secret: str = field(repr=False)
    api_url: str


def read_values(environment: Mapping[str, str], read_secret: Callable[[str], str]) -> dict[str, str]:
    """Every setting by name, secrets over plain variables.

    Args:
        environment: the function's environment variables.
        read_secret: gives the text of a secret by its id or ARN.

    Raises:
        ConfigurationError: a secret is not a JSON object of texts.
    """
    values = dict(environment)
    for secret_id in filter(None, (part.strip() for part in environment.get("SECRET_IDS", "").split(","))):
        try:
            content = json.loads(read_secret(secret_id))
        except ValueError:
            content = None
        if not isinstance(content, dict) or not all(isinstance(value, str) for value in content.values()):
            raise ConfigurationError(
                [f"the secret {_short(secret_id)} must be a JSON object of setting names and texts"]
            )
        values |= content
    return values


def create_order_settings(values: Mapping[str, str]) -> CreateOrderSettings:
    """The settings of create_order; ConfigurationError names everything that is wrong with them."""
    reader = _Reader(values)
    settings = CreateOrderSettings(
        table=reader.required("PAYMENTS_TABLE"),
        stage=reader.stage(),
        key_id=reader.key_id(),
        key_secret=reader.secret("RAZORPAY_KEY_SECRET"),
        api_url=values.get("RAZORPAY_API_URL") or RAZORPAY_API_URL,
        currencies=reader.currencies(),
        token_rules=reader.token_rules(),
    )
    reader.finish()
    return settings


def verify_settings(values: Mapping[str, str]) -> VerifySettings:
    """The settings of verify; ConfigurationError names everything that is wrong with them."""
    reader = _Reader(values)
    settings = VerifySettings(
        table=reader.required("PAYMENTS_TABLE"),
        key_secret=reader.secret("RAZORPAY_KEY_SECRET"),
        token_rules=reader.token_rules(),
    )
    reader.finish()
    return settings


def webhook_settings(values: Mapping[str, str]) -> WebhookSettings:
    """The settings of webhook; ConfigurationError names everything that is wrong with them."""
    reader = _Reader(values)
    secrets = [reader.secret("RAZORPAY_WEBHOOK_SECRET")]
    if values.get("RAZORPAY_WEBHOOK_SECRET_PREVIOUS"):
        secrets.append(reader.secret("RAZORPAY_WEBHOOK_SECRET_PREVIOUS"))
    settings = WebhookSettings(
        table=reader.required("PAYMENTS_TABLE"),
        event_bus=reader.required("EVENT_BUS"),
        webhook_secrets=tuple(secrets),
    )
    reader.finish()
    return settings


def reconcile_settings(values: Mapping[str, str]) -> ReconcileSettings:
    """The settings of reconcile; ConfigurationError names everything that is wrong with them."""
    reader = _Reader(values)
    settings = ReconcileSettings(
        table=reader.required("PAYMENTS_TABLE"),
        event_bus=reader.required("EVENT_BUS"),
        stage=reader.stage(),
        key_id=reader.key_id(),
        key_secret=reader.secret("RAZORPAY_KEY_SECRET"),
        api_url=values.get("RAZORPAY_API_URL") or RAZORPAY_API_URL,
    )
    reader.finish()
    return settings


class _Reader:
    """Reads settings and remembers every problem, so that one message names them all."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values
        self._problems: list[str] = []

    def required(self, name: str) -> str:
        value = self._values.get(name, "").strip()
        if not value:
            self._problems.append(f"{name} is not set")
        return value

    def secret(self, name: str, *, min_chars: int = _MIN_SECRET_CHARS) -> str:
        value = self.required(name)
        if value and len(value.encode()) < min_chars:
            self._problems.append(f"{name} is too short (at least {min_chars} bytes)")
        return value

    def stage(self) -> str:
        stage = self.required("STAGE")
        if len(stage) > _MAX_STAGE_CHARS:
            # The receipt is made of stage and payment id, and Razorpay takes 40 characters.
            self._problems.append(f"STAGE is too long (at most {_MAX_STAGE_CHARS} characters)")
        return stage

    def key_id(self) -> str:
        key_id = self.required("RAZORPAY_KEY_ID")
        if key_id and not key_id.startswith(("rzp_test_", "rzp_live_")):
            self._problems.append("RAZORPAY_KEY_ID is not a key id of Razorpay (rzp_test_… or rzp_live_…)")
        if key_id.startswith("rzp_test_") and self._values.get("STAGE") == _PRODUCTION:
            self._problems.append("RAZORPAY_KEY_ID is a test key, and this is production")
        return key_id

    def currencies(self) -> frozenset[str]:
        listed = [code.strip() for code in (self._values.get("CURRENCIES") or "INR").split(",")]
        unknown = [code for code in listed if code not in EXPONENT_BY_CURRENCY]
        if unknown:
            self._problems.append("CURRENCIES has something that is not a currency Razorpay supports")
        return frozenset(listed)

    def token_rules(self) -> TokenRules:
        algorithm = self._values.get("JWT_ALGORITHM") or "HS256"
        if algorithm != "HS256":
            self._problems.append("JWT_ALGORITHM must be HS256")
        return TokenRules(
            algorithm=algorithm,
            key=self.secret("JWT_SECRET", min_chars=_MIN_HS256_KEY_BYTES),
            user_claim=self._values.get("JWT_USER_CLAIM") or "user_id",
            issuer=self._values.get("JWT_ISSUER") or None,
            audience=self._values.get("JWT_AUDIENCE") or None,
        )

    def finish(self) -> None:
        if self._problems:
            raise ConfigurationError(self._problems)


def _short(secret_id: str) -> str:
    """A secret's name without the account and region of its ARN."""
    return secret_id.rpartition(":")[2]
