"""The settlement check: any honest report agrees, and every difference has its name."""

import csv
import io
from copy import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from ops.settlements import COLUMNS, Kind, accounting, major
from payments.core.model import RefundState, Status
from sandbox.gateway.settlements import NothingToSettleError
from tests.gateway.account import NOW
from tests.ops.books import DAY, Books, found

type Purchase = tuple[int, str, list[int]]
"""An amount in paise, how it is paid, and how many percent of it are refunded, one refund after the other."""

purchases = st.lists(
    st.tuples(
        st.integers(200, 10**9),
        st.sampled_from(["paid", "failed", "twice", "more", "offer", "fee", "fee later", "uncaptured", "not ours"]),
        st.lists(st.integers(1, 60), max_size=3),
    ),
    min_size=1,
    max_size=6,
)
adjustments = st.lists(st.integers(-(10**6), 10**6).filter(bool), max_size=2)


def happen(books: Books, purchase: Purchase) -> None:
    amount, how, refunds = purchase
    account = books.account
    account.switch(
        fee_bearer="customer" if how == "fee" else "platform",
        fee_reported="later" if how == "fee later" else "at_capture",
    )
    order = account.order(amount=amount, receipt="invoice 7") if how == "not ours" else books.order(amount)
    ways: dict[str, dict[str, Any]] = {
        "failed": {"outcome": "failure"},
        "more": {"amount": amount + 1},
        "offer": {"offer": amount // 2},
        "uncaptured": {"capture": "later"},
    }
    payment = account.attempt(order, **ways.get(how, {}))
    if how == "twice":
        account.attempt(order, force=True)
    if how == "uncaptured":
        account.world.return_uncaptured(payment)
    for percent in refunds:
        back = max(payment.amount * percent // 100, 100)
        if payment.captured and back <= payment.amount - payment.amount_refunded:
            account.refund(payment, amount=back)


def ledger(stories: list[list[Purchase]], corrections: list[int]) -> Books:
    """An account with one settlement a day."""
    books = Books()
    for day, story in enumerate(stories):
        books.account.now = NOW + day * 86400
        for purchase in story:
            happen(books, purchase)
        try:
            books.settle(*corrections)
        except NothingToSettleError:
            assume(condition=False)
    return books


few = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow]
)


# --- any ledger, any mistake ---


@few
@given(st.lists(purchases, min_size=1, max_size=2), adjustments)
def test_any_ledger_agrees_on_each_of_its_days(stories: list[list[Purchase]], corrections: list[int]) -> None:
    books = ledger(stories, corrections)
    compared = [books.compare(day=DAY + timedelta(days=number)) for number in range(len(stories))]
    assert [found(comparison) for comparison in compared] == [[]] * len(stories)
    rows = sum(len(comparison.lines) for comparison in compared)
    assert rows == sum(total.rows for comparison in compared for total in comparison.totals) > 0
    for comparison in compared:
        for total in comparison.totals:
            assert total.payments + total.refunds + total.fees + total.others == total.net == total.paid


@few
@given(purchases, st.data())
def test_any_paisa_in_any_sum_of_any_row_is_found_and_named(story: list[Purchase], data: st.DataObject) -> None:
    books = ledger([story], [])
    rows = books.rows()
    row = data.draw(st.sampled_from(rows))
    name, by = data.draw(st.sampled_from(["amount", "credit", "debit", "fee"])), data.draw(st.sampled_from([1, -1]))
    assume(row[name] + by >= 0)
    row[name] += by
    comparison = books.compare(rows)
    assert row["entity_id"] in {about for _, about in found(comparison)}


@few
@given(purchases, st.data())
def test_any_missing_row_is_found_by_its_settlement(story: list[Purchase], data: st.DataObject) -> None:
    books = ledger([story], [])
    rows = books.rows()
    missing = rows.pop(data.draw(st.integers(0, len(rows) - 1)))
    kind = "settlement_differs" if rows else "settlement_without_rows"
    assert found(books.compare(rows)) == [(kind, missing["settlement_id"])]


@few
@given(purchases, st.data())
def test_any_doubled_row_is_found_and_named(story: list[Purchase], data: st.DataObject) -> None:
    books = ledger([story], [])
    rows = books.rows()
    doubled = data.draw(st.sampled_from(rows))
    comparison = books.compare([*rows, doubled])
    assert found(comparison) == [
        ("row_twice", doubled["entity_id"]),
        ("settlement_differs", doubled["settlement_id"]),
    ]


@few
@given(purchases, st.data())
def test_any_paisa_in_the_table_is_found_and_named(story: list[Purchase], data: st.DataObject) -> None:
    books = ledger([story], [])
    ours = [line for line in books.compare().lines if line.listed_as in {"payment", "refund"}]
    assume(ours)
    line = data.draw(st.sampled_from(ours))
    record, about = line.record, line.row.entity_id
    assert record is not None
    if line.listed_as == "refund":
        refund = record.refunds[about]
        changed = replace(
            record, refunds={**record.refunds, about: replace(refund, amount_minor=refund.amount_minor + 1)}
        )
    else:
        attempt = record.attempts[about]
        name = data.draw(st.sampled_from(["amount_minor", *(["fee_minor"] if attempt.fee_minor is not None else [])]))
        wrong = replace(attempt, **{name: getattr(attempt, name) + 1})
        changed = replace(record, attempts={**record.attempts, about: wrong})
    books.table.records[record.order_id] = changed
    assert [entity_id for _, entity_id in found(books.compare())] == [about]


# --- each difference by its name ---


@pytest.fixture
def books() -> Books:
    return Books()


def test_a_paisa_more_at_razorpay_is_named_with_both_sums(books: Books) -> None:
    payment = books.pay()
    books.settle()
    books.account.switch(settlement_report=[{"entity_id": payment.id, "add": {"amount": 1, "credit": 1}}])
    amount, total = books.compare().differences
    assert amount.to_json() == {
        "kind": "other_amount",
        "entity_id": payment.id,
        "reported": 50001,
        "recorded": 50000,
        "currency": "INR",
    }
    assert (total.kind, total.reported, total.recorded) == ("settlement_differs", 48820, 48821)


def test_an_order_that_the_table_does_not_have_is_unknown(books: Books) -> None:
    payment = books.pay()
    books.settle()
    del books.table.records[payment.order_id]
    assert found(books.compare()) == [("unknown_order", payment.id)]


def test_an_order_of_which_nobody_knows_yet_whose_it_is_is_unknown(books: Books) -> None:
    payment = books.pay()
    books.settle()
    record = books.table.records[payment.order_id]
    books.table.records[payment.order_id] = replace(record, order=None, status=Status.UNKNOWN)
    assert found(books.compare()) == [("unknown_order", payment.id)]


def test_a_payment_that_the_record_does_not_have_is_unknown(books: Books) -> None:
    payment = books.pay()
    books.settle()
    record = books.table.records[payment.order_id]
    books.table.records[payment.order_id] = replace(record, attempts={})
    assert found(books.compare()) == [("payment_unknown", payment.id)]


def test_a_payment_that_is_not_captured_in_the_table_is_named(books: Books) -> None:
    payment = books.pay()
    books.settle()
    record = books.table.records[payment.order_id]
    attempt = replace(record.attempts[payment.id], captured=False)
    books.table.records[payment.order_id] = replace(record, attempts={payment.id: attempt})
    assert found(books.compare()) == [("not_captured", payment.id)]


def test_a_refund_that_no_webhook_and_no_sweep_told_is_unknown(books: Books) -> None:
    payment = books.pay()
    books.record()
    refund = books.account.refund(payment, amount=20_000)
    books.account.world.settle()
    assert found(books.compare()) == [("refund_unknown", refund.id)]


def test_a_refund_that_failed_in_the_table_and_was_debited_is_named(books: Books) -> None:
    payment = books.pay()
    refund = books.account.refund(payment, amount=20_000)
    books.settle()
    record = books.table.records[payment.order_id]
    for state, kinds in ((RefundState.FAILED, [("refund_failed", refund.id)]), (RefundState.CREATED, [])):
        changed = replace(record.refunds[refund.id], state=state)
        books.table.records[payment.order_id] = replace(record, refunds={refund.id: changed})
        assert found(books.compare()) == kinds


def test_a_refund_of_another_payment_is_named(books: Books) -> None:
    payment = books.pay()
    books.account.refund(payment, amount=20_000)
    books.settle()
    rows = books.rows()
    rows[1]["payment_id"] = "pay_00000000000000"
    assert found(books.compare(rows)) == [("other_payment", rows[1]["entity_id"])]


@pytest.mark.parametrize("place", [0, 1])
def test_another_currency_is_named(books: Books, place: int) -> None:
    books.account.refund(books.pay(), amount=20_000)
    books.settle()
    rows = books.rows()
    rows[place]["currency"] = "USD"
    assert found(books.compare(rows)) == [("other_currency", rows[place]["entity_id"])]


def test_a_refund_whose_row_names_no_order_is_found_by_its_own_id(books: Books) -> None:
    books.account.refund(books.pay(), amount=20_000)
    books.settle()
    rows = books.rows()
    rows[1] |= {"order_id": None, "ours": None}
    comparison = books.compare(rows)
    assert found(comparison) == []
    assert comparison.counts() == {"payment": 1, "refund": 1, "fees_compared": 1}


def test_a_fee_that_differs_from_the_recorded_one_is_named(books: Books) -> None:
    payment = books.pay()
    books.settle()
    books.account.switch(settlement_report=[{"entity_id": payment.id, "add": {"fee": 1, "credit": -1}}])
    kinds = [kind for kind, _ in found(books.compare())]
    assert kinds == ["other_fee", "settlement_differs"]


def test_a_fee_that_nobody_reported_to_us_is_compared_with_the_credit_alone(books: Books) -> None:
    books.account.switch(fee_reported="later")
    payment = books.pay()
    books.settle()
    assert books.compare().counts()["fees_compared"] == 0
    books.account.switch(settlement_report=[{"entity_id": payment.id, "add": {"fee": 1}}])
    assert found(books.compare()) == [("sums_disagree", payment.id)]


def test_a_tax_above_its_fee_is_named_and_the_table_has_no_tax_to_compare(books: Books) -> None:
    payment = books.pay()
    books.settle()
    rows = books.rows()
    rows[0]["tax"] += 1
    assert found(books.compare(rows)) == []
    rows[0]["tax"] = rows[0]["fee"] + 1
    assert found(books.compare(rows)) == [("sums_disagree", payment.id)]


def test_a_row_without_a_transfer_to_the_bank_is_named(books: Books) -> None:
    payment = books.pay()
    settled = books.settle()
    for change, kinds in (
        ({"settled": False}, [("not_settled", payment.id)]),
        ({"on_hold": True}, [("not_settled", payment.id)]),
        ({"settlement_utr": None}, [("other_utr", payment.id)]),
        ({"settlement_utr": "AXISCN1153863727"}, [("other_utr", payment.id)]),
        ({"settlement_id": None}, [("settlement_unknown", payment.id), ("settlement_without_rows", settled.id)]),
    ):
        rows = books.rows()
        rows[0] |= change
        assert found(books.compare(rows)) == kinds, change


def test_a_settlement_that_razorpay_does_not_list_or_did_not_pay_is_named(books: Books) -> None:
    books.pay()
    settled = books.settle()
    assert found(books.compare(changed={"status": "failed"})) == [("settlement_not_processed", settled.id)]
    assert found(books.compare(changed={"amount": 1})) == [("settlement_differs", settled.id)]
    assert found(books.compare(changed={"id": "setl_00000000000000"})) == [
        ("settlement_unknown", settled.id),
        ("settlement_without_rows", "setl_00000000000000"),
    ]


def test_an_entry_that_is_not_as_documented_is_named(books: Books) -> None:
    books.pay()
    settled = books.settle()
    unreadable = {"unreadable": True, "entity_id": None}
    assert found(books.compare([*books.rows(), unreadable])) == [("unreadable", None)]
    known = {"unreadable": True, "entity_id": "pay_00000000000000"}
    assert found(books.compare([known])) == [
        ("unreadable", "pay_00000000000000"),
        ("settlement_without_rows", settled.id),
    ]


def test_every_kind_of_difference_is_documented(request: pytest.FixtureRequest) -> None:
    page = (request.config.rootpath / "docs/settlements.md").read_text(encoding="utf-8")
    assert [kind for kind in Kind if f"| `{kind.value}` |" not in page] == []


# --- what is only listed ---


def test_disputes_and_adjustments_are_listed_as_such_and_counted_in_the_total(books: Books) -> None:
    books.pay()
    books.settle(1012)
    books.account.now += 60
    dispute = books.account.world.open_dispute(books.pay())
    books.account.world.move_dispute(dispute, "lost", deducted=5000)
    books.settle()
    comparison = books.compare()
    assert found(comparison) == []
    assert [(line.listed_as, line.row.dispute_id) for line in comparison.listed()] == [
        ("adjustment", None),
        ("dispute", dispute.id),
    ]
    assert [total.others for total in comparison.totals] == [1012, -5000]


def test_a_transfer_is_listed_and_debited_with_its_fee(books: Books) -> None:
    """The sums of the documented transfer."""
    books.pay()
    settled = books.settle()
    row = books.rows()[0] | {"entity_id": "trf_DEUoCEtdsJgvl7", "type": "transfer", "order_id": None, "ours": None}
    sums = {"debit": 1296, "credit": 0, "amount": 1000, "fee": 296, "tax": 46}
    paid = settled.amount - 1296
    comparison = books.compare([*books.rows(), row | sums], changed={"amount": paid})
    assert (found(comparison), comparison.counts()["transfer"]) == ([], 1)
    wrong = books.compare([*books.rows(), row | sums | {"debit": 1297}], changed={"amount": paid - 1})
    assert found(wrong) == [("sums_disagree", "trf_DEUoCEtdsJgvl7")]


def test_other_systems_payments_on_the_account_are_listed_and_not_looked_for(books: Books) -> None:
    other = books.account.order(receipt="invoice 7")
    books.account.refund(books.account.attempt(other), amount=10_000)
    books.pay()
    books.settle()
    rows = books.rows()
    comparison = books.compare(rows)
    assert found(comparison) == []
    assert [line.listed_as for line in comparison.lines] == ["not_ours", "payment", "not_ours"]
    # A payment link has no order at all.
    rows[0] |= {"order_id": None, "ours": None}
    assert books.compare(rows).lines[0].listed_as == "not_ours"
    # Without a receipt nobody can tell, and a person looks.
    rows[0] |= {"order_id": other.id}
    assert found(books.compare(rows)) == [("unknown_order", rows[0]["entity_id"])]


def test_an_order_that_the_table_knows_to_be_anothers_is_listed(books: Books) -> None:
    payment = books.pay()
    books.settle()
    record = books.table.records[payment.order_id]
    books.table.records[payment.order_id] = replace(record, order=None, status=Status.UNKNOWN, foreign=True)
    comparison = books.compare()
    assert (found(comparison), comparison.counts()) == ([], {"not_ours": 1, "fees_compared": 0})


def test_sums_of_other_currencies_are_not_calculated_with(books: Books) -> None:
    books.pay()
    books.settle()
    rows = books.rows()
    rows[0] |= {"currency": "USD", "fee": 300}
    assert ("sums_disagree", rows[0]["entity_id"]) not in found(books.compare(rows))


# --- for accounting ---


def test_a_day_without_rows_agrees(books: Books) -> None:
    comparison = books.compare()
    assert (comparison.agrees, comparison.totals, comparison.counts()) == (True, [], {"fees_compared": 0})


def test_the_file_for_accounting_has_every_row_in_major_units(books: Books) -> None:
    payment = books.pay(49_951)
    refund = books.account.refund(payment, amount=20_000)
    settled = books.settle(-1012)
    books.account.switch(settlement_report=[{"entity_id": refund.id, "copies": 2}])
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS)
    writer.writeheader()
    writer.writerows(accounting(books.compare()))
    lines = list(csv.DictReader(io.StringIO(text.getvalue())))
    # 2 % of 499.51, and 18 % tax on it, as the stand-in charges.
    assert lines[0] == {
        "day": "2026-03-01",
        "settlement_id": settled.id,
        "utr": settled.utr,
        "settled_at": "2026-03-01T09:30:00Z",
        "type": "payment",
        "entity_id": payment.id,
        "razorpay_payment_id": payment.id,
        "order_id": payment.order_id,
        "payment_id": "1",
        "job_id": "11",
        "application_id": "1",
        "currency": "INR",
        "amount": "499.51",
        "fee": "11.79",
        "tax": "1.80",
        "credit": "487.72",
        "debit": "0.00",
        "dispute_id": "",
        "differences": "",
    }
    assert [(line["entity_id"], line["debit"], line["differences"]) for line in lines[1:3]] == [
        (refund.id, "200.00", ""),
        (refund.id, "200.00", "row_twice"),
    ]
    assert (lines[3]["type"], lines[3]["debit"], lines[3]["utr"]) == ("adjustment", "10.12", "")


@pytest.mark.parametrize(
    ("minor", "currency", "text"),
    [
        (1, "INR", "0.01"),
        (-101, "INR", "-1.01"),
        (10**17 + 1, "INR", "1000000000000000.01"),
        (500, "JPY", "500"),
        (1230, "KWD", "1.230"),
    ],
)
def test_minor_units_are_written_exactly(minor: int, currency: str, text: str) -> None:
    assert major(minor, currency) == text
