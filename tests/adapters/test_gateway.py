"""The thin module around Razorpay's SDK: the real SDK, against a scripted server on this machine."""

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import Any

import certifi
import pytest
import requests

from payments.adapters import gateway
from payments.adapters.gateway import RazorpayGateway
from payments.core.errors import (
    AmountRefused,
    BalanceInsufficient,
    FullyRefunded,
    GatewayRefused,
    GatewayThrottled,
    GatewayUnavailable,
    KeyReused,
    KeysRefused,
    NotAtGateway,
    NotCaptured,
    PaymentTooOld,
    ReceiptReused,
    TooOldForGateway,
)
from payments.core.model import Captured, DisputeState, Failed, Order, Refunded, RefundState, RefundTotal
from payments.wiring import aws
from payments.wiring.gateway import RotatingGateway
from sandbox import development
from tests.handlers.razorpay import Asked, Razorpay, Reply, collection, refusal

ORDER = Order(
    payment_id=7,
    job_id=11,
    application_id=12,
    client_id=42,
    freelancer_id=77,
    amount_minor=49950,
    currency="INR",
    receipt="local-1f2e3d4c-7",
)
INSTALLATION = "1f2e3d4c"
ORDER_ID = "order_DESlLckIVRkHWj"
PAYMENT = "pay_DESlfW9H8K9uqM"
ANOTHER = "pay_IH4NVgf4Dreq1l"
REFUND = "rfnd_FS8TWyPrCsa0OB"
BEGAN_AT = 1_772_357_700
INTENT = "550e8400-e29b-41d4-a716-446655440000"


@pytest.fixture
def razorpay() -> Iterator[Razorpay]:
    with Razorpay() as server:
        yield server


@pytest.fixture
def adapter(razorpay: Razorpay) -> RazorpayGateway:
    return adapter_of(razorpay)


def adapter_of(razorpay: Razorpay, clock: Callable[[], float] = time.monotonic) -> RazorpayGateway:
    return RazorpayGateway(
        key_id=development.RAZORPAY_KEY_ID,
        key_secret=development.RAZORPAY_KEY_SECRET,
        api_url=razorpay.url,
        stage="local",
        clock=clock,
    )


def test_an_order_is_asked_for_once_with_our_keys_and_a_connection_of_its_own(
    razorpay: Razorpay, adapter: RazorpayGateway
) -> None:
    first, second = adapter.create_order(ORDER, INSTALLATION), adapter.create_order(ORDER, INSTALLATION)

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
    adapter.create_order(ORDER, INSTALLATION)

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
        adapter.create_order(ORDER, INSTALLATION)

    assert len(razorpay.asked) == 1
    assert capsys.readouterr().out == ""


def test_a_hanging_gateway_is_given_up_after_the_read_timeout_and_not_asked_again(
    razorpay: Razorpay, adapter: RazorpayGateway, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway, "READ_TIMEOUT_S", 0.2)
    razorpay.script.append(Reply(hangs=True))

    with pytest.raises(GatewayUnavailable, match="ReadTimeout"):
        adapter.create_order(ORDER, INSTALLATION)

    assert len(razorpay.asked) == 1
    assert capsys.readouterr().out == ""


def test_a_refusal_keeps_what_the_sdk_drops_and_drops_what_may_quote_the_request(
    razorpay: Razorpay, adapter: RazorpayGateway
) -> None:
    razorpay.script.append(
        refusal(400, "asha@example.com is too poor", reason="input_validation_failed", field="amount")
    )

    with pytest.raises(GatewayRefused) as refused:
        adapter.create_order(ORDER, INSTALLATION)

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
        adapter.create_order(ORDER, INSTALLATION)
    assert (refused.value.code, refused.value.reason, refused.value.field) == ("BAD_REQUEST_ERROR", None, None)


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_wrong_keys_and_wrong_requests_are_for_a_person_not_for_time(
    razorpay: Razorpay, adapter: RazorpayGateway, status: int
) -> None:
    razorpay.script.append(refusal(status, "Authentication failed"))

    with pytest.raises(GatewayRefused):
        adapter.create_order(ORDER, INSTALLATION)


def test_the_notes_could_rebuild_the_record(razorpay: Razorpay, adapter: RazorpayGateway) -> None:
    adapter.create_order(ORDER, INSTALLATION)

    asked: Asked = razorpay.asked[0]
    assert asked.document["notes"] == {
        "service": "payment-service",
        "stage": "local",
        "installation": "1f2e3d4c",
        "payment_id": "7",
        "job_id": "11",
        "application_id": "12",
        "client_id": "42",
        "freelancer_id": "77",
    }
    assert asked.document["receipt"] == "local-1f2e3d4c-7"
    assert asked.document["payment"] == {"capture": "automatic"}


LISTS = ("orders", "payments", "refunds")


@pytest.mark.parametrize("listed", LISTS)
def test_a_page_of_a_list_is_asked_for_by_its_period_a_hundred_at_once(
    razorpay: Razorpay, adapter: RazorpayGateway, listed: Any
) -> None:
    entry = {"id": "whatever it is", "created_at": 1_772_357_401}
    razorpay.script.append(Reply(body=collection([entry])))

    assert adapter.page(listed, 1_772_357_400, 1_772_361_000, 200) == [entry]

    (asked,) = razorpay.asked
    assert asked.method == "GET"
    assert asked.path == f"/v1/{listed}?from=1772357400&to=1772361000&count=100&skip=200"


@pytest.mark.parametrize("answer", [b'{"items": [1]}', b'{"items": {}}', b"{}", b"[]", b'{"items": null}'])
@pytest.mark.parametrize("listed", LISTS)
def test_what_is_no_list_is_none(razorpay: Razorpay, adapter: RazorpayGateway, listed: Any, answer: bytes) -> None:
    razorpay.script.append(Reply(body=answer))
    with pytest.raises(GatewayUnavailable, match=r"not a list|not an object"):
        adapter.page(listed, 0, 1, 0)


def test_a_report_of_a_day_is_asked_for_in_pages(razorpay: Razorpay, adapter: RazorpayGateway) -> None:
    row = {"entity_id": "whatever it is"}
    razorpay.script.append(Reply(body=collection([row])))
    assert adapter.settled(date(2026, 3, 1), 500) == [row]
    (asked,) = razorpay.asked
    assert asked.method == "GET"
    assert asked.path == "/v1/settlements/recon/combined?year=2026&month=3&day=1&count=500&skip=500"


def test_the_settlements_of_a_period_are_asked_for_in_pages(razorpay: Razorpay, adapter: RazorpayGateway) -> None:
    razorpay.script.append(Reply(body=collection([{"id": "whatever it is"}])))
    assert adapter.settlements(1_772_357_400, 1_772_361_000, 100) == [{"id": "whatever it is"}]
    (asked,) = razorpay.asked
    assert asked.path == "/v1/settlements?from=1772357400&to=1772361000&count=100&skip=100"


def test_a_page_with_more_than_was_asked_for_cannot_be_counted_on(razorpay: Razorpay, adapter: RazorpayGateway) -> None:
    """The report's page says that `count` and `skip` count settlements; rows would be skipped then."""
    razorpay.script.append(Reply(body=collection({} for _ in range(501))))
    with pytest.raises(GatewayUnavailable, match="more items than were asked for"):
        adapter.settled(date(2026, 3, 1), 0)
    razorpay.script.append(Reply(body=collection({} for _ in range(500))))
    assert len(adapter.settled(date(2026, 3, 1), 0)) == 500


# --- what is fetched ---


def test_a_look_asks_for_the_order_all_its_payments_and_the_refunds_of_those_that_have_any(
    razorpay: Razorpay, adapter: RazorpayGateway
) -> None:
    order_id = adapter.create_order(ORDER, INSTALLATION)
    razorpay.pay(order_id, ANOTHER, "failed", error_code="BAD_REQUEST_ERROR", error_reason="payment_cancelled")
    razorpay.pay(order_id, PAYMENT, "captured", fee=1179)
    razorpay.give_back(PAYMENT, REFUND, 10_000)
    razorpay.asked.clear()

    look = adapter.look(order_id, BEGAN_AT)

    assert razorpay.paths() == [
        f"GET /v1/orders/{order_id}",
        f"GET /v1/orders/{order_id}/payments",
        f"GET /v1/payments/{PAYMENT}/refunds",
    ]
    assert (look.order.id, look.order.status, look.payments, look.in_flight) == (order_id, "paid", 2, ())
    made = look.facts[0].created_at  # type: ignore[union-attr]  # all of one second
    assert set(look.facts) == {
        Failed(
            payment=ANOTHER,
            code="BAD_REQUEST_ERROR",
            reason="payment_cancelled",
            method="netbanking",
            created_at=made,
            listed_at=BEGAN_AT,
        ),
        Captured(
            payment=PAYMENT, amount_minor=49950, currency="INR", fee_minor=1179, method="netbanking", created_at=made
        ),
        Refunded(
            payment=PAYMENT,
            refund=REFUND,
            amount_minor=10_000,
            state=RefundState.PROCESSED,
            created_at=razorpay.refunds[REFUND]["created_at"],
        ),
        RefundTotal(payment=PAYMENT, amount_minor=10_000, complete=True),
    }


def test_a_look_asks_for_refunds_by_name_where_razorpays_sum_has_none(
    razorpay: Razorpay, adapter: RazorpayGateway
) -> None:
    order_id = adapter.create_order(ORDER, INSTALLATION)
    razorpay.pay(order_id, PAYMENT)
    razorpay.give_back(PAYMENT, REFUND, 10_000, "failed")
    facts = adapter.look(order_id, BEGAN_AT).facts
    assert not [fact for fact in facts if isinstance(fact, Refunded)]
    facts = adapter.look(order_id, BEGAN_AT, also_refunds_of={PAYMENT}).facts
    assert [fact.state for fact in facts if isinstance(fact, Refunded)] == [RefundState.FAILED]


def test_a_payment_that_the_bank_has_not_answered_is_in_flight_and_no_fact(
    razorpay: Razorpay, adapter: RazorpayGateway
) -> None:
    order_id = adapter.create_order(ORDER, INSTALLATION)
    razorpay.pay(order_id, PAYMENT, "created", created_at=BEGAN_AT - 60)
    look = adapter.look(order_id, BEGAN_AT)
    assert (look.facts, look.in_flight, look.payments) == ((), (BEGAN_AT - 60,), 1)


def test_an_order_that_is_paid_and_lists_no_payment_yet_says_so(razorpay: Razorpay, adapter: RazorpayGateway) -> None:
    order_id = adapter.create_order(ORDER, INSTALLATION)
    razorpay.orders[order_id]["status"] = "paid"
    assert adapter.look(order_id, BEGAN_AT).says_paid_without_payment()


@pytest.mark.parametrize("count", [0, 1, 99, 100, 101, 200, 250])
def test_the_refunds_of_a_payment_are_read_to_their_end(
    razorpay: Razorpay, adapter: RazorpayGateway, count: int
) -> None:
    order_id = adapter.create_order(ORDER, INSTALLATION)
    razorpay.pay(order_id, PAYMENT)
    for number in range(count):
        razorpay.give_back(PAYMENT, f"rfnd_{number:014d}", 100, created_at=BEGAN_AT + number)
    razorpay.asked.clear()
    found = adapter.refunds_of(PAYMENT)
    assert sorted(refund.id for refund in found) == [f"rfnd_{number:014d}" for number in range(count)]
    assert all("count=100" in asked.path for asked in razorpay.asked)
    # "A short page is the last."
    assert len(razorpay.asked) == count // 100 + 1


def test_a_refund_made_while_the_list_is_read_doubles_and_hides_none(
    razorpay: Razorpay, adapter: RazorpayGateway
) -> None:
    order_id = adapter.create_order(ORDER, INSTALLATION)
    razorpay.pay(order_id, PAYMENT)
    for number in range(150):
        razorpay.give_back(PAYMENT, f"rfnd_{number:014d}", 100, created_at=BEGAN_AT + number)

    def another(asked: Asked) -> None:
        if asked.path.endswith("skip=100"):
            razorpay.give_back(PAYMENT, REFUND, 100, created_at=BEGAN_AT + 1000)

    razorpay.trouble = another
    found = [refund.id for refund in adapter.refunds_of(PAYMENT)]
    assert len(found) == len(set(found))
    assert {f"rfnd_{number:014d}" for number in range(150)} <= set(found)


def test_one_payment_and_one_refund_are_asked_for_by_their_ids(razorpay: Razorpay, adapter: RazorpayGateway) -> None:
    order_id = adapter.create_order(ORDER, INSTALLATION)
    razorpay.pay(order_id, PAYMENT)
    razorpay.give_back(PAYMENT, REFUND, 10_000)
    assert (adapter.payment(PAYMENT).order_id, adapter.payment(PAYMENT).status) == (order_id, "captured")
    assert (adapter.refund(REFUND).payment_id, adapter.refund(REFUND).amount) == (PAYMENT, 10_000)
    assert adapter.order(order_id).receipt == "local-1f2e3d4c-7"


ASKS: dict[str, Callable[[RazorpayGateway], object]] = {
    "order": lambda adapter: adapter.order(ORDER_ID),
    "payment": lambda adapter: adapter.payment(PAYMENT),
    "refund": lambda adapter: adapter.refund(REFUND),
    "refunds of": lambda adapter: adapter.refunds_of(PAYMENT),
    "look": lambda adapter: adapter.look(ORDER_ID, BEGAN_AT),
    "page": lambda adapter: adapter.page("payments", 946_684_800, BEGAN_AT, 0),
    "settlements": lambda adapter: adapter.settlements(946_684_800, BEGAN_AT, 0),
    "settled": lambda adapter: adapter.settled(date(2026, 3, 1), 0),
    "create": lambda adapter: adapter.create_order(ORDER, INSTALLATION),
    "create a refund": lambda adapter: adapter.create_refund(PAYMENT, 10_000, INTENT),
}


@pytest.mark.parametrize(
    "identity", ["", "x", "order_DESlLckIVRkHWj/payments", "pay_../../x", "pay_DESlfW9H8K9uqM?x", "pay_\n"]
)
def test_what_is_no_id_of_razorpays_goes_into_no_address(
    razorpay: Razorpay, adapter: RazorpayGateway, identity: str
) -> None:
    for ask in (adapter.order, adapter.payment, adapter.refund, adapter.refunds_of):
        with pytest.raises(ValueError, match=r"^not an id of Razorpay's form$"):
            ask(identity)
    assert razorpay.asked == []


@pytest.mark.parametrize("ask", ASKS.values(), ids=ASKS.keys())
def test_nothing_is_printed_whatever_goes_wrong(
    razorpay: Razorpay, adapter: RazorpayGateway, capfd: pytest.CaptureFixture[str], ask: Callable[[Any], object]
) -> None:
    for reply in (
        Reply(500, b"no"),
        Reply(200, b"<html>"),
        Reply(429, b""),
        refusal(400, "asha@example.com"),
        Reply(200, b"{}"),
    ):
        razorpay.script.append(reply)
        with pytest.raises((GatewayRefused, GatewayUnavailable)):
            ask(adapter)
    with pytest.raises(GatewayUnavailable):
        ask(RazorpayGateway(key_id="rzp_test_x", key_secret="y" * 20, api_url="http://127.0.0.1:1", stage="local"))
    assert capfd.readouterr() == ("", "")


# --- refusals, distinguished as Razorpay documents them ("Errors") ---

INVALID = {"reason": "input_validation_failed", "step": "payment_initiation", "source": "business"}
UNKNOWN_ID = "The id provided does not exist"


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (refusal(400, "Authentication failed", reason="NA", step="NA", source="NA"), KeysRefused),
        (refusal(400, "The api key provided is invalid", reason="NA", step="NA", source="NA"), KeysRefused),
        (refusal(401, "Authentication failed"), KeysRefused),
        (refusal(401, UNKNOWN_ID, **INVALID), KeysRefused),
        (refusal(400, UNKNOWN_ID, **INVALID), NotAtGateway),
        (refusal(400, UNKNOWN_ID, reason="NA"), KeysRefused),
        (refusal(400, UNKNOWN_ID, reason="something_else"), GatewayRefused),
        (refusal(400, UNKNOWN_ID), GatewayRefused),
        (refusal(400, "The requested URL was not found on the server.", **INVALID), GatewayRefused),
        (refusal(404, "The requested URL was not found on the server."), GatewayRefused),
        (Reply(404, b"<html></html>"), GatewayRefused),
        (refusal(400, "order_x is not a valid id", **INVALID), GatewayRefused),
        (refusal(400, "Order older than 180 days, please use reports.", **INVALID), TooOldForGateway),
        (refusal(400, "Request failed. Please try after sometime."), GatewayThrottled),
        (Reply(429, b""), GatewayThrottled),
    ],
    ids=lambda value: value.body[:60].decode() if isinstance(value, Reply) else value.__name__,
)
@pytest.mark.parametrize("ask", ASKS.values(), ids=ASKS.keys())
def test_a_refusal_says_no_more_than_it_says(
    razorpay: Razorpay, adapter: RazorpayGateway, reply: Reply, kind: type[Exception], ask: Callable[[Any], object]
) -> None:
    razorpay.script.append(reply)
    with pytest.raises(kind) as refused:
        ask(adapter)
    assert type(refused.value) is kind
    assert len(razorpay.asked) == 1


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (refusal(400, "Order receipt should be unique.", field="receipt", **INVALID), ReceiptReused),
        (refusal(400, "Order amount less than minimum amount allowed", field="amount", **INVALID), AmountRefused),
        (refusal(400, "Amount exceeds maximum amount allowed.", field="amount"), AmountRefused),
        (refusal(400, "Currency is not supported", field="currency", **INVALID), GatewayRefused),
    ],
    ids=["receipt", "too little", "too much", "currency"],
)
def test_why_an_order_is_not_made_is_told_apart(
    razorpay: Razorpay, adapter: RazorpayGateway, reply: Reply, kind: type[Exception]
) -> None:
    razorpay.script.append(reply)
    with pytest.raises(kind) as refused:
        adapter.create_order(ORDER, INSTALLATION)
    assert type(refused.value) is kind


# --- time ---


class Watch:
    """A clock that tests advance."""

    def __init__(self) -> None:
        self.at = 1000.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[float, float]]:
    """The timeouts of each call: connect and read."""
    timeouts: list[tuple[float, float]] = []
    real = requests.Session.request

    def spy(session: requests.Session, method: str, url: str, **options: Any) -> requests.Response:
        timeouts.append(options["timeout"])
        return real(session, method, url, **options)

    monkeypatch.setattr(requests.Session, "request", spy)
    return timeouts


def test_a_bound_leaves_each_call_what_the_ones_before_it_left(
    razorpay: Razorpay, sent: list[tuple[float, float]]
) -> None:
    watch = Watch()
    adapter = adapter_of(razorpay, watch)
    order_id = adapter.create_order(ORDER, INSTALLATION)
    sent.clear()

    def takes_a_second(_: Asked) -> None:
        watch.at += 1

    razorpay.trouble = takes_a_second
    with adapter.until(watch.at + 3):
        adapter.look(order_id, BEGAN_AT)
    assert [round(sum(one), 6) for one in sent] == [3, 2]
    adapter.order(order_id)
    assert sent[-1] == (gateway.CONNECT_TIMEOUT_S, gateway.READ_TIMEOUT_S), "a bound ends with its block"


def test_with_no_time_left_razorpay_is_not_asked(razorpay: Razorpay) -> None:
    watch = Watch()
    adapter = adapter_of(razorpay, watch)
    with adapter.until(watch.at), pytest.raises(GatewayUnavailable, match="no time left"):
        adapter.order(ORDER_ID)
    assert razorpay.asked == []


def test_a_long_bound_makes_no_call_longer_than_it_may_be(razorpay: Razorpay, sent: list[tuple[float, float]]) -> None:
    watch = Watch()
    adapter = adapter_of(razorpay, watch)
    with adapter.until(watch.at + 100):
        adapter.create_order(ORDER, INSTALLATION)
    assert sent == [(gateway.CONNECT_TIMEOUT_S, gateway.READ_TIMEOUT_S)]


def test_a_gateway_that_hangs_is_given_up_when_the_time_is_over(razorpay: Razorpay, adapter: RazorpayGateway) -> None:
    razorpay.script.append(Reply(hangs=True))
    started = time.monotonic()
    with adapter.until(started + 0.6), pytest.raises(GatewayUnavailable):
        adapter.order(ORDER_ID)
    assert time.monotonic() - started < 2


class Keys:
    """The settings of a function that calls Razorpay."""

    def __init__(self, razorpay: Razorpay) -> None:
        self.key_id = development.RAZORPAY_KEY_ID
        self.key_secret = development.RAZORPAY_KEY_SECRET
        self.api_url = razorpay.url
        self.stage = "local"


def test_of_two_bounds_the_tighter_counts_and_after_it_the_other_again(
    razorpay: Razorpay, sent: list[tuple[float, float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = Watch()
    monkeypatch.setattr(aws, "clock", watch)
    keys = Keys(razorpay)
    rotating = RotatingGateway(keys, lambda: keys)
    with rotating.within(6):
        with rotating.within(3):
            rotating.create_order(ORDER, INSTALLATION)
        watch.at += 2
        with rotating.within(30):
            rotating.create_order(ORDER, INSTALLATION)
    rotating.create_order(ORDER, INSTALLATION)
    assert [round(sum(one), 6) for one in sent] == [3, 4, gateway.CONNECT_TIMEOUT_S + gateway.READ_TIMEOUT_S]


@pytest.mark.parametrize("reply", [refusal(401, "no"), refusal(400, "Authentication failed", reason="NA")])
def test_refused_keys_are_read_anew_and_the_call_is_made_again_once(razorpay: Razorpay, reply: Reply) -> None:
    old, new = Keys(razorpay), Keys(razorpay)
    new.key_secret = "a-new-secret-of-twenty-characters"
    razorpay.keys = f"{new.key_id}:{new.key_secret}"
    razorpay.script.append(reply)
    order_id = RotatingGateway(old, lambda: new).create_order(ORDER, INSTALLATION)
    assert list(razorpay.orders) == [order_id]
    razorpay.script.append(reply)
    with pytest.raises(KeysRefused):
        RotatingGateway(new, lambda: new).order(order_id)
    assert len(razorpay.asked) == 3


def test_workers_ask_at_the_same_time_each_with_a_client_of_its_own(razorpay: Razorpay) -> None:
    keys = Keys(razorpay)
    made = RotatingGateway(keys, lambda: keys).create_order(ORDER, INSTALLATION)
    for number in range(40):
        razorpay.pay(made, f"pay_{number:014d}", "failed")

    def ask(worker: int) -> set[str]:
        rotating = RotatingGateway(keys, lambda: keys, worker=worker)
        found = set()
        for number in range(worker * 10, worker * 10 + 10):
            with rotating.within(5):
                found.add(rotating.payment(f"pay_{number:014d}").id)
        return found

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(ask, range(4)))
    assert found == [{f"pay_{worker * 10 + number:014d}" for number in range(10)} for worker in range(4)]


@pytest.mark.parametrize("body", [b"9" * 5000, b'{"a":' + b"9" * 5000 + b"}", b"[" * 100_000, b"\xff", b"{", b""])
@pytest.mark.parametrize("status", [200, 400, 500])
def test_an_answer_that_nobody_can_read_is_no_answer(
    razorpay: Razorpay, adapter: RazorpayGateway, body: bytes, status: int
) -> None:
    razorpay.script.append(Reply(status, body))
    with pytest.raises(GatewayRefused if status == 400 else GatewayUnavailable):
        adapter.create_order(ORDER, INSTALLATION)


# --- refunds ----------------------------------------------------------------------------------------------------------


def made(amount: int = 10_000, **changes: Any) -> Reply:
    """A refund as documented ("Create a Normal Refund (Idempotent Request)")."""
    entity = {"id": REFUND, "entity": "refund", "amount": amount, "payment_id": PAYMENT, "notes": {}}
    return Reply(body=json.dumps({**entity, "status": "processed", "created_at": BEGAN_AT, **changes}).encode())


def test_a_refund_is_asked_for_with_its_amount_and_the_intent_as_note_and_key(
    razorpay: Razorpay, adapter: RazorpayGateway
) -> None:
    razorpay.script.append(made())
    assert adapter.create_refund(PAYMENT, 10_000, INTENT).id == REFUND
    (asked,) = razorpay.asked
    assert (asked.method, asked.path) == ("POST", f"/v1/payments/{PAYMENT}/refund")
    assert asked.headers["x-refund-idempotency"] == INTENT
    assert asked.document == {
        "amount": 10_000,
        "speed": "normal",
        "notes": {"service": "payment-service", "stage": "local", "refund_intent": INTENT},
    }


def test_sent_again_a_refund_has_the_same_bytes_under_the_same_key(
    razorpay: Razorpay, adapter: RazorpayGateway
) -> None:
    # "The request body must be the same as the first request for idempotency to work."
    razorpay.script.extend([Reply(500), made()])
    with pytest.raises(GatewayUnavailable):
        adapter.create_refund(PAYMENT, 10_000, INTENT)
    adapter.create_refund(PAYMENT, 10_000, INTENT)
    first, second = razorpay.asked
    assert first.body == second.body
    assert first.headers["x-refund-idempotency"] == second.headers["x-refund-idempotency"]


def test_only_a_refund_has_the_idempotency_key(razorpay: Razorpay, adapter: RazorpayGateway) -> None:
    razorpay.script.append(made())
    adapter.create_refund(PAYMENT, 10_000, INTENT)
    adapter.create_order(ORDER, INSTALLATION)
    assert "x-refund-idempotency" not in razorpay.asked[-1].headers


@pytest.mark.parametrize("changes", [{"amount": 10_001}, {"payment_id": ANOTHER}, {"id": "rfnd_1"}, {"amount": None}])
def test_an_answer_about_another_refund_leaves_this_one_in_doubt(
    razorpay: Razorpay, adapter: RazorpayGateway, changes: dict[str, Any]
) -> None:
    razorpay.script.append(made(**changes))
    with pytest.raises(GatewayUnavailable):
        adapter.create_refund(PAYMENT, 10_000, INTENT)


NA = {"source": "NA", "step": "NA", "reason": "NA"}


@pytest.mark.parametrize(
    ("kind", "reply"),
    [
        # api/refunds/create-normal.md
        (FullyRefunded, refusal(400, "The payment has been fully refunded already.")),
        (AmountRefused, refusal(400, "The refund amount provided is greater than amount captured.")),
        (AmountRefused, refusal(400, "The amount must be at least INR 1.00", field="amount")),
        # hyperswitch-prism#785 and public issues
        (AmountRefused, refusal(400, "The total refund amount is greater than the refund payment amount")),
        (NotCaptured, refusal(400, "The payment status should be captured for action to be taken")),
        # payments/refunds/errors.md
        (
            PaymentTooOld,
            refusal(400, "Refund is not supported by the bank because the payment is more than 6 months old"),
        ),
        # razorpay-node#454: a low balance, worded and classified like refused keys
        (BalanceInsufficient, refusal(400, "invalid request sent", **NA)),
        (
            BalanceInsufficient,
            refusal(400, "Your account does not have enough balance to carry out the refund operation.", **NA),
        ),
        # api/refunds/normal-refunds-idempotent.md
        (KeyReused, refusal(409, "Different request with the same idempotency key has already been processed.", **NA)),
        (GatewayUnavailable, refusal(409, "Another request with the same idempotency key is still in progress.", **NA)),
        (GatewayUnavailable, refusal(500, "Internal server error - Failed to fetch idempotency record", **NA)),
        (KeysRefused, refusal(401, "Authentication failed", **NA)),
        (KeysRefused, refusal(400, "The api key provided is invalid", **NA)),
        (NotAtGateway, refusal(400, "The id provided does not exist", reason="input_validation_failed")),
        (GatewayRefused, refusal(400, "Something else")),
    ],
)
def test_each_refusal_of_a_refund_is_understood(
    razorpay: Razorpay, adapter: RazorpayGateway, kind: type[Exception], reply: Reply
) -> None:
    razorpay.script.append(reply)
    with pytest.raises(kind) as refused:
        adapter.create_refund(PAYMENT, 10_000, INTENT)
    assert type(refused.value) is kind


def test_what_is_said_of_refunds_means_nothing_for_an_order(razorpay: Razorpay, adapter: RazorpayGateway) -> None:
    razorpay.script.append(refusal(400, "invalid request sent", **NA))
    with pytest.raises(KeysRefused):
        adapter.order(ORDER_ID)


def test_a_refund_of_something_else_than_a_payment_goes_nowhere(razorpay: Razorpay, adapter: RazorpayGateway) -> None:
    with pytest.raises(ValueError, match="not an id"):
        adapter.create_refund("pay_1/../orders", 100, INTENT)
    assert razorpay.asked == []


# --- disputes -------------------------------------------------------------------------------------------------------

DISPUTE = "disp_EsIAlDcoUr8CaQ"


def listed_dispute(identity: str = DISPUTE, **changes: Any) -> dict[str, Any]:
    """As in api/disputes/fetch-all.md, without its evidence."""
    return {
        "id": identity,
        "entity": "dispute",
        "payment_id": PAYMENT,
        "amount": 10_000,
        "currency": "INR",
        "amount_deducted": 0,
        "reason_code": "pre_arbitration",
        "respond_by": 1_590_604_200,
        "status": "open",
        "phase": "pre_arbitration",
        "created_at": 1_590_059_211,
    } | changes


def test_a_dispute_is_fetched_by_its_id(razorpay: Razorpay, adapter: RazorpayGateway) -> None:
    razorpay.disputes[DISPUTE] = listed_dispute(status="lost", amount_deducted=10_000)
    found = adapter.dispute(DISPUTE)
    assert (found.state, found.amount_deducted, found.payment_id) == (DisputeState.LOST, 10_000, PAYMENT)
    assert razorpay.paths() == [f"GET /v1/disputes/{DISPUTE}"]


def test_the_list_of_disputes_is_asked_for_without_a_period(razorpay: Razorpay, adapter: RazorpayGateway) -> None:
    razorpay.disputes |= {identity: listed_dispute(identity) for identity in (f"disp_{n:014d}" for n in range(3))}
    assert len(adapter.disputes(0)) == 3
    assert adapter.disputes(3) == []
    assert [asked.path for asked in razorpay.asked] == [
        "/v1/disputes?count=100&skip=0",
        "/v1/disputes?count=100&skip=3",
    ]


@pytest.mark.parametrize("identity", ["", "disp_1", "pay_DESlfW9H8K9uqM", "disp_EsIAlDcoUr8Ca/"])
def test_what_is_no_id_of_a_dispute_is_never_put_into_a_url(
    razorpay: Razorpay, adapter: RazorpayGateway, identity: str
) -> None:
    with pytest.raises(ValueError, match="not an id of Razorpay's form"):
        adapter.dispute(identity)
    assert razorpay.asked == []


@pytest.mark.parametrize("changes", [{"amount_deducted": "10000"}, {"status": None}, {"payment_id": "x"}])
def test_a_dispute_that_is_not_as_documented_is_no_answer(
    razorpay: Razorpay, adapter: RazorpayGateway, changes: dict[str, Any]
) -> None:
    razorpay.disputes[DISPUTE] = listed_dispute(**changes)
    with pytest.raises(GatewayUnavailable, match=r"^Razorpay's dispute has an unexpected shape\.$"):
        adapter.dispute(DISPUTE)
