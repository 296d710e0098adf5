"""Compare what Razorpay settled on a day with the payments table."""

import csv
from collections.abc import Iterable, Mapping
from datetime import date
from itertools import batched
from pathlib import Path
from time import time
from typing import Any, Final

import click
from rich.progress import Progress
from rich.table import Table

from ops.cloud import explained
from ops.desk import Desk, command
from ops.errors import OpsError
from ops.settlements import COLUMNS, Comparison, Difference, Report, Total, accounting, compare, major
from payments.core.errors import TableUnavailable
from payments.core.model import KnownRefund, Record
from payments.core.settlements import report_day

_READ_AT_ONCE: Final = 100
"""The keys of one BatchGetItem."""
_MOST_SHOWN: Final = 50
"""Differences on the screen. All of them are in --json and --csv."""


@command("settlements")
@click.option("--day", required=True, help="A past day in India, YYYY-MM-DD.")
@click.option(
    "--csv",
    "csv_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write every row to a file for accounting.",
)
def settlements(desk: Desk, day: str, csv_file: Path | None) -> None:
    """Compare Razorpay's settlement report of a day with the table, to the paisa.

    The exit status is 0 if everything agrees, and 1 if something differs. Changes nothing.
    """
    with desk.progress() as progress:
        report = _report(desk, _parsed(day), progress)
        refunds, records = _recorded(desk, report, progress)
    comparison = compare(report, records, refunds)
    if csv_file is not None:
        _write(csv_file, accounting(comparison))
    desk.tell(comparison.to_json(), *_shown(comparison))
    if not comparison.agrees:
        raise click.exceptions.Exit(1)


def _parsed(day: str) -> date:
    try:
        return report_day(day, int(time()))
    except ValueError as error:
        raise OpsError(f"{day!r} has no report: {error}.") from error


def _report(desk: Desk, day: date, progress: Progress | None) -> Report:
    """Read the report through reconcile, page by page. The laptop has no key of Razorpay's."""
    found: dict[str, list[dict[str, Any]]] = {"settlements": [], "transactions": []}
    task = None if progress is None else progress.add_task("Rows of the report", total=None)
    asked: Mapping[str, Any] | None = {"settlements": {"day": day.isoformat()}}
    while asked is not None:
        page = desk.cloud.run(asked)
        found[page["list"]] += page["items"]
        asked = page["next"]
        if progress is not None and task is not None:
            progress.update(task, advance=len(page["items"]))
    return Report.of(day, found["settlements"], found["transactions"])


def _recorded(
    desk: Desk, report: Report, progress: Progress | None
) -> tuple[dict[str, KnownRefund], dict[str, Record]]:
    """Read what the table has about the report's refunds and orders."""
    table = desk.cloud.table
    refunds: dict[str, KnownRefund] = {}
    records: dict[str, Record] = {}
    try:
        with explained():
            for ids in batched(sorted(report.refunds_without_order()), _READ_AT_ONCE, strict=False):
                refunds |= table.refunds(ids)
            orders = report.orders() | {one.order_id for one in refunds.values() if one.order_id is not None}
            task = None if progress is None else progress.add_task("Records of the table", total=len(orders))
            for ids in batched(sorted(orders), _READ_AT_ONCE, strict=False):
                records |= table.read_many(ids, only_readable=True)
                if progress is not None and task is not None:
                    progress.update(task, advance=len(ids))
    except TableUnavailable as error:
        raise OpsError("DynamoDB did not answer in time: try again.") from error
    return refunds, records


def _write(file: Path, lines: Iterable[Mapping[str, str]]) -> None:
    try:
        with file.open("w", encoding="utf-8", newline="") as opened:
            writer = csv.DictWriter(opened, COLUMNS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(lines)
    except OSError as error:
        raise OpsError(f"{file} cannot be written: {error.strerror}.") from error


# --- what a person sees ---------------------------------------------------------------------------------------------


def _shown(comparison: Comparison) -> list[Table | str]:
    if not comparison.lines and comparison.agrees:
        return [f"Nothing was settled on {comparison.day}."]
    parts = [part for total in comparison.totals for part in _total(total)]
    if listed := list(comparison.listed()):
        named = ", ".join(f"{line.listed_as} {line.row.entity_id}" for line in listed[:_MOST_SHOWN])
        parts.append(f"Listed, and not compared with the table: {named}{_more(len(listed))}")
    counts = comparison.counts()
    compared = (
        f"Compared with the table: payments {counts.get('payment', 0)}, their fees {counts['fees_compared']},"
        f" refunds {counts.get('refund', 0)}."
    )
    if comparison.agrees:
        return [*parts, compared, "✓ Everything agrees to the paisa."]
    found = len(comparison.differences)
    return [
        *parts,
        _differences(comparison.differences),
        compared,
        f"✗ Differences: {found}{_more(found)}. docs/settlements.md says what each means.",
    ]


def _more(count: int) -> str:
    return f" and {count - _MOST_SHOWN} more, in --json and --csv" if count > _MOST_SHOWN else ""


def _total(total: Total) -> list[Table | str]:
    table = Table(show_header=False)
    table.add_column("sum")
    table.add_column("INR", justify="right")
    for label in ("payments", "refunds", "fees", "others", "net", "paid", "tax"):
        value = getattr(total, label)
        shown = "unknown" if value is None else major(value, "INR")
        table.add_row({"paid": "paid to the bank", "tax": "tax in the fees"}.get(label, label), shown)
    return [f"{total.settlement_id or 'No settlement'}, UTR {total.utr or 'none'}, rows: {total.rows}, in INR", table]


def _differences(differences: Iterable[Difference]) -> Table:
    table = Table()
    for name in ("difference", "about", "Razorpay says", "we have"):
        table.add_column(name, overflow="fold")
    for one in list(differences)[:_MOST_SHOWN]:
        reported, recorded = (_value(value, one.currency) for value in (one.reported, one.recorded))
        table.add_row(one.kind.value, one.entity_id or "an entry without an id", reported, recorded)
    return table


def _value(value: int | str | None, currency: str) -> str:
    if value is None:
        return "-"
    return value if isinstance(value, str) else f"{major(value, currency)} {currency}"


COMMANDS = (settlements,)
