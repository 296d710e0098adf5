"""What verify works with. It has no bus: it records events and leaves publishing to the webhook."""

from dataclasses import dataclass, field

from payments.adapters.config import verify_settings
from payments.adapters.table import PaymentsTable
from payments.adapters.tokens import Tokens
from payments.wiring import aws


@dataclass(frozen=True, slots=True)
class Dependencies:
    """Settings and adapters of one request; clients are shared by all requests of an instance."""

    table: PaymentsTable
    tokens: Tokens
    key_secret: str = field(repr=False)


def dependencies() -> Dependencies:
    """Reads the settings and puts everything together.

    Raises:
        ConfigurationError: names every setting that is missing or unusable.
    """
    settings = verify_settings(aws.setting_values())
    return Dependencies(
        table=aws.table(settings.table, attempts=2),
        tokens=Tokens(settings.token_rules),
        key_secret=settings.key_secret,
    )
