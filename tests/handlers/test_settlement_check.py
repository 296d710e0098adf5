"""`ops settlements` from the command line to the table: the real command, reconcile, the stand-in and BatchGetItem."""

import csv
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner, Result

from ops.__main__ import ops
from ops.cloud import Cloud
from payments.adapters.table import PaymentsTable
from sandbox import events
from tests.gateway.gateway import Gateway
from tests.handlers.cloud import TABLE, admin
from tests.handlers.service import Service, forget_loggers, handler
from tests.handlers.test_settlements import CONTEXT, DAY, SETTLED_AT, account, shared_gateway

__all__ = ["account", "shared_gateway"]


def run(command: dict[str, Any]) -> dict[str, Any]:
    forget_loggers()
    report: dict[str, Any] = handler("reconcile")(command, CONTEXT)
    return report


@pytest.fixture
def paid(account: Gateway, service: Service, monkeypatch: pytest.MonkeyPatch) -> str:
    """A settled payment of ours of 499.50 with a refund of 100.00; its id."""
    order_id = service.create_order().body["order_id"]
    payment: str = account.pay(order_id)["razorpay_payment_id"]
    account.sdk.payment.refund(payment, {"amount": 10_000})
    run({"look": {"order_id": order_id}})
    account.control("POST", "settlements", {"settled_at": SETTLED_AT})
    service.output()

    def of(stage: str, **_: Any) -> Any:
        return SimpleNamespace(stage=stage, run=run, table=PaymentsTable(admin("dynamodb"), TABLE))

    monkeypatch.setattr(Cloud, "of", of)
    return payment


def check(*arguments: str, day: str = DAY) -> Result:
    return CliRunner().invoke(ops, ["settlements", "--stage", "local", "--day", day, *arguments])


def document_of(result: Result) -> Any:
    """The printed JSON, after reconcile's log lines: the function runs in the same process."""
    return json.loads(result.output[result.output.index("{\n") :])


def seed(account: Gateway, **error: Any) -> None:
    account.control("PUT", "faults", {"settlement_report": [error]})


def test_a_day_that_agrees_has_the_exit_status_0(paid: str) -> None:
    result = check()
    assert (result.exit_code, paid in result.output) == (0, False), result.output
    assert "Compared with the table: payments 1, their fees 1, refunds 1." in result.output
    assert "Everything agrees to the paisa" in result.output


def test_one_paisa_is_found_and_has_the_exit_status_1(account: Gateway, paid: str) -> None:
    seed(account, entity_id=paid, add={"amount": 1})
    result = check()
    assert result.exit_code == 1
    assert [word for word in ("other_amount", "INR 499.51", "INR 499.50") if word not in result.output] == []
    document = document_of(check("--json"))
    assert document["agrees"] is False
    assert document["differences"][0] == {
        "kind": "other_amount",
        "entity_id": paid,
        "reported": 49951,
        "recorded": 49950,
        "currency": "INR",
    }


def test_the_file_for_accounting_names_the_row_that_differs(account: Gateway, paid: str, tmp_path: Path) -> None:
    seed(account, entity_id=paid, add={"fee": 1})
    file = tmp_path / "day.csv"
    assert check("--csv", str(file)).exit_code == 1
    rows = list(csv.DictReader(file.read_text(encoding="utf-8").splitlines()))
    assert [(row["entity_id"] == paid, row["differences"]) for row in rows] == [
        (True, "other_fee sums_disagree"),
        (False, ""),
    ]
    assert {(row["payment_id"], row["job_id"]) for row in rows} == {("1", str(events.OFFER["job_id"]))}


def test_an_order_that_the_table_has_lost_is_found(paid: str) -> None:
    table = admin("dynamodb")
    (key,) = [item["pk"] for item in table.scan(TableName=TABLE)["Items"] if item["pk"]["S"].startswith("order#")]
    table.delete_item(TableName=TABLE, Key={"pk": key})
    document = document_of(check("--json"))
    assert [difference["kind"] for difference in document["differences"]] == ["unknown_order", "unknown_order"]
    assert document["differences"][0]["entity_id"] == paid


@pytest.mark.parametrize("day", ["2026-02-29", "tomorrow", "2999-01-01", "1999-12-31", "2026-02-28 "])
def test_what_is_no_past_day_is_refused_before_anything_is_asked(service: Service, paid: str, day: str) -> None:
    service.forget()
    result = check(day=day)
    assert (result.exit_code, paid in result.output) == (2, False)
    assert "Invalid value for '--day'" in result.output
    assert service.outside_calls() == []


def test_a_file_that_cannot_be_written_is_told(paid: str, tmp_path: Path) -> None:
    result = check("--csv", str(tmp_path / "missing" / "day.csv"))
    assert (result.exit_code, "cannot be written" in result.output, paid in result.output) == (1, True, False)


def test_a_day_without_settlements_says_so(paid: str) -> None:
    result = check(day="2026-02-27")
    assert (result.exit_code, "Nothing was settled on 2026-02-27" in result.output) == (0, True)
    assert paid not in result.output
