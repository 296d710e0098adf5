import json
from collections.abc import Iterable
from copy import replace
from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payments.core.model import (
    Authorized,
    Captured,
    Disputed,
    DisputeState,
    Fact,
    Failed,
    Refunded,
    RefundState,
    RefundTotal,
)
from payments.core.webhooks import UnusableEvent, read_delivery

SAMPLES = Path(__file__).parents[1] / "gateway" / "samples"


def sample(name: str) -> Any:
    """A documented body, or the exact text of a real one."""
    return json.loads((SAMPLES / f"{name}.json").read_text(encoding="utf-8"))["body"]


def raw(body: object) -> bytes:
    return body.encode() if isinstance(body, str) else json.dumps(body).encode()


def changed(name: str, **changes: object) -> dict[str, Any]:
    """A sample with some members changed, each by its path: `payment__amount` is one of the payment's."""
    body: dict[str, Any] = sample(name)
    for path, value in changes.items():
        kind, _, member = path.partition("__")
        target = body["payload"][kind]["entity"] if member else body
        target[member or kind] = value
    return body


def bare(facts: Iterable[Fact]) -> tuple[Fact, ...]:
    """Facts without times, fees and Razorpay's totals, which have separate tests."""
    said: list[Any] = [fact for fact in facts if not isinstance(fact, RefundTotal)]
    names = ("created_at", "fee_minor", "at")
    return tuple(replace(fact, **{name: None for name in names if hasattr(fact, name)}) for fact in said)


NETBANKING = "webhook.payment.authorized.netbanking"
REFUND = "webhook.refund.processed.netbanking"
PARTIALLY_REFUNDED = Captured(payment="pay_FPoJKWQQ8lK13n", amount_minor=500_000, currency="INR", method="netbanking")
DOCUMENTED_REFUND = "rfnd_FS8TWyPrCsa0OB"


def documented_refund(state: RefundState) -> Refunded:
    return Refunded(payment="pay_FPoJKWQQ8lK13n", refund=DOCUMENTED_REFUND, amount_minor=50_000, state=state)


@pytest.mark.parametrize(
    ("body", "event", "created_at", "order_id", "facts"),
    [
        pytest.param(
            sample(NETBANKING),
            "payment.authorized",
            1567674606,
            "order_DESlLckIVRkHWj",
            (Authorized(payment="pay_DESlfW9H8K9uqM", method="netbanking"),),
            id="payment.authorized",
        ),
        pytest.param(
            sample("webhook.payment.captured.upi"),
            "payment.captured",
            1567675356,
            "order_DESxiijbl9xjDB",
            (Captured(payment="pay_DESyzxuld02Zul", amount_minor=100, currency="INR", method="upi"),),
            id="payment.captured",
        ),
        pytest.param(
            sample("webhook.payment.failed.card"),
            "payment.failed",
            1691735748,
            "order_DESoU0U4ikYA19",
            (Failed(payment="pay_DESp9bgForNoUd", method="card"),),
            id="payment.failed, although its payload says captured: true",
        ),
        pytest.param(
            sample("webhook.order.paid.netbanking"),
            "order.paid",
            1567674606,
            "order_DESlLckIVRkHWj",
            (Captured(payment="pay_DESlfW9H8K9uqM", amount_minor=100, currency="INR", method="netbanking"),),
            id="order.paid",
        ),
        pytest.param(
            sample("webhook.refund.created.netbanking"),
            "refund.created",
            1597734071,
            "order_FPoIeimWki9j8A",
            (PARTIALLY_REFUNDED, documented_refund(RefundState.CREATED)),
            id="refund.created, although its payload says processed",
        ),
        pytest.param(
            sample(REFUND),
            "refund.processed",
            1597734071,
            "order_FPoIeimWki9j8A",
            (PARTIALLY_REFUNDED, documented_refund(RefundState.PROCESSED)),
            id="refund.processed",
        ),
        pytest.param(
            changed(REFUND, event="refund.failed", refund__status="failed"),
            "refund.failed",
            1597734071,
            "order_FPoIeimWki9j8A",
            (PARTIALLY_REFUNDED, documented_refund(RefundState.FAILED)),
            id="refund.failed",
        ),
        pytest.param(
            sample("measured.payment.captured.netbanking"),
            "payment.captured",
            1787923803,
            "order_TVCpvdEADkAoMJ",
            (Captured(payment="pay_TVCsKe6a4pkI5j", amount_minor=100, currency="INR", method="netbanking"),),
            id="payment.captured as on the wire",
        ),
        pytest.param(
            sample("measured.refund.created.netbanking"),
            "refund.created",
            1787923854,
            "order_TVCpvdEADkAoMJ",
            (
                Captured(payment="pay_TVCsKe6a4pkI5j", amount_minor=100, currency="INR", method="netbanking"),
                Refunded(
                    payment="pay_TVCsKe6a4pkI5j",
                    refund="rfnd_TVCtCeHGHVUVuT",
                    amount_minor=100,
                    state=RefundState.CREATED,
                ),
            ),
            id="refund.created as on the wire: payment refunded, captured still true",
        ),
    ],
)
def test_a_known_body_gives_exactly_these_facts(
    body: object, event: str, created_at: int, order_id: str, facts: tuple[Fact, ...]
) -> None:
    delivery = read_delivery(raw(body))
    assert (delivery.event, delivery.created_at, delivery.order_id) == (event, created_at, order_id)
    assert bare(delivery.facts) == facts


@pytest.mark.parametrize(
    ("captured", "status"),
    [
        (True, "authorized"),
        (True, "failed"),
        (True, None),
        (False, "captured"),
        (None, "captured"),
        (False, "refunded"),
    ],
)
def test_a_refunds_payment_is_captured_only_where_its_members_agree(captured: object, status: object) -> None:
    delivery = read_delivery(raw(changed(REFUND, payment__captured=captured, payment__status=status)))
    assert bare(delivery.facts) == (documented_refund(RefundState.PROCESSED),)


@pytest.mark.parametrize("name", ["payment.authorized", "payment.failed"])
def test_an_events_name_decides_whatever_its_payload_says(name: str) -> None:
    body = changed("webhook.payment.captured.upi", event=name)
    assert not any(isinstance(fact, Captured) for fact in read_delivery(raw(body)).facts)


@pytest.mark.parametrize(
    "name",
    [
        "payment.dispute.reopened",
        "refund.speed_changed",
        "payment_link.paid",
        "invoice.paid",
    ],
)
def test_other_events_bring_no_facts_even_if_they_name_a_payment(name: str) -> None:
    delivery = read_delivery(raw(changed("webhook.payment.captured.upi", event=name)))
    assert (delivery.event, delivery.order_id, delivery.facts) == (name, None, ())


def test_a_settlement_brings_no_facts() -> None:
    body = {
        "entity": "event",
        "account_id": "acc_PR7UDve9UNcOxW",
        "event": "settlement.processed",
        "contains": ["settlement"],
        "payload": {"settlement": {"entity": {"id": "setl_Rf8uva1MU98B4l", "amount": 1524, "status": "processed"}}},
        "created_at": 1763021990,
    }
    assert not read_delivery(raw(body)).facts


@pytest.mark.parametrize("name", [NETBANKING, "webhook.payment.captured.upi", "webhook.payment.failed.card", REFUND])
def test_a_payment_without_an_order_is_none_of_ours(name: str) -> None:
    body = changed(name, payment__order_id=None)
    assert read_delivery(raw(body)).order_id is None
    del body["payload"]["payment"]["entity"]["order_id"]
    assert read_delivery(raw(body)).order_id is None


def test_an_event_with_an_odd_name_is_ignored_and_not_repeated() -> None:
    delivery = read_delivery(raw({"event": "someone@example.com", "payload": {}}))
    assert (delivery.event, delivery.facts) == ("unreadable", ())


@pytest.mark.parametrize("created_at", [None, "1567674606", True, 1.5, [1]])
def test_a_time_that_is_no_integer_is_no_time(created_at: object) -> None:
    assert read_delivery(raw(changed(NETBANKING, created_at=created_at))).created_at is None


def test_a_key_that_occurs_twice_is_forgiven_as_in_razorpays_own_sample() -> None:
    assert read_delivery(b'{"entity":"event",' + raw(sample(NETBANKING))[1:]).facts


@pytest.mark.parametrize(
    "word",
    ["gaurav.kumar@example.com", "a b", "x" * 65, "", 5, None, ["card"], "naïve", "919876543210", "card_41111111"],
)
def test_a_method_or_code_that_is_no_plain_word_is_not_kept(word: object) -> None:
    body = changed(
        "webhook.payment.failed.card", payment__method=word, payment__error_code=word, payment__error_reason=word
    )
    assert bare(read_delivery(raw(body)).facts) == (Failed(payment="pay_DESp9bgForNoUd"),)


# --- what cannot be used --------------------------------------------------------------------------------------------

MARK = "gaurav.kumar@example.com"


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\xff", id="no text"),
        pytest.param(f"{{{MARK}".encode(), id="no JSON"),
        pytest.param(raw([MARK]), id="an array"),
        pytest.param(raw({"entity": MARK}), id="no event name"),
        pytest.param(raw({"event": [MARK]}), id="an event name that is no text"),
        pytest.param(raw({"event": "payment.captured"}), id="no payload"),
        pytest.param(raw({"event": "payment.captured", "payload": MARK}), id="a payload that is no object"),
        pytest.param(raw({"event": "payment.captured", "payload": {"payment": {}}}), id="no entity"),
        pytest.param(raw(changed(NETBANKING, payment__id=MARK)), id="an odd payment id"),
        pytest.param(raw(changed(NETBANKING, payment__id="pay_DESlfW9H8K9uqM\n")), id="a payment id and a newline"),
        pytest.param(raw(changed(NETBANKING, payment__order_id=MARK)), id="an odd order id"),
        pytest.param(raw(changed(NETBANKING, payment__order_id="")), id="an empty order id"),
        pytest.param(raw(changed(NETBANKING, payment__amount=MARK)), id="an amount in words"),
        pytest.param(raw(changed(NETBANKING, payment__amount=100.0)), id="an amount with a point"),
        pytest.param(raw(changed(NETBANKING, payment__amount=True)), id="a bool for an amount"),
        pytest.param(raw(changed(NETBANKING, payment__amount="100")), id="an amount in quotes"),
        pytest.param(raw(changed(NETBANKING, payment__amount=-1)), id="a negative amount"),
        pytest.param(raw(changed(NETBANKING, payment__amount=2**53)), id="an amount that no double holds"),
        pytest.param(raw(changed(REFUND, refund__amount=10**40)), id="a refund that no table holds"),
        pytest.param(raw(changed(NETBANKING, payment__currency=MARK)), id="an odd currency"),
        pytest.param(raw(changed(REFUND, refund__amount=0)), id="a refund of nothing"),
        pytest.param(raw(changed(REFUND, refund__id=MARK)), id="an odd refund id"),
        pytest.param(raw(changed(REFUND, refund__payment_id="pay_DESlfW9H8K9uqM")), id="a refund of another payment"),
        pytest.param(
            raw(changed("webhook.order.paid.netbanking", order__id="order_DESxiijbl9xjDB")),
            id="another order's payment",
        ),
    ],
)
def test_a_body_that_cannot_be_used_is_named_without_any_of_its_values(body: bytes) -> None:
    with pytest.raises(UnusableEvent) as unusable:
        read_delivery(body)
    said = f"{unusable.value.why} {unusable.value} {unusable.value.ids}"
    assert MARK not in said
    assert "@" not in said


def test_the_ids_of_an_unusable_event_are_kept_for_a_person() -> None:
    with pytest.raises(UnusableEvent) as unusable:
        read_delivery(raw(changed(REFUND, refund__amount="50000")))
    assert unusable.value.ids == {
        "event": "refund.processed",
        "razorpay_payment_id": "pay_FPoJKWQQ8lK13n",
        "order_id": "order_FPoIeimWki9j8A",
        "refund_id": "rfnd_FS8TWyPrCsa0OB",
    }
    assert unusable.value.why == "unexpected shape: refund.entity.amount int_type"


@pytest.mark.parametrize(
    ("body", "why", "ids"),
    [
        pytest.param(b"{", "not JSON", {}, id="not JSON"),
        pytest.param(b"[]", "not an event", {}, id="not an event"),
        pytest.param(
            raw(changed("webhook.order.paid.netbanking", order__id="order_DESxiijbl9xjDB")),
            "the payment and the order do not belong together",
            {
                "event": "order.paid",
                "razorpay_payment_id": "pay_DESlfW9H8K9uqM",
                "order_id": "order_DESxiijbl9xjDB",
            },
            id="another order's payment",
        ),
        pytest.param(
            raw(changed(REFUND, refund__payment_id="pay_DESlfW9H8K9uqM")),
            "the refund and the payment do not belong together",
            {
                "event": "refund.processed",
                "razorpay_payment_id": "pay_DESlfW9H8K9uqM",
                "order_id": "order_FPoIeimWki9j8A",
                "refund_id": DOCUMENTED_REFUND,
            },
            id="another payment's refund",
        ),
        pytest.param(
            raw(changed(NETBANKING, payment__amount="100", payment__currency="inr")),
            "unexpected shape: payment.entity.amount int_type; payment.entity.currency string_pattern_mismatch",
            {
                "event": "payment.authorized",
                "razorpay_payment_id": "pay_DESlfW9H8K9uqM",
                "order_id": "order_DESlLckIVRkHWj",
            },
            id="two things at once",
        ),
    ],
)
def test_an_unusable_event_says_all_that_is_wrong_and_which_it_is(body: bytes, why: str, ids: dict[str, str]) -> None:
    with pytest.raises(UnusableEvent) as unusable:
        read_delivery(body)
    assert (str(unusable.value), unusable.value.why, unusable.value.ids) == (why, why, ids)


def test_a_failure_says_why_in_razorpays_words() -> None:
    body = changed(
        "webhook.payment.failed.card",
        payment__error_code="BAD_REQUEST_ERROR",
        payment__error_reason="payment_cancelled",
    )
    assert bare(read_delivery(raw(body)).facts) == (
        Failed(payment="pay_DESp9bgForNoUd", code="BAD_REQUEST_ERROR", reason="payment_cancelled", method="card"),
    )


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(data=st.data())
def test_any_damage_to_a_body_leaves_it_usable_or_unusable_and_nothing_worse(data: st.DataObject) -> None:
    body = sample(data.draw(st.sampled_from([NETBANKING, REFUND, "webhook.order.paid.netbanking"])))
    target: Any = body
    while isinstance(target, dict) and target:
        key = data.draw(st.sampled_from(sorted(target)))
        if not isinstance(target[key], dict) or data.draw(st.booleans()):
            target[key] = data.draw(VALUES)
            break
        target = target[key]
    try:
        delivery = read_delivery(raw(body))
    except UnusableEvent:
        return
    assert isinstance(delivery.facts, tuple)


@given(st.binary())
def test_any_bytes_are_usable_or_unusable(body: bytes) -> None:
    try:
        read_delivery(body)
    except UnusableEvent:
        return


def test_a_payment_of_nothing_and_a_refund_of_one_paisa_are_read_as_they_are() -> None:
    (captured,) = read_delivery(raw(changed("webhook.payment.captured.upi", payment__amount=0))).facts
    assert isinstance(captured, Captured)
    assert captured.amount_minor == 0
    (*_, refunded) = bare(read_delivery(raw(changed(REFUND, refund__amount=1))).facts)
    assert isinstance(refunded, Refunded)
    assert refunded.amount_minor == 1


def test_what_was_read_cannot_be_changed() -> None:
    delivery = read_delivery(raw(sample(NETBANKING)))
    with pytest.raises(FrozenInstanceError):
        delivery.order_id = None  # type: ignore[misc]  # what is tried


# --- times, fees and totals -----------------------------------------------------------------------------------------


def entity(name: str, kind: str = "payment") -> Any:
    return sample(name)["payload"][kind]["entity"]


def test_a_capture_tells_razorpays_fee_and_when_the_payment_was_made() -> None:
    name = "webhook.payment.captured.upi"
    (captured,) = read_delivery(raw(sample(name))).facts
    assert isinstance(captured, Captured)
    assert (captured.fee_minor, captured.created_at) == (entity(name)["fee"], entity(name)["created_at"])
    assert captured.fee_minor


def test_a_failure_happened_when_its_event_was_made() -> None:
    name = "webhook.payment.failed.card"
    (failed,) = read_delivery(raw(sample(name))).facts
    assert isinstance(failed, Failed)
    assert (failed.at, failed.listed_at) == (sample(name)["created_at"], None)


def test_razorpays_sum_of_refunds_is_evidence_beside_the_facts() -> None:
    facts = read_delivery(raw(sample(REFUND))).facts
    totals = [fact for fact in facts if isinstance(fact, RefundTotal)]
    amount = entity(REFUND)["amount_refunded"]
    assert totals == [RefundTotal(payment="pay_FPoJKWQQ8lK13n", amount_minor=amount, complete=False)]
    assert facts[-1] is totals[0]


@pytest.mark.parametrize("odd", [None, "5", True, -1, 1.5, 2**53, []])
def test_a_number_that_is_none_makes_a_body_no_worse(odd: object) -> None:
    body = changed(REFUND, payment__fee=odd, payment__amount_refunded=odd, payment__created_at=odd)
    captured, refunded = read_delivery(raw(body)).facts
    assert captured == PARTIALLY_REFUNDED
    assert isinstance(refunded, Refunded)


# --- disputes -------------------------------------------------------------------------------------------------------

DISPUTES = {
    "created": DisputeState.OPEN,
    "under_review": DisputeState.UNDER_REVIEW,
    "action_required": DisputeState.ACTION_REQUIRED,
    "closed": DisputeState.CLOSED,
    "won": DisputeState.WON,
    "lost": DisputeState.LOST,
}


@pytest.mark.parametrize(("name", "state"), DISPUTES.items())
def test_each_documented_sample_of_a_dispute_is_the_state_of_its_events_name(name: str, state: DisputeState) -> None:
    """Two samples show the payment as authorized and not captured, and `action_required` has the status `open`."""
    body = sample(f"webhook.payment.dispute.{name}.card")
    delivery = read_delivery(raw(body))
    dispute, payment = (body["payload"][kind]["entity"] for kind in ("dispute", "payment"))
    assert delivery.order_id == payment["order_id"]
    assert delivery.facts == (
        Disputed(
            payment=payment["id"],
            dispute=dispute["id"],
            amount_minor=dispute["amount"],
            currency="INR",
            state=state,
            deducted_minor=39_000 if name == "lost" else 0,
            phase=dispute["phase"],
            reason_code=dispute["reason_code"],
            respond_by=1_590_431_400,
            created_at=dispute["created_at"],
            at=body["created_at"],
        ),
    )


LOST = "webhook.payment.dispute.lost.card"


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"dispute__payment_id": "pay_DESlfW9H8K9uqM"}, "the dispute and the payment do not belong together"),
        ({"dispute__amount_deducted": "39000"}, "unexpected shape: dispute.entity.amount_deducted int_type"),
        ({"dispute__amount_deducted": -1}, "unexpected shape: dispute.entity.amount_deducted greater_than_equal"),
        ({"dispute__id": "disp_x"}, "unexpected shape: dispute.entity.id string_pattern_mismatch"),
        ({"dispute__currency": None}, "unexpected shape: dispute.entity.currency string_type"),
    ],
)
def test_a_dispute_whose_money_or_ids_cannot_be_read_is_unusable(changes: dict[str, Any], why: str) -> None:
    with pytest.raises(UnusableEvent) as caught:
        read_delivery(raw(changed(LOST, **changes)))
    assert caught.value.why == why
    assert caught.value.ids["event"] == "payment.dispute.lost"


def test_an_unusable_dispute_is_named_in_the_log() -> None:
    with pytest.raises(UnusableEvent) as caught:
        read_delivery(raw(changed(LOST, dispute__amount=None)))
    assert caught.value.ids == {
        "event": "payment.dispute.lost",
        "order_id": "order_EFtkA6f5jdkfud",
        "razorpay_payment_id": "pay_EFtmUsbwpXwBHI",
        "dispute_id": "disp_EsIAlDcoUr8CaQ",
    }


def test_of_the_payment_of_a_dispute_only_ids_are_read() -> None:
    body = changed(LOST)
    body["payload"]["payment"]["entity"] = {
        "id": "pay_EFtmUsbwpXwBHI",
        "order_id": "order_EFtkA6f5jdkfud",
        "amount": "?",
    }
    assert [type(fact) for fact in read_delivery(raw(body)).facts] == [Disputed]


@pytest.mark.parametrize(
    ("changes", "kept"),
    [
        ({"dispute__reason_code": "x" * 65}, (None, "chargeback", 1_590_431_400)),
        ({"dispute__reason_code": "call me on 9900000000"}, (None, "chargeback", 1_590_431_400)),
        ({"dispute__phase": 7}, ("processed_invalid_expired_card", None, 1_590_431_400)),
        ({"dispute__respond_by": 10**15}, ("processed_invalid_expired_card", "chargeback", None)),
        ({"dispute__respond_by": None}, ("processed_invalid_expired_card", "chargeback", None)),
    ],
)
def test_a_detail_of_a_dispute_that_is_no_code_or_date_is_dropped(changes: dict[str, Any], kept: object) -> None:
    (fact,) = read_delivery(raw(changed(LOST, **changes))).facts
    assert isinstance(fact, Disputed)
    assert (fact.reason_code, fact.phase, fact.respond_by) == kept
