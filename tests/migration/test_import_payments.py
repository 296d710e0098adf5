"""The program that imports rows: what it reads, what it says, and what an interruption leaves behind."""

import csv
import json
from collections.abc import Iterable
from copy import replace
from pathlib import Path
from typing import Any, cast

import pytest

from payments.adapters.table import PaymentsTable
from payments.core.errors import TableUnavailable
from payments.core.instants import iso
from payments.core.transitions import unknown_record
from tests.core.story import OPENED
from tests.docs import shell
from tests.docs.pages import claim
from tests.fakes import Crash, FakeTable, Fate
from tests.migration.rows import rows, write_dump
from tests.table.dynamodb import Metered
from tools import import_payments
from tools.import_payments import CannotImport, Job, Report, run

SECRET = "a-key-secret-of-the-account"
NOW = OPENED
COUNT = 240
PERSONAL = "asha@example.com"


def exported(count: int = COUNT) -> list[dict[str, Any]]:
    return list(rows(count, NOW, SECRET))


def write_csv(path: Path, dumped: Iterable[dict[str, Any]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(next(iter(exported(1)))))
        writer.writeheader()
        writer.writerows(dumped)


class Case:
    """A table, and the file to import."""

    def __init__(self, folder: Path, form: str = "json") -> None:
        self.table = FakeTable()
        self.file = folder / f"payments.{form}"
        self.form = form
        self.said: list[str] = []
        self.write(exported())

    def write(self, dumped: Iterable[dict[str, Any]]) -> None:
        if self.form == "csv":
            write_csv(self.file, dumped)
        else:
            write_dump(self.file, iter(dumped))

    def job(self, table: object = None, **options: Any) -> Job:
        job = Job(
            file=self.file,
            form=self.form,
            table=cast("PaymentsTable", table or self.table),
            name="payments",
            exported_at=NOW - 60,
            now=NOW,
            zone=None,
            key_secrets=(SECRET,),
            report=self.file.with_suffix(".report.json"),
            workers=2,
            say=self.said.append,
        )
        return replace(job, **options)

    def run(self, table: object = None, **options: Any) -> Report:
        return run(self.job(table, **options))

    @property
    def content(self) -> tuple[object, ...]:
        return self.table.records, self.table.applications, self.table.last_taken


@pytest.mark.parametrize("form", ["json", "csv"])
def test_every_row_gets_a_record_and_the_counter_starts_above_the_highest_id(tmp_path: Path, form: str) -> None:
    case = Case(tmp_path, form)
    report = case.run()
    assert report.results == {"new": COUNT}
    assert {record.agreed().payment_id for record in case.table.records.values()} == set(range(1, COUNT + 1))
    assert case.table.take_payment_ids(1, "1f2e3d4c")[0].start > COUNT
    assert case.table.applications.keys() == {(n["client_id"], n["application_id"]) for n in exported()}


def test_a_csv_and_json_lines_give_the_same_records(tmp_path: Path) -> None:
    one, other = Case(tmp_path), Case(tmp_path, "csv")
    one.run()
    other.run()
    assert one.content == other.content


def test_the_same_file_changes_nothing_the_second_time(tmp_path: Path) -> None:
    case = Case(tmp_path)
    case.run()
    before = (dict(case.table.records), dict(case.table.applications), case.table.last_taken)
    assert case.run().results == {"unchanged": COUNT}
    assert case.content == before


@pytest.mark.parametrize("after", [True, False])
def test_a_crash_at_any_call_loses_and_doubles_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, after: bool
) -> None:
    monkeypatch.setattr(import_payments, "_CHUNK", 60)
    whole = Case(tmp_path)
    whole.run()
    whole.job().report.unlink()
    crashes = 0
    for number in range(1, 200, 7):
        case = Case(tmp_path)
        fate = Fate({number: Crash()}, after=after)
        try:
            case.run(fate.wrap(case.table), workers=1)
        except Crash:
            crashes += 1
            assert len(case.table.records) < COUNT or after
        report = case.run()
        assert report.finished
        assert report.rows == COUNT
        assert case.content == whole.content
        case.job().report.unlink()
    assert crashes > 5


def test_an_interrupted_import_continues_after_the_last_chunk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_payments, "_CHUNK", 60)
    case = Case(tmp_path)
    fate = Fate({24: Crash()})
    with pytest.raises(Crash):
        case.run(fate.wrap(case.table), workers=1)
    partial = Report.read(case.job().report)
    assert partial is not None
    assert 0 < partial.rows < COUNT
    fate = Fate()
    report = case.run(fate.wrap(case.table), workers=1)
    assert f"Continuing after {partial.rows:,} rows." in case.said
    assert report.rows == COUNT
    assert fate.calls.count("read_many") == (COUNT - partial.rows) // 60


def test_a_table_that_stays_away_stops_the_import_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    case = Case(tmp_path)
    fate = Fate(dict.fromkeys(range(3, 99), TableUnavailable("away")))
    with pytest.raises(CannotImport, match="Run the same command again later: it continues where it stopped"):
        case.run(fate.wrap(case.table), workers=1)
    assert case.run().finished


def test_a_dry_run_writes_nothing_and_says_what_would_happen(tmp_path: Path) -> None:
    case = Case(tmp_path)
    report = case.run(dry_run=True)
    assert report.results == {"new": COUNT}
    assert case.content == ({}, {}, 0)


def test_one_invalid_row_stops_everything_unless_it_is_left_out(tmp_path: Path) -> None:
    case = Case(tmp_path)
    broken = exported()
    broken[4] |= {"amount": PERSONAL, "status": PERSONAL}
    broken[7]["razorpay_order_id"] = broken[6]["razorpay_order_id"]
    case.write(broken)
    with pytest.raises(CannotImport, match="nothing was imported: correct these rows"):
        case.run()
    assert case.content == ({}, {}, 0)
    assert any(line.startswith("line 5: amount must be a decimal string") for line in case.said)
    assert "line 8: razorpay_order_id is the same as on line 7" in case.said
    report = case.run(skip_invalid=True)
    assert report.results == {"new": COUNT - 2}
    assert [one["line"] for one in report.invalid] == [5, 8]
    assert PERSONAL not in "".join(case.said) + case.job().report.read_text(encoding="utf-8")


def test_a_row_that_contradicts_the_table_is_reported_by_line_order_and_column(tmp_path: Path) -> None:
    case = Case(tmp_path)
    case.run()
    before = dict(case.table.records)
    changed = exported()
    changed[2]["amount"] = "7.00"
    case.write(changed)
    report = case.run()
    order_id = changed[2]["razorpay_order_id"]
    assert report.contradictions == [{"line": 3, "order_id": order_id, "columns": ["amount"]}]
    assert case.table.records == before


def test_ids_that_this_service_assigned_itself_are_never_imported_over(tmp_path: Path) -> None:
    case = Case(tmp_path)
    case.table.take_payment_ids(10, "1f2e3d4c")
    with pytest.raises(CannotImport, match="Import into a new table, before the first order is created"):
        case.run()
    assert case.table.records == {}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("not json", "line 1: row must be one JSON object on one line"),
        ("[]", "line 1: row must be one JSON object on one line"),
        ('{"id": 1}', "line 1: job_id is missing: export every column of the model"),
    ],
)
def test_a_line_that_is_no_row_is_named(tmp_path: Path, text: str, said: str) -> None:
    case = Case(tmp_path)
    case.file.write_text(text, encoding="utf-8")
    with pytest.raises(CannotImport):
        case.run()
    assert case.said[0].startswith(said)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "has no rows"),
        (b"\xff\xfe\x00", "is not UTF-8"),
        (b'id\n"1', "is not CSV"),
    ],
)
def test_a_file_that_is_no_export_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    case = Case(tmp_path, "csv")
    case.file.write_bytes(content)
    with pytest.raises(CannotImport, match=message):
        case.run()


def test_signatures_need_a_key_secret(tmp_path: Path) -> None:
    with pytest.raises(CannotImport, match="set RAZORPAY_KEY_SECRET, or name a file with --key-secrets"):
        Case(tmp_path).run(key_secrets=())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["payments.txt"], "must end in .csv or .jsonl"),
        (["missing.csv"], "missing.csv cannot be read: No such file or directory"),
        (["missing.csv", "--key-secrets", "secrets"], "others can read secrets: chmod 600 secrets"),
    ],
)
def test_the_command_says_what_to_do_next(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "ap-south-1")
    (tmp_path / "secrets").write_text(SECRET, encoding="utf-8")
    (tmp_path / "secrets").chmod(0o644)
    options = ["--table", "payments", "--exported-at", "2026-03-01T09:30:00Z"]
    assert import_payments.main([*arguments, *options]) == 2
    assert said in capsys.readouterr().err


def test_the_report_tells_what_the_rebuild_has_still_to_settle(tmp_path: Path) -> None:
    report = Case(tmp_path).run()
    paid = [row for row in exported() if row["status"] in {"paid", "refunded"}]
    assert report.unsettled + len(report.unconfirmed) == len(paid)
    assert set(report.unproven) == {row["razorpay_order_id"] for row in paid if not row["razorpay_signature"]}
    assert json.loads(Case(tmp_path).job().report.read_text(encoding="utf-8"))["finished"] is True


def test_the_page_on_migrating_lists_what_the_old_service_lacks(metered: Metered, tmp_path: Path) -> None:
    (scan,) = claim("docs/migrating.md", sections=("Go back",))
    cutover = {"TABLE": metered.name, "CUTOVER": iso(NOW + 1)}
    ((_, *arguments),) = shell.run(scan.text, tmp_path, {"aws": ""}, **cutover).calls
    asked = shell.parameters(arguments)
    table = PaymentsTable(metered.client, metered.name)
    case = Case(tmp_path)
    case.write(exported(20))  # of every kind, and moto is slow
    case.run(table)
    changed, unknown, own = "order_changed0000000", "order_unknown0000000", "order_own00000000000"
    record = next(iter(table.read_many([exported(20)[0]["razorpay_order_id"]]).values()))
    table.insert(replace(record, order_id=changed, updated_at=iso(NOW + 60)))
    table.insert(unknown_record(unknown, NOW + 60))
    table.insert(replace(record, order_id=own, imported=None))
    found = metered.raw.get_paginator("scan").paginate(**asked)
    assert {item["order_id"]["S"] for part in found for item in part["Items"]} == {changed, own}
