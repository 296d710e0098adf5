"""The three lanes as they are deployed: roles, index, schedules, and Razorpay's API behind the stand-in."""

import json
import time
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from payments.core.sweeping import PASSES
from sandbox.cloud.service import LocalService
from sandbox.reconcile import main as make_reconcile
from tests.e2e.platform_client import Platform, eventually

OUTBOX, RECONCILE = "OutboxAlias", "ReconcileAlias"
WATCH: Mapping[str, Any] = {"lane": "watch"}
SWEEP: Mapping[str, Any] = {"lane": "sweep"}
# One minute for the schedules, plus room for a cold start.
SCHEDULED_S = 100


@pytest.fixture
def platform(local_service: LocalService) -> Platform:
    return Platform(local_service)


@pytest.fixture
def withheld(platform: Platform) -> Iterator[None]:
    """No webhook arrives, whatever happens at Razorpay."""
    address = platform.withhold_webhooks()
    yield
    platform.deliver_webhooks(address)


def make_due(service: LocalService, order_id: str) -> None:
    """Makes the record due now."""
    service.cloud.client("dynamodb").update_item(
        TableName=service.outputs["TableName"],
        Key={"pk": {"S": f"order#{order_id}"}},
        UpdateExpression="SET attention_at = :now",
        ConditionExpression="attribute_exists(attention_at)",
        ExpressionAttributeValues={":now": {"N": str(int(time.time()) - 1)}},
    )


def run(service: LocalService, function: str, event: Mapping[str, Any]) -> dict[str, Any]:
    answer = service.cloud.client("lambda").invoke(
        FunctionName=service.outputs[function], Payload=json.dumps(event).encode()
    )
    report: dict[str, Any] = json.loads(answer["Payload"].read())
    assert not answer.get("FunctionError"), report
    return report


def rebuild(service: LocalService, since: int) -> list[dict[str, Any]]:
    """Reads Razorpay's lists since then, run after run."""
    reports = []
    asked: Any = {"rebuild": {"from": since, "to": int(time.time()) + 1}}
    while asked is not None:
        reports.append(run(service, RECONCILE, asked))
        asked = reports[-1]["next"]
    assert sum(report["failed"] for report in reports) == 0
    return reports


def lane_of(record: dict[str, Any]) -> str | None:
    """The outbox's partitions are named by number; those of the other lanes have the lane's name before it."""
    shard = record.get("attention_shard")
    return None if shard is None else shard.rpartition("-")[0] or "outbox"


def is_told(platform: Platform, order_id: str) -> bool:
    record = platform.record(order_id)
    return record["pending"] == {} and "attention_at" not in record


@pytest.mark.usefixtures("withheld")
def test_a_verified_payment_without_any_webhook_is_confirmed_by_the_watch_lane(
    platform: Platform, local_service: LocalService
) -> None:
    order_id = platform.create_order().json()["order_id"]
    verified = platform.verify(platform.pay(order_id).json())
    assert verified.status_code == 200
    assert platform.payment(order_id)["confirmed"] is False

    assert lane_of(platform.record(order_id)) == "outbox"
    make_due(local_service, order_id)
    run(local_service, OUTBOX, {})
    # The schedule may have been faster; either way the watch lane will query it two minutes after the signature.
    eventually(lambda: lane_of(platform.record(order_id)), lambda lane: lane == "watch")

    make_due(local_service, order_id)
    run(local_service, RECONCILE, WATCH)
    platform.wait_for_payment(order_id, status="paid", confirmed=True)
    for subscriber in ("job", "application", "notification"):
        platform.wait_for_inbox(subscriber, order_id, "payment.paid")
    eventually(lambda: is_told(platform, order_id), bool)


@pytest.mark.usefixtures("withheld")
def test_without_any_webhook_a_payment_ends_paid_and_told(platform: Platform, local_service: LocalService) -> None:
    began = int(time.time()) - 1
    order_id = platform.create_order().json()["order_id"]
    platform.pay(order_id)
    # Nobody verified it, so nothing is due: only Razorpay's lists have it, which the sweep reads 15 minutes later.
    assert platform.payment(order_id)["status"] == "created"
    assert "attention_at" not in platform.record(order_id)

    rebuild(local_service, began)

    platform.wait_for_payment(order_id, status="paid", confirmed=True)
    for subscriber in ("job", "application", "notification"):
        platform.wait_for_inbox(subscriber, order_id, "payment.paid")
    eventually(lambda: is_told(platform, order_id), bool)


@pytest.mark.usefixtures("withheld")
def test_a_refund_without_any_webhook_is_found_with_its_payment(
    platform: Platform, local_service: LocalService
) -> None:
    began = int(time.time()) - 1
    order_id = platform.create_order().json()["order_id"]
    checkout = platform.pay(order_id).json()
    platform.refund(checkout["razorpay_payment_id"])

    rebuild(local_service, began)

    platform.wait_for_payment(order_id, status="refunded", confirmed=True, amount_refunded=49950)
    platform.wait_for_inbox("notification", order_id, "payment.refunded")


@pytest.mark.usefixtures("withheld")
def test_an_operator_can_have_one_order_looked_at_now(platform: Platform, local_service: LocalService) -> None:
    order_id = platform.create_order().json()["order_id"]
    platform.pay(order_id)

    told = run(local_service, RECONCILE, {"look": {"order_id": order_id}})

    assert (told["status"], told["confirmed"], told["under_review"]) == ("paid", True, False)
    platform.wait_for_inbox("job", order_id, "payment.paid")


def test_a_sweep_reads_every_list_to_where_it_should(local_service: LocalService) -> None:
    report = eventually(lambda: run(local_service, RECONCILE, SWEEP), lambda report: not report["left_over"])
    assert report["failed"] == 0

    items = local_service.cloud.client("dynamodb").scan(TableName=local_service.outputs["TableName"])["Items"]
    read = {item["pk"]["S"]: int(item["at"]["N"]) for item in items if item["pk"]["S"].startswith("sweep#")}
    # Disputes and the expiry lane have passes of their own.
    assert read.keys() >= {f"sweep#{one.name}" for one in PASSES}
    for one in PASSES:
        assert time.time() - read[f"sweep#{one.name}"] < one.age_s + one.every_s + 120


@pytest.mark.parametrize("event", [{}, {"lane": "sweap"}, {"lane": "watch", "shards": ["16"]}, {"rebuild": {}}, []])
def test_an_input_that_means_nothing_fails(local_service: LocalService, event: Any) -> None:
    answer = local_service.cloud.client("lambda").invoke(
        FunctionName=local_service.outputs[RECONCILE], Payload=json.dumps(event).encode()
    )
    assert answer["FunctionError"] == "Unhandled"


def test_make_reconcile_runs_each_lane_and_says_what_it_did(
    local_service: LocalService, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run_dir = local_service.endpoints["run_dir"]
    monkeypatch.setattr("sys.argv", ["make reconcile", "--run-dir", run_dir, "--last", "1"])
    assert make_reconcile() == 0
    said = capsys.readouterr().out
    assert [line.partition(":")[0] for line in said.splitlines() if ":" in line][:5] == [
        "Outbox",
        "Watch",
        "Sweep",
        "Expiry",
        "Rebuild",
    ]


# A one-minute schedule, and cold starts on a busy machine.
@pytest.mark.timeout(300)
@pytest.mark.usefixtures("withheld")
def test_the_schedules_run_outbox_and_watch_without_being_asked(
    platform: Platform, local_service: LocalService
) -> None:
    # One record in each lane, so that the test waits for both schedules at once.
    watched = platform.create_order().json()["order_id"]
    platform.verify(platform.pay(watched).json())
    make_due(local_service, watched)
    run(local_service, OUTBOX, {})
    eventually(lambda: lane_of(platform.record(watched)), lambda lane: lane == "watch")
    another = Platform(local_service)
    told = another.create_order().json()["order_id"]
    another.verify(another.pay(told).json())

    make_due(local_service, watched)
    make_due(local_service, told)
    wait(lambda: lane_of(another.record(told)) == "watch")
    wait(lambda: platform.payment(watched)["confirmed"])


def test_each_schedule_says_which_lane_it_is(local_service: LocalService) -> None:
    events = local_service.cloud.client("events")
    told = [
        (rule["ScheduleExpression"], json.loads(target["Input"]))
        for rule in events.list_rules()["Rules"]
        if "ScheduleExpression" in rule
        for target in events.list_targets_by_rule(Rule=rule["Name"])["Targets"]
    ]
    assert sorted(told, key=str) == [
        ("rate(1 hour)", {"lane": "expiry"}),
        ("rate(1 minute)", WATCH),
        ("rate(1 minute)", {}),
        ("rate(5 minutes)", SWEEP),
    ]


def wait(done: Any) -> None:
    deadline = time.monotonic() + SCHEDULED_S
    while not done():
        assert time.monotonic() < deadline
        time.sleep(1)
