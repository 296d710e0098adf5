"""The dependencies of verify. It has no bus: it records events and leaves publishing to the webhook."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import lru_cache

from payments.adapters.config import VerifySettings, verify_settings
from payments.adapters.log import RequestLog
from payments.adapters.table import PaymentsTable
from payments.core.model import Application, Attempt, PendingEvent
from payments.core.signature import checkout_signature_is_valid
from payments.core.wire import VerifyBody
from payments.wiring import aws, callers, priming
from payments.wiring.callers import Callers


@dataclass(frozen=True, slots=True)
class Dependencies:
    """The settings and adapters of one request. All requests of an instance share clients."""

    table: PaymentsTable
    callers: Callers
    key_secrets: tuple[str, ...] = field(repr=False)
    renewed_key_secrets: Callable[[], tuple[str, ...]]

    def is_signed(self, *, order_id: str, payment_id: str, signature: str) -> bool:
        """Return whether Razorpay signed this payment for this order, with a known key or one put in place just now.

        The key before the last rotation is accepted too: a checkout opened with it may end after the rotation.
        """

        def fits(key_secrets: Iterable[str]) -> bool:
            return any(
                checkout_signature_is_valid(
                    order_id=order_id, payment_id=payment_id, signature=signature, key_secret=key_secret
                )
                for key_secret in key_secrets
            )

        return fits(self.key_secrets) or fits(self.renewed_key_secrets())


def dependencies(log: RequestLog) -> Dependencies:
    """Read the settings and connect everything.

    Raises:
        ConfigurationError: names every setting that is missing or invalid.
    """
    settings = _settings(aws.setting_texts(log))

    def renewed() -> VerifySettings:
        return _settings(aws.renewed_texts(log, previous=True))

    return Dependencies(
        table=_table(settings.table),
        callers=Callers(settings, renewed, log),
        key_secrets=settings.key_secrets,
        renewed_key_secrets=lambda: renewed().key_secrets,
    )


def prime() -> None:
    """Load what the first request needs, but nothing secret; see `priming`."""
    priming.prime(_table, models=(VerifySettings, VerifyBody, Application, Attempt, PendingEvent), also=[callers.prime])


def _table(name: str) -> PaymentsTable:
    return aws.table(name, attempts=2)


@lru_cache(maxsize=1)
def _settings(texts: aws.SettingTexts) -> VerifySettings:
    return verify_settings(texts.values(), texts.previous_values())
