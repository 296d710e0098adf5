"""A few dozen customers at once on the deployed template; and that no difference between the books goes unseen."""

import json
import re
from collections.abc import Callable, Mapping
from copy import replace
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest

from sandbox.cloud.service import LocalService
from sandbox.events import CLIENT
from tests.faults.books import SUBSCRIPTIONS, Account, Published, accounts_of, check_inbox, complaints
from tests.faults.rig import World, installed
from tests.faults.soak import case, soak

PAID, FAILED, REFUNDED, ORDERED = (f"order_{number:014d}" for number in range(1, 5))
AMOUNT = 49_950


# Twenty seconds on a quiet machine; on a busy one it is the starting of function instances that takes its time.
@pytest.mark.timeout(300)
def test_customers_at_once_leave_books_that_agree(local_service: LocalService, seed: int) -> None:
    told: list[tuple[int, int]] = []
    report = soak(local_service, 30, seed, lambda done, of: told.append((done, of)))

    assert told[-1] == (60, 60)
    figures = report.figures
    assert int(figures["payments captured"]) > 18
    assert int(figures["faults of Razorpay's API and webhooks"]) > 0
    assert int(figures["webhooks never sent"]) > 0
    assert int(figures["reconcile runs beside the schedule's"]) > 0
    assert int(figures["events on the bus"]) >= int(figures["payments captured"])


def test_a_seed_plays_the_same_customers_again() -> None:
    assert [case(7, number, number) for number in range(50)] == [case(7, number, number) for number in range(50)]
    assert [case(7, number, number) for number in range(50)] != [case(8, number, number) for number in range(50)]


# --- books that agree -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Books:
    """Everything that is compared."""

    account: Account
    shown: Mapping[str, Any]
    published: list[Published]
    inboxes: Mapping[str, list[dict[str, Any]]]

    def differences(self) -> list[str]:
        found = list(complaints(self.account, self.shown, self.published))
        for subscriber, notes in self.inboxes.items():
            found += check_inbox(subscriber, notes, self.published).differing
        return found


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
        shown = {order_id: world.read(order_id).body for order_id in (PAID, FAILED, REFUNDED, ORDERED)}
    published = [Published(kind, json.loads(text)) for kind, text in world.bus.accepted]
    inboxes = {
        name: [note(event) for event in published if event.type in types] for name, types in SUBSCRIPTIONS.items()
    }
    return Books(accounts_of(world.razorpay.account.ledger(), world.handed)[CLIENT], shown, published, inboxes)


def test_books_that_agree_are_found_to_agree() -> None:
    assert books().differences() == []


def test_what_the_guarantees_allow_is_no_difference() -> None:
    honest = books()
    newest = max(event.version for event in honest.published if event.order_id == REFUNDED)
    kept = [
        each
        for each in honest.inboxes["notification"]
        if each["order_id"] != REFUNDED or each["version"] == newest  # the paid one came late, and was dropped
    ]
    # An order of which Razorpay's answer was lost, and every event once more.
    ledger = honest.account.ledger
    unanswered = {**ledger["orders"][-1], "id": "order_EEEEEEEEEEEEEE"}
    allowed = Books(
        replace(honest.account, ledger={**ledger, "orders": [*ledger["orders"], unanswered]}),
        {**honest.shown, "order_EEEEEEEEEEEEEE": None},
        [*honest.published, *honest.published],
        {**honest.inboxes, "notification": kept},
    )
    assert allowed.differences() == []
    assert check_inbox("notification", kept, honest.published).overtaken == 1


# --- and books that do not ------------------------------------------------------------------------------------------

type Change = Callable[[Books], Books]


def shown(order_id: str, **changes: Any) -> Change:
    return lambda honest: replace(honest, shown={**honest.shown, order_id: {**honest.shown[order_id], **changes}})


def unpublished(event_type: str) -> Change:
    return lambda honest: replace(honest, published=[event for event in honest.published if event.type != event_type])


def published_too(*, payment: Mapping[str, Any] | None = None, **changes: Any) -> Change:
    """One more publish of the first event, with something else in it."""

    def change(honest: Books) -> Books:
        first = honest.published[0]
        altered = {**first.detail, "payment": {**first.detail["payment"], **(payment or {})}, **changes}
        return replace(honest, published=[*honest.published, Published(first.type, altered)])

    return change


def with_notes(subscriber: str, change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]) -> Change:
    return lambda honest: replace(
        honest, inboxes={**honest.inboxes, subscriber: change([dict(each) for each in honest.inboxes[subscriber]])}
    )


DIFFERENCES: Mapping[str, tuple[Change, str]] = {
    "another status": (shown(PAID, status="refunded"), "order_0*1: GET says"),
    "unconfirmed": (shown(PAID, confirmed=False), "order_0*1: GET says"),
    "a paisa more paid back": (shown(PAID, amount_refunded=1_01), "order_0*1: GET says"),
    "no record": (lambda honest: replace(honest, shown={**honest.shown, PAID: None}), "GET does not know it"),
    "a payment not told to the bus": (unpublished("payment.paid"), "payment.paid .* was never told"),
    "a part refund not told": (unpublished("payment.partially_refunded"), "refund rfnd_.* was told 0 times"),
    "a full refund not told": (unpublished("payment.refunded"), "payment.refunded .* never told"),
    "a second id": (published_too(event_id="another"), "was told under two ids"),
    "other bytes": (published_too(occurred_at="2026-03-01T10:00:00Z"), "two wordings"),
    "a paisa less on the bus": (published_too(event_id="x", payment={"amount": AMOUNT - 1}), "says 49949 INR"),
    "an older last word": (
        published_too(event_id="x", version=99, payment={"status": "created"}),
        "says status created",
    ),
    "a payment that never was": (
        published_too(event_id="x", payment={"razorpay_payment_id": "pay_XXXXXXXXXXXXXX"}),
        "Razorpay does not know",
    ),
    "an order that never was": (published_too(event_id="x", payment={"order_id": "order_X"}), "is not ours"),
    "a note missing": (with_notes("job", lambda notes: notes[1:]), "job never noted"),
    "the newest note missing": (
        with_notes("notification", lambda notes: [each for each in notes if each["detail_type"] != "payment.refunded"]),
        "notification never noted",
    ),
    "a note twice": (with_notes("application", lambda notes: [*notes, notes[0]]), "application noted .* 2 times"),
    "a note too many": (
        with_notes("job", lambda notes: [*notes, notes[0] | {"event_id": "invented"}]),
        "job noted invented, which was not published",
    ),
    "a note of something else": (
        with_notes("job", lambda notes: [notes[0] | {"razorpay_payment_id": "pay_XXXXXXXXXXXXXX"}, *notes[1:]]),
        "job noted something else",
    ),
}


@pytest.mark.parametrize(("change", "message"), DIFFERENCES.values(), ids=DIFFERENCES.keys())
def test_a_difference_between_the_books_is_found(change: Change, message: str) -> None:
    assert re.search(message, "\n".join(change(books()).differences()))
