"""One order's story: deliveries decided one after the other, each step held to what must always be true."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from jsonschema import Draft202012Validator
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from payments.adapters.table import to_item, to_record
from payments.core.events import detail, encode
from payments.core.model import (
    Authorized,
    Captured,
    EventType,
    Fact,
    Failed,
    Order,
    Record,
    Refunded,
    RefundState,
    Signed,
    Status,
)
from payments.core.transitions import Decision, decide, open_record, supersede

ORDER_ID: Final = "order_DESlLckIVRkHWj"
OTHER_ORDER_ID: Final = "order_DESxiijbl9xjDB"
A: Final = "pay_DESlfW9H8K9uqM"
B: Final = "pay_DESyzxuld02Zul"
C: Final = "pay_TVCsKe6a4pkI5j"
REFUND_1: Final = "rfnd_FS8TWyPrCsa0OB"
REFUND_2: Final = "rfnd_TVCtCeHGHVUVuT"
REFUND_3: Final = "rfnd_FP8QHiV938haTz"

AMOUNT: Final = 50_000
PART: Final = 20_000
OPENED: Final = 1_772_357_400  # 2026-03-01T09:30:00Z

ORDER: Final = Order(
    payment_id=17,
    job_id=101,
    application_id=202,
    client_id=303,
    freelancer_id=404,
    amount_minor=AMOUNT,
    currency="INR",
    receipt="dev-17",
)

type Delivery = tuple[Fact, ...]


def captured(payment: str, amount_minor: int = AMOUNT, currency: str = "INR", method: str | None = "upi") -> Captured:
    return Captured(payment=payment, amount_minor=amount_minor, currency=currency, method=method)


def refunded(
    payment: str, refund: str, amount_minor: int = AMOUNT, state: RefundState = RefundState.PROCESSED
) -> Refunded:
    return Refunded(payment=payment, refund=refund, amount_minor=amount_minor, state=state)


def opened() -> Record:
    return open_record(ORDER_ID, ORDER, OPENED)


def superseded() -> Record:
    return supersede(opened(), OTHER_ORDER_ID, OPENED + 1)


@dataclass
class Story:
    """What became of one order; `events` holds every event ever recorded, as its bytes."""

    record: Record = field(default_factory=opened)
    now: int = OPENED + 1
    events: dict[str, str] = field(default_factory=dict)
    types: dict[str, EventType] = field(default_factory=dict)

    def deliver(self, *facts: Fact) -> Decision:
        """Decides one delivery and checks the step."""
        self.now += 1
        before = self.record
        decision = decide(before, facts, self.now)
        check_step(before, facts, decision, self.now)
        for identity in decision.recorded:
            # An id is recorded once; what is published under it later is read back from the table.
            assert identity not in self.events
            event = decision.record.pending[identity]
            check_detail(event.type, detail(decision.record, identity, event))
            self.events[identity] = encode(decision.record, identity, event)
            self.types[identity] = event.type
        self.record = decision.record
        check_bytes(self.record, self.events)
        return decision

    def status(self) -> Status:
        return self.record.status

    def count(self, event_type: EventType) -> int:
        return list(self.types.values()).count(event_type)


def tell(deliveries: Sequence[Delivery], record: Record | None = None) -> Story:
    story = Story() if record is None else Story(record)
    for facts in deliveries:
        story.deliver(*facts)
    return story


def check_step(before: Record, facts: Sequence[Fact], decision: Decision, now: int) -> None:
    """What holds for every step, whatever is delivered to whichever record."""
    after = decision.record
    assert after.order == before.order
    assert (after.order_id, after.created_at, after.superseded_by) == (
        before.order_id,
        before.created_at,
        before.superseded_by,
    )
    if decision.changed:
        assert after.version == before.version + 1
        assert set(after.pending) == set(before.pending) | set(decision.recorded)
        assert after.reviews[: len(before.reviews)] == before.reviews
        assert after.attention_at is not None or not after.pending
    else:
        assert after == before
        assert not decision.recorded
    if before.confirmed:
        assert after.confirmed
    if before.status is Status.REFUNDED:
        assert after.status is Status.REFUNDED
    check_facts_grow(before, after)
    if not decision.dropped_attempts:
        for fact in facts:
            assert is_known(after, fact), f"{fact} was lost"
    again = decide(after, facts, now + 1)
    assert not again.changed, "redelivery changed the record"
    assert again.record == after
    check_confirmation(after)


def check_facts_grow(before: Record, after: Record) -> None:
    for payment, known in before.attempts.items():
        kept = after.attempts[payment]
        for name in ("signed", "authorized", "captured", "failed", "announced"):
            assert getattr(kept, name) or not getattr(known, name), f"{name} of {payment} was taken back"
    for refund, reported in before.refunds.items():
        latest = after.refunds[refund]
        assert (latest.payment_id, latest.amount_minor) == (reported.payment_id, reported.amount_minor)
        assert latest.state.rank >= reported.state.rank


def check_confirmation(record: Record) -> None:
    """I4: confirmed means a capture of what was agreed; paid without it, a checkout signature."""
    if record.order is None:
        assert not record.confirmed
        return
    right = [
        attempt
        for attempt in record.attempts.values()
        if attempt.captured
        and (attempt.amount_minor, attempt.currency) == (record.order.amount_minor, record.order.currency)
    ]
    assert record.confirmed == bool(right)
    if record.status is Status.PAID and not record.confirmed:
        assert any(attempt.signed for attempt in record.attempts.values())
    if record.status is Status.REFUNDED:
        assert record.confirmed


def is_known(record: Record, fact: Fact) -> bool:
    """Whether the record holds what the fact says."""
    if isinstance(fact, Refunded):
        stored = record.refunds.get(fact.refund)
        return stored is not None and stored.payment_id == fact.payment and stored.state.rank >= fact.state.rank
    attempt = record.attempts.get(fact.payment)
    if attempt is None:
        return False
    match fact:
        case Signed():
            return attempt.signed
        case Authorized():
            return attempt.authorized
        case Captured():
            return attempt.captured
        case Failed():
            return attempt.failed


def check_bytes(record: Record, recorded: Mapping[str, str]) -> None:
    """I12: what is pending has the bytes it was recorded with, also once it has been through the table."""
    if not record.pending:
        return
    stored = through_the_table(record)
    assert stored == record
    for identity, event in stored.pending.items():
        if identity in recorded:
            assert encode(stored, identity, event) == recorded[identity]


def through_the_table(record: Record) -> Record:
    serialize, deserialize = TypeSerializer().serialize, TypeDeserializer().deserialize
    return to_record(deserialize(serialize(to_item(record))))


# --- schemas --------------------------------------------------------------------------------------------------------

SCHEMAS = Path(__file__).parents[2] / "docs" / "events"
PERSONAL = ("email", "contact", "vpa", "card", "bank", "name", "phone", "notes", "acquirer", "description", "wallet")


@cache
def validator(event_type: str) -> Draft202012Validator:
    definitions = json.loads((SCHEMAS / "definitions.schema.json").read_text(encoding="utf-8"))
    schema = json.loads((SCHEMAS / f"{event_type}.schema.json").read_text(encoding="utf-8"))
    registry: Registry[Any] = Registry().with_resource(
        "definitions.schema.json", DRAFT202012.create_resource(definitions)
    )
    return Draft202012Validator(schema, registry=registry)


_valid: set[str] = set()


def check_detail(event_type: str, body: Mapping[str, Any]) -> None:
    """Validates what consumers receive; each shape once, however many stories tell it."""
    shape = json.dumps([event_type, {**body, "event_id": "", "version": 0, "occurred_at": ""}])
    if shape in _valid:
        return
    validator(event_type).validate(dict(body))
    assert not [key for key in _keys(body) if any(word in key for word in PERSONAL)]
    _valid.add(shape)


def _keys(value: object) -> set[str]:
    match value:
        case dict():
            return set(value) | {key for member in value.values() for key in _keys(member)}
        case _:
            return set()
