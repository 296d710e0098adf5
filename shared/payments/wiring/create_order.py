"""The dependencies of create_order."""

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
from payments.core.model import Application, Order
from payments.core.ordering import OrderServices
from payments.core.wire import CreateOrderBody
from payments.wiring import aws, callers, priming, quotes
from payments.wiring import gateway as razorpay
from payments.wiring.callers import Callers
from payments.wiring.gateway import RotatingGateway
from payments.wiring.quotes import Quotes

# One atomic ADD serves ten orders. Ids that an instance does not use are lost; gaps are fine.
_ID_BLOCK = 10


# Enough to distinguish the installations on one Razorpay account. The rest of a receipt's 40 characters is for the id.
_INSTALLATION_BYTES = 4


class PaymentIds:
    """Takes payment ids from the counter in blocks: no hot key, and no call for most orders."""

    def __init__(self, table: PaymentsTable) -> None:
        self._table = table
        self._block: Iterator[int] = iter(())
        self._installation = ""
        self._lock = Lock()

    @property
    def installation(self) -> str:
        """The installation that the ids belong to; empty before the first id was taken."""
        return self._installation

    def take(self) -> int:
        """Return the next id of this instance's block, or the first of a new block."""
        with self._lock:
            payment_id = next(self._block, None)
            return self._renew(_ID_BLOCK) if payment_id is None else payment_id

    def skip(self, count: int) -> None:
        """Skip this many ids."""
        with self._lock:
            self._renew(count)
            self._block = iter(())

    def _renew(self, count: int) -> int:
        block = self._table.take_payment_ids(count, secrets.token_hex(_INSTALLATION_BYTES))
        self._block, self._installation = iter(block.ids), block.installation
        return next(self._block)


@dataclass(frozen=True, slots=True)
class OrderMaker:
    """Numbers orders, and creates them at Razorpay under this installation."""

    gateway: RotatingGateway
    payment_ids: PaymentIds
    stage: str

    def number(self, offer: Order) -> Order:
        """Return the offer with a new payment id and receipt: `<stage>-<installation>-<payment id>`."""
        payment_id = self.payment_ids.take()
        return offer.numbered(payment_id, receipt=f"{self.stage}-{self.payment_ids.installation}-{payment_id}")

    @property
    def key_id(self) -> str:
        """See `RotatingGateway.key_id`."""
        return self.gateway.key_id

    def skip(self, count: int) -> None:
        """Skip this many payment ids."""
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
    """The settings and adapters of one request. All requests of an instance share clients and ids."""

    ordering: OrderServices
    callers: Callers
    quotes: Quotes
    currencies: frozenset[str]
    max_amount: Decimal | None


def dependencies(log: RequestLog) -> Dependencies:
    """Read the settings and connect everything.

    Raises:
        ConfigurationError: names every setting that is missing or invalid.
    """
    settings = _settings(aws.setting_texts(log))

    def renewed() -> CreateOrderSettings:
        return _settings(aws.renewed_texts(log))

    gateway = RotatingGateway(settings, renewed)
    maker = OrderMaker(gateway, _payment_ids(settings.table), settings.stage)
    return Dependencies(
        ordering=OrderServices(
            table=_table(settings.table),
            gateway=maker,
            ids=maker,
            policy=settings.policy,
            order_expiry_s=settings.order_expiry_s,
        ),
        callers=Callers(settings, renewed, log),
        quotes=Quotes(settings, renewed),
        currencies=settings.currencies,
        max_amount=settings.max_amount,
    )


def prime() -> None:
    """Load what the first request needs, but nothing secret; see `priming`."""
    priming.prime(
        _table,
        models=(CreateOrderSettings, CreateOrderBody, Order, Application),
        also=[callers.prime, quotes.prime, razorpay.prime],
    )


def _table(name: str) -> PaymentsTable:
    return aws.table(name, attempts=2)


@cache
def _payment_ids(table: str) -> PaymentIds:
    return PaymentIds(_table(table))


@lru_cache(maxsize=1)
def _settings(texts: aws.SettingTexts) -> CreateOrderSettings:
    return create_order_settings(texts.values())
