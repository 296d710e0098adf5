"""What a payment uses: the designed figures, and the same figures on the generated pages."""

from typing import Any

import pytest

from bench import counted, scaling
from sandbox.cloud.packages import read_template, read_whole

type Counts = dict[str, dict[str, Any]]

CALLS = {
    "create-order": 4,
    "verify": 2,
    "webhook payment.authorized": 2,
    "webhook payment.captured": 4,
    "webhook order.paid": 1,
    "webhook, a duplicate": 1,
    "list of an application": 2,
    "list of a client's payments": 2,
    "refund": 5,
    "refund, again": 1,
    "webhook refund.created, of a requested refund": 3,
    "webhook refund.processed, of a requested refund": 1,
}
"""Outside calls, as designed; every tenth order makes one more, for ids."""
GOOD_CASE = ("create-order", "verify", "webhook payment.authorized", "webhook payment.captured", "webhook order.paid")
WRITE_UNITS = 10
OF_A_REFUND = (
    "refund",
    "webhook refund.created, of a requested refund",
    "webhook refund.processed, of a requested refund",
)
WRITE_UNITS_OF_A_REFUND = 7
LOG_BYTES = 500


@pytest.fixture(scope="module")
def counts() -> Counts:
    return counted.measure()


def test_each_request_makes_the_calls_that_it_needs_and_no_other(counts: Counts) -> None:
    assert {name: counts[name]["calls"] for name in CALLS} == CALLS
    assert counts["create-order, every tenth: ids"]["made"] == ["dynamodb UpdateItem"]
    assert counts["webhook payment.captured"]["made"] == [
        "dynamodb GetItem",
        "dynamodb UpdateItem",
        "events PutEvents",
        "dynamodb UpdateItem",
    ]


def test_a_payment_takes_at_most_as_many_write_units_as_designed_and_one_put_events(counts: Counts) -> None:
    assert sum(counts[name]["write_units"] for name in GOOD_CASE) <= WRITE_UNITS
    # The counter of payment ids comes on top, once for ten orders.
    assert counts["create-order, every tenth: ids"]["write_units"] == 1
    assert sum(counts[name]["event_entries"] for name in GOOD_CASE) == 1


def test_a_requested_refund_takes_one_call_to_razorpay_and_one_put_events(counts: Counts) -> None:
    made = [call for name in OF_A_REFUND for call in counts[name]["made"]]
    assert [call for call in made if call.startswith("razorpay")] == ["razorpay POST /v1/payments/{id}/refund"]
    assert sum(counts[name]["write_units"] for name in OF_A_REFUND) <= WRITE_UNITS_OF_A_REFUND
    assert sum(counts[name]["event_entries"] for name in OF_A_REFUND) == 1


def test_no_request_logs_more_than_five_hundred_bytes(counts: Counts) -> None:
    for name, used in counts.items():
        if name not in counted.LANES:
            assert used["log_bytes"] <= LOG_BYTES, name


def test_what_is_known_already_writes_nothing(counts: Counts) -> None:
    reads = ("read", "list of an application", "list of a client's payments", "refund, again")
    for name in ("create-order, again", "verify, again", *reads, "webhook order.paid", "webhook, a duplicate"):
        assert counts[name]["write_units"] == 0, name
        assert counts[name]["event_entries"] == 0, name


def test_ten_orders_that_nobody_paid_cost_the_lanes_nothing(counts: Counts) -> None:
    for name in counted.LANES:
        assert counts[name]["write_units"] == 0, name
        assert not any(call.startswith("razorpay") for call in counts[name]["made"]), name


# --- docs/scaling.md ------------------------------------------------------------------------------------------------


def test_the_pages_tables_are_those_of_the_counted_units(counts: Counts) -> None:
    text = scaling.PAGE.read_text(encoding="utf-8")
    assert scaling.between(text, "cost") == scaling.cost_table(counts)
    limits = scaling.between(text, "limits")
    assert limits == scaling.limits_table(counts, limits)


def test_a_table_is_put_between_its_markers_and_nothing_else_moves() -> None:
    text = scaling.PAGE.read_text(encoding="utf-8")
    changed = scaling.rewritten(text, "cost", "a | b \\1")
    assert scaling.between(changed, "cost") == "a | b \\1"
    assert scaling.rewritten(changed, "cost", scaling.between(text, "cost")) == text


def test_a_page_without_the_markers_is_refused() -> None:
    with pytest.raises(ValueError, match="no markers of cost"):
        scaling.rewritten("nothing here", "cost", "")


def test_a_limit_that_is_not_in_the_table_is_an_error(counts: Counts) -> None:
    head, ruler, first, *rows = scaling.between(scaling.PAGE.read_text(encoding="utf-8"), "limits").splitlines()
    with pytest.raises(ValueError, match="reconcile's sweep without webhooks"):
        scaling.limits_table(counts, "\n".join([head, ruler, *rows]))
    with pytest.raises(ValueError, match="something else"):
        scaling.limits_table(counts, "\n".join([head, ruler, first, *rows, "| something else | 1 x | 1 | nothing |"]))


def test_a_millions_cost_is_the_sum_of_its_units(counts: Counts) -> None:
    cost = scaling.cost_of_a_million(counts)
    # Seven requests at 3.50 a million; one event at 1.00 a million.
    assert cost["API Gateway, REST"][0] == pytest.approx(24.5)
    assert cost["EventBridge"][0] == pytest.approx(1.0)
    assert cost["DynamoDB, writes"][0] == pytest.approx(0.625 * scaling.units(counts, "write_units"))


def test_a_month_without_payments_is_billed_by_the_things_in_the_template(counts: Counts) -> None:
    resources = read_whole(scaling.TEMPLATE)["Resources"].values()
    watched = 0
    for alarm in (resource["Properties"] for resource in resources if resource["Type"] == "AWS::CloudWatch::Alarm"):
        # CloudWatch pricing: an alarm with an expression is billed for each metric that the expression needs.
        watched += sum("MetricStat" in query for query in alarm.get("Metrics", [{"MetricStat": {}}]))
    cost = scaling.cost_of_a_month(counts)
    assert cost["CloudWatch alarms"][0] == pytest.approx(0.10 * watched)
    assert cost["CloudWatch dashboard"][0] == pytest.approx(3.00)
    assert cost["Secrets Manager"][0] == pytest.approx(3 * 0.40)
    assert cost["KMS"][0] == pytest.approx(1.00)
    # Two lanes every minute, one every five minutes and one every hour, all traced.
    assert cost["X-Ray"][0] == pytest.approx(30 * 24 * (60 + 60 + 12 + 1) * 5 / 1e6)


def test_the_lanes_run_as_often_as_their_schedules_say() -> None:
    resources = read_template(scaling.TEMPLATE)["Resources"]
    rates = {
        name: resources[function]["Properties"]["Events"][event]["Properties"]["Schedule"]
        for name, function, event in (
            ("outbox", "OutboxFunction", "EveryMinute"),
            ("reconcile watch", "ReconcileFunction", "Watch"),
            ("reconcile sweep", "ReconcileFunction", "Sweep"),
            ("reconcile expiry", "ReconcileFunction", "Expiry"),
        )
    }
    units = {"minute": 1, "minutes": 1, "hour": 60}
    written = {name: rate.removeprefix("rate(").removesuffix(")").split() for name, rate in rates.items()}
    minutes = {name: int(number) * units[unit] for name, (number, unit) in written.items()}
    assert {name: 30 * 24 * 60 // every for name, every in minutes.items()} == dict(scaling.RUNS_A_MONTH)


def test_the_metrics_that_an_idle_stage_pays_for_are_those_that_its_alarms_wait_for() -> None:
    # `treat missing data as breaching` needs a value in each run: overdue records, sweep lag and expiry lag.
    names = {metric.name for metric in counted.metrics(idle=True)}
    assert {"OldestOutboxSeconds", "OldestDueSeconds", "SweepLagSeconds", "ExpiryLagSeconds"} <= names
    assert counted.metrics(idle=True) < counted.metrics(idle=False)


def test_a_snapshot_is_billed_for_each_function_by_its_memory_and_a_web_acl_by_its_rules() -> None:
    options = scaling.options_of_a_month()
    # Lambda pricing, SnapStart: 0.0000015046 for each GB and second.
    assert options["`SnapStart=PublishedVersions`"][0] == pytest.approx(6 * 0.5 * 30 * 86_400 * 0.0000015046)
    assert options["`WebAcl=true`"][0] == pytest.approx(5 + 2)


def test_an_idle_stage_costs_what_its_options_add(counts: Counts) -> None:
    # samconfig.toml: snapshots of six functions in both stages, and a web ACL with two rules in production.
    idle = sum(dollars for dollars, _ in scaling.cost_of_a_month(counts).values())
    stages = scaling.cost_of_stages(counts)
    assert stages["staging"][0] == pytest.approx(idle + 6 * 0.5 * 30 * 86_400 * 0.0000015046)
    assert stages["production"][0] == pytest.approx(stages["staging"][0] + 5 + 2)


def test_the_page_on_deploying_has_the_sums(counts: Counts) -> None:
    text = scaling.SUMMARY.read_text(encoding="utf-8")
    assert scaling.between(text, "summary") == scaling.summary_table(counts)


def test_each_limit_is_met_where_it_is_used_up(counts: Counts) -> None:
    # 600 PutEvents a second, one per payment; 100 requests, four per payment; 200 instances, eleven seconds each.
    limits = {name: at_most / used for name, (at_most, used) in scaling.limits(counts).items()}
    assert limits["EventBridge PutEvents, ap-south-1"] == 600
    assert limits["`ApiRateLimit`"] == 25
    assert limits["create-order's instances, Razorpay hanging"] == pytest.approx(200 / 11)
    table = scaling.limits_table(counts, scaling.between(scaling.PAGE.read_text(encoding="utf-8"), "limits"))
    shown = [row.removeprefix("| ").split(" | ")[0] for row in table.splitlines()[2:]]
    assert shown == sorted(limits, key=lambda name: limits[name])


def test_the_access_log_is_about_as_long_as_a_line_with_all_its_values_in_it() -> None:
    assert 200 < scaling.access_log_bytes() < 600
