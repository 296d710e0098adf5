import json
from pathlib import Path
from typing import Any

import pytest

from sandbox.live.timeline import Sources, money, noted_at, payment, timeline
from tests.live.stories import (
    BEGIN,
    CUSTOMER,
    FIRST,
    ORDER,
    REFUND,
    SECOND,
    attempt,
    change,
    gateway_payment,
    instant,
    note,
    paid_record,
    record,
    three_webhooks,
    webhook,
)

PROJECT = Path(__file__).parents[2]


def titles(sources: Sources) -> list[str]:
    return [entry["title"] for entry in timeline(sources)]


def entry_of(sources: Sources, kind: str) -> dict[str, Any]:
    (entry,) = (entry for entry in timeline(sources) if entry["kind"] == kind)
    return entry


def test_a_payment_is_told_in_order_though_most_sides_know_the_second_alone() -> None:
    sources = Sources(
        record=paid_record(),
        deliveries=three_webhooks(),
        payments=[gateway_payment()],
        notes={"job": [note()], "application": [note()], "notification": [note()]},
    )

    assert titles(sources) == [
        "Created",
        "Payment by UPI captured",
        "payment.authorized answered 200",
        "Authorised",
        "Signature is valid",
        "order.paid answered 200",
        "Captured",
        "payment.paid recorded",
        "Job noted payment.paid",
        "Application noted payment.paid",
        "Notification noted payment.paid",
        "payment.captured answered 200",
    ]


def test_every_entry_has_a_key_of_its_own_that_stays_when_more_is_known() -> None:
    before = Sources(record=record(), deliveries=three_webhooks()[:1])
    after = Sources(record=paid_record(), deliveries=three_webhooks(), notes={"job": [note()]})

    keys = [entry["key"] for entry in timeline(after)]

    assert len(set(keys)) == len(keys)
    assert {entry["key"] for entry in timeline(before)} <= set(keys)


def test_only_the_times_that_are_known_to_the_millisecond_are_called_exact() -> None:
    sources = Sources(record=paid_record(), deliveries=three_webhooks(), payments=[gateway_payment()])

    exact = {entry["kind"] for entry in timeline(sources) if entry["exact"]}

    assert exact == {"attempt", "delivery"}
    assert entry_of(Sources(record=record()), "order")["at"] == BEGIN


def test_without_the_stand_in_the_record_and_the_inboxes_tell_the_story() -> None:
    sources = Sources(record=paid_record(), notes={"job": [note()]})

    assert titles(sources) == [
        "Created",
        "Payment by UPI captured",
        "Authorised",
        "Signature is valid",
        "Captured",
        "payment.paid recorded",
        "Job noted payment.paid",
    ]


def test_the_change_that_a_refused_webhook_stored_comes_behind_that_webhook() -> None:
    refused = webhook("payment.captured", attempt(5.4, 503, "refused"), attempt(6.1), at=5.2)
    sources = Sources(
        record=record(
            status="paid",
            confirmed=True,
            version=2,
            history=[change(0, "created", "created"), change(5, f"captured {FIRST}", "paid")],
        ),
        deliveries=[refused],
        notes={"job": [note(version=2, at=6)]},
    )

    assert titles(sources)[1:] == [
        "payment.captured answered 503",
        "Captured",
        "payment.paid recorded",
        "payment.captured answered 200",
        "Job noted payment.paid",
    ]


def test_what_reconcile_found_is_not_put_down_to_a_webhook_that_came_later() -> None:
    late = webhook("payment.captured", attempt(7.5), at=2.0)
    sources = Sources(
        record=record(
            status="paid",
            confirmed=True,
            version=2,
            payments={FIRST: {"captured": True, "amount": 49950, "currency": "INR"}},
            history=[change(0, "created", "created"), change(7, f"captured {FIRST}", "paid")],
        ),
        deliveries=[late],
        payments=[gateway_payment()],
        notes={"job": [note(version=2, at=7)]},
    )

    # Both are within second 7, in unknown order; reconcile stored it without the webhook, unless that was in progress
    # by then.
    moments = {entry["title"]: entry["at"] for entry in timeline(sources)}
    assert moments["payment.captured answered 200"] == BEGIN + 7.5
    assert moments["Captured"] in {BEGIN + 7.0, BEGIN + 7.5}
    assert titles(sources).index("Captured") < titles(sources).index("Job noted payment.paid")


def test_a_change_is_never_before_the_change_that_preceded_it() -> None:
    history = [
        change(0, "created", "created"),
        change(6, f"captured {FIRST}", "paid"),
        change(5, f"authorized {FIRST}", "paid"),
    ]
    sources = Sources(record=record(version=3, history=history))

    assert titles(sources) == ["Created", "Captured", "Authorised"]


def test_versions_are_counted_from_the_end_because_a_long_history_is_cut() -> None:
    history = [change(5, f"authorized {FIRST}", "authorized"), change(6, f"captured {FIRST}", "paid")]

    details = [entry["detail"] for entry in timeline(Sources(record=record(version=120, history=history)))]

    assert details == [
        "the payment is authorised · version 119",
        "the payment is paid and confirmed · version 120",
    ]


@pytest.mark.parametrize(
    ("tried", "title", "mood", "detail"),
    [
        (attempt(5.2), "payment.failed answered 200", "good", "30 ms · event evtpaymentfailed"),
        (attempt(5.2, 500, "refused"), "payment.failed answered 500", "bad", "30 ms · event evtpaymentfailed"),
        (attempt(5.2, None, "timeout"), "payment.failed no answer in time", "bad", "30 ms · event evtpaymentfailed"),
        (attempt(5.2, None, "unreachable"), "payment.failed not reachable", "bad", "30 ms · event evtpaymentfailed"),
        (attempt(5.2, None, "lost"), "payment.failed lost on the way", "bad", "30 ms · event evtpaymentfailed"),
        (
            attempt(5.2, 200, "ignored"),
            "payment.failed accepted, but the response was lost",
            "wait",
            "30 ms · event evtpaymentfailed",
        ),
        (
            attempt(5.2, extra=True),
            "payment.failed answered 200",
            "good",
            "sent again · 30 ms · event evtpaymentfailed",
        ),
    ],
)
def test_a_delivery_says_how_it_went(tried: dict[str, Any], title: str, mood: str, detail: str) -> None:
    entry = entry_of(Sources(record=record(), deliveries=[webhook("payment.failed", tried, at=5.2)]), "delivery")

    assert (entry["title"], entry["mood"], entry["detail"]) == (title, mood, detail)


def test_a_second_delivery_is_called_a_retry() -> None:
    told = webhook("order.paid", attempt(5.2, 503, "refused"), attempt(5.5), at=5.2)

    _, retry = (entry for entry in timeline(Sources(record=record(), deliveries=[told])) if entry["kind"] == "delivery")

    assert retry["detail"] == "retry 1 · 30 ms · event evtorderpaid"


@pytest.mark.parametrize(
    ("state", "title"),
    [
        ("pending", "order.paid on its way"),
        ("held", "order.paid held back"),
        ("dropped", "order.paid dropped, never sent"),
        ("not_sent", "order.paid not sent: Razorpay has nowhere to send it"),
        ("expired", "order.paid given up"),
    ],
)
def test_a_webhook_that_did_not_arrive_is_told_of_too(state: str, title: str) -> None:
    told = webhook("order.paid", at=5.2, state=state)

    assert entry_of(Sources(record=record(), deliveries=[told]), "delivery")["title"] == title


def test_a_failed_attempt_says_why() -> None:
    failed = gateway_payment(status="failed", error_reason="incorrect_otp", method="card")

    entry = entry_of(Sources(record=record(), payments=[failed]), "attempt")

    assert (entry["title"], entry["mood"]) == ("Payment by card failed", "bad")
    assert entry["detail"] == f"incorrect otp · {FIRST}"


def test_an_attempt_of_another_sum_is_to_be_looked_at() -> None:
    other = gateway_payment(amount=49900)

    entry = entry_of(Sources(record=record(), payments=[other]), "attempt")

    assert entry["mood"] == "look"
    assert entry["detail"] == f"₹499.00 instead of ₹499.50 · {FIRST}"


def test_a_failed_attempt_that_only_the_record_knows_is_told() -> None:
    known = {FIRST: {"failed": True, "method": "netbanking", "reason": "payment_failed", "announced": True}}
    sources = Sources(
        record=record(
            status="failed",
            version=2,
            payments=known,
            history=[change(0, "created", "created"), change(3, f"failed {FIRST}", "failed")],
        )
    )

    assert entry_of(sources, "attempt")["title"] == "Payment by netbanking failed"
    assert entry_of(sources, "attempt")["at"] == BEGIN + 3
    assert entry_of(sources, "status")["detail"] == "the payment is failed · version 2"


def test_an_event_that_waits_is_shown_as_waiting_and_then_as_published_under_the_same_key() -> None:
    waiting = {"id-of-payment.paid": {"type": "payment.paid", "version": 4, "at": instant(5), "payment": FIRST}}

    before = entry_of(Sources(record=paid_record(pending=waiting)), "event")
    after = entry_of(Sources(record=paid_record(), notes={"job": [note()]}), "event")

    assert (before["mood"], after["mood"]) == ("wait", "good")
    assert before["detail"].startswith("version 4 · waits to be published")
    assert after["detail"].startswith("version 4 · published")
    assert before["key"] == after["key"]


def test_an_event_that_some_have_noted_while_it_still_counts_as_pending_waits() -> None:
    waiting = {"id-of-payment.paid": {"type": "payment.paid", "version": 4, "at": instant(5), "payment": FIRST}}
    sources = Sources(record=paid_record(pending=waiting), notes={"job": [note()]})

    assert entry_of(sources, "event")["mood"] == "wait"
    assert entry_of(sources, "inbox")["title"] == "Job noted payment.paid"


def partly_refunded(**fields: Any) -> dict[str, Any]:
    story = paid_record()
    return paid_record(
        version=5,
        refunds={REFUND: {"payment": FIRST, "amount": 19950, "state": "processed"}},
        history=[*story["history"], change(9, f"refund processed {REFUND}", "paid")],
    ) | dict(fields)


def test_an_event_that_nobody_listens_to_is_shown_all_the_same() -> None:
    sources = Sources(record=partly_refunded())

    assert entry_of(sources, "event")["title"] == "payment.partially_refunded recorded"
    assert entry_of(sources, "event")["detail"] == "version 5 · published · none of the services here subscribes"


def test_an_event_that_nobody_listens_to_keeps_its_key_when_it_is_published() -> None:
    waiting = {
        "an-id": {
            "type": "payment.partially_refunded",
            "version": 5,
            "at": instant(9),
            "payment": FIRST,
            "refund": REFUND,
        }
    }

    before = entry_of(Sources(record=partly_refunded(pending=waiting)), "event")

    assert before["mood"] == "wait"
    assert before["key"] == entry_of(Sources(record=partly_refunded()), "event")["key"]


def test_a_refund_is_told_with_its_sum_and_behind_the_payment_it_pays_back() -> None:
    sources = Sources(
        record=partly_refunded(),
        deliveries=[
            webhook("refund.processed", attempt(9.4), at=9.35, refund_id=REFUND),
        ],
        refunds=[
            {"id": REFUND, "payment_id": FIRST, "amount": 19950, "currency": "INR", "status": "processed"}
            | {"created_at": BEGIN + 9}
        ],
    )

    assert titles(sources)[-4:] == [
        "₹199.50 processed",
        "refund.processed answered 200",
        "Refunded",
        "payment.partially_refunded recorded",
    ]


def test_a_review_says_what_a_person_should_look_at() -> None:
    story = paid_record()
    twice = paid_record(
        version=5,
        review=[{"reason": "duplicate_capture", "subject": SECOND, "at": instant(8)}],
        history=[*story["history"], change(8, f"captured {SECOND}", "paid")],
    )
    sources = Sources(record=twice)

    entry = entry_of(sources, "review")

    assert entry["mood"] == "look"
    assert SECOND in entry["detail"]
    assert titles(sources)[-2:] == ["A person should look", "payment.review recorded"]


def twice_captured(**fields: Any) -> dict[str, Any]:
    story = paid_record()
    second = {"captured": True, "amount": 49950, "currency": "INR", "verdict": "exact", "matched": 5}
    return paid_record(
        version=5,
        payments={**story["payments"], SECOND: second},
        review=[{"reason": "duplicate_capture", "subject": SECOND, "at": instant(8)}],
        history=[*story["history"], change(8, f"captured {SECOND}", "paid")],
    ) | dict(fields)


def test_a_review_that_is_resolved_says_why_and_is_no_longer_to_be_looked_at() -> None:
    twice = twice_captured()
    resolved = {**twice["review"][0], "resolved_at": instant(12), "resolution": "returned"}
    sources = Sources(
        record=twice_captured(
            version=6,
            review=[resolved],
            refunds={REFUND: {"payment": SECOND, "amount": 49950, "state": "processed"}},
            history=[*twice["history"], change(12, f"refund processed {REFUND}", "paid")],
        )
    )

    reviews = [entry for entry in timeline(sources) if entry["kind"] == "review"]

    assert [(entry["title"], entry["mood"]) for entry in reviews] == [
        ("A person should look", "plain"),
        ("The review is closed", "good"),
    ]
    assert reviews[1]["detail"] == f"The money was paid back. · duplicate capture · {SECOND}"
    assert (payment(Sources(record=twice))["reviews"], payment(sources)["reviews"]) == (["duplicate_capture"], [])
    # Opened and resolved are two events; the refund of a second capture does not belong to the payment.
    assert [title for title in titles(sources) if title.endswith("recorded")] == ["payment.review recorded"] * 2
    assert payment(sources)["amount_refunded"] == 0


def test_an_event_of_a_review_keeps_its_key_when_it_is_published() -> None:
    waiting = {
        "an-id": {"type": "payment.review", "version": 5, "at": instant(8), "payment": SECOND}
        | {"review": "duplicate_capture", "review_state": "open"}
    }

    keys = {
        entry["key"]
        for pending in (waiting, {})
        for entry in timeline(Sources(record=twice_captured(pending=pending)))
        if entry["kind"] == "event"
    }

    assert len(keys) == 1


MISMATCH = {"captured": True, "amount": 49900, "currency": "INR"}


@pytest.mark.parametrize(
    ("record_of", "is_checked"),
    [
        ({}, False),
        ({"payments": {FIRST: {"authorized": True}}, "status": "authorized"}, False),
        ({"payments": {FIRST: MISMATCH}, "status": "authorized"}, True),
        ({"payments": {FIRST: MISMATCH | {"accepted": True}}, "status": "paid", "stood": FIRST}, False),
        (
            {"payments": {FIRST: MISMATCH | {"verdict": "fee", "amount": 50950}}, "status": "paid", "stood": FIRST},
            False,
        ),
        ({"payments": {FIRST: MISMATCH | {"verdict": "exact"}}, "status": "authorized"}, True),
        (
            {
                "payments": {FIRST: MISMATCH},
                "refunds": {REFUND: {"payment": FIRST, "amount": 49900, "state": "processed"}},
                "status": "failed",
            },
            False,
        ),
        (
            {
                "payments": {FIRST: MISMATCH},
                "refunds": {REFUND: {"payment": FIRST, "amount": 49899, "state": "processed"}},
                "status": "authorized",
            },
            True,
        ),
        ({"payments": {FIRST: MISMATCH | {"currency": "USD"}}, "status": "authorized"}, True),
    ],
)
def test_a_payment_is_under_review_while_it_holds_money_that_is_not_as_agreed(
    record_of: dict[str, Any], *, is_checked: bool
) -> None:
    assert payment(Sources(record=record(**record_of)))["under_review"] is is_checked


def test_a_second_capture_of_the_agreed_sum_is_looked_at_and_the_purchase_is_as_agreed() -> None:
    assert payment(Sources(record=twice_captured()))["under_review"] is False


def test_an_order_that_expired_says_when_and_shows_its_event_which_nobody_subscribes_to() -> None:
    old = record(
        expired=BEGIN + 4,
        version=2,
        history=[change(0, "created", "created"), change(4, "expired", "created")],
    )
    assert payment(Sources(record=old))["expired_at"] == BEGIN + 4
    assert titles(Sources(record=old)) == ["Created", "Expired", "payment.expired recorded"]


def test_an_order_that_another_one_replaced_says_which() -> None:
    replaced = record(
        superseded_by="order_DESlLckIVRkHWk",
        version=2,
        history=[change(0, "created", "created"), change(4, "superseded by order_DESlLckIVRkHWk", "created")],
    )
    assert payment(Sources(record=replaced))["superseded_by"] == "order_DESlLckIVRkHWk"
    assert titles(Sources(record=replaced)) == ["Created", "Superseded by order_DESlLckIVRkHWk"]


@pytest.mark.parametrize(
    ("what", "title"),
    [
        (f"accepted {FIRST}", "Accepted by an operator"),
        (f"released {FIRST}", "Released by an operator"),
        (f"never captured {FIRST}", "Never captured, for as long as Razorpay was asked"),
        (f"refund requested {FIRST}", "Refund requested through the API"),
        (f"refund requested again {FIRST}", "Refund requested of Razorpay again"),
        (f"refund not taken {FIRST}", "Refund not considered by Razorpay"),
        (f"refund refused {FIRST}", "Refund refused by Razorpay"),
    ],
)
def test_what_nobody_but_an_operator_or_time_decides_is_told(what: str, title: str) -> None:
    story = record(version=2, history=[change(0, "created", "created"), change(4, what, "failed")])
    assert titles(Sources(record=story))[-1] == title


def test_a_refund_that_the_service_requests_is_shown_from_its_request_to_its_event() -> None:
    story = paid_record()
    history = [*story["history"], change(8, f"refund requested {FIRST}", "paid")]
    requested = paid_record(
        version=6,
        refunds={REFUND: {"payment": FIRST, "amount": 19950, "state": "processed"}},
        history=[*history, change(9, f"refund processed {REFUND}", "paid")],
    )

    told = titles(Sources(record=requested))

    assert told[-4:] == [
        "Refund requested through the API",
        "₹199.50 processed",
        "Refunded",
        "payment.partially_refunded recorded",
    ]


def test_every_reason_for_a_review_has_words() -> None:
    reasons = json.loads((PROJECT / "docs/events/payment.review.schema.json").read_text(encoding="utf-8"))
    for reason in reasons["properties"]["review"]["properties"]["reason"]["enum"]:
        story = record(review=[{"reason": reason, "subject": FIRST, "at": instant(0)}])
        assert reason not in entry_of(Sources(record=story), "review")["detail"]


def test_a_record_known_only_from_a_webhook_is_shown_without_an_amount() -> None:
    unknown = record(status="unknown")
    for name in ("payment_id", "amount", "currency"):
        del unknown[name]

    shown = payment(Sources(record=unknown))

    assert (shown["payment_id"], shown["amount"], shown["status"]) == (None, None, "unknown")


def test_a_payment_is_shown_with_what_the_record_says() -> None:
    shown = payment(Sources(record=partly_refunded(pending={})))

    del shown["timeline"]
    assert shown == {
        "order_id": ORDER,
        "payment_id": 7,
        "status": "paid",
        "confirmed": True,
        "version": 5,
        "amount": 49950,
        "currency": "INR",
        "amount_refunded": 19950,
        "amount_disputed": 0,
        "under_review": False,
        "superseded_by": None,
        "expired_at": None,
        "created_at": BEGIN,
        "updated_at": BEGIN + 5,
        "pending": 0,
        "reviews": [],
    }


def test_nothing_personal_and_no_signature_comes_out() -> None:
    signed = [event | {"signature": "5f1d…", "body": json.dumps(CUSTOMER)} for event in three_webhooks()]
    sources = Sources(record=paid_record(), deliveries=signed, payments=[gateway_payment()], notes={"job": [note()]})

    told = json.dumps(payment(sources))

    for secret in (*CUSTOMER.values(), "Gaurav", "1111", "5f1d"):
        assert secret not in told
    assert "client_id" not in told


def test_amounts_are_written_for_people() -> None:
    assert money(250000, "INR") == "₹2,500.00"
    assert money(5, "USD") == "USD 0.05"


def test_when_a_note_was_made_follows_from_when_it_ends() -> None:
    assert noted_at(note(at=12)) == BEGIN + 12
