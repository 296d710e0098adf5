"""What webhook works with: the table, the bus and the webhook secrets, and no API key."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache

from payments.adapters.bus import Bus
from payments.adapters.config import WebhookSettings, webhook_settings
from payments.adapters.log import RequestLog
from payments.adapters.table import PaymentsTable
from payments.core.position import Policy
from payments.core.signature import webhook_signature_is_valid
from payments.wiring import aws, priming


@dataclass(frozen=True, slots=True)
class Dependencies:
    """Settings and adapters of one request; clients are shared by all requests of an instance."""

    table: PaymentsTable
    bus: Bus
    secrets: tuple[str, ...] = field(repr=False)
    renewed_secrets: Callable[[], tuple[str, ...]]
    policy: Policy

    def is_signed(self, body: bytes, signature: str | None) -> bool:
        """Whether Razorpay signed these bytes: with a secret we know, or else one that was put in place just now."""
        return webhook_signature_is_valid(body, signature, self.secrets) or webhook_signature_is_valid(
            body, signature, self.renewed_secrets()
        )


def dependencies(log: RequestLog) -> Dependencies:
    """Reads the settings and puts everything together.

    Raises:
        ConfigurationError: names every setting that is missing or unusable.
    """
    settings = _settings(aws.setting_texts(log))

    def renewed_secrets() -> tuple[str, ...]:
        return _settings(aws.renewed_texts(log, previous=True)).webhook_secrets

    return Dependencies(
        table=_table(settings.table),
        bus=aws.bus(settings.event_bus),
        secrets=settings.webhook_secrets,
        renewed_secrets=renewed_secrets,
        policy=settings.policy,
    )


def prime() -> None:
    """Loads what the first request needs, and nothing secret; see `priming`."""
    priming.prime(_table, aws.bus)


def _table(name: str) -> PaymentsTable:
    # One try a call: the core tries the whole step again, and Razorpay the whole delivery.
    return aws.table(name, attempts=1)


@lru_cache(maxsize=1)
def _settings(texts: aws.SettingTexts) -> WebhookSettings:
    return webhook_settings(texts.values(), texts.previous_values())
