"""Razorpay's API, through its SDK, with protection against the SDK's traps.

As of razorpay 2.0.1, the SDK:

* sets no timeout, so every call gets one;
* retries would repeat a POST after a read timeout, so they stay off;
* pins a CA bundle from 2015, so certifi's replaces it;
* follows redirects and turns a POST into a GET, so redirects are refused;
* drops the HTTP status and the error code, and reports 429 as a bad request, so a response hook reads them first;
* prints to stdout when a connection or a body fails, which Lambda would log, so it never sees such a failure;
* inserts ids into URLs unescaped, so they are checked first;
* reads its own version from disk on every request, a sixth of create-order's work, so the version is cached;
* refunds everything if a refund's amount is left out, so one is always sent.
"""

import re
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from functools import cache
from importlib.metadata import version
from typing import Any, Final

import certifi
import razorpay
import requests

from payments.core.entities import (
    INTENT_NOTE,
    MARKER,
    ListedDispute,
    ListedOrder,
    ListedPayment,
    ListedRefund,
    OrderNotes,
)
from payments.core.errors import (
    AmountRefused,
    BalanceInsufficient,
    FullyRefunded,
    GatewayRefused,
    GatewayThrottled,
    GatewayUnavailable,
    KeyReused,
    KeysRefused,
    NotAtGateway,
    NotCaptured,
    PaymentTooOld,
    ReceiptReused,
    TooOldForGateway,
)
from payments.core.listing import Look, read_dispute, read_order, read_payment, read_payments, read_refund, read_refunds
from payments.core.model import DISPUTE_ID, ORDER_ID, PAYMENT_ID, REFUND_ID, Fact, Order
from payments.core.sweeping import PAGE, Entry, Listed

# Connecting takes milliseconds, and creating an order a few hundred. Together with the calls to the table this stays
# below the 20 seconds that create-order may take.
CONNECT_TIMEOUT_S = 3.0
READ_TIMEOUT_S = 8.0
# The share of the remaining time that connecting may take. Waiting for the response gets the rest.
_CONNECTING_SHARE = 1 / 3

SETTLEMENTS_PAGE = 100
"""The most settlements that Razorpay returns at once ("Fetch all settlements")."""
TRANSACTIONS_PAGE = 500
"""Rows of the settlement report at once. Razorpay allows 1000; half of them arrive well within the timeout."""

_OK = 200
_REDIRECT = 300
_BAD_REQUEST = 400
_UNAUTHORIZED = 401
_CONFLICT = 409
_THROTTLED = 429
_SERVER_ERROR = 500
# Razorpay's second form of throttling: a 400 with code BAD_REQUEST_ERROR, recognizable only by its text.
_THROTTLED_TEXT = "please try after sometime"
# Texts that distinguish one 400 from another, because the API has no code for them ("Errors").
_NOT_THERE_TEXT = "does not exist"
_TOO_OLD_TEXT = "older than 180 days"
_RECEIPT_TEXT = "receipt should be unique"
_INVALID_INPUT = "input_validation_failed"
# The same for refunds ("Create a Normal Refund", "… (Idempotent Request)", "Handle Refund Errors"; the others from
# public issues: hyperswitch-prism#785, razorpay-node#454). They are read before the reason, which is NA for some.
_REFUND_TEXTS: Final[Mapping[str, type[GatewayRefused]]] = {
    "fully refunded already": FullyRefunded,
    "greater than amount captured": AmountRefused,
    "total refund amount is greater": AmountRefused,
    "must be at least": AmountRefused,
    "more than 6 months old": PaymentTooOld,
    "status should be captured": NotCaptured,
    "enough balance": BalanceInsufficient,
    "invalid request sent": BalanceInsufficient,
    "different request with the same idempotency key": KeyReused,
}
# An idempotency key is 10 or more letters, digits, hyphens and underscores. Ours is a UUID.
_IDEMPOTENCY_HEADER = "X-Refund-Idempotency"
_STILL_IN_PROGRESS_TEXT = "still in progress"
# The reason given with every refusal of API keys, next to status 400 or 401 ("Errors", samples).
_KEYS_REASON = "NA"
# Razorpay's own identifiers, such as BAD_REQUEST_ERROR. Five digits in a row are someone's number.
_WORD = re.compile(r"\A(?![\w.]*[0-9]{5})[A-Za-z0-9_.]{1,64}\Z")


class RazorpayGateway:
    """Razorpay's API. Not thread-safe, because the SDK shares its session: use one instance per thread.

    Every method raises GatewayRefused (or a subclass) when Razorpay rejects the request, and GatewayUnavailable when
    Razorpay is unreachable, throttles us, fails, or returns something other than what we asked for.
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
        """Limit the calls inside the block: all of them end by this time on the clock. None sets no limit."""
        self._deadline = deadline
        try:
            yield
        finally:
            self._deadline = None

    def create_order(self, order: Order, installation: str) -> str:
        """Create the order, with automatic capture, and return its id.

        After a timeout the order may or may not exist. Nobody has its id then, so it cannot be paid.

        Args:
            order: the order, with its payment id and receipt.
            installation: the installation of the table that holds the order.

        Raises:
            ReceiptReused: its receipt was used before.
            AmountRefused: Razorpay accepts no order of this amount.
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
                # The notes also distinguish it from orders of other stages and installations on the same account.
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
        """Return the order as Razorpay has it.

        Raises:
            NotAtGateway: Razorpay knows no such order.
            TooOldForGateway: the order is older than 180 days.
        """
        return read_order(self._call(self._client.order.fetch, _checked(ORDER_ID, order_id)), order_id)

    def payment(self, payment_id: str) -> ListedPayment:
        """Return one payment as Razorpay has it."""
        return read_payment(self._call(self._client.payment.fetch, _checked(PAYMENT_ID, payment_id)))

    def refund(self, refund_id: str) -> ListedRefund:
        """Return one refund as Razorpay has it."""
        return read_refund(self._call(self._client.refund.fetch, _checked(REFUND_ID, refund_id)))

    def dispute(self, dispute_id: str) -> ListedDispute:
        """Return one dispute as Razorpay has it."""
        return read_dispute(self._call(self._client.dispute.fetch, _checked(DISPUTE_ID, dispute_id)))

    def disputes(self, skip: int) -> list[Entry]:
        """Return the account's disputes after the first `skip`; none after the last.

        Razorpay documents neither a period nor a largest page for this list ("Fetch all disputes"), so a short page
        need not be the last.
        """
        return _items(self._call(self._client.dispute.all, {"count": PAGE, "skip": skip}))

    def refunds_of(self, payment_id: str) -> list[ListedRefund]:
        """Return every refund of a payment, reading the list to its end."""
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

    def create_refund(self, payment_id: str, amount_minor: int, intent_id: str) -> ListedRefund:
        """Refund a part of a captured payment at normal speed, and return the refund.

        The intent is in the refund's notes, and is its idempotency key: sent again with the same body, it makes no
        second refund. After GatewayUnavailable the refund may or may not exist.

        Args:
            payment_id: the payment.
            amount_minor: how much of it. Always sent: without an amount Razorpay refunds everything.
            intent_id: our id of the refund.

        Raises:
            FullyRefunded, AmountRefused, PaymentTooOld, NotCaptured, BalanceInsufficient: nothing was refunded.
            KeyReused: this intent was sent before, with another body.
        """
        body = {
            "amount": amount_minor,
            "speed": "normal",
            "notes": {"service": MARKER, "stage": self._stage, INTENT_NOTE: intent_id},
        }
        # The SDK adds its own headers to this object, so it is a new one for each call.
        headers = {_IDEMPOTENCY_HEADER: intent_id}
        answer = self._call(self._client.payment.refund, _checked(PAYMENT_ID, payment_id), body, headers=headers)
        refund = read_refund(answer)
        if (refund.payment_id, refund.amount) != (payment_id, amount_minor):
            raise GatewayUnavailable("Razorpay's answer is about another refund.")
        return refund

    def look(self, order_id: str, began_at: int, *, also_refunds_of: Collection[str] = ()) -> Look:
        """Return the order with all its payments, and every refund of payments that have any.

        Args:
            order_id: the order.
            began_at: the current time, epoch seconds.
            also_refunds_of: payments whose refunds to list even if Razorpay's total says that there are none.

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
        """Return up to `PAGE` entries of one of the account's lists, newest first. A shorter page is the last.

        The lists contain our entries and everyone else's on the account, and lag single fetches by minutes.

        Args:
            listed: which list.
            start: the first second of the period, by creation, epoch seconds.
            end: the last second of the period.
            skip: how many of the newest entries to skip.
        """
        resource = {"orders": self._client.order, "payments": self._client.payment, "refunds": self._client.refund}
        return _items(self._call(resource[listed].all, {"from": start, "to": end, "count": PAGE, "skip": skip}))

    def settlements(self, start: int, end: int, skip: int) -> list[Entry]:
        """Return a page of the settlements created in a period, newest first ("Fetch all settlements").

        Args:
            start: the first second of the period, epoch seconds.
            end: the last second of the period.
            skip: how many of the newest to skip.
        """
        query = {"from": start, "to": end, "count": SETTLEMENTS_PAGE, "skip": skip}
        return _at_most(SETTLEMENTS_PAGE, _items(self._call(self._client.settlement.all, query)))

    def settled(self, day: date, skip: int) -> list[Entry]:
        """Return a page of what was settled on a day ("Fetch settlement recon details").

        Args:
            day: the day in India.
            skip: how many rows to skip.
        """
        query = {"year": day.year, "month": day.month, "day": day.day, "count": TRANSACTIONS_PAGE, "skip": skip}
        return _at_most(TRANSACTIONS_PAGE, _items(self._call(self._client.settlement.report, query)))

    def _call(self, method: Any, *arguments: object, **named: object) -> dict[str, Any]:  # noqa: ANN401 - the SDK has no types
        try:
            answer = method(*arguments, timeout=self._timeouts(), allow_redirects=False, **named)
        finally:
            # No connection outlives its call: after a freeze, a kept connection is dead, and a POST must not be
            # repeated blindly. The header alone is not enough: a server may close without announcing it, and the pool
            # would reuse the dead connection. One handshake per order costs less than those failures.
            self._client.session.close()
        if not isinstance(answer, dict):
            raise GatewayUnavailable("Razorpay's answer is not an object.")
        return answer

    def _timeouts(self) -> tuple[float, float]:
        """Return how long connecting and waiting for the response may take, in seconds."""
        if self._deadline is None:
            return CONNECT_TIMEOUT_S, READ_TIMEOUT_S
        left = self._deadline - self._clock()
        if left <= 0:
            raise GatewayUnavailable("There is no time left to ask Razorpay.")
        connect = min(CONNECT_TIMEOUT_S, left * _CONNECTING_SHARE)
        return connect, min(READ_TIMEOUT_S, left - connect)


class _Session(requests.Session):
    """Converts transport failures into our own errors before the SDK sees them, because it would print them."""

    def request(self, *arguments: Any, **named: Any) -> requests.Response:  # noqa: ANN401 - as requests has it
        try:
            return super().request(*arguments, **named)
        except requests.exceptions.RequestException as error:
            # Unreachable or timed out. The exception's text may contain the URL, but nothing more.
            raise GatewayUnavailable(type(error).__name__) from error


class _Client(razorpay.Client):  # type: ignore[misc]  # the SDK has no types
    def _get_version(self) -> str:
        return sdk_version()


@cache
def sdk_version() -> str:
    """Return the SDK's own version, which it sends with every request. Reads it from disk once."""
    return version("razorpay")


def _refuse_errors(response: requests.Response, *_: object, **__: object) -> None:
    """Convert every response but a 2xx into our own error, before the SDK sees it and drops status and code."""
    if _OK <= response.status_code < _REDIRECT:
        try:
            response.json()
        except (ValueError, RecursionError) as unreadable:
            # Not JSON, or JSON that cannot be parsed: a number of 5,000 digits, thousands of levels.
            raise GatewayUnavailable(type(unreadable).__name__) from unreadable
        return
    error = _error_of(response)
    description = str(error.get("description", ""))
    if response.status_code == _THROTTLED or _THROTTLED_TEXT in description.lower():
        raise GatewayThrottled(f"Razorpay answered {response.status_code}.")
    is_under_way = response.status_code == _CONFLICT and _STILL_IN_PROGRESS_TEXT in description.lower()
    if response.status_code >= _SERVER_ERROR or response.status_code < _BAD_REQUEST or is_under_way:
        raise GatewayUnavailable(f"Razorpay answered {response.status_code}.")
    is_refund = _IDEMPOTENCY_HEADER in response.request.headers
    raise _refusal(response.status_code, error, is_refund=is_refund)(
        response.status_code, _word(error.get("code")), _word(error.get("reason")), _word(error.get("field"))
    )


def _refusal(status: int, error: dict[str, Any], *, is_refund: bool) -> type[GatewayRefused]:
    """Return the kind of refusal. A plain GatewayRefused says nothing about what was asked for.

    Only the text and its reason together mean that something does not exist ("Errors", samples). An order wrongly
    taken for missing would be replaced, and a customer could pay both.
    """
    description, reason = str(error.get("description", "")).lower(), error.get("reason")
    kind = GatewayRefused
    known = (kind for text, kind in _REFUND_TEXTS.items() if text in description) if is_refund else iter(())
    if (of_refund := next(known, None)) is not None:
        kind = of_refund
    elif status == _UNAUTHORIZED or (status == _BAD_REQUEST and reason == _KEYS_REASON):
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
    """Return an id that is safe to put into a URL.

    Raises:
        ValueError: it is not in Razorpay's form.
    """
    if not form.match(identity):
        raise ValueError("not an id of Razorpay's form")
    return identity


def _items(answer: dict[str, Any]) -> list[Entry]:
    items = answer.get("items")
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise GatewayUnavailable("Razorpay's answer is not a list.")
    return items


def _at_most(count: int, items: list[Entry]) -> list[Entry]:
    """Return the items of a page.

    Raises:
        GatewayUnavailable: there are more than we asked for, so the page does not count what we skip by.
    """
    if len(items) > count:
        raise GatewayUnavailable("Razorpay's page has more items than were asked for.")
    return items


def _error_of(response: requests.Response) -> dict[str, Any]:
    try:
        error = response.json()["error"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return {}
    return error if isinstance(error, dict) else {}


def _word(value: object) -> str | None:
    return value if isinstance(value, str) and _WORD.match(value) else None
