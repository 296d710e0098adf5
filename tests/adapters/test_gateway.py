"""The thin module around Razorpay's SDK: the real SDK, against a scripted server on this machine."""

from collections.abc import Iterator
from typing import Any

import certifi
import pytest
import requests

from payments.adapters import gateway
from payments.adapters.gateway import RazorpayGateway
from payments.core.errors import GatewayRefused, GatewayUnavailable
from payments.core.model import Order
from sandbox import development
from tests.handlers.razorpay import Asked, Razorpay, Reply, refusal

ORDER = Order(
    payment_id=7,
    job_id=11,
    application_id=12,
    client_id=42,
    freelancer_id=77,
    amount_minor=49950,
    currency="INR",
    receipt="local-7",
)


@pytest.fixture
def razorpay() -> Iterator[Razorpay]:
    with Razorpay() as server:
        yield server


@pytest.fixture
def adapter(razorpay: Razorpay) -> RazorpayGateway:
    return RazorpayGateway(
        key_id=development.RAZORPAY_KEY_ID,
        key_secret=development.RAZORPAY_KEY_SECRET,
        api_url=razorpay.url,
        stage="local",
    )


def test_an_order_is_asked_for_once_with_our_keys_and_a_connection_of_its_own(
    razorpay: Razorpay, adapter: RazorpayGateway
) -> None:
    first, second = adapter.create_order(ORDER), adapter.create_order(ORDER)

    assert first != second
    assert [(asked.method, asked.path) for asked in razorpay.asked] == [("POST", "/v1/orders")] * 2
    assert {asked.keys for asked in razorpay.asked} == {
        f"{development.RAZORPAY_KEY_ID}:{development.RAZORPAY_KEY_SECRET}"
    }
    assert {asked.headers["connection"] for asked in razorpay.asked} == {"close"}


def test_every_call_has_timeouts_follows_no_redirect_and_trusts_todays_authorities(
    adapter: RazorpayGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[dict[str, Any]] = []
    real = requests.Session.request

    def spy(session: requests.Session, method: str, url: str, **options: Any) -> requests.Response:
        sent.append(options)
        return real(session, method, url, **options)

    monkeypatch.setattr(requests.Session, "request", spy)
    adapter.create_order(ORDER)

    assert sent[0]["timeout"] == (gateway.CONNECT_TIMEOUT_S, gateway.READ_TIMEOUT_S)
    assert sent[0]["allow_redirects"] is False
    assert sent[0]["verify"] == certifi.where()


@pytest.mark.parametrize(
    "reply",
    [
        Reply(500, b'{"error":{"code":"SERVER_ERROR","description":"The server encountered an error."}}'),
        Reply(502, b"<html>Bad Gateway</html>"),
        Reply(503, b""),
        Reply(429, b"Too many requests", {"Retry-After": "2"}),
        refusal(400, "Request failed. Please try after sometime."),
        Reply(302, b"", {"Location": "http://127.0.0.1:9/elsewhere"}),
        Reply(200, b"<html></html>"),
        Reply(200, b"null"),
        Reply(200, b"[]"),
        Reply(200, b"{}"),
        Reply(204, b""),
        Reply(200, b'{"id":"order_../../etc/pw","amount":49950,"currency":"INR"}'),
        Reply(200, b'{"id":"order_DESlLckIVRkHWj","amount":100,"currency":"INR"}'),
        Reply(200, b'{"id":"order_DESlLckIVRkHWj","amount":49950,"currency":"USD"}'),
    ],
    ids=lambda reply: f"{reply.status} {reply.body[:30].decode()}",
)
def test_what_may_pass_with_time_is_unavailable_asked_once_and_not_printed(
    razorpay: Razorpay, adapter: RazorpayGateway, capsys: pytest.CaptureFixture[str], reply: Reply
) -> None:
    razorpay.script.append(reply)

    with pytest.raises(GatewayUnavailable):
        adapter.create_order(ORDER)

    assert len(razorpay.asked) == 1
    assert capsys.readouterr().out == ""


def test_a_hanging_gateway_is_given_up_after_the_read_timeout_and_not_asked_again(
    razorpay: Razorpay, adapter: RazorpayGateway, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway, "READ_TIMEOUT_S", 0.2)
    razorpay.script.append(Reply(hangs=True))

    with pytest.raises(GatewayUnavailable, match="ReadTimeout"):
        adapter.create_order(ORDER)

    assert len(razorpay.asked) == 1
    assert capsys.readouterr().out == ""


def test_a_refusal_keeps_what_the_sdk_drops_and_drops_what_may_quote_the_request(
    razorpay: Razorpay, adapter: RazorpayGateway
) -> None:
    razorpay.script.append(
        refusal(400, "asha@example.com is too poor", reason="input_validation_failed", field="amount")
    )

    with pytest.raises(GatewayRefused) as refused:
        adapter.create_order(ORDER)

    error = refused.value
    assert (error.status, error.code, error.reason, error.field) == (
        400,
        "BAD_REQUEST_ERROR",
        "input_validation_failed",
        "amount",
    )
    assert "asha" not in str(error)


def test_a_number_of_somebodys_is_no_word_of_razorpays(razorpay: Razorpay, adapter: RazorpayGateway) -> None:
    razorpay.script.append(refusal(400, "no", reason="card_4111111111111111", field="919876543210"))
    with pytest.raises(GatewayRefused) as refused:
        adapter.create_order(ORDER)
    assert (refused.value.code, refused.value.reason, refused.value.field) == ("BAD_REQUEST_ERROR", None, None)


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_wrong_keys_and_wrong_requests_are_for_a_person_not_for_time(
    razorpay: Razorpay, adapter: RazorpayGateway, status: int
) -> None:
    razorpay.script.append(refusal(status, "Authentication failed"))

    with pytest.raises(GatewayRefused):
        adapter.create_order(ORDER)


def test_the_notes_could_rebuild_the_record(razorpay: Razorpay, adapter: RazorpayGateway) -> None:
    adapter.create_order(ORDER)

    asked: Asked = razorpay.asked[0]
    assert asked.document["notes"] == {
        "service": "payment-service",
        "stage": "local",
        "payment_id": "7",
        "job_id": "11",
        "application_id": "12",
        "client_id": "42",
        "freelancer_id": "77",
    }
    assert asked.document["receipt"] == "local-7"
    assert asked.document["payment"] == {"capture": "automatic"}


def test_orders_of_a_period_are_listed_a_hundred_a_page(razorpay: Razorpay, adapter: RazorpayGateway) -> None:
    order = razorpay.order(Asked("POST", "/v1/orders", {}, b'{"amount": 49950, "currency": "INR"}'))
    razorpay.script.append(Reply(body=b'{"entity": "collection", "count": 1, "items": [' + order + b"]}"))

    (listed,) = adapter.orders_created(1_772_357_400, 1_772_361_000, 200)

    assert (listed.amount, listed.currency, listed.notes) == (49950, "INR", [])
    (asked,) = razorpay.asked
    assert asked.method == "GET"
    assert asked.path == "/v1/orders?from=1772357400&to=1772361000&count=100&skip=200"


@pytest.mark.parametrize("answer", [b'{"items": [{"id": "order_DESlLckIVRkHWj"}]}', b'{"items": {}}', b"{}", b"[]"])
def test_a_list_of_orders_in_another_shape_is_no_list(
    razorpay: Razorpay, adapter: RazorpayGateway, answer: bytes
) -> None:
    razorpay.script.append(Reply(body=answer))
    with pytest.raises(GatewayUnavailable, match=r"shape|not a list|not an object"):
        adapter.orders_created(0, 1, 0)


@pytest.mark.parametrize("body", [b"9" * 5000, b'{"a":' + b"9" * 5000 + b"}", b"[" * 100_000, b"\xff", b"{", b""])
@pytest.mark.parametrize("status", [200, 400, 500])
def test_an_answer_that_nobody_can_read_is_no_answer(
    razorpay: Razorpay, adapter: RazorpayGateway, body: bytes, status: int
) -> None:
    razorpay.script.append(Reply(status, body))
    with pytest.raises(GatewayRefused if status == 400 else GatewayUnavailable):
        adapter.create_order(ORDER)
