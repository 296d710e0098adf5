"""What create_order works with."""

import secrets
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from decimal import Decimal
from functools import cache, lru_cache
from threading import Lock

from payments.adapters.config import CreateOrderSettings, create_order_settings
from payments.adapters.log import RequestLog
from payments.adapters.table import PaymentsTable
from payments.core.listing import Look
from payments.core.model import Order
from payments.core.ordering import OrderServices
from payments.wiring import aws, callers, priming
from payments.wiring import gateway as razorpay
from payments.wiring.callers import Callers
from payments.wiring.gateway import RotatingGateway

# One atomic ADD serves ten orders; what an instance does not use up is lost, and gaps are fine.
_ID_BLOCK = 10


# Enough to tell the installations on one Razorpay account apart; what is left of a receipt's 40 characters is the id's.
_INSTALLATION_BYTES = 4


class PaymentIds:
    """Hands out payment ids, from the counter in blocks: no hot key, no call for most orders."""

    def __init__(self, table: PaymentsTable) -> None:
        self._table = table
        self._block: Iterator[int] = iter(())
        self._installation = ""
        self._lock = Lock()

    @property
    def installation(self) -> str:
        """Which installation they count for; known once the first was taken."""
        return self._installation

    def take(self) -> int:
        """The next id of this instance's block, or the first of a new one."""
        with self._lock:
            payment_id = next(self._block, None)
            return self._renew(_ID_BLOCK) if payment_id is None else payment_id

    def skip(self, count: int) -> None:
        """Leaves so many ids out."""
        with self._lock:
            self._renew(count)
            self._block = iter(())

    def _renew(self, count: int) -> int:
        block = self._table.take_payment_ids(count, secrets.token_hex(_INSTALLATION_BYTES))
        self._block, self._installation = iter(block.ids), block.installation
        return next(self._block)


@dataclass(frozen=True, slots=True)
class OrderMaker:
    """Numbers orders, and makes them at Razorpay under this installation."""

    gateway: RotatingGateway
    payment_ids: PaymentIds
    stage: str

    def number(self, offer: Order) -> Order:
        """The offer with a payment id and a receipt of its own: `<stage>-<installation>-<payment id>`."""
        payment_id = self.payment_ids.take()
        return offer.numbered(payment_id, receipt=f"{self.stage}-{self.payment_ids.installation}-{payment_id}")

    @property
    def key_id(self) -> str:
        """See `RotatingGateway.key_id`."""
        return self.gateway.key_id

    def skip(self, count: int) -> None:
        """Leaves so many payment ids out."""
        self.payment_ids.skip(count)

    def within(self, seconds: float) -> AbstractContextManager[None]:
        """See `RotatingGateway.within`."""
        return self.gateway.within(seconds)

    def create_order(self, order: Order) -> str:
        """See `RazorpayGateway.create_order`."""
        return self.gateway.create_order(order, self.payment_ids.installation)

    def look(self, order_id: str) -> Look:
        """See `RazorpayGateway.look`."""
        return self.gateway.look(order_id)


@dataclass(frozen=True, slots=True)
class Dependencies:
    """Settings and adapters of one request; clients and ids are shared by all requests of an instance."""

    ordering: OrderServices
    callers: Callers
    currencies: frozenset[str]
    max_amount: Decimal | None


def dependencies(log: RequestLog) -> Dependencies:
    """Reads the settings and puts everything together.

    Raises:
        ConfigurationError: names every setting that is missing or unusable.
    """
    settings = _settings(aws.setting_texts(log))

    def renewed() -> CreateOrderSettings:
        return _settings(aws.renewed_texts(log))

    gateway = RotatingGateway(settings, renewed)
    maker = OrderMaker(gateway, _payment_ids(settings.table), settings.stage)
    return Dependencies(
        ordering=OrderServices(table=_table(settings.table), gateway=maker, ids=maker, policy=settings.policy),
        callers=Callers(settings, renewed, log),
        currencies=settings.currencies,
        max_amount=settings.max_amount,
    )


def prime() -> None:
    """Loads what the first request needs, and nothing secret; see `priming`."""
    priming.prime(_table, also=[callers.prime, razorpay.prime])


def _table(name: str) -> PaymentsTable:
    return aws.table(name, attempts=2)


@cache
def _payment_ids(table: str) -> PaymentIds:
    return PaymentIds(_table(table))


@lru_cache(maxsize=1)
def _settings(texts: aws.SettingTexts) -> CreateOrderSettings:
    return create_order_settings(texts.values())
