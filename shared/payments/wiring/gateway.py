"""Razorpay clients, created once per function instance. Only functions that call Razorpay load this and the SDK."""

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from datetime import date
from functools import cache
from typing import Protocol

from payments.adapters.gateway import RazorpayGateway, sdk_version
from payments.core.entities import ListedDispute, ListedOrder, ListedPayment, ListedRefund, OrderNotes
from payments.core.errors import KeysRefused
from payments.core.listing import Look
from payments.core.model import Order
from payments.core.sweeping import Entry, Listed
from payments.wiring import aws, priming


def prime() -> None:
    """Read what the SDK reads for its first call, and build the models of what it returns."""
    sdk_version()
    priming.build(OrderNotes, ListedOrder, ListedPayment, ListedRefund)


class ApiKeys(Protocol):
    """The settings of a function that calls Razorpay."""

    @property
    def key_id(self) -> str: ...  # noqa: D102 - as in the settings

    @property
    def key_secret(self) -> str: ...  # noqa: D102 - as above

    @property
    def api_url(self) -> str: ...  # noqa: D102 - as above

    @property
    def stage(self) -> str: ...  # noqa: D102 - as above


class RotatingGateway:
    """Razorpay with the current API keys. If Razorpay refuses them, reads them again and repeats the call.

    Repeating is safe, because a call that was refused for its keys had no effect.
    """

    def __init__(self, keys: ApiKeys, renewed_keys: Callable[[], ApiKeys], *, worker: int = 0) -> None:
        """Create a gateway with these keys.

        Args:
            keys: the keys known so far.
            renewed_keys: reads the keys again, unless that was just done.
            worker: the number of this worker. Workers run concurrently, and each has its own client.
        """
        self._keys = keys
        self._renewed_keys = renewed_keys
        self._worker = worker
        self._deadline: float | None = None

    @property
    def key_id(self) -> str:
        """The key id of the last call, which Checkout must use too."""
        return self._keys.key_id

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Limit the total time of all calls inside the block. An outer limit still applies."""
        outer, deadline = self._deadline, aws.clock() + seconds
        self._deadline = deadline if outer is None else min(outer, deadline)
        try:
            yield
        finally:
            self._deadline = outer

    def create_order(self, order: Order, installation: str) -> str:
        """See `RazorpayGateway.create_order`."""
        return self._ask(lambda gateway: gateway.create_order(order, installation))

    def order(self, order_id: str) -> ListedOrder:
        """See `RazorpayGateway.order`."""
        return self._ask(lambda gateway: gateway.order(order_id))

    def payment(self, payment_id: str) -> ListedPayment:
        """See `RazorpayGateway.payment`."""
        return self._ask(lambda gateway: gateway.payment(payment_id))

    def refund(self, refund_id: str) -> ListedRefund:
        """See `RazorpayGateway.refund`."""
        return self._ask(lambda gateway: gateway.refund(refund_id))

    def dispute(self, dispute_id: str) -> ListedDispute:
        """See `RazorpayGateway.dispute`."""
        return self._ask(lambda gateway: gateway.dispute(dispute_id))

    def disputes(self, skip: int) -> list[Entry]:
        """See `RazorpayGateway.disputes`."""
        return self._ask(lambda gateway: gateway.disputes(skip))

    def refunds_of(self, payment_id: str) -> list[ListedRefund]:
        """See `RazorpayGateway.refunds_of`."""
        return self._ask(lambda gateway: gateway.refunds_of(payment_id))

    def create_refund(self, payment_id: str, amount_minor: int, intent_id: str) -> ListedRefund:
        """See `RazorpayGateway.create_refund`."""
        return self._ask(lambda gateway: gateway.create_refund(payment_id, amount_minor, intent_id))

    def look(self, order_id: str, *, also_refunds_of: Collection[str] = ()) -> Look:
        """See `RazorpayGateway.look`."""
        began_at = aws.now()
        return self._ask(lambda gateway: gateway.look(order_id, began_at, also_refunds_of=also_refunds_of))

    def page(self, listed: Listed, start: int, end: int, skip: int) -> list[Entry]:
        """See `RazorpayGateway.page`."""
        return self._ask(lambda gateway: gateway.page(listed, start, end, skip))

    def settlements(self, start: int, end: int, skip: int) -> list[Entry]:
        """See `RazorpayGateway.settlements`."""
        return self._ask(lambda gateway: gateway.settlements(start, end, skip))

    def settled(self, day: date, skip: int) -> list[Entry]:
        """See `RazorpayGateway.settled`."""
        return self._ask(lambda gateway: gateway.settled(day, skip))

    def _ask[T](self, question: Callable[[RazorpayGateway], T]) -> T:
        try:
            return self._put(question)
        except KeysRefused:
            keys = self._renewed_keys()
            if (keys.key_id, keys.key_secret) == (self._keys.key_id, self._keys.key_secret):
                raise
            self._keys = keys
        return self._put(question)

    def _put[T](self, question: Callable[[RazorpayGateway], T]) -> T:
        keys = self._keys
        client = gateway(
            key_id=keys.key_id,
            key_secret=keys.key_secret,
            api_url=keys.api_url,
            stage=keys.stage,
            worker=self._worker,
        )
        with client.until(self._deadline):
            return question(client)


@cache
def gateway(*, key_id: str, key_secret: str, api_url: str, stage: str, worker: int) -> RazorpayGateway:  # noqa: ARG001 - part of the cache key: one client per worker
    """Return Razorpay with these keys. A new client is created only after a rotation."""
    return RazorpayGateway(
        key_id=key_id,
        key_secret=key_secret,
        api_url=api_url,
        stage=stage,
        clock=lambda: aws.clock(),  # noqa: PLW0108 - looked up at each call, as everywhere
    )
