"""The soak: thousands of payments on the deployed template, and the books of all sides, which must agree to the paisa.

Sixteen threads play customers: they order (some click twice), pay at the stand-in for Razorpay (some fail first, some
give up), come back to verify or do not, and some get money back. Meanwhile a tenth of the calls to Razorpay's API fails
or loses its answer, and its webhooks come twice, get lost on the way, come again though they were accepted, or, for the
last customers, never come at all: those are reconcile's. When everything is quiet, Razorpay's ledger, the API, the bus
and the inboxes of the Job, Application and Notification services are compared.

`python -m tests.faults --only soak` runs it whole; with `--share 0.01` fifty payments of it.
"""

import json
import random
import tempfile
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import requests
from boto3.dynamodb.types import TypeDeserializer

from sandbox.cloud.service import LocalService
from sandbox.development import RAZORPAY_KEY_ID, RAZORPAY_KEY_SECRET, token
from tests.faults.books import SUBSCRIPTIONS, Account, Published, accounts_of, check_inbox, complaints
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
_CHANCES: Final = {"lost_deliveries": 0.06, "ignored_answers": 0.04, "duplicates": 0.3}
"""… of the deliveries of its webhooks as well, and of the accepted ones three in ten come again all the same."""

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

_plain: Final = TypeDeserializer().deserialize


# --- what the customers do ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Case:
    """One customer's doings, drawn from the seed and the customer's number alone."""

    client: int
    amount_minor: int
    clicks_twice: bool
    fails_first: bool
    method: str
    gives_up: bool
    verifications: int
    refunds_minor: tuple[int, ...]


def case(seed: int, number: int, client: int) -> Case:
    """Customer `number` of a seed."""
    draw = random.Random(f"{seed}/{number}")  # noqa: S311 - to be played again, no secret
    amount = draw.randrange(100, 100_000_00)
    part = draw.randrange(1, amount)
    return Case(
        client=client,
        amount_minor=amount,
        clicks_twice=draw.random() < 0.1,
        fails_first=draw.random() < 0.2,
        method=draw.choice(("card", "upi", "netbanking")),
        gives_up=draw.random() < 0.04,
        verifications=draw.choices((0, 1, 2), (25, 65, 10))[0],
        refunds_minor=draw.choices(((), (part,), (amount,), (part, amount - part)), (80, 8, 8, 4))[0],
    )


class Customers:
    """Plays the cases: frontend, Checkout, and the merchant who pays back."""

    def __init__(self, service: LocalService) -> None:
        self._api: str = service.endpoints["api"]
        self._razorpay: str = service.endpoints["razorpay"]
        self.handed_out: list[HandedOut] = []

    def play(self, one: Case, *, told: bool) -> str:
        """The whole case; the id of the order that was to be paid.

        Args:
            one: what to do.
            told: whether Razorpay tells the service of it, so that waiting for the confirmation makes sense.
        """
        if one.clicks_twice:
            with ThreadPoolExecutor(2) as pool:
                clicks = set(pool.map(self._order, (one, one)))
            assert len(clicks) == 1, "two clicks made two orders"
        order_id = self._order(one)
        if one.fails_first:
            refused = self._checkout(order_id, one.method, fails=True)
            assert refused.status_code == requests.codes.bad_request, refused.text
        if one.gives_up:
            return order_id
        paid = self._checkout(order_id, one.method, fails=False)
        assert paid.status_code == requests.codes.ok, paid.text
        for _ in range(one.verifications):
            answer = self._insist("POST", "verify/", one.client, paid.json())
            assert answer.status_code == requests.codes.ok, f"verify answered {answer.status_code}: {answer.text}"
        if told:
            self._await_confirmation(one, order_id)
        for amount_minor in one.refunds_minor:
            self._refund(paid.json()["razorpay_payment_id"], amount_minor)
        return order_id

    def _await_confirmation(self, one: Case, order_id: str) -> None:
        deadline, pause_s = time.monotonic() + _CONFIRMED_S, _PAUSE_S
        while not (self.shown(one.client, order_id) or {})["confirmed"] and time.monotonic() < deadline:
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    def shown(self, client: int, order_id: str) -> dict[str, Any] | None:
        """The payment as the API shows it to its client; None if it knows none."""
        answer = self._insist("GET", f"{order_id}/", client)
        if answer.status_code == requests.codes.not_found:
            return None
        assert answer.status_code == requests.codes.ok, f"GET answered {answer.status_code}: {answer.text}"
        payment: dict[str, Any] = answer.json()
        return payment

    def _order(self, one: Case) -> str:
        amount_minor = one.amount_minor
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

    def _checkout(self, order_id: str, method: str, *, fails: bool) -> requests.Response:
        press = {"order_id": order_id, "method": method, "outcome": "failure" if fails else "success"}
        # A connection of its own: a kept one may be closed under it, and paying must not be repeated blindly.
        return requests.post(f"{self._razorpay}/_control/pay", json=press, timeout=_TIMEOUT_S)

    def _refund(self, payment_id: str, amount_minor: int) -> None:
        """Insists as well; the key makes it one refund."""
        url, key = f"{self._razorpay}/v1/payments/{payment_id}/refund", uuid.uuid4().hex
        for _ in range(_TRIES):
            with suppress(requests.ConnectionError):
                answer = requests.post(
                    url,
                    json={"amount": amount_minor},
                    headers={"X-Refund-Idempotency": key},
                    auth=(RAZORPAY_KEY_ID, RAZORPAY_KEY_SECRET),
                    timeout=_TIMEOUT_S,
                )
                if answer.ok:
                    return
                assert answer.status_code in {429, 500, 503}, answer.text
        raise AssertionError(f"a refund was refused {_TRIES} times")

    def _insist(self, method: str, path: str, client: int, document: object = None) -> requests.Response:
        """Asks the service again for as long as it says that asking again may help: every request of it is safe to."""
        headers = {"Authorization": f"Bearer {token(client)}"}
        said = "nothing"
        for _ in range(_TRIES):
            try:
                answer = requests.request(
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
            time.sleep(_PAUSE_S)
        raise AssertionError(f"{method} {path} was refused {_TRIES} times, at last with {said}")


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
        self._customers = Customers(service)
        self._threads = max(2, min(THREADS, payments // _PAYMENTS_PER_THREAD))
        # Clients, and so applications, that no other test on the same service has.
        first = random.SystemRandom().randrange(10**9, 10**15)
        self._clients = range(first, first + payments)
        self._orders: dict[str, Case] = {}
        self._unheard: set[int] = set()
        """Clients of whose orders no webhook ever came."""
        self._faults = self._held = self._runs = 0
        self._dead_letters = self._depth(self._dead_letter_queues())
        self._log_begins = service.cloud.function_log.stat().st_size

    # --- what goes wrong ---

    @contextmanager
    def faults(self) -> Iterator[None]:
        """The stand-in misbehaves; in the end it is told not to, and how often it did is kept."""
        api = [
            {"fault": name, "share": share, "seed": self._seed + number} | ({} if route is None else {"route": route})
            for number, (name, route, share) in enumerate(_API_FAULTS)
        ]
        # A seed each: with one in common, the deliveries whose answer is to be ignored would all be lost before.
        switches = {
            name: {"share": share, "seed": self._seed + 100 + number}
            for number, (name, share) in enumerate(_CHANCES.items())
        }
        self._control("PUT", "faults", switches | {"api": api})
        try:
            yield
        finally:
            self._limit_instances(None)
            played = self._control("GET", "faults")
            self._control("PUT", "faults", dict.fromkeys(_CHANCES) | {"api": [], "webhooks": "send"})
            self._faults = sum(one["played"] for one in (*played["api"], *(played[name] for name in _CHANCES)))

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
            self._held = len(held)

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
        """Every case; Razorpay never tells of the last ones."""
        deadline = time.monotonic() + _START_S + _SLOWEST_PAYMENT_S * self._payments
        cases = [case(self._seed, number, client) for number, client in enumerate(self._clients)]
        silent = max(1, round(len(cases) * _WITHOUT_WEBHOOKS))
        cases, unheard = cases[:-silent], cases[-silent:]
        with ThreadPoolExecutor(self._threads) as pool:
            try:
                # One customer, then two, then four, so that few instances start at once.
                width = 1
                while width < self._threads:
                    self._limit_instances(min(width, _INSTANCES))
                    self._pay(pool, cases[:width], deadline, told=True)
                    cases, width = cases[width:], 2 * width
                self._limit_instances(min(width, _INSTANCES))
                self._pay(pool, cases, deadline, told=True)
                with self._without_webhooks():
                    self._pay(pool, unheard, deadline, told=False)
                self._unheard = {one.client for one in unheard}
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
        assert len(self._orders) == self._payments, "two customers were given one order"

    def _pay(self, pool: ThreadPoolExecutor, cases: Sequence[Case], deadline: float, *, told: bool) -> None:
        running: dict[Future[str], Case] = {pool.submit(self._customers.play, one, told=told): one for one in cases}
        try:
            for done in as_completed(running, timeout=max(0.0, deadline - time.monotonic())):
                self._orders[done.result()] = running[done]
                self._progress(len(self._orders), 2 * self._payments)
        except TimeoutError as error:
            raise AssertionError(
                f"only {len(self._orders)} of {self._payments} customers were done in time; is the machine overloaded?"
            ) from error

    # --- coming to rest ---

    def come_to_rest(self) -> None:
        """Until Razorpay has nothing more to say, reconcile nothing more to find, and the books agree.

        Raises:
            AssertionError: something is still open after ten minutes.
        """
        deadline = time.monotonic() + _QUIET_S
        self._await(lambda: self._of_ours(self._events(state="pending")), "webhooks under way", deadline)
        # Nobody but the webhooks told of most; an event may still be on its way to the onlooker.
        self._settle(set(self._clients) - self._unheard, deadline, lambda: time.sleep(_POLL_S))
        self._settle(self._unheard, deadline, self._reconcile_unheard)
        queues = list(self._service.endpoints["queues"].values())
        self._await(lambda: ["?"] * self._depth(queues), "messages that their subscriber has not read", deadline)
        self._await(lambda: self._inboxes()[0], "differences in the inboxes", deadline)
        self._progress(2 * self._payments, 2 * self._payments)

    def _settle(self, clients: set[int], deadline: float, mend: Callable[[], None]) -> None:
        """Until nothing is left to say of these clients' orders."""
        while left := self._open(clients):
            assert time.monotonic() < deadline, f"{len(left)} clients are left, such as {list(left.values())[:5]}"
            mend()
            clients = set(left)
            self._progress(2 * self._payments - len(clients), 2 * self._payments)

    def _await(self, found: Callable[[], Sequence[str]], what: str, deadline: float) -> None:
        while left := found():
            assert time.monotonic() < deadline, f"after {_QUIET_S} s {len(left)} {what}, such as {left[:5]}"
            time.sleep(_POLL_S)

    def _of_ours(self, events: Sequence[Mapping[str, Any]]) -> list[str]:
        return [event["event_id"] for event in events if event["order_id"] in self._orders]

    def _open(self, clients: set[int]) -> dict[int, list[str]]:
        """What the oracle has to say of these clients' orders, and what is pending of them."""
        found: defaultdict[int, list[str]] = defaultdict(list)
        for item in self._scan(self._service.outputs["TableName"]):
            if item.get("pending") and item.get("client_id") in clients:
                found[int(item["client_id"])].append(f"{item['pk']} has events pending")
        published: defaultdict[int, list[Published]] = defaultdict(list)
        for event in self._published():
            published[event.detail["payment"]["client_id"]].append(event)
        for client, account in self._accounts().items():
            if client in clients:
                shown = {order_id: self._customers.shown(client, order_id) for order_id in account.order_ids}
                found[client] += complaints(account, shown, published[client])
        return {client: said for client, said in found.items() if said}

    def _reconcile_unheard(self) -> None:
        """Runs every lane once, as the schedules do, and ends a pause that Razorpay asked for.

        Nobody waits for due times, or a quarter of an hour for the first pass: an operator's look takes their place.
        """
        self._service.cloud.client("dynamodb").delete_item(
            TableName=self._service.outputs["TableName"], Key={"pk": {"S": "pause#razorpay"}}
        )
        for order_id in [order_id for order_id, one in self._orders.items() if one.client in self._unheard]:
            self._run("Reconcile", {"look": {"order_id": order_id}})
        for function, asked in _LANES:
            self._run(function, asked)
        self._runs += 1

    def _run(self, function: str, asked: Mapping[str, Any]) -> None:
        """One that fails as a whole (the table did not answer in time) is set aside; the next is a minute away."""
        for _ in range(_RUNS):
            answer = self._service.cloud.client("lambda").invoke(
                FunctionName=self._service.outputs[f"{function}FunctionName"], Payload=json.dumps(asked).encode()
            )
            if not answer.get("FunctionError"):
                return
            time.sleep(_POLL_S)
        raise AssertionError(f"{function} failed {_RUNS} times: {answer['Payload'].read().decode()}")

    # --- the books ---

    def report(self) -> Report:
        """What was done, once the books agree."""
        left = self._open(set(self._clients))
        assert not left, f"the books of {len(left)} clients disagree: {list(left.values())[:5]}"
        assert self._depth(self._dead_letter_queues()) == self._dead_letters, "a subscriber set messages aside"
        self._check_log()
        published, events = self._published(), [one for one in self._events() if one["order_id"] in self._orders]
        distinct = {event.id for event in published}
        ledgers = [account.ledger for account in self._accounts().values()]
        return Report(
            title="Soak: every customer at once, on the deployed template",
            what=(
                f"Customers in {self._threads} threads against what `sam build` made of the template, on the local "
                "cloud: API Gateway, Lambda, DynamoDB, EventBridge, SQS and the three subscribers. Webhooks came "
                "twice, were lost or never sent, calls to Razorpay's API failed. In the end the API, the bus and the "
                "inboxes said of each order what the oracle has from Razorpay's ledger alone, every event was noted "
                "once, nothing was pending, and no message was set aside."
            ),
            figures={
                "customers": self._payments,
                "payments captured": sum(one["captured"] for ledger in ledgers for one in ledger["payments"]),
                "refunds": sum(len(ledger["refunds"]) for ledger in ledgers),
                "webhooks sent, repetitions included": sum(len(event["attempts"]) for event in events),
                "webhooks never sent": self._held,
                "faults of Razorpay's API and webhooks": self._faults,
                "reconcile runs beside the schedule's": self._runs,
                "events on the bus": len(distinct),
                "… published more than once": len(published) - len(distinct),
                "… dropped by Notification, being overtaken": self._inboxes()[1],
                "lost, doubled, invented, or differing by a paisa": 0,
            },
        )

    def _inboxes(self) -> tuple[list[str], int]:
        """What is wrong in the subscribers' inboxes, and how many events were rightly dropped."""
        published, differing, overtaken = self._published(), list[str](), 0
        mine = {order_id for account in self._accounts().values() for order_id in account.order_ids}
        for name in SUBSCRIPTIONS:
            notes = self._scan(self._service.endpoints["subscribers"][f"{name.capitalize()}Inbox"])
            found = check_inbox(name, [note for note in notes if note["order_id"] in mine], published)
            differing += found.differing
            overtaken += found.overtaken
        return differing, overtaken

    def _check_log(self) -> None:
        """No function met an error that it does not know."""
        with self._service.cloud.function_log.open("rb") as log:
            log.seek(self._log_begins)
            lines = log.read().decode(errors="replace").splitlines()
        assert lines, "the functions printed nothing"
        unknown = [line for line in lines if '"code":"internal_error"' in line or '"run failed"' in line]
        assert not unknown, f"a function failed unexpectedly {len(unknown)} times: {unknown[0]}"

    def _accounts(self) -> dict[int, Account]:
        """Of our customers only: others may use the same service."""
        accounts = accounts_of(self._control("GET", "ledger"), self._customers.handed_out)
        return {client: account for client, account in accounts.items() if client in self._clients}

    def _published(self) -> list[Published]:
        return [event for event in self._onlooker.seen() if event.detail["payment"]["client_id"] in self._clients]

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
