"""Webhooks held back, out of order, twice, lost on the way, and on a separate clock."""

import json
import random
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from sandbox.gateway.clock import LadderClock
from sandbox.gateway.faults import Chance
from tests.gateway.gateway import Gateway
from tests.gateway.receiver import Arrival, Receiver, wait_until

THREE = ["payment.authorized", "payment.captured", "order.paid"]


@pytest.fixture
def told(gateway: Gateway, receiver: Receiver) -> Iterator[Gateway]:
    """A stand-in that sends its events to the receiver."""
    gateway.control("PUT", "webhook", {"url": receiver.url})
    yield gateway
    gateway.control("POST", "reset")


def names(arrivals: list[Arrival]) -> list[str]:
    return [json.loads(arrival.body)["event"] for arrival in arrivals]


def hold(gateway: Gateway) -> list[str]:
    """The ids of one payment's held events, in order."""
    gateway.control("PUT", "faults", {"webhooks": "hold"})
    gateway.pay(gateway.order()["id"])
    return [event["event_id"] for event in gateway.events(state="held")]


def settled(gateway: Gateway) -> list[dict[str, Any]]:
    """The events, once none is in progress."""
    wait_until(lambda: not gateway.events(state="pending"), 10, "every event to be settled")
    return gateway.events()


def refused(gateway: Gateway, method: str, path: str, document: dict[str, Any]) -> str:
    answer = gateway.http.request(method, f"{gateway.url}/_control/{path}", json=document, timeout=5)
    assert answer.status_code == 422, answer.text
    detail: str = answer.json()["detail"]
    return detail


# --- held ---


def test_held_events_happen_and_are_not_sent(told: Gateway, receiver: Receiver) -> None:
    assert len(hold(told)) == 3
    told.control("PUT", "faults", {"webhooks": "send"})
    told.pay(told.order()["id"])
    arrived = {arrival.event_id for arrival in receiver.wait_for(3)}
    assert {event["event_id"] for event in settled(told) if event["state"] == "delivered"} == arrived
    assert Counter(event["state"] for event in told.events()) == {"held": 3, "delivered": 3}


def test_the_events_of_one_order_can_be_held_while_the_others_go_on(told: Gateway, receiver: Receiver) -> None:
    held, other = told.order()["id"], told.order()["id"]
    told.control("PUT", "faults", {"held_orders": [held]})
    told.pay(held)
    told.pay(other)

    arrived = {arrival.event_id for arrival in receiver.wait_for(3)}

    assert arrived == {event["event_id"] for event in settled(told) if event["order_id"] == other}
    assert [event["state"] for event in told.events(order_id=held)] == ["held"] * 3


def test_what_was_held_of_an_order_stays_held_and_what_follows_does_not(told: Gateway, receiver: Receiver) -> None:
    order_id = told.order()["id"]
    told.control("PUT", "faults", {"held_orders": [order_id]})
    told.try_to_pay(order_id, outcome="failure")
    told.control("PUT", "faults", {"held_orders": []})
    told.pay(order_id)

    assert set(names(receiver.wait_for(3))) == {"payment.authorized", "payment.captured", "order.paid"}
    assert [event["event"] for event in settled(told) if event["state"] == "held"] == ["payment.failed"]


@pytest.mark.parametrize("order", ["as_happened", "reversed"])
def test_held_events_are_released_in_order(told: Gateway, receiver: Receiver, order: str) -> None:
    ids = hold(told)
    expected = ids if order == "as_happened" else ids[::-1]
    assert told.control("POST", "events/release", {"order": order}) == {
        "released": expected,
        "dropped": [],
        "held": [],
    }
    assert [arrival.event_id for arrival in receiver.wait_for(3)] == expected


def test_held_events_are_released_as_they_happened_if_nothing_is_said(told: Gateway, receiver: Receiver) -> None:
    hold(told)
    told.control("POST", "events/release")
    assert names(receiver.wait_for(3)) == THREE


def test_held_events_are_shuffled_by_their_seed(told: Gateway, receiver: Receiver) -> None:
    ids = [*hold(told), *hold(told)[3:], *hold(told)[6:]]
    expected = list(ids)
    random.Random(11).shuffle(expected)  # noqa: S311 - the very generator that is documented
    assert told.control("POST", "events/release", {"order": "shuffled", "seed": 11})["released"] == expected != ids
    assert [arrival.event_id for arrival in receiver.wait_for(9)] == expected


def test_held_events_are_released_one_by_one_in_a_chosen_order(told: Gateway, receiver: Receiver) -> None:
    authorized, captured, paid = hold(told)
    answer = told.control("POST", "events/release", {"event_ids": [paid, authorized]})
    assert answer == {"released": [paid, authorized], "dropped": [], "held": [captured]}
    assert [arrival.event_id for arrival in receiver.wait_for(2)] == [paid, authorized]
    assert told.events(state="held")[0]["event_id"] == captured
    told.control("POST", "events/release", {"event_ids": [captured]})
    assert receiver.wait_for(3)[-1].event_id == captured


def test_a_dropped_event_is_never_sent(told: Gateway, receiver: Receiver) -> None:
    authorized, captured, paid = hold(told)
    answer = told.control("POST", "events/release", {"drop": [captured, paid]})
    assert answer == {"released": [authorized], "dropped": [captured, paid], "held": []}
    assert [event["state"] for event in settled(told)] == ["delivered", "dropped", "dropped"]
    assert names(receiver.arrivals) == ["payment.authorized"]
    assert "is dropped" in refused(told, "POST", "events/release", {"event_ids": [captured]})


def test_events_can_be_dropped_while_the_others_stay_held(told: Gateway, receiver: Receiver) -> None:
    authorized, captured, paid = hold(told)
    answer = told.control("POST", "events/release", {"event_ids": [], "drop": [paid]})
    assert answer == {"released": [], "dropped": [paid], "held": [authorized, captured]}
    assert receiver.arrivals == []


def test_an_event_that_is_refused_does_not_hold_up_those_released_after_it(gateway: Gateway) -> None:
    with Receiver(500, 200) as receiver:
        gateway.control("PUT", "webhook", {"url": receiver.url})
        hold(gateway)
        gateway.control("POST", "events/release")
        arrivals = receiver.wait_for(4)
    assert sorted(Counter(names(arrivals)).values()) == [1, 1, 2]
    assert names(arrivals)[0] == "payment.authorized"


def test_held_events_keep_the_secret_of_their_time(told: Gateway, receiver: Receiver) -> None:
    hold(told)
    signatures = [event["signature"] for event in told.events()]
    told.control("PUT", "webhook", {"secret": "the next secret"})
    told.control("POST", "events/release")
    assert [arrival.headers["X-Razorpay-Signature"] for arrival in receiver.wait_for(3)] == signatures


@pytest.mark.parametrize(
    ("document", "complaint"),
    [
        ({"order": "random"}, "order can be: as_happened, reversed, shuffled"),
        ({"order": "reversed", "event_ids": []}, "event_ids already give the order"),
        ({"seed": 1}, "seed is for order: shuffled"),
        ({"order": "shuffled", "seed": "x"}, "seed must be a whole number"),
        ({"event_ids": "all"}, "event_ids must be a list of event ids"),
        ({"drop": [1]}, "drop must be a list of event ids"),
        ({"event_ids": ["nothing"]}, "there is no event nothing"),
        ({"some": 1}, "unknown fields: some; there are: drop, event_ids, order, seed"),
    ],
)
def test_an_impossible_release_is_refused_and_releases_nothing(
    told: Gateway, receiver: Receiver, document: dict[str, Any], complaint: str
) -> None:
    hold(told)
    assert complaint in refused(told, "POST", "events/release", document)
    assert len(told.events(state="held")) == 3
    assert receiver.arrivals == []


def test_an_event_is_released_or_dropped_and_once(told: Gateway) -> None:
    authorized, *_ = hold(told)
    both = {"event_ids": [authorized], "drop": [authorized]}
    assert "not both" in refused(told, "POST", "events/release", both)
    assert "given twice" in refused(told, "POST", "events/release", {"event_ids": [authorized, authorized]})
    assert len(told.events(state="held")) == 3


def test_held_events_wait_for_a_url(told: Gateway) -> None:
    hold(told)
    told.control("PUT", "webhook", {"url": None})
    assert "set the webhook's url first" in refused(told, "POST", "events/release", {})
    assert len(told.events(state="held")) == 3


# --- shuffled automatically ---


def test_events_shuffle_themselves_by_a_seed(told: Gateway, receiver: Receiver) -> None:
    told.control("PUT", "faults", {"shuffle": {"seed": 3, "window_s": 0.2}})
    told.pay(told.order()["id"])
    expected = list(THREE)
    random.Random(3).shuffle(expected)  # noqa: S311 - the very generator that is documented
    assert names(receiver.wait_for(3)) == expected != THREE
    wait_until(lambda: not told.events(state="pending"), 5, "the events to be accepted")
    assert told.control("GET", "faults")["shuffle"] == {"seed": 3, "window_s": 0.2, "played": 3}


def test_shuffled_events_leave_in_another_order_over_time(told: Gateway, receiver: Receiver) -> None:
    told.control("PUT", "faults", {"shuffle": {"seed": 1, "window_s": 0.05}})
    for number in range(1, 7):
        told.pay(told.order()["id"])
        receiver.wait_for(3 * number)
    orders = {tuple(names(receiver.arrivals[first : first + 3])) for first in range(0, 18, 3)}
    assert len(orders) > 1


# --- duplicates ---


def test_an_accepted_delivery_comes_again_the_same_in_every_byte(told: Gateway, receiver: Receiver) -> None:
    told.control("PUT", "faults", {"duplicates": {"share": 1}})
    told.pay(told.order()["id"])
    arrivals = receiver.wait_for(6)
    assert Counter(names(arrivals)) == dict.fromkeys(THREE, 2)
    assert len({(arrival.body, tuple(arrival.headers.items())) for arrival in arrivals}) == 3
    wait_until(lambda: all(len(event["attempts"]) == 2 for event in told.events()), 5, "the duplicates' answers")
    for event in told.events():
        assert [attempt["extra"] for attempt in event["attempts"]] == [False, True]
    assert told.control("GET", "faults")["duplicates"] == {"share": 1, "seed": 0, "played": 3}


def test_a_share_of_deliveries_comes_again_the_same_ones_every_time(told: Gateway, receiver: Receiver) -> None:
    twice = []
    for _ in range(2):
        told.control("POST", "reset")
        receiver.arrivals.clear()
        told.control("PUT", "faults", {"duplicates": {"share": 0.5, "seed": 5}})
        for _ in range(8):
            told.pay(told.order()["id"])
        wait_until(lambda: not told.events(state="pending"), 5, "the events to be accepted")
        expected = told.control("GET", "faults")["duplicates"]["played"]
        receiver.wait_for(24 + expected)
        counted = Counter(arrival.event_id for arrival in receiver.arrivals)
        twice.append([counted[event["event_id"]] for event in told.events()])
    assert twice[0] == twice[1]
    assert set(twice[0]) == {1, 2}


def test_named_events_are_sent_again_now(told: Gateway, receiver: Receiver) -> None:
    told.pay(told.order()["id"])
    first = receiver.wait_for(3)
    chosen = [event["event_id"] for event in settled(told)[:2]]
    answer = told.control("POST", "events/redeliver", {"event_ids": chosen})
    assert [(again["event_id"], again["status"], again["extra"]) for again in answer["redelivered"]] == [
        (event_id, 200, True) for event_id in chosen
    ]
    before = {arrival.event_id: (arrival.body, arrival.headers) for arrival in first}
    again = receiver.arrivals[3:]
    assert {arrival.event_id for arrival in again} == set(chosen)
    assert all(before[arrival.event_id] == (arrival.body, arrival.headers) for arrival in again)


def test_an_event_sent_again_keeps_its_old_signature(told: Gateway, receiver: Receiver) -> None:
    told.pay(told.order()["id"])
    receiver.wait_for(3)
    event = settled(told)[0]
    told.control("PUT", "webhook", {"secret": "the next secret"})
    told.control("POST", "events/redeliver", {"event_ids": [event["event_id"]]})
    assert receiver.arrivals[-1].headers["X-Razorpay-Signature"] == event["signature"]


def test_only_what_was_sent_is_sent_again(told: Gateway) -> None:
    held = hold(told)
    assert "is held" in refused(told, "POST", "events/redeliver", {"event_ids": held[:1]})
    assert "must be a list of event ids" in refused(told, "POST", "events/redeliver", {})
    assert "there is no event x" in refused(told, "POST", "events/redeliver", {"event_ids": ["x"]})
    told.control("POST", "events/release", {"event_ids": held[:1]})
    settled(told)
    told.control("PUT", "webhook", {"url": None})
    assert "nowhere to send" in refused(told, "POST", "events/redeliver", {"event_ids": held[:1]})


# --- lost on the way ---


def test_a_lost_delivery_never_arrives_and_is_tried_again(told: Gateway, receiver: Receiver) -> None:
    told.control("PUT", "faults", {"lost_deliveries": {"share": 1}})
    told.try_to_pay(told.order()["id"], outcome="failure")
    wait_until(lambda: len(told.events()[0]["attempts"]) >= 2, 5, "a second attempt")
    assert receiver.arrivals == []
    told.control("PUT", "faults", {"lost_deliveries": None})
    receiver.wait_for(1)
    (event,) = settled(told)
    outcomes = [attempt["outcome"] for attempt in event["attempts"]]
    assert outcomes == ["lost"] * (len(outcomes) - 1) + ["ok"]
    assert {attempt["status"] for attempt in event["attempts"][:-1]} == {None}
    assert len(receiver.arrivals) == 1


def test_an_ignored_answer_brings_the_event_again_although_it_was_processed(told: Gateway, receiver: Receiver) -> None:
    told.control("PUT", "faults", {"ignored_answers": {"share": 1}})
    told.try_to_pay(told.order()["id"], outcome="failure")
    receiver.wait_for(2)
    told.control("PUT", "faults", {"ignored_answers": None})
    (event,) = settled(told)
    first, *_, last = event["attempts"]
    assert (first["status"], first["outcome"]) == (200, "ignored")
    assert (last["status"], last["outcome"]) == (200, "ok")
    assert len({(arrival.body, arrival.headers["X-Razorpay-Signature"]) for arrival in receiver.arrivals}) == 1


def test_a_share_of_deliveries_is_lost_and_every_event_still_arrives(told: Gateway, receiver: Receiver) -> None:
    told.control("PUT", "faults", {"lost_deliveries": {"share": 0.5, "seed": 2}})
    for _ in range(5):
        told.pay(told.order()["id"])
    events = settled(told)
    assert {event["state"] for event in events} == {"delivered"}
    lost = sum(attempt["outcome"] == "lost" for event in events for attempt in event["attempts"])
    assert lost == told.control("GET", "faults")["lost_deliveries"]["played"] > 0
    assert len(receiver.arrivals) == 15


def test_what_is_lost_depends_on_the_seed_alone() -> None:
    def drawn(seed: int) -> list[bool]:
        return [Chance(0.5, seed).strikes(event, attempt) for event in range(20) for attempt in range(3)]

    assert drawn(4) == drawn(4) != drawn(5)


# --- the clock ---


def test_events_under_way_follow_a_faster_clock(gateway: Gateway) -> None:
    with Receiver(500, 500, 500, 200) as receiver:
        gateway.control("PUT", "webhook", {"url": receiver.url})
        gateway.control("PUT", "clock", {"ladder_scale": 100})  # the second retry is ten minutes away
        gateway.try_to_pay(gateway.order()["id"], outcome="failure")
        wait_until(lambda: gateway.events()[0]["attempts"], 5, "a first attempt")
        assert gateway.control("PUT", "clock", {"ladder_scale": 0.001}) == {"ladder_scale": 0.001}
        receiver.wait_for(4)
    assert gateway.control("GET", "webhook")["ladder_scale"] == 0.001
    gateway.control("POST", "reset")
    assert gateway.control("GET", "clock") == {"ladder_scale": gateway.settings.ladder_scale}


def test_time_that_passed_on_one_scale_is_kept_on_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = 1000.0
    monkeypatch.setattr("sandbox.gateway.clock.time.monotonic", lambda: ours)
    ladder = LadderClock(0.5)
    begun = ladder.now()
    ours += 3
    assert ladder.now() - begun == pytest.approx(6)
    ladder.scale = 10
    assert ladder.now() - begun == pytest.approx(6)
    ours += 20
    assert ladder.now() - begun == pytest.approx(8)


@pytest.mark.parametrize("scale", [0, -1, 1001, True, "fast", None])
def test_an_impossible_clock_is_refused(gateway: Gateway, scale: object) -> None:
    assert "above 0, at most 1000" in refused(gateway, "PUT", "clock", {"ladder_scale": scale})
    assert gateway.control("GET", "clock") == {"ladder_scale": 0.01}
