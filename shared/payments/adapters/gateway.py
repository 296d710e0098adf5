"""Razorpay, through its own SDK, used behind its traps.

As of razorpay 2.0.1:

* it has no timeout of its own, so every call gets one;
* its retries would send a POST again after a read timeout, so they stay off;
* it pins a CA bundle of 2015, so certifi's is put in its place;
* it follows redirects, turning a POST into a GET, so they are refused;
* it drops the HTTP status and the error code, and reports 429 as a bad request, so a response hook keeps them;
* it prints to stdout when a connection or a body fails, where Lambda would log it, so it never sees such a failure;
* it puts ids into URLs as they are, so they are checked first;
* it reads its own version from the disk for each request, a sixth of create-order's work, so that is kept.
"""

import re
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from functools import cache
from importlib.metadata import version
from typing import Any

import certifi
import razorpay
import requests

from payments.core.entities import MARKER, ListedOrder, ListedPayment, ListedRefund, OrderNotes
from payments.core.errors import (
    AmountRefused,
    GatewayRefused,
    GatewayThrottled,
    GatewayUnavailable,
    KeysRefused,
    NotAtGateway,
    ReceiptReused,
    TooOldForGateway,
)
from payments.core.listing import Look, read_order, read_payment, read_payments, read_refund, read_refunds
from payments.core.model import ORDER_ID, PAYMENT_ID, REFUND_ID, Fact, Order
from payments.core.sweeping import PAGE, Entry, Listed

# Connecting takes milliseconds; an order is made in a few hundred. Together with the table's calls this stays below
# the 20 seconds that create-order may take.
CONNECT_TIMEOUT_S = 3.0
READ_TIMEOUT_S = 8.0
# Of what is left of a bound, connecting may take so much, and the answer the rest.
_CONNECTING_SHARE = 1 / 3

_OK = 200
_REDIRECT = 300
_BAD_REQUEST = 400
_UNAUTHORIZED = 401
_THROTTLED = 429
_SERVER_ERROR = 500
# Razorpay's second form of throttling: a 400 of code BAD_REQUEST_ERROR that only its text gives away.
_THROTTLED_TEXT = "please try after sometime"
# Texts that tell one 400 from another: the API has no code for it ("Errors").
_NOT_THERE_TEXT = "does not exist"
_TOO_OLD_TEXT = "older than 180 days"
_RECEIPT_TEXT = "receipt should be unique"
_INVALID_INPUT = "input_validation_failed"
# The reason in every refusal of API keys, beside the status 400 or 401 ("Errors", samples).
_KEYS_REASON = "NA"
# Its own words, such as BAD_REQUEST_ERROR; five digits in a row are somebody's number.
_WORD = re.compile(r"\A(?![\w.]*[0-9]{5})[A-Za-z0-9_.]{1,64}\Z")


class RazorpayGateway:
    """The gateway's API. One object for one thread at a time: the SDK shares its session.

    Every method raises GatewayRefused (or one of its kinds) when Razorpay calls the request wrong, and
    GatewayUnavailable when it is unreachable, throttles us, fails, or its answer is not what we asked for.
    """

    def __init__(
        self, *, key_id: str, key_secret: str, api_url: str, stage: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._stage = stage
        self._clock = clock
        self._deadline: float | None = None
        self._client = _Client(session=_Session(), auth=(key_id, key_secret), base_url=api_url)
        self._client.cert_path = certifi.where()
        self._client.session.hooks["response"].append(_refuse_errors)
        self._client.session.headers["Connection"] = "close"

    @contextmanager
    def until(self, deadline: float | None) -> Iterator[None]:
        """Bounds the calls inside: together they end at this moment of the clock. None is no bound."""
        self._deadline = deadline
        try:
            yield
        finally:
            self._deadline = None

    def create_order(self, order: Order, installation: str) -> str:
        """Creates the order, with automatic capture, and returns its id.

        A timeout leaves it open whether the order exists; nobody has its id then, so it cannot be paid.

        Args:
            order: with its payment id and receipt.
            installation: of the table that it is kept in.

        Raises:
            ReceiptReused: its receipt was used before.
            AmountRefused: Razorpay takes no order of this amount.
        """
        notes = OrderNotes(
            **order.purchase_fields(),
            service=MARKER,
            stage=self._stage,
            installation=installation,
            payment_id=order.payment_id,
        )
        answer = self._call(
            self._client.order.create,
            {
                "amount": order.amount_minor,
                "currency": order.currency,
                "receipt": order.receipt,
                "payment": {"capture": "automatic"},
                # They also tell it from the order of another stage or another installation on the same account.
                "notes": notes.texts(),
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
            NotAtGateway: it knows no such order.
            TooOldForGateway: it is older than 180 days.
        """
        return read_order(self._call(self._client.order.fetch, _checked(ORDER_ID, order_id)), order_id)

    def payment(self, payment_id: str) -> ListedPayment:
        """One payment as Razorpay has it."""
        return read_payment(self._call(self._client.payment.fetch, _checked(PAYMENT_ID, payment_id)))

    def refund(self, refund_id: str) -> ListedRefund:
        """One refund as Razorpay has it."""
        return read_refund(self._call(self._client.refund.fetch, _checked(REFUND_ID, refund_id)))

    def refunds_of(self, payment_id: str) -> list[ListedRefund]:
        """Every refund of a payment: the list is read to its end."""
        found: dict[str, ListedRefund] = {}
        skip = 0
        while True:
            query = {"count": PAGE, "skip": skip}
            answer = self._call(self._client.payment.fetch_multiple_refund, _checked(PAYMENT_ID, payment_id), query)
            items = _items(answer)
            found |= {refund.id: refund for refund in read_refunds(items, payment_id)}
            if len(items) < PAGE:
                return list(found.values())
            skip += PAGE

    def look(self, order_id: str, began_at: int, *, also_refunds_of: Collection[str] = ()) -> Look:
        """The order with all its payments, and every refund of those that have any.

        Args:
            order_id: which order.
            began_at: the present, epoch seconds.
            also_refunds_of: payments whose refunds are asked for even if Razorpay's sum says that there are none.

        Raises:
            As `order`.
        """
        order = self.order(order_id)
        listed = self._call(self._client.order.payments, _checked(ORDER_ID, order_id))
        payments = read_payments(_items(listed), order_id)
        facts: list[Fact] = []
        for payment in payments:
            is_asked = payment.has_refunds or payment.id in also_refunds_of
            refunds = self.refunds_of(payment.id) if is_asked else None
            facts.extend(payment.facts(refunds, looked_at=began_at))
        return Look(
            order=order,
            facts=tuple(facts),
            in_flight=tuple(payment.created_at or began_at for payment in payments if payment.in_flight),
            payments=len(payments),
        )

    def page(self, listed: Listed, start: int, end: int, skip: int) -> list[Entry]:
        """Up to `PAGE` entries of one of the account's lists, ours and others', the newest first; fewer are the last.

        The lists follow by minutes what a single fetch says at once.

        Args:
            listed: which list.
            start: the period's first second of creation, epoch seconds.
            end: its last one.
            skip: how many of the newest to leave out.
        """
        resource = {"orders": self._client.order, "payments": self._client.payment, "refunds": self._client.refund}
        return _items(self._call(resource[listed].all, {"from": start, "to": end, "count": PAGE, "skip": skip}))

    def _call(self, method: Any, *arguments: object) -> dict[str, Any]:  # noqa: ANN401 - the SDK has no types
        try:
            answer = method(*arguments, timeout=self._timeouts(), allow_redirects=False)
        finally:
            # No connection outlives its call: a function that was frozen finds the kept one dead, and a POST must not
            # be repeated blindly. The header alone is not enough: a server may close without having said so, and the
            # pool would hand the dead connection out again. One handshake per order costs less than the failures.
            self._client.session.close()
        if not isinstance(answer, dict):
            raise GatewayUnavailable("Razorpay's answer is not an object.")
        return answer

    def _timeouts(self) -> tuple[float, float]:
        """How long connecting and waiting for the answer may take, in seconds."""
        if self._deadline is None:
            return CONNECT_TIMEOUT_S, READ_TIMEOUT_S
        left = self._deadline - self._clock()
        if left <= 0:
            raise GatewayUnavailable("There is no time left to ask Razorpay.")
        connect = min(CONNECT_TIMEOUT_S, left * _CONNECTING_SHARE)
        return connect, min(READ_TIMEOUT_S, left - connect)


class _Session(requests.Session):
    """Turns what goes wrong on the way into our own error before the SDK sees it, which would print it."""

    def request(self, *arguments: Any, **named: Any) -> requests.Response:  # noqa: ANN401 - as requests has it
        try:
            return super().request(*arguments, **named)
        except requests.exceptions.RequestException as error:
            # Unreachable or timed out. The exception's text may hold the URL, nothing more.
            raise GatewayUnavailable(type(error).__name__) from error


class _Client(razorpay.Client):  # type: ignore[misc]  # the SDK has no types
    def _get_version(self) -> str:
        return sdk_version()


@cache
def sdk_version() -> str:
    """The SDK's own version, which it sends along; read from the disk once."""
    return version("razorpay")


def _refuse_errors(response: requests.Response, *_: object, **__: object) -> None:
    """Turns every answer but a 2xx into ours before the SDK sees it, while status and code are still there."""
    if _OK <= response.status_code < _REDIRECT:
        try:
            response.json()
        except (ValueError, RecursionError) as unreadable:
            # Not JSON, or none that anybody can read: a number of 5,000 digits, thousands of levels.
            raise GatewayUnavailable(type(unreadable).__name__) from unreadable
        return
    error = _error_of(response)
    description = str(error.get("description", ""))
    if response.status_code == _THROTTLED or _THROTTLED_TEXT in description.lower():
        raise GatewayThrottled(f"Razorpay answered {response.status_code}.")
    if response.status_code >= _SERVER_ERROR or response.status_code < _BAD_REQUEST:
        raise GatewayUnavailable(f"Razorpay answered {response.status_code}.")
    raise _refusal(response.status_code, error)(
        response.status_code, _word(error.get("code")), _word(error.get("reason")), _word(error.get("field"))
    )


def _refusal(status: int, error: dict[str, Any]) -> type[GatewayRefused]:
    """Which of Razorpay's refusals it is. What is none of these says nothing of what was asked.

    Only the text together with its reason means that something is not there ("Errors", samples): whoever takes an order
    for gone replaces it, and a customer could pay both.
    """
    description, reason = str(error.get("description", "")).lower(), error.get("reason")
    kind = GatewayRefused
    if status == _UNAUTHORIZED or (status == _BAD_REQUEST and reason == _KEYS_REASON):
        kind = KeysRefused
    elif _TOO_OLD_TEXT in description:
        kind = TooOldForGateway
    elif _RECEIPT_TEXT in description:
        kind = ReceiptReused
    elif error.get("field") == "amount":
        kind = AmountRefused
    elif _NOT_THERE_TEXT in description and reason == _INVALID_INPUT:
        kind = NotAtGateway
    return kind


def _checked(form: re.Pattern[str], identity: str) -> str:
    """An id that may go into a URL.

    Raises:
        ValueError: it is not of Razorpay's form.
    """
    if not form.match(identity):
        raise ValueError("not an id of Razorpay's form")
    return identity


def _items(answer: dict[str, Any]) -> list[Entry]:
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
