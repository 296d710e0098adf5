"""Settlements and the report about them, as api/settlements/fetch-recon.md and fetch-all.md document them."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from razorpay.errors import BadRequestError

from sandbox.gateway.settlements import NothingToSettleError
from sandbox.gateway.validation import AdjustmentRequest, ReportQuery
from tests.gateway.account import Account
from tests.gateway.gateway import Gateway
from tests.gateway.test_shapes import differences

SETTLED_AT = 1_568_176_960
"""The sample's `settled_at`: 10:12:40 on 11 September 2019 in India."""
DAY = {"year": 2019, "month": 9, "day": 11}


def settled(gateway: Gateway, count: int = 3, **more: Any) -> list[str]:
    """Some payments, the first of them refunded in part, all settled; the ids of the rows."""
    payments = [gateway.pay(gateway.order(receipt="r-1")["id"])["razorpay_payment_id"] for _ in range(count)]
    gateway.sdk.payment.refund(payments[0], {"amount": 20000})
    made = gateway.control("POST", "settlements", {"settled_at": SETTLED_AT, **more})
    return [row["entity_id"] for row in made["rows"]]


def entity_ids(report: Any) -> list[str]:
    assert report["entity"] == "collection"
    assert report["count"] == len(report["items"])
    return [row["entity_id"] for row in report["items"]]


# --- rows ---


def test_a_report_has_the_documented_keys_and_types(gateway: Gateway, sample: Callable[[str], Any]) -> None:
    settled(gateway, adjustments=[{"amount": 1012, "description": "test reason"}])
    report, documented = gateway.sdk.settlement.report(DAY), sample("api.settlements.report")
    assert differences(documented | {"items": []}, report | {"items": []}) == set()
    sample_of = {row["type"]: row for row in documented["items"]}
    assert {row["type"] for row in report["items"]} == sample_of.keys() - {"transfer"}
    for row in report["items"]:
        assert differences(sample_of[row["type"]], row) == set()
        assert list(row) == list(sample_of[row["type"]])


def test_a_payment_is_credited_without_its_fee_and_a_refund_debited(gateway: Gateway) -> None:
    settled(gateway, count=1)
    payment, refund = gateway.sdk.settlement.report(DAY)["items"]
    charged = gateway.sdk.payment.fetch(payment["entity_id"])
    assert (payment["amount"], payment["fee"], payment["tax"]) == (50000, charged["fee"], charged["tax"])
    assert (payment["credit"], payment["debit"]) == (50000 - charged["fee"], 0)
    assert (refund["amount"], refund["fee"], refund["credit"], refund["debit"]) == (20000, 0, 0, 20000)
    assert (payment["payment_id"], refund["payment_id"]) == (None, payment["entity_id"])
    assert {row["order_id"] for row in (payment, refund)} == {charged["order_id"]}


def test_the_rows_of_a_settlement_add_up_to_its_amount_and_have_its_utr(gateway: Gateway) -> None:
    settled(gateway, adjustments=[{"amount": -5000, "dispute_id": "disp_AHfqOvkldwsbqt"}])
    (settlement,) = gateway.sdk.settlement.all()["items"]
    rows = gateway.sdk.settlement.report(DAY)["items"]
    assert sum(row["credit"] - row["debit"] for row in rows) == settlement["amount"]
    assert {row["settlement_id"] for row in rows} == {settlement["id"]}
    # The documented adjustment has none.
    assert {row["settlement_utr"] for row in rows if row["type"] != "adjustment"} == {settlement["utr"]}
    assert [(row["dispute_id"], row["debit"]) for row in rows if row["type"] == "adjustment"] == [
        ("disp_AHfqOvkldwsbqt", 5000)
    ]


def test_a_settlement_has_the_documented_keys_and_types(gateway: Gateway, sample: Callable[[str], Any]) -> None:
    settled(gateway)
    documented, listed = sample("api.settlements"), gateway.sdk.settlement.all()
    assert differences(documented, listed) == set()
    assert listed["items"][0]["created_at"] == SETTLED_AT


def test_each_transaction_is_settled_once(gateway: Gateway) -> None:
    first = settled(gateway)
    later = settled(gateway)
    assert not set(first) & set(later)
    assert entity_ids(gateway.sdk.settlement.report({**DAY, "count": 1000})) == first + later


def test_only_captured_money_in_rupees_and_processed_refunds_of_it_are_settled() -> None:
    account = Account()
    account.attempt(account.order(), outcome="failure")
    account.world.return_uncaptured(account.attempt(account.order(), capture="later"))
    account.attempt(account.order(currency="USD"))
    paid = account.attempt(account.order())
    account.switch(refunds="pending")
    account.refund(paid, amount=20000)
    assert [row["entity_id"] for row in account.world.settle().rows] == [paid.id]


def test_a_fee_that_the_customer_bears_leaves_the_orders_amount() -> None:
    account = Account()
    account.switch(fee_bearer="customer")
    account.attempt(account.order())
    (row,) = account.world.settle().rows
    assert (row["credit"], row["amount"] - row["fee"]) == (50000, 50000)


def test_what_a_lost_dispute_took_is_deducted_once_as_an_adjustment() -> None:
    account = Account()
    payment = account.attempt(account.order())
    dispute = account.world.open_dispute(payment, amount=20_000)
    assert len(account.world.settle().rows) == 1
    account.world.move_dispute(dispute, "lost", deducted=15_000)
    account.attempt(account.order())
    _, row = account.world.settle().rows
    assert (row["type"], row["dispute_id"], row["debit"], row["credit"]) == ("adjustment", dispute.id, 15_000, 0)
    account.attempt(account.order())
    assert len(account.world.settle().rows) == 1


def test_more_debits_than_credits_are_not_settled() -> None:
    account = Account()
    with pytest.raises(NothingToSettleError, match="0 transactions come to 0 paise"):
        account.world.settle()
    account.attempt(account.order())
    with pytest.raises(NothingToSettleError):
        account.world.settle(adjustments=[AdjustmentRequest(-50000)])


# --- days and pages ---


@pytest.mark.parametrize(
    ("at", "day"),
    [
        (datetime(2026, 3, 1, 18, 29, 59, tzinfo=UTC), (2026, 3, 1)),
        (datetime(2026, 3, 1, 18, 30, 0, tzinfo=UTC), (2026, 3, 2)),
        (datetime(2025, 12, 31, 18, 30, 0, tzinfo=UTC), (2026, 1, 1)),
    ],
)
def test_a_day_begins_at_midnight_in_india(at: datetime, day: tuple[int, int, int]) -> None:
    account = Account()
    account.attempt(account.order())
    account.world.settle(int(at.timestamp()))

    def rows(year: int, month: int, day: int | None) -> int:
        return len(account.world.settlements.report(ReportQuery(year, month, day, count=10, skip=0)))

    assert rows(*day) == 1
    assert rows(day[0], day[1], None) == 1
    assert rows(day[0], day[1], day[2] + 1) == 0
    assert rows(day[0] - 1, day[1], day[2]) == 0


def test_a_report_comes_in_pages_of_up_to_a_thousand_rows(gateway: Gateway) -> None:
    ids = settled(gateway, count=11)
    assert len(ids) == 12
    assert entity_ids(gateway.sdk.settlement.report({**DAY, "count": 1000})) == ids
    assert entity_ids(gateway.sdk.settlement.report({**DAY, "count": 5, "skip": 5})) == ids[5:10]
    assert entity_ids(gateway.sdk.settlement.report({**DAY, "count": 5, "skip": 12})) == []
    assert entity_ids(gateway.sdk.settlement.report({**DAY, "day": 12})) == []
    assert entity_ids(gateway.sdk.settlement.report({"year": 2019, "month": "09", "count": 1000})) == ids


@pytest.mark.parametrize(
    ("change", "field", "complaint"),
    [
        # api/settlements/fetch-recon.md, errors
        ({"year": 19}, "year", "The year must be 4 digits."),
        ({"month": 13}, "month", "The month is not a valid month."),
        ({"month": 0}, "month", "The month is not a valid month."),
        ({"day": 32}, "day", "The day must be between 1 and 2 digits."),
        ({"day": "011"}, "day", "The day must be between 1 and 2 digits."),
        ({"count": 0}, "count", "The count must be at least 1."),
        # its parameters: `1` to `1000`
        ({"count": 1001}, "count", "The count may not be greater than 1000."),
        ({"year": None}, "year", "The year field is required."),
        ({"month": None}, "month", "The month field is required."),
    ],
)
def test_an_impossible_report_is_refused_as_documented(
    gateway: Gateway, change: dict[str, Any], field: str, complaint: str
) -> None:
    query = {name: value for name, value in ({**DAY} | change).items() if value is not None}
    with pytest.raises(BadRequestError, match=complaint):
        gateway.sdk.settlement.report(query)
    answer = gateway.http.get(
        f"{gateway.url}/v1/settlements/recon/combined",
        params=query,
        auth=(gateway.settings.key_id, gateway.settings.key_secret),
        timeout=5,
    )
    assert (answer.status_code, answer.json()["error"]["field"]) == (400, field)


def test_settlements_are_listed_newest_first_by_creation(gateway: Gateway) -> None:
    settled(gateway)
    settled(gateway, settled_at=SETTLED_AT + 86400)
    times = [one["created_at"] for one in gateway.sdk.settlement.all()["items"]]
    assert times == [SETTLED_AT + 86400, SETTLED_AT]
    assert gateway.sdk.settlement.all({"from": SETTLED_AT + 1})["count"] == 1
    assert gateway.sdk.settlement.all({"to": SETTLED_AT, "skip": 1})["count"] == 0
    with pytest.raises(BadRequestError, match="The count may not be greater than 100"):
        gateway.sdk.settlement.all({"count": 101})


# --- the control API ---


def test_a_row_can_be_wrong_by_a_paisa_missing_or_there_twice(gateway: Gateway) -> None:
    ids = settled(gateway)
    before = gateway.sdk.settlement.report(DAY)["items"]
    wrong = [{"entity_id": ids[0], "add": {"amount": 1}}, {"entity_id": ids[1], "copies": 0}]
    gateway.control("PUT", "faults", {"settlement_report": [*wrong, {"entity_id": ids[2], "copies": 2}]})
    report = gateway.sdk.settlement.report(DAY)
    assert entity_ids(report) == [ids[0], ids[2], ids[2], ids[3]]
    assert report["items"][0] == before[0] | {"amount": before[0]["amount"] + 1}
    assert [fault["played"] for fault in gateway.control("GET", "faults")["settlement_report"]] == [1, 1, 1]
    gateway.control("PUT", "faults", {"settlement_report": []})
    assert gateway.sdk.settlement.report(DAY)["items"] == before


@pytest.mark.parametrize(
    ("document", "detail"),
    [
        ({}, "there is nothing to pay out"),
        ({"settled_at": "yesterday"}, "settled_at must be in Unix seconds"),
        ({"settled_at": 1}, "settled_at must be in Unix seconds"),
        ({"adjustments": {}}, "adjustments must be a list"),
        ({"adjustments": [{"amount": 0}]}, "amount is in paise and not 0"),
        ({"adjustments": [{"amount": 1, "note": "x"}]}, "adjustments must be a list"),
        ({"day": 11}, "unknown fields: day"),
    ],
)
def test_an_impossible_settlement_is_refused(gateway: Gateway, document: dict[str, Any], detail: str) -> None:
    answer = gateway.http.post(f"{gateway.url}/_control/settlements", json=document, timeout=5)
    assert answer.status_code == 422
    assert detail in json.dumps(answer.json())


@pytest.mark.parametrize(
    ("rows", "detail"),
    [
        ({}, "settlement_report must be a list"),
        ([{"add": {"amount": 1}}], "entity_id must be the id of a row"),
        ([{"entity_id": "pay_1", "add": {"utr": 1}}], "add must be an object of: amount, credit, debit, fee, tax"),
        ([{"entity_id": "pay_1", "add": {"fee": 0.5}}], "whole numbers of minor units"),
        ([{"entity_id": "pay_1", "copies": 11}], "copies must be a whole number from 0 to 10"),
    ],
)
def test_an_impossible_error_of_the_report_is_refused(gateway: Gateway, rows: Any, detail: str) -> None:
    answer = gateway.http.put(f"{gateway.url}/_control/faults", json={"settlement_report": rows}, timeout=5)
    assert answer.status_code == 422
    assert detail in answer.json()["detail"]


def test_a_reset_forgets_what_was_settled(gateway: Gateway) -> None:
    settled(gateway)
    gateway.control("POST", "reset")
    assert gateway.sdk.settlement.all()["count"] == 0
    assert gateway.sdk.settlement.report(DAY)["count"] == 0
