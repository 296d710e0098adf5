"""EventBridge on the emulator: what it refuses, and what happens to an event that cannot be delivered."""

import json
from typing import Any

import pytest

from sandbox.cloud.cloud import DeploymentError
from tests.cloud.conftest import FIXTURE, Deployed


def test_an_event_reaches_a_queue_whose_policy_lets_the_rule_in(patched: Deployed) -> None:
    patched.put_event("open", '{"n": 1}')

    (message,) = patched.received("Open")
    assert json.loads(message["Body"])["detail"] == {"n": 1}


def test_an_event_for_a_queue_without_a_policy_goes_to_the_dead_letter_queue_with_the_reason(
    patched: Deployed,
) -> None:
    patched.put_event("closed", '{"n": 2}')

    (message,) = patched.received("Open")
    assert json.loads(message["Body"])["detail"] == {"n": 2}
    attributes = {name: value["StringValue"] for name, value in message["MessageAttributes"].items()}
    assert attributes["ERROR_CODE"] == "NO_PERMISSIONS"
    assert attributes["RULE_ARN"] == patched.outputs["ToClosedArn"]
    assert attributes["TARGET_ARN"] == patched.outputs["ClosedArn"]
    assert patched.received("Closed", within_seconds=0) == []


def test_the_stock_emulator_still_delivers_past_the_queues_policy(stock: Deployed) -> None:
    stock.put_event("closed")

    assert len(stock.received("Closed")) == 1


@pytest.mark.parametrize("detail", ["{", "[]", '"text"', "7"])
def test_an_event_whose_detail_is_no_json_object_fails_by_itself(patched: Deployed, detail: str) -> None:
    answer = patched.put_event("open", detail)

    assert answer["FailedEntryCount"] == 1
    assert answer["Entries"][0]["ErrorCode"] == "MalformedDetail"
    assert patched.received("Open", within_seconds=0) == []


def test_a_good_entry_beside_a_bad_one_is_accepted_and_the_results_keep_their_order(patched: Deployed) -> None:
    entry = {"EventBusName": patched.outputs["BusName"], "Source": "test", "DetailType": "open"}

    entries: Any = [{**entry, "Detail": "["}, {**entry, "Detail": "{}"}]
    answer = patched.cloud.client("events").put_events(Entries=entries)

    assert answer["FailedEntryCount"] == 1
    assert ["ErrorCode" in result for result in answer["Entries"]] == [True, False]
    assert len(patched.received("Open")) == 1


def test_more_than_1_mib_of_events_are_refused(patched: Deployed) -> None:
    events = patched.cloud.client("events")

    with pytest.raises(events.exceptions.ClientError, match="over the limit"):
        patched.put_event("open", json.dumps({"text": "x" * 1024 * 1024}))


def test_the_stock_emulator_still_accepts_a_malformed_detail(stock: Deployed) -> None:
    assert stock.put_event("open", "[")["FailedEntryCount"] == 0


def test_an_archive_is_deployed_and_keeps_events(patched: Deployed) -> None:
    outputs = patched.cloud.deploy(FIXTURE / "archive.yaml", "archive")

    events = patched.cloud.client("events")
    entry = {"EventBusName": "archived", "Source": "test", "DetailType": "kept", "Detail": "{}"}
    entries: Any = [entry, {**entry, "Source": "other"}]
    events.put_events(Entries=entries)
    archive = events.describe_archive(ArchiveName=outputs["Archive"])
    assert (archive["EventCount"], archive["RetentionDays"]) == (1, 7)
    assert outputs["ArchiveArn"].endswith(f":archive/{outputs['Archive']}")


def test_the_stock_emulator_still_refuses_archives(stock: Deployed) -> None:
    with pytest.raises(DeploymentError, match="AWS::Events::Archive"):
        stock.cloud.deploy(FIXTURE / "archive.yaml", "archive")


def published(deployed: Deployed, *sources: str) -> tuple[str | None, Any]:
    """The outcome for events with these sources, put by a function that may use only the source "test"."""
    entry = {"EventBusName": deployed.outputs["BusName"], "DetailType": "published", "Detail": "{}"}
    return deployed.invoke("Publish", {"entries": [{**entry, "Source": source} for source in sources]})


def test_a_role_limited_to_one_source_may_publish_under_it_and_under_no_other(patched: Deployed) -> None:
    assert published(patched, "test") == (None, 0)
    for sources in (["other"], ["test", "other"]):
        kind, document = published(patched, *sources)
        assert kind == "Unhandled"
        assert "AccessDenied" in document["errorType"] + document["errorMessage"]


def test_the_stock_emulator_still_does_not_know_an_events_source_in_a_policy(stock: Deployed) -> None:
    kind, document = published(stock, "test")

    assert kind == "Unhandled"
    assert "not authorized to perform: events:PutEvents" in document["errorMessage"]
