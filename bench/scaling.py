"""The tables of docs/scaling.md, from counted units: what a million payments cost, and where each limit is met.

    python -m bench.scaling

rewrites them in the page, between its markers, and plays the simulation anew; a test holds the page to what they are.
"""

import re
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bench import counted, simulation
from bench.simulation import Outcome, Units
from payments.core.sweeping import PASSES
from sandbox.cloud.packages import read_template

PROJECT: Final = Path(__file__).resolve().parents[1]
PAGE: Final = PROJECT / "docs/scaling.md"
TEMPLATE: Final = PROJECT / "template.yaml"
MILLION: Final = 1_000_000
_GB: Final = 1e9

type Counted = Mapping[str, Mapping[str, Any]]

ONE_PAYMENT: Final[Mapping[str, float]] = {
    "create-order": 1,
    "create-order, every tenth: ids": 0.1,
    "verify": 1,
    "read": 2,
    "webhook payment.authorized": 1,
    "webhook payment.captured": 1,
    "webhook order.paid": 1,
}
"""The flows of one payment that goes well; the page reads its status twice while it waits for the confirmation."""
BILLED_MS: Final[Mapping[str, float]] = {"create-order": 300, "verify": 11, "read": 8, "webhook": 15}
"""Milliseconds billed a request, assumed: create-order waits for Razorpay, the rest is some calls to DynamoDB."""
_MEMORY_GB: Final = 0.5
_COLD_SHARE, _COLD_MS = 0.01, 500
# START, END and REPORT, which Lambda adds for each invocation in text format (counted in its documentation's example).
_PLATFORM_LOG_BYTES: Final = 330
# X-Ray's default rule: the first request a second and 5 % of the others; at any load that costs something it is 5 %.
_TRACED: Final = 0.05


_RUNS_A_MONTH: Final = 60 * 24 * 30
_SECONDS_A_MONTH: Final = 60 * _RUNS_A_MONTH
IDLE_CALLS_A_DAY: Final = 837
"""To Razorpay, when nobody pays anything: each pass asks as often as it is due. A test counts them."""
_READS: Final[Mapping[str, str]] = {
    "Query": "queries",
    "GetItem": "reads",
    "BatchGetItem": "reads of many items",
}


@dataclass(frozen=True, slots=True)
class Prices:
    """AWS' list prices in US dollars, us-east-1 (N. Virginia), as its price pages had them in November 2025."""

    api_request: float = 3.50 / MILLION
    """REST API, the first 333 million a month (aws.amazon.com/api-gateway/pricing)."""
    invocation: float = 0.20 / MILLION
    gb_second: float = 0.0000133334
    """arm64, as the invocation from aws.amazon.com/lambda/pricing."""
    write_unit: float = 0.625 / MILLION
    read_unit: float = 0.125 / MILLION
    stored_gb_month: float = 0.25
    recovery_gb_month: float = 0.20
    """Point-in-time recovery; these four from aws.amazon.com/dynamodb/pricing/on-demand."""
    event: float = 1.00 / MILLION
    """Each 64 KiB of a custom event (aws.amazon.com/eventbridge/pricing)."""
    log_gb: float = 0.50
    """Ingested (aws.amazon.com/cloudwatch/pricing)."""
    trace: float = 5.00 / MILLION
    """Recorded (aws.amazon.com/xray/pricing)."""
    secret_month: float = 0.40
    secret_call: float = 5.00 / MILLION
    """aws.amazon.com/secrets-manager/pricing."""
    snapshot_gb_second: float = 0.0000015046
    """Of a function's memory, for as long as a version exists, three hours at least."""
    restored_gb: float = 0.0001397998
    """Each time an instance is started from it; both for Python from aws.amazon.com/lambda/pricing, SnapStart."""
    alarm_month: float = 0.10
    key_month: float = 1.00


def requests(kind: str = "") -> float:
    """Requests of one payment; of those whose flow begins so."""
    return sum(count for flow, count in ONE_PAYMENT.items() if flow.startswith(kind) and ":" not in flow)


def units(counts: Counted, what: str) -> float:
    """How much of something one payment uses."""
    return sum(share * float(counts[flow][what]) for flow, share in ONE_PAYMENT.items())


def cost_of_a_million(counts: Counted, prices: Prices | None = None) -> dict[str, tuple[float, str]]:
    """Dollars for a million payments that go well, by item, and from what."""
    price = prices or Prices()
    asked = requests()
    cold = asked * _COLD_SHARE
    seconds = (
        sum(
            share * next(ms for kind, ms in BILLED_MS.items() if flow.startswith(kind))
            for flow, share in ONE_PAYMENT.items()
            if ":" not in flow
        )
        + cold * _COLD_MS
    ) / 1000
    log_bytes = units(counts, "log_bytes") + asked * (_PLATFORM_LOG_BYTES + access_log_bytes())
    writes, reads = units(counts, "write_units"), units(counts, "read_units")
    entries = units(counts, "event_entries")
    each = {
        "API Gateway, REST": (asked * price.api_request, f"{asked:g} requests"),
        "Lambda": (
            asked * price.invocation + seconds * _MEMORY_GB * price.gb_second,
            f"{asked:g} invocations, {seconds * 1000:.0f} ms at 512 MB, arm64",
        ),
        "Lambda, SnapStart": (cold * _MEMORY_GB * price.restored_gb, f"{cold:g} snapshots of 512 MB resumed"),
        "DynamoDB, writes": (writes * price.write_unit, f"{writes:g} write units"),
        "DynamoDB, reads": (reads * price.read_unit, f"{reads:g} read units"),
        "EventBridge": (entries * price.event, f"{entries:g} event"),
        "CloudWatch Logs": (
            log_bytes / _GB * price.log_gb,
            f"{log_bytes:,.0f} bytes, of which {units(counts, 'log_bytes'):,.0f} are the functions' own",
        ),
        "X-Ray": (asked * _TRACED * price.trace, f"{_TRACED:.0%} of the requests"),
    }
    return {item: (dollars * MILLION, why) for item, (dollars, why) in each.items()}


def cost_of_a_month(counts: Counted, prices: Prices | None = None) -> dict[str, tuple[float, str]]:
    """Dollars a month that fall due without a single payment, by item, and from what."""
    price = prices or Prices()
    types = Counter(resource["Type"] for resource in read_template(TEMPLATE)["Resources"].values())
    alarms, functions = types["AWS::CloudWatch::Alarm"], types["AWS::Serverless::Function"]
    version = _SECONDS_A_MONTH * _MEMORY_GB * price.snapshot_gb_second

    def idle(lane: str, runs: int, ms: float, writes: float = 0) -> tuple[float, str]:
        """What the runs of a lane cost that find nothing due."""
        run = counts[f"{lane}, nothing due"]
        each = price.invocation + ms / 1000 * _MEMORY_GB * price.gb_second
        each += run["read_units"] * price.read_unit + (run["log_bytes"] + _PLATFORM_LOG_BYTES) / _GB * price.log_gb
        # One instance, whose cached secrets are read again each minute, that is in every run.
        each += price.secret_call if lane != "outbox" else 0
        made = Counter(call.partition(" ")[2] for call in run["made"])
        reads = ", ".join(f"{made[what]} {name}" for what, name in _READS.items() if made[what])
        return runs * each + writes * price.write_unit, f"{runs:,} runs of {reads}, {ms:g} ms each (assumed)"

    sweep, why = idle("reconcile sweep", _RUNS_A_MONTH // 5, 1_000, 30 * IDLE_CALLS_A_DAY)
    return {
        "secrets": (3 * price.secret_month, "3 secrets"),
        "alarms": (alarms * price.alarm_month, f"{alarms} alarms"),
        "key of the alarms": (price.key_month, "1 key"),
        "SnapStart, one version of each function": (
            functions * version,
            f"{functions} snapshots of 512 MB, {version:.2f} each; as much again for every older version that is kept",
        ),
        "outbox, with nothing due": idle("outbox", _RUNS_A_MONTH, 100),
        "reconcile's watch lane, with nothing due": idle("reconcile watch", _RUNS_A_MONTH, 200),
        "reconcile's sweep, with empty lists": (sweep, f"{why}; {IDLE_CALLS_A_DAY} calls to Razorpay a day"),
    }


def access_log_bytes() -> int:
    """The length of one line of the API's access log, with values of their usual length in it."""
    usual = {
        "requestId": "c6af9ac6-7b61-11e6-9a41-93e8deadbeef",
        "requestTime": "01/Mar/2026:09:30:00 +0000",
        "identity.sourceIp": "203.0.113.7",
        "httpMethod": "POST",
        "resourcePath": "/api/payments/create-order",
        "status": "200",
        "error.responseType": "-",
        "waf.status": "-",
        "responseLatency": "120",
        "integration.latency": "115",
        "responseLength": "180",
        "xrayTraceId": "Root=1-69a40608-0123456789abcdef01234567",
    }
    line: str = read_template(TEMPLATE)["Resources"]["PaymentsApi"]["Properties"]["AccessLogSetting"]["Format"]
    filled = re.sub(r"\$context\.([A-Za-z.]+)", lambda found: usual[found[1].rstrip(".")], line)
    return len(filled.encode())


@dataclass(frozen=True, slots=True)
class Wall:
    """One limit, and how much of it one payment a second uses."""

    limit: str
    at_most: float
    per_payment: float
    """Per second, at one payment a second."""
    unit: str
    raised_by: str

    @property
    def payments_a_second(self) -> float:
        """How many it takes."""
        return self.at_most / self.per_payment


REFUND_SHARE: Final = 0.02
"""Refunds for each payment, assumed."""
UNTOLD_SHARE: Final = 0.01
UNCONFIRMED_SHARE: Final = 0.01
"""Payments that the outbox finds unpublished, and that are still unconfirmed two minutes after their signature: one in
a hundred, assumed; with webhooks in order it is next to none."""


def sweeping_rate() -> tuple[float, float]:
    """Pages a second that the sweep can read, and those that one payment a second takes."""
    latency, limits = simulation.Latency(), simulation.Limits()
    pages = limits.sweep_workers / latency.page * limits.sweep_s / 300
    passes = {listed: sum(one.listed == listed for one in PASSES) for listed in ("payments", "refunds")}
    payments = passes["payments"] / simulation.PAYMENTS_A_PAGE
    # Of refunds there are so few that a slice is short for its pages: two thirds of each are empty.
    return pages, payments + passes["refunds"] * REFUND_SHARE / (simulation.PAYMENTS_A_PAGE / 2)


def walls(counts: Counted) -> list[Wall]:
    """Every limit that a payment meets, the first one first."""
    latency, limits = simulation.Latency(), simulation.Limits()
    writes = units(counts, "write_units")
    busy = (requests() * 0.02) + latency.create
    pages, pages_a_payment = sweeping_rate()
    found = [
        Wall("EventBridge PutEvents, ap-south-1", 600, units(counts, "event_entries"), "requests/s", "a quota request"),
        Wall(
            "EventBridge invocations of rules, ap-south-1",
            1_100,
            4 * units(counts, "event_entries"),
            "invocations/s",
            "a quota request; beyond it they are late, not lost",
        ),
        Wall(
            "template.yaml ApiRateLimit",
            limits.api_rate,
            requests("create") + requests("verify") + requests("read"),
            "requests/s",
            "the parameter",
        ),
        Wall(
            "template.yaml WebhookRateLimit", limits.webhook_rate, requests("webhook"), "deliveries/s", "the parameter"
        ),
        Wall("API Gateway, account and region", 10_000, requests(), "requests/s", "a quota request"),
        Wall(
            "create-order's instances, Razorpay answering",
            limits.create_instances,
            latency.create,
            "instances",
            "CreateOrderConcurrency",
        ),
        Wall(
            "create-order's instances, Razorpay hanging",
            limits.create_instances,
            latency.create_stalled,
            "instances",
            "nothing: more of them would only wait too",
        ),
        Wall("Lambda concurrency, account and region", 1_000, busy, "instances", "a quota request"),
        Wall(
            "DynamoDB, a new on-demand table",
            4_000,
            writes,
            "write units/s",
            "itself within minutes, or warm throughput",
        ),
        Wall(
            "DynamoDB, a new on-demand table, reads",
            12_000,
            units(counts, "read_units"),
            "read units/s",
            "as its writes",
        ),
        Wall("DynamoDB, an on-demand table's quota", 40_000, writes, "write units/s", "a quota request"),
        Wall(
            "DynamoDB, the counter of payment ids (one partition)",
            1_000,
            counts["create-order, every tenth: ids"]["write_units"] / 10,
            "write units/s",
            "a bigger block",
        ),
        Wall(
            "DynamoDB, one of the index's 16 shards",
            1_000,
            # Put by the signature, taken out when the event is published.
            2 / 16,
            "write units/s",
            "more shards",
        ),
        Wall(
            "reconcile's sweep: Razorpay's lists",
            pages,
            pages_a_payment,
            "pages/s",
            "WORKERS in the code, and the function's memory; fewer passes",
        ),
        Wall(
            "reconcile's sweep, no webhook ever comes: all is news to its first pass",
            1_000 * limits.sweep_s / 300,
            1_000 * (latency.publish + latency.page / simulation.PAYMENTS_A_PAGE),
            "ms of a worker a second",
            "webhooks; beyond it payments are found later and later, not lost",
        ),
        Wall(
            "outbox, one run a minute: events that no webhook published",
            limits.outbox_s / latency.publish / 60,
            UNTOLD_SHARE,
            "records/s",
            "more schedules, each with shards of its own",
        ),
        Wall(
            "reconcile's watch lane: alive and unconfirmed",
            min(limits.watch_s / latency.look, limits.watch_records) / 60,
            UNCONFIRMED_SHARE,
            "records/s",
            "more schedules, each with shards of its own; the sweep finds the rest",
        ),
    ]
    return sorted(found, key=lambda wall: wall.payments_a_second)


# --- the page -------------------------------------------------------------------------------------------------------


def cost_table(counts: Counted) -> str:
    """What a million payments cost."""
    million, month = cost_of_a_million(counts), cost_of_a_month(counts)
    lines = ["| item | US$ per million payments | for one payment |", "| --- | ---: | --- |"]
    lines += [f"| {item} | {dollars:.2f} | {why} |" for item, (dollars, why) in million.items()]
    lines += [f"| **all** | **{sum(dollars for dollars, _ in million.values()):.2f}** | |", ""]
    lines += ["| without a single payment | US$ a month | |", "| --- | ---: | --- |"]
    lines += [f"| {item} | {dollars:.2f} | {why} |" for item, (dollars, why) in month.items()]
    lines += [f"| **all** | **{sum(dollars for dollars, _ in month.values()):.2f}** | |"]
    return "\n".join(lines)


def walls_table(counts: Counted) -> str:
    """Where each limit is met."""
    rates = (10, 100, 1_000, 10_000)
    lines = [
        "| limit | value | met at payments/s | "
        + " | ".join(f"used at {rate:,}/s" for rate in rates)
        + " | raised by |",
        "| --- | ---: | ---: |" + " ---: |" * len(rates) + " --- |",
    ]
    for wall in walls(counts):
        used = [f"{_percent(rate / wall.payments_a_second)}" for rate in rates]
        met = f"{wall.payments_a_second:,.0f}" if wall.payments_a_second >= 10 else f"{wall.payments_a_second:.1f}"  # noqa: PLR2004 - how it looks
        value = f"{wall.at_most:,.0f}" if wall.at_most >= 10 else f"{wall.at_most:.1f}"  # noqa: PLR2004 - as above
        lines.append(f"| {wall.limit} | {value} {wall.unit} | {met} | {' | '.join(used)} | {wall.raised_by} |")
    return "\n".join(lines)


def simulation_table(outcomes: Sequence[Outcome]) -> str:
    """What became of the payments of each scenario."""
    lines = [
        (
            "| scenario | customers | turned away | captured | recorded | told | lost | told again | refused "
            "| told by outbox, watch, sweep | most waiting | capture to event: median, 99 %, most | caught up after |"
        ),
        "| --- |" + " ---: |" * 12,
    ]
    for scenario, one in zip(simulation.SCENARIOS, outcomes, strict=True):
        lost = one.captured - min(one.recorded, one.told)
        lines.append(
            f"| **{one.scenario}.** {scenario.what} | {one.customers:,} | {one.turned_away:,} | {one.captured:,} "
            f"| {one.recorded:,} | {one.told:,} | {lost:,} | {one.told_again:,} | {one.refused:,} "
            f"| {one.by_outbox:,}, {one.by_watch:,}, {one.by_sweep:,} | {one.most_waiting:,} "
            f"| {one.typical_s:.1f} s, {one.slow_s:.0f} s, {one.slowest_s:.0f} s "
            f"| {one.recovered_s:.0f} s |"
        )
    return "\n".join(lines)


def counted_units(counts: Counted) -> Units:
    """What the simulation's steps write."""
    captured = float(counts["webhook payment.captured"]["write_units"])
    return Units(
        create=float(counts["create-order"]["write_units"])
        + float(counts["create-order, every tenth: ids"]["write_units"]) / 10,
        verify=float(counts["verify"]["write_units"]),
        authorized=float(counts["webhook payment.authorized"]["write_units"]),
        # The last of the four calls clears the event, and takes the record out of the index: one unit each.
        captured=captured - 2,
        clear=2,
    )


def between(page: str, name: str) -> str:
    """What stands between a table's markers.

    Raises:
        ValueError: the page has no such markers.
    """
    found = re.search(_markers(name), page, re.DOTALL)
    if found is None:
        raise ValueError(f"docs/scaling.md has no markers of {name}")
    return found[2]


def rewritten(page: str, tables: Mapping[str, str]) -> str:
    """The page with these tables between their markers.

    Raises:
        ValueError: the markers of one are missing.
    """
    for name, table in tables.items():
        between(page, name)
        page = re.sub(_markers(name), lambda found, table=table: f"{found[1]}{table}{found[3]}", page, flags=re.DOTALL)  # type: ignore[misc]  # the default binds the loop's value
    return page


def _markers(name: str) -> str:
    return rf"(<!-- {name}: written by python -m bench.scaling -->\n\n)(.*?)(\n\n<!-- end of {name} -->)"


def _percent(share: float) -> str:
    return f"{share:.0%}" if share < 10 else f"{share:,.0f} x"  # noqa: PLR2004 - above it a percentage cannot be read


def main() -> int:
    """Rewrites the tables."""
    counts = counted.measure()
    outcomes = simulation.play(units=counted_units(counts))
    tables = {
        "walls": walls_table(counts),
        "cost": cost_table(counts),
        "simulation": simulation_table(outcomes),
    }
    PAGE.write_text(rewritten(PAGE.read_text(encoding="utf-8"), tables), encoding="utf-8")
    return 0 if all(one.captured == one.recorded == one.told for one in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
