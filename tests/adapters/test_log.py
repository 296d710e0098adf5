"""Only fields on the allow-list can be logged."""

import json

import pytest

from payments.adapters.log import FIELDS, RequestLog


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.mark.parametrize(
    "name", ["body", "headers", "authorization", "signature", "email", "contact", "vpa", "event_body"]
)
def test_a_field_that_is_not_on_the_list_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        RequestLog("verify").note(**{name: "x"})


def test_no_field_on_the_list_is_made_for_what_must_not_be_logged() -> None:
    assert not {"body", "headers", "token", "signature", "email", "contact", "vpa", "card"} & FIELDS


def test_a_crash_is_told_by_type_and_place_never_by_its_message(capsys: pytest.CaptureFixture[str]) -> None:
    log = RequestLog("crashing")  # a unique name: Powertools keeps one logger, and its stream, per service
    try:
        int("asha@example.com")
    except ValueError as error:
        log.crash(error)
    log.alert("request failed")

    (line,) = lines(capsys)
    assert line["error"] == "ValueError"
    assert str(line["stack"]).startswith("['test_log.py:")
    assert "asha" not in json.dumps(line)


def test_a_count_is_a_metric_by_service_without_any_call(capsys: pytest.CaptureFixture[str]) -> None:
    RequestLog("webhook").count("IgnoredEvents", dimensions={"event": "settlement.processed"})

    (line,) = lines(capsys)
    assert line["IgnoredEvents"] == [1.0]
    assert (line["service"], line["event"]) == ("webhook", "settlement.processed")
