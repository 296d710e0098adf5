"""The dependencies of outbox: the table, its index and the bus. No API key."""

from dataclasses import dataclass
from functools import lru_cache

from payments.adapters.bus import Bus
from payments.adapters.config import OutboxSettings, outbox_settings
from payments.adapters.log import RequestLog
from payments.adapters.table import PaymentsTable
from payments.core.events import EventDetail, PaymentDetail
from payments.wiring import aws, priming
from payments.wiring.lanes import patient_table


@dataclass(frozen=True, slots=True)
class Dependencies:
    """The settings and adapters of one run. All runs of an instance share clients."""

    table: PaymentsTable
    bus: Bus


def dependencies(log: RequestLog) -> Dependencies:
    """Read the settings and connect everything.

    Raises:
        ConfigurationError: names every setting that is missing or invalid.
    """
    settings = _settings(aws.setting_texts(log))
    return Dependencies(
        table=patient_table(settings.table),
        bus=aws.bus(settings.event_bus),
    )


def prime() -> None:
    """Load what the first run needs; see `priming`."""
    priming.prime(patient_table, aws.bus, models=(OutboxSettings, EventDetail, PaymentDetail))


@lru_cache(maxsize=1)
def _settings(texts: aws.SettingTexts) -> OutboxSettings:
    return outbox_settings(texts.values())
