import random
from typing import Any

import pytest
import requests
from razorpay.errors import BadRequestError, ServerError

from sandbox.gateway import connections
from sandbox.gateway.faults import ROUTES, ApiFault, Faults
from sandbox.gateway.server import Settings
from tests.gateway.gateway import Gateway

CREATE = "POST /v1/orders"
DOCUMENTED_5XX = "The server encountered an error. The incident has been reported to admins."


def call(gateway: Gateway, method: str = "GET", path: str = "orders", **arguments: Any) -> requests.Response:
    # A separate connection: the fixture's session would repeat a call whose kept connection was closed.
    return requests.request(
        method,
        f"{gateway.url}/v1/{path}",
        auth=(gateway.settings.key_id, gateway.settings.key_secret),
        timeout=arguments.pop("timeout", 5),
        **arguments,
    )


def create(gateway: Gateway, **arguments: Any) -> requests.Response:
    return call(gateway, "POST", json={"amount": 50000, "currency": "INR"}, **arguments)


def switch(gateway: Gateway, *faults: dict[str, Any]) -> None:
    gateway.control("PUT", "faults", {"api": list(faults)})


def played(gateway: Gateway) -> list[int]:
    return [fault["played"] for fault in gateway.control("GET", "faults")["api"]]


# --- the response ---


def test_a_burst_is_throttled_with_plain_text_and_a_time_to_wait(gateway: Gateway) -> None:
    switch(gateway, {"fault": "429_burst", "times": 1})
    answer = create(gateway)
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "2")
    assert answer.text == "Too many requests"
    assert create(gateway).status_code == 200
    assert gateway.sdk.order.all()["count"] == 1


@pytest.mark.parametrize(("fault", "status"), [("429_cool_down", 429), ("400_cool_down", 400)])
def test_a_cool_down_is_told_from_a_bad_request_by_its_words_alone(gateway: Gateway, fault: str, status: int) -> None:
    switch(gateway, {"fault": fault})
    answer = create(gateway)
    assert answer.status_code == status
    assert "Retry-After" not in answer.headers
    assert answer.json()["error"] == {
        "code": "BAD_REQUEST_ERROR",
        "description": "Request failed. Please try after sometime.",
        "source": "business",
        "step": "payment_initiation",
        "reason": "input_validation_failed",
        "metadata": {},
    }
    with pytest.raises(BadRequestError, match="Please try after sometime"):
        gateway.order()


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_broken_gateway_says_so_in_the_documented_body_and_changes_nothing(gateway: Gateway, status: int) -> None:
    switch(gateway, {"fault": str(status), "route": CREATE})
    answer = create(gateway)
    assert answer.status_code == status
    assert answer.json()["error"]["code"] == "SERVER_ERROR"
    with pytest.raises(ServerError, match=DOCUMENTED_5XX):
        gateway.order()
    assert gateway.sdk.order.all()["count"] == 0


def test_a_reset_connection_gives_no_answer_and_changes_nothing(gateway: Gateway) -> None:
    switch(gateway, {"fault": "reset", "route": CREATE, "times": 1})
    with pytest.raises(requests.ConnectionError, match="reset by peer"):
        create(gateway)
    assert gateway.sdk.order.all()["count"] == 0
    assert played(gateway) == [1]


def test_an_answer_can_be_lost_after_the_order_was_made(gateway: Gateway) -> None:
    switch(gateway, {"fault": "answer_lost", "route": CREATE, "times": 1})
    with pytest.raises(requests.ConnectionError, match="without response"):
        create(gateway)
    assert gateway.sdk.order.all()["count"] == 1
    assert create(gateway).status_code == 200
    assert played(gateway) == [1]


def test_an_answer_can_be_lost_after_a_capture_and_after_a_refund(gateway: Gateway) -> None:
    order = gateway.order(payment={"capture": "manual"})
    payment_id = gateway.pay(order["id"])["razorpay_payment_id"]
    switch(gateway, {"fault": "answer_lost", "route": "POST"})
    with pytest.raises(requests.ConnectionError):
        call(gateway, "POST", f"payments/{payment_id}/capture", json={"amount": 50000, "currency": "INR"})
    assert gateway.sdk.payment.fetch(payment_id)["status"] == "captured"
    key = {"X-Refund-Idempotency": "refund-of-that-payment"}
    for _ in range(2):
        with pytest.raises(requests.ConnectionError):
            call(gateway, "POST", f"payments/{payment_id}/refund", json={"amount": 10000}, headers=key)
    assert gateway.sdk.payment.fetch(payment_id)["amount_refunded"] == 10000
    assert played(gateway) == [3]


def test_a_lost_refusal_is_lost_like_any_answer(gateway: Gateway) -> None:
    switch(gateway, {"fault": "answer_lost", "route": CREATE})
    with pytest.raises(requests.ConnectionError):
        call(gateway, "POST", json={"amount": 1, "currency": "INR"})


def test_a_hanging_call_is_not_answered_for_as_long_as_the_client_waits(gateway: Gateway) -> None:
    assert connections.LONGEST_HANG_S == 30
    switch(gateway, {"fault": "hang", "route": CREATE})
    with pytest.raises(requests.ReadTimeout):
        create(gateway, timeout=0.3)
    assert gateway.sdk.order.all()["count"] == 0
    assert call(gateway).status_code == 200  # and no other request waits for it


def test_a_hanging_call_ends_without_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "LONGEST_HANG_S", 0.2)
    with Gateway(Settings()) as gateway:
        switch(gateway, {"fault": "hang"})
        with pytest.raises(requests.ConnectionError, match="without response"):
            create(gateway)


def test_a_fault_in_front_of_the_api_knows_no_keys_and_one_behind_it_does(gateway: Gateway) -> None:
    url = f"{gateway.url}/v1/orders"
    switch(gateway, {"fault": "503"})
    assert requests.post(url, timeout=5).status_code == 503
    switch(gateway, {"fault": "answer_lost", "route": CREATE})
    assert requests.post(url, timeout=5).json()["error"]["description"] == "Authentication failed"


@pytest.mark.parametrize(
    ("fault", "status", "description", "reason"),
    [
        # api/orders/fetch-with-id.md
        ("400_unknown_id", 400, "The id provided does not exist", "input_validation_failed"),
        # api/refunds/create-normal.md
        ("400_unknown_url", 400, "The requested URL was not found on the server.", "NA"),
        # the current page of api/orders/fetch-with-id for India
        (
            "400_older_than_180_days",
            400,
            "Order older than 180 days, please use reports.",
            "input_validation_failed",
        ),
        ("400_key", 400, "The api key provided is invalid", "NA"),  # api/orders/fetch-all.md
        ("401_key", 401, "The api key provided is invalid", "NA"),  # api/understand.md
    ],
)
def test_an_order_that_is_there_can_be_refused_in_every_documented_way(
    gateway: Gateway, fault: str, status: int, description: str, reason: str
) -> None:
    order_id, other = gateway.order()["id"], gateway.order()["id"]
    switch(gateway, {"fault": fault, "id": order_id})
    for path in ("orders/{}", "orders/{}/payments"):
        answer = call(gateway, path=path.format(order_id))
        assert answer.status_code == status
        error = answer.json()["error"]
        assert (error["code"], error["description"], error["reason"]) == ("BAD_REQUEST_ERROR", description, reason)
        assert {error["source"], error["step"]} == ({"NA"} if reason == "NA" else {"business", "payment_initiation"})
        assert call(gateway, path=path.format(other)).status_code == 200
    assert order_id in {order["id"] for order in gateway.sdk.order.all()["items"]}


# --- which requests are affected ---


def test_a_fault_of_an_id_strikes_the_calls_with_that_id_in_their_path(gateway: Gateway) -> None:
    payments = [gateway.pay(gateway.order()["id"])["razorpay_payment_id"] for _ in range(2)]
    refunds = [gateway.sdk.payment.refund(payment_id, {"amount": 100})["id"] for payment_id in payments]
    switch(
        gateway,
        {"fault": "503", "id": payments[0], "route": "POST", "times": 1},
        {"fault": "502", "id": payments[0]},
        {"fault": "504", "id": refunds[1]},
    )
    refunding = [call(gateway, "POST", f"payments/{payments[0]}/refund").status_code for _ in range(2)]
    assert refunding == [503, 502]
    assert [call(gateway, path=f"payments/{payment_id}").status_code for payment_id in payments] == [502, 200]
    assert call(gateway, path=f"payments/{payments[0]}/refunds").status_code == 502
    assert [call(gateway, path=f"refunds/{refund_id}").status_code for refund_id in refunds] == [200, 504]
    assert call(gateway, path="payments").status_code == 200
    assert played(gateway) == [1, 3, 1]


@pytest.mark.parametrize("route", ROUTES)
def test_a_fault_strikes_its_own_route_and_no_other(gateway: Gateway, route: str) -> None:
    order_id = gateway.order()["id"]
    payment_id = gateway.pay(order_id)["razorpay_payment_id"]
    refund_id = gateway.sdk.payment.refund(payment_id, {"amount": 100})["id"]
    switch(gateway, {"fault": "503", "route": route})
    dispute_id = gateway.control("POST", f"payments/{payment_id}/dispute", {})["id"]
    ids = {"order_id": order_id, "payment_id": payment_id, "refund_id": refund_id, "dispute_id": dispute_id}
    struck = []
    for other in ROUTES:
        method, path = other.format(**ids).split(" /v1/")
        answer = call(gateway, method, path, json={"amount": 100, "currency": "INR"} if method == "POST" else None)
        if answer.status_code == 503:
            struck.append(other)
    assert struck == [route]


def test_a_fault_of_a_method_spares_the_other(gateway: Gateway) -> None:
    switch(gateway, {"fault": "500", "route": "GET"})
    assert create(gateway).status_code == 200
    assert call(gateway).status_code == 500


def test_the_first_fault_that_strikes_is_played_and_then_the_next(gateway: Gateway) -> None:
    switch(gateway, {"fault": "502", "times": 2}, {"fault": "504", "route": "GET", "times": 1})
    assert [call(gateway).status_code for _ in range(4)] == [502, 502, 504, 200]
    assert played(gateway) == [2, 1]


def test_a_share_of_calls_is_drawn_from_its_seed(gateway: Gateway) -> None:
    drawn = random.Random(7)  # noqa: S311 - the very generator that the switch documents
    expected = [500 if drawn.random() < 0.4 else 200 for _ in range(20)]
    assert set(expected) == {200, 500}
    for _ in range(2):  # setting it again restarts the same sequence
        switch(gateway, {"fault": "500", "share": 0.4, "seed": 7})
        assert [call(gateway).status_code for _ in range(20)] == expected
    assert played(gateway) == [expected.count(500)]


def test_times_and_share_together_stop_after_so_many() -> None:
    rule = ApiFault("500", times=3, share=0.5, seed=1)
    struck = [rule.strikes("GET", "/v1/orders") for _ in range(100)]
    assert struck.count(True) == 3
    assert struck != [True] * 3 + [False] * 97


def test_reset_ends_every_fault(gateway: Gateway) -> None:
    gateway.control(
        "PUT",
        "faults",
        {
            "duplicate_receipts": "refuse",
            "key_errors": "401",
            "max_amount": 1000,
            "fee_bearer": "customer",
            "fee_reported": "later",
            "balance": "insufficient",
            "checkout_platform": "android",
            "auto_refund_after_s": 432000,
            "no_answer_after_s": 60,
            "lists_lag_s": 60,
            "refund_lists_lag_s": 60,
            "order_payments_lag_s": 60,
            "refunds": "pending",
            "webhooks": "hold",
            "held_orders": ["order_DESlLckIVRkHWj"],
            "duplicates": {"share": 1},
            "lost_deliveries": {"share": 1},
            "ignored_answers": {"share": 1},
            "api": [{"fault": "500"}],
        },
    )
    gateway.control("POST", "reset")
    assert gateway.control("GET", "faults") == Faults().to_json()
    assert call(gateway).status_code == 200


def test_setting_one_switch_leaves_the_others_and_their_counts(gateway: Gateway) -> None:
    switch(gateway, {"fault": "500", "times": 1})
    call(gateway)
    gateway.control("PUT", "faults", {"refunds": "pending"})
    shown = gateway.control("GET", "faults")
    assert (shown["refunds"], shown["api"][0]["played"]) == ("pending", 1)


@pytest.mark.parametrize(
    ("document", "complaint"),
    [
        ({"gravity": "off"}, "there is no switch gravity; there are: api, auto_refund_after_s, balance"),
        ({"max_amount": 0}, "max_amount must be a whole number of minor units from 1, null for none"),
        ({"fee_bearer": "nobody"}, "fee_bearer can be: platform, customer"),
        ({"fee_reported": True}, "fee_reported can be: at_capture, later"),
        ({"balance": 0}, "balance can be: enough, insufficient"),
        ({"checkout_platform": "ios"}, "checkout_platform can be: web, android, react-native"),
        ({"auto_refund_after_s": -1}, "auto_refund_after_s must be a number of seconds from 0 to 31622400"),
        ({"no_answer_after_s": None}, "no_answer_after_s must be a number of seconds from 0 to 31622400"),
        ({"max_amount": True}, "max_amount must be a whole number of minor units from 1, null for none"),
        ({"refunds": "lost"}, "refunds can be: processed, pending"),
        ({"webhooks": None}, "webhooks can be: send, hold"),
        ({"webhooks": "hold", "shuffle": {}}, "exclude each other"),
        ({"held_orders": "order_DESlLckIVRkHWj"}, "held_orders must be a list of order ids"),
        ({"held_orders": [1]}, "held_orders must be a list of order ids"),
        ({"shuffle": {"window_s": 0}}, "shuffle.window_s must be more than 0"),
        ({"shuffle": {"window_s": True}}, "shuffle.window_s must be more than 0"),
        ({"shuffle": {"seed": "x"}}, "shuffle.seed must be a whole number"),
        ({"shuffle": 5}, "shuffle must be an object of: seed, window_s"),
        ({"duplicates": {}}, "duplicates.share must be a number from 0 to 1"),
        ({"duplicates": {"share": 1.1}}, "duplicates.share must be a number from 0 to 1"),
        ({"lost_deliveries": {"share": True}}, "lost_deliveries.share must be a number from 0 to 1"),
        ({"ignored_answers": {"part": 1}}, "ignored_answers must be an object of: seed, share"),
        ({"api": {"fault": "500"}}, "api must be a list"),
        ({"api": ["500"]}, "api[0] must be an object of: fault, id, route, seed, share, times"),
        (
            {"api": [{"fault": "500", "id": 1}]},
            "api[0].id must be the id of an order, a payment, a refund or a dispute",
        ),
        ({"api": [{"fault": "500", "id": "order_1", "route": "GET /v1/orders"}]}, "there is no id in the path of GET"),
        ({"key_errors": 401}, "key_errors can be: 400, 401"),
        (
            {"api": [{"fault": "500"}, {}]},
            "api[1].fault can be: 429_burst, 429_cool_down, 400_cool_down, 400_unknown_id",
        ),
        ({"api": [{"fault": 500}]}, "api[0].fault can be"),
        ({"api": [{"fault": "500", "route": "DELETE"}]}, "api[0].route can be: GET, POST, POST /v1/orders"),
        ({"api": [{"fault": "500", "route": []}]}, "api[0].route can be"),
        ({"api": [{"fault": "answer_lost"}]}, "its route can be: POST, POST /v1/orders"),
        ({"api": [{"fault": "answer_lost", "route": "GET /v1/orders"}]}, "answer_lost is for calls that change"),
        ({"api": [{"fault": "500", "times": 0}]}, "api[0].times must be a whole number from 1"),
        ({"api": [{"fault": "500", "share": "x"}]}, "api[0].share must be a number from 0 to 1"),
        ({"api": [{"fault": "500", "seed": 1}]}, "api[0].seed needs a share"),
    ],
)
def test_an_impossible_switch_is_refused_with_what_is_possible_and_changes_nothing(
    gateway: Gateway, document: dict[str, Any], complaint: str
) -> None:
    switch(gateway, {"fault": "500", "route": "POST", "times": 1})
    before = gateway.control("GET", "faults")
    answer = gateway.http.put(f"{gateway.url}/_control/faults", json=document, timeout=5)
    assert answer.status_code == 422
    assert complaint in answer.json()["detail"]
    assert gateway.control("GET", "faults") == before
