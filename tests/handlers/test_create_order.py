from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stdout
from io import StringIO
from typing import Any

import pytest

from payments.adapters import gateway as gateway_adapter
from sandbox import development, events
from tests.handlers import cloud as faults
from tests.handlers.cloud import Fault
from tests.handlers.conftest import start_afresh
from tests.handlers.razorpay import Reply, refusal
from tests.handlers.service import CREATE_ORDER, Answer, Service

Change = Callable[[Service], object]


def pointer(service: Service) -> str:
    order_id: str = service.cloud.items()["application#42#12"]["order_id"]
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
    assert record["attention_at"] == service.clock.now + 15 * 60
    assert "expires_at" not in record


def test_razorpay_is_asked_for_automatic_capture_a_receipt_of_its_own_and_every_id(service: Service) -> None:
    service.create_order()
    (asked,) = service.razorpay.asked
    assert (asked.method, asked.path) == ("POST", "/v1/orders")
    assert asked.document == {
        "amount": 49950,
        "currency": "INR",
        "receipt": "local-1",
        "payment": {"capture": "automatic"},
        "notes": {
            "service": "payment-service",
            "stage": "local",
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


def test_a_capture_on_a_superseded_order_is_paid_and_reviewed(ordered: Service) -> None:
    ordered.create_order(amount=500)
    assert ordered.replay("webhook-payment-captured").status == 200
    assert ordered.cloud.item(events.ORDER_ID)["status"] == "paid"
    assert ordered.cloud.types() == ["payment.review"]
    assert ordered.cloud.details()[0]["review"] == {"reason": "superseded_order"}


def test_going_back_to_the_first_purchase_makes_a_third_order(ordered: Service) -> None:
    second = ordered.create_order(amount=500)
    third = ordered.create_order()
    assert third.status == 201
    assert len({events.ORDER_ID, second.body["order_id"], third.body["order_id"]}) == 3


def test_another_client_or_application_gets_an_order_of_its_own(ordered: Service) -> None:
    answers = [ordered.create_order(client_id=43), ordered.create_order(application_id=13)]
    assert [answer.status for answer in answers] == [201, 201]
    assert ordered.create_order().body["order_id"] == events.ORDER_ID


@pytest.mark.parametrize("name", ["verify", "webhook-payment-captured"])
def test_a_paid_application_cannot_be_paid_again(ordered: Service, name: str) -> None:
    ordered.replay(name)
    for change in ({}, {"amount": 500}):
        answer = ordered.create_order(**change)
        assert (answer.status, answer.code) == (409, "already_paid")
    assert ordered.razorpay.asked == []


def test_another_amount_waits_while_a_payment_is_authorised(ordered: Service) -> None:
    ordered.replay("webhook-payment-authorized")
    answer = ordered.create_order(amount=500)
    assert (answer.status, answer.code) == (409, "payment_in_progress")
    assert ordered.razorpay.asked == []


def test_after_a_full_refund_the_application_may_be_paid_again(ordered: Service) -> None:
    for name in ("webhook-payment-captured", "webhook-refund-processed-part", "webhook-refund-processed-full"):
        ordered.replay(name)
    refunded = ordered.cloud.item(events.ORDER_ID)
    answer = ordered.create_order()
    assert answer.status == 201
    assert answer.body["order_id"] != events.ORDER_ID
    assert ordered.cloud.item(events.ORDER_ID) == refunded


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
    assert [asked.document["receipt"] for asked in service.razorpay.asked] == ["local-1", "local-2"]


# --- at once ---


def test_ten_concurrent_requests_leave_one_payable_order(service: Service) -> None:
    event = events.from_frontend(CREATE_ORDER, events.OFFER)

    def request(_number: int) -> Answer:
        return service.invoke(event)

    # The adapter sets stdout aside, which is one for all threads; Lambda has one request at a time.
    with redirect_stdout(StringIO()), ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(request, range(10)))
    assert sorted({answer.status for answer in answers}) in ([200, 201], [201])
    assert [answer.status for answer in answers].count(201) == 1
    order_ids = {answer.body["order_id"] for answer in answers}
    assert order_ids == {pointer(service)}
    assert len({answer.text for answer in answers}) == 1


def test_of_two_different_purchases_at_once_one_is_superseded(service: Service) -> None:
    service.cloud.just_before("UpdateItem", lambda: None)  # the counter
    service.cloud.just_before("UpdateItem", lambda: service.create_order(amount=500))
    answer = service.create_order()
    assert answer.status == 201
    assert pointer(service) == answer.body["order_id"]
    payable = [
        item
        for item in service.cloud.items().values()
        if item.get("status") == "created" and "superseded_by" not in item
    ]
    assert [item["order_id"] for item in payable] == [answer.body["order_id"]]


def test_a_payment_that_arrives_meanwhile_is_not_superseded(ordered: Service) -> None:
    ordered.cloud.just_before("UpdateItem", lambda: ordered.replay("webhook-payment-captured"))
    answer = ordered.create_order(amount=500)
    assert (answer.status, answer.code) == (409, "already_paid")
    record = ordered.cloud.item(events.ORDER_ID)
    assert "superseded_by" not in record
    assert ordered.cloud.types() == ["payment.paid"]


# --- Razorpay answers otherwise ---

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
    "400": refusal(400, "The amount must be at least INR 1.00", reason="input_validation_failed", field="amount"),
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


# --- the table answers otherwise ---

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


@pytest.mark.parametrize("skip", [0, 1], ids=["counter", "pointer"])
def test_an_update_whose_answer_is_lost_still_leaves_one_order(service: Service, skip: int) -> None:
    service.cloud.fail("UpdateItem", *[lambda _request, send: send()] * skip, faults.loses_the_answer)
    answer = service.create_order()
    assert answer.status == 201
    assert pointer(service) == answer.body["order_id"]
    assert len(service.razorpay.asked) == 1


def test_a_record_whose_answer_is_lost_is_recognised_as_our_own(service: Service) -> None:
    service.cloud.fail("PutItem", faults.loses_the_answer)
    assert service.create_order().status == 201
    assert len(service.razorpay.asked) == 1


def test_a_table_that_denies_is_our_mistake_and_says_nothing_of_it(service: Service) -> None:
    service.cloud.fail_always("GetItem", faults.denies)
    answer = service.create_order()
    assert (answer.status, answer.code) == (500, "internal_error")
    assert "secret words" not in answer.text + service.output()
    (line,) = service.log()
    assert line["error"] == "AccessDeniedException" or line["error"] == "ClientError"
