"""Razorpay's best-practice scenarios (Test S2S, "Best Practices"), as far as we know their text.

A test's name starts with the scenarios it tests; docs/conformance.md says what each requires.
"""

import json
from collections.abc import Mapping, Sequence
from itertools import permutations
from typing import Any

import pytest
import requests

from tests.conformance.shop import HOUR_S, MINUTE_S, SWEPT_S, Shop
from tests.gateway.receiver import wait_until

PAID = ("paid", True, 0)


@pytest.mark.parametrize("first", ["payment.captured", "order.paid"])
def test_bp_01_the_purchase_is_delivered_on_the_webhook_and_not_on_the_callback(shop: Shop, first: str) -> None:
    order_id = shop.order()
    checkout = shop.pay(order_id)

    assert shop.verify(checkout).body["status"] == "success"
    assert shop.payment(order_id) == ("paid", False, 0)
    assert shop.published() == []

    for event in sorted(shop.told(order_id), key=lambda event: event["event"] != first):
        assert shop.deliver(event) == 200
        assert shop.payment(order_id) == PAID
        assert shop.published() == ["payment.paid"]


def with_another_character(text: str, position: int) -> str:
    return text[:position] + ("0" if text[position] != "0" else "1") + text[position + 1 :]


def test_bp_02_bp_37_one_changed_character_is_enough_to_refuse_a_callback_or_a_webhook(shop: Shop) -> None:
    order_id = shop.order()
    checkout = shop.pay(order_id)
    event = next(event for event in shop.told(order_id) if event["event"] == "payment.captured")
    body, signature = event["body"].encode(), event["signature"]
    before = shop.record(order_id)

    for field in ("razorpay_payment_id", "razorpay_signature"):
        for position in (-1, len(checkout[field]) // 2):
            tampered = checkout | {field: with_another_character(checkout[field], position % len(checkout[field]))}
            assert shop.verify(tampered).code == "invalid_signature"
    shop.cloud.forget()
    for position in range(len(signature)):
        assert shop.deliver_raw(body, with_another_character(signature, position)) == 400
    for position in range(0, len(body), 7):
        changed = bytearray(body)
        changed[position] = ord("0") if changed[position] != ord("0") else ord("1")
        assert shop.deliver_raw(bytes(changed), signature) == 400
    assert shop.cloud.requests == []
    assert shop.record(order_id) == before

    assert shop.verify(checkout).status == 200
    assert shop.deliver(event) == 200
    assert shop.payment(order_id) == PAID


def test_bp_02_a_payments_signature_does_not_pass_for_another_order(shop: Shop) -> None:
    paid, other = shop.order(), shop.order(application_id=13)
    checkout = shop.pay(paid)

    assert shop.verify(checkout | {"razorpay_order_id": other}).code == "invalid_signature"
    assert shop.payment(other) == ("created", False, 0)


def test_bp_37_the_signature_is_over_the_raw_body_and_never_over_json_written_again(shop: Shop) -> None:
    order_id = shop.order()
    shop.pay(order_id, description="Café / naïve")
    event = next(event for event in shop.told(order_id) if event["event"] == "payment.captured")
    rewritten = json.dumps(json.loads(event["body"]), separators=(",", ":"))
    assert rewritten != event["body"]

    assert shop.deliver_raw(rewritten.encode(), event["signature"]) == 400
    assert shop.deliver(event) == 200
    assert shop.payment(order_id) == PAID


def test_bp_03_stored_deliveries_played_again_are_acknowledged_and_change_nothing(shop: Shop) -> None:
    shop.listen()
    order_id = shop.order()
    shop.fail_to_pay(order_id)
    shop.pay(order_id)
    shop.wait_until_delivered()
    record, published = shop.record(order_id), shop.published()
    # The failed attempt may be reported after the successful one, and then changes nothing.
    assert published in (["payment.failed", "payment.paid"], ["payment.paid"])

    for event in shop.told(order_id) * 3:
        assert shop.deliver(event) == 200
    assert shop.record(order_id) == record
    assert shop.published() == published


def test_bp_10_stored_deliveries_in_any_order_end_in_the_same_payment(shop: Shop) -> None:
    for number, order in enumerate(permutations(range(4)), 1):
        order_id = shop.order(application_id=number)
        shop.fail_to_pay(order_id)
        shop.pay(order_id)
        events = shop.told(order_id)
        assert len(events) == 4
        for index in order:
            assert shop.deliver(events[index]) == 200
        assert shop.payment(order_id) == PAID
        told = [detail["payment"]["order_id"] for detail in shop.cloud.details("payment.paid")]
        assert told.count(order_id) == 1


def test_bp_04_an_endpoint_that_answers_500_loses_nothing_and_is_repaired_by_the_reconciler(shop: Shop) -> None:
    shop.endpoint.trouble.down = True
    shop.listen()
    order_id = shop.order()
    shop.pay(order_id)
    wait_until(lambda: all(event["attempts"] for event in shop.told(order_id)), 10, "each event to be tried once")
    assert shop.payment(order_id) == ("created", False, 0)

    shop.clock.now += SWEPT_S
    assert shop.sweep()["outcomes"] == {"settled": 1}
    assert shop.payment(order_id) == PAID
    assert shop.published() == ["payment.paid"]

    shop.endpoint.trouble.down = False
    shop.wait_until_delivered()
    assert {attempt["status"] for event in shop.told(order_id) for attempt in event["attempts"]} == {200, 500}
    assert shop.endpoint.trouble.statuses == [200] * 3
    assert shop.payment(order_id) == PAID
    assert shop.published() == ["payment.paid"]


def test_bp_05_a_payment_without_any_webhook_is_found_by_asking_for_the_orders_payments(shop: Shop) -> None:
    order_id = shop.order()
    assert shop.verify(shop.pay(order_id)).status == 200
    shop.clock.now += MINUTE_S
    assert shop.outbox()["looked_at"] == 1
    assert shop.watch()["looked_at"] == 0

    # Two minutes after its newest activity.
    shop.clock.now += MINUTE_S
    shop.break_razorpay("500", "GET /v1/orders/{order_id}/payments", times=1)
    assert shop.watch()["failed"] == 1
    assert (shop.faults_met(), shop.payment(order_id)) == (1, ("paid", False, 0))

    shop.clock.now += MINUTE_S
    assert shop.watch()["outcomes"] == {"settled": 1}
    assert shop.payment(order_id) == PAID
    assert shop.published() == ["payment.paid"]


def test_bp_05_a_payment_of_which_neither_webhook_nor_callback_told_is_found_in_razorpays_lists(shop: Shop) -> None:
    order_id = shop.order()
    shop.pay(order_id)
    shop.clock.now += SWEPT_S
    shop.break_razorpay("500", "GET /v1/payments", times=1)
    report = shop.sweep()
    assert (report["failed"], report["left_over"]) == (1, True)
    assert (shop.faults_met(), shop.payment(order_id)) == (1, ("created", False, 0))

    assert shop.sweep()["outcomes"] == {"settled": 1}
    assert shop.payment(order_id) == PAID
    assert shop.published() == ["payment.paid"]


def test_bp_20_an_order_is_compared_at_several_ages_until_it_is_paid_and_then_nothing_is_asked_about_it(
    shop: Shop,
) -> None:
    order_id = shop.order()
    shop.fail_to_pay(order_id)
    shop.clock.now += SWEPT_S
    assert shop.sweep()["outcomes"] == {"settled": 1}
    assert shop.payment(order_id) == ("failed", False, 0)

    shop.pay(order_id)
    shop.clock.now += HOUR_S
    assert shop.sweep()["outcomes"] == {"unchanged": 1, "settled": 1}
    assert shop.payment(order_id) == PAID
    assert shop.published() == ["payment.failed", "payment.paid"]

    # The lists are still read; the order itself is no longer queried.
    shop.break_razorpay("500", "GET /v1/orders/{order_id}")
    for _ in range(4):
        shop.clock.now += 24 * HOUR_S
        assert (shop.outbox()["looked_at"], shop.watch()["looked_at"]) == (0, 0)
        assert set(shop.sweep()["outcomes"]) <= {"unchanged"}
    assert shop.faults_met() == 0
    assert shop.payment(order_id) == PAID


def late(failed: Mapping[str, Any], event: str, status: str) -> dict[str, Any]:
    """The event that Razorpay sends when the bank authorises a failed payment after all."""
    document: dict[str, Any] = json.loads(failed["body"])
    payment = document["payload"]["payment"]["entity"]
    payment |= {"status": status, "captured": status == "captured", "late_authorized": True}
    payment |= {name: None for name in payment if name.startswith("error_")}
    return document | {"event": event}


@pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=["authorized first", "captured first"])
def test_bp_06_a_failed_payment_that_is_authorised_late_pays_the_order_once(shop: Shop, order: Sequence[int]) -> None:
    order_id = shop.order()
    shop.fail_to_pay(order_id)
    [failed] = shop.told(order_id)
    assert shop.deliver(failed) == 200
    assert shop.payment(order_id)[0] == "failed"
    still_open = shop.create_order()
    assert (still_open.status, still_open.body["order_id"]) == (200, order_id)

    captured = late(failed, "payment.captured", "captured")
    written = [late(failed, "payment.authorized", "authorized"), captured]
    for index in order:
        assert shop.deliver_written(written[index]) == 200
    order_paid = captured | {"event": "order.paid", "contains": ["payment", "order"]}
    order_paid["payload"] |= {"order": {"entity": shop.ledger(order_id)["orders"][0] | {"status": "paid"}}}
    assert shop.deliver_written(order_paid) == 200

    assert shop.payment(order_id) == PAID
    assert shop.published() == ["payment.failed", "payment.paid"]
    assert shop.deliver(failed) == 200
    assert shop.payment(order_id) == PAID


def test_bp_06_a_late_authorisation_told_by_razorpay_itself_pays_the_order_once(shop: Shop) -> None:
    shop.listen()
    order_id = shop.order()
    payment_id = shop.fail_to_pay(order_id)["metadata"]["payment_id"]
    shop.wait_until_delivered()
    assert shop.payment(order_id)[0] == "failed"

    shop.authorize_late(payment_id)
    shop.wait_until_delivered()
    assert [event["event"] for event in shop.told(order_id)] == [
        "payment.failed",
        "payment.authorized",
        "payment.captured",
        "order.paid",
    ]
    assert shop.payment(order_id) == PAID
    assert shop.published() == ["payment.failed", "payment.paid"]


def test_bp_08_a_customer_who_never_heard_of_the_payment_cannot_pay_twice(shop: Shop) -> None:
    order_id = shop.order()
    shop.pay(order_id)  # and the answer never reaches the page

    again = shop.create_order()
    assert (again.status, again.body["order_id"]) == (200, order_id)
    assert shop.standin.try_to_pay(order_id).json()["error"]["reason"] == "order_already_paid"
    assert [payment["status"] for payment in shop.ledger(order_id)["payments"]] == ["captured"]

    for event in shop.told(order_id):
        shop.deliver(event)
    assert shop.create_order().code == "already_paid"
    assert shop.published() == ["payment.paid"]


def test_bp_08_razorpay_is_asked_for_the_orders_payments_before_an_older_order_is_handed_out_again(shop: Shop) -> None:
    order_id = shop.order()
    payment_id = shop.pay(order_id)["razorpay_payment_id"]  # and the answer never reaches the page
    shop.clock.now += SWEPT_S

    again = shop.create_order()
    assert (again.status, again.code, again.body["order_id"]) == (409, "already_paid", order_id)
    assert shop.payment(order_id) == PAID
    assert list(shop.record(order_id)["payments"]) == [payment_id]
    assert len(shop.ledger()["orders"]) == 1


def test_bp_11_deliveries_sent_again_because_our_answer_was_lost_count_once(shop: Shop) -> None:
    shop.endpoint.trouble.loses_answers = True
    shop.listen()
    order_id = shop.order()
    shop.pay(order_id)
    wait_until(lambda: all(event["attempts"] for event in shop.told(order_id)), 10, "each event to come once")
    assert shop.payment(order_id) == PAID
    shop.endpoint.trouble.loses_answers = False
    shop.wait_until_delivered()

    attempts = [[attempt["status"] for attempt in event["attempts"]] for event in shop.told(order_id)]
    assert len(attempts) == 3
    assert all(statuses[0] == 500 and statuses[-1] == 200 for statuses in attempts)
    assert set(shop.endpoint.trouble.statuses) == {200}
    assert shop.payment(order_id) == PAID
    assert shop.published() == ["payment.paid"]


def test_bp_12_a_refund_asked_for_twice_under_one_key_is_counted_once(shop: Shop) -> None:
    shop.listen()
    order_id = shop.order()
    payment_id = shop.pay(order_id)["razorpay_payment_id"]
    shop.wait_until_delivered()

    shop.break_razorpay("answer_lost", "POST /v1/payments/{payment_id}/refund", times=1)
    with pytest.raises(requests.ConnectionError):
        shop.ask_for_refund(payment_id, 10_000, key="refund-of-order-1")
    again = shop.ask_for_refund(payment_id, 10_000, key="refund-of-order-1")
    shop.wait_until_delivered()

    assert [refund["id"] for refund in shop.ledger(order_id)["refunds"]] == [again.json()["id"]]
    assert shop.payment(order_id) == ("paid", True, 10_000)
    assert shop.published() == ["payment.paid", "payment.partially_refunded"]


def test_bp_12_a_refund_of_ours_whose_answer_is_lost_is_asked_for_again_and_made_once(shop: Shop) -> None:
    shop.listen()
    order_id = shop.order()
    shop.pay(order_id)
    shop.wait_until_delivered()

    shop.break_razorpay("answer_lost", "POST /v1/payments/{payment_id}/refund", times=1)
    lost = shop.request_refund(order_id, "100.00", key="refund-of-order-1")
    again = shop.request_refund(order_id, "100.00", key="refund-of-order-1")
    shop.wait_until_delivered()

    assert (lost.status, again.status) == (202, 200)
    assert [refund["id"] for refund in shop.ledger(order_id)["refunds"]] == [again.body["refund_id"]]
    assert shop.payment(order_id) == ("paid", True, 10_000)
    assert shop.published() == ["payment.paid", "payment.partially_refunded"]


@pytest.mark.parametrize("event", ["payment.downtime.started", "payment.downtime.updated", "payment.downtime.resolved"])
def test_bp_17_a_downtime_told_to_us_is_acknowledged_and_touches_no_payment(shop: Shop, event: str) -> None:
    # As documented (webhooks/payments.md); Checkout itself avoids methods that are down.
    entity = {
        "id": "down_F1cxDoHWD4fkQt",
        "entity": "payment.downtime",
        "method": "netbanking",
        "begin": 1591946222,
        "end": None,
        "status": event.rpartition(".")[2],
        "scheduled": False,
        "severity": "high",
        "instrument": {"bank": "ALLA"},
        "created_at": 1591946223,
        "updated_at": 1591946223,
    }
    document = {
        "entity": "event",
        "account_id": "acc_BFQ7uQEaa7j2z7",
        "event": event,
        "contains": ["payment.downtime"],
        "payload": {"payment.downtime": {"entity": entity}},
        "created_at": shop.clock.now,
    }
    assert shop.deliver_written(document) == 200
    assert shop.cloud.requests == []


# --- other statements of the pages ---


def test_a_payment_authorised_late_on_a_paid_order_is_given_back_and_is_no_refund_of_the_purchase(shop: Shop) -> None:
    shop.listen()
    order_id = shop.order()
    late_one = shop.fail_to_pay(order_id)["metadata"]["payment_id"]
    shop.wait_until_delivered()
    shop.pay(order_id)
    shop.wait_until_delivered()

    shop.authorize_late(late_one)
    shop.wait_until_delivered()
    assert [refund["payment_id"] for refund in shop.ledger(order_id)["refunds"]] == [late_one]
    assert shop.payment(order_id) == PAID
    assert shop.published() == ["payment.failed", "payment.paid"]


def test_an_authorised_payment_that_is_never_captured_is_given_back_and_leaves_the_order_open(shop: Shop) -> None:
    shop.listen()
    order_id = shop.order()
    payment_id = shop.pay(order_id, capture="later")["razorpay_payment_id"]
    shop.wait_until_delivered()
    assert shop.payment(order_id)[0] == "authorized"
    assert shop.published() == []

    shop.give_back(payment_id)
    shop.wait_until_delivered()
    # No attempt failed, so there is no event; the record and its order show what to do.
    assert shop.payment(order_id) == ("failed", False, 0)
    assert shop.published() == []
    assert (shop.create_order().body["order_id"], shop.create_order().status) == (order_id, 200)
