"""Razorpay, through its own SDK, used behind its traps.

As of razorpay 2.0.1:

* it has no timeout of its own, so every call gets one;
* its retries would send a POST again after a read timeout, so they stay off;
* it pins a CA bundle of 2015, so certifi's is put in its place;
* it follows redirects, turning a POST into a GET, so they are refused;
* it drops the HTTP status and the error code, and reports 429 as a bad request, so a response hook keeps them;
* it prints to stdout when a connection fails, where Lambda would log it, so stdout is set aside;
* it puts ids into URLs as they are, so they are checked first;
* it reads its own version from the disk for each request, a sixth of create-order's work, so that is kept.
"""

import re
from contextlib import redirect_stdout
from functools import cache
from importlib.metadata import version
from io import StringIO
from typing import Any

import certifi
import razorpay
import requests

from payments.core.errors import GatewayRefused, GatewayThrottled, GatewayUnavailable
from payments.core.listing import (
    MARKER,
    ListedOrder,
    facts_of,
    read_order,
    read_orders,
    read_payments,
    read_refunds,
)
from payments.core.model import ORDER_ID, Fact, Order

# Connecting takes milliseconds; an order is made in a few hundred. Together with the table's calls this stays below
# the 20 seconds that create-order may take.
CONNECT_TIMEOUT_S = 3.0
READ_TIMEOUT_S = 8.0

MOST_LISTED = 100
"""Orders on one page; Razorpay gives no more ("Fetch all orders")."""

_OK = 200
_REDIRECT = 300
_BAD_REQUEST = 400
_THROTTLED = 429
_SERVER_ERROR = 500
# Razorpay's second form of throttling: a 400 of code BAD_REQUEST_ERROR that only its text gives away.
_THROTTLED_TEXT = "please try after sometime"
# Its own words, such as BAD_REQUEST_ERROR; five digits in a row are somebody's number.
_WORD = re.compile(r"\A(?![\w.]*[0-9]{5})[A-Za-z0-9_.]{1,64}\Z")


class RazorpayGateway:
    """The gateway's API. One object per function instance, for one thread at a time: the SDK shares its session."""

    def __init__(self, *, key_id: str, key_secret: str, api_url: str, stage: str) -> None:
        self._stage = stage
        self._client = _Client(auth=(key_id, key_secret), base_url=api_url)
        self._client.cert_path = certifi.where()
        self._client.session.hooks["response"].append(_refuse_errors)
        self._client.session.headers["Connection"] = "close"

    def create_order(self, order: Order) -> str:
        """Creates the order, with automatic capture, and returns its id.

        A timeout leaves it open whether the order exists; nobody has its id then, so it cannot be paid.

        Raises:
            GatewayRefused: Razorpay calls the request wrong (a key, an amount or a currency it does not accept).
            GatewayUnavailable: it is unreachable, throttles us, fails, or its answer is not what we asked for.
        """
        answer = self._call(
            self._client.order.create,
            {
                "amount": order.amount_minor,
                "currency": order.currency,
                "receipt": order.receipt,
                "payment": {"capture": "automatic"},
                # All that is needed to rebuild the record from Razorpay, should ours ever be missing.
                "notes": {
                    "service": MARKER,
                    "stage": self._stage,
                    "payment_id": str(order.payment_id),
                    "job_id": str(order.job_id),
                    "application_id": str(order.application_id),
                    "client_id": str(order.client_id),
                    "freelancer_id": str(order.freelancer_id),
                },
            },
        )
        order_id = answer.get("id")
        if not isinstance(order_id, str) or not ORDER_ID.match(order_id):
            raise GatewayUnavailable("Razorpay's answer has no order id.")
        if (answer.get("amount"), answer.get("currency")) != (order.amount_minor, order.currency):
            raise GatewayUnavailable("Razorpay's answer is about another sum.")
        return order_id

    def order(self, order_id: str) -> ListedOrder:
        """The order as Razorpay has it.

        Raises:
            GatewayRefused: with status 400, it knows no such order.
            GatewayUnavailable: as for `create_order`.
        """
        return read_order(self._call(self._client.order.fetch, _checked(order_id)), order_id)

    def orders_created(self, start: int, end: int, skip: int) -> list[ListedOrder]:
        """Up to `MOST_LISTED` orders of the account, ours and others', the newest first; fewer are the last.

        The list follows by minutes what `order` says at once, so a period that has just ended may lack some.

        Args:
            start: the period's first second, epoch seconds.
            end: its last one.
            skip: how many of the newest to leave out, for the next page.

        Raises:
            GatewayRefused, GatewayUnavailable: as for `order`.
        """
        query = {"from": start, "to": end, "count": MOST_LISTED, "skip": skip}
        return read_orders(_items(self._call(self._client.order.all, query)))

    def facts_of_order(self, order_id: str) -> list[Fact]:
        """What every payment of the order, and every refund of those, says now.

        Raises:
            GatewayRefused, GatewayUnavailable: as for `order`.
        """
        listed = self._call(self._client.order.payments, _checked(order_id))
        facts: list[Fact] = []
        for payment in read_payments(_items(listed), order_id):
            refunds = []
            if payment.has_refunds:
                answer = self._call(self._client.payment.fetch_multiple_refund, payment.id)
                refunds = read_refunds(_items(answer), payment.id)
            facts.extend(facts_of(payment, refunds))
        return facts

    def _call(self, method: Any, *arguments: object) -> dict[str, Any]:  # noqa: ANN401 - the SDK has no types
        try:
            with redirect_stdout(StringIO()):
                answer = method(*arguments, timeout=(CONNECT_TIMEOUT_S, READ_TIMEOUT_S), allow_redirects=False)
        except (requests.exceptions.RequestException, ValueError, RecursionError) as error:
            # Unreachable, timed out, or a body that is not JSON or that nobody can read: a number of 5,000 digits,
            # thousands of levels. The exception's text may hold the URL, nothing more.
            raise GatewayUnavailable(type(error).__name__) from error
        finally:
            # No connection outlives its call: a function that was frozen finds the kept one dead, and a POST must not
            # be repeated blindly. The header alone is not enough: a server may close without having said so, and the
            # pool would hand the dead connection out again. One handshake per order costs less than the failures.
            self._client.session.close()
        if not isinstance(answer, dict):
            raise GatewayUnavailable("Razorpay's answer is not an object.")
        return answer


class _Client(razorpay.Client):  # type: ignore[misc]  # the SDK has no types
    def _get_version(self) -> str:
        return _sdk_version()


@cache
def _sdk_version() -> str:
    return version("razorpay")


def _refuse_errors(response: requests.Response, *_: object, **__: object) -> None:
    """Turns every answer but a 2xx into ours before the SDK sees it, while status and code are still there."""
    if _OK <= response.status_code < _REDIRECT:
        return
    error = _error_of(response)
    description = str(error.get("description", ""))
    if response.status_code == _THROTTLED or _THROTTLED_TEXT in description.lower():
        raise GatewayThrottled(f"Razorpay answered {response.status_code}.")
    if response.status_code >= _SERVER_ERROR or response.status_code < _BAD_REQUEST:
        raise GatewayUnavailable(f"Razorpay answered {response.status_code}.")
    raise GatewayRefused(
        response.status_code, _word(error.get("code")), _word(error.get("reason")), _word(error.get("field"))
    )


def _checked(order_id: str) -> str:
    """An order id that may go into a URL.

    Raises:
        ValueError: it is not of Razorpay's form.
    """
    if not ORDER_ID.match(order_id):
        raise ValueError("not an order id")
    return order_id


def _items(answer: dict[str, Any]) -> list[dict[str, Any]]:
    items = answer.get("items")
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise GatewayUnavailable("Razorpay's answer is not a list.")
    return items


def _error_of(response: requests.Response) -> dict[str, Any]:
    try:
        error = response.json()["error"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return {}
    return error if isinstance(error, dict) else {}


def _word(value: object) -> str | None:
    return value if isinstance(value, str) and _WORD.match(value) else None
