"""POST /api/payments/{order_id}/refunds/ and …/by-token/: who may ask, what is answered, and what Razorpay is asked."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from sandbox import development, events
from tests.handlers import cloud as faults
from tests.handlers.razorpay import Asked, Reply, refusal
from tests.handlers.service import ENVIRONMENT, Answer, Service

KEY = "the-callers-own-key"
SCOPE = "payments:refund"
REFUND = "rfnd_00000000000001"
AMOUNT = 49950
PATH = f"POST /v1/payments/{events.PAYMENT_ID}/refund"
LIST = f"GET /v1/payments/{events.PAYMENT_ID}/refunds"
QUARTER_OF_AN_HOUR_S = 15 * 60


@pytest.fixture
def paid(ordered: Service) -> Service:
    """The order is paid, at Razorpay and here."""
    ordered.razorpay.pay(events.ORDER_ID, events.PAYMENT_ID)
    ordered.replay("webhook-payment-captured")
    ordered.forget()
    return ordered


def token(*, scope: str | None = None, user_id: int = events.SOMEBODY_ELSE) -> str:
    return development.token(user_id, scope=scope)


def by_token(service: Service, *, scope: str | None = None, document: Any = None) -> Answer:
    event = events.from_service(events.ORDER_ID, document or {}, key=KEY, caller=None, token=token(scope=scope))
    return service.invoke(event)


def refunds(service: Service) -> list[int]:
    """What Razorpay has given back."""
    return [refund["amount"] for refund in service.razorpay.refunds.values()]


# --- a refund -------------------------------------------------------------------------------------------------------


def test_a_signed_request_refunds_what_remains(paid: Service) -> None:
    answer = paid.refund()
    assert (answer.status, answer.body) == (
        201,
        {
            "refund_id": REFUND,
            "order_id": events.ORDER_ID,
            "razorpay_payment_id": events.PAYMENT_ID,
            "amount": AMOUNT,
            "currency": "INR",
            "status": "processed",
        },
    )
    assert paid.read().body["status"] == "refunded"


def test_a_part_is_refunded_in_major_units(paid: Service) -> None:
    assert paid.refund({"amount": "100.5", "reason": "not_delivered"}).body["amount"] == 10050
    assert paid.read().body | {"updated_at": ""} == paid.read().body | {"amount_refunded": 10050, "updated_at": ""}


def test_razorpay_is_asked_once_with_the_amount_the_intent_and_its_key(paid: Service) -> None:
    paid.refund({"amount": 100})
    (asked,) = paid.razorpay.asked
    assert f"{asked.method} {asked.path}" == PATH
    (intent,) = paid.cloud.item(events.ORDER_ID)["refund_intents"]
    assert asked.document == {
        "amount": 10000,
        "speed": "normal",
        "notes": {"service": "payment-service", "stage": "local", "refund_intent": intent},
    }
    assert asked.headers["x-refund-idempotency"] == intent


def test_the_intent_is_in_the_table_before_razorpay_is_asked(paid: Service) -> None:
    stored: list[Any] = []

    def look(_asked: Asked) -> None:
        stored.append(paid.cloud.item(events.ORDER_ID)["refund_intents"])

    paid.razorpay.trouble = look
    paid.refund()
    assert [len(intents) for intents in stored] == [1]


def test_a_refund_costs_two_reads_two_writes_and_one_call_to_razorpay(paid: Service) -> None:
    paid.refund()
    assert sorted(paid.outside_calls()) == ["GetItem", "GetItem", "Razorpay", "UpdateItem", "UpdateItem"]


def test_its_event_is_published_by_the_outbox(paid: Service) -> None:
    paid.refund()
    assert paid.cloud.sent == [] or "payment.refunded" not in paid.cloud.types()
    paid.clock.now += 60
    paid.run("outbox", {})
    assert paid.cloud.types()[-1] == "payment.refunded"


def test_the_webhook_of_the_refund_adds_nothing_but_its_item(paid: Service) -> None:
    paid.refund()
    before = paid.cloud.item(events.ORDER_ID)["version"]
    paid.clock.now += 60
    paid.run("reconcile", {"lane": "sweep"})
    assert paid.cloud.item(events.ORDER_ID)["version"] == before


def test_the_bank_may_still_have_to_answer(paid: Service) -> None:
    body = {"id": REFUND, "payment_id": events.PAYMENT_ID, "amount": AMOUNT, "status": "pending", "notes": []}
    paid.razorpay.script.append(Reply(body=json.dumps(body).encode()))
    assert (paid.refund().status, paid.refund().body["status"]) == (201, "pending")


# --- repetitions ----------------------------------------------------------------------------------------------------


def test_a_second_click_gets_the_same_refund(paid: Service) -> None:
    first = paid.refund().body
    again = paid.refund()
    assert (again.status, again.body, refunds(paid)) == (200, first, [AMOUNT])


def test_another_body_under_the_key_is_a_conflict(paid: Service) -> None:
    paid.refund({"amount": 100})
    answer = paid.refund({"amount": 200})
    assert (answer.status, answer.code, refunds(paid)) == (409, "idempotency_conflict", [10000])


def test_the_same_key_for_another_order_is_another_refund(paid: Service) -> None:
    other = paid.create_order(application_id=13).body["order_id"]
    paid.razorpay.pay(other, "pay_00000000000002", created_at=events.ORDERED_AT)
    paid.run("reconcile", {"look": {"order_id": other}})
    assert (paid.refund({"amount": 100}).status, paid.refund({"amount": 100}, order_id=other).status) == (201, 201)
    assert refunds(paid) == [10000, 10000]


def loses_the_answer(service: Service) -> Callable[[Asked], Reply | None]:
    """The refund is made, and nobody hears of it."""

    def trouble(asked: Asked) -> Reply | None:
        if not asked.path.endswith("/refund"):
            return None
        service.razorpay.trouble = lambda _: None
        service.razorpay._refund(asked)  # noqa: SLF001 - as the server does
        return Reply(504)

    return trouble


def test_a_lost_answer_is_pending_and_the_repetition_finds_the_refund(paid: Service) -> None:
    paid.razorpay.trouble = loses_the_answer(paid)
    answer = paid.refund()
    assert (answer.status, answer.body["refund_id"], answer.body["status"]) == (202, None, "pending")
    again = paid.refund()
    assert (again.status, again.body["refund_id"], refunds(paid)) == (200, REFUND, [AMOUNT])


def test_what_never_arrived_is_sent_again_after_a_quarter_of_an_hour(paid: Service) -> None:
    paid.razorpay.script.append(Reply(504))
    assert paid.refund().status == 202
    assert paid.refund().status == 202
    assert paid.razorpay.paths() == [PATH, LIST]
    paid.clock.now += QUARTER_OF_AN_HOUR_S
    assert paid.refund().status == 201
    assert paid.razorpay.paths()[2:] == [LIST, PATH]
    first, *_, last = [asked for asked in paid.razorpay.asked if asked.method == "POST"]
    assert (last.body, last.headers["x-refund-idempotency"]) == (first.body, first.headers["x-refund-idempotency"])


def test_reconcile_settles_what_nobody_repeats(paid: Service) -> None:
    paid.razorpay.trouble = loses_the_answer(paid)
    paid.refund()
    for _ in range(3):
        paid.clock.now += 61
        paid.run("outbox", {})
        paid.run("reconcile", {"lane": "watch"})
    assert paid.read().body["status"] == "refunded"
    assert paid.cloud.types()[-1] == "payment.refunded"


def test_an_unreachable_table_is_a_503_and_the_repetition_finds_the_refund(paid: Service) -> None:
    paid.razorpay.trouble = lambda _: paid.cloud.fail_always("UpdateItem", faults.times_out)
    assert paid.refund().status == 503
    paid.cloud.heal()
    paid.razorpay.trouble = lambda _: None
    assert (paid.refund().status, refunds(paid)) == (200, [AMOUNT])


# --- what cannot be refunded ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("amount", ["500", 499.51, "99999999.99"])
def test_more_than_what_remains_is_refused_before_razorpay_is_asked(paid: Service, amount: Any) -> None:
    answer = paid.refund({"amount": amount})
    assert (answer.status, answer.code) == (400, "invalid_request")
    assert answer.body["errors"] == [{"field": "amount", "message": "is more than what remains of the payment"}]
    assert paid.razorpay.asked == []


def test_two_requests_cannot_together_exceed_the_payment(paid: Service) -> None:
    paid.razorpay.script.append(Reply(504))
    paid.refund({"amount": 300}, key="the-first-of-two-keys")
    answer = paid.refund({"amount": 300}, key="the-second-of-two-keys")
    assert (answer.status, answer.body["errors"][0]["field"]) == (400, "amount")


@pytest.mark.parametrize(
    ("description", "more", "status", "code"),
    [
        ("The payment has been fully refunded already", {}, 409, "nothing_to_refund"),
        ("The payment status should be captured for action to be taken", {}, 409, "nothing_to_refund"),
        ("The refund amount provided is greater than amount captured", {"field": "amount"}, 400, "invalid_request"),
        ("The amount must be at least INR 1.00", {"field": "amount"}, 400, "invalid_request"),
        (
            "Refund is not supported by the bank because the payment is more than 6 months old",
            {},
            409,
            "refund_too_old",
        ),
        ("invalid request sent", {"reason": "NA", "step": "NA", "source": "NA"}, 409, "insufficient_balance"),
        ("Your account does not have enough balance to carry out the refund", {}, 409, "insufficient_balance"),
        ("Something that is documented nowhere", {}, 502, "gateway_refused"),
    ],
)
def test_a_refusal_of_razorpays_has_its_own_answer_and_keeps_it(
    paid: Service, description: str, more: dict[str, str], status: int, code: str
) -> None:
    paid.razorpay.script.append(refusal(400, description, **more))
    for _ in range(2):
        answer = paid.refund()
        assert (answer.status, answer.code) == (status, code)
    assert paid.razorpay.paths() == [PATH]
    # Its amount is free again, under another key.
    assert paid.refund(key="a-key-of-another-try").status == 201


def test_the_two_conflicts_of_the_idempotency_key_are_told_apart(paid: Service) -> None:
    paid.razorpay.script.append(refusal(409, "Another request with the same idempotency key is still in progress."))
    assert paid.refund({"amount": 100}).status == 202
    different = "Different request with the same idempotency key has already been processed."
    paid.razorpay.script.append(refusal(409, different, reason="NA", step="NA", source="NA"))
    assert paid.refund({"amount": 100}, key="another-key-entirely").status == 502
    assert [review["reason"] for review in paid.cloud.item(events.ORDER_ID)["review"]] == ["refund_in_doubt"]


def test_refused_keys_are_a_502_and_the_request_may_be_repeated_at_once(paid: Service) -> None:
    paid.razorpay.script.append(refusal(401, "Authentication failed", reason="NA"))
    answer = paid.refund()
    assert (answer.status, answer.code) == (502, "gateway_refused")
    assert paid.refund().status == 201


def test_throttling_is_a_503_and_the_request_may_be_repeated_at_once(paid: Service) -> None:
    paid.razorpay.script.append(Reply(429, b"Too many requests"))
    answer = paid.refund()
    assert (answer.status, answer.code, answer.headers["Retry-After"]) == (503, "gateway_unavailable", "5")
    assert paid.refund().status == 201


def test_an_unpaid_order_has_nothing_to_refund(ordered: Service) -> None:
    answer = ordered.refund()
    assert (answer.status, answer.code) == (409, "nothing_to_refund")


@pytest.mark.parametrize("order_id", [events.UNKNOWN_ORDER_ID, "order_1", "pay_DESlfW9H8K9uqM", "../payments"])
def test_an_order_that_does_not_exist_is_not_found(paid: Service, order_id: str) -> None:
    answer = paid.refund(order_id=order_id)
    assert (answer.status, answer.code, paid.razorpay.asked) == (404, "order_not_found", [])


# --- what is no request ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "key", [None, "", "short-key", "k" * 65, "ключ-идемпотентности", "with a space in it", "a" * 10 + "\n"]
)
def test_the_idempotency_key_is_mandatory_and_has_a_form(paid: Service, key: str | None) -> None:
    answer = paid.refund(key=key)
    assert (answer.status, answer.code) == (400, "invalid_request")
    assert [error["field"] for error in answer.body["errors"]] == ["Idempotency-Key"]
    assert paid.outside_calls() == []


@pytest.mark.parametrize(
    ("document", "field"),
    [
        ({"amount": None}, "amount"),
        ({"amount": 0}, "amount"),
        ({"amount": -1}, "amount"),
        ({"amount": True}, "amount"),
        ({"amount": "1e3"}, "amount"),
        ({"amount": "१००"}, "amount"),
        ({"amount": [100]}, "amount"),
        ({"amount": 1.001}, "amount"),
        ({"razorpay_payment_id": "pay_1"}, "razorpay_payment_id"),
        ({"razorpay_payment_id": "pay_00000000000009"}, "razorpay_payment_id"),
        ({"reason": "because"}, "reason"),
        ({"speed": "optimum"}, "speed"),
    ],
)
def test_a_wrong_field_is_named_and_nobody_is_asked_for_money(
    paid: Service, document: dict[str, Any], field: str
) -> None:
    answer = paid.refund(document)
    assert (answer.status, answer.code) == (400, "invalid_request")
    assert [error["field"] for error in answer.body["errors"]] == [field]
    assert paid.razorpay.asked == []


# --- who may ask ----------------------------------------------------------------------------------------------------


def test_without_an_aws_signature_the_route_refuses_whatever_the_token(paid: Service) -> None:
    event = events.from_service(events.ORDER_ID, {}, key=KEY)
    event["requestContext"]["identity"]["userArn"] = None
    event["headers"]["Authorization"] = f"Bearer {token(scope=SCOPE)}"
    answer = paid.invoke(event)
    assert (answer.status, answer.code, paid.outside_calls()) == (403, "forbidden", [])


def test_the_route_for_tokens_is_closed_unless_a_scope_is_set(paid: Service) -> None:
    answer = by_token(paid, scope=SCOPE)
    assert (answer.status, answer.code, paid.outside_calls()) == (403, "forbidden", [])


@pytest.fixture
def opened(paid: Service, monkeypatch: pytest.MonkeyPatch) -> Service:
    monkeypatch.setenv("REFUND_SCOPE", SCOPE)
    return paid


@pytest.mark.parametrize("scope", [SCOPE, f"read {SCOPE}", f"{SCOPE} write"])
def test_a_token_with_the_scope_may_refund(opened: Service, scope: str) -> None:
    assert by_token(opened, scope=scope).status == 201


@pytest.mark.parametrize(
    "scope",
    [
        None,
        "",
        "read",
        f"{SCOPE}s",
        f"x{SCOPE}",
        SCOPE.upper(),
        f"read,{SCOPE}",
        f"read\t{SCOPE}",
        f"{SCOPE}\n",
        f"read\u00a0{SCOPE}",
        SCOPE.replace("e", "е"),  # noqa: RUF001 - Cyrillic, on purpose
    ],
)
def test_any_other_token_may_not(opened: Service, scope: str | None) -> None:
    answer = by_token(opened, scope=scope)
    assert (answer.status, answer.code, opened.outside_calls()) == (403, "forbidden", [])


def test_the_client_and_the_freelancer_of_the_payment_may_not_either(opened: Service) -> None:
    for user_id in (events.CLIENT, events.FREELANCER):
        event = events.from_service(events.ORDER_ID, {}, key=KEY, caller=None, token=token(user_id=user_id))
        assert opened.invoke(event).status == 403


def test_no_token_is_a_401(opened: Service) -> None:
    event = events.from_service(events.ORDER_ID, {}, key=KEY, caller=None)
    assert (opened.invoke(event).status, opened.outside_calls()) == (401, [])


def test_neither_route_logs_the_key_the_token_or_who_signed(opened: Service) -> None:
    opened.refund()
    by_token(opened, scope=SCOPE)
    said = opened.output()
    for word in (KEY, events.CALLER_ARN, "111122223333", token(scope=SCOPE)):
        assert word not in said
    assert all(line["order_id"] == events.ORDER_ID for line in opened.log())


# --- settings -------------------------------------------------------------------------------------------------------

NEEDED = {"PAYMENTS_TABLE", "STAGE", "RAZORPAY_KEY_ID", "RAZORPAY_KEY_SECRET"}


def test_without_its_settings_it_answers_500_and_logs_which_ones(
    paid: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ENVIRONMENT:
        monkeypatch.delenv(name)
    assert (paid.refund().status, paid.metrics()) == (500, ["ConfigurationErrors"])
    (line,) = paid.log()
    assert {problem.partition(" ")[0] for problem in line["problems"]} == NEEDED


def test_unless_tokens_may_refund_it_needs_no_key_of_theirs(paid: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ENVIRONMENT.keys() - NEEDED:
        monkeypatch.delenv(name)
    assert paid.refund().status == 201
    monkeypatch.setenv("REFUND_SCOPE", SCOPE)
    assert paid.refund().status == 500


def test_a_scope_is_one_scope(paid: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REFUND_SCOPE", "read payments:refund")
    assert paid.refund().status == 500
    (line,) = paid.log()
    assert line["problems"] == ["REFUND_SCOPE must be one scope, such as payments:refund"]
