"""The words that are stored and published: records of years ago and other services know them by these."""

import json
from typing import get_args

from payments.core.model import EventType, Reason, RefundState, Status
from tests.core.story import SCHEMAS


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


def _enums(schema: object) -> list[list[str]]:
    """Every list of words in a schema."""
    if isinstance(schema, dict):
        own = [schema["enum"]] if "enum" in schema else []
        return own + [found for value in schema.values() for found in _enums(value)]
    return []
