"""What outbox works with: the table and its index, and the bus. No API key."""

from dataclasses import dataclass
from functools import lru_cache

from payments.adapters.bus import Bus
from payments.adapters.config import OutboxSettings, outbox_settings
from payments.adapters.log import RequestLog
from payments.adapters.table import PaymentsTable
from payments.wiring import aws, priming
from payments.wiring.lanes import patient_table


@dataclass(frozen=True, slots=True)
class Dependencies:
    """Settings and adapters of one run; clients are shared by all runs of an instance."""

    table: PaymentsTable
    bus: Bus


def dependencies(log: RequestLog) -> Dependencies:
    """Reads the settings and puts everything together.

    Raises:
        ConfigurationError: names every setting that is missing or unusable.
    """
    settings = _settings(aws.setting_texts(log))
    return Dependencies(
        table=patient_table(settings.table),
        bus=aws.bus(settings.event_bus),
    )


def prime() -> None:
    """Loads what the first run needs; see `priming`."""
    priming.prime(patient_table, aws.bus)


@lru_cache(maxsize=1)
def _settings(texts: aws.SettingTexts) -> OutboxSettings:
    return outbox_settings(texts.values())
