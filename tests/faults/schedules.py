"""Random schedules: what happens to one application's payment, in any order, with any call going wrong at any time.

A schedule is a story at Razorpay (attempts, captures, fees, refunds), a random sequence of deliveries, verifications,
create-order requests and runs of the three lanes, and for every call outside a chance that it dies, fails, hangs, is
repeated or works only partly. Then the faults end, what was not acknowledged is delivered again or lost for good, and
the lanes run until the last pass over Razorpay's lists has been. In the end the oracle judges what GET would show and
what is on the bus by Razorpay's books.

For their number, the schedules call what the handlers call (`place_order`, `record_and_publish`, `empty_outbox`,
`Reconciler.watch`, `sweep`) on the table and the gateway in memory that `tests/table` and the core's own tests hold to
the contract of the real ones. The state machine does the like on the real handlers and adapters, some thousand times.

There were a million of them while reconcile looked at one order a few times. Now each one ends with weeks of all three
lanes, which is most of its time: so there are 40,000.

Schedule number n of seed s is always the same one: `python -m tests.faults.schedules s n` plays it and tells each step.
"""

import json
import random
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context
from typing import Any, Final

from payments.core import attention, reconciliation, sweeping
from payments.core.errors import (
    ApplicationRefused,
    BusUnavailable,
    GatewayUnavailable,
    OrderNotFound,
    StorageConflict,
    TableUnavailable,
    TemporaryError,
)
from payments.core.listing import Origin
from payments.core.model import (
    Authorized,
    Captured,
    Fact,
    Failed,
    Lane,
    Order,
    Refunded,
    RefundState,
    RefundTotal,
    Signed,
)
from payments.core.ordering import OrderServices, place_order
from payments.core.outbox import Message, record_and_publish, record_facts
from payments.core.position import NO_OFFERS, Position, amount_refunded, under_review
from payments.core.reconciliation import Outcome, Reconciler
from payments.core.sweeping import ASIDE_PARTITION, PASSES, Aside, Entry, Pass, Watermark
from tests.fakes import INSTALLATION, Crash, FakeGateway, FakeIds, FakeTable
from tests.faults.campaigns import Budget, Progress, Report
from tests.faults.ledger import Ledger
from tests.faults.outside import Call, Client, Kind, Outside, good
from tests.oracle.books import HandedOut, Settings, read_ledger
from tests.oracle.books import Outside as World
from tests.oracle.expect import expected_orders
from tests.oracle.judge import Told, judge_order, read_event

ALL: Final = 40_000
START: Final = 1_772_357_400
AMOUNT: Final = 49_950
_OTHER_AMOUNT: Final = 60_000
_STAGE: Final = "test"
_CHUNK: Final = 100
_WORKERS: Final = 2
# High enough that most schedules have some, low enough that most steps get done.
_FAULT_SHARE: Final = 0.2
_WRONG_SUMS: Final = 0.06
_FEES: Final = 0.1
_FEE_MINOR: Final = 1_180
_LATE_CAPTURES: Final = 0.7
_FAILING_REFUNDS: Final = 0.15
_HALF: Final = 0.5
_MINUTE_S, _HOUR_S, _DAY_S = 60, 3_600, 86_400
# "Late authorisation", "Capture settings": nothing is captured later, and what is not captured is given back.
_DECIDED_AFTER_S: Final = 3 * _DAY_S
# The last pass over refunds looks back fifteen days; a refund that is under way is asked for weekly.
_REST_S: Final = (_MINUTE_S, 3 * _MINUTE_S, 20 * _MINUTE_S, 2 * _HOUR_S, 7 * _HOUR_S)
_REST_DAYS: Final = (*range(1, 10), 13, 17, 25)

_TABLE: Final = Client("table", TableUnavailable, TableUnavailable, 0, repeats=True)
_BUS: Final = Client("bus", BusUnavailable, BusUnavailable, 0, repeats=True)
_GATEWAY: Final = Client("razorpay", GatewayUnavailable, GatewayUnavailable, 0)


# --- Razorpay -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Telling:
    """One webhook."""

    name: str
    order_id: str
    facts: tuple[Fact, ...]


class Account:
    """What happens at Razorpay, and what it tells of it. The gateway in memory keeps the books."""

    def __init__(self, dice: random.Random, gateway: FakeGateway) -> None:
        self.waiting: list[Telling] = []
        self.heard: list[Telling] = []
        self.story: list[dict[str, Any]] = []
        self._dice = dice
        self._gateway = gateway
        self._made = 0

    def payments(self, order_id: str) -> list[dict[str, Any]]:
        """Its attempts, the oldest first."""
        return [payment for payment in self._gateway.payments.values() if payment["order_id"] == order_id]

    def attempt(self, order_id: str) -> str:
        """The customer pays, or tries to."""
        dice, payments = self._dice, self.payments(order_id)
        captured = sum(payment["captured"] for payment in payments)
        # A second capture of one order is not supposed to happen, and does.
        if any(payment["status"] == "authorized" for payment in payments) or captured > dice.choice((0, 0, 0, 0, 1)):
            return "refused"
        self._made += 1
        payment, amount = f"pay_{self._made:014d}", self._gateway.listed[order_id]["amount"]
        chance, fee = dice.random(), None
        if chance < _WRONG_SUMS:
            amount -= 100
        elif chance < _WRONG_SUMS + _FEES:
            amount, fee = amount + _FEE_MINOR, _FEE_MINOR
        status = dice.choice(("failed", "authorized", "captured", "captured", "captured"))
        first = "failed" if status == "failed" else "authorized"
        self._gateway.pay(order_id, payment, first, amount=amount, fee=fee)
        self._tell_payment(payment, first)
        if status == "captured":
            self._capture(payment)
        return f"{payment} {status}"

    def move_on(self, order_id: str) -> str:
        """Something that takes time at Razorpay: a late authorisation, a capture, a refund, money given back."""
        dice, payments = self._dice, self.payments(order_id)
        if not payments:
            return "nothing"
        payment = dice.choice(payments)
        paid = any(other["captured"] or self._refunds(other["id"]) for other in payments)
        in_time = self._gateway.now - payment["created_at"] < _DECIDED_AFTER_S
        name, rest = payment["id"], payment["amount"] - self._refunded(payment["id"])
        if payment["status"] == "failed" and not paid and in_time:
            self._become(name, "authorized")
            self._capture(name)
        elif payment["status"] == "authorized" and in_time and dice.random() < _LATE_CAPTURES:
            self._capture(name)
        elif payment["status"] == "authorized":
            self._refund(payment, payment["amount"])
            self._become(name, "refunded", captured=False, tell=False)
        elif payment["captured"] and rest:
            self._refund(payment, rest if dice.random() < _HALF else max(rest // 3, 1))
        payment = self._gateway.payments[name]
        return f"{name} {payment['status']} refunded {self._refunded(name)}"

    def document(self) -> Mapping[str, Any]:
        """The books, as the oracle reads them."""
        return {
            "orders": list(self._gateway.listed.values()),
            "payments": list(self._gateway.payments.values()),
            "refunds": list(self._gateway.refunded.values()),
            "story": self.story,
        }

    def _become(self, payment: str, status: str, *, captured: bool | None = None, tell: bool = True) -> None:
        order_id = self._gateway.payments[payment]["order_id"]
        self._gateway.pay(order_id, payment, status, **({} if captured is None else {"captured": captured}))
        if tell:
            self._tell_payment(payment, status)

    def _capture(self, payment: str) -> None:
        self._become(payment, "captured")
        captured = self._captured(self._gateway.payments[payment])
        self._tell("order.paid", self._gateway.payments[payment]["order_id"], captured)

    def _tell_payment(self, payment: str, status: str) -> None:
        entity = self._gateway.payments[payment]
        facts: Mapping[str, Fact] = {
            "failed": Failed(
                payment=payment,
                reason="payment_failed",
                method="upi",
                created_at=entity["created_at"],
                at=self._gateway.now,
            ),
            "authorized": Authorized(payment=payment, method="upi", created_at=entity["created_at"]),
            "captured": self._captured(entity),
        }
        self.story.append({"what": f"payment.{status}", "at": self._gateway.now, "payment_id": payment})
        self._tell(f"payment.{status}", entity["order_id"], facts[status])

    def _captured(self, payment: Mapping[str, Any]) -> Captured:
        return Captured(
            payment=payment["id"],
            amount_minor=payment["amount"],
            currency=payment["currency"],
            fee_minor=payment["fee"],
            method="upi",
            created_at=payment["created_at"],
        )

    def _refunds(self, payment: str) -> list[dict[str, Any]]:
        return [refund for refund in self._gateway.refunded.values() if refund["payment_id"] == payment]

    def _refunded(self, payment: str) -> int:
        return sum(refund["amount"] for refund in self._refunds(payment) if refund["status"] == "processed")

    def _refund(self, payment: Mapping[str, Any], amount: int) -> None:
        self._made += 1
        refund = f"rfnd_{self._made:014d}"
        self._gateway.give_back(payment["id"], refund, amount, "pending")
        self._tell_refund(payment, refund, RefundState.CREATED)
        # Money that was never captured goes back for certain.
        fails = payment["captured"] and self._dice.random() < _FAILING_REFUNDS
        state = RefundState.FAILED if fails else RefundState.PROCESSED
        self._gateway.give_back(payment["id"], refund, amount, state.value)
        if payment["captured"] and self._refunded(payment["id"]) == payment["amount"]:
            self._become(payment["id"], "refunded", tell=False)
        self._tell_refund(payment, refund, state)

    def _tell_refund(self, payment: Mapping[str, Any], refund: str, state: RefundState) -> None:
        entity, total = self._gateway.refunded[refund], self._gateway.payments[payment["id"]]["amount_refunded"]
        captured = (self._captured(payment),) if payment["captured"] else ()
        told = Refunded(
            payment=payment["id"],
            refund=refund,
            amount_minor=entity["amount"],
            state=state,
            created_at=entity["created_at"],
        )
        sums = (RefundTotal(payment=payment["id"], amount_minor=total),) if total else ()
        self.story.append({"what": f"refund.{state}", "at": self._gateway.now, "refund_id": refund})
        self._tell(f"refund.{state}", payment["order_id"], *captured, told, *sums)

    def _tell(self, name: str, order_id: str, *facts: Fact) -> None:
        self.waiting.append(Telling(name, order_id, facts))


# --- the service ----------------------------------------------------------------------------------------------------


class WatchedTable(FakeTable):
    """The table in memory, each call of which may go wrong; the ledger sees every write."""

    def __init__(self, outside: Outside, ledger: Ledger) -> None:
        super().__init__()
        self.outside = outside
        self._ledger = ledger

    def wrote(self) -> None:
        """Tells the ledger what has changed."""
        for order_id, record in self.records.items():
            if self._ledger.records.get(order_id) is not record:
                self._ledger.stored(record)


class WatchedGateway(FakeGateway):
    """Razorpay's API over the account's books, each call of which may go wrong."""

    def __init__(self, outside: Outside) -> None:
        super().__init__()
        self.outside = outside


def _watched(of: type, name: str, client: Client, *, reads: bool) -> Callable[..., Any]:
    """A method whose call goes through `Outside`."""

    def call(self: Any, *arguments: Any, **named: Any) -> Any:
        def perform() -> Any:
            answer = getattr(of, name)(self, *arguments, **named)
            if isinstance(answer, Iterator):
                return iter(list(answer))
            if isinstance(self, WatchedTable) and not reads:
                self.wrote()
            return answer

        return self.outside.call(client, name, perform, reads=reads)

    return call


_READS: Final = ("read", "read_many", "application", "due", "refunds", "watermark", "aside", "installation")
_WRITES: Final = (
    *("insert", "save", "clear", "open_application", "replace_order", "extend_application"),
    *("raise_payment_ids", "keep_refunds", "move_watermark", "set_aside", "end_aside"),
)
for _method in (*_READS, *_WRITES):
    setattr(WatchedTable, _method, _watched(FakeTable, _method, _TABLE, reads=_method in _READS))
for _method in ("create_order", "order", "look", "payment", "refund", "refunds_of", "page"):
    setattr(WatchedGateway, _method, _watched(FakeGateway, _method, _GATEWAY, reads=_method != "create_order"))


class WatchedBus:
    """The bus in memory."""

    def __init__(self, outside: Outside, ledger: Ledger) -> None:
        self.told: dict[str, list[Told]] = {}
        """By order, each event once."""
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
        for key, message in entries:
            self._ledger.on_event(message.type, message.detail)
            if self._ledger.published[key] == 1:
                order_id, event = read_event(message.type, json.loads(message.detail))
                self.told.setdefault(order_id, []).append(event)
        return frozenset(key for key, _ in entries)


class Schedule:
    """One schedule, played from its number."""

    def __init__(self, seed: int, number: int) -> None:
        self.dice = random.Random(f"{seed}:{number}")  # noqa: S311 - reproducible on purpose
        self.now = START
        self.steps: list[str] = []
        self.outside = Outside()
        self.ledger = Ledger()
        self.table = WatchedTable(self.outside, self.ledger)
        self.bus = WatchedBus(self.outside, self.ledger)
        self.gateway = WatchedGateway(self.outside)
        self.gateway.now = START
        self.account = Account(self.dice, self.gateway)
        self.ids = FakeIds()
        self.presented: set[tuple[str, str]] = set()
        self.doubtful: set[tuple[str, str]] = set()
        self.handed_out: list[HandedOut] = []
        self.reconciler = Reconciler(
            table=self.table,
            bus=self.bus,
            gateway=self.gateway,
            origin=Origin(stage=_STAGE, installation=INSTALLATION),
            policy=NO_OFFERS,
        )
        for one in PASSES:
            # The service has been running for a while: each pass is where its age is.
            self.table.marks[one.name] = Watermark(at=START - one.age_s, span=one.every_s)
        self._actions: tuple[tuple[Callable[[], str], int], ...] = (
            (self._create, 2),
            (self._attempt, 4),
            (self._move_on, 3),
            (self._deliver, 9),
            (self._redeliver, 2),
            (self._verify, 3),
            (self._empty_outbox, 2),
            (self._watch, 2),
            (self._sweep, 1),
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
        self._check_orders()
        self._check_open_orders()

    def _step(self, action: Callable[[], str]) -> None:
        faults = len(self.outside.played)
        try:
            outcome = action()
        except Crash:
            outcome = "died"
        except (TemporaryError, ApplicationRefused, OrderNotFound) as error:
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
        services = OrderServices(table=self.table, gateway=self.gateway, ids=self.ids, policy=NO_OFFERS)
        order_id = place_order(services, offer, self.now).record.order_id
        handed = HandedOut(order_id=order_id, client_id=42, application_id=12, fields=(amount,), at=self.now)
        self.handed_out.append(handed)
        self._check_open_orders()
        return order_id

    def _any_order(self) -> str | None:
        return self.dice.choice(self.handed_out).order_id if self.handed_out else None

    def _attempt(self) -> str:
        order_id = self._any_order()
        return self.account.attempt(order_id) if order_id else "no order yet"

    def _move_on(self) -> str:
        order_id = self._any_order()
        return self.account.move_on(order_id) if order_id else "no order yet"

    def _deliver(self) -> str:
        waiting = self.account.waiting
        return self._receive(self.dice.choice(waiting)) if waiting else "nothing waits"

    def _redeliver(self) -> str:
        heard = self.account.heard
        return self._receive(self.dice.choice(heard)) if heard else "nothing was heard"

    def _receive(self, telling: Telling) -> str:
        record_and_publish(self.table, self.bus, telling.order_id, telling.facts, self.now, keep_unknown=True)
        # Razorpay's sum of refunds is evidence: what agrees with the refunds that are known need not be kept.
        facts = [fact for fact in telling.facts if not isinstance(fact, RefundTotal)]
        self.ledger.acknowledge(telling.order_id, facts)
        if telling in self.account.waiting:
            self.account.waiting.remove(telling)
            self.account.heard.append(telling)
        return f"{telling.name} {telling.order_id}"

    def _verify(self) -> str:
        paid = [
            (order_id, payment["id"])
            for order_id in dict.fromkeys(one.order_id for one in self.handed_out)
            for payment in self.account.payments(order_id)
            if payment["status"] != "failed"
        ]
        if not paid:
            return "nothing was paid"
        order_id, payment = proof = self.dice.choice(paid)
        signed = Signed(payment=payment, at=self.now)
        # Until it is answered nobody can say whether it is stored.
        self.doubtful.add(proof)
        record_facts(self.table, order_id, [signed], self.now)
        self.presented.add(proof)
        self.ledger.acknowledge(order_id, [signed])
        return f"{order_id} {payment}"

    def _wait(self) -> str:
        self._go_to(self.now + self.dice.choice((1, 60, 16 * 60, 3_600, 7 * 3_600, _DAY_S, 3 * _DAY_S)))
        return "time passes"

    def _go_to(self, now: int) -> None:
        self.now = self.gateway.now = now

    # --- the lanes, as the functions run them ---

    def _empty_outbox(self) -> str:
        return self._lane(Lane.OUTBOX, lambda key: reconciliation.empty_outbox(self.table, self.bus, key, self.now))

    def _watch(self) -> str:
        lanes = [
            self._lane(lane, lambda key: self.reconciler.watch(key, self.now)) for lane in (Lane.UNKNOWN, Lane.WATCH)
        ]
        return "; ".join(lanes)

    def _lane(self, lane: Lane, act: Callable[[str], Outcome]) -> str:
        """One record's failure never stops the others; it waits longer."""
        outcomes = []
        # Of sixteen partitions, those that hold something: what is due is the same.
        shards = {attention.shard(lane, order_id) for order_id in self.table.records}
        for shard in sorted(shards):
            for order_id, _ in self.table.due(shard, self.now):
                try:
                    outcomes.append(act(order_id).value)
                except Exception as error:  # noqa: BLE001 - the boundary of one record, as in `wiring.lanes`
                    _only_expected(error)
                    outcomes.append(type(error).__name__)
                    reconciliation.back_off(self.table, order_id, self.now)
        return ", ".join(outcomes) or "nothing due"

    def _sweep(self) -> str:
        self._retry_asides()
        done = []
        for one in PASSES:
            if sweeping.is_due(one, self.table.watermark(one.name), self.now):
                finished = self._run_pass(one)
                done.append(f"{one.name} {finished}")
        return ", ".join(done) or "nothing due"

    def _run_pass(self, one: Pass) -> bool:
        apply = reconciliation.apply_payments if one.listed == "payments" else reconciliation.apply_refunds

        def read(start: int, end: int, skip: int) -> Sequence[Entry]:
            return self.gateway.page(one.listed, start, end, skip)

        def take(page: Sequence[Entry]) -> None:
            apply(self.reconciler, page, self._applied, self.now)

        return sweeping.sweep(self.table, one.name, read, take, end=self.now - one.age_s, is_over=lambda: False)

    def _applied(self, razorpay_id: str, act: Callable[[], Outcome]) -> None:
        try:
            act()
        except Exception as error:  # noqa: BLE001 - the boundary of one entry, as in `wiring.sweep`
            _only_expected(error)
            self.table.set_aside(Aside.first(razorpay_id, self.now))

    def _retry_asides(self) -> None:
        for razorpay_id, _ in self.table.due(ASIDE_PARTITION, self.now):
            aside = self.table.aside(razorpay_id)
            if aside is None:
                continue
            try:
                reconciliation.apply_by_id(self.reconciler, razorpay_id, self.now)
            except Exception as error:  # noqa: BLE001 - as above
                _only_expected(error)
                self.table.set_aside(aside.again(self.now))
            else:
                self.table.end_aside(razorpay_id)

    # --- the end ---

    def _come_to_rest(self) -> None:
        never_told = self.dice.random() < _HALF
        for telling in list(self.account.waiting):
            if not never_told:
                self._step(partial(self._receive, telling))
        begun = self.now
        for moment in (*_REST_S, *(day * _DAY_S for day in _REST_DAYS)):
            self._go_to(begun + moment)
            for lane in (self._empty_outbox, self._watch, self._sweep, self._empty_outbox):
                self._step(lane)
        assert not self.table.asides, "I22: entries are still set aside"
        due = [record for record in self.table.records.values() if record.attention_at is not None]
        assert not due, f"I9: {len(due)} records never came to rest"

    def _check_orders(self) -> None:
        """The oracle knows Razorpay's books and what was handed out and presented, and nothing of the code."""
        outside = World(
            handed_out=self.handed_out,
            presented=frozenset(self.presented),
            doubtful=frozenset(self.doubtful - self.presented),
        )
        books = read_ledger(self.account.document())
        expected = expected_orders(books, outside, Settings(stage=_STAGE, installation=INSTALLATION))
        complaints = []
        for order_id, one in expected.items():
            _, found = judge_order(one, self._shown(order_id), self.bus.told.get(order_id, []))
            complaints += found
        assert not complaints, "the oracle: " + "; ".join(complaints)
        strange = self.bus.told.keys() - expected.keys()
        assert not strange, f"I10: events of orders that are not ours: {strange}"

    def _shown(self, order_id: str) -> Mapping[str, Any] | None:
        """What GET answers."""
        record = self.table.records.get(order_id)
        if record is None or record.order is None:
            return None
        return {
            "status": record.status.value,
            "confirmed": record.confirmed,
            "amount_refunded": amount_refunded(record),
            "under_review": under_review(record),
            "razorpay_payment_id": Position.of(record).shown_payment(),
        }

    def _check_open_orders(self) -> None:
        open_now = [
            order_id
            for order_id in dict.fromkeys(one.order_id for one in self.handed_out)
            if (record := self.table.records[order_id]).superseded_by is None
            and record.status in {"created", "failed", "authorized"}
            and not any(attempt.captured for attempt in record.attempts.values())
        ]
        assert len(open_now) <= 1, f"I17: {len(open_now)} open orders for one application"


def _only_expected(error: Exception) -> None:
    """A lane survives everything; here only what was meant to go wrong may."""
    if not isinstance(error, TemporaryError | StorageConflict):
        raise error


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
    """Plays all schedules, or a share of them, on two processes."""
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
            "A story at Razorpay and a random sequence of deliveries, verifications, order requests and runs of the "
            f"outbox, the watch lane and the sweep, each outside call going wrong with a chance of {_FAULT_SHARE:.0%}. "
            "In half of them what had not been told by then never was. Played on what the handlers call, until the "
            "last pass has been; the oracle judged what GET shows then, and what is on the bus, by Razorpay's books."
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
