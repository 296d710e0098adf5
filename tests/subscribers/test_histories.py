"""The certifier's histories are those that the model produces."""

import json
from typing import get_args

from payments.core.model import EventType
from tests.core.story import check_detail
from tests.subscribers import histories


def test_the_file_holds_what_the_model_produces() -> None:
    found = histories.FILE.read_text(encoding="utf-8")
    assert found == histories.written(histories.histories()), "run `python -m tests.subscribers.histories`"


def test_every_type_is_in_a_history_and_every_event_fits_its_schema() -> None:
    events = json.loads(histories.FILE.read_text(encoding="utf-8"))["events"]
    assert {event["detail-type"] for event in events} == set(get_args(EventType))
    for event in events:
        check_detail(event["detail-type"], event["detail"])
