"""Import the payments of the Django service that this one replaces: `python -m tools.import_payments payments.jsonl …`.

docs/migrating.md says when to run it and what to do with its report. It checks every row before it writes anything.
It can be run again at any time: a row that is there already changes nothing, and a row that contradicts the table is
reported and left alone. After an interruption, the same command continues where it stopped.

It prints and reports line numbers, ids of orders and names of columns, and no other value of a row.
"""

import argparse
import contextlib
import csv
import hashlib
import json
import os
import stat
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from itertools import batched
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from payments.adapters.table import PaymentsTable
from payments.core.errors import ContentionError, StorageConflict, TableUnavailable
from payments.core.importing import (
    API_SHOWS_S,
    MOST_FIRST_ORDERS,
    Import,
    InvalidRow,
    Mistake,
    OldPayment,
    Result,
    import_row,
    read_row,
    store_first_orders,
    store_row,
)
from payments.core.model import Record, Status
from payments.core.position import Position

_KEY_SECRET: Final = "RAZORPAY_KEY_SECRET"  # noqa: S105 - the name of a variable
# Progress is written after each chunk, so this is how many rows an interruption repeats.
_CHUNK: Final = 1_000
_PROGRESS_EVERY_S: Final = 5.0
# The rest is in the report.
_MOST_SHOWN: Final = 20
# Room for what the old service creates between the first export and the last.
_ROOM: Final = 100_000
_RETRIES: Final = 8
_LONGEST_WAIT_S: Final = 10.0


class CannotImport(Exception):
    """The import cannot start or go on; the message says why and what to do next."""


# --- rows -----------------------------------------------------------------------------------------------------------

type Line = tuple[int, Mapping[str, object] | Mistake]
"""A row's line number, and its values by column, or why it has none."""


def lines(file: Path, form: str) -> Iterator[Line]:
    """Return the rows of a CSV or JSON Lines file.

    Raises:
        CannotImport: the file as a whole cannot be read.
    """
    try:
        with file.open(encoding="utf-8-sig", newline="") as text:
            yield from _csv(text) if form == "csv" else _json(text)
    except OSError as error:
        raise CannotImport(f"{file} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise CannotImport(f"{file} is not UTF-8: export it again with that encoding") from None


def _csv(text: Any) -> Iterator[Line]:  # noqa: ANN401 - an open file
    reader = csv.DictReader(text, strict=True, restkey="", restval=None)
    try:
        for row in reader:
            if "" in row or None in row.values():
                yield reader.line_num, Mistake("row", "must have as many values as the first line has names")
            else:
                yield reader.line_num, row
    except csv.Error:
        raise CannotImport(f"line {reader.line_num} is not CSV: quote values as RFC 4180 does") from None


def _json(text: Iterator[str]) -> Iterator[Line]:
    for number, line in enumerate(text, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line, parse_float=Decimal)
        except (ValueError, RecursionError):
            row = None
        if not isinstance(row, dict):
            yield number, Mistake("row", "must be one JSON object on one line")
        elif "model" in row and isinstance(row.get("fields"), dict):
            # `manage.py dumpdata --format jsonl`
            yield number, {**row["fields"], "id": row.get("pk")}
        else:
            yield number, row


@dataclass(slots=True)
class Invalid:
    """What is wrong with one line."""

    line: int
    mistakes: tuple[Mistake, ...]


def checked(
    rows: Iterator[Line], now: int, zone: tzinfo | None, skipped: Callable[[Invalid], None]
) -> Iterator[tuple[int, OldPayment]]:
    """Return the valid rows with their line numbers, and hand over what is wrong with the others."""
    ids: dict[int, int] = {}
    orders: dict[str, int] = {}
    for number, row in rows:
        if isinstance(row, Mistake):
            skipped(Invalid(number, (row,)))
            continue
        try:
            old = read_row(row, now, zone)
        except InvalidRow as error:
            skipped(Invalid(number, error.mistakes))
            continue
        twins = [
            Mistake(name, f"is the same as on line {known[key]}")  # type: ignore[index]  # each with its own kind of key
            for name, known, key in (
                ("id", ids, old.order.payment_id),
                ("razorpay_order_id", orders, old.order_id),
            )
            if key in known
        ]
        if twins:
            skipped(Invalid(number, tuple(twins)))
            continue
        ids[old.order.payment_id] = orders[old.order_id] = number
        yield number, old


# --- the report -----------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Report:
    """What the import did, or would do. Written as JSON; an unfinished one is what the next run continues from."""

    file: str
    """Its SHA-256, so that a run never continues with another file."""
    table: str
    exported_at: int
    dry_run: bool
    rows: int = 0
    """Valid rows that are done."""
    finished: bool = False
    seconds: float = 0.0
    results: Counter[str] = field(default_factory=Counter)
    unsettled: int = 0
    """Paid or refunded rows that Razorpay's API no longer shows."""
    invalid: list[dict[str, Any]] = field(default_factory=list)
    contradictions: list[dict[str, Any]] = field(default_factory=list)
    unproven: list[str] = field(default_factory=list)
    """Orders of paid or refunded rows without a valid signature. `authorized` until Razorpay's books settle them."""
    unconfirmed: list[str] = field(default_factory=list)
    """Orders of paid or refunded rows that the rebuild has not settled yet."""
    settled_differently: list[dict[str, str]] = field(default_factory=list)
    under_review: list[str] = field(default_factory=list)
    oldest: int | None = None
    """When the oldest order that the rebuild can settle was created, epoch seconds."""

    @classmethod
    def read(cls, path: Path) -> "Report | None":
        """Return the report of an earlier run, or None if there is none."""
        try:
            stored = json.loads(path.read_text(encoding="utf-8"))
            return cls(**{**stored, "results": Counter(stored["results"])})
        except FileNotFoundError:
            return None
        except (ValueError, TypeError, KeyError):
            raise CannotImport(f"{path} is not a report of this tool: name another file with --report") from None

    def write(self, path: Path) -> None:
        """Replace the report's file atomically."""
        fresh = path.with_name(f"{path.name}.new")
        content = {name: getattr(self, name) for name in self.__slots__}
        fresh.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        fresh.replace(path)

    def continues(self, other: "Report") -> bool:
        """Return whether this is the unfinished run of the same import."""
        same = ("file", "table", "exported_at", "dry_run")
        return not self.finished and all(getattr(self, name) == getattr(other, name) for name in same)

    def add(self, line: int, old: OldPayment, done: Import, *, proven: bool, now: int) -> None:
        """Count one row."""
        self.rows += 1
        self.results[done.result.value] += 1
        record = done.record
        if done.result is Result.CONTRADICTS:
            self.contradictions.append({"line": line, "order_id": old.order_id, "columns": list(done.differs)})
            return
        if record.unsettled:
            self.unsettled += 1
        elif old.was_paid and not record.confirmed:
            self.unconfirmed.append(old.order_id)
        if old.was_paid and not proven and not record.confirmed:
            self.unproven.append(old.order_id)
        if _has_settled_differently(record, old):
            self.settled_differently.append({"order_id": old.order_id, "row": old.status, "record": record.status})
        if Position.of(record).under_review:
            self.under_review.append(old.order_id)
        if now - old.created_at < API_SHOWS_S:
            self.oldest = old.created_at if self.oldest is None else min(self.oldest, old.created_at)


def _has_settled_differently(record: Record, old: OldPayment) -> bool:
    if old.was_paid:
        is_final = record.confirmed or record.status in {Status.FAILED, Status.REFUNDED}
        return is_final and record.status != old.status
    return record.confirmed


# --- the import -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What to import, and how."""

    file: Path
    form: str
    table: PaymentsTable
    name: str
    exported_at: int
    now: int
    zone: tzinfo | None
    key_secrets: tuple[str, ...]
    report: Path
    workers: int = 8
    room: int = _ROOM
    dry_run: bool = False
    skip_invalid: bool = False
    say: Callable[[str], None] = print


def run(job: Job) -> Report:
    """Check every row, then import the valid ones.

    Raises:
        CannotImport: nothing was written, or the same command continues later.
    """
    report = Report(_digest(job.file), job.name, job.exported_at, dry_run=job.dry_run)
    invalid: list[Invalid] = []
    highest = rows = needs_secret = 0
    for _, old in checked(lines(job.file, job.form), job.now, job.zone, invalid.append):
        rows += 1
        highest = max(highest, old.order.payment_id)
        needs_secret += old.signature is not None
    report.invalid = [{"line": one.line, "mistakes": [*map(str, one.mistakes)]} for one in invalid]
    _say_invalid(job, invalid, rows)
    if not rows and not invalid:
        raise CannotImport(f"{job.file} has no rows")
    if invalid and not job.skip_invalid and not job.dry_run:
        report.write(job.report)
        raise CannotImport("nothing was imported: correct these rows, or leave them out with --skip-invalid")
    if needs_secret and not job.key_secrets:
        raise CannotImport(f"there are signatures to check: set {_KEY_SECRET}, or name a file with --key-secrets")
    earlier = Report.read(job.report)
    if earlier is not None and earlier.continues(report):
        job.say(f"Continuing after {earlier.rows:,} rows.")
        report = earlier
    if not job.dry_run and rows:
        _reserve_ids(job, highest)
    _import(job, report, rows)
    return report


def _reserve_ids(job: Job, highest: int) -> None:
    # A later export may have more rows, as long as this service has not created an order yet.
    if job.table.reserve_payment_ids(highest + job.room) or job.table.reserve_payment_ids(highest):
        return
    raise CannotImport(
        f"nothing was imported: the file has payment ids, up to {highest}, that this table may have assigned itself. "
        "Import into a new table, before the first order is created"
    )


def _import(job: Job, report: Report, rows: int) -> None:
    began, said, before, done_before = time.monotonic(), time.monotonic(), report.seconds, report.rows
    valid = checked(lines(job.file, job.form), job.now, job.zone, lambda _: None)
    seen = {_application(next(valid)[1]) for _ in range(done_before)}
    with ThreadPoolExecutor(job.workers) as pool:
        for chunk in batched(valid, _CHUNK, strict=False):
            for line, old, proven, done in _imported(job, pool, chunk, seen):
                report.add(line, old, done, proven=proven, now=job.now)
            report.seconds = round(before + time.monotonic() - began, 1)
            report.write(job.report)
            if time.monotonic() - said >= _PROGRESS_EVERY_S:
                said = time.monotonic()
                rate = (report.rows - done_before) / (said - began)
                job.say(f"{report.rows:,} of {rows:,} rows, {rate:,.0f} a second")
    report.finished = True
    report.write(job.report)


type Application = tuple[int, int]
"""The client and the application."""
type _Done = tuple[int, OldPayment, bool, Import]


def _imported(
    job: Job, pool: ThreadPoolExecutor, chunk: Sequence[tuple[int, OldPayment]], seen: set[Application]
) -> list[_Done]:
    """Import a chunk. The rows of one application stay in their order.

    Args:
        job: the import.
        pool: the workers.
        chunk: the rows, with their line numbers.
        seen: the applications of earlier rows; those of this chunk are added.
    """
    stored = _patiently(lambda: job.table.read_many(old.order_id for _, old in chunk))
    first: list[tuple[int, OldPayment]] = []
    others: dict[Application, list[tuple[int, OldPayment]]] = {}
    for line, old in chunk:
        if stored.get(old.order_id) is None and _application(old) not in seen and not job.dry_run:
            first.append((line, old))
        else:
            others.setdefault(_application(old), []).append((line, old))
        seen.add(_application(old))

    def work(rows: Sequence[tuple[int, OldPayment]]) -> list[_Done]:
        return [(line, old, *_import_one(job, stored.get(old.order_id), old)) for line, old in rows]

    def work_at_once(rows: Sequence[tuple[int, OldPayment]]) -> list[_Done]:
        proven = [(old, old.is_proven(job.key_secrets)) for _, old in rows]
        try:
            done = _patiently(lambda: store_first_orders(job.table, proven, job.exported_at, job.now))
        except StorageConflict:
            # One of the applications is there already, or the response to our own write was lost.
            return work(rows)
        return [
            (line, old, is_proven, one) for (line, _), (old, is_proven), one in zip(rows, proven, done, strict=True)
        ]

    finished = [*pool.map(work_at_once, batched(first, MOST_FIRST_ORDERS, strict=False))]
    finished += pool.map(work, others.values())
    return sorted((done for part in finished for done in part), key=lambda done: done[0])


def _application(old: OldPayment) -> Application:
    return old.order.client_id, old.order.application_id


def _import_one(job: Job, stored: Record | None, old: OldPayment) -> tuple[bool, Import]:
    proven = old.is_proven(job.key_secrets)
    if job.dry_run:
        return proven, import_row(stored, old, job.exported_at, job.now, proven=proven)
    return proven, _patiently(lambda: store_row(job.table, stored, old, job.exported_at, job.now, proven=proven))


def _patiently[T](work: Callable[[], T]) -> T:
    """Repeat what the table is temporarily unable to do, with growing delays.

    Raises:
        CannotImport: it stays unable.
    """
    for attempt in range(_RETRIES):
        with contextlib.suppress(TableUnavailable, ContentionError):
            return work()
        time.sleep(min(0.2 * 2**attempt, _LONGEST_WAIT_S))
    raise CannotImport("the table does not answer. Run the same command again later: it continues where it stopped")


def _digest(file: Path) -> str:
    try:
        with file.open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest()
    except OSError as error:
        raise CannotImport(f"{file} cannot be read: {error.strerror}") from None


# --- what it says ---------------------------------------------------------------------------------------------------


def _say_invalid(job: Job, invalid: Sequence[Invalid], rows: int) -> None:
    for one in invalid[:_MOST_SHOWN]:
        job.say(f"line {one.line}: {'; '.join(map(str, one.mistakes))}")
    if len(invalid) > _MOST_SHOWN:
        job.say(f"… and {len(invalid) - _MOST_SHOWN:,} more")
    job.say(f"{rows:,} valid rows, {len(invalid):,} invalid.")


def _summary(job: Job, report: Report) -> Iterator[str]:
    yield f"{'Would be' if job.dry_run else 'Done'}: " + ", ".join(
        f"{report.results[result]:,} {result.value}" for result in Result
    )
    for one in report.contradictions[:_MOST_SHOWN]:
        yield f"line {one['line']}, {one['order_id']}: contradicts the record in {', '.join(one['columns'])}"
    counts = {
        "unsettled, older than 180 days": report.unsettled,
        "paid or refunded without a valid signature": len(report.unproven),
        "not confirmed by Razorpay's books yet": len(report.unconfirmed),
        "settled differently from their row": len(report.settled_differently),
        "under review": len(report.under_review),
    }
    yield from (f"{count:,} {what}" for what, count in counts.items() if count)
    yield f"{report.rows:,} rows in {report.seconds:,.1f} s. Report: {job.report}"
    if report.unconfirmed and report.oldest is not None and not job.dry_run:
        yield "To settle them, invoke reconcile with this, and again with each `next` that it returns:"
        yield json.dumps({"rebuild": {"from": report.oldest, "to": job.now}})


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tools.import_payments", description=__doc__.split("\n", 1)[0])
    parser.add_argument("file", type=Path, help="the export, .csv or .jsonl")
    parser.add_argument("--table", required=True, help="the payments table")
    parser.add_argument(
        "--exported-at", required=True, type=_moment, metavar="TIME", help="when, in ISO 8601 with offset"
    )
    parser.add_argument(
        "--time-zone", type=_zone, metavar="NAME", help="of times without an offset, such as Asia/Kolkata"
    )
    parser.add_argument(
        "--key-secrets", type=Path, metavar="FILE", help=f"Razorpay key secrets, one a line; by default {_KEY_SECRET}"
    )
    parser.add_argument("--report", type=Path, metavar="FILE", help="by default the file's name with .report.json")
    parser.add_argument("--dry-run", action="store_true", help="write nothing to the table")
    parser.add_argument("--skip-invalid", action="store_true", help="leave invalid rows out")
    parser.add_argument(
        "--workers", type=int, default=8, choices=range(1, 65), metavar="N", help="8 by default, up to 64"
    )
    return parser


def _moment(text: str) -> int:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise argparse.ArgumentTypeError("a time with an offset, such as 2026-03-01T09:30:00Z")
    if moment > datetime.now(UTC):
        raise argparse.ArgumentTypeError("a time in the past")
    return int(moment.timestamp())


def _zone(name: str) -> tzinfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise argparse.ArgumentTypeError("a time zone such as UTC or Asia/Kolkata") from None


def _key_secrets(file: Path | None) -> tuple[str, ...]:
    if file is None:
        return tuple(filter(None, [os.environ.get(_KEY_SECRET, "").strip()]))
    try:
        if file.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise CannotImport(f"others can read {file}: chmod 600 {file}")
        return tuple(filter(None, map(str.strip, file.read_text(encoding="utf-8").splitlines())))
    except OSError as error:
        raise CannotImport(f"{file} cannot be read: {error.strerror}") from None


def _form(file: Path) -> str:
    forms = {".csv": "csv", ".jsonl": "json", ".ndjson": "json"}
    if file.suffix not in forms:
        raise CannotImport(f"{file} must end in .csv or .jsonl, which says what is in it")
    return forms[file.suffix]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run with these arguments, by default the command line's.

    Returns:
        0 if every row is in the table, 1 if some are invalid or contradict it, 2 if the import could not run.
    """
    options = _parser().parse_args(arguments)
    config = Config(retries={"total_max_attempts": 3, "mode": "standard"}, max_pool_connections=options.workers)
    try:
        job = Job(
            file=options.file,
            form=_form(options.file),
            table=PaymentsTable(boto3.client("dynamodb", config=config), options.table),
            name=options.table,
            exported_at=options.exported_at,
            now=int(time.time()),
            zone=options.time_zone,
            key_secrets=_key_secrets(options.key_secrets),
            report=options.report or options.file.with_name(f"{options.file.name}.report.json"),
            workers=options.workers,
            dry_run=options.dry_run,
            skip_invalid=options.skip_invalid,
        )
        report = run(job)
    except CannotImport as error:
        print(f"Stopped: {error}.", file=sys.stderr)
        return 2
    except (ClientError, BotoCoreError) as error:
        # The code only: a message may quote what was sent.
        code = error.response["Error"]["Code"] if isinstance(error, ClientError) else type(error).__name__
        print(f"Stopped: AWS answers {code}. Check the credentials, the region and --table.", file=sys.stderr)
        return 2
    for text in _summary(job, report):
        print(text)
    return 1 if report.invalid or report.contradictions else 0


if __name__ == "__main__":
    sys.exit(main())
