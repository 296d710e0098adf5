"""The names that are stored, published and counted: old records, other services and alarms depend on them.

Absent values are None or False, never an empty text that might be stored.
"""

import json
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, get_args

import pytest
from pydantic_core import PydanticUndefined

from payments.core import model
from payments.core.entities import PaymentEntity
from payments.core.model import EventType, Reason, RefundState, Status
from payments.core.money import EXPONENT_BY_CURRENCY
from payments.core.reconciliation import Outcome
from payments.core.transitions import Decision
from sandbox.gateway.validation import EXPONENTS
from tests.core.story import SCHEMAS, A, opened


def test_the_words_of_the_statuses_never_change() -> None:
    assert [status.value for status in Status] == ["unknown", "created", "authorized", "paid", "failed", "refunded"]


def test_the_words_of_a_refunds_states_never_change_and_rise_in_this_order() -> None:
    assert [state.value for state in RefundState] == ["created", "failed", "processed"]
    assert [state.rank for state in RefundState] == [0, 1, 2]


def test_every_reason_for_a_review_is_one_that_consumers_are_told_of() -> None:
    schema = json.loads((SCHEMAS / "payment.review.schema.json").read_text(encoding="utf-8"))
    (reasons,) = _enums(schema)
    assert reasons == list(get_args(Reason))


def test_every_type_of_event_has_a_schema() -> None:
    described = {path.name.removesuffix(".schema.json") for path in SCHEMAS.glob("payment.*.schema.json")}
    assert described == set(get_args(EventType))


def test_the_outcomes_that_a_metric_counts_by_never_change() -> None:
    assert [outcome.value for outcome in Outcome] == [
        "nothing_due",
        "published",
        "settled",
        "unchanged",
        "rebuilt",
        "foreign",
        "unknown",
        "expired",
    ]


def test_every_currency_is_known_with_its_decimals() -> None:
    # The stand-in for Razorpay has a separate table, written independently from the same page.
    assert EXPONENT_BY_CURRENCY == EXPONENTS


@pytest.mark.parametrize("kind", [model.Attempt, model.PendingEvent, model.Record, model.Authorized, model.Captured])
def test_what_is_not_said_is_none_or_false(kind: Any) -> None:
    made = fields(kind) if is_dataclass(kind) else kind.model_fields.values()
    unsaid = [field.default for field in made if field.default not in {MISSING, PydanticUndefined, ()}]
    assert unsaid
    assert all(default is None or default is False or default == 0 for default in unsaid)


def test_what_razorpay_does_not_say_of_a_payment_is_none() -> None:
    said = PaymentEntity(id=A, amount=1, currency="INR").model_dump()
    unsaid = dict.fromkeys(
        (
            "order_id",
            "status",
            "captured",
            "method",
            "fee",
            "amount_refunded",
            "error_code",
            "error_reason",
            "created_at",
        )
    )
    assert said == {"id": A, "amount": 1, "currency": "INR", **unsaid}


def test_a_decision_drops_no_attempt_unless_it_says_so() -> None:
    assert Decision(record=opened(), changed=False).dropped_attempts == 0


def _enums(schema: object) -> list[list[str]]:
    """Every enumeration in a schema."""
    if isinstance(schema, dict):
        own = [schema["enum"]] if "enum" in schema else []
        return own + [found for value in schema.values() for found in _enums(value)]
    return []
