"""The four functions with everything around them in memory, and a clock that can be turned.

The handlers, the wiring, the adapters and Razorpay's SDK are the real ones; only what lies beyond the network is not:
DynamoDB, EventBridge, Secrets Manager (`dynamodb`, `elsewhere`) and the stand-in for Razorpay, called without a socket.
Every call goes through `Outside`, which can let it go wrong, and every write and publish through `Ledger`, which checks
it.

    with installed() as install:
        world = install(World())
        order_id = world.create_order().body["order_id"]
"""

import json
import logging
import sys
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from functools import cache
from io import StringIO
from itertools import count
from types import SimpleNamespace
from typing import IO, Any, Final, cast
from unittest.mock import patch

import requests

from payments.adapters.http import PROBLEMS
from payments.adapters.log import logger as kept_logger
from payments.adapters.secrets import Secrets
from payments.core.model import Record, Signed
from payments.core.webhooks import read_delivery
from payments.wiring import aws, create_order
from payments.wiring.boundary import RunFailed
from payments.wiring.gateway import gateway
from sandbox import development, events
from sandbox.gateway import checkout as customer
from sandbox.gateway import identifiers, signatures, validation
from sandbox.gateway.refusals import Refusal
from tests.core.story import is_known
from tests.fakes import Crash
from tests.faults.dynamodb import MemoryDynamo, plain
from tests.faults.elsewhere import RAZORPAY_URL, MemoryBus, Razorpay, SecretsClient, Webhook
from tests.faults.ledger import Ledger, OrderBook, PaymentBook
from tests.faults.outside import Outside, good
from tests.handlers.service import CREATE_ORDER, VERIFY, handler
from tests.handlers.template import resources

START: Final = events.ORDERED_AT
CLIENT: Final = events.CLIENT
AMOUNT: Final = "499.50"
API_KEYS, WEBHOOK, JWT = "secret-api-keys", "secret-webhook", "secret-jwt"
_SECRETS_OF: Final = {
    "create_order": f"{API_KEYS},{JWT}",
    "verify": f"{API_KEYS},{JWT}",
    "webhook": WEBHOOK,
    "reconcile": API_KEYS,
}
_RESOURCES: Final = {
    "create_order": "CreateOrderFunction",
    "verify": "VerifyFunction",
    "webhook": "WebhookFunction",
    "reconcile": "ReconcileFunction",
}
DOCUMENTED: Final = frozenset({200, 201, *(problem.status.value for problem in PROBLEMS.values())})
CODES: Final = frozenset(problem.code for problem in PROBLEMS.values())
SECRET: Final = (
    development.RAZORPAY_KEY_SECRET,
    development.RAZORPAY_WEBHOOK_SECRET,
    development.RAZORPAY_WEBHOOK_SECRET_PREVIOUS,
    development.JWT_SECRET,
    *events.PERSONAL,
    "Bearer ",
)
"""What may be in no log, answer, table or event."""
_OK: Final = range(200, 300)
# An unpaid order is looked at five times, and each look may leave one more behind.
_MOST_RUNS: Final = 60
_MOST_DELIVERIES: Final = 16
_RETRIED_FOR_S: Final = 12 * 3600
_REFUNDS: Final = frozenset({"refund.created", "refund.processed", "refund.failed"})


class Died(Exception):
    """The function instance was gone before it could answer."""


class _Broken(BaseException):
    """An invariant was broken. No Exception, which the functions would answer with 500 as if it were a fault."""

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
    """What one instance of a function keeps between requests; a dead one is never used again."""

    payment_ids: dict[str, create_order.PaymentIds] = field(default_factory=dict)
    secrets: Secrets | None = None


class World:
    """One platform: a table, a bus, an account at Razorpay, and the functions between them.

    Attributes:
        handed_out: every order id that a client was given, with the client, the application and the amount.
        signed: the Razorpay payment ids of which a genuine checkout signature was presented.
        waiting: the webhooks that Razorpay has not seen acknowledged yet, the oldest first.
    """

    def __init__(self, *, watch_logs: bool = True) -> None:
        self.now = START
        self.outside = Outside()
        self.ledger = Ledger()
        self.table = MemoryDynamo(self.outside, on_change=_unstoppable(self.ledger.on_change))
        self.bus = MemoryBus(self.outside, on_event=_unstoppable(self.ledger.on_event))
        self.razorpay = Razorpay(self.outside, lambda: self.now)
        self.secrets: dict[str, dict[str, str]] = {
            API_KEYS: {
                "RAZORPAY_KEY_ID": development.RAZORPAY_KEY_ID,
                "RAZORPAY_KEY_SECRET": development.RAZORPAY_KEY_SECRET,
            },
            WEBHOOK: {"RAZORPAY_WEBHOOK_SECRET": development.RAZORPAY_WEBHOOK_SECRET},
            JWT: {"JWT_SECRET": development.JWT_SECRET},
        }
        self.handed_out: dict[str, tuple[int, int, str]] = {}
        self.signed: set[str] = set()
        self.instances: dict[str, Instance] = {}
        self.log = StringIO()
        self.answers: Counter[tuple[str, int]] = Counter()
        self.given_up: list[Webhook] = []
        """Acknowledged unstored, since they were too old to be sent for again: a person was told."""
        self.ids = (f"{number:014d}" for number in count(1))
        """Of whatever is made at Razorpay, after its prefix: always the same, so that a scenario can be replayed."""
        self._acknowledged: set[Webhook] = set()
        self._dropped: set[Webhook] = set()
        self._watch_logs = watch_logs

    # --- the functions ---

    def invoke(
        self, function: str, event: Mapping[str, Any], *, what: str = "", instance: Instance | None = None
    ) -> Any:
        """Runs a function as Lambda does.

        Args:
            function: which.
            event: what it gets.
            what: told apart from other invocations of it, such as the name of a webhook's event.
            instance: the instance to run it on; the function's one warm instance unless given.

        Raises:
            Died: the instance is gone; the next request gets a new one.
        """
        if instance is None:
            instance = self.instances.setdefault(function, Instance())
        timeout_s = _timeout_s(function)
        with self.outside.during(f"{function} {what}".strip(), timeout_s), _on(instance, function):
            context = SimpleNamespace(get_remaining_time_in_millis=lambda: int(self.outside.left_s * 1000))
            try:
                return handler(function)(event, context)
            except Crash as crash:
                # A crash is the end of this instance, and of all that it knew.
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
        assert answer.body.get("code") != "internal_error" or self.outside.played, "I15: an unexpected error"
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
        if answer.ok:
            self.handed_out[answer.body["order_id"]] = (client, application, amount)
            self._check_one_open_order(client, application)
        return answer

    def verify(self, checkout: Mapping[str, str], *, client: int = CLIENT, instance: Instance | None = None) -> Answer:
        """The frontend hands over what Checkout gave it."""
        order_id, payment_id = checkout["razorpay_order_id"], checkout["razorpay_payment_id"]
        genuine = signatures.of_checkout(development.RAZORPAY_KEY_SECRET, order_id, payment_id)
        if checkout["razorpay_signature"] == genuine:
            # It may be stored even if the answer is lost.
            self.signed.add(payment_id)
        event = {**_post(VERIFY, client), "body": json.dumps(dict(checkout))}
        answer = self.request("verify", event, instance=instance)
        if answer.ok:
            self.ledger.acknowledge(order_id, [Signed(payment=payment_id)])
        return answer

    def read(self, order_id: str, *, client: int = CLIENT) -> Answer:
        """The frontend asks how the payment stands."""
        return self.request("verify", events.reading(order_id, user_id=client), what="GET")

    def deliver(self, webhook: Webhook, *, instance: Instance | None = None) -> Answer:
        """Razorpay delivers a webhook, for the first time or again."""
        event = {**_delivery(), "body": webhook.body.decode()}
        event["headers"] = {**event["headers"], "X-Razorpay-Signature": webhook.signature}
        answer = self.request("webhook", event, what=webhook.event, instance=instance)
        if answer.ok:
            self._acknowledge(webhook)
        return answer

    def reconcile(self, *, instance: Instance | None = None, **schedule: Any) -> dict[str, Any] | None:
        """The schedule runs reconcile; None when the run failed as a whole.

        Raises:
            Died: as `invoke`.
        """
        try:
            report: dict[str, Any] = self.invoke("reconcile", schedule, instance=instance)
        except RunFailed as failure:
            # Lambda sets a failed run aside; the next is a minute away. Without a fault it must not fail.
            if not self.outside.played:
                raise AssertionError("reconcile failed though nothing went wrong") from failure
            return None
        return report

    # --- Razorpay ---

    def pay(self, order_id: str, **how: str) -> dict[str, str] | None:
        """The customer pays in Checkout; None when the payment fails, or Razorpay takes none."""
        press = customer.paying({"order_id": order_id, **how})
        try:
            return customer.pay(self.razorpay.account, press, development.RAZORPAY_KEY_SECRET)
        except Refusal:
            return None

    def refund(self, payment_id: str, amount_minor: int | None = None) -> None:
        """The platform pays back, all that is left unless an amount is given; what Razorpay refuses is not done."""
        account = self.razorpay.account
        document = {} if amount_minor is None else {"amount": amount_minor}
        payment = account.payment(payment_id)
        try:
            account.refund(payment, validation.refund(document, payment.currency), key=None, body=b"")
        except Refusal:
            return

    def foreign_order(self) -> str:
        """Another application on the same account makes an order."""
        request = validation.order({"amount": 100_00, "currency": "INR", "receipt": f"foreign-{identifiers.bare()}"})
        return self.razorpay.account.create_order(request).id

    @property
    def waiting(self) -> list[Webhook]:
        return [
            webhook
            for webhook in self.razorpay.told
            if webhook not in self._acknowledged and webhook not in self._dropped
        ]

    @property
    def acknowledged(self) -> list[Webhook]:
        """What Razorpay was given a 2xx for and what is stored, the oldest first."""
        return [
            webhook for webhook in self.razorpay.told if webhook in self._acknowledged and webhook not in self.given_up
        ]

    def drop(self, webhook: Webhook) -> None:
        """This webhook never comes (again)."""
        self._dropped.add(webhook)

    def rotate_webhook_secret(self, secret: str) -> None:
        """A new webhook secret: first at our end, beside the old one, then at Razorpay's."""
        old = self.secrets[WEBHOOK]["RAZORPAY_WEBHOOK_SECRET"]
        self.secrets[WEBHOOK] = {"RAZORPAY_WEBHOOK_SECRET": secret, "RAZORPAY_WEBHOOK_SECRET_PREVIOUS": old}
        # The cache holds a secret for a minute; afterwards every instance has read the new one.
        self.now += 61
        self.forget_instances()
        self.razorpay.webhook_secret = secret

    def forget_instances(self) -> None:
        """Every function starts anew."""
        self.instances.clear()

    def _acknowledge(self, webhook: Webhook) -> None:
        """Razorpay got a 2xx: it will not send it again, so its facts must be stored."""
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

    def come_to_rest(self) -> None:
        """No more faults: Razorpay delivers what it has, and reconcile runs until nothing is due."""
        self.outside.fate = good
        for webhook in self.waiting:
            answer = self.deliver(webhook)
            for _ in range(_MOST_DELIVERIES):
                if answer.ok:
                    break
                answer = self.deliver(webhook)
            assert answer.ok, f"{webhook.event} was never acknowledged: {answer.body}"
        for _ in range(_MOST_RUNS):
            due = [int(item["attention_at"]["N"]) for item in self.table.items.values() if "attention_at" in item]
            if not due:
                break
            self.now = max(self.now, min(due))
            report = self.reconcile()
            assert report is not None
            assert report["failed"] == 0, report
        else:
            raise AssertionError("reconcile never came to rest")

    def check(self, *, beyond: Collection[str] = ()) -> None:
        """Everything that must be true once `come_to_rest` is done.

        Args:
            beyond: orders of which the service cannot know what Razorpay's books say, as designed.
        """
        account = self.razorpay.account
        books: dict[str, tuple[OrderBook, Sequence[PaymentBook]]] = {
            order.id: (order, account.payments_of(order)) for order in account.orders.values()
        }
        # What Razorpay never says, or says only to be given up, cannot be known of an order that is already confirmed.
        unheard = {webhook.order_id for webhook in (*self._dropped, *self.given_up) if webhook.event in _REFUNDS}
        unheard.update(beyond)
        self.ledger.check_rest({key: book for key, book in books.items() if key not in unheard}, self.signed)
        assert self.handed_out.keys() <= self.ledger.records.keys(), "an order was handed out that is not stored"
        self._check_pointers()
        self._check_secrecy()

    def record(self, order_id: str) -> Record:
        """The record as it was last stored."""
        return self.ledger.records[order_id]

    def _check_pointers(self) -> None:
        pointed = [plain(item)["order_id"] for pk, item in self.table.items.items() if pk.startswith("application#")]
        assert len(pointed) == len(set(pointed))
        assert set(pointed) <= self.ledger.records.keys()

    def _check_one_open_order(self, client: int, application: int) -> None:
        open_now = [
            order_id
            for order_id, (owner, proposal, _) in self.handed_out.items()
            if (owner, proposal) == (client, application)
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


# --- what takes the place of the network ----------------------------------------------------------------------------

_current: World
_here = threading.local()
_ENVIRONMENT: Final = {
    "STAGE": development.STAGE,
    "PAYMENTS_TABLE": "payments",
    "EVENT_BUS": "payments",
    "RAZORPAY_API_URL": RAZORPAY_URL,
}
_ENVIRONMENTS: Final = {
    function: frozenset((_ENVIRONMENT | {"SECRET_IDS": secret_ids}).items())
    for function, secret_ids in _SECRETS_OF.items()
}


@contextmanager
def installed() -> Iterator[Callable[[World], World]]:
    """Puts the functions into a world; call what it gives with each new one."""
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
        patch.object(aws, "_environment", _environment),
        patch.object(aws, "_client", _make_client),
        patch.object(aws, "_secrets", _secrets),
        patch.object(create_order, "_payment_ids", _payment_ids),
        patch.object(requests.Session, "get_adapter", get_adapter),
        patch.object(identifiers, "bare", lambda: next(_current.ids)),
        redirect_stdout(cast("IO[str]", _Log())),
    ):
        try:
            yield install
        finally:
            gateway.cache_clear()
            _forget_loggers(propagate=True)


class _Log:
    """Standard output, which Lambda keeps as the log."""

    def write(self, text: str) -> int:
        return _current.log.write(text)

    def flush(self) -> None:
        """Nothing is held back."""


@contextmanager
def _on(instance: Instance, function: str) -> Iterator[None]:
    """What runs inside is this function on this instance."""
    _here.instance, _here.function = instance, function
    stdout = sys.stdout
    try:
        yield
    finally:
        # Two functions in turns would restore each other's.
        sys.stdout = stdout
        del _here.instance, _here.function


# The wiring's own, without its cache: every instance has one.
_make_secrets: Final = cast("Callable[[], Secrets]", aws._secrets.__wrapped__)  # noqa: SLF001


def _environment() -> frozenset[tuple[str, str]]:
    return _ENVIRONMENTS[_here.function]


def _make_client(service: str, *, attempts: int, connect_timeout: float, read_timeout: float) -> Any:  # noqa: ARG001 - as the wiring has it
    # Between its tries botocore waits for up to a second.
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
    """Powertools keeps the standard output that a function's first logger found.

    Args:
        propagate: whether what they log goes to whoever listens to all loggers too, such as pytest, which would keep
            every line of thousands of worlds.
    """
    kept_logger.cache_clear()
    for name in _RESOURCES:
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
    timeout: float = resources()[_RESOURCES[function]]["Properties"]["Timeout"]
    return timeout
