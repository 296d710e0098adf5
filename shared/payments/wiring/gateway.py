"""The gateway's client: one per function instance, for the functions that ask Razorpay (and so load its SDK)."""

from collections.abc import Callable
from functools import cache
from typing import Protocol

from payments.adapters.gateway import RazorpayGateway
from payments.core.errors import GatewayRefused
from payments.core.listing import ListedOrder
from payments.core.model import Fact, Order

_UNAUTHORIZED = 401


class ApiKeys(Protocol):
    """The settings of a function that asks Razorpay."""

    @property
    def key_id(self) -> str: ...  # noqa: D102 - as in the settings

    @property
    def key_secret(self) -> str: ...  # noqa: D102 - as above

    @property
    def api_url(self) -> str: ...  # noqa: D102 - as above

    @property
    def stage(self) -> str: ...  # noqa: D102 - as above


class RotatingGateway:
    """Razorpay under the keys as they are: when it does not know them, they are read anew and the call is made again.

    That is safe, since a call that was answered 401 has done nothing.
    """

    def __init__(self, keys: ApiKeys, renewed_keys: Callable[[], ApiKeys]) -> None:
        """Razorpay under these keys.

        Args:
            keys: known so far.
            renewed_keys: reads them anew, if that was not done a moment ago.
        """
        self._keys = keys
        self._renewed_keys = renewed_keys

    @property
    def key_id(self) -> str:
        """The key id of the last call, which Checkout must use as well."""
        return self._keys.key_id

    def create_order(self, order: Order) -> str:
        """See `RazorpayGateway.create_order`."""
        return self._ask(lambda gateway: gateway.create_order(order))

    def order(self, order_id: str) -> ListedOrder:
        """See `RazorpayGateway.order`."""
        return self._ask(lambda gateway: gateway.order(order_id))

    def orders_created(self, start: int, end: int, skip: int) -> list[ListedOrder]:
        """See `RazorpayGateway.orders_created`."""
        return self._ask(lambda gateway: gateway.orders_created(start, end, skip))

    def facts_of_order(self, order_id: str) -> list[Fact]:
        """See `RazorpayGateway.facts_of_order`."""
        return self._ask(lambda gateway: gateway.facts_of_order(order_id))

    def _ask[T](self, question: Callable[[RazorpayGateway], T]) -> T:
        try:
            return question(_under(self._keys))
        except GatewayRefused as refused:
            if refused.status != _UNAUTHORIZED:
                raise
            keys = self._renewed_keys()
            if (keys.key_id, keys.key_secret) == (self._keys.key_id, self._keys.key_secret):
                raise
            self._keys = keys
        return question(_under(self._keys))


def _under(keys: ApiKeys) -> RazorpayGateway:
    return gateway(key_id=keys.key_id, key_secret=keys.key_secret, api_url=keys.api_url, stage=keys.stage)


@cache
def gateway(*, key_id: str, key_secret: str, api_url: str, stage: str) -> RazorpayGateway:
    """Razorpay under these keys; made again only when a secret was rotated."""
    return RazorpayGateway(key_id=key_id, key_secret=key_secret, api_url=api_url, stage=stage)
