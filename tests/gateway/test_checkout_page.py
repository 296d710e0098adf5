"""The stand-in's Checkout over HTTP: what a browser gets, and who may request what."""

import re
from typing import Any

import pytest
import requests

from sandbox.gateway.checkout_page import routes
from tests.gateway.gateway import Gateway
from tests.gateway.receiver import Receiver, wait_until
from tests.gateway.test_program import free_port, program

OWN_FILES = [routes.FRAME, *(f"/v1/checkout/assets/{name}" for name in routes.ASSETS)]
CONTACT = {"contact": "+919000090000", "email": "asha@example.com"}


def from_the_frame(gateway: Gateway, **changed: str | None) -> dict[str, str]:
    """The headers of the frame's own calls, some changed or (None) absent."""
    headers = {"Origin": gateway.url, "Sec-Fetch-Site": "same-origin", "Content-Type": "application/json"}
    changes = {name.replace("_", "-"): value for name, value in changed.items()}
    return {name: value for name, value in {**headers, **changes}.items() if value is not None}


def ask_for_order(gateway: Gateway, order_id: str, key_id: str | None = None, **changed: str | None) -> Any:
    query = {"key_id": gateway.settings.key_id if key_id is None else key_id}
    url = f"{gateway.url}/v1/checkout/orders/{order_id}"
    return gateway.http.get(url, params=query, headers=from_the_frame(gateway, **changed), timeout=5)


def press_pay(gateway: Gateway, document: dict[str, Any], **changed: str | None) -> requests.Response:
    return gateway.http.post(
        f"{gateway.url}/v1/checkout/payments",
        json={"key_id": gateway.settings.key_id, **document},
        headers=from_the_frame(gateway, **changed),
        timeout=5,
    )


# --- the files ---


def test_the_script_may_be_loaded_by_any_page_of_this_machine(gateway: Gateway) -> None:
    answer = gateway.http.get(f"{gateway.url}/v1/checkout.js", timeout=5)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/javascript")
    assert answer.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert answer.headers["Cache-Control"] == "no-store"
    assert "window.Razorpay = Razorpay" in answer.text


@pytest.mark.parametrize("path", OWN_FILES)
def test_the_frames_files_are_its_own_and_are_kept_nowhere(gateway: Gateway, path: str) -> None:
    answer = gateway.http.get(gateway.url + path, timeout=5)
    assert answer.status_code == 200
    assert {name: answer.headers[name] for name in routes._OWN} == {  # noqa: SLF001 - the table under test
        "Cache-Control": "no-store",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "Cross-Origin-Resource-Policy": "same-origin",
    }
    assert "Access-Control-Allow-Origin" not in answer.headers


def test_the_frame_runs_its_own_scripts_alone_and_only_in_pages_of_this_machine(gateway: Gateway) -> None:
    answer = gateway.http.get(gateway.url + routes.FRAME, timeout=5)
    policy = dict(part.split(" ", 1) for part in answer.headers["Content-Security-Policy"].split("; "))
    assert policy == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "connect-src": "'self'",
        "img-src": "'self' data: http://127.0.0.1:* http://localhost:*",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "http://127.0.0.1:* http://localhost:*",
    }
    assert re.search(r"<script(?! type=\"module\" src=)|\sstyle=|\son\w+=", answer.text) is None


def test_every_file_that_the_frame_names_is_served_and_none_beside(gateway: Gateway) -> None:
    text = "".join(gateway.http.get(gateway.url + path, timeout=5).text for path in OWN_FILES)
    named = {*re.findall(r"/v1/checkout/assets/([\w.]+)", text), *re.findall(r"from \"\./([\w.]+)\"", text)}
    assert named == set(routes.ASSETS)
    for other in ("routes.py", "frame.html", "checkout.js", "%2e%2e%2fapi.py"):
        assert gateway.http.get(f"{gateway.url}/v1/checkout/assets/{other}", timeout=5).status_code == 400


# --- the frame's requests ---


def test_the_frame_reads_what_is_to_be_paid(gateway: Gateway) -> None:
    order_id = gateway.order(amount=295990, currency="KWD")["id"]
    answer = ask_for_order(gateway, order_id)
    assert answer.status_code == 200
    assert answer.json() == {
        "order_id": order_id,
        "amount_due": 295990,
        "amount": 295990,
        "currency": "KWD",
        "exponent": 3,
        "status": "created",
        "late_after_s": 5,
    }


def test_the_frame_reads_that_nothing_is_left_to_pay(gateway: Gateway) -> None:
    order_id = gateway.order()["id"]
    gateway.pay(order_id)
    assert {"status": "paid", "amount_due": 0}.items() <= ask_for_order(gateway, order_id).json().items()


@pytest.mark.parametrize(
    "how",
    [
        {"method": "card", "card": "4100280000001007", "otp": "1234", "name": "Asha Rao"},
        {"method": "upi", "vpa": "success@razorpay"},
        {"method": "netbanking", "bank": "HDFC", "outcome": "success"},
    ],
)
def test_paying_hands_over_three_fields_that_the_sdk_verifies(gateway: Gateway, how: dict[str, str]) -> None:
    order_id = gateway.order()["id"]
    given = {"description": "Proposal 7", "notes": {"proposal": "7"}}
    answer = press_pay(gateway, {"order_id": order_id, **CONTACT, **how, **given})
    assert answer.status_code == 200
    assert list(answer.json()) == ["razorpay_payment_id", "razorpay_order_id", "razorpay_signature"]
    assert gateway.sdk.utility.verify_payment_signature(answer.json()) is True
    payment = gateway.sdk.payment.fetch(answer.json()["razorpay_payment_id"])
    assert {**CONTACT, **given, "method": how["method"], "status": "captured"}.items() <= payment.items()


@pytest.mark.parametrize(
    ("number", "network"),
    [
        ("4100280000001007", "Visa"),
        ("5500670000001002", "MasterCard"),
        ("6527658900001005", "RuPay"),
        ("36082800091007", "Diners Club"),
        ("340256000401007", "American Express"),
    ],
)
def test_the_documented_test_cards_belong_to_their_networks(gateway: Gateway, number: str, network: str) -> None:
    paid = press_pay(gateway, {"order_id": gateway.order()["id"], "method": "card", "card": number}).json()
    assert gateway.sdk.payment.fetch(paid["razorpay_payment_id"])["card"]["network"] == network


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ({"method": "card", "otp": "123"}, "incorrect_otp"),
        ({"method": "upi", "vpa": "failure@razorpay"}, "payment_failed"),
        ({"method": "netbanking", "outcome": "failure"}, "payment_failed"),
        ({"method": "netbanking", "outcome": "late"}, "payment_timed_out"),
    ],
)
def test_a_failed_payment_is_an_ordinary_answer_with_checkouts_error(
    gateway: Gateway, how: dict[str, str], reason: str
) -> None:
    order_id = gateway.order()["id"]
    answer = press_pay(gateway, {"order_id": order_id, **how})
    assert answer.status_code == 200
    assert list(answer.json()) == ["error"]
    error = answer.json()["error"]
    assert list(error) == ["code", "description", "source", "step", "reason", "metadata"]
    assert (error["reason"], error["metadata"]["order_id"]) == (reason, order_id)
    failed = gateway.sdk.payment.fetch(error["metadata"]["payment_id"])
    assert (failed["status"], failed["error_reason"]) == ("failed", reason)


def test_an_order_that_takes_no_payment_says_why_and_hands_nothing_over(gateway: Gateway) -> None:
    order_id = gateway.order()["id"]
    gateway.pay(order_id)
    answer = press_pay(gateway, {"order_id": order_id})
    assert answer.status_code == 200
    assert answer.json()["error"]["reason"] == "order_already_paid"
    assert answer.json()["error"]["metadata"] == {"order_id": order_id}


def test_the_frame_follows_the_platform_switch_and_does_not_open_the_banks_app(gateway: Gateway) -> None:
    order_id = gateway.order()["id"]
    gateway.control("PUT", "faults", {"checkout_platform": "android"})
    answer = press_pay(gateway, {"order_id": order_id, "outcome": "open"})
    assert answer.status_code == 400
    assert gateway.sdk.order.payments(order_id)["count"] == 0
    paid = press_pay(gateway, {"order_id": order_id}).json()
    assert (paid["razorpay_order_id"], paid["status_code"]) == (order_id, 200)


# --- the customer's UPI app ---


def go_to_the_app(gateway: Gateway, order_id: str) -> str:
    answer = press_pay(gateway, {"order_id": order_id, "method": "upi", "flow": "intent", "outcome": "open"})
    assert answer.status_code == 200, answer.text
    document = answer.json()
    assert (document["order_id"], document["status"]) == (order_id, "created")
    payment_id: str = document["payment_id"]
    return payment_id


def answer_in_the_app(
    gateway: Gateway, payment_id: str, document: dict[str, Any], **changed: str | None
) -> requests.Response:
    return gateway.http.post(
        f"{gateway.url}/v1/checkout/payments/{payment_id}/finish",
        json={"key_id": gateway.settings.key_id, **document},
        headers=from_the_frame(gateway, **changed),
        timeout=5,
    )


def test_a_payment_in_the_app_is_approved_there(gateway: Gateway) -> None:
    payment_id = go_to_the_app(gateway, gateway.order()["id"])
    fields = answer_in_the_app(gateway, payment_id, {"outcome": "success"}).json()
    assert gateway.sdk.utility.verify_payment_signature(fields) is True
    assert status_of(gateway, payment_id) == "captured"


@pytest.mark.parametrize(("outcome", "reason"), [("failure", "payment_failed"), ("late", "payment_timed_out")])
def test_a_payment_in_the_app_is_declined_there_or_answered_too_late(
    gateway: Gateway, outcome: str, reason: str
) -> None:
    payment_id = go_to_the_app(gateway, gateway.order()["id"])
    error = answer_in_the_app(gateway, payment_id, {"outcome": outcome}).json()["error"]
    assert (error["reason"], error["metadata"]["payment_id"]) == (reason, payment_id)
    assert status_of(gateway, payment_id) == "failed"


@pytest.mark.parametrize(
    ("document", "changed", "status"),
    [
        ({"outcome": "open"}, {}, 400),
        ({"outcome": "success", "force": True}, {}, 400),
        ({"outcome": "success", "key_id": "rzp_test_another"}, {}, 400),
        ({"outcome": "success"}, {"Origin": "http://127.0.0.1:1"}, 403),
        ({"outcome": "success"}, {"Content_Type": "text/plain"}, 400),
    ],
)
def test_only_the_frame_answers_for_the_customer_and_only_as_a_customer_can(
    gateway: Gateway, document: dict[str, Any], changed: dict[str, str], status: int
) -> None:
    payment_id = go_to_the_app(gateway, gateway.order()["id"])
    assert answer_in_the_app(gateway, payment_id, document, **changed).status_code == status
    assert status_of(gateway, payment_id) == "created"


def test_an_app_answers_once(gateway: Gateway) -> None:
    payment_id = go_to_the_app(gateway, gateway.order()["id"])
    answer_in_the_app(gateway, payment_id, {"outcome": "success"})
    answer = answer_in_the_app(gateway, payment_id, {"outcome": "failure"})
    assert answer.status_code == 400
    assert "only a created payment waits" in answer.json()["error"]["description"]
    assert status_of(gateway, payment_id) == "captured"


def test_only_upi_goes_to_an_app_from_the_frame(gateway: Gateway) -> None:
    order_id = gateway.order()["id"]
    for how in ({"method": "card"}, {"method": "netbanking"}, {"method": "upi"}):
        assert press_pay(gateway, {"order_id": order_id, "outcome": "open", **how}).status_code == 400
    assert gateway.sdk.order.payments(order_id)["count"] == 0


# --- who may request ---


@pytest.mark.parametrize(
    ("key_id", "description"), [("rzp_test_another", "The api key provided is invalid"), ("", "Authentication failed")]
)
def test_the_endpoints_know_the_merchant_by_the_public_key_id(gateway: Gateway, key_id: str, description: str) -> None:
    order_id = gateway.order()["id"]
    for answer in (
        ask_for_order(gateway, order_id, key_id),
        press_pay(gateway, {"order_id": order_id, "key_id": key_id}),
    ):
        assert answer.status_code == 400
        assert answer.json()["error"]["description"] == description
        assert answer.json()["error"]["reason"] == "NA"
    assert gateway.sdk.order.fetch(order_id)["attempts"] == 0


@pytest.mark.parametrize(
    "changed",
    [
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "null"},
        {"Sec_Fetch_Site": "same-site"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "none"},
        {"Origin": None, "Sec_Fetch_Site": None},
        # A name that resolves to this machine (DNS rebinding): its pages have the same origin as the API they call.
        {"Host": "shop.example:80", "Origin": "http://shop.example:80"},
    ],
)
def test_only_the_frame_may_call_its_endpoints(gateway: Gateway, changed: dict[str, str | None]) -> None:
    order_id = gateway.order()["id"]
    for answer in (
        ask_for_order(gateway, order_id, **changed),
        press_pay(gateway, {"order_id": order_id, "method": "upi"}, **changed),
    ):
        assert answer.status_code == 403
        assert answer.json()["error"]["description"] == "Only Checkout's own page may call this."
        assert "Access-Control-Allow-Origin" not in answer.headers
    assert gateway.sdk.order.fetch(order_id)["attempts"] == 0


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded"])
def test_what_a_form_of_another_page_could_send_is_not_read(gateway: Gateway, content_type: str) -> None:
    order_id = gateway.order()["id"]
    answer = press_pay(gateway, {"order_id": order_id}, Content_Type=content_type)
    assert answer.status_code == 400
    assert gateway.sdk.order.fetch(order_id)["attempts"] == 0


@pytest.mark.parametrize("beyond", ["amount", "currency", "force", "capture", "late_after_s"])
def test_a_customer_decides_nothing_that_is_the_stagehands(gateway: Gateway, beyond: str) -> None:
    order_id = gateway.order()["id"]
    answer = press_pay(gateway, {"order_id": order_id, beyond: 1})
    assert answer.status_code == 400
    assert answer.json()["error"]["description"] == f"{beyond} is/are not required and should not be sent"
    assert gateway.sdk.order.fetch(order_id)["attempts"] == 0


@pytest.mark.parametrize(
    ("document", "description"),
    [
        ({}, "order_id is missing"),
        ({"order_id": "nonsense"}, "nonsense is not a valid id"),
        ({"order_id": "order_00000000000000"}, "The id provided does not exist"),
        ({"order_id": "order_00000000000000", "method": "cash"}, "method can be: card, upi, netbanking"),
    ],
)
def test_a_request_that_makes_no_sense_is_refused_in_razorpays_shape(
    gateway: Gateway, document: dict[str, str], description: str
) -> None:
    answer = press_pay(gateway, document)
    assert answer.status_code == 400
    assert answer.json()["error"]["description"] == description
    assert answer.json()["error"]["code"] == "BAD_REQUEST_ERROR"


@pytest.mark.parametrize("order_id", ["nonsense", "order_00000000000000"])
def test_an_order_of_nobody_is_told_clearly(gateway: Gateway, order_id: str) -> None:
    answer = ask_for_order(gateway, order_id)
    assert answer.status_code == 400
    assert answer.json()["error"]["reason"] == "input_validation_failed"


# --- banks that respond too late ---


def status_of(gateway: Gateway, payment_id: str) -> str:
    status: str = gateway.sdk.payment.fetch(payment_id)["status"]
    return status


def pay_late(gateway: Gateway, order_id: str, **how: Any) -> str:
    answer = gateway.try_to_pay(order_id, outcome="late", **how)
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["reason"] == "payment_timed_out"
    payment_id: str = answer.json()["error"]["metadata"]["payment_id"]
    return payment_id


@pytest.mark.parametrize("method", ["card", "upi", "netbanking"])
def test_a_late_payment_fails_and_is_then_authorised_by_itself_under_the_same_id(gateway: Gateway, method: str) -> None:
    with Receiver() as receiver:
        gateway.control("PUT", "webhook", {"url": receiver.url})
        order_id = gateway.order()["id"]
        payment_id = pay_late(gateway, order_id, method=method, late_after_s=0.05)
        receiver.wait_for(4)
    told = [(event["event"], event["payment_id"]) for event in gateway.events(order_id=order_id)]
    names = ["payment.failed", "payment.authorized", "payment.captured", "order.paid"]
    assert told == [(name, payment_id) for name in names]
    payment = gateway.sdk.payment.fetch(payment_id)
    assert (payment["status"], payment["error_reason"]) == ("captured", None)


def test_a_late_payment_waits_seconds_unless_told_otherwise(gateway: Gateway) -> None:
    assert status_of(gateway, pay_late(gateway, gateway.order()["id"])) == "failed"


def test_a_late_payment_of_an_order_paid_meanwhile_goes_back(gateway: Gateway) -> None:
    order_id = gateway.order()["id"]
    late = pay_late(gateway, order_id, late_after_s=0.2)
    paid = gateway.pay(order_id)["razorpay_payment_id"]
    wait_until(lambda: status_of(gateway, late) == "refunded", 5, "the late payment to go back")
    assert status_of(gateway, paid) == "captured"


def test_a_late_answer_that_somebody_brought_forward_does_not_come_again(gateway: Gateway) -> None:
    order_id = gateway.order()["id"]
    first, second = (pay_late(gateway, order_id, late_after_s=after_s) for after_s in (0.1, 0.2))
    gateway.control("POST", f"payments/{first}/authorize")
    # The second is due after the first, so once it has come, the first has run too, without effect.
    wait_until(lambda: status_of(gateway, second) == "refunded", 5, "the second answer")
    assert [event["event"] for event in gateway.events(payment_id=first)].count("payment.authorized") == 1


def test_a_reset_forgets_late_answers_too(gateway: Gateway) -> None:
    pay_late(gateway, gateway.order()["id"], late_after_s=0.05)
    gateway.control("POST", "reset")
    order_id = gateway.order()["id"]
    # Due after the forgotten one would have been.
    late = pay_late(gateway, order_id, late_after_s=0.1)
    wait_until(lambda: status_of(gateway, late) == "captured", 5, "the answer after the reset")
    assert {event["order_id"] for event in gateway.events()} == {order_id}


@pytest.mark.parametrize(
    ("how", "complaint"),
    [
        ({"late_after_s": 1}, "late_after_s is for outcome: late"),
        ({"outcome": "failure", "late_after_s": 1}, "late_after_s is for outcome: late"),
        ({"outcome": "late", "late_after_s": -1}, "late_after_s must be a number of seconds from 0 to 3600"),
        ({"outcome": "late", "late_after_s": 3601}, "late_after_s must be"),
        ({"outcome": "late", "late_after_s": "5"}, "late_after_s must be"),
        ({"outcome": "late", "late_after_s": True}, "late_after_s must be"),
        ({"outcome": "late", "capture": "now"}, "this one fails"),
    ],
)
def test_an_impossible_late_answer_is_refused(gateway: Gateway, how: dict[str, object], complaint: str) -> None:
    order_id = gateway.order()["id"]
    answer = gateway.try_to_pay(order_id, **how)
    assert answer.status_code == 422
    assert complaint in answer.json()["detail"]
    assert gateway.sdk.order.fetch(order_id)["attempts"] == 0


# --- the log ---


def test_nothing_that_was_typed_reaches_the_log() -> None:
    port = free_port()
    with program(port) as running:
        base = f"http://127.0.0.1:{port}"
        keys = ("rzp_test_LocalSandbox01", "local-development-key-secret")
        order = requests.post(f"{base}/v1/orders", json={"amount": 100, "currency": "INR"}, auth=keys, timeout=5).json()
        headers = {"Origin": base}
        typed = {"card": "4100280000001007", "otp": "87654321", "name": "Asha Rao", **CONTACT}
        requests.post(
            f"{base}/v1/checkout/payments",
            json={"key_id": keys[0], "order_id": order["id"], "method": "card", "notes": {"flat": "12-B"}, **typed},
            headers=headers,
            timeout=5,
        ).raise_for_status()
        query = {"key_id": keys[0]}
        url = f"{base}/v1/checkout/orders/{order['id']}"
        requests.get(url, params=query, headers=headers, timeout=5).raise_for_status()
        running.terminate()
        log, _ = running.communicate(timeout=10)
    assert "POST /v1/checkout/payments 200" in log
    assert f"GET /v1/checkout/orders/{order['id']} 200" in log
    for datum in (*typed.values(), "12-B", *keys):
        assert datum not in log
