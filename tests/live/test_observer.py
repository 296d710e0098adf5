import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest

from sandbox.live.board import Board
from sandbox.live.observer import NEWEST, NOTES_SHOWN, Eyes, Observer, pause_s
from sandbox.live.sides import PAGE, OutOfReach
from tests.live.stories import ORDER, attempt, gateway_payment, note, paid_record, record, three_webhooks, webhook


class FakeCloud:
    """The payments table and the inboxes; `away` names the ones that do not respond."""

    def __init__(self) -> None:
        self.records: list[dict[str, Any]] = []
        self.inboxes: dict[str, list[dict[str, Any]]] = {"job": [], "application": [], "notification": []}
        self.away: set[str] = set()

    def newest(self, count: int) -> list[dict[str, Any]]:
        if "table" in self.away:
            raise OutOfReach("The payments table does not answer.")
        return self.records[:count]

    def notes(self) -> dict[str, list[dict[str, Any]]]:
        if "inboxes" in self.away:
            raise OutOfReach("The inboxes do not answer.")
        return self.inboxes


class FakeStandIn:
    """The stand-in's events and data; counts the requests."""

    def __init__(self) -> None:
        self.account: list[dict[str, Any]] = []
        self.payments: list[dict[str, Any]] = []
        self.away = False
        self.asked: list[str] = []

    def events(self, after: int) -> tuple[list[dict[str, Any]], int]:
        self.asked.append(f"events from {after}")
        if self.away:
            raise OutOfReach("The stand-in does not answer.")
        page = self.account[after : after + PAGE]
        return page, after + len(page)

    def books(self, order_id: str) -> dict[str, Any]:
        self.asked.append(f"books of {order_id}")
        return {"payments": self.payments, "refunds": []}


@pytest.fixture
def cloud() -> FakeCloud:
    return FakeCloud()


@pytest.fixture
def stand_in() -> FakeStandIn:
    return FakeStandIn()


@pytest.fixture
def eyes(cloud: FakeCloud, stand_in: FakeStandIn) -> Eyes:
    return Eyes(cloud, stand_in)


def kinds(parts: dict[str, Any]) -> set[str]:
    return {entry["kind"] for entry in parts[f"payment/{ORDER}"]["timeline"]}


def test_a_look_puts_all_sides_of_a_payment_together(eyes: Eyes, cloud: FakeCloud, stand_in: FakeStandIn) -> None:
    cloud.records = [paid_record()]
    cloud.inboxes["job"] = [note(), note(order_id="order_of_somebody0")]
    stand_in.account = three_webhooks()
    stand_in.payments = [gateway_payment()]

    parts = eyes.look()

    assert parts["payments"] == [ORDER]
    assert kinds(parts) == {"order", "attempt", "delivery", "verify", "status", "event", "inbox"}
    assert parts["inbox/job"]["count"] == 2
    assert parts["inbox/application"] == {"count": 0, "notes": []}
    assert parts["away"] == []


def test_without_a_stand_in_the_rest_is_seen(cloud: FakeCloud) -> None:
    cloud.records = [paid_record()]

    parts = Eyes(cloud, None).look()

    assert kinds(parts) == {"order", "attempt", "verify", "status"}
    assert parts["away"] == []


def test_a_side_that_is_away_is_named_and_what_it_told_last_is_shown(
    eyes: Eyes, cloud: FakeCloud, stand_in: FakeStandIn
) -> None:
    cloud.records = [paid_record()]
    cloud.inboxes["job"] = [note()]
    stand_in.account = three_webhooks()
    before = eyes.look()

    cloud.away = {"table", "inboxes"}
    stand_in.away = True
    during = eyes.look()
    cloud.away, stand_in.away = set(), False
    after = eyes.look()

    assert [problem.partition(" do")[0] for problem in during["away"]] == [
        "The payments table",
        "The inboxes",
        "The stand-in",
    ]
    assert during | {"away": []} == before == after


def test_the_other_sides_are_looked_at_while_one_is_away(eyes: Eyes, cloud: FakeCloud, stand_in: FakeStandIn) -> None:
    cloud.records = [paid_record()]
    stand_in.away = True
    cloud.inboxes["job"] = [note()]

    parts = eyes.look()

    assert len(parts["away"]) == 1
    assert kinds(parts) == {"order", "attempt", "verify", "status", "event", "inbox"}


def test_no_more_than_the_newest_payments_and_notes_are_shown(eyes: Eyes, cloud: FakeCloud) -> None:
    cloud.records = [record(order_id=f"order_{number:014d}") for number in range(NEWEST + 5)]
    cloud.inboxes["job"] = [note(event_id=str(number), at=number) for number in range(NOTES_SHOWN + 5)]

    parts = eyes.look()

    assert len(parts["payments"]) == NEWEST
    assert parts["inbox/job"]["count"] == NOTES_SHOWN + 5
    assert [shown["event_id"] for shown in parts["inbox/job"]["notes"]] == [
        str(number) for number in range(NOTES_SHOWN + 4, 4, -1)
    ]


def test_the_books_of_an_order_are_read_after_new_events_only(
    eyes: Eyes, cloud: FakeCloud, stand_in: FakeStandIn
) -> None:
    cloud.records = [paid_record(), record(order_id="order_withoutEvents0")]
    stand_in.account = three_webhooks()[:1]
    eyes.look()
    eyes.look()
    stand_in.account = three_webhooks()
    eyes.look()

    assert stand_in.asked.count(f"books of {ORDER}") == 2
    assert stand_in.asked.count("books of order_withoutEvents0") == 0


def test_new_deliveries_of_an_event_that_is_known_are_seen(eyes: Eyes, cloud: FakeCloud, stand_in: FakeStandIn) -> None:
    cloud.records = [record()]
    stand_in.account = [webhook("order.paid", at=5.2, state="pending")]
    eyes.look()
    stand_in.account = [webhook("order.paid", attempt(5.3, 503, "refused"), attempt(5.6), at=5.2)]

    told = [entry["title"] for entry in eyes.look()[f"payment/{ORDER}"]["timeline"]]

    assert told == ["Created", "order.paid answered 503", "order.paid answered 200"]


def test_of_a_long_account_only_the_end_is_read_again(eyes: Eyes, cloud: FakeCloud, stand_in: FakeStandIn) -> None:
    cloud.records = [record()]
    stand_in.account = [webhook("order.paid", at=1, event_id=str(number)) for number in range(2 * PAGE + 10)]
    eyes.look()
    assert stand_in.asked[:3] == ["events from 0", f"events from {PAGE}", f"events from {2 * PAGE}"]
    stand_in.asked.clear()
    eyes.look()

    assert stand_in.asked == [f"events from {2 * PAGE + 10 - 500}"]


@pytest.mark.parametrize("left", [0, 1])
def test_after_a_reset_of_the_stand_in_its_old_events_are_gone(
    eyes: Eyes, cloud: FakeCloud, stand_in: FakeStandIn, left: int
) -> None:
    cloud.records = [record()]
    stand_in.account = three_webhooks()
    eyes.look()
    stand_in.account = [webhook("payment.failed", attempt(8), at=8) for _ in range(left)]

    told = [entry["title"] for entry in eyes.look()[f"payment/{ORDER}"]["timeline"]]

    assert [title for title in told if "answered" in title] == ["payment.failed answered 200"] * left


def test_a_look_is_followed_by_a_pause_four_times_as_long_and_never_shorter_than_half_a_second() -> None:
    assert pause_s(0.01) == 0.5
    assert pause_s(2.0) == 8.0


class Looks:
    """A counting observer; `then` is the action of each observation."""

    def __init__(self, then: Callable[[int], dict[str, Any]]) -> None:
        self.count = 0
        self._then = then

    def __call__(self) -> dict[str, Any]:
        self.count += 1
        return self._then(self.count)


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - what is waited for knows of no event
            await asyncio.sleep(0.01)


def test_nobody_looks_while_nobody_watches() -> None:
    board = Board()
    looks = Looks(lambda count: {"payments": [str(count)]})
    observer = Observer(looks, board)

    async def watch() -> None:
        assert looks.count == 0
        with observer.watched(), observer.watched():
            await _until(lambda: board.part("payments") is not None)
        await _until(lambda: observer._looking is not None and observer._looking.done())  # noqa: SLF001 - its end
        assert looks.count == 1
        with observer.watched():
            await _until(lambda: looks.count == 2)

    asyncio.run(watch())


def test_payments_that_are_no_longer_among_the_newest_are_forgotten() -> None:
    board = Board()
    board.put({"payment/old": {}, "scenario": {}})
    observer = Observer(lambda: {"payments": ["new"], "payment/new": {}}, board)

    async def watch() -> None:
        with observer.watched():
            await _until(lambda: board.part("payments") is not None)

    asyncio.run(watch())
    assert board.names() == ["scenario", "payments", "payment/new"]


def test_a_look_that_fails_is_said_logged_and_made_again(caplog: pytest.LogCaptureFixture) -> None:
    board = Board()

    def look(count: int) -> dict[str, Any]:
        if count == 1:
            raise ZeroDivisionError
        return {"away": [], "payments": []}

    looks = Looks(look)
    observer = Observer(looks, board)

    async def watch() -> None:
        with observer.watched():
            await _until(lambda: bool(board.part("away")))
            assert "see the shop's log" in board.part("away")[0]
            await _until(lambda: board.part("away") == [])

    with caplog.at_level(logging.ERROR, logger="sandbox.live"):
        asyncio.run(watch())
    assert "ZeroDivisionError" in caplog.text
