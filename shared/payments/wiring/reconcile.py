"""What reconcile works with: the table and its index, the gateway and the bus."""

from dataclasses import dataclass
from functools import lru_cache

from payments.adapters.bus import Bus
from payments.adapters.config import ReconcileSettings, reconcile_settings
from payments.adapters.log import RequestLog
from payments.adapters.table import PaymentsTable
from payments.wiring import aws
from payments.wiring.gateway import RotatingGateway

# Nobody waits for reconcile, and a query that fails ends the run: it has more patience than those who must answer.
TABLE_READ_TIMEOUT_S = 3.0


@dataclass(frozen=True, slots=True)
class Dependencies:
    """Settings and adapters of one run; clients are shared by all runs of an instance."""

    table: PaymentsTable
    gateway: RotatingGateway
    bus: Bus
    stage: str


def dependencies(log: RequestLog) -> Dependencies:
    """Reads the settings and puts everything together.

    Raises:
        ConfigurationError: names every setting that is missing or unusable.
    """
    settings = _settings(aws.setting_texts(log))

    def renewed() -> ReconcileSettings:
        return _settings(aws.renewed_texts(log))

    return Dependencies(
        table=aws.table(settings.table, attempts=2, read_timeout_s=TABLE_READ_TIMEOUT_S),
        gateway=RotatingGateway(settings, renewed),
        bus=aws.bus(settings.event_bus),
        stage=settings.stage,
    )


@lru_cache(maxsize=1)
def _settings(texts: aws.SettingTexts) -> ReconcileSettings:
    return reconcile_settings(texts.values())
