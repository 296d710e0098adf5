"""Disaster recovery on the deployed template: the table's state at an earlier time, completed from Razorpay.

The emulator's restore "to a point in time" returns the current table, so the test takes a backup at that time instead.
On AWS the same steps start with RestoreTableToPointInTime (docs/runbook.md, "Restoring the table").
"""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sandbox.cloud.build import architecture, build
from sandbox.cloud.service import STACK, LocalService
from sandbox.development import STAGE
from tests.e2e.platform_client import Platform, eventually

RESTORED = "payments-restored"
# More ids than can have been used since the backup; gaps in the payment ids are fine.
SKIPPED_IDS = 1_000_000


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalService]:
    """A separate service, because its table is replaced."""
    with LocalService.start(tmp_path_factory.mktemp("recovery")) as service:
        yield service


@dataclass
class Disaster:
    """The customers, and the service's responses about their payments before the table was lost."""

    began: int
    customers: dict[str, Platform]
    orders: dict[str, str]
    before: dict[str, dict[str, Any]]
    payment_ids: set[int]

    def payment(self, name: str) -> dict[str, Any]:
        return what_matters(self.customers[name].payment(self.orders[name]))


def what_matters(payment: dict[str, Any]) -> dict[str, Any]:
    """Everything the API returns, except when it was last stored and the second of the order's creation."""
    return {name: value for name, value in payment.items() if name not in {"updated_at", "created_at"}}


@pytest.fixture(scope="module")
def disaster(service: LocalService) -> Disaster:
    """Payments before and after a backup, with all webhooks delivered; then the backup replaces the table."""
    began = int(time.time()) - 60
    names = (
        "refunded after it",
        "paid after it",
        "made after it",
        "paid before it",
        "open after it",
        "failed after it",
    )
    customers = {name: Platform(service, client_id=100 + number) for number, name in enumerate(names)}
    orders: dict[str, str] = {}
    payments: dict[str, str] = {}

    def order(name: str) -> None:
        orders[name] = customers[name].create_order().json()["order_id"]

    def pay(name: str) -> None:
        payments[name] = customers[name].pay(orders[name]).json()["razorpay_payment_id"]
        customers[name].wait_for_payment(orders[name], status="paid", confirmed=True)

    for name in ("refunded after it", "paid after it", "paid before it"):
        order(name)
    pay("refunded after it")
    pay("paid before it")
    for name in ("refunded after it", "paid before it"):
        customers[name].wait_until_delivered(orders[name], 3)

    dynamodb = service.cloud.client("dynamodb")
    backup = dynamodb.create_backup(TableName=service.outputs["TableName"], BackupName="then")["BackupDetails"]

    for name in ("made after it", "open after it", "failed after it"):
        order(name)
    pay("paid after it")
    pay("made after it")
    customers["failed after it"].pay(orders["failed after it"], method="upi", vpa="failure@razorpay")
    customers["failed after it"].wait_for_payment(orders["failed after it"], status="failed")
    customers["refunded after it"].refund(payments["refunded after it"])
    customers["refunded after it"].wait_for_payment(orders["refunded after it"], status="refunded")
    for name in ("paid after it", "made after it"):
        customers[name].wait_until_delivered(orders[name], 3)
        customers[name].wait_for_inbox("job", orders[name], "payment.paid")

    before = {name: what_matters(customers[name].payment(orders[name])) for name in names}
    switch_to_the_backup(service, backup["BackupArn"])
    return Disaster(began, customers, orders, before, {payment["payment_id"] for payment in before.values()})


def switch_to_the_backup(service: LocalService, backup: str) -> None:
    """Follows the runbook: restore, skip the payment ids used since, deploy with the restored table."""
    dynamodb = service.cloud.client("dynamodb")
    dynamodb.restore_table_from_backup(TargetTableName=RESTORED, BackupArn=backup)
    dynamodb.get_waiter("table_exists").wait(TableName=RESTORED, WaiterConfig={"Delay": 1, "MaxAttempts": 30})
    dynamodb.update_item(
        TableName=RESTORED,
        Key={"pk": {"S": "counter#payment_id"}},
        UpdateExpression="ADD last_taken :skipped",
        ExpressionAttributeValues={":skipped": {"N": str(SKIPPED_IDS)}},
    )
    parameters = {
        "Stage": STAGE,
        "CorsOrigin": "*",
        "RazorpayApiUrl": service.endpoints["razorpay"],
        "Architecture": architecture(),
        "DeletionProtection": "false",
        "GradualDeployment": "false",
        "RestoredTable": RESTORED,
    }
    assert service.cloud.deploy(build(), STACK, parameters)["TableName"] == RESTORED


def rebuild(service: LocalService, start: int) -> list[dict[str, Any]]:
    """Rebuilds everything since then, run after run."""
    reports = []
    asked: dict[str, Any] | None = {"rebuild": {"from": start, "to": int(time.time()) + 60}}
    while asked is not None:
        answer = invoke(service, asked)
        reports.append(answer)
        asked = answer["next"]
    return reports


def invoke(service: LocalService, asked: Any) -> dict[str, Any]:
    answer = service.cloud.client("lambda").invoke(
        FunctionName=service.outputs["ReconcileAlias"], Payload=json.dumps(asked).encode()
    )
    report: dict[str, Any] = json.loads(answer["Payload"].read())
    assert not answer.get("FunctionError"), report
    return report


def test_what_came_after_the_backup_is_gone_at_first(disaster: Disaster) -> None:
    made_later = disaster.customers["made after it"]
    assert made_later.call("GET", f"{disaster.orders['made after it']}/").status_code == 404
    assert disaster.payment("refunded after it")["status"] == "paid"
    assert disaster.payment("paid after it")["status"] == "created"
    assert disaster.payment("paid before it") == disaster.before["paid before it"]


def test_after_the_rebuild_every_payment_is_what_it_was_and_nobody_is_told_twice(
    service: LocalService, disaster: Disaster
) -> None:
    reports = rebuild(service, disaster.began)

    assert sum(report["failed"] for report in reports) == 0
    outcomes = {name for report in reports for name in report["outcomes"]}
    assert {"rebuilt", "settled", "unchanged"} <= outcomes
    assert {name: disaster.payment(name) for name in disaster.before} == disaster.before
    # Events from before the loss are published again with their old ids, which consumers recognise.
    for name in ("made after it", "paid after it"):
        assert disaster.customers[name].inbox("job", disaster.orders[name]) == ["payment.paid"]


def test_after_the_rebuild_create_order_knows_every_application_again(
    service: LocalService, disaster: Disaster
) -> None:
    rebuild(service, disaster.began)

    for name in ("made after it", "paid after it", "paid before it"):
        assert disaster.customers[name].create_order().json()["code"] == "already_paid"
    for name in ("open after it", "failed after it"):
        again = disaster.customers[name].create_order()
        assert (again.status_code, again.json()["order_id"]) == (200, disaster.orders[name])


def test_no_payment_id_is_handed_out_again_and_new_payments_go_through(
    service: LocalService, disaster: Disaster
) -> None:
    newcomer = Platform(service, client_id=200)
    created = newcomer.create_order().json()
    assert created["payment_id"] > max(disaster.payment_ids)

    newcomer.pay(created["order_id"])
    newcomer.wait_for_payment(created["order_id"], status="paid", confirmed=True)
    newcomer.wait_for_inbox("job", created["order_id"], "payment.paid")


def test_a_subscriber_that_lost_its_events_gets_them_from_the_archive_and_the_others_know_them(
    service: LocalService, disaster: Disaster
) -> None:
    name = "paid before it"
    customer, order_id = disaster.customers[name], disaster.orders[name]
    subscribers = service.endpoints["subscribers"]
    dynamodb = service.cloud.client("dynamodb")
    for table, key in (("JobInbox", "event_id"), ("JobIdempotency", "id")):
        for item in dynamodb.scan(TableName=subscribers[table])["Items"]:
            dynamodb.delete_item(TableName=subscribers[table], Key={key: item[key]})
    assert customer.inbox("job", order_id) == []

    events = service.cloud.client("events")
    archive = events.describe_archive(ArchiveName=f"payments-{STAGE}")
    bus = service.outputs["EventBusArn"]
    events.start_replay(
        ReplayName="lost-inbox",
        EventSourceArn=archive["ArchiveArn"],
        EventStartTime=datetime.fromtimestamp(disaster.began, UTC),
        EventEndTime=datetime.now(UTC) + timedelta(minutes=1),
        Destination={"Arn": bus},
    )

    customer.wait_for_inbox("job", order_id, "payment.paid")
    eventually(lambda: events.describe_replay(ReplayName="lost-inbox")["State"], lambda state: state == "COMPLETED")
    assert customer.inbox("application", order_id) == ["payment.paid"]
