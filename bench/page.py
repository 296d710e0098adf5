"""The evidence page and the tables on the screen, from what was kept of each section."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from bench.figures import Spread
from bench.targets import verdicts

PROJECT: Final = Path(__file__).resolve().parents[1]
KEPT: Final = PROJECT / "docs/evidence/performance"
PAGE: Final = PROJECT / "docs/evidence/performance.md"
SECTIONS: Final = ("size", "start", "warm", "flows", "growth", "load")
"""In the order of the page."""

_HEAD: Final = """# Evidence: how fast and how cheap

Written by `make bench`; do not edit. What the figures mean for a deployment is in [performance.md](../performance.md),
what they mean at scale in [scaling.md](../scaling.md).

Measured is what `sam build` made: each function's folder and layers on the path as Lambda lays them out, run by the
runtime's interpreter in a clean environment. Nothing here was measured on Lambda. A shared machine's times drift by
more than what is looked for, so cases take turns, each is divided by the reference of its own round, and what is told
is the median of those ratios, with the middle half of them in brackets. Instructions are callgrind's count of one
process, in user space; they do not depend on the machine's mood and are the figure to trust.

**F**, the floor of a cold start, is a process that imports json, hmac, hashlib and boto3 and makes a client of
DynamoDB. The **hard floor** is urllib3 with a signature of its own and no SDK.
"""
_NOT_COUNTED: Final = "not measured"


def page() -> str:
    """The whole page."""
    kept = {name: read(name) for name in SECTIONS}
    parts = [_HEAD, targets_section(kept)]
    for name in SECTIONS:
        document = kept[name]
        if document is None:
            parts.append(f"## {name.capitalize()}\n\nNot measured yet: `make bench` does.\n")
        else:
            parts.append(section(name, document))
    return "\n".join(parts)


def read(name: str) -> dict[str, Any] | None:
    """What was kept of a section."""
    file = KEPT / f"{name}.json"
    if not file.exists():
        return None
    document: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return document


def keep(name: str, document: Mapping[str, Any]) -> None:
    """Keeps what a section found."""
    KEPT.mkdir(parents=True, exist_ok=True)
    text = json.dumps(document, indent=1, ensure_ascii=False) + "\n"
    (KEPT / f"{name}.json").write_text(text, encoding="utf-8")


def targets_section(kept: Mapping[str, Mapping[str, Any] | None]) -> str:
    """Each target, what was measured, and whether that reaches it."""
    rows = [[one.target, one.bound, one.measured, one.said] for one in verdicts(kept)]
    return "## Targets\n\n" + table(["target", "at most", "measured", ""], rows) + "\n"


def section(name: str, document: Mapping[str, Any]) -> str:
    """One section of the page."""
    about = document["about"]
    told = "; ".join(f"{what}: {value}" for what, value in about.items())
    title, intro = _TITLES[name]
    lines = [f"## {title}", "", intro, "", f"*{told}*", ""]
    for heading, columns, rows in tables(name, document["found"]):
        if heading:
            lines += [heading, ""]
        lines += [table(columns, rows), ""]
    return "\n".join(lines)


_TITLES: Final = {
    "size": ("Size", "What is uploaded, per function and layer; what a cold start must fetch and unpack."),
    "start": (
        "Starting",
        (
            "*ready* is what Lambda calls Init: everything is loaded, and the clients are made, as F makes its one. "
            "*answer* is that and the whole first request as deployed, secrets read, with the network stubbed. With "
            "SnapStart, Init was run before, and what is left for the first request is the difference."
        ),
    ),
    "warm": (
        "A warm request",
        (
            "The hard floor does by hand what nobody can leave out: it checks the token and an HMAC, makes the "
            "same outside calls with the same bodies, turns items into plain values and back, and logs a line; it "
            "validates and decides nothing. Over HTTP the answers come from a server on the loopback "
            "interface, without TLS."
        ),
    ),
    "flows": (
        "What a request uses",
        (
            "Counted with everything in memory, on warm instances: calls to DynamoDB, EventBridge and Razorpay, "
            "DynamoDB's units with those of the index, entries on the bus, and the bytes that the function itself logs."
        ),
    ),
    "growth": (
        "What grows with what",
        "Counted as well. Function calls are those of the service's Python functions, as a measure of work.",
    ),
    "load": (
        "The local cloud under load",
        (
            "Payments from their order to their confirmation over HTTP: create-order, verify, webhook, read. The "
            "emulator, the functions and the client share one machine: compare revisions with it, not Lambda."
        ),
    ),
}

type Table = tuple[str, list[str], list[list[str]]]


def tables(name: str, found: Mapping[str, Any]) -> list[Table]:
    """A section's tables: heading, columns, rows."""
    return {
        "size": _size,
        "start": _start,
        "warm": _warm,
        "flows": _flows,
        "growth": _growth,
        "load": _load,
    }[name](found)


def _size(found: Mapping[str, Any]) -> list[Table]:
    columns = ["folder", "files", "unpacked, KB", "zipped, KB", "sources", "byte code"]
    rows = [
        [
            name,
            *(
                f"{number:,}"
                for number in (
                    size["files"],
                    round(size["unpacked"] / 1000),
                    round(size["zipped"] / 1000),
                    size["sources"],
                    size["compiled"],
                )
            ),
        ]
        for name, size in found["folders"].items()
    ]
    return [("", columns, rows)]


def _start(found: Mapping[str, Any]) -> list[Table]:
    columns = ["case", "depth", "instructions, M", "x F", "CPU x F", "CPU, ms", "RSS, MiB", "modules"]
    rows = [
        [
            row["case"],
            row["depth"],
            _millions(row["instructions"]),
            _times(row["instructions_of_floor"]),
            _spread(row["cpu_of_floor"]),
            f"{row['cpu_s']['middle'] * 1000:.0f}",
            f"{row['rss_mib']['middle']:.1f}",
            f"{row['modules']:,}",
        ]
        for row in found["rows"]
    ]
    dearest = [
        [case, ", ".join(f"{package} {share:.0%} ({modules})" for package, modules, share in packages)]
        for case, packages in found["imports"].items()
    ]
    heading = "The ten packages that take longest to import when *ready*: share of all import time, and modules."
    return [("", columns, rows), (heading, ["case", "packages"], dearest)]


def _warm(found: Mapping[str, Any]) -> list[Table]:
    columns = [
        "request",
        "outside calls",
        "instructions a call, k",
        "hard floor's, k",
        "x hard floor",
        "CPU x, stubbed",
        "CPU, ms, HTTP",
        "CPU x, HTTP",
        "wall, ms, HTTP",
    ]
    rows = []
    for row in found["rows"]:
        calls = row["outside_calls"]
        own, floor = row.get("instructions"), row.get("floor_instructions")
        rows.append(
            [
                row["flow"],
                str(calls),
                f"{own / calls / 1000:,.0f}" if own else _NOT_COUNTED,
                f"{floor / calls / 1000:,.0f}" if floor else _NOT_COUNTED,
                _times(row.get("instructions_of_floor")),
                _spread(row["stub"]["cpu_of_floor"]),
                _spread(row["http"]["cpu_ms"]),
                _spread(row["http"]["cpu_of_floor"]),
                _spread(row["http"]["wall_ms"]),
            ]
        )
    return [("", columns, rows)]


def _flows(found: Mapping[str, Any]) -> list[Table]:
    columns = ["request", "calls", "write units", "read units", "events", "bytes on the bus", "log bytes", "log lines"]
    rows = [
        [
            name,
            *(
                f"{used[what]:,}"
                for what in (
                    "calls",
                    "write_units",
                    "read_units",
                    "event_entries",
                    "event_bytes",
                    "log_bytes",
                    "log_lines",
                )
            ),
        ]
        for name, used in found["flows"].items()
    ]
    return [("", columns, rows)]


def _growth(found: Mapping[str, Any]) -> list[Table]:
    record = [
        [
            f"{row[what]:,}"
            for what in ("attempts", "item_bytes", "calls", "read_units", "write_units", "log_bytes", "function_calls")
        ]
        for row in found["record"]
    ]
    reconcile = [
        [
            *(
                f"{row[what]:,}"
                for what in ("size", "due", "runs", "calls", "queries", "read_units", "write_units", "event_entries")
            ),
            f"{row['calls'] / row['due']:.1f}",
            f"{row['log_bytes']:,}",
        ]
        for row in found["reconcile"]
    ]
    return [
        (
            "The webhook of one more failed attempt on a record:",
            ["attempts", "item, bytes", "calls", "read units", "write units", "log bytes", "function calls"],
            record,
        ),
        (
            (
                "Outbox and the watch lane until nothing is due, with 1 % of the records due, then with ten of them; "
                "half are signatures that nothing has confirmed, half unpublished events:"
            ),
            [
                "records",
                "due",
                "runs",
                "calls",
                "queries",
                "read units",
                "write units",
                "events",
                "calls for one due",
                "log bytes",
            ],
            reconcile,
        ),
    ]


def _load(found: Mapping[str, Any]) -> list[Table]:
    names = ("create-order", "verify", "webhook", "read")
    columns = [
        "connections",
        "requests/s",
        "p50, ms",
        "p99, ms",
        *(f"{name}: p50, p99" for name in names),
        "payments",
        "webhooks sent again",
    ]
    rows = [
        [
            str(row["connections"]),
            f"{row['requests_a_second']:.0f}",
            f"{row['p50_ms']:.0f}",
            f"{row['p99_ms']:.0f}",
            *(f"{row['by_request'][name]['p50_ms']:.0f}, {row['by_request'][name]['p99_ms']:.0f}" for name in names),
            f"{row['payments']:,}",
            f"{row.get('sent_again', 0):,}",
        ]
        for row in found["rows"]
    ]
    return [("", columns, rows)]


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table: the first column is text, the others are figures."""
    ruler = "| --- |" + " ---: |" * (len(columns) - 1)
    return "\n".join([f"| {' | '.join(columns)} |", ruler, *(f"| {' | '.join(row)} |" for row in rows)])


def _millions(count: int | None) -> str:
    return _NOT_COUNTED if count is None else f"{count / 1e6:,.0f}"


def _times(ratio: float | None) -> str:
    return _NOT_COUNTED if ratio is None else f"{ratio:.3f}" if ratio < 2 else f"{ratio:.2f}"  # noqa: PLR2004 - digits


def _spread(document: Mapping[str, Any]) -> str:
    return Spread.of_document(document).shown()
