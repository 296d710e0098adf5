"""The dependencies of reconcile: the table, its index, the bus and a gateway per worker."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from payments.adapters.config import ReconcileSettings, reconcile_settings
from payments.adapters.log import RequestLog
from payments.adapters.table import PaymentsTable
from payments.core.errors import ConfigurationError, NotConfiguredYet
from payments.core.events import EventDetail, PaymentDetail
from payments.core.listing import Origin
from payments.core.model import Attempt, PendingEvent, Refund
from payments.core.reconciliation import Reconciler
from payments.core.sweeping import Watermark
from payments.wiring import aws, gateway, priming
from payments.wiring.gateway import RotatingGateway
from payments.wiring.lanes import patient_table

WORKERS = 4
"""How many passes over Razorpay's lists run concurrently. Four, at 0.3 s per call, keep up with a hundred payments a
second (docs/scaling.md) and stay far below the account's limits."""


@dataclass(frozen=True, slots=True)
class Dependencies:
    """The settings and adapters of one run. All runs of an instance share clients."""

    table: PaymentsTable
    reconcilers: tuple[Reconciler, ...]
    """One per worker, because the SDK's client is not thread-safe."""
    gateway: RotatingGateway
    """The first worker's Razorpay, for what no record is about."""

    @property
    def reconciler(self) -> Reconciler:
        """The first worker's reconciler, for work done one at a time."""
        return self.reconcilers[0]


type Connect = Callable[[], Dependencies]
"""Reads the settings and connects everything. Called only after the input has been validated."""


def dependencies(log: RequestLog) -> Dependencies:
    """Read the settings and connect everything.

    Raises:
        ConfigurationError: names every setting that is missing or invalid.
        NotConfiguredYet: the stack is new, and nobody has filled in its secrets.
        TableUnavailable: the installation's name cannot be read right now.
    """
    try:
        texts = aws.setting_texts(log)
    except NotConfiguredYet as unfilled:
        if _is_in_use():
            # A stack that has created orders got a secret without a value, so nothing watches those orders now.
            raise ConfigurationError([str(unfilled)]) from unfilled
        raise
    settings = _settings(texts)

    def renewed() -> ReconcileSettings:
        return _settings(aws.renewed_texts(log))

    table = patient_table(settings.table)
    bus = aws.bus(settings.event_bus)
    origin = Origin(stage=settings.stage, installation=table.installation())
    gateways = [RotatingGateway(settings, renewed, worker=worker) for worker in range(WORKERS)]
    return Dependencies(
        table=table,
        reconcilers=tuple(
            Reconciler(
                table=table,
                bus=bus,
                gateway=client,
                origin=origin,
                policy=settings.policy,
                order_expiry_s=settings.order_expiry_s,
            )
            for client in gateways
        ),
        gateway=gateways[0],
    )


def _is_in_use() -> bool:
    """Return whether an order was ever created with this table. Counts as yes if that cannot be determined."""
    name = aws.variable("PAYMENTS_TABLE")
    return not name or patient_table(name).installation() is not None


_MODELS: Final = (ReconcileSettings, Watermark, Attempt, Refund, PendingEvent, EventDetail, PaymentDetail)
"""What most runs need. An entry set aside, a pause and a rebuild's order build theirs when they come."""


def prime() -> None:
    """Load what the first run needs, but nothing secret; see `priming`."""
    priming.prime(patient_table, aws.bus, models=_MODELS, also=[gateway.prime])


@lru_cache(maxsize=1)
def _settings(texts: aws.SettingTexts) -> ReconcileSettings:
    return reconcile_settings(texts.values())
