"""The JSON of README.md and docs/api.md fits the OpenAPI description; that of docs/operating.md is a stored entry."""

import json
from typing import Any, Final

import pytest
import yaml
from jsonschema import Draft202012Validator

from payments.core.model import HistoryEntry
from tests.docs.pages import PROJECT, Block, claim

BODIES: Final = [*claim("README.md", languages=("json",)), *claim("docs/api.md", languages=("json",))]
SCHEMAS: Final = {
    "The API in brief 1": "CreateOrder",
    "The API in brief 2": "Order",
    "Create an order 1": "CreateOrder",
    "Create an order 2": "Order",
    "Verify a payment 1": "Verify",
    "Verify a payment 2": "Verified",
    "Read a payment 1": "Payment",
    "List payments 1": "PaymentsOfApplication",
    "List payments 2": "Payments",
    "Refunds 1": "RequestRefund",
    "Refunds 2": "Refund",
    "Errors 1": "ProblemOfAnOrder",
}
"""The schema of each body, by the section and the number of the block there."""
LEFT_OUT: Final = "…"
DESCRIPTION: Final[dict[str, Any]] = yaml.safe_load((PROJECT / "docs/openapi.yaml").read_text(encoding="utf-8"))
(PAYMENT,) = (json.loads(block.text) for block in BODIES if block.name == "Read a payment 1")


def whole(shown: Any) -> Any:
    """An example with what it leaves out: other fields of a payment, and a signature."""
    if isinstance(shown, list):
        return [whole(one) for one in shown]
    if not isinstance(shown, dict):
        return shown
    known = {name: whole(one) for name, one in shown.items() if name != LEFT_OUT}
    if known.get("razorpay_signature") == LEFT_OUT:
        known["razorpay_signature"] = "9" * 64
    return PAYMENT | known if LEFT_OUT in shown else known


@pytest.mark.parametrize("block", BODIES, ids=lambda block: block.name)
def test_an_example_fits_the_schema_of_its_body_and_has_no_other_fields(block: Block) -> None:
    assert block.name in SCHEMAS, "name the schema of this body in SCHEMAS"
    name, example = SCHEMAS[block.name], whole(json.loads(block.text))
    schema = {"$ref": f"#/components/schemas/{name}", "components": DESCRIPTION["components"]}
    Draft202012Validator(schema).validate(example)
    assert example.keys() <= properties(DESCRIPTION["components"]["schemas"][name])


def properties(schema: dict[str, Any]) -> set[str]:
    """The fields of a schema and of the schemas that it extends."""
    found = set(schema.get("properties", {}))
    for part in schema.get("allOf", ()):
        reference = part.get("$ref", "").rpartition("/")[2]
        found |= properties(DESCRIPTION["components"]["schemas"][reference] if reference else part)
    return found


def test_what_an_example_must_not_be_is_noticed() -> None:
    schema = {"$ref": "#/components/schemas/Payment", "components": DESCRIPTION["components"]}
    assert not Draft202012Validator(schema).is_valid({**PAYMENT, "amount": "499.50"})
    assert not Draft202012Validator(schema).is_valid({"order_id": PAYMENT["order_id"]})


def test_the_decision_that_operators_find_in_the_history_is_an_entry_of_it() -> None:
    (block,) = claim("docs/operating.md", languages=("json",))
    shown = json.loads(block.text)
    assert HistoryEntry.model_validate_json(block.text).model_dump(mode="json", by_alias=True) == shown
