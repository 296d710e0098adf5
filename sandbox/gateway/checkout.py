"""The customer in Checkout: what they pay with, and what Checkout hands to the merchant's page.

Test mode's rules decide the outcome: `failure@razorpay` fails and every other VPA succeeds; an OTP of fewer than four
digits fails; the mock bank page has a button for either (Razorpay docs, test payments). A third outcome is the
stand-in's own, since test mode cannot be asked for it: `late`, a payment that fails now and is authorised soon after.
"""

import asyncio
from typing import Any, Final, get_args

from sandbox.gateway import identifiers, refusals, signatures, validation
from sandbox.gateway.entities import Capture, Card, Customer, Failure, Instrument, Paying, Payment
from sandbox.gateway.world import World

FAILING_VPA: Final = "failure@razorpay"
SHORTEST_OTP: Final = 4
CARD_DIGITS: Final = range(13, 20)
NETWORKS: Final = {"36": "Diners Club", "3": "American Express", "4": "Visa", "5": "MasterCard", "6": "RuPay"}
"""What a number begins with, the first that fits, for the cards that test mode knows."""
IIN_DIGITS: Final = 6
DEFAULT_LATE_AFTER_S: Final = 5
"""Long enough to see the payment failed first. Razorpay polls the bank for days (payments/payments.md)."""
LONGEST_LATE_AFTER_S: Final = 3600

_FIELDS: Final = frozenset(
    {"order_id", "method", "card", "otp", "vpa", "bank", "outcome", "email", "contact", "name", "description", "notes"}
    | {"amount", "currency", "force", "capture", "late_after_s"}
)
_NO_TEXTS: Final = frozenset({"notes", "amount", "force", "late_after_s"})
_FAILURES: Final = {
    # api/orders/fetch-payments.md, the sample's failed payment
    "upi": Failure(
        refusals.BAD_REQUEST,
        "Payment was unsuccessful due to a temporary issue. If amount got deducted, it will be refunded within "
        "5-7 working days.",
        "gateway",
        "payment_response",
        "payment_failed",
    ),
    # webhooks/payments.md, payment.failed, sample "Netbanking"
    "netbanking": Failure(refusals.BAD_REQUEST, "Payment failed", "bank", "payment_authorization", "payment_failed"),
    # api/payments/capture.md, the examples of the error_* fields
    "card": Failure(
        refusals.BAD_REQUEST,
        "Payment processing failed because of incorrect OTP",
        "customer",
        "payment_authentication",
        "incorrect_otp",
    ),
}
_NO_ANSWER: Final = Failure(
    # payments/payments/test-card-details.md, error scenarios; source and step are not given there
    refusals.BAD_REQUEST,
    "Your payment could not be completed due to a temporary issue. Try again later.",
    "bank",
    "payment_authorization",
    "payment_timed_out",
)


class UnplayableError(ValueError):
    """The control request is no way to pay; nothing was attempted."""


def paying(document: dict[str, Any]) -> Paying:
    """What the control request asks the customer to do.

    Raises:
        UnplayableError: a field is missing, unknown or impossible; the message says which.
    """
    if extra := sorted(set(document) - _FIELDS):
        raise UnplayableError(f"unknown fields: {', '.join(extra)}")
    texts = {name: document[name] for name in _FIELDS - _NO_TEXTS if document.get(name) is not None}
    if wrong := sorted(name for name, given in texts.items() if not isinstance(given, str)):
        raise UnplayableError(f"must be strings: {', '.join(wrong)}")
    if "order_id" not in texts:
        raise UnplayableError("order_id is missing")
    if texts.get("outcome") not in {None, "success", "failure", "late"}:
        raise UnplayableError("outcome can be: success, failure, late")
    if texts.get("capture") not in {None, *get_args(Capture)}:
        raise UnplayableError(f"capture can be: {', '.join(get_args(Capture))}")
    if texts.get("currency") not in {None, *validation.EXPONENTS}:
        raise UnplayableError("currency must be one that Razorpay knows, such as INR")
    amount, force = document.get("amount"), document.get("force", False)
    if amount is not None and (not isinstance(amount, int) or isinstance(amount, bool) or amount < 1):
        raise UnplayableError("amount must be a whole number of minor units from 1")
    if not isinstance(force, bool):
        raise UnplayableError("force can be: true, false")
    made_up = Customer()
    customer = Customer(
        email=texts.get("email", made_up.email),
        contact=texts.get("contact", made_up.contact),
        name=texts.get("name", made_up.name),
    )
    instrument, fails = _instrument(texts, customer)
    fails = texts["outcome"] != "success" if "outcome" in texts else fails
    if fails and "capture" in texts:
        raise UnplayableError("capture is for payments that succeed; this one fails")
    return Paying(
        order_id=texts["order_id"],
        instrument=instrument,
        customer=customer,
        fails=fails,
        description=texts.get("description"),
        notes=validation.notes(document),
        amount=amount,
        currency=texts.get("currency"),
        force=force,
        capture=texts.get("capture", "as_ordered"),
        late_after_s=_late_after_s(document),
    )


def failure_of(press: Paying) -> Failure | None:
    """Why the payment fails, as the bank of its method words it; None if it does not."""
    if press.late_after_s is not None:
        return _NO_ANSWER
    return _FAILURES[press.instrument.method] if press.fails else None


class LateAnswers:
    """The banks' answers that are still to come. Lives on the event loop that calls it."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._timers: set[asyncio.TimerHandle] = set()

    def expect(self, payment: Payment, after_s: float) -> None:
        """Authorise the failed payment in so many seconds, unless somebody has done so meanwhile."""

        def arrive() -> None:
            self._timers.discard(timer)
            if payment.status == "failed":
                self._world.authorize_late(payment)

        timer = asyncio.get_running_loop().call_later(after_s, arrive)
        self._timers.add(timer)

    def forget(self) -> None:
        """None of them comes any more."""
        while self._timers:
            self._timers.pop().cancel()


def pay(world: World, press: Paying, key_secret: str, late: LateAnswers | None = None) -> dict[str, str]:
    """Pay, and return the three fields that Checkout posts (payment-gateway/callback-url.md).

    Args:
        world: the account.
        press: what the customer does.
        key_secret: signs the answer.
        late: who brings the banks' late answers; where nobody does, `World.authorize_late` is left to the caller.

    Raises:
        Refusal: the order takes no payment, or the payment failed; the body is then the error object that Checkout's
            `payment.failed` hands over, with both ids in its metadata when there is a payment.
    """
    order = world.order(press.order_id)
    payment = world.attempt(order, press, failure_of(press))
    if (failure := payment.failure) is not None:
        if press.late_after_s is not None and late is not None:
            late.expect(payment, press.late_after_s)
        raise refusals.Refusal(
            failure.description,
            code=failure.code,
            source=failure.source,
            step=failure.step,
            reason=failure.reason,
            metadata={"order_id": order.id, "payment_id": payment.id},
        )
    return {
        "razorpay_payment_id": payment.id,
        "razorpay_order_id": order.id,
        "razorpay_signature": signatures.of_checkout(key_secret, order.id, payment.id),
    }


def _late_after_s(document: dict[str, Any]) -> float | None:
    """When the bank's answer comes after all; None if it comes in time."""
    given = document.get("late_after_s")
    if document.get("outcome") != "late":
        if given is not None:
            raise UnplayableError("late_after_s is for outcome: late")
        return None
    if given is None:
        return DEFAULT_LATE_AFTER_S
    if not isinstance(given, int | float) or isinstance(given, bool) or not 0 <= given <= LONGEST_LATE_AFTER_S:
        raise UnplayableError(f"late_after_s must be a number of seconds from 0 to {LONGEST_LATE_AFTER_S}")
    return float(given)


def _instrument(texts: dict[str, str], customer: Customer) -> tuple[Instrument, bool]:
    """What is paid with, and whether test mode lets it fail."""
    match texts.get("method", "card"):
        case "card":
            digits = texts.get("card", "4111 1111 1111 1111").replace(" ", "")
            if not (digits.isascii() and digits.isdecimal() and len(digits) in CARD_DIGITS):
                raise UnplayableError("card must be 13 to 19 digits")
            card = Card(
                id=identifiers.new("card"),
                name=customer.name,
                last4=digits[-4:],
                network=next((name for begin, name in NETWORKS.items() if digits.startswith(begin)), "Unknown"),
                iin=digits[:IIN_DIGITS],
            )
            return Instrument("card", card=card), len(texts.get("otp", "1234")) < SHORTEST_OTP
        case "upi":
            vpa = texts.get("vpa", "success@razorpay")
            if "@" not in vpa:
                raise UnplayableError("vpa must look like name@bank")
            return Instrument("upi", vpa=vpa), vpa == FAILING_VPA
        case "netbanking":
            return Instrument("netbanking", bank=texts.get("bank", "HDFC")), False
        case _:
            raise UnplayableError("method can be: card, upi, netbanking")
