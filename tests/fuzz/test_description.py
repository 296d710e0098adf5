"""docs/openapi.yaml by itself: the description is valid, and its examples fit it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

_DOCUMENT: Final[dict[str, Any]] = yaml.safe_load(
    (Path(__file__).parents[2] / "docs/openapi.yaml").read_text(encoding="utf-8")
)
_PROBLEM: Final = _DOCUMENT["components"]["schemas"]["Problem"]


def _examples(part: object, where: str = "") -> Iterator[tuple[str, dict[str, Any], Any]]:
    """Each example with its location and schema."""
    match part:
        case {"schema": dict(schema), "example": example}:
            yield where, schema, example
        case {"schema": dict(schema), "examples": dict(examples)}:
            for name, example in examples.items():
                yield f"{where} {name}", schema, example["value"]
        case dict():
            for name, inner in part.items():
                yield from _examples(inner, f"{where}/{name}")


_EXAMPLES: Final = list(_examples(_DOCUMENT["paths"]))


def _complaints(schema: dict[str, Any], value: object) -> list[str]:
    validator = Draft202012Validator({**schema, "components": _DOCUMENT["components"]})
    return [error.message for error in validator.iter_errors(value)]


def test_it_is_a_valid_description() -> None:
    validate(_DOCUMENT)


@pytest.mark.parametrize(("schema", "example"), [case[1:] for case in _EXAMPLES], ids=[case[0] for case in _EXAMPLES])
def test_its_examples_are_what_it_describes(schema: dict[str, Any], example: object) -> None:
    assert _complaints(schema, example) == []


@pytest.mark.parametrize(
    ("path", "codes"),
    [
        ("/api/payments/create-order/", {"payment_under_review", "already_paid", "payment_in_progress"}),
        (
            "/api/payments/verify/",
            {"payment_refunded", "payment_returned", "payment_failed", "payment_under_review"},
        ),
    ],
)
def test_each_conflict_is_described_by_an_example_of_its_code(path: str, codes: set[str]) -> None:
    conflict = _DOCUMENT["paths"][path]["post"]["responses"]["409"]
    examples = conflict["content"]["application/problem+json"]["examples"]
    assert {example["value"]["code"] for example in examples.values()} == codes
    assert all(f"`{code}`" in conflict["description"] for code in codes)


def test_a_conflict_of_create_order_without_its_order_is_not_described() -> None:
    (conflict,) = [
        (schema, example)
        for where, schema, example in _EXAMPLES
        if "create-order" in where and where.endswith("already_paid")
    ]
    schema, example = conflict
    assert _complaints(schema, {key: value for key, value in example.items() if key != "order_id"}) != []


def test_no_operation_answers_that_a_method_is_not_allowed_since_api_gateway_has_no_route_for_one() -> None:
    # tests/template checks that the operations here are the methods of the deployed API.
    answers = {
        status
        for operations in _DOCUMENT["paths"].values()
        for operation in operations.values()
        for status in operation["responses"]
    }
    assert "405" not in answers
    assert "404 `not_found`" in _DOCUMENT["info"]["description"]


def test_no_operation_answers_with_a_code_that_is_not_listed() -> None:
    codes = {example["code"] for _, _, example in _EXAMPLES if isinstance(example, dict) and "code" in example}
    assert codes <= set(_PROBLEM["properties"]["code"]["enum"])
