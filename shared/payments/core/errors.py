"""The service's errors. None of them knows HTTP: one table in `adapters.http` maps each to a response.

PaymentServiceError
├── RequestError                the caller must act
│   ├── MalformedRequest            not JSON, or JSON that parsers could read differently
│   ├── InvalidRequest              JSON of the wrong shape; carries the fields
│   │   └── QuoteRefused                the platform's quote is invalid, has expired or is for another order
│   ├── UnsupportedMediaType
│   ├── RequestTooLarge
│   ├── RouteNotFound
│   ├── MethodNotAllowed            carries the allowed methods
│   ├── Unauthenticated             no valid token
│   │   └── UnknownSigner               well formed, but signed with a key that we do not have
│   ├── Forbidden                   the caller is not the client who pays
│   │   └── MayNotRefund                … or may not request refunds
│   ├── InvalidSignature            checkout or webhook signature missing, malformed or wrong
│   ├── OrderNotFound               unknown, or another user's; callers cannot tell which
│   ├── ApplicationRefused          no order for this application; carries the id of the order concerned
│   │   ├── AlreadyPaid
│   │   ├── PaymentInProgress           a payment is alive on another order, or the bank is processing one
│   │   └── PaymentUnderReview          a person must decide about a payment that is not as agreed
│   ├── PaymentRefunded
│   ├── PaymentReturned             Razorpay returned the payment without capturing it
│   ├── PaymentFailed               the payment is dead (see `position`) or was released
│   └── RefundNotPossible           no refund is made
│       ├── IdempotencyConflict         the key was used for another request
│       ├── NothingToRefund             nothing remains of the payment, or it was never captured
│       ├── RefundTooOld                the payment's bank no longer accepts a refund of it
│       ├── BalanceTooLow               our account at Razorpay cannot pay it
│       └── TooManyRefunds              the record keeps no more of them
├── TemporaryError              the same request may succeed later
│   ├── TableUnavailable
│   ├── BusUnavailable
│   ├── SecretsUnavailable          the settings cannot be read right now
│   ├── NotConfiguredYet            a new stack, whose secrets have no value yet
│   ├── KeysUnavailable             the identity service's keys cannot be read right now
│   ├── EventsUnpublished           some events are stored but not yet on the bus
│   ├── ContentionError             other writers kept changing the record
│   └── GatewayUnavailable          unreachable or failing, or its response is unusable
│       └── GatewayThrottled            it asks us to slow down
├── GatewayRefused              a person must act: Razorpay rejected our request
│   ├── RefundNotAccepted           it rejected a refund for a reason that we do not know
│   ├── FullyRefunded               nothing of the payment is left
│   ├── PaymentTooOld               the bank no longer accepts a refund of the payment
│   ├── NotCaptured                 there is no money to refund
│   ├── BalanceInsufficient         our account cannot pay the refund
│   ├── KeyReused                   our idempotency key was used for another refund: a mistake of ours
│   ├── KeysRefused                 it does not accept our API keys; says nothing about the order asked for
│   ├── NotAtGateway                it says explicitly that there is no such order, payment or refund
│   ├── TooOldForGateway            older than 180 days: its API no longer shows it
│   ├── ReceiptReused               the receipt of a new order was used before
│   └── AmountRefused               it does not accept the amount of a new order or refund
├── ConfigurationError          a person must act: settings missing or unusable
└── StorageConflict             never leaves the service: the condition of a write failed
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from types import NoneType


class PaymentServiceError(Exception):
    """The base class of all errors of this service."""


class RequestError(PaymentServiceError):
    """The caller must change something before trying again."""


class MalformedRequest(RequestError):
    """The body is not JSON, or is JSON that two parsers could read differently."""


@dataclass(frozen=True, slots=True)
class FieldError:
    """One error in one field, in our own words. `field` is a path such as `amount`.

    `ours` is false for a field that we do not define: the caller chose its name, so only the caller may see it.
    """

    field: str
    message: str
    ours: bool = True


_KINDS: Mapping[type, str] = {
    str: "a string",
    bool: "a boolean",
    int: "an integer",
    Decimal: "a decimal number",
    NoneType: "null",
    list: "an array",
    dict: "an object",
}


def kind_of(value: object) -> str:
    """Return the JSON type of a value for an error message, never the value itself.

    A number written with a point or an exponent is `a decimal number`, whatever its value.
    """
    return _KINDS.get(type(value), "something else")


class InvalidRequest(RequestError):
    """The body is JSON but violates the contract; `errors` says where and why."""

    def __init__(self, errors: Sequence[FieldError]) -> None:
        super().__init__("; ".join(f"{error.field if error.ours else '(another)'} {error.message}" for error in errors))
        self.errors = tuple(errors)


class QuoteRefused(InvalidRequest):
    """The order's quote is missing, invalid, expired or for another order. `why` goes to the log, not to the caller."""

    def __init__(self, message: str, why: str) -> None:
        super().__init__([FieldError("quote", message)])
        self.why = why

    def __str__(self) -> str:
        return f"{super().__str__()} ({self.why})"


class UnsupportedMediaType(RequestError):
    """The `Content-Type` is not JSON."""


class RequestTooLarge(RequestError):
    """The body exceeds this endpoint's limit."""

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(f"The body is larger than {limit_bytes} bytes.")
        self.limit_bytes = limit_bytes


class RouteNotFound(RequestError):
    """No such route."""


class MethodNotAllowed(RequestError):
    """The route exists but does not support the method."""

    def __init__(self, allowed: Sequence[str]) -> None:
        super().__init__(f"Allowed here: {', '.join(allowed)}.")
        self.allowed = tuple(allowed)


class Unauthenticated(RequestError):
    """The token is missing or invalid. The reason goes to the log, never to the caller."""


class UnknownSigner(Unauthenticated):
    """The token is well formed, but none of our keys verifies it: it is forged, or a key was rotated."""


class Forbidden(RequestError):
    """The caller is known but may not do this."""


class MayNotRefund(Forbidden):
    """The caller may not request refunds, or the route for it is closed."""


class InvalidSignature(RequestError):
    """The signature is missing, malformed or wrong. The response does not say which."""


class OrderNotFound(RequestError):
    """The order is unknown or another user's. The response does not say which."""


class ApplicationRefused(RequestError):
    """create-order returns no order for this application; `order_id` is the order concerned."""

    def __init__(self, why: str, order_id: str) -> None:
        super().__init__(why)
        self.order_id = order_id


class AlreadyPaid(ApplicationRefused):
    """The client has paid for this application."""


class PaymentInProgress(ApplicationRefused):
    """A payment is alive on another order of this application, or the bank is processing one."""


class PaymentUnderReview(ApplicationRefused):
    """A payment for this application is not as agreed: a person must decide, and the client must not pay again."""


class PaymentRefunded(RequestError):
    """The payment was refunded in full."""


class PaymentReturned(RequestError):
    """Razorpay returned the payment without capturing it."""


class PaymentFailed(RequestError):
    """Razorpay listed the payment as failed after it was signed, or an operator released it."""


class RefundNotPossible(RequestError):
    """No refund is made for this request, however often it is repeated under its key."""


class IdempotencyConflict(RefundNotPossible):
    """The idempotency key was used for a request with another body."""


class NothingToRefund(RefundNotPossible):
    """Nothing remains of the payment, or it was never captured."""


class RefundTooOld(RefundNotPossible):
    """The payment is so old that its bank no longer accepts a refund."""


class BalanceTooLow(RefundNotPossible):
    """The balance of our account at Razorpay is lower than the refund."""


class TooManyRefunds(RefundNotPossible):
    """The order has as many unfinished or failed requests for refunds as its record keeps."""


class TemporaryError(PaymentServiceError):
    """The same request may succeed later."""


class TableUnavailable(TemporaryError):
    """DynamoDB did not respond in time, or is temporarily unable to."""


class BusUnavailable(TemporaryError):
    """EventBridge did not respond in time, or is temporarily unable to."""


class SecretsUnavailable(TemporaryError):
    """Secrets Manager did not respond in time, or is temporarily unable to."""


class NotConfiguredYet(TemporaryError):
    """A secret has never had a value: the stack is new. A secret with a wrong value is a `ConfigurationError`."""


class KeysUnavailable(TemporaryError):
    """The identity service did not return its keys in time, or returned something unusable."""


class EventsUnpublished(TemporaryError):
    """Everything is stored, but the bus has not accepted every event yet."""


class ContentionError(TemporaryError):
    """Another writer changed the record during each of our attempts."""


class GatewayUnavailable(TemporaryError):
    """Razorpay is unreachable, throttles us, fails, or returns something unusable."""


class GatewayThrottled(GatewayUnavailable):
    """Razorpay asks us to slow down."""


class GatewayRefused(PaymentServiceError):
    """Razorpay rejected our request.

    Attributes:
        status: the HTTP status of the response.
        code: its error code, such as `BAD_REQUEST_ERROR`. The description is dropped: it may quote the request.
        reason: its reason, such as `input_validation_failed`.
        field: the field that the error is about, if it names one.
    """

    def __init__(self, status: int, code: str | None, reason: str | None = None, field: str | None = None) -> None:
        super().__init__(f"Razorpay answered {status} {code} {reason} {field}")
        self.status = status
        self.code = code
        self.reason = reason
        self.field = field


class KeysRefused(GatewayRefused):
    """Razorpay does not accept our API keys, which says nothing about what we asked for."""


class NotAtGateway(GatewayRefused):
    """Razorpay says explicitly that what we asked for does not exist."""


class TooOldForGateway(GatewayRefused):
    """Razorpay's API no longer returns what we asked for: it is older than 180 days."""


class ReceiptReused(GatewayRefused):
    """The receipt was used before: our counter of payment ids went back."""


class AmountRefused(GatewayRefused):
    """Razorpay does not accept an order or a refund of this amount."""


class RefundNotAccepted(GatewayRefused):
    """Razorpay rejected a refund for a reason that we do not know."""


class FullyRefunded(GatewayRefused):
    """Razorpay says that nothing of the payment is left to refund."""


class PaymentTooOld(GatewayRefused):
    """Razorpay says that the bank no longer accepts a refund of the payment."""


class NotCaptured(GatewayRefused):
    """Razorpay says that the payment was never captured."""


class BalanceInsufficient(GatewayRefused):
    """The balance of our account at Razorpay is lower than the refund."""


class KeyReused(GatewayRefused):
    """Razorpay knows our idempotency key from a refund with another body: a mistake of ours."""


class ConfigurationError(PaymentServiceError):
    """Settings are missing or unusable. The message names all of them and shows no values."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("The function cannot start: " + "; ".join(problems) + ".")
        self.problems = tuple(problems)


class StorageConflict(PaymentServiceError):
    """The condition of a write failed: another writer was faster, or we wrote it and lost the response."""
