"""The tables of docs/scaling.md and one of docs/deploying.md: what payments cost, and where each limit is met.

    python -m bench.scaling

rewrites them between their markers, from counted units, and plays the simulation anew; a test holds the pages to them.
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
from sandbox.cloud.packages import read_template, read_whole
from tests.template.metrics import of_alarm

PROJECT: Final = Path(__file__).resolve().parents[1]
PAGE: Final = PROJECT / "docs/scaling.md"
SUMMARY: Final = PROJECT / "docs/deploying.md"
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


_SECONDS_A_MONTH: Final = 30 * 24 * 60 * 60
RUNS_A_MONTH: Final[Mapping[str, int]] = {
    "outbox": _SECONDS_A_MONTH // 60,
    "reconcile watch": _SECONDS_A_MONTH // 60,
    "reconcile sweep": _SECONDS_A_MONTH // 300,
}
"""Of the schedules in the template, in thirty days."""
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
    alarm_metric_month: float = 0.10
    """Each metric that an alarm at a minute's resolution names; one with an expression names several."""
    custom_metric_month: float = 0.30
    """The first ten thousand, for as long as something is sent."""
    dashboard_month: float = 3.00
    """These three from aws.amazon.com/cloudwatch/pricing."""
    key_month: float = 1.00
    """aws.amazon.com/kms/pricing; each of the first two yearly rotations adds as much."""
    snapshot_gb_second: float = 0.0000015046
    """SnapStart keeps one of each published version, from its publication to its deletion."""
    restore_gb: float = 0.0001397998
    """Each start from one; these two from aws.amazon.com/lambda/pricing, "SnapStart pricing", for Python."""
    web_acl_month: float = 5.00
    web_acl_rule_month: float = 1.00
    """aws.amazon.com/waf/pricing; and 0.60 for each million requests."""


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
        "Lambda, SnapStart": (cold * _MEMORY_GB * price.restore_gb, f"{cold:g} snapshots of 512 MB resumed"),
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
    resources = read_whole(TEMPLATE)["Resources"].values()

    def of_type(kind: str) -> list[Mapping[str, Any]]:
        return [resource["Properties"] for resource in resources if resource["Type"] == kind]

    def idle(lane: str, ms: float, writes: float = 0) -> tuple[float, str]:
        """What the runs of a lane cost that find nothing due, without what they log."""
        run, runs = counts[f"{lane}, nothing due"], RUNS_A_MONTH[lane]
        each = price.invocation + ms / 1000 * _MEMORY_GB * price.gb_second + run["read_units"] * price.read_unit
        # One instance, whose cached secrets are read again each minute, that is in every run.
        each += price.secret_call if lane != "outbox" else 0
        made = Counter(call.partition(" ")[2] for call in run["made"])
        reads = ", ".join(f"{made[what]} {name}" for what, name in _READS.items() if made[what])
        return runs * each + writes * price.write_unit, f"{runs:,} runs of {reads}, {ms:g} ms each (assumed)"

    alarms, keys = of_type("AWS::CloudWatch::Alarm"), len(of_type("AWS::KMS::Key"))
    watched = sum(len(of_alarm(alarm)) for alarm in alarms)
    custom = len(counted.metrics(idle=True))
    dashboards, secrets = len(of_type("AWS::CloudWatch::Dashboard")), len(of_type("AWS::SecretsManager::Secret"))
    runs = sum(RUNS_A_MONTH.values())
    logged = sum(
        RUNS_A_MONTH[lane] * (counts[f"{lane}, nothing due"]["log_bytes"] + _PLATFORM_LOG_BYTES)
        for lane in RUNS_A_MONTH
    )
    sweep, why = idle("reconcile sweep", 1_000, 30 * IDLE_CALLS_A_DAY)
    return {
        "CloudWatch alarms": (
            watched * price.alarm_metric_month,
            f"{len(alarms)} alarms, which name {watched} metrics",
        ),
        "CloudWatch custom metrics": (
            custom * price.custom_metric_month,
            f"{custom} that outbox and reconcile send in every run",
        ),
        "CloudWatch dashboard": (dashboards * price.dashboard_month, f"{dashboards} dashboard"),
        "CloudWatch Logs": (
            logged / _GB * price.log_gb,
            f"{logged / 1e6:,.0f} MB of {runs:,} runs",
        ),
        "X-Ray": (runs * price.trace, f"{runs:,} runs, each the only one of its second and so traced"),
        "Secrets Manager": (secrets * price.secret_month, f"{secrets} secrets"),
        "KMS": (keys * price.key_month, f"{keys} key, that of the alarms' topic"),
        "outbox, with nothing due": idle("outbox", 100),
        "reconcile's watch lane, with nothing due": idle("reconcile watch", 200),
        "reconcile's sweep, with empty lists": (sweep, f"{why}; {IDLE_CALLS_A_DAY} calls to Razorpay a day"),
    }


def options_of_a_month(prices: Prices | None = None) -> dict[str, tuple[float, str]]:
    """Dollars a month, without a single payment, of what a stage may switch on, by parameter, and from what."""
    price = prices or Prices()
    resources = read_whole(TEMPLATE)["Resources"].values()
    functions = sum(resource["Type"] == "AWS::Serverless::Function" for resource in resources)
    (acl,) = (resource["Properties"] for resource in resources if resource["Type"] == "AWS::WAFv2::WebACL")
    always = [rule for rule in acl["Rules"] if "Fn::If" not in rule]
    version = _MEMORY_GB * _SECONDS_A_MONTH * price.snapshot_gb_second
    return {
        "`SnapStart=PublishedVersions`": (
            functions * version,
            f"{functions} functions, one version each of {version:.2f}; each older version that is kept costs as much",
        ),
        "`WebAcl=true`": (
            price.web_acl_month + len(always) * price.web_acl_rule_month,
            f"one web ACL with {len(always)} rules; `WebhookFromRazorpayOnly` adds one",
        ),
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
    """What a million payments cost, a month without any, and what may be switched on."""

    def lines(heads: tuple[str, str], items: Mapping[str, tuple[float, str]], *, added: bool = True) -> list[str]:
        found = [f"| {heads[0]} | {heads[1]} | |", "| --- | ---: | --- |"]
        found += [f"| {item} | {dollars:.2f} | {why} |" for item, (dollars, why) in items.items()]
        return found + [f"| **all** | **{sum(dollars for dollars, _ in items.values()):.2f}** | |"] * added

    million = lines(("item", "US$ per million payments"), cost_of_a_million(counts))
    million[0] = million[0].removesuffix("|") + "for one payment |"
    month = lines(("without a single payment", "US$ a month"), cost_of_a_month(counts))
    options = lines(("on top, where it is switched on", "US$ a month"), options_of_a_month(), added=False)
    return "\n".join([*million, "", *month, "", *options])


def summary_table(counts: Counted) -> str:
    """What a stage costs, in the four lines that docs/deploying.md has of it."""
    idle = sum(dollars for dollars, _ in cost_of_a_month(counts).values())
    million = sum(dollars for dollars, _ in cost_of_a_million(counts).values())
    lines = ["| what | US$ |", "| --- | ---: |", f"| a month without a single payment | {idle:.2f} |"]
    lines += [f"| a month, on top: {name} | {dollars:.2f} |" for name, (dollars, _) in options_of_a_month().items()]
    return "\n".join([*lines, f"| a million payments | {million:.2f} |"])


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
        raise ValueError(f"the page has no markers of {name}")
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
    for page, its_tables in ((PAGE, tables), (SUMMARY, {"summary": summary_table(counts)})):
        page.write_text(rewritten(page.read_text(encoding="utf-8"), its_tables), encoding="utf-8")
    return 0 if all(one.captured == one.recorded == one.told for one in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
