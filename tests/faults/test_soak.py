"""A few dozen customers at once on the deployed template; and that no difference between the books goes unseen."""

import json
from collections.abc import Callable, Mapping
from copy import replace
from functools import cache
from typing import Any

import pytest

from payments.core.model import PendingEvent, Status
from sandbox.cloud.service import LocalService
from tests.faults.books import (
    SUBSCRIPTIONS,
    Account,
    Books,
    Published,
    State,
    accounts_of,
    compare,
    money_table,
    unsettled,
)
from tests.faults.rig import World, installed
from tests.faults.soak import case, soak

PAID, FAILED, REFUNDED, ORDERED = (f"order_{number:014d}" for number in range(1, 5))
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


def note(event: Published) -> dict[str, Any]:
    payment = event.detail["payment"]
    return {
        "event_id": event.id,
        "detail_type": event.type,
        "version": event.version,
        **{name: payment[name] for name in ("order_id", "payment_id", "razorpay_payment_id", "status")},
    }


def tell(world: World) -> None:
    for webhook in world.waiting:
        assert world.deliver(webhook).ok


def play(world: World) -> None:
    """One order paid and refunded in part, one that failed, one paid back in two parts, one nobody paid."""
    ordered = [world.create_order(application=number).body["order_id"] for number in range(1, 5)]
    assert ordered == [PAID, FAILED, REFUNDED, ORDERED]
    paid, failed, refunded = world.pay(PAID), world.pay(FAILED, outcome="failure"), world.pay(REFUNDED)
    assert paid is not None
    assert failed is None
    assert refunded is not None
    assert world.verify(paid).ok
    tell(world)
    for checkout, amounts in ((paid, (1_00,)), (refunded, (1_00, AMOUNT - 1_00))):
        for amount in amounts:
            world.refund(checkout["razorpay_payment_id"], amount)
            tell(world)


@cache
def books() -> Books:
    with installed() as install:
        world = install(World())
        play(world)
        world.check_writing()
    return books_of(world)


def books_of(world: World) -> Books:
    published = [Published(kind, json.loads(text)) for kind, text in world.bus.accepted]
    return Books(
        accounts_of(world.razorpay.account.ledger(), range(100)),
        dict(world.ledger.records),
        published,
        {name: [note(event) for event in published if event.type in types] for name, types in SUBSCRIPTIONS.items()},
        world.handed,
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
    unanswered = {**honest.accounts[ORDERED].order, "id": "order_EEEEEEEEEEEEEE"}
    allowed = replace(
        honest,
        accounts={**honest.accounts, "order_EEEEEEEEEEEEEE": Account(unanswered, [], [])},
        published=[*honest.published, *honest.published],
        inboxes={**honest.inboxes, "notification": kept},
    )
    findings = compare(allowed)
    findings.check()
    assert findings.overtaken == 1


def test_a_capture_learned_together_with_its_full_refund_is_told_as_the_refund_alone() -> None:
    with installed() as install:
        world = install(World())
        checkout = world.pay(world.create_order().body["order_id"])
        assert checkout is not None
        world.refund(checkout["razorpay_payment_id"])
        world.come_to_rest(deaf=True)
    known = books_of(world)
    assert [event.type for event in known.published] == ["payment.refunded"]
    compare(known).check()


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
    event = PendingEvent(
        type="payment.paid", version=1, at="2026-03-01T10:00:00Z", status=Status.PAID, refunded_minor=0
    )
    return with_record(PAID, pending={"an id": event})(honest)


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


def with_notes(subscriber: str, change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]) -> Change:
    return lambda honest: replace(
        honest,
        inboxes={**honest.inboxes, subscriber: change([dict(each) for each in honest.inboxes[subscriber]])},
    )


DIFFERENCES: Mapping[str, tuple[Change, str]] = {
    "another status": (with_record(PAID, status=Status.REFUNDED), "differ: order_0*1.* in the table"),
    "unconfirmed": (with_record(PAID, confirmed=False), "differ: order_0*1.* in the table"),
    "a paisa more": (another_amount, "differ: order_0*1.* in the table"),
    "a paisa more paid back": (another_refund, "differ: order_0*1.* in the table"),
    "a pending event": (still_pending, "differ: order_0*1.*events are pending"),
    "no record": (without_record, "differ: order_0*1.*no record"),
    "a record of nothing": (without_account, "invented: order_0*4.*not at Razorpay"),
    "a payment not told to the bus": (unpublished("payment.paid"), "the oracle: .*payment.paid .* was never told"),
    "a part refund not told to the bus": (
        unpublished("payment.partially_refunded"),
        "the oracle: .*refund rfnd_.* was told 0 times",
    ),
    "a full refund not told to the bus": (
        unpublished("payment.refunded"),
        "the oracle: .*payment.refunded .* never told",
    ),
    "a second id": (published_too(event_id="another"), "the oracle: .* was told under two ids"),
    "other bytes": (published_too(occurred_at="2026-03-01T10:00:00Z"), "differ: .*two wordings"),
    "a paisa less on the bus": (published_too(payment__amount=AMOUNT - 1), "differ: .*says 49949 INR"),
    "a payment that never was": (
        published_too(event_id="x", payment__razorpay_payment_id="pay_XXXXXXXXXXXXXX"),
        "invented: .*Razorpay does not know",
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
