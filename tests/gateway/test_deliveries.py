from collections import Counter
from typing import Any

import pytest
import razorpay

from sandbox.gateway import deliveries
from sandbox.gateway.server import Settings
from tests.gateway.gateway import Gateway
from tests.gateway.receiver import Arrival, Receiver, wait_until


def in_time(gateway: Gateway, state: str, count: int, timeout: float = 10) -> list[dict[str, Any]]:
    """The events in that state, once there are this many."""
    wait_until(lambda: len(gateway.events(state=state)) >= count, timeout, f"{count} events {state}")
    return gateway.events(state=state)


def by_event(arrivals: list[Arrival]) -> dict[str, list[Arrival]]:
    sorted_out: dict[str, list[Arrival]] = {}
    for arrival in arrivals:
        sorted_out.setdefault(arrival.event_id, []).append(arrival)
    return sorted_out


def test_a_delivery_carries_razorpays_headers_and_a_true_signature(gateway: Gateway, receiver: Receiver) -> None:
    gateway.control("PUT", "webhook", {"url": receiver.url})
    gateway.pay(gateway.order()["id"])
    for arrival in receiver.wait_for(3):
        headers = arrival.headers
        assert arrival.path == "/api/payments/webhook/"
        assert headers["User-Agent"] == "Razorpay-Webhook/v1"
        assert headers["Content-Type"] == "application/json"
        assert headers["Accept-Encoding"] == "gzip"
        assert headers["Request-Id"] == headers["X-Razorpay-Event-Id"]
        assert "Accept" not in headers
        utility = razorpay.Utility()
        assert utility.verify_webhook_signature(
            arrival.body.decode(), headers["X-Razorpay-Signature"], gateway.settings.webhook_secret
        )
    in_time(gateway, "delivered", 3)


def test_a_webhook_without_a_secret_is_not_signed(gateway: Gateway, receiver: Receiver) -> None:
    gateway.control("PUT", "webhook", {"url": receiver.url, "secret": ""})
    gateway.pay(gateway.order()["id"])
    assert all("X-Razorpay-Signature" not in arrival.headers for arrival in receiver.wait_for(3))


@pytest.mark.parametrize("refusal", [500, 503, 400, 404, 301, 302])
def test_an_event_comes_again_byte_for_byte_until_a_2xx(gateway: Gateway, refusal: int) -> None:
    with Receiver(*[refusal] * 6, 200) as receiver:
        gateway.control("PUT", "webhook", {"url": receiver.url})
        gateway.pay(gateway.order()["id"])
        in_time(gateway, "delivered", 3)
        arrivals = list(receiver.arrivals)
    assert {arrival.path for arrival in arrivals} == {"/api/payments/webhook/"}  # redirects are not followed
    assert len(arrivals) == 9
    for repeated in by_event(arrivals).values():
        assert len({(arrival.body, tuple(arrival.headers.items())) for arrival in repeated}) == 1


def test_any_2xx_is_enough(gateway: Gateway) -> None:
    with Receiver(204) as receiver:
        gateway.control("PUT", "webhook", {"url": receiver.url})
        gateway.pay(gateway.order()["id"])
        assert Counter(len(event["attempts"]) for event in in_time(gateway, "delivered", 3)) == {1: 3}


def test_every_attempt_is_logged_with_time_status_and_duration(gateway: Gateway) -> None:
    with Receiver(500, 200) as receiver:
        gateway.control("PUT", "webhook", {"url": receiver.url})
        gateway.try_to_pay(gateway.order()["id"], outcome="failure")
        (event,) = in_time(gateway, "delivered", 1)
    first, second = event["attempts"]
    assert (first["status"], first["outcome"]) == (500, "refused")
    assert (second["status"], second["outcome"]) == (200, "ok")
    assert second["at"] > first["at"] >= event["created_at"]
    assert first["duration_ms"] >= 0


@pytest.mark.parametrize(
    ("status", "fails", "attempts"),
    [
        (500, False, 16),  # after a 5xx, payment events have a quick second retry
        (400, False, 15),
        (500, True, 15),  # payment.failed does not
    ],
)
def test_the_ladder_has_the_measured_number_of_rungs_and_then_the_webhook_is_disabled(
    status: int, fails: bool, attempts: int
) -> None:
    # 24 hours in 1.7 seconds.
    with Receiver(status) as receiver, Gateway(Settings(webhook_url=receiver.url, ladder_scale=0.00002)) as gateway:
        order_id = gateway.order()["id"]
        gateway.try_to_pay(order_id, outcome="failure" if fails else "success")
        expired = in_time(gateway, "expired", 1 if fails else 3)
        assert gateway.control("GET", "webhook")["enabled"] is False
        assert max(len(event["attempts"]) for event in expired) == attempts

        gateway.pay(gateway.order()["id"])
        assert [event["state"] for event in gateway.events()[-3:]] == ["not_sent"] * 3

        # Once enabled by hand, it delivers later events, never those that were missed.
        gateway.control("PUT", "webhook", {"url": receiver.url})
        assert gateway.control("GET", "webhook")["enabled"] is True
        assert len(gateway.events(state="not_sent")) == 3


def test_the_waits_are_the_measured_ones_scaled(gateway: Gateway) -> None:
    with Receiver(500, 500, 500, 500, 200) as receiver:
        gateway.control("PUT", "webhook", {"url": receiver.url})
        gateway.try_to_pay(gateway.order()["id"], outcome="failure")
        arrivals = receiver.wait_for(5)
    # payment.failed skips the retry at 0.23 s; this stand-in runs a hundred times faster. Never early, but late on a
    # busy machine.
    for arrival, rung in zip(arrivals[1:], [0.061, 0.191, 0.395, 0.823], strict=True):
        assert rung <= arrival.at - arrivals[0].at < rung + 0.5


def test_an_answer_after_five_seconds_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    assert deliveries.TIMEOUT_S == 5
    monkeypatch.setattr(deliveries, "TIMEOUT_S", 0.2)
    with Receiver(200, delay=0.5) as slow, Gateway(Settings(webhook_url=slow.url, ladder_scale=0.001)) as impatient:
        impatient.try_to_pay(impatient.order()["id"], outcome="failure")
        slow.wait_for(2)
        attempt = impatient.events()[0]["attempts"][0]
    assert (attempt["status"], attempt["outcome"]) == (None, "timeout")
    assert attempt["duration_ms"] >= 195


def test_an_endpoint_that_is_down_gets_the_event_once_it_is_up(gateway: Gateway) -> None:
    with Receiver() as receiver:
        port_of_nobody = receiver.url
    gateway.control("PUT", "webhook", {"url": port_of_nobody})
    gateway.try_to_pay(gateway.order()["id"], outcome="failure")
    wait_until(lambda: gateway.events()[0]["attempts"], 5, "a first attempt")
    assert gateway.events()[0]["attempts"][0]["outcome"] == "unreachable"
    with Receiver() as receiver:
        gateway.control("PUT", "webhook", {"url": receiver.url})
        assert len(receiver.wait_for(1)) == 1


def test_a_retry_keeps_the_old_secrets_signature(gateway: Gateway) -> None:
    with Receiver(500, 500, 500, 200) as receiver:
        gateway.control("PUT", "webhook", {"url": receiver.url})
        gateway.try_to_pay(gateway.order()["id"], outcome="failure")
        receiver.wait_for(1)
        gateway.control("PUT", "webhook", {"secret": "the next secret"})
        arrivals = receiver.wait_for(4)
    assert len({arrival.headers["X-Razorpay-Signature"] for arrival in arrivals}) == 1


def test_a_slow_endpoint_does_not_hold_up_the_api(gateway: Gateway) -> None:
    with Receiver(200, delay=0.5) as receiver:
        gateway.control("PUT", "webhook", {"url": receiver.url})
        for _ in range(5):
            gateway.pay(gateway.order()["id"])
        assert len(gateway.events(state="delivered")) == 0
        in_time(gateway, "delivered", 15)


def test_many_payments_are_all_told_and_all_in_the_ledger(gateway: Gateway, receiver: Receiver) -> None:
    gateway.control("PUT", "webhook", {"url": receiver.url})
    orders = [gateway.order()["id"] for _ in range(40)]
    payments = {gateway.pay(order_id)["razorpay_payment_id"] for order_id in orders}
    receiver.wait_for(120)
    in_time(gateway, "delivered", 120)
    assert Counter(event["event"] for event in gateway.events()) == dict.fromkeys(
        ["payment.authorized", "payment.captured", "order.paid"], 40
    )
    ledger = gateway.control("GET", "ledger")
    assert [order["id"] for order in ledger["orders"]] == orders
    assert {payment["id"] for payment in ledger["payments"]} == payments
    assert ledger["refunds"] == []
    one = gateway.control("GET", "ledger", order_id=orders[0])
    assert (len(one["orders"]), len(one["payments"])) == (1, 1)


def test_events_are_read_in_pages(gateway: Gateway) -> None:
    gateway.pay(gateway.order()["id"])
    first = gateway.control("GET", "events", limit="2")
    rest = gateway.control("GET", "events", after=str(first["next"]))
    assert [event["event"] for event in first["events"]] == ["payment.authorized", "payment.captured"]
    assert [event["event"] for event in rest["events"]] == ["order.paid"]
    assert gateway.control("GET", "events", after=str(rest["next"]))["count"] == 0


@pytest.mark.parametrize(
    ("path", "document"),
    [
        ("webhook", {"url": "ftp://127.0.0.1/"}),
        ("webhook", {"url": 5}),
        ("webhook", {"secret": None}),
        ("webhook", {"uri": "http://127.0.0.1/"}),
        ("faults", {"gravity": "off"}),
        ("faults", {"duplicate_receipts": "maybe"}),
        ("faults", {"duplicate_receipts": []}),
    ],
)
def test_a_control_request_that_makes_no_sense_changes_nothing(
    gateway: Gateway, path: str, document: dict[str, Any]
) -> None:
    before = gateway.control("GET", path)
    answer = gateway.http.put(f"{gateway.url}/_control/{path}", json=document, timeout=5)
    assert answer.status_code == 422
    assert answer.json()["detail"]
    assert gateway.control("GET", path) == before


def test_the_webhook_secret_is_never_shown(gateway: Gateway) -> None:
    shown = gateway.control("PUT", "webhook", {"secret": "not to be seen"})
    assert shown == {"url": None, "enabled": True, "ladder_scale": 0.01}
