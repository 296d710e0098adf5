"""Disputes as Razorpay documents them: api/disputes/*.md, payments/disputes.md, webhooks/disputes.md."""

from typing import Any

import pytest
import razorpay

from tests.gateway.gateway import Gateway
from tests.gateway.test_shapes import Sample, differences


def paid(gateway: Gateway) -> str:
    payment_id: str = gateway.pay(gateway.order()["id"])["razorpay_payment_id"]
    return payment_id


def opened(gateway: Gateway, payment_id: str, **fields: Any) -> str:
    dispute_id: str = gateway.control("POST", f"payments/{payment_id}/dispute", fields)["id"]
    return dispute_id


def move(gateway: Gateway, dispute_id: str, status: str, **fields: Any) -> Any:
    return gateway.control("PUT", f"disputes/{dispute_id}", {"status": status, **fields})


def refused(gateway: Gateway, method: str, path: str, document: dict[str, Any]) -> str:
    answer = gateway.http.request(method, f"{gateway.url}/_control/{path}", json=document, timeout=5)
    assert answer.status_code == 422
    return str(answer.json()["detail"])


def test_a_listed_dispute_has_its_samples_keys_and_types(gateway: Gateway, sample: Sample) -> None:
    opened(gateway, paid(gateway))
    listed = gateway.sdk.dispute.all()
    assert differences(sample("api.disputes"), listed) == set()
    assert gateway.sdk.dispute.fetch(listed["items"][0]["id"]) == listed["items"][0]


def test_disputes_are_listed_newest_first_in_pages(gateway: Gateway) -> None:
    payment_id = paid(gateway)
    made = [opened(gateway, payment_id) for _ in range(3)]
    assert [item["id"] for item in gateway.sdk.dispute.all({"count": 2})["items"]] == made[:0:-1]
    assert [item["id"] for item in gateway.sdk.dispute.all({"count": 2, "skip": 2})["items"]] == made[:1]


def test_the_list_takes_no_period_because_none_is_documented(gateway: Gateway) -> None:
    with pytest.raises(razorpay.errors.BadRequestError, match="from"):
        gateway.sdk.dispute.all({"from": 1_700_000_000})


@pytest.mark.parametrize(
    ("dispute_id", "said"), [("disp_x", "is not a valid id"), ("disp_AAAAAAAAAAAAAA", "not exist")]
)
def test_an_unknown_dispute_is_refused(gateway: Gateway, dispute_id: str, said: str) -> None:
    with pytest.raises(razorpay.errors.BadRequestError, match=said):
        gateway.sdk.dispute.fetch(dispute_id)


def test_a_lost_dispute_takes_its_sum_and_leaves_the_payment_as_it_is(gateway: Gateway) -> None:
    payment_id = paid(gateway)
    before = gateway.sdk.payment.fetch(payment_id)
    lost = move(gateway, opened(gateway, payment_id, amount=20_000), "lost")
    assert (lost["status"], lost["amount"], lost["amount_deducted"]) == ("lost", 20_000, 20_000)
    assert gateway.sdk.payment.fetch(payment_id) == before


def test_a_dispute_sent_back_for_more_evidence_is_open_again(gateway: Gateway) -> None:
    dispute_id = opened(gateway, paid(gateway))
    assert move(gateway, dispute_id, "under_review")["status"] == "under_review"
    assert move(gateway, dispute_id, "action_required")["status"] == "open"
    told = [event["event"] for event in gateway.events() if "dispute" in event["event"]]
    assert told == [f"payment.dispute.{name}" for name in ("created", "under_review", "action_required")]
    assert {event["dispute_id"] for event in gateway.events() if "dispute" in event["event"]} == {dispute_id}


@pytest.mark.parametrize("end", ["won", "lost", "closed"])
def test_a_decided_dispute_moves_no_more(gateway: Gateway, end: str) -> None:
    dispute_id = opened(gateway, paid(gateway), phase="fraud")
    move(gateway, dispute_id, end)
    said = refused(gateway, "PUT", f"disputes/{dispute_id}", {"status": "under_review"})
    assert said == f"{dispute_id} is {end}; what can follow is: nothing, it is decided"


def test_what_cannot_be_is_refused(gateway: Gateway) -> None:
    unpaid = gateway.pay(gateway.order()["id"], capture="later")["razorpay_payment_id"]
    assert "never captured" in refused(gateway, "POST", f"payments/{unpaid}/dispute", {})
    payment_id = paid(gateway)
    assert "amount can be" in refused(gateway, "POST", f"payments/{payment_id}/dispute", {"amount": 50_001})
    assert "phase can be" in refused(gateway, "POST", f"payments/{payment_id}/dispute", {"phase": "x"})
    assert "minor units" in refused(gateway, "POST", f"payments/{payment_id}/dispute", {"amount": "1"})
    dispute_id = opened(gateway, payment_id)
    assert "phase fraud" in refused(gateway, "PUT", f"disputes/{dispute_id}", {"status": "closed"})
    assert "status can be" in refused(gateway, "PUT", f"disputes/{dispute_id}", {"status": "open"})
    said = refused(gateway, "PUT", f"disputes/{dispute_id}", {"status": "won", "amount_deducted": 1})
    assert said.startswith("a loss takes 0 to 50000")


def test_the_ledger_has_every_dispute_and_its_story(gateway: Gateway) -> None:
    dispute_id = opened(gateway, paid(gateway))
    move(gateway, dispute_id, "lost", amount_deducted=0)
    ledger = gateway.control("GET", "ledger")
    assert [(one["id"], one["status"], one["amount_deducted"]) for one in ledger["disputes"]] == [
        (dispute_id, "lost", 0)
    ]
    assert [entry["what"] for entry in ledger["story"] if entry["dispute_id"] == dispute_id] == [
        "payment.dispute.created",
        "payment.dispute.lost",
    ]


def test_the_list_of_disputes_lags_and_a_dispute_does_not(gateway: Gateway) -> None:
    dispute_id = opened(gateway, paid(gateway))
    gateway.control("PUT", "faults", {"lists_lag_s": 3600})
    assert gateway.sdk.dispute.all()["items"] == []
    assert gateway.sdk.dispute.fetch(dispute_id)["status"] == "open"
