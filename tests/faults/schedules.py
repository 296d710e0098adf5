"""Random schedules: what happens to one application's payment, in any order, with any call going wrong at any time.

A schedule is a story at Razorpay (attempts, captures, refunds), a random sequence of deliveries, verifications,
create-order requests and reconcile runs, and for every call outside a chance that it dies, fails, hangs, is repeated
or works only partly. Then the faults end, what was not acknowledged is delivered again, and reconcile runs until
nothing is due. In the end the record and the bus are compared with Razorpay's books.

For their number, the schedules call what the handlers call (`place_order`, `record_facts`, `deliver`,
`reconcile_record`) on the table in memory that `tests/table` holds to the real one's contract. The state machine does
the like on the real handlers and adapters, some thousand times.

Schedule number n of seed s is always the same one: `python -m tests.faults.schedules s n` plays it and tells each step.
"""

import random
import sys
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context
from typing import Final

from payments.core import reconciliation
from payments.core.errors import (
    AlreadyPaid,
    BusUnavailable,
    GatewayUnavailable,
    OrderNotFound,
    PaymentInProgress,
    TableUnavailable,
    TemporaryError,
)
from payments.core.handoff import Message, deliver, record_facts
from payments.core.listing import MARKER, ListedOrder
from payments.core.model import Authorized, Captured, Fact, Failed, Order, Record, Refunded, RefundState, Signed, Status
from payments.core.ordering import place_order
from tests.core.story import is_known
from tests.fakes import Crash, FakeTable
from tests.faults.campaigns import Budget, Progress, Report
from tests.faults.ledger import Ledger
from tests.faults.outside import Call, Client, Kind, Outside, good

ALL: Final = 1_000_000
START: Final = 1_772_357_400
AMOUNT: Final = 49_950
_OTHER_AMOUNT: Final = 60_000
_STAGE: Final = "local"
_CHUNK: Final = 500
_WORKERS: Final = 2
# High enough that most schedules have some, low enough that most steps get done.
_FAULT_SHARE: Final = 0.2
_WRONG_SUMS: Final = 0.06
_LATE_CAPTURES: Final = 0.7
_FAILING_REFUNDS: Final = 0.15
_HALF: Final = 0.5
_MOST_RUNS: Final = 40
_DAY_S: Final = 86_400

_TABLE: Final = Client("table", TableUnavailable, TableUnavailable, 0, repeats=True)
_BUS: Final = Client("bus", BusUnavailable, BusUnavailable, 0, repeats=True)
_GATEWAY: Final = Client("razorpay", GatewayUnavailable, GatewayUnavailable, 0)


# --- Razorpay -------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Refund:
    """Money on its way back."""

    id: str
    amount: int
    state: RefundState = RefundState.CREATED


@dataclass(slots=True)
class Payment:
    """An attempt, as Razorpay's books have it; amounts in minor units."""

    id: str
    amount: int
    currency: str = "INR"
    status: str = "failed"
    captured: bool = False
    refunds: list[Refund] = field(default_factory=list)

    @property
    def amount_refunded(self) -> int:
        return sum(refund.amount for refund in self.refunds if refund.state is RefundState.PROCESSED)


@dataclass(frozen=True, slots=True)
class Book:
    """An order, as Razorpay's books have it."""

    amount: int
    currency: str = "INR"


@dataclass(frozen=True, slots=True)
class Telling:
    """One webhook."""

    name: str
    order_id: str
    facts: tuple[Fact, ...]


class Account:
    """What happens at Razorpay, and what it tells of it."""

    def __init__(self, dice: random.Random, clock: Callable[[], int]) -> None:
        self.orders: dict[str, tuple[Order, int]] = {}
        self.payments: dict[str, list[Payment]] = {}
        self.waiting: list[Telling] = []
        self.heard: list[Telling] = []
        self._dice = dice
        self._clock = clock
        self._made = 0

    def create_order(self, order: Order) -> str:
        self._made += 1
        order_id = f"order_{self._made:014d}"
        self.orders[order_id] = (order, self._clock())
        self.payments[order_id] = []
        return order_id

    def attempt(self, order_id: str) -> str:
        """The customer pays, or tries to."""
        dice, payments = self._dice, self.payments[order_id]
        captured = sum(payment.captured for payment in payments)
        # A second capture of one order is not supposed to happen, and does.
        if any(payment.status == "authorized" for payment in payments) or captured > dice.choice((0, 0, 0, 0, 1)):
            return "refused"
        self._made += 1
        amount = self.orders[order_id][0].amount_minor
        payment = Payment(f"pay_{self._made:014d}", amount)
        if dice.random() < _WRONG_SUMS:
            payment.amount -= 100
        payments.append(payment)
        match dice.choice(("failed", "authorized", "captured", "captured", "captured")):
            case "failed":
                self._fail(order_id, payment)
            case "authorized":
                self._authorize(order_id, payment)
            case _:
                self._authorize(order_id, payment)
                self._capture(order_id, payment)
        return f"{payment.id} {payment.status}"

    def move_on(self, order_id: str) -> str:
        """Something that takes time at Razorpay: a late authorisation, a capture, a refund, money given back."""
        dice, payments = self._dice, self.payments[order_id]
        if not payments:
            return "nothing"
        payment = dice.choice(payments)
        if payment.status == "failed" and not any(other.captured or other.refunds for other in payments):
            self._authorize(order_id, payment)
            self._capture(order_id, payment)
        elif payment.status == "authorized" and dice.random() < _LATE_CAPTURES:
            self._capture(order_id, payment)
        elif payment.status == "authorized":
            self._refund(order_id, payment, payment.amount)
            payment.status = "refunded"
        elif payment.captured and payment.amount_refunded < payment.amount:
            rest = payment.amount - payment.amount_refunded
            self._refund(order_id, payment, rest if dice.random() < _HALF else max(rest // 3, 1))
        return f"{payment.id} {payment.status} refunded {payment.amount_refunded}"

    def facts_of_order(self, order_id: str) -> list[Fact]:
        """What the API lists."""
        facts: list[Fact] = []
        for payment in self.payments[order_id]:
            if payment.captured:
                facts.append(Captured(payment=payment.id, amount_minor=payment.amount, currency=payment.currency))
            elif payment.status == "authorized":
                facts.append(Authorized(payment=payment.id))
            elif payment.status == "failed":
                facts.append(Failed(payment=payment.id, reason="payment_failed"))
            facts.extend(self._refund_fact(payment, refund) for refund in payment.refunds)
        return facts

    def order(self, order_id: str) -> ListedOrder:
        order, created_at = self.orders[order_id]
        ids = {name: str(getattr(order, name)) for name in ("payment_id", "job_id", "application_id", "client_id")}
        notes = {"service": MARKER, "stage": _STAGE, "freelancer_id": str(order.freelancer_id), **ids}
        return ListedOrder(
            id=order_id,
            amount=order.amount_minor,
            currency=order.currency,
            receipt=order.receipt,
            notes=notes,
            created_at=created_at,
        )

    def books(self) -> Mapping[str, tuple[Book, Sequence[Payment]]]:
        return {key: (Book(order.amount_minor), self.payments[key]) for key, (order, _) in self.orders.items()}

    def _fail(self, order_id: str, payment: Payment) -> None:
        self._tell("payment.failed", order_id, Failed(payment=payment.id, reason="payment_failed"))

    def _authorize(self, order_id: str, payment: Payment) -> None:
        payment.status = "authorized"
        self._tell("payment.authorized", order_id, Authorized(payment=payment.id))

    def _capture(self, order_id: str, payment: Payment) -> None:
        payment.status, payment.captured = "captured", True
        fact = Captured(payment=payment.id, amount_minor=payment.amount, currency=payment.currency)
        self._tell("payment.captured", order_id, fact)
        self._tell("order.paid", order_id, fact)

    def _refund(self, order_id: str, payment: Payment, amount: int) -> None:
        self._made += 1
        refund = Refund(f"rfnd_{self._made:014d}", amount)
        payment.refunds.append(refund)
        self._tell_refund(order_id, payment, refund)
        # Money that was never captured goes back for certain.
        fails = payment.captured and self._dice.random() < _FAILING_REFUNDS
        refund.state = RefundState.FAILED if fails else RefundState.PROCESSED
        self._tell_refund(order_id, payment, refund)

    def _tell_refund(self, order_id: str, payment: Payment, refund: Refund) -> None:
        facts: tuple[Fact, ...] = (self._refund_fact(payment, refund),)
        if payment.captured:
            captured = Captured(payment=payment.id, amount_minor=payment.amount, currency=payment.currency)
            facts = (captured, *facts)
        self._tell(f"refund.{refund.state}", order_id, *facts)

    def _refund_fact(self, payment: Payment, refund: Refund) -> Refunded:
        return Refunded(payment=payment.id, refund=refund.id, amount_minor=refund.amount, state=refund.state)

    def _tell(self, name: str, order_id: str, *facts: Fact) -> None:
        self.waiting.append(Telling(name, order_id, facts))


# --- the service ----------------------------------------------------------------------------------------------------


class WatchedTable(FakeTable):
    """The table in memory; the ledger sees every write."""

    def __init__(self, outside: Outside, ledger: Ledger) -> None:
        super().__init__()
        self._outside = outside
        self._ledger = ledger

    def read(self, order_id: str) -> Record | None:
        return self._outside.call(_TABLE, "read", lambda: super(WatchedTable, self).read(order_id), reads=True)

    def insert(self, record: Record) -> None:
        def perform() -> None:
            super(WatchedTable, self).insert(record)
            self._ledger.stored(self.records[record.order_id])

        self._outside.call(_TABLE, "insert", perform)

    def save(self, before: Record, after: Record) -> None:
        def perform() -> None:
            super(WatchedTable, self).save(before, after)
            self._ledger.stored(self.records[before.order_id])

        self._outside.call(_TABLE, "save", perform)

    def clear(self, record: Record, event_ids: Collection[str]) -> None:
        def perform() -> None:
            super(WatchedTable, self).clear(record, event_ids)
            self._ledger.stored(self.records[record.order_id])

        self._outside.call(_TABLE, "clear", perform)

    def current_order(self, client_id: int, application_id: int) -> str | None:
        return self._outside.call(
            _TABLE, "pointer", lambda: super(WatchedTable, self).current_order(client_id, application_id), reads=True
        )

    def point(self, client_id: int, application_id: int, order_id: str, *, seen: str | None) -> None:
        self._outside.call(
            _TABLE, "point", lambda: super(WatchedTable, self).point(client_id, application_id, order_id, seen=seen)
        )


class WatchedBus:
    """The bus in memory."""

    def __init__(self, outside: Outside, ledger: Ledger) -> None:
        self._outside = outside
        self._ledger = ledger

    def publish(self, messages: Mapping[str, Message]) -> frozenset[str]:
        return self._outside.call(
            _BUS,
            "publish",
            lambda: self._accept(list(messages.items())),
            partly=lambda: self._accept(list(messages.items())[:-1]),
        )

    def _accept(self, entries: Sequence[tuple[str, Message]]) -> frozenset[str]:
        for _, message in entries:
            self._ledger.on_event(message.type, message.detail)
        return frozenset(key for key, _ in entries)


class WatchedGateway:
    """Razorpay's API over the account's books."""

    def __init__(self, outside: Outside, account: Account) -> None:
        self._outside = outside
        self._account = account

    def create_order(self, order: Order) -> str:
        return self._outside.call(_GATEWAY, "create", lambda: self._account.create_order(order))

    def order(self, order_id: str) -> ListedOrder:
        return self._outside.call(_GATEWAY, "order", lambda: self._account.order(order_id), reads=True)

    def facts_of_order(self, order_id: str) -> Sequence[Fact]:
        return self._outside.call(_GATEWAY, "payments", lambda: self._account.facts_of_order(order_id), reads=True)


class Schedule:
    """One schedule, played from its number."""

    def __init__(self, seed: int, number: int) -> None:
        self.dice = random.Random(f"{seed}:{number}")  # noqa: S311 - reproducible on purpose
        self.now = START
        self.steps: list[str] = []
        self.outside = Outside()
        self.ledger = Ledger()
        self.account = Account(self.dice, lambda: self.now)
        self.table = WatchedTable(self.outside, self.ledger)
        self.bus = WatchedBus(self.outside, self.ledger)
        self.gateway = WatchedGateway(self.outside, self.account)
        self.signed: set[str] = set()
        self.handed_out: list[str] = []
        self._taken = 0
        self._actions: tuple[tuple[Callable[[], str], int], ...] = (
            (self._create, 2),
            (self._attempt, 4),
            (self._move_on, 3),
            (self._deliver, 9),
            (self._redeliver, 2),
            (self._verify, 3),
            (self._reconcile, 3),
            (self._wait, 2),
        )

    def play(self) -> None:
        """Plays it to the end and checks it.

        Raises:
            AssertionError: an invariant was broken; `steps` tell how.
        """
        self._step(self._create)
        self.outside.fate = self._fate
        actions, weights = zip(*self._actions, strict=True)
        for action in self.dice.choices(actions, weights, k=self.dice.randint(6, 20)):
            self._step(action)
        self.outside.fate = good
        self._come_to_rest()
        self.ledger.check_rest()
        self._check_records()
        self._check_open_orders()

    def _step(self, action: Callable[[], str]) -> None:
        faults = len(self.outside.played)
        try:
            outcome = action()
        except Crash:
            outcome = "died"
        except (TemporaryError, AlreadyPaid, PaymentInProgress, OrderNotFound) as error:
            outcome = type(error).__name__
        struck = "".join(f", {call.operation} {kind}" for call, kind in self.outside.played[faults:])
        self.steps.append(f"{self.now - START:7d} {_name(action)}: {outcome}{struck}")

    def _fate(self, call: Call) -> Kind | None:
        if self.dice.random() >= _FAULT_SHARE:
            return None
        return self.dice.choice(sorted(call.kinds))

    # --- what may happen ---

    def _create(self) -> str:
        amount = AMOUNT if self.dice.random() < 0.8 else _OTHER_AMOUNT
        offer = Order(
            payment_id=0,
            job_id=11,
            application_id=12,
            client_id=42,
            freelancer_id=77,
            amount_minor=amount,
            currency="INR",
            receipt="",
        )
        order_id = place_order(self.table, self.gateway, self._number, offer, self.now).record.order_id
        if order_id not in self.handed_out:
            self.handed_out.append(order_id)
        self._check_open_orders()
        return order_id

    def _number(self, offer: Order) -> Order:
        self._taken += 1
        return offer.numbered(self._taken, receipt=f"{_STAGE}-{self._taken}")

    def _attempt(self) -> str:
        return self.account.attempt(self.dice.choice(self.handed_out)) if self.handed_out else "no order yet"

    def _move_on(self) -> str:
        return self.account.move_on(self.dice.choice(self.handed_out)) if self.handed_out else "no order yet"

    def _deliver(self) -> str:
        waiting = self.account.waiting
        return self._receive(self.dice.choice(waiting)) if waiting else "nothing waits"

    def _redeliver(self) -> str:
        heard = self.account.heard
        return self._receive(self.dice.choice(heard)) if heard else "nothing was heard"

    def _receive(self, telling: Telling) -> str:
        decision = record_facts(self.table, telling.order_id, telling.facts, self.now, keep_unknown=True)
        deliver(self.table, self.bus, decision.record)
        self.ledger.acknowledge(telling.order_id, telling.facts)
        if telling in self.account.waiting:
            self.account.waiting.remove(telling)
            self.account.heard.append(telling)
        return f"{telling.name} {telling.order_id}"

    def _verify(self) -> str:
        paid = [
            (order_id, payment)
            for order_id in self.handed_out
            for payment in self.account.payments[order_id]
            if payment.status != "failed"
        ]
        if not paid:
            return "nothing was paid"
        order_id, payment = self.dice.choice(paid)
        signed = Signed(payment=payment.id)
        self.signed.add(payment.id)
        record_facts(self.table, order_id, [signed], self.now)
        self.ledger.acknowledge(order_id, [signed])
        return f"{order_id} {payment.id}"

    def _reconcile(self) -> str:
        outcomes = []
        for order_id in self._due():
            try:
                outcome = reconciliation.reconcile_record(
                    self.table, self.gateway, self.bus, order_id, stage=_STAGE, now=self.now
                )
                outcomes.append(outcome.value)
            except TemporaryError as error:
                outcomes.append(type(error).__name__)
        return ", ".join(outcomes) or "nothing due"

    def _wait(self) -> str:
        self.now += self.dice.choice((1, 60, 16 * 60, 3_600, 7 * 3_600, _DAY_S, 3 * _DAY_S))
        return "time passes"

    def _due(self) -> Iterator[str]:
        due = [
            (record.attention_at, order_id)
            for order_id, record in self.table.records.items()
            if record.attention_at is not None and record.attention_at <= self.now
        ]
        return iter([order_id for _, order_id in sorted(due)])

    # --- the end ---

    def _come_to_rest(self) -> None:
        never_told = self.dice.random() < _HALF and self.now < START + 3 * _DAY_S
        for telling in list(self.account.waiting):
            if not (never_told and self._is_found_anyway(telling)):
                self._step(partial(self._receive, telling))
        for _ in range(_MOST_RUNS):
            times = [record.attention_at for record in self.table.records.values() if record.attention_at is not None]
            if not times:
                return
            self.now = max(self.now, min(times))
            self._step(self._reconcile)
        raise AssertionError("reconcile never came to rest")

    def _is_found_anyway(self, telling: Telling) -> bool:
        """Whether reconcile learns of it without the webhook: everything but what follows a confirmation."""
        payments = self.account.payments[telling.order_id]
        record = self.table.records[telling.order_id]
        closed = record.confirmed and not all(is_known(record, fact) for fact in telling.facts)
        captured = sum(payment.captured for payment in payments)
        return not closed and captured <= 1 and not any(payment.refunds for payment in payments)

    def _check_records(self) -> None:
        """By the rules of version 1's decision, which this campaign plays by itself, without the handlers.

        The oracle judges it with the handlers; design, section 3, replaces both.
        """
        for order_id, (order, payments) in self.account.books().items():
            if (record := self.table.records.get(order_id)) is None or record.order is None:
                continue
            signed = {payment for payment, attempt in record.attempts.items() if attempt.signed}
            assert signed <= self.signed, "I4: signed, and no genuine signature was ever presented"
            expected = expected_statuses(order, payments, signed)
            assert record.status in expected, f"I6: the record says {record.status}, the books {sorted(expected)}"
            right = [payment for payment in payments if payment.captured and payment.amount == order.amount]
            duplicates = sum(review.reason == "duplicate_capture" for review in record.reviews)
            assert duplicates == max(len(right) - 1, 0), "I7: a duplicate capture was not reviewed"

    def _check_open_orders(self) -> None:
        open_now = [
            order_id
            for order_id in self.handed_out
            if (record := self.table.records[order_id]).superseded_by is None
            and record.status in {"created", "failed", "authorized"}
        ]
        assert len(open_now) <= 1, f"I17: {len(open_now)} open orders for one application"


def expected_statuses(order: Book, payments: Sequence[Payment], signed: set[str]) -> frozenset[Status]:
    """What the record may say in the end, from the books alone.

    More than one after a capture of a wrong sum, which leaves the status as it was, and after a second capture of a
    refunded order, which may have come before: the books do not tell which. Both are reviewed.
    """
    right = [payment for payment in payments if payment.captured and payment.amount == order.amount]
    if right:
        back = [payment.amount_refunded >= payment.amount for payment in right]
        if all(back):
            return frozenset({Status.REFUNDED})
        # Refunded is final: a capture that comes after it is reviewed and changes nothing.
        return frozenset({Status.PAID, Status.REFUNDED} if any(back) else {Status.PAID})
    alive = [payment for payment in payments if payment.captured or not payment.amount_refunded]
    if any(payment.id in signed for payment in alive):
        return frozenset({Status.PAID})
    if any(payment.status == "authorized" for payment in alive):
        return frozenset({Status.AUTHORIZED})
    if any(payment.captured for payment in payments):
        return frozenset({Status.CREATED, Status.AUTHORIZED, Status.FAILED})
    return frozenset({Status.FAILED if payments else Status.CREATED})


def _name(action: Callable[[], str]) -> str:
    return str(getattr(action, "__name__", "_deliver")).strip("_")


# --- many of them ---------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Tally:
    """What came of some schedules."""

    schedules: int = 0
    steps: int = 0
    calls: int = 0
    events: int = 0
    published: int = 0
    faults: Counter[str] = field(default_factory=Counter)

    def add(self, other: "Tally") -> None:
        self.schedules += other.schedules
        self.steps += other.steps
        self.calls += other.calls
        self.events += other.events
        self.published += other.published
        self.faults += other.faults


def play(seed: int, numbers: range) -> Tally:
    """Plays these schedules of a seed.

    Raises:
        AssertionError: of the first that broke an invariant; the message says how to see it again.
    """
    tally = Tally()
    for number in numbers:
        schedule = Schedule(seed, number)
        try:
            schedule.play()
        except Exception as error:
            steps = "\n".join(schedule.steps)
            raise AssertionError(
                f"{type(error).__name__}: {error}\n{steps}\n"
                f"Play it again with `python -m tests.faults.schedules {seed} {number}`."
            ) from error
        tally.schedules += 1
        tally.steps += len(schedule.steps)
        tally.calls += len(schedule.outside.calls)
        tally.events += len(schedule.ledger.recorded)
        tally.published += schedule.ledger.published.total()
        tally.faults.update(kind.value for _, kind in schedule.outside.played)
    return tally


def run(budget: Budget, progress: Progress) -> Report:
    """Plays a million schedules, or a share of them, on two processes."""
    count = max(int(ALL * budget.share), 1)
    chunks = [range(start, min(start + _CHUNK, count)) for start in range(0, count, _CHUNK)]
    tally = Tally()
    with ProcessPoolExecutor(_WORKERS, mp_context=get_context("forkserver")) as pool:
        running = [pool.submit(play, budget.seed, chunk) for chunk in chunks]
        try:
            for done in as_completed(running):
                tally.add(done.result())
                progress(tally.schedules, count)
        finally:
            for waiting in running:
                waiting.cancel()
    return Report(
        title="Random schedules under faults",
        what=(
            "A story at Razorpay and a random sequence of deliveries, verifications, order requests and reconcile "
            f"runs, each outside call going wrong with a chance of {_FAULT_SHARE:.0%}. Played on what the handlers "
            "call, and compared in the end with Razorpay's books."
        ),
        figures={
            "schedules": tally.schedules,
            "steps": tally.steps,
            "outside calls": tally.calls,
            "faults": tally.faults.total(),
            **{f"of which {kind}": count for kind, count in sorted(tally.faults.items())},
            "events recorded": tally.events,
            "published again (same id, same bytes)": tally.published - tally.events,
            "lost": 0,
            "doubled": 0,
            "invented": 0,
        },
    )


def main(arguments: Sequence[str]) -> None:
    """Plays one schedule and tells each step."""
    schedule = Schedule(int(arguments[0]), int(arguments[1]))
    try:
        schedule.play()
    finally:
        print("\n".join(schedule.steps))  # noqa: T201 - for a person at a terminal


if __name__ == "__main__":
    main(sys.argv[1:])
