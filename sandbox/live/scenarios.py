"""The scenarios that can be played on the running service, and their expected results.

A scenario has steps, which are really carried out, and expectations, which are checked against what the service did:
its record, its answers, and what its subscribers noted. Every step reports what it saw. Only the expectations decide
whether the scenario succeeded.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from sandbox.live.stage import AMOUNT_MINOR, Stage, StageError
from sandbox.live.timeline import SUBSCRIBERS, in_words, money

Who = Literal["Frontend", "Customer", "Merchant", "Back office", "Razorpay", "Service", "Stagehand"]

PART_MINOR: Final = 19950
OTHER_AMOUNT_MINOR: Final = 49900
OTHER_AMOUNT_RUPEES: Final = "450.00"
_OK: Final = 200
_CREATED: Final = 201
_BAD_REQUEST: Final = 400
_CONFLICT: Final = 409
_UNAVAILABLE: Final = 503


@dataclass(frozen=True, slots=True)
class Step:
    """Who does what; `act` does it and returns what was seen."""

    who: Who
    what: str
    act: Callable[[Stage], str]


@dataclass(frozen=True, slots=True)
class Expectation:
    """An expected result; `look` returns whether it holds, and what was seen."""

    what: str
    look: Callable[[Stage], tuple[bool, str]]


@dataclass(frozen=True, slots=True)
class Scenario:
    """One button of the live view; `name` is its name in URLs, `about` one line about what it shows."""

    name: str
    title: str
    about: str
    steps: Sequence[Step]
    expectations: Sequence[Expectation]


# --- steps of several scenarios -------------------------------------------------------------------------------------


def _order(stage: Stage) -> str:
    order = stage.create_order().expect(_CREATED).document
    return f"{order['order_id']}, {money(order['amount'], order['currency'])}, {order['status']}"


def _pay(stage: Stage) -> str:
    paid = stage.pay(method="upi", vpa="success@razorpay").expect(_OK).document
    return f"{paid['razorpay_payment_id']} went through"


def _verify(stage: Stage) -> str:
    answer = stage.verify(stage.paid[-1]).expect(_OK).document
    return str(answer["message"])


def _confirmed(stage: Stage) -> str:
    payment = stage.until(stage.payment, lambda seen: bool(seen["confirmed"]), "the webhooks to confirm the payment")
    _all_delivered(stage)
    return f"the payment is {payment['status']} and confirmed"


def _all_delivered(stage: Stage) -> str:
    events = stage.until(
        stage.webhooks,
        lambda seen: bool(seen) and all(event["state"] == "delivered" for event in seen),
        "every webhook to be accepted",
    )
    return f"{len(events)} webhooks, all accepted"


def _hold(stage: Stage) -> str:
    stage.hold_webhooks()
    return "no event about this order is sent until it is released"


ORDER: Final = Step("Frontend", "Creates an order for an accepted proposal", _order)
PAY: Final = Step("Customer", "Pays by UPI", _pay)
VERIFY: Final = Step("Frontend", "Sends Checkout's signature to verify", _verify)
CONFIRMED: Final = Step("Razorpay", "Sends webhooks, and the service confirms the payment", _confirmed)
HOLD: Final = Step("Stagehand", "Holds back this order's webhooks", _hold)


# --- expectations of several scenarios ------------------------------------------------------------------------------


def _becomes(status: str, *, confirmed: bool, refunded_minor: int = 0) -> Expectation:
    def look(stage: Stage) -> tuple[bool, str]:
        seen = stage.payment()
        told = _state_words(str(seen["status"]), bool(seen["confirmed"]), int(seen["amount_refunded"]))
        return told == _state_words(status, confirmed, refunded_minor), told

    return Expectation(f"The payment is {_state_words(status, confirmed, refunded_minor)}", look)


def _state_words(status: str, confirmed: bool, refunded_minor: int) -> str:
    return (
        f"{in_words(status)}, {'confirmed' if confirmed else 'not confirmed'}"
        f"{f', {money(refunded_minor, "INR")} paid back' if refunded_minor else ''}"
    )


def _notes(subscriber: str, *types: str) -> Expectation:
    name = subscriber.capitalize()
    expected = sorted(types)

    def look(stage: Stage) -> tuple[bool, str]:
        noted = stage.inbox(subscriber)
        return noted == expected, ", ".join(noted) or "nothing"

    if not types:
        return Expectation(f"The {name} service is not notified", look)
    return Expectation(f"The {name} service notes {_listed(types)}, once", look)


def _all_note_it_paid(*notified_too: str) -> list[Expectation]:
    return [
        _notes("job", "payment.paid"),
        _notes("application", "payment.paid"),
        _notes("notification", "payment.paid", *notified_too),
    ]


def _nothing_pending(stage: Stage) -> tuple[bool, str]:
    left = len(stage.record()["pending"])
    return left == 0, f"{left} waiting"


NOTHING_PENDING: Final = Expectation("No event is left waiting to be published", _nothing_pending)


def _history(what: str, *, count: int, of: str) -> Expectation:
    """Expect the record's history to contain a fact this often."""

    def look(stage: Stage) -> tuple[bool, str]:
        told = sum(
            fact.strip().startswith(of) for change in stage.record()["history"] for fact in change["what"].split(",")
        )
        return told == count, f"{told} in its history"

    return Expectation(what, look)


def _reviewed(reason: str, *, resolution: str | None = None) -> Expectation:
    """Expect that a review is opened and, with a resolution, that it is closed again."""
    words = f"{reason}, {resolution or 'open'}"

    def look(stage: Stage) -> tuple[bool, str]:
        told = [f"{review['reason']}, {review.get('resolution', 'open')}" for review in stage.record()["review"]]
        return told == [words], "; ".join(told) or "no review"

    what = "A person is asked to look" if resolution is None else "A person was asked to look, and no longer has to"
    return Expectation(f"{what}: {words}", look)


def _under_review(stage: Stage) -> tuple[bool, str]:
    seen = stage.payment()["under_review"]
    return seen is True, f"under_review is {str(seen).lower()}"


def _refused_while_under_review(stage: Stage) -> str:
    answer = stage.create_order().expect(_CONFLICT).document
    if (answer["code"], answer["order_id"]) != ("payment_under_review", stage.order_id):
        raise StageError(f"answered 409 {answer['code']} about {answer['order_id']}")
    return f"answered 409, {answer['code']}, about {answer['order_id']}"


UNDER_REVIEW: Final = Expectation("The client sees that the payment is being checked", _under_review)
REFUSED: Final = Step("Frontend", "Asks for an order once more", _refused_while_under_review)


def _unmoved(stage: Stage) -> tuple[bool, str]:
    version = int(stage.record()["version"])
    return version == stage.version, f"version {version}, and {stage.version} before"


def _answers(stage: Stage, *names: str) -> list[int | None]:
    return [attempt["status"] for event in stage.webhooks(*names) for attempt in event["attempts"]]


def _all_answered_ok(stage: Stage) -> tuple[bool, str]:
    answers = _answers(stage)
    return all(status == _OK for status in answers), f"{answers.count(_OK)} of {len(answers)} answered 200"


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


# --- fail, then succeed ---------------------------------------------------------------------------------------------


def _fail(stage: Stage) -> str:
    error = stage.pay(method="upi", vpa="failure@razorpay").expect(_BAD_REQUEST).document["error"]
    return f"Checkout says {error['reason']}"


def _told_failed(stage: Stage) -> str:
    stage.until(stage.payment, lambda seen: seen["status"] == "failed", "the payment to be failed")
    # If Notification got the success first, it would correctly ignore the failure.
    stage.until(
        lambda: stage.inbox("notification"), lambda notes: notes == ["payment.failed"], "the Notification service"
    )
    return "the payment is failed, and the Notification service knows"


def _order_again(stage: Stage) -> str:
    again = stage.create_order().expect(_OK).document
    if again["order_id"] != stage.order_id:
        raise StageError(f"a second order was created: {again['order_id']}")
    return "the same order is returned, no second one is created"


def _pay_by_card(stage: Stage) -> str:
    paid = stage.pay(method="card").expect(_OK).document
    return f"{paid['razorpay_payment_id']} went through"


FAIL_THEN_SUCCEED: Final = Scenario(
    name="fail-then-succeed",
    title="Fail, then succeed",
    about="The bank refuses a payment; the customer tries again on the same order.",
    steps=[
        ORDER,
        Step("Customer", "Pays by UPI, and the bank refuses", _fail),
        Step("Razorpay", "Reports that the payment failed", _told_failed),
        Step("Frontend", "Asks for an order once more", _order_again),
        Step("Customer", "Tries again on the same order, by card", _pay_by_card),
        VERIFY,
        CONFIRMED,
    ],
    expectations=[
        _becomes("paid", confirmed=True),
        _history("The failed attempt is kept", count=1, of="failed "),
        *_all_note_it_paid("payment.failed"),
        NOTHING_PENDING,
    ],
)

# --- duplicate webhooks ---------------------------------------------------------------------------------------------

_TIMES: Final = 3


def _send_again(stage: Stage) -> str:
    before = stage.mark()
    answers = [status for _ in range(_TIMES) for status in stage.redeliver(stage.webhooks())]
    told = _listed(sorted({str(status) for status in answers}))
    return f"{len(answers)} more deliveries, answered {told}; the record was at version {before}"


DUPLICATES: Final = Scenario(
    name="duplicate-webhooks",
    title="Duplicate webhooks",
    about="Razorpay sends every webhook four times; the payment changes once.",
    steps=[
        ORDER,
        PAY,
        VERIFY,
        CONFIRMED,
        Step("Stagehand", "Resends each webhook three times", _send_again),
    ],
    expectations=[
        Expectation("Every delivery is answered 200", _all_answered_ok),
        Expectation("The duplicates do not change the record", _unmoved),
        _history("The capture is recorded once", count=1, of="captured "),
        _becomes("paid", confirmed=True),
        *_all_note_it_paid(),
        NOTHING_PENDING,
    ],
)

# --- webhooks withheld, then reconcile ------------------------------------------------------------------------------


def _nothing_known(stage: Stage) -> str:
    payment = stage.payment()
    return f"the payment is still {payment['status']}"


def _reconcile(stage: Stage) -> str:
    entries = stage.rebuild()
    stage.until(stage.payment, lambda seen: bool(seen["confirmed"]), "reconcile to confirm the payment")
    stage.until(lambda: len(stage.record()["pending"]), lambda left: left == 0, "its event to be published")
    stage.mark()
    return f"read {entries} entries of Razorpay's lists since this story began; this payment is among them"


def _late_webhooks(stage: Stage) -> str:
    stage.stop_holding_webhooks()
    stage.release(stage.webhooks())
    return _all_delivered(stage)


def _nothing_but_authorised_since(stage: Stage) -> tuple[bool, str]:
    """Return whether at most the authorization was new: reconcile learns only that a payment was captured."""
    record = stage.record()
    count = int(record["version"]) - stage.version
    news = [str(change["what"]) for change in record["history"][len(record["history"]) - count :]]
    return all(what.startswith("authorized ") for what in news), ", ".join(news) or "nothing new"


WITHHELD: Final = Scenario(
    name="webhooks-withheld",
    title="Webhooks withheld, then reconcile",
    about="No webhook arrives and the browser is closed; reconcile reads Razorpay's lists of payments.",
    steps=[
        ORDER,
        HOLD,
        PAY,
        Step("Customer", "Closes the browser before verify is called", _nothing_known),
        Step("Stagehand", "Runs the rebuild now, instead of the sweep in 15 minutes", _reconcile),
        Step("Razorpay", "Sends the webhooks after all", _late_webhooks),
    ],
    expectations=[
        _becomes("paid", confirmed=True),
        *_all_note_it_paid(),
        Expectation("The late webhooks are answered 200", _all_answered_ok),
        Expectation("The late webhooks add the authorization at most", _nothing_but_authorised_since),
        NOTHING_PENDING,
    ],
)

# --- out of order ---------------------------------------------------------------------------------------------------


def _refund_part(stage: Stage) -> str:
    refund = stage.refund(PART_MINOR).expect(_OK).document
    return f"{refund['id']}, {money(refund['amount'], refund['currency'])}, {refund['status']}"


def _backwards(stage: Stage) -> str:
    events = stage.webhooks()[::-1]
    stage.stop_holding_webhooks()
    stage.release(events)
    _all_delivered(stage)
    return ", ".join(str(event["event"]) for event in events)


OUT_OF_ORDER: Final = Scenario(
    name="out-of-order",
    title="Out of order",
    about="A failure, a payment and a refund arrive backwards; the record ends up the same.",
    steps=[
        ORDER,
        HOLD,
        Step("Customer", "Pays by UPI, and the bank refuses", _fail),
        Step("Customer", "Tries again on the same order, by card", _pay_by_card),
        Step("Merchant", "Refunds a part of it", _refund_part),
        Step("Razorpay", "Sends all webhooks, the last one first", _backwards),
    ],
    expectations=[
        _becomes("paid", confirmed=True, refunded_minor=PART_MINOR),
        _history("The capture is recorded once", count=1, of="captured "),
        _history("The refund is recorded once", count=1, of="refund processed "),
        _history("The failed attempt is kept", count=1, of="failed "),
        *_all_note_it_paid(),
        Expectation("Every delivery is answered 200", _all_answered_ok),
        NOTHING_PENDING,
    ],
)

# --- refunds --------------------------------------------------------------------------------------------------------


def _refund_rest(stage: Stage) -> str:
    refund = stage.refund().expect(_OK).document
    return f"{refund['id']}, {money(refund['amount'], refund['currency'])}, {refund['status']}"


def _part_told(stage: Stage) -> str:
    payment = stage.until(
        stage.payment, lambda seen: seen["amount_refunded"] == PART_MINOR, "the first refund to be known"
    )
    _all_delivered(stage)
    return f"the payment is {payment['status']}, {money(payment['amount_refunded'], payment['currency'])} paid back"


def _all_told(stage: Stage) -> str:
    payment = stage.until(stage.payment, lambda seen: seen["status"] == "refunded", "the payment to be refunded")
    _all_delivered(stage)
    return f"the payment is {payment['status']}, {money(payment['amount_refunded'], payment['currency'])} paid back"


def _verify_in_vain(stage: Stage) -> str:
    answer = stage.verify(stage.paid[0]).expect(_CONFLICT).document
    return f"answered 409, {answer['code']}"


def _request_rest(stage: Stage) -> str:
    # Two clicks: the second one gets the refund of the first.
    first = stage.request_refund("refund-of-the-rest").expect(_CREATED).document
    again = stage.request_refund("refund-of-the-rest").expect(_OK).document
    if again["refund_id"] != first["refund_id"]:
        raise StageError(f"two clicks made {first['refund_id']} and {again['refund_id']}")
    return f"{first['refund_id']}, {money(first['amount'], first['currency'])}, once for two clicks"


REFUNDS: Final = Scenario(
    name="refunds",
    title="Part refund, then full",
    about="The merchant refunds a part, the back office the rest through the API; only then is the payment refunded.",
    steps=[
        ORDER,
        PAY,
        CONFIRMED,
        Step("Merchant", "Refunds a part of it", _refund_part),
        Step("Razorpay", "Reports the refund", _part_told),
        Step("Back office", "Requests the rest through the API, twice", _request_rest),
        Step("Razorpay", "Reports the second refund", _all_told),
        Step("Frontend", "Sends the old signature once more", _verify_in_vain),
    ],
    expectations=[
        _becomes("refunded", confirmed=True, refunded_minor=AMOUNT_MINOR),
        _history("Both refunds are recorded, once each", count=2, of="refund processed "),
        _history("One of them was requested here", count=1, of="refund requested "),
        *_all_note_it_paid("payment.refunded"),
        NOTHING_PENDING,
    ],
)

# --- captures that should not be ------------------------------------------------------------------------------------


def _pay_another_amount(stage: Stage) -> str:
    paid = stage.pay(amount=OTHER_AMOUNT_MINOR).expect(_OK).document
    return f"{paid['razorpay_payment_id']}, {money(OTHER_AMOUNT_MINOR, 'INR')} captured"


AMOUNT_MISMATCH: Final = Scenario(
    name="amount-mismatch",
    title="Amount mismatch",
    about="Razorpay captures an amount other than agreed; no event says that it was paid.",
    steps=[
        ORDER,
        Step("Customer", f"Pays {money(OTHER_AMOUNT_MINOR, 'INR')} instead", _pay_another_amount),
        Step("Razorpay", "Sends its webhooks", _all_delivered),
        REFUSED,
    ],
    expectations=[
        _becomes("authorized", confirmed=False),
        _reviewed("amount_mismatch"),
        UNDER_REVIEW,
        *[_notes(subscriber) for subscriber in SUBSCRIBERS],
        Expectation("Every delivery is answered 200", _all_answered_ok),
        NOTHING_PENDING,
    ],
)


def _pay_twice(stage: Stage) -> str:
    paid = stage.pay(method="netbanking", force=True).expect(_OK).document
    return f"{paid['razorpay_payment_id']} went through as well"


def _second_told(stage: Stage) -> str:
    stage.until(
        lambda: [review["reason"] for review in stage.record()["review"]],
        lambda reasons: reasons == ["duplicate_capture"],
        "a person to be asked to look",
    )
    return _all_delivered(stage)


def _refund_second(stage: Stage) -> str:
    refund = stage.refund(payment=1).expect(_OK).document
    return f"{refund['id']}, {money(refund['amount'], refund['currency'])}, {refund['status']}"


DUPLICATE_CAPTURE: Final = Scenario(
    name="duplicate-capture",
    title="Duplicate capture",
    about="An order is paid twice; a person is asked to look, and the second payment is refunded.",
    steps=[
        ORDER,
        PAY,
        CONFIRMED,
        Step("Customer", "Pays once more, from another tab", _pay_twice),
        Step("Razorpay", "Reports the second payment", _second_told),
        Step("Merchant", "Refunds the second payment", _refund_second),
        Step("Razorpay", "Reports the refund", _all_delivered),
    ],
    expectations=[
        _becomes("paid", confirmed=True),
        _history("Both captures are kept", count=2, of="captured "),
        _reviewed("duplicate_capture", resolution="returned"),
        *_all_note_it_paid("payment.surplus_refunded"),
        NOTHING_PENDING,
    ],
)


def _agree_to_less(stage: Stage) -> str:
    other = stage.create_order(OTHER_AMOUNT_RUPEES).expect(_CREATED).document
    if other["order_id"] == stage.order_id:
        raise StageError("the same order was returned for another amount")
    return f"{other['order_id']} over {money(other['amount'], other['currency'])} replaces it"


def _checked(stage: Stage) -> str:
    stage.until(stage.payment, lambda seen: bool(seen["under_review"]), "the payment to be under review")
    return _all_delivered(stage)


SUPERSEDED: Final = Scenario(
    name="superseded-order",
    title="An old order is paid",
    about="The client agrees to another amount but pays the old order; the payment is checked and refunded.",
    steps=[
        ORDER,
        Step("Frontend", "Creates an order for another amount, while the old Checkout stays open", _agree_to_less),
        Step("Customer", "Pays in the old Checkout", _pay),
        Step("Razorpay", "Sends its webhooks", _checked),
        REFUSED,
        Step("Merchant", "Refunds it", _refund_rest),
        Step("Razorpay", "Reports the refund", _all_delivered),
    ],
    expectations=[
        _becomes("refunded", confirmed=False),
        _reviewed("superseded_order", resolution="returned"),
        _notes("job"),
        _notes("application"),
        _notes("notification", "payment.surplus_refunded"),
        NOTHING_PENDING,
    ],
)

# --- disputes -------------------------------------------------------------------------------------------------------


def _open_dispute(stage: Stage) -> str:
    dispute = stage.dispute()
    return f"{dispute['id']}, {money(dispute['amount'], dispute['currency'])}, {dispute['phase']}"


def _moves(status: str) -> Callable[[Stage], str]:
    def move(stage: Stage) -> str:
        dispute = stage.move_dispute(status)
        told = _all_delivered(stage)
        return f"the dispute is {dispute['status']}; {told}"

    return move


def _shows_the_loss(stage: Stage) -> tuple[bool, str]:
    seen = stage.payment()
    refunded, disputed = seen["amount_refunded"], seen["amount_disputed"]
    told = f"{money(refunded, 'INR')} refunded, {money(disputed, 'INR')} disputed"
    return (refunded, disputed) == (0, AMOUNT_MINOR), told


DISPUTE_LOST: Final = Scenario(
    name="dispute-lost",
    title="A dispute is lost",
    about="The client's bank takes the money back after weeks; it is no refund, and a person is asked to look.",
    steps=[
        ORDER,
        PAY,
        CONFIRMED,
        Step("Customer", "Has the bank demand the money back", _open_dispute),
        Step("Merchant", "Submits evidence", _moves("under_review")),
        Step("Razorpay", "Says that the evidence is insufficient", _moves("action_required")),
        Step("Razorpay", "Reports that the dispute is lost", _moves("lost")),
        REFUSED,
    ],
    expectations=[
        _becomes("refunded", confirmed=True),
        Expectation("The loss is shown, and not as a refund", _shows_the_loss),
        _history("The loss is recorded once", count=1, of="dispute lost "),
        _reviewed("dispute_lost"),
        UNDER_REVIEW,
        *_all_note_it_paid(),
        NOTHING_PENDING,
    ],
)

# --- an order expires -----------------------------------------------------------------------------------------------

_MONTH_S: Final = 32 * 24 * 60 * 60
# The stand-in uses whole seconds, and a payment of the second of the expiry was not made afterwards.
_NEXT_SECOND_S: Final = 1.1


def _let_a_month_pass(stage: Stage) -> str:
    stage.let_it_grow_old(_MONTH_S)
    return "at Razorpay the order is 32 days old now"


def _expire(stage: Stage) -> str:
    stage.expire()
    record = stage.record()
    if "expired" not in record:
        raise StageError(f"the order has not expired; the record says {record['history'][-1]['what']}")
    stage.pause(_NEXT_SECOND_S)
    return f"the order has expired, and the payment is still {record['status']}"


def _late_success(stage: Stage) -> str:
    payment_id = next(iter(stage.record()["payments"]))
    stage.authorize_late(payment_id)
    return f"{payment_id} went through after all"


MONTH_PASSES: Final = Step("Stagehand", "Lets a month pass for this order", _let_a_month_pass)
EXPIRES: Final = Step("Service", "Runs the expiry lane, which reads Razorpay's orders of a month ago", _expire)

EXPIRED: Final = Scenario(
    name="expired-order",
    title="An expired order is paid",
    about="Nobody pays for a month and the order expires; then it is paid from an old tab, checked and refunded.",
    steps=[
        ORDER,
        MONTH_PASSES,
        EXPIRES,
        Step("Customer", "Pays in a Checkout that was still open", _pay),
        Step("Razorpay", "Sends its webhooks", _checked),
        REFUSED,
        Step("Merchant", "Refunds it", _refund_rest),
        Step("Razorpay", "Reports the refund", _all_delivered),
    ],
    expectations=[
        _becomes("refunded", confirmed=False),
        _history("The order expired once", count=1, of="expired"),
        _reviewed("expired_order", resolution="returned"),
        _notes("job"),
        _notes("application"),
        _notes("notification", "payment.surplus_refunded"),
        NOTHING_PENDING,
    ],
)

PAID_BEFORE_EXPIRY: Final = Scenario(
    name="paid-before-expiry",
    title="Paid before the expiry, reported after it",
    about="A payment fails, the order expires, and the bank says that the payment went through after all.",
    steps=[
        ORDER,
        Step("Customer", "Pays by UPI, and the bank refuses", _fail),
        Step("Razorpay", "Reports that the payment failed", _told_failed),
        MONTH_PASSES,
        EXPIRES,
        Step("Razorpay", "Learns from the bank that the payment went through (late authorization)", _late_success),
        CONFIRMED,
    ],
    expectations=[
        _becomes("paid", confirmed=True),
        _history("The order expired once", count=1, of="expired"),
        *_all_note_it_paid("payment.failed"),
        NOTHING_PENDING,
    ],
)

# --- EventBridge down -----------------------------------------------------------------------------------------------


def _no_eventbridge(stage: Stage) -> str:
    stage.take_eventbridge_away()
    return "PutEvents about this order is answered 503 ServiceUnavailable"


def _refused(stage: Stage) -> str:
    stage.until(
        lambda: _answers(stage, "payment.captured", "order.paid"),
        lambda answers: _UNAVAILABLE in answers,
        "the webhook to be answered 503",
    )
    record = stage.record()
    pending = [str(event["type"]) for event in record["pending"].values()]
    noted = [note for subscriber in SUBSCRIBERS for note in stage.inbox(subscriber)]
    if not (record["confirmed"] and pending == ["payment.paid"] and not noted):
        raise StageError(f"the record is {record['status']}, pending {pending}, and the services noted {noted}")
    return "answered 503: send it again; the payment is paid and confirmed, its event waits, no service knows yet"


def _eventbridge_back(stage: Stage) -> str:
    stage.bring_eventbridge_back()
    return "PutEvents is accepted again"


def _retried(stage: Stage) -> str:
    stage.until(lambda: len(stage.record()["pending"]), lambda left: left == 0, "a retry to publish the event")
    told = _all_delivered(stage)
    refused = _answers(stage).count(_UNAVAILABLE)
    return f"{told}, {refused} of their deliveries answered 503 before"


def _refused_then_accepted(stage: Stage) -> tuple[bool, str]:
    answers = [_of(event) for event in stage.webhooks("payment.captured", "order.paid")]
    refused = any(_UNAVAILABLE in told for told in answers)
    accepted = all(told[-1:] == [_OK] for told in answers)
    return refused and accepted, "; ".join(", ".join(map(str, told)) for told in answers)


def _of(event: object) -> list[int | None]:
    attempts = event["attempts"] if isinstance(event, dict) else []
    return [attempt["status"] for attempt in attempts]


EVENTBRIDGE_DOWN: Final = Scenario(
    name="eventbridge-down",
    title="EventBridge down",
    about="Events cannot be published for a while; they wait in the record, and none is lost.",
    steps=[
        ORDER,
        Step("Stagehand", "Takes EventBridge down for this order", _no_eventbridge),
        PAY,
        Step("Razorpay", "Sends its webhooks", _refused),
        Step("Stagehand", "Brings EventBridge back", _eventbridge_back),
        Step("Razorpay", "Sends the webhooks again", _retried),
    ],
    expectations=[
        _becomes("paid", confirmed=True),
        Expectation("The webhooks were answered 503 first, and 200 in the end", _refused_then_accepted),
        _history("The capture is recorded once", count=1, of="captured "),
        *_all_note_it_paid(),
        NOTHING_PENDING,
    ],
)

SCENARIOS: Final = {
    scenario.name: scenario
    for scenario in (
        FAIL_THEN_SUCCEED,
        DUPLICATES,
        WITHHELD,
        OUT_OF_ORDER,
        REFUNDS,
        AMOUNT_MISMATCH,
        DUPLICATE_CAPTURE,
        SUPERSEDED,
        DISPUTE_LOST,
        EXPIRED,
        PAID_BEFORE_EXPIRY,
        EVENTBRIDGE_DOWN,
    )
}
"""By name, in the order shown."""
