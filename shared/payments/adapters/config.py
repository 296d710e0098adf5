"""The settings of each function, checked before it does anything. Messages name settings and show no values.

Values come from environment variables and from Secrets Manager, which overrides them: each secret named in `SECRET_IDS`
is a JSON object whose keys are setting names. Plain variables are for `sam local`, `.env` and tests.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from functools import lru_cache
from importlib.util import find_spec
from itertools import combinations
from types import MappingProxyType
from urllib.parse import urlsplit

from pydantic import Field

from payments.core.errors import ConfigurationError
from payments.core.identity import QuoteRules, TokenRules
from payments.core.model import Model
from payments.core.money import EXPONENT_BY_CURRENCY
from payments.core.position import Policy

RAZORPAY_API_URL = "https://api.razorpay.com"
DEFAULTS: Mapping[str, str] = {
    "RAZORPAY_API_URL": RAZORPAY_API_URL,
    "CURRENCIES": "INR",
    "JWT_ALGORITHM": "HS256",
    "JWT_USER_CLAIM": "user_id",
    "QUOTE_ALGORITHM": "HS256",
    "QUOTE_REQUIRED": "false",
    "ORDER_EXPIRY_DAYS": "30",
}
"""The values of settings that are absent or empty. Any other setting is required, or has no effect if it is absent."""

# RFC 7518, section 3.2: a key of at least the hash's size.
_MIN_HS256_KEY_BYTES = 32
# Short enough to type into Razorpay's dashboard by hand, too long to guess.
_MIN_SECRET_CHARS = 12
_MAX_STAGE_CHARS = 16
_PRODUCTION = "production"
_LOCAL = "local"

# Parts of secrets that are not random: placeholders in templates and tutorials. Long enough that no random secret
# contains one by chance. Compared without case, dashes, dots and underscores.
_PLACEHOLDERS = (
    "changeme",
    "changethis",
    "replaceme",
    "replacethis",
    "placeholder",
    "yoursecret",
    "yourwebhook",
    "yourkey",
    "yourrazorpay",
    "yourjwt",
    "djangoinsecure",  # the start of the SECRET_KEY that startproject puts into settings.py
    "examplesecret",
    "testsecret",
    "notasecret",
    "password",
    "12345678",
    "abcdefgh",
)
# "xxxxxxxxxxxx" and the like. Twelve random hexadecimal digits have fewer than four different ones once in ten million.
_MIN_DIFFERENT_CHARS = 4
# The secrets of sandbox/development.py are in a public repository, so everyone knows them.
_DEVELOPMENT_SECRET = "local-development-"  # noqa: S105 - how all of them begin
_DEVELOPMENT_KEY_ID = "rzp_test_LocalSandbox"

_AMOUNT = re.compile(r"\A[0-9]{1,12}(\.[0-9]{1,3})?\Z")
# One scope-token of RFC 6749, section 3.3: printable, no space, quote or backslash. The template has the same rule.
_SCOPE = re.compile(r"\A[A-Za-z0-9!#-\[\]-~]{1,128}\Z")
# Razorpay shows an order for 180 days, and the second pass reads it eight days after the first (`core.expiry`).
_EXPIRY_DAYS = re.compile(r"\A[1-9][0-9]{0,2}\Z")
_MOST_EXPIRY_DAYS = 170
_PERCENT = re.compile(r"\A[1-9][0-9]?\Z")
_DAY_S = 24 * 60 * 60
_LIVE_KEY = "rzp_live_"
_ALGORITHMS = ("HS256", "RS256", "ES256")
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}
_MIN_RSA_BITS, _MAX_RSA_BITS = 2048, 8192
# Everyone knows a public key, so anyone could sign an HS256 token with it: the oldest algorithm confusion attack. The
# formats are PEM, SSH, and DER in base64 (a sequence that starts with an algorithm).
_KEY_TEXT = re.compile(r"-----? ?BEGIN |\A(ssh-|ecdsa-)|\A(MII|MFkw|MHYw|MIGb)[A-Za-z0-9+/=\s]{90,}\Z")


class CreateOrderSettings(Model):
    """The settings of create_order."""

    table: str
    stage: str
    key_id: str
    key_secret: str = Field(repr=False)
    api_url: str
    currencies: frozenset[str]
    max_amount: Decimal | None
    """The largest amount of an order, in major units of its currency; None for Razorpay's own limit."""
    policy: Policy
    order_expiry_s: int
    """The age at which an unpaid order expires, in seconds."""
    token_rules: TokenRules
    quote_rules: QuoteRules


class VerifySettings(Model):
    """The settings of verify."""

    table: str
    key_secrets: tuple[str, ...] = Field(repr=False)
    """The current one and, if it was just rotated, the previous one."""
    token_rules: TokenRules


class WebhookSettings(Model):
    """The settings of webhook."""

    table: str
    event_bus: str
    webhook_secrets: tuple[str, ...] = Field(repr=False)
    """The current one and, during a rotation, the previous ones."""
    policy: Policy


class RefundSettings(Model):
    """The settings of refund."""

    table: str
    stage: str
    key_id: str
    key_secret: str = Field(repr=False)
    api_url: str
    scope: str | None
    """The scope that lets a token request refunds; None if no token may."""
    token_rules: TokenRules | None
    """None without a scope: what is not needed is not read."""


class OutboxSettings(Model):
    """The settings of outbox, which needs no Razorpay key."""

    table: str
    event_bus: str


class ReconcileSettings(Model):
    """The settings of reconcile."""

    table: str
    event_bus: str
    stage: str
    key_id: str
    key_secret: str = Field(repr=False)
    api_url: str
    policy: Policy
    order_expiry_s: int
    """The age at which an unpaid order expires, in seconds."""


_NOTHING: Mapping[str, str] = MappingProxyType({})


def read_values(environment: Mapping[str, str], read_secret: Callable[[str], str]) -> dict[str, str]:
    """Return every setting by name. Secrets override environment variables.

    Args:
        environment: the function's environment variables.
        read_secret: returns the text of a secret by its id or ARN.

    Raises:
        ConfigurationError: a secret is not a JSON object of strings.
    """
    values = dict(environment)
    for secret_id in secret_ids(environment):
        try:
            content = json.loads(read_secret(secret_id))
        except ValueError:
            content = None
        if not isinstance(content, dict) or not all(isinstance(value, str) for value in content.values()):
            raise ConfigurationError(
                [f"the secret {_short(secret_id)} must be a JSON object of setting names and strings"]
            )
        values |= content
    return values


def secret_ids(environment: Mapping[str, str]) -> list[str]:
    """Return the ids or ARNs of the secrets that contain settings."""
    return [part.strip() for part in environment.get("SECRET_IDS", "").split(",") if part.strip()]


def read_previous(texts: Iterable[str]) -> dict[str, str]:
    """Return settings by name from the secrets' texts before their rotation. Texts that cannot be read are ignored."""
    values: dict[str, str] = {}
    for text in texts:
        try:
            content = json.loads(text)
        except ValueError:
            continue
        if isinstance(content, dict):
            values |= {name: value for name, value in content.items() if isinstance(value, str)}
    return values


def create_order_settings(values: Mapping[str, str]) -> CreateOrderSettings:
    """Return the settings of create_order; ConfigurationError names everything that is wrong with them."""
    reader = _Reader(values)
    settings = CreateOrderSettings(
        table=reader.required("PAYMENTS_TABLE"),
        stage=reader.stage,
        key_id=reader.key_id(),
        key_secret=reader.secret("RAZORPAY_KEY_SECRET"),
        api_url=reader.api_url(),
        currencies=reader.currencies(),
        max_amount=reader.max_amount(),
        policy=reader.policy(),
        order_expiry_s=reader.order_expiry_s(),
        token_rules=reader.token_rules(),
        quote_rules=reader.quote_rules(),
    )
    reader.finish()
    return settings


def verify_settings(values: Mapping[str, str], previous: Mapping[str, str] = _NOTHING) -> VerifySettings:
    """Return the settings of verify; ConfigurationError names everything that is wrong with them.

    Args:
        values: settings by name.
        previous: settings in the secrets before their last rotation, by name.
    """
    reader = _Reader(values)
    settings = VerifySettings(
        table=reader.required("PAYMENTS_TABLE"),
        key_secrets=(
            reader.secret("RAZORPAY_KEY_SECRET"),
            *reader.secrets_before("RAZORPAY_KEY_SECRET", previous),
        ),
        token_rules=reader.token_rules(),
    )
    reader.finish()
    return settings


def webhook_settings(values: Mapping[str, str], previous: Mapping[str, str] = _NOTHING) -> WebhookSettings:
    """Return the settings of webhook; ConfigurationError names everything that is wrong with them.

    Args:
        values: settings by name.
        previous: settings in the secret before its last rotation, by name.
    """
    reader = _Reader(values)
    secrets = [reader.secret("RAZORPAY_WEBHOOK_SECRET")]
    if values.get("RAZORPAY_WEBHOOK_SECRET_PREVIOUS"):
        secrets.append(reader.secret("RAZORPAY_WEBHOOK_SECRET_PREVIOUS"))
    secrets.extend(reader.secrets_before("RAZORPAY_WEBHOOK_SECRET", previous))
    settings = WebhookSettings(
        table=reader.required("PAYMENTS_TABLE"),
        event_bus=reader.required("EVENT_BUS"),
        webhook_secrets=tuple(secrets),
        policy=reader.policy(),
    )
    reader.finish()
    return settings


def reconcile_settings(values: Mapping[str, str]) -> ReconcileSettings:
    """Return the settings of reconcile; ConfigurationError names everything that is wrong with them."""
    reader = _Reader(values)
    settings = ReconcileSettings(
        table=reader.required("PAYMENTS_TABLE"),
        event_bus=reader.required("EVENT_BUS"),
        stage=reader.stage,
        key_id=reader.key_id(),
        key_secret=reader.secret("RAZORPAY_KEY_SECRET"),
        api_url=reader.api_url(),
        policy=reader.policy(),
        order_expiry_s=reader.order_expiry_s(),
    )
    reader.finish()
    return settings


def refund_settings(values: Mapping[str, str]) -> RefundSettings:
    """Return the settings of refund; ConfigurationError names everything that is wrong with them."""
    reader = _Reader(values)
    scope = reader.refund_scope()
    settings = RefundSettings(
        table=reader.required("PAYMENTS_TABLE"),
        stage=reader.stage,
        key_id=reader.key_id(),
        key_secret=reader.secret("RAZORPAY_KEY_SECRET"),
        api_url=reader.api_url(),
        scope=scope,
        token_rules=None if scope is None else reader.token_rules(),
    )
    reader.finish()
    return settings


def outbox_settings(values: Mapping[str, str]) -> OutboxSettings:
    """Return the settings of outbox; ConfigurationError names everything that is wrong with them."""
    reader = _Reader(values)
    settings = OutboxSettings(table=reader.required("PAYMENTS_TABLE"), event_bus=reader.required("EVENT_BUS"))
    reader.finish()
    return settings


class _Reader:
    """Reads settings and remembers every problem, so that one message names them all."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values
        self._problems: list[str] = []
        self.stage = self._read_stage()
        # The key decides whether money is real, whatever the stage is called.
        self.is_live = self.stage == _PRODUCTION or values.get("RAZORPAY_KEY_ID", "").strip().startswith(_LIVE_KEY)
        self._check_that_secrets_differ()

    def required(self, name: str) -> str:
        value = self._values.get(name, "").strip()
        if not value:
            self._problems.append(f"{name} is not set")
        return value

    def _given(self, name: str) -> str:
        return self._values.get(name) or DEFAULTS[name]

    def secret(self, name: str, *, min_chars: int = _MIN_SECRET_CHARS) -> str:
        value = self._values.get(name, "")
        if not value.strip():
            self._problems.append(f"{name} is not set")
            return ""
        problem = _secret_problem(value, min_chars, documented=self.stage == _LOCAL and not self.is_live)
        if problem is not None:
            self._problems.append(f"{name} {problem}")
        return value

    def secrets_before(self, name: str, previous: Mapping[str, str]) -> list[str]:
        """Return the secret's value before its rotation, if that is valid: a first value often is a placeholder."""
        value = previous.get(name, "")
        documented = self.stage == _LOCAL and not self.is_live
        is_fit = value.strip() and _secret_problem(value, _MIN_SECRET_CHARS, documented=documented) is None
        return [value] if is_fit and value != self._values.get(name) else []

    def _read_stage(self) -> str:
        stage = self.required("STAGE")
        if len(stage) > _MAX_STAGE_CHARS:
            # The receipt contains the stage and the payment id, and Razorpay accepts 40 characters.
            self._problems.append(f"STAGE is too long (at most {_MAX_STAGE_CHARS} characters)")
        return stage

    def key_id(self) -> str:
        key_id = self.required("RAZORPAY_KEY_ID")
        if key_id and not key_id.startswith(("rzp_test_", "rzp_live_")):
            self._problems.append("RAZORPAY_KEY_ID is not a Razorpay key id (rzp_test_… or rzp_live_…)")
        elif key_id.startswith("rzp_test_") and self.stage == _PRODUCTION:
            self._problems.append("RAZORPAY_KEY_ID is a test key, and this is production")
        elif key_id.startswith(_DEVELOPMENT_KEY_ID) and self.stage != _LOCAL:
            self._problems.append("RAZORPAY_KEY_ID is the sandbox's documented one")
        return key_id

    def api_url(self) -> str:
        url = self._given("RAZORPAY_API_URL")
        if url != RAZORPAY_API_URL and self.is_live:
            # The keys are sent there.
            self._problems.append("RAZORPAY_API_URL is not Razorpay's, and the key is a live one")
        return url

    def currencies(self) -> frozenset[str]:
        listed = [code.strip() for code in self._given("CURRENCIES").split(",")]
        unknown = [code for code in listed if code not in EXPONENT_BY_CURRENCY]
        if unknown:
            self._problems.append("CURRENCIES contains something that is not a currency supported by Razorpay")
        return frozenset(listed)

    def max_amount(self) -> Decimal | None:
        text = self._values.get("MAX_AMOUNT", "").strip()
        if not text:
            return None
        if not _AMOUNT.match(text) or Decimal(text) <= 0:
            self._problems.append("MAX_AMOUNT must be an amount in major units, such as 500000")
            return None
        return Decimal(text)

    def policy(self) -> Policy:
        text = self._values.get("ACCEPT_OFFERS", "").strip()
        if not text:
            return Policy()
        if not _PERCENT.match(text):
            self._problems.append("ACCEPT_OFFERS must be a whole percentage from 1 to 99")
            return Policy()
        return Policy(accept_offers_from_percent=int(text))

    def refund_scope(self) -> str | None:
        scope = self._values.get("REFUND_SCOPE", "").strip()
        if scope and not _SCOPE.match(scope):
            self._problems.append("REFUND_SCOPE must be one scope, such as payments:refund")
            return None
        return scope or None

    def order_expiry_s(self) -> int:
        text = self._given("ORDER_EXPIRY_DAYS").strip()
        if not _EXPIRY_DAYS.match(text) or int(text) > _MOST_EXPIRY_DAYS:
            self._problems.append(f"ORDER_EXPIRY_DAYS must be a whole number from 1 to {_MOST_EXPIRY_DAYS}")
            text = DEFAULTS["ORDER_EXPIRY_DAYS"]
        return int(text) * _DAY_S

    def token_rules(self) -> TokenRules:
        algorithm = self._given("JWT_ALGORITHM")
        key, key_set_url = None, None
        if algorithm == "HS256":
            if self._values.get("JWT_JWKS_URL"):
                self._problems.append("JWT_JWKS_URL is for RS256 and ES256, and JWT_ALGORITHM is HS256")
            key = self._shared_key("JWT_SECRET", "JWT_ALGORITHM")
        elif algorithm in _ALGORITHMS:
            key, key_set_url = self._public_token_key(algorithm)
        else:
            self._problems.append(f"JWT_ALGORITHM must be one of {', '.join(_ALGORITHMS)}")
        return TokenRules(
            algorithm=algorithm,
            key=key,
            key_set_url=key_set_url,
            user_claim=self._given("JWT_USER_CLAIM"),
            issuer=self._values.get("JWT_ISSUER") or None,
            audience=self._values.get("JWT_AUDIENCE") or None,
        )

    def quote_rules(self) -> QuoteRules:
        """Return the rules for quotes. Without a key, an algorithm or the wish to require them, there are none."""
        algorithm = self._given("QUOTE_ALGORITHM")
        required = self._given("QUOTE_REQUIRED")
        if required not in {"true", "false"}:
            self._problems.append("QUOTE_REQUIRED must be true or false")
        names = ("QUOTE_SECRET", "QUOTE_PUBLIC_KEY", "QUOTE_ALGORITHM")
        # A quote that should have been checked and is not would let the browser's price through.
        if required == "false" and not any(self._values.get(name, "").strip() for name in names):
            return QuoteRules(algorithm=algorithm)
        key = None
        if algorithm == "HS256":
            key = self._shared_key("QUOTE_SECRET", "QUOTE_ALGORITHM")
        elif algorithm in _ALGORITHMS:
            key = self._pem("QUOTE_PUBLIC_KEY")
            if not key:
                self._problems.append(f"QUOTE_PUBLIC_KEY is not set, and QUOTE_ALGORITHM is {algorithm}")
            self._check_public_key("QUOTE_PUBLIC_KEY", key, "QUOTE_ALGORITHM", algorithm)
        else:
            self._problems.append(f"QUOTE_ALGORITHM must be one of {', '.join(_ALGORITHMS)}")
        return QuoteRules(algorithm=algorithm, key=key, required=required == "true")

    def _shared_key(self, name: str, setting: str) -> str:
        """Return the key of HS256. `setting` is the one that has the algorithm."""
        key = self._values.get(name, "")
        if _KEY_TEXT.search(key) or _is_json_object(key):
            self._problems.append(f"{name} is a key for RS256 or ES256, and {setting} is HS256")
            return key
        return self.secret(name, min_chars=_MIN_HS256_KEY_BYTES)

    def _pem(self, name: str) -> str:
        # A .env file has no line breaks within a value.
        return self._values.get(name, "").replace("\\n", "\n").strip()

    def _check_public_key(self, name: str, pem: str, setting: str, algorithm: str) -> None:
        if find_spec("cryptography") is None:
            self._problems.append(f"{setting} {algorithm} needs the layer with cryptography")
        elif pem and (problem := _public_key_problem(algorithm, pem, setting)) is not None:
            self._problems.append(f"{name} {problem}")

    def _public_token_key(self, algorithm: str) -> tuple[str | None, str | None]:
        pem = self._pem("JWT_PUBLIC_KEY")
        url = self._values.get("JWT_JWKS_URL", "").strip()
        if pem and url:
            self._problems.append("JWT_PUBLIC_KEY and JWT_JWKS_URL are both set; set only one")
        elif not pem and not url:
            self._problems.append(f"JWT_PUBLIC_KEY or JWT_JWKS_URL is not set, and {algorithm} needs one of them")
        self._check_public_key("JWT_PUBLIC_KEY", pem, "JWT_ALGORITHM", algorithm)
        if url and not _is_safe_url(url):
            self._problems.append("JWT_JWKS_URL must start with https:// (http:// only for localhost)")
        return pem or None, url or None

    def _check_that_secrets_differ(self) -> None:
        """Refuse a secret that has two uses: whoever learns one must not have the other as well."""
        names = ("RAZORPAY_KEY_SECRET", "RAZORPAY_WEBHOOK_SECRET", "JWT_SECRET", "QUOTE_SECRET")
        given = [(name, self._values.get(name, "").strip()) for name in names]
        for (name, value), (other, its) in combinations([pair for pair in given if pair[1]], 2):
            if value == its:
                self._problems.append(f"{name} and {other} are the same")

    def finish(self) -> None:
        if self._problems:
            raise ConfigurationError(self._problems)


def _secret_problem(value: str, min_chars: int, *, documented: bool) -> str | None:
    """Return what is wrong with a secret, in words that follow its name, or None.

    Args:
        value: the secret.
        min_chars: the minimum length, in bytes.
        documented: whether the sandbox's own secrets are accepted.
    """
    if any(char.isspace() for char in value):
        # It would be part of the key here, but is lost when the secret is copied into the other side's form.
        return "contains white space"
    if len(value.encode()) < min_chars:
        return f"is too short (at least {min_chars} bytes)"
    if value.startswith(_DEVELOPMENT_SECRET):
        return None if documented else "is the sandbox's documented one"
    plain = re.sub(r"[-_.]", "", value.lower())
    if value[0] in "<{$" or len(set(value)) < _MIN_DIFFERENT_CHARS or any(word in plain for word in _PLACEHOLDERS):
        return "is a placeholder"
    return None


# Parsing PEM takes as long as checking a signature. Two keys, of tokens and of quotes, before and after a rotation.
@lru_cache(maxsize=4)
def _public_key_problem(algorithm: str, pem: str, setting: str) -> str | None:
    """Return what is wrong with a public key, in words that follow its name, or None.

    Args:
        algorithm: what it is to verify.
        pem: the key.
        setting: the setting that has the algorithm.
    """
    # From a package that HS256 does not need.
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import load_pem_public_key  # noqa: PLC0415

    if "PRIVATE KEY" in pem:
        return "is a private key, which only the signer may have"
    try:
        key = load_pem_public_key(pem.encode())
    except (ValueError, UnsupportedAlgorithm):
        return "is not a public key in PEM form (BEGIN PUBLIC KEY)"
    if algorithm == "RS256":
        if not isinstance(key, RSAPublicKey) or not _MIN_RSA_BITS <= key.key_size <= _MAX_RSA_BITS:
            return f"is not an RSA key of {_MIN_RSA_BITS} to {_MAX_RSA_BITS} bits, and {setting} is RS256"
    elif not isinstance(key, EllipticCurvePublicKey) or not isinstance(key.curve, SECP256R1):
        return f"is not a key on the curve P-256, and {setting} is ES256"
    return None


def _is_json_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False


def _is_safe_url(url: str) -> bool:
    """Return whether nobody on the network can impersonate this address: https, or this machine."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port  # both are parsed on access
    except ValueError:
        return False
    if not host or parts.username is not None or parts.fragment or any(char.isspace() for char in url):
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and host in _LOOPBACK)


def _short(secret_id: str) -> str:
    """Return a secret's name without the account and region of its ARN."""
    return secret_id.rpartition(":")[2]
