"""reconcile's command `settlements`, with the real adapter and the stand-in for Razorpay."""

import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from payments.adapters import gateway as adapter
from sandbox.events import ORDERED_AT
from sandbox.gateway.server import Settings
from tests.gateway.gateway import Gateway
from tests.handlers.conftest import start_afresh
from tests.handlers.service import Service, forget_loggers, handler

CONTEXT = SimpleNamespace(get_remaining_time_in_millis=lambda: 290_000)
DAY = "2026-02-28"
# 10:00 on that day in India.
SETTLED_AT = 1_772_253_000


@pytest.fixture(scope="module")
def shared_gateway() -> Iterator[Gateway]:
    with Gateway(Settings()) as running:
        yield running


@pytest.fixture
def account(shared_gateway: Gateway, service: Service, monkeypatch: pytest.MonkeyPatch) -> Gateway:
    """The stand-in, of which the functions are told."""
    assert service.clock.now > ORDERED_AT
    shared_gateway.control("PUT", "webhook", {"url": None})
    shared_gateway.control("POST", "reset")
    monkeypatch.setenv("RAZORPAY_API_URL", shared_gateway.url)
    start_afresh()
    return shared_gateway


def ask(**asked: Any) -> dict[str, Any]:
    forget_loggers()
    report: dict[str, Any] = handler("reconcile")({"settlements": {"day": DAY, **asked}}, CONTEXT)
    return report


def all_of() -> tuple[list[dict[str, Any]], list[dict[str, Any]], int]:
    """The day's settlements and transactions, and how many pages they took."""
    found: dict[str, list[dict[str, Any]]] = {"settlements": [], "transactions": []}
    page, pages = ask(), 1
    while page["next"] is not None:
        found[page["list"]] += page["items"]
        page, pages = ask(**page["next"]["settlements"]), pages + 1
    return found["settlements"], found["transactions"], pages


def settled(account: Gateway, count: int, at: int = SETTLED_AT) -> list[str]:
    for _ in range(count):
        account.pay(account.order()["id"])
    return [row["entity_id"] for row in account.control("POST", "settlements", {"settled_at": at})["rows"]]


def test_a_day_is_read_to_its_end_whatever_the_size_of_its_pages(
    account: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = settled(account, 7)
    for count in (3, 7, 8):
        monkeypatch.setattr(adapter, "TRANSACTIONS_PAGE", count)
        settlements, rows, pages = all_of()
        assert [row["entity_id"] for row in rows] == ids
        assert sum(row["credit"] - row["debit"] for row in rows) == settlements[0]["amount"]
        # One page of settlements and the empty one after it, and as many of rows as they need.
        assert pages == 3 + -(-7 // count)


def test_a_day_without_settlements_has_an_empty_report(account: Gateway) -> None:
    settled(account, 1, at=SETTLED_AT + 86400)
    assert all_of() == ([], [], 2)


def test_settlements_of_the_week_before_are_there_to_compare_with(account: Gateway) -> None:
    settled(account, 1, at=SETTLED_AT - 6 * 86400)
    settled(account, 1, at=SETTLED_AT - 8 * 86400)
    settlements, rows, _ = all_of()
    assert ([one["created_at"] for one in settlements], rows) == ([SETTLED_AT - 6 * 86400], [])


def test_nothing_of_the_payer_is_in_the_answer_or_the_log(account: Gateway, service: Service) -> None:
    order = account.order(receipt="Asha Rao", notes={"phone": "9876543210"})
    account.pay(order["id"], email="asha@example.com", description="for Asha", notes={"name": "Asha Rao"})
    account.control("POST", "settlements", {"settled_at": SETTLED_AT})
    text = json.dumps(all_of()) + service.output()
    assert order["id"] in text
    assert not [word for word in ("Asha", "asha", "9876543210", "+91") if word in text]


def test_our_own_orders_are_told_from_others_by_their_receipts(account: Gateway, service: Service) -> None:
    order_id = service.create_order().body["order_id"]
    account.pay(order_id)
    account.pay(account.order(receipt="somebody else's")["id"])
    account.pay(account.order()["id"])
    account.control("POST", "settlements", {"settled_at": SETTLED_AT})
    _, rows, _ = all_of()
    assert [row["ours"] for row in rows] == [True, False, None]
    assert rows[0]["order_id"] == order_id


def test_a_gateway_that_wants_a_pause_gets_one(account: Gateway, service: Service) -> None:
    account.control("PUT", "faults", {"api": [{"fault": "429_cool_down", "route": "GET /v1/settlements"}]})
    with pytest.raises(Exception, match=r"\AGatewayThrottled\Z"):
        ask()
    assert "GatewayPauses" in service.metrics()


@pytest.mark.parametrize("fault", ["500", "400_key"])
def test_a_report_that_cannot_be_read_is_an_error_and_no_empty_report(account: Gateway, fault: str) -> None:
    settled(account, 1)
    account.control("PUT", "faults", {"api": [{"fault": fault, "route": "GET /v1/settlements/recon/combined"}]})
    with pytest.raises(Exception, match=r"\A(GatewayUnavailable|KeysRefused)\Z"):
        all_of()
