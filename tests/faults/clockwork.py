"""The schedules of template.yaml: which function runs how often, with which input."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from tests.handlers.template import resources

MINUTE_S: Final = 60
HOUR_S: Final = 3_600
DAY_S: Final = 86_400
MOMENTS_S: Final = (
    *(minute * MINUTE_S for minute in (1, 3, 20)),
    *(hour * HOUR_S for hour in (2, 8, 28)),
    *(day * DAY_S for day in (2, 5, 9, 16)),
)
"""When the schedules run after the last action, besides the moments at which something is due: once after each age at
which a pass reads, and finally after the last check and the last pass (design, section 7). Nothing is lost in between,
since each run reads everything since the last one."""
_UNITS: Final = {"minute": MINUTE_S, "hour": HOUR_S, "day": DAY_S}
_RATE: Final = re.compile(r"rate\((\d+) (minute|hour|day)s?\)")


@dataclass(frozen=True, slots=True)
class Schedule:
    """One event of a function."""

    function: str
    """The folder of its code."""
    name: str
    every_s: int
    input: str
    """JSON."""

    @property
    def event(self) -> Any:
        return json.loads(self.input)


@cache
def functions() -> Mapping[str, Mapping[str, Any]]:
    """The properties of each function, by the folder of its code."""
    found = {}
    for resource in resources().values():
        if resource["Type"] == "AWS::Serverless::Function":
            properties = resource["Properties"]
            found[properties["CodeUri"].rstrip("/").removeprefix("functions/")] = properties
    return found


@cache
def schedules() -> tuple[Schedule, ...]:
    """Every schedule, in the template's order."""
    return tuple(
        Schedule(
            function,
            name,
            _seconds(event["Properties"].get("Schedule") or event["Properties"]["ScheduleExpression"]),
            event["Properties"].get("Input", "{}"),
        )
        for function, properties in functions().items()
        for name, event in properties.get("Events", {}).items()
        if event["Type"] in {"Schedule", "ScheduleV2"}
    )


@cache
def due_attributes() -> tuple[str, ...]:
    """What says when an item is due: the sort keys of indexes that are times. In the others, texts are sorted."""
    table = resources()["PaymentsTable"]["Properties"]
    times = {one["AttributeName"] for one in table["AttributeDefinitions"] if one["AttributeType"] == "N"}
    keys = [key for index in table["GlobalSecondaryIndexes"] for key in index["KeySchema"] if key["KeyType"] == "RANGE"]
    return tuple(key["AttributeName"] for key in keys if key["AttributeName"] in times)


def _seconds(rate: str) -> int:
    given = _RATE.fullmatch(rate)
    assert given is not None, f"only rates are played, not {rate}"
    return int(given[1]) * _UNITS[given[2]]
