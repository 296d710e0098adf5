"""What a payment costs: every outside call, counted where it leaves the process."""

import pytest

from sandbox import events
from tests.handlers.service import EVENTS, Service

READ = "GetItem"
WRITE = "UpdateItem"


def test_a_new_order_costs_a_read_two_writes_and_one_call_to_razorpay(service: Service) -> None:
    service.create_order(application_id=1)  # takes the block of ids
    service.forget()
    service.create_order()
    assert service.outside_calls() == [READ, "PutItem", "PutItem", "Razorpay"]


def test_the_counter_is_asked_once_for_ten_orders(service: Service) -> None:
    for number in range(1, 21):
        service.create_order(application_id=number)
    calls = service.outside_calls()
    assert len(calls) == 20 * 4 + 2
    assert calls.count(WRITE) == 2


def test_handing_an_order_out_again_costs_two_reads(ordered: Service) -> None:
    ordered.create_order()
    assert ordered.outside_calls() == [READ, "BatchGetItem"]


@pytest.mark.parametrize("name", ["verify", "webhook-payment-authorized"])
def test_a_change_without_an_event_costs_a_read_and_a_write(ordered: Service, name: str) -> None:
    ordered.replay(name)
    assert ordered.outside_calls() == [READ, WRITE]


@pytest.mark.parametrize("name", ["webhook-payment-captured", "webhook-order-paid", "webhook-payment-failed"])
def test_a_change_with_an_event_costs_four_calls(ordered: Service, name: str) -> None:
    ordered.replay(name)
    assert ordered.outside_calls() == [READ, WRITE, "PutEvents", WRITE]


@pytest.mark.parametrize("name", ["verify", "webhook-payment-authorized", "webhook-payment-captured"])
def test_old_news_costs_one_read(ordered: Service, name: str) -> None:
    ordered.replay(name)
    ordered.forget()
    ordered.replay(name)
    assert ordered.outside_calls() == [READ]


def test_a_payment_in_the_good_case_costs_thirteen_calls_and_one_event(service: Service) -> None:
    service.create_order(application_id=1)
    service.forget()
    service.create_order()
    order_id = service.cloud.items()["application#42#12"]["current"]
    service.verify(order_id)
    for event in ("payment.authorized", "payment.captured", "order.paid"):
        body = events.webhook_body(event).replace(events.ORDER_ID.encode(), order_id.encode())
        assert service.deliver(body).status == 200
    calls = service.outside_calls()
    assert len(calls) == 3 + 1 + 2 + 2 + 4 + 1
    assert (calls.count("Razorpay"), calls.count("PutEvents")) == (1, 1)
    assert sum(calls.count(write) for write in ("PutItem", WRITE)) == 6


@pytest.mark.parametrize(
    "name",
    [
        "create-order-no-token",
        "create-order-another-client",
        "create-order-bad-fields",
        "webhook-forged",
        "webhook-ignored",
        "webhook-unusable",
    ],
)
def test_what_is_refused_or_ignored_costs_nothing(ordered: Service, name: str) -> None:
    assert name in EVENTS
    ordered.replay(name)
    assert ordered.outside_calls() == []
