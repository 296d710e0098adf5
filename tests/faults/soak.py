"""The soak: thousands of payments on the deployed template, and the books of all sides, which must agree to the paisa.

Sixteen threads play customers: they order (some click twice, some change the amount), pay at the stand-in for Razorpay
(some fail first, some give up), come back to verify or do not, and some get money back. Meanwhile a tenth of the calls
to Razorpay's API fails or loses its answer, and its webhooks come twice, get lost on the way, come again though they
were accepted, or, for some orders, never come at all: those are reconcile's. When everything is quiet, the stand-in's
ledger, the payments table, the bus and the inboxes of the Job, Application and Notification services are compared.

`python -m tests.faults --only soak` runs it whole; with `--share 0.01` fifty payments of it.
"""

import json
import random
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock, local
from typing import Any, Final

import requests
from boto3.dynamodb.types import TypeDeserializer
from botocore.exceptions import ClientError

from payments.adapters.table import to_record
from payments.core.model import Record
from sandbox.cloud.service import LocalService
from sandbox.development import RAZORPAY_KEY_ID, RAZORPAY_KEY_SECRET, token
from tests.faults.books import (
    SUBSCRIPTIONS,
    Account,
    Books,
    Findings,
    Published,
    accounts_of,
    compare,
    money_table,
    unsettled,
)
from tests.faults.campaigns import Budget, Progress, Report
from tests.faults.onlooker import Onlooker
from tests.oracle.books import HandedOut

PAYMENTS: Final = 5_000
THREADS: Final = 16
FREELANCER: Final = 77

# How many payments a thread is worth: each keeps several function instances busy, and each of those must start once.
_PAYMENTS_PER_THREAD: Final = 15
_INSTANCES: Final = 6
_RUNS: Final = 20
_API_FUNCTIONS: Final = ("CreateOrder", "Verify", "Webhook")
# Between two short stretches without webhooks.
_STRETCH: Final = 250
_WITHOUT_WEBHOOKS: Final = 0.04

# Of the calls to Razorpay's API a tenth goes wrong, …
_API_FAULTS: Final = (
    ("429_burst", None, 0.02),
    ("429_cool_down", None, 0.015),
    ("500", None, 0.02),
    ("503", None, 0.015),
    ("reset", None, 0.01),
    ("answer_lost", "POST", 0.02),
)
# … of the deliveries of its webhooks as well, and of the accepted ones three in ten come again all the same.
_LOST_DELIVERIES: Final = 0.06
_IGNORED_ANSWERS: Final = 0.04
_DUPLICATES: Final = 0.3

_TIMEOUT_S: Final = 30
_TRIES: Final = 40
_LANES: Final[Sequence[tuple[str, Mapping[str, Any]]]] = (
    ("Outbox", {}),
    ("Reconcile", {"lane": "watch"}),
    ("Reconcile", {"lane": "sweep"}),
)
"""What template.yaml schedules: the function, and its input."""
_PAUSE_S: Final = 0.25
_POLL_S: Final = 1.0
_CONFIRMED_S: Final = 60
"""How long a customer waits to see the payment confirmed, so that no more payments are begun than the machine can keep
up with. Nothing is wrong if it takes longer: deliveries get lost."""
_LONGEST_PAUSE_S: Final = 2.0
_SLOWEST_PAYMENT_S: Final = 2.0
"""Of all of them on average, on a machine that others use as well; more is a standstill."""
_START_S: Final = 120
"""For the first instance of every function."""
_QUIET_S: Final = 600
"""How long everything may take to come to rest after the last payment: an event whose deliveries are lost again and
again comes after minutes, and a message that a subscriber could not handle after one."""
_MOST_RECONCILE_RUNS: Final = 200
_SHOWN_BY_API: Final = 10
"""Of so many payments one is read through the API as well."""

_plain: Final = TypeDeserializer().deserialize


# --- what the customers do ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Case:
    """One customer's doings, drawn from the seed and the customer's number alone."""

    client: int
    amount_minor: int
    amount_before: int | None
    """What the offer was when the customer ordered first; None for nearly all, who order once."""
    clicks_twice: bool
    asks_again: bool
    failures: int
    method: str
    gives_up: bool
    forges: bool
    """Sends a signature of their own making first."""
    verifications: int
    refunds_minor: tuple[int, ...]


def case(seed: int, number: int, client: int) -> Case:
    """Customer `number` of a seed."""
    draw = random.Random(f"{seed}/{number}")  # noqa: S311 - to be played again, no secret
    amount = draw.randrange(100, 100_000_00)
    failures = draw.choices((0, 1, 2), (80, 15, 5))[0]
    part = draw.randrange(1, amount)
    return Case(
        client=client,
        amount_minor=amount,
        amount_before=amount + draw.randrange(1, 1_000_00) if draw.random() < 0.03 else None,
        clicks_twice=draw.random() < 0.1,
        asks_again=draw.random() < 0.1,
        failures=failures,
        method=draw.choice(("card", "upi", "netbanking")),
        gives_up=draw.random() < 0.04,
        forges=draw.random() < 0.03,
        verifications=draw.choices((0, 1, 2), (25, 65, 10))[0],
        refunds_minor=draw.choices(((), (part,), (amount,), (part, amount - part)), (80, 8, 8, 4))[0],
    )


class Tally:
    """What was done, counted from all threads."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._lock = Lock()

    def add(self, what: str, amount: int = 1) -> None:
        with self._lock:
            self._counts[what] += amount

    def __getitem__(self, what: str) -> int:
        return self._counts[what]

    def of(self, prefix: str) -> dict[str, int]:
        """Everything that was counted under `prefix: …`, by name."""
        return {name: count for name, count in sorted(self._counts.items()) if name.startswith(f"{prefix}: ")}


class Customers:
    """Plays the cases: frontend, Checkout, and the merchant who pays back."""

    def __init__(self, service: LocalService, tally: Tally) -> None:
        self._api: str = service.endpoints["api"]
        self._razorpay: str = service.endpoints["razorpay"]
        self._tally = tally
        self._here = local()
        self.handed_out: list[HandedOut] = []

    def play(self, one: Case, *, told: bool) -> str:
        """The whole case; the id of the order that was to be paid.

        Args:
            one: what to do.
            told: whether Razorpay tells the service of it, so that waiting for the confirmation makes sense.
        """
        if one.amount_before is not None:
            self._order(one, one.amount_before)
            self._tally.add("changed amounts")
        order_id = self._click_twice(one) if one.clicks_twice else self._order(one, one.amount_minor)
        if one.asks_again:
            assert self._order(one, one.amount_minor) == order_id, "asking again made a second order"
            self._tally.add("repeated orders")
        for _ in range(one.failures):
            refused = self._checkout(order_id, one.method, fails=True)
            assert refused.status_code == requests.codes.bad_request, refused.text
            self._tally.add("failed attempts")
        if one.gives_up:
            self._tally.add("given up")
            return order_id
        paid = self._checkout(order_id, one.method, fails=False)
        assert paid.status_code == requests.codes.ok, paid.text
        self._tally.add("paid")
        self._verify(one, paid.json())
        if told:
            self._await_confirmation(one, order_id)
        for amount_minor in one.refunds_minor:
            self._refund(paid.json()["razorpay_payment_id"], amount_minor)
        return order_id

    def _await_confirmation(self, one: Case, order_id: str) -> None:
        deadline, pause_s = time.monotonic() + _CONFIRMED_S, _PAUSE_S
        while not self.shown(one, order_id)["confirmed"] and time.monotonic() < deadline:
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    def shown(self, one: Case, order_id: str) -> dict[str, Any]:
        """The payment as the API shows it to its client."""
        answer = self._insist("GET", f"{order_id}/", one.client)
        assert answer.status_code == requests.codes.ok, f"GET answered {answer.status_code}: {answer.text}"
        self._tally.add("reads")
        payment: dict[str, Any] = answer.json()
        return payment

    def _order(self, one: Case, amount_minor: int) -> str:
        offer = {
            "job_id": one.client,
            "application_id": one.client,
            "client_id": one.client,
            "freelancer_id": FREELANCER,
            "amount": f"{amount_minor // 100}.{amount_minor % 100:02d}",
        }
        answer = self._insist("POST", "create-order/", one.client, offer)
        assert answer.status_code in {200, 201}, f"create-order answered {answer.status_code}: {answer.text}"
        assert answer.json()["amount"] == amount_minor, answer.text
        self._tally.add("create-order calls")
        order_id: str = answer.json()["order_id"]
        self.handed_out.append(
            HandedOut(
                order_id=order_id,
                client_id=one.client,
                application_id=one.client,
                fields=(amount_minor,),
                at=int(time.time()),
            )
        )
        return order_id

    def _click_twice(self, one: Case) -> str:
        with ThreadPoolExecutor(2) as pool:
            first, second = pool.map(lambda _: self._order(one, one.amount_minor), range(2))
        assert first == second, "two clicks made two orders"
        self._tally.add("double clicks")
        return first

    def _checkout(self, order_id: str, method: str, *, fails: bool) -> requests.Response:
        press = {"order_id": order_id, "method": method, "outcome": "failure" if fails else "success"}
        # A connection of its own: a kept one may be closed under it, and paying must not be repeated blindly.
        return requests.post(f"{self._razorpay}/_control/pay", json=press, timeout=_TIMEOUT_S)

    def _verify(self, one: Case, checkout: Mapping[str, str]) -> None:
        if one.forges:
            forged = self._insist("POST", "verify/", one.client, {**checkout, "razorpay_signature": "0" * 64})
            assert forged.status_code == requests.codes.bad_request, forged.text
            self._tally.add("forged verify calls")
        for _ in range(one.verifications):
            answer = self._insist("POST", "verify/", one.client, checkout)
            assert answer.status_code == requests.codes.ok, f"verify answered {answer.status_code}: {answer.text}"
            self._tally.add("verify calls")
        if not one.verifications:
            self._tally.add("never verified")

    def _refund(self, payment_id: str, amount_minor: int) -> None:
        """Insists as well; the key makes it one refund."""
        key = uuid.uuid4().hex
        for _ in range(_TRIES):
            try:
                answer = requests.post(
                    f"{self._razorpay}/v1/payments/{payment_id}/refund",
                    json={"amount": amount_minor},
                    headers={"X-Refund-Idempotency": key},
                    auth=(RAZORPAY_KEY_ID, RAZORPAY_KEY_SECRET),
                    timeout=_TIMEOUT_S,
                )
            except requests.ConnectionError:
                self._tally.add("again: no answer to a refund")
                continue
            if answer.ok:
                self._tally.add("refunds")
                return
            assert answer.status_code in {429, 500, 503}, answer.text
            self._tally.add(f"again: {answer.status_code} to a refund")
        raise AssertionError(f"a refund was refused {_TRIES} times")

    def _insist(self, method: str, path: str, client: int, document: object = None) -> requests.Response:
        """Asks the service again for as long as it says that asking again may help: every request of it is safe to."""
        headers = {"Authorization": f"Bearer {token(client)}"}
        said = "nothing"
        for _ in range(_TRIES):
            try:
                answer = self._session.request(
                    method, f"{self._api}/api/payments/{path}", json=document, headers=headers, timeout=_TIMEOUT_S
                )
            except requests.ConnectionError:
                said = "no answer"
            else:
                # 500 and 504 are API Gateway's for an instance that did not start in time on a busy machine; what
                # functions answer 500 by themselves is checked in their log.
                if answer.status_code not in {429, 500, 503, 504}:
                    return answer
                said = f"{answer.status_code} {answer.json().get('code')}"
            self._tally.add(f"again: {said} from the service")
            time.sleep(_PAUSE_S)
        raise AssertionError(f"{method} {path} was refused {_TRIES} times, at last with {said}")

    @property
    def _session(self) -> requests.Session:
        """One for each thread: requests' are not for several."""
        if not hasattr(self._here, "session"):
            self._here.session = requests.Session()
        session: requests.Session = self._here.session
        return session


# --- the soak -------------------------------------------------------------------------------------------------------


def run(budget: Budget, progress: Progress) -> Report:
    """Starts the whole service, soaks it, and stops it."""
    with tempfile.TemporaryDirectory(prefix="soak-") as folder, LocalService.start(Path(folder)) as service:
        return soak(service, max(THREADS, round(PAYMENTS * budget.share)), budget.seed, progress)


def soak(service: LocalService, payments: int, seed: int, progress: Progress) -> Report:
    """So many payments on a running service, and the comparison of all books.

    Raises:
        AssertionError: the books differ, an answer was none that the API documents, or something never came to rest;
            the message says which order. The seed plays the same customers and faults again, in another order.
    """
    with Onlooker(service) as onlooker:
        one = Soak(service, onlooker, payments, seed, progress)
        with one.faults():
            one.pay_all()
            one.come_to_rest()
        return one.report()


class Soak:
    """One run: the customers' doings, what goes wrong meanwhile, and the books."""

    def __init__(self, service: LocalService, onlooker: Onlooker, payments: int, seed: int, progress: Progress) -> None:
        self._service = service
        self._onlooker = onlooker
        self._payments = payments
        self._seed = seed
        self._progress = progress
        self._razorpay: str = service.endpoints["razorpay"]
        self._tally = Tally()
        self._customers = Customers(service, self._tally)
        self._threads = max(2, min(THREADS, payments // _PAYMENTS_PER_THREAD))
        # Clients, and so applications, that no other test on the same service has.
        first = random.SystemRandom().randrange(10**9, 10**15)
        self._clients = range(first, first + payments)
        self._orders: dict[str, Case] = {}
        self._unheard: set[str] = set()
        """Orders of which no webhook ever came."""
        self._settled = 0
        self._dead_letters = self._depth(self._dead_letter_queues())
        self._log_begins = service.cloud.function_log.stat().st_size

    # --- what goes wrong ---

    @contextmanager
    def faults(self) -> Iterator[None]:
        """The stand-in misbehaves; in the end it is told not to, and how often it did is kept."""
        chances = {
            "duplicates": _DUPLICATES,
            "lost_deliveries": _LOST_DELIVERIES,
            "ignored_answers": _IGNORED_ANSWERS,
        }
        api = [
            {"fault": name, "share": share, "seed": self._seed + number} | ({} if route is None else {"route": route})
            for number, (name, route, share) in enumerate(_API_FAULTS)
        ]
        # A seed each: with one in common, the deliveries whose answer is to be ignored would all be lost before.
        switches = {
            name: {"share": share, "seed": self._seed + 100 + number}
            for number, (name, share) in enumerate(chances.items())
        }
        self._control("PUT", "faults", switches | {"api": api})
        try:
            yield
        finally:
            self._limit_instances(None)
            played = self._control("GET", "faults")
            off = dict.fromkeys(chances) | {"api": [], "webhooks": "send"}
            self._control("PUT", "faults", off)
            for name in chances:
                self._tally.add(f"played: {name.replace('_', ' ')}", played[name]["played"])
            for rule in played["api"]:
                self._tally.add(f"played: API, {rule['fault'].replace('_', ' ')}", rule["played"])

    @contextmanager
    def _without_webhooks(self) -> Iterator[None]:
        """Whatever happens inside, Razorpay never tells of it."""
        self._control("PUT", "faults", {"webhooks": "hold"})
        try:
            yield
        finally:
            held = [event["event_id"] for event in self._events(state="held")]
            self._control("PUT", "faults", {"webhooks": "send"})
            self._control("POST", "events/release", {"event_ids": [], "drop": held})
            self._tally.add("webhooks never sent", len(held))

    def _limit_instances(self, each: int | None) -> None:
        """So many instances of each of the API's functions at a time, or as many as are asked for.

        What is beyond is throttled and comes again, as on a small account. Without a limit it is the number of webhooks
        under way that decides how many processes this machine runs: Razorpay waits for none of them, and on two
        processors a crowd of starting instances is so slow that Lambda ends each of them, and so for ever.
        """
        client = self._service.cloud.client("lambda")
        for function in _API_FUNCTIONS:
            name = self._service.outputs[f"{function}FunctionName"]
            if each is None:
                client.delete_function_concurrency(FunctionName=name)
            else:
                client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=each)

    # --- paying ---

    def pay_all(self) -> None:
        """Every case, stretch by stretch; the orders without webhooks of one stretch are reconciled during the next."""
        deadline = time.monotonic() + _START_S + _SLOWEST_PAYMENT_S * self._payments
        cases = [case(self._seed, number, client) for number, client in enumerate(self._clients)]
        with ThreadPoolExecutor(self._threads) as pool:
            try:
                # One customer, then two, then four, so that few instances start at once.
                width = 1
                while width < self._threads:
                    self._limit_instances(min(width, _INSTANCES))
                    self._pay(pool, cases[:width], deadline, told=True)
                    cases, width = cases[width:], 2 * width
                self._limit_instances(min(width, _INSTANCES))
                for start in range(0, len(cases), _STRETCH):
                    stretch = cases[start : start + _STRETCH]
                    silent = max(1, round(len(stretch) * _WITHOUT_WEBHOOKS))
                    repairs = pool.submit(self._reconcile_unheard)
                    self._pay(pool, stretch[silent:], deadline, told=True)
                    repairs.result()
                    with self._without_webhooks():
                        self._unheard |= self._pay(pool, stretch[:silent], deadline, told=False)
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
        assert len(self._orders) == self._payments, "two customers were given one order"

    def _pay(self, pool: ThreadPoolExecutor, cases: Sequence[Case], deadline: float, *, told: bool) -> set[str]:
        running: dict[Future[str], Case] = {pool.submit(self._customers.play, one, told=told): one for one in cases}
        paid = set()
        try:
            for done in as_completed(running, timeout=max(0.0, deadline - time.monotonic())):
                self._orders[done.result()] = running[done]
                paid.add(done.result())
                self._tell()
        except TimeoutError as error:
            raise AssertionError(
                f"only {len(self._orders)} of {self._payments} customers were done in time; is the machine overloaded?"
            ) from error
        return paid

    def _tell(self) -> None:
        """First half: the customers are done; second half: the books of their orders agree."""
        self._progress(len(self._orders) + self._settled, 2 * self._payments)

    # --- coming to rest ---

    def come_to_rest(self) -> None:
        """Until Razorpay has nothing more to say and reconcile nothing more to find.

        Raises:
            AssertionError: something is still open after ten minutes, or only reconcile could settle an order whose
                webhooks were all acknowledged.
        """
        deadline = time.monotonic() + _QUIET_S
        self._await(self._under_way, "webhooks are still under way", deadline)
        runs = self._tally["reconcile runs"]
        while still_open := unsettled(self._accounts(), self._records()):
            self._settled = self._payments - len(still_open)
            self._tell()
            shown = "; ".join(f"{order_id}: {why}" for order_id, why in sorted(still_open.items())[:5])
            unexpected = still_open.keys() - self._unheard
            assert not unexpected, f"{len(unexpected)} orders are open though every webhook was acknowledged: {shown}"
            bounded = time.monotonic() < deadline and self._tally["reconcile runs"] - runs < _MOST_RECONCILE_RUNS
            assert bounded, f"{len(still_open)} orders are still open: {shown}"
            self._reconcile_unheard()
        self._await(self._unread, "messages were not read by their subscriber", deadline)
        self._settled = self._payments
        self._tell()

    def _await(self, count: Callable[[], int], what: str, deadline: float) -> None:
        while left := count():
            assert time.monotonic() < deadline, f"{left} {what} after {_QUIET_S} s"
            self._tell()
            time.sleep(_POLL_S)

    def _under_way(self) -> int:
        return sum(event["order_id"] in self._orders for event in self._events(state="pending"))

    def _unread(self) -> int:
        return self._depth([*self._service.endpoints["queues"].values(), self._onlooker.queue])

    def _reconcile_unheard(self) -> None:
        """Runs every lane once, as the schedules do, without waiting for due times or for the age of the first pass.

        What is due is brought forward, and a pause that Razorpay asked for ends. Of what is in no lane only the sweep
        would hear, a quarter of an hour later: an operator's look takes its place.
        """
        if not self._unheard:
            return
        self._service.cloud.client("dynamodb").delete_item(
            TableName=self._service.outputs["TableName"], Key={"pk": {"S": "pause#razorpay"}}
        )
        for order_id in sorted(self._unheard & unsettled(self._accounts(), self._records()).keys()):
            if not self._make_due(order_id):
                self._run("Reconcile", {"look": {"order_id": order_id}})
        for function, asked in _LANES:
            self._run(function, asked)
        self._tally.add("reconcile runs")

    def _run(self, function: str, asked: Mapping[str, Any]) -> dict[str, Any]:
        """What a run answers.

        One that fails as a whole (the table did not answer in time) is set aside, and the next is a minute away.
        """
        for _ in range(_RUNS):
            answer = self._service.cloud.client("lambda").invoke(
                FunctionName=self._service.outputs[f"{function}FunctionName"], Payload=json.dumps(asked).encode()
            )
            report: dict[str, Any] = json.loads(answer["Payload"].read())
            if not answer.get("FunctionError"):
                return report
            self._tally.add("reconcile runs that failed as a whole")
            time.sleep(_POLL_S)
        raise AssertionError(f"{function} failed {_RUNS} times: {report}")

    def _make_due(self, order_id: str) -> bool:
        """Whether it is in a lane."""
        dynamodb = self._service.cloud.client("dynamodb")
        try:
            dynamodb.update_item(
                TableName=self._service.outputs["TableName"],
                Key={"pk": {"S": f"order#{order_id}"}},
                UpdateExpression="SET attention_at = :now",
                ConditionExpression="attribute_exists(attention_at)",
                ExpressionAttributeValues={":now": {"N": str(int(time.time()) - 1)}},
            )
        except ClientError as error:
            # Nothing is due: the schedule was faster, or it never was.
            if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                raise
            return False
        return True

    # --- the books ---

    def report(self) -> Report:
        """Compares the books and says what was done."""
        books, findings = self._compared()
        findings.check()
        assert self._depth(self._dead_letter_queues()) == self._dead_letters, "a subscriber set messages aside"
        self._compare_with_api(books.accounts)
        self._check_log()
        money = money_table(books)
        events = [event for event in self._events() if event["order_id"] in self._orders]
        distinct = {event.id for event in books.published}
        states = [account.state for account in books.accounts.values() if account.payments]
        tally = self._tally
        figures: dict[str, int | str] = {
            "payments (customers who ordered)": self._payments,
            "threads": self._threads,
            "create-order calls answered": tally["create-order calls"],
            "… double clicks, both at once": tally["double clicks"],
            "… repeated afterwards": tally["repeated orders"],
            "… with another amount than before": tally["changed amounts"],
            "orders at Razorpay that nobody has the id of": len(books.accounts.keys() - books.records.keys()),
            "paid": tally["paid"],
            "attempts that failed first": tally["failed attempts"],
            "customers who gave up": tally["given up"],
            "verify calls": tally["verify calls"],
            "… with a forged signature, all refused": tally["forged verify calls"],
            "payments that were never verified": tally["never verified"],
            "reads of a payment": tally["reads"],
            "refunds, in part or in full": tally["refunds"],
            "webhook events": len(events),
            "… never sent, of so many orders": f"{tally['webhooks never sent']:,} of {len(self._unheard):,}",
            "webhook deliveries, repetitions included": sum(len(event["attempts"]) for event in events),
            **{name.replace("played", "fault played"): count for name, count in tally.of("played").items()},
            **{name.replace("again", "asked again after"): count for name, count in tally.of("again").items()},
            "reconcile runs beside the schedule's": tally["reconcile runs"],
            "events on the bus": len(distinct),
            "… published more than once": len(books.published) - len(distinct),
            **{f"notes in the inbox of {name}": len(notes) for name, notes in books.inboxes.items()},
            "… dropped by Notification, being overtaken": findings.overtaken,
            "payments compared with what the API shows": tally["read"],
            "paise captured": sum(state.amount for state in states if state.confirmed),
            "paise paid back": sum(state.refunded for state in states),
            "lost": len(findings.lost),
            "doubled": len(findings.doubled),
            "invented": len(findings.invented),
            "differing by a paisa or more": len(findings.differing),
            "complaints of the oracle": len(findings.judged),
        }
        return Report(
            title="Soak: every customer at once, on the deployed template",
            what=(
                f"Customers in {self._threads} threads against what `sam build` made of the template, on the local "
                "cloud: API Gateway, Lambda, DynamoDB, EventBridge, SQS and the three subscribers. Three in ten "
                "accepted webhooks came again, a tenth of the deliveries was lost or its answer was, a tenth of the "
                "calls to Razorpay's API failed, and of some orders no webhook came at all. In the end Razorpay's "
                "ledger, the table, the bus and the three inboxes agree order by order: status, confirmation, amount, "
                "amount paid back, and every event exactly once under one id, as the oracle has it from the ledger "
                "alone. Orders whose webhooks came were settled "
                "by them alone; nothing was pending, and no message was set aside."
            ),
            figures=figures,
            tables=[money],
        )

    def _compared(self) -> tuple[Books, Findings]:
        """The books; once more while a subscriber that could not handle a message waits for it to come back."""
        deadline = time.monotonic() + _QUIET_S
        while True:
            books = Books(
                self._accounts(), self._records(), self._published(), self._inboxes(), self._customers.handed_out
            )
            findings = compare(books)
            only_late = findings.lost and not (
                findings.judged or findings.differing or findings.doubled or findings.invented
            )
            if not only_late or time.monotonic() > deadline:
                return books, findings
            time.sleep(_POLL_S)

    def _compare_with_api(self, accounts: Mapping[str, Account]) -> None:
        for order_id, one in list(self._orders.items())[::_SHOWN_BY_API]:
            shown, state = self._customers.shown(one, order_id), accounts[order_id].state
            seen = (shown["status"], shown["confirmed"], shown["amount"], shown["amount_refunded"])
            assert seen == state, f"{order_id} is {state} at Razorpay and shown as {seen}"
            captured = [payment["id"] for payment in accounts[order_id].captured]
            assert shown["razorpay_payment_id"] == (captured[0] if captured else None), order_id
            self._tally.add("read")

    def _check_log(self) -> None:
        """No function met an error that it does not know."""
        with self._service.cloud.function_log.open("rb") as log:
            log.seek(self._log_begins)
            lines = log.read().decode(errors="replace").splitlines()
        assert lines, "the functions printed nothing"
        unknown = [line for line in lines if '"code":"internal_error"' in line or '"run failed"' in line]
        assert not unknown, f"a function failed unexpectedly {len(unknown)} times: {unknown[0]}"

    def _accounts(self) -> dict[str, Account]:
        return accounts_of(self._control("GET", "ledger"), self._clients)

    def _records(self) -> dict[str, Record]:
        found = {}
        for item in self._scan(self._service.outputs["TableName"]):
            # Records only, and of our customers only: others may use the same service.
            if item["pk"].startswith("order#") and item.get("client_id", -1) in self._clients:
                record = to_record(item)
                found[record.order_id] = record
        return found

    def _published(self) -> list[Published]:
        return [event for event in self._onlooker.seen() if event.detail["payment"]["client_id"] in self._clients]

    def _inboxes(self) -> dict[str, list[dict[str, Any]]]:
        mine = self._records().keys()
        tables = {name: self._service.endpoints["subscribers"][f"{name.capitalize()}Inbox"] for name in SUBSCRIPTIONS}
        notes = {name: self._scan(table) for name, table in tables.items()}
        return {name: [note for note in found if note["order_id"] in mine] for name, found in notes.items()}

    def _scan(self, table: str) -> list[dict[str, Any]]:
        paginator = self._service.cloud.client("dynamodb").get_paginator("scan")
        pages = paginator.paginate(TableName=table, ConsistentRead=True)
        return [{name: _plain(value) for name, value in item.items()} for page in pages for item in page["Items"]]

    # --- the stand-in and the queues ---

    def _events(self, **wanted: str) -> list[dict[str, Any]]:
        """Every webhook event of the stand-in that matches, page by page."""
        events: list[dict[str, Any]] = []
        after = 0
        while True:
            query = "&".join(f"{name}={value}" for name, value in {**wanted, "after": after, "limit": 1000}.items())
            page = self._control("GET", f"events?{query}")
            events += page["events"]
            if page["next"] == after:
                return events
            after = page["next"]

    def _control(self, method: str, path: str, document: object = None) -> Any:
        answer = requests.request(method, f"{self._razorpay}/_control/{path}", json=document, timeout=_TIMEOUT_S)
        assert answer.ok, f"the stand-in refused {method} {path}: {answer.text}"
        return answer.json()

    def _dead_letter_queues(self) -> list[str]:
        outputs = self._service.endpoints["subscribers"]
        return [url for name, url in outputs.items() if name.endswith("DeadLettersUrl")]

    def _depth(self, queues: Sequence[str]) -> int:
        sqs = self._service.cloud.client("sqs")
        total = 0
        for url in queues:
            counts = sqs.get_queue_attributes(
                QueueUrl=url,
                AttributeNames=["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"],
            )["Attributes"]
            total += sum(int(count) for count in counts.values())
        return total
