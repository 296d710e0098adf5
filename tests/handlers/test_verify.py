"""verify and get: fast feedback, only for authorised callers."""

import itertools
import json
from types import SimpleNamespace
from typing import Any

import pytest

from payments.core.signature import checkout_signature
from sandbox import development, events
from tests.handlers import cloud as faults
from tests.handlers.cloud import Fault
from tests.handlers.service import VERIFY, Answer, Service, forget_loggers, handler

SUCCESS = {"status": "success", "message": "Payment verified", "payment_id": 1}
SIGNATURE = events.checkout()["razorpay_signature"]


def verifying(service: Service, **changes: Any) -> Answer:
    return service.invoke(events.from_frontend(VERIFY, {**events.checkout(), **changes}))


def test_a_valid_signature_makes_the_payment_paid_and_not_yet_confirmed(ordered: Service) -> None:
    answer = ordered.verify()
    assert (answer.status, answer.body) == (200, SUCCESS)
    record = ordered.cloud.item(events.ORDER_ID)
    assert (record["status"], record["confirmed"], record["version"]) == ("paid", False, 2)
    assert record["payments"] == {events.PAYMENT_ID: {"signed": ordered.clock.now}}
    assert record["pending"] == {}
    # Checked in a minute if no webhook arrives.
    assert record["attention_at"] == ordered.clock.now + 60
    assert ordered.cloud.sent == []


def test_verifying_again_gives_the_same_answer_and_changes_nothing(ordered: Service) -> None:
    first = ordered.verify()
    stored = ordered.cloud.raw_item(events.ORDER_ID)
    ordered.clock.now += 3600
    assert ordered.verify() == first
    assert ordered.cloud.raw_item(events.ORDER_ID) == stored


@pytest.mark.parametrize("order", list(itertools.permutations(["verify", "authorized", "captured"])))
def test_verify_before_between_and_after_the_webhooks_ends_the_same(ordered: Service, order: tuple[str, ...]) -> None:
    for step in order:
        answer = ordered.replay("verify" if step == "verify" else f"webhook-payment-{step}")
        assert answer.status == 200
    record = ordered.cloud.item(events.ORDER_ID)
    assert (record["status"], record["confirmed"], record["pending"]) == ("paid", True, {})
    known = record["payments"][events.PAYMENT_ID]
    assert (
        known.items()
        >= {
            "signed": ordered.clock.now,
            "authorized": True,
            "captured": True,
            "amount": 49950,
            "currency": "INR",
            "method": "netbanking",
            "verdict": "exact",
        }.items()
    )
    assert ordered.cloud.types() == ["payment.paid"]
    assert ordered.verify().body == SUCCESS


def test_a_webhook_between_the_read_and_the_write_of_verify_is_not_lost(ordered: Service) -> None:
    ordered.cloud.just_before("UpdateItem", lambda: ordered.replay("webhook-payment-captured"))
    assert ordered.verify().body == SUCCESS
    record = ordered.cloud.item(events.ORDER_ID)
    assert (record["status"], record["confirmed"]) == ("paid", True)
    assert {"signed", "captured"} <= record["payments"][events.PAYMENT_ID].keys()
    assert ordered.cloud.types() == ["payment.paid"]


def test_verify_between_the_read_and_the_write_of_the_webhook_is_not_lost(ordered: Service) -> None:
    ordered.cloud.just_before("UpdateItem", ordered.verify)
    assert ordered.replay("webhook-payment-captured").status == 200
    record = ordered.cloud.item(events.ORDER_ID)
    assert {"signed", "captured"} <= record["payments"][events.PAYMENT_ID].keys()
    assert ordered.cloud.types() == ["payment.paid"]
    assert record["pending"] == {}


def test_verify_leaves_publishing_to_the_webhook(ordered: Service) -> None:
    ordered.cloud.fail_always("PutEvents", faults.fails)
    assert ordered.replay("webhook-payment-captured").status == 503
    ordered.cloud.heal()
    ordered.forget()
    assert ordered.verify().body == SUCCESS
    assert "PutEvents" not in ordered.cloud.requests
    assert len(ordered.cloud.item(events.ORDER_ID)["pending"]) == 1


def test_a_payment_that_failed_before_can_still_be_verified(ordered: Service) -> None:
    ordered.replay("webhook-payment-failed")
    assert ordered.verify().body == SUCCESS
    assert ordered.cloud.item(events.ORDER_ID)["status"] == "paid"


def test_after_a_full_refund_verify_says_so_and_the_status_stays(ordered: Service) -> None:
    for name in ("webhook-payment-captured", "webhook-refund-processed-part"):
        ordered.replay(name)
    assert ordered.verify().body == SUCCESS
    ordered.replay("webhook-refund-processed-full")
    for _ in range(2):
        answer = ordered.verify()
        assert (answer.status, answer.code) == (409, "payment_refunded")
    assert ordered.cloud.item(events.ORDER_ID)["status"] == "refunded"


def capture(service: Service, **changes: Any) -> None:
    document = json.loads(events.webhook_body("payment.captured"))
    document["payload"]["payment"]["entity"] |= changes
    assert service.deliver(json.dumps(document).encode()).status == 200


def conflict(answer: Answer) -> str:
    assert answer.status == 409
    assert answer.headers["Content-Type"] == "application/problem+json"
    return answer.code


@pytest.mark.parametrize("changes", [{"amount": 49949}, {"amount": 1_000_000}, {"currency": "USD"}], ids=str)
def test_a_sum_that_was_not_agreed_is_under_review_and_not_called_paid(
    ordered: Service, changes: dict[str, Any]
) -> None:
    capture(ordered, **changes)
    answer = ordered.verify()
    assert (conflict(answer), answer.body["order_id"]) == ("payment_under_review", events.ORDER_ID)
    shown = ordered.read().body
    assert (shown["status"], shown["confirmed"], shown["under_review"]) == ("authorized", False, True)


def test_a_sum_that_was_not_agreed_and_was_paid_back_is_refunded(ordered: Service) -> None:
    capture(ordered, amount=10000)
    refund = json.loads(events.webhook_body("refund.processed", refund=events.FIRST_REFUND_ID))
    refund["payload"]["payment"]["entity"]["amount"] = 10000
    assert ordered.deliver(json.dumps(refund).encode()).status == 200
    assert conflict(ordered.verify()) == "payment_refunded"
    assert ordered.read().body["under_review"] is False


@pytest.mark.parametrize("before", [[], ["webhook-payment-authorized"]], ids=["signed", "authorised"])
def test_a_payment_that_was_given_back_uncaptured_is_returned(ordered: Service, before: list[str]) -> None:
    for name in before:
        ordered.replay(name)
    refund = json.loads(events.webhook_body("refund.processed", refund=events.FIRST_REFUND_ID))
    refund["payload"]["payment"]["entity"] |= {"captured": False, "status": "refunded"}
    refund["payload"]["refund"]["entity"]["amount"] = 49950
    assert ordered.deliver(json.dumps(refund).encode()).status == 200
    assert conflict(ordered.verify()) == "payment_returned"


def test_a_payment_on_a_superseded_order_is_under_review(ordered: Service) -> None:
    assert ordered.create_order(amount=500).status == 201
    answer = ordered.verify()
    assert (conflict(answer), answer.body["order_id"]) == ("payment_under_review", events.ORDER_ID)
    assert ordered.cloud.item(events.ORDER_ID)["status"] == "authorized"


def test_webhooks_alone_never_kill_a_signature(ordered: Service) -> None:
    # `failed`, then `authorized` for one payment is normal ("Late authorisation").
    body = events.webhook_body("payment.failed").replace(events.FAILED_PAYMENT_ID.encode(), events.PAYMENT_ID.encode())
    assert ordered.deliver(body).status == 200
    assert ordered.verify().body == SUCCESS
    assert ordered.deliver(body).status == 200
    assert ordered.verify().body == SUCCESS


def test_a_payment_that_a_later_look_lists_as_failed_is_dead(ordered: Service) -> None:
    assert ordered.verify().body == SUCCESS
    ordered.razorpay.pay(events.ORDER_ID, events.PAYMENT_ID, "failed")
    ordered.clock.now += 3600
    forget_loggers()
    context = SimpleNamespace(get_remaining_time_in_millis=lambda: 290_000)
    handler("reconcile")({"look": {"order_id": events.ORDER_ID}}, context)
    assert conflict(ordered.verify()) == "payment_failed"
    assert ordered.read().body["status"] == "failed"


# What Checkout's mobile SDKs return besides the three fields, and what they may add.
MORE = {
    "org_logo": "",
    "org_name": "Razorpay Software Private Ltd",
    "status_code": 200,
    "checkout_logo": "https://cdn.razorpay.com/logo.png",
    "custom_branding": False,
    "razorpay_wallet_issuer": None,
    "nested": {"a": [1, {"b": None}]},
}


@pytest.mark.parametrize("name", MORE)
def test_other_fields_of_checkouts_object_are_ignored(ordered: Service, name: str) -> None:
    assert verifying(ordered, **{name: MORE[name]}).body == SUCCESS
    assert verifying(ordered, **MORE).body == SUCCESS
    assert "razorpay.com" not in ordered.output()


# --- signatures ---

BAD_SIGNATURES = {
    "zeros": "0" * 64,
    "empty": "",
    "upper case": SIGNATURE.upper(),
    "cut": SIGNATURE[:-1],
    "longer": SIGNATURE + "0",
    "a space before": " " + SIGNATURE,
    "a line end after": SIGNATURE + "\n",
    "not hex": "x" * 64,
    "not ASCII": "é" * 64,
    "wide digits": "\uff10" * 64,
    "emoji": "\U0001f600",
    "a null byte": SIGNATURE[:-1] + "\x00",
    "long": "a" * 4000,
    "another key": checkout_signature(events.ORDER_ID, events.PAYMENT_ID, "another-key-secret"),
    "the webhook's key": checkout_signature(events.ORDER_ID, events.PAYMENT_ID, development.RAZORPAY_WEBHOOK_SECRET),
    "another order": events.checkout(events.UNKNOWN_ORDER_ID)["razorpay_signature"],
    "another payment": events.checkout(payment_id=events.FAILED_PAYMENT_ID)["razorpay_signature"],
    "turned round": checkout_signature(events.PAYMENT_ID, events.ORDER_ID, development.RAZORPAY_KEY_SECRET),
}


@pytest.mark.parametrize("signature", BAD_SIGNATURES.values(), ids=BAD_SIGNATURES.keys())
def test_any_bad_signature_has_one_outcome_and_leaves_the_record_untouched(ordered: Service, signature: str) -> None:
    stored = ordered.cloud.items()
    answer = verifying(ordered, razorpay_signature=signature)
    assert (answer.status, answer.code) == (400, "invalid_signature")
    assert ordered.cloud.items() == stored
    assert ordered.cloud.requests == ["GetItem"]
    assert ordered.metrics() == ["SignatureFailures"]


def test_a_bad_signature_does_not_undo_a_good_one(ordered: Service) -> None:
    ordered.verify()
    stored = ordered.cloud.items()
    assert verifying(ordered, razorpay_signature="0" * 64).code == "invalid_signature"
    assert ordered.cloud.items() == stored


def test_a_triple_that_was_valid_for_another_order_does_not_pass(ordered: Service) -> None:
    other = ordered.create_order(application_id=13).body["order_id"]
    triple = events.checkout(other)
    assert verifying(ordered, **{**triple, "razorpay_order_id": events.ORDER_ID}).code == "invalid_signature"


# --- foreign orders ---


def test_somebody_elses_order_and_an_unknown_one_look_the_same_to_the_byte(ordered: Service) -> None:
    unknown_first = ordered.verify(events.UNKNOWN_ORDER_ID)
    ordered.deliver(events.webhook_body("payment.captured").replace(b"order_DESlLckIVRkHWj", b"order_DESxiijbl9xjDB"))
    answers = [
        unknown_first,
        ordered.verify(events.UNKNOWN_ORDER_ID),  # facts, but not one of our orders
        ordered.verify(user_id=events.SOMEBODY_ELSE),
        ordered.verify(user_id=events.FREELANCER),  # does not pay
        ordered.invoke(
            events.from_frontend(
                VERIFY, {**events.checkout(), "razorpay_signature": "0" * 64}, user_id=events.SOMEBODY_ELSE
            )
        ),
        ordered.read(events.UNKNOWN_ORDER_ID),
        ordered.read("order_00000000000000"),
        ordered.read(user_id=events.SOMEBODY_ELSE),
        ordered.read("no-order-id"),
        ordered.read(""),
    ]
    assert {answer.status for answer in answers} == {404}
    assert len({(answer.text, tuple(answer.headers.items())) for answer in answers}) == 1
    assert answers[0].code == "order_not_found"


def test_somebody_elses_attempt_leaves_the_record_untouched(ordered: Service) -> None:
    stored = ordered.cloud.items()
    ordered.verify(user_id=events.SOMEBODY_ELSE)
    ordered.read(user_id=events.SOMEBODY_ELSE)
    assert ordered.cloud.items() == stored


# --- get ---


@pytest.mark.parametrize("user_id", [events.CLIENT, events.FREELANCER], ids=["client", "freelancer"])
def test_both_parties_may_read_every_public_field_and_nothing_more(ordered: Service, user_id: int) -> None:
    ordered.replay("webhook-payment-captured")
    ordered.replay("webhook-refund-processed-part")
    answer = ordered.read(user_id=user_id)
    assert answer.status == 200
    assert answer.body == {
        "payment_id": 1,
        "order_id": events.ORDER_ID,
        "job_id": 11,
        "application_id": 12,
        "client_id": 42,
        "freelancer_id": 77,
        "amount": 49950,
        "currency": "INR",
        "status": "paid",
        "confirmed": True,
        "amount_refunded": 10000,
        "amount_disputed": 0,
        "under_review": False,
        "razorpay_payment_id": events.PAYMENT_ID,
        "created_at": "2026-03-01T09:32:00Z",
        "updated_at": "2026-03-01T09:32:00Z",
    }


def test_reading_changes_nothing_and_asks_the_table_once(ordered: Service) -> None:
    stored = ordered.cloud.items()
    assert ordered.read().body["razorpay_payment_id"] is None
    assert ordered.cloud.items() == stored
    assert ordered.outside_calls() == ["GetItem"]


@pytest.mark.parametrize("order_id", ["x", "order_", "order_DESlLckIVRkHWj%0A", "../secrets", "pay_DESlfW9H8K9uqM"])
def test_what_is_no_order_id_is_not_looked_up(ordered: Service, order_id: str) -> None:
    assert ordered.read(order_id).code == "order_not_found"
    assert ordered.outside_calls() == []


# --- other responses of the table ---


@pytest.mark.parametrize(
    "fault",
    [faults.throttles, faults.fails, faults.times_out, faults.connect_times_out, faults.is_unreachable],
    ids=["throttled", "500", "timeout", "connect timeout", "unreachable"],
)
@pytest.mark.parametrize("operation", ["GetItem", "UpdateItem"])
def test_a_table_that_cannot_now_is_answered_503_with_retry_after(
    ordered: Service, operation: str, fault: Fault
) -> None:
    ordered.cloud.fail_always(operation, fault)
    answers = [ordered.verify()] + ([ordered.read()] if operation == "GetItem" else [])
    for answer in answers:
        assert (answer.status, answer.code) == (503, "temporarily_unavailable")
        assert int(answer.headers["Retry-After"]) > 0
    ordered.cloud.heal()
    assert ordered.verify().body == SUCCESS


def test_a_write_whose_answer_is_lost_is_still_one_change(ordered: Service) -> None:
    ordered.cloud.fail("UpdateItem", faults.loses_the_answer)
    assert ordered.verify().body == SUCCESS
    assert ordered.cloud.item(events.ORDER_ID)["version"] == 2


def test_a_record_that_keeps_changing_is_answered_503_after_five_rounds(ordered: Service) -> None:
    payments = iter(f"pay_{number:014d}" for number in range(9))

    def somebody_else() -> None:
        body = events.webhook_body("payment.authorized").replace(b"pay_DESlfW9H8K9uqM", next(payments).encode())
        assert ordered.deliver(body).status == 200

    for _ in range(5):
        # The outer write, and the inner one that comes before it.
        ordered.cloud.just_before("UpdateItem", somebody_else)
        ordered.cloud.just_before("UpdateItem", lambda: None)
    answer = ordered.verify()
    assert (answer.status, answer.code) == (503, "temporarily_unavailable")
    assert ordered.cloud.item(events.ORDER_ID)["version"] == 6
    assert ordered.verify().body == SUCCESS
