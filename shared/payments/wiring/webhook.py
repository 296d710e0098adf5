"""The dependencies of webhook: the table, the bus and the webhook secrets. No API key."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from payments.adapters.bus import Bus
from payments.adapters.config import WebhookSettings, webhook_settings
from payments.adapters.log import RequestLog
from payments.adapters.table import PaymentsTable
from payments.core.entities import PaymentPayload, RefundPayload
from payments.core.events import EventDetail, PaymentDetail, RefundDetail
from payments.core.model import Attempt, KnownRefund, PendingEvent, Refund
from payments.core.position import Policy
from payments.core.signature import webhook_signature_is_valid
from payments.wiring import aws, priming


@dataclass(frozen=True, slots=True)
class Dependencies:
    """The settings and adapters of one request. All requests of an instance share clients."""

    table: PaymentsTable
    bus: Bus
    secrets: tuple[str, ...] = field(repr=False)
    renewed_secrets: Callable[[], tuple[str, ...]]
    policy: Policy

    def is_signed(self, body: bytes, signature: str | None) -> bool:
        """Return whether Razorpay signed these bytes, with a known secret or one put in place just now."""
        return webhook_signature_is_valid(body, signature, self.secrets) or webhook_signature_is_valid(
            body, signature, self.renewed_secrets()
        )


def dependencies(log: RequestLog) -> Dependencies:
    """Read the settings and connect everything.

    Raises:
        ConfigurationError: names every setting that is missing or invalid.
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


_MODELS: Final = (
    *(WebhookSettings, PaymentPayload, RefundPayload, Attempt, Refund, KnownRefund),
    *(PendingEvent, EventDetail, PaymentDetail, RefundDetail),
)
"""What most deliveries need. A failure's and a review's details are built when the first of each comes."""


def prime() -> None:
    """Load what the first request needs, but nothing secret; see `priming`."""
    priming.prime(_table, aws.bus, models=_MODELS)


def _table(name: str) -> PaymentsTable:
    # One attempt per call: the core retries the whole step, and Razorpay the whole delivery.
    return aws.table(name, attempts=1)


@lru_cache(maxsize=1)
def _settings(texts: aws.SettingTexts) -> WebhookSettings:
    return webhook_settings(texts.values(), texts.previous_values())
