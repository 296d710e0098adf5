import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stdout
from io import StringIO
from typing import Any

import pytest

from payments.adapters import gateway as gateway_adapter
from payments.wiring import aws
from sandbox import development, events
from tests.handlers import cloud as faults
from tests.handlers.cloud import Fault
from tests.handlers.conftest import start_afresh
from tests.handlers.razorpay import Reply, refusal
from tests.handlers.service import CREATE_ORDER, Answer, Service

Change = Callable[[Service], object]


def pointer(service: Service) -> str:
    order_id: str = service.cloud.items()["application#42#12"]["current"]
    return order_id


def test_a_new_order_is_answered_201_with_everything_checkout_needs(service: Service) -> None:
    answer = service.create_order()
    assert answer.status == 201
    assert answer.body == {
        "order_id": events.ORDER_ID,
        "amount": 49950,
        "currency": "INR",
        "status": "created",
        "payment_id": 1,
        "key_id": development.RAZORPAY_KEY_ID,
    }


def test_a_new_order_leaves_a_record_a_pointer_and_a_counter(service: Service) -> None:
    service.create_order()
    items = service.cloud.items()
    assert set(items) == {f"order#{events.ORDER_ID}", "application#42#12", "counter#payment_id"}
    record = items[f"order#{events.ORDER_ID}"]
    assert {name: record[name] for name in ("payment_id", "order_id", "job_id", "application_id")} == {
        "payment_id": 1,
        "order_id": events.ORDER_ID,
        "job_id": 11,
        "application_id": 12,
    }
    assert (record["client_id"], record["freelancer_id"], record["amount"], record["currency"]) == (
        42,
        77,
        49950,
        "INR",
    )
    assert (record["status"], record["confirmed"], record["version"]) == ("created", False, 1)
    # "An order that nobody pays costs nothing after its creation": no lane processes it.
    assert not {"attention_at", "attention_shard", "expires_at"} & record.keys()
    assert items["application#42#12"] == {
        "pk": "application#42#12",
        "current": events.ORDER_ID,
        "orders": [events.ORDER_ID],
    }


def test_razorpay_is_asked_for_automatic_capture_a_receipt_of_its_own_and_every_id(service: Service) -> None:
    service.create_order()
    (asked,) = service.razorpay.asked
    assert (asked.method, asked.path) == ("POST", "/v1/orders")
    installation = service.cloud.items()["counter#payment_id"]["installation"]
    assert asked.document == {
        "amount": 49950,
        "currency": "INR",
        "receipt": f"local-{installation}-1",
        "payment": {"capture": "automatic"},
        "notes": {
            "service": "payment-service",
            "stage": "local",
            "installation": installation,
            "payment_id": "1",
            "job_id": "11",
            "application_id": "12",
            "client_id": "42",
            "freelancer_id": "77",
        },
    }


def test_asking_again_hands_out_the_same_order_with_200_and_the_same_body(service: Service) -> None:
    first = service.create_order()
    second = service.create_order(amount="499.50", currency="INR")
    assert (first.status, second.status) == (201, 200)
    assert first.text == second.text
    assert len(service.razorpay.asked) == 1


def test_asking_again_tells_the_present_status(ordered: Service) -> None:
    ordered.replay("webhook-payment-failed")
    assert ordered.create_order().body["status"] == "failed"
    ordered.replay("webhook-payment-authorized")
    answer = ordered.create_order()
    assert (answer.status, answer.body["status"]) == (200, "authorized")
    assert ordered.razorpay.asked == []


@pytest.mark.parametrize(
    "change", [{"amount": 500}, {"job_id": 13}, {"freelancer_id": 78}], ids=["amount", "job", "freelancer"]
)
def test_another_purchase_supersedes_the_order(ordered: Service, change: dict[str, Any]) -> None:
    answer = ordered.create_order(**change)
    assert answer.status == 201
    assert answer.body["order_id"] != events.ORDER_ID
    old = ordered.cloud.item(events.ORDER_ID)
    assert (old["superseded_by"], old["status"], old["version"]) == (answer.body["order_id"], "created", 2)
    assert pointer(ordered) == answer.body["order_id"]


def test_a_capture_on_a_superseded_order_is_under_review_and_nothing_is_sold_meanwhile(ordered: Service) -> None:
    ordered.create_order(amount=500)
    assert ordered.replay("webhook-payment-captured").status == 200
    assert ordered.cloud.item(events.ORDER_ID)["status"] == "authorized"
    assert ordered.cloud.types() == ["payment.review"]
    assert ordered.cloud.details()[0]["review"] == {"reason": "superseded_order", "state": "open"}
    assert ordered.read().body["under_review"] is True
    for change in ({}, {"amount": 500}, {"amount": 600}):
        assert conflict(ordered.create_order(**change)) == ("payment_under_review", events.ORDER_ID)


def test_going_back_to_the_first_purchase_makes_a_third_order(ordered: Service) -> None:
    second = ordered.create_order(amount=500)
    third = ordered.create_order()
    assert third.status == 201
    assert len({events.ORDER_ID, second.body["order_id"], third.body["order_id"]}) == 3


def test_another_client_or_application_gets_an_order_of_its_own(ordered: Service) -> None:
    answers = [ordered.create_order(client_id=43), ordered.create_order(application_id=13)]
    assert [answer.status for answer in answers] == [201, 201]
    assert ordered.create_order().body["order_id"] == events.ORDER_ID


def test_an_old_order_of_a_client_with_themselves_is_read_paid_and_told_as_any_other(ordered: Service) -> None:
    # create-order used to accept such orders.
    ordered.cloud.change(f"order#{events.ORDER_ID}", {"freelancer_id": events.CLIENT})
    assert ordered.read().body["freelancer_id"] == events.CLIENT
    assert ordered.verify().status == 200
    assert ordered.replay("webhook-payment-captured").status == 200
    read = ordered.read()
    assert (read.status, read.body["status"], read.body["confirmed"]) == (200, "paid", True)
    (told,) = ordered.cloud.details("payment.paid")
    assert (told["payment"]["client_id"], told["payment"]["freelancer_id"]) == (events.CLIENT, events.CLIENT)
    again = ordered.create_order(freelancer_id=events.CLIENT)
    assert (again.status, again.body["errors"][0]["field"]) == (400, "freelancer_id")
    assert conflict(ordered.create_order()) == ("already_paid", events.ORDER_ID)


def test_an_old_order_of_a_client_with_themselves_makes_room_for_one_that_is_right(ordered: Service) -> None:
    ordered.cloud.change(f"order#{events.ORDER_ID}", {"freelancer_id": events.CLIENT})
    answer = ordered.create_order()
    assert answer.status == 201
    assert ordered.cloud.item(events.ORDER_ID)["superseded_by"] == answer.body["order_id"]


def conflict(answer: Answer) -> tuple[str, str]:
    """The code of a 409, and the order it concerns."""
    assert answer.status == 409
    assert answer.headers["Content-Type"] == "application/problem+json"
    order_id: str = answer.body["order_id"]
    return answer.code, order_id


@pytest.mark.parametrize("name", ["verify", "webhook-payment-captured"])
def test_a_paid_application_cannot_be_paid_again(ordered: Service, name: str) -> None:
    ordered.replay(name)
    for change in ({}, {"amount": 500}):
        assert conflict(ordered.create_order(**change)) == ("already_paid", events.ORDER_ID)
    assert ordered.razorpay.asked == []


def test_another_amount_waits_while_a_payment_is_authorised(ordered: Service) -> None:
    ordered.replay("webhook-payment-authorized")
    assert conflict(ordered.create_order(amount=500)) == ("payment_in_progress", events.ORDER_ID)
    assert ordered.razorpay.asked == []


def captured(order_id: str, **changes: Any) -> bytes:
    document = json.loads(events.webhook_body("payment.captured"))
    document["payload"]["payment"]["entity"] |= {"order_id": order_id, **changes}
    return json.dumps(document).encode()


@pytest.mark.parametrize("changes", [{"amount": 100}, {"amount": 60000}, {"currency": "USD"}], ids=str)
def test_money_that_is_not_as_agreed_must_be_looked_at_before_the_client_pays_again(
    ordered: Service, changes: dict[str, Any]
) -> None:
    assert ordered.deliver(captured(events.ORDER_ID, **changes)).status == 200
    for change in ({}, {"amount": 500}):
        assert conflict(ordered.create_order(**change)) == ("payment_under_review", events.ORDER_ID)
    assert ordered.razorpay.asked == []


def test_after_money_that_was_not_as_agreed_is_paid_back_the_application_may_be_paid(ordered: Service) -> None:
    ordered.deliver(captured(events.ORDER_ID, amount=10000))
    refund = json.loads(events.webhook_body("refund.processed", refund=events.FIRST_REFUND_ID))
    refund["payload"]["payment"]["entity"] |= {"amount": 10000, "amount_refunded": 10000}
    refund["payload"]["refund"]["entity"]["amount"] = 10000
    assert ordered.deliver(json.dumps(refund).encode()).status == 200
    answer = ordered.create_order()
    assert answer.status == 201
    assert answer.body["order_id"] != events.ORDER_ID, "a consumed order takes no other payment"


def test_after_a_full_refund_the_application_may_be_paid_again(ordered: Service) -> None:
    for name in ("webhook-payment-captured", "webhook-refund-processed-part", "webhook-refund-processed-full"):
        ordered.replay(name)
    answer = ordered.create_order()
    assert answer.status == 201
    assert answer.body["order_id"] != events.ORDER_ID
    assert ordered.cloud.item(events.ORDER_ID)["status"] == "refunded"
    assert ordered.read().body["amount_refunded"] == 49950


# --- queries to Razorpay before an order is returned ---

MINUTE, HOUR, DAY = 60, 3600, 24 * 3600


def later(service: Service, seconds: int) -> None:
    service.clock.now = events.ORDERED_AT + 120 + seconds


def gets(service: Service) -> list[str]:
    return [path.removeprefix("GET ") for path in service.razorpay.paths() if path.startswith("GET")]


def test_for_a_quarter_of_an_hour_an_open_order_is_handed_out_without_a_question(ordered: Service) -> None:
    later(ordered, 15 * MINUTE)
    assert ordered.create_order().status == 200
    assert ordered.razorpay.asked == []


def test_after_that_razorpay_is_asked_once_and_then_not_for_as_long(ordered: Service) -> None:
    later(ordered, 15 * MINUTE + 1)
    for _ in range(3):
        assert ordered.create_order().status == 200
    assert gets(ordered) == [f"/v1/orders/{events.ORDER_ID}", f"/v1/orders/{events.ORDER_ID}/payments"]
    later(ordered, 30 * MINUTE + 2)
    assert ordered.create_order().status == 200
    assert len(gets(ordered)) == 4


def test_a_payment_that_no_webhook_told_is_found_before_the_order_is_handed_out(ordered: Service) -> None:
    ordered.razorpay.pay(events.ORDER_ID, events.PAYMENT_ID)
    later(ordered, HOUR)
    assert conflict(ordered.create_order()) == ("already_paid", events.ORDER_ID)
    record = ordered.cloud.item(events.ORDER_ID)
    assert (record["status"], record["confirmed"]) == ("paid", True)
    # create_order may not publish; the outbox will.
    assert [event["type"] for event in record["pending"].values()] == ["payment.paid"]
    assert record["attention_at"] == ordered.clock.now + MINUTE
    assert ordered.cloud.sent == []


@pytest.mark.parametrize(
    "reply",
    [refusal(500, "no"), refusal(429, "no"), refusal(401, "no"), refusal(400, "no"), Reply(body=b"<html>")],
    ids=lambda reply: str(reply.status),
)
def test_when_razorpay_does_not_say_an_open_order_is_handed_out_all_the_same(ordered: Service, reply: Reply) -> None:
    ordered.razorpay.trouble = lambda asked: reply if asked.method == "GET" else None
    later(ordered, HOUR)
    answer = ordered.create_order()
    assert (answer.status, answer.body["order_id"]) == (200, events.ORDER_ID)


def test_a_razorpay_that_hangs_holds_the_client_up_for_three_seconds_and_no_more(ordered: Service) -> None:
    ordered.razorpay.trouble = lambda asked: Reply(hangs=True) if asked.method == "GET" else None
    later(ordered, HOUR)
    started = time.monotonic()
    assert ordered.create_order().status == 200
    assert time.monotonic() - started < 4


def test_an_order_that_razorpay_does_not_know_is_replaced(ordered: Service) -> None:
    ordered.razorpay.orders.clear()
    later(ordered, HOUR)
    answer = ordered.create_order()
    assert (answer.status, answer.body["order_id"] != events.ORDER_ID) == (201, True)


def test_an_order_of_a_month_is_agreed_to_anew(ordered: Service) -> None:
    ordered.clock.now = events.ORDERED_AT + 120 + 30 * DAY
    answer = ordered.create_order()
    assert (answer.status, answer.body["order_id"] != events.ORDER_ID) == (201, True)
    assert ordered.cloud.item(events.ORDER_ID)["superseded_by"] == answer.body["order_id"]


# --- and before another one is made ---


def test_before_another_order_is_made_razorpay_must_be_asked_about_the_old_one(ordered: Service) -> None:
    assert ordered.create_order(amount=500).status == 201
    assert ordered.razorpay.paths() == [
        f"GET /v1/orders/{events.ORDER_ID}",
        f"GET /v1/orders/{events.ORDER_ID}/payments",
        "POST /v1/orders",
    ]


@pytest.mark.parametrize(
    "reply",
    [
        refusal(500, "no"),
        refusal(429, "no"),
        refusal(401, "no"),
        refusal(400, "Authentication failed", reason="NA"),
        refusal(400, "The requested URL was not found on the server."),
        refusal(404, "no"),
        Reply(body=b"<html>"),
    ],
    ids=lambda reply: f"{reply.status} {reply.body[:40].decode()}",
)
def test_without_its_answer_there_is_no_other_order(ordered: Service, reply: Reply) -> None:
    ordered.razorpay.trouble = lambda asked: reply if asked.method == "GET" else None
    answer = ordered.create_order(amount=500)
    assert (answer.status, answer.code) == (503, "gateway_unavailable")
    assert int(answer.headers["Retry-After"]) > 0
    assert "POST /v1/orders" not in ordered.razorpay.paths()
    assert pointer(ordered) == events.ORDER_ID
    ordered.razorpay.trouble = lambda _: None
    assert ordered.create_order(amount=500).status == 201


@pytest.mark.parametrize(
    "reply",
    [
        refusal(400, "The id provided does not exist", reason="input_validation_failed"),
        refusal(400, "Order older than 180 days, please use reports.", reason="input_validation_failed"),
    ],
    ids=["does not exist", "too old"],
)
def test_what_razorpay_does_not_have_stands_in_nobodys_way(ordered: Service, reply: Reply) -> None:
    ordered.razorpay.trouble = lambda asked: reply if asked.method == "GET" else None
    assert ordered.create_order(amount=500).status == 201


@pytest.mark.parametrize(
    ("status", "code"),
    [("captured", "already_paid"), ("authorized", "payment_in_progress"), ("created", "payment_in_progress")],
)
def test_a_payment_that_razorpay_knows_of_stands_in_the_way_of_another_order(
    ordered: Service, status: str, code: str
) -> None:
    ordered.razorpay.pay(events.ORDER_ID, events.PAYMENT_ID, status)
    assert conflict(ordered.create_order(amount=500)) == (code, events.ORDER_ID)
    assert "POST /v1/orders" not in ordered.razorpay.paths()
    assert "superseded_by" not in ordered.cloud.item(events.ORDER_ID)


def test_a_payment_without_an_answer_for_a_quarter_of_an_hour_is_none_any_more(ordered: Service) -> None:
    ordered.razorpay.pay(events.ORDER_ID, events.PAYMENT_ID, "created", created_at=ordered.clock.now - 15 * MINUTE)
    assert ordered.create_order(amount=500).status == 201


def test_an_order_that_is_paid_before_its_payment_is_listed_is_in_progress(ordered: Service) -> None:
    ordered.razorpay.orders[events.ORDER_ID]["status"] = "paid"
    assert conflict(ordered.create_order(amount=500)) == ("payment_in_progress", events.ORDER_ID)


def test_a_superseded_order_is_asked_about_for_a_day_as_well(ordered: Service) -> None:
    second = ordered.create_order(amount=500).body["order_id"]
    ordered.razorpay.pay(events.ORDER_ID, events.PAYMENT_ID)
    ordered.forget()
    assert conflict(ordered.create_order(amount=600)) == ("payment_under_review", events.ORDER_ID)
    assert pointer(ordered) == second


def test_an_authorised_payment_on_a_superseded_order_is_in_progress(ordered: Service) -> None:
    ordered.create_order(amount=500)
    ordered.replay("webhook-payment-authorized")
    for change in ({}, {"amount": 500}, {"amount": 600}):
        assert conflict(ordered.create_order(**change)) == ("payment_in_progress", events.ORDER_ID)


def test_all_calls_to_razorpay_together_take_no_longer_than_14_s(
    ordered: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = [0.0]
    monkeypatch.setattr(aws, "clock", lambda: watch[0])
    for amount in (500, 600, 700):
        assert ordered.create_order(amount=amount).status == 201
    ordered.forget()

    def slow(_: object) -> None:
        watch[0] += 3.5

    ordered.razorpay.trouble = slow
    answer = ordered.create_order(amount=800)
    assert (answer.status, answer.code) == (503, "gateway_unavailable")
    assert len(ordered.razorpay.asked) == 4, "four times 3.5 s are 14 s"


def test_a_hundred_orders_are_enough_until_a_person_has_looked(ordered: Service) -> None:
    ordered.cloud.change(
        "application#42#12", {"orders": [events.ORDER_ID, *(f"order_{number:014d}" for number in range(1000, 1099))]}
    )
    ordered.razorpay.trouble = lambda asked: (
        None
        if asked.method == "POST"
        else refusal(400, "The id provided does not exist", reason="input_validation_failed")
    )
    for _ in range(2):
        assert conflict(ordered.create_order(amount=500)) == ("payment_under_review", events.ORDER_ID)
    assert "POST /v1/orders" not in ordered.razorpay.paths()
    record = ordered.cloud.item(events.ORDER_ID)
    assert [review["reason"] for review in record["review"]] == ["too_many_orders"]
    assert len(record["pending"]) == 1


# --- the amount ---


def test_an_amount_over_our_own_limit_is_refused_by_name(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAX_AMOUNT", "500")
    assert service.create_order(amount=500).status == 201
    service.forget()
    for amount in (500.01, "500.01", 99_999_999):
        answer = service.create_order(amount=amount, application_id=13)
        assert (answer.status, answer.code) == (400, "invalid_request")
        assert [error["field"] for error in answer.body["errors"]] == ["amount"]
    assert service.outside_calls() == []


def test_an_amount_that_razorpay_does_not_take_is_the_clients_to_change(service: Service) -> None:
    service.razorpay.script.append(
        refusal(400, "Amount exceeds maximum amount allowed.", reason="input_validation_failed", field="amount")
    )
    answer = service.create_order()
    assert (answer.status, answer.code) == (400, "invalid_request")
    assert [error["field"] for error in answer.body["errors"]] == ["amount"]
    assert "maximum amount" not in answer.text
    assert set(service.cloud.items()) == {"counter#payment_id"}


# --- a counter that went back ---


def test_a_receipt_that_was_used_before_leaves_a_thousand_ids_out(service: Service) -> None:
    service.razorpay.script.append(refusal(400, "Order receipt should be unique.", field="receipt"))
    answer = service.create_order()
    assert answer.status == 201
    assert answer.body["payment_id"] > 1000
    receipts = [asked.document["receipt"] for asked in service.razorpay.asked]
    assert len(set(receipts)) == 2


# --- payment ids ---


def test_payment_ids_are_unique_from_1_and_taken_in_blocks_of_ten(service: Service) -> None:
    answers = [service.create_order(application_id=number) for number in range(1, 12)]
    assert [answer.body["payment_id"] for answer in answers] == list(range(1, 12))
    assert service.cloud.items()["counter#payment_id"]["last_taken"] == 20


def test_another_instance_takes_another_block(service: Service) -> None:
    service.create_order(application_id=1)
    start_afresh()
    assert service.create_order(application_id=2).body["payment_id"] == 11


def test_an_order_that_razorpay_did_not_make_leaves_a_gap_and_no_receipt_is_used_twice(service: Service) -> None:
    service.razorpay.script.append(refusal(500, "The server encountered an error."))
    assert service.create_order().status == 503
    assert service.create_order().body["payment_id"] == 2
    installation = service.cloud.items()["counter#payment_id"]["installation"]
    assert [asked.document["receipt"] for asked in service.razorpay.asked] == [
        f"local-{installation}-1",
        f"local-{installation}-2",
    ]


def test_two_installations_use_no_receipt_of_each_other(service: Service) -> None:
    service.create_order()
    first = service.razorpay.asked[-1].document
    for key in ("counter#payment_id", f"order#{events.ORDER_ID}", "application#42#12"):
        service.cloud.remove(key)
    start_afresh()
    service.create_order()
    second = service.razorpay.asked[-1].document
    assert first["notes"]["payment_id"] == second["notes"]["payment_id"] == "1"
    assert first["receipt"] != second["receipt"]
    assert first["notes"]["installation"] != second["notes"]["installation"]
    assert all(len(one["receipt"]) <= 40 for one in (first, second))


# --- at once ---


def test_ten_concurrent_requests_leave_one_payable_order(service: Service) -> None:
    event = events.from_frontend(CREATE_ORDER, events.OFFER)

    def request(_number: int) -> Answer:
        return service.invoke(event)

    # The adapter redirects stdout, which all threads share; Lambda handles one request at a time.
    with redirect_stdout(StringIO()), ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(request, range(10)))
    assert sorted({answer.status for answer in answers}) in ([200, 201], [201])
    assert [answer.status for answer in answers].count(201) == 1
    order_ids = {answer.body["order_id"] for answer in answers}
    assert order_ids == {pointer(service)}
    assert len({answer.text for answer in answers}) == 1


def test_of_two_different_purchases_at_once_one_is_superseded(service: Service) -> None:
    service.cloud.just_before("PutItem", lambda: None)  # the record
    service.cloud.just_before("PutItem", lambda: service.create_order(amount=500))
    answer = service.create_order()
    assert answer.status == 201
    assert pointer(service) == answer.body["order_id"]
    items = service.cloud.items()
    # An order that the application does not list was never returned to a client.
    named = [items[f"order#{order_id}"] for order_id in items["application#42#12"]["orders"]]
    payable = [item["order_id"] for item in named if item["status"] == "created" and "superseded_by" not in item]
    assert payable == [answer.body["order_id"]]


def test_a_payment_that_arrives_meanwhile_is_not_superseded(ordered: Service) -> None:
    ordered.cloud.just_before("TransactWriteItems", lambda: ordered.replay("webhook-payment-captured"))
    answer = ordered.create_order(amount=500)
    assert (answer.status, answer.code) == (409, "already_paid")
    record = ordered.cloud.item(events.ORDER_ID)
    assert "superseded_by" not in record
    assert ordered.cloud.types() == ["payment.paid"]


# --- other responses of Razorpay ---

HTML = Reply(502, b"<html><body>Bad Gateway</body></html>", {"Content-Type": "text/html"})
UNAVAILABLE = {
    "429": refusal(429, "Too many requests"),
    "429 with Retry-After": Reply(429, b"Too many requests", {"Retry-After": "2"}),
    "400 that throttles": refusal(400, "Request failed. Please try after sometime."),
    "500": refusal(500, "The server encountered an error. The incident has been reported to admins."),
    "504": Reply(504, b""),
    "HTML with 502": HTML,
    "HTML with 200": Reply(200, b"<html></html>", {"Content-Type": "text/html"}),
    "empty 200": Reply(200, b""),
    "204": Reply(204, b""),
    "null": Reply(200, b"null"),
    "a list": Reply(200, b"[]"),
    "an answer without an id": Reply(200, b'{"amount":49950,"currency":"INR"}'),
    "an id that is none": Reply(200, b'{"id":"order_../../x","amount":49950,"currency":"INR"}'),
    "another amount": Reply(200, b'{"id":"order_DESlLckIVRkHWj","amount":49951,"currency":"INR"}'),
    "another currency": Reply(200, b'{"id":"order_DESlLckIVRkHWj","amount":49950,"currency":"USD"}'),
    "a redirect": Reply(302, b"", {"Location": "/v1/elsewhere"}),
    "a permanent redirect": Reply(308, b"", {"Location": "/v1/elsewhere"}),
    "error null with 500": Reply(500, b'{"error":null}'),
}
REFUSED = {
    "400": refusal(400, "Currency is not supported", reason="input_validation_failed", field="currency"),
    "401": refusal(401, "Authentication failed"),
    "400 for a bad key": refusal(400, "Authentication failed"),
    "403": refusal(403, "Forbidden"),
    "error null with 400": Reply(400, b'{"error":null}'),
    "HTML with 404": Reply(404, b"<html></html>", {"Content-Type": "text/html"}),
}


@pytest.mark.parametrize("reply", UNAVAILABLE.values(), ids=UNAVAILABLE.keys())
def test_a_gateway_that_cannot_now_is_answered_503_with_retry_after(service: Service, reply: Reply) -> None:
    service.razorpay.script.append(reply)
    answer = service.create_order()
    assert (answer.status, answer.code) == (503, "gateway_unavailable")
    assert int(answer.headers["Retry-After"]) > 0
    assert len(service.razorpay.asked) == 1, "a POST is never repeated"
    assert set(service.cloud.items()) == {"counter#payment_id"}
    assert service.create_order().status == 201


@pytest.mark.parametrize("reply", REFUSED.values(), ids=REFUSED.keys())
def test_a_gateway_that_refuses_is_answered_502_and_logged_with_status_and_code(service: Service, reply: Reply) -> None:
    service.razorpay.script.append(reply)
    answer = service.create_order()
    assert (answer.status, answer.code) == (502, "gateway_refused")
    assert "Retry-After" not in answer.headers
    (line,) = service.log()
    assert (line["level"], line["gateway_status"]) == ("ERROR", reply.status)
    assert set(service.cloud.items()) == {"counter#payment_id"}


def test_a_gateway_that_hangs_is_answered_503(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway_adapter, "READ_TIMEOUT_S", 0.1)
    service.razorpay.script.append(Reply(hangs=True))
    assert service.create_order().code == "gateway_unavailable"
    assert len(service.razorpay.asked) == 1


def test_a_gateway_that_is_not_there_is_answered_503_and_nothing_is_printed(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAZORPAY_API_URL", "http://127.0.0.1:1")
    assert service.create_order().code == "gateway_unavailable"
    assert [line["message"] for line in service.log()] == ["request failed"]


# --- other responses of the table ---

NOT_NOW: dict[str, Fault] = {
    "throttled": faults.throttles,
    "500": faults.fails,
    "timeout": faults.times_out,
    "connect timeout": faults.connect_times_out,
    "unreachable": faults.is_unreachable,
}


@pytest.mark.parametrize("operation", ["GetItem", "PutItem", "UpdateItem"])
@pytest.mark.parametrize("fault", NOT_NOW.values(), ids=NOT_NOW.keys())
def test_a_table_that_cannot_now_is_answered_503_and_trying_again_works(
    service: Service, operation: str, fault: Fault
) -> None:
    service.cloud.fail_always(operation, fault)
    answer = service.create_order()
    assert (answer.status, answer.code) == (503, "temporarily_unavailable")
    assert int(answer.headers["Retry-After"]) > 0
    service.cloud.heal()
    assert service.create_order().status == 201


@pytest.mark.parametrize(
    ("operation", "skip"), [("UpdateItem", 0), ("PutItem", 0), ("PutItem", 1)], ids=["counter", "record", "application"]
)
def test_a_write_whose_answer_is_lost_still_leaves_one_order(service: Service, operation: str, skip: int) -> None:
    service.cloud.fail(operation, *[lambda _request, send: send()] * skip, faults.loses_the_answer)
    answer = service.create_order()
    assert answer.status == 201
    assert pointer(service) == answer.body["order_id"]
    assert len(service.razorpay.asked) == 1


def test_a_transaction_whose_answer_is_lost_still_leaves_one_payable_order(ordered: Service) -> None:
    ordered.cloud.fail("TransactWriteItems", faults.loses_the_answer)
    answer = ordered.create_order(amount=500)
    assert answer.status in {200, 201}
    assert pointer(ordered) == answer.body["order_id"]
    assert ordered.razorpay.paths().count("POST /v1/orders") == 1
    assert ordered.cloud.item(events.ORDER_ID)["superseded_by"] == answer.body["order_id"]


@pytest.mark.parametrize("fault", NOT_NOW.values(), ids=NOT_NOW.keys())
def test_a_transaction_that_cannot_be_now_changes_nothing_and_trying_again_works(
    ordered: Service, fault: Fault
) -> None:
    before = ordered.cloud.items()
    ordered.cloud.fail_always("TransactWriteItems", fault)
    answer = ordered.create_order(amount=500)
    assert (answer.status, answer.code) == (503, "temporarily_unavailable")
    after = ordered.cloud.items()
    after[f"order#{events.ORDER_ID}"].pop("looked_at", None)
    assert after == before
    ordered.cloud.heal()
    assert ordered.create_order(amount=500).status == 201


def test_a_table_that_denies_is_our_mistake_and_says_nothing_of_it(service: Service) -> None:
    service.cloud.fail_always("GetItem", faults.denies)
    answer = service.create_order()
    assert (answer.status, answer.code) == (500, "internal_error")
    assert "secret words" not in answer.text + service.output()
    (line,) = service.log()
    assert line["error"] == "AccessDeniedException" or line["error"] == "ClientError"
