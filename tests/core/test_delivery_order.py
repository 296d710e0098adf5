"""One payment's webhooks lead to the same end in every order, also when repeated."""

from collections.abc import Iterator, Sequence

import pytest

from payments.core.model import Authorized, Failed, PendingEvent, Record, RefundState, Status
from payments.core.position import Position
from payments.core.transitions import decide
from tests.core.story import AMOUNT, OPENED, PART, REFUND_1, A, B, Delivery, captured, opened, refunded, signed, tell

FULL: tuple[Delivery, ...] = (
    (Authorized(payment=A, method="upi"),),
    (captured(A),),  # payment.captured
    (captured(A),),  # order.paid: the same fact under another event id
    (Failed(payment=B, code="BAD_REQUEST_ERROR", reason="payment_cancelled"),),
    (captured(A), refunded(A, REFUND_1, state=RefundState.CREATED)),
    (captured(A), refunded(A, REFUND_1)),
)
PARTIAL: tuple[Delivery, ...] = (
    *FULL[:4],
    (captured(A), refunded(A, REFUND_1, PART, RefundState.CREATED)),
    (captured(A), refunded(A, REFUND_1, PART)),
)
ENDS = [
    pytest.param(FULL, (Status.REFUNDED, True, AMOUNT), "payment.refunded", id="refunded in full"),
    pytest.param(PARTIAL, (Status.PAID, True, PART), "payment.partially_refunded", id="refunded in part"),
]


def end(record: Record) -> tuple[Status, bool, int]:
    return record.status, record.confirmed, Position.of(record).amount_refunded


def play(deliveries: Sequence[Delivery], *, again: bool = False) -> Iterator[tuple[Record, dict[str, PendingEvent]]]:
    """For every order of the deliveries: the record at the end, and every event recorded on the way.

    `again` redelivers everything after each step. Steps with which several orders begin are taken once.
    """

    def go_on(
        record: Record, events: dict[str, PendingEvent], past: Sequence[Delivery], left: Sequence[Delivery]
    ) -> Iterator[tuple[Record, dict[str, PendingEvent]]]:
        if not left:
            yield record, events
        for place, facts in enumerate(left):
            decision = decide(record, facts, OPENED + 60)
            recorded = {key: decision.record.pending[key] for key in decision.recorded}
            told = (*past, facts)
            if again:
                assert not any(decide(decision.record, earlier, OPENED + 90).changed for earlier in told)
            yield from go_on(decision.record, events | recorded, told, (*left[:place], *left[place + 1 :]))

    return go_on(opened(), {}, (), deliveries)


def count(events: dict[str, PendingEvent], event_type: str) -> int:
    return sum(event.type == event_type for event in events.values())


@pytest.mark.parametrize(("deliveries", "expected", "refund_event"), ENDS)
def test_every_order_of_deliveries_ends_alike(
    deliveries: Sequence[Delivery], expected: tuple[Status, bool, int], refund_event: str
) -> None:
    for record, events in play(deliveries):
        assert end(record) == expected
        assert count(events, "payment.paid") <= 1
        assert count(events, refund_event) == 1
        assert not record.reviews


@pytest.mark.parametrize(("deliveries", "expected", "refund_event"), ENDS)
def test_repetitions_in_between_change_nothing(
    deliveries: Sequence[Delivery], expected: tuple[Status, bool, int], refund_event: str
) -> None:
    for record, events in play(deliveries, again=True):
        assert end(record) == expected
        assert count(events, refund_event) == 1


@pytest.mark.parametrize(("deliveries", "expected", "refund_event"), ENDS)
def test_the_customers_return_may_fall_anywhere_in_between(
    deliveries: Sequence[Delivery], expected: tuple[Status, bool, int], refund_event: str
) -> None:
    for record, events in play((*deliveries, (signed(A),))):
        assert end(record) == expected
        assert record.attempts[A].signed_at is not None
        assert count(events, "payment.paid") <= 1
        assert count(events, refund_event) == 1


def test_a_partial_refund_that_comes_first_still_announces_the_payment() -> None:
    for _, events in play(PARTIAL):
        assert count(events, "payment.paid") == 1


def test_what_is_sent_fits_the_schemas_whatever_comes_first() -> None:
    for deliveries in (FULL, PARTIAL):
        for first in range(len(deliveries)):
            tell((*deliveries[first:], *deliveries[:first]))
