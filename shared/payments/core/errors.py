"""What can go wrong, by name. Nothing here knows HTTP: one table in `adapters.http` turns each into its answer.

PaymentServiceError
├── RequestError                the caller must act
│   ├── MalformedRequest            not JSON, or JSON that readers disagree about
│   ├── InvalidRequest              JSON of the wrong shape; carries the fields
│   ├── UnsupportedMediaType
│   ├── RequestTooLarge
│   ├── RouteNotFound
│   ├── MethodNotAllowed            carries the allowed methods
│   ├── Unauthenticated             no valid token
│   │   └── UnknownSigner               well formed, and signed by nobody whose key we have
│   ├── Forbidden                   somebody else's payment to start
│   ├── InvalidSignature            checkout or webhook signature missing, malformed or wrong
│   ├── OrderNotFound               unknown, or somebody else's: never told apart
│   ├── ApplicationRefused          no new order for this application; carries the order that it is about
│   │   ├── AlreadyPaid
│   │   ├── PaymentInProgress           a payment is alive on another order, or under way at the bank
│   │   └── PaymentUnderReview          money is held that a person must look at
│   ├── PaymentRefunded
│   ├── PaymentReturned             Razorpay gave the payment back uncaptured
│   └── PaymentFailed               the payment is known to be dead
├── TemporaryError              time must pass; the same request may succeed later
│   ├── TableUnavailable
│   ├── BusUnavailable
│   ├── SecretsUnavailable          the settings cannot be read right now
│   ├── NotConfiguredYet            the stack is new, and nobody has filled its secrets
│   ├── KeysUnavailable             the identity service's keys cannot be read right now
│   ├── EventsUnpublished           some events are stored but not yet on the bus
│   ├── ContentionError             the record kept changing under us
│   └── GatewayUnavailable          unreachable, failing, or an answer we cannot use
│       └── GatewayThrottled            it asks us to slow down
├── GatewayRefused              a person must act: Razorpay answered that our request is wrong
│   ├── KeysRefused                 it does not know our API keys: says nothing of what was asked
│   ├── NotAtGateway                in so many words: there is no such order, payment or refund
│   ├── TooOldForGateway            older than 180 days: its API no longer shows it
│   ├── ReceiptReused               the receipt of a new order was used before
│   └── AmountRefused               the amount of a new order is not one that it takes
├── ConfigurationError          a person must act: settings missing or unusable
└── StorageConflict             never leaves the service: the condition of a write did not hold
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from types import NoneType


class PaymentServiceError(Exception):
    """The one root to catch."""


class RequestError(PaymentServiceError):
    """The caller must change something before trying again."""


class MalformedRequest(RequestError):
    """The body is not JSON, or is JSON that two readers could understand differently."""


@dataclass(frozen=True, slots=True)
class FieldError:
    """One thing wrong with one field, in our words: `field` is a path such as `amount`.

    `ours` is false for a field that we do not have: its name is the caller's own and may be shown to nobody else.
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
    """What JSON calls a value, for a message about a field; never the value itself.

    A number that is written with a point or an exponent is `a decimal number`, whatever its value.
    """
    return _KINDS.get(type(value), "something else")


class InvalidRequest(RequestError):
    """The body is JSON but does not fit the contract; `errors` says where and why."""

    def __init__(self, errors: Sequence[FieldError]) -> None:
        super().__init__("; ".join(f"{error.field if error.ours else '(another)'} {error.message}" for error in errors))
        self.errors = tuple(errors)


class UnsupportedMediaType(RequestError):
    """The body is announced as something other than JSON."""


class RequestTooLarge(RequestError):
    """The body is over the limit of this endpoint."""

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(f"The body is larger than {limit_bytes} bytes.")
        self.limit_bytes = limit_bytes


class RouteNotFound(RequestError):
    """No such route."""


class MethodNotAllowed(RequestError):
    """The route exists, the method does not."""

    def __init__(self, allowed: Sequence[str]) -> None:
        super().__init__(f"Allowed here: {', '.join(allowed)}.")
        self.allowed = tuple(allowed)


class Unauthenticated(RequestError):
    """There is no token, or none that we can accept. Why is for the log, never for the caller."""


class UnknownSigner(Unauthenticated):
    """The token is well formed, and no key of ours fits its signature: forged, or a key was changed."""


class Forbidden(RequestError):
    """The caller is known but may not do this."""


class InvalidSignature(RequestError):
    """The signature is missing, malformed or wrong; the three are never told apart."""


class OrderNotFound(RequestError):
    """The order is unknown, or not the caller's; the two are never told apart."""


class ApplicationRefused(RequestError):
    """No order is handed out for this application; `order_id` is the order that it is about."""

    def __init__(self, why: str, order_id: str) -> None:
        super().__init__(why)
        self.order_id = order_id


class AlreadyPaid(ApplicationRefused):
    """The client has paid for this application."""


class PaymentInProgress(ApplicationRefused):
    """A payment is alive on another order of this application, or under way at the bank."""


class PaymentUnderReview(ApplicationRefused):
    """Money is held for this application that is not as agreed: a person must look, and nobody must pay again."""


class PaymentRefunded(RequestError):
    """The payment was refunded in full."""


class PaymentReturned(RequestError):
    """Razorpay gave the payment back without capturing it."""


class PaymentFailed(RequestError):
    """The payment failed, and Razorpay has confirmed that since it was signed."""


class TemporaryError(PaymentServiceError):
    """The same request may succeed later."""


class TableUnavailable(TemporaryError):
    """DynamoDB did not answer in time, or answered that it cannot now."""


class BusUnavailable(TemporaryError):
    """EventBridge did not answer in time, or answered that it cannot now."""


class SecretsUnavailable(TemporaryError):
    """Secrets Manager did not answer in time, or answered that it cannot now."""


class NotConfiguredYet(TemporaryError):
    """A secret has never had a value: the stack is new. A secret with a wrong value is a `ConfigurationError`."""


class KeysUnavailable(TemporaryError):
    """The identity service did not say in time which keys it signs with, or what it said cannot be used."""


class EventsUnpublished(TemporaryError):
    """Everything is stored, but the bus has not accepted every event yet."""


class ContentionError(TemporaryError):
    """The record changed under us as often as we were willing to try."""


class GatewayUnavailable(TemporaryError):
    """Razorpay is unreachable, throttles us, fails, or answers something we cannot use."""


class GatewayThrottled(GatewayUnavailable):
    """Razorpay asks us to slow down."""


class GatewayRefused(PaymentServiceError):
    """Razorpay answered that our request is wrong.

    Attributes:
        status: the HTTP status it answered with.
        code: its error code, such as `BAD_REQUEST_ERROR`; its description is dropped, it may quote the request.
        reason: its reason, such as `input_validation_failed`.
        field: the field it complains about, if it names one.
    """

    def __init__(self, status: int, code: str | None, reason: str | None = None, field: str | None = None) -> None:
        super().__init__(f"Razorpay answered {status} {code} {reason} {field}")
        self.status = status
        self.code = code
        self.reason = reason
        self.field = field


class KeysRefused(GatewayRefused):
    """Razorpay does not know our API keys. "Cannot tell", never "no"."""


class NotAtGateway(GatewayRefused):
    """Razorpay says, in so many words, that what was asked for does not exist."""


class TooOldForGateway(GatewayRefused):
    """Razorpay's API no longer shows what was asked for: it is older than 180 days."""


class ReceiptReused(GatewayRefused):
    """The receipt was used before: our counter of payment ids has gone back."""


class AmountRefused(GatewayRefused):
    """Razorpay does not take an order of this amount."""


class ConfigurationError(PaymentServiceError):
    """Settings are missing or unusable. The message names every one of them and shows no value."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("The function cannot start: " + "; ".join(problems) + ".")
        self.problems = tuple(problems)


class StorageConflict(PaymentServiceError):
    """The condition of a write did not hold: somebody else was first, or we were and did not hear of it."""
