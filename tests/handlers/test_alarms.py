"""The metrics that alarms and dashboard use are exactly those that the functions send."""

import json
import re
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from payments.core import facts
from sandbox import events
from sandbox.cloud.packages import read_whole
from tests.handlers import cloud as faults
from tests.handlers.razorpay import Reply
from tests.handlers.service import ENVIRONMENT, ROOT, Service, forget_loggers, handler
from tests.template.metrics import Metric, conditions_of, filtered, of_alarm, of_dashboard, sent, text

OURS = "Payments/${Stage}"
VERSION = "7"
"""The function's version variable in Lambda; in the template it is a reference to the published version."""
SCHEDULED = SimpleNamespace(get_remaining_time_in_millis=lambda: 290_000)
TEMPLATE = read_whole(ROOT / "template.yaml")
RESOURCES: dict[str, Any] = TEMPLATE["Resources"]
NAMESPACE = text(TEMPLATE["Globals"]["Function"]["Environment"]["Variables"]["POWERTOOLS_METRICS_NAMESPACE"])
FILTERS = {name: item["Properties"] for name, item in RESOURCES.items() if item["Type"] == "AWS::Logs::MetricFilter"}
# Logged but not alarming: Razorpay's events about other products, and what reconcile did.
ONLY_COUNTED = {"IgnoredEvents", "Reconciled"}


def reconcile(service: Service) -> None:
    """Runs every lane, once what verify left is due."""
    for function, event in (
        ("outbox", {}),
        ("reconcile", {"lane": "watch"}),
        ("reconcile", {"lane": "sweep", "passes": ["payments-900"]}),
        ("reconcile", {"lane": "expiry"}),
    ):
        service.clock.now += 5 * 60
        forget_loggers()
        handler(function)(event, SCHEDULED)


def forged_webhook(service: Service, _: pytest.MonkeyPatch) -> None:
    service.replay("webhook-forged")


def forged_checkout(service: Service, _: pytest.MonkeyPatch) -> None:
    service.replay("verify-wrong-signature")


def unusable_event(service: Service, _: pytest.MonkeyPatch) -> None:
    service.replay("webhook-unusable")


def ignored_event(service: Service, _: pytest.MonkeyPatch) -> None:
    service.replay("webhook-ignored")


def given_up(service: Service, _: pytest.MonkeyPatch) -> None:
    service.clock.now += 13 * 60 * 60
    service.cloud.fail_always("GetItem", faults.times_out)
    service.deliver(events.webhook_body("payment.captured"))


def dropped_attempt(service: Service, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(facts, "MAX_ATTEMPTS", 0)
    service.deliver(events.webhook_body("payment.failed"))


def broken_table(service: Service, _: pytest.MonkeyPatch) -> None:
    service.cloud.fail_always("GetItem", faults.denies)
    service.create_order()
    service.verify()
    service.refund()
    service.deliver(events.webhook_body("payment.captured"))


def settled_without_a_webhook(service: Service, _: pytest.MonkeyPatch) -> None:
    service.verify()
    service.razorpay.pay(events.ORDER_ID, events.PAYMENT_ID)
    reconcile(service)


def unsettled(service: Service, _: pytest.MonkeyPatch) -> None:
    service.verify()
    service.razorpay.trouble = lambda _: Reply(500)
    reconcile(service)


def throttled(service: Service, _: pytest.MonkeyPatch) -> None:
    service.verify()
    service.razorpay.trouble = lambda _: Reply(429)
    reconcile(service)


def invoked_by_something_else(_: Service, __: pytest.MonkeyPatch) -> None:
    for function in ("create_order", "verify", "webhook", "refund"):
        forget_loggers()
        with pytest.raises(Exception, match="ConfigurationError"):
            handler(function)({}, SCHEDULED)


def without_settings(service: Service, patch: pytest.MonkeyPatch) -> None:
    for name in ENVIRONMENT:
        patch.delenv(name)
    for name in ("create-order", "verify", "webhook-payment-captured", "refund"):
        assert service.replay(name).status == 500
    for function, event in (("outbox", {}), ("reconcile", {"lane": "watch"}), ("reconcile", {"lane": "sweep"})):
        forget_loggers()
        with pytest.raises(Exception, match="ConfigurationError"):
            handler(function)(event, SCHEDULED)


SCENES: list[Callable[[Service, pytest.MonkeyPatch], None]] = [
    forged_webhook,
    forged_checkout,
    unusable_event,
    ignored_event,
    given_up,
    dropped_attempt,
    broken_table,
    settled_without_a_webhook,
    unsettled,
    throttled,
    invoked_by_something_else,
    without_settings,
]


@pytest.fixture(params=SCENES, ids=lambda scene: scene.__name__)
def lines(
    request: pytest.FixtureRequest,
    ordered: Service,
    monkeypatch: pytest.MonkeyPatch,
    emitted: set[Metric],
    logged: list[Any],
) -> list[dict[str, Any]]:
    """The functions' output, collected over all scenes."""
    namespace = NAMESPACE.replace("${Stage}", "local")
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", namespace)
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_VERSION", VERSION)
    request.param(ordered, monkeypatch)
    written = [json.loads(line) for line in ordered.output().splitlines() if line.startswith("{")]
    for line in written:
        if "_aws" in line:
            assert {group["Namespace"] for group in line["_aws"]["CloudWatchMetrics"]} == {namespace}
            emitted |= set(sent(line, NAMESPACE))
        else:
            logged.append(line)
    return written


@pytest.fixture(scope="module")
def emitted() -> set[Metric]:
    return set()


@pytest.fixture(scope="module")
def logged() -> list[Any]:
    return []


def test_each_scene_is_counted_or_logged(lines: list[dict[str, Any]]) -> None:
    assert lines


def test_the_stages_own_namespace_is_the_one_that_the_alarms_look_at() -> None:
    assert NAMESPACE == OURS


def made_from(logged: list[Any]) -> set[Metric]:
    """The metrics that the metric filters take from the functions' log lines."""
    made = set()
    for metric_filter in FILTERS.values():
        conditions = conditions_of(metric_filter["FilterPattern"])
        for line in logged:
            if all(field in line and value in {line[field], "*"} for field, value in conditions.items()):
                for namespace, name, fields in filtered(metric_filter):
                    dimensions = frozenset((key, line[field]) for key, field in fields.items())
                    made.add(Metric(namespace, name, dimensions))
    return made


def watched() -> set[Metric]:
    alarms = [item["Properties"] for item in RESOURCES.values() if item["Type"] == "AWS::CloudWatch::Alarm"]
    metrics = {metric for alarm in alarms for metric in of_alarm(alarm)}
    metrics |= set(of_dashboard(RESOURCES["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]))
    return {of_one_version(metric) for metric in metrics if not metric.namespace.startswith("AWS/")}


def of_one_version(metric: Metric) -> Metric:
    """The metric with the version number of these tests."""
    dimensions = {(name, VERSION if name == "version" else value) for name, value in metric.dimensions}
    return metric._replace(dimensions=frozenset(dimensions))


def test_every_name_that_the_source_counts_is_watched() -> None:
    files = [*(ROOT / "shared/payments").rglob("*.py"), *(ROOT / "functions").rglob("*.py")]
    counted = {name for file in files for name in re.findall(r"\.count\(\"(\w+)\"", file.read_text())}
    assert len(counted) > len(ONLY_COUNTED)
    assert counted - {metric.name for metric in watched()} == ONLY_COUNTED - {"Reconciled"}


def test_what_is_watched_is_what_is_sent(emitted: set[Metric], logged: list[Any]) -> None:
    # Counted from API Gateway's access log: tests/template compares the two.
    elsewhere = {Metric(OURS, "ThrottledDeliveries", frozenset())}
    # About a published key set and Secrets Manager, which these functions do not use.
    elsewhere |= {metric for metric in watched() if metric.name in {"KeySetFailures", "StaleSecrets"}}
    assert emitted, "the scenes above did not run: run this file as a whole"
    assert watched() - elsewhere - emitted - made_from(logged) == set()


def test_what_is_sent_is_watched(emitted: set[Metric], logged: list[Any]) -> None:
    unwatched = (emitted | made_from(logged)) - watched()
    assert {metric.name for metric in unwatched} <= ONLY_COUNTED
