"""The tables of docs/scaling.md and one of docs/deploying.md: what payments cost, and when each limit is reached.

    python -m bench.scaling

regenerates them from counted units and reruns the simulation; a test compares the pages with them.
"""

import re
import sys
import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from bench import counted, simulation
from bench.simulation import Outcome
from payments.core.attention import SHARDS
from payments.core.expiry import PASSES as EXPIRY_PASSES
from payments.core.sweeping import PASSES
from payments.wiring.reconcile import WORKERS
from sandbox.cloud.build import PROJECT
from sandbox.cloud.packages import read_template, read_whole
from tests.template.metrics import of_alarm

PAGE: Final = PROJECT / "docs/scaling.md"
SUMMARY: Final = PROJECT / "docs/deploying.md"
TEMPLATE: Final = PROJECT / "template.yaml"
MILLION: Final = 1_000_000
_GB: Final = 1e9

type Counted = Mapping[str, Mapping[str, Any]]
type Costs = dict[str, tuple[float, str]]
"""Dollars by item, with the explanation."""

ONE_PAYMENT: Final[Mapping[str, float]] = {
    "create-order": 1,
    "create-order, every tenth: ids": 0.1,
    "verify": 1,
    "read": 2,
    "webhook payment.authorized": 1,
    "webhook payment.captured": 1,
    "webhook order.paid": 1,
}
"""The flows of one successful payment; the page reads the status twice while it waits for confirmation."""
BILLED_MS: Final[Mapping[str, float]] = {"create-order": 300, "verify": 11, "read": 8, "webhook": 15}
"""Milliseconds billed per request, assumed: create-order waits for Razorpay, the others make some DynamoDB calls."""
_MEMORY_GB: Final = 0.5
_COLD_SHARE, _COLD_MS = 0.01, 500
# START, END and REPORT, which Lambda adds to each invocation in text format (counted in the documentation's example).
_PLATFORM_LOG_BYTES: Final = 330
# X-Ray's default rule: the first request of each second and 5 % of the others; at any relevant load it is 5 %.
_TRACED: Final = 0.05
_SECONDS_A_MONTH: Final = 30 * 24 * 60 * 60
RUNS_A_MONTH: Final[Mapping[str, int]] = {
    "outbox": _SECONDS_A_MONTH // 60,
    "reconcile watch": _SECONDS_A_MONTH // 60,
    "reconcile sweep": _SECONDS_A_MONTH // 300,
    "reconcile expiry": _SECONDS_A_MONTH // 3600,
}
"""Runs of the template's schedules in thirty days."""
IDLE_CALLS_A_DAY: Final = 845
"""The sweep's calls to Razorpay without any payment: each pass calls whenever it is due. A test counts them."""
IDLE_EXPIRY_CALLS_A_DAY: Final = len(EXPIRY_PASSES)
"""The same of the expiry lane: each of its passes calls once a day."""
_READS: Final = {"Query": "queries", "GetItem": "reads", "BatchGetItem": "reads of many items"}


class Price:
    """AWS list prices in US dollars, us-east-1 (N. Virginia), from its price pages in November 2025."""

    # aws.amazon.com/api-gateway/pricing: REST API, the first 333 million a month
    API_REQUEST = 3.50 / MILLION
    # aws.amazon.com/lambda/pricing: arm64; "SnapStart pricing" for Python: per kept published version, and per start
    # from one
    INVOCATION = 0.20 / MILLION
    GB_SECOND = 0.0000133334
    SNAPSHOT_GB_SECOND = 0.0000015046
    RESTORE_GB = 0.0001397998
    # aws.amazon.com/dynamodb/pricing/on-demand
    WRITE_UNIT = 0.625 / MILLION
    READ_UNIT = 0.125 / MILLION
    # aws.amazon.com/eventbridge/pricing: each 64 KiB of a custom event
    EVENT = 1.00 / MILLION
    # aws.amazon.com/cloudwatch/pricing: ingested logs; per month each metric of an alarm at one-minute resolution, each
    # of the first ten thousand metrics while something is sent, a dashboard
    LOG_GB = 0.50
    ALARM_METRIC = 0.10
    CUSTOM_METRIC = 0.30
    DASHBOARD = 3.00
    # aws.amazon.com/xray/pricing: recorded
    TRACE = 5.00 / MILLION
    # aws.amazon.com/secrets-manager/pricing
    SECRET = 0.40
    SECRET_CALL = 5.00 / MILLION
    # aws.amazon.com/kms/pricing: each of the first two yearly rotations adds as much
    KEY = 1.00
    # aws.amazon.com/waf/pricing: and 0.60 for each million requests
    WEB_ACL = 5.00
    WEB_ACL_RULE = 1.00


def requests(kind: str = "") -> float:
    """Requests of one payment; with a prefix only those flows."""
    return sum(count for flow, count in ONE_PAYMENT.items() if flow.startswith(kind) and ":" not in flow)


def units(counts: Counted, what: str) -> float:
    """How much of something one payment uses."""
    return sum(share * float(counts[flow][what]) for flow, share in ONE_PAYMENT.items())


def cost_of_a_million(counts: Counted) -> Costs:
    """Dollars for a million successful payments."""
    asked = requests()
    cold = asked * _COLD_SHARE
    seconds = (sum(requests(kind) * ms for kind, ms in BILLED_MS.items()) + cold * _COLD_MS) / 1000
    own = units(counts, "log_bytes")
    log_bytes = own + asked * (_PLATFORM_LOG_BYTES + access_log_bytes())
    writes, reads = units(counts, "write_units"), units(counts, "read_units")
    entries = units(counts, "event_entries")
    each = {
        "API Gateway, REST": (asked * Price.API_REQUEST, f"{asked:g} requests"),
        "Lambda": (
            asked * Price.INVOCATION + seconds * _MEMORY_GB * Price.GB_SECOND,
            f"{asked:g} invocations, {seconds * 1000:.0f} ms at 512 MB, arm64",
        ),
        "Lambda, SnapStart": (cold * _MEMORY_GB * Price.RESTORE_GB, f"{cold:g} snapshots of 512 MB resumed"),
        "DynamoDB, writes": (writes * Price.WRITE_UNIT, f"{writes:g} write units"),
        "DynamoDB, reads": (reads * Price.READ_UNIT, f"{reads:g} read units"),
        "EventBridge": (entries * Price.EVENT, f"{entries:g} event"),
        "CloudWatch Logs": (
            log_bytes / _GB * Price.LOG_GB,
            f"{log_bytes:,.0f} bytes, of which {own:,.0f} are the functions' own",
        ),
        "X-Ray": (asked * _TRACED * Price.TRACE, f"{_TRACED:.0%} of the requests"),
    }
    return {item: (dollars * MILLION, why) for item, (dollars, why) in each.items()}


def cost_of_a_month(counts: Counted) -> Costs:
    """Dollars a month without a single payment."""

    def idle(lane: str, ms: float, writes: float = 0) -> tuple[float, str]:
        """The cost of a lane's runs that find nothing due, without their logs."""
        run, runs = counts[f"{lane}, nothing due"], RUNS_A_MONTH[lane]
        each = Price.INVOCATION + ms / 1000 * _MEMORY_GB * Price.GB_SECOND + run["read_units"] * Price.READ_UNIT
        # One instance, which reads its cached secrets again each minute, so in every run.
        each += Price.SECRET_CALL if lane != "outbox" else 0
        made = Counter(call.partition(" ")[2] for call in run["made"])
        reads = ", ".join(f"{made[what]} {name}" for what, name in _READS.items() if made[what])
        return runs * each + writes * Price.WRITE_UNIT, f"{runs:,} runs of {reads}, {ms:g} ms each (assumed)"

    alarms, keys = _of_type("AWS::CloudWatch::Alarm"), len(_of_type("AWS::KMS::Key"))
    watched = sum(len(of_alarm(alarm)) for alarm in alarms)
    custom = len(counted.metrics(idle=True))
    dashboards, secrets = len(_of_type("AWS::CloudWatch::Dashboard")), len(_of_type("AWS::SecretsManager::Secret"))
    runs = sum(RUNS_A_MONTH.values())
    logged = sum(
        number * (counts[f"{lane}, nothing due"]["log_bytes"] + _PLATFORM_LOG_BYTES)
        for lane, number in RUNS_A_MONTH.items()
    )
    sweep, why = idle("reconcile sweep", 1_000, 30 * IDLE_CALLS_A_DAY)
    expiry, how = idle("reconcile expiry", 200, 30 * IDLE_EXPIRY_CALLS_A_DAY)
    return {
        "CloudWatch alarms": (watched * Price.ALARM_METRIC, f"{len(alarms)} alarms, which name {watched} metrics"),
        "CloudWatch custom metrics": (
            custom * Price.CUSTOM_METRIC,
            f"{custom} that outbox and reconcile send in every run",
        ),
        "CloudWatch dashboard": (dashboards * Price.DASHBOARD, f"{dashboards} dashboard"),
        "CloudWatch Logs": (logged / _GB * Price.LOG_GB, f"{logged / 1e6:,.0f} MB of {runs:,} runs"),
        "X-Ray": (runs * Price.TRACE, f"{runs:,} runs, all traced: each is the first of its second"),
        "Secrets Manager": (secrets * Price.SECRET, f"{secrets} secrets"),
        "KMS": (keys * Price.KEY, f"{keys} key, that of the alarms' topic"),
        "outbox, with nothing due": idle("outbox", 100),
        "reconcile's watch lane, with nothing due": idle("reconcile watch", 200),
        "reconcile's sweep, with empty lists": (sweep, f"{why}; {IDLE_CALLS_A_DAY} calls to Razorpay a day"),
        "reconcile's expiry, with empty lists": (expiry, f"{how}; {IDLE_EXPIRY_CALLS_A_DAY} calls to Razorpay a day"),
    }


def options_of_a_month() -> Costs:
    """Dollars a month without a single payment for each optional parameter."""
    functions = len(_of_type("AWS::Serverless::Function"))
    (acl,) = _of_type("AWS::WAFv2::WebACL")
    always = [rule for rule in acl["Rules"] if "Fn::If" not in rule]
    version = _MEMORY_GB * _SECONDS_A_MONTH * Price.SNAPSHOT_GB_SECOND
    return {
        "`SnapStart=PublishedVersions`": (
            functions * version,
            f"{functions} functions, one version each of {version:.2f}; each older version that is kept costs as much",
        ),
        "`WebAcl=true`": (
            Price.WEB_ACL + len(always) * Price.WEB_ACL_RULE,
            f"one web ACL with {len(always)} rules; `WebhookFromRazorpayOnly` adds one",
        ),
    }


def cost_of_stages(counts: Counted) -> Costs:
    """Dollars a month without a single payment for each stage as `samconfig.toml` deploys it."""
    idle, options = _sum(cost_of_a_month(counts)), options_of_a_month()
    costs: Costs = {}
    for stage in ("staging", "production"):
        on = [name for name in options if name.strip("`") in _overrides(stage)]
        costs[stage] = (idle + sum(options[name][0] for name in on), f"{idle:.2f}, with {' and '.join(on)}")
    return costs


def _overrides(stage: str) -> list[str]:
    config = tomllib.loads((PROJECT / "samconfig.toml").read_text(encoding="utf-8"))
    overrides: list[str] = config[stage]["global"]["parameters"]["parameter_overrides"]
    return overrides


def _of_type(kind: str) -> list[Mapping[str, Any]]:
    resources = read_whole(TEMPLATE)["Resources"].values()
    return [resource["Properties"] for resource in resources if resource["Type"] == kind]


def access_log_bytes() -> float:
    """The length of an access log line: the values take about three quarters of their variables' length."""
    line: str = read_template(TEMPLATE)["Resources"]["PaymentsApi"]["Properties"]["AccessLogSetting"]["Format"]
    return len(line) * 0.75


# --- limits ---------------------------------------------------------------------------------------------------------

REFUND_SHARE: Final = 0.02
"""Refunds per payment, assumed."""
UNTOLD_SHARE: Final = 0.01
UNCONFIRMED_SHARE: Final = 0.01
"""The share of payments that the outbox finds unpublished and that are still unconfirmed two minutes after the
signature: one in a hundred, assumed; almost none while webhooks work."""
REQUEST_S, CREATE_S, CREATE_HANGING_S = 0.02, 0.35, 11.0
"""Lambda seconds of a request, and what create-order adds: if Razorpay responds, and until connect and read time
out."""


def limits(counts: Counted) -> dict[str, tuple[float, float]]:
    """Every limit by its name in the table: its size, and how much of it one payment a second uses."""
    template = read_template(TEMPLATE)
    given = {name: parameter.get("Default") for name, parameter in template["Parameters"].items()}
    production = dict(override.split("=", 1) for override in _overrides("production"))
    instances = int(production["CreateOrderConcurrency"])
    writes, events = units(counts, "write_units"), units(counts, "event_entries")
    block = counts["create-order, every tenth: ids"]["write_units"] / 10
    passes = Counter(one.listed for one in PASSES)
    # Refunds are so few that a slice hardly fills its pages: two thirds of each are empty.
    pages = passes["payments"] / simulation.PAYMENTS_A_PAGE
    pages += passes["refunds"] * REFUND_SHARE / (simulation.PAYMENTS_A_PAGE / 2)
    sweeping = simulation.SWEEP_RUN_S / simulation.SWEEP_EVERY_S
    looks = simulation.WATCH_RUN_S / simulation.LOOK_S / 60
    return {
        "`ApiRateLimit`": (given["ApiRateLimit"], requests() - requests("webhook")),
        "`WebhookRateLimit`": (given["WebhookRateLimit"], requests("webhook")),
        "API Gateway, account and region": (10_000, requests()),
        "Lambda concurrency, account and region": (1_000, requests() * REQUEST_S + CREATE_S),
        "create-order's instances, Razorpay answering": (instances, CREATE_S),
        "create-order's instances, Razorpay hanging": (instances, CREATE_HANGING_S),
        "EventBridge PutEvents, ap-south-1": (simulation.BUS_RATE, events),
        # Three subscribing services, and the archive.
        "EventBridge invocations of rules, ap-south-1": (1_100, 4 * events),
        "DynamoDB, a new on-demand table": (4_000, writes),
        "DynamoDB, a new on-demand table, reads": (12_000, units(counts, "read_units")),
        "DynamoDB, an on-demand table's quota": (40_000, writes),
        "DynamoDB, the counter of payment ids (one partition)": (1_000, block),
        # The signature adds a record to its shard, and publishing the event removes it.
        "DynamoDB, one of the index's 16 shards": (1_000, 2 / SHARDS),
        "reconcile's sweep: Razorpay's lists": (WORKERS / simulation.PAGE_S * sweeping, pages),
        "reconcile's sweep without webhooks: everything is new to its first pass": (
            1_000 * sweeping,
            1_000 * (simulation.PUBLISH_S + simulation.PAGE_S / simulation.PAYMENTS_A_PAGE),
        ),
        "reconcile's watch lane: unresolved payments and refunds": (looks, UNCONFIRMED_SHARE),
        "outbox, one run a minute: events that no webhook published": (
            simulation.OUTBOX_RUN_S / simulation.PUBLISH_S / 60,
            UNTOLD_SHARE,
        ),
    }


# --- the pages ------------------------------------------------------------------------------------------------------


def cost_table(counts: Counted) -> str:
    """The costs of a million payments, of a month without any, and of each option."""

    def lines(heads: tuple[str, str, str], items: Costs, *, added: bool = True) -> list[str]:
        found = [f"| {' | '.join(heads)} |", "| --- | ---: | --- |"]
        found += [f"| {item} | {dollars:.2f} | {why} |" for item, (dollars, why) in items.items()]
        return found + [f"| **all** | **{_sum(items):.2f}** | |"] * added

    million = lines(("item", "US$ per million payments", "for one payment"), cost_of_a_million(counts))
    month = lines(("without a single payment", "US$ a month", "from"), cost_of_a_month(counts))
    options = lines(("on top, if switched on", "US$ a month", "from"), options_of_a_month(), added=False)
    stages = lines(("an idle stage of `samconfig.toml`", "US$ a month", "from"), cost_of_stages(counts), added=False)
    return "\n".join([*million, "", *month, "", *options, "", *stages])


def summary_table(counts: Counted) -> str:
    """A stage's costs, in the four lines of docs/deploying.md."""
    lines = ["| what | US$ |", "| --- | ---: |"]
    lines += [f"| a month without a single payment | {_sum(cost_of_a_month(counts)):.2f} |"]
    lines += [f"| a month, on top: {name} | {dollars:.2f} |" for name, (dollars, _) in options_of_a_month().items()]
    return "\n".join([*lines, f"| a million payments | {_sum(cost_of_a_million(counts)):.2f} |"])


def limits_table(counts: Counted, table: str) -> str:
    """When each limit is reached: the page's table with these figures, the limit reached first at the top.

    Raises:
        ValueError: the page's limits are not the computed ones.
    """
    head, ruler, *rows = table.splitlines()
    told = {name: (value.partition(" ")[2], raised_by) for name, value, _, raised_by in map(_cells, rows)}
    known = {name: (at_most, at_most / used) for name, (at_most, used) in limits(counts).items()}
    if told.keys() != known.keys():
        raise ValueError(f"not in the table, or not computed: {', '.join(told.keys() ^ known.keys())}")
    lines = [
        f"| {name} | {_short(at_most)} {told[name][0]} | {_short(met_at)} | {told[name][1]} |"
        for name, (at_most, met_at) in sorted(known.items(), key=lambda one: one[1][1])
    ]
    return "\n".join([head, ruler, *lines])


def simulation_table(outcomes: Sequence[Outcome]) -> str:
    """The outcome of each scenario's payments."""
    heads = ("scenario", "captured", "lost", "by webhook, outbox, watch, sweep", "capture to event: median, 99 %, most")
    lines = [f"| {' | '.join(heads)} |", "| --- |" + " ---: |" * 4]
    for scenario, one in zip(simulation.SCENARIOS, outcomes, strict=True):
        by = ", ".join(f"{one.by[lane]:,}" for lane in ("webhook", "outbox", "watch", "sweep"))
        waits = f"{one.wait_s(50):.1f} s, {one.wait_s(99):.0f} s, {max(one.waits_s):.0f} s"
        lines.append(f"| **{scenario.name}.** {scenario.what} | {one.captured:,} | {one.lost:,} | {by} | {waits} |")
    return "\n".join(lines)


def between(page: str, name: str) -> str:
    """The text between a table's markers.

    Raises:
        ValueError: the page has no such markers.
    """
    found = re.search(_markers(name), page, re.DOTALL)
    if found is None:
        raise ValueError(f"the page has no markers of {name}")
    return found[2]


def rewritten(page: str, name: str, table: str) -> str:
    """The page with the table between its markers.

    Raises:
        ValueError: the page has no such markers.
    """
    between(page, name)
    return re.sub(_markers(name), lambda found: f"{found[1]}{table}{found[3]}", page, flags=re.DOTALL)


def _markers(name: str) -> str:
    return rf"(<!-- {name}: written by python -m bench.scaling -->\n\n)(.*?)(\n\n<!-- end of {name} -->)"


def _cells(row: str) -> list[str]:
    return row.removeprefix("| ").removesuffix(" |").split(" | ")


def _sum(costs: Costs) -> float:
    return sum(dollars for dollars, _ in costs.values())


def _short(number: float) -> str:
    return f"{number:,.0f}" if number >= 10 else f"{number:.1f}"  # noqa: PLR2004 - how it looks


def main() -> int:
    """Regenerates the tables."""
    counts, outcomes = counted.measure(), simulation.play()
    page, summary = PAGE.read_text(encoding="utf-8"), SUMMARY.read_text(encoding="utf-8")
    page = rewritten(page, "limits", limits_table(counts, between(page, "limits")))
    page = rewritten(page, "cost", cost_table(counts))
    PAGE.write_text(rewritten(page, "simulation", simulation_table(outcomes)), encoding="utf-8")
    SUMMARY.write_text(rewritten(summary, "summary", summary_table(counts)), encoding="utf-8")
    return 0 if all(one.lost == 0 for one in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
