"""What verify works with. It has no bus: it records events and leaves publishing to the webhook."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import lru_cache

from payments.adapters.config import VerifySettings, verify_settings
from payments.adapters.log import RequestLog
from payments.adapters.table import PaymentsTable
from payments.core.signature import checkout_signature_is_valid
from payments.wiring import aws, callers, priming
from payments.wiring.callers import Callers


@dataclass(frozen=True, slots=True)
class Dependencies:
    """Settings and adapters of one request; clients are shared by all requests of an instance."""

    table: PaymentsTable
    callers: Callers
    key_secrets: tuple[str, ...] = field(repr=False)
    renewed_key_secrets: Callable[[], tuple[str, ...]]

    def is_signed(self, *, order_id: str, payment_id: str, signature: str) -> bool:
        """Whether Razorpay signed this payment for this order: under a key we know, or else one put in place just now.

        The key before the last rotation counts as well: a checkout that was opened under it may end after it.
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
    """Reads the settings and puts everything together.

    Raises:
        ConfigurationError: names every setting that is missing or unusable.
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
    """Loads what the first request needs, and nothing secret; see `priming`."""
    priming.prime(_table, also=[callers.prime])


def _table(name: str) -> PaymentsTable:
    return aws.table(name, attempts=2)


@lru_cache(maxsize=1)
def _settings(texts: aws.SettingTexts) -> VerifySettings:
    return verify_settings(texts.values(), texts.previous_values())
