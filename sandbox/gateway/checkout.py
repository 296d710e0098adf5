"""The customer in Checkout: what they pay with, and what Checkout returns to the merchant's page.

Test mode's rules decide the outcome: `failure@razorpay` fails and every other VPA succeeds; an OTP of fewer than four
digits fails; the mock bank page has a button for each (Razorpay docs, test payments). The stand-in adds a third outcome
that test mode cannot produce on request: `late`, a payment that fails now and is authorized soon after.
"""

import asyncio
from typing import Any, Final, get_args

from sandbox.gateway import identifiers, refusals, signatures, validation
from sandbox.gateway.entities import (
    NO_ANSWER,
    Capture,
    Card,
    Customer,
    Failure,
    Instrument,
    Paying,
    Payment,
    Platform,
    UpiFlow,
)
from sandbox.gateway.error_cards import ERROR_CARDS
from sandbox.gateway.world import World

FAILING_VPA: Final = "failure@razorpay"
PAYERS_VPA: Final = "gaurav.kumar@upi"
"""The payer in the app, as in webhooks/payments.md, sample "UPI"."""
SHORTEST_OTP: Final = 4
CARD_DIGITS: Final = range(13, 20)
NETWORKS: Final = {"36": "Diners Club", "3": "American Express", "4": "Visa", "5": "MasterCard", "6": "RuPay"}
"""The network by a number's prefix (the first match), for the cards that test mode knows."""
IIN_DIGITS: Final = 6
DEFAULT_LATE_AFTER_S: Final = 5
"""Long enough to see that the payment failed first. Razorpay polls the bank for days (payments/payments.md)."""
LONGEST_LATE_AFTER_S: Final = 3600

_FIELDS: Final = frozenset(
    {"order_id", "method", "card", "otp", "vpa", "flow", "bank", "outcome", "email", "contact", "name", "description"}
    | {"notes", "amount", "currency", "force", "capture", "late_after_s", "offer", "platform"}
)
_NO_TEXTS: Final = frozenset({"notes", "amount", "force", "late_after_s", "offer"})
_CHOICES: Final[dict[str, tuple[str, ...]]] = {
    "outcome": ("success", "failure", "late", "open"),
    "flow": get_args(UpiFlow),
    "capture": get_args(Capture),
    "platform": get_args(Platform),
}
_FAILURES: Final = {
    # api/orders/fetch-payments.md, the failed payment of the sample
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
NATIVE_EXTRAS: Final[dict[str, Any]] = {
    "org_logo": "",
    "org_name": "Razorpay Software Private Ltd",
    "checkout_logo": "https://cdn.razorpay.com/logo.png",
    "custom_branding": False,
    "status_code": 200,
}
"""What Checkout's mobile SDKs return in addition to the three documented fields (react-native-razorpay#332; the last
two from public Android code)."""


class UnplayableError(ValueError):
    """The control request does not describe a possible payment; nothing was attempted."""


def paying(document: dict[str, Any]) -> Paying:
    """Parse what the control request asks the customer to do.

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
    for name, possible in _CHOICES.items():
        if texts.get(name) not in {None, *possible}:
            raise UnplayableError(f"{name} can be: {', '.join(possible)}")
    if texts.get("currency") not in {None, *validation.EXPONENTS}:
        raise UnplayableError("currency must be one that Razorpay knows, such as INR")
    amount, offer, force = _minor(document, "amount"), _minor(document, "offer"), document.get("force", False)
    if offer is not None and (amount is not None or "currency" in texts):
        raise UnplayableError("an offer lowers the order's amount; do not give another amount or currency as well")
    if not isinstance(force, bool):
        raise UnplayableError("force can be: true, false")
    made_up = Customer()
    customer = Customer(
        email=texts.get("email", made_up.email),
        contact=texts.get("contact", made_up.contact),
        name=texts.get("name", made_up.name),
    )
    instrument, fails = _instrument(texts, customer)
    outcome = texts.get("outcome")
    fails = outcome in {"failure", "late"} if outcome is not None else fails
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
        open=outcome == "open",
        offer=offer,
        platform=texts.get("platform"),
    )


def failure_of(press: Paying) -> Failure | None:
    """Return why the payment fails, in the wording of its method's bank, or None if it succeeds."""
    if press.late_after_s is not None:
        return NO_ANSWER
    return _failure(press.instrument) if press.fails else None


def _failure(instrument: Instrument) -> Failure:
    return instrument.fails_as or _FAILURES[instrument.method]


class LateAnswers:
    """The banks' late answers that are still to come. Must be used on one event loop."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._timers: set[asyncio.TimerHandle] = set()

    def expect(self, payment: Payment, after_s: float) -> None:
        """Authorize the failed payment after a delay, unless it has been authorized by then."""

        def arrive() -> None:
            self._timers.discard(timer)
            if payment.status == "failed":
                self._world.authorize_late(payment)

        timer = asyncio.get_running_loop().call_later(after_s, arrive)
        self._timers.add(timer)

    def forget(self) -> None:
        """Cancel all of them."""
        while self._timers:
            self._timers.pop().cancel()


def pay(world: World, press: Paying, key_secret: str, late: LateAnswers | None = None) -> dict[str, str] | None:
    """Pay, and return the three fields that Checkout posts (payment-gateway/callback-url.md).

    Args:
        world: the account.
        press: what the customer does.
        key_secret: signs the answer.
        late: delivers the banks' late answers; without it, calling `World.authorize_late` is up to the caller.

    Returns:
        The fields, or None while the customer is still in the bank's app and Checkout has nothing to return.

    Raises:
        Refusal: the order accepts no payment, or the payment failed; the body is then the error object of Checkout's
            `payment.failed`, with both ids in its metadata if there is a payment.
    """
    world.pass_time()
    order = world.order(press.order_id)
    payment = world.attempt(order, press, failure_of(press))
    if press.open:
        return None
    if payment.status == "failed" and press.late_after_s is not None and late is not None:
        late.expect(payment, press.late_after_s)
    return outcome_of(payment, key_secret)


def finish(world: World, payment: Payment, key_secret: str, *, fails: bool, force: bool = False) -> dict[str, str]:
    """Bring the customer back from the bank's app, and return what `pay` would.

    Args:
        world: the account.
        payment: a pending payment.
        key_secret: signs the answer.
        fails: whether the bank declines.
        force: capture it even if another payment has paid the order in the meantime.

    Raises:
        ImpossibleError: the payment is not pending.
        Refusal: the payment failed, as for `pay`.
    """
    world.answer(payment, _failure(payment.instrument) if fails else None, force=force)
    return outcome_of(payment, key_secret)


def give_up(world: World, payment: Payment, late: LateAnswers) -> None:
    """Let the bank miss the deadline of a pending payment, and answer some seconds later.

    Raises:
        ImpossibleError: the payment is not pending.
    """
    world.answer(payment, NO_ANSWER)
    late.expect(payment, DEFAULT_LATE_AFTER_S)


def outcome_of(payment: Payment, key_secret: str) -> dict[str, str]:
    """Return what Checkout returns once the bank has answered; see `pay`."""
    if (failure := payment.failure) is not None:
        raise refusals.Refusal(
            failure.description,
            code=failure.code,
            source=failure.source,
            step=failure.step,
            reason=failure.reason,
            metadata={"order_id": payment.order_id, "payment_id": payment.id},
        )
    return {
        "razorpay_payment_id": payment.id,
        "razorpay_order_id": payment.order_id,
        "razorpay_signature": signatures.of_checkout(key_secret, payment.order_id, payment.id),
    }


def handed_over(fields: dict[str, str], platform: Platform) -> dict[str, Any]:
    """Return the success object as Checkout on that platform passes it to the merchant's code."""
    return {**fields} if platform == "web" else fields | NATIVE_EXTRAS


def _minor(document: dict[str, Any], name: str) -> int | None:
    given = document.get(name)
    if given is not None and (not isinstance(given, int) or isinstance(given, bool) or given < 1):
        raise UnplayableError(f"{name} must be a whole number of minor units from 1")
    return given


def _late_after_s(document: dict[str, Any]) -> float | None:
    """Return after how many seconds the bank's late answer comes, or None if it comes in time."""
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
    """Return what the payment uses, and whether test mode lets it fail."""
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
            instrument = Instrument("card", card=card, fails_as=ERROR_CARDS.get(digits))
            return instrument, len(texts.get("otp", "1234")) < SHORTEST_OTP
        case "upi":
            flow: UpiFlow = "intent" if texts.get("flow") == "intent" else "collect"
            vpa = texts.get("vpa", "success@razorpay" if flow == "collect" else PAYERS_VPA)
            if "@" not in vpa:
                raise UnplayableError("vpa must look like name@bank")
            return Instrument("upi", vpa=vpa, flow=flow), vpa == FAILING_VPA
        case "netbanking":
            return Instrument("netbanking", bank=texts.get("bank", "HDFC")), False
        case _:
            raise UnplayableError("method can be: card, upi, netbanking")
