"""Which day the settlement report is of, and which of its fields leave the service."""

import json
from datetime import UTC, date, datetime
from typing import Any

import pytest

from payments.core.listing import Origin
from payments.core.settlements import report_day, seconds_of, shown_settlement, shown_transaction
from tests.gateway.conftest import SAMPLES

ORIGIN = Origin(stage="production", installation="1f2e3d4c")
# Lambda refuses a synchronous response above this ("Lambda quotas").
RESPONSE_BYTES = 6 * 1024 * 1024
ROWS_OF_A_PAGE = 500

SHOWN = {
    "entity_id",
    "type",
    "debit",
    "credit",
    "amount",
    "currency",
    "fee",
    "tax",
    "on_hold",
    "settled",
    "created_at",
    "settled_at",
    "settlement_id",
    "settlement_utr",
    "payment_id",
    "order_id",
    "method",
    "dispute_id",
    "ours",
}


def documented(name: str = "api.settlements.report") -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = json.loads((SAMPLES / f"{name}.json").read_text())["body"]["items"]
    return items


def at(*moment: int) -> int:
    return int(datetime(*moment, tzinfo=UTC).timestamp())  # type: ignore[misc, arg-type]  # year, month, day, …


# --- days ---

NO_DAY = "^there is no such day in the calendar$"
NO_FORM = "^the day is written as YYYY-MM-DD$"


def test_yesterday_in_india_is_a_past_day_from_midnight_there() -> None:
    # 18:30 in UTC is midnight in India.
    assert report_day("2026-03-01", at(2026, 3, 1, 18, 30)) == date(2026, 3, 1)
    with pytest.raises(ValueError, match="yesterday in India, 2026-02-28"):
        report_day("2026-03-01", at(2026, 3, 1, 18, 29))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("2026-02-29", NO_DAY),
        ("2026-13-01", NO_DAY),
        ("1999-12-31", "from 2000-01-01"),
        ("2026-3-1", NO_FORM),
        (" 2026-03-01", NO_FORM),
        ("2026-W09-7", NO_FORM),
        (None, NO_FORM),
        (20260301, NO_FORM),
    ],
)
def test_what_is_no_day_is_refused(text: object, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        report_day(text, at(2026, 4, 1))


def test_a_leap_day_is_a_day_and_so_is_the_first_that_razorpays_lists_accept() -> None:
    assert report_day("2000-01-01", at(2026, 4, 1)) == date(2000, 1, 1)
    assert report_day("2024-02-29", at(2026, 4, 1)) == date(2024, 2, 29)


def test_a_day_has_all_its_seconds_in_india() -> None:
    first, last = seconds_of(date(2026, 3, 1))
    assert (first, last) == (at(2026, 2, 28, 18, 30), at(2026, 3, 1, 18, 29, 59))


# --- rows ---


def test_the_documented_rows_keep_their_sums_and_ids() -> None:
    for item in documented():
        shown = shown_transaction(item, ORIGIN)
        assert shown.keys() == SHOWN
        assert {name: shown[name] for name in SHOWN - {"ours"}} == {name: item[name] for name in SHOWN - {"ours"}}


def test_no_other_field_of_a_row_leaves_the_service() -> None:
    private = {
        "description": "Asha Rao, Pune",
        "notes": {"email": "asha@example.com"},
        "order_receipt": "Asha Rao 9876543210",
        "card_issuer": "KARB",
        "card_network": "Visa",
        "email": "asha@example.com",
        "method": "asha@example.com",
        "settlement_utr": "asha@example.com",
        "dispute_id": "Asha Rao",
        "order_id": "Asha Rao",
    }
    text = json.dumps(shown_transaction(documented()[0] | private, ORIGIN))
    assert not [word for word in ("Asha", "asha", "9876543210", "KARB", "Visa", "Beam me up") if word in text]


@pytest.mark.parametrize(
    ("receipt", "ours"),
    [
        ("production-1f2e3d4c-7", True),
        ("production-ffffffff-7", False),
        ("staging-1f2e3d4c-7", False),
        ("invoice 7", False),
        (None, None),
    ],
)
def test_an_order_is_ours_by_the_beginning_of_its_receipt(receipt: str | None, ours: bool | None) -> None:
    assert shown_transaction(documented()[0] | {"order_receipt": receipt}, ORIGIN)["ours"] is ours


def test_a_field_of_razorpays_does_not_say_whether_an_order_is_ours() -> None:
    row = documented()[0] | {"order_receipt": "production-1f2e3d4c-7", "ours": "Asha Rao"}
    assert shown_transaction(row, ORIGIN)["ours"] is True


def test_nobody_can_tell_whose_an_order_is_before_the_table_has_a_name() -> None:
    origin = Origin(stage="production", installation=None)
    assert shown_transaction(documented()[0] | {"order_receipt": "production-1f2e3d4c-7"}, origin)["ours"] is None


@pytest.mark.parametrize(
    "change",
    [
        {"amount": "100000"},
        {"amount": None},
        {"credit": 1.5},
        {"debit": -1},
        {"fee": True},
        {"currency": "rupees"},
        {"type": "Asha Rao"},
        {"entity_id": 5},
        {"settled": None},
        {"order_receipt": 7},
    ],
)
def test_a_row_that_is_not_as_documented_is_named_and_not_left_out(change: dict[str, Any]) -> None:
    item = documented()[0] | change
    known = item["entity_id"] if isinstance(item["entity_id"], str) else None
    assert shown_transaction(item, ORIGIN) == {"unreadable": True, "entity_id": known}


def test_the_documented_settlements_are_shown_without_fields_that_nobody_needs() -> None:
    for item in documented("api.settlements"):
        assert shown_settlement(item | {"beneficiary": "Asha Rao"}) == {
            name: item[name] for name in ("id", "amount", "status", "utr", "created_at")
        }
    assert shown_settlement({"id": "setl_DGlQ1Rj8os78Ec"}) == {"unreadable": True, "entity_id": "setl_DGlQ1Rj8os78Ec"}


def test_the_largest_page_is_far_below_what_lambda_returns() -> None:
    most = 2**53 - 1
    largest = documented()[0] | {
        "entity_id": f"adjustmentss_{'x' * 14}",
        "type": "x" * 32,
        "settlement_utr": "x" * 40,
        "method": "x" * 64,
        **dict.fromkeys(("debit", "credit", "amount", "fee", "tax", "created_at", "settled_at"), most),
        **dict.fromkeys(("settlement_id", "payment_id", "order_id", "dispute_id"), f"twelveletter_{'x' * 14}"),
    }
    shown = shown_transaction(largest, ORIGIN)
    assert "unreadable" not in shown
    assert len(json.dumps([shown] * ROWS_OF_A_PAGE)) < RESPONSE_BYTES / 10
