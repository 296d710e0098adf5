"""What reconcile works with: the table and its index, the gateway and the bus."""

from dataclasses import dataclass

from payments.adapters.bus import Bus
from payments.adapters.config import reconcile_settings
from payments.adapters.gateway import RazorpayGateway
from payments.adapters.table import PaymentsTable
from payments.wiring import aws
from payments.wiring.gateway import gateway

# Nobody waits for reconcile, and a query that fails ends the run: it has more patience than those who must answer.
TABLE_READ_TIMEOUT_S = 3.0


@dataclass(frozen=True, slots=True)
class Dependencies:
    """Settings and adapters of one run; clients are shared by all runs of an instance."""

    table: PaymentsTable
    gateway: RazorpayGateway
    bus: Bus
    stage: str


def dependencies() -> Dependencies:
    """Reads the settings and puts everything together.

    Raises:
        ConfigurationError: names every setting that is missing or unusable.
    """
    settings = reconcile_settings(aws.setting_values())
    return Dependencies(
        table=aws.table(settings.table, attempts=2, read_timeout_s=TABLE_READ_TIMEOUT_S),
        gateway=gateway(
            key_id=settings.key_id, key_secret=settings.key_secret, api_url=settings.api_url, stage=settings.stage
        ),
        bus=aws.bus(settings.event_bus),
        stage=settings.stage,
    )
