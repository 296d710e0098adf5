"""What outbox works with: the table and its index, and the bus. No API key."""

from dataclasses import dataclass
from functools import lru_cache

from payments.adapters.bus import Bus
from payments.adapters.config import OutboxSettings, outbox_settings
from payments.adapters.log import RequestLog
from payments.adapters.table import PaymentsTable
from payments.wiring import aws
from payments.wiring.lanes import TABLE_READ_TIMEOUT_S


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
        table=aws.table(settings.table, attempts=2, read_timeout_s=TABLE_READ_TIMEOUT_S),
        bus=aws.bus(settings.event_bus),
    )


@lru_cache(maxsize=1)
def _settings(texts: aws.SettingTexts) -> OutboxSettings:
    return outbox_settings(texts.values())
