"""Repairs that a second mechanism hides in the stories, each tested by itself (design, sections 3, 4 and 7).

The sweep of refunds also finds an ignored total, the sweep of payments a record that does not back off, and a clear of
too many keys fails only with more keys than a story has.
"""

from copy import replace
from typing import Any, cast

from payments.adapters.table import PaymentsTable
from payments.core.model import Fact, Lane, PendingEvent, RefundState, Status
from payments.core.position import Position
from payments.core.reconciliation import back_off
from payments.core.transitions import decide
from tests.core.story import AMOUNT, OPENED, PART, REFUND_1, A, captured, opened, refunded, total
from tests.fakes import FakeTable

_LONGEST_EXPRESSION = 4 * 1024
"""DynamoDB's limit in bytes ("Expression string length")."""


def test_a_total_that_is_ahead_of_the_refunds_known_keeps_a_record_unsettled_until_they_were_read() -> None:
    known = decide(opened(), [captured(A), refunded(A, REFUND_1, PART)], OPENED + 1).record
    assert not Position.of(known).unresolved
    ahead = decide(known, [total(A, AMOUNT)], OPENED + 2).record
    assert Position.of(ahead).unresolved
    read = decide(
        ahead, [refunded(A, "rfnd_TVCtCeHGHVUVuT", AMOUNT - PART), total(A, AMOUNT, complete=True)], OPENED + 3
    )
    assert not Position.of(read.record).unresolved
    assert read.record.status is Status.REFUNDED


def test_a_total_with_a_refund_under_way_agrees() -> None:
    facts: list[Fact] = [captured(A), refunded(A, REFUND_1, PART, RefundState.CREATED), total(A, PART)]
    assert not decide(opened(), facts, OPENED + 1).record.attempts[A].refunds_unread


def test_a_record_that_keeps_failing_waits_longer_each_time() -> None:
    table, now = FakeTable(), OPENED + 600
    record = replace(opened(), lane=Lane.WATCH, attention_at=now)
    table.records[record.order_id] = record
    waits = []
    for _ in range(4):
        back_off(table, record.order_id, now)
        due = table.records[record.order_id].attention_at
        assert due is not None
        waits.append(due - now)
        now = due
    assert waits[0] > 0
    assert waits == sorted(set(waits))


class _Client:
    """A fake DynamoDB for clears."""

    def __init__(self) -> None:
        self.expressions: list[str] = []

    def update_item(self, **request: Any) -> dict[str, Any]:
        self.expressions.append(request["UpdateExpression"])
        return {}


def test_no_clear_has_an_expression_over_the_limit_however_many_events_have_waited() -> None:
    event = PendingEvent(type="payment.paid", version=1, at="", status=Status.PAID, refunded_minor=0)
    pending = {f"{number:036d}": event for number in range(1_000)}
    client = _Client()
    table = PaymentsTable(cast("Any", client), "payments")
    table.clear(replace(opened(), pending=pending), pending.keys())
    assert client.expressions
    assert max(len(expression.encode()) for expression in client.expressions) <= _LONGEST_EXPRESSION
