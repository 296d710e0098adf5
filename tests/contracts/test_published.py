"""The published contracts: every answer has an example, and each description and schema is one by its own standard."""

import copy
import json
import re
import shutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, get_args

import botocore.loaders
import pytest
import yaml
from jsonschema import Draft4Validator, Draft202012Validator

from payments.core.model import EventType
from tests.contracts.test_generated import changed
from tests.handlers.service import ROOT
from tools.contracts import asyncapi, events, variants
from tools.contracts.differences import written_out

DOCS = ROOT / "docs"
DESCRIPTION: dict[str, Any] = yaml.safe_load((DOCS / "openapi.yaml").read_text(encoding="utf-8"))
BUS: dict[str, Any] = yaml.safe_load((DOCS / "asyncapi.yaml").read_text(encoding="utf-8"))
TYPES = get_args(EventType)
FIXTURES = {
    path.stem: json.loads(path.read_text(encoding="utf-8"))
    for path in (ROOT / "examples/subscriber/events").glob("*.json")
}


def read(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return document


# --- the OpenAPI description ----------------------------------------------------------------------------------------


def bodies() -> Iterator[tuple[str, dict[str, Any], str]]:
    """Every body of a request or response, without references, and the description beside it."""
    for path, operations in DESCRIPTION["paths"].items():
        for method, described in operations.items():
            operation = written_out(described, {"": DESCRIPTION}, "")
            for status, response in {"body": operation.get("requestBody", {}), **operation["responses"]}.items():
                for media in response.get("content", {}).values():
                    yield f"{method.upper()} {path} {status}", media, response.get("description", "")


def examples(media: dict[str, Any]) -> list[Any]:
    return [media["example"]] if "example" in media else [its["value"] for its in media.get("examples", {}).values()]


BODIES = list(bodies())


@pytest.mark.parametrize(("media", "description"), [its[1:] for its in BODIES], ids=[its[0] for its in BODIES])
def test_a_body_has_examples_that_fit_it_and_one_of_each_code(media: dict[str, Any], description: str) -> None:
    assert examples(media)
    for example in examples(media):
        Draft202012Validator(media["schema"]).validate(example)
    if media["schema"].get("description") == "RFC 9457.":
        # "`code`: when it applies", or after a full stop.
        assert {its["code"] for its in examples(media)} == set(re.findall(r"(?:^|\. |: )`([a-z_]+)`: ", description))


def test_each_route_answers_the_codes_of_the_table_in_api_md() -> None:
    columns = {"createOrder": 0, "verifyPayment": 1, "getPayment": 2, "receiveWebhook": 3, "refundPaymentByToken": 4}
    columns["findPayments"] = 2
    listed: dict[str, set[str]] = {name: set() for name in columns}
    table = (DOCS / "api.md").read_text(encoding="utf-8").partition("## Errors")[2]
    for row in re.findall(r"^\| [45]\d\d \|.+$", table, re.MULTILINE):
        _, codes, *cells = (cell.strip() for cell in row.strip("|").split("|"))
        for name, column in columns.items():
            if cells[column] and not (cells[column] == "lists" and name == "getPayment"):
                listed[name] |= set(re.findall(r"`([a-z_]+)`", codes.partition(":")[0])) - {"errors", "order_id"}
    shown = {
        operation["operationId"]: {
            example["code"]
            for place, media, _ in BODIES
            if place.startswith(f"{method.upper()} {path} ") and not place.endswith("body")
            for example in examples(media)
            if "code" in example
        }
        for path, operations in DESCRIPTION["paths"].items()
        for method, operation in operations.items()
    }
    # API Gateway answers `not_found` for what is no operation, and `with Retry-After` is no code.
    assert {name: codes - {"not_found"} for name, codes in listed.items()} == {name: shown[name] for name in columns}


# --- the AsyncAPI description ---------------------------------------------------------------------------------------


def test_every_event_has_an_operation_and_a_message_with_an_example_that_fits() -> None:
    messages = written_out(BUS["components"]["messages"], _files(), "")
    assert messages.keys() == BUS["channels"]["bus"]["messages"].keys() == set(TYPES)
    for name, message in messages.items():
        (example,) = message["examples"]
        assert example["payload"] == FIXTURES[name]
        Draft202012Validator(message["payload"]).validate(example["payload"])
        other = {**example["payload"], "detail-type": "payment.other"}
        assert not Draft202012Validator(message["payload"]).is_valid(other)
    operations = BUS["operations"].values()
    assert {operation["action"] for operation in operations} == {"send"}
    sent = [operation["messages"][0]["$ref"].rpartition("/")[2] for operation in operations]
    assert sorted(sent) == sorted(TYPES)
    patterns = [operation["bindings"]["x-eventbridge"]["pattern"] for operation in operations]
    assert patterns == [{"source": ["payment-service"], "detail-type": [name]} for name in sent]


def _files() -> dict[str, Any]:
    """The description, and the schemas by the names that it and they use for them."""
    written = events.read(DOCS / "events")
    return {"": BUS, **written, **{f"events/{name}": its for name, its in written.items()}}


def test_the_bus_has_the_name_that_the_template_gives_it() -> None:
    template = (ROOT / "template.yaml").read_text(encoding="utf-8")
    (name,) = re.findall(r"PaymentsBus:\n    Type: AWS::Events::EventBus\n.*?Name: !Sub (\S+)", template, re.DOTALL)
    assert BUS["channels"]["bus"]["address"] == name.replace("${Stage}", "{stage}")


def test_an_event_without_an_example_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(asyncapi.EXAMPLES, tmp_path / "events")
    (tmp_path / "events/payment.paid.json").unlink()
    monkeypatch.setattr(asyncapi, "EXAMPLES", tmp_path / "events")
    with pytest.raises(ValueError, match=r"must have an example of payment\.paid"):
        asyncapi.document()


# --- the event schemas for consumers --------------------------------------------------------------------------------


@cache
def schemas(folder: str) -> dict[str, Draft202012Validator]:
    files = events.read(DOCS / folder)
    return {
        name: Draft202012Validator(written_out(files[f"{name}.schema.json"], files, f"{name}.schema.json"))
        for name in TYPES
    }


REGISTRY = read(DOCS / "events/registry/payment-service.draft4.json")
IN_THE_REGISTRY = Draft4Validator(REGISTRY)


def accepts(name: str, detail: dict[str, Any]) -> tuple[bool, bool, bool]:
    """Whether the exact schema, the tolerant one and the registry's accept a detail."""
    event = {**FIXTURES[name], "detail": detail}
    return (
        schemas("events")[name].is_valid(detail),
        schemas("events/tolerant")[name].is_valid(detail),
        IN_THE_REGISTRY.is_valid(event),
    )


def replaced(detail: dict[str, Any], path: str, value: object) -> dict[str, Any]:
    result = copy.deepcopy(detail)
    *parents, last = path.split(".")
    part = result
    for parent in parents:
        part = part[parent]
    part[last] = value
    return result


@pytest.mark.parametrize("name", TYPES)
def test_an_event_is_accepted_by_every_variant(name: str) -> None:
    assert accepts(name, FIXTURES[name]["detail"]) == (True, True, True)


@pytest.mark.parametrize(
    ("name", "path", "value"),
    [
        ("payment.paid", "note", "new"),
        ("payment.paid", "payment.note", {"new": 1}),
        ("payment.refunded", "refund.speed", "instant"),
        ("payment.failed", "failure.step", "payment_authentication"),
        ("payment.paid", "schema_version", "1.2"),
        ("payment.paid", "schema_version", "1.10"),
        ("payment.review", "review.reason", "another_reason"),
        ("payment.dispute_changed", "dispute.state", "another_state"),
    ],
)
def test_what_a_later_minor_version_may_add_is_accepted_by_the_variants_for_consumers(
    name: str, path: str, value: object
) -> None:
    assert accepts(name, replaced(FIXTURES[name]["detail"], path, value)) == (False, True, True)


@pytest.mark.parametrize(
    ("name", "path", "value"),
    [
        ("payment.paid", "schema_version", "2.0"),
        ("payment.paid", "schema_version", "11.0"),
        ("payment.paid", "payment.status", "authorized"),
        ("payment.partially_refunded", "payment.status", "lost"),
        ("payment.paid", "payment.amount", 0),
        ("payment.paid", "payment.amount", "499.50"),
        ("payment.paid", "payment.razorpay_payment_id", None),
        ("payment.review", "review.state", "waiting"),
        ("payment.review", "review.reason", None),
        ("payment.refunded", "refund", None),
        ("payment.paid", "event_id", "1"),
    ],
)
def test_what_no_minor_version_may_change_is_accepted_by_none(name: str, path: str, value: object) -> None:
    assert accepts(name, replaced(FIXTURES[name]["detail"], path, value)) == (False, False, False)


@pytest.mark.parametrize("name", TYPES)
def test_the_registry_agrees_with_the_tolerant_schema_on_every_field_that_is_missing_or_wrong(name: str) -> None:
    detail = FIXTURES[name]["detail"]
    paths = [*detail, *(f"{part}.{field}" for part, its in detail.items() if isinstance(its, dict) for field in its)]
    refused = 0
    for path in paths:
        values: tuple[object, ...] = (None, "?", -1, {}, [])
        wrong = [replaced(detail, path, value) for value in values]
        without = copy.deepcopy(detail)
        *parents, last = path.split(".")
        del (without[parents[0]] if parents else without)[last]
        for each in (*wrong, without):
            exact, tolerant, registered = accepts(name, each)
            assert tolerant == registered, (path, each)
            assert tolerant or not exact
            refused += not tolerant
    assert refused > len(paths)


def test_the_registry_knows_which_detail_belongs_to_which_type() -> None:
    assert not IN_THE_REGISTRY.is_valid({**FIXTURES["payment.paid"], "detail-type": "payment.refunded"})
    assert not IN_THE_REGISTRY.is_valid({**FIXTURES["payment.paid"], "detail-type": "payment.other"})
    assert not IN_THE_REGISTRY.is_valid({**FIXTURES["payment.paid"], "source": "another-service"})


def test_the_registrys_schema_is_one_of_draft_4_and_within_the_registrys_limits() -> None:
    Draft4Validator.check_schema(REGISTRY)
    assert REGISTRY["$schema"] == Draft4Validator.META_SCHEMA["$schema"] == "http://json-schema.org/draft-04/schema#"
    shapes = botocore.loaders.Loader().load_service_model("schemas", "service-2")["shapes"]
    assert "JSONSchemaDraft4" in shapes["Type"]["enum"]
    content = shapes[shapes["CreateSchemaInput"]["members"]["Content"]["shape"]]
    assert (
        len((DOCS / "events/registry/payment-service.draft4.json").read_text(encoding="utf-8"))
        < content["max"]
        == 100_000
    )


@pytest.mark.parametrize("part", [{"if": {}}, {"$ref": "#/$defs/payment", "description": "lost"}])
def test_what_draft_4_cannot_say_is_refused(part: dict[str, Any]) -> None:
    exact = {"definitions.schema.json": {"$defs": {"odd": part}}}
    with pytest.raises(ValueError, match="Draft 4"):
        variants.registry(exact, "")


def test_a_growing_field_that_is_none_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    changed(monkeypatch, tmp_path, variants, "review.reason]", "review.cause]")
    with pytest.raises(ValueError, match=r"names review\.cause, which is no enumeration"):
        variants.documents()
