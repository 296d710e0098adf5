"""What reconcile works with: the table and its index, the bus, and a gateway for each worker."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from payments.adapters.config import ReconcileSettings, reconcile_settings
from payments.adapters.log import RequestLog
from payments.adapters.table import PaymentsTable
from payments.core.errors import ConfigurationError, NotConfiguredYet
from payments.core.listing import Origin
from payments.core.reconciliation import Reconciler
from payments.wiring import aws, gateway, priming
from payments.wiring.gateway import RotatingGateway
from payments.wiring.lanes import patient_table

WORKERS = 4
"""How many passes over Razorpay's lists are under way at once in one run: four calls of 0.3 s each keep up with a
hundred payments a second (docs/scaling.md), and stay far below what the account may ask."""


@dataclass(frozen=True, slots=True)
class Dependencies:
    """Settings and adapters of one run; clients are shared by all runs of an instance."""

    table: PaymentsTable
    reconcilers: tuple[Reconciler, ...]
    """One for each worker: the SDK's client is for one thread at a time."""

    @property
    def reconciler(self) -> Reconciler:
        """The first worker's, for what is done one by one."""
        return self.reconcilers[0]


type Connect = Callable[[], Dependencies]
"""Reads the settings and puts everything together: called once the input is known to mean something, not before."""


def dependencies(log: RequestLog) -> Dependencies:
    """Reads the settings and puts everything together.

    Raises:
        ConfigurationError: names every setting that is missing or unusable.
        NotConfiguredYet: the stack is new, and nobody has filled its secrets.
        TableUnavailable: the installation's name cannot be read right now.
    """
    try:
        texts = aws.setting_texts(log)
    except NotConfiguredYet as unfilled:
        if _is_in_use():
            # A stack that has made orders was given a secret without a value: those orders are watched by nobody now.
            raise ConfigurationError([str(unfilled)]) from unfilled
        raise
    settings = _settings(texts)

    def renewed() -> ReconcileSettings:
        return _settings(aws.renewed_texts(log))

    table = patient_table(settings.table)
    bus = aws.bus(settings.event_bus)
    origin = Origin(stage=settings.stage, installation=table.installation())
    return Dependencies(
        table=table,
        reconcilers=tuple(
            Reconciler(
                table=table,
                bus=bus,
                gateway=RotatingGateway(settings, renewed, worker=worker),
                origin=origin,
                policy=settings.policy,
            )
            for worker in range(WORKERS)
        ),
    )


def _is_in_use() -> bool:
    """Whether an order was ever made with this table; what cannot be told counts as yes."""
    name = aws.variable("PAYMENTS_TABLE")
    return not name or patient_table(name).installation() is not None


def prime() -> None:
    """Loads what the first run needs, and nothing secret; see `priming`."""
    priming.prime(patient_table, aws.bus, also=[gateway.prime])


@lru_cache(maxsize=1)
def _settings(texts: aws.SettingTexts) -> ReconcileSettings:
    return reconcile_settings(texts.values())
