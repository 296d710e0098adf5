import json
from collections.abc import Callable
from typing import Any

import pytest

from sandbox.gateway import signatures, webhooks
from sandbox.gateway.entities import Customer, Instrument, Order, Payment, Refund
from tests.gateway.gateway import Gateway

type Sample = Callable[[str], Any]

PAYMENT_EVENTS = ["payment.authorized", "payment.captured", "order.paid"]


def bodies(gateway: Gateway, order_id: str) -> dict[str, dict[str, Any]]:
    """The bodies of an order's events by name."""
    return {event["event"]: json.loads(event["body"]) for event in gateway.events(order_id=order_id)}


def entity(body: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = body["payload"][name]["entity"]
    return found


# --- byte for byte, against the published bodies ---


def measured_payment(**changed: Any) -> Payment:
    """The payment of the two published bodies."""
    fields: dict[str, Any] = {
        "id": "pay_TVCsKe6a4pkI5j",
        "order_id": "order_TVCpvdEADkAoMJ",
        "amount": 100,
        "currency": "INR",
        "status": "captured",
        "instrument": Instrument("netbanking", bank="BARB_R"),
        "customer": Customer(email="void@razorpay.com", contact="+919999999999"),
        "description": "#TVCpfgE1OsYs1O",
        "notes": {},
        "acquirer_data": {"bank_transaction_id": "9787548"},
        "created_at": 1787923798,
        "captured": True,
        "fee": 3,
        "tax": 0,
    }
    return Payment(**(fields | changed))


MEASURED_ORDER = Order("order_TVCpvdEADkAoMJ", 100, "INR", None, {}, captures_automatically=True, created_at=1787923700)


@pytest.fixture
def measured_account(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhooks, "ACCOUNT_ID", "acc_TSMYwNncR2nC5H")


@pytest.mark.usefixtures("measured_account")
def test_payment_captured_is_byte_for_byte_the_measured_body(sample: Sample) -> None:
    body = webhooks.body("payment.captured", measured_payment(), MEASURED_ORDER, None, 1787923803)
    assert body.decode() == sample("measured.payment.captured.netbanking")


@pytest.mark.usefixtures("measured_account")
def test_refund_created_is_byte_for_byte_the_measured_body(sample: Sample) -> None:
    payment = measured_payment(status="refunded", amount_refunded=100)
    refund = Refund(
        id="rfnd_TVCtCeHGHVUVuT",
        payment_id=payment.id,
        amount=100,
        currency="INR",
        notes={"purpose": "run2 refund.created trigger"},
        receipt=None,
        speed_requested="normal",
        created_at=1787923848,
    )
    body = webhooks.body("refund.created", payment, MEASURED_ORDER, refund, 1787923854)
    assert body.decode() == sample("measured.refund.created.netbanking")


# --- shapes, against the documented samples ---


def test_a_netbanking_payment_tells_three_events_in_documented_shape(gateway: Gateway, sample: Sample) -> None:
    order_id = gateway.order()["id"]
    gateway.pay(order_id, method="netbanking")
    told = bodies(gateway, order_id)
    assert list(told) == PAYMENT_EVENTS

    documented = sample("webhook.payment.authorized.netbanking")
    authorized = told["payment.authorized"]
    assert list(authorized) == list(documented)
    assert authorized["contains"] == documented["contains"]
    assert list(entity(authorized, "payment")) == list(entity(documented, "payment"))
    assert (entity(authorized, "payment")["status"], entity(authorized, "payment")["captured"]) == ("authorized", False)

    documented = sample("webhook.order.paid.netbanking")
    paid = told["order.paid"]
    assert list(paid) == list(documented)
    assert paid["contains"] == documented["contains"]
    assert list(paid["payload"]) == ["payment", "order"]
    # Real deliveries add two fields to the documented order (published measurement).
    assert list(entity(paid, "order")) == [*entity(documented, "order"), "description", "checkout"]
    assert entity(documented, "payment").keys() <= entity(paid, "payment").keys()
    assert (entity(paid, "order")["status"], entity(paid, "order")["amount_due"]) == ("paid", 0)


def test_what_payment_captured_and_order_paid_add_is_as_measured(gateway: Gateway) -> None:
    order_id = gateway.order()["id"]
    gateway.pay(order_id, method="netbanking")
    told = {name: list(entity(body, "payment")) for name, body in bodies(gateway, order_id).items()}
    assert told["payment.captured"] == [*told["payment.authorized"], "reward", "base_amount"]
    assert told["order.paid"] == [*told["payment.authorized"], "reward"]


def test_a_upi_payment_carries_the_documented_fields(gateway: Gateway, sample: Sample) -> None:
    order_id = gateway.order()["id"]
    gateway.pay(order_id, method="upi")
    payment = entity(bodies(gateway, order_id)["payment.captured"], "payment")
    documented = entity(sample("webhook.payment.captured.upi"), "payment")
    # Measured real deliveries have `reward` and no `amount_transferred`; the documented sample has the reverse.
    assert payment.keys() ^ documented.keys() == {"reward", "amount_transferred"}
    assert payment["upi"].keys() == documented["upi"].keys()
    assert payment["vpa"] == "success@razorpay"


def test_card_events_come_with_sorted_keys_as_documented(gateway: Gateway, sample: Sample) -> None:
    order_id = gateway.order()["id"]
    gateway.try_to_pay(order_id, method="card", otp="1")
    failed, documented = bodies(gateway, order_id)["payment.failed"], sample("webhook.payment.failed.card")
    assert list(failed) == list(documented) == sorted(documented)
    assert list(entity(failed, "payment")) == list(entity(documented, "payment"))
    assert entity(failed, "payment")["card"].keys() == entity(documented, "payment")["card"].keys()
    assert entity(failed, "payment")["captured"] is False  # the sample's `true` contradicts its status


@pytest.mark.parametrize("event", ["refund.created", "refund.processed"])
@pytest.mark.parametrize("method", ["card", "upi", "netbanking"])
def test_refund_events_come_sorted_with_more_fields_than_documented(
    gateway: Gateway, sample: Sample, event: str, method: str
) -> None:
    order_id = gateway.order()["id"]
    payment_id = gateway.pay(order_id, method=method)["razorpay_payment_id"]
    gateway.sdk.payment.refund(payment_id, {"amount": 20000})
    body, documented = bodies(gateway, order_id)[event], sample(f"webhook.{event}.netbanking")
    assert list(body) == sorted(documented)
    assert list(body["payload"]) == ["payment", "refund"]
    assert body["contains"] == ["refund", "payment"]
    for name in ("payment", "refund"):
        assert list(entity(body, name)) == sorted(entity(body, name))
        assert entity(documented, name).keys() <= entity(body, name).keys()
    measured = json.loads(sample("measured.refund.created.netbanking"))
    assert entity(body, "payment").keys() - entity(measured, "payment").keys() <= {"card", "upi"}
    assert entity(body, "refund")["status"] == "processed"
    assert (entity(body, "payment")["status"], entity(body, "payment")["refund_status"]) == ("captured", "partial")


def test_a_full_refund_shows_a_refunded_payment_that_stays_captured(gateway: Gateway) -> None:
    order_id = gateway.order()["id"]
    gateway.sdk.payment.refund(gateway.pay(order_id)["razorpay_payment_id"], {})
    payment = entity(bodies(gateway, order_id)["refund.created"], "payment")
    assert (payment["status"], payment["captured"], payment["refund_status"]) == ("refunded", True, "full")


def test_a_body_is_a_snapshot_of_its_moment(gateway: Gateway) -> None:
    order_id = gateway.order()["id"]
    gateway.sdk.payment.refund(gateway.pay(order_id)["razorpay_payment_id"], {})
    states = {name: entity(body, "payment")["status"] for name, body in bodies(gateway, order_id).items()}
    assert states == {
        "payment.authorized": "authorized",
        "payment.captured": "captured",
        "order.paid": "captured",
        "refund.created": "refunded",
        "refund.processed": "refunded",
    }


def test_one_payment_is_told_under_different_event_ids(gateway: Gateway) -> None:
    order_id = gateway.order()["id"]
    gateway.pay(order_id)
    ids = {event["event_id"] for event in gateway.events(order_id=order_id)}
    assert len(ids) == 3
    assert all(len(event_id) == 14 and event_id.isalnum() for event_id in ids)


def test_bodies_carry_the_personal_data_that_a_receiver_must_drop(gateway: Gateway) -> None:
    order_id = gateway.order()["id"]
    gateway.pay(order_id, method="upi", vpa="asha@razorpay", email="asha@example.com", contact="+919000090001")
    for event in gateway.events(order_id=order_id):
        for datum in ("asha@razorpay", "asha@example.com", "+919000090001"):
            assert datum in event["body"]


def test_a_body_does_not_survive_being_parsed_and_written_again(gateway: Gateway) -> None:
    order_id = gateway.order()["id"]
    gateway.pay(order_id, method="upi", description="Design / Überarbeitung", notes={"für": "Jürgen"})
    event = gateway.events(order_id=order_id, event="payment.captured")[0]
    body = event["body"].encode()
    assert signatures.of_webhook(gateway.settings.webhook_secret, body) == event["signature"]
    assert entity(json.loads(body), "payment")["description"] == "Design / Überarbeitung"
    for ascii_only in (True, False):
        again = json.dumps(json.loads(body), separators=(",", ":"), ensure_ascii=ascii_only)
        assert signatures.of_webhook(gateway.settings.webhook_secret, again.encode()) != event["signature"]
