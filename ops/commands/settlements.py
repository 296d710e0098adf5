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
from ops.settlements import (
    COLUMNS,
    NOT_OURS,
    SETTLED_IN,
    Comparison,
    Difference,
    Report,
    Total,
    accounting,
    compare,
    major,
)
from ops.tables import money, table
from payments.core.model import KnownRefund, Record
from payments.core.settlements import report_day

_READ_AT_ONCE: Final = 100
"""The keys of one BatchGetItem."""
_MOST_SHOWN: Final = 50
"""Differences on the screen. All of them are in --json."""


def _past_day(_context: click.Context, _parameter: click.Parameter, value: str) -> date:
    try:
        return report_day(value, int(time()))
    except ValueError as error:
        raise click.BadParameter(f"{error}.") from error


@command("settlements")
@click.option("--day", required=True, callback=_past_day, help="A past day in India, YYYY-MM-DD.")
@click.option(
    "--csv",
    "csv_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write every row to a file for accounting.",
)
def settlements(desk: Desk, day: date, csv_file: Path | None) -> None:
    """Compare Razorpay's settlement report of a day with the table, to the paisa.

    The exit status is 0 if everything agrees, and 1 if something differs. Changes nothing.
    """
    with desk.progress() as progress:
        report = _report(desk, day, progress)
        refunds, records = _recorded(desk, report, progress)
    comparison = compare(report, records, refunds)
    if csv_file is not None:
        _write(csv_file, accounting(comparison))
    desk.tell(comparison.to_json(), *_shown(comparison))
    if not comparison.agrees:
        raise click.exceptions.Exit(1)


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
    items = desk.cloud.table
    refunds: dict[str, KnownRefund] = {}
    records: dict[str, Record] = {}
    with explained():
        for ids in batched(sorted(report.refunds_without_order()), _READ_AT_ONCE, strict=False):
            refunds |= items.refunds(ids)
        orders = report.orders() | {one.order_id for one in refunds.values() if one.order_id is not None}
        task = None if progress is None else progress.add_task("Records of the table", total=len(orders))
        for ids in batched(sorted(orders), _READ_AT_ONCE, strict=False):
            records |= items.read_many(ids, only_readable=True)
            if progress is not None and task is not None:
                progress.update(task, advance=len(ids))
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
    counts = comparison.counts()
    named = [f"{line.listed_as} {line.row.entity_id}" for line in comparison.listed() if line.listed_as != NOT_OURS]
    if others := counts.get(NOT_OURS):
        parts.append(f"Other systems' payments and refunds on the Razorpay account: {others}.")
    if named:
        parts.append(f"Not in the table by their nature: {', '.join(named[:_MOST_SHOWN])}{_more(len(named))}.")
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
    return f" and {count - _MOST_SHOWN} more, in --json" if count > _MOST_SHOWN else ""


def _total(total: Total) -> list[Table | str]:
    sums = ("payments", "refunds", "fees", "others", "net", "paid", "tax")
    words = {"paid": "paid to the bank", "tax": "tax in the fees"}
    values = [getattr(total, name) for name in sums]
    drawn = table(
        ("sum", "INR"),
        [
            (words.get(name, name), "unknown" if value is None else major(value, SETTLED_IN))
            for name, value in zip(sums, values, strict=True)
        ],
    )
    drawn.columns[1].justify = "right"
    return [f"{total.settlement_id or 'No settlement'}, UTR {total.utr or 'none'}, rows: {total.rows}", drawn]


def _differences(differences: Iterable[Difference]) -> Table:
    rows = [
        (one.kind.value, one.entity_id or "an entry without an id", *_sides(one))
        for one in list(differences)[:_MOST_SHOWN]
    ]
    return table(("difference", "about", "Razorpay says", "we have"), rows)


def _sides(difference: Difference) -> list[str]:
    return [
        "-" if value is None else value if isinstance(value, str) else money(value, difference.currency)
        for value in (difference.reported, difference.recorded)
    ]


COMMANDS = (settlements,)
