"""One order's story: deliveries decided one after the other, with the invariants checked at each step."""

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
from payments.core.events import encode
from payments.core.model import (
    Accepted,
    Authorized,
    Captured,
    Disputed,
    DisputeState,
    EventType,
    Fact,
    Failed,
    NeverCaptured,
    Order,
    Record,
    Refunded,
    RefundState,
    RefundTotal,
    Released,
    Signed,
    Status,
)
from payments.core.position import NO_OFFERS, Policy
from payments.core.transitions import TRANSITIONS, Decision, decide, open_record, supersede

ORDER_ID: Final = "order_DESlLckIVRkHWj"
OTHER_ORDER_ID: Final = "order_DESxiijbl9xjDB"
A: Final = "pay_DESlfW9H8K9uqM"
B: Final = "pay_DESyzxuld02Zul"
C: Final = "pay_TVCsKe6a4pkI5j"
REFUND_1: Final = "rfnd_FS8TWyPrCsa0OB"
REFUND_2: Final = "rfnd_TVCtCeHGHVUVuT"
REFUND_3: Final = "rfnd_FP8QHiV938haTz"
DISPUTE_1: Final = "disp_EsIAlDcoUr8CaQ"
DISPUTE_2: Final = "disp_EsIUyp8XlaZOUt"

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


def signed(payment: str, at: int = OPENED) -> Signed:
    return Signed(payment=payment, at=at)


def failed(payment: str, at: int | None = OPENED, listed_at: int | None = None) -> Failed:
    return Failed(payment=payment, at=at, listed_at=listed_at)


def captured(payment: str, amount_minor: int = AMOUNT, currency: str = "INR", **more: Any) -> Captured:
    return Captured(payment=payment, amount_minor=amount_minor, currency=currency, **({"method": "upi"} | more))


def refunded(
    payment: str,
    refund: str,
    amount_minor: int = AMOUNT,
    state: RefundState = RefundState.PROCESSED,
    created_at: int | None = None,
) -> Refunded:
    return Refunded(payment=payment, refund=refund, amount_minor=amount_minor, state=state, created_at=created_at)


def disputed(  # noqa: PLR0913 - what distinguishes one report of a dispute from another
    payment: str,
    state: DisputeState = DisputeState.OPEN,
    *,
    dispute: str = DISPUTE_1,
    amount_minor: int = AMOUNT,
    deducted_minor: int | None = None,
    at: int | None = OPENED,
    **more: Any,
) -> Disputed:
    """A dispute as its webhook tells it; a lost one takes the sum in dispute unless it says another."""
    is_lost = state is DisputeState.LOST
    lost = amount_minor if deducted_minor is None else deducted_minor
    details: dict[str, Any] = {
        "currency": "INR",
        "phase": "chargeback",
        "reason_code": "chargeback",
        "respond_by": OPENED + 518_400,
    }
    return Disputed(
        payment=payment,
        dispute=dispute,
        amount_minor=amount_minor,
        state=state,
        deducted_minor=lost if is_lost else 0,
        at=at,
        **(details | more),
    )


def total(payment: str, amount_minor: int, *, complete: bool = False) -> RefundTotal:
    return RefundTotal(payment=payment, amount_minor=amount_minor, complete=complete)


def opened() -> Record:
    return open_record(ORDER_ID, ORDER, OPENED)


def superseded() -> Record:
    return supersede(opened(), OTHER_ORDER_ID, OPENED + 1)


@dataclass
class Story:
    """The state of one order; `events` contains every event ever recorded, as bytes."""

    record: Record = field(default_factory=opened)
    now: int = OPENED + 1
    events: dict[str, str] = field(default_factory=dict)
    types: dict[str, str] = field(default_factory=dict)
    policy: Policy = NO_OFFERS

    def deliver(self, *facts: Fact) -> Decision:
        """Decides one delivery and checks the step."""
        self.now += 1
        before = self.record
        decision = decide(before, facts, self.now, self.policy)
        check_step(before, facts, decision, self.now, self.policy)
        for identity in decision.recorded:
            # An id is recorded once; publishing later reads it back from the table.
            assert identity not in self.events
            event = decision.record.pending[identity]
            check_detail(event.type, json.loads(encode(decision.record, identity, event)))
            self.events[identity] = encode(decision.record, identity, event)
            self.types[identity] = event.type
        self.record = decision.record
        check_bytes(self.record, self.events)
        return decision

    def status(self) -> Status:
        return self.record.status

    def count(self, event_type: EventType) -> int:
        return list(self.types.values()).count(event_type)

    def reviews(self) -> list[str]:
        """The reviews, each with its outcome."""
        return [
            review.reason if review.resolution is None else f"{review.reason} {review.resolution}"
            for review in self.record.reviews
        ]


def tell(deliveries: Sequence[Delivery], record: Record | None = None, policy: Policy = NO_OFFERS) -> Story:
    story = Story(policy=policy) if record is None else Story(record, policy=policy)
    for facts in deliveries:
        story.deliver(*facts)
    return story


def check_step(before: Record, facts: Sequence[Fact], decision: Decision, now: int, policy: Policy = NO_OFFERS) -> None:
    """Checks what must hold for every step, for any delivery and record."""
    after = decision.record
    assert after.order == before.order
    assert (after.order_id, after.created_at, after.superseded_by) == (
        before.order_id,
        before.created_at,
        before.superseded_by,
    )
    assert after.status is before.status or after.status in TRANSITIONS[before.status]
    if decision.changed:
        assert after.version == before.version + 1
        assert set(after.pending) == set(before.pending) | set(decision.recorded)
        check_reviews_grow(before, after)
        assert after.attention_at is not None or not after.pending
    else:
        assert after == before
        assert not decision.recorded
    if before.confirmed:
        assert after.confirmed
        assert after.status in {Status.PAID, Status.REFUNDED}
    if before.status is Status.REFUNDED:
        assert after.status is Status.REFUNDED
    check_facts_grow(before, after)
    if not decision.dropped_attempts:
        for fact in facts:
            assert is_known(after, fact), f"{fact} was lost"
    again = decide(after, facts, now + 1, policy)
    assert not again.changed, "redelivery changed the record"
    assert again.record == after
    check_confirmation(after)


def check_reviews_grow(before: Record, after: Record) -> None:
    """No review is forgotten, and none is opened twice; an open one may be resolved."""
    for known, kept in zip(before.reviews, after.reviews, strict=False):
        assert (kept.reason, kept.subject, kept.at) == (known.reason, known.subject, known.at)
        assert known.is_open or kept == known
    assert len(after.reviews) >= len(before.reviews)
    assert len({(review.reason, review.subject) for review in after.reviews}) == len(after.reviews)


# Facts of an attempt are never removed.
_FACTS = ("authorized", "captured", "failed", "lapsed", "released", "accepted", "announced")


def check_facts_grow(before: Record, after: Record) -> None:
    for payment, known in before.attempts.items():
        kept = after.attempts[payment]
        for name in _FACTS:
            assert getattr(kept, name) or not getattr(known, name), f"{name} of {payment} was taken back"
        assert known.signed_at in {None, kept.signed_at}
        assert known.verdict is None or kept.verdict is not None
        assert kept.total_minor >= known.total_minor
    for refund, reported in before.refunds.items():
        latest = after.refunds[refund]
        assert (latest.payment_id, latest.amount_minor) == (reported.payment_id, reported.amount_minor)
        assert latest.state.rank >= reported.state.rank

    for dispute, earlier in before.disputes.items():
        later = after.disputes[dispute]
        assert later.payment_id == earlier.payment_id
        assert later.deducted_minor >= earlier.deducted_minor
        assert later.released or not earlier.released
        assert later.state is DisputeState.LOST or earlier.state is not DisputeState.LOST


def check_confirmation(record: Record) -> None:
    """I4: confirmed means that a capture of the agreed amount counted; paid alone means a checkout signature."""
    if record.order is None:
        assert not record.confirmed
        return
    assert record.confirmed == (record.stood is not None)
    if record.stood is not None:
        attempt = record.attempts[record.stood]
        assert attempt.captured
        assert attempt.verdict is not None or attempt.accepted
    if record.status is Status.PAID and not record.confirmed:
        assert any(attempt.signed_at is not None for attempt in record.attempts.values())


def is_known(record: Record, fact: Fact) -> bool:
    """Whether the record contains the fact."""
    if isinstance(fact, Refunded):
        stored = record.refunds.get(fact.refund)
        return stored is not None and stored.payment_id == fact.payment and stored.state.rank >= fact.state.rank
    if isinstance(fact, Disputed):
        told = record.disputes.get(fact.dispute)
        return told is not None and told.payment_id == fact.payment and told.deducted_minor >= fact.deducted_minor
    attempt = record.attempts.get(fact.payment)
    if attempt is None:
        # Evidence and the facts of operators and checks only concern known payments.
        return isinstance(fact, RefundTotal | NeverCaptured | Accepted | Released)
    if isinstance(fact, RefundTotal):
        # Evidence, not a fact: a total that agrees need not be stored.
        return True
    held: dict[type[Fact], bool] = {
        Signed: attempt.signed_at is not None,
        Authorized: attempt.authorized,
        Captured: attempt.captured,
        Failed: attempt.failed,
        NeverCaptured: attempt.lapsed or attempt.captured,
        Accepted: attempt.accepted or not attempt.captured,
        Released: attempt.released or attempt.captured,
    }
    return held[type(fact)]


def check_bytes(record: Record, recorded: Mapping[str, str]) -> None:
    """I12: a pending event keeps the bytes it was recorded with, also after a round trip through the table."""
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
    """Validates what consumers receive; each distinct shape once, however many stories produce it."""
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
