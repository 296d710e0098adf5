"""`events/schedules/`: the inputs of outbox and reconcile, from the template's schedules and by hand."""

import json
from pathlib import Path
from typing import Any

import pytest

from sandbox import events
from tests.handlers.service import forget_loggers, handler
from tests.handlers.template import resources
from tests.runbook.counter import CONTEXT, Counter

FOLDER = Path(__file__).parents[2] / "events/schedules"
INPUTS = {path.stem: path for path in sorted(FOLDER.glob("*.json"))}
# The story's order is unpaid, so there is nothing to accept or release.
IMPOSSIBLE = {
    "reconcile-accept": "NotPossible",
    "reconcile-release-payment": "NotPossible",
    "reconcile-find": "NotAtGateway",
}


def committed(name: str) -> Any:
    return json.loads(INPUTS[name].read_text(encoding="utf-8"))


def invoke(name: str, event: Any) -> Any:
    forget_loggers()
    return handler(name.partition("-")[0])(event, CONTEXT)


def test_the_committed_inputs_are_what_the_generator_makes() -> None:
    assert {path.name: path.read_text(encoding="utf-8") for path in INPUTS.values()} == events.scheduled_files()


@pytest.mark.parametrize(
    ("function", "schedule", "name"),
    [
        ("OutboxFunction", "EveryMinute", "outbox"),
        ("ReconcileFunction", "Watch", "reconcile-watch"),
        ("ReconcileFunction", "Sweep", "reconcile-sweep"),
        ("ReconcileFunction", "Expiry", "reconcile-expiry"),
    ],
)
def test_a_schedule_gives_its_function_the_committed_input(function: str, schedule: str, name: str) -> None:
    given = resources()[function]["Properties"]["Events"][schedule]["Properties"]["Input"]
    assert json.loads(given) == committed(name)


@pytest.mark.parametrize("name", INPUTS)
def test_an_input_is_taken_for_what_it_is(counter: Counter, name: str) -> None:
    counter.create_order()
    # The story's order has another id here.
    event = json.loads(json.dumps(committed(name)).replace(events.ORDER_ID, counter.order_id))
    if name in IMPOSSIBLE:
        assert invoke(name, event)["refused"] == IMPOSSIBLE[name]
        return
    report = invoke(name, event)
    assert report.get("failed", 0) == 0
    assert report.get("order_id", counter.order_id) == counter.order_id


def test_what_eventbridge_sends_without_an_input_of_ones_own_is_refused(counter: Counter) -> None:
    # EventBridge user guide, "Creating a rule that runs on a schedule": the event of a schedule.
    described = {"version": "0", "detail-type": "Scheduled Event", "source": "aws.events", "detail": {}}
    counter.create_order()
    for name in ("outbox", "reconcile"):
        with pytest.raises(Exception, match="MeaninglessInput"):
            invoke(name, described)
