"""The webhook: what it accepts as genuine, what it stores, and how it responds to Razorpay."""

import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from payments.core.signature import webhook_signature
from payments.wiring import aws
from sandbox import development, events
from tests.handlers import cloud as faults
from tests.handlers.cloud import Fault
from tests.handlers.service import WEBHOOK, Service, committed

OK = {"status": "ok"}
CAPTURED = events.webhook_body("payment.captured")
SIGNATURE = webhook_signature(CAPTURED, development.RAZORPAY_WEBHOOK_SECRET)
HOUR = 3600
CREATED_AT: int = json.loads(CAPTURED)["created_at"]


def delivery(signature: str | None, body: bytes = CAPTURED) -> dict[str, Any]:
    event = events.from_razorpay(body)
    event["headers"] = {name: value for name, value in event["headers"].items() if name != "X-Razorpay-Signature"}
    if signature is not None:
        event["headers"]["X-Razorpay-Signature"] = signature
    return event


def captured(order_id: str = events.ORDER_ID, payment_id: str = events.PAYMENT_ID, **changes: Any) -> bytes:
    document = json.loads(CAPTURED)
    document["payload"]["payment"]["entity"] |= {"order_id": order_id, "id": payment_id, **changes}
    return json.dumps(document, separators=(",", ":")).encode()


# --- genuine or not ---

BAD_SIGNATURES: dict[str, str | None] = {
    "missing": None,
    "empty": "",
    "zeros": "0" * 64,
    "upper case": SIGNATURE.upper(),
    "cut": SIGNATURE[:-1],
    "twice": f"{SIGNATURE},{SIGNATURE}",
    "with a prefix": f"sha256={SIGNATURE}",
    "a space after": f"{SIGNATURE} ",
    "not ASCII": "é" * 64,
    "wide digits": "\uff11" * 64,
    "long": "a" * 9000,
    "another secret": webhook_signature(CAPTURED, events.FORGED_WITH),
    "the key secret": webhook_signature(CAPTURED, development.RAZORPAY_KEY_SECRET),
    "another body": webhook_signature(CAPTURED + b" ", development.RAZORPAY_WEBHOOK_SECRET),
    "the event alone": webhook_signature(b"payment.captured", development.RAZORPAY_WEBHOOK_SECRET),
}


@pytest.mark.parametrize("signature", BAD_SIGNATURES.values(), ids=BAD_SIGNATURES.keys())
def test_any_bad_signature_has_one_outcome_and_nothing_is_asked_of_anyone(
    ordered: Service, signature: str | None
) -> None:
    stored = ordered.cloud.items()
    answer = ordered.invoke(delivery(signature))
    assert (answer.status, answer.code) == (400, "invalid_signature")
    assert answer.text == ordered.replay("webhook-forged").text
    assert ordered.outside_calls() == []
    assert ordered.cloud.items() == stored
    assert ordered.metrics() == ["SignatureFailures"] * 2


@pytest.mark.parametrize("body", [b"", b"{}", b"\x00", b"not JSON", b"[" * 60000])
def test_a_body_is_not_even_read_before_its_signature_is_checked(service: Service, body: bytes) -> None:
    answer = service.invoke(delivery("0" * 64, body))
    assert (answer.status, answer.code) == (400, "invalid_signature")
    assert service.outside_calls() == []


def test_current_and_previous_secret_are_both_genuine(ordered: Service) -> None:
    assert ordered.replay("webhook-previous-secret").body == OK
    assert ordered.replay("webhook-payment-captured").body == OK
    assert ordered.cloud.item(events.ORDER_ID)["version"] == 3


def test_after_the_rotation_the_previous_secret_is_no_longer_genuine(
    ordered: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RAZORPAY_WEBHOOK_SECRET_PREVIOUS")
    assert ordered.replay("webhook-previous-secret").code == "invalid_signature"


def test_the_signature_is_over_the_raw_bytes(ordered: Service) -> None:
    assert ordered.replay("webhook-payment-captured-base64").body == OK
    assert ordered.cloud.item(events.ORDER_ID)["status"] == "paid"


def test_a_body_with_line_ends_and_spaces_is_taken_as_it_is(ordered: Service) -> None:
    body = json.dumps(json.loads(CAPTURED), indent=2).encode() + b"\r\n"
    assert ordered.deliver(body).body == OK
    assert ordered.cloud.item(events.ORDER_ID)["status"] == "paid"


@pytest.mark.parametrize("identity", ["4111111111111111", "Rp71ZiqdEWusL", "Rp71ZiqdEWusL ", "gaurav"])
def test_an_event_id_that_is_none_of_razorpays_is_not_logged(ordered: Service, identity: str) -> None:
    event = committed("webhook-payment-captured")
    event["headers"]["X-Razorpay-Event-Id"] = identity
    assert ordered.invoke(event).body == OK
    assert "event_id" not in ordered.log()[-1]
    assert ordered.replay("webhook-payment-captured").body == OK
    assert ordered.log()[-1]["event_id"] == "Rp71ZiqdEWusLa"


def test_the_event_id_header_decides_nothing(ordered: Service) -> None:
    for identity in ("Rp71ZiqdEWusLa", None, "", "x" * 5000, "é", "<script>", "payment.captured"):
        event = committed("webhook-payment-captured")
        del event["headers"]["X-Razorpay-Event-Id"]
        if identity is not None:
            event["headers"]["x-razorpay-event-id"] = identity
        assert ordered.invoke(event).body == OK
    assert ordered.cloud.item(events.ORDER_ID)["version"] == 2
    assert ordered.cloud.types() == ["payment.paid"]
    logged = {line.get("event_id") for line in ordered.log()}
    assert logged == {"Rp71ZiqdEWusLa", None}


# --- what is stored and published ---


def test_a_capture_confirms_the_payment_and_tells_the_bus(ordered: Service) -> None:
    assert ordered.replay("webhook-payment-captured").body == OK
    record = ordered.cloud.item(events.ORDER_ID)
    assert (record["status"], record["confirmed"], record["version"], record["pending"]) == ("paid", True, 2, {})
    assert "attention_at" not in record
    assert "attention_shard" not in record
    (entry,) = ordered.cloud.accepted
    assert (entry["Source"], entry["DetailType"], entry["EventBusName"]) == (
        "payment-service",
        "payment.paid",
        faults.BUS,
    )
    detail = json.loads(entry["Detail"])
    assert detail["payment"] == {
        "payment_id": 1,
        "order_id": events.ORDER_ID,
        "razorpay_payment_id": events.PAYMENT_ID,
        "job_id": 11,
        "application_id": 12,
        "client_id": 42,
        "freelancer_id": 77,
        "amount": 49950,
        "currency": "INR",
        "status": "paid",
        "amount_refunded": 0,
        "amount_disputed": 0,
        "method": "netbanking",
    }
    assert (detail["version"], detail["occurred_at"]) == (2, "2026-03-01T09:32:00Z")


@pytest.mark.parametrize("name", [
    "webhook-payment-authorized",
    "webhook-payment-captured",
    "webhook-payment-failed",
    "webhook-order-paid",
    "webhook-refund-created",
    "webhook-refund-processed-part",
])  # fmt: skip
def test_a_duplicate_changes_nothing_and_tells_nobody(ordered: Service, name: str) -> None:
    assert ordered.replay(name).body == OK
    stored = ordered.cloud.raw_item(events.ORDER_ID)
    told = list(ordered.cloud.sent)
    ordered.clock.now += HOUR
    for _ in range(3):
        assert ordered.replay(name).body == OK
    assert ordered.cloud.raw_item(events.ORDER_ID) == stored
    assert ordered.cloud.sent == told


def test_captured_and_order_paid_are_one_fact(ordered: Service) -> None:
    ordered.replay("webhook-order-paid")
    stored = ordered.cloud.raw_item(events.ORDER_ID)
    ordered.replay("webhook-payment-captured")
    assert ordered.cloud.raw_item(events.ORDER_ID) == stored
    assert ordered.cloud.types() == ["payment.paid"]


WHOLE_LIFE = (
    "payment-failed",
    "payment-authorized",
    "payment-captured",
    "refund-processed-part",
    "refund-processed-full",
)


@pytest.mark.parametrize("order", list(itertools.permutations(WHOLE_LIFE))[::7])
def test_in_whatever_order_a_life_is_delivered_it_ends_refunded(ordered: Service, order: tuple[str, ...]) -> None:
    for name in order:
        assert ordered.replay(f"webhook-{name}").body == OK
    record = ordered.cloud.item(events.ORDER_ID)
    assert (record["status"], record["confirmed"], record["pending"]) == ("refunded", True, {})
    assert ordered.cloud.types().count("payment.refunded") == 1
    assert ordered.cloud.types().count("payment.paid") <= 1
    assert ordered.read().body["amount_refunded"] == 49950


def test_a_wrong_sum_is_reviewed_and_pays_nothing(ordered: Service) -> None:
    assert ordered.deliver(captured(amount=49949)).body == OK
    record = ordered.cloud.item(events.ORDER_ID)
    assert (record["status"], record["confirmed"]) == ("authorized", False)
    assert [detail["review"] for detail in ordered.cloud.details()] == [{"reason": "amount_mismatch", "state": "open"}]


@pytest.mark.parametrize("fee", [1179, 1, 49950])
def test_the_agreed_sum_and_the_fee_that_the_customer_bears_is_paid(ordered: Service, fee: int) -> None:
    # "Customer fee bearer": amount is the order's and the fee, tax included.
    assert ordered.deliver(captured(amount=49950 + fee, fee=fee, tax=fee // 7)).body == OK
    assert ordered.cloud.item(events.ORDER_ID)["status"] == "paid"
    assert ordered.cloud.types() == ["payment.paid"]
    assert ordered.cloud.details()[0]["payment"]["amount"] == 49950


def test_a_fee_that_is_reported_later_cures_the_sum(ordered: Service) -> None:
    ordered.deliver(captured(amount=51129, fee=None))
    assert ordered.read().body["under_review"] is True
    ordered.deliver(captured(amount=51129, fee=1179))
    shown = ordered.read().body
    assert (shown["status"], shown["confirmed"], shown["under_review"]) == ("paid", True, False)
    assert sorted(ordered.cloud.types()) == ["payment.paid", "payment.review", "payment.review"]
    states = [detail["review"]["state"] for detail in ordered.cloud.details("payment.review")]
    assert states == ["open", "resolved"]


@pytest.mark.parametrize(("amount", "status"), [(44955, "paid"), (44954, "authorized"), (49950, "paid")])
def test_an_offer_is_taken_down_to_the_floor_that_is_set(
    ordered: Service, monkeypatch: pytest.MonkeyPatch, amount: int, status: str
) -> None:
    monkeypatch.setenv("ACCEPT_OFFERS", "90")
    assert ordered.deliver(captured(amount=amount)).body == OK
    assert ordered.cloud.item(events.ORDER_ID)["status"] == status


def test_without_that_setting_no_offer_is_taken(ordered: Service) -> None:
    ordered.deliver(captured(amount=49949))
    assert ordered.cloud.item(events.ORDER_ID)["status"] == "authorized"


def test_a_refund_is_known_under_its_own_id(ordered: Service) -> None:
    ordered.replay("webhook-payment-captured")
    ordered.replay("webhook-refund-created")
    ordered.replay("webhook-refund-processed-part")
    assert ordered.cloud.items()[f"refund#{events.FIRST_REFUND_ID}"] == {
        "pk": f"refund#{events.FIRST_REFUND_ID}",
        "payment": events.PAYMENT_ID,
        "order_id": events.ORDER_ID,
        "amount": 10000,
        "state": "processed",
    }


def test_a_total_that_our_refunds_do_not_add_up_to_keeps_the_record_due(ordered: Service) -> None:
    ordered.replay("webhook-payment-captured")
    assert ordered.deliver(captured(amount_refunded=20000, status="captured")).body == OK
    record = ordered.cloud.item(events.ORDER_ID)
    assert record["payments"][events.PAYMENT_ID]["unread"] is True
    assert record["attention_at"] > 0
    assert ordered.read().body["amount_refunded"] == 0


def test_a_total_that_they_do_add_up_to_leaves_nothing_due(ordered: Service) -> None:
    ordered.replay("webhook-payment-captured")
    ordered.replay("webhook-refund-processed-part")
    ordered.deliver(captured(amount_refunded=10000, status="captured"))
    assert "attention_at" not in ordered.cloud.item(events.ORDER_ID)


def test_a_second_capture_is_reviewed(ordered: Service) -> None:
    ordered.replay("webhook-payment-captured")
    ordered.deliver(captured(payment_id=events.FAILED_PAYMENT_ID))
    assert ordered.cloud.types() == ["payment.paid", "payment.review"]
    assert ordered.cloud.details("payment.review")[0]["review"] == {"reason": "duplicate_capture", "state": "open"}


# --- orders we do not know ---


def test_an_unknown_order_is_kept_as_facts_until_somebody_knows_whose_it_is(service: Service) -> None:
    assert service.replay("webhook-payment-captured").body == OK
    record = service.cloud.item(events.ORDER_ID)
    assert (record["status"], record["version"], record["confirmed"]) == ("unknown", 1, False)
    assert record["payments"][events.PAYMENT_ID]["captured"] is True
    assert "expires_at" not in record, "only a foreign order expires"
    assert record["attention_at"] == service.clock.now + 60
    assert record["attention_shard"] in {f"unknown-{number}" for number in range(16)}
    assert record["pending"] == {}
    assert "client_id" not in record
    assert service.cloud.sent == []


def test_more_facts_of_an_unknown_order_are_kept_beside_the_first(service: Service) -> None:
    for name in ("payment-failed", "payment-authorized", "payment-captured", "order-paid", "refund-processed-part"):
        assert service.replay(f"webhook-{name}").body == OK
    record = service.cloud.item(events.ORDER_ID)
    assert (record["status"], record["version"]) == ("unknown", 4)
    assert set(record["payments"]) == {events.PAYMENT_ID, events.FAILED_PAYMENT_ID}
    assert set(record["refunds"]) == {events.FIRST_REFUND_ID}
    assert service.cloud.sent == []


def test_two_deliveries_of_an_unknown_order_at_once_are_both_kept(service: Service) -> None:
    service.cloud.just_before("PutItem", lambda: service.replay("webhook-payment-failed"))
    service.cloud.just_before("PutItem", lambda: None)
    assert service.replay("webhook-payment-captured").body == OK
    record = service.cloud.item(events.ORDER_ID)
    assert set(record["payments"]) == {events.PAYMENT_ID, events.FAILED_PAYMENT_ID}
    assert record["version"] == 2


# --- ignored and unusable ---


def other_event(name: object, **envelope: Any) -> bytes:
    return json.dumps({"entity": "event", "event": name, "payload": {}, "created_at": CREATED_AT, **envelope}).encode()


@pytest.mark.parametrize(
    "body",
    [
        other_event("settlement.processed"),
        other_event("payment.dispute.reopened"),
        other_event("refund.speed_changed"),
        other_event("subscription.charged", payload=None),
        other_event("something.new"),
        other_event("Weird Name!"),
        captured(order_id=None),  # type: ignore[arg-type]  # a payment link, or no order at all
    ],
    ids=["settlement", "dispute", "speed", "subscription", "new", "weird", "no order"],
)
def test_other_events_are_acknowledged_and_counted(ordered: Service, body: bytes) -> None:
    assert ordered.deliver(body).body == OK
    assert ordered.outside_calls() == []
    assert ordered.metrics() == ["IgnoredEvents"]
    assert [line["level"] for line in ordered.log()] == ["INFO"]


def without(field: str, *, entity: str = "payment") -> bytes:
    document = json.loads(CAPTURED)
    del document["payload"][entity]["entity"][field]
    return json.dumps(document).encode()


UNUSABLE = {
    "the committed one": committed("webhook-unusable")["body"].encode(),
    "not JSON": b"payment.captured",
    "not UTF-8": b"\xff\xfe",
    "empty": b"",
    "a list": b"[]",
    "null": b"null",
    "no event": b"{}",
    "an event that is a number": other_event(5),
    "no payload": other_event("payment.captured", payload=None),
    "a payload that is a list": other_event("payment.captured", payload=[]),
    "an empty payload": other_event("payment.captured"),
    "a dispute without one": other_event("payment.dispute.created"),
    "no amount": without("amount"),
    "no id": without("id"),
    "an amount that is a text": captured(amount="49950"),
    "an amount that is true": captured(amount=True),
    "an amount that is a fraction": captured(amount=49950.5),
    "a negative amount": captured(amount=-1),
    "an amount no database holds": captured(amount=10**50),
    "an order id of another form": captured(order_id="order_1"),
    "a payment id of another form": captured(payment_id="pay_x/../y"),
    "a currency of another form": captured(currency="inr"),
    "too deep": b'{"event":"payment.captured","x":' + b"[" * 70 + b"]" * 70 + b"}",
    "a lone surrogate": b'{"event":"payment.captured","x":"\\ud800"}',
    "NaN": b'{"event":"payment.captured","x":NaN}',
    "another payment's refund": events.webhook_body("refund.processed", refund=events.FIRST_REFUND_ID).replace(
        b'"payment_id":"pay_DESlfW9H8K9uqM"', b'"payment_id":"pay_DESp9bgForNoUd"'
    ),
    "another payment's order": events.webhook_body("order.paid").replace(
        b'"id":"order_DESlLckIVRkHWj"', b'"id":"order_DESxiijbl9xjDB"'
    ),
}


@pytest.mark.parametrize("body", UNUSABLE.values(), ids=UNUSABLE.keys())
def test_a_genuine_event_that_cannot_be_used_is_acknowledged_and_alarmed_on(ordered: Service, body: bytes) -> None:
    stored = ordered.cloud.items()
    # As base64, because some of them are not text.
    assert ordered.invoke(events.from_razorpay(body, as_base64=True)).body == OK
    assert ordered.outside_calls() == []
    assert ordered.metrics() == ["UnusableEvents"]
    assert "ERROR" in [line["level"] for line in ordered.log()]
    assert ordered.cloud.items() == stored


def test_an_unusable_event_is_logged_with_what_ids_it_has(ordered: Service) -> None:
    ordered.replay("webhook-unusable")
    alert = ordered.log()[0]
    assert (alert["event"], alert["razorpay_payment_id"]) == ("payment.captured", events.PAYMENT_ID)
    assert alert["order_id"] == events.ORDER_ID
    assert "payment_id" not in alert, "that is our own number"
    assert "amount" in alert["why"]


def test_a_key_that_occurs_twice_is_forgiven_a_proven_sender(ordered: Service) -> None:
    body = CAPTURED.replace(b'"fee":', b'"fee":0,"fee":')
    assert ordered.deliver(body).body == OK
    assert ordered.cloud.item(events.ORDER_ID)["status"] == "paid"


# --- the table or the bus is unavailable ---

NOT_NOW: dict[str, Fault] = {
    "throttled": faults.throttles,
    "500": faults.fails,
    "timeout": faults.times_out,
    "connect timeout": faults.connect_times_out,
    "unreachable": faults.is_unreachable,
}
OPERATIONS = ["GetItem", "UpdateItem", "PutEvents"]


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("fault", NOT_NOW.values(), ids=NOT_NOW.keys())
def test_what_a_later_delivery_can_cure_is_503_and_the_later_delivery_cures_it(
    ordered: Service, operation: str, fault: Fault
) -> None:
    ordered.cloud.fail_always(operation, fault)
    for _ in range(2):
        answer = ordered.replay("webhook-payment-captured")
        assert (answer.status, answer.code) == (503, "temporarily_unavailable")
        assert int(answer.headers["Retry-After"]) > 0
    assert "GivenUp" not in ordered.metrics()
    ordered.cloud.heal()
    assert ordered.replay("webhook-payment-captured").body == OK
    record = ordered.cloud.item(events.ORDER_ID)
    assert (record["status"], record["version"], record["pending"]) == ("paid", 2, {})
    assert ordered.cloud.types() == ["payment.paid"]


@pytest.mark.parametrize("operation", ["GetItem", "PutItem"])
def test_an_unknown_order_that_cannot_be_kept_comes_back(service: Service, operation: str) -> None:
    service.cloud.fail_always(operation, faults.times_out)
    assert service.replay("webhook-payment-captured").status == 503
    service.cloud.heal()
    assert service.replay("webhook-payment-captured").body == OK
    assert service.cloud.item(events.ORDER_ID)["status"] == "unknown"


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_mistake_of_ours_is_500_while_the_event_is_young(ordered: Service, operation: str) -> None:
    ordered.cloud.fail_always(operation, faults.denies)
    answer = ordered.replay("webhook-payment-captured")
    assert (answer.status, answer.code) == (500, "internal_error")
    assert "secret words" not in answer.text + ordered.output()


@pytest.mark.parametrize("fault", [faults.times_out, faults.denies], ids=["temporary", "ours"])
@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_event_of_twelve_hours_is_given_up_counted_and_alarmed_on(
    ordered: Service, operation: str, fault: Fault
) -> None:
    ordered.cloud.fail_always(operation, fault)
    ordered.clock.now = CREATED_AT + 12 * HOUR - 1
    assert ordered.replay("webhook-payment-captured").status in {500, 503}
    assert "GivenUp" not in ordered.metrics()
    ordered.clock.now += 1
    assert ordered.replay("webhook-payment-captured").body == OK
    assert ordered.metrics().count("GivenUp") == 1
    alert = next(line for line in ordered.log() if line["message"].startswith("given up"))
    assert alert["level"] == "ERROR"
    assert (alert["order_id"], alert["event_id"], alert["created_at"]) == (
        events.ORDER_ID,
        "Rp71ZiqdEWusLa",
        CREATED_AT,
    )


def test_an_old_event_that_can_be_handled_is_handled(ordered: Service) -> None:
    ordered.clock.now = CREATED_AT + 20 * HOUR
    assert ordered.replay("webhook-payment-captured").body == OK
    assert ordered.cloud.types() == ["payment.paid"]
    assert ordered.metrics() == []


@pytest.mark.parametrize("created_at", [None, "yesterday", True, 1.5, [], {}], ids=repr)
def test_an_event_without_a_usable_age_comes_back_as_a_young_one_does(ordered: Service, created_at: object) -> None:
    # "503 … while the signed created_at is under 12 h old or absent."
    body = json.dumps(json.loads(CAPTURED) | {"created_at": created_at}).encode()
    ordered.cloud.fail_always("GetItem", faults.times_out)
    assert ordered.deliver(body).status == 503
    assert "GivenUp" not in ordered.metrics()
    ordered.cloud.heal()
    assert ordered.deliver(body).body == OK
    assert ordered.cloud.types() == ["payment.paid"]


def test_a_forged_old_event_is_still_refused(ordered: Service) -> None:
    ordered.clock.now = CREATED_AT + 20 * HOUR
    assert ordered.replay("webhook-forged").status == 400


def test_an_unexpected_error_is_500_and_tells_nobody_its_message(
    ordered: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    def explode(*_: object, **__: object) -> None:
        raise RuntimeError("secret words")

    monkeypatch.setattr(aws, "table", explode)
    answer = ordered.replay("webhook-payment-captured")
    assert (answer.status, answer.code) == (500, "internal_error")
    (line,) = ordered.log()
    assert line["error"] == "RuntimeError"
    assert any("explode" in frame for frame in line["stack"])
    assert "secret words" not in answer.text + ordered.output()


# --- nothing lost, nothing invented ---


def pending(service: Service) -> set[str]:
    return set(service.cloud.item(events.ORDER_ID)["pending"])


@pytest.mark.parametrize(
    "fault",
    [
        *NOT_NOW.values(),
        faults.refuses_entries(0),
        faults.loses_the_answer,
    ],
    ids=[*NOT_NOW.keys(), "refused", "lost answer"],
)
def test_an_event_that_may_not_be_on_the_bus_stays_pending_and_is_sent_again_to_the_byte(
    ordered: Service, fault: Fault
) -> None:
    ordered.cloud.fail_always("PutEvents", fault)
    assert ordered.replay("webhook-payment-captured").status == 503
    assert len(pending(ordered)) == 1
    assert ordered.cloud.item(events.ORDER_ID)["attention_at"] > 0
    ordered.cloud.heal()
    ordered.clock.now += HOUR
    assert ordered.replay("webhook-payment-captured").body == OK
    assert pending(ordered) == set()
    assert len({entry["Detail"] for entry in ordered.cloud.sent}) == 1
    assert len(ordered.cloud.sent) >= 2


def test_of_several_events_only_the_refused_one_is_sent_again(ordered: Service) -> None:
    ordered.cloud.fail_always("PutEvents", faults.fails)
    assert ordered.replay("webhook-payment-captured").status == 503
    assert ordered.replay("webhook-refund-processed-part").status == 503
    assert len(pending(ordered)) == 2
    ordered.cloud.heal()
    before = list(ordered.cloud.sent)
    ordered.cloud.fail("PutEvents", faults.refuses_entries(1))
    assert ordered.replay("webhook-refund-processed-full").status == 503
    assert len(pending(ordered)) == 1
    assert ordered.replay("webhook-refund-processed-full").body == OK
    assert pending(ordered) == set()
    assert sorted(ordered.cloud.types()) == ["payment.paid", "payment.partially_refunded", "payment.refunded"]
    assert {entry["Detail"] for entry in before} <= {entry["Detail"] for entry in ordered.cloud.accepted}
    by_id = {(json.loads(entry["Detail"])["event_id"], entry["Detail"]) for entry in ordered.cloud.sent}
    assert len(by_id) == 3


def test_any_later_delivery_takes_along_what_is_pending(ordered: Service) -> None:
    ordered.cloud.fail_always("PutEvents", faults.fails)
    ordered.replay("webhook-payment-captured")
    ordered.cloud.heal()
    assert ordered.replay("webhook-payment-authorized").body == OK
    assert ordered.cloud.types() == ["payment.paid"]
    assert pending(ordered) == set()


def test_a_clear_that_fails_means_the_same_bytes_again_and_never_a_lost_event(ordered: Service) -> None:
    def let_through(_request: object, send: Any) -> Any:
        return send()

    ordered.cloud.fail("UpdateItem", let_through, faults.times_out)
    assert ordered.replay("webhook-payment-captured").status == 503
    assert ordered.cloud.types() == ["payment.paid"]
    assert len(pending(ordered)) == 1
    assert ordered.replay("webhook-payment-captured").body == OK
    assert pending(ordered) == set()
    assert len({entry["Detail"] for entry in ordered.cloud.accepted}) == 1


def test_a_lost_answer_of_the_write_neither_loses_nor_doubles_the_event(ordered: Service) -> None:
    ordered.cloud.fail("UpdateItem", faults.loses_the_answer)
    assert ordered.replay("webhook-payment-captured").body == OK
    record = ordered.cloud.item(events.ORDER_ID)
    assert (record["version"], record["pending"]) == (2, {})
    assert ordered.cloud.types() == ["payment.paid"]


def test_a_writer_that_dies_before_publishing_leaves_its_event_to_the_next_delivery(
    ordered: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    class KilledError(BaseException):
        """Lambda's timeout: stops the handler."""

    def die(_request: object, _send: object) -> None:
        raise KilledError

    monkeypatch.setitem(ordered.cloud._always, "PutEvents", die)  # noqa: SLF001 - a fault that is no exception
    with pytest.raises(KilledError):
        ordered.replay("webhook-payment-captured")
    ordered.cloud.heal()
    assert ordered.cloud.accepted == []
    assert ordered.replay("webhook-payment-captured").body == OK
    assert ordered.cloud.types() == ["payment.paid"]


def test_two_deliveries_at_once_record_the_event_once(ordered: Service) -> None:
    ordered.cloud.just_before("UpdateItem", lambda: ordered.replay("webhook-order-paid"))
    assert ordered.replay("webhook-payment-captured").body == OK
    record = ordered.cloud.item(events.ORDER_ID)
    assert (record["version"], record["pending"]) == (2, {})
    assert len({entry["Detail"] for entry in ordered.cloud.sent}) == 1


def test_an_event_recorded_while_another_is_cleared_is_neither_lost_nor_cleared(ordered: Service) -> None:
    ordered.cloud.just_before("PutEvents", lambda: None)

    def refund_meanwhile() -> None:
        ordered.cloud.fail("PutEvents", faults.times_out, faults.times_out)
        assert ordered.replay("webhook-refund-processed-part").status == 503

    ordered.cloud.just_before("UpdateItem", lambda: None)
    ordered.cloud.just_before("UpdateItem", refund_meanwhile)
    ordered.cloud.just_before("UpdateItem", lambda: None)
    assert ordered.replay("webhook-payment-captured").body == OK
    record = ordered.cloud.item(events.ORDER_ID)
    assert [event["type"] for event in record["pending"].values()] == ["payment.partially_refunded"]
    assert record["attention_at"] > 0
    assert ordered.replay("webhook-refund-processed-part").body == OK
    assert sorted(set(ordered.cloud.types())) == ["payment.paid", "payment.partially_refunded"]


def test_only_its_own_route_is_answered(service: Service) -> None:
    event = {**committed("webhook-payment-captured"), "httpMethod": "GET"}
    assert service.invoke(event).headers["Allow"] == "POST"
    assert service.invoke({**event, "resource": WEBHOOK + "/extra"}, "webhook").code == "not_found"


# --- disputes ---

DISPUTE_ID = "disp_EsIAlDcoUr8CaQ"


def dispute(name: str, *, amount: int = events.AMOUNT_MINOR, created_at: int = CREATED_AT, **changed: Any) -> bytes:
    """A documented sample, about the story's payment; its payment's own fields stay as odd as they are."""
    sample = Path(__file__).parents[1] / "gateway" / "samples" / f"webhook.payment.dispute.{name}.card.json"
    body: dict[str, Any] = json.loads(sample.read_text(encoding="utf-8"))["body"]
    body["created_at"] = created_at
    body["payload"]["payment"]["entity"] |= {"id": events.PAYMENT_ID, "order_id": events.ORDER_ID}
    entity = {"id": DISPUTE_ID, "payment_id": events.PAYMENT_ID, "amount": amount}
    entity |= {"amount_deducted": amount if name == "lost" else 0}
    body["payload"]["dispute"]["entity"] |= entity | changed
    return json.dumps(body).encode()


def test_a_dispute_is_recorded_and_announced_whatever_its_payment_looks_like(ordered: Service) -> None:
    ordered.replay("webhook-payment-captured")
    for number, name in enumerate(("created", "under_review", "action_required", "won")):
        assert ordered.deliver(dispute(name, created_at=CREATED_AT + number)).body == OK
    told = [detail["dispute"]["state"] for detail in ordered.cloud.details() if "dispute" in detail]
    assert told == ["open", "under_review", "action_required", "won"]
    assert ordered.cloud.item(events.ORDER_ID)["status"] == "paid"
    kept = ordered.cloud.item(events.ORDER_ID)["disputes"][DISPUTE_ID]
    assert not {"evidence", "entity", "status"} & set(kept)


def test_an_application_whose_payment_is_lost_gets_no_other_order(ordered: Service) -> None:
    ordered.replay("webhook-payment-captured")
    assert ordered.deliver(dispute("lost")).body == OK
    shown = ordered.read().body
    assert (shown["status"], shown["amount_refunded"], shown["amount_disputed"]) == ("refunded", 0, events.AMOUNT_MINOR)
    assert shown["under_review"] is True
    refused = ordered.replay("create-order")
    assert (refused.status, refused.code, refused.body["order_id"]) == (409, "payment_under_review", events.ORDER_ID)
    verified = ordered.replay("verify")
    assert (verified.status, verified.code) == (409, "payment_under_review")


def test_a_dispute_told_again_changes_and_publishes_nothing(ordered: Service) -> None:
    ordered.replay("webhook-payment-captured")
    ordered.deliver(dispute("lost"))
    stored, sent = ordered.cloud.items(), len(ordered.cloud.sent)
    for name in ("lost", "created", "under_review"):
        assert ordered.deliver(dispute(name)).body == OK
    assert ordered.cloud.items() == stored
    assert len(ordered.cloud.sent) == sent


def test_a_dispute_of_an_order_that_nobody_knows_is_kept(service: Service) -> None:
    assert service.deliver(dispute("created")).body == OK
    record = service.cloud.item(events.ORDER_ID)
    assert (record["status"], record["disputes"][DISPUTE_ID]["state"]) == ("unknown", "open")
    assert service.cloud.sent == []
