"""What a successful payment costs: calls, write units and the size of its record."""

from collections.abc import Callable
from copy import replace

import pytest

from payments.adapters.table import PaymentsTable
from payments.core.lookup import PAGE_SIZE, Role
from payments.core.model import MAX_ID, Authorized, Fact, Order, Signed
from payments.core.ordering import OrderServices, place_order
from payments.core.outbox import record_and_publish, record_facts
from payments.core.position import NO_OFFERS
from payments.core.reconciliation import Outcome, expire_orders
from payments.core.transitions import open_record
from tests.core.story import OPENED, ORDER, REFUND_1, A, captured, refunded
from tests.fakes import FakeBus, FakeGateway, reconciler_of
from tests.table.dynamodb import WRITE_UNIT_BYTES, Metered, item_bytes, write_units


class Numbers:
    """Ids that are already assigned to the order."""

    def __init__(self, order: Order) -> None:
        self._order = order

    def number(self, offer: Order) -> Order:
        assert offer == self._order
        return offer

    def skip(self, count: int) -> None:
        raise AssertionError(f"{count} ids were left out")


class Service:
    """What the functions do, on a table that counts calls."""

    def __init__(self, metered: Metered) -> None:
        self.metered = metered
        self.table = PaymentsTable(metered.client, metered.name)
        self.bus = FakeBus()
        self.gateway = FakeGateway()
        self.order_id = ""
        self.now = OPENED

    def create(self, order: Order = ORDER) -> None:
        services = OrderServices(
            table=self.table, gateway=self.gateway, ids=Numbers(order), policy=NO_OFFERS, order_expiry_s=30 * 24 * 3600
        )
        self.order_id = place_order(services, order, self.now).record.order_id

    def verify(self, *facts: Fact) -> None:
        self.now += 60
        record_facts(self.table, self.order_id, facts, self.now)

    def receive(self, *facts: Fact) -> None:
        self.now += 1
        record_and_publish(self.table, self.bus, self.order_id, facts, self.now)

    def expire(self) -> None:
        reconciler = reconciler_of(self.table, self.bus, self.gateway)

        def applied(_: str, act: Callable[[], Outcome]) -> None:
            act()

        expire_orders(reconciler, [self.gateway.listed[self.order_id]], applied, self.now)

    def spent(self) -> tuple[list[str], list[int]]:
        """The calls and write units since the last time."""
        calls, units = self.metered.calls[:], self.metered.write_units[:]
        self.metered.calls.clear()
        self.metered.write_units.clear()
        return calls, units

    def size(self) -> int:
        item = self.metered.item({"pk": {"S": f"order#{self.order_id}"}})
        assert item is not None
        return item_bytes(item)


@pytest.fixture
def service(metered: Metered) -> Service:
    return Service(metered)


CHECKOUT_S = 90
"""From the order to the signature."""
BLOCK = 10
"""Payment ids that one write of the counter reserves; a tenth of its cost is one order's."""
MOST_UNITS = 10
"""Of a payment's own items. An order's part of the counter comes on top."""
CREATED_UNITS = 4
"""The record, its entries in the indexes of its client and its freelancer, and the application."""


def test_the_good_case_makes_these_calls_and_at_most_10_write_units_and_a_tenth_for_its_id(service: Service) -> None:
    service.table.take_payment_ids(BLOCK, "1f2e3d4c")
    _, units = service.spent()
    assert sum(units) / BLOCK <= 0.1
    total = 0

    service.create()
    calls, units = service.spent()
    assert calls == ["get_item", "put_item", "put_item"]
    total += sum(units)

    service.now += CHECKOUT_S
    service.verify(Signed(payment=A, at=service.now))
    calls, units = service.spent()
    assert calls == ["get_item", "update_item"]
    total += sum(units)

    service.receive(Authorized(payment=A, method="netbanking", created_at=service.now))
    calls, units = service.spent()
    assert calls == ["get_item", "update_item"]
    total += sum(units)

    service.receive(captured(A, method="netbanking"))
    calls, units = service.spent()
    assert calls == ["get_item", "update_item", "update_item"]
    assert [message.type for _, message in service.bus.sent] == ["payment.paid"]
    total += sum(units)

    service.receive(captured(A, method="netbanking"))  # order.paid
    calls, units = service.spent()
    assert calls == ["get_item"]
    assert not units
    assert len(service.bus.sent) == 1

    assert total <= MOST_UNITS


def test_without_verify_and_with_every_webhook_it_is_no_more(service: Service) -> None:
    service.create()
    service.spent()
    service.receive(Authorized(payment=A, method="upi"))
    service.receive(captured(A))
    service.receive(captured(A))
    assert sum(service.spent()[1]) <= MOST_UNITS - CREATED_UNITS


EXPIRY_UNITS = 4
"""The record with its event and its due time, and both without them again."""


def test_an_order_that_nobody_pays_costs_nothing_after_its_creation_until_it_expires_once(service: Service) -> None:
    service.create()
    _, units = service.spent()
    assert sum(units) == CREATED_UNITS
    assert service.metered.raw.scan(TableName=service.metered.name, IndexName="attention")["Items"] == []
    service.now += 31 * 24 * 3600
    service.expire()
    calls, units = service.spent()
    assert calls == ["batch_get_item", "update_item", "update_item"]
    assert sum(units) == EXPIRY_UNITS
    assert [message.type for _, message in service.bus.sent] == ["payment.expired"]
    assert service.metered.raw.scan(TableName=service.metered.name, IndexName="attention")["Items"] == []
    service.expire()
    assert service.spent() == (["batch_get_item"], [])


def test_a_paid_order_costs_no_more_when_it_is_old_enough_to_expire(service: Service) -> None:
    service.create()
    service.receive(captured(A))
    service.spent()
    service.gateway.pay(service.order_id, A)
    service.now += 31 * 24 * 3600
    service.expire()
    assert service.spent() == (["batch_get_item"], [])
    assert not [call for call in service.gateway.calls if call.startswith("look")]


BIGGEST = Order(
    payment_id=10**9,
    job_id=10**12,
    application_id=10**12,
    client_id=10**12,
    freelancer_id=10**12,
    amount_minor=9_999_999_999,
    currency="INR",
    receipt="production123456-1f2e3d4c-1000000000",
)


@pytest.mark.parametrize("order", [ORDER, BIGGEST], ids=["usual ids", "large ids"])
def test_the_record_of_the_good_case_stays_below_one_write_unit(service: Service, order: Order) -> None:
    sizes = []
    service.create(order)
    sizes.append(service.size())
    service.now += CHECKOUT_S
    service.verify(Signed(payment=A, at=service.now))
    sizes.append(service.size())
    service.receive(Authorized(payment=A, method="netbanking", created_at=service.now))
    sizes.append(service.size())
    capture = replace(captured(A, order.amount_minor, method="netbanking"), fee_minor=1_179_999, created_at=service.now)
    record_facts(service.table, service.order_id, [capture], service.now + 1)
    sizes.append(service.size())
    service.receive(capture)
    sizes.append(service.size())
    assert max(sizes) < WRITE_UNIT_BYTES, sizes


def test_a_repeated_request_costs_two_reads_and_no_write(service: Service) -> None:
    service.create()
    service.spent()
    service.create()
    assert service.spent() == (["get_item", "batch_get_item"], [])


def test_a_repeated_verification_costs_one_read(service: Service) -> None:
    service.create()
    service.verify(Signed(payment=A, at=OPENED))
    service.spent()
    service.verify(Signed(payment=A, at=OPENED))
    assert service.spent() == (["get_item"], [])


def test_a_settled_payment_leaves_the_index(service: Service) -> None:
    service.create()
    service.receive(captured(A))
    found = service.metered.raw.scan(TableName=service.metered.name, IndexName="attention")
    assert found["Items"] == []
    service.receive(captured(A), refunded(A, REFUND_1))
    found = service.metered.raw.scan(TableName=service.metered.name, IndexName="attention")
    assert found["Items"] == []


def test_only_its_creation_writes_a_payment_to_the_indexes_of_its_client_and_freelancer(service: Service) -> None:
    def entries() -> list[object]:
        return [
            service.metered.raw.scan(TableName=service.metered.name, IndexName=index)["Items"]
            for index in ("client-index", "freelancer-index")
        ]

    service.create()
    before = entries()
    service.verify(Signed(payment=A, at=service.now))
    service.receive(captured(A))
    service.receive(captured(A), refunded(A, REFUND_1))
    assert entries() == before
    assert all(len(of_one) == 1 for of_one in before if isinstance(of_one, list))


def test_a_page_of_25_payments_costs_one_query_and_one_read_of_many_items(service: Service) -> None:
    for number in range(1, 31):
        key = f"order_{number:014d}"
        service.table.insert(open_record(key, replace(ORDER, payment_id=number), OPENED + number))
    service.spent()
    places, _ = service.table.payments_of(Role.CLIENT, ORDER.client_id, None, PAGE_SIZE)
    records = service.table.read_many(place.order_id for place in places)
    assert len(records) == PAGE_SIZE == 25
    assert service.spent() == (["query", "batch_get_item"], [])


# --- the counting rules ---------------------------------------------------------------------------------------------


def test_an_items_size_is_that_of_its_names_and_values() -> None:
    assert item_bytes({"pk": "abc"}) == 2 + 3
    assert item_bytes({"n": 12345}) == 1 + 4
    assert item_bytes({"n": 100}) == 1 + 2
    assert item_bytes({"b": True}) == 1 + 1
    assert item_bytes({"m": {"k": "v"}}) == 1 + 3 + 1 + 1 + 1
    assert item_bytes({"l": ["v"]}) == 1 + 3 + 1 + 1
    assert item_bytes({"n": MAX_ID}) == 1 + 9


def test_a_write_costs_its_larger_size_and_what_the_index_takes() -> None:
    due = {"attention_shard": "1", "attention_at": 5}
    assert write_units(None, {"pk": "a"}) == 1
    assert write_units({"pk": "a" * 1023}, {"pk": "a"}) == 2
    assert write_units(None, {"pk": "a", **due}) == 2
    assert write_units({"pk": "a", **due}, {"pk": "b", **due}) == 1
    assert write_units({"pk": "a", **due}, {"pk": "a"}) == 2
    assert write_units({"pk": "a", **due}, {"pk": "a", **due, "attention_at": 6}) == 3
    parties = {"client_id": 1, "freelancer_id": 2, "created_at": "2026-03-01T09:30:00Z"}
    assert write_units(None, {"pk": "a", **parties}) == 3
    assert write_units(None, {"pk": "a", "client_id": 1, "created_at": "x"}) == 2
    assert write_units(None, {"pk": "a", "client_id": 1}) == 1
    assert write_units({"pk": "a", **parties}, {"pk": "a", **parties, **due}) == 2
