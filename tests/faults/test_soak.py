"""A few dozen customers at once on the deployed template; and that no difference between the books goes unseen."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from payments.core.events import detail
from payments.core.model import Captured, Fact, Failed, Order, Record, Refunded, RefundState, Review, Signed, Status
from payments.core.transitions import decide, open_record
from sandbox.cloud.service import LocalService
from tests.faults.books import (
    SUBSCRIPTIONS,
    Account,
    Books,
    Published,
    State,
    accounts_of,
    compare,
    judge,
    money_table,
    unsettled,
)
from tests.faults.rig import World, installed
from tests.faults.soak import case, soak

NOW = 1_772_357_400
PAID, FAILED, REFUNDED, ORDERED = (f"order_{letter * 14}" for letter in "ABCD")
CAPTURE, SECOND = "pay_AAAAAAAAAAAAAA", "pay_CCCCCCCCCCCCCC"
AMOUNT = 49_950


# Twenty seconds on a quiet machine; on a busy one it is the starting of function instances that takes its time.
@pytest.mark.timeout(300)
def test_customers_at_once_leave_books_that_agree(local_service: LocalService, seed: int) -> None:
    told: list[tuple[int, int]] = []
    report = soak(local_service, 40, seed, lambda done, of: told.append((done, of)))

    assert told[-1] == (80, 80)
    figures = report.figures
    assert [figures[name] for name in ("lost", "doubled", "invented", "differing by a paisa or more")] == [0] * 4
    assert int(figures["paid"]) > 25
    assert int(figures["fault played: duplicates"]) > 0
    assert int(figures["reconcile runs beside the schedule's"]) > 0
    assert int(figures["events on the bus"]) >= int(figures["paid"])
    assert int(figures["notes in the inbox of job"]) == int(figures["notes in the inbox of application"]) > 0


def test_a_seed_plays_the_same_customers_again() -> None:
    assert [case(7, number, number) for number in range(50)] == [case(7, number, number) for number in range(50)]
    assert [case(7, number, number) for number in range(50)] != [case(8, number, number) for number in range(50)]


# --- books that agree -----------------------------------------------------------------------------------------------


def captured(payment: str = CAPTURE) -> Fact:
    return Captured(payment=payment, amount_minor=AMOUNT, currency="INR", method="upi")


def refunded(refund: str, amount_minor: int, payment: str = CAPTURE) -> Fact:
    return Refunded(payment=payment, refund=refund, amount_minor=amount_minor, state=RefundState.PROCESSED)


def told(order_id: str, *deliveries: Sequence[Fact]) -> tuple[Record, list[Published]]:
    """An order's record after these deliveries, and what was published."""
    order = Order(
        payment_id=1,
        job_id=11,
        application_id=12,
        client_id=42,
        freelancer_id=77,
        amount_minor=AMOUNT,
        currency="INR",
        receipt="local-1",
    )
    record = open_record(order_id, order, NOW)
    published = []
    for facts in deliveries:
        record = decide(record, facts, NOW).record
        published += [Published(event.type, detail(record, key, event)) for key, event in record.pending.items()]
        record = replace(record, pending={})
    return record, published


def account(order_id: str, payments: Mapping[str, bool], refunds: Mapping[str, int] | None = None) -> Account:
    """In the stand-in's ledger: payments by id, whether captured; refunds by id, how much."""
    paid = any(payments.values())
    return Account(
        {"id": order_id, "amount": AMOUNT, "currency": "INR", "status": "paid" if paid else "created"},
        [{"id": payment, "captured": is_captured} for payment, is_captured in payments.items()],
        [{"id": refund, "amount": amount, "status": "processed"} for refund, amount in (refunds or {}).items()],
    )


def note(event: Published) -> dict[str, Any]:
    payment = event.detail["payment"]
    return {
        "event_id": event.id,
        "detail_type": event.type,
        "version": event.version,
        **{name: payment[name] for name in ("order_id", "payment_id", "razorpay_payment_id", "status")},
    }


def books() -> Books:
    """One order paid and refunded in part, one that failed, one paid back in two parts, one nobody paid."""
    stories = [
        told(PAID, [Signed(payment=CAPTURE)], [captured()], [refunded("rfnd_AAAAAAAAAAAAAA", 100)]),
        told(FAILED, [Failed(payment="pay_BBBBBBBBBBBBBB", code="BAD_REQUEST_ERROR", reason="payment_failed")]),
        told(
            REFUNDED,
            [captured(SECOND)],
            [refunded("rfnd_BBBBBBBBBBBBBB", 1, SECOND)],
            [refunded("rfnd_CCCCCCCCCCCCCC", AMOUNT - 1, SECOND)],
        ),
        told(ORDERED),
    ]
    accounts = [
        account(PAID, {CAPTURE: True}, {"rfnd_AAAAAAAAAAAAAA": 100}),
        account(FAILED, {"pay_BBBBBBBBBBBBBB": False}),
        account(REFUNDED, {SECOND: True}, {"rfnd_BBBBBBBBBBBBBB": 1, "rfnd_CCCCCCCCCCCCCC": AMOUNT - 1}),
        account(ORDERED, {}),
    ]
    published = [event for _, events in stories for event in events]
    return Books(
        {each.order["id"]: each for each in accounts},
        {record.order_id: record for record, _ in stories},
        published,
        {name: [note(event) for event in published if event.type in types] for name, types in SUBSCRIPTIONS.items()},
    )


def test_books_that_agree_are_found_to_agree() -> None:
    compare(books()).check()
    assert f"| paid | paise | {AMOUNT:,} | {AMOUNT:,} | {AMOUNT:,} |" in money_table(books())
    assert f"| refunded | paise paid back | {AMOUNT:,} | {AMOUNT:,} | {AMOUNT:,} |" in money_table(books())


def test_what_the_guarantees_allow_is_no_difference() -> None:
    honest = books()
    newest = max(event.version for event in honest.published if event.order_id == REFUNDED)
    kept = [
        each
        for each in honest.inboxes["notification"]
        if each["order_id"] != REFUNDED or each["version"] == newest  # the paid one came late, and was dropped
    ]
    allowed = replace(
        honest,
        accounts={**honest.accounts, "order_EEEEEEEEEEEEEE": account("order_EEEEEEEEEEEEEE", {})},
        published=[*honest.published, *honest.published],
        inboxes={**honest.inboxes, "notification": kept},
    )
    findings = compare(allowed)
    findings.check()
    assert findings.overtaken == 1


def test_a_capture_learned_together_with_its_full_refund_is_told_as_the_refund_alone() -> None:
    refund = "rfnd_AAAAAAAAAAAAAA"
    record, published = told(PAID, [captured(), refunded(refund, AMOUNT)])
    assert [event.type for event in published] == ["payment.refunded"]
    known = account(PAID, {CAPTURE: True}, {refund: AMOUNT})
    inboxes = {name: [note(each) for each in published if each.type in types] for name, types in SUBSCRIPTIONS.items()}
    compare(Books({PAID: known}, {PAID: record}, published, inboxes)).check()


# --- and books that do not ------------------------------------------------------------------------------------------

type Change = Callable[[Books], Books]


def with_record(order_id: str, **changes: Any) -> Change:
    return lambda honest: replace(
        honest, records={**honest.records, order_id: replace(honest.records[order_id], **changes)}
    )


def another_amount(honest: Books) -> Books:
    order = replace(honest.records[PAID].agreed(), amount_minor=AMOUNT + 1)
    return with_record(PAID, order=order)(honest)


def another_refund(honest: Books) -> Books:
    refunds = {
        key: replace(refund, amount_minor=refund.amount_minor + 1)
        for key, refund in honest.records[PAID].refunds.items()
    }
    return with_record(PAID, refunds=refunds)(honest)


def still_pending(honest: Books) -> Books:
    record = honest.records[PAID]
    pending = decide(record, [refunded("rfnd_DDDDDDDDDDDDDD", 0)], NOW).record.pending
    return with_record(PAID, pending=pending)(honest)


def without_record(honest: Books) -> Books:
    return replace(honest, records={key: record for key, record in honest.records.items() if key != PAID})


def without_account(honest: Books) -> Books:
    return replace(honest, accounts={key: each for key, each in honest.accounts.items() if key != ORDERED})


def unpublished(event_type: str) -> Change:
    return lambda honest: replace(honest, published=[event for event in honest.published if event.type != event_type])


def published_too(**changes: Any) -> Change:
    """One more publish of the first event, with something else in it."""

    def change(honest: Books) -> Books:
        first = honest.published[0]
        altered = json.loads(json.dumps(first.detail))
        for path, value in changes.items():
            *parents, name = path.split("__")
            place = altered
            for parent in parents:
                place = place[parent]
            place[name] = value
        return replace(honest, published=[*honest.published, Published(first.type, altered)])

    return change


def never_announced(honest: Books) -> Books:
    """Neither on the bus nor in the record's history that anything failed."""
    history = tuple(entry for entry in honest.records[FAILED].history if entry.status is not Status.FAILED)
    return unpublished("payment.failed")(with_record(FAILED, history=history)(honest))


def with_notes(subscriber: str, change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]) -> Change:
    return lambda honest: replace(
        honest,
        inboxes={**honest.inboxes, subscriber: change([dict(each) for each in honest.inboxes[subscriber]])},
    )


DIFFERENCES: Mapping[str, tuple[Change, str]] = {
    "another status": (with_record(PAID, status=Status.REFUNDED), "differ: order_A.* in the table"),
    "unconfirmed": (with_record(PAID, confirmed=False), "differ: order_A.* in the table"),
    "a paisa more": (another_amount, "differ: order_A.* in the table"),
    "a paisa more paid back": (another_refund, "differ: order_A.* in the table"),
    "a pending event": (still_pending, "differ: order_A.*events are pending"),
    "no record": (without_record, "differ: order_A.*no record"),
    "a record of nothing": (without_account, "invented: order_D.*not at Razorpay"),
    "a review": (with_record(PAID, reviews=(Review(reason="amount_mismatch", subject=CAPTURE, at=""),)), "a review"),
    "a payment not told to the bus": (unpublished("payment.paid"), "lost: .*payment.paid.*never published"),
    "a part refund not told to the bus": (unpublished("payment.partially_refunded"), "lost: .*never published"),
    "a failure not told at all": (never_announced, "lost: order_B.* is failed and told {}"),
    "a second id": (published_too(event_id="another"), "doubled: .*published under 2 ids"),
    "other bytes": (published_too(occurred_at="2026"), "differ: .*two wordings"),
    "a paisa less on the bus": (published_too(payment__amount=AMOUNT - 1), "differ: .*says 49949 INR"),
    "a payment that never was": (
        published_too(event_id="x", payment__razorpay_payment_id="pay_XXXXXXXXXXXXXX"),
        "invented: .*never recorded",
    ),
    "an order that never was": (
        published_too(event_id="x", payment__order_id="order_XXXXXXXXXXXXXX"),
        "invented: .*Razorpay does not know",
    ),
    "a note missing": (with_notes("job", lambda notes: notes[1:]), "lost: job never noted"),
    "the newest note missing": (
        with_notes("notification", lambda notes: [each for each in notes if each["detail_type"] != "payment.refunded"]),
        "lost: notification never noted",
    ),
    "a note twice": (with_notes("application", lambda notes: [*notes, notes[0]]), "doubled: application noted"),
    "a note too many": (
        with_notes("job", lambda notes: [*notes, notes[0] | {"event_id": "invented"}]),
        "invented: job noted invented",
    ),
    "a note of something else": (
        with_notes("job", lambda notes: [notes[0] | {"razorpay_payment_id": "pay_XXXXXXXXXXXXXX"}, *notes[1:]]),
        "differ: job noted",
    ),
}


@pytest.mark.parametrize(("change", "message"), DIFFERENCES.values(), ids=DIFFERENCES.keys())
def test_a_difference_between_the_books_is_found(change: Change, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        compare(change(books())).check()


def test_sums_that_differ_are_found() -> None:
    with pytest.raises(AssertionError, match="the sums of paid orders differ"):
        money_table(another_amount(books()))


def test_only_an_order_that_nobody_paid_may_have_no_record() -> None:
    honest = books()
    assert unsettled(honest.accounts, {}).keys() == {PAID, FAILED, REFUNDED}
    assert honest.accounts[REFUNDED].state == State("refunded", confirmed=True, amount=AMOUNT, refunded=AMOUNT)


def test_the_oracle_finds_what_the_bus_did_not_hear() -> None:
    with installed() as install:
        world = install(World())
        checkout = world.pay(world.create_order().body["order_id"])
        assert checkout is not None
        world.come_to_rest()
    published = [Published(kind, json.loads(text)) for kind, text in world.bus.accepted]
    accounts = accounts_of(world.razorpay.account.ledger(), range(100))
    held = Books(accounts, world.ledger.records, published, {})
    assert judge(held) == []
    unheard = replace(held, published=[])
    assert judge(unheard) == [
        f"{checkout['razorpay_order_id']}: payment.paid {checkout['razorpay_order_id']} was never told"
    ]
