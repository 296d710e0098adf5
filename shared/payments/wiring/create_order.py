"""What create_order works with."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from threading import Lock

from payments.adapters.config import CreateOrderSettings, create_order_settings
from payments.adapters.log import RequestLog
from payments.adapters.table import PaymentsTable
from payments.core.model import Order
from payments.wiring import aws
from payments.wiring.callers import Callers
from payments.wiring.gateway import RotatingGateway

# One atomic ADD serves ten orders; what an instance does not use up is lost, and gaps are fine.
_ID_BLOCK = 10


class PaymentIds:
    """Hands out payment ids, from the counter in blocks: no hot key, no call for most orders."""

    def __init__(self, table: PaymentsTable) -> None:
        self._table = table
        self._block: Iterator[int] = iter(())
        self._lock = Lock()

    def take(self) -> int:
        """The next id of this instance's block, or the first of a new one."""
        with self._lock:
            payment_id = next(self._block, None)
            if payment_id is None:
                self._block = iter(self._table.take_payment_ids(_ID_BLOCK))
                payment_id = next(self._block)
            return payment_id


@dataclass(frozen=True, slots=True)
class Dependencies:
    """Settings and adapters of one request; clients and ids are shared by all requests of an instance."""

    table: PaymentsTable
    gateway: RotatingGateway
    callers: Callers
    payment_ids: PaymentIds
    currencies: frozenset[str]
    stage: str

    def number(self, offer: Order) -> Order:
        """The offer with a payment id and a receipt of its own."""
        payment_id = self.payment_ids.take()
        return offer.numbered(payment_id, receipt=f"{self.stage}-{payment_id}")


def dependencies(log: RequestLog) -> Dependencies:
    """Reads the settings and puts everything together.

    Raises:
        ConfigurationError: names every setting that is missing or unusable.
    """
    settings = _settings(aws.setting_texts(log))

    def renewed() -> CreateOrderSettings:
        return _settings(aws.renewed_texts(log))

    return Dependencies(
        table=aws.table(settings.table, attempts=2),
        gateway=RotatingGateway(settings, renewed),
        callers=Callers(settings, renewed, log),
        payment_ids=_payment_ids(settings.table),
        currencies=settings.currencies,
        stage=settings.stage,
    )


@cache
def _payment_ids(table: str) -> PaymentIds:
    return PaymentIds(aws.table(table, attempts=2))


@lru_cache(maxsize=1)
def _settings(texts: aws.SettingTexts) -> CreateOrderSettings:
    return create_order_settings(texts.values())
