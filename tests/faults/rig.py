"""The four functions with everything around them in memory, and a clock that tests set.

The handlers, the wiring, the adapters and Razorpay's SDK are the real ones; only what lies beyond the network is not:
DynamoDB, EventBridge, Secrets Manager (`dynamodb`, `elsewhere`) and the stand-in for Razorpay, called without a socket.
Every call goes through `Outside`, which can inject a fault, and every write and publish through `Ledger`, which checks
it.

    with installed() as install:
        world = install(World())
        order_id = world.create_order().body["order_id"]
"""

import json
import logging
import os
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field, replace
from functools import cache
from io import StringIO
from itertools import count
from types import SimpleNamespace
from typing import IO, Any, Final, cast
from unittest.mock import patch
from urllib.parse import urlsplit

import requests

from payments.adapters.http import PROBLEMS
from payments.adapters.log import logger as kept_logger
from payments.adapters.secrets import Secrets
from payments.core.expiry import PASSES as EXPIRY_PASSES
from payments.core.model import Record, Signed
from payments.core.sweeping import DISPUTES, PASSES, Pass
from payments.core.webhooks import read_delivery
from payments.wiring import aws, create_order, reconcile
from payments.wiring.boundary import RunFailed
from payments.wiring.gateway import gateway
from sandbox import development, events
from sandbox.gateway import checkout as customer
from sandbox.gateway import identifiers, signatures, validation
from sandbox.gateway.entities import Dispute, DisputeMove, Payment, Refund
from sandbox.gateway.refusals import Refusal
from tests.core.story import is_known
from tests.fakes import BY, Crash
from tests.faults import verdict
from tests.faults.clockwork import DAY_S, MOMENTS_S, Schedule, due_attributes, functions, schedules
from tests.faults.dynamodb import MemoryDynamo
from tests.faults.elsewhere import RAZORPAY_URL, MemoryBus, Razorpay, SecretsClient, Webhook
from tests.faults.expressions import Item
from tests.faults.ledger import Ledger
from tests.faults.outside import Outside, good
from tests.handlers.service import CREATE_ORDER, VERIFY, handler
from tests.oracle.books import Acceptance, HandedOut, Settings
from tests.oracle.books import Outside as Seen

START: Final = events.ORDERED_AT
CLIENT: Final = events.CLIENT
AMOUNT: Final = "499.50"
EXPIRY_DAYS: Final = 30
"""The default of `OrderExpiryDays`."""
API_KEYS, WEBHOOK, JWT = "secret-api-keys", "secret-webhook", "secret-jwt"
_SECRETS_OF: Final = {
    "create_order": f"{API_KEYS},{JWT}",
    "verify": f"{API_KEYS},{JWT}",
    "webhook": WEBHOOK,
    # As with a scope for tokens: then it reads both secrets.
    "refund": f"{API_KEYS},{JWT}",
    "reconcile": API_KEYS,
}
DOCUMENTED: Final = frozenset({200, 201, 202, *(problem.status.value for problem in PROBLEMS.values())})
CODES: Final = frozenset(problem.code for problem in PROBLEMS.values())
SECRET: Final = (
    development.RAZORPAY_KEY_SECRET,
    development.RAZORPAY_WEBHOOK_SECRET,
    development.RAZORPAY_WEBHOOK_SECRET_PREVIOUS,
    development.JWT_SECRET,
    development.QUOTE_SECRET,
    *events.PERSONAL,
    "Bearer ",
)
"""What must not be in any log, response, table or event."""
_OK: Final = range(200, 300)
_MOST_DELIVERIES: Final = 16
_RETRIED_FOR_S: Final = 12 * 3600
_TOLD_OF_MONEY: Final = frozenset({"payment_refunded", "payment_returned", "payment_failed", "payment_under_review"})
"""Refusals of verify after which a genuine proof is still stored (design, section 2)."""
_READS_WHAT_IS_DUE: Final = frozenset({"dynamodb GetItem", "dynamodb Query", "secretsmanager GetSecretValue"})
"""The number of reads of a run that finds nothing due; the passes' watermarks are read in one batch."""
_LONGEST_LAG_S: Final = 1_800
"""Twice as long as Razorpay's lists lag in any campaign."""


class Died(Exception):
    """The function instance died before it could respond."""


class _Broken(BaseException):
    """An invariant was broken. Not an Exception, which the functions would turn into a 500."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error


def _unstoppable[**P](check: Callable[P, None]) -> Callable[P, None]:
    def call(*args: P.args, **named: P.kwargs) -> None:
        try:
            check(*args, **named)
        except Exception as error:
            raise _Broken(error) from error

    return call


@dataclass(frozen=True, slots=True)
class Answer:
    """What API Gateway gets back."""

    status: int
    body: Any

    @property
    def ok(self) -> bool:
        return self.status in _OK


@dataclass(slots=True)
class Instance:
    """The state of one function instance between requests; a dead instance is never used again."""

    payment_ids: dict[str, create_order.PaymentIds] = field(default_factory=dict)
    secrets: Secrets | None = None


class World:
    """One platform: a table, a bus, a Razorpay account, and the functions between them.

    Attributes:
        handed_out: every order id returned to a client, with the client, the application and the amount.
        presented: order and payment id of every genuine checkout proof to which verify responded.
        doubtful: those that it may have stored without a response.
        restored: when the table was restored, and to which time.
        accepted: order and payment id of every accepted payment.
        acceptances: when each of them was accepted, or perhaps was.
        forgotten: payment ids accepted before the table was restored.
        released: every order id that an operator released.
        cleared: every payment id whose lost disputes an operator released.
        accept_offers: the setting of this name, in per cent of the agreed amount.
        order_expiry_days: the age at which an unpaid order expires.
        waiting: the webhooks that are not acknowledged yet, the oldest first.
    """

    def __init__(self, *, watch_logs: bool = True, beside: "World | None" = None, first_day: bool = False) -> None:
        """A new, unused platform.

        Args:
            watch_logs: whether to search logs for secrets.
            beside: another stack on the same Razorpay account.
            first_day: whether the passes over Razorpay's lists have never run; otherwise they are up to date.
        """
        self.now: int = START if beside is None else beside.now
        self.outside = Outside()
        self.ledger = Ledger()
        self.table = MemoryDynamo(self.outside, on_change=_unstoppable(self._on_change))
        self.bus = MemoryBus(self.outside, on_event=_unstoppable(self._on_event))
        self.razorpay: Razorpay = Razorpay(self.outside, lambda: self.now) if beside is None else beside.razorpay
        self.secrets: dict[str, dict[str, str]] = {
            API_KEYS: {
                "RAZORPAY_KEY_ID": development.RAZORPAY_KEY_ID,
                "RAZORPAY_KEY_SECRET": development.RAZORPAY_KEY_SECRET,
            },
            WEBHOOK: {"RAZORPAY_WEBHOOK_SECRET": development.RAZORPAY_WEBHOOK_SECRET},
            JWT: {"JWT_SECRET": development.JWT_SECRET},
        }
        self.handed_out: dict[str, tuple[int, int, str]] = {}
        self.handed: list[HandedOut] = []
        self.presented: set[tuple[str, str]] = set()
        self.doubtful: set[tuple[str, str]] = set()
        self.restored: list[tuple[int, int]] = []
        self.accepted: set[tuple[str, str]] = set()
        self.acceptances: list[Acceptance] = []
        self.forgotten: set[str] = set()
        self.released: set[str] = set()
        self.cleared: set[str] = set()
        self.accept_offers: int | None = None
        self.order_expiry_days = EXPIRY_DAYS
        self.changes = 0
        """The number of writes that took effect."""
        self.instances: dict[str, Instance] = {}
        self.log = StringIO()
        self.answers: Counter[tuple[str, int]] = Counter()
        self.given_up: list[Webhook] = []
        """Acknowledged without being stored, because they were too old for a retry; an alarm reported them."""
        self.installation = "a0000001" if beside is None else "b0000002"
        """The installation's name for a new table."""
        self.ids: Iterator[str] = (f"{number:014d}" for number in count(1)) if beside is None else beside.ids
        """The ids of Razorpay's entities after their prefix: always the same, so that a scenario can be replayed."""
        self._acknowledged: set[Webhook] = set()
        self._dropped: set[Webhook] = set()
        self._watch_logs = watch_logs
        self._is_watched = True
        self._before: list[tuple[int, str, Item | None]] = []
        """When each item changed and its value before, so that the table can be restored."""

        if not first_day:
            ends = {one.name: self.now - one.age_s for one in (*PASSES, DISPUTES)}
            ends |= {one.name: one.end(self.order_expiry_days * DAY_S, self.now) for one in EXPIRY_PASSES}
            for name, at in ends.items():
                mark = {"at": at, "span": 30 * DAY_S, "skip": 0}
                item = {attribute: {"N": str(value)} for attribute, value in mark.items()}
                self.table.items[f"sweep#{name}"] = {"pk": {"S": f"sweep#{name}"}, **item}

    def _on_change(self, pk: str, before: Item | None, after: Item | None) -> None:
        self.changes += 1
        if self._is_watched:
            self._before.append((self.now, pk, before))
            self.ledger.on_change(pk, before, after)

    def _on_event(self, detail_type: str, text: str) -> None:
        if self._is_watched:
            self.ledger.on_event(detail_type, text)

    @contextmanager
    def unwatched(self) -> Iterator[None]:
        """Actions inside are not part of the story, and writes and publishes are not checked."""
        self._is_watched = False
        try:
            yield
        finally:
            self._is_watched = True

    # --- the functions ---

    def invoke(
        self, function: str, event: Mapping[str, Any], *, what: str = "", instance: Instance | None = None
    ) -> Any:
        """Runs a function as Lambda does.

        Args:
            function: its name.
            event: its input.
            what: distinguishes its invocations, such as the name of a webhook's event.
            instance: the instance to run it on; the function's one warm instance unless given.

        Raises:
            Died: the instance died; the next request gets a new one.
        """
        if instance is None:
            instance = self.instances.setdefault(function, Instance())
        timeout_s = _timeout_s(function)
        with self.outside.during(f"{function} {what}".strip(), timeout_s), _on(instance, function):
            context = SimpleNamespace(get_remaining_time_in_millis=lambda: int(self.outside.left_s * 1000))
            try:
                return handler(function)(event, context)
            except Crash as crash:
                # A crash ends this instance and loses its state.
                self.instances = {name: kept for name, kept in self.instances.items() if kept is not instance}
                raise Died from crash
            except _Broken as broken:
                raise broken.error from None
            finally:
                assert not self.outside.refused, f"I21: {function} asked for {self.outside.refused}"

    def request(
        self, function: str, event: Mapping[str, Any], *, what: str = "", instance: Instance | None = None
    ) -> Answer:
        """Sends a request through the API.

        Raises:
            Died: as `invoke`.
        """
        returned = self.invoke(function, event, what=what, instance=instance)
        answer = Answer(returned["statusCode"], json.loads(returned["body"]))
        assert answer.status in DOCUMENTED, f"I15: {function} answered {answer.status}"
        assert answer.ok or answer.body["code"] in CODES
        assert answer.body.get("code") != "internal_error" or self.is_disturbed, "I15: an unexpected error"
        assert not any(word in returned["body"] for word in SECRET), "I16: a secret in an answer"
        self.answers[function, answer.status] += 1
        return answer

    def create_order(
        self,
        *,
        client: int = CLIENT,
        application: int = 12,
        amount: str = AMOUNT,
        instance: Instance | None = None,
    ) -> Answer:
        """The client accepts a proposal."""
        offer = {**events.OFFER, "client_id": client, "application_id": application, "amount": amount}
        event = {**_post(CREATE_ORDER, client), "body": json.dumps(offer)}
        answer = self.request("create_order", event, instance=instance)
        if answer.ok and self._is_watched:
            order_id = answer.body["order_id"]
            self.handed_out[order_id] = (client, application, amount)
            self.handed.append(
                HandedOut(
                    order_id=order_id,
                    client_id=client,
                    application_id=application,
                    fields=verdict.fields(amount),
                    at=self.now,
                )
            )
            self._check_one_open_order(client, application)
        return answer

    def verify(self, checkout: Mapping[str, str], *, client: int = CLIENT, instance: Instance | None = None) -> Answer:
        """The frontend calls verify with Checkout's fields."""
        order_id, payment_id = checkout["razorpay_order_id"], checkout["razorpay_payment_id"]
        genuine = signatures.of_checkout(development.RAZORPAY_KEY_SECRET, order_id, payment_id)
        is_genuine = checkout["razorpay_signature"] == genuine
        if is_genuine:
            # It may be stored even if the response is lost.
            self.doubtful.add((order_id, payment_id))
        event = {**_post(VERIFY, client), "body": json.dumps(dict(checkout))}
        answer = self.request("verify", event, instance=instance)
        if is_genuine and (answer.ok or answer.body["code"] in _TOLD_OF_MONEY):
            self.presented.add((order_id, payment_id))
        if answer.ok and self._is_watched:
            self.ledger.acknowledge(order_id, [Signed(payment=payment_id, at=self.now)])
        return answer

    def read(self, order_id: str, *, client: int = CLIENT) -> Answer:
        """The frontend asks for the payment's status."""
        return self.request("verify", events.reading(order_id, user_id=client), what="GET")

    def find(self, *, user_id: int = CLIENT, **query: str) -> Answer:
        """The frontend asks for a user's payments."""
        return self.request("verify", events.listing(user_id=user_id, **query), what="GET")

    def request_refund(
        self, order_id: str, key: str, amount: str | None = None, *, instance: Instance | None = None
    ) -> Answer:
        """A service asks for a refund, of what is left unless an amount is given."""
        event = events.from_service(order_id, {} if amount is None else {"amount": amount}, key=key)
        return self.request("refund", event, instance=instance)

    def deliver(self, webhook: Webhook, *, instance: Instance | None = None) -> Answer:
        """Razorpay delivers a webhook, for the first time or again."""
        event = {**_delivery(), "body": webhook.body.decode()}
        event["headers"] = {**event["headers"], "X-Razorpay-Signature": webhook.signature}
        answer = self.request("webhook", event, what=webhook.event, instance=instance)
        if answer.ok:
            self._acknowledge(webhook)
        return answer

    def reconcile(self, *, instance: Instance | None = None, **event: Any) -> dict[str, Any] | None:
        """Runs reconcile; None if the run failed as a whole.

        Raises:
            Died: as `invoke`.
        """
        return self.run_lane("reconcile", event, instance=instance)

    def run_lane(
        self, function: str, event: Mapping[str, Any], *, instance: Instance | None = None
    ) -> dict[str, Any] | None:
        """Runs a scheduled function; None if the run failed as a whole.

        Raises:
            Died: as `invoke`.
        """
        try:
            report: dict[str, Any] = self.invoke(function, event, what=str(event.get("lane", "")), instance=instance)
        except RunFailed as failure:
            # Lambda drops a failed run; the next is a minute away. Without a fault it must not fail.
            if not self.is_disturbed:
                raise AssertionError(f"{function} failed though nothing went wrong") from failure
            return None
        return report

    def operate(self, command: str, *, instance: Instance | None = None, **named: str) -> dict[str, Any] | None:
        """An operator invokes reconcile for one order; None if the run failed. A refusal is an answer.

        What was stored counts even without a response.

        Raises:
            Died: as `invoke`.
        """
        order_id, payment = named["order_id"], named.get("razorpay_payment_id")
        asked = named if command == "look" else {**named, "by": BY}
        report: dict[str, Any] | None = None
        is_refused = False
        try:
            report = self.invoke("reconcile", {command: asked}, what=command, instance=instance)
            is_refused = report is not None and "refused" in report
        except RunFailed:
            report = None
        finally:
            record = self.ledger.records.get(order_id)
            if command == "accept" and record is not None and payment is not None:
                is_done = _is_accepted(record, payment)
                assert is_done or is_refused or report is None, "accept answered, and accepted nothing"
                if is_done:
                    self.accepted.add((order_id, payment))
                if not is_refused:
                    self.acceptances.append(Acceptance(order_id=order_id, at=self.now, certain=is_done))
            elif command == "release" and payment is None and record is not None:
                assert record.released or is_refused or report is None, "release answered, and released nothing"
                if record.released:
                    self.released.add(order_id)
            elif command == "release" and payment is not None and record is not None:
                of_payment = [one for one in record.disputes.values() if one.payment_id == payment]
                if any(one.released for one in of_payment):
                    self.cleared.add(payment)
        return report

    # --- Razorpay ---

    def pay(self, order_id: str, **how: Any) -> dict[str, str] | None:
        """The customer pays in Checkout; None if the payment fails or Razorpay accepts none."""
        press = customer.paying({"order_id": order_id, **how})
        try:
            return customer.pay(self.razorpay.account, press, development.RAZORPAY_KEY_SECRET)
        except Refusal:
            return None

    def refund(self, payment_id: str, amount_minor: int | None = None) -> None:
        """The platform refunds everything left, or an amount; if Razorpay refuses, nothing happens."""
        account = self.razorpay.account
        document = {} if amount_minor is None else {"amount": amount_minor}
        payment = account.payment(payment_id)
        try:
            account.refund(payment, validation.refund(document, payment.currency), key=None, body=b"")
        except Refusal:
            return

    def dispute(self, payment_id: str, amount_minor: int | None = None) -> str:
        """The customer's bank demands captured money back."""
        account = self.razorpay.account
        return account.open_dispute(account.payment(payment_id), amount=amount_minor).id

    def move_dispute(self, dispute_id: str, to: DisputeMove) -> None:
        """The merchant submits evidence, the bank sends it back, or decides."""
        account = self.razorpay.account
        account.move_dispute(account.dispute_of_id(dispute_id), to)

    def foreign_order(self) -> str:
        """Another application on the same account creates an order."""
        request = validation.order({"amount": 100_00, "currency": "INR", "receipt": f"foreign-{identifiers.bare()}"})
        return self.razorpay.account.create_order(request).id

    @property
    def is_deprived(self) -> bool:
        """Whether Razorpay refuses our keys or fails for some orders."""
        keys = self.secrets[API_KEYS]["RAZORPAY_KEY_ID"]
        return keys != development.RAZORPAY_KEY_ID or bool(self.razorpay.account.faults.api)

    @property
    def is_disturbed(self) -> bool:
        """Whether something failed that was not the service's fault."""
        return bool(self.outside.played) or self.is_deprived

    @property
    def waiting(self) -> list[Webhook]:
        return [
            webhook
            for webhook in self.razorpay.told
            if webhook not in self._acknowledged and webhook not in self._dropped
        ]

    @property
    def acknowledged(self) -> list[Webhook]:
        """The webhooks that got a 2xx and are stored, the oldest first."""
        return [
            webhook for webhook in self.razorpay.told if webhook in self._acknowledged and webhook not in self.given_up
        ]

    def drop(self, webhook: Webhook) -> None:
        """This webhook never arrives (again)."""
        self._dropped.add(webhook)

    def rotate_webhook_secret(self, secret: str) -> None:
        """A new webhook secret: first on our side, next to the old one, then at Razorpay."""
        old = self.secrets[WEBHOOK]["RAZORPAY_WEBHOOK_SECRET"]
        self.secrets[WEBHOOK] = {"RAZORPAY_WEBHOOK_SECRET": secret, "RAZORPAY_WEBHOOK_SECRET_PREVIOUS": old}
        # Secrets are cached for a minute; afterwards every instance has read the new one.
        self.now += 61
        self.forget_instances()
        self.razorpay.webhook_secret = secret

    def forget_instances(self) -> None:
        """Restarts every function."""
        self.instances.clear()

    def _acknowledge(self, webhook: Webhook) -> None:
        """Razorpay got a 2xx and will not resend it, so its facts must be stored."""
        self._acknowledged.add(webhook)
        delivery = read_delivery(webhook.body)
        if delivery.order_id is None:
            return
        record = self.ledger.records.get(delivery.order_id)
        stored = record is not None and all(is_known(record, fact) for fact in delivery.facts)
        if not stored and self.now - webhook.created_at >= _RETRIED_FOR_S:
            self.given_up.append(webhook)
        else:
            self.ledger.acknowledge(delivery.order_id, delivery.facts)

    # --- the end ---

    def seen(self) -> Seen:
        """What is known outside but not to Razorpay."""
        return Seen(
            handed_out=tuple(self.handed),
            presented=frozenset(self.presented),
            doubtful=frozenset(self.doubtful),
            accepted=frozenset(payment for _, payment in self.accepted),
            acceptances=tuple(self.acceptances),
            forgotten=frozenset(self.forgotten),
            released=frozenset(self.released),
            cleared=frozenset(self.cleared),
            restored=tuple(self.restored),
            expired=verdict.expiries(self),
            until=self.now,
        )

    def restore(self, moment: int) -> None:
        """An operator restores the table to this time; every function restarts."""
        while self._before and self._before[-1][0] > moment:
            _, pk, before = self._before.pop()
            if before is None:
                del self.table.items[pk]
            else:
                self.table.items[pk] = before
        self.table.forget_earlier()
        self.changes += 1
        self.restored.append((self.now, moment))
        # Which proofs were presented in the lost time is unknown.
        self.presented.clear()
        self.ledger.restore(self.table.items)
        # An operator's decisions in that time are lost with the table.
        kept = self.ledger.records
        self.forgotten |= {one for _, one in self.accepted}
        self.accepted = {(key, one) for key, one in self.accepted if key in kept and _is_accepted(kept[key], one)}
        self.released = {key for key in self.released if key in kept and kept[key].released}
        self.acceptances = [replace(one, certain=one.certain and one.at <= moment) for one in self.acceptances]
        self.forget_instances()

    def lose_webhooks(self) -> None:
        """Drops all webhooks so far that are still undelivered."""
        for webhook in self.waiting:
            self.drop(webhook)

    def lose_keys(self) -> None:
        """The functions' key is no longer valid at Razorpay."""
        self.secrets[API_KEYS] = {**self.secrets[API_KEYS], "RAZORPAY_KEY_ID": "rzp_test_00000000000000"}
        self.forget_instances()

    def find_keys(self) -> None:
        """Restores the valid keys."""
        self.secrets[API_KEYS] = {**self.secrets[API_KEYS], "RAZORPAY_KEY_ID": development.RAZORPAY_KEY_ID}
        self.forget_instances()

    def let_time_pass(self, seconds: int, *, deaf: bool = False, brief: bool = False) -> None:
        """Time passes: schedules run, Razorpay returns uncaptured payments and reports that.

        Args:
            seconds: how long.
            deaf: whether webhooks in this time are lost.
            brief: whether the passes over Razorpay's lists are left out that would read nothing.
        """
        start = self.now
        idle: dict[Schedule, int] = {}
        last: dict[Schedule, int] = {}
        moments = [start + moment for moment in MOMENTS_S if moment < seconds]
        moments += range(start + MOMENTS_S[-1], start + seconds, MOMENTS_S[-1] - MOMENTS_S[-2])
        for moment in [*moments, start + seconds]:
            while (due := self._next_due()) is not None and self.now < due < moment:
                self._let_run(due, idle, last, deaf=deaf, brief=brief)
            self._let_run(moment, idle, last, deaf=deaf, brief=brief)

    def come_to_rest(self, *, deaf: bool = False) -> None:
        """Settles: no faults, valid keys, Razorpay delivers everything, and the schedules run for 16 days.

        Args:
            deaf: whether Razorpay's undelivered webhooks are lost.
        """
        self.outside.fate = good
        account = self.razorpay.account
        account.faults = replace(account.faults, api=())
        if self.secrets[API_KEYS]["RAZORPAY_KEY_ID"] != development.RAZORPAY_KEY_ID:
            self.find_keys()
        self._hear(deaf=deaf)
        self.let_time_pass(MOMENTS_S[-1], deaf=deaf, brief=True)

    def check(self, *, settings: Settings | None = None) -> None:
        """Checks everything that must be true after `come_to_rest`, by the oracle."""
        self.check_writing()
        found = verdict.complaints(self, settings)
        assert not found, "\n".join(found)

    def check_writing(self) -> None:
        """Checks that what was recorded is published, what was acknowledged is stored, and no secret leaked."""
        self.ledger.check_rest()
        self._check_secrecy()

    def _hear(self, *, deaf: bool) -> None:
        """Razorpay delivers its webhooks until they are acknowledged."""
        if deaf:
            self.lose_webhooks()
        for webhook in self.waiting:
            for _ in range(_MOST_DELIVERIES):
                if (answer := self.deliver(webhook)).ok:
                    break
            else:
                raise AssertionError(f"{webhook.event} was never acknowledged: {answer.body}")

    def _let_run(
        self, moment: int, idle: dict[Schedule, int], last: dict[Schedule, int], *, deaf: bool, brief: bool
    ) -> None:
        """One moment: runs the schedules, unless they can find nothing new."""
        self.now = max(self.now, moment)
        self.razorpay.account.pass_time()
        self._hear(deaf=deaf)
        due = self._next_due()
        for schedule in schedules():
            is_idle = idle.get(schedule) == self.changes and (due is None or due > self.now)
            if is_idle or self.now - last.get(schedule, 0) < schedule.every_s:
                continue
            last[schedule] = self.now
            before = len(self.outside.calls), self.changes
            lane = schedule.event.get("lane")
            if brief and lane == "sweep":
                if passes := self._passes_with_entries(due):
                    self.run(schedule, {**schedule.event, "passes": passes})
                continue
            if brief and lane == "expiry" and not self._has_old_orders():
                continue
            self.run(schedule)
            made = {call.operation for call in self.outside.calls[before[0] :]}
            if made <= _READS_WHAT_IS_DUE and self.changes == before[1]:
                # While nothing changes in the table or becomes due, it would find nothing again.
                idle[schedule] = self.changes

    def _passes_with_entries(self, due: int | None) -> list[str]:
        """The passes of the sweep that have an entry to read: created since their watermark, and old enough by now.

        Most of a campaign's time would go into reading nothing. All of them if something else is due.
        """
        account = self.razorpay.account
        listed: Mapping[str, Mapping[str, Payment | Refund | Dispute]] = {
            "payments": account.payments,
            "refunds": account.refunds,
            "disputes": account.disputes,
        }

        def has_entries(one: Pass) -> bool:
            mark = self.table.items.get(f"sweep#{one.name}")
            since = 0 if mark is None or one is DISPUTES else int(mark["at"]["N"]) - _LONGEST_LAG_S
            return any(since <= entry.created_at <= self.now - one.age_s for entry in listed[one.listed].values())

        is_due = due is not None and due <= self.now
        return [one.name for one in (DISPUTES, *PASSES) if is_due or has_entries(one)]

    def _has_old_orders(self) -> bool:
        ends = [one.end(self.order_expiry_days * DAY_S, self.now) for one in EXPIRY_PASSES]
        return any(order.created_at <= max(ends) for order in self.razorpay.account.orders.values())

    def run(self, schedule: Schedule, event: Any = None) -> None:
        """EventBridge runs a schedule, with another event if one is given; without a fault it must succeed."""
        played = len(self.outside.played)
        try:
            self.invoke(schedule.function, schedule.event if event is None else event)
        except RunFailed as failure:
            if len(self.outside.played) == played and not self.is_deprived:
                raise AssertionError(f"{schedule.function} failed though nothing went wrong") from failure

    def _next_due(self) -> int | None:
        """When the next item is due."""
        items = self.table.items.values()
        return min((int(item[name]["N"]) for item in items for name in due_attributes() if name in item), default=None)

    def record(self, order_id: str) -> Record:
        """The last stored record."""
        return self.ledger.records[order_id]

    def _check_one_open_order(self, client: int, application: int) -> None:
        open_now = [
            order_id
            for order_id, (owner, proposal, _) in self.handed_out.items()
            if (owner, proposal) == (client, application)
            # After a restore it may be missing for a while.
            and order_id in self.ledger.records
            and self.record(order_id).superseded_by is None
            and self.record(order_id).status in {"created", "failed", "authorized"}
        ]
        assert len(open_now) <= 1, f"I17: {len(open_now)} open orders for one application"

    def _check_secrecy(self) -> None:
        if not self._watch_logs:
            return
        kept = json.dumps(self.table.items) + json.dumps(self.bus.accepted)
        for name, text in (("the log", self.log.getvalue()), ("the table or on the bus", kept)):
            assert not any(word in text for word in SECRET), f"I16: a secret in {name}"


def _is_accepted(record: Record, payment: str) -> bool:
    return payment in record.attempts and record.attempts[payment].accepted


# --- replacements for the network -----------------------------------------------------------------------------------

_current: World
_here = threading.local()
_ENVIRONMENT: Final = {
    "STAGE": development.STAGE,
    "PAYMENTS_TABLE": "payments",
    "EVENT_BUS": "payments",
    "RAZORPAY_API_URL": RAZORPAY_URL,
}
_ENVIRONMENTS: Final = {
    function: frozenset(
        (_ENVIRONMENT | ({"SECRET_IDS": _SECRETS_OF[function]} if function in _SECRETS_OF else {})).items()
    )
    for function in functions()
}


@contextmanager
def installed() -> Iterator[Callable[[World], World]]:
    """Yields a function that installs a world around the functions; call it with each new world."""
    original = requests.Session.get_adapter

    def get_adapter(session: requests.Session, url: str) -> Any:
        return _current.razorpay.transport() if url.startswith(RAZORPAY_URL) else original(session, url)

    def install(world: World) -> World:
        global _current  # noqa: PLW0603 - the handlers find what they need through their modules, as on Lambda
        _current = world
        return world

    gateway.cache_clear()
    _forget_loggers(propagate=False)
    with (
        patch.object(aws, "now", lambda: _current.now),
        # Waiting for a call also advances this clock, so that time limits over several calls hold.
        patch.object(aws, "clock", lambda: _current.now - _current.outside.left_s),
        patch("payments.wiring.create_order.secrets.token_hex", lambda _: _current.installation),
        # One worker, because other threads would not be reproducible.
        patch.object(reconcile, "WORKERS", 1),
        patch.object(aws, "_environment", _environment),
        patch.object(aws, "_client", _make_client),
        patch.object(aws, "_secrets", _secrets),
        patch.object(create_order, "_payment_ids", _payment_ids),
        patch.object(requests.Session, "get_adapter", get_adapter),
        # Otherwise each of thousands of requests would search the environment for a proxy.
        patch.dict(os.environ, {"no_proxy": f"{os.environ.get('no_proxy', '')},{urlsplit(RAZORPAY_URL).hostname}"}),
        patch.object(identifiers, "bare", lambda: next(_current.ids)),
        redirect_stdout(cast("IO[str]", _Log())),
    ):
        try:
            yield install
        finally:
            gateway.cache_clear()
            _forget_loggers(propagate=True)


class _Log:
    """Standard output, which is Lambda's log."""

    def write(self, text: str) -> int:
        return _current.log.write(text)

    def flush(self) -> None:
        """Nothing is buffered."""


@contextmanager
def _on(instance: Instance, function: str) -> Iterator[None]:
    """Runs the block as this function on this instance."""
    _here.instance, _here.function = instance, function
    stdout = sys.stdout
    try:
        yield
    finally:
        # Two functions in turns would overwrite each other's state.
        sys.stdout = stdout
        del _here.instance, _here.function


# The wiring's own function without its cache, since every instance has its own.
_make_secrets: Final = cast("Callable[[], Secrets]", aws._secrets.__wrapped__)  # noqa: SLF001


def _environment() -> frozenset[tuple[str, str]]:
    environment = _ENVIRONMENTS[_here.function]
    if _current.accept_offers is not None:
        environment |= {("ACCEPT_OFFERS", str(_current.accept_offers))}
    if _current.order_expiry_days != EXPIRY_DAYS:
        environment |= {("ORDER_EXPIRY_DAYS", str(_current.order_expiry_days))}
    return environment


def _make_client(service: str, *, attempts: int, connect_timeout: float, read_timeout: float) -> Any:  # noqa: ARG001 - as the wiring has it
    # Between retries botocore waits for up to a second.
    patience_s = attempts * read_timeout + (attempts - 1)
    match service:
        case "dynamodb":
            return _current.table.client(patience_s, repeats=attempts > 1)
        case "events":
            return _current.bus.client(patience_s)
        case "secretsmanager":
            return SecretsClient(_current.secrets, _current.outside, patience_s)
    raise AssertionError(f"there is no {service} here")


def _secrets() -> Secrets:
    instance: Instance = _here.instance
    if instance.secrets is None:
        instance.secrets = _make_secrets()
    return instance.secrets


def _payment_ids(table: str) -> create_order.PaymentIds:
    instance: Instance = _here.instance
    if table not in instance.payment_ids:
        instance.payment_ids[table] = create_order.PaymentIds(aws.table(table, attempts=2))
    return instance.payment_ids[table]


def _forget_loggers(*, propagate: bool) -> None:
    """Powertools keeps the standard output of a function's first logger.

    Args:
        propagate: whether their lines also reach the root logger and so pytest, which would keep every line of
        thousands of worlds.
    """
    kept_logger.cache_clear()
    for name in functions():
        logger = logging.getLogger(name)
        logger.propagate = propagate
        for present in list(logger.handlers):
            logger.removeHandler(present)
        for attribute in ("init", "powertools_handler"):
            if hasattr(logger, attribute):
                delattr(logger, attribute)


# --- requests -------------------------------------------------------------------------------------------------------


@cache
def _post(route: str, user: int) -> dict[str, Any]:
    return events.from_frontend(route, {}, user_id=user)


@cache
def _delivery() -> dict[str, Any]:
    return events.from_razorpay(b"{}")


@cache
def _timeout_s(function: str) -> float:
    timeout: float = functions()[function]["Timeout"]
    return timeout
