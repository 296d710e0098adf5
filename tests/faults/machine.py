"""A state machine: anything that can happen to a few payments, in any order, with faults of any call at any time.

Clients order, pay in every way and return; Razorpay delivers its webhooks in any order, twice or never; instances die,
services are down, secrets are rotated, keys are wrong for days, months pass, the table is restored, an operator accepts
and releases. Hypothesis chooses each step and, if something breaks, searches for the shortest story that breaks it.
Unauthorised and malformed requests are covered by `tests/attacks` and `tests/fuzz`.

Every write and event is checked against the invariants as it happens (`ledger`), and every response against what it
should be. Finally the schedules run for 16 days, and the oracle judges everything visible from outside, only by
Razorpay's data (`World.check`). No story is exempt.

A seed always gives the same stories: `python -m tests.faults.machine SEED EXAMPLES` replays them.
"""

import random
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import wraps
from typing import Any, ClassVar, Concatenate, Final
from unittest.mock import patch

from hypothesis import HealthCheck, Phase, Verbosity, seed, settings
from hypothesis import strategies as st
from hypothesis.internal.conjecture import providers
from hypothesis.internal.constants_ast import Constants
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from payments.core.model import Record, Status
from sandbox import events
from sandbox.gateway import signatures
from sandbox.gateway.entities import DisputeMove, Payment
from sandbox.gateway.faults import ApiFault, ApiFaultName, Faults
from sandbox.gateway.validation import EARLIEST
from sandbox.gateway.world import ImpossibleError
from tests.faults.campaigns import Budget, Progress, Report
from tests.faults.clockwork import DAY_S, schedules
from tests.faults.elsewhere import Webhook
from tests.faults.outside import Call, Kind, good
from tests.faults.rig import AMOUNT, CLIENT, START, Answer, Died, World, installed

ALL: Final = 700
"""The number of examples in the full campaign."""
STEPS: Final = 40
"""The maximum number of steps per example."""
CLIENTS: Final = (CLIENT, 43)
APPLICATIONS: Final = (12, 13)
AMOUNTS: Final = (AMOUNT, "600.00", "1.00")
# Fractions of calls that fail in a bad phase: most requests succeed, and most reconcile runs (16 reads) too.
_BAD: Final = 0.03
_BAD_FOR_WRITES: Final = 0.25
_MOST_ROTATIONS: Final = 2
_MOST_FOREIGN: Final = 2
_MOST_REBUILDS: Final = 2
_MOST_CONFUSIONS: Final = 4
_MOST_API_FAULTS: Final = 2
_MOST_OPERATIONS: Final = 4
_MOST_RESTORES: Final = 2
_OLDEST_S: Final = 160 * DAY_S
"""How long stories last; including their end, no order exceeds the 180 days for which Razorpay returns orders."""
_FLOOR: Final = 90
"""The setting `AcceptOffers`, where there is one, in per cent."""
_COUNTER: Final = "counter#payment_id"
_SKIPPED: Final = 1_000_000
"""Payment ids that are skipped in a restored table (docs/runbook.md, "Restoring the table")."""


WAYS_TO_PAY: Final[Mapping[str, Mapping[str, Any]]] = {
    "card": {},
    "card, wrong OTP": {"otp": "12"},
    "UPI": {"method": "upi"},
    "UPI, fails": {"method": "upi", "vpa": "failure@razorpay"},
    "netbanking": {"method": "netbanking"},
    "netbanking, fails": {"method": "netbanking", "outcome": "failure"},
    "captured later": {"capture": "later"},
    "on a paid order": {"force": True},
    "too little": {"force": True, "amount": 99},
    "an offer": {"offer": 10},
    "a large offer": {"offer": 40_00},
    "left open at the bank": {"outcome": "open"},
    "another currency": {"force": True, "currency": "USD"},
}
_NOT_SOLD: Final = frozenset({"already_paid", "payment_in_progress", "payment_under_review"})
_NOT_PAID: Final = frozenset({"payment_refunded", "payment_returned", "payment_failed", "payment_under_review"})
_YOUNG_S: Final = 2 * DAY_S
"""Until when banks authorise late: afterwards Razorpay has refunded or given up ("Late authorisation")."""
_PLACE: Final = st.integers(0, 5)
"""An index into a list, modulo its length."""
_CLIENTS: Final = ("dynamodb", "events", "razorpay", "secretsmanager")
RULES: Final[set[str]] = set()
"""The names of all rules."""


@dataclass(slots=True)
class Tally:
    """Statistics over all examples."""

    examples: int = 0
    steps: Counter[str] = field(default_factory=Counter)
    """By rule."""
    calls: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    """By kind."""
    statuses: Counter[str] = field(default_factory=Counter)
    """The final statuses of records."""


def _step[**P](do: Callable[Concatenate["Payments", P], None]) -> Callable[Concatenate["Payments", P], None]:
    """Counts a rule, checks the state after it, and remembers whether it completed.

    The checks are here and not in Hypothesis invariants, which would appear between all steps of a printed story.
    """
    RULES.add(do.__name__)

    @wraps(do)
    def step(machine: "Payments", /, *args: P.args, **named: P.kwargs) -> None:
        machine.tally.steps[do.__name__] += 1
        machine.unfinished = True
        do(machine, *args, **named)
        machine.check_always()
        machine.unfinished = False

    return step


def _of[T](things: Sequence[T], place: int) -> T:
    return things[place % len(things)]


class Payments(RuleBasedStateMachine):
    """A few applications, their orders and payments, and everyone involved."""

    install: ClassVar[Callable[[World], World]]
    tally: ClassVar[Tally] = Tally()
    at_the_end: ClassVar[Callable[[], None]] = staticmethod(lambda: None)

    def __init__(self) -> None:
        super().__init__()
        self.world = type(self).install(World())
        self.unfinished = False
        self.checkouts: list[dict[str, str]] = []
        self.luck: random.Random | None = None
        """In a bad phase: draws which calls fail, and how."""
        self.down: dict[str, tuple[int, Kind]] = {}
        """Clients, and how many more of their calls fail."""
        self.secret_number = 0
        self.foreign = 0
        self.rebuilds = 0
        self.confusions = 0
        self.operations = 0
        self.deaf = False
        """Whether webhooks undelivered at the end never arrive."""
        self.world.outside.fate = self._fate

    # --- the platform's clients ---

    @rule(client=st.sampled_from(CLIENTS), application=st.sampled_from(APPLICATIONS), amount=st.sampled_from(AMOUNTS))
    @_step
    def create_order(self, client: int, application: int, amount: str) -> None:
        answer = self._ask(lambda: self.world.create_order(client=client, application=application, amount=amount))
        if answer is None:
            return
        if answer.status == 409:
            assert answer.body["code"] in _NOT_SOLD
            notes = self.world.razorpay.account.order(answer.body["order_id"]).notes
            about = int(notes["client_id"]), int(notes["application_id"])
            assert about == (client, application), "refused because of somebody else's order"
        else:
            assert answer.ok, answer

    @rule(application=st.sampled_from(APPLICATIONS), way=st.sampled_from(sorted(WAYS_TO_PAY)), told=st.booleans())
    @_step
    def buy(self, application: int, way: str, *, told: bool) -> None:
        """What most customers do, and most of Razorpay's webhooks about it."""
        self._buy(application, way, told=told)

    def _buy(self, application: int, way: str, *, told: bool) -> None:
        answer = self._ask(lambda: self.world.create_order(application=application))
        if answer is None or not answer.ok:
            return
        self._pay(answer.body["order_id"], way)
        for webhook in self.world.waiting[:3] if told else ():
            self._deliver(webhook)

    def _is_ordered(self) -> bool:
        return bool(self.world.handed_out)

    @precondition(_is_ordered)
    @rule(order=_PLACE, way=st.sampled_from(sorted(WAYS_TO_PAY)))
    @_step
    def pay(self, order: int, way: str) -> None:
        self._pay(_of(self._orders, order), way)

    @precondition(lambda machine: bool(machine.checkouts))
    @rule(checkout=_PLACE)
    @_step
    def verify(self, checkout: int) -> None:
        presented = _of(self.checkouts, checkout)
        owner, _, _ = self.world.handed_out[presented["razorpay_order_id"]]
        answer = self._ask(lambda: self.world.verify(presented, client=owner))
        if answer is not None:
            record = self.world.ledger.records.get(presented["razorpay_order_id"])
            if record is None or record.order is None:
                assert self.world.restored
                assert answer.status == 404
            elif answer.ok:
                assert record.status is Status.PAID
            else:
                assert answer.status == 409
                assert answer.body["code"] in _NOT_PAID

    @precondition(_is_ordered)
    @rule(order=_PLACE, reader=st.sampled_from([*CLIENTS, events.FREELANCER, 7]))
    @_step
    def read(self, order: int, reader: int) -> None:
        order_id = _of(self._orders, order)
        answer = self._ask(lambda: self.world.read(order_id, client=reader))
        if answer is None:
            return
        record = self.world.ledger.records.get(order_id)
        if record is None or record.order is None:
            # The table was restored to a time before it.
            assert self.world.restored
        elif reader in {self.world.handed_out[order_id][0], events.FREELANCER}:
            assert (answer.body["status"], answer.body["confirmed"]) == (record.status, record.confirmed)
            assert isinstance(answer.body["under_review"], bool)
        else:
            assert answer.status == 404

    # --- Razorpay's webhooks ---

    def _has_waiting(self) -> bool:
        return bool(self.world.waiting)

    @precondition(_has_waiting)
    @rule(webhook=_PLACE)
    @_step
    def deliver(self, webhook: int) -> None:
        self._deliver(_of(self.world.waiting, webhook))

    @precondition(_has_waiting)
    @rule()
    @_step
    def deliver_all(self) -> None:
        for webhook in self.world.waiting:
            self._deliver(webhook)

    @precondition(lambda machine: bool(machine.world.acknowledged))
    @rule(webhook=_PLACE)
    @_step
    def redeliver(self, webhook: int) -> None:
        """I8: redelivering something acknowledged changes nothing, except that pending events are published."""
        again = _of(self.world.acknowledged, webhook)
        records, recorded = dict(self.world.ledger.records), set(self.world.ledger.recorded)
        answer = self._ask(lambda: self.world.deliver(again))
        if answer is not None:
            assert answer.status == (200 if self._is_signed(again) else 400)
        if self.world.restored:
            # It may repeat what was lost with the table.
            return
        assert self.world.ledger.recorded.keys() == recorded, "I8: an event came out of old news"
        for order_id, record in self.world.ledger.records.items():
            assert _facts(record) == _facts(records[order_id]), "I8: old news changed a record"

    @precondition(_has_waiting)
    @rule(webhook=_PLACE)
    @_step
    def drop(self, webhook: int) -> None:
        self.world.drop(_of(self.world.waiting, webhook))

    # --- what happens at Razorpay ---

    @precondition(lambda machine: bool(machine.captured))
    @rule(payment=_PLACE, minor=st.sampled_from([None, None, 1, 10_000]))
    @_step
    def refund(self, payment: int, minor: int | None) -> None:
        """Also more than is left, which Razorpay refuses."""
        self.world.refund(_of(self.captured, payment).id, minor)

    @precondition(lambda machine: bool(machine.captured))
    @rule(payment=_PLACE, minor=st.sampled_from([None, None, 1, 10_000]))
    @_step
    def dispute(self, payment: int, minor: int | None) -> None:
        """The customer's bank demands the money back, or a part of it; never more than there is."""
        with suppress(ImpossibleError):
            self.world.dispute(_of(self.captured, payment).id, minor)

    def _has_disputes(self) -> bool:
        return bool(self.world.razorpay.account.disputes)

    @precondition(_has_disputes)
    @rule(dispute=_PLACE, to=st.sampled_from(["under_review", "action_required", "won", "lost", "lost"]))
    @_step
    def move_dispute(self, dispute: int, to: DisputeMove) -> None:
        """What cannot follow does not happen."""
        with suppress(ImpossibleError):
            self.world.move_dispute(_of(list(self.world.razorpay.account.disputes), dispute), to)

    def _has_payments(self) -> bool:
        return bool(self.world.razorpay.account.payments)

    @precondition(_has_payments)
    @rule(
        payment=_PLACE,
        what=st.sampled_from(["late", "late, on a paid order", "captured", "given back", "succeeds", "fee reported"]),
    )
    @_step
    def time_tells(self, payment: int, what: str) -> None:
        """The later outcome of a payment that failed, is authorised or is still open at the bank."""
        account, one = self.world.razorpay.account, _of(self._payments, payment)
        if what != "fee reported" and self.world.now - one.created_at > _YOUNG_S:
            return
        with suppress(ImpossibleError):
            match what:
                case "late":
                    account.authorize_late(one)
                case "late, on a paid order":
                    account.authorize_late(one, force=True)
                case "captured":
                    account.capture_authorized(one)
                case "given back":
                    account.return_uncaptured(one)
                case "succeeds":
                    account.answer(one, None)
                case _:
                    account.report_fee(one)

    def _has_pending_refunds(self) -> bool:
        return any(refund.status == "pending" for refund in self.world.razorpay.account.refunds.values())

    @precondition(_has_pending_refunds)
    @rule(refund=_PLACE, fails=st.booleans())
    @_step
    def settle_refund(self, refund: int, *, fails: bool) -> None:
        account = self.world.razorpay.account
        pending = [one for one in account.refunds.values() if one.status == "pending"]
        account.settle_refund(_of(pending, refund), "failed" if fails else "processed")

    @initialize(
        pending=st.booleans(),
        customer_pays=st.booleans(),
        fee_late=st.booleans(),
        offers=st.booleans(),
        lag_s=st.sampled_from([0, 0, 180, 900]),
        receipts_once=st.booleans(),
        deaf=st.booleans(),
        expiry_days=st.sampled_from([30, 30, 7, 1]),
        bought=st.lists(
            st.tuples(st.sampled_from(APPLICATIONS), st.sampled_from(sorted(WAYS_TO_PAY)), st.booleans()),
            min_size=1,
            max_size=3,
        ),
    )
    def the_account_is(  # noqa: PLR0913 - Razorpay's settings and habits, and one of ours
        self,
        *,
        pending: bool,
        customer_pays: bool,
        fee_late: bool,
        offers: bool,
        lag_s: int,
        receipts_once: bool,
        deaf: bool,
        expiry_days: int,
        bought: list[tuple[int, str, bool]],
    ) -> None:
        """Razorpay's settings and behaviour, and whether its last webhooks are lost; the sweep's passes have started.

        Every story starts with a purchase before the first fault, so that something can fail.
        """
        self.world.razorpay.account.faults = Faults(
            refunds="pending" if pending else "processed",
            fee_bearer="customer" if customer_pays else "platform",
            fee_reported="later" if fee_late else "at_capture",
            lists_lag_s=lag_s,
            refund_lists_lag_s=lag_s,
            order_payments_lag_s=lag_s // 3,
            duplicate_receipts="refuse" if receipts_once else "accept",
        )
        self.world.accept_offers = _FLOOR if offers else None
        self.world.order_expiry_days = expiry_days
        self.deaf = deaf
        for schedule in schedules():
            self.world.run(schedule)
        for application, way, told in bought:
            self._buy(application, way, told=told)

    @precondition(lambda machine: machine.foreign < _MOST_FOREIGN)
    @rule(fails=st.booleans())
    @_step
    def pay_a_foreign_order(self, *, fails: bool) -> None:
        """Another application's order on the same account; `tests/judge` has an order of another stack of ours."""
        self.foreign += 1
        self.world.pay(self.world.foreign_order(), **{"outcome": "failure"} if fails else {"capture": "now"})

    # --- the operator ---

    def _may_operate(self) -> bool:
        return self.operations < _MOST_OPERATIONS

    @precondition(_may_operate)
    @precondition(_has_payments)
    @rule(payment=_PLACE)
    @_step
    def accept(self, payment: int) -> None:
        """Accepts a payment that does not count, if that is allowed."""
        self.operations += 1
        one = _of(self._payments, payment)
        before = len(self.world.outside.played)
        report = None
        with suppress(Died):
            report = self.world.operate("accept", order_id=one.order_id, razorpay_payment_id=one.id)
        undisturbed = len(self.world.outside.played) == before and not self.world.is_deprived
        if undisturbed and report is not None and "refused" not in report:
            assert self.world.record(one.order_id).status is Status.PAID

    @precondition(_may_operate)
    @precondition(_is_ordered)
    @rule(order=_PLACE)
    @_step
    def release(self, order: int) -> None:
        """Releases an order that nobody paid."""
        self.operations += 1
        with suppress(Died):
            self.world.operate("release", order_id=_of(self._orders, order))

    # --- time, and the machines ---

    @rule(seconds=st.sampled_from([60, 15 * 60, 3600, 6 * 3600, 13 * 3600, 86_400, 4 * 86_400]))
    @_step
    def wait(self, seconds: int) -> None:
        """Time passes without scheduled runs."""
        if self._may_last(seconds):
            self.world.now += seconds

    @rule(which=st.integers(0, len(schedules()) - 1))
    @_step
    def reconcile(self, which: int) -> None:
        """Runs one of the lanes."""
        played, schedule = len(self.world.outside.played), schedules()[which]
        with suppress(Died):
            report = self.world.run_lane(schedule.function, schedule.event)
            if len(self.world.outside.played) == played and not self.world.is_deprived:
                assert report is not None
                assert report["failed"] == 0, report

    @precondition(lambda machine: machine.rebuilds < _MOST_REBUILDS)
    @rule(begin=st.sampled_from([START - DAY_S] * 5 + [EARLIEST]))
    @_step
    def rebuild(self, begin: int) -> None:
        """An operator rebuilds everything from Razorpay's lists, as after a restore."""
        self.rebuilds += 1
        played = len(self.world.outside.played)
        with suppress(Died):
            report = self.world.reconcile(rebuild={"from": begin, "to": self.world.now})
            if len(self.world.outside.played) == played and not self.world.is_deprived:
                assert report is not None
                assert (report["failed"], report["next"]) == (0, None), report

    @precondition(lambda machine: len(machine.world.instances) > 1)
    @rule()
    @_step
    def start_anew(self) -> None:
        self.world.forget_instances()

    def _may_rotate(self) -> bool:
        """Razorpay's retries use the old secret for a day; by then no older event is waiting."""
        current = self.world.razorpay.webhook_secret
        still = all(one.signature == signatures.of_webhook(current, one.body) for one in self.world.waiting)
        return still and self.secret_number < _MOST_ROTATIONS

    @precondition(_may_rotate)
    @rule()
    @_step
    def rotate_webhook_secret(self) -> None:
        self.secret_number += 1
        self.world.rotate_webhook_secret(f"webhook-secret-after-rotation-{self.secret_number}")

    def _may_last(self, seconds: int) -> bool:
        return self.world.now + seconds - START <= _OLDEST_S

    @rule(days=st.sampled_from([1, 5, 31, 100, 155]), deaf=st.booleans())
    @_step
    def let_days_pass(self, days: int, *, deaf: bool) -> None:
        """Everything scheduled runs, with the current keys and faults; webhooks arrive or are all lost.

        Checkout may stay open in a browser: Razorpay takes money for an order that has expired here.
        """
        if not self._may_last(days * DAY_S):
            return
        self.world.outside.fate = good
        self.world.let_time_pass(days * DAY_S, deaf=deaf)
        self.world.outside.fate = self._fate

    @precondition(_has_waiting)
    @rule()
    @_step
    def drop_all(self) -> None:
        self.world.lose_webhooks()

    @precondition(lambda machine: machine.confusions < _MOST_CONFUSIONS)
    @rule()
    @_step
    def rotate_keys_wrongly(self) -> None:
        """Someone regenerates the keys at Razorpay and forgets to update the secret, or updates it."""
        self.confusions += 1
        if self.confusions % 2:
            self.world.lose_keys()
        else:
            self.world.find_keys()

    @precondition(lambda machine: len(machine.world.restored) < _MOST_RESTORES)
    @precondition(_is_ordered)
    @rule(hours=st.sampled_from([1, 24]))
    @_step
    def restore(self, hours: int) -> None:
        """The table is restored and payment ids are skipped, as in the runbook; rebuilding is left to chance."""
        world = self.world
        if world.now - hours * 3_600 < START:
            # Not before the first sweep: a rebuild from the first day is not left to chance.
            return
        installation = world.table.items.get(_COUNTER, {}).get("installation", {"S": world.installation})
        world.restore(world.now - hours * 3_600)
        counter = world.table.items.get(_COUNTER, {"pk": {"S": _COUNTER}, "installation": installation})
        taken = int(counter.get("last_taken", {"N": "0"})["N"]) + _SKIPPED
        world.table.items[_COUNTER] = {**counter, "last_taken": {"N": str(taken)}}

    def _may_fail(self) -> bool:
        return len(self.world.razorpay.account.faults.api) < _MOST_API_FAULTS

    @precondition(_may_fail)
    @precondition(_is_ordered)
    @rule(order=_PLACE, fault=st.sampled_from(["500", "502", "hang", "400_key"]))
    @_step
    def fail_for_an_order(self, order: int, fault: ApiFaultName) -> None:
        """Razorpay always fails on queries about this payment or order."""
        self._add_fault(ApiFault(fault, id=_of(self._orders, order)))

    @precondition(_may_fail)
    @rule(fault=st.sampled_from(["429_burst", "429_cool_down", "503"]), times=st.integers(1, 4))
    @_step
    def be_refused_for_a_while(self, fault: ApiFaultName, times: int) -> None:
        """Razorpay throttles us or is down, for a few calls."""
        self._add_fault(ApiFault(fault, times=times))

    def _add_fault(self, fault: ApiFault) -> None:
        account = self.world.razorpay.account
        account.faults = replace(account.faults, api=(*account.faults.api, fault))

    @precondition(lambda machine: machine.luck is None)
    @rule(luck=st.integers(0, 2**16))
    @_step
    def let_luck_be_bad(self, luck: int) -> None:
        self.luck = random.Random(luck)  # noqa: S311 - to be drawn again, no secret

    @precondition(lambda machine: not machine.is_disturbed())
    @rule(
        client=st.sampled_from(_CLIENTS),
        calls=st.integers(1, 8),
        kind=st.sampled_from([Kind.FAILS_BEFORE, Kind.HANGS, Kind.DIES_BEFORE]),
    )
    @_step
    def let_a_service_be_down(self, client: str, calls: int, kind: Kind) -> None:
        self.down[client] = (calls, kind)

    def is_disturbed(self) -> bool:
        return bool(self.down or self.luck or self.world.razorpay.account.faults.api)

    @precondition(is_disturbed)
    @rule()
    @_step
    def recover(self) -> None:
        self.down.clear()
        self.luck = None
        account = self.world.razorpay.account
        account.faults = replace(account.faults, api=())

    # --- what is always true ---

    def check_always(self) -> None:
        """Checks what is true after each step, even a failed one; most is checked at each write (`ledger`)."""
        ledger = self.world.ledger
        pending = {identity for record in ledger.records.values() for identity in record.pending}
        lost = ledger.recorded.keys() - ledger.published.keys() - pending
        assert not lost, f"I9: neither on the bus nor pending: {[ledger.types[identity] for identity in lost]}"

    def teardown(self) -> None:
        """Everything settles and is compared with Razorpay's data."""
        world, tally = self.world, self.tally
        if not self.unfinished:
            account = world.razorpay.account
            for refund in list(account.refunds.values()):
                if refund.status == "pending":
                    account.settle_refund(refund, "processed")
            world.come_to_rest(deaf=self.deaf)
            world.check()
            self.check_always()
            tally.statuses.update(str(record.status) for record in world.ledger.records.values())
        world.outside.fate = good
        tally.examples += 1
        tally.calls += len(world.outside.calls)
        tally.faults.update(kind.value for _, kind in world.outside.played)
        type(self).at_the_end()

    # --- how ---

    @property
    def _orders(self) -> list[str]:
        """The order ids returned to clients, the last one first."""
        return list(reversed(self.world.handed_out))

    def _pay(self, order_id: str, way: str) -> None:
        try:
            checkout = self.world.pay(order_id, **WAYS_TO_PAY[way])
        except ImpossibleError:
            # An offer combined with a fee that the customer bears.
            return
        if checkout is not None:
            self.checkouts.insert(0, checkout)

    def _fate(self, call: Call) -> Kind | None:
        client = call.operation.partition(" ")[0]
        if client in self.down:
            left, kind = self.down.pop(client)
            if left > 1:
                self.down[client] = (left - 1, kind)
            return kind
        writes = Kind.FAILS_AFTER in call.kinds
        if self.luck is not None and self.luck.random() < (_BAD_FOR_WRITES if writes else _BAD):
            return self.luck.choice(sorted(call.kinds))
        return None

    def _ask(self, request: Callable[[], Answer]) -> Answer | None:
        """Checks the response; after a fault, any documented one is allowed."""
        played = len(self.world.outside.played)
        try:
            answer = request()
        except Died:
            return None
        undisturbed = len(self.world.outside.played) == played and not self.world.is_deprived
        return answer if undisturbed else None

    def _deliver(self, webhook: Webhook) -> None:
        answer = self._ask(lambda: self.world.deliver(webhook))
        assert answer is None or answer.status == 200, answer

    def _is_signed(self, webhook: Webhook) -> bool:
        return webhook.signature in {
            signatures.of_webhook(secret, webhook.body) for secret in self.world.secrets["secret-webhook"].values()
        }

    @property
    def _payments(self) -> list[Payment]:
        """Every payment, the last one first."""
        return list(reversed(self.world.razorpay.account.payments.values()))

    @property
    def captured(self) -> list[Payment]:
        return [payment for payment in self._payments if payment.captured]


def _facts(record: Record) -> tuple[Any, ...]:
    """Everything that a repeated fact must not change."""
    return (
        record.version,
        record.status,
        record.attempts,
        record.refunds,
        record.disputes,
        record.reviews,
        record.updated_at,
    )


# --- the campaign ---------------------------------------------------------------------------------------------------


def run(budget: Budget, progress: Progress, *, shrink: bool = True) -> Report:
    """Plays the budget's number of examples.

    Args:
        budget: how many examples, and their seed.
        progress: is called after each.
        shrink: whether to search for the shortest story that breaks something.

    Raises:
        AssertionError: something broke; the message has the story and how to reproduce it.
    """
    examples = max(round(budget.share * ALL), 1)
    tally = play(examples, budget.seed, lambda done: progress(min(done, examples), examples), shrink=shrink)
    never = RULES - tally.steps.keys()
    assert budget.share < 1 or not never, f"rules that were never run: {', '.join(sorted(never))}"
    return _report(tally)


def play(examples: int, number: int, told: Callable[[int], None], *, shrink: bool = True) -> Tally:
    """Plays examples of a seed, and counts what was done in them."""
    tally = Tally()
    phases = [Phase.generate, *([Phase.shrink] if shrink else [])]
    with installed() as install, _nothing_but_the_seed():

        class Machine(Payments):
            pass

        Machine.install, Machine.tally = staticmethod(install), tally
        Machine.at_the_end = staticmethod(lambda: told(tally.examples))
        Machine.__name__ = Machine.__qualname__ = Payments.__name__
        try:
            run_state_machine_as_test(
                seed(number)(Machine),
                settings=settings(
                    max_examples=examples,
                    stateful_step_count=STEPS,
                    deadline=None,
                    database=None,
                    print_blob=True,
                    phases=phases,
                    verbosity=Verbosity.normal,
                    suppress_health_check=list(HealthCheck),
                ),
            )
        except Exception as error:
            story = "\n".join(getattr(error, "__notes__", []))
            again = f"PYTHONPATH=shared python -m tests.faults.machine {number} {examples}"
            raise AssertionError(f"{type(error).__name__}: {error}\n{story}\nto see it again: {again}") from error
    return tally


@contextmanager
def _nothing_but_the_seed() -> Iterator[None]:
    """Hypothesis also draws constants from loaded modules; here only the seed decides."""
    with (
        patch.object(providers, "_get_local_constants", Constants),
        patch.object(providers, "CONSTANTS_CACHE", {}),
    ):
        yield


def _report(tally: Tally) -> Report:
    return Report(
        title="The state machine",
        what=(
            f"Stories of up to {STEPS} steps, drawn by Hypothesis, on the real handlers and adapters: two clients, two "
            "applications, three amounts; payments of every kind, outcome and age, late, twice, left open, of a wrong "
            "sum, with offers and with fees that the customer bears; refunds in part, in full, pending and failed; "
            "disputes opened, sent back, won and lost, of all or of a part; "
            "webhooks in any order, again and never; Razorpay's lists behind; orders of others; "
            "months passing, orders that expire and are paid all the same; secrets rotated, keys wrong for days; "
            "rebuilds, restored tables, an operator who accepts "
            "and releases; instances dying, calls failing, "
            "hanging, repeated, services down. Every write, event and answer was checked as it happened, and in the "
            "end everything that can be seen from outside was judged by the oracle, from Razorpay's books alone."
        ),
        figures={
            "examples": tally.examples,
            "steps": tally.steps.total(),
            "calls": tally.calls,
            "calls that went wrong": tally.faults.total(),
            "records in the end": ", ".join(f"{tally.statuses[status]} {status}" for status in sorted(tally.statuses)),
            "rules that were never run": ", ".join(sorted(RULES - tally.steps.keys())) or "none",
        },
    )


if __name__ == "__main__":
    _tally = play(int(sys.argv[2]), int(sys.argv[1]), lambda _: None)
    sys.stderr.write(f"{_report(_tally).figures}\n")
