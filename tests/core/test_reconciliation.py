"""Watching one record, and emptying the outbox, on the fakes (design, section 7)."""

import pytest

from payments.core.errors import EventsUnpublished
from payments.core.instants import epoch
from payments.core.listing import Origin
from payments.core.model import Authorized, Fact, Lane, Record, Status
from payments.core.position import NO_OFFERS
from payments.core.reconciliation import Outcome, Reconciler, back_off, empty_outbox
from payments.core.transitions import decide, open_record, unknown_record
from tests.core.story import OPENED, ORDER, ORDER_ID, A, captured, signed
from tests.fakes import INSTALLATION, FakeBus, FakeGateway, FakeTable

DAY = 24 * 60 * 60
LATER = OPENED + 3600


class Case:
    def __init__(self, *facts: Fact, record: Record | None = None) -> None:
        self.table, self.bus, self.gateway = FakeTable(), FakeBus(), FakeGateway()
        self.gateway.now = OPENED
        self.gateway.put_order(ORDER_ID, ORDER)
        self.table.insert(decide(record or open_record(ORDER_ID, ORDER, OPENED), facts, OPENED + 1).record)
        self.reconciler = Reconciler(
            table=self.table,
            bus=self.bus,
            gateway=self.gateway,
            origin=Origin(stage="test", installation=INSTALLATION),
            policy=NO_OFFERS,
        )

    @property
    def record(self) -> Record:
        return self.table.records[ORDER_ID]


def test_the_outbox_publishes_and_leaves_nothing_due_of_what_is_settled() -> None:
    case = Case(captured(A))
    assert empty_outbox(case.table, case.bus, ORDER_ID, LATER) is Outcome.PUBLISHED
    assert case.bus.types() == ["payment.paid"]
    assert (case.record.attention_at, dict(case.record.pending)) == (None, {})
    assert empty_outbox(case.table, case.bus, ORDER_ID, LATER) is Outcome.NOTHING_DUE
    assert not case.gateway.calls


def test_the_outbox_moves_what_has_no_events_on_to_watch() -> None:
    case = Case(signed(A))
    empty_outbox(case.table, case.bus, ORDER_ID, OPENED + 62)
    assert case.record.lane is Lane.WATCH
    assert case.record.attention_at == epoch(case.record.updated_at) + 120


def test_an_event_that_the_bus_refuses_stays_pending_and_due() -> None:
    case = Case(captured(A))
    case.bus.refuses = lambda _: True
    with pytest.raises(EventsUnpublished):
        empty_outbox(case.table, case.bus, ORDER_ID, LATER)
    assert case.record.pending
    back_off(case.table, ORDER_ID, LATER)
    assert case.record.attention_at is not None
    assert case.record.attention_at > LATER


def test_watch_confirms_what_no_webhook_told() -> None:
    case = Case(signed(A))
    case.gateway.pay(ORDER_ID, A)
    assert case.reconciler.watch(ORDER_ID, LATER) is Outcome.RECONCILED
    assert (case.record.status, case.record.confirmed, case.record.looked_at) == (Status.PAID, True, LATER)
    assert case.record.attention_at is None
    assert case.bus.types() == ["payment.paid"]


@pytest.mark.parametrize(("age", "lapsed"), [(8 * DAY - 1, False), (8 * DAY, True)])
def test_a_payment_still_not_captured_eight_days_after_its_newest_activity_is_reviewed(age: int, lapsed: bool) -> None:
    case = Case(Authorized(payment=A, method="upi", created_at=OPENED))
    case.gateway.pay(ORDER_ID, A, "authorized")
    case.reconciler.watch(ORDER_ID, epoch(case.record.updated_at) + age)
    assert ([review.reason for review in case.record.reviews] == ["never_captured"]) is lapsed


def test_an_unknown_order_of_ours_is_rebuilt_and_joins_its_application() -> None:
    case = Case(captured(A), record=unknown_record(ORDER_ID, OPENED))
    case.gateway.pay(ORDER_ID, A)
    assert case.reconciler.watch(ORDER_ID, LATER) is Outcome.REBUILT
    assert (case.record.status, case.record.order) == (Status.PAID, ORDER)
    assert case.table.applications[ORDER.client_id, ORDER.application_id].orders == (ORDER_ID,)
    assert case.table.last_taken >= ORDER.payment_id
    assert case.bus.types() == ["payment.paid"]


def test_only_a_foreign_order_may_expire() -> None:
    case = Case(captured(A), record=unknown_record(ORDER_ID, OPENED))
    case.gateway.put_order(ORDER_ID, ORDER, notes=[])
    assert case.reconciler.watch(ORDER_ID, LATER) is Outcome.FOREIGN
    assert case.record.expires_at is not None
    assert case.record.attention_at is None
