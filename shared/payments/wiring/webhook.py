"""What webhook works with: the table, the bus and the webhook secrets, and no API key."""

from dataclasses import dataclass, field

from payments.adapters.bus import Bus
from payments.adapters.config import webhook_settings
from payments.adapters.table import PaymentsTable
from payments.wiring import aws


@dataclass(frozen=True, slots=True)
class Dependencies:
    """Settings and adapters of one request; clients are shared by all requests of an instance."""

    table: PaymentsTable
    bus: Bus
    secrets: tuple[str, ...] = field(repr=False)


def dependencies() -> Dependencies:
    """Reads the settings and puts everything together.

    Raises:
        ConfigurationError: names every setting that is missing or unusable.
    """
    settings = webhook_settings(aws.setting_values())
    return Dependencies(
        # One try a call: the core tries the whole step again, and Razorpay the whole delivery.
        table=aws.table(settings.table, attempts=1),
        bus=aws.bus(settings.event_bus),
        secrets=settings.webhook_secrets,
    )
