"""A model of create-order: the real `place_order`, with its steps in every order and a crash after each.

Several requests for one application, the customer, and Razorpay's webhooks take turns. A request's step is one call to
the table or to Razorpay; it may stop after any step. The customer may pay any order ever returned, at any time; the
payment becomes known at any later time, or never. In every reachable state an application is charged once (design,
invariant 19):

* no order is returned while the application, as last read, has money or an alive payment on another one;
* no order is replaced once money or an alive payment on it is known;
* no new order is returned while Razorpay has a payment on another one from before the request began;
* of all orders ever returned, at most one is open;
* at most one order is paid, ever.

The model has no clock: each request has a fixed time. A request's state is the results of its calls so far, since
`place_order` depends on nothing else; it is rerun up to its next call. `make test` explores `QUICK`; `python -m
tests.core.order_model` explores `FULL` as well, which takes minutes.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from copy import replace
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from payments.core.entities import ListedPayment
from payments.core.errors import PaymentServiceError, StorageConflict
from payments.core.listing import Look, read_order, read_payment
from payments.core.model import Order, Record, Status
from payments.core.ordering import OrderServices, Placed, place_order
from payments.core.outbox import record_facts
from payments.core.position import NO_OFFERS, Position
from tests.core.story import OPENED, ORDER
from tests.fakes import FakeTable

MINUTE: Final = 60


@dataclass(frozen=True)
class Request:
    """One request for an order: its offer, and when it comes (seconds after the first)."""

    amount_minor: int
    after_s: int = 0


@dataclass(frozen=True)
class Bound:
    """How much is explored."""

    requests: tuple[Request, ...]
    before: tuple[Request, ...] = ()
    """Earlier requests, completed one after the other before these start."""
    payments: int = 1
    """How many payments the customer makes, on orders of their choice."""
    status: str = "captured"
    """The payments' possible outcomes at Razorpay; a captured one was authorised just before."""
    crashes: int = 1
    """How many requests may crash after a step."""


A: Final = Request(50_000)
B: Final = Request(60_000)
LATE_A: Final = Request(50_000, after_s=20 * MINUTE)
LATE_B: Final = Request(60_000, after_s=20 * MINUTE)
QUICK: Final = {
    "two first requests": Bound((A, B), payments=2, crashes=2),
    "a replacement and a return": Bound((B, A), before=(A,)),
    "a return after a replacement, a while later": Bound((LATE_A,), before=(A, B), payments=2),
    "payments that are not captured": Bound((LATE_B,), before=(A, B), payments=2, status="authorized"),
    "three first requests that nobody pays": Bound((A, B, A), payments=0, crashes=0),
}
FULL: Final = {
    "a replacement and a return, both crashing": Bound((B, A), before=(A,), payments=2, crashes=2),
    "two returns after a replacement, a while later": Bound((LATE_A, LATE_B), before=(A, B)),
    "two later requests, not captured": Bound((LATE_B, LATE_A), before=(A,), payments=2, status="authorized"),
    "three first requests": Bound((A, B, A), payments=2),
    "three requests after a first": Bound((B, A, B), before=(A,)),
}


# --- the world ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class AtRazorpay:
    """Razorpay's books."""

    paid: tuple[str, ...] = ()
    """In the order in which the customer paid them."""
    told: tuple[str, ...] = ()
    """The payments whose webhook has arrived."""


@dataclass(frozen=True)
class Running:
    """One request: the results of its calls. `end` is None while it runs."""

    answers: tuple[object, ...] = ()
    known: int = 0
    """Represents the results when worlds are compared."""
    end: str | None = None
    paid_before: frozenset[str] = frozenset()
    """Orders that were paid at Razorpay before it began."""
    sold: frozenset[str] = frozenset()
    """Orders with money or an alive payment in the table, when it last read the application."""


@dataclass(frozen=True)
class World:
    table: FakeTable
    razorpay: AtRazorpay
    running: tuple[Running, ...]
    handed_out: frozenset[str] = frozenset()
    crashes: int = 0

    def key(self) -> int:
        """Worlds with equal keys are equal."""
        records = frozenset(map(_key, self.table.records.values()))
        applications = frozenset(self.table.applications.values())
        running = tuple((one.known, one.end, one.paid_before, one.sold) for one in self.running)
        razorpay = (frozenset(self.razorpay.paid), frozenset(self.razorpay.told))
        return hash((records, applications, running, razorpay, self.handed_out, self.crashes))


def _key(record: Record) -> tuple[object, ...]:
    """Everything in a record that a request or an assertion uses."""
    return (
        record.order_id,
        record.version,
        record.status,
        record.updated_at,
        record.superseded_by,
        record.looked_at,
        record.stood,
        frozenset(record.attempts),
    )


def _key_of(answer: object) -> object:
    match answer:
        case dict():
            return frozenset(map(_key, answer.values()))
        case Record():
            return _key(answer)
        case StorageConflict():
            return "conflict"
        case Look():
            return answer.facts
        case _:
            return answer


class _Step(BaseException):
    """The call that a request makes next."""

    def __init__(self, name: str, arguments: tuple[Any, ...]) -> None:
        super().__init__(name)
        self.name = name
        self.arguments = arguments


class _Script:
    """Table, gateway and ids in one: replays the results so far, and stops at the first new call."""

    def __init__(self, answers: Sequence[object], request: int) -> None:
        self._answers = iter(answers)
        self._id = 100 * (request + 1)

    def within(self, _seconds: float) -> AbstractContextManager[None]:
        return nullcontext()

    def number(self, offer: Order) -> Order:
        self._id += 1
        return offer.numbered(self._id, receipt=f"r-{self._id}")

    def create_order(self, order: Order) -> str:
        # Not a separate step: nobody knows the order's id yet, so a crash here has no effect.
        return f"order_{order.payment_id:014d}"

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            try:
                answer = next(self._answers)
            except StopIteration:
                raise _Step(name, arguments) from None
            if isinstance(answer, BaseException):
                raise answer
            return answer

        return call


# --- what can happen next -------------------------------------------------------------------------------------------


@dataclass
class Model:
    bound: Bound
    make_table: Callable[[FakeTable], FakeTable] = FakeTable.copy
    """The table for each step; tests pass broken tables to show that the model finds their faults."""

    def start(self) -> World:
        """The world before the first step, with the earlier requests completed."""
        requests = (*self.bound.before, *self.bound.requests)
        world = World(self.make_table(FakeTable()), AtRazorpay(), tuple(Running() for _ in requests))
        for number in range(len(self.bound.before)):
            while world.running[number].end is None:
                world = self._step(world, number)
        return world

    def following(self, world: World) -> Iterator[tuple[str, Callable[[], World]]]:
        """Every step that can be taken, and where it leads."""
        for number, running in enumerate(world.running):
            if running.end is None:
                yield f"request {number}", partial(self._step, world, number)
                if running.answers and world.crashes < self.bound.crashes:
                    crashed = _with(world.running, number, replace(running, answers=(), end="crashed"))
                    yield f"crash {number}", partial(replace, world, running=crashed, crashes=world.crashes + 1)
        for order_id in sorted(world.handed_out):
            # Razorpay accepts one payment per order.
            if len(world.razorpay.paid) < self.bound.payments and order_id not in world.razorpay.paid:
                paid = replace(world.razorpay, paid=(*world.razorpay.paid, order_id))
                yield f"pay {order_id}", partial(replace, world, razorpay=paid)
        for order_id in world.razorpay.paid:
            if order_id not in world.razorpay.told:
                yield f"webhook {order_id}", partial(self._webhook, world, order_id)

    def _step(self, world: World, number: int) -> World:
        request, running = (*self.bound.before, *self.bound.requests)[number], world.running[number]
        if not running.answers:
            running = replace(running, paid_before=frozenset(world.razorpay.paid))
        script: Any = _Script(running.answers, number)
        offer = replace(ORDER, amount_minor=request.amount_minor, payment_id=0, receipt="")
        services = OrderServices(
            table=script, gateway=script, ids=script, policy=NO_OFFERS, order_expiry_s=30 * 24 * 3600
        )
        try:
            placed = place_order(services, offer, OPENED + request.after_s)
        except _Step as step:
            table, answer = self._done(world, step, OPENED + request.after_s)
            if step.name == "replace_order" and not isinstance(answer, StorageConflict):
                replaced = world.table.records[step.arguments[0].current]
                assert not _is_sold(replaced), f"{replaced.order_id} was replaced though it is known to be paid"
            if step.name == "application":
                running = replace(running, sold=frozenset(key for key, one in table.records.items() if _is_sold(one)))
            known = hash((running.known, _key_of(answer)))
            running = replace(running, answers=(*running.answers, answer), known=known)
            return replace(world, table=table, running=_with(world.running, number, running))
        except PaymentServiceError as refused:
            ended = Running(end=type(refused).__name__)
            return replace(world, running=_with(world.running, number, ended))
        self._check_hand_out(placed, running)
        ended = Running(end=f"got {placed.record.order_id}")
        handed_out = world.handed_out | {placed.record.order_id}
        return replace(world, running=_with(world.running, number, ended), handed_out=handed_out)

    def _done(self, world: World, step: _Step, now: int) -> tuple[FakeTable, object]:
        if step.name == "look":
            return world.table, self._look(world, step.arguments[0], now)
        table = self.make_table(world.table)
        try:
            return table, getattr(table, step.name)(*step.arguments)
        except StorageConflict as conflict:
            return world.table, conflict

    def _look(self, world: World, order_id: str, now: int) -> Look:
        is_paid = order_id in world.razorpay.paid
        listed = {
            "id": order_id,
            "amount": ORDER.amount_minor,
            "currency": ORDER.currency,
            "status": ("paid" if self.bound.status == "captured" else "attempted") if is_paid else "created",
            "created_at": OPENED,
        }
        facts = self._payment(world, order_id).facts(looked_at=now) if is_paid else ()
        return Look(order=read_order(listed, order_id), facts=facts, in_flight=(), payments=int(is_paid))

    def _payment(self, world: World, order_id: str) -> ListedPayment:
        return read_payment(
            {
                "id": order_id.replace("order_", "pay_"),
                "order_id": order_id,
                "amount": world.table.records[order_id].agreed().amount_minor,
                "currency": ORDER.currency,
                "status": self.bound.status,
                "captured": self.bound.status == "captured",
                "created_at": OPENED,
            }
        )

    def _webhook(self, world: World, order_id: str) -> World:
        table = self.make_table(world.table)
        record_facts(table, order_id, self._payment(world, order_id).facts(), OPENED + MINUTE)
        return replace(world, table=table, razorpay=replace(world.razorpay, told=(*world.razorpay.told, order_id)))

    # --- what must hold ---

    def _check_hand_out(self, placed: Placed, running: Running) -> None:
        order_id = placed.record.order_id
        elsewhere = running.sold - {order_id}
        assert not elsewhere, f"{order_id} was handed out while {sorted(elsewhere)} were known to be paid"
        assert placed.record.status is not Status.PAID, f"{order_id} was handed out although it is paid"
        if placed.created:
            unseen = running.paid_before - {order_id}
            assert not unseen, f"{order_id} was made while Razorpay had a payment on {sorted(unseen)}"

    def check(self, world: World) -> None:
        """Checks what must hold in every state."""
        records = [record for key, record in world.table.records.items() if key in world.handed_out]
        still_open = [record.order_id for record in records if _is_payable(record)]
        assert len(still_open) <= 1, f"{still_open} are open at once"
        stand = [record.order_id for record in world.table.records.values() if record.stood is not None]
        assert len(stand) <= 1, f"{stand} are all paid"
        (application,) = world.table.applications.values() or [None]
        if application is not None:
            assert set(application.orders) >= world.handed_out, "an order was handed out that the application forgot"


def _is_sold(record: Record) -> bool:
    position = Position.of(record)
    return any(position.holds_money(payment) or position.alive(payment) for payment in record.attempts)


def _is_payable(record: Record) -> bool:
    """Whether a payment on it would count."""
    return record.superseded_by is None and record.status not in {Status.PAID, Status.REFUNDED}


def _with(running: tuple[Running, ...], number: int, changed: Running) -> tuple[Running, ...]:
    return (*running[:number], changed, *running[number + 1 :])


@dataclass(frozen=True)
class Explored:
    states: int
    ends: frozenset[str]
    """All outcomes of requests."""


class Violation(AssertionError):
    """A broken rule, and the steps that lead to it."""


def explore(bound: Bound, make_table: Callable[[FakeTable], FakeTable] = FakeTable.copy) -> Explored:
    """Visits every state within the bound.

    Raises:
        Violation: with the steps that lead there.
    """
    model = Model(bound, make_table)
    start = model.start()
    seen = {start.key()}
    todo: list[tuple[World, tuple[str, ...]]] = [(start, ())]
    ends: set[str] = set()
    while todo:
        world, path = todo.pop()
        for name, take in model.following(world):
            taken = (*path, name)
            try:
                after = take()
                model.check(after)
            except AssertionError as broken:
                raise Violation(f"{broken}; after {' > '.join(taken)}") from broken
            key = after.key()
            if key not in seen:
                seen.add(key)
                todo.append((after, taken))
                ends.update(one.end for one in after.running if one.end is not None)
    return Explored(len(seen), frozenset(ends))


def main() -> None:
    """Explores everything and prints how many states there were."""
    for name, bound in (QUICK | FULL).items():
        print(f"{name}: {explore(bound).states:,} states")  # noqa: T201 - its output


if __name__ == "__main__":
    main()
