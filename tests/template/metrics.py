"""The metrics that the alarms and the dashboard of a template use."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple


class Metric(NamedTuple):
    """One CloudWatch metric; references are kept as text, such as `${WebhookFunction}`."""

    namespace: str
    name: str
    dimensions: frozenset[tuple[str, str]]


def text(value: Any) -> str:
    """A template value as text: `!Ref A` is `${A}`, `!GetAtt A.B` is `${A.B}`, `!Sub` its own text."""
    if isinstance(value, str):
        return value
    ((function, argument),) = value.items()
    match function:
        case "Ref":
            return f"${{{argument}}}"
        case "Fn::GetAtt":
            return f"${{{'.'.join(argument)}}}"
        case "Fn::Sub":
            return str(argument)
        case "Fn::If":  # the usual value is the last
            return text(argument[2])
    raise ValueError(f"{function} is not a name")


def of_alarm(alarm: Mapping[str, Any]) -> list[Metric]:
    """An alarm's metrics: one, or those of its expression."""
    if "Metrics" in alarm:
        return [_metric(query["MetricStat"]["Metric"]) for query in alarm["Metrics"] if "MetricStat" in query]
    return [_metric(alarm)]


def of_dashboard(body: str) -> Iterator[Metric]:
    """The metrics of a dashboard's graphs; its body is JSON with `${...}` inside texts."""
    for widget in json.loads(body)["widgets"]:
        for row in widget["properties"].get("metrics", []):
            names = [part for part in row if isinstance(part, str)]
            if names == ["..."]:  # CloudWatch's short form: as the row above
                continue
            namespace, name, *dimensions = names
            yield Metric(namespace, name, frozenset(zip(dimensions[::2], dimensions[1::2], strict=True)))


def sent(line: Mapping[str, Any], namespace: str) -> Iterator[Metric]:
    """The metrics in a log line of the embedded metric format, with the template's name for the namespace."""
    for group in line["_aws"]["CloudWatchMetrics"]:
        for names in group["Dimensions"]:
            for metric in group["Metrics"]:
                yield Metric(namespace, metric["Name"], frozenset((name, str(line[name])) for name in names))


def filtered(metric_filter: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, str]]]:
    """The metrics of a metric filter: namespace, name, and each dimension's log field."""
    for made in metric_filter["MetricTransformations"]:
        fields = {item["Key"]: item["Value"].removeprefix("$.") for item in made.get("Dimensions", [])}
        yield text(made["MetricNamespace"]), made["MetricName"], fields


def conditions_of(pattern: str) -> dict[str, Any]:
    """The field and the value of each condition of a filter pattern such as `{ $.a = 1 && $.b = "x" }`."""
    inner = pattern.strip().removeprefix("{").removesuffix("}")
    found: dict[str, Any] = {}
    for condition in inner.split("&&"):
        matched = re.fullmatch(r"\s*\$\.(\w+) = (.+?)\s*", condition)
        assert matched is not None, condition
        found[matched[1]] = json.loads(matched[2])
    return found


def _metric(of: Mapping[str, Any]) -> Metric:
    dimensions = frozenset((item["Name"], text(item["Value"])) for item in of.get("Dimensions", []))
    return Metric(text(of["Namespace"]), of["MetricName"], dimensions)
