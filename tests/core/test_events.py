import json
from copy import replace
from pathlib import Path
from uuid import UUID

import pytest
from jsonschema import Draft202012Validator, ValidationError

from payments.core.events import detail, encode, event_id
from payments.core.model import PendingEvent, Record, Status
from payments.core.transitions import unknown_record
from tests.core.story import (
    OPENED,
    ORDER_ID,
    OTHER_ORDER_ID,
    PART,
    REFUND_1,
    REFUND_2,
    SCHEMAS,
    A,
    B,
    captured,
    failed,
    refunded,
    tell,
    validator,
)

TYPES = [
    "payment.paid",
    "payment.failed",
    "payment.partially_refunded",
    "payment.refunded",
    "payment.surplus_refunded",
    "payment.refund_failed",
    "payment.review",
    "payment.dispute_changed",
    "payment.expired",
]

# Consumers deduplicate on the id and may compare bytes: a change of either is a change of the contract.
GOLDEN_ID = "fa12ff1f-3577-5362-9df4-8b3ebae3d42d"
GOLDEN = (
    '{"schema_version":"1.1","event_id":"fa12ff1f-3577-5362-9df4-8b3ebae3d42d","version":2,"occurred_at":"2026-03-01T09:30:02Z",'
    '"payment":{"payment_id":17,"order_id":"order_DESlLckIVRkHWj","razorpay_payment_id":"pay_DESlfW9H8K9uqM","job_id":101,"application_id":202,"client_id":303,"freelancer_id":404,'
    '"amount":50000,"currency":"INR","status":"paid","amount_refunded":0,"amount_disputed":0,"method":"upi"}}'
)


def paid() -> tuple[Record, str, PendingEvent]:
    record = tell([(captured(A),)]).record
    ((identity, event),) = record.pending.items()
    return record, identity, event


def test_the_bytes_of_an_event_and_its_id_are_these() -> None:
    record, identity, event = paid()
    assert identity == GOLDEN_ID
    assert encode(record, identity, event) == GOLDEN


def test_the_bytes_stay_the_same_whatever_becomes_of_the_payment() -> None:
    story = tell([(captured(A),)])
    ((identity, text),) = story.events.items()
    story.deliver(captured(B))
    story.deliver(refunded(A, REFUND_1), refunded(B, REFUND_2))
    assert encode(story.record, identity, story.record.pending[identity]) == text


def test_an_event_id_is_a_uuid_of_what_the_event_is_about() -> None:
    identity = event_id(ORDER_ID, "payment.paid", A)
    assert UUID(identity).version == 5
    others = {
        event_id(OTHER_ORDER_ID, "payment.paid", A),
        event_id(ORDER_ID, "payment.failed", A),
        event_id(ORDER_ID, "payment.paid", B),
        event_id(ORDER_ID, "payment.review", A, "duplicate_capture"),
        event_id(ORDER_ID, "payment.review", A, "superseded_order"),
        event_id(ORDER_ID, "payment.review", A, "superseded_order", "open"),
        event_id(ORDER_ID, "payment.review", A, "superseded_order", "resolved"),
    }
    assert len(others) == 7
    assert identity not in others


def test_an_unknown_order_has_no_events_to_speak_of() -> None:
    _, identity, event = paid()
    with pytest.raises(ValueError, match=r"^An unknown record has no order\.$"):
        detail(unknown_record(ORDER_ID, OPENED), identity, event)


def test_the_events_of_one_change_tell_the_same_state() -> None:
    story = tell([(captured(A), refunded(A, REFUND_1, PART))])
    states = [json.loads(text)["payment"] for text in story.events.values()]
    assert states[0] == states[1]
    assert (states[0]["status"], states[0]["amount_refunded"]) == (Status.PAID.value, PART)


# --- schemas --------------------------------------------------------------------------------------------------------


def test_there_is_a_schema_for_each_detail_type_and_their_definitions() -> None:
    assert {path.name.removesuffix(".schema.json") for path in SCHEMAS.glob("*.json")} == {*TYPES, "definitions"}


@pytest.mark.parametrize("path", sorted(SCHEMAS.glob("*.json")), ids=lambda path: path.name)
def test_each_schema_is_a_valid_one_that_closes_and_describes_its_objects(path: Path) -> None:
    schema = json.loads(path.read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    unfinished = [
        where
        for where, part in parts(schema)
        if part.get("type") == "object" and (part.get("additionalProperties") is not False or not part["description"])
    ]
    assert not unfinished


def test_a_field_that_the_schema_does_not_name_is_refused() -> None:
    record, identity, event = paid()
    body = json.loads(encode(record, identity, event))
    validator("payment.paid").validate(body)
    for wrong in (
        {**body, "extra": 1},
        {**body, "payment": {**body["payment"], "email": "someone@example.com"}},
        {**body, "payment": {**body["payment"], "amount": 1.5}},
        {**body, "payment": {**body["payment"], "status": "failed"}},
        {key: value for key, value in body.items() if key != "version"},
    ):
        with pytest.raises(ValidationError):
            validator("payment.paid").validate(wrong)


def test_a_failure_without_codes_fits_its_schema() -> None:
    story = tell([(failed(A),)])
    ((identity, text),) = story.events.items()
    assert story.types[identity] == "payment.failed"
    assert json.loads(text)["failure"] == {"code": None, "reason": None}


def test_the_examples_in_the_documentation_fit_the_schemas() -> None:
    readme = (SCHEMAS / "README.md").read_text(encoding="utf-8")
    examples = readme.split("## Examples")[1]
    for event_type in TYPES:
        example = examples.split(f"`{event_type}`\n\n```json\n")[1].split("```")[0]
        validator(event_type).validate(json.loads(example))


def parts(schema: object, where: str = "") -> list[tuple[str, dict[str, object]]]:
    if not isinstance(schema, dict):
        return []
    return [(where, schema)] + [part for key, value in schema.items() for part in parts(value, f"{where}/{key}")]


def test_every_text_on_the_bus_is_ascii_and_compact() -> None:
    record, identity, event = paid()
    text = encode(record, identity, replace(event, method="chèque"))
    assert text.isascii()
    assert ": " not in text
